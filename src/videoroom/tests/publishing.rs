//! Joining as a participant, publishing, changing what is published.

use super::*;
use crate::control::request::ConfigureStream;
use crate::id::Name;

fn pinned(pin: Option<&str>) -> MemberRequest {
    MemberRequest::JoinPublisher(JoinPublisher { pin: pin.map(Into::into), ..JoinPublisher::default() })
}

fn entry(mid_text: Option<&str>, send: Option<bool>) -> ConfigureStream {
    ConfigureStream { mid: mid_text.map(mid), send, ..ConfigureStream::default() }
}

#[test]
fn a_pin_is_missing_then_wrong_then_right() {
    let mut scene = Scene::with(|spec| spec.pin = Some("1234".into()));
    assert_eq!(scene.refusal(1, pinned(None)), RoomError::Missing("pin"));
    assert_eq!(scene.refusal(1, pinned(Some("1235"))), RoomError::Unauthorized("pin"));
    assert_eq!(scene.refusal(1, pinned(Some("12345"))), RoomError::Unauthorized("pin"));
    assert!(matches!(scene.ask(1, pinned(Some("1234"))).0, Reply::Joined(_)));
}

#[test]
fn an_id_is_taken_once_and_free_again_after_its_holder_left() {
    let mut scene = Scene::new();
    scene.join(1);
    let again = || MemberRequest::JoinPublisher(JoinPublisher { id: Some(FeedId::from(1)), ..Default::default() });
    assert_eq!(scene.refusal(2, again()), RoomError::IdTaken(FeedId::from(1)));
    scene.ask(1, MemberRequest::Leave);
    assert!(matches!(scene.ask(2, again()).0, Reply::Joined(_)));
}

#[test]
fn no_id_and_id_0_mean_a_random_one_of_53_bits() {
    let mut scene = Scene::new();
    for (handle, id) in [(1, None), (2, Some(FeedId::from(0)))] {
        let join = MemberRequest::JoinPublisher(JoinPublisher { id, ..JoinPublisher::default() });
        let (Reply::Joined(joined), _) = scene.ask(handle, join) else { panic!("refused") };
        let Name::Number(number) = joined.id.0 else { panic!("a text in a room of numbers") };
        assert!((1..1 << 53).contains(&number));
        assert_ne!(joined.private_id, 0);
    }
}

#[test]
fn rooms_with_text_ids_give_text_ids() {
    let mut scene = Scene::with(|spec| spec.room = RoomId(Name::Text("lobby".into())));
    let (Reply::Joined(joined), _) = scene.ask(1, pinned(None)) else { panic!("refused") };
    assert!(matches!(joined.id.0, Name::Text(text) if text.len() == 36));
}

#[test]
fn a_handle_joins_once() {
    let mut scene = Scene::new();
    scene.join(1);
    assert_eq!(scene.refusal(1, join_as(2)), RoomError::AlreadyPublisher);
    assert_eq!(scene.refusal(1, subscribe(&[1])), RoomError::AlreadyPublisher);
}

#[test]
fn requests_of_the_other_role_and_of_strangers_are_refused() {
    let mut scene = Scene::new();
    scene.join(1);
    assert_eq!(scene.refusal(1, MemberRequest::Pause), RoomError::UnknownRequest("pause".into()));
    assert_eq!(scene.refusal(1, MemberRequest::Start(None)), RoomError::UnknownRequest("start".into()));
    assert_eq!(scene.refusal(2, MemberRequest::Unpublish), RoomError::NoSuchRoom(RoomId::from(ROOM)));
}

#[test]
fn publishing_opens_the_peer_and_then_its_streams() {
    let mut scene = Scene::with(|spec| spec.bitrate = 128_000);
    scene.join(1);
    let (reply, effects) = scene.ask(1, MemberRequest::Configure(publish(offer(&[AUDIO, VIDEO]))));
    assert_eq!(effects, ["open peer 0 abcd", "cap 0 at 128000", "stream 0 of 0 is opus", "stream 1 of 0 is vp8"]);
    let Reply::Configured(configured) = reply else { panic!("{reply:?}") };
    let published = configured.published.expect("an answer");
    assert_eq!(published.answer.kind, DescriptionKind::Answer);
    assert_eq!(published.streams.iter().map(|stream| stream.mid.as_str()).collect::<Vec<_>>(), ["0", "1"]);
}

#[test]
fn others_hear_of_a_publisher_when_its_peer_is_up_and_before_itself() {
    let mut scene = Scene::new();
    scene.join(1);
    scene.join(2);
    scene.configured(2, publish(offer(&[AUDIO, VIDEO])));
    assert!(scene.join(3).publishers.is_empty());
    assert_eq!(scene.up(2), ["tell [1, 3] publishers 2 with 2", "tell [2] webrtcup"]);
    assert!(scene.up(2).is_empty(), "a peer is up once");
    let joined = scene.join(4);
    assert_eq!(
        joined.publishers.iter().map(|publisher| publisher.who.id.clone()).collect::<Vec<_>>(),
        [FeedId::from(2)]
    );
}

