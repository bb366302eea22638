//! What a room needs of its shard while it handles one thing: the turn's clock, the shard's tables, and the way out.

use std::net::SocketAddr;
use std::time::Duration;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::Rng;

use super::arena::{Lane, SendArena, Transmit};
use super::forwarder::Receivers;
use super::index::{PeerIndex, PeerKey};
use super::machine::MachineCounters;
use super::memory::HistoryRegion;
use super::notice::Notices;
use super::outgoing::Outgoing;
use super::ports::RemotePorts;
use super::timer::Timers;
use super::verdict::{DropReason, Drops};
use crate::control::command::{Event, Mail};
use crate::control::observation::{Observation, Watch};
use crate::counters::counters;
use crate::id::{FourTuple, HandleAddress, ShardId, SignallingId};
use crate::limits::SEGMENT_MAX;
use crate::proto::dtls::{Fingerprint, Handshake, Role};
use crate::time::Now;
use crate::wire::sdp::Candidate;

/// Makes the DTLS side of new peers: the real library, or a script in simulations.
pub trait HandshakeFactory {
    /// A fresh endpoint; none when the library cannot make one.
    fn endpoint(&self, role: Role) -> Option<Box<dyn Handshake>>;
    /// Of the certificate that every endpoint presents.
    fn fingerprint(&self) -> Fingerprint;
}

impl HandshakeFactory for crate::proto::dtls::Context {
    fn endpoint(&self, role: Role) -> Option<Box<dyn Handshake>> {
        crate::proto::dtls::Endpoint::new(self, role).ok().map(|endpoint| Box::new(endpoint) as Box<dyn Handshake>)
    }

    fn fingerprint(&self) -> Fingerprint {
        crate::proto::dtls::Context::fingerprint(self)
    }
}

counters! {
    /// What the engine has done since start.
    pub struct Counters {
        /// Every count with its name.
        fn named {
            /// RTP packets accepted from publishers.
            packets_received,
            /// RTP packets sealed for subscribers.
            packets_sent,
            /// RTX probes and repairs seen.
            probes_received,
            /// STUN checks answered.
            checks_answered,
            /// DTLS datagrams taken.
            dtls_received,
            /// RTCP compounds taken.
            rtcp_received,
            /// RTCP compounds sent.
            rtcp_sent,
            /// PLIs sent to publishers.
            keyframe_requests_sent,
            /// Lost packets that subscribers have named (RFC 4585 §6.2.1).
            nacks_received,
            /// Packets sent again because of that.
            packets_resent,
            /// Packets named that could not be sent again: too old, never sent, or not reproducible.
            nack_unserved,
            /// Packets named again too soon, or beyond what a leg may resend.
            nack_throttled,
            /// Lost packets that publishers were asked for, every time.
            nacks_sent,
            /// Packets that came after they were asked for.
            packets_recovered,
            /// Packets that were lost and are not asked for any more: too old, or moot because of a keyframe.
            packets_abandoned,
            /// SSRCs that moved to another m-line of their peer (RFC 9143 §9.2).
            sources_rebound,
            /// Peers that went on with another DTLS association (RFC 8842 §5).
            associations_replaced,
            /// Times that media to a peer moved to the pair from which its own came.
            paths_followed,
            /// Handshakes that failed: no common version, suite or SRTP profile, a wrong certificate, no answer in time.
            handshakes_failed,
            peers_connected,
            /// RTP packets sent by forwarders.
            packets_forwarded,
            /// Captures that ended because they were as long as one may be.
            captures_limited,
            /// Captures that ended because their file could not be written.
            captures_failed,
            /// Rooms dropped after a fault of ours.
            rooms_failed,
        }
    }
}

