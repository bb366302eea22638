//! What peers in the wild offer and answer, each with one thing that browsers do not do.

use super::{NegotiateError, accept, answer, offer, payload_types, remote_of_answer, remote_of_offer};
use crate::control::codec::Codec;
use crate::control::media::{ExtensionIds, OfferedMedia, PublishedMedia};
use crate::control::spec::RoomSpec;
use crate::limits::{MEDIA_LINES_MAX, SDP_BYTES_MAX};
use crate::wire::sdp::{Description, DescriptionKind, Direction, MediaKind, Mid, compose, parse, vectors};

fn read(text: &str) -> Description {
    parse(DescriptionKind::Offer, text).unwrap_or_else(|error| panic!("{error}"))
}

fn answered(text: &str) -> (Description, Vec<PublishedMedia>) {
    answer(&read(text), &RoomSpec::new(1234.into()), None, None).unwrap()
}

fn codecs(published: &[PublishedMedia]) -> Vec<Option<Codec>> {
    published.iter().map(|media| media.codec).collect()
}

#[test]
fn without_a_group_the_first_transport_carries_its_line_and_the_other_is_rejected() {
    let (described, published) = answered(vectors::GST_NONE);
    let text = compose(&described);
    assert!(!text.contains("BUNDLE"), "not offered, not answered");
    assert_eq!(codecs(&published), [Some(Codec::Vp8), None]);
    assert!(text.contains("m=video 9 UDP/TLS/RTP/SAVPF 96\r\n"));
    assert!(text.ends_with("m=audio 0 UDP/TLS/RTP/SAVPF 0\r\nc=IN IP4 0.0.0.0\r\na=inactive\r\na=mid:audio0\r\n"));
    let offer = read(vectors::GST_NONE);
    assert_eq!(&*remote_of_offer(&offer, &described).unwrap().ufrag, "AAAA");
    // Where the first line has no codec of the room, the second one's transport it is.
    let other = read(&vectors::GST_NONE.replace("VP8", "VP3"));
    let (described, published) = answer(&other, &RoomSpec::new(1234.into()), None, None).unwrap();
    assert_eq!(codecs(&published), [None, Some(Codec::Opus)]);
    assert_eq!(&*remote_of_offer(&other, &described).unwrap().ufrag, "BBBB");
}

#[test]
fn lines_of_one_transport_are_carried_without_a_group_too() {
    let (described, published) = answered(&vectors::GST_NONE.replace("BBBB", "AAAA"));
    assert_eq!(codecs(&published), [Some(Codec::Vp8), Some(Codec::Opus)]);
    assert_eq!(described.bundle, None);
}

#[test]
fn a_group_is_led_by_its_first_line_that_is_taken_and_carries_no_stranger() {
    let grouped = |group: &str| vectors::GST_NONE.replace("t=0 0\r\n", &format!("t=0 0\r\na=group:BUNDLE {group}\r\n"));
    let of = |text: &str| {
        let offer = read(text);
        let (described, published) = answer(&offer, &RoomSpec::new(1234.into()), None, None).unwrap();
        let group: Vec<String> = described.bundle.iter().flatten().map(|mid| mid.to_string()).collect();
        (codecs(&published), group.join(" "), remote_of_offer(&offer, &described).unwrap().ufrag.to_string())
    };
    let (vp8, opus) = (Some(Codec::Vp8), Some(Codec::Opus));
    assert_eq!(of(&grouped("video0 audio0")), (vec![vp8, opus], "video0 audio0".into(), "AAAA".into()));
    assert_eq!(of(&grouped("audio0 video0")), (vec![vp8, opus], "audio0 video0".into(), "BBBB".into()));
    assert_eq!(of(&grouped("audio0")), (vec![None, opus], "audio0".into(), "BBBB".into()));
    let without_opus = grouped("audio0 video0").replace("OPUS", "XPUS");
    assert_eq!(of(&without_opus), (vec![vp8, None], "video0".into(), "AAAA".into()));
}

#[test]
fn a_line_without_dtls_is_rejected() {
    let (described, published) = answered(
        &vectors::GST_NONE.replace("BBBB", "AAAA").replace("m=audio 9 UDP/TLS/RTP/SAVPF", "m=audio 9 RTP/AVP"),
    );
    assert_eq!(codecs(&published), [Some(Codec::Vp8), None]);
    assert!(compose(&described).contains("m=audio 0 RTP/AVP 0\r\n"));
}

