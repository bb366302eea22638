//! The world of a simulation: shards, a network, browsers, and mail. Commands are answered at once, and descriptions take
//! their time between browser and server; who says what is in `control`. One step is one instant: what has arrived, what is due, then the end
//! of each shard's turn.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use portunus::control::command::{Command, CommandEnvelope, Event, HangupReason, Mail, Reply};
use portunus::control::request::MemberRequest;
use portunus::id::{FourTuple, HandleAddress, ShardId, SignallingId, SocketId, Ticket};
use portunus::media::arena::{LANES, SendArena, Transmit};
use portunus::media::engine::{MediaConfig, MediaEngine};
use portunus::media::turn::HandshakeFactory;
use portunus::media::verdict::Verdict;
use portunus::time::Mono;
use portunus::wire::demux::{Protocol, classify};
use portunus::wire::sdp::{DescriptionKind, Direction, MediaKind, compose, parse};

use crate::browser::{Browser, Heard, Sent};
use crate::camera::Camera;
use crate::checks::{Ledger, Path, Trace};
use crate::clock::Clock;
use crate::faults::{Strangers, Weather};
use crate::network::{Datagram, Fate, Network, Prng};

/// A peer that is not heard for so long is gone.
pub const PEER_TIMEOUT: Duration = Duration::from_secs(15);
/// SDP takes so long from the server to a browser and back.
const SIGNALLING: Duration = Duration::from_millis(30);
/// Signalling shards, as handles name their homes.
pub const SIGNALS: u8 = 2;

pub struct Shard {
    pub engine: MediaEngine,
    pub address: SocketAddr,
    outgoing: Outgoing,
}

/// What one turn sends, with every promise of the arena checked.
#[derive(Default)]
struct Outgoing(Vec<(FourTuple, Vec<u8>)>);

