//! TLS with the library's own client on the other end of two buffers.

use super::*;
use crate::proto::self_signed::DAY;
use crate::time::Mono;
use openssl::asn1::Asn1Time;
use openssl::ec::{EcGroup, EcKey};
use openssl::nid::Nid;
use openssl::ssl::SslVerifyMode;
use std::io::{Read, Write};

const NOW: Now = Now { mono: Mono(0), unix_us: 1_790_000_000_000_000 };

fn context() -> Context {
    Context::self_signed(NOW, &["192.0.2.7".parse().unwrap(), "::1".parse().unwrap()], &["localhost".into()]).unwrap()
}

struct Client(SslStream<Memory>);

impl Client {
    fn new(adjust: impl FnOnce(&mut openssl::ssl::SslContextBuilder)) -> Client {
        let mut builder = SslContext::builder(SslMethod::tls()).unwrap();
        builder.set_verify(SslVerifyMode::NONE);
        adjust(&mut builder);
        let mut client = Client(SslStream::new(Ssl::new(&builder.build()).unwrap(), Memory::default()).unwrap());
        let _ = client.0.connect();
        client
    }

    /// Carries bytes both ways until nothing moves, `size` at a time.
    fn meet(&mut self, server: &mut Tls, size: usize) -> (Vec<u8>, Standing) {
        let (mut heard, mut standing) = (Vec::new(), Standing::Open);
        loop {
            let to_server = std::mem::take(&mut self.0.get_mut().output);
            for piece in to_server.chunks(size) {
                standing = server.receive(piece, &mut heard);
            }
            let to_client = std::mem::take(server.output());
            if to_server.is_empty() && to_client.is_empty() {
                return (heard, standing);
            }
            self.0.get_mut().input.extend_from_slice(&to_client);
            // Once it is connected this does nothing.
            let _ = self.0.connect();
        }
    }

    fn read(&mut self) -> Vec<u8> {
        let mut heard = vec![0; 1 << 20];
        let mut length = 0;
        while let Ok(count @ 1..) = self.0.read(&mut heard[length..]) {
            length += count;
        }
        heard.truncate(length);
        heard
    }
}

#[test]
fn plaintext_goes_both_ways_however_the_bytes_are_cut() {
    for size in [1, 1000, usize::MAX] {
        let (mut client, mut server) = (Client::new(|_| {}), Tls::new(&context()).unwrap());
        assert!(server.is_handshaking());
        client.meet(&mut server, size);
        assert!(client.0.connect().is_ok() && !server.is_handshaking());
        client.0.write_all(&[7; 40_000]).unwrap();
        assert_eq!(client.meet(&mut server, size), (vec![7; 40_000], Standing::Open));
        server.send(&[9; 50_000]);
        client.meet(&mut server, size);
        assert_eq!(client.read(), [9; 50_000]);
    }
}

#[test]
fn both_versions_and_http_alone_are_spoken() {
    for version in [SslVersion::TLS1_2, SslVersion::TLS1_3] {
        let mut client = Client::new(|builder| {
            builder.set_max_proto_version(Some(version)).unwrap();
            builder.set_alpn_protos(b"\x02h2\x08http/1.1").unwrap();
        });
        let mut server = Tls::new(&context()).unwrap();
        client.meet(&mut server, 100);
        assert_eq!(client.0.ssl().version2(), Some(version));
        assert_eq!(client.0.ssl().selected_alpn_protocol(), Some(&b"http/1.1"[..]));
    }
    let mut old = Client::new(|builder| builder.set_max_proto_version(Some(SslVersion::TLS1_1)).unwrap());
    let mut server = Tls::new(&context()).unwrap();
    assert_eq!(old.meet(&mut server, 100).1, Standing::Broken);
}

#[test]
fn either_side_can_say_that_it_is_done() {
    let (mut client, mut server) = (Client::new(|_| {}), Tls::new(&context()).unwrap());
    client.meet(&mut server, 100);
    client.0.write_all(b"last").unwrap();
    let _ = client.0.shutdown();
    assert_eq!(client.meet(&mut server, 100), (b"last".to_vec(), Standing::Ended));
    server.send(b"words");
    server.close();
    client.meet(&mut server, 100);
    assert_eq!(client.read(), b"words");
    assert_eq!(client.0.get_shutdown(), openssl::ssl::ShutdownState::SENT | openssl::ssl::ShutdownState::RECEIVED);
    server.send(b"nothing");
    assert!(server.output().is_empty());
}

#[test]
fn what_is_not_tls_is_known_by_its_first_byte_and_what_is_broken_by_the_library() {
    let mut server = Tls::new(&context()).unwrap();
    assert_eq!(server.receive(b"", &mut Vec::new()), Standing::Open);
    assert_eq!(server.receive(b"GET / HTTP/1.1\r\n", &mut Vec::new()), Standing::NotTls);
    let mut server = Tls::new(&context()).unwrap();
    assert_eq!(server.receive(b"\x16\x03\x01\x00\x04\x02\x00\x00\x00", &mut Vec::new()), Standing::Broken);
    let (mut client, mut server) = (Client::new(|_| {}), Tls::new(&context()).unwrap());
    client.meet(&mut server, 100);
    let mut heard = Vec::new();
    assert_eq!(server.receive(b"\x17\x03\x03\x00\x20aaaaaaaabbbbbbbbccccccccdddddddd", &mut heard), Standing::Broken);
    assert!(heard.is_empty());
}

#[test]
fn a_made_certificate_names_its_addresses_and_hosts() {
    let (mut client, mut server) = (Client::new(|_| {}), Tls::new(&context()).unwrap());
    client.meet(&mut server, 100);
    let certificate = client.0.ssl().peer_certificate().unwrap();
    let names = certificate.subject_alt_names().unwrap();
    let addresses: Vec<&[u8]> = names.iter().filter_map(|name| name.ipaddress()).collect();
    assert_eq!(addresses, [&[192, 0, 2, 7][..], &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]]);
    assert!(names.iter().any(|name| name.dnsname() == Some("localhost")));
}

#[test]
fn files_that_do_not_fit_are_told_apart() {
    let made = |key: &PKey<Private>| {
        let mut builder = X509::builder().unwrap();
        builder.set_not_before(&Asn1Time::from_unix(0).unwrap()).unwrap();
        builder.set_not_after(&Asn1Time::from_unix(DAY).unwrap()).unwrap();
        builder.set_pubkey(key).unwrap();
        builder.sign(key, MessageDigest::sha256()).unwrap();
        builder.build().to_pem().unwrap()
    };
    let key = || {
        let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
        PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap()
    };
    let (mine, other) = (key(), key());
    let (certificate, pem) = (made(&mine), mine.private_key_to_pem_pkcs8().unwrap());
    assert!(Context::from_pem(&certificate, &pem).is_ok());
    assert!(matches!(Context::from_pem(b"", &pem), Err(TlsError::Certificate(_))));
    assert!(matches!(Context::from_pem(&certificate, b"no"), Err(TlsError::Key(_))));
    let foreign = other.private_key_to_pem_pkcs8().unwrap();
    assert!(matches!(Context::from_pem(&certificate, &foreign), Err(TlsError::Mismatch)));
}
