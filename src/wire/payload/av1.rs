//! The aggregation header of AV1 payloads and the fields that every dependency descriptor begins with (AOM "RTP Payload
//! Format For AV1" §4.4, A.8.1). Neither OBUs nor template structures are read.

use crate::wire::error::WireError;
use crate::wire::reader::Reader;

/// The first byte of every AV1 payload. §4.4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AggregationHeader {
    /// Z: the first OBU element continues one of the packet before.
    pub continues: bool,
    /// Y: the last OBU element goes on in the next packet.
    pub continued: bool,
    /// W: how many OBU elements; 0 when each has its size.
    pub elements: u8,
    /// N: the packet is the first of a coded video sequence.
    pub sequence_start: bool,
}

impl AggregationHeader {
    /// Reads the header. Fails when the payload is empty.
    pub fn parse(payload: &[u8]) -> Result<Self, WireError> {
        let byte = Reader::new(payload).u8("AV1 aggregation header")?;
        Ok(AggregationHeader {
            continues: byte & 0x80 != 0,
            continued: byte & 0x40 != 0,
            elements: byte >> 4 & 0x03,
            sequence_start: byte & 0x08 != 0,
        })
    }
}

/// Whether this RTP payload begins a keyframe: a coded video sequence begins with one (N, and Z=0 as §4.4 requires).
pub fn is_keyframe(payload: &[u8]) -> bool {
    AggregationHeader::parse(payload).is_ok_and(|header| header.sequence_start && !header.continues)
}

/// What every dependency descriptor header extension begins with. A.8.1, `mandatory_descriptor_fields`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DependencyDescriptor {
    /// The packet is the first of its frame.
    pub frame_start: bool,
    /// The packet is the last of its frame.
    pub frame_end: bool,
    /// Which template of the last structure describes the frame, 0 ..= 63.
    pub template: u8,
    /// The running index of the frame.
    pub frame_number: u16,
}

impl DependencyDescriptor {
    /// Reads the mandatory fields at the start of the extension's value. Fails when it is shorter than 3 bytes.
    pub fn parse(value: &[u8]) -> Result<Self, WireError> {
        const WHAT: &str = "AV1 dependency descriptor";
        let mut r = Reader::new(value);
        let first = r.u8(WHAT)?;
        Ok(DependencyDescriptor {
            frame_start: first & 0x80 != 0,
            frame_end: first & 0x40 != 0,
            template: first & 0x3f,
            frame_number: r.u16(WHAT)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_aggregation_header_gives_every_field() {
        let header = AggregationHeader::parse(&[0b0110_1000]).unwrap();
        let expected = AggregationHeader { continues: false, continued: true, elements: 2, sequence_start: true };
        assert_eq!(header, expected);
        assert!(AggregationHeader::parse(&[]).is_err());
    }

    #[test]
    fn a_keyframe_begins_where_a_coded_video_sequence_does() {
        // A sequence header OBU (type 1) and the first part of a frame OBU, as a keyframe's first packet has them.
        assert!(is_keyframe(&[0b0110_1000, 0x0b, 0x08, 0x00, 0x00, 0x00, 0x24]));
        assert!(!is_keyframe(&[0b1101_0000, 0x32]), "its second packet");
        assert!(!is_keyframe(&[0b0001_0000, 0x32]), "a delta frame");
        assert!(!is_keyframe(&[0b1000_1000]), "Z and N contradict each other");
        assert!(!is_keyframe(&[]));
    }

    #[test]
    fn a_dependency_descriptor_gives_its_mandatory_fields() {
        let descriptor = DependencyDescriptor::parse(&[0b1000_0101, 0x12, 0x34, 0xff]).unwrap();
        assert!(descriptor.frame_start && !descriptor.frame_end);
        assert_eq!((descriptor.template, descriptor.frame_number), (5, 0x1234));
        assert!(DependencyDescriptor::parse(&[0xff, 0xff]).is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_can_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..8)) {
            let _ = is_keyframe(&bytes);
            prop_assert_eq!(DependencyDescriptor::parse(&bytes).is_ok(), bytes.len() >= 3);
        }
    }
}
