//! RTP packets: header, extension block, the values in it and the VP8 descriptor; and what is read is written again.

use portunus::wire::payload::vp8;
use portunus::wire::payload::vp8::Descriptor;
use portunus::wire::rtp::extension::{
    AbsSendTime, AudioLevel, PlayoutDelay, VideoOrientation, identifier, transport_sequence,
};
use portunus::wire::rtp::{HeaderWriter, Packet};

/// One datagram.
pub fn run(data: &[u8]) {
    let Ok(packet) = Packet::parse(data) else { return };
    assert!(data[packet.header_len..].starts_with(packet.payload));
    for (_, value) in packet.extensions() {
        let _ = (AudioLevel::parse(value), VideoOrientation::parse(value), AbsSendTime::parse(value));
        let _ = (PlayoutDelay::parse(value), transport_sequence(value), identifier(value));
    }
    rewrite(&packet);
    descriptor(packet.payload);
}

/// The elements of any packet survive our writer, whichever form they came in and go out with.
fn rewrite(packet: &Packet<'_>) {
    let mut out = [0; 2048];
    let mut writer = HeaderWriter::new(&mut out, &packet.header).expect("2048 bytes hold a header");
    let mut written = Vec::new();
    // In the two-byte form a hostile id may be 0, which is no id.
    for (id, value) in packet.extensions().filter(|(id, _)| *id != 0) {
        if writer.push(id, value).is_ok() {
            written.push((id, value));
        }
    }
    let Ok(len) = writer.finish() else { return };
    let again = Packet::parse(&out[..len]).expect("our header is well formed");
    assert_eq!(again.header, packet.header);
    assert_eq!(again.extensions().collect::<Vec<_>>(), written);
}

/// A patched field reads back, and nothing else of the descriptor changes.
fn descriptor(payload: &[u8]) {
    let Ok(before) = Descriptor::parse(payload) else { return };
    assert!(before.len <= payload.len());
    let _ = vp8::keyframe_size(payload);
    let mut copy = payload.to_vec();
    before.set_picture_id(&mut copy, 0x55aa);
    before.set_tl0_pic_idx(&mut copy, 0x77);
    before.set_key_idx(&mut copy, 21);
    let after = Descriptor::parse(&copy).expect("patching keeps the shape");
    let mut expected = before;
    if let Some(id) = &mut expected.picture_id {
        id.value = 0x55aa & if id.wide { 0x7fff } else { 0x7f };
    }
    if let Some(field) = &mut expected.tl0_pic_idx {
        field.value = 0x77;
    }
    if let Some(field) = &mut expected.key_idx {
        field.value = 21;
    }
    assert_eq!(after, expected);
    assert_eq!(copy[before.len..], payload[before.len..]);
}
