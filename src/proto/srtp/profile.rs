//! The protection profiles (RFC 5764 §4.1.2, RFC 7714 §14.2), their lengths and names, and the master keys that a
//! handshake exports for them. Nothing here encrypts.

use super::SrtpError;
use arrayvec::ArrayVec;
use std::fmt;

/// A protection profile; the order of the variants is our order of preference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Profile {
    /// AES-GCM with a 128-bit key: the fastest by far (RFC 7714).
    AeadAes128Gcm,
    /// AES-GCM with a 256-bit key (RFC 7714).
    AeadAes256Gcm,
    /// AES counter mode and HMAC-SHA1 cut to 80 bits: what every peer has (RFC 3711).
    AesCm128HmacSha1_80,
    /// The same with 32 bits on SRTP; SRTCP keeps its 80 (RFC 5764 §4.1.2).
    AesCm128HmacSha1_32,
}

impl Profile {
    /// Every profile, the preferred first.
    pub const ALL: [Profile; 4] =
        [Profile::AeadAes128Gcm, Profile::AeadAes256Gcm, Profile::AesCm128HmacSha1_80, Profile::AesCm128HmacSha1_32];

    /// Bytes of the master key, and of the session key for encryption.
    pub const fn key_len(self) -> usize {
        match self {
            Profile::AeadAes256Gcm => 32,
            _ => 16,
        }
    }

    /// Bytes of the master salt, and of the session salt.
    pub const fn salt_len(self) -> usize {
        if self.is_aead() { 12 } else { 14 }
    }

    /// Bytes of the authentication tag of an SRTP packet.
    pub const fn rtp_tag_len(self) -> usize {
        match self {
            Profile::AeadAes128Gcm | Profile::AeadAes256Gcm => 16,
            Profile::AesCm128HmacSha1_80 => 10,
            Profile::AesCm128HmacSha1_32 => 4,
        }
    }

    /// Bytes of the authentication tag of an SRTCP packet.
    pub const fn rtcp_tag_len(self) -> usize {
        if self.is_aead() { 16 } else { 10 }
    }

    /// Bytes by which an RTP packet grows.
    pub const fn rtp_overhead(self) -> usize {
        self.rtp_tag_len()
    }

    /// Bytes by which an RTCP packet grows: the tag and the index word.
    pub const fn rtcp_overhead(self) -> usize {
        self.rtcp_tag_len() + 4
    }

    /// Bytes to export from the handshake: both keys and both salts (RFC 5764 §4.2).
    pub const fn keying_material_len(self) -> usize {
        2 * (self.key_len() + self.salt_len())
    }

    /// The name for the `use_srtp` extension in the OpenSSL family.
    pub const fn openssl_name(self) -> &'static str {
        match self {
            Profile::AeadAes128Gcm => "SRTP_AEAD_AES_128_GCM",
            Profile::AeadAes256Gcm => "SRTP_AEAD_AES_256_GCM",
            Profile::AesCm128HmacSha1_80 => "SRTP_AES128_CM_SHA1_80",
            Profile::AesCm128HmacSha1_32 => "SRTP_AES128_CM_SHA1_32",
        }
    }

    /// The number in the DTLS-SRTP protection profile registry.
    pub const fn iana_id(self) -> u16 {
        match self {
            Profile::AesCm128HmacSha1_80 => 0x0001,
            Profile::AesCm128HmacSha1_32 => 0x0002,
            Profile::AeadAes128Gcm => 0x0007,
            Profile::AeadAes256Gcm => 0x0008,
        }
    }

    /// The profile with this number, if we have it.
    pub fn from_iana_id(id: u16) -> Option<Profile> {
        Profile::ALL.into_iter().find(|p| p.iana_id() == id)
    }

    pub(super) const fn is_aead(self) -> bool {
        matches!(self, Profile::AeadAes128Gcm | Profile::AeadAes256Gcm)
    }
}

