//! The keywords of SDP and the values that they stand for, in both directions.

use super::description::{Direction, MediaKind, Setup};

const DIRECTIONS: [(&str, Direction); 4] = [
    ("sendrecv", Direction::SendRecv),
    ("sendonly", Direction::SendOnly),
    ("recvonly", Direction::RecvOnly),
    ("inactive", Direction::Inactive),
];

const SETUPS: [(&str, Setup); 3] =
    [("actpass", Setup::ActPass), ("active", Setup::Active), ("passive", Setup::Passive)];

const KINDS: [(&str, MediaKind); 3] =
    [("audio", MediaKind::Audio), ("video", MediaKind::Video), ("application", MediaKind::Data)];

/// A keyword's value.
pub(super) trait Token: Copy + PartialEq + 'static {
    /// Every keyword with its value.
    const TABLE: &'static [(&'static str, Self)];

    fn from_token(token: &str) -> Option<Self> {
        Self::TABLE.iter().find(|(keyword, _)| keyword.eq_ignore_ascii_case(token)).map(|(_, value)| *value)
    }

    fn token(self) -> &'static str {
        Self::TABLE.iter().find(|(_, value)| *value == self).expect("every value has a keyword").0
    }
}

impl Token for Direction {
    const TABLE: &'static [(&'static str, Self)] = &DIRECTIONS;
}

impl Token for Setup {
    const TABLE: &'static [(&'static str, Self)] = &SETUPS;
}

impl Token for MediaKind {
    const TABLE: &'static [(&'static str, Self)] = &KINDS;
}
