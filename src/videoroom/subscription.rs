//! Which stream is on which m-line of a subscriber: what it wants at first, what it adds, drops and exchanges later. An
//! m-line is never moved or dropped: one without source is inactive, and taken again for the next stream of its codec.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use super::line::Line;
use super::room::unused;
use super::state::{Leg, Peer, Room, Roster, Wiring};
use crate::control::command::Reply;
use crate::control::effect::{Effect, LegSpec};
use crate::control::error::RoomError;
use crate::control::media::OfferedMedia;
use crate::control::observation::RoomObservation;
use crate::control::request::{LegacyFeed, SubscribeStream, Switch, SwitchStream, Unsubscribe, Update};
use crate::control::summary::{Switched, Updated};
use crate::id::{FeedId, LegId, MemberId, StreamId};
use crate::limits::{COPIES_PER_SUBSCRIPTION_MAX, MEDIA_LINES_MAX};
use crate::negotiate;
use crate::wire::rtp::extension::PlayoutDelay;
use crate::wire::sdp::{MediaKind, Mid};

/// A stream that is to get an m-line.
pub(super) struct Wanted {
    pub(super) stream: StreamId,
    crossrefid: Option<Box<str>>,
    delay: Option<PlayoutDelay>,
    send: bool,
}

/// The m-line that it gets: its index, and how it is offered.
pub(super) struct Place {
    mindex: usize,
    line: OfferedMedia,
}

impl Room {
    /// `subscribe`, `unsubscribe` and `update`. Everything is checked before anything changes, and what goes makes room
    /// for what comes.
    pub(super) fn update(
        &mut self,
        member: MemberId,
        update: &Update,
        effects: &mut Vec<Effect>,
    ) -> Result<Reply, RoomError> {
        let wanted = self.wiring.roster.wanted(update.subscribe.iter().map(|entry| (&entry.stream, entry.send)))?;
        self.wiring
            .check_e2ee(self.wiring.roster.subscriber(member).e2ee, wanted.iter().map(|wanted| wanted.stream))?;
        if !self.wiring.roster.has_peer(member) {
            // No offer will ever follow, and Janus says no more than this.
            return Ok(Reply::Updating(self.wiring.room()));
        }
        let dropped = self.wiring.named(member, &update.unsubscribe);
        let legs = &self.wiring.roster.subscriber(member).legs;
        let kept = legs.iter().filter(|leg| !dropped.contains(leg)).filter_map(|&leg| self.wiring.legs[leg].source);
        self.wiring.check_copies(kept.chain(wanted.iter().map(|wanted| wanted.stream)))?;
        let is_free = |leg: &LegId| self.wiring.legs[*leg].source.is_none() || dropped.contains(leg);
        let free = legs.iter().enumerate().filter(|(_, leg)| is_free(leg)).map(|(mindex, _)| mindex).collect();
        let use_msid = self.wiring.roster.subscriber(member).use_msid;
        let places = self.place(self.wiring.lines(member), free, &wanted, use_msid)?;

        // A line that is named and inactive already counts too, as in Janus.
        let changes = !dropped.is_empty() || !wanted.is_empty() || self.wiring.is_outdated(member);
        for leg in dropped {
            self.wiring.legs[leg].delay = None;
            self.wiring.legs[leg].accepted = false;
            self.wiring.wire(leg, None, effects);
        }
        self.wiring.occupy(member, wanted, places, effects);
        if !changes {
            return Ok(Reply::Updated(Box::new(Updated { room: self.wiring.room(), offered: None })));
        }
        self.observe(member, effects, |room| RoomObservation::Resubscribed {
            private_id: room.wiring.roster.subscriber(member).private_id,
            streams: room.wiring.subscription(member),
        });
        Ok(match self.wiring.next_offer(member, false, effects) {
            Some(offer) => {
                let offered = Some((self.wiring.subscription(member), offer));
                Reply::Updated(Box::new(Updated { room: self.wiring.room(), offered }))
            }
            None => Reply::Updating(self.wiring.room()),
        })
    }

