//! Peers that are the same every time: a scripted handshake, ICE checks with the timing of Chromium, and SRTP by our own
//! `proto/srtp`. What a checker must be able to repeat bit for bit is played with these.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use portunus::proto::dtls::{DtlsEvent, Fingerprint, Handshake, Role};
use portunus::proto::ice::Credentials;
use portunus::proto::srtp::{Inbound, Outbound, SrtpError, split_keying_material};
use portunus::room::codec::Codec;
use portunus::time::Mono;
use portunus::wire::demux::{Protocol, classify};
use portunus::wire::rtcp::{self, Cname, Compound, Ntp, SenderInfo, SenderReport};
use portunus::wire::rtp::extension::identifier;
use portunus::wire::rtp::{ExtSeq, Header, HeaderWriter, Packet};
use portunus::wire::sdp::{
    Description, DescriptionKind, Direction, ExtensionMap, MediaKind, MediaSection, Mid, Msid, Payload, Setup,
    SsrcGroup, Transport, compose, parse,
};
use portunus::wire::stun;
use portunus::wire::stun::{BindingRequest, Class, Key, Message, TransactionId};

use crate::browser::{Browser, Heard, Received, Sent};
use crate::camera::MediaPacket;
use crate::clock::Clock;
use crate::handshake::{PROFILE, ScriptedHandshake};
use crate::network::Prng;

/// A scripted peer.
pub struct ScriptedBrowser {
    prng: Prng,
    local: SocketAddr,
    credentials: Credentials,
    fingerprint: Fingerprint,
    handshake: Option<ScriptedHandshake>,
    /// Insists on being the DTLS server.
    passive: bool,
    remote: Option<Remote>,
    /// Checks sent so far with the current credentials of both sides.
    checks: u32,
    next_check: Mono,
    pending: BTreeMap<[u8; 12], ()>,
    valid: bool,
    keys: Option<(Inbound, Outbound)>,
    lines: Vec<SendLine>,
    origin_version: u64,
    /// SSRC to tag of what it receives.
    expected: BTreeMap<u32, Mid>,
    mid_extension: BTreeMap<u8, u8>,
    /// Highest index by SSRC.
    newest: BTreeMap<u32, u64>,
    transport_sequence: u16,
    next_report: Mono,
    out: VecDeque<Sent>,
    heard: VecDeque<Heard>,
}

/// Where the server is and what it is called.
#[derive(Clone)]
struct Remote {
    address: SocketAddr,
    transport: Transport,
    key: Key,
}

/// An m-line that it sends.
struct SendLine {
    kind: MediaKind,
    ssrc: u32,
    /// Announced in the SDP, or to be bound by MID.
    announced: bool,
    pt: u8,
    sent: (u32, u32),
    last_timestamp: Option<(Mono, u32)>,
}

const MID_URI: &str = "urn:ietf:params:rtp-hdrext:sdes:mid";
const TRANSPORT_CC_URI: &str = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01";
const MID_ID: u8 = 4;
const TRANSPORT_CC_ID: u8 = 3;
const REPORTS: Duration = Duration::from_secs(1);
/// Chromium's: the first three quickly, the second one nominates, then every 2.5 s.
const CHECKS: [Duration; 2] = [Duration::from_millis(50), Duration::from_millis(70)];
const CHECK_INTERVAL: Duration = Duration::from_millis(2_500);

impl ScriptedBrowser {
    pub fn new(seed: u64, local: SocketAddr) -> ScriptedBrowser {
        let mut prng = Prng::new(seed);
        let mut fingerprint = [0; 32];
        prng.fill(&mut fingerprint);
        let passive = prng.per_mille(300);
        ScriptedBrowser {
            credentials: draw(&mut prng),
            prng,
            local,
            fingerprint: Fingerprint(fingerprint),
            handshake: None,
            passive,
            remote: None,
            checks: 0,
            next_check: Mono::NEVER,
            pending: BTreeMap::new(),
            valid: false,
            keys: None,
            lines: Vec::new(),
            origin_version: 0,
            expected: BTreeMap::new(),
            mid_extension: BTreeMap::new(),
            newest: BTreeMap::new(),
            transport_sequence: 0xfff0,
            next_report: Mono::NEVER,
            out: VecDeque::new(),
            heard: VecDeque::new(),
        }
    }

