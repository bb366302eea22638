//! Operators, where no transcript can show it: their WebSocket, what they want of the machine, several signalling
//! shards, and a server that is full.

use std::time::{Duration, Instant};

use portunus::control::command::Settings;
use portunus::control::spec::RoomSpec;
use portunus::id::RoomId;
use portunus::signalling::{MachineRequest, SignallingConfig};
use serde_json::{Value, json};

use crate::client::Frame;
use crate::signalling_shards::{Pair, attach, create, join, message};
use crate::world::World;

const SECRET: &str = "adm";

fn config() -> SignallingConfig {
    SignallingConfig { admin_secret: Some(SECRET.into()), ..SignallingConfig::new([7; 32]) }
}

fn admin(verb: &str, more: Value) -> Value {
    let mut request = json!({"janus": verb, "transaction": "t", "admin_secret": SECRET});
    request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    request
}

fn ask(world: &mut World, name: char, request: &Value) -> Value {
    world.say(name, &request.to_string());
    match world.hear(name) {
        Some(Frame::Text(text)) => serde_json::from_str(&text).unwrap(),
        other => panic!("{other:?} is no answer"),
    }
}

/// Speaks the operators' subprotocol from now on; the status of the handshake.
fn upgrade(world: &mut World, name: char) -> String {
    world.connect(name);
    world.write(
        name,
        b"GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
          Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: janus-admin-protocol\r\n\r\n",
    );
    let bytes = &mut world.clients.get_mut(&name).unwrap().bytes;
    let head = bytes.windows(4).position(|end| end == b"\r\n\r\n").expect("a response") + 4;
    String::from_utf8(bytes.drain(..head).collect()).unwrap()
}

#[test]
fn operators_have_a_subprotocol_of_their_own_where_there_is_a_secret() {
    let mut world = World::new(config());
    let head = upgrade(&mut world, 'A');
    assert!(head.starts_with("HTTP/1.1 101 ") && head.contains("Sec-WebSocket-Protocol: janus-admin-protocol\r\n"));
    assert_eq!(ask(&mut world, 'A', &admin("list_sessions", json!({})))["sessions"], json!([]));
    let refused = ask(&mut world, 'A', &json!({"janus":"list_sessions","transaction":"t"}));
    assert_eq!(refused["error"]["code"], 403);
    assert_eq!(ask(&mut world, 'A', &admin("nosuch", json!({})))["error"]["code"], 457);
    assert_eq!(ask(&mut world, 'A', &json!({"janus":"info","transaction":"t"}))["janus"], "server_info");
    let mut world = World::new(SignallingConfig::new([7; 32]));
    assert!(upgrade(&mut world, 'A').starts_with("HTTP/1.1 403 "));
}

#[test]
fn operators_apart_are_served_on_their_own_connections_alone() {
    let mut world = World::new(SignallingConfig { admin_apart: true, ..config() });
    assert!(upgrade(&mut world, 'A').starts_with("HTTP/1.1 403 "));
    let id = world.engine.operator_connected(world.now, [127, 0, 0, 1].into()).unwrap();
    world.connect('B');
    world.clients.get_mut(&'B').unwrap().id = id;
    world.request('B', &format!("POST /admin {}", admin("list_sessions", json!({}))));
    assert_eq!(world.response('B').unwrap().status, 200);
}

#[test]
fn a_room_that_is_to_be_recorded_is_made_and_the_log_says_that_it_is_not_recorded() {
    let mut world = World::new(SignallingConfig { rooms_file: true, ..config() });
    let ask_plugin = |world: &mut World, body: Value| {
        let plugin = "janus.plugin.videoroom";
        let answer = ask(world, 'A', &admin("message_plugin", json!({"plugin": plugin, "request": body})));
        answer["response"].clone()
    };
    upgrade(&mut world, 'A');
    for (room, permanent) in [(7, false), (8, true)] {
        let made =
            json!({"videoroom":"created","room":room,"permanent":permanent,"warning":"record has no effect yet"});
        let create = json!({"request":"create","room":room,"record":true,"permanent":permanent});
        assert_eq!(ask_plugin(&mut world, create.clone()), made);
        assert_eq!(
            world.engine.poll_machine_request(),
            Some(MachineRequest::Warn(RoomId::from(room), "record has no effect yet"))
        );
        assert_eq!(ask_plugin(&mut world, create)["error_code"], 427);
        assert_eq!(world.engine.poll_machine_request(), None, "nothing was made");
    }
    ask_plugin(&mut world, json!({"request":"create","room":9,"record":false}));
    assert_eq!(world.engine.poll_machine_request(), None);
}

#[test]
fn what_operators_want_of_the_machine_comes_out_in_order() {
    let mut world = World::new(config());
    ask(&mut world, 'A', &admin("set_log_level", json!({"level": 6})));
    ask(&mut world, 'A', &admin("custom_logline", json!({"line": "here\nand there", "level": 3})));
    let requests = std::iter::from_fn(|| world.engine.poll_machine_request()).collect::<Vec<_>>();
    assert_eq!(requests, [MachineRequest::LogLevel(6), MachineRequest::LogLine(3, "here\nand there".into())]);
}

#[test]
fn media_shards_take_what_operators_set() {
    let mut world = World::new(SignallingConfig { shards: 2, slowlink_threshold: 3, ..config() });
    ask(&mut world, 'A', &admin("set_no_media_timer", json!({"no_media_timer": 7})));
    let settings = Settings { slowlink_threshold: 3, no_media_timer: Duration::from_secs(7) };
    assert!(world.shards.iter().all(|shard| shard.settings == Some(settings)));
}

