//! SDP text to [`Description`]: reads the attributes that mean something to us, folds what is said once for the session
//! into each m-line, and ignores the rest. What a single description can make us keep is bounded here, because its text
//! is the peer's (RFC 8866, RFC 8839, RFC 8842, RFC 9143).

use super::description::*;
use super::error::SdpError;
use super::fingerprint::{Fingerprint, FingerprintError};
use super::lines::{self, Level, Lines, MediaLine};
use super::token::Token;
use crate::limits::{MEDIA_LINES_MAX, SDP_BYTES_MAX};

/// Reads a description. An m-line that lacks ICE credentials, fingerprint or role takes the session's, else those of the
/// first m-line in use: BUNDLE is assumed. Of an m-line that is rejected only kind, tag and profile are kept.
pub fn parse(kind: DescriptionKind, text: &str) -> Result<Description, SdpError> {
    if text.len() > SDP_BYTES_MAX {
        return Err(SdpError::Size);
    }
    let Lines { origin, session_name, session, media: lines } = lines::split(text)?;
    let bundle = bundle(&session);
    let mids = mids(&lines)?;
    let session_direction = find_direction(&session).unwrap_or(Direction::SendRecv);
    let mut inherited = TransportLines::read(&session)?;
    let mut media: Vec<MediaSection> = Vec::with_capacity(lines.len());
    for (index, ((line, level), mid)) in lines.iter().zip(mids).enumerate() {
        // RFC 9143 §6: port 0 with bundle-only means "only inside the bundle", not "rejected".
        let is_bundled = level.has("bundle-only") && bundle.as_ref().is_some_and(|group| group.contains(&mid));
        let mut section = section(line, mid);
        section.rejected |= line.port == 0 && !is_bundled;
        if !section.rejected {
            section.direction = find_direction(level).unwrap_or(session_direction);
            read_media(&mut section, kind, line, level);
        }
        // What comes without DTLS is rejected, whatever it says.
        if !section.rejected && is_secured(&section.profile) {
            let transport = TransportLines::read(level)?.or(inherited);
            section.transport = Some(transport.complete(kind, index)?);
            inherited = inherited.or(transport);
        }
        media.push(section);
    }
    let everywhere = !lines.is_empty() && lines.iter().all(|(_, level)| level.has("extmap-allow-mixed"));
    let mut origin = origin.split_ascii_whitespace().skip(1).map(number);
    Ok(Description {
        e2ee: false,
        kind,
        origin_id: origin.next().unwrap_or_default(),
        origin_version: origin.next().unwrap_or_default(),
        session_name: session_name.into(),
        ice_lite: session.has("ice-lite"),
        // RFC 8285 §6: for the session, or for each m-line as Firefox says it.
        extmap_allow_mixed: session.has("extmap-allow-mixed") || everywhere,
        bundle,
        media,
    })
}

/// A number of `o=`, which is any row of digits (RFC 8866 §5.2): of longer ones the low 64 bits. It names a session to
/// nobody but its maker, so that what is no number is no fault.
fn number(digits: &str) -> u64 {
    let digits = digits.bytes().map_while(|digit| char::from(digit).to_digit(10));
    digits.fold(0, |number: u64, digit| number.wrapping_mul(10).wrapping_add(digit.into()))
}

/// The tags in order. An m-line without one is called by its index, or otherwise when another m-line is called so.
fn mids(lines: &[(MediaLine<'_>, Level<'_>)]) -> Result<Vec<Mid>, SdpError> {
    let mut given: Vec<Option<Mid>> = Vec::with_capacity(lines.len());
    for (index, (_, level)) in lines.iter().enumerate() {
        let tag = level.values("mid").next().map(|tag| mid(tag).ok_or(SdpError::Mid(index))).transpose()?;
        if tag.is_some() && given.contains(&tag) {
            return Err(SdpError::DuplicateMid(index));
        }
        given.push(tag);
    }
    let name = |index: usize| {
        let mut names = std::iter::once(index.to_string()).chain((0..).map(|n| format!("{index}-{n}")));
        let free = names.find_map(|name| Mid::from(&name).ok().filter(|name| !given.contains(&Some(*name))));
        free.expect("there are more names than m-lines")
    };
    Ok(given.iter().enumerate().map(|(index, tag)| tag.unwrap_or_else(|| name(index))).collect())
}

