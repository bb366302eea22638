//! Subscribers that add, drop and exchange streams: which m-lines that takes, which offers follow, and when.

use super::*;
use crate::control::request::{LegacyFeed, Subscribe, Switch, SwitchStream, Unsubscribe, Update};
use crate::control::summary::{Switched, Updated};

fn all_of(feed: u64) -> Subscribe {
    let stream = SubscribeStream { feed: feed.into(), mid: None, crossrefid: None, delay: None };
    Subscribe { stream, send: true }
}

fn line_of(feed: u64, line: &str) -> Subscribe {
    let stream = SubscribeStream { mid: Some(mid(line)), ..all_of(feed).stream };
    Subscribe { stream, send: true }
}

fn drop_feed(feed: u64) -> Unsubscribe {
    Unsubscribe { feed: Some(feed.into()), ..Unsubscribe::default() }
}

fn drop_own(sub_mid: &str) -> Unsubscribe {
    Unsubscribe { sub_mid: Some(mid(sub_mid)), ..Unsubscribe::default() }
}

fn update(subscribe: Vec<Subscribe>, unsubscribe: Vec<Unsubscribe>) -> MemberRequest {
    MemberRequest::Update(Update { subscribe, unsubscribe })
}

fn to(feed: u64, line: &str, sub_mid: &str) -> SwitchStream {
    SwitchStream { feed: feed.into(), mid: mid(line), sub_mid: mid(sub_mid) }
}

impl Scene {
    fn update(&mut self, subscribe: Vec<Subscribe>, unsubscribe: Vec<Unsubscribe>) -> (Box<Updated>, Vec<String>) {
        match self.ask(5, update(subscribe, unsubscribe)) {
            (Reply::Updated(updated), effects) => (updated, effects),
            other => panic!("not updated: {other:?}"),
        }
    }

    /// Updates, and answers the offer.
    fn settle(&mut self, subscribe: Vec<Subscribe>, unsubscribe: Vec<Unsubscribe>) -> Vec<String> {
        let (updated, _) = self.update(subscribe, unsubscribe);
        let (_, offer) = updated.offered.expect("an offer");
        self.start(5, Some(answer(&offer)))
    }

    fn switch(&mut self, entries: Vec<SwitchStream>) -> (Box<Switched>, Vec<String>) {
        match self.ask(5, MemberRequest::Switch(Switch::Streams(entries))) {
            (Reply::Switched(switched), effects) => (switched, effects),
            other => panic!("not switched: {other:?}"),
        }
    }
}

/// Two publishers, and handle 5 that watches the first.
fn scene() -> Scene {
    let mut scene = Scene::new();
    scene.publish(1);
    scene.publish(2);
    scene.watch(5, &[1]);
    scene
}

fn directions(offer: &Description) -> Vec<Direction> {
    offer.media.iter().map(|media| media.direction).collect()
}

fn ssrcs(offer: &Description) -> Vec<u32> {
    offer.media.iter().filter_map(|media| media.ssrcs.first()).map(|(ssrc, _)| *ssrc).collect()
}

#[test]
fn what_is_added_comes_on_lines_behind_and_flows_after_the_answer() {
    let mut scene = scene();
    let (updated, effects) = scene.update(vec![all_of(2)], vec![]);
    assert_eq!(effects, ["add leg 2 of 2 mid 2", "leg 2 from 2", "add leg 3 of 2 mid 3", "leg 3 from 3"]);
    let (streams, offer) = updated.offered.expect("an offer");
    assert_eq!(directions(&offer), [Direction::SendOnly; 4]);
    assert_eq!(offer.origin_version, 2);
    let shown: Vec<_> = streams.iter().map(|stream| (stream.mid.to_string(), stream.ready)).collect();
    assert_eq!(shown, [("0".into(), true), ("1".into(), true), ("2".into(), false), ("3".into(), false)]);
    let effects = scene.start(5, Some(answer(&offer)));
    assert_eq!(effects[effects.len() - 3..], ["leg 2 opens", "leg 3 opens", "keyframe 3"]);
    let mut ssrcs = ssrcs(&offer);
    ssrcs.sort_unstable();
    ssrcs.dedup();
    assert_eq!(ssrcs.len(), 4, "every line has its own");
}

#[test]
fn the_same_stream_twice_is_two_lines() {
    let mut scene = scene();
    let (updated, _) = scene.update(vec![line_of(1, "1"), line_of(1, "1")], vec![]);
    assert_eq!(updated.offered.expect("an offer").1.media.len(), 4);
}

