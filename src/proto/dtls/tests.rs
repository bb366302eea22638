//! Two endpoints of ours over a wire that can lose, cut and mutate, under virtual time.

use super::*;
use crate::limits::{DATAGRAM_MAX, DTLS_TIMEOUT};
use openssl::hash::MessageDigest;
use proptest::prelude::*;
use std::time::Duration;

const GCM_FIRST: &str = "SRTP_AEAD_AES_128_GCM:SRTP_AES128_CM_SHA1_80:SRTP_AEAD_AES_256_GCM";
const CHROMIUM: &str = "SRTP_AES128_CM_SHA1_80:SRTP_AEAD_AES_256_GCM:SRTP_AEAD_AES_128_GCM";
/// Delay of the wire, one way.
const WIRE: Duration = Duration::from_millis(5);

struct Pair {
    now: Now,
    client: Endpoint,
    server: Endpoint,
    /// What each has reported.
    events: [Vec<DtlsEvent>; 2],
    /// Datagrams sent so far, lost ones included.
    sent: usize,
}

impl Pair {
    fn new() -> Self {
        Self::with(CHROMIUM, GCM_FIRST, MTU)
    }

    /// Both know each other's fingerprints.
    fn with(client_profiles: &str, server_profiles: &str, client_mtu: usize) -> Self {
        let mut pair = Self::strangers(client_profiles, server_profiles, client_mtu);
        let (client, server) = pair.fingerprints();
        pair.client.set_remote_fingerprint(server);
        pair.server.set_remote_fingerprint(client);
        pair
    }

    fn strangers(client_profiles: &str, server_profiles: &str, client_mtu: usize) -> Self {
        let context = |seed, profiles| Context::new(&certificates()[seed], profiles).unwrap();
        Pair {
            now: Now { mono: Mono(0), unix_us: 0 },
            client: Endpoint::with_mtu(&context(0, client_profiles), Role::Active, client_mtu).unwrap(),
            server: Endpoint::new(&context(1, server_profiles), Role::Passive).unwrap(),
            events: [vec![], vec![]],
            sent: 0,
        }
    }

    fn fingerprints(&self) -> (Fingerprint, Fingerprint) {
        (certificates()[0].fingerprint(), certificates()[1].fingerprint())
    }

    fn side(&mut self, side: usize) -> &mut Endpoint {
        if side == 0 { &mut self.client } else { &mut self.server }
    }

    /// Runs until nothing moves before `end`; `keep` sees every datagram's number and may drop or change it.
    fn run(&mut self, end: Mono, mut keep: impl FnMut(usize, &mut Vec<u8>) -> bool) {
        let mut air: std::collections::VecDeque<(Mono, usize, Vec<u8>)> = Default::default();
        loop {
            for side in 0..2 {
                let mut out = [0; MTU];
                while let Some(len) = self.side(side).poll_transmit(&mut out) {
                    let mut datagram = out[..len].to_vec();
                    if keep(self.sent, &mut datagram) {
                        air.push_back((self.now.mono + WIRE, 1 - side, datagram));
                    }
                    self.sent += 1;
                }
                while let Some(event) = self.side(side).poll_event() {
                    self.events[side].push(event);
                }
            }
            let arrival = air.front().map_or(Mono::NEVER, |(at, _, _)| *at);
            let next = arrival.min(self.client.deadline()).min(self.server.deadline());
            if next > end {
                self.now.mono = self.now.mono.max(end.min(next));
                return;
            }
            let now = Now { mono: next.max(self.now.mono), ..self.now };
            self.now = now;
            if arrival == next {
                let (_, side, datagram) = air.pop_front().unwrap();
                self.side(side).handle_datagram(now, &datagram);
            } else {
                self.client.handle_timeout(now);
                self.server.handle_timeout(now);
            }
        }
    }

    /// Starts the client and takes its ClientHello's body off the wire.
    fn client_hello(&mut self) -> Vec<u8> {
        self.client.start(self.now);
        let mut out = [0; MTU];
        let len = self.client.poll_transmit(&mut out).unwrap();
        assert_eq!(self.client.poll_transmit(&mut out), None);
        out[13 + 12..len].to_vec() // less the headers of record and message
    }

