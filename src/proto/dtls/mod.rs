//! DTLS 1.2 for one peer (RFC 6347), up to the SRTP keys it yields (RFC 5764): datagrams and instants in, datagrams and events out.
//! The records, messages and ciphers are the library's (AWS-LC over memory); SRTP itself and the SDP attributes live elsewhere.
//! Not deterministic: the library draws keys, randoms and signatures from the operating system. [`Handshake`] is the seam
//! where a simulation puts a scripted one; only time is virtual in both.

mod certificate;
mod clock;
mod context;
mod endpoint;
mod memory;
mod record;
mod suite;

pub use crate::proto::self_signed::KeyKind;
pub use crate::wire::sdp::Fingerprint;
pub use certificate::Certificate;
pub use context::Context;
pub use endpoint::Endpoint;
pub use suite::suite_name;

use crate::time::{Mono, Now};
use arrayvec::ArrayVec;
use openssl::error::ErrorStack;
use std::fmt;

/// Largest datagram a handshake sends, in bytes of UDP payload: the IPv6 minimum of 1280 less its headers, with room for tunnels.
pub const MTU: usize = 1200;
const _: () = assert!(MTU <= crate::limits::SEGMENT_MAX);

/// One side of one DTLS association, as the engine drives it.
///
/// After every call that hands something in, `poll_transmit`, `poll_data` and `poll_event` are asked until they are empty,
/// and `deadline` is read again. The caller passes datagrams of ICE-validated pairs only: there are no cookies here.
pub trait Handshake {
    /// Begins: the active side sends its first flight, and the time for [`CloseReason::Timeout`] starts to run.
    /// For the passive side the ClientHello does the same. Later calls do nothing.
    fn start(&mut self, now: Now);
    /// Takes one datagram. Malformed and unauthenticated records change nothing; see [`Handshake::ignored`].
    fn handle_datagram(&mut self, now: Now, bytes: &[u8]);
    /// Repeats a flight or gives up; does nothing before [`Handshake::deadline`].
    fn handle_timeout(&mut self, now: Now);
    /// When `handle_timeout` wants to be called; [`Mono::NEVER`] when nothing is awaited.
    fn deadline(&self) -> Mono;
    /// Says what the peer's certificate must hash to. May come before, during or after the handshake; nothing connects
    /// without it. One that does not match closes the association, also a later one (RFC 8122 §6.2).
    fn set_remote_fingerprint(&mut self, fingerprint: Fingerprint);
    /// Writes the next datagram to `out`, which holds at least [`MTU`] bytes, and returns its length.
    fn poll_transmit(&mut self, out: &mut [u8]) -> Option<usize>;
    /// The next thing that happened.
    fn poll_event(&mut self) -> Option<DtlsEvent>;
    /// Writes the next datagram of application data (SCTP, RFC 8261) to `out`, which holds at least
    /// [`DATAGRAM_MAX`](crate::limits::DATAGRAM_MAX) bytes, and returns its length. Nothing arrives before `Connected`.
    fn poll_data(&mut self, out: &mut [u8]) -> Option<usize>;
    /// Sends one datagram of application data; false when it was dropped: not connected, longer than [`DATA_MAX`], or no room.
    fn send_data(&mut self, bytes: &[u8]) -> bool;
    /// Ends the association with a close_notify if the handshake got that far. No event follows.
    fn close(&mut self);
    /// The cipher suites that a client has offered us, by their numbers in the IANA registry; none when we are the client,
    /// and once the handshake is complete.
    fn offered(&self) -> &[u16] {
        &[]
    }
    /// Whether a datagram begins the handshake of a client that is not the one of this association.
    fn is_of_another_client(&self, _datagram: &[u8]) -> bool {
        false
    }
    /// Records of the finished handshake that could be authenticated and held application data.
    fn opened(&self) -> u64;
    /// Datagrams that had no effect: malformed, unauthenticated, repeated, early or late.
    fn ignored(&self) -> u64;
}

/// Most application data in one datagram: the [`MTU`] less record header, explicit nonce and tag (RFC 5288 §3).
pub const DATA_MAX: usize = MTU - 13 - 8 - 16;

/// Which side of the handshake we are: the SDP's `setup` (RFC 5763 §5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// `setup:active`, the DTLS client.
    Active,
    /// `setup:passive`, the DTLS server.
    Passive,
}

/// What a [`Handshake`] reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DtlsEvent {
    /// The handshake is complete and the peer's certificate is the one of its SDP. Once at most.
    Connected {
        /// The SRTP protection profile's number in the IANA registry (RFC 5764 §4.1.2, RFC 7714 §14.2).
        profile: u16,
        /// The SRTP keys and salts of both sides.
        keying_material: KeyingMaterial,
        /// Whose keys are the client's: ours when `Active`.
        role: Role,
    },
    /// The association is over, for a reason that was not ours to choose. Once at most, and the last event.
    Closed(CloseReason),
}

/// Why an association ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CloseReason {
    /// The peer sent close_notify or a fatal alert.
    Alert,
    /// The peer's certificate is not the one of its SDP.
    Fingerprint,
    /// It was not connected [`DTLS_TIMEOUT`](crate::limits::DTLS_TIMEOUT) after its start, handshake or fingerprint missing.
    Timeout,
    /// The peer broke the protocol, or we share no version, cipher or SRTP profile.
    Protocol,
}

/// Exported keys in the order of RFC 5764 §4.2: client key, server key, client salt, server salt. `Debug` hides them.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyingMaterial(ArrayVec<u8, { 2 * (32 + 12) }>);

impl KeyingMaterial {
    /// Wraps `bytes`: `None` when they are more than two 256-bit keys and two 96-bit salts.
    pub fn new(bytes: &[u8]) -> Option<Self> {
        ArrayVec::try_from(bytes).ok().map(KeyingMaterial)
    }

    /// Both keys, then both salts.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for KeyingMaterial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyingMaterial({} bytes)", self.0.len())
    }
}

/// What can go wrong before any peer is there.
#[derive(Debug)]
pub enum DtlsError {
    /// The certificate or the key is not readable PEM.
    Pem(ErrorStack),
    /// The key is not the certificate's.
    KeyMismatch,
    /// The library refused, for want of memory or randomness, or an unknown SRTP profile name.
    Library(ErrorStack),
}

impl From<ErrorStack> for DtlsError {
    fn from(error: ErrorStack) -> Self {
        DtlsError::Library(error)
    }
}

impl fmt::Display for DtlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DtlsError::Pem(error) => write!(f, "the DTLS certificate or key is not readable PEM: {error}"),
            DtlsError::KeyMismatch => f.write_str("the DTLS key does not belong to the certificate"),
            DtlsError::Library(error) => write!(f, "the DTLS library refused: {error}"),
        }
    }
}

impl std::error::Error for DtlsError {}

#[cfg(test)]
mod tests;
