//! Sending: a full send arena becomes one batch of `SendMsg` submissions, lane by lane, and one system call.
//!
//! Every send carries MSG_DONTWAIT and skip-success, so it is done when the submission has returned, and what failed
//! is in the completion queue then. After reading that, the arena and the slots may be used again. This would not hold
//! with SQPOLL, asynchronous or linked submissions, or zero-copy.

use crate::fault::fatal;
use crate::headroom::Headroom;
use crate::ring::{Ring, Token};
use io_uring::{opcode, squeue, types};
use portunus::id::FourTuple;
use portunus::limits::SEND_MESSAGES_MAX;
use portunus::media::arena::{LANES, Lane, Message, SendArena, Transmit};
use portunus::media::machine::MachineCounters;
use socket2::Socket;
use std::collections::HashSet;
use std::io;
use std::net::SocketAddr;

/// Destinations remembered for refusing GSO; when there are more, all are forgotten and learned again.
const REFUSING_MAX: usize = 1024;

/// The sending side of one shard: its ring, and a slot for each message in flight.
pub struct Udp {
    /// The shard's ring.
    pub ring: Ring,
    /// What happened so far; the engine is given a copy each turn.
    pub machine: MachineCounters,
    headroom: Vec<Headroom>,
    slots: Box<[Slot]>,
    used: usize,
    flush: u32,
    /// Whose route refuses GSO: they are served datagram by datagram.
    refusing: HashSet<FourTuple>,
    /// GSO messages of the batch in flight that were refused, to be sent again singly.
    refused: Vec<Message>,
}

/// The memory of one `sendmsg`, and what it is about.
struct Slot {
    header: libc::msghdr,
    part: libc::iovec,
    name: Name,
    control: SegmentControl,
    message: Message,
}

/// A `sockaddr` of either family.
#[repr(C)]
union Name {
    v4: libc::sockaddr_in,
    v6: libc::sockaddr_in6,
}

/// A `cmsghdr` with UDP_SEGMENT's `u16`, padded to a word.
#[repr(C)]
struct SegmentControl {
    header: libc::cmsghdr,
    segment: u16,
    padding: [u8; 6],
}

/// `cmsg_len` counts header and data without the padding.
const SEGMENT_CONTROL_LEN: usize = size_of::<libc::cmsghdr>() + size_of::<u16>();

impl Udp {
    /// Sends through these sockets, which are the first that are registered with the ring.
    pub fn new(ring: Ring, sockets: &[Socket]) -> io::Result<Udp> {
        Ok(Udp {
            ring,
            machine: MachineCounters::default(),
            headroom: sockets.iter().map(Headroom::new).collect::<io::Result<_>>()?,
            slots: (0..SEND_MESSAGES_MAX).map(|_| Slot::empty()).collect(),
            used: 0,
            flush: 0,
            refusing: HashSet::with_capacity(REFUSING_MAX),
            refused: Vec::with_capacity(SEND_MESSAGES_MAX),
        })
    }

    fn send(&mut self, bytes: &[u8], message: &Message) {
        let yields = matches!(message.lane, Lane::Retransmission | Lane::Video);
        if yields && self.headroom[usize::from(message.to.socket.0)].is_reserved() {
            *self.machine.send_full(message.lane) += message.segments as u64;
        } else if message.segments > 1 && !self.refusing.is_empty() && self.refusing.contains(&message.to) {
            self.machine.sent_singly += message.segments as u64;
            self.send_singly(bytes, message);
        } else {
            self.queue(bytes, *message);
        }
    }

    fn send_singly(&mut self, bytes: &[u8], message: &Message) {
        for datagram in message.datagrams(bytes) {
            let len = datagram.len();
            self.queue(datagram, Message { len, segment: len, segments: 1, ..*message });
        }
    }

