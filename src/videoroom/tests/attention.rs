//! What rooms tell beyond who publishes what: who joins, what people show of themselves, who talks; and the limits that
//! a room sets to its publishers.

use super::*;
use crate::control::request::{ConfigureStream, ConfigureSubscriber, TalkWish};
use crate::control::talking::TalkChange;
use crate::id::StreamId;
use crate::limits::MEMBERS_PER_ROOM_MAX;
use crate::wire::rtp::extension::PlayoutDelay;

fn metadata(text: &str) -> Option<Metadata> {
    Some(Metadata(text.into()))
}

fn named(feed: u64, display: &str) -> MemberRequest {
    let (id, display, metadata) = (Some(FeedId::from(feed)), Some(display.into()), metadata("{}"));
    MemberRequest::JoinPublisher(JoinPublisher { id, display, metadata, ..JoinPublisher::default() })
}

fn watched() -> Scene {
    Scene::with(|spec| spec.audiolevel_event = true)
}

fn change(talking: bool) -> TalkChange {
    TalkChange { talking, level: 12.5 }
}

fn talk(scene: &mut Scene, stream: u32, talking: bool) -> Vec<String> {
    let mut effects = Vec::new();
    scene.room.talking_changed(StreamId(stream), change(talking), &mut effects);
    trace(&effects)
}

fn delay(mid_text: Option<&str>, min: Option<i64>, max: Option<i64>) -> Vec<ConfigureStream> {
    vec![ConfigureStream { mid: mid_text.map(mid), min_delay: min, max_delay: max, ..ConfigureStream::default() }]
}

#[test]
fn a_room_tells_who_joins_and_a_joiner_who_waits_only_when_asked_to() {
    let mut scene = Scene::with(|spec| spec.notify_joining = true);
    assert_eq!(scene.join(1).attendees, Some(Vec::new()));
    let (reply, effects) = scene.ask(2, named(2, "Bob"));
    assert_eq!(effects, ["tell [1] joining 2"]);
    let Reply::Joined(joined) = reply else { panic!("{reply:?}") };
    assert_eq!(joined.attendees.expect("a list").iter().map(|who| who.id.clone()).collect::<Vec<_>>(), [1.into()]);
    scene.configured(2, publish(offer(&[AUDIO])));
    scene.up(2);
    let joined = scene.join(3);
    assert_eq!(joined.attendees.expect("a list").len(), 1, "who publishes does not wait");
    assert_eq!(joined.publishers.len(), 1);

    let mut scene = Scene::new();
    assert_eq!(scene.join(1).attendees, None);
    assert!(scene.ask(2, named(2, "Bob")).1.is_empty());
}

#[test]
fn somebody_who_joins_and_publishes_at_once_is_told_as_joining_first() {
    let mut scene = Scene::with(|spec| spec.notify_joining = true);
    scene.join(1);
    let configure = Some(configure(offer(&[AUDIO])));
    let join =
        MemberRequest::JoinPublisher(JoinPublisher { configure, id: Some(2.into()), ..JoinPublisher::default() });
    assert_eq!(scene.ask(2, join).1, ["tell [1] joining 2", "open peer 1 abcd", "stream 0 of 1 is opus"]);
}

#[test]
fn what_a_participant_shows_stands_wherever_it_is_named() {
    let mut scene = Scene::new();
    scene.ask(1, named(1, "Ana"));
    scene.configured(1, publish(offer(&[AUDIO])));
    scene.up(1);
    let joined = scene.join(2);
    assert_eq!(joined.publishers[0].who.metadata, metadata("{}"));
    let participants = scene.room.wiring().participants();
    let ana = participants.iter().find(|one| one.who.id == FeedId::from(1)).expect("listed");
    assert_eq!((ana.who.display.as_deref(), ana.who.metadata.clone()), (Some("Ana"), metadata("{}")));
    let attached = scene.subscribe(5, &[1]);
    assert_eq!(attached.streams[0].source.as_ref().expect("a source").feed.metadata, metadata("{}"));
}

