//! What the room's secret is for: editing, tokens, throwing out and muting.

use super::*;
use crate::control::allowed::AllowList;
use crate::control::command::HangupReason;
use crate::control::forward::Forward;
use crate::control::request::{Allow, ConfigureSubscriber, Edit};

fn kick(feed: u64) -> Administration {
    Administration::Kick(feed.into())
}

fn moderate(feed: u64, line: &str, mute: bool) -> Administration {
    Administration::Moderate { feed: feed.into(), mid: mid(line), mute }
}

fn refused(scene: &mut Scene, request: Administration) -> RoomError {
    match scene.administer(None, request) {
        (Reply::Refused(error), effects) if effects.is_empty() => error,
        other => panic!("not simply refused: {other:?}"),
    }
}

fn join_with(feed: u64, token: Option<&str>) -> MemberRequest {
    let (id, token) = (Some(FeedId::from(feed)), token.map(Box::from));
    MemberRequest::JoinPublisher(JoinPublisher { id, token, ..JoinPublisher::default() })
}

/// Every kind of request once.
fn all() -> Vec<Administration> {
    vec![
        Administration::Edit(Edit::default()),
        Administration::Allow(Allow::Enable),
        kick(1),
        moderate(1, "0", true),
        Administration::Record(false),
        Administration::ListForwarders,
        Administration::Forward(Forward { feed: 1.into(), targets: Vec::new(), legacy: None }),
        Administration::StopForward { feed: 1.into(), stream_id: 1 },
        Administration::ListRemotes(1.into()),
        Administration::Unremotize { feed: 1.into(), remote_id: "b".into() },
    ]
}

#[test]
fn every_request_needs_the_secret_of_a_room_that_has_one() {
    for request in all() {
        let mut scene = Scene::with(|spec| spec.secret = Some("s3".into()));
        scene.publish(1);
        assert_eq!(refused(&mut scene, request), RoomError::Missing("secret"));
    }
    for request in all() {
        let mut scene = Scene::with(|spec| spec.secret = Some("s3".into()));
        scene.publish(1);
        let (reply, effects) = scene.administer(Some("s4"), request);
        assert!(matches!(reply, Reply::Refused(RoomError::Unauthorized("secret"))), "{reply:?}");
        assert!(effects.is_empty());
    }
}

#[test]
fn an_edit_changes_what_it_names_and_nothing_else() {
    let mut scene = Scene::with(|spec| (spec.secret, spec.pin) = (Some("old".into()), Some("p".into())));
    let before = scene.room.wiring().spec().clone();
    let (reply, effects) = scene.administer(Some("old"), Administration::Edit(Edit::default()));
    assert!(matches!(reply, Reply::Edited(..)) && effects.is_empty());
    assert_eq!(*scene.room.wiring().spec(), before);
    let edit = Edit {
        description: Some("new".into()),
        secret: Some("other".into()),
        is_private: Some(true),
        require_pvtid: Some(true),
        bitrate: Some(128_000),
        fir_freq: Some(9),
        publishers: Some(1),
        ..Edit::default()
    };
    scene.administer(Some("old"), Administration::Edit(edit));
    let spec = scene.room.wiring().spec();
    assert_eq!((&*spec.description, spec.secret.as_deref(), spec.pin.as_deref()), ("new", Some("other"), Some("p")));
    assert_eq!((spec.is_private, spec.require_pvtid, spec.bitrate), (true, true, 128_000));
    assert_eq!((spec.fir_freq, spec.publishers), (9, 1));
    let (reply, _) = scene.administer(Some("old"), Administration::Edit(Edit::default()));
    assert!(matches!(reply, Reply::Refused(RoomError::Unauthorized("secret"))));
}

#[test]
fn fewer_publishers_than_there_are_leave_those_and_let_no_more_in() {
    let mut scene = Scene::new();
    scene.publish(1);
    scene.publish(2);
    scene.administer(None, Administration::Edit(Edit { publishers: Some(1), ..Edit::default() }));
    scene.join(3);
    let refused = scene.refusal(3, MemberRequest::Configure(publish(offer(&[AUDIO]))));
    assert_eq!(refused, RoomError::PublishersFull(1));
    assert_eq!(scene.room.gauges().peers, 2);
}

