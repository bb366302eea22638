//! UDP as the generator uses it: one connected socket per peer, many datagrams per system call both ways, kernel
//! timestamps, and `UDP_GRO` by choice, which stands in for a network card that segments and joins.

use std::io;
use std::mem::{size_of, zeroed};
use std::net::{IpAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::ptr;

/// Asked for in both directions; what the kernel grants beyond its limit it grants to root.
const BUFFER_BYTES: libc::c_int = 4 << 20;
/// Messages taken by one system call.
const BATCH: usize = 32;
/// With `UDP_GRO` a message is up to 64 KiB of datagrams.
const MESSAGE_BYTES: usize = 64 * 1024;
/// Ancillary data of one message: a timestamp, a segment size.
const CONTROL_WORDS: usize = 16;
/// From `linux/sock_diag.h`: datagrams that the socket had no room for.
const SK_MEMINFO_DROPS: usize = 8;

/// A socket on a port of its own.
pub fn bind(ip: IpAddr) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind((ip, 0))?;
    socket.set_nonblocking(true)?;
    for (forced, plain) in [(libc::SO_RCVBUFFORCE, libc::SO_RCVBUF), (libc::SO_SNDBUFFORCE, libc::SO_SNDBUF)] {
        set(&socket, libc::SOL_SOCKET, forced, BUFFER_BYTES)
            .or_else(|_| set(&socket, libc::SOL_SOCKET, plain, BUFFER_BYTES))?;
    }
    set(&socket, libc::SOL_SOCKET, libc::SO_TIMESTAMPNS, 1)?;
    Ok(socket)
}

/// Whether datagrams that came as one message are received as one.
pub fn set_gro(socket: &UdpSocket, on: bool) -> io::Result<()> {
    set(socket, libc::SOL_UDP, libc::UDP_GRO, on.into())
}

