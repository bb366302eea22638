//! `rtp_forward` in both its forms, `stop_rtp_forward` and `listforwarders`: what they ask for, and what is answered. Which
//! addresses may be sent to is not known here, and names are not resolved.

use openssl::base64;
use serde::Serialize;

use super::error::RequestError;
use super::publisher::{Identity, bounded, parse_mid};
use super::request::Request;
use super::room::small;
use super::{Id, is_false};
use crate::id::FeedId;
use crate::wire::janus::field::{Field, FieldError, Fields, Kind};
use crate::wire::sdp::{MediaKind, Mid};

/// `rtp_forward`
#[derive(Debug)]
pub struct Forward<'v> {
    pub feed: FeedId,
    /// Where those go that name no host of their own.
    pub host: Host<'v>,
    /// What is to go where.
    pub targets: Vec<Target<'v>>,
    /// Whether it is the form without `streams`.
    pub legacy: bool,
}

/// An address or a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Host<'v> {
    pub name: &'v str,
    /// Which family it is wanted in.
    pub family: Option<Family>,
}

/// `host_family`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// `ipv4`
    V4,
    /// `ipv6`
    V6,
}

/// One forwarder that is wished for.
#[derive(Clone, Debug)]
pub struct Target<'v> {
    pub of: Of,
    pub host: Host<'v>,
    pub port: u16,
    /// Where the receiver takes and sends RTCP.
    pub rtcp_port: Option<u16>,
    /// The payload type to send with.
    pub pt: Option<u8>,
    /// The SSRC to send with.
    pub ssrc: Option<u32>,
    /// Which encoding, 0 ..= 2.
    pub substream: u8,
    /// The best encoding there is, as one stream.
    pub simulcast: bool,
    /// To be sealed.
    pub srtp: Option<Srtp>,
}

/// Which stream of a publisher.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "lives for one request")]
pub enum Of {
    /// By its tag.
    Mid(Mid),
    /// The first of its kind.
    First(MediaKind),
}

/// `srtp_suite` and `srtp_crypto`
#[derive(Clone, PartialEq, Eq)]
pub struct Srtp {
    /// AES_CM_128_HMAC_SHA1_32 instead of _80 (RFC 4568 §6.2).
    pub short_tag: bool,
    /// Master key and master salt.
    pub master: [u8; 30],
}

impl std::fmt::Debug for Srtp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Srtp(..)")
    }
}

pub(super) const FORWARD: &[Field] = &[
    Field::required("host", Kind::Text),
    Field::optional("host_family", Kind::Text),
    Field::optional("simulcast", Kind::Flag),
    Field::optional("srtp_suite", Kind::Natural),
    Field::optional("srtp_crypto", Kind::Text),
    Field::optional("streams", Kind::Array),
    Field::optional("video_port", Kind::Natural),
    Field::optional("video_rtcp_port", Kind::Natural),
    Field::optional("video_ssrc", Kind::Natural),
    Field::optional("video_pt", Kind::Natural),
    Field::optional("video_port_2", Kind::Natural),
    Field::optional("video_ssrc_2", Kind::Natural),
    Field::optional("video_pt_2", Kind::Natural),
    Field::optional("video_port_3", Kind::Natural),
    Field::optional("video_ssrc_3", Kind::Natural),
    Field::optional("video_pt_3", Kind::Natural),
    Field::optional("audio_port", Kind::Natural),
    Field::optional("audio_rtcp_port", Kind::Natural),
    Field::optional("audio_ssrc", Kind::Natural),
    Field::optional("audio_pt", Kind::Natural),
    Field::optional("data_port", Kind::Natural),
    Field::required("room", Kind::Id),
    Field::required("publisher_id", Kind::Id),
];

