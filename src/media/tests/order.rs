//! For whom a turn's packets leave first, as a full socket refuses what comes last; and when reports do.

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
