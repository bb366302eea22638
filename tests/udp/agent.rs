//! The working part of a peer, on a thread of its own or with others on one: a full ICE agent with one candidate, a DTLS client, SRTP both ways. It says what it
//! is told to, checks every datagram, and writes down what it has seen.

use crate::clock::now;
use crate::media::{Heard, Speech, Stamp};
use crate::peer::{Ledger, Order};
use crate::sdp::{MID, OPUS, Remote, TRANSPORT_CC, VP8};
use portunus::proto::dtls::{Certificate, Context, DtlsEvent, Endpoint, Fingerprint, Handshake, KeyKind, Role};
use portunus::proto::srtp::{Inbound, Outbound, Profile, SrtpError, split_keying_material};
use portunus::time::{Mono, Now};
use portunus::wire::demux::{Protocol, classify};
use portunus::wire::rtcp;
use portunus::wire::rtcp::{Compound, Ntp, Pli, ReceiverReport, SenderInfo, SenderReport};
use portunus::wire::rtp::{Header, HeaderWriter, Packet};
use portunus::wire::sdp::{MediaKind, Transport};
use portunus::wire::stun;
use portunus::wire::stun::{BindingRequest, Class, Key, Message, TransactionId};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsRawFd, RawFd};
use std::sync::mpsc::{Receiver, TryRecvError};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::Duration;

/// Between checks before and after the first answer.
const CHECK_SOON: Duration = Duration::from_millis(50);
const CHECK_INTERVAL: Duration = Duration::from_millis(500);
const REPORT_INTERVAL: Duration = Duration::from_secs(1);
/// From a frame to a packet of audio, and from that to the next frame.
const TICK: Duration = Duration::from_millis(10);
/// How far a publisher may be behind its schedule.
const LATENESS_MAX: Duration = Duration::from_millis(60);
/// How long the thread waits for a datagram before it looks at the time and its orders.
const GLANCE: Duration = Duration::from_millis(4);

/// The other side of one peer connection.
pub struct Agent {
    socket: UdpSocket,
    ordered: Receiver<Order>,
    ledger: Arc<Mutex<Ledger>>,
    ufrag: Box<str>,
    number: u64,
    remote: Option<Box<Remote>>,
    check_at: Mono,
    checks: u64,
    dtls: Endpoint,
    srtp: Option<(Inbound, Outbound)>,
    audio: Track,
    video: Track,
    transport_sequence: u16,
    speech: Option<Speech>,
    tick: u32,
    speak_at: Mono,
    keyframe_due: bool,
    report_at: Mono,
}

/// One m-line that is sent.
#[derive(Clone, Copy, Default)]
struct Track {
    ssrc: u32,
    payload_type: u8,
    mid: [u8; 1],
    sent: u32,
    octets: u32,
    timestamp: u32,
}

impl Agent {
    /// On this socket, with this side of a description, the peer's number and the SSRCs of audio and video.
    pub fn new(
        socket: UdpSocket,
        ordered: Receiver<Order>,
        ledger: Arc<Mutex<Ledger>>,
        local: &Transport,
        number: u32,
        [audio, video]: [u32; 2],
    ) -> Agent {
        Agent {
            socket,
            ordered,
            ledger,
            ufrag: local.ufrag.clone(),
            number: audio.into(),
            remote: None,
            check_at: Mono::NEVER,
            checks: 0,
            dtls: Endpoint::new(context(number), Role::Active).expect("a DTLS client"),
            srtp: None,
            audio: Track { ssrc: audio, payload_type: OPUS, mid: *b"0", ..Track::default() },
            video: Track { ssrc: video, payload_type: VP8, mid: *b"1", ..Track::default() },
            transport_sequence: 0,
            speech: None,
            tick: 0,
            speak_at: Mono::NEVER,
            keyframe_due: true,
            report_at: Mono::NEVER,
        }
    }

    /// Lives until nobody can give orders any more.
    pub fn live(mut self) {
        self.socket.set_read_timeout(Some(GLANCE)).expect("a socket");
        while self.turn() {}
    }

    /// The socket, for who waits for several at a time: it does not block any more.
    pub fn share(&self) -> RawFd {
        self.socket.set_nonblocking(true).expect("a socket");
        self.socket.as_raw_fd()
    }

