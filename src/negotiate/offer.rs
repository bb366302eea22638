//! What a subscriber is offered: its m-lines rendered as a description, one codec with its RTX each, sent and never
//! received (RFC 9429 §5.2).

use super::extension::extension_maps;
use super::payload::rtx_payload;
use crate::control::codec::Codec;
use crate::control::media::OfferedMedia;
use crate::wire::sdp::{Description, DescriptionKind, Direction, MediaSection, Msid, Payload, SsrcGroup};

/// A subscriber's offer. The caller keeps `origin_id` for the life of the peer connection and raises `origin_version` by
/// one for each offer (RFC 9429 §5.2.2). The description has no transport yet; its role is `actpass`.
pub fn offer(lines: &[OfferedMedia], origin_id: u64, origin_version: u64, room_name: &str) -> Description {
    Description {
        e2ee: false,
        kind: DescriptionKind::Offer,
        origin_id,
        origin_version,
        session_name: format!("VideoRoom {room_name}").into(),
        ice_lite: true,
        extmap_allow_mixed: true,
        bundle: Some(lines.iter().map(|line| line.mid).collect()),
        media: lines.iter().map(section).collect(),
    }
}

fn section(line: &OfferedMedia) -> MediaSection {
    let codec = line.codec;
    // Chromium asks for lost audio when that is offered, although it does not answer with it.
    let names: &[&str] = if codec.is_video() { &["ccm fir", "nack", "nack pli", "goog-remb"] } else { &["nack"] };
    let transport_cc = line.extensions.transport_cc.map(|_| "transport-cc");
    let payload = Payload {
        pt: line.pt,
        encoding: codec.encoding().into(),
        clock_rate: codec.clock_rate(),
        channels: (codec == Codec::Opus).then_some(2),
        fmtp: line.fmtp.clone(),
        feedback: names.iter().copied().chain(transport_cc).map(Box::from).collect(),
    };
    let rtx = line.rtx_pt.map(|pt| rtx_payload(pt, line.pt, codec.clock_rate()));
    let ssrcs = std::iter::once(line.ssrc).chain(line.rtx_ssrc);
    let group = line.rtx_ssrc.map(|rtx| SsrcGroup { semantics: "FID".into(), ssrcs: vec![line.ssrc, rtx] });
    let (stream, track) = line.msid.clone();
    MediaSection {
        direction: if line.active { Direction::SendOnly } else { Direction::Inactive },
        payloads: std::iter::once(payload).chain(rtx).collect(),
        extensions: extension_maps(&line.extensions),
        rtcp_mux: true,
        msid: line.active.then_some(Msid { stream, track }),
        // Inactive lines keep theirs. Chromium forgets the receiver of an SSRC that is not named any more, and when the
        // line is taken again nothing that it decodes reaches the track.
        ssrcs: ssrcs.map(|ssrc| (ssrc, CNAME.into())).collect(),
        ssrc_groups: group.into_iter().collect(),
        ..MediaSection::new(line.kind, line.mid, PROFILE)
    }
}

const PROFILE: &str = "UDP/TLS/RTP/SAVPF";
const CNAME: &str = "portunus";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::media::ExtensionIds;
    use crate::control::spec::RoomSpec;
    use crate::negotiate::{payload_types, subscriber_extensions};
    use crate::wire::sdp::{MediaKind, Mid, compose};

    fn line(index: usize, codec: Codec, active: bool) -> OfferedMedia {
        let kind = if codec.is_video() { MediaKind::Video } else { MediaKind::Audio };
        let (pt, rtx_pt) = payload_types(&[], codec, None).unwrap();
        let publisher = ExtensionIds { audio_level: Some(1), orientation: Some(13), ..ExtensionIds::default() };
        let ssrc = 1000 + u32::try_from(index).unwrap();
        OfferedMedia {
            mid: Mid::from(&index.to_string()).unwrap(),
            kind,
            codec,
            pt,
            rtx_pt,
            fmtp: (codec == Codec::Opus).then(|| "useinbandfec=1".into()),
            extensions: subscriber_extensions(kind, &publisher, &RoomSpec::new(1234.into())),
            ssrc,
            rtx_ssrc: rtx_pt.map(|_| ssrc + 1000),
            active,
            msid: ("portunus".into(), format!("portunus{index}").into()),
        }
    }

    #[test]
    fn a_subscriber_is_offered_what_janus_would_offer_and_repair_of_audio() {
        let lines = [line(0, Codec::Opus, true), line(1, Codec::Vp8, true)];
        let text = compose(&offer(&lines, 77, 3, "1234"));
        let expected = "v=0\r\no=- 77 3 IN IP4 0.0.0.0\r\ns=VideoRoom 1234\r\nt=0 0\r\n\
            a=group:BUNDLE 0 1\r\na=ice-options:trickle\r\na=extmap-allow-mixed\r\na=msid-semantic: WMS *\r\n\
            a=ice-lite\r\n\
            m=audio 9 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 0.0.0.0\r\na=sendonly\r\na=mid:0\r\na=rtcp-mux\r\n\
            a=rtpmap:111 opus/48000/2\r\na=fmtp:111 useinbandfec=1\r\na=rtcp-fb:111 nack\r\na=rtcp-fb:111 transport-cc\r\n\
            a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level\r\n\
            a=extmap:3 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01\r\n\
            a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid\r\n\
            a=msid:portunus portunus0\r\na=ssrc:1000 cname:portunus\r\na=end-of-candidates\r\n\
            m=video 9 UDP/TLS/RTP/SAVPF 96 97\r\nc=IN IP4 0.0.0.0\r\na=sendonly\r\na=mid:1\r\na=rtcp-mux\r\n\
            a=rtpmap:96 VP8/90000\r\na=rtcp-fb:96 ccm fir\r\na=rtcp-fb:96 nack\r\na=rtcp-fb:96 nack pli\r\n\
            a=rtcp-fb:96 goog-remb\r\na=rtcp-fb:96 transport-cc\r\n\
            a=extmap:2 http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time\r\n\
            a=extmap:3 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01\r\n\
            a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid\r\na=extmap:13 urn:3gpp:video-orientation\r\n\
            a=rtpmap:97 rtx/90000\r\na=fmtp:97 apt=96\r\na=ssrc-group:FID 1001 2001\r\n\
            a=msid:portunus portunus1\r\na=ssrc:1001 cname:portunus\r\na=ssrc:2001 cname:portunus\r\n\
            a=end-of-candidates\r\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn a_line_without_source_is_offered_inactive_and_keeps_what_it_is_taken_again_with() {
        let offer = offer(&[line(0, Codec::Vp8, false)], 1, 1, "1234");
        let section = &offer.media[0];
        assert_eq!((section.direction, section.rejected), (Direction::Inactive, false));
        let named: Vec<u32> = section.ssrcs.iter().map(|(ssrc, _)| *ssrc).collect();
        assert_eq!((&named[..], &section.ssrc_groups[0].ssrcs[..]), (&[1000, 2000][..], &[1000, 2000][..]));
        assert!(section.msid.is_none());
        assert_eq!(section.payloads.len(), 2, "the codec stays, so that the line can be used again");
        assert_eq!(offer.bundle.unwrap().len(), 1);
    }
}
