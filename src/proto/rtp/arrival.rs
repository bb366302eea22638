//! The receiving side's record of one source: extended sequence numbers, loss and jitter, and the report block made of them.
//! RFC 3550 A.1, A.3 and A.8. Packets are not kept here, and what to do about a missing one is decided elsewhere.

use std::time::Duration;

use crate::time::Mono;
use crate::wire::rtcp::{Ntp, ReportBlock};
use crate::wire::rtp::ExtSeq;
use crate::wire::rtp::sequence::{sequence_plus, timestamp_distance};

/// What became of a packet that was shown to [`Arrival::receive`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// Newer than all before, or the very first.
    Newest(ExtSeq),
    /// Older than the newest, but missing until now.
    Late(ExtSeq),
    /// Newer than all before by a jump that proved real: the source began again. What is missing in between was never sent.
    Restarted(ExtSeq),
    /// Received already; drop it.
    Duplicate,
    /// Too far from the others to be believed; drop it. If its successor comes next, the source has restarted.
    Stray,
}

/// How one SSRC arrives. The packets are authenticated, so the first one is believed at once; a jump must be confirmed (A.1).
#[derive(Clone, Debug)]
pub struct Arrival {
    ssrc: u32,
    clock_rate: u32,
    run: Option<Run>,
    jitter: Jitter,
    duplicates: u64,
    last_sr: Option<(u32, Mono)>,
}

/// What is counted from one beginning of the source to the next.
#[derive(Clone, Debug)]
struct Run {
    base: ExtSeq,
    highest: ExtSeq,
    /// Bit `i` is set when `highest - i` was received.
    recent: u128,
    /// All packets, late and repeated ones included (RFC 3550 §6.4.1).
    received: u64,
    /// What follows the last stray: the packet that would confirm a jump.
    expected_after_jump: Option<u16>,
    expected_prior: u64,
    received_prior: u64,
}

impl Arrival {
    /// Begins to watch a source; `clock_rate` is that of its timestamps, in Hz.
    pub fn new(ssrc: u32, clock_rate: u32) -> Self {
        Arrival { ssrc, clock_rate, run: None, jitter: Jitter::default(), duplicates: 0, last_sr: None }
    }

    /// Which source.
    pub fn ssrc(&self) -> u32 {
        self.ssrc
    }

    /// Records a packet and when the kernel received it.
    pub fn receive(&mut self, sequence: u16, timestamp: u32, at: Mono) -> Admission {
        let admission = self.admit(sequence);
        match admission {
            Admission::Newest(_) | Admission::Late(_) => self.jitter.sample(timestamp, at, self.clock_rate),
            Admission::Restarted(_) => {
                self.jitter.last = None;
                self.jitter.sample(timestamp, at, self.clock_rate);
            }
            Admission::Duplicate => self.duplicates += 1,
            Admission::Stray => {}
        }
        admission
    }

    /// Records a packet whose timestamp says nothing of the media clock: comfort noise or a telephone event, whose clocks
    /// are their own, or padding.
    pub fn receive_untimed(&mut self, sequence: u16) -> Admission {
        let admission = self.admit(sequence);
        match admission {
            Admission::Restarted(_) => self.jitter.last = None,
            Admission::Duplicate => self.duplicates += 1,
            Admission::Newest(_) | Admission::Late(_) | Admission::Stray => {}
        }
        admission
    }

    fn admit(&mut self, sequence: u16) -> Admission {
        let Some(run) = &mut self.run else {
            let first = ExtSeq::first(sequence);
            self.run = Some(Run::begin(first));
            return Admission::Newest(first);
        };
        let number = run.highest.nearest(sequence);
        match number.distance(run.highest) {
            ahead @ 1..DROPOUT_MAX => {
                run.recent = u32::try_from(ahead).ok().and_then(|by| run.recent.checked_shl(by)).unwrap_or(0) | 1;
                run.highest = number;
                run.received += 1;
                run.expected_after_jump = None;
                Admission::Newest(number)
            }
            behind @ MISORDER_MIN..=0 => {
                let bit = 1 << behind.unsigned_abs();
                let repeated = run.recent & bit != 0;
                run.recent |= bit;
                run.received += 1;
                // A packet from before the first one was expected too, or loss would become negative.
                run.base = run.base.min(number);
                if repeated { Admission::Duplicate } else { Admission::Late(number) }
            }
            // "Two sequential packets -- assume that the other side restarted without telling us"
            _ if run.expected_after_jump == Some(sequence) => {
                let number = run.highest.restart(sequence);
                *run = Run::begin(number);
                Admission::Restarted(number)
            }
            _ => {
                run.expected_after_jump = Some(sequence_plus(sequence, 1));
                Admission::Stray
            }
        }
    }

