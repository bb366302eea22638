//! `join`, `subscribe`, `unsubscribe`, `update`, `switch` and `configure` of a subscriber; `attached`, `switched` and the
//! streams of a subscription.

use serde::Serialize;

use super::error::RequestError;
use super::publisher::{ConfigureStream, bounded, check_layers, parse_mid};
use super::{Id, Object};
use crate::id::{FeedId, Name};
use crate::wire::janus::field::{Field, FieldError, Fields, Ids, Kind};
use crate::wire::sdp::Mid;

/// `join` with `ptype: "subscriber"`, without the room.
#[derive(Debug)]
pub struct JoinSubscriber<'v> {
    /// The room's pin.
    pub pin: Option<&'v str>,
    /// Links the subscriber to its own publisher.
    pub private_id: Option<u32>,
    /// Feed ids in `a=msid`.
    pub use_msid: bool,
    /// True by default.
    pub autoupdate: bool,
    /// What to subscribe to.
    pub feeds: Feeds<'v>,
}

/// The two forms of a subscription.
#[derive(Debug)]
pub enum Feeds<'v> {
    /// `streams`, at least one.
    Streams(Vec<SubscribeStream<'v>>),
    /// `feed` with its `offer_..` flags.
    Legacy {
        feed: FeedId,
        /// `offer_audio`
        audio: bool,
        /// `offer_video`
        video: bool,
    },
}

/// One entry of `streams`.
#[derive(Debug)]
pub struct SubscribeStream<'v> {
    pub feed: FeedId,
    /// Which m-line of the feed; none means all.
    pub mid: Option<Mid>,
    pub crossrefid: Option<&'v str>,
    /// Whether to relay it at once; true by default.
    pub send: bool,
    /// Playout-delay in units of 10 ms.
    pub min_delay: Option<i64>,
    pub max_delay: Option<i64>,
}

const JOIN: &[Field] = &[
    Field::optional("token", Kind::Text),
    Field::optional("streams", Kind::Array),
    Field::optional("private_id", Kind::Natural),
    Field::optional("use_msid", Kind::Flag),
    Field::optional("autoupdate", Kind::Flag),
    Field::optional("offer_audio", Kind::Flag),
    Field::optional("offer_video", Kind::Flag),
    Field::optional("offer_data", Kind::Flag),
    Field::optional("substream", Kind::Natural),
    Field::optional("temporal", Kind::Natural),
    Field::optional("fallback", Kind::Natural),
    Field::optional("spatial_layer", Kind::Natural),
    Field::optional("temporal_layer", Kind::Natural),
    Field::optional("feed", Kind::Id),
];

const STREAM: &[Field] = &[
    Field::required("feed", Kind::Id),
    Field::optional("mid", Kind::Text),
    Field::optional("crossrefid", Kind::Label),
    Field::optional("send", Kind::Flag),
    Field::optional("substream", Kind::Natural),
    Field::optional("temporal", Kind::Natural),
    Field::optional("fallback", Kind::Natural),
    Field::optional("spatial_layer", Kind::Natural),
    Field::optional("temporal_layer", Kind::Natural),
    Field::optional("min_delay", Kind::Integer),
    Field::optional("max_delay", Kind::Integer),
];

