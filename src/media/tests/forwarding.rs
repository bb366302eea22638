//! What forwarders send: every packet of their streams, whole and in its place, plain or sealed, for as long as they are
//! told; and what their receivers may ask for.

use std::net::SocketAddr;

use super::attention::Microphone;
use super::repair::{Call, Camera, VIDEO_SSRC};
use super::*;
use crate::control::error::RoomError;
use crate::control::forward::{Forward, Of, SrtpKey, Target};
use crate::control::remote::Remotize;
use crate::control::request::Administration;
use crate::id::FeedId;
use crate::wire::rtcp::{Fir, Pli};
use crate::wire::rtp::Packet;
use crate::wire::sdp::Mid;

const RECEIVER: [u8; 4] = [10, 0, 0, 9];
const MASTER: [u8; 30] = *b"0123456789abcdef0123456789abcd";

fn target(mid: &str, port: u16) -> Target {
    Target {
        of: Of::Mid(Mid::from(mid).unwrap()),
        to: SocketAddr::from((RECEIVER, port)),
        rtcp_port: None,
        pt: None,
        ssrc: None,
        substream: 0,
        simulcast: false,
        srtp: None,
    }
}

fn sealed(mid: &str, port: u16, short_tag: bool) -> Target {
    Target { srtp: Some(SrtpKey { short_tag, master: MASTER }), ..target(mid, port) }
}

impl World {
    fn administer(&mut self, request: Administration) -> Reply {
        self.ask(Command::Administer { room: self.room.clone(), secret: None, request: Box::new(request) })
    }

    /// Makes forwarders and says their numbers.
    fn forward(&mut self, feed: &FeedId, targets: Vec<Target>) -> Vec<u64> {
        let reply = self.administer(Administration::Forward(Forward { feed: feed.clone(), targets, legacy: None }));
        let Reply::Forwarding(made) = reply else { panic!("{reply:?}") };
        made.forwarders.iter().map(|forwarder| forwarder.stream_id.into()).collect()
    }

    /// What has come to a port since the last look.
    fn received(&mut self, port: u16) -> Vec<Vec<u8>> {
        let (came, others) = std::mem::take(&mut self.forwarded).into_iter().partition(|(to, _)| *to == port);
        self.forwarded = others;
        came.into_iter().map(|(_, bytes)| bytes).collect()
    }

    fn receiver_says(&mut self, port: u16, bytes: &[u8]) -> Verdict {
        let mut taken = Taken::default();
        let at = FourTuple { socket: SocketId(0), remote: (RECEIVER, port).into() };
        let verdict = self.engine.handle_datagram(self.now, at, self.now.mono, &mut bytes.to_vec(), &mut taken);
        self.look_at(taken);
        verdict
    }

    fn gauge(&self, name: &str) -> u64 {
        self.engine.survey().gauges.iter().find(|(of, _)| *of == name).unwrap().1
    }
}

/// The number that a camera puts into each payload.
fn number(packet: &Packet<'_>) -> u32 {
    u32::from_be_bytes(*packet.payload[20..].first_chunk().unwrap())
}

/// (SSRC, payload type, sequence, timestamp, number) of each.
fn parsed(datagrams: &[Vec<u8>]) -> Vec<(u32, u8, u16, u32, u32)> {
    let one = |bytes: &Vec<u8>| {
        let packet = Packet::parse(bytes).unwrap();
        let header = packet.header;
        (header.ssrc, header.payload_type, header.sequence, header.timestamp, number(&packet))
    };
    datagrams.iter().map(one).collect()
}

fn frames(call: &mut Call, count: u32) {
    for _ in 0..count {
        call.camera.frame(&mut call.world, false);
        call.run(30);
    }
}

/// A call with one camera; its feed's id.
fn call(seed: u8) -> (Call, FeedId) {
    let mut world = World::new(seed);
    let (feed, end) = world.publish(0, chromium_offer());
    let mut call = Call { world, camera: Camera::new(end, true), viewers: Vec::new() };
    call.camera.frame(&mut call.world, true);
    call.run(50);
    (call, feed)
}

