//! What a room wants to know of who is talking, and what it hears.

/// When a participant counts as talking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TalkRule {
    /// Packets of one evaluation; at least 1.
    pub packets: u32,
    /// Talking is a mean level below this many -dBov: 0 is the loudest, 127 is silence.
    pub threshold: u32,
}

/// A change of mind.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TalkChange {
    /// Whether the participant talks now.
    pub talking: bool,
    /// The mean level in -dBov that says so.
    pub level: f64,
}
