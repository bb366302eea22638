//! Datagrams of people who are not in the call, and of people who are but send what they should not: mutated from
//! real ones of this very call. The call does not notice, nobody is answered, and every one has a counter.

use crate::agent::client_hello;
use crate::alone;
use crate::call::{Host, Publisher, Subscriber, unexpected};
use crate::clock::wait_for;
use crate::media::Speech;
use crate::peer::{Order, Samples};
use crate::sdp::Remote;
use crate::server::{Health, Server};
use portunus::wire::stun::{BindingRequest, Key, Role, TransactionId};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use serde_json::Value;
use std::net::UdpSocket;
use std::thread;
use std::time::Duration;

/// Datagrams of strangers.
const STRANGE: usize = 10_000;
/// Datagrams from the address of a peer in the call.
const FORGED: usize = 2_000;

/// Makes bad datagrams out of good ones.
struct Forger {
    rng: ChaCha8Rng,
    samples: Samples,
    remote: Remote,
    hello: Vec<u8>,
}

impl Forger {
    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.rng.next_u64() % u64::try_from(bound).unwrap()).unwrap()
    }

    fn noise(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.rng.fill_bytes(&mut bytes);
        bytes
    }

    fn sample(&self, kind: &str) -> Vec<u8> {
        self.samples.0.get(kind).unwrap_or_else(|| panic!("no {kind} was sent yet")).clone()
    }

    /// A sample with one to three bits flipped, each in another byte.
    fn flipped(&mut self, kind: &str) -> Vec<u8> {
        let mut bytes = self.sample(kind);
        let third = bytes.len() / 3;
        for n in 0..1 + self.below(3) {
            let at = n * third + self.below(third);
            bytes[at] ^= 1 << self.below(8);
        }
        bytes
    }

    /// A sample that ends too early.
    fn cut(&mut self, mut bytes: Vec<u8>) -> Vec<u8> {
        let len = 1 + self.below(bytes.len() - 1);
        bytes.truncate(len);
        bytes
    }

    /// A check that is well-formed, for a ufrag and with a password.
    fn check(&mut self, ufrag: &str, password: &str) -> Vec<u8> {
        let mut transaction = [0; 12];
        self.rng.fill_bytes(&mut transaction);
        let request = BindingRequest {
            transaction: TransactionId(transaction),
            remote_ufrag: ufrag,
            local_ufrag: "stranger",
            priority: 1,
            role: Role::Controlling(1),
            use_candidate: true,
        };
        let mut bytes = [0; 400];
        let len = request.compose(&mut bytes, &Key::short_term(password)).expect("it fits");
        bytes[..len].to_vec()
    }

    /// What anybody can send who has seen the call but knows no password. No real check as it is: a lite agent believes
    /// the address that one comes from (RFC 8445 §19.4.1).
    fn stranger(&mut self, n: usize) -> Vec<u8> {
        let ufrag = self.remote.transport.ufrag.clone();
        match n % 17 {
            16 => {
                // Nothing at all, or more than a datagram of media may be.
                let len = [0, 1501, 2047, 9000][self.below(4)];
                self.noise(len)
            }
            0 => {
                let len = 1 + self.below(1400);
                self.noise(len)
            }
            1 => {
                let (len, first) = (20 + self.below(1200), [0, 1, 20, 22, 63, 64, 128, 144, 191, 200][self.below(10)]);
                let mut bytes = self.noise(len);
                bytes[0] = first;
                bytes
            }
            2 | 3 => self.flipped("check"),
            4 => self.check("nobody", "a+password+that+is+no+ones"),
            5 => self.check(&ufrag, "a+password+that+is+no+ones"),
            6 => {
                let mut response = self.sample("check");
                response[0] = 1; // a success response that nobody has asked for
                response
            }
            7 => self.sample("audio"),
            8 => self.sample("video"),
            9 => self.flipped("video"),
            10 => self.sample("report"),
            11 => self.flipped("report"),
            12 => self.hello.clone(),
            13 => self.cut(self.hello.clone()),
            14 => self.flipped("handshake"),
            _ => {
                let kind = ["check", "audio", "video", "report", "handshake"][self.below(5)];
                self.cut(self.sample(kind))
            }
        }
    }

    /// What arrives from the address of a peer although the peer never meant it: a forged source, or a bad client.
    fn forged(&mut self, n: usize) -> Vec<u8> {
        match n % 10 {
            0 | 1 => self.flipped("video"),
            2 => self.flipped("report"),
            3 => self.sample("video"),  // a replay
            4 => self.sample("report"), // a replay
            5 => self.hello.clone(),
            6 => self.cut(self.hello.clone()),
            7 => vec![21, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 9, 0, 2, 2, 40], // a fatal alert in the clear
            8 => vec![21, 0xfe, 0xfd, 0, 1, 0, 0, 0, 0, 0, 9, 0, 2, 1, 0],  // close_notify without a seal
            _ => self.stranger(n / 10),
        }
    }
}

