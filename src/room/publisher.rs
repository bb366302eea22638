//! What a participant may ask for: joining, publishing, changing what it publishes, leaving; and who hears of it.
//! How its offer is answered is in `negotiate`.

use std::collections::BTreeSet;

use super::codec::Codec;
use super::command::{
    Configure, ConfigureStream, Configured, Event, HangupReason, JoinPublisher, Joined, Published, PublisherSummary,
    Reply, StreamSummary,
};
use super::effect::Effect;
use super::error::RoomError;
use super::media::PublishedMedia;
use super::mint::mint;
use super::negotiate;
use super::room::{Member, Peer, Role, Room, Seat, tell, unused};
use crate::id::{FeedId, HandleAddress, LegId, MemberId, Name, StreamId};
use crate::wire::sdp::{Description, MediaKind, Mid, Transport};

/// A participant: an attendee, or a publisher while it has a peer connection.
#[derive(Debug)]
pub(super) struct Publisher {
    pub(super) id: FeedId,
    pub(super) private_id: u32,
    pub(super) display: Option<Box<str>>,
    /// REMB cap in bit/s; 0 is none.
    pub(super) bitrate: u64,
    /// Preferred codecs, until the peer connection ends.
    prefer_audio: Option<Codec>,
    prefer_video: Option<Codec>,
    /// One per m-line; empty without a peer connection.
    pub(super) lines: Vec<Line>,
}

/// A published m-line.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) media: PublishedMedia,
    pub(super) description: Option<Box<str>>,
    /// Whether the publisher wants it relayed.
    pub(super) send: bool,
    /// What subscribers are wired to; none while the line is disabled.
    pub(super) stream: Option<StreamId>,
}

/// A line that can be subscribed to.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) publisher: MemberId,
    pub(super) mindex: usize,
    pub(super) legs: Vec<LegId>,
}

/// A checked `configure`: what is left to do cannot fail.
struct Plan {
    prefer_audio: Option<Codec>,
    prefer_video: Option<Codec>,
    negotiated: Option<Negotiated>,
}

struct Negotiated {
    answer: Description,
    media: Vec<PublishedMedia>,
    remote: Option<Transport>,
}

impl Room {
    pub(super) fn join_publisher(
        &mut self,
        from: HandleAddress,
        join: JoinPublisher,
        effects: &mut Vec<Effect>,
    ) -> Result<Reply, RoomError> {
        self.check_pin(join.pin.as_deref())?;
        let wished = join.id.filter(|id| id.0 != Name::Number(0));
        if let Some(id) = wished.as_ref().filter(|id| self.feeds.contains_key(id)) {
            return Err(RoomError::IdTaken(id.clone()));
        }
        let configured = match join.configure {
            // Janus reads no more than the codecs, the cap, the descriptions and the offer while joining.
            Some(configure) => {
                let configure = Configure {
                    publish: false,
                    keyframe: false,
                    display: None,
                    streams: Vec::new(),
                    audio: None,
                    video: None,
                    ..configure
                };
                let plan = self.plan(None, &configure)?;
                Some((configure, plan))
            }
            None => None,
        };

        let live = self.publishers().filter(|(_, member, _)| member.peer == Peer::Up);
        let publishers = live.map(|(id, ..)| self.publisher_summary(id)).collect();
        let id = wished.unwrap_or_else(|| self.unused_feed());
        let mut taken = self.publishers().map(|(.., publisher)| publisher.private_id).collect();
        let private_id = unused(&mut taken, &mut self.rng);
        let role = Role::Publisher(Publisher {
            id: id.clone(),
            private_id,
            display: join.display,
            bitrate: self.spec.bitrate,
            prefer_audio: None,
            prefer_video: None,
            lines: Vec::new(),
        });
        let member = self.members.insert(Member { address: from, peer: Peer::None, role });
        self.seats.insert(from, Seat::Member(member));
        self.feeds.insert(id.clone(), member);
        let published = configured.and_then(|(configure, plan)| self.apply(member, configure, plan, effects));
        let description = self.spec.description.clone();
        let room = self.room();
        Ok(Reply::Joined(Box::new(Joined { room, description, id, private_id, publishers, published })))
    }

    pub(super) fn configure(
        &mut self,
        member: MemberId,
        configure: Configure,
        effects: &mut Vec<Effect>,
    ) -> Result<Reply, RoomError> {
        let plan = self.plan(Some(member), &configure)?;
        let published = self.apply(member, configure, plan, effects);
        Ok(Reply::Configured(Box::new(Configured { room: self.room(), published, offer: None })))
    }

