//! The published examples of RFC 7714 §16 and §17, which start from session keys, and how examples are spelled in tests.

use super::gcm::Gcm;
use super::{Profile, SrtpError, transform::Transform};

/// Bytes from hexadecimal digits; blanks are ignored.
pub(super) fn hex(digits: &str) -> Vec<u8> {
    let digits: Vec<u8> = digits.chars().filter_map(|c| c.to_digit(16)).map(|d| d as u8).collect();
    digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

const KEYS: [&str; 2] =
    ["000102030405060708090a0b0c0d0e0f", "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"];
const PROFILES: [Profile; 2] = [Profile::AeadAes128Gcm, Profile::AeadAes256Gcm];
const SALT: [u8; 12] = *b"Quid pro quo";

const RTP: &str = "8040f17b 8041f8d3 5501a0b2
    47616c6c696120657374206f6d6e69732064697669736120696e207061727465732074726573";
const SRTP: [&str; 2] = [
    "8040f17b 8041f8d3 5501a0b2
     f24de3a3fb34de6cacba861c9d7e4bcabe633bd50d294e6f42a5f47a51c7d19b36de3adf8833
     899d7f27beb16a9152cf765ee4390cce",
    "8040f17b 8041f8d3 5501a0b2
     32b1de78a822fe12ef9f78fa332e33aab18012389a58e2f3b50b2a0276ffae0f1ba63799b87b
     7aa3db36dfffd6b0f9bb7878d7a76c13",
];
const RTP_SSRC: u32 = 0x5501_a0b2;

const RTCP: &str = "81c8000d 4d617273 4e545031 4e545032 52545020 0000042a 0000e930 4c756e61
    deadbeef deadbeef deadbeef deadbeef deadbeef";
const SRTCP: [&str; 2] = [
    "81c8000d 4d617273 63e94885dcdab67ca727d7662f6b7e997ff5c0f76c06f32dc676a5f1730d6fda4ce09b4686303ded0bb9275b
     c84aa45896cf4d2fc5abf87245d9eade 800005d4",
    "81c8000d 4d617273 d50ae4d1f5ce5d304ba297e47d470c282c3ece5dbffe0a50a2eaa5c1110555be8415f658c61de0476f1b6fad
     1d1eb30c4446839f57ff6f6cb26ac3be 800005d4",
];
const TAGS_ONLY: [&str; 2] = ["841dd9683dd78ec92ae58790125f62b3", "91db4afbfeee5a978fab4393ed2615fe"];
const MARS: u32 = 0x4d61_7273;

#[test]
fn rfc_7714_16_srtp_is_sealed_and_opened_as_published() {
    for (key, sealed) in KEYS.into_iter().zip(SRTP) {
        let (gcm, plain, sealed) = (Gcm::new(&hex(key), SALT), hex(RTP), hex(sealed));
        let mut packet = [&plain[..], &[0; 16]].concat();
        gcm.seal_rtp(RTP_SSRC, 0xf17b, &mut packet, 12);
        assert_eq!(packet, sealed);
        assert_eq!(gcm.open_rtp(RTP_SSRC, 0xf17b, &mut packet, 12), Ok(plain.len()));
        assert_eq!(packet[..plain.len()], plain);
    }
}

#[test]
fn rfc_7714_17_srtcp_is_sealed_and_opened_as_published() {
    for ((key, sealed), profile) in KEYS.into_iter().zip(SRTCP).zip(PROFILES) {
        let (transform, plain, sealed) = (Transform::Gcm(Gcm::new(&hex(key), SALT)), hex(RTCP), hex(sealed));
        let mut packet = [&plain[..], &[0; 20]].concat();
        transform.seal_rtcp(MARS, 0x5d4, &mut packet);
        assert_eq!(packet, sealed);
        let word = transform.rtcp_word(profile, &packet).unwrap();
        assert_eq!(word, 0x8000_05d4);
        assert_eq!(transform.open_rtcp(MARS, word, &mut packet), Ok(plain.len()));
        assert_eq!(packet[..plain.len()], plain);
    }
}

#[test]
fn rfc_7714_17_srtcp_that_is_only_tagged_is_authenticated_and_left_as_it_is() {
    for (key, tag) in KEYS.into_iter().zip(TAGS_ONLY) {
        let (gcm, plain) = (Gcm::new(&hex(key), SALT), hex(RTCP));
        let sealed = [&plain[..], &hex(tag), &hex("000005d4")].concat();
        let mut packet = sealed.clone();
        assert_eq!(gcm.open_rtcp(MARS, 0x5d4, &mut packet), Ok(plain.len()));
        assert_eq!(packet[..plain.len()], plain);
        for at in 0..sealed.len() - 4 {
            let mut forged = sealed.clone();
            forged[at] ^= 1;
            assert_eq!(gcm.open_rtcp(MARS, 0x5d4, &mut forged), Err(SrtpError::Auth));
        }
        assert_eq!(gcm.open_rtcp(MARS, 0x5d5, &mut sealed.clone()), Err(SrtpError::Auth), "another index");
    }
}
