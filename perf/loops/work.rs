//! What stands in for the engine: every datagram is copied once for each receiver into the program's send arena, receiver
//! by receiver, as a turn's release does it.

use portunus::engine::arena::{Lane, SendArena, Transmit};
use portunus::id::{FourTuple, SocketId};
use std::net::SocketAddr;

/// Longest datagram that is taken.
const LONGEST: usize = 1500;

/// The turn's datagrams, and the arena for what they become.
pub struct Work {
    pub receivers: Vec<SocketAddr>,
    pub received: u64,
    pub sent: u64,
    packets: Vec<u8>,
    lens: Vec<usize>,
    arena: SendArena,
    flush: usize,
}

impl Work {
    /// For these receivers; what is composed is sent when it has grown to `flush` bytes, or the arena is full.
    pub fn new(receivers: Vec<SocketAddr>, flush: usize) -> Work {
        let packets = Vec::with_capacity(512 * LONGEST);
        Work { receivers, received: 0, sent: 0, packets, lens: Vec::with_capacity(512), arena: SendArena::new(), flush }
    }

    /// One datagram of the turn.
    pub fn take(&mut self, datagram: &[u8]) {
        if datagram.len() <= LONGEST {
            self.received += 1;
            self.packets.extend_from_slice(datagram);
            self.lens.push(datagram.len());
        }
    }

    /// The end of the turn.
    pub fn release(&mut self, to: &mut dyn Transmit) {
        let mut waiting = 0;
        for (receiver, &remote) in (0..).zip(&self.receivers) {
            let path = FourTuple { socket: SocketId(0), remote };
            let mut at = 0;
            for &len in &self.lens {
                if !self.arena.has_room(len) || waiting >= self.flush {
                    to.transmit(&self.arena);
                    self.arena.clear();
                    waiting = 0;
                }
                let packet = &self.packets[at..at + len];
                self.arena.segment(path, Lane::Video, len, |out| {
                    out.copy_from_slice(packet);
                    out[0] = receiver;
                    Some(len)
                });
                waiting += len;
                at += len;
                self.sent += 1;
            }
        }
        to.transmit(&self.arena);
        self.arena.clear();
        self.packets.clear();
        self.lens.clear();
    }
}
