//! An engine with one room, joined as clients join it: commands, connectivity checks and a handshake that is over with
//! its first datagram. Then turns of media from the publisher, and a transmit that only counts.

use std::net::Ipv4Addr;
use std::time::Duration;

use portunus::control::command::{Command, CommandEnvelope, Mail, Reply};
use portunus::control::request::{Configure, JoinPublisher, JoinSubscriber, MemberRequest, SubscribeStream};
use portunus::control::spec::RoomSpec;
use portunus::id::{FourTuple, HandleAddress, HandleId, RoomId, SessionId, ShardId, SignallingId, SocketId, Ticket};
use portunus::media::arena::{Lane, SendArena, Transmit};
use portunus::media::engine::{MediaConfig, MediaEngine};
use portunus::media::turn::HandshakeFactory;
use portunus::media::verdict::Verdict;
use portunus::proto::dtls::{DtlsEvent, Fingerprint, Handshake, KeyingMaterial, Role};
use portunus::proto::srtp::{MasterKey, Outbound, OutboundStream, Profile};
use portunus::time::{Mono, Now};
use portunus::wire::rtp::{Header, HeaderWriter};
use portunus::wire::sdp::{Description, DescriptionKind, Direction, Setup, Transport, parse};
use portunus::wire::stun;
use portunus::wire::stun::{BindingRequest, Key, TransactionId};

/// What the publisher sends in one turn.
#[derive(Clone, Copy)]
pub struct Media {
    pub name: &'static str,
    /// Of one RTP packet, header included, before it is sealed.
    pub packet_bytes: usize,
    /// Packets that arrive together.
    pub burst: usize,
    /// Between turns.
    interval: Duration,
    payload_type: u8,
    ssrc: u32,
    ticks: u32,
}

impl Media {
    /// Frames of eight packets, 30 a second: 2.2 Mbit/s. Numbers are those of the offer.
    pub const VIDEO: Media = Media {
        name: "video",
        packet_bytes: 1150,
        burst: 8,
        interval: Duration::from_micros(33_333),
        payload_type: 96,
        ssrc: 2_638_993_829,
        ticks: 3000,
    };
    /// A packet every 20 ms.
    pub const AUDIO: Media = Media {
        name: "audio",
        packet_bytes: 160,
        burst: 1,
        interval: Duration::from_millis(20),
        payload_type: 111,
        ssrc: 3_310_110_520,
        ticks: 960,
    };

    /// Behind the publisher's header.
    pub fn payload_bytes(self) -> usize {
        self.packet_bytes - PUBLISHED_HEADER
    }
}

/// Turns of one run: few enough that their datagrams stay in the second-level cache, as those of a receive ring do.
pub const TURNS: usize = 16;

/// The fixed part and a block with a transport-wide sequence number.
const PUBLISHED_HEADER: usize = 12 + 4 + 4;
const OFFER: &str = include_str!("../../tests/vectors/sdp/chromium-offer-publish.sdp");
/// `a=extmap:3` of the offer.
const TRANSPORT_SEQUENCE_ID: u8 = 3;
/// Bytes between two datagrams in the receive buffer.
const STRIDE: usize = 2048;

/// What one run did.
#[derive(Clone, Copy, Default)]
pub struct Run {
    pub cpu_ns: u64,
    /// Media datagrams delivered, the messages they went in, and their bytes.
    pub segments: u64,
    pub messages: u64,
    pub bytes: u64,
}

impl Run {
    pub fn add(&mut self, other: &Run) {
        self.segments += other.segments;
        self.messages += other.messages;
        self.bytes += other.bytes;
    }

    pub fn segment_bytes(&self) -> usize {
        usize::try_from(self.bytes / self.segments).expect("a datagram")
    }
}

/// The end of the line.
impl Transmit for Run {
    fn transmit(&mut self, arena: &SendArena) {
        for message in arena.messages().iter().filter(|message| matches!(message.lane, Lane::Audio | Lane::Video)) {
            self.messages += 1;
            self.segments += message.segments as u64;
            self.bytes += message.len as u64;
        }
    }
}