fn dropped(health: &Health) -> u64 {
    health.all_drops().values().sum()
}

#[test]
fn strangers_are_not_answered_and_disturb_nobody() {
    let _alone = alone();
    let mut server = Server::start(31_300, 1, &[]);
    let mut host = Host::new(&server);
    host.create(300);
    let mut publisher = Publisher::join(&server, 300);
    let mut other = Publisher::join(&server, 300);
    let mut subscriber = Subscriber::join(&server, 300, publisher.feed);
    publisher.peer.tell(Order::Speak(Speech::SMALL));
    other.peer.tell(Order::Speak(Speech::SMALL));
    thread::sleep(Duration::from_millis(1500)); // until each has sent a report
    unexpected(&mut publisher.client); // the others' joining

    let forger = |seed, samples| Forger {
        rng: ChaCha8Rng::from_seed([seed; 32]),
        samples,
        remote: publisher.remote.clone(),
        hello: client_hello(),
    };
    let samples = publisher.peer.ledger().samples;
    let before = server.health();
    let resident_before = server.resident_kib();

    let strangers: Vec<_> = (0..8).map(|_| UdpSocket::bind((server.media, 0)).expect("a free port")).collect();
    let mut outside = forger(1, samples.clone());
    for n in 0..STRANGE {
        strangers[n % strangers.len()].send_to(&outside.stranger(n), publisher.remote.at).expect("loopback");
        if n % 20 == 0 {
            thread::sleep(Duration::from_millis(2));
        }
    }
    // From the publisher's own address, then from that of another peer with what the publisher has sent.
    let mut inside = forger(2, samples);
    for n in 0..FORGED {
        let peer = if n % 4 == 3 { &other.peer } else { &publisher.peer };
        peer.tell(Order::Inject(inside.forged(n)));
        if n % 20 == 0 {
            thread::sleep(Duration::from_millis(5));
        }
    }
    publisher.peer.attend();
    other.peer.attend();
    // Every one has been counted, by whichever name.
    let all = dropped(&before) + (STRANGE + FORGED) as u64;
    wait_for(Duration::from_secs(10), "a count of all", || (dropped(&server.health()) >= all).then_some(()));

    let after = server.health();
    let resident_after = server.resident_kib();
    let moved: Vec<_> =
        after.all_drops().into_iter().map(|(name, count)| (before.drops_or_zero(&name), count, name)).collect();
    println!("strangers and forgers were counted as {moved:?}");
    for name in [
        "unclassified",
        "unknown_source",
        "stun_malformed",
        "stun_unknown_ufrag",
        "stun_unauthorized",
        "stun_unexpected",
        "srtp_unauthorized",
        "srtp_replay",
        "dtls_unexpected",
        "receive_malformed",
        "receive_truncated",
    ] {
        assert!(after.drops(name) > before.drops(name), "{name} did not move: {moved:?}");
    }
    assert_eq!(dropped(&after), all, "{moved:?}");
    assert!(resident_after <= resident_before + 2048, "{resident_before} KiB before, {resident_after} KiB after");
    for stranger in &strangers {
        stranger.set_nonblocking(true).expect("a socket");
        assert!(stranger.recv(&mut [0; 2000]).is_err(), "a stranger was answered");
    }

    publisher.speak(Speech::SMALL, Duration::from_millis(200));
    subscriber.has_everything_of(&publisher.peer, true);
    publisher.peer.is_unharmed();
    other.peer.is_unharmed();
    for client in [&mut publisher.client, &mut other.client, &mut subscriber.client] {
        assert_eq!(unexpected(client), [Value::Null; 0]);
    }
    server.is_well();
}
