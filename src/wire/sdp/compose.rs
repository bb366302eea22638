//! [`Description`] to SDP text, in the order of lines that Janus clients have always seen. Nothing is decided here: what
//! the value holds is written, and of a rejected m-line the transport alone (RFC 8866, RFC 9429 §5).

use std::fmt::{self, Display, Formatter};
use std::net::{IpAddr, Ipv4Addr};

use super::description::*;
use super::token::Token;

/// Writes a description; every line ends in CRLF.
pub fn compose(description: &Description) -> String {
    Text(description).to_string()
}

struct Text<'a>(&'a Description);

impl Display for Text<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Text(description) = self;
        let address = Address(description.media.iter().find_map(|media| media.candidates.first()));
        write!(f, "v=0\r\no=- {} {} {address}\r\n", description.origin_id, description.origin_version)?;
        let name = if description.session_name.is_empty() { "-" } else { &description.session_name };
        write!(f, "s={}\r\nt=0 0\r\n", OneLine(name))?;
        if let Some(group) = &description.bundle {
            f.write_str("a=group:BUNDLE")?;
            group.iter().try_for_each(|mid| write!(f, " {}", OneLine(mid)))?;
            f.write_str("\r\n")?;
        }
        f.write_str("a=ice-options:trickle\r\n")?;
        if let Some(transport) = description.transport() {
            let fingerprint = &transport.fingerprint;
            write!(f, "a=fingerprint:{} {fingerprint}\r\n", fingerprint.hash_name())?;
        }
        if description.extmap_allow_mixed {
            f.write_str("a=extmap-allow-mixed\r\n")?;
        }
        f.write_str("a=msid-semantic: WMS *\r\n")?;
        if description.ice_lite {
            f.write_str("a=ice-lite\r\n")?;
        }
        description.media.iter().try_for_each(|media| write_media(f, media, &address))
    }
}

fn write_media(f: &mut Formatter<'_>, media: &MediaSection, address: &Address<'_>) -> fmt::Result {
    let port = if media.rejected { 0 } else { 9 };
    let kind = if media.kind == MediaKind::Other { &media.media } else { media.kind.token() };
    write!(f, "m={} {port} {}", OneLine(kind), OneLine(&media.profile))?;
    match media.kind {
        MediaKind::Data if is_legacy_data(media) => write!(f, " {}", media.sctp_port.unwrap_or(SCTP_PORT))?,
        MediaKind::Data => f.write_str(" webrtc-datachannel")?,
        _ if media.rejected || media.payloads.is_empty() => f.write_str(" 0")?,
        _ => media.payloads.iter().try_for_each(|payload| write!(f, " {}", payload.pt))?,
    }
    write!(f, "\r\nc={address}\r\n")?;
    if media.rejected {
        write!(f, "a=inactive\r\na=mid:{}\r\n", OneLine(&media.mid))?;
        return write_transport(f, media);
    }
    if let Some(bps) = media.bandwidth_bps {
        write!(f, "b=TIAS:{bps}\r\nb=AS:{}\r\n", bps.div_ceil(1000))?;
    }
    write!(f, "a={}\r\na=mid:{}\r\n", media.direction.token(), OneLine(&media.mid))?;
    if media.rtcp_mux {
        f.write_str("a=rtcp-mux\r\n")?;
    }
    write_transport(f, media)?;
    match media.kind {
        MediaKind::Data => write_data(f, media)?,
        _ => write_rtp(f, media)?,
    }
    for (index, candidate) in media.candidates.iter().enumerate() {
        write!(f, "a={}\r\n", candidate.attribute(index))?;
    }
    f.write_str("a=end-of-candidates\r\n")
}

/// On rejected m-lines it means nothing (RFC 3264 §6), but webrtcbin of GStreamer 1.22 refuses descriptions without it.
fn write_transport(f: &mut Formatter<'_>, media: &MediaSection) -> fmt::Result {
    let Some(transport) = &media.transport else { return Ok(()) };
    write!(f, "a=ice-ufrag:{}\r\na=ice-pwd:{}\r\n", OneLine(&transport.ufrag), OneLine(&transport.pwd))?;
    write!(f, "a=ice-options:trickle\r\na=setup:{}\r\n", transport.setup.token())
}

impl Candidate {
    /// The attribute of a description's candidate number `index`, from 0 on.
    pub fn attribute(&self, index: usize) -> String {
        let Candidate { address, port, priority } = self;
        format!("candidate:{} 1 udp {priority} {address} {port} typ host", index + 1)
    }
}

