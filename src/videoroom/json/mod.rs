//! The VideoRoom plugin's messages. Requests come out as typed values that borrow from the JSON; replies and events are
//! structs whose fields are the keys on the wire, in their order. Rules of rooms are not known here.
//!
//! Of `create`, everything that changes who may enter is honoured or refused. There are no recordings yet: `record` is
//! answered with a warning, and `rec_dir` and `lock_record` say nothing without it. `threads` has no meaning.

use serde::{Serialize, Serializer};

use crate::id::Name;
use crate::wire::janus::envelope::PluginInfo;

pub mod administration;
pub mod error;
pub mod event;
pub mod forward;
pub mod observed;
pub mod publisher;
pub mod remote;
pub mod request;
pub mod room;
pub mod subscriber;

/// The plugin's name in `attach` and `plugindata`.
pub const PACKAGE: &str = "janus.plugin.videoroom";

/// What `info` shows.
pub const PLUGIN: PluginInfo = PluginInfo {
    package: PACKAGE,
    name: "JANUS VideoRoom plugin",
    description: "The VideoRoom of Portunus",
    version_string: "0.0.10",
    version: 10,
};

/// A room's or participant's id on the wire: a number or a string.
#[derive(Clone, Copy, Debug)]
pub struct Id<'a>(pub &'a Name);

impl Serialize for Id<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Name::Number(number) => serializer.serialize_u64(*number),
            Name::Text(text) => serializer.serialize_str(text),
        }
    }
}

/// A JSON object of a client's own, on its way to others.
#[derive(Clone, Copy, Debug)]
pub struct Object<'a>(pub &'a str);

impl Serialize for Object<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let object: serde_json::Value = serde_json::from_str(self.0).map_err(serde::ser::Error::custom)?;
        object.serialize(serializer)
    }
}

// For `skip_serializing_if`: keys that appear only when true.
fn is_false(flag: &bool) -> bool {
    !flag
}
