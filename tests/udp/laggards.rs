//! Connections that say nothing, or so slowly that it comes to the same: many at a time on one thread, each until the
//! server closes it.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::ops::Range;
use std::thread;
use std::time::{Duration, Instant};

/// Between bytes of those that trickle.
const TRICKLE: Duration = Duration::from_millis(500);

const HANDSHAKE: &str = "GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Protocol: janus-protocol\r\n\r\n";

/// One way of being slow.
pub struct Kind {
    pub name: &'static str,
    /// What is said at once, and what follows byte by byte.
    pub at_once: &'static str,
    pub slowly: &'static [u8],
    /// Whether our side says then that no more will come.
    pub ends: bool,
    /// How the server's answer begins; nothing when there is none.
    pub answer: &'static str,
    /// When the server closes, in seconds.
    pub closed: Range<u64>,
}

/// A frame of a text of 125 bytes, of which few come.
const FRAME: &[u8] = b"\x81\xfd\x09\x08\x07\x06                                                                  ";

/// All of them. A head has 10 s, a content 20 s (README); the WebSockets are looked at every `PING_SECONDS`.
pub const KINDS: [Kind; 7] = [
    Kind { name: "silent", at_once: "", slowly: b"", ends: false, answer: "", closed: 9..14 },
    Kind {
        name: "a head cut in half",
        at_once: "GET /janus/info HTTP/1.1\r\nHos",
        slowly: b"",
        ends: false,
        answer: "HTTP/1.1 408 ",
        closed: 9..14,
    },
    Kind {
        name: "a head that trickles",
        at_once: "GET / HTTP/1.1\r\n",
        slowly: b"Host: h\r\nX-A: b\r\nX-C: d\r\nX-E: f\r\nX-G: h\r\n",
        ends: false,
        answer: "HTTP/1.1 408 ",
        closed: 9..14,
    },
    Kind {
        name: "a content that trickles",
        at_once: "POST /janus HTTP/1.1\r\nHost: h\r\nContent-Length: 10000\r\n\r\n{",
        slowly: b"                                                                  ",
        ends: false,
        answer: "HTTP/1.1 408 ",
        closed: 19..24,
    },
    Kind {
        name: "a request cut in half and ended",
        at_once: "POST /janus HTTP/1.1\r\nHost: h\r\nContent-Length: 40\r\n\r\n{\"janus\":",
        slowly: b"",
        ends: true,
        answer: "",
        closed: 0..5,
    },
    Kind {
        name: "a silent WebSocket",
        at_once: HANDSHAKE,
        slowly: b"",
        ends: false,
        answer: "HTTP/1.1 101 ",
        closed: PING_SECONDS * 2 - 1..PING_SECONDS * 3 + 3,
    },
    Kind {
        name: "a frame that trickles",
        at_once: HANDSHAKE,
        slowly: FRAME,
        ends: false,
        answer: "HTTP/1.1 101 ",
        closed: PING_SECONDS * 2 - 1..PING_SECONDS * 3 + 3,
    },
];

/// `--ping-interval` of a server that they visit.
pub const PING_SECONDS: u64 = 3;

struct Laggard {
    kind: &'static Kind,
    stream: TcpStream,
    said: usize,
    heard: Vec<u8>,
    since: Instant,
    closed: Option<Duration>,
}

impl Laggard {
    fn new(at: SocketAddr, kind: &'static Kind) -> Laggard {
        let mut stream = TcpStream::connect(at).expect("the server accepts");
        stream.write_all(kind.at_once.as_bytes()).expect("a new connection");
        if kind.ends {
            stream.shutdown(std::net::Shutdown::Write).expect("a socket");
        }
        stream.set_nonblocking(true).expect("a socket");
        Laggard { kind, stream, said: 0, heard: vec![], since: Instant::now(), closed: None }
    }

    fn say(&mut self) {
        if let Some(byte) = self.kind.slowly.get(self.said)
            && self.closed.is_none()
        {
            // One that is closed finds out when it listens.
            let _ = self.stream.write(&[*byte]);
            self.said += 1;
        }
    }

    fn listen(&mut self) {
        let mut bytes = [0; 4096];
        while self.closed.is_none() {
            match self.stream.read(&mut bytes) {
                Ok(count @ 1..) => self.heard.extend(&bytes[..count]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Ok(_) | Err(_) => self.closed = Some(self.since.elapsed()),
            }
        }
    }
}

/// Lets `each` of every kind visit a server until it has closed them all; how they fared is as it should be.
pub fn visit(at: SocketAddr, each: usize) {
    let mut laggards: Vec<_> = (0..each).flat_map(|_| &KINDS).map(|kind| Laggard::new(at, kind)).collect();
    let longest = KINDS.iter().map(|kind| kind.closed.end).max().unwrap_or_default();
    let end = Instant::now() + Duration::from_secs(longest);
    let mut spoken = Instant::now();
    while laggards.iter().any(|laggard| laggard.closed.is_none()) && Instant::now() < end {
        if spoken.elapsed() >= TRICKLE {
            spoken = Instant::now();
            laggards.iter_mut().for_each(Laggard::say);
        }
        laggards.iter_mut().for_each(Laggard::listen);
        thread::sleep(Duration::from_millis(20));
    }
    for Laggard { kind, heard, closed, .. } in laggards {
        let heard = String::from_utf8_lossy(&heard);
        let Some(closed) = closed else { panic!("{}: not closed after {longest} s, heard {heard:?}", kind.name) };
        assert!(kind.closed.contains(&closed.as_secs()), "{}: closed after {closed:?}", kind.name);
        let answered = if kind.answer.is_empty() { heard.is_empty() } else { heard.starts_with(kind.answer) };
        assert!(answered, "{}: {heard:?}", kind.name);
    }
}
