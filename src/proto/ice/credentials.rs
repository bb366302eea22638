//! The user fragment and the password of one ICE generation (RFC 8445 §5.3, RFC 8839 §5.4): made for us, or taken
//! from the peer's description.

use std::fmt;

use rand_chacha::rand_core::CryptoRng;

/// A ufrag and a password, both within the bounds of RFC 8839 §5.4. The password is not printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    ufrag: Box<str>,
    password: Box<str>,
}

impl Credentials {
    /// Checks what a description says: a ufrag of 4 to 256 ice-chars, a password of 22 to 256.
    ///
    /// # Errors
    /// Names the first of the two that is out of bounds.
    pub fn new(ufrag: &str, password: &str) -> Result<Self, CredentialError> {
        let of_ice_chars = |text: &str| text.bytes().all(|byte| ICE_CHARS.contains(&byte));
        if !(4..=256).contains(&ufrag.len()) || !of_ice_chars(ufrag) {
            return Err(CredentialError::Ufrag);
        }
        if !(22..=256).contains(&password.len()) || !of_ice_chars(password) {
            return Err(CredentialError::Password);
        }
        Ok(Credentials { ufrag: ufrag.into(), password: password.into() })
    }

    /// Draws new ones: a ufrag of 48 bits, a password of 144 (RFC 8445 §5.3 wants 24 and 128). The caller draws again
    /// when it already has a peer of that ufrag.
    pub fn mint(rng: &mut impl CryptoRng) -> Self {
        let mut random = [0; UFRAG_CHARS + PASSWORD_CHARS];
        rng.fill_bytes(&mut random);
        let text = random.map(|byte| char::from(ICE_CHARS[usize::from(byte & 63)]));
        let (ufrag, password) = text.split_at(UFRAG_CHARS);
        Credentials { ufrag: ufrag.iter().collect(), password: password.iter().collect() }
    }

    /// What `a=ice-ufrag` says.
    pub fn ufrag(&self) -> &str {
        &self.ufrag
    }

    /// What `a=ice-pwd` says.
    pub fn password(&self) -> &str {
        &self.password
    }

    pub(super) fn into_ufrag(self) -> Box<str> {
        self.ufrag
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("ufrag", &self.ufrag).finish_non_exhaustive()
    }
}

/// Which half of a description's credentials breaks RFC 8839 §5.4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CredentialError {
    /// `a=ice-ufrag` is not 4 to 256 ice-chars.
    Ufrag,
    /// `a=ice-pwd` is not 22 to 256 ice-chars.
    Password,
}

impl fmt::Display for CredentialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            CredentialError::Ufrag => "ice-ufrag is not 4 to 256 ice-chars",
            CredentialError::Password => "ice-pwd is not 22 to 256 ice-chars",
        })
    }
}

impl std::error::Error for CredentialError {}

/// "ice-char = ALPHA / DIGIT / "+" / "/"": 64 of them, six bits each.
const ICE_CHARS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const UFRAG_CHARS: usize = 8;
const PASSWORD_CHARS: usize = 24;

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

    #[test]
    fn minted_credentials_are_valid_and_differ_from_draw_to_draw() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let (first, second) = (Credentials::mint(&mut rng), Credentials::mint(&mut rng));
        for minted in [&first, &second] {
            assert_eq!(Credentials::new(minted.ufrag(), minted.password()).as_ref(), Ok(minted));
        }
        assert_ne!(first.ufrag(), second.ufrag());
        assert_ne!(first.password(), second.password());
    }

    #[test]
    fn credentials_out_of_bounds_are_refused() {
        let password = "p".repeat(22);
        assert!(Credentials::new(&"u".repeat(256), &"p".repeat(256)).is_ok());
        for ufrag in ["abc", "ab:d", "ab d", "abc\u{e9}", &"u".repeat(257)] {
            assert_eq!(Credentials::new(ufrag, &password), Err(CredentialError::Ufrag));
        }
        for password in ["p".repeat(21), "p".repeat(257), "=".repeat(22)] {
            assert_eq!(Credentials::new("abcd", &password), Err(CredentialError::Password));
        }
    }

    #[test]
    fn a_password_is_not_printed() {
        let printed = format!("{:?}", Credentials::new("abcd", &"secret".repeat(4)).unwrap());
        assert!(printed.contains("abcd") && !printed.contains("secret"));
    }
}
