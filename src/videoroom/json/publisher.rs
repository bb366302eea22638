//! `join` and `joinandconfigure` as publisher, `publish` and `configure` of a publisher; `joined` and `configured`.

use serde::Serialize;
use simd_json::prelude::Writable;

use super::error::RequestError;
use super::room::small;
use super::{Id, Object, is_false};
use crate::id::{FeedId, Name};
use crate::limits::{MEDIA_LINES_MAX, METADATA_BYTES_MAX};
use crate::wire::janus::field::{Field, FieldError, Fields, Kind};
use crate::wire::sdp::Mid;

/// `join` with `ptype: "publisher"`, without the room.
#[derive(Debug)]
pub struct JoinPublisher<'v> {
    /// None or 0: random.
    pub id: Option<FeedId>,
    /// Name to show.
    pub display: Option<&'v str>,
    /// What else to show: an object as text.
    pub metadata: Option<String>,
    /// The room's pin.
    pub pin: Option<&'v str>,
    /// One of the room's `allowed`.
    pub token: Option<&'v str>,
    /// `audio_active_packets`
    pub audio_active_packets: Option<u32>,
    /// `audio_level_average`
    pub audio_level_average: Option<u32>,
}

const JOIN: &[Field] = &[
    Field::optional("token", Kind::Text),
    Field::optional("display", Kind::Label),
    Field::optional("metadata", Kind::Object),
    Field::optional("audio_active_packets", Kind::Natural),
    Field::optional("audio_level_average", Kind::Natural),
    Field::optional("id", Kind::Id),
];

impl<'v> JoinPublisher<'v> {
    /// Reads the elements of a publisher's join.
    pub fn parse(body: Fields<'v>) -> Result<JoinPublisher<'v>, RequestError> {
        let fields = body.check(JOIN)?;
        Ok(JoinPublisher {
            id: fields.id("id").filter(|id| *id != Name::Number(0)).map(FeedId),
            display: fields.text("display"),
            metadata: metadata(fields)?,
            // Its type matters only to a room that has one, and to that one it is missing then.
            pin: fields.text("pin"),
            token: fields.text("token"),
            audio_active_packets: small(fields, "audio_active_packets")?,
            audio_level_average: small(fields, "audio_level_average")?,
        })
    }
}

/// `publish` and `configure` of a publisher.
#[derive(Debug, Default)]
#[allow(missing_docs, reason = "the names are the keys")]
pub struct Configure<'v> {
    pub audiocodec: Option<&'v str>,
    pub videocodec: Option<&'v str>,
    pub bitrate: Option<u64>,
    pub keyframe: bool,
    pub display: Option<&'v str>,
    pub metadata: Option<String>,
    pub audio_active_packets: Option<u32>,
    pub audio_level_average: Option<u32>,
    pub descriptions: Vec<(Mid, &'v str)>,
    pub streams: Vec<ConfigureStream>,
    pub audio: Option<bool>,
    pub video: Option<bool>,
}

/// One entry of `streams` in a `configure` of either role.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct ConfigureStream {
    /// Which m-line; none means all.
    pub mid: Option<Mid>,
    pub send: Option<bool>,
    /// Ask for a keyframe.
    pub keyframe: bool,
    /// Playout-delay in units of 10 ms.
    pub min_delay: Option<i64>,
    pub max_delay: Option<i64>,
}

const CONFIGURE: &[Field] = &[
    Field::optional("descriptions", Kind::Array),
    Field::optional("audiocodec", Kind::Text),
    Field::optional("videocodec", Kind::Text),
    Field::optional("bitrate", Kind::Natural),
    Field::optional("keyframe", Kind::Flag),
    Field::optional("record", Kind::Flag),
    Field::optional("filename", Kind::Text),
    Field::optional("display", Kind::Label),
    Field::optional("metadata", Kind::Object),
    Field::optional("secret", Kind::Text),
    Field::optional("audio_active_packets", Kind::Natural),
    Field::optional("audio_level_average", Kind::Natural),
    Field::optional("streams", Kind::Array),
    Field::optional("mid", Kind::Text),
    Field::optional("send", Kind::Flag),
    Field::optional("min_delay", Kind::Integer),
    Field::optional("max_delay", Kind::Integer),
    Field::optional("audio", Kind::Flag),
    Field::optional("video", Kind::Flag),
    Field::optional("data", Kind::Flag),
    Field::optional("update", Kind::Flag),
    Field::optional("restart", Kind::Flag),
];

