//! Streams that come, go and change places under a subscriber, and publishers that are muted or thrown out: what flows,
//! what does not, and that nobody's numbers have a seam or a nonce twice.

use proptest::prelude::*;

use super::repair::{Camera, Viewer};
use super::*;
use crate::control::command::HangupReason;
use crate::control::error::RoomError;
use crate::control::request::{Administration, Subscribe, Switch, SwitchStream, Unsubscribe, Update};
use crate::control::summary::Updated;
use crate::media::verdict::DropReason;
use crate::wire::sdp::Mid;

/// Payloads of the second camera are numbered from here.
const SECOND: u32 = 80_000;
/// The viewer's handle; the cameras are 0 and 1.
const VIEWER: u16 = 2;

/// Two publishers, and a viewer of the first.
struct Stage {
    world: World,
    cameras: [Camera; 2],
    feeds: [FeedId; 2],
    viewer: Viewer,
    /// The offer that the viewer has not answered yet.
    owed: Option<Description>,
}

impl Stage {
    /// Past the first keyframe of both. `rtx` of the viewer.
    fn new(seed: u8, rtx: bool) -> Stage {
        let mut world = World::new(seed);
        let (first, end) = world.publish(0, chromium_offer());
        let one = Camera::new(end, true);
        let (second, end) = world.publish(1, chromium_offer());
        // Numbers and a clock of its own.
        let mut other = Camera::new(end, true);
        (other.next, other.count) = (20_000, SECOND);
        let (offer, end) = world.subscribe(VIEWER, first.clone(), if rtx { as_offered } else { without_rtx });
        let viewer = Viewer::new(end, &offer);
        let mut stage = Stage { world, cameras: [one, other], feeds: [first, second], viewer, owed: None };
        stage.frame(0, true);
        stage.frame(1, true);
        stage
    }

    /// Some milliseconds.
    fn run(&mut self, ms: u32) {
        for _ in 0..ms {
            for (member, datagram) in self.world.step() {
                match member {
                    VIEWER => self.viewer.receive(&self.world, datagram),
                    camera => self.cameras[usize::from(camera)].receive(&mut self.world, datagram),
                }
            }
            self.viewer.ask(&mut self.world);
        }
    }

    fn frame(&mut self, camera: usize, keyframe: bool) {
        self.cameras[camera].frame(&mut self.world, keyframe);
        self.run(40);
    }

    /// Frames of both cameras by turns.
    fn frames(&mut self, count: u32) {
        for _ in 0..count {
            self.frame(0, false);
            self.frame(1, false);
        }
    }

    fn switch(&mut self, feed: usize) -> usize {
        let entry = SwitchStream { feed: self.feeds[feed].clone(), mid: mid("1"), sub_mid: mid("1") };
        let reply = self.world.request(VIEWER, MemberRequest::Switch(Switch::Streams(vec![entry])));
        let switched = match reply {
            Reply::Switched(switched) => switched,
            Reply::Refused(RoomError::TooManyCopies(..)) => return 0,
            other => panic!("{other:?}"),
        };
        self.owed = switched.offer.or(self.owed.take());
        switched.changes
    }

    fn update(&mut self, add: &[usize], drop: &[usize]) -> Option<Box<Updated>> {
        let subscribe = add.iter().map(|&feed| {
            let feed = self.feeds[feed].clone();
            let stream = SubscribeStream { feed, mid: None, crossrefid: None, delay: None };
            Subscribe { stream, send: true }
        });
        let unsubscribe =
            drop.iter().map(|&feed| Unsubscribe { feed: Some(self.feeds[feed].clone()), ..Unsubscribe::default() });
        let update = Update { subscribe: subscribe.collect(), unsubscribe: unsubscribe.collect() };
        match self.world.request(VIEWER, MemberRequest::Update(update)) {
            Reply::Updated(mut updated) => {
                self.owed = updated.offered.take().map(|(_, offer)| offer).or(self.owed.take());
                Some(updated)
            }
            Reply::Updating(_) | Reply::Refused(_) => None,
            other => panic!("{other:?}"),
        }
    }

    /// The viewer answers what it owes; another offer may follow.
    fn answer(&mut self) {
        let Some(offer) = self.owed.take() else { return };
        self.world.events.clear();
        self.world.answer(VIEWER, &offer, as_offered);
        self.owed = self.world.events.drain(..).find_map(|(_, event)| match event {
            Event::Updated(_, _, offer) => Some(*offer),
            _ => None,
        });
    }

