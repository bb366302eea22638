//! Bad inputs while two people are in a call: each gets what is documented, over WebSocket and over HTTP, and the call
//! loses no packet and hears of nothing.

use crate::alone;
use crate::call::{Host, Publisher, Subscriber, unexpected};
use crate::client::{self, Client, PATIENCE};
use crate::inputs::{self, MESSAGE_MAX, Outcome, Refusal, Refused};
use crate::laggards;
use crate::media::Speech;
use crate::peer::Order;
use crate::server::{Health, Server};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};
use tungstenite::{Message, WebSocket};

const ROOM: u64 = 900;
/// Laggards of each kind.
const LAGGARDS: usize = 75;
const _: () = assert!(LAGGARDS * laggards::KINDS.len() >= 500);

/// Somebody with a session and a handle, on whichever transport.
trait Stranger {
    /// What the reason of a syntax error begins with.
    const SYNTAX: &'static str;
    /// Sends a request as it is; the answer, with acks passed over.
    fn ask(&mut self, text: &str) -> Value;
    /// Its session and handle.
    fn ids(&self) -> (u64, u64);

    /// Makes both.
    fn settle(&mut self) -> (u64, u64) {
        let id = |answer: &Value| answer["data"]["id"].as_u64().unwrap_or_else(|| panic!("no id: {answer}"));
        let session = id(&self.ask(r#"{"janus":"create","transaction":"t"}"#));
        let attach = json!({
            "janus": "attach", "transaction": "t", "session_id": session, "plugin": "janus.plugin.videoroom"
        });
        (session, id(&self.ask(&attach.to_string())))
    }

    /// Sends a bad request; what is wrong with what comes of it.
    fn finding(&mut self, Refused { text, refusal }: &Refused) -> Option<String> {
        let (session, handle) = self.ids();
        let fill = |text: &str| {
            let text = text.replace("$S", &session.to_string()).replace("$H", &handle.to_string());
            text.replace("$R", &ROOM.to_string())
        };
        let text = fill(text);
        let answer = self.ask(&text);
        let data = &answer["plugindata"]["data"];
        let (code, reason) = match refusal {
            Refusal::Plugin(..) => (&data["error_code"], &data["error"]),
            Refusal::Core(..) | Refusal::Syntax => (&answer["error"]["code"], &answer["error"]["reason"]),
        };
        let reason = reason.as_str().unwrap_or_default();
        let as_documented = match *refusal {
            Refusal::Syntax => *code == 454 && reason.starts_with(Self::SYNTAX),
            Refusal::Core(expected, "") => *code == expected && !reason.is_empty(),
            Refusal::Core(expected, sentence) => *code == expected && reason == fill(sentence),
            Refusal::Plugin(expected, "") => *code == expected && data["videoroom"] == "event" && !reason.is_empty(),
            Refusal::Plugin(expected, sentence) => {
                *code == expected && data["videoroom"] == "event" && reason == fill(sentence)
            }
        };
        // Echoed as far as it could be read; a session that is wished for is none yet.
        let asked: Value = serde_json::from_str(&text).ok().filter(|_| *refusal != Refusal::Syntax).unwrap_or_default();
        let session = asked["session_id"].as_u64().filter(|session| *session != 0).or(asked["id"].as_u64());
        let echoed = (answer["transaction"].as_str(), answer["session_id"].as_u64());
        let is_echoed = echoed == (asked["transaction"].as_str(), session);
        (!as_documented || !is_echoed).then(|| {
            let [text, answer] = [text, answer.to_string()].map(|text| text.chars().take(300).collect::<String>());
            format!("{text}\n  got {answer}, not {refusal:?}")
        })
    }
}

/// Over WebSocket.
struct Speaker {
    socket: WebSocket<TcpStream>,
    ids: (u64, u64),
}

impl Speaker {
    fn new(at: SocketAddr) -> Speaker {
        let mut speaker = Speaker { socket: client::open(at), ids: (0, 0) };
        speaker.ids = speaker.settle();
        speaker
    }
}

impl Stranger for Speaker {
    const SYNTAX: &'static str = "Invalid Janus API request - ";

    fn ask(&mut self, text: &str) -> Value {
        self.socket.send(Message::text(text)).expect("the server reads");
        loop {
            match self.socket.read().expect("an answer") {
                Message::Text(answer) => {
                    let answer: Value = serde_json::from_str(&answer).expect("the server speaks JSON");
                    if answer["janus"] != "ack" {
                        return answer;
                    }
                }
                Message::Ping(_) | Message::Pong(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    fn ids(&self) -> (u64, u64) {
        self.ids
    }
}

/// Over HTTP: ids in the content, events from polls.
struct Writer {
    at: SocketAddr,
    ids: (u64, u64),
}

impl Writer {
    fn new(at: SocketAddr) -> Writer {
        let mut writer = Writer { at, ids: (0, 0) };
        writer.ids = writer.settle();
        writer
    }
}

impl Stranger for Writer {
    const SYNTAX: &'static str = "JSON error: on line ";

    fn ask(&mut self, text: &str) -> Value {
        let head = "Host: h\r\nConnection: close\r\nContent-Type: text/plain\r\n";
        let post = format!("POST /janus HTTP/1.1\r\n{head}Content-Length: {}\r\n\r\n{text}", text.len());
        let (status, content) = exchange(self.at, post.as_bytes()).expect("an answer");
        assert_eq!(status, 200, "{content}");
        let answer: Value = serde_json::from_str(&content).expect("the server speaks JSON");
        if answer["janus"] != "ack" {
            return answer;
        }
        let poll = format!("GET /janus/{} HTTP/1.1\r\n{head}\r\n", self.ids.0);
        let (_, content) = exchange(self.at, poll.as_bytes()).expect("an event");
        serde_json::from_str(&content).expect("the server speaks JSON")
    }

    fn ids(&self) -> (u64, u64) {
        self.ids
    }
}

/// Writes these bytes to a connection of their own and reads until the server closes it: the status and the content.
fn exchange(at: SocketAddr, bytes: &[u8]) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(at).expect("the server accepts");
    stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
    // The server may refuse before it has read all.
    let _ = stream.write_all(bytes);
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap_or_else(|error| panic!("{error}: {text}"));
    let (head, content) = text.split_once("\r\n\r\n")?;
    let status = head.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)).and_then(|status| status.parse().ok());
    Some((status.unwrap_or_else(|| panic!("no status: {head}")), content.to_owned()))
}

/// Sends bytes of HTTP; what is wrong with what comes of it.
fn finding_over_http(at: SocketAddr, request: &str, outcome: Outcome) -> Option<String> {
    let answer = exchange(at, request.as_bytes());
    let as_documented = match (outcome, &answer) {
        (Outcome::Dropped, None) => true,
        (Outcome::Api(code), Some((200, content))) => {
            serde_json::from_str::<Value>(content).is_ok_and(|answer| answer["error"]["code"] == code)
        }
        (Outcome::Malformed(code) | Outcome::Status(code) | Outcome::NoWebSocket(code), Some((status, _))) => {
            *status == code
        }
        _ => false,
    };
    let request = &request[..request.len().min(200)];
    (!as_documented).then(|| format!("{request:?}\n  got {answer:?}, not {outcome:?}"))
}

/// The code that the server closes a WebSocket with, after these bytes.
fn close_code(at: SocketAddr, bytes: &[u8]) -> Option<u16> {
    let mut socket = client::open(at);
    // The server may close before it has read everything.
    let _ = socket.get_mut().write_all(bytes);
    loop {
        match socket.read() {
            Ok(Message::Close(frame)) => return frame.map(|frame| frame.code.into()),
            Ok(_) => {}
            Err(_) => return None,
        }
    }
}

/// The longest messages that are in order are answered as any other.
fn longest_are_answered(stranger: &mut impl Stranger) {
    let transaction = "x".repeat(MESSAGE_MAX - 100);
    let pong = stranger.ask(&json!({ "janus": "ping", "transaction": transaction }).to_string());
    assert!(pong["janus"] == "pong" && pong["transaction"] == transaction);
    let mut ping = r#"{"janus":"ping","transaction":"t"}"#.to_owned();
    ping.push_str(&" ".repeat(MESSAGE_MAX - ping.len()));
    assert_eq!(stranger.ask(&ping)["janus"], "pong");
}

/// Everything that is refused at once; what the counters must have gained by it.
fn misbehave(at: SocketAddr) -> Vec<(&'static str, u64)> {
    let (mut speaker, mut writer) = (Speaker::new(at), Writer::new(at));
    let refused = inputs::refused();
    let mut findings = vec![];
    for input in &refused {
        findings.extend(speaker.finding(input).map(|finding| format!("WebSocket: {finding}")));
        findings.extend(writer.finding(input).map(|finding| format!("HTTP: {finding}")));
    }
    longest_are_answered(&mut speaker);
    longest_are_answered(&mut writer);
    drop(speaker);
    let frames = inputs::frames();
    for (name, bytes, code) in &frames {
        let closed = close_code(at, bytes);
        findings.extend((closed != Some(*code)).then(|| format!("{name}: closed with {closed:?}, not {code}")));
    }
    let requests = inputs::requests(writer.ids.0, writer.ids.1);
    findings.extend(requests.iter().filter_map(|(request, outcome)| finding_over_http(at, request, *outcome)));
    assert!(findings.is_empty(), "{}", findings.join("\n"));
    let destroy = json!({ "janus": "destroy", "transaction": "t", "session_id": writer.ids.0 });
    assert_eq!(writer.ask(&destroy.to_string())["janus"], "success");

    let count = |number: usize| u64::try_from(number).expect("a count");
    let refusals = |is: fn(Refusal) -> bool| 2 * count(refused.iter().filter(|input| is(input.refusal)).count());
    let outcomes = |is: fn(Outcome) -> bool| count(requests.iter().filter(|(_, outcome)| is(*outcome)).count());
    vec![
        (
            "message_malformed",
            refusals(|refusal| refusal == Refusal::Syntax) + outcomes(|outcome| outcome == Outcome::Api(454)),
        ),
        ("plugin_errors", refusals(|refusal| matches!(refusal, Refusal::Plugin(..)))),
        (
            "core_errors",
            refusals(|refusal| !matches!(refusal, Refusal::Plugin(..)))
                + outcomes(|outcome| matches!(outcome, Outcome::Api(_))),
        ),
        ("http_request_malformed", outcomes(|outcome| matches!(outcome, Outcome::Malformed(_) | Outcome::Dropped))),
        ("websocket_refused", outcomes(|outcome| matches!(outcome, Outcome::NoWebSocket(_)))),
        ("websocket_violation", count(frames.len())),
    ]
}

fn named(health: &Health, name: &str) -> u64 {
    if name.ends_with("_errors") { health.signalled(name) } else { health.refused(name) }
}

#[test]
fn every_bad_input_gets_its_documented_error_and_a_call_goes_on_undisturbed() {
    let _alone = alone();
    let mut server = Server::start(31_850, 1, &["--ping-interval", &laggards::PING_SECONDS.to_string()]);
    let at = server.signalling;
    let mut host = Host::new(&server);
    host.create(ROOM);
    let mut publisher = Publisher::join(&server, ROOM);
    let mut subscriber = Subscriber::join(&server, ROOM, publisher.feed);
    let before = server.health();
    publisher.peer.tell(Order::Speak(Speech::SMALL));

    let since = Instant::now();
    let mut heard = vec![];
    let gained = thread::scope(|scope| {
        let slow = scope.spawn(|| laggards::visit(at, LAGGARDS));
        let bad = scope.spawn(|| misbehave(at));
        // The call's own clients do what clients do: they answer pings and keep their sessions.
        while !(slow.is_finished() && bad.is_finished()) {
            let clients: [(&mut Client, u64); 3] = [
                (&mut host.client, host.handle),
                (&mut publisher.client, publisher.handle),
                (&mut subscriber.client, subscriber.handle),
            ];
            for (client, handle) in clients {
                let there = client.message(handle, json!({ "request": "exists", "room": ROOM }));
                assert_eq!(there["exists"], true, "{there}");
                heard.extend(unexpected(client));
            }
            thread::sleep(Duration::from_millis(300));
        }
        slow.join().expect("slow connections are closed");
        bad.join().expect("bad inputs are refused")
    });
    publisher.peer.hush();
    println!("bad inputs and a call for {:?}", since.elapsed());

    subscriber.has_everything_of(&publisher.peer, true);
    publisher.peer.is_unharmed();
    assert_eq!(heard, [Value::Null; 0], "the call has heard of it");
    let after = server.health();
    for (name, gain) in gained {
        assert_eq!(named(&after, name) - named(&before, name), gain, "{name}");
    }
    let slow = u64::try_from(LAGGARDS).expect("a count");
    for (name, kinds) in [("connection_silent", 1), ("http_request_timeout", 3), ("websocket_silent", 2)] {
        assert_eq!(after.refused(name) - before.refused(name), kinds * slow, "{name}");
    }
    server.wait_for_gauges(&before.gauges());
    server.is_well();
}
