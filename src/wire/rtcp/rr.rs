//! Receiver reports and the report blocks they share with sender reports. RFC 3550 §6.4.2.

use super::{Body, Composer, count_of, counted, packet_type};
use crate::wire::error::WireError;

/// A receiver report; empty ones introduce a compound packet. Profile-specific extensions are ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReceiverReport<'a> {
    pub ssrc: u32,
    /// At most 31 blocks as they are on the wire; see [`ReportBlock`].
    pub blocks: &'a [[u8; ReportBlock::LEN]],
}

impl<'a> ReceiverReport<'a> {
    pub(super) fn parse(body: Body<'a>) -> Result<Self, WireError> {
        let mut r = body.reader();
        let ssrc = r.u32("RR")?;
        let blocks = counted(&mut r, usize::from(body.count), "RR report blocks")?;
        Ok(ReceiverReport { ssrc, blocks })
    }

    /// The blocks as values.
    pub fn report_blocks(&self) -> impl Iterator<Item = ReportBlock> + use<'a> {
        self.blocks.iter().map(ReportBlock::from_bytes)
    }

    /// Writes the packet and gives its length. Fails when it does not fit or has more than 31 blocks.
    pub fn write(&self, out: &mut [u8]) -> Result<usize, WireError> {
        let mut c = Composer::new(out, count_of(self.blocks.len())?, packet_type::RECEIVER_REPORT)?;
        c.put_u32(self.ssrc)?;
        c.put(self.blocks.as_flattened())?;
        c.finish()
    }
}

/// How one source was received, RFC 3550 §6.4.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReportBlock {
    pub ssrc: u32,
    /// Share of packets lost since the last report, in 1/256.
    pub fraction_lost: u8,
    /// Packets lost since the beginning: 24 bits signed, negative when there were duplicates.
    pub cumulative_lost: i32,
    /// Cycles and highest sequence number received, 16 bits each.
    pub highest_sequence: u32,
    /// Interarrival jitter in timestamp units.
    pub jitter: u32,
    /// Middle 32 bits of the NTP time of the last SR from this source; 0 before one.
    pub last_sr: u32,
    /// Time since that SR came, in 1/65536 s; 0 before one.
    pub delay_since_last_sr: u32,
}

impl ReportBlock {
    /// Bytes of a block.
    pub const LEN: usize = 24;

    /// The value of a block on the wire; every 24 bytes are one.
    pub fn from_bytes(bytes: &[u8; Self::LEN]) -> Self {
        let (words, _) = bytes.as_chunks::<4>();
        let word = |i: usize| u32::from_be_bytes(words[i]);
        let [fraction_lost, a, b, c] = words[1];
        // The shift carries the sign of the 24-bit number.
        let cumulative_lost = i32::from_be_bytes([a, b, c, 0]) >> 8;
        ReportBlock {
            ssrc: word(0),
            fraction_lost,
            cumulative_lost,
            highest_sequence: word(2),
            jitter: word(3),
            last_sr: word(4),
            delay_since_last_sr: word(5),
        }
    }

    /// The block on the wire. What is beyond 24 bits of loss becomes the nearest that is not.
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        let [_, a, b, c] = self.cumulative_lost.clamp(LOST_MIN, LOST_MAX).to_be_bytes();
        let mut bytes = [0; Self::LEN];
        let (words, _) = bytes.as_chunks_mut::<4>();
        words[0] = self.ssrc.to_be_bytes();
        words[1] = [self.fraction_lost, a, b, c];
        words[2] = self.highest_sequence.to_be_bytes();
        words[3] = self.jitter.to_be_bytes();
        words[4] = self.last_sr.to_be_bytes();
        words[5] = self.delay_since_last_sr.to_be_bytes();
        bytes
    }
}

/// RFC 3550 A.3 clamps to 0x7fffff and 0x800000.
const LOST_MAX: i32 = 0x7f_ffff;
const LOST_MIN: i32 = -0x80_0000;

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::wire::rtcp::{Compound, Packet};
    use proptest::prelude::*;

    pub fn any_block() -> impl Strategy<Value = ReportBlock> {
        (any::<(u32, u8, u32, u32, u32, u32)>(), LOST_MIN..=LOST_MAX).prop_map(
            |((ssrc, fraction_lost, h, j, l, d), lost)| ReportBlock {
                ssrc,
                fraction_lost,
                cumulative_lost: lost,
                highest_sequence: h,
                jitter: j,
                last_sr: l,
                delay_since_last_sr: d,
            },
        )
    }

    #[test]
    fn a_block_is_laid_out_as_in_the_figure() {
        let block = ReportBlock {
            ssrc: 0x0102_0304,
            fraction_lost: 0x80,
            cumulative_lost: -2,
            highest_sequence: 0x0001_fffe,
            jitter: 5,
            last_sr: 0xaabb_ccdd,
            delay_since_last_sr: 0x0001_8000,
        };
        let mut out = [0; 64];
        let len = ReceiverReport { ssrc: 7, blocks: &[block.to_bytes()] }.write(&mut out).unwrap();
        #[rustfmt::skip]
        assert_eq!(out[..len], [
            0x81, 201, 0, 7, 0, 0, 0, 7,
            1, 2, 3, 4, 0x80, 0xff, 0xff, 0xfe, 0, 1, 0xff, 0xfe, 0, 0, 0, 5, 0xaa, 0xbb, 0xcc, 0xdd, 0, 1, 0x80, 0,
        ]);
    }

    #[test]
    fn loss_beyond_24_bits_is_clamped() {
        let mut block = ReportBlock::from_bytes(&[0; 24]);
        for (lost, clamped) in [(i32::MAX, LOST_MAX), (i32::MIN, LOST_MIN), (-1, -1)] {
            block.cumulative_lost = lost;
            assert_eq!(ReportBlock::from_bytes(&block.to_bytes()).cumulative_lost, clamped);
        }
    }

    #[test]
    fn a_count_beyond_the_packet_is_refused_and_more_than_31_blocks_too() {
        assert!(matches!(Compound::new(&[0x81, 201, 0, 1, 0, 0, 0, 7]).next(), Some(Err(WireError::Truncated(_)))));
        let blocks = [[0; 24]; 32];
        let mut out = [0; 1000];
        assert!(ReceiverReport { ssrc: 7, blocks: &blocks }.write(&mut out).is_err());
        assert!(ReceiverReport { ssrc: 7, blocks: &blocks[1..] }.write(&mut out).is_ok());
        assert_eq!(
            ReceiverReport { ssrc: 7, blocks: &blocks[..1] }.write(&mut out[..31]),
            Err(WireError::NoSpace("RTCP packet"))
        );
    }

    proptest! {
        #[test]
        fn what_is_written_is_what_is_read(ssrc: u32, blocks in proptest::collection::vec(any_block(), 0..=31)) {
            let bytes: Vec<_> = blocks.iter().map(ReportBlock::to_bytes).collect();
            let mut out = [0; 1000];
            let len = ReceiverReport { ssrc, blocks: &bytes }.write(&mut out).unwrap();
            let Some(Ok(Packet::ReceiverReport(parsed))) = Compound::new(&out[..len]).next() else { panic!() };
            prop_assert_eq!(parsed.ssrc, ssrc);
            prop_assert_eq!(parsed.report_blocks().collect::<Vec<_>>(), blocks);
        }
    }
}
