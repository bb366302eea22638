//! What the VideoRoom tells event handlers: the `data` of its plugin events. Talking and moderation are told in the form
//! that handles hear of them.

use serde::Serialize;

use super::Id;
use super::forward::Forwarder;
use super::publisher::{Identity, Stream};
use super::subscriber::Subscription;

/// One thing that has happened in a room.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "lowercase")]
pub enum RoomEvent<'a> {
    /// The room was made.
    Created { room: Id<'a> },
    /// It was changed.
    Edited { room: Id<'a> },
    /// It was ended.
    Destroyed { room: Id<'a> },
    /// A participant is in.
    Joined {
        room: Id<'a>,
        #[serde(flatten)]
        who: Identity<'a>,
        /// What links its subscriptions to it.
        private_id: u32,
        /// What let it in.
        #[serde(skip_serializing_if = "Option::is_none")]
        token: Option<&'a str>,
        /// As it asked for.
        #[serde(skip_serializing_if = "Option::is_none")]
        audio_active_packets: Option<u32>,
        /// As it asked for.
        #[serde(skip_serializing_if = "Option::is_none")]
        audio_level_average: Option<u32>,
    },
    /// Its peer connection is up.
    Published {
        room: Id<'a>,
        #[serde(flatten)]
        who: Identity<'a>,
        streams: Vec<Stream<'a>>,
    },
    /// What it publishes has changed.
    #[serde(rename = "updated")]
    Republished {
        room: Id<'a>,
        #[serde(flatten)]
        who: Identity<'a>,
        streams: Vec<Stream<'a>>,
    },
    /// It has changed something else.
    Configured {
        room: Id<'a>,
        id: Id<'a>,
        /// Its cap in bit/s; 0 is none.
        bitrate: u64,
    },
    /// Its peer connection is gone.
    Unpublished {
        room: Id<'a>,
        #[serde(flatten)]
        who: Identity<'a>,
    },
    /// It is gone.
    Leaving {
        room: Id<'a>,
        #[serde(flatten)]
        who: Identity<'a>,
    },
    /// It was thrown out.
    Kicked {
        room: Id<'a>,
        #[serde(flatten)]
        who: Identity<'a>,
    },
    /// A subscriber is in, and was offered this.
    Subscribing {
        room: Id<'a>,
        /// Whose subscriber it says it is.
        #[serde(skip_serializing_if = "Option::is_none")]
        private_id: Option<u32>,
        /// What it asks for.
        streams: Vec<Subscription<'a>>,
    },
    /// Its peer connection is up.
    Subscribed { room: Id<'a> },
    /// What it receives has changed.
    #[serde(rename = "updated")]
    Resubscribed {
        room: Id<'a>,
        /// Whose subscriber it says it is.
        #[serde(skip_serializing_if = "Option::is_none")]
        private_id: Option<u32>,
        /// What it receives now.
        streams: Vec<Subscription<'a>>,
    },
    /// It receives this no more.
    Unsubscribed {
        room: Id<'a>,
        feed: Id<'a>,
        /// Which m-line of the feed.
        mid: &'a str,
    },
    /// It receives something else on the same m-lines.
    Switched { room: Id<'a> },
    /// A stream is forwarded from now on.
    #[serde(rename = "rtp_forward")]
    Forwarded {
        room: Id<'a>,
        publisher_id: Id<'a>,
        /// Audio or video.
        media: &'static str,
        /// What it carries.
        #[serde(skip_serializing_if = "Option::is_none")]
        codec: Option<&'static str>,
        /// Which encoding, if not the first.
        #[serde(skip_serializing_if = "Option::is_none")]
        video_substream: Option<u8>,
        #[serde(flatten)]
        forwarder: Forwarder,
    },
    /// It is not forwarded any more.
    #[serde(rename = "stop_rtp_forward")]
    ForwardStopped { room: Id<'a>, publisher_id: Id<'a>, stream_id: u32 },
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Name;
    use crate::videoroom::json::Object;
    use serde_json::json;

    #[test]
    fn every_event_of_a_room_has_the_keys_of_janus() {
        let (room, id) = (Name::Number(7), Name::Text("ana".into()));
        let (room, id) = (Id(&room), Id(&id));
        let who = || Identity { id, display: Some("Ana"), metadata: Some(Object(r#"{"a":1}"#)) };
        let nobody = || Identity { id, display: None, metadata: None };
        let stream = || Stream { kind: "audio", mid: "0", codec: Some("opus"), ..Stream::default() };
        let shown = json!([{"type":"audio","mindex":0,"mid":"0","codec":"opus"}]);
        for (event, expected) in [
            (RoomEvent::Created { room }, json!({"event":"created","room":7})),
            (RoomEvent::Edited { room }, json!({"event":"edited","room":7})),
            (RoomEvent::Destroyed { room }, json!({"event":"destroyed","room":7})),
            (
                RoomEvent::Joined {
                    room,
                    who: who(),
                    private_id: 5,
                    token: Some("t"),
                    audio_active_packets: Some(50),
                    audio_level_average: None,
                },
                json!({"event":"joined","room":7,"id":"ana","display":"Ana","metadata":{"a":1},"private_id":5,
                       "token":"t","audio_active_packets":50}),
            ),
            (
                RoomEvent::Published { room, who: who(), streams: vec![stream()] },
                json!({"event":"published","room":7,"id":"ana","display":"Ana","metadata":{"a":1},"streams":shown}),
            ),
            (
                RoomEvent::Republished { room, who: nobody(), streams: vec![stream()] },
                json!({"event":"updated","room":7,"id":"ana","streams":shown}),
            ),
            (
                RoomEvent::Configured { room, id, bitrate: 9 },
                json!({"event":"configured","room":7,"id":"ana","bitrate":9}),
            ),
            (
                RoomEvent::Forwarded {
                    room,
                    publisher_id: id,
                    media: "video",
                    codec: Some("vp8"),
                    video_substream: Some(1),
                    forwarder: Forwarder {
                        stream_id: 5,
                        kind: "video",
                        host: "192.0.2.1".into(),
                        port: 9,
                        local_rtcp_port: None,
                        remote_rtcp_port: None,
                        ssrc: None,
                        pt: Some(96),
                        substream: Some(1),
                        srtp: false,
                    },
                },
                json!({"event":"rtp_forward","room":7,"publisher_id":"ana","media":"video","codec":"vp8","video_substream":1,
                       "stream_id":5,"type":"video","host":"192.0.2.1","port":9,"pt":96,"substream":1}),
            ),
            (
                RoomEvent::ForwardStopped { room, publisher_id: id, stream_id: 5 },
                json!({"event":"stop_rtp_forward","room":7,"publisher_id":"ana","stream_id":5}),
            ),
            (RoomEvent::Unpublished { room, who: nobody() }, json!({"event":"unpublished","room":7,"id":"ana"})),
            (
                RoomEvent::Leaving { room, who: who() },
                json!({"event":"leaving","room":7,"id":"ana","display":"Ana","metadata":{"a":1}}),
            ),
            (RoomEvent::Kicked { room, who: nobody() }, json!({"event":"kicked","room":7,"id":"ana"})),
            (
                RoomEvent::Subscribing { room, private_id: Some(5), streams: vec![] },
                json!({"event":"subscribing","room":7,"private_id":5,"streams":[]}),
            ),
            (RoomEvent::Subscribed { room }, json!({"event":"subscribed","room":7})),
            (
                RoomEvent::Resubscribed { room, private_id: None, streams: vec![] },
                json!({"event":"updated","room":7,"streams":[]}),
            ),
            (
                RoomEvent::Unsubscribed { room, feed: id, mid: "1" },
                json!({"event":"unsubscribed","room":7,"feed":"ana","mid":"1"}),
            ),
            (RoomEvent::Switched { room }, json!({"event":"switched","room":7})),
        ] {
            assert_eq!(serde_json::to_value::<&RoomEvent<'_>>(&event).unwrap(), expected);
        }
    }
}
