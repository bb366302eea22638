//! What a participant may ask for: joining, publishing, changing what it publishes, leaving; and who hears of it.
//! How its offer is answered is in `negotiate`.

use std::collections::BTreeSet;

use rand_chacha::rand_core::Rng;

use super::line::{Line, Stream};
use super::playout;
use super::room::tell;
use super::state::{Member, Peer, Publisher, Role, Room, Roster, Seat, Wiring};
use crate::control::codec::Codec;
use crate::control::command::{Event, HangupReason, Reply};
use crate::control::effect::Effect;
use crate::control::error::RoomError;
use crate::control::media::PublishedMedia;
use crate::control::mint::mint;
use crate::control::observation::RoomObservation;
use crate::control::request::{Configure, ConfigureStream, JoinPublisher, Metadata, TalkWish};
use crate::control::summary::{Configured, Identity, Joined, Published, PublisherSummary, StreamSummary};
use crate::control::talking::TalkRule;
use crate::id::{FeedId, HandleAddress, LegId, MemberId, Name, StreamId};
use crate::negotiate;
use crate::wire::rtp::extension::PlayoutDelay;
use crate::wire::sdp::{Description, Direction, MediaKind, Mid, Transport};

/// A checked `configure`: what is left to do cannot fail.
pub(super) struct Plan {
    prefer_audio: Option<Codec>,
    prefer_video: Option<Codec>,
    negotiated: Option<Negotiated>,
}

pub(super) struct Negotiated {
    answer: Description,
    media: Vec<PublishedMedia>,
    remote: Option<Transport>,
}

impl Publisher {
    /// A participant that does not publish.
    pub(super) fn new(who: Identity, private_id: u32, talk: TalkWish, bitrate: u64) -> Publisher {
        let (prefer_audio, prefer_video, lines) = (None, None, Vec::new());
        Publisher {
            who,
            private_id,
            talk,
            bitrate,
            is_dummy: false,
            is_remote: false,
            e2ee: false,
            prefer_audio,
            prefer_video,
            lines,
        }
    }
}

impl Room {
    pub(super) fn join_publisher(
        &mut self,
        from: HandleAddress,
        join: JoinPublisher,
        effects: &mut Vec<Effect>,
    ) -> Result<Reply, RoomError> {
        self.wiring.check_entry(join.is_signed, join.pin.as_deref())?;
        if !self.allowed.admits(join.token.as_deref()) {
            return Err(RoomError::NotAllowed);
        }
        let wished = join.id.filter(|id| id.0 != Name::Number(0));
        if let Some(id) = wished.as_ref().filter(|id| self.wiring.roster.feeds.contains_key(id)) {
            return Err(RoomError::IdTaken(id.clone()));
        }
        let configured = match join.configure {
            Some(configure) => {
                let plan = self.wiring.plan(None, &configure)?;
                Some((configure, plan))
            }
            None => None,
        };

        let live = self.wiring.roster.publishers().filter(|(id, ..)| self.wiring.roster.is_live(*id));
        let publishers = live.map(|(id, ..)| self.wiring.publisher_summary(id, true)).collect();
        let waiting = self
            .wiring
            .roster
            .publishers()
            .filter(|(id, _, publisher)| !self.wiring.roster.is_live(*id) && !publisher.is_dummy);
        let attendees =
            self.wiring.spec.notify_joining.then(|| waiting.map(|(.., waiting)| waiting.who.clone()).collect());
        let id = wished.unwrap_or_else(|| self.unused_feed());
        let private_id = self.unused_private_id();
        let who = Identity { id: id.clone(), display: join.display, metadata: join.metadata };
        let role = Role::Publisher(Publisher::new(who.clone(), private_id, join.talk, self.wiring.spec.bitrate));
        let member = self.wiring.roster.members.insert(Member { address: Some(from), peer: Peer::None, role });
        self.wiring.roster.seats.insert(from, Seat::Member(member));
        self.wiring.roster.feeds.insert(id.clone(), member);
        let (token, talk) = (join.token, join.talk);
        let joined = who.clone();
        self.observe(member, effects, |_| RoomObservation::Joined { who: joined, private_id, token, talk });
        if self.wiring.spec.notify_joining {
            tell(
                effects,
                self.wiring.roster.participants_except(Some(member)),
                Event::Joining(self.wiring.room(), who),
            );
        }
        let published = configured.and_then(|(configure, plan)| self.apply(member, configure, plan, effects));
        let description = self.wiring.spec.description.clone();
        let room = self.wiring.room();
        Ok(Reply::Joined(Box::new(Joined {
            room,
            description,
            id,
            private_id,
            publishers,
            talk,
            attendees,
            published,
        })))
    }

