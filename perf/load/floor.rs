//! The floor: a bare loop that gives the same subscribers the same traffic and does nothing else. For each packet one copy
//! of 1200 bytes and one seal under the receiver's keys, for each burst one GSO message, many messages per system call.
//! It is a process of its own on the servers' CPU, told on its standard input what to send.

use crate::clock;
use crate::process::{die_with_parent, pin};
use crate::rhythm::{Cursor, Rhythm};
use crate::socket::put_segment;
use portunus::proto::srtp::{MasterKey, Outbound, OutboundStream, Profile};
use serde::{Deserialize, Serialize};
use std::io::{self, BufRead, BufReader, Write};
use std::mem::zeroed;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// The argument that makes this program the floor.
pub const ARGUMENT: &str = "as-floor";

/// One source: its rhythm, and to whom each of its packets goes.
#[derive(Clone, Serialize, Deserialize)]
pub struct Source {
    pub rhythm: Rhythm,
    pub phase_ns: u64,
    pub to: Vec<usize>,
    /// Packets a message, on average: those of several instants wait for the last of them. With 1 what is due together is
    /// a message.
    pub segments: f64,
}

/// What the floor does for one window.
#[derive(Serialize, Deserialize)]
pub struct Order {
    /// The number of the SRTP profile in its registry.
    profile: u16,
    millis: u64,
    sources: Vec<Source>,
    to: Vec<SocketAddr>,
}

/// The floor's process. Dropped, it is killed.
pub struct Floor {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Floor {
    /// Starts it.
    pub fn start(ip: IpAddr, cpu: usize) -> io::Result<Floor> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args([ARGUMENT, &ip.to_string()]).stdin(Stdio::piped()).stdout(Stdio::piped());
        // SAFETY: both calls are system calls, which may be made between fork and exec.
        unsafe { command.pre_exec(move || die_with_parent().and_then(|()| pin(cpu))) };
        let mut child = command.spawn()?;
        let (input, output) = (child.stdin.take().expect("piped"), child.stdout.take().expect("piped"));
        Ok(Floor { child, input, output: BufReader::new(output) })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Begins a window; [`sent`](Self::sent) is its end.
    pub fn begin(&mut self, profile: Profile, millis: u64, sources: &[Source], to: &[SocketAddr]) -> io::Result<()> {
        let order = Order { profile: profile.iana_id(), millis, sources: sources.to_vec(), to: to.to_vec() };
        writeln!(self.input, "{}", serde_json::to_string(&order)?)
    }

    /// Waits for the end of the window; packets and messages sent.
    pub fn sent(&mut self) -> io::Result<(u64, u64)> {
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        let mut words = line.split_whitespace().map(|word| word.parse().unwrap_or(0));
        Ok((words.next().unwrap_or(0), words.next().unwrap_or(0)))
    }
}

impl Drop for Floor {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The floor itself: obeys until its input ends.
pub fn obey(ip: IpAddr) -> io::Result<()> {
    let socket = UdpSocket::bind((ip, 0))?;
    // SAFETY: the option's value is an integer that outlives the call.
    unsafe {
        let size: libc::c_int = 8 << 20;
        let len = size_of::<libc::c_int>() as libc::socklen_t;
        let value = std::ptr::from_ref(&size).cast();
        libc::setsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, libc::SO_SNDBUFFORCE, value, len);
    }
    for line in io::stdin().lines() {
        let order: Order = serde_json::from_str(&line?)?;
        let (packets, messages) = Window::new(order).run(&socket);
        println!("{packets} {messages}");
    }
    Ok(())
}

struct Window {
    sources: Vec<Player>,
    receivers: Vec<Receiver>,
    end: u64,
    arena: Vec<u8>,
    pending: Vec<(usize, usize, usize, usize)>,
    used: usize,
    messages: u64,
}

/// A source on its way through its rhythm.
struct Player {
    to: Vec<usize>,
    cursor: Cursor,
    segments: f64,
    packets: u64,
    messages: u64,
    next: Message,
}

/// What a source sends next: so many packets of one size, when the last of them is due.
#[derive(Clone, Copy, Default)]
struct Message {
    at_ns: u64,
    count: usize,
    size: usize,
}

impl Player {
    fn new(source: Source, begin: u64) -> Player {
        let cursor = Cursor::new(source.rhythm, begin, source.phase_ns);
        let Source { to, segments, .. } = source;
        let mut player = Player { to, cursor, segments, packets: 0, messages: 0, next: Message::default() };
        player.take();
        player
    }

    /// Takes the next message; the one after it is gathered. Packets of several sizes become as many of the mean.
    fn take(&mut self) -> Message {
        self.messages += 1;
        let until = (self.segments * self.messages as f64) as u64;
        let (mut gathered, mut bytes) = (Message::default(), 0);
        while gathered.count == 0 || self.packets < until {
            gathered.at_ns = self.cursor.at_ns;
            let (index, together, _) = self.cursor.step();
            bytes += together as usize * self.cursor.rhythm.size(index, self.packets);
            gathered.count += together as usize;
            self.packets += u64::from(together);
        }
        gathered.size = bytes.div_ceil(gathered.count);
        std::mem::replace(&mut self.next, gathered)
    }
}

/// A subscriber's keys, with a stream for each source, and its address as the kernel wants it.
struct Receiver {
    keys: Outbound,
    streams: Vec<OutboundStream>,
    address: libc::sockaddr_storage,
    address_len: libc::socklen_t,
}

/// As the server's: flushed when full.
const ARENA_BYTES: usize = 256 * 1024;
const MESSAGES_MAX: usize = 256;
/// What is copied for each packet, before it is sealed.
const COPY_BYTES: usize = 1200;

impl Window {
    fn new(order: Order) -> Window {
        let profile = Profile::from_iana_id(order.profile).expect("a profile that we have");
        let receiver = |(n, at): (usize, &SocketAddr)| {
            let [low, high, ..] = n.to_le_bytes();
            let (key, salt) = ([low; 32], [high; 14]);
            let master = MasterKey::new(profile, &key[..profile.key_len()], &salt[..profile.salt_len()]);
            let mut keys = Outbound::new(profile, &master.expect("lengths fit")).expect("the key fits");
            let streams = (0..order.sources.len()).map(|source| keys.open(0x1000 + source as u32, 1)).collect();
            let (address, address_len) = to_kernel(at);
            Receiver { keys, streams, address, address_len }
        };
        let begin = clock::mono_ns() + 1_000_000;
        Window {
            receivers: order.to.iter().enumerate().map(receiver).collect(),
            end: begin + order.millis * 1_000_000,
            sources: order.sources.into_iter().map(|source| Player::new(source, begin)).collect(),
            arena: vec![0; ARENA_BYTES],
            pending: Vec::new(),
            used: 0,
            messages: 0,
        }
    }

