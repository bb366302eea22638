//! A call that holds: what is lost is asked for and comes, on both sides of the engine, with RTX and without; and under
//! whatever is done to it no index is sealed with two contents, which [`World`] checks.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::proto::rtp::Losses;
use crate::proto::srtp::{OutboundStream, SrtpError};
use crate::wire::rtcp;
use crate::wire::rtcp::{Bye, Compound, Nack, Pli, ReceiverReport, ReportBlock, nack};
use crate::wire::rtp::{ExtSeq, Header, HeaderWriter, Packet};

/// SSRCs and numbers of the video m-line in Chromium's offer.
pub const VIDEO_SSRC: u32 = 2_638_993_829;
pub const VIDEO_RTX_SSRC: u32 = 621_592_314;
const VIDEO_PT: u8 = 96;
const VIDEO_RTX_PT: u8 = 97;
const TRANSPORT_SEQUENCE_ID: u8 = 3;
const MID_ID: u8 = 4;
const BURST: u32 = 8;

/// A publisher of VP8 that answers NACKs.
pub struct Camera {
    pub end: End,
    ssrc: u32,
    /// What its packets say of their m-line, where they say something.
    pub mid: Option<&'static str>,
    media: OutboundStream,
    rtx: Option<(u32, OutboundStream)>,
    /// Sequence number (and SRTP index) of the next packet.
    pub next: u64,
    timestamp: u32,
    /// What every packet so far had in it.
    sent: BTreeMap<u16, (Header, Vec<u8>, u64)>,
    pub count: u32,
    pub wishes: u32,
}

impl Camera {
    pub fn new(end: End, rtx: bool) -> Camera {
        Camera::with_ssrcs(end, VIDEO_SSRC, rtx.then_some(VIDEO_RTX_SSRC))
    }

    pub fn with_ssrcs(mut end: End, ssrc: u32, rtx_ssrc: Option<u32>) -> Camera {
        let (media, rtx) = (end.outbound.open(ssrc, 0), rtx_ssrc.map(|rtx| (rtx, end.outbound.open(rtx, 77))));
        // Not far from the wrap.
        let (next, timestamp, sent) = (65_000, 0, BTreeMap::new());
        Camera { end, ssrc, mid: None, media, rtx, next, timestamp, sent, count: 0, wishes: 0 }
    }

    /// One frame; the payloads are numbered.
    pub fn frame(&mut self, world: &mut World, keyframe: bool) {
        self.timestamp = self.timestamp.wrapping_add(3000);
        for n in 0..BURST {
            let (first, last) = (n == 0, n == BURST - 1);
            // Two sizes, a byte apart: those that the engine pads.
            let mut payload = vec![0; if n < 3 { 399 } else { 400 }];
            payload[0] = if first { 0x10 } else { 0 };
            if first && keyframe {
                payload[1..11].copy_from_slice(&[0, 0, 0, 0x9d, 0x01, 0x2a, 0x80, 0x02, 0xe0, 0x01]);
            } else {
                payload[1] = 1;
            }
            payload[20..24].copy_from_slice(&self.count.to_be_bytes());
            self.count += 1;
            let header = Header {
                marker: last,
                payload_type: VIDEO_PT,
                sequence: ExtSeq(self.next).low(),
                timestamp: self.timestamp,
                ssrc: self.ssrc,
            };
            self.sent.insert(header.sequence, (header, payload, self.next));
            self.next += 1;
            self.packet(world, header.sequence, false);
        }
    }

    /// Sends a packet for the first time or again.
    pub fn packet(&mut self, world: &mut World, sequence: u16, again: bool) {
        let Some((header, payload, index)) = self.sent.get(&sequence).cloned() else { return };
        let mut out = [0; 1500];
        let mut first = head(&header, sequence, self.mid);
        let outbound = &mut self.end.outbound;
        let sealed = match (again, self.rtx) {
            (false, _) => outbound.seal_at(self.media, index, &mut first, &payload, 0, &mut out),
            (true, None) => outbound.seal_again(self.media, index, &mut first, &payload, 0, &mut out),
            (true, Some((ssrc, rtx))) => {
                let mut head = head(&Header { payload_type: VIDEO_RTX_PT, ssrc, ..header }, sequence, self.mid);
                let text = [&sequence.to_be_bytes(), &payload[..]].concat();
                outbound.seal(rtx, &mut head, &text, 0, &mut out)
            }
        };
        // What is too old for the window is not sent again.
        if let Ok(sealed) = sealed {
            world.send(self.end.member, &out[..sealed.len]);
        }
    }