    fn set_remote(&mut self, clock: &Clock, description: &Description, text: &str) {
        let transport = description.transport().expect("a description of ours has one").clone();
        let restarted = self.remote.as_ref().is_none_or(|known| known.transport.ufrag != transport.ufrag);
        // Candidates are dropped by our parser, which has no use for a browser's.
        let candidate = text.lines().find_map(|line| line.strip_prefix("a=candidate:")).expect("a candidate");
        let words: Vec<&str> = candidate.split(' ').collect();
        let address = SocketAddr::new(words[4].parse().unwrap(), words[5].parse().unwrap());
        let key = Key::short_term(&transport.pwd);
        if self.handshake.is_none() {
            let role = if self.passive { Role::Passive } else { Role::Active };
            let mut handshake = ScriptedHandshake::new(role, self.fingerprint, self.prng.next());
            handshake.set_remote_fingerprint(Fingerprint(transport.fingerprint));
            self.handshake = Some(handshake);
        }
        self.remote = Some(Remote { address, transport, key });
        if restarted {
            self.checks = 0;
            self.next_check = clock.mono();
        }
    }

    fn describe(&mut self, kind: DescriptionKind, media: Vec<MediaSection>) -> Description {
        self.origin_version += 1;
        let transport = Transport {
            ufrag: self.credentials.ufrag().into(),
            pwd: self.credentials.password().into(),
            fingerprint: self.fingerprint.0,
            setup: match (self.passive, kind) {
                (true, _) => Setup::Passive,
                (false, DescriptionKind::Offer) => Setup::ActPass,
                (false, DescriptionKind::Answer) => Setup::Active,
            },
        };
        let mut description = Description {
            kind,
            origin_id: 77,
            origin_version: self.origin_version,
            session_name: "-".into(),
            ice_lite: false,
            extmap_allow_mixed: true,
            bundle: media.iter().filter(|section| !section.rejected).map(|section| section.mid).collect(),
            media,
        };
        description.complete(&transport, &[]);
        description
    }

    fn check(&mut self, clock: &Clock) {
        let Some(remote) = self.remote.clone() else { return };
        let mut transaction = [0; 12];
        self.prng.fill(&mut transaction);
        self.pending.insert(transaction, ());
        let request = BindingRequest {
            transaction: TransactionId(transaction),
            remote_ufrag: &remote.transport.ufrag,
            local_ufrag: self.credentials.ufrag(),
            priority: 0x6e00_1eff,
            role: stun::Role::Controlling(7),
            use_candidate: self.checks >= 1,
        };
        let mut bytes = vec![0; 400];
        let len = request.compose(&mut bytes, &remote.key).expect("it fits");
        bytes.truncate(len);
        self.out.push_back(Sent { to: remote.address, bytes, label: None });
        let wait = CHECKS.get(self.checks as usize).copied().unwrap_or(CHECK_INTERVAL);
        self.checks += 1;
        self.next_check = clock.mono() + wait;
    }

    fn after_handshake(&mut self, clock: &Clock) {
        let (Some(handshake), Some(remote)) = (&mut self.handshake, &self.remote) else { return };
        let mut bytes = [0; 1200];
        while let Some(len) = handshake.poll_transmit(&mut bytes) {
            self.out.push_back(Sent { to: remote.address, bytes: bytes[..len].to_vec(), label: None });
        }
        while let Some(event) = handshake.poll_event() {
            match event {
                DtlsEvent::Connected { keying_material, role, .. } => {
                    let (client, server) = split_keying_material(PROFILE, keying_material.as_bytes()).unwrap();
                    let (ours, theirs) = if role == Role::Active { (client, server) } else { (server, client) };
                    self.keys = Some((Inbound::new(PROFILE, &theirs).unwrap(), Outbound::new(PROFILE, &ours).unwrap()));
                    self.next_report = clock.mono() + REPORTS;
                    self.heard.push_back(Heard::Connected);
                }
                DtlsEvent::Closed(_) => {
                    self.keys = None;
                    (self.next_check, self.next_report) = (Mono::NEVER, Mono::NEVER);
                    self.heard.push_back(Heard::Closed);
                }
            }
        }
    }

