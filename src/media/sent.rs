//! What a leg remembers of the packets it has sent, so that they can be sent again: 16 bytes each, by outgoing number. The
//! payload is in the stream's history as long as it is; how a packet is sent again is not decided here (RFC 4588 §4).

use std::num::NonZeroU16;
use std::time::Duration;

use crate::limits::{AUDIO_SENT_MAX, RESENDS_SAVED_MAX, VIDEO_SENT_MAX};
use crate::time::Mono;
use crate::wire::rtp::ExtSeq;
use crate::wire::sdp::MediaKind;

/// The newest packets of one leg, and how many of them may be sent again.
pub struct SentPackets {
    entries: Box<[Entry]>,
    highest: ExtSeq,
    /// Halves of resends: half a one is earned with each packet, so that resends never take more than a third of what
    /// the leg sends, whatever is asked for.
    credit: u16,
}

/// One packet: where its content is, and what its header had that can be had nowhere else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SentPacket {
    /// Low half of its position in the history of the leg's source.
    pub position: u32,
    /// Transport-wide sequence number.
    pub transport_sequence: u16,
    /// `abs-send-time`, 24 bits.
    pub abs_send_time: [u8; 3],
    /// Bytes of padding.
    pub padding: u8,
}

#[derive(Clone, Copy)]
struct Entry {
    /// Low half of the outgoing number. Of a vacant entry it is one that belongs into another place.
    number: u32,
    position: u32,
    transport_sequence: u16,
    abs_send_time: [u8; 3],
    padding: u8,
    /// When it was sent again last, in milliseconds modulo 2^16. The history forgets a packet long before that wraps.
    resent: Option<NonZeroU16>,
}

const _: () = assert!(size_of::<Entry>() == 16);

/// Why a packet is not sent again although it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Throttled;

impl SentPackets {
    /// Takes its memory: the only time.
    pub fn new(kind: MediaKind) -> SentPackets {
        let len = if kind == MediaKind::Audio { AUDIO_SENT_MAX } else { VIDEO_SENT_MAX };
        let mut sent = SentPackets {
            entries: vec![VACANT; len].into_boxed_slice(),
            highest: ExtSeq(0),
            credit: HALVES * RESENDS_SAVED_MAX / 4,
        };
        sent.forget();
        sent
    }

    /// Remembers the packet sent as `number`.
    pub fn record(&mut self, number: u64, packet: SentPacket) {
        let slot = self.slot(number);
        let SentPacket { position, transport_sequence, abs_send_time, padding } = packet;
        self.entries[slot] =
            Entry { number: low(number), position, transport_sequence, abs_send_time, padding, resent: None };
        self.highest = self.highest.max(ExtSeq(number));
        self.credit = (self.credit + 1).min(HALVES * RESENDS_SAVED_MAX);
    }

    /// The packet that had a sequence number, with its whole number.
    pub fn get(&self, sequence: u16) -> Option<(u64, SentPacket)> {
        let number = self.highest.nearest(sequence).0;
        let entry = &self.entries[self.slot(number)];
        let Entry { position, transport_sequence, abs_send_time, padding, .. } = *entry;
        (entry.number == low(number))
            .then_some((number, SentPacket { position, transport_sequence, abs_send_time, padding }))
    }

    /// Asks whether that packet may be sent again now, and notes that it is. `spacing` is below a minute.
    ///
    /// # Errors
    /// When it was sent again less than `spacing` ago, or when too much was sent again already.
    pub fn permit(&mut self, number: u64, now: Mono, spacing: Duration) -> Result<(), Throttled> {
        let slot = self.slot(number);
        let entry = &mut self.entries[slot];
        let now = ((now.0 / 1_000_000) & 0xffff) as u16;
        if let Some(before) = entry.resent
            && u128::from(now.wrapping_sub(before.get())) < spacing.as_millis()
        {
            return Err(Throttled);
        }
        self.credit = self.credit.checked_sub(HALVES).ok_or(Throttled)?;
        entry.resent = Some(NonZeroU16::new(now).unwrap_or(NonZeroU16::MIN));
        Ok(())
    }

    /// Forgets every packet: the source or the header has changed, so that none could be made again.
    pub fn forget(&mut self) {
        for (entry, slot) in self.entries.iter_mut().zip(0..) {
            entry.number = slot + 1;
        }
    }

    fn slot(&self, number: u64) -> usize {
        (number % self.entries.len() as u64) as usize
    }
}

fn low(number: u64) -> u32 {
    (number & 0xffff_ffff) as u32
}

const HALVES: u16 = 2;
const VACANT: Entry =
    Entry { number: 0, position: 0, transport_sequence: 0, abs_send_time: [0; 3], padding: 0, resent: None };

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;
    const SPACING: Duration = Duration::from_millis(20);

    fn packet(position: u32) -> SentPacket {
        SentPacket { position, transport_sequence: 3, abs_send_time: [1, 2, 3], padding: 1 }
    }

    fn with(numbers: impl IntoIterator<Item = u64>) -> SentPackets {
        let mut sent = SentPackets::new(MediaKind::Audio);
        for number in numbers {
            sent.record(number, packet(low(number)));
        }
        sent
    }

    #[test]
    fn a_packet_is_found_by_its_sequence_number_until_another_takes_its_place() {
        let sent = with(65_500..65_600);
        assert_eq!(sent.get(65_500), Some((65_500, packet(65_500))));
        assert_eq!(sent.get(10), Some((65_546, packet(65_546))));
        assert_eq!((sent.get(65_499), sent.get(64)), (None, None));
        let sent = with(65_400..65_600);
        assert_eq!((sent.get(65_471), sent.get(65_472)), (None, Some((65_472, packet(65_472)))));
    }

    #[test]
    fn nothing_is_found_in_a_ring_that_is_new_or_was_forgotten() {
        let mut sent = with([]);
        assert!((0..300).all(|sequence| sent.get(sequence).is_none()));
        sent.record(7, packet(7));
        sent.forget();
        assert!((0..300).all(|sequence| sent.get(sequence).is_none()));
    }

    #[test]
    fn a_late_packet_is_remembered_in_its_place() {
        let mut sent = with([1, 2, 4]);
        assert_eq!(sent.get(3), None);
        sent.record(3, packet(9));
        assert_eq!((sent.get(3), sent.get(4)), (Some((3, packet(9))), Some((4, packet(4)))));
    }

    #[test]
    fn a_packet_is_sent_again_once_in_a_round_trip() {
        for start in [0, 65_530 * MS] {
            let mut sent = with([1]);
            let results: Vec<bool> = (0..50).map(|ms| sent.permit(1, Mono(start + ms * MS), SPACING).is_ok()).collect();
            let resent: Vec<usize> = (0..50).filter(|ms| results[*ms]).collect();
            assert!(resent == [0, 20, 40] || resent == [0, 21, 41], "{resent:?}");
        }
    }

    #[test]
    fn resends_are_a_share_of_what_is_sent_whoever_asks() {
        let mut sent = with([1]);
        let ask =
            |sent: &mut SentPackets| (0..1000).filter(|_| sent.permit(1, Mono(0), Duration::ZERO).is_ok()).count();
        assert_eq!(ask(&mut sent), 32);
        (2..12).for_each(|number| sent.record(number, packet(0)));
        assert_eq!(ask(&mut sent), 5);
        (12..5000).for_each(|number| sent.record(number, packet(0)));
        assert_eq!(ask(&mut sent), 128);
    }
}
