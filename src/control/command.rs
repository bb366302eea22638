//! The whole control surface between signalling and media shards: commands one way, replies and events the other.
//!
//! Everything is typed; neither JSON nor SDP text crosses. A room is named by its id; its registrar shard knows which
//! shard owns it. A handle is named by its address; all that is said to a handle comes from the one shard where its
//! room lives, in order.

use std::time::Duration;

use super::capture::{CaptureError, CaptureOrder};
use super::error::RoomError;
use super::inspection::Inspection;
use super::observation::Observation;
use super::request::{Administration, MemberRequest, Metadata};
use super::spec::RoomSpec;
use super::summary::{
    Attached, Configured, Forwarding, Identity, Joined, ParticipantSummary, PublisherForwarders, PublisherSummary,
    RemoteSummary, RoomSummary, SubscriptionSummary, Switched, Updated,
};
use super::talking::TalkChange;
use crate::id::{FeedId, HandleAddress, RoomId, SessionId, ShardId, SignallingId, Ticket};
use crate::wire::sdp::{Description, MediaKind};

/// Signalling to media.
#[derive(Debug)]
pub struct CommandEnvelope {
    /// Where the reply goes; none for commands that have no reply.
    pub ticket: Option<Ticket>,
    pub from: SignallingId,
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
        from: ShardId,
        /// How many peers the answering shard carries: placement reads it.
        load: u32,
        reply: Reply,
    },
    /// Something a handle must hear, unasked; rendered once and sent to each recipient.
    Event {
        from: ShardId,
        /// Handles of this signalling shard only.
        to: Vec<HandleAddress>,
        event: Event,
    },
    /// Something that event handlers want to know of a handle; it may be lost where events may not.
    Observed { of: HandleAddress, what: Observation },
    /// Events for these sessions were lost because the lane stayed full: they no longer know what is, and are to be
    /// closed.
    Lost { from: ShardId, sessions: Vec<SessionId> },
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
    FindOwner(RoomId),
    /// To the registrar: the owner says that the room is gone (or was never made). Idempotent.
    Release(RoomId, ShardId),
    /// To the owner: make the room.
    Create(Box<RoomSpec>),
    /// To the owner: end the room.
    Destroy {
        room: RoomId,
        /// Needed when the room has one.
        secret: Option<Box<str>>,
    },
    /// To the owner: what the room's secret is for.
    Administer {
        room: RoomId,
        /// Needed when the room has one.
        secret: Option<Box<str>>,
        request: Box<Administration>,
    },
    /// To the owner: is it there?
    Exists(RoomId),
    /// To the owner: would this pin open the room? Asked for a join that is wrong in itself, because a client hears of
    /// its pin first.
    CheckPin {
        room: RoomId,
        pin: Option<Box<str>>,
        /// Whether the token was signed for the room.
        is_signed: bool,
    },
    /// To every shard: your rooms. Private ones only for somebody with the admin key.
    List {
        /// Whether private rooms are listed too.
        private: bool,
    },
    /// To the owner: who is in the room?
    Participants(RoomId),
    /// To the owner: a request of one handle, in its order.
    Member { room: RoomId, handle: HandleAddress, request: Box<MemberRequest> },
    /// To the owner: end the peer connection, or the whole membership. Never refused, repeated until acknowledged
    /// with [`Reply::TornDown`]; unknown rooms and handles are acknowledged too.
    Teardown { room: RoomId, handle: HandleAddress, kind: Teardown },
    /// To every shard: how are you?
    Survey,
    /// To every shard: what an operator has set.
    Adjust(Settings),
    /// To the owner: how is this handle doing? For operators.
    Inspect { room: RoomId, handle: HandleAddress },
    /// To the owner: capture this handle's packets, or no longer. For operators.
    Capture { room: RoomId, handle: HandleAddress, order: CaptureOrder },
}