#[test]
fn every_packet_goes_out_once_in_order_with_the_publishers_ssrc_or_what_was_wished() {
    let (mut call, feed) = call(50);
    let wished = Target { pt: Some(120), ssrc: Some(77), ..target("1", 5006) };
    call.world.forward(&feed, vec![target("1", 5004), wished, target("0", 5002)]);
    let first = call.camera.count;
    frames(&mut call, 100);
    let sent = call.camera.count - first;
    let plain = parsed(&call.world.received(5004));
    assert_eq!(plain.iter().map(|packet| packet.4).collect::<Vec<_>>(), (first..first + sent).collect::<Vec<_>>());
    assert!(plain.iter().all(|packet| (packet.0, packet.1) == (VIDEO_SSRC, 96)));
    let steps = |packets: &[(u32, u8, u16, u32, u32)]| {
        packets
            .windows(2)
            .all(|two| two[1].2 == two[0].2.wrapping_add(1) && two[1].3.wrapping_sub(two[0].3) % 3000 == 0)
    };
    assert!(steps(&plain) && plain[0].2 < 1 << 15);
    let wished = parsed(&call.world.received(5006));
    assert_eq!(wished.len(), plain.len());
    assert!(steps(&wished) && wished.iter().all(|packet| (packet.0, packet.1) == (77, 120)));
    assert!(call.world.received(5002).is_empty());
    assert_eq!(call.world.counter("packets_forwarded"), 2 * u64::from(sent));
    assert_eq!(call.world.gauge("forwarders"), 3);
    assert!(call.camera.wishes > 0, "a forwarder begins with a keyframe");
}

#[test]
fn audio_keeps_its_level_under_the_publishers_id() {
    let mut world = World::new(51);
    let (feed, end) = world.publish(0, chromium_offer());
    let mut microphone = Microphone::new(end);
    microphone.packet(&mut world, 0x85);
    world.step();
    world.forward(&feed, vec![target("0", 5002), sealed("0", 5004, true)]);
    for level in [0x8a, 0x14] {
        microphone.packet(&mut world, level);
        world.step();
    }
    let plain = world.received(5002);
    let levels = plain.iter().map(|bytes| {
        let packet = Packet::parse(bytes).unwrap();
        assert_eq!((packet.header.payload_type, packet.payload), (111, &[7; 30][..]));
        packet.extensions().map(|(id, value)| (id, value[0])).collect::<Vec<_>>()
    });
    assert_eq!(levels.collect::<Vec<_>>(), [[(1, 0x8a)], [(1, 0x14)]]);
    assert_eq!(world.received(5004)[0].len(), plain[0].len() + 4, "the short tag");
}

#[test]
fn sealed_packets_open_with_the_clients_key_and_carry_the_same() {
    for short_tag in [false, true] {
        let (mut call, feed) = call(52);
        call.world.forward(&feed, vec![sealed("1", 5004, short_tag), target("1", 5006)]);
        frames(&mut call, 50);
        let profile = if short_tag { Profile::AesCm128HmacSha1_32 } else { Profile::AesCm128HmacSha1_80 };
        let master = MasterKey::new(profile, &MASTER[..16], &MASTER[16..]).unwrap();
        let mut inbound = Inbound::new(profile, &master).unwrap();
        let mut opened = Vec::new();
        for mut bytes in call.world.received(5004) {
            let len = inbound.unprotect_rtp(&mut bytes).unwrap().len;
            opened.push(bytes[..len].to_vec());
        }
        let numbers = |datagrams: &[Vec<u8>]| parsed(datagrams).iter().map(|packet| packet.4).collect::<Vec<_>>();
        assert_eq!(numbers(&opened), numbers(&call.world.received(5006)));
        assert_eq!(opened.len(), 400);
    }
}