    /// Other streams on the same m-lines, without a new offer unless one of them was inactive.
    pub(super) fn switch(
        &mut self,
        member: MemberId,
        switch: &Switch,
        effects: &mut Vec<Effect>,
    ) -> Result<Reply, RoomError> {
        let exchanges = match switch {
            Switch::Streams(entries) => self.wiring.exchanges(member, entries)?,
            Switch::Feed(feed) => self.wiring.exchanges_of_feed(member, feed)?,
        };
        self.wiring
            .check_e2ee(self.wiring.roster.subscriber(member).e2ee, exchanges.iter().map(|(_, stream)| *stream))?;
        let fitting = exchanges.into_iter().filter(|&(leg, stream)| self.wiring.fits(leg, stream));
        let exchanges: Vec<(LegId, StreamId)> = fitting.collect();
        let legs = self.wiring.roster.subscriber(member).legs.iter();
        self.wiring.check_copies(legs.filter_map(|&leg| {
            let last = exchanges.iter().rev().find(|(exchanged, _)| *exchanged == leg);
            last.map(|(_, stream)| *stream).or(self.wiring.legs[leg].source)
        }))?;
        let (mut changes, mut is_woken) = (0, false);
        for (leg, stream) in exchanges {
            if self.wiring.legs[leg].source != Some(stream) {
                changes += 1;
                is_woken |= self.wiring.legs[leg].source.is_none();
                self.wiring.exchange(leg, stream, effects);
            }
        }
        self.observe(member, effects, |_| RoomObservation::Switched);
        let offer = if is_woken { self.wiring.next_offer(member, false, effects) } else { None };
        let (room, streams) = (self.wiring.room(), self.wiring.subscription(member));
        Ok(Reply::Switched(Box::new(Switched { room, changes, streams, offer })))
    }

    /// Finds an m-line for each of the streams: the first of the `free` ones with its codec, else one behind the others.
    /// A line that is taken again keeps its SSRCs, whose packets go on from where they were.
    pub(super) fn place(
        &mut self,
        mut lines: Vec<OfferedMedia>,
        mut free: Vec<usize>,
        wanted: &[Wanted],
        use_msid: bool,
    ) -> Result<Vec<Place>, RoomError> {
        let mut ssrcs: BTreeSet<u32> =
            lines.iter().flat_map(|line| std::iter::once(line.ssrc).chain(line.rtx_ssrc)).collect();
        let mut places = Vec::with_capacity(wanted.len());
        for Wanted { stream, .. } in wanted {
            let media = &self.wiring.line(*stream).media;
            let codec = media.codec.expect("a line without codec has no stream");
            let again = free.iter().position(|&mindex| lines[mindex].codec == codec).map(|at| free.remove(at));
            // While a line is looked at again, its numbers are nobody's.
            let before = again.map(|mindex| lines.remove(mindex));
            let mindex = again.unwrap_or(lines.len());
            if mindex >= MEDIA_LINES_MAX {
                return Err(RoomError::Exhausted("media lines"));
            }
            let (pt, rtx_pt) = match &before {
                Some(before) if negotiate::share_payload_type(codec, before.fmtp.as_deref(), media.fmtp.as_deref()) => {
                    (before.pt, before.rtx_pt)
                }
                _ => negotiate::payload_types(&lines, codec, media.fmtp.as_deref())
                    .ok_or(RoomError::Exhausted("payload types"))?,
            };
            let (ssrc, rtx_ssrc) = match before {
                Some(before) => (before.ssrc, before.rtx_ssrc),
                None => {
                    let ssrc = unused(&mut ssrcs, &mut self.rng);
                    let rtx_ssrc = unused(&mut ssrcs, &mut self.rng);
                    (ssrc, rtx_pt.map(|_| rtx_ssrc))
                }
            };
            let mid = tag(mindex);
            let media = &self.wiring.line(*stream).media;
            let line = OfferedMedia {
                mid,
                kind: media.kind,
                codec,
                pt,
                rtx_pt,
                fmtp: media.fmtp.clone(),
                extensions: negotiate::subscriber_extensions(media.kind, &media.extensions, &self.wiring.spec),
                ssrc,
                rtx_ssrc,
                active: true,
                msid: self.wiring.msid(use_msid, mid, *stream),
            };
            lines.insert(mindex, line.clone());
            places.push(Place { mindex, line });
        }
        Ok(places)
    }
}

impl Wiring {
    /// Whether the stream's feed says that it is encrypted end to end.
    pub(super) fn is_e2ee(&self, stream: StreamId) -> bool {
        self.roster.publisher(self.streams[stream].publisher).e2ee
    }

    /// One subscription has feeds of one kind alone: the first of another kind.
    pub(super) fn unlike_e2ee(&self, e2ee: bool, mut streams: impl Iterator<Item = StreamId>) -> Option<&FeedId> {
        streams.find(|&stream| self.is_e2ee(stream) != e2ee).map(|stream| self.feed_of(stream))
    }

    pub(super) fn check_e2ee(&self, e2ee: bool, streams: impl Iterator<Item = StreamId>) -> Result<(), RoomError> {
        self.unlike_e2ee(e2ee, streams).map_or(Ok(()), |_| Err(RoomError::MixedE2ee))
    }

