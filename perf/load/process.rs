//! What a process has used, as the kernel accounts for it: CPU time of all its threads, context switches, memory. And where
//! it may run.

use std::fs;
use std::io;

/// Sums over the threads of a process since they began.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    /// CPU time, from `/proc/PID/task/*/schedstat`.
    pub cpu_ns: u64,
    /// Clock ticks in user and in kernel mode; coarse, for their ratio.
    pub user_ticks: u64,
    pub system_ticks: u64,
    /// Context switches of both kinds.
    pub switches: u64,
}

impl Usage {
    /// What a process has used so far. Threads that have ended are not in it.
    pub fn of(pid: u32) -> io::Result<Usage> {
        let mut usage = Usage::default();
        for task in fs::read_dir(format!("/proc/{pid}/task"))?.flatten() {
            // A thread may end while we look.
            let read = |file: &str| fs::read_to_string(task.path().join(file)).unwrap_or_default();
            usage.cpu_ns += number(read("schedstat").split(' ').next());
            usage.switches += read("status")
                .lines()
                .filter(|line| line.contains("ctxt_switches"))
                .map(|line| number(line.split_whitespace().nth(1)))
                .sum::<u64>();
            let stat = read("stat");
            // The name, in parentheses, may hold anything; then come state and numbers (proc(5)).
            let mut fields = stat.rsplit(") ").next().unwrap_or_default().split(' ').skip(11);
            usage.user_ticks += number(fields.next());
            usage.system_ticks += number(fields.next());
        }
        Ok(usage)
    }

    /// What was used since an earlier look.
    pub fn since(self, earlier: Usage) -> Usage {
        Usage {
            cpu_ns: self.cpu_ns.saturating_sub(earlier.cpu_ns),
            user_ticks: self.user_ticks.saturating_sub(earlier.user_ticks),
            system_ticks: self.system_ticks.saturating_sub(earlier.system_ticks),
            switches: self.switches.saturating_sub(earlier.switches),
        }
    }
}

/// Resident memory in KiB.
pub fn resident_kib(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    number(line.and_then(|line| line.split_whitespace().next()))
}

/// CPU time of the kernel's thread that takes over when a CPU's network interrupts are too many: work for the process that
/// sends, charged to nobody.
pub fn softirq_ns(cpu: usize) -> u64 {
    let name = format!("ksoftirqd/{cpu}\n");
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let mut threads = entries.filter(|entry| fs::read_to_string(entry.path().join("comm")).is_ok_and(|n| n == name));
    let Some(thread) = threads.next() else { return 0 };
    number(fs::read_to_string(thread.path().join("schedstat")).unwrap_or_default().split(' ').next())
}

fn number(text: Option<&str>) -> u64 {
    text.and_then(|text| text.trim().parse().ok()).unwrap_or(0)
}

/// Confines this process to a CPU.
pub fn pin(cpu: usize) -> io::Result<()> {
    // SAFETY: all zeros is the empty set; the set outlives the call.
    let result = unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(cpu, &mut set);
        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &set)
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Lets this process have as many descriptors as it may: two for each peer.
pub fn raise_descriptors() {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the pointer is to a live limit of ours, which one call fills and the other reads.
    unsafe {
        if libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) == 0 {
            limit.rlim_cur = limit.rlim_max;
            libc::setrlimit(libc::RLIMIT_NOFILE, &limit);
        }
    }
}

/// Has the kernel end this process when its parent is gone, however that happened.
pub fn die_with_parent() -> io::Result<()> {
    // SAFETY: no pointer is passed.
    let result = unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
