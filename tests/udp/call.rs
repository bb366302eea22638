//! People of a call, each with a client and a peer, and the call as it should be.

use crate::alone;
use crate::client::Client;
use crate::media::Speech;
use crate::peer::{Order, Peer};
use crate::sdp::{self, Remote};
use crate::server::Server;
use portunus::wire::sdp::MediaKind;
use serde_json::{Value, json};
use std::net::{IpAddr, Ipv6Addr, UdpSocket};
use std::thread;
use std::time::Duration;

/// How long anything in a call may take.
pub const SOON: Duration = Duration::from_secs(10);

/// Makes a room through a client of its own kind, which stays.
pub struct Host {
    pub client: Client,
    pub handle: u64,
}

impl Host {
    pub fn new(server: &Server) -> Host {
        let mut client = Client::connect(server.signalling);
        let handle = client.attach();
        Host { client, handle }
    }

    /// Makes a room.
    pub fn create(&mut self, room: u64) {
        let body = json!({ "request": "create", "room": room, "publishers": 20 });
        let made = self.client.message(self.handle, body);
        assert_eq!(made["videoroom"], "created", "{made}");
    }

    /// Ends a room.
    pub fn destroy(&mut self, room: u64) {
        let gone = self.client.message(self.handle, json!({ "request": "destroy", "room": room }));
        assert_eq!(gone["videoroom"], "destroyed", "{gone}");
    }

    /// The ids of all rooms.
    pub fn list(&mut self) -> Vec<u64> {
        let list = self.client.message(self.handle, json!({ "request": "list" }));
        let rooms = list["list"].as_array().unwrap_or_else(|| panic!("no list: {list}"));
        rooms.iter().filter_map(|room| room["room"].as_u64()).collect()
    }
}

/// Someone who sends.
pub struct Publisher {
    pub client: Client,
    pub handle: u64,
    pub feed: u64,
    pub peer: Peer,
    /// Where the server takes its media.
    pub remote: Remote,
}

impl Publisher {
    /// Joins and publishes; connected on return, and silent.
    pub fn join(server: &Server, room: u64) -> Publisher {
        let mut client = Client::connect(server.signalling);
        let handle = client.attach();
        let joined = client.message(handle, json!({ "request": "join", "ptype": "publisher", "room": room }));
        let feed = joined["id"].as_u64().unwrap_or_else(|| panic!("not joined: {joined}"));
        let (peer, remote) = Publisher::connect(server, &mut client, handle);
        Publisher { client, handle, feed, peer, remote }
    }

    /// Joins with an offer in one request, with a peer of the caller's. What connects is not waited for.
    pub fn begin(mut client: Client, peer: Peer, room: u64) -> Publisher {
        let handle = client.attach();
        let body = json!({ "request": "joinandconfigure", "ptype": "publisher", "room": room });
        let joined =
            client.describe(handle, body, Some(sdp::offer(&peer.local, None, Some(peer.audio), Some(peer.video))));
        let feed = joined["plugindata"]["data"]["id"].as_u64().unwrap_or_else(|| panic!("not joined: {joined}"));
        let remote = Remote::from(&joined).expect("an answer");
        peer.tell(Order::Meet(Box::new(remote.clone())));
        Publisher { client, handle, feed, peer, remote }
    }

    /// Publishes again, with a new peer.
    pub fn publish(&mut self, server: &Server) {
        (self.peer, self.remote) = Publisher::connect(server, &mut self.client, self.handle);
    }

    /// Goes on with a new peer although the old one is still there, as a page does that made another connection.
    pub fn replace(&mut self, server: &Server) {
        (self.peer, self.remote) = Publisher::offer(server, &mut self.client, self.handle, "configure");
    }

    fn connect(server: &Server, client: &mut Client, handle: u64) -> (Peer, Remote) {
        Publisher::offer(server, client, handle, "publish")
    }