#[test]
fn every_signalling_shard_takes_part() {
    let mut pair = Pair::new(|config| {
        config.admin_secret = Some(SECRET.into());
        config.api_secret = Some("hush".into());
        config.token_auth = true;
    });
    let with_secret = |mut request: Value| {
        request["apisecret"] = "hush".into();
        request
    };
    for (at, session) in [(0, 6), (1, 7), (1, 9)] {
        assert_eq!(pair.ask(at, 'A', with_secret(create(session)))["data"]["id"], session);
    }
    for at in [0, 1] {
        let listed = pair.ask(at, 'O', admin("list_sessions", json!({})));
        assert_eq!(listed, json!({"janus":"success","transaction":"t","sessions":[6, 7, 9]}));
        let connected = admin(
            "query_transport",
            json!({"transport":"janus.transport.websockets","request":{"request":"connections"}}),
        );
        assert_eq!(pair.ask(at, 'O', connected)["response"]["connections"], 3 + at);
    }
    // A handle is found at its session's home, whoever asks.
    let handle = pair.ask(0, 'A', with_secret(attach(7)))["data"]["id"].clone();
    pair.ask(0, 'A', with_secret(message(7, &handle, join())));
    assert_eq!(pair.hear(1, 'A').unwrap()["plugindata"]["data"]["videoroom"], "joined");
    let listed = pair.ask(0, 'O', admin("list_handles", json!({"session_id": 7})));
    assert_eq!(listed["handles"], json!([handle]));
    let info = pair.ask(0, 'O', admin("handle_info", json!({"session_id": 7, "handle_id": handle})));
    assert_eq!(info["info"]["plugin_specific"]["type"], "publisher");
    // A token and a timeout hold everywhere, whichever shard was told.
    for (at, token) in [(0, "a"), (1, "b")] {
        assert_eq!(pair.ask(at, 'O', admin("add_token", json!({"token": token})))["janus"], "success");
        for (at, session) in [(0, 6), (1, 6), (0, 7), (1, 7)] {
            let request = json!({"janus":"keepalive","transaction":"k","session_id":session,"token":token});
            assert_eq!(pair.ask(at, 'T', request)["janus"], "ack");
        }
    }
    assert_eq!(pair.ask(1, 'O', admin("accept_new_sessions", json!({"accept": false})))["accept"], false);
    for session in [20, 21] {
        assert_eq!(pair.ask(0, 'A', with_secret(create(session)))["error"]["code"], 472);
    }
    assert_eq!(pair.ask(1, 'O', admin("set_session_timeout", json!({"timeout": 5})))["timeout"], 5);
    pair.wait(Duration::from_secs(6));
    assert_eq!((pair.gauge(0, "sessions"), pair.gauge(1, "sessions")), (0, 0));
}

#[test]
fn a_signalling_shard_that_does_not_answer_is_not_passed_over() {
    let mut pair = Pair::new(|config| config.admin_secret = Some(SECRET.into()));
    pair.is_full = true;
    pair.say(0, 'O', admin("list_sessions", json!({})));
    pair.wait(Duration::from_secs(3));
    assert_eq!(pair.hear(0, 'O').unwrap()["error"]["code"], 490);
    pair.is_full = false;
    pair.wait(Duration::from_secs(1));
    assert_eq!(pair.ask(0, 'O', admin("list_sessions", json!({})))["sessions"], json!([]));
}

#[test]
fn a_full_server_tells_all_its_sessions_and_handles() {
    const SESSIONS: u64 = 2000;
    const HANDLES: usize = 5;
    let mut world = World::new(SignallingConfig { rooms: vec![RoomSpec::new(RoomId::from(1))], ..config() });
    let mut handles = Vec::new();
    for session in 1..=SESSIONS {
        assert_eq!(ask(&mut world, 'A', &create(session))["data"]["id"], session);
        for _ in 0..HANDLES {
            handles.push((session, ask(&mut world, 'A', &attach(session))["data"]["id"].clone()));
        }
        let (_, last) = handles.last().unwrap();
        assert_eq!(ask(&mut world, 'A', &message(session, last, join()))["janus"], "ack");
        assert!(world.hear('A').is_some());
    }
    assert_eq!((world.gauge("sessions"), world.gauge("handles")), (SESSIONS, SESSIONS * HANDLES as u64));

    let began = Instant::now();
    let listed = ask(&mut world, 'O', &admin("list_sessions", json!({})));
    println!("list_sessions of {SESSIONS}: {:?}", began.elapsed());
    assert_eq!(listed["sessions"], json!((1..=SESSIONS).collect::<Vec<_>>()));

    let began = Instant::now();
    let mut found = Vec::new();
    for session in 1..=SESSIONS {
        let listed = ask(&mut world, 'O', &admin("list_handles", json!({"session_id": session})));
        found.extend(listed["handles"].as_array().unwrap().iter().map(|handle| (session, handle.clone())));
    }
    println!("list_handles: {:?} each", began.elapsed() / u32::try_from(SESSIONS).unwrap());
    let sorted = |mut pairs: Vec<(u64, Value)>| {
        pairs.sort_by_key(|(session, handle)| (*session, handle.as_u64()));
        pairs
    };
    assert_eq!(sorted(found), sorted(handles.clone()));

    let (began, asked) = (Instant::now(), handles.iter().step_by(HANDLES * 10 - 1));
    let (mut publishers, count) = (0, u32::try_from(asked.len()).unwrap());
    for (session, handle) in asked {
        let info = ask(&mut world, 'O', &admin("handle_info", json!({"session_id": session, "handle_id": handle})));
        assert_eq!((&info["info"]["session_id"], &info["info"]["handle_id"]), (&json!(session), handle));
        publishers += usize::from(info["info"]["plugin_specific"]["type"] == "publisher");
    }
    println!("handle_info: {:?} each", began.elapsed() / count);
    assert!(publishers > 0 && publishers < handles.len());
}
