//! A look at a datagram's records before the library sees them (RFC 6347 §4.1, §4.2.2). The library ends the association on some
//! malformed plaintext records, which anyone who can forge an address can send; here they are dropped. No state, no keys.

use crate::wire::error::WireError;
use crate::wire::reader::Reader;

/// Longest handshake message taken. The library sets memory aside for what a fragment claims, seven messages at a time;
/// a Certificate message with a chain of a few RSA certificates stays under half of this.
const HANDSHAKE_MESSAGE_MAX: u32 = 16 * 1024;

/// Cipher suites of a ClientHello that are remembered, for the log.
const SUITES_MAX: usize = 64;

/// The longest prefix of `datagram` that is whole, well-formed records; empty when the first is not.
pub(super) fn well_formed(datagram: &[u8]) -> &[u8] {
    let mut reader = Reader::new(datagram);
    let mut good = 0;
    while !reader.is_empty() && record(&mut reader) == Ok(true) {
        good = datagram.len() - reader.len();
    }
    &datagram[..good]
}

/// Whether well-formed records begin with a piece of a ClientHello; only that begins an association.
pub(super) fn is_client_hello(records: &[u8]) -> bool {
    matches!(records, [22, _, _, 0, 0, ..]) && records.get(13) == Some(&1)
}

/// The random of a ClientHello, which its repetitions share (RFC 6347 §4.2.1): none in a later fragment of it.
pub(super) fn client_random(records: &[u8]) -> Option<[u8; 32]> {
    if !is_client_hello(records) {
        return None;
    }
    let message = &records[13..];
    let (offset, body) = (message.get(6..9)?, message.get(12..)?);
    (offset == [0; 3]).then(|| body.get(2..34)?.try_into().ok()).flatten()
}

/// The cipher suites of a ClientHello that is whole in the first record (RFC 5246 §7.4.1.2, RFC 6347 §4.2.1); none otherwise.
pub(super) fn offered_suites(records: &[u8]) -> Box<[u16]> {
    let read = || -> Result<Box<[u16]>, WireError> {
        let mut reader = Reader::new(records);
        reader.take(13 + 12, "record and message header")?;
        reader.take(2 + 32, "client_version and random")?;
        for what in ["session_id", "cookie"] {
            let len = reader.u8(what)?;
            reader.take(len.into(), what)?;
        }
        let len = reader.u16("cipher_suites")?;
        let suites = reader.take(len.into(), "cipher_suites")?;
        Ok(suites.chunks_exact(2).map(|suite| u16::from_be_bytes([suite[0], suite[1]])).take(SUITES_MAX).collect())
    };
    read().unwrap_or_default()
}

/// Consumes one record and says whether it may pass.
fn record(reader: &mut Reader<'_>) -> Result<bool, WireError> {
    let content_type = reader.u8("content type")?;
    let version = reader.u16("record version")?;
    let epoch = reader.u16("epoch")?;
    reader.take(6, "record sequence number")?;
    let length = reader.u16("record length")?;
    let fragment = reader.take(length.into(), "record fragment")?;
    if version >> 8 != 0xfe || fragment.is_empty() {
        return Ok(false);
    }
    Ok(match content_type {
        20..=23 if epoch != 0 => true, // sealed: the library's authentication decides
        20 => fragment == [1],         // change_cipher_spec, RFC 5246 §7.1
        // Anyone can forge an alert in the clear, and "an attacker can cause the connection to be torn down" with it
        // (RFC 6347 §4.1.2.7): a peer that gives up before there are keys is noticed by its silence.
        21 => false,
        22 => handshake(Reader::new(fragment))?,
        _ => false, // application data in the clear, heartbeats, connection ids, DTLS 1.3
    })
}

/// Whether a plaintext record holds nothing but consistent handshake fragments.
fn handshake(mut reader: Reader<'_>) -> Result<bool, WireError> {
    while !reader.is_empty() {
        reader.u8("msg_type")?;
        let length = reader.u24("length")?;
        reader.u16("message_seq")?;
        let offset = reader.u24("fragment_offset")?;
        let fragment = reader.u24("fragment_length")?;
        if length > HANDSHAKE_MESSAGE_MAX || offset + fragment > length {
            return Ok(false);
        }
        reader.take(usize::try_from(fragment).unwrap_or(usize::MAX), "fragment")?;
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record_of(content_type: u8, epoch: u8, fragment: &[u8]) -> Vec<u8> {
        let length = u16::try_from(fragment.len()).unwrap().to_be_bytes();
        [&[content_type, 0xfe, 0xfd, 0, epoch, 0, 0, 0, 0, 0, 9][..], &length[..], fragment].concat()
    }

    fn hello(length: u8, offset: u8, fragment: u8) -> Vec<u8> {
        let header = [1, 0, 0, length, 0, 0, 0, 0, offset, 0, 0, fragment];
        [&header[..], &vec![7; fragment.into()][..]].concat()
    }

    #[test]
    fn plaintext_that_the_handshake_has_no_use_for_is_dropped() {
        for good in [
            record_of(20, 0, &[1]),
            record_of(21, 1, &[2, 40]),
            record_of(22, 0, &hello(9, 4, 5)),
            record_of(23, 1, &[0; 30]),
        ] {
            assert_eq!(well_formed(&good), good);
        }
        let mut version = record_of(20, 0, &[1]);
        version[1] = 3;
        let mut huge = hello(9, 0, 9);
        huge[1] = 1;
        for bad in [
            vec![],
            version,
            record_of(20, 0, &[2]),
            record_of(21, 0, &[2, 40]),
            record_of(21, 0, &[1, 0]),
            record_of(21, 0, &[2]),
            record_of(22, 0, &[]),
            record_of(22, 0, &hello(9, 5, 5)),
            record_of(22, 0, &hello(9, 0, 9)[..20]),
            record_of(22, 0, &huge),
            record_of(23, 0, b"in the clear"),
            record_of(24, 1, &[0; 30]),
            record_of(22, 0, &hello(9, 0, 9))[..20].to_vec(),
        ] {
            assert_eq!(well_formed(&bad), b"", "{bad:?}");
        }
    }

    #[test]
    fn only_a_client_hello_in_the_clear_begins() {
        assert!(is_client_hello(&record_of(22, 0, &hello(9, 4, 5))));
        let server_hello = [&[2], &hello(9, 0, 9)[1..]].concat();
        for other in
            [record_of(22, 0, &server_hello), record_of(22, 1, &hello(9, 0, 9)), record_of(21, 0, &[1, 0]), vec![]]
        {
            assert!(!is_client_hello(&other));
        }
    }

    #[test]
    fn a_client_hello_is_told_from_another_by_its_random() {
        let whole = [&[1, 0, 0, 40, 0, 0, 0, 0, 0, 0, 0, 40, 0xfe, 0xfd][..], &[9; 32], &[0; 6]].concat();
        assert_eq!(client_random(&record_of(22, 0, &whole)), Some([9; 32]));
        for without in [record_of(22, 0, &hello(60, 20, 40)), record_of(22, 0, &hello(60, 0, 33)), vec![]] {
            assert_eq!(client_random(&without), None);
        }
    }

    #[test]
    fn records_before_the_first_bad_one_are_kept() {
        let good = [record_of(22, 0, &hello(9, 0, 9)), record_of(20, 0, &[1])].concat();
        assert_eq!(well_formed(&[&good[..], &record_of(23, 0, b"x")[..]].concat()), good);
        assert_eq!(well_formed(&[&good[..], &[22, 0xfe][..]].concat()), good);
    }
}