#[test]
fn what_is_dropped_stops_at_once_and_is_offered_as_inactive() {
    let mut scene = scene();
    let (updated, effects) = scene.update(vec![], vec![drop_feed(1)]);
    assert_eq!(effects, ["leg 0 from nothing", "leg 0 closes", "leg 1 from nothing", "leg 1 closes"]);
    let (streams, offer) = updated.offered.expect("an offer");
    assert_eq!(directions(&offer), [Direction::Inactive; 2]);
    assert!(streams.iter().all(|stream| !stream.active && stream.source.is_none()));
}

#[test]
fn a_stream_is_dropped_by_its_feed_and_mid_or_by_its_own_line() {
    let mut scene = scene();
    let by_feed = Unsubscribe { mid: Some(mid("1")), ..drop_feed(1) };
    let (_, effects) = scene.update(vec![], vec![by_feed]);
    assert_eq!(effects, ["leg 1 from nothing", "leg 1 closes"]);
    let mut scene = self::scene();
    let (_, effects) = scene.update(vec![], vec![drop_own("0")]);
    assert_eq!(effects, ["leg 0 from nothing", "leg 0 closes"]);
}

#[test]
fn an_inactive_line_of_the_codec_is_taken_again_with_its_numbers() {
    let mut scene = scene();
    let (updated, _) = scene.update(vec![], vec![drop_feed(1)]);
    let before = updated.offered.expect("an offer").1;
    assert_eq!(ssrcs(&before).len(), 2, "they are named all the time");
    scene.start(5, Some(answer(&before)));
    let (updated, effects) = scene.update(vec![line_of(2, "1"), line_of(2, "0"), line_of(2, "1")], vec![]);
    assert_eq!(effects, ["leg 1 from 3", "leg 0 from 2", "add leg 2 of 2 mid 2", "leg 2 from 3"]);
    let (streams, offer) = updated.offered.expect("an offer");
    assert_eq!(directions(&offer), [Direction::SendOnly; 3]);
    assert_eq!(ssrcs(&offer)[..2], ssrcs(&before));
    let kinds: Vec<_> = streams.iter().map(|stream| (stream.kind, stream.ready)).collect();
    assert_eq!(kinds, [(MediaKind::Audio, false), (MediaKind::Video, false), (MediaKind::Video, false)]);
    let effects = scene.start(5, Some(answer(&offer)));
    assert_eq!(effects[effects.len() - 4..], ["leg 0 opens", "leg 1 opens", "leg 2 opens", "keyframe 3"]);
}

#[test]
fn a_line_keeps_its_ssrcs_for_life() {
    let mut scene = Scene::new();
    scene.publish(1);
    scene.publish(2);
    let attached = scene.subscribe(5, &[1]);
    scene.start(5, Some(answer(&attached.offer)));
    scene.up(5);
    let first = ssrcs(&attached.offer);
    let (updated, effects) = scene.update(vec![all_of(2)], vec![drop_feed(1)]);
    assert_eq!(
        effects,
        ["leg 0 from nothing", "leg 0 closes", "leg 1 from nothing", "leg 1 closes", "leg 0 from 2", "leg 1 from 3"],
        "what goes makes room for what comes"
    );
    let (streams, offer) = updated.offered.expect("an offer");
    assert_eq!(ssrcs(&offer), first);
    assert!(streams.iter().all(|stream| stream.active && !stream.ready));
    let effects = scene.start(5, Some(answer(&offer)));
    assert_eq!(effects[effects.len() - 3..], ["leg 0 opens", "leg 1 opens", "keyframe 3"]);
}

#[test]
fn a_line_of_another_codec_is_not_taken_again() {
    let mut scene = Scene::new();
    scene.publish(1);
    scene.join(2);
    let h264 = Configure { videocodec: Some("h264".into()), ..publish(offer(&[AUDIO, VIDEO])) };
    scene.configured(2, h264);
    scene.up(2);
    scene.watch(5, &[1]);
    let (updated, _) = scene.update(vec![all_of(2)], vec![drop_feed(1)]);
    let (streams, offer) = updated.offered.expect("an offer");
    assert_eq!(directions(&offer), [Direction::SendOnly, Direction::Inactive, Direction::SendOnly]);
    assert_eq!(streams[2].source.as_ref().expect("a source").codec.expect("a codec").janus(), "h264");
}

#[test]
fn nothing_to_do_is_no_offer() {
    let mut scene = scene();
    for entry in [drop_feed(2), drop_own("9"), Unsubscribe { mid: Some(mid("0")), ..Unsubscribe::default() }] {
        let (updated, effects) = scene.update(vec![], vec![entry]);
        assert!(updated.offered.is_none() && effects.is_empty());
    }
    scene.settle(vec![], vec![drop_own("0")]);
    let (updated, _) = scene.update(vec![], vec![drop_own("0")]);
    assert!(updated.offered.is_some(), "to name an inactive line is a change, as in Janus");
}

