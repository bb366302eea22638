//! What a handle asks of its room, typed: the requests of members with their elements. JSON has them in
//! `wire::janus::videoroom`; what becomes of them is in `publisher` and `subscriber`.

use super::forward::Forward;
use super::remote::{AddRemote, Remotize, UpdateRemote};
use crate::id::FeedId;
use crate::wire::rtp::extension::PlayoutDelay;
use crate::wire::sdp::{Description, Mid};

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
    /// Any other request of a subscriber with the answer to our offer riding on it.
    Answering(Box<MemberRequest>, Box<Description>),
    /// `configure` of a subscriber.
    ConfigureSubscriber(ConfigureSubscriber),
    /// `subscribe`, `unsubscribe` and `update`.
    Update(Update),
    /// `switch`
    Switch(Switch),
}

/// `join` with `ptype: "publisher"`.
#[derive(Debug, Default)]
pub struct JoinPublisher {
    /// Wished id; none or 0 means random.
    pub id: Option<FeedId>,
    /// Name to show.
    pub display: Option<Box<str>>,
    /// What else to show.
    pub metadata: Option<Metadata>,
    /// The room's pin when it has one.
    pub pin: Option<Box<str>>,
    /// Whether the token was signed for the room.
    pub is_signed: bool,
    /// One of the room's `allowed` when it checks them.
    pub token: Option<Box<str>>,
    /// When it counts as talking.
    pub talk: TalkWish,
    /// `joinandconfigure`.
    pub configure: Option<Configure>,
}

/// A JSON object that a participant wants shown to others, as text. The room does not look into it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata(pub Box<str>);

/// A participant's own `audio_active_packets` and `audio_level_average`; 0 is the room's.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct TalkWish {
    /// Packets of one evaluation.
    pub packets: Option<u32>,
    /// The threshold in -dBov.
    pub threshold: Option<u32>,
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
    /// What else to show from now on.
    pub metadata: Option<Metadata>,
    /// When it counts as talking from now on.
    pub talk: TalkWish,
    /// Texts per stream.
    pub descriptions: Vec<(Mid, Box<str>)>,
    /// Pause and resume relaying of own streams.
    pub streams: Vec<ConfigureStream>,
    /// Legacy: relay all audio streams or none.
    pub audio: Option<bool>,
    /// Legacy: relay all video streams or none.
    pub video: Option<bool>,
    pub offer: Option<Box<Description>>,
}

/// One entry of `streams` in a `configure` of either role.
#[derive(Debug, Default, Clone)]
pub struct ConfigureStream {
    /// Which m-line of the handle; none (in a single entry) means all.
    pub mid: Option<Mid>,
    pub send: Option<bool>,
    /// Ask for a keyframe (publishers).
    pub keyframe: bool,
    /// `min_delay` in units of 10 ms; negative takes the override away.
    pub min_delay: Option<i64>,
    /// `max_delay`, likewise.
    pub max_delay: Option<i64>,
}

/// `join` with `ptype: "subscriber"`.
#[derive(Debug, Default)]
pub struct JoinSubscriber {
    /// The room's pin when it has one.
    pub pin: Option<Box<str>>,
    /// Whether its token was signed for the room.
    pub is_signed: bool,
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
    pub feed: FeedId,
    /// Which m-line of the feed; none means all.
    pub mid: Option<Mid>,
    pub crossrefid: Option<Box<str>>,
    /// The playout-delay to send with.
    pub delay: Option<PlayoutDelay>,
}

