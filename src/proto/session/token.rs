//! What tokens open: stored ones, each with the plugins it may attach to, and signed ones, which carry their rights and
//! their end in themselves (`expiry,realm,descriptor..:Base64(HMAC-SHA1)`). Who must present one is decided elsewhere.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac;
use openssl::base64;

use crate::limits::{STORED_TOKENS_MAX, TOKEN_BYTES_MAX};

/// The realm of tokens that open the API.
pub const API_REALM: &str = "janus";

/// How tokens are judged.
#[derive(Debug)]
pub enum Tokens {
    /// Nobody looks at them.
    Off,
    /// By a table.
    Stored(StoredTokens),
    /// By their signature.
    Signed(SigningKey),
}

impl Tokens {
    /// Whether a token opens the API now (`unix_s`: seconds since 1970).
    pub fn open_api(&self, unix_s: u64, token: &str) -> bool {
        match self {
            Tokens::Off => false,
            Tokens::Stored(tokens) => tokens.plugins(token).is_some(),
            Tokens::Signed(key) => key.verify(unix_s, API_REALM, token).is_some(),
        }
    }

    /// Whether it opens a plugin.
    pub fn open_plugin(&self, unix_s: u64, token: &str, plugin: &str) -> bool {
        match self {
            Tokens::Off => true,
            Tokens::Stored(tokens) => tokens.plugins(token).is_some_and(|plugins| plugins.contains(plugin)),
            Tokens::Signed(key) => key.verify(unix_s, API_REALM, token).is_some_and(|rights| rights.contain(plugin)),
        }
    }
}

/// The tokens of a table. They are found by a keyed digest, so that the time a search takes tells nothing of them.
pub struct StoredTokens {
    key: hmac::Key,
    tokens: BTreeMap<[u8; 32], Stored>,
}

struct Stored {
    text: Box<str>,
    plugins: BTreeSet<Box<str>>,
}

/// A token cannot be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenError {
    /// It is longer than [`TOKEN_BYTES_MAX`].
    TooLong,
    /// There are [`STORED_TOKENS_MAX`] already.
    TooMany,
}

impl fmt::Debug for StoredTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} tokens", self.tokens.len())
    }
}

impl StoredTokens {
    /// None yet; `secret` keys the digests and is known to nobody else.
    pub fn new(secret: &[u8; 32]) -> StoredTokens {
        StoredTokens { key: hmac::Key::new(hmac::HMAC_SHA256, secret), tokens: BTreeMap::new() }
    }

    fn digest(&self, token: &str) -> [u8; 32] {
        let tag = hmac::sign(&self.key, token.as_bytes());
        tag.as_ref().try_into().expect("SHA-256 has 32 bytes")
    }

    /// What a token opens; none when there is no such token.
    pub fn plugins(&self, token: &str) -> Option<&BTreeSet<Box<str>>> {
        self.tokens.get(&self.digest(token)).map(|stored| &stored.plugins)
    }

    /// Whether one that is not there yet could be stored.
    pub fn check(&self, token: &str) -> Result<(), TokenError> {
        if token.len() > TOKEN_BYTES_MAX {
            Err(TokenError::TooLong)
        } else if self.tokens.len() >= STORED_TOKENS_MAX && self.plugins(token).is_none() {
            Err(TokenError::TooMany)
        } else {
            Ok(())
        }
    }

    /// Stores a token that [`StoredTokens::check`] has passed, or adds plugins to it.
    pub fn allow(&mut self, token: &str, plugins: impl IntoIterator<Item = Box<str>>) {
        let digest = self.digest(token);
        let new = || Stored { text: token.into(), plugins: BTreeSet::new() };
        self.tokens.entry(digest).or_insert_with(new).plugins.extend(plugins);
    }

    /// Takes plugins from a token, which stays.
    pub fn disallow(&mut self, token: &str, plugins: &[Box<str>]) {
        let digest = self.digest(token);
        if let Some(stored) = self.tokens.get_mut(&digest) {
            stored.plugins.retain(|plugin| !plugins.contains(plugin));
        }
    }

    /// Forgets a token. False when there was none.
    pub fn remove(&mut self, token: &str) -> bool {
        let digest = self.digest(token);
        self.tokens.remove(&digest).is_some()
    }

    /// Every token with what it opens, in the order of their texts.
    pub fn list(&self) -> BTreeMap<&str, &BTreeSet<Box<str>>> {
        self.tokens.values().map(|stored| (&*stored.text, &stored.plugins)).collect()
    }
}

/// What signed tokens are signed with.
#[derive(Clone, Debug)]
pub struct SigningKey(hmac::Key);

/// The descriptors of a token that is signed and not over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rights<'t>(&'t str);

