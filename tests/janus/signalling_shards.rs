//! Two signalling shards: connections on one drive sessions of the other, and what goes between them may be held up.
//! Each has scripted media shards of its own, since only a session's home speaks to them.

use std::time::Duration;

use portunus::control::command::Teardown;
use portunus::control::spec::RoomSpec;
use portunus::id::{RoomId, SignallingId};
use portunus::signalling::SignallingConfig;
use portunus::wire::janus::events::Mask;
use serde_json::{Value, json};

use crate::client::Frame;
use crate::world::World;

pub struct Pair {
    pub worlds: [World; 2],
    /// The lanes between the two take nothing.
    pub is_full: bool,
}

impl Pair {
    pub fn new(adjust: impl Fn(&mut SignallingConfig)) -> Pair {
        let world = |id: u8| {
            let mut config = SignallingConfig::new([id; 32]);
            (config.id, config.signalling_shards) = (SignallingId(id), 2);
            config.rooms = vec![RoomSpec::new(RoomId::from(1))];
            adjust(&mut config);
            World::new(config)
        };
        Pair { worlds: [world(0), world(1)], is_full: false }
    }

    fn carry(&mut self) {
        loop {
            let mut moved = false;
            for from in 0..2 {
                let now = self.worlds[from].now;
                while let Some((to, relay)) = self.worlds[from].engine.poll_relay() {
                    if self.is_full {
                        self.worlds[from].engine.relay_refused(now, to, relay);
                    } else {
                        let world = &mut self.worlds[usize::from(to.0)];
                        world.engine.handle_relay(world.now, relay);
                        world.pump();
                        moved = true;
                    }
                }
                self.worlds[from].pump();
            }
            if !moved {
                return;
            }
        }
    }

    pub fn wait(&mut self, time: Duration) {
        let step = Duration::from_millis(100);
        for _ in 0..time.as_millis() / step.as_millis() {
            for world in &mut self.worlds {
                world.wait(step);
            }
            self.carry();
        }
    }

    pub fn say(&mut self, at: usize, name: char, message: Value) {
        self.worlds[at].say(name, &message.to_string());
        self.carry();
    }

    pub fn hear(&mut self, at: usize, name: char) -> Option<Value> {
        match self.worlds[at].hear(name)? {
            Frame::Text(text) => Some(serde_json::from_str(&text).unwrap()),
            other => panic!("{other:?} is no text"),
        }
    }

    pub fn ask(&mut self, at: usize, name: char, message: Value) -> Value {
        self.say(at, name, message);
        self.hear(at, name).expect("an answer")
    }

    fn request(&mut self, at: usize, name: char, request: &str) {
        self.worlds[at].request(name, request);
        self.carry();
    }

    fn response(&mut self, at: usize, name: char) -> Option<(u16, Value)> {
        let response = self.worlds[at].response(name)?;
        Some((response.status, serde_json::from_str(&response.content).unwrap_or_default()))
    }

    fn disconnect(&mut self, at: usize, name: char) {
        self.worlds[at].disconnect(name);
        self.carry();
    }

    pub fn gauge(&self, at: usize, name: &str) -> u64 {
        self.worlds[at].gauge(name)
    }
}

pub fn create(id: u64) -> Value {
    json!({"janus":"create","transaction":"c","id":id})
}

pub fn attach(session: u64) -> Value {
    json!({"janus":"attach","transaction":"a","session_id":session,"plugin":"janus.plugin.videoroom"})
}

pub fn message(session: u64, handle: &Value, body: Value) -> Value {
    json!({"janus":"message","transaction":"m","session_id":session,"handle_id":handle,"body":body})
}

pub fn join() -> Value {
    json!({"request":"join","room":1,"ptype":"publisher"})
}

#[test]
fn what_handlers_hear_every_15_s_is_of_all_shards_or_is_not_said() {
    let mut pair = Pair::new(|config| config.events = Mask::parse("core").unwrap());
    for (at, name, session) in [(0, 'A', 2), (1, 'B', 3)] {
        pair.ask(at, name, create(session));
        let handle = pair.ask(at, name, attach(session))["data"]["id"].clone();
        pair.ask(at, name, message(session, &handle, join()));
    }
    let updates = |pair: &mut Pair| -> Vec<Value> {
        let engines = pair.worlds.iter_mut().map(|world| &mut world.engine);
        let events = engines.flat_map(|engine| std::iter::from_fn(|| engine.poll_handler_event()).collect::<Vec<_>>());
        let events = events.map(|event| serde_json::from_str::<Value>(&event.text).unwrap()["event"].clone());
        events.filter(|event| event["status"] == "update").map(|event| event["info"].clone()).collect()
    };
    pair.wait(Duration::from_millis(14_900));
    assert!(updates(&mut pair).is_empty());
    pair.wait(Duration::from_millis(200));
    let census = json!({"sessions":2,"handles":2,"peerconnections":0,"stats-period":1});
    assert_eq!(updates(&mut pair), std::slice::from_ref(&census));
    pair.is_full = true;
    pair.wait(Duration::from_secs(18));
    assert_eq!((updates(&mut pair), pair.worlds[0].drops("update_incomplete")), (vec![], 1));
    pair.is_full = false;
    pair.wait(Duration::from_secs(12));
    assert_eq!(updates(&mut pair), [census]);
}

