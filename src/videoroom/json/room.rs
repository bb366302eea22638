//! `create`, `destroy`, `exists`, `list`, `listparticipants`: requests about rooms, answered with `success`.

use serde::Serialize;
use simd_json::borrowed::Value;

use super::error::RequestError;
use super::publisher::{Identity, bounded};
use super::{Id, is_false};
use crate::id::{Name, RoomId};
use crate::wire::janus::field::{Field, FieldError, Fields, Kind};

/// `create`; what is absent has Janus' default.
#[derive(Debug)]
pub struct Create<'v> {
    /// None or 0: mint one.
    pub room: Option<RoomId>,
    /// Needed when one is configured.
    pub admin_key: Option<&'v str>,
    /// To be there after a restart too.
    pub permanent: bool,
    /// Shown in lists.
    pub description: Option<&'v str>,
    /// Hidden from `list`.
    pub is_private: bool,
    /// Empty is none.
    pub secret: Option<&'v str>,
    /// Empty is none.
    pub pin: Option<&'v str>,
    /// Tokens to join with; also an empty list is one that is looked at.
    pub allowed: Option<Vec<&'v str>>,
    /// Subscribers must present a `private_id`.
    pub require_pvtid: bool,
    /// Whoever joins must bring a token that is signed for the room.
    pub signed_tokens: bool,
    /// Bits per second.
    pub bitrate: Option<u64>,
    /// Whether `bitrate` is a ceiling.
    pub bitrate_cap: bool,
    pub fir_freq: Option<u32>,
    pub publishers: Option<usize>,
    pub audiocodec: Option<&'v str>,
    pub videocodec: Option<&'v str>,
    /// Preferred `profile-id`; empty is none.
    pub vp9_profile: Option<&'v str>,
    /// Preferred `profile-level-id`; empty is none.
    pub h264_profile: Option<&'v str>,
    pub opus_fec: Option<bool>,
    pub opus_dtx: Option<bool>,
    /// `ssrc-audio-level`.
    pub audiolevel_ext: Option<bool>,
    /// Tell who talks.
    pub audiolevel_event: bool,
    /// Packets; 0 is the default.
    pub audio_active_packets: Option<u32>,
    /// -dBov; 0 is the default.
    pub audio_level_average: Option<u32>,
    /// Tell who joins.
    pub notify_joining: bool,
    /// Nothing but media that are encrypted end to end.
    pub require_e2ee: bool,
    /// A placeholder among the participants.
    pub dummy_publisher: bool,
    /// Its streams: codec and fmtp.
    pub dummy_streams: Option<Vec<(&'v str, Option<&'v str>)>>,
    /// Whether it counts as encrypted end to end.
    pub dummy_e2ee: Option<bool>,
    /// `video-orientation`.
    pub videoorient_ext: Option<bool>,
    /// `playout-delay`.
    pub playoutdelay_ext: Option<bool>,
    /// Transport-wide congestion control.
    pub transport_wide_cc_ext: Option<bool>,
    pub record: bool,
}

const CREATE: &[Field] = &[
    Field::optional("description", Kind::Description),
    Field::optional("is_private", Kind::Flag),
    Field::optional("allowed", Kind::Array),
    Field::optional("secret", Kind::Label),
    Field::optional("pin", Kind::Label),
    Field::optional("require_pvtid", Kind::Flag),
    Field::optional("signed_tokens", Kind::Flag),
    Field::optional("bitrate", Kind::Natural),
    Field::optional("bitrate_cap", Kind::Flag),
    Field::optional("fir_freq", Kind::Natural),
    Field::optional("publishers", Kind::Natural),
    Field::optional("audiocodec", Kind::Text),
    Field::optional("videocodec", Kind::Text),
    Field::optional("vp9_profile", Kind::Text),
    Field::optional("h264_profile", Kind::Text),
    Field::optional("opus_fec", Kind::Flag),
    Field::optional("opus_dtx", Kind::Flag),
    Field::optional("audiolevel_ext", Kind::Flag),
    Field::optional("audiolevel_event", Kind::Flag),
    Field::optional("audio_active_packets", Kind::Natural),
    Field::optional("audio_level_average", Kind::Natural),
    Field::optional("videoorient_ext", Kind::Flag),
    Field::optional("playoutdelay_ext", Kind::Flag),
    Field::optional("transport_wide_cc_ext", Kind::Flag),
    Field::optional("record", Kind::Flag),
    Field::optional("rec_dir", Kind::Text),
    Field::optional("lock_record", Kind::Flag),
    Field::optional("permanent", Kind::Flag),
    Field::optional("notify_joining", Kind::Flag),
    Field::optional("require_e2ee", Kind::Flag),
    Field::optional("dummy_publisher", Kind::Flag),
    Field::optional("dummy_streams", Kind::Array),
    Field::optional("dummy_e2ee", Kind::Flag),
    Field::optional("threads", Kind::Natural),
    Field::optional("room", Kind::Id),
];