    fn administer(&mut self, request: Administration) -> Reply {
        let command = Command::Administer { room: self.world.room.clone(), secret: None, request: Box::new(request) };
        self.world.ask(command)
    }

    fn mute(&mut self, camera: usize, mute: bool) {
        let request = Administration::Moderate { feed: self.feeds[camera].clone(), mid: mid("1"), mute };
        assert!(matches!(self.administer(request), Reply::Moderated));
    }

    /// The payloads of a camera that the viewer has got.
    fn got(&self, camera: usize) -> Vec<u32> {
        let of = |count: &u32| (*count >= SECOND) == (camera == 1);
        self.viewer.got.iter().copied().filter(of).collect()
    }

    /// Every number that the viewer has received follows the one before, and no clock went back.
    fn assert_seamless(&self) {
        let numbers: Vec<u64> = self.viewer.timestamps.keys().copied().collect();
        assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1), "{numbers:?}");
        let clocks: Vec<u32> = self.viewer.timestamps.values().copied().collect();
        let step = |pair: &[u32]| pair[1].wrapping_sub(pair[0]);
        assert!(clocks.windows(2).all(|pair| step(pair) < 1 << 31), "{clocks:?}");
        assert_eq!(self.viewer.again, 0);
    }
}

fn mid(text: &str) -> Mid {
    Mid::from(text).unwrap()
}

#[test]
fn a_switched_line_goes_on_with_the_next_keyframe_of_its_new_source_without_a_seam() {
    let mut stage = Stage::new(1, true);
    stage.frames(2);
    let (before, wishes) = (stage.got(0), stage.cameras[1].wishes);
    assert_eq!(before.len(), 24);
    assert_eq!(stage.switch(1), 1);
    assert!(stage.owed.is_none(), "nothing is negotiated");
    stage.run(600);
    assert_eq!(stage.cameras[1].wishes, wishes + 1, "it is asked for a keyframe");
    stage.frames(1);
    assert_eq!((stage.got(0), stage.got(1)), (before.clone(), vec![]), "nothing of the old one, and no picture yet");
    stage.frame(1, true);
    stage.frames(2);
    let keyframe = SECOND + 4 * 8;
    assert_eq!(stage.got(1), (keyframe..keyframe + 24).collect::<Vec<_>>());
    assert_eq!(stage.got(0), before);
    stage.switch(0);
    stage.frame(0, true);
    stage.frames(1);
    assert_eq!(stage.got(0).len(), before.len() + 16, "and back");
    stage.assert_seamless();
    // Seven frames of 90 kHz and the time in between.
    let clocks: Vec<u32> = stage.viewer.timestamps.values().copied().collect();
    let gap = clocks[24].wrapping_sub(clocks[23]);
    assert!((60_000..70_000).contains(&gap), "the clock is that of the time that went by: {gap}");
}

#[test]
fn what_a_switched_line_has_lost_of_its_old_source_is_not_made_up() {
    for rtx in [true, false] {
        let mut stage = Stage::new(2, rtx);
        stage.frames(1);
        let last = *stage.viewer.timestamps.keys().last().unwrap();
        stage.switch(1);
        stage.frame(1, true);
        // The last one before the switch, and the first one behind it.
        let [p0, p1] = u16::try_from(last & 0xffff).unwrap().to_be_bytes();
        stage.viewer.nack(&mut stage.world, &[[p0, p1, 0, 1]]);
        stage.run(30);
        assert_eq!((stage.world.counter("packets_resent"), stage.world.counter("nack_unserved")), (1, 1));
        assert_eq!(stage.viewer.again, 1, "rtx {rtx}");
    }
}

#[test]
fn a_line_that_is_given_up_is_silent_and_taken_again_goes_on_with_its_ssrc() {
    let mut stage = Stage::new(3, true);
    stage.frames(1);
    stage.update(&[], &[0]).unwrap();
    stage.frames(1);
    assert_eq!(stage.got(0).len(), 16, "at once, without waiting for the answer");
    stage.answer();
    stage.update(&[1], &[]).unwrap();
    let offer = stage.owed.clone().unwrap();
    assert_eq!(offer.media.len(), 2);
    assert_eq!(offer.media[1].ssrcs[0].0, stage.viewer.ssrc);
    stage.frame(1, true);
    assert!(stage.got(1).is_empty(), "nothing before the answer");
    let wishes = stage.cameras[1].wishes;
    stage.answer();
    stage.run(600);
    assert!(stage.cameras[1].wishes > wishes, "it is asked for a keyframe");
    stage.frame(1, true);
    stage.frames(1);
    assert_eq!(stage.got(1).len(), 16);
    stage.assert_seamless();
}

