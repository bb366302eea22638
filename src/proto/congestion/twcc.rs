//! What the feedback to one publisher will say: arrival instants by transport-wide sequence number, in a window that never grows.
//! draft-holmer-rmcat-transport-wide-cc-extensions-01; the bytes are `wire/rtcp/twcc`.

use std::time::Duration;

use crate::limits;
use crate::time::Mono;
use crate::wire::rtcp::twcc::{DELTA_US, Feedback, REFERENCE_US};
use crate::wire::rtp::ExtSeq;
use crate::wire::rtp::sequence::sequence_plus;

/// Records the packets of one peer and tells it, at an interval that keeps this a small share of what it sends, which came
/// and when.
///
/// Every number from the first to the highest is reported once. What comes after it was reported missing is skipped.
#[derive(Clone, Debug, Default)]
pub struct FeedbackRecorder {
    /// Arrival by number modulo the window, in steps of 250 us; [`MISSING`] unless received and not yet reported.
    /// Empty before the first packet: who only listens never sends one.
    arrivals: Box<[u64]>,
    /// The first number that is not yet reported and the highest received.
    range: Option<(ExtSeq, ExtSeq)>,
    expected_after_jump: Option<u16>,
    due: Mono,
    /// When the last reported packet arrived, in steps of 250 us.
    reported_at: u64,
    feedback_count: u8,
    /// From one report to the next.
    interval: Duration,
    /// What was received, and since when.
    received: u64,
    since: Option<Mono>,
}

impl FeedbackRecorder {
    /// Nothing is recorded yet.
    pub fn new() -> Self {
        FeedbackRecorder { due: Mono::NEVER, interval: limits::TWCC_INTERVAL, ..FeedbackRecorder::default() }
    }

    /// Counts a datagram from the peer, numbered or not: the interval follows its bitrate.
    pub fn received(&mut self, bytes: usize) {
        self.received += bytes as u64;
    }

    /// Records a packet and when the kernel received it. When more than the window waits to be reported, the oldest never is.
    /// The first one takes the window's memory; nothing else ever does.
    pub fn record(&mut self, sequence: u16, at: Mono) {
        let Some((next, highest)) = self.range else {
            self.arrivals = vec![MISSING; WINDOW].into_boxed_slice();
            let first = ExtSeq::first(sequence);
            self.range = Some((first, first));
            return self.insert(first, at);
        };
        let number = highest.nearest(sequence);
        if next.distance(number) > WINDOW as i64 {
            // Far behind: an old packet, or a peer that began to number afresh, which two in a row prove (as RFC 3550 A.1).
            let restarted = self.expected_after_jump == Some(sequence);
            self.expected_after_jump = (!restarted).then_some(sequence_plus(sequence, 1));
            if restarted {
                let number = highest.restart(sequence);
                self.arrivals.fill(MISSING);
                self.range = Some((number, number));
                self.insert(number, at);
            }
            return;
        }
        self.expected_after_jump = None;
        if number < next {
            return; // already reported missing
        }
        if number > highest {
            let oldest = ExtSeq(number.0 + 1 - WINDOW as u64).max(next);
            // What slides out of the window must not be taken for what now has its place.
            for passed in (next.0..oldest.0).take(WINDOW) {
                self.arrivals[slot(ExtSeq(passed))] = MISSING;
            }
            self.range = Some((oldest, number));
        }
        self.insert(number, at);
    }

    fn insert(&mut self, number: ExtSeq, at: Mono) {
        let arrival = &mut self.arrivals[slot(number)];
        // The first copy of a packet is the one that tells the delay.
        if *arrival == MISSING {
            *arrival = steps(at);
        }
        if self.due == Mono::NEVER {
            self.due = at + self.interval;
        }
    }

