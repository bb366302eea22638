//! The server side of HTTP/1.1 on one connection: bytes in, requests out, responses to bytes (RFC 9112). Heads and
//! contents are bounded; what is served, and what an upgrade leads to, is decided elsewhere.

use std::borrow::Cow;
use std::time::Duration;

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
pub use http::{Method, StatusCode};
use percent_encoding::percent_decode_str;

mod content;

use content::{Content, Framing};

use crate::time::Mono;

/// Bytes of a request's head.
pub const HEAD_BYTES_MAX: usize = 16 * 1024;
/// Header fields of a request; browsers send about twenty.
pub const HEADERS_MAX: usize = 64;
/// A head must be complete within this time after its first byte, however it trickles in.
pub const HEAD_DEADLINE: Duration = Duration::from_secs(10);
/// The content must be complete within this time after its head.
pub const CONTENT_DEADLINE: Duration = Duration::from_secs(20);
/// A connection without a request is closed after this time.
pub const IDLE_DEADLINE: Duration = Duration::from_secs(60);

/// One connection's unread bytes.
#[derive(Debug)]
pub struct Http {
    inbox: Vec<u8>,
    deadline: Mono,
    fresh: bool,
    /// A request whose content is still arriving.
    reading: Option<Box<(Request, Content)>>,
    interim: bool,
}

/// One request.
#[derive(Debug, PartialEq, Eq)]
pub struct Request {
    pub method: Method,
    /// The path without its query.
    pub path: Box<str>,
    /// What stands behind the question mark, as it came.
    pub query: Box<str>,
    /// Whether the connection lives on after the response.
    pub keep_alive: bool,
    /// Whether a WebSocket is wanted, and how.
    pub upgrade: Option<Upgrade>,
    /// `Origin`, or for want of it a `Referer` that names another host than `Host`.
    pub origin: Option<Box<str>>,
    /// Every header field; the values are UTF-8.
    pub headers: HeaderMap,
    /// The content, whole.
    pub content: Vec<u8>,
}

/// The elements of a WebSocket handshake (RFC 6455 §4.2.1), not judged.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Upgrade {
    /// `Sec-WebSocket-Key`
    pub key: Box<str>,
    /// `Sec-WebSocket-Version`
    pub version: Box<str>,
    /// `Sec-WebSocket-Protocol`, in order.
    pub protocols: Vec<Box<str>>,
}

impl Http {
    /// A connection that has just been accepted.
    pub fn new(now: Mono) -> Http {
        Http { inbox: Vec::new(), deadline: now + HEAD_DEADLINE, fresh: true, reading: None, interim: false }
    }

    /// Takes bytes from the socket. False when more arrived than may wait: the connection is to be dropped.
    pub fn receive(&mut self, now: Mono, bytes: &[u8]) -> bool {
        if self.inbox.is_empty() && !self.fresh && self.reading.is_none() {
            self.deadline = now + HEAD_DEADLINE;
        }
        self.fresh = false;
        self.inbox.extend_from_slice(bytes);
        self.inbox.len() <= INBOX_BYTES_MAX
    }

    /// The next complete request. An error is a status to answer with before the connection is closed.
    pub fn poll(&mut self, now: Mono) -> Result<Option<Request>, StatusCode> {
        if self.reading.is_none() {
            let Some((request, framing, interim)) = self.read_head()? else { return Ok(None) };
            let Some(framing) = framing else {
                self.resume(now);
                return Ok(Some(request));
            };
            self.reading = Some(Box::new((request, Content::new(framing)?)));
            self.interim = interim;
            self.deadline = now + CONTENT_DEADLINE;
        }
        let Some(reading) = &mut self.reading else { return Ok(None) };
        if !reading.1.take(&mut self.inbox)? {
            return Ok(None);
        }
        let complete = self.reading.take().map(|reading| {
            let (request, content) = *reading;
            Request { content: content.into_bytes(), ..request }
        });
        self.interim = false;
        self.resume(now);
        Ok(complete)
    }

