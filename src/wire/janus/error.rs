//! What the core refuses, with Janus' codes and texts in one place. The plugin's own refusals are in `videoroom`.

use std::fmt;

use super::document::DocumentError;
use super::field::FieldError;
use crate::id::{HandleId, SessionId};

/// Why a request ends in `"janus":"error"`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CoreError {
    Unauthorized,
    /// 405; carries the plugin.
    TokenDenied(Box<str>),
    /// 450: an HTTP method that carries no request.
    Method,
    UnknownVerb(Box<str>),
    /// 454: the message is not JSON.
    Syntax(DocumentError),
    /// 454 over HTTP, with the line.
    SyntaxOnLine(usize, DocumentError),
    /// 454: `trickle` with both forms.
    BothCandidateForms,
    /// 455: the document is not an object.
    NotAnObject,
    JsepNotAnObject,
    /// 456 or 467
    Field(FieldError),
    /// 456 or 467 inside `jsep`.
    JsepField(FieldError),
    /// 456 or 467 inside the `candidate` of a `trickle`.
    TrickleField(FieldError),
    /// 456: `trickle` without either form.
    NoCandidate,
    /// 456: a candidate that names no m-line.
    NoCandidateLine,
    /// 457: the verb is for another scope.
    Unhandled(Box<str>),
    /// 457: the path names another session than the message.
    ConflictingSession,
    /// 457: the path names another handle than the message.
    ConflictingHandle,
    NoSuchSession(SessionId),
    NoSuchHandle(HandleId, SessionId),
    NoSuchPlugin(Box<str>),
    /// 460: what an operator names is not there: a plugin, transport, event handler or logger.
    NoSuch(&'static str),
    JsepType(Box<str>),
    /// 465; carries what is wrong with it.
    Sdp(Box<str>),
    /// 467: an element with a value that cannot be, and what it should be.
    Element(&'static str, &'static str),
    /// 467: a token cannot be given these.
    InvalidPlugins,
    SessionTaken,
    UnexpectedAnswer,
    /// 469: another certificate on the ICE credentials of the last one.
    CertificateChanged,
    NoSuchToken(Box<str>),
    /// 472: the server is draining, or an operator has said so.
    NotAccepting,
    /// 490: a bound of ours is reached; carries the setting.
    Exhausted(&'static str),
    /// 490: packets are captured nowhere.
    NoCaptureFolder,
    /// 490: a capture cannot begin or end; carries why.
    Capture(Box<str>),
    /// 490: an answer of about so many bytes is more than its connection takes.
    TooLong(usize),
    /// 490: tokens are not kept in a table here.
    NoStoredTokens,
    /// 490: a verb of Janus' that has no meaning here; carries the verb and why.
    Unavailable(&'static str, &'static str),
    /// 490: shards did not answer an operator in time, so that not all have heard.
    Incomplete,
    /// 490: an HTTP request has waited for too long.
    NotAnswered,
    /// 490: the lane to the session's signalling shard is full.
    Busy,
}

impl CoreError {
    /// The `code`.
    pub fn code(&self) -> u16 {
        match self {
            CoreError::Unauthorized => 403,
            CoreError::TokenDenied(_) => 405,
            CoreError::UnknownVerb(_) => 453,
            CoreError::Method => 450,
            CoreError::Syntax(_) | CoreError::SyntaxOnLine(..) | CoreError::BothCandidateForms => 454,
            CoreError::NotAnObject | CoreError::JsepNotAnObject => 455,
            CoreError::Field(FieldError::Missing(_))
            | CoreError::JsepField(FieldError::Missing(_))
            | CoreError::TrickleField(FieldError::Missing(_)) => 456,
            CoreError::NoCandidate | CoreError::NoCandidateLine => 456,
            CoreError::Field(_) | CoreError::JsepField(_) | CoreError::TrickleField(_) => 467,
            CoreError::Element(..) | CoreError::InvalidPlugins => 467,
            CoreError::Unhandled(_) | CoreError::ConflictingSession | CoreError::ConflictingHandle => 457,
            CoreError::NoSuchSession(_) => 458,
            CoreError::NoSuchHandle(..) => 459,
            CoreError::NoSuchPlugin(_) | CoreError::NoSuch(_) => 460,
            CoreError::JsepType(_) => 464,
            CoreError::Sdp(_) => 465,
            CoreError::SessionTaken => 468,
            CoreError::UnexpectedAnswer | CoreError::CertificateChanged => 469,
            CoreError::NoSuchToken(_) => 470,
            CoreError::NotAccepting => 472,
            CoreError::Exhausted(_)
            | CoreError::NoCaptureFolder
            | CoreError::Capture(_)
            | CoreError::TooLong(_)
            | CoreError::NoStoredTokens
            | CoreError::Unavailable(..)
            | CoreError::Incomplete
            | CoreError::NotAnswered
            | CoreError::Busy => 490,
        }
    }
}

impl fmt::Display for CoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CoreError::Unauthorized => f.write_str("Unauthorized request (wrong or missing secret/token)"),
            CoreError::TokenDenied(plugin) => write!(f, "Provided token can't access plugin '{plugin}'"),
            CoreError::UnknownVerb(verb) => write!(f, "Unknown request '{verb}'"),
            CoreError::Syntax(error) => write!(f, "Invalid Janus API request - {error}"),
            CoreError::SyntaxOnLine(line, error) => write!(f, "JSON error: on line {line}: {error}"),
            CoreError::Method => f.write_str("Unsupported method (use GET, POST or OPTIONS)"),
            CoreError::BothCandidateForms => f.write_str("Can't have both candidate and candidates"),
            CoreError::NotAnObject => f.write_str("Invalid request (not an object)"),
            CoreError::JsepNotAnObject => f.write_str("Invalid jsep object"),
            CoreError::Field(error) => error.fmt(f),
            CoreError::JsepField(error) => write!(f, "JSEP error: {}", error.clause()),
            CoreError::TrickleField(error) => write!(f, "Trickle error: {}", error.clause()),
            CoreError::NoCandidate => f.write_str("Missing mandatory element (candidate|candidates)"),
            CoreError::NoCandidateLine => {
                f.write_str("Trickle error: missing mandatory element (sdpMid or sdpMLineIndex)")
            }
            CoreError::Unhandled(verb) => write!(f, "Unhandled request '{verb}' at this path"),
            CoreError::ConflictingSession => f.write_str("Conflicting session ID (payload and path)"),
            CoreError::ConflictingHandle => f.write_str("Conflicting handle ID (payload and path)"),
            CoreError::NoSuchSession(SessionId(0)) => f.write_str("Session not found"),
            CoreError::NoSuchSession(session) => write!(f, "No such session {}", session.0),
            CoreError::NoSuchHandle(HandleId(0), _) => f.write_str("Handle not found"),
            CoreError::NoSuchHandle(handle, session) => {
                write!(f, "No such handle {} in session {}", handle.0, session.0)
            }
            CoreError::NoSuchPlugin(plugin) => write!(f, "No such plugin '{plugin}'"),
            CoreError::NoSuch(kind) => write!(f, "Invalid {kind}"),
            CoreError::Element(name, should) => write!(f, "Invalid element type ({name} should be {should})"),
            CoreError::InvalidPlugins => f.write_str("Invalid element type (some of the provided plugins are invalid)"),
            CoreError::NoSuchToken(token) => write!(f, "Token {token} not found"),
            CoreError::NotAccepting => f.write_str("Currently not accepting new sessions"),
            CoreError::TooLong(bytes) => {
                write!(f, "The answer has some {bytes} bytes, which is more than this connection takes now")
            }
            CoreError::NoStoredTokens => f.write_str("Stored-Token based authentication disabled"),
            CoreError::NoCaptureFolder => f.write_str("Packets are captured nowhere (--capture-folder names a folder)"),
            CoreError::Capture(why) => f.write_str(why),
            CoreError::Unavailable(verb, why) => write!(f, "Not available here: {verb} ({why})"),
            CoreError::Incomplete => f.write_str("Not every shard has answered in time, try again"),
            CoreError::JsepType(kind) => write!(f, "JSEP error: unknown message type '{kind}'"),
            CoreError::Sdp(error) => f.write_str(error),
            CoreError::SessionTaken => f.write_str("Session ID already in use"),
            CoreError::CertificateChanged => {
                f.write_str("Error processing SDP: a new certificate needs new ICE credentials (RFC 8842)")
            }
            CoreError::UnexpectedAnswer => f.write_str("Unexpected answer (no offer of ours is open)"),
            CoreError::NotAnswered => f.write_str("The request was not answered in time"),
            CoreError::Exhausted(bound) => write!(f, "Out of resources ({bound})"),
            CoreError::Busy => f.write_str("The signalling shard of this session is busy, try again"),
        }
    }
}

impl std::error::Error for CoreError {}

impl From<FieldError> for CoreError {
    fn from(error: FieldError) -> CoreError {
        CoreError::Field(error)
    }
}
