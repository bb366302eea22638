//! A publisher's offer answered: one codec per m-line, chosen by the room's preference, received and never sent. Layers
//! are not asked for, so browsers send one encoding (RFC 3264 §6, RFC 9429 §5.3).

use super::NegotiateError;
use super::bundle::carried;
use super::extension::{answered_maps, publisher_extensions};
use super::payload::{best_payload, parameter, rtx_of, rtx_payload};
use super::profile::stream_fmtp;
use crate::control::codec::Codec;
use crate::control::media::{ExtensionIds, PublishedMedia};
use crate::control::spec::RoomSpec;
use crate::wire::sdp::{Description, DescriptionKind, Direction, MediaKind, MediaSection, Mid, Payload, Transport};

/// Answers a publisher's offer, first or renegotiated: m-lines in the offer's order, and for each what it publishes. A
/// codec that the publisher asked for (`prefer_*`) is the only one considered of its kind, else the room's in order.
/// The answer has no transport yet; its role is [`Setup::answer`](crate::wire::sdp::Setup::answer) of the offer's.
pub fn answer(
    offer: &Description,
    spec: &RoomSpec,
    prefer_audio: Option<Codec>,
    prefer_video: Option<Codec>,
) -> Result<(Description, Vec<PublishedMedia>), NegotiateError> {
    if offer.media.is_empty() {
        return Err(NegotiateError::NoMediaLine);
    }
    if offer.ice_lite {
        return Err(NegotiateError::IceLite);
    }
    let audio = prefer_audio.as_ref().map_or(&spec.audio_codecs[..], std::slice::from_ref);
    let video = prefer_video.as_ref().map_or(&spec.video_codecs[..], std::slice::from_ref);
    let chosen: Vec<Option<(Codec, &Payload)>> = offer
        .media
        .iter()
        .map(|offered| match offered.kind {
            MediaKind::Audio => choose(offered, audio, spec),
            MediaKind::Video => choose(offered, video, spec),
            MediaKind::Data | MediaKind::Other => None,
        })
        .collect();
    let (_, carried) = carried(offer, |mindex| chosen[mindex].is_some());
    let (media, published): (Vec<MediaSection>, Vec<PublishedMedia>) = offer
        .media
        .iter()
        .enumerate()
        .map(|(mindex, offered)| match chosen[mindex].filter(|_| carried[mindex]) {
            Some((codec, payload)) => accept_line(mindex, offered, codec, payload, spec),
            None => reject_line(mindex, offered),
        })
        .unzip();
    // In the offer's order: the first one says whose transport it is (RFC 9143 §7.3.1).
    let is_answered = |mid: &&Mid| media.iter().any(|line| line.mid == **mid && !line.rejected);
    let bundle = offer.bundle.as_ref().map(|group| group.iter().filter(is_answered).copied().collect());
    let answer = Description {
        e2ee: false,
        kind: DescriptionKind::Answer,
        origin_id: offer.origin_id,
        origin_version: offer.origin_version,
        session_name: format!("VideoRoom {}", spec.room).into(),
        ice_lite: true,
        extmap_allow_mixed: offer.extmap_allow_mixed,
        bundle,
        media,
    };
    Ok((answer, published))
}

/// The publisher's end of the transport that its answer accepts.
pub fn remote_of_offer<'a>(offer: &'a Description, answer: &Description) -> Option<&'a Transport> {
    carried(offer, |mindex| !answer.media[mindex].rejected).0
}

fn choose<'a>(offered: &'a MediaSection, codecs: &[Codec], spec: &RoomSpec) -> Option<(Codec, &'a Payload)> {
    if offered.rejected || !offered.profile.contains("RTP/SAVP") {
        return None;
    }
    codecs.iter().find_map(|codec| Some((*codec, best_payload(offered, *codec, spec.profile(*codec))?)))
}

fn reject_line(mindex: usize, offered: &MediaSection) -> (MediaSection, PublishedMedia) {
    let rejected = MediaSection::new(offered.kind, offered.mid, &offered.profile);
    (MediaSection { media: offered.media.clone(), rejected: true, ..rejected }, unpublished(mindex, offered))
}

