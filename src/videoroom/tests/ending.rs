//! How publications, memberships and rooms end, and who hears of it in which order.

use super::*;
use crate::videoroom::state::RoomGauges;

#[test]
fn unpublish_is_told_once_and_its_subscribers_get_offers() {
    let mut scene = Scene::new();
    scene.join(2);
    scene.publish(1);
    scene.watch(5, &[1]);
    let (reply, effects) = scene.ask(1, MemberRequest::Unpublish);
    assert!(matches!(reply, Reply::Unpublished(_)));
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
            "tell [2] unpublished 1",
            "close peer 1",
            "tell [1] hangup Close PC"
        ]
    );
    assert_eq!(scene.refusal(1, MemberRequest::Unpublish), RoomError::NotPublished);
    assert_eq!(scene.configured(1, publish(offer(&[AUDIO])))[0], "open peer 1 abcd");
}

#[test]
fn a_lost_peer_is_told_to_subscribers_then_participants_then_its_owner() {
    let mut scene = Scene::new();
    scene.join(2);
    scene.publish(1);
    scene.watch(5, &[1]);
    let effects = trace(&scene.down(1));
    assert_eq!(
        effects[6..],
        ["tell [5] updated v2 with 0 of 2", "close peer 1", "tell [2] unpublished 1", "tell [1] hangup ICE failed"]
    );
    let attendee = &scene.room.wiring().participants()[1];
    assert!(attendee.who.id == FeedId::from(1) && !attendee.publisher);
    assert_eq!(scene.configured(1, publish(offer(&[AUDIO])))[0], "open peer 1 abcd");
}

#[test]
fn a_hangup_ends_the_peer_once_and_keeps_the_participant() {
    let mut scene = Scene::new();
    scene.join(2);
    scene.publish(1);
    let effects = scene.teardown(1, Teardown::Hangup);
    assert_eq!(effects[effects.len() - 2..], ["tell [2] unpublished 1", "tell [1] hangup Janus API"]);
    assert!(scene.teardown(1, Teardown::Hangup).is_empty());
    assert_eq!(scene.room.gauges().publishers, 2);
}

#[test]
fn leave_tells_the_others_leaving_alone() {
    let mut scene = Scene::new();
    scene.join(2);
    scene.publish(1);
    scene.watch(5, &[1]);
    let (reply, effects) = scene.ask(1, MemberRequest::Leave);
    assert!(matches!(reply, Reply::PublisherLeft(_)));
    assert_eq!(
        effects[6..],
        ["tell [5] updated v2 with 0 of 2", "tell [2] leaving 1", "close peer 1", "tell [1] hangup Close PC"]
    );
    assert_eq!(scene.refusal(1, join_as(1)), RoomError::HandleFinished);
    assert_eq!(scene.refusal(1, MemberRequest::Unpublish), RoomError::NoSuchRoom(RoomId::from(ROOM)));
    assert_eq!(scene.teardown(1, Teardown::Detach), ["tell [1] detached"]);
    assert!(matches!(scene.ask(1, join_as(1)).0, Reply::Joined(_)), "the handle is forgotten");
}

/// The only m-line of a subscription loses its source: the offer has it inactive, and comes before the news.
#[test]
fn however_a_publication_ends_its_subscribers_are_offered_that_first() {
    type End = fn(&mut Scene) -> Vec<String>;
    let ends: [(&str, End); 6] = [
        ("unpublished", |scene| scene.ask(1, MemberRequest::Unpublish).1),
        ("leaving", |scene| scene.ask(1, MemberRequest::Leave).1),
        ("kicked", |scene| scene.administer(None, Administration::Kick(FeedId::from(1))).1),
        ("unpublished", |scene| scene.teardown(1, Teardown::Hangup)),
        ("unpublished", |scene| scene.teardown(1, Teardown::Detach)),
        ("unpublished", |scene| trace(&scene.down(1))),
    ];
    for (news, end) in ends {
        let mut scene = Scene::new();
        scene.join(2);
        scene.join(1);
        scene.configured(1, publish(offer(&[AUDIO])));
        scene.up(1);
        scene.watch(5, &[1]);
        let effects = end(&mut scene);
        let at = |wanted: &str| effects.iter().position(|effect| effect == wanted);
        let (offered, told) = (at("tell [5] updated v2 with 0 of 1"), at(&format!("tell [2] {news} 1")));
        assert!(offered.is_some() && offered < told, "{news}: {effects:?}");
    }
}

