//! Names that this server mints or is given, each with a type of its own so that two integers are never mixed up.

use std::fmt;
use std::net::SocketAddr;

/// A media shard: one pinned core, one UDP port per media address. Also its index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShardId(pub u8);

/// A signalling shard. The home of a session is `session id mod signalling shards`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SignallingId(pub u8);

/// A Janus session: a JSON integer in 1 ..= 2^53-1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub u64);

/// A Janus plugin handle: a JSON integer in 1 ..= 2^53-1, unique in the whole server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HandleId(pub u64);

/// Where a handle lives: which signalling shard renders what is said to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HandleAddress {
    /// The signalling shard that is the home of the session.
    pub home: SignallingId,
    /// The session that owns the handle.
    pub session: SessionId,
    /// The handle itself.
    pub handle: HandleId,
}

/// A name that clients choose: all integers or all strings in one server (`string_ids`).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Name {
    /// The default: a JSON integer up to 2^53-1.
    Number(u64),
    /// With `string_ids`.
    Text(Box<str>),
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Name::Number(n) => write!(f, "{n}"),
            Name::Text(t) => f.write_str(t),
        }
    }
}

/// A VideoRoom's id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RoomId(pub Name);

/// A participant's id in its room; what others subscribe to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FeedId(pub Name);

impl From<u64> for RoomId {
    fn from(id: u64) -> Self {
        RoomId(Name::Number(id))
    }
}

impl From<u64> for FeedId {
    fn from(id: u64) -> Self {
        FeedId(Name::Number(id))
    }
}

impl fmt::Display for RoomId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for FeedId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One handle inside one room: an index into the room's members. Each member has at most one peer connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MemberId(pub u32);

/// One published m-line inside one room: an index into the room's streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(pub u32);

/// One subscriber's m-line inside one room: an index into the room's legs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LegId(pub u32);

/// One RTP forwarder inside one room: an index into the room's forwarders. Clients know it by another number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ForwarderId(pub u32);

/// Which of a media shard's UDP sockets: an index into its media addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SocketId(pub u16);

/// One path to a peer: our socket (address and port) and the peer's address and port. RFC 8445 calls it a candidate pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FourTuple {
    pub socket: SocketId,
    /// The peer's side as the kernel saw it.
    pub remote: SocketAddr,
}

/// A reserved place for one reply: a slab index with a generation, so that a late or repeated reply finds nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket {
    /// Index into the waiting table of the signalling shard.
    pub slot: u32,
    /// Counts how often the slot has been used.
    pub generation: u32,
}
