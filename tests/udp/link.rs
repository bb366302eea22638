//! Two network namespaces and the link between them. They have no names, so that nothing of them can be left behind:
//! they go with the last process, thread or descriptor that is in them.

use std::fs::File;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::AsRawFd;
use std::panic::resume_unwind;
use std::process::Command;
use std::thread;

/// Addresses of the two ends.
pub const NEAR: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 77, 0, 1));
pub const FAR: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 77, 0, 2));

/// A network namespace.
pub struct Namespace(File);

impl Namespace {
    fn new() -> Option<Namespace> {
        let made = thread::spawn(|| {
            // SAFETY: only this thread moves, and it ends here.
            let moved = unsafe { libc::unshare(libc::CLONE_NEWNET) } == 0;
            moved.then(|| File::open("/proc/thread-self/ns/net").ok()).flatten().map(Namespace)
        });
        made.join().expect("nothing to fail")
    }

    /// Does something on a thread that lives in this namespace.
    pub fn inside<R: Send>(&self, act: impl FnOnce() -> R + Send) -> R {
        let enter = || {
            // SAFETY: the descriptor is a network namespace; only this thread moves, and it ends here.
            assert_eq!(unsafe { libc::setns(self.0.as_raw_fd(), libc::CLONE_NEWNET) }, 0);
            act()
        };
        thread::scope(|scope| scope.spawn(enter).join()).unwrap_or_else(|panic| resume_unwind(panic))
    }

    fn run(&self, command: &str) -> bool {
        self.inside(|| run(command))
    }
}

/// Runs a command in the namespace of this thread.
pub fn run(command: &str) -> bool {
    let mut words = command.split(' ');
    let program = words.next().expect("a command has a word");
    Command::new(program).args(words).status().is_ok_and(|status| status.success())
}

/// A near and a far end; the near one is where a queueing discipline is put.
pub struct Link {
    pub near: Namespace,
    pub far: Namespace,
}

impl Link {
    /// None where we may not make one, or `ip` or `tc` are missing.
    pub fn new() -> Option<Link> {
        let (near, far) = (Namespace::new()?, Namespace::new()?);
        let whose = format!("/proc/{}/fd/{}", std::process::id(), far.0.as_raw_fd());
        let laid = near.run("ip link set lo up")
            && near.run("ip link add near type veth peer name far")
            && near.run(&format!("ip link set far netns {whose}"))
            && near.run(&format!("ip address add {NEAR}/24 dev near"))
            && near.run("ip link set near up")
            && far.run(&format!("ip address add {FAR}/24 dev far"))
            && far.run("ip link set far up")
            && near.run("tc qdisc add dev near root pfifo")
            && near.run("tc qdisc del dev near root");
        laid.then_some(Link { near, far })
    }
}
