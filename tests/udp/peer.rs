//! A peer connection of the other side: a full ICE agent with one candidate, a DTLS client, SRTP both ways. It lives on
//! a thread of its own, says what it is told to, checks every datagram, and writes down what it has seen.

use crate::clock::{now, wait_for};
use crate::media::{Heard, Speech, Stamp};
use crate::sdp::{MID, OPUS, Remote, TRANSPORT_CC, VP8};
use portunus::proto::dtls::{Certificate, CloseReason, Context, DtlsEvent, Endpoint, Handshake, Role};
use portunus::proto::srtp::{Inbound, Outbound, Profile, split_keying_material};
use portunus::time::{Mono, Now};
use portunus::wire::demux::{Protocol, classify};
use portunus::wire::rtcp::{self, Compound, Ntp, Pli, ReceiverReport, SenderInfo, SenderReport};
use portunus::wire::rtp::{Header, HeaderWriter, Packet};
use portunus::wire::sdp::{MediaKind, Setup, Transport};
use portunus::wire::stun::{self, BindingRequest, Class, Key, Message, TransactionId};
use std::collections::HashMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{self, Receiver, Sender, TryRecvError};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Between checks before and after the first answer.
const CHECK_SOON: Duration = Duration::from_millis(50);
const CHECK_INTERVAL: Duration = Duration::from_millis(500);
const REPORT_INTERVAL: Duration = Duration::from_secs(1);
/// Between frames, and between packets of audio.
const PTIME: Duration = Duration::from_millis(20);
/// How far a publisher may be behind its schedule.
const LATENESS_MAX: Duration = Duration::from_millis(60);
/// How long the thread waits for a datagram before it looks at the time and its orders.
const GLANCE: Duration = Duration::from_millis(4);

/// What a test may tell a peer.
pub enum Order {
    /// Connect to this side.
    Meet(Box<Remote>),
    /// Begin to send, or send something else.
    Speak(Speech),
    /// Stop sending media.
    Hush,
    /// Stop sending checks.
    StopChecking,
    /// Ask the source of an m-line for a keyframe.
    AskKeyframe,
    /// Send these bytes as they are, from this peer's own address.
    Inject(Vec<u8>),
    /// Send close_notify.
    CloseDtls,
}

/// What a peer has seen and done.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    /// Checks that were answered, authenticated.
    pub checks_answered: u64,
    /// The handshake is done.
    pub connected: bool,
    /// How DTLS ended.
    pub closed: Option<CloseReason>,
    /// Media by SSRC.
    pub heard: HashMap<u32, Heard>,
    /// SRTP or SRTCP that did not authenticate.
    pub unauthenticated: u64,
    /// Packets that came twice.
    pub replayed: u64,
    /// Authenticated packets with wrong contents.
    pub corrupt: u64,
    /// Datagrams that were nothing of all this, or came from elsewhere.
    pub strange: u64,
    /// Compound RTCP packets.
    pub reports: u64,
    /// Keyframes that we were asked for.
    pub keyframes_asked: u64,
    /// Packets of audio and video that were sent.
    pub audio_sent: u32,
    pub video_sent: u32,
    /// One datagram of each kind as it was sent last: check, handshake, SRTP, SRTCP.
    pub samples: Samples,
}

/// Datagrams by kind; too long to be printed.
#[derive(Clone, Default)]
pub struct Samples(pub HashMap<&'static str, Vec<u8>>);

impl fmt::Debug for Samples {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} samples", self.0.len())
    }
}

impl Ledger {
    /// What came of a kind from one publisher.
    pub fn of(&self, by: u32, kind: MediaKind) -> Option<&Heard> {
        self.heard.values().find(|heard| heard.by == by && heard.kind == kind)
    }
}

/// A peer on its thread. Dropped, it falls silent without a word.
pub struct Peer {
    /// Its side of a description.
    pub local: Transport,
    /// Its SSRCs of audio and video; the first names it as a publisher.
    pub audio: u32,
    pub video: u32,
    ledger: Arc<Mutex<Ledger>>,
    orders: Option<Sender<Order>>,
    thread: Option<JoinHandle<()>>,
}

impl Peer {
    /// Takes a port of `ip` in the network namespace of this thread.
    pub fn new(ip: IpAddr) -> Peer {
        static COUNT: AtomicU32 = AtomicU32::new(1);
        let socket = UdpSocket::bind((ip, 0)).expect("a free port");
        // What the kernel grants without privileges is enough for the rates of the tests.
        socket2::SockRef::from(&socket).set_recv_buffer_size(4 << 20).expect("a socket");
        socket.set_read_timeout(Some(GLANCE)).expect("a socket");
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let local = Transport {
            ufrag: format!("native{number}").into(),
            pwd: format!("a+password+of+native+{number:08}").into(),
            fingerprint: context().fingerprint().0,
            setup: Setup::Active,
        };
        let (orders, ordered) = mpsc::channel();
        let ledger = Arc::new(Mutex::new(Ledger::default()));
        let (audio, video) = (0x1000_0000 + number, 0x2000_0000 + number);
        let agent = Agent {
            socket,
            ordered,
            ledger: ledger.clone(),
            ufrag: local.ufrag.clone(),
            number: u64::from(number),
            remote: None,
            check_at: Mono::NEVER,
            checks: 0,
            dtls: Endpoint::new(context(), Role::Active).expect("a DTLS client"),
            srtp: None,
            audio: Track { ssrc: audio, payload_type: OPUS, mid: *b"0", ..Track::default() },
            video: Track { ssrc: video, payload_type: VP8, mid: *b"1", ..Track::default() },
            transport_sequence: 0,
            speech: None,
            frame: 0,
            speak_at: Mono::NEVER,
            keyframe_due: true,
            report_at: Mono::NEVER,
        };
        let thread = thread::spawn(move || agent.live());
        Peer { local, audio, video, ledger, orders: Some(orders), thread: Some(thread) }
    }

