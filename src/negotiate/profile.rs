//! Codec profiles in fmtp texts: which is meant, whether two are the same, and what of a publisher's fmtp describes its
//! stream to those who receive it (RFC 6184 §8.1 and §8.2.2, RFC 9628 §6, RFC 7798 §7.1, AOM "RTP Payload Format For AV1"
//! §7.2).

use super::payload::{parameter, parameter_of};
use crate::control::codec::Codec;
use crate::wire::sdp::Payload;

/// An H264 profile, as far as a decoder cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum H264Profile {
    /// What every browser decodes (RFC 7742 §6.2).
    ConstrainedBaseline,
    Baseline,
    Main,
    Extended,
    ConstrainedHigh,
    High,
    /// `profile_idc` and `profile_iop` of any other.
    Other(u8, u8),
}

impl H264Profile {
    /// Of a `profile-level-id`: RFC 6184 §8.1, table 5. The last byte is the level.
    pub(super) fn parse(text: &str) -> Option<H264Profile> {
        let is_hex = text.len() == 6 && text.bytes().all(|digit| digit.is_ascii_hexdigit());
        let [_, idc, iop, _] = u32::from_str_radix(text, 16).ok().filter(|_| is_hex)?.to_be_bytes();
        let all = |mask: u8, value: u8| iop & mask == value;
        Some(match idc {
            0x42 if all(0x4f, 0x40) => H264Profile::ConstrainedBaseline,
            0x4d if all(0x8f, 0x80) => H264Profile::ConstrainedBaseline,
            0x58 if all(0xcf, 0xc0) => H264Profile::ConstrainedBaseline,
            0x42 if all(0x4f, 0x00) => H264Profile::Baseline,
            0x58 if all(0xcf, 0x80) => H264Profile::Baseline,
            0x4d if all(0xaf, 0x00) => H264Profile::Main,
            0x58 if all(0xcf, 0x00) => H264Profile::Extended,
            0x64 if iop == 0x00 => H264Profile::High,
            0x64 if iop == 0x0c => H264Profile::ConstrainedHigh,
            _ => H264Profile::Other(idc, iop),
        })
    }

    /// Of a payload type; without `profile-level-id` it is Baseline (RFC 6184 §8.1).
    pub(super) fn of(payload: &Payload) -> Option<H264Profile> {
        parameter(payload, "profile-level-id").map_or(Some(H264Profile::Baseline), H264Profile::parse)
    }
}

/// Whether streams of one codec with these fmtp texts may have one payload type in a bundle: what the depacketizer must
/// know is the same, and what a decoder must be made for. Levels and parameter sets differ from m-line to m-line under one
/// number, and browsers compare no more than this either (RFC 9143 §9.1.1, RFC 6184 §8.2.2).
pub fn share_payload_type(codec: Codec, one: Option<&str>, other: Option<&str>) -> bool {
    let (one, other) = (one.unwrap_or_default(), other.unwrap_or_default());
    let same = |name: &str, default: &str| {
        let of = |fmtp| parameter_of(fmtp, name).unwrap_or(default);
        of(one) == of(other)
    };
    match codec {
        Codec::H264 => {
            let profile = |fmtp| H264Profile::parse(parameter_of(fmtp, "profile-level-id").unwrap_or(H264_DEFAULT));
            profile(one) == profile(other) && same("packetization-mode", "0")
        }
        // RFC 7798 §7.1 has the defaults.
        Codec::H265 => same("profile-id", "1") && same("tier-flag", "0") && same("tx-mode", "SRST"),
        Codec::Vp9 => same("profile-id", "0"),
        Codec::Av1 => same("profile", "0"),
        _ => true,
    }
}

/// Baseline, which is meant where nothing is said (RFC 6184 §8.1).
const H264_DEFAULT: &str = "42000a";

/// How well the payload type suits: lower is better. First comes the profile that the room wishes, then the one that the
/// most peers can decode: constrained baseline H264 in packetization mode 1 (RFC 7742 §6.2), H265 Main, VP9 and AV1 in
/// profile 0.
pub(super) fn rank(payload: &Payload, codec: Codec, wished: Option<&str>) -> (bool, u8) {
    let is = |name, common: &str| parameter(payload, name).unwrap_or(common) == common;
    let profile = || H264Profile::of(payload);
    let suits = |wished: &str| match codec {
        Codec::H264 => H264Profile::parse(wished).is_some_and(|wished| profile() == Some(wished)),
        _ => parameter(payload, "profile-id").unwrap_or("0") == wished,
    };
    let common = match codec {
        Codec::H264 if parameter(payload, "packetization-mode") != Some("1") => 2,
        Codec::H264 => u8::from(profile() != Some(H264Profile::ConstrainedBaseline)),
        Codec::H265 => u8::from(!is("profile-id", "1")),
        Codec::Vp9 => u8::from(!is("profile-id", "0")),
        Codec::Av1 => u8::from(!is("profile", "0")),
        _ => 0,
    };
    (wished.is_some_and(|wished| !suits(wished)), common)
}

