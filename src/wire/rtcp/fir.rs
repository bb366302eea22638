//! Full intra request: a keyframe is wanted whether or not anything was lost. RFC 5104 §4.3.1.

use super::{Body, Composer, entries, packet_type};
use crate::wire::error::WireError;

/// Asks sources for keyframes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fir<'a> {
    pub sender_ssrc: u32,
    /// "SHALL be set to 0", though some senders put the source here.
    pub media_ssrc: u32,
    /// The requests as they are on the wire; see [`IntraRequest`].
    pub entries: &'a [[u8; IntraRequest::LEN]],
}

/// One request to one source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IntraRequest {
    /// Who is asked.
    pub ssrc: u32,
    /// Grows by one, modulo 256, with every new request to this source; a repetition keeps it.
    pub sequence: u8,
}

impl<'a> Fir<'a> {
    pub(super) fn parse(body: Body<'a>) -> Result<Self, WireError> {
        let mut r = body.reader();
        let (sender_ssrc, media_ssrc) = (r.u32("FIR")?, r.u32("FIR")?);
        Ok(Fir { sender_ssrc, media_ssrc, entries: entries(&mut r, "FIR entries")? })
    }

    /// The requests as values.
    pub fn requests(&self) -> impl Iterator<Item = IntraRequest> + use<'a> {
        self.entries
            .iter()
            .map(|&[a, b, c, d, sequence, ..]| IntraRequest { ssrc: u32::from_be_bytes([a, b, c, d]), sequence })
    }

    /// The sources that are asked for a keyframe. A FIR without entries asks the one in its header, where RFC 4585 §6.1
    /// has the media source.
    pub fn targets(&self) -> impl Iterator<Item = u32> + use<'a> {
        let header = self.entries.is_empty().then_some(self.media_ssrc);
        self.requests().map(|request| request.ssrc).chain(header)
    }

    /// Writes the packet and gives its length. Fails when it does not fit.
    pub fn write(&self, out: &mut [u8]) -> Result<usize, WireError> {
        let mut c = Composer::new(out, packet_type::FORMAT_FIR, packet_type::PAYLOAD_FEEDBACK)?;
        c.put_u32(self.sender_ssrc)?;
        c.put_u32(self.media_ssrc)?;
        c.put(self.entries.as_flattened())?;
        c.finish()
    }
}

impl IntraRequest {
    /// Bytes of a request.
    pub const LEN: usize = 8;

    /// The request on the wire.
    pub fn to_bytes(self) -> [u8; Self::LEN] {
        let [a, b, c, d] = self.ssrc.to_be_bytes();
        [a, b, c, d, self.sequence, 0, 0, 0]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::rtcp::{Compound, Packet};

    #[test]
    fn a_request_names_its_source_in_the_entry() {
        let requests = [IntraRequest { ssrc: 5, sequence: 250 }, IntraRequest { ssrc: 6, sequence: 1 }];
        let mut out = [0; 28];
        let fir = Fir { sender_ssrc: 1, media_ssrc: 0, entries: &requests.map(IntraRequest::to_bytes) };
        assert_eq!(fir.write(&mut out), Ok(28));
        #[rustfmt::skip]
        assert_eq!(out, [
            0x84, 206, 0, 6, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 5, 250, 0, 0, 0, 0, 0, 0, 6, 1, 0, 0, 0,
        ]);
        let Some(Ok(Packet::Fir(parsed))) = Compound::new(&out).next() else { panic!() };
        assert_eq!(parsed.requests().collect::<Vec<_>>(), requests);
    }

    #[test]
    fn a_fir_without_entries_asks_the_source_in_its_header() {
        let bytes = [0x84, 206, 0, 2, 0, 0, 0, 1, 0, 0, 0, 5];
        let Some(Ok(Packet::Fir(fir))) = Compound::new(&bytes).next() else { panic!() };
        assert_eq!(fir.targets().collect::<Vec<_>>(), [5]);
        let entries = [IntraRequest { ssrc: 6, sequence: 0 }.to_bytes()];
        let fir = Fir { sender_ssrc: 1, media_ssrc: 5, entries: &entries };
        assert_eq!(fir.targets().collect::<Vec<_>>(), [6]);
    }

    #[test]
    fn half_a_request_is_refused() {
        let bytes = [0x84, 206, 0, 3, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 5];
        assert!(matches!(Compound::new(&bytes).next(), Some(Err(WireError::BadLength("FIR entries")))));
    }
}
