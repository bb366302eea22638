//! The engine of Portunus: a WebRTC media server without sockets, threads or clocks.
//!
//! Everything here is deterministic: bytes, addresses, commands and the turn's [`time::Now`] go in;
//! datagrams to transmit, replies, events and the next deadline come out. The program in `shards/`
//! owns the machine; this library owns the protocols.
//!
//! ```text
//!         .-- proto <--.
//! wire <--+            +-- engine <-- shards        an arrow points at what is imported
//!         '-- room  <--'
//! ```
//!
//! - [`id`], [`time`], [`limits`]: names we mint, instants handed in, every bound with its reason.
//! - [`wire`]: bytes to values and back; nothing is remembered.
//! - [`proto`]: one peer's or one client's state machine; `now` is an argument.
//! - [`room`]: who hears whom; no bytes, no keys, no sockets.
//! - [`engine`]: one shard's mind, the above composed.
#![deny(unsafe_code)]
#![warn(clippy::undocumented_unsafe_blocks)]

pub mod engine;
pub mod id;
pub mod limits;
pub mod proto;
pub mod room;
pub mod secret;
pub mod time;
pub mod wire;
