//! The clocks of the generator: when something is due, what the kernel stamps datagrams with, and what we have used.

use portunus::time::{Mono, Now};

/// Monotonic nanoseconds: schedules and deadlines.
pub fn mono_ns() -> u64 {
    read(libc::CLOCK_MONOTONIC)
}

/// Nanoseconds since the Unix epoch: the clock of `SO_TIMESTAMPNS`, so the one that payloads carry.
pub fn unix_ns() -> u64 {
    read(libc::CLOCK_REALTIME)
}

/// CPU time of this process.
pub fn process_ns() -> u64 {
    read(libc::CLOCK_PROCESS_CPUTIME_ID)
}

/// Both clocks as the library wants them.
pub fn now() -> Now {
    Now { mono: Mono(mono_ns()), unix_us: unix_ns() / 1000 }
}

/// Sleeps until a monotonic instant.
pub fn sleep_until(mono_ns: u64) {
    let part = |value: u64| i64::try_from(value).expect("a time of this century");
    let time = libc::timespec { tv_sec: part(mono_ns / 1_000_000_000), tv_nsec: part(mono_ns % 1_000_000_000) };
    // SAFETY: the pointer is to a live timespec; nothing is written back for an absolute time. A signal ends it early.
    unsafe {
        libc::clock_nanosleep(libc::CLOCK_MONOTONIC, libc::TIMER_ABSTIME, &time, std::ptr::null_mut());
    }
}

fn read(clock: libc::clockid_t) -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a live timespec of ours, which the call fills.
    let result = unsafe { libc::clock_gettime(clock, &mut time) };
    assert_eq!(result, 0, "Linux has this clock");
    let part = |value: i64| u64::try_from(value).expect("time is not negative");
    part(time.tv_sec) * 1_000_000_000 + part(time.tv_nsec)
}
