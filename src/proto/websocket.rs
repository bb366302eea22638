//! The server side of RFC 6455 on one connection: the handshake's answer, frames to messages and back, over two byte
//! buffers instead of a socket. We send text. Text and binary messages are read alike, because some clients know only
//! the latter; a violation is answered with a close frame and its code.

use std::io;

use http::StatusCode;
use tungstenite::error::Error;
use tungstenite::protocol::frame::CloseFrame;
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::protocol::{Role, WebSocketConfig, WebSocketContext};
use tungstenite::{Bytes, Message, Utf8Bytes};

use super::http::{Response, Upgrade};
use super::memory::Memory;
use crate::limits::MESSAGE_JSON_MAX;

/// The subprotocol of clients.
pub const JANUS_PROTOCOL: &str = "janus-protocol";
/// That of operators.
pub const JANUS_ADMIN_PROTOCOL: &str = "janus-admin-protocol";

/// What is spoken on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subprotocol {
    /// The Janus API.
    Janus,
    /// The Admin API.
    Admin,
}

/// One connection after its handshake.
pub struct WebSocket {
    context: WebSocketContext,
    memory: Memory,
    state: State,
    pulse: Pulse,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    /// We have sent a close frame and wait for the peer's.
    Closing,
    /// Nothing more will be read.
    Closed,
    /// The same, for what the peer has sent.
    Violated,
}

/// What was heard of the peer since [`WebSocket::check_alive`] was called last.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pulse {
    Felt,
    Missed,
    /// Nothing, and we have asked.
    Asked,
}

/// Why the connection is closed by us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// 1001: the server is going away.
    GoingAway,
    /// 1002: frames that RFC 6455 does not allow.
    Protocol,
    /// 1007: text that is not UTF-8.
    NotUtf8,
    /// 1009: a message beyond [`MESSAGE_JSON_MAX`].
    TooBig,
}

impl CloseReason {
    fn frame(self) -> CloseFrame {
        let (code, reason) = match self {
            CloseReason::GoingAway => (CloseCode::Away, "going away"),
            CloseReason::Protocol => (CloseCode::Protocol, "protocol error"),
            CloseReason::NotUtf8 => (CloseCode::Invalid, "not UTF-8"),
            CloseReason::TooBig => (CloseCode::Size, "message too big"),
        };
        CloseFrame { code, reason: Utf8Bytes::from_static(reason) }
    }
}

/// Judges a handshake and composes the answer; the first subprotocol that is known is taken, that of operators only
/// where they are welcome. Janus refuses clients that ask for none of them with 403.
pub fn accept(upgrade: &Upgrade, operators: bool, out: &mut Vec<u8>) -> Result<Subprotocol, Response<'static>> {
    if &*upgrade.version != "13" {
        // RFC 6455 §4.4
        let fields = &[("Sec-WebSocket-Version", "13")];
        return Err(Response { fields, ..Response::plain(StatusCode::UPGRADE_REQUIRED) });
    }
    // RFC 6455 §4.1: 16 bytes in base64.
    let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/';
    match upgrade.key.as_bytes() {
        [body @ .., b'=', b'='] if body.len() == 22 && body.iter().all(|byte| is_base64(*byte)) => {}
        _ => return Err(Response::plain(StatusCode::BAD_REQUEST)),
    }
    let known = upgrade.protocols.iter().find_map(|protocol| match &**protocol {
        JANUS_PROTOCOL => Some((Subprotocol::Janus, JANUS_PROTOCOL)),
        JANUS_ADMIN_PROTOCOL if operators => Some((Subprotocol::Admin, JANUS_ADMIN_PROTOCOL)),
        _ => None,
    });
    let (subprotocol, name) = known.ok_or(Response::plain(StatusCode::FORBIDDEN))?;
    let accept = tungstenite::handshake::derive_accept_key(upgrade.key.as_bytes());
    out.extend_from_slice(
        format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {accept}\r\nSec-WebSocket-Protocol: {name}\r\n\r\n"
        )
        .as_bytes(),
    );
    Ok(subprotocol)
}

