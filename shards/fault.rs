//! Why the program does not start, and how it ends when it can no longer go on.

use crate::config::error::ConfigError;
use crate::import::ImportError;
use crate::ring::RingError;
use crate::rlimit::Descriptors;
use portunus::proto::dtls::DtlsError;
use std::net::SocketAddr;
use std::{fmt, io};

/// What stands in the way at start.
#[derive(Debug)]
pub enum StartError {
    Config(ConfigError),
    /// A Janus' configuration could not be imported.
    Import(ImportError),
    /// The kernel's io_uring.
    Ring(RingError),
    /// Less locked memory than the signalling executor needs; the limit in bytes.
    LockedMemory(u64),
    /// Fewer descriptors than the configuration needs.
    Files(Descriptors),
    /// A media address.
    MediaBind(SocketAddr, io::Error),
    /// A port for a publisher of another server.
    RemoteBind(SocketAddr, io::Error),
    /// No media address is left.
    NoMediaAddress,
    /// An address to listen on.
    Listen(SocketAddr, io::Error),
    /// A STUN server that was to be asked: a sentence.
    Stun(String),
    /// The certificate of HTTPS: a sentence that names the setting.
    Tls(String),
    /// The DTLS certificate.
    Certificate(DtlsError),
    /// A thread, its bell or the signals.
    Thread(io::Error),
    /// The signalling executor.
    Executor(String),
    /// The configured rooms were not made in time.
    Rooms,
    /// The operating system gave no randomness.
    Randomness,
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Config(error) => error.fmt(f),
            StartError::Import(error) => error.fmt(f),
            StartError::Ring(error) => error.fmt(f),
            StartError::LockedMemory(limit) => write!(
                f,
                "{} KiB of memory may be locked, 512 KiB are needed: raise the limit (ulimit -l, LimitMEMLOCK=, docker \
                 run --ulimit memlock=8388608)",
                limit / 1024
            ),
            StartError::Files(files) => files.fmt(f),
            StartError::MediaBind(at, error) if error.kind() == io::ErrorKind::AddrInUse => {
                write!(f, "UDP port {} of {} is taken: choose another base with --media-port", at.port(), at.ip())
            }
            StartError::MediaBind(at, error) => write!(f, "cannot bind UDP {at} (--media-ip, --media-port): {error}"),
            StartError::RemoteBind(at, error) => write!(f, "cannot bind UDP {at} (--remote-port): {error}"),
            StartError::NoMediaAddress => {
                f.write_str("no media address is left: name one with --media-ip, or look at --media-interface")
            }
            StartError::Listen(at, error) => write!(f, "cannot listen on {at} (--listen): {error}"),
            StartError::Stun(sentence) | StartError::Tls(sentence) => f.write_str(sentence),
            StartError::Certificate(error) => write!(f, "cannot make a DTLS certificate: {error}"),
            StartError::Thread(error) => write!(f, "cannot start a shard: {error}"),
            StartError::Executor(error) => write!(f, "cannot start the signalling executor: {error}"),
            StartError::Rooms => f.write_str("the configured rooms could not be made"),
            StartError::Randomness => f.write_str("the operating system gives no randomness"),
        }
    }
}

impl From<ConfigError> for StartError {
    fn from(error: ConfigError) -> Self {
        StartError::Config(error)
    }
}

impl From<RingError> for StartError {
    fn from(error: RingError) -> Self {
        StartError::Ring(error)
    }
}

/// Ends the process at once: a shard that others count on is gone, and half a server is worse than a restart.
pub fn fatal(what: fmt::Arguments<'_>) -> ! {
    tracing::error!("{what}; the process ends");
    std::process::abort()
}
