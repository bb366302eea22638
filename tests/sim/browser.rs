//! Peers of the simulation: the seam that both kinds share, and the kind that is str0m: an independent WebRTC stack with
//! its own ICE, DTLS, SRTP and SDP. The other kind, which is the same every time, is in `script`.

use std::collections::{BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use portunus::time::Mono;
use portunus::wire::demux::{Protocol, classify};
use portunus::wire::sdp::MediaKind;
use str0m::change::{SdpAnswer, SdpOffer, SdpPendingOffer};
use str0m::format::Codec;
use str0m::media::{Direction, Mid};
use str0m::net::Receive;
use str0m::rtp::rtcp::Rtcp;
use str0m::rtp::{RawPacket, RtpWrite};
use str0m::{Candidate, Event, IceConnectionState, Input, Output, Rtc, RtcConfig};

use crate::camera::{self, MediaPacket};
use crate::clock::Clock;
use crate::network::Label;
use crate::script::repair::KEPT;

/// One peer connection as its owner sees it.
pub trait Browser {
    /// Whether it asks for what it misses of such m-lines, and answers who asks.
    fn repairs(&self, kind: MediaKind) -> bool;
    /// Where it believes to be: behind a NAT the world sees another address.
    fn local(&self) -> SocketAddr;
    /// An offer to send `lines`; the second and later ones renegotiate. `restart`: with fresh ICE credentials.
    fn offer(&mut self, clock: &Clock, lines: &[(MediaKind, bool)], restart: bool) -> String;
    fn take_answer(&mut self, clock: &Clock, answer: &str);
    /// The answer to an offer of ours.
    fn answer(&mut self, clock: &Clock, offer: &str) -> String;
    fn receive(&mut self, clock: &Clock, from: SocketAddr, bytes: &[u8]);
    fn timeout(&mut self, clock: &Clock);
    fn deadline(&self, clock: &Clock) -> Mono;
    /// Sends a packet of its own m-line `packet.label.line`; dropped before the connection is up.
    fn send(&mut self, clock: &Clock, packet: &MediaPacket);
    /// `pc.close()`
    fn close(&mut self, clock: &Clock);
    /// The next datagram to be sent.
    fn transmit(&mut self) -> Option<Sent>;
    /// The next thing that it noticed.
    fn heard(&mut self) -> Option<Heard>;
}

/// A datagram of a browser.
pub struct Sent {
    pub to: SocketAddr,
    pub bytes: Vec<u8>,
    pub label: Option<Label>,
}

/// What a browser notices.
#[derive(Clone, Debug)]
pub enum Heard {
    Connected,
    Media(Received),
    /// PLI or FIR for one of its own m-lines.
    KeyframeWanted {
        line: u8,
    },
    /// RR block about one of its own SSRCs.
    Reception {
        lost: i32,
    },
    /// Transport-wide feedback: how many packets it says to have arrived.
    Feedback {
        arrived: usize,
    },
    /// REMB in bit/s.
    Estimate {
        bitrate: f64,
    },
    /// SR: the RTP timestamp that belongs to an instant of our wall clock, in microseconds since the epoch.
    SenderReport {
        ssrc: u32,
        unix_us: u64,
        timestamp: u32,
    },
    /// A packet that does not open with the keys of the connection, or belongs to no m-line.
    Foreign(String),
    Closed,
}

/// A media packet as it came.
#[derive(Clone, Debug)]
pub struct Received {
    pub ssrc: u32,
    /// Extended sequence number.
    pub index: u64,
    pub timestamp: u32,
    pub marker: bool,
    pub payload_type: u8,
    /// The MID header extension.
    pub mid: Option<String>,
    pub payload: Vec<u8>,
    /// It had come before, and is sent again for nothing.
    pub again: bool,
}

/// A str0m peer.
pub struct StrBrowser {
    rtc: Rtc,
    local: SocketAddr,
    pending: Option<SdpPendingOffer>,
    /// The m-lines that it sends, and those of them that have sent.
    mids: Vec<Mid>,
    started: BTreeSet<u8>,
    /// SSRC and sequence number of what was sealed, and whose packet it is.
    sealed: VecDeque<(u32, u16, Label)>,
    next: Instant,
    out: VecDeque<Sent>,
    heard: VecDeque<Heard>,
    connected: bool,
}

impl StrBrowser {
    pub fn new(clock: &Clock, local: SocketAddr) -> StrBrowser {
        let mut rtc = RtcConfig::new()
            .set_rtp_mode(true)
            .enable_raw_packets(true)
            .clear_codecs()
            .enable_opus(true, false)
            .enable_vp8(true)
            .build(clock.instant());
        rtc.add_local_candidate(Candidate::host(local, "udp").expect("a host candidate"));
        StrBrowser {
            rtc,
            local,
            pending: None,
            mids: Vec::new(),
            started: BTreeSet::new(),
            sealed: VecDeque::new(),
            next: clock.instant(),
            out: VecDeque::new(),
            heard: VecDeque::new(),
            connected: false,
        }
    }

    /// After every input and every write: until str0m has nothing more to say.
    fn drain(&mut self) {
        loop {
            match self.rtc.poll_output() {
                Ok(Output::Timeout(at)) => {
                    self.next = at;
                    return self.label();
                }
                Ok(Output::Transmit(sent)) => {
                    self.out.push_back(Sent { to: sent.destination, bytes: sent.contents.to_vec(), label: None });
                }
                Ok(Output::Event(event)) => self.note(event),
                Err(error) => {
                    self.heard.push_back(Heard::Foreign(format!("str0m: {error}")));
                    return;
                }
            }
        }
    }

    /// The header of a packet is in the clear: this is how the world knows which one a datagram carries.
    fn label(&mut self) {
        for sent in self.out.iter_mut().filter(|sent| sent.label.is_none()) {
            if let (Protocol::Rtp, Some(head)) = (classify(&sent.bytes), sent.bytes.first_chunk::<12>()) {
                let sequence = u16::from_be_bytes([head[2], head[3]]);
                let ssrc = u32::from_be_bytes([head[8], head[9], head[10], head[11]]);
                let of = self.sealed.iter().find(|sealed| (sealed.0, sealed.1) == (ssrc, sequence));
                sent.label = of.map(|(_, _, label)| *label);
            }
        }
        self.sealed.clear();
    }

    fn note(&mut self, event: Event) {
        match event {
            Event::Connected => {
                self.connected = true;
                self.heard.push_back(Heard::Connected);
            }
            Event::RtpPacket(packet) => self.heard.push_back(Heard::Media(Received {
                ssrc: *packet.header.ssrc,
                index: *packet.seq_no,
                timestamp: packet.header.timestamp,
                marker: packet.header.marker,
                payload_type: *packet.header.payload_type,
                mid: packet.header.ext_vals.mid.map(|mid| mid.to_string()),
                payload: packet.payload.to_vec(),
                again: false,
            })),
            Event::KeyframeRequest(request) => {
                if let Some(line) = self.mids.iter().position(|mid| *mid == request.mid) {
                    self.heard.push_back(Heard::KeyframeWanted { line: u8::try_from(line).unwrap() });
                }
            }
            Event::IceConnectionStateChange(IceConnectionState::Disconnected) | Event::Closed => {
                self.heard.push_back(Heard::Closed);
            }
            Event::RawPacket(raw) => {
                match *raw {
                    RawPacket::RtcpRx(rtcp) => self.note_rtcp(rtcp),
                    RawPacket::RtpTx(header, packet) => {
                        let payload = &packet[header.header_len..];
                        // The payload of RTX begins with the original sequence number (RFC 4588 §4).
                        let readings = [(MediaKind::Audio, 0), (MediaKind::Video, 0), (MediaKind::Video, 2)];
                        let label = readings.iter().find_map(|(kind, from)| camera::read(*kind, payload.get(*from..)?));
                        let sealed = label.map(|label| (*header.ssrc, header.sequence_number, label));
                        self.sealed.extend(sealed);
                    }
                    _ => {}
                }
            }
            _ => {}
        }
    }

    fn note_rtcp(&mut self, rtcp: Rtcp) {
        match rtcp {
            Rtcp::ReceiverReport(report) => {
                for block in report.reports.iter() {
                    self.heard.push_back(Heard::Reception { lost: block.packets_lost.cast_signed() });
                }
            }
            Rtcp::Twcc(twcc) => self.heard.push_back(Heard::Feedback { arrived: usize::from(twcc.status_count) }),
            Rtcp::Remb(remb) => self.heard.push_back(Heard::Estimate { bitrate: f64::from(remb.bitrate) }),
            Rtcp::SenderReport(report) => {
                let ntp = report.sender_info.ntp_time.duration_since(std::time::UNIX_EPOCH);
                self.heard.push_back(Heard::SenderReport {
                    ssrc: *report.sender_info.ssrc,
                    unix_us: ntp.map_or(0, |since| u64::try_from(since.as_micros()).unwrap()),
                    timestamp: (report.sender_info.rtp_time.numer() & 0xffff_ffff) as u32,
                });
            }
            _ => {}
        }
    }
}

impl Browser for StrBrowser {
    /// It repairs what has RTX.
    fn repairs(&self, kind: MediaKind) -> bool {
        kind == MediaKind::Video
    }

    fn local(&self) -> SocketAddr {
        self.local
    }

    fn offer(&mut self, _: &Clock, lines: &[(MediaKind, bool)], restart: bool) -> String {
        let mids = self.mids.clone();
        let mut api = self.rtc.sdp_api();
        for (i, (kind, active)) in lines.iter().enumerate() {
            let direction = if *active { Direction::SendOnly } else { Direction::Inactive };
            match mids.get(i) {
                Some(mid) => api.set_direction(*mid, direction),
                None => {
                    let kind = match kind {
                        MediaKind::Audio => str0m::media::MediaKind::Audio,
                        _ => str0m::media::MediaKind::Video,
                    };
                    self.mids.push(api.add_media(kind, direction, None, None, None));
                }
            }
        }
        if restart {
            api.ice_restart(true);
        }
        let (offer, pending) = api.apply().expect("something to offer");
        self.pending = Some(pending);
        self.drain();
        offer.to_sdp_string()
    }

    fn take_answer(&mut self, _: &Clock, answer: &str) {
        let answer = SdpAnswer::from_sdp_string(answer).unwrap_or_else(|error| panic!("{error}: {answer}"));
        let pending = self.pending.take().expect("an offer was made");
        self.rtc.sdp_api().accept_answer(pending, answer).expect("an answer that str0m understands");
        self.drain();
    }

    fn answer(&mut self, _: &Clock, offer: &str) -> String {
        let offer = SdpOffer::from_sdp_string(offer).unwrap_or_else(|error| panic!("{error}: {offer}"));
        let answer = self.rtc.sdp_api().accept_offer(offer).expect("an offer that str0m understands");
        self.drain();
        answer.to_sdp_string()
    }

    fn receive(&mut self, clock: &Clock, from: SocketAddr, bytes: &[u8]) {
        let Ok(receive) = Receive::new(str0m::net::Protocol::Udp, from, self.local, bytes) else { return };
        let input = Input::Receive(clock.instant(), receive);
        if !self.rtc.is_alive() {
            return;
        }
        if !self.rtc.accepts(&input) {
            if !self.connected {
                // Our handshake may overtake the answer to the check that let it begin; it is repeated.
                return;
            }
            self.heard.push_back(Heard::Foreign(format!("{:?} from {from} is not for str0m", classify(bytes))));
            return;
        }
        if let Err(error) = self.rtc.handle_input(input) {
            self.heard.push_back(Heard::Foreign(format!("str0m: {error}")));
        }
        self.drain();
    }

    fn timeout(&mut self, clock: &Clock) {
        if self.next <= clock.instant() {
            self.rtc.handle_input(Input::Timeout(clock.instant())).expect("time passes");
            self.drain();
        }
    }

    fn deadline(&self, clock: &Clock) -> Mono {
        // A wish for the present is granted a little later, so that time moves.
        clock.mono_of(self.next).max(clock.mono() + Duration::from_micros(100))
    }

    fn send(&mut self, clock: &Clock, packet: &MediaPacket) {
        if !self.connected {
            return;
        }
        let mid = self.mids[usize::from(packet.label.line)];
        let Some(media) = self.rtc.media(mid) else { return };
        let codec = match media.kind() {
            str0m::media::MediaKind::Audio => Codec::Opus,
            str0m::media::MediaKind::Video => Codec::Vp8,
        };
        let pts = media.remote_pts().to_vec();
        let params = self.rtc.codec_config().params().iter().find(|p| p.spec().codec == codec && pts.contains(&p.pt()));
        let pt = params.expect("the codec was agreed").pt();
        let mut api = self.rtc.direct_api();
        let Some(stream) = api.stream_tx_by_mid(mid, None) else { return };
        if self.started.insert(packet.label.line) {
            // As much as a browser keeps; and nobody here asks for more than is lost.
            stream.set_rtx_cache(1024, KEPT, None);
        }
        let write = RtpWrite::new(pt, packet.sequence.into(), packet.timestamp, clock.instant(), &packet.payload[..]);
        stream.write_rtp(write.marker(packet.marker).nackable(codec == Codec::Vp8));
        self.rtc.handle_input(Input::Timeout(clock.instant())).expect("time passes");
        self.drain();
    }

    fn close(&mut self, _: &Clock) {
        let _ = self.rtc.close();
        self.drain();
    }

    fn transmit(&mut self) -> Option<Sent> {
        self.out.pop_front()
    }

    fn heard(&mut self) -> Option<Heard> {
        self.heard.pop_front()
    }
}