const DESCRIPTION: &[Field] = &[Field::required("mid", Kind::Text), Field::required("description", Kind::Description)];

/// What Janus reads of a `joinandconfigure` beside the elements of a join.
const JOINING: &[Field] = &[
    Field::optional("descriptions", Kind::Array),
    Field::optional("audiocodec", Kind::Text),
    Field::optional("videocodec", Kind::Text),
    Field::optional("bitrate", Kind::Natural),
    Field::optional("record", Kind::Flag),
    Field::optional("filename", Kind::Text),
    Field::optional("audio", Kind::Flag),
    Field::optional("video", Kind::Flag),
    Field::optional("data", Kind::Flag),
];

impl<'v> Configure<'v> {
    /// Reads the elements of `publish` and `configure`.
    pub fn parse(body: Fields<'v>) -> Result<Configure<'v>, RequestError> {
        let fields = body.check(CONFIGURE)?;
        let configure = Configure::parse_joining(fields)?;
        // Layers are for subscribers to choose: Janus passes them over here.
        let streams = ConfigureStream::parse_all(fields, |_| Ok(()))?;
        let whole = streams.iter().all(|stream| stream.mid.is_none());
        Ok(Configure {
            // With a `mid` beside it, it is that stream's.
            keyframe: fields.flag("keyframe").unwrap_or(false) && fields.value("mid").is_none(),
            display: fields.text("display"),
            metadata: metadata(fields)?,
            audio_active_packets: small(fields, "audio_active_packets")?,
            audio_level_average: small(fields, "audio_level_average")?,
            audio: configure.audio.filter(|_| whole),
            video: configure.video.filter(|_| whole),
            streams,
            ..configure
        })
    }

    /// Reads what a `joinandconfigure` configures.
    pub fn parse_joining(body: Fields<'v>) -> Result<Configure<'v>, RequestError> {
        let fields = body.check(JOINING)?;
        // Nobody must believe that there is a recording.
        if fields.flag("record") == Some(true) {
            return Err(RequestError::Unsupported("record"));
        }
        let mut descriptions = Vec::new();
        for entry in bounded(fields, "descriptions", DESCRIPTION)? {
            let entry = entry?;
            // A tag longer than any can be is an unknown one, and those are ignored here.
            if let (Some(Ok(mid)), Some(text)) = (entry.text("mid").map(Mid::from), entry.text("description")) {
                descriptions.push((mid, text));
            }
        }
        Ok(Configure {
            audiocodec: fields.text("audiocodec"),
            videocodec: fields.text("videocodec"),
            bitrate: fields.natural("bitrate"),
            descriptions,
            audio: fields.flag("audio"),
            video: fields.flag("video"),
            ..Configure::default()
        })
    }
}

const STREAM: &[Field] = &[
    Field::optional("mid", Kind::Text),
    Field::optional("send", Kind::Flag),
    Field::optional("keyframe", Kind::Flag),
    Field::optional("substream", Kind::Natural),
    Field::optional("temporal", Kind::Natural),
    Field::optional("fallback", Kind::Natural),
    Field::optional("spatial_layer", Kind::Natural),
    Field::optional("temporal_layer", Kind::Natural),
    Field::optional("min_delay", Kind::Integer),
    Field::optional("max_delay", Kind::Integer),
];

impl ConfigureStream {
    /// The entries of `streams`, or the one entry that the keys of the top level make when there is no array; each is
    /// checked with `check`.
    pub(super) fn parse_all<'v>(
        fields: Fields<'v>,
        check: impl Fn(Fields<'v>) -> Result<(), RequestError>,
    ) -> Result<Vec<ConfigureStream>, RequestError> {
        if fields.value("streams").is_none() {
            check(fields)?;
            let entry = ConfigureStream::parse(fields)?;
            // A keyframe alone is the handle's affair and needs no entry.
            let says_something = ConfigureStream { keyframe: false, ..entry.clone() } != ConfigureStream::default();
            return Ok(if says_something { vec![entry] } else { Vec::new() });
        }
        let entries = bounded(fields, "streams", STREAM)?;
        entries
            .map(|entry| {
                let entry = entry?;
                check(entry)?;
                ConfigureStream::parse(entry)
            })
            .collect()
    }

    fn parse(fields: Fields<'_>) -> Result<ConfigureStream, RequestError> {
        Ok(ConfigureStream {
            mid: parse_mid(fields, "mid")?,
            send: fields.flag("send"),
            keyframe: fields.flag("keyframe").unwrap_or(false),
            min_delay: fields.integer("min_delay"),
            max_delay: fields.integer("max_delay"),
        })
    }
}

/// `metadata` as text: it is kept and shown as it came.
pub(super) fn metadata(fields: Fields<'_>) -> Result<Option<String>, RequestError> {
    let text = fields.value("metadata").map(Writable::encode);
    match text {
        Some(text) if text.len() > METADATA_BYTES_MAX => {
            Err(FieldError::TooLong("metadata", METADATA_BYTES_MAX).into())
        }
        text => Ok(text),
    }
}

/// An m-line's tag; one that is too long cannot name anything.
pub(super) fn parse_mid(fields: Fields<'_>, name: &'static str) -> Result<Option<Mid>, RequestError> {
    fields.text(name).map(|mid| Mid::from(mid).map_err(|_| RequestError::Value(name))).transpose()
}

/// Layer targets are 0, 1 or 2.
pub(super) fn check_layers(fields: Fields<'_>) -> Result<(), RequestError> {
    for name in ["substream", "temporal", "spatial_layer", "temporal_layer"] {
        if fields.natural(name).is_some_and(|layer| layer > 2) {
            return Err(RequestError::Layer(name));
        }
    }
    Ok(())
}

/// The items of an array about m-lines, of which no handle has more than [`MEDIA_LINES_MAX`].
pub(super) fn bounded<'v>(
    fields: Fields<'v>,
    name: &'static str,
    table: &'static [Field],
) -> Result<impl Iterator<Item = Result<Fields<'v>, FieldError>>, RequestError> {
    let items = fields.array(name).map_or(0, <[_]>::len);
    if items > MEDIA_LINES_MAX { Err(RequestError::Value(name)) } else { Ok(fields.entries(name, table)) }
}

