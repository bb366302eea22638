//! The addresses of media: those that the operator names, or those that the interfaces have; and networks as
//! operators write them down.

use super::error::ConfigError;
use super::settings::Settings;
use crate::interface;
use crate::socket::MediaAddress;
use ipnet::IpNet;
use std::net::{IpAddr, SocketAddr};

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

/// The networks of a setting: each an address with a prefix (RFC 4632 §3.1), or one address alone.
pub fn networks(setting: &'static str, texts: Option<&[String]>) -> Result<Vec<IpNet>, ConfigError> {
    let network = |text: &String| {
        let network = text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
        let wrong = |_| format!("{text:?} is no network, such as 10.0.0.0/8, 2001:db8::/32 or 192.0.2.7");
        network.map_err(|error| ConfigError::Value(setting, wrong(error)))
    };
    texts.into_iter().flatten().map(network).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<IpNet, String> {
        networks("admin_allow", Some(&[text.into()])).map(|all| all[0]).map_err(|error| error.to_string())
    }

    #[test]
    fn a_network_is_an_address_with_a_prefix_or_one_address() {
        let is_in = |address: &str, network: &str| read(network).unwrap().contains(&address.parse::<IpAddr>().unwrap());
        assert!(is_in("10.1.2.3", "10.0.0.0/8") && is_in("10.1.2.3", "10.9.9.9/8") && !is_in("11.1.2.3", "10.0.0.0/8"));
        assert!(is_in("192.0.2.129", "192.0.2.128/25") && !is_in("192.0.2.127", "192.0.2.128/25"));
        assert!(is_in("192.0.2.1", "192.0.2.1") && !is_in("192.0.2.2", "192.0.2.1"));
        assert!(is_in("203.0.113.9", "0.0.0.0/0") && !is_in("2001:db8::1", "0.0.0.0/0"));
        assert!(is_in("2001:db8:1::1", "2001:db8::/32") && !is_in("2001:db9::1", "2001:db8::/32"));
        assert!(is_in("::1", "::1") && is_in("::1", "::/0") && !is_in("127.0.0.1", "::/0"));
    }

    #[test]
    fn what_is_no_network_is_refused_with_the_name_of_the_setting() {
        for text in ["", "10.0.0.0/33", "::/129", "10.0.0/8", "10.0.0.0/", "10.0.0.0/x", "10.0.0.0/-1", "localhost"] {
            let said = read(text).unwrap_err();
            assert!(said.starts_with(&format!("admin_allow: {text:?} is no network")), "{said}");
        }
    }
}
