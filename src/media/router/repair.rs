//! What was lost on the way is sent again: publishers are asked for what is missing, and their RTX finds its place;
//! subscribers who ask are served from the history, with RTX or byte for byte. RFC 4585 §6.2.1, RFC 4588.

use std::time::Duration;

use super::HostedRoom;
use super::reports::with_cname;
use crate::id::{FourTuple, MemberId, StreamId};
use crate::limits::{DATAGRAM_MAX, HISTORY_AGE, NACKED_MAX, RESEND_INTERVAL, VIDEO_MISSING_MAX};
use crate::media::arena::Lane;
use crate::media::history::History;
use crate::media::leg::{HEADER_MAX, Leg, Stamps};
use crate::media::peer::Keys;
use crate::media::tap;
use crate::media::turn::Turn;
use crate::media::verdict::{DropReason, Verdict};
use crate::time::Mono;
use crate::wire::pcap::Direction;
use crate::wire::rtcp::{Nack, ReceiverReport, nack};
use crate::wire::rtp::{Header, Packet};

impl HostedRoom {
    /// RTX, announced for the media SSRC `of` or for none: the original packet takes its place if it is missing. Browsers
    /// also probe the bandwidth with RTX of packets that are here, or of nothing but padding; transport feedback has counted
    /// those already.
    pub(super) fn accept_repair(
        &mut self,
        turn: &mut Turn<'_>,
        (id, layer): (StreamId, usize),
        of: Option<u32>,
        received: Mono,
        packet: &Packet<'_>,
    ) -> Verdict {
        let Some(stream) = self.streams.get(id.0) else { return Verdict::Drop(DropReason::RtpUnknownSource) };
        if Some(packet.header.payload_type) != stream.media.rtx_pt {
            return Verdict::Drop(DropReason::RtpPayloadType);
        }
        let selection = &stream.layers[layer].selection;
        if !selection.may_repair(of, received) {
            return Verdict::Drop(DropReason::RtpSourceRefused);
        }
        // RFC 4588 §5.3: RTX that nothing pairs with one of several sources is of the one that was asked for the packet.
        let must_be_asked = of.is_none() && selection.is_contested(received);
        let mut probe = || {
            turn.state.counters.probes_received += 1;
            Verdict::Drop(DropReason::RtxProbe)
        };
        if packet.payload.is_empty() {
            return probe();
        }
        // RFC 4588 §4: the original sequence number, then the original payload.
        let Some((original, payload)) = packet.payload.split_first_chunk() else {
            return Verdict::Drop(DropReason::RtpMalformed);
        };
        let (sequence, of) = (u16::from_be_bytes(*original), &stream.layers[layer]);
        let number = if must_be_asked { of.losses.asked(sequence) } else { of.losses.unseen(sequence) };
        let (Some(ssrc), Some(number)) = (of.ssrc(), number) else { return probe() };
        if payload.is_empty() {
            // Padding, sent again.
            self.withhold(turn, (id, layer), received, number);
            return Verdict::Drop(DropReason::RtpPadding);
        }
        let header = Header { payload_type: stream.media.pt, sequence, ssrc, ..packet.header };
        // Loss statistics do not hear of it: RFC 4588 §7 has RTX reported apart.
        self.store(turn, (id, layer), received, &Packet { header, payload, ..*packet }, number, true)
    }

    /// Asks a publisher for what is missing and due.
    pub(super) fn send_nacks(&mut self, turn: &mut Turn<'_>, member: MemberId) {
        let now = turn.now.mono;
        let Some(peer) = self.peers.get_mut(member.0) else { return };
        let sender_ssrc = peer.report_ssrc;
        for i in 0..peer.streams.len() {
            let Some(stream) = self.streams.get_mut(peer.streams[i].0) else { continue };
            for layer in stream.layers.iter_mut().filter(|layer| layer.losses.deadline() <= now) {
                let Some(media_ssrc) = layer.ssrc() else { continue };
                let (mut room, mut asked) = ([[0; 4]; VIDEO_MISSING_MAX], 0);
                let entries = nack::pack(layer.losses.take_due(now).inspect(|_| asked += 1), &mut room);
                turn.state.counters.packets_abandoned += layer.losses.take_abandoned();
                let sent = !entries.is_empty()
                    && peer.send_rtcp(turn, |out| {
                        let report = ReceiverReport { ssrc: sender_ssrc, blocks: &[] };
                        let len = with_cname(out, sender_ssrc, |out| report.write(out))?;
                        Some(len + Nack { sender_ssrc, media_ssrc, entries }.write(&mut out[len..]).ok()?)
                    });
                let asked = if sent { asked } else { 0 };
                turn.state.counters.nacks_sent += asked;
                layer.counted.nacks += asked;
            }
        }
    }