fn write_rtp(f: &mut Formatter<'_>, media: &MediaSection) -> fmt::Result {
    let is_rtx = |payload: &&Payload| payload.encoding.eq_ignore_ascii_case("rtx");
    media.payloads.iter().filter(|payload| !is_rtx(payload)).try_for_each(|payload| write_payload(f, payload))?;
    for ExtensionMap { id, direction, uri } in &media.extensions {
        write!(f, "a=extmap:{id}")?;
        if let Some(direction) = direction {
            write!(f, "/{}", direction.token())?;
        }
        write!(f, " {}\r\n", OneLine(uri))?;
    }
    media.payloads.iter().filter(is_rtx).try_for_each(|payload| write_payload(f, payload))?;
    for group in &media.ssrc_groups {
        write!(f, "a=ssrc-group:{}", OneLine(&group.semantics))?;
        group.ssrcs.iter().try_for_each(|ssrc| write!(f, " {ssrc}"))?;
        f.write_str("\r\n")?;
    }
    if let Some(Msid { stream, track }) = &media.msid {
        write!(f, "a=msid:{} {}\r\n", OneLine(stream), OneLine(track))?;
    }
    media.ssrcs.iter().try_for_each(|(ssrc, cname)| write!(f, "a=ssrc:{ssrc} cname:{}\r\n", OneLine(cname)))
}

fn write_payload(f: &mut Formatter<'_>, payload: &Payload) -> fmt::Result {
    let Payload { pt, encoding, clock_rate, channels, fmtp, feedback } = payload;
    write!(f, "a=rtpmap:{pt} {}/{clock_rate}", OneLine(encoding))?;
    if let Some(channels) = channels {
        write!(f, "/{channels}")?;
    }
    f.write_str("\r\n")?;
    if let Some(fmtp) = fmtp {
        write!(f, "a=fmtp:{pt} {}\r\n", OneLine(fmtp))?;
    }
    feedback.iter().try_for_each(|feedback| write!(f, "a=rtcp-fb:{pt} {}\r\n", OneLine(feedback)))
}

fn write_data(f: &mut Formatter<'_>, media: &MediaSection) -> fmt::Result {
    let port = media.sctp_port.unwrap_or(SCTP_PORT);
    if is_legacy_data(media) {
        write!(f, "a=sctpmap:{port} webrtc-datachannel 16\r\n")
    } else {
        write!(f, "a=sctp-port:{port}\r\n")
    }
}

/// The form of m-line from before RFC 8841.
fn is_legacy_data(media: &MediaSection) -> bool {
    &*media.profile == "DTLS/SCTP"
}

/// A text that stays in its line. Whoever makes a description has refused control characters; one that was let through
/// is our mistake, and is left out rather than let it begin a line of its own in somebody's description.
struct OneLine<'a>(&'a str);

impl Display for OneLine<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        debug_assert!(!self.0.contains(char::is_control), "a control character for SDP: {:?}", self.0);
        self.0.split(char::is_control).try_for_each(|part| f.write_str(part))
    }
}

/// Our address as `o=` and `c=` lines have it; unspecified when no candidate is known (RFC 9429 §5.2.1).
struct Address<'a>(Option<&'a Candidate>);

impl Display for Address<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |candidate| candidate.address) {
            IpAddr::V4(address) => write!(f, "IN IP4 {address}"),
            IpAddr::V6(address) => write!(f, "IN IP6 {address}"),
        }
    }
}

