//! Who hears whom: the VideoRoom's rules. No bytes, no keys, no sockets; what a room wants done comes out as
//! [`effect::Effect`]s that the engine carries out.

mod administration;
pub mod allowed;
pub mod capture;
pub mod codec;
pub mod command;
mod dummy;
pub mod effect;
pub mod error;
pub mod forward;
pub mod inspection;
pub mod keyframe;
mod line;
pub mod media;
pub mod mint;
pub mod negotiate;
pub mod observation;
pub mod placement;
pub mod playout;
mod publisher;
pub mod remote;
pub mod remotization;
pub mod request;
pub mod rewrite;
#[expect(clippy::module_inception, reason = "the file is called for what it holds")]
pub mod room;
mod secret;
pub mod spec;
mod subscriber;
mod subscription;
pub mod summary;
mod table;
pub mod talking;
#[cfg(test)]
mod tests;
