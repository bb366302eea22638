//! Datagrams of one room: checks, handshakes, reports, and media up to the point where it lies in its stream's history.

use super::super::history::Entry;
use super::super::peer::{MediaState, Peer, Source};
use super::super::stream::{Stream, begins_keyframe};
use super::super::turn::Turn;
use super::super::verdict::{DropReason, Verdict};
use super::HostedRoom;
use crate::id::{FourTuple, MemberId, StreamId};
use crate::proto::dtls::{CloseReason, DtlsEvent};
use crate::proto::ice::{CheckOutcome, StunDrop};
use crate::proto::rtp::Admission;
use crate::proto::srtp::SrtpError;
use crate::room::command::HangupReason;
use crate::time::Mono;
use crate::wire::rtcp::{self, Compound};
use crate::wire::rtp::Packet;
use crate::wire::rtp::extension::{identifier, transport_sequence};
use crate::wire::sdp::MediaKind;
use crate::wire::stun::{Message, REPLY_MAX};

impl HostedRoom {
    /// A connectivity check for one of our ufrags (RFC 8445 §7.3).
    pub fn accept_check(
        &mut self,
        turn: &mut Turn<'_>,
        member: MemberId,
        at: FourTuple,
        message: &Message<'_>,
    ) -> (Verdict, Option<super::PeerKey>) {
        let Some(peer) = self.peers.get_mut(member.0) else {
            return (Verdict::Drop(DropReason::StunUnknownUfrag), None);
        };
        let mut reply = [0; REPLY_MAX];
        let (len, verdict, change) = match peer.ice.handle_request(turn.now.mono, at, message, &mut reply) {
            CheckOutcome::Answered { reply, change } => (reply, Verdict::Consumed, Some(change)),
            CheckOutcome::Refused { reply, reason } => (reply, Verdict::Drop(refused(reason)), None),
        };
        if len > 0 {
            turn.send_control(at, |out| {
                out[..len].copy_from_slice(&reply[..len]);
                Some(len)
            });
        }
        let Some(change) = change else { return (verdict, None) };
        turn.desk.counters.checks_answered += 1;
        let mut displaced = None;
        if change.validated {
            displaced = turn.desk.index.add_tuple(at, peer.key);
            if peer.role == crate::proto::dtls::Role::Active {
                peer.dtls.start(turn.now);
            }
        }
        if let Some(evicted) = change.evicted {
            turn.desk.index.remove_tuple(evicted, peer.key);
        }
        if let Some(retired) = change.retired {
            turn.desk.index.remove_ufrag(&retired);
        }
        if change.validated {
            self.after_dtls(turn, member);
        } else if peer.ice.deadline(turn.desk.peer_timeout) < peer.armed {
            self.rearm(turn, member);
        }
        (verdict, displaced)
    }

    /// Another peer has validated a path that this one had.
    pub fn forget_path(&mut self, member: MemberId, at: FourTuple) {
        if let Some(peer) = self.peers.get_mut(member.0) {
            peer.ice.forget(at);
        }
    }

    /// DTLS on a validated path.
    pub fn accept_dtls(&mut self, turn: &mut Turn<'_>, member: MemberId, datagram: &[u8]) -> Verdict {
        let Some(peer) = self.peers.get_mut(member.0) else { return Verdict::Drop(DropReason::UnknownSource) };
        let ignored = peer.dtls.ignored();
        peer.dtls.handle_datagram(turn.now, datagram);
        let ignored = peer.dtls.ignored() > ignored;
        turn.desk.counters.dtls_received += 1;
        self.after_dtls(turn, member);
        if ignored { Verdict::Drop(DropReason::DtlsUnexpected) } else { Verdict::Consumed }
    }

