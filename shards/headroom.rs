//! Room in a socket that the network does not empty fast enough. The kernel takes or refuses a datagram without knowing
//! what it is; so once it has refused one, video has to leave the last quarter of the send buffer to audio and control.

use socket2::Socket;
use std::io;
use std::os::fd::AsRawFd;

/// The send buffer of one socket.
pub struct Headroom {
    socket: Socket,
    watch: Watch,
}

enum Watch {
    /// Nobody has been refused lately; nothing is asked of the kernel.
    Off,
    /// With the size of the buffer, and whether video has to wait.
    On { size: usize, reserved: bool },
}

impl Headroom {
    /// Of this socket, which is shared.
    pub fn new(socket: &Socket) -> io::Result<Headroom> {
        Ok(Headroom { socket: socket.try_clone()?, watch: Watch::Off })
    }

    /// The kernel has refused a datagram because the buffer is full.
    pub fn refused(&mut self) {
        if let (Watch::Off, Ok(size)) = (&self.watch, self.socket.send_buffer_size()) {
            self.watch = Watch::On { size, reserved: true };
        }
    }

    /// Looks how full the buffer is, before a flush.
    pub fn look(&mut self) {
        if let Watch::On { size, reserved } = &mut self.watch {
            match queued(&self.socket) {
                Ok(queued) if queued > *size / 4 => *reserved = queued > *size / 4 * 3,
                // It is nearly empty, or the kernel does not say.
                _ => self.watch = Watch::Off,
            }
        }
    }

    /// Whether what is left of the buffer is not for video.
    pub fn is_reserved(&self) -> bool {
        matches!(self.watch, Watch::On { reserved: true, .. })
    }
}

/// What waits in the send buffer, in the same bytes as its size: with the kernel's own overhead.
fn queued(socket: &Socket) -> io::Result<usize> {
    let mut bytes: libc::c_int = 0;
    // SAFETY: the descriptor is open for as long as `socket`, and the kernel writes one integer. SIOCOUTQ is TIOCOUTQ.
    let outcome = unsafe { libc::ioctl(socket.as_raw_fd(), libc::TIOCOUTQ, &raw mut bytes) };
    if outcome == 0 { Ok(usize::try_from(bytes).unwrap_or(0)) } else { Err(io::Error::last_os_error()) }
}
