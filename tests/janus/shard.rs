//! A media shard without media: rooms with members, answering as the contract says.

use std::collections::BTreeMap;

use portunus::id::{FeedId, HandleAddress, Name, RoomId, ShardId};
use portunus::room::codec::Codec;
use portunus::room::command::*;
use portunus::room::error::RoomError;
use portunus::room::spec::RoomSpec;
use portunus::wire::sdp::{Description, DescriptionKind, MediaKind, Mid};

pub struct Shard {
    id: ShardId,
    owners: BTreeMap<RoomId, ShardId>,
    pub rooms: BTreeMap<RoomId, Room>,
    minted: u64,
    pub teardowns: Vec<Teardown>,
}

pub struct Room {
    spec: RoomSpec,
    pub members: Vec<Member>,
}

pub struct Member {
    pub handle: HandleAddress,
    feed: Option<FeedId>,
    display: Option<Box<str>>,
    description: Option<Description>,
    streams: Vec<SubscriptionSummary>,
}

impl Shard {
    pub fn new(id: ShardId) -> Shard {
        Shard { id, owners: BTreeMap::new(), rooms: BTreeMap::new(), minted: 0, teardowns: Vec::new() }
    }

    pub fn handle(&mut self, envelope: CommandEnvelope) -> Vec<Mail> {
        let mut events = Vec::new();
        let reply = self.answer(envelope.command, &mut events);
        let from = self.id;
        let mut mails: Vec<Mail> = Vec::new();
        if let Some(ticket) = envelope.ticket {
            let load = self.rooms.values().map(|room| u32::try_from(room.members.len()).unwrap()).sum();
            mails.push(Mail::Reply { ticket, from, load, reply });
        }
        let events = events.into_iter().filter(|(to, _): &(Vec<_>, Event)| !to.is_empty());
        mails.extend(events.map(|(to, event)| Mail::Event { from, to, event }));
        mails
    }

    fn answer(&mut self, command: Command, events: &mut Vec<(Vec<HandleAddress>, Event)>) -> Reply {
        match command {
            Command::Claim { room, text, candidates } => {
                self.minted += 1;
                let room = room.unwrap_or_else(|| match text {
                    true => RoomId(Name::Text(format!("minted-{}", self.minted).into())),
                    false => RoomId::from(900_000 + self.minted),
                });
                let fresh = !self.owners.contains_key(&room);
                let owner = *self.owners.entry(room.clone()).or_insert(candidates[0].0);
                Reply::Claimed { room, owner, fresh }
            }
            Command::Locate(room) => Reply::Located(self.owners.get(&room).copied()),
            Command::Release(room, owner) => {
                if self.owners.get(&room) == Some(&owner) {
                    self.owners.remove(&room);
                }
                Reply::Released
            }
            Command::Create(spec) if spec.publishers == 666 => Reply::Refused(RoomError::Exhausted("rooms")),
            Command::Create(spec) => {
                let room = spec.room.clone();
                self.rooms.insert(room.clone(), Room { spec: *spec, members: Vec::new() });
                Reply::Created(room)
            }
            Command::Destroy { room, secret } => {
                let Some(found) = self.rooms.get(&room) else { return Reply::Refused(RoomError::NoSuchRoom(room)) };
                match (&found.spec.secret, &secret) {
                    (Some(_), None) => return Reply::Refused(RoomError::Missing("secret")),
                    (Some(right), Some(given)) if right != given => {
                        return Reply::Refused(RoomError::Unauthorized("secret"));
                    }
                    _ => {}
                }
                let found = self.rooms.remove(&room).unwrap();
                let publishers = found.members.iter().filter(|member| member.feed.is_some());
                events.push((publishers.map(|member| member.handle).collect(), Event::Destroyed(room.clone())));
                let connected = found.members.iter().filter(|member| member.description.is_some());
                events.push((connected.map(|member| member.handle).collect(), Event::Hangup(HangupReason::ClosePc)));
                Reply::Destroyed(room)
            }
            Command::Exists(room) => {
                let there = self.rooms.contains_key(&room);
                Reply::Exists(room, there)
            }
            Command::List { private } => {
                let rooms = self.rooms.values().filter(|room| private || !room.spec.is_private);
                let summary = |room: &Room| RoomSummary {
                    spec: room.spec.clone(),
                    participants: room.members.iter().filter(|member| member.feed.is_some()).count(),
                };
                Reply::Rooms(rooms.map(summary).collect())
            }
            Command::Participants(room) => {
                let Some(found) = self.rooms.get(&room) else { return Reply::Refused(RoomError::NoSuchRoom(room)) };
                let summary = |member: &Member| {
                    Some(ParticipantSummary {
                        id: member.feed.clone()?,
                        display: member.display.clone(),
                        publisher: member.description.is_some(),
                    })
                };
                Reply::Participants(room, found.members.iter().filter_map(summary).collect())
            }
            Command::Member { room, handle, request } => {
                let Some(found) = self.rooms.get_mut(&room) else { return Reply::Refused(RoomError::NoSuchRoom(room)) };
                found.answer(handle, *request, events).unwrap_or_else(Reply::Refused)
            }
            Command::Teardown { room, handle, kind } => {
                self.teardowns.push(kind);
                if let Some(found) = self.rooms.get_mut(&room) {
                    found.tear_down(handle, kind, events);
                }
                Reply::TornDown(handle)
            }
            Command::Survey => Reply::Surveyed(Box::new(ShardReport {
                shard: self.id.0,
                gauges: vec![("rooms", u64::try_from(self.rooms.len()).unwrap())],
                ..ShardReport::default()
            })),
        }
    }
}