    pub(super) fn configure(
        &mut self,
        member: MemberId,
        configure: Configure,
        effects: &mut Vec<Effect>,
    ) -> Result<Reply, RoomError> {
        let plan = self.wiring.plan(Some(member), &configure)?;
        let published = self.apply(member, configure, plan, effects);
        if published.is_none() {
            self.observe(member, effects, |room| {
                let publisher = room.wiring.roster.publisher(member);
                RoomObservation::Configured { feed: publisher.who.id.clone(), bitrate: publisher.bitrate }
            });
        }
        Ok(Reply::Configured(Box::new(Configured { room: self.wiring.room(), published, offer: None })))
    }

    pub(super) fn unpublish(&mut self, member: MemberId, effects: &mut Vec<Effect>) -> Result<Reply, RoomError> {
        if !self.wiring.roster.has_peer(member) {
            return Err(RoomError::NotPublished);
        }
        let orphans = self.withdraw(member, effects);
        // As in Janus, offers come first: a client that hears `unpublished` may answer with requests of its own, which would
        // cross an offer that is still on its way.
        self.wiring.update_subscribers(orphans, effects);
        self.tell_unpublished(member, effects);
        self.wiring.roster.close_peer(member, effects);
        tell(effects, self.wiring.roster.own(member), Event::Hangup(HangupReason::ClosePc));
        Ok(Reply::Unpublished(self.wiring.room()))
    }

    /// The participant is out at once, and its peer connection with it. As in Janus, others hear `leaving` alone; subscribers
    /// are offered the loss as after `unpublish`, which Janus forgets.
    pub(super) fn leave_publisher(&mut self, member: MemberId, effects: &mut Vec<Effect>) -> Reply {
        let orphans = self.withdraw(member, effects);
        self.wiring.update_subscribers(orphans, effects);
        self.tell_leaving(member, effects);
        self.wiring.roster.finish(member, effects);
        Reply::PublisherLeft(self.wiring.room())
    }

    /// Ends everything that the member publishes and forgets what belonged to its peer connection; says which
    /// subscribers have lost a source.
    pub(super) fn withdraw(&mut self, member: MemberId, effects: &mut Vec<Effect>) -> BTreeSet<MemberId> {
        let publisher = self.wiring.roster.publisher_mut(member);
        publisher.prefer_audio = None;
        publisher.prefer_video = None;
        publisher.e2ee = false;
        let lines = std::mem::take(&mut publisher.lines);
        let mut orphans = BTreeSet::new();
        for stream in lines.into_iter().filter_map(|line| line.stream) {
            self.remove_stream(stream, &mut orphans, effects);
        }
        self.forwarding.forget_remotizations(member);
        self.route_forwarders(member, effects);
        orphans
    }

    /// Tells the others what the member publishes, and event handlers what is new in that.
    pub(super) fn announce(
        &self,
        member: MemberId,
        news: fn(PublisherSummary) -> RoomObservation,
        effects: &mut Vec<Effect>,
    ) {
        self.observe(member, effects, |room| news(room.wiring.publisher_summary(member, false)));
        let event = Event::Publishers(self.wiring.room(), vec![self.wiring.publisher_summary(member, false)]);
        tell(effects, self.wiring.roster.participants_except(Some(member)), event);
    }

    pub(super) fn tell_unpublished(&self, member: MemberId, effects: &mut Vec<Effect>) {
        self.observe(member, effects, |room| {
            RoomObservation::Unpublished(room.wiring.roster.publisher(member).who.clone())
        });
        let event = Event::Unpublished(self.wiring.room(), self.wiring.roster.publisher(member).who.clone());
        tell(effects, self.wiring.roster.participants_except(Some(member)), event);
    }

    pub(super) fn tell_leaving(&self, member: MemberId, effects: &mut Vec<Effect>) {
        self.observe(member, effects, |room| {
            RoomObservation::Leaving(room.wiring.roster.publisher(member).who.clone())
        });
        let event = Event::Leaving(self.wiring.room(), self.wiring.roster.publisher(member).who.clone());
        tell(effects, self.wiring.roster.participants_except(Some(member)), event);
    }

