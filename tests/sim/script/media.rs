//! Media of a scripted peer: packets sealed and opened, reports both ways, losses asked for and answered.

use portunus::proto::srtp::SrtpError;
use portunus::wire::rtcp;
use portunus::wire::rtcp::{Cname, Compound, Ntp, ReceiverReport, ReportBlock, SenderInfo, SenderReport};
use portunus::wire::rtp::extension::identifier;
use portunus::wire::rtp::{ExtSeq, Header, HeaderWriter, Packet};
use portunus::wire::sdp::MediaKind;

use super::offer::{MID_ID, RTX_PT, TRANSPORT_CC_ID};
use super::{REPORTS, ScriptedBrowser, SendLine};
use crate::browser::{Heard, Received, Sent};
use crate::camera::MediaPacket;
use crate::clock::Clock;
use crate::handshake::PROFILE;

/// Entries of one NACK.
const ASKED_MAX: usize = 64;
/// Its SSRC in reports and wishes.
const OWN_SSRC: u32 = 1;

impl ScriptedBrowser {
    pub(super) fn take_rtp(&mut self, clock: &Clock, bytes: &mut [u8]) {
        match self.open_rtp(clock, bytes) {
            Ok(Some(received)) => self.heard.push_back(Heard::Media(received)),
            Ok(None) => {}
            Err(foreign) => self.heard.push_back(Heard::Foreign(foreign)),
        }
    }

    /// None when it has come before.
    fn open_rtp(&mut self, clock: &Clock, bytes: &mut [u8]) -> Result<Option<Received>, String> {
        let Some((inbound, _)) = &mut self.keys else { return Ok(None) };
        let opened = match inbound.unprotect_rtp(bytes) {
            Ok(opened) => opened,
            // The network doubles packets, and a packet may be sent again as it was; the replay window is there for that.
            Err(SrtpError::Replay) => return Ok(None),
            Err(error) => return Err(format!("SRTP: {error}")),
        };
        let packet = Packet::parse(&bytes[..opened.len]).expect("our own writer wrote it");
        let header = &packet.header;
        let (mid, kind) = *self.expected.get(&header.ssrc).ok_or_else(|| format!("SSRC {}", header.ssrc))?;
        let id = self.mid_extension.get(&header.payload_type).copied();
        let carried = packet.extensions().find(|(ext, _)| Some(*ext) == id).and_then(|(_, value)| identifier(value));
        if carried != Some(&*mid) {
            return Err(format!("MID {carried:?} instead of {mid}"));
        }
        let mut received = Received {
            ssrc: header.ssrc,
            index: opened.index,
            timestamp: header.timestamp,
            marker: header.marker,
            payload_type: header.payload_type,
            mid: Some(mid.to_string()),
            payload: packet.payload.to_vec(),
            again: false,
        };
        if header.payload_type == RTX_PT {
            // RFC 4588 §4: the original sequence number, then the original payload.
            let media = self.repaired_by.get(&header.ssrc).ok_or("RTX that was not agreed on")?;
            let (original, payload) = packet.payload.split_first_chunk().ok_or("RTX of nothing")?;
            let index = self.reception.entry(*media).or_default().number(u16::from_be_bytes(*original));
            received.ssrc = *media;
            received.index = index.ok_or("RTX before anything else")?;
            received.payload_type = RTX_PT - 1;
            received.payload = payload.to_vec();
        }
        let reception = self.reception.entry(received.ssrc).or_default();
        received.again = !reception.receive(received.index, clock.mono());
        if reception.has_gaps() && !self.habits.repairs(kind) {
            reception.forget_gaps();
            self.wish(&[], received.ssrc, true);
        }
        Ok(Some(received))
    }