    fn take_stun(&mut self, clock: &Clock, bytes: &[u8]) {
        let Some(remote) = &self.remote else { return };
        let Ok(message) = Message::parse(bytes) else {
            return self.heard.push_back(Heard::Foreign("malformed STUN".into()));
        };
        let known = self.pending.remove(&message.transaction().0).is_some();
        // A lite agent sends nothing but answers; a late one may be of the time before a restart.
        if message.class() != Class::Success {
            return self.heard.push_back(Heard::Foreign(format!(
                "STUN {:?} {:?}",
                message.class(),
                message.error_code()
            )));
        }
        if known && message.verify_integrity(&remote.key) && !self.valid {
            self.valid = true;
            if let Some(handshake) = &mut self.handshake {
                handshake.start(clock.now());
            }
            self.after_handshake(clock);
        }
    }

    fn take_rtp(&mut self, bytes: &mut [u8]) {
        let Some((inbound, _)) = &mut self.keys else { return };
        let opened = match inbound.unprotect_rtp(bytes) {
            Ok(opened) => opened,
            // The network doubles packets; the replay window is there for that.
            Err(SrtpError::Replay) => return,
            Err(error) => return self.heard.push_back(Heard::Foreign(format!("SRTP: {error}"))),
        };
        let packet = Packet::parse(&bytes[..opened.len]).expect("our own writer wrote it");
        let Some(mid) = self.expected.get(&packet.header.ssrc) else {
            return self.heard.push_back(Heard::Foreign(format!("SSRC {}", packet.header.ssrc)));
        };
        let id = self.mid_extension.get(&packet.header.payload_type).copied();
        let carried = packet.extensions().find(|(ext, _)| Some(*ext) == id).and_then(|(_, value)| identifier(value));
        if carried != Some(&**mid) {
            return self.heard.push_back(Heard::Foreign(format!("MID {carried:?} instead of {mid}")));
        }
        let newest = self.newest.entry(packet.header.ssrc).or_insert(opened.index);
        let gap = opened.index > *newest + 1;
        *newest = opened.index.max(*newest);
        self.heard.push_back(Heard::Media(Received {
            ssrc: packet.header.ssrc,
            index: opened.index,
            timestamp: packet.header.timestamp,
            marker: packet.header.marker,
            payload_type: packet.header.payload_type,
            mid: Some(mid.to_string()),
            payload: packet.payload.to_vec(),
        }));
        if gap {
            let (ssrc, index) = (packet.header.ssrc, opened.index);
            self.complain(ssrc, index);
        }
    }

    fn take_rtcp(&mut self, clock: &Clock, bytes: &mut [u8]) {
        let Some((inbound, _)) = &mut self.keys else { return };
        let len = match inbound.unprotect_rtcp(bytes) {
            Ok(len) => len,
            Err(SrtpError::Replay) => return,
            Err(error) => return self.heard.push_back(Heard::Foreign(format!("SRTCP: {error}"))),
        };
        for packet in Compound::new(&bytes[..len]) {
            let heard = match packet.expect("our own writer wrote it") {
                rtcp::Packet::Pli(pli) => {
                    let line = self.lines.iter().position(|line| line.ssrc == pli.media_ssrc);
                    match line {
                        Some(line) => Heard::KeyframeWanted { line: line as u8 },
                        None => Heard::Foreign(format!("PLI for {}", pli.media_ssrc)),
                    }
                }
                rtcp::Packet::ReceiverReport(report) => {
                    for block in report.report_blocks() {
                        assert!(self.lines.iter().any(|line| line.ssrc == block.ssrc), "a report about nobody");
                        self.heard.push_back(Heard::Reception { lost: block.cumulative_lost });
                    }
                    continue;
                }
                rtcp::Packet::TransportFeedback(feedback) => {
                    Heard::Feedback { arrived: feedback.arrivals().filter(|(_, at)| at.is_some()).count() }
                }
                rtcp::Packet::Remb(remb) => Heard::Estimate { bitrate: remb.bitrate as f64 },
                rtcp::Packet::SenderReport(report) => {
                    let now = clock.now();
                    let behind = Ntp::from_unix_us(now.unix_us).since(report.info.ntp);
                    let behind_us = (i128::from(behind) * 1_000_000) >> 32;
                    Heard::SenderReport {
                        ssrc: report.ssrc,
                        unix_us: now.unix_us - u64::try_from(behind_us).expect("reports come from the past"),
                        timestamp: report.info.rtp_timestamp,
                    }
                }
                _ => continue,
            };
            self.heard.push_back(heard);
        }
    }