    pub(super) fn unpublish(&mut self, member: MemberId, effects: &mut Vec<Effect>) -> Result<Reply, RoomError> {
        if !self.has_peer(member) {
            return Err(RoomError::NotPublished);
        }
        let orphans = self.withdraw(member, effects);
        self.tell_unpublished(member, effects);
        self.close_peer(member, effects);
        tell(effects, vec![self.members[member].address], Event::Hangup(HangupReason::ClosePc));
        self.update_subscribers(orphans, effects);
        Ok(Reply::Unpublished(self.room()))
    }

    /// The participant is out at once, and its peer connection with it. As in Janus, others hear `leaving` alone and
    /// subscribers get no offer: their m-lines have lost their source when they next ask for one.
    pub(super) fn leave_publisher(&mut self, member: MemberId, effects: &mut Vec<Effect>) -> Reply {
        self.withdraw(member, effects);
        self.tell_leaving(member, effects);
        self.finish(member, effects);
        Reply::PublisherLeft(self.room())
    }

    /// Ends everything that the member publishes and forgets what belonged to its peer connection; says which
    /// subscribers have lost a source.
    pub(super) fn withdraw(&mut self, member: MemberId, effects: &mut Vec<Effect>) -> BTreeSet<MemberId> {
        let publisher = self.publisher_mut(member);
        publisher.prefer_audio = None;
        publisher.prefer_video = None;
        let lines = std::mem::take(&mut publisher.lines);
        let mut orphans = BTreeSet::new();
        for stream in lines.into_iter().filter_map(|line| line.stream) {
            self.remove_stream(stream, &mut orphans, effects);
        }
        orphans
    }

    /// Tells the others what the member publishes.
    pub(super) fn announce(&self, member: MemberId, effects: &mut Vec<Effect>) {
        let event = Event::Publishers(self.room(), vec![self.publisher_summary(member)]);
        tell(effects, self.participants_except(Some(member)), event);
    }

    pub(super) fn tell_unpublished(&self, member: MemberId, effects: &mut Vec<Effect>) {
        let Publisher { id, display, .. } = self.publisher(member);
        let event = Event::Unpublished(self.room(), id.clone(), display.clone());
        tell(effects, self.participants_except(Some(member)), event);
    }

    pub(super) fn tell_leaving(&self, member: MemberId, effects: &mut Vec<Effect>) {
        let Publisher { id, display, .. } = self.publisher(member);
        let event = Event::Leaving(self.room(), id.clone(), display.clone());
        tell(effects, self.participants_except(Some(member)), event);
    }

    /// The member that publishes `feed`, if its peer connection is up.
    pub(super) fn live_feed(&self, feed: &FeedId) -> Result<MemberId, RoomError> {
        let member = self.feeds.get(feed).copied().filter(|&member| self.peer(member) == Some(Peer::Up));
        member.ok_or_else(|| RoomError::NoSuchFeed(feed.clone()))
    }

    /// The m-line behind a stream.
    pub(super) fn line(&self, stream: StreamId) -> &Line {
        let Stream { publisher, mindex, .. } = &self.streams[stream];
        &self.publisher(*publisher).lines[*mindex]
    }

    pub(super) fn publisher(&self, member: MemberId) -> &Publisher {
        match &self.members[member].role {
            Role::Publisher(publisher) => publisher,
            Role::Subscriber(_) => unreachable!("asked for by what only publishers have"),
        }
    }

    fn publisher_mut(&mut self, member: MemberId) -> &mut Publisher {
        match &mut self.members[member].role {
            Role::Publisher(publisher) => publisher,
            Role::Subscriber(_) => unreachable!("asked for by what only publishers have"),
        }
    }

