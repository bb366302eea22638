//! Forwarders: which line each is of, for how long, and who may share a key.

use std::net::SocketAddr;

use super::*;
use crate::control::forward::{Forward, Of, SrtpKey, Target};
use crate::control::remote::Remotize;
use crate::control::request::ConfigureStream;
use crate::control::summary::Forwarding;
use crate::limits::FORWARDERS_PER_ROOM_MAX;

fn target(line: &str) -> Target {
    Target {
        of: Of::Mid(mid(line)),
        to: SocketAddr::from(([192, 0, 2, 1], 5004)),
        rtcp_port: None,
        pt: None,
        ssrc: None,
        substream: 0,
        simulcast: false,
        srtp: None,
    }
}

fn sealed(line: &str, byte: u8) -> Target {
    Target { srtp: Some(SrtpKey { short_tag: false, master: [byte; 30] }), ..target(line) }
}

fn forward(feed: u64, targets: Vec<Target>) -> Administration {
    Administration::Forward(Forward { feed: feed.into(), targets, legacy: None })
}

/// One forwarder of a line.
pub fn forward_of(feed: u64, line: &str) -> Forward {
    Forward { feed: feed.into(), targets: vec![target(line)], legacy: None }
}

fn stop(feed: u64, stream_id: u64) -> Administration {
    Administration::StopForward { feed: feed.into(), stream_id }
}

fn made(scene: &mut Scene, request: Administration) -> (Box<Forwarding>, Vec<String>) {
    match scene.administer(None, request) {
        (Reply::Forwarding(made), effects) => (made, effects),
        other => panic!("no forwarders: {other:?}"),
    }
}

fn refused(scene: &mut Scene, request: Administration) -> RoomError {
    match scene.administer(None, request) {
        (Reply::Refused(error), effects) if effects.is_empty() => error,
        other => panic!("not simply refused: {other:?}"),
    }
}

fn listed(scene: &mut Scene) -> Vec<(u64, usize)> {
    let (Reply::Forwarders(_, all), _) = scene.administer(None, Administration::ListForwarders) else { panic!() };
    let feed = |id: &FeedId| id.to_string().parse().unwrap();
    all.iter().map(|publisher| (feed(&publisher.who.id), publisher.forwarders.len())).collect()
}

#[test]
fn forwarders_are_made_wired_listed_and_stopped_one_by_one() {
    let mut scene = Scene::new();
    scene.publish(1);
    scene.publish(2);
    let (new, effects) = made(&mut scene, forward(1, vec![target("0"), target("1"), target("7")]));
    assert_eq!(
        effects,
        ["add forwarder 0", "add forwarder 1", "forwarder 0 from 0", "forwarder 1 from 1", "keyframe 1"],
        "what is not there is passed over"
    );
    assert_eq!(listed(&mut scene), [(1, 2)]);
    let ids: Vec<u64> = new.forwarders.iter().map(|forwarder| forwarder.stream_id.into()).collect();
    assert!(ids[0] != ids[1] && !ids.contains(&0));
    assert_eq!(refused(&mut scene, stop(2, ids[0])), RoomError::NoSuchForwarder(ids[0]), "it is another's");
    assert_eq!(refused(&mut scene, stop(3, ids[0])), RoomError::NoSuchFeed(3.into()));
    assert_eq!(refused(&mut scene, stop(1, u64::MAX)).code(), 428);
    let (reply, effects) = scene.administer(None, stop(1, ids[0]));
    assert!(matches!(reply, Reply::ForwardStopped(_, _, id) if u64::from(id) == ids[0]));
    assert_eq!(effects, ["remove forwarder 0"]);
    assert_eq!(refused(&mut scene, stop(1, ids[0])), RoomError::NoSuchForwarder(ids[0]));
    assert_eq!(listed(&mut scene), [(1, 1)]);
}

#[test]
fn the_form_without_streams_takes_the_first_of_a_kind_that_is_sent() {
    let mut scene = Scene::new();
    scene.join(1);
    scene.configured(1, publish(offer(&[STOPPED, AUDIO, VIDEO])));
    let first = |kind| Target { of: Of::First(kind), ..target("0") };
    let (new, effects) = made(&mut scene, forward(1, vec![first(MediaKind::Video), first(MediaKind::Audio)]));
    assert_eq!(new.forwarders.iter().map(|of| of.kind).collect::<Vec<_>>(), [MediaKind::Video, MediaKind::Audio]);
    assert_eq!(effects[2..], ["forwarder 0 from 1", "forwarder 1 from 0", "keyframe 1"]);
    scene.join(2);
    assert!(made(&mut scene, forward(2, vec![first(MediaKind::Audio)])).0.forwarders.is_empty());
    assert_eq!(listed(&mut scene), [(1, 2)]);
}

