//! The library's socket, without a network: one datagram to read at a time, a short queue of written ones, boundaries kept.
//! A full queue loses datagrams as a network would; DTLS repeats what mattered.

use std::collections::VecDeque;
use std::io::{self, Read, Write};

/// Datagrams in one queue: a flight of the longest certificate chain at our MTU; a queue polled in time holds one or two.
const QUEUE_DATAGRAMS_MAX: usize = 16;

/// A bounded queue that keeps datagram boundaries.
#[derive(Default)]
pub(super) struct Datagrams(VecDeque<Vec<u8>>);

impl Datagrams {
    /// Appends one; false when it was dropped because the queue is full.
    pub(super) fn push(&mut self, bytes: &[u8]) -> bool {
        let room = self.has_room();
        if room {
            self.0.push_back(bytes.to_vec());
        }
        room
    }

    /// Takes the oldest into `out`, which must hold it.
    pub(super) fn pop_into(&mut self, out: &mut [u8]) -> Option<usize> {
        let datagram = self.0.pop_front()?;
        if self.0.is_empty() {
            self.0 = VecDeque::new(); // an idle peer keeps no buffer
        }
        out[..datagram.len()].copy_from_slice(&datagram);
        Some(datagram.len())
    }

    pub(super) fn has_room(&self) -> bool {
        self.0.len() < QUEUE_DATAGRAMS_MAX
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

/// What the library reads from and writes to.
#[derive(Default)]
pub(super) struct Memory {
    inbound: Vec<u8>,
    pub(super) outbound: Datagrams,
}

impl Memory {
    /// Lends the library one datagram; what it did not read of the last one is gone.
    pub(super) fn receive(&mut self, datagram: &[u8]) {
        self.inbound = datagram.to_vec();
    }
}

impl Read for Memory {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.inbound.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let datagram = std::mem::take(&mut self.inbound);
        let len = datagram.len().min(out.len());
        out[..len].copy_from_slice(&datagram[..len]);
        Ok(len)
    }
}

impl Write for Memory {
    fn write(&mut self, datagram: &[u8]) -> io::Result<usize> {
        self.outbound.push(datagram);
        Ok(datagram.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_write_is_one_datagram_and_each_datagram_is_read_once() {
        let mut memory = Memory::default();
        let mut out = [0; 8];
        memory.write_all(b"one").unwrap();
        memory.write_all(b"three").unwrap();
        assert_eq!((memory.outbound.pop_into(&mut out), &out[..3]), (Some(3), &b"one"[..]));
        assert_eq!((memory.outbound.pop_into(&mut out), &out[..5]), (Some(5), &b"three"[..]));
        assert_eq!(memory.outbound.pop_into(&mut out), None);
        memory.receive(b"datagram");
        assert_eq!((memory.read(&mut out[..4]).unwrap(), &out[..4]), (4, &b"data"[..]));
        assert_eq!(memory.read(&mut out).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    }

    #[test]
    fn a_full_queue_drops_the_newest() {
        let mut queue = Datagrams::default();
        assert!((0..QUEUE_DATAGRAMS_MAX).all(|_| queue.push(b"x")));
        assert!(!queue.push(b"y"));
        assert_eq!(queue.len(), QUEUE_DATAGRAMS_MAX);
    }
}