    /// What the engine has sent: NACKs are answered at once.
    pub fn receive(&mut self, world: &mut World, mut datagram: Vec<u8>) {
        let Ok(len) = self.end.inbound.unprotect_rtcp(&mut datagram) else { return };
        for packet in Compound::new(&datagram[..len]) {
            match packet.unwrap() {
                rtcp::Packet::Nack(nack) if nack.media_ssrc == self.ssrc => {
                    nack.lost().for_each(|sequence| self.packet(world, sequence, true));
                }
                rtcp::Packet::Pli(_) => self.wishes += 1,
                _ => {}
            }
        }
    }

    pub fn rtcp(&mut self, world: &mut World, compose: impl FnOnce(&mut [u8]) -> usize) {
        send_rtcp(&mut self.end, world, compose);
    }
}

fn head(header: &Header, transport_sequence: u16, mid: Option<&str>) -> Vec<u8> {
    let mut head = vec![0; 40];
    let mut writer = HeaderWriter::new(&mut head, header).unwrap();
    writer.push(TRANSPORT_SEQUENCE_ID, &transport_sequence.to_be_bytes()).unwrap();
    if let Some(mid) = mid {
        writer.push(MID_ID, mid.as_bytes()).unwrap();
    }
    let len = writer.finish().unwrap();
    head.truncate(len);
    head
}

pub fn send_rtcp(end: &mut End, world: &mut World, compose: impl FnOnce(&mut [u8]) -> usize) {
    let (mut plain, mut out) = ([0; 1400], [0; 1500]);
    let len = compose(&mut plain);
    let len = end.outbound.protect_rtcp(&plain[..len], &mut out).unwrap();
    world.send(end.member, &out[..len]);
}

/// A subscriber that asks for what it misses.
pub struct Viewer {
    pub end: End,
    pub ssrc: u32,
    pub rtx_ssrc: u32,
    pub highest: Option<ExtSeq>,
    losses: Losses,
    /// The payloads' numbers, and how often one came again.
    pub got: BTreeSet<u32>,
    pub again: u32,
    pub timestamps: BTreeMap<u64, u32>,
    pub asks: bool,
}

impl Viewer {
    pub fn new(end: End, offer: &Description) -> Viewer {
        let video = &offer.media[1];
        let (ssrc, rtx_ssrc) = (video.ssrcs[0].0, video.ssrcs[1].0);
        let losses = Losses::new(200);
        let (got, timestamps) = (BTreeSet::new(), BTreeMap::new());
        Viewer { end, ssrc, rtx_ssrc, highest: None, losses, got, again: 0, timestamps, asks: true }
    }

    pub fn receive(&mut self, world: &World, mut datagram: Vec<u8>) {
        if classify(&datagram) != Protocol::Rtp {
            return;
        }
        let opened = match self.end.inbound.unprotect_rtp(&mut datagram) {
            Ok(opened) => opened,
            Err(error) => {
                // Anything else would mean that the numbers have jumped further than a receiver can follow.
                assert_eq!(error, SrtpError::Replay);
                self.again += 1;
                return;
            }
        };
        let packet = Packet::parse(&datagram[..opened.len]).unwrap();
        let (sequence, payload) = if packet.header.ssrc == self.rtx_ssrc {
            assert_eq!(packet.header.payload_type, VIDEO_RTX_PT);
            let (sequence, payload) = packet.payload.split_at(2);
            (u16::from_be_bytes([sequence[0], sequence[1]]), payload)
        } else if packet.header.ssrc == self.ssrc {
            assert_eq!(packet.header.payload_type, VIDEO_PT);
            (packet.header.sequence, packet.payload)
        } else {
            return;
        };
        let number = self.highest.map_or(ExtSeq::first(sequence), |highest| highest.nearest(sequence));
        self.highest = self.highest.max(Some(number));
        let fresh = self.losses.receive(number, world.now.mono) != crate::proto::rtp::Receipt::Duplicate;
        self.again += u32::from(!fresh);
        assert_eq!(payload.len(), if self_count(payload) % BURST < 3 { 399 } else { 400 });
        self.got.insert(self_count(payload));
        let timestamp = *self.timestamps.entry(number.0).or_insert(packet.header.timestamp);
        assert_eq!(timestamp, packet.header.timestamp);
    }

