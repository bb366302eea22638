//! The little of HTTP/1.1 that a client of ours needs: the head of a response, and the end of what follows (RFC 9112).

use super::stream::Stream;
use std::io::{self, ErrorKind, Read};

/// A response's head is no longer than this.
const HEAD_MAX: usize = 16 << 10;
/// Nor what is read behind it; a longer one costs the connection.
const CONTENT_MAX: u64 = 64 << 10;
const FIELDS_MAX: usize = 64;

/// The head of a response.
pub struct Head {
    pub status: u16,
    /// Names in lower case, and values.
    pub fields: Vec<(String, String)>,
    /// What came behind it.
    pub rest: Vec<u8>,
}

impl Head {
    /// Reads one, interim ones (RFC 9110 §15.2) passed over but for 101.
    pub fn read(stream: &mut Stream) -> io::Result<Head> {
        let mut bytes = Vec::new();
        loop {
            match Head::parse(&bytes)? {
                Some(head) if (100..200).contains(&head.status) && head.status != 101 => bytes = head.rest,
                Some(head) => return Ok(head),
                None if bytes.len() > HEAD_MAX => return Err(invalid("the response's head is too long")),
                None => {
                    let mut chunk = [0; 4096];
                    let count = stream.read(&mut chunk)?;
                    if count == 0 {
                        return Err(ErrorKind::UnexpectedEof.into());
                    }
                    bytes.extend_from_slice(&chunk[..count]);
                }
            }
        }
    }

    fn parse(bytes: &[u8]) -> io::Result<Option<Head>> {
        let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
        let mut response = httparse::Response::new(&mut fields);
        match response.parse(bytes).map_err(|_| invalid("the response is not HTTP"))? {
            httparse::Status::Partial => Ok(None),
            httparse::Status::Complete(len) => {
                let field = |field: &httparse::Header<'_>| {
                    (field.name.to_ascii_lowercase(), String::from_utf8_lossy(field.value).trim().to_owned())
                };
                Ok(Some(Head {
                    status: response.code.unwrap_or_default(),
                    fields: response.headers.iter().map(field).collect(),
                    rest: bytes[len..].to_vec(),
                }))
            }
        }
    }

    /// The value of a field.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(known, _)| known == name).map(|(_, value)| &**value)
    }

    /// Reads what the response says behind its head, if that is plain and short. Whether the connection can go on.
    pub fn pass_content(&self, stream: &mut Stream) -> bool {
        let closes = self.field("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
        let length = match (self.status, self.field("content-length"), self.field("transfer-encoding")) {
            (204, _, _) => 0,
            (_, Some(length), None) => length.parse().unwrap_or(u64::MAX),
            _ => u64::MAX,
        };
        let came = u64::try_from(self.rest.len()).unwrap_or(u64::MAX);
        if closes || length > CONTENT_MAX || came > length {
            return false;
        }
        let passed = io::copy(&mut stream.take(length - came), &mut io::sink());
        passed.is_ok_and(|passed| passed == length - came)
    }
}

fn invalid(sentence: &'static str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, sentence)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_taken_when_it_is_complete() {
        let head = Head::parse(b"HTTP/1.1 503 Busy\r\nContent-Length:  4 \r\nX: y\r\n\r\nrest").unwrap().unwrap();
        assert_eq!((head.status, head.field("content-length"), &*head.rest), (503, Some("4"), &b"rest"[..]));
        assert!(Head::parse(b"HTTP/1.1 200 OK\r\nContent-").unwrap().is_none());
        assert!(Head::parse(b"SSH-2.0-x\r\n\r\n").is_err());
    }
}