    /// SR and SDES of every line that has sent; RR of what is received.
    fn report(&mut self, clock: &Clock) {
        let (Some((_, outbound)), Some(remote)) = (&mut self.keys, &self.remote) else { return };
        self.next_report = clock.mono() + REPORTS;
        let mut send = |plain: &[u8]| {
            let mut bytes = vec![0; plain.len() + PROFILE.rtcp_overhead()];
            let len = outbound.protect_rtcp(plain, &mut bytes).expect("it fits");
            bytes.truncate(len);
            self.out.push_back(Sent { to: remote.address, bytes, label: None });
        };
        for line in &self.lines {
            let Some((at, timestamp)) = line.last_timestamp else { continue };
            let rate = if line.kind == MediaKind::Audio { 48_000 } else { 90_000 };
            let since = clock.mono().since(at).as_micros() as u64 * rate / 1_000_000;
            let info = SenderInfo {
                // Its clock is a day ahead of ours.
                ntp: Ntp::from_unix_us(clock.now().unix_us + 86_400_000_000),
                rtp_timestamp: timestamp.wrapping_add(since as u32),
                packet_count: line.sent.0,
                octet_count: line.sent.1,
            };
            let mut plain = [0; 200];
            let len = SenderReport { ssrc: line.ssrc, info, blocks: &[] }.write(&mut plain).unwrap();
            let names = Cname { ssrc: line.ssrc, name: b"script" }.write(&mut plain[len..]).unwrap();
            send(&plain[..len + names]);
        }
        if !self.expected.is_empty() {
            let mut plain = [0; 200];
            let len = rtcp::ReceiverReport { ssrc: 1, blocks: &[] }.write(&mut plain).unwrap();
            send(&plain[..len]);
        }
    }

    /// Names the packet before `index` as lost, and asks for a keyframe (RFC 4585 §6.2.1, §6.3.1).
    fn complain(&mut self, media_ssrc: u32, index: u64) {
        let (Some((_, outbound)), Some(remote)) = (&mut self.keys, &self.remote) else { return };
        let mut plain = [0; 100];
        let mut room = [[0; 4]; 1];
        let lost = rtcp::nack::pack([ExtSeq(index - 1).low()], &mut room);
        let mut len = rtcp::ReceiverReport { ssrc: 1, blocks: &[] }.write(&mut plain).unwrap();
        len += rtcp::Nack { sender_ssrc: 1, media_ssrc, entries: lost }.write(&mut plain[len..]).unwrap();
        len += rtcp::Pli { sender_ssrc: 1, media_ssrc }.write(&mut plain[len..]).unwrap();
        let mut bytes = vec![0; len + PROFILE.rtcp_overhead()];
        outbound.protect_rtcp(&plain[..len], &mut bytes).expect("it fits");
        self.out.push_back(Sent { to: remote.address, bytes, label: None });
    }
}

impl Browser for ScriptedBrowser {
    fn local(&self) -> SocketAddr {
        self.local
    }