/// Which role a `join` asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParticipantType {
    /// `publisher`
    Publisher,
    /// `subscriber`
    Subscriber,
}

impl ParticipantType {
    /// Reads `ptype`.
    pub fn parse(body: Fields<'_>) -> Result<ParticipantType, RequestError> {
        let fields = body.check(&[Field::required("ptype", Kind::Text)])?;
        match fields.text("ptype").ok_or(FieldError::Missing("ptype"))? {
            kind if kind.eq_ignore_ascii_case("publisher") => Ok(ParticipantType::Publisher),
            kind if kind.eq_ignore_ascii_case("subscriber") => Ok(ParticipantType::Subscriber),
            _ => Err(RequestError::Value("ptype")),
        }
    }
}

/// `joined`
#[derive(Debug, Serialize)]
pub struct Joined<'a> {
    /// `joined`
    pub videoroom: &'static str,
    pub room: Id<'a>,
    pub description: &'a str,
    /// The participant's own id.
    pub id: Id<'a>,
    /// Always a number, also with `string_ids`.
    pub private_id: u32,
    /// Always there, perhaps empty.
    pub publishers: Vec<Publisher<'a>>,
    /// What the participant asked for itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audio_active_packets: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audio_level_average: Option<u32>,
    /// Who does not publish; only with `notify_joining`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attendees: Option<Vec<Identity<'a>>>,
    /// With a description.
    #[serde(flatten)]
    pub published: Option<Published<'a>>,
}

/// What the answer to an offer says beside the SDP.
#[derive(Debug, Serialize)]
pub struct Published<'a> {
    /// Of the first audio stream.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audio_codec: Option<&'static str>,
    /// Of the first video stream.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub video_codec: Option<&'static str>,
    /// The publisher's own.
    pub streams: Vec<Stream<'a>>,
}

