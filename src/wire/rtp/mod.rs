//! RTP packets as bytes (RFC 3550 §5.1) with their header extensions (RFC 8285), and the arithmetic of numbers that wrap.
//! Protection is `proto/srtp`; what arrived and what is missing is `proto/rtp`.

pub mod extension;
pub mod header;
pub mod sequence;

pub use extension::Elements;
pub use header::{Header, HeaderWriter, Packet};
pub use sequence::{ExtSeq, ExtTimestamp};
