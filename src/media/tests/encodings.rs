//! Several SSRCs in one m-line, at once and after one another: one of them is relayed, whole, with its own RTX; and one
//! that is replaced for the hundredth time is relayed like the first.

use super::repair::{Camera, VIDEO_SSRC, Viewer};
use super::*;
use crate::limits::SOURCES_PER_PEER;
use crate::wire::rtcp::Bye;
use crate::wire::rtp::{ExtSeq, Header, HeaderWriter};
use crate::wire::sdp::SsrcGroup;

/// Payloads of the second camera are numbered from here.
const SECOND: u32 = 80_000;
const SECOND_SSRC: u32 = 424_242;
const SECOND_RTX_SSRC: u32 = 424_243;

/// A publisher with two cameras on one m-line, and a viewer.
struct Stage {
    world: World,
    cameras: [Camera; 2],
    viewer: Viewer,
}

impl Stage {
    /// The second camera is announced behind the first (`group` FID with its RTX, and whatever else is wished), or not at all.
    fn new(seed: u8, groups: &[(&str, &[u32])], announced: bool) -> Stage {
        let mut world = World::new(seed);
        let mut offer = chromium_offer();
        let video = &mut offer.media[1];
        if announced {
            video.ssrcs.extend([SECOND_SSRC, SECOND_RTX_SSRC].map(|ssrc| (ssrc, "c".into())));
            let group = |(semantics, ssrcs): &(&str, &[u32])| SsrcGroup {
                semantics: (*semantics).into(),
                ssrcs: ssrcs.to_vec(),
            };
            video.ssrc_groups.extend(groups.iter().map(group));
        } else {
            video.ssrcs.clear();
            video.ssrc_groups.clear();
        }
        let (feed, end) = world.publish(0, offer);
        let one = Camera::new(end, true);
        let mut other = Camera::with_ssrcs(End::new(0), SECOND_SSRC, Some(SECOND_RTX_SSRC));
        (other.next, other.count) = (20_000, SECOND);
        let (offer, end) = world.subscribe(1, feed, as_offered);
        Stage { world, cameras: [one, other], viewer: Viewer::new(end, &offer) }
    }

    fn run(&mut self, ms: u32) {
        for _ in 0..ms {
            for (member, datagram) in self.world.step() {
                if member == 1 {
                    self.viewer.receive(&self.world, datagram);
                } else {
                    for camera in &mut self.cameras {
                        camera.receive(&mut self.world, datagram.clone());
                    }
                }
            }
            self.viewer.ask(&mut self.world);
        }
    }

    /// A frame of each of these cameras, with a keyframe when one is wished for.
    fn frames(&mut self, cameras: &[usize], count: u32) {
        for _ in 0..count {
            let wished = self.cameras.each_mut().map(|camera| std::mem::take(&mut camera.wishes));
            let keyframe = wished[0] > 0;
            for camera in cameras {
                self.cameras[*camera].frame(&mut self.world, keyframe);
            }
            self.run(33);
        }
    }

    /// Which payloads came: of the first camera and of the second.
    fn got(&mut self) -> [Vec<u32>; 2] {
        let got = std::mem::take(&mut self.viewer.got);
        let (second, first) = got.into_iter().partition(|n| *n >= SECOND);
        [first, second]
    }

    /// The viewer's numbers have no holes: what was refused has none.
    fn is_seamless(&self) -> bool {
        let numbers: Vec<u64> = self.viewer.timestamps.keys().copied().collect();
        numbers.windows(2).all(|two| two[1] == two[0] + 1)
    }
}

#[test]
fn of_two_tracks_in_one_m_line_the_first_is_relayed_whole_and_the_second_is_counted() {
    let mut stage = Stage::new(80, &[("FID", &[SECOND_SSRC, SECOND_RTX_SSRC])], true);
    stage.cameras[0].frame(&mut stage.world, true);
    stage.frames(&[0, 1], 100);
    stage.run(30);
    let count = stage.cameras[0].count;
    assert_eq!(stage.got(), [(0..count).collect(), vec![]]);
    assert_eq!(stage.world.counter("rtp_source_refused"), 800);
    assert_eq!((stage.world.counter("rtp_sequence"), stage.world.counter("nacks_sent")), (0, 0));
    // RTX of the second repairs nothing of the first, whatever number it names.
    stage.cameras[1].packet(&mut stage.world, 20_000, true);
    stage.run(20);
    assert_eq!((stage.world.counter("rtp_source_refused"), stage.viewer.again), (801, 0));
    assert!(stage.is_seamless());
}

