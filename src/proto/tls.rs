//! The server side of TLS 1.2 and 1.3 on one connection: bytes in, bytes out, plaintext between (RFC 8446, RFC 5246,
//! RFC 7301). The records and ciphers are the library's (AWS-LC over memory); what the plaintext says is read elsewhere.
//! Not deterministic: the library draws its randomness from the operating system.

use std::fmt;
use std::io::Write;
use std::net::IpAddr;

use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::pkey::{PKey, Private};
use openssl::ssl::{
    AlpnError, ErrorCode, Ssl, SslContext, SslMethod, SslOptions, SslSessionCacheMode, SslStream, SslVersion,
    select_next_proto,
};
use openssl::x509::X509;
use openssl::x509::extension::{BasicConstraints, ExtendedKeyUsage, KeyUsage, SubjectAlternativeName};

use super::memory::Memory;
use super::self_signed::{self, KeyKind};
use crate::time::Now;

/// A record's type octet (RFC 8446 §5.1): every connection begins with a handshake record.
const HANDSHAKE: u8 = 22;
/// The one protocol that is spoken inside, as ALPN wants it: with its length before it.
const ALPN: &[u8] = b"\x08http/1.1";
/// A record's plaintext (RFC 8446 §5.1).
const RECORD_BYTES_MAX: usize = 16 * 1024;
/// RFC 9325 §4.2: forward secrecy and authenticated encryption; for TLS 1.2, those of 1.3 are all good.
const CIPHERS: &str = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:\
    ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:\
    ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";

/// What all connections share: certificate, key and rules. A clone is a reference.
#[derive(Clone)]
pub struct Context(SslContext);

/// What the library calls itself, with its version.
pub fn library() -> &'static str {
    openssl::version::version()
}

/// Why there is no context.
#[derive(Debug)]
pub enum TlsError {
    /// The certificate chain is not readable PEM, or empty.
    Certificate(ErrorStack),
    /// The key is not readable PEM, or has a passphrase.
    Key(ErrorStack),
    /// The key is not the first certificate's.
    Mismatch,
    /// The library refused.
    Library(ErrorStack),
}

impl From<ErrorStack> for TlsError {
    fn from(error: ErrorStack) -> Self {
        TlsError::Library(error)
    }
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TlsError::Certificate(error) => write!(f, "no certificate can be read from it ({})", reasons(error)),
            TlsError::Key(error) => {
                write!(f, "no private key without a passphrase can be read from it ({})", reasons(error))
            }
            TlsError::Mismatch => f.write_str("the key does not belong to the first certificate"),
            TlsError::Library(error) => write!(f, "the TLS library refused ({})", reasons(error)),
        }
    }
}

impl std::error::Error for TlsError {}

/// What the library says, without its file names.
fn reasons(stack: &ErrorStack) -> String {
    let reasons: Vec<&str> = stack.errors().iter().filter_map(|error| error.reason()).collect();
    if reasons.is_empty() { "nothing there".into() } else { reasons.join(", ") }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Context")
    }
}

impl Context {
    /// From PEM: our certificate first, then those between it and a root; and its key.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Context, TlsError> {
        let chain = X509::stack_from_pem(chain).map_err(TlsError::Certificate)?;
        // The callback answers "no passphrase"; without one the library would ask the terminal.
        let key = PKey::private_key_from_pem_callback(key, |_| Ok(0)).map_err(TlsError::Key)?;
        Context::new(&chain, &key)
    }

    /// With a certificate made for this run, for clients that are told to trust it. It is valid for a year.
    pub fn self_signed(now: Now, addresses: &[IpAddr], names: &[String]) -> Result<Context, TlsError> {
        let (mut builder, key) = self_signed::begin(now, KeyKind::Ecdsa)?;
        let mut alternatives = SubjectAlternativeName::new();
        for address in addresses {
            alternatives.ip(&address.to_string());
        }
        for name in names {
            alternatives.dns(name);
        }
        let extension = alternatives.build(&builder.x509v3_context(None, None))?;
        builder.append_extension(extension)?;
        builder.append_extension(BasicConstraints::new().critical().build()?)?;
        builder.append_extension(KeyUsage::new().critical().digital_signature().build()?)?;
        builder.append_extension(ExtendedKeyUsage::new().server_auth().build()?)?;
        builder.sign(&key, MessageDigest::sha256())?;
        Context::new(&[builder.build()], &key)
    }

    fn new(chain: &[X509], key: &PKey<Private>) -> Result<Context, TlsError> {
        let Some((certificate, issuers)) = chain.split_first() else {
            return Err(TlsError::Certificate(ErrorStack::get()));
        };
        if !certificate.public_key().map_err(TlsError::Certificate)?.public_eq(key) {
            return Err(TlsError::Mismatch);
        }
        let mut builder = SslContext::builder(SslMethod::tls())?;
        builder.set_min_proto_version(Some(SslVersion::TLS1_2))?;
        builder.set_cipher_list(CIPHERS)?;
        builder.set_groups_list("X25519:P-256:P-384")?;
        builder.set_certificate(certificate)?;
        for issuer in issuers {
            builder.add_extra_chain_cert(issuer.clone())?;
        }
        builder.set_private_key(key)?;
        // A client that names only others is served anyway: it may not know that it is heard (RFC 7301 §3.2).
        builder.set_alpn_select_callback(|_, offered| select_next_proto(ALPN, offered).ok_or(AlpnError::NOACK));
        // Nothing of a connection outlives it; connections are few and long.
        builder.set_session_cache_mode(SslSessionCacheMode::OFF);
        builder.set_options(SslOptions::NO_TICKET);
        Ok(Context(builder.build()))
    }
}