/// The engine and its publishers. Those of several rooms send the same, under the same keys.
pub struct World {
    engine: MediaEngine,
    now: Now,
    rooms: u16,
    /// Of each room.
    subscribers: u64,
    media: Media,
    publisher: Outbound,
    stream: OutboundStream,
    timestamp: u32,
    transport_sequence: u16,
    received: Vec<u8>,
    copy: [u8; STRIDE],
    lengths: Vec<usize>,
}

impl World {
    /// Rooms with a publisher and its subscribers each, all connected, past the first keyframe.
    pub fn new(profile: Profile, media: Media, rooms: u16, subscribers: usize) -> World {
        let now = Now { mono: Mono(1_000_000_000), unix_us: 1_790_000_000_000_000 };
        let engine = MediaEngine::new(MediaConfig {
            shard: ShardId(0),
            shards: 1,
            signalling_shards: 1,
            sockets: vec![(Ipv4Addr::LOCALHOST, 20_000).into()],
            remote_ports: vec![],
            advertised: vec![(Ipv4Addr::LOCALHOST, 20_000).into()],
            handshakes: Box::new(Scripted { profile }),
            // Nobody renews its consent here.
            peer_timeout: Duration::from_secs(1_000_000),
            slowlink_threshold: 0,
            watch: Default::default(),
            seed: [1; 32],
            now,
        });
        let mut publisher = Outbound::new(profile, &master_key(profile, 0)).expect("the key fits");
        let stream = publisher.open(media.ssrc, 1);
        let mut world = World {
            engine,
            now,
            rooms,
            subscribers: subscribers as u64,
            media,
            publisher,
            stream,
            timestamp: 0,
            transport_sequence: 0,
            copy: [0; STRIDE],
            received: vec![0; TURNS * media.burst * STRIDE],
            lengths: vec![0; TURNS * media.burst],
        };
        for number in 0..rooms {
            let room = RoomId::from(u64::from(number) + 1);
            world.ask(Command::Create(Box::new(RoomSpec::new(room.clone()))));
            let publisher = publisher_of(number);
            let feed = world.publish(&room, publisher);
            for member in (publisher + 1..).take(subscribers) {
                world.subscribe(&room, member, feed.clone());
            }
        }
        world.run();
        world
    }

    fn publish(&mut self, room: &RoomId, member: u16) -> portunus::id::FeedId {
        let offer = parse(DescriptionKind::Offer, OFFER).expect("a recorded offer");
        let ufrag = offer.transport().expect("a complete offer").ufrag.clone();
        let configure = Configure { offer: Some(Box::new(offer)), ..Configure::default() };
        let join = JoinPublisher { configure: Some(configure), ..JoinPublisher::default() };
        let reply = self.request(room, member, MemberRequest::JoinPublisher(join));
        let Reply::Joined(joined) = reply else { panic!("{reply:?}") };
        let answer = joined.published.expect("the offer is answered").answer;
        self.connect(member, &answer, &ufrag);
        joined.id
    }

    fn subscribe(&mut self, room: &RoomId, member: u16, feed: portunus::id::FeedId) {
        let stream = SubscribeStream { feed, mid: None, crossrefid: None, delay: None };
        let join = JoinSubscriber { streams: vec![stream], autoupdate: true, ..JoinSubscriber::default() };
        let reply = self.request(room, member, MemberRequest::JoinSubscriber(join));
        let Reply::Attached(attached) = reply else { panic!("{reply:?}") };
        let answer = Box::new(accept_all(&attached.offer));
        let reply = self.request(room, member, MemberRequest::Start(Some(answer)));
        assert!(matches!(reply, Reply::Started(_)), "{reply:?}");
        self.connect(member, &attached.offer, "subscriber");
    }

