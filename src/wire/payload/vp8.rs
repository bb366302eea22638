//! The VP8 payload descriptor (RFC 7741 §4.2) and as much of the payload header (§4.3) as tells a keyframe and its size.
//! Fields that a forwarder renumbers come with their offset, so that they can be patched in a copy.

use crate::wire::error::WireError;
use crate::wire::reader::Reader;

/// The descriptor in front of every VP8 payload. RFC 7741 §4.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Descriptor {
    /// N: the frame can be discarded without disturbing any other.
    pub non_reference: bool,
    /// S: the payload begins a partition.
    pub partition_start: bool,
    /// PID: which partition, 0 ..= 7.
    pub partition: u8,
    /// I, M: the running index of the frame.
    pub picture_id: Option<PictureId>,
    /// L: the running index of base-layer frames.
    pub tl0_pic_idx: Option<Field>,
    /// T: which temporal layer, 0 ..= 3.
    pub temporal_id: Option<u8>,
    /// Y: the frame depends on the base layer only, so going up to its layer may begin here. False without T.
    pub layer_sync: bool,
    /// K: the running index of keyframes, 0 ..= 31; its byte also holds TID and Y.
    pub key_idx: Option<Field>,
    /// Bytes of the descriptor; the payload header follows.
    pub len: usize,
}

/// A byte-sized field and where it is in the payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// What it says.
    pub value: u8,
    /// Index of its byte.
    pub offset: usize,
}

/// A picture id of 7 or 15 bits and where it is in the payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PictureId {
    /// The index: below 2^15 when wide, else below 2^7.
    pub value: u16,
    /// M: 15 bits in two bytes, not 7 bits in one.
    pub wide: bool,
    /// Index of its first byte.
    pub offset: usize,
}

impl Descriptor {
    /// Reads the descriptor at the start of an RTP payload. Fails when the payload ends inside it.
    pub fn parse(payload: &[u8]) -> Result<Self, WireError> {
        const WHAT: &str = "VP8 descriptor";
        let mut r = Reader::new(payload);
        let first = r.u8(WHAT)?;
        let extended = if first & 0x80 != 0 { r.u8(WHAT)? } else { 0 };
        let (has_id, has_tl0, has_tid, has_key) =
            (extended & 0x80 != 0, extended & 0x40 != 0, extended & 0x20 != 0, extended & 0x10 != 0);
        let mut picture_id = None;
        if has_id {
            let offset = payload.len() - r.len();
            let high = r.u8(WHAT)?;
            let wide = high & 0x80 != 0;
            let value = if wide { u16::from_be_bytes([high & 0x7f, r.u8(WHAT)?]) } else { u16::from(high) };
            picture_id = Some(PictureId { value, wide, offset });
        }
        let mut tl0_pic_idx = None;
        if has_tl0 {
            let offset = payload.len() - r.len();
            tl0_pic_idx = Some(Field { value: r.u8(WHAT)?, offset });
        }
        let (mut temporal_id, mut layer_sync, mut key_idx) = (None, false, None);
        if has_tid || has_key {
            let offset = payload.len() - r.len();
            let byte = r.u8(WHAT)?;
            if has_tid {
                (temporal_id, layer_sync) = (Some(byte >> 6), byte & 0x20 != 0);
            }
            key_idx = has_key.then_some(Field { value: byte & 0x1f, offset });
        }
        Ok(Descriptor {
            non_reference: first & 0x20 != 0,
            partition_start: first & 0x10 != 0,
            partition: first & 0x07,
            picture_id,
            tl0_pic_idx,
            temporal_id,
            layer_sync,
            key_idx,
            len: payload.len() - r.len(),
        })
    }

    /// Whether this payload is the beginning of a frame.
    pub fn begins_frame(&self) -> bool {
        self.partition_start && self.partition == 0
    }

    /// Replaces the picture id in a copy of the payload, in the width it has. Nothing happens without one.
    pub fn set_picture_id(&self, payload: &mut [u8], value: u16) {
        let Some(id) = self.picture_id else { return };
        let [high, low] = value.to_be_bytes();
        if !id.wide {
            set(payload, id.offset, 0x7f, low);
        } else {
            set(payload, id.offset, 0x7f, high);
            set(payload, id.offset + 1, 0xff, low);
        }
    }

    /// Replaces TL0PICIDX in a copy of the payload. Nothing happens without one.
    pub fn set_tl0_pic_idx(&self, payload: &mut [u8], value: u8) {
        if let Some(field) = self.tl0_pic_idx {
            set(payload, field.offset, 0xff, value);
        }
    }

    /// Replaces KEYIDX (modulo 32) in a copy of the payload. Nothing happens without one.
    pub fn set_key_idx(&self, payload: &mut [u8], value: u8) {
        if let Some(field) = self.key_idx {
            set(payload, field.offset, 0x1f, value);
        }
    }
}

