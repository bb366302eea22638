//! SDP text to [`Description`]. Lines are split by `sdp-types`; this file reads the attributes that mean something to
//! us, folds what is said once for the session into each m-line, and ignores the rest. What a single description can
//! make us keep is bounded here, because its text is the peer's (RFC 8866, RFC 8839, RFC 8842, RFC 9143).

use sdp_types::{Attribute, Bandwidth, Media, Session};

use super::description::*;
use super::error::SdpError;
use super::fingerprint::{Fingerprint, FingerprintError};
use super::token::Token;
use crate::limits::{MEDIA_LINES_MAX, SDP_BYTES_MAX};

/// Reads a description. An m-line that lacks ICE credentials, fingerprint or role takes the session's, else those of the
/// first m-line in use: BUNDLE is assumed. Of an m-line with port 0 only kind, tag and profile are kept.
pub fn parse(kind: DescriptionKind, text: &str) -> Result<Description, SdpError> {
    if text.len() > SDP_BYTES_MAX {
        return Err(SdpError::Size);
    }
    let session = Session::parse(text.as_bytes())?;
    // The library can do without them.
    for letter in ['o', 's'] {
        if !text.lines().any(|line| line.strip_prefix(letter).is_some_and(|rest| rest.starts_with('='))) {
            return Err(SdpError::Missing(letter));
        }
    }
    if session.medias.len() > MEDIA_LINES_MAX {
        return Err(SdpError::MediaLineCount);
    }
    let session_direction = find_direction(&session.attributes).unwrap_or(Direction::SendRecv);
    let mut inherited = TransportLines::read(&session.attributes)?;
    let mut media: Vec<MediaSection> = Vec::with_capacity(session.medias.len());
    for (index, lines) in session.medias.iter().enumerate() {
        let mut section = section(kind, index, lines, session_direction)?;
        if media.iter().any(|earlier| earlier.mid == section.mid) {
            return Err(SdpError::DuplicateMid(index));
        }
        if !section.rejected {
            let transport = TransportLines::read(&lines.attributes)?.or(inherited);
            section.transport = Some(transport.complete(kind, index)?);
            inherited = inherited.or(transport);
        }
        media.push(section);
    }
    Ok(Description {
        e2ee: false,
        kind,
        origin_id: session.origin.sess_id.parse().map_err(|_| SdpError::Origin)?,
        origin_version: session.origin.sess_version,
        session_name: session.session_name.as_str().into(),
        ice_lite: has(&session.attributes, "ice-lite"),
        extmap_allow_mixed: allows_mixed(&session),
        bundle: bundle(&session.attributes),
        media,
    })
}

/// RFC 8285 §6: for the session, or for each m-line as Firefox says it.
fn allows_mixed(session: &Session) -> bool {
    let said = |attributes: &[Attribute]| has(attributes, "extmap-allow-mixed");
    let everywhere = !session.medias.is_empty() && session.medias.iter().all(|media| said(&media.attributes));
    said(&session.attributes) || everywhere
}

/// What the attributes of one level say about ICE and DTLS.
#[derive(Clone, Copy, Default)]
struct TransportLines<'a> {
    ufrag: Option<&'a str>,
    pwd: Option<&'a str>,
    fingerprint: Option<Fingerprint>,
    setup: Option<Setup>,
}

impl<'a> TransportLines<'a> {
    fn read(attributes: &'a [Attribute]) -> Result<Self, SdpError> {
        let setup = match values(attributes, "setup").next() {
            Some(role) => Some(Setup::from_token(role.trim()).ok_or(SdpError::Setup)?),
            None => None,
        };
        Ok(TransportLines {
            ufrag: values(attributes, "ice-ufrag").next(),
            pwd: values(attributes, "ice-pwd").next(),
            fingerprint: fingerprint(attributes)?,
            setup,
        })
    }

    fn or(self, other: Self) -> Self {
        TransportLines {
            ufrag: self.ufrag.or(other.ufrag),
            pwd: self.pwd.or(other.pwd),
            fingerprint: self.fingerprint.or(other.fingerprint),
            setup: self.setup.or(other.setup),
        }
    }