    /// Does what there is to do. False when nobody can give orders any more.
    pub fn turn(&mut self) -> bool {
        loop {
            match self.ordered.try_recv() {
                Ok(order) => self.obey(order),
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => return false,
            }
        }
        let now = now();
        if now.mono >= self.check_at {
            self.check(now.mono);
        }
        if now.mono >= self.dtls.deadline() {
            self.dtls.handle_timeout(now);
            self.after_dtls();
        }
        if now.mono >= self.report_at {
            self.report(now);
        }
        while now.mono >= self.speak_at {
            self.speak();
        }
        let mut bytes = [0; 2048];
        // Many at once, so that a burst does not overflow the socket; then the time again.
        for _ in 0..64 {
            let Ok((len, from)) = self.socket.recv_from(&mut bytes) else { break };
            self.hear(from, &mut bytes[..len]);
            if crate::clock::now().mono >= self.speak_at {
                break;
            }
        }
        true
    }

    fn obey(&mut self, order: Order) {
        let now = now();
        match order {
            Order::Meet(remote) => {
                let fingerprint = remote.transport.fingerprint;
                self.dtls.set_remote_fingerprint(fingerprint);
                self.remote = Some(remote);
                self.check_at = now.mono;
            }
            Order::Speak(speech) => {
                self.speech = Some(speech);
                self.speak_at = self.speak_at.min(now.mono);
            }
            Order::Hush => {
                self.speech = None;
                self.speak_at = Mono::NEVER;
            }
            Order::StopChecking => self.check_at = Mono::NEVER,
            Order::FallSilent => {
                (self.check_at, self.report_at, self.speak_at) = (Mono::NEVER, Mono::NEVER, Mono::NEVER);
                self.remote = None;
            }
            Order::AskKeyframe => self.ask_keyframe(),
            Order::Inject(bytes) => self.send(&bytes),
            Order::CloseDtls => {
                self.dtls.close();
                self.after_dtls();
            }
        }
        self.ledger().obeyed += 1;
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().expect("tests only look")
    }

    fn send(&self, bytes: &[u8]) {
        let Some(remote) = &self.remote else { return };
        // A server that is gone refuses, and the next call reports it.
        let _ = self.socket.send_to(bytes, remote.at);
    }

    fn sample(&self, kind: &'static str, bytes: &[u8]) {
        self.ledger().samples.0.insert(kind, bytes.to_vec());
    }

    /// A connectivity check (RFC 8445 §7.2.2), which nominates at once.
    fn check(&mut self, now: Mono) {
        let Some(remote) = &self.remote else { return };
        self.checks += 1;
        let mut transaction = [0; 12];
        transaction[..4].copy_from_slice(&self.checks.to_be_bytes()[4..]);
        transaction[4..].copy_from_slice(&self.number.to_be_bytes());
        let request = BindingRequest {
            transaction: TransactionId(transaction),
            remote_ufrag: &remote.transport.ufrag,
            local_ufrag: &self.ufrag,
            priority: 0x7e00_00ff,
            role: stun::Role::Controlling(self.number),
            use_candidate: true,
        };
        let mut bytes = [0; 400];
        let len = request.compose(&mut bytes, &Key::short_term(&remote.transport.pwd)).expect("it fits");
        self.send(&bytes[..len]);
        self.sample("check", &bytes[..len]);
        let answered = self.ledger().checks_answered > 0;
        self.check_at = now + if answered { CHECK_INTERVAL } else { CHECK_SOON };
    }

    fn hear(&mut self, from: SocketAddr, bytes: &mut [u8]) {
        let Some(remote) = self.remote.as_ref().filter(|remote| remote.at == from) else {
            self.ledger().strange += 1;
            return;
        };
        match classify(bytes) {
            Protocol::Stun => {
                let key = Key::short_term(&remote.transport.pwd);
                let answered = Message::parse(bytes).is_ok_and(|message| {
                    message.class() == Class::Success
                        && message.verify_integrity(&key)
                        && message.xor_mapped_address() == self.socket.local_addr().ok()
                });
                let mut ledger = self.ledger();
                if answered {
                    ledger.checks_answered += 1;
                } else {
                    ledger.strange += 1;
                }
                drop(ledger);
                if answered {
                    self.dtls.start(now());
                    self.after_dtls();
                }
            }
            Protocol::Dtls => {
                self.dtls.handle_datagram(now(), bytes);
                self.after_dtls();
            }
            Protocol::Rtp => self.hear_rtp(bytes),
            Protocol::Rtcp => self.hear_rtcp(bytes),
            Protocol::Unknown => self.ledger().strange += 1,
        }
    }

