//! What makes a publisher of this server one of another's: `publish_remotely`, `unpublish_remotely`, `listremotes`; and of
//! another's one of ours: `add_remote_publisher`, `update_remote_publisher`, `remove_remote_publisher`.

use serde::Serialize;

use super::Id;
use super::error::RequestError;
use super::forward::{Host, Srtp, family, port, srtp};
use super::publisher::{bounded, metadata, parse_mid};
use super::room::small;
use crate::id::FeedId;
use crate::wire::janus::field::{Field, FieldError, Fields, Kind};
use crate::wire::sdp::Mid;

/// `publish_remotely`
#[derive(Debug)]
pub struct PublishRemotely<'v> {
    pub feed: FeedId,
    /// What this is called.
    pub remote_id: &'v str,
    /// The other server.
    pub host: Host<'v>,
    /// Its port of media.
    pub port: u16,
    /// Its port of RTCP.
    pub rtcp_port: Option<u16>,
    /// To be sealed.
    pub srtp: Option<Srtp>,
}

pub(super) const PUBLISH_REMOTELY: &[Field] = &[
    Field::required("remote_id", Kind::Line),
    Field::required("host", Kind::Text),
    Field::optional("host_family", Kind::Text),
    Field::required("port", Kind::Natural),
    Field::optional("rtcp_port", Kind::Natural),
    Field::optional("srtp_suite", Kind::Natural),
    Field::optional("srtp_crypto", Kind::Text),
    Field::required("room", Kind::Id),
    Field::required("publisher_id", Kind::Id),
];

impl<'v> PublishRemotely<'v> {
    /// Reads a `publish_remotely` whose elements are of their types.
    pub fn parse(fields: Fields<'v>) -> Result<PublishRemotely<'v>, RequestError> {
        if fields.natural("port") == Some(0) {
            return Err(RequestError::ZeroPort);
        }
        Ok(PublishRemotely {
            feed: publisher(fields)?,
            remote_id: fields.text("remote_id").unwrap_or_default(),
            host: Host { name: fields.text("host").unwrap_or_default(), family: family(fields)? },
            port: port(fields, "port")?.ok_or(FieldError::Missing("port"))?,
            rtcp_port: port(fields, "rtcp_port")?,
            srtp: srtp(fields)?,
        })
    }
}

pub(super) const UNPUBLISH_REMOTELY: &[Field] = &[
    Field::required("remote_id", Kind::Line),
    Field::required("room", Kind::Id),
    Field::required("publisher_id", Kind::Id),
];

/// Reads an `unpublish_remotely` whose elements are of their types: whom, and what it is called.
pub fn parse_unpublish(fields: Fields<'_>) -> Result<(FeedId, &str), RequestError> {
    Ok((publisher(fields)?, fields.text("remote_id").unwrap_or_default()))
}

pub(super) const LIST_REMOTES: &[Field] =
    &[Field::required("room", Kind::Id), Field::required("publisher_id", Kind::Id)];

fn publisher(fields: Fields<'_>) -> Result<FeedId, RequestError> {
    fields.id("publisher_id").map(FeedId).ok_or(FieldError::Missing("publisher_id").into())
}

/// `add_remote_publisher` and `update_remote_publisher`
#[derive(Debug)]
pub struct RemotePublisher<'v> {
    /// Its id here.
    pub id: Option<FeedId>,
    /// Name to show.
    pub display: Option<&'v str>,
    /// What else to show: an object as text.
    pub metadata: Option<String>,
    /// Where its media are to come.
    pub port: Option<u16>,
    /// What they are sealed with.
    pub srtp: Option<Srtp>,
    pub streams: Vec<RemoteLine<'v>>,
}

/// A line as `configured` and `publishers` show it.
#[derive(Debug)]
#[allow(missing_docs, reason = "the names are the keys")]
pub struct RemoteLine<'v> {
    pub mid: Mid,
    pub mindex: usize,
    pub kind: &'v str,
    pub codec: Option<&'v str>,
    pub description: Option<&'v str>,
    pub disabled: bool,
    pub stereo: bool,
    pub fec: bool,
    pub dtx: bool,
    pub h264_profile: Option<&'v str>,
    pub vp9_profile: Option<&'v str>,
    pub audiolevel_ext_id: Option<u8>,
    pub videoorient_ext_id: Option<u8>,
    pub playoutdelay_ext_id: Option<u8>,
}

pub(super) const ADD: &[Field] = &[
    Field::optional("id", Kind::Id),
    Field::optional("display", Kind::Label),
    Field::optional("metadata", Kind::Object),
    Field::optional("mcast", Kind::Text),
    Field::optional("iface", Kind::Text),
    Field::optional("port", Kind::Natural),
    Field::optional("rtcp_port", Kind::Natural),
    Field::optional("srtp_suite", Kind::Natural),
    Field::optional("srtp_crypto", Kind::Text),
    Field::required("streams", Kind::Array),
    Field::required("room", Kind::Id),
];

pub(super) const UPDATE: &[Field] = &[
    Field::required("id", Kind::Id),
    Field::optional("display", Kind::Label),
    Field::optional("metadata", Kind::Object),
    Field::required("streams", Kind::Array),
    Field::required("room", Kind::Id),
];

pub(super) const REMOVE: &[Field] = &[Field::required("id", Kind::Id), Field::required("room", Kind::Id)];