/// How much of a membership ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Teardown {
    /// The client's `hangup`: the peer connection only.
    Hangup,
    /// An operator's: the same.
    OperatorHangup,
    /// `detach`, `destroy`, session timeout, lost connection: everything.
    Detach,
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
    /// To `FindOwner`.
    Owner(Option<ShardId>),
    /// To `Release`.
    Released,
    /// To `Create`.
    Created(RoomId),
    /// To `Destroy`.
    Destroyed(RoomId),
    /// To `edit`; with the room as it is now where that is to be kept.
    Edited(RoomId, Option<Box<RoomSpec>>),
    /// To `allowed`: the tokens, unless they are not looked at any more.
    Allowed(RoomId, Option<Vec<Box<str>>>),
    /// To `kick`.
    Kicked,
    /// To `moderate`.
    Moderated,
    /// To `enable_recording`.
    Recording(bool),
    /// To `listforwarders`: those who have any.
    Forwarders(RoomId, Vec<PublisherForwarders>),
    /// To `rtp_forward`.
    Forwarding(Box<Forwarding>),
    /// To `publish_remotely`.
    Remotized(RoomId, FeedId, Box<str>),
    /// To `unpublish_remotely`.
    Unremotized(RoomId, FeedId),
    /// To `add_remote_publisher`.
    RemoteAdded {
        room: RoomId,
        /// Its id here.
        id: FeedId,
        /// Where its media, and what opens the way for our RTCP, are to come.
        port: u16,
    },
    /// To `update_remote_publisher` and `remove_remote_publisher`.
    RemoteDone,
    /// To `listremotes`.
    Remotes(RoomId, FeedId, Vec<RemoteSummary>),
    /// To `stop_rtp_forward`.
    ForwardStopped(RoomId, FeedId, u32),
    /// To `Exists`.
    Exists(RoomId, bool),
    /// To `CheckPin`: it would.
    Admitted(RoomId),
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
    /// To a subscriber's `configure` with `restart` or `update` while an offer is outstanding: nothing is said now, and
    /// another offer follows the answer.
    Postponed,
    /// To `unpublish`.
    Unpublished(RoomId),
    /// To a publisher's `leave` (rendered as `leaving: "ok"`).
    PublisherLeft(RoomId),
    /// To a subscriber's `leave` (rendered as `left: "ok"`).
    SubscriberLeft(RoomId),
    /// To `subscribe`, `unsubscribe` and `update`.
    Updated(Box<Updated>),
    /// To the same: an offer is outstanding, another one follows its answer.
    Updating(RoomId),
    /// To `switch`.
    Switched(Box<Switched>),
    /// To `start`.
    Started(RoomId),
    /// To `pause`.
    Paused(RoomId),
    /// To `Teardown`.
    TornDown(HandleAddress),
    /// To `Survey`.
    Surveyed(Box<ShardReport>),
    /// To `Adjust`.
    Adjusted,
    /// To `Inspect`; none when the room or the handle is not there.
    Inspected(Option<Box<Inspection>>),
    /// To `Capture`.
    Capture(Result<(), CaptureError>),
    /// The request is refused; nothing was changed.
    Refused(RoomError),
}

/// What a handle hears unasked.
#[derive(Debug, Clone)]
pub enum Event {
    /// New feeds, or changed streams of one.
    Publishers(RoomId, Vec<PublisherSummary>),
    /// Somebody has joined and does not publish yet; only with `notify_joining`.
    Joining(RoomId, Identity),
    /// A feed's peer connection is gone.
    Unpublished(RoomId, Identity),
    /// A participant is gone.
    Leaving(RoomId, Identity),
    /// A participant changed its display; rendered without `room` as Janus does.
    Display(FeedId, Box<str>, Option<Metadata>),
    /// A participant changed its metadata; rendered likewise.
    Metadata(FeedId, Metadata),
    /// Somebody begins or stops talking; the talker hears it too.
    Talking {
        room: RoomId,
        feed: FeedId,
        /// Index of the m-line.
        mindex: usize,
        mid: Box<str>,
        /// Begins or stops, and how loudly.
        change: TalkChange,
    },
    /// Somebody was thrown out; nothing else is told of its end.
    Kicked(RoomId, Identity),
    /// The same, to the one concerned.
    Expelled(RoomId),
    /// A moderator has muted a stream, or says that it may be heard again; the publisher hears it too.
    Moderated {
        room: RoomId,
        feed: FeedId,
        mid: Box<str>,
        /// Muted or heard.
        muted: bool,
    },
    /// The room is gone.
    Destroyed(RoomId),
    /// A subscriber's m-lines changed: an offer to answer with `start`.
    Updated(RoomId, Vec<SubscriptionSummary>, Box<Description>),
    /// Core: the peer connection is up.
    WebrtcUp,
    /// Core: media of one m-line started or stopped arriving.
    Media {
        /// The handle's m-line.
        mid: Box<str>,
        /// Audio or video.
        kind: MediaKind,
        /// Arriving or not.
        receiving: bool,
        /// For how long none came, where that is more than one second.
        seconds: Option<u64>,
    },
    /// Core: an m-line has lost too many packets within a second (`slowlink_threshold`).
    SlowLink {
        /// The handle's m-line.
        mid: Box<str>,
        /// Audio or video.
        kind: MediaKind,
        /// True for what we sent, as the peer reports it; false for what we miss.
        uplink: bool,
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
    /// An operator said so.
    AdminApi,
    /// The plugin closed it: `unpublish`, `leave`, `kick`, room destroyed.
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
            HangupReason::AdminApi => "Admin API",
            HangupReason::ClosePc => "Close PC",
            HangupReason::IceFailed => "ICE failed",
            HangupReason::DtlsAlert => "DTLS alert",
            HangupReason::DtlsTimeout => "DTLS timeout",
            HangupReason::DtlsError => "DTLS error",
        }
    }
}

/// What operators may change of every media shard while it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Packets of an m-line lost in a second that are told as a slow link; 0 is never.
    pub slowlink_threshold: u32,
    /// An m-line from which nothing came for this long is told as not receiving; zero is never.
    pub no_media_timer: Duration,
}

/// What one media shard holds and has done; `/healthz` shows it.
#[derive(Debug, Clone, Default)]
pub struct ShardReport {
    pub shard: u8,
    /// Named gauges: what is held now (rooms, members, peers, streams, legs, tuples, ufrags, history bytes, ..).
    pub gauges: Vec<(&'static str, u64)>,
    /// Named counters since start: what was done.
    pub counters: Vec<(&'static str, u64)>,
    /// Named drops since start: what was refused and why.
    pub drops: Vec<(&'static str, u64)>,
}