    /// A subscriber names what it has not got. What we ourselves are still missing goes to it anyway when it comes.
    pub(super) fn serve_nack(&mut self, turn: &mut Turn<'_>, member: MemberId, nack: &Nack<'_>) {
        let asked = nack.lost().count() as u64;
        turn.state.counters.nacks_received += asked;
        turn.state.counters.nack_unserved += asked.saturating_sub(NACKED_MAX as u64);
        let lost = nack.lost().take(NACKED_MAX);
        let unserved = asked.min(NACKED_MAX as u64);

        let Some(peer) = self.peers.get_mut(member.0) else { return };
        let mut legs = peer.legs.iter().copied();
        let found = legs.find(|leg| self.legs.get(leg.0).is_some_and(|leg| leg.spec.ssrc == nack.media_ssrc));
        let leg = found.and_then(|leg| self.legs.get_mut(leg.0)).filter(|leg| leg.open);
        let stream = leg.as_ref().and_then(|leg| leg.source).and_then(|id| self.streams.get(id.0));
        let (mut transport_sequence, spacing) = (peer.transport_sequence, peer.round_trip.max(RESEND_INTERVAL));
        let (Some(leg), Some(stream), Some((keys, path))) = (leg, stream, peer.sender()) else {
            turn.state.counters.nack_unserved += unserved;
            return;
        };
        let history = &stream.layers[0].history;
        let resent_before = turn.state.counters.packets_resent;
        let mut resend = Resend { leg, keys, path, history, spacing, transport_sequence: &mut transport_sequence };
        for sequence in lost {
            match resend.send(turn, sequence) {
                Ok(()) => turn.state.counters.packets_resent += 1,
                Err(Unserved::Gone) => turn.state.counters.nack_unserved += 1,
                Err(Unserved::Throttled) => turn.state.counters.nack_throttled += 1,
            }
        }
        resend.leg.count_resends(asked, turn.state.counters.packets_resent - resent_before);
        peer.transport_sequence = transport_sequence;
    }
}

/// One leg's answer to a NACK.
struct Resend<'a> {
    leg: &'a mut Leg,
    keys: &'a mut Keys,
    path: FourTuple,
    history: &'a History,
    spacing: Duration,
    transport_sequence: &'a mut u16,
}

/// Why a packet is not sent again.
enum Unserved {
    /// It was never sent, or it cannot be made again.
    Gone,
    /// Not now, or not so much.
    Throttled,
}

impl Resend<'_> {
    fn send(&mut self, turn: &mut Turn<'_>, sequence: u16) -> Result<(), Unserved> {
        let Resend { leg, keys, .. } = self;
        let now = turn.now.mono;
        // Of packets from before a switch nothing is remembered, so the offset is that of this one.
        let offset = leg.rewrite.timestamp_offset().ok_or(Unserved::Gone)?;
        let streams = leg.outbound.ok_or(Unserved::Gone)?;
        let (index, sent) = leg.resendable.as_ref().and_then(|sent| sent.get(sequence)).ok_or(Unserved::Gone)?;
        let kept = self.history.position(sent.position).and_then(|position| self.history.get(position));
        let (entry, payload) = kept.ok_or(Unserved::Gone)?;
        if now.since(entry.received) > HISTORY_AGE {
            return Err(Unserved::Gone);
        }
        if let Some(resendable) = &mut leg.resendable {
            resendable.permit(index, now, self.spacing).map_err(|_| Unserved::Throttled)?;
        }
        let timestamp = entry.timestamp.wrapping_add(offset);
        let overhead = keys.outbound.profile().rtp_overhead();
        let mut header = [0; HEADER_MAX];
        let sealed = if let Some((pt, stream)) = leg.rtx() {
            let stamps = Stamps::at(now, *self.transport_sequence);
            let len = leg.write_header(entry, pt, timestamp, stamps, &mut header).map_err(|_| Unserved::Gone)?;
            if leg.has_transport_sequence() {
                *self.transport_sequence = self.transport_sequence.wrapping_add(1);
            }
            // RFC 4588 §4: the original sequence number, then the original payload.
            let mut text = [0; 2 + DATAGRAM_MAX];
            let text = &mut text[..2 + payload.len()];
            text[..2].copy_from_slice(&sequence.to_be_bytes());
            text[2..].copy_from_slice(payload);
            let sealed = turn.send(self.path, Lane::Retransmission, len + text.len() + overhead, |out| {
                keys.outbound.seal(stream, &mut header[..len], text, 0, out).ok().map(|sealed| sealed.len)
            });
            if sealed.is_some() && keys.capture.is_some() {
                let pieces: [&[u8]; 2] = [&header[..len], text];
                tap::record(&mut keys.capture, turn, Some(self.path), Direction::Out, &pieces);
            }
            sealed
        } else {
            // The same index may only carry the same bytes: what was stamped then is stamped again.
            let stamps = Stamps { abs_send_time: sent.abs_send_time, transport_sequence: sent.transport_sequence };
            let len = leg.write_header(entry, leg.pt(), timestamp, stamps, &mut header).map_err(|_| Unserved::Gone)?;
            let max = len + payload.len() + usize::from(sent.padding) + overhead;
            let sealed = turn.send(self.path, Lane::Retransmission, max, |out| {
                let header = &mut header[..len];
                let sealed = keys.outbound.seal_again(streams.media, index, header, payload, sent.padding, out);
                sealed.ok().map(|sealed| sealed.len)
            });
            if sealed.is_some() && keys.capture.is_some() {
                let pieces: [&[u8]; 3] = [&header[..len], payload, &[1][..sent.padding.min(1).into()]];
                tap::record(&mut keys.capture, turn, Some(self.path), Direction::Out, &pieces);
            }
            sealed
        };
        sealed.map(|_| ()).ok_or(Unserved::Gone)
    }
}
