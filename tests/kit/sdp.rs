//! The descriptions of peers that are not browsers, in tests/udp and perf/load: an offer of what a publisher sends, an answer
//! to what is offered, and what is read from those of a server.
#![allow(dead_code, reason = "each program takes what it needs")]

use portunus::wire::sdp::{
    Candidate, Description, DescriptionKind, Direction, ExtensionMap, MediaKind, MediaSection, Mid, Payload, Setup,
    Transport, compose, parse,
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
    /// Its first candidate.
    pub at: SocketAddr,
    /// Credentials and identity.
    pub transport: Transport,
    /// It sends no checks.
    pub ice_lite: bool,
    /// The SSRCs that it announces, with their kinds.
    pub sources: Vec<(u32, MediaKind)>,
}

/// What is wrong with a description.
pub type Fault = String;

impl Remote {
    /// Reads it from a message of the server.
    pub fn from(message: &Value) -> Result<Remote, Fault> {
        let (text, description) = description(message)?;
        let transport = description.transport().ok_or("a description without a transport")?.clone();
        let line = text.lines().find_map(|line| line.strip_prefix("a=candidate:")).ok_or("no candidate")?;
        let words: Vec<_> = line.split(' ').collect();
        let [_, _, _, _, ip, port, ..] = words[..] else { return Err(format!("a candidate of few words: {line}")) };
        let (Ok(ip), Ok(port)) = (ip.parse(), port.parse()) else { return Err(format!("no address: {line}")) };
        let announced =
            |line: &MediaSection| -> Vec<_> { line.ssrcs.iter().map(|(ssrc, _)| (*ssrc, line.kind)).collect() };
        let sources = description.media.iter().flat_map(announced).collect();
        Ok(Remote { at: SocketAddr::new(ip, port), transport, ice_lite: text.contains("a=ice-lite"), sources })
    }
}

fn description(message: &Value) -> Result<(&str, Description), Fault> {
    let kind = match message["jsep"]["type"].as_str() {
        Some("offer") => DescriptionKind::Offer,
        Some("answer") => DescriptionKind::Answer,
        _ => return Err(format!("no description: {message}")),
    };
    let text = message["jsep"]["sdp"].as_str().ok_or("a description without a text")?;
    let description = parse(kind, text).map_err(|error| format!("{error}: {text}"))?;
    Ok((text, description))
}

/// The offer of a publisher: an m-line for each SSRC that is given, with a candidate for a server that sends checks.
pub fn offer(local: &Transport, at: Option<SocketAddr>, audio: Option<u32>, video: Option<u32>) -> Value {
    let mut media = Vec::new();
    if let Some(ssrc) = audio {
        let opus = Payload {
            pt: OPUS,
            encoding: "opus".into(),
            clock_rate: 48_000,
            channels: Some(2),
            fmtp: Some("minptime=10;useinbandfec=1".into()),
            feedback: vec!["transport-cc".into()],
        };
        media.push(line(local, at, MediaKind::Audio, media.len(), ssrc, opus));
    }
    if let Some(ssrc) = video {
        let feedback = ["transport-cc", "ccm fir", "nack", "nack pli"].map(Into::into).to_vec();
        let vp8 = Payload { pt: VP8, encoding: "VP8".into(), clock_rate: 90_000, channels: None, fmtp: None, feedback };
        media.push(line(local, at, MediaKind::Video, media.len(), ssrc, vp8));
    }
    describe(DescriptionKind::Offer, media)
}

fn line(
    local: &Transport,
    at: Option<SocketAddr>,
    kind: MediaKind,
    index: usize,
    ssrc: u32,
    payload: Payload,
) -> MediaSection {
    MediaSection {
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
        candidates: at.map(candidate).into_iter().collect(),
        ..MediaSection::new(kind, Mid::from(&index.to_string()).expect("short"), "UDP/TLS/RTP/SAVPF")
    }
}

/// The answer of a subscriber to an offer of the server, which takes retransmission or leaves it out.
pub fn answer(local: &Transport, at: Option<SocketAddr>, message: &Value, takes_rtx: bool) -> Result<Value, Fault> {
    let (_, Description { mut media, .. }) = description(message)?;
    for line in &mut media {
        line.direction = Direction::RecvOnly;
        line.transport = Some(Transport { setup: Setup::Active, ..local.clone() });
        line.payloads.retain(|payload| takes_rtx || !payload.encoding.eq_ignore_ascii_case("rtx"));
        line.ssrcs.clear();
        line.ssrc_groups.clear();
        line.msid = None;
        line.candidates = at.map(candidate).into_iter().collect();
    }
    Ok(describe(DescriptionKind::Answer, media))
}

fn candidate(at: SocketAddr) -> Candidate {
    // RFC 8445 §5.1.2.1: a host candidate of component 1.
    Candidate { address: at.ip(), port: at.port(), priority: 0x7eff_ffff }
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
