//! What all endpoints of a shard share: certificate, versions, ciphers and SRTP profiles, as one library context.
//! Peers must show a certificate; any is accepted here, because trust is the fingerprint's matter (RFC 5763 §5).

use super::{Certificate, DtlsError, Fingerprint, clock};
use openssl::ssl::{SslContext, SslMethod, SslOptions, SslSessionCacheMode, SslVerifyMode, SslVersion};

/// The cipher RFC 8827 §6.5 requires first, then other AEADs with forward secrecy. Last the CBC suites that the same
/// section lets stand for peers that know no AEAD: they protect the handshake only, media have SRTP. Of ECDSA and RSA
/// those can be chosen that our certificate is for ([`KeyKind`](super::KeyKind)), or the peer's where we are the client.
const CIPHERS: &str = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:\
    ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:\
    ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:\
    ECDHE-ECDSA-AES128-SHA:ECDHE-RSA-AES128-SHA:ECDHE-ECDSA-AES256-SHA:ECDHE-RSA-AES256-SHA";

/// The shared settings of many [`Endpoint`](super::Endpoint)s; a clone is a reference.
#[derive(Clone)]
pub struct Context {
    pub(super) ssl: SslContext,
    fingerprint: Fingerprint,
}

impl Context {
    /// Prepares one. `srtp_profiles` are names joined by colons, the preferred first, such as
    /// `SRTP_AEAD_AES_128_GCM:SRTP_AES128_CM_SHA1_80:SRTP_AEAD_AES_256_GCM`; as passive side our order decides.
    pub fn new(certificate: &Certificate, srtp_profiles: &str) -> Result<Self, DtlsError> {
        Self::with_ciphers(certificate, srtp_profiles, CIPHERS)
    }

    pub(super) fn with_ciphers(
        certificate: &Certificate,
        srtp_profiles: &str,
        ciphers: &str,
    ) -> Result<Self, DtlsError> {
        let mut builder = SslContext::builder(SslMethod::dtls())?;
        builder.set_min_proto_version(Some(SslVersion::DTLS1_2))?;
        builder.set_max_proto_version(Some(SslVersion::DTLS1_2))?;
        builder.set_certificate(&certificate.x509)?;
        builder.set_private_key(&certificate.key)?;
        builder.set_cipher_list(ciphers)?;
        builder.set_groups_list("X25519:P-256:P-384")?;
        builder.set_tlsext_use_srtp(srtp_profiles)?;
        builder.set_verify_callback(SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT, |_, _| true);
        builder.set_session_cache_mode(SslSessionCacheMode::OFF);
        builder.set_options(SslOptions::NO_TICKET | SslOptions::NO_QUERY_MTU);
        clock::install(&mut builder);
        Ok(Context { ssl: builder.build(), fingerprint: certificate.fingerprint() })
    }

    /// Our certificate's hash, for the SDP.
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }
}
