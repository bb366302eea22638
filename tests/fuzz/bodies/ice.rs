//! The ICE agent under checks with right and wrong credentials, restarts, rebinding and time: what it tells the caller
//! to index is what it holds, and a check that proves nothing changes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use portunus::id::{FourTuple, SocketId};
use portunus::limits::TUPLES_PER_PEER;
use portunus::proto::ice::{CheckOutcome, Credentials, IceAgent};
use portunus::time::Mono;
use portunus::wire::error::WireError;
use portunus::wire::reader::Reader;
use portunus::wire::stun::{BindingRequest, Class, Key, Message, REPLY_MAX, Role, TransactionId};

/// Operations.
pub fn run(data: &[u8]) {
    let mut world = World::new();
    let mut reader = Reader::new(data);
    while let Ok(op) = Op::read(&mut reader) {
        world.apply(op);
        world.check();
    }
}

#[derive(Clone, Copy, Debug)]
enum Op {
    /// A Binding request from one of sixteen places.
    Check { from: u8, generation: u8, flaws: u8 },
    /// A new generation of our credentials.
    Restart,
    /// The peer's description.
    SetRemote { generation: u8 },
    /// Time goes by.
    Advance { steps: u8 },
    /// Another peer has validated the path.
    Forget { from: u8 },
    /// SRTP that could be authenticated.
    Media { from: u8 },
    /// DTLS from somewhere: of our association, or from the upper half of the numbers that of another client.
    Dtls { from: u8 },
    /// Something is sent to the peer.
    Send,
    /// A description with another certificate.
    Associate { generation: u8 },
}

impl Op {
    fn read(reader: &mut Reader<'_>) -> Result<Op, WireError> {
        Ok(match reader.u8("op")? % 12 {
            0 => Op::Restart,
            1 => Op::SetRemote { generation: reader.u8("generation")? },
            2 => Op::Advance { steps: reader.u8("steps")? },
            3 => Op::Forget { from: reader.u8("from")? },
            8 => Op::Media { from: reader.u8("from")? },
            9 => Op::Dtls { from: reader.u8("from")? },
            10 => Op::Send,
            11 => Op::Associate { generation: reader.u8("generation")? },
            _ => {
                Op::Check { from: reader.u8("from")?, generation: reader.u8("generation")?, flaws: reader.u8("flaws")? }
            }
        })
    }
}

/// The bits of [`Op::Check`]'s `flaws`.
mod flaw {
    pub const PASSWORD: u8 = 1;
    pub const PEER_UFRAG: u8 = 2;
    pub const ROLE: u8 = 4;
    pub const CHANGED_BYTE: u8 = 8;
    pub const NO_ROOM: u8 = 16;
    /// Not a flaw.
    pub const USE_CANDIDATE: u8 = 32;
}

struct World {
    agent: IceAgent,
    now: Mono,
    /// Generations made so far; the agent answers to the last, and to one before it until that is replaced.
    generations: u8,
    /// By local ufrag, of those that are answered: the peer's ufrag, once its description said it.
    answered: BTreeMap<String, Option<String>>,
    tuples: BTreeSet<u16>,
    /// Where other clients have perhaps shown themselves since media were heard there: what is nominated there may not count.
    others: BTreeSet<u16>,
    last_heard: Option<Mono>,
    /// When something was first sent since.
    unanswered: Option<Mono>,
}

impl World {
    fn new() -> World {
        let agent = IceAgent::new(credentials(0));
        let answered = BTreeMap::from([(ufrag(0), None)]);
        World {
            agent,
            now: Mono(0),
            generations: 1,
            answered,
            tuples: BTreeSet::new(),
            others: BTreeSet::new(),
            last_heard: None,
            unanswered: None,
        }
    }

