//! The world of a simulation: shards, a network, browsers, and a control client that does synchronously what the
//! signalling shards and the web application do. One step is one instant: what has arrived, what is due, then the end
//! of each shard's turn.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use portunus::engine::arena::{LANES, SendArena, Transmit};
use portunus::engine::media::{MediaConfig, MediaEngine};
use portunus::engine::turn::HandshakeFactory;
use portunus::engine::verdict::Verdict;
use portunus::id::{
    FeedId, FourTuple, HandleAddress, HandleId, RoomId, SessionId, ShardId, SignalId, SocketId, Ticket,
};
use portunus::room::command::{
    Command, CommandEnvelope, Configure, ConfigureStream, ConfigureSubscriber, Event, HangupReason, JoinPublisher,
    JoinSubscriber, Mail, MemberRequest, Reply, StreamSummary, SubscribeStream, Teardown,
};
use portunus::room::placement;
use portunus::room::spec::RoomSpec;
use portunus::time::Mono;
use portunus::wire::sdp::{Description, DescriptionKind, Direction, MediaKind, Mid, compose, parse};

use crate::browser::{Browser, Heard};
use crate::camera::Camera;
use crate::checks::{Ledger, Path, Trace};
use crate::clock::Clock;
use crate::faults::{Strangers, Weather};
use crate::network::{Datagram, Network, Prng};
use crate::script::POISON;

