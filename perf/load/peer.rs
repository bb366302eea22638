//! A fake peer's side of one peer connection: a full ICE agent with one candidate, DTLS in either role, SRTP both ways. It
//! answers checks and sends its own, reports once a second, counts what comes and opens a sample of it.

use crate::clock;
use crate::meter::Meter;
use crate::sdp::Remote;
use crate::socket;
use crate::track::{Track, stamp};
use portunus::proto::dtls::{Certificate, Context, DtlsEvent, Endpoint, Handshake, KeyKind, Role};
use portunus::proto::srtp::{Inbound, Outbound, Profile, split_keying_material};
use portunus::time::Mono;
use portunus::wire::demux::{Protocol, classify};
use portunus::wire::rtcp;
use portunus::wire::rtcp::{Compound, Ntp, ReceiverReport, ReportBlock, SenderInfo, SenderReport};
use portunus::wire::rtp::Packet;
use portunus::wire::sdp::{Setup, Transport};
use portunus::wire::stun;
use portunus::wire::stun::{BindingRequest, Class, Key, Message, TransactionId};
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::rc::Rc;
use std::time::Duration;

/// Between checks before the first answer, and after it as Chromium has it.
const CHECK_SOON: Duration = Duration::from_millis(20);
const CHECK_INTERVAL: Duration = Duration::from_millis(2500);
const REPORT_INTERVAL: Duration = Duration::from_secs(1);

/// One side of one peer connection.
pub struct Peer {
    /// Counted, so that it can be read from while the peer changes.
    pub socket: Rc<UdpSocket>,
    pub at: SocketAddr,
    pub local: Transport,
    local_key: Key,
    remote: Option<(Remote, Key)>,
    controlling: bool,
    number: u32,
    checks: u64,
    answered: bool,
    check_at: Mono,
    dtls: Option<Endpoint>,
    pub keys: Option<(Inbound, Outbound)>,
    /// The association ended, or never came to be.
    pub broken: bool,
    report_at: Mono,
    /// What is sent.
    pub tracks: Vec<Track>,
    /// What is received: SSRC and highest extended sequence number.
    heard: Vec<(u32, u32)>,
    /// Its packets count in the latency of the meter.
    pub metered: bool,
}

/// One DTLS identity for all peers, which offer one SRTP profile.
pub fn context(profile: Profile) -> Context {
    let certificate = Certificate::generate(clock::now(), KeyKind::Ecdsa).expect("a certificate");
    Context::new(&certificate, profile.openssl_name()).expect("a context")
}

impl Peer {
    /// Takes a port of `ip`.
    pub fn new(number: u32, ip: IpAddr, context: &Context) -> io::Result<Peer> {
        let socket = socket::bind(ip)?;
        let at = socket.local_addr()?;
        let local = Transport {
            ufrag: format!("load{number}").into(),
            pwd: format!("a+password+of+load+{number:010}").into(),
            fingerprint: context.fingerprint(),
            setup: Setup::Active,
        };
        Ok(Peer {
            socket: Rc::new(socket),
            at,
            local_key: Key::short_term(&local.pwd),
            local,
            remote: None,
            controlling: true,
            number,
            checks: 0,
            answered: false,
            check_at: Mono::NEVER,
            dtls: None,
            keys: None,
            broken: false,
            report_at: Mono::NEVER,
            tracks: Vec::new(),
            heard: Vec::new(),
            metered: true,
        })
    }

    /// Connects to the other side.
    pub fn meet(&mut self, remote: Remote, offered: bool, context: &Context) -> Result<(), String> {
        let say = |error: &dyn std::fmt::Display| error.to_string();
        // RFC 8445 §6.1.1: the full agent controls a lite one; of two full ones the offerer does.
        self.controlling = remote.ice_lite || offered;
        let role = if remote.transport.setup == Setup::Active { Role::Passive } else { Role::Active };
        let mut dtls = Endpoint::new(context, role).map_err(|error| say(&error))?;
        dtls.set_remote_fingerprint(remote.transport.fingerprint);
        self.dtls = Some(dtls);
        self.socket.connect(remote.at).map_err(|error| say(&error))?;
        let key = Key::short_term(&remote.transport.pwd);
        self.remote = Some((remote, key));
        self.check_at = Mono(clock::mono_ns());
        Ok(())
    }

