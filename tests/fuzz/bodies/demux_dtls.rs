//! Datagrams by their first byte, and DTLS records into an endpoint that waits for its peer: it never connects to
//! someone without the certificate of the SDP, and asks to be woken only in the future.

use std::sync::LazyLock;

use portunus::limits::DATAGRAM_MAX;
use portunus::proto::dtls::{Certificate, Context, DtlsEvent, Endpoint, Fingerprint, Handshake, KeyKind, MTU, Role};
use portunus::time::{Mono, Now};
use portunus::wire::demux::{Protocol, classify};
use portunus::wire::reader::Reader;

/// Datagrams, each behind two bytes of its length; the last may be cut.
pub fn run(data: &[u8]) {
    let mut endpoint: Option<Endpoint> = None;
    let mut now = Now { mono: Mono(1_000_000_000), unix_us: 1_790_000_000_000_000 };
    let mut reader = Reader::new(data);
    for _ in 0..DATAGRAMS_MAX {
        let Ok(len) = reader.u16("length") else { break };
        let datagram = reader.sub(reader.len().min(len.into()), "datagram").expect("no longer than the rest").rest();
        if classify(datagram) != Protocol::Dtls || datagram.len() > DATAGRAM_MAX {
            continue;
        }
        let endpoint = endpoint.get_or_insert_with(waiting);
        endpoint.handle_datagram(now, datagram);
        drain(endpoint);
        // Every datagram takes a while; now and then a flight is repeated.
        now.mono = Mono(now.mono.0 + 30_000_000);
        if endpoint.deadline() <= now.mono {
            endpoint.handle_timeout(now);
            drain(endpoint);
        }
    }
}

fn drain(endpoint: &mut Endpoint) {
    let mut out = [0; DATAGRAM_MAX];
    while let Some(len) = endpoint.poll_transmit(&mut out) {
        assert!(len <= MTU && classify(&out[..len]) == Protocol::Dtls);
    }
    while let Some(event) = endpoint.poll_event() {
        assert!(matches!(event, DtlsEvent::Closed(_)), "nobody has a certificate of this hash");
    }
    assert_eq!(endpoint.poll_data(&mut out), None, "no data without a handshake");
}

fn waiting() -> Endpoint {
    static CONTEXT: LazyLock<Context> = LazyLock::new(|| {
        let certificate = Certificate::generate(Now::default(), KeyKind::Ecdsa).expect("a certificate");
        Context::new(&certificate, "SRTP_AEAD_AES_128_GCM:SRTP_AES128_CM_SHA1_80").expect("a context")
    });
    let mut endpoint = Endpoint::new(&CONTEXT, Role::Passive).expect("an endpoint");
    endpoint.set_remote_fingerprint(Fingerprint::Sha256([0; 32]));
    endpoint
}

/// A few flights; more only costs time.
const DATAGRAMS_MAX: usize = 16;