impl<'v> JoinSubscriber<'v> {
    /// Reads the elements of a subscriber's join.
    pub fn parse(body: Fields<'v>) -> Result<JoinSubscriber<'v>, RequestError> {
        // Of the layers at the top Janus checks the type and no more.
        let fields = body.check(JOIN)?;
        let feeds = if fields.array("streams").unwrap_or_default().is_empty() {
            let feed = fields.id("feed").map(FeedId).ok_or(FieldError::Missing("feed"))?;
            let flag = |name| fields.flag(name).unwrap_or(true);
            Feeds::Legacy { feed, audio: flag("offer_audio"), video: flag("offer_video") }
        } else {
            let streams = bounded(fields, "streams", STREAM)?;
            Feeds::Streams(streams.map(|entry| SubscribeStream::parse(entry?)).collect::<Result<_, _>>()?)
        };
        Ok(JoinSubscriber {
            pin: fields.text("pin"),
            // A larger number is nobody's.
            private_id: fields.natural("private_id").and_then(|id| u32::try_from(id).ok()),
            use_msid: fields.flag("use_msid").unwrap_or(false),
            autoupdate: fields.flag("autoupdate").unwrap_or(true),
            feeds,
        })
    }
}

impl<'v> SubscribeStream<'v> {
    fn parse(entry: Fields<'v>) -> Result<SubscribeStream<'v>, RequestError> {
        check_layers(entry)?;
        let feed = entry.id("feed").map(FeedId).ok_or(FieldError::Missing("feed"))?;
        let (min_delay, max_delay) = (entry.integer("min_delay"), entry.integer("max_delay"));
        let (crossrefid, send) = (entry.text("crossrefid"), entry.flag("send").unwrap_or(true));
        Ok(SubscribeStream { feed, mid: parse_mid(entry, "mid")?, crossrefid, send, min_delay, max_delay })
    }

    fn parse_all(fields: Fields<'v>, name: &'static str) -> Result<Vec<SubscribeStream<'v>>, RequestError> {
        listed(fields, name, STREAM, "subscription")?.map(|entry| SubscribeStream::parse(entry?)).collect()
    }
}

/// `subscribe`, `unsubscribe` or `update`.
#[derive(Debug, Default)]
pub struct Update<'v> {
    /// What to add.
    pub subscribe: Vec<SubscribeStream<'v>>,
    /// What to take away, before that.
    pub unsubscribe: Vec<Unsubscribe>,
}

/// One entry of what to take away.
#[derive(Debug)]
pub struct Unsubscribe {
    /// Everything of this feed,
    pub feed: Option<FeedId>,
    /// or this m-line of it,
    pub mid: Option<Mid>,
    /// or what is on this m-line of the subscriber's own.
    pub sub_mid: Option<Mid>,
}

const UNSUBSCRIBE: &[Field] =
    &[Field::optional("feed", Kind::Id), Field::optional("mid", Kind::Text), Field::optional("sub_mid", Kind::Text)];

const STREAMS: &[Field] = &[Field::required("streams", Kind::Array)];

const UPDATE: &[Field] = &[Field::optional("subscribe", Kind::Array), Field::optional("unsubscribe", Kind::Array)];

