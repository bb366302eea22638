//! The RTP header: a view that borrows a received packet, and a writer that composes a fresh header in a lent slice.
//! Everything from outside is validated once here, padding included. RFC 3550 §5.1, extension blocks RFC 8285.

use super::extension::{self, Elements};
use crate::wire::error::WireError;
use crate::wire::reader::Reader;

/// A received RTP packet, borrowed. Padding is validated and not part of the payload. RFC 3550 §5.1.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    /// The fields of the fixed header.
    pub header: Header,
    /// How many contributing sources are listed; the list itself is skipped. 0 ..= 15.
    pub csrc_count: u8,
    /// What kind of extension block there is (`0xBEDE`, `0x1000`, ...), if there is one.
    pub extension_profile: Option<u16>,
    /// The extension block without its 4-byte head; empty without a block.
    pub extension: &'a [u8],
    /// The payload without padding; empty in packets that only probe.
    pub payload: &'a [u8],
    /// Bytes before the payload.
    pub header_len: usize,
}

impl<'a> Packet<'a> {
    /// Reads one packet. Fails on another version, on a CSRC list, an extension block or padding that does not fit.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, WireError> {
        let mut r = Reader::new(bytes);
        let [first, second] = r.array("RTP header")?;
        if first >> 6 != VERSION {
            return Err(WireError::BadVersion("RTP header"));
        }
        let header = Header {
            marker: second & 0x80 != 0,
            payload_type: second & 0x7f,
            sequence: r.u16("RTP header")?,
            timestamp: r.u32("RTP header")?,
            ssrc: r.u32("RTP header")?,
        };
        let csrc_count = first & 0x0f;
        r.take(4 * usize::from(csrc_count), "CSRC list")?;
        let mut extension_profile = None;
        let mut extension: &[u8] = &[];
        if first & EXTENSION_BIT != 0 {
            extension_profile = Some(r.u16("RTP extension block")?);
            let words = r.u16("RTP extension block")?;
            extension = r.take(4 * usize::from(words), "RTP extension block")?;
        }
        let header_len = bytes.len() - r.len();
        let mut payload = r.rest();
        if first & PADDING_BIT != 0 {
            // "The last octet of the padding contains a count of how many padding octets should be ignored, including itself."
            let padding = usize::from(*payload.last().ok_or(WireError::Truncated("RTP padding"))?);
            let kept = payload.len().checked_sub(padding).filter(|_| padding > 0);
            payload = &payload[..kept.ok_or(WireError::BadLength("RTP padding"))?];
        }
        Ok(Packet { header, csrc_count, extension_profile, extension, payload, header_len })
    }

    /// The header extension elements, `(id, value)`; none when the block is of an unknown profile.
    pub fn extensions(&self) -> Elements<'a> {
        Elements::new(self.extension_profile, self.extension)
    }
}

/// The fields of the fixed header that have a meaning of their own. RFC 3550 §5.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Ends a frame of video, or begins a talk spurt of audio.
    pub marker: bool,
    /// The payload type, 0 ..= 127; the eighth bit is not written.
    pub payload_type: u8,
    /// The sequence number.
    pub sequence: u16,
    /// The sampling instant of the payload, in units of its clock rate.
    pub timestamp: u32,
    /// The synchronization source.
    pub ssrc: u32,
}

/// Composes a header in a lent slice: the fixed part, then the elements that are pushed. There is never a CSRC list.
///
/// The block takes the one-byte form (RFC 8285 §4.2) until an element needs the two-byte form (§4.3), then all of it changes.
#[derive(Debug)]
pub struct HeaderWriter<'a> {
    out: &'a mut [u8],
    len: usize,
    form: Form,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Absent,
    OneByte,
    TwoByte,
}

impl<'a> HeaderWriter<'a> {
    /// Writes the fixed header. Fails only when `out` is shorter than 12 bytes.
    pub fn new(out: &'a mut [u8], header: &Header) -> Result<Self, WireError> {
        let fixed = out.first_chunk_mut::<FIXED_LEN>().ok_or(WireError::NoSpace("RTP header"))?;
        fixed[0] = VERSION << 6;
        fixed[1] = u8::from(header.marker) << 7 | header.payload_type & 0x7f;
        fixed[2..4].copy_from_slice(&header.sequence.to_be_bytes());
        fixed[4..8].copy_from_slice(&header.timestamp.to_be_bytes());
        fixed[8..12].copy_from_slice(&header.ssrc.to_be_bytes());
        Ok(HeaderWriter { out, len: FIXED_LEN, form: Form::Absent })
    }

