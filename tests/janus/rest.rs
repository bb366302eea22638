//! REST where a transcript is too coarse: heads, framing, pipelines, pages of other origins, and queues that overflow.

use std::time::Duration;

use portunus::control::command::{Event, Mail, Teardown};
use portunus::control::spec::RoomSpec;
use portunus::id::{HandleAddress, HandleId, RoomId, SessionId, ShardId, SignallingId};
use portunus::proto::session::poll::QUEUE_BYTES_MAX;
use portunus::signalling::{Fate, SignallingConfig};
use serde_json::{Value, json};

use crate::client::Response;
use crate::world::World;

fn world() -> World {
    let mut config = SignallingConfig::new([3; 32]);
    config.rooms = vec![RoomSpec::new(RoomId::from(1))];
    World::new(config)
}

fn ask(world: &mut World, request: &str) -> Value {
    world.request('A', request);
    let response = world.response('A').expect("an answer");
    serde_json::from_str(&response.content).unwrap()
}

/// A session in room 1.
fn joined(world: &mut World) -> (u64, u64) {
    let session = ask(world, r#"POST /janus {"janus":"create","transaction":"1"}"#)["data"]["id"].as_u64().unwrap();
    let attach = json!({"janus":"attach","transaction":"2","plugin":"janus.plugin.videoroom"});
    let handle = ask(world, &format!("POST /janus/{session} {attach}"))["data"]["id"].as_u64().unwrap();
    let join = json!({"janus":"message","transaction":"3","body":{"request":"join","room":1,"ptype":"publisher"}});
    ask(world, &format!("POST /janus/{session}/{handle} {join}"));
    assert_eq!(ask(world, &format!("GET /janus/{session}"))["plugindata"]["data"]["videoroom"], "joined");
    (session, handle)
}

fn exchange(world: &mut World, name: char, bytes: &str) -> Vec<Response> {
    if !world.clients.contains_key(&name) {
        world.connect(name);
    }
    world.write(name, bytes.as_bytes());
    std::iter::from_fn(|| world.response(name)).collect()
}

#[test]
fn requests_in_a_pipeline_are_answered_in_order_however_they_are_framed_and_cut() {
    let ping = |transaction: &str| format!(r#"{{"janus":"ping","transaction":"{transaction}"}}"#);
    let (first, second) = (ping("1"), ping("2"));
    let (head, tail) = second.split_at(9);
    let bytes = format!(
        "POST /janus HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n{first}\
         POST /janus HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n\
         {:x}\r\n{head}\r\n{:X};x=y\r\n{tail}\r\n0\r\nX-T: t\r\n\r\n\
         GET /janus/ping HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
        first.len(),
        head.len(),
        tail.len(),
    );
    for size in [1, 7, bytes.len()] {
        let mut world = world();
        world.connect('A');
        for piece in bytes.as_bytes().chunks(size) {
            world.write('A', piece);
        }
        let transactions: Vec<Value> = std::iter::from_fn(|| world.response('A'))
            .map(|response| serde_json::from_str::<Value>(&response.content).unwrap()["transaction"].clone())
            .collect();
        assert_eq!(transactions[..2], ["1", "2"]);
        assert_eq!(transactions.len(), 3);
        assert_eq!(world.clients[&'A'].fate, Fate::CloseAfterFlush);
    }
}

#[test]
fn behind_a_poll_the_pipeline_waits() {
    let mut world = world();
    let (session, _) = joined(&mut world);
    let poll = format!("GET /janus/{session} HTTP/1.1\r\nHost: h\r\n\r\n");
    let ping = "GET /janus/ping HTTP/1.1\r\nHost: h\r\n\r\n";
    assert!(exchange(&mut world, 'P', &format!("{poll}{ping}{ping}{poll}")).is_empty());
    world.wait(Duration::from_secs(30));
    let answers: Vec<String> = std::iter::from_fn(|| world.response('P')).map(|answer| answer.content).collect();
    assert_eq!((answers.len(), &*answers[0]), (3, r#"{"janus":"keepalive"}"#));
    assert!(answers[2].contains("pong"));
    world.wait(Duration::from_secs(30));
    assert!(world.response('P').unwrap().content.contains("keepalive"));
    // Idle now: closed in the end, without a word.
    world.wait(Duration::from_secs(60));
    assert_eq!((world.clients[&'P'].bytes.len(), world.clients[&'P'].fate), (0, Fate::CloseAfterFlush));
}

#[test]
fn a_long_pipeline_is_answered_without_depth() {
    let mut world = world();
    let many = "GET /janus/ping HTTP/1.1\r\nHost: h\r\n\r\n".repeat(1500);
    assert_eq!(exchange(&mut world, 'A', &many).len(), 1500);
}

#[test]
fn a_client_that_asks_for_leave_gets_it_before_its_answer() {
    let mut world = world();
    let head = "POST /janus HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 35\r\n\r\n";
    let answers = exchange(&mut world, 'A', head);
    assert_eq!((answers.len(), answers[0].status), (1, 100));
    let answers = exchange(&mut world, 'A', r#"{"janus":"ping","transaction":"12"}"#);
    assert_eq!((answers.len(), answers[0].status), (1, 200));
}

#[test]
fn content_that_never_comes_or_is_too_much_is_given_up() {
    let mut world = world();
    let head = |length: usize| format!("POST /janus HTTP/1.1\r\nHost: h\r\nContent-Length: {length}\r\n\r\n");
    assert!(exchange(&mut world, 'A', &head(10)).is_empty());
    for _ in 0..9 {
        world.wait(Duration::from_secs(2));
        assert!(exchange(&mut world, 'A', "x").is_empty());
    }
    world.wait(Duration::from_secs(2));
    assert_eq!(world.response('A').unwrap().status, 408);
    assert_eq!(exchange(&mut world, 'B', &head(portunus::limits::MESSAGE_JSON_MAX + 1))[0].status, 413);
    let both = "POST /janus HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(exchange(&mut world, 'C', both)[0].status, 400);
    assert_eq!(world.clients[&'C'].fate, Fate::CloseAfterFlush);
    let mut largest = String::from(r#"{"janus":"ping","transaction":"1"}"#);
    largest.push_str(&" ".repeat(portunus::limits::MESSAGE_JSON_MAX - largest.len()));
    world.connect('D');
    world.write('D', head(largest.len()).as_bytes());
    for piece in largest.as_bytes().chunks(16 * 1024) {
        world.write('D', piece);
    }
    assert!(world.response('D').unwrap().content.contains("pong"));
}

#[test]
fn pages_of_any_origin_may_ask_and_learn_so_beforehand() {
    let mut world = world();
    let preflight = "OPTIONS /janus/17/5 HTTP/1.1\r\nHost: h\r\nOrigin: https://a\r\n\
        Access-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: content-type,x-y\r\n\r\n";
    let answer = exchange(&mut world, 'A', preflight).remove(0);
    assert_eq!((answer.status, &*answer.content), (200, ""));
    for (name, value) in [
        ("Access-Control-Allow-Origin", "*"),
        ("Access-Control-Max-Age", "86400"),
        ("Access-Control-Allow-Methods", "POST"),
        ("Access-Control-Allow-Headers", "content-type,x-y"),
    ] {
        assert_eq!(answer.field(name), Some(value));
    }
    for target in ["/janus/ping", "/janus/9", "/janus/x", "/janus/9/9"] {
        world.request('A', &format!("GET {target}"));
        let answer = world.response('A').unwrap();
        assert_eq!(answer.field("Access-Control-Allow-Origin"), Some("*"), "{target}");
        assert_eq!(answer.field("Access-Control-Allow-Methods"), None);
        let is_json = answer.field("Content-Type") == Some("application/json");
        assert_eq!(is_json, !answer.content.is_empty());
    }
    world.request('A', "GET /janus/17/5");
    assert_eq!(world.response('A').unwrap().field("Location"), Some("/janus/17"));
    world.request('A', "GET /healthz");
    assert_eq!(world.response('A').unwrap().field("Access-Control-Allow-Origin"), None);
}

#[test]
fn an_allowed_origin_is_named_and_others_are_refused_when_that_is_enforced() {
    let mut config = SignallingConfig::new([3; 32]);
    config.allow_origin = Some("https://good.example".parse().unwrap());
    let request = |field: &str| format!("GET /janus/ping HTTP/1.1\r\nHost: h\r\n{field}\r\n");
    let mut lax = World::new(config.clone());
    let answer = exchange(&mut lax, 'A', &request("Origin: https://bad.example\r\n")).remove(0);
    assert_eq!(answer.field("Access-Control-Allow-Origin"), Some("https://good.example"));
    assert_eq!(answer.field("Access-Control-Allow-Credentials"), Some("true"));
    assert_eq!((answer.status, answer.field("Vary")), (200, Some("Origin")));
    config.enforce_cors = true;
    let mut strict = World::new(config);
    for (field, status) in [
        ("Origin: https://bad.example\r\n", 403),
        ("Origin: https://good.example.evil.com\r\n", 403),
        ("Origin: https://good.example:8443\r\n", 403),
        ("Origin: http://good.example\r\n", 403),
        ("Origin: null\r\n", 403),
        ("Origin: \r\n", 403),
        ("Origin: https://good.example:443\r\n", 200),
        ("Referer: https://bad.example/x\r\n", 403),
        ("Referer: https://good.example.evil.com/x\r\n", 403),
        ("Referer: http://h/page\r\n", 200),
        ("Origin: https://good.example\r\nReferer: https://bad.example/\r\n", 200),
        ("Referer: https://good.example/page\r\n", 200),
        ("", 200),
    ] {
        assert_eq!(exchange(&mut strict, 'A', &request(field))[0].status, status, "{field}");
    }
    let handshake = String::from_utf8(crate::client::HANDSHAKE.to_vec()).unwrap();
    let foreign = handshake.replace("Host: h\r\n", "Host: h\r\nOrigin: https://bad.example\r\n");
    assert_eq!(exchange(&mut strict, 'W', &foreign)[0].status, 403);
    let longer = foreign.replace("bad.example", "good.example.evil.com");
    assert_eq!(exchange(&mut strict, 'X', &longer)[0].status, 403);
    assert_eq!(strict.drops("origin_refused"), 10);
}

#[test]
fn a_session_whose_events_nobody_fetches_ends() {
    let mut world = world();
    let (session, handle) = joined(&mut world);
    let to = vec![HandleAddress { home: SignallingId(0), session: SessionId(session), handle: HandleId(handle) }];
    for _ in 0..QUEUE_BYTES_MAX / 40 {
        world.mail(Mail::Event { from: ShardId(0), to: to.clone(), event: Event::WebrtcUp });
    }
    assert_eq!((world.gauge("sessions"), world.drops("poll_queue_overflow")), (0, 1));
    assert_eq!(world.shards[0].teardowns, [Teardown::Detach]);
    world.request('A', &format!("GET /janus/{session}"));
    assert_eq!(world.response('A').unwrap().status, 404);
}

#[test]
fn a_drain_sends_polls_home_and_closes_what_is_idle() {
    let mut world = world();
    let (session, _) = joined(&mut world);
    world.request('P', &format!("GET /janus/{session}?maxev=4"));
    world.engine.drain(world.now);
    world.pump();
    assert_eq!(world.response('P').unwrap().content, r#"[{"janus":"keepalive"}]"#);
    assert_eq!(world.clients[&'A'].fate, Fate::CloseAfterFlush);
    assert!(world.engine.drained());
}
