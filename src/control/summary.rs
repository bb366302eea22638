//! What a room shows of itself: to those who ask, and in what it tells unasked.

use std::net::{IpAddr, SocketAddr};

use super::codec::Codec;
use super::request::{Metadata, TalkWish};
use super::spec::RoomSpec;
use crate::id::{FeedId, RoomId};
use crate::wire::rtp::extension::PlayoutDelay;
use crate::wire::sdp::{Description, MediaKind, Mid};

/// `joined`
#[derive(Debug)]
pub struct Joined {
    pub room: RoomId,
    pub description: Box<str>,
    /// The participant's id.
    pub id: FeedId,
    /// For `private_id` of its subscriptions.
    pub private_id: u32,
    /// Who is publishing.
    pub publishers: Vec<PublisherSummary>,
    /// What the participant asked for itself.
    pub talk: TalkWish,
    /// Who is there without publishing; only with `notify_joining`.
    pub attendees: Option<Vec<Identity>>,
    /// With `joinandconfigure` and an offer.
    pub published: Option<Published>,
}

/// What an offer led to.
#[derive(Debug)]
pub struct Published {
    /// The publisher's own streams.
    pub streams: Vec<StreamSummary>,
    pub answer: Description,
}

/// `configured: "ok"`
#[derive(Debug)]
pub struct Configured {
    pub room: RoomId,
    /// A publisher's offer was answered.
    pub published: Option<Published>,
    /// A subscriber's `restart` or `update` made a new offer.
    pub offer: Option<Description>,
}

/// `updated`
#[derive(Debug)]
pub struct Updated {
    pub room: RoomId,
    /// The subscriber's m-lines and our offer; none when nothing has changed.
    pub offered: Option<(Vec<SubscriptionSummary>, Description)>,
}

/// `switched`
#[derive(Debug)]
pub struct Switched {
    pub room: RoomId,
    /// M-lines that have another source now.
    pub changes: usize,
    /// The subscriber's m-lines.
    pub streams: Vec<SubscriptionSummary>,
    /// Our offer, when an m-line was inactive before.
    pub offer: Option<Description>,
}

/// `attached`
#[derive(Debug)]
pub struct Attached {
    pub room: RoomId,
    /// The subscriber's m-lines.
    pub streams: Vec<SubscriptionSummary>,
    /// In the legacy form: the feed.
    pub legacy: Option<Identity>,
    pub offer: Description,
}

/// A participant as others know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    pub id: FeedId,
    /// Name to show.
    pub display: Option<Box<str>>,
    /// What else it shows.
    pub metadata: Option<Metadata>,
}

/// One publisher as others see it.
#[derive(Debug, Clone)]
pub struct PublisherSummary {
    pub who: Identity,
    pub dummy: bool,
    /// Whether any of its audio is talking; only where it is known and asked for.
    pub talking: Option<bool>,
    /// Its streams; `audio_codec` and `video_codec` are those of the first of each kind that is not disabled.
    pub streams: Vec<StreamSummary>,
}

/// One published m-line.
#[derive(Debug, Clone)]
pub struct StreamSummary {
    /// Audio, video or data.
    pub kind: MediaKind,
    /// Index of the m-line.
    pub mindex: usize,
    pub mid: Mid,
    /// No longer there, or never usable: others get nothing but the fields above.
    pub disabled: bool,
    /// Text given by the publisher.
    pub description: Option<Box<str>>,
    /// The negotiated codec.
    pub codec: Option<Codec>,
    /// Opus options, shown when true.
    pub stereo: bool,
    /// Opus in-band FEC.
    pub fec: bool,
    pub dtx: bool,
    /// Audio with its level: whether it is talking; only where that is asked for.
    pub talking: Option<bool>,
    /// A moderator has muted it.
    pub moderated: bool,
    /// `profile-level-id` of H264.
    pub h264_profile: Option<Box<str>>,
    /// `profile-id` of VP9.
    pub vp9_profile: Option<Box<str>>,
    /// Negotiated extension ids, shown to the publisher alone.
    pub audiolevel_ext_id: Option<u8>,
    pub videoorient_ext_id: Option<u8>,
    pub playoutdelay_ext_id: Option<u8>,
}

/// One m-line of a subscriber.
#[derive(Debug, Clone)]
pub struct SubscriptionSummary {
    /// Audio, video or data.
    pub kind: MediaKind,
    /// Whether it has a source.
    pub active: bool,
    /// Index of the m-line.
    pub mindex: usize,
    /// Its tag: the index as text.
    pub mid: Mid,
    pub crossrefid: Option<Box<str>>,
    /// Negotiated and started.
    pub ready: bool,
    /// Not switched off by `configure`.
    pub send: bool,
    /// Where its media come from; none when inactive.
    pub source: Option<SourceSummary>,
}

/// The published stream behind a subscriber's m-line.
#[derive(Debug, Clone)]
pub struct SourceSummary {
    pub feed: Identity,
    /// The publisher's m-line.
    pub mid: Mid,
    /// The publisher's text.
    pub description: Option<Box<str>>,
    pub codec: Option<Codec>,
    /// `profile-level-id` of H264.
    pub h264_profile: Option<Box<str>>,
    /// `profile-id` of VP9.
    pub vp9_profile: Option<Box<str>>,
    /// The playout-delay that the subscriber asked for.
    pub delay: Option<PlayoutDelay>,
}

/// What an `rtp_forward` has made.
#[derive(Debug)]
pub struct Forwarding {
    pub room: RoomId,
    pub feed: FeedId,
    /// One after the other.
    pub forwarders: Vec<ForwarderSummary>,
    /// In the form without `streams`: the host.
    pub legacy: Option<IpAddr>,
}

/// One entry of `listforwarders`.
#[derive(Debug)]
pub struct PublisherForwarders {
    pub who: Identity,
    /// All of them.
    pub forwarders: Vec<ForwarderSummary>,
}

/// One entry of `listremotes`.
#[derive(Debug)]
pub struct RemoteSummary {
    /// What it is called.
    pub remote_id: Box<str>,
    /// The other server's port of media.
    pub to: SocketAddr,
    /// And of RTCP.
    pub rtcp_port: Option<u16>,
}

/// One forwarder.
#[derive(Debug, Clone)]
pub struct ForwarderSummary {
    /// The number by which it is stopped.
    pub stream_id: u32,
    /// Audio or video.
    pub kind: MediaKind,
    /// What its m-line carries now.
    pub codec: Option<Codec>,
    pub to: SocketAddr,
    /// Where we take its receiver's RTCP; the engine knows.
    pub local_rtcp_port: Option<u16>,
    /// From which of its ports.
    pub rtcp_port: Option<u16>,
    pub pt: Option<u8>,
    pub ssrc: Option<u32>,
    pub substream: u8,
    /// Whether it is sealed.
    pub srtp: bool,
}

/// One entry of `list`.
#[derive(Debug, Clone)]
pub struct RoomSummary {
    /// What the room was made with.
    pub spec: RoomSpec,
    /// Publisher-role participants, active or not.
    pub participants: usize,
}

/// One entry of `listparticipants`.
#[derive(Debug, Clone)]
pub struct ParticipantSummary {
    pub who: Identity,
    pub dummy: bool,
    /// Of another server.
    pub remote: bool,
    /// Whether its peer connection is up.
    pub publisher: bool,
    /// Whether it is talking; only of publishers whose audio has its level.
    pub talking: Option<bool>,
}
