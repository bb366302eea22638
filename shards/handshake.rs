//! What operators are told of DTLS handshakes that fail: what the client offered, and the setting that may help.

use portunus::engine::failure::FailedHandshake;
use std::fmt::Write;

/// The sentence for the log.
pub fn sentence(failed: &FailedHandshake) -> String {
    let mut text = String::from("a DTLS handshake failed");
    if failed.others > 0 {
        let _ = write!(text, " ({} others before it since this was last said)", failed.others);
    }
    if failed.offered.is_empty() {
        text += ": no answer came, or the other side's certificate is not that of its SDP";
        return text;
    }
    text += ": the client offers ";
    for (n, &suite) in failed.offered.iter().enumerate() {
        let separator = if n == 0 { "" } else { ", " };
        let _ = match name(suite) {
            Some(name) => write!(text, "{separator}{name}"),
            None => write!(text, "{separator}{suite:#06x}"),
        };
    }
    text +=
        "; a client that knows ECDHE with RSA only needs --dtls-certificate rsa, one without ECDHE cannot be served";
    text
}

/// The names of the IANA registry, for what WebRTC stacks offer.
fn name(suite: u16) -> Option<&'static str> {
    Some(match suite {
        0x002f => "TLS_RSA_WITH_AES_128_CBC_SHA",
        0x0035 => "TLS_RSA_WITH_AES_256_CBC_SHA",
        0x0033 => "TLS_DHE_RSA_WITH_AES_128_CBC_SHA",
        0x0039 => "TLS_DHE_RSA_WITH_AES_256_CBC_SHA",
        0x009c => "TLS_RSA_WITH_AES_128_GCM_SHA256",
        0x009d => "TLS_RSA_WITH_AES_256_GCM_SHA384",
        0x009e => "TLS_DHE_RSA_WITH_AES_128_GCM_SHA256",
        0x009f => "TLS_DHE_RSA_WITH_AES_256_GCM_SHA384",
        0x00ff => "TLS_EMPTY_RENEGOTIATION_INFO_SCSV",
        0xc009 => "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA",
        0xc00a => "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA",
        0xc013 => "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
        0xc014 => "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA",
        0xc023 => "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256",
        0xc027 => "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256",
        0xc02b => "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
        0xc02c => "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
        0xc02f => "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
        0xc030 => "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
        0xcca8 => "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
        0xcca9 => "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
        0xccaa => "TLS_DHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
        0xc0a8 => "TLS_PSK_WITH_AES_128_CCM_8",
        0xc0ac => "TLS_ECDHE_ECDSA_WITH_AES_128_CCM",
        0xc0ae => "TLS_ECDHE_ECDSA_WITH_AES_128_CCM_8",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_handshake_names_what_was_offered_and_the_setting() {
        let failed = FailedHandshake { offered: [0xc02f, 0x1234].into(), others: 2 };
        let text = sentence(&failed);
        for part in ["TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, 0x1234;", "--dtls-certificate rsa", "2 others"] {
            assert!(text.contains(part), "{text}");
        }
        assert!(!sentence(&FailedHandshake { offered: [].into(), others: 0 }).contains("offers"));
    }
}