    fn apply(
        &mut self,
        member: MemberId,
        configure: Configure,
        plan: Plan,
        effects: &mut Vec<Effect>,
    ) -> Option<Published> {
        self.wiring.roster.rename(member, configure.display.as_deref(), configure.metadata.as_ref(), effects);
        let talk = &mut self.wiring.roster.publisher_mut(member).talk;
        talk.packets = configure.talk.packets.or(talk.packets);
        talk.threshold = configure.talk.threshold.or(talk.threshold);
        if let Some(bitrate) = configure.bitrate {
            let bitrate = self.wiring.spec.granted(bitrate);
            self.wiring.roster.publisher_mut(member).bitrate = bitrate;
            if self.wiring.roster.has_peer(member) {
                effects.push(Effect::CapBitrate { member, bps: bitrate });
            }
        }
        self.relay(member, &configure, effects);
        self.wiring.roster.request_own_keyframes(member, &configure, effects);
        let Some(Negotiated { answer, media, remote }) = plan.negotiated else {
            self.wiring.watch_talking(member, effects);
            if self.wiring.roster.describe(member, &configure.descriptions)
                && self.wiring.roster.peer(member) == Some(Peer::Up)
            {
                self.announce(member, RoomObservation::Republished, effects);
            }
            return None;
        };

        let publisher = self.wiring.roster.publisher_mut(member);
        publisher.prefer_audio = plan.prefer_audio;
        publisher.prefer_video = plan.prefer_video;
        publisher.e2ee = answer.e2ee;
        self.wiring.roster.connect(member, remote, effects);
        let (changed, orphans) = self.set_lines(member, media, effects);
        self.wiring.watch_talking(member, effects);
        let described = self.wiring.roster.describe(member, &configure.descriptions);
        self.wiring.update_subscribers(orphans, effects);
        if (changed || described) && self.wiring.roster.peer(member) == Some(Peer::Up) {
            self.announce(member, RoomObservation::Republished, effects);
        }
        Some(Published { streams: self.wiring.roster.streams_shown(member, true), answer })
    }

    /// Puts the lines of a new offer in the place of the old ones. A line whose tag, kind and codec stay keeps its
    /// stream and its subscribers.
    pub(super) fn set_lines(
        &mut self,
        member: MemberId,
        media: Vec<PublishedMedia>,
        effects: &mut Vec<Effect>,
    ) -> (bool, BTreeSet<MemberId>) {
        let mut old = std::mem::take(&mut self.wiring.roster.publisher_mut(member).lines).into_iter();
        let mut lines = Vec::with_capacity(media.len());
        let mut orphans = BTreeSet::new();
        let mut changed = false;
        for (mindex, media) in media.into_iter().enumerate() {
            let mut line = Line::new(media);
            let before = old.next();
            changed |= before.as_ref().is_none_or(|before| before.media != line.media);
            if let Some(before) = before {
                let continues = before.media.mid == line.media.mid && before.media.kind == line.media.kind;
                if continues {
                    line.description = before.description;
                    line.send = before.send;
                    line.muted = before.muted;
                    line.delay = before.delay;
                }
                match before.stream {
                    Some(stream) if continues && before.media.codec == line.media.codec => {
                        line.stream = Some(stream);
                        if before.media != line.media {
                            effects.push(Effect::SetStream { stream, member, media: line.media.clone() });
                        }
                    }
                    Some(stream) => self.remove_stream(stream, &mut orphans, effects),
                    None => {}
                }
            }
            if line.stream.is_none() && line.media.codec.is_some() {
                let stream = self.wiring.streams.insert(Stream::new(member, mindex));
                effects.push(Effect::SetStream { stream, member, media: line.media.clone() });
                line.stream = Some(stream);
            }
            lines.push(line);
        }
        // RFC 3264 §8 forbids to drop m-lines; what is not offered any more is over all the same.
        for line in old {
            changed = true;
            if let Some(stream) = line.stream {
                self.remove_stream(stream, &mut orphans, effects);
            }
        }
        self.wiring.roster.publisher_mut(member).lines = lines;
        self.route_forwarders(member, effects);
        (changed, orphans)
    }