/// The size of the picture, when this RTP payload begins a keyframe: `(width, height)` in pixels before scaling.
///
/// S=1, PID=0, the P bit of the payload header 0 and the start code `9d 01 2a`: RFC 7741 §4.3, RFC 6386 §9.1.
pub fn keyframe_size(payload: &[u8]) -> Option<(u16, u16)> {
    let descriptor = Descriptor::parse(payload).ok().filter(Descriptor::begins_frame)?;
    let &[first, _, _, 0x9d, 0x01, 0x2a, w0, w1, h0, h1] = payload.get(descriptor.len..)?.first_chunk()? else {
        return None;
    };
    // The upper two bits of each are the scale.
    (first & 0x01 == 0).then_some((u16::from_le_bytes([w0, w1 & 0x3f]), u16::from_le_bytes([h0, h1 & 0x3f])))
}

/// Whether this RTP payload begins a keyframe.
pub fn is_keyframe(payload: &[u8]) -> bool {
    keyframe_size(payload).is_some()
}

/// Sets the bits of `mask`; a payload that is shorter than the one the descriptor was read from is left alone.
fn set(payload: &mut [u8], offset: usize, mask: u8, value: u8) {
    if let Some(byte) = payload.get_mut(offset) {
        *byte = *byte & !mask | value & mask;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// X, S=1, PID 0; I L T K; 15-bit picture id 0x1234; TL0PICIDX 7; TID 2, Y, KEYIDX 5.
    const FULL: [u8; 6] = [0x90, 0xf0, 0x92, 0x34, 7, 0b1010_0101];
    const KEYFRAME: [u8; 10] = [0x10, 0, 0, 0x9d, 0x01, 0x2a, 0x80, 0x42, 0xe0, 0x01]; // 640 (scale 1) x 480

    #[test]
    fn a_full_descriptor_gives_every_field_and_its_place() {
        let d = Descriptor::parse(&FULL).unwrap();
        assert!(d.partition_start && d.partition == 0 && !d.non_reference && d.layer_sync);
        assert_eq!(d.picture_id, Some(PictureId { value: 0x1234, wide: true, offset: 2 }));
        assert_eq!(d.tl0_pic_idx, Some(Field { value: 7, offset: 4 }));
        assert_eq!(d.temporal_id, Some(2));
        assert_eq!(d.key_idx, Some(Field { value: 5, offset: 5 }));
        assert_eq!(d.len, 6);
    }

    #[test]
    fn a_minimal_descriptor_is_one_byte_and_a_narrow_picture_id_one_more() {
        let minimal = Descriptor::parse(&[0x30, 0xff]).unwrap();
        assert_eq!((minimal.len, minimal.picture_id, minimal.temporal_id), (1, None, None));
        assert!(minimal.non_reference);
        let narrow = Descriptor::parse(&[0x80, 0x80, 0x55]).unwrap();
        assert_eq!((narrow.len, narrow.picture_id), (3, Some(PictureId { value: 0x55, wide: false, offset: 2 })));
    }

    #[test]
    fn a_descriptor_that_ends_early_is_truncated_at_every_length() {
        for len in 0..FULL.len() {
            assert_eq!(Descriptor::parse(&FULL[..len]), Err(WireError::Truncated("VP8 descriptor")), "{len} bytes");
        }
    }

    #[test]
    fn patching_changes_the_named_bits_only() {
        let mut payload = FULL;
        let d = Descriptor::parse(&payload).unwrap();
        d.set_picture_id(&mut payload, 0xffff);
        d.set_tl0_pic_idx(&mut payload, 200);
        d.set_key_idx(&mut payload, 0xff);
        assert_eq!(payload, [0x90, 0xf0, 0xff, 0xff, 200, 0b1011_1111]);
        let mut narrow = [0x80, 0x80, 0x55, 9];
        Descriptor::parse(&narrow).unwrap().set_picture_id(&mut narrow, 0x1234);
        assert_eq!(narrow, [0x80, 0x80, 0x34, 9]);
    }

    #[test]
    fn a_keyframe_shows_its_size_only_at_the_start_of_its_first_partition() {
        let with = |descriptor: &[u8], head: &[u8]| [descriptor, head].concat();
        assert_eq!(keyframe_size(&with(&[0x10], &KEYFRAME)), Some((640, 480)));
        assert_eq!(keyframe_size(&with(&FULL, &KEYFRAME)), Some((640, 480)));
        assert!(!is_keyframe(&with(&[0x00], &KEYFRAME)), "S is 0");
        assert!(!is_keyframe(&with(&[0x11], &KEYFRAME)), "PID is 1");
        assert!(!is_keyframe(&with(&[0x10], &KEYFRAME[..9])), "truncated");
        let mut delta = KEYFRAME;
        delta[0] |= 1;
        assert!(!is_keyframe(&with(&[0x10], &delta)), "P is 1");
        let mut other = KEYFRAME;
        other[4] = 0;
        assert!(!is_keyframe(&with(&[0x10], &other)), "no start code");
    }

    proptest! {
        #[test]
        fn no_bytes_can_make_it_panic(mut payload in proptest::collection::vec(any::<u8>(), 0..20), value: u16) {
            let _ = keyframe_size(&payload);
            if let Ok(d) = Descriptor::parse(&payload) {
                prop_assert!(d.len <= payload.len());
                d.set_picture_id(&mut payload, value);
                let expected = d.picture_id.map(|id| value & if id.wide { 0x7fff } else { 0x7f });
                prop_assert_eq!(Descriptor::parse(&payload).unwrap().picture_id.map(|id| id.value), expected);
                d.set_key_idx(&mut [], 1);
            }
        }
    }
}