    /// Appends an element. Fails when it has id 0 (that is padding), is longer than 255 bytes, or does not fit the slice;
    /// the elements before it are then still good.
    pub fn push(&mut self, id: u8, value: &[u8]) -> Result<(), WireError> {
        let length = u8::try_from(value.len()).map_err(|_| WireError::BadLength("RTP extension element"))?;
        if id == 0 {
            return Err(WireError::BadValue("RTP extension id"));
        }
        let narrow = (1..=14).contains(&id) && (1..=16).contains(&length);
        match self.form {
            Form::Absent => {
                self.put(&[0; BLOCK_HEAD_LEN])?;
                self.form = if narrow { Form::OneByte } else { Form::TwoByte };
            }
            Form::OneByte if !narrow => self.widen()?,
            Form::OneByte | Form::TwoByte => {}
        }
        if self.form == Form::OneByte {
            self.room(1 + value.len())?;
            self.put(&[id << 4 | (length - 1)])?;
        } else {
            self.room(2 + value.len())?;
            self.put(&[id, length])?;
        }
        self.put(value)
    }

    /// Pads and closes the extension block, and gives the length of the header: where the payload goes.
    pub fn finish(mut self) -> Result<usize, WireError> {
        let profile = match self.form {
            Form::Absent => return Ok(self.len),
            Form::OneByte => extension::ONE_BYTE_PROFILE,
            Form::TwoByte => extension::TWO_BYTE_PROFILE,
        };
        while !self.len.is_multiple_of(4) {
            self.put(&[0])?;
        }
        let words = (self.len - FIXED_LEN - BLOCK_HEAD_LEN) / 4;
        let words = u16::try_from(words).map_err(|_| WireError::NoSpace("RTP extension block"))?;
        self.out[FIXED_LEN..FIXED_LEN + 2].copy_from_slice(&profile.to_be_bytes());
        self.out[FIXED_LEN + 2..FIXED_LEN + 4].copy_from_slice(&words.to_be_bytes());
        self.out[0] |= EXTENSION_BIT;
        Ok(self.len)
    }

    fn room(&self, bytes: usize) -> Result<(), WireError> {
        let left = self.out.len() - self.len;
        if bytes <= left { Ok(()) } else { Err(WireError::NoSpace("RTP extension block")) }
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), WireError> {
        self.room(bytes.len())?;
        self.out[self.len..self.len + bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len();
        Ok(())
    }

    /// Gives every element written so far the head of the two-byte form, moving what follows it by one byte.
    fn widen(&mut self) -> Result<(), WireError> {
        let start = FIXED_LEN + BLOCK_HEAD_LEN;
        self.room(Elements::new(Some(extension::ONE_BYTE_PROFILE), &self.out[start..self.len]).count())?;
        let mut at = start;
        while at < self.len {
            self.put(&[0])?;
            self.out.copy_within(at + 1..self.len - 1, at + 2);
            let head = self.out[at];
            let length = (head & 0x0f) + 1;
            self.out[at..at + 2].copy_from_slice(&[head >> 4, length]);
            at += 2 + usize::from(length);
        }
        self.form = Form::TwoByte;
        Ok(())
    }
}

const VERSION: u8 = 2;
const PADDING_BIT: u8 = 0x20;
const EXTENSION_BIT: u8 = 0x10;
const FIXED_LEN: usize = 12;
/// Profile and length of an extension block.
const BLOCK_HEAD_LEN: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HEADER: Header =
        Header { marker: true, payload_type: 96, sequence: 0x1234, timestamp: 0x89ab_cdef, ssrc: 0xdead_beef };

