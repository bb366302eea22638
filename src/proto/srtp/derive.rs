//! Session keys from master keys (RFC 3711 §4.3, key derivation rate 0), also for AES-GCM (RFC 7714 §11).

use super::profile::wipe;
use aws_lc_rs::cipher::{AES_128, AES_256, EncryptingKey, EncryptionContext, UnboundCipherKey};

/// What a session key is for (RFC 3711 §4.3.1, §4.3.2).
#[derive(Clone, Copy, Debug)]
#[repr(u8)]
pub(super) enum Label {
    RtpEncryption = 0,
    RtpAuthentication = 1,
    RtpSalt = 2,
    RtcpEncryption = 3,
    RtcpAuthentication = 4,
    RtcpSalt = 5,
}

/// A derived key of `N` bytes, overwritten when dropped.
pub(super) struct SessionKey<const N: usize>(pub(super) [u8; N]);

impl<const N: usize> Drop for SessionKey<N> {
    fn drop(&mut self) {
        wipe(&mut self.0);
    }
}

/// AES in counter mode keyed for in-place use; the key is 16 or 32 bytes.
pub(super) fn counter_mode(key: &[u8]) -> EncryptingKey {
    let algorithm = if key.len() == 32 { &AES_256 } else { &AES_128 };
    UnboundCipherKey::new(algorithm, key).and_then(EncryptingKey::ctr).expect("a profile's key is 16 or 32 bytes")
}

/// Adds the keystream that starts at `iv` to `text`.
pub(super) fn keystream(key: &EncryptingKey, iv: [u8; 16], text: &mut [u8]) {
    key.less_safe_encrypt(text, EncryptionContext::Iv128(iv.into())).expect("counter mode takes any length");
}

/// The first `N` bytes of the pseudo-random function of a label: `AES-CM(master, (label * 2^48 XOR salt) * 2^16)`.
/// A salt of 96 bits stands for itself followed by 16 zero bits (RFC 7714 §11).
pub(super) fn derive<const N: usize>(master: &EncryptingKey, salt: &[u8], label: Label) -> SessionKey<N> {
    let mut iv = [0; 16];
    iv[..salt.len()].copy_from_slice(salt);
    iv[7] ^= label as u8;
    let mut key = SessionKey([0; N]);
    keystream(master, iv, &mut key.0);
    key
}

#[cfg(test)]
mod tests {
    use super::super::vectors::hex;
    use super::*;

    #[test]
    fn rfc_3711_b_3_session_keys() {
        let master = counter_mode(&hex("E1F97A0D3E018BE0D64FA32C06DE4139"));
        let salt = hex("0EC675AD498AFEEBB6960B3AABE6");
        let key = derive::<16>(&master, &salt, Label::RtpEncryption);
        assert_eq!(key.0[..], hex("C61E7A93744F39EE10734AFE3FF7A087"));
        let key = derive::<14>(&master, &salt, Label::RtpSalt);
        assert_eq!(key.0[..], hex("30CBBC08863D8C85D49DB34A9AE1"));
        let key = derive::<94>(&master, &salt, Label::RtpAuthentication);
        let expected = "CEBE321F6FF7716B6FD4AB49AF256A156D38BAA48F0A0ACF3C34E2359E6CDBCE
            E049646C43D9327AD175578EF72270986371C10C9A369AC2F94A8C5FBCDDDC25
            6D6E919A48B610EF17C2041E474035766B68642C59BBFC2F34DB60DBDFB2";
        assert_eq!(key.0[..], hex(expected));
    }
}
