//! What a room knows: its members, their m-lines and legs, forwarders and remotizations. Plain data; what happens to it is in
//! the files beside this one.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use rand_chacha::ChaCha20Rng;

use super::line::{Line, Stream};
use super::table::Table;
use crate::control::allowed::AllowList;
use crate::control::codec::Codec;
use crate::control::forward::{SrtpKey, Target};
use crate::control::media::OfferedMedia;
use crate::control::request::TalkWish;
use crate::control::spec::RoomSpec;
use crate::control::summary::Identity;
use crate::id::{FeedId, ForwarderId, HandleAddress, LegId, MemberId, StreamId};
use crate::wire::rtp::extension::PlayoutDelay;
use crate::wire::sdp::{MediaKind, Mid};

/// One room. Deterministic: the same requests and the same generator give the same replies and effects.
#[derive(Debug)]
pub struct Room {
    pub(super) wiring: Wiring,
    pub(super) forwarding: Forwarders,
    pub(super) allowed: AllowList,
    pub(super) rng: ChaCha20Rng,
    /// Whether event handlers want to know what happens here.
    pub(super) watched: bool,
}

/// Who is in the room.
#[derive(Debug)]
pub struct Roster {
    pub(super) members: Table<MemberId, Member>,
    // Ordered maps: clients choose feed and session ids, and a tree has no collisions to attack.
    pub(super) seats: BTreeMap<HandleAddress, Seat>,
    pub(super) feeds: BTreeMap<FeedId, MemberId>,
}

/// Who hears whom: a leg is wired to a stream, by the room's rules.
#[derive(Debug)]
pub struct Wiring {
    pub(super) spec: RoomSpec,
    pub(super) roster: Roster,
    pub(super) streams: Table<StreamId, Stream>,
    pub(super) legs: Table<LegId, Leg>,
}

/// What goes where without a subscriber.
#[derive(Debug)]
pub(super) struct Forwarders {
    pub(super) forwarders: Table<ForwarderId, Forwarder>,
    pub(super) remotizations: Vec<Remotization>,
    pub(super) remotizations_made: u64,
}

/// What a room holds now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RoomGauges {
    /// Publisher-role members, publishing or not.
    pub publishers: usize,
    pub subscribers: usize,
    /// Handles that have left and are not detached yet.
    pub finished: usize,
    /// Members with a peer connection, up or not.
    pub peers: usize,
    /// Published m-lines that can be received.
    pub streams: usize,
    pub legs: usize,
    pub forwarders: usize,
}

/// What a handle is to the room.
#[derive(Clone, Copy, Debug)]
pub(super) enum Seat {
    /// It has joined.
    Member(MemberId),
    /// It has left or was thrown out; kept so that it cannot join again, until it is detached.
    Finished,
}

#[derive(Debug)]
pub(super) struct Member {
    /// None for the dummy, which nobody can talk to.
    pub(super) address: Option<HandleAddress>,
    pub(super) peer: Peer,
    pub(super) role: Role,
}

/// A member's peer connection: open from `OpenPeer` to `ClosePeer`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Peer {
    None,
    Connecting,
    Up,
}

#[derive(Debug)]
pub(super) enum Role {
    Publisher(Publisher),
    Subscriber(Subscriber),
}

/// A participant: an attendee, or a publisher while it has a peer connection.
#[derive(Debug)]
pub(super) struct Publisher {
    pub(super) who: Identity,
    pub(super) private_id: u32,
    pub(super) talk: TalkWish,
    /// REMB cap in bit/s; 0 is none.
    pub(super) bitrate: u64,
    pub(super) is_dummy: bool,
    /// Of another server.
    pub(super) is_remote: bool,
    /// It has said that its media are encrypted end to end, until the peer connection ends.
    pub(super) e2ee: bool,
    /// Preferred codecs, until the peer connection ends.
    pub(super) prefer_audio: Option<Codec>,
    pub(super) prefer_video: Option<Codec>,
    /// One per m-line; empty without a peer connection.
    pub(super) lines: Vec<Line>,
}

/// A handle that receives. It is finished when its peer connection is: the legs are gone, and only `leave` remains.
#[derive(Debug)]
pub(super) struct Subscriber {
    /// Of the participant that it belongs to, as it says.
    pub(super) private_id: Option<u32>,
    /// Whether that participant was thrown out.
    pub(super) is_silenced: bool,
    pub(super) use_msid: bool,
    /// Whether its feeds are encrypted end to end: all or none.
    pub(super) e2ee: bool,
    pub(super) autoupdate: bool,
    pub(super) paused: bool,
    /// `o=` of its offers: one id, and a version that grows.
    pub(super) origin_id: u64,
    pub(super) version: u64,
    pub(super) exchange: Exchange,
    /// Whether an answer has said where the peer is.
    pub(super) located: bool,
    /// The m-lines of the last offer: the answer is to these.
    pub(super) offered: Vec<OfferedMedia>,
    /// One per m-line.
    pub(super) legs: Vec<LegId>,
}

/// Where offer and answer are.
#[derive(Clone, Copy, Debug)]
pub(super) enum Exchange {
    /// The last offer is answered.
    Settled,
    /// It is not; another one may have to follow.
    Offered { next: Option<NextOffer> },
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct NextOffer {
    pub(super) restart: bool,
}

/// A subscriber's m-line.
#[derive(Debug)]
pub(super) struct Leg {
    pub(super) subscriber: MemberId,
    pub(super) source: Option<StreamId>,
    /// As the next offer will have it.
    pub(super) line: OfferedMedia,
    pub(super) crossrefid: Option<Box<str>>,
    /// What the last answer said.
    pub(super) accepted: bool,
    /// What `configure` said last.
    pub(super) send: bool,
    /// The playout-delay that it asks for; none leaves it to the publisher.
    pub(super) delay: Option<PlayoutDelay>,
    /// What the engine was told last.
    pub(super) open: bool,
    pub(super) imposed: Option<PlayoutDelay>,
}

/// A forwarder.
#[derive(Debug)]
pub(super) struct Forwarder {
    /// The number by which clients know it, unless it belongs to a remotization.
    pub(super) stream_id: Option<u32>,
    /// Which remotization it belongs to.
    pub(super) remotization: Option<u64>,
    pub(super) publisher: MemberId,
    pub(super) mindex: usize,
    pub(super) mid: Mid,
    pub(super) kind: MediaKind,
    pub(super) target: Target,
    /// What it is sent with, as far as that is known.
    pub(super) ssrc: Option<u32>,
    /// What flows through it now.
    pub(super) source: Option<StreamId>,
}

/// A publisher at another server. It ends with the publisher's peer connection, as forwarders do.
#[derive(Debug)]
pub(super) struct Remotization {
    pub(super) publisher: MemberId,
    pub(super) remote_id: Box<str>,
    pub(super) to: SocketAddr,
    pub(super) rtcp_port: Option<u16>,
    pub(super) srtp: Option<SrtpKey>,
    /// By what its forwarders name it: never used twice.
    pub(super) number: u64,
}
