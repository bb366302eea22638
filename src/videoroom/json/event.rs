//! What handles hear unasked, and the small confirmations that share its keys: a confirmation carries the string `ok`
//! where a notification carries an id.

use serde::Serialize;

use super::publisher::{Identity, Publisher};
use super::subscriber::Subscription;
use super::{Id, Object};

/// `event` with `publishers`: new feeds or changed streams.
#[derive(Debug, Serialize)]
pub struct Publishers<'a> {
    /// `event`
    pub videoroom: &'static str,
    pub room: Id<'a>,
    pub publishers: Vec<Publisher<'a>>,
}

/// `event` about somebody else who is going.
#[derive(Debug, Serialize)]
pub struct Departure<'a> {
    /// `event`
    pub videoroom: &'static str,
    pub room: Id<'a>,
    /// Name that was shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display: Option<&'a str>,
    /// What else was shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Object<'a>>,
    /// How, with whose.
    #[serde(flatten)]
    pub gone: Gone<'a>,
}

/// The key says how, the value is the participant's id.
#[derive(Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Gone<'a> {
    /// Its peer connection is gone.
    Unpublished(Id<'a>),
    /// It is gone.
    Leaving(Id<'a>),
    /// It was thrown out.
    Kicked(Id<'a>),
}

/// `event` to the one who was thrown out.
#[derive(Debug, Serialize)]
pub struct Expelled<'a> {
    /// `event`
    pub videoroom: &'static str,
    pub room: Id<'a>,
    /// `ok`
    pub leaving: &'static str,
    /// `kicked`
    pub reason: &'static str,
}

/// `event` about a stream that a moderator has muted, or not any more.
#[derive(Debug, Serialize)]
pub struct Moderated<'a> {
    /// `event`
    pub videoroom: &'static str,
    pub room: Id<'a>,
    pub id: Id<'a>,
    pub mid: &'a str,
    /// `muted` or `unmuted`.
    pub moderation: &'static str,
}

/// A participant's new name; Janus gives no `room` here.
#[derive(Debug, Serialize)]
pub struct Display<'a> {
    /// `event`
    pub videoroom: &'static str,
    pub id: Id<'a>,
    pub display: &'a str,
    /// What else it shows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Object<'a>>,
}

/// A participant's new metadata; no `room` here either.
#[derive(Debug, Serialize)]
pub struct Metadata<'a> {
    /// `event`
    pub videoroom: &'static str,
    pub id: Id<'a>,
    /// What it shows now.
    pub metadata: Object<'a>,
}

/// `event` about somebody who has joined; only with `notify_joining`.
#[derive(Debug, Serialize)]
pub struct Joining<'a> {
    /// `event`
    pub videoroom: &'static str,
    pub room: Id<'a>,
    pub joining: Identity<'a>,
}

/// `talking` or `stopped-talking`.
#[derive(Debug, Serialize)]
pub struct Talking<'a> {
    /// `talking` or `stopped-talking`.
    pub videoroom: &'static str,
    pub room: Id<'a>,
    pub id: Id<'a>,
    /// Index of the m-line.
    pub mindex: usize,
    pub mid: &'a str,
    /// The mean level: 0 is the loudest, 127 is silence.
    #[serde(rename = "audio-level-dBov-avg")]
    pub level: f64,
}

/// `destroyed` as an event.
#[derive(Debug, Serialize)]
pub struct Destroyed<'a> {
    /// `destroyed`
    pub videoroom: &'static str,
    pub room: Id<'a>,
}

/// `updated` with an offer, or without when there was nothing to do; and `updating`.
#[derive(Debug, Serialize)]
pub struct Updated<'a> {
    /// `updated` or `updating`.
    pub videoroom: &'static str,
    pub room: Id<'a>,
    /// All m-lines; only with an offer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub streams: Option<Vec<Subscription<'a>>>,
}

/// A confirmation of a request.
#[derive(Debug, Serialize)]
pub struct Confirmed<'a> {
    /// `event`
    pub videoroom: &'static str,
    pub room: Id<'a>,
    #[serde(flatten)]
    pub what: Confirmation,
}

/// The key says what is confirmed, the value is `ok`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Confirmation {
    /// To `unpublish`.
    Unpublished(&'static str),
    /// To a publisher's `leave`.
    Leaving(&'static str),
    /// To a subscriber's `leave`.
    Left(&'static str),
    /// To `start`.
    Started(&'static str),
    /// To `pause`.
    Paused(&'static str),
}

/// `media`
#[derive(Debug, Serialize)]
pub struct Media<'a> {
    /// The handle's m-line.
    pub mid: &'a str,
    /// `audio` or `video`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Arriving or not.
    pub receiving: bool,
    /// For how long none came, where that is more than one second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds: Option<u64>,
}

/// `slowlink`
#[derive(Debug, Serialize)]
pub struct SlowLink<'a> {
    /// The handle's m-line.
    pub mid: &'a str,
    /// `audio` or `video`.
    pub media: &'static str,
    /// Whether we sent what was lost.
    pub uplink: bool,
    /// Packets lost in the last second.
    pub lost: u32,
}

/// `slow_link`: what the plugin makes of it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct SlowLinkNotice {
    /// `slow_link`
    pub videoroom: &'static str,
    /// A publisher's cap in bit/s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current_bitrate: Option<u64>,
}

/// `hangup`
#[derive(Debug, Serialize)]
pub struct Hangup {
    pub reason: &'static str,
}

/// A message without elements of its own: `webrtcup`, `detached`.
#[derive(Debug, Serialize)]
pub struct Bare {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::janus::envelope::Notice;

    #[test]
    fn a_slow_link_is_told_by_the_core_and_by_the_plugin() {
        let core = Notice::new("slowlink", &SlowLink { mid: "1", media: "video", uplink: true, lost: 9 });
        let text = core.address(crate::id::SessionId(1), crate::id::HandleId(2), None);
        assert_eq!(
            text,
            r#"{"janus":"slowlink","session_id":1,"sender":2,"mid":"1","media":"video","uplink":true,"lost":9}"#
        );
        let notice = |current_bitrate| {
            serde_json::to_string(&SlowLinkNotice { videoroom: "slow_link", current_bitrate }).unwrap()
        };
        assert_eq!(notice(Some(128_000)), r#"{"videoroom":"slow_link","current-bitrate":128000}"#);
        assert_eq!(notice(None), r#"{"videoroom":"slow_link"}"#);
    }
}