impl Room {
    fn others(&self, handle: HandleAddress) -> Vec<HandleAddress> {
        let others = self.members.iter().filter(|member| member.handle != handle && member.feed.is_some());
        others.map(|member| member.handle).collect()
    }

    fn member(&mut self, handle: HandleAddress) -> &mut Member {
        self.members.iter_mut().find(|member| member.handle == handle).expect("a member")
    }

    fn check_pin(&self, pin: Option<&str>) -> Result<(), RoomError> {
        match (self.spec.pin.as_deref(), pin) {
            (Some(_), None) => Err(RoomError::Missing("pin")),
            (Some(right), Some(given)) if right != given => Err(RoomError::Unauthorized("pin")),
            _ => Ok(()),
        }
    }

    fn answer(
        &mut self,
        handle: HandleAddress,
        request: MemberRequest,
        events: &mut Vec<(Vec<HandleAddress>, Event)>,
    ) -> Result<Reply, RoomError> {
        let room = self.spec.room.clone();
        match request {
            MemberRequest::JoinPublisher(join) => {
                self.check_pin(join.pin.as_deref())?;
                let id = join.id.unwrap_or(FeedId::from(1000 + u64::try_from(self.members.len()).unwrap()));
                if self.members.iter().any(|member| member.feed.as_ref() == Some(&id)) {
                    return Err(RoomError::IdTaken(id));
                }
                let publishers = self.members.iter().filter_map(Member::summary).collect();
                self.members.push(Member {
                    handle,
                    feed: Some(id.clone()),
                    display: join.display,
                    description: None,
                    streams: Vec::new(),
                });
                let offer = join.configure.and_then(|configure| configure.offer);
                let published = offer.map(|offer| self.publish(handle, *offer, events));
                Ok(Reply::Joined(Box::new(Joined {
                    room,
                    description: self.spec.description.clone(),
                    id,
                    private_id: 77,
                    publishers,
                    published,
                })))
            }
            MemberRequest::JoinSubscriber(join) => {
                self.check_pin(join.pin.as_deref())?;
                if self.spec.require_pvtid && join.private_id != Some(77) {
                    return Err(RoomError::PrivateIdNeeded);
                }
                let mut wanted = join.streams;
                if let Some(legacy) = &join.legacy {
                    wanted.push(SubscribeStream { feed: legacy.feed.clone(), mid: None, crossrefid: None });
                }
                let mut streams = Vec::new();
                let mut offer = None;
                for stream in wanted {
                    let feed = self.members.iter().find(|member| member.feed.as_ref() == Some(&stream.feed));
                    let Some((summary, member)) = feed.and_then(|member| Some((member.summary()?, member))) else {
                        return Err(RoomError::NoSuchFeed(stream.feed));
                    };
                    offer = member.description.clone();
                    for source in &summary.streams {
                        if stream.mid.is_none_or(|mid| mid == source.mid) {
                            let index = streams.len();
                            streams.push(subscription(index, &summary, source, &stream.crossrefid));
                        }
                    }
                    if let Some(mid) = stream.mid.filter(|_| streams.is_empty()) {
                        return Err(RoomError::NoSuchFeedMid(mid, stream.feed));
                    }
                }
                let mut offer = offer.unwrap();
                offer.kind = DescriptionKind::Offer;
                self.members.push(Member {
                    handle,
                    feed: None,
                    display: None,
                    description: Some(offer.clone()),
                    streams: streams.clone(),
                });
                let legacy = join.legacy.map(|legacy| (legacy.feed, None));
                Ok(Reply::Attached(Box::new(Attached { room, streams, legacy, offer })))
            }
            MemberRequest::Configure(configure) => {
                if configure.audiocodec.as_deref().is_some_and(|name| name != "opus") {
                    return Err(RoomError::AudioCodecUnavailable);
                }
                if configure.videocodec.as_deref().is_some_and(|name| name != "vp8") {
                    return Err(RoomError::VideoCodecUnavailable);
                }
                if configure.publish && self.member(handle).description.is_some() {
                    return Err(RoomError::AlreadyPublished);
                }
                let mids: Vec<Mid> = configure.streams.iter().filter_map(|stream| stream.mid).collect();
                if let Some(mid) = mids.into_iter().find(|mid| mid.as_str() > "1") {
                    return Err(RoomError::NoSuchPublishedMid(mid));
                }
                if let Some(display) = configure.display {
                    let id = self.member(handle).feed.clone().unwrap();
                    events.push((self.others(handle), Event::Display(id, display)));
                }
                let published = match configure.offer {
                    None => None,
                    Some(offer) if offer.media.is_empty() => {
                        return Err(RoomError::InvalidSdp("Can't offer an SDP with no stream"));
                    }
                    Some(offer) => {
                        let publishing = self.members.iter().filter_map(Member::summary).count();
                        if publishing >= self.spec.publishers {
                            return Err(RoomError::PublishersFull(self.spec.publishers));
                        }
                        Some(self.publish(handle, *offer, events))
                    }
                };
                Ok(Reply::Configured(Box::new(Configured { room, published, offer: None })))
            }
            MemberRequest::Unpublish => {
                let member = self.member(handle);
                let (feed, display) = (member.feed.clone().unwrap(), member.display.clone());
                if member.description.take().is_none() {
                    return Err(RoomError::NotPublished);
                }
                events.push((self.others(handle), Event::Unpublished(room.clone(), feed, display)));
                events.push((vec![handle], Event::Hangup(HangupReason::ClosePc)));
                Ok(Reply::Unpublished(room))
            }
            MemberRequest::Leave => {
                let member = self.member(handle);
                let (feed, display) = (member.feed.clone(), member.display.clone());
                self.members.retain(|member| member.handle != handle);
                match feed {
                    Some(feed) => {
                        events.push((self.others(handle), Event::Leaving(room.clone(), feed, display)));
                        Ok(Reply::PublisherLeft(room))
                    }
                    None => {
                        events.push((vec![handle], Event::Hangup(HangupReason::ClosePc)));
                        Ok(Reply::SubscriberLeft(room))
                    }
                }
            }
            MemberRequest::Start(answer) => {
                if answer.is_some() {
                    events.push((vec![handle], Event::WebrtcUp));
                }
                Ok(Reply::Started(room))
            }
            MemberRequest::Pause => Ok(Reply::Paused(room)),
            MemberRequest::ConfigureSubscriber(configure) => {
                let member = self.member(handle);
                if configure.streams.len() > 1 && configure.streams.iter().any(|stream| stream.mid.is_none()) {
                    return Err(RoomError::MidNeeded);
                }
                let known = |mid: &Mid| member.streams.iter().any(|stream| stream.mid == *mid);
                if let Some(mid) = configure.streams.iter().filter_map(|stream| stream.mid).find(|mid| !known(mid)) {
                    return Err(RoomError::NoSuchSubscriptionMid(mid));
                }
                let offer = if configure.restart || configure.update { member.description.clone() } else { None };
                Ok(Reply::Configured(Box::new(Configured { room, published: None, offer })))
            }
        }
    }

