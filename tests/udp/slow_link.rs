//! A subscriber behind a link that is too slow. Loopback never fills; here the kernel keeps what it cannot send yet,
//! and what it keeps must not change while the server's memory is used again.

use crate::alone;
use crate::call::{Host, Publisher, SOON, Subscriber};
use crate::client::Client;
use crate::link::{FAR, Link, NEAR, run};
use crate::media::Speech;
use crate::peer::{Ledger, Order, Peer};
use crate::server::{Health, Server};
use portunus::wire::sdp::MediaKind;
use std::thread;
use std::time::Duration;

/// 20 Mbit/s of video in frames of 50 KB, and audio.
const LARGE: Speech = Speech { frame: 44, video_bytes: 1140, audio_bytes: 120 };

/// What came of one kind, and what was lost of it on the way, until `ledger` was written.
fn lost_share(ledger: &Ledger, by: u32, kind: MediaKind) -> f64 {
    let heard = ledger.of(by, kind).unwrap_or_else(|| panic!("nothing of {kind:?} came: {ledger:?}"));
    heard.missing() as f64 / f64::from(heard.next - heard.first)
}

/// Whether the last packets of a publisher have come.
fn has_last(ledger: &Ledger, sent: &Ledger, by: u32) -> bool {
    let next = |kind| ledger.of(by, kind).map_or(0, |heard| heard.next);
    (next(MediaKind::Audio), next(MediaKind::Video)) == (sent.audio_sent, sent.video_sent)
}

/// A publisher near the server, subscribers at the far end of a link that `tc` makes slow for a while. In the end the
/// link is fast again, and so is the call.
fn behind(
    tbf: &str,
    ports: u16,
    subscribers: usize,
    [length, drain]: [Duration; 2],
    check: impl FnOnce(&Health, f64) + Send,
) {
    let Some(link) = Link::new() else {
        eprintln!("skipped: no right to make network namespaces, or no ip or tc here");
        return;
    };
    link.near.inside(|| {
        let mut server = Server::start_at(NEAR, ports, 1, &[]);
        let mut host = Host::new(&server);
        host.create(200);
        let publisher = Publisher::join(&server, 200);
        let by = publisher.peer.audio;
        let far = |server: &Server| {
            let peer = link.far.inside(|| Peer::new(FAR));
            Subscriber::join_as(Client::connect(server.signalling), peer, 200, publisher.feed)
        };
        let mut subscribers: Vec<_> = (0..subscribers).map(|_| far(&server)).collect();
        publisher.speak(Speech::SMALL, Duration::from_millis(300));

        assert!(run(&format!("tc qdisc add dev near root tbf {tbf}")));
        publisher.speak(LARGE, length);
        let health = server.health();
        thread::sleep(drain); // what waits in the kernel arrives; then the subscribers can tell what is missing
        publisher.speak(Speech::SMALL, Duration::from_millis(300));
        let sent = publisher.peer.ledger();
        let mut lost = [0.0; 2];
        for subscriber in &subscribers {
            subscriber.peer.wait(SOON, "what was sent last", |ledger| has_last(ledger, &sent, by));
            subscriber.peer.is_unharmed();
            let ledger = subscriber.peer.ledger();
            for (sum, kind) in lost.iter_mut().zip([MediaKind::Audio, MediaKind::Video]) {
                *sum += lost_share(&ledger, by, kind) / subscribers.len() as f64;
            }
        }
        let [audio, video] = lost;
        println!("lost behind {tbf}: {:.1} % of audio, {:.1} % of video", 100.0 * audio, 100.0 * video);
        println!("and counted: {:?}", health.all_drops());
        assert!(video > 0.1, "the link was not slow");
        assert!(audio < video / 3.0, "audio is to leave first");
        check(&health, audio);

        assert!(run("tc qdisc del dev near root"));
        publisher.speak(Speech::SMALL, Duration::from_millis(500));
        let sent = publisher.peer.ledger();
        let missing = |peer: &Peer| peer.look(|ledger| ledger.heard.values().map(|heard| heard.missing()).sum::<u64>());
        let mut before = vec![];
        for subscriber in &subscribers {
            subscriber.peer.wait(SOON, "media after the link", |ledger| has_last(ledger, &sent, by));
            before.push(missing(&subscriber.peer));
        }
        publisher.speak(Speech::SMALL, Duration::from_millis(1000));
        let sent = publisher.peer.ledger();
        for (subscriber, before) in subscribers.iter_mut().zip(before) {
            subscriber.peer.wait(SOON, "media on a good link", |ledger| has_last(ledger, &sent, by));
            assert_eq!(missing(&subscriber.peer), before, "lost on a good link");
            subscriber.peer.is_unharmed();
            assert!(subscriber.client.events().iter().all(|event| event["janus"] != "hangup"));
        }
        publisher.peer.is_unharmed();
        server.is_well();
        // Somebody new finds everything in order too.
        let late = far(&server);
        publisher.peer.tell(Order::Speak(Speech::SMALL));
        late.peer.wait(SOON, "sound and picture", |ledger| ledger.heard.len() == 2);
        publisher.peer.hush();
        late.has_everything_of(&publisher.peer, false);
    });
}

#[test]
fn behind_a_slow_link_every_datagram_that_arrives_is_authentic_and_audio_goes_first() {
    let _alone = alone();
    behind("rate 2mbit burst 10k latency 30ms", 31_100, 1, [Duration::from_secs(10), Duration::ZERO], |_, _| {});
}

#[test]
fn when_the_socket_is_full_what_arrives_is_authentic_and_what_is_dropped_is_counted_by_name() {
    let _alone = alone();
    // A queue so long that the server's socket is the first to be full.
    behind("rate 30mbit burst 20k limit 200m", 31_200, 6, [5, 5].map(Duration::from_secs), |health, audio| {
        // Video leaves the last quarter of the socket to others.
        assert!(audio < 0.03, "{:.1} % of audio was lost", 100.0 * audio);
        assert!(health.drops("send_full_video") > 0, "{:?}", health.all_drops());
        assert_eq!(health.drops("send_failed"), 0);
    });
}
