//! The UDP sockets of the media shards: one per media address and shard, bound at start so that a taken port is said
//! before anything runs.

use crate::fault::StartError;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsRawFd;
use std::thread;
use std::time::Duration;
use tracing::warn;

/// Wished bytes of each socket buffer: the kernel's defaults hold 92 received datagrams, or 28 GSO messages.
const BUFFER_BYTES: usize = 8 << 20;
/// How long a taken port is tried again, and how often.
const PATIENCE: Duration = Duration::from_millis(1000);
const PAUSE: Duration = Duration::from_millis(50);

/// The sockets of one shard, in the order of the addresses.
pub struct MediaSockets {
    /// The sockets; the index is the `SocketId`.
    pub sockets: Vec<Socket>,
    /// Where each of the media addresses is bound; behind them stand the sockets of [`bind_everywhere`].
    pub addresses: Vec<SocketAddr>,
}

/// One media address: an explicit one must be bound, a found one may be missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MediaAddress {
    pub ip: IpAddr,
    /// Named in the configuration.
    pub explicit: bool,
}

/// Binds every address on `port` for one shard. `dscp` 0 leaves the field alone.
pub fn bind(addresses: &[MediaAddress], port: u16, dscp: u8) -> Result<MediaSockets, StartError> {
    let mut bound = MediaSockets { sockets: vec![], addresses: vec![] };
    for address in addresses {
        let at = SocketAddr::from((address.ip, port));
        match patiently(|| open(at, dscp)) {
            Ok(socket) => {
                bound.addresses.push(socket.local_addr().ok().and_then(|at| at.as_socket()).unwrap_or(at));
                bound.sockets.push(socket);
            }
            // An interface may have gone since it was listed, or its address may still be tentative.
            Err(error) if !address.explicit && error.kind() == io::ErrorKind::AddrNotAvailable => {
                warn!("media address {} cannot be bound and is left out: {error}", address.ip);
            }
            Err(error) => return Err(StartError::MediaBind(at, error)),
        }
    }
    if bound.sockets.is_empty() { Err(StartError::NoMediaAddress) } else { Ok(bound) }
}

/// Binds ports at every address of the host, of both families where it has both.
pub fn bind_everywhere(ports: &[u16], dscp: u8) -> Result<Vec<Socket>, StartError> {
    let bind = |&port: &u16| {
        let (both, old) =
            (SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)), SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)));
        patiently(|| match open(both, dscp) {
            Err(error) if matches!(error.raw_os_error(), Some(libc::EAFNOSUPPORT | libc::EADDRNOTAVAIL)) => {
                open(old, dscp)
            }
            outcome => outcome,
        })
        .map_err(|error| StartError::RemoteBind(both, error))
    };
    ports.iter().map(bind).collect()
}

/// Tries again for a moment while an address is taken: the kernel takes the rings of a predecessor down, and with them
/// its sockets, shortly after its exit.
pub fn patiently<T>(bind: impl Fn() -> io::Result<T>) -> io::Result<T> {
    for _ in 0..PATIENCE.as_millis() / PAUSE.as_millis() {
        match bind() {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => thread::sleep(PAUSE),
            outcome => return outcome,
        }
    }
    bind()
}

/// Says once when the sockets got less than the wished buffers.
pub fn warn_of_small_buffers(socket: &Socket) {
    // The kernel reports twice what was asked for: its own overhead is counted in.
    for (name, sysctl, size) in [
        ("receive", "net.core.rmem_max", socket.recv_buffer_size()),
        ("send", "net.core.wmem_max", socket.send_buffer_size()),
    ] {
        let bytes = size.unwrap_or(0) / 2;
        if bytes < BUFFER_BYTES {
            warn!(
                "UDP {name} buffers are {} KiB instead of {} KiB; bursts may be lost: sysctl -w {sysctl}={BUFFER_BYTES}",
                bytes / 1024,
                BUFFER_BYTES / 1024
            );
        }
    }
}