    fn queue(&mut self, bytes: &[u8], message: Message) {
        if self.used == self.slots.len() {
            self.submit();
        }
        let slot = u16::try_from(self.used).expect("slots are few");
        let entry = self.slots[self.used].fill(bytes, message);
        self.used += 1;
        self.machine.messages_out += 1;
        self.machine.datagrams_out += message.segments as u64;
        self.machine.bytes_out += message.len as u64;
        // SAFETY: the slot stays as it is and the arena is borrowed until `submit` has returned, after which the kernel
        // uses neither (see the head of this file).
        let pushed = unsafe { self.ring.push(entry, Token::Send { flush: self.flush, slot }) };
        pushed.unwrap_or_else(|error| fatal(format_args!("io_uring takes no more sends: {error}")));
    }

    /// The system call, and what it says of the messages in the slots.
    fn submit(&mut self) {
        self.ring.submit().unwrap_or_else(|error| fatal(format_args!("io_uring takes no more sends: {error}")));
        let Udp { ring, machine, headroom, slots, refused, .. } = self;
        ring.failures(self.flush, |slot, errno| {
            let message = &slots[usize::from(slot)].message;
            let datagrams = message.segments as u64;
            machine.messages_out -= 1;
            machine.datagrams_out -= datagrams;
            machine.bytes_out -= message.len as u64;
            match errno {
                libc::EIO | libc::EINVAL | libc::EMSGSIZE if datagrams > 1 => {
                    machine.gso_refused += 1;
                    refused.push(*message);
                }
                libc::EAGAIN => {
                    *machine.send_full(message.lane) += datagrams;
                    headroom[usize::from(message.to.socket.0)].refused();
                }
                libc::ENETUNREACH | libc::EHOSTUNREACH | libc::EADDRNOTAVAIL => machine.send_unreachable += datagrams,
                libc::ECONNREFUSED => machine.send_refused += datagrams,
                libc::EPERM | libc::EACCES => machine.send_denied += datagrams,
                libc::EMSGSIZE => machine.send_too_long += datagrams,
                _ => machine.send_failed += datagrams,
            }
        });
        self.used = 0;
        self.flush = self.flush.wrapping_add(1);
    }

    fn remember(&mut self, to: FourTuple) {
        if self.refusing.len() == REFUSING_MAX {
            self.refusing.clear();
        }
        self.refusing.insert(to);
    }
}

impl Transmit for Udp {
    fn transmit(&mut self, arena: &SendArena) {
        self.machine.flushes += 1;
        self.headroom.iter_mut().for_each(Headroom::look);
        for lane in LANES {
            for message in arena.messages().iter().filter(|message| message.lane == lane) {
                self.send(arena.bytes(message), message);
            }
        }
        self.submit();
        // Singles are never refused for GSO, so that nothing joins the list here.
        let mut refused = std::mem::take(&mut self.refused);
        for message in refused.drain(..) {
            self.remember(message.to);
            self.send(arena.bytes(&message), &message);
        }
        self.submit();
        self.refused = refused;
    }
}

impl Slot {
    fn empty() -> Slot {
        // SAFETY: headers, vector, address and control message are integers and pointers; all zeroes is valid for each.
        let (header, part, name, control) = unsafe {
            (std::mem::zeroed(), std::mem::zeroed(), std::mem::zeroed(), std::mem::zeroed::<SegmentControl>())
        };
        let nowhere = FourTuple { socket: portunus::id::SocketId(0), remote: ([0, 0, 0, 0], 0).into() };
        let message = Message { to: nowhere, offset: 0, len: 0, segment: 0, segments: 0, lane: Lane::Control };
        Slot { header, part, name, control, message }
    }

