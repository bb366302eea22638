//! Forwarders of the whole machine: what arrives at a socket that is no peer, plain and sealed, and that it ends.

use crate::alone;
use crate::call::{Host, Publisher, SOON};
use crate::media::{Heard, Speech};
use crate::server::Server;
use portunus::wire::rtcp::Pli;
use portunus::wire::rtp::Packet;
use portunus::wire::sdp::MediaKind;
use serde_json::{Value, json};
use srtp::{CryptoPolicy, Session, StreamPolicy};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::thread;
use std::time::Duration;

/// 30 bytes, and what they are in base64.
const MASTER: &[u8; 30] = b"forwarders are legs, not peers";
const CRYPTO: &str = "Zm9yd2FyZGVycyBhcmUgbGVncywgbm90IHBlZXJz";

/// Somebody who takes RTP.
struct Receiver {
    socket: UdpSocket,
    kind: MediaKind,
    opened: Option<Session>,
    heard: Option<Heard>,
    /// As the first packet had them.
    ssrc: u32,
    pt: u8,
}

impl Receiver {
    fn new(ip: IpAddr, kind: MediaKind, suite: Option<CryptoPolicy>) -> Receiver {
        let socket = UdpSocket::bind((ip, 0)).expect("a free port");
        socket2::SockRef::from(&socket).set_recv_buffer_size(4 << 20).expect("a socket");
        socket.set_read_timeout(Some(Duration::from_millis(300))).expect("a socket");
        let open = |suite| {
            let policy = StreamPolicy { key: MASTER, rtp: suite, rtcp: suite, ..StreamPolicy::default() };
            Session::with_inbound_template(policy).expect("a policy")
        };
        Receiver { socket, kind, opened: suite.map(open), heard: None, ssrc: 0, pt: 0 }
    }

    fn port(&self) -> u16 {
        self.socket.local_addr().expect("it is bound").port()
    }

    /// Takes everything that has come; how many packets.
    fn listen(&mut self) -> usize {
        let mut count = 0;
        let mut bytes = [0; 2000];
        while let Ok(len) = self.socket.recv(&mut bytes) {
            count += 1;
            let mut datagram = bytes[..len].to_vec();
            if let Some(session) = &mut self.opened {
                session.unprotect(&mut datagram).expect("it is sealed with our key");
            }
            let packet = Packet::parse(&datagram).expect("RTP");
            match &mut self.heard {
                Some(heard) => assert!(heard.hear(&packet), "not as it was sent"),
                None => {
                    self.heard = Some(Heard::first(self.kind, &packet).expect("as it was sent"));
                    (self.ssrc, self.pt) = (packet.header.ssrc, packet.header.payload_type);
                }
            }
            assert_eq!((packet.header.ssrc, packet.header.payload_type), (self.ssrc, self.pt));
        }
        count
    }

    /// Asserts that everything came once, in order, and the first `sent` packets of the publisher are all.
    fn has_everything(&mut self, sent: u32) {
        self.listen();
        let heard = self.heard.as_ref().expect("something came");
        assert_eq!((heard.first, heard.next, heard.packets), (0, sent, u64::from(sent)), "{heard:?}");
        assert_eq!((heard.late, heard.shifts), (0, 0), "{heard:?}");
    }
}

fn ask(host: &mut Host, body: Value) -> Value {
    let handle = host.handle;
    host.client.message(handle, body)
}

