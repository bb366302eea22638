//! TCP on the signalling executor: listening, and one connection that reads and writes at once. With `signal.rs` the
//! only file that knows glommio; it moves bytes and knows nothing of what they say.

use futures_lite::future::poll_fn;
use futures_lite::io::{AsyncRead, AsyncWrite};
use glommio::net::{TcpListener, TcpStream};
use socket2::{Domain, Protocol, Socket, TcpKeepalive, Type};
use std::cell::{Cell, RefCell};
use std::io;
use std::net::{IpAddr, Shutdown, SocketAddr};
use std::os::fd::{FromRawFd, IntoRawFd};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// Connections that wait to be accepted.
const BACKLOG: i32 = 1024;
/// Bytes taken from a connection at once.
const READ_MAX: usize = 16 * 1024;
/// A peer that is silent this long is asked by the kernel whether it is there; one that acknowledges nothing for as
/// long is given up.
const PEER_SILENCE: Duration = Duration::from_secs(60);

/// Binds an address without listening yet: a taken port is found out before anything else starts.
pub fn bind(at: SocketAddr) -> io::Result<Socket> {
    crate::socket::patiently(|| open(at))
}

fn open(at: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(at), Type::STREAM, Some(Protocol::TCP))?;
    if at.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    // Accepted connections inherit these.
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(PEER_SILENCE).with_interval(Duration::from_secs(10)))?;
    let silence_ms = libc::c_int::try_from(PEER_SILENCE.as_millis()).expect("a minute");
    crate::socket::set(&socket, libc::IPPROTO_TCP, libc::TCP_USER_TIMEOUT, silence_ms)?;
    socket.bind(&at.into())?;
    Ok(socket)
}

/// A listening socket of this executor.
pub struct Listener(TcpListener);

impl Listener {
    /// Begins to listen.
    pub fn new(bound: Socket) -> io::Result<Listener> {
        bound.listen(BACKLOG)?;
        // SAFETY: the descriptor is a listening socket and is handed over.
        Ok(Listener(unsafe { TcpListener::from_raw_fd(bound.into_raw_fd()) }))
    }

    /// The next connection and whose it is.
    pub async fn accept(&self) -> io::Result<(Connection, IpAddr)> {
        let stream = self.0.accept().await?;
        let peer = stream.peer_addr()?.ip();
        Ok((Connection { stream, out: Vec::new(), sent: 0 }, peer))
    }
}

/// One connection with what is still to be written.
pub struct Connection {
    stream: TcpStream,
    out: Vec<u8>,
    sent: usize,
}

/// What happened on a connection.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// Bytes came and were handed over.
    Read,
    /// No more bytes will come.
    Ended,
    /// Something was written.
    Wrote,
    /// Somebody woke the connection's task.
    Woken,
}

impl Connection {
    /// Waits for the first of: room to write what is to be written, bytes to read, a wake-up. Bytes are handed to
    /// `received` from a buffer that nobody keeps.
    pub async fn step(&mut self, wake: &Wake, mut received: impl FnMut(&[u8])) -> io::Result<Step> {
        poll_fn(|context| {
            if self.pending() > 0 {
                let written = Pin::new(&mut self.stream).poll_write(context, &self.out[self.sent..]);
                if let Poll::Ready(count) = written {
                    self.wrote(count?);
                    return Poll::Ready(Ok(Step::Wrote));
                }
            }
            let mut buffer = [0; READ_MAX];
            if let Poll::Ready(count) = Pin::new(&mut self.stream).poll_read(context, &mut buffer) {
                return Poll::Ready(count.map(|count| match count {
                    0 => Step::Ended,
                    count => {
                        received(&buffer[..count]);
                        Step::Read
                    }
                }));
            }
            wake.poll(context).map(|()| Ok(Step::Woken))
        })
        .await
    }

    /// Where to append what is to be written.
    pub fn out(&mut self) -> &mut Vec<u8> {
        &mut self.out
    }

    /// Bytes that are still to be written.
    pub fn pending(&self) -> usize {
        self.out.len() - self.sent
    }

    /// Writes what is left, says that no more will come, and lets the peer read it: closing at once, with bytes of the
    /// peer unread, would make the kernel throw away what the peer has not read yet.
    pub async fn finish(mut self) -> io::Result<()> {
        let nobody = Wake::default();
        while self.pending() > 0 {
            // A peer that has closed its side may still be reading.
            let written =
                poll_fn(|context| Pin::new(&mut self.stream).poll_write(context, &self.out[self.sent..])).await?;
            self.wrote(written);
        }
        self.stream.shutdown(Shutdown::Write).await?;
        while self.step(&nobody, |_| {}).await? != Step::Ended {}
        Ok(())
    }

    fn wrote(&mut self, count: usize) {
        self.sent += count;
        if self.pending() == 0 {
            self.out.clear();
            self.out.shrink_to(READ_MAX);
            self.sent = 0;
        }
    }
}

/// Wakes one task of the same thread; a wake-up that comes before the task waits is kept.
#[derive(Default)]
pub struct Wake {
    notified: Cell<bool>,
    waiting: RefCell<Option<Waker>>,
}

impl Wake {
    /// Wakes the task.
    pub fn notify(&self) {
        self.notified.set(true);
        if let Some(waker) = self.waiting.take() {
            waker.wake();
        }
    }

    /// Until notified.
    pub async fn wait(&self) {
        poll_fn(|context| self.poll(context)).await
    }

    fn poll(&self, context: &mut Context<'_>) -> Poll<()> {
        if self.notified.take() {
            return Poll::Ready(());
        }
        *self.waiting.borrow_mut() = Some(context.waker().clone());
        Poll::Pending
    }
}
