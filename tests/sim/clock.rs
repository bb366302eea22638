//! Virtual time: it stands still while something is done and jumps to whatever comes next. `Instant`s for str0m are
//! offsets from one reading of the machine's clock, of which nothing else is ever used.

use std::time::{Duration, Instant};

use portunus::time::{Mono, Now};

/// Where a simulation begins; not 0, so that "never" and "long ago" are told apart.
pub const START: Mono = Mono(1_000_000_000_000);
const START_UNIX_US: u64 = 1_790_000_000_000_000;

/// The only clock there is.
#[derive(Clone, Copy)]
pub struct Clock {
    mono: Mono,
    origin: Instant,
    /// How far the server's wall clock is off, in microseconds.
    wrong_us: i64,
}

impl Clock {
    pub fn new() -> Clock {
        Clock { mono: START, origin: Instant::now(), wrong_us: 0 }
    }

    pub fn mono(&self) -> Mono {
        self.mono
    }

    /// The server's clock, of which the wall's may be set.
    pub fn now(&self) -> Now {
        Now { mono: self.mono, unix_us: self.steady_us().saturating_add_signed(self.wrong_us) }
    }

    /// A wall clock that nobody ever sets: the browsers'.
    pub fn steady_us(&self) -> u64 {
        START_UNIX_US + (self.mono.0 - START.0) / 1000
    }

    /// Somebody sets the server's wall clock; afterwards it is off by so much.
    pub fn set_wrong(&mut self, by_us: i64) {
        self.wrong_us = by_us;
    }

    /// Jumps; never backwards.
    pub fn advance(&mut self, to: Mono) {
        self.mono = self.mono.max(to);
    }

    pub fn instant(&self) -> Instant {
        self.origin + Duration::from_nanos(self.mono.0 - START.0)
    }

    pub fn mono_of_unix(&self, unix_us: u64) -> Mono {
        Mono(START.0 + unix_us.saturating_sub(START_UNIX_US) * 1000)
    }

    pub fn mono_of(&self, instant: Instant) -> Mono {
        START + instant.saturating_duration_since(self.origin)
    }
}
