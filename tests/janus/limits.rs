//! What a transcript cannot show: frames, sizes, HTTP, and clients that are too slow or do not read.

use std::time::Duration;

use portunus::control::command::{Event, Mail, Teardown};
use portunus::control::spec::RoomSpec;
use portunus::id::{HandleAddress, HandleId, RoomId, SessionId, ShardId, SignallingId};
use portunus::limits::MESSAGE_JSON_MAX;
use portunus::signalling::{Fate, SignallingConfig};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use serde_json::{Value, json};

use crate::client::{Frame, HANDSHAKE, frame};
use crate::world::{Lanes, World};

fn world() -> World {
    let mut config = SignallingConfig::new([3; 32]);
    config.page = b"<!doctype html>";
    config.rooms = vec![RoomSpec::new(RoomId::from(1))];
    World::new(config)
}

fn json_of(frame: Option<Frame>) -> Value {
    match frame {
        Some(Frame::Text(text)) => serde_json::from_str(&text).unwrap(),
        other => panic!("{other:?} is no text"),
    }
}

/// A client in room 1; its handle.
fn joined(world: &mut World, name: char) -> (SessionId, HandleId) {
    world.say(name, r#"{"janus":"create","transaction":"1"}"#);
    let session = json_of(world.hear(name))["data"]["id"].as_u64().unwrap();
    world.say(
        name,
        &json!({"janus":"attach","transaction":"2","session_id":session,"plugin":"janus.plugin.videoroom"}).to_string(),
    );
    let handle = json_of(world.hear(name))["data"]["id"].as_u64().unwrap();
    let body = json!({"request":"join","room":1,"ptype":"publisher"});
    world.say(
        name,
        &json!({"janus":"message","transaction":"3","session_id":session,"handle_id":handle,"body":body}).to_string(),
    );
    world.hear(name);
    assert_eq!(json_of(world.hear(name))["plugindata"]["data"]["videoroom"], "joined");
    (SessionId(session), HandleId(handle))
}

fn http(world: &mut World, request: &str) -> String {
    world.connect('H');
    world.write('H', request.as_bytes());
    String::from_utf8(world.clients[&'H'].bytes.clone()).unwrap()
}

#[test]
fn a_message_in_one_frame_in_fragments_and_byte_by_byte_is_the_same() {
    let mut world = world();
    world.upgrade('A');
    let ping = br#"{"janus":"ping","transaction":"x"}"#;
    world.write('A', &frame(1, true, ping));
    world.write('A', &[frame(1, false, &ping[..9]), frame(9, true, b"?"), frame(0, true, &ping[9..])].concat());
    for byte in frame(1, true, ping) {
        world.write('A', &[byte]);
    }
    assert_eq!(json_of(world.hear('A'))["janus"], "pong");
    assert_eq!(world.hear('A'), Some(Frame::Pong(b"?".to_vec())));
    assert_eq!(json_of(world.hear('A'))["janus"], "pong");
    assert_eq!(json_of(world.hear('A'))["janus"], "pong");
    assert_eq!(world.hear('A'), None);
}

#[test]
fn json_in_a_binary_message_is_read_like_a_text_and_answered_with_text() {
    let mut world = world();
    let mut config = SignallingConfig::new([3; 32]);
    config.admin_secret = Some("adm".into());
    let mut administered = World::new(config);
    for (world, handshake, message, said) in [
        (&mut world, HANDSHAKE.to_vec(), r#"{"janus":"ping","transaction":"x"}"#, "pong"),
        (
            &mut administered,
            String::from_utf8_lossy(HANDSHAKE).replace("janus-protocol", "janus-admin-protocol").into_bytes(),
            r#"{"janus":"list_sessions","transaction":"x","admin_secret":"adm"}"#,
            "success",
        ),
    ] {
        world.connect('A');
        world.write('A', &handshake);
        let client = world.clients.get_mut(&'A').unwrap();
        assert!(client.bytes.starts_with(b"HTTP/1.1 101 "));
        client.bytes.clear();
        let (start, rest) = message.as_bytes().split_at(9);
        let pieces = [frame(2, false, start), frame(9, true, b"?"), frame(0, false, b""), frame(0, true, rest)];
        world.write('A', &frame(2, true, message.as_bytes()));
        world.write('A', &pieces.concat());
        // Bytes that are no text are no JSON either, which is no fault of the connection.
        world.write('A', &frame(2, true, b"{\"janus\":\"\xff\"}"));
        world.write('A', &frame(2, true, b""));
        assert_eq!(json_of(world.hear('A'))["janus"], said);
        assert_eq!(world.hear('A'), Some(Frame::Pong(b"?".to_vec())));
        assert_eq!(json_of(world.hear('A'))["janus"], said);
        assert_eq!(json_of(world.hear('A'))["error"]["code"], 454);
        assert_eq!(json_of(world.hear('A'))["error"]["code"], 454);
        assert_eq!((world.hear('A'), world.clients[&'A'].fate), (None, Fate::Open));
    }
}

#[test]
fn a_message_of_the_largest_size_is_read_and_a_larger_one_closes() {
    let mut world = world();
    world.upgrade('A');
    let mut largest = br#"{"janus":"ping","transaction":"x"}"#.to_vec();
    largest.resize(MESSAGE_JSON_MAX, b' ');
    world.write('A', &frame(1, true, &largest));
    assert_eq!(json_of(world.hear('A'))["janus"], "pong");
    largest.push(b' ');
    world.write('A', &frame(1, true, &largest));
    assert_eq!(world.hear('A'), Some(Frame::Close(1009)));
    assert_eq!(world.clients[&'A'].fate, Fate::CloseAfterFlush);
}

#[test]
fn a_violation_ends_its_own_connection_and_sessions_and_no_other() {
    for (bytes, code) in
        [(frame(1, true, b"\xc3\x28"), 1007), (frame(5, true, b""), 1002), (vec![0x81, 0x01, b'x'], 1002)]
    {
        let mut world = world();
        joined(&mut world, 'A');
        joined(&mut world, 'B');
        world.write('A', &bytes);
        assert_eq!(world.hear('A'), Some(Frame::Close(code)));
        assert_eq!(world.clients[&'A'].fate, Fate::CloseAfterFlush);
        assert_eq!((world.gauge("sessions"), world.drops("websocket_violation")), (1, 1));
        let unpublished = json_of(world.hear('B'))["plugindata"]["data"]["unpublished"].clone();
        assert!(unpublished.is_u64());
        assert_eq!(json_of(world.hear('B'))["plugindata"]["data"]["leaving"], unpublished);
        world.say('B', r#"{"janus":"ping","transaction":"x"}"#);
        assert_eq!(json_of(world.hear('B'))["janus"], "pong");
    }
}

#[test]
fn a_close_of_the_client_is_echoed_and_its_sessions_end() {
    let mut world = world();
    joined(&mut world, 'A');
    world.write('A', &frame(8, true, &3504u16.to_be_bytes()));
    assert_eq!(world.hear('A'), Some(Frame::Close(3504)));
    assert_eq!(world.clients[&'A'].fate, Fate::CloseAfterFlush);
    assert_eq!((world.gauge("sessions"), world.gauge("connections")), (0, 0));
    assert_eq!(world.shards[0].teardowns, [Teardown::Detach]);
}

#[test]
fn a_request_that_is_never_complete_is_given_up() {
    let mut world = world();
    world.connect('A');
    for _ in 0..9 {
        world.write('A', b"G");
        world.wait(Duration::from_secs(1));
        assert_eq!(world.clients[&'A'].fate, Fate::Open);
    }
    world.wait(Duration::from_secs(1));
    assert!(world.clients[&'A'].bytes.starts_with(b"HTTP/1.1 408 "));
    assert_eq!(world.clients[&'A'].fate, Fate::CloseAfterFlush);
    assert_eq!((world.drops("http_request_timeout"), world.gauge("connections")), (1, 0));
    // One that never says anything is closed without a word.
    world.connect('B');
    world.wait(Duration::from_secs(10));
    assert_eq!((world.clients[&'B'].bytes.len(), world.clients[&'B'].fate), (0, Fate::CloseAfterFlush));
    assert_eq!((world.drops("http_request_timeout"), world.drops("connection_silent")), (1, 1));
}

#[test]
fn a_websocket_that_does_not_answer_a_ping_is_dropped_and_one_that_does_stays() {
    let mut config = SignallingConfig::new([3; 32]);
    config.ping_interval = Duration::from_secs(20);
    config.session_timeout = Duration::ZERO;
    config.rooms = vec![RoomSpec::new(RoomId::from(1))];
    let mut world = World::new(config);
    joined(&mut world, 'A');
    joined(&mut world, 'B');
    for n in 0..30 {
        // B sends the beginning of a frame, byte after byte.
        world.write('B', &frame(1, true, &[b' '; 100])[n..=n]);
        world.wait(Duration::from_secs(2));
        while let Some(frame_heard) = world.hear('A') {
            if frame_heard == Frame::Ping(vec![]) {
                world.write('A', &frame(10, true, b""));
            }
        }
    }
    assert_eq!((world.clients[&'A'].fate, world.clients[&'B'].fate), (Fate::Open, Fate::Drop));
    assert_eq!((world.drops("websocket_silent"), world.gauge("sessions"), world.gauge("connections")), (1, 1, 1));
    assert_eq!(world.shards[0].teardowns, [Teardown::Detach]);
}

#[test]
fn a_client_that_does_not_read_is_dropped_with_its_sessions() {
    let mut config = SignallingConfig::new([3; 32]);
    config.outbox_bytes = 10_000;
    config.rooms = vec![RoomSpec::new(RoomId::from(1))];
    let mut world = World::new(config);
    let (session, handle) = joined(&mut world, 'A');
    let to = vec![HandleAddress { home: SignallingId(0), session, handle }];
    // Mail without taking output: the machine is still writing.
    for _ in 0..1000 {
        let event = Event::WebrtcUp;
        world.engine.handle_mail(world.now, Mail::Event { from: ShardId(0), to: to.clone(), event });
    }
    world.pump();
    assert_eq!(world.clients[&'A'].fate, Fate::Drop);
    assert_eq!(world.drops("outbox_overflow"), 1);
    assert_eq!((world.gauge("sessions"), world.gauge("connections")), (0, 0));
    assert_eq!(world.shards[0].teardowns, [Teardown::Detach]);
    assert!(world.drops("event_without_handle") > 0);
}

#[test]
fn one_long_answer_is_not_taken_for_a_client_that_does_not_read() {
    let mut config = SignallingConfig::new([3; 32]);
    config.outbox_bytes = 10_000;
    config.rooms = (1..=100).map(|id| RoomSpec::new(RoomId::from(id))).collect();
    let mut world = World::new(config);
    let (session, handle) = joined(&mut world, 'A');
    let list = json!({"janus":"message","transaction":"4","session_id":session.0,"handle_id":handle.0,"body":{"request":"list"}});
    world.say('A', &list.to_string());
    let heard = json_of(world.hear('A'));
    assert_eq!(heard["plugindata"]["data"]["list"].as_array().unwrap().len(), 100);
    assert_eq!((world.clients[&'A'].fate, world.drops("outbox_overflow")), (Fate::Open, 0));
}

#[test]
fn an_answer_that_the_outbox_cannot_hold_is_refused_before_it_is_rendered() {
    let mut config = SignallingConfig::new([3; 32]);
    config.outbox_bytes = 10_000;
    config.reply_bytes = 400_000;
    let room = |id: u64| RoomSpec { description: "d".repeat(1024).into(), ..RoomSpec::new(RoomId::from(id)) };
    config.rooms = (1..=200).map(room).collect();
    let mut world = World::new(config);
    let (session, handle) = joined(&mut world, 'A');
    let list = |transaction: &str| {
        json!({"janus":"message","transaction":transaction,"session_id":session.0,"handle_id":handle.0,
               "body":{"request":"list"}})
        .to_string()
    };
    // One fits. While it waits to be written, another does not; neither is a reason to drop the client.
    world.lanes = Lanes::Silent;
    world.say('A', &list("1"));
    world.say('A', &list("2"));
    let (to, mut envelope) = world.held.pop().unwrap();
    assert!(world.held.is_empty(), "the second request of a handle waits for the first");
    for _ in 0..2 {
        for mail in world.shards[usize::from(to.0)].handle(envelope) {
            world.engine.handle_mail(world.now, mail);
        }
        match world.engine.poll_command() {
            Some((_, next)) => envelope = next,
            None => break,
        }
    }
    world.pump();
    let answers: Vec<_> = std::iter::from_fn(|| world.hear('A')).map(|frame| json_of(Some(frame))).collect();
    assert_eq!(answers[0]["plugindata"]["data"]["list"].as_array().unwrap().len(), 200);
    assert_eq!(
        (&answers[1]["transaction"], &answers[1]["plugindata"]["data"]["error_code"]),
        (&json!("2"), &json!(499))
    );
    assert_eq!((world.clients[&'A'].fate, world.drops("answer_too_long")), (Fate::Open, 1));
    world.lanes = Lanes::Open;
    world.say('A', &list("3"));
    let heard = json_of(world.hear('A'));
    assert_eq!((&heard["transaction"], heard["plugindata"]["data"]["list"].is_array()), (&json!("3"), true));
    // More rooms than ever fit.
    for id in 201..=400 {
        let body = json!({"request":"create","room":id,"description":"d".repeat(1024)});
        let create =
            json!({"janus":"message","transaction":"4","session_id":session.0,"handle_id":handle.0,"body":body});
        world.say('A', &create.to_string());
        world.hear('A');
    }
    world.say('A', &list("5"));
    let data = json_of(world.hear('A'))["plugindata"]["data"].clone();
    assert_eq!((&data["videoroom"], &data["error_code"]), (&json!("event"), &json!(499)), "{data}");
    assert!(data["error"].as_str().unwrap().starts_with("The answer has some 68"), "{data}");
    assert_eq!((world.clients[&'A'].fate, world.drops("outbox_overflow")), (Fate::Open, 0));
    assert_eq!(world.drops("answer_too_long"), 2);
}

#[test]
fn who_cannot_be_told_of_a_crowd_does_not_stay_in_it() {
    let mut config = SignallingConfig::new([3; 32]);
    config.reply_bytes = 20_000;
    let mut world = World::new(config);
    let ask = |world: &mut World, name: char, message: Value| {
        world.say(name, &message.to_string());
        json_of(world.hear(name))
    };
    let session = ask(&mut world, 'B', json!({"janus":"create","transaction":"1"}))["data"]["id"].clone();
    let attach = json!({"janus":"attach","transaction":"2","session_id":session,"plugin":"janus.plugin.videoroom"});
    let mut handles = Vec::new();
    for _ in 0..8 {
        handles.push(ask(&mut world, 'B', attach.clone())["data"]["id"].clone());
    }
    let message = |handle: &Value, body: Value| json!({"janus":"message","transaction":"3","session_id":session,"handle_id":handle,"body":body});
    let create = json!({"request":"create","room":2,"notify_joining":true});
    ask(&mut world, 'B', message(&handles[0], create));
    let mut outcomes = Vec::new();
    for handle in &handles {
        let body = json!({"request":"join","ptype":"publisher","room":2,"display":"x".repeat(4000)});
        ask(&mut world, 'B', message(handle, body));
        while let Some(frame) = world.hear('B') {
            let heard = json_of(Some(frame));
            if &heard["sender"] == handle && heard["transaction"] == "3" {
                outcomes.push(heard["plugindata"]["data"]["error_code"].clone());
            }
        }
    }
    let joined = outcomes.iter().take_while(|code| code.is_null()).count();
    assert_eq!((joined, &outcomes[joined..]), (5, &[json!(499), json!(499), json!(499)][..]));
    let gone = ask(&mut world, 'B', message(&handles[7], json!({"request":"listparticipants","room":2})));
    // The list of those who are there would be as long.
    assert_eq!(gone["plugindata"]["data"]["error_code"], 499);
    assert_eq!(world.shards[0].rooms[&RoomId::from(2)].wiring().participants().len(), 5);
    let detach = json!({"janus":"detach","transaction":"4","session_id":session,"handle_id":handles[7]});
    assert_eq!(ask(&mut world, 'B', detach)["janus"], "success");
    assert_eq!(json_of(world.hear('B'))["janus"], "detached");
}

#[test]
fn pages_and_statuses_are_served_and_connections_are_reused() {
    let mut world = world();
    let all = http(
        &mut world,
        "GET / HTTP/1.1\r\nHost: h\r\n\r\nHEAD / HTTP/1.1\r\nHost: h\r\n\r\nHEAD /janus/ping HTTP/1.1\r\nHost: h\r\n\r\nGET //healthz/ HTTP/1.1\r\nHost: h\r\n\r\n\
         GET /nowhere HTTP/1.1\r\nHost: h\r\n\r\nDELETE / HTTP/1.1\r\nHost: h\r\n\r\nPOST /nowhere HTTP/1.1\r\nHost: h\r\n\r\n",
    );
    let statuses: Vec<&str> = all.split("HTTP/1.1 ").skip(1).map(|response| &response[..3]).collect();
    assert_eq!(statuses, ["200", "200", "200", "200", "404", "405", "404"]);
    assert!(all.contains("Content-Security-Policy: default-src 'none'") && all.contains("Cache-Control: no-store"));
    assert_eq!(all.matches("<!doctype html>").count(), 1);
    assert!(all.contains("Allow: GET, HEAD\r\n"));
    assert_eq!(world.clients[&'H'].fate, Fate::Open);
}

#[test]
fn health_is_that_of_every_shard_and_a_silent_one_is_named() {
    let mut config = SignallingConfig::new([3; 32]);
    config.shards = 2;
    let mut world = World::new(config);
    let request = "GET /healthz?x HTTP/1.1\r\nHost: h\r\n\r\n";
    let response = http(&mut world, request);
    let body: Value = serde_json::from_str(response.split_once("\r\n\r\n").unwrap().1).unwrap();
    assert_eq!(body["status"], "ok");
    assert_eq!(body["shards"][1], json!({"shard":1,"gauges":{"rooms":0,"peers":0},"counters":{},"drops":{}}));
    assert_eq!(body["signalling"]["gauges"]["connections"], 1);
    world.disconnect('H');
    world.set_lanes(Lanes::Silent);
    // The next request waits for the first one's answer.
    assert_eq!(http(&mut world, &format!("{request}GET / HTTP/1.1\r\nHost: h\r\n\r\n")), "");
    world.held.remove(0);
    let second = world.held.remove(0);
    world.lanes = Lanes::Open;
    world.held.push(second);
    world.set_lanes(Lanes::Open);
    assert_eq!(world.clients[&'H'].bytes.len(), 0);
    world.wait(Duration::from_secs(2));
    let all = String::from_utf8(world.clients[&'H'].bytes.clone()).unwrap();
    assert!(all.starts_with("HTTP/1.1 503 ") && all.contains(r#""missing":[0]"#), "{all}");
    assert!(all.contains("HTTP/1.1 200 OK"));
}

#[test]
fn a_handshake_for_anything_but_janus_is_refused() {
    let mut world = world();
    let upgrade = |protocol: &str| {
        format!(
            "GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{protocol}\r\n"
        )
    };
    for protocol in ["", "Sec-WebSocket-Protocol: janus-admin-protocol\r\n"] {
        assert!(http(&mut world, &upgrade(protocol)).starts_with("HTTP/1.1 403 "));
    }
    let response = http(&mut world, &upgrade("Sec-WebSocket-Protocol: x, janus-protocol\r\n"));
    assert!(response.starts_with("HTTP/1.1 101 ") && response.contains("Sec-WebSocket-Protocol: janus-protocol\r\n"));
    assert_eq!(world.drops("websocket_refused"), 2);
}

#[test]
fn configured_rooms_are_made_before_the_server_is_ready_however_full_the_lanes() {
    let mut config = SignallingConfig::new([3; 32]);
    config.rooms = vec![RoomSpec::new(RoomId::from(1)), RoomSpec::new(RoomId::from(2))];
    let mut world = World::new(config.clone());
    assert!(world.engine.ready());
    assert_eq!(world.shards[0].rooms.len(), 2);
    world.engine = portunus::signalling::SignallingEngine::new(config, world.now);
    assert!(!world.engine.ready());
    world.lanes = Lanes::Full;
    world.pump();
    world.wait(Duration::from_secs(1));
    assert!(!world.engine.ready());
    world.lanes = Lanes::Open;
    world.wait(Duration::from_millis(250));
    assert!(world.engine.ready());
}

#[test]
fn connections_are_bounded_and_their_places_are_given_back() {
    let mut config = SignallingConfig::new([3; 32]);
    config.connections_max = 1;
    let mut world = World::new(config);
    world.connect('A');
    assert!(world.engine.connected(world.now, std::net::Ipv4Addr::LOCALHOST.into()).is_none());
    assert_eq!(world.drops("connection_refused"), 1);
    world.disconnect('A');
    world.connect('A');
}

#[test]
fn info_tells_whether_new_sessions_are_taken() {
    let mut config = SignallingConfig::new([3; 32]);
    config.admin_secret = Some("adm".into());
    let mut world = World::new(config);
    for accept in [false, true] {
        let order = json!({"janus":"accept_new_sessions","transaction":"1","admin_secret":"adm","accept":accept});
        world.say('A', &order.to_string());
        assert_eq!(json_of(world.hear('A'))["accept"], accept);
        world.say('A', r#"{"janus":"info","transaction":"2"}"#);
        assert_eq!(json_of(world.hear('A'))["accepting-new-sessions"], accept);
    }
}

#[test]
fn draining_ends_when_the_last_client_has_closed_or_was_too_slow() {
    let mut world = world();
    joined(&mut world, 'A');
    joined(&mut world, 'B');
    world.connect('H');
    world.engine.drain(world.now);
    world.pump();
    assert_eq!(world.clients[&'H'].fate, Fate::CloseAfterFlush);
    while world.hear('B').is_some() {}
    assert_eq!(world.hear('A'), Some(Frame::Close(1001)));
    assert!(!world.engine.drained());
    world.write('A', &frame(8, true, &1001u16.to_be_bytes()));
    assert_eq!(world.clients[&'A'].fate, Fate::CloseAfterFlush);
    assert!(!world.engine.drained());
    world.wait(Duration::from_secs(5));
    assert_eq!(world.clients[&'B'].fate, Fate::Drop);
    assert!(world.engine.drained());
}

#[test]
fn a_session_whose_events_were_lost_is_ended_and_told() {
    let mut world = world();
    let (session, _) = joined(&mut world, 'A');
    joined(&mut world, 'B');
    world.mail(Mail::Lost { from: ShardId(0), sessions: vec![session, SessionId(7)] });
    assert_eq!(json_of(world.hear('A')), json!({"janus":"timeout","session_id":session.0}));
    assert_eq!(world.hear('A'), None);
    assert_eq!((world.gauge("sessions"), world.gauge("handles")), (1, 1));
    assert_eq!(world.shards[0].teardowns, [Teardown::Detach]);
}

#[test]
fn no_bytes_of_a_client_break_the_engine() {
    let messages = [
        r#"{"janus":"message","transaction":"t","session_id":S,"handle_id":H,"body":{"request":"configure","streams":[{"mid":"0","send":true}],"descriptions":[{"mid":"0","description":"d"}]},"jsep":{"type":"offer","sdp":"v=0"}}"#,
        r#"{"janus":"message","transaction":"t","session_id":S,"handle_id":H,"body":{"request":"create","room":5,"audiocodec":"opus,pcmu","publishers":3,"secret":"s"}}"#,
        r#"{"janus":"message","transaction":"t","session_id":S,"handle_id":H,"body":{"request":"join","room":1,"ptype":"subscriber","streams":[{"feed":1000,"mid":"0"}]}}"#,
        r#"{"janus":"trickle","transaction":"t","session_id":S,"handle_id":H,"candidate":{"candidate":"x","sdpMid":"0"}}"#,
    ];
    let mut rng = ChaCha20Rng::from_seed([11; 32]);
    let mut world = world();
    let (session, handle) = joined(&mut world, 'A');
    for round in 0..5000 {
        let message = messages[round % messages.len()]
            .replace(":S,", &format!(":{},", session.0))
            .replace(":H,", &format!(":{},", handle.0));
        let mut bytes = message.into_bytes();
        for _ in 0..1 + rng.next_u32() % 4 {
            let at = usize::try_from(rng.next_u32()).unwrap() % bytes.len();
            match rng.next_u32() % 3 {
                0 => bytes[at] = b"{}[]\",:0-9eE\\ntf"[usize::try_from(rng.next_u32() % 16).unwrap()],
                1 => drop(bytes.remove(at)),
                _ => bytes.insert(at, bytes[at]),
            }
        }
        world.write('A', &frame(1, true, &bytes));
        let mut raw = frame(1, round % 2 == 0, &bytes);
        let at = usize::try_from(rng.next_u32()).unwrap() % raw.len();
        raw[at] ^= 1 << (rng.next_u32() % 8);
        world.upgrade('F');
        world.write('F', &raw);
        world.disconnect('F');
        world.connect('G');
        let mut head = HANDSHAKE.to_vec();
        let at = usize::try_from(rng.next_u32()).unwrap() % head.len();
        head[at] ^= 1 << (rng.next_u32() % 8);
        world.write('G', &head);
        world.disconnect('G');
    }
    world.say('B', r#"{"janus":"ping","transaction":"x"}"#);
    assert_eq!(json_of(world.hear('B'))["janus"], "pong");
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let run = || {
        let mut world = world();
        joined(&mut world, 'A')
    };
    assert_eq!(run(), run());
}
