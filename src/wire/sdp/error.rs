//! Why an SDP could not be understood, in the words of Janus' core error 465.

use std::fmt;

use sdp_types::ParserError;

/// One variant per way in which a description is unusable. The text names lines and elements, never the peer's data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SdpError {
    /// More bytes than [`SDP_BYTES_MAX`](crate::limits::SDP_BYTES_MAX).
    Size,
    /// More m-lines than [`MEDIA_LINES_MAX`](crate::limits::MEDIA_LINES_MAX).
    MediaLineCount,
    /// Not the line format of RFC 8866; says where.
    Syntax(Box<str>),
    /// A line that must be there is not (RFC 8866 §5); its letter.
    Missing(char),
    /// The session id in `o=` is not a number (RFC 9429 §5.2.1).
    Origin,
    /// An m-line that is neither audio, video nor application; its index.
    MediaType(usize),
    /// A tag that is empty, longer than 16 characters or not one word; index of the m-line.
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
            SdpError::Syntax(what) => f.write_str(what),
            SdpError::Missing(letter) => write!(f, "no {letter}= line"),
            SdpError::Origin => f.write_str("invalid session id in the o= line"),
            SdpError::MediaType(index) => write!(f, "unsupported media type of m-line {index}"),
            SdpError::Mid(index) => write!(f, "invalid mid of m-line {index} (1 to 16 characters)"),
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

impl From<ParserError> for SdpError {
    fn from(error: ParserError) -> SdpError {
        match error {
            // The only variant whose text holds bytes of the peer.
            ParserError::InvalidVersion(line, _) => SdpError::Syntax(format!("Invalid version at line {line}").into()),
            other => SdpError::Syntax(other.to_string().into()),
        }
    }
}