    fn elements<'a>(packet: &Packet<'a>) -> Vec<(u8, &'a [u8])> {
        packet.extensions().collect()
    }

    #[test]
    fn every_field_of_the_fixed_header_is_where_rfc_3550_draws_it() {
        let bytes = [0x80, 0xe0, 0x12, 0x34, 0x89, 0xab, 0xcd, 0xef, 0xde, 0xad, 0xbe, 0xef, 1, 2, 3];
        let packet = Packet::parse(&bytes).unwrap();
        assert_eq!(packet.header, HEADER);
        assert_eq!((packet.payload, packet.header_len), (&[1u8, 2, 3][..], 12));
        let mut out = [0u8; 12];
        assert_eq!(HeaderWriter::new(&mut out, &HEADER).unwrap().finish(), Ok(12));
        assert_eq!(out, bytes[..12]);
    }

    #[test]
    fn contributing_sources_extension_and_padding_are_not_payload() {
        let mut bytes = vec![0xb1, 96, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3]; // P, X, CC = 1
        bytes.extend([9, 9, 9, 9]);
        bytes.extend([0xbe, 0xde, 0, 1, 0x10, 0x55, 0, 0]);
        bytes.extend([7, 8, 0, 0, 3]);
        let packet = Packet::parse(&bytes).unwrap();
        assert_eq!(packet.csrc_count, 1);
        assert_eq!(packet.payload, &[7, 8]);
        assert_eq!(packet.header_len, 24);
        assert_eq!(elements(&packet), [(1, &[0x55][..])]);
    }

    #[test]
    fn padding_may_be_everything_but_not_more_and_not_nothing() {
        let mut bytes = [0u8; 16];
        bytes[0] = 0xa0;
        for (count, valid) in [(0, false), (4, true), (5, false), (255, false)] {
            bytes[15] = count;
            assert_eq!(Packet::parse(&bytes).is_ok(), valid, "padding of {count} in 4");
        }
        assert_eq!(Packet::parse(&bytes[..12]).unwrap_err(), WireError::Truncated("RTP padding"));
    }

    #[test]
    fn truncated_parts_and_other_versions_are_refused() {
        assert!(matches!(Packet::parse(&[0x40; 20]), Err(WireError::BadVersion(_))));
        assert!(matches!(Packet::parse(&[0x80; 11]), Err(WireError::Truncated(_))));
        assert_eq!(Packet::parse(&[0x8f; 20]).unwrap_err(), WireError::Truncated("CSRC list"));
        let mut block = [0u8; 16];
        block[0] = 0x90;
        block[15] = 1;
        assert_eq!(Packet::parse(&block).unwrap_err(), WireError::Truncated("RTP extension block"));
    }

    #[test]
    fn small_elements_take_the_one_byte_form() {
        let mut out = [0xffu8; 64];
        let mut writer = HeaderWriter::new(&mut out, &HEADER).unwrap();
        writer.push(4, b"0").unwrap();
        writer.push(3, &[1, 2]).unwrap();
        let len = writer.finish().unwrap();
        assert_eq!(out[12..len], [0xbe, 0xde, 0, 2, 0x40, b'0', 0x31, 1, 2, 0, 0, 0]);
    }

    #[test]
    fn one_long_element_turns_the_whole_block_into_the_two_byte_form() {
        let mut out = [0xffu8; 64];
        let mut writer = HeaderWriter::new(&mut out, &HEADER).unwrap();
        writer.push(4, b"0").unwrap();
        writer.push(3, &[1, 2]).unwrap();
        writer.push(12, &[7; 17]).unwrap();
        writer.push(1, &[5]).unwrap();
        let len = writer.finish().unwrap();
        assert_eq!(out[12..23], [0x10, 0, 0, 8, 4, 1, b'0', 3, 2, 1, 2]);
        let packet = Packet::parse(&out[..len]).unwrap();
        assert_eq!(elements(&packet), [(4, &b"0"[..]), (3, &[1, 2]), (12, &[7; 17]), (1, &[5])]);
    }

    #[test]
    fn a_slice_that_is_too_small_is_an_error_and_not_a_panic() {
        for size in 0..40 {
            let mut out = vec![0u8; size];
            let composed = HeaderWriter::new(&mut out, &HEADER).and_then(|mut w| {
                w.push(1, &[1])?;
                w.push(2, &[2; 3])?;
                w.push(15, &[3; 5])?;
                w.finish()
            });
            assert_eq!(composed.is_ok(), size >= 32, "{size} bytes");
        }
        let mut out = [0u8; 64];
        let mut writer = HeaderWriter::new(&mut out, &HEADER).unwrap();
        assert_eq!(writer.push(0, &[1]), Err(WireError::BadValue("RTP extension id")));
        assert_eq!(writer.push(1, &[0; 256]), Err(WireError::BadLength("RTP extension element")));
    }

    proptest! {
        #[test]
        fn what_is_composed_is_what_is_parsed(
            marker: bool, payload_type in 0u8..128, sequence: u16, timestamp: u32, ssrc: u32,
            pushed in proptest::collection::vec((1u8..=255, proptest::collection::vec(any::<u8>(), 0..40)), 0..12),
            payload in proptest::collection::vec(any::<u8>(), 0..50),
        ) {
            // Id 15 forces the two-byte form, so no pushed element can end the block early.
            let header = Header { marker, payload_type, sequence, timestamp, ssrc };
            let mut out = vec![0xaau8; 1000];
            let mut writer = HeaderWriter::new(&mut out, &header).unwrap();
            for (id, value) in &pushed {
                writer.push(*id, value).unwrap();
            }
            let len = writer.finish().unwrap();
            out.truncate(len);
            out.extend(&payload);
            let packet = Packet::parse(&out).unwrap();
            prop_assert_eq!(packet.header, header);
            prop_assert_eq!(packet.payload, &payload[..]);
            prop_assert_eq!(packet.header_len, len);
            let expected: Vec<_> = pushed.iter().map(|(id, value)| (*id, &value[..])).collect();
            prop_assert_eq!(elements(&packet), expected);
        }

        #[test]
        fn no_bytes_can_make_the_parser_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..200), version: bool) {
            if let (true, Some(first)) = (version, bytes.first_mut()) {
                *first = 0x80 | *first & 0x3f;
            }
            if let Ok(packet) = Packet::parse(&bytes) {
                prop_assert!(bytes[packet.header_len..].starts_with(packet.payload));
                prop_assert!(packet.extensions().map(|(_, value)| value.len()).sum::<usize>() <= packet.extension.len());
            }
        }
    }
}
