//! The second half of a packet's journey, peer by peer: what this turn put into the outboxes is numbered, sealed
//! straight from the histories into the send arena, and grouped there.

use std::ops::Range;

use super::HostedRoom;
use crate::id::{FourTuple, LegId, MemberId};
use crate::limits::SEGMENT_MAX;
use crate::media::arena::Lane;
use crate::media::history::History;
use crate::media::leg::{HEADER_MAX, Leg, LegStreams, Stamps};
use crate::media::peer::{Keys, Peer};
use crate::media::sent::SentPacket;
use crate::media::stream::Stream;
use crate::media::tap;
use crate::media::turn::Turn;
use crate::media::verdict::DropReason;
use crate::wire::pcap::Direction;
use crate::wire::sdp::MediaKind;

impl HostedRoom {
    /// Sends what this turn has brought, to everyone who may have it now.
    pub fn release(&mut self, turn: &mut Turn<'_>) {
        self.route();
        let mut peers = std::mem::take(&mut self.touched_peers);
        if !peers.is_empty() {
            // A full socket refuses what comes last, and that is not to be the same subscriber's every time.
            let first = self.releases % peers.len();
            peers.rotate_left(first);
            self.releases = self.releases.wrapping_add(1);
        }
        for member in peers.drain(..) {
            for lane in [Lane::Audio, Lane::Video] {
                self.release_lane(turn, member, lane);
            }
        }
        self.touched_peers = peers;
        self.release_forwarders(turn);
    }

    /// Gives each open leg the range of packets that its stream got in this turn.
    fn route(&mut self) {
        for id in self.touched_streams.drain(..) {
            let Some(stream) = self.streams.get_mut(id.0) else { continue };
            for (index, layer) in stream.layers.iter_mut().enumerate() {
                let Some(range) = layer.take_turn() else { continue };
                if !stream.forwarders.is_empty() {
                    self.forwarding.push((id, index, range.clone()));
                }
                for &leg_id in &stream.route {
                    let Some(leg) = self.legs.get_mut(leg_id.0) else { continue };
                    if leg.outbound.is_none() {
                        // Its peer is not up yet: nothing is owed to it.
                        continue;
                    }
                    leg.pending = range.clone();
                    let Some(peer) = self.peers.get_mut(leg.member.0) else { continue };
                    if peer.outbox.push(leg.lane(), leg_id) {
                        self.touched_peers.push(leg.member);
                    }
                }
            }
        }
    }

    fn release_lane(&mut self, turn: &mut Turn<'_>, member: MemberId, lane: Lane) {
        let Some(peer) = self.peers.get_mut(member.0) else { return };
        let mut legs = std::mem::take(peer.outbox.lane(lane));
        for leg in legs.drain(..) {
            self.release_leg(turn, member, leg, lane);
        }
        if let Some(peer) = self.peers.get_mut(member.0) {
            *peer.outbox.lane(lane) = legs;
        }
    }

    fn release_leg(&mut self, turn: &mut Turn<'_>, member: MemberId, id: LegId, lane: Lane) {
        let (Some(leg), Some(peer)) = (self.legs.get_mut(id.0), self.peers.get_mut(member.0)) else { return };
        let range = std::mem::take(&mut leg.pending);
        let Some(source) = leg.source else { return };
        let Some(stream) = self.streams.get(source.0) else { return };
        if send_range(turn, leg, peer, stream, range, lane) {
            // The subscriber has no picture yet: its browser cannot know that there is one to ask for.
            self.request_keyframe(turn, source);
        }
    }
}

/// Seals a range of a stream's packets for one leg. True when the leg is held up for want of a keyframe.
fn send_range(
    turn: &mut Turn<'_>,
    leg: &mut Leg,
    peer: &mut Peer,
    stream: &Stream,
    range: Range<u64>,
    lane: Lane,
) -> bool {
    let transport_sequence = peer.transport_sequence;
    peer.ice.note_sent(turn.now.mono);
    let (Some((keys, path)), Some(streams)) = (peer.sender(), leg.outbound) else {
        turn.state.drops.add(DropReason::NoPath, range.end - range.start);
        return false;
    };
    let layer = &stream.layers[0];
    let history = &layer.history;
    let longest = if lane == Lane::Video { longest_payload(history, range.clone()) } else { 0 };
    let stamps = Stamps::at(turn.now.mono, transport_sequence);
    let mut release = Release { leg, keys, path, streams, history, began: layer.began, longest, lane, stamps };
    for position in range {
        release.send(turn, position);
    }
    peer.transport_sequence = release.stamps.transport_sequence;
    leg.awaiting_keyframe
}