fn accept_line(
    mindex: usize,
    offered: &MediaSection,
    codec: Codec,
    payload: &Payload,
    spec: &RoomSpec,
) -> (MediaSection, PublishedMedia) {
    let sends = matches!(offered.direction, Direction::SendRecv | Direction::SendOnly);
    let has_feedback = |name: &str| payload.feedback.iter().any(|offered| **offered == *name);
    let extensions = publisher_extensions(offered, codec, spec);
    let answerable = if codec.is_video() { VIDEO_FEEDBACK } else { AUDIO_FEEDBACK };
    // As in Janus, the extension says it: some offer it and forget the feedback.
    let agreed = |name: &&str| match *name {
        TRANSPORT_CC => extensions.transport_cc.is_some(),
        name => has_feedback(name),
    };
    let opus = if codec == Codec::Opus { OpusFmtp::agree(payload, spec) } else { OpusFmtp::default() };
    let fmtp = match codec {
        Codec::Opus => opus.text(),
        codec => stream_fmtp(payload, codec),
    };
    let rtx_pt = if codec.is_video() { rtx_of(offered, payload.pt).map(|rtx| rtx.pt) } else { None };

    let answered = Payload {
        fmtp: fmtp.clone(),
        feedback: answerable.iter().copied().filter(agreed).map(Box::from).collect(),
        ..payload.clone()
    };
    let nack = answered.feedback.iter().any(|feedback| **feedback == *"nack");
    let rtx = rtx_pt.map(|pt| rtx_payload(pt, payload.pt, codec.clock_rate()));
    let section = MediaSection {
        direction: if sends { Direction::RecvOnly } else { Direction::Inactive },
        payloads: std::iter::once(answered).chain(rtx).collect(),
        extensions: answered_maps(&extensions, &offered.extensions),
        rtcp_mux: true,
        ..MediaSection::new(offered.kind, offered.mid, &offered.profile)
    };
    if !sends {
        return (section, unpublished(mindex, offered));
    }
    let (ssrcs, rtx_ssrcs) = named_ssrcs(offered);
    let of_codec = |wanted: Codec, name| if codec == wanted { parameter(payload, name).map(Box::from) } else { None };
    let published = PublishedMedia {
        codec: Some(codec),
        pt: payload.pt,
        rtx_pt,
        fmtp,
        extensions,
        ssrcs,
        rtx_ssrcs: if rtx_pt.is_some() { rtx_ssrcs } else { Vec::new() },
        nack,
        stereo: opus.stereo,
        fec: opus.fec,
        dtx: opus.dtx,
        h264_profile: of_codec(Codec::H264, "profile-level-id"),
        vp9_profile: of_codec(Codec::Vp9, "profile-id"),
        ..unpublished(mindex, offered)
    };
    (section, published)
}

fn unpublished(mindex: usize, offered: &MediaSection) -> PublishedMedia {
    PublishedMedia {
        mindex,
        mid: offered.mid,
        kind: offered.kind,
        codec: None,
        pt: 0,
        rtx_pt: None,
        fmtp: None,
        extensions: ExtensionIds::default(),
        ssrcs: Vec::new(),
        rtx_ssrcs: Vec::new(),
        nack: false,
        stereo: false,
        fec: false,
        dtx: false,
        h264_profile: None,
        vp9_profile: None,
    }
}

/// Media SSRCs, the one to be relayed first, and the RTX SSRC of each. What is second or later in an FID or FEC-FR group
/// repairs the first (RFC 5576 §4.2, RFC 5956). A SIM group lists one picture in growing size, as libwebrtc does.
fn named_ssrcs(offered: &MediaSection) -> (Vec<u32>, Vec<Option<u32>>) {
    let groups = |semantics: &'static str| {
        offered.ssrc_groups.iter().filter(move |group| *group.semantics == *semantics).map(|group| &group.ssrcs)
    };
    let repair = |semantics: &'static str| groups(semantics).filter_map(|ssrcs| ssrcs.split_first());
    let rtx_of = |ssrc: u32| repair("FID").find(|(media, _)| **media == ssrc)?.1.first().copied();
    let is_repair = |ssrc: u32| repair("FID").chain(repair("FEC-FR")).any(|(_, others)| others.contains(&ssrc));
    let mut media: Vec<u32> = offered.ssrcs.iter().map(|(ssrc, _)| *ssrc).filter(|ssrc| !is_repair(*ssrc)).collect();
    if let Some(encodings) = groups("SIM").next() {
        let size = |ssrc: &u32| encodings.iter().position(|of| of == ssrc);
        media.sort_by_key(|ssrc| std::cmp::Reverse(size(ssrc)));
    }
    let rtx = media.iter().map(|ssrc| rtx_of(*ssrc)).collect();
    (media, rtx)
}

