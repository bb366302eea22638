//! Why a VideoRoom request fails, whoever refuses it: its shape, the room, or the way between.

use std::fmt;

use super::json::error::RequestError;
use super::target::TargetError;
use crate::control::error::RoomError;
use crate::wire::janus::field::FieldError;

/// One refusal with its VideoRoom code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PluginError {
    /// The shape of the request.
    Request(RequestError),
    /// The room's rules.
    Room(RoomError),
    /// Where it is to be sent.
    Target(TargetError),
    JoinFirst,
    /// 499: `permanent` without a rooms file; carries what cannot be done.
    NoRoomsFile(&'static str),
    /// 499: the lane to the media shard is full.
    Busy,
    /// 499: no reply within the ticket's deadline.
    Late,
    /// 499: a reply of another kind; our mistake.
    Unexpected,
    /// 499: too many requests of this handle wait.
    QueueFull,
    /// 499: an answer of about so many bytes is more than its connection takes.
    TooLong(usize),
}

impl PluginError {
    pub fn code(&self) -> u16 {
        match self {
            PluginError::Request(error) => error.code(),
            PluginError::Room(error) => error.code(),
            PluginError::Target(error) => error.code(),
            PluginError::JoinFirst => 424,
            PluginError::NoRoomsFile(_)
            | PluginError::Busy
            | PluginError::Late
            | PluginError::Unexpected
            | PluginError::QueueFull
            | PluginError::TooLong(_) => 499,
        }
    }

    /// Whether only those are told who know the room's secret: Janus would take what is wrong, or finds it later.
    pub fn is_told_late(&self) -> bool {
        match self {
            PluginError::Request(error) => error.is_told_late(),
            PluginError::Target(_) | PluginError::NoRoomsFile(_) => true,
            _ => false,
        }
    }
}

impl fmt::Display for PluginError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PluginError::Request(error) => error.fmt(f),
            PluginError::Room(error) => error.fmt(f),
            PluginError::Target(error) => error.fmt(f),
            PluginError::JoinFirst => f.write_str("Invalid request on unconfigured participant"),
            PluginError::NoRoomsFile(what) => write!(f, "No rooms file (--rooms-file), can't {what}"),
            PluginError::Busy => f.write_str("The media shard is busy, try again"),
            PluginError::Late => f.write_str("The media shard did not answer in time"),
            PluginError::Unexpected => f.write_str("The media shard gave an answer to another question"),
            PluginError::TooLong(bytes) => {
                write!(f, "The answer has some {bytes} bytes, which is more than this connection takes now")
            }
            PluginError::QueueFull => f.write_str("Too many requests of this handle are waiting"),
        }
    }
}

impl From<RequestError> for PluginError {
    fn from(error: RequestError) -> PluginError {
        PluginError::Request(error)
    }
}

impl From<FieldError> for PluginError {
    fn from(error: FieldError) -> PluginError {
        PluginError::Request(error.into())
    }
}

impl From<TargetError> for PluginError {
    fn from(error: TargetError) -> PluginError {
        PluginError::Target(error)
    }
}

impl From<RoomError> for PluginError {
    fn from(error: RoomError) -> PluginError {
        PluginError::Room(error)
    }
}
