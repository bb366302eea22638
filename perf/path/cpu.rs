//! The clock of these measurements: what this thread has used of its core. Others that run meanwhile do not count, as far
//! as they do not share caches, memory or an execution unit with us.

/// CPU time of this thread in nanoseconds.
pub fn thread_ns() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a live timespec of ours, which the call fills.
    let result = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    assert_eq!(result, 0, "Linux has this clock");
    let part = |value: i64| u64::try_from(value).expect("time is not negative");
    part(time.tv_sec) * 1_000_000_000 + part(time.tv_nsec)
}
