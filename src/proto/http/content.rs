//! The content of a request: how its length is told, and taking it out of what arrives (RFC 9112 §6, §7.1). Two ways of
//! telling the length at once are refused: every quarrel about it is a door for smuggled requests (§11.2).

use http::StatusCode;

use super::{HEAD_BYTES_MAX, HEADERS_MAX};
use crate::limits::MESSAGE_JSON_MAX;

/// A chunk's size with its extensions, which nobody sends.
const CHUNK_LINE_MAX: usize = 256;

/// How long a content is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// `Content-Length`, more than 0.
    Length(usize),
    /// `Transfer-Encoding: chunked`
    Chunked,
}

impl Framing {
    /// Reads both fields; none when there is no content.
    pub fn of(length: Option<&str>, coding: Option<&str>, is_1_1: bool) -> Result<Option<Framing>, StatusCode> {
        match (length, coding) {
            (None, None) => Ok(None),
            (None, Some(coding)) if is_1_1 && coding.eq_ignore_ascii_case("chunked") => Ok(Some(Framing::Chunked)),
            (None, Some(_)) if is_1_1 => Err(StatusCode::NOT_IMPLEMENTED),
            (Some(length), None) if !length.is_empty() && length.bytes().all(|byte| byte.is_ascii_digit()) => {
                // All digits: what does not fit is too large.
                match length.parse().map_err(|_| StatusCode::PAYLOAD_TOO_LARGE)? {
                    0 => Ok(None),
                    length => Ok(Some(Framing::Length(length))),
                }
            }
            _ => Err(StatusCode::BAD_REQUEST),
        }
    }
}

/// A content that is arriving.
#[derive(Debug)]
pub(super) struct Content {
    bytes: Vec<u8>,
    state: State,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// So many bytes are missing.
    Sized(usize),
    /// A line with the size of the next chunk.
    ChunkSize,
    /// So many bytes of a chunk are missing.
    Chunk(usize),
    /// The line end behind a chunk.
    ChunkEnd,
    /// Fields behind the last chunk; none of them matters.
    Trailers,
}

impl Content {
    /// One of which nothing has arrived. More than [`MESSAGE_JSON_MAX`] is refused at once.
    pub fn new(framing: Framing) -> Result<Content, StatusCode> {
        let state = match framing {
            Framing::Length(length) if length > MESSAGE_JSON_MAX => return Err(StatusCode::PAYLOAD_TOO_LARGE),
            Framing::Length(length) => State::Sized(length),
            Framing::Chunked => State::ChunkSize,
        };
        Ok(Content { bytes: Vec::new(), state })
    }

    /// Takes what belongs to the content from the front of `inbox`. True when it is complete.
    pub fn take(&mut self, inbox: &mut Vec<u8>) -> Result<bool, StatusCode> {
        let mut at = 0;
        let complete = self.read(inbox, &mut at);
        inbox.drain(..at);
        complete
    }

    /// The content.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    fn read(&mut self, inbox: &[u8], at: &mut usize) -> Result<bool, StatusCode> {
        loop {
            let rest = &inbox[*at..];
            match self.state {
                State::Sized(missing) => {
                    let missing = self.copy(rest, missing, at);
                    self.state = State::Sized(missing);
                    return Ok(missing == 0);
                }
                State::ChunkSize => {
                    let Some((line, size)) = chunk_size(rest)? else { return Ok(false) };
                    *at += line;
                    if size > MESSAGE_JSON_MAX - self.bytes.len() {
                        return Err(StatusCode::PAYLOAD_TOO_LARGE);
                    }
                    self.state = if size == 0 { State::Trailers } else { State::Chunk(size) };
                }
                State::Chunk(missing) => {
                    let missing = self.copy(rest, missing, at);
                    self.state = if missing == 0 { State::ChunkEnd } else { State::Chunk(missing) };
                    if missing > 0 {
                        return Ok(false);
                    }
                }
                State::ChunkEnd => match rest {
                    [b'\r', b'\n', ..] => {
                        *at += 2;
                        self.state = State::ChunkSize;
                    }
                    [] | [b'\r'] => return Ok(false),
                    _ => return Err(StatusCode::BAD_REQUEST),
                },
                State::Trailers => {
                    let Some(length) = trailers(rest)? else { return Ok(false) };
                    *at += length;
                    return Ok(true);
                }
            }
        }
    }

    /// Copies what is there of `missing` bytes; how many are still missing.
    fn copy(&mut self, rest: &[u8], missing: usize, at: &mut usize) -> usize {
        let count = missing.min(rest.len());
        self.bytes.extend_from_slice(&rest[..count]);
        *at += count;
        missing - count
    }
}

