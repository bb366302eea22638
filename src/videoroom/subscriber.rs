//! What a subscriber may ask for: joining with a list of streams, starting, pausing, configuring, leaving; and the
//! offers that it gets when its sources change. Which stream is on which m-line is in `subscription`.

use std::collections::BTreeSet;

use rand_chacha::rand_core::Rng;

use super::line::Line;
use super::publisher::{check_mids, delayed, sent};
use super::room::tell;
use super::state::{Exchange, Leg, Member, NextOffer, Peer, Role, Room, Roster, Seat, Subscriber, Wiring};
use crate::control::command::{Event, Reply};
use crate::control::effect::Effect;
use crate::control::error::RoomError;
use crate::control::inspection::SubscriberState;
use crate::control::media::{AcceptedMedia, OfferedMedia};
use crate::control::observation::RoomObservation;
use crate::control::request::{ConfigureSubscriber, JoinSubscriber, MemberRequest};
use crate::control::summary::{Attached, Configured, SourceSummary, SubscriptionSummary};
use crate::id::{HandleAddress, LegId, MemberId, StreamId};
use crate::negotiate;
use crate::wire::sdp::{Description, DescriptionKind, MediaKind, Transport};

/// What the answer to an offer says.
pub(super) struct Answered {
    media: Vec<AcceptedMedia>,
    remote: Option<Transport>,
}

impl Subscriber {
    /// How it stands, for operators.
    pub(super) fn state(&self) -> SubscriberState {
        let next = match self.exchange {
            Exchange::Settled => None,
            Exchange::Offered { next } => next,
        };
        SubscriberState {
            answered: matches!(self.exchange, Exchange::Settled),
            pending_offer: next.is_some(),
            pending_restart: next.is_some_and(|next| next.restart),
            paused: self.paused,
        }
    }
}

impl Room {
    pub(super) fn join_subscriber(
        &mut self,
        from: HandleAddress,
        join: JoinSubscriber,
        effects: &mut Vec<Effect>,
    ) -> Result<Reply, RoomError> {
        self.wiring.check_entry(join.is_signed, join.pin.as_deref())?;
        let legacy = join.legacy.filter(|_| join.streams.is_empty());
        let wanted = match &legacy {
            Some(legacy) => self.wiring.roster.wanted_of_feed(legacy)?,
            None if join.streams.is_empty() => return Err(RoomError::Missing("feed")),
            None => self.wiring.roster.wanted(join.streams.iter().map(|entry| (entry, true)))?,
        };
        // Janus looks for the feeds first.
        let known = |id: u32| {
            self.wiring.roster.publishers().any(|(.., publisher)| publisher.private_id == id && !publisher.is_dummy)
        };
        if self.wiring.spec.require_pvtid && !join.private_id.is_some_and(known) {
            return Err(RoomError::PrivateIdNeeded);
        }
        let e2ee =
            self.wiring.spec.require_e2ee || wanted.first().is_some_and(|wanted| self.wiring.is_e2ee(wanted.stream));
        if let Some(feed) = self.wiring.unlike_e2ee(e2ee, wanted.iter().map(|wanted| wanted.stream)) {
            return Err(RoomError::UnlikeE2ee(feed.clone()));
        }
        if wanted.is_empty() {
            return Err(RoomError::InvalidSdp("Can't offer an SDP with no stream"));
        }
        self.wiring.check_copies(wanted.iter().map(|wanted| wanted.stream))?;
        let places = self.place(Vec::new(), Vec::new(), &wanted, join.use_msid)?;

        let role = Role::Subscriber(Subscriber {
            private_id: join.private_id,
            is_silenced: false,
            use_msid: join.use_msid,
            e2ee,
            autoupdate: join.autoupdate,
            paused: false,
            // RFC 9429 §5.2.1: 64 bits with the highest one 0.
            origin_id: self.rng.next_u64() >> 1,
            version: 0,
            exchange: Exchange::Settled,
            located: false,
            offered: Vec::new(),
            legs: Vec::with_capacity(wanted.len()),
        });
        let member = self.wiring.roster.members.insert(Member { address: Some(from), peer: Peer::Connecting, role });
        self.wiring.roster.seats.insert(from, Seat::Member(member));
        effects.push(Effect::OpenPeer { member, remote: None });
        self.wiring.occupy(member, wanted, places, effects);
        let legacy = legacy.and_then(|legacy| {
            let feed = self.wiring.roster.feeds.get(&legacy.feed)?;
            Some(self.wiring.roster.publisher(*feed).who.clone())
        });
        let offer = self.wiring.make_offer(member, false, effects);
        let streams = self.wiring.subscription(member);
        self.observe(member, effects, |room| RoomObservation::Subscribing {
            private_id: join.private_id,
            streams: room.wiring.subscription(member),
        });
        Ok(Reply::Attached(Box::new(Attached { room: self.wiring.room(), streams, legacy, offer })))
    }

