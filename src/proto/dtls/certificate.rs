//! The certificate a shard shows to its peers and the key to it: made at start or read from PEM.
//! Nobody checks its chain or its dates, only its hash against the SDP (RFC 8122).

use super::{DtlsError, Fingerprint};
use crate::proto::self_signed::{self, KeyKind};
use crate::time::Now;
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::pkey::{PKey, Private};
use openssl::x509::{X509, X509Ref};

/// A certificate with its private key.
#[derive(Clone)]
pub struct Certificate {
    pub(super) x509: X509,
    pub(super) key: PKey<Private>,
    fingerprint: Fingerprint,
}

impl Certificate {
    /// Makes a self-signed one, valid from a day before `now` to a year after. Key and serial come from the library's generator.
    pub fn generate(now: Now, kind: KeyKind) -> Result<Self, DtlsError> {
        let (mut builder, key) = self_signed::begin(now, kind)?;
        builder.sign(&key, MessageDigest::sha256())?;
        Ok(Self::new(builder.build(), key)?)
    }

    /// Reads the first certificate of `certificate` and the unencrypted private key of `key`, both PEM.
    pub fn from_pem(certificate: &[u8], key: &[u8]) -> Result<Self, DtlsError> {
        let x509 = X509::from_pem(certificate).map_err(DtlsError::Pem)?;
        // The callback answers "no passphrase"; without one the library would ask the terminal.
        let key = PKey::private_key_from_pem_callback(key, |_| Ok(0)).map_err(DtlsError::Pem)?;
        if !x509.public_key()?.public_eq(&key) {
            return Err(DtlsError::KeyMismatch);
        }
        Ok(Self::new(x509, key)?)
    }

    /// Its SHA-256, for the SDP.
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    fn new(x509: X509, key: PKey<Private>) -> Result<Self, ErrorStack> {
        let mut digest = [0; 32];
        digest.copy_from_slice(&x509.digest(MessageDigest::sha256())?);
        let fingerprint = Fingerprint::Sha256(digest);
        Ok(Certificate { x509, key, fingerprint })
    }
}

/// Whether a certificate's DER form hashes to the fingerprint.
pub(super) fn is_shown_by(fingerprint: &Fingerprint, x509: &X509Ref) -> bool {
    let hash = match fingerprint {
        Fingerprint::Sha1(_) => MessageDigest::sha1(),
        Fingerprint::Sha224(_) => MessageDigest::sha224(),
        Fingerprint::Sha256(_) => MessageDigest::sha256(),
        Fingerprint::Sha384(_) => MessageDigest::sha384(),
        Fingerprint::Sha512(_) => MessageDigest::sha512(),
    };
    x509.digest(hash).is_ok_and(|digest| *digest == *fingerprint.digest())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::self_signed::DAY;
    use crate::time::Mono;
    use openssl::asn1::Asn1Time;

    const NOW: Now = Now { mono: Mono(0), unix_us: 1_790_000_000_000_000 };

    #[test]
    fn a_generated_certificate_is_self_signed_valid_today_and_never_the_same() {
        let (one, other) =
            (Certificate::generate(NOW, KeyKind::Ecdsa).unwrap(), Certificate::generate(NOW, KeyKind::Ecdsa).unwrap());
        assert_ne!(one.fingerprint(), other.fingerprint());
        assert!(one.x509.verify(&one.key).unwrap());
        let at = |days: i64| Asn1Time::from_unix(1_790_000_000 + days * DAY).unwrap();
        assert!(*one.x509.not_before() < *at(0) && *one.x509.not_after() > *at(30));
        assert_ne!(
            one.x509.serial_number().to_bn().unwrap().to_vec(),
            other.x509.serial_number().to_bn().unwrap().to_vec()
        );
    }

    #[test]
    fn pem_gives_the_same_certificate_back_and_a_foreign_key_is_refused() {
        let one = Certificate::generate(NOW, KeyKind::Ecdsa).unwrap();
        let pem = one.x509.to_pem().unwrap();
        let read = Certificate::from_pem(&pem, &one.key.private_key_to_pem_pkcs8().unwrap()).unwrap();
        assert_eq!(read.fingerprint(), one.fingerprint());
        let foreign = Certificate::generate(NOW, KeyKind::Ecdsa).unwrap().key.private_key_to_pem_pkcs8().unwrap();
        assert!(matches!(Certificate::from_pem(&pem, &foreign), Err(DtlsError::KeyMismatch)));
        assert!(matches!(Certificate::from_pem(b"no", &foreign), Err(DtlsError::Pem(_))));
    }
}