/// The shard's tables, lent to one room at a time.
pub struct ShardState {
    pub shard: ShardId,
    /// Peers by path and ufrag.
    pub index: PeerIndex,
    /// Forwarders by the path of their receivers' RTCP.
    pub receivers: Receivers,
    /// What publishers of other servers send to.
    pub remote_ports: RemotePorts,
    /// Where the shard's sockets of peers are bound.
    pub sockets: Vec<SocketAddr>,
    /// When to look at which peer.
    pub timers: Timers<PeerKey>,
    /// This turn's datagrams.
    pub arena: SendArena,
    /// Why things were dropped.
    pub drops: Drops,
    /// What was done.
    pub counters: Counters,
    /// What the machine counts.
    pub machine: MachineCounters,
    /// Replies and events on their way out.
    pub mail: Outgoing,
    /// What the log is to say.
    pub notices: Notices,
    /// The only randomness.
    pub rng: ChaCha20Rng,
    pub region: HistoryRegion,
    /// Candidates for descriptions.
    pub candidates: Vec<Candidate>,
    /// An m-line from which nothing came for this long is not receiving; zero is never.
    pub no_media_timer: Duration,
    pub handshakes: Box<dyn HandshakeFactory>,
    /// A peer without an authenticated check for so long is gone.
    pub peer_timeout: Duration,
    /// Packets of an m-line lost in a second that make its link slow; 0 is never.
    pub slowlink_threshold: u32,
    /// What event handlers want to know.
    pub watch: Watch,
    /// Rooms whose streams got packets in this turn.
    pub touched_rooms: Vec<u32>,
}

/// One call into one room.
pub struct Turn<'a> {
    /// The turn's clock.
    pub now: Now,
    /// The shard's tables.
    pub state: &'a mut ShardState,
    /// Where a full arena goes.
    pub tx: &'a mut dyn Transmit,
}

impl Turn<'_> {
    /// Composes one datagram, flushing first when the arena is full. None when `compose` had nothing to send.
    pub fn send(
        &mut self,
        to: FourTuple,
        lane: Lane,
        max: usize,
        compose: impl FnOnce(&mut [u8]) -> Option<usize>,
    ) -> Option<usize> {
        if !self.state.arena.has_room(max) {
            self.flush();
        }
        self.state.arena.segment(to, lane, max, compose)
    }

    /// Composes one control datagram: STUN, DTLS or RTCP.
    pub fn send_control(&mut self, to: FourTuple, compose: impl FnOnce(&mut [u8]) -> Option<usize>) -> Option<usize> {
        self.send(to, Lane::Control, SEGMENT_MAX, compose)
    }

    /// Sends everything that waits in the arena.
    pub fn flush(&mut self) {
        if !self.state.arena.is_empty() {
            self.tx.transmit(&self.state.arena);
            self.state.arena.clear();
        }
    }

    /// Sixteen and sixteen random bits: SSRCs, starting points.
    pub fn random_u32(&mut self) -> u32 {
        self.state.rng.next_u32()
    }

    /// Counts a drop.
    pub fn drop(&mut self, reason: DropReason) {
        self.state.drops.count(reason);
    }

    /// Tells handles: one envelope per signalling shard.
    pub fn tell(&mut self, to: &[HandleAddress], event: Event) {
        self.state.tell(to, event);
    }
}

impl ShardState {
    /// Tells handles: one envelope per signalling shard.
    pub fn tell(&mut self, to: &[HandleAddress], event: Event) {
        let mut homes: Vec<SignallingId> = to.iter().map(|address| address.home).collect();
        homes.sort_unstable();
        homes.dedup();
        for home in homes {
            let to: Vec<_> = to.iter().copied().filter(|address| address.home == home).collect();
            if !self.mail.event(home, Mail::Event { from: self.shard, to, event: event.clone() }) {
                self.drops.count(DropReason::EventLaneFull);
            }
        }
    }

    /// Lets event handlers know of a handle.
    pub fn observe(&mut self, of: HandleAddress, what: Observation) {
        if !self.mail.observation(of.home, Mail::Observed { of, what }) {
            self.drops.count(DropReason::ObservationLaneFull);
        }
    }
}

/// Host candidates of the advertised addresses, the first the most preferred (RFC 8445 §5.1.2.1: type preference 126).
pub fn candidates(advertised: &[SocketAddr]) -> Vec<Candidate> {
    advertised
        .iter()
        .zip((0..=u16::MAX).rev())
        .map(|(address, local_preference)| Candidate {
            address: address.ip(),
            port: address.port(),
            priority: (126 << 24) | (u32::from(local_preference) << 8) | (256 - 1),
        })
        .collect()
}
