//! RTCP of receivers that do not keep to the letter: what stands behind a malformed packet is heard, and so is a wish that
//! names no source or the RTX of one; a NACK of RTX is not taken for one of media.

use super::repair::{Call, VIDEO_SSRC, send_rtcp};
use crate::wire::rtcp::{Fir, IntraRequest, Nack, Pli, ReceiverReport};

/// SDES of one chunk that does not end, REMB and TWCC that announce more than they hold.
const MALFORMED: [&[u8]; 3] = [
    b"\x81\xca\x00\x03\x00\x00\x00\x01\x01\x06hunter",
    b"\x8f\xce\x00\x04\x00\x00\x00\x01\x00\x00\x00\x00REMB\xff\xff\xff\xff",
    b"\x8f\xcd\x00\x05\x00\x00\x00\x01\x00\x00\x00\x02\x00\x01\xff\xff\x00\x00\x00\x00\xd0\x00\xd0\x00",
];

/// The camera is asked for how many keyframes, when the viewer sends this.
fn wishes(call: &mut Call, compose: impl FnOnce(&mut [u8]) -> usize) -> u32 {
    call.run(600);
    let before = call.camera.wishes;
    send_rtcp(&mut call.viewers[0].end, &mut call.world, compose);
    call.run(600);
    call.camera.wishes - before
}

#[test]
fn a_malformed_packet_hides_nothing_of_what_stands_behind_it() {
    let mut call = Call::new(70, true, &[true]);
    call.frames(3);
    let media_ssrc = call.viewers[0].ssrc;
    for (n, malformed) in (1..).zip(MALFORMED) {
        let wished = wishes(&mut call, |out| {
            let mut len = ReceiverReport { ssrc: 1, blocks: &[] }.write(out).unwrap();
            out[len..len + malformed.len()].copy_from_slice(malformed);
            len += malformed.len();
            len + Pli { sender_ssrc: 1, media_ssrc }.write(&mut out[len..]).unwrap()
        });
        assert_eq!((wished, call.world.counter("rtcp_malformed")), (1, n), "{malformed:?}");
    }
    // The same before a NACK.
    call.frames(1);
    let newest = call.viewers[0].highest.unwrap().low().to_be_bytes();
    wishes(&mut call, |out| {
        out[..MALFORMED[0].len()].copy_from_slice(MALFORMED[0]);
        let len = MALFORMED[0].len();
        len + Nack { sender_ssrc: 1, media_ssrc, entries: &[[newest[0], newest[1], 0, 0]] }
            .write(&mut out[len..])
            .unwrap()
    });
    assert_eq!((call.world.counter("nacks_received"), call.world.counter("rtcp_malformed")), (1, 4));
    wishes(&mut call, |out| {
        out[..MALFORMED[0].len()].copy_from_slice(MALFORMED[0]);
        MALFORMED[0].len()
    });
    assert_eq!(call.world.counter("rtcp_malformed"), 5, "alone it is a drop");
}

#[test]
fn a_wish_that_names_no_source_or_its_rtx_is_heard() {
    let mut call = Call::new(71, true, &[true]);
    call.frames(3);
    let (media, rtx) = (call.viewers[0].ssrc, call.viewers[0].rtx_ssrc);
    for ssrc in [media, rtx, 0] {
        let wished = wishes(&mut call, |out| Pli { sender_ssrc: 1, media_ssrc: ssrc }.write(out).unwrap());
        assert_eq!(wished, 1, "PLI of {ssrc}");
        let entries = [IntraRequest { ssrc, sequence: 9 }.to_bytes()];
        let wished =
            wishes(&mut call, |out| Fir { sender_ssrc: 1, media_ssrc: 0, entries: &entries }.write(out).unwrap());
        assert_eq!(wished, 1, "FIR of {ssrc}");
    }
    let wished = wishes(&mut call, |out| Pli { sender_ssrc: 1, media_ssrc: VIDEO_SSRC }.write(out).unwrap());
    assert_eq!(wished, 0, "the publisher's own SSRC is nobody's here");
    let many = wishes(&mut call, |out| {
        (0..50).fold(0, |len, _| len + Pli { sender_ssrc: 1, media_ssrc: 0 }.write(&mut out[len..]).unwrap())
    });
    assert_eq!(many, 1);
}

#[test]
fn a_nack_of_rtx_is_not_one_of_media() {
    let mut call = Call::new(72, true, &[true]);
    call.frames(3);
    let (media_ssrc, newest) = (call.viewers[0].rtx_ssrc, call.viewers[0].highest.unwrap().low().to_be_bytes());
    let entries = [[newest[0], newest[1], 0, 0]];
    wishes(&mut call, |out| Nack { sender_ssrc: 1, media_ssrc, entries: &entries }.write(out).unwrap());
    assert_eq!((call.world.counter("nack_unserved"), call.world.counter("packets_resent")), (1, 0));
    assert_eq!(call.viewers[0].again, 0);
}
