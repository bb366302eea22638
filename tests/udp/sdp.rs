//! The descriptions of the native peers: an offer of what a publisher sends, an answer that takes all that is offered.

use portunus::wire::sdp::{
    Description, DescriptionKind, Direction, ExtensionMap, MediaKind, MediaSection, Mid, Payload, Setup, Transport,
    compose, parse,
};
use serde_json::{Value, json};
use std::net::SocketAddr;

/// Payload types, as Chromium numbers them.
pub const OPUS: u8 = 111;
pub const VP8: u8 = 96;
/// Header extensions of the offer.
pub const MID: u8 = 4;
pub const TRANSPORT_CC: u8 = 3;

/// The other side of a peer, as its description says.
#[derive(Clone, Debug)]
pub struct Remote {
    /// Its candidate.
    pub at: SocketAddr,
    /// Credentials and identity.
    pub transport: Transport,
    /// The SSRCs that it announces, with their kinds.
    pub sources: Vec<(u32, MediaKind)>,
}

impl Remote {
    /// Reads it from a message of the server, whose candidate must be one of `ip` families that we have a socket for.
    pub fn from(answer: &Value) -> Remote {
        let kind = match answer["jsep"]["type"].as_str() {
            Some("offer") => DescriptionKind::Offer,
            Some("answer") => DescriptionKind::Answer,
            _ => panic!("no description: {answer}"),
        };
        let text = answer["jsep"]["sdp"].as_str().expect("a description has a text");
        let description = parse(kind, text).unwrap_or_else(|error| panic!("{error}: {text}"));
        let transport = description.transport().expect("a server has a transport").clone();
        let sources =
            description.media.iter().flat_map(|media| media.ssrcs.iter().map(|(ssrc, _)| (*ssrc, media.kind)));
        Remote { at: candidate(text), transport, sources: sources.collect() }
    }
}

/// Our parser leaves out candidates, which a lite agent does not need.
fn candidate(text: &str) -> SocketAddr {
    let line = text.lines().find(|line| line.starts_with("a=candidate:")).expect("a candidate");
    let words: Vec<_> = line.split(' ').collect();
    SocketAddr::new(words[4].parse().expect("an address"), words[5].parse().expect("a port"))
}

/// The offer of a publisher with one m-line for audio and one for video.
pub fn offer(local: &Transport, audio: u32, video: u32) -> Value {
    let line = |kind, mid: &str, ssrc: u32, payload| MediaSection {
        direction: Direction::SendOnly,
        transport: Some(Transport { setup: Setup::ActPass, ..local.clone() }),
        payloads: vec![payload],
        extensions: vec![
            ExtensionMap { id: MID, direction: None, uri: "urn:ietf:params:rtp-hdrext:sdes:mid".into() },
            ExtensionMap {
                id: TRANSPORT_CC,
                direction: None,
                uri: "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01".into(),
            },
        ],
        rtcp_mux: true,
        ssrcs: vec![(ssrc, "native".into())],
        ..MediaSection::new(kind, Mid::from(mid).expect("short"), "UDP/TLS/RTP/SAVPF")
    };
    let opus = Payload {
        pt: OPUS,
        encoding: "opus".into(),
        clock_rate: 48_000,
        channels: Some(2),
        fmtp: Some("minptime=10;useinbandfec=1".into()),
        feedback: vec!["transport-cc".into()],
    };
    let feedback = ["transport-cc", "ccm fir", "nack", "nack pli"].map(Into::into).to_vec();
    let vp8 = Payload { pt: VP8, encoding: "VP8".into(), clock_rate: 90_000, channels: None, fmtp: None, feedback };
    let media = vec![line(MediaKind::Audio, "0", audio, opus), line(MediaKind::Video, "1", video, vp8)];
    describe(DescriptionKind::Offer, media)
}

/// The answer of a subscriber to an offer of the server.
pub fn answer(local: &Transport, offer: &Value) -> Value {
    let text = offer["jsep"]["sdp"].as_str().unwrap_or_else(|| panic!("no offer: {offer}"));
    let mut media = parse(DescriptionKind::Offer, text).unwrap_or_else(|error| panic!("{error}: {text}")).media;
    for line in &mut media {
        line.direction = Direction::RecvOnly;
        line.transport = Some(Transport { setup: Setup::Active, ..local.clone() });
        line.ssrcs.clear();
        line.ssrc_groups.clear();
        line.msid = None;
    }
    describe(DescriptionKind::Answer, media)
}

fn describe(kind: DescriptionKind, media: Vec<MediaSection>) -> Value {
    let description = Description {
        e2ee: false,
        kind,
        origin_id: 1,
        origin_version: 1,
        session_name: "-".into(),
        ice_lite: false,
        extmap_allow_mixed: true,
        bundle: Some(media.iter().map(|line| line.mid).collect()),
        media,
    };
    let kind = if kind == DescriptionKind::Offer { "offer" } else { "answer" };
    json!({ "type": kind, "sdp": compose(&description) })
}
