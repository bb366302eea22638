//! Peers that are the same every time: a scripted handshake, ICE checks with the timing of Chromium, and SRTP by our own
//! `proto/srtp`. What a checker must be able to repeat bit for bit is played with these.

mod media;
mod offer;
pub mod repair;

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use portunus::proto::dtls::{DtlsEvent, Fingerprint, Handshake, Role};
use portunus::proto::ice::Credentials;
use portunus::proto::srtp::{Inbound, Outbound, split_keying_material};
use portunus::time::Mono;
use portunus::wire::demux::{Protocol, classify};
use portunus::wire::sdp::{Description, DescriptionKind, MediaKind, Mid, Transport, parse};
use portunus::wire::stun;
use portunus::wire::stun::{BindingRequest, Class, Key, Message, TransactionId};

use crate::browser::{Browser, Heard, Sent};
use crate::camera::MediaPacket;
use crate::clock::Clock;
use crate::handshake::{PROFILE, ScriptedHandshake};
use crate::network::Prng;
use repair::{Habits, Kept, Reception};

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
    habits: Habits,
    /// SSRC to tag and kind of what it receives.
    expected: BTreeMap<u32, (Mid, MediaKind)>,
    /// RTX SSRC to the SSRC that it repairs.
    repaired_by: BTreeMap<u32, u32>,
    mid_extension: BTreeMap<u8, u8>,
    /// By SSRC, of media.
    reception: BTreeMap<u32, Reception>,
    /// The middle of the newest SR's NTP time by SSRC, and when it came.
    last_reports: BTreeMap<u32, (u32, Mono)>,
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
    /// When lost packets are answered by RTX.
    rtx_ssrc: Option<u32>,
    /// Announced in the SDP, or to be bound by MID.
    announced: bool,
    pt: u8,
    sent: (u32, u32),
    last_timestamp: Option<(Mono, u32)>,
    kept: Kept,
}

const REPORTS: Duration = Duration::from_secs(1);
/// Chromium's: the first three quickly, the second one nominates, then every 2.5 s.
const CHECKS: [Duration; 2] = [Duration::from_millis(50), Duration::from_millis(70)];
const CHECK_INTERVAL: Duration = Duration::from_millis(2_500);

impl ScriptedBrowser {
    /// With these habits, whatever the seed says.
    pub fn with(seed: u64, local: SocketAddr, habits: Habits) -> ScriptedBrowser {
        ScriptedBrowser { habits, ..ScriptedBrowser::new(seed, local) }
    }

    pub fn new(seed: u64, local: SocketAddr) -> ScriptedBrowser {
        let mut prng = Prng::new(seed);
        let mut fingerprint = [0; 32];
        prng.fill(&mut fingerprint);
        let passive = prng.per_mille(300);
        ScriptedBrowser {
            credentials: draw(&mut prng),
            habits: Habits::draw(&mut prng),
            prng,
            local,
            fingerprint: Fingerprint::Sha256(fingerprint),
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
            repaired_by: BTreeMap::new(),
            mid_extension: BTreeMap::new(),
            reception: BTreeMap::new(),
            last_reports: BTreeMap::new(),
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
            handshake.set_remote_fingerprint(transport.fingerprint);
            self.handshake = Some(handshake);
        }
        self.remote = Some(Remote { address, transport, key });
        if restarted {
            self.checks = 0;
            self.next_check = clock.mono();
        }
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
                    self.reception.clear();
                    (self.next_check, self.next_report) = (Mono::NEVER, Mono::NEVER);
                    self.heard.push_back(Heard::Closed);
                }
            }
        }
    }

    fn missing_deadline(&self) -> Mono {
        self.reception.values().map(Reception::deadline).min().unwrap_or(Mono::NEVER)
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
}

impl Browser for ScriptedBrowser {
    fn local(&self) -> SocketAddr {
        self.local
    }

    fn repairs(&self, kind: MediaKind) -> bool {
        self.habits.repairs(kind)
    }

    fn offer(&mut self, _: &Clock, lines: &[(MediaKind, bool)], restart: bool) -> String {
        if restart {
            self.credentials = draw(&mut self.prng);
            self.checks = 0;
            // The answer brings the other half.
            self.next_check = Mono::NEVER;
        }
        self.compose_offer(lines)
    }

    fn take_answer(&mut self, clock: &Clock, text: &str) {
        let answer = parse(DescriptionKind::Answer, text).expect("an answer of ours");
        self.check_answer(&answer);
        self.set_remote(clock, &answer, text);
        if self.next_check == Mono::NEVER {
            self.next_check = clock.mono();
        }
    }

    fn answer(&mut self, clock: &Clock, text: &str) -> String {
        self.compose_answer(clock, text)
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
            Protocol::Rtp => self.take_rtp(clock, &mut bytes.to_vec()),
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
        if self.missing_deadline() <= clock.mono() {
            self.ask(clock);
        }
    }

    fn deadline(&self, _: &Clock) -> Mono {
        let handshake = self.handshake.as_ref().map_or(Mono::NEVER, |handshake| handshake.deadline());
        self.next_check.min(self.next_report).min(handshake).min(self.missing_deadline())
    }

    fn send(&mut self, clock: &Clock, packet: &MediaPacket) {
        self.send_media(clock, packet);
    }

    fn close(&mut self, clock: &Clock) {
        if let Some(handshake) = &mut self.handshake {
            handshake.close();
        }
        self.after_handshake(clock);
        self.keys = None;
        (self.next_check, self.next_report) = (Mono::NEVER, Mono::NEVER);
        self.reception.clear();
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