    /// Checks everything that can be refused, in Janus' order; `member` is none while it joins.
    fn plan(&self, member: Option<MemberId>, configure: &Configure) -> Result<Plan, RoomError> {
        let publisher = member.map(|member| self.publisher(member));
        let publishing = member.is_some_and(|member| self.has_peer(member));
        if configure.publish && publishing {
            return Err(RoomError::AlreadyPublished);
        }
        if configure.offer.is_some() && !publishing {
            let count = self.publishers().filter(|(_, member, _)| member.peer != Peer::None).count();
            if count >= self.spec.publishers {
                return Err(RoomError::PublishersFull(self.spec.publishers));
            }
        }
        let audio =
            preferred(configure.audiocodec.as_deref(), &self.spec.audio_codecs, RoomError::AudioCodecUnavailable)?;
        let video =
            preferred(configure.videocodec.as_deref(), &self.spec.video_codecs, RoomError::VideoCodecUnavailable)?;
        let mids = publisher.map_or(&[][..], |publisher| &publisher.lines).iter().map(|line| line.media.mid);
        check_mids(&configure.streams, &mids.collect(), RoomError::NoSuchPublishedMid)?;

        let prefer_audio = audio.or(publisher.and_then(|publisher| publisher.prefer_audio));
        let prefer_video = video.or(publisher.and_then(|publisher| publisher.prefer_video));
        let negotiated = match configure.offer.as_deref() {
            Some(offer) => {
                let remote = offer.transport().cloned();
                if remote.is_none() && !publishing {
                    return Err(RoomError::InvalidSdp("No ICE credentials or fingerprint in the offer"));
                }
                let (answer, media) = negotiate::answer(offer, &self.spec, prefer_audio, prefer_video)?;
                Some(Negotiated { answer, media, remote })
            }
            None => None,
        };
        Ok(Plan { prefer_audio, prefer_video, negotiated })
    }

    fn apply(
        &mut self,
        member: MemberId,
        configure: Configure,
        plan: Plan,
        effects: &mut Vec<Effect>,
    ) -> Option<Published> {
        if let Some(display) = &configure.display {
            self.rename(member, display.clone(), effects);
        }
        if let Some(bitrate) = configure.bitrate {
            self.publisher_mut(member).bitrate = bitrate;
            if self.has_peer(member) {
                effects.push(Effect::CapBitrate { member, bps: bitrate });
            }
        }
        self.relay(member, &configure, effects);
        self.request_own_keyframes(member, &configure, effects);
        let Some(Negotiated { answer, media, remote }) = plan.negotiated else {
            if self.describe(member, &configure.descriptions) && self.peer(member) == Some(Peer::Up) {
                self.announce(member, effects);
            }
            return None;
        };

        let publisher = self.publisher_mut(member);
        publisher.prefer_audio = plan.prefer_audio;
        publisher.prefer_video = plan.prefer_video;
        self.connect(member, remote, effects);
        let (changed, orphans) = self.set_lines(member, media, effects);
        let described = self.describe(member, &configure.descriptions);
        if (changed || described) && self.peer(member) == Some(Peer::Up) {
            self.announce(member, effects);
        }
        self.update_subscribers(orphans, effects);
        Some(Published { streams: self.streams_shown(member, true), answer })
    }

    /// Others hear of a new name only if there was an old one, as in Janus.
    fn rename(&mut self, member: MemberId, display: Box<str>, effects: &mut Vec<Effect>) {
        let publisher = self.publisher_mut(member);
        let id = publisher.id.clone();
        if publisher.display.replace(display.clone()).is_some() {
            tell(effects, self.participants_except(Some(member)), Event::Display(id, display));
        }
    }

