//! Joining as a subscriber, offers and answers, pausing and configuring.

use std::collections::BTreeSet;

use super::*;
use crate::control::request::{ConfigureStream, ConfigureSubscriber, LegacyFeed};

fn wanting(streams: Vec<SubscribeStream>) -> MemberRequest {
    MemberRequest::JoinSubscriber(JoinSubscriber { autoupdate: true, streams, ..JoinSubscriber::default() })
}

fn one(feed: u64, line: &str) -> SubscribeStream {
    SubscribeStream { feed: FeedId::from(feed), mid: Some(mid(line)), crossrefid: Some("mine".into()), delay: None }
}

fn configured(scene: &mut Scene, handle: u64, configure: ConfigureSubscriber) -> (Option<Description>, Vec<String>) {
    match scene.ask(handle, MemberRequest::ConfigureSubscriber(configure)) {
        (Reply::Configured(configured), effects) => (configured.offer, effects),
        other => panic!("not configured: {other:?}"),
    }
}

fn restart() -> ConfigureSubscriber {
    ConfigureSubscriber { restart: true, ..ConfigureSubscriber::default() }
}

#[test]
fn a_whole_feed_becomes_one_line_per_stream_with_our_numbers() {
    let mut scene = Scene::new();
    scene.publish(1);
    let (Reply::Attached(attached), effects) = scene.ask(5, subscribe(&[1])) else { panic!("refused") };
    assert_eq!(
        effects,
        ["open peer 1 unknown", "add leg 0 of 1 mid 0", "leg 0 from 0", "add leg 1 of 1 mid 1", "leg 1 from 1"]
    );
    assert_eq!(attached.streams.iter().map(|stream| stream.mid.as_str()).collect::<Vec<_>>(), ["0", "1"]);
    assert!(attached.streams.iter().all(|stream| stream.active && stream.send && !stream.ready));
    assert_eq!(attached.streams[1].source.as_ref().expect("a source").feed.id, FeedId::from(1));
    assert_eq!(attached.offer.kind, DescriptionKind::Offer);
    assert_eq!(attached.offer.origin_version, 1);
    assert_eq!(attached.offer.media.iter().map(|media| media.payloads[0].pt).collect::<Vec<_>>(), [111, 96]);
    assert!(attached.legacy.is_none());
}

#[test]
fn lines_come_in_the_order_asked_for_and_every_ssrc_is_its_own() {
    let mut scene = Scene::new();
    scene.publish(1);
    scene.publish(2);
    let mut effects = Vec::new();
    let asked = wanting(vec![one(2, "1"), one(1, "0"), one(2, "1")]);
    let Reply::Attached(attached) = scene.room.handle(address(5), asked, &mut effects) else { panic!("refused") };
    let kinds: Vec<MediaKind> = attached.streams.iter().map(|stream| stream.kind).collect();
    assert_eq!(kinds, [MediaKind::Video, MediaKind::Audio, MediaKind::Video]);
    assert!(attached.streams.iter().all(|stream| stream.crossrefid.as_deref() == Some("mine")));
    let mut ssrcs = Vec::new();
    for effect in &effects {
        if let Effect::AddLeg { spec, .. } = effect {
            assert_eq!(spec.rtx_ssrc.is_some(), spec.kind == MediaKind::Video);
            ssrcs.push(spec.ssrc);
            ssrcs.extend(spec.rtx_ssrc);
        }
    }
    assert_eq!(ssrcs.len(), 5);
    assert_eq!(ssrcs.iter().collect::<BTreeSet<_>>().len(), 5);
}