#[test]
fn participants_need_a_token_that_is_allowed_and_subscribers_need_none() {
    let mut scene = Scene::with(|spec| spec.allowed = AllowList::of(["a".into()]).expect("short"));
    assert_eq!(scene.refusal(1, join_with(1, None)), RoomError::NotAllowed);
    assert_eq!(scene.refusal(1, join_with(1, Some("b"))), RoomError::NotAllowed);
    assert!(matches!(scene.ask(1, join_with(1, Some("a"))).0, Reply::Joined(_)));
    scene.configured(1, publish(offer(&[AUDIO])));
    scene.up(1);
    scene.subscribe(5, &[1]);
    let (reply, _) = scene.administer(None, Administration::Allow(Allow::Add(vec!["b".into(), "a".into()])));
    let Reply::Allowed(_, Some(tokens)) = reply else { panic!("{reply:?}") };
    assert_eq!(tokens, ["a".into(), "b".into()]);
    assert!(matches!(scene.ask(2, join_with(2, Some("b"))).0, Reply::Joined(_)));
    scene.administer(None, Administration::Allow(Allow::Remove(vec!["b".into()])));
    assert_eq!(scene.refusal(3, join_with(3, Some("b"))), RoomError::NotAllowed);
    let wrong = Administration::Allow(Allow::Unreadable);
    assert_eq!(refused(&mut scene, wrong), RoomError::NotAString("allowed"), "behind the secret");
    let (reply, _) = scene.administer(None, Administration::Allow(Allow::Disable));
    assert!(matches!(reply, Reply::Allowed(_, None)), "{reply:?}");
    assert!(matches!(scene.ask(3, join_with(3, None)).0, Reply::Joined(_)));
    let (reply, _) = scene.administer(None, Administration::Allow(Allow::Enable));
    assert!(matches!(reply, Reply::Allowed(_, Some(tokens)) if tokens == ["a".into()]));
}

#[test]
fn a_token_is_looked_at_behind_the_pin_and_before_the_id() {
    let mut scene = Scene::with(|spec| {
        (spec.pin, spec.allowed) = (Some("p".into()), AllowList::of(["a".into()]).expect("short"));
    });
    assert_eq!(scene.refusal(1, join_with(1, None)), RoomError::Missing("pin"));
    let with_pin = |token: Option<&str>| {
        MemberRequest::JoinPublisher(JoinPublisher {
            id: Some(1.into()),
            pin: Some("p".into()),
            token: token.map(Box::from),
            ..JoinPublisher::default()
        })
    };
    assert!(matches!(scene.ask(1, with_pin(Some("a"))).0, Reply::Joined(_)));
    assert_eq!(scene.refusal(2, with_pin(None)), RoomError::NotAllowed);
    assert_eq!(scene.refusal(2, with_pin(Some("a"))), RoomError::IdTaken(1.into()));
}

#[test]
fn who_is_kicked_is_cut_off_at_once_and_the_others_hear_that_alone() {
    let mut scene = Scene::new();
    scene.join(2);
    scene.publish(1);
    scene.watch(5, &[1]);
    let (reply, effects) = scene.administer(None, kick(1));
    assert!(matches!(reply, Reply::Kicked));
    assert_eq!(
        effects,
        [
            "leg 0 closes",
            "leg 0 from nothing",
            "remove stream 0",
            "leg 1 closes",
            "leg 1 from nothing",
            "remove stream 1",
            "tell [5] updated v2 with 0 of 2",
            "tell [1] expelled",
            "tell [2] kicked 1",
            "close peer 1",
            "tell [1] hangup Close PC"
        ]
    );
    for request in [MemberRequest::Configure(publish(offer(&[AUDIO]))), MemberRequest::Leave] {
        assert_eq!(scene.refusal(1, request), RoomError::NoSuchRoom(RoomId::from(ROOM)));
    }
    assert_eq!(scene.refusal(1, join_as(1)), RoomError::HandleFinished);
    assert_eq!(refused(&mut scene, kick(1)), RoomError::NoSuchUser(1.into(), RoomId::from(ROOM)));
    assert_eq!(scene.teardown(1, Teardown::Hangup), [""; 0]);
    assert_eq!(scene.teardown(1, Teardown::Detach), ["tell [1] detached"]);
}

#[test]
fn an_attendee_can_be_kicked_and_come_back_with_another_handle() {
    let mut scene = Scene::new();
    scene.join(1);
    scene.join(2);
    assert_eq!(scene.administer(None, kick(1)).1, ["tell [1] expelled", "tell [2] kicked 1"]);
    assert!(matches!(scene.ask(3, join_as(1)).0, Reply::Joined(_)));
    assert_eq!(scene.administer(None, kick(1)).1, ["tell [3] expelled", "tell [2] kicked 1"]);
    assert_eq!(refused(&mut scene, kick(9)).code(), 428);
}

