//! The one place where the program reads a clock: once per turn, then handed down. All threads share the origin.

use portunus::time::{Mono, Now};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Time since the start of the process, plus a lead: intervals that reach before the start do not saturate.
const LEAD: Duration = Duration::from_secs(3600);
/// A kernel time stamp older than this is not a waiting datagram but a clock that was set.
const STAMP_AGE_MAX: Duration = Duration::from_secs(2);

/// Two readings closer than this were not torn apart, and how often to try for such.
const BRACKET: Duration = Duration::from_micros(5);
const READINGS: usize = 3;

/// Where the monotonic count begins; copied to every thread.
#[derive(Clone, Copy)]
pub struct Clock {
    origin: Instant,
}

/// One reading of both clocks.
#[derive(Clone, Copy)]
pub struct Reading {
    /// What the engine is given.
    pub now: Now,
    unix_ns: u64,
}

impl Clock {
    /// Starts to count.
    pub fn start() -> Clock {
        Clock { origin: Instant::now() }
    }

    /// The turn's time. The wall clock is read between two readings of the monotonic one, again when the thread was held
    /// up between these: the distance of the two clocks is what kernel stamps are converted by.
    pub fn read(&self) -> Reading {
        let mut best = self.bracket();
        for _ in 1..READINGS {
            if best.1 <= BRACKET {
                break;
            }
            let again = self.bracket();
            best = if again.1 < best.1 { again } else { best };
        }
        best.0
    }

    fn bracket(&self) -> (Reading, Duration) {
        let before = self.mono();
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let mono = self.mono();
        let unix_ns = u64::try_from(unix.as_nanos()).unwrap_or(u64::MAX);
        (Reading { now: Now { mono, unix_us: unix_ns / 1000 }, unix_ns }, mono.since(before))
    }

    /// How long to wait from this very moment until `deadline`; none when that never comes.
    pub fn until(&self, deadline: Mono) -> Option<Duration> {
        (deadline != Mono::NEVER).then(|| deadline.since(self.mono()))
    }

    fn mono(&self) -> Mono {
        Mono(0) + LEAD + self.origin.elapsed()
    }
}

impl Reading {
    /// A wall clock stamp of the kernel as an instant, through the distance of the two clocks at this reading. One from
    /// the future, or one too old, tells of a clock that was set meanwhile: then this reading stands in for it.
    pub fn instant_of(&self, stamp_unix_ns: u64) -> Mono {
        let age = Duration::from_nanos(self.unix_ns.saturating_sub(stamp_unix_ns));
        if age > STAMP_AGE_MAX { self.now.mono } else { self.now.mono - age }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_stamp_becomes_an_instant_as_long_before_the_turn() {
        let reading = Reading { now: Now { mono: Mono(5_000_000_000), unix_us: 0 }, unix_ns: 70_000_000_000 };
        assert_eq!(reading.instant_of(69_999_000_000), Mono(4_999_000_000));
        assert_eq!(reading.instant_of(70_000_000_001), Mono(5_000_000_000));
        assert_eq!(reading.instant_of(1), Mono(5_000_000_000));
    }

    #[test]
    fn a_deadline_in_the_past_waits_for_nothing_and_never_is_no_deadline() {
        let clock = Clock::start();
        assert_eq!(clock.until(Mono(1)), Some(Duration::ZERO));
        assert_eq!(clock.until(Mono::NEVER), None);
        assert!(clock.until(clock.read().now.mono + Duration::from_secs(9)) > Some(Duration::from_secs(8)));
    }
}
