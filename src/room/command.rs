//! The whole control surface between signalling and media shards: commands one way, replies and events the other.
//!
//! Everything is typed; neither JSON nor SDP text crosses. A room is named by its id; its registrar shard knows which
//! shard owns it. A handle is named by its address; all that is said to a handle comes from the one shard where its
//! room lives, in order.

use super::codec::Codec;
use super::error::RoomError;
use super::spec::RoomSpec;
use crate::id::{FeedId, HandleAddress, RoomId, SessionId, ShardId, SignalId, Ticket};
use crate::wire::sdp::{Description, MediaKind, Mid};

/// Signalling to media.
#[derive(Debug)]
pub struct CommandEnvelope {
    /// Where the reply goes; none for commands that have no reply.
    pub ticket: Option<Ticket>,
    /// Who asks.
    pub from: SignalId,
    /// What is asked.
    pub command: Command,
}

/// Media to signalling.
#[derive(Debug)]
pub enum Mail {
    /// The answer to one command.
    Reply {
        /// The command's ticket.
        ticket: Ticket,
        /// Who answers.
        from: ShardId,
        /// How many peers the answering shard carries: placement reads it.
        load: u32,
        /// The answer.
        reply: Reply,
    },
    /// Something a handle must hear, unasked; rendered once and sent to each recipient.
    Event {
        /// Who speaks.
        from: ShardId,
        /// Handles of this signalling shard only.
        to: Vec<HandleAddress>,
        /// What happened.
        event: Event,
    },
    /// Events for these sessions were lost because the lane stayed full: they no longer know what is, and are to be
    /// closed.
    Lost {
        /// Who speaks.
        from: ShardId,
        /// Whose.
        sessions: Vec<SessionId>,
    },
}

/// What a media shard can be asked.
#[derive(Debug)]
pub enum Command {
    /// To the registrar: record an owner for a new room. `room` none means: mint an unused random id (an integer, or a
    /// UUID text with `string_ids`). `candidates` are the two hashed shards with their last known loads; when the id is
    /// minted, they are shards to choose from.
    Claim {
        /// The wished id.
        room: Option<RoomId>,
        /// Whether a minted id is text.
        text: bool,
        /// (shard, peers) pairs, at least one.
        candidates: [(ShardId, u32); 2],
    },
    /// To the registrar: who owns the room?
    Locate(RoomId),
    /// To the registrar: the owner says that the room is gone (or was never made). Idempotent.
    Release(RoomId, ShardId),
    /// To the owner: make the room.
    Create(Box<RoomSpec>),
    /// To the owner: end the room.
    Destroy {
        /// Which.
        room: RoomId,
        /// Needed when the room has one.
        secret: Option<Box<str>>,
    },
    /// To the owner: is it there?
    Exists(RoomId),
    /// To every shard: your rooms. Private ones only for somebody with the admin key.
    List {
        /// Whether private rooms are listed too.
        private: bool,
    },
    /// To the owner: who is in the room?
    Participants(RoomId),
    /// To the owner: a request of one handle, in its order.
    Member {
        /// The room.
        room: RoomId,
        /// Who asks.
        handle: HandleAddress,
        /// What.
        request: Box<MemberRequest>,
    },
    /// To the owner: end the peer connection, or the whole membership. Never refused, repeated until acknowledged
    /// with [`Reply::TornDown`]; unknown rooms and handles are acknowledged too.
    Teardown {
        /// The room.
        room: RoomId,
        /// Whose.
        handle: HandleAddress,
        /// How much.
        kind: Teardown,
    },
    /// To every shard: how are you?
    Survey,
}

/// How much of a membership ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Teardown {
    /// The client's `hangup`: the peer connection only.
    Hangup,
    /// `detach`, `destroy`, session timeout, lost connection: everything.
    Detach,
}