    pub(super) fn leave_subscriber(&mut self, member: MemberId, effects: &mut Vec<Effect>) -> Reply {
        self.observe_unsubscribed(member, effects);
        self.wiring.remove_legs(member, effects);
        self.wiring.roster.finish(member, effects);
        Reply::SubscriberLeft(self.wiring.room())
    }

    /// Event handlers hear of each m-line that a subscriber gives up by leaving or with its peer connection. What it
    /// drops by `update` is part of what it has then.
    pub(super) fn observe_unsubscribed(&self, member: MemberId, effects: &mut Vec<Effect>) {
        for source in self.wiring.roster.subscriber(member).legs.iter().filter_map(|leg| self.wiring.legs[*leg].source)
        {
            self.observe(member, effects, |room| RoomObservation::Unsubscribed {
                feed: room.wiring.roster.publisher(room.wiring.streams[source].publisher).who.id.clone(),
                mid: room.wiring.line(source).media.mid,
            });
        }
    }

    /// A request that brings the answer to the outstanding offer along: the request goes first, as in Janus, and finds the
    /// offer outstanding. When either is refused, nothing happens.
    pub(super) fn serve_with_answer(
        &mut self,
        member: MemberId,
        request: MemberRequest,
        answer: &Description,
        effects: &mut Vec<Effect>,
    ) -> Result<Reply, RoomError> {
        let answered = self.wiring.roster.read_answer(member, answer)?;
        let reply = self.serve(member, request, effects)?;
        self.wiring.take_answer(member, answered, effects);
        Ok(reply)
    }
}

impl Wiring {
    /// `start` also ends a pause, whether or not it brings an answer; an answer to nothing is ignored.
    pub(super) fn start(
        &mut self,
        member: MemberId,
        answer: Option<&Description>,
        effects: &mut Vec<Effect>,
    ) -> Result<Reply, RoomError> {
        let answered = answer.map_or(Ok(None), |answer| self.roster.read_answer(member, answer))?;
        self.roster.subscriber_mut(member).paused = false;
        self.take_answer(member, answered, effects);
        Ok(Reply::Started(self.room()))
    }

    pub(super) fn pause(&mut self, member: MemberId, effects: &mut Vec<Effect>) -> Reply {
        let subscriber = self.roster.subscriber_mut(member);
        subscriber.paused = true;
        let legs = subscriber.legs.clone();
        self.settle(&legs, effects);
        Reply::Paused(self.room())
    }

    pub(super) fn configure_subscriber(
        &mut self,
        member: MemberId,
        configure: ConfigureSubscriber,
        effects: &mut Vec<Effect>,
    ) -> Result<Reply, RoomError> {
        if self.roster.subscriber(member).is_silenced {
            return Err(RoomError::Kicked);
        }
        let legs = self.roster.subscriber(member).legs.clone();
        let mids = legs.iter().map(|&leg| self.legs[leg].line.mid).collect();
        check_mids(&configure.streams, &mids, RoomError::NoSuchSubscriptionMid)?;

        let for_all = configure.streams.iter().find(|entry| entry.mid.is_none()).and_then(|entry| entry.send);
        let legacy = configure.streams.iter().all(|entry| entry.mid.is_none());
        let mut stale = BTreeSet::new();
        for &id in &legs {
            let leg = &mut self.legs[id];
            if leg.line.kind == MediaKind::Video {
                leg.delay = delayed(leg.delay, &configure.streams, leg.line.mid);
            }
            let by_kind = match leg.line.kind {
                MediaKind::Audio if legacy => configure.audio,
                MediaKind::Video if legacy => configure.video,
                _ => None,
            };
            let Some(send) = by_kind.or(for_all).or_else(|| sent(&configure.streams, leg.line.mid)) else { continue };
            leg.send = send;
            if send && leg.open && leg.line.kind == MediaKind::Video {
                // Janus asks for a keyframe whenever somebody says `send: true`, and apps use it for that.
                stale.extend(leg.source);
            }
        }
        self.settle(&legs, effects);
        effects.extend(stale.into_iter().map(Effect::RequestKeyframe));
        let is_late = self.roster.owes_answer(member);
        let offer = if configure.restart || configure.update {
            self.next_offer(member, configure.restart, effects)
        } else {
            None
        };
        if is_late && (configure.restart || configure.update) {
            return Ok(Reply::Postponed);
        }
        Ok(Reply::Configured(Box::new(Configured { room: self.room(), published: None, offer })))
    }

