//! The engine with one room and scripted handshakes, joined as clients join it, behind links that delay and lose. Every
//! datagram that it seals is looked at on its way out: no key, SSRC and index may ever carry two contents.

mod attention;
mod encodings;
mod exchange;
mod feedback;
mod forwarding;
mod link;
mod observe;
mod order;
mod presence;
mod remote;
mod repair;
mod sources;

use std::collections::HashMap;
use std::time::Duration;

use super::arena::{SendArena, Transmit};
use super::engine::{MediaConfig, MediaEngine};
use super::tests::link::{Link, Sent};
use super::turn::HandshakeFactory;
use super::verdict::Verdict;
use crate::control::command::{Command, CommandEnvelope, Event, Mail, Reply};
use crate::control::observation::{Observation, Watch};
use crate::control::request::{
    Configure, ConfigureSubscriber, JoinPublisher, JoinSubscriber, MemberRequest, SubscribeStream,
};
use crate::control::spec::RoomSpec;
use crate::id::{
    FeedId, FourTuple, HandleAddress, HandleId, RoomId, SessionId, ShardId, SignallingId, SocketId, Ticket,
};
use crate::proto::dtls::{DtlsEvent, Fingerprint, Handshake, KeyingMaterial, Role};
use crate::proto::srtp::{Inbound, MasterKey, Outbound, Profile};
use crate::time::{Mono, Now};
use crate::wire::demux::{Protocol, classify};
use crate::wire::sdp::{Description, DescriptionKind, Direction, Setup, Transport, parse, vectors};
use crate::wire::stun;
use crate::wire::stun::{BindingRequest, Key, TransactionId};

const PROFILE: Profile = Profile::AeadAes128Gcm;
const SLOWLINK: u32 = 5;

/// The engine and the room, and what it has said.
struct World {
    engine: MediaEngine,
    now: Now,
    room: RoomId,
    link: Link,
    events: Vec<(u64, Event)>,
    /// What event handlers would hear, by handle.
    observed: Vec<(u64, Observation)>,
    /// What went to others than peers, by port.
    forwarded: Vec<(u16, Vec<u8>)>,
    /// What was sealed, by peer, SSRC and number: RTP under its sequence number, SRTCP under its index.
    sealed: HashMap<(u16, u32, u64), Vec<u8>>,
}

/// One client's end of its peer connection.
struct End {
    member: u16,
    inbound: Inbound,
    outbound: Outbound,
}

impl End {
    fn new(member: u16) -> End {
        let byte = u8::try_from(member + 1).unwrap();
        let key = MasterKey::new(PROFILE, &[byte; 16], &[byte; 12]).unwrap();
        End { member, inbound: Inbound::new(PROFILE, &key).unwrap(), outbound: Outbound::new(PROFILE, &key).unwrap() }
    }
}

/// Takes what the engine sends.
#[derive(Default)]
struct Taken(Vec<(FourTuple, Vec<u8>)>);

impl Transmit for Taken {
    fn transmit(&mut self, arena: &SendArena) {
        for message in arena.messages() {
            self.0.extend(message.datagrams(arena.bytes(message)).map(|bytes| (message.to, bytes.to_vec())));
        }
    }
}

impl World {
    /// One in which nobody is given up.
    fn new(seed: u8) -> World {
        World::with_peer_timeout(seed, Duration::from_secs(100_000))
    }

    fn with_peer_timeout(seed: u8, peer_timeout: Duration) -> World {
        let now = Now { mono: Mono(1_000_000_000), unix_us: 1_790_000_000_000_000 };
        let engine = MediaEngine::new(MediaConfig {
            shard: ShardId(0),
            shards: 1,
            signalling_shards: 1,
            sockets: vec![([127, 0, 0, 1], 20_000).into()],
            remote_ports: vec![21_000],
            advertised: vec![([127, 0, 0, 1], 20_000).into()],
            handshakes: Box::new(Scripted::default()),
            peer_timeout,
            slowlink_threshold: SLOWLINK,
            watch: Watch {
                rooms: true,
                peers: true,
                statistics: Duration::from_secs(2),
                sockets: vec![([127, 0, 0, 1], 20_000).into()],
            },
            seed: [seed; 32],
            now,
        });
        let room = RoomId::from(1);
        let mut world = World {
            engine,
            now,
            room: room.clone(),
            link: Link::new(seed),
            events: Vec::new(),
            observed: Vec::new(),
            forwarded: Vec::new(),
            sealed: HashMap::new(),
        };
        let reply = world.ask(Command::Create(Box::new(RoomSpec { publishers: 9, ..RoomSpec::new(room) })));
        assert!(matches!(reply, Reply::Created(_)));
        world
    }

    fn publish(&mut self, member: u16, offer: Description) -> (FeedId, End) {
        let ufrag = offer.transport().unwrap().ufrag.clone();
        let configure = Configure { offer: Some(Box::new(offer)), ..Configure::default() };
        let join = JoinPublisher { configure: Some(configure), ..JoinPublisher::default() };
        let reply = self.request(member, MemberRequest::JoinPublisher(join));
        let Reply::Joined(joined) = reply else { panic!("{reply:?}") };
        self.connect(member, &joined.published.unwrap().answer, &ufrag);
        (joined.id, End::new(member))
    }