    fn complete(self, kind: DescriptionKind, index: usize) -> Result<Transport, SdpError> {
        let word = |text: Option<&str>, min: usize| {
            text.filter(|t| (min..=256).contains(&t.len()) && t.bytes().all(|b| b.is_ascii_graphic())).map(Box::from)
        };
        let setup = match (kind, self.setup) {
            (DescriptionKind::Offer, setup) => setup.unwrap_or(Setup::ActPass),
            // RFC 8842 §5.3: an answer decides. One that does not is taken as the client it usually is.
            (DescriptionKind::Answer, None | Some(Setup::ActPass)) => Setup::Active,
            (DescriptionKind::Answer, Some(setup)) => setup,
        };
        Ok(Transport {
            ufrag: word(self.ufrag, 4).ok_or(SdpError::IceCredentials(index))?,
            pwd: word(self.pwd, 22).ok_or(SdpError::IceCredentials(index))?,
            fingerprint: self.fingerprint.ok_or(SdpError::Fingerprint(index))?,
            setup,
        })
    }
}

/// The fingerprint to hold the certificate to. A peer may give one for each hash function that it knows (RFC 8122 §5); the
/// strongest is taken, so that a weak one beside it opens nothing.
fn fingerprint(attributes: &[Attribute]) -> Result<Option<Fingerprint>, SdpError> {
    let mut best: Option<Fingerprint> = None;
    let mut unknown = false;
    for value in values(attributes, "fingerprint") {
        let (hash, digest) = value.trim().split_once(' ').unwrap_or((value, ""));
        match Fingerprint::parse(hash, digest.trim()) {
            Ok(fingerprint) if best.is_none_or(|best| best.digest().len() < fingerprint.digest().len()) => {
                best = Some(fingerprint);
            }
            Ok(_) => {}
            Err(FingerprintError::HashFunction) => unknown = true,
            Err(FingerprintError::Syntax) => return Err(SdpError::FingerprintFormat),
        }
    }
    if unknown && best.is_none() { Err(SdpError::FingerprintHash) } else { Ok(best) }
}

fn section(
    description: DescriptionKind,
    index: usize,
    lines: &Media,
    session_direction: Direction,
) -> Result<MediaSection, SdpError> {
    let kind = MediaKind::from_token(&lines.media).ok_or(SdpError::MediaType(index))?;
    let attributes = &lines.attributes;
    let mid = match values(attributes, "mid").next() {
        Some(tag) => mid(tag).ok_or(SdpError::Mid(index))?,
        None => mid(&index.to_string()).ok_or(SdpError::Mid(index))?,
    };
    let mut section = MediaSection::new(kind, mid, &lines.proto);
    // RFC 9143 §6: port 0 with bundle-only means "only inside the bundle", not "rejected".
    section.rejected = lines.port == 0 && !has(attributes, "bundle-only");
    if section.rejected {
        return Ok(section);
    }
    section.direction = find_direction(attributes).unwrap_or(session_direction);
    section.rtcp_mux = has(attributes, "rtcp-mux");
    section.bandwidth_bps = bandwidth(&lines.bandwidths);
    section.msid = values(attributes, "msid").next().map(msid);
    if kind == MediaKind::Data {
        // Before RFC 8841 the port was the format: `DTLS/SCTP 5000`.
        let port = values(attributes, "sctp-port").next().unwrap_or(&lines.fmt);
        section.sctp_port = port.trim().parse().ok();
    } else {
        section.payloads = payloads(&lines.fmt, attributes);
    }
    for Attribute { attribute, value } in attributes {
        let Some(value) = value else { continue };
        match attribute.as_str() {
            "extmap" => add_extension(&mut section.extensions, description, value),
            "ssrc" => add_ssrc(&mut section.ssrcs, value),
            "ssrc-group" if section.ssrc_groups.len() < SSRC_GROUPS_MAX => {
                section.ssrc_groups.extend(ssrc_group(value))
            }
            "rid" if section.rids.len() < RIDS_MAX => section.rids.extend(rid(value)),
            _ => {}
        }
    }
    Ok(section)
}