    /// Unwires and removes everything that the member receives.
    pub(super) fn remove_legs(&mut self, member: MemberId, effects: &mut Vec<Effect>) {
        for id in std::mem::take(&mut self.roster.subscriber_mut(member).legs) {
            let leg = self.legs.remove(id);
            if let Some(source) = leg.source {
                self.streams[source].legs.retain(|&other| other != id);
            }
            effects.push(Effect::RemoveLeg(id));
        }
    }

    /// Offers the members what has changed, those that want to hear of it unasked.
    pub(super) fn update_subscribers(&mut self, members: BTreeSet<MemberId>, effects: &mut Vec<Effect>) {
        for member in members {
            if self.roster.subscriber(member).autoupdate {
                self.send_offer(member, false, effects);
            }
        }
    }

    /// Opens and closes the gates of the legs and sets their playout-delays as their state now says. Video that starts
    /// to flow to a peer that is up begins with a keyframe; a peer that is not up yet gets one when it is.
    pub(super) fn settle(&mut self, legs: &[LegId], effects: &mut Vec<Effect>) {
        let mut started = BTreeSet::new();
        for &id in legs {
            let leg = &self.legs[id];
            let member = leg.subscriber;
            let relayed = leg.source.filter(|&source| self.line(source).is_relayed());
            let Subscriber { paused, is_silenced, .. } = *self.roster.subscriber(member);
            let open = leg.accepted && leg.send && relayed.is_some() && !paused && !is_silenced;
            let delay = leg.delay.or(leg.source.and_then(|source| self.line(source).delay));
            if delay != leg.imposed {
                self.legs[id].imposed = delay;
                effects.push(Effect::OverrideDelay { leg: id, delay });
            }
            let leg = &self.legs[id];
            if open == leg.open {
                continue;
            }
            if open && leg.line.kind == MediaKind::Video && self.roster.peer(member) == Some(Peer::Up) {
                started.extend(relayed);
            }
            self.legs[id].open = open;
            effects.push(Effect::GateLeg { leg: id, open });
        }
        effects.extend(started.into_iter().map(Effect::RequestKeyframe));
    }

    /// Asks for a keyframe of all video that flows to the member.
    pub(super) fn request_keyframes(&self, member: MemberId, effects: &mut Vec<Effect>) {
        let legs = self.roster.subscriber(member).legs.iter().map(|&leg| &self.legs[leg]);
        let video = legs.filter(|leg| leg.open && leg.line.kind == MediaKind::Video);
        let sources: BTreeSet<StreamId> = video.filter_map(|leg| leg.source).collect();
        effects.extend(sources.into_iter().map(Effect::RequestKeyframe));
    }

    /// Opens what was answered, if anything was, and what else the request has opened; then the next offer, if one has to
    /// follow.
    pub(super) fn take_answer(&mut self, member: MemberId, answered: Option<Answered>, effects: &mut Vec<Effect>) {
        let legs = self.roster.subscriber(member).legs.clone();
        let mut follows = None;
        if let Some(Answered { media, remote }) = answered {
            let subscriber = self.roster.subscriber_mut(member);
            if let Exchange::Offered { next } = std::mem::replace(&mut subscriber.exchange, Exchange::Settled) {
                follows = next;
            }
            subscriber.located = true;
            effects.extend(remote.map(|remote| Effect::SetRemote { member, remote }));
            for (&leg, media) in legs.iter().zip(media) {
                let offered = &self.roster.subscriber(member).offered[media.mindex];
                // What has come to the m-line since it was offered waits for the answer to the next offer.
                if self.legs[leg].line.is_sent_as(offered) {
                    self.legs[leg].accepted = media.accepted;
                    effects.push(Effect::AcceptLeg { leg, media });
                }
            }
        }
        self.settle(&legs, effects);
        if let Some(NextOffer { restart }) = follows {
            self.send_offer(member, restart, effects);
        }
    }

    /// Sends a new offer as an event, now or after the outstanding answer.
    pub(super) fn send_offer(&mut self, member: MemberId, restart: bool, effects: &mut Vec<Effect>) {
        if let Some(offer) = self.next_offer(member, restart, effects) {
            let event = Event::Updated(self.room(), self.subscription(member), Box::new(offer));
            tell(effects, self.roster.own(member), event);
        }
    }

