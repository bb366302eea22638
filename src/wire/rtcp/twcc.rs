//! Transport-wide congestion control feedback: which packets of a whole transport arrived, and when.
//! draft-holmer-rmcat-transport-wide-cc-extensions-01 §3.1. What to report is `proto/congestion`.

use super::{Body, Composer, packet_type};
use crate::wire::error::WireError;
use crate::wire::reader::Reader;
use crate::wire::rtp::sequence::sequence_plus;

/// The fixed part of a feedback packet, §3.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Feedback {
    pub sender_ssrc: u32,
    /// One of the sources that were received; the numbers span all of them.
    pub media_ssrc: u32,
    /// The transport-wide sequence number of the first status.
    pub base_sequence: u16,
    /// The instant the first delta counts from, in steps of 64 ms: 24 bits signed, wrapping.
    pub reference_time: i32,
    /// Counts feedback packets, so that the sender sees lost ones.
    pub feedback_count: u8,
}

/// A received feedback packet: as many statuses and deltas as it announces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransportFeedback<'a> {
    /// The fixed part.
    pub feedback: Feedback,
    /// How many packets are reported, received or not.
    pub status_count: u16,
    chunks: &'a [[u8; 2]],
    deltas: &'a [u8],
}

impl<'a> TransportFeedback<'a> {
    pub(super) fn parse(body: Body<'a>) -> Result<Self, WireError> {
        const WHAT: &str = "TWCC feedback";
        let mut r = body.reader();
        let (sender_ssrc, media_ssrc) = (r.u32(WHAT)?, r.u32(WHAT)?);
        let (base_sequence, status_count) = (r.u16(WHAT)?, r.u16(WHAT)?);
        let [t0, t1, t2, feedback_count] = r.array(WHAT)?;
        // The shift carries the sign of the 24-bit number.
        let reference_time = i32::from_be_bytes([t0, t1, t2, 0]) >> 8;
        let feedback = Feedback { sender_ssrc, media_ssrc, base_sequence, reference_time, feedback_count };

        let rest = r.rest();
        let mut r = Reader::new(rest);
        let (mut left, mut delta_bytes) = (status_count, 0);
        while left > 0 {
            let chunk = Chunk(r.u16("TWCC status chunk")?);
            let used = chunk.len().min(left);
            delta_bytes += chunk.delta_bytes(used)?;
            left -= used;
        }
        let (chunks, _) = rest[..rest.len() - r.len()].as_chunks();
        let deltas = r.take(delta_bytes, "TWCC deltas")?;
        Ok(TransportFeedback { feedback, status_count, chunks, deltas })
    }

    /// Every reported packet: its transport-wide sequence number and, if it was received, when: in microseconds on the
    /// receiver's clock, whose zero is that of the reference time. There may be 65535 of them in a few bytes.
    pub fn arrivals(&self) -> impl Iterator<Item = (u16, Option<i64>)> + use<'a> {
        let mut deltas = Reader::new(self.deltas);
        let mut at = i64::from(self.feedback.reference_time) * REFERENCE_US;
        let mut sequence = self.feedback.base_sequence;
        let mut left = self.status_count;
        self.chunks
            .iter()
            .flat_map(move |bytes| {
                let chunk = Chunk(u16::from_be_bytes(*bytes));
                let used = chunk.len().min(left);
                left -= used;
                (0..used).map(move |index| chunk.symbol(index))
            })
            .map(move |symbol| {
                let delta = match symbol {
                    Symbol::Small => deltas.u8("TWCC delta").ok().map(i64::from),
                    Symbol::Large => deltas.u16("TWCC delta").ok().map(|delta| i64::from(delta.cast_signed())),
                    Symbol::NotReceived | Symbol::Reserved => None,
                };
                let reported = sequence;
                sequence = sequence_plus(sequence, 1);
                (
                    reported,
                    delta.map(|delta| {
                        at += delta * DELTA_US;
                        at
                    }),
                )
            })
    }
}

