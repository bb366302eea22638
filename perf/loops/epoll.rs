//! The loop that everybody else writes: epoll says that there is something, `recvmmsg` takes it, `sendmmsg` sends the same
//! GSO messages. With UDP_GRO the kernel may hand over several datagrams of a sender as one.

use crate::work::Work;
use crate::{Loop, WAIT, driver};
use portunus::engine::arena::{Message, SendArena, Transmit};
use socket2::{SockAddr, Socket};
use std::io;
use std::net::UdpSocket;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// Datagrams of one `recvmmsg`.
const RECEIVES: usize = 64;
/// Messages of one `sendmmsg`.
const SENDS: usize = 1024;
/// Control messages of a received datagram: a time stamp, a count of losses, the size of a segment.
const CONTROL: usize = 128;

struct Epoll {
    socket: Socket,
    epoll: OwnedFd,
    receives: Batch,
    sends: Sends,
}

/// Plain.
pub fn make(socket: UdpSocket, _: &Work) -> io::Result<Box<dyn Loop>> {
    Ok(Box::new(Epoll::new(socket, 2048)?))
}

/// With UDP_GRO, which needs buffers of 64 KiB.
pub fn make_with_gro(socket: UdpSocket, _: &Work) -> io::Result<Box<dyn Loop>> {
    driver::set(&socket, libc::SOL_UDP, libc::UDP_GRO)?;
    Ok(Box::new(Epoll::new(socket, 1 << 16)?))
}

impl Epoll {
    fn new(socket: UdpSocket, buffer: usize) -> io::Result<Epoll> {
        let socket = Socket::from(socket);
        driver::prepare(&socket)?;
        socket.set_nonblocking(true)?;
        // SAFETY: no memory is involved; the descriptor is ours alone.
        let epoll = unsafe { OwnedFd::from_raw_fd(check(libc::epoll_create1(libc::EPOLL_CLOEXEC))?) };
        let mut event = libc::epoll_event { events: libc::EPOLLIN as u32, u64: 0 };
        // SAFETY: both descriptors are open, the event is lent for the call.
        let added =
            unsafe { libc::epoll_ctl(epoll.as_raw_fd(), libc::EPOLL_CTL_ADD, socket.as_raw_fd(), &raw mut event) };
        check(added)?;
        let sends = Sends::new(socket.as_raw_fd());
        Ok(Epoll { socket, epoll, receives: Batch::new(buffer), sends })
    }
}

impl Loop for Epoll {
    fn turn(&mut self, work: &mut Work) -> io::Result<()> {
        let mut event = libc::epoll_event { events: 0, u64: 0 };
        // SAFETY: room for one event is lent.
        let ready = unsafe {
            libc::epoll_wait(self.epoll.as_raw_fd(), &raw mut event, 1, i32::try_from(WAIT.as_millis()).expect("few"))
        };
        if ready == 1 {
            while self.receives.fill(&self.socket, work)? == RECEIVES {}
            work.release(&mut self.sends);
        }
        Ok(())
    }
}

/// Memory of one `recvmmsg`.
struct Batch {
    headers: Vec<libc::mmsghdr>,
    parts: Vec<libc::iovec>,
    names: Vec<libc::sockaddr_storage>,
    controls: Vec<[u64; CONTROL / 8]>,
    bytes: Vec<Vec<u8>>,
}

impl Batch {
    fn new(buffer: usize) -> Batch {
        // SAFETY: headers, vectors and addresses are integers and pointers, for which zeroes are valid.
        let (header, part, name) = unsafe { (std::mem::zeroed(), std::mem::zeroed(), std::mem::zeroed()) };
        Batch {
            headers: vec![header; RECEIVES],
            parts: vec![part; RECEIVES],
            names: vec![name; RECEIVES],
            controls: vec![[0; CONTROL / 8]; RECEIVES],
            bytes: (0..RECEIVES).map(|_| vec![0; buffer]).collect(),
        }
    }

