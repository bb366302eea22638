//! What an operator is shown of one handle: what it is to its room, and its peer connection as the media shard sees it.
//! Nothing here is told to clients.

use std::net::SocketAddr;
use std::time::Duration;

use super::codec::Codec;
use super::media::ExtensionIds;
use super::summary::{Identity, StreamSummary, SubscriptionSummary};
use crate::id::RoomId;
use crate::time::Mono;
use crate::wire::pcap::Format;
use crate::wire::sdp::{Fingerprint, MediaKind, Mid};

/// One handle.
#[derive(Debug)]
pub struct Inspection {
    /// What it is to its room.
    pub member: MemberView,
    /// Its peer connection.
    pub peer: Option<PeerView>,
}

/// What a handle is to its room.
#[derive(Debug)]
pub enum MemberView {
    /// A participant, publishing or not.
    Publisher {
        room: RoomId,
        /// As others know it.
        who: Identity,
        /// What its subscriptions show.
        private_id: u32,
        /// REMB cap in bit/s; 0 is none.
        bitrate: u64,
        /// Each m-line with how many receive it.
        streams: Vec<(StreamSummary, usize)>,
    },
    Subscriber {
        room: RoomId,
        /// Whose it says to be.
        private_id: Option<u32>,
        streams: Vec<SubscriptionSummary>,
        /// How it stands.
        state: SubscriberState,
    },
    /// It has left, or was thrown out.
    Finished(RoomId),
}

/// Where a subscriber's offers and answers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SubscriberState {
    /// The last offer is answered.
    pub answered: bool,
    /// Another offer follows the answer.
    pub pending_offer: bool,
    /// With an ICE restart.
    pub pending_restart: bool,
    /// Nothing is sent until `start`.
    pub paused: bool,
}

/// A peer connection.
#[derive(Debug)]
pub struct PeerView {
    pub local: Vec<SocketAddr>,
    /// Where believed checks came from.
    pub remote: Vec<SocketAddr>,
    /// The two ends in use, and whether the peer has nominated them.
    pub selected: Option<(SocketAddr, SocketAddr, bool)>,
    /// When the last check was believed.
    pub last_check: Option<Mono>,
    /// Whether its description is known.
    pub is_described: bool,
    /// Whether we are the DTLS client.
    pub is_dtls_client: bool,
    /// Of our certificate, as SDP has it.
    pub fingerprint: String,
    /// Of the peer's, as it says.
    pub remote_fingerprint: Option<Fingerprint>,
    /// The SRTP profile, once the handshake is done, and when that was.
    pub connected: Option<(&'static str, Mono)>,
    /// DTLS datagrams that had no effect.
    pub dtls_ignored: u64,
    /// The time to the peer and back; zero when it is not known.
    pub round_trip: Duration,
    /// The capture of its packets: what the file is, and what it is called.
    pub capture: Option<(Format, Box<str>)>,
    pub lines: Vec<LineView>,
}

/// One m-line.
#[derive(Debug)]
pub struct LineView {
    pub mid: Mid,
    pub mindex: usize,
    /// Audio or video.
    pub kind: MediaKind,
    /// The codec; none when nothing is agreed or nothing feeds it.
    pub codec: Option<Codec>,
    /// Its payload type.
    pub pt: u8,
    /// That of RTX.
    pub rtx_pt: Option<u8>,
    /// Whether lost packets are asked for.
    pub nack: bool,
    pub extensions: ExtensionIds,
    pub flow: Flow,
}

/// What flows on an m-line: one way in the VideoRoom.
#[derive(Debug)]
pub enum Flow {
    In {
        /// The peer's SSRCs as far as they are known: those that are heard, then those that are announced alone.
        ssrcs: Vec<u32>,
        /// Those of its RTX.
        rtx_ssrcs: Vec<u32>,
        /// Whether packets come.
        receiving: bool,
        counts: Counts,
        /// Packets that we miss since the source began.
        lost: i64,
        /// Interarrival jitter (RFC 3550 §6.4.1).
        jitter: Duration,
    },
    Out {
        ssrc: u32,
        /// That of our RTX.
        rtx_ssrc: Option<u32>,
        /// Whether packets may flow.
        open: bool,
        counts: Counts,
        /// Packets that the peer says it misses.
        lost: i64,
    },
}

/// Counts of one direction of an m-line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub packets: u64,
    /// Their payload bytes.
    pub bytes: u64,
    /// The bytes of the last whole second between two reports.
    pub bytes_last_second: u64,
    /// Packets that the receiver has asked for again, every time.
    pub nacks: u64,
    /// Packets sent again.
    pub retransmissions: u64,
}
