//! When a turn's packets leave, and for whom first: a full socket refuses what comes last, and messages are the fuller the
//! longer video waits for more of it.

use super::attention::Microphone;
use super::repair::Camera;
use super::*;

/// The media datagrams that one frame brought, by the member to whom they went, each once.
fn order_of(world: &mut World, camera: &mut Camera) -> Vec<u16> {
    camera.frame(world, true);
    let mut order = Vec::new();
    for _ in 0..30 {
        for (member, bytes) in world.step() {
            if classify(&bytes) == Protocol::Rtp && !order.contains(&member) {
                order.push(member);
            }
        }
    }
    order
}

#[test]
fn subscribers_take_turns_at_being_served_last() {
    let mut world = World::new(30);
    let (feed, end) = world.publish(0, chromium_offer());
    let mut camera = Camera::new(end, true);
    for member in 1..=3 {
        world.subscribe(member, feed.clone(), as_offered);
    }
    let mut last: Vec<u16> = (0..3).map(|_| *order_of(&mut world, &mut camera).last().unwrap()).collect();
    last.sort_unstable();
    assert_eq!(last, [1, 2, 3]);
}

#[test]
fn video_may_wait_for_more_but_not_with_audio_or_control() {
    let mut world = World::new(31);
    let (feed, end) = world.publish(0, chromium_offer());
    let mut microphone = Microphone::new(End::new(0));
    let mut camera = Camera::new(end, true);
    world.subscribe(1, feed, as_offered);
    order_of(&mut world, &mut camera); // with the keyframe request that a new subscriber brings
    assert!(!world.engine.may_linger(), "nothing waits");

    camera.frame(&mut world, false);
    world.now.mono = world.now.mono + Duration::from_millis(20);
    for (member, mut bytes) in world.link.up(world.now.mono) {
        world.deliver(member, &mut bytes);
        assert!(world.engine.may_linger());
    }
    microphone.packet(&mut world, 0x8f);
    assert!(!world.engine.may_linger(), "audio never waits");
    world.step();
    assert!(!world.engine.may_linger(), "everything has left");

    camera.frame(&mut world, false);
    world.now.mono = world.now.mono + Duration::from_millis(20);
    for (member, mut bytes) in world.link.up(world.now.mono) {
        world.deliver(member, &mut bytes);
    }
    assert!(world.engine.may_linger());
    let mut check = check_of_nobody();
    assert!(matches!(world.deliver(9, &mut check), Verdict::Drop(_)));
    assert!(world.engine.may_linger(), "what is dropped hastens nothing");
}

#[test]
fn reports_of_many_peers_share_a_few_turns() {
    let mut world = World::new(32);
    let (feed, end) = world.publish(0, chromium_offer());
    let mut camera = Camera::new(end, true);
    for member in 1..=40 {
        world.subscribe(member, feed.clone(), as_offered);
        (0..7).for_each(|_| drop(world.step()));
    }
    order_of(&mut world, &mut camera);
    let mut reported = std::collections::BTreeSet::new();
    let mut turns = 0;
    for _ in 0..1000 {
        let arrived = world.step().into_iter().filter(|(_, bytes)| classify(bytes) == Protocol::Rtcp);
        let members: Vec<u16> = arrived.map(|(member, _)| member).filter(|member| *member > 0).collect();
        turns += usize::from(!members.is_empty());
        reported.extend(members);
    }
    assert_eq!(reported.len(), 40, "everybody is told within the interval");
    assert!((2..=11).contains(&turns), "{turns} turns for forty reports");
}

/// A check for a peer that is not there.
fn check_of_nobody() -> Vec<u8> {
    let request = BindingRequest {
        transaction: TransactionId([7; 12]),
        remote_ufrag: "nobody",
        local_ufrag: "nothing",
        priority: 1,
        role: stun::Role::Controlling(1),
        use_candidate: false,
    };
    let mut check = vec![0; 300];
    let len = request.compose(&mut check, &Key::short_term("a+password+of+no+peer")).unwrap();
    check.truncate(len);
    check
}
