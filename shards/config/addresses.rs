//! The addresses of media: those that the operator names, or those that the interfaces have.

use super::error::ConfigError;
use super::settings::Settings;
use crate::interface;
use crate::socket::MediaAddress;
use std::net::SocketAddr;

/// Media addresses: each takes a socket on every shard, and a candidate in every description.
const MEDIA_ADDRESSES_MAX: usize = 32;

/// The addresses that are named, or those of the interfaces.
pub fn media_addresses(all: &Settings, listen: &[SocketAddr]) -> Result<Vec<MediaAddress>, ConfigError> {
    let value = |sentence: String| ConfigError::Value("media_ip", sentence);
    let mut media = Vec::new();
    match &all.media_ip {
        Some(ips) => {
            if let Some(ip) = ips.iter().find(|ip| ip.is_unspecified()) {
                return Err(value(format!("{ip} cannot be advertised: name the addresses themselves")));
            }
            if let Some(ip) = ips.iter().find(|ip| ip.is_ipv6() && all.media_ipv6 == Some(false)) {
                return Err(value(format!("{ip} is an IPv6 address, and media_ipv6 is false")));
            }
            media.extend(ips.iter().map(|&ip| MediaAddress { ip, explicit: true }));
        }
        None => {
            let mut found = interface::addresses().map_err(ConfigError::Interfaces)?;
            found.retain(|address| address.ip.is_ipv4() || all.media_ipv6 != Some(false));
            let local = listen.iter().any(|at| at.ip().is_loopback());
            let patterns = all.media_interface.as_deref().unwrap_or_default();
            media = interface::choose(&found, patterns, local);
            if media.is_empty() && patterns.is_empty() {
                media = interface::choose(&found, patterns, true); // a host without a network
            }
        }
    }
    match media.len() {
        0 => Err(value("no interface has an address for media".into())),
        count if count > MEDIA_ADDRESSES_MAX => Err(value(format!("{count} addresses are too many: name some"))),
        _ => Ok(media),
    }
}
