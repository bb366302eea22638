//! The Janus API: JSON to typed requests and typed messages to JSON. What a request does is decided elsewhere; here are
//! only its shape, the order in which its elements are checked, and the texts and codes of what is wrong with it.

pub mod admin;
pub mod document;
pub mod envelope;
pub mod error;
pub mod events;
pub mod field;
pub mod message;