const SCTP_PORT: u16 = 5000;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{Fingerprint, parse, vectors};
    use super::*;

    fn transport() -> Transport {
        let fingerprint = Fingerprint::Sha256(std::array::from_fn(|index| u8::try_from(index * 8).unwrap()));
        Transport { ufrag: "Zx1k".into(), pwd: "0123456789abcdefghijkl".into(), fingerprint, setup: Setup::Passive }
    }

    fn audio() -> MediaSection {
        MediaSection {
            direction: Direction::RecvOnly,
            rtcp_mux: true,
            payloads: vec![Payload {
                pt: 111,
                encoding: "opus".into(),
                clock_rate: 48_000,
                channels: Some(2),
                fmtp: Some("useinbandfec=1".into()),
                feedback: Vec::new(),
            }],
            extensions: vec![ExtensionMap {
                id: 4,
                direction: None,
                uri: "urn:ietf:params:rtp-hdrext:sdes:mid".into(),
            }],
            ..MediaSection::new(MediaKind::Audio, Mid::from("0").unwrap(), "UDP/TLS/RTP/SAVPF")
        }
    }

    fn answer(media: Vec<MediaSection>) -> Description {
        Description {
            e2ee: false,
            kind: DescriptionKind::Answer,
            origin_id: 4_611_731_400_430_051_336,
            origin_version: 2,
            session_name: "VideoRoom 4411".into(),
            ice_lite: true,
            extmap_allow_mixed: true,
            bundle: Some(media.iter().filter(|line| !line.rejected).map(|line| line.mid).collect()),
            media,
        }
    }

    #[test]
    fn lines_come_in_the_order_of_janus() {
        let rejected = MediaSection::new(MediaKind::Video, Mid::from("1").unwrap(), "UDP/TLS/RTP/SAVPF");
        let mut answer = answer(vec![audio(), MediaSection { rejected: true, ..rejected }]);
        let host = Candidate { address: [203, 0, 113, 5].into(), port: 40_000, priority: 2_015_363_327 };
        let other = Candidate { address: "2001:db8::1".parse().unwrap(), port: 40_000, priority: 2_015_363_326 };
        answer.complete(&transport(), &[host, other]);
        let expected = "v=0\r\no=- 4611731400430051336 2 IN IP4 203.0.113.5\r\ns=VideoRoom 4411\r\nt=0 0\r\n\
            a=group:BUNDLE 0\r\na=ice-options:trickle\r\n\
            a=fingerprint:sha-256 00:08:10:18:20:28:30:38:40:48:50:58:60:68:70:78:\
            80:88:90:98:A0:A8:B0:B8:C0:C8:D0:D8:E0:E8:F0:F8\r\n\
            a=extmap-allow-mixed\r\na=msid-semantic: WMS *\r\na=ice-lite\r\n\
            m=audio 9 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 203.0.113.5\r\na=recvonly\r\na=mid:0\r\na=rtcp-mux\r\n\
            a=ice-ufrag:Zx1k\r\na=ice-pwd:0123456789abcdefghijkl\r\na=ice-options:trickle\r\na=setup:passive\r\n\
            a=rtpmap:111 opus/48000/2\r\na=fmtp:111 useinbandfec=1\r\n\
            a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid\r\n\
            a=candidate:1 1 udp 2015363327 203.0.113.5 40000 typ host\r\n\
            a=candidate:2 1 udp 2015363326 2001:db8::1 40000 typ host\r\na=end-of-candidates\r\n\
            m=video 0 UDP/TLS/RTP/SAVPF 0\r\nc=IN IP4 203.0.113.5\r\na=inactive\r\na=mid:1\r\n\
            a=ice-ufrag:Zx1k\r\na=ice-pwd:0123456789abcdefghijkl\r\na=ice-options:trickle\r\na=setup:passive\r\n";
        assert_eq!(compose(&answer), expected);
    }

    #[test]
    fn a_bandwidth_is_written_both_ways() {
        let section = MediaSection { bandwidth_bps: Some(64_001), ..audio() };
        assert!(compose(&answer(vec![section])).contains("\r\nb=TIAS:64001\r\nb=AS:65\r\na=recvonly\r\n"));
    }

    #[test]
    fn data_is_written_in_the_form_of_the_peer() {
        let data = |profile: &str| {
            let section = MediaSection::new(MediaKind::Data, Mid::from("d").unwrap(), profile);
            compose(&answer(vec![MediaSection { sctp_port: Some(5000), ..section }]))
        };
        assert!(data("UDP/DTLS/SCTP").contains("m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n"));
        assert!(data("UDP/DTLS/SCTP").contains("a=sctp-port:5000\r\n"));
        assert!(data("DTLS/SCTP").contains("m=application 9 DTLS/SCTP 5000\r\n"));
        assert!(data("DTLS/SCTP").contains("a=sctpmap:5000 webrtc-datachannel 16\r\n"));
    }

    #[test]
    fn an_empty_bundle_is_still_a_group() {
        assert!(compose(&answer(Vec::new())).contains("\r\na=group:BUNDLE\r\n"));
    }

    #[test]
    fn no_group_is_written_where_there_is_none() {
        let alone = Description { bundle: None, ..answer(vec![audio()]) };
        assert!(!compose(&alone).contains("BUNDLE"));
    }

    #[test]
    fn another_kind_goes_back_under_its_name() {
        let text = MediaSection::new(MediaKind::Other, Mid::from("txt").unwrap(), "UDP/TLS/RTP/SAVPF");
        let text = MediaSection { media: "text".into(), rejected: true, ..text };
        let expected = "m=text 0 UDP/TLS/RTP/SAVPF 0\r\nc=IN IP4 0.0.0.0\r\na=inactive\r\na=mid:txt\r\n";
        assert!(compose(&answer(vec![text])).ends_with(expected));
    }

    #[test]
    fn an_extension_is_written_with_its_direction() {
        let one_way = ExtensionMap { id: 2, direction: Some(Direction::RecvOnly), uri: "urn:a".into() };
        let section = MediaSection { extensions: vec![one_way], ..audio() };
        assert!(compose(&answer(vec![section])).contains("\r\na=extmap:2/recvonly urn:a\r\n"));
    }

    #[test]
    #[cfg_attr(debug_assertions, should_panic(expected = "a control character for SDP"))]
    fn a_text_never_begins_a_line_of_its_own() {
        let mut section = audio();
        section.payloads[0].fmtp = Some("x\r\na=candidate:1".into());
        assert!(compose(&answer(vec![section])).contains("\r\na=fmtp:111 xa=candidate:1\r\n"));
    }

    fn section(index: usize) -> impl Strategy<Value = MediaSection> {
        let kind = prop_oneof![Just(MediaKind::Audio), Just(MediaKind::Video), Just(MediaKind::Data)];
        let direction = prop_oneof![Just(Direction::SendOnly), Just(Direction::RecvOnly), Just(Direction::Inactive)];
        let ssrcs = prop::option::of((1..1000u32, 1000..2000u32));
        (kind, any::<bool>(), direction, ssrcs, 96..126u8, prop::option::of(1..1u64 << 40)).prop_map(
            move |(kind, rejected, direction, ssrcs, pt, bandwidth_bps)| {
                let profile = if kind == MediaKind::Data { "UDP/DTLS/SCTP" } else { "UDP/TLS/RTP/SAVPF" };
                let section = MediaSection::new(kind, Mid::from(&format!("m{index}")).unwrap(), profile);
                if rejected {
                    return MediaSection { rejected, ..section };
                }
                let section = MediaSection { direction, bandwidth_bps, transport: Some(transport()), ..section };
                if kind == MediaKind::Data {
                    return MediaSection { sctp_port: Some(5000), ..section };
                }
                let payload = |pt, encoding: &str, fmtp: Option<String>, feedback: &[&str]| Payload {
                    pt,
                    encoding: encoding.into(),
                    clock_rate: 90_000,
                    channels: None,
                    fmtp: fmtp.map(Box::from),
                    feedback: feedback.iter().copied().map(Box::from).collect(),
                };
                MediaSection {
                    rtcp_mux: true,
                    payloads: vec![
                        payload(pt, "VP8", None, &["ccm fir", "nack", "nack pli"]),
                        payload(pt + 1, "rtx", Some(format!("apt={pt}")), &[]),
                    ],
                    extensions: audio().extensions,
                    msid: ssrcs.map(|_| Msid { stream: "portunus".into(), track: format!("portunus{index}").into() }),
                    ssrcs: ssrcs
                        .into_iter()
                        .flat_map(|(a, b)| [(a, "portunus".into()), (b, "portunus".into())])
                        .collect(),
                    ssrc_groups: ssrcs
                        .map(|(a, b)| SsrcGroup { semantics: "FID".into(), ssrcs: vec![a, b] })
                        .into_iter()
                        .collect(),
                    ..section
                }
            },
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn what_we_write_we_read_back(
            media in (0..6usize).prop_flat_map(|count| (0..count).map(section).collect::<Vec<_>>()),
            origin_id in any::<u64>(),
            origin_version in any::<u64>(),
        ) {
            let ours = Description { origin_id, origin_version, ..answer(media) };
            prop_assert_eq!(parse(DescriptionKind::Answer, &compose(&ours)).unwrap(), ours);
        }
    }

    #[test]
    fn a_browsers_description_survives_being_written_without_its_layers() {
        for text in vectors::ALL {
            let mut read = parse(DescriptionKind::Offer, text).unwrap();
            let transport = read.transport().unwrap().clone();
            for media in &mut read.media {
                media.rids.clear();
                // One fingerprint is written for all; so the one identity of the bundle.
                media.transport = (!media.rejected).then(|| transport.clone());
            }
            assert_eq!(parse(DescriptionKind::Offer, &compose(&read)).unwrap(), read);
        }
    }
}