/// The master key and master salt of one direction (RFC 3711 §3.2.1). Overwritten when dropped; never printed.
#[derive(Clone)]
pub struct MasterKey {
    key: ArrayVec<u8, 32>,
    salt: ArrayVec<u8, 14>,
}

impl MasterKey {
    /// Takes key and salt of the profile's lengths; anything else is [`SrtpError::KeyLength`].
    pub fn new(profile: Profile, key: &[u8], salt: &[u8]) -> Result<MasterKey, SrtpError> {
        if key.len() != profile.key_len() || salt.len() != profile.salt_len() {
            return Err(SrtpError::KeyLength);
        }
        Ok(MasterKey { key: key.iter().copied().collect(), salt: salt.iter().copied().collect() })
    }

    /// The key: 16 or 32 bytes.
    pub fn key(&self) -> &[u8] {
        &self.key
    }

    /// The salt: 12 or 14 bytes.
    pub fn salt(&self) -> &[u8] {
        &self.salt
    }
}

impl Drop for MasterKey {
    fn drop(&mut self) {
        wipe(&mut self.key);
        wipe(&mut self.salt);
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(..)")
    }
}

/// Cuts what the handshake exported into the client's and the server's write keys, in this order of the bytes:
/// client key, server key, client salt, server salt (RFC 5764 §4.2). A wrong length is [`SrtpError::KeyLength`].
pub fn split_keying_material(profile: Profile, exported: &[u8]) -> Result<(MasterKey, MasterKey), SrtpError> {
    if exported.len() != profile.keying_material_len() {
        return Err(SrtpError::KeyLength);
    }
    let (keys, salts) = exported.split_at(2 * profile.key_len());
    let (client_key, server_key) = keys.split_at(profile.key_len());
    let (client_salt, server_salt) = salts.split_at(profile.salt_len());
    Ok((MasterKey::new(profile, client_key, client_salt)?, MasterKey::new(profile, server_key, server_salt)?))
}

/// Overwrites key bytes; `black_box` keeps the compiler from seeing that nobody reads them again.
pub(super) fn wipe(bytes: &mut [u8]) {
    bytes.fill(0);
    std::hint::black_box(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exported_material_is_both_keys_then_both_salts() {
        let bytes: Vec<u8> = (0..60).collect();
        let (client, server) = split_keying_material(Profile::AesCm128HmacSha1_80, &bytes).unwrap();
        assert_eq!((client.key(), client.salt()), (&bytes[..16], &bytes[32..46]));
        assert_eq!((server.key(), server.salt()), (&bytes[16..32], &bytes[46..60]));
        let bytes: Vec<u8> = (0..88).collect();
        let (client, server) = split_keying_material(Profile::AeadAes256Gcm, &bytes).unwrap();
        assert_eq!((client.key(), client.salt()), (&bytes[..32], &bytes[64..76]));
        assert_eq!((server.key(), server.salt()), (&bytes[32..64], &bytes[76..88]));
    }

    #[test]
    fn material_of_another_profile_is_refused() {
        assert_eq!(split_keying_material(Profile::AeadAes128Gcm, &[0; 60]).unwrap_err(), SrtpError::KeyLength);
        assert_eq!(MasterKey::new(Profile::AeadAes128Gcm, &[0; 16], &[0; 14]).unwrap_err(), SrtpError::KeyLength);
    }

    #[test]
    fn a_master_key_is_never_printed() {
        let key = MasterKey::new(Profile::AeadAes128Gcm, &[7; 16], &[7; 12]).unwrap();
        assert_eq!(format!("{key:?}"), "MasterKey(..)");
    }

    #[test]
    fn registry_numbers_lead_back_to_their_profiles() {
        for profile in Profile::ALL {
            assert_eq!(Profile::from_iana_id(profile.iana_id()), Some(profile));
        }
        assert_eq!(Profile::from_iana_id(0x0005), None);
    }
}