/// The length of a chunk's first line, and its size.
fn chunk_size(rest: &[u8]) -> Result<Option<(usize, usize)>, StatusCode> {
    match httparse::parse_chunk_size(rest) {
        Ok(httparse::Status::Complete((line, size))) if line <= CHUNK_LINE_MAX => {
            let size = usize::try_from(size).map_err(|_| StatusCode::PAYLOAD_TOO_LARGE)?;
            Ok(Some((line, size)))
        }
        Ok(httparse::Status::Partial) if rest.len() < CHUNK_LINE_MAX => Ok(None),
        _ => Err(StatusCode::BAD_REQUEST),
    }
}

/// The length of the trailer section with the empty line that ends it.
fn trailers(rest: &[u8]) -> Result<Option<usize>, StatusCode> {
    let mut fields = [httparse::EMPTY_HEADER; HEADERS_MAX];
    match httparse::parse_headers(rest, &mut fields) {
        Ok(httparse::Status::Complete((length, _))) if length <= HEAD_BYTES_MAX => Ok(Some(length)),
        Ok(httparse::Status::Partial) if rest.len() < HEAD_BYTES_MAX => Ok(None),
        Ok(_) | Err(httparse::Error::TooManyHeaders) => Err(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE),
        Err(_) => Err(StatusCode::BAD_REQUEST),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunked(text: &str) -> Result<Option<Vec<u8>>, StatusCode> {
        let mut content = Content::new(Framing::Chunked).unwrap();
        let mut inbox = text.as_bytes().to_vec();
        Ok(content.take(&mut inbox)?.then(|| content.into_bytes()))
    }

    #[test]
    fn a_length_is_one_number_and_never_beside_a_coding() {
        assert_eq!(Framing::of(None, None, true), Ok(None));
        assert_eq!(Framing::of(Some("0"), None, true), Ok(None));
        assert_eq!(Framing::of(Some("12"), None, false), Ok(Some(Framing::Length(12))));
        assert_eq!(Framing::of(None, Some("chunked"), true), Ok(Some(Framing::Chunked)));
        for length in ["", "+1", "-1", "1 ", "1,1", "0x1"] {
            assert_eq!(Framing::of(Some(length), None, true), Err(StatusCode::BAD_REQUEST), "{length:?}");
        }
        assert_eq!(Framing::of(Some("3"), Some("chunked"), true), Err(StatusCode::BAD_REQUEST));
        assert_eq!(Framing::of(None, Some("chunked"), false), Err(StatusCode::BAD_REQUEST));
        assert_eq!(Framing::of(None, Some("gzip, chunked"), true), Err(StatusCode::NOT_IMPLEMENTED));
        assert_eq!(Framing::of(Some("99999999999999999999999"), None, true), Err(StatusCode::PAYLOAD_TOO_LARGE));
    }

    #[test]
    fn chunks_are_joined_and_malformed_ones_refused() {
        assert_eq!(chunked("1\r\na\r\nA\r\n0123456789\r\n0\r\n\r\n"), Ok(Some(b"a0123456789".to_vec())));
        assert_eq!(chunked("1\r\na\r\n0\r\nX: y\r\n"), Ok(None));
        for wrong in ["x\r\n", "1\r\nab", "1\na\r\n", "-1\r\n", &format!("1;{}", "x".repeat(CHUNK_LINE_MAX))] {
            assert_eq!(chunked(wrong), Err(StatusCode::BAD_REQUEST), "{wrong:?}");
        }
    }

    #[test]
    fn content_is_bounded_however_it_is_framed() {
        assert!(Content::new(Framing::Length(MESSAGE_JSON_MAX)).is_ok());
        assert_eq!(Content::new(Framing::Length(MESSAGE_JSON_MAX + 1)).unwrap_err(), StatusCode::PAYLOAD_TOO_LARGE);
        assert_eq!(chunked(&format!("{:x}\r\n", MESSAGE_JSON_MAX + 1)), Err(StatusCode::PAYLOAD_TOO_LARGE));
        assert_eq!(chunked(&format!("1\r\na\r\n{MESSAGE_JSON_MAX:x}\r\n")), Err(StatusCode::PAYLOAD_TOO_LARGE));
        assert_eq!(chunked("ffffffffffffffff\r\n"), Err(StatusCode::PAYLOAD_TOO_LARGE));
        let endless = format!("0\r\n{}", "X: y\r\n".repeat(HEADERS_MAX + 1));
        assert_eq!(chunked(&endless), Err(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE));
    }
}