    /// No subscription has one stream more than [`COPIES_PER_SUBSCRIPTION_MAX`] times.
    pub(super) fn check_copies(&self, streams: impl Iterator<Item = StreamId>) -> Result<(), RoomError> {
        let mut copies: BTreeMap<StreamId, usize> = BTreeMap::new();
        for stream in streams {
            let count = copies.entry(stream).or_default();
            *count += 1;
            if *count > COPIES_PER_SUBSCRIPTION_MAX {
                return Err(RoomError::TooManyCopies(self.line(stream).media.mid.into(), self.feed_of(stream).clone()));
            }
        }
        Ok(())
    }

    /// Puts the streams on their m-lines, which are new or taken again.
    pub(super) fn occupy(
        &mut self,
        member: MemberId,
        wanted: Vec<Wanted>,
        places: Vec<Place>,
        effects: &mut Vec<Effect>,
    ) {
        for (Wanted { stream, crossrefid, delay, send }, Place { mindex, line }) in wanted.into_iter().zip(places) {
            let delay = delay.filter(|_| line.kind == MediaKind::Video);
            let leg = match self.roster.subscriber(member).legs.get(mindex) {
                Some(&leg) => {
                    self.legs[leg].line = line;
                    leg
                }
                None => self.add_leg(member, line, effects),
            };
            let of = &mut self.legs[leg];
            (of.crossrefid, of.delay, of.send) = (crossrefid, delay, send);
            // Nothing flows before the answer says so.
            of.accepted = false;
            self.wire(leg, Some(stream), effects);
        }
    }

    pub(super) fn add_leg(&mut self, member: MemberId, line: OfferedMedia, effects: &mut Vec<Effect>) -> LegId {
        let spec = LegSpec {
            ssrc: line.ssrc,
            rtx_ssrc: line.rtx_ssrc,
            kind: line.kind,
            clock_rate: line.codec.clock_rate(),
            pt: line.pt,
            mid: line.mid,
            extensions: line.extensions,
        };
        let leg = self.legs.insert(Leg {
            subscriber: member,
            source: None,
            line,
            crossrefid: None,
            accepted: false,
            send: true,
            delay: None,
            open: false,
            imposed: None,
        });
        self.roster.subscriber_mut(member).legs.push(leg);
        effects.push(Effect::AddLeg { leg, member, spec });
        leg
    }

    /// Gives an m-line another source or none.
    pub(super) fn wire(&mut self, id: LegId, source: Option<StreamId>, effects: &mut Vec<Effect>) {
        if let Some(before) = std::mem::replace(&mut self.legs[id].source, source) {
            self.streams[before].legs.retain(|&leg| leg != id);
        }
        if let Some(source) = source {
            self.streams[source].legs.push(id);
        }
        effects.push(Effect::SetSource { leg: id, source });
        self.settle(&[id], effects);
    }

    /// Another stream on an m-line: it is relayed from now on, and video begins with a keyframe.
    pub(super) fn exchange(&mut self, id: LegId, stream: StreamId, effects: &mut Vec<Effect>) {
        let leg = &self.legs[id];
        let (member, was_open) = (leg.subscriber, leg.open);
        let msid = self.msid(self.roster.subscriber(member).use_msid, leg.line.mid, stream);
        let leg = &mut self.legs[id];
        leg.line.msid = msid;
        leg.send = true;
        leg.accepted &= leg.source.is_some();
        self.wire(id, Some(stream), effects);
        let leg = &self.legs[id];
        // When it opens only now, the keyframe is asked for already.
        if was_open && leg.open && leg.line.kind == MediaKind::Video && self.roster.peer(member) == Some(Peer::Up) {
            effects.push(Effect::RequestKeyframe(stream));
        }
    }

    /// The m-lines that the entries name.
    pub(super) fn named(&self, member: MemberId, entries: &[Unsubscribe]) -> BTreeSet<LegId> {
        let is_named = |leg: &Leg, entry: &Unsubscribe| match (entry, leg.source) {
            (Unsubscribe { sub_mid: Some(sub_mid), .. }, _) => leg.line.mid == *sub_mid,
            (Unsubscribe { feed: Some(feed), mid, .. }, Some(source)) => {
                *self.feed_of(source) == *feed && mid.is_none_or(|mid| mid == self.line(source).media.mid)
            }
            _ => false,
        };
        let legs = self.roster.subscriber(member).legs.iter().copied();
        legs.filter(|&leg| entries.iter().any(|entry| is_named(&self.legs[leg], entry))).collect()
    }