#[test]
fn new_metadata_are_told_only_in_place_of_old_ones_and_beside_a_new_name() {
    let mut scene = Scene::new();
    scene.join(1);
    scene.join(2);
    let set = |text: &str, display: Option<&str>| Configure {
        metadata: metadata(text),
        display: display.map(Into::into),
        ..Configure::default()
    };
    assert!(scene.configured(1, set("{\"a\":1}", None)).is_empty());
    assert_eq!(scene.configured(1, set("{\"a\":2}", None)), ["tell [2] metadata 1 {\"a\":2}"]);
    assert_eq!(scene.configured(1, set("{}", Some("Ana"))), ["tell [2] metadata 1 {}"]);
    let rename = Configure { display: Some("Anna".into()), ..Configure::default() };
    assert_eq!(scene.configured(1, rename), ["tell [2] display 1 Anna and {}"]);
}

#[test]
fn audio_that_says_its_level_is_watched_by_the_rule_of_room_or_participant() {
    let mut scene = watched();
    scene.join(1);
    let effects = scene.configured(1, publish(offer(&[AUDIO, VIDEO])));
    assert_eq!(effects[1..], ["stream 0 of 0 is opus", "stream 1 of 0 is vp8", "watch 0 by 100 below 25"]);
    let talk = TalkWish { packets: Some(10), threshold: None };
    let own = Configure { talk, ..Configure::default() };
    assert_eq!(scene.configured(1, own), ["watch 0 by 10 below 25"]);
    let rooms = Configure { talk: TalkWish { packets: Some(0), threshold: Some(40) }, ..Configure::default() };
    assert_eq!(scene.configured(1, rooms), ["watch 0 by 100 below 40"], "0 is the room's");
    assert!(scene.configured(1, Configure::default()).is_empty(), "said once");
}

#[test]
fn nothing_is_watched_where_nobody_wants_to_know_or_no_level_is_said() {
    let mut scene = Scene::new();
    scene.join(1);
    assert!(!scene.configured(1, publish(offer(&[AUDIO]))).iter().any(|effect| effect.starts_with("watch")));
    let mut scene = Scene::with(|spec| (spec.audiolevel_event, spec.audiolevel_ext) = (true, false));
    scene.join(1);
    assert!(!scene.configured(1, publish(offer(&[AUDIO]))).iter().any(|effect| effect.starts_with("watch")));
    scene.up(1);
    assert_eq!(scene.room.wiring().participants()[0].talking, None);
}

#[test]
fn muted_audio_is_not_watched_and_nobody_is_told_that_it_stops() {
    let mut scene = watched();
    scene.publish(1);
    let muted = |send| Configure { audio: Some(send), ..Configure::default() };
    assert_eq!(scene.configured(1, muted(false)), ["watch 0 no more"]);
    assert_eq!(scene.configured(1, muted(true)), ["watch 0 by 100 below 25"]);
}

#[test]
fn everybody_hears_who_talks_and_later_joiners_see_it() {
    let mut scene = watched();
    scene.publish(1);
    scene.join(2);
    scene.watch(5, &[1]);
    assert_eq!(talk(&mut scene, 0, true), ["tell [1, 2] 1 0 talks at 12.5"]);
    let joined = scene.join(3);
    assert_eq!(joined.publishers[0].talking, Some(true));
    let shown: Vec<_> = joined.publishers[0].streams.iter().map(|stream| stream.talking).collect();
    assert_eq!(shown, [Some(true), None], "video has no level");
    assert_eq!(
        scene.room.wiring().participants().iter().map(|one| one.talking).collect::<Vec<_>>(),
        [Some(true), None, None]
    );
    assert_eq!(talk(&mut scene, 0, false), ["tell [1, 2, 3] 1 0 stops at 12.5"]);
    assert_eq!(scene.room.wiring().participants()[0].talking, Some(false));
    assert!(talk(&mut scene, 7, true).is_empty(), "no such stream");
}