    fn offer(&mut self, clock: &Clock, lines: &[(MediaKind, bool)], restart: bool) -> String {
        if restart {
            self.credentials = draw(&mut self.prng);
            self.checks = 0;
            // The answer brings the other half.
            self.next_check = Mono::NEVER;
        }
        for (kind, _) in lines.iter().skip(self.lines.len()) {
            let pt = if *kind == MediaKind::Audio { 111 } else { 96 };
            let announced = self.prng.per_mille(700);
            let ssrc = self.prng.next() as u32;
            self.lines.push(SendLine { kind: *kind, ssrc, announced, pt, sent: (0, 0), last_timestamp: None });
        }
        let sections = lines.iter().zip(&self.lines).enumerate();
        let sections = sections.map(|(i, ((kind, active), line))| {
            let direction = if *active { Direction::SendOnly } else { Direction::Inactive };
            let mut section = offered(*kind, i, direction);
            if line.announced {
                section.ssrcs = vec![(line.ssrc, "script".into())];
                if *kind == MediaKind::Video {
                    let rtx = line.ssrc ^ 1;
                    section.ssrcs.push((rtx, "script".into()));
                    section.ssrc_groups = vec![SsrcGroup { semantics: "FID".into(), ssrcs: vec![line.ssrc, rtx] }];
                }
            }
            section
        });
        let sections = sections.collect();
        let _ = clock;
        compose(&self.describe(DescriptionKind::Offer, sections))
    }

    fn take_answer(&mut self, clock: &Clock, text: &str) {
        let answer = parse(DescriptionKind::Answer, text).expect("an answer of ours");
        assert_eq!(answer.media.len(), self.lines.len());
        self.set_remote(clock, &answer, text);
        if self.next_check == Mono::NEVER {
            self.next_check = clock.mono();
        }
    }

    fn answer(&mut self, clock: &Clock, text: &str) -> String {
        let offer = parse(DescriptionKind::Offer, text).expect("an offer of ours");
        let before = self.remote.as_ref().map(|remote| remote.transport.ufrag.clone());
        let restarted = before.is_some_and(|known| known != offer.transport().expect("it has one").ufrag);
        if restarted {
            self.credentials = draw(&mut self.prng);
        }
        self.set_remote(clock, &offer, text);
        let mut sections = Vec::new();
        for section in &offer.media {
            for (ssrc, _) in &section.ssrcs {
                self.expected.insert(*ssrc, section.mid);
            }
            for payload in &section.payloads {
                let mid = section.extensions.iter().find(|extension| &*extension.uri == MID_URI);
                self.mid_extension.insert(payload.pt, mid.expect("MID is always offered").id);
            }
            let receives = section.direction == Direction::SendOnly;
            sections.push(MediaSection {
                direction: if receives { Direction::RecvOnly } else { Direction::Inactive },
                payloads: section.payloads.clone(),
                extensions: section.extensions.clone(),
                rtcp_mux: true,
                ..MediaSection::new(section.kind, section.mid, &section.profile)
            });
        }
        compose(&self.describe(DescriptionKind::Answer, sections))
    }

    fn receive(&mut self, clock: &Clock, from: SocketAddr, bytes: &[u8]) {
        if self.remote.as_ref().is_none_or(|remote| remote.address != from) {
            return self.heard.push_back(Heard::Foreign(format!("a datagram of {from}")));
        }
        match classify(bytes) {
            Protocol::Stun => self.take_stun(clock, bytes),
            Protocol::Dtls => {
                if let Some(handshake) = &mut self.handshake {
                    handshake.handle_datagram(clock.now(), bytes);
                }
                self.after_handshake(clock);
            }
            Protocol::Rtp => self.take_rtp(&mut bytes.to_vec()),
            Protocol::Rtcp => self.take_rtcp(clock, &mut bytes.to_vec()),
            Protocol::Unknown => self.heard.push_back(Heard::Foreign("no protocol of ours".into())),
        }
    }

    fn timeout(&mut self, clock: &Clock) {
        if self.next_check <= clock.mono() {
            self.check(clock);
        }
        if self.handshake.as_ref().is_some_and(|handshake| handshake.deadline() <= clock.mono()) {
            if let Some(handshake) = &mut self.handshake {
                handshake.handle_timeout(clock.now());
            }
            self.after_handshake(clock);
        }
        if self.next_report <= clock.mono() {
            self.report(clock);
        }
    }

    fn deadline(&self, _: &Clock) -> Mono {
        let handshake = self.handshake.as_ref().map_or(Mono::NEVER, |handshake| handshake.deadline());
        self.next_check.min(self.next_report).min(handshake)
    }

