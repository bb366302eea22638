//! What a subscriber's answer makes of our offer, m-line by m-line (RFC 3264 §7, RFC 9429 §5.11).

use super::NegotiateError;
use super::bundle::carried;
use super::extension::kept_extensions;
use super::payload::{is_codec, rtx_of};
use crate::control::media::{AcceptedMedia, OfferedMedia};
use crate::wire::sdp::{Description, Direction, MediaSection, Payload, Transport};

/// Reads the answer to [`offer`](crate::negotiate::offer()) of the same lines. An m-line is accepted when the answer receives on it,
/// has its codec, and runs it on the transport of [`remote_of_answer`]: who does not bundle plays what comes there, as
/// from Janus.
pub fn accept(lines: &[OfferedMedia], answer: &Description) -> Result<Vec<AcceptedMedia>, NegotiateError> {
    if answer.media.len() != lines.len() {
        return Err(NegotiateError::MediaLineCount);
    }
    if lines.iter().zip(&answer.media).any(|(line, section)| line.mid != section.mid || line.kind != section.kind) {
        return Err(NegotiateError::MediaLineOrder);
    }
    let (_, carried) = carried(answer, |mindex| payload(&lines[mindex], &answer.media[mindex]).is_some());
    let pairs = lines.iter().zip(&answer.media).zip(carried).enumerate();
    Ok(pairs.map(|(mindex, ((line, section), carried))| accept_line(mindex, line, section, carried)).collect())
}

/// The subscriber's end of the transport: that of the first m-line that is answered with its codec. Directions do not
/// matter, so that pausing the first m-line does not move the others.
pub fn remote_of_answer<'a>(lines: &[OfferedMedia], answer: &'a Description) -> Option<&'a Transport> {
    let is_answered =
        |mindex: usize| lines.get(mindex).is_some_and(|line| payload(line, &answer.media[mindex]).is_some());
    carried(answer, is_answered).0
}

/// The number that we offered where it was kept, else the answerer's own (RFC 3264 §6.1 allows it).
fn payload<'a>(line: &OfferedMedia, section: &'a MediaSection) -> Option<&'a Payload> {
    let of_codec = || section.payloads.iter().filter(|payload| is_codec(payload, line.codec));
    let payload = of_codec().find(|payload| payload.pt == line.pt).or_else(|| of_codec().next());
    payload.filter(|_| !section.rejected)
}

fn accept_line(mindex: usize, line: &OfferedMedia, section: &MediaSection, carried: bool) -> AcceptedMedia {
    let receives = carried && matches!(section.direction, Direction::RecvOnly | Direction::SendRecv);
    let Some(payload) = payload(line, section).filter(|_| receives && line.active) else {
        return AcceptedMedia {
            mindex,
            accepted: false,
            extensions: Default::default(),
            pt: line.pt,
            rtx_pt: None,
            nack: false,
        };
    };
    AcceptedMedia {
        mindex,
        accepted: true,
        extensions: kept_extensions(&line.extensions, &section.extensions),
        pt: payload.pt,
        rtx_pt: line.rtx_pt.and_then(|_| rtx_of(section, payload.pt)).map(|rtx| rtx.pt),
        nack: payload.feedback.iter().any(|feedback| **feedback == *"nack"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::codec::Codec;
    use crate::control::media::ExtensionIds;
    use crate::wire::sdp::{DescriptionKind, MediaKind, Mid, parse, vectors};

    /// The lines to whose offer Chromium gave the recorded answer: Opus, VP8, H264 and an inactive VP8.
    fn lines() -> Vec<OfferedMedia> {
        let line = |mid: &str, codec: Codec, pt: u8, active: bool| OfferedMedia {
            mid: Mid::from(mid).unwrap(),
            kind: if codec.is_video() { MediaKind::Video } else { MediaKind::Audio },
            codec,
            pt,
            rtx_pt: codec.is_video().then_some(pt + 1),
            fmtp: None,
            extensions: ExtensionIds { mid: Some(4), transport_cc: Some(3), rid: Some(5), ..ExtensionIds::default() },
            ssrc: 1,
            rtx_ssrc: None,
            active,
            msid: ("portunus".into(), "portunus0".into()),
        };
        vec![
            line("0", Codec::Opus, 111, true),
            line("1", Codec::Vp8, 96, true),
            line("2", Codec::H264, 107, true),
            line("3", Codec::Vp8, 96, false),
        ]
    }

    fn answered() -> Description {
        parse(DescriptionKind::Answer, vectors::CHROMIUM_ANSWER).unwrap()
    }

    #[test]
    fn chromium_accepts_what_has_a_source() {
        let accepted = accept(&lines(), &answered()).unwrap();
        assert_eq!(accepted.iter().map(|a| a.accepted).collect::<Vec<_>>(), [true, true, true, false]);
        assert_eq!(accepted.iter().map(|a| a.pt).collect::<Vec<_>>(), [111, 96, 107, 96]);
        assert_eq!(accepted.iter().map(|a| a.rtx_pt).collect::<Vec<_>>(), [None, Some(97), Some(108), None]);
        assert_eq!(accepted.iter().map(|a| a.nack).collect::<Vec<_>>(), [false, true, true, false]);
        let kept = ExtensionIds { mid: Some(4), transport_cc: Some(3), ..ExtensionIds::default() };
        assert_eq!(accepted[1].extensions, kept);
    }

    #[test]
    fn the_answerers_payload_type_is_the_one_to_use() {
        let mut answer = answered();
        answer.media[1].payloads[0].pt = 120;
        answer.media[1].payloads[1].fmtp = Some("apt=120".into());
        let accepted = accept(&lines(), &answer).unwrap();
        assert_eq!((accepted[1].pt, accepted[1].rtx_pt), (120, Some(97)));
    }

    #[test]
    fn a_line_without_our_codec_or_without_receiver_is_not_accepted() {
        let mut answer = answered();
        answer.media[0].direction = Direction::Inactive;
        answer.media[1].payloads.retain(|payload| &*payload.encoding != "VP8");
        answer.media[2].rejected = true;
        let accepted = accept(&lines(), &answer).unwrap();
        assert!(accepted.iter().all(|line| !line.accepted));
    }

    #[test]
    fn missing_and_reordered_m_lines_are_refused() {
        let mut answer = answered();
        answer.media.swap(1, 2);
        assert_eq!(accept(&lines(), &answer), Err(NegotiateError::MediaLineOrder));
        answer.media.pop();
        assert_eq!(accept(&lines(), &answer), Err(NegotiateError::MediaLineCount));
    }
}