    fn connect(&mut self) {
        self.client.start(self.now);
        self.run(Mono(0) + Duration::from_secs(1), |_, _| true);
        self.assert_connected();
    }

    /// Both reported `Connected`, first, once, with the same keys.
    fn assert_connected(&self) -> (u16, KeyingMaterial) {
        let keys = |side: usize, ours: Role| match &self.events[side][..] {
            [DtlsEvent::Connected { profile, keying_material, role }] if *role == ours => {
                (*profile, keying_material.clone())
            }
            other => panic!("side {side} reported {other:?}"),
        };
        let (client, server) = (keys(0, Role::Active), keys(1, Role::Passive));
        assert_eq!(client, server);
        client
    }
}

/// Two certificates for all tests.
fn certificates() -> &'static [Certificate; 2] {
    static CERTIFICATES: std::sync::OnceLock<[Certificate; 2]> = std::sync::OnceLock::new();
    let now = Now { mono: Mono(0), unix_us: 1_790_000_000_000_000 };
    CERTIFICATES.get_or_init(|| [0, 1].map(|_| Certificate::generate(now, KeyKind::Ecdsa).unwrap()))
}

fn seconds(seconds: u64) -> Mono {
    Mono(0) + Duration::from_secs(seconds)
}

#[test]
fn client_and_server_connect_with_equal_keys_in_four_flights() {
    let mut pair = Pair::new();
    pair.connect();
    let (profile, keys) = pair.assert_connected();
    assert_eq!((profile, keys.as_bytes().len()), (7, 56));
    assert_eq!(pair.sent, 4);
    assert_eq!((pair.client.deadline(), pair.server.deadline()), (Mono::NEVER, Mono::NEVER));
    assert_eq!((pair.client.ignored(), pair.server.ignored()), (0, 0));
}

#[test]
fn the_passive_sides_preference_decides_the_profile() {
    for (client, server, profile, len) in [
        (CHROMIUM, GCM_FIRST, 7, 56),
        (CHROMIUM, "SRTP_AES128_CM_SHA1_80", 1, 60),
        (CHROMIUM, "SRTP_AEAD_AES_256_GCM:SRTP_AEAD_AES_128_GCM", 8, 88),
        ("SRTP_AES128_CM_SHA1_80", GCM_FIRST, 1, 60),
    ] {
        let mut pair = Pair::with(client, server, MTU);
        pair.connect();
        let (chosen, keys) = pair.assert_connected();
        assert_eq!((chosen, keys.as_bytes().len()), (profile, len));
    }
}

#[test]
fn without_a_common_profile_nothing_connects() {
    let mut pair = Pair::with("SRTP_AES128_CM_SHA1_80", "SRTP_AEAD_AES_128_GCM", MTU);
    pair.client.start(pair.now);
    pair.run(seconds(30), |_, _| true);
    for events in &pair.events {
        assert!(matches!(events[..], [DtlsEvent::Closed(CloseReason::Protocol | CloseReason::Alert)]), "{events:?}");
    }
}

#[test]
fn any_one_lost_datagram_is_repeated_by_the_timers() {
    for lost in 0..4 {
        let mut pair = Pair::new();
        pair.client.start(pair.now);
        pair.run(seconds(5), |number, _| number != lost);
        pair.assert_connected();
        assert!(pair.sent > 4);
    }
}

#[test]
fn a_wrong_fingerprint_never_connects_and_the_other_side_is_told() {
    let mut pair = Pair::strangers(CHROMIUM, GCM_FIRST, MTU);
    let (client, server) = pair.fingerprints();
    pair.client.set_remote_fingerprint(server);
    let Fingerprint::Sha256(mut wrong) = client else { panic!("ours are sha-256") };
    wrong[31] ^= 1;
    pair.server.set_remote_fingerprint(Fingerprint::Sha256(wrong));
    pair.client.start(pair.now);
    pair.run(seconds(30), |_, _| true);
    assert_eq!(pair.events[1], [DtlsEvent::Closed(CloseReason::Fingerprint)]);
    assert_eq!(pair.events[0].last(), Some(&DtlsEvent::Closed(CloseReason::Alert)));
    pair.server.set_remote_fingerprint(client);
    assert_eq!(pair.server.poll_event(), None);
}