#[test]
fn odd_offers_are_answered_as_the_same_without_the_oddity() {
    let plain = vectors::ODD_BANDWIDTH.replace("b=AS:50.5\r\n", "");
    let (expected, published) = answered(&plain);
    assert_eq!(codecs(&published), [Some(Codec::Opus), Some(Codec::Vp8)]);
    for odd in [vectors::ODD_BANDWIDTH, vectors::ODD_SETUP, vectors::ODD_SPACES] {
        assert_eq!(compose(&answered(odd).0), compose(&expected));
        assert_eq!(answered(odd).1, published);
    }
    let (huge, streams) = answered(vectors::ODD_ORIGIN);
    assert_eq!(streams, published);
    let tail = |description: &Description| compose(description).split_once("s=").unwrap().1.to_string();
    assert_eq!(tail(&huge), tail(&expected));
    assert!(compose(&huge).starts_with(&format!("v=0\r\no=- {} 1 IN", 99_999_999_999_999_999_999_999_u128 as u64)));
}

#[test]
fn a_line_of_another_kind_is_rejected_with_its_tag_and_the_rest_answered() {
    let (described, published) = answered(vectors::EXTRA_TEXT);
    assert_eq!(codecs(&published), [Some(Codec::Opus), Some(Codec::Vp8), None]);
    let text = compose(&described);
    assert!(text.contains("a=group:BUNDLE 0 1\r\n"));
    assert!(text.ends_with("m=text 0 UDP/TLS/RTP/SAVPF 0\r\nc=IN IP4 0.0.0.0\r\na=inactive\r\na=mid:txt\r\n"));
}

#[test]
fn plan_b_names_both_of_its_sources() {
    let (_, published) = answered(vectors::PLAN_B);
    let repaired: Vec<bool> = published[1].rtx_ssrcs.iter().map(Option::is_some).collect();
    assert_eq!((&published[1].ssrcs[..], &repaired[..]), (&[1_862_494_604, 424_242][..], &[true, false][..]));
}

#[test]
fn parameter_sets_ride_in_the_fmtp_to_subscribers() {
    let spec = RoomSpec { video_codecs: vec![Codec::H264], ..RoomSpec::new(1234.into()) };
    let (_, published) = answer(&read(vectors::H264_SPROP), &spec, None, None).unwrap();
    let fmtp = published[1].fmtp.as_deref().unwrap();
    assert!(fmtp.contains("sprop-parameter-sets=Z0LAH9kAUAW7ARAAAAMAEAAAAwPI8YMkgA==,aMuDyyA="), "{fmtp}");
}

#[test]
fn one_way_extensions_are_answered_the_other_way() {
    let text = vectors::ODD_BANDWIDTH.replace("a=extmap:1 ", "a=extmap:1/sendonly ");
    assert!(
        compose(&answered(&text).0).contains("a=extmap:1/recvonly urn:ietf:params:rtp-hdrext:ssrc-audio-level\r\n")
    );
}

#[test]
fn who_does_not_check_either_is_told() {
    let text = vectors::ODD_BANDWIDTH.replace("s=-\r\n", "s=-\r\na=ice-lite\r\n");
    let refused = answer(&read(&text), &RoomSpec::new(1234.into()), None, None).unwrap_err();
    assert_eq!(refused, NegotiateError::IceLite);
    assert!(refused.to_string().contains("ICE-lite"));
}

fn line(index: usize, codec: Codec, lines: &[OfferedMedia], fmtp: Option<&str>) -> OfferedMedia {
    let (pt, rtx_pt) = payload_types(lines, codec, fmtp).expect("a payload type");
    let ssrc = u32::try_from(index).unwrap() + 1;
    OfferedMedia {
        mid: Mid::from(&index.to_string()).unwrap(),
        kind: if codec.is_video() { MediaKind::Video } else { MediaKind::Audio },
        codec,
        pt,
        rtx_pt,
        fmtp: fmtp.map(Box::from),
        extensions: ExtensionIds { mid: Some(4), transport_cc: Some(3), ..ExtensionIds::default() },
        ssrc,
        rtx_ssrc: rtx_pt.map(|_| ssrc + 10_000),
        active: true,
        msid: ("janus".into(), format!("janus{index}").into()),
    }
}

#[test]
fn thirty_cameras_with_levels_and_parameter_sets_of_their_own_are_taken_by_one_subscriber() {
    let mut lines = Vec::new();
    for camera in 0..30 {
        let fmtp =
            format!("packetization-mode=1;profile-level-id=42c0{camera:02x};sprop-parameter-sets=Z0{camera:02},aM");
        let next = line(camera, Codec::H264, &lines, Some(&fmtp));
        lines.push(next);
    }
    let text = compose(&offer(&lines, 1, 1, "1234"));
    assert_eq!(text.matches("SAVPF 107 108\r\n").count(), 30, "one payload type");
    for camera in 0..30 {
        assert_eq!(text.matches(&format!("sprop-parameter-sets=Z0{camera:02},aM\r\n")).count(), 1);
    }
}

