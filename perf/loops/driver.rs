//! The other core: a publisher that sends bursts at a steady pace, and the receivers, which are drained as they fill.

use socket2::{SockRef, Socket};
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::thread;
use std::time::{Duration, Instant};

/// What the publisher sends.
#[derive(Clone, Copy)]
pub struct Traffic {
    pub name: &'static str,
    /// A second.
    pub bursts: u32,
    /// In each.
    pub packets: usize,
    /// In each of those.
    pub bytes: usize,
}

/// Publisher and receivers.
pub struct Driver {
    publisher: UdpSocket,
    receivers: Vec<UdpSocket>,
    traffic: Traffic,
    /// Datagrams that came to the receivers.
    pub received: u64,
}

impl Driver {
    /// So many receivers of what is sent to `server`.
    pub fn new(server: SocketAddr, traffic: Traffic, receivers: usize) -> io::Result<Driver> {
        let publisher = UdpSocket::bind("127.0.0.1:0")?;
        publisher.connect(server)?;
        let receivers = (0..receivers).map(|_| receiver()).collect::<io::Result<_>>()?;
        Ok(Driver { publisher, receivers, traffic, received: 0 })
    }

    /// Where the receivers are.
    pub fn receivers(&self) -> io::Result<Vec<SocketAddr>> {
        self.receivers.iter().map(UdpSocket::local_addr).collect()
    }

    /// Sends and drains for that long, and then drains what is still under way.
    pub fn run(&mut self, long: Duration) {
        pin(1);
        let packet = vec![7; self.traffic.bytes];
        let pause = Duration::from_secs(1) / self.traffic.bursts;
        let start = Instant::now();
        let mut next = start;
        while start.elapsed() < long {
            for _ in 0..self.traffic.packets {
                let _ = self.publisher.send(&packet);
            }
            next += pause;
            while Instant::now() < next {
                thread::sleep((next - Instant::now()).min(Duration::from_millis(2)));
                self.drain();
            }
        }
        thread::sleep(Duration::from_millis(20));
        self.drain();
    }

    fn drain(&mut self) {
        let mut bytes = vec![0; 1 << 16];
        for receiver in &self.receivers {
            loop {
                match receiver.recv(&mut bytes) {
                    Ok(len) => self.received += len.div_ceil(self.traffic.bytes) as u64,
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(_) => break,
                }
            }
        }
    }
}

/// A receiver with UDP_GRO: it gets whole messages, as a network card takes them.
fn receiver() -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.set_nonblocking(true)?;
    SockRef::from(&socket).set_recv_buffer_size(4 << 20)?;
    set(&socket, libc::SOL_UDP, libc::UDP_GRO)?;
    Ok(socket)
}

/// The socket options that the program gives its sockets and that cost something.
pub fn prepare(socket: &Socket) -> io::Result<()> {
    socket.set_recv_buffer_size(8 << 20)?;
    socket.set_send_buffer_size(8 << 20)?;
    set(socket, libc::SOL_SOCKET, libc::SO_TIMESTAMPNS)?;
    set(socket, libc::SOL_SOCKET, libc::SO_RXQ_OVFL)
}

/// Turns an option on.
pub fn set(socket: &impl AsRawFd, level: libc::c_int, option: libc::c_int) -> io::Result<()> {
    let on: libc::c_int = 1;
    // SAFETY: four bytes are lent for the four that these options have.
    let outcome = unsafe { libc::setsockopt(socket.as_raw_fd(), level, option, (&raw const on).cast(), 4) };
    if outcome == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Keeps this thread on a CPU, where there is such a one.
pub fn pin(cpu: usize) {
    // SAFETY: an empty set, one bit of it within its size, and lent for the call.
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(cpu, &mut set);
        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &set);
    }
}
