//! What a datagram on the one media port is, told from its first bytes: RFC 7983 §7, and RFC 5761 §4 for RTP against RTCP.
//! Nothing is validated here beyond the shortest length each protocol can have.

/// The protocol whose parser a datagram is given to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// A STUN message (RFC 8489).
    Stun,
    /// One or more DTLS records (RFC 6347).
    Dtls,
    /// An RTP packet, most likely protected.
    Rtp,
    /// An RTCP compound, most likely protected.
    Rtcp,
    /// Nothing that is spoken here: ZRTP, TURN channels, QUIC, noise.
    Unknown,
}

/// Classifies a datagram by its first byte, and RTP from RTCP by its second.
pub fn classify(datagram: &[u8]) -> Protocol {
    match *datagram {
        [0..=3, ..] => Protocol::Stun,
        [20..=63, ..] => Protocol::Dtls,
        [128..=191, second, ..] => match second & 0x7f {
            // RFC 5761 §4: "payload types in the range 64-95 MUST NOT be used", so RTCP's 192-223 stand alone.
            64..=95 if datagram.len() >= RTCP_BYTES_MIN => Protocol::Rtcp,
            0..=63 | 96.. if datagram.len() >= RTP_BYTES_MIN => Protocol::Rtp,
            _ => Protocol::Unknown,
        },
        _ => Protocol::Unknown,
    }
}

/// The fixed RTP header, RFC 3550 §5.1.
const RTP_BYTES_MIN: usize = 12;
/// The RTCP header and one SSRC, RFC 3550 §6.4.2.
const RTCP_BYTES_MIN: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    fn first(byte: u8) -> Protocol {
        let mut datagram = [0u8; 20];
        datagram[0] = byte;
        classify(&datagram)
    }

    #[test]
    fn the_first_byte_decides_as_the_table_of_rfc_7983_says() {
        for byte in 0..=255u8 {
            let expected = match byte {
                0..=3 => Protocol::Stun,
                20..=63 => Protocol::Dtls,
                128..=191 => Protocol::Rtp,
                _ => Protocol::Unknown,
            };
            assert_eq!(first(byte), expected, "first byte {byte}");
        }
    }

    #[test]
    fn rtcp_is_told_from_rtp_by_the_second_byte_whatever_the_marker_bit_is() {
        for second in 0..=255u8 {
            let mut datagram = [0u8; 12];
            datagram[..2].copy_from_slice(&[0x80, second]);
            let expected = if (64..=95).contains(&(second & 0x7f)) { Protocol::Rtcp } else { Protocol::Rtp };
            assert_eq!(classify(&datagram), expected, "second byte {second}");
        }
    }

    #[test]
    fn what_is_too_short_for_its_protocol_is_unknown() {
        assert_eq!(classify(&[]), Protocol::Unknown);
        assert_eq!(classify(&[0x80]), Protocol::Unknown);
        assert_eq!(classify(&[0x80, 96, 0, 0, 0, 0, 0, 0, 0, 0, 0]), Protocol::Unknown);
        assert_eq!(classify(&[0x80, 201, 0, 1, 0, 0, 0]), Protocol::Unknown);
        assert_eq!(classify(&[0x80, 201, 0, 1, 0, 0, 0, 1]), Protocol::Rtcp);
    }
}
