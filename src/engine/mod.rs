//! One shard's mind: protocols and rooms composed, still without I/O.

pub mod arena;
pub mod signal;