    /// Describes one message to the kernel.
    fn fill(&mut self, bytes: &[u8], message: Message) -> squeue::Entry {
        self.message = message;
        self.part.iov_base = bytes.as_ptr().cast_mut().cast(); // only read
        self.part.iov_len = bytes.len();
        self.header.msg_iov = &raw mut self.part;
        self.header.msg_iovlen = 1;
        self.header.msg_name = (&raw mut self.name).cast();
        self.header.msg_namelen = self.name.write(message.to.remote);
        if message.segments > 1 {
            self.control.header.cmsg_level = libc::SOL_UDP;
            self.control.header.cmsg_type = libc::UDP_SEGMENT;
            self.control.header.cmsg_len = SEGMENT_CONTROL_LEN as _;
            self.control.segment = u16::try_from(message.segment).expect("a segment is a datagram");
            self.header.msg_control = (&raw mut self.control).cast();
            self.header.msg_controllen = size_of::<SegmentControl>() as _;
        } else {
            self.header.msg_control = std::ptr::null_mut();
            self.header.msg_controllen = 0;
        }
        opcode::SendMsg::new(types::Fixed(u32::from(message.to.socket.0)), &raw const self.header)
            .flags((libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL) as u32)
            .build()
            .flags(squeue::Flags::SKIP_SUCCESS)
    }
}

impl Name {
    /// Writes an address and says how long it is.
    fn write(&mut self, address: SocketAddr) -> libc::socklen_t {
        let len = match address {
            SocketAddr::V4(at) => {
                self.v4 = libc::sockaddr_in {
                    sin_family: libc::AF_INET as libc::sa_family_t,
                    sin_port: at.port().to_be(),
                    sin_addr: libc::in_addr { s_addr: u32::from_ne_bytes(at.ip().octets()) },
                    sin_zero: [0; 8],
                };
                size_of::<libc::sockaddr_in>()
            }
            SocketAddr::V6(at) => {
                self.v6 = libc::sockaddr_in6 {
                    sin6_family: libc::AF_INET6 as libc::sa_family_t,
                    sin6_port: at.port().to_be(),
                    sin6_flowinfo: 0,
                    sin6_addr: libc::in6_addr { s6_addr: at.ip().octets() },
                    sin6_scope_id: at.scope_id(),
                };
                size_of::<libc::sockaddr_in6>()
            }
        };
        libc::socklen_t::try_from(len).expect("a few bytes")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::socket::MediaSockets;
    use crate::socket::tests::loopback;
    use portunus::id::SocketId;
    use std::net::UdpSocket;
    use std::os::fd::AsRawFd;
    use std::time::Duration;

    fn rig() -> (Udp, MediaSockets, UdpSocket, FourTuple) {
        let bound = loopback();
        let ring = Ring::new(0).unwrap();
        ring.register_files(&[bound.sockets[0].as_raw_fd()]).unwrap();
        let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
        receiver.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
        let to = FourTuple { socket: SocketId(0), remote: receiver.local_addr().unwrap() };
        (Udp::new(ring, &bound.sockets).unwrap(), bound, receiver, to)
    }

    /// Appends a datagram of `len` bytes that begins with `number` and goes on with what follows from it.
    fn put(arena: &mut SendArena, to: FourTuple, lane: Lane, number: u32, len: usize) {
        arena.segment(to, lane, len, |out| {
            out.copy_from_slice(&datagram(number, len));
            Some(len)
        });
    }

    fn datagram(number: u32, len: usize) -> Vec<u8> {
        let mut bytes = number.to_be_bytes().to_vec();
        bytes.extend((4..len).map(|at| (number as usize * 31 + at) as u8));
        bytes
    }

    #[test]
    fn a_thousand_gso_messages_arrive_datagram_by_datagram_with_their_bytes() {
        let (mut udp, _bound, receiver, to) = rig();
        let mut arena = SendArena::new();
        let mut buffer = [0; 2000];
        let mut number = 0;
        for round in 0..100 {
            // Ten messages a flush: eight datagrams each, every second one with a shorter end. The arena is used again
            // at once, so a send that were still in flight would carry the next round's bytes.
            let first = number;
            for message in 0..10 {
                for segment in 0..8 {
                    let short = segment == 7 && message % 2 == 1;
                    let lane = if message % 2 == 0 { Lane::Video } else { Lane::Audio };
                    put(&mut arena, to, lane, number, if short { 500 } else { 1000 + round });
                    number += 1;
                }
            }
            assert_eq!(arena.messages().len(), 10);
            udp.transmit(&arena);
            arena.clear();
            let mut numbers = vec![];
            for _ in first..number {
                let len = receiver.recv(&mut buffer).unwrap();
                let got = u32::from_be_bytes(*buffer.first_chunk().unwrap());
                assert_eq!(&buffer[..len], datagram(got, len));
                numbers.push(got);
            }
            let audio = |n: &u32| (n - first) / 8 % 2 == 1;
            assert!(numbers[..40].iter().all(audio) && !numbers[40..].iter().any(audio), "audio leaves first");
            numbers.sort_unstable();
            assert!(numbers.into_iter().eq(first..number));
        }
        let machine = &udp.machine;
        assert_eq!((machine.flushes, machine.messages_out, machine.datagrams_out), (100, 1000, 8000));
        assert!(machine.drops().iter().all(|(_, count)| *count == 0), "{:?}", machine.drops());
    }

    #[test]
    fn a_route_that_refuses_gso_is_served_singly_at_once_and_from_then_on() {
        let (mut udp, bound, receiver, to) = rig();
        let mut arena = SendArena::new();
        // Without checksums the kernel refuses to cut messages, with EINVAL.
        set_no_check(&bound.sockets[0]);
        for round in 0..2u64 {
            for number in 0..3 {
                put(&mut arena, to, Lane::Video, number, 100);
            }
            put(&mut arena, to, Lane::Audio, 7, 50);
            udp.transmit(&arena);
            arena.clear();
            let machine = &udp.machine;
            assert_eq!((machine.gso_refused, machine.sent_singly), (1, 3 * (round + 1)));
            assert_eq!((machine.messages_out, machine.datagrams_out), (4 * (round + 1), 4 * (round + 1)));
            let mut buffer = [0; 2000];
            for (number, len) in [(7, 50), (0, 100), (1, 100), (2, 100)] {
                assert_eq!(receiver.recv(&mut buffer).unwrap(), len);
                assert_eq!(&buffer[..len], datagram(number, len));
            }
        }
        assert!(udp.machine.drops().iter().all(|(_, count)| *count == 0), "{:?}", udp.machine.drops());
    }

    fn set_no_check(socket: &socket2::Socket) {
        let on: libc::c_int = 1;
        // SAFETY: four bytes are lent for the four that the option has.
        let outcome = unsafe {
            libc::setsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, libc::SO_NO_CHECK, (&raw const on).cast(), 4)
        };
        assert_eq!(outcome, 0);
    }

