//! Every codec of a room against the offers and answers of browsers: recorded from Chromium and Firefox, written by hand
//! after Safari.

use super::{accept, answer, offer, payload_types, subscriber_extensions};
use crate::control::codec::Codec;
use crate::control::media::{OfferedMedia, PublishedMedia};
use crate::control::spec::RoomSpec;
use crate::wire::sdp::{
    Description, DescriptionKind, Direction, MediaKind, MediaSection, Mid, compose, parse, vectors,
};

const OFFERS: [(&str, &str); 4] = [
    ("Chromium", vectors::CHROMIUM_PUBLISH),
    ("Firefox", vectors::FIREFOX_PUBLISH),
    ("Firefox with H264", vectors::FIREFOX_LIKE),
    ("Safari", vectors::SAFARI_LIKE),
];

fn read(text: &str) -> Description {
    parse(DescriptionKind::Offer, text).unwrap()
}

fn room(codec: Codec) -> RoomSpec {
    let mut spec = RoomSpec::new(1234.into());
    *(if codec.is_video() { &mut spec.video_codecs } else { &mut spec.audio_codecs }) = vec![codec];
    spec
}

/// What the browser's m-line of the codec's kind becomes in a room of that codec alone.
fn answered(text: &str, spec: &RoomSpec, codec: Codec) -> (MediaSection, PublishedMedia) {
    let (mut answer, mut published) = answer(&read(text), spec, None, None).unwrap();
    let index = usize::from(codec.is_video());
    (answer.media.swap_remove(index), published.swap_remove(index))
}

/// The payload type, its RTX and the fmtp of the answer.
fn agreed(text: &str, codec: Codec) -> Option<(u8, Option<u8>, Option<String>)> {
    let (section, published) = answered(text, &room(codec), codec);
    assert_eq!(section.rejected, published.codec.is_none());
    published.codec.map(|_| (published.pt, published.rtx_pt, section.payloads[0].fmtp.as_deref().map(str::to_owned)))
}

#[test]
fn every_codec_is_agreed_with_every_browser_that_offers_it() {
    let fec = Some("useinbandfec=1".to_owned());
    let fec_stereo = Some("useinbandfec=1;stereo=1".to_owned());
    let profile_0 = Some("profile-id=0".to_owned());
    let h264 = Some("level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f".to_owned());
    let h265 = Some("level-id=93;profile-id=1;tier-flag=0;tx-mode=SRST".to_owned());
    // In the order of `OFFERS`.
    let expected = [
        (
            Codec::Opus,
            [
                Some((111, None, fec.clone())),
                Some((109, None, fec_stereo.clone())),
                Some((109, None, fec_stereo)),
                Some((111, None, fec)),
            ],
        ),
        (Codec::Pcmu, [0, 0, 0, 0].map(|pt| Some((pt, None, None)))),
        (Codec::Pcma, [8, 8, 8, 8].map(|pt| Some((pt, None, None)))),
        (Codec::G722, [9, 9, 9, 9].map(|pt| Some((pt, None, None)))),
        (Codec::Vp8, [(96, 97), (120, 124), (120, 124), (102, 103)].map(|(pt, rtx)| Some((pt, Some(rtx), None)))),
        (
            Codec::Vp9,
            [(98, 99), (121, 125), (121, 125), (104, 105)].map(|(pt, rtx)| Some((pt, Some(rtx), profile_0.clone()))),
        ),
        (
            Codec::H264,
            [
                Some((108, Some(109), h264.clone())),
                None,
                Some((126, Some(127), h264.clone())),
                Some((98, Some(99), h264)),
            ],
        ),
        (Codec::Av1, [Some((45, Some(46), None)), Some((99, Some(100), None)), None, None]),
        (Codec::H265, [None, None, None, Some((100, Some(101), h265))]),
    ];
    for (codec, expected) in expected {
        for ((browser, text), expected) in OFFERS.into_iter().zip(expected) {
            assert_eq!(agreed(text, codec), expected, "{codec:?} with {browser}");
        }
    }
}

#[test]
fn an_answer_names_its_codec_and_rtx_and_nothing_else() {
    for (browser, text) in OFFERS {
        let (answer, _) = answer(&read(text), &RoomSpec::new(1234.into()), None, None).unwrap();
        let text = compose(&answer);
        assert!(!text.contains(" red/") && !text.contains("ulpfec") && !text.contains("telephone-event"), "{browser}");
        assert_eq!(text.matches("a=rtpmap:").count(), 3, "{browser}: opus, VP8 and its RTX");
        assert_eq!(text.matches("a=recvonly\r\n").count(), 2, "{browser}");
        assert_eq!(answer.bundle.unwrap().len(), 2, "{browser}");
    }
}