#[test]
fn joinandconfigure_joins_and_publishes_in_one_step_or_not_at_all() {
    let mut scene = Scene::with(|spec| spec.publishers = 1);
    let both = |handle: u64| {
        MemberRequest::JoinPublisher(JoinPublisher {
            id: Some(FeedId::from(handle)),
            configure: Some(configure(offer(&[AUDIO]))),
            ..JoinPublisher::default()
        })
    };
    let (Reply::Joined(joined), effects) = scene.ask(1, both(1)) else { panic!("refused") };
    assert_eq!(joined.published.expect("an answer").streams.len(), 1);
    assert_eq!(effects, ["open peer 0 abcd", "stream 0 of 0 is opus"]);
    assert_eq!(scene.refusal(2, both(2)), RoomError::PublishersFull(1));
    assert_eq!(scene.room.gauges().publishers, 1);
}

#[test]
fn publish_is_refused_while_publishing_and_configure_is_not() {
    let mut scene = Scene::new();
    scene.publish(1);
    let again = MemberRequest::Configure(publish(offer(&[AUDIO, VIDEO])));
    assert_eq!(scene.refusal(1, again), RoomError::AlreadyPublished);
    assert_eq!(scene.configured(1, configure(offer(&[AUDIO, VIDEO]))), ["remote of 0 is abcd"]);
}

#[test]
fn the_limit_counts_peers_and_not_attendees() {
    let mut scene = Scene::with(|spec| spec.publishers = 1);
    scene.join(1);
    scene.join(2);
    scene.configured(1, publish(offer(&[AUDIO])));
    let second = || MemberRequest::Configure(publish(offer(&[AUDIO])));
    assert_eq!(scene.refusal(2, second()), RoomError::PublishersFull(1));
    scene.ask(1, MemberRequest::Unpublish);
    assert!(matches!(scene.ask(2, second()).0, Reply::Configured(_)));
}

#[test]
fn a_preferred_codec_must_be_one_of_the_rooms() {
    let mut scene = Scene::new();
    scene.join(1);
    let with = |audio: Option<&str>, video: Option<&str>| {
        MemberRequest::Configure(Configure {
            audiocodec: audio.map(Into::into),
            videocodec: video.map(Into::into),
            ..configure(offer(&[AUDIO, VIDEO]))
        })
    };
    assert_eq!(scene.refusal(1, with(Some("pcmu"), None)), RoomError::AudioCodecUnavailable);
    assert_eq!(scene.refusal(1, with(Some("vp8"), None)), RoomError::AudioCodecUnavailable);
    assert_eq!(scene.refusal(1, with(None, Some("av1"))), RoomError::VideoCodecUnavailable);
    let (_, effects) = scene.ask(1, with(None, Some("h264")));
    assert!(effects.contains(&"stream 1 of 0 is h264".into()), "{effects:?}");
}

#[test]
fn an_offer_without_transport_is_refused() {
    let mut scene = Scene::new();
    scene.join(1);
    let mut bare = offer(&[AUDIO]);
    bare.media[0].transport = None;
    assert_eq!(scene.refusal(1, MemberRequest::Configure(publish(bare))).code(), 437);
    assert_eq!(scene.room.gauges().peers, 0);
}

#[test]
fn renegotiation_starts_and_ends_streams_and_tells_the_others() {
    let mut scene = Scene::new();
    scene.join(2);
    scene.publish(1);
    let more = scene.configured(1, configure(offer(&[AUDIO, VIDEO, VIDEO])));
    assert_eq!(more, ["remote of 1 is abcd", "stream 2 of 1 is vp8", "tell [2] publishers 1 with 3"]);
    let less = scene.configured(1, configure(offer(&[AUDIO, VIDEO, STOPPED])));
    assert_eq!(less, ["remote of 1 is abcd", "remove stream 2", "tell [2] publishers 1 with 2"]);
    let back = scene.configured(1, configure(offer(&[AUDIO, VIDEO, VIDEO])));
    assert_eq!(back, ["remote of 1 is abcd", "stream 2 of 1 is vp8", "tell [2] publishers 1 with 3"]);
}

#[test]
fn subscribers_of_a_line_that_ends_get_an_offer_and_keep_the_others() {
    let mut scene = Scene::new();
    scene.publish(1);
    scene.watch(5, &[1]);
    let effects = scene.configured(1, configure(offer(&[AUDIO, STOPPED])));
    assert_eq!(
        effects,
        [
            "remote of 0 is abcd",
            "leg 1 closes",
            "leg 1 from nothing",
            "remove stream 1",
            "tell [5] updated v2 with 1 of 2"
        ]
    );
}

#[test]
fn a_bitrate_is_capped_at_once_and_remembered_for_the_next_peer() {
    let mut scene = Scene::with(|spec| spec.bitrate = 64_000);
    scene.join(1);
    let cap = |bps| Configure { bitrate: Some(bps), ..Configure::default() };
    assert!(scene.configured(1, cap(300_000)).is_empty());
    assert_eq!(scene.configured(1, publish(offer(&[AUDIO])))[1], "cap 0 at 300000");
    assert_eq!(scene.configured(1, cap(0)), ["cap 0 at 0"]);
}

