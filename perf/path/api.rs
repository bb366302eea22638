//! The other side of the engine: requests of one WebSocket from text to text, for instruction counts. Half of them are
//! `info`, the longest answer that there is, half `keepalive`, the most frequent question.

use std::net::{IpAddr, Ipv4Addr};

use portunus::signalling::{ConnectionId, SignallingConfig, SignallingEngine};
use portunus::time::{Mono, Now};

const HANDSHAKE: &[u8] = b"GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Protocol: janus-protocol\r\n\r\n";
/// Of each kind in one run.
const REQUESTS: usize = 500;

/// Asks so many runs of requests; how many were answered.
pub fn run(runs: u64) -> u64 {
    let mut client = Client::new();
    let created = client.ask(r#"{"janus":"create","transaction":"c"}"#);
    let id = created.split(r#""id":"#).nth(1).expect("a session").split('}').next().expect("a number");
    let keepalive = format!(r#"{{"janus":"keepalive","session_id":{id},"transaction":"k"}}"#);
    let mut answered = 0;
    for _ in 0..runs {
        for _ in 0..REQUESTS {
            assert!(client.ask(r#"{"janus":"info","transaction":"i"}"#).contains("server_info"));
            assert!(client.ask(&keepalive).contains("ack"));
            answered += 2;
        }
    }
    answered
}

struct Client {
    engine: SignallingEngine,
    id: ConnectionId,
    now: Now,
    heard: Vec<u8>,
}

impl Client {
    fn new() -> Client {
        let now = Now { mono: Mono(1_000_000_000), unix_us: 1_790_000_000_000_000 };
        let mut engine = SignallingEngine::new(SignallingConfig::new([1; 32]), now);
        let id = engine.connected(now, IpAddr::V4(Ipv4Addr::LOCALHOST)).expect("the first client");
        engine.handle_bytes(now, id, HANDSHAKE);
        let mut client = Client { engine, id, now, heard: Vec::new() };
        client.hear();
        client
    }

    /// A masked text frame (RFC 6455 §5.2; a mask of zeros changes nothing), and the answer with its frame's head.
    fn ask(&mut self, text: &str) -> String {
        let len = u16::try_from(text.len()).expect("a short request");
        let mut frame = vec![0x81, 0x80 | 126];
        frame.extend_from_slice(&len.to_be_bytes());
        frame.extend_from_slice(&[0; 4]);
        frame.extend_from_slice(text.as_bytes());
        self.engine.handle_bytes(self.now, self.id, &frame);
        self.hear();
        String::from_utf8_lossy(&self.heard).into_owned()
    }

    fn hear(&mut self) {
        self.heard.clear();
        while let Some(id) = self.engine.poll_touched() {
            self.engine.take_output(id, &mut self.heard);
        }
    }
}