impl Feedback {
    /// Writes a packet with one status for each sequence number from the base on, and gives its length.
    /// `None` is a packet that did not arrive; else the time since the one that did before it (for the first: since the
    /// reference time), in steps of 250 us. Fails when it does not fit or has more than 65535 statuses.
    pub fn write(&self, statuses: &[Option<i16>], out: &mut [u8]) -> Result<usize, WireError> {
        let count = u16::try_from(statuses.len()).map_err(|_| WireError::BadLength("TWCC feedback"))?;
        let mut c = Composer::new(out, packet_type::FORMAT_TWCC, packet_type::TRANSPORT_FEEDBACK)?;
        c.put_u32(self.sender_ssrc)?;
        c.put_u32(self.media_ssrc)?;
        c.put(&self.base_sequence.to_be_bytes())?;
        c.put(&count.to_be_bytes())?;
        let [_, t0, t1, t2] = self.reference_time.to_be_bytes();
        c.put(&[t0, t1, t2, self.feedback_count])?;
        let mut rest = statuses;
        while !rest.is_empty() {
            let (chunk, used) = Chunk::covering(rest);
            c.put(&chunk.0.to_be_bytes())?;
            rest = &rest[used..];
        }
        for delta in statuses.iter().flatten() {
            match u8::try_from(*delta) {
                Ok(small) => c.put(&[small])?,
                Err(_) => c.put(&delta.to_be_bytes())?,
            }
        }
        // Zeros up to 32 bits without the padding bit: the statuses say where the deltas end.
        c.finish()
    }

    /// The most statuses whose packet fits `bytes` whatever they are: all large deltas in chunks of seven.
    pub const fn statuses_within(bytes: usize) -> usize {
        bytes.saturating_sub(FIXED_LEN + CHUNK_LEN + 3) * 7 / (7 * 2 + CHUNK_LEN)
    }
}

/// What is said of one packet, §3.1.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Symbol {
    NotReceived,
    Small,
    Large,
    Reserved,
}

impl Symbol {
    fn of(status: Option<i16>) -> Self {
        match status {
            None => Symbol::NotReceived,
            Some(0..=255) => Symbol::Small,
            Some(_) => Symbol::Large,
        }
    }

    fn from_bits(bits: u16) -> Self {
        match bits & 3 {
            0 => Symbol::NotReceived,
            1 => Symbol::Small,
            2 => Symbol::Large,
            _ => Symbol::Reserved,
        }
    }

    fn bits(self) -> u16 {
        match self {
            Symbol::NotReceived => 0,
            Symbol::Small => 1,
            Symbol::Large => 2,
            Symbol::Reserved => 3,
        }
    }
}

/// A packet status chunk: a run length (§3.1.3), or a vector of one-bit or two-bit symbols (§3.1.4).
#[derive(Clone, Copy)]
struct Chunk(u16);

impl Chunk {
    const VECTOR: u16 = 0x8000;
    const TWO_BIT: u16 = 0x4000;
    const RUN_MAX: usize = 0x1fff;

    /// How many symbols it has; a run of none is allowed and says nothing.
    fn len(self) -> u16 {
        match self.0 & (Self::VECTOR | Self::TWO_BIT) {
            0xc000 => 7,
            Self::VECTOR => 14,
            _ => self.0 & 0x1fff,
        }
    }

    fn symbol(self, index: u16) -> Symbol {
        match self.0 & (Self::VECTOR | Self::TWO_BIT) {
            0xc000 => Symbol::from_bits(self.0 >> (12 - 2 * index)),
            Self::VECTOR => Symbol::from_bits(self.0 >> (13 - index) & 1),
            _ => Symbol::from_bits(self.0 >> 13),
        }
    }

    /// Bytes of deltas for its first `used` symbols. Looks at a run once, however long.
    fn delta_bytes(self, used: u16) -> Result<usize, WireError> {
        let each = |symbol| match symbol {
            Symbol::NotReceived => Ok(0),
            Symbol::Small => Ok(1),
            Symbol::Large => Ok(2),
            Symbol::Reserved => Err(WireError::BadValue("TWCC status")),
        };
        if self.0 & Self::VECTOR == 0 {
            return Ok(each(self.symbol(0))? * usize::from(used));
        }
        (0..used).try_fold(0, |sum, index| Ok(sum + each(self.symbol(index))?))
    }

