//! What needs the room's secret, beside ending the room: `edit`, `allowed`, `kick`, `moderate`, `enable_recording`. What
//! is about forwarders is in `forward` and `remote`.

use serde::Serialize;

use super::error::RequestError;
use super::forward::{Forward, StopForward};
use super::publisher::parse_mid;
use super::remote::{PublishRemotely, RemotePublisher};
use super::request::Request;
use super::room::{filled, required_room, small, strings};
use super::{Id, forward, remote};
use crate::id::{FeedId, RoomId};
use crate::wire::janus::field::{Field, FieldError, Fields, Kind};
use crate::wire::sdp::Mid;

/// One of these requests.
#[derive(Debug)]
pub struct Administration<'v> {
    pub room: RoomId,
    /// Needed when the room has one.
    pub secret: Option<&'v str>,
    /// What to do.
    pub deed: Action<'v>,
}

/// What to do with a room.
#[derive(Debug)]
pub enum Action<'v> {
    /// `edit`
    Edit(Edit<'v>),
    /// `allowed`
    Allow(Allow<'v>),
    /// `kick`
    Kick(FeedId),
    /// `moderate`
    Moderate {
        feed: FeedId,
        mid: Mid,
        /// No more, or again?
        mute: bool,
    },
    /// `enable_recording`
    Record(bool),
    /// `listforwarders`
    ListForwarders,
    /// `rtp_forward`
    Forward(Forward<'v>),
    /// `stop_rtp_forward`
    StopForward(StopForward),
    /// `publish_remotely`
    Remotize(PublishRemotely<'v>),
    /// `unpublish_remotely`
    Unremotize(FeedId, &'v str),
    /// `listremotes`
    ListRemotes(FeedId),
    /// `add_remote_publisher`
    AddRemote(RemotePublisher<'v>),
    /// `update_remote_publisher`
    UpdateRemote(RemotePublisher<'v>),
    /// `remove_remote_publisher`
    RemoveRemote(FeedId),
}

impl<'v> Administration<'v> {
    /// Reads one of the requests that [`Request::is_administration`] names, of which [`check`] has found nothing wrong.
    pub fn parse(request: Request, fields: Fields<'v>) -> Result<Administration<'v>, RequestError> {
        let deed = match request {
            Request::Edit => Action::Edit(Edit::parse(fields)?),
            Request::Allowed => Action::Allow(Allow::parse(fields)?),
            Request::Kick => Action::Kick(required_feed(fields, "id")?),
            Request::Moderate => parse_moderate(fields)?,
            Request::EnableRecording => Action::Record(fields.flag("record").ok_or(FieldError::Missing("record"))?),
            Request::ListForwarders => Action::ListForwarders,
            Request::RtpForward => Action::Forward(Forward::parse(fields)?),
            Request::StopRtpForward => Action::StopForward(StopForward::parse(fields)?),
            Request::PublishRemotely => Action::Remotize(PublishRemotely::parse(fields)?),
            Request::UnpublishRemotely => {
                let (feed, remote_id) = remote::parse_unpublish(fields)?;
                Action::Unremotize(feed, remote_id)
            }
            Request::AddRemotePublisher => Action::AddRemote(RemotePublisher::parse(fields)?),
            Request::UpdateRemotePublisher => Action::UpdateRemote(RemotePublisher::parse_update(fields)?),
            Request::RemoveRemotePublisher => Action::RemoveRemote(required_feed(fields, "id")?),
            Request::ListRemotes => Action::ListRemotes(required_feed(fields, "publisher_id")?),
            other => return Err(RequestError::Unknown(other.name().into())),
        };
        Ok(Administration { room: required_room(fields)?, secret: secret(fields), deed })
    }
}

/// Checks the elements of one of these requests in Janus' order, in which each has the room at a place of its own. It comes
/// before everything else: the admin key, what lists hold, the room and its secret.
pub fn check(request: Request, body: Fields<'_>) -> Result<Fields<'_>, RequestError> {
    let table = match request {
        Request::Edit => EDIT,
        Request::Allowed => ALLOWED,
        Request::Kick => KICK,
        Request::Moderate => MODERATE,
        Request::EnableRecording => RECORD,
        Request::ListForwarders => LIST_FORWARDERS,
        Request::RtpForward => forward::FORWARD,
        Request::StopRtpForward => forward::STOP_FORWARD,
        Request::PublishRemotely => remote::PUBLISH_REMOTELY,
        Request::UnpublishRemotely => remote::UNPUBLISH_REMOTELY,
        Request::AddRemotePublisher => remote::ADD,
        Request::UpdateRemotePublisher => remote::UPDATE,
        Request::RemoveRemotePublisher => remote::REMOVE,
        Request::ListRemotes => remote::LIST_REMOTES,
        _ => &[],
    };
    Ok(body.check(table)?)
}

/// The room's secret as it was given. Its type matters only to a room that has one, and to that one it is missing then.
pub fn secret(fields: Fields<'_>) -> Option<&str> {
    filled(fields.text("secret"))
}

/// `edit`: what is absent stays, and so does what is given empty.
#[derive(Debug)]
#[allow(missing_docs, reason = "the names are the keys behind `new_`")]
pub struct Edit<'v> {
    pub description: Option<&'v str>,
    pub secret: Option<&'v str>,
    pub pin: Option<&'v str>,
    pub is_private: Option<bool>,
    pub require_pvtid: Option<bool>,
    pub bitrate: Option<u64>,
    pub fir_freq: Option<u32>,
    pub publishers: Option<usize>,
    pub permanent: bool,
}

const EDIT: &[Field] = &[
    Field::required("room", Kind::Id),
    Field::optional("new_description", Kind::Description),
    Field::optional("new_is_private", Kind::Flag),
    Field::optional("new_secret", Kind::Label),
    Field::optional("new_pin", Kind::Label),
    Field::optional("new_require_pvtid", Kind::Flag),
    Field::optional("new_bitrate", Kind::Natural),
    Field::optional("new_fir_freq", Kind::Natural),
    Field::optional("new_publishers", Kind::Natural),
    // Of recordings, of which there are none.
    Field::optional("new_lock_record", Kind::Flag),
    Field::optional("new_rec_dir", Kind::Text),
    Field::optional("permanent", Kind::Flag),
];

impl<'v> Edit<'v> {
    fn parse(fields: Fields<'v>) -> Result<Edit<'v>, RequestError> {
        Ok(Edit {
            description: filled(fields.text("new_description")),
            secret: filled(fields.text("new_secret")),
            pin: filled(fields.text("new_pin")),
            is_private: fields.flag("new_is_private"),
            require_pvtid: fields.flag("new_require_pvtid"),
            bitrate: fields.natural("new_bitrate"),
            fir_freq: small(fields, "new_fir_freq")?,
            publishers: small(fields, "new_publishers")?,
            permanent: fields.flag("permanent").unwrap_or(false),
        })
    }
}

/// `allowed`, by its `action`.
#[derive(Debug)]
pub enum Allow<'v> {
    /// `enable`
    Enable,
    /// `disable`
    Disable,
    /// `add`
    Add(Vec<&'v str>),
    /// `remove`
    Remove(Vec<&'v str>),
    /// One of these with something in the list that is no string.
    Unreadable,
}

const ALLOWED: &[Field] = &[
    Field::required("room", Kind::Id),
    Field::required("action", Kind::Text),
    Field::optional("allowed", Kind::Array),
];

impl<'v> Allow<'v> {
    fn parse(fields: Fields<'v>) -> Result<Allow<'v>, RequestError> {
        let tokens = strings(fields, "allowed").map(Option::unwrap_or_default);
        let action = fields.text("action").unwrap_or_default();
        Ok(match &*action.to_ascii_lowercase() {
            "enable" => Allow::Enable,
            "disable" => Allow::Disable,
            "add" => tokens.map_or(Allow::Unreadable, Allow::Add),
            "remove" => tokens.map_or(Allow::Unreadable, Allow::Remove),
            _ => return Err(RequestError::Action(action.into())),
        })
    }
}

const KICK: &[Field] = &[Field::required("id", Kind::Id), Field::required("room", Kind::Id)];

const MODERATE: &[Field] = &[
    Field::required("id", Kind::Id),
    Field::required("mid", Kind::Text),
    Field::required("mute", Kind::Flag),
    Field::required("room", Kind::Id),
];

fn parse_moderate<'v>(fields: Fields<'v>) -> Result<Action<'v>, RequestError> {
    let mid = parse_mid(fields, "mid")?.ok_or(FieldError::Missing("mid"))?;
    let mute = fields.flag("mute").ok_or(FieldError::Missing("mute"))?;
    Ok(Action::Moderate { feed: required_feed(fields, "id")?, mid, mute })
}

const RECORD: &[Field] = &[Field::required("record", Kind::Flag), Field::required("room", Kind::Id)];

const LIST_FORWARDERS: &[Field] = &[Field::required("room", Kind::Id)];

fn required_feed(fields: Fields<'_>, name: &'static str) -> Result<FeedId, RequestError> {
    fields.id(name).map(FeedId).ok_or(RequestError::Field(FieldError::Missing(name)))
}

/// The answer to `allowed`.
#[derive(Debug, Serialize)]
pub struct Allowed<'a> {
    /// `success`
    pub videoroom: &'static str,
    pub room: Id<'a>,
    /// The tokens; not after `disable`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allowed: Option<&'a [Box<str>]>,
}

/// The answer to `kick` and `moderate`.
#[derive(Debug, Serialize)]
pub struct Done {
    /// `success`
    pub videoroom: &'static str,
}

/// The answer to `enable_recording`.
#[derive(Debug, Serialize)]
pub struct Recording {
    /// `success`
    pub videoroom: &'static str,
    /// Whether there is one.
    pub record: bool,
}
