//! How peers and the server itself come to an end, and who hears of it.

use crate::alone;
use crate::call::{Host, Publisher, Subscriber};
use crate::client::{self, Silence};
use crate::media::Speech;
use crate::peer::Order;
use crate::server::Server;
use portunus::proto::dtls::CloseReason;
use serde_json::{Value, json};
use std::net::TcpStream;
use std::time::{Duration, Instant};
use tungstenite::Message;

/// Whether an event says that a feed does not publish any more.
fn unpublished(event: &Value, feed: u64) -> bool {
    event["plugindata"]["data"]["unpublished"] == feed
}

#[test]
fn a_publisher_that_falls_silent_is_hung_up_and_a_goodbye_is_noticed_at_once() {
    let _alone = alone();
    let mut server = Server::start(31_600, 1, &["--peer-timeout", "3"]);
    let mut host = Host::new(&server);
    host.create(600);
    let before = server.health();
    let mut silent = Publisher::join(&server, 600);
    let mut polite = Publisher::join(&server, 600);
    let mut watcher = Publisher::join(&server, 600);
    let subscriber = Subscriber::join(&server, 600, silent.feed);
    for publisher in [&silent, &polite, &watcher] {
        publisher.peer.tell(Order::Speak(Speech::SMALL));
    }
    subscriber.peer.wait(Duration::from_secs(5), "media", |ledger| ledger.heard.len() == 2);

    // As libnice does: media are life without checks, for longer than the timeout.
    silent.peer.tell(Order::StopChecking);
    std::thread::sleep(Duration::from_secs(5));
    assert!(silent.client.events().iter().all(|event| event["janus"] != "hangup"));

    silent.peer.tell(Order::FallSilent);
    let since = Instant::now();
    polite.peer.tell(Order::CloseDtls);
    let hangup = polite.client.event(polite.handle, "hangup", Duration::from_secs(1));
    assert_eq!(hangup["reason"], "DTLS alert", "{hangup}");
    let feed = polite.feed;
    watcher.client.event_where(Duration::from_secs(1), "unpublished", |event| unpublished(event, feed));

    let hangup = silent.client.event(silent.handle, "hangup", Duration::from_secs(6));
    assert_eq!(hangup["reason"], "ICE failed", "{hangup}");
    let after = since.elapsed();
    // It is looked at with the reports, once a second.
    assert!((Duration::from_millis(2800)..Duration::from_secs(5)).contains(&after), "{after:?}");
    let feed = silent.feed;
    watcher.client.event_where(Duration::from_secs(1), "unpublished", |event| unpublished(event, feed));

    // Whoever goes on checking stays, and a handle that was hung up can publish again.
    assert!(watcher.client.events().iter().all(|event| event["janus"] != "hangup"));
    assert_eq!(server.health().by_shard("peers"), [2]);
    polite.publish(&server);
    polite.peer.tell(Order::Speak(Speech::SMALL));
    let viewer = Subscriber::join(&server, 600, polite.feed);
    viewer.peer.wait(Duration::from_secs(5), "media of a new peer", |ledger| ledger.heard.len() == 2);
    drop(viewer);
    drop((silent, polite, watcher, subscriber));
    server.wait_for_gauges(&before.gauges());
    server.is_well();
}

#[test]
fn a_page_that_makes_another_connection_on_its_handle_goes_on_with_it() {
    let _alone = alone();
    let mut server = Server::start(31_650, 1, &[]);
    let mut host = Host::new(&server);
    host.create(650);
    let mut publisher = Publisher::join(&server, 650);
    let subscriber = Subscriber::join(&server, 650, publisher.feed);
    publisher.peer.tell(Order::Speak(Speech::SMALL));
    subscriber.peer.wait(Duration::from_secs(5), "media", |ledger| ledger.heard.len() == 2);
    // The old connection is not closed: a page that was reloaded closes nothing.
    publisher.replace(&server);
    let late = Subscriber::join(&server, 650, publisher.feed);
    publisher.speak(Speech::SMALL, Duration::from_secs(2));
    late.peer.wait(Duration::from_secs(5), "media of the new connection", |ledger| ledger.heard.len() == 2);
    late.peer.is_unharmed();
    // Packets name the peer that made them: those of the second are not what this subscriber saw before.
    let of_another = subscriber.peer.look(|ledger| (ledger.heard.len(), ledger.corrupt, ledger.unauthenticated));
    assert!(matches!(of_another, (2, 50.., 0)), "{of_another:?}");
    assert!(publisher.client.events().iter().all(|event| event["janus"] != "hangup"));
    let health = server.health();
    assert_eq!((health.by_shard("peers"), health.counter("associations_replaced")), (vec![3], 1));
    server.is_well();
}

#[test]
fn on_sigterm_everybody_is_told_and_the_exit_code_is_0() {
    let _alone = alone();
    let mut server = Server::start(31_700, 1, &[]);
    let mut host = Host::new(&server);
    host.create(700);
    let mut publisher = Publisher::join(&server, 700);
    let mut subscriber = Subscriber::join(&server, 700, publisher.feed);
    publisher.peer.tell(Order::Speak(Speech::SMALL));
    subscriber.peer.wait(Duration::from_secs(5), "media", |ledger| ledger.heard.len() == 2);
    let idle = TcpStream::connect(server.signalling).expect("the server accepts");
    let mut late = client::open(server.signalling);

    let since = Instant::now();
    server.terminate();
    // Asked until the connection ends: from the signal on no session is made.
    let mut made_after_the_signal = 0;
    while since.elapsed() < Duration::from_secs(5) {
        let create = json!({ "janus": "create", "transaction": "late" }).to_string();
        let Ok(Message::Text(answer)) = late.send(Message::text(create)).and_then(|()| late.read()) else { break };
        let answer: Value = serde_json::from_str(&answer).expect("the server speaks JSON");
        // A signal takes a moment to be heard.
        made_after_the_signal += usize::from(answer["janus"] == "success" && since.elapsed().as_millis() > 500);
    }
    assert_eq!(made_after_the_signal, 0);
    for client in [&mut publisher.client, &mut subscriber.client, &mut host.client] {
        assert_eq!(client.closed(Duration::from_secs(10)), Silence::Closed(Some(1001)));
    }
    for peer in [&publisher.peer, &subscriber.peer] {
        peer.wait(Duration::from_secs(5), "a close_notify", |ledger| ledger.closed == Some(CloseReason::Alert));
    }
    subscriber.peer.is_unharmed();
    // These close when they are told to; the others keep their connections and are not waited for.
    drop((publisher, subscriber, host));
    let status = server.ended(Duration::from_secs(10).saturating_sub(since.elapsed()));
    assert_eq!(status.code(), Some(0), "{status}");
    drop((idle, late));
    assert!(TcpStream::connect(server.signalling).is_err(), "nobody listens any more");
}
