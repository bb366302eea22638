//! The one wait of the generator: readable descriptors by number, until an instant with the precision of the kernel's timers.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// Descriptors looked at in one round.
const ROUND: usize = 256;

/// What is waited for.
pub struct Poll {
    epoll: OwnedFd,
    events: Vec<libc::epoll_event>,
}

impl Poll {
    /// Waits for nothing yet.
    pub fn new() -> io::Result<Poll> {
        // SAFETY: no pointer is passed.
        let epoll = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
        if epoll < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor is new and nobody else's.
        let epoll = unsafe { OwnedFd::from_raw_fd(epoll) };
        Ok(Poll { epoll, events: vec![libc::epoll_event { events: 0, u64: 0 }; ROUND] })
    }

    /// Reports `token` whenever there is something to read. A descriptor that is closed is forgotten.
    pub fn add(&self, descriptor: &impl AsRawFd, token: u64) -> io::Result<()> {
        let mut event = libc::epoll_event { events: libc::EPOLLIN as u32, u64: token };
        let (epoll, descriptor) = (self.epoll.as_raw_fd(), descriptor.as_raw_fd());
        // SAFETY: the event outlives the call.
        let result = unsafe { libc::epoll_ctl(epoll, libc::EPOLL_CTL_ADD, descriptor, &mut event) };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    /// Waits at most so long, and puts the tokens of what is readable into `ready`.
    pub fn wait(&mut self, nanos: u64, ready: &mut Vec<u64>) {
        let part = |value: u64| i64::try_from(value).expect("a short time");
        let time = libc::timespec { tv_sec: part(nanos / 1_000_000_000), tv_nsec: part(nanos % 1_000_000_000) };
        // SAFETY: the events are ours and as many as said; the time outlives the call; no signal mask is passed.
        let count = unsafe {
            libc::syscall(
                libc::SYS_epoll_pwait2,
                self.epoll.as_raw_fd(),
                self.events.as_mut_ptr(),
                ROUND,
                &time,
                std::ptr::null::<libc::sigset_t>(),
                0_usize,
            )
        };
        let count = usize::try_from(count).unwrap_or(0);
        ready.clear();
        ready.extend(self.events[..count].iter().map(|event| event.u64));
    }
}
