//! The addresses of this host's interfaces, and which of them carry media when nobody says.

use crate::socket::MediaAddress;
use std::ffi::CStr;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Names (or their beginnings) of interfaces between containers and their host: nobody outside reaches them.
const CONTAINER_BRIDGES: [&str; 8] = ["docker", "br-", "veth", "virbr", "cni", "podman", "lxcbr", "flannel"];

/// One address of one interface that is up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InterfaceAddress {
    /// The interface's name.
    pub name: String,
    pub ip: IpAddr,
}

/// Every address of every interface that is up.
pub fn addresses() -> io::Result<Vec<InterfaceAddress>> {
    let mut list: *mut libc::ifaddrs = std::ptr::null_mut();
    // SAFETY: the call writes the head of a list of its own, which is freed below.
    if unsafe { libc::getifaddrs(&raw mut list) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let mut found = Vec::new();
    let mut next = list;
    // SAFETY: each element and what it points to lives until the list is freed; a null pointer ends the list.
    while let Some(entry) = unsafe { next.as_ref() } {
        next = entry.ifa_next;
        let up = entry.ifa_flags & libc::IFF_UP as libc::c_uint != 0;
        // SAFETY: the address is null or a `sockaddr` of the size that its family says.
        let ip = unsafe { address(entry.ifa_addr) };
        if let (true, Some(ip)) = (up, ip) {
            // SAFETY: the name is a string of the list.
            let name = unsafe { CStr::from_ptr(entry.ifa_name) }.to_string_lossy().into_owned();
            found.push(InterfaceAddress { name, ip });
        }
    }
    // SAFETY: the list came from `getifaddrs` and nothing of it is kept.
    unsafe { libc::freeifaddrs(list) };
    Ok(found)
}

/// # Safety
/// `sockaddr` is null, or points to as many bytes as the structure of its family has.
unsafe fn address(sockaddr: *const libc::sockaddr) -> Option<IpAddr> {
    // SAFETY: the caller's promise; unaligned reads ask nothing more.
    unsafe {
        match i32::from(sockaddr.as_ref()?.sa_family) {
            libc::AF_INET => {
                let v4 = sockaddr.cast::<libc::sockaddr_in>().read_unaligned();
                Some(Ipv4Addr::from(v4.sin_addr.s_addr.to_ne_bytes()).into())
            }
            libc::AF_INET6 => {
                let v6 = sockaddr.cast::<libc::sockaddr_in6>().read_unaligned();
                Some(Ipv6Addr::from(v6.sin6_addr.s6_addr).into())
            }
            _ => None,
        }
    }
}

/// Chooses the media addresses. `patterns` name interfaces, a trailing `*` stands for any ending and a leading `!`
/// excludes; an interface that is named is in even if it would be left out otherwise. Without such: all but loopback
/// (which is in with `loopback`) and container bridges. Link-local IPv6 is never in: it needs a scope that SDP lacks.
pub fn choose(found: &[InterfaceAddress], patterns: &[String], loopback: bool) -> Vec<MediaAddress> {
    let (excluded, included): (Vec<&str>, Vec<&str>) =
        patterns.iter().map(String::as_str).partition(|pattern| pattern.starts_with('!'));
    let wanted = |address: &&InterfaceAddress| {
        let named = |patterns: &[&str]| patterns.iter().any(|p| matches(p.trim_start_matches('!'), &address.name));
        if named(&excluded) {
            return false;
        }
        if address.ip.is_loopback() {
            return loopback || named(&included);
        }
        if included.is_empty() {
            !CONTAINER_BRIDGES.iter().any(|bridge| address.name.starts_with(bridge))
        } else {
            named(&included)
        }
    };
    let link_local = |ip: &IpAddr| matches!(ip, IpAddr::V6(v6) if v6.is_unicast_link_local());
    let mut chosen: Vec<MediaAddress> = Vec::new();
    for address in found.iter().filter(wanted).filter(|address| !link_local(&address.ip)) {
        if !chosen.iter().any(|other| other.ip == address.ip) {
            chosen.push(MediaAddress { ip: address.ip, explicit: false });
        }
    }
    // Loopback comes last: candidates are offered in this order.
    chosen.sort_by_key(|address| address.ip.is_loopback());
    chosen
}

fn matches(pattern: &str, name: &str) -> bool {
    pattern.strip_suffix('*').map_or(pattern == name, |start| name.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host() -> Vec<InterfaceAddress> {
        [
            ("lo", "127.0.0.1"),
            ("lo", "::1"),
            ("eth0", "192.0.2.1"),
            ("eth0", "2001:db8::1"),
            ("eth0", "fe80::1"),
            ("eth1", "198.51.100.1"),
            ("docker0", "172.17.0.1"),
            ("br-12ab", "172.18.0.1"),
        ]
        .map(|(name, ip)| InterfaceAddress { name: name.into(), ip: ip.parse().unwrap() })
        .into()
    }

    fn chosen(patterns: &[&str], loopback: bool) -> Vec<String> {
        let patterns: Vec<String> = patterns.iter().map(|&p| p.into()).collect();
        choose(&host(), &patterns, loopback).iter().map(|address| address.ip.to_string()).collect()
    }

    #[test]
    fn by_default_everything_but_bridges_link_local_and_loopback_carries_media() {
        assert_eq!(chosen(&[], false), ["192.0.2.1", "2001:db8::1", "198.51.100.1"]);
        assert_eq!(chosen(&[], true), ["192.0.2.1", "2001:db8::1", "198.51.100.1", "127.0.0.1", "::1"]);
    }

    #[test]
    fn interfaces_can_be_named_and_excluded() {
        assert_eq!(chosen(&["eth1"], false), ["198.51.100.1"]);
        assert_eq!(chosen(&["!eth1"], false), ["192.0.2.1", "2001:db8::1"]);
        assert_eq!(chosen(&["eth*", "!eth0"], true), ["198.51.100.1", "127.0.0.1", "::1"]);
        assert_eq!(chosen(&["docker0", "lo"], false), ["172.17.0.1", "127.0.0.1", "::1"]);
        assert_eq!(chosen(&["!lo"], true).len(), 3);
    }

    #[test]
    fn this_host_has_loopback() {
        assert!(addresses().unwrap().iter().any(|address| address.ip == IpAddr::V4(Ipv4Addr::LOCALHOST)));
    }
}