#[test]
fn everything_is_checked_before_anything_changes() {
    let mut scene = scene();
    let wrong = update(vec![line_of(2, "0"), line_of(2, "7")], vec![drop_feed(1)]);
    assert_eq!(scene.refusal(5, wrong), RoomError::NoSuchFeedMid(mid("7").into(), 2.into()));
    let wrong = update(vec![all_of(9)], vec![drop_feed(1)]);
    assert_eq!(scene.refusal(5, wrong), RoomError::NoSuchFeed(9.into()));
    let many = (0..129).map(|_| all_of(2)).collect();
    assert_eq!(scene.refusal(5, update(many, vec![])), RoomError::Exhausted("media lines"));
    assert_eq!(scene.room.gauges().legs, 2);
}

#[test]
fn while_an_answer_is_owed_changes_are_gathered_for_one_offer_behind_it() {
    let mut scene = scene();
    let (updated, _) = scene.update(vec![line_of(2, "0")], vec![]);
    let second = updated.offered.expect("an offer").1;
    let (reply, effects) = scene.ask(5, update(vec![line_of(2, "1")], vec![]));
    assert!(matches!(reply, Reply::Updating(_)), "{reply:?}");
    assert_eq!(effects, ["add leg 3 of 2 mid 3", "leg 3 from 3"]);
    let (reply, effects) = scene.ask(5, update(vec![], vec![drop_feed(1)]));
    assert!(matches!(reply, Reply::Updating(_)), "{reply:?}");
    assert_eq!(effects, ["leg 0 from nothing", "leg 0 closes", "leg 1 from nothing", "leg 1 closes"]);

    let mut effects = Vec::new();
    let start = MemberRequest::Start(Some(Box::new(answer(&second))));
    assert!(matches!(scene.room.handle(address(5), start, &mut effects), Reply::Started(_)));
    let third = updated_offer(&effects);
    assert_eq!((third.origin_version, third.media.len()), (3, 4));
    use Direction::{Inactive, SendOnly};
    assert_eq!(directions(&third), [Inactive, Inactive, SendOnly, SendOnly]);
    assert!(trace(&effects).contains(&"leg 2 opens".into()), "that much was answered");
    assert!(!trace(&effects).iter().any(|effect| effect.contains("leg 3")), "this was not offered yet");
    let effects = scene.start(5, Some(answer(&third)));
    assert_eq!(effects[effects.len() - 2..], ["leg 3 opens", "keyframe 3"]);
}

fn updated_offer(effects: &[Effect]) -> Description {
    updated(effects).expect("an offer")
}

#[test]
fn a_line_that_is_taken_again_while_an_answer_is_owed_waits_for_its_own() {
    let mut scene = scene();
    let (updated, _) = scene.update(vec![], vec![drop_feed(1)]);
    let second = updated.offered.expect("an offer").1;
    let (reply, _) = scene.ask(5, update(vec![all_of(2)], vec![]));
    assert!(matches!(reply, Reply::Updating(_)));
    let mut effects = Vec::new();
    let start = MemberRequest::Start(Some(Box::new(answer(&second))));
    scene.room.handle(address(5), start, &mut effects);
    assert!(!trace(&effects).iter().any(|effect| effect.ends_with("opens")), "{:?}", trace(&effects));
    let effects = scene.start(5, Some(answer(&updated_offer(&effects))));
    assert_eq!(effects[effects.len() - 3..], ["leg 0 opens", "leg 1 opens", "keyframe 3"]);
}

#[test]
fn without_autoupdate_the_next_request_brings_what_was_passed_over() {
    let mut scene = Scene::new();
    scene.publish(1);
    scene.publish(2);
    let MemberRequest::JoinSubscriber(join) = subscribe(&[1, 2]) else { panic!() };
    let quiet = MemberRequest::JoinSubscriber(JoinSubscriber { autoupdate: false, ..join });
    let (Reply::Attached(attached), _) = scene.ask(5, quiet) else { panic!("refused") };
    scene.start(5, Some(answer(&attached.offer)));
    scene.up(5);
    assert!(updated(&scene.down(1)).is_none());
    let (reply, effects) = scene.ask(5, update(vec![], vec![drop_own("9")]));
    let Reply::Updated(changed) = reply else { panic!("{reply:?}") };
    assert!(effects.is_empty());
    let offer = changed.offered.expect("an offer").1;
    assert_eq!(directions(&offer)[..2], [Direction::Inactive; 2]);
}

