//! Whose an SSRC is: every peer has its own, a MID may move one between the m-lines of its peer, and a goodbye ends a
//! source without losing its place (RFC 9143 §9.2, RFC 3550 §6.6).

use super::repair::{Call, Camera, VIDEO_SSRC, Viewer, send_rtcp};
use super::*;
use crate::wire::rtcp::{Bye, Nack};
use crate::wire::rtp::{Header, HeaderWriter};

const AUDIO_SSRC: u32 = 3_310_110_520;
const AUDIO_PT: u8 = 111;
const MID_ID: u8 = 4;

#[test]
fn two_publishers_with_the_same_ssrcs_do_not_disturb_each_other() {
    let mut world = World::new(9);
    let mut cameras = Vec::new();
    let mut viewers = Vec::new();
    for publisher in [0, 1] {
        let (feed, end) = world.publish(publisher, chromium_offer());
        cameras.push(Camera::new(end, true));
        let (offer, end) = world.subscribe(10 + publisher, feed, as_offered);
        viewers.push(Viewer::new(end, &offer));
    }
    // Different numbers on one SSRC: one table for both would see one source jump to and fro.
    cameras[1].next = 30_000;
    cameras[1].count = 80_000;
    for n in 0..10 {
        for camera in &mut cameras {
            camera.frame(&mut world, n == 0);
        }
        for _ in 0..33 {
            for (member, datagram) in world.step() {
                if member >= 10 {
                    viewers[usize::from(member) - 10].receive(&world, datagram);
                }
            }
        }
    }
    assert!(viewers[0].got.iter().copied().eq(0..80));
    assert!(viewers[1].got.iter().copied().eq(80_000..80_080));
    assert_eq!((world.counter("rtp_sequence"), world.counter("sources_rebound")), (0, 0));
}

/// One audio packet, with the MID of an m-line.
fn audio(camera: &mut Camera, world: &mut World, ssrc: u32, index: u64, mid: &str, payload_type: u8) -> Verdict {
    send(&mut camera.end, world, (ssrc, index), Some(mid), payload_type, &[7; 30])
}

/// One packet, with or without the MID of an m-line.
fn send(
    end: &mut End,
    world: &mut World,
    (ssrc, index): (u32, u64),
    mid: Option<&str>,
    payload_type: u8,
    payload: &[u8],
) -> Verdict {
    let stream = end.outbound.open(ssrc, 0);
    let header = Header { marker: false, payload_type, sequence: 0, timestamp: 960, ssrc };
    let mut head = [0; 300];
    let mut writer = HeaderWriter::new(&mut head, &header).unwrap();
    if let Some(mid) = mid {
        writer.push(MID_ID, mid.as_bytes()).unwrap();
    }
    let len = writer.finish().unwrap();
    let mut out = [0; 400];
    let sealed = end.outbound.seal_at(stream, index, &mut head[..len], payload, 0, &mut out).unwrap();
    world.deliver(end.member, &mut out[..sealed.len])
}

/// An offer without SSRCs and without MIDs in packets.
fn bare_offer() -> Description {
    let mut offer = chromium_offer();
    for media in &mut offer.media {
        media.ssrcs.clear();
        media.ssrc_groups.clear();
        media.extensions.clear();
    }
    offer
}

#[test]
fn an_m_line_that_announces_nothing_is_found_by_its_payload_type_when_no_other_has_it() {
    let unknown = Verdict::Drop(crate::media::verdict::DropReason::RtpUnknownSource);
    let mut world = World::new(13);
    let (_, mut end) = world.publish(0, bare_offer());
    assert_eq!(send(&mut end, &mut world, (5, 1), None, AUDIO_PT, &[7; 30]), Verdict::Accepted);
    assert_eq!(send(&mut end, &mut world, (6, 1), None, 96, &[0x10, 1, 0, 0]), Verdict::Accepted);
    assert_eq!(send(&mut end, &mut world, (7, 1), None, 98, &[7; 30]), unknown, "of a codec that was not chosen");
    let wrong_type = Verdict::Drop(crate::media::verdict::DropReason::RtpPayloadType);
    assert_eq!(send(&mut end, &mut world, (5, 2), None, 96, &[0x10, 1, 0, 0]), wrong_type, "audio stays audio");

    let mut offer = bare_offer();
    let mut second = offer.media[1].clone();
    second.mid = crate::wire::sdp::Mid::from("2").unwrap();
    offer.bundle.as_mut().unwrap().push(second.mid);
    offer.media.push(second);
    let mut world = World::new(14);
    let (_, mut end) = world.publish(0, offer);
    assert_eq!(send(&mut end, &mut world, (5, 1), None, AUDIO_PT, &[7; 30]), Verdict::Accepted);
    assert_eq!(send(&mut end, &mut world, (6, 1), None, 96, &[0x10, 1, 0, 0]), unknown, "two lines have it");
}