    /// Asks for what is missing.
    pub fn ask(&mut self, world: &mut World) {
        let mut room = [[0; 4]; 200];
        let entries = nack::pack(self.losses.take_due(world.now.mono), &mut room).to_vec();
        if self.asks && !entries.is_empty() {
            self.nack(world, &entries);
        }
    }

    pub fn nack(&mut self, world: &mut World, entries: &[[u8; 4]]) {
        let media_ssrc = self.ssrc;
        send_rtcp(&mut self.end, world, |out| Nack { sender_ssrc: 1, media_ssrc, entries }.write(out).unwrap());
    }

    pub fn report(&mut self, world: &mut World, cumulative_lost: i32) {
        self.report_since(world, cumulative_lost, 0);
    }

    /// The receiver reports, and says which sender report it had just then.
    fn report_since(&mut self, world: &mut World, cumulative_lost: i32, last_sr: u32) {
        let block = ReportBlock {
            ssrc: self.ssrc,
            fraction_lost: 0,
            cumulative_lost,
            highest_sequence: 0,
            jitter: 0,
            last_sr,
            delay_since_last_sr: 0,
        };
        let blocks = [block.to_bytes()];
        send_rtcp(&mut self.end, world, |out| ReceiverReport { ssrc: 1, blocks: &blocks }.write(out).unwrap());
    }

    fn wish(&mut self, world: &mut World) {
        let media_ssrc = self.ssrc;
        send_rtcp(&mut self.end, world, |out| Pli { sender_ssrc: 1, media_ssrc }.write(out).unwrap());
    }
}

fn self_count(payload: &[u8]) -> u32 {
    u32::from_be_bytes(*payload[20..].first_chunk().unwrap())
}

/// One camera and its viewers.
pub struct Call {
    pub world: World,
    pub camera: Camera,
    pub viewers: Vec<Viewer>,
}

impl Call {
    /// Past the first keyframe. `rtx` of the publisher and of the subscribers.
    pub fn new(seed: u8, rtx: bool, viewers: &[bool]) -> Call {
        let mut world = World::new(seed);
        let mut offer = chromium_offer();
        if !rtx {
            without_rtx(&mut offer);
        }
        let (feed, end) = world.publish(0, offer);
        let camera = Camera::new(end, rtx);
        let viewers = (1..)
            .zip(viewers)
            .map(|(member, rtx)| {
                let (offer, end) = world.subscribe(member, feed.clone(), if *rtx { as_offered } else { without_rtx });
                Viewer::new(end, &offer)
            })
            .collect();
        let mut call = Call { world, camera, viewers };
        call.camera.frame(&mut call.world, true);
        call.run(50);
        call
    }

    /// Milliseconds without a frame.
    pub fn run(&mut self, ms: u32) {
        for _ in 0..ms {
            for (member, datagram) in self.world.step() {
                match member {
                    0 => self.camera.receive(&mut self.world, datagram),
                    member => self.viewers[usize::from(member) - 1].receive(&self.world, datagram),
                }
            }
            for viewer in &mut self.viewers {
                viewer.ask(&mut self.world);
            }
        }
    }

    pub fn frames(&mut self, count: u32) {
        for _ in 0..count {
            self.camera.frame(&mut self.world, false);
            self.run(33);
        }
    }

    /// A second without loss, so that nothing stays under way.
    pub fn calm(&mut self) {
        self.world.link.lost = [0; 2];
        self.frames(30);
    }
}

#[test]
fn every_packet_arrives_through_five_percent_of_loss_each_way() {
    for (seed, rtx) in [(1, true), (2, false)] {
        let mut call = Call::new(seed, rtx, &[true, false]);
        call.world.link.lost = [50, 50];
        call.frames(300);
        call.calm();
        assert!(call.world.link.losses > 200);
        for viewer in &call.viewers {
            let missing: Vec<u32> = (0..call.camera.count).filter(|n| !viewer.got.contains(n)).collect();
            assert!(missing.is_empty(), "rtx {rtx}: {missing:?}");
        }
        assert_eq!(call.world.counter("packets_abandoned"), 0);
        let (recovered, resent) = (call.world.counter("packets_recovered"), call.world.counter("packets_resent"));
        assert!((80..160).contains(&recovered) && (160..400).contains(&resent), "{recovered} {resent}");
        assert_eq!(call.world.counter("index_used"), 0);
    }
}