impl Transmit for Outgoing {
    fn transmit(&mut self, arena: &SendArena) {
        for lane in LANES {
            for message in arena.messages().iter().filter(|message| message.lane == lane) {
                let bytes = arena.bytes(message);
                assert_eq!(message.segments, bytes.len().div_ceil(message.segment));
                self.0.extend(message.datagrams(bytes).map(|datagram| (message.to, datagram.to_vec())));
            }
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Publisher,
    Subscriber,
}

/// One handle with its browser.
pub struct Client {
    pub handle: HandleAddress,
    pub room: u64,
    pub role: Role,
    /// Of a publisher: its id.
    pub feed: u64,
    pub browser: Box<dyn Browser>,
    /// Where the world sees it.
    pub public: SocketAddr,
    pub cameras: Vec<Camera>,
    /// Which of the cameras' lines are offered as active.
    pub lines: Vec<(MediaKind, bool)>,
    /// Between `webrtcup` and `hangup`.
    pub up: bool,
    pub has_peer: bool,
    /// Detached, or its room is gone: nothing more is to be heard by the handle.
    pub done: bool,
    /// Its browser has been switched off without a word.
    pub vanished: bool,
    /// Its browser has said goodbye by itself.
    pub closed: bool,
    /// When media or reports were first sent to a browser that is gone.
    pub unanswered: Option<Mono>,
    /// It has left its room.
    pub left: bool,
    /// Its address was another's: that one's packets still come to it.
    pub exchanged: bool,
    /// An offer of its browser is not answered yet.
    pub negotiating: bool,
    /// Counts its browsers.
    pub browsers: u64,
    /// Something was done to its path: packets may be missing.
    pub disturbed: bool,
    pub events: Vec<(Mono, Event)>,
    /// Everything but media.
    pub heard: Vec<(Mono, Heard)>,
    /// Kinds of its received m-lines by tag.
    pub kinds: BTreeMap<String, MediaKind>,
}

/// Something that happens later.
pub enum Task {
    Answer { client: u64, browser: u64, sdp: String },
    Offer { client: u64, sdp: String },
    Start { client: u64, sdp: String },
    Close { client: u64, browser: u64 },
}

pub struct World {
    pub clock: Clock,
    pub shards: Vec<Shard>,
    pub net: Network,
    pub clients: BTreeMap<u64, Client>,
    pub ledger: Ledger,
    pub trace: Trace,
    pub prng: Prng,
    /// Which shard a room lives on.
    pub owners: BTreeMap<u64, usize>,
    tasks: BTreeMap<(Mono, u64), Task>,
    next_ticket: u32,
    pub next_client: u64,
    pub next_port: u16,
    idle_steps: u32,
    /// How often a shard was woken by its own clock.
    pub wakes: u64,
    /// The machine does not let the server run.
    pub frozen: bool,
    /// What has come meanwhile.
    waiting: Vec<(Mono, Datagram)>,
    /// Who sends what does not belong to the call.
    pub strangers: Option<Strangers>,
}

pub fn shard_address(shard: u8) -> SocketAddr {
    SocketAddr::from(([198, 51, 100, 1], 20_000 + u16::from(shard)))
}

impl World {
    pub fn new(
        seed: u64,
        shards: u8,
        weather: Weather,
        handshakes: impl Fn(u8) -> Box<dyn HandshakeFactory + Send>,
    ) -> World {
        let clock = Clock::new();
        let mut prng = Prng::new(seed);
        let shard = |id: u8| Shard {
            engine: MediaEngine::new(MediaConfig {
                shard: ShardId(id),
                shards,
                signalling_shards: SIGNALS,
                sockets: vec![shard_address(id)],
                remote_ports: vec![],
                advertised: vec![shard_address(id)],
                handshakes: handshakes(id),
                peer_timeout: PEER_TIMEOUT,
                slowlink_threshold: 0,
                watch: Default::default(),
                seed: [id ^ (seed & 0xff) as u8; 32],
                now: clock.now(),
            }),
            address: shard_address(id),
            outgoing: Outgoing::default(),
        };
        World {
            clock,
            shards: (0..shards).map(shard).collect(),
            net: Network::new(prng.next(), weather),
            clients: BTreeMap::new(),
            ledger: Ledger::default(),
            trace: Trace::new(),
            prng,
            owners: BTreeMap::new(),
            tasks: BTreeMap::new(),
            next_ticket: 0,
            next_client: 1,
            next_port: 1024,
            idle_steps: 0,
            wakes: 0,
            frozen: false,
            waiting: Vec::new(),
            strangers: None,
        }
    }

    pub fn run_for(&mut self, duration: Duration) {
        let until = self.clock.mono() + duration;
        while self.step(until) {}
    }

    /// Runs until `done`; panics when that takes longer than `most`.
    pub fn run_until(&mut self, what: &str, most: Duration, done: impl Fn(&World) -> bool) {
        let until = self.clock.mono() + most;
        while !done(self) {
            assert!(self.step(until), "not within {most:?}: {what}");
        }
    }

    /// Goes on to the next instant at which something happens, but not beyond `until`; false when it is reached.
    pub fn step(&mut self, until: Mono) -> bool {
        let at = self.next_instant().min(until);
        self.idle_steps = if at > self.clock.mono() { 0 } else { self.idle_steps + 1 };
        assert!(self.idle_steps < 1000, "time stands still: a deadline lies in the past");
        self.clock.advance(at);
        let now = self.clock.mono();
        self.ledger.now = now;

        while let Some(entry) = self.tasks.first_entry().filter(|entry| entry.key().0 <= now && !self.frozen) {
            let task = entry.remove();
            self.perform(task);
        }
        self.turn();
        self.browse();
        now < until
    }

    fn next_instant(&self) -> Mono {
        let engines = self.shards.iter().filter(|_| !self.frozen).map(|shard| shard.engine.deadline());
        let browsers = self.clients.values().filter(|client| !client.vanished).flat_map(|client| {
            let cameras = client.cameras.iter().filter(|_| client.up).map(|camera| camera.next);
            cameras.chain([client.browser.deadline(&self.clock)])
        });
        let tasks = self.tasks.keys().next().map(|(at, _)| *at).filter(|_| !self.frozen);
        engines.chain(browsers).chain(tasks).chain([self.net.next()]).min().unwrap_or(Mono::NEVER)
    }

    /// One turn of every shard, and the arrival of what has come for browsers.
    fn turn(&mut self) {
        let now = self.clock.now();
        while let Some((received, datagram)) = self.net.arrive(now.mono) {
            if self.shards.iter().any(|shard| shard.address == datagram.to) {
                self.waiting.push((received, datagram));
            } else {
                self.deliver(&datagram);
            }
        }
        if self.frozen {
            return;
        }
        let mut accepted = Vec::new();
        for (received, mut datagram) in std::mem::take(&mut self.waiting) {
            let Some(shard) = self.shards.iter_mut().find(|shard| shard.address == datagram.to) else { continue };
            if let (Some(strangers), false) = (&mut self.strangers, datagram.strange) {
                strangers.overhear(&datagram);
            }
            let at = FourTuple { socket: SocketId(0), remote: datagram.from };
            let timestamp = datagram.bytes.get(4..8).map_or(0, |t| u32::from_be_bytes(t.try_into().unwrap()));
            let marker = datagram.bytes.get(1).is_some_and(|byte| byte & 0x80 != 0);
            let original = if datagram.strange { datagram.bytes.clone() } else { Vec::new() };
            let verdict = shard.engine.handle_datagram(now, at, received, &mut datagram.bytes, &mut shard.outgoing);
            let code = match verdict {
                Verdict::Accepted => 1,
                Verdict::Consumed => 2,
                Verdict::Drop(reason) => 100 + reason as u64,
            };
            self.trace.note(now.mono, datagram.from.port(), &datagram.bytes, code);
            if datagram.strange {
                assert!(matches!(verdict, Verdict::Drop(_)), "a stranger was believed: {verdict:?} {original:02x?}");
            }
            if verdict == Verdict::Accepted {
                accepted.push((datagram.label.expect("media comes from browsers"), timestamp, marker));
            }
        }
        for shard in &mut self.shards {
            self.wakes += u64::from(shard.engine.deadline() <= now.mono);
            shard.engine.handle_timeout(now, &mut shard.outgoing);
        }
        self.collect_mail();
        for (label, timestamp, marker) in accepted {
            let clients = &self.clients;
            self.ledger
                .accepted(label, timestamp, marker, |client| clients.get(&client).is_some_and(|client| client.up));
        }
        for shard in 0..self.shards.len() {
            let Shard { engine, outgoing, .. } = &mut self.shards[shard];
            engine.release(now, outgoing);
            self.flush(shard);
        }
        self.collect_mail();
    }

    fn flush(&mut self, shard: usize) {
        let Shard { address, outgoing, .. } = &mut self.shards[shard];
        let address = *address;
        for (to, bytes) in std::mem::take(&mut outgoing.0) {
            self.trace.note(self.clock.mono(), to.remote.port(), &bytes, 0);
            self.notice(to.remote, &bytes);
            let datagram = Datagram { from: address, to: to.remote, bytes, label: None, strange: false };
            let now = self.clock.mono();
            if self.net.send(now, datagram) == Fate::Crowded {
                let crowded = self.clients.iter().find(|(_, client)| client.public == to.remote);
                crowded.into_iter().for_each(|(id, _)| self.ledger.outages.add(*id, now, now));
            }
        }
    }

    /// A path is found again when what is more than an answer to a check goes where the client is.
    fn notice(&mut self, to: SocketAddr, bytes: &[u8]) {
        if matches!(classify(bytes), Protocol::Rtp | Protocol::Rtcp) {
            let gone =
                self.clients.values_mut().find(|client| client.public == to && (client.vanished || client.closed));
            if let Some(client) = gone {
                client.unanswered.get_or_insert(self.clock.mono());
            }
            let found = self.clients.iter().find(|(_, client)| client.public == to);
            let lasting = |client: &Client| client.exchanged || client.vanished || client.closed;
            if let Some((id, _)) = found.filter(|(_, client)| client.disturbed && !lasting(client)) {
                self.ledger.outages.end(*id, self.clock.mono());
            }
        }
    }

    fn deliver(&mut self, datagram: &Datagram) {
        let client = self.clients.values_mut().find(|client| client.public == datagram.to && !client.vanished);
        if let Some(client) = client {
            client.browser.receive(&self.clock, datagram.from, &datagram.bytes);
        }
    }

    /// Whether the server must have noticed by now that a browser is gone: it was to send media, or was sent something that
    /// it would have answered.
    pub fn is_missed(&self, client: &Client) -> bool {
        let unanswered =
            client.unanswered.is_some_and(|at| at + PEER_TIMEOUT + Duration::from_secs(2) <= self.clock.mono());
        let owes = client.role == Role::Publisher && client.lines.iter().any(|(_, active)| *active);
        (client.vanished || client.closed) && (owes || unanswered)
    }

    /// Browsers look at the clock, send, and say what they have noticed.
    fn browse(&mut self) {
        let now = self.clock.mono();
        for (&id, client) in self.clients.iter_mut().filter(|(_, client)| !client.vanished) {
            client.browser.timeout(&self.clock);
            for camera in &mut client.cameras {
                while client.up && camera.next <= now {
                    let active = client.lines[usize::from(camera.line())].1;
                    for packet in camera.shoot() {
                        if active {
                            client.browser.send(&self.clock, &packet);
                        }
                    }
                }
            }
            while let Some(Sent { to, bytes, label }) = client.browser.transmit() {
                let datagram = Datagram { from: client.public, to, bytes, label, strange: false };
                let fate = self.net.send(now, datagram);
                if fate == Fate::Crowded {
                    self.ledger.outages.add(id, now, now);
                }
                if let Some(label) = label {
                    self.ledger.sent(&label, fate != Fate::UnderWay);
                }
            }
            while let Some(heard) = client.browser.heard() {
                match &heard {
                    Heard::Media(packet) => {
                        let kind = packet.mid.as_ref().and_then(|mid| client.kinds.get(mid)).copied();
                        let kind = kind.unwrap_or_else(|| panic!("client {id}: no m-line for {packet:?}"));
                        let path = match (client.exchanged, client.disturbed) {
                            (true, _) => Path::Interrupted,
                            (false, true) => Path::Rough,
                            (false, false) => Path::Clear,
                        };
                        self.ledger.received(now, id, packet, kind, path);
                        continue;
                    }
                    Heard::KeyframeWanted { line } => {
                        if let Some(camera) = client.cameras.iter_mut().find(|camera| camera.line() == *line) {
                            camera.want_keyframe();
                        }
                    }
                    Heard::SenderReport { ssrc, unix_us, timestamp } => {
                        let at = self.clock.mono_of_unix(*unix_us);
                        self.ledger.sender_report(id, *ssrc, at, *timestamp);
                    }
                    Heard::Foreign(_) if client.exchanged => {}
                    Heard::Foreign(what) => panic!("client {id} received what is not for it: {what}"),
                    _ => {}
                }
                client.heard.push((now, heard));
            }
        }
    }

    /// Does it after the time that signalling takes.
    pub fn later(&mut self, task: Task) {
        let wait = Duration::from_micros(self.prng.below(20_000));
        self.next_ticket += 1;
        self.tasks.insert((self.clock.mono() + SIGNALLING + wait, u64::from(self.next_ticket)), task);
    }

    /// Asks a shard and takes its reply; events that come before or after it are taken too.
    pub fn ask(&mut self, shard: usize, from: SignallingId, command: Command) -> Reply {
        self.next_ticket += 1;
        let ticket = Ticket { slot: self.next_ticket, generation: 1 };
        let now = self.clock.now();
        let Shard { engine, outgoing, .. } = &mut self.shards[shard];
        engine.handle_command(now, CommandEnvelope { ticket: Some(ticket), from, command }, outgoing);
        engine.release(now, outgoing);
        self.flush(shard);
        let mut answer = None;
        while let Some((to, mail)) = self.poll_mail(shard) {
            match mail {
                Mail::Lost { .. } => panic!("nobody was slow to take mail"),
                Mail::Observed { .. } => panic!("nobody watches"),
                Mail::Reply { ticket: of, reply, .. } => {
                    assert_eq!((of, to), (ticket, from), "a reply to whoever asked");
                    assert!(answer.replace(reply).is_none(), "one reply");
                }
                Mail::Event { to: handles, event, .. } => self.take_event(to, &handles, event),
            }
        }
        answer.expect("every command is answered")
    }

    fn poll_mail(&mut self, shard: usize) -> Option<(SignallingId, Mail)> {
        let engine = &mut self.shards[shard].engine;
        (0..SIGNALS).map(SignallingId).find_map(|to| engine.poll_mail(to).map(|mail| (to, mail)))
    }

    fn collect_mail(&mut self) {
        for shard in 0..self.shards.len() {
            while let Some((to, mail)) = self.poll_mail(shard) {
                match mail {
                    Mail::Lost { .. } => panic!("nobody was slow to take mail"),
                    Mail::Observed { .. } => panic!("nobody watches"),
                    Mail::Reply { reply, .. } => panic!("a reply that nobody waits for: {reply:?}"),
                    Mail::Event { to: handles, event, .. } => self.take_event(to, &handles, event),
                }
            }
        }
    }

    fn take_event(&mut self, to: SignallingId, handles: &[HandleAddress], event: Event) {
        assert!(!handles.is_empty());
        let distinct: BTreeSet<_> = handles.iter().collect();
        assert_eq!(distinct.len(), handles.len(), "nobody hears a thing twice: {event:?}");
        for handle in handles {
            assert_eq!(handle.home, to);
            let id = handle.handle.0;
            let Some(client) = self.clients.get_mut(&id) else { panic!("an event for nobody: {event:?}") };
            assert!(!client.done, "client {id} is detached and hears {event:?}");
            client.events.push((self.clock.mono(), event.clone()));
            match &event {
                Event::WebrtcUp => {
                    assert!(!client.up && client.has_peer);
                    client.up = true;
                    for camera in &mut client.cameras {
                        camera.next = camera.next.max(self.clock.mono());
                    }
                }
                Event::Hangup(_) | Event::Detached | Event::RoomFailed(_) => {
                    match &event {
                        Event::Hangup(HangupReason::IceFailed) => assert!(client.vanished || client.closed, "{id}"),
                        Event::Hangup(HangupReason::DtlsAlert) => assert!(client.closed, "{id}"),
                        Event::Hangup(reason @ (HangupReason::DtlsError | HangupReason::DtlsTimeout)) => {
                            panic!("client {id}: {reason:?}")
                        }
                        _ => {}
                    }
                    // The page closes its side, as soon as it hears of it.
                    let at = self.clock.mono() + SIGNALLING * 8;
                    self.tasks.insert((at, id), Task::Close { client: id, browser: client.browsers });
                    client.up = false;
                    client.has_peer = false;
                    client.done = !matches!(event, Event::Hangup(_));
                    match client.role {
                        Role::Publisher => self.ledger.withdraw_feed(client.feed),
                        Role::Subscriber => self.ledger.unsubscribe(id),
                    }
                }
                Event::Updated(_, _, offer) => {
                    let sdp = compose(offer);
                    self.later(Task::Offer { client: id, sdp });
                }
                _ => {}
            }
        }
    }

    fn perform(&mut self, task: Task) {
        match task {
            Task::Answer { client, browser, sdp } => {
                let client = self.clients.get_mut(&client).expect("clients stay");
                if client.has_peer && !client.vanished && !client.closed && client.browsers == browser {
                    client.negotiating = false;
                    client.browser.take_answer(&self.clock, &sdp);
                }
            }
            Task::Offer { client: id, sdp } => {
                let client = self.clients.get_mut(&id).expect("clients stay");
                if !client.has_peer || client.vanished || client.closed {
                    return;
                }
                let sdp = client.browser.answer(&self.clock, &sdp);
                // Until it arrives, the browser's checks and its handshake overtake it.
                self.later(Task::Start { client: id, sdp });
            }
            Task::Start { client: id, sdp } => {
                if self.clients[&id].done || !self.clients[&id].has_peer {
                    return;
                }
                let answer = parse(DescriptionKind::Answer, &sdp).unwrap_or_else(|e| panic!("{e}: {sdp}"));
                let taken: Vec<(String, bool)> = answer
                    .media
                    .iter()
                    .map(|m| {
                        let receives = matches!(m.direction, Direction::RecvOnly | Direction::SendRecv);
                        (m.mid.to_string(), !m.rejected && receives)
                    })
                    .collect();
                let reply = self.member(id, MemberRequest::Start(Some(Box::new(answer))));
                assert!(matches!(reply, Reply::Started(_)), "{reply:?}");
                for (mid, accepted) in taken {
                    self.ledger.accept(id, &mid, accepted);
                }
                self.ledger.pause(id, false);
            }
            Task::Close { client, browser } => {
                let client = self.clients.get_mut(&client).expect("clients stay");
                if client.browsers == browser {
                    client.browser.close(&self.clock);
                }
            }
        }
    }
}