#[test]
fn a_lost_packet_finds_its_place_when_it_is_repaired() {
    let (mut call, feed) = call(53);
    call.world.forward(&feed, vec![target("1", 5004)]);
    frames(&mut call, 2);
    call.world.link.cut = 3;
    frames(&mut call, 4);
    let mut packets = parsed(&call.world.received(5004));
    assert_eq!(packets.len(), 48);
    packets.sort_unstable_by_key(|packet| packet.4);
    assert!(packets.windows(2).all(|two| two[1].2 == two[0].2.wrapping_add(1) && two[1].4 == two[0].4 + 1));
}

#[test]
fn a_muted_stream_is_not_forwarded_and_goes_on_without_a_gap() {
    let (mut call, feed) = call(54);
    call.world.forward(&feed, vec![target("1", 5004)]);
    frames(&mut call, 2);
    let relay = |video| MemberRequest::Configure(Configure { video: Some(video), ..Configure::default() });
    call.world.request(0, relay(false));
    frames(&mut call, 5);
    call.world.request(0, relay(true));
    frames(&mut call, 2);
    let packets = parsed(&call.world.received(5004));
    assert_eq!(packets.len(), 32);
    assert!(packets.windows(2).all(|two| two[1].2 == two[0].2.wrapping_add(1)));
    assert_eq!(packets[31].3.wrapping_sub(packets[0].3), 8 * 3000, "the clock is the publisher's");
}

#[test]
fn a_receiver_asks_for_keyframes_from_its_port_and_from_nowhere_else() {
    let (mut call, feed) = call(55);
    call.run(600);
    let ids = call.world.forward(&feed, vec![Target { rtcp_port: Some(5005), ..target("1", 5004) }]);
    let opener = call.world.received(5005);
    assert_eq!(opener, [[0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]; 2]);
    call.run(600);
    let before = call.camera.wishes;
    let mut pli = [0; 40];
    let len = Pli { sender_ssrc: 1, media_ssrc: VIDEO_SSRC }.write(&mut pli).unwrap();
    assert_eq!(
        call.world.receiver_says(5006, &pli[..len]),
        Verdict::Drop(crate::media::verdict::DropReason::UnknownSource)
    );
    call.run(600);
    assert_eq!(call.camera.wishes, before);
    assert_eq!(call.world.receiver_says(5005, &pli[..len]), Verdict::Consumed);
    call.run(600);
    assert_eq!(call.camera.wishes, before + 1);
    let mut fir = [0; 40];
    let entry = crate::wire::rtcp::IntraRequest { ssrc: VIDEO_SSRC, sequence: 1 };
    let len = Fir { sender_ssrc: 1, entries: &[entry.to_bytes()], media_ssrc: VIDEO_SSRC }.write(&mut fir).unwrap();
    assert_eq!(call.world.receiver_says(5005, &fir[..len]), Verdict::Consumed);
    call.run(600);
    assert_eq!(call.camera.wishes, before + 2);
    // SDES that does not end, then the PLI.
    let late = [&b"\x81\xca\x00\x03\x00\x00\x00\x01\x01\x06hunter"[..], &pli[..12]].concat();
    assert_eq!(call.world.receiver_says(5005, &late), Verdict::Consumed);
    call.run(600);
    assert_eq!((call.camera.wishes, call.world.counter("rtcp_malformed")), (before + 3, 1));
    assert!(matches!(call.world.receiver_says(5005, &[0x80, 200, 0xff, 0xff, 0, 0, 0, 0]), Verdict::Drop(_)));

    call.world.administer(Administration::StopForward { feed, stream_id: ids[0] });
    assert!(matches!(call.world.receiver_says(5005, &pli[..len]), Verdict::Drop(_)));
}

