//! Where forwarders send, and how: what `rtp_forward` asks for, and what the shard is told.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use crate::id::FeedId;
use crate::wire::sdp::{MediaKind, Mid};

/// `rtp_forward`
#[derive(Debug)]
pub struct Forward {
    pub feed: FeedId,
    /// What is to go where.
    pub targets: Vec<Target>,
    /// In the form without `streams`: the host.
    pub legacy: Option<IpAddr>,
}

/// One forwarder that is wished for.
#[derive(Clone, Debug)]
pub struct Target {
    /// Which stream; one that is not there is passed over.
    pub of: Of,
    pub to: SocketAddr,
    /// The receiver's port of RTCP.
    pub rtcp_port: Option<u16>,
    /// The payload type; none is the one that subscribers are offered.
    pub pt: Option<u8>,
    /// The SSRC; none is the publisher's.
    pub ssrc: Option<u32>,
    pub substream: u8,
    /// The best encoding there is, as one stream with an SSRC of its own.
    pub simulcast: bool,
    /// What to seal it with.
    pub srtp: Option<SrtpKey>,
}

/// Which stream of a publisher.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "lives for one request")]
pub enum Of {
    /// By its tag.
    Mid(Mid),
    /// The first of its kind.
    First(MediaKind),
}

/// A key that a client gives us for what we send. Never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct SrtpKey {
    /// AES_CM_128_HMAC_SHA1_32 instead of _80 (RFC 4568 §6.2).
    pub short_tag: bool,
    /// 16 bytes of master key, 14 of master salt.
    pub master: [u8; 30],
}

impl fmt::Debug for SrtpKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SrtpKey(..)")
    }
}

/// What the engine makes a forwarder of.
#[derive(Clone, Debug)]
pub struct ForwarderSpec {
    /// RTP clock in Hz.
    pub clock_rate: u32,
    pub to: SocketAddr,
    /// The receiver's port of RTCP.
    pub rtcp_port: Option<u16>,
    /// Whether wishes from there name the SSRC that they mean: several forwarders share the port.
    pub strict: bool,
    /// The payload type; none is the one that subscribers are offered for the codec.
    pub pt: Option<u8>,
    /// The SSRC; none is what the publisher's first packet has.
    pub ssrc: Option<u32>,
    pub substream: u8,
    /// What to seal it with.
    pub srtp: Option<SrtpKey>,
}