const LINE: &[Field] = &[
    Field::required("type", Kind::Text),
    Field::required("mindex", Kind::Natural),
    Field::required("mid", Kind::Text),
    Field::optional("codec", Kind::Text),
    Field::optional("description", Kind::Description),
    Field::optional("disabled", Kind::Flag),
    Field::optional("stereo", Kind::Flag),
    Field::optional("fec", Kind::Flag),
    Field::optional("dtx", Kind::Flag),
    Field::optional("h264_profile", Kind::Label),
    Field::optional("vp9_profile", Kind::Label),
    Field::optional("simulcast", Kind::Flag),
    Field::optional("svc", Kind::Flag),
    Field::optional("audiolevel_ext_id", Kind::Natural),
    Field::optional("videoorient_ext_id", Kind::Natural),
    Field::optional("playoutdelay_ext_id", Kind::Natural),
];

impl<'v> RemotePublisher<'v> {
    /// Reads an `add_remote_publisher` whose elements are of their types. What its lines say is checked before what this
    /// server does not take.
    pub fn parse(fields: Fields<'v>) -> Result<RemotePublisher<'v>, RequestError> {
        if fields.array("streams").unwrap_or_default().is_empty() {
            return Err(RequestError::NoStreams);
        }
        let streams = lines(fields)?;
        for refused in ["mcast", "iface"] {
            if fields.value(refused).is_some() {
                return Err(RequestError::Unsupported(refused));
            }
        }
        let media = port(fields, "port")?;
        // RTCP comes to the port of media.
        if port(fields, "rtcp_port")?.is_some_and(|rtcp| Some(rtcp) != media) {
            return Err(RequestError::Unsupported("rtcp_port"));
        }
        let srtp = srtp(fields)?;
        Ok(RemotePublisher { port: media, srtp, streams, ..RemotePublisher::shown(fields)? })
    }

    /// Reads an `update_remote_publisher` whose elements are of their types.
    pub fn parse_update(fields: Fields<'v>) -> Result<RemotePublisher<'v>, RequestError> {
        let streams = lines(fields)?;
        for refused in ["srtp_suite", "srtp_crypto"] {
            if fields.value(refused).is_some() {
                return Err(RequestError::Unsupported(refused));
            }
        }
        Ok(RemotePublisher { streams, ..RemotePublisher::shown(fields)? })
    }

    fn shown(fields: Fields<'v>) -> Result<RemotePublisher<'v>, RequestError> {
        Ok(RemotePublisher {
            id: fields.id("id").map(FeedId),
            display: fields.text("display"),
            metadata: metadata(fields)?,
            port: None,
            srtp: None,
            streams: Vec::new(),
        })
    }
}

fn lines(fields: Fields<'_>) -> Result<Vec<RemoteLine<'_>>, RequestError> {
    bounded(fields, "streams", LINE)?.map(|entry| line(entry?)).collect()
}

fn line(entry: Fields<'_>) -> Result<RemoteLine<'_>, RequestError> {
    let kind = entry.text("type").filter(|kind| ["audio", "video", "data"].contains(kind));
    let kind = kind.ok_or(RequestError::StreamType)?;
    // A publisher shows no codec of a disabled line; Janus wants one here all the same, so that what it shows cannot be pasted.
    if kind != "data" && entry.text("codec").is_none() && entry.flag("disabled") != Some(true) {
        return Err(FieldError::Missing("codec").into());
    }
    let flag = |name| entry.flag(name).unwrap_or(false);
    // RFC 8285 §4.3: an id is 1 ..= 255; 0 is none.
    let extension = |name| small::<u8>(entry, name).map(|id| id.filter(|id| *id > 0));
    Ok(RemoteLine {
        mid: parse_mid(entry, "mid")?.ok_or(FieldError::Missing("mid"))?,
        mindex: small(entry, "mindex")?.ok_or(FieldError::Missing("mindex"))?,
        kind,
        codec: entry.text("codec"),
        description: entry.text("description"),
        disabled: flag("disabled"),
        stereo: flag("stereo"),
        fec: flag("fec"),
        dtx: flag("dtx"),
        h264_profile: entry.text("h264_profile"),
        vp9_profile: entry.text("vp9_profile"),
        audiolevel_ext_id: extension("audiolevel_ext_id")?,
        videoorient_ext_id: extension("videoorient_ext_id")?,
        playoutdelay_ext_id: extension("playoutdelay_ext_id")?,
    })
}

/// The answer to `add_remote_publisher`.
#[derive(Debug, Serialize)]
#[allow(missing_docs, reason = "the names are the keys")]
pub struct RemoteAdded<'a> {
    pub videoroom: &'static str,
    pub room: Id<'a>,
    pub id: Id<'a>,
    pub port: u16,
    pub rtcp_port: u16,
}

/// The answers about what is shown elsewhere.
#[derive(Debug, Serialize)]
pub struct Remotized<'a> {
    /// `success`
    pub videoroom: &'static str,
    pub room: Id<'a>,
    pub id: Id<'a>,
    /// To `publish_remotely`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote_id: Option<&'a str>,
    /// To `listremotes`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub list: Option<Vec<Remote<'a>>>,
}

/// One entry of `listremotes`.
#[derive(Debug, Serialize)]
#[allow(missing_docs, reason = "the names are the keys")]
pub struct Remote<'a> {
    pub remote_id: &'a str,
    pub host: String,
    pub port: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rtcp_port: Option<u16>,
}