#[test]
fn what_nobody_agreed_to_leaves_no_holes_and_what_is_lost_does() {
    let mut world = World::new(15);
    let (feed, mut end) = world.publish(0, chromium_offer());
    let (_, mut viewer) = world.subscribe(1, feed, as_offered);
    let mut numbers = Vec::new();
    // Comfort noise, telephone events, RED and padding between media; 23 and 24 are lost.
    for n in (10..40u64).filter(|n| ![23, 24].contains(n)) {
        let (pt, payload): (u8, &[u8]) = match n {
            12 | 13 => (13, &[40]),
            16 => (126, &[1, 0x8a, 0, 0]),
            20 => (63, &[111, 7, 7]),
            26 => (AUDIO_PT, &[]),
            _ => (AUDIO_PT, &[7; 30]),
        };
        let verdict = send(&mut end, &mut world, (AUDIO_SSRC, n), None, pt, payload);
        assert_eq!(verdict == Verdict::Accepted, pt == AUDIO_PT && !payload.is_empty(), "{n}: {verdict:?}");
        for (_, mut datagram) in world.step() {
            numbers.extend(number_of(&mut viewer, &mut datagram));
        }
    }
    for _ in 0..200 {
        for (_, mut datagram) in world.step() {
            numbers.extend(number_of(&mut viewer, &mut datagram));
        }
    }
    let steps: Vec<u64> = numbers.windows(2).map(|two| two[1] - two[0]).collect();
    assert_eq!(numbers.len(), 23);
    assert_eq!(steps.iter().filter(|step| **step != 1).collect::<Vec<_>>(), [&3], "{steps:?}");
    assert_eq!((world.counter("rtp_payload_type"), world.counter("rtp_padding")), (4, 1));
}

#[test]
fn whatever_is_shorter_than_its_header_is_counted_and_nothing_more() {
    let mut world = World::new(16);
    world.publish(0, chromium_offer());
    let before = world.counter("rtp_malformed");
    for len in 1..12 {
        for kind in [96, 200] {
            let mut datagram = vec![kind; len];
            datagram[0] = 0x80;
            assert!(matches!(world.deliver(0, &mut datagram), Verdict::Drop(_)), "{kind} {len}");
        }
    }
    assert!(world.counter("rtp_malformed") > before);
    assert_eq!(world.counter("rooms_failed"), 0);
}

fn number_of(viewer: &mut End, datagram: &mut [u8]) -> Option<u64> {
    (classify(datagram) == Protocol::Rtp).then(|| viewer.inbound.unprotect_rtp(datagram).unwrap().index)
}

#[test]
fn an_ssrc_that_nobody_announced_is_bound_by_its_mid_and_to_nothing_else() {
    let Call { mut world, mut camera, .. } = Call::new(10, true, &[true]);
    let unknown = Verdict::Drop(crate::media::verdict::DropReason::RtpUnknownSource);
    let wrong_type = Verdict::Drop(crate::media::verdict::DropReason::RtpPayloadType);
    assert_eq!(audio(&mut camera, &mut world, 5, 1, "nobody's", AUDIO_PT), unknown);
    assert_eq!(audio(&mut camera, &mut world, 5, 2, "0", 99), wrong_type, "and it is not bound");
    assert_eq!(audio(&mut camera, &mut world, 5, 3, "0", AUDIO_PT), Verdict::Accepted);
    assert_eq!(audio(&mut camera, &mut world, 5, 4, "1", AUDIO_PT), wrong_type, "audio does not become video");
    assert_eq!(audio(&mut camera, &mut world, 5, 5, "0", AUDIO_PT), Verdict::Accepted);
    let other = Verdict::Drop(crate::media::verdict::DropReason::RtpSourceRefused);
    assert_eq!(
        audio(&mut camera, &mut world, AUDIO_SSRC, 1, "1", 96),
        other,
        "its MID moves it, to a camera that is sent"
    );
    (0..1000).for_each(|_| drop(world.step()));
    assert_eq!(audio(&mut camera, &mut world, AUDIO_SSRC, 2, "1", 96), Verdict::Accepted, "and that has stopped");
    assert_eq!(world.counter("sources_rebound"), 1);
}