    /// Whether a number behind the highest is told from a jump, and from one that was received already.
    pub fn remembers(highest: ExtSeq, number: ExtSeq) -> bool {
        number.distance(highest) >= MISORDER_MIN
    }

    /// Records a sender report of this source.
    pub fn sender_report(&mut self, ntp: Ntp, at: Mono) {
        self.last_sr = Some((ntp.middle(), at));
    }

    /// The report block for the time since the last call; none before the first packet. RFC 3550 A.3.
    pub fn report_block(&mut self, now: Mono) -> Option<ReportBlock> {
        let (cumulative_lost, jitter) = (self.cumulative_lost(), self.jitter());
        let run = self.run.as_mut()?;
        let (last_sr, delay_since_last_sr) = match self.last_sr {
            Some((middle, at)) => (middle, fixed_16_16(now.since(at))),
            None => (0, 0),
        };
        Some(ReportBlock {
            ssrc: self.ssrc,
            fraction_lost: run.fraction_lost(),
            cumulative_lost,
            highest_sequence: run.highest.report(),
            jitter,
            last_sr,
            delay_since_last_sr,
        })
    }

    /// The highest number received.
    pub fn highest(&self) -> Option<ExtSeq> {
        self.run.as_ref().map(|run| run.highest)
    }

    /// Packets received since the source (re)started, repeated ones included.
    pub fn received(&self) -> u64 {
        self.run.as_ref().map_or(0, |run| run.received)
    }

    /// Packets the source sent since it (re)started, as its numbers tell.
    pub fn expected(&self) -> u64 {
        self.run.as_ref().map_or(0, Run::expected)
    }

    /// Packets lost since the source (re)started, clamped to 24 bits; negative when more were repeated than lost.
    pub fn cumulative_lost(&self) -> i32 {
        let lost = self.expected().cast_signed().saturating_sub(self.received().cast_signed());
        lost.clamp(-0x80_0000, 0x7f_ffff) as i32
    }

    /// Repeated packets since the beginning.
    pub fn duplicates(&self) -> u64 {
        self.duplicates
    }

    /// Interarrival jitter in timestamp units. RFC 3550 A.8.
    pub fn jitter(&self) -> u32 {
        self.jitter.scaled >> 4
    }
}

impl Run {
    fn begin(first: ExtSeq) -> Self {
        Run {
            base: first,
            highest: first,
            recent: 1,
            received: 1,
            expected_after_jump: None,
            expected_prior: 0,
            received_prior: 0,
        }
    }

    fn expected(&self) -> u64 {
        self.highest.distance(self.base).unsigned_abs() + 1
    }

    fn fraction_lost(&mut self) -> u8 {
        let expected = self.expected() - self.expected_prior;
        let received = self.received - self.received_prior;
        (self.expected_prior, self.received_prior) = (self.expected(), self.received);
        // lost <= expected, and lost == expected would give 256: one less than 1.0 is as much as eight bits can say.
        let lost = expected.saturating_sub(received);
        if lost == 0 { 0 } else { u8::try_from((lost << 8) / expected).unwrap_or(u8::MAX) }
    }
}

/// The running estimate of RFC 3550 A.8, scaled by 16 so that rounding does not eat it.
#[derive(Clone, Debug, Default)]
struct Jitter {
    scaled: u32,
    /// The last packet's timestamp, and its arrival in the same units.
    last: Option<(u32, u64)>,
}

impl Jitter {
    fn sample(&mut self, timestamp: u32, at: Mono, clock_rate: u32) {
        let arrival = ticks(at, clock_rate);
        if let Some((last_timestamp, last_arrival)) = self.last.replace((timestamp, arrival)) {
            let spacing = arrival.cast_signed().saturating_sub(last_arrival.cast_signed());
            let deviation = spacing.abs_diff(i64::from(timestamp_distance(last_timestamp, timestamp)));
            // Seconds of it are a pause or a new clock at the source, and would hide the network for minutes.
            if let Ok(deviation) = u32::try_from(deviation)
                && deviation < clock_rate.saturating_mul(JUMP_SECONDS)
            {
                self.scaled = self.scaled.saturating_add(deviation) - (self.scaled.saturating_add(8) >> 4);
            }
        }
    }
}

/// An instant in units of `clock_rate`; only differences mean something.
fn ticks(at: Mono, clock_rate: u32) -> u64 {
    let (seconds, nanos) = (at.0 / NANOS, at.0 % NANOS);
    seconds.saturating_mul(u64::from(clock_rate)).saturating_add(nanos * u64::from(clock_rate) / NANOS)
}

