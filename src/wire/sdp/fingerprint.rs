//! The hash of a certificate as SDP carries it, `a=fingerprint:sha-256 AA:BB:..` (RFC 8122 §5), with the hash function it
//! was made with: whoever compares it must hash the certificate the same way.

use std::fmt;

/// A certificate's fingerprint under one of the hash functions of RFC 8122 §5. The obsolete md5 and md2 are not taken;
/// sha-1 is, because peers that know nothing better still call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fingerprint {
    /// `sha-1`
    Sha1([u8; 20]),
    /// `sha-224`
    Sha224([u8; 28]),
    /// `sha-256`: what browsers say, and ours always.
    Sha256([u8; 32]),
    /// `sha-384`
    Sha384([u8; 48]),
    /// `sha-512`
    Sha512([u8; 64]),
}

/// Why a fingerprint was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FingerprintError {
    /// A hash function that is not known here.
    HashFunction,
    /// Not as many pairs of hexadecimal digits, with colons between them, as the hash function makes.
    Syntax,
}

impl Fingerprint {
    /// Reads the attribute's two words. Case does not matter in either: RFC 8122 wants upper-case digits, but not everyone
    /// writes them.
    pub fn parse(hash: &str, value: &str) -> Result<Self, FingerprintError> {
        let fingerprint = match hash.to_ascii_lowercase().as_str() {
            "sha-1" => octets(value).map(Fingerprint::Sha1),
            "sha-224" => octets(value).map(Fingerprint::Sha224),
            "sha-256" => octets(value).map(Fingerprint::Sha256),
            "sha-384" => octets(value).map(Fingerprint::Sha384),
            "sha-512" => octets(value).map(Fingerprint::Sha512),
            _ => return Err(FingerprintError::HashFunction),
        };
        fingerprint.ok_or(FingerprintError::Syntax)
    }

    /// The hash function's name in SDP.
    pub fn hash_name(&self) -> &'static str {
        match self {
            Fingerprint::Sha1(_) => "sha-1",
            Fingerprint::Sha224(_) => "sha-224",
            Fingerprint::Sha256(_) => "sha-256",
            Fingerprint::Sha384(_) => "sha-384",
            Fingerprint::Sha512(_) => "sha-512",
        }
    }

    /// The digest.
    pub fn digest(&self) -> &[u8] {
        match self {
            Fingerprint::Sha1(digest) => digest,
            Fingerprint::Sha224(digest) => digest,
            Fingerprint::Sha256(digest) => digest,
            Fingerprint::Sha384(digest) => digest,
            Fingerprint::Sha512(digest) => digest,
        }
    }
}

/// The attribute's second word.
impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.digest().iter().enumerate().try_for_each(|(index, byte)| {
            let colon = if index == 0 { "" } else { ":" };
            write!(f, "{colon}{byte:02X}")
        })
    }
}

impl fmt::Display for FingerprintError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            FingerprintError::HashFunction => "unknown hash function of a fingerprint",
            FingerprintError::Syntax => "fingerprint is not the hexadecimal pairs of its hash function",
        })
    }
}

impl std::error::Error for FingerprintError {}

fn octets<const N: usize>(value: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    let mut pairs = value.split(':');
    for byte in &mut bytes {
        // from_str_radix alone would accept "+F".
        let pair = pairs.next().filter(|pair| pair.len() == 2 && pair.bytes().all(|c| c.is_ascii_hexdigit()))?;
        *byte = u8::from_str_radix(pair, 16).ok()?;
    }
    pairs.next().is_none().then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str =
        "6B:8B:F0:65:5F:78:E2:51:3B:AC:6F:F3:3F:46:1B:35:DC:B8:5F:64:1A:24:C2:43:F0:A1:58:D0:A1:2C:19:08";

    #[test]
    fn the_text_of_an_sdp_reads_and_writes_back_the_same() {
        let fingerprint = Fingerprint::parse("SHA-256", TEXT).unwrap();
        assert_eq!((fingerprint.digest()[0], fingerprint.digest()[31]), (0x6B, 0x08));
        assert_eq!(fingerprint.to_string(), TEXT);
        assert_eq!(Fingerprint::parse("sha-256", &TEXT.to_lowercase()), Ok(fingerprint));
    }

    #[test]
    fn every_hash_function_has_its_length() {
        for (name, length) in [("sha-1", 20), ("sha-224", 28), ("sha-256", 32), ("sha-384", 48), ("sha-512", 64)] {
            let text = vec!["a5"; length].join(":");
            let fingerprint = Fingerprint::parse(&name.to_uppercase(), &text).unwrap();
            assert_eq!((fingerprint.hash_name(), fingerprint.digest()), (name, &vec![0xA5; length][..]));
            assert_eq!(Fingerprint::parse(name, &text[3..]), Err(FingerprintError::Syntax), "{name}");
        }
    }

    #[test]
    fn other_hash_functions_and_other_texts_are_refused() {
        assert_eq!(Fingerprint::parse("md5", TEXT), Err(FingerprintError::HashFunction));
        assert_eq!(Fingerprint::parse("sha-1", TEXT), Err(FingerprintError::Syntax));
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
}
