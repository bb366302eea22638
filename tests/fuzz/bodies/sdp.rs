//! Descriptions: an offer that parses is answered, and our answer parses; an answer that parses is understood.

use std::net::Ipv4Addr;

use portunus::control::codec::Codec;
use portunus::control::media::{ExtensionIds, OfferedMedia};
use portunus::control::spec::RoomSpec;
use portunus::id::RoomId;
use portunus::negotiate::{accept, answer};
use portunus::wire::sdp::{Candidate, DescriptionKind, Fingerprint, MediaKind, Mid, Setup, Transport, compose, parse};

/// One description.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(description) = parse(DescriptionKind::Answer, text) {
        let lines = [offered(MediaKind::Audio, Codec::Opus, "0"), offered(MediaKind::Video, Codec::Vp8, "1")];
        if let Ok(accepted) = accept(&lines, &description) {
            assert_eq!(accepted.len(), lines.len());
        }
    }
    let Ok(offer) = parse(DescriptionKind::Offer, text) else { return };
    let spec = RoomSpec::new(RoomId::from(1234));
    let Ok((mut ours, published)) = answer(&offer, &spec, None, None) else { return };
    assert_eq!(ours.media.len(), offer.media.len(), "RFC 3264 §6: as many m-lines as the offer");
    assert_eq!(published.len(), offer.media.len());
    let candidate = Candidate { address: Ipv4Addr::LOCALHOST.into(), port: 20_000, priority: 1 };
    ours.complete(&transport(), &[candidate]);
    let text = compose(&ours);
    let read = parse(DescriptionKind::Answer, &text).unwrap_or_else(|error| panic!("{error}: {text}"));
    for (ours, read) in ours.media.iter().zip(&read.media) {
        assert_eq!((ours.kind, ours.mid, ours.rejected), (read.kind, read.mid, read.rejected));
        if !ours.rejected {
            assert_eq!((ours.direction, &ours.payloads), (read.direction, &read.payloads));
            assert_eq!(ours.transport, read.transport);
        }
    }
    assert_eq!(ours.media.len(), read.media.len());
}

fn transport() -> Transport {
    let (ufrag, pwd) = ("ufrag".into(), "a-password-of-24-letters".replace('-', "+").into());
    Transport { ufrag, pwd, fingerprint: Fingerprint::Sha256([7; 32]), setup: Setup::Passive }
}

fn offered(kind: MediaKind, codec: Codec, mid: &str) -> OfferedMedia {
    OfferedMedia {
        mid: Mid::from(mid).expect("one character"),
        kind,
        codec,
        pt: codec.subscriber_pt(),
        rtx_pt: codec.is_video().then_some(97),
        fmtp: None,
        extensions: ExtensionIds { mid: Some(4), transport_cc: Some(3), ..ExtensionIds::default() },
        ssrc: 1,
        rtx_ssrc: codec.is_video().then_some(2),
        active: true,
        msid: ("stream".into(), "track".into()),
    }
}