    /// Receives what is there, and says how many messages that were.
    fn fill(&mut self, socket: &Socket, work: &mut Work) -> io::Result<usize> {
        for at in 0..RECEIVES {
            self.parts[at] =
                libc::iovec { iov_base: self.bytes[at].as_mut_ptr().cast(), iov_len: self.bytes[at].len() };
            let header = &mut self.headers[at].msg_hdr;
            header.msg_name = (&raw mut self.names[at]).cast();
            header.msg_namelen = size_of::<libc::sockaddr_storage>() as u32;
            header.msg_iov = &raw mut self.parts[at];
            header.msg_iovlen = 1;
            header.msg_control = self.controls[at].as_mut_ptr().cast();
            header.msg_controllen = CONTROL;
        }
        // SAFETY: each header points to memory of this batch, which nobody else touches during the call.
        let got = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                self.headers.as_mut_ptr(),
                RECEIVES as u32,
                libc::MSG_DONTWAIT,
                std::ptr::null_mut(),
            )
        };
        let got = match check(got) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
            outcome => outcome? as usize,
        };
        for (header, bytes) in self.headers[..got].iter().zip(&self.bytes) {
            let len = header.msg_len as usize;
            let segment = segment_of(&header.msg_hdr).unwrap_or(len).max(1);
            bytes[..len].chunks(segment).for_each(|datagram| work.take(datagram));
        }
        Ok(got)
    }
}

/// Of a message that holds several datagrams: the size of each.
fn segment_of(header: &libc::msghdr) -> Option<usize> {
    // SAFETY: the kernel has filled the header and the control messages that it points to.
    unsafe {
        let mut at = libc::CMSG_FIRSTHDR(header);
        while let Some(control) = at.as_ref() {
            if (control.cmsg_level, control.cmsg_type) == (libc::SOL_UDP, libc::UDP_GRO) {
                return usize::try_from(libc::CMSG_DATA(at).cast::<libc::c_int>().read_unaligned()).ok();
            }
            at = libc::CMSG_NXTHDR(header, at);
        }
    }
    None
}

/// Memory of one `sendmmsg`.
struct Sends {
    socket: i32,
    headers: Vec<libc::mmsghdr>,
    parts: Vec<libc::iovec>,
    names: Vec<SockAddr>,
    controls: Vec<[u64; 3]>,
}

impl Sends {
    fn new(socket: i32) -> Sends {
        Sends {
            socket,
            headers: Vec::with_capacity(SENDS),
            parts: Vec::with_capacity(SENDS),
            names: Vec::with_capacity(SENDS),
            controls: Vec::with_capacity(SENDS),
        }
    }

    fn push(&mut self, bytes: &[u8], message: &Message) {
        self.parts.push(libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() });
        self.names.push(message.to.remote.into());
        self.controls.push([0; 3]);
        let (part, control) = (self.parts.last_mut().expect("pushed"), self.controls.last_mut().expect("pushed"));
        let name = self.names.last().expect("pushed");
        // SAFETY: zeroes are a header without any part.
        let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
        header.msg_name = name.as_ptr().cast_mut().cast();
        header.msg_namelen = name.len();
        header.msg_iov = part;
        header.msg_iovlen = 1;
        if message.segments > 1 {
            header.msg_control = control.as_mut_ptr().cast();
            header.msg_controllen = size_of_val(control);
            // SAFETY: the control memory is as long as one header and a word, and aligned as the header is.
            unsafe {
                let first = libc::CMSG_FIRSTHDR(&raw const header);
                (*first).cmsg_level = libc::SOL_UDP;
                (*first).cmsg_type = libc::UDP_SEGMENT;
                (*first).cmsg_len = libc::CMSG_LEN(2) as usize;
                libc::CMSG_DATA(first).cast::<u16>().write_unaligned(message.segment as u16);
            }
        }
        self.headers.push(libc::mmsghdr { msg_hdr: header, msg_len: 0 });
    }
}

impl Transmit for Sends {
    fn transmit(&mut self, arena: &SendArena) {
        for message in arena.messages() {
            self.push(arena.bytes(message), message); // never more than were reserved, so that nothing moves
        }
        let mut sent = 0;
        while sent < self.headers.len() {
            let rest = &mut self.headers[sent..];
            // SAFETY: the headers point to memory that lives, unmoved, until they are cleared below.
            let took = unsafe {
                libc::sendmmsg(
                    self.socket,
                    rest.as_mut_ptr(),
                    rest.len() as u32,
                    libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL,
                )
            };
            sent += usize::try_from(took).unwrap_or(1); // one that is refused is skipped
        }
        self.headers.clear();
        self.parts.clear();
        self.names.clear();
        self.controls.clear();
    }
}

fn check(outcome: libc::c_int) -> io::Result<libc::c_int> {
    if outcome < 0 { Err(io::Error::last_os_error()) } else { Ok(outcome) }
}
