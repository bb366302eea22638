//! Random histories: whatever is asked in whatever order, the room does not panic, its effects describe a world that
//! an engine can keep in tables, and nothing is left when everybody is gone.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::forwarding::forward_of;
use super::*;
use crate::control::command::HangupReason;
use crate::control::request::{
    ConfigureStream, ConfigureSubscriber, LegacyFeed, Subscribe, Switch, SwitchStream, Unsubscribe, Update,
};
use crate::id::{ForwarderId, LegId, StreamId};
use crate::videoroom::state::RoomGauges;
use crate::wire::rtp::extension::PlayoutDelay;

const HANDLES: u64 = 6;

#[derive(Clone, Debug)]
enum Op {
    Join,
    JoinAndConfigure(Vec<bool>),
    Offer {
        publish: bool,
        lines: Vec<bool>,
    },
    Relay(bool),
    Delay(i64),
    Unpublish,
    Subscribe {
        feeds: Vec<u64>,
        autoupdate: bool,
    },
    Answer {
        refuse: bool,
    },
    Start,
    Pause,
    /// An answer that rides on another request.
    Ride(Box<Op>),
    Send(bool),
    Renew {
        restart: bool,
    },
    Update {
        add: Vec<u64>,
        drop: Option<u64>,
        own: Option<u8>,
    },
    Switch {
        feed: u64,
        line: u8,
    },
    SwitchFeed(u64),
    Kick(u64),
    Moderate {
        feed: u64,
        mute: bool,
    },
    Forward {
        feed: u64,
        line: u8,
    },
    StopForward(u64),
    Leave,
    Hangup,
    Detach,
    Up,
    Down,
}

fn ops() -> impl Strategy<Value = Vec<(u64, Op)>> {
    let lines = || prop::collection::vec(any::<bool>(), 1..4);
    let feeds = prop::collection::vec(1..=HANDLES, 1..4);
    let op = prop_oneof![
        3 => Just(Op::Join),
        1 => lines().prop_map(Op::JoinAndConfigure),
        3 => (any::<bool>(), lines()).prop_map(|(publish, lines)| Op::Offer { publish, lines }),
        1 => any::<bool>().prop_map(Op::Relay),
        1 => (-1..3i64).prop_map(Op::Delay),
        1 => Just(Op::Unpublish),
        4 => (feeds, any::<bool>()).prop_map(|(feeds, autoupdate)| Op::Subscribe { feeds, autoupdate }),
        4 => any::<bool>().prop_map(|refuse| Op::Answer { refuse }),
        1 => Just(Op::Start),
        1 => Just(Op::Pause),
        1 => Just(Op::Ride(Box::new(Op::Pause))),
        1 => any::<bool>().prop_map(|restart| Op::Ride(Box::new(Op::Renew { restart }))),
        2 => (1..=HANDLES, prop::option::of(0..3u8))
            .prop_map(|(add, own)| Op::Ride(Box::new(Op::Update { add: vec![add], drop: None, own }))),
        1 => any::<bool>().prop_map(Op::Send),
        1 => any::<bool>().prop_map(|restart| Op::Renew { restart }),
        4 => (prop::collection::vec(1..=HANDLES, 0..3), prop::option::of(1..=HANDLES), prop::option::of(0..3u8))
            .prop_map(|(add, drop, own)| Op::Update { add, drop, own }),
        2 => (1..=HANDLES, 0..3u8).prop_map(|(feed, line)| Op::Switch { feed, line }),
        1 => (1..=HANDLES).prop_map(Op::SwitchFeed),
        1 => (1..=HANDLES).prop_map(Op::Kick),
        1 => (1..=HANDLES, any::<bool>()).prop_map(|(feed, mute)| Op::Moderate { feed, mute }),
        3 => (1..=HANDLES, 0..3u8).prop_map(|(feed, line)| Op::Forward { feed, line }),
        1 => (1..=HANDLES).prop_map(Op::StopForward),
        1 => Just(Op::Leave),
        1 => Just(Op::Hangup),
        2 => Just(Op::Detach),
        6 => Just(Op::Up),
        1 => Just(Op::Down),
    ];
    prop::collection::vec((1..=HANDLES, op), 1..80)
}

