//! TCP on the signalling executor: listening, and one connection that reads and writes at once. With `signalling.rs` the
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

/// Binds an address once for each of `shards` without listening yet: a taken port is found out before anything else starts.
/// The kernel spreads connections over those that listen.
pub fn bind(at: SocketAddr, shards: u8) -> io::Result<Vec<Socket>> {
    let first = crate::socket::patiently(|| open(at, false))?;
    if shards == 1 {
        return Ok(vec![first]);
    }
    // Sockets that share a port would share it with another program's too; that one had to be found out alone.
    let at = first.local_addr()?.as_socket().unwrap_or(at);
    drop(first);
    (0..shards).map(|_| open(at, true)).collect()
}

fn open(at: SocketAddr, share: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(at), Type::STREAM, Some(Protocol::TCP))?;
    if at.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    if share {
        crate::socket::set(&socket, libc::SOL_SOCKET, libc::SO_REUSEPORT, 1)?;
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use futures_lite::future::zip;
    use glommio::{LocalExecutorBuilder, Placement};
    use std::io::{Read, Write};
    use std::net::TcpStream as Client;
    use std::rc::Rc;

    /// Runs `serve` with one accepted connection, and `client` on another thread.
    fn meet<F: Future<Output = ()>>(client: impl FnOnce(Client) + Send + 'static, serve: impl FnOnce(Connection) -> F) {
        let bound = bind(([127, 0, 0, 1], 0).into(), 1).unwrap().remove(0);
        let at = bound.local_addr().unwrap().as_socket().unwrap();
        let executor =
            LocalExecutorBuilder::new(Placement::Unbound).io_memory(64 << 10).ring_depth(128).make().unwrap();
        executor.run(async move {
            let listener = Listener::new(bound).unwrap();
            let client = std::thread::spawn(move || client(Client::connect(at).unwrap()));
            let (connection, peer) = listener.accept().await.unwrap();
            assert!(peer.is_loopback());
            serve(connection).await;
            client.join().unwrap();
        });
    }

    #[test]
    fn shards_share_a_port_that_was_free() {
        let shared = bind(([127, 0, 0, 1], 0).into(), 3).unwrap();
        let at = shared[0].local_addr().unwrap().as_socket().unwrap();
        assert!(shared.iter().all(|socket| socket.local_addr().unwrap().as_socket() == Some(at)));
        for socket in &shared {
            socket.listen(BACKLOG).unwrap();
        }
        // As the first step of a second program does it, however many shards that has.
        assert_eq!(open(at, false).unwrap_err().kind(), io::ErrorKind::AddrInUse);
    }

    #[test]
    fn a_connection_reads_while_its_peer_does_not() {
        const MANY: usize = 8 << 20;
        let client = |mut client: Client| {
            // Nothing is read until everything is written: the server must take it although it cannot write.
            for _ in 0..100 {
                client.write_all(&[7; 10_000]).unwrap();
            }
            let mut all = vec![];
            client.shutdown(Shutdown::Write).unwrap();
            client.read_to_end(&mut all).unwrap();
            assert!(all.len() == MANY && all.iter().all(|&byte| byte == 9));
        };
        meet(client, |mut connection| async move {
            let (wake, mut got) = (Wake::default(), 0);
            connection.out().resize(MANY, 9);
            while connection.step(&wake, |bytes| got += bytes.len()).await.unwrap() != Step::Ended {}
            assert_eq!(got, 1_000_000);
            connection.finish().await.unwrap();
        });
    }

    #[test]
    fn last_words_are_read_even_by_a_peer_that_goes_on_talking() {
        let client = |mut client: Client| {
            client.write_all(&[1; 200_000]).unwrap();
            let mut all = String::new();
            client.read_to_string(&mut all).unwrap();
            assert_eq!(all, "too much");
        };
        meet(client, |mut connection| async move {
            assert_eq!(connection.step(&Wake::default(), |_| {}).await.unwrap(), Step::Read);
            connection.out().extend_from_slice(b"too much");
            connection.finish().await.unwrap();
        });
    }

    #[test]
    fn a_wake_up_is_kept_for_a_task_that_does_not_wait_yet() {
        meet(drop, |mut connection| async move {
            let wake = Rc::new(Wake::default());
            wake.notify();
            assert_eq!(connection.step(&wake, |_| {}).await.unwrap(), Step::Woken);
            assert_eq!(connection.step(&wake, |_| {}).await.unwrap(), Step::Ended);
            let (_, waited) = zip(async { wake.notify() }, async { wake.wait().await }).await;
            assert_eq!(waited, ());
        });
    }
}