#[test]
fn a_late_fingerprint_connects_late_and_another_one_later_closes() {
    let mut pair = Pair::strangers(CHROMIUM, GCM_FIRST, MTU);
    let (client, server) = pair.fingerprints();
    pair.client.start(pair.now); // before any fingerprint is known
    pair.run(seconds(3), |_, _| true);
    assert_eq!(pair.events, [vec![], vec![]]);
    assert!(!pair.server.send_data(b"too early"));
    pair.client.set_remote_fingerprint(server);
    pair.server.set_remote_fingerprint(client);
    pair.run(seconds(30), |_, _| true);
    pair.assert_connected();
    pair.server.set_remote_fingerprint(client);
    assert_eq!(pair.server.poll_event(), None);
    pair.server.set_remote_fingerprint(server);
    assert_eq!(pair.server.poll_event(), Some(DtlsEvent::Closed(CloseReason::Fingerprint)));
}

#[test]
fn a_client_hello_in_fragments_and_out_of_order_works() {
    let mut pair = Pair::with(CHROMIUM, GCM_FIRST, 228); // the client's other flights fall into pieces by themselves
    let hello = pair.client_hello();
    let fragments = fragments(&hello, 50);
    assert!(fragments.len() > 1);
    for fragment in fragments.iter().rev() {
        assert_eq!(pair.server.poll_transmit(&mut [0; MTU]), None);
        pair.server.handle_datagram(pair.now, fragment);
    }
    pair.run(seconds(1), |_, _| true);
    pair.assert_connected();
    assert!(pair.sent > 4);
}

#[test]
fn the_hello_of_another_client_is_told_from_repetitions() {
    let (mut pair, mut other) = (Pair::with(CHROMIUM, GCM_FIRST, 228), Pair::new());
    let (hello, stranger) = (fragments(&pair.client_hello(), 50), fragments(&other.client_hello(), 50));
    assert!(!pair.server.is_of_another_client(&hello[0]), "nothing has begun");
    for fragment in &hello {
        pair.server.handle_datagram(pair.now, fragment);
    }
    let tells = |pair: &Pair| {
        assert!(hello.iter().all(|fragment| !pair.server.is_of_another_client(fragment)));
        assert!(pair.server.is_of_another_client(&stranger[0]));
    };
    tells(&pair);
    pair.run(seconds(1), |_, _| true);
    pair.assert_connected();
    tells(&pair);
}

/// Chromium's ClientHello is 1413 bytes because of its key shares, and offers DTLS 1.3 before 1.2.
#[test]
fn a_client_hello_like_chromiums_gets_dtls_1_2() {
    let mut pair = Pair::new();
    // Version 2, random 32, session id and cookie (both empty), suites, compression (1 and null), extensions.
    let ours = pair.client_hello();
    let extensions = 38 + usize::from(u16::from_be_bytes([ours[36], ours[37]])) + 2;
    let mut added = vec![0, 43, 0, 5, 4, 0xfe, 0xfc, 0xfe, 0xfd]; // supported_versions: 1.3, 1.2
    added.extend([0, 51, 4, 0xC6, 4, 0xC4, 0x11, 0xEC, 4, 0xC0]); // key_share: X25519MLKEM768
    added.extend([0x5A; 1216]);
    added.extend(&ours[extensions + 2..]);
    let hello = [&ours[..extensions], &u16::try_from(added.len()).unwrap().to_be_bytes(), &added].concat();
    assert!(hello.len() > 1300);
    let mut out = [0; MTU];
    for fragment in fragments(&hello, 1175) {
        assert_eq!(pair.server.poll_transmit(&mut out), None);
        pair.server.handle_datagram(pair.now, &fragment);
    }
    pair.server.poll_transmit(&mut out).expect("a ServerHello answers the last fragment");
    // Handshake record, ServerHello message, server_version DTLS 1.2.
    assert_eq!((out[0], out[13], &out[25..27]), (22, 2, &[0xfe, 0xfd][..]));
    assert_eq!(pair.server.poll_event(), None);
}

