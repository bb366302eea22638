//! The two checks over a whole STUN message: MESSAGE-INTEGRITY (HMAC-SHA1, RFC 8489 §14.5) and FINGERPRINT
//! (CRC-32, RFC 8489 §14.7). Where in the message they stand is the business of `message` and `compose`.

use aws_lc_rs::{constant_time, hmac};

/// A password made ready: the two inner hash states of HMAC are computed once and copied for each message.
#[derive(Clone, Debug)]
pub struct Key(hmac::Key);

impl Key {
    /// The key of the short-term credential mechanism, which is the password itself (RFC 8489 §9.1.1).
    /// ICE passwords are ASCII, so that OpaqueString changes nothing.
    pub fn short_term(password: &str) -> Self {
        Key(hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, password.as_bytes()))
    }

    /// The tag of a message whose bytes before MESSAGE-INTEGRITY are `covered`.
    ///
    /// The length field is hashed as if the message ended behind MESSAGE-INTEGRITY, whatever `covered` says.
    pub(super) fn tag(&self, covered: &[u8]) -> [u8; TAG_BYTES] {
        let [kind_0, kind_1, _, _, rest @ ..] = covered else { unreachable!("a message has a header") };
        let attributes = covered.len() - super::HEADER_BYTES + super::ATTRIBUTE_HEADER_BYTES + TAG_BYTES;
        // A message of 64 KiB does not parse and is not composed: its length field would not hold it.
        let [length_0, length_1] = u16::try_from(attributes).unwrap_or(u16::MAX).to_be_bytes();
        let mut context = hmac::Context::with_key(&self.0);
        context.update(&[*kind_0, *kind_1, length_0, length_1]);
        context.update(rest);
        let mut tag = [0; TAG_BYTES];
        tag.copy_from_slice(context.sign().as_ref());
        tag
    }

    /// Compares in constant time.
    pub(super) fn verify(&self, covered: &[u8], tag: &[u8; TAG_BYTES]) -> bool {
        constant_time::verify_slices_are_equal(&self.tag(covered), tag).is_ok()
    }
}

/// The value of FINGERPRINT behind `covered`, whose length field already counts the FINGERPRINT.
pub(super) fn fingerprint(covered: &[u8]) -> u32 {
    crc32(covered) ^ 0x5354_554E
}

/// The CRC of ITU V.42, reflected, as in zlib.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc: u32, &byte| {
        let [low, ..] = crc.to_le_bytes();
        CRC_TABLE[usize::from(low ^ byte)] ^ (crc >> 8)
    })
}

/// Bytes of a SHA-1 digest.
pub(super) const TAG_BYTES: usize = 20;

const CRC_TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut index = 0;
    let mut start = 0;
    while index < 256 {
        let mut crc: u32 = start;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0xEDB8_8320 } else { crc >> 1 };
            bit += 1;
        }
        table[index] = crc;
        index += 1;
        start += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_the_one_of_zlib() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
        assert_eq!(crc32(b""), 0);
    }
}
