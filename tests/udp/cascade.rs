//! A publisher of one server at another: two programs, a port between them, and a subscriber that does not notice.

use crate::alone;
use crate::call::{Host, Publisher, SOON, Subscriber};
use crate::media::Speech;
use crate::peer::Order;
use crate::server::Server;
use serde_json::{Value, json};
use std::net::UdpSocket;
use std::thread;
use std::time::Duration;

const CRYPTO: &str = "Zm9yd2FyZGVycyBhcmUgbGVncywgbm90IHBlZXJz";

fn ask(host: &mut Host, body: Value) -> Value {
    let handle = host.handle;
    host.client.message(handle, body)
}

/// The first of so many free ports in a row.
fn free_ports(count: u16) -> u16 {
    let is_free = |port: u16| UdpSocket::bind(("::", port)).is_ok();
    let found = (32_900u16..33_900).step_by(usize::from(count)).find(|&base| (base..base + count).all(is_free));
    found.expect("free ports")
}

fn cascade(ports: u16, srtp: Value) {
    let mut origin = Server::start(ports, 1, &["--forward-allow", "127.0.0.1"]);
    let base = free_ports(4);
    let remote = ["--remote-ports", "2", "--remote-port", &base.to_string()];
    let mut other = Server::start(ports + 50, 2, &remote);
    let (mut here, mut there) = (Host::new(&origin), Host::new(&other));
    here.create(400);
    there.create(401);
    let before = other.health();
    let publisher = Publisher::join(&origin, 400);
    let mut wish = json!({ "request": "add_remote_publisher", "room": 401, "id": 77, "display": "Far", "streams": [
        { "type": "audio", "mindex": 0, "mid": "0", "codec": "opus" },
        { "type": "video", "mindex": 1, "mid": "1", "codec": "vp8" } ] });
    wish.as_object_mut().unwrap().extend(srtp.as_object().unwrap().clone());
    let added = ask(&mut there, wish.clone());
    let port = added["port"].as_u64().unwrap_or_else(|| panic!("not added: {added}"));
    assert_eq!((&added["id"], &added["rtcp_port"]), (&json!(77), &json!(port)));
    assert_eq!(ask(&mut there, wish)["error_code"], 436);
    let mut show = json!({ "request": "publish_remotely", "room": 400, "publisher_id": publisher.feed, "remote_id": "b",
        "host": "127.0.0.1", "port": port, "rtcp_port": port });
    show.as_object_mut().unwrap().extend(srtp.as_object().unwrap().clone());
    assert_eq!(ask(&mut here, show)["videoroom"], "success");

    let subscribers: Vec<_> = (0..2).map(|_| Subscriber::join(&other, 401, 77)).collect();
    publisher.speak(Speech::SMALL, Duration::from_millis(1500));
    for subscriber in &subscribers {
        subscriber.has_everything_of(&publisher.peer, false);
    }
    // Somebody who wants a picture asks the publisher for it, through both.
    thread::sleep(Duration::from_millis(1200));
    let asked = publisher.peer.look(|ledger| ledger.keyframes_asked);
    subscribers[0].peer.tell(Order::AskKeyframe);
    publisher.peer.wait(SOON, "a keyframe request", |ledger| ledger.keyframes_asked > asked);
    assert_eq!(other.health().every_gauge()["remote_publishers"], 1);

    let list = ask(&mut there, json!({ "request": "listparticipants", "room": 401 }));
    assert_eq!(list["participants"][0]["remote"], true, "{list}");
    let onward = json!({ "request": "publish_remotely", "room": 401, "publisher_id": 77, "remote_id": "c",
        "host": "127.0.0.1", "port": 9 });
    assert_eq!(ask(&mut there, onward)["error_code"], 433, "the operator allows nothing there");
    let end = json!({ "request": "unpublish_remotely", "room": 400, "publisher_id": publisher.feed, "remote_id": "b" });
    assert_eq!(ask(&mut here, end)["videoroom"], "success");
    let end = json!({ "request": "remove_remote_publisher", "room": 401, "id": 77 });
    assert_eq!(ask(&mut there, end)["videoroom"], "success");
    drop(subscribers);
    other.wait_for_gauges(&before.gauges());
    origin.is_well();
    other.is_well();
}

#[test]
fn a_publisher_is_seen_and_heard_at_another_server_as_if_it_were_there() {
    let _alone = alone();
    cascade(32_750, json!({}));
}

#[test]
fn the_same_holds_when_what_goes_between_the_servers_is_sealed() {
    let _alone = alone();
    cascade(33_950, json!({ "srtp_suite": 80, "srtp_crypto": CRYPTO }));
}