    /// Sends what DTLS has to say, and hears what it has come to.
    pub(super) fn after_dtls(&mut self, turn: &mut Turn<'_>, member: MemberId) {
        let Some(peer) = self.peers.get_mut(member.0) else { return };
        peer.flush_dtls(turn);
        while let Some(event) = self.peers.get_mut(member.0).and_then(|peer| peer.dtls.poll_event()) {
            match event {
                DtlsEvent::Connected { profile, keying_material, role } => {
                    let Some(peer) = self.peers.get_mut(member.0) else { return };
                    if peer.connect(profile, &keying_material, role).is_err() {
                        return self.peer_lost(turn, member, HangupReason::DtlsError);
                    }
                    self.peer_connected(turn, member);
                }
                DtlsEvent::Closed(reason) => {
                    let reason = match reason {
                        CloseReason::Alert => HangupReason::DtlsAlert,
                        CloseReason::Timeout => HangupReason::DtlsTimeout,
                        CloseReason::Fingerprint | CloseReason::Protocol => HangupReason::DtlsError,
                    };
                    return self.peer_lost(turn, member, reason);
                }
            }
        }
        self.rearm(turn, member);
    }

    fn peer_connected(&mut self, turn: &mut Turn<'_>, member: MemberId) {
        turn.desk.counters.peers_connected += 1;
        let Some(peer) = self.peers.get_mut(member.0) else { return };
        peer.report_at = turn.now.mono + super::reports::first_report(turn.random_u32());
        if let MediaState::Connected(keys) = &mut peer.media {
            for leg in &peer.legs {
                if let Some(leg) = self.legs.get_mut(leg.0) {
                    leg.outbound = Some(keys.outbound.open(leg.spec.ssrc, 0));
                }
            }
        }
        let mut effects = Vec::new();
        self.room.peer_up(member, &mut effects);
        self.apply(turn, effects);
    }

    /// SRTP: opened in place, recorded, and kept in its stream's history for this turn's release.
    pub fn accept_rtp(
        &mut self,
        turn: &mut Turn<'_>,
        member: MemberId,
        received: Mono,
        datagram: &mut [u8],
    ) -> Verdict {
        let Some(peer) = self.peers.get_mut(member.0) else { return Verdict::Drop(DropReason::UnknownSource) };
        let MediaState::Connected(keys) = &mut peer.media else { return Verdict::Drop(DropReason::NotConnected) };
        let opened = match keys.inbound.unprotect_rtp(datagram) {
            Ok(opened) => opened,
            Err(error) => return Verdict::Drop(unopened(error)),
        };
        let Ok(packet) = Packet::parse(&datagram[..opened.len]) else { return Verdict::Drop(DropReason::RtpMalformed) };
        let source = match peer.sources.get(&packet.header.ssrc) {
            Some(&source) => source,
            None => match bind(peer, &self.streams, &packet) {
                Some(source) => source,
                None => return Verdict::Drop(DropReason::RtpUnknownSource),
            },
        };
        let (Source::Media(id, _) | Source::Repair(id)) = source;
        let Some(stream) = self.streams.get_mut(id.0) else { return Verdict::Drop(DropReason::RtpUnknownSource) };
        if let Some(sequence) = extension(&packet, stream.media.extensions.transport_cc).and_then(transport_sequence) {
            peer.feedback.record(sequence, received);
            let at = peer.feedback.deadline();
            turn.arm(peer.key, &mut peer.armed, at);
        }
        let Source::Media(_, layer) = source else {
            turn.desk.counters.probes_received += 1;
            return Verdict::Drop(DropReason::RtxProbe);
        };
        self.keep(turn, id, layer, received, &packet)
    }