/// `configured: "ok"`
#[derive(Debug, Serialize)]
pub struct Configured<'a> {
    /// `event`
    pub videoroom: &'static str,
    pub room: Id<'a>,
    /// `ok`
    pub configured: &'static str,
    /// After an offer.
    #[serde(flatten)]
    pub published: Option<Published<'a>>,
}

/// A feed as others see it.
#[derive(Debug, Serialize)]
pub struct Publisher<'a> {
    #[serde(flatten)]
    pub who: Identity<'a>,
    #[serde(skip_serializing_if = "is_false")]
    pub dummy: bool,
    /// Codecs and streams.
    #[serde(flatten)]
    pub published: Published<'a>,
    /// Whether any of its audio is talking.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub talking: Option<bool>,
}

/// A participant.
#[derive(Debug, Serialize)]
pub struct Identity<'a> {
    pub id: Id<'a>,
    /// Name to show.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display: Option<&'a str>,
    /// What else it shows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Object<'a>>,
}

/// One published m-line; a disabled one has nothing behind `disabled`.
#[derive(Debug, Default, Serialize)]
#[allow(missing_docs, reason = "the names are the keys")]
pub struct Stream<'a> {
    #[serde(rename = "type")]
    pub kind: &'static str,
    pub mindex: usize,
    pub mid: &'a str,
    #[serde(skip_serializing_if = "is_false")]
    pub disabled: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub codec: Option<&'static str>,
    #[serde(skip_serializing_if = "is_false")]
    pub stereo: bool,
    #[serde(skip_serializing_if = "is_false")]
    pub fec: bool,
    #[serde(skip_serializing_if = "is_false")]
    pub dtx: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub talking: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub h264_profile: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vp9_profile: Option<&'a str>,
    #[serde(skip_serializing_if = "is_false")]
    pub moderated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audiolevel_ext_id: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub videoorient_ext_id: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub playoutdelay_ext_id: Option<u8>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::janus::field::Ids;

    fn on<R>(text: &str, f: impl FnOnce(Result<Configure<'_>, RequestError>) -> R) -> R {
        let mut bytes = text.as_bytes().to_vec();
        let document = simd_json::to_borrowed_value(&mut bytes).unwrap();
        f(Configure::parse(Fields::of(&document, Ids::Numbers).unwrap()))
    }

    #[test]
    fn the_top_level_is_one_entry_unless_there_is_an_array() {
        on(r#"{"mid":"1","send":false,"keyframe":true}"#, |configure| {
            let configure = configure.unwrap();
            let mid = Mid::from("1").ok();
            let entry = ConfigureStream { mid, send: Some(false), keyframe: true, ..ConfigureStream::default() };
            assert_eq!(configure.streams, [entry]);
            assert!(!configure.keyframe);
        });
        on(r#"{"mid":"1","streams":[{}]}"#, |configure| {
            assert_eq!(configure.unwrap().streams, [ConfigureStream::default()]);
        });
        on(r#"{"keyframe":true}"#, |configure| {
            let configure = configure.unwrap();
            assert!(configure.keyframe && configure.streams.is_empty());
        });
    }

    #[test]
    fn legacy_flags_are_dropped_when_an_entry_names_a_stream() {
        on(r#"{"audio":false,"video":true}"#, |configure| {
            let configure = configure.unwrap();
            assert_eq!((configure.audio, configure.video), (Some(false), Some(true)));
        });
        on(r#"{"audio":false,"streams":[{"mid":"0"}]}"#, |configure| assert_eq!(configure.unwrap().audio, None));
    }

    #[test]
    fn tags_that_cannot_be_and_too_many_entries_are_refused() {
        let long = format!(r#"{{"streams":[{{"mid":"{}"}}]}}"#, "x".repeat(256));
        on(&long, |configure| {
            assert_eq!(configure.unwrap_err(), RequestError::Value("mid"));
        });
        let many = format!(r#"{{"streams":[{}{{}}]}}"#, "{},".repeat(MEDIA_LINES_MAX));
        on(&many, |configure| assert_eq!(configure.unwrap_err(), RequestError::Value("streams")));
    }
}