#[test]
fn opus_parameters_are_agreed_only_as_far_as_room_and_browser_both_want_them() {
    let offered = vectors::CHROMIUM_PUBLISH.replace("minptime=10;useinbandfec=1", "stereo=1;usedtx=1;useinbandfec=1");
    let mut spec = RoomSpec { opus_dtx: true, ..room(Codec::Opus) };
    let (section, published) = answered(&offered, &spec, Codec::Opus);
    assert_eq!(section.payloads[0].fmtp.as_deref(), Some("useinbandfec=1;usedtx=1;stereo=1"));
    assert!(published.fec && published.dtx && published.stereo);
    spec.opus_dtx = false;
    let (section, published) = answered(&offered, &spec, Codec::Opus);
    assert_eq!(section.payloads[0].fmtp.as_deref(), Some("useinbandfec=1;stereo=1"));
    assert!(published.fec && !published.dtx && published.stereo);
    (spec.opus_dtx, spec.opus_fec) = (true, false);
    let (section, published) = answered(&offered, &spec, Codec::Opus);
    assert_eq!(section.payloads[0].fmtp, None, "without opus_fec there is nothing, as in Janus");
    assert!(!published.fec && !published.dtx && !published.stereo);
}

#[test]
fn transport_wide_feedback_is_agreed_where_its_extension_is_on_audio_too() {
    let spec = RoomSpec::new(1234.into());
    let has = |text: &str, codec| {
        let (section, published) = answered(text, &spec, codec);
        let feedback = section.payloads[0].feedback.iter().any(|feedback| **feedback == *"transport-cc");
        (feedback, published.extensions.transport_cc.is_some())
    };
    let silent = vectors::CHROMIUM_PUBLISH.replace(" transport-cc\r\n", " x-nothing\r\n");
    let apart = vectors::CHROMIUM_PUBLISH.replace("draft-holmer-rmcat-transport-wide-cc-extensions-01", "other");
    for codec in [Codec::Opus, Codec::Vp8] {
        assert_eq!(has(vectors::CHROMIUM_PUBLISH, codec), (true, true));
        assert_eq!(has(&silent, codec), (true, true), "the extension is enough");
        assert_eq!(has(&apart, codec), (false, false), "the feedback is not");
    }
}

#[test]
fn capture_times_and_layer_allocations_are_not_taken() {
    let lines: String = ["abs-capture-time", "video-layers-allocation00"]
        .iter()
        .zip(20..)
        .map(|(name, id)| format!("a=extmap:{id} http://www.webrtc.org/experiments/rtp-hdrext/{name}\r\n"))
        .collect();
    let text = vectors::CHROMIUM_PUBLISH.replace("a=mid:1\r\n", &format!("a=mid:1\r\n{lines}"));
    let (section, _) = answered(&text, &room(Codec::Vp8), Codec::Vp8);
    assert!(section.extensions.iter().all(|map| map.id < 20));
}

#[test]
fn the_dependency_descriptor_is_taken_with_av1_and_vp9_alone() {
    let line = "a=extmap:9 https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension\r\n";
    let text = vectors::CHROMIUM_PUBLISH;
    assert!(!text.contains("dependency-descriptor") && !text.contains("a=extmap:9 "));
    let offered = text.replace("a=mid:1\r\n", &format!("a=mid:1\r\n{line}"));
    for (codec, id) in [(Codec::Av1, Some(9)), (Codec::Vp9, Some(9)), (Codec::Vp8, None), (Codec::H264, None)] {
        let (section, published) = answered(&offered, &room(codec), codec);
        assert_eq!(published.extensions.dependency, id, "{codec:?}");
        assert_eq!(section.extensions.iter().any(|map| map.id == 9), id.is_some(), "{codec:?}");
        let toward = crate::negotiate::subscriber_extensions(section.kind, &published.extensions, &room(codec));
        assert_eq!(toward.dependency, None);
    }
}

#[test]
fn the_rooms_profile_is_taken_where_it_is_offered() {
    let wishing = |codec, profile: &str| {
        let mut spec = room(codec);
        *(if codec == Codec::H264 { &mut spec.h264_profile } else { &mut spec.vp9_profile }) = Some(profile.into());
        spec
    };
    let pt = |text, spec: &RoomSpec, codec| answered(text, spec, codec).1.pt;
    let high = wishing(Codec::H264, "640c29");
    assert_eq!(pt(vectors::SAFARI_LIKE, &high, Codec::H264), 96, "the same profile, of another level");
    assert_eq!(pt(vectors::CHROMIUM_PUBLISH, &high, Codec::H264), 108, "not offered: the common one");
    assert_eq!(pt(vectors::CHROMIUM_PUBLISH, &wishing(Codec::H264, "4d001f"), Codec::H264), 116, "in mode 1");
    let deep = wishing(Codec::Vp9, "2");
    let (_, published) = answered(vectors::SAFARI_LIKE, &deep, Codec::Vp9);
    assert_eq!((published.pt, published.vp9_profile.as_deref()), (106, Some("2")));
    assert_eq!(published.fmtp.as_deref(), Some("profile-id=2"));
    assert_eq!(pt(vectors::FIREFOX_PUBLISH, &deep, Codec::Vp9), 121, "not offered");
}