    /// Subscribes to everything of the feed; the description is what was offered.
    fn subscribe(&mut self, member: u16, feed: FeedId, answer: impl Fn(&mut Description)) -> (Description, End) {
        let stream = SubscribeStream { feed, mid: None, crossrefid: None, delay: None };
        let join = JoinSubscriber { streams: vec![stream], autoupdate: true, ..JoinSubscriber::default() };
        let reply = self.request(member, MemberRequest::JoinSubscriber(join));
        let Reply::Attached(attached) = reply else { panic!("{reply:?}") };
        self.answer(member, &attached.offer, answer);
        self.connect(member, &attached.offer, "subscriber");
        (attached.offer, End::new(member))
    }

    fn answer(&mut self, member: u16, offer: &Description, change: impl Fn(&mut Description)) {
        let mut answer = accept_all(offer);
        change(&mut answer);
        let reply = self.request(member, MemberRequest::Start(Some(Box::new(answer))));
        assert!(matches!(reply, Reply::Started(_)), "{reply:?}");
    }

    /// An ICE restart of a subscriber, with its new check.
    fn restart_ice(&mut self, member: u16) {
        let configure = ConfigureSubscriber { restart: true, ..ConfigureSubscriber::default() };
        let reply = self.request(member, MemberRequest::ConfigureSubscriber(configure));
        let Reply::Configured(configured) = reply else { panic!("{reply:?}") };
        let offer = configured.offer.unwrap();
        self.answer(member, &offer, as_offered);
        self.check(member, &offer, "subscriber");
    }

    /// A check on the path, then the datagram that ends the scripted handshake.
    fn connect(&mut self, member: u16, ours: &Description, ufrag: &str) {
        self.check(member, ours, ufrag);
        assert_eq!(self.deliver(member, &mut [22, u8::try_from(member + 1).unwrap()]), Verdict::Consumed);
    }

    fn check(&mut self, member: u16, ours: &Description, ufrag: &str) {
        let transport = ours.transport().unwrap();
        let request = BindingRequest {
            transaction: TransactionId([7; 12]),
            remote_ufrag: &transport.ufrag,
            local_ufrag: ufrag,
            priority: 1,
            role: stun::Role::Controlling(1),
            use_candidate: true,
        };
        let mut check = [0; 300];
        let len = request.compose(&mut check, &Key::short_term(&transport.pwd)).unwrap();
        assert_eq!(self.deliver(member, &mut check[..len]), Verdict::Consumed);
    }

    fn request(&mut self, member: u16, request: MemberRequest) -> Reply {
        self.ask(Command::Member { room: self.room.clone(), handle: handle(member), request: Box::new(request) })
    }

    fn ask(&mut self, command: Command) -> Reply {
        let ticket = Some(Ticket { slot: 0, generation: 0 });
        let mut taken = Taken::default();
        self.engine.handle_command(self.now, CommandEnvelope { ticket, from: SignallingId(0), command }, &mut taken);
        self.engine.release(self.now, &mut taken);
        self.look_at(taken);
        self.mail().expect("a command with a ticket is answered at once")
    }

    /// One datagram from a client; the engine's turn ends with [`World::step`].
    fn deliver(&mut self, member: u16, datagram: &mut [u8]) -> Verdict {
        let mut taken = Taken::default();
        let verdict = self.engine.handle_datagram(self.now, path(member), self.now.mono, datagram, &mut taken);
        self.look_at(taken);
        verdict
    }

    /// A millisecond goes by: the link brings what it has for the engine, the turn ends, and what the link has for the
    /// clients is given back.
    fn step(&mut self) -> Vec<(u16, Vec<u8>)> {
        self.now.mono = self.now.mono + Duration::from_millis(1);
        self.now.unix_us += 1000;
        for (member, mut bytes) in self.link.up(self.now.mono) {
            self.deliver(member, &mut bytes);
        }
        let mut taken = Taken::default();
        self.engine.handle_timeout(self.now, &mut taken);
        self.engine.release(self.now, &mut taken);
        self.look_at(taken);
        self.mail();
        self.link.down(self.now.mono)
    }

    /// Media and reports of a client go into its link.
    fn send(&mut self, member: u16, bytes: &[u8]) {
        self.link.push(self.now.mono, Sent::Up, member, bytes.to_vec());
    }

    fn mail(&mut self) -> Option<Reply> {
        let mut reply = None;
        while let Some(mail) = self.engine.poll_mail(SignallingId(0)) {
            match mail {
                Mail::Reply { reply: said, .. } => reply = Some(said),
                Mail::Event { to, event, .. } => {
                    self.events.extend(to.iter().map(|to| (to.handle.0, event.clone())));
                }
                Mail::Observed { of, what } => self.observed.push((of.handle.0, what)),
                Mail::Lost { .. } => panic!("nobody reads so slowly"),
            }
        }
        reply
    }

