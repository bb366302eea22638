//! Where clients may have us send: addresses of the public Internet, and the networks that the operator names. Anything else
//! would make us a way into networks that the client cannot reach itself (RFC 6890 has the list). Names are not resolved.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net};

use super::json::forward::{Family, Host};

/// The operator's rule.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TargetRule {
    /// What is allowed besides public addresses.
    pub allowed: Vec<IpNet>,
}

/// Why something is not sent to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TargetError {
    /// 430: not an address.
    Unresolved(Box<str>),
    /// 430: an address of the other family.
    Family(IpAddr),
    /// 433: the operator does not allow it.
    Denied(IpAddr),
}

impl TargetRule {
    /// The address of a host that may be sent to. IPv4-mapped IPv6 addresses are unwrapped.
    pub fn address(&self, host: Host<'_>) -> Result<IpAddr, TargetError> {
        let address = match host.name.parse::<IpAddr>() {
            Ok(address) => address.to_canonical(),
            // RFC 6761 §6.3: it means loopback without being looked up.
            Err(_) if host.name.eq_ignore_ascii_case("localhost") => match host.family {
                Some(Family::V6) => Ipv6Addr::LOCALHOST.into(),
                _ => Ipv4Addr::LOCALHOST.into(),
            },
            Err(_) => return Err(TargetError::Unresolved(host.name.into())),
        };
        match host.family {
            Some(Family::V4) if !address.is_ipv4() => Err(TargetError::Family(address)),
            Some(Family::V6) if !address.is_ipv6() => Err(TargetError::Family(address)),
            _ if !self.admits(address) => Err(TargetError::Denied(address)),
            _ => Ok(address),
        }
    }

    fn admits(&self, address: IpAddr) -> bool {
        is_public(address) || self.allowed.iter().any(|network| network.contains(&address))
    }
}

impl TargetError {
    /// The `error_code`.
    pub fn code(&self) -> u16 {
        match self {
            TargetError::Unresolved(_) | TargetError::Family(_) => 430,
            TargetError::Denied(_) => 433,
        }
    }
}

impl fmt::Display for TargetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TargetError::Unresolved(name) => {
                write!(f, "Could not resolve address ({name}): this server takes addresses and no names")
            }
            TargetError::Family(address) => {
                write!(f, "Could not resolve address ({address}): it is of the other family")
            }
            TargetError::Denied(address) => write!(f, "Unauthorized (sending to {address} is not allowed)"),
        }
    }
}

/// Whether it is an address of one host on the public Internet (RFC 6890 §2.2: globally reachable, and not multicast).
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => !SPECIAL_V4.iter().any(|network| network.contains(&address)),
        // Everything but 2000::/3 is reserved or special; in it, documentation and what wraps an address of IPv4.
        IpAddr::V6(address) => {
            let [first, second, ..] = address.segments();
            let wraps = first == 0x2002 || (first == 0x2001 && second < 0x0200);
            let documents = (first == 0x2001 && second == 0x0db8) || first == 0x3fff;
            first & 0xe000 == 0x2000 && !wraps && !documents
        }
    }
}

const SPECIAL_V4: [Ipv4Net; 15] = [
    Ipv4Net::new_assert(Ipv4Addr::new(0, 0, 0, 0), 8),
    Ipv4Net::new_assert(Ipv4Addr::new(10, 0, 0, 0), 8),
    Ipv4Net::new_assert(Ipv4Addr::new(100, 64, 0, 0), 10),
    Ipv4Net::new_assert(Ipv4Addr::new(127, 0, 0, 0), 8),
    Ipv4Net::new_assert(Ipv4Addr::new(169, 254, 0, 0), 16),
    Ipv4Net::new_assert(Ipv4Addr::new(172, 16, 0, 0), 12),
    Ipv4Net::new_assert(Ipv4Addr::new(192, 0, 0, 0), 24),
    Ipv4Net::new_assert(Ipv4Addr::new(192, 0, 2, 0), 24),
    Ipv4Net::new_assert(Ipv4Addr::new(192, 88, 99, 0), 24),
    Ipv4Net::new_assert(Ipv4Addr::new(192, 168, 0, 0), 16),
    Ipv4Net::new_assert(Ipv4Addr::new(198, 18, 0, 0), 15),
    Ipv4Net::new_assert(Ipv4Addr::new(198, 51, 100, 0), 24),
    Ipv4Net::new_assert(Ipv4Addr::new(203, 0, 113, 0), 24),
    Ipv4Net::new_assert(Ipv4Addr::new(224, 0, 0, 0), 4),
    Ipv4Net::new_assert(Ipv4Addr::new(240, 0, 0, 0), 4),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(networks: &[&str]) -> TargetRule {
        TargetRule { allowed: networks.iter().map(|network| network.parse().unwrap()).collect() }
    }

    fn ask(rule: &TargetRule, name: &str, family: Option<Family>) -> Result<String, u16> {
        let answer = rule.address(Host { name, family });
        answer.map(|address| address.to_string()).map_err(|error| error.code())
    }

    #[test]
    fn only_public_addresses_are_sent_to_without_a_word_of_the_operator() {
        let rule = rule(&[]);
        for public in ["8.8.8.8", "172.32.0.1", "100.128.0.1", "2a00:1450::1", "2001:4860::8888"] {
            assert_eq!(ask(&rule, public, None), Ok(public.into()));
        }
        for special in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "localhost",
            "169.254.169.254",
            "172.31.255.255",
            "192.168.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::10.0.0.1",
            "64:ff9b::a00:1",
            "2002:7f00:1::1",
            "2001::1",
            "2001:db8::1",
            "fd00::1",
            "fe80::1",
            "ff02::1",
        ] {
            assert_eq!(ask(&rule, special, None), Err(433), "{special}");
        }
    }

    #[test]
    fn what_the_operator_names_is_sent_to() {
        let rule = rule(&["10.1.0.0/16", "127.0.0.1/32", "fd00::/8", "::1/128"]);
        assert_eq!(ask(&rule, "10.1.255.255", None), Ok("10.1.255.255".into()));
        assert_eq!(ask(&rule, "10.2.0.0", None), Err(433));
        assert_eq!(ask(&rule, "127.0.0.2", None), Err(433));
        assert_eq!(ask(&rule, "::ffff:10.1.0.9", None), Ok("10.1.0.9".into()));
        assert_eq!(ask(&rule, "fdff::7", None), Ok("fdff::7".into()));
        assert_eq!(ask(&rule, "LocalHost", None), Ok("127.0.0.1".into()));
        assert_eq!(ask(&rule, "localhost", Some(Family::V6)), Ok("::1".into()));
        let all = self::rule(&["0.0.0.0/0", "::/0"]);
        assert_eq!(ask(&all, "192.168.0.1", None), Ok("192.168.0.1".into()));
        assert_eq!(ask(&all, "fe80::1", None), Ok("fe80::1".into()));
    }

    #[test]
    fn names_and_addresses_of_the_other_family_are_refused() {
        let rule = rule(&[]);
        assert_eq!(ask(&rule, "example.org", None), Err(430));
        assert_eq!(ask(&rule, "", None), Err(430));
        assert_eq!(ask(&rule, "8.8.8.8", Some(Family::V6)), Err(430));
        assert_eq!(ask(&rule, "2a00::1", Some(Family::V4)), Err(430));
    }
}
