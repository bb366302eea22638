//! Datagrams of one room: checks, handshakes, reports, and media up to the point where it lies in its stream's history.

use super::super::capture;
use super::super::forwarder::Forwarder;
use super::super::history::Entry;
use super::super::leg::{Leg, LegStreams};
use super::super::peer::{Keys, MediaState, Peer, Source};
use super::super::stream::{Layer, Stream};
use super::super::timer::Patience;
use super::super::turn::Turn;
use super::super::verdict::{DropReason, Verdict};
use super::HostedRoom;
use crate::id::{FourTuple, MemberId, StreamId};
use crate::proto::dtls::{CloseReason, DtlsEvent};
use crate::proto::ice::{CheckOutcome, StunDrop};
use crate::proto::rtp::{Admission, Arrival, Receipt, SenderClock, round_trip};
use crate::proto::srtp::SrtpError;
use crate::room::command::HangupReason;
use crate::room::effect::LegSpec;
use crate::time::Mono;
use crate::wire::pcap::Direction;
use crate::wire::rtcp::{self, Compound};
use crate::wire::rtp::extension::{identifier, transport_sequence};
use crate::wire::rtp::{ExtSeq, Packet};
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
        let first = peer.ice.selected().is_none();
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
        if change.selected {
            self.observe_path(turn, member, at, first);
        }
        if change.validated {
            self.after_dtls(turn, member);
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
    pub fn accept_dtls(&mut self, turn: &mut Turn<'_>, member: MemberId, at: FourTuple, datagram: &[u8]) -> Verdict {
        let Some(peer) = self.peers.get_mut(member.0) else { return Verdict::Drop(DropReason::UnknownSource) };
        if !peer.ice.admits_dtls(at) {
            return Verdict::Drop(DropReason::DtlsOtherAgent);
        }
        let (ignored, opened) = (peer.dtls.ignored(), peer.dtls.opened());
        peer.dtls.handle_datagram(turn.now, datagram);
        let is_opened = peer.dtls.opened() > opened;
        let ignored = peer.dtls.ignored() > ignored;
        turn.desk.counters.dtls_received += 1;
        if is_opened {
            self.heard(turn, member, at);
        }
        self.after_dtls(turn, member);
        if ignored { Verdict::Drop(DropReason::DtlsUnexpected) } else { Verdict::Consumed }
    }

    /// Something authenticated came from a peer: it is there, and perhaps somewhere else than we send to.
    fn heard(&mut self, turn: &mut Turn<'_>, member: MemberId, at: FourTuple) {
        let Some(peer) = self.peers.get_mut(member.0) else { return };
        if peer.ice.note_media(turn.now.mono, at) {
            self.follow(turn, member, at);
        }
    }

    /// Media to a peer go where its own came from.
    fn follow(&self, turn: &mut Turn<'_>, member: MemberId, at: FourTuple) {
        turn.desk.counters.paths_followed += 1;
        self.observe_path(turn, member, at, false);
    }

    /// Sends what DTLS has to say, and hears what it has come to.
    pub(super) fn after_dtls(&mut self, turn: &mut Turn<'_>, member: MemberId) {
        let Some(peer) = self.peers.get_mut(member.0) else { return };
        peer.flush_dtls(turn);
        while let Some(event) = self.peers.get_mut(member.0).and_then(|peer| peer.dtls.poll_event()) {
            match event {
                DtlsEvent::Connected { profile, keying_material, role } => {
                    let Some(peer) = self.peers.get_mut(member.0) else { return };
                    peer.connected_at = turn.now.mono;
                    peer.ice.note_handshake();
                    if peer.connect(profile, &keying_material, role).is_err() {
                        return self.peer_lost(turn, member, HangupReason::DtlsError);
                    }
                    self.peer_connected(turn, member);
                }
                DtlsEvent::Closed(reason) => {
                    if let Some(peer) = self.peers.get(member.0).filter(|peer| !peer.is_connected()) {
                        turn.desk.counters.handshakes_failed += 1;
                        turn.desk.failed_handshakes.note(peer.dtls.offered());
                    }
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
        peer.report_at = super::reports::first_report(turn.now.mono, turn.random_u32());
        if let MediaState::Connected(keys) = &mut peer.media {
            for leg in &peer.legs {
                if let Some(leg) = self.legs.get_mut(leg.0) {
                    leg.connect(open_streams(keys, &leg.spec, turn));
                }
            }
        }
        self.observe_connection(turn, member);
        let mut effects = Vec::new();
        self.room.peer_up(member, &mut effects);
        self.apply(turn, effects);
    }

    /// SRTP: opened in place, recorded, and kept in its stream's history for this turn's release.
    pub fn accept_rtp(
        &mut self,
        turn: &mut Turn<'_>,
        member: MemberId,
        at: FourTuple,
        received: Mono,
        datagram: &mut [u8],
    ) -> Verdict {
        let Some(peer) = self.peers.get_mut(member.0) else { return Verdict::Drop(DropReason::UnknownSource) };
        let MediaState::Connected(keys) = &mut peer.media else { return Verdict::Drop(DropReason::NotConnected) };
        let datagram_len = datagram.len();
        let opened = match keys.inbound.unprotect_rtp(datagram) {
            Ok(opened) => opened,
            Err(error) => return Verdict::Drop(unopened(error)),
        };
        let has_moved = peer.ice.note_media(turn.now.mono, at);
        let plain = &datagram[..opened.len];
        if keys.capture.is_some() {
            capture::record(&mut keys.capture, turn, peer.ice.selected(), Direction::In, &[plain]);
        }
        let Ok(packet) = Packet::parse(plain) else { return Verdict::Drop(DropReason::RtpMalformed) };
        let known = peer.sources.get(&packet.header.ssrc).copied();
        let source = match known.filter(|source| !names_another(&self.streams, *source, &packet)) {
            Some(source) => source,
            None => match bind(peer, &self.streams, &packet) {
                Ok(source) => {
                    if let Some(before) = known {
                        turn.desk.counters.sources_rebound += 1;
                        end_source(&mut self.streams, before, packet.header.ssrc);
                    }
                    source
                }
                Err(reason) => return Verdict::Drop(reason),
            },
        };
        let (Source::Media(id, layer) | Source::Repair(id, layer)) = source;
        let Some(stream) = self.streams.get_mut(id.0) else { return Verdict::Drop(DropReason::RtpUnknownSource) };
        peer.feedback.received(datagram_len);
        if let Some(sequence) = extension(&packet, stream.media.extensions.transport_cc).and_then(transport_sequence) {
            peer.feedback.record(sequence, received);
            let at = peer.feedback.deadline();
            turn.desk.timers.arm(peer.key, &mut peer.looks, Patience::Lax, at);
        }
        if has_moved {
            self.follow(turn, member, at);
        }
        let Some(stream) = self.streams.get(id.0) else { return Verdict::Drop(DropReason::RtpUnknownSource) };
        // RTX that no FID group announced is known by its payload type.
        let is_repair = matches!(source, Source::Repair(..)) || Some(packet.header.payload_type) == stream.media.rtx_pt;
        if is_repair {
            self.accept_repair(turn, (id, layer), received, &packet)
        } else {
            self.keep(turn, (id, layer), received, &packet)
        }
    }

    /// Admits a packet of a layer by its own number.
    pub(super) fn keep(
        &mut self,
        turn: &mut Turn<'_>,
        (id, layer): (StreamId, usize),
        received: Mono,
        packet: &Packet<'_>,
    ) -> Verdict {
        let Some(stream) = self.streams.get_mut(id.0) else { return Verdict::Drop(DropReason::RtpUnknownSource) };
        if packet.header.payload_type != stream.media.pt {
            return Verdict::Drop(DropReason::RtpPayloadType);
        }
        let (clock_rate, header) = (stream.clock_rate(), &packet.header);
        let of = &mut stream.layers[layer];
        let arrival = of.arrival_of(header.ssrc, clock_rate);
        let begins = arrival.highest().is_none();
        let highest = arrival.highest();
        let admission = match of.losses.asked(header.sequence) {
            // A resend of a packet that the reception record is too short to tell from a jump.
            Some(number) if highest.is_some_and(|highest| !Arrival::remembers(highest, number)) => {
                Admission::Late(number)
            }
            _ => of.arrival_of(header.ssrc, clock_rate).receive(header.sequence, header.timestamp, received),
        };
        let (number, late) = match admission {
            Admission::Newest(number) if begins => {
                self.begin_source(turn, (id, layer));
                if let Some(stream) = self.streams.get_mut(id.0) {
                    stream.layers[layer].losses.reset();
                    stream.clock = SenderClock::new(clock_rate);
                }
                (number, false)
            }
            Admission::Newest(number) => (number, false),
            Admission::Late(number) => (number, true),
            Admission::Restarted(number) => {
                self.begin_source(turn, (id, layer));
                if let Some(stream) = self.streams.get_mut(id.0) {
                    stream.layers[layer].losses.restart(number);
                }
                (number, false)
            }
            Admission::Duplicate | Admission::Stray => return Verdict::Drop(DropReason::RtpSequence),
        };
        self.store(turn, (id, layer), received, packet, number, late)
    }

    /// The numbers of a source begin afresh: what waits goes out with the old ones, and the legs close up behind it.
    fn begin_source(&mut self, turn: &mut Turn<'_>, (id, layer): (StreamId, usize)) {
        if self.streams.get(id.0).is_some_and(|stream| stream.layers.iter().any(Layer::is_touched)) {
            self.release(turn);
        }
        self.legs.iter_mut().filter(|leg| leg.source == Some(id)).for_each(Leg::switch);
        let forwarders = self.forwarders.iter_mut().filter(|forwarder| forwarder.source == Some(id));
        forwarders.filter(|forwarder| forwarder.layer == layer).for_each(Forwarder::switch);
        if let Some(stream) = self.streams.get_mut(id.0) {
            let layer = &mut stream.layers[layer];
            layer.began = layer.history.next();
        }
    }

    /// Puts an admitted packet into the history, once.
    pub(super) fn store(
        &mut self,
        turn: &mut Turn<'_>,
        (id, layer): (StreamId, usize),
        received: Mono,
        packet: &Packet<'_>,
        number: ExtSeq,
        late: bool,
    ) -> Verdict {
        let Some(stream) = self.streams.get(id.0) else { return Verdict::Drop(DropReason::RtpUnknownSource) };
        if stream.layers[layer].is_full(packet.payload.len()) {
            // A burst longer than the history: what waits goes out before it would be overwritten.
            self.release(turn);
        }
        let Some(stream) = self.streams.get_mut(id.0) else { return Verdict::Drop(DropReason::RtpUnknownSource) };
        let (member, header) = (stream.member, &packet.header);
        let receipt = stream.layers[layer].losses.receive(number, received);
        match receipt {
            Receipt::Duplicate => return Verdict::Drop(DropReason::RtpSequence),
            Receipt::Recovered => {
                turn.desk.counters.packets_recovered += 1;
                stream.layers[layer].counted.retransmissions += 1;
            }
            Receipt::InPlace | Receipt::Gap => {}
        }
        let keyframe = stream.begins_keyframe(header.timestamp, packet.payload);
        let losses = &mut stream.layers[layer].losses;
        if keyframe == Some(true) {
            stream.keyframes.arrived(received);
            losses.keyframe(number);
        }
        turn.desk.counters.packets_abandoned += losses.take_abandoned();
        let nack_at = if receipt == Receipt::Gap { losses.deadline() } else { Mono::NEVER };
        if !late {
            stream.clock.packet(header.timestamp, received);
        }
        let ids = stream.media.extensions;
        let mut entry = Entry {
            sequence: number.0,
            timestamp: header.timestamp,
            marker: header.marker,
            // A codec whose keyframes cannot be told apart must not hold its viewers up.
            keyframe: keyframe.unwrap_or(true),
            received,
            late,
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
        layer.counted.packets += 1;
        layer.counted.bytes += packet.payload.len() as u64;
        layer.touch();
        layer.history.push(entry, packet.payload);
        if first_of_stream {
            if self.touched_streams.is_empty() {
                turn.desk.touched_rooms.push(self.slot);
            }
            self.touched_streams.push(id);
        }
        if nack_at < Mono::NEVER
            && let Some(peer) = self.peers.get_mut(member.0)
        {
            turn.desk.timers.arm(peer.key, &mut peer.looks, Patience::Prompt, nack_at);
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
        let silence = turn.desk.no_media_timer.as_secs();
        let seconds = (!receiving && silence > 1).then_some(silence);
        self.room.media_changed(member, mid, kind, receiving, seconds, &mut effects);
        self.apply(turn, effects);
    }

    /// SRTCP: reports, keyframe wishes, and losses that subscribers name.
    pub fn accept_rtcp(
        &mut self,
        turn: &mut Turn<'_>,
        member: MemberId,
        at: FourTuple,
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
        if keys.capture.is_some() {
            capture::record(&mut keys.capture, turn, peer.ice.selected(), Direction::In, &[&datagram[..len]]);
        }
        self.heard(turn, member, at);
        for packet in Compound::new(&datagram[..len]) {
            match packet {
                Ok(rtcp::Packet::SenderReport(report)) => self.sender_report(turn, member, received, &report),
                Ok(rtcp::Packet::Pli(pli)) => self.keyframe_wanted(turn, member, pli.media_ssrc),
                Ok(rtcp::Packet::Fir(fir)) => {
                    for request in fir.requests() {
                        self.keyframe_wanted(turn, member, request.ssrc);
                    }
                }
                Ok(rtcp::Packet::Nack(nack)) => self.serve_nack(turn, member, &nack),
                Ok(rtcp::Packet::ReceiverReport(report)) => {
                    report.report_blocks().for_each(|block| self.reception_report(turn, member, &block));
                }
                Ok(rtcp::Packet::Bye(bye)) => bye.sources().for_each(|ssrc| self.goodbye(member, ssrc)),
                // Descriptions name nobody whom we do not know, and bandwidth estimates of subscribers change nothing yet.
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
        report.report_blocks().for_each(|block| self.reception_report(turn, member, &block));
        let Some(peer) = self.peers.get_mut(member.0) else { return };
        let Some(&Source::Media(id, layer)) = peer.sources.get(&report.ssrc) else { return };
        let Some(stream) = self.streams.get_mut(id.0) else { return };
        let clock_rate = stream.clock_rate();
        peer.clock.sender_report(report.info.ntp, received, turn.now);
        let layer = &mut stream.layers[layer];
        if layer.ssrc().is_some_and(|current| current != report.ssrc) {
            // Of an SSRC that has not sent a packet since another one took the m-line over.
            return;
        }
        stream.clock.sender_report(report.info.ntp, report.info.rtp_timestamp);
        layer.arrival_of(report.ssrc, clock_rate).sender_report(report.info.ntp, received);
    }

    /// How a subscriber receives one of its legs: the round trip, and what it has lost.
    fn reception_report(&mut self, turn: &mut Turn<'_>, member: MemberId, block: &rtcp::ReportBlock) {
        let Some(peer) = self.peers.get_mut(member.0) else { return };
        let mut legs = peer.legs.iter();
        let found = legs.find(|leg| self.legs.get(leg.0).is_some_and(|leg| leg.spec.ssrc == block.ssrc));
        let Some(leg) = found.and_then(|leg| self.legs.get_mut(leg.0)) else { return };
        leg.loss.report(block.cumulative_lost);
        leg.remote_jitter = block.jitter;
        if let Some(trip) = round_trip(turn.now, block.last_sr, block.delay_since_last_sr) {
            peer.round_trip = if peer.round_trip.is_zero() { trip } else { (peer.round_trip * 7 + trip) / 8 };
        }
    }

    /// RFC 3550 §6.6: the source has ended, and nothing of it is waited for any more. Its SSRC stays where it belongs,
    /// because browsers say goodbye when an encoding is switched off and go on without a MID when it comes back.
    fn goodbye(&mut self, member: MemberId, ssrc: u32) {
        let Some(peer) = self.peers.get(member.0) else { return };
        if let Some(&source) = peer.sources.get(&ssrc) {
            end_source(&mut self.streams, source, ssrc);
        }
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

/// Which m-line and layer the packet's SSRC belongs to, as its MID says; it is remembered (RFC 9143 §9.2). A peer can only
/// ever bind to its own streams. An SSRC that is bound already moves: "update the incoming SSRC mapping table".
fn bind(peer: &mut Peer, streams: &super::Table<Stream>, packet: &Packet<'_>) -> Result<Source, DropReason> {
    let ssrc = packet.header.ssrc;
    let mut own = peer.streams.iter().filter_map(|id| Some((*id, &streams.get(id.0)?.media)));
    let named = own.find(|(_, media)| {
        extension(packet, media.extensions.mid).and_then(identifier).is_some_and(|mid| mid == &*media.mid)
    });
    let (id, media) = named.ok_or(DropReason::RtpUnknownSource)?;
    let source = match packet.header.payload_type {
        pt if pt == media.pt => Source::Media(id, 0),
        pt if Some(pt) == media.rtx_pt => Source::Repair(id, 0),
        // "If the payload type does not match [...] discard the packet": it must not move anything either.
        _ => return Err(DropReason::RtpPayloadType),
    };
    if peer.sources.len() >= crate::limits::SOURCES_PER_PEER && !peer.sources.contains_key(&ssrc) {
        return Err(DropReason::SrtpTooManySources);
    }
    peer.sources.insert(ssrc, source);
    Ok(source)
}

/// Whether the packet's MID names another m-line than the one that its SSRC belongs to.
fn names_another(streams: &super::Table<Stream>, source: Source, packet: &Packet<'_>) -> bool {
    let (Source::Media(id, _) | Source::Repair(id, _)) = source;
    streams.get(id.0).is_some_and(|stream| {
        extension(packet, stream.media.extensions.mid).and_then(identifier).is_some_and(|mid| mid != &*stream.media.mid)
    })
}

/// Nothing more is expected of an SSRC, unless its layer has another one by now.
fn end_source(streams: &mut super::Table<Stream>, source: Source, ssrc: u32) {
    let Source::Media(id, layer) = source else { return };
    let layer = streams.get_mut(id.0).and_then(|stream| stream.layers.get_mut(layer));
    if let Some(layer) = layer.filter(|layer| layer.ssrc() == Some(ssrc)) {
        layer.end();
    }
}

/// The SRTP streams of a leg. Its packets are numbered by the rewrite; RTX has numbers of its own, from a random one below
/// 2^15 on (RFC 3711 §3.3.1).
pub(super) fn open_streams(keys: &mut Keys, spec: &LegSpec, turn: &mut Turn<'_>) -> LegStreams {
    let first = u64::from(turn.random_u32() & 0x7fff);
    LegStreams {
        media: keys.outbound.open(spec.ssrc, 0),
        rtx: spec.rtx_ssrc.map(|ssrc| keys.outbound.open(ssrc, first)),
    }
}

fn extension<'a>(packet: &Packet<'a>, id: Option<u8>) -> Option<&'a [u8]> {
    let id = id?;
    packet.extensions().find(|(ext, _)| *ext == id).map(|(_, value)| value)
}

pub(super) fn unopened(error: SrtpError) -> DropReason {
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