/// A one-byte element carries 16 bytes; longer tags come in the two-byte form (RFC 8285 §4.3).
#[test]
fn a_tag_of_any_length_names_its_line() {
    for tag in ["0123456789abcdef", "2f0c9a1e-52c4-4a8e-9a55-0d6f0c3f1b7e", &"m".repeat(255)] {
        let mut world = World::new(10);
        let text = vectors::CHROMIUM_PUBLISH.replace("BUNDLE 0 ", &format!("BUNDLE {tag} "));
        let text = text.replace("a=mid:0\r\n", &format!("a=mid:{tag}\r\n"));
        let (feed, end) = world.publish(0, parse(DescriptionKind::Offer, &text).unwrap());
        let mut camera = Camera::new(end, true);
        let (offer, _) = world.subscribe(1, feed, as_offered);
        assert_eq!(&*offer.media[0].mid, "0", "what we send has tags of ours");
        assert_eq!(audio(&mut camera, &mut world, 5, 1, tag, AUDIO_PT), Verdict::Accepted, "{tag}");
    }
}

#[test]
fn lost_audio_is_sent_again_to_a_browser_that_asks_although_its_answer_did_not_say_so() {
    let mut world = World::new(12);
    let (feed, end) = world.publish(0, chromium_offer());
    let mut camera = Camera::new(end, true);
    let (offer, mut end) = world.subscribe(1, feed, |answer| {
        answer.media[0].payloads[0].feedback.retain(|feedback| **feedback != *"nack");
    });
    assert_eq!(audio(&mut camera, &mut world, AUDIO_SSRC, 7, "0", AUDIO_PT), Verdict::Accepted);
    let media_ssrc = offer.media[0].ssrcs[0].0;
    let mut heard = Vec::new();
    for round in 0..60 {
        for (_, datagram) in world.step().into_iter().filter(|(_, datagram)| classify(datagram) == Protocol::Rtp) {
            let sequence = [datagram[2], datagram[3]];
            heard.push(datagram);
            let entries = [[sequence[0], sequence[1], 0, 0]];
            if round < 20 {
                send_rtcp(&mut end, &mut world, |out| {
                    Nack { sender_ssrc: 1, media_ssrc, entries: &entries }.write(out).unwrap()
                });
            }
        }
    }
    assert_eq!(heard.len(), 2);
    assert_eq!(heard[0], heard[1], "byte for byte");
}

#[test]
fn after_a_goodbye_the_same_ssrc_goes_on_without_a_seam() {
    let mut call = Call::new(11, true, &[true]);
    call.frames(3);
    call.camera
        .rtcp(&mut call.world, |out| Bye { ssrcs: &[VIDEO_SSRC.to_be_bytes()], reason: b"" }.write(out).unwrap());
    call.run(500);
    // What it never sent is not missing.
    call.camera.next += 300;
    call.camera.frame(&mut call.world, true);
    call.frames(3);
    let numbers: Vec<u64> = call.viewers[0].timestamps.keys().copied().collect();
    assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1), "{numbers:?}");
    assert_eq!(numbers.len(), usize::try_from(call.camera.count).unwrap());
    assert_eq!(call.world.counter("nacks_sent"), 0);
    let timestamps: Vec<u32> = call.viewers[0].timestamps.values().copied().collect();
    let step = timestamps[32].wrapping_sub(timestamps[31]);
    assert!((45_000..60_000).contains(&step), "half a second went by: {step}");
}