impl<'v> Update<'v> {
    /// Reads a `subscribe`.
    pub fn parse_subscribe(body: Fields<'v>) -> Result<Update<'v>, RequestError> {
        let subscribe = SubscribeStream::parse_all(body.check(STREAMS)?, "streams")?;
        Ok(Update { subscribe, unsubscribe: Vec::new() })
    }

    /// Reads an `unsubscribe`.
    pub fn parse_unsubscribe(body: Fields<'v>) -> Result<Update<'v>, RequestError> {
        let unsubscribe = Unsubscribe::parse_all(body.check(STREAMS)?, "streams")?;
        Ok(Update { subscribe: Vec::new(), unsubscribe })
    }

    /// Reads an `update`, which has at least one of the two lists.
    pub fn parse(body: Fields<'v>) -> Result<Update<'v>, RequestError> {
        let fields = body.check(UPDATE)?;
        let mut update = Update::default();
        if fields.value("subscribe").is_some() {
            update.subscribe = SubscribeStream::parse_all(fields, "subscribe")?;
        }
        if fields.value("unsubscribe").is_some() {
            update.unsubscribe = Unsubscribe::parse_all(fields, "unsubscribe")?;
        }
        if update.subscribe.is_empty() && update.unsubscribe.is_empty() {
            return Err(RequestError::NothingToUpdate);
        }
        Ok(update)
    }
}

impl Unsubscribe {
    fn parse_all(fields: Fields<'_>, name: &'static str) -> Result<Vec<Unsubscribe>, RequestError> {
        listed(fields, name, UNSUBSCRIBE, "unsubscription")?.map(|entry| Unsubscribe::parse(entry?)).collect()
    }

    fn parse(entry: Fields<'_>) -> Result<Unsubscribe, RequestError> {
        let (mid, sub_mid) = (parse_mid(entry, "mid")?, parse_mid(entry, "sub_mid")?);
        Ok(Unsubscribe { feed: entry.id("feed").map(FeedId), mid, sub_mid })
    }
}

/// `switch`
#[derive(Debug)]
pub enum Switch {
    /// `streams`, at least one.
    Streams(Vec<SwitchStream>),
    /// `feed` with its flags.
    Legacy {
        feed: FeedId,
        /// Whether audio is switched.
        audio: bool,
        /// Whether video is switched.
        video: bool,
    },
}

/// One entry of a `switch`.
#[derive(Debug)]
pub struct SwitchStream {
    pub feed: FeedId,
    /// Which m-line of the feed.
    pub mid: Mid,
    /// The subscriber's own m-line.
    pub sub_mid: Mid,
}

const SWITCH: &[Field] = &[
    Field::optional("streams", Kind::Array),
    Field::optional("feed", Kind::Id),
    Field::optional("audio", Kind::Flag),
    Field::optional("video", Kind::Flag),
    Field::optional("data", Kind::Flag),
];

const SWITCH_STREAM: &[Field] = &[
    Field::required("mid", Kind::Text),
    Field::required("sub_mid", Kind::Text),
    Field::required("feed", Kind::Id),
    Field::optional("substream", Kind::Natural),
    Field::optional("temporal", Kind::Natural),
    Field::optional("spatial_layer", Kind::Natural),
    Field::optional("temporal_layer", Kind::Natural),
];

impl Switch {
    /// Reads a `switch`.
    pub fn parse(body: Fields<'_>) -> Result<Switch, RequestError> {
        let fields = body.check(SWITCH)?;
        let mut entries = bounded(fields, "streams", SWITCH_STREAM)?.peekable();
        if entries.peek().is_some() {
            return Ok(Switch::Streams(entries.map(|entry| SwitchStream::parse(entry?)).collect::<Result<_, _>>()?));
        }
        // Janus takes a number that is not given for 0, which is nobody's.
        let nobody = || (fields.ids() == Ids::Numbers).then_some(Name::Number(0));
        let feed = fields.id("feed").or_else(nobody).map(FeedId).ok_or(FieldError::Missing("feed"))?;
        let flag = |name| fields.flag(name).unwrap_or(true);
        Ok(Switch::Legacy { feed, audio: flag("audio"), video: flag("video") })
    }
}

impl SwitchStream {
    fn parse(entry: Fields<'_>) -> Result<SwitchStream, RequestError> {
        let feed = entry.id("feed").map(FeedId).ok_or(FieldError::Missing("feed"))?;
        let mid = parse_mid(entry, "mid")?.ok_or(FieldError::Missing("mid"))?;
        let sub_mid = parse_mid(entry, "sub_mid")?.ok_or(FieldError::Missing("sub_mid"))?;
        Ok(SwitchStream { feed, mid, sub_mid })
    }
}

/// The entries of a list that must have some; `of` says of what it is one.
fn listed<'v>(
    fields: Fields<'v>,
    name: &'static str,
    table: &'static [Field],
    of: &'static str,
) -> Result<impl Iterator<Item = Result<Fields<'v>, FieldError>>, RequestError> {
    let mut entries = bounded(fields, name, table)?.peekable();
    if entries.peek().is_none() { Err(RequestError::Empty(of)) } else { Ok(entries) }
}

/// `configure` of a subscriber.
#[derive(Debug)]
#[allow(missing_docs, reason = "the names are the keys")]
pub struct ConfigureSubscriber {
    pub streams: Vec<ConfigureStream>,
    pub audio: Option<bool>,
    pub video: Option<bool>,
    pub restart: bool,
    pub update: bool,
}

const CONFIGURE: &[Field] = &[
    Field::optional("streams", Kind::Array),
    Field::optional("mid", Kind::Text),
    Field::optional("send", Kind::Flag),
    Field::optional("audio", Kind::Flag),
    Field::optional("video", Kind::Flag),
    Field::optional("data", Kind::Flag),
    Field::optional("substream", Kind::Natural),
    Field::optional("temporal", Kind::Natural),
    Field::optional("fallback", Kind::Natural),
    Field::optional("spatial_layer", Kind::Natural),
    Field::optional("temporal_layer", Kind::Natural),
    Field::optional("min_delay", Kind::Integer),
    Field::optional("max_delay", Kind::Integer),
    Field::optional("restart", Kind::Flag),
    Field::optional("update", Kind::Flag),
];

impl ConfigureSubscriber {
    /// Reads the elements of a subscriber's `configure`.
    pub fn parse(body: Fields<'_>) -> Result<ConfigureSubscriber, RequestError> {
        let fields = body.check(CONFIGURE)?;
        let streams = ConfigureStream::parse_all(fields, check_layers)?;
        let whole = streams.iter().all(|stream| stream.mid.is_none());
        Ok(ConfigureSubscriber {
            streams,
            audio: fields.flag("audio").filter(|_| whole),
            video: fields.flag("video").filter(|_| whole),
            restart: fields.flag("restart").unwrap_or(false),
            update: fields.flag("update").unwrap_or(false),
        })
    }
}

/// `attached`
#[derive(Debug, Serialize)]
pub struct Attached<'a> {
    /// `attached`
    pub videoroom: &'static str,
    pub room: Id<'a>,
    /// The subscriber's m-lines.
    pub streams: Vec<Subscription<'a>>,
    /// Only in the legacy form.
    #[serde(flatten)]
    pub legacy: Option<Legacy<'a>>,
}

