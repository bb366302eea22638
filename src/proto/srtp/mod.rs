//! SRTP and SRTCP (RFC 3711) with the transforms that WebRTC negotiates: AES-GCM (RFC 7714) and AES-CM with HMAC-SHA1.
//!
//! One [`Outbound`] and one [`Inbound`] per DTLS association hold the keys of one direction, its rollover counters and
//! its replay windows. What is deliberately not here: MKI, key derivation rates other than 0 and encrypted header
//! extensions (RFC 6904), which no WebRTC peer negotiates; and the handshake that yields the keys.

mod ctr_hmac;
mod derive;
mod error;
mod gcm;
mod header;
mod inbound;
mod outbound;
mod profile;
mod replay;
mod sources;
mod transform;
#[cfg(test)]
mod vectors;

pub use error::SrtpError;
pub use inbound::{Inbound, Opened};
pub use outbound::{Outbound, OutboundStream, Sealed};
pub use profile::{MasterKey, Profile, split_keying_material};
pub use sources::SOURCES_MAX;

/// Replay window in packets, for SRTP and for SRTCP (RFC 3711 §3.3.2 asks for 64 at least).
pub const REPLAY_WINDOW: u64 = replay::WINDOW;

/// Bits of a packet index: 32 of rollover counter and 16 of sequence number (RFC 3711 §3.3.1).
pub const INDEX_MAX: u64 = (1 << 48) - 1;
/// The largest SRTCP index: 31 bits (RFC 3711 §3.4).
pub const RTCP_INDEX_MAX: u32 = (1 << 31) - 1;