    fn after_dtls(&mut self) {
        let mut bytes = [0; 1500];
        while let Some(len) = self.dtls.poll_transmit(&mut bytes) {
            self.send(&bytes[..len]);
            self.sample("handshake", &bytes[..len]);
        }
        while let Some(event) = self.dtls.poll_event() {
            match event {
                DtlsEvent::Connected { profile, keying_material, .. } => {
                    let profile = Profile::from_iana_id(profile).expect("a profile that was offered");
                    let (ours, theirs) =
                        split_keying_material(profile, keying_material.as_bytes()).expect("keys of the profile");
                    let inbound = Inbound::new(profile, &theirs).expect("keys of the profile");
                    self.srtp = Some((inbound, Outbound::new(profile, &ours).expect("keys of the profile")));
                    self.report_at = now().mono + REPORT_INTERVAL;
                    self.ledger().connected = true;
                }
                DtlsEvent::Closed(reason) => self.ledger().closed = Some(reason),
            }
        }
    }

    fn hear_rtp(&mut self, bytes: &mut [u8]) {
        let mut ledger = self.ledger.lock().expect("tests only look");
        let Some((inbound, _)) = &mut self.srtp else {
            ledger.strange += 1;
            return;
        };
        let opened = match inbound.unprotect_rtp(bytes) {
            Ok(opened) => opened,
            Err(SrtpError::Replay) => {
                ledger.replayed += 1;
                return;
            }
            Err(_) => {
                ledger.unauthenticated += 1;
                return;
            }
        };
        let Ok(packet) = Packet::parse(&bytes[..opened.len]) else {
            ledger.corrupt += 1;
            return;
        };
        let ssrc = packet.header.ssrc;
        let whole = match ledger.heard.get_mut(&ssrc) {
            Some(heard) => heard.hear(&packet),
            None => {
                let sources = self.remote.iter().flat_map(|remote| &remote.sources);
                let kind = sources.into_iter().find(|(source, _)| *source == ssrc).map(|(_, kind)| *kind);
                let first = kind.and_then(|kind| Heard::first(kind, &packet));
                first.map(|first| ledger.heard.insert(ssrc, first)).is_some()
            }
        };
        if !whole {
            ledger.corrupt += 1;
        }
    }

    fn hear_rtcp(&mut self, bytes: &mut [u8]) {
        let mut ledger = self.ledger.lock().expect("tests only look");
        let Some((inbound, _)) = &mut self.srtp else {
            ledger.strange += 1;
            return;
        };
        let Ok(len) = inbound.unprotect_rtcp(bytes) else {
            ledger.unauthenticated += 1;
            return;
        };
        ledger.reports += 1;
        for packet in Compound::new(&bytes[..len]) {
            match packet {
                Ok(rtcp::Packet::Pli(pli)) if pli.media_ssrc == self.video.ssrc => {
                    ledger.keyframes_asked += 1;
                    self.keyframe_due = true;
                }
                Ok(rtcp::Packet::Pli(_)) | Err(_) => ledger.corrupt += 1,
                Ok(_) => {}
            }
        }
    }

    /// A frame of video, or half a period later a packet of audio: so that audio has no luck that it has not earned.
    fn speak(&mut self) {
        let Some(speech) = self.speech.filter(|_| self.srtp.is_some()) else {
            self.speak_at = now().mono + TICK;
            return;
        };
        if self.tick.is_multiple_of(2) {
            self.say_frame(speech, self.tick / 2);
        } else {
            self.audio.timestamp = (self.tick / 2).wrapping_mul(960);
            let Track { ssrc: by, sent: number, timestamp, .. } = self.audio;
            let stamp = Stamp { by, number, timestamp, video: false };
            self.say(false, false, &stamp.audio(speech.audio_bytes));
        }
        self.tick += 1;
        // A machine that was busy elsewhere is not made up for with a burst.
        self.speak_at = (self.speak_at + TICK).max(now().mono - LATENESS_MAX);
        let mut ledger = self.ledger();
        (ledger.audio_sent, ledger.video_sent) = (self.audio.sent, self.video.sent);
    }

    fn say_frame(&mut self, speech: Speech, frame: u32) {
        let by = self.audio.ssrc;
        self.video.timestamp = frame.wrapping_mul(1800);
        let [_, _, high, low] = frame.to_be_bytes();
        let picture = u16::from_be_bytes([high, low]);
        let keyframe = speech.frame > 0 && std::mem::take(&mut self.keyframe_due);
        for n in 0..speech.frame {
            let stamp = Stamp { by, number: self.video.sent, timestamp: self.video.timestamp, video: true };
            let payload = stamp.video(speech.video_bytes, picture, n == 0, keyframe);
            self.say(true, n + 1 == speech.frame, &payload);
        }
    }