    fn offer(server: &Server, client: &mut Client, handle: u64, request: &str) -> (Peer, Remote) {
        let peer = Peer::new(server.media);
        let offer = sdp::offer(&peer.local, None, Some(peer.audio), Some(peer.video));
        let answer = client.describe(handle, json!({ "request": request }), Some(offer));
        let remote = Remote::from(&answer).expect("an answer");
        peer.tell(Order::Meet(Box::new(remote.clone())));
        client.event(handle, "webrtcup", SOON);
        peer.wait(SOON, "keys", |ledger| ledger.connected);
        (peer, remote)
    }

    /// Sends for a while and waits until the last packet has left.
    pub fn speak(&self, speech: Speech, length: Duration) {
        self.peer.tell(Order::Speak(speech));
        thread::sleep(length);
        self.peer.hush();
    }
}

/// Someone who receives.
pub struct Subscriber {
    pub client: Client,
    pub handle: u64,
    pub peer: Peer,
}

impl Subscriber {
    /// Subscribes to everything of a feed; connected on return.
    pub fn join(server: &Server, room: u64, feed: u64) -> Subscriber {
        Subscriber::join_as(Client::connect(server.signalling), Peer::new(server.media), room, feed)
    }

    /// The same with a client and a peer of the caller's.
    pub fn join_as(client: Client, peer: Peer, room: u64, feed: u64) -> Subscriber {
        let mut subscriber = Subscriber::begin(client, peer, room, feed);
        subscriber.client.event(subscriber.handle, "webrtcup", SOON);
        subscriber.peer.wait(SOON, "keys", |ledger| ledger.connected);
        subscriber
    }

    /// What connects is not waited for.
    pub fn begin(mut client: Client, peer: Peer, room: u64, feed: u64) -> Subscriber {
        let handle = client.attach();
        let body = json!({ "request": "join", "ptype": "subscriber", "room": room, "streams": [{ "feed": feed }] });
        let attached = client.describe(handle, body, None);
        assert_eq!(attached["plugindata"]["data"]["videoroom"], "attached", "{attached}");
        let answer = sdp::answer(&peer.local, None, &attached, true).expect("an offer");
        peer.tell(Order::Meet(Box::new(Remote::from(&attached).expect("an offer"))));
        let started = client.describe(handle, json!({ "request": "start" }), Some(answer));
        assert_eq!(started["plugindata"]["data"]["started"], "ok", "{started}");
        Subscriber { client, handle, peer }
    }

    /// Waits for the last packet of a publisher that is silent now, and asserts that none is missing: none at all, or
    /// none since this subscriber's first.
    pub fn has_everything_of(&self, publisher: &Peer, from_the_first: bool) {
        let sent = publisher.ledger();
        for (kind, count) in [(MediaKind::Audio, sent.audio_sent), (MediaKind::Video, sent.video_sent)] {
            if count > 0 {
                self.peer.wait(SOON, &format!("the last of {count} {kind:?} packets"), |ledger| {
                    ledger.of(publisher.audio, kind).is_some_and(|heard| heard.next == count)
                });
            }
            let ledger = self.peer.ledger();
            if let Some(heard) = ledger.of(publisher.audio, kind) {
                assert_eq!(heard.missing(), 0, "{heard:?}");
                assert!(!from_the_first || heard.first == 0, "{heard:?}");
                assert!(kind == MediaKind::Audio || heard.began_with_keyframe, "{heard:?}");
            }
        }
        self.peer.is_unharmed();
    }
}

/// Everything said unasked that is not of the call's own making.
pub fn unexpected(client: &mut Client) -> Vec<Value> {
    let mut events = client.events();
    events.retain(|event| event["janus"] != "media");
    events
}