/// One connection.
pub struct Tls {
    stream: SslStream<Memory>,
    phase: Phase,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Nothing has come.
    Fresh,
    Handshaking,
    Open,
    /// Nothing more is said or read.
    Closed,
}

/// How a connection stands after bytes of the client's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It lives on.
    Open,
    /// The first byte is not TLS.
    NotTls,
    /// The client has said that it will say no more.
    Ended,
    /// The client broke the protocol or shares none of our versions and ciphers; an alert may be in the output.
    Broken,
}

impl Tls {
    /// A connection that has just been accepted. Fails only when the library has no memory.
    pub fn new(context: &Context) -> Result<Tls, TlsError> {
        let stream = SslStream::new(Ssl::new(&context.0)?, Memory::default())?;
        Ok(Tls { stream, phase: Phase::Fresh })
    }

    /// Takes bytes from the socket, and appends to `plaintext` what they say.
    pub fn receive(&mut self, bytes: &[u8], plaintext: &mut Vec<u8>) -> Standing {
        if self.phase == Phase::Fresh {
            match bytes.first() {
                None => return Standing::Open,
                Some(&HANDSHAKE) => self.phase = Phase::Handshaking,
                Some(_) => {
                    self.phase = Phase::Closed;
                    return Standing::NotTls;
                }
            }
        }
        self.stream.get_mut().input.extend_from_slice(bytes);
        if self.phase == Phase::Handshaking {
            match self.stream.accept() {
                Ok(()) => self.phase = Phase::Open,
                Err(error) if error.code() == ErrorCode::WANT_READ => return Standing::Open,
                Err(_) => self.phase = Phase::Closed,
            }
        }
        let mut record = [0; RECORD_BYTES_MAX];
        while self.phase == Phase::Open {
            match self.stream.ssl_read(&mut record) {
                Ok(length) => plaintext.extend_from_slice(&record[..length]),
                Err(error) if error.code() == ErrorCode::WANT_READ => return Standing::Open,
                Err(error) if error.code() == ErrorCode::ZERO_RETURN => return Standing::Ended,
                Err(_) => self.phase = Phase::Closed,
            }
        }
        Standing::Broken
    }

    /// Seals what is to be said.
    pub fn send(&mut self, plaintext: &[u8]) {
        // The memory takes every write.
        if self.phase == Phase::Open && self.stream.write_all(plaintext).is_err() {
            self.phase = Phase::Closed;
        }
    }

    /// Says that we will say no more.
    pub fn close(&mut self) {
        if std::mem::replace(&mut self.phase, Phase::Closed) == Phase::Open {
            // Whether the client has said the same makes no difference.
            let _ = self.stream.shutdown();
        }
    }

    /// Whether nothing can be said yet.
    pub fn is_handshaking(&self) -> bool {
        matches!(self.phase, Phase::Fresh | Phase::Handshaking)
    }

    /// What is to be written.
    pub fn output(&mut self) -> &mut Vec<u8> {
        &mut self.stream.get_mut().output
    }
}

#[cfg(test)]
mod tests;