#[test]
fn only_feeds_that_are_up_and_lines_that_are_live_can_be_had() {
    let mut scene = Scene::new();
    scene.join(1);
    assert_eq!(scene.refusal(5, subscribe(&[9])), RoomError::NoSuchFeed(FeedId::from(9)));
    scene.configured(1, publish(offer(&[AUDIO, STOPPED])));
    assert_eq!(scene.refusal(5, subscribe(&[1])), RoomError::NoSuchFeed(FeedId::from(1)));
    scene.up(1);
    for line in ["1", "7"] {
        let refusal = scene.refusal(5, wanting(vec![one(1, "0"), one(1, line)]));
        assert_eq!(refusal, RoomError::NoSuchFeedMid(mid(line).into(), FeedId::from(1)));
    }
    assert_eq!(scene.subscribe(5, &[1]).streams.len(), 1, "the disabled line is left out");
    assert_eq!(scene.refusal(6, wanting(Vec::new())), RoomError::Missing("feed"));
}

#[test]
fn a_subscription_is_bounded() {
    let mut scene = Scene::with(|spec| spec.publishers = 40);
    (1..=33).for_each(|feed| scene.publish(feed));
    let four_of_each = |feeds| (1..=feeds).flat_map(|feed| [feed; 4]).collect::<Vec<u64>>();
    assert_eq!(scene.refusal(51, subscribe(&four_of_each(33))), RoomError::Exhausted("media lines"));
    assert_eq!(scene.subscribe(51, &four_of_each(32)).streams.len(), 256);
    let too_many = RoomError::TooManyCopies(mid("0").into(), FeedId::from(1));
    assert_eq!(scene.refusal(52, subscribe(&[1; 5])), too_many);
    assert_eq!(too_many.to_string(), "A subscription can't have mid '0' of feed (1) more than 4 times");
}

#[test]
fn the_legacy_form_filters_by_kind_and_is_answered_with_the_feed() {
    let mut scene = Scene::new();
    scene.publish(1);
    let legacy = |audio, video| {
        let legacy = Some(LegacyFeed { feed: FeedId::from(1), audio, video });
        MemberRequest::JoinSubscriber(JoinSubscriber { legacy, ..JoinSubscriber::default() })
    };
    assert_eq!(scene.refusal(5, legacy(false, false)).code(), 437);
    let (Reply::Attached(attached), _) = scene.ask(5, legacy(false, true)) else { panic!("refused") };
    assert_eq!(attached.legacy.map(|feed| feed.id), Some(FeedId::from(1)));
    assert_eq!(attached.streams.len(), 1);
    assert_eq!(attached.streams[0].kind, MediaKind::Video);
}

#[test]
fn a_room_may_want_the_private_id_of_a_participant() {
    let mut scene = Scene::with(|spec| spec.require_pvtid = true);
    let private_id = scene.join(2).private_id;
    scene.publish(1);
    let with = |private_id| {
        let streams = vec![one(1, "0")];
        MemberRequest::JoinSubscriber(JoinSubscriber { private_id, streams, ..JoinSubscriber::default() })
    };
    assert_eq!(scene.refusal(5, with(None)), RoomError::PrivateIdNeeded);
    assert_eq!(scene.refusal(5, with(Some(private_id ^ 1))), RoomError::PrivateIdNeeded);
    assert!(matches!(scene.ask(5, with(Some(private_id))).0, Reply::Attached(_)));
    scene.ask(2, MemberRequest::Leave);
    assert_eq!(scene.refusal(6, with(Some(private_id))), RoomError::PrivateIdNeeded);
}

#[test]
fn msids_are_generic_or_name_the_feed() {
    let mut scene = Scene::new();
    scene.publish(11);
    let msids = |attached: &Attached| -> Vec<String> {
        let msid = |media: &MediaSection| media.msid.as_ref().map(|msid| format!("{} {}", msid.stream, msid.track));
        attached.offer.media.iter().filter_map(msid).collect()
    };
    assert_eq!(msids(&scene.subscribe(5, &[11])), ["janus janus0", "janus janus1"]);
    let named = MemberRequest::JoinSubscriber(JoinSubscriber {
        use_msid: true,
        streams: vec![one(11, "1")],
        ..JoinSubscriber::default()
    });
    let (Reply::Attached(attached), _) = scene.ask(6, named) else { panic!("refused") };
    assert_eq!(msids(&attached), ["11 1"]);
}