const STREAM: &[Field] = &[
    Field::required("mid", Kind::Text),
    Field::required("port", Kind::Natural),
    Field::optional("host", Kind::Text),
    Field::optional("host_family", Kind::Text),
    Field::optional("rtcp_port", Kind::Natural),
    Field::optional("ssrc", Kind::Natural),
    Field::optional("pt", Kind::Natural),
    Field::optional("simulcast", Kind::Flag),
    Field::optional("port_2", Kind::Natural),
    Field::optional("ssrc_2", Kind::Natural),
    Field::optional("pt_2", Kind::Natural),
    Field::optional("port_3", Kind::Natural),
    Field::optional("ssrc_3", Kind::Natural),
    Field::optional("pt_3", Kind::Natural),
    Field::optional("srtp_suite", Kind::Natural),
    Field::optional("srtp_crypto", Kind::Text),
];

/// The keys of the encodings' ports, payload types and SSRCs, from the first to the third.
type Keys = [[&'static str; 3]; 3];
const KEYS: Keys = [["port", "pt", "ssrc"], ["port_2", "pt_2", "ssrc_2"], ["port_3", "pt_3", "ssrc_3"]];
const VIDEO_KEYS: Keys = [
    ["video_port", "video_pt", "video_ssrc"],
    ["video_port_2", "video_pt_2", "video_ssrc_2"],
    ["video_port_3", "video_pt_3", "video_ssrc_3"],
];
const AUDIO_KEYS: [&str; 3] = ["audio_port", "audio_pt", "audio_ssrc"];

impl<'v> Forward<'v> {
    /// Reads an `rtp_forward` whose elements are of their types.
    pub fn parse(fields: Fields<'v>) -> Result<Forward<'v>, RequestError> {
        let feed = fields.id("publisher_id").map(FeedId).ok_or(FieldError::Missing("publisher_id"))?;
        let host = Host { name: fields.text("host").unwrap_or_default(), family: family(fields)? };
        let srtp = srtp(fields)?;
        let mut targets = Vec::new();
        let legacy = fields.value("streams").is_none();
        if legacy {
            push_legacy(fields, host, srtp, &mut targets)?;
        } else {
            for entry in bounded(fields, "streams", STREAM)? {
                push_entry(entry?, host, srtp.as_ref(), &mut targets)?;
            }
        }
        Ok(Forward { feed, host, targets, legacy })
    }
}

/// Whether one of these needs the `admin_key` where `lock_rtp_forward` says so.
pub fn is_locked(request: Request) -> bool {
    matches!(request, Request::RtpForward | Request::StopRtpForward | Request::PublishRemotely)
}

fn push_entry<'v>(
    entry: Fields<'v>,
    default: Host<'v>,
    srtp_of_all: Option<&Srtp>,
    targets: &mut Vec<Target<'v>>,
) -> Result<(), RequestError> {
    let of = Of::Mid(parse_mid(entry, "mid")?.ok_or(FieldError::Missing("mid"))?);
    let own = family(entry)?;
    let host = match entry.text("host") {
        Some(name) => Host { name, family: own },
        None => Host { family: own.or(default.family), ..default },
    };
    let wish = Target {
        of,
        host,
        port: 0,
        rtcp_port: port(entry, "rtcp_port")?,
        pt: None,
        ssrc: None,
        substream: 0,
        simulcast: entry.flag("simulcast").unwrap_or(false),
        srtp: srtp(entry)?.or_else(|| srtp_of_all.cloned()),
    };
    if port(entry, "port")?.is_none() {
        return Err(RequestError::Value("port"));
    }
    push_encodings(entry, &KEYS, &wish, targets)
}

/// The form in which a publisher has one stream of a kind.
fn push_legacy<'v>(
    fields: Fields<'v>,
    host: Host<'v>,
    srtp: Option<Srtp>,
    targets: &mut Vec<Target<'v>>,
) -> Result<(), RequestError> {
    let wish = |kind, rtcp_port| Target {
        of: Of::First(kind),
        host,
        port: 0,
        rtcp_port,
        pt: None,
        ssrc: None,
        substream: 0,
        simulcast: false,
        srtp: srtp.clone(),
    };
    let audio = wish(MediaKind::Audio, port(fields, "audio_rtcp_port")?);
    targets.extend(encoding(fields, AUDIO_KEYS, &audio, 0)?);
    let video = wish(MediaKind::Video, port(fields, "video_rtcp_port")?);
    let simulcast = fields.flag("simulcast").unwrap_or(false);
    push_encodings(fields, &VIDEO_KEYS, &Target { simulcast, ..video }, targets)?;
    // There are no data channels to forward; the port has to be one all the same.
    port(fields, "data_port").map(drop)
}

/// Each encoding with a port of its own, or the best of them alone.
fn push_encodings<'v>(
    fields: Fields<'v>,
    keys: &Keys,
    wish: &Target<'v>,
    targets: &mut Vec<Target<'v>>,
) -> Result<(), RequestError> {
    for (substream, keys) in (0..).zip(keys) {
        let target = encoding(fields, *keys, wish, substream)?;
        targets.extend(target.filter(|_| substream == 0 || !wish.simulcast));
    }
    Ok(())
}