/// What a handle can ask of its room.
#[derive(Debug)]
pub enum MemberRequest {
    /// `join` or `joinandconfigure` as publisher.
    JoinPublisher(JoinPublisher),
    /// `join` as subscriber.
    JoinSubscriber(JoinSubscriber),
    /// `publish` and `configure` of a publisher.
    Configure(Configure),
    /// `unpublish`
    Unpublish,
    /// `leave` of either role.
    Leave,
    /// `start` with the answer to our offer, or without after `pause`.
    Start(Option<Box<Description>>),
    /// `pause`
    Pause,
    /// `configure` of a subscriber.
    ConfigureSubscriber(ConfigureSubscriber),
}

/// `join` with `ptype: "publisher"`.
#[derive(Debug, Default)]
pub struct JoinPublisher {
    /// Wished id; none or 0 means random.
    pub id: Option<FeedId>,
    /// Name to show.
    pub display: Option<Box<str>>,
    /// The room's pin when it has one.
    pub pin: Option<Box<str>>,
    /// `joinandconfigure`.
    pub configure: Option<Configure>,
}

/// `publish` and `configure`.
#[derive(Debug, Default)]
pub struct Configure {
    /// `publish`: refused when a peer connection exists.
    pub publish: bool,
    /// Preferred codec; must be one of the room's.
    pub audiocodec: Option<Box<str>>,
    /// Preferred codec; must be one of the room's.
    pub videocodec: Option<Box<str>>,
    /// REMB cap in bit/s; 0 takes it away.
    pub bitrate: Option<u64>,
    /// Ask our own publisher for a keyframe.
    pub keyframe: bool,
    /// New name to show.
    pub display: Option<Box<str>>,
    /// Texts per stream.
    pub descriptions: Vec<(Mid, Box<str>)>,
    /// Pause and resume relaying of own streams.
    pub streams: Vec<ConfigureStream>,
    /// Legacy: relay all audio streams or none.
    pub audio: Option<bool>,
    /// Legacy: relay all video streams or none.
    pub video: Option<bool>,
    /// The offer.
    pub offer: Option<Box<Description>>,
}

/// One entry of `streams` in a `configure` of either role.
#[derive(Debug, Default, Clone)]
pub struct ConfigureStream {
    /// Which m-line of the handle; none (in a single entry) means all.
    pub mid: Option<Mid>,
    /// Relay it?
    pub send: Option<bool>,
    /// Ask for a keyframe (publishers).
    pub keyframe: bool,
}

/// `join` with `ptype: "subscriber"`.
#[derive(Debug, Default)]
pub struct JoinSubscriber {
    /// The room's pin when it has one.
    pub pin: Option<Box<str>>,
    /// Links the subscriber to its own publisher.
    pub private_id: Option<u32>,
    /// `a=msid:<feed id> <mid>` instead of a generic one.
    pub use_msid: bool,
    /// Unsolicited offers when feeds vanish; true by default.
    pub autoupdate: bool,
    /// What to subscribe to, in order.
    pub streams: Vec<SubscribeStream>,
    /// The legacy single-feed form: answered with `id`, `display` and a warning.
    pub legacy: Option<LegacyFeed>,
}

/// One entry of `streams` in a subscriber's `join`.
#[derive(Debug, Clone)]
pub struct SubscribeStream {
    /// Whose.
    pub feed: FeedId,
    /// Which m-line of the feed; none means all.
    pub mid: Option<Mid>,
    /// Echoed.
    pub crossrefid: Option<Box<str>>,
}

/// The legacy form of a subscriber's `join`.
#[derive(Debug, Clone)]
pub struct LegacyFeed {
    /// Whose.
    pub feed: FeedId,
    /// `offer_audio`, true by default.
    pub audio: bool,
    /// `offer_video`, true by default.
    pub video: bool,
}

/// `configure` of a subscriber.
#[derive(Debug, Default)]
pub struct ConfigureSubscriber {
    /// Per m-line; an entry without `mid` means all.
    pub streams: Vec<ConfigureStream>,
    /// Legacy: all audio.
    pub audio: Option<bool>,
    /// Legacy: all video.
    pub video: Option<bool>,
    /// ICE restart: fresh credentials in a new offer.
    pub restart: bool,
    /// A new offer.
    pub update: bool,
}

