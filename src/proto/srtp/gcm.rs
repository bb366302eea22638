//! AES-GCM on SRTP and SRTCP packets (RFC 7714). It is told the index; choosing and checking indices is not done here.

use super::SrtpError;
use super::header::{ENCRYPTED, RTCP_CLEAR};
use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

/// Bytes of the authentication tag.
pub(super) const TAG: usize = 16;
/// Bytes of the word that ends an SRTCP packet: the E flag and the index.
const WORD: usize = 4;

/// The session key and salt of either SRTP or SRTCP in one direction.
pub(super) struct Gcm {
    key: LessSafeKey,
    salt: [u8; 12],
}

impl Gcm {
    /// A key of 16 or 32 bytes.
    pub(super) fn new(key: &[u8], salt: [u8; 12]) -> Self {
        let algorithm = if key.len() == 32 { &AES_256_GCM } else { &AES_128_GCM };
        let key = UnboundKey::new(algorithm, key).expect("a profile's key is 16 or 32 bytes");
        Gcm { key: LessSafeKey::new(key), salt }
    }

    /// Encrypts `header || text || 16 bytes of space` in place.
    pub(super) fn seal_rtp(&self, ssrc: u32, index: u64, packet: &mut [u8], header_len: usize) {
        let (header, rest) = packet.split_at_mut(header_len);
        let (text, tag) = rest.split_at_mut(rest.len() - TAG);
        self.seal(self.nonce(ssrc, index), header, text, tag);
    }

    /// Authenticates and decrypts in place; returns the length of header and text.
    pub(super) fn open_rtp(
        &self,
        ssrc: u32,
        index: u64,
        packet: &mut [u8],
        header_len: usize,
    ) -> Result<usize, SrtpError> {
        let (header, rest) = packet.split_at_mut(header_len);
        let text_len = rest.len().checked_sub(TAG).ok_or(SrtpError::TooShort)?;
        let (text, tag) = rest.split_at_mut(text_len);
        self.open(self.nonce(ssrc, index), header, text, tag)?;
        Ok(header_len + text_len)
    }

    /// Encrypts `RTCP || 20 bytes of space` in place: the result is clear part, ciphertext, tag, word (RFC 7714 §9.2).
    pub(super) fn seal_rtcp(&self, ssrc: u32, index: u32, packet: &mut [u8]) {
        let word = (ENCRYPTED | index).to_be_bytes();
        let (clear, rest) = packet.split_at_mut(RTCP_CLEAR);
        let (rest, end) = rest.split_at_mut(rest.len() - WORD);
        let (text, tag) = rest.split_at_mut(rest.len() - TAG);
        end.copy_from_slice(&word);
        self.seal(self.nonce(ssrc, index.into()), &associated(clear, word), text, tag);
    }

    /// Authenticates and, where the E flag says so, decrypts in place; returns the length of the RTCP packet.
    /// The caller has seen that clear part, tag and word are there.
    pub(super) fn open_rtcp(&self, ssrc: u32, word: u32, packet: &mut [u8]) -> Result<usize, SrtpError> {
        let nonce = self.nonce(ssrc, (word & !ENCRYPTED).into());
        let word_at = packet.len() - WORD;
        let len = word_at - TAG;
        if word & ENCRYPTED != 0 {
            let (clear, rest) = packet[..word_at].split_at_mut(RTCP_CLEAR);
            let (text, tag) = rest.split_at_mut(len - RTCP_CLEAR);
            self.open(nonce, &associated(clear, word.to_be_bytes()), text, tag)?;
        } else {
            // All of the packet and then the word are associated data (RFC 7714 §9.3), but the tag stands between them:
            // the word moves over it.
            let mut tag = [0; TAG];
            tag.copy_from_slice(&packet[len..word_at]);
            packet.copy_within(word_at.., len);
            self.open(nonce, &packet[..len + WORD], &mut [], &tag)?;
        }
        Ok(len)
    }

    fn seal(&self, nonce: Nonce, associated: &[u8], text: &mut [u8], tag: &mut [u8]) {
        let sealed = self.key.seal_in_place_scatter(nonce, Aad::from(associated), text, &[], tag);
        sealed.expect("a packet is far shorter than what one nonce may cover");
    }

    fn open(&self, nonce: Nonce, associated: &[u8], text: &mut [u8], tag: &[u8]) -> Result<(), SrtpError> {
        let opened = self.key.open_in_place_separate_tag(nonce, Aad::from(associated), tag, text);
        opened.map(|_| ()).map_err(|_| SrtpError::Auth)
    }

    /// Two zero bytes, SSRC, 48 bits of index, all XOR the salt (RFC 7714 §8.1). SRTCP has two zero bytes and its 31-bit
    /// index in the same place (§9.1), so one layout serves both.
    fn nonce(&self, ssrc: u32, index: u64) -> Nonce {
        let mut nonce = [0; 12];
        nonce[2..6].copy_from_slice(&ssrc.to_be_bytes());
        nonce[6..].copy_from_slice(&index.to_be_bytes()[2..]);
        for (byte, salt) in nonce.iter_mut().zip(self.salt) {
            *byte ^= salt;
        }
        Nonce::assume_unique_for_key(nonce)
    }
}

/// The associated data of an encrypted SRTCP packet: its clear part and its last word.
fn associated(clear: &[u8], word: [u8; WORD]) -> [u8; RTCP_CLEAR + WORD] {
    let mut data = [0; RTCP_CLEAR + WORD];
    data[..RTCP_CLEAR].copy_from_slice(clear);
    data[RTCP_CLEAR..].copy_from_slice(&word);
    data
}