fn set(socket: &UdpSocket, level: libc::c_int, name: libc::c_int, value: libc::c_int) -> io::Result<()> {
    let len = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: the pointer and length are those of an integer that outlives the call.
    let result = unsafe { libc::setsockopt(socket.as_raw_fd(), level, name, ptr::from_ref(&value).cast(), len) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Datagrams that this socket has lost for want of room since it was made.
pub fn drops(socket: &UdpSocket) -> u64 {
    let mut words = [0_u32; 16];
    let mut len = libc::socklen_t::try_from(size_of_val(&words)).expect("small");
    // SAFETY: the pointer and length are those of an array that outlives the call, which writes no more than `len`.
    let result = unsafe {
        libc::getsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, libc::SO_MEMINFO, words.as_mut_ptr().cast(), &mut len)
    };
    if result == 0 { words[SK_MEMINFO_DROPS].into() } else { 0 }
}

/// Sends datagrams of `segment` bytes (the last may be shorter) as one message of a connected socket.
pub fn send_segments(socket: &UdpSocket, bytes: &[u8], segment: usize) -> io::Result<()> {
    if bytes.len() <= segment {
        return socket.send(bytes).map(drop);
    }
    let mut iovec = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    let mut control = [0_u64; CONTROL_WORDS];
    // SAFETY: all zeros is a valid header.
    let mut header: libc::msghdr = unsafe { zeroed() };
    header.msg_iov = &mut iovec;
    header.msg_iovlen = 1;
    put_segment(&mut header, &mut control, segment);
    // SAFETY: the header points to the bytes and the control words, both of which outlive the call.
    let sent = unsafe { libc::sendmsg(socket.as_raw_fd(), &header, 0) };
    if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Names the segment size in a message's ancillary data.
pub fn put_segment(header: &mut libc::msghdr, control: &mut [u64; CONTROL_WORDS], segment: usize) {
    let segment = u16::try_from(segment).expect("a datagram");
    header.msg_control = control.as_mut_ptr().cast();
    // SAFETY: the control words are aligned and longer than one element with two bytes of data, which is what is written.
    unsafe {
        header.msg_controllen = libc::CMSG_SPACE(size_of::<u16>() as u32) as _;
        let element = libc::CMSG_FIRSTHDR(header);
        (*element).cmsg_level = libc::SOL_UDP;
        (*element).cmsg_type = libc::UDP_SEGMENT;
        (*element).cmsg_len = libc::CMSG_LEN(size_of::<u16>() as u32) as _;
        libc::CMSG_DATA(element).cast::<u16>().write_unaligned(segment);
    }
}

/// The buffers that datagrams are received into; one for all sockets.
pub struct Inlet {
    bytes: Vec<u8>,
    _control: Vec<[u64; CONTROL_WORDS]>,
    // These and the headers point to each other and into the two above, none of which ever grows.
    _iovecs: Vec<libc::iovec>,
    headers: Vec<libc::mmsghdr>,
}

impl Inlet {
    /// Two megabytes of it.
    pub fn new() -> Inlet {
        let mut bytes = vec![0; BATCH * MESSAGE_BYTES];
        let mut control = vec![[0; CONTROL_WORDS]; BATCH];
        let mut iovecs: Vec<_> = bytes
            .chunks_exact_mut(MESSAGE_BYTES)
            .map(|part| libc::iovec { iov_base: part.as_mut_ptr().cast(), iov_len: part.len() })
            .collect();
        let headers = iovecs.iter_mut().zip(&mut control).map(|(iovec, control)| {
            // SAFETY: all zeros is a valid header.
            let mut header: libc::mmsghdr = unsafe { zeroed() };
            header.msg_hdr.msg_iov = iovec;
            header.msg_hdr.msg_iovlen = 1;
            header.msg_hdr.msg_control = control.as_mut_ptr().cast();
            header
        });
        let headers = headers.collect();
        Inlet { bytes, _control: control, _iovecs: iovecs, headers }
    }

    /// Takes what is there, one batch at most: each datagram with the time at which the kernel had it, in nanoseconds
    /// since the Unix epoch. Returns the number of messages.
    pub fn receive(&mut self, socket: &UdpSocket, mut each: impl FnMut(&mut [u8], u64)) -> usize {
        for header in &mut self.headers {
            header.msg_hdr.msg_controllen = size_of::<[u64; CONTROL_WORDS]>() as _;
        }
        // SAFETY: the headers point into vectors of ours that are as long as they say and live as long as we do.
        let count = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                self.headers.as_mut_ptr(),
                BATCH as libc::c_uint,
                libc::MSG_DONTWAIT,
                ptr::null_mut(),
            )
        };
        let count = usize::try_from(count).unwrap_or(0);
        for (n, header) in self.headers[..count].iter().enumerate() {
            let (received, segment) = ancillary(&header.msg_hdr);
            let len = header.msg_len as usize;
            let message = &mut self.bytes[n * MESSAGE_BYTES..][..len];
            for datagram in message.chunks_mut(segment.unwrap_or(len).max(1)) {
                each(datagram, received);
            }
        }
        count
    }
}

/// The kernel's time and the segment size of a received message.
fn ancillary(header: &libc::msghdr) -> (u64, Option<usize>) {
    let (mut received, mut segment) = (0, None);
    // SAFETY: the kernel has written well-formed elements of `msg_controllen` bytes behind `msg_control`; the macros keep
    // within them, and what is read of each is what its type says it holds.
    unsafe {
        let mut element = libc::CMSG_FIRSTHDR(header);
        while !element.is_null() {
            let data = libc::CMSG_DATA(element);
            match ((*element).cmsg_level, (*element).cmsg_type) {
                (libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS) => {
                    let time = data.cast::<libc::timespec>().read_unaligned();
                    received = time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64;
                }
                (libc::SOL_UDP, libc::UDP_GRO) => {
                    segment = usize::try_from(data.cast::<libc::c_int>().read_unaligned()).ok();
                }
                _ => {}
            }
            element = libc::CMSG_NXTHDR(header, element);
        }
    }
    (received, segment)
}