/// What an engine would hold.
#[derive(Default)]
struct Tables {
    peers: BTreeSet<MemberId>,
    streams: BTreeMap<StreamId, MemberId>,
    legs: BTreeMap<LegId, LegState>,
    forwarders: BTreeMap<ForwarderId, Option<StreamId>>,
}

struct LegState {
    member: MemberId,
    source: Option<StreamId>,
    accepted: bool,
    open: bool,
    delay: Option<PlayoutDelay>,
}

impl Tables {
    fn take(&mut self, effects: &[Effect]) {
        for effect in effects {
            match effect {
                Effect::OpenPeer { member, .. } => assert!(self.peers.insert(*member), "opened twice"),
                Effect::SetRemote { member, .. } | Effect::RestartIce(member) | Effect::CapBitrate { member, .. } => {
                    assert!(self.peers.contains(member));
                }
                Effect::ClosePeer(member) => {
                    assert!(self.peers.remove(member));
                    assert!(self.streams.values().all(|owner| owner != member), "streams end before their peer");
                    assert!(self.legs.values().all(|leg| leg.member != *member), "legs end before their peer");
                }
                Effect::SetStream { stream, member, media } => {
                    assert!(self.peers.contains(member) && media.codec.is_some());
                    assert_eq!(*self.streams.entry(*stream).or_insert(*member), *member, "a stream keeps its owner");
                }
                Effect::RemoveStream(stream) => {
                    assert!(self.streams.remove(stream).is_some());
                    assert!(self.legs.values().all(|leg| leg.source != Some(*stream)), "legs are detached first");
                    self.forwarders.values_mut().for_each(|source| *source = source.filter(|of| of != stream));
                }
                Effect::AddLeg { leg, member, .. } => {
                    assert!(self.peers.contains(member));
                    let state = LegState { member: *member, source: None, accepted: false, open: false, delay: None };
                    assert!(self.legs.insert(*leg, state).is_none(), "added twice");
                }
                Effect::SetSource { leg, source } => {
                    assert!(source.is_none_or(|source| self.streams.contains_key(&source)));
                    self.leg(*leg).source = *source;
                }
                Effect::AcceptLeg { leg, media } => self.leg(*leg).accepted = media.accepted,
                Effect::GateLeg { leg, open } => {
                    let leg = self.leg(*leg);
                    assert_ne!(leg.open, *open, "said twice");
                    assert!(!open || (leg.accepted && leg.source.is_some()));
                    leg.open = *open;
                }
                Effect::WatchTalking { stream, .. } => assert!(self.streams.contains_key(stream)),
                Effect::OverrideDelay { leg, delay } => {
                    assert_ne!(std::mem::replace(&mut self.leg(*leg).delay, *delay), *delay, "said twice");
                }
                Effect::RemoveLeg(leg) => assert!(self.legs.remove(leg).is_some()),
                Effect::RequestKeyframe(stream) => assert!(self.streams.contains_key(stream)),
                Effect::OpenRemote { member, .. } => assert!(self.peers.insert(*member), "opened twice"),
                Effect::AddForwarder { forwarder, .. } => {
                    assert!(self.forwarders.insert(*forwarder, None).is_none(), "added twice");
                }
                Effect::RouteForwarder { forwarder, source } => {
                    assert!(source.is_none_or(|source| self.streams.contains_key(&source)));
                    let before = self.forwarders.get_mut(forwarder).expect("a forwarder that was added");
                    assert_ne!(std::mem::replace(before, *source), *source, "said twice");
                }
                Effect::RemoveForwarder(forwarder) => assert!(self.forwarders.remove(forwarder).is_some()),
                Effect::Tell { to, .. } => assert!(!to.is_empty()),
                Effect::Observe { .. } => panic!("nobody watches"),
            }
        }
    }

    fn leg(&mut self, leg: LegId) -> &mut LegState {
        self.legs.get_mut(&leg).expect("a leg that was added")
    }
}

struct History {
    room: Room,
    tables: Tables,
    /// The last offer to each subscriber.
    offers: BTreeMap<u64, Description>,
}