    fn apply(&mut self, op: Op) {
        match op {
            Op::Check { from, generation, flaws } => self.check_from(from, generation % self.generations, flaws),
            Op::Restart if self.generations < u8::MAX => {
                if let Some(retired) = self.agent.restart(credentials(self.generations)) {
                    assert!(self.answered.remove(&*retired).is_some(), "{retired} was answered");
                }
                self.answered.insert(ufrag(self.generations), None);
                self.generations += 1;
            }
            Op::Restart => {}
            Op::SetRemote { generation } => {
                for struck in self.agent.set_remote(&credentials(generation)) {
                    assert!(self.tuples.remove(&struck.remote.port()), "a struck path was there");
                }
                self.answered.insert(ufrag(self.generations - 1), Some(ufrag(generation)));
            }
            Op::Media { from } => {
                // The caller's index lets nothing else get here.
                if self.tuples.contains(&tuple(from).remote.port()) {
                    let moved = self.agent.note_media(self.now, tuple(from));
                    assert!(!moved || self.agent.selected() == Some(tuple(from)));
                    self.others.remove(&tuple(from).remote.port());
                    self.hear();
                }
            }
            Op::Dtls { from: from @ 128.. } => {
                self.agent.note_other_client(tuple(from));
                self.others.insert(tuple(from).remote.port());
            }
            Op::Dtls { from } => {
                if self.agent.admits_dtls(tuple(from)) {
                    assert!(self.tuples.contains(&tuple(from).remote.port()), "DTLS comes on valid paths only");
                    self.agent.note_client(tuple(from));
                    assert_eq!(self.agent.dtls_path(), Some(tuple(from)), "and is answered where it came from");
                }
            }
            Op::Send => {
                self.agent.note_sent(self.now);
                self.unanswered = self.unanswered.or(Some(self.now));
            }
            Op::Associate { generation } => {
                let (struck, retired) = self.agent.begin_association(&credentials(generation));
                for struck in struck {
                    assert!(self.tuples.remove(&struck.remote.port()), "a struck path was there");
                }
                if let Some(retired) = retired {
                    assert!(self.answered.remove(&*retired).is_some(), "{retired} was answered");
                }
                self.answered.insert(ufrag(self.generations - 1), Some(ufrag(generation)));
                (self.last_heard, self.unanswered) = (None, None);
            }
            Op::Advance { steps } => self.now = self.now + Duration::from_millis(500) * steps.into(),
            Op::Forget { from } => {
                let selected = self.agent.selected();
                self.agent.forget(tuple(from));
                self.tuples.remove(&tuple(from).remote.port());
                let expected = selected.filter(|selected| *selected != tuple(from));
                assert_eq!(self.agent.selected(), expected, "nothing is sent to a path that another peer has");
            }
        }
    }

    fn hear(&mut self) {
        (self.last_heard, self.unanswered) = (Some(self.now), None);
    }