    /// A check on the path, then the datagram that ends the scripted handshake.
    fn connect(&mut self, member: u16, ours: &Description, ufrag: &str) {
        let transport = ours.transport().expect("a completed description");
        let request = BindingRequest {
            transaction: TransactionId([7; 12]),
            remote_ufrag: &transport.ufrag,
            local_ufrag: ufrag,
            priority: 1,
            role: stun::Role::Controlling(1),
            use_candidate: true,
        };
        let mut check = [0; 300];
        let len = request.compose(&mut check, &Key::short_term(&transport.pwd)).expect("it fits");
        self.deliver(member, &mut check[..len]);
        self.deliver(member, &mut [22]);
    }

    fn deliver(&mut self, member: u16, datagram: &mut [u8]) {
        let mut sink = Run::default();
        let verdict = self.engine.handle_datagram(self.now, path(member), self.now.mono, datagram, &mut sink);
        assert_eq!(verdict, Verdict::Consumed);
        self.engine.release(self.now, &mut sink);
        while self.engine.poll_mail(SignallingId(0)).is_some() {}
    }

    fn request(&mut self, room: &RoomId, member: u16, request: MemberRequest) -> Reply {
        let id = u64::from(member) + 1;
        let handle = HandleAddress { home: SignallingId(0), session: SessionId(id), handle: HandleId(id) };
        self.ask(Command::Member { room: room.clone(), handle, request: Box::new(request) })
    }

    fn ask(&mut self, command: Command) -> Reply {
        let ticket = Some(Ticket { slot: 0, generation: 0 });
        let envelope = CommandEnvelope { ticket, from: SignallingId(0), command };
        self.engine.handle_command(self.now, envelope, &mut Run::default());
        let mut reply = None;
        while let Some(mail) = self.engine.poll_mail(SignallingId(0)) {
            if let Mail::Reply { reply: said, .. } = mail {
                reply = Some(said);
            }
        }
        reply.expect("a command with a ticket is answered at once")
    }

    /// Sixteen turns. The publisher's own work is done before the clock starts.
    pub fn run(&mut self) -> Run {
        let mut run = Run::default();
        self.seal();
        let start = super::cpu::thread_ns();
        for turn in self.lengths.chunks(self.media.burst).enumerate() {
            let (number, lengths) = turn;
            for (n, &len) in lengths.iter().enumerate() {
                let at = (number * self.media.burst + n) * STRIDE;
                let datagram = &mut self.received[at..at + len];
                for room in 1..self.rooms {
                    // It is opened where it lies.
                    let copy = &mut self.copy[..len];
                    copy.copy_from_slice(datagram);
                    let at = path(publisher_of(room));
                    let verdict = self.engine.handle_datagram(self.now, at, self.now.mono, copy, &mut run);
                    assert_eq!(verdict, Verdict::Accepted);
                }
                let at = path(publisher_of(0));
                let verdict = self.engine.handle_datagram(self.now, at, self.now.mono, datagram, &mut run);
                assert_eq!(verdict, Verdict::Accepted);
            }
            if self.engine.deadline() <= self.now.mono {
                self.engine.handle_timeout(self.now, &mut run);
            }
            self.engine.release(self.now, &mut run);
            self.now.mono = self.now.mono + self.media.interval;
        }
        run.cpu_ns = super::cpu::thread_ns() - start;
        self.now.unix_us += TURNS as u64 * self.media.interval.as_micros() as u64;
        while self.engine.poll_mail(SignallingId(0)).is_some() {}
        let delivered = self.lengths.len() as u64 * u64::from(self.rooms) * self.subscribers;
        assert_eq!(run.segments, delivered, "everybody got everything");
        run
    }