#[test]
fn a_line_that_is_added_to_a_peer_that_is_up_has_keys_and_numbers_of_its_own() {
    let mut stage = Stage::new(4, true);
    stage.update(&[1], &[]).unwrap();
    let offer = stage.owed.clone().unwrap();
    assert_eq!(offer.media.len(), 4);
    stage.answer();
    // The same ears, for the other line.
    stage.viewer.ssrc = offer.media[3].ssrcs[0].0;
    stage.viewer.timestamps.clear();
    stage.frame(1, true);
    stage.frames(1);
    assert_eq!(stage.got(1).len(), 16);
    assert_eq!(stage.viewer.timestamps.len(), 16);
    let sent = stage.world.sealed.keys().filter(|(member, ssrc, _)| *member == VIEWER && *ssrc == stage.viewer.ssrc);
    assert!(sent.count() >= 16, "and its reports");
}

#[test]
fn changes_while_an_answer_is_owed_follow_it_in_one_offer() {
    let mut stage = Stage::new(5, true);
    stage.update(&[1], &[]).unwrap();
    assert!(stage.update(&[], &[0]).is_none(), "updating");
    assert!(stage.update(&[1], &[]).is_none(), "updating");
    stage.answer();
    let offer = stage.owed.clone().expect("the next one");
    assert_eq!((offer.origin_version, offer.media.len()), (3, 4), "the lines that were given up are taken again");
    stage.answer();
    assert!(stage.owed.is_none());
    stage.viewer.got.clear();
    stage.frame(1, true);
    assert_eq!(stage.got(1).len(), 8);
    let sent = |ssrc: u32| stage.world.sealed.keys().filter(|key| (key.0, key.1) == (VIEWER, ssrc)).count();
    assert!(sent(offer.media[3].ssrcs[0].0) >= 8 && sent(stage.viewer.ssrc) >= 16, "on both lines");
}

#[test]
fn nothing_of_a_muted_stream_goes_out_and_unmuted_it_begins_with_a_keyframe() {
    let mut stage = Stage::new(6, true);
    stage.frames(1);
    let sent = stage.world.counter("packets_sent");
    stage.mute(0, true);
    stage.frame(0, true);
    stage.frames(2);
    assert_eq!(stage.world.counter("packets_sent"), sent);
    let video = Configure { video: Some(true), ..Configure::default() };
    stage.world.request(0, MemberRequest::Configure(video));
    stage.frame(0, true);
    assert_eq!(stage.world.counter("packets_sent"), sent, "the publisher has no say");
    let wishes = stage.cameras[0].wishes;
    stage.mute(0, false);
    stage.run(600);
    assert_eq!(stage.cameras[0].wishes, wishes + 1);
    stage.frame(0, false);
    assert_eq!(stage.world.counter("packets_sent"), sent, "no picture without a keyframe");
    stage.frame(0, true);
    assert_eq!(stage.got(0).len(), 24);
    stage.assert_seamless();
}

#[test]
fn media_of_who_is_kicked_are_nobodys_from_then_on() {
    let mut stage = Stage::new(7, true);
    stage.world.events.clear();
    assert!(matches!(stage.administer(Administration::Kick(stage.feeds[0].clone())), Reply::Kicked));
    let told: Vec<u64> = stage.world.events.iter().map(|(to, _)| *to).collect();
    assert_eq!(told, [3, 1, 2, 1], "the offer first");
    assert!(matches!(stage.world.events[3].1, Event::Hangup(HangupReason::ClosePc)));
    let (got, before) = (stage.got(0), stage.world.counter("unknown_source"));
    stage.frame(0, true);
    assert_eq!(stage.got(0), got);
    assert!(stage.world.counter("unknown_source") >= before + 8);
    assert_eq!(stage.world.deliver(0, &mut [0x80; 60]), Verdict::Drop(DropReason::UnknownSource));
    let held = stage.world.engine.survey().gauges;
    let gauge = |name: &str| held.iter().find(|(of, _)| *of == name).unwrap().1;
    assert_eq!((gauge("peers"), gauge("streams"), gauge("legs")), (2, 2, 2));
    stage.owed = stage.world.events.drain(..).find_map(|(_, event)| match event {
        Event::Updated(_, _, offer) => Some(*offer),
        _ => None,
    });
    stage.answer();
    stage.switch(1);
    stage.answer();
    stage.frame(1, true);
    assert_eq!(stage.got(1).len(), 8, "the viewer's own connection goes on");
    stage.assert_seamless();
}