#[test]
fn the_larger_encoding_of_a_sim_group_is_relayed() {
    let groups: [(&str, &[u32]); 2] = [("FID", &[SECOND_SSRC, SECOND_RTX_SSRC]), ("SIM", &[VIDEO_SSRC, SECOND_SSRC])];
    let mut stage = Stage::new(81, &groups, true);
    // The smaller one comes first, as it does from libwebrtc.
    stage.cameras[0].frame(&mut stage.world, true);
    stage.frames(&[0, 1], 3);
    stage.got();
    stage.frames(&[0, 1], 100);
    let [small, large] = stage.got();
    assert_eq!((small.len(), large.len()), (0, 800));
    assert!(stage.is_seamless());
}

#[test]
fn the_other_takes_over_at_a_keyframe_when_the_relayed_one_stops_and_once_when_it_says_goodbye() {
    for announced in [true, false] {
        let mut stage = Stage::new(82, &[("FID", &[SECOND_SSRC, SECOND_RTX_SSRC])], announced);
        let with_mid = |camera: &mut Camera| camera.mid = Some("1");
        stage.cameras.iter_mut().for_each(with_mid);
        stage.cameras[0].frame(&mut stage.world, true);
        stage.frames(&[0, 1], 30);
        assert_eq!(stage.got()[1].len(), 0);
        stage.frames(&[1], 60);
        let [first, second] = stage.got();
        // A second without a packet, the way of the wish, and the frame that was sent meanwhile.
        let last = *second.last().unwrap();
        assert_eq!((first.len(), last + 1), (0, stage.cameras[1].count));
        assert!((200..=240).contains(&second.len()), "{}", second.len());
        let keyframe = second[0];
        assert_eq!(second, (keyframe..=last).collect::<Vec<_>>(), "whole from the keyframe on");
        assert!(stage.is_seamless());

        stage.cameras[1]
            .rtcp(&mut stage.world, |out| Bye { ssrcs: &[SECOND_SSRC.to_be_bytes()], reason: b"" }.write(out).unwrap());
        stage.frames(&[0], 10);
        let [first, second] = stage.got();
        assert!(first.len() >= 64 && second.is_empty(), "{} {}", first.len(), second.len());
        assert!(stage.is_seamless());
    }
}

#[test]
fn rtx_that_nothing_pairs_repairs_the_source_that_was_asked_for_the_packet() {
    let mut stage = Stage::new(83, &[], false);
    stage.cameras.iter_mut().for_each(|camera| camera.mid = Some("1"));
    // Both have the same numbers.
    stage.cameras[1].next = stage.cameras[0].next + 8;
    stage.cameras[0].frame(&mut stage.world, true);
    stage.frames(&[0, 1], 10);
    let missing = ExtSeq(stage.cameras[0].next).low();
    stage.world.link.cut = 1;
    stage.cameras[0].frame(&mut stage.world, false);
    stage.cameras[1].frame(&mut stage.world, false);
    // The second repeats its packet of the number that is missing of the first, which was not asked for yet.
    stage.cameras[1].packet(&mut stage.world, missing, true);
    stage.run(100);
    assert_eq!((stage.world.counter("rtx_probe"), stage.world.counter("packets_recovered")), (1, 1));
    let count = stage.cameras[0].count;
    assert_eq!(stage.got(), [(0..count).collect(), vec![]]);
}

/// An offer whose video has these SSRCs.
fn offering(ssrc: u32, rtx: u32) -> Description {
    let mut offer = chromium_offer();
    let video = &mut offer.media[1];
    video.ssrcs = [ssrc, rtx].map(|ssrc| (ssrc, "c".into())).to_vec();
    video.ssrc_groups = vec![SsrcGroup { semantics: "FID".into(), ssrcs: vec![ssrc, rtx] }];
    offer
}

#[test]
fn an_ssrc_that_was_replaced_three_hundred_times_is_relayed_like_the_first() {
    let mut world = World::new(84);
    let (feed, end) = world.publish(0, chromium_offer());
    let (offer, viewer_end) = world.subscribe(1, feed, as_offered);
    let mut viewer = Viewer::new(viewer_end, &offer);
    let mut camera = Camera::new(end, true);
    for n in 0..300 {
        if n > 0 {
            let (ssrc, rtx) = (1000 + 2 * n, 1001 + 2 * n);
            let configure = Configure { offer: Some(Box::new(offering(ssrc, rtx))), ..Configure::default() };
            let reply = world.request(0, MemberRequest::Configure(configure));
            assert!(matches!(reply, Reply::Configured(_)), "{reply:?}");
            let count = camera.count;
            camera = Camera::with_ssrcs(End::new(0), ssrc, Some(rtx));
            camera.count = count;
        }
        camera.frame(&mut world, true);
        // RTX takes an SSRC too.
        camera.packet(&mut world, 65_000, true);
        for _ in 0..40 {
            for (member, datagram) in world.step() {
                if member == 1 {
                    viewer.receive(&world, datagram);
                }
            }
        }
    }
    assert!(viewer.got.iter().copied().eq(0..300 * 8));
    for name in ["rtp_unknown_source", "srtp_too_many_sources", "rtp_source_refused", "nacks_sent"] {
        assert_eq!(world.counter(name), 0, "{name}");
    }
    assert!(world.engine.poll_notice().is_none());
}