/// The legacy form of a subscriber's `join` and `switch`.
#[derive(Debug, Clone)]
pub struct LegacyFeed {
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

/// `subscribe`, `unsubscribe` and `update`: what goes goes before what comes.
#[derive(Debug, Default)]
pub struct Update {
    /// What else to subscribe to, in order.
    pub subscribe: Vec<Subscribe>,
    /// What to subscribe to no more.
    pub unsubscribe: Vec<Unsubscribe>,
}

/// One entry of `subscribe`.
#[derive(Debug, Clone)]
pub struct Subscribe {
    pub stream: SubscribeStream,
    /// Relay it? Read only where one m-line is named.
    pub send: bool,
}

/// One entry of `unsubscribe`. What names nothing that is subscribed to is passed over.
#[derive(Debug, Clone, Default)]
pub struct Unsubscribe {
    pub feed: Option<FeedId>,
    /// Which m-line of the feed; none means all.
    pub mid: Option<Mid>,
    /// Or the subscriber's own m-line.
    pub sub_mid: Option<Mid>,
}

/// `switch`
#[derive(Debug)]
pub enum Switch {
    /// Line by line.
    Streams(Vec<SwitchStream>),
    /// As many m-lines as fit to another feed.
    Feed(LegacyFeed),
}

/// One entry of `switch`.
#[derive(Debug, Clone)]
pub struct SwitchStream {
    pub feed: FeedId,
    /// Which m-line of the feed.
    pub mid: Mid,
    /// On which m-line of the subscriber.
    pub sub_mid: Mid,
}

/// What a request about a room names in it.
#[derive(Debug)]
pub enum Named {
    Room,
    /// A publisher, by `publisher_id`.
    Feed(FeedId),
    /// A participant, by `id`.
    User(FeedId),
}

/// What whoever has the room's secret can ask.
#[derive(Debug)]
pub enum Administration {
    /// `edit`
    Edit(Edit),
    /// `allowed`
    Allow(Allow),
    /// `kick`
    Kick(FeedId),
    /// `moderate`
    Moderate {
        feed: FeedId,
        mid: Mid,
        /// No more, or again?
        mute: bool,
    },
    /// `enable_recording`
    Record(bool),
    /// `listforwarders`
    ListForwarders,
    /// `rtp_forward`
    Forward(Forward),
    /// `stop_rtp_forward`
    StopForward { feed: FeedId, stream_id: u64 },
    /// `publish_remotely`
    Remotize(Remotize),
    /// `unpublish_remotely`
    Unremotize {
        feed: FeedId,
        /// What it is called.
        remote_id: Box<str>,
    },
    /// `add_remote_publisher`
    AddRemote(Box<AddRemote>),
    /// `update_remote_publisher`
    UpdateRemote(Box<UpdateRemote>),
    /// `remove_remote_publisher`
    RemoveRemote(FeedId),
    /// `listremotes` of this feed.
    ListRemotes(FeedId),
    /// One of these that cannot be done, from whoever may hear why: answered when the secret is right and what it names is
    /// there.
    Vet(Named),
}

impl Administration {
    /// Whether what it leads to is to be kept beyond this run.
    pub fn is_permanent(&self) -> bool {
        matches!(self, Administration::Edit(Edit { permanent: true, .. }))
    }
}

/// `edit`: what is not given stays.
#[derive(Debug, Default)]
pub struct Edit {
    /// Shown in lists.
    pub description: Option<Box<str>>,
    /// Needed for requests like this one.
    pub secret: Option<Box<str>>,
    /// Needed to join.
    pub pin: Option<Box<str>>,
    /// Hidden from `list`.
    pub is_private: Option<bool>,
    /// Subscribers must present a `private_id`.
    pub require_pvtid: Option<bool>,
    /// Bits per second, for those who join from now on.
    pub bitrate: Option<u64>,
    /// Seconds between keyframes asked for.
    pub fir_freq: Option<u32>,
    pub publishers: Option<usize>,
    /// Whether the room as it is then is to be kept beyond this run.
    pub permanent: bool,
}

/// `allowed`
#[derive(Debug)]
pub enum Allow {
    /// Look at tokens from now on.
    Enable,
    /// Look at them no more.
    Disable,
    Add(Vec<Box<str>>),
    /// These no more.
    Remove(Vec<Box<str>>),
    /// Something that is no list of texts: told to those alone who know the secret.
    Unreadable,
}
