//! The send arena: one region in which a turn's datagrams are composed, grouped into GSO messages as they are written.
//! It knows addresses and sizes only; who may send what was decided before (design: `UDP_SEGMENT`, one buffer, many
//! datagrams of equal size, the last of which may be shorter).

use crate::id::FourTuple;
use crate::limits::{MESSAGE_BYTES_MAX, MESSAGE_SEGMENTS_MAX, SEND_ARENA_BYTES, SEND_MESSAGES_MAX};

/// What a message carries, in the order in which a flush sends: when the socket is full, the later ones are lost first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lane {
    /// STUN, DTLS and RTCP.
    Control,
    Audio,
    Retransmission,
    Video,
}

/// Every lane in sending order.
pub const LANES: [Lane; 4] = [Lane::Control, Lane::Audio, Lane::Retransmission, Lane::Video];

/// One message for the kernel: `len` bytes at `offset`, to be cut into datagrams of `segment` bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message {
    /// From which socket, to where.
    pub to: FourTuple,
    /// First byte in the arena.
    pub offset: usize,
    /// All bytes of the message.
    pub len: usize,
    /// Bytes of every datagram but the last, which may be shorter; equal to `len` for a single datagram.
    pub segment: usize,
    /// How many datagrams.
    pub segments: usize,
    pub lane: Lane,
}

/// Where a full arena goes.
pub trait Transmit {
    /// Sends every message, lane by lane; when this returns, the memory may be used again.
    fn transmit(&mut self, arena: &SendArena);
}

/// The region and its messages.
pub struct SendArena {
    bytes: Box<[u8]>,
    used: usize,
    messages: Vec<Message>,
}

impl SendArena {
    /// Takes its memory once.
    pub fn new() -> SendArena {
        SendArena {
            bytes: vec![0; SEND_ARENA_BYTES].into_boxed_slice(),
            used: 0,
            messages: Vec::with_capacity(SEND_MESSAGES_MAX),
        }
    }

    /// Whether one more datagram of at most `len` bytes fits.
    pub fn has_room(&self, len: usize) -> bool {
        self.bytes.len() - self.used >= len && self.messages.len() < SEND_MESSAGES_MAX
    }

    /// Appends one datagram: `compose` writes into the lent slice of `max` bytes and says how many it used; none means
    /// that there is nothing to send after all. The datagram joins the last message when it may.
    ///
    /// The caller has made sure of [`has_room`](Self::has_room).
    pub fn segment(
        &mut self,
        to: FourTuple,
        lane: Lane,
        max: usize,
        compose: impl FnOnce(&mut [u8]) -> Option<usize>,
    ) -> Option<usize> {
        let offset = self.used;
        let len = compose(&mut self.bytes[offset..offset + max])?;
        debug_assert!(len > 0 && len <= max);
        self.used += len;
        match self.messages.last_mut() {
            Some(last) if last.takes(to, lane, len) => {
                last.len += len;
                last.segments += 1;
            }
            _ => self.messages.push(Message { to, offset, len, segment: len, segments: 1, lane }),
        }
        Some(len)
    }

    /// The messages in the order in which they were composed.
    pub fn messages(&self) -> &[Message] {
        &self.messages
    }

    /// The bytes of one message.
    pub fn bytes(&self, message: &Message) -> &[u8] {
        &self.bytes[message.offset..message.offset + message.len]
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// Forgets what was sent.
    pub fn clear(&mut self) {
        self.used = 0;
        self.messages.clear();
    }
}

impl Default for SendArena {
    fn default() -> Self {
        SendArena::new()
    }
}

impl Message {
    /// Whether one more datagram of `len` bytes may follow in this message: same path and lane, no shorter datagram so
    /// far, none longer than the first.
    fn takes(&self, to: FourTuple, lane: Lane, len: usize) -> bool {
        let full = self.len == self.segment * self.segments;
        self.to == to
            && self.lane == lane
            && full
            && len <= self.segment
            && self.segments < MESSAGE_SEGMENTS_MAX
            && self.len + len <= MESSAGE_BYTES_MAX
    }

    /// The datagrams of the message, given its bytes.
    pub fn datagrams<'a>(&self, bytes: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
        bytes.chunks(self.segment)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::SocketId;

    fn path(port: u16) -> FourTuple {
        FourTuple { socket: SocketId(0), remote: ([127, 0, 0, 1], port).into() }
    }

    fn put(arena: &mut SendArena, port: u16, lane: Lane, len: usize) {
        arena
            .segment(path(port), lane, 1500, |out| {
                out[..len].fill(7);
                Some(len)
            })
            .unwrap();
    }

    fn shapes(arena: &SendArena) -> Vec<(usize, usize)> {
        arena.messages().iter().map(|m| (m.segment, m.segments)).collect()
    }

    #[test]
    fn equal_datagrams_to_one_peer_become_one_message_and_a_shorter_one_ends_it() {
        let mut arena = SendArena::new();
        for len in [1000, 1000, 900, 900] {
            put(&mut arena, 1, Lane::Video, len);
        }
        assert_eq!(shapes(&arena), [(1000, 3), (900, 1)]);
        assert_eq!(arena.messages()[0].datagrams(arena.bytes(&arena.messages()[0])).count(), 3);
    }

    #[test]
    fn a_longer_datagram_another_peer_or_another_lane_begins_a_new_message() {
        let mut arena = SendArena::new();
        put(&mut arena, 1, Lane::Video, 900);
        put(&mut arena, 1, Lane::Video, 901);
        put(&mut arena, 2, Lane::Video, 901);
        put(&mut arena, 2, Lane::Audio, 901);
        assert_eq!(arena.messages().len(), 4);
    }

    #[test]
    fn a_message_stays_under_the_kernels_limits() {
        let mut arena = SendArena::new();
        for _ in 0..100 {
            put(&mut arena, 1, Lane::Video, 1200);
        }
        assert!(arena.messages().iter().all(|m| m.segments <= MESSAGE_SEGMENTS_MAX && m.len <= MESSAGE_BYTES_MAX));
        assert_eq!(arena.messages().iter().map(|m| m.segments).sum::<usize>(), 100);
    }

    #[test]
    fn a_datagram_that_was_not_composed_leaves_no_trace() {
        let mut arena = SendArena::new();
        assert_eq!(arena.segment(path(1), Lane::Video, 1500, |_| None), None);
        assert!(arena.is_empty() && arena.has_room(SEND_ARENA_BYTES));
    }
}
