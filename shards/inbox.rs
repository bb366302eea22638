//! Receiving: the multishot receive of each socket, its buffers, and what the kernel adds to a datagram (source, time
//! of arrival, losses). What a datagram means is not known here.

use crate::clock::Reading;
use crate::ring::{Block, BufferRing, Completion, Ring, RingError, Token};
use io_uring::{opcode, types};
use portunus::id::{FourTuple, SocketId};
use portunus::media::machine::MachineCounters;
use portunus::time::Mono;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

/// The receiving side of one shard's sockets.
pub struct Inbox {
    buffers: BufferRing,
    /// By socket, the kernel's count of lost datagrams when last seen; it wraps.
    overflows: Vec<u32>,
    /// Tells the kernel how to lay out a buffer; it outlives every receive that was armed with it.
    layout: Box<libc::msghdr>,
}

/// One datagram in its receive buffer.
pub struct Datagram<'a> {
    /// Our socket and the source.
    pub at: FourTuple,
    /// When the kernel got it.
    pub received: Mono,
    pub bytes: &'a mut [u8],
}

impl Inbox {
    /// Registers buffers for sockets number 0 to `sockets` - 1 of the ring's files, which share them, and arms their receives.
    /// Where one socket has filled them all, the others' datagrams wait in the kernel until the turn gives some back.
    pub fn new(ring: &mut Ring, sockets: u16) -> Result<Inbox, RingError> {
        // SAFETY: all zeroes is a message header without any part.
        let mut layout: Box<libc::msghdr> = Box::new(unsafe { std::mem::zeroed() });
        layout.msg_namelen = libc::socklen_t::try_from(BufferRing::NAME_MAX).expect("a few bytes");
        layout.msg_controllen = BufferRing::CONTROL_MAX as _;
        let buffers = BufferRing::new(0, Inbox::buffers(sockets));
        ring.register_buffers(&buffers).map_err(RingError::BufferRing)?;
        let mut inbox = Inbox { buffers, overflows: vec![0; usize::from(sockets)], layout };
        (0..sockets).try_for_each(|socket| inbox.arm(ring, socket)).map_err(RingError::Use)?;
        Ok(inbox)
    }

    /// What arrives during a long turn: at one address, or at several and at ports of remote publishers.
    const fn buffers(sockets: u16) -> u16 {
        if sockets > 1 { 2048 } else { 1024 }
    }

    /// Completions that may wait in the queue at once: one for each buffer, and the end of each receive.
    pub const fn completions(sockets: u16) -> u32 {
        Inbox::buffers(sockets) as u32 + sockets as u32
    }

    /// Takes a completion of a socket's receive: arms the receive anew when it has ended, says why, and lends the
    /// datagram when there is one. Its buffer comes back with [`give_back`](Self::give_back).
    pub fn open(
        &mut self,
        ring: &mut Ring,
        socket: u16,
        completion: &Completion,
        reading: &Reading,
        machine: &mut MachineCounters,
    ) -> Result<Option<Datagram<'_>>, RingError> {
        if !completion.more {
            match completion.result {
                Ok(_) => machine.receive_rearmed_ended += 1,
                Err(libc::ENOBUFS) => machine.receive_rearmed_exhausted += 1,
                Err(errno @ (libc::EINVAL | libc::EBADF | libc::ENOTSOCK | libc::EOPNOTSUPP)) => {
                    return Err(RingError::Receive(io::Error::from_raw_os_error(errno)));
                }
                Err(_) => machine.receive_rearmed_error += 1,
            }
            self.arm(ring, socket).map_err(RingError::Use)?;
        }
        let (Ok(len), Some(buffer)) = (completion.result, completion.buffer) else { return Ok(None) };
        let Some(Block { name, control, payload, truncated }) = self.buffers.open(buffer, len as usize) else {
            machine.receive_malformed += 1;
            return Ok(None);
        };
        let control = Control::parse(control);
        if let Some(overflow) = control.overflow {
            let before = std::mem::replace(&mut self.overflows[usize::from(socket)], overflow);
            machine.receive_overflow += u64::from(overflow.wrapping_sub(before));
        }
        if truncated {
            machine.receive_truncated += 1;
            return Ok(None);
        }
        let (Some(remote), false) = (address(name), payload.is_empty()) else {
            machine.receive_malformed += 1;
            return Ok(None);
        };
        machine.datagrams_in += 1;
        machine.bytes_in += payload.len() as u64;
        let received = control.unix_ns.map_or(reading.now.mono, |stamp| reading.instant_of(stamp));
        Ok(Some(Datagram { at: FourTuple { socket: SocketId(socket), remote }, received, bytes: payload }))
    }

    /// The datagram of this completion has been dealt with.
    pub fn give_back(&mut self, completion: &Completion) {
        if let Some(buffer) = completion.buffer {
            self.buffers.give_back(buffer);
        }
    }

    fn arm(&mut self, ring: &mut Ring, socket: u16) -> io::Result<()> {
        let group = self.buffers.group();
        let receive =
            opcode::RecvMsgMulti::new(types::Fixed(u32::from(socket)), &raw const *self.layout, group).build();
        // SAFETY: the layout and the group's buffers live as long as this inbox, which its owner drops after the ring.
        unsafe { ring.push(receive, Token::Receive(socket)) }
    }
}