/// Whether the protocol has DTLS, or says RTP/SAVPF as it was said before RFC 5764 had a name for it.
fn is_secured(profile: &str) -> bool {
    profile.contains("RTP/SAVP") || profile.contains("DTLS")
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
    fn read(level: &Level<'a>) -> Result<Self, SdpError> {
        let setup = match level.values("setup").next() {
            // RFC 4145 §4: "not for the time being", which for DTLS decides nothing.
            Some(role) if role.eq_ignore_ascii_case("holdconn") => Some(Setup::ActPass),
            Some(role) => Some(Setup::from_token(role).ok_or(SdpError::Setup)?),
            None => None,
        };
        Ok(TransportLines {
            ufrag: level.values("ice-ufrag").next(),
            pwd: level.values("ice-pwd").next(),
            fingerprint: fingerprint(level)?,
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
fn fingerprint(level: &Level<'_>) -> Result<Option<Fingerprint>, SdpError> {
    let mut best: Option<Fingerprint> = None;
    let mut unknown = false;
    for value in level.values("fingerprint") {
        let (hash, digest) = value.split_once(' ').unwrap_or((value, ""));
        match Fingerprint::parse(hash, digest.trim_ascii_start()) {
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

/// What an m-line is, before it is read: an m-line of a kind that nothing here carries is as good as rejected.
fn section(line: &MediaLine<'_>, mid: Mid) -> MediaSection {
    // `m=application` is BFCP too (RFC 8856).
    let is_data = line.profile.contains("SCTP");
    let kind = MediaKind::from_token(line.media).filter(|kind| *kind != MediaKind::Data || is_data);
    match kind {
        Some(kind) => MediaSection::new(kind, mid, line.profile),
        None => MediaSection {
            media: line.media.into(),
            rejected: true,
            ..MediaSection::new(MediaKind::Other, mid, line.profile)
        },
    }
}

fn read_media(section: &mut MediaSection, description: DescriptionKind, line: &MediaLine<'_>, level: &Level<'_>) {
    section.rtcp_mux = level.has("rtcp-mux");
    section.bandwidth_bps = level.bandwidth();
    section.msid = level.values("msid").next().map(msid);
    if section.kind == MediaKind::Data {
        // Before RFC 8841 the port was the format: `DTLS/SCTP 5000`.
        section.sctp_port = level.values("sctp-port").next().unwrap_or(line.formats).parse().ok();
    } else {
        section.payloads = payloads(line.formats, level);
    }
    for (attribute, value) in level.attributes() {
        let Some(value) = value else { continue };
        match attribute {
            "extmap" => add_extension(&mut section.extensions, description, value),
            "ssrc" => add_ssrc(&mut section.ssrcs, value),
            "ssrc-group" if section.ssrc_groups.len() < SSRC_GROUPS_MAX => {
                section.ssrc_groups.extend(ssrc_group(value))
            }
            "rid" if section.rids.len() < RIDS_MAX => section.rids.extend(rid(value)),
            _ => {}
        }
    }
}

fn payloads(formats: &str, level: &Level<'_>) -> Vec<Payload> {
    let mut payloads: Vec<Payload> = Vec::new();
    for pt in formats.split_ascii_whitespace().filter_map(|format| format.parse().ok()) {
        if pt <= 127 && payloads.iter().all(|known| known.pt != pt) {
            payloads.push(static_payload(pt));
        }
    }
    for (attribute, value) in level.attributes() {
        let Some((pt, text)) = value.and_then(|value| value.split_once(' ')) else { continue };
        let text = text.trim_ascii_start();
        let every = pt == "*" && attribute == "rtcp-fb";
        let one: Option<u8> = pt.parse().ok();
        let named = payloads.iter_mut().filter(|payload| every || one == Some(payload.pt));
        match attribute {
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
    let (id, direction) = match id.split_once('/') {
        Some((id, direction)) => match Direction::from_token(direction) {
            Some(direction) => (id, Some(direction)),
            None => return,
        },
        None => (id, None),
    };
    let Ok(id @ 1..) = id.parse::<u8>() else { return };
    let useful = match direction {
        Some(Direction::SendRecv) | None => true,
        Some(Direction::SendOnly) => description == DescriptionKind::Offer,
        Some(Direction::RecvOnly) => description == DescriptionKind::Answer,
        Some(Direction::Inactive) => false,
    };
    // RFC 8285 §4.2 reserves 15.
    if useful && id != 15 && uri != ENCRYPTED && extensions.iter().all(|known| known.id != id) {
        extensions.push(ExtensionMap { id, direction, uri: uri.into() });
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

/// The first BUNDLE group: what another one holds runs on another transport.
fn bundle(session: &Level<'_>) -> Option<Vec<Mid>> {
    session.values("group").find_map(|group| {
        let mut words = group.split_ascii_whitespace();
        (words.next()? == "BUNDLE").then(|| words.filter_map(mid).take(MEDIA_LINES_MAX).collect())
    })
}

fn find_direction(level: &Level<'_>) -> Option<Direction> {
    level.attributes().find_map(|(attribute, _)| Direction::from_token(attribute))
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
        assert_eq!(offer.bundle.iter().flatten().map(|mid| &**mid).collect::<Vec<_>>(), ["0", "1"]);
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
        let text = small(
            "a=group:BUNDLE 0 1\r\n",
            &format!("{AUDIO}{TRANSPORT}m=video 0 UDP/TLS/RTP/SAVPF 96\r\na=bundle-only\r\n"),
        );
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
        assert_eq!(with(&TRANSPORT.replace("actpass", "somehow"), AUDIO), SdpError::Setup);
        assert_eq!(with(TRANSPORT, &format!("{AUDIO}a=mid:{}\r\n", "x".repeat(256))), SdpError::Mid(0));
        assert_eq!(with(TRANSPORT, &format!("{AUDIO}a=mid:a b\r\n")), SdpError::Mid(0));
        assert_eq!(with(TRANSPORT, &format!("{AUDIO}a=mid:1\r\n{AUDIO}a=mid:1\r\n")), SdpError::DuplicateMid(1));
        assert_eq!(with(TRANSPORT, &AUDIO.repeat(MEDIA_LINES_MAX + 1)), SdpError::MediaLineCount);
        assert_eq!(offer(&"v=0\r\n".repeat(SDP_BYTES_MAX)).unwrap_err(), SdpError::Size);
        assert_eq!(offer("").unwrap_err().to_string(), "Error processing SDP: No version line");
        assert_eq!(offer("v=1\r\n").unwrap_err(), SdpError::Version);
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

    /// What is odd about an offer in the wild changes nothing else about it.
    #[test]
    fn oddities_change_nothing_else() {
        let plain = offer(vectors::ODD_BANDWIDTH.replace("b=AS:50.5\r\n", "").as_str()).unwrap();
        let with_bandwidth = offer(vectors::ODD_BANDWIDTH).unwrap();
        assert_eq!(with_bandwidth.media[0].bandwidth_bps, Some(50_500));
        for odd in [vectors::ODD_SETUP, vectors::ODD_SPACES] {
            assert_eq!(offer(odd).unwrap(), plain);
        }
        let huge = offer(vectors::ODD_ORIGIN).unwrap();
        assert_eq!((huge.origin_id, huge.origin_version), (99_999_999_999_999_999_999_999_u128 as u64, 1));
        assert_eq!(huge.media, plain.media);
        for (from, to) in [
            ("a=setup:actpass", "a=setup:ACTPASS"),
            ("\r\n", "\r\r\n"),
            ("v=0", "v=0 "),
            ("a=ice-ufrag:nWnq", "a=ice-ufrag:nWnq  "),
            ("a=ice-pwd:DTdCVj00s9nGkNgWra0P30A2", "a=ice-pwd:DTdCVj00s9nGkNgWra0P30A2\t"),
            ("t=0 0", "t=0 0\r\nb=AS:-1\r\nb=X:NaN\r\nb=CT: 5 \r\nk=?\r\nz="),
        ] {
            let text = vectors::ODD_BANDWIDTH.replace("b=AS:50.5\r\n", "").replace(from, to);
            assert_eq!(offer(&text).unwrap(), plain, "{to:?}");
        }
        let named = offer(&small(TRANSPORT, AUDIO).replace("o=- 7 2 ", "o=jo session one ")).unwrap();
        assert_eq!((named.origin_id, named.origin_version), (0, 0));
    }

    #[test]
    fn what_nothing_carries_is_rejected_and_needs_nothing() {
        let described = offer(vectors::EXTRA_TEXT).unwrap();
        let [_, _, text] = &described.media[..] else { panic!("three m-lines") };
        assert_eq!((text.kind, &*text.media, &*text.mid, text.rejected), (MediaKind::Other, "text", "txt", true));
        let others = "m=message 5060 TCP/TLS/MSRP *\r\nm=image 9 udptl t38\r\nm=application 9 TCP/BFCP *\r\n\
            m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nm=x-own 9 RTP/AVP 0\r\nm=audio 9 RTP/AVP 0\r\n";
        let described = offer(&small("", &format!("{AUDIO}{TRANSPORT}{others}"))).unwrap();
        let kinds: Vec<_> = described.media.iter().map(|media| (media.kind, &*media.media, media.rejected)).collect();
        let (other, data) = (MediaKind::Other, MediaKind::Data);
        assert_eq!(kinds[1..4], [(other, "message", true), (other, "image", true), (other, "application", true)]);
        assert_eq!(kinds[4..], [(data, "", false), (other, "x-own", true), (MediaKind::Audio, "", false)]);
        assert!(described.media[6].transport.is_none(), "no DTLS: it takes no transport and is not carried");
    }

    #[test]
    fn m_lines_without_a_tag_clash_with_nobody() {
        let media = format!("m=audio 0 RTP/SAVPF 0\r\n{AUDIO}a=mid:0\r\n{AUDIO}{AUDIO}a=mid:2\r\n{AUDIO}a=mid:2-0\r\n");
        let described = offer(&small(TRANSPORT, &media)).unwrap();
        let mids: Vec<&str> = described.media.iter().map(|media| &*media.mid).collect();
        assert_eq!(mids, ["0-0", "0", "2-1", "2", "2-0"]);
        let uuid = "2f0c9a1e-52c4-4a8e-9a55-0d6f0c3f1b7e";
        let described = offer(&small(TRANSPORT, &format!("{AUDIO}a=mid:{uuid}\r\n"))).unwrap();
        assert_eq!(&*described.media[0].mid, uuid);
        let longest = "m".repeat(255);
        let described =
            offer(&small(&format!("a=group:BUNDLE {longest}\r\n{TRANSPORT}"), &format!("{AUDIO}a=mid:{longest}\r\n")))
                .unwrap();
        assert_eq!(described.bundle, Some(vec![described.media[0].mid]));
    }

    #[test]
    fn a_group_is_none_when_none_is_given() {
        assert_eq!(offer(vectors::GST_NONE).unwrap().bundle, None);
        let of = |group: &str| offer(&small(&format!("{group}\r\n{TRANSPORT}"), AUDIO)).unwrap().bundle;
        assert_eq!(of("a=group:LS 0"), None);
        assert_eq!(of("a=group:BUNDLES 0"), None);
        assert_eq!(of("a=group:BUNDLE"), Some(vec![]));
        let alone = small(TRANSPORT, "m=audio 0 UDP/TLS/RTP/SAVPF 0\r\na=bundle-only\r\n");
        assert!(offer(&alone).unwrap().media[0].rejected, "bundle-only outside of a bundle");
    }

    #[test]
    fn the_strongest_fingerprint_counts() {
        let digest = |bytes: usize| vec!["A5"; bytes].join(":");
        let lines =
            format!("a=fingerprint:sha-1 {}\r\na=fingerprint:SHA-384 {}\r\n{TRANSPORT}", digest(20), digest(48));
        let transport = offer(&small(&lines, AUDIO)).unwrap().transport().cloned().unwrap();
        assert_eq!(transport.fingerprint, Fingerprint::Sha384([0xA5; 48]));
        let alone = TRANSPORT.split("a=fingerprint").next().unwrap();
        let weak = format!("{alone}a=fingerprint:md5 {}\r\na=fingerprint:sha-1 {}\r\n", digest(16), digest(20));
        let transport = offer(&small(&weak, AUDIO)).unwrap().transport().cloned().unwrap();
        assert_eq!(transport.fingerprint, Fingerprint::Sha1([0xA5; 20]));
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