    fn run(mut self, socket: &UdpSocket) -> (u64, u64) {
        let text = vec![0x5a; COPY_BYTES + 300];
        let mut packets = 0;
        loop {
            let next = self.sources.iter().map(|source| source.next.at_ns).min().unwrap_or(self.end);
            if next >= self.end {
                return (packets, self.messages);
            }
            clock::sleep_until(next);
            let now = clock::mono_ns();
            for n in 0..self.sources.len() {
                while self.sources[n].next.at_ns <= now {
                    let Message { count, size, .. } = self.sources[n].take();
                    packets += self.burst(n, count, size, &text, socket);
                }
            }
            self.flush(socket);
        }
    }

    fn burst(&mut self, source: usize, count: usize, size: usize, text: &[u8], socket: &UdpSocket) -> u64 {
        let mut header = [0; HEADER_BYTES];
        header[..2].copy_from_slice(&[0x90, 96]);
        header[12..16].copy_from_slice(&[0xbe, 0xde, 0, 4]);
        for n in 0..self.sources[source].to.len() {
            let to = self.sources[source].to[n];
            if self.used + count * 1500 > ARENA_BYTES || self.pending.len() == MESSAGES_MAX {
                self.flush(socket);
            }
            let (begin, mut segment) = (self.used, 0);
            for _ in 0..count {
                let Receiver { keys, streams, .. } = &mut self.receivers[to];
                let out = &mut self.arena[self.used..];
                // The payload of a forwarded packet is the publisher's; only its header grows.
                let payload = &text[..size - PUBLISHED_HEADER_BYTES];
                segment = keys.seal(streams[source], &mut header, payload, 0, out).expect("it fits").len;
                self.used += segment;
            }
            self.pending.push((to, begin, self.used - begin, segment));
        }
        (count * self.sources[source].to.len()) as u64
    }

    /// Sends what is pending in one system call.
    fn flush(&mut self, socket: &UdpSocket) {
        let mut iovecs: Vec<_> = self
            .pending
            .iter()
            .map(|&(_, at, len, _)| libc::iovec { iov_base: self.arena[at..].as_mut_ptr().cast(), iov_len: len })
            .collect();
        let mut control = vec![[0_u64; 16]; self.pending.len()];
        let each = self.pending.iter().zip(iovecs.iter_mut().zip(&mut control));
        let mut headers: Vec<libc::mmsghdr> = each
            .map(|(&(to, _, len, segment), (iovec, control))| {
                let receiver = &mut self.receivers[to];
                // SAFETY: all zeros is a valid header.
                let mut header: libc::mmsghdr = unsafe { zeroed() };
                header.msg_hdr.msg_name = std::ptr::from_mut(&mut receiver.address).cast();
                header.msg_hdr.msg_namelen = receiver.address_len;
                header.msg_hdr.msg_iov = iovec;
                header.msg_hdr.msg_iovlen = 1;
                if len > segment {
                    put_segment(&mut header.msg_hdr, control, segment);
                }
                header
            })
            .collect();
        let mut done = 0;
        while done < headers.len() {
            let rest = &mut headers[done..];
            let len = rest.len() as libc::c_uint;
            // SAFETY: the headers point into vectors that outlive the call.
            let sent = unsafe { libc::sendmmsg(socket.as_raw_fd(), rest.as_mut_ptr(), len, 0) };
            done += usize::try_from(sent).ok().filter(|sent| *sent > 0).unwrap_or(1);
        }
        self.messages += done as u64;
        self.pending.clear();
        self.used = 0;
    }
}

/// Fixed header and a block of 16 bytes: what a server writes toward a subscriber.
const HEADER_BYTES: usize = 12 + 4 + 16;
/// What the generator's publishers write.
const PUBLISHED_HEADER_BYTES: usize = 24;

fn to_kernel(at: &SocketAddr) -> (libc::sockaddr_storage, libc::socklen_t) {
    // SAFETY: all zeros is a valid address of no family.
    let mut storage: libc::sockaddr_storage = unsafe { zeroed() };
    let SocketAddr::V4(at) = at else { unreachable!("the floor's network is IPv4") };
    let address = libc::sockaddr_in {
        sin_family: libc::AF_INET as libc::sa_family_t,
        sin_port: at.port().to_be(),
        sin_addr: libc::in_addr { s_addr: u32::from_ne_bytes(at.ip().octets()) },
        sin_zero: [0; 8],
    };
    // SAFETY: a storage is made to hold every kind of address, aligned for all.
    unsafe { std::ptr::from_mut(&mut storage).cast::<libc::sockaddr_in>().write(address) };
    (storage, size_of::<libc::sockaddr_in>() as libc::socklen_t)
}