impl SigningKey {
    /// From the shared secret.
    pub fn new(secret: &str) -> SigningKey {
        SigningKey(hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret.as_bytes()))
    }

    /// What a token gives in a realm; none when it is forged, over, of another realm, or no token at all.
    pub fn verify<'t>(&self, unix_s: u64, realm: &str, token: &'t str) -> Option<Rights<'t>> {
        if token.len() > TOKEN_BYTES_MAX {
            return None;
        }
        let (payload, signature) = token.split_once(':')?;
        let wanted = base64::encode_block(hmac::sign(&self.0, payload.as_bytes()).as_ref());
        verify_slices_are_equal(wanted.as_bytes(), signature.as_bytes()).ok()?;
        let (expiry, rest) = payload.split_once(',')?;
        let (of, rights) = rest.split_once(',').unwrap_or((rest, ""));
        let is_over = unix_s > expiry.parse().ok()?;
        (of == realm && !is_over).then_some(Rights(rights))
    }
}

impl Rights<'_> {
    /// Whether the descriptor is among them.
    pub fn contain(self, descriptor: &str) -> bool {
        self.0.split(',').any(|right| right == descriptor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sign(secret: &str, payload: &str) -> String {
        let tag = hmac::sign(&SigningKey::new(secret).0, payload.as_bytes());
        format!("{payload}:{}", base64::encode_block(tag.as_ref()))
    }

    #[test]
    fn a_token_that_another_implementation_signed_is_understood() {
        // printf 2000000000,janus,janus.plugin.videoroom | openssl dgst -sha1 -hmac sig -binary | base64
        let token = "2000000000,janus,janus.plugin.videoroom:+QpUFV/dS967V3E6dRKHLNnEtQA=";
        let key = SigningKey::new("sig");
        assert!(
            key.verify(2_000_000_000, "janus", token).is_some_and(|rights| rights.contain("janus.plugin.videoroom"))
        );
        assert_eq!(key.verify(2_000_000_001, "janus", token), None, "it is over");
    }

    #[test]
    fn forged_tokens_and_those_of_other_realms_open_nothing() {
        let key = SigningKey::new("sig");
        let good = sign("sig", "100,janus,p");
        assert_eq!(key.verify(100, "janus", &good), Some(Rights("p")));
        assert_eq!(key.verify(100, "p", &good), None);
        for bad in [
            sign("sag", "100,janus,p"),
            good.replace("100", "900"),
            good.replace(",p", ",q"),
            good.trim_end_matches('=').into(),
            sign("sig", "100"),
            sign("sig", "x,janus"),
            sign("sig", "-1,janus"),
            sign("sig", ""),
            "100,janus,p:".into(),
            "100,janus,p".into(),
            String::new(),
            sign("sig", &format!("100,janus,{}", "p".repeat(TOKEN_BYTES_MAX))),
        ] {
            assert_eq!(key.verify(50, "janus", &bad), None, "{bad}");
        }
        let rights = sign("sig", "100,janus,pp,q");
        let rights = key.verify(1, "janus", &rights).unwrap();
        assert!(rights.contain("pp") && rights.contain("q") && !rights.contain("p"));
    }

    #[test]
    fn a_stored_token_opens_the_plugins_it_was_given() {
        let mut stored = StoredTokens::new(&[1; 32]);
        stored.allow("a", ["p".into(), "q".into()]);
        stored.allow("b", []);
        stored.disallow("a", &["p".into()]);
        stored.disallow("c", &["p".into()]);
        let texts: Vec<_> = stored.list().into_keys().collect();
        assert_eq!(texts, ["a", "b"]);
        let tokens = Tokens::Stored(stored);
        assert_eq!(["a", "b", "c"].map(|token| tokens.open_api(0, token)), [true, true, false]);
        assert_eq!(["p", "q"].map(|plugin| tokens.open_plugin(0, "a", plugin)), [false, true]);
        assert!(!tokens.open_plugin(0, "b", "q") && !tokens.open_plugin(0, "c", "q"));
        let Tokens::Stored(mut stored) = tokens else { unreachable!() };
        assert!(stored.remove("a") && !stored.remove("a"));
    }

    #[test]
    fn what_is_stored_is_bounded() {
        let mut stored = StoredTokens::new(&[1; 32]);
        assert_eq!(stored.check(&"x".repeat(TOKEN_BYTES_MAX + 1)), Err(TokenError::TooLong));
        for token in 0..STORED_TOKENS_MAX {
            stored.allow(&token.to_string(), []);
        }
        assert_eq!((stored.check("new"), stored.check("0")), (Err(TokenError::TooMany), Ok(())));
    }
}