    pub(super) fn take_rtcp(&mut self, clock: &Clock, bytes: &mut [u8]) {
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
                rtcp::Packet::Nack(nack) => match self.lines.iter().position(|line| line.ssrc == nack.media_ssrc) {
                    Some(line) if self.habits.repairs(self.lines[line].kind) => {
                        nack.lost().for_each(|sequence| self.send_again(clock, line, sequence));
                        continue;
                    }
                    _ => Heard::Foreign(format!("NACK for {}", nack.media_ssrc)),
                },
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
                    self.last_reports.insert(report.ssrc, (report.info.ntp.middle(), clock.mono()));
                    // The server's clock may have been set back or forth meanwhile.
                    let behind = Ntp::from_unix_us(clock.steady_us()).since(report.info.ntp);
                    let behind_us = (i128::from(behind) * 1_000_000) >> 32;
                    Heard::SenderReport {
                        ssrc: report.ssrc,
                        unix_us: u64::try_from(i128::from(clock.steady_us()) - behind_us).expect("after 1970"),
                        timestamp: report.info.rtp_timestamp,
                    }
                }
                _ => continue,
            };
            self.heard.push_back(heard);
        }
    }

    /// SR and SDES of every line that has sent; RR of what is received.
    pub(super) fn report(&mut self, clock: &Clock) {
        self.next_report = clock.mono() + REPORTS;
        let mut reports = Vec::new();
        for line in &self.lines {
            let Some((at, timestamp)) = line.last_timestamp else { continue };
            let rate = if line.kind == MediaKind::Audio { 48_000 } else { 90_000 };
            let since = clock.mono().since(at).as_micros() as u64 * rate / 1_000_000;
            let info = SenderInfo {
                // Its clock is a day ahead of ours.
                ntp: Ntp::from_unix_us(clock.steady_us() + 86_400_000_000),
                rtp_timestamp: timestamp.wrapping_add(since as u32),
                packet_count: line.sent.0,
                octet_count: line.sent.1,
            };
            let mut plain = [0; 200];
            let len = SenderReport { ssrc: line.ssrc, info, blocks: &[] }.write(&mut plain).unwrap();
            let names = Cname { ssrc: line.ssrc, name: b"script" }.write(&mut plain[len..]).unwrap();
            reports.push(plain[..len + names].to_vec());
        }
        // 31 blocks make one report (RFC 3550 §6.4.2).
        let blocks: Vec<[u8; ReportBlock::LEN]> =
            self.reception.iter().take(31).map(|(ssrc, _)| self.block(clock, *ssrc).to_bytes()).collect();
        if !self.expected.is_empty() {
            let mut plain = [0; 1000];
            let len = ReceiverReport { ssrc: OWN_SSRC, blocks: &blocks }.write(&mut plain).unwrap();
            reports.push(plain[..len].to_vec());
        }
        reports.iter().for_each(|plain| self.send_rtcp(plain));
    }

    fn block(&self, clock: &Clock, ssrc: u32) -> ReportBlock {
        let newest = self.reception[&ssrc].newest().unwrap_or(0);
        let last_sr = self.last_reports.get(&ssrc);
        let delay = last_sr.map_or(0, |(_, at)| clock.mono().since(*at).as_nanos() * 65_536 / 1_000_000_000);
        ReportBlock {
            ssrc,
            fraction_lost: 0,
            cumulative_lost: 0,
            highest_sequence: (newest & 0xffff_ffff) as u32,
            jitter: 0,
            last_sr: last_sr.map_or(0, |(middle, _)| *middle),
            delay_since_last_sr: u32::try_from(delay).unwrap_or(u32::MAX),
        }
    }

    /// Asks for what is missing and due; for a keyframe instead of a picture that nobody will complete.
    pub(super) fn ask(&mut self, clock: &Clock) {
        let now = clock.mono();
        let mut wishes = Vec::new();
        for (ssrc, reception) in &mut self.reception {
            let video = matches!(self.expected.get(ssrc), Some((_, MediaKind::Video)));
            let given_up = reception.give_up(now) > 0 && video;
            let lost = reception.take_due(now);
            if given_up || !lost.is_empty() {
                wishes.push((*ssrc, lost, given_up));
            }
        }
        wishes.iter().for_each(|(ssrc, lost, keyframe)| self.wish(lost, *ssrc, *keyframe));
    }

    /// Names packets as lost, and asks for a keyframe (RFC 4585 §6.2.1, §6.3.1).
    fn wish(&mut self, lost: &[u16], media_ssrc: u32, keyframe: bool) {
        let mut plain = [0; 600];
        let mut room = [[0; 4]; ASKED_MAX];
        let entries = rtcp::nack::pack(lost.iter().copied(), &mut room);
        let mut len = ReceiverReport { ssrc: OWN_SSRC, blocks: &[] }.write(&mut plain).unwrap();
        if !entries.is_empty() {
            len += rtcp::Nack { sender_ssrc: OWN_SSRC, media_ssrc, entries }.write(&mut plain[len..]).unwrap();
        }
        if keyframe {
            len += rtcp::Pli { sender_ssrc: OWN_SSRC, media_ssrc }.write(&mut plain[len..]).unwrap();
        }
        self.send_rtcp(&plain[..len]);
    }

    fn send_rtcp(&mut self, plain: &[u8]) {
        let (Some((_, outbound)), Some(remote)) = (&mut self.keys, &self.remote) else { return };
        let mut bytes = vec![0; plain.len() + PROFILE.rtcp_overhead()];
        let len = outbound.protect_rtcp(plain, &mut bytes).expect("it fits");
        bytes.truncate(len);
        self.out.push_back(Sent { to: remote.address, bytes, label: None });
    }

    pub(super) fn send_media(&mut self, clock: &Clock, packet: &MediaPacket) {
        let (Some((_, outbound)), Some(remote)) = (&mut self.keys, &self.remote) else { return };
        let line = &mut self.lines[usize::from(packet.label.line)];
        let mut header = write_header(packet, line, line.pt, line.ssrc, &mut self.transport_sequence);
        let stream = outbound.open(line.ssrc, 0);
        let mut bytes = vec![0; header.len() + packet.payload.len() + PROFILE.rtp_overhead()];
        let sealed = outbound.seal_at(stream, packet.sequence, &mut header, &packet.payload, 0, &mut bytes).unwrap();
        bytes.truncate(sealed.len);
        debug_assert_eq!(ExtSeq(packet.sequence).low(), u16::from_be_bytes([bytes[2], bytes[3]]));
        line.sent = (line.sent.0 + 1, line.sent.1.wrapping_add(packet.payload.len() as u32));
        line.last_timestamp = Some((clock.mono(), packet.timestamp));
        line.kept.keep(clock.mono(), packet, &bytes);
        self.out.push_back(Sent { to: remote.address, bytes, label: Some(packet.label) });
    }

    /// Answers a NACK: by RTX, or with the same bytes.
    fn send_again(&mut self, clock: &Clock, line: usize, sequence: u16) {
        let (Some((_, outbound)), Some(remote)) = (&mut self.keys, &self.remote) else { return };
        let line = &self.lines[line];
        let Some((packet, datagram)) = line.kept.find(clock.mono(), sequence) else { return };
        let bytes = match line.rtx_ssrc {
            None => datagram.to_vec(),
            Some(ssrc) => {
                let mut header = write_header(packet, line, RTX_PT, ssrc, &mut self.transport_sequence);
                let text = [&sequence.to_be_bytes(), &packet.payload[..]].concat();
                let stream = outbound.open(ssrc, u64::from(ssrc & 0x7fff));
                let mut bytes = vec![0; header.len() + text.len() + PROFILE.rtp_overhead()];
                let sealed = outbound.seal(stream, &mut header, &text, 0, &mut bytes).unwrap();
                bytes.truncate(sealed.len);
                bytes
            }
        };
        self.out.push_back(Sent { to: remote.address, bytes, label: Some(packet.label) });
    }
}

fn write_header(packet: &MediaPacket, line: &SendLine, pt: u8, ssrc: u32, transport_sequence: &mut u16) -> Vec<u8> {
    let mut header = [0; 40];
    let fields = Header { marker: packet.marker, payload_type: pt, sequence: 0, timestamp: packet.timestamp, ssrc };
    let mut writer = HeaderWriter::new(&mut header, &fields).unwrap();
    if packet.label.count < 20 || !line.announced {
        writer.push(MID_ID, packet.label.line.to_string().as_bytes()).unwrap();
    }
    writer.push(TRANSPORT_CC_ID, &transport_sequence.to_be_bytes()).unwrap();
    *transport_sequence = transport_sequence.wrapping_add(1);
    let len = writer.finish().unwrap();
    header[..len].to_vec()
}
