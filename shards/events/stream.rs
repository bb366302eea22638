//! One blocking connection to a handler's other side, with TLS or without, on which nothing takes longer than its deadline.

use super::endpoint::Endpoint;
use openssl::ssl::{SslConnector, SslMethod, SslStream};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::path::Path;
use std::time::{Duration, Instant};

/// Where systems keep the certificates that they trust; `SSL_CERT_FILE` names another file.
const ROOTS: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];

/// A connection.
pub struct Stream {
    channel: Channel,
    deadline: Instant,
}

enum Channel {
    Plain(TcpStream),
    Tls(SslStream<TcpStream>),
}

impl Stream {
    /// Connects, trying each address of the name.
    pub fn connect(endpoint: &Endpoint, deadline: Instant) -> io::Result<Stream> {
        let mut failure = io::Error::new(ErrorKind::NotFound, "the name has no address");
        for at in (&*endpoint.host, endpoint.port).to_socket_addrs()? {
            match TcpStream::connect_timeout(&at, left(deadline)?) {
                Ok(socket) => {
                    socket.set_nodelay(true)?;
                    return Stream::new(endpoint, socket, deadline);
                }
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    fn new(endpoint: &Endpoint, socket: TcpStream, deadline: Instant) -> io::Result<Stream> {
        if !endpoint.tls {
            return Ok(Stream { channel: Channel::Plain(socket), deadline });
        }
        let mut builder = SslConnector::builder(SslMethod::tls_client())?;
        let named = std::env::var_os("SSL_CERT_FILE");
        let known = named.as_deref().map(Path::new).or_else(|| ROOTS.iter().map(Path::new).find(|path| path.exists()));
        if let Some(roots) = known {
            builder.set_ca_file(roots)?;
        }
        let left = left(deadline)?;
        socket.set_read_timeout(Some(left))?;
        socket.set_write_timeout(Some(left))?;
        let tls = builder.build().connect(&endpoint.host, socket);
        let tls = tls.map_err(|error| io::Error::other(format!("the TLS handshake has failed: {error}")))?;
        Ok(Stream { channel: Channel::Tls(tls), deadline })
    }

    /// From now on nothing may take longer than until then.
    pub fn set_deadline(&mut self, deadline: Instant) {
        self.deadline = deadline;
    }

    /// Whether the other side has neither closed the connection nor said anything unasked.
    pub fn is_quiet(&self) -> bool {
        let socket = self.socket();
        let quiet = socket.set_nonblocking(true).and_then(|()| socket.peek(&mut [0]));
        let quiet = quiet.is_err_and(|error| error.kind() == ErrorKind::WouldBlock);
        socket.set_nonblocking(false).is_ok() && quiet
    }

    fn socket(&self) -> &TcpStream {
        match &self.channel {
            Channel::Plain(socket) => socket,
            Channel::Tls(tls) => tls.get_ref(),
        }
    }
}

impl Read for Stream {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.socket().set_read_timeout(Some(left(self.deadline)?))?;
        match &mut self.channel {
            Channel::Plain(socket) => socket.read(bytes),
            Channel::Tls(tls) => tls.read(bytes),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.socket().set_write_timeout(Some(left(self.deadline)?))?;
        match &mut self.channel {
            Channel::Plain(socket) => socket.write(bytes),
            Channel::Tls(tls) => tls.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.channel {
            Channel::Plain(socket) => socket.flush(),
            Channel::Tls(tls) => tls.flush(),
        }
    }
}

/// What is left until the deadline.
fn left(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(ErrorKind::WouldBlock.into()) } else { Ok(left) }
}
