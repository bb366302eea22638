//! Source descriptions: ours hold a canonical name, and nobody asks what the others' say. RFC 3550 §6.5.

use super::{Body, Composer, packet_type};
use crate::wire::error::WireError;
use crate::wire::reader::Reader;

/// A source description whose chunks are well formed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceDescription;

/// The canonical name of a source: the same for all sources that are to be played in sync. RFC 3550 §6.5.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cname<'a> {
    pub ssrc: u32,
    /// At most 255 bytes of UTF-8, which nobody has checked.
    pub name: &'a [u8],
}

impl SourceDescription {
    pub(super) fn parse(body: Body<'_>) -> Result<Self, WireError> {
        let mut r = body.reader();
        (0..body.count).try_for_each(|_| chunk(&mut r))?;
        Ok(SourceDescription)
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
fn chunk(r: &mut Reader<'_>) -> Result<(), WireError> {
    const WHAT: &str = "SDES chunk";
    let before = r.len();
    r.u32(WHAT)?;
    while r.u8(WHAT)? != END {
        let length = r.u8(WHAT)?;
        r.take(usize::from(length), WHAT)?;
    }
    let read = before - r.len();
    r.take(read.next_multiple_of(4) - read, WHAT)?;
    Ok(())
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
    fn chunks_with_whatever_items_are_taken() {
        let bytes = b"\x82\xca\x00\x05\x00\x00\x00\x01\x02\x01N\x00\x00\x00\x00\x02\x06\x01t\x01\x02ab\x00";
        assert!(matches!(Compound::new(bytes).next(), Some(Ok(Packet::SourceDescription(_)))));
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
        fn what_is_written_is_well_formed(ssrc: u32, name in proptest::collection::vec(any::<u8>(), 0..=255)) {
            let mut out = [0xff; 300];
            let len = Cname { ssrc, name: &name }.write(&mut out).unwrap();
            prop_assert!(matches!(Compound::new(&out[..len]).next(), Some(Ok(Packet::SourceDescription(_)))));
            prop_assert_eq!(&out[10..10 + name.len()], &name[..]);
        }
    }
}
