//! Instants as they are handed down from the machine: the library never reads a clock.

use std::ops::{Add, Sub};
use std::time::Duration;

/// A monotonic instant in nanoseconds since an arbitrary origin of this process (or of a simulation).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Mono(pub u64);

impl Mono {
    /// The later end of time: a deadline that never comes.
    pub const NEVER: Mono = Mono(u64::MAX);

    /// Nanoseconds from `earlier` to `self`; zero when `earlier` is later.
    pub fn since(self, earlier: Mono) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Mono {
    type Output = Mono;
    fn add(self, rhs: Duration) -> Mono {
        let nanos = u64::try_from(rhs.as_nanos()).unwrap_or(u64::MAX);
        Mono(self.0.saturating_add(nanos))
    }
}

impl Sub<Duration> for Mono {
    type Output = Mono;
    fn sub(self, rhs: Duration) -> Mono {
        let nanos = u64::try_from(rhs.as_nanos()).unwrap_or(u64::MAX);
        Mono(self.0.saturating_sub(nanos))
    }
}

/// The clock of one turn, read once by the machine and passed down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Now {
    /// Monotonic time; deadlines and intervals use this.
    pub mono: Mono,
    /// Wall clock in microseconds since the Unix epoch; NTP stamps and file names use this.
    pub unix_us: u64,
}

impl Now {
    /// A later instant on a wall clock that nobody has set since this one. Round trips and lip-sync are measured on the
    /// clock of sender reports, which must not jump when the machine's does (RFC 3550 §6.4.1).
    pub fn later(self, mono: Mono) -> Now {
        let elapsed_us = mono.0.saturating_sub(self.mono.0) / 1000;
        Now { mono, unix_us: self.unix_us.saturating_add(elapsed_us) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_steady_wall_clock_goes_on_by_the_time_that_went_by() {
        let began = Now { mono: Mono(7_000), unix_us: 100 };
        assert_eq!(began.later(Mono(3_007_000)), Now { mono: Mono(3_007_000), unix_us: 3_100 });
        assert_eq!(began.later(Mono(0)).unix_us, 100);
    }

    #[test]
    fn instants_saturate_instead_of_wrapping() {
        assert_eq!(Mono::NEVER + Duration::from_secs(1), Mono::NEVER);
        assert_eq!(Mono(5) - Duration::from_secs(1), Mono(0));
        assert_eq!(Mono(5).since(Mono(9)), Duration::ZERO);
        assert_eq!(Mono(9).since(Mono(5)), Duration::from_nanos(4));
    }
}
