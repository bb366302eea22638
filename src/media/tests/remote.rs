//! Publishers of other servers: what reaches their port reaches their subscribers, from one place, and a keyframe is asked
//! for where that is.

use super::attention::Microphone;
use super::repair::{Camera, Viewer};
use super::*;
use crate::control::codec::Codec;
use crate::control::error::RoomError;
use crate::control::remote::{AddRemote, RemoteStream};
use crate::control::request::Administration;
use crate::id::FeedId;
use crate::media::verdict::DropReason;
use crate::wire::rtcp;
use crate::wire::rtcp::Compound;
use crate::wire::rtp::{Header, HeaderWriter};
use crate::wire::sdp::Mid;

/// What the world's engine has besides its media socket.
const PORT: u16 = 21_000;

fn add(streams: &[Codec]) -> Administration {
    let stream = |(mindex, &codec): (usize, &Codec)| RemoteStream {
        mid: Some(Mid::from(&mindex.to_string()).unwrap()),
        mindex,
        codec: Some(codec),
        is_video: codec.is_video(),
        ..RemoteStream::default()
    };
    let streams = streams.iter().enumerate().map(stream).collect();
    let id = Some(FeedId::from(77));
    Administration::AddRemote(Box::new(AddRemote { id, display: None, metadata: None, port: 0, srtp: None, streams }))
}

impl World {
    fn administer_remote(&mut self, request: Administration) -> Reply {
        self.ask(Command::Administer { room: self.room.clone(), secret: None, request: Box::new(request) })
    }

    /// A datagram from the other server to the port; the turn ends.
    fn remote_says(&mut self, from: u16, bytes: &[u8]) -> Verdict {
        self.somebody_says(9, from, bytes)
    }

    fn somebody_says(&mut self, host: u8, from: u16, bytes: &[u8]) -> Verdict {
        let mut taken = Taken::default();
        let at = FourTuple { socket: SocketId(1), remote: ([10, 0, 0, host], from).into() };
        let verdict = self.engine.handle_datagram(self.now, at, self.now.mono, &mut bytes.to_vec(), &mut taken);
        self.engine.release(self.now, &mut taken);
        self.look_at(taken);
        verdict
    }
}

fn packet(ssrc: u32, payload_type: u8, sequence: u16, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; 12];
    let timestamp = u32::from(sequence) * 3000;
    let header = Header { marker: true, payload_type, sequence, timestamp, ssrc };
    HeaderWriter::new(&mut bytes, &header).unwrap().finish().unwrap();
    bytes.extend(payload);
    bytes
}

/// A keyframe of one packet, as a viewer of tests expects it.
fn keyframe(sequence: u16) -> Vec<u8> {
    let mut payload = vec![0; 400];
    payload[..11].copy_from_slice(&[0x10, 0, 0, 0, 0x9d, 0x01, 0x2a, 0, 1, 0, 1]);
    payload[20..24].copy_from_slice(&(u32::from(sequence) * 8 + 7).to_be_bytes());
    packet(1010, 96, sequence, &payload)
}

fn plis(world: &mut World) -> Vec<(u16, u32)> {
    let sent = std::mem::take(&mut world.forwarded);
    let wish = |(to, bytes): (u16, Vec<u8>)| match Compound::new(&bytes).next().unwrap().unwrap() {
        rtcp::Packet::Pli(pli) => (to, pli.media_ssrc),
        other => panic!("{other:?}"),
    };
    sent.into_iter().map(wish).collect()
}