    fn say(&mut self, video: bool, marker: bool, payload: &[u8]) {
        let track = if video { &mut self.video } else { &mut self.audio };
        let Some((_, outbound)) = &mut self.srtp else { return };
        let Track { ssrc, payload_type, timestamp, .. } = *track;
        let header = Header { marker, payload_type, sequence: 0, timestamp, ssrc };
        let mut head = [0; 40];
        let mut writer = HeaderWriter::new(&mut head, &header).expect("it fits");
        writer.push(MID, &track.mid).expect("it fits");
        writer.push(TRANSPORT_CC, &self.transport_sequence.to_be_bytes()).expect("it fits");
        let head_len = writer.finish().expect("it fits");
        let stream = outbound.open(ssrc, 100);
        let mut bytes = [0; 1500];
        let sealed = outbound.seal(stream, &mut head[..head_len], payload, 0, &mut bytes).expect("it fits");
        self.transport_sequence = self.transport_sequence.wrapping_add(1);
        track.sent += 1;
        track.octets = track.octets.wrapping_add(u32::try_from(payload.len()).expect("a datagram"));
        self.send(&bytes[..sealed.len]);
        self.sample(if video { "video" } else { "audio" }, &bytes[..sealed.len]);
    }

    /// A report of each kind, as the side that we are sends it.
    fn report(&mut self, now: Now) {
        self.report_at = now.mono + REPORT_INTERVAL;
        let mut bytes = [0; 200];
        let mut len = 0;
        for track in [&self.audio, &self.video] {
            let Track { ssrc, timestamp: rtp_timestamp, sent: packet_count, octets: octet_count, .. } = *track;
            let info = SenderInfo { ntp: Ntp::from_unix_us(now.unix_us), rtp_timestamp, packet_count, octet_count };
            if packet_count > 0 {
                len += SenderReport { ssrc, info, blocks: &[] }.write(&mut bytes[len..]).expect("it fits");
            }
        }
        if len == 0 {
            len = ReceiverReport { ssrc: self.audio.ssrc, blocks: &[] }.write(&mut bytes).expect("it fits");
        }
        self.send_rtcp(&bytes[..len]);
    }

    fn ask_keyframe(&mut self) {
        let sources = self.remote.iter().flat_map(|remote| &remote.sources);
        let video: Vec<_> = sources.filter(|(_, kind)| *kind == MediaKind::Video).map(|(ssrc, _)| *ssrc).collect();
        for media_ssrc in video {
            let mut bytes = [0; 40];
            let sender_ssrc = self.audio.ssrc;
            let len = ReceiverReport { ssrc: sender_ssrc, blocks: &[] }.write(&mut bytes).expect("it fits");
            let more = Pli { sender_ssrc, media_ssrc }.write(&mut bytes[len..]).expect("it fits");
            self.send_rtcp(&bytes[..len + more]);
        }
    }

    fn send_rtcp(&mut self, compound: &[u8]) {
        let Some((_, outbound)) = &mut self.srtp else { return };
        let mut bytes = [0; 300];
        let len = outbound.protect_rtcp(compound, &mut bytes).expect("it fits");
        self.send(&bytes[..len]);
        self.sample("report", &bytes[..len]);
    }
}

/// The DTLS identities of this process, which its peers take in turn.
static CONTEXTS: OnceLock<[Context; 4]> = OnceLock::new();

fn context(number: u32) -> &'static Context {
    let make = |_| {
        let certificate = Certificate::generate(now(), KeyKind::Ecdsa).expect("a certificate");
        let profiles = [Profile::AesCm128HmacSha1_80, Profile::AeadAes256Gcm, Profile::AeadAes128Gcm];
        Context::new(&certificate, &profiles.map(Profile::openssl_name).join(":")).expect("a context")
    };
    let contexts = CONTEXTS.get_or_init(|| std::array::from_fn(make));
    &contexts[number as usize % contexts.len()]
}

/// The fingerprint of a peer by its number.
pub fn fingerprint(number: u32) -> Fingerprint {
    context(number).fingerprint()
}

/// The first flight of somebody else.
pub fn client_hello() -> Vec<u8> {
    let mut stranger = Endpoint::new(context(0), Role::Active).expect("a DTLS client");
    stranger.start(now());
    let mut bytes = [0; 1500];
    let len = stranger.poll_transmit(&mut bytes).expect("a client speaks first");
    bytes[..len].to_vec()
}
