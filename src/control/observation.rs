//! What a media shard lets event handlers know, beside what it tells handles: rooms and their members, and the state of
//! peer connections and media. Nothing is observed that nobody has asked for; JSON has it in `wire::janus::events`.

use std::net::SocketAddr;
use std::time::Duration;

use super::codec::Codec;
use super::request::TalkWish;
use super::summary::{Identity, PublisherSummary, SubscriptionSummary};
use super::talking::TalkChange;
use crate::id::{FeedId, RoomId};
use crate::wire::sdp::{MediaKind, Mid};

/// What a media shard is to observe; by default nothing.
#[derive(Clone, Debug, Default)]
pub struct Watch {
    /// Rooms and their members.
    pub rooms: bool,
    /// ICE, DTLS and the path of media.
    pub peers: bool,
    /// Statistics of every m-line so often, looked at once a second; zero is never.
    pub statistics: Duration,
    /// Where the shard's sockets are bound, in their order: paths are told by these.
    pub sockets: Vec<SocketAddr>,
}

/// Something about one handle.
#[derive(Clone, Debug)]
pub enum Observation {
    /// In its room.
    Room(RoomId, Box<RoomObservation>),
    /// Its ICE has come so far.
    Ice(IceState),
    /// An address of ours that it is offered, as `a=candidate` has it.
    LocalCandidate(Box<str>),
    /// Where it is sent to from now on.
    SelectedPair { local: SocketAddr, remote: SocketAddr },
    /// Its DTLS has come so far.
    Dtls(DtlsState),
    /// It sends with more SSRCs than its connection may have.
    SourcesExhausted {
        /// The one that is not taken.
        ssrc: u32,
        /// How many are.
        most: usize,
    },
    /// How its m-lines fare.
    Statistics(Vec<LineStatistics>),
}

/// What a member has done, or what has become of it.
#[derive(Clone, Debug)]
pub enum RoomObservation {
    /// It is in, as a participant.
    Joined {
        who: Identity,
        /// What links its subscriptions to it.
        private_id: u32,
        token: Option<Box<str>>,
        /// When it counts as talking.
        talk: TalkWish,
    },
    /// Its peer connection is up.
    Published(PublisherSummary),
    /// What it publishes has changed.
    Republished(PublisherSummary),
    /// It has configured something that changes no m-line.
    Configured {
        feed: FeedId,
        /// Its cap in bit/s; 0 is none.
        bitrate: u64,
    },
    /// Its peer connection is gone.
    Unpublished(Identity),
    /// It is gone.
    Leaving(Identity),
    /// It was thrown out.
    Kicked(Identity),
    /// It is in, as a subscriber.
    Subscribing {
        private_id: Option<u32>,
        /// What it asks for.
        streams: Vec<SubscriptionSummary>,
    },
    /// The subscriber's peer connection is up.
    Subscribed,
    /// What it receives has changed.
    Resubscribed {
        private_id: Option<u32>,
        /// What it receives now.
        streams: Vec<SubscriptionSummary>,
    },
    /// It receives this no more.
    Unsubscribed {
        feed: FeedId,
        /// Which m-line of the feed.
        mid: Mid,
    },
    /// It receives something else on the same m-lines.
    Switched,
    /// A moderator has muted one of its streams, or not any more.
    Moderated {
        feed: FeedId,
        mid: Mid,
        /// Muted or heard.
        muted: bool,
    },
    /// It begins or stops talking.
    Talking {
        feed: FeedId,
        /// Index of the m-line.
        mindex: usize,
        mid: Mid,
        /// Begins or stops, and how loudly.
        change: TalkChange,
    },
}

/// How far ICE has come; the text is Janus'.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IceState {
    /// We have addresses, the peer's description is unknown.
    Gathering,
    /// Its first check is awaited.
    Connecting,
    /// A check was believed.
    Connected,
    /// DTLS is done too.
    Ready,
    /// No check came in time, or none any more.
    Failed,
}

impl IceState {
    /// Janus' text.
    pub fn text(self) -> &'static str {
        match self {
            IceState::Gathering => "gathering",
            IceState::Connecting => "connecting",
            IceState::Connected => "connected",
            IceState::Ready => "ready",
            IceState::Failed => "failed",
        }
    }
}

/// How far DTLS has come; the text is Janus'.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DtlsState {
    /// There is a path for it.
    Trying,
    /// Media may flow.
    Connected,
    /// It came to nothing.
    Failed,
}

impl DtlsState {
    /// Janus' text.
    pub fn text(self) -> &'static str {
        match self {
            DtlsState::Trying => "trying",
            DtlsState::Connected => "connected",
            DtlsState::Failed => "failed",
        }
    }
}

/// One m-line since it is there. What flows the other way than the m-line does is 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineStatistics {
    pub mid: Mid,
    pub mindex: usize,
    /// Audio or video.
    pub kind: MediaKind,
    /// Of a publisher's m-line.
    pub codec: Option<Codec>,
    /// RTP clock in Hz.
    pub clock_rate: u32,
    /// To the peer and back.
    pub round_trip: Duration,
    /// From the peer.
    pub received: Flow,
    /// To the peer.
    pub sent: Flow,
}

/// One direction of an m-line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flow {
    /// Packets, each counted once.
    pub packets: u64,
    pub octets: u64,
    /// Payload octets per second since the last statistics.
    pub octets_per_second: u64,
    /// Packets that the receiver has missed.
    pub lost: i64,
    /// At the receiver, in timestamp units.
    pub jitter: u32,
    /// Packets that the receiver has asked for again.
    pub nacks: u64,
    /// Packets that were sent again.
    pub retransmissions: u64,
}
