//! The clock behind sender reports: the instant a publisher's RTP timestamps mean, on our wall clock, so that a subscriber can play
//! its audio and video in sync (RFC 3550 §6.4.1). Counting and sending the reports is the leg's business.
//!
//! A publisher's own NTP clock may be years off and differs from the next publisher's. Therefore one constant per publisher moves
//! it onto ours: all its streams keep their relation to each other, and a leg that switches publishers stays on one line.

use std::time::Duration;

use crate::time::{Mono, Now};
use crate::wire::rtcp::Ntp;
use crate::wire::rtp::sequence::timestamp_plus;

/// The constant between one publisher's NTP clock and ours; shared by all its streams.
#[derive(Clone, Copy, Debug, Default)]
pub struct PublisherClock {
    shift: Option<i64>,
}

impl PublisherClock {
    /// Takes note of a sender report of any of the publisher's streams and when the kernel received it. The first one decides:
    /// a later correction could only move the streams against each other.
    pub fn sender_report(&mut self, ntp: Ntp, at: Mono, now: Now) {
        if self.shift.is_none() && ntp != NO_CLOCK {
            self.shift = Some(wall_clock(at, now).since(ntp));
        }
    }
}

/// One publisher stream (one SSRC) on the publisher's clock.
#[derive(Clone, Copy, Debug)]
pub struct SenderClock {
    clock_rate: u32,
    newest: Option<(u32, Mono)>,
    report: Option<(Ntp, u32)>,
}

impl SenderClock {
    /// Begins without knowing anything; `clock_rate` is that of the RTP timestamps, in Hz.
    pub fn new(clock_rate: u32) -> Self {
        SenderClock { clock_rate, newest: None, report: None }
    }

    /// Takes note of the newest packet: what stands for a sender report until one comes, or for ever if none does.
    pub fn packet(&mut self, timestamp: u32, at: Mono) {
        self.newest = Some((timestamp, at));
    }

    /// Takes note of a sender report of this stream. One without a wall clock (NTP 0, RFC 3550 §6.4.1) is ignored.
    pub fn sender_report(&mut self, ntp: Ntp, rtp_timestamp: u32) {
        if ntp != NO_CLOCK {
            self.report = Some((ntp, rtp_timestamp));
        }
    }

    /// The instant of the publisher's RTP clock that `now` is: with `Ntp::from_unix_us(now.unix_us)` the pair of a sender report,
    /// once the leg has added its own offset to the timestamp. None before the first packet.
    pub fn timestamp_at(&self, publisher: &PublisherClock, now: Now) -> Option<u32> {
        let (ntp, timestamp) = match (self.report, publisher.shift, self.newest) {
            (Some((ntp, timestamp)), Some(shift), _) => (ntp.plus(shift), timestamp),
            (_, _, Some((timestamp, at))) => (wall_clock(at, now), timestamp),
            _ => return None,
        };
        let elapsed = i128::from(Ntp::from_unix_us(now.unix_us).since(ntp));
        let ticks = (elapsed * i128::from(self.clock_rate)) >> 32;
        // An elapsed time of 31 bits of seconds and a rate of 32 fit 63.
        Some(timestamp_plus(timestamp, ticks as i64))
    }
}

/// The round trip that a report block tells: A - LSR - DLSR (RFC 3550 §6.4.1), with `now` on the clock our sender reports carry.
/// None before the receiver had a report, and when the result is no round trip (over 10 s): clocks step and peers lie.
pub fn round_trip(now: Now, last_sr: u32, delay_since_last_sr: u32) -> Option<Duration> {
    if last_sr == 0 {
        return None;
    }
    // All three are seconds in 16.16; rounding can bring a short round trip a little below nothing.
    let arrived = Ntp::from_unix_us(now.unix_us).middle();
    let units = timestamp_plus(arrived, -i64::from(last_sr) - i64::from(delay_since_last_sr));
    let units = if units >= ROUNDED_BELOW_ZERO { 0 } else { u64::from(units) };
    Some(Duration::from_nanos((units * 1_000_000_000) >> 16)).filter(|time| *time <= ROUND_TRIP_MAX)
}

/// The wall clock at an instant of this turn or a little before it.
fn wall_clock(at: Mono, now: Now) -> Ntp {
    Ntp::from_unix_us(now.unix_us).before(now.mono.since(at))
}