#[test]
fn a_session_is_made_at_the_home_of_its_id_and_heard_where_it_was_asked_for() {
    let mut pair = Pair::new(|_| {});
    assert_eq!(pair.ask(0, 'A', create(7))["data"]["id"], 7);
    assert_eq!((pair.gauge(0, "sessions"), pair.gauge(1, "sessions")), (0, 1));
    let handle = pair.ask(0, 'A', attach(7))["data"]["id"].clone();
    assert_eq!(pair.ask(0, 'A', message(7, &handle, join()))["janus"], "ack");
    assert_eq!(pair.hear(0, 'A').unwrap()["plugindata"]["data"]["videoroom"], "joined");
    assert_eq!(pair.ask(0, 'A', message(7, &handle, json!({"request":"exists","room":1})))["janus"], "success");
    // Another connection of the home drives it too; what is heard unasked comes to the first.
    assert_eq!(pair.ask(1, 'B', message(7, &handle, json!({"request":"configure"})))["janus"], "ack");
    assert_eq!(pair.hear(0, 'A').unwrap()["janus"], "event");
    assert_eq!(pair.ask(1, 'B', create(7))["error"]["code"], 468);
    assert_eq!(pair.ask(0, 'C', json!({"janus":"keepalive","transaction":"k","session_id":9}))["error"]["code"], 458);
    // Ids that nobody wishes for are those of the shard that mints them.
    let minted = pair.ask(1, 'B', json!({"janus":"create","transaction":"c"}))["data"]["id"].as_u64().unwrap();
    assert_eq!(minted % 2, 1);
    // The end of the connection is the end of its session.
    pair.disconnect(0, 'A');
    assert_eq!(pair.gauge(1, "sessions"), 1);
    assert_eq!(pair.worlds[1].shards[0].teardowns, [Teardown::Detach]);
}

#[test]
fn a_connection_that_is_gone_before_its_session_is_made_takes_it_along() {
    let mut pair = Pair::new(|_| {});
    pair.worlds[0].say('A', &create(7).to_string());
    pair.worlds[0].disconnect('A');
    pair.carry();
    assert_eq!((pair.gauge(0, "sessions"), pair.gauge(1, "sessions")), (0, 0));
}

#[test]
fn a_session_ends_for_the_shard_that_holds_its_connection_too() {
    let mut pair = Pair::new(|config| config.session_timeout = Duration::from_secs(5));
    pair.ask(0, 'A', create(7));
    pair.wait(Duration::from_secs(6));
    assert_eq!(pair.hear(0, 'A').unwrap(), json!({"janus":"timeout","session_id":7}));
    assert_eq!(pair.ask(0, 'A', create(7))["data"]["id"], 7);
    assert_eq!(pair.ask(0, 'A', json!({"janus":"destroy","transaction":"d","session_id":7}))["janus"], "success");
    // Somebody else's now; the end of the first connection means nothing to it.
    pair.ask(1, 'B', create(7));
    pair.disconnect(0, 'A');
    assert_eq!(pair.gauge(1, "sessions"), 1);
}

#[test]
fn polls_of_one_shard_hear_sessions_of_the_other() {
    let mut pair = Pair::new(|_| {});
    pair.request(0, 'H', &format!("POST /janus {}", create(7)));
    assert_eq!(pair.response(0, 'H').unwrap().1["data"]["id"], 7);
    pair.request(0, 'H', &format!("POST /janus/7 {}", attach(7)));
    let handle = pair.response(0, 'H').unwrap().1["data"]["id"].clone();
    pair.request(0, 'P', "GET /janus/7?maxev=3");
    pair.request(0, 'Q', "GET /janus/7");
    pair.request(0, 'R', "GET /janus/7");
    pair.disconnect(0, 'Q');
    pair.request(1, 'H', &format!("POST /janus/7/{handle} {}", message(7, &handle, join())));
    assert_eq!(pair.response(1, 'H').unwrap().1["janus"], "ack");
    let (status, events) = pair.response(0, 'P').unwrap();
    assert_eq!((status, &events[0]["plugindata"]["data"]["videoroom"]), (200, &json!("joined")));
    pair.wait(Duration::from_secs(31));
    assert_eq!(pair.response(0, 'R').unwrap(), (200, json!({"janus":"keepalive"})));
    pair.request(0, 'P', "GET /janus/9");
    assert_eq!(pair.response(0, 'P').unwrap(), (404, Value::Null));
}