#[test]
fn a_packet_that_the_publisher_repeats_goes_out_once_and_in_the_same_turn() {
    let mut call = Call::new(3, true, &[true]);
    call.viewers[0].asks = false;
    call.world.link.cut = 1;
    call.frames(1);
    call.run(25);
    assert_eq!((call.camera.count, call.viewers[0].got.len()), (16, 16), "the engine asked for it and passed it on");
    let before = call.world.counter("packets_sent");
    for sequence in [65_000, 65_008, 65_010] {
        call.camera.packet(&mut call.world, sequence, true);
    }
    call.run(30);
    assert_eq!(call.world.counter("packets_sent"), before, "RTX of what is here is a probe");
    assert_eq!((call.world.counter("probes_received"), call.viewers[0].again), (3, 0));
}

#[test]
fn a_keyframe_whose_beginning_was_repaired_reaches_a_viewer_who_waited_for_it() {
    let mut call = Call::new(4, true, &[true]);
    call.frames(3);
    let pause = call.world.request(1, MemberRequest::Pause);
    assert!(matches!(pause, Reply::Paused(_)));
    call.frames(3);
    call.world.request(1, MemberRequest::Start(None));
    call.viewers[0].got.clear();
    call.world.link.cut = 1;
    let first = call.camera.count;
    call.camera.frame(&mut call.world, true);
    call.run(60);
    let got: Vec<u32> = call.viewers[0].got.iter().copied().collect();
    assert_eq!(got, (first..first + BURST).collect::<Vec<_>>());
}

#[test]
fn losses_from_before_a_keyframe_are_not_asked_for() {
    let mut call = Call::new(5, true, &[true]);
    call.world.link.cut = 3;
    call.camera.frame(&mut call.world, false);
    call.camera.frame(&mut call.world, true);
    call.run(100);
    assert_eq!((call.world.counter("nacks_sent"), call.world.counter("packets_abandoned")), (0, 3));
}

#[test]
fn whoever_asks_for_everything_again_and_again_gets_little() {
    let mut call = Call::new(6, true, &[true, false]);
    call.frames(20);
    let sent = call.world.counter("packets_sent");
    let all: Vec<[u8; 4]> =
        (0..=u16::MAX).step_by(17).map(|pid| pid.to_be_bytes()).map(|[a, b]| [a, b, 255, 255]).collect();
    for _ in 0..10 {
        for entries in all.chunks(300) {
            for viewer in 0..2 {
                call.viewers[viewer].nack(&mut call.world, entries);
            }
            call.run(1);
        }
    }
    let resent = call.world.counter("packets_resent");
    assert!(resent > 50 && resent < 2 * (32 + sent / 4) + 2, "{resent} of {sent}");
    assert!(call.world.counter("nack_throttled") > 0 && call.world.counter("nack_unserved") > 60_000);
}

#[test]
fn what_is_older_than_a_second_is_not_sent_again() {
    let mut call = Call::new(7, true, &[true]);
    call.run(1000);
    let sequence = u16::try_from(call.viewers[0].highest.unwrap().0 & 0xffff).unwrap();
    call.viewers[0].nack(&mut call.world, &[[sequence.to_be_bytes()[0], sequence.to_be_bytes()[1], 0, 0]]);
    call.run(30);
    assert_eq!((call.world.counter("packets_resent"), call.world.counter("nack_unserved")), (0, 1));
}

#[test]
fn a_wall_clock_that_is_set_makes_no_round_trip_longer() {
    let mut call = Call::new(9, true, &[true]);
    let newest = call.viewers[0].highest.unwrap().low().to_be_bytes();
    let last_sr = rtcp::Ntp::from_unix_us(call.world.now.unix_us).middle();
    call.world.now.unix_us += 8_000_000;
    call.run(40);
    call.viewers[0].report_since(&mut call.world, 0, last_sr);
    for _ in 0..3 {
        call.viewers[0].nack(&mut call.world, &[[newest[0], newest[1], 0, 0]]);
        call.run(60);
    }
    assert_eq!((call.world.counter("packets_resent"), call.world.counter("nack_throttled")), (3, 0));
}

