//! Splits one text into the JSON documents it holds and parses each. Clients may send several in one WebSocket message;
//! all are parsed before any is executed, so that one that is malformed refuses the whole message (RFC 8259).

use std::fmt;
use std::ops::Range;

use simd_json::Buffers;
use simd_json::borrowed::{Value, to_value_with_buffers};
use smallvec::SmallVec;

use crate::limits::JSON_DEPTH_MAX;

/// Documents in one message; clients are known to send two or three.
pub const DOCUMENTS_MAX: usize = 64;

/// Why a text is not a sequence of JSON documents; carries the byte where it was noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DocumentError {
    /// No document at all.
    Empty,
    /// The text ends inside a document.
    Truncated,
    /// A byte that cannot stand there.
    Unexpected(usize),
    /// Nested deeper than [`JSON_DEPTH_MAX`].
    TooDeep(usize),
    /// More than [`DOCUMENTS_MAX`].
    TooMany,
    /// The grammar is violated somewhere in the document that starts here.
    Malformed(usize),
}

impl fmt::Display for DocumentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DocumentError::Empty => f.write_str("empty message"),
            DocumentError::Truncated => f.write_str("premature end of the message"),
            DocumentError::Unexpected(at) => write!(f, "unexpected character at byte {at}"),
            DocumentError::TooDeep(at) => write!(f, "nested too deeply at byte {at}"),
            DocumentError::TooMany => f.write_str("too many documents in one message"),
            DocumentError::Malformed(at) => write!(f, "malformed document at byte {at}"),
        }
    }
}

impl std::error::Error for DocumentError {}

impl DocumentError {
    /// The line of `text` where it was noticed, counted from 1.
    pub fn line(self, text: &[u8]) -> usize {
        let at = match self {
            DocumentError::Empty => 0,
            DocumentError::Truncated | DocumentError::TooMany => text.len(),
            DocumentError::Unexpected(at) | DocumentError::TooDeep(at) | DocumentError::Malformed(at) => at,
        };
        1 + text.iter().take(at).filter(|byte| **byte == b'\n').count()
    }
}

/// Parses every document of `text`, which is changed in place and borrowed by the values.
pub fn parse<'t>(text: &'t mut [u8], buffers: &mut Buffers) -> Result<SmallVec<[Value<'t>; 2]>, DocumentError> {
    let ranges = split(text)?;
    let mut values = SmallVec::new();
    let mut rest = text;
    let mut offset = 0;
    for range in ranges {
        let (_, tail) = rest.split_at_mut(range.start - offset);
        let (document, tail) = tail.split_at_mut(range.len());
        values.push(to_value_with_buffers(document, buffers).map_err(|_| DocumentError::Malformed(range.start))?);
        rest = tail;
        offset = range.end;
    }
    Ok(values)
}

/// Where each document stands: an object or an array (a bare value is none to Janus). Only brackets and strings are understood here; the parser judges the rest.
pub fn split(text: &[u8]) -> Result<SmallVec<[Range<usize>; 2]>, DocumentError> {
    let mut ranges = SmallVec::new();
    let mut at = 0;
    loop {
        while text.get(at).is_some_and(|byte| is_space(*byte)) {
            at += 1;
        }
        let Some(first) = text.get(at) else { break };
        if ranges.len() == DOCUMENTS_MAX {
            return Err(DocumentError::TooMany);
        }
        if !matches!(first, b'{' | b'[') {
            return Err(DocumentError::Unexpected(at));
        }
        let end = end_of_container(text, at)?;
        ranges.push(at..end);
        at = end;
    }
    if ranges.is_empty() { Err(DocumentError::Empty) } else { Ok(ranges) }
}

fn end_of_container(text: &[u8], start: usize) -> Result<usize, DocumentError> {
    let mut depth = 0;
    let mut at = start;
    while let Some(byte) = text.get(at) {
        match byte {
            b'"' => {
                at = end_of_string(text, at)?;
                continue;
            }
            b'{' | b'[' => {
                depth += 1;
                if depth > JSON_DEPTH_MAX {
                    return Err(DocumentError::TooDeep(at));
                }
            }
            b'}' | b']' => {
                depth -= 1;
                if depth == 0 {
                    return Ok(at + 1);
                }
            }
            _ => {}
        }
        at += 1;
    }
    Err(DocumentError::Truncated)
}

fn end_of_string(text: &[u8], start: usize) -> Result<usize, DocumentError> {
    let mut at = start + 1;
    while let Some(byte) = text.get(at) {
        match byte {
            b'\\' => at += 2,
            b'"' => return Ok(at + 1),
            _ => at += 1,
        }
    }
    Err(DocumentError::Truncated)
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(text: &str) -> Result<usize, DocumentError> {
        let mut bytes = text.as_bytes().to_vec();
        parse(&mut bytes, &mut Buffers::default()).map(|values| values.len())
    }

    #[test]
    fn documents_may_touch_or_be_apart() {
        assert_eq!(count("{}"), Ok(1));
        assert_eq!(count("{\"a\":1}{\"b\":[{}]}"), Ok(2));
        assert_eq!(count(" {}\r\n\t[] {\"x\":12}\n"), Ok(3));
    }

    #[test]
    fn brackets_in_strings_do_not_count() {
        assert_eq!(count(r#"{"a":"}{\"\\"}{"b":"[["}"#), Ok(2));
    }

    #[test]
    fn one_malformed_document_refuses_all() {
        assert_eq!(count("{}{\"a\":}"), Err(DocumentError::Malformed(2)));
        assert_eq!(count("{}{\"a\":1"), Err(DocumentError::Truncated));
        assert_eq!(count("{},{}"), Err(DocumentError::Unexpected(2)));
        assert_eq!(count("{\"a\":\"\\"), Err(DocumentError::Truncated));
        assert_eq!(count("{]"), Err(DocumentError::Malformed(0)));
        for bare in ["nil", "12", "\"x\"", "true"] {
            assert_eq!(count(bare), Err(DocumentError::Unexpected(0)), "{bare}");
        }
        let text = "{\n}\n,";
        assert_eq!(count(text).unwrap_err().line(text.as_bytes()), 3);
    }

    #[test]
    fn an_empty_message_is_an_error() {
        assert_eq!(count(""), Err(DocumentError::Empty));
        assert_eq!(count("  \n"), Err(DocumentError::Empty));
    }

    #[test]
    fn depth_and_number_are_bounded() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert_eq!(count(&nested(JSON_DEPTH_MAX)), Ok(1));
        assert_eq!(count(&nested(JSON_DEPTH_MAX + 1)), Err(DocumentError::TooDeep(JSON_DEPTH_MAX)));
        assert_eq!(count(&"{}".repeat(DOCUMENTS_MAX)), Ok(DOCUMENTS_MAX));
        assert_eq!(count(&"{}".repeat(DOCUMENTS_MAX + 1)), Err(DocumentError::TooMany));
    }
}