    fn remove_stream(&mut self, stream: StreamId, orphans: &mut BTreeSet<MemberId>, effects: &mut Vec<Effect>) {
        let legs = self.wiring.streams.remove(stream).legs;
        for &leg in &legs {
            orphans.insert(self.wiring.legs[leg].subscriber);
            self.wiring.legs[leg].source = None;
            self.wiring.legs[leg].accepted = false;
        }
        self.wiring.settle(&legs, effects);
        effects.extend(legs.into_iter().map(|leg| Effect::SetSource { leg, source: None }));
        self.forwarding.unroute_forwarders(stream);
        effects.push(Effect::RemoveStream(stream));
    }

    /// Pauses and resumes lines: `streams` by tag, or the legacy flags by kind when no entry has a tag. The `send` of a
    /// lone entry without `mid` is not read, as in Janus; its playout-delay is for all video.
    fn relay(&mut self, member: MemberId, configure: &Configure, effects: &mut Vec<Effect>) {
        let legacy = configure.streams.iter().all(|entry| entry.mid.is_none());
        let mut touched = Vec::new();
        for line in &mut self.wiring.roster.publisher_mut(member).lines {
            let send = match line.media.kind {
                MediaKind::Audio if legacy => configure.audio,
                MediaKind::Video if legacy => configure.video,
                _ => sent(&configure.streams, line.media.mid),
            };
            let before = (line.send, line.delay);
            line.send = send.unwrap_or(line.send);
            if line.media.kind == MediaKind::Video {
                line.delay = delayed(line.delay, &configure.streams, line.media.mid);
            }
            if before != (line.send, line.delay) {
                touched.extend(line.stream);
            }
        }
        let legs: Vec<LegId> =
            touched.into_iter().flat_map(|stream| self.wiring.streams[stream].legs.clone()).collect();
        self.wiring.settle(&legs, effects);
        self.route_forwarders(member, effects);
    }

    fn unused_private_id(&mut self) -> u32 {
        loop {
            let id = self.rng.next_u32();
            if id != 0 && self.wiring.roster.publishers().all(|(.., publisher)| publisher.private_id != id) {
                return id;
            }
        }
    }

    pub(super) fn unused_feed(&mut self) -> FeedId {
        loop {
            let feed = FeedId(mint(self.wiring.has_text_ids(), &mut self.rng));
            if !self.wiring.roster.feeds.contains_key(&feed) {
                return feed;
            }
        }
    }
}

impl Roster {
    /// The member that publishes `feed`, if its peer connection is up.
    pub(super) fn live_feed(&self, feed: &FeedId) -> Result<MemberId, RoomError> {
        let member = self.feeds.get(feed).copied().filter(|&member| self.is_live(member));
        member.ok_or_else(|| RoomError::NoSuchFeed(feed.clone()))
    }

    pub(super) fn publisher(&self, member: MemberId) -> &Publisher {
        match &self.members[member].role {
            Role::Publisher(publisher) => publisher,
            Role::Subscriber(_) => unreachable!("asked for by what only publishers have"),
        }
    }

    pub(super) fn publisher_mut(&mut self, member: MemberId) -> &mut Publisher {
        match &mut self.members[member].role {
            Role::Publisher(publisher) => publisher,
            Role::Subscriber(_) => unreachable!("asked for by what only publishers have"),
        }
    }

    /// Others hear of a new name only if there was an old one, and likewise of new metadata, as in Janus: of the name first,
    /// with the metadata that were there before.
    pub(super) fn rename(
        &mut self,
        member: MemberId,
        display: Option<&str>,
        metadata: Option<&Metadata>,
        effects: &mut Vec<Effect>,
    ) {
        let who = &mut self.publisher_mut(member).who;
        let before = who.clone();
        if let Some(display) = display {
            who.display = Some(display.into());
        }
        if let Some(metadata) = metadata {
            who.metadata = Some(metadata.clone());
        }
        let renamed = display.filter(|_| before.display.is_some());
        let renamed = renamed.map(|name| Event::Display(before.id.clone(), name.into(), before.metadata.clone()));
        let described = metadata.filter(|_| before.metadata.is_some());
        let described = described.map(|metadata| Event::Metadata(before.id.clone(), metadata.clone()));
        for event in [renamed, described].into_iter().flatten() {
            tell(effects, self.participants_except(Some(member)), event);
        }
    }

    /// Opens the peer connection with the first offer; later offers may carry a new transport.
    pub(super) fn connect(&mut self, member: MemberId, remote: Option<Transport>, effects: &mut Vec<Effect>) {
        if self.has_peer(member) {
            effects.extend(remote.map(|remote| Effect::SetRemote { member, remote }));
            return;
        }
        self.members[member].peer = Peer::Connecting;
        effects.push(Effect::OpenPeer { member, remote });
        let bps = self.publisher(member).bitrate;
        if bps != 0 {
            effects.push(Effect::CapBitrate { member, bps });
        }
    }

