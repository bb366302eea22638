//! The end of participation. RFC 3550 §6.6.

use super::{Body, Composer, count_of, counted, packet_type};
use crate::wire::error::WireError;

/// Sources that leave, and perhaps why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bye<'a> {
    /// At most 31 SSRCs as they are on the wire.
    pub ssrcs: &'a [[u8; 4]],
    /// At most 255 bytes of UTF-8, which nobody has checked; empty without a reason.
    pub reason: &'a [u8],
}

impl<'a> Bye<'a> {
    pub(super) fn parse(body: Body<'a>) -> Result<Self, WireError> {
        let mut r = body.reader();
        let ssrcs = counted(&mut r, usize::from(body.count), "BYE sources")?;
        let mut reason: &[u8] = &[];
        if !r.is_empty() {
            let length = r.u8("BYE reason")?;
            reason = r.take(usize::from(length), "BYE reason")?;
        }
        Ok(Bye { ssrcs, reason })
    }

    /// The sources that leave.
    pub fn sources(&self) -> impl Iterator<Item = u32> + use<'a> {
        self.ssrcs.iter().map(|ssrc| u32::from_be_bytes(*ssrc))
    }

    /// Writes the packet and gives its length. Fails when it does not fit, has more than 31 sources or too long a reason.
    pub fn write(&self, out: &mut [u8]) -> Result<usize, WireError> {
        let mut c = Composer::new(out, count_of(self.ssrcs.len())?, packet_type::BYE)?;
        c.put(self.ssrcs.as_flattened())?;
        if !self.reason.is_empty() {
            c.put(&[u8::try_from(self.reason.len()).map_err(|_| WireError::BadLength("BYE reason"))?])?;
            c.put(self.reason)?;
        }
        c.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::rtcp::{Compound, Packet};
    use proptest::prelude::*;

    #[test]
    fn a_goodbye_may_be_short_and_may_have_a_reason() {
        let mut out = [0; 32];
        let len = Bye { ssrcs: &[[0, 0, 0, 7]], reason: b"" }.write(&mut out).unwrap();
        assert_eq!(out[..len], [0x81, 203, 0, 1, 0, 0, 0, 7]);
        let len = Bye { ssrcs: &[[0, 0, 0, 7]], reason: b"done" }.write(&mut out).unwrap();
        assert_eq!(out[..len], *b"\x81\xcb\x00\x03\x00\x00\x00\x07\x04done\0\0\0");
        assert!(matches!(Compound::new(&[0x82, 203, 0, 1, 0, 0, 0, 7]).next(), Some(Err(WireError::Truncated(_)))));
    }

    proptest! {
        #[test]
        fn what_is_written_is_what_is_read(
            ssrcs in proptest::collection::vec(any::<[u8; 4]>(), 0..=31),
            reason in proptest::collection::vec(any::<u8>(), 0..=255),
        ) {
            let mut out = [0; 400];
            let bye = Bye { ssrcs: &ssrcs, reason: &reason };
            let len = bye.write(&mut out).unwrap();
            let Some(Ok(Packet::Bye(parsed))) = Compound::new(&out[..len]).next() else { panic!() };
            prop_assert_eq!(parsed, bye);
        }
    }
}
