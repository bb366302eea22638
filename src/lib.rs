//! Portunus: a WebRTC media server without sockets, threads or clocks.
//!
//! Everything here is deterministic: bytes, addresses, commands and the turn's [`time::Now`] go in;
//! datagrams to transmit, replies, events and the next deadline come out. The program in `shards/`
//! owns the machine; this library owns the protocols.
//!
//! ```text
//!         .-- proto <---------------------------.
//! wire <--+                                     +-- media, signalling <-- shards
//!         '-- control <-- negotiate, videoroom <'        an arrow points at what is imported
//! ```
//!
//! - [`id`], [`time`], [`limits`], [`secret`]: names we mint, instants handed in, every bound with its reason.
//! - [`wire`]: bytes to values and back; nothing is remembered.
//! - [`proto`]: one peer's or one client's state machine; `now` is an argument.
//! - [`control`]: plain data that crosses shards: commands, replies, events, effects, observations.
//! - [`negotiate`]: a typed offer to a typed answer and the reverse (RFC 9429).
//! - [`videoroom`]: the plugin: its requests and events as JSON, and who hears whom.
//! - [`media`]: a media shard's mind; [`signalling`]: a signalling shard's. Neither knows the other.
#![deny(unsafe_code)]
#![warn(clippy::undocumented_unsafe_blocks)]

pub mod control;
mod counters;
pub mod id;
pub mod limits;
pub mod media;
pub mod negotiate;
pub mod proto;
pub mod secret;
pub mod signalling;
pub mod time;
pub mod videoroom;
pub mod wire;