#[test]
fn every_packet_reaches_every_subscriber_and_when_all_have_left_nothing_is_held() {
    let _alone = alone();
    let mut server = Server::start(31_000, 1, &[]);
    let mut host = Host::new(&server);
    host.create(100);
    let before = server.health();

    let mut publisher = Publisher::join(&server, 100);
    let mut subscribers: Vec<_> = (0..3).map(|_| Subscriber::join(&server, 100, publisher.feed)).collect();
    publisher.peer.tell(Order::Speak(Speech::SMALL));
    thread::sleep(Duration::from_millis(1000));
    let late = Subscriber::join(&server, 100, publisher.feed);
    late.peer
        .wait(SOON, "a picture for a latecomer", |ledger| ledger.of(publisher.peer.audio, MediaKind::Video).is_some());
    let asked = publisher.peer.look(|ledger| ledger.keyframes_asked);
    assert!(asked >= 1, "a latecomer needs a keyframe");
    thread::sleep(Duration::from_millis(600)); // a keyframe is asked for at most twice a second
    subscribers[0].peer.tell(Order::AskKeyframe);
    publisher.peer.wait(SOON, "a keyframe request of a subscriber", |ledger| ledger.keyframes_asked > asked);
    publisher.speak(Speech::SMALL, Duration::from_millis(1500));

    for subscriber in &subscribers {
        subscriber.has_everything_of(&publisher.peer, true);
        let reports = subscriber.peer.look(|ledger| ledger.reports);
        assert!(reports >= 2, "sender reports come every second: {reports}");
    }
    late.has_everything_of(&publisher.peer, false);
    publisher.peer.is_unharmed();
    assert!(publisher.peer.look(|ledger| ledger.reports) > 10, "transport feedback comes ten times a second");

    let after = server.health();
    let sent = publisher.peer.ledger();
    let published = u64::from(sent.audio_sent) + u64::from(sent.video_sent);
    let heard = |peer: &Peer| peer.look(|ledger| ledger.heard.values().map(|heard| heard.packets).sum::<u64>());
    let delivered = subscribers.iter().map(|subscriber| heard(&subscriber.peer)).sum::<u64>() + heard(&late.peer);
    assert_eq!(after.counter("packets_received"), published);
    assert_eq!(after.counter("packets_sent"), delivered);
    assert_eq!(after.counter("peers_connected"), 5);
    // A latecomer's leg is open before its keys and its keyframe are there; nothing else was dropped.
    let mut drops = after.all_drops();
    drops.retain(|name, _| !["awaiting_keyframe", "no_path"].contains(&name.as_str()));
    assert!(drops.is_empty(), "{drops:?}");

    assert_eq!(unexpected(&mut publisher.client), [Value::Null; 0]);
    for subscriber in &mut subscribers {
        assert_eq!(unexpected(&mut subscriber.client), [Value::Null; 0]);
    }
    // One leaves by each door: a plugin request, the handle, the session, the connection.
    let handle = subscribers[0].handle;
    let left = subscribers[0].client.message(handle, json!({ "request": "leave" }));
    assert_eq!(left["left"], "ok", "{left}");
    let handle = subscribers[1].handle;
    subscribers[1].client.ask(json!({ "janus": "detach", "handle_id": handle }));
    subscribers[2].client.ask(json!({ "janus": "destroy" }));
    drop((publisher, subscribers, late));
    server.wait_for_gauges(&before.gauges());
    server.is_well();
}

#[test]
fn a_call_over_ipv6_with_the_profile_that_every_peer_has_is_the_same() {
    let _alone = alone();
    let address = IpAddr::V6(Ipv6Addr::LOCALHOST);
    if UdpSocket::bind((address, 0)).is_err() {
        eprintln!("skipped: no IPv6 here");
        return;
    }
    let mut server = Server::start_at(address, 31_050, 1, &["--srtp-profiles", "AES_CM_128_HMAC_SHA1_80"]);
    Host::new(&server).create(101);
    let publisher = Publisher::join(&server, 101);
    assert!(publisher.remote.at.is_ipv6());
    let subscriber = Subscriber::join(&server, 101, publisher.feed);
    publisher.speak(Speech::SMALL, Duration::from_millis(500));
    subscriber.has_everything_of(&publisher.peer, true);
    server.is_well();
}