/// One leg's release.
struct Release<'a> {
    leg: &'a mut Leg,
    keys: &'a mut Keys,
    path: FourTuple,
    streams: LegStreams,
    history: &'a History,
    /// Where in it the source began.
    began: u64,
    /// The longest payload of the range.
    longest: usize,
    lane: Lane,
    /// Of the next packet.
    stamps: Stamps,
}

impl Release<'_> {
    fn send(&mut self, turn: &mut Turn<'_>, position: u64) {
        let Some((entry, _)) = self.history.get(position) else { return turn.drop(DropReason::HistoryOverrun) };
        if self.leg.awaiting_keyframe {
            if !entry.keyframe {
                return turn.drop(DropReason::AwaitingKeyframe);
            }
            self.leg.awaiting_keyframe = false;
            self.seal(turn, position);
            return self.catch_up(turn, position);
        }
        if entry.late && self.leg.spec.kind == MediaKind::Audio && self.leg.rewrite.is_rebasing() {
            return turn.drop(DropReason::BeforeSwitch);
        }
        self.seal(turn, position);
    }

    /// When the beginning of a keyframe had to be repaired, the rest of it is here already, and was held back.
    fn catch_up(&mut self, turn: &mut Turn<'_>, keyframe: u64) {
        let Some((beginning, _)) = self.history.get(keyframe) else { return };
        if beginning.late {
            for position in keyframe.saturating_sub(HELD_BACK_MAX).max(self.began)..keyframe {
                if self.history.get(position).is_some_and(|(entry, _)| entry.sequence > beginning.sequence) {
                    self.seal(turn, position);
                }
            }
        }
    }

    fn seal(&mut self, turn: &mut Turn<'_>, position: u64) {
        let Some((entry, payload)) = self.history.get(position) else { return turn.drop(DropReason::HistoryOverrun) };
        let Release { leg, keys, streams, stamps, .. } = self;
        let Some(numbers) = leg.map(entry, turn.now.mono) else { return turn.drop(DropReason::BeforeSwitch) };
        let mut header = [0; HEADER_MAX];
        let Ok(len) = leg.write_header(entry, leg.pt(), numbers.timestamp, *stamps, &mut header) else {
            return turn.drop(DropReason::SegmentOverflow);
        };
        // Chromium cuts a frame into packets whose sizes differ by one byte, the smaller ones first; one byte of
        // padding (RFC 3550 §5.1) makes them one GSO message instead of two.
        let padding = u8::from(payload.len() + 1 == self.longest);
        let max = len + payload.len() + usize::from(padding) + keys.outbound.profile().rtp_overhead();
        if max > SEGMENT_MAX.max(crate::limits::DATAGRAM_MAX) {
            return turn.drop(DropReason::SegmentOverflow);
        }
        let sealed = turn.send(self.path, self.lane, max, |out| {
            let header = &mut header[..len];
            let sealed = keys.outbound.seal_at(streams.media, numbers.sequence, header, payload, padding, out);
            sealed.ok().map(|sealed| sealed.len)
        });
        if sealed.is_none() {
            return turn.drop(DropReason::IndexUsed);
        }
        if keys.capture.is_some() {
            // The sealer has completed the header. Of padding there is one byte, which says so.
            let pieces: [&[u8]; 3] = [&header[..len], payload, &[1][..padding.into()]];
            tap::record(&mut keys.capture, turn, Some(self.path), Direction::Out, &pieces);
        }
        if let Some(resendable) = &mut leg.resendable {
            let Stamps { abs_send_time, transport_sequence } = *stamps;
            let position = (position & 0xffff_ffff) as u32;
            resendable.record(numbers.sequence, SentPacket { position, transport_sequence, abs_send_time, padding });
        }
        if leg.has_transport_sequence() {
            stamps.transport_sequence = stamps.transport_sequence.wrapping_add(1);
        }
        leg.sent.packets = leg.sent.packets.wrapping_add(1);
        leg.sent.octets = leg.sent.octets.wrapping_add(payload.len() as u32);
        turn.state.counters.packets_sent += 1;
    }
}

/// Packets that may come between the beginning of a keyframe that was lost and its repair.
const HELD_BACK_MAX: u64 = crate::limits::VIDEO_MISSING_MAX as u64;

fn longest_payload(history: &History, range: Range<u64>) -> usize {
    range.filter_map(|position| history.get(position)).map(|(entry, _)| entry.payload_len()).max().unwrap_or(0)
}
