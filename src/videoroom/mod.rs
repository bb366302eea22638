//! The VideoRoom plugin: its requests and events as JSON, and its rules of who hears whom. No bytes of media, no keys, no
//! sockets; what a room wants done comes out as [`Effect`](crate::control::effect::Effect)s that the media shard carries out.

mod administration;
mod dummy;
pub mod error;
mod forward;
mod inspection;
pub mod json;
mod line;
pub mod playout;
mod publisher;
mod remote_publisher;
mod remotization;
pub mod render;
pub mod room;
mod secret;
pub mod state;
mod subscriber;
mod subscription;
mod table;
pub mod target;
#[cfg(test)]
mod tests;
pub mod translate;