    fn seal(&mut self) {
        for n in 0..self.lengths.len() {
            let last = n % self.media.burst == self.media.burst - 1;
            let first = n % self.media.burst == 0;
            let header = Header {
                marker: last,
                payload_type: self.media.payload_type,
                sequence: 0,
                timestamp: self.timestamp,
                ssrc: self.media.ssrc,
            };
            let mut head = [0; PUBLISHED_HEADER];
            let mut writer = HeaderWriter::new(&mut head, &header).expect("it fits");
            writer.push(TRANSPORT_SEQUENCE_ID, &self.transport_sequence.to_be_bytes()).expect("it fits");
            assert_eq!(writer.finish(), Ok(PUBLISHED_HEADER));
            let mut payload = vec![0x5a; self.media.payload_bytes()];
            // A VP8 descriptor; each frame begins, and the very first is a keyframe of 640x480 (RFC 7741 §4.2, §4.3).
            payload[0] = if first { 0x10 } else { 0 };
            if self.timestamp == 0 && first {
                payload[1..11].copy_from_slice(&[0, 0, 0, 0x9d, 0x01, 0x2a, 0x80, 0x02, 0xe0, 0x01]);
            } else {
                payload[1] = 1;
            }
            let out = &mut self.received[n * STRIDE..][..STRIDE];
            let sealed = self.publisher.seal(self.stream, &mut head, &payload, 0, out).expect("it fits");
            self.lengths[n] = sealed.len;
            self.transport_sequence = self.transport_sequence.wrapping_add(1);
            if last {
                self.timestamp = self.timestamp.wrapping_add(self.media.ticks);
            }
        }
    }
}

/// Members are numbered through all rooms.
fn publisher_of(room: u16) -> u16 {
    room * 256
}

fn path(member: u16) -> FourTuple {
    let [high, low] = member.to_be_bytes();
    FourTuple { socket: SocketId(0), remote: ([10, 0, high, low], 40_000).into() }
}

/// A browser's answer that takes everything.
fn accept_all(offer: &Description) -> Description {
    let mut answer = offer.clone();
    answer.kind = DescriptionKind::Answer;
    for media in &mut answer.media {
        media.direction = Direction::RecvOnly;
        media.candidates.clear();
        media.transport = Some(Transport {
            ufrag: "subscriber".into(),
            pwd: "a+password+of+the+subscriber".into(),
            fingerprint: Fingerprint::Sha256([9; 32]),
            setup: Setup::Active,
        });
    }
    answer
}

/// The keys of peer `n`, client and server side alike.
pub fn master_key(profile: Profile, n: usize) -> MasterKey {
    let [.., low] = n.to_be_bytes();
    MasterKey::new(profile, &[low; 32][..profile.key_len()], &[low; 14][..profile.salt_len()]).expect("lengths fit")
}

/// Handshakes that know their outcome.
struct Scripted {
    profile: Profile,
}

impl HandshakeFactory for Scripted {
    fn endpoint(&self, role: Role) -> Option<Box<dyn Handshake>> {
        Some(Box::new(Script { profile: self.profile, role, event: None }))
    }

    fn fingerprint(&self) -> Fingerprint {
        Fingerprint::Sha256([3; 32])
    }
}

/// Connected by its first datagram, with the keys of peer 0.
struct Script {
    profile: Profile,
    role: Role,
    event: Option<DtlsEvent>,
}

impl Handshake for Script {
    fn start(&mut self, _now: Now) {}

    fn handle_datagram(&mut self, _now: Now, _bytes: &[u8]) {
        let keying_material = vec![0; self.profile.keying_material_len()];
        self.event = Some(DtlsEvent::Connected {
            profile: self.profile.iana_id(),
            keying_material: KeyingMaterial::new(&keying_material).expect("it fits"),
            role: self.role,
        });
    }

    fn handle_timeout(&mut self, _now: Now) {}

    fn deadline(&self) -> Mono {
        Mono::NEVER
    }

    fn set_remote_fingerprint(&mut self, _fingerprint: Fingerprint) {}

    fn poll_transmit(&mut self, _out: &mut [u8]) -> Option<usize> {
        None
    }

    fn poll_event(&mut self) -> Option<DtlsEvent> {
        self.event.take()
    }

    fn poll_data(&mut self, _out: &mut [u8]) -> Option<usize> {
        None
    }

    fn send_data(&mut self, _bytes: &[u8]) -> bool {
        false
    }

    fn close(&mut self) {}

    fn opened(&self) -> u64 {
        0
    }

    fn ignored(&self) -> u64 {
        0
    }
}