fn encoding<'v>(
    fields: Fields<'v>,
    [port_key, pt_key, ssrc_key]: [&'static str; 3],
    wish: &Target<'v>,
    substream: u8,
) -> Result<Option<Target<'v>>, RequestError> {
    let pt = small::<u8>(fields, pt_key)?.filter(|pt| *pt > 0);
    if pt.is_some_and(|pt| pt > 127) {
        return Err(RequestError::Value(pt_key));
    }
    let ssrc = small::<u32>(fields, ssrc_key)?.filter(|ssrc| *ssrc > 0);
    let Some(port) = port(fields, port_key)? else { return Ok(None) };
    let rtcp_port = wish.rtcp_port.filter(|_| substream == 0);
    Ok(Some(Target { port, pt, ssrc, substream, rtcp_port, ..wish.clone() }))
}

/// A port; 0 is none.
pub(super) fn port(fields: Fields<'_>, name: &'static str) -> Result<Option<u16>, RequestError> {
    Ok(small::<u16>(fields, name)?.filter(|port| *port > 0))
}

pub(super) fn family(fields: Fields<'_>) -> Result<Option<Family>, RequestError> {
    match fields.text("host_family") {
        None => Ok(None),
        Some("ipv4") => Ok(Some(Family::V4)),
        Some("ipv6") => Ok(Some(Family::V6)),
        Some(other) => Err(RequestError::Family(other.into())),
    }
}

/// Half of it is refused, where Janus would send in the clear what is meant to be sealed.
pub(super) fn srtp(fields: Fields<'_>) -> Result<Option<Srtp>, RequestError> {
    let suite = fields.natural("srtp_suite").filter(|suite| *suite != 0);
    let short_tag = match (suite, fields.text("srtp_crypto")) {
        (None, None) => return Ok(None),
        (None, Some(_)) => return Err(FieldError::Missing("srtp_suite").into()),
        (Some(suite), _) if suite != 32 && suite != 80 => return Err(RequestError::Suite(suite)),
        (Some(_), None) => return Err(FieldError::Missing("srtp_crypto").into()),
        (Some(suite), Some(_)) => suite == 32,
    };
    let master = fields.text("srtp_crypto").and_then(|text| base64::decode_block(text).ok()?.try_into().ok());
    Ok(Some(Srtp { short_tag, master: master.ok_or(RequestError::Value("srtp_crypto"))? }))
}

/// `stop_rtp_forward`
#[derive(Debug)]
pub struct StopForward {
    pub feed: FeedId,
    pub stream_id: u64,
}

pub(super) const STOP_FORWARD: &[Field] = &[
    Field::required("room", Kind::Id),
    Field::required("publisher_id", Kind::Id),
    Field::required("stream_id", Kind::Natural),
];

impl StopForward {
    /// Reads a `stop_rtp_forward` whose elements are of their types.
    pub fn parse(fields: Fields<'_>) -> Result<StopForward, RequestError> {
        let feed = fields.id("publisher_id").map(FeedId).ok_or(FieldError::Missing("publisher_id"))?;
        let stream_id = fields.natural("stream_id").ok_or(FieldError::Missing("stream_id"))?;
        Ok(StopForward { feed, stream_id })
    }
}

