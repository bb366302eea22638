//! The program's loop: multishot receive into provided buffers, `SendMsg` by the batch, one system call a turn. The code is
//! that of `shards/`.

use crate::clock::{Clock, Reading};
use crate::inbox::Inbox;
use crate::ring::{Completion, Ring, Token};
use crate::udp::Udp;
use crate::work::Work;
use crate::{Loop, WAIT};
use socket2::Socket;
use std::io;
use std::net::UdpSocket;
use std::os::fd::AsRawFd;
use std::time::Duration;

/// Socket, ring and receive buffers.
pub struct Uring {
    udp: Udp,
    inbox: Inbox,
    clock: Clock,
    batch: Vec<Completion>,
    looks: usize,
    _socket: Socket,
}

/// Makes one, on the thread that will run it.
pub fn make(socket: UdpSocket, _: &Work) -> io::Result<Box<dyn Loop>> {
    with_looks(socket, 1)
}

/// The same, which looks again for what has come meanwhile, before it sends.
pub fn make_looking_again(socket: UdpSocket, _: &Work) -> io::Result<Box<dyn Loop>> {
    with_looks(socket, 4)
}

fn with_looks(socket: UdpSocket, looks: usize) -> io::Result<Box<dyn Loop>> {
    Ok(Box::new(Uring::new(Socket::from(socket), looks)?))
}

impl Loop for Uring {
    fn turn(&mut self, work: &mut Work) -> io::Result<()> {
        self.receive(work)?;
        work.release(&mut self.udp);
        Ok(())
    }
}

impl Uring {
    /// Receives on this socket; a turn looks that often.
    pub fn new(socket: Socket, looks: usize) -> io::Result<Uring> {
        crate::driver::prepare(&socket)?;
        let mut ring = Ring::new(Inbox::completions(1)).map_err(io::Error::other)?;
        ring.register_files(&[socket.as_raw_fd()])?;
        let inbox = Inbox::new(&mut ring, 1).map_err(io::Error::other)?;
        let udp = Udp::new(ring, std::slice::from_ref(&socket))?;
        Ok(Uring { udp, inbox, clock: Clock::start(), batch: Vec::with_capacity(256), looks, _socket: socket })
    }

    /// The first half of a turn.
    pub fn receive(&mut self, work: &mut Work) -> io::Result<()> {
        let reading = self.clock.read();
        for look in 0..self.looks {
            self.udp.ring.wait(Duration::ZERO, Some(if look == 0 { WAIT } else { Duration::ZERO }))?;
            self.udp.ring.reap(&mut self.batch, 256);
            if self.batch.is_empty() {
                break;
            }
            self.take(work, &reading)?;
        }
        Ok(())
    }

    fn take(&mut self, work: &mut Work, reading: &Reading) -> io::Result<()> {
        for completion in self.batch.drain(..) {
            if let Token::Receive(socket) = completion.token {
                let Udp { ring, machine, .. } = &mut self.udp;
                let opened = self.inbox.open(ring, socket, &completion, reading, machine).map_err(io::Error::other)?;
                if let Some(datagram) = opened {
                    work.take(datagram.bytes);
                }
                self.inbox.give_back(socket, &completion);
            }
        }
        Ok(())
    }
}
