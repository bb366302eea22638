//! Bytes to values and back. Parsing borrows; composing writes into a slice that the caller lends. Nothing here remembers anything.

pub mod error;
pub mod janus;
pub mod reader;
pub mod sdp;
