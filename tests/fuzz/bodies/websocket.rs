//! WebSocket frames of one connection: how the bytes are cut into reads changes neither the messages nor the answers.

use portunus::limits::MESSAGE_JSON_MAX;
use portunus::proto::websocket::WebSocket;

/// A byte for the size of the reads, then what the client sends.
pub fn run(data: &[u8]) {
    let Some((&size, sent)) = data.split_first() else { return };
    let at_once = Conversation::of(sent, sent.len().max(1));
    let in_pieces = Conversation::of(sent, usize::from(size).max(1));
    assert_eq!(at_once, in_pieces);
}

#[derive(Debug, PartialEq, Eq)]
struct Conversation {
    messages: Vec<Vec<u8>>,
    closed: bool,
    answers: Vec<u8>,
}

impl Conversation {
    fn of(sent: &[u8], size: usize) -> Conversation {
        let mut socket = WebSocket::new(Vec::new(), Vec::new());
        let mut messages = Vec::new();
        for piece in sent.chunks(size) {
            socket.receive(piece);
            while let Some(message) = socket.poll() {
                assert!(message.len() <= MESSAGE_JSON_MAX);
                messages.push(message.to_vec());
            }
        }
        let closed = socket.is_closed();
        Conversation { messages, closed, answers: std::mem::take(socket.output()) }
    }
}
