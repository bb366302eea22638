//! Sender reports and the NTP timestamps in them. RFC 3550 §6.4.1, §4.

use std::time::Duration;

use super::rr::ReportBlock;
use super::{Body, Composer, count_of, counted, packet_type};
use crate::wire::error::WireError;

/// A sender report. Profile-specific extensions are ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SenderReport<'a> {
    /// Who sends and reports.
    pub ssrc: u32,
    /// What was sent.
    pub info: SenderInfo,
    /// At most 31 blocks as they are on the wire; see [`ReportBlock`].
    pub blocks: &'a [[u8; ReportBlock::LEN]],
}

/// What a source has sent, and one instant on both its clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SenderInfo {
    /// Wall clock time.
    pub ntp: Ntp,
    /// The same instant in RTP timestamp units.
    pub rtp_timestamp: u32,
    /// RTP packets sent, modulo 2^32.
    pub packet_count: u32,
    /// Payload bytes sent, without headers and padding, modulo 2^32.
    pub octet_count: u32,
}

impl<'a> SenderReport<'a> {
    pub(super) fn parse(body: Body<'a>) -> Result<Self, WireError> {
        let mut r = body.reader();
        let ssrc = r.u32("SR")?;
        let info = SenderInfo {
            ntp: Ntp(r.u64("SR")?),
            rtp_timestamp: r.u32("SR")?,
            packet_count: r.u32("SR")?,
            octet_count: r.u32("SR")?,
        };
        let blocks = counted(&mut r, usize::from(body.count), "SR report blocks")?;
        Ok(SenderReport { ssrc, info, blocks })
    }

    /// The blocks as values.
    pub fn report_blocks(&self) -> impl Iterator<Item = ReportBlock> + use<'a> {
        self.blocks.iter().map(ReportBlock::from_bytes)
    }

    /// Writes the packet and gives its length. Fails when it does not fit or has more than 31 blocks.
    pub fn write(&self, out: &mut [u8]) -> Result<usize, WireError> {
        let mut c = Composer::new(out, count_of(self.blocks.len())?, packet_type::SENDER_REPORT)?;
        c.put_u32(self.ssrc)?;
        c.put(&self.info.ntp.0.to_be_bytes())?;
        c.put_u32(self.info.rtp_timestamp)?;
        c.put_u32(self.info.packet_count)?;
        c.put_u32(self.info.octet_count)?;
        c.put(self.blocks.as_flattened())?;
        c.finish()
    }
}

/// An NTP timestamp: seconds since 1900 as 32.32 fixed point. It wraps in 2036, so only differences mean something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ntp(pub u64);

impl Ntp {
    /// The timestamp of a wall clock given in microseconds since the Unix epoch.
    pub fn from_unix_us(unix_us: u64) -> Self {
        let fraction = (u128::from(unix_us % 1_000_000) << 32) / 1_000_000;
        let seconds = u128::from(unix_us / 1_000_000) + SECONDS_1900_TO_1970;
        Ntp(((seconds << 32 | fraction) & u128::from(u64::MAX)) as u64)
    }

    /// The middle 32 bits: seconds as 16.16 fixed point, as in LSR.
    pub fn middle(self) -> u32 {
        (self.0 >> 16 & 0xffff_ffff) as u32
    }

    /// How much later than `earlier`, in 1/2^32 s; negative when before. Right as long as they are within 68 years.
    pub fn since(self, earlier: Ntp) -> i64 {
        self.0.wrapping_sub(earlier.0).cast_signed()
    }

    /// The timestamp that is `fraction`/2^32 s later.
    pub fn plus(self, fraction: i64) -> Ntp {
        Ntp(self.0.wrapping_add_signed(fraction))
    }

    /// The timestamp that is `duration` earlier.
    pub fn before(self, duration: Duration) -> Ntp {
        let fraction = (u64::from(duration.subsec_nanos()) << 32) / 1_000_000_000;
        Ntp(self.0.wrapping_sub(duration.as_secs() << 32 | fraction))
    }
}

/// RFC 868's constant: 70 years with 17 leap days.
const SECONDS_1900_TO_1970: u128 = 2_208_988_800;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::rtcp::rr::tests::any_block;
    use crate::wire::rtcp::{Compound, Packet};
    use proptest::prelude::*;

    #[test]
    fn a_sender_report_is_laid_out_as_in_the_figure() {
        let info = SenderInfo {
            ntp: Ntp(0x0102_0304_0506_0708),
            rtp_timestamp: 0x1111_1111,
            packet_count: 0x2222_2222,
            octet_count: 0x3333_3333,
        };
        let mut out = [0; 64];
        let len = SenderReport { ssrc: 9, info, blocks: &[] }.write(&mut out).unwrap();
        #[rustfmt::skip]
        assert_eq!(out[..len], [
            0x80, 200, 0, 6, 0, 0, 0, 9, 1, 2, 3, 4, 5, 6, 7, 8,
            0x11, 0x11, 0x11, 0x11, 0x22, 0x22, 0x22, 0x22, 0x33, 0x33, 0x33, 0x33,
        ]);
    }

    #[test]
    fn ntp_is_the_time_of_rfc_3550_figure_2() {
        // "10 Nov 1995 11:33:25.125 UTC": 0xb44db705:20000000, middle 0xb705:2000.
        let ntp = Ntp::from_unix_us(816_003_205_125_000);
        assert_eq!(ntp, Ntp(0xb44d_b705_2000_0000));
        assert_eq!(ntp.middle(), 0xb705_2000);
    }

    #[test]
    fn ntp_goes_on_after_2036() {
        let before = Ntp::from_unix_us(2_085_978_495_500_000);
        let after = Ntp::from_unix_us(2_085_978_496_500_000);
        assert!(after.0 < before.0);
        assert_eq!(after.since(before), 1 << 32);
        assert_eq!(before.plus(1 << 32), after);
        assert_eq!(after.before(Duration::from_secs(1)), before);
    }

    proptest! {
        #[test]
        fn what_is_written_is_what_is_read(
            (ssrc, ntp, rtp_timestamp, packet_count, octet_count) in any::<(u32, u64, u32, u32, u32)>(),
            blocks in proptest::collection::vec(any_block(), 0..=31),
        ) {
            let info = SenderInfo { ntp: Ntp(ntp), rtp_timestamp, packet_count, octet_count };
            let bytes: Vec<_> = blocks.iter().map(ReportBlock::to_bytes).collect();
            let mut out = [0; 1000];
            let len = SenderReport { ssrc, info, blocks: &bytes }.write(&mut out).unwrap();
            let Some(Ok(Packet::SenderReport(parsed))) = Compound::new(&out[..len]).next() else { panic!() };
            prop_assert_eq!((parsed.ssrc, parsed.info), (ssrc, info));
            prop_assert_eq!(parsed.report_blocks().collect::<Vec<_>>(), blocks);
        }

        #[test]
        fn no_clock_makes_ntp_panic(unix_us: u64, other: u64, fraction: i64) {
            let ntp = Ntp::from_unix_us(unix_us);
            prop_assert_eq!(ntp.plus(Ntp(other).since(ntp)), Ntp(other));
            let _ = (ntp.plus(fraction), ntp.before(Duration::from_nanos(other)));
        }
    }
}
