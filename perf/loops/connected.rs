//! One connected socket for each receiver: the kernel looks up neither route nor port, but each socket has its own queue
//! and its own descriptor. Receiving is the program's.

use crate::uring::Uring;
use crate::work::Work;
use crate::{Loop, driver};
use io_uring::{IoUring, opcode, squeue, types};
use portunus::engine::arena::{SendArena, Transmit};
use socket2::{SockAddr, Socket};
use std::collections::HashMap;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;

struct Connected {
    receiving: Uring,
    senders: Senders,
}

/// Makes one, on the thread that will run it.
pub fn make(socket: UdpSocket, work: &Work) -> io::Result<Box<dyn Loop>> {
    let socket = Socket::from(socket);
    let senders = Senders::new(&socket.local_addr()?, &work.receivers)?;
    Ok(Box::new(Connected { receiving: Uring::new(socket, 1)?, senders }))
}

impl Loop for Connected {
    fn turn(&mut self, work: &mut Work) -> io::Result<()> {
        self.receiving.receive(work)?;
        work.release(&mut self.senders);
        Ok(())
    }
}

/// The connected sockets, and a ring of their own: what it costs more is one system call a flush.
struct Senders {
    uring: IoUring,
    by_receiver: HashMap<SocketAddr, u32>,
    headers: Vec<Header>,
    _sockets: Vec<Socket>,
}

/// Memory of one `sendmsg`.
struct Header {
    header: libc::msghdr,
    part: libc::iovec,
    control: [u64; 3],
}

impl Senders {
    fn new(at: &SockAddr, receivers: &[SocketAddr]) -> io::Result<Senders> {
        let from = at.as_socket().map(|at| at.ip()).ok_or(io::ErrorKind::AddrNotAvailable)?;
        let mut sockets = Vec::new();
        for receiver in receivers {
            // From ports of their own: a receiver here takes from everybody.
            let socket = Socket::from(UdpSocket::bind((from, 0))?);
            driver::prepare(&socket)?;
            socket.connect(&(*receiver).into())?;
            sockets.push(socket);
        }
        let uring = IoUring::builder().setup_single_issuer().setup_defer_taskrun().setup_submit_all().build(2048)?;
        let files: Vec<_> = sockets.iter().map(Socket::as_raw_fd).collect();
        uring.submitter().register_files(&files)?;
        let by_receiver = receivers.iter().copied().zip(0..).collect();
        // SAFETY: headers and vectors are integers and pointers, for which zeroes are valid.
        let headers = (0..1024).map(|_| Header { control: [0; 3], ..unsafe { std::mem::zeroed() } }).collect();
        Ok(Senders { uring, by_receiver, headers, _sockets: sockets })
    }
}

impl Transmit for Senders {
    fn transmit(&mut self, arena: &SendArena) {
        for (message, slot) in arena.messages().iter().zip(&mut self.headers) {
            let bytes = arena.bytes(message);
            slot.part = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
            slot.header.msg_iov = &raw mut slot.part;
            slot.header.msg_iovlen = 1;
            slot.header.msg_control = std::ptr::null_mut();
            slot.header.msg_controllen = 0;
            if message.segments > 1 {
                slot.header.msg_control = slot.control.as_mut_ptr().cast();
                slot.header.msg_controllen = size_of_val(&slot.control);
                // SAFETY: the control memory is as long as one header and a word, and aligned as the header is.
                unsafe {
                    let first = libc::CMSG_FIRSTHDR(&raw const slot.header);
                    (*first).cmsg_level = libc::SOL_UDP;
                    (*first).cmsg_type = libc::UDP_SEGMENT;
                    (*first).cmsg_len = libc::CMSG_LEN(2) as usize;
                    libc::CMSG_DATA(first).cast::<u16>().write_unaligned(message.segment as u16);
                }
            }
            let entry =
                opcode::SendMsg::new(types::Fixed(self.by_receiver[&message.to.remote]), &raw const slot.header)
                    .flags((libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL) as u32)
                    .build()
                    .flags(squeue::Flags::SKIP_SUCCESS);
            // SAFETY: slot and arena stay as they are until the submission below has returned, and sends do not wait.
            unsafe { self.uring.submission().push(&entry) }.expect("there are more entries than messages");
        }
        while !self.uring.submission().is_empty() {
            self.uring.submit().expect("io_uring takes sends");
        }
        self.uring.completion().for_each(drop);
    }
}