    /// Answers an offer; the peer connection is up at once.
    fn publish(
        &mut self,
        handle: HandleAddress,
        offer: Description,
        events: &mut Vec<(Vec<HandleAddress>, Event)>,
    ) -> Published {
        let room = self.spec.room.clone();
        let member = self.member(handle);
        let mut answer = offer;
        answer.kind = DescriptionKind::Answer;
        member.description = Some(answer.clone());
        let summary = member.summary().unwrap();
        let streams = summary.streams.clone();
        events.push((self.others(handle), Event::Publishers(room, vec![summary])));
        events.push((vec![handle], Event::WebrtcUp));
        for stream in &streams {
            events.push((vec![handle], Event::Media { mid: stream.mid, kind: stream.kind, receiving: true }));
        }
        Published { streams, answer }
    }

    fn tear_down(&mut self, handle: HandleAddress, kind: Teardown, events: &mut Vec<(Vec<HandleAddress>, Event)>) {
        let room = self.spec.room.clone();
        let Some(member) = self.members.iter_mut().find(|member| member.handle == handle) else { return };
        let (feed, display) = (member.feed.clone(), member.display.clone());
        let was_up = member.description.take().is_some();
        if let Some(feed) = feed.clone().filter(|_| was_up) {
            events.push((self.others(handle), Event::Unpublished(room.clone(), feed, display.clone())));
        }
        match kind {
            Teardown::Hangup if was_up => events.push((vec![handle], Event::Hangup(HangupReason::JanusApi))),
            Teardown::Hangup => {}
            Teardown::Detach => {
                self.members.retain(|member| member.handle != handle);
                if let Some(feed) = feed {
                    events.push((self.others(handle), Event::Leaving(room, feed, display)));
                }
                events.push((vec![handle], Event::Detached));
            }
        }
    }
}