/// What of a publisher's fmtp its subscribers must know. What it says of its own receiver (`max-fs`, the level of AV1) is
/// left out: then the streams of different browsers are offered under one payload type.
pub(super) fn stream_fmtp(payload: &Payload, codec: Codec) -> Option<Box<str>> {
    let names: &[&str] = match codec {
        Codec::H264 => &["level-asymmetry-allowed", "packetization-mode", "profile-level-id", "sprop-parameter-sets"],
        Codec::H265 => &["level-id", "profile-id", "tier-flag", "tx-mode", "sprop-vps", "sprop-sps", "sprop-pps"],
        Codec::Vp9 => return Some(format!("profile-id={}", parameter(payload, "profile-id").unwrap_or("0")).into()),
        Codec::Av1 => &["profile"],
        _ => &[],
    };
    let given = names.iter().filter_map(|name| Some((name, parameter(payload, name)?)));
    let given: Vec<String> = given
        .filter(|(_, value)| codec != Codec::Av1 || *value != "0")
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    (!given.is_empty()).then(|| given.join(";").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payload(codec: Codec, fmtp: Option<&str>) -> Payload {
        let (encoding, clock_rate) = (codec.encoding().into(), codec.clock_rate());
        Payload { pt: 96, encoding, clock_rate, channels: None, fmtp: fmtp.map(Box::from), feedback: Vec::new() }
    }

    #[test]
    fn profile_level_ids_are_read_by_table_5_of_rfc_6184() {
        use H264Profile::*;
        for (text, profile) in [
            ("42e01f", ConstrainedBaseline),
            ("42C02A", ConstrainedBaseline),
            ("4d801f", ConstrainedBaseline),
            ("58c01f", ConstrainedBaseline),
            ("42001f", Baseline),
            ("58801f", Baseline),
            ("4d001f", Main),
            ("58001f", Extended),
            ("64001f", High),
            ("640c1f", ConstrainedHigh),
            ("6e001f", Other(0x6e, 0)),
        ] {
            assert_eq!(H264Profile::parse(text), Some(profile), "{text}");
        }
        for wrong in ["", "42e0", "42e01f0", "+2e01f0", "zzzzzz"] {
            assert_eq!(H264Profile::parse(wrong), None, "{wrong}");
        }
        assert_eq!(H264Profile::of(&payload(Codec::H264, None)), Some(Baseline));
    }

    #[test]
    fn a_payload_type_stands_for_a_profile_and_a_packetization_mode() {
        let h264 = |one: &str, other: &str| share_payload_type(Codec::H264, Some(one), Some(other));
        let common = "profile-level-id=42c01f;packetization-mode=1";
        assert!(h264(common, "packetization-mode=1;profile-level-id=42E028;sprop-parameter-sets=Z0LAH9kA,aMuD"));
        assert!(!h264(common, "profile-level-id=42c01f"), "another mode");
        assert!(!h264(common, "profile-level-id=640c1f;packetization-mode=1"), "another profile");
        assert!(share_payload_type(Codec::H264, None, Some("profile-level-id=42001f;packetization-mode=0")));
        assert!(share_payload_type(Codec::Opus, None, Some("stereo=1")));
        assert!(!share_payload_type(Codec::Vp9, None, Some("profile-id=2")));
        assert!(share_payload_type(Codec::Av1, None, Some("profile=0")));
        let h265 = |other| share_payload_type(Codec::H265, Some("profile-id=1;sprop-vps=QAE="), Some(other));
        assert!(h265("level-id=93") && !h265("tier-flag=1"));
    }

    #[test]
    fn the_rooms_wish_comes_before_what_is_common() {
        let h264 = |fmtp: &str, wished| rank(&payload(Codec::H264, Some(fmtp)), Codec::H264, wished);
        let (common, high) =
            ("profile-level-id=42e01f;packetization-mode=1", "packetization-mode=1;profile-level-id=640c1f");
        assert!(h264(common, None) < h264(high, None));
        assert!(h264(high, Some("640c34")) < h264(common, Some("640c34")), "of another level");
        assert!(h264(common, Some("nonsense")) < h264(high, Some("nonsense")));
        assert!(h264(high, None) < h264("profile-level-id=42e01f", None), "packetization mode 0");
        let vp9 = |fmtp, wished| rank(&payload(Codec::Vp9, fmtp), Codec::Vp9, wished);
        assert!(vp9(None, None) < vp9(Some("profile-id=2"), None));
        assert!(vp9(Some("profile-id=2"), Some("2")) < vp9(None, Some("2")));
    }

    #[test]
    fn subscribers_are_told_of_the_stream_and_not_of_its_senders_receiver() {
        let told = |codec, fmtp: &str| stream_fmtp(&payload(codec, Some(fmtp).filter(|f| !f.is_empty())), codec);
        assert_eq!(told(Codec::Vp8, "max-fs=12288;max-fr=60"), None);
        assert_eq!(told(Codec::Vp9, "max-fs=12288;max-fr=60").as_deref(), Some("profile-id=0"));
        assert_eq!(told(Codec::Vp9, "profile-id=2").as_deref(), Some("profile-id=2"));
        assert_eq!(told(Codec::Av1, "level-idx=5;profile=0;tier=0"), None);
        assert_eq!(told(Codec::Av1, "profile=1").as_deref(), Some("profile=1"));
        let h264 = "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f";
        assert_eq!(told(Codec::H264, &format!("{h264};max-fs=1")).as_deref(), Some(h264));
        let mixed = "profile-level-id=42e01f; packetization-mode=1 ;level-asymmetry-allowed=1";
        assert_eq!(told(Codec::H264, mixed).as_deref(), Some(h264), "in one order");
        assert_eq!(told(Codec::H264, ""), None);
    }
}
