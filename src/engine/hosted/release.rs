//! The second half of a packet's journey, peer by peer: what this turn put into the outboxes is numbered, sealed
//! straight from the histories into the send arena, and grouped there.

use std::ops::Range;

use super::super::arena::Lane;
use super::super::leg::{HEADER_MAX, Leg};
use super::super::peer::Peer;
use super::super::stream::Stream;
use super::super::turn::Turn;
use super::super::verdict::DropReason;
use super::HostedRoom;
use crate::id::{LegId, MemberId};
use crate::limits::SEGMENT_MAX;

impl HostedRoom {
    /// Sends what this turn has brought, to everyone who may have it now.
    pub fn release(&mut self, turn: &mut Turn<'_>) {
        self.route();
        let mut peers = std::mem::take(&mut self.touched_peers);
        for member in peers.drain(..) {
            for lane in [Lane::Audio, Lane::Video] {
                self.release_lane(turn, member, lane);
            }
        }
        self.touched_peers = peers;
    }

    /// Gives each open leg the range of packets that its stream got in this turn.
    fn route(&mut self) {
        for id in self.touched_streams.drain(..) {
            let Some(stream) = self.streams.get_mut(id.0) else { continue };
            for layer in &mut stream.layers {
                let Some(range) = layer.take_turn() else { continue };
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
    let now = turn.now;
    let count = range.end - range.start;
    let mut transport_sequence = peer.transport_sequence;
    let (Some((keys, path)), Some(outbound)) = (peer.sender(), leg.outbound) else {
        turn.desk.drops.add(DropReason::NoPath, count);
        return false;
    };
    let history = &stream.layers[0].history;
    let longest = if lane == Lane::Video { longest_payload(history, range.clone()) } else { 0 };
    let mut header = [0; HEADER_MAX];
    for position in range {
        let Some((entry, payload)) = history.get(position) else {
            turn.drop(DropReason::HistoryOverrun);
            continue;
        };
        if leg.awaiting_keyframe {
            if !entry.keyframe {
                turn.drop(DropReason::AwaitingKeyframe);
                continue;
            }
            leg.awaiting_keyframe = false;
        }
        let Some(numbers) = leg.map(entry, now.mono) else {
            turn.drop(DropReason::BeforeSwitch);
            continue;
        };
        let next = || {
            let this = transport_sequence;
            transport_sequence = transport_sequence.wrapping_add(1);
            this
        };
        let Ok(len) = leg.write_header(entry, numbers, now, next, &mut header) else {
            turn.drop(DropReason::SegmentOverflow);
            continue;
        };
        // Chromium cuts a frame into packets whose sizes differ by one byte, the smaller ones first; one byte of
        // padding (RFC 3550 §5.1) makes them one GSO message instead of two.
        let padding = u8::from(payload.len() + 1 == longest);
        let max = len + payload.len() + usize::from(padding) + keys.outbound.profile().rtp_overhead();
        if max > SEGMENT_MAX.max(crate::limits::DATAGRAM_MAX) {
            turn.drop(DropReason::SegmentOverflow);
            continue;
        }
        let sealed = turn.send(path, lane, max, |out| {
            let sealed = keys.outbound.seal_at(outbound, numbers.sequence, &mut header[..len], payload, padding, out);
            sealed.ok().map(|sealed| sealed.len)
        });
        if sealed.is_none() {
            turn.drop(DropReason::IndexUsed);
            continue;
        }
        leg.sent.packets = leg.sent.packets.wrapping_add(1);
        leg.sent.octets = leg.sent.octets.wrapping_add(payload.len() as u32);
        turn.desk.counters.packets_sent += 1;
    }
    peer.transport_sequence = transport_sequence;
    leg.awaiting_keyframe
}

fn longest_payload(history: &super::super::history::History, range: Range<u64>) -> usize {
    range.filter_map(|position| history.get(position)).map(|(entry, _)| entry.payload_len()).max().unwrap_or(0)
}
