//! Carrying out what the room decided, in its order.

use super::receive::open_streams;
use super::{HostedRoom, Table};
use crate::control::command::{Event, HangupReason, Reply};
use crate::control::effect::{Effect, LegSpec};
use crate::control::media::PublishedMedia;
use crate::control::observation::{IceState, Observation};
use crate::id::{HandleAddress, LegId, MemberId, StreamId};
use crate::media::forwarder::Forwarder;
use crate::media::leg::Leg;
use crate::media::peer::{MediaState, Peer};
use crate::media::stream::Stream;
use crate::media::turn::Turn;
use crate::proto::dtls::Role;
use crate::wire::rtp::extension::PlayoutDelay;
use crate::wire::sdp::{Description, DescriptionKind, Transport};

impl HostedRoom {
    /// What has to exist before a description can be completed: new peers, fresh credentials. These effects are done
    /// and taken out of the list.
    pub(super) fn open_peers(&mut self, turn: &mut Turn<'_>, reply: &Reply, effects: &mut Vec<Effect>) {
        let answered = answers_an_offer(reply);
        effects.retain_mut(|effect| match effect {
            Effect::OpenPeer { member, remote } => {
                self.open_peer(turn, *member, remote.as_ref());
                false
            }
            Effect::RestartIce(member) => {
                if let Some(peer) = self.peers.get_mut(member.0) {
                    peer.restart_ice(turn);
                }
                false
            }
            Effect::SetRemote { member, remote } => {
                self.set_remote(turn, *member, remote, answered);
                false
            }
            _ => true,
        });
    }

    /// Puts our transport into the description of a reply.
    pub(super) fn complete_reply(&self, turn: &Turn<'_>, to: HandleAddress, reply: &mut Reply) {
        let description = match reply {
            Reply::Joined(joined) => joined.published.as_mut().map(|published| &mut published.answer),
            Reply::Attached(attached) => Some(&mut attached.offer),
            Reply::Configured(configured) => match (&mut configured.published, &mut configured.offer) {
                (Some(published), _) => Some(&mut published.answer),
                (None, offer) => offer.as_mut(),
            },
            Reply::Updated(updated) => updated.offered.as_mut().map(|(_, offer)| offer),
            Reply::Switched(switched) => switched.offer.as_mut(),
            _ => None,
        };
        if let (Some(description), Some(member)) = (description, self.room.roster().member(to)) {
            self.complete(turn, member, description);
        }
    }

    fn complete(&self, turn: &Turn<'_>, member: MemberId, description: &mut Description) {
        if let Some(peer) = self.peers.get(member.0) {
            let answering = description.kind == DescriptionKind::Answer;
            description.complete(&peer.transport(answering, turn), &turn.state.candidates);
        }
    }

