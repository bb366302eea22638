//! Our DTLS endpoint connects with an independent implementation (dimpl, the one str0m uses), as client and as server.

use portunus::proto::dtls::{
    Certificate, CloseReason, Context, DtlsEvent, Endpoint, Fingerprint, Handshake, KeyKind, MTU, Role,
};
use portunus::time::{Mono, Now};
use std::time::Instant;
use str0m::crypto::CryptoProvider;
use str0m::crypto::dtls::{DtlsInstance, DtlsOutput, DtlsVersion};

const NOW: Now = Now { mono: Mono(0), unix_us: 1_790_000_000_000_000 };
const PROFILES: &str = "SRTP_AEAD_AES_128_GCM:SRTP_AES128_CM_SHA1_80:SRTP_AEAD_AES_256_GCM";

/// The independent side and what it has said.
struct Other {
    dtls: Box<dyn DtlsInstance>,
    keys: Vec<u8>,
    data: Vec<u8>,
    closed: bool,
}

impl Other {
    fn drain(&mut self, ours: &mut dyn Handshake) {
        let mut buffer = [0; 2048];
        loop {
            match self.dtls.poll_output(&mut buffer) {
                DtlsOutput::Packet(packet) => ours.handle_datagram(NOW, packet),
                DtlsOutput::KeyingMaterial(keys, _) => self.keys = keys.to_vec(),
                DtlsOutput::ApplicationData(data) => self.data = data.to_vec(),
                DtlsOutput::CloseNotify => self.closed = true,
                DtlsOutput::Timeout(_) => return,
                DtlsOutput::Connected | DtlsOutput::PeerCert(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }
}

fn pump(ours: &mut dyn Handshake, other: &mut Other) {
    let mut buffer = [0; MTU];
    for _ in 0..8 {
        other.drain(ours);
        while let Some(len) = ours.poll_transmit(&mut buffer) {
            other.dtls.handle_packet(&buffer[..len]).unwrap();
        }
    }
}

/// The passive side chooses the SRTP profile: we prefer 7, they 8.
fn connect(role: Role, version: DtlsVersion, chosen: u16) {
    let CryptoProvider { dtls_provider, sha256_provider, .. } = str0m::crypto::from_feature_flags();
    let certificate = dtls_provider.generate_certificate().unwrap();
    let fingerprint = Fingerprint::Sha256(sha256_provider.sha256(&certificate.certificate));
    let context = Context::new(&Certificate::generate(NOW, KeyKind::Ecdsa).unwrap(), PROFILES).unwrap();
    let mut ours = Endpoint::new(&context, role).unwrap();
    ours.set_remote_fingerprint(fingerprint);

    let start = Instant::now();
    let mut dtls = dtls_provider.new_dtls(&certificate, start, version, None).unwrap();
    dtls.set_active(role == Role::Passive);
    dtls.handle_timeout(start).unwrap();
    let mut other = Other { dtls, keys: vec![], data: vec![], closed: false };
    ours.start(NOW);
    pump(&mut ours, &mut other);

    match ours.poll_event() {
        Some(DtlsEvent::Connected { profile, keying_material, role: reported }) => {
            assert_eq!((profile, reported), (chosen, role));
            assert_eq!(keying_material.as_bytes(), other.keys);
        }
        event => panic!("{event:?}"),
    }
    assert!(ours.send_data(b"to them"));
    other.dtls.send_application_data(b"to us").unwrap();
    pump(&mut ours, &mut other);
    assert_eq!(other.data, b"to them");
    let mut buffer = [0; 1500];
    assert_eq!((ours.poll_data(&mut buffer), &buffer[..5]), (Some(5), &b"to us"[..]));

    other.dtls.close().unwrap();
    pump(&mut ours, &mut other);
    assert_eq!(ours.poll_event(), Some(DtlsEvent::Closed(CloseReason::Alert)));
}

#[test]
fn we_are_their_server() {
    connect(Role::Passive, DtlsVersion::Dtls12, 7);
}

#[test]
fn we_are_the_server_of_a_client_that_offers_1_3_first() {
    connect(Role::Passive, DtlsVersion::Auto, 7);
}

#[test]
fn we_are_their_client() {
    connect(Role::Active, DtlsVersion::Dtls12, 8);
}
