//! The client side of RFC 6455 on a socket that never blocks: texts out, texts in, pings answered. It trusts its server as
//! far as a load generator may: a violation closes the connection.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};

/// One connection; the upgrade is under way when it is made.
pub struct WebSocket {
    /// For the poll.
    pub stream: TcpStream,
    output: Vec<u8>,
    input: Vec<u8>,
    /// Texts that came in parts so far.
    text: Vec<u8>,
    /// The server has agreed to the upgrade.
    pub open: bool,
    /// Nothing more will come.
    pub closed: bool,
}

const TEXT: u8 = 1;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

impl WebSocket {
    /// Connects, which the kernel of the other side answers, and asks for the upgrade.
    pub fn connect(at: SocketAddr) -> io::Result<WebSocket> {
        let stream = TcpStream::connect(at)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let request = format!(
            "GET / HTTP/1.1\r\nHost: {at}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: bG9hZCBnZW5lcmF0b3IgMQ==\r\nSec-WebSocket-Protocol: janus-protocol\r\n\r\n"
        );
        let (input, text) = (Vec::new(), Vec::new());
        let mut socket = WebSocket { stream, output: request.into_bytes(), input, text, open: false, closed: false };
        socket.flush();
        Ok(socket)
    }

    /// Sends a text, or as much as fits now; the rest goes with the next [`flush`](Self::flush).
    pub fn send(&mut self, text: &str) {
        self.frame(TEXT, text.as_bytes());
        self.flush();
    }

    fn frame(&mut self, opcode: u8, payload: &[u8]) {
        // FIN; and a mask of zeros, which changes nothing (RFC 6455 §5.3 asks browsers alone for an unpredictable one).
        self.output.push(0x80 | opcode);
        match payload.len() {
            len @ 0..126 => self.output.push(0x80 | len as u8),
            len @ 126..65_536 => {
                self.output.push(0x80 | 126);
                self.output.extend((len as u16).to_be_bytes());
            }
            len => {
                self.output.push(0x80 | 127);
                self.output.extend((len as u64).to_be_bytes());
            }
        }
        self.output.extend([0; 4]);
        self.output.extend(payload);
    }

    /// Writes what has not been written yet.
    pub fn flush(&mut self) {
        while !self.output.is_empty() {
            match self.stream.write(&self.output) {
                Ok(count) => drop(self.output.drain(..count)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => {
                    self.closed = true;
                    return;
                }
            }
        }
    }

    /// Reads what is there.
    pub fn receive(&mut self) {
        let mut bytes = [0; 16 * 1024];
        loop {
            match self.stream.read(&mut bytes) {
                Ok(0) => {
                    self.closed = true;
                    return;
                }
                Ok(count) => self.input.extend(&bytes[..count]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => {
                    self.closed = true;
                    return;
                }
            }
        }
    }

    /// Takes the next text out of what has been read.
    pub fn next_text(&mut self) -> Option<Vec<u8>> {
        if !self.open {
            let end = self.input.windows(4).position(|four| four == b"\r\n\r\n")?;
            self.open = self.input.starts_with(b"HTTP/1.1 101");
            self.closed |= !self.open;
            self.input.drain(..end + 4);
        }
        while let Some((opcode, last, payload, len)) = self.frame_at_front() {
            match opcode {
                PING => {
                    let payload = self.input[payload..len].to_vec();
                    self.frame(PONG, &payload);
                    self.flush();
                }
                CLOSE => self.closed = true,
                PONG => {}
                _ => self.text.extend(&self.input[payload..len]),
            }
            self.input.drain(..len);
            if opcode <= TEXT && last {
                return Some(std::mem::take(&mut self.text));
            }
        }
        None
    }

    /// Opcode, whether it is the last of its message, where its payload begins and where it ends; none until all of it is
    /// there. Servers do not mask.
    fn frame_at_front(&self) -> Option<(u8, bool, usize, usize)> {
        let [first, second, rest @ ..] = &self.input[..] else { return None };
        let (begin, len) = match second & 0x7f {
            126 => (4, u16::from_be_bytes(*rest.first_chunk()?).into()),
            127 => (10, usize::try_from(u64::from_be_bytes(*rest.first_chunk()?)).ok()?),
            len => (2, len.into()),
        };
        (self.input.len() >= begin + len).then_some((first & 0x0f, first & 0x80 != 0, begin, begin + len))
    }
}
