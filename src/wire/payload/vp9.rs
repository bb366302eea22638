//! The VP9 payload descriptor up to its layer indices (RFC 9628 §4.2), and whether a payload begins a keyframe. Reference
//! differences and the scalability structure are not read: a forwarder has no use for them.

use crate::wire::error::WireError;
use crate::wire::reader::Reader;

/// The descriptor in front of every VP9 payload. RFC 9628 §4.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Descriptor {
    /// P: the frame is predicted from earlier pictures.
    pub inter_predicted: bool,
    /// F: flexible mode, in which frames name what they depend on.
    pub flexible: bool,
    /// B: the payload begins a frame of one spatial layer.
    pub frame_start: bool,
    /// E: the payload ends a frame of one spatial layer.
    pub frame_end: bool,
    /// V: a scalability structure follows.
    pub has_structure: bool,
    /// Z: no higher spatial layer of this picture depends on this frame.
    pub not_reference: bool,
    /// I: the running index of the picture, 7 or 15 bits.
    pub picture_id: Option<u16>,
    /// L: which layer the frame belongs to.
    pub layer: Option<Layer>,
}

/// The layer indices of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layer {
    /// TID: temporal layer, 0 ..= 7.
    pub temporal: u8,
    /// U: going up to this temporal layer may begin here.
    pub switching_up: bool,
    /// SID: spatial layer, 0 ..= 7.
    pub spatial: u8,
    /// D: the frame is predicted from the spatial layer below.
    pub inter_layer: bool,
    /// TL0PICIDX: the running index of base-layer pictures, outside flexible mode.
    pub tl0_pic_idx: Option<u8>,
}

impl Descriptor {
    /// Reads the descriptor at the start of an RTP payload. Fails when the payload ends inside what is read.
    pub fn parse(payload: &[u8]) -> Result<Self, WireError> {
        const WHAT: &str = "VP9 descriptor";
        let mut r = Reader::new(payload);
        let first = r.u8(WHAT)?;
        let flag = |mask: u8| first & mask != 0;
        let flexible = flag(0x10);
        let mut picture_id = None;
        if flag(0x80) {
            let high = r.u8(WHAT)?;
            let wide = high & 0x80 != 0;
            picture_id = Some(if wide { u16::from_be_bytes([high & 0x7f, r.u8(WHAT)?]) } else { u16::from(high) });
        }
        let mut layer = None;
        if flag(0x20) {
            let indices = r.u8(WHAT)?;
            layer = Some(Layer {
                temporal: indices >> 5,
                switching_up: indices & 0x10 != 0,
                spatial: indices >> 1 & 0x07,
                inter_layer: indices & 0x01 != 0,
                tl0_pic_idx: if flexible { None } else { Some(r.u8(WHAT)?) },
            });
        }
        Ok(Descriptor {
            inter_predicted: flag(0x40),
            flexible,
            frame_start: flag(0x08),
            frame_end: flag(0x04),
            has_structure: flag(0x02),
            not_reference: flag(0x01),
            picture_id,
            layer,
        })
    }
}

/// Whether this RTP payload begins a keyframe: the start (B) of a frame of the lowest spatial layer that is predicted
/// from no other picture (P=0). The scalability structure says nothing more: senders may leave it out.
pub fn is_keyframe(payload: &[u8]) -> bool {
    Descriptor::parse(payload)
        .is_ok_and(|d| d.frame_start && !d.inter_predicted && d.layer.is_none_or(|layer| layer.spatial == 0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_full_descriptor_gives_every_field() {
        // I L B V, 15-bit picture id; TID 2, U, SID 1, D; TL0PICIDX 9.
        let d = Descriptor::parse(&[0b1010_1010, 0x92, 0x34, 0b0101_0011, 9]).unwrap();
        assert!(d.frame_start && d.has_structure && !d.inter_predicted && !d.flexible && !d.frame_end);
        assert_eq!(d.picture_id, Some(0x1234));
        let layer = d.layer.unwrap();
        assert_eq!((layer.temporal, layer.spatial, layer.tl0_pic_idx), (2, 1, Some(9)));
        assert!(layer.switching_up && layer.inter_layer);
    }

    #[test]
    fn flexible_mode_has_no_base_layer_index_and_a_picture_id_may_be_narrow() {
        let d = Descriptor::parse(&[0b1111_0101, 0x55, 0b0010_0000]).unwrap();
        assert!(d.flexible && d.inter_predicted && d.frame_end && d.not_reference);
        assert_eq!((d.picture_id, d.layer.unwrap().tl0_pic_idx), (Some(0x55), None));
    }

    #[test]
    fn a_descriptor_that_ends_early_is_truncated_at_every_length() {
        let full = [0b1010_1010, 0x92, 0x34, 0b0101_0011, 9];
        for len in 0..full.len() {
            assert_eq!(Descriptor::parse(&full[..len]), Err(WireError::Truncated("VP9 descriptor")), "{len} bytes");
        }
    }

    #[test]
    fn a_keyframe_begins_with_the_lowest_layer_of_a_picture_without_prediction() {
        // The first packet of a keyframe as Chromium sends it: I B V, picture id, structure of one 640x360 layer.
        assert!(is_keyframe(&[0b1000_1010, 0x80, 0x01, 0x18, 0x02, 0x80, 0x01, 0x68, 0x01, 0x04, 0x01, 0x82]));
        assert!(!is_keyframe(&[0b1000_0010, 0x80, 0x01]), "its second packet: B is 0");
        assert!(!is_keyframe(&[0b1100_1000, 0x80, 0x02]), "a delta frame: P is 1");
        assert!(is_keyframe(&[0b1010_1000, 1, 0b0000_0000, 0]), "no structure, but SID 0");
        assert!(!is_keyframe(&[0b1010_1000, 1, 0b0000_0011, 0]), "the layer above, predicted from the one below");
        assert!(!is_keyframe(&[]));
    }

    proptest! {
        #[test]
        fn no_bytes_can_make_it_panic(payload in proptest::collection::vec(any::<u8>(), 0..12)) {
            let parsed = Descriptor::parse(&payload);
            prop_assert!(parsed.is_ok() || payload.len() < 5);
            let _ = is_keyframe(&payload);
        }
    }
}