#[test]
fn what_comes_to_the_port_is_sent_on_by_its_ssrc_and_keyframes_are_asked_for_where_it_comes_from() {
    let mut world = World::new(60);
    let reply = world.administer_remote(add(&[Codec::Opus, Codec::Vp8]));
    assert!(matches!(reply, Reply::RemoteAdded { port: PORT, .. }), "{reply:?}");
    let (offer, end) = world.subscribe(1, 77.into(), as_offered);
    let mut viewer = Viewer::new(end, &offer);
    assert!(plis(&mut world).is_empty(), "nobody is known to ask");
    assert_eq!(world.remote_says(7000, &packet(1010, 96, 1, &[0x10, 1, 0, 0])), Verdict::Accepted);
    assert_eq!(plis(&mut world), [(7000, 1010)], "the subscriber's wish had to wait");
    for sequence in 2..10 {
        assert_eq!(world.remote_says(7000, &keyframe(sequence)), Verdict::Accepted);
    }
    // RTP without anything opens another way for wishes.
    let mut opener = [0; 12];
    opener[0] = 0x80;
    assert_eq!(world.remote_says(7001, &opener), Verdict::Consumed);
    assert_eq!(world.somebody_says(8, 7001, &opener), Verdict::Drop(DropReason::UnknownSource), "another host");
    for _ in 0..1000 {
        for (_, bytes) in world.step() {
            viewer.receive(&world, bytes);
        }
    }
    assert_eq!(viewer.got.len(), 8);
    let media_ssrc = viewer.ssrc;
    crate::media::tests::repair::send_rtcp(&mut viewer.end, &mut world, |out| {
        rtcp::Pli { sender_ssrc: 1, media_ssrc }.write(out).unwrap()
    });
    (0..20).for_each(|_| drop(world.step()));
    assert_eq!(plis(&mut world), [(7001, 1010)]);

    let unknown = DropReason::RtpUnknownSource;
    for (ssrc, pt, verdict) in [
        (1000, 111, Verdict::Accepted),
        (999, 111, Verdict::Drop(unknown)),
        (1011, 96, Verdict::Drop(unknown)),
        (1020, 96, Verdict::Drop(unknown)),
        (1000, 96, Verdict::Drop(DropReason::RtpPayloadType)),
    ] {
        assert_eq!(world.remote_says(7000, &packet(ssrc, pt, 50, &[7; 30])), verdict, "{ssrc} {pt}");
    }
}

#[test]
fn without_a_key_one_place_is_heard_until_it_has_been_silent_for_a_while() {
    let mut world = World::new(61);
    world.administer_remote(add(&[Codec::Opus, Codec::Vp8]));
    assert_eq!(world.remote_says(7000, &keyframe(1)), Verdict::Accepted);
    assert_eq!(world.remote_says(7002, &keyframe(2)), Verdict::Drop(DropReason::UnknownSource));
    (0..4900).for_each(|_| drop(world.step()));
    assert_eq!(world.remote_says(7002, &keyframe(2)), Verdict::Drop(DropReason::UnknownSource));
    (0..200).for_each(|_| drop(world.step()));
    assert_eq!(world.remote_says(7002, &keyframe(2)), Verdict::Accepted);
    assert_eq!(world.remote_says(7000, &keyframe(3)), Verdict::Drop(DropReason::UnknownSource));
}

#[test]
fn a_port_is_somebodys_alone_and_free_again_afterwards() {
    let mut world = World::new(62);
    assert_eq!(world.remote_says(7000, &keyframe(1)), Verdict::Drop(DropReason::UnknownSource));
    let Administration::AddRemote(wish) = add(&[Codec::Opus]) else { unreachable!() };
    let elsewhere = Administration::AddRemote(Box::new(AddRemote { port: 9, ..*wish }));
    let exhausted = |reply: &Reply| matches!(reply, Reply::Refused(RoomError::Exhausted("remote_ports")));
    assert!(exhausted(&world.administer_remote(elsewhere)), "it has no such port");
    for _ in 0..2 {
        world.administer_remote(add(&[Codec::Opus]));
        let Administration::AddRemote(wish) = add(&[Codec::Opus]) else { unreachable!() };
        let second = Administration::AddRemote(Box::new(AddRemote { id: Some(78.into()), ..*wish }));
        assert!(exhausted(&world.administer_remote(second)));
        let reply = world.administer_remote(Administration::RemoveRemote(77.into()));
        assert!(matches!(reply, Reply::RemoteDone), "{reply:?}");
        assert_eq!(world.remote_says(7000, &keyframe(1)), Verdict::Drop(DropReason::UnknownSource));
    }
    // The room takes what is in it along.
    world.administer_remote(add(&[Codec::Opus]));
    let room = world.room.clone();
    assert!(matches!(world.ask(Command::Destroy { room, secret: None }), Reply::Destroyed(_)));
    assert_eq!(world.engine.survey().gauges.iter().find(|(name, _)| *name == "remote_publishers").unwrap().1, 0);
}

#[test]
fn peers_are_heard_as_before() {
    let mut world = World::new(63);
    let (_, end) = world.publish(0, chromium_offer());
    world.administer_remote(add(&[Codec::Opus]));
    let mut microphone = Microphone::new(End::new(0));
    microphone.packet(&mut world, 0x85);
    let mut camera = Camera::new(end, true);
    camera.frame(&mut world, true);
    (0..30).for_each(|_| drop(world.step()));
    assert_eq!(world.counter("packets_received"), 9);
}
