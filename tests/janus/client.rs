//! A WebSocket client in two functions: masked frames out, frames in. And what HTTP answers.

use portunus::signalling::{ConnectionId, Fate};

/// The handshake of a Janus client.
pub const HANDSHAKE: &[u8] = b"GET /any HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Protocol: janus-protocol\r\n\r\n";

/// What one client has received.
pub struct Client {
    pub id: ConnectionId,
    pub bytes: Vec<u8>,
    pub fate: Fate,
}

/// One frame of the server's.
#[derive(Debug, PartialEq, Eq)]
pub enum Frame {
    Text(String),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(u16),
}

/// One HTTP response.
#[derive(Debug, PartialEq, Eq)]
pub struct Response {
    pub status: u16,
    pub head: String,
    pub content: String,
}

impl Response {
    /// A field of the head.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

/// A masked frame of any length.
pub fn frame(opcode: u8, fin: bool, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![opcode | if fin { 0x80 } else { 0 }];
    match u16::try_from(payload.len()) {
        Ok(length @ 0..126) => bytes.push(0x80 | u8::try_from(length).unwrap()),
        Ok(length) => {
            bytes.push(0x80 | 126);
            bytes.extend(length.to_be_bytes());
        }
        Err(_) => {
            bytes.push(0x80 | 127);
            bytes.extend(u64::try_from(payload.len()).unwrap().to_be_bytes());
        }
    }
    let mask = [9, 8, 7, 6];
    bytes.extend(mask);
    bytes.extend(payload.iter().enumerate().map(|(at, byte)| byte ^ mask[at % 4]));
    bytes
}

/// A text message.
pub fn text(payload: &str) -> Vec<u8> {
    frame(1, true, payload.as_bytes())
}

impl Client {
    /// Takes the next response out of what was received.
    pub fn next_response(&mut self) -> Option<Response> {
        let end = self.bytes.windows(4).position(|end| end == b"\r\n\r\n")? + 4;
        let head = String::from_utf8(self.bytes[..end].to_vec()).unwrap();
        let status = head.strip_prefix("HTTP/1.1 ").unwrap()[..3].parse().unwrap();
        let mut response = Response { status, head, content: String::new() };
        let length: usize = response.field("Content-Length").map_or(0, |length| length.parse().unwrap());
        let content = self.bytes.get(end..end + length)?.to_vec();
        self.bytes.drain(..end + length);
        response.content = String::from_utf8(content).unwrap();
        Some(response)
    }

    /// Takes the next frame out of what was received.
    pub fn next_frame(&mut self) -> Option<Frame> {
        let first = *self.bytes.first()?;
        let (length, head) = match *self.bytes.get(1)? {
            126 => (usize::from(u16::from_be_bytes(self.bytes[2..4].try_into().unwrap())), 4),
            127 => (usize::try_from(u64::from_be_bytes(self.bytes[2..10].try_into().unwrap())).unwrap(), 10),
            length => (usize::from(length), 2),
        };
        let payload = self.bytes[head..head + length].to_vec();
        self.bytes.drain(..head + length);
        Some(match first {
            0x81 => Frame::Text(String::from_utf8(payload).unwrap()),
            0x89 => Frame::Ping(payload),
            0x8a => Frame::Pong(payload),
            // RFC 6455 §7.1.5: 1005 is a close frame without a code.
            0x88 => Frame::Close(payload.first_chunk().map_or(1005, |code| u16::from_be_bytes(*code))),
            other => panic!("the server sent a frame that starts with {other:#x}"),
        })
    }
}