#[test]
fn a_claim_moves_a_session_between_connections_of_two_shards() {
    let mut pair = Pair::new(|config| config.reclaim_session_timeout = Duration::from_secs(5));
    pair.ask(0, 'A', create(7));
    let handle = pair.ask(0, 'A', attach(7))["data"]["id"].clone();
    let claim = json!({"janus":"claim","transaction":"x","session_id":7});
    assert_eq!(pair.ask(1, 'B', claim.clone())["janus"], "success");
    pair.disconnect(0, 'A');
    pair.wait(Duration::from_secs(6));
    assert_eq!(pair.ask(1, 'B', message(7, &handle, join()))["janus"], "ack");
    assert_eq!(pair.hear(1, 'B').unwrap()["plugindata"]["data"]["videoroom"], "joined");
    // Lost and found again on the other shard.
    assert_eq!(pair.ask(0, 'C', claim.clone())["janus"], "success");
    pair.disconnect(0, 'C');
    pair.wait(Duration::from_secs(4));
    assert_eq!(pair.ask(0, 'D', claim)["janus"], "success");
    pair.wait(Duration::from_secs(6));
    assert_eq!(pair.gauge(1, "sessions"), 1);
    pair.disconnect(0, 'D');
    pair.wait(Duration::from_secs(6));
    assert_eq!(pair.gauge(1, "sessions"), 0);
}

#[test]
fn a_full_lane_refuses_requests_and_loses_nothing_else() {
    let mut pair = Pair::new(|_| {});
    pair.ask(0, 'A', create(7));
    pair.ask(0, 'B', create(9));
    pair.is_full = true;
    // The first one waits in the lane's front; it is the next that find it full.
    pair.say(0, 'A', json!({"janus":"keepalive","transaction":"1","session_id":7}));
    let refused = pair.ask(0, 'A', json!({"janus":"keepalive","transaction":"2","session_id":7}));
    assert_eq!(
        (&refused["error"]["code"], &refused["transaction"], &refused["session_id"]),
        (&490.into(), &"2".into(), &7.into())
    );
    pair.request(0, 'H', "GET /janus/7");
    assert_eq!(pair.response(0, 'H').unwrap(), (503, Value::Null));
    pair.disconnect(0, 'B');
    assert_eq!(pair.gauge(1, "sessions"), 2);
    assert_eq!(pair.worlds[0].drops("relay_lane_full"), 2);
    pair.is_full = false;
    pair.wait(Duration::from_millis(200));
    assert_eq!(pair.gauge(1, "sessions"), 1);
    assert_eq!(pair.hear(0, 'A').unwrap()["transaction"], "1");
}

#[test]
fn health_is_that_of_both_and_a_silent_one_is_named() {
    let mut pair = Pair::new(|_| {});
    pair.ask(0, 'A', create(7));
    pair.request(0, 'H', "GET /healthz");
    let (status, health) = pair.response(0, 'H').unwrap();
    assert_eq!((status, &health["signalling"]["gauges"]["sessions"]), (200, &json!(1)));
    assert_eq!(health["signalling_shards"][0]["gauges"]["connections"], 2);
    assert_eq!(
        (&health["signalling_shards"][1]["shard"], &health["signalling_shards"][1]["gauges"]["sessions"]),
        (&json!(1), &json!(1))
    );
    pair.is_full = true;
    pair.request(0, 'H', "GET /healthz");
    pair.wait(Duration::from_secs(3));
    let (status, health) = pair.response(0, 'H').unwrap();
    assert_eq!(
        (status, &health["status"], &health["missing_signalling_shards"]),
        (503, &json!("degraded"), &json!([1]))
    );
}

#[test]
fn a_drain_of_both_ends_everything() {
    let mut pair = Pair::new(|_| {});
    pair.ask(0, 'A', create(7));
    pair.request(0, 'P', "GET /janus/7");
    for world in &mut pair.worlds {
        world.engine.drain(world.now);
        world.pump();
    }
    pair.carry();
    assert_eq!(pair.worlds[0].hear('A'), Some(Frame::Close(1001)));
    pair.wait(Duration::from_secs(6));
    assert!(pair.worlds.iter().all(|world| world.engine.drained()));
    assert_eq!(pair.gauge(1, "sessions"), 0);
}