fn payloads(formats: &str, attributes: &[Attribute]) -> Vec<Payload> {
    let mut payloads: Vec<Payload> = Vec::new();
    for pt in formats.split_ascii_whitespace().filter_map(|format| format.parse().ok()) {
        if pt <= 127 && payloads.iter().all(|known| known.pt != pt) {
            payloads.push(static_payload(pt));
        }
    }
    for Attribute { attribute, value } in attributes {
        let Some((pt, text)) = value.as_deref().and_then(|value| value.split_once(' ')) else { continue };
        let text = text.trim();
        let every = pt == "*" && attribute == "rtcp-fb";
        let one: Option<u8> = pt.parse().ok();
        let named = payloads.iter_mut().filter(|payload| every || one == Some(payload.pt));
        match attribute.as_str() {
            "rtpmap" => named.for_each(|payload| map_encoding(payload, text)),
            "fmtp" if text.len() <= FMTP_MAX => named.for_each(|payload| payload.fmtp = Some(text.into())),
            "rtcp-fb" if text.len() <= FEEDBACK_TEXT_MAX => named.for_each(|payload| {
                let feedback = &mut payload.feedback;
                if feedback.len() < FEEDBACK_MAX && feedback.iter().all(|known| **known != *text) {
                    feedback.push(text.into());
                }
            }),
            _ => {}
        }
    }
    payloads.retain(|payload| !payload.encoding.is_empty());
    payloads
}

/// A payload type before its attributes are read; without a name unless RFC 3551 §6 gives one.
fn static_payload(pt: u8) -> Payload {
    let encoding = match pt {
        0 => "PCMU",
        8 => "PCMA",
        9 => "G722",
        _ => "",
    };
    Payload { pt, encoding: encoding.into(), clock_rate: 8_000, channels: None, fmtp: None, feedback: Vec::new() }
}

fn map_encoding(payload: &mut Payload, text: &str) {
    let mut parts = text.split('/');
    let (Some(encoding), Some(Ok(clock_rate))) = (parts.next(), parts.next().map(str::parse)) else { return };
    if encoding.len() <= ENCODING_MAX {
        payload.encoding = encoding.into();
        payload.clock_rate = clock_rate;
        payload.channels = parts.next().and_then(|channels| channels.parse().ok());
    }
}

/// `<id>["/"<direction>] <uri> [<attributes>]`. Offers come from those who send media to us and answers from those who
/// receive it, so an extension that the describer uses only the other way is left out. Encrypted ones (RFC 6904) too.
fn add_extension(extensions: &mut Vec<ExtensionMap>, description: DescriptionKind, value: &str) {
    let mut words = value.split_ascii_whitespace();
    let (Some(id), Some(uri)) = (words.next(), words.next()) else { return };
    let (id, direction) = id.split_once('/').unwrap_or((id, "sendrecv"));
    let Ok(id @ 1..) = id.parse::<u8>() else { return };
    let useful = match Direction::from_token(direction) {
        Some(Direction::SendRecv) => true,
        Some(Direction::SendOnly) => description == DescriptionKind::Offer,
        Some(Direction::RecvOnly) => description == DescriptionKind::Answer,
        Some(Direction::Inactive) | None => false,
    };
    // RFC 8285 §4.2 reserves 15.
    if useful && id != 15 && uri != ENCRYPTED && extensions.iter().all(|known| known.id != id) {
        extensions.push(ExtensionMap { id, uri: uri.into() });
    }
}

fn add_ssrc(ssrcs: &mut Vec<(u32, Box<str>)>, value: &str) {
    let (ssrc, attribute) = value.split_once(' ').unwrap_or((value, ""));
    let Ok(ssrc) = ssrc.parse() else { return };
    let cname = attribute.strip_prefix("cname:").unwrap_or_default();
    if let Some((_, known)) = ssrcs.iter_mut().find(|(known, _)| *known == ssrc) {
        if known.is_empty() {
            *known = cname.into();
        }
    } else if ssrcs.len() < SSRCS_MAX {
        ssrcs.push((ssrc, cname.into()));
    }
}

fn ssrc_group(value: &str) -> Option<SsrcGroup> {
    let mut words = value.split_ascii_whitespace();
    let semantics = words.next()?.into();
    let ssrcs = words.take(SSRCS_MAX).map(str::parse).collect::<Result<_, _>>().ok()?;
    Some(SsrcGroup { semantics, ssrcs })
}

fn rid(value: &str) -> Option<Rid> {
    let mut words = value.split_ascii_whitespace();
    let id = words.next()?.into();
    match words.next()? {
        "send" => Some(Rid { id, send: true }),
        "recv" => Some(Rid { id, send: false }),
        _ => None,
    }
}

fn msid(value: &str) -> Msid {
    let (stream, track) = value.split_once(' ').unwrap_or((value, ""));
    Msid { stream: stream.into(), track: track.into() }
}

/// A tag goes back to the peer inside a list of words, so it must be one.
fn mid(tag: &str) -> Option<Mid> {
    let word = !tag.is_empty() && tag.bytes().all(|b| b.is_ascii_graphic());
    Mid::from(tag).ok().filter(|_| word)
}

