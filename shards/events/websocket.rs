//! The handler that sends events as text messages over a WebSocket of its own (RFC 6455), and connects again whenever that
//! is gone. What was on its way then is sent once more.

use super::endpoint::Endpoint;
use super::http::Head;
use super::stream::Stream;
use super::{Ended, Queue, Trouble, backoff, join};
use crate::config::handlers::WebSocket as Settings;
use std::io::{self, ErrorKind, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{fmt, thread};
use tungstenite::handshake::derive_accept_key;
use tungstenite::protocol::{Role, WebSocketConfig};
use tungstenite::{Error, Message, WebSocket};

/// Connecting and writing may take so long each.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How often the other side is heard, when there is nothing to say to it.
const PULSE: Duration = Duration::from_secs(1);
/// Hearing whether it has said anything takes so long.
const GLANCE: Duration = Duration::from_millis(1);
/// What it says is of no interest, and so not long.
const HEARD_MAX: usize = 64 << 10;

/// Sends until there is nobody any more to have events.
pub fn run(settings: Settings, mut queue: Queue) {
    let mut trouble = Trouble::with(&settings.endpoint);
    let (mut socket, mut tries) = (None, 0);
    // What has been taken and is not through.
    let mut events: Vec<Arc<str>> = Vec::new();
    loop {
        let open = match &mut socket {
            Some(open) => open,
            None => match connect(&settings) {
                Ok(open) => {
                    trouble.over();
                    tries = 0;
                    socket.insert(open)
                }
                Err(error) => {
                    trouble.found(&error);
                    tries += 1;
                    queue.retried();
                    thread::sleep(backoff(settings.backoff, tries));
                    continue;
                }
            },
        };
        if events.is_empty() {
            match queue.take(PULSE) {
                Ok(taken) => events = taken,
                Err(Ended) => {
                    // The other side may have gone first.
                    let _ = open.close(None).and_then(|()| open.flush());
                    return;
                }
            }
        }
        match send(open, &events, queue.group).and_then(|()| listen(open)) {
            Ok(()) => queue.done(&std::mem::take(&mut events), &queue.counts.sent),
            Err(error) => {
                trouble.found(&error);
                socket = None;
            }
        }
    }
}

/// Why there is no connection.
#[derive(Debug)]
enum Failure {
    Transport(io::Error),
    Refused(u16),
    NoWebSocket,
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Failure::Transport(error)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Transport(error) if error.kind() == ErrorKind::WouldBlock => f.write_str("it takes too long"),
            Failure::Transport(error) => error.fmt(f),
            Failure::Refused(status) => write!(f, "the handshake was answered with {status}"),
            Failure::NoWebSocket => f.write_str("the handshake was answered by something that is no WebSocket"),
        }
    }
}

/// RFC 6455 §4.1. That the other side chooses our subprotocol is not insisted on: simple servers choose none.
fn connect(settings: &Settings) -> Result<WebSocket<Stream>, Failure> {
    let Settings { endpoint, subprotocol, .. } = settings;
    let mut stream = Stream::connect(endpoint, Instant::now() + TIMEOUT)?;
    let mut nonce = [0; 16];
    aws_lc_rs::rand::fill(&mut nonce).map_err(|_| io::Error::other("there is no randomness"))?;
    let key = openssl::base64::encode_block(&nonce);
    stream.write_all(handshake(endpoint, &key, subprotocol).as_bytes())?;
    stream.flush()?;
    let head = Head::read(&mut stream)?;
    if head.status != 101 {
        return Err(Failure::Refused(head.status));
    }
    if head.field("sec-websocket-accept") != Some(&derive_accept_key(key.as_bytes())) {
        return Err(Failure::NoWebSocket);
    }
    let config = WebSocketConfig::default()
        .max_message_size(Some(HEARD_MAX))
        .max_frame_size(Some(HEARD_MAX))
        .write_buffer_size(0);
    Ok(WebSocket::from_partially_read(stream, head.rest, Role::Client, Some(config)))
}

fn handshake(endpoint: &Endpoint, key: &str, subprotocol: &str) -> String {
    let authorization = match &endpoint.authorization {
        Some(authorization) => format!("Authorization: {authorization}\r\n"),
        None => String::new(),
    };
    format!(
        "GET {} HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: {key}\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: {subprotocol}\r\n{authorization}\r\n",
        endpoint.target,
        endpoint.authority(),
    )
}

fn send(socket: &mut WebSocket<Stream>, events: &[Arc<str>], group: usize) -> Result<(), Error> {
    if events.is_empty() {
        return Ok(());
    }
    socket.get_mut().set_deadline(Instant::now() + TIMEOUT);
    socket.send(Message::text(join(events, group)))
}

/// Reads what the other side says, so that its pings are answered and its goodbye is noticed.
fn listen(socket: &mut WebSocket<Stream>) -> Result<(), Error> {
    loop {
        socket.get_mut().set_deadline(Instant::now() + GLANCE);
        match socket.read() {
            Ok(_) => {}
            Err(Error::Io(error)) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => break,
            Err(error) => return Err(error),
        }
    }
    socket.get_mut().set_deadline(Instant::now() + TIMEOUT);
    socket.flush()
}