    #[test]
    fn a_full_socket_drops_the_later_lanes_and_counts_them() {
        let (mut udp, bound, receiver, to) = rig();
        let mut arena = SendArena::new();
        bound.sockets[0].set_send_buffer_size(20_000).unwrap();
        put(&mut arena, to, Lane::Video, 1, 1200);
        for number in 0..100 {
            put(&mut arena, to, Lane::Video, number, 1000);
        }
        put(&mut arena, to, Lane::Audio, 1000, 100);
        udp.transmit(&arena);
        // Loopback delivers at once, so that only receivers hold the buffer: nobody reads here, and the audio got in.
        let mut buffer = [0; 2000];
        let len = receiver.recv(&mut buffer).unwrap();
        assert_eq!(&buffer[..len], datagram(1000, 100));
        let machine = &udp.machine;
        assert_eq!(machine.datagrams_out + machine.send_full_video, 102);
        let others = [machine.send_full_control, machine.send_full_audio, machine.send_full_retransmission];
        assert_eq!(others, [0, 0, 0]);
    }

    /// A network namespace of this thread alone, whose loopback is a slow link; none where we may not make one.
    fn behind_a_slow_link(rate: &str) -> Option<()> {
        // SAFETY: only this thread moves, and it ends with its test.
        let moved = unsafe { libc::unshare(libc::CLONE_NEWNET) } == 0;
        let run = |command: &str| {
            let mut words = command.split(' ');
            let program = std::process::Command::new(words.next()?).args(words).status();
            program.is_ok_and(|status| status.success()).then_some(())
        };
        moved.then_some(())?;
        run("ip link set lo up")?;
        run(&format!("tc qdisc add dev lo root tbf rate {rate} burst 20k limit 4m"))
    }