    fn check_from(&mut self, from: u8, generation: u8, flaws: u8) {
        let has = |flaw: u8| flaws & flaw != 0;
        let known = self.answered.get(&ufrag(generation)).cloned();
        let told = known.clone().flatten().unwrap_or_else(|| "anyone".into());
        let remote = if has(flaw::PEER_UFRAG) { "nobody" } else { &told };
        let key = Key::short_term(&password(if has(flaw::PASSWORD) { generation ^ 1 } else { generation }));
        let request = BindingRequest {
            transaction: TransactionId([from; 12]),
            remote_ufrag: &ufrag(generation),
            local_ufrag: remote,
            priority: 1,
            role: if has(flaw::ROLE) { Role::Controlled(9) } else { Role::Controlling(9) },
            use_candidate: has(flaw::USE_CANDIDATE),
        };
        let mut bytes = [0; 256];
        let len = request.compose(&mut bytes, &key).expect("256 bytes suffice");
        if has(flaw::CHANGED_BYTE) {
            bytes[8 + usize::from(from) % (len - 8)] ^= 0x40;
        }
        let Ok(message) = Message::parse(&bytes[..len]) else { return };

        let before = self.state();
        let mut reply = [0; REPLY_MAX];
        let room = if has(flaw::NO_ROOM) { 40 } else { REPLY_MAX };
        let outcome = self.agent.handle_request(self.now, tuple(from), &message, &mut reply[..room]);
        let wrong_peer = has(flaw::PEER_UFRAG) && known.as_ref().is_some_and(Option::is_some);
        let proved = known.is_some() && !wrong_peer && !has(flaw::PASSWORD) && !has(flaw::CHANGED_BYTE);
        let accepted = proved && !has(flaw::ROLE) && !has(flaw::NO_ROOM);
        match outcome {
            CheckOutcome::Refused { reply: len, .. } => {
                assert!(!accepted, "a check without a flaw is believed");
                assert_eq!(len > 0, proved && !has(flaw::NO_ROOM), "only who knows the password is answered");
                assert_eq!(self.state(), before, "a refused check changes nothing");
            }
            CheckOutcome::Answered { reply: len, change } => {
                assert!(accepted, "{request:?} with flaws {flaws:#b} was believed");
                let answer = Message::parse(&reply[..len]).expect("our answer is well formed");
                assert_eq!((answer.class(), answer.transaction()), (Class::Success, message.transaction()));
                assert_eq!(answer.xor_mapped_address(), Some(tuple(from).remote));
                assert!(answer.verify_integrity(&key) && answer.verify_fingerprint());
                self.hear();
                if let Some(evicted) = change.evicted {
                    assert!(self.tuples.remove(&evicted.remote.port()), "an evicted path was there");
                }
                assert_eq!(self.tuples.insert(tuple(from).remote.port()), change.validated);
                if let Some(retired) = change.retired {
                    assert!(self.answered.remove(&*retired).is_some(), "{retired} was answered");
                }
                let is_other = self.others.contains(&tuple(from).remote.port());
                if has(flaw::USE_CANDIDATE) && known.flatten().is_some() && !is_other {
                    assert_eq!(self.agent.selected(), Some(tuple(from)), "the latest nomination counts");
                }
            }
        }
    }

    /// What holds after every operation.
    fn check(&self) {
        let held: Vec<u16> = self.agent.tuples().map(|tuple| tuple.remote.port()).collect();
        assert!(held.len() <= TUPLES_PER_PEER);
        assert_eq!(held.len(), self.tuples.len(), "every path once");
        assert!(held.iter().all(|port| self.tuples.contains(port)), "the caller's index holds the same paths");
        let ufrags: BTreeSet<&str> = self.agent.ufrags().collect();
        assert!(ufrags.iter().copied().eq(self.answered.keys().map(String::as_str)), "and the same ufrags");
        assert!(ufrags.contains(self.agent.local().ufrag()));
        assert!(self.agent.selected().is_none_or(|selected| held.contains(&selected.remote.port())));
        let timeout = Duration::from_secs(30);
        let is_silent = self.last_heard.is_some_and(|at| self.now >= at + timeout);
        assert_eq!(self.agent.is_gone(self.now, timeout, true), is_silent);
        let is_unanswered = self.unanswered.is_some_and(|at| self.now >= at + timeout);
        assert_eq!(self.agent.is_gone(self.now, timeout, false), is_unanswered);
    }

    fn state(&self) -> (Vec<FourTuple>, Option<FourTuple>, Vec<String>, Option<Mono>) {
        let ufrags = self.agent.ufrags().map(str::to_owned).collect();
        (self.agent.tuples().collect(), self.agent.selected(), ufrags, self.agent.last_check())
    }
}

fn tuple(from: u8) -> FourTuple {
    FourTuple { socket: SocketId((from & 1).into()), remote: ([192, 0, 2, 1], 5000 + u16::from(from % 16)).into() }
}

fn credentials(generation: u8) -> Credentials {
    Credentials::new(&ufrag(generation), &password(generation)).expect("within the bounds of RFC 8839")
}

fn ufrag(generation: u8) -> String {
    format!("ufrag{generation}")
}

fn password(generation: u8) -> String {
    format!("password+of+24+letters{generation}")
}
