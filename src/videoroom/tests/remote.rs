//! Publishers of other servers: joined by whoever knows the secret, shown like others, changed and gone when told.

use super::*;
use crate::control::codec::Codec;
use crate::control::remote::{AddRemote, RemoteStream, Remotize, UpdateRemote};
use crate::control::request::Metadata;

fn stream(mindex: usize, codec: Option<Codec>) -> RemoteStream {
    RemoteStream {
        mid: Some(mid(&mindex.to_string())),
        mindex,
        codec,
        is_video: codec.is_some_and(Codec::is_video),
        ..RemoteStream::default()
    }
}

fn opus(mindex: usize) -> RemoteStream {
    stream(mindex, Some(Codec::Opus))
}

fn vp8(mindex: usize) -> RemoteStream {
    stream(mindex, Some(Codec::Vp8))
}

fn add(id: u64, streams: Vec<RemoteStream>) -> Administration {
    let (id, display) = (Some(FeedId::from(id)), Some("Far".into()));
    Administration::AddRemote(Box::new(AddRemote { id, display, metadata: None, port: 21_000, srtp: None, streams }))
}

fn update(id: u64, streams: Vec<RemoteStream>) -> Administration {
    Administration::UpdateRemote(Box::new(UpdateRemote { id: id.into(), display: None, metadata: None, streams }))
}

fn remove(id: u64) -> Administration {
    Administration::RemoveRemote(id.into())
}

fn refused(scene: &mut Scene, request: Administration) -> RoomError {
    match scene.administer(None, request) {
        (Reply::Refused(error), effects) if effects.is_empty() => error,
        other => panic!("not simply refused: {other:?}"),
    }
}

fn done(scene: &mut Scene, request: Administration) -> Vec<String> {
    match scene.administer(None, request) {
        (Reply::RemoteDone | Reply::RemoteAdded { .. }, effects) => effects,
        other => panic!("not done: {other:?}"),
    }
}

#[test]
fn a_publisher_of_another_server_is_announced_listed_and_subscribed_to_like_any_other() {
    let mut scene = Scene::new();
    scene.join(1);
    assert_eq!(
        done(&mut scene, add(77, vec![opus(0), vp8(1)])),
        ["open remote 1 at 21000", "stream 0 of 1 is opus", "stream 1 of 1 is vp8", "tell [1] publishers 77 with 2"]
    );
    let joined = scene.join(2);
    assert_eq!((&joined.publishers[0].who.id, joined.publishers[0].streams.len()), (&FeedId::from(77), 2));
    let remote = scene.room.wiring().participants().into_iter().find(|one| one.who.id == FeedId::from(77)).unwrap();
    assert!(remote.remote && remote.publisher);
    let attached = scene.subscribe(3, &[77]);
    assert_eq!(attached.streams.len(), 2);
    assert_eq!(refused(&mut scene, add(77, vec![opus(0)])), RoomError::IdTaken(77.into()));
    assert_eq!(refused(&mut scene, remove(1)), RoomError::NoSuchRemotePublisher(1.into()), "it is of this server");
    assert_eq!(refused(&mut scene, update(9, vec![])), RoomError::NoSuchRemotePublisher(9.into()));
    let (Reply::RemoteAdded { id, .. }, _) = scene.administer(None, add(0, vec![opus(0)])) else { panic!() };
    assert_ne!(id, FeedId::from(0));
}

#[test]
fn lines_stand_at_their_places_and_those_that_the_room_has_not_are_disabled() {
    let mut scene = Scene::new();
    let odd = RemoteStream { mid: Some(mid("x")), mindex: 7, ..vp8(1) };
    let effects = done(&mut scene, add(77, vec![stream(0, Some(Codec::Av1)), odd, opus(2)]));
    assert_eq!(effects[1..3], ["stream 0 of 0 is vp8", "stream 1 of 0 is opus"]);
    let streams = &scene.join(1).publishers[0].streams;
    let shown: Vec<_> = streams.iter().map(|line| (line.mindex, line.mid.to_string(), line.disabled)).collect();
    assert_eq!(shown, [(0, "0".into(), true), (1, "1".into(), false), (2, "2".into(), false)]);
}

