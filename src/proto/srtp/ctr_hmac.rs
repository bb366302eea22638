//! AES counter mode with HMAC-SHA1 on SRTP and SRTCP packets (RFC 3711 §4.1.1, §4.2). It is told the index; choosing and
//! checking indices is not done here.

use super::SrtpError;
use super::derive::{counter_mode, keystream};
use super::header::{ENCRYPTED, RTCP_CLEAR};
use aws_lc_rs::cipher::EncryptingKey;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac;

/// Bytes of the word that precedes the tag of an SRTCP packet: the E flag and the index.
const WORD: usize = 4;

/// The session keys and salt of either SRTP or SRTCP in one direction.
pub(super) struct CtrHmac {
    cipher: EncryptingKey,
    /// Kept with both pads already hashed; a packet clones it, which allocates nothing.
    auth: hmac::Key,
    salt: [u8; 14],
    tag_len: usize,
}

impl CtrHmac {
    /// `tag_len` is 10, or 4 for SRTP of the `_32` profile.
    pub(super) fn new(key: &[u8], auth: &[u8; 20], salt: [u8; 14], tag_len: usize) -> Self {
        let auth = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, auth);
        CtrHmac { cipher: counter_mode(key), auth, salt, tag_len }
    }

    /// Encrypts `header || text || space for the tag` in place.
    pub(super) fn seal_rtp(&self, ssrc: u32, index: u64, packet: &mut [u8], header_len: usize) {
        let (body, tag) = packet.split_at_mut(packet.len() - self.tag_len);
        keystream(&self.cipher, self.iv(ssrc, index), &mut body[header_len..]);
        tag.copy_from_slice(&self.authenticate(body, &rollover(index)).as_ref()[..self.tag_len]);
    }

    /// Authenticates and decrypts in place; returns the length of header and text.
    pub(super) fn open_rtp(
        &self,
        ssrc: u32,
        index: u64,
        packet: &mut [u8],
        header_len: usize,
    ) -> Result<usize, SrtpError> {
        let len = packet.len().checked_sub(self.tag_len).filter(|&len| len >= header_len).ok_or(SrtpError::TooShort)?;
        let (body, tag) = packet.split_at_mut(len);
        self.verify(body, &rollover(index), tag)?;
        keystream(&self.cipher, self.iv(ssrc, index), &mut body[header_len..]);
        Ok(len)
    }

    /// Encrypts `RTCP || space for word and tag` in place: the result is clear part, ciphertext, word, tag.
    pub(super) fn seal_rtcp(&self, ssrc: u32, index: u32, packet: &mut [u8]) {
        let (body, tag) = packet.split_at_mut(packet.len() - self.tag_len);
        let (text, word) = body.split_at_mut(body.len() - WORD);
        keystream(&self.cipher, self.iv(ssrc, index.into()), &mut text[RTCP_CLEAR..]);
        word.copy_from_slice(&(ENCRYPTED | index).to_be_bytes());
        tag.copy_from_slice(&self.authenticate(body, &[]).as_ref()[..self.tag_len]);
    }

    /// Authenticates and, where the E flag says so, decrypts in place; returns the length of the RTCP packet.
    /// The caller has seen that clear part, word and tag are there.
    pub(super) fn open_rtcp(&self, ssrc: u32, word: u32, packet: &mut [u8]) -> Result<usize, SrtpError> {
        let (body, tag) = packet.split_at_mut(packet.len() - self.tag_len);
        self.verify(body, &[], tag)?;
        let len = body.len() - WORD;
        if word & ENCRYPTED != 0 {
            let iv = self.iv(ssrc, (word & !ENCRYPTED).into());
            keystream(&self.cipher, iv, &mut body[RTCP_CLEAR..len]);
        }
        Ok(len)
    }

    fn authenticate(&self, body: &[u8], suffix: &[u8]) -> hmac::Tag {
        let mut context = hmac::Context::with_key(&self.auth);
        context.update(body);
        context.update(suffix);
        context.sign()
    }

    fn verify(&self, body: &[u8], suffix: &[u8], tag: &[u8]) -> Result<(), SrtpError> {
        let ours = self.authenticate(body, suffix);
        verify_slices_are_equal(&ours.as_ref()[..tag.len()], tag).map_err(|_| SrtpError::Auth)
    }

    /// `(salt * 2^16) XOR (SSRC * 2^64) XOR (index * 2^16)`: the low two bytes count blocks (RFC 3711 §4.1.1).
    fn iv(&self, ssrc: u32, index: u64) -> [u8; 16] {
        let mut iv = [0; 16];
        iv[4..8].copy_from_slice(&ssrc.to_be_bytes());
        iv[8..14].copy_from_slice(&index.to_be_bytes()[2..]);
        for (byte, salt) in iv.iter_mut().zip(self.salt) {
            *byte ^= salt;
        }
        iv
    }
}

/// The rollover counter, which is authenticated but not sent (RFC 3711 §4.2).
fn rollover(index: u64) -> [u8; 4] {
    let [_, _, a, b, c, d, _, _] = index.to_be_bytes();
    [a, b, c, d]
}

#[cfg(test)]
mod tests {
    use super::super::vectors::hex;
    use super::*;

    #[test]
    fn rfc_3711_b_2_keystream() {
        let salt: [u8; 14] = hex("F0F1F2F3F4F5F6F7F8F9FAFBFCFD").try_into().unwrap();
        let transform = CtrHmac::new(&hex("2B7E151628AED2A6ABF7158809CF4F3C"), &[0; 20], salt, 10);
        // The example runs on to the last counter values, so the text is as long as one packet can ever be.
        let mut text = vec![0; 16 * 0xff02];
        keystream(&transform.cipher, transform.iv(0, 0), &mut text);
        let first =
            "E03EAD0935C95E80E166B16DD92B4EB4 D23513162B02D0F72A43A2FE4A5F97AB 41E95B3BB0A2E8DD477901E4FCA894C0";
        assert_eq!(text[..48], hex(first));
        let last = "EC8CDF7398607CB0F2D21675EA9EA1E4 362B7C3C6773516318A077D7FC5073AE 6A2CC3787889374FBEB4C81B17BA6C44";
        assert_eq!(text[16 * 0xfeff..], hex(last));
    }

    #[test]
    fn ssrc_and_index_reach_the_counter_block_where_rfc_3711_puts_them() {
        let transform = CtrHmac::new(&[0; 16], &[0; 20], [0; 14], 10);
        let expected = hex("00000000 DEADBEEF 010203040506 0000");
        assert_eq!(transform.iv(0xdead_beef, 0x0102_0304_0506)[..], expected);
        assert_eq!(rollover(0x0102_0304_0506), [1, 2, 3, 4]);
    }
}