fn open(at: SocketAddr, dscp: u8) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(at), Type::DGRAM, Some(Protocol::UDP))?;
    if at.is_ipv6() {
        socket.set_only_v6(!at.ip().is_unspecified())?;
    }
    enlarge(&socket, libc::SO_RCVBUFFORCE, Socket::set_recv_buffer_size);
    enlarge(&socket, libc::SO_SNDBUFFORCE, Socket::set_send_buffer_size);
    set(&socket, libc::SOL_SOCKET, libc::SO_TIMESTAMPNS, 1)?;
    set(&socket, libc::SOL_SOCKET, libc::SO_RXQ_OVFL, 1)?;
    // No DF: a datagram over the path's MTU is cut instead of lost. IP_RECVERR stays off: one ICMP message would end the
    // multishot receive.
    let traffic_class = libc::c_int::from(dscp) << 2;
    if at.is_ipv6() {
        set(&socket, libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER, libc::IPV6_PMTUDISC_DONT)?;
        if dscp != 0 {
            set(&socket, libc::IPPROTO_IPV6, libc::IPV6_TCLASS, traffic_class)?;
        }
    } else {
        set(&socket, libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, libc::IP_PMTUDISC_DONT)?;
        if dscp != 0 {
            set(&socket, libc::IPPROTO_IP, libc::IP_TOS, traffic_class)?;
        }
    }
    socket.bind(&SockAddr::from(at))?;
    Ok(socket)
}

/// Past the sysctl when we may, else up to it.
fn enlarge(socket: &Socket, force: libc::c_int, plain: fn(&Socket, usize) -> io::Result<()>) {
    let bytes = libc::c_int::try_from(BUFFER_BYTES).expect("8 MiB");
    if set(socket, libc::SOL_SOCKET, force, bytes).is_err() {
        // The kernel cuts it to the sysctl without an error; `warn_of_small_buffers` looks at the outcome.
        let _ = plain(socket, BUFFER_BYTES);
    }
}

/// Sets an option that takes an integer.
pub fn set(socket: &Socket, level: libc::c_int, option: libc::c_int, value: libc::c_int) -> io::Result<()> {
    let len = libc::socklen_t::try_from(size_of_val(&value)).expect("four bytes");
    // SAFETY: the descriptor is open for as long as `socket`, and the kernel copies `len` bytes from `value`.
    let outcome = unsafe { libc::setsockopt(socket.as_raw_fd(), level, option, (&raw const value).cast(), len) };
    if outcome == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn loopback() -> MediaSockets {
        let address = MediaAddress { ip: [127, 0, 0, 1].into(), explicit: true };
        bind(&[address], 0, 0).unwrap()
    }

    #[test]
    fn a_taken_port_is_an_error_that_names_the_option() {
        let taken = loopback();
        let address = MediaAddress { ip: [127, 0, 0, 1].into(), explicit: false };
        let Err(error) = bind(&[address], taken.addresses[0].port(), 0) else { panic!("bound twice") };
        assert!(error.to_string().contains("--media-port"), "{error}");
    }

    #[test]
    fn an_address_of_nobody_is_left_out_when_it_was_found_and_refused_when_it_was_asked_for() {
        let address = |ip: &str, explicit| MediaAddress { ip: ip.parse().unwrap(), explicit };
        let bound = bind(&[address("192.0.2.77", false), address("127.0.0.1", false)], 0, 46).unwrap();
        assert_eq!(bound.addresses.len(), 1);
        assert!(bind(&[address("192.0.2.77", true), address("127.0.0.1", false)], 0, 0).is_err());
    }

    #[test]
    fn sockets_stamp_count_and_do_not_forbid_fragments() {
        let bound = loopback();
        let get = |level, option| {
            let (mut value, mut len): (libc::c_int, _) = (-1, 4);
            // SAFETY: four bytes are lent for the four that the options have.
            let outcome = unsafe {
                libc::getsockopt(bound.sockets[0].as_raw_fd(), level, option, (&raw mut value).cast(), &raw mut len)
            };
            assert_eq!(outcome, 0);
            value
        };
        assert_eq!(get(libc::SOL_SOCKET, libc::SO_TIMESTAMPNS), 1);
        assert_eq!(get(libc::SOL_SOCKET, libc::SO_RXQ_OVFL), 1);
        assert_eq!(get(libc::IPPROTO_IP, libc::IP_MTU_DISCOVER), libc::IP_PMTUDISC_DONT);
        assert_eq!(get(libc::IPPROTO_IP, libc::IP_RECVERR), 0);
    }
}
