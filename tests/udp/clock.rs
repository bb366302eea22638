//! The clocks of the machine as the library wants them, and waiting with an end.

use portunus::time::{Mono, Now};
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Reads both clocks.
pub fn now() -> Now {
    static ORIGIN: OnceLock<Instant> = OnceLock::new();
    let mono = ORIGIN.get_or_init(Instant::now).elapsed();
    let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Now { mono: Mono(0) + Duration::from_secs(1) + mono, unix_us: u64::try_from(unix.as_micros()).unwrap() }
}

/// Looks again and again until there is a value; after `within` the test has failed for want of `what`.
pub fn wait_for<T>(within: Duration, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + within;
    loop {
        if let Some(value) = look() {
            return value;
        }
        assert!(Instant::now() < end, "{what}: not within {within:?}");
        thread::sleep(Duration::from_millis(5));
    }
}