fn forwarding_at(media: IpAddr, ports: u16) {
    let mut server = Server::start_at(media, ports, 2, &["--forward-allow", "127.0.0.0/8,::1"]);
    let mut host = Host::new(&server);
    host.create(300);
    let before = server.health();
    let publisher = Publisher::join(&server, 300);
    let receiver = |kind, suite| Receiver::new(media, kind, suite);
    let (mut audio, mut video) = (receiver(MediaKind::Audio, None), receiver(MediaKind::Video, None));
    let mut sealed = receiver(MediaKind::Video, Some(CryptoPolicy::aes_cm_128_hmac_sha1_80()));
    let mut short = receiver(MediaKind::Audio, Some(CryptoPolicy::aes_cm_128_hmac_sha1_32()));
    let rtcp = UdpSocket::bind((media, 0)).expect("a free port");
    rtcp.set_read_timeout(Some(SOON)).expect("a socket");
    let rtcp_port = rtcp.local_addr().expect("it is bound").port();
    let body = |streams: Value| json!({ "request": "rtp_forward", "room": 300, "publisher_id": publisher.feed, "host": media, "streams": streams });
    let made = ask(
        &mut host,
        body(json!([
            { "mid": "0", "port": audio.port() },
            { "mid": "1", "port": video.port(), "pt": 120, "ssrc": 77, "rtcp_port": rtcp_port },
            { "mid": "1", "port": sealed.port(), "srtp_suite": 80, "srtp_crypto": CRYPTO },
            { "mid": "0", "port": short.port(), "srtp_suite": 32, "srtp_crypto": CRYPTO },
        ])),
    );
    let forwarders = made["forwarders"].as_array().unwrap_or_else(|| panic!("none: {made}")).clone();
    assert_eq!(forwarders.len(), 4, "{made}");
    assert_eq!(server.health().every_gauge()["forwarders"], 4);

    publisher.speak(Speech::SMALL, Duration::from_millis(1500));
    let sent = publisher.peer.ledger();
    audio.has_everything(sent.audio_sent);
    short.has_everything(sent.audio_sent);
    video.has_everything(sent.video_sent);
    sealed.has_everything(sent.video_sent);
    assert_eq!((audio.ssrc, audio.pt), (publisher.peer.audio, 111));
    assert_eq!((sealed.ssrc, sealed.pt), (publisher.peer.video, 96));
    assert_eq!((video.ssrc, video.pt), (77, 120));

    // The way back was opened; what comes by it is heard.
    let mut bytes = [0; 100];
    let (len, from) = rtcp.recv_from(&mut bytes).expect("RTP without contents");
    assert_eq!(bytes[..len], [0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    let local = u16::try_from(forwarders[1]["local_rtcp_port"].as_u64().expect("a port of ours")).unwrap();
    assert_eq!(from, SocketAddr::new(media, local));
    let asked = publisher.peer.look(|ledger| ledger.keyframes_asked);
    thread::sleep(Duration::from_millis(600)); // a keyframe is asked for at most twice a second
    let mut pli = [0; 12];
    Pli { sender_ssrc: 1, media_ssrc: 77 }.write(&mut pli).expect("it fits");
    rtcp.send_to(&pli, from).expect("a socket");
    publisher.peer.wait(SOON, "a keyframe request", |ledger| ledger.keyframes_asked == asked + 1);

    // One is stopped, the others go on; then the publisher ends.
    let stop = json!({ "request": "stop_rtp_forward", "room": 300, "publisher_id": publisher.feed,
        "stream_id": forwarders[0]["stream_id"] });
    assert_eq!(ask(&mut host, stop)["videoroom"], "stop_rtp_forward");
    publisher.speak(Speech::SMALL, Duration::from_millis(300));
    let sent = publisher.peer.ledger();
    assert_eq!(audio.listen(), 0, "it was told to stop");
    short.has_everything(sent.audio_sent);
    sealed.has_everything(sent.video_sent);
    publisher.peer.is_unharmed();
    let health = server.health();
    video.has_everything(sent.video_sent);
    let heard =
        [&audio, &short, &video, &sealed].map(|receiver| receiver.heard.as_ref().map_or(0, |heard| heard.packets));
    assert_eq!(health.counter("packets_forwarded"), heard.iter().sum::<u64>());
    drop(publisher);
    server.wait_for_gauges(&before.gauges());
    server.is_well();
}

#[test]
fn forwarded_packets_arrive_whole_and_in_order_plain_and_sealed_until_they_are_told_to_stop() {
    let _alone = alone();
    forwarding_at(Ipv4Addr::LOCALHOST.into(), 32_500);
}

#[test]
fn forwarding_over_ipv6_is_the_same() {
    let _alone = alone();
    let address = IpAddr::V6(Ipv6Addr::LOCALHOST);
    if UdpSocket::bind((address, 0)).is_err() {
        eprintln!("skipped: no IPv6 here");
        return;
    }
    forwarding_at(address, 32_600);
}

#[test]
fn nothing_is_forwarded_to_where_the_operator_does_not_allow_it() {
    let _alone = alone();
    let mut server = Server::start(32_700, 1, &[]);
    let mut host = Host::new(&server);
    host.create(301);
    let publisher = Publisher::join(&server, 301);
    for (target, code) in [("127.0.0.1", 433), ("10.0.0.1", 433), ("localhost", 433), ("example.org", 430)] {
        let body = json!({ "request": "rtp_forward", "room": 301, "publisher_id": publisher.feed, "host": target,
            "streams": [{ "mid": "0", "port": 5002 }] });
        assert_eq!(ask(&mut host, body)["error_code"], code, "{target}");
    }
    assert_eq!(server.health().every_gauge()["forwarders"], 0);
    server.is_well();
}