    /// Asks the member itself for keyframes of the video lines that it names, or of all.
    pub(super) fn request_own_keyframes(&self, member: MemberId, configure: &Configure, effects: &mut Vec<Effect>) {
        let asked = |mid: Mid| {
            let by = |entry: &ConfigureStream| entry.keyframe && entry.mid.is_none_or(|named| named == mid);
            configure.keyframe || configure.streams.iter().any(by)
        };
        let video = self.publisher(member).lines.iter().filter(|line| line.media.kind == MediaKind::Video);
        let streams = video.filter(|line| asked(line.media.mid)).filter_map(|line| line.stream);
        effects.extend(streams.map(Effect::RequestKeyframe));
    }

    /// Sets the texts of known lines, and says whether there was one.
    pub(super) fn describe(&mut self, member: MemberId, descriptions: &[(Mid, Box<str>)]) -> bool {
        let mut described = false;
        for (mid, text) in descriptions {
            if let Some(line) = self.publisher_mut(member).lines.iter_mut().find(|line| line.media.mid == *mid) {
                line.description = Some(text.clone());
                described = true;
            }
        }
        described
    }

    pub(super) fn streams_shown(&self, member: MemberId, to_itself: bool) -> Vec<StreamSummary> {
        self.lines_shown(member).map(|line| line.summary(to_itself)).collect()
    }

    /// What nothing here carries has no type that clients know.
    pub(super) fn lines_shown(&self, member: MemberId) -> impl Iterator<Item = &Line> {
        self.publisher(member).lines.iter().filter(|line| line.media.kind != MediaKind::Other)
    }
}

impl Wiring {
    /// The m-line behind a stream.
    pub(super) fn line(&self, stream: StreamId) -> &Line {
        let Stream { publisher, mindex, .. } = &self.streams[stream];
        &self.roster.publisher(*publisher).lines[*mindex]
    }

    /// Checks everything that can be refused, in Janus' order; `member` is none while it joins.
    pub(super) fn plan(&self, member: Option<MemberId>, configure: &Configure) -> Result<Plan, RoomError> {
        let publisher = member.map(|member| self.roster.publisher(member));
        let publishing = member.is_some_and(|member| self.roster.has_peer(member));
        if configure.publish && publishing {
            return Err(RoomError::AlreadyPublished);
        }
        if configure.offer.is_some() && !publishing {
            let count = self.roster.publishers().filter(|(_, member, _)| member.peer != Peer::None).count();
            if count >= self.spec.publishers {
                return Err(RoomError::PublishersFull(self.spec.publishers));
            }
        }
        let e2ee = publisher.is_some_and(|publisher| publisher.e2ee)
            || configure.offer.as_deref().is_some_and(|offer| offer.e2ee);
        if self.spec.require_e2ee && configure.offer.is_some() && !e2ee {
            return Err(RoomError::E2eeRequired);
        }
        // Preferences belong to an offer and are not looked at without one, as in Janus.
        let named = |name: &Option<Box<str>>| name.clone().filter(|_| configure.offer.is_some());
        let (audio, video) = (named(&configure.audiocodec), named(&configure.videocodec));
        let audio = preferred(audio.as_deref(), &self.spec.audio_codecs, RoomError::AudioCodecUnavailable)?;
        let video = preferred(video.as_deref(), &self.spec.video_codecs, RoomError::VideoCodecUnavailable)?;
        let mids = publisher.map_or(&[][..], |publisher| &publisher.lines).iter().map(|line| line.media.mid);
        check_mids(&configure.streams, &mids.collect(), RoomError::NoSuchPublishedMid)?;

        let prefer_audio = audio.or(publisher.and_then(|publisher| publisher.prefer_audio));
        let prefer_video = video.or(publisher.and_then(|publisher| publisher.prefer_video));
        let negotiated = match configure.offer.as_deref() {
            Some(offer) => {
                if offer.transport().is_none() && !publishing {
                    return Err(RoomError::InvalidSdp("No ICE credentials or fingerprint in the offer"));
                }
                let (mut answer, media) = negotiate::answer(offer, &self.spec, prefer_audio, prefer_video)?;
                let remote = negotiate::remote_of_offer(offer, &answer).cloned();
                self.limit(&mut answer);
                answer.e2ee = e2ee;
                Some(Negotiated { answer, media, remote })
            }
            None => None,
        };
        Ok(Plan { prefer_audio, prefer_video, negotiated })
    }