    /// Does what is left of a request's consequences.
    pub(super) fn apply(&mut self, turn: &mut Turn<'_>, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::OpenPeer { member, remote } => self.open_peer(turn, member, remote.as_ref()),
                Effect::SetRemote { member, remote } => self.set_remote(turn, member, &remote, false),
                Effect::RestartIce(member) => {
                    if let Some(peer) = self.peers.get_mut(member.0) {
                        peer.restart_ice(turn);
                    }
                }
                Effect::ClosePeer(member) => {
                    if let Some(peer) = self.peers.take(member.0) {
                        peer.close(turn);
                    }
                    self.close_remote(turn, member);
                }
                Effect::OpenRemote { member, port, srtp } => self.open_remote(turn, member, port, srtp.as_ref()),
                Effect::SetStream { stream, member, media } => self.set_stream(turn, stream, member, media),
                Effect::WatchTalking { stream, rule } => {
                    if let Some(stream) = self.streams.get_mut(stream.0) {
                        stream.talk.set(rule);
                    }
                }
                Effect::RemoveStream(stream) => self.remove_stream(turn, stream),
                Effect::AddLeg { leg, member, spec } => self.add_leg(turn, leg, member, spec),
                Effect::SetSource { leg, source } => self.set_source(leg, source),
                Effect::AcceptLeg { leg, media } => {
                    if let Some(leg) = self.legs.get_mut(leg.0) {
                        leg.accept(&media);
                    }
                }
                Effect::GateLeg { leg, open } => self.gate_leg(leg, open),
                Effect::OverrideDelay { leg, delay } => {
                    if let Some(leg) = self.legs.get_mut(leg.0) {
                        leg.playout_delay = delay.map(PlayoutDelay::to_bytes);
                    }
                }
                Effect::RemoveLeg(leg) => {
                    self.set_source(leg, None);
                    let member = self.legs.take(leg.0).map(|leg| leg.member);
                    if let Some(peer) = member.and_then(|member| self.peers.get_mut(member.0)) {
                        peer.legs.retain(|&of| of != leg);
                    }
                }
                Effect::AddForwarder { forwarder, spec } => self.add_forwarder(turn, forwarder, &spec),
                Effect::RouteForwarder { forwarder, source } => self.route_forwarder(forwarder, source),
                Effect::RemoveForwarder(forwarder) => self.remove_forwarder(turn, forwarder),
                Effect::RequestKeyframe(stream) => self.request_keyframe(turn, stream),
                Effect::CapBitrate { member, bps } => {
                    if let Some(peer) = self.peers.get_mut(member.0) {
                        peer.cap.set(bps);
                    }
                    self.rearm(turn, member);
                }
                Effect::Observe { of, what } => turn.state.observe(of, Observation::Room(self.id().clone(), what)),
                Effect::Tell { to, event } => self.tell(turn, &to, event),
            }
        }
    }

    /// An offer that goes out unasked needs our transport like one in a reply.
    fn tell(&self, turn: &mut Turn<'_>, to: &[HandleAddress], mut event: Event) {
        if let (Event::Updated(_, _, offer), &[address]) = (&mut event, to)
            && let Some(member) = self.room.roster().member(address)
        {
            self.complete(turn, member, offer);
        }
        turn.tell(to, event);
    }

    fn open_peer(&mut self, turn: &mut Turn<'_>, member: MemberId, remote: Option<&Transport>) {
        debug_assert!(self.peers.get(member.0).is_none(), "the room closes a peer before it opens another");
        let Some(peer) = Peer::open(self.key(member), remote, turn) else {
            // Without an endpoint there is no connection: the handle hears it as a failed one.
            return self.peer_lost(turn, member, HangupReason::DtlsError);
        };
        self.peers.put(member.0, peer);
        self.observe_opening(turn, member, remote.is_some());
        self.rearm(turn, member);
    }

    fn set_remote(&mut self, turn: &mut Turn<'_>, member: MemberId, remote: &Transport, by_offer: bool) {
        let Some(peer) = self.peers.get_mut(member.0) else { return };
        if by_offer && peer.is_restart(remote) {
            peer.restart_ice(turn);
        }
        let awaited = peer.ice.selected().is_none();
        let is_another = peer.is_another(remote);
        if is_another {
            if !peer.begin_association(remote, turn) {
                return self.peer_lost(turn, member, HangupReason::DtlsError);
            }
            turn.state.counters.associations_replaced += 1;
            for leg in &peer.legs {
                if let Some(leg) = self.legs.get_mut(leg.0) {
                    let (first, timestamp) = first_numbers(turn);
                    leg.disconnect(first, timestamp);
                }
            }
        } else {
            peer.set_remote(remote, turn);
        }
        if peer.role == Role::Active && peer.ice.selected().is_some() {
            // Checks may overtake the description that makes us the client (RFC 8842 §5.3).
            peer.dtls.start(turn.now);
        }
        if awaited || is_another {
            self.observe_ice(turn, member, IceState::Connecting);
        }
        // The handshake may have been waiting for the fingerprint.
        self.after_dtls(turn, member);
    }

    fn set_stream(&mut self, turn: &mut Turn<'_>, id: StreamId, member: MemberId, media: PublishedMedia) {
        let before = match self.streams.get_mut(id.0) {
            Some(stream) => Some(stream.agree(media)),
            None => {
                // A peer that could not be opened is lost already, and its m-lines with it.
                let remote = self.remotes.get_mut(member.0).map(|remote| &mut remote.streams);
                let peer = self.peers.get_mut(member.0).map(|peer| &mut peer.streams);
                let Some(streams) = peer.or(remote) else { return };
                streams.push(id);
                self.streams.put(id.0, Stream::new(member, media, &mut turn.state.region));
                None
            }
        };
        self.announce_sources(turn, id, before.as_ref());
        let Some(peer) = self.peers.get_mut(member.0) else { return };
        let with_feedback =
            |id: &StreamId| self.streams.get(id.0).is_some_and(|stream| stream.media.extensions.transport_cc.is_some());
        peer.cap.set_feedback(peer.streams.iter().any(with_feedback));
    }

    fn remove_stream(&mut self, turn: &mut Turn<'_>, id: StreamId) {
        let Some(stream) = self.streams.take(id.0) else { return };
        for layer in &stream.layers {
            turn.state.region.give_back(&layer.history);
        }
        let forwarders = self.forwarders.iter_mut().filter(|forwarder| forwarder.source == Some(id));
        forwarders.for_each(Forwarder::orphan);
        for leg in stream.route {
            if let Some(leg) = self.legs.get_mut(leg.0) {
                leg.set_source(None);
            }
        }
        if let Some(remote) = self.remotes.get_mut(stream.member.0) {
            remote.streams.retain(|&of| of != id);
        }
        if let Some(peer) = self.peers.get_mut(stream.member.0) {
            peer.streams.retain(|&of| of != id);
            peer.sources.forget(id);
        }
    }

    fn add_leg(&mut self, turn: &mut Turn<'_>, id: LegId, member: MemberId, spec: LegSpec) {
        let (first, timestamp) = first_numbers(turn);
        let mut leg = Leg::new(member, spec, first, timestamp);
        let Some(peer) = self.peers.get_mut(member.0) else { return };
        peer.legs.push(id);
        peer.outbox.reserve(peer.legs.len());
        if let MediaState::Connected(keys) = &mut peer.media {
            leg.connect(open_streams(keys, &leg.spec, turn));
        }
        self.legs.put(id.0, leg);
    }

    fn set_source(&mut self, id: LegId, source: Option<StreamId>) {
        let Some(leg) = self.legs.get_mut(id.0) else { return };
        unroute(&mut self.streams, leg.source, id);
        leg.set_source(source);
        if leg.open {
            route(&mut self.streams, source, id);
        }
    }

    fn gate_leg(&mut self, id: LegId, open: bool) {
        let Some(leg) = self.legs.get_mut(id.0) else { return };
        leg.gate(open);
        unroute(&mut self.streams, leg.source, id);
        if open {
            route(&mut self.streams, leg.source, id);
        }
    }

    /// Somebody needs a keyframe of the stream: asked for at once, or as soon as the pace allows.
    pub(super) fn request_keyframe(&mut self, turn: &mut Turn<'_>, id: StreamId) {
        let Some(stream) = self.streams.get_mut(id.0) else { return };
        stream.keyframes.want();
        let member = stream.member;
        if self.ask_remote(turn, id) {
            return;
        }
        self.send_keyframe_request(turn, id);
        self.rearm(turn, member);
    }
}

fn route(streams: &mut Table<Stream>, source: Option<StreamId>, leg: LegId) {
    if let Some(stream) = source.and_then(|id| streams.get_mut(id.0)) {
        stream.route.push(leg);
    }
}

fn unroute(streams: &mut Table<Stream>, source: Option<StreamId>, leg: LegId) {
    if let Some(stream) = source.and_then(|id| streams.get_mut(id.0)) {
        stream.route.retain(|&of| of != leg);
    }
}

/// Where the numbers of a leg begin: a sequence number and a timestamp. RFC 3711 §3.3.1: a first index below 2^15, so that
/// a receiver that misses it still guesses the same rollover.
fn first_numbers(turn: &mut Turn<'_>) -> (u64, u32) {
    (u64::from(turn.random_u32() & 0x7fff).max(1), turn.random_u32())
}

/// Whether the reply carries our answer, so that the peer's description was an offer.
fn answers_an_offer(reply: &Reply) -> bool {
    match reply {
        Reply::Joined(joined) => joined.published.is_some(),
        Reply::Configured(configured) => configured.published.is_some(),
        _ => false,
    }
}
