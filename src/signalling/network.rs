//! Whether an address is in one of the networks that operators may come from.

use ipnet::IpNet;
use std::net::IpAddr;

/// IPv4-mapped IPv6 addresses are unwrapped: a socket that is bound to `::` shows IPv4 clients so.
pub fn is_in_any(networks: &[IpNet], address: IpAddr) -> bool {
    let address = address.to_canonical();
    networks.iter().any(|network| network.contains(&address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv4_address_inside_an_ipv6_one_is_the_ipv4_address() {
        let networks = ["10.0.0.0/8".parse().unwrap(), "2001:db8::/32".parse().unwrap()];
        for (address, is_in) in [
            ("10.1.2.3", true),
            ("::ffff:10.1.2.3", true),
            ("::ffff:11.1.2.3", false),
            ("2001:db8::1", true),
            ("2001:db9::1", false),
        ] {
            assert_eq!(is_in_any(&networks, address.parse().unwrap()), is_in, "{address}");
        }
    }
}