    /// Admits a packet to its layer and puts it into the history.
    fn keep(
        &mut self,
        turn: &mut Turn<'_>,
        id: StreamId,
        layer: usize,
        received: Mono,
        packet: &Packet<'_>,
    ) -> Verdict {
        let Some(stream) = self.streams.get(id.0) else { return Verdict::Drop(DropReason::RtpUnknownSource) };
        if packet.header.payload_type != stream.media.pt {
            return Verdict::Drop(DropReason::RtpPayloadType);
        }
        if stream.layers[layer].is_full(packet.payload.len()) {
            // A burst longer than the history: what waits goes out before it would be overwritten.
            self.release(turn);
        }
        let Some(stream) = self.streams.get_mut(id.0) else { return Verdict::Drop(DropReason::RtpUnknownSource) };
        let clock_rate = stream.clock_rate();
        let header = &packet.header;
        let arrival = stream.layers[layer].arrival_of(header.ssrc, clock_rate);
        let sequence = match arrival.receive(header.sequence, header.timestamp, received) {
            Admission::Newest(sequence) => {
                stream.clock.packet(header.timestamp, received);
                sequence
            }
            Admission::Late(sequence) => sequence,
            Admission::Restarted(sequence) => {
                stream.clock.packet(header.timestamp, received);
                for leg in &stream.route {
                    if let Some(leg) = self.legs.get_mut(leg.0) {
                        leg.rewrite.switch();
                    }
                }
                sequence
            }
            Admission::Duplicate | Admission::Stray => return Verdict::Drop(DropReason::RtpSequence),
        };
        let keyframe = stream.media.codec.and_then(|codec| begins_keyframe(codec, packet.payload));
        if keyframe == Some(true) {
            stream.keyframes.arrived(received);
        }
        let ids = stream.media.extensions;
        let mut entry = Entry {
            sequence: sequence.0,
            timestamp: header.timestamp,
            marker: header.marker,
            // A codec whose keyframes cannot be told apart must not hold its viewers up.
            keyframe: keyframe.unwrap_or(true),
            received,
            ..Entry::default()
        };
        for (ext, value) in packet.extensions() {
            let ext = Some(ext);
            if ext == ids.audio_level {
                entry.audio_level = value.first().copied();
            } else if ext == ids.orientation {
                entry.orientation = value.first().copied();
            } else if ext == ids.playout_delay {
                entry.playout_delay = value.try_into().ok();
            }
        }
        // The V bit is not a level, and Janus does not look at it either.
        let change = entry.audio_level.and_then(|level| stream.talk.packet(level & 0x7f));
        let first_of_stream = stream.layers.iter().all(|layer| !layer.is_touched());
        let layer = &mut stream.layers[layer];
        layer.received = received;
        layer.touch();
        layer.history.push(entry, packet.payload);
        if first_of_stream {
            if self.touched_streams.is_empty() {
                turn.desk.touched_rooms.push(self.slot);
            }
            self.touched_streams.push(id);
        }
        if !stream.receiving {
            stream.receiving = true;
            self.media_changed(turn, id, true);
        }
        if let Some(change) = change {
            let mut effects = Vec::new();
            self.room.talking_changed(id, change, &mut effects);
            self.apply(turn, effects);
        }
        turn.desk.counters.packets_received += 1;
        Verdict::Accepted
    }

    /// Tells the publisher that media of a stream started or stopped arriving.
    pub(super) fn media_changed(&mut self, turn: &mut Turn<'_>, id: StreamId, receiving: bool) {
        let Some(stream) = self.streams.get(id.0) else { return };
        let (member, mid, kind) = (stream.member, stream.media.mid, stream.media.kind);
        let mut effects = Vec::new();
        self.room.media_changed(member, mid, kind, receiving, &mut effects);
        self.apply(turn, effects);
    }

    /// SRTCP: reports, keyframe wishes, and losses that subscribers name.
    pub fn accept_rtcp(
        &mut self,
        turn: &mut Turn<'_>,
        member: MemberId,
        received: Mono,
        datagram: &mut [u8],
    ) -> Verdict {
        let Some(peer) = self.peers.get_mut(member.0) else { return Verdict::Drop(DropReason::UnknownSource) };
        let MediaState::Connected(keys) = &mut peer.media else { return Verdict::Drop(DropReason::NotConnected) };
        let len = match keys.inbound.unprotect_rtcp(datagram) {
            Ok(len) => len,
            Err(error) => return Verdict::Drop(unopened(error)),
        };
        turn.desk.counters.rtcp_received += 1;
        for packet in Compound::new(&datagram[..len]) {
            match packet {
                Ok(rtcp::Packet::SenderReport(report)) => self.sender_report(turn, member, received, &report),
                Ok(rtcp::Packet::Pli(pli)) => self.keyframe_wanted(turn, member, pli.media_ssrc),
                Ok(rtcp::Packet::Fir(fir)) => {
                    for request in fir.requests() {
                        self.keyframe_wanted(turn, member, request.ssrc);
                    }
                }
                Ok(rtcp::Packet::Nack(nack)) => turn.desk.counters.nacks_received += nack.lost().count() as u64,
                // Receiver reports, descriptions, goodbyes and bandwidth estimates of subscribers change nothing yet.
                Ok(_) => {}
                Err(_) => return Verdict::Drop(DropReason::RtcpMalformed),
            }
        }
        Verdict::Consumed
    }

