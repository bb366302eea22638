//! The beginning of every certificate that we make ourselves, for DTLS and for TLS: a key, a random serial, a year.
//! What it is for is said by whoever finishes and signs it.

use openssl::asn1::{Asn1Integer, Asn1Time};
use openssl::bn::{BigNum, MsbOption};
use openssl::ec::{EcGroup, EcKey};
use openssl::error::ErrorStack;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::x509::{X509, X509Builder, X509NameBuilder};

use crate::time::Now;

pub(super) const DAY: i64 = 24 * 60 * 60;

/// What the key of a certificate is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeyKind {
    /// ECDSA on P-256, which RFC 8827 §6.5 requires of everyone.
    #[default]
    Ecdsa,
    /// RSA of 2048 bits, for peers that know nothing else.
    Rsa,
}

impl KeyKind {
    fn generate(self) -> Result<PKey<Private>, ErrorStack> {
        match self {
            KeyKind::Ecdsa => PKey::from_ec_key(EcKey::generate(&*EcGroup::from_curve_name(Nid::X9_62_PRIME256V1)?)?),
            KeyKind::Rsa => PKey::from_rsa(Rsa::generate(2048)?),
        }
    }
}

/// A certificate in the making and its key: valid from a day before `now` to a year after, issued by its own
/// subject. Key and serial come from the library's generator.
pub(super) fn begin(now: Now, kind: KeyKind) -> Result<(X509Builder, PKey<Private>), ErrorStack> {
    let key = kind.generate()?;
    let seconds = i64::try_from(now.unix_us / 1_000_000).unwrap_or(i64::MAX / 2);
    let mut name = X509NameBuilder::new()?;
    name.append_entry_by_nid(Nid::COMMONNAME, "portunus")?;
    let name = name.build();
    // RFC 5280 §4.1.2.2: positive, at most 20 octets; 127 bits stay clear of the sign.
    let mut serial = BigNum::new()?;
    serial.rand(127, MsbOption::ONE, false)?;

    let mut builder = X509::builder()?;
    builder.set_version(2)?; // v3, RFC 5280 §4.1.2.1
    builder.set_serial_number(&*Asn1Integer::from_bn(&serial)?)?;
    builder.set_subject_name(&name)?;
    builder.set_issuer_name(&name)?;
    builder.set_not_before(&*Asn1Time::from_unix(seconds - DAY)?)?;
    builder.set_not_after(&*Asn1Time::from_unix(seconds + 365 * DAY)?)?;
    builder.set_pubkey(&key)?;
    Ok((builder, key))
}