impl WebSocket {
    /// A connection whose handshake has been answered. `rest` came behind the request; `output` is what has not been
    /// written yet.
    pub fn new(rest: Vec<u8>, output: Vec<u8>) -> WebSocket {
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER_BYTES)
            .write_buffer_size(0)
            .max_write_buffer_size(usize::MAX)
            .max_message_size(Some(MESSAGE_JSON_MAX))
            .max_frame_size(Some(MESSAGE_JSON_MAX));
        WebSocket {
            context: WebSocketContext::from_partially_read(rest, Role::Server, Some(config)),
            memory: Memory::new(output),
            state: State::Open,
            pulse: Pulse::Felt,
        }
    }

    /// Takes bytes from the socket.
    pub fn receive(&mut self, bytes: &[u8]) {
        if !self.is_closed() {
            self.memory.input.extend_from_slice(bytes);
        }
    }

    /// The next message, text or binary: a text is known to be UTF-8. Pings are answered and closes echoed on the way.
    pub fn poll(&mut self) -> Option<Bytes> {
        while !self.is_closed() {
            let read = self.context.read(&mut self.memory);
            if read.is_ok() {
                self.pulse = Pulse::Felt;
            }
            match read {
                Ok(Message::Text(text)) if self.state == State::Open => return Some(text.into()),
                Ok(Message::Binary(bytes)) if self.state == State::Open => return Some(bytes),
                Ok(_) => {}
                Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => return None,
                Err(Error::Capacity(_)) => self.violated(CloseReason::TooBig),
                Err(Error::Utf8(_)) => self.violated(CloseReason::NotUtf8),
                Err(Error::Protocol(_)) => self.violated(CloseReason::Protocol),
                // The close handshake is complete, or the connection is beyond use.
                Err(_) => self.state = State::Closed,
            }
        }
        None
    }

    /// Sends a text message.
    pub fn send(&mut self, text: String) {
        if self.state == State::Open {
            // The memory takes every write; what remains are states in which nothing may be sent.
            if self.context.write(&mut self.memory, Message::Text(text.into())).is_err() {
                self.state = State::Closed;
            }
        }
    }

    /// Starts the close handshake; the peer's answer ends it.
    pub fn close(&mut self, reason: CloseReason) {
        if self.state == State::Open {
            self.state = State::Closing;
            if self.context.close(&mut self.memory, Some(reason.frame())).is_err() {
                self.state = State::Closed;
            }
        }
    }

    /// To be called in even intervals. A peer of which nothing was heard in one is pinged (RFC 6455 §5.5.2); when nothing
    /// comes in the next, not even the end of a frame that trickles in, it is false: the peer is gone. So it is for one
    /// that does not answer our close.
    pub fn check_alive(&mut self) -> bool {
        if self.state != State::Open {
            return false;
        }
        self.pulse = match self.pulse {
            Pulse::Felt => Pulse::Missed,
            Pulse::Missed => {
                if self.context.write(&mut self.memory, Message::Ping(Bytes::new())).is_err() {
                    self.state = State::Closed;
                }
                Pulse::Asked
            }
            Pulse::Asked => return false,
        };
        true
    }

    /// After a violation nothing more of the peer's is read (RFC 6455 §7.1.7).
    fn violated(&mut self, reason: CloseReason) {
        self.close(reason);
        self.state = State::Violated;
    }

    /// Whether the connection ends once its output is written.
    pub fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed | State::Violated)
    }

    /// Whether that is because of what the peer has sent.
    pub fn is_violated(&self) -> bool {
        self.state == State::Violated
    }

    /// Whether messages pass.
    pub fn is_open(&self) -> bool {
        self.state == State::Open
    }

    /// Bytes that are to be written.
    pub fn waiting(&self) -> usize {
        self.memory.output.len()
    }

    /// What is to be written.
    pub fn output(&mut self) -> &mut Vec<u8> {
        &mut self.memory.output
    }
}