    fn sender_report(
        &mut self,
        turn: &mut Turn<'_>,
        member: MemberId,
        received: Mono,
        report: &rtcp::SenderReport<'_>,
    ) {
        let Some(peer) = self.peers.get_mut(member.0) else { return };
        let Some(&Source::Media(id, layer)) = peer.sources.get(&report.ssrc) else { return };
        let Some(stream) = self.streams.get_mut(id.0) else { return };
        let clock_rate = stream.clock_rate();
        peer.clock.sender_report(report.info.ntp, received, turn.now);
        stream.clock.sender_report(report.info.ntp, report.info.rtp_timestamp);
        stream.layers[layer].arrival_of(report.ssrc, clock_rate).sender_report(report.info.ntp, received);
    }

    fn keyframe_wanted(&mut self, turn: &mut Turn<'_>, member: MemberId, media_ssrc: u32) {
        let Some(peer) = self.peers.get(member.0) else { return };
        let source = peer
            .legs
            .iter()
            .filter_map(|leg| self.legs.get(leg.0))
            .find(|leg| leg.spec.ssrc == media_ssrc && leg.spec.kind == MediaKind::Video)
            .and_then(|leg| leg.source);
        if let Some(stream) = source {
            self.request_keyframe(turn, stream);
        }
    }
}

/// An SSRC that no description announced is believed when its packet names an m-line by MID (RFC 9143 §9.2). A peer can
/// only ever bind to its own streams.
fn bind(peer: &mut Peer, streams: &super::Table<Stream>, packet: &Packet<'_>) -> Option<Source> {
    let id = peer.streams.iter().copied().find(|id| {
        streams.get(id.0).is_some_and(|stream| {
            extension(packet, stream.media.extensions.mid).and_then(identifier) == Some(&*stream.media.mid)
        })
    })?;
    let media = &streams.get(id.0)?.media;
    let source =
        if Some(packet.header.payload_type) == media.rtx_pt { Source::Repair(id) } else { Source::Media(id, 0) };
    if peer.sources.len() >= crate::limits::SOURCES_PER_PEER {
        return None;
    }
    peer.sources.insert(packet.header.ssrc, source);
    Some(source)
}

fn extension<'a>(packet: &Packet<'a>, id: Option<u8>) -> Option<&'a [u8]> {
    let id = id?;
    packet.extensions().find(|(ext, _)| *ext == id).map(|(_, value)| value)
}

fn unopened(error: SrtpError) -> DropReason {
    match error {
        SrtpError::Replay => DropReason::SrtpReplay,
        SrtpError::TooManyStreams => DropReason::SrtpTooManySources,
        SrtpError::TooShort | SrtpError::Malformed => DropReason::RtpMalformed,
        _ => DropReason::SrtpUnauthorized,
    }
}

fn refused(reason: StunDrop) -> DropReason {
    match reason {
        StunDrop::Malformed | StunDrop::Fingerprint => DropReason::StunMalformed,
        StunDrop::Unsolicited | StunDrop::NoSpace => DropReason::StunUnexpected,
        StunDrop::UnknownUfrag => DropReason::StunUnknownUfrag,
        StunDrop::RemoteUfrag | StunDrop::Integrity => DropReason::StunUnauthorized,
        StunDrop::UnknownAttribute | StunDrop::RoleConflict => DropReason::StunRefused,
    }
}