const DUMMY_STREAM: &[Field] = &[Field::required("codec", Kind::Text), Field::optional("fmtp", Kind::Line)];

impl<'v> Create<'v> {
    /// Checks the elements of a `create`: this comes before the admin key, and what lists hold behind it.
    pub fn check(body: Fields<'v>) -> Result<Fields<'v>, RequestError> {
        Ok(body.check(CREATE)?)
    }

    /// Reads a `create` of which [`Create::check`] has found nothing wrong.
    pub fn parse(fields: Fields<'v>) -> Result<Create<'v>, RequestError> {
        let mut dummy_streams = Vec::new();
        for stream in bounded(fields, "dummy_streams", DUMMY_STREAM)? {
            match stream {
                Ok(stream) => {
                    dummy_streams.push((stream.text("codec").unwrap_or_default(), filled(stream.text("fmtp"))))
                }
                // As in Janus, what makes no sense is not there, and when nothing is there, each codec has a stream.
                Err(FieldError::Missing(_) | FieldError::Type(..)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(Create {
            room: fields.id("room").filter(|room| *room != Name::Number(0)).map(RoomId),
            admin_key: fields.text("admin_key"),
            permanent: fields.flag("permanent").unwrap_or(false),
            description: fields.text("description"),
            is_private: fields.flag("is_private").unwrap_or(false),
            secret: filled(fields.text("secret")),
            pin: filled(fields.text("pin")),
            allowed: strings(fields, "allowed")?,
            require_pvtid: fields.flag("require_pvtid").unwrap_or(false),
            signed_tokens: fields.flag("signed_tokens").unwrap_or(false),
            bitrate: fields.natural("bitrate"),
            bitrate_cap: fields.flag("bitrate_cap").unwrap_or(false),
            fir_freq: small(fields, "fir_freq")?,
            publishers: small(fields, "publishers")?,
            audiocodec: filled(fields.text("audiocodec")),
            videocodec: filled(fields.text("videocodec")),
            vp9_profile: filled(fields.text("vp9_profile")),
            h264_profile: filled(fields.text("h264_profile")),
            opus_fec: fields.flag("opus_fec"),
            opus_dtx: fields.flag("opus_dtx"),
            audiolevel_ext: fields.flag("audiolevel_ext"),
            audiolevel_event: fields.flag("audiolevel_event").unwrap_or(false),
            audio_active_packets: small(fields, "audio_active_packets")?.filter(|packets| *packets > 0),
            audio_level_average: small(fields, "audio_level_average")?.filter(|average| *average > 0),
            notify_joining: fields.flag("notify_joining").unwrap_or(false),
            require_e2ee: fields.flag("require_e2ee").unwrap_or(false),
            dummy_publisher: fields.flag("dummy_publisher").unwrap_or(false),
            dummy_streams: Some(dummy_streams).filter(|streams| !streams.is_empty()),
            dummy_e2ee: fields.flag("dummy_e2ee"),
            videoorient_ext: fields.flag("videoorient_ext"),
            playoutdelay_ext: fields.flag("playoutdelay_ext"),
            transport_wide_cc_ext: fields.flag("transport_wide_cc_ext"),
            record: fields.flag("record").unwrap_or(false),
        })
    }
}

/// An empty text where an empty one means none.
pub(super) fn filled(text: Option<&str>) -> Option<&str> {
    text.filter(|text| !text.is_empty())
}

/// A list of strings, if it is there.
pub(super) fn strings<'v>(fields: Fields<'v>, name: &'static str) -> Result<Option<Vec<&'v str>>, RequestError> {
    let Some(items) = fields.array(name) else { return Ok(None) };
    let texts = items.iter().map(|item| match item {
        Value::String(text) => Ok(&**text),
        _ => Err(RequestError::NotAString(name)),
    });
    texts.collect::<Result<_, _>>().map(Some)
}

/// A number that must fit a smaller type; larger ones are values that cannot be.
pub(super) fn small<N: TryFrom<u64>>(fields: Fields<'_>, name: &'static str) -> Result<Option<N>, RequestError> {
    fields.natural(name).map(|number| N::try_from(number).map_err(|_| RequestError::Value(name))).transpose()
}

/// `destroy`
#[derive(Debug)]
pub struct Destroy<'v> {
    pub room: RoomId,
    /// Needed when the room has one.
    pub secret: Option<&'v str>,
    /// Not to be there after a restart either.
    pub permanent: bool,
}

impl<'v> Destroy<'v> {
    /// Reads a `destroy`.
    pub fn parse(body: Fields<'v>) -> Result<Destroy<'v>, RequestError> {
        const DESTROY: &[Field] = &[
            Field::required("room", Kind::Id),
            // The type of `secret` matters only to a room that has one, and to that one it is missing then.
            Field::optional("permanent", Kind::Flag),
        ];
        let fields = body.check(DESTROY)?;
        let permanent = fields.flag("permanent").unwrap_or(false);
        Ok(Destroy { room: required_room(fields)?, secret: filled(fields.text("secret")), permanent })
    }
}

/// The room of `exists` and `listparticipants`.
pub fn parse_room(body: Fields<'_>) -> Result<RoomId, RequestError> {
    required_room(body.check(&[Field::required("room", Kind::Id)])?)
}

/// The room of the joins. Whether there is a `ptype` is looked at before the room, what it says behind the pin.
pub fn parse_join(body: Fields<'_>) -> Result<RoomId, RequestError> {
    required_room(body.check(&[Field::required("room", Kind::Id), Field::required("ptype", Kind::Text)])?)
}

/// The room that a request names.
pub fn required_room(fields: Fields<'_>) -> Result<RoomId, RequestError> {
    fields.id("room").map(RoomId).ok_or(RequestError::Field(FieldError::Missing("room")))
}

/// `list`: the admin key when given; Janus does not look at its type where none is configured.
pub fn parse_list(body: Fields<'_>) -> Option<&str> {
    body.text("admin_key")
}

/// `created`, `edited` and `destroyed` as answers.
#[derive(Debug, Serialize)]
pub struct Made<'a> {
    /// Which of them.
    pub videoroom: &'static str,
    pub room: Id<'a>,
    /// Whether what the answer says holds after a restart too.
    pub permanent: bool,
    /// What was asked for and has no effect.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warning: Option<&'static str>,
}

/// The answer to `exists`.
#[derive(Debug, Serialize)]
pub struct Exists<'a> {
    /// `success`
    pub videoroom: &'static str,
    pub room: Id<'a>,
    /// Whether it is there.
    pub exists: bool,
}

/// The answer to `list`.
#[derive(Debug, Serialize)]
pub struct List<'a> {
    /// `success`
    pub videoroom: &'static str,
    pub list: Vec<Listed<'a>>,
}

/// One room of a list.
#[derive(Debug, Serialize)]
#[allow(missing_docs, reason = "the keys are those of `create`")]
pub struct Listed<'a> {
    pub room: Id<'a>,
    pub description: &'a str,
    pub pin_required: bool,
    pub is_private: bool,
    pub max_publishers: usize,
    pub bitrate: u64,
    #[serde(skip_serializing_if = "is_false")]
    pub bitrate_cap: bool,
    pub fir_freq: u32,
    pub require_pvtid: bool,
    pub require_e2ee: bool,
    pub dummy_publisher: bool,
    pub notify_joining: bool,
    pub audiocodec: String,
    pub videocodec: String,
    #[serde(skip_serializing_if = "is_false")]
    pub opus_fec: bool,
    #[serde(skip_serializing_if = "is_false")]
    pub opus_dtx: bool,
    pub record: bool,
    pub lock_record: bool,
    pub num_participants: usize,
    pub audiolevel_ext: bool,
    pub audiolevel_event: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audio_active_packets: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audio_level_average: Option<u32>,
    pub videoorient_ext: bool,
    pub playoutdelay_ext: bool,
    pub transport_wide_cc_ext: bool,
}

/// The answer to `listparticipants`.
#[derive(Debug, Serialize)]
pub struct Participants<'a> {
    /// `participants`
    pub videoroom: &'static str,
    pub room: Id<'a>,
    pub participants: Vec<Participant<'a>>,
}

/// One participant of a list.
#[derive(Debug, Serialize)]
pub struct Participant<'a> {
    #[serde(flatten)]
    pub who: Identity<'a>,
    #[serde(skip_serializing_if = "is_false")]
    pub dummy: bool,
    /// Of another server.
    #[serde(skip_serializing_if = "is_false")]
    pub remote: bool,
    /// Whether its peer connection is up.
    pub publisher: bool,
    /// Whether it is talking; only of publishers whose audio has its level.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub talking: Option<bool>,
}