    #[test]
    fn behind_a_slow_link_what_is_sent_is_whole_and_what_is_not_is_counted() {
        if behind_a_slow_link("80mbit").is_none() {
            eprintln!("skipped: no network namespace, ip or tc here");
            return;
        }
        let (mut udp, bound, receiver, to) = rig();
        bound.sockets[0].set_send_buffer_size(100_000).unwrap();
        socket2::SockRef::from(&receiver).set_recv_buffer_size(4 << 20).unwrap();
        let mut arena = SendArena::new();
        let sent = 4000;
        for first in (0..sent).step_by(100) {
            for number in first..first + 100 {
                put(&mut arena, to, Lane::Video, number, 1000);
            }
            udp.transmit(&arena); // the arena is used again at once, while the link still holds what it took
            arena.clear();
        }
        let full = udp.machine.send_full_video;
        assert!(full > 0, "the link was never full");
        let mut buffer = [0; 2000];
        for _ in 0..udp.machine.datagrams_out {
            let len = receiver.recv(&mut buffer).unwrap();
            let number = u32::from_be_bytes(*buffer.first_chunk().unwrap());
            assert!(buffer[..len] == datagram(number, 1000), "datagram {number} was overwritten");
        }
        assert_eq!(udp.machine.datagrams_out + full, u64::from(sent));
    }

    #[test]
    fn video_leaves_room_for_audio_in_a_full_socket() {
        if behind_a_slow_link("16mbit").is_none() {
            eprintln!("skipped: no network namespace, ip or tc here");
            return;
        }
        let (mut udp, bound, _receiver, to) = rig();
        crate::socket::set(&bound.sockets[0], libc::SOL_SOCKET, libc::SO_SNDBUFFORCE, 400_000).unwrap();
        let flush = |udp: &mut Udp, audio: u32| {
            let mut arena = SendArena::new();
            (0..10).for_each(|number| put(&mut arena, to, Lane::Video, number, 1000));
            (0..audio).for_each(|number| put(&mut arena, to, Lane::Audio, number, 100));
            let before = udp.machine.datagrams_out;
            udp.transmit(&arena);
            udp.machine.datagrams_out > before
        };
        while flush(&mut udp, 0) {} // to the brim
        while !flush(&mut udp, 0) {
            std::thread::sleep(Duration::from_millis(1));
        }
        // Video is sent again: as much as it may, however often it is tried.
        for _ in 0..30 {
            flush(&mut udp, 1);
        }
        let MachineCounters { send_full_control: control, send_full_audio: audio, send_full_video: video, .. } =
            udp.machine;
        assert!(video > 0);
        assert_eq!((control, audio), (0, 0));
    }

    #[test]
    fn errors_of_the_route_are_counted_by_kind() {
        let (mut udp, _bound, _receiver, _) = rig();
        let mut arena = SendArena::new();
        // Our socket is bound to 127.0.0.1: the kernel refuses to leave the host with that source.
        let to = FourTuple { socket: SocketId(0), remote: ([192, 0, 2, 1], 9).into() };
        put(&mut arena, to, Lane::Video, 1, 100);
        put(&mut arena, to, Lane::Video, 2, 100);
        udp.transmit(&arena);
        let lost: u64 = udp.machine.drops().iter().map(|(_, count)| count).sum();
        assert_eq!(lost, 2, "{:?}", udp.machine.drops());
        assert_eq!(udp.machine.datagrams_out, 0);
    }
}