impl History {
    fn step(&mut self, handle: u64, op: Op) {
        let mut effects = Vec::new();
        let reply = match op {
            Op::Hangup => self.teardown(handle, Teardown::Hangup, &mut effects),
            Op::Detach => self.teardown(handle, Teardown::Detach, &mut effects),
            Op::Up | Op::Down => {
                let Some(member) = self.room.roster().member(address(handle)) else { return };
                match op {
                    Op::Up => self.room.peer_up(member, &mut effects),
                    _ => self.room.peer_down(member, HangupReason::DtlsAlert, &mut effects),
                }
                None
            }
            Op::Kick(feed) => Some(self.room.administer(None, Administration::Kick(feed.into()), &mut effects)),
            Op::Moderate { feed, mute } => {
                let request = Administration::Moderate { feed: feed.into(), mid: mid("0"), mute };
                Some(self.room.administer(None, request, &mut effects))
            }
            Op::Forward { feed, line } => {
                let request = Administration::Forward(forward_of(feed, &line.to_string()));
                Some(self.room.administer(None, request, &mut effects))
            }
            Op::StopForward(feed) => {
                let Reply::Forwarders(_, all) =
                    self.room.administer(None, Administration::ListForwarders, &mut effects)
                else {
                    panic!("no list")
                };
                let own = all.iter().find(|publisher| publisher.who.id == FeedId::from(feed));
                let stream_id = own.map_or(1, |own| own.forwarders[0].stream_id).into();
                let request = Administration::StopForward { feed: feed.into(), stream_id };
                Some(self.room.administer(None, request, &mut effects))
            }
            op => {
                let Some(request) = self.request(handle, op) else { return };
                Some(self.room.handle(address(handle), request, &mut effects))
            }
        };
        if matches!(reply, Some(Reply::Refused(_))) {
            assert!(effects.is_empty(), "a refusal changes nothing");
        }
        self.tables.take(&effects);
        self.remember(handle, reply, &effects);
        let gauges = self.room.gauges();
        let Tables { peers, streams, legs, forwarders } = &self.tables;
        let held = (peers.len(), streams.len(), legs.len(), forwarders.len());
        assert_eq!((gauges.peers, gauges.streams, gauges.legs, gauges.forwarders), held);
    }

    fn teardown(&mut self, handle: u64, kind: Teardown, effects: &mut Vec<Effect>) -> Option<Reply> {
        self.room.teardown(address(handle), kind, effects);
        None
    }

    fn remember(&mut self, handle: u64, reply: Option<Reply>, effects: &[Effect]) {
        match reply {
            Some(Reply::Attached(attached)) => drop(self.offers.insert(handle, attached.offer)),
            Some(Reply::Configured(configured)) => {
                if let Some(offer) = configured.offer {
                    self.offers.insert(handle, offer);
                }
            }
            Some(Reply::Updated(updated)) => {
                if let Some((_, offer)) = updated.offered {
                    self.offered(handle, offer);
                }
            }
            Some(Reply::Switched(switched)) => {
                if let Some(offer) = switched.offer {
                    self.offered(handle, offer);
                }
            }
            _ => {}
        }
        for effect in effects {
            if let Effect::Tell { to, event: Event::Updated(_, _, offer) } = effect {
                self.offered(to[0].handle.0, (**offer).clone());
            }
        }
    }

    /// A later offer: m-lines are never dropped, and keep their kinds and the SSRCs that they once had.
    fn offered(&mut self, handle: u64, offer: Description) {
        let version = offer.origin_version;
        let later: Vec<(MediaKind, Mid)> = offer.media.iter().map(|media| (media.kind, media.mid)).collect();
        let last = self.offers.insert(handle, offer).expect("an earlier offer");
        assert_eq!(last.origin_version + 1, version);
        let before = last.media.iter().map(|media| (media.kind, media.mid));
        assert!(before.zip(&later).all(|(before, later)| before == *later) && last.media.len() <= later.len());
    }