    /// The chunk that covers most of the first statuses, and how many. There is at least one status.
    fn covering(statuses: &[Option<i16>]) -> (Chunk, usize) {
        let first = Symbol::of(statuses[0]);
        let symbols = |most: usize| statuses.iter().take(most).map(|status| Symbol::of(*status));
        let run = symbols(Self::RUN_MAX).take_while(|symbol| *symbol == first).count();
        let one_bit = symbols(14).all(|symbol| symbol != Symbol::Large);
        if run >= if one_bit { 14 } else { 7 } {
            return (Chunk(first.bits() << 13 | (run & Self::RUN_MAX) as u16), run);
        }
        let (kind, width, most) = if one_bit { (Self::VECTOR, 1, 14) } else { (Self::VECTOR | Self::TWO_BIT, 2, 7) };
        let used = statuses.len().min(most);
        // Symbols fill from the left; what is beyond the status count stays zero.
        let bits = symbols(used).fold(0, |bits, symbol| bits << width | symbol.bits());
        (Chunk(kind | bits << (width * (most - used))), used)
    }
}

/// One step of the reference time in microseconds.
pub const REFERENCE_US: i64 = 64_000;
/// One step of a delta in microseconds.
pub const DELTA_US: i64 = 250;
const FIXED_LEN: usize = 20;
const CHUNK_LEN: usize = 2;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::rtcp::{Compound, Packet};
    use proptest::prelude::*;

    const HEAD: Feedback =
        Feedback { sender_ssrc: 1, media_ssrc: 2, base_sequence: 65_534, reference_time: 4, feedback_count: 9 };

    fn read(bytes: &[u8]) -> Result<TransportFeedback<'_>, WireError> {
        match Compound::new(bytes).next().unwrap()? {
            Packet::TransportFeedback(parsed) => Ok(parsed),
            other => panic!("{other:?}"),
        }
    }

    /// The chunks that `statuses` are written as.
    fn chunks(statuses: &[Option<i16>]) -> Vec<u16> {
        let mut out = [0; 2000];
        let len = HEAD.write(statuses, &mut out).unwrap();
        read(&out[..len]).unwrap().chunks.iter().map(|bytes| u16::from_be_bytes(*bytes)).collect()
    }

    fn with_chunks(count: u16, rest: &[u8]) -> Vec<u8> {
        let words = u8::try_from(4 + rest.len() / 4).unwrap();
        let mut bytes = vec![0x8f, 205, 0, words, 0, 0, 0, 1, 0, 0, 0, 2, 0xff, 0xfe];
        bytes.extend(count.to_be_bytes());
        bytes.extend([0, 0, 4, 9]);
        bytes.extend(rest);
        bytes
    }

    #[test]
    fn a_feedback_packet_is_laid_out_as_in_the_figure() {
        let mut out = [0xff; 64];
        let len = HEAD.write(&[Some(2), None, Some(-1), Some(255)], &mut out).unwrap();
        #[rustfmt::skip]
        assert_eq!(out[..len], [
            0x8f, 205, 0, 6, 0, 0, 0, 1, 0, 0, 0, 2, 0xff, 0xfe, 0, 4, 0, 0, 4, 9,
            0b1101_0010, 0b0100_0000, 2, 0xff, 0xff, 255, 0, 0,
        ]);
        let arrivals: Vec<_> = read(&out[..len]).unwrap().arrivals().collect();
        let base = 4 * 64_000;
        assert_eq!(
            arrivals,
            [(65_534, Some(base + 500)), (65_535, None), (0, Some(base + 250)), (1, Some(base + 250 + 63_750)),]
        );
    }

    #[test]
    fn the_example_chunks_of_the_draft_are_read() {
        // §3.1.3: a run of 221 not received, and one of 24 with the symbol now reserved. §3.1.4: one-bit and two-bit vectors.
        assert_eq!(Chunk(0b0000_0000_1101_1101).len(), 221);
        assert_eq!(Chunk(0b0000_0000_1101_1101).symbol(220), Symbol::NotReceived);
        assert_eq!(
            (Chunk(0b0110_0000_0001_1000).len(), Chunk(0b0110_0000_0001_1000).symbol(0)),
            (24, Symbol::Reserved)
        );
        let one_bit = Chunk(0b1001_1111_0001_1100);
        let received: Vec<u16> = (0..14).map(|index| one_bit.symbol(index).bits()).collect();
        assert_eq!(received, [0, 1, 1, 1, 1, 1, 0, 0, 0, 1, 1, 1, 0, 0]);
        let two_bit = Chunk(0b1100_1101_0101_0000);
        let received: Vec<u16> = (0..7).map(|index| two_bit.symbol(index).bits()).collect();
        assert_eq!(received, [0, 3, 1, 1, 1, 0, 0]);
    }

    #[test]
    fn runs_and_vectors_are_chosen_by_what_covers_more() {
        assert_eq!(chunks(&[Some(1); 20]), [0x2000 | 20]);
        assert_eq!(chunks(&[None; 9000]), [0x1fff, 9000 - 0x1fff]);
        assert_eq!(chunks(&[Some(300); 8]), [0x4000 | 8]);
        assert_eq!(chunks(&[Some(1), None, Some(1)]), [0x8000 | 0b10_1000_0000_0000]);
        let mut mixed = vec![Some(1); 10];
        mixed.extend([Some(300), None]);
        assert_eq!(chunks(&mixed), [0x2000 | 10, 0xc000 | 0b10_00_00_00_00_00_00]);
    }

    #[test]
    fn a_run_longer_than_the_count_is_cut_and_a_run_of_none_is_skipped() {
        let bytes = with_chunks(2, &[0x20, 0, 0x3f, 0xff, 4, 4, 0, 0]);
        let parsed = read(&bytes).unwrap();
        assert_eq!(parsed.arrivals().collect::<Vec<_>>(), [(65_534, Some(257_000)), (65_535, Some(258_000))]);
    }

    #[test]
    fn missing_chunks_missing_deltas_and_reserved_statuses_are_refused() {
        assert_eq!(read(&with_chunks(15, &[])), Err(WireError::Truncated("TWCC status chunk")));
        assert_eq!(read(&with_chunks(3, &[0x20, 3, 1, 2])), Err(WireError::Truncated("TWCC deltas")));
        assert_eq!(read(&with_chunks(1, &[0x60, 1, 0, 0])), Err(WireError::BadValue("TWCC status")));
        assert!(read(&with_chunks(0, &[])).is_ok());
    }

    #[test]
    fn the_reference_time_is_signed() {
        let mut out = [0; 64];
        let head = Feedback { reference_time: -1, ..HEAD };
        let len = head.write(&[Some(0)], &mut out).unwrap();
        assert_eq!(read(&out[..len]).unwrap().feedback, head);
        assert_eq!(read(&out[..len]).unwrap().arrivals().next(), Some((65_534, Some(-64_000))));
    }

    fn any_status() -> impl Strategy<Value = Option<i16>> {
        prop_oneof![3 => Just(None), 6 => (0i16..=255).prop_map(Some), 1 => any::<i16>().prop_map(Some)]
    }

    /// Stretches of equal kinds, so that runs happen.
    fn any_statuses() -> impl Strategy<Value = Vec<Option<i16>>> {
        proptest::collection::vec((any_status(), 1usize..30), 0..30)
            .prop_map(|runs| runs.into_iter().flat_map(|(status, times)| std::iter::repeat_n(status, times)).collect())
    }

    proptest! {
        #[test]
        fn what_is_written_is_what_is_read(statuses in any_statuses(), base_sequence: u16, reference_time in -(1i32 << 23)..1 << 23) {
            let head = Feedback { base_sequence, reference_time, ..HEAD };
            let mut out = [0xff; 4000];
            let len = head.write(&statuses, &mut out).unwrap();
            let parsed = read(&out[..len]).unwrap();
            prop_assert_eq!(parsed.feedback, head);
            let (mut at, mut sequence) = (i64::from(reference_time) * REFERENCE_US, base_sequence);
            let expected: Vec<_> = statuses.iter().map(|status| {
                let reported = sequence;
                sequence = sequence_plus(sequence, 1);
                (reported, status.map(|delta| { at += i64::from(delta) * DELTA_US; at }))
            }).collect();
            prop_assert_eq!(parsed.arrivals().collect::<Vec<_>>(), expected);
        }

        #[test]
        fn the_promised_number_of_statuses_always_fits(bytes in 0usize..1500, kinds in proptest::collection::vec(any_status(), 700)) {
            let count = Feedback::statuses_within(bytes);
            let mut out = vec![0; bytes];
            if count > 0 {
                prop_assert!(HEAD.write(&kinds[..count], &mut out).is_ok());
                prop_assert!(HEAD.write(&vec![Some(-1); count], &mut out).is_ok());
            }
        }
    }
}
