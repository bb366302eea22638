//! Why an SDP could not be understood, in the words of Janus' core error 465.

use std::fmt;

/// One variant per way in which a description is unusable. The text names lines and elements, never the peer's data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SdpError {
    /// More bytes than [`SDP_BYTES_MAX`](crate::limits::SDP_BYTES_MAX).
    Size,
    /// More m-lines than [`MEDIA_LINES_MAX`](crate::limits::MEDIA_LINES_MAX).
    MediaLineCount,
    /// A version other than 0.
    Version,
    /// Not a line of RFC 8866, or one with control characters; counted from 1 without empty lines.
    Line(usize),
    /// A line that must be there is not (RFC 8866 §5); its letter.
    Missing(char),
    /// A tag that is empty, longer than 255 characters or not one word; index of the m-line.
    Mid(usize),
    /// Two m-lines with one tag; index of the second (RFC 9143 §15).
    DuplicateMid(usize),
    /// No usable `a=ice-ufrag` or `a=ice-pwd`; index of the m-line (RFC 8839 §5.4).
    IceCredentials(usize),
    /// No `a=fingerprint`; index of the m-line (RFC 8122 §5).
    Fingerprint(usize),
    /// Fingerprints, but none under a hash function that is known here.
    FingerprintHash,
    /// A fingerprint that is not the hexadecimal bytes of its hash function.
    FingerprintFormat,
    /// A role other than those of RFC 8842 §5.
    Setup,
}

impl fmt::Display for SdpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Error processing SDP: ")?;
        match self {
            SdpError::Size => f.write_str("too long"),
            SdpError::MediaLineCount => f.write_str("too many m-lines"),
            SdpError::Version => f.write_str("unknown version in the v= line"),
            SdpError::Line(number) => write!(f, "invalid line {number}"),
            SdpError::Missing('v') => f.write_str("No version line"),
            SdpError::Missing(letter) => write!(f, "no {letter}= line"),
            SdpError::Mid(index) => write!(f, "invalid mid of m-line {index} (1 to 255 characters)"),
            SdpError::DuplicateMid(index) => write!(f, "m-line {index} repeats a mid"),
            SdpError::IceCredentials(index) => write!(f, "no valid ICE credentials for m-line {index}"),
            SdpError::Fingerprint(index) => write!(f, "no DTLS fingerprint for m-line {index}"),
            SdpError::FingerprintHash => f.write_str("unsupported fingerprint hash (sha-256 is best)"),
            SdpError::FingerprintFormat => f.write_str("invalid fingerprint"),
            SdpError::Setup => f.write_str("invalid setup attribute"),
        }
    }
}

impl std::error::Error for SdpError {}