    fn request(&self, handle: u64, op: Op) -> Option<MemberRequest> {
        let line = |&live: &bool| if live { VIDEO } else { STOPPED };
        let offered = |lines: &[bool]| configure(offer(&lines.iter().map(line).collect::<Vec<_>>()));
        Some(match op {
            Op::Join => join_as(handle),
            Op::JoinAndConfigure(lines) => MemberRequest::JoinPublisher(JoinPublisher {
                id: Some(FeedId::from(handle)),
                configure: Some(offered(&lines)),
                ..JoinPublisher::default()
            }),
            Op::Offer { publish, lines } => MemberRequest::Configure(Configure { publish, ..offered(&lines) }),
            Op::Relay(send) => MemberRequest::Configure(Configure { video: Some(send), ..Configure::default() }),
            Op::Delay(delay) => {
                let entry = ConfigureStream { min_delay: Some(delay), ..ConfigureStream::default() };
                let streams = vec![entry];
                if delay % 2 == 0 {
                    MemberRequest::Configure(Configure { streams, ..Configure::default() })
                } else {
                    MemberRequest::ConfigureSubscriber(ConfigureSubscriber { streams, ..Default::default() })
                }
            }
            Op::Unpublish => MemberRequest::Unpublish,
            Op::Subscribe { feeds, autoupdate } => match subscribe(&feeds) {
                MemberRequest::JoinSubscriber(join) => {
                    MemberRequest::JoinSubscriber(JoinSubscriber { autoupdate, ..join })
                }
                other => other,
            },
            Op::Answer { refuse } => {
                let mut answer = answer(self.offers.get(&handle)?);
                if refuse {
                    answer.media[0].direction = Direction::Inactive;
                }
                MemberRequest::Start(Some(Box::new(answer)))
            }
            Op::Start => MemberRequest::Start(None),
            Op::Pause => MemberRequest::Pause,
            Op::Ride(request) => {
                let answer = answer(self.offers.get(&handle)?);
                MemberRequest::Answering(Box::new(self.request(handle, *request)?), Box::new(answer))
            }
            Op::Send(send) => MemberRequest::ConfigureSubscriber(ConfigureSubscriber {
                streams: vec![ConfigureStream { mid: Some(mid("0")), send: Some(send), ..ConfigureStream::default() }],
                ..ConfigureSubscriber::default()
            }),
            Op::Renew { restart } => MemberRequest::ConfigureSubscriber(ConfigureSubscriber {
                restart,
                update: true,
                ..ConfigureSubscriber::default()
            }),
            Op::Update { add, drop, own } => MemberRequest::Update(Update {
                subscribe: add
                    .into_iter()
                    .map(|feed| SubscribeStream { feed: feed.into(), mid: None, crossrefid: None, delay: None })
                    .map(|stream| Subscribe { stream, send: true })
                    .collect(),
                unsubscribe: vec![
                    Unsubscribe { feed: drop.map(FeedId::from), ..Unsubscribe::default() },
                    Unsubscribe { sub_mid: own.map(|own| mid(&own.to_string())), ..Unsubscribe::default() },
                ],
            }),
            Op::Switch { feed, line } => {
                let line = mid(&line.to_string());
                let entry = SwitchStream { feed: feed.into(), mid: line, sub_mid: line };
                MemberRequest::Switch(Switch::Streams(vec![entry]))
            }
            Op::SwitchFeed(feed) => {
                MemberRequest::Switch(Switch::Feed(LegacyFeed { feed: feed.into(), audio: true, video: true }))
            }
            Op::Leave => MemberRequest::Leave,
            Op::Hangup | Op::Detach | Op::Up | Op::Down => return None,
            Op::Kick(_) | Op::Moderate { .. } | Op::Forward { .. } | Op::StopForward(_) => return None,
        })
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_history_can_be_followed_and_leaves_nothing(ops in ops(), destroy: bool) {
        let mut history = History { room: Scene::new().room, tables: Tables::default(), offers: BTreeMap::new() };
        for (handle, op) in ops {
            history.step(handle, op);
        }
        if destroy {
            let mut effects = Vec::new();
            prop_assert_eq!(history.room.destroy(None, &mut effects), Ok(()));
            history.tables.take(&effects);
        }
        for handle in 1..=HANDLES {
            history.step(handle, Op::Detach);
        }
        prop_assert_eq!(history.room.gauges(), RoomGauges::default());
        prop_assert!(history.tables.peers.is_empty());
        prop_assert!(history.tables.streams.is_empty());
        prop_assert!(history.tables.legs.is_empty());
        prop_assert!(history.tables.forwarders.is_empty());
    }
}