#[test]
fn an_edit_of_fir_freq_holds_for_those_who_publish_already() {
    let mut stage = Stage::new(8, true);
    stage.frames(20);
    assert_eq!(stage.cameras[1].wishes, 0);
    let edit = crate::control::request::Edit { fir_freq: Some(1), ..Default::default() };
    assert!(matches!(stage.administer(Administration::Edit(edit)), Reply::Edited(..)));
    stage.frames(30);
    assert!(stage.cameras[1].wishes >= 2, "{}", stage.cameras[1].wishes);
}

#[derive(Clone, Copy, Debug)]
enum Act {
    Frame { camera: usize, keyframe: bool },
    Wait(u8),
    Lose { up: u16, down: u16 },
    Nack { back: u16, mask: u16 },
    Switch(usize),
    Add(usize),
    Drop(usize),
    Replace(usize),
    Answer,
    Mute { camera: usize, mute: bool },
    Pause,
    Start,
}

fn act() -> impl Strategy<Value = Act> {
    let camera = || 0usize..2;
    prop_oneof![
        10 => (camera(), any::<bool>()).prop_map(|(camera, keyframe)| Act::Frame { camera, keyframe }),
        3 => (0u8..60).prop_map(Act::Wait),
        1 => (0u16..400, 0u16..400).prop_map(|(up, down)| Act::Lose { up, down }),
        6 => (0u16..100, any::<u16>()).prop_map(|(back, mask)| Act::Nack { back, mask }),
        3 => camera().prop_map(Act::Switch),
        1 => camera().prop_map(Act::Add),
        1 => camera().prop_map(Act::Drop),
        1 => camera().prop_map(Act::Replace),
        4 => Just(Act::Answer),
        1 => (camera(), any::<bool>()).prop_map(|(camera, mute)| Act::Mute { camera, mute }),
        1 => Just(Act::Pause),
        2 => Just(Act::Start),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn no_index_is_sealed_with_two_contents_whatever_is_exchanged(
        seed: u8, rtx: bool, acts in proptest::collection::vec(act(), 1..120),
    ) {
        let mut stage = Stage::new(seed, rtx);
        for act in acts {
            match act {
                Act::Frame { camera, keyframe } => {
                    stage.cameras[camera].frame(&mut stage.world, keyframe);
                    stage.run(5);
                }
                Act::Wait(ms) => stage.run(ms.into()),
                Act::Lose { up, down } => stage.world.link.lost = [up.into(), down.into()],
                Act::Nack { back, mask } => {
                    if let Some(number) = stage.viewer.timestamps.keys().last() {
                        let [p0, p1] = ((number - u64::from(back)) as u16).to_be_bytes();
                        let [b0, b1] = mask.to_be_bytes();
                        stage.viewer.nack(&mut stage.world, &[[p0, p1, b0, b1]]);
                    }
                }
                Act::Switch(feed) => drop(stage.switch(feed)),
                Act::Add(feed) => drop(stage.update(&[feed], &[])),
                Act::Drop(feed) => drop(stage.update(&[], &[feed])),
                Act::Replace(feed) => drop(stage.update(&[feed], &[1 - feed])),
                Act::Answer => stage.answer(),
                Act::Mute { camera, mute } => stage.mute(camera, mute),
                Act::Pause => drop(stage.world.request(VIEWER, MemberRequest::Pause)),
                Act::Start => drop(stage.world.request(VIEWER, MemberRequest::Start(None))),
            }
        }
        // Whatever happened, a viewer that wants one stream and answers gets its picture.
        stage.world.link.lost = [0; 2];
        stage.world.request(VIEWER, MemberRequest::Start(None));
        stage.mute(1, false);
        stage.answer();
        stage.answer();
        // It may have the stream as often as it can already.
        stage.update(&[], &[1]);
        stage.answer();
        stage.answer();
        stage.switch(1);
        stage.answer();
        stage.answer();
        let before = stage.cameras[1].count;
        stage.frame(1, true);
        stage.run(600);
        prop_assert!((before..before + 8).all(|count| stage.viewer.got.contains(&count)));
    }
}