/// A ClientHello's body as datagrams of one fragment each (RFC 6347 §4.2.3). Their record numbers lie ahead of the client's own.
fn fragments(hello: &[u8], size: usize) -> Vec<Vec<u8>> {
    let u24 = |value: usize| u32::try_from(value).unwrap().to_be_bytes()[1..].to_vec();
    let fragment = |(number, part): (usize, &[u8])| {
        let mut datagram = vec![22, 0xfe, 0xff, 0, 0, 0, 0, 0, 0, 0, 40 + u8::try_from(number).unwrap()];
        datagram.extend(u16::try_from(part.len() + 12).unwrap().to_be_bytes());
        datagram.push(1);
        datagram.extend(u24(hello.len()));
        datagram.extend([0, 0]);
        datagram.extend(u24(number * size));
        datagram.extend(u24(part.len()));
        datagram.extend(part);
        datagram
    };
    hello.chunks(size).enumerate().map(fragment).collect()
}

#[test]
fn close_notify_reaches_the_other_side_at_once() {
    for side in 0..2 {
        let mut pair = Pair::new();
        pair.connect();
        pair.side(side).close();
        pair.run(seconds(2), |_, _| true);
        assert_eq!(pair.events[side].len(), 1, "closing is no event for the one who closes");
        assert_eq!(pair.events[1 - side][1..], [DtlsEvent::Closed(CloseReason::Alert)]);
        assert_eq!((pair.client.deadline(), pair.server.deadline()), (Mono::NEVER, Mono::NEVER));
    }
}

/// A server with a certificate of this kind, and a client that offers these suites only.
fn limited(kind: KeyKind, ciphers: &str) -> Pair {
    let now = Now { mono: Mono(0), unix_us: 1_790_000_000_000_000 };
    let [ours, _] = certificates();
    let theirs = Certificate::generate(now, kind).unwrap();
    let client = Context::with_ciphers(ours, CHROMIUM, ciphers).unwrap();
    let server = Context::new(&theirs, GCM_FIRST).unwrap();
    let mut pair = Pair {
        client: Endpoint::new(&client, Role::Active).unwrap(),
        server: Endpoint::new(&server, Role::Passive).unwrap(),
        ..Pair::new()
    };
    pair.client.set_remote_fingerprint(theirs.fingerprint());
    pair.server.set_remote_fingerprint(ours.fingerprint());
    pair
}

#[test]
fn old_clients_connect_with_cbc_suites_and_with_rsa_alone() {
    for ciphers in ["ECDHE-ECDSA-AES128-SHA", "ECDHE-ECDSA-AES256-SHA"] {
        limited(KeyKind::Ecdsa, ciphers).connect();
    }
    for ciphers in ["ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-SHA", "ECDHE-RSA-AES256-SHA"] {
        limited(KeyKind::Rsa, ciphers).connect();
    }
}

#[test]
fn a_client_without_a_suite_for_our_certificate_fails_and_shows_what_it_offers() {
    let mut pair = limited(KeyKind::Ecdsa, "ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-SHA");
    pair.client.start(pair.now);
    pair.run(seconds(5), |_, _| true);
    assert_eq!(pair.events[1], [DtlsEvent::Closed(CloseReason::Protocol)]);
    let offered: Vec<u16> = pair.server.offered().iter().copied().filter(|suite| *suite != 0x00ff).collect();
    assert_eq!(offered, [0xc02f, 0xc013]);
    assert!(Pair::new().server.offered().is_empty());
}

#[test]
fn alerts_in_the_clear_during_the_handshake_change_nothing() {
    for side in 0..2 {
        let mut pair = Pair::new();
        pair.client.start(pair.now);
        let now = pair.now;
        for (level, description) in [(2, 40), (1, 0)] {
            let alert = [21, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, level, description];
            pair.side(side).handle_datagram(now, &alert);
            assert_eq!(pair.side(side).poll_event(), None);
        }
        pair.connect();
    }
}