/// What the legacy form adds to `attached`.
#[derive(Debug, Serialize)]
pub struct Legacy<'a> {
    pub id: Id<'a>,
    /// Its name to show.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display: Option<&'a str>,
    /// What else it shows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Object<'a>>,
    /// `deprecated_api`
    pub warning: &'static str,
}

/// `switched: "ok"`
#[derive(Debug, Serialize)]
pub struct Switched<'a> {
    /// `event`
    pub videoroom: &'static str,
    pub room: Id<'a>,
    /// `ok`
    pub switched: &'static str,
    /// M-lines that have another source now.
    pub changes: usize,
    pub streams: Vec<Subscription<'a>>,
}

/// One m-line of a subscriber.
#[derive(Debug, Serialize)]
#[allow(missing_docs, reason = "the names are the keys")]
pub struct Subscription<'a> {
    #[serde(rename = "type")]
    pub kind: &'static str,
    pub active: bool,
    pub mindex: usize,
    pub mid: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crossrefid: Option<&'a str>,
    pub ready: bool,
    pub send: bool,
    #[serde(flatten)]
    pub source: Option<Source<'a>>,
}

/// Where the media of a subscriber's m-line come from.
#[derive(Debug, Serialize)]
#[allow(missing_docs, reason = "the names are the keys")]
pub struct Source<'a> {
    pub feed_id: Id<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub feed_display: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub feed_metadata: Option<Object<'a>>,
    pub feed_mid: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub feed_description: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub codec: Option<&'static str>,
    #[serde(rename = "h264-profile", skip_serializing_if = "Option::is_none")]
    pub h264_profile: Option<&'a str>,
    #[serde(rename = "vp9-profile", skip_serializing_if = "Option::is_none")]
    pub vp9_profile: Option<&'a str>,
    #[serde(rename = "playout-delay", skip_serializing_if = "Option::is_none")]
    pub playout_delay: Option<PlayoutDelay>,
}

/// What the subscriber asked for, in units of 10 ms.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs, reason = "the names are the keys")]
pub struct PlayoutDelay {
    pub min_delay: u16,
    pub max_delay: u16,
}
