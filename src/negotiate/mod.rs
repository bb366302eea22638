//! Typed offer to typed answer, by the rules of a VideoRoom: what a publisher may send, what a subscriber is offered, and
//! what its answer makes of that. Pure functions; neither text nor transport is known here (RFC 3264, RFC 9429).

mod accept;
mod answer;
#[cfg(test)]
mod browsers;
mod bundle;
mod extension;
mod offer;
mod payload;
mod profile;
#[cfg(test)]
mod wild;

use std::fmt;

use crate::control::error::RoomError;

pub use accept::{accept, remote_of_answer};
pub use answer::{OpusFmtp, answer, remote_of_offer};
pub use extension::subscriber_extensions;
pub use offer::offer;
pub use payload::{parameter_of, payload_types};
pub(super) use profile::share_payload_type;

/// Why a description cannot be negotiated; VideoRoom error 437.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NegotiateError {
    /// An offer without any m-line.
    NoMediaLine,
    /// An offerer that does not check either (RFC 8445 §2.5).
    IceLite,
    /// An answer with fewer or more m-lines than the offer (RFC 3264 §6).
    MediaLineCount,
    /// An answer whose m-lines have other tags or kinds than the offer's.
    MediaLineOrder,
}

impl NegotiateError {
    /// The text of the error.
    pub fn text(self) -> &'static str {
        match self {
            NegotiateError::NoMediaLine => "Can't offer an SDP with no stream",
            NegotiateError::IceLite => {
                "ICE-lite peers can't connect: this server is ICE-lite itself, and one side must check"
            }
            NegotiateError::MediaLineCount => "Answer doesn't have the m-lines of the offer",
            NegotiateError::MediaLineOrder => "Answer doesn't have the m-lines of the offer in their order",
        }
    }
}

impl fmt::Display for NegotiateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl std::error::Error for NegotiateError {}

impl From<NegotiateError> for RoomError {
    fn from(error: NegotiateError) -> RoomError {
        RoomError::InvalidSdp(error.text())
    }
}