#[test]
fn a_ceiling_holds_for_every_wish_and_is_written_into_the_answer() {
    let mut scene = Scene::with(|spec| (spec.bitrate, spec.bitrate_cap) = (128_000, true));
    scene.join(1);
    let wish = |bitrate| Configure { bitrate: Some(bitrate), ..Configure::default() };
    let (reply, _) = scene.ask(1, MemberRequest::Configure(publish(offer(&[AUDIO, VIDEO, STOPPED]))));
    let Reply::Configured(configured) = reply else { panic!("{reply:?}") };
    let answer = configured.published.expect("an answer").answer;
    let limits: Vec<_> = answer.media.iter().map(|section| section.bandwidth_bps).collect();
    assert_eq!(limits, [None, Some(128_000), None], "video that is received");
    assert_eq!(scene.configured(1, wish(500_000)), ["cap 0 at 128000"]);
    assert_eq!(scene.configured(1, wish(0)), ["cap 0 at 128000"]);
    assert_eq!(scene.configured(1, wish(64_000)), ["cap 0 at 64000"]);
}

#[test]
fn without_a_ceiling_the_room_s_bitrate_is_only_where_publishers_begin() {
    let mut scene = Scene::with(|spec| spec.bitrate = 128_000);
    scene.join(1);
    let (reply, _) = scene.ask(1, MemberRequest::Configure(publish(offer(&[VIDEO]))));
    let Reply::Configured(configured) = reply else { panic!("{reply:?}") };
    assert_eq!(configured.published.expect("an answer").answer.media[0].bandwidth_bps, None);
    let wish = Configure { bitrate: Some(500_000), ..Configure::default() };
    assert_eq!(scene.configured(1, wish), ["cap 0 at 500000"]);
}

#[test]
fn a_publishers_playout_delay_goes_to_all_its_subscribers_and_a_subscribers_own_comes_first() {
    let mut scene = Scene::new();
    scene.publish(1);
    scene.watch(5, &[1]);
    let by = |streams| Configure { streams, ..Configure::default() };
    assert_eq!(scene.configured(1, by(delay(Some("1"), Some(5), Some(9)))), ["leg 1 says delay 5 to 9"]);
    let attached = scene.subscribe(6, &[1]);
    assert!(attached.streams[1].source.as_ref().expect("a source").delay.is_none(), "it is not the subscriber's");
    let own = ConfigureSubscriber { streams: delay(None, Some(1), Some(2)), ..ConfigureSubscriber::default() };
    assert_eq!(scene.ask(5, MemberRequest::ConfigureSubscriber(own)).1, ["leg 1 says delay 1 to 2"]);
    assert_eq!(scene.configured(1, by(delay(None, Some(-1), None))), ["leg 3 says its publisher's delay"]);
    let none = ConfigureSubscriber { streams: delay(Some("1"), None, Some(-1)), ..ConfigureSubscriber::default() };
    assert_eq!(scene.ask(5, MemberRequest::ConfigureSubscriber(none)).1, ["leg 1 says its publisher's delay"]);
}

#[test]
fn a_subscription_can_begin_with_a_playout_delay() {
    let mut scene = Scene::new();
    scene.publish(1);
    let wished = Some(PlayoutDelay { min: 3, max: 4 });
    let entry = SubscribeStream { feed: FeedId::from(1), mid: None, crossrefid: None, delay: wished };
    let streams = vec![entry];
    let join = MemberRequest::JoinSubscriber(JoinSubscriber { streams, ..JoinSubscriber::default() });
    let (Reply::Attached(attached), effects) = scene.ask(5, join) else { panic!("refused") };
    assert_eq!(
        effects.iter().filter(|effect| effect.contains("delay")).collect::<Vec<_>>(),
        ["leg 1 says delay 3 to 4"]
    );
    let shown: Vec<_> = attached.streams.iter().map(|stream| stream.source.as_ref().expect("a source").delay).collect();
    assert_eq!(shown, [None, wished], "audio has no playout-delay");
}

#[test]
fn a_room_is_full_at_its_bound_and_has_room_again_when_somebody_is_gone() {
    let mut scene = Scene::new();
    let bound = u64::try_from(MEMBERS_PER_ROOM_MAX).expect("small");
    for handle in 1..=bound {
        scene.join(handle);
        scene.ask(handle, MemberRequest::Leave);
    }
    let refused = scene.refusal(bound + 1, join_as(bound + 1));
    assert_eq!(refused, RoomError::Exhausted("members of the room"), "handles that have left are known until detached");
    assert_eq!(refused.code(), 499);
    scene.teardown(1, Teardown::Detach);
    scene.join(bound + 1);
}