/// RFC 7587 §6.1, as far as room and offer agree.
#[derive(Clone, Copy, Default)]
pub struct OpusFmtp {
    pub fec: bool,
    pub dtx: bool,
    pub stereo: bool,
}

impl OpusFmtp {
    /// What the room leaves of it. As in Janus, DTX has an option of its own, and without `opus_fec` there is nothing.
    pub fn masked(self, spec: &RoomSpec) -> OpusFmtp {
        let OpusFmtp { fec, dtx, stereo } = self;
        if spec.opus_fec { OpusFmtp { fec, dtx: dtx && spec.opus_dtx, stereo } } else { OpusFmtp::default() }
    }

    fn agree(payload: &Payload, spec: &RoomSpec) -> OpusFmtp {
        let offers = |name| parameter(payload, name) == Some("1");
        let offered = OpusFmtp { fec: offers("useinbandfec"), dtx: offers("usedtx"), stereo: offers("stereo") };
        offered.masked(spec)
    }

    /// As an fmtp has it.
    pub fn text(self) -> Option<Box<str>> {
        let named = [(self.fec, "useinbandfec=1"), (self.dtx, "usedtx=1"), (self.stereo, "stereo=1")];
        let set: Vec<&str> = named.into_iter().filter(|(set, _)| *set).map(|(_, text)| text).collect();
        (!set.is_empty()).then(|| set.join(";").into())
    }
}

