//! Source descriptions, of which only the canonical name is read or written. RFC 3550 §6.5.

use super::{Body, Composer, packet_type};
use crate::wire::error::WireError;
use crate::wire::reader::Reader;

/// A source description; its chunks are validated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceDescription<'a> {
    count: u8,
    chunks: &'a [u8],
}

/// The canonical name of a source: the same for all sources that are to be played in sync. RFC 3550 §6.5.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cname<'a> {
    pub ssrc: u32,
    /// At most 255 bytes of UTF-8, which nobody has checked.
    pub name: &'a [u8],
}

impl<'a> SourceDescription<'a> {
    pub(super) fn parse(body: Body<'a>) -> Result<Self, WireError> {
        let mut r = body.reader();
        for _ in 0..body.count {
            chunk(&mut r)?;
        }
        Ok(SourceDescription { count: body.count, chunks: body.bytes })
    }

    /// The canonical names, in order; chunks without one are skipped.
    pub fn cnames(&self) -> impl Iterator<Item = Cname<'a>> + use<'a> {
        let mut r = Reader::new(self.chunks);
        (0..self.count).map_while(move |_| chunk(&mut r).ok()).flatten()
    }
}

impl Cname<'_> {
    /// Writes an SDES packet of this one item and gives its length. Fails when it does not fit or the name is too long.
    pub fn write(&self, out: &mut [u8]) -> Result<usize, WireError> {
        let length = u8::try_from(self.name.len()).map_err(|_| WireError::BadLength("CNAME"))?;
        let mut c = Composer::new(out, 1, packet_type::SOURCE_DESCRIPTION)?;
        c.put_u32(self.ssrc)?;
        c.put(&[CNAME, length])?;
        c.put(self.name)?;
        // The null octet that ends the list; padding to 32 bits is more of the same.
        c.put(&[END])?;
        c.finish()
    }
}

/// Reads one chunk: a source, its items, and nulls up to the next 32-bit boundary.
fn chunk<'a>(r: &mut Reader<'a>) -> Result<Option<Cname<'a>>, WireError> {
    const WHAT: &str = "SDES chunk";
    let before = r.len();
    let ssrc = r.u32(WHAT)?;
    let mut cname = None;
    loop {
        let item = r.u8(WHAT)?;
        if item == END {
            break;
        }
        let length = r.u8(WHAT)?;
        let name = r.take(usize::from(length), WHAT)?;
        if item == CNAME {
            cname.get_or_insert(Cname { ssrc, name });
        }
    }
    let read = before - r.len();
    r.take(read.next_multiple_of(4) - read, WHAT)?;
    Ok(cname)
}

const END: u8 = 0;
const CNAME: u8 = 1;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::rtcp::{Compound, Packet};
    use proptest::prelude::*;

    #[test]
    fn a_canonical_name_is_ended_by_a_null_and_padded_to_32_bits() {
        let mut out = [0xff; 32];
        let len = Cname { ssrc: 5, name: b"janus" }.write(&mut out).unwrap();
        assert_eq!(out[..len], *b"\x81\xca\x00\x03\x00\x00\x00\x05\x01\x05janus\x00");
        let len = Cname { ssrc: 5, name: b"abcdef" }.write(&mut out).unwrap();
        assert_eq!(len, 20, "a list that ends on the boundary needs a whole word of nulls");
    }

    #[test]
    fn other_items_and_chunks_without_a_name_are_skipped() {
        let bytes = b"\x82\xca\x00\x05\x00\x00\x00\x01\x02\x01N\x00\x00\x00\x00\x02\x06\x01t\x01\x02ab\x00";
        let Some(Ok(Packet::SourceDescription(sdes))) = Compound::new(bytes).next() else { panic!() };
        assert_eq!(sdes.cnames().collect::<Vec<_>>(), [Cname { ssrc: 2, name: b"ab" }]);
    }

    #[test]
    fn a_chunk_without_an_end_is_truncated() {
        let bytes = b"\x81\xca\x00\x02\x00\x00\x00\x05\x01\x02ab";
        assert!(matches!(Compound::new(bytes).next(), Some(Err(WireError::Truncated("SDES chunk")))));
        assert!(Cname { ssrc: 1, name: &[b'x'; 256] }.write(&mut [0; 400]).is_err());
        assert!(Cname { ssrc: 1, name: b"x" }.write(&mut [0; 11]).is_err());
    }

    proptest! {
        #[test]
        fn what_is_written_is_what_is_read(ssrc: u32, name in proptest::collection::vec(any::<u8>(), 0..=255)) {
            let mut out = [0xff; 300];
            let len = Cname { ssrc, name: &name }.write(&mut out).unwrap();
            let Some(Ok(Packet::SourceDescription(sdes))) = Compound::new(&out[..len]).next() else { panic!() };
            prop_assert_eq!(sdes.cnames().collect::<Vec<_>>(), [Cname { ssrc, name: &name }]);
        }
    }
}