/// Tungstenite's default is 128 KiB for every connection; messages are some hundred bytes.
const READ_BUFFER_BYTES: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(opcode: u8, fin: bool, payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![opcode | if fin { 0x80 } else { 0 }];
        match payload.len() {
            length @ 0..126 => bytes.push(0x80 | u8::try_from(length).unwrap()),
            length => {
                bytes.push(0x80 | 127);
                bytes.extend_from_slice(&u64::try_from(length).unwrap().to_be_bytes());
            }
        }
        let mask = [1, 2, 3, 4];
        bytes.extend_from_slice(&mask);
        bytes.extend(payload.iter().enumerate().map(|(at, byte)| byte ^ mask[at % 4]));
        bytes
    }

    fn socket() -> WebSocket {
        WebSocket::new(Vec::new(), Vec::new())
    }

    fn close_code(socket: &mut WebSocket) -> u16 {
        let out = socket.output();
        let at = out.iter().position(|byte| *byte == 0x88).expect("a close frame");
        u16::from_be_bytes([out[at + 2], out[at + 3]])
    }

    #[test]
    fn fragments_are_joined_with_pings_between_answered() {
        let mut socket = socket();
        let mut bytes = frame(1, false, b"{\"a\"");
        bytes.extend(frame(9, true, b"hi"));
        bytes.extend(frame(0, true, b":1}"));
        for byte in bytes {
            socket.receive(&[byte]);
            if let Some(message) = socket.poll() {
                assert_eq!(&message[..], b"{\"a\":1}");
            }
        }
        assert_eq!(socket.output().as_slice(), b"\x8a\x02hi");
    }

    #[test]
    fn a_binary_message_is_read_like_a_text_whatever_its_bytes_and_answered_with_text() {
        let mut socket = socket();
        socket.receive(&[frame(2, false, b"{\"a\""), frame(9, true, b""), frame(0, true, b":1}\xff")].concat());
        assert_eq!(socket.poll().as_deref(), Some(b"{\"a\":1}\xff".as_slice()));
        assert_eq!((socket.poll(), std::mem::take(socket.output())), (None, b"\x8a\x00".to_vec()));
        socket.send("{}".into());
        assert_eq!(socket.output().as_slice(), b"\x81\x02{}");
        assert!(!socket.is_closed());
    }

    #[test]
    fn bytes_behind_the_handshake_are_read_first() {
        let mut socket = WebSocket::new(frame(1, true, b"first"), b"101".to_vec());
        assert_eq!(socket.poll().as_deref(), Some(b"first".as_slice()));
        socket.send("reply".into());
        assert_eq!(socket.output().as_slice(), b"101\x81\x05reply");
    }

    #[test]
    fn violations_close_with_their_code() {
        for (bytes, code) in [
            (frame(1, true, b"\xff\xfe"), 1007),
            (frame(1, true, &vec![b'a'; MESSAGE_JSON_MAX + 1]), 1009),
            (frame(2, true, &vec![b'a'; MESSAGE_JSON_MAX + 1]), 1009),
            (frame(3, true, b""), 1002),
            (b"\x81\x01a".to_vec(), 1002),
        ] {
            let mut socket = socket();
            socket.receive(&bytes);
            assert_eq!(socket.poll(), None);
            assert_eq!(close_code(&mut socket), code);
            assert!(socket.is_closed() && socket.is_violated());
            socket.receive(&frame(1, true, b"more"));
            assert_eq!(socket.poll(), None);
        }
    }

    #[test]
    fn a_message_in_fragments_is_bounded_as_a_whole() {
        let mut socket = socket();
        socket.receive(&frame(1, false, &vec![b'a'; MESSAGE_JSON_MAX]));
        assert_eq!(socket.poll(), None);
        socket.receive(&frame(0, true, b"a"));
        assert_eq!(socket.poll(), None);
        assert_eq!(close_code(&mut socket), 1009);
    }

    #[test]
    fn a_close_is_echoed_with_its_code() {
        let mut socket = socket();
        socket.receive(&frame(8, true, &3504u16.to_be_bytes()));
        assert_eq!(socket.poll(), None);
        assert_eq!(close_code(&mut socket), 3504);
        assert!(socket.is_closed());
    }

    #[test]
    fn a_silent_peer_is_asked_once_and_gone_unless_a_whole_frame_comes() {
        let mut socket = socket();
        assert!(socket.check_alive() && socket.output().is_empty());
        assert!(socket.check_alive());
        assert_eq!(std::mem::take(socket.output()), b"\x89\x00");
        socket.receive(&frame(10, true, b""));
        assert_eq!(socket.poll(), None);
        assert!(socket.check_alive() && socket.check_alive());
        assert_eq!(std::mem::take(socket.output()), b"\x89\x00");
        // A frame that trickles in is no sign of life.
        for byte in &frame(1, true, b"{}")[..7] {
            socket.receive(&[*byte]);
            assert_eq!(socket.poll(), None);
        }
        assert!(!socket.check_alive() && !socket.is_violated());
    }

    #[test]
    fn our_close_waits_for_the_peers() {
        let mut socket = socket();
        socket.close(CloseReason::GoingAway);
        assert_eq!(close_code(&mut socket), 1001);
        assert!(!socket.is_closed());
        socket.send("never".into());
        assert!(socket.output().len() < 20);
        socket.receive(&frame(8, true, &1001u16.to_be_bytes()));
        assert_eq!(socket.poll(), None);
        assert!(socket.is_closed());
    }

    #[test]
    fn a_handshake_is_judged() {
        let good = Upgrade {
            key: "dGhlIHNhbXBsZSBub25jZQ==".into(),
            version: "13".into(),
            protocols: vec!["x".into(), JANUS_PROTOCOL.into()],
        };
        let mut out = Vec::new();
        assert_eq!(accept(&good, false, &mut out).unwrap(), Subprotocol::Janus);
        // RFC 6455 §1.3
        assert!(String::from_utf8(out).unwrap().contains("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
        let refused = |upgrade: Upgrade| accept(&upgrade, false, &mut Vec::new()).unwrap_err().status;
        let like = || Upgrade { key: good.key.clone(), version: "13".into(), protocols: good.protocols.clone() };
        assert_eq!(refused(Upgrade { version: "8".into(), ..like() }), StatusCode::UPGRADE_REQUIRED);
        assert_eq!(refused(Upgrade { key: "short".into(), ..like() }), StatusCode::BAD_REQUEST);
        assert_eq!(refused(Upgrade { protocols: vec![], ..like() }), StatusCode::FORBIDDEN);
        assert_eq!(
            refused(Upgrade { protocols: vec!["janus-admin-protocol".into()], ..like() }),
            StatusCode::FORBIDDEN
        );
        let operators = Upgrade { protocols: vec!["janus-admin-protocol".into(), JANUS_PROTOCOL.into()], ..like() };
        let spoken = |may_administer| accept(&operators, may_administer, &mut Vec::new()).unwrap();
        assert_eq!((spoken(true), spoken(false)), (Subprotocol::Admin, Subprotocol::Janus));
    }
}