    /// Where the room's bitrate is a ceiling, the publisher's browser is told so with each video line (RFC 8866 §5.8).
    pub(super) fn limit(&self, answer: &mut Description) {
        let video = answer.media.iter_mut().filter(|section| section.kind == MediaKind::Video);
        for section in video.filter(|section| section.direction == Direction::RecvOnly) {
            section.bandwidth_bps = self.spec.ceiling();
        }
    }

    /// Has the engine watch the audio that is relayed with its level, by what room and participant want.
    pub(super) fn watch_talking(&mut self, member: MemberId, effects: &mut Vec<Effect>) {
        let own = self.roster.publisher(member).talk;
        let rule = TalkRule {
            packets: own.packets.filter(|packets| *packets > 0).unwrap_or(self.spec.audio_active_packets),
            threshold: own.threshold.filter(|threshold| *threshold > 0).unwrap_or(self.spec.audio_level_average),
        };
        let lines = self.roster.publisher(member).lines.iter();
        let streams = lines.filter_map(|line| {
            let watched = self.spec.audiolevel_event && line.has_level() && line.is_relayed();
            Some((line.stream?, watched.then_some(rule)))
        });
        for (stream, rule) in streams.collect::<Vec<_>>() {
            if std::mem::replace(&mut self.streams[stream].rule, rule) != rule {
                effects.push(Effect::WatchTalking { stream, rule });
            }
        }
    }

    /// Whether any audio of the member is talking; none when no audio has its level.
    pub(super) fn talking(&self, member: MemberId) -> Option<bool> {
        let lines = self.roster.publisher(member).lines.iter().filter(|line| line.has_level());
        lines
            .filter_map(|line| line.stream)
            .map(|stream| self.streams[stream].talking)
            .reduce(|one, other| one || other)
    }

    /// What others see; who talks is told to somebody who joins, and is no news to those who are there.
    pub(super) fn publisher_summary(&self, member: MemberId, with_talking: bool) -> PublisherSummary {
        let mut streams = self.roster.streams_shown(member, false);
        for (shown, line) in streams.iter_mut().zip(self.roster.lines_shown(member)) {
            let stream = line.stream.filter(|_| with_talking && line.has_level());
            shown.talking = stream.map(|stream| self.streams[stream].talking);
        }
        PublisherSummary {
            who: self.roster.publisher(member).who.clone(),
            dummy: self.roster.publisher(member).is_dummy,
            talking: self.talking(member).filter(|_| with_talking),
            streams,
        }
    }
}

/// The codec of that name, if one is named; it must be one of the room's.
fn preferred(name: Option<&str>, codecs: &[Codec], unavailable: RoomError) -> Result<Option<Codec>, RoomError> {
    let Some(name) = name else { return Ok(None) };
    let codec = Codec::from_janus(name).filter(|codec| codecs.contains(codec));
    codec.map(Some).ok_or(unavailable)
}

/// What the entries say last of the line's `send`.
pub(super) fn sent(entries: &[ConfigureStream], mid: Mid) -> Option<bool> {
    entries.iter().filter(|entry| entry.mid == Some(mid)).filter_map(|entry| entry.send).next_back()
}

/// What the entries leave of a video line's playout-delay: those that name it, and a lone one that names none.
pub(super) fn delayed(before: Option<PlayoutDelay>, entries: &[ConfigureStream], mid: Mid) -> Option<PlayoutDelay> {
    let own = entries.iter().filter(|entry| entry.mid.is_none_or(|named| named == mid));
    own.fold(before, |delay, entry| playout::overridden(delay, entry.min_delay, entry.max_delay))
}

/// Every `mid` of the entries must be known, and only a lone entry may have none.
pub(super) fn check_mids(
    entries: &[ConfigureStream],
    known: &BTreeSet<Mid>,
    unknown: impl Fn(Box<Mid>) -> RoomError,
) -> Result<(), RoomError> {
    for entry in entries {
        match entry.mid {
            Some(mid) if !known.contains(&mid) => return Err(unknown(Box::new(mid))),
            None if entries.len() > 1 => return Err(RoomError::MidNeeded),
            _ => {}
        }
    }
    Ok(())
}