/// The answer to `rtp_forward`.
#[derive(Debug, Serialize)]
pub struct Forwarding<'a> {
    /// `rtp_forward`
    pub videoroom: &'static str,
    pub room: Id<'a>,
    pub publisher_id: Id<'a>,
    /// What is new.
    #[serde(flatten)]
    pub made: Made<'a>,
}

/// What is new, as its form has it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Made<'a> {
    /// One after the other.
    Forwarders(Vec<Forwarder>),
    /// By kind and encoding.
    RtpStream(Box<Legacy<'a>>),
}

/// The answer to the form without `streams`.
#[derive(Debug, Default, Serialize)]
#[allow(missing_docs, reason = "the names are the keys")]
pub struct Legacy<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audio_stream_id: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audio: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub video_stream_id: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub video: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub video_rtcp: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub video_stream_id_2: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub video_2: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub video_stream_id_3: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub video_3: Option<u16>,
    pub warning: &'a str,
    pub host: String,
}

/// One forwarder.
#[derive(Debug, Serialize)]
#[allow(missing_docs, reason = "the names are the keys")]
pub struct Forwarder {
    pub stream_id: u32,
    #[serde(rename = "type")]
    pub kind: &'static str,
    pub host: String,
    pub port: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub local_rtcp_port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote_rtcp_port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ssrc: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pt: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub substream: Option<u8>,
    #[serde(skip_serializing_if = "is_false")]
    pub srtp: bool,
}

/// The answer to `stop_rtp_forward`.
#[derive(Debug, Serialize)]
pub struct Stopped<'a> {
    /// `stop_rtp_forward`
    pub videoroom: &'static str,
    pub room: Id<'a>,
    /// Whose it was.
    pub publisher_id: Id<'a>,
    pub stream_id: u32,
}

/// The answer to `listforwarders`.
#[derive(Debug, Serialize)]
pub struct Forwarders<'a> {
    /// `forwarders`
    pub videoroom: &'static str,
    pub room: Id<'a>,
    /// Whose streams are forwarded.
    pub publishers: Vec<Forwarded<'a>>,
}

/// A publisher that has forwarders.
#[derive(Debug, Serialize)]
pub struct Forwarded<'a> {
    pub publisher_id: Id<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display: Option<&'a str>,
    /// What else it shows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<crate::videoroom::json::Object<'a>>,
    /// All of them.
    pub forwarders: Vec<Forwarder>,
}

