//! The plaintext packets of one layer, newest first to go out and kept a while to be sent again: a byte ring of
//! payloads with a ring of entries over it, named by ever-growing positions. It knows no leg and no key (RFC 4588 §4
//! is served from here).

use std::ops::Range;

use crate::time::Mono;

/// What is known of one kept packet besides its payload bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// Sequence number, extended (RFC 3550 A.1).
    pub sequence: u64,
    /// RTP timestamp as received.
    pub timestamp: u32,
    pub marker: bool,
    /// Whether it begins a keyframe.
    pub keyframe: bool,
    /// When the kernel received it.
    pub received: Mono,
    /// Whether a later one was here before it.
    pub late: bool,
    /// `ssrc-audio-level` byte, V bit included.
    pub audio_level: Option<u8>,
    /// `video-orientation` byte.
    pub orientation: Option<u8>,
    /// `playout-delay`, 24 bits.
    pub playout_delay: Option<[u8; 3]>,
    pub(in crate::media) offset: u32,
    pub(in crate::media) len: u16,
}

impl Entry {
    /// Payload bytes.
    pub fn payload_len(&self) -> usize {
        usize::from(self.len)
    }
}

/// The ring. Positions are never reused; a position that has been overwritten is simply gone.
pub struct History {
    bytes: Box<[u8]>,
    entries: Box<[Entry]>,
    write: usize,
    first: u64,
    next: u64,
}

impl History {
    /// A ring of `bytes` payload bytes and `entries` packets (a power of two).
    pub fn new(bytes: usize, entries: usize) -> History {
        assert!(entries.is_power_of_two() && bytes >= 2 * crate::limits::DATAGRAM_MAX);
        History {
            bytes: vec![0; bytes].into_boxed_slice(),
            entries: vec![Entry::default(); entries].into_boxed_slice(),
            write: 0,
            first: 0,
            next: 0,
        }
    }

    /// The position that the next packet will get.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// Positions that can still be read.
    pub fn kept(&self) -> Range<u64> {
        self.first..self.next
    }

    /// Memory held, in bytes.
    pub fn footprint(&self) -> usize {
        self.bytes.len() + std::mem::size_of_val(&*self.entries)
    }

    /// Whether keeping one more packet of `len` bytes would overwrite the packet at `position`.
    pub fn would_overwrite(&self, position: u64, len: usize) -> bool {
        position < self.next && self.first_after(len).1 > position
    }

    /// Keeps a packet and says its position.
    pub fn push(&mut self, entry: Entry, payload: &[u8]) -> u64 {
        let (offset, first) = self.first_after(payload.len());
        self.first = first;
        self.bytes[offset..offset + payload.len()].copy_from_slice(payload);
        self.write = offset + room(payload.len());
        let position = self.next;
        let slot = self.slot(position);
        // Both fit: a payload is at most DATAGRAM_MAX bytes and the ring is far below 4 GiB.
        self.entries[slot] = Entry { offset: offset as u32, len: payload.len() as u16, ..entry };
        self.next += 1;
        position
    }

    /// The packet at a position, while it is kept.
    pub fn get(&self, position: u64) -> Option<(&Entry, &[u8])> {
        if !self.kept().contains(&position) {
            return None;
        }
        let entry = &self.entries[self.slot(position)];
        let offset = entry.offset as usize;
        Some((entry, &self.bytes[offset..offset + entry.payload_len()]))
    }

    /// The position of which the low half is `low`: the last one before the write mark.
    pub fn position(&self, low: u32) -> Option<u64> {
        let behind = ((self.next & 0xffff_ffff) as u32).wrapping_sub(low);
        self.next.checked_sub(behind.into())
    }

    fn slot(&self, position: u64) -> usize {
        (position % self.entries.len() as u64) as usize
    }

    /// Where a payload of `len` bytes would go, and which position would then be the oldest.
    fn first_after(&self, len: usize) -> (usize, u64) {
        let len = room(len);
        let offset = if self.write + len <= self.bytes.len() { self.write } else { 0 };
        let mut first = self.first.max((self.next + 1).saturating_sub(self.entries.len() as u64));
        // The oldest packets lie directly behind the write mark (after the jump to 0, from the write mark to the end,
        // then from 0): drop them while they stand in the way or were jumped over.
        while first < self.next {
            let entry = &self.entries[self.slot(first)];
            let (start, end) = (entry.offset as usize, entry.offset as usize + room(entry.payload_len()));
            let jumped = offset < self.write && start >= self.write;
            let overlaps = start < offset + len && offset < end;
            if !jumped && !overlaps {
                break;
            }
            first += 1;
        }
        (offset, first)
    }
}

/// Bytes of the ring that a payload takes: an empty one too has a place of its own, so that packets lie in their order.
fn room(len: usize) -> usize {
    len.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_kept_packet_reads_back_as_it_was() {
        let mut history = History::new(4000, 8);
        let entry = Entry { sequence: 70_000, timestamp: 5, marker: true, ..Entry::default() };
        let at = history.push(entry, b"payload");
        let (kept, payload) = history.get(at).unwrap();
        assert_eq!((kept.sequence, kept.marker, payload), (70_000, true, &b"payload"[..]));
        assert!(history.get(at + 1).is_none());
    }

    #[test]
    fn the_entry_ring_bounds_the_count() {
        let mut history = History::new(100_000, 8);
        for i in 0..20u64 {
            history.push(Entry { sequence: i, ..Entry::default() }, &[0; 10]);
        }
        assert_eq!(history.kept(), 12..20);
    }

    #[test]
    fn packets_without_payload_do_not_hide_what_is_overwritten_behind_them() {
        let mut history = History::new(3500, 8);
        for (i, size) in [0, 0, 1500, 1500, 0].into_iter().enumerate() {
            history.push(Entry::default(), &vec![i as u8; size]);
        }
        assert!(history.would_overwrite(2, 1000), "the next packet goes where the first of 1500 bytes lies");
        history.push(Entry::default(), &[5; 1000]);
        assert_eq!(history.kept(), 3..6);
        assert!(history.get(4).unwrap().1.is_empty());
    }

    proptest! {
        #[test]
        fn what_is_kept_is_never_overwritten(sizes in proptest::collection::vec(0usize..1400, 1..400)) {
            let mut history = History::new(8000, 64);
            let mut model: Vec<Vec<u8>> = Vec::new();
            for (i, size) in sizes.into_iter().enumerate() {
                let payload = vec![i as u8; size];
                let oldest = history.kept().start;
                let warned = history.would_overwrite(oldest, size);
                history.push(Entry { sequence: i as u64, ..Entry::default() }, &payload);
                prop_assert_eq!(warned, history.get(oldest).is_none() && oldest < i as u64);
                model.push(payload);
                for position in history.kept() {
                    let (entry, bytes) = history.get(position).unwrap();
                    prop_assert_eq!(entry.sequence, position);
                    prop_assert_eq!(bytes, &model[position as usize][..]);
                }
                let kept: usize = history.kept().map(|p| model[p as usize].len()).sum();
                prop_assert!(kept <= 8000);
                // At least half of the ring is in use once it has been filled by ordinary packets.
                prop_assert!(history.kept().end - history.kept().start >= 1);
            }
        }
    }
}