/// An answer to the lines, m-line by m-line: direction, and the ufrag of its transport.
fn answer_text(group: &str, lines: &[(&str, u8, &str)]) -> String {
    let mut text = format!("v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n{group}");
    for (index, (ufrag, pt, direction)) in lines.iter().enumerate() {
        let (kind, codec) = if *pt == 111 { ("audio", "opus/48000/2") } else { ("video", "VP8/90000") };
        let port = if *direction == "rejected" { 0 } else { 9 };
        text += &format!(
            "m={kind} {port} UDP/TLS/RTP/SAVPF {pt}\r\na=mid:{index}\r\na=ice-ufrag:{ufrag}\r\na=ice-pwd:0123456789012345678901\r\n\
             a=setup:active\r\na=fingerprint:sha-256 {}\r\na=rtpmap:{pt} {codec}\r\na={direction}\r\n",
            ["AB"; 32].join(":")
        );
    }
    text
}

fn taken(text: &str) -> (Vec<bool>, String) {
    let mut lines = Vec::new();
    for (index, codec) in [Codec::Opus, Codec::Vp8, Codec::Vp8].into_iter().enumerate() {
        let next = line(index, codec, &lines, None);
        lines.push(next);
    }
    let answer = parse(DescriptionKind::Answer, text).unwrap();
    let remote = remote_of_answer(&lines, &answer).unwrap().ufrag.to_string();
    (accept(&lines, &answer).unwrap().into_iter().map(|line| line.accepted).collect(), remote)
}

#[test]
fn who_does_not_bundle_keeps_what_the_first_transport_carries() {
    let (audio, one, two) = (("AAAA", 111, "recvonly"), ("BBBB", 96, "recvonly"), ("CCCC", 96, "recvonly"));
    assert_eq!(taken(&answer_text("", &[audio, one, two])), (vec![true, false, false], "AAAA".into()));
    let rejected = ("AAAA", 111, "rejected");
    assert_eq!(taken(&answer_text("", &[rejected, one, two])), (vec![false, true, false], "BBBB".into()));
    let paused = ("AAAA", 111, "inactive");
    assert_eq!(taken(&answer_text("", &[paused, one, two])), (vec![false, false, false], "AAAA".into()), "it stays");
    let shared = ("AAAA", 96, "recvonly");
    assert_eq!(taken(&answer_text("", &[audio, shared, two])), (vec![true, true, false], "AAAA".into()));
    let group = "a=group:BUNDLE 0 1 2\r\n";
    assert_eq!(taken(&answer_text(group, &[audio, one, two])), (vec![true, true, true], "AAAA".into()));
    let part = "a=group:BUNDLE 1 2\r\n";
    assert_eq!(taken(&answer_text(part, &[audio, one, two])), (vec![false, true, true], "BBBB".into()));
}

/// Every offer and answer of as many m-lines as there may be can be read, whichever side made it.
#[test]
fn texts_of_the_most_m_lines_fit_the_bound() {
    let (head, media) = vectors::ODD_BANDWIDTH.split_at(vectors::ODD_BANDWIDTH.find("m=audio").unwrap());
    let (audio, video) = media.split_at(media.find("m=video").unwrap());
    let head: String = head.lines().filter(|line| !line.contains("BUNDLE")).map(|line| format!("{line}\r\n")).collect();
    let mut text = head + "a=group:BUNDLE";
    (0..MEDIA_LINES_MAX).for_each(|index| text += &format!(" {index}"));
    text += "\r\n";
    for index in 0..MEDIA_LINES_MAX {
        let (line, mid) = if index == 0 { (audio, "a=mid:0\r\n") } else { (video, "a=mid:1\r\n") };
        text += &line.replace(mid, &format!("a=mid:{index}\r\n"));
    }
    assert!(text.len() <= SDP_BYTES_MAX, "{}", text.len());
    let (described, published) = answered(&text);
    assert_eq!(published.iter().filter(|media| media.codec.is_some()).count(), MEDIA_LINES_MAX);
    assert!(compose(&described).len() <= SDP_BYTES_MAX);

    // A subscriber's offer with the longest fmtp each, and the answer that repeats all of it.
    let fmtp = format!("packetization-mode=1;profile-level-id=42c01f;sprop-parameter-sets={}", "A".repeat(900));
    let mut lines = Vec::new();
    for index in 0..MEDIA_LINES_MAX {
        let next = line(index, Codec::H264, &lines, Some(&fmtp));
        lines.push(next);
    }
    let mut echoed = offer(&lines, 1, 1, "1234");
    let transport = read(vectors::ODD_BANDWIDTH).transport().unwrap().clone();
    echoed.complete(&transport, &[]);
    (echoed.kind, echoed.ice_lite) = (DescriptionKind::Answer, false);
    echoed.media.iter_mut().for_each(|media| media.direction = Direction::RecvOnly);
    let read = parse(DescriptionKind::Answer, &compose(&echoed)).unwrap();
    assert!(accept(&lines, &read).unwrap().iter().all(|line| line.accepted));
}
