//! Publishers of other servers: what brings one here, and what sends one of ours there.

use std::net::SocketAddr;

use super::codec::Codec;
use super::forward::SrtpKey;
use super::media::ExtensionIds;
use super::request::Metadata;
use crate::id::FeedId;
use crate::wire::sdp::Mid;

/// `add_remote_publisher`
#[derive(Debug)]
pub struct AddRemote {
    /// Wished id; none or 0 means random.
    pub id: Option<FeedId>,
    /// Name to show.
    pub display: Option<Box<str>>,
    /// What else to show.
    pub metadata: Option<Metadata>,
    /// Where its media are to come; 0 is any, until the engine has found one.
    pub port: u16,
    /// What they are sealed with.
    pub srtp: Option<SrtpKey>,
    /// Its lines, in their order.
    pub streams: Vec<RemoteStream>,
}

/// `update_remote_publisher`
#[derive(Debug)]
pub struct UpdateRemote {
    pub id: FeedId,
    /// New name to show.
    pub display: Option<Box<str>>,
    /// What else to show from now on.
    pub metadata: Option<Metadata>,
    /// Lines that have changed, and new ones.
    pub streams: Vec<RemoteStream>,
}

/// A line as its own server shows it.
#[derive(Debug, Clone, Default)]
pub struct RemoteStream {
    /// Its tag there.
    pub mid: Option<Mid>,
    /// Its place there.
    pub mindex: usize,
    /// Its codec; none when it is disabled, or of a kind that is not taken.
    pub codec: Option<Codec>,
    /// Whether it is video, where there is no codec to tell.
    pub is_video: bool,
    /// Text given by the publisher.
    pub description: Option<Box<str>>,
    pub stereo: bool,
    /// Opus in-band FEC.
    pub fec: bool,
    pub dtx: bool,
    /// `profile-level-id` of H264.
    pub h264_profile: Option<Box<str>>,
    /// `profile-id` of VP9.
    pub vp9_profile: Option<Box<str>>,
    /// Audio level, orientation and playout delay.
    pub extensions: ExtensionIds,
}

/// `publish_remotely`
#[derive(Debug)]
pub struct Remotize {
    pub feed: FeedId,
    /// What this is called.
    pub remote_id: Box<str>,
    /// The other server's port of media.
    pub to: SocketAddr,
    /// And of RTCP.
    pub rtcp_port: Option<u16>,
    /// What to seal it with.
    pub srtp: Option<SrtpKey>,
}

/// The SSRC of a publisher's first m-line between servers; those of the others follow, one in ten for their encodings.
pub const FIRST_SSRC: u32 = 1000;

/// See above.
pub const SSRCS_PER_LINE: u32 = 10;
