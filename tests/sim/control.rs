//! What a page and its server's signalling can do with rooms, handles and browsers, and what can befall them; each deed
//! tells the model what it means.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use portunus::control::command::{Command, Event, HangupReason, Reply, Teardown};
use portunus::control::placement;
use portunus::control::request::{
    Configure, ConfigureStream, ConfigureSubscriber, JoinPublisher, JoinSubscriber, MemberRequest, SubscribeStream,
};
use portunus::control::spec::RoomSpec;
use portunus::control::summary::StreamSummary;
use portunus::id::{FeedId, HandleAddress, HandleId, RoomId, SessionId, ShardId, SignallingId};
use portunus::wire::sdp::{Description, DescriptionKind, MediaKind, Mid, compose, parse};

use crate::browser::Browser;
use crate::camera::Camera;
use crate::faults::Weather;
use crate::handshake::POISON;
use crate::network::Datagram;
use crate::world::{Client, Role, SIGNALS, Task, World, shard_address};

impl World {
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
        let Reply::Claimed { owner, fresh: true, .. } = self.ask(registrar, SignallingId(0), claim) else {
            panic!("the room is new");
        };
        let reply = self.ask(usize::from(owner.0), SignallingId(0), Command::Create(Box::new(spec)));
        assert!(matches!(reply, Reply::Created(_)), "{reply:?}");
        let Reply::Owner(Some(located)) = self.ask(registrar, SignallingId(1), Command::FindOwner(id.clone())) else {
            panic!("the registrar knows");
        };
        assert_eq!(located, owner);
        let portunus::id::Name::Number(number) = id.0 else { panic!("rooms here have numbers") };
        self.owners.insert(number, usize::from(owner.0));
    }

    pub fn destroy_room(&mut self, room: u64) {
        let owner = self.owners.remove(&room).expect("a room that exists");
        let id = RoomId::from(room);
        let reply = self.ask(owner, SignallingId(0), Command::Destroy { room: id.clone(), secret: None });
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
        let reply = self.ask(registrar, SignallingId(0), Command::Release(id, owner));
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
        let home = SignallingId((id % u64::from(SIGNALS)) as u8);
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
            unanswered: None,
            closed: false,
            left: false,
            exchanged: false,
            negotiating: false,
            browsers: 1,
            disturbed: !self.net.weather.is_fair(),
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
        let offer = parse(DescriptionKind::Offer, &text).unwrap_or_else(|error| panic!("{error}: {text}"));
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
                (false, known) => {
                    let kind = lines[i].0;
                    let repairable = self.clients[&id].browser.repairs(kind);
                    self.ledger.publish(line, known.unwrap_or(true), kind, repairable);
                }
            }
        }
        let browser = self.clients[&id].browsers;
        self.later(Task::Answer { client: id, browser, sdp: compose(&published.answer) });
    }

    /// Joins as subscriber of whole feeds. None when the room refuses.
    pub fn subscribe(&mut self, room: u64, feeds: &[u64], browser: Box<dyn Browser>) -> Option<u64> {
        let id = self.add_client(room, Role::Subscriber, browser);
        let streams =
            feeds.iter().map(|feed| SubscribeStream { feed: (*feed).into(), mid: None, crossrefid: None, delay: None });
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
            let portunus::id::Name::Number(feed) = source.feed.id.0 else { panic!("feeds here have numbers") };
            let publisher = &self.clients[&feed];
            let line = publisher.lines.iter().zip(0u8..).filter(|((kind, _), _)| *kind == stream.kind);
            // One line of each kind is enough to tell them apart.
            let (_, line) = line.min_by_key(|(_, i)| *i).expect("the publisher has such a line");
            let repairable = self.clients[&id].browser.repairs(stream.kind);
            self.ledger.subscribe(id, &stream.mid, stream.kind, (feed, line), repairable);
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
        let stream =
            ConfigureStream { mid: Some(Mid::from(mid).unwrap()), send: Some(send), ..ConfigureStream::default() };
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
            self.ledger.relay(line, send);
        }
    }

    /// ICE restart of a subscriber: we offer fresh credentials.
    pub fn restart_subscriber(&mut self, id: u64) {
        let configure = ConfigureSubscriber { restart: true, ..ConfigureSubscriber::default() };
        let reply = self.member(id, MemberRequest::ConfigureSubscriber(configure));
        match reply {
            // An offer is outstanding; the next one comes as an event.
            Reply::Postponed => {}
            Reply::Configured(configured) => {
                if let Some(offer) = configured.offer {
                    self.later(Task::Offer { client: id, sdp: checked_offer(&offer) });
                }
            }
            reply => panic!("{reply:?}"),
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
            self.ledger.outages.begin(id, self.clock.mono());
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
        self.ledger.outages.begin(heir, self.clock.mono());
    }

    /// For some seconds nothing of the client arrives; then all of it at once.
    pub fn stall(&mut self, id: u64, seconds: u64) {
        let Client { public, room, feed, .. } = self.clients[&id];
        let rough = self.net.weather.reorder > 0 || self.net.local.contains_key(&public);
        self.ledger.stall(feed, rough);
        let (now, over) = (self.clock.mono(), self.clock.mono() + Duration::from_secs(seconds + 1));
        self.ledger.outages.add(id, now, over);
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
        self.ledger.outages.begin(id, self.clock.mono());
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
        client.unanswered = None;
        if !client.exchanged {
            self.ledger.outages.end(id, self.clock.mono());
        }
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
        self.ledger.outages.begin(id, self.clock.mono());
    }

    /// The browser's NAT gives it another address.
    pub fn rebind(&mut self, id: u64) {
        let address = self.new_address();
        let client = self.clients.get_mut(&id).expect("clients stay");
        if let Some(weather) = self.net.local.remove(&client.public) {
            self.net.local.insert(address, weather);
        }
        client.public = address;
        client.disturbed = true;
        self.ledger.outages.begin(id, self.clock.mono());
    }

    /// The client has a weather of its own.
    pub fn live_in(&mut self, id: u64, weather: Weather) {
        let client = self.clients.get_mut(&id).expect("clients stay");
        client.disturbed |= !weather.is_fair();
        self.ledger.sluggish |= weather.rate.is_some();
        self.net.local.insert(client.public, weather);
    }

    /// Somebody sets the wall clock of the server.
    pub fn set_clock(&mut self, wrong_us: i64) {
        self.clock.set_wrong(wrong_us);
    }

    /// For a while the machine does not let the server run; datagrams wait in its sockets.
    pub fn freeze(&mut self, duration: Duration) {
        let now = self.clock.mono();
        let everybody: Vec<u64> = self.clients.keys().copied().collect();
        everybody.into_iter().for_each(|id| self.ledger.outages.add(id, now, now + duration));
        self.ledger.sluggish = true;
        self.frozen = true;
        self.run_for(duration);
        self.frozen = false;
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
        self.ledger.all_repaired();
        for room in self.rooms() {
            self.destroy_room(room);
        }
        for shard in &self.shards {
            crate::checks::holds_nothing(&shard.engine);
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
