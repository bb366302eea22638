//! What packets say of themselves: how loud they are, which everybody is told, and how long to wait before playing them,
//! which a room may overrule. And how many rooms a shard takes.

use super::repair::{Camera, Viewer};
use super::*;
use crate::control::error::RoomError;
use crate::control::request::ConfigureStream;
use crate::limits::ROOMS_PER_SHARD_MAX;
use crate::proto::srtp::OutboundStream;
use crate::wire::rtp::{Header, HeaderWriter, Packet};

const AUDIO_SSRC: u32 = 3_310_110_520;
const AUDIO_PT: u8 = 111;
/// `a=extmap:1` of the offer.
const LEVEL_ID: u8 = 1;
/// What subscribers are offered.
const DELAY_ID: u8 = 12;

/// A publisher's microphone.
pub struct Microphone {
    end: End,
    stream: OutboundStream,
    next: u64,
}

impl Microphone {
    pub fn new(mut end: End) -> Microphone {
        let stream = end.outbound.open(AUDIO_SSRC, 0);
        Microphone { end, stream, next: 1 }
    }

    /// So many packets of one level; the highest bit says that it is voice.
    fn speak(&mut self, world: &mut World, level: u8, packets: u64) {
        for _ in 0..packets {
            self.packet(world, 0x80 | level);
            world.step();
        }
    }

    /// One packet with its audio level as it is on the wire; the turn goes on.
    pub fn packet(&mut self, world: &mut World, level: u8) {
        let sequence = u16::try_from(self.next).unwrap();
        let timestamp = u32::from(sequence) * 960;
        let header = Header { marker: false, payload_type: AUDIO_PT, sequence, timestamp, ssrc: AUDIO_SSRC };
        let mut head = [0; 40];
        let mut writer = HeaderWriter::new(&mut head, &header).unwrap();
        writer.push(LEVEL_ID, &[level]).unwrap();
        let len = writer.finish().unwrap();
        let mut out = [0; 200];
        let outbound = &mut self.end.outbound;
        let sealed = outbound.seal_at(self.stream, self.next, &mut head[..len], &[7; 30], 0, &mut out).unwrap();
        assert_eq!(world.deliver(self.end.member, &mut out[..sealed.len]), Verdict::Accepted);
        self.next += 1;
    }
}

/// Who has been told what of talking since last asked.
fn told(world: &mut World) -> Vec<(u64, bool, f64)> {
    let events = world.events.drain(..).filter_map(|(to, event)| match event {
        Event::Talking { change, .. } => Some((to, change.talking, change.level)),
        _ => None,
    });
    events.collect()
}

#[test]
fn everybody_is_told_once_when_a_publishers_packets_grow_loud_and_soft() {
    let mut world = World::new(20);
    let room = RoomId::from(2);
    let spec = RoomSpec { audiolevel_event: true, audio_active_packets: 10, ..RoomSpec::new(room.clone()) };
    assert!(matches!(world.ask(Command::Create(Box::new(spec))), Reply::Created(_)));
    world.room = room;
    let (_, end) = world.publish(0, chromium_offer());
    world.request(1, MemberRequest::JoinPublisher(JoinPublisher::default()));
    let mut microphone = Microphone::new(end);
    microphone.speak(&mut world, 127, 10);
    assert!(told(&mut world).is_empty(), "silence is no news");
    microphone.speak(&mut world, 20, 9);
    assert!(told(&mut world).is_empty());
    microphone.speak(&mut world, 10, 11);
    assert_eq!(told(&mut world), [(1, true, 19.0), (2, true, 19.0)]);
    microphone.speak(&mut world, 60, 20);
    assert_eq!(told(&mut world), [(1, false, 60.0), (2, false, 60.0)]);

    let muted = Configure { audio: Some(false), ..Configure::default() };
    world.request(0, MemberRequest::Configure(muted));
    microphone.speak(&mut world, 0, 30);
    assert!(told(&mut world).is_empty(), "nobody hears muted audio");
}

#[test]
fn a_room_that_does_not_ask_is_not_told_who_talks() {
    let mut world = World::new(21);
    let (_, end) = world.publish(0, chromium_offer());
    Microphone::new(end).speak(&mut world, 0, 200);
    assert!(told(&mut world).is_empty());
}

#[test]
fn a_playout_delay_that_somebody_asks_for_is_said_with_every_packet() {
    let mut world = World::new(22);
    let (feed, end) = world.publish(0, chromium_offer());
    let mut camera = Camera::new(end, true);
    let (offer, end) = world.subscribe(1, feed, as_offered);
    let mut viewer = Viewer::new(end, &offer);
    assert_eq!(delays(&mut world, &mut camera, &mut viewer), [None; 8], "the publisher says none");

    let entry = ConfigureStream { min_delay: Some(1), max_delay: Some(0x123), ..ConfigureStream::default() };
    let of_publisher = Configure { streams: vec![entry], ..Configure::default() };
    world.request(0, MemberRequest::Configure(of_publisher));
    assert_eq!(delays(&mut world, &mut camera, &mut viewer), [Some([0, 0x11, 0x23]); 8]);

    let entry = ConfigureStream { min_delay: Some(2), max_delay: Some(3), ..ConfigureStream::default() };
    let own = ConfigureSubscriber { streams: vec![entry], ..ConfigureSubscriber::default() };
    world.request(1, MemberRequest::ConfigureSubscriber(own));
    assert_eq!(delays(&mut world, &mut camera, &mut viewer), [Some([0, 0x20, 3]); 8]);
}

/// The playout-delay of each packet of one keyframe.
fn delays(world: &mut World, camera: &mut Camera, viewer: &mut Viewer) -> Vec<Option<[u8; 3]>> {
    camera.frame(world, true);
    let mut delays = Vec::new();
    for _ in 0..100 {
        for (member, mut datagram) in world.step() {
            if member != viewer.end.member || classify(&datagram) != Protocol::Rtp {
                continue;
            }
            let opened = viewer.end.inbound.unprotect_rtp(&mut datagram).unwrap();
            let packet = Packet::parse(&datagram[..opened.len]).unwrap();
            let said = packet.extensions().find(|(id, _)| *id == DELAY_ID);
            delays.push(said.map(|(_, value)| value.try_into().unwrap()));
        }
    }
    delays
}

#[test]
fn a_shard_refuses_rooms_beyond_its_bound_and_takes_one_for_each_that_ends() {
    let mut world = World::new(23);
    let create = |world: &mut World, id: u64| world.ask(Command::Create(Box::new(RoomSpec::new(RoomId::from(id)))));
    for id in 2..=u64::try_from(ROOMS_PER_SHARD_MAX).unwrap() {
        assert!(matches!(create(&mut world, id), Reply::Created(_)));
    }
    let refused = create(&mut world, 1_000_000);
    assert!(matches!(refused, Reply::Refused(RoomError::Exhausted("rooms of the shard"))), "{refused:?}");
    let destroyed = world.ask(Command::Destroy { room: RoomId::from(2), secret: None });
    assert!(matches!(destroyed, Reply::Destroyed(_)));
    assert!(matches!(create(&mut world, 1_000_000), Reply::Created(_)));
}
