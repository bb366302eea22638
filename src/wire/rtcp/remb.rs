//! Receiver estimated maximum bitrate: what a sender may send in all. draft-alvestrand-rmcat-remb-03 §2.2.

use super::{Body, Composer, counted, packet_type};
use crate::wire::error::WireError;

/// The most that all the named sources together may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remb<'a> {
    pub sender_ssrc: u32,
    /// Bits per second; written with 18 significant bits, rounded down.
    pub bitrate: u64,
    /// At most 255 SSRCs as they are on the wire.
    pub ssrcs: &'a [[u8; 4]],
}

impl<'a> Remb<'a> {
    /// Whether application layer feedback carries the identifier of this draft.
    pub(super) fn is_remb(body: Body<'_>) -> bool {
        body.bytes.get(8..12) == Some(IDENTIFIER)
    }

    pub(super) fn parse(body: Body<'a>) -> Result<Self, WireError> {
        let mut r = body.reader();
        let sender_ssrc = r.u32("REMB")?;
        r.take(8, "REMB")?; // media SSRC, always 0, and the identifier
        let count = r.u8("REMB")?;
        let packed = r.u24("REMB")?;
        let (exponent, mantissa) = (packed >> MANTISSA_BITS, u64::from(packed) & MANTISSA_MAX);
        // 18 bits shifted by up to 63: more than 64 bits is as good as no limit.
        let bitrate = u64::try_from(u128::from(mantissa) << exponent).unwrap_or(u64::MAX);
        Ok(Remb { sender_ssrc, bitrate, ssrcs: counted(&mut r, usize::from(count), "REMB sources")? })
    }

    /// The sources it holds for.
    pub fn sources(&self) -> impl Iterator<Item = u32> + use<'a> {
        self.ssrcs.iter().map(|ssrc| u32::from_be_bytes(*ssrc))
    }

    /// Writes the packet and gives its length. Fails when it does not fit or has more than 255 sources.
    pub fn write(&self, out: &mut [u8]) -> Result<usize, WireError> {
        let count = u8::try_from(self.ssrcs.len()).map_err(|_| WireError::BadLength("REMB sources"))?;
        let exponent = (u64::BITS - self.bitrate.leading_zeros()).saturating_sub(MANTISSA_BITS);
        let [_, _, _, _, _, m0, m1, m2] =
            (u64::from(exponent) << MANTISSA_BITS | self.bitrate >> exponent).to_be_bytes();
        let mut c = Composer::new(out, packet_type::FORMAT_APPLICATION, packet_type::PAYLOAD_FEEDBACK)?;
        c.put_u32(self.sender_ssrc)?;
        c.put_u32(0)?;
        c.put(IDENTIFIER)?;
        c.put(&[count, m0, m1, m2])?;
        c.put(self.ssrcs.as_flattened())?;
        c.finish()
    }
}

const IDENTIFIER: &[u8] = b"REMB";
const MANTISSA_BITS: u32 = 18;
const MANTISSA_MAX: u64 = (1 << MANTISSA_BITS) - 1;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::rtcp::{Compound, Packet};
    use proptest::prelude::*;

    fn round_trip(bitrate: u64) -> u64 {
        let mut out = [0; 24];
        Remb { sender_ssrc: 1, bitrate, ssrcs: &[[0, 0, 0, 2]] }.write(&mut out).unwrap();
        let Some(Ok(Packet::Remb(parsed))) = Compound::new(&out).next() else { panic!() };
        assert_eq!(parsed.sources().collect::<Vec<_>>(), [2]);
        parsed.bitrate
    }

    #[test]
    fn a_bitrate_is_a_mantissa_of_18_bits_and_an_exponent_of_6() {
        let mut out = [0; 24];
        let remb = Remb { sender_ssrc: 1, bitrate: 1_000_000, ssrcs: &[[0, 0, 0, 2]] };
        assert_eq!(remb.write(&mut out), Ok(24));
        // 1000000 = 250000 << 2: 000010 11 1101 0000 1001 0000
        #[rustfmt::skip]
        assert_eq!(out, [
            0x8f, 206, 0, 5, 0, 0, 0, 1, 0, 0, 0, 0, b'R', b'E', b'M', b'B', 1, 0b0000_1011, 0xd0, 0x90, 0, 0, 0, 2,
        ]);
        assert_eq!(round_trip(1_000_000), 1_000_000);
    }

    #[test]
    fn the_extremes_are_zero_and_no_limit() {
        assert_eq!(round_trip(0), 0);
        assert_eq!(round_trip(MANTISSA_MAX), MANTISSA_MAX);
        let huge = [0x8f, 206, 0, 4, 0, 0, 0, 1, 0, 0, 0, 0, b'R', b'E', b'M', b'B', 0, 0xff, 0xff, 0xff];
        assert!(matches!(Compound::new(&huge).next(), Some(Ok(Packet::Remb(Remb { bitrate: u64::MAX, .. })))));
    }

    #[test]
    fn other_application_feedback_is_not_an_error() {
        let other = [0x8f, 206, 0, 3, 0, 0, 0, 1, 0, 0, 0, 0, b'G', b'O', b'O', b'G'];
        assert!(matches!(Compound::new(&other).next(), Some(Ok(Packet::Other { packet_type: 206, count: 15 }))));
    }

    proptest! {
        #[test]
        fn a_bitrate_keeps_18_significant_bits(bitrate: u64) {
            let read = round_trip(bitrate);
            prop_assert!(read <= bitrate && bitrate - read <= bitrate >> 17);
        }
    }
}