#[test]
fn where_subscribers_belong_to_participants_those_of_a_kicked_one_receive_no_more() {
    for require_pvtid in [true, false] {
        let mut scene = Scene::with(|spec| spec.require_pvtid = require_pvtid);
        scene.publish(1);
        let private_id = Some(scene.join(2).private_id);
        let MemberRequest::JoinSubscriber(join) = subscribe(&[1]) else { panic!() };
        let join = MemberRequest::JoinSubscriber(JoinSubscriber { private_id, ..join });
        let (Reply::Attached(attached), _) = scene.ask(5, join) else { panic!("refused") };
        scene.start(5, Some(answer(&attached.offer)));
        scene.up(5);
        let effects = scene.administer(None, kick(2)).1;
        let resume = MemberRequest::ConfigureSubscriber(ConfigureSubscriber::default());
        if require_pvtid {
            assert_eq!(effects, ["leg 0 closes", "leg 1 closes", "tell [2] expelled", "tell [1] kicked 2"]);
            assert_eq!(scene.refusal(5, resume), RoomError::Kicked);
            assert!(scene.start(5, None).is_empty(), "nothing opens");
        } else {
            assert_eq!(effects, ["tell [2] expelled", "tell [1] kicked 2"]);
            assert!(matches!(scene.ask(5, resume).0, Reply::Configured(_)));
        }
    }
}

#[test]
fn a_muted_stream_is_not_relayed_whatever_its_publisher_says() {
    let mut scene = Scene::new();
    scene.publish(1);
    scene.join(2);
    scene.watch(5, &[1]);
    let (reply, effects) = scene.administer(None, moderate(1, "1", true));
    assert!(matches!(reply, Reply::Moderated));
    assert_eq!(effects, ["leg 1 closes", "tell [1, 2] 1 1 muted"]);
    let video = |send| Configure { video: Some(send), ..Configure::default() };
    assert!(scene.configured(1, video(true)).is_empty());
    assert_eq!(scene.administer(None, moderate(1, "1", true)).1, ["tell [1, 2] 1 1 muted"], "said every time");
    scene.configured(1, video(false));
    assert_eq!(scene.administer(None, moderate(1, "1", false)).1, ["tell [1, 2] 1 1 unmuted"], "it does not want to");
    assert_eq!(scene.configured(1, video(true)), ["leg 1 opens", "keyframe 1"]);
    assert_eq!(refused(&mut scene, moderate(1, "7", true)), RoomError::NoSuchStream(mid("7").into()));
    assert_eq!(refused(&mut scene, moderate(9, "0", true)), RoomError::NoSuchUser(9.into(), RoomId::from(ROOM)));
}

#[test]
fn a_muted_stream_is_shown_as_moderated_and_stays_so_while_it_is_published() {
    let mut scene = Scene::with(|spec| spec.audiolevel_event = true);
    scene.publish(1);
    assert_eq!(
        scene.administer(None, moderate(1, "0", true)).1,
        ["watch 0 no more", "tell [1] 1 0 muted"],
        "nobody hears who talks"
    );
    let moderated = |joined: &Joined| {
        let streams = joined.publishers[0].streams.iter();
        streams.map(|stream| stream.moderated).collect::<Vec<_>>()
    };
    assert_eq!(moderated(&scene.join(2)), [true, false]);
    let (reply, _) = scene.ask(1, MemberRequest::Configure(configure(offer(&[AUDIO, VIDEO, VIDEO]))));
    let Reply::Configured(configured) = reply else { panic!("{reply:?}") };
    assert!(configured.published.expect("an answer").streams.iter().all(|stream| !stream.moderated));
    assert_eq!(moderated(&scene.join(3)), [true, false, false]);
    scene.ask(1, MemberRequest::Unpublish);
    scene.configured(1, publish(offer(&[AUDIO])));
    scene.up(1);
    assert_eq!(moderated(&scene.join(4)), [false], "another stream");
}

#[test]
fn what_is_not_there_yet_says_so_and_what_is_not_wanted_is_no_error() {
    let mut scene = Scene::new();
    scene.publish(1);
    assert!(matches!(scene.administer(None, Administration::Record(false)).0, Reply::Recording(false)));
    assert!(
        matches!(scene.administer(None, Administration::ListForwarders).0, Reply::Forwarders(_, all) if all.is_empty())
    );
    let not_yet = refused(&mut scene, Administration::Record(true));
    assert_eq!((not_yet.code(), not_yet), (499, RoomError::NotYet("enable_recording")));
}

#[test]
fn a_publisher_whose_peer_is_gone_is_kicked_like_an_attendee() {
    let mut scene = Scene::new();
    scene.publish(1);
    let mut effects = Vec::new();
    scene.room.peer_down(scene.member(1), HangupReason::IceFailed, &mut effects);
    assert_eq!(scene.administer(None, kick(1)).1, ["tell [1] expelled"]);
}