#[test]
fn an_update_rests_wakes_and_adds_lines_and_tells_when_there_is_something_to_tell() {
    let mut scene = Scene::new();
    scene.join(1);
    done(&mut scene, add(77, vec![opus(0), vp8(1)]));
    scene.watch(2, &[77]);
    assert!(done(&mut scene, update(77, vec![])).is_empty());
    assert!(done(&mut scene, update(77, vec![opus(0)])).is_empty(), "as it was");
    let effects = done(&mut scene, update(77, vec![RemoteStream { codec: None, ..vp8(1) }]));
    assert!(effects.contains(&"remove stream 1".into()) && effects.contains(&"tell [1] publishers 77 with 1".into()));
    assert!(effects.iter().any(|effect| effect.contains("tell [2] updated")), "{effects:?}");
    let effects = done(&mut scene, update(77, vec![vp8(1), vp8(2), vp8(5)]));
    assert_eq!(
        effects,
        ["stream 1 of 1 is vp8", "stream 2 of 1 is vp8", "tell [1] publishers 77 with 3"],
        "what is not the next one is passed over"
    );
    let text = RemoteStream { description: Some("screen".into()), ..vp8(2) };
    assert_eq!(done(&mut scene, update(77, vec![text])), ["tell [1] publishers 77 with 3"]);
    let named = UpdateRemote {
        id: 77.into(),
        display: Some("Farther".into()),
        metadata: Some(Metadata("{}".into())),
        streams: vec![],
    };
    assert!(done(&mut scene, Administration::UpdateRemote(Box::new(named))).is_empty(), "a name is told to nobody");
    let remote = &scene.join(3).publishers[0];
    assert_eq!(
        (remote.who.display.as_deref(), remote.streams[2].description.as_deref()),
        (Some("Farther"), Some("screen"))
    );
}

#[test]
fn it_ends_when_removed_thrown_out_or_with_the_room_and_gives_its_port_back() {
    for how in 0..3 {
        let mut scene = Scene::new();
        scene.join(1);
        done(&mut scene, add(77, vec![opus(0), vp8(1)]));
        scene.watch(2, &[77]);
        let effects = match how {
            0 => done(&mut scene, remove(77)),
            1 => scene.administer(None, Administration::Kick(77.into())).1,
            _ => {
                let mut effects = Vec::new();
                scene.room.destroy(None, &mut effects).unwrap();
                trace(&effects)
            }
        };
        for line in ["remove stream 0", "remove stream 1", "close peer 1"] {
            assert!(effects.contains(&line.into()), "{how}: no {line} in {effects:?}");
        }
        let told = ["tell [1] leaving 77", "tell [1] kicked 77", "tell [1] destroyed"][how];
        assert!(effects.contains(&told.into()), "{how}: no {told} in {effects:?}");
        if how < 2 {
            let at = |wanted: &str| effects.iter().position(|effect| effect == wanted);
            let offered = at("tell [2] updated v2 with 0 of 2");
            assert!(offered.is_some() && offered < at(told), "{how}: the offer is not first in {effects:?}");
        }
        assert_eq!(scene.room.gauges().streams, 0);
    }
}

#[test]
fn it_is_not_shown_to_a_third_server_and_may_be_forwarded() {
    let mut scene = Scene::new();
    done(&mut scene, add(77, vec![opus(0), vp8(1)]));
    let to = std::net::SocketAddr::from(([192, 0, 2, 1], 6000));
    let third = Remotize { feed: 77.into(), remote_id: "c".into(), to, rtcp_port: None, srtp: None };
    assert_eq!(refused(&mut scene, Administration::Remotize(third)), RoomError::OnlyLocal);
    let (reply, effects) =
        scene.administer(None, Administration::Forward(crate::videoroom::tests::forwarding::forward_of(77, "1")));
    assert!(matches!(reply, Reply::Forwarding(_)));
    assert_eq!(effects, ["add forwarder 0", "forwarder 0 from 1", "keyframe 1"]);
}