#[test]
fn the_answer_opens_the_gates_and_the_peer_coming_up_asks_for_keyframes() {
    let mut scene = Scene::new();
    scene.publish(1);
    let attached = scene.subscribe(5, &[1]);
    assert_eq!(
        scene.start(5, Some(answer(&attached.offer))),
        ["remote of 1 is efgh", "leg 0 accepted true", "leg 1 accepted true", "leg 0 opens", "leg 1 opens"]
    );
    assert_eq!(scene.up(5), ["tell [5] webrtcup", "keyframe 1"]);
}

#[test]
fn a_line_that_the_answer_refuses_stays_closed() {
    let mut scene = Scene::new();
    scene.publish(1);
    let attached = scene.subscribe(5, &[1]);
    let mut picky = answer(&attached.offer);
    picky.media[1].direction = Direction::Inactive;
    let effects = scene.start(5, Some(picky));
    assert!(effects.contains(&"leg 0 opens".into()));
    assert!(effects.contains(&"leg 1 accepted false".into()));
    assert!(!effects.contains(&"leg 1 opens".into()));
}

#[test]
fn an_answer_to_nothing_is_ignored_and_an_offer_is_refused() {
    let mut scene = Scene::new();
    scene.publish(1);
    let attached = scene.subscribe(5, &[1]);
    let wrong = MemberRequest::Start(Some(Box::new(offer(&[AUDIO, VIDEO]))));
    assert_eq!(scene.refusal(5, wrong), RoomError::OnlyPublishersOffer);
    scene.start(5, Some(answer(&attached.offer)));
    assert!(scene.start(5, Some(answer(&attached.offer))).is_empty());
}

#[test]
fn an_answer_without_transport_is_refused_and_the_offer_still_stands() {
    let mut scene = Scene::new();
    scene.publish(1);
    let attached = scene.subscribe(5, &[1]);
    let mut bare = answer(&attached.offer);
    bare.media.iter_mut().for_each(|media| media.transport = None);
    assert_eq!(scene.refusal(5, MemberRequest::Start(Some(Box::new(bare)))).code(), 437);
    assert!(scene.start(5, Some(answer(&attached.offer))).contains(&"leg 0 opens".into()));
}

#[test]
fn pause_closes_the_gates_and_start_opens_them_with_a_keyframe() {
    let mut scene = Scene::new();
    scene.publish(1);
    scene.watch(5, &[1]);
    let (reply, effects) = scene.ask(5, MemberRequest::Pause);
    assert!(matches!(reply, Reply::Paused(_)));
    assert_eq!(effects, ["leg 0 closes", "leg 1 closes"]);
    assert_eq!(scene.start(5, None), ["leg 0 opens", "leg 1 opens", "keyframe 1"]);
}

#[test]
fn send_is_switched_by_line_for_all_or_by_kind() {
    let mut scene = Scene::new();
    scene.publish(1);
    scene.watch(5, &[1]);
    let send = |line: Option<&str>, send| ConfigureSubscriber {
        streams: vec![ConfigureStream { mid: line.map(mid), send: Some(send), ..ConfigureStream::default() }],
        ..ConfigureSubscriber::default()
    };
    assert_eq!(configured(&mut scene, 5, send(Some("1"), false)).1, ["leg 1 closes"]);
    assert_eq!(configured(&mut scene, 5, send(Some("1"), true)).1, ["leg 1 opens", "keyframe 1"]);
    assert_eq!(configured(&mut scene, 5, send(Some("1"), true)).1, ["keyframe 1"]);
    assert_eq!(configured(&mut scene, 5, send(None, false)).1, ["leg 0 closes", "leg 1 closes"]);
    let audio = ConfigureSubscriber { audio: Some(true), ..ConfigureSubscriber::default() };
    assert_eq!(configured(&mut scene, 5, audio).1, ["leg 0 opens"]);
}