#[test]
fn a_handshake_without_answer_times_out_on_either_side() {
    let mut pair = Pair::new();
    pair.client.start(pair.now);
    pair.run(seconds(60), |number, _| number == 0); // the server hears the first ClientHello and nothing more
    assert_eq!(pair.events, [[DtlsEvent::Closed(CloseReason::Timeout)], [DtlsEvent::Closed(CloseReason::Timeout)]]);
    assert!(pair.sent < 30, "{} datagrams", pair.sent);

    let mut pair = Pair::new();
    assert_eq!(pair.server.deadline(), Mono::NEVER);
    pair.server.start(pair.now);
    assert_eq!(pair.server.deadline(), Mono(0) + DTLS_TIMEOUT);
}

#[test]
fn a_fingerprint_that_never_comes_times_out() {
    let mut pair = Pair::strangers(CHROMIUM, GCM_FIRST, MTU);
    pair.client.start(pair.now);
    pair.run(seconds(60), |_, _| true);
    assert_eq!(pair.events[0], [DtlsEvent::Closed(CloseReason::Timeout)]);
}

#[test]
fn application_data_crosses_in_datagrams_and_stays_out_of_events() {
    let mut pair = Pair::new();
    assert!(!pair.client.send_data(b"early"));
    pair.connect();
    let longest = [9; DATA_MAX];
    assert!(pair.client.send_data(b"one") && pair.client.send_data(&longest));
    assert!(!pair.client.send_data(&[9; DATA_MAX + 1]) && !pair.client.send_data(b""));
    pair.run(seconds(2), |_, _| true);
    let mut out = [0; DATAGRAM_MAX];
    assert_eq!((pair.server.poll_data(&mut out), &out[..3]), (Some(3), &b"one"[..]));
    assert_eq!((pair.server.poll_data(&mut out), &out[..DATA_MAX]), (Some(DATA_MAX), &longest[..]));
    assert_eq!(pair.server.poll_data(&mut out), None);
    pair.assert_connected();
}

#[test]
fn a_replayed_datagram_delivers_nothing_twice() {
    let mut pair = Pair::new();
    pair.connect();
    assert!(pair.client.send_data(b"once"));
    let mut out = [0; DATAGRAM_MAX];
    let len = pair.client.poll_transmit(&mut out).unwrap();
    let datagram = out[..len].to_vec();
    for _ in 0..2 {
        pair.server.handle_datagram(pair.now, &datagram);
    }
    assert_eq!(pair.server.poll_data(&mut out), Some(4));
    assert_eq!(pair.server.poll_data(&mut out), None);
    assert_eq!(pair.server.ignored(), 1);
}

#[test]
fn before_the_client_hello_nothing_has_an_effect() {
    let mut pair = Pair::new();
    let alert = [21, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 2, 40];
    let hello = fragments(&[0; 40], 40).remove(0);
    for (side, datagram) in [(0, &hello[..]), (0, &alert), (1, &alert)] {
        let (now, endpoint) = (pair.now, pair.side(side));
        let before = endpoint.ignored();
        endpoint.handle_datagram(now, datagram);
        assert_eq!((endpoint.ignored(), endpoint.deadline()), (before + 1, Mono::NEVER));
    }
    pair.server.start(pair.now);
    pair.server.handle_datagram(pair.now, &alert);
    assert_eq!((pair.server.ignored(), pair.server.poll_event()), (2, None));
    pair.connect();
}