    /// Gives an order.
    pub fn tell(&self, order: Order) {
        self.orders.as_ref().and_then(|orders| orders.send(order).ok()).expect("the peer lives");
    }

    /// What it has seen so far.
    pub fn ledger(&self) -> Ledger {
        self.locked().clone()
    }

    /// Looks at the ledger without copying it.
    pub fn look<R>(&self, look: impl FnOnce(&Ledger) -> R) -> R {
        look(&self.locked())
    }

    fn locked(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().expect("the peer's thread has not failed")
    }

    /// Waits until its ledger is as wished.
    pub fn wait(&self, within: Duration, what: &str, wanted: impl Fn(&Ledger) -> bool) {
        wait_for(within, what, || self.look(|ledger| wanted(ledger).then_some(())));
    }

    /// Asserts that everything it got was authentic, whole and in its place.
    pub fn is_unharmed(&self) {
        let ledger = self.ledger();
        let harm = (ledger.unauthenticated, ledger.replayed, ledger.corrupt, ledger.strange);
        assert_eq!(harm, (0, 0, 0, 0), "unauthenticated, replayed, corrupt, strange: {ledger:?}");
        assert!(ledger.heard.values().all(|heard| heard.late == 0 && heard.shifts == 0), "out of order: {ledger:?}");
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.orders = None;
        let outcome = self.thread.take().map(JoinHandle::join);
        if let Some(Err(_)) = outcome
            && !thread::panicking()
        {
            panic!("the thread of a peer has failed");
        }
    }
}

/// One DTLS identity for all peers of this process.
fn context() -> &'static Context {
    static CONTEXT: OnceLock<Context> = OnceLock::new();
    CONTEXT.get_or_init(|| {
        let certificate = Certificate::generate(now()).expect("a certificate");
        let profiles = [Profile::AesCm128HmacSha1_80, Profile::AeadAes256Gcm, Profile::AeadAes128Gcm];
        Context::new(&certificate, &profiles.map(Profile::openssl_name).join(":")).expect("a context")
    })
}

/// The first flight of somebody else.
pub fn client_hello() -> Vec<u8> {
    let mut stranger = Endpoint::new(context(), Role::Active).expect("a DTLS client");
    stranger.start(now());
    let mut bytes = [0; 1500];
    let len = stranger.poll_transmit(&mut bytes).expect("a client speaks first");
    bytes[..len].to_vec()
}

/// What lives on the thread.
struct Agent {
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
    frame: u32,
    speak_at: Mono,
    keyframe_due: bool,
    report_at: Mono,
}

/// One m-line that is sent.
#[derive(Default)]
struct Track {
    ssrc: u32,
    payload_type: u8,
    mid: [u8; 1],
    sent: u32,
    octets: u32,
    timestamp: u32,
}

impl Agent {
    fn live(mut self) {
        loop {
            loop {
                match self.ordered.try_recv() {
                    Ok(order) => self.obey(order),
                    Err(TryRecvError::Empty) => break,
                    Err(TryRecvError::Disconnected) => return,
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
        }
    }

    fn obey(&mut self, order: Order) {
        let now = now();
        match order {
            Order::Meet(remote) => {
                let fingerprint = portunus::proto::dtls::Fingerprint(remote.transport.fingerprint);
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
            Order::AskKeyframe => self.ask_keyframe(),
            Order::Inject(bytes) => self.send(&bytes),
            Order::CloseDtls => {
                self.dtls.close();
                self.after_dtls();
            }
        }
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
            Err(portunus::proto::srtp::SrtpError::Replay) => {
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

    /// One packet of audio, one frame of video.
    fn speak(&mut self) {
        let Some(speech) = self.speech.filter(|_| self.srtp.is_some()) else {
            self.speak_at = now().mono + PTIME;
            return;
        };
        let by = self.audio.ssrc;
        self.audio.timestamp = self.frame.wrapping_mul(960);
        let stamp = Stamp { by, number: self.audio.sent, timestamp: self.audio.timestamp, video: false };
        self.say(false, false, &stamp.audio(speech.audio_bytes));
        self.video.timestamp = self.frame.wrapping_mul(1800);
        let keyframe = speech.frame > 0 && std::mem::take(&mut self.keyframe_due);
        for n in 0..speech.frame {
            let stamp = Stamp { by, number: self.video.sent, timestamp: self.video.timestamp, video: true };
            let [_, _, high, low] = self.frame.to_be_bytes();
            let picture = u16::from_be_bytes([high, low]);
            let payload = stamp.video(speech.video_bytes, picture, n == 0, keyframe);
            self.say(true, n + 1 == speech.frame, &payload);
        }
        self.frame += 1;
        // A machine that was busy elsewhere is not made up for with a burst.
        self.speak_at = (self.speak_at + PTIME).max(now().mono - LATENESS_MAX);
        let mut ledger = self.ledger();
        (ledger.audio_sent, ledger.video_sent) = (self.audio.sent, self.video.sent);
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
