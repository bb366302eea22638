//! One shard's mind: protocols and rooms composed, still without I/O.

pub mod arena;
pub mod capture;
pub mod forwarder;
pub mod history;
pub mod hosted;
pub mod index;
pub mod leg;
pub mod machine;
pub mod media;
pub mod memory;
pub mod notice;
pub mod outgoing;
pub mod peer;
pub mod remote;
pub mod sent;
pub mod signalling;
pub mod sources;
pub mod stream;
pub mod timer;
pub mod turn;
pub mod verdict;

#[cfg(test)]
mod tests;
