//! Datagrams of one room: checks, handshakes, and media up to the point where it lies in its stream's history.

use super::HostedRoom;
use super::binding::{bind, end_source, extension, names_another};
use crate::control::command::HangupReason;
use crate::control::effect::LegSpec;
use crate::id::{FourTuple, MemberId, StreamId};
use crate::media::forwarder::Forwarder;
use crate::media::history::Entry;
use crate::media::leg::LegStreams;
use crate::media::peer::{Keys, MediaState};
use crate::media::sources::Source;
use crate::media::stream::Layer;
use crate::media::tap;
use crate::media::timer::Urgency;
use crate::media::turn::Turn;
use crate::media::verdict::{DropReason, Verdict};
use crate::proto::dtls::{CloseReason, DtlsEvent};
use crate::proto::ice::{CheckOutcome, StunDrop};
use crate::proto::rtp::{Admission, Arrival, Choice, Receipt, Renumber, SenderClock};
use crate::proto::srtp::SrtpError;
use crate::time::Mono;
use crate::wire::pcap::Direction;
use crate::wire::rtp::extension::transport_sequence;
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
    ) -> (Verdict, Option<crate::media::router::PeerKey>) {
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
        turn.state.counters.checks_answered += 1;
        let mut displaced = None;
        if change.validated {
            displaced = turn.state.index.add_tuple(at, peer.key);
            if peer.role == crate::proto::dtls::Role::Active {
                peer.dtls.start(turn.now);
            }
        }
        if let Some(evicted) = change.evicted {
            turn.state.index.remove_tuple(evicted, peer.key);
        }
        if let Some(retired) = change.retired {
            turn.state.index.remove_ufrag(&retired);
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
        if peer.dtls.is_of_another_client(datagram) {
            peer.ice.note_other_client(at);
            return Verdict::Drop(DropReason::DtlsOtherAgent);
        }
        if !peer.ice.admits_dtls(at) {
            return Verdict::Drop(DropReason::DtlsOtherAgent);
        }
        if !peer.is_connected() {
            peer.ice.note_client(at);
        }
        let (ignored, opened) = (peer.dtls.ignored(), peer.dtls.opened());
        peer.dtls.handle_datagram(turn.now, datagram);
        let is_opened = peer.dtls.opened() > opened;
        let ignored = peer.dtls.ignored() > ignored;
        turn.state.counters.dtls_received += 1;
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
        turn.state.counters.paths_followed += 1;
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
                        turn.state.counters.handshakes_failed += 1;
                        turn.state.notices.handshake_failed(turn.now.mono, peer.dtls.offered());
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
        turn.state.counters.peers_connected += 1;
        let Some(peer) = self.peers.get_mut(member.0) else { return };
        peer.report_at = crate::media::router::reports::first_report(turn.now.mono, turn.random_u32());
        if let MediaState::Connected(keys) = &mut peer.media {
            for leg in &peer.legs {
                if let Some(leg) = self.legs.get_mut(leg.0) {
                    leg.connect(open_streams(keys, &leg.spec, turn));
                }
            }
        }
        self.observe_connection(turn, member);
        let mut effects = Vec::new();
        if self.room.roster().is_up(member) {
            self.room.wiring().peer_replaced(member, &mut effects);
        } else {
            self.room.peer_up(member, &mut effects);
        }
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
            Err(error) => {
                if error == SrtpError::TooManyStreams {
                    self.sources_exhausted(turn, member, ssrc_at(datagram, 8));
                }
                return Verdict::Drop(unopened(error));
            }
        };
        let has_moved = peer.ice.note_media(turn.now.mono, at);
        let plain = &datagram[..opened.len];
        if keys.capture.is_some() {
            tap::record(&mut keys.capture, turn, peer.ice.selected(), Direction::In, &[plain]);
        }
        let Ok(packet) = Packet::parse(plain) else { return Verdict::Drop(DropReason::RtpMalformed) };
        let ssrc = packet.header.ssrc;
        let known = peer.sources.hear(ssrc, received);
        let source = match known.filter(|source| !names_another(&self.streams, *source, &packet)) {
            Some(source) => source,
            None => match bind(peer, &self.streams, &packet, received) {
                Ok(source) => {
                    if let Some(before) = known {
                        turn.state.counters.sources_rebound += 1;
                        end_source(&mut self.streams, before, ssrc);
                    }
                    source
                }
                Err(reason) => {
                    if reason == DropReason::SrtpTooManySources {
                        self.sources_exhausted(turn, member, ssrc);
                    }
                    return Verdict::Drop(reason);
                }
            },
        };
        let (id, layer, of) = match source {
            Source::Media(id, layer) => (id, layer, None),
            Source::Repair { stream, layer, of } => (stream, layer, of),
        };
        let Some(stream) = self.streams.get_mut(id.0) else { return Verdict::Drop(DropReason::RtpUnknownSource) };
        peer.feedback.received(datagram_len);
        if let Some(sequence) = extension(&packet, stream.media.extensions.transport_cc).and_then(transport_sequence) {
            peer.feedback.record(sequence, received);
            let at = peer.feedback.deadline();
            turn.state.timers.arm(peer.key, &mut peer.planned, Urgency::Lax, at);
        }
        if has_moved {
            self.follow(turn, member, at);
        }
        let Some(stream) = self.streams.get(id.0) else { return Verdict::Drop(DropReason::RtpUnknownSource) };
        // RTX that no FID group announced is known by its payload type.
        let is_repair =
            matches!(source, Source::Repair { .. }) || Some(packet.header.payload_type) == stream.media.rtx_pt;
        if is_repair {
            self.accept_repair(turn, (id, layer), of, received, &packet)
        } else {
            self.keep(turn, (id, layer), received, &packet)
        }
    }

    /// Admits a packet of a layer by its own number, if its SSRC is the one that is relayed. What is not passed on, because
    /// nobody has agreed to its payload type or because it is all padding, is received like the others: it is not missing.
    pub(super) fn keep(
        &mut self,
        turn: &mut Turn<'_>,
        (id, layer): (StreamId, usize),
        received: Mono,
        packet: &Packet<'_>,
    ) -> Verdict {
        let Some(stream) = self.streams.get_mut(id.0) else { return Verdict::Drop(DropReason::RtpUnknownSource) };
        let (clock_rate, header) = (stream.clock_rate(), &packet.header);
        let of = &mut stream.layers[layer];
        let withheld = if header.payload_type != stream.media.pt {
            if !of.selection.hear(header.ssrc, received) {
                return Verdict::Drop(DropReason::RtpPayloadType);
            }
            Some(DropReason::RtpPayloadType)
        } else if of.selection.receive(header.ssrc, &stream.media.ssrcs, received) == Choice::Refused {
            return Verdict::Drop(DropReason::RtpSourceRefused);
        } else {
            packet.payload.is_empty().then_some(DropReason::RtpPadding)
        };
        let arrival = of.arrival_of(header.ssrc, clock_rate);
        let begins = arrival.highest().is_none();
        let highest = arrival.highest();
        let admission = match of.losses.asked(header.sequence) {
            // A resend of a packet that the reception record is too short to tell from a jump.
            Some(number) if highest.is_some_and(|highest| !Arrival::remembers(highest, number)) => {
                Admission::Late(number)
            }
            _ if withheld.is_some() => of.arrival_of(header.ssrc, clock_rate).receive_untimed(header.sequence),
            _ => of.arrival_of(header.ssrc, clock_rate).receive(header.sequence, header.timestamp, received),
        };
        let another = begins && of.relayed.replace(header.ssrc).is_some_and(|before| before != header.ssrc);
        let (number, late) = match admission {
            Admission::Newest(number) if begins => {
                self.begin_source(turn, (id, layer), another);
                if let Some(stream) = self.streams.get_mut(id.0) {
                    stream.layers[layer].losses.reset();
                    stream.clock = SenderClock::new(clock_rate);
                }
                (number, false)
            }
            Admission::Newest(number) => (number, false),
            Admission::Late(number) => (number, true),
            Admission::Restarted(number) => {
                self.begin_source(turn, (id, layer), false);
                if let Some(stream) = self.streams.get_mut(id.0) {
                    stream.layers[layer].losses.restart(number);
                }
                (number, false)
            }
            Admission::Duplicate | Admission::Stray => {
                return Verdict::Drop(withheld.unwrap_or(DropReason::RtpSequence));
            }
        };
        if let Some(reason) = withheld {
            self.withhold(turn, (id, layer), received, number);
            return Verdict::Drop(reason);
        }
        let verdict = self.store(turn, (id, layer), received, packet, number, late);
        if another && self.streams.get(id.0).is_some_and(|stream| stream.keyframes.due() < Mono::NEVER) {
            self.request_keyframe(turn, id);
        }
        verdict
    }

    /// Takes note of a packet that is not passed on: it is not missing, and those behind it close up.
    pub(super) fn withhold(
        &mut self,
        turn: &mut Turn<'_>,
        (id, layer): (StreamId, usize),
        received: Mono,
        number: ExtSeq,
    ) {
        let Some(stream) = self.streams.get_mut(id.0) else { return };
        let of = &mut stream.layers[layer];
        let receipt = of.losses.receive(number, received);
        if receipt != Receipt::Duplicate {
            of.numbers.withhold(number);
            // Comfort noise means that the microphone is there.
            of.received = received;
        }
        if receipt == Receipt::Gap {
            let (member, at) = (stream.member, of.losses.deadline());
            self.plan_nack(turn, member, at);
        }
    }

    fn plan_nack(&mut self, turn: &mut Turn<'_>, member: MemberId, at: Mono) {
        if at < Mono::NEVER
            && let Some(peer) = self.peers.get_mut(member.0)
        {
            turn.state.timers.arm(peer.key, &mut peer.planned, Urgency::Prompt, at);
        }
    }

    /// The numbers of a source begin afresh: what waits goes out with the old ones, and the legs close up behind it. Of
    /// another source than before they want a keyframe.
    fn begin_source(&mut self, turn: &mut Turn<'_>, (id, layer): (StreamId, usize), another: bool) {
        if self.streams.get(id.0).is_some_and(|stream| stream.layers.iter().any(Layer::is_touched)) {
            self.release(turn);
        }
        for leg in self.legs.iter_mut().filter(|leg| leg.source == Some(id)) {
            leg.switch();
            leg.awaiting_keyframe |= another && leg.spec.kind == MediaKind::Video;
        }
        let forwarders = self.forwarders.iter_mut().filter(|forwarder| forwarder.source == Some(id));
        forwarders.filter(|forwarder| forwarder.layer == layer).for_each(Forwarder::switch);
        if let Some(stream) = self.streams.get_mut(id.0) {
            if another {
                // Unless this very packet begins one. Forwarders take what comes, and are helped by it too.
                stream.keyframes.want();
            }
            let layer = &mut stream.layers[layer];
            layer.began = layer.history.next();
            layer.numbers = Renumber::default();
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
                turn.state.counters.packets_recovered += 1;
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
        turn.state.counters.packets_abandoned += losses.take_abandoned();
        let nack_at = if receipt == Receipt::Gap { losses.deadline() } else { Mono::NEVER };
        if !late {
            stream.clock.packet(header.timestamp, received);
        }
        let ids = stream.media.extensions;
        let mut entry = Entry {
            sequence: stream.layers[layer].numbers.pass(number).0,
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
                turn.state.touched_rooms.push(self.slot);
            }
            self.touched_streams.push(id);
        }
        let begins = !std::mem::replace(&mut stream.receiving, true);
        self.plan_nack(turn, member, nack_at);
        if begins {
            self.media_changed(turn, id, true);
        }
        if let Some(change) = change {
            let mut effects = Vec::new();
            self.room.talking_changed(id, change, &mut effects);
            self.apply(turn, effects);
        }
        turn.state.counters.packets_received += 1;
        Verdict::Accepted
    }

    /// Tells the publisher that media of a stream started or stopped arriving.
    pub(super) fn media_changed(&mut self, turn: &mut Turn<'_>, id: StreamId, receiving: bool) {
        let Some(stream) = self.streams.get(id.0) else { return };
        let (member, mid, kind) = (stream.member, stream.media.mid, stream.media.kind);
        let mut effects = Vec::new();
        let silence = turn.state.no_media_timer.as_secs();
        let seconds = (!receiving && silence > 1).then_some(silence);
        self.room.roster().media_changed(member, mid, kind, receiving, seconds, &mut effects);
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
            Err(error) => {
                if error == SrtpError::TooManyStreams {
                    self.sources_exhausted(turn, member, ssrc_at(datagram, 4));
                }
                return Verdict::Drop(unopened(error));
            }
        };
        turn.state.counters.rtcp_received += 1;
        if keys.capture.is_some() {
            tap::record(&mut keys.capture, turn, peer.ice.selected(), Direction::In, &[&datagram[..len]]);
        }
        self.heard(turn, member, at);
        self.read_compound(turn, member, received, &datagram[..len])
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

/// The SSRC of a packet that SRTP has read: RTP has it at 8, RTCP at 4.
fn ssrc_at(datagram: &[u8], at: usize) -> u32 {
    datagram.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |ssrc| u32::from_be_bytes(*ssrc))
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
