//! Plain data that crosses shards: what signalling asks of media shards and hears from them, what rooms are made with, and
//! what they want done. Rules are the plugins'.

pub mod allowed;
pub mod capture;
pub mod codec;
pub mod command;
pub mod effect;
pub mod error;
pub mod forward;
pub mod inspection;
pub mod media;
pub mod mint;
pub mod observation;
pub mod placement;
pub mod remote;
pub mod request;
pub mod spec;
pub mod summary;
pub mod talking;