    /// Writes the next feedback packet and gives its length; call again until there is none. It has at most
    /// 400 statuses, is shorter than 1200 bytes, and never longer than `out`.
    pub fn compose(&mut self, now: Mono, sender_ssrc: u32, media_ssrc: u32, out: &mut [u8]) -> Option<usize> {
        let (next, highest) = self.range.filter(|_| now >= self.due)?;
        let most = Feedback::statuses_within(out.len()).min(STATUSES_MAX);
        let pending = usize::try_from(highest.distance(next) + 1).unwrap_or(0);
        // A packet counts from its first arrival; one that only tells losses from where the last one ended.
        let arrivals = |count: usize| (0u64..).take(count).map(|i| self.arrivals[slot(next.plus(i))]);
        let first = arrivals(pending.min(most)).find(|at| *at != MISSING).unwrap_or(self.reported_at);
        let reference = first / STEPS_PER_REFERENCE;

        let mut statuses = [None; STATUSES_MAX];
        let (mut count, mut at) = (0, reference * STEPS_PER_REFERENCE);
        for (status, arrival) in statuses.iter_mut().zip(arrivals(pending.min(most))) {
            if arrival != MISSING {
                // Further apart than 16 bits can say (8 s): the next packet has its own reference time.
                let Ok(delta) = i16::try_from(arrival.cast_signed() - at.cast_signed()) else { break };
                *status = Some(delta);
                at = arrival;
            }
            count += 1;
        }
        let feedback = Feedback {
            sender_ssrc,
            media_ssrc,
            base_sequence: next.low(),
            reference_time: (reference & 0xff_ffff) as i32,
            feedback_count: self.feedback_count,
        };
        let len = feedback.write(statuses.get(..count).filter(|statuses| !statuses.is_empty())?, out).ok()?;

        self.feedback_count = self.feedback_count.wrapping_add(1);
        self.reported_at = at;
        for i in (0u64..).take(count) {
            self.arrivals[slot(next.plus(i))] = MISSING;
        }
        self.range = Some((next.plus(count as u64), highest));
        if count == pending {
            self.due = Mono::NEVER;
            self.adapt(now);
        }
        Some(len)
    }

    /// The next interval, by the bitrate since the last report: a report of usual size is then 5 % of what came.
    fn adapt(&mut self, now: Mono) {
        let received = std::mem::take(&mut self.received).max(1);
        if let Some(since) = self.since.replace(now) {
            let bytes_at_most = received / SHARE;
            let interval = now.since(since) * REPORT_BYTES / u32::try_from(bytes_at_most.max(1)).unwrap_or(u32::MAX);
            self.interval = interval.clamp(limits::TWCC_INTERVAL_MIN, limits::TWCC_INTERVAL_MAX);
        }
    }

    /// When [`FeedbackRecorder::compose`] has something next: an interval after the oldest packet that waits.
    pub fn deadline(&self) -> Mono {
        self.due
    }
}

fn slot(number: ExtSeq) -> usize {
    (number.0 % WINDOW as u64) as usize
}

/// An instant in the unit of the deltas, to the nearest.
fn steps(at: Mono) -> u64 {
    at.0.saturating_add(NANOS_PER_STEP / 2) / NANOS_PER_STEP
}

/// Packets that may wait: one interval at 10000 packets per second.
const WINDOW: usize = 1024;
/// Statuses of one packet, which then stays under 1200 bytes.
const STATUSES_MAX: usize = 400;
const MISSING: u64 = u64::MAX;
/// A report of some ten packets with its IP, UDP and SRTCP framing, as libwebrtc reckons it.
const REPORT_BYTES: u32 = 68;
/// One byte in so many may go back as feedback.
const SHARE: u64 = 20;
const NANOS_PER_STEP: u64 = DELTA_US as u64 * 1000;
const STEPS_PER_REFERENCE: u64 = REFERENCE_US as u64 / DELTA_US as u64;

