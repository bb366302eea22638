//! One shard's mind: protocols and rooms composed, still without I/O.

pub mod arena;
pub mod history;
pub mod timer;
pub mod verdict;
pub mod machine;
