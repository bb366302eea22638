//! What makes a publisher of this server one of another's: `publish_remotely`, `unpublish_remotely` and `listremotes`.

use serde::Serialize;

use super::Id;
use super::error::RequestError;
use super::forward::{Host, Srtp, family, port, srtp};
use crate::id::FeedId;
use crate::wire::janus::field::{Field, FieldError, Fields, Kind};

/// `publish_remotely`
#[derive(Debug)]
pub struct PublishRemotely<'v> {
    /// Whom.
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

const PUBLISH_REMOTELY: &[Field] = &[
    Field::required("remote_id", Kind::Label),
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
    /// Reads a `publish_remotely`.
    pub fn parse(body: Fields<'v>) -> Result<PublishRemotely<'v>, RequestError> {
        let fields = body.check(PUBLISH_REMOTELY)?;
        Ok(PublishRemotely {
            feed: publisher(fields)?,
            remote_id: fields.text("remote_id").unwrap_or_default(),
            host: Host { name: fields.text("host").unwrap_or_default(), family: family(fields)? },
            port: port(fields, "port")?.ok_or(RequestError::Value("port must be a non-zero positive integer"))?,
            rtcp_port: port(fields, "rtcp_port")?,
            srtp: srtp(fields)?,
        })
    }
}

const UNPUBLISH_REMOTELY: &[Field] = &[
    Field::required("remote_id", Kind::Label),
    Field::required("room", Kind::Id),
    Field::required("publisher_id", Kind::Id),
];

/// Reads an `unpublish_remotely`: whom, and what it is called.
pub fn parse_unpublish(body: Fields<'_>) -> Result<(FeedId, &str), RequestError> {
    let fields = body.check(UNPUBLISH_REMOTELY)?;
    Ok((publisher(fields)?, fields.text("remote_id").unwrap_or_default()))
}

const LIST_REMOTES: &[Field] = &[Field::required("room", Kind::Id), Field::required("publisher_id", Kind::Id)];

/// Reads a `listremotes`: whose.
pub fn parse_list(body: Fields<'_>) -> Result<FeedId, RequestError> {
    publisher(body.check(LIST_REMOTES)?)
}

fn publisher(fields: Fields<'_>) -> Result<FeedId, RequestError> {
    fields.id("publisher_id").map(FeedId).ok_or(FieldError::Missing("publisher_id").into())
}

/// The answers.
#[derive(Debug, Serialize)]
pub struct Remotized<'a> {
    /// `success`
    pub videoroom: &'static str,
    /// Which room.
    pub room: Id<'a>,
    /// Whose.
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