    /// Whether the client waits for `100 Continue` before it sends the content (RFC 9110 §10.1.1). Said once.
    pub fn take_interim(&mut self) -> bool {
        std::mem::take(&mut self.interim)
    }

    fn read_head(&mut self) -> Result<Option<(Request, Option<Framing>, bool)>, StatusCode> {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut head = httparse::Request::new(&mut headers);
        let length = match head.parse(&self.inbox) {
            Ok(httparse::Status::Complete(length)) if length <= HEAD_BYTES_MAX => length,
            Ok(httparse::Status::Partial) if self.inbox.len() < HEAD_BYTES_MAX => return Ok(None),
            Ok(_) | Err(httparse::Error::TooManyHeaders) => return Err(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE),
            Err(httparse::Error::Version) => return Err(StatusCode::HTTP_VERSION_NOT_SUPPORTED),
            Err(_) => return Err(StatusCode::BAD_REQUEST),
        };
        let read = Request::read(&head)?;
        self.inbox.drain(..length);
        Ok(Some(read))
    }

    /// A response that took its time has been given: the next request starts to be awaited.
    pub fn resume(&mut self, now: Mono) {
        self.deadline = now + if self.inbox.is_empty() { IDLE_DEADLINE } else { HEAD_DEADLINE };
    }

    /// When to give up waiting for a request.
    pub fn deadline(&self) -> Mono {
        self.deadline
    }

    /// Whether nothing has come yet at all.
    pub fn is_fresh(&self) -> bool {
        self.fresh
    }

    /// Whether a part of a request is there: giving up is then worth a response.
    pub fn is_partial(&self) -> bool {
        !self.inbox.is_empty() || self.reading.is_some()
    }

    /// The bytes behind an upgrade request: they belong to the new protocol.
    pub fn into_rest(self) -> Vec<u8> {
        self.inbox
    }
}

/// While a request is being answered, the next ones wait.
const INBOX_BYTES_MAX: usize = 64 * 1024;

/// Whether a URL is one of this host.
fn names(url: &str, host: &str) -> bool {
    let authority = url.split_once("://").and_then(|(_, rest)| rest.split(['/', '?', '#']).next());
    authority.is_some_and(|authority| !host.is_empty() && authority.eq_ignore_ascii_case(host))
}

impl Request {
    /// The request without its content, how that is framed, and whether the client waits for leave to send it.
    fn read(head: &httparse::Request<'_, '_>) -> Result<(Request, Option<Framing>, bool), StatusCode> {
        let is_1_1 = head.version == Some(1);
        let mut headers = HeaderMap::with_capacity(head.headers.len());
        for field in head.headers.iter() {
            std::str::from_utf8(field.value).map_err(|_| StatusCode::BAD_REQUEST)?;
            let name = HeaderName::from_bytes(field.name.as_bytes()).map_err(|_| StatusCode::BAD_REQUEST)?;
            headers.append(name, HeaderValue::from_bytes(field.value).map_err(|_| StatusCode::BAD_REQUEST)?);
        }
        let mentions =
            |name, token: &str| all(&headers, name).flat_map(tokens).any(|one| one.eq_ignore_ascii_case(token));
        let interim = is_1_1 && all(&headers, header::EXPECT).any(|value| value.eq_ignore_ascii_case("100-continue"));
        // RFC 9112 §3.2: one Host field, else 400.
        if is_1_1 && all(&headers, header::HOST).count() != 1 {
            return Err(StatusCode::BAD_REQUEST);
        }
        let method = Method::from_bytes(head.method.unwrap_or_default().as_bytes());
        let method = method.map_err(|_| StatusCode::BAD_REQUEST)?;
        let target = head.path.unwrap_or_default();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let framing = framing(&headers, is_1_1)?;
        if framing.is_some() && matches!(method, Method::GET | Method::HEAD) {
            // Nothing takes it there, and a proxy in between may not see it (RFC 9110 §9.3.1).
            return Err(StatusCode::PAYLOAD_TOO_LARGE);
        }
        let is_upgrade = is_1_1
            && method == Method::GET
            && mentions(header::UPGRADE, "websocket")
            && mentions(header::CONNECTION, "upgrade");
        let upgrade = is_upgrade.then(|| Upgrade {
            key: last(&headers, header::SEC_WEBSOCKET_KEY).into(),
            version: last(&headers, header::SEC_WEBSOCKET_VERSION).into(),
            protocols: all(&headers, header::SEC_WEBSOCKET_PROTOCOL).flat_map(tokens).map(Box::from).collect(),
        });
        let keep_alive = is_1_1 && !mentions(header::CONNECTION, "close");
        let host = last(&headers, header::HOST);
        let referer = || all(&headers, header::REFERER).last().filter(|url| !names(url, host));
        let origin = all(&headers, header::ORIGIN).last().or_else(referer).map(Box::from);
        let request = Request {
            method,
            path: path.into(),
            query: query.into(),
            keep_alive,
            upgrade,
            origin,
            headers,
            content: Vec::new(),
        };
        Ok((request, framing, interim))
    }