#[test]
fn without_autoupdate_a_publisher_that_leaves_is_folded_into_the_next_request() {
    let mut scene = Scene::new();
    scene.publish(1);
    scene.publish(2);
    let MemberRequest::JoinSubscriber(join) = subscribe(&[1]) else { panic!("a join") };
    let quiet = MemberRequest::JoinSubscriber(JoinSubscriber { autoupdate: false, ..join });
    let (Reply::Attached(attached), _) = scene.ask(5, quiet) else { panic!("not attached") };
    scene.start(5, Some(answer(&attached.offer)));
    scene.up(5);
    scene.ask(1, MemberRequest::Leave);
    let (updated, _) = scene.update(vec![line_of(2, "1")], vec![]);
    let (streams, offer) = updated.offered.expect("an offer");
    assert_eq!(directions(&offer), [Direction::Inactive, Direction::SendOnly]);
    assert_eq!(streams[1].source.as_ref().expect("a source").feed.id, FeedId::from(2));
}

#[test]
fn a_stream_comes_four_times_at_most_however_it_comes() {
    let mut scene = scene();
    let mut again = |subscribe: usize, unsubscribe: Vec<Unsubscribe>| {
        scene.ask(5, update(vec![line_of(2, "1"); subscribe], unsubscribe)).0
    };
    let too_many = RoomError::TooManyCopies(mid("1").into(), FeedId::from(2));
    assert!(matches!(again(5, vec![]), Reply::Refused(error) if error == too_many));
    assert!(matches!(again(4, vec![]), Reply::Updated(_)));
    assert!(matches!(again(1, vec![]), Reply::Refused(error) if error == too_many));
    // The first m-line of the second feed is the third of all.
    assert!(matches!(again(1, vec![drop_own("2")]), Reply::Updating(_)), "what goes makes room");
    let switch = |to| MemberRequest::Switch(Switch::Streams(to));
    assert!(matches!(scene.ask(5, switch(vec![to(2, "1", "1")])).0, Reply::Refused(error) if error == too_many));
    let Reply::Switched(switched) = scene.ask(5, switch(vec![to(1, "1", "3"), to(2, "1", "1")])).0 else { panic!() };
    assert_eq!(switched.changes, 2, "what is exchanged makes room too");
}

#[test]
fn a_line_can_begin_without_being_sent_only_when_it_is_named() {
    let mut scene = scene();
    let silent = |entry: Subscribe| Subscribe { send: false, ..entry };
    let (updated, _) = scene.update(vec![silent(line_of(2, "0")), silent(all_of(2))], vec![]);
    let sends: Vec<bool> = updated.offered.expect("an offer").0.iter().map(|stream| stream.send).collect();
    assert_eq!(sends, [true, true, false, true, true]);
}

#[test]
fn a_subscriber_without_peer_hears_nothing_but_updating() {
    let mut scene = scene();
    scene.down(5);
    let (reply, effects) = scene.ask(5, update(vec![all_of(2)], vec![]));
    assert!(matches!(reply, Reply::Updating(_)) && effects.is_empty());
    assert_eq!(scene.refusal(5, update(vec![all_of(9)], vec![])), RoomError::NoSuchFeed(9.into()));
    let (switched, effects) = scene.switch(vec![to(2, "1", "1")]);
    assert_eq!((switched.changes, switched.streams.len()), (0, 0));
    assert!(effects.is_empty());
}

#[test]
fn a_switch_changes_the_source_without_an_offer_and_asks_for_a_keyframe() {
    let mut scene = scene();
    let (switched, effects) = scene.switch(vec![to(2, "1", "1"), to(2, "0", "0")]);
    assert_eq!(effects, ["leg 1 from 3", "keyframe 3", "leg 0 from 2"]);
    assert_eq!(switched.changes, 2);
    assert!(switched.offer.is_none());
    let sources: Vec<_> =
        switched.streams.iter().map(|stream| &stream.source.as_ref().expect("a source").feed.id).collect();
    assert_eq!(sources, [&FeedId::from(2); 2]);
    assert!(switched.streams.iter().all(|stream| stream.ready));
    // Nobody is subscribed to the first one any more.
    assert!(updated(&scene.down(1)).is_none());
    let (updated, _) = scene.update(vec![], vec![drop_feed(1)]);
    assert!(updated.offered.is_none(), "a switch leaves nothing to be offered");
}

