//! Where the clear part of a packet ends, and the few fixed fields that SRTP itself needs (RFC 3550 §5.1, §5.3.1, §6.4.1).
//! Meaning is left to the parsers of `wire`, which see the packet after it has been opened.

use super::SrtpError;

/// Bytes of an RTP header without CSRCs and extension.
const RTP_FIXED: usize = 12;
/// Bytes of an RTCP packet that stay clear: the first header and the sender's SSRC (RFC 3711 §3.4).
pub(super) const RTCP_CLEAR: usize = 8;

/// The E flag of SRTCP: the packet is encrypted (RFC 3711 §3.4).
pub(super) const ENCRYPTED: u32 = 1 << 31;
/// The padding bit in the first byte of an RTP header.
const PADDING: u8 = 0x20;

/// Length of the whole RTP header: fixed part, CSRCs and extension. All of it is authenticated and stays clear.
pub(super) fn rtp_header_len(packet: &[u8]) -> Result<usize, SrtpError> {
    let &first = packet.first().ok_or(SrtpError::TooShort)?;
    if first >> 6 != 2 {
        return Err(SrtpError::Malformed);
    }
    let mut len = RTP_FIXED + 4 * usize::from(first & 0x0f);
    if first & 0x10 != 0 {
        let words = packet.get(len + 2..len + 4).ok_or(SrtpError::TooShort)?;
        len += 4 + 4 * usize::from(u16::from_be_bytes([words[0], words[1]]));
    }
    if packet.len() < len { Err(SrtpError::TooShort) } else { Ok(len) }
}

/// The sequence number; only of a header that [`rtp_header_len`] has measured.
pub(super) fn sequence(header: &[u8]) -> u16 {
    u16::from_be_bytes([header[2], header[3]])
}

/// The SSRC of an RTP header; only of a header that [`rtp_header_len`] has measured.
pub(super) fn rtp_ssrc(header: &[u8]) -> u32 {
    word(header, 8)
}

/// Makes a header say what the sealer decided: the low half of the index, the SSRC, and whether padding follows.
pub(super) fn stamp(header: &mut [u8], ssrc: u32, index: u64, padding: u8) {
    let [.., high, low] = index.to_be_bytes();
    header[2..4].copy_from_slice(&[high, low]);
    header[8..12].copy_from_slice(&ssrc.to_be_bytes());
    if padding > 0 {
        header[0] |= PADDING;
    }
}

/// The sender's SSRC of an RTCP packet that has at least its clear part.
pub(super) fn rtcp_ssrc(packet: &[u8]) -> Result<u32, SrtpError> {
    if packet.len() < RTCP_CLEAR {
        return Err(SrtpError::TooShort);
    }
    if packet[0] >> 6 != 2 {
        return Err(SrtpError::Malformed);
    }
    Ok(word(packet, 4))
}

/// Four bytes in network order at a place that the caller has checked.
pub(super) fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_includes_csrcs_and_extension() {
        let mut packet = vec![0u8; 40];
        packet[0] = 0x80;
        assert_eq!(rtp_header_len(&packet), Ok(12));
        packet[0] = 0x92;
        packet[23] = 3;
        assert_eq!(rtp_header_len(&packet), Ok(12 + 8 + 4 + 12));
        packet[23] = 4;
        assert_eq!(rtp_header_len(&packet), Ok(40));
        packet[23] = 5;
        assert_eq!(rtp_header_len(&packet), Err(SrtpError::TooShort));
    }

    #[test]
    fn every_cut_of_a_header_is_an_error_and_no_panic() {
        let mut packet = vec![0u8; 20];
        packet[0] = 0x91;
        for cut in 0..20 {
            assert_eq!(rtp_header_len(&packet[..cut]), Err(SrtpError::TooShort));
        }
        assert_eq!(rtp_header_len(&packet), Ok(20));
        packet[0] = 0x51;
        assert_eq!(rtp_header_len(&packet), Err(SrtpError::Malformed));
    }
}