impl<'a> Forwarded<'a> {
    /// The forwarders of somebody.
    pub fn new(who: Identity<'a>, forwarders: Vec<Forwarder>) -> Forwarded<'a> {
        let Identity { id, display, metadata } = who;
        Forwarded { publisher_id: id, display, metadata, forwarders }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::janus::field::Ids;

    fn parse<R>(text: &str, look: impl FnOnce(Result<Forward<'_>, RequestError>) -> R) -> R {
        let mut bytes = text.as_bytes().to_vec();
        let document = simd_json::to_borrowed_value(&mut bytes).unwrap();
        look(Forward::parse(Fields::of(&document, Ids::Numbers).unwrap()))
    }

    fn refused(more: &str) -> String {
        let text = format!(r#"{{"room":1,"publisher_id":2,"host":"192.0.2.1",{more}}}"#);
        parse(&text, |parsed| parsed.expect_err("it is refused").to_string())
    }

    #[test]
    fn each_encoding_with_a_port_is_a_forwarder_and_the_best_alone_is_one() {
        let entry = r#"{"mid":"1","port":5004,"port_2":5006,"pt_2":99,"ssrc_2":7,"port_3":5008,"rtcp_port":5005}"#;
        let text = format!(r#"{{"room":1,"publisher_id":2,"host":"192.0.2.1","streams":[{entry}]}}"#);
        parse(&text, |parsed| {
            let targets = parsed.unwrap().targets;
            let seen: Vec<_> = targets.iter().map(|t| (t.port, t.pt, t.ssrc, t.substream, t.rtcp_port)).collect();
            assert_eq!(
                seen,
                [(5004, None, None, 0, Some(5005)), (5006, Some(99), Some(7), 1, None), (5008, None, None, 2, None)]
            );
        });
        let text = text.replace(r#""port":"#, r#""simulcast":true,"port":"#);
        parse(&text, |parsed| {
            let targets = parsed.unwrap().targets;
            assert_eq!(targets.iter().map(|t| (t.port, t.simulcast)).collect::<Vec<_>>(), [(5004, true)]);
        });
    }

    #[test]
    fn the_form_without_streams_names_the_first_of_each_kind() {
        let text = r#"{"room":1,"publisher_id":2,"host":"::1","audio_port":5002,"audio_pt":100,"video_port":0,
            "video_port_2":5006,"video_rtcp_port":5007,"data_port":5010}"#;
        parse(text, |parsed| {
            let forward = parsed.unwrap();
            assert!(forward.legacy);
            let seen: Vec<_> = forward.targets.iter().map(|t| (t.of, t.port, t.pt, t.rtcp_port)).collect();
            assert_eq!(
                seen,
                [(Of::First(MediaKind::Audio), 5002, Some(100), None), (Of::First(MediaKind::Video), 5006, None, None)]
            );
        });
    }

    #[test]
    fn a_stream_may_have_a_host_a_family_and_a_key_of_its_own() {
        let key = "A".repeat(40);
        let text = format!(
            r#"{{"room":1,"publisher_id":2,"host":"192.0.2.1","host_family":"ipv4","srtp_suite":80,"srtp_crypto":"{key}",
            "streams":[{{"mid":"0","port":1}},{{"mid":"1","port":2,"host":"::1","srtp_suite":32,"srtp_crypto":"{key}"}}]}}"#
        );
        parse(&text, |parsed| {
            let targets = parsed.unwrap().targets;
            assert_eq!(targets[0].host, Host { name: "192.0.2.1", family: Some(Family::V4) });
            assert_eq!(targets[1].host, Host { name: "::1", family: None });
            let tags: Vec<_> = targets.iter().map(|target| target.srtp.as_ref().map(|srtp| srtp.short_tag)).collect();
            assert_eq!(tags, [Some(false), Some(true)]);
        });
    }

    #[test]
    fn what_cannot_be_is_refused_by_name() {
        let key = "A".repeat(40);
        for (more, error) in [
            (r#""streams":[{}]"#.into(), "Missing mandatory element (mid)"),
            (r#""streams":[{"mid":"0"}]"#.into(), "Missing mandatory element (port)"),
            (r#""streams":[7]"#.into(), "Missing mandatory element (mid)"),
            (r#""streams":[{"mid":"0","port":0}]"#.into(), "Invalid element (port)"),
            (r#""streams":[{"mid":"0","port":65536}]"#.into(), "Invalid element (port)"),
            (r#""streams":[{"mid":"0","port":1,"pt":128}]"#.into(), "Invalid element (pt)"),
            (r#""streams":[{"mid":"0","port":1,"ssrc":4294967296}]"#.into(), "Invalid element (ssrc)"),
            (r#""audio_port":70000"#.into(), "Invalid element (audio_port)"),
            (r#""data_port":70000"#.into(), "Invalid element (data_port)"),
            (r#""host_family":"ipx""#.into(), "Unsupported protocol family (ipx)"),
            (r#""srtp_suite":80"#.into(), "Missing mandatory element (srtp_crypto)"),
            (format!(r#""srtp_crypto":"{key}""#), "Missing mandatory element (srtp_suite)"),
            (format!(r#""srtp_suite":64,"srtp_crypto":"{key}""#), "Invalid SRTP suite (64)"),
            (r#""srtp_suite":80,"srtp_crypto":"AAAA""#.into(), "Invalid element (srtp_crypto)"),
            (r#""srtp_suite":80,"srtp_crypto":"not base64!""#.into(), "Invalid element (srtp_crypto)"),
        ] {
            let more: String = more;
            assert_eq!(refused(&more), error, "{more}");
        }
    }
}
