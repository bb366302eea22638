//! Where a handler's events go: a URL taken apart. What of it may be a secret (user, password, path, query) is never shown.

use percent_encoding::percent_decode_str;
use std::fmt;
use tungstenite::http::Uri;

/// The other side.
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Whether TLS is spoken.
    pub tls: bool,
    /// Name or address, without brackets.
    pub host: String,
    pub port: u16,
    /// Path and query.
    pub target: String,
    /// The value of an `Authorization` field (RFC 7617).
    pub authorization: Option<String>,
    scheme: String,
}

impl Endpoint {
    /// Takes a URL of one of two schemes apart, the second being the one with TLS. `credentials` beat those in the URL.
    ///
    /// # Errors
    /// A sentence without the URL.
    pub fn parse(url: &str, schemes: [&str; 2], credentials: Option<(&str, &str)>) -> Result<Endpoint, String> {
        let wrong = || format!("that is no URL such as {}://host:port/path", schemes[0]);
        let uri: Uri = url.parse().map_err(|_| wrong())?;
        let scheme = uri.scheme_str().filter(|scheme| schemes.contains(scheme)).ok_or_else(wrong)?;
        let host = uri.host().filter(|host| !host.is_empty()).ok_or_else(wrong)?;
        let tls = scheme == schemes[1];
        let authority = uri.authority().map_or("", |authority| authority.as_str());
        let (given, place) = authority.rsplit_once('@').map_or((None, authority), |(given, at)| (Some(given), at));
        // The library has no port where there is a wrong one.
        let port = match place.strip_prefix(host).and_then(|rest| rest.strip_prefix(':')) {
            Some(port) => port.parse().ok().filter(|port| *port != 0).ok_or_else(wrong)?,
            None if tls => 443,
            None => 80,
        };
        let pair = match (credentials, given) {
            (Some((user, password)), _) => Some(format!("{user}:{password}").into_bytes()),
            (None, Some(given)) => Some(decode(given).ok_or_else(wrong)?),
            (None, None) => None,
        };
        Ok(Endpoint {
            tls,
            host: host.trim_start_matches('[').trim_end_matches(']').into(),
            port,
            target: uri.path_and_query().map_or("/".into(), ToString::to_string),
            authorization: pair.map(|pair| format!("Basic {}", openssl::base64::encode_block(&pair))),
            scheme: scheme.into(),
        })
    }

    /// As `Host` has it.
    pub fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme, self.authority())
    }
}

/// User and password as they are (RFC 3986 §2.1); none when a `%` begins no escape, which the library would let stand.
fn decode(text: &str) -> Option<Vec<u8>> {
    let is_escape =
        |rest: &str| rest.as_bytes().get(..2).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit));
    text.split('%').skip(1).all(is_escape).then(|| percent_decode_str(text).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HTTP: [&str; 2] = ["http", "https"];

    #[test]
    fn a_url_is_taken_apart_and_shows_no_secret() {
        let endpoint = Endpoint::parse("https://ana:p%40ss@example.org/hook/T0K3N?key=1", HTTP, None).ok().unwrap();
        assert_eq!((endpoint.tls, &*endpoint.host, endpoint.port), (true, "example.org", 443));
        assert_eq!(endpoint.target, "/hook/T0K3N?key=1");
        assert_eq!(endpoint.authorization.as_deref(), Some("Basic YW5hOnBAc3M="));
        assert_eq!(endpoint.to_string(), "https://example.org:443");
        let endpoint = Endpoint::parse("http://u:v@[::1]:81", HTTP, Some(("a", "b"))).ok().unwrap();
        assert_eq!((&*endpoint.host, &*endpoint.target, &*endpoint.authority()), ("::1", "/", "[::1]:81"));
        assert_eq!(endpoint.authorization.as_deref(), Some("Basic YTpi"));
    }

    #[test]
    fn what_is_no_url_of_the_scheme_is_refused_without_being_repeated() {
        for url in ["", "example.org", "ws://example.org", "http://", "http:///x", "http://h:0/", "http://h:99999/"] {
            let said = Endpoint::parse(url, HTTP, None).err().unwrap_or_else(|| panic!("{url} was taken"));
            assert_eq!(said, "that is no URL such as http://host:port/path");
        }
        for url in ["http://a%4:b@h/", "http://a%:b@h/", "http://a%+4:b@h/", "http://a%zz:b@h/"] {
            assert!(Endpoint::parse(url, HTTP, None).is_err(), "{url}");
        }
    }
}