#[test]
fn a_slow_link_is_told_once_a_second_to_the_side_that_has_it() {
    let mut call = Call::new(8, true, &[true]);
    call.world.events.clear();
    call.world.link.cut = 6;
    call.frames(1);
    call.viewers[0].report(&mut call.world, 5);
    call.frames(60);
    // Fewer than that are nothing to speak of.
    call.viewers[0].report(&mut call.world, 9);
    call.world.link.cut = 4;
    call.frames(60);
    let slow: Vec<_> = call
        .world
        .events
        .iter()
        .filter_map(|(handle, event)| match event {
            Event::SlowLink { uplink, lost, kind, .. } => Some((*handle, *uplink, *lost, Some(*kind))),
            Event::SlowPublisher { bitrate } => Some((*handle, false, u32::try_from(*bitrate).unwrap(), None)),
            Event::SlowSubscriber => Some((*handle, true, 0, None)),
            _ => None,
        })
        .collect();
    let video = Some(crate::wire::sdp::MediaKind::Video);
    let (mut publisher, mut subscriber) = (slow.clone(), slow);
    publisher.retain(|(handle, ..)| *handle == 1);
    subscriber.retain(|(handle, ..)| *handle == 2);
    assert_eq!(publisher, [(1, false, 6, video), (1, false, 0, None)]);
    assert_eq!(subscriber, [(2, true, 5, video), (2, true, 0, None)]);
}

#[derive(Clone, Copy, Debug)]
enum Act {
    Frame { keyframe: bool },
    Wait(u8),
    Lose { up: u16, down: u16 },
    Nack { back: u16, mask: u16 },
    Pause,
    Start,
    Jump,
    Goodbye,
    Restart,
    Wish,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        10 => any::<bool>().prop_map(|keyframe| Act::Frame { keyframe }),
        4 => (0u8..60).prop_map(Act::Wait),
        2 => (0u16..400, 0u16..400).prop_map(|(up, down)| Act::Lose { up, down }),
        6 => (0u16..100, any::<u16>()).prop_map(|(back, mask)| Act::Nack { back, mask }),
        1 => Just(Act::Pause),
        2 => Just(Act::Start),
        1 => Just(Act::Jump),
        1 => Just(Act::Goodbye),
        1 => Just(Act::Restart),
        1 => Just(Act::Wish),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn no_index_is_sealed_with_two_contents_whatever_happens(
        seed: u8, rtx: bool, acts in proptest::collection::vec(act(), 1..120),
    ) {
        let mut call = Call::new(seed, rtx, &[true, false]);
        for act in acts {
            match act {
                Act::Frame { keyframe } => {
                    call.camera.frame(&mut call.world, keyframe);
                    call.run(5);
                }
                Act::Wait(ms) => call.run(ms.into()),
                Act::Lose { up, down } => call.world.link.lost = [up.into(), down.into()],
                Act::Nack { back, mask } => for viewer in &mut call.viewers {
                    let Some(highest) = viewer.highest else { continue };
                    let [p0, p1] = ExtSeq(highest.0 - u64::from(back)).low().to_be_bytes();
                    let [b0, b1] = mask.to_be_bytes();
                    viewer.nack(&mut call.world, &[[p0, p1, b0, b1]]);
                }
                Act::Pause => {
                    call.world.request(2, MemberRequest::Pause);
                }
                Act::Start => {
                    call.world.request(2, MemberRequest::Start(None));
                }
                // Other numbers on the same SSRC, and another clock.
                Act::Jump => {
                    call.camera.next += 5000;
                    call.camera.timestamp = call.camera.timestamp.wrapping_add(1 << 30);
                }
                Act::Goodbye => call.camera.rtcp(&mut call.world, |out| {
                    Bye { ssrcs: &[VIDEO_SSRC.to_be_bytes()], reason: b"" }.write(out).unwrap()
                }),
                Act::Restart => call.world.restart_ice(1),
                Act::Wish => call.viewers[0].wish(&mut call.world),
            }
        }
        call.world.link.lost = [0; 2];
        call.camera.frame(&mut call.world, true);
        call.run(100);
    }
}