/// One audio packet of an SSRC that only its MID binds.
fn audio(end: &mut End, world: &mut World, ssrc: u32) -> Verdict {
    let stream = end.outbound.open(ssrc, 1);
    let header = Header { marker: false, payload_type: 111, sequence: 0, timestamp: 960, ssrc };
    let mut head = [0; 40];
    let mut writer = HeaderWriter::new(&mut head, &header).unwrap();
    writer.push(4, b"0").unwrap();
    let len = writer.finish().unwrap();
    let mut out = [0; 200];
    let sealed = end.outbound.seal(stream, &mut head[..len], &[7; 30], 0, &mut out).unwrap();
    world.deliver(end.member, &mut out[..sealed.len])
}

#[test]
fn who_sends_with_more_ssrcs_than_there_is_room_for_is_told_of_and_silent_ones_make_room() {
    let mut world = World::new(85);
    let (_, mut end) = world.publish(0, chromium_offer());
    let mut refused = 0;
    for ssrc in 0..u32::try_from(SOURCES_PER_PEER).unwrap() + 20 {
        let verdict = audio(&mut end, &mut world, 10_000 + ssrc);
        refused += u64::from(verdict == Verdict::Drop(crate::media::verdict::DropReason::SrtpTooManySources));
    }
    assert!(refused >= 20);
    assert_eq!(world.counter("srtp_too_many_sources"), refused);
    let notice = world.engine.poll_notice().unwrap().to_string();
    assert!(notice.starts_with("room 1: handle 1 of session 1 sends with more SSRCs"), "{notice}");
    assert!(world.engine.poll_notice().is_none(), "once");
    world.step();
    let told =
        world.observed.iter().filter(|(_, what)| matches!(what, Observation::SourcesExhausted { most: 1024, .. }));
    assert_eq!(told.count(), 1);
    (0..10_000).for_each(|_| drop(world.step()));
    for ssrc in 0..500 {
        let verdict = audio(&mut end, &mut world, 50_000 + ssrc);
        assert_ne!(verdict, Verdict::Drop(crate::media::verdict::DropReason::SrtpTooManySources));
    }
}

#[test]
fn h264_whose_parameter_sets_are_in_the_description_is_shown_from_its_first_idr_on() {
    let mut world = World::new(86);
    let room = RoomId::from(2);
    let spec = RoomSpec { video_codecs: vec![crate::control::codec::Codec::H264], ..RoomSpec::new(room.clone()) };
    assert!(matches!(world.ask(Command::Create(Box::new(spec))), Reply::Created(_)));
    world.room = room;
    let mut offer = chromium_offer();
    let payload = offer.media[1].payloads.iter_mut().find(|payload| &*payload.encoding == "H264").unwrap();
    payload.fmtp = Some(
        "packetization-mode=1;sprop-parameter-sets=Z0LAH9kAUAW7ARAAAAMAEAAAAwPI8YMkgA==,aMuDyyA=;profile-level-id=42C01F"
            .into(),
    );
    let pt = payload.pt;
    offer.media[1].payloads.retain(|payload| payload.pt == pt);
    let (feed, mut end) = world.publish(0, offer);
    world.subscribe(1, feed, as_offered);
    let stream = end.outbound.open(VIDEO_SSRC, 0);
    for n in 0..30u16 {
        let payload: &[u8] = if n % 10 == 0 { &[0x65, 0xb8, 0x00, 0x04, 0x00, 7] } else { &[0x41, 0x9a, 0x24] };
        let header =
            Header { marker: true, payload_type: pt, sequence: 0, timestamp: u32::from(n) * 3000, ssrc: VIDEO_SSRC };
        let (mut head, mut out) = ([0; 12], [0; 100]);
        HeaderWriter::new(&mut head, &header).unwrap().finish().unwrap();
        let sealed = end.outbound.seal_at(stream, 100 + u64::from(n), &mut head, payload, 0, &mut out).unwrap();
        assert_eq!(world.deliver(0, &mut out[..sealed.len]), Verdict::Accepted);
        world.step();
    }
    assert_eq!((world.counter("awaiting_keyframe"), world.counter("packets_sent")), (0, 30));
}