#[test]
fn firefox_is_asked_for_one_encoding_and_no_data() {
    let (answer, published) = answer(&read(vectors::FIREFOX_SIMULCAST), &room(Codec::Vp8), None, None).unwrap();
    assert!(answer.media[0].rids.is_empty() && !compose(&answer).contains("simulcast"));
    assert_eq!((published[0].codec, published[0].ssrcs.len(), published[0].rtx_ssrcs.len()), (Some(Codec::Vp8), 3, 3));
    let (answer, _) =
        crate::negotiate::answer(&read(vectors::FIREFOX_SENDRECV_DATA), &room(Codec::Vp8), None, None).unwrap();
    assert_eq!(answer.media[0].direction, Direction::RecvOnly);
    assert!(answer.media[1].rejected);
}

#[test]
fn firefox_may_mix_header_extensions_as_it_says_of_each_m_line() {
    let (answer, published) = answer(&read(vectors::FIREFOX_PUBLISH), &room(Codec::Vp8), None, None).unwrap();
    assert!(answer.extmap_allow_mixed);
    let extensions = published[1].extensions;
    assert_eq!((extensions.mid, extensions.transport_cc, extensions.playout_delay), (Some(3), Some(7), None));
}

#[test]
fn publishers_of_different_browsers_share_a_payload_type_in_a_subscribers_offer() {
    for codec in [Codec::Vp8, Codec::Vp9, Codec::Av1, Codec::H264] {
        let mut lines: Vec<OfferedMedia> = Vec::new();
        for (_, text) in OFFERS {
            let (_, media) = answered(text, &room(codec), codec);
            if media.codec.is_none() {
                continue;
            }
            let (pt, rtx_pt) = payload_types(&lines, codec, media.fmtp.as_deref()).unwrap();
            lines.push(line(lines.len(), codec, (pt, rtx_pt), media.fmtp));
        }
        assert!(lines.len() >= 2, "{codec:?}");
        assert!(lines.iter().all(|line| line.pt == codec.subscriber_pt()), "{codec:?}");
    }
}

#[test]
fn firefoxs_answer_takes_what_it_decodes_and_leaves_the_rest() {
    let codecs = [Codec::Opus, Codec::Vp8, Codec::H264, Codec::Vp9, Codec::Av1];
    let mut lines = Vec::new();
    for (index, codec) in codecs.into_iter().enumerate() {
        lines.push(line(index, codec, payload_types(&lines, codec, None).unwrap(), None));
    }
    let answer = parse(DescriptionKind::Answer, vectors::FIREFOX_ANSWER).unwrap();
    let accepted = accept(&lines, &answer).unwrap();
    assert_eq!(accepted.iter().map(|line| line.accepted).collect::<Vec<_>>(), [true, true, false, true, true]);
    for (accepted, line) in accepted.iter().zip(&lines).filter(|(accepted, _)| accepted.accepted) {
        assert_eq!((accepted.pt, accepted.rtx_pt), (line.pt, line.rtx_pt));
        assert_eq!((accepted.extensions.mid, accepted.extensions.transport_cc), (Some(4), Some(3)));
        assert_eq!(accepted.nack, line.codec.is_video());
    }
}

#[test]
fn subscribers_are_told_whose_track_it_is_and_which_ssrc_repairs_it() {
    let mut asked = line(0, Codec::H264, (107, Some(108)), Some("packetization-mode=1;profile-level-id=42e01f".into()));
    asked.msid = ("8800112233".into(), "1".into());
    let text = compose(&offer(&[asked], 1, 1, "1234"));
    for expected in [
        "a=msid:8800112233 1\r\n",
        "a=ssrc-group:FID 1000 2000\r\n",
        "a=ssrc:1000 cname:portunus\r\na=ssrc:2000 cname:portunus\r\n",
        "a=rtpmap:107 H264/90000\r\na=fmtp:107 packetization-mode=1;profile-level-id=42e01f\r\n",
        "a=rtpmap:108 rtx/90000\r\na=fmtp:108 apt=107\r\n",
    ] {
        assert!(text.contains(expected), "{expected} in\n{text}");
    }
}

fn line(index: usize, codec: Codec, (pt, rtx_pt): (u8, Option<u8>), fmtp: Option<Box<str>>) -> OfferedMedia {
    let kind = if codec.is_video() { MediaKind::Video } else { MediaKind::Audio };
    let ssrc = 1000 + u32::try_from(index).unwrap();
    OfferedMedia {
        mid: Mid::from(&index.to_string()).unwrap(),
        kind,
        codec,
        pt,
        rtx_pt,
        fmtp,
        extensions: subscriber_extensions(kind, &Default::default(), &RoomSpec::new(1234.into())),
        ssrc,
        rtx_ssrc: rtx_pt.map(|_| ssrc + 1000),
        active: true,
        msid: ("janus".into(), format!("janus{index}").into()),
    }
}