    /// Does what is due.
    pub fn tick(&mut self, now: Mono) {
        if now >= self.check_at {
            self.check(now);
        }
        if self.dtls.as_ref().is_some_and(|dtls| now >= dtls.deadline()) {
            let dtls = self.dtls.as_mut().expect("it has a deadline");
            dtls.handle_timeout(clock::now());
            self.after_dtls();
        }
        if now >= self.report_at {
            self.report(now);
        }
    }

    /// A connectivity check (RFC 8445 §7.2.2); who controls nominates at once.
    fn check(&mut self, now: Mono) {
        let Some((remote, key)) = &self.remote else { return };
        self.checks += 1;
        let mut transaction = [0; 12];
        transaction[..8].copy_from_slice(&self.checks.to_be_bytes());
        transaction[8..].copy_from_slice(&self.number.to_be_bytes());
        let tie_breaker = u64::from(self.number);
        let role = if self.controlling { stun::Role::Controlling } else { stun::Role::Controlled };
        let request = BindingRequest {
            transaction: TransactionId(transaction),
            remote_ufrag: &remote.transport.ufrag,
            local_ufrag: &self.local.ufrag,
            priority: 0x6eff_ffff,
            role: role(tie_breaker),
            use_candidate: self.controlling,
        };
        let mut bytes = [0; 700];
        let len = request.compose(&mut bytes, key).expect("it fits");
        let _ = self.socket.send(&bytes[..len]);
        self.check_at = now + if self.answered { CHECK_INTERVAL } else { CHECK_SOON };
    }

    /// A datagram that came, and when the kernel had it.
    pub fn hear(&mut self, bytes: &mut [u8], received_ns: u64, meter: &mut Meter) {
        match classify(bytes) {
            Protocol::Rtp => self.hear_rtp(bytes, received_ns, meter),
            Protocol::Rtcp => self.hear_rtcp(bytes, meter),
            Protocol::Stun => self.hear_stun(bytes),
            Protocol::Dtls => {
                if let Some(dtls) = &mut self.dtls {
                    dtls.handle_datagram(clock::now(), bytes);
                    self.after_dtls();
                }
            }
            Protocol::Unknown => {}
        }
    }

    fn hear_stun(&mut self, bytes: &[u8]) {
        let (Ok(message), Some((remote, _))) = (Message::parse(bytes), &self.remote) else { return };
        match message.class() {
            Class::Request => {
                let mut out = [0; stun::REPLY_MAX];
                let len = stun::binding_success(&mut out, message.transaction(), remote.at, &self.local_key);
                let _ = self.socket.send(&out[..len.expect("it fits")]);
            }
            Class::Success => {
                self.answered = true;
                if let Some(dtls) = &mut self.dtls {
                    dtls.start(clock::now());
                    self.after_dtls();
                }
            }
            Class::Indication | Class::Error => {}
        }
    }

    fn after_dtls(&mut self) {
        let Some(dtls) = &mut self.dtls else { return };
        let mut bytes = [0; 1500];
        while let Some(len) = dtls.poll_transmit(&mut bytes) {
            let _ = self.socket.send(&bytes[..len]);
        }
        while let Some(event) = dtls.poll_event() {
            match event {
                DtlsEvent::Connected { profile, keying_material, role } => {
                    let profile = Profile::from_iana_id(profile).expect("a profile that was offered");
                    let (client, server) =
                        split_keying_material(profile, keying_material.as_bytes()).expect("keys of the profile");
                    let (ours, theirs) = if role == Role::Active { (client, server) } else { (server, client) };
                    let inbound = Inbound::new(profile, &theirs).expect("keys of the profile");
                    self.keys = Some((inbound, Outbound::new(profile, &ours).expect("keys of the profile")));
                    // Not all peers in the same instant.
                    let phase = Duration::from_millis((self.number % 50 * 20).into());
                    self.report_at = Mono(clock::mono_ns()) + phase;
                }
                DtlsEvent::Closed(_) => self.broken = true,
            }
        }
    }

