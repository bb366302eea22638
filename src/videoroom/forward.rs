//! RTP forwarders: what of a publisher goes where without a subscriber. A forwarder belongs to an m-line and follows it
//! through renegotiations; it ends with the line's tag, the publisher's peer connection, or when told. Packets and keys
//! are the engine's; which addresses may be sent to was decided before.

use super::line::Line;
use super::room::unused;
use super::state::{Forwarder, Forwarders, Room};
use crate::control::command::Reply;
use crate::control::effect::Effect;
use crate::control::error::RoomError;
use crate::control::forward::{Forward, ForwarderSpec, Of, Target};
use crate::control::summary::{ForwarderSummary, Forwarding, PublisherForwarders};
use crate::id::{FeedId, ForwarderId, MemberId, StreamId};
use crate::limits::FORWARDERS_PER_ROOM_MAX;
use crate::wire::sdp::MediaKind;

impl Room {
    /// `rtp_forward`: new forwarders, from now on.
    pub(super) fn forward(&mut self, forward: Forward, effects: &mut Vec<Effect>) -> Result<Reply, RoomError> {
        let Forward { feed, targets, legacy } = forward;
        let publisher = *self.wiring.roster.feeds.get(&feed).ok_or_else(|| RoomError::NoSuchFeed(feed.clone()))?;
        let lines = &self.wiring.roster.publisher(publisher).lines;
        let found = targets.into_iter().filter_map(|target| Some((line_of(lines, target.of)?, target)));
        let forwarder = |(line, target)| Forwarder::new(publisher, line, target, None);
        let mut made: Vec<Forwarder> = found.map(forwarder).collect();
        if self.forwarding.forwarders.len() + made.len() > FORWARDERS_PER_ROOM_MAX {
            return Err(RoomError::Exhausted("forwarders of the room"));
        }
        let mut taken = self.forwarding.forwarders.iter().filter_map(|(_, of)| of.stream_id).collect();
        for forwarder in &mut made {
            let stream_id = unused(&mut taken, &mut self.rng);
            forwarder.stream_id = Some(stream_id);
            if forwarder.target.simulcast && forwarder.target.ssrc.is_none() {
                forwarder.ssrc = Some(stream_id);
            }
        }
        self.forwarding.check_keys(&made)?;
        let lines = &self.wiring.roster.publisher(publisher).lines;
        let summaries = made.iter().filter_map(|forwarder| forwarder.summary(lines)).collect();
        self.add_forwarders(made, effects);
        self.route_forwarders(publisher, effects);
        let forwarding = Forwarding { room: self.wiring.room(), feed, forwarders: summaries, legacy };
        Ok(Reply::Forwarding(Box::new(forwarding)))
    }

    /// `stop_rtp_forward`
    pub(super) fn stop_forward(
        &mut self,
        feed: FeedId,
        stream_id: u64,
        effects: &mut Vec<Effect>,
    ) -> Result<Reply, RoomError> {
        let publisher = *self.wiring.roster.feeds.get(&feed).ok_or_else(|| RoomError::NoSuchFeed(feed.clone()))?;
        let mut own = self.forwarding.forwarders.iter().filter(|(_, forwarder)| forwarder.publisher == publisher);
        let found = own.find_map(|(id, of)| Some((id, of.stream_id.filter(|own| u64::from(*own) == stream_id)?)));
        drop(own);
        let (id, stream_id) = found.ok_or(RoomError::NoSuchForwarder(stream_id))?;
        self.forwarding.remove_forwarder(id, effects);
        Ok(Reply::ForwardStopped(self.wiring.room(), feed, stream_id))
    }

    /// `listforwarders`
    pub(super) fn forwarded(&self) -> Vec<PublisherForwarders> {
        let of = |member: MemberId| {
            let own = self.forwarding.forwarders.iter().filter(move |(_, forwarder)| forwarder.publisher == member);
            let lines = &self.wiring.roster.publisher(member).lines;
            own.filter_map(|(_, forwarder)| forwarder.summary(lines)).collect::<Vec<_>>()
        };
        self.wiring
            .roster
            .publishers()
            .map(|(id, _, publisher)| (id, PublisherForwarders { who: publisher.who.clone(), forwarders: of(id) }))
            // As in Janus, a publisher that is shown elsewhere has an entry, and what does that is not in it.
            .filter(|(id, publisher)| {
                !publisher.forwarders.is_empty()
                    || self.wiring.roster.has_peer(*id) && self.forwarding.has_remotizations(*id)
            })
            .map(|(_, publisher)| publisher)
            .collect()
    }