    /// The value of a header field; none without one.
    pub fn header(&self, name: HeaderName) -> Option<&str> {
        all(&self.headers, name).last()
    }

    /// The first value of a name in the query, decoded as forms are; none when it is absent or not UTF-8.
    pub fn parameter(&self, name: &str) -> Option<String> {
        let value = self.query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))?;
        let escapes = value.split('%').skip(1);
        let are_whole = escapes.map(str::as_bytes).all(|it| it.len() > 1 && it[..2].iter().all(u8::is_ascii_hexdigit));
        let decoded = percent_decode_str(&value.replace('+', " ")).decode_utf8().ok()?.into_owned();
        are_whole.then_some(decoded)
    }
}

/// How the content is framed. Repeated lengths have to agree.
fn framing(headers: &HeaderMap, is_1_1: bool) -> Result<Option<Framing>, StatusCode> {
    let mut lengths = all(headers, header::CONTENT_LENGTH);
    let mut codings = all(headers, header::TRANSFER_ENCODING);
    let (length, coding) = (lengths.next(), codings.next());
    if lengths.any(|other| Some(other) != length) {
        return Err(StatusCode::BAD_REQUEST);
    }
    if codings.next().is_some() {
        return Err(StatusCode::NOT_IMPLEMENTED);
    }
    Framing::of(length, coding, is_1_1)
}

/// The values of a header field, in order, without the space around them.
fn all(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &str> {
    headers.get_all(name).iter().map(|value| std::str::from_utf8(value.as_bytes()).unwrap_or_default().trim())
}

/// The value of a header field that should stand once; empty without one.
fn last(headers: &HeaderMap, name: HeaderName) -> &str {
    all(headers, name).last().unwrap_or_default()
}

fn tokens(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim).filter(|token| !token.is_empty())
}

/// A status as the first line of a response has it (RFC 9112 §4).
fn line(status: StatusCode) -> String {
    format!("{} {}", status.as_str(), status.canonical_reason().unwrap_or_default())
}

/// A response.
#[derive(Debug)]
pub struct Response<'a> {
    /// How it went.
    pub status: StatusCode,
    /// `Content-Type`, said when there is content.
    pub content_type: &'a str,
    pub fields: &'a [(&'a str, &'a str)],
    pub content: Cow<'a, [u8]>,
}

