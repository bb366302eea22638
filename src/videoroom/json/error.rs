//! What is wrong with a VideoRoom request by its shape alone, and the body of every VideoRoom error.

use std::fmt;

use serde::Serialize;

use crate::wire::janus::field::FieldError;

/// Why the body of a request is refused before any room is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequestError {
    /// 423: no such request.
    Unknown(Box<str>),
    /// 423: a `join` as subscriber that carries a description.
    UnexpectedJsep,
    /// 429 or 430
    Field(FieldError),
    /// 430: the right type with a value that cannot be; carries the element.
    Value(&'static str),
    /// 429: an `update` that names nothing.
    NothingToUpdate,
    /// 430: an action that is none; carries it.
    Action(Box<str>),
    /// 430: a list with something in it that is no string; carries the element.
    NotAString(&'static str),
    /// 430: a list of so-and-so without entries; carries of what.
    Empty(&'static str),
    /// 430: a list with a codec that this server does not have; carries the element and what it has.
    Codec(&'static str, Box<str>),
    /// 430: a `host_family` that is none; carries it.
    Family(Box<str>),
    /// 430: an `srtp_suite` that is none; carries it.
    Suite(u64),
    /// 430: a publisher without streams.
    NoStreams,
    /// 430: a line of a publisher that is neither `audio` nor `video` nor `data`.
    StreamType,
    /// 429, as Janus has it: a codec that this server does not have.
    UnsupportedCodec,
    /// 430: nothing can be sent to port 0.
    ZeroPort,
    /// 430: a layer beyond 2; carries the element.
    Layer(&'static str),
    /// 499: asks for something this server does not do, and that must not be passed over in silence.
    Unsupported(&'static str),
}

impl RequestError {
    /// The `error_code`.
    pub fn code(&self) -> u16 {
        match self {
            RequestError::Unknown(_) | RequestError::UnexpectedJsep => 423,
            RequestError::Field(FieldError::Missing(_))
            | RequestError::NothingToUpdate
            | RequestError::UnsupportedCodec => 429,
            RequestError::Field(_)
            | RequestError::Value(_)
            | RequestError::Action(_)
            | RequestError::NotAString(_)
            | RequestError::Empty(_)
            | RequestError::Codec(..)
            | RequestError::Family(_)
            | RequestError::Suite(_)
            | RequestError::NoStreams
            | RequestError::StreamType
            | RequestError::ZeroPort
            | RequestError::Layer(_) => 430,
            RequestError::Unsupported(_) => 499,
        }
    }

    /// Whether it is about a value that Janus would take, or finds fault with later: whoever does not know the room and its
    /// secret is not told.
    pub fn is_told_late(&self) -> bool {
        match self {
            // No room has such an id.
            RequestError::Field(FieldError::TooLong("room", _)) => false,
            RequestError::Value(_) | RequestError::Unsupported(_) | RequestError::Field(FieldError::TooLong(..)) => {
                true
            }
            _ => false,
        }
    }
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RequestError::Unknown(name) => write!(f, "Unknown request '{name}'"),
            RequestError::UnexpectedJsep => f.write_str("Subscribers can't send a description when joining"),
            RequestError::Field(error) => error.fmt(f),
            RequestError::Value(name) => write!(f, "Invalid element ({name})"),
            RequestError::NothingToUpdate => {
                f.write_str("At least one of either 'subscribe' or 'unsubscribe' must be present")
            }
            RequestError::Action(name) => write!(f, "Unsupported action '{name}' (allowed)"),
            RequestError::NotAString(name) => write!(f, "Invalid element in the {name} array (not a string)"),
            RequestError::Empty(what) => write!(f, "Empty {what} list"),
            RequestError::Codec(name, known) => write!(f, "Invalid element ({name} can only be or contain {known})"),
            RequestError::Family(name) => write!(f, "Unsupported protocol family ({name})"),
            RequestError::Suite(suite) => write!(f, "Invalid SRTP suite ({suite})"),
            RequestError::NoStreams => f.write_str("Invalid element value (streams can't be empty)"),
            RequestError::StreamType => f.write_str("Invalid element value (type)"),
            RequestError::UnsupportedCodec => f.write_str("Invalid element value (unsupported codec)"),
            RequestError::ZeroPort => f.write_str("Invalid element (port must be a non-zero positive integer)"),
            RequestError::Layer(name) => {
                // Janus names both that a layer is called, whichever was given.
                let pair = if name.starts_with('s') { "substream/spatial_layer" } else { "temporal/temporal_layer" };
                write!(f, "Invalid value ({pair} should be 0, 1 or 2)")
            }
            RequestError::Unsupported(name) => write!(f, "Not supported by this server ({name})"),
        }
    }
}

impl std::error::Error for RequestError {}

impl From<FieldError> for RequestError {
    fn from(error: FieldError) -> RequestError {
        RequestError::Field(error)
    }
}

/// `{"videoroom":"event","error_code":N,"error":"text"}`
#[derive(Debug, Serialize)]
pub struct ErrorBody {
    videoroom: &'static str,
    error_code: u16,
    error: String,
}

impl ErrorBody {
    /// The body of one error.
    pub fn new(error_code: u16, error: String) -> ErrorBody {
        ErrorBody { videoroom: "event", error_code, error }
    }
}