const TRANSPORT_CC: &str = "transport-cc";
const AUDIO_FEEDBACK: &[&str] = &["nack", TRANSPORT_CC];
const VIDEO_FEEDBACK: &[&str] = &["ccm fir", "nack", "nack pli", "goog-remb", TRANSPORT_CC];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::sdp::{SsrcGroup, compose, parse, vectors};

    fn offer(text: &str) -> Description {
        parse(DescriptionKind::Offer, text).unwrap()
    }

    fn room(audio: &[Codec], video: &[Codec]) -> RoomSpec {
        RoomSpec { audio_codecs: audio.to_vec(), video_codecs: video.to_vec(), ..RoomSpec::new(1234.into()) }
    }

    fn feedback(section: &MediaSection) -> Vec<&str> {
        section.payloads[0].feedback.iter().map(|feedback| &**feedback).collect()
    }

    #[test]
    fn chromiums_offer_is_answered_with_one_codec_each_and_its_rtx() {
        let offer = offer(vectors::CHROMIUM_PUBLISH);
        let (answer, published) = answer(&offer, &RoomSpec::new(1234.into()), None, None).unwrap();
        assert_eq!((answer.origin_id, answer.origin_version), (offer.origin_id, offer.origin_version));
        assert_eq!(&*answer.session_name, "VideoRoom 1234");
        assert!(answer.ice_lite && answer.extmap_allow_mixed);
        assert_eq!(answer.bundle, offer.bundle);

        let [audio, video] = &answer.media[..] else { panic!("two m-lines") };
        assert_eq!((audio.direction, video.direction), (Direction::RecvOnly, Direction::RecvOnly));
        assert_eq!(audio.payloads.iter().map(|p| p.pt).collect::<Vec<_>>(), [111]);
        assert_eq!(audio.payloads[0].fmtp.as_deref(), Some("useinbandfec=1"));
        assert_eq!(feedback(audio), ["transport-cc"]);
        assert_eq!(audio.extensions.iter().map(|e| e.id).collect::<Vec<_>>(), [1, 3, 4]);
        assert_eq!(video.payloads.iter().map(|p| p.pt).collect::<Vec<_>>(), [96, 97]);
        assert_eq!(video.payloads[1].fmtp.as_deref(), Some("apt=96"));
        assert_eq!(feedback(video), ["ccm fir", "nack", "nack pli", "goog-remb", "transport-cc"]);
        assert_eq!(video.extensions.iter().map(|e| e.id).collect::<Vec<_>>(), [3, 4, 5, 13]);

        assert_eq!((published[0].codec, published[0].pt, published[0].fec), (Some(Codec::Opus), 111, true));
        assert_eq!(published[0].ssrcs, [3_310_110_520]);
        assert_eq!((published[1].codec, published[1].pt, published[1].rtx_pt), (Some(Codec::Vp8), 96, Some(97)));
        assert_eq!(
            (&published[1].ssrcs[..], &published[1].rtx_ssrcs[..]),
            (&[2_638_993_829][..], &[Some(621_592_314)][..])
        );
        assert_eq!(published[1].extensions.orientation, Some(13));
        assert_eq!(published[1].extensions.abs_send_time, None);
        assert!(published[1].nack && !published[0].nack, "Chromium does not offer to repair audio");
    }

    #[test]
    fn audio_is_repaired_when_that_is_offered() {
        let mut offer = offer(vectors::CHROMIUM_PUBLISH);
        offer.media[0].payloads[0].feedback.push("nack".into());
        let (answer, published) = answer(&offer, &RoomSpec::new(1234.into()), None, None).unwrap();
        assert_eq!(feedback(&answer.media[0]), ["nack", "transport-cc"]);
        assert!(published[0].nack);
    }

    #[test]
    fn layers_are_not_asked_for() {
        let offer = offer(vectors::CHROMIUM_SIMULCAST);
        let (answer, published) = answer(&offer, &RoomSpec::new(1234.into()), None, None).unwrap();
        assert!(answer.media[1].rids.is_empty());
        assert!(!compose(&answer).contains("a=rid") && !compose(&answer).contains("simulcast"));
        // Chromium's next offer depends on these two.
        assert!(published[1].extensions.rid.is_some() && published[1].extensions.repaired_rid.is_some());
        assert_eq!(published[1].codec, Some(Codec::Vp8));
    }

    #[test]
    fn of_several_ssrcs_the_first_track_or_the_largest_encoding_comes_first_and_each_has_its_rtx() {
        let mut offer = offer(vectors::CHROMIUM_PUBLISH);
        let group = |semantics: &str, ssrcs: &[u32]| SsrcGroup { semantics: semantics.into(), ssrcs: ssrcs.to_vec() };
        let video = &mut offer.media[1];
        video.ssrcs = [1, 2, 3, 4, 5].map(|ssrc| (ssrc, "c".into())).to_vec();
        video.ssrc_groups = vec![group("FID", &[2, 4]), group("FID", &[3, 5])];
        let named = |offer: &Description| {
            let (_, mut published) = answer(offer, &RoomSpec::new(1234.into()), None, None).unwrap();
            (std::mem::take(&mut published[1].ssrcs), std::mem::take(&mut published[1].rtx_ssrcs))
        };
        assert_eq!(named(&offer), (vec![1, 2, 3], vec![None, Some(4), Some(5)]), "tracks of Plan B");
        offer.media[1].ssrc_groups.push(group("SIM", &[1, 2, 3]));
        assert_eq!(named(&offer), (vec![3, 2, 1], vec![Some(5), Some(4), None]), "encodings");
    }

    #[test]
    fn sendrecv_becomes_recvonly_and_data_is_rejected() {
        let offer = offer(vectors::CHROMIUM_SENDRECV_DATA);
        let (answer, published) = answer(&offer, &RoomSpec::new(1234.into()), None, None).unwrap();
        assert_eq!(answer.media[0].direction, Direction::RecvOnly);
        assert!(answer.media[2].rejected && published[2].codec.is_none());
        assert_eq!(published[2].kind, MediaKind::Data);
        assert_eq!(answer.bundle.as_ref().unwrap().len(), 2);
        let tail = "m=application 0 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\na=inactive\r\na=mid:2\r\n";
        assert!(compose(&answer).ends_with(tail));
    }

    #[test]
    fn who_does_not_send_publishes_nothing() {
        let offer = offer(vectors::CHROMIUM_RECVONLY_INACTIVE);
        let (answer, published) = answer(&offer, &RoomSpec::new(1234.into()), None, None).unwrap();
        for (section, media) in answer.media.iter().zip(&published) {
            assert_eq!((section.direction, section.rejected, media.codec), (Direction::Inactive, false, None));
        }
        assert_eq!(answer.bundle.as_ref().unwrap().len(), 2);
    }

    #[test]
    fn the_rooms_order_decides_and_a_wish_overrides_it() {
        let offer = offer(vectors::CHROMIUM_PUBLISH);
        let spec = room(&[Codec::G722, Codec::Opus], &[Codec::H265, Codec::Av1, Codec::Vp9]);
        let (_, published) = answer(&offer, &spec, None, None).unwrap();
        assert_eq!((published[0].codec, published[0].pt), (Some(Codec::G722), 9));
        assert_eq!((published[1].codec, published[1].pt), (Some(Codec::Av1), 45), "H265 is not in the offer");
        let (_, published) = answer(&offer, &spec, Some(Codec::Opus), Some(Codec::Vp9)).unwrap();
        assert_eq!((published[0].codec, published[1].codec), (Some(Codec::Opus), Some(Codec::Vp9)));
        assert_eq!(published[1].vp9_profile.as_deref(), Some("0"));
    }

    #[test]
    fn h264_is_taken_in_packetization_mode_1_and_constrained_baseline() {
        let offer = offer(vectors::CHROMIUM_PUBLISH);
        let (answer, published) = answer(&offer, &room(&[Codec::Opus], &[Codec::H264]), None, None).unwrap();
        assert_eq!((published[1].pt, published[1].rtx_pt), (108, Some(109)));
        assert_eq!(published[1].h264_profile.as_deref(), Some("42e01f"));
        assert_eq!(answer.media[1].payloads[0].fmtp, offer.media[1].payloads[6].fmtp, "the fmtp is echoed");
    }

    #[test]
    fn an_m_line_without_any_codec_of_the_room_is_rejected_and_leaves_the_bundle() {
        let offer = offer(vectors::CHROMIUM_PUBLISH);
        let (answer, published) = answer(&offer, &room(&[Codec::Opus], &[Codec::H265]), None, None).unwrap();
        assert!(answer.media[1].rejected && published[1].codec.is_none());
        assert_eq!(answer.bundle, Some(vec![offer.media[0].mid]));
        assert!(
            compose(&answer)
                .ends_with("m=video 0 UDP/TLS/RTP/SAVPF 0\r\nc=IN IP4 0.0.0.0\r\na=inactive\r\na=mid:1\r\n")
        );
    }

    #[test]
    fn an_offer_like_firefox_makes_is_answered_within_what_it_offers() {
        let offer = offer(vectors::FIREFOX_LIKE);
        let (answer, published) = answer(&offer, &RoomSpec::new(1234.into()), None, None).unwrap();
        assert_eq!(answer.media[0].payloads[0].fmtp.as_deref(), Some("useinbandfec=1;stereo=1"));
        assert!(published[0].stereo && published[0].fec && !published[0].dtx);
        assert!(feedback(&answer.media[0]).is_empty(), "transport-cc is not offered for audio");
        assert_eq!(published[1].pt, 120);
        assert_eq!(published[1].fmtp, None, "what it receives is not what it sends");
        assert_eq!(published[1].extensions.playout_delay, None, "it is offered for receiving only");
        assert_eq!(published[1].extensions.transport_cc, Some(7));
        assert_eq!(published[1].rtx_ssrcs, [Some(2_880_433_211)]);
        assert!(!answer.extmap_allow_mixed);
    }

    #[test]
    fn the_rooms_options_switch_extensions_and_opus_parameters_off() {
        let spec = RoomSpec {
            opus_fec: false,
            audiolevel_ext: false,
            videoorient_ext: false,
            playoutdelay_ext: false,
            transport_wide_cc_ext: false,
            ..RoomSpec::new(1234.into())
        };
        let (answer, published) = answer(&offer(vectors::CHROMIUM_PUBLISH), &spec, None, None).unwrap();
        for section in &answer.media {
            assert_eq!(section.extensions.iter().map(|e| e.id).collect::<Vec<_>>(), [4]);
            assert!(!feedback(section).contains(&"transport-cc"));
        }
        assert_eq!((published[0].fec, answer.media[0].payloads[0].fmtp.as_deref()), (false, None));
    }

    #[test]
    fn an_offer_without_m_lines_is_refused_in_januss_words() {
        let empty = offer("v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n");
        let error = answer(&empty, &RoomSpec::new(1234.into()), None, None).unwrap_err();
        assert_eq!(error.to_string(), "Can't offer an SDP with no stream");
        assert_eq!(crate::control::error::RoomError::from(error).code(), 437);
    }
}