#[test]
fn garbage_never_ends_a_connected_session() {
    let mut pair = Pair::new();
    pair.connect();
    // Real datagrams to mutate: each sealed one is lost on its way and heard only changed.
    let mut sealed = vec![];
    let mut out = [0; DATAGRAM_MAX];
    for _ in 0..4 {
        assert!(pair.client.send_data(b"sealed"));
        let len = pair.client.poll_transmit(&mut out).unwrap();
        sealed.push(out[..len].to_vec());
    }
    let now = pair.now;
    let session = std::cell::RefCell::new(pair);
    let random = (any::<u8>(), 0u8..3, prop::collection::vec(any::<u8>(), 0..200)).prop_map(|(kind, epoch, body)| {
        let length = u16::try_from(body.len()).unwrap().to_be_bytes();
        let header = [18 + kind % 10, 0xfe, 0xfd, 0, epoch, 0, 0, 0, 0, kind, 1, length[0], length[1]];
        [&header[..], &body].concat()
    });
    let mutated = (0usize..4, any::<prop::sample::Index>(), 1u8..=255).prop_map(move |(which, at, flip)| {
        let mut datagram = sealed[which].clone();
        let at = at.index(datagram.len());
        datagram[at] ^= flip;
        datagram
    });
    let noise = prop::collection::vec(any::<u8>(), 0..1600);
    proptest!(ProptestConfig::with_cases(3000), |(bytes in prop_oneof![random, mutated, noise])| {
        let mut session = session.borrow_mut();
        for side in 0..2 {
            let ignored = session.side(side).ignored();
            session.side(side).handle_datagram(now, &bytes);
            prop_assert_eq!(session.side(side).poll_event(), None);
            prop_assert_eq!(session.side(side).ignored(), ignored + 1);
        }
    });
    let mut pair = session.into_inner();
    assert!(pair.client.send_data(b"still here"));
    pair.run(seconds(3), |_, _| true);
    assert_eq!(pair.server.poll_data(&mut out), Some(10));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn whatever_is_lost_of_the_first_six_datagrams_both_connect(lost in 0u32..64) {
        let mut pair = Pair::new();
        pair.client.start(pair.now);
        pair.run(seconds(19), |number, _| number >= 6 || lost & (1 << number) == 0);
        pair.assert_connected();
    }

    #[test]
    fn a_handshake_over_a_mutating_wire_connects_equally_or_not_at_all(
        changes in prop::collection::vec((0usize..8, any::<prop::sample::Index>(), 1u8..=255), 1..4)
    ) {
        let mut pair = Pair::new();
        pair.client.start(pair.now);
        pair.run(seconds(60), |number, datagram| {
            for (_, at, flip) in changes.iter().filter(|change| change.0 == number) {
                let at = at.index(datagram.len());
                datagram[at] ^= flip;
            }
            true
        });
        let connected = |event: &DtlsEvent| matches!(event, DtlsEvent::Connected { .. });
        let keys: Vec<_> = pair.events.iter().flatten().filter(|event| connected(event)).collect();
        if let [DtlsEvent::Connected { keying_material: a, .. }, DtlsEvent::Connected { keying_material: b, .. }] = &keys[..] {
            prop_assert_eq!(a, b);
        }
        for events in &pair.events {
            prop_assert!(!events.is_empty() && events.len() <= 2, "{:?}", events);
        }
    }
}

#[test]
fn keys_do_not_show_in_debug_text() {
    let keys = KeyingMaterial::new(&[0xAB; 60]).unwrap();
    assert_eq!(format!("{keys:?}"), "KeyingMaterial(60 bytes)");
    assert_eq!(KeyingMaterial::new(&[0; 89]), None);
}

#[test]
fn a_certificate_is_held_to_the_hash_function_that_the_sdp_names() {
    let der = certificates()[0].x509.to_der().unwrap();
    let digest = |hash| openssl::hash::hash(hash, &der).unwrap();
    let hashed: [(&str, MessageDigest); 4] = [
        ("sha-1", MessageDigest::sha1()),
        ("sha-224", MessageDigest::sha224()),
        ("sha-384", MessageDigest::sha384()),
        ("sha-512", MessageDigest::sha512()),
    ];
    for (name, hash) in hashed {
        let text: Vec<String> = digest(hash).iter().map(|byte| format!("{byte:02x}")).collect();
        for wrong in [false, true] {
            let mut pair = Pair::strangers(CHROMIUM, GCM_FIRST, MTU);
            let (_, server) = pair.fingerprints();
            let mut text = text.clone();
            if wrong {
                text[0] = if text[0] == "00" { "01".into() } else { "00".into() };
            }
            pair.client.set_remote_fingerprint(server);
            pair.server.set_remote_fingerprint(Fingerprint::parse(name, &text.join(":")).unwrap());
            pair.client.start(pair.now);
            pair.run(seconds(30), |_, _| true);
            if wrong {
                assert_eq!(pair.events[1], [DtlsEvent::Closed(CloseReason::Fingerprint)], "{name}");
            } else {
                pair.assert_connected();
            }
        }
    }
}
