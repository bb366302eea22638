//! The cryptographic transform (RFC 3711 §3.2.1) of one profile, for either SRTP or SRTCP: derives its session keys and
//! hands packets to the cipher. Indices are chosen by `outbound` and guessed and checked by `inbound`.

use super::ctr_hmac::CtrHmac;
use super::derive::{Label, counter_mode, derive};
use super::gcm::Gcm;
use super::header::{RTCP_CLEAR, word};
use super::{MasterKey, Profile, SrtpError};

/// Session keys, ready for use. Boxed where large, so that an association of the usual profile stays small.
pub(super) enum Transform {
    Gcm(Gcm),
    CtrHmac(Box<CtrHmac>),
}

impl Transform {
    /// The transform of SRTP packets.
    pub(super) fn rtp(profile: Profile, master: &MasterKey) -> Result<Self, SrtpError> {
        let labels = [Label::RtpEncryption, Label::RtpAuthentication, Label::RtpSalt];
        Self::derived(profile, master, labels, profile.rtp_tag_len())
    }

    /// The transform of SRTCP packets.
    pub(super) fn rtcp(profile: Profile, master: &MasterKey) -> Result<Self, SrtpError> {
        let labels = [Label::RtcpEncryption, Label::RtcpAuthentication, Label::RtcpSalt];
        Self::derived(profile, master, labels, profile.rtcp_tag_len())
    }

    fn derived(profile: Profile, master: &MasterKey, labels: [Label; 3], tag_len: usize) -> Result<Self, SrtpError> {
        if master.key().len() != profile.key_len() || master.salt().len() != profile.salt_len() {
            return Err(SrtpError::KeyLength);
        }
        let [encryption, authentication, salting] = labels;
        let (prf, salt) = (counter_mode(master.key()), master.salt());
        let key = derive::<32>(&prf, salt, encryption);
        let key = &key.0[..profile.key_len()];
        Ok(if profile.is_aead() {
            Transform::Gcm(Gcm::new(key, derive(&prf, salt, salting).0))
        } else {
            let auth = derive::<20>(&prf, salt, authentication);
            Transform::CtrHmac(Box::new(CtrHmac::new(key, &auth.0, derive(&prf, salt, salting).0, tag_len)))
        })
    }

    /// Encrypts `header || text || space for the tag` in place.
    pub(super) fn seal_rtp(&self, ssrc: u32, index: u64, packet: &mut [u8], header_len: usize) {
        match self {
            Transform::Gcm(gcm) => gcm.seal_rtp(ssrc, index, packet, header_len),
            Transform::CtrHmac(ctr) => ctr.seal_rtp(ssrc, index, packet, header_len),
        }
    }

    /// Authenticates and decrypts in place; returns the length of header and text.
    pub(super) fn open_rtp(
        &self,
        ssrc: u32,
        index: u64,
        packet: &mut [u8],
        header_len: usize,
    ) -> Result<usize, SrtpError> {
        match self {
            Transform::Gcm(gcm) => gcm.open_rtp(ssrc, index, packet, header_len),
            Transform::CtrHmac(ctr) => ctr.open_rtp(ssrc, index, packet, header_len),
        }
    }

    /// Encrypts `RTCP || space for tag and word` in place.
    pub(super) fn seal_rtcp(&self, ssrc: u32, index: u32, packet: &mut [u8]) {
        match self {
            Transform::Gcm(gcm) => gcm.seal_rtcp(ssrc, index, packet),
            Transform::CtrHmac(ctr) => ctr.seal_rtcp(ssrc, index, packet),
        }
    }

    /// The E flag and index of an SRTCP packet, whose length is checked here; AES-GCM has them last, AES-CM before the tag.
    pub(super) fn rtcp_word(&self, profile: Profile, packet: &[u8]) -> Result<u32, SrtpError> {
        if packet.len() < RTCP_CLEAR + profile.rtcp_overhead() {
            return Err(SrtpError::TooShort);
        }
        let from_end = if profile.is_aead() { 4 } else { profile.rtcp_overhead() };
        Ok(word(packet, packet.len() - from_end))
    }

    /// Authenticates and, if the E flag is set, decrypts in place; returns the length of the RTCP packet. `word` is what
    /// [`Self::rtcp_word`] has read from it.
    pub(super) fn open_rtcp(&self, ssrc: u32, word: u32, packet: &mut [u8]) -> Result<usize, SrtpError> {
        match self {
            Transform::Gcm(gcm) => gcm.open_rtcp(ssrc, word, packet),
            Transform::CtrHmac(ctr) => ctr.open_rtcp(ssrc, word, packet),
        }
    }
}
