//! Origins of web pages: scheme, host and port (RFC 6454 §4), compared whole. An opaque origin (`null`) is none of them
//! and equals nothing, not even itself.

use std::fmt;
use std::str::FromStr;

/// One origin; scheme and host in lower case, and no port where it is the scheme's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    scheme: Box<str>,
    host: Box<str>,
    port: Option<u16>,
}

/// A text that is no origin such as `https://example.org:8443`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAnOrigin;

impl Origin {
    /// The origin of a URL, as `Referer` has them: path, query and fragment do not count.
    pub fn of_url(url: &str) -> Option<Origin> {
        let (scheme, rest) = url.split_once("://")?;
        let authority = rest.split(['/', '?', '#']).next()?;
        format!("{scheme}://{authority}").parse().ok()
    }
}

impl FromStr for Origin {
    type Err = NotAnOrigin;

    fn from_str(text: &str) -> Result<Origin, NotAnOrigin> {
        let (scheme, authority) = text.split_once("://").ok_or(NotAnOrigin)?;
        let is_scheme = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
        if !scheme.starts_with(|first: char| first.is_ascii_alphabetic()) || !scheme.bytes().all(is_scheme) {
            return Err(NotAnOrigin);
        }
        // The colons of an IPv6 address stand within brackets.
        let end = authority.find(']').map_or(0, |bracket| bracket + 1);
        let (host, port) = match authority[end..].find(':') {
            Some(colon) => (&authority[..end + colon], Some(&authority[end + colon + 1..])),
            None => (authority, None),
        };
        let is_host = match host.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')) {
            Some(inner) => inner.parse::<std::net::Ipv6Addr>().is_ok(),
            None => {
                !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte))
            }
        };
        let is_number = |port: &&str| port.bytes().all(|byte| byte.is_ascii_digit());
        let port = port.map(|port| Some(port).filter(is_number).and_then(|port| port.parse::<u16>().ok()));
        if !is_host || port == Some(None) {
            return Err(NotAnOrigin);
        }
        let scheme = scheme.to_ascii_lowercase();
        let own = match scheme.as_str() {
            "http" => Some(80),
            "https" => Some(443),
            _ => None,
        };
        let port = port.flatten().filter(|port| Some(*port) != own);
        Ok(Origin { scheme: scheme.into(), host: host.to_ascii_lowercase().into(), port })
    }
}

impl fmt::Display for Origin {
    /// As browsers write it (RFC 6454 §6.2).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme, self.host)?;
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_equal_when_scheme_host_and_port_are() {
        let origin = |text: &str| text.parse::<Origin>().unwrap();
        let ours = origin("https://example.org");
        for same in ["https://example.org:443", "HTTPS://Example.ORG"] {
            assert_eq!(origin(same), ours, "{same}");
        }
        for other in [
            "https://example.org.evil.com",
            "https://example.org-evil.com",
            "https://example.org.",
            "https://example.organic",
            "https://sub.example.org",
            "https://example.org:4430",
            "http://example.org",
            "http://example.org:443",
        ] {
            assert_ne!(origin(other), ours, "{other}");
        }
        assert_eq!(origin("http://[2001:DB8::1]:8080").to_string(), "http://[2001:db8::1]:8080");
        assert_eq!(origin("https://example.org:443").to_string(), "https://example.org");
        assert_eq!(origin("capacitor://localhost").to_string(), "capacitor://localhost");
    }

    #[test]
    fn what_is_no_origin_is_refused() {
        for text in [
            "",
            "null",
            "*",
            "example.org",
            "https://",
            "https://example.org/",
            "https://a,https://b",
            "https://a b",
            "https://user@example.org",
            "https://example.org:",
            "https://example.org:x",
            "https://example.org:70000",
            "https://example.org:+443",
            "https://[::1",
            "https://[x]",
            "https://[::1]x",
            "://example.org",
            "https://a\r\nb",
        ] {
            assert_eq!(text.parse::<Origin>(), Err(NotAnOrigin), "{text}");
        }
    }

    #[test]
    fn a_url_has_the_origin_it_begins_with() {
        let of = |url: &str| Origin::of_url(url).map(|origin| origin.to_string());
        assert_eq!(of("https://good.example/page?x=https://evil.example").as_deref(), Some("https://good.example"));
        assert_eq!(of("https://good.example?x").as_deref(), Some("https://good.example"));
        assert_eq!(of("https://good.example@evil.example/"), None);
        assert_eq!(of("about:blank"), None);
    }
}