/// What the kernel says beside the datagram.
#[derive(Debug, Default, PartialEq, Eq)]
struct Control {
    /// SO_TIMESTAMPNS: when it came, in nanoseconds of the wall clock.
    unix_ns: Option<u64>,
    /// SO_RXQ_OVFL: how many the socket has lost.
    overflow: Option<u32>,
}

impl Control {
    /// Reads `cmsghdr`s: a length that counts itself, level, type, data; each aligned to a word.
    fn parse(mut bytes: &[u8]) -> Control {
        const WORD: usize = size_of::<usize>();
        let mut control = Control::default();
        while let Some((len, rest)) = bytes.split_first_chunk::<WORD>()
            && let Some((level, rest)) = rest.split_first_chunk()
            && let Some((kind, _)) = rest.split_first_chunk()
            && let len = usize::from_ne_bytes(*len)
            && let Some(data) = bytes.get(WORD + 8..len)
        {
            match (i32::from_ne_bytes(*level), i32::from_ne_bytes(*kind)) {
                (libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS) => control.unix_ns = timespec(data),
                (libc::SOL_SOCKET, libc::SO_RXQ_OVFL) => {
                    control.overflow = data.first_chunk().map(|count| u32::from_ne_bytes(*count));
                }
                _ => {}
            }
            bytes = bytes.get(len.next_multiple_of(WORD)..).unwrap_or_default();
        }
        control
    }
}

fn timespec(data: &[u8]) -> Option<u64> {
    let (seconds, rest) = data.split_first_chunk()?;
    let nanoseconds = rest.first_chunk()?;
    let seconds = u64::try_from(i64::from_ne_bytes(*seconds)).ok()?;
    let nanoseconds = u64::try_from(i64::from_ne_bytes(*nanoseconds)).ok()?;
    seconds.checked_mul(1_000_000_000)?.checked_add(nanoseconds)
}