#[test]
fn entries_must_name_lines_of_the_subscription() {
    let mut scene = Scene::new();
    scene.publish(1);
    scene.watch(5, &[1]);
    let with = |lines: &[Option<&str>]| {
        let entry = |line: &Option<&str>| ConfigureStream { mid: line.map(mid), ..ConfigureStream::default() };
        let streams = lines.iter().map(entry).collect();
        MemberRequest::ConfigureSubscriber(ConfigureSubscriber { streams, ..ConfigureSubscriber::default() })
    };
    assert_eq!(scene.refusal(5, with(&[Some("2")])), RoomError::NoSuchSubscriptionMid(mid("2").into()));
    assert_eq!(scene.refusal(5, with(&[Some("0"), None])), RoomError::MidNeeded);
}

#[test]
fn restart_and_update_make_offers_with_growing_versions_of_one_origin() {
    let mut scene = Scene::new();
    scene.publish(1);
    let first = scene.subscribe(5, &[1]).offer;
    scene.start(5, Some(answer(&first)));
    let (offer, effects) = configured(&mut scene, 5, restart());
    let second = offer.expect("an offer");
    assert_eq!(effects, ["restart 1"]);
    scene.start(5, Some(answer(&second)));
    let update = ConfigureSubscriber { update: true, ..ConfigureSubscriber::default() };
    let (offer, effects) = configured(&mut scene, 5, update);
    let third = offer.expect("an offer");
    assert!(effects.is_empty());
    assert_eq!([first.origin_version, second.origin_version, third.origin_version], [1, 2, 3]);
    assert!(first.origin_id == second.origin_id && second.origin_id == third.origin_id);
}

#[test]
fn a_restart_while_an_offer_is_outstanding_follows_its_answer() {
    let mut scene = Scene::new();
    scene.publish(1);
    let first = scene.subscribe(5, &[1]).offer;
    for configure in [ConfigureSubscriber { update: true, ..ConfigureSubscriber::default() }, restart()] {
        let (reply, effects) = scene.ask(5, MemberRequest::ConfigureSubscriber(configure));
        assert!(matches!(reply, Reply::Postponed) && effects.is_empty(), "nothing is said");
    }
    let effects = scene.start(5, Some(answer(&first)));
    assert_eq!(effects[effects.len() - 2..], ["restart 1", "tell [5] updated v2 with 2 of 2"]);
}

#[test]
fn an_answer_may_ride_on_any_request_and_what_that_asks_for_comes_behind_it() {
    let riding = |request, offer: &Description| MemberRequest::Answering(Box::new(request), Box::new(answer(offer)));
    let mut scene = Scene::new();
    scene.publish(1);
    let first = scene.subscribe(5, &[1]).offer;
    let (reply, effects) = scene.ask(5, riding(MemberRequest::Pause, &first));
    assert!(matches!(reply, Reply::Paused(_)));
    assert_eq!(effects, ["remote of 1 is efgh", "leg 0 accepted true", "leg 1 accepted true"]);
    assert_eq!(scene.start(5, None), ["leg 0 opens", "leg 1 opens"]);

    let (offer, _) = configured(&mut scene, 5, restart());
    let second = offer.expect("an offer");
    let (reply, effects) = scene.ask(5, riding(MemberRequest::ConfigureSubscriber(restart()), &second));
    assert!(matches!(reply, Reply::Postponed));
    assert_eq!(effects[effects.len() - 2..], ["restart 1", "tell [5] updated v3 with 2 of 2"]);

    // It answers what was outstanding when it came, not the offer of its own request.
    let mut scene = Scene::new();
    scene.publish(1);
    let first = scene.subscribe(5, &[1]).offer;
    scene.start(5, Some(answer(&first)));
    let (reply, effects) = scene.ask(5, riding(MemberRequest::ConfigureSubscriber(restart()), &first));
    assert!(matches!(reply, Reply::Configured(configured) if configured.offer.is_some()));
    assert_eq!(effects, ["restart 1"]);

    // One that cannot be read takes its request with it.
    let mut short = answer(&first);
    short.media.pop();
    let refused = scene.refusal(5, MemberRequest::Answering(Box::new(MemberRequest::Pause), Box::new(short)));
    assert!(matches!(refused, RoomError::InvalidSdp(_)));
}