    /// A new offer; none while one is outstanding (it follows the answer) and when the peer connection is gone.
    pub(super) fn next_offer(
        &mut self,
        member: MemberId,
        restart: bool,
        effects: &mut Vec<Effect>,
    ) -> Option<Description> {
        if !self.roster.has_peer(member) {
            return None;
        }
        match &mut self.roster.subscriber_mut(member).exchange {
            Exchange::Offered { next } => {
                next.get_or_insert_default().restart |= restart;
                None
            }
            Exchange::Settled => Some(self.make_offer(member, restart, effects)),
        }
    }

    pub(super) fn make_offer(&mut self, member: MemberId, restart: bool, effects: &mut Vec<Effect>) -> Description {
        if restart {
            effects.push(Effect::RestartIce(member));
        }
        let subscriber = self.roster.subscriber_mut(member);
        subscriber.version += 1;
        subscriber.exchange = Exchange::Offered { next: None };
        let Subscriber { origin_id, version, e2ee, .. } = *subscriber;
        let lines = self.lines(member);
        let mut offer = negotiate::offer(&lines, origin_id, version, &self.spec.room.to_string());
        offer.e2ee = e2ee;
        self.roster.subscriber_mut(member).offered = lines;
        offer
    }

    /// Whether the m-lines are not what the member was offered last.
    pub(super) fn is_outdated(&self, member: MemberId) -> bool {
        self.lines(member) != self.roster.subscriber(member).offered
    }

    /// The m-lines as they are now.
    pub(super) fn lines(&self, member: MemberId) -> Vec<OfferedMedia> {
        let legs = self.roster.subscriber(member).legs.iter().map(|&leg| &self.legs[leg]);
        legs.map(|leg| OfferedMedia { active: leg.source.is_some(), ..leg.line.clone() }).collect()
    }

    pub(super) fn subscription(&self, member: MemberId) -> Vec<SubscriptionSummary> {
        let legs = self.roster.subscriber(member).legs.iter().map(|&leg| &self.legs[leg]);
        let summary = |(mindex, leg): (usize, &Leg)| SubscriptionSummary {
            kind: leg.line.kind,
            active: leg.source.is_some(),
            mindex,
            mid: leg.line.mid,
            crossrefid: leg.crossrefid.clone(),
            ready: leg.accepted,
            send: leg.send,
            source: leg.source.map(|source| SourceSummary { delay: leg.delay, ..self.source(source) }),
        };
        legs.enumerate().map(summary).collect()
    }

    pub(super) fn source(&self, stream: StreamId) -> SourceSummary {
        let publisher = self.roster.publisher(self.streams[stream].publisher);
        let Line { media, description, .. } = self.line(stream);
        SourceSummary {
            feed: publisher.who.clone(),
            mid: media.mid,
            description: description.clone(),
            codec: media.codec,
            h264_profile: media.h264_profile.clone(),
            vp9_profile: media.vp9_profile.clone(),
            delay: None,
        }
    }
}

impl Roster {
    /// What the answer says to the outstanding offer; none when there is none.
    pub(super) fn read_answer(&self, member: MemberId, answer: &Description) -> Result<Option<Answered>, RoomError> {
        if answer.kind == DescriptionKind::Offer {
            return Err(RoomError::OnlyPublishersOffer);
        }
        let subscriber = self.subscriber(member);
        if !self.owes_answer(member) {
            return Ok(None);
        }
        let media = negotiate::accept(&subscriber.offered, answer)?;
        // Later answers may reject every m-line, and say no more of the transport then.
        let remote = negotiate::remote_of_answer(&subscriber.offered, answer).cloned();
        if remote.is_none() && !subscriber.located {
            return Err(RoomError::InvalidSdp("No ICE credentials or fingerprint in the answer"));
        }
        Ok(Some(Answered { media, remote }))
    }

    /// Whether the member has not answered the last offer yet, and still can.
    pub(super) fn owes_answer(&self, member: MemberId) -> bool {
        self.has_peer(member) && matches!(self.subscriber(member).exchange, Exchange::Offered { .. })
    }

    pub(super) fn subscriber(&self, member: MemberId) -> &Subscriber {
        match &self.members[member].role {
            Role::Subscriber(subscriber) => subscriber,
            Role::Publisher(_) => unreachable!("asked for by what only subscribers have"),
        }
    }

    pub(super) fn subscriber_mut(&mut self, member: MemberId) -> &mut Subscriber {
        match &mut self.members[member].role {
            Role::Subscriber(subscriber) => subscriber,
            Role::Publisher(_) => unreachable!("asked for by what only subscribers have"),
        }
    }
}
