//! One media shard's mind: protocols and rooms composed, still without I/O.

pub mod arena;
pub mod engine;
pub mod forwarder;
pub mod history;
pub mod index;
pub mod keyframe;
pub mod leg;
pub mod machine;
pub mod memory;
pub mod notice;
pub mod outgoing;
pub mod peer;
pub mod ports;
pub mod rewrite;
pub mod router;
pub mod sent;
pub mod sources;
pub mod stream;
pub mod talking;
pub mod tap;
pub mod timer;
pub mod turn;
pub mod verdict;

#[cfg(test)]
mod tests;