    /// Opens the peer connection with the first offer; later offers may carry a new transport.
    fn connect(&mut self, member: MemberId, remote: Option<Transport>, effects: &mut Vec<Effect>) {
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

    /// Puts the lines of a new offer in the place of the old ones. A line whose tag, kind and codec stay keeps its
    /// stream and its subscribers.
    fn set_lines(
        &mut self,
        member: MemberId,
        media: Vec<PublishedMedia>,
        effects: &mut Vec<Effect>,
    ) -> (bool, BTreeSet<MemberId>) {
        let mut old = std::mem::take(&mut self.publisher_mut(member).lines).into_iter();
        let mut lines = Vec::with_capacity(media.len());
        let mut orphans = BTreeSet::new();
        let mut changed = false;
        for (mindex, media) in media.into_iter().enumerate() {
            let mut line = Line { media, description: None, send: true, stream: None };
            let before = old.next();
            changed |= before.as_ref().is_none_or(|before| before.media != line.media);
            if let Some(before) = before {
                let continues = before.media.mid == line.media.mid && before.media.kind == line.media.kind;
                if continues {
                    line.description = before.description;
                    line.send = before.send;
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
                let stream = self.streams.insert(Stream { publisher: member, mindex, legs: Vec::new() });
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
        self.publisher_mut(member).lines = lines;
        (changed, orphans)
    }

    fn remove_stream(&mut self, stream: StreamId, orphans: &mut BTreeSet<MemberId>, effects: &mut Vec<Effect>) {
        let legs = self.streams.remove(stream).legs;
        for &leg in &legs {
            orphans.insert(self.legs[leg].subscriber);
            self.legs[leg].source = None;
        }
        self.settle(&legs, effects);
        effects.extend(legs.into_iter().map(|leg| Effect::SetSource { leg, source: None }));
        effects.push(Effect::RemoveStream(stream));
    }

    /// Pauses and resumes lines: `streams` by tag, or the legacy flags by kind when no entry has a tag. The `send` of a
    /// lone entry without `mid` is not read, as in Janus.
    fn relay(&mut self, member: MemberId, configure: &Configure, effects: &mut Vec<Effect>) {
        let legacy = configure.streams.iter().all(|entry| entry.mid.is_none());
        let mut touched = Vec::new();
        for line in &mut self.publisher_mut(member).lines {
            let send = match line.media.kind {
                MediaKind::Audio if legacy => configure.audio,
                MediaKind::Video if legacy => configure.video,
                _ => sent(&configure.streams, line.media.mid),
            };
            if let Some(send) = send {
                line.send = send;
                touched.extend(line.stream);
            }
        }
        let legs: Vec<LegId> = touched.into_iter().flat_map(|stream| self.streams[stream].legs.clone()).collect();
        self.settle(&legs, effects);
    }

    /// Asks the member itself for keyframes of the video lines that it names, or of all.
    fn request_own_keyframes(&self, member: MemberId, configure: &Configure, effects: &mut Vec<Effect>) {
        let asked = |mid: Mid| {
            let by = |entry: &ConfigureStream| entry.keyframe && entry.mid.is_none_or(|named| named == mid);
            configure.keyframe || configure.streams.iter().any(by)
        };
        let video = self.publisher(member).lines.iter().filter(|line| line.media.kind == MediaKind::Video);
        let streams = video.filter(|line| asked(line.media.mid)).filter_map(|line| line.stream);
        effects.extend(streams.map(Effect::RequestKeyframe));
    }

    /// Sets the texts of known lines, and says whether there was one.
    fn describe(&mut self, member: MemberId, descriptions: &[(Mid, Box<str>)]) -> bool {
        let mut described = false;
        for (mid, text) in descriptions {
            if let Some(line) = self.publisher_mut(member).lines.iter_mut().find(|line| line.media.mid == *mid) {
                line.description = Some(text.clone());
                described = true;
            }
        }
        described
    }

    fn publisher_summary(&self, member: MemberId) -> PublisherSummary {
        let publisher = self.publisher(member);
        PublisherSummary {
            id: publisher.id.clone(),
            display: publisher.display.clone(),
            streams: self.streams_shown(member, false),
        }
    }

    fn streams_shown(&self, member: MemberId, to_itself: bool) -> Vec<StreamSummary> {
        self.publisher(member).lines.iter().map(|line| line.summary(to_itself)).collect()
    }

    fn unused_feed(&mut self) -> FeedId {
        loop {
            let feed = FeedId(mint(self.has_text_ids(), &mut self.rng));
            if !self.feeds.contains_key(&feed) {
                return feed;
            }
        }
    }
}

impl Line {
    fn summary(&self, to_itself: bool) -> StreamSummary {
        let PublishedMedia { mindex, mid, kind, codec, stereo, fec, dtx, extensions, .. } = &self.media;
        let shown = |id: Option<u8>| id.filter(|_| to_itself);
        StreamSummary {
            kind: *kind,
            mindex: *mindex,
            mid: *mid,
            disabled: codec.is_none(),
            description: self.description.clone(),
            codec: *codec,
            stereo: *stereo,
            fec: *fec,
            dtx: *dtx,
            h264_profile: self.media.h264_profile.clone(),
            vp9_profile: self.media.vp9_profile.clone(),
            audiolevel_ext_id: shown(extensions.audio_level),
            videoorient_ext_id: shown(extensions.orientation),
            playoutdelay_ext_id: shown(extensions.playout_delay),
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

/// Every `mid` of the entries must be known, and only a lone entry may have none.
pub(super) fn check_mids(
    entries: &[ConfigureStream],
    known: &BTreeSet<Mid>,
    unknown: impl Fn(Mid) -> RoomError,
) -> Result<(), RoomError> {
    for entry in entries {
        match entry.mid {
            Some(mid) if !known.contains(&mid) => return Err(unknown(mid)),
            None if entries.len() > 1 => return Err(RoomError::MidNeeded),
            _ => {}
        }
    }
    Ok(())
}