/// A duration in 1/65536 s, as DLSR.
fn fixed_16_16(duration: Duration) -> u32 {
    let fraction = (u64::from(duration.subsec_nanos()) << 16) / NANOS;
    u32::try_from(duration.as_secs().saturating_mul(1 << 16).saturating_add(fraction)).unwrap_or(u32::MAX)
}

/// MAX_DROPOUT of RFC 3550 A.1.
const DROPOUT_MAX: i64 = 3000;
/// MAX_MISORDER of RFC 3550 A.1, as a distance.
const MISORDER_MIN: i64 = -100;
/// Deviations from here on are not jitter.
const JUMP_SECONDS: u32 = 5;
const NANOS: u64 = 1_000_000_000;

const _: () = assert!(MISORDER_MIN > -(u128::BITS as i64));

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::rtp::sequence::timestamp_plus;
    use proptest::prelude::*;

    const MS: u64 = 1_000_000;

    /// An arrival that has seen these sequence numbers, 20 ms apart.
    fn after(sequences: impl IntoIterator<Item = u16>) -> Arrival {
        let mut arrival = Arrival::new(7, 48_000);
        for (sequence, i) in sequences.into_iter().zip(0u32..) {
            arrival.receive(sequence, i * 960, Mono(u64::from(i) * 20 * MS));
        }
        arrival
    }

    fn block(arrival: &mut Arrival) -> ReportBlock {
        arrival.report_block(Mono(0)).unwrap()
    }

    #[test]
    fn nothing_is_reported_of_a_source_that_was_never_heard() {
        assert_eq!(Arrival::new(7, 48_000).report_block(Mono(9)), None);
    }

    #[test]
    fn the_number_grows_across_the_wrap_and_the_report_counts_cycles() {
        let mut arrival = after([65_534, 65_535, 0, 1]);
        let block = block(&mut arrival);
        assert_eq!((block.ssrc, block.highest_sequence), (7, 0x0001_0001));
        assert_eq!((block.fraction_lost, block.cumulative_lost, arrival.expected()), (0, 0, 4));
    }

    #[test]
    fn fraction_lost_is_of_this_interval_and_cumulative_of_all() {
        let mut arrival = after([0, 1, 4, 5, 6, 7]);
        let first = block(&mut arrival);
        assert_eq!((first.fraction_lost, first.cumulative_lost), (64, 2));
        for sequence in 8..16 {
            arrival.receive(sequence, 0, Mono(0));
        }
        let second = block(&mut arrival);
        assert_eq!((second.fraction_lost, second.cumulative_lost), (0, 2));
        let idle = block(&mut arrival);
        assert_eq!((idle.fraction_lost, idle.cumulative_lost), (0, 2));
    }

    #[test]
    fn a_late_packet_is_no_longer_lost() {
        let mut arrival = after([10, 12]);
        assert_eq!(arrival.cumulative_lost(), 1);
        assert_eq!(arrival.receive(11, 0, Mono(0)), Admission::Late(ExtSeq::first(11)));
        assert_eq!(arrival.cumulative_lost(), 0);
        assert_eq!(arrival.receive(9, 0, Mono(0)), Admission::Late(ExtSeq::first(9)), "from before the first");
        assert_eq!((arrival.cumulative_lost(), arrival.expected()), (0, 4));
    }

    #[test]
    fn a_repeated_packet_is_a_duplicate_and_makes_loss_negative_as_the_rfc_says() {
        let mut arrival = after([10, 11, 12]);
        for sequence in [12, 11, 10] {
            assert_eq!(arrival.receive(sequence, 0, Mono(0)), Admission::Duplicate);
        }
        assert_eq!(arrival.duplicates(), 3);
        let block = block(&mut arrival);
        assert_eq!((block.cumulative_lost, block.fraction_lost), (-3, 0));
    }

    #[test]
    fn one_stray_changes_nothing_but_two_in_a_row_restart_the_source() {
        let mut arrival = after([100, 101]);
        assert_eq!(arrival.receive(40_000, 0, Mono(0)), Admission::Stray);
        assert_eq!(arrival.receive(102, 0, Mono(0)), Admission::Newest(ExtSeq::first(102)));
        assert_eq!(arrival.receive(40_001, 0, Mono(0)), Admission::Stray, "the jump was given up in between");
        let before = arrival.highest().unwrap();
        let Admission::Restarted(number) = arrival.receive(40_002, 0, Mono(0)) else { panic!() };
        assert!(number > before && number.low() == 40_002);
        assert_eq!((arrival.expected(), arrival.received(), arrival.cumulative_lost()), (1, 1, 0));
    }

    #[test]
    fn a_restart_below_the_old_numbers_still_moves_forward() {
        let mut arrival = after([30_000, 30_001]);
        assert_eq!(arrival.receive(5, 0, Mono(0)), Admission::Stray);
        let Admission::Restarted(number) = arrival.receive(6, 0, Mono(0)) else { panic!() };
        assert!(number > ExtSeq::first(30_001));
    }

    #[test]
    fn a_gap_below_the_limit_is_loss_and_not_a_jump() {
        let mut arrival = after([0, 2999]);
        assert_eq!(arrival.cumulative_lost(), 2998);
        assert_eq!(arrival.receive(2900, 0, Mono(0)), Admission::Late(ExtSeq::first(2900)));
        assert_eq!(arrival.receive(2899, 0, Mono(0)), Admission::Late(ExtSeq::first(2899)));
        assert_eq!(arrival.receive(2898, 0, Mono(0)), Admission::Stray);
        assert_eq!(block(&mut arrival).fraction_lost, 255);
    }

    #[test]
    fn an_even_source_has_no_jitter() {
        assert_eq!(after(0..500).jitter(), 0);
    }

    #[test]
    fn jitter_converges_to_the_mean_deviation() {
        // Every other packet is 5 ms late: successive packets deviate by 240 units of 48 kHz.
        let mut arrival = Arrival::new(7, 48_000);
        for i in 0..500u32 {
            let late = u64::from(i % 2) * 5;
            arrival.receive(i as u16, i * 960, Mono((u64::from(i) * 20 + late) * MS));
        }
        assert!((238..=240).contains(&arrival.jitter()), "{}", arrival.jitter());
    }

    #[test]
    fn a_packet_of_another_clock_is_received_and_is_no_jitter() {
        let mut arrival = after(0..50);
        assert_eq!(arrival.receive_untimed(50), Admission::Newest(ExtSeq::first(50)));
        assert_eq!(arrival.receive_untimed(50), Admission::Duplicate);
        arrival.receive(51, 51 * 960, Mono(51 * 20 * MS));
        assert_eq!((arrival.jitter(), arrival.expected(), arrival.duplicates()), (0, 52, 1));
    }

    #[test]
    fn a_source_that_changes_its_clock_does_not_poison_jitter() {
        let mut arrival = after(0..50);
        arrival.receive(50, 0x8000_0000, Mono(50 * 20 * MS));
        arrival.receive(51, 0x8000_0000 + 960, Mono(51 * 20 * MS));
        assert_eq!(arrival.jitter(), 0);
    }

    #[test]
    fn jitter_survives_a_timestamp_that_wraps() {
        let mut arrival = Arrival::new(7, 90_000);
        for i in 0..10u32 {
            arrival.receive(
                i as u16,
                timestamp_plus(u32::MAX - 9000, i64::from(i) * 1800),
                Mono(u64::from(i) * 20 * MS),
            );
        }
        assert_eq!(arrival.jitter(), 0);
    }

    #[test]
    fn the_last_sender_report_comes_back_with_its_age() {
        let mut arrival = after([1]);
        arrival.sender_report(Ntp(0x1122_3344_5566_7788), Mono(1000 * MS));
        let block = arrival.report_block(Mono(2500 * MS)).unwrap();
        assert_eq!((block.last_sr, block.delay_since_last_sr), (0x3344_5566, 0x0001_8000));
    }

    proptest! {
        #[test]
        fn no_input_makes_it_panic(packets: Vec<(u16, u32, u64)>, clock_rate: u32, report_at: u64, ntp: u64) {
            let mut arrival = Arrival::new(1, clock_rate);
            let mut highest = ExtSeq(0);
            for (sequence, timestamp, at) in packets {
                if let Admission::Newest(number) | Admission::Restarted(number) = arrival.receive(sequence, timestamp, Mono(at)) {
                    prop_assert!(number > highest);
                    highest = number;
                }
                arrival.sender_report(Ntp(ntp), Mono(at));
                let _ = arrival.report_block(Mono(report_at));
            }
        }

        #[test]
        fn with_any_loss_pattern_what_is_lost_is_what_was_not_received(start: u16, kept in proptest::collection::vec(any::<bool>(), 1..500)) {
            let mut arrival = Arrival::new(1, 90_000);
            let sent: Vec<u16> = kept.iter().zip(0u16..).filter(|(kept, _)| **kept).map(|(_, i)| sequence_plus(start, i)).collect();
            for sequence in &sent {
                arrival.receive(*sequence, 0, Mono(0));
            }
            let (first, last) = (kept.iter().position(|k| *k), kept.iter().rposition(|k| *k));
            if let (Some(first), Some(last)) = (first, last) {
                prop_assert_eq!(usize::try_from(arrival.cumulative_lost()).unwrap(), last - first + 1 - sent.len());
            }
        }
    }
}