const _: () = assert!(Feedback::statuses_within(1199) >= STATUSES_MAX);
const _: () = assert!(WINDOW.is_power_of_two() && WINDOW > STATUSES_MAX);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::rtcp::{Compound, Packet};
    use proptest::prelude::*;

    const MS: u64 = 1_000_000;
    const START: u64 = 77_000_123_456;
    const LATER: Mono = Mono(START + 3_600_000 * MS);

    /// All the feedback there is: `(base, count)` of each packet, and every reported packet.
    type Reported = (Vec<(u8, u16, usize)>, Vec<(u16, Option<i64>)>);

    fn drain(recorder: &mut FeedbackRecorder, now: Mono) -> Reported {
        let (mut packets, mut arrivals) = (Vec::new(), Vec::new());
        let mut out = [0; 1500];
        while let Some(len) = recorder.compose(now, 1, 2, &mut out) {
            assert!(len < 1200);
            let Some(Ok(Packet::TransportFeedback(parsed))) = Compound::new(&out[..len]).next() else { panic!() };
            let (head, count) = (parsed.feedback, usize::from(parsed.status_count));
            assert_eq!((head.sender_ssrc, head.media_ssrc), (1, 2));
            packets.push((head.feedback_count, head.base_sequence, count));
            arrivals.extend(parsed.arrivals());
        }
        (packets, arrivals)
    }

    fn us(at: u64) -> i64 {
        i64::try_from(at / 1000).unwrap()
    }

    #[test]
    fn feedback_waits_an_interval_and_then_tells_every_packet() {
        let mut recorder = FeedbackRecorder::new();
        assert_eq!(recorder.deadline(), Mono::NEVER);
        recorder.record(65_535, Mono(START));
        recorder.record(1, Mono(START + 30 * MS));
        let due = Mono(START) + limits::TWCC_INTERVAL;
        assert_eq!(recorder.deadline(), due);
        assert_eq!(drain(&mut recorder, Mono(due.0 - 1)).0, []);
        let (packets, arrivals) = drain(&mut recorder, due);
        assert_eq!(packets, [(0, 65_535, 3)]);
        assert_eq!((arrivals[0].0, arrivals[1], arrivals[2].0), (65_535, (0, None), 1));
        assert_eq!(arrivals[2].1.unwrap() - arrivals[0].1.unwrap(), 30_000);
        assert_eq!((recorder.deadline(), drain(&mut recorder, LATER).0), (Mono::NEVER, vec![]));
    }

    #[test]
    fn the_next_feedback_begins_where_the_last_ended_and_late_packets_are_skipped() {
        let mut recorder = FeedbackRecorder::new();
        for sequence in [10, 12] {
            recorder.record(sequence, Mono(START));
        }
        assert_eq!(drain(&mut recorder, LATER).1.len(), 3);
        recorder.record(11, Mono(START + MS));
        assert_eq!(recorder.deadline(), Mono::NEVER);
        recorder.record(14, Mono(START + MS));
        let (packets, arrivals) = drain(&mut recorder, LATER);
        assert_eq!(packets, [(1, 13, 2)]);
        assert_eq!((arrivals[0].1, arrivals[1].1.is_some()), (None, true));
    }

    /// The interval once the peer sends so many bytes in so many packets every 10 ms.
    fn interval(bytes: usize) -> Duration {
        let mut recorder = FeedbackRecorder::new();
        let mut at = Mono(START);
        for sequence in 0..200 {
            at = at + Duration::from_millis(10);
            recorder.received(bytes);
            recorder.record(sequence, at);
            drain(&mut recorder, at);
        }
        recorder.interval
    }

    #[test]
    fn feedback_takes_a_twentieth_of_the_bandwidth_between_its_bounds() {
        assert_eq!(interval(3000), limits::TWCC_INTERVAL_MIN, "2.4 Mbit/s");
        assert_eq!(interval(20), limits::TWCC_INTERVAL_MAX, "16 kbit/s");
        let at_100_kbit = interval(125).as_millis();
        assert!((100..120).contains(&at_100_kbit), "{at_100_kbit} ms for 68 bytes at 5 kbit/s");
    }

    #[test]
    fn reordered_and_repeated_packets_keep_their_first_arrival() {
        let mut recorder = FeedbackRecorder::new();
        for (sequence, ms) in [(5, 0), (7, 10), (6, 20), (6, 30), (5, 40)] {
            recorder.record(sequence, Mono(ms * MS));
        }
        let (_, arrivals) = drain(&mut recorder, LATER);
        assert_eq!(arrivals, [(5, Some(0)), (6, Some(20_000)), (7, Some(10_000))]);
    }

    #[test]
    fn many_packets_are_told_in_several_of_at_most_400() {
        let mut recorder = FeedbackRecorder::new();
        for i in 0..1000u16 {
            recorder.record(i, Mono(START + u64::from(i) * 300 * MS));
        }
        let (packets, arrivals) = drain(&mut recorder, LATER);
        assert_eq!(packets, [(0, 0, 400), (1, 400, 400), (2, 800, 200)]);
        assert_eq!(arrivals.len(), 1000);
        for ((_, at), i) in arrivals.iter().zip(0..) {
            assert!(at.unwrap().abs_diff(us(START + i * 300 * MS)) <= 250);
        }
    }

    #[test]
    fn a_pause_longer_than_a_delta_begins_a_new_packet() {
        let mut recorder = FeedbackRecorder::new();
        recorder.record(1, Mono(START));
        recorder.record(2, Mono(START + 60_000 * MS));
        recorder.record(3, Mono(START + 20_000 * MS));
        let (packets, arrivals) = drain(&mut recorder, LATER);
        assert_eq!(packets, [(0, 1, 1), (1, 2, 1), (2, 3, 1)]);
        assert_eq!(arrivals[1].1.unwrap() - arrivals[0].1.unwrap(), 60_000_000);
        assert_eq!(arrivals[2].1.unwrap() - arrivals[0].1.unwrap(), 20_000_000);
    }

    #[test]
    fn what_leaves_the_window_is_never_reported_and_never_mistaken() {
        let mut recorder = FeedbackRecorder::new();
        for i in 0..20u16 {
            recorder.record(i, Mono(START));
        }
        recorder.record(1030, Mono(START + MS));
        let (packets, arrivals) = drain(&mut recorder, LATER);
        assert_eq!(packets[0], (0, 7, 400));
        let received: Vec<u16> =
            arrivals.iter().filter(|(_, at)| at.is_some()).map(|(sequence, _)| *sequence).collect();
        assert_eq!(received, (7..20).chain([1030]).collect::<Vec<_>>());
        assert_eq!(arrivals.len(), WINDOW);
    }

    #[test]
    fn a_peer_that_numbers_afresh_is_believed_at_the_second_packet() {
        let mut recorder = FeedbackRecorder::new();
        recorder.record(30_000, Mono(START));
        drain(&mut recorder, LATER);
        recorder.record(5, Mono(START));
        assert_eq!(recorder.deadline(), Mono::NEVER);
        recorder.record(6, Mono(START));
        assert_eq!(drain(&mut recorder, LATER).0, [(1, 6, 1)]);
    }

    #[test]
    fn the_feedback_count_and_the_reference_time_wrap() {
        let mut recorder = FeedbackRecorder::new();
        let start = (1 << 24) * 64 * MS;
        for i in 0..300u16 {
            recorder.record(i, Mono(start + u64::from(i) * 64 * MS));
            let (packets, arrivals) = drain(&mut recorder, Mono::NEVER);
            assert_eq!(packets, [((i & 0xff) as u8, i, 1)]);
            assert_eq!(arrivals, [(i, Some(i64::from(i) * 64_000))]);
        }
    }

    #[test]
    fn a_slice_that_is_too_small_gives_nothing_and_loses_nothing() {
        let mut recorder = FeedbackRecorder::new();
        recorder.record(1, Mono(START));
        assert_eq!(recorder.compose(LATER, 1, 2, &mut [0; 20]), None);
        assert_eq!(drain(&mut recorder, LATER).1.len(), 1);
    }

    proptest! {
        #[test]
        fn the_sender_learns_every_arrival_within_250_us(
            start: u16,
            packets in proptest::collection::vec((any::<u8>(), 0u64..30_000_000, 0u16..3), 1..900),
            drains in proptest::collection::vec(1usize..100, 1..20),
        ) {
            let mut recorder = FeedbackRecorder::new();
            let (mut at, mut sequence, mut told, mut truth) = (START, start, Vec::new(), Vec::new());
            let mut drains = drains.into_iter().cycle();
            let mut until_drain = drains.next().unwrap();
            for (lost, gap, skip) in packets {
                at += gap;
                sequence = sequence_plus(sequence, 1 + if lost < 25 { skip } else { 0 });
                recorder.record(sequence, Mono(at));
                truth.push((sequence, us(at)));
                until_drain -= 1;
                if until_drain == 0 {
                    until_drain = drains.next().unwrap();
                    told.extend(drain(&mut recorder, LATER).1);
                }
            }
            told.extend(drain(&mut recorder, LATER).1);
            let received: Vec<_> = told.iter().filter_map(|(sequence, at)| at.map(|at| (*sequence, at))).collect();
            prop_assert_eq!(received.len(), truth.len());
            for ((sequence, at), (true_sequence, true_at)) in received.into_iter().zip(truth) {
                prop_assert_eq!(sequence, true_sequence);
                prop_assert!(at.abs_diff(true_at) <= 250, "told {} for {}", at, true_at);
            }
        }

        #[test]
        fn no_packets_make_it_panic(packets: Vec<(u16, u64)>, at: u64, size in 0usize..1500) {
            let mut recorder = FeedbackRecorder::new();
            let mut out = vec![0; size];
            for (sequence, arrived) in packets {
                recorder.record(sequence, Mono(arrived));
                let _ = recorder.compose(Mono(at), 1, 2, &mut out);
            }
        }
    }
}