#[test]
fn a_new_display_is_told_only_in_place_of_an_old_one() {
    let mut scene = Scene::new();
    scene.join(1);
    scene.join(2);
    let name = |text: &str| Configure { display: Some(text.into()), ..Configure::default() };
    assert!(scene.configured(1, name("Ana")).is_empty());
    assert_eq!(scene.configured(1, name("Bea")), ["tell [2] display 1 Bea"]);
}

#[test]
fn keyframes_are_asked_of_own_video_only() {
    let mut scene = Scene::new();
    scene.publish(1);
    assert_eq!(scene.configured(1, Configure { keyframe: true, ..Configure::default() }), ["keyframe 1"]);
    let of = |text: Option<&str>| Configure {
        streams: vec![ConfigureStream { keyframe: true, ..entry(text, None) }],
        ..Configure::default()
    };
    assert_eq!(scene.configured(1, of(Some("1"))), ["keyframe 1"]);
    assert_eq!(scene.configured(1, of(None)), ["keyframe 1"]);
    assert!(scene.configured(1, of(Some("0"))).is_empty());
}

#[test]
fn a_paused_line_closes_the_gates_of_its_subscribers_and_reopens_with_a_keyframe() {
    let mut scene = Scene::new();
    scene.publish(1);
    scene.watch(5, &[1]);
    let send = |send| Configure { streams: vec![entry(Some("1"), Some(send))], ..Configure::default() };
    assert_eq!(scene.configured(1, send(false)), ["leg 1 closes"]);
    assert!(scene.configured(1, send(false)).is_empty());
    assert_eq!(scene.configured(1, send(true)), ["leg 1 opens", "keyframe 1"]);
}

#[test]
fn legacy_flags_pause_by_kind_unless_an_entry_names_a_line() {
    let mut scene = Scene::new();
    scene.publish(1);
    scene.watch(5, &[1]);
    let legacy = Configure { audio: Some(false), video: Some(true), ..Configure::default() };
    assert_eq!(scene.configured(1, legacy), ["leg 0 closes"]);
    let overruled =
        Configure { audio: Some(true), streams: vec![entry(Some("1"), Some(false))], ..Configure::default() };
    assert_eq!(scene.configured(1, overruled), ["leg 1 closes"]);
    let lone = Configure { streams: vec![entry(None, Some(true))], ..Configure::default() };
    assert!(scene.configured(1, lone).is_empty(), "`send` without `mid` is not read");
}

#[test]
fn entries_must_name_published_lines() {
    let mut scene = Scene::new();
    scene.join(1);
    let with = |streams, offer| MemberRequest::Configure(Configure { streams, offer, ..Configure::default() });
    let first = with(vec![entry(Some("0"), Some(true))], Some(Box::new(offer(&[AUDIO]))));
    assert_eq!(scene.refusal(1, first), RoomError::NoSuchPublishedMid(mid("0").into()));
    scene.configured(1, publish(offer(&[AUDIO])));
    let one_without = with(vec![entry(Some("0"), None), entry(None, None)], None);
    assert_eq!(scene.refusal(1, one_without), RoomError::MidNeeded);
}

#[test]
fn descriptions_are_announced_when_they_name_a_published_line() {
    let mut scene = Scene::new();
    scene.join(2);
    scene.publish(1);
    let text = |line: &str| Configure { descriptions: vec![(mid(line), "screen".into())], ..Configure::default() };
    assert_eq!(scene.configured(1, text("1")), ["tell [2] publishers 1 with 2"]);
    assert!(scene.configured(1, text("9")).is_empty());
    let joined = scene.join(3);
    assert_eq!(joined.publishers[0].streams[1].description.as_deref(), Some("screen"));
}

#[test]
fn extension_ids_are_shown_to_the_publisher_alone() {
    let mut scene = Scene::new();
    scene.join(1);
    let request = MemberRequest::Configure(publish(offer(&[AUDIO, VIDEO])));
    let (Reply::Configured(configured), _) = scene.ask(1, request) else { panic!("refused") };
    let own = configured.published.expect("an answer").streams;
    assert_eq!((own[0].audiolevel_ext_id, own[1].videoorient_ext_id), (Some(1), Some(13)));
    scene.up(1);
    let shown = &scene.join(2).publishers[0].streams;
    assert!(shown.iter().all(|stream| stream.audiolevel_ext_id.is_none() && stream.videoorient_ext_id.is_none()));
}

#[test]
fn media_events_go_to_their_owner() {
    let mut scene = Scene::new();
    scene.publish(1);
    let mut effects = Vec::new();
    scene.room.roster().media_changed(scene.member(1), mid("1"), MediaKind::Video, true, None, &mut effects);
    assert_eq!(trace(&effects), ["tell [1] media 1 true"]);
}
