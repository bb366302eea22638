//! SDP: text to [`Description`] and back (RFC 8866, RFC 8839, RFC 8842, RFC 9143).

mod description;

pub use description::*;