#[test]
fn what_is_told_to_stop_and_what_its_publisher_has_left_sends_nothing_more() {
    let (mut call, feed) = call(56);
    let ids = call.world.forward(&feed, vec![target("1", 5004), Target { rtcp_port: Some(5007), ..target("1", 5006) }]);
    call.world.received(5007);
    frames(&mut call, 1);
    call.world.administer(Administration::StopForward { feed: feed.clone(), stream_id: ids[0] });
    frames(&mut call, 1);
    assert_eq!((call.world.received(5004).len(), call.world.received(5006).len()), (8, 16));
    assert_eq!(call.world.gauge("forwarders"), 1);
    call.world.request(0, MemberRequest::Unpublish);
    frames(&mut call, 1);
    assert!(call.world.forwarded.is_empty());
    assert_eq!(call.world.gauge("forwarders"), 0);
    assert!(matches!(call.world.receiver_says(5007, &[0x81, 206, 0, 2, 0, 0, 0, 1, 0, 0, 0, 1]), Verdict::Drop(_)));
}

#[test]
fn another_server_gets_both_lines_at_one_port_and_asks_for_keyframes_by_their_ssrc() {
    let mut world = World::new(59);
    let (feed, end) = world.publish(0, chromium_offer());
    let mut microphone = Microphone::new(End::new(0));
    let mut call = Call { world, camera: Camera::new(end, true), viewers: Vec::new() };
    let remotize = Remotize {
        feed,
        remote_id: "b".into(),
        to: SocketAddr::from((RECEIVER, 6000)),
        rtcp_port: Some(6001),
        srtp: Some(SrtpKey { short_tag: false, master: MASTER }),
    };
    let reply = call.world.administer(Administration::Remotize(remotize));
    assert!(matches!(reply, Reply::Remotized(..)), "{reply:?}");
    microphone.packet(&mut call.world, 0x85);
    frames(&mut call, 3);
    let profile = Profile::AesCm128HmacSha1_80;
    let mut inbound = Inbound::new(profile, &MasterKey::new(profile, &MASTER[..16], &MASTER[16..]).unwrap()).unwrap();
    let mut seen = HashMap::new();
    for mut bytes in call.world.received(6000) {
        let len = inbound.unprotect_rtp(&mut bytes).unwrap().len;
        let header = Packet::parse(&bytes[..len]).unwrap().header;
        *seen.entry((header.ssrc, header.payload_type)).or_insert(0) += 1;
    }
    assert_eq!(seen, HashMap::from([((1000, 111), 1), ((1010, 96), 24)]));
    assert_eq!(call.world.received(6001).len(), 2);

    call.run(600);
    let before = call.camera.wishes;
    for (ssrc, wishes) in [(1000, 0), (1020, 0), (1010, 1), (0, 2)] {
        let mut pli = [0; 40];
        let len = Pli { sender_ssrc: 1, media_ssrc: ssrc }.write(&mut pli).unwrap();
        assert_eq!(call.world.receiver_says(6001, &pli[..len]), Verdict::Consumed);
        call.run(600);
        assert_eq!(call.camera.wishes, before + wishes, "{ssrc}");
    }
}

#[test]
fn an_address_of_a_family_that_the_server_has_not_is_refused() {
    let (mut call, feed) = call(57);
    let there = Target { to: "[2a00::1]:5004".parse().unwrap(), ..target("1", 5004) };
    let request = Administration::Forward(Forward { feed, targets: vec![there], legacy: None });
    let reply = call.world.administer(request);
    assert!(matches!(reply, Reply::Refused(RoomError::Unreachable(_))), "{reply:?}");
}

#[test]
fn replies_name_the_port_at_which_the_shard_hears_receivers() {
    let (mut call, feed) = call(58);
    call.world.forward(&feed, vec![Target { rtcp_port: Some(5005), ..target("1", 5004) }, target("0", 5002)]);
    let Reply::Forwarders(_, publishers) = call.world.administer(Administration::ListForwarders) else { panic!() };
    let ports: Vec<_> = publishers[0].forwarders.iter().map(|forwarder| forwarder.local_rtcp_port).collect();
    assert_eq!(ports, [Some(20_000), None]);
}