fn bundle(attributes: &[Attribute]) -> Vec<Mid> {
    let group = values(attributes, "group").find_map(|group| group.strip_prefix("BUNDLE")).unwrap_or_default();
    group.split_ascii_whitespace().filter_map(mid).take(MEDIA_LINES_MAX).collect()
}

/// TIAS (RFC 3890) is in bits, AS (RFC 8866 §5.8) in kilobits per second.
fn bandwidth(lines: &[Bandwidth]) -> Option<u64> {
    let of = |name: &str| lines.iter().find(|line| line.bwtype == name).map(|line| line.bandwidth);
    of("TIAS").or_else(|| of("AS").map(|kbps| kbps.saturating_mul(1000)))
}

fn find_direction(attributes: &[Attribute]) -> Option<Direction> {
    attributes.iter().find_map(|attribute| Direction::from_token(&attribute.attribute))
}

fn has(attributes: &[Attribute], name: &str) -> bool {
    attributes.iter().any(|attribute| attribute.attribute == name)
}

fn values<'a>(attributes: &'a [Attribute], name: &'static str) -> impl Iterator<Item = &'a str> {
    attributes.iter().filter(move |attribute| attribute.attribute == name).filter_map(|a| a.value.as_deref())
}

const ENCRYPTED: &str = "urn:ietf:params:rtp-hdrext:encrypt";
/// Longest fmtp kept; H264 parameter sets take some hundred characters. It is echoed to every subscriber.
const FMTP_MAX: usize = 1024;
/// Longest encoding name kept.
const ENCODING_MAX: usize = 32;
/// rtcp-fb texts kept per payload type, and their length: a `*` line is copied into each of up to 128 payload types.
const FEEDBACK_MAX: usize = 16;
const FEEDBACK_TEXT_MAX: usize = 32;
/// SSRCs per m-line: three encodings with RTX and FEC need nine.
const SSRCS_MAX: usize = 32;
const SSRC_GROUPS_MAX: usize = 16;
const RIDS_MAX: usize = 16;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::vectors;
    use super::*;

    fn offer(text: &str) -> Result<Description, SdpError> {
        parse(DescriptionKind::Offer, text)
    }

    /// A small offer whose lines a test replaces.
    fn small(session: &str, media: &str) -> String {
        format!("v=0\r\no=- 7 2 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n{session}{media}")
    }

    const TRANSPORT: &str = "a=ice-ufrag:abcd\r\na=ice-pwd:0123456789012345678901\r\na=setup:actpass\r\n\
        a=fingerprint:sha-256 00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:\
        00:11:22:33:44:55:66:77:88:99:aa:bb:cc:dd:ee:ff\r\n";
    const AUDIO: &str = "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\n";

    #[test]
    fn chromiums_offer_is_understood() {
        let offer = offer(vectors::CHROMIUM_PUBLISH).unwrap();
        assert_eq!((offer.origin_id, offer.origin_version), (7_615_716_211_374_089_570, 2));
        assert!(offer.extmap_allow_mixed && !offer.ice_lite);
        assert_eq!(offer.bundle.iter().map(|mid| &**mid).collect::<Vec<_>>(), ["0", "1"]);
        let [audio, video] = &offer.media[..] else { panic!("two m-lines") };
        assert_eq!((audio.kind, audio.direction, &*audio.mid), (MediaKind::Audio, Direction::SendOnly, "0"));
        let transport = audio.transport.as_ref().unwrap();
        assert_eq!((&*transport.ufrag, &*transport.pwd), ("rqCd", "Ng+1+P/16sapkCSB77liA8go"));
        assert_eq!(
            (transport.setup, transport.fingerprint.digest()[0], transport.fingerprint.digest()[31]),
            (Setup::ActPass, 0xE8, 0x40)
        );
        assert_eq!(offer.transport(), Some(transport));
        assert!(audio.rtcp_mux && video.rtcp_mux);
        let opus = &audio.payloads[0];
        assert_eq!((opus.pt, &*opus.encoding, opus.clock_rate, opus.channels), (111, "opus", 48_000, Some(2)));
        assert_eq!(opus.fmtp.as_deref(), Some("minptime=10;useinbandfec=1"));
        assert_eq!(opus.feedback, ["transport-cc".into()]);
        assert_eq!(video.payloads.len(), 23);
        assert_eq!(video.payloads[0].feedback.len(), 5);
        assert_eq!(video.extensions.len(), 11);
        assert_eq!(video.ssrcs.len(), 2);
        assert_eq!(video.ssrc_groups, [SsrcGroup { semantics: "FID".into(), ssrcs: vec![2_638_993_829, 621_592_314] }]);
    }

    #[test]
    fn simulcast_rids_and_data_ports_are_kept() {
        let simulcast = offer(vectors::CHROMIUM_SIMULCAST).unwrap();
        let rids: Vec<_> = simulcast.media[1].rids.iter().map(|rid| (&*rid.id, rid.send)).collect();
        assert_eq!(rids, [("h", true), ("m", true), ("l", true)]);
        let data = &offer(vectors::CHROMIUM_SENDRECV_DATA).unwrap().media[2];
        assert_eq!((data.kind, data.sctp_port, data.rejected), (MediaKind::Data, Some(5000), false));
        assert_eq!(&*data.profile, "UDP/DTLS/SCTP");
    }

    #[test]
    fn session_lines_and_star_feedback_reach_every_m_line() {
        let offer = offer(vectors::FIREFOX_LIKE).unwrap();
        let [audio, video] = &offer.media[..] else { panic!("two m-lines") };
        assert!(!video.rejected, "port 0 is not a rejection with bundle-only");
        let (audio_transport, video_transport) = (audio.transport.as_ref().unwrap(), video.transport.as_ref().unwrap());
        assert_eq!((&*audio_transport.ufrag, &*video_transport.ufrag), ("5d0b71aa", "c2f4910e"));
        assert_eq!(audio_transport.fingerprint, video_transport.fingerprint);
        assert!(video.payloads.iter().all(|payload| payload.feedback.len() == 5));
        assert_eq!(video.ssrcs.len(), 2);
        let static_ones: Vec<_> = audio.payloads.iter().map(|payload| (payload.pt, &*payload.encoding)).collect();
        assert_eq!(static_ones, [(109, "opus"), (9, "G722"), (0, "PCMU"), (8, "PCMA"), (101, "telephone-event")]);
        assert!(audio.extensions.iter().all(|map| map.id != 2), "what it only receives is not offered to a receiver");
    }

    #[test]
    fn later_m_lines_take_the_transport_of_the_first() {
        let text = small("", &format!("{AUDIO}{TRANSPORT}m=video 0 UDP/TLS/RTP/SAVPF 96\r\na=bundle-only\r\n"));
        let offer = offer(&text).unwrap();
        assert_eq!(offer.media[0].transport, offer.media[1].transport);
        assert_eq!(&*offer.media[1].mid, "1", "the index is the tag when none is given");
        assert_eq!(offer.media[0].direction, Direction::SendRecv);
        assert!(offer.media[1].payloads.is_empty(), "96 means nothing without rtpmap");
    }

    #[test]
    fn a_rejected_first_m_line_needs_no_transport() {
        let rejected = "m=audio 0 UDP/TLS/RTP/SAVPF 0\r\na=sendrecv\r\n";
        let text = small("", &format!("{rejected}m=video 9 UDP/TLS/RTP/SAVPF 96\r\n{TRANSPORT}"));
        let offer = offer(&text).unwrap();
        assert!(offer.media[0].rejected && offer.media[0].transport.is_none());
        assert_eq!(offer.transport(), offer.media[1].transport.as_ref());
        assert!(offer.transport().is_some());
    }

    #[test]
    fn what_is_missing_or_wrong_is_named() {
        let with = |session: &str, media: &str| offer(&small(session, media)).unwrap_err();
        assert_eq!(with("", AUDIO), SdpError::IceCredentials(0));
        let short = TRANSPORT.replace("abcd", "abc");
        assert_eq!(with(&short, AUDIO), SdpError::IceCredentials(0));
        let (ice, fingerprint) = TRANSPORT.split_at(TRANSPORT.find("a=fingerprint").unwrap());
        assert_eq!(with(ice, AUDIO), SdpError::Fingerprint(0));
        assert_eq!(with(fingerprint, AUDIO), SdpError::IceCredentials(0));
        assert_eq!(with(&TRANSPORT.replace("sha-256", "md5"), AUDIO), SdpError::FingerprintHash);
        assert_eq!(with(&TRANSPORT.replace("00:11:22", "00:11"), AUDIO), SdpError::FingerprintFormat);
        assert_eq!(with(&TRANSPORT.replace("actpass", "holdconn"), AUDIO), SdpError::Setup);
        assert_eq!(with(TRANSPORT, "m=text 9 RTP/AVP 98\r\n"), SdpError::MediaType(0));
        assert_eq!(with(TRANSPORT, &format!("{AUDIO}a=mid:12345678901234567\r\n")), SdpError::Mid(0));
        assert_eq!(with(TRANSPORT, &format!("{AUDIO}a=mid:a b\r\n")), SdpError::Mid(0));
        assert_eq!(with(TRANSPORT, &format!("{AUDIO}a=mid:1\r\n{AUDIO}")), SdpError::DuplicateMid(1));
        assert_eq!(with(TRANSPORT, &AUDIO.repeat(MEDIA_LINES_MAX + 1)), SdpError::MediaLineCount);
        assert_eq!(offer(&"v=0\r\n".repeat(SDP_BYTES_MAX)).unwrap_err(), SdpError::Size);
        assert_eq!(offer("").unwrap_err().to_string(), "Error processing SDP: No version line");
        assert_eq!(offer("v=0\r\n").unwrap_err(), SdpError::Missing('o'));
        assert_eq!(offer("v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\n").unwrap_err(), SdpError::Missing('s'));
    }

    #[test]
    fn encrypted_and_unusable_extensions_are_dropped() {
        let lines = "a=extmap:1 urn:ietf:params:rtp-hdrext:encrypt urn:ietf:params:rtp-hdrext:sdes:mid\r\n\
            a=extmap:2/sendonly urn:a\r\na=extmap:3/recvonly urn:b\r\na=extmap:4/inactive urn:c\r\n\
            a=extmap:15 urn:d\r\na=extmap:0 urn:e\r\na=extmap:2 urn:f\r\na=extmap:16 urn:g\r\n";
        let text = small(TRANSPORT, &format!("{AUDIO}{lines}"));
        let ids = |kind| parse(kind, &text).unwrap().media[0].extensions.iter().map(|map| map.id).collect::<Vec<_>>();
        assert_eq!(ids(DescriptionKind::Offer), [2, 16]);
        assert_eq!(ids(DescriptionKind::Answer), [3, 2, 16]);
    }

    #[test]
    fn an_undecided_answer_is_taken_as_the_dtls_client() {
        let text = small(TRANSPORT, AUDIO);
        assert_eq!(parse(DescriptionKind::Answer, &text).unwrap().transport().unwrap().setup, Setup::Active);
        assert_eq!(offer(&text).unwrap().transport().unwrap().setup, Setup::ActPass);
    }

    #[test]
    fn bandwidth_is_read_in_bits_per_second() {
        let with = |lines: &str| offer(&small(TRANSPORT, &format!("{AUDIO}{lines}"))).unwrap().media[0].bandwidth_bps;
        assert_eq!(with("b=AS:64\r\n"), Some(64_000));
        assert_eq!(with("b=AS:64\r\nb=TIAS:50000\r\n"), Some(50_000));
        assert_eq!(with(""), None);
    }

    #[test]
    fn what_one_m_line_can_make_us_keep_is_bounded() {
        let lines: String =
            (0..1000).map(|n| format!("a=rtcp-fb:* x{n}\r\na=ssrc:{n} cname:c\r\na=rid:{n} send\r\n")).collect();
        let section = &offer(&small(TRANSPORT, &format!("{AUDIO}{lines}"))).unwrap().media[0];
        let kept = (section.payloads[0].feedback.len(), section.ssrcs.len(), section.rids.len());
        assert_eq!(kept, (FEEDBACK_MAX, SSRCS_MAX, RIDS_MAX));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn mutated_descriptions_never_panic(
            which in 0..vectors::ALL.len(),
            edits in prop::collection::vec((any::<prop::sample::Index>(), 0..4u8, any::<char>()), 1..24),
        ) {
            let mut text: Vec<char> = vectors::ALL[which].chars().collect();
            for (place, edit, with) in edits {
                let place = place.index(text.len());
                match edit {
                    0 => text[place] = with,
                    1 => { text.remove(place); }
                    2 => text.insert(place, [' ', ':', '/', '=', '\n', '*', '0', '9'][with as usize % 8]),
                    _ => {
                        let end = (place + 40).min(text.len());
                        let copy: Vec<char> = text[place..end].to_vec();
                        text.splice(place..place, copy);
                    }
                }
            }
            let text: String = text.into_iter().collect();
            let _ = parse(DescriptionKind::Offer, &text);
            let _ = parse(DescriptionKind::Answer, &text);
        }
    }
}
