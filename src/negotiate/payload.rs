//! Payload types: which of an m-line's carries a codec best, what its fmtp says, and which numbers a subscriber is
//! offered (RFC 3551 §6, RFC 4588 §8, RFC 9143 §9.1.1).

use super::profile::{rank, share_payload_type};
use crate::control::codec::Codec;
use crate::control::media::OfferedMedia;
use crate::wire::sdp::{MediaSection, Payload};

/// Payload types for a subscriber's new m-line: the codec's and, for video, that of its RTX. Janus' numbers, unless they
/// already mean something else in this bundle (`lines`): one number must not stand for two codecs or two configurations of
/// one there (RFC 9143 §9.1.1). What else an fmtp says of a stream rides in its own m-line. None when all dynamic numbers
/// are taken.
pub fn payload_types(lines: &[OfferedMedia], codec: Codec, fmtp: Option<&str>) -> Option<(u8, Option<u8>)> {
    if let Some(same) =
        lines.iter().find(|line| line.codec == codec && share_payload_type(codec, line.fmtp.as_deref(), fmtp))
    {
        return Some((same.pt, same.rtx_pt));
    }
    let is_free = |pt: &u8| lines.iter().all(|line| line.pt != *pt && line.rtx_pt != Some(*pt));
    let wished = codec.subscriber_pt();
    let pt = Some(wished).filter(is_free).or_else(|| DYNAMIC.clone().find(is_free))?;
    if !codec.is_video() {
        return Some((pt, None));
    }
    let behind = (pt + 1..=*DYNAMIC.end()).chain(*DYNAMIC.start()..pt);
    let rtx_pt = behind.into_iter().find(is_free)?;
    Some((pt, Some(rtx_pt)))
}

/// The payload type of the codec in the profile that is wished, else in the one that the most peers can decode, else the
/// first.
pub(super) fn best_payload<'a>(section: &'a MediaSection, codec: Codec, wished: Option<&str>) -> Option<&'a Payload> {
    let of_codec = section.payloads.iter().filter(|payload| is_codec(payload, codec));
    of_codec.min_by_key(|payload| rank(payload, codec, wished))
}

pub(super) fn is_codec(payload: &Payload, codec: Codec) -> bool {
    payload.encoding.eq_ignore_ascii_case(codec.encoding()) && payload.clock_rate == codec.clock_rate()
}

/// The RTX payload type that repairs `pt` (RFC 4588 §8.6).
pub(super) fn rtx_of(section: &MediaSection, pt: u8) -> Option<&Payload> {
    section.payloads.iter().find(|payload| {
        payload.encoding.eq_ignore_ascii_case("rtx")
            && parameter(payload, "apt").and_then(|apt| apt.parse().ok()) == Some(pt)
    })
}

pub(super) fn rtx_payload(pt: u8, apt: u8, clock_rate: u32) -> Payload {
    let fmtp = Some(format!("apt={apt}").into());
    Payload { pt, encoding: "rtx".into(), clock_rate, channels: None, fmtp, feedback: Vec::new() }
}

/// One parameter of a fmtp text.
pub(super) fn parameter<'a>(payload: &'a Payload, name: &str) -> Option<&'a str> {
    parameter_of(payload.fmtp.as_deref()?, name)
}

/// One parameter of an fmtp text.
pub fn parameter_of<'a>(fmtp: &'a str, name: &str) -> Option<&'a str> {
    let parameters = fmtp.split(';').filter_map(|parameter| parameter.trim().split_once('='));
    parameters.into_iter().find(|(key, _)| key.trim().eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
}

/// RFC 3551 §6.
const DYNAMIC: std::ops::RangeInclusive<u8> = 96..=127;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::media::ExtensionIds;
    use crate::wire::sdp::{MediaKind, Mid};

    fn line(codec: Codec, fmtp: Option<&str>, (pt, rtx_pt): (u8, Option<u8>)) -> OfferedMedia {
        OfferedMedia {
            mid: Mid::from("0").unwrap(),
            kind: if codec.is_video() { MediaKind::Video } else { MediaKind::Audio },
            codec,
            pt,
            rtx_pt,
            fmtp: fmtp.map(Box::from),
            extensions: ExtensionIds::default(),
            ssrc: 1,
            rtx_ssrc: None,
            active: true,
            msid: ("portunus".into(), "portunus0".into()),
        }
    }

    #[test]
    fn a_first_line_gets_the_numbers_of_janus() {
        assert_eq!(payload_types(&[], Codec::Opus, None), Some((111, None)));
        assert_eq!(payload_types(&[], Codec::Pcmu, None), Some((0, None)));
        assert_eq!(payload_types(&[], Codec::Vp8, None), Some((96, Some(97))));
        assert_eq!(payload_types(&[], Codec::H264, None), Some((107, Some(108))));
    }

    #[test]
    fn one_number_never_means_two_things_in_a_bundle() {
        let mut lines = Vec::new();
        let wanted = [
            (Codec::H265, None),
            (Codec::Vp9, Some("profile-id=0")),
            (Codec::H264, Some("profile-level-id=42e01f;packetization-mode=1")),
            (Codec::H264, Some("profile-level-id=640c1f;packetization-mode=1")),
            (Codec::Vp9, Some("profile-id=0")),
        ];
        for (codec, fmtp) in wanted {
            let types = payload_types(&lines, codec, fmtp).unwrap();
            lines.push(line(codec, fmtp, types));
        }
        assert_eq!((lines[1].pt, lines[1].rtx_pt), (lines[4].pt, lines[4].rtx_pt), "the same again shares the number");
        lines.pop();
        let mut numbers: Vec<u8> = lines.iter().flat_map(|line| [line.pt, line.rtx_pt.unwrap()]).collect();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), 8);
    }

    #[test]
    fn the_numbers_end_and_that_is_said() {
        let mut lines = Vec::new();
        // Nothing that a browser decodes; what a publisher may say nevertheless.
        for profile in 0..16 {
            let fmtp = format!("profile-id={profile}");
            let types = payload_types(&lines, Codec::Vp9, Some(&fmtp)).unwrap();
            lines.push(line(Codec::Vp9, Some(&fmtp), types));
        }
        assert_eq!(payload_types(&lines, Codec::Vp8, None), None);
    }
}