impl Member {
    fn summary(&self) -> Option<PublisherSummary> {
        let description = self.description.as_ref()?;
        let streams = description.media.iter().enumerate().map(|(mindex, media)| StreamSummary {
            kind: media.kind,
            mindex,
            mid: media.mid,
            disabled: false,
            description: None,
            codec: Some(if media.kind == MediaKind::Audio { Codec::Opus } else { Codec::Vp8 }),
            stereo: false,
            fec: media.kind == MediaKind::Audio,
            dtx: false,
            h264_profile: None,
            vp9_profile: None,
            audiolevel_ext_id: None,
            videoorient_ext_id: None,
            playoutdelay_ext_id: None,
        });
        Some(PublisherSummary { id: self.feed.clone()?, display: self.display.clone(), streams: streams.collect() })
    }
}

fn subscription(
    index: usize,
    feed: &PublisherSummary,
    source: &StreamSummary,
    crossrefid: &Option<Box<str>>,
) -> SubscriptionSummary {
    SubscriptionSummary {
        kind: source.kind,
        active: true,
        mindex: index,
        mid: Mid::from(&index.to_string()).unwrap(),
        crossrefid: crossrefid.clone(),
        ready: false,
        send: true,
        source: Some(SourceSummary {
            feed: feed.id.clone(),
            display: feed.display.clone(),
            mid: source.mid,
            description: None,
            codec: source.codec,
            h264_profile: None,
            vp9_profile: None,
        }),
    }
}
