//! Clients that misbehave while others are in a call: the call does not notice.

use crate::alone;
use crate::call::{Host, Publisher, Subscriber, unexpected};
use crate::client::{self, Client, Silence};
use crate::clock::wait_for;
use crate::media::Speech;
use crate::peer::Order;
use crate::server::Server;
use serde_json::{Value, json};
use socket2::{Domain, Socket, Type};
use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;
use tungstenite::Message;

/// The longest message that the server takes.
const MESSAGE_MAX: usize = portunus::limits::MESSAGE_JSON_MAX;
const SOON: Duration = Duration::from_secs(10);

fn closed_after(at: SocketAddr, message: Message) -> Silence {
    let mut client = Client::connect(at);
    // The server may close before it has read everything.
    let _ = client.send(message);
    client.closed(SOON)
}

/// A connection whose kernel buffers are small, so that what is not read soon waits in the server.
fn narrow(at: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::for_address(at), Type::STREAM, None).expect("a socket");
    socket.set_recv_buffer_size(16 * 1024).expect("a socket");
    socket.connect(&at.into()).expect("the server accepts");
    socket.into()
}

/// Asks 10,000 times and reads nothing; the server has let go when writing fails.
fn never_reads(at: SocketAddr) {
    let mut socket = client::over(narrow(at), at);
    let transaction = "x".repeat(2000);
    let request = json!({ "janus": "info", "transaction": transaction }).to_string();
    for _ in 0..10_000 {
        if socket.send(Message::text(request.clone())).is_err() {
            return;
        }
    }
    wait_for(SOON, "the end of a client that does not read", || socket.get_mut().write(&[0]).err());
}

#[test]
fn bad_signalling_does_not_disturb_a_call() {
    let _alone = alone();
    let mut server = Server::start(31_400, 1, &[]);
    let at = server.signalling;
    let mut host = Host::new(&server);
    host.create(400);
    let mut publisher = Publisher::join(&server, 400);
    let mut subscriber = Subscriber::join(&server, 400, publisher.feed);
    publisher.peer.tell(Order::Speak(Speech::SMALL));
    let before = server.health();

    let long = json!({ "janus": "ping", "transaction": "x".repeat(MESSAGE_MAX + 1) }).to_string();
    assert_eq!(closed_after(at, Message::text(&long[..=MESSAGE_MAX])), Silence::Closed(Some(1009)));
    let long = vec![0xff; MESSAGE_MAX + 1];
    assert_eq!(closed_after(at, Message::binary(long)), Silence::Closed(Some(1009)));

    let mut babbler = Client::connect(at);
    for n in 0..1000 {
        let text = ["{", "]", "{\"janus\":", "\u{0}", "{\"janus\":\"ping\",}", "nonsense"][n % 6];
        babbler.send(Message::text(text)).expect("the server reads on");
    }
    babbler.attach(); // it is still served
    let refusals = babbler.events();
    assert_eq!(refusals.len(), 1000);
    assert!(refusals.iter().all(|refusal| refusal["error"]["code"] == 454), "{:?}", refusals.first());

    for n in 0..200 {
        let mut stream = TcpStream::connect(at).expect("the server accepts");
        match n % 4 {
            0 => {}
            1 => stream.write_all(b"GET / HTTP/1.1\r\nHost").expect("the server reads"),
            2 => stream.write_all(&[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc]).expect("the server reads"),
            _ => drop(client::over(stream, at)),
        }
    }
    never_reads(at);

    let after = server.health();
    assert_eq!(after.refused("message_malformed") - before.refused("message_malformed"), 1000);
    assert_eq!(after.refused("outbox_overflow"), 1);
    publisher.speak(Speech::SMALL, Duration::from_millis(200));
    subscriber.has_everything_of(&publisher.peer, true);
    assert_eq!(unexpected(&mut publisher.client), [Value::Null; 0]);
    assert_eq!(unexpected(&mut subscriber.client), [Value::Null; 0]);
    drop(babbler);
    server.wait_for_gauges(&before.gauges());
    server.is_well();
}