#[test]
fn what_is_muted_by_whomever_is_not_forwarded() {
    let mut scene = Scene::new();
    scene.publish(1);
    made(&mut scene, forward(1, vec![target("1")]));
    let send = |send| Configure {
        streams: vec![ConfigureStream { mid: Some(mid("1")), send: Some(send), ..ConfigureStream::default() }],
        ..Configure::default()
    };
    assert_eq!(scene.configured(1, send(false)), ["forwarder 0 from nothing"]);
    assert_eq!(scene.configured(1, send(true)), ["forwarder 0 from 1", "keyframe 1"]);
    let moderate = |mute| Administration::Moderate { feed: 1.into(), mid: mid("1"), mute };
    assert_eq!(scene.administer(None, moderate(true)).1[0], "forwarder 0 from nothing");
    let (new, effects) = made(&mut scene, forward(1, vec![target("1")]));
    assert_eq!(effects, ["add forwarder 1"], "it waits");
    assert_eq!(new.forwarders.len(), 1);
    assert_eq!(
        scene.administer(None, moderate(false)).1[..3],
        ["forwarder 0 from 1", "forwarder 1 from 1", "keyframe 1"]
    );
}

#[test]
fn a_forwarder_follows_its_line_through_renegotiations_and_ends_with_its_tag() {
    let mut scene = Scene::new();
    scene.publish(1);
    made(&mut scene, forward(1, vec![target("0"), target("1")]));
    let about = |effects: Vec<String>| -> Vec<String> {
        effects.into_iter().filter(|effect| effect.contains("forwarder")).collect()
    };
    assert!(about(scene.configured(1, configure(offer(&[AUDIO, VIDEO, VIDEO])))).is_empty());
    // Another codec is another stream, whose id may be that of the one before.
    const H264: OfferLine = OfferLine { codecs: &[(102, "H264", 90_000)], ..VIDEO };
    let effects = scene.configured(1, configure(offer(&[AUDIO, H264, VIDEO])));
    assert_eq!(effects[1..3], ["remove stream 1", "stream 1 of 0 is h264"]);
    assert_eq!(about(effects), ["forwarder 1 from 1"]);
    // A line that rests keeps its forwarder.
    let effects = scene.configured(1, configure(offer(&[AUDIO, STOPPED, VIDEO])));
    assert_eq!(effects[1], "remove stream 1");
    assert!(about(effects).is_empty(), "the stream takes it along");
    assert_eq!(about(scene.configured(1, configure(offer(&[AUDIO, VIDEO, VIDEO])))), ["forwarder 1 from 1"]);
    assert_eq!(listed(&mut scene), [(1, 2)]);
    // A line under another tag is another one.
    let mut recycled = offer(&[AUDIO, VIDEO, VIDEO]);
    recycled.media[1].mid = mid("9");
    recycled.bundle.as_mut().unwrap()[1] = mid("9");
    assert_eq!(about(scene.configured(1, configure(recycled))), ["remove forwarder 1"]);
    assert_eq!(listed(&mut scene), [(1, 1)]);
}

#[test]
fn forwarders_end_with_the_peer_connection_the_publisher_and_the_room() {
    type End = fn(&mut Scene) -> Vec<String>;
    let ends: [End; 6] = [
        |scene| scene.ask(1, MemberRequest::Unpublish).1,
        |scene| scene.ask(1, MemberRequest::Leave).1,
        |scene| trace(&scene.down(1)),
        |scene| scene.teardown(1, Teardown::Detach),
        |scene| scene.administer(None, Administration::Kick(1.into())).1,
        |scene| {
            let mut effects = Vec::new();
            scene.room.destroy(None, &mut effects).unwrap();
            trace(&effects)
        },
    ];
    for end in ends {
        let mut scene = Scene::new();
        scene.publish(1);
        made(&mut scene, forward(1, vec![target("0"), target("1")]));
        let effects = end(&mut scene);
        let removed: Vec<_> = effects.iter().filter(|effect| effect.contains("forwarder")).collect();
        assert_eq!(removed, ["remove forwarder 0", "remove forwarder 1"]);
        assert!(listed(&mut scene).is_empty());
    }
}

#[test]
fn one_key_seals_no_two_streams_under_one_ssrc() {
    let mut scene = Scene::new();
    scene.publish(1);
    assert_eq!(refused(&mut scene, forward(1, vec![sealed("1", 7), sealed("1", 7)])), RoomError::SharedSsrc);
    let numbered = |line, ssrc| Target { ssrc: Some(ssrc), ..sealed(line, 7) };
    assert_eq!(refused(&mut scene, forward(1, vec![numbered("0", 5), numbered("1", 5)])), RoomError::SharedSsrc);
    made(&mut scene, forward(1, vec![sealed("0", 7), sealed("1", 7), sealed("1", 8), numbered("1", 5), target("1")]));
    assert_eq!(refused(&mut scene, forward(1, vec![sealed("1", 7)])), RoomError::SharedSsrc);
    assert_eq!(refused(&mut scene, forward(1, vec![numbered("0", 1001)])), RoomError::SharedSsrc, "the offer's");
    let best = Target { simulcast: true, ..sealed("1", 7) };
    assert_eq!(made(&mut scene, forward(1, vec![best.clone(), best])).0.forwarders.len(), 2, "each has its own");
}