#[test]
fn a_switch_passes_over_what_does_not_fit() {
    let mut scene = scene();
    let entries = vec![to(2, "0", "1"), to(2, "1", "9"), to(1, "1", "1")];
    let (switched, effects) = scene.switch(entries);
    assert_eq!(switched.changes, 0, "another kind, no such line, and what is there already");
    assert!(effects.is_empty());
    let wrong = |entry| MemberRequest::Switch(Switch::Streams(vec![to(2, "1", "1"), entry]));
    assert_eq!(scene.refusal(5, wrong(to(9, "0", "0"))), RoomError::NoSuchFeed(9.into()));
    assert_eq!(scene.refusal(5, wrong(to(2, "7", "0"))), RoomError::NoSuchFeedMid(mid("7").into(), 2.into()));
}

#[test]
fn a_switch_sends_again_and_keeps_a_pause() {
    let mut scene = scene();
    let silent = crate::control::request::ConfigureSubscriber { video: Some(false), ..Default::default() };
    scene.ask(5, MemberRequest::ConfigureSubscriber(silent));
    assert_eq!(scene.switch(vec![to(2, "1", "1")]).1, ["leg 1 from 3", "leg 1 opens", "keyframe 3"]);
    scene.ask(5, MemberRequest::Pause);
    assert_eq!(scene.switch(vec![to(1, "1", "1")]).1, ["leg 1 from 1"]);
    assert_eq!(scene.start(5, None), ["leg 0 opens", "leg 1 opens", "keyframe 1"]);
}

#[test]
fn a_switch_to_a_muted_stream_stops_and_one_away_from_it_goes_on() {
    let mut scene = scene();
    scene.administer(None, Administration::Moderate { feed: 2.into(), mid: mid("1"), mute: true });
    assert_eq!(scene.switch(vec![to(2, "1", "1")]).1, ["leg 1 from 3", "leg 1 closes"]);
    assert_eq!(scene.switch(vec![to(1, "1", "1")]).1, ["leg 1 from 1", "leg 1 opens", "keyframe 1"]);
}

#[test]
fn a_switch_on_an_inactive_line_needs_an_offer() {
    let mut scene = scene();
    scene.settle(vec![], vec![drop_feed(1)]);
    let (switched, effects) = scene.switch(vec![to(2, "1", "1")]);
    assert_eq!((switched.changes, &effects[..]), (1, &["leg 1 from 3".to_owned()][..]));
    let offer = switched.offer.expect("an offer");
    assert_eq!(directions(&offer), [Direction::Inactive, Direction::SendOnly]);
    let effects = scene.start(5, Some(answer(&offer)));
    assert_eq!(effects[effects.len() - 2..], ["leg 1 opens", "keyframe 3"]);
}

#[test]
fn the_legacy_form_maps_each_own_line_to_the_first_unused_stream_that_fits() {
    let mut scene = scene();
    let feed = |audio, video| Switch::Feed(LegacyFeed { feed: 2.into(), audio, video });
    let (reply, effects) = scene.ask(5, MemberRequest::Switch(feed(false, true)));
    assert!(matches!(reply, Reply::Switched(switched) if switched.changes == 1));
    assert_eq!(effects, ["leg 1 from 3", "keyframe 3"]);
    let (reply, effects) = scene.ask(5, MemberRequest::Switch(feed(true, true)));
    assert!(matches!(reply, Reply::Switched(switched) if switched.changes == 1), "video is there already");
    assert_eq!(effects, ["leg 0 from 2"]);
    let nobody = Switch::Feed(LegacyFeed { feed: 0.into(), audio: true, video: true });
    assert_eq!(scene.refusal(5, MemberRequest::Switch(nobody)), RoomError::NoSuchFeed(0.into()));
}

#[test]
fn the_msid_of_a_line_that_is_taken_again_is_the_new_feeds() {
    let mut scene = Scene::new();
    scene.publish(1);
    scene.publish(2);
    let MemberRequest::JoinSubscriber(join) = subscribe(&[1]) else { panic!() };
    let join = MemberRequest::JoinSubscriber(JoinSubscriber { use_msid: true, ..join });
    let (Reply::Attached(attached), _) = scene.ask(5, join) else { panic!("refused") };
    let msids = |offer: &Description| {
        let named = offer.media.iter().map(|media| media.msid.as_ref().map_or("".into(), |msid| msid.stream.clone()));
        named.collect::<Vec<_>>()
    };
    assert_eq!(msids(&attached.offer), ["1".into(), "1".into()]);
    scene.start(5, Some(answer(&attached.offer)));
    scene.up(5);
    let (updated, _) = scene.update(vec![line_of(2, "1")], vec![drop_own("1")]);
    assert_eq!(msids(&updated.offered.expect("an offer").1), ["1".into(), "2".into()]);
}
