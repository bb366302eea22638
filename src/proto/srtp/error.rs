//! Why a packet was not opened or not sealed: one variant per counter that a caller keeps.

use std::fmt;

/// What went wrong. A packet that brings an error is dropped; its buffer may hold garbage, and no state has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SrtpError {
    /// The packet ends inside its header or its authentication tag.
    TooShort,
    /// Not version 2, or a header that contradicts its own length.
    Malformed,
    /// The authentication tag does not match.
    Auth,
    /// The index was seen before, or is older than the replay window.
    Replay,
    /// The peer has used as many SSRCs as one association may ([`super::SOURCES_MAX`]).
    TooManyStreams,
    /// The key has protected as many packets of this SSRC as it may (RFC 3711 §9.2); only a new handshake helps.
    Exhausted,
    /// The slice lent for the result is too small.
    NoSpace,
    /// The handle is of another association.
    UnknownStream,
    /// A resend of an index that was never sealed.
    UnknownIndex,
    /// The index has been sealed already, or is too old to tell.
    IndexUsed,
    /// Key or salt has another length than the profile's.
    KeyLength,
}

impl fmt::Display for SrtpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SrtpError::TooShort => "SRTP packet too short",
            SrtpError::Malformed => "malformed header",
            SrtpError::Auth => "authentication failed",
            SrtpError::Replay => "replayed or too old",
            SrtpError::TooManyStreams => "too many SSRCs",
            SrtpError::Exhausted => "key exhausted",
            SrtpError::NoSpace => "no space for the protected packet",
            SrtpError::UnknownStream => "unknown stream",
            SrtpError::IndexUsed => "index was sealed before",
            SrtpError::UnknownIndex => "index was never sealed",
            SrtpError::KeyLength => "wrong length of key or salt",
        })
    }
}

impl std::error::Error for SrtpError {}