fn remotize(feed: u64, remote_id: &str, key: Option<u8>) -> Administration {
    Administration::Remotize(Remotize {
        feed: feed.into(),
        remote_id: remote_id.into(),
        to: SocketAddr::from(([192, 0, 2, 1], 6000)),
        rtcp_port: Some(6001),
        srtp: key.map(|byte| SrtpKey { short_tag: false, master: [byte; 30] }),
    })
}

fn unremotize(feed: u64, remote_id: &str) -> Administration {
    Administration::Unremotize { feed: feed.into(), remote_id: remote_id.into() }
}

/// The SSRC and the port of RTCP of every forwarder that is new.
fn specs(scene: &mut Scene, request: Administration) -> Vec<(u32, Option<u16>)> {
    let mut effects = Vec::new();
    let reply = scene.room.administer(None, request, &mut effects);
    assert!(matches!(reply, Reply::Remotized(..)), "{reply:?}");
    let new = effects.iter().filter_map(|effect| match effect {
        Effect::AddForwarder { spec, .. } => Some((spec.ssrc.unwrap(), spec.rtcp_port)),
        _ => None,
    });
    new.collect()
}

#[test]
fn who_is_shown_elsewhere_has_every_line_there_by_its_place_also_those_that_come() {
    let mut scene = Scene::new();
    scene.publish(1);
    assert_eq!(specs(&mut scene, remotize(1, "b", None)), [(1000, None), (1010, Some(6001))]);
    let about = |effects: Vec<String>| -> Vec<String> {
        effects.into_iter().filter(|effect| effect.contains("forwarder")).collect()
    };
    let effects = about(scene.configured(1, configure(offer(&[AUDIO, VIDEO, VIDEO]))));
    assert_eq!(effects, ["add forwarder 2", "forwarder 2 from 2"]);
    // What takes the place of a line goes on with its numbers.
    let mut recycled = offer(&[AUDIO, VIDEO, VIDEO]);
    recycled.media[1].mid = mid("9");
    recycled.bundle.as_mut().unwrap()[1] = mid("9");
    let effects = about(scene.configured(1, configure(recycled)));
    assert!(!effects.iter().any(|effect| effect.starts_with("add") || effect.starts_with("remove")), "{effects:?}");
    assert_eq!(listed(&mut scene), [(1, 0)], "what does that is not listed");
    assert_eq!(about(scene.administer(None, unremotize(1, "b")).1).len(), 3);
    assert!(listed(&mut scene).is_empty());
    assert_eq!(scene.room.gauges().forwarders, 0);
}

#[test]
fn remotizations_have_names_keys_and_an_end() {
    let mut scene = Scene::new();
    scene.publish(1);
    scene.publish(2);
    specs(&mut scene, remotize(1, "b", Some(1)));
    assert_eq!(refused(&mut scene, remotize(1, "b", None)), RoomError::RemotizationExists("b".into()));
    assert_eq!(refused(&mut scene, remotize(3, "b", None)), RoomError::NoSuchFeed(3.into()));
    assert_eq!(refused(&mut scene, remotize(2, "b", Some(1))), RoomError::SharedSsrc);
    specs(&mut scene, remotize(2, "b", Some(2)));
    assert_eq!(refused(&mut scene, unremotize(1, "c")), RoomError::NoSuchRemotization("c".into()));
    assert_eq!(refused(&mut scene, unremotize(3, "b")), RoomError::NoSuchPublisher(3.into()));
    assert_eq!(refused(&mut scene, Administration::ListRemotes(3.into())), RoomError::NoSuchPublisher(3.into()));
    scene.ask(1, MemberRequest::Unpublish);
    let (Reply::Remotes(_, _, left), _) = scene.administer(None, Administration::ListRemotes(1.into())) else {
        panic!("no list")
    };
    assert!(left.is_empty());
    assert_eq!(scene.room.gauges().forwarders, 2, "the other's");
    scene.ask(2, MemberRequest::Leave);
    assert_eq!(scene.room.gauges().forwarders, 0);
}

#[test]
fn a_room_has_so_many_forwarders_and_no_more() {
    let mut scene = Scene::new();
    scene.publish(1);
    made(&mut scene, forward(1, vec![target("0"); FORWARDERS_PER_ROOM_MAX]));
    let error = refused(&mut scene, forward(1, vec![target("0")]));
    assert_eq!((error.code(), error.to_string().contains("forwarders")), (499, true));
}
