//! Many rooms over two media shards.

use crate::alone;
use crate::call::{Host, Publisher, Subscriber};
use crate::media::Speech;
use crate::peer::Order;
use crate::server::Server;
use std::collections::BTreeSet;
use std::thread;
use std::time::Duration;

#[test]
fn twenty_rooms_live_on_both_shards_and_all_work_and_go() {
    let _alone = alone();
    let mut server = Server::start(31_500, 2, &[]);
    let mut host = Host::new(&server);
    let before = server.health();
    let rooms: BTreeSet<u64> = (500..520).collect();
    for &room in &rooms {
        host.create(room);
    }
    let listed: BTreeSet<u64> = host.list().into_iter().collect();
    assert!(listed.is_superset(&rooms), "{listed:?}");
    let spread = server.health().by_shard("rooms");
    // The better of two shards by load, both idle: hashes decide, and twenty of them do not all agree.
    assert!(spread.iter().all(|&rooms| rooms >= 4), "{spread:?}");

    let calls: Vec<_> = rooms
        .iter()
        .map(|&room| {
            let publisher = Publisher::join(&server, room);
            let subscriber = Subscriber::join(&server, room, publisher.feed);
            (publisher, subscriber)
        })
        .collect();
    let ports: BTreeSet<u16> = calls.iter().map(|(publisher, _)| publisher.remote.at.port()).collect();
    assert_eq!(ports.len(), 2, "each shard has a port of its own");
    for (publisher, _) in &calls {
        publisher.peer.tell(Order::Speak(Speech::SMALL));
    }
    thread::sleep(Duration::from_millis(500));
    for (publisher, _) in &calls {
        publisher.peer.hush();
    }
    for (publisher, subscriber) in &calls {
        subscriber.has_everything_of(&publisher.peer, true);
    }
    let received = server.health();
    assert!(received.by_shard("peers").iter().all(|&peers| peers >= 8));

    for &room in &rooms {
        host.destroy(room);
    }
    for (publisher, subscriber) in &calls {
        for peer in [&publisher.peer, &subscriber.peer] {
            peer.wait(Duration::from_secs(5), "a close_notify", |ledger| ledger.closed.is_some());
        }
    }
    assert!(host.list().into_iter().all(|room| !rooms.contains(&room)));
    drop(calls);
    server.wait_for_gauges(&before.gauges());
    assert_eq!(server.health().by_shard("rooms"), before.by_shard("rooms"));
    let registered = |health: &crate::server::Health| health.by_shard("registered_rooms").iter().sum::<u64>();
    assert_eq!(registered(&server.health()), registered(&before));
    server.is_well();
}