    fn look_at(&mut self, taken: Taken) {
        for (to, bytes) in taken.0 {
            if to.remote.ip() != path(0).remote.ip() {
                self.forwarded.push((to.remote.port(), bytes));
                continue;
            }
            let member = member_of(to);
            let word = |at: usize| u32::from_be_bytes(*bytes[at..].first_chunk().unwrap());
            let (ssrc, number) = match classify(&bytes) {
                Protocol::Rtp => (word(8), u64::from(word(0) & 0xffff)),
                // RFC 7714 §9.1: the index is the last word of an SRTCP packet; no other number is as high.
                Protocol::Rtcp => (word(4), 1 << 32 | u64::from(word(bytes.len() - 4))),
                _ => continue,
            };
            let first = self.sealed.entry((member, ssrc, number)).or_insert_with(|| bytes.clone());
            assert_eq!(*first, bytes, "one index, two contents");
            self.link.push(self.now.mono, Sent::Down, member, bytes);
        }
    }

    fn counter(&self, name: &str) -> u64 {
        let report = self.engine.survey();
        let mut all = report.counters.iter().chain(&report.drops);
        all.find(|(of, _)| *of == name).unwrap_or_else(|| panic!("no counter {name}")).1
    }
}

/// What Chromium offers for publishing: Opus and VP8 with RTX.
fn chromium_offer() -> Description {
    parse(DescriptionKind::Offer, vectors::CHROMIUM_PUBLISH).unwrap()
}

/// A browser's answer that takes everything.
fn accept_all(offer: &Description) -> Description {
    let mut answer = offer.clone();
    answer.kind = DescriptionKind::Answer;
    for media in &mut answer.media {
        media.direction = Direction::RecvOnly;
        media.candidates.clear();
        media.transport = Some(Transport {
            ufrag: "subscriber".into(),
            pwd: "a+password+of+the+subscriber".into(),
            fingerprint: Fingerprint::Sha256([9; 32]),
            setup: Setup::Active,
        });
    }
    answer
}

/// An answer that changes nothing.
fn as_offered(_: &mut Description) {}

/// An answer of somebody who knows no RTX.
fn without_rtx(answer: &mut Description) {
    answer.media.iter_mut().for_each(|media| media.payloads.retain(|payload| &*payload.encoding != "rtx"));
}

fn handle(member: u16) -> HandleAddress {
    let id = u64::from(member) + 1;
    HandleAddress { home: SignallingId(0), session: SessionId(id), handle: HandleId(id) }
}

fn path(member: u16) -> FourTuple {
    FourTuple { socket: SocketId(0), remote: ([10, 0, 0, 1], 40_000 + member).into() }
}

fn member_of(path: FourTuple) -> u16 {
    path.remote.port() - 40_000
}

/// Handshakes that are over with their first datagram, whose second byte makes the keys, and shows whose client it is.
#[derive(Default)]
struct Scripted {}

impl HandshakeFactory for Scripted {
    fn endpoint(&self, role: Role) -> Option<Box<dyn Handshake>> {
        Some(Box::new(Script { role, is_known: false, keys: None, event: None }))
    }

    fn fingerprint(&self) -> Fingerprint {
        Fingerprint::Sha256([3; 32])
    }
}

struct Script {
    role: Role,
    /// Whether the peer's fingerprint is.
    is_known: bool,
    keys: Option<u8>,
    event: Option<DtlsEvent>,
}

impl Script {
    fn connect(&mut self) {
        let Some(keys) = self.keys.filter(|_| self.is_known) else { return };
        let keying_material = vec![keys; PROFILE.keying_material_len()];
        self.event = Some(DtlsEvent::Connected {
            profile: PROFILE.iana_id(),
            keying_material: KeyingMaterial::new(&keying_material).unwrap(),
            role: self.role,
        });
    }
}

impl Handshake for Script {
    fn start(&mut self, _now: Now) {}

    fn handle_datagram(&mut self, _now: Now, bytes: &[u8]) {
        self.keys = Some(bytes[1]);
        self.connect();
    }

    fn handle_timeout(&mut self, _now: Now) {}

    fn deadline(&self) -> Mono {
        Mono::NEVER
    }

    fn set_remote_fingerprint(&mut self, _fingerprint: Fingerprint) {
        if !self.is_known {
            self.is_known = true;
            self.connect();
        }
    }

    fn poll_transmit(&mut self, _out: &mut [u8]) -> Option<usize> {
        None
    }

    fn poll_event(&mut self) -> Option<DtlsEvent> {
        self.event.take()
    }

    fn poll_data(&mut self, _out: &mut [u8]) -> Option<usize> {
        None
    }

    fn send_data(&mut self, _bytes: &[u8]) -> bool {
        false
    }

    fn close(&mut self) {}

    fn is_of_another_client(&self, datagram: &[u8]) -> bool {
        self.keys.is_some_and(|keys| keys != datagram[1])
    }

    fn opened(&self) -> u64 {
        0
    }

    fn ignored(&self) -> u64 {
        0
    }
}
