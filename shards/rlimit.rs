//! The process's limits that matter here, raised as far as we may.

/// A limit of the process.
pub enum Resource {
    /// Open descriptors: each connection is one.
    Files,
    /// Bytes of locked memory: the signalling executor registers some.
    LockedMemory,
}

/// Raises the soft limit to the hard one and says what it is now.
pub fn raise(resource: Resource) -> u64 {
    let resource = match resource {
        Resource::Files => libc::RLIMIT_NOFILE,
        Resource::LockedMemory => libc::RLIMIT_MEMLOCK,
    };
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: both calls get a valid `rlimit`, which the first one fills.
    unsafe {
        if libc::getrlimit(resource, &raw mut limit) == 0 && limit.rlim_cur < limit.rlim_max {
            let raised = libc::rlimit { rlim_cur: limit.rlim_max, ..limit };
            if libc::setrlimit(resource, &raw const raised) == 0 {
                limit = raised;
            }
        }
    }
    limit.rlim_cur
}
