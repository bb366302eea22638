//! The hash of a certificate as SDP carries it, `a=fingerprint:sha-256 AA:BB:..` (RFC 8122 §5). Only sha-256, which every
//! browser sends; the attribute's line itself belongs to the SDP reader.

use std::fmt;

/// A SHA-256 certificate fingerprint. Equality takes constant time.
#[derive(Clone, Copy, Debug)]
pub struct Fingerprint(pub [u8; 32]);

/// Why a fingerprint was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FingerprintError {
    /// Not sha-256.
    HashFunction,
    /// Not 32 pairs of hexadecimal digits with colons between them.
    Syntax,
}

impl Fingerprint {
    /// The hash function's name in SDP.
    pub const HASH: &'static str = "sha-256";

    /// Reads the attribute's two words. Case does not matter in either: RFC 8122 wants upper-case digits, but not everyone does.
    pub fn parse(hash: &str, value: &str) -> Result<Self, FingerprintError> {
        if !hash.eq_ignore_ascii_case(Self::HASH) {
            return Err(FingerprintError::HashFunction);
        }
        let mut bytes = [0; 32];
        let mut pairs = value.split(':');
        for byte in &mut bytes {
            *byte = pairs.next().and_then(octet).ok_or(FingerprintError::Syntax)?;
        }
        if pairs.next().is_some() { Err(FingerprintError::Syntax) } else { Ok(Fingerprint(bytes)) }
    }
}

/// The attribute's second word.
impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, byte) in self.0.iter().enumerate() {
            write!(f, "{}{byte:02X}", if i == 0 { "" } else { ":" })?;
        }
        Ok(())
    }
}

impl PartialEq for Fingerprint {
    fn eq(&self, other: &Self) -> bool {
        openssl::memcmp::eq(&self.0, &other.0)
    }
}

impl Eq for Fingerprint {}

impl fmt::Display for FingerprintError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            FingerprintError::HashFunction => "fingerprint is not sha-256",
            FingerprintError::Syntax => "fingerprint is not 32 hexadecimal pairs",
        })
    }
}

impl std::error::Error for FingerprintError {}

fn octet(pair: &str) -> Option<u8> {
    // from_str_radix alone would accept "+F".
    let digits = pair.len() == 2 && pair.bytes().all(|c| c.is_ascii_hexdigit());
    digits.then(|| u8::from_str_radix(pair, 16).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str =
        "6B:8B:F0:65:5F:78:E2:51:3B:AC:6F:F3:3F:46:1B:35:DC:B8:5F:64:1A:24:C2:43:F0:A1:58:D0:A1:2C:19:08";

    #[test]
    fn the_text_of_an_sdp_reads_and_writes_back_the_same() {
        let fingerprint = Fingerprint::parse("SHA-256", TEXT).unwrap();
        assert_eq!((fingerprint.0[0], fingerprint.0[31]), (0x6B, 0x08));
        assert_eq!(fingerprint.to_string(), TEXT);
        assert_eq!(Fingerprint::parse("sha-256", &TEXT.to_lowercase()), Ok(fingerprint));
    }

    #[test]
    fn other_hash_functions_and_other_texts_are_refused() {
        assert_eq!(Fingerprint::parse("sha-1", TEXT), Err(FingerprintError::HashFunction));
        let longer = format!("{TEXT}:00");
        for text in [
            "",
            ":",
            &TEXT[..92],
            &longer,
            &TEXT.replace("8B", "+B"),
            &TEXT.replace(':', ""),
            &TEXT.replace("8B", "8é"),
        ] {
            assert_eq!(Fingerprint::parse("sha-256", text), Err(FingerprintError::Syntax), "{text}");
        }
    }

    #[test]
    fn one_different_bit_makes_two_fingerprints_different() {
        let one = Fingerprint([7; 32]);
        let mut other = one;
        assert_eq!(one, other);
        other.0[31] ^= 1;
        assert_ne!(one, other);
    }
}