#[test]
fn vanished_sources_are_offered_as_inactive_at_once_or_after_the_answer() {
    let mut scene = Scene::new();
    scene.publish(1);
    scene.publish(2);
    scene.watch(5, &[1, 2]);
    let effects = scene.down(1);
    assert!(trace(&effects).contains(&"tell [5] updated v2 with 2 of 4".into()));
    let second = updated(&effects).expect("an offer");
    let directions: Vec<Direction> = second.media.iter().map(|media| media.direction).collect();
    assert_eq!(directions, [Direction::Inactive, Direction::Inactive, Direction::SendOnly, Direction::SendOnly]);

    assert!(updated(&scene.down(2)).is_none(), "an offer is outstanding");
    let effects = scene.start(5, Some(answer(&second)));
    assert_eq!(effects.last().expect("an offer"), "tell [5] updated v3 with 0 of 4");
    assert_eq!(scene.room.gauges().legs, 4, "the subscriber stays");
}

#[test]
fn without_autoupdate_no_offer_comes_unasked() {
    let mut scene = Scene::new();
    scene.publish(1);
    let quiet = MemberRequest::JoinSubscriber(JoinSubscriber {
        streams: vec![one(1, "0")],
        autoupdate: false,
        ..JoinSubscriber::default()
    });
    let (Reply::Attached(attached), _) = scene.ask(5, quiet) else { panic!("refused") };
    scene.start(5, Some(answer(&attached.offer)));
    assert!(updated(&scene.down(1)).is_none());
}

#[test]
fn a_subscriber_without_peer_is_finished_but_answers() {
    let mut scene = Scene::new();
    scene.publish(1);
    scene.watch(5, &[1]);
    assert_eq!(trace(&scene.down(5)), ["remove leg 0", "remove leg 1", "close peer 1", "tell [5] hangup ICE failed"]);
    assert!(scene.start(5, None).is_empty());
    let (offer, effects) = configured(&mut scene, 5, restart());
    assert!(offer.is_none() && effects.is_empty());
    assert_eq!(scene.refusal(5, subscribe(&[1])), RoomError::AlreadySubscriber);
    assert!(matches!(scene.ask(5, MemberRequest::Leave), (Reply::SubscriberLeft(_), effects) if effects.is_empty()));
}

#[test]
fn leaving_closes_the_peer_and_finishes_the_handle() {
    let mut scene = Scene::new();
    scene.publish(1);
    scene.watch(5, &[1]);
    let (reply, effects) = scene.ask(5, MemberRequest::Leave);
    assert!(matches!(reply, Reply::SubscriberLeft(_)));
    assert_eq!(effects, ["remove leg 0", "remove leg 1", "close peer 1", "tell [5] hangup Close PC"]);
    assert_eq!(scene.refusal(5, subscribe(&[1])), RoomError::HandleFinished);
    assert_eq!(scene.refusal(5, MemberRequest::Start(None)), RoomError::NoSuchRoom(RoomId::from(ROOM)));
}

#[test]
fn subscribers_hear_nothing_of_participants() {
    let mut scene = Scene::new();
    scene.publish(1);
    scene.watch(5, &[1]);
    scene.join(2);
    scene.configured(2, publish(offer(&[AUDIO])));
    assert_eq!(scene.up(2)[0], "tell [1] publishers 2 with 1");
}