    /// Lets flow through a publisher's forwarders what their lines relay now; those whose lines are gone end. Video that
    /// begins to flow begins with a keyframe.
    pub(super) fn route_forwarders(&mut self, publisher: MemberId, effects: &mut Vec<Effect>) {
        self.add_forwarders(self.missing_remotely(publisher), effects);
        let own: Vec<ForwarderId> =
            self.forwarding.forwarders.iter().filter(|(_, of)| of.publisher == publisher).map(|(id, _)| id).collect();
        let mut started = Vec::new();
        for id in own {
            let Forwarder { mindex, mid, kind, source: before, remotization, .. } = self.forwarding.forwarders[id];
            let line = self.wiring.roster.publisher(publisher).lines.get(mindex);
            let is_there = match remotization {
                // Its SSRC is the line's place, whatever is there: another forwarder would use up its numbers again.
                Some(number) => self.forwarding.is_remotized(number),
                None => line.is_some_and(|line| (line.media.mid, line.media.kind) == (mid, kind)),
            };
            if !is_there {
                self.forwarding.remove_forwarder(id, effects);
                continue;
            }
            let line = line.filter(|line| line.is_relayed());
            let source = line.and_then(|line| line.stream);
            if source == before {
                continue;
            }
            let video = line.is_some_and(|line| line.media.kind == MediaKind::Video);
            self.forwarding.forwarders[id].source = source;
            effects.push(Effect::RouteForwarder { forwarder: id, source });
            started.extend(source.filter(|source| video && !started.contains(source)));
        }
        effects.extend(started.into_iter().map(Effect::RequestKeyframe));
    }

    fn add_forwarders(&mut self, made: Vec<Forwarder>, effects: &mut Vec<Effect>) {
        for forwarder in made {
            let spec = forwarder.spec(&self.wiring.roster.publisher(forwarder.publisher).lines[forwarder.mindex]);
            let id = self.forwarding.forwarders.insert(forwarder);
            effects.push(Effect::AddForwarder { forwarder: id, spec });
        }
    }
}

impl Forwarders {
    /// A stream ends, and its id may soon be another one's. The engine knows that it has ended.
    pub(super) fn unroute_forwarders(&mut self, stream: StreamId) {
        for id in self.forwarders.ids() {
            let source = &mut self.forwarders[id].source;
            *source = source.filter(|source| *source != stream);
        }
    }

    pub(super) fn remove_forwarder(&mut self, id: ForwarderId, effects: &mut Vec<Effect>) {
        self.forwarders.remove(id);
        effects.push(Effect::RemoveForwarder(id));
    }

    /// Two streams under one key must differ in their SSRC, or each gives the other away (RFC 3711 §9.1).
    pub(super) fn check_keys(&self, made: &[Forwarder]) -> Result<(), RoomError> {
        for (at, new) in made.iter().enumerate().filter(|(_, new)| new.target.srtp.is_some()) {
            let others = made[..at].iter().chain(self.forwarders.iter().map(|(_, forwarder)| forwarder));
            if others.filter(|other| other.target.srtp == new.target.srtp).any(|other| other.shares_ssrc(new)) {
                return Err(RoomError::SharedSsrc);
            }
        }
        Ok(())
    }
}

impl Forwarder {
    /// A forwarder of a line that nothing flows through yet.
    pub(super) fn new(publisher: MemberId, line: &Line, target: Target, remotization: Option<u64>) -> Forwarder {
        Forwarder {
            stream_id: None,
            remotization,
            publisher,
            mindex: line.media.mindex,
            mid: line.media.mid,
            kind: line.media.kind,
            ssrc: target.ssrc.or(line.media.ssrcs.get(usize::from(target.substream)).copied()),
            target,
            source: None,
        }
    }

    fn shares_ssrc(&self, other: &Forwarder) -> bool {
        match (self.ssrc, other.ssrc) {
            (Some(one), Some(another)) => one == another,
            // What the publisher will send with is not known yet.
            (None, None) => self.encoding() == other.encoding(),
            _ => false,
        }
    }

    /// What of whom it sends.
    fn encoding(&self) -> (MemberId, usize, u8) {
        (self.publisher, self.mindex, self.target.substream)
    }

    fn spec(&self, line: &Line) -> ForwarderSpec {
        let Target { to, rtcp_port, pt, substream, srtp, .. } = self.target.clone();
        let clock_rate = line.media.codec.map_or(90_000, crate::control::codec::Codec::clock_rate);
        let strict = self.remotization.is_some();
        ForwarderSpec { clock_rate, to, rtcp_port, strict, pt, ssrc: self.ssrc, substream, srtp }
    }

    /// Of one that clients know.
    fn summary(&self, lines: &[Line]) -> Option<ForwarderSummary> {
        let Target { to, rtcp_port, pt, ssrc, substream, ref srtp, .. } = self.target;
        Some(ForwarderSummary {
            stream_id: self.stream_id?,
            kind: self.kind,
            codec: lines.get(self.mindex).and_then(|line| line.media.codec),
            to,
            local_rtcp_port: None,
            rtcp_port,
            pt,
            ssrc,
            substream,
            srtp: srtp.is_some(),
        })
    }
}

fn line_of(lines: &[Line], of: Of) -> Option<&Line> {
    match of {
        Of::Mid(mid) => lines.iter().find(|line| line.media.mid == mid),
        Of::First(kind) => lines.iter().find(|line| line.media.kind == kind && line.stream.is_some()),
    }
}