    fn send(&mut self, clock: &Clock, packet: &MediaPacket) {
        let (Some((_, outbound)), Some(remote)) = (&mut self.keys, &self.remote) else { return };
        let index = usize::from(packet.label.line);
        let line = &mut self.lines[index];
        let mut header = [0; 40];
        let fields = Header {
            marker: packet.marker,
            payload_type: line.pt,
            sequence: 0,
            timestamp: packet.timestamp,
            ssrc: line.ssrc,
        };
        let mut writer = HeaderWriter::new(&mut header, &fields).unwrap();
        if packet.label.count < 20 || !line.announced {
            writer.push(MID_ID, index.to_string().as_bytes()).unwrap();
        }
        writer.push(TRANSPORT_CC_ID, &self.transport_sequence.to_be_bytes()).unwrap();
        self.transport_sequence = self.transport_sequence.wrapping_add(1);
        let len = writer.finish().unwrap();
        let stream = outbound.open(line.ssrc, 0);
        let mut bytes = vec![0; len + packet.payload.len() + PROFILE.rtp_overhead()];
        let sealed =
            outbound.seal_at(stream, packet.sequence, &mut header[..len], &packet.payload, 0, &mut bytes).unwrap();
        bytes.truncate(sealed.len);
        debug_assert_eq!(ExtSeq(packet.sequence).low(), u16::from_be_bytes([bytes[2], bytes[3]]));
        line.sent = (line.sent.0 + 1, line.sent.1.wrapping_add(packet.payload.len() as u32));
        line.last_timestamp = Some((clock.mono(), packet.timestamp));
        self.out.push_back(Sent { to: remote.address, bytes, label: Some(packet.label) });
    }

    fn close(&mut self, clock: &Clock) {
        if let Some(handshake) = &mut self.handshake {
            handshake.close();
        }
        self.after_handshake(clock);
        self.keys = None;
        (self.next_check, self.next_report) = (Mono::NEVER, Mono::NEVER);
    }

    fn transmit(&mut self) -> Option<Sent> {
        self.out.pop_front()
    }

    fn heard(&mut self) -> Option<Heard> {
        self.heard.pop_front()
    }
}

/// Credentials as a browser's: 4 and 24 characters.
fn draw(prng: &mut Prng) -> Credentials {
    let text = |prng: &mut Prng, chars: usize| -> String {
        (0..chars).map(|_| char::from(b'a' + u8::try_from(prng.below(26)).unwrap())).collect()
    };
    Credentials::new(&text(prng, 4), &text(prng, 24)).expect("they are letters")
}

fn offered(kind: MediaKind, index: usize, direction: Direction) -> MediaSection {
    let codec = if kind == MediaKind::Audio { Codec::Opus } else { Codec::Vp8 };
    let payload = |pt: u8, encoding: &str, fmtp: Option<&str>, feedback: &[&str]| Payload {
        pt,
        encoding: encoding.into(),
        clock_rate: codec.clock_rate(),
        channels: (kind == MediaKind::Audio).then_some(2),
        fmtp: fmtp.map(Box::from),
        feedback: feedback.iter().map(|text| Box::from(*text)).collect(),
    };
    let payloads = match kind {
        MediaKind::Audio => vec![payload(111, "opus", Some("minptime=10;useinbandfec=1"), &["transport-cc"])],
        _ => vec![
            payload(96, "VP8", None, &["goog-remb", "transport-cc", "ccm fir", "nack", "nack pli"]),
            payload(97, "rtx", Some("apt=96"), &[]),
        ],
    };
    let mid = Mid::from(&index.to_string()).unwrap();
    MediaSection {
        direction,
        payloads,
        extensions: vec![
            ExtensionMap { id: TRANSPORT_CC_ID, uri: TRANSPORT_CC_URI.into() },
            ExtensionMap { id: MID_ID, uri: MID_URI.into() },
        ],
        rtcp_mux: true,
        msid: Some(Msid { stream: "script".into(), track: index.to_string().into() }),
        ..MediaSection::new(kind, mid, "UDP/TLS/RTP/SAVPF")
    }
}