/// What a media shard answers.
#[derive(Debug)]
pub enum Reply {
    /// To `Claim`: `fresh` false means that the id was taken, by a room of that owner.
    Claimed {
        /// The (perhaps minted) id.
        room: RoomId,
        /// Who owns it.
        owner: ShardId,
        /// Whether this claim made the record.
        fresh: bool,
    },
    /// To `Locate`.
    Located(Option<ShardId>),
    /// To `Release`.
    Released,
    /// To `Create`.
    Created(RoomId),
    /// To `Destroy`.
    Destroyed(RoomId),
    /// To `Exists`.
    Exists(RoomId, bool),
    /// To `List`: this shard's part.
    Rooms(Vec<RoomSummary>),
    /// To `Participants`.
    Participants(RoomId, Vec<ParticipantSummary>),
    /// To a publisher's join.
    Joined(Box<Joined>),
    /// To a subscriber's join.
    Attached(Box<Attached>),
    /// To either `configure` and to `publish`.
    Configured(Box<Configured>),
    /// To `unpublish`.
    Unpublished(RoomId),
    /// To a publisher's `leave` (rendered as `leaving: "ok"`).
    PublisherLeft(RoomId),
    /// To a subscriber's `leave` (rendered as `left: "ok"`).
    SubscriberLeft(RoomId),
    /// To `start`.
    Started(RoomId),
    /// To `pause`.
    Paused(RoomId),
    /// To `Teardown`.
    TornDown(HandleAddress),
    /// To `Survey`.
    Surveyed(Box<ShardReport>),
    /// The request is refused; nothing was changed.
    Refused(RoomError),
}

/// `joined`
#[derive(Debug)]
pub struct Joined {
    /// The room.
    pub room: RoomId,
    /// Its description.
    pub description: Box<str>,
    /// The participant's id.
    pub id: FeedId,
    /// For `private_id` of its subscriptions.
    pub private_id: u32,
    /// Who is publishing.
    pub publishers: Vec<PublisherSummary>,
    /// With `joinandconfigure` and an offer.
    pub published: Option<Published>,
}

/// What an offer led to.
#[derive(Debug)]
pub struct Published {
    /// The publisher's own streams.
    pub streams: Vec<StreamSummary>,
    /// Our answer.
    pub answer: Description,
}

/// `configured: "ok"`
#[derive(Debug)]
pub struct Configured {
    /// The room.
    pub room: RoomId,
    /// A publisher's offer was answered.
    pub published: Option<Published>,
    /// A subscriber's `restart` or `update` made a new offer.
    pub offer: Option<Description>,
}

/// `attached`
#[derive(Debug)]
pub struct Attached {
    /// The room.
    pub room: RoomId,
    /// The subscriber's m-lines.
    pub streams: Vec<SubscriptionSummary>,
    /// In the legacy form: the feed and its display.
    pub legacy: Option<(FeedId, Option<Box<str>>)>,
    /// Our offer.
    pub offer: Description,
}

/// One publisher as others see it.
#[derive(Debug, Clone)]
pub struct PublisherSummary {
    /// Feed id.
    pub id: FeedId,
    /// Name to show.
    pub display: Option<Box<str>>,
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
    /// Its tag.
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
    /// Opus DTX.
    pub dtx: bool,
    /// `profile-level-id` of H264.
    pub h264_profile: Option<Box<str>>,
    /// `profile-id` of VP9.
    pub vp9_profile: Option<Box<str>>,
    /// Negotiated extension ids, shown to the publisher alone.
    pub audiolevel_ext_id: Option<u8>,
    /// As above.
    pub videoorient_ext_id: Option<u8>,
    /// As above.
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
    /// As given.
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
    /// Whose.
    pub feed: FeedId,
    /// Its display.
    pub display: Option<Box<str>>,
    /// The publisher's m-line.
    pub mid: Mid,
    /// The publisher's text.
    pub description: Option<Box<str>>,
    /// Its codec.
    pub codec: Option<Codec>,
    /// `profile-level-id` of H264.
    pub h264_profile: Option<Box<str>>,
    /// `profile-id` of VP9.
    pub vp9_profile: Option<Box<str>>,
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
    /// Its id.
    pub id: FeedId,
    /// Name to show.
    pub display: Option<Box<str>>,
    /// Whether its peer connection is up.
    pub publisher: bool,
}