    /// Which stream is to come on which m-line; own m-lines that are not there are passed over.
    pub(super) fn exchanges(
        &self,
        member: MemberId,
        entries: &[SwitchStream],
    ) -> Result<Vec<(LegId, StreamId)>, RoomError> {
        let mut exchanges = Vec::with_capacity(entries.len());
        for SwitchStream { feed, mid, sub_mid } in entries {
            let lines = &self.roster.publisher(self.roster.live_feed(feed)?).lines;
            let stream = lines.iter().find(|line| line.media.mid == *mid).and_then(|line| line.stream);
            let stream = stream.ok_or_else(|| RoomError::NoSuchFeedMid(Box::new(*mid), feed.clone()))?;
            let leg = self.roster.subscriber(member).legs.iter().find(|&&leg| self.legs[leg].line.mid == *sub_mid);
            exchanges.extend(leg.map(|&leg| (leg, stream)));
        }
        Ok(exchanges)
    }

    /// For each own m-line the first stream of the feed that fits and is not on another one yet.
    pub(super) fn exchanges_of_feed(
        &self,
        member: MemberId,
        feed: &LegacyFeed,
    ) -> Result<Vec<(LegId, StreamId)>, RoomError> {
        let mut streams = self.roster.streams_of_feed(feed)?;
        let mut exchanges = Vec::new();
        for &leg in &self.roster.subscriber(member).legs {
            if let Some(at) = streams.iter().position(|&stream| self.fits(leg, stream)) {
                exchanges.push((leg, streams.remove(at)));
            }
        }
        Ok(exchanges)
    }

    /// Whether the m-line can carry the stream as it was negotiated.
    pub(super) fn fits(&self, leg: LegId, stream: StreamId) -> bool {
        self.line(stream).media.codec == Some(self.legs[leg].line.codec)
    }

    pub(super) fn feed_of(&self, stream: StreamId) -> &FeedId {
        &self.roster.publisher(self.streams[stream].publisher).who.id
    }

    pub(super) fn msid(&self, use_msid: bool, mid: Mid, stream: StreamId) -> (Box<str>, Box<str>) {
        if use_msid {
            (self.feed_of(stream).to_string().into(), self.line(stream).media.mid.as_str().into())
        } else {
            ("janus".into(), format!("janus{mid}").into())
        }
    }
}

impl Roster {
    /// The streams of these entries, in their order; with each, whether it is to be relayed where one line is named.
    pub(super) fn wanted<'a>(
        &self,
        entries: impl Iterator<Item = (&'a SubscribeStream, bool)>,
    ) -> Result<Vec<Wanted>, RoomError> {
        let mut wanted = Vec::new();
        for (entry, send) in entries {
            let publisher = self.publisher(self.live_feed(&entry.feed)?);
            // A disabled line has no stream: it cannot be named, and is not part of the whole feed.
            let lines = publisher.lines.iter().filter(|line| entry.mid.is_none_or(|mid| mid == line.media.mid));
            let streams: Vec<StreamId> = lines.filter_map(|line| line.stream).collect();
            if let Some(mid) = entry.mid.filter(|_| streams.is_empty()) {
                return Err(RoomError::NoSuchFeedMid(Box::new(mid), entry.feed.clone()));
            }
            let (crossrefid, delay, send) = (&entry.crossrefid, entry.delay, send || entry.mid.is_none());
            let own = |stream| Wanted { stream, crossrefid: crossrefid.clone(), delay, send };
            wanted.extend(streams.into_iter().map(own));
            if wanted.len() > MEDIA_LINES_MAX {
                return Err(RoomError::Exhausted("media lines"));
            }
        }
        Ok(wanted)
    }

    /// The streams of the legacy form of a join.
    pub(super) fn wanted_of_feed(&self, legacy: &LegacyFeed) -> Result<Vec<Wanted>, RoomError> {
        let streams = self.streams_of_feed(legacy)?;
        Ok(streams.into_iter().map(|stream| Wanted { stream, crossrefid: None, delay: None, send: true }).collect())
    }

    pub(super) fn streams_of_feed(&self, legacy: &LegacyFeed) -> Result<Vec<StreamId>, RoomError> {
        let publisher = self.publisher(self.live_feed(&legacy.feed)?);
        let offered = |line: &&Line| match line.media.kind {
            MediaKind::Audio => legacy.audio,
            MediaKind::Video => legacy.video,
            MediaKind::Data | MediaKind::Other => false,
        };
        Ok(publisher.lines.iter().filter(offered).filter_map(|line| line.stream).collect())
    }
}

/// A subscriber's m-lines are called by their indexes.
fn tag(mindex: usize) -> Mid {
    let mut mid = Mid::new();
    write!(mid, "{mindex}").expect("an index below 256 is shorter than a tag");
    mid
}
