//! Picture loss indication: a decoder asks for a keyframe. RFC 4585 §6.3.1.

use super::{Body, Composer, packet_type};
use crate::wire::error::WireError;

/// Asks one source for a keyframe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pli {
    pub sender_ssrc: u32,
    /// Who is asked.
    pub media_ssrc: u32,
}

impl Pli {
    pub(super) fn parse(body: Body<'_>) -> Result<Self, WireError> {
        let mut r = body.reader();
        Ok(Pli { sender_ssrc: r.u32("PLI")?, media_ssrc: r.u32("PLI")? })
    }

    /// Writes the packet, 12 bytes, and gives its length. Fails when it does not fit.
    pub fn write(&self, out: &mut [u8]) -> Result<usize, WireError> {
        let mut c = Composer::new(out, packet_type::FORMAT_PLI, packet_type::PAYLOAD_FEEDBACK)?;
        c.put_u32(self.sender_ssrc)?;
        c.put_u32(self.media_ssrc)?;
        c.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::rtcp::{Compound, Packet};

    #[test]
    fn a_picture_loss_indication_is_twelve_bytes() {
        let mut out = [0; 12];
        let pli = Pli { sender_ssrc: 1, media_ssrc: 0xaabb_ccdd };
        assert_eq!(pli.write(&mut out), Ok(12));
        assert_eq!(out, [0x81, 206, 0, 2, 0, 0, 0, 1, 0xaa, 0xbb, 0xcc, 0xdd]);
        assert!(matches!(Compound::new(&out).next(), Some(Ok(Packet::Pli(parsed))) if parsed == pli));
        assert!(pli.write(&mut out[..11]).is_err());
    }
}
