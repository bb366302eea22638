//! What the kernel must have, asked once at start, and one sentence for what it lacks: its version, or a container's
//! seccomp profile.

use super::{BufferRing, Ring};
use io_uring::{Probe, opcode};
use std::{fmt, fs, io};

/// Why there is no ring.
#[derive(Debug)]
pub enum RingError {
    /// `io_uring_setup` failed.
    Setup(io::Error),
    /// An operation is not there.
    Opcode(&'static str),
    /// Buffer rings are not there.
    BufferRing(io::Error),
    /// Descriptors or queues could not be used.
    Use(io::Error),
    /// A receive that was armed ended with this error at once.
    Receive(io::Error),
}

/// Makes a ring as the media shards will and looks for each operation that they use.
pub fn require() -> Result<(), RingError> {
    let ring = Ring::new(1)?;
    let mut probe = Probe::new();
    ring.uring.submitter().register_probe(&mut probe).map_err(RingError::Use)?;
    for (name, code) in [
        ("RECVMSG", opcode::RecvMsgMulti::CODE),
        ("SENDMSG", opcode::SendMsg::CODE),
        ("POLL_ADD", opcode::PollAdd::CODE),
    ] {
        if !probe.is_supported(code) {
            return Err(RingError::Opcode(name));
        }
    }
    let buffers = BufferRing::new(0, 1);
    ring.register_buffers(&buffers).map_err(RingError::BufferRing)?;
    drop(ring); // before its buffers
    Ok(())
}

impl fmt::Display for RingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_else(|_| "unknown".into());
        let kernel = kernel.trim();
        match self {
            RingError::Setup(error) if error.raw_os_error() == Some(libc::EINVAL) => {
                write!(f, "io_uring of this kernel ({kernel}) is too old: Linux 6.1 or newer is needed")
            }
            RingError::Setup(error)
                if matches!(error.raw_os_error(), Some(libc::EPERM | libc::EACCES | libc::ENOSYS)) =>
            {
                write!(
                    f,
                    "io_uring is not allowed here ({error}, kernel {kernel}): in a container start it with the seccomp \
                     profile shards/seccomp.json (docker run --security-opt seccomp=seccomp.json); elsewhere look at \
                     the sysctl kernel.io_uring_disabled, which must be 0"
                )
            }
            RingError::Setup(error) => write!(f, "no io_uring can be made on kernel {kernel}: {error}"),
            RingError::Opcode(name) => {
                write!(f, "io_uring of this kernel ({kernel}) has no {name}: Linux 6.1 or newer is needed")
            }
            RingError::BufferRing(error) => {
                write!(
                    f,
                    "io_uring of this kernel ({kernel}) has no buffer rings ({error}): Linux 6.1 or newer is needed"
                )
            }
            RingError::Use(error) => write!(f, "io_uring failed on kernel {kernel}: {error}"),
            RingError::Receive(error) => write!(f, "io_uring cannot receive on kernel {kernel}: {error}"),
        }
    }
}

impl std::error::Error for RingError {}