#[test]
fn a_source_lost_while_an_offer_is_open_is_in_the_next_one() {
    let mut scene = Scene::new();
    scene.publish(1);
    scene.publish(2);
    scene.watch(5, &[1, 2]);
    let offer = updated(&scene.down(1)).expect("an offer");
    let (_, effects) = scene.ask(2, MemberRequest::Leave);
    assert!(!effects.iter().any(|effect| effect.contains("updated")), "one offer at a time: {effects:?}");
    let effects = scene.start(5, Some(answer(&offer)));
    assert_eq!(effects.last().map(String::as_str), Some("tell [5] updated v3 with 0 of 4"));
}

#[test]
fn detach_of_a_publisher_is_told_as_unpublished_then_leaving() {
    let mut scene = Scene::new();
    scene.join(2);
    scene.publish(1);
    let effects = scene.teardown(1, Teardown::Detach);
    assert_eq!(effects[2..], ["close peer 1", "tell [2] unpublished 1", "tell [2] leaving 1", "tell [1] detached"]);
    assert!(scene.teardown(1, Teardown::Detach).is_empty());
}

#[test]
fn detach_of_an_attendee_is_told_like_that_of_a_publisher() {
    let mut scene = Scene::new();
    scene.join(2);
    scene.join(1);
    assert_eq!(
        scene.teardown(1, Teardown::Detach),
        ["tell [2] unpublished 1", "tell [2] leaving 1", "tell [1] detached"]
    );
}

#[test]
fn detach_of_a_subscriber_is_told_to_nobody_else() {
    let mut scene = Scene::new();
    scene.publish(1);
    scene.watch(5, &[1]);
    let effects = scene.teardown(5, Teardown::Detach);
    assert_eq!(effects, ["remove leg 0", "remove leg 1", "close peer 1", "tell [5] detached"]);
}

#[test]
fn destroy_needs_the_secret() {
    let mut scene = Scene::with(|spec| spec.secret = Some("s3".into()));
    scene.publish(1);
    let mut effects = Vec::new();
    assert_eq!(scene.room.destroy(None, &mut effects), Err(RoomError::Missing("secret")));
    assert_eq!(scene.room.destroy(Some("s4"), &mut effects), Err(RoomError::Unauthorized("secret")));
    assert!(effects.is_empty());
    assert_eq!(scene.room.destroy(Some("s3"), &mut effects), Ok(()));
}

#[test]
fn destroy_tells_participants_and_closes_every_peer() {
    let mut scene = Scene::new();
    scene.publish(1);
    scene.join(2);
    scene.watch(5, &[1]);
    let mut effects = Vec::new();
    assert_eq!(scene.room.destroy(None, &mut effects), Ok(()));
    assert_eq!(
        trace(&effects),
        [
            "tell [1, 2] destroyed",
            "remove leg 0",
            "remove leg 1",
            "remove stream 0",
            "remove stream 1",
            "close peer 0",
            "close peer 2",
            "tell [1, 5] hangup Close PC"
        ]
    );
    assert_eq!(scene.room.gauges(), RoomGauges::default());
    assert_eq!(scene.refusal(1, MemberRequest::Unpublish), RoomError::NoSuchRoom(RoomId::from(ROOM)));
}

#[test]
fn summaries_count_participants_and_tell_who_is_up() {
    let mut scene = Scene::new();
    scene.publish(1);
    scene.join(2);
    scene.watch(5, &[1]);
    assert_eq!(scene.room.wiring().summary().participants, 2);
    let up: Vec<bool> = scene.room.wiring().participants().iter().map(|participant| participant.publisher).collect();
    assert_eq!(up, [true, false]);
}

#[test]
fn news_of_unknown_members_and_handles_are_nothing() {
    let mut scene = Scene::new();
    let mut effects = Vec::new();
    scene.room.peer_up(MemberId(3), &mut effects);
    scene.room.peer_down(MemberId(3), crate::control::command::HangupReason::DtlsAlert, &mut effects);
    scene.room.roster().media_changed(MemberId(3), mid("0"), MediaKind::Audio, true, None, &mut effects);
    scene.room.teardown(address(1), Teardown::Detach, &mut effects);
    assert!(effects.is_empty());
    assert_eq!(scene.room.roster().address(MemberId(3)), None);
}