impl Response<'_> {
    /// A response whose content is its status in words.
    pub fn plain(status: StatusCode) -> Response<'static> {
        let content = Cow::Owned(line(status).into_bytes());
        Response { status, content_type: "text/plain; charset=utf-8", fields: &[], content }
    }

    /// A response without content.
    pub fn empty<'a>(status: StatusCode, fields: &'a [(&'a str, &'a str)]) -> Response<'a> {
        Response { status, content_type: "", fields, content: Cow::Borrowed(b"") }
    }

    /// Composes it; to `HEAD` without the content.
    pub fn compose(&self, method: &Method, keep_alive: bool, out: &mut Vec<u8>) {
        let Response { status, content_type, fields, content } = self;
        let mut head = format!(
            "HTTP/1.1 {}\r\nContent-Length: {}\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n",
            line(*status),
            content.len(),
        );
        if !content.is_empty() {
            head.push_str(&format!("Content-Type: {content_type}\r\n"));
        }
        for (name, value) in *fields {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if !keep_alive {
            head.push_str("Connection: close\r\n");
        }
        head.push_str("\r\n");
        out.extend_from_slice(head.as_bytes());
        if *method != Method::HEAD {
            out.extend_from_slice(content);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn poll(bytes: &[u8]) -> Result<Option<Request>, StatusCode> {
        let mut http = Http::new(Mono(0));
        assert!(http.receive(Mono(0), bytes));
        http.poll(Mono(0))
    }

    #[test]
    fn requests_may_arrive_in_pieces_and_several_at_once() {
        let bytes = b"GET /a?x=1 HTTP/1.1\r\nHost: h\r\n\r\nHEAD /b HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
        for cut in 0..bytes.len() {
            let mut http = Http::new(Mono(0));
            let mut seen = Vec::new();
            for part in [&bytes[..cut], &bytes[cut..]] {
                assert!(http.receive(Mono(0), part));
                while let Some(request) = http.poll(Mono(0)).unwrap() {
                    seen.push((request.method, request.path.to_string(), request.keep_alive));
                }
            }
            assert_eq!(seen, [(Method::GET, "/a".into(), true), (Method::HEAD, "/b".into(), false)]);
            assert!(!http.is_partial());
        }
    }

    #[test]
    fn an_upgrade_needs_both_fields() {
        let request = poll(
            b"GET /x HTTP/1.1\r\nHost: h\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n\
              Sec-WebSocket-Key: k\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: a, janus-protocol\r\n\r\n",
        );
        let upgrade = request.unwrap().unwrap().upgrade.unwrap();
        assert_eq!((&*upgrade.key, &*upgrade.version), ("k", "13"));
        assert_eq!(upgrade.protocols, [Box::from("a"), Box::from("janus-protocol")]);
        let request = poll(b"GET /x HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\n\r\n");
        assert_eq!(request.unwrap().unwrap().upgrade, None);
    }

    #[test]
    fn heads_are_bounded_in_bytes_and_fields() {
        let mut long = b"GET / HTTP/1.1\r\nHost: h\r\nX: ".to_vec();
        long.resize(HEAD_BYTES_MAX, b'a');
        assert_eq!(poll(&long), Err(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE));
        long.extend_from_slice(b"\r\n\r\n");
        assert_eq!(poll(&long), Err(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE));
        let many = format!("GET / HTTP/1.1\r\nHost: h\r\n{}\r\n", "X: y\r\n".repeat(HEADERS_MAX));
        assert_eq!(poll(many.as_bytes()), Err(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE));
        let mut http = Http::new(Mono(0));
        assert!(!http.receive(Mono(0), &vec![b'a'; INBOX_BYTES_MAX + 1]));
    }

    #[test]
    fn what_is_not_a_plain_request_is_refused() {
        assert_eq!(poll(b"\x16\x03\x01\x02\x00\x01"), Err(StatusCode::BAD_REQUEST));
        assert_eq!(poll(b"GET / HTTP/1.1\r\n\r\n"), Err(StatusCode::BAD_REQUEST));
        assert_eq!(poll(b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"), Err(StatusCode::BAD_REQUEST));
        assert_eq!(poll(b"GET / HTTP/3.0\r\nHost: a\r\n\r\n"), Err(StatusCode::HTTP_VERSION_NOT_SUPPORTED));
        assert_eq!(
            poll(b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"),
            Err(StatusCode::PAYLOAD_TOO_LARGE)
        );
    }

    #[test]
    fn content_is_awaited_and_the_request_behind_it_is_found() {
        let sized = "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nabcde";
        let chunked = "POST /b HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: Chunked\r\n\r\n3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nT: t\r\n\r\n";
        let bytes = format!("{sized}{chunked}OPTIONS /c HTTP/1.1\r\nHost: h\r\n\r\n").into_bytes();
        for size in 1..bytes.len() {
            let mut http = Http::new(Mono(0));
            let mut seen = Vec::new();
            for part in bytes.chunks(size) {
                assert!(http.receive(Mono(0), part));
                while let Some(request) = http.poll(Mono(0)).unwrap() {
                    seen.push((request.method, request.path.to_string(), request.content));
                }
            }
            let expected = [
                (Method::POST, "/a".into(), b"abcde".to_vec()),
                (Method::POST, "/b".into(), b"abcde".to_vec()),
                (Method::OPTIONS, "/c".into(), vec![]),
            ];
            assert_eq!(seen, expected, "in pieces of {size}");
            assert!(!http.is_partial());
        }
    }

    #[test]
    fn a_client_that_waits_for_leave_is_given_it_once() {
        let mut http = Http::new(Mono(0));
        http.receive(Mono(0), b"POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
        assert_eq!(http.poll(Mono(0)), Ok(None));
        assert!(http.take_interim() && !http.take_interim() && http.is_partial());
        assert_eq!(http.deadline(), Mono(0) + CONTENT_DEADLINE);
        http.receive(Mono(5), b"ab");
        assert_eq!(http.poll(Mono(5)).unwrap().unwrap().content, b"ab");
        assert_eq!(http.deadline(), Mono(5) + IDLE_DEADLINE);
    }

    #[test]
    fn parameters_are_decoded_and_what_cannot_be_is_absent() {
        let request =
            poll(b"GET /x?a=1&secret=%c3%A4+b%26&a=2&bad=%zz&odd HTTP/1.1\r\nHost: h\r\n\r\n").unwrap().unwrap();
        assert_eq!(request.parameter("a").as_deref(), Some("1"));
        assert_eq!(request.parameter("secret").as_deref(), Some("ä b&"));
        assert_eq!((request.parameter("bad"), request.parameter("odd"), request.parameter("b")), (None, None, None));
    }

    #[test]
    fn a_slow_head_does_not_postpone_its_deadline() {
        let mut http = Http::new(Mono(0));
        let second = Duration::from_secs(1);
        for at in 0..9 {
            assert!(http.receive(Mono(0) + second * at, b"G"));
            assert_eq!(http.deadline(), Mono(0) + HEAD_DEADLINE);
        }
        let mut http = Http::new(Mono(0));
        http.receive(Mono(0), b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        http.poll(Mono(0)).unwrap().unwrap();
        assert_eq!(http.deadline(), Mono(0) + IDLE_DEADLINE);
        http.receive(Mono(0) + second, b"G");
        assert_eq!(http.deadline(), Mono(0) + second + HEAD_DEADLINE);
        http.receive(Mono(0) + second * 5, b"E");
        assert_eq!(http.deadline(), Mono(0) + second + HEAD_DEADLINE);
    }

    #[test]
    fn a_response_to_head_has_the_length_but_not_the_content() {
        let mut out = Vec::new();
        Response::plain(StatusCode::NOT_FOUND).compose(&Method::HEAD, false, &mut out);
        let text = String::from_utf8(out).unwrap();
        assert!(text.starts_with("HTTP/1.1 404 Not Found\r\n"));
        assert!(text.contains("Content-Length: 13\r\n") && text.contains("Connection: close\r\n"));
        assert!(text.ends_with("\r\n\r\n"));
    }
}
