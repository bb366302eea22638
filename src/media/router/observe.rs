//! What event handlers want to know of a room's peers: how ICE and DTLS get on, and statistics of media. Nothing is made
//! that nobody wants, and nothing for a packet.

use std::time::Duration;

use super::HostedRoom;
use crate::control::codec::Codec;
use crate::control::command::HangupReason;
use crate::control::observation::{DtlsState, Flow, IceState, LineStatistics, Observation};
use crate::id::{FourTuple, MemberId};
use crate::media::leg::Leg;
use crate::media::stream::Stream;
use crate::media::turn::Turn;
use crate::proto::rtp::Arrival;

impl HostedRoom {
    /// A peer connection begins; `is_known` says whether its description is known already.
    pub(super) fn observe_opening(&self, turn: &mut Turn<'_>, member: MemberId, is_known: bool) {
        self.observe_ice(turn, member, IceState::Gathering);
        if turn.state.watch.peers {
            for index in 0..turn.state.candidates.len() {
                let candidate = turn.state.candidates[index].attribute(index).into();
                self.observe(turn, member, Observation::LocalCandidate(candidate));
            }
        }
        if is_known {
            self.observe_ice(turn, member, IceState::Connecting);
        }
    }

    pub(super) fn observe_ice(&self, turn: &mut Turn<'_>, member: MemberId, state: IceState) {
        self.observe(turn, member, Observation::Ice(state));
    }

    /// What is sent to a peer takes another path, perhaps its `first`.
    pub(super) fn observe_path(&self, turn: &mut Turn<'_>, member: MemberId, path: FourTuple, first: bool) {
        if first {
            self.observe_ice(turn, member, IceState::Connected);
        }
        if let Some(&local) = turn.state.watch.sockets.get(usize::from(path.socket.0)) {
            self.observe(turn, member, Observation::SelectedPair { local, remote: path.remote });
        }
        if first {
            self.observe(turn, member, Observation::Dtls(DtlsState::Trying));
        }
    }

    /// Media may flow.
    pub(super) fn observe_connection(&mut self, turn: &mut Turn<'_>, member: MemberId) {
        if let Some(peer) = self.peers.get_mut(member.0) {
            peer.statistics_at = turn.now.mono;
        }
        self.observe(turn, member, Observation::Dtls(DtlsState::Connected));
        self.observe_ice(turn, member, IceState::Ready);
    }

    /// A peer connection has come to nothing, or to its end.
    pub(super) fn observe_loss(&self, turn: &mut Turn<'_>, member: MemberId, reason: HangupReason) {
        match reason {
            HangupReason::IceFailed => self.observe_ice(turn, member, IceState::Failed),
            HangupReason::DtlsTimeout | HangupReason::DtlsError => {
                self.observe(turn, member, Observation::Dtls(DtlsState::Failed));
            }
            HangupReason::JanusApi | HangupReason::AdminApi | HangupReason::ClosePc | HangupReason::DtlsAlert => {}
        }
    }

    pub(super) fn observe(&self, turn: &mut Turn<'_>, member: MemberId, what: Observation) {
        if turn.state.watch.peers
            && let Some(of) = self.room.roster().address(member)
        {
            turn.state.observe(of, what);
        }
    }

    /// The statistics of a peer's m-lines, when it is time for them.
    pub(super) fn observe_media(&mut self, turn: &mut Turn<'_>, member: MemberId) {
        let period = turn.state.watch.statistics;
        self.observe_media_after(turn, member, period);
    }

    /// The last statistics of a peer's m-lines, before it goes.
    pub(super) fn observe_last_media(&mut self, turn: &mut Turn<'_>, member: MemberId) {
        self.observe_media_after(turn, member, Duration::ZERO);
    }

    fn observe_media_after(&mut self, turn: &mut Turn<'_>, member: MemberId, least: Duration) {
        let is_watched = !turn.state.watch.statistics.is_zero();
        let Some(peer) = self.peers.get_mut(member.0).filter(|peer| is_watched && peer.is_connected()) else { return };
        let since = turn.now.mono.since(peer.statistics_at);
        let Some(of) = self.room.roster().address(member).filter(|_| since >= least) else { return };
        peer.statistics_at = turn.now.mono;
        let mut lines = Vec::with_capacity(peer.streams.len() + peer.legs.len());
        for id in &peer.streams {
            if let Some(stream) = self.streams.get_mut(id.0) {
                lines.push(LineStatistics {
                    mid: stream.media.mid,
                    mindex: stream.media.mindex,
                    kind: stream.media.kind,
                    codec: stream.media.codec,
                    clock_rate: stream.clock_rate(),
                    round_trip: peer.round_trip,
                    received: received(stream, since),
                    sent: Flow::default(),
                });
            }
        }
        for id in &peer.legs {
            if let Some(leg) = self.legs.get_mut(id.0) {
                let codec = leg.source.and_then(|source| self.streams.get(source.0)?.media.codec);
                lines.push(LineStatistics {
                    mid: leg.spec.mid,
                    // A subscriber's m-lines are tagged by their index.
                    mindex: leg.spec.mid.parse().unwrap_or_default(),
                    kind: leg.spec.kind,
                    codec,
                    clock_rate: codec.map_or(leg.spec.clock_rate, Codec::clock_rate),
                    round_trip: peer.round_trip,
                    received: Flow::default(),
                    sent: sent(leg, since),
                });
            }
        }
        if !lines.is_empty() {
            turn.state.observe(of, Observation::Statistics(lines));
        }
    }
}

fn received(stream: &mut Stream, since: Duration) -> Flow {
    let counts = stream.counts();
    let newly = counts.bytes - std::mem::replace(&mut stream.octets_told, counts.bytes);
    let arrivals = || stream.layers.iter().filter_map(|layer| layer.arrival.as_ref());
    Flow {
        packets: counts.packets,
        octets: counts.bytes,
        octets_per_second: per_second(newly, since),
        lost: arrivals().map(|arrival| i64::from(arrival.cumulative_lost())).sum(),
        jitter: arrivals().map(Arrival::jitter).max().unwrap_or_default(),
        nacks: counts.nacks,
        retransmissions: counts.retransmissions,
    }
}

fn sent(leg: &mut Leg, since: Duration) -> Flow {
    let counts = leg.counts();
    let newly = counts.bytes - std::mem::replace(&mut leg.octets_told, counts.bytes);
    Flow {
        packets: counts.packets,
        octets: counts.bytes,
        octets_per_second: per_second(newly, since),
        lost: leg.loss.cumulative().into(),
        jitter: leg.remote_jitter,
        nacks: counts.nacks,
        retransmissions: counts.retransmissions,
    }
}

/// A second's worth; of less than a second, all.
fn per_second(octets: u64, since: Duration) -> u64 {
    let millis = u64::try_from(since.as_millis()).unwrap_or(u64::MAX).max(1000);
    octets.saturating_mul(1000) / millis
}