/// A peer that is not heard for so long is gone.
pub const PEER_TIMEOUT: Duration = Duration::from_secs(15);
/// SDP takes so long from the server to a browser and back.
const SIGNALLING: Duration = Duration::from_millis(30);
/// Signalling shards, as handles name their homes.
const SIGNALS: u8 = 2;

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
    /// It has left its room.
    pub left: bool,
    /// Its address was another's: that one's packets still come to it.
    exchanged: bool,
    /// An offer of its browser is not answered yet.
    pub negotiating: bool,
    /// Counts its browsers.
    browsers: u64,
    /// Something was done to its path: packets may be missing.
    pub disturbed: bool,
    pub events: Vec<(Mono, Event)>,
    /// Everything but media.
    pub heard: Vec<(Mono, Heard)>,
    /// Kinds of its received m-lines by tag.
    kinds: BTreeMap<String, MediaKind>,
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
    owners: BTreeMap<u64, usize>,
    tasks: BTreeMap<(Mono, u64), Task>,
    next_ticket: u32,
    next_client: u64,
    next_port: u16,
    idle_steps: u32,
    /// How often a shard was woken by its own clock.
    pub wakes: u64,
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
                signals: SIGNALS,
                advertised: vec![shard_address(id)],
                handshakes: handshakes(id),
                peer_timeout: PEER_TIMEOUT,
                slowlink_threshold: 0,
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
            strangers: None,
        }
    }

    // ---- time

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

        while let Some(entry) = self.tasks.first_entry().filter(|entry| entry.key().0 <= now) {
            let task = entry.remove();
            self.perform(task);
        }
        self.turn();
        self.browse();
        now < until
    }

    fn next_instant(&self) -> Mono {
        let engines = self.shards.iter().map(|shard| shard.engine.deadline());
        let browsers = self.clients.values().filter(|client| !client.vanished).flat_map(|client| {
            let cameras = client.cameras.iter().filter(|_| client.up).map(|camera| camera.next);
            cameras.chain([client.browser.deadline(&self.clock)])
        });
        let tasks = self.tasks.keys().next().map(|(at, _)| *at);
        engines.chain(browsers).chain(tasks).chain([self.net.next()]).min().unwrap_or(Mono::NEVER)
    }

    /// One turn of every shard, and the arrival of what has come for browsers.
    fn turn(&mut self) {
        let now = self.clock.now();
        let mut accepted = Vec::new();
        while let Some((received, mut datagram)) = self.net.arrive(now.mono) {
            let Some(shard) = self.shards.iter_mut().find(|shard| shard.address == datagram.to) else {
                self.deliver(&datagram);
                continue;
            };
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
            if shard.engine.deadline() <= now.mono {
                self.wakes += 1;
                shard.engine.handle_timeout(now, &mut shard.outgoing);
            }
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
        for (to, bytes) in std::mem::take(&mut outgoing.0) {
            self.trace.note(self.clock.mono(), to.remote.port(), &bytes, 0);
            let datagram = Datagram { from: *address, to: to.remote, bytes, label: None, strange: false };
            self.net.send(self.clock.mono(), datagram);
        }
    }

    fn deliver(&mut self, datagram: &Datagram) {
        let client = self.clients.values_mut().find(|client| client.public == datagram.to && !client.vanished);
        if let Some(client) = client {
            client.browser.receive(&self.clock, datagram.from, &datagram.bytes);
        }
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
            while let Some(sent) = client.browser.transmit() {
                let datagram =
                    Datagram { from: client.public, to: sent.to, bytes: sent.bytes, label: sent.label, strange: false };
                self.net.send(now, datagram);
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

    fn later(&mut self, task: Task) {
        let wait = Duration::from_micros(self.prng.below(20_000));
        self.next_ticket += 1;
        self.tasks.insert((self.clock.mono() + SIGNALLING + wait, u64::from(self.next_ticket)), task);
    }

    // ---- commands

    /// Asks a shard and takes its reply; events that come before or after it are taken too.
    pub fn ask(&mut self, shard: usize, from: SignalId, command: Command) -> Reply {
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
                Mail::Reply { ticket: of, reply, .. } => {
                    assert_eq!((of, to), (ticket, from), "a reply to whoever asked");
                    assert!(answer.replace(reply).is_none(), "one reply");
                }
                Mail::Event { to: handles, event, .. } => self.take_event(to, &handles, event),
            }
        }
        answer.expect("every command is answered")
    }

    fn poll_mail(&mut self, shard: usize) -> Option<(SignalId, Mail)> {
        let engine = &mut self.shards[shard].engine;
        (0..SIGNALS).map(SignalId).find_map(|to| engine.poll_mail(to).map(|mail| (to, mail)))
    }

    fn collect_mail(&mut self) {
        for shard in 0..self.shards.len() {
            while let Some((to, mail)) = self.poll_mail(shard) {
                match mail {
                    Mail::Lost { .. } => panic!("nobody was slow to take mail"),
                    Mail::Reply { reply, .. } => panic!("a reply that nobody waits for: {reply:?}"),
                    Mail::Event { to: handles, event, .. } => self.take_event(to, &handles, event),
                }
            }
        }
    }

    fn take_event(&mut self, to: SignalId, handles: &[HandleAddress], event: Event) {
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
                let mut answer = parse(DescriptionKind::Answer, &sdp).unwrap_or_else(|e| panic!("{e}: {sdp}"));
                decline_repair(&mut answer);
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

    // ---- rooms and handles

    /// As `create` does: claim at the registrar, make at the owner.
    pub fn create_room(&mut self, room: u64) {
        self.create_room_with(RoomSpec { publishers: 10, ..RoomSpec::new(room.into()) });
    }

    pub fn create_room_with(&mut self, spec: RoomSpec) {
        let id = spec.room.clone();
        let shards = u8::try_from(self.shards.len()).unwrap();
        let registrar = usize::from(placement::registrar(&id, shards).0);
        let load = |world: &World, shard: ShardId| {
            u32::try_from(crate::checks::gauge(&world.shards[usize::from(shard.0)].engine, "peers")).unwrap()
        };
        let candidates = placement::candidates(&id, shards).map(|shard| (shard, load(self, shard)));
        let claim = Command::Claim { room: Some(id.clone()), text: false, candidates };
        let Reply::Claimed { owner, fresh: true, .. } = self.ask(registrar, SignalId(0), claim) else {
            panic!("the room is new");
        };
        let reply = self.ask(usize::from(owner.0), SignalId(0), Command::Create(Box::new(spec)));
        assert!(matches!(reply, Reply::Created(_)), "{reply:?}");
        let Reply::Located(Some(located)) = self.ask(registrar, SignalId(1), Command::Locate(id.clone())) else {
            panic!("the registrar knows");
        };
        assert_eq!(located, owner);
        let portunus::id::Name::Number(number) = id.0 else { panic!("rooms here have numbers") };
        self.owners.insert(number, usize::from(owner.0));
    }

    pub fn destroy_room(&mut self, room: u64) {
        let owner = self.owners.remove(&room).expect("a room that exists");
        let id = RoomId::from(room);
        let reply = self.ask(owner, SignalId(0), Command::Destroy { room: id.clone(), secret: None });
        assert!(matches!(reply, Reply::Destroyed(_)), "{reply:?}");
        self.forget_room(room, owner);
    }

    /// What signalling does when it hears that a room is gone.
    pub fn forget_room(&mut self, room: u64, owner: usize) {
        self.owners.remove(&room);
        let id = RoomId::from(room);
        let shards = u8::try_from(self.shards.len()).unwrap();
        let registrar = usize::from(placement::registrar(&id, shards).0);
        let owner = ShardId(u8::try_from(owner).unwrap());
        let reply = self.ask(registrar, SignalId(0), Command::Release(id, owner));
        assert!(matches!(reply, Reply::Released));
        for (id, client) in self.clients.iter_mut().filter(|(_, client)| client.room == room) {
            assert!(!client.has_peer, "client {id} has heard of its end");
            client.done = true;
        }
    }

    pub fn owner(&self, room: u64) -> Option<usize> {
        self.owners.get(&room).copied()
    }

    pub fn rooms(&self) -> Vec<u64> {
        self.owners.keys().copied().collect()
    }

    pub fn new_address(&mut self) -> SocketAddr {
        self.next_port += 1;
        SocketAddr::from(([192, 0, 2, 1], self.next_port))
    }

    fn add_client(&mut self, room: u64, role: Role, browser: Box<dyn Browser>) -> u64 {
        let id = self.next_client;
        self.next_client += 1;
        let home = SignalId((id % u64::from(SIGNALS)) as u8);
        let client = Client {
            handle: HandleAddress { home, session: SessionId(id + 1_000_000), handle: HandleId(id) },
            room,
            role,
            feed: id,
            public: browser.local(),
            browser,
            cameras: Vec::new(),
            lines: Vec::new(),
            up: false,
            has_peer: false,
            done: false,
            vanished: false,
            closed: false,
            left: false,
            exchanged: false,
            negotiating: false,
            browsers: 1,
            disturbed: self.net.weather.loss + self.net.weather.reorder + self.net.weather.duplicate > 0,
            events: Vec::new(),
            heard: Vec::new(),
            kinds: BTreeMap::new(),
        };
        self.clients.insert(id, client);
        id
    }

    /// A request of a handle to its room.
    pub fn member(&mut self, client: u64, request: MemberRequest) -> Reply {
        let Client { handle, room, .. } = self.clients[&client];
        let owner = self.owner(room).expect("a room that exists");
        let command = Command::Member { room: room.into(), handle, request: Box::new(request) };
        self.ask(owner, handle.home, command)
    }

    /// Joins as publisher with `id` = the handle's.
    pub fn join(&mut self, room: u64, browser: Box<dyn Browser>) -> u64 {
        let id = self.add_client(room, Role::Publisher, browser);
        let join = JoinPublisher { id: Some(id.into()), ..JoinPublisher::default() };
        let reply = self.member(id, MemberRequest::JoinPublisher(join));
        assert!(matches!(&reply, Reply::Joined(joined) if joined.id == FeedId::from(id)), "{reply:?}");
        id
    }

    /// Publishes, or offers again: `lines` by kind, and whether each is sent.
    pub fn publish(&mut self, id: u64, lines: &[(MediaKind, bool)], restart: bool) {
        let client = self.clients.get_mut(&id).expect("clients stay");
        let text = client.browser.offer(&self.clock, lines, restart);
        let mut offer = parse(DescriptionKind::Offer, &text).unwrap_or_else(|error| panic!("{error}: {text}"));
        decline_repair(&mut offer);
        let first = !client.has_peer;
        client.has_peer = true;
        client.negotiating = true;
        if first {
            client.cameras.clear();
            for (i, (kind, _)) in lines.iter().enumerate() {
                let seed = self.prng.next();
                client.cameras.push(Camera::new(client.feed, i as u8, *kind, self.clock.mono(), seed));
            }
        }
        client.lines = lines.to_vec();
        let configure = Configure { offer: Some(Box::new(offer)), publish: first, ..Configure::default() };
        let reply = self.member(id, MemberRequest::Configure(configure));
        let Reply::Configured(configured) = reply else { panic!("{reply:?}") };
        let published = configured.published.expect("an offer is answered");
        let feed = self.clients[&id].feed;
        for (i, StreamSummary { disabled, .. }) in published.streams.iter().enumerate() {
            let line = (feed, i as u8);
            assert_eq!(*disabled, !lines[i].1, "an active line is taken, another is not");
            match (disabled, self.ledger.relayed(line)) {
                (true, _) => self.ledger.withdraw(line),
                (false, known) => self.ledger.publish(line, known.unwrap_or(true)),
            }
        }
        let browser = self.clients[&id].browsers;
        self.later(Task::Answer { client: id, browser, sdp: compose(&published.answer) });
    }

    /// Joins as subscriber of whole feeds. None when the room refuses.
    pub fn subscribe(&mut self, room: u64, feeds: &[u64], browser: Box<dyn Browser>) -> Option<u64> {
        let id = self.add_client(room, Role::Subscriber, browser);
        let streams = feeds.iter().map(|feed| SubscribeStream { feed: (*feed).into(), mid: None, crossrefid: None });
        let join = JoinSubscriber { streams: streams.collect(), autoupdate: true, ..JoinSubscriber::default() };
        let reply = self.member(id, MemberRequest::JoinSubscriber(join));
        let Reply::Attached(attached) = reply else {
            self.clients.get_mut(&id).expect("just added").done = true;
            return None;
        };
        let client = self.clients.get_mut(&id).expect("just added");
        client.has_peer = true;
        for stream in &attached.streams {
            let source = stream.source.as_ref().expect("a new m-line has a source");
            let portunus::id::Name::Number(feed) = source.feed.0 else { panic!("feeds here have numbers") };
            let publisher = &self.clients[&feed];
            let line = publisher.lines.iter().zip(0u8..).filter(|((kind, _), _)| *kind == stream.kind);
            // One line of each kind is enough to tell them apart.
            let (_, line) = line.min_by_key(|(_, i)| *i).expect("the publisher has such a line");
            self.ledger.subscribe(id, &stream.mid, stream.kind, (feed, line));
            let client = self.clients.get_mut(&id).expect("just added");
            client.kinds.insert(stream.mid.to_string(), stream.kind);
        }
        self.later(Task::Offer { client: id, sdp: checked_offer(&attached.offer) });
        Some(id)
    }

    pub fn pause(&mut self, id: u64) {
        let reply = self.member(id, MemberRequest::Pause);
        assert!(matches!(reply, Reply::Paused(_)), "{reply:?}");
        self.ledger.pause(id, true);
    }

    pub fn resume(&mut self, id: u64) {
        let reply = self.member(id, MemberRequest::Start(None));
        assert!(matches!(reply, Reply::Started(_)), "{reply:?}");
        self.ledger.pause(id, false);
    }

    /// `configure` of a subscriber: one m-line on or off.
    pub fn want(&mut self, id: u64, mid: &str, send: bool) {
        let stream = ConfigureStream { mid: Some(Mid::from(mid).unwrap()), send: Some(send), keyframe: false };
        let configure = ConfigureSubscriber { streams: vec![stream], ..ConfigureSubscriber::default() };
        let reply = self.member(id, MemberRequest::ConfigureSubscriber(configure));
        assert!(matches!(reply, Reply::Configured(_)), "{reply:?}");
        self.ledger.want(id, mid, send);
    }

    /// `configure` of a publisher: all lines of a kind on or off.
    pub fn relay(&mut self, id: u64, kind: MediaKind, send: bool) {
        let configure = match kind {
            MediaKind::Audio => Configure { audio: Some(send), ..Configure::default() },
            _ => Configure { video: Some(send), ..Configure::default() },
        };
        let reply = self.member(id, MemberRequest::Configure(configure));
        assert!(matches!(reply, Reply::Configured(_)), "{reply:?}");
        let Client { feed, lines, .. } = &self.clients[&id];
        for (i, _) in lines.iter().enumerate().filter(|(_, (of, _))| *of == kind) {
            let line = (*feed, i as u8);
            if self.ledger.is_published(line) {
                self.ledger.publish(line, send);
            }
        }
    }

    /// ICE restart of a subscriber: we offer fresh credentials.
    pub fn restart_subscriber(&mut self, id: u64) {
        let configure = ConfigureSubscriber { restart: true, ..ConfigureSubscriber::default() };
        let reply = self.member(id, MemberRequest::ConfigureSubscriber(configure));
        let Reply::Configured(configured) = reply else { panic!("{reply:?}") };
        if let Some(offer) = configured.offer {
            self.later(Task::Offer { client: id, sdp: checked_offer(&offer) });
        }
    }

    pub fn unpublish(&mut self, id: u64) {
        let reply = self.member(id, MemberRequest::Unpublish);
        assert!(matches!(reply, Reply::Unpublished(_)), "{reply:?}");
        self.expect_hangup(id, HangupReason::ClosePc);
    }

    /// Leaves; the handle stays, and can only be detached.
    pub fn leave(&mut self, id: u64) {
        let had_peer = self.clients[&id].has_peer;
        self.clients.get_mut(&id).expect("clients stay").left = true;
        let reply = self.member(id, MemberRequest::Leave);
        assert!(matches!(reply, Reply::PublisherLeft(_) | Reply::SubscriberLeft(_)), "{reply:?}");
        if had_peer {
            self.expect_hangup(id, HangupReason::ClosePc);
        }
    }

    pub fn teardown(&mut self, id: u64, kind: Teardown) {
        let Client { handle, room, has_peer, .. } = self.clients[&id];
        let owner = self.owner(room).expect("a room that exists");
        let reply = self.ask(owner, handle.home, Command::Teardown { room: room.into(), handle, kind });
        assert!(matches!(reply, Reply::TornDown(of) if of == handle), "{reply:?}");
        if kind == Teardown::Hangup && has_peer {
            self.expect_hangup(id, HangupReason::JanusApi);
        }
        if kind == Teardown::Detach {
            assert!(matches!(self.clients[&id].events.last(), Some((_, Event::Detached))));
        }
    }

    /// Two NATs exchange addresses: each peer's next check comes from where the other one was.
    pub fn exchange(&mut self, one: u64, other: u64) {
        let (of_one, of_other) = (self.clients[&one].public, self.clients[&other].public);
        for (id, public) in [(one, of_other), (other, of_one)] {
            let client = self.clients.get_mut(&id).expect("clients stay");
            client.public = public;
            (client.disturbed, client.exchanged) = (true, true);
        }
    }

    /// A NAT gives the address of one peer, which is not heard of any more, to another.
    pub fn inherit(&mut self, heir: u64, from: u64) {
        let public = self.clients[&from].public;
        self.vanish(from);
        self.clients.get_mut(&from).expect("clients stay").public = shard_address(99);
        let client = self.clients.get_mut(&heir).expect("clients stay");
        client.public = public;
        (client.disturbed, client.exchanged) = (true, true);
    }

    /// For some seconds nothing of the client arrives; then all of it at once.
    pub fn stall(&mut self, id: u64, seconds: u64) {
        let Client { public, room, feed, .. } = self.clients[&id];
        let rough = self.net.weather.reorder > 0 || self.net.local.contains_key(&public);
        self.ledger.stall(feed, rough);
        let to = shard_address(u8::try_from(self.owner(room).expect("it has one")).unwrap());
        self.net.hold((public, to), self.clock.mono() + Duration::from_secs(seconds));
    }

    /// What the shards hold is what the handles know of.
    pub fn counts_agree(&self) {
        for (index, shard) in self.shards.iter().enumerate() {
            let here = |client: &&Client| client.has_peer && self.owner(client.room) == Some(index);
            let peers = self.clients.values().filter(here).count();
            assert_eq!(crate::checks::gauge(&shard.engine, "peers"), peers as u64);
            let rooms = self.owners.values().filter(|owner| **owner == index).count();
            assert_eq!(crate::checks::gauge(&shard.engine, "rooms"), rooms as u64);
        }
    }

    /// A stranger's datagram, which arrives whatever the weather.
    pub fn intrude(&mut self) {
        let targets: Vec<SocketAddr> = self.shards.iter().map(|shard| shard.address).collect();
        let members: Vec<SocketAddr> = self.clients.values().map(|client| client.public).collect();
        let made = self.strangers.as_mut().and_then(|strangers| strangers.make(&targets, &members));
        if let Some(datagram) = made {
            self.net.place(self.clock.mono() + Duration::from_millis(1), datagram);
        }
    }

    fn expect_hangup(&self, id: u64, reason: HangupReason) {
        let last = self.clients[&id].events.iter().rev().find(|(_, event)| matches!(event, Event::Hangup(_)));
        assert!(matches!(last, Some((at, Event::Hangup(why))) if *why == reason && *at == self.clock.mono()));
        assert!(!self.clients[&id].has_peer);
    }

    /// The browser says goodbye by itself.
    pub fn close(&mut self, id: u64) {
        let client = self.clients.get_mut(&id).expect("clients stay");
        client.closed = true;
        client.disturbed = true;
        client.browser.close(&self.clock);
    }

    /// The page makes a new peer connection for the handle.
    pub fn renew(&mut self, id: u64, browser: Box<dyn Browser>) {
        let client = self.clients.get_mut(&id).expect("clients stay");
        assert!(!client.has_peer);
        client.public = browser.local();
        client.browser = browser;
        client.browsers += 1;
        (client.closed, client.vanished, client.negotiating) = (false, false, false);
    }

    /// The room of the client fails in the middle of something.
    pub fn poison(&mut self, id: u64) {
        let client = &self.clients[&id];
        let to = shard_address(u8::try_from(self.owner(client.room).expect("it has one")).unwrap());
        let bytes = POISON.to_vec();
        let datagram = Datagram { from: client.public, to, bytes, label: None, strange: false };
        self.net.place(self.clock.mono(), datagram);
    }

    /// The browser is switched off without a word.
    pub fn vanish(&mut self, id: u64) {
        let client = self.clients.get_mut(&id).expect("clients stay");
        client.vanished = true;
        client.disturbed = true;
    }

    /// The browser's NAT gives it another address.
    pub fn rebind(&mut self, id: u64) {
        let address = self.new_address();
        let client = self.clients.get_mut(&id).expect("clients stay");
        client.public = address;
        client.disturbed = true;
    }

    /// Everybody leaves, every room ends; then nothing may be left anywhere.
    pub fn end(&mut self) {
        let left: Vec<u64> = self.clients.values().filter(|c| !c.done).map(|c| c.handle.handle.0).collect();
        for id in left {
            self.teardown(id, Teardown::Detach);
        }
        self.run_for(Duration::from_secs(1));
        for (id, client) in self.clients.iter().filter(|(_, client)| !client.disturbed) {
            assert!(client.role == Role::Publisher || !client.vanished);
            self.ledger.all_arrived(*id);
        }
        for room in self.rooms() {
            self.destroy_room(room);
        }
        for shard in &self.shards {
            crate::checks::holds_nothing(&shard.engine);
        }
    }
}

/// These worlds are about who gets what and in which order: a packet that the weather takes stays lost. What resending
/// makes of losses is tested at the engine (`engine::tests::repair`).
fn decline_repair(description: &mut Description) {
    for section in &mut description.media {
        if description.kind == DescriptionKind::Answer {
            section.payloads.retain(|payload| &*payload.encoding != "rtx");
        }
        for payload in &mut section.payloads {
            payload.feedback.retain(|feedback| &**feedback != "nack");
        }
    }
}

/// The text of an offer of ours, which reads back as what it was made from.
fn checked_offer(offer: &Description) -> String {
    let text = compose(offer);
    let read = parse(DescriptionKind::Offer, &text).unwrap_or_else(|error| panic!("{error}: {text}"));
    assert_eq!(read.media.len(), offer.media.len());
    text
}
