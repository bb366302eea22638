//! Why bytes could not be understood.

use std::fmt;

/// One variant per way in which bytes from outside can be wrong; the text names the element, never the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WireError {
    /// The input ended inside the named element.
    Truncated(&'static str),
    /// Bytes were left over after the named element.
    Trailing(&'static str),
    /// A version field holds another version than the standard's.
    BadVersion(&'static str),
    /// A length field contradicts the bytes around it.
    BadLength(&'static str),
    /// A field holds a value that the standard does not allow.
    BadValue(&'static str),
    /// The slice lent for composing is too small.
    NoSpace(&'static str),
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WireError::Truncated(what) => write!(f, "{what} is truncated"),
            WireError::Trailing(what) => write!(f, "bytes after {what}"),
            WireError::BadVersion(what) => write!(f, "unknown version of {what}"),
            WireError::BadLength(what) => write!(f, "wrong length of {what}"),
            WireError::BadValue(what) => write!(f, "invalid value of {what}"),
            WireError::NoSpace(what) => write!(f, "no space for {what}"),
        }
    }
}

impl std::error::Error for WireError {}