/// A `sockaddr_in` or `sockaddr_in6`; none when it is neither.
fn address(name: &[u8]) -> Option<SocketAddr> {
    let (family, rest) = name.split_first_chunk()?;
    let (port, rest) = rest.split_first_chunk()?;
    let port = u16::from_be_bytes(*port);
    match i32::from(u16::from_ne_bytes(*family)) {
        libc::AF_INET => {
            let ip: [u8; 4] = *rest.first_chunk()?;
            Some((Ipv4Addr::from(ip), port).into())
        }
        libc::AF_INET6 => {
            let (_flow, rest) = rest.split_first_chunk::<4>()?;
            let (ip, rest) = rest.split_first_chunk::<16>()?;
            let scope = u32::from_ne_bytes(*rest.first_chunk()?);
            Some(SocketAddrV6::new(Ipv6Addr::from(*ip), port, 0, scope).into())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::socket::tests::loopback;
    use std::net::UdpSocket;
    use std::os::fd::AsRawFd;
    use std::time::Duration;

    fn cmsg(kind: i32, data: &[u8]) -> Vec<u8> {
        let mut bytes = (16 + data.len()).to_ne_bytes().to_vec();
        bytes.extend(libc::SOL_SOCKET.to_ne_bytes());
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(data);
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        bytes
    }

    #[test]
    fn control_messages_are_read_in_any_order_and_nonsense_ends_them() {
        let stamp: Vec<u8> = [3i64, 7].iter().flat_map(|part| part.to_ne_bytes()).collect();
        let (stamp, lost) = (cmsg(libc::SCM_TIMESTAMPNS, &stamp), cmsg(libc::SO_RXQ_OVFL, &9u32.to_ne_bytes()));
        let both = Control { unix_ns: Some(3_000_000_007), overflow: Some(9) };
        assert_eq!(Control::parse(&[stamp.clone(), lost.clone()].concat()), both);
        assert_eq!(Control::parse(&[cmsg(99, &[1]), lost, stamp.clone()].concat()), both);
        for len in 0..stamp.len() {
            assert_eq!(Control::parse(&stamp[..len]), Control::default());
        }
        assert_eq!(Control::parse(&[0; 64]), Control::default());
        assert_eq!(Control::parse(&[0xff; 64]), Control::default());
    }

    /// A ring that receives on one loopback socket, and a plain socket that sends to it.
    struct Rig {
        ring: Ring,
        inbox: Inbox,
        bound: crate::socket::MediaSockets,
        sender: UdpSocket,
        machine: MachineCounters,
        clock: Clock,
    }

    impl Rig {
        fn new() -> Rig {
            let bound = loopback();
            let mut ring = Ring::new(Inbox::completions(1)).unwrap();
            ring.register_files(&[bound.sockets[0].as_raw_fd()]).unwrap();
            let inbox = Inbox::new(&mut ring, 1).unwrap();
            let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
            sender.connect(bound.addresses[0]).unwrap();
            Rig { ring, inbox, bound, sender, machine: MachineCounters::default(), clock: Clock::start() }
        }

        fn send(&self, from: u32, count: u32) {
            for n in from..from + count {
                self.sender.send(&[&n.to_be_bytes()[..], &[0xa5; 1100]].concat()).unwrap();
            }
        }

        /// One turn: the number and the time of every datagram that it brought.
        fn turn(&mut self) -> Vec<(u32, Mono)> {
            self.ring.wait(Duration::ZERO, Some(Duration::from_millis(300))).unwrap();
            let reading = self.clock.read();
            let (mut batch, mut got) = (vec![], vec![]);
            self.ring.reap(&mut batch, 256);
            for completion in &batch {
                assert_eq!(completion.token, Token::Receive(0));
                let opened = self.inbox.open(&mut self.ring, 0, completion, &reading, &mut self.machine).unwrap();
                if let Some(datagram) = opened {
                    assert_eq!(datagram.at.remote, self.sender.local_addr().unwrap());
                    let (number, rest) = datagram.bytes.split_first_chunk().unwrap();
                    assert!(rest.len() == 1100 && rest.iter().all(|&byte| byte == 0xa5));
                    got.push((u32::from_be_bytes(*number), datagram.received));
                    assert!(datagram.received <= reading.now.mono);
                }
                self.inbox.give_back(completion);
            }
            got
        }
    }

    #[test]
    fn ten_thousand_datagrams_arrive_in_order_with_the_times_of_the_kernel() {
        let mut rig = Rig::new();
        let mut got = vec![];
        for burst in 0..100 {
            rig.send(burst * 100, 100);
            let wanted = got.len() + 100;
            while got.len() < wanted {
                let brought = rig.turn();
                assert!(!brought.is_empty(), "nothing came after {}", got.len());
                got.extend(brought);
            }
        }
        assert!(got.iter().map(|(number, _)| *number).eq(0..10_000));
        // Each turn relates the two clocks anew, within microseconds unless the machine is very busy.
        assert!(got.windows(2).all(|pair| pair[0].1.since(pair[1].1) < Duration::from_millis(1)));
        let distinct = got.windows(2).filter(|pair| pair[0].1 != pair[1].1).count();
        assert!(distinct > 5_000, "only {distinct} distinct times: those of the turns, not of the kernel");
        assert_eq!(rig.machine.datagrams_in, 10_000);
        assert_eq!(rig.machine.bytes_in, 10_000 * 1104);
    }

    #[test]
    fn a_receive_that_runs_out_of_buffers_is_armed_again_and_goes_on() {
        let mut rig = Rig::new();
        let held = u32::from(Inbox::buffers(1));
        rig.send(0, held + 500);
        // Nothing is given back until the receive has ended for want of buffers.
        let mut batch = vec![];
        while batch.last().is_none_or(|completion: &Completion| completion.more) {
            rig.ring.wait(Duration::ZERO, Some(Duration::from_secs(2))).unwrap();
            let before = batch.len();
            rig.ring.reap(&mut batch, 256);
            assert!(batch.len() > before, "the receive never ended");
        }
        assert_eq!(batch.last().unwrap().result, Err(libc::ENOBUFS));
        let reading = rig.clock.read();
        let mut numbers = vec![];
        for completion in &batch {
            let opened = rig.inbox.open(&mut rig.ring, 0, completion, &reading, &mut rig.machine).unwrap();
            numbers.extend(opened.map(|datagram| u32::from_be_bytes(*datagram.bytes.first_chunk().unwrap())));
            rig.inbox.give_back(completion);
        }
        assert_eq!(numbers.len(), held as usize);
        assert_eq!(rig.machine.receive_rearmed_exhausted, 1);
        while numbers.len() < held as usize + 500 {
            let brought = rig.turn();
            assert!(!brought.is_empty(), "nothing came after {}", numbers.len());
            numbers.extend(brought.into_iter().map(|(number, _)| number));
        }
        assert!(numbers.into_iter().eq(0..held + 500));
    }

    #[test]
    fn a_socket_that_has_filled_all_buffers_delays_the_others_and_no_more() {
        let bound = [loopback(), loopback()];
        let mut ring = Ring::new(Inbox::completions(2)).unwrap();
        ring.register_files(&bound.each_ref().map(|bound| bound.sockets[0].as_raw_fd())).unwrap();
        let mut inbox = Inbox::new(&mut ring, 2).unwrap();
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        let flood = u32::from(Inbox::buffers(2)) + 500;
        for number in 0..flood {
            sender.send_to(&number.to_be_bytes(), bound[0].addresses[0]).unwrap();
        }
        sender.send_to(b"quiet", bound[1].addresses[0]).unwrap();
        let (mut machine, clock) = (MachineCounters::default(), Clock::start());
        let (mut flooded, mut quiet) = (0, 0);
        while (flooded, quiet) != (flood, 1) {
            ring.wait(Duration::ZERO, Some(Duration::from_secs(2))).unwrap();
            let mut batch = vec![];
            ring.reap(&mut batch, 256);
            assert!(!batch.is_empty(), "nothing came after {flooded} and {quiet}");
            for completion in &batch {
                let Token::Receive(socket) = completion.token else { panic!("{completion:?}") };
                let opened = inbox.open(&mut ring, socket, completion, &clock.read(), &mut machine).unwrap();
                if let Some(datagram) = opened {
                    assert_eq!(datagram.at.socket.0, socket);
                    match socket {
                        0 => flooded += 1,
                        _ => quiet += u32::from(datagram.bytes == b"quiet"),
                    }
                }
                inbox.give_back(completion);
            }
        }
    }

    #[test]
    fn what_a_full_socket_loses_and_what_is_too_long_is_counted() {
        let mut rig = Rig::new();
        rig.turn();
        rig.sender.send(&[1; 1501]).unwrap();
        rig.sender.send(&[]).unwrap();
        assert!(rig.turn().is_empty());
        assert!(rig.turn().is_empty());
        assert_eq!((rig.machine.receive_truncated, rig.machine.receive_malformed), (1, 1));

        rig.bound.sockets[0].set_recv_buffer_size(64 * 1024).unwrap();
        let burst = 3000;
        rig.send(0, burst);
        let mut got = 0;
        loop {
            let brought = rig.turn().len();
            got += brought;
            if brought == 0 {
                break;
            }
        }
        rig.send(burst, 1); // the count travels with the next datagram that finds room
        assert_eq!(rig.turn().len(), 1);
        assert!(rig.machine.receive_overflow > 0);
        assert_eq!(got as u64 + rig.machine.receive_overflow, u64::from(burst));
    }

    #[test]
    fn addresses_of_both_families_are_read_and_others_are_none() {
        let v4 = [&2u16.to_ne_bytes()[..], &[0x4e, 0x20, 192, 0, 2, 1], &[0; 8]].concat();
        assert_eq!(address(&v4), Some("192.0.2.1:20000".parse().unwrap()));
        let ip = "fe80::1".parse::<Ipv6Addr>().unwrap();
        let v6 = [&10u16.to_ne_bytes()[..], &[0x4e, 0x20], &[0; 4], &ip.octets(), &3u32.to_ne_bytes()].concat();
        assert_eq!(address(&v6), Some(SocketAddrV6::new(ip, 20000, 0, 3).into()));
        assert_eq!(address(&v6[..20]), None);
        assert_eq!(address(&[1, 0, 0, 0, 0, 0, 0, 0]), None);
    }
}