    fn hear_rtp(&mut self, bytes: &mut [u8], received_ns: u64, meter: &mut Meter) {
        let Some(fixed) = bytes.first_chunk::<12>() else { return };
        let sequence = u16::from_be_bytes([fixed[2], fixed[3]]);
        let ssrc = u32::from_be_bytes([fixed[8], fixed[9], fixed[10], fixed[11]]);
        meter.packets += 1;
        meter.bytes += bytes.len() as u64;
        match self.heard.iter_mut().find(|(known, _)| *known == ssrc) {
            Some((_, highest)) => {
                let ahead = sequence.wrapping_sub(*highest as u16);
                if ahead < 0x8000 {
                    *highest = highest.wrapping_add(ahead.into());
                }
            }
            None => self.heard.push((ssrc, sequence.into())),
        }
        if u32::from(sequence) % meter.sample_every != 0 || !self.metered {
            return;
        }
        let Some((inbound, _)) = &mut self.keys else { return };
        match inbound.unprotect_rtp(bytes) {
            Ok(opened) => {
                let packet = Packet::parse(&bytes[..opened.len]).ok();
                match packet.and_then(|packet| stamp(packet.payload)) {
                    Some(sent) => meter.latency.add(received_ns.saturating_sub(sent)),
                    None => meter.unreadable += 1,
                }
            }
            Err(_) => meter.unreadable += 1,
        }
    }

    /// Only publishers look inside: somebody may want a keyframe.
    fn hear_rtcp(&mut self, bytes: &mut [u8], meter: &mut Meter) {
        meter.reports += 1;
        if self.tracks.is_empty() {
            return;
        }
        let Some((inbound, _)) = &mut self.keys else { return };
        let Ok(len) = inbound.unprotect_rtcp(bytes) else { return };
        for packet in Compound::new(&bytes[..len]) {
            if let Ok(rtcp::Packet::Pli(_) | rtcp::Packet::Fir(_)) = packet {
                self.tracks.iter_mut().for_each(|track| track.keyframe_due = true);
            }
        }
    }

    fn report(&mut self, now: Mono) {
        self.report_at = now + REPORT_INTERVAL;
        let Some((_, outbound)) = &mut self.keys else { return };
        let mut bytes = [0; 1200];
        let mut len = 0;
        for track in self.tracks.iter().filter(|track| track.sent > 0) {
            let info = SenderInfo {
                ntp: Ntp::from_unix_us(clock::unix_ns() / 1000),
                rtp_timestamp: track.timestamp,
                packet_count: track.sent as u32,
                octet_count: track.octets as u32,
            };
            len += SenderReport { ssrc: track.ssrc, info, blocks: &[] }.write(&mut bytes[len..]).expect("it fits");
        }
        if len == 0 {
            let ssrc = 0x3000_0000 + self.number;
            let block = |(ssrc, highest_sequence): &(u32, u32)| ReportBlock {
                ssrc: *ssrc,
                highest_sequence: *highest_sequence,
                fraction_lost: 0,
                cumulative_lost: 0,
                jitter: 0,
                last_sr: 0,
                delay_since_last_sr: 0,
            };
            let blocks: Vec<_> = self.heard.iter().take(31).map(|heard| block(heard).to_bytes()).collect();
            len = ReceiverReport { ssrc, blocks: &blocks }.write(&mut bytes).expect("it fits");
        }
        let mut sealed = [0; 1300];
        let len = outbound.protect_rtcp(&bytes[..len], &mut sealed).expect("it fits");
        let _ = self.socket.send(&sealed[..len]);
    }

    /// Says close_notify, as a browser does.
    pub fn close(&mut self) {
        if let Some(dtls) = &mut self.dtls {
            dtls.close();
            self.after_dtls();
        }
    }
}