/// "A sender that has no notion of wallclock or elapsed time may set the NTP timestamp to zero."
const NO_CLOCK: Ntp = Ntp(0);
const ROUND_TRIP_MAX: Duration = Duration::from_secs(10);
/// A round trip of -1 ms, in 1/65536 s modulo 2^32.
const ROUNDED_BELOW_ZERO: u32 = u32::MAX - 65;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const START_US: u64 = 1_790_000_000_000_000;

    fn now(ms: u64) -> Now {
        Now { mono: mono(ms), unix_us: START_US + ms * 1000 }
    }

    fn mono(ms: u64) -> Mono {
        Mono(5_000_000_000 + ms * 1_000_000)
    }

    /// The publisher's clock is 30 years slow.
    fn publisher_ntp(ms: u64) -> Ntp {
        Ntp::from_unix_us(START_US - 946_080_000_000_000 + ms * 1000)
    }

    #[test]
    fn before_any_report_the_newest_packet_is_now() {
        let mut clock = SenderClock::new(90_000);
        assert_eq!(clock.timestamp_at(&PublisherClock::default(), now(0)), None);
        clock.packet(1000, mono(10));
        assert_eq!(clock.timestamp_at(&PublisherClock::default(), now(10)), Some(1000));
        assert_eq!(clock.timestamp_at(&PublisherClock::default(), now(1010)), Some(91_000));
    }

    #[test]
    fn sender_reports_keep_lip_sync_whatever_the_network_did_to_them() {
        let mut publisher = PublisherClock::default();
        let (mut audio, mut video) = (SenderClock::new(48_000), SenderClock::new(90_000));
        // Both were captured at 1000 ms with these timestamps; audio arrives 20 ms later, video 300 ms later.
        audio.packet(48_000, mono(1020));
        video.packet(500_000, mono(1300));
        publisher.sender_report(publisher_ntp(1000), mono(1020), now(1020));
        audio.sender_report(publisher_ntp(1000), 48_000);
        publisher.sender_report(publisher_ntp(1000), mono(1300), now(1310));
        video.sender_report(publisher_ntp(1000), 500_000);
        let (a, v) =
            (audio.timestamp_at(&publisher, now(4000)).unwrap(), video.timestamp_at(&publisher, now(4000)).unwrap());
        let (audio_ms, video_ms) = (i64::from(a - 48_000) / 48, i64::from(v - 500_000) / 90);
        assert!((audio_ms - video_ms).abs() <= 1, "audio {audio_ms} ms, video {video_ms} ms");
        assert!((audio_ms - 2980).abs() <= 1, "{audio_ms}: now, less the 20 ms of the first report's way");
    }

    #[test]
    fn a_stream_whose_report_has_not_come_is_near_the_line_of_the_others() {
        let mut publisher = PublisherClock::default();
        publisher.sender_report(publisher_ntp(1000), mono(1020), now(1020));
        let mut video = SenderClock::new(90_000);
        video.packet(500_000, mono(1030));
        assert_eq!(video.timestamp_at(&publisher, now(1030)), Some(500_000));
    }

    #[test]
    fn a_later_report_of_the_same_line_changes_nothing_and_a_wrap_does_not_matter() {
        let mut publisher = PublisherClock::default();
        let mut clock = SenderClock::new(90_000);
        let start = u32::MAX - 45_000;
        clock.packet(start, mono(0));
        for second in 0..5u64 {
            let ms = second * 1000;
            publisher.sender_report(publisher_ntp(ms), mono(ms + 50 * second), now(ms + 300));
            clock.sender_report(publisher_ntp(ms), timestamp_plus(start, i64::try_from(second).unwrap() * 90_000));
            let ticks = clock.timestamp_at(&publisher, now(5000)).unwrap().wrapping_sub(start);
            assert!((449_999..=450_000).contains(&ticks), "{ticks}");
        }
    }

    #[test]
    fn a_report_without_a_clock_is_ignored() {
        let (mut publisher, mut clock) = (PublisherClock::default(), SenderClock::new(90_000));
        clock.packet(7, mono(0));
        publisher.sender_report(Ntp(0), mono(0), now(0));
        clock.sender_report(Ntp(0), 1234);
        assert_eq!(clock.timestamp_at(&publisher, now(0)), Some(7));
    }

    #[test]
    fn a_round_trip_is_what_is_left_after_the_receivers_delay() {
        let sent = Ntp::from_unix_us(now(0).unix_us).middle();
        let trip = round_trip(now(5_100), sent, 5 << 16).unwrap();
        assert!(trip.abs_diff(Duration::from_millis(100)) < Duration::from_micros(50), "{trip:?}");
        assert_eq!(round_trip(now(100), 0, 0), None);
        assert_eq!(round_trip(now(5_000), sent, (5 << 16) + 3), Some(Duration::ZERO), "rounded below nothing");
        assert_eq!(round_trip(now(5_000), sent, 8 << 16), None, "three seconds before it was sent");
        assert_eq!(round_trip(now(30_000), sent, 0), None, "no round trip takes thirty seconds");
    }

    #[test]
    fn the_round_trip_of_the_rfcs_figure_is_six_seconds_and_an_eighth() {
        // Figure 2: A = 0xb710:8000, LSR = 0xb705:2000, DLSR = 0x0005:4000 give 6.125 s. A is 10 Nov 1995 11:33:36.5 UTC.
        let at = Now { mono: Mono(0), unix_us: 816_003_216_500_000 };
        assert_eq!(round_trip(at, 0xb705_2000, 0x0005_4000), Some(Duration::from_millis(6125)));
    }

    proptest! {
        #[test]
        fn no_report_makes_it_panic(
            ntp: u64, timestamp: u32, rate: u32, (mono, unix_us, at) in any::<(u64, u64, u64)>(), lsr: u32, dlsr: u32,
        ) {
            let now = Now { mono: Mono(mono), unix_us };
            let (mut publisher, mut clock) = (PublisherClock::default(), SenderClock::new(rate));
            clock.packet(timestamp, Mono(at));
            let _ = clock.timestamp_at(&publisher, now);
            publisher.sender_report(Ntp(ntp), Mono(at), now);
            clock.sender_report(Ntp(ntp), timestamp);
            prop_assert!(clock.timestamp_at(&publisher, now).is_some());
            prop_assert!(round_trip(now, lsr, dlsr).is_none_or(|time| time <= ROUND_TRIP_MAX));
        }
    }
}