/// What a handle hears unasked.
#[derive(Debug, Clone)]
pub enum Event {
    /// New feeds, or changed streams of one.
    Publishers(RoomId, Vec<PublisherSummary>),
    /// A feed's peer connection is gone.
    Unpublished(RoomId, FeedId, Option<Box<str>>),
    /// A participant is gone.
    Leaving(RoomId, FeedId, Option<Box<str>>),
    /// A participant changed its display; rendered without `room` as Janus does.
    Display(FeedId, Box<str>),
    /// The room is gone.
    Destroyed(RoomId),
    /// A subscriber's m-lines changed: an offer to answer with `start`.
    Updated(RoomId, Vec<SubscriptionSummary>, Box<Description>),
    /// Core: the peer connection is up.
    WebrtcUp,
    /// Core: media of one m-line started or stopped arriving.
    Media {
        /// The handle's m-line.
        mid: Mid,
        /// Audio or video.
        kind: MediaKind,
        /// Arriving or not.
        receiving: bool,
    },
    /// Core: an m-line has lost too many packets within a second (`slowlink_threshold`).
    SlowLink {
        /// The handle's m-line.
        mid: Mid,
        /// Audio or video.
        kind: MediaKind,
        /// True for what we sent, as the peer reports it; false for what we miss.
        uplink: bool,
        /// How many.
        lost: u32,
    },
    /// What the VideoRoom says of it to a publisher.
    SlowPublisher {
        /// Its cap in bit/s; 0 is none.
        bitrate: u64,
    },
    /// What the VideoRoom says of it to a subscriber.
    SlowSubscriber,
    /// Core: the peer connection is gone.
    Hangup(HangupReason),
    /// Core: the handle is gone.
    Detached,
    /// The shard dropped the room after a fault of ours (its members are out; the peer connections are gone).
    RoomFailed(RoomId),
}

/// Why a peer connection ended; the text is Janus'.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HangupReason {
    /// The client said `hangup`.
    JanusApi,
    /// The plugin closed it: `unpublish`, `leave` of a subscriber, room destroyed.
    ClosePc,
    /// No valid check in time, or consent lapsed.
    IceFailed,
    /// The peer closed DTLS.
    DtlsAlert,
    /// The handshake did not finish in time.
    DtlsTimeout,
    /// The handshake failed; also a wrong fingerprint.
    DtlsError,
}

impl HangupReason {
    /// Janus' text.
    pub fn text(self) -> &'static str {
        match self {
            HangupReason::JanusApi => "Janus API",
            HangupReason::ClosePc => "Close PC",
            HangupReason::IceFailed => "ICE failed",
            HangupReason::DtlsAlert => "DTLS alert",
            HangupReason::DtlsTimeout => "DTLS timeout",
            HangupReason::DtlsError => "DTLS error",
        }
    }
}

/// What one media shard holds and has done; `/healthz` shows it.
#[derive(Debug, Clone, Default)]
pub struct ShardReport {
    /// Which shard.
    pub shard: u8,
    /// Named gauges: what is held now (rooms, members, peers, streams, legs, tuples, ufrags, history bytes, ..).
    pub gauges: Vec<(&'static str, u64)>,
    /// Named counters since start: what was done.
    pub counters: Vec<(&'static str, u64)>,
    /// Named drops since start: what was refused and why.
    pub drops: Vec<(&'static str, u64)>,
}
