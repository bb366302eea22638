//! What a negotiated m-line means to the packet path: numbers and extension ids, without any SDP left in it.

use super::codec::Codec;
use crate::wire::payload::h264;
use crate::wire::sdp::{MediaKind, Mid};

/// Ids of the header extensions that one m-line agreed on; none means: not negotiated (RFC 8285 §5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExtensionIds {
    /// `urn:ietf:params:rtp-hdrext:sdes:mid`
    pub mid: Option<u8>,
    /// `urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id`
    pub rid: Option<u8>,
    /// `urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id`
    pub repaired_rid: Option<u8>,
    /// `urn:ietf:params:rtp-hdrext:ssrc-audio-level`
    pub audio_level: Option<u8>,
    /// `http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time`
    pub abs_send_time: Option<u8>,
    /// `http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01`
    pub transport_cc: Option<u8>,
    /// `urn:3gpp:video-orientation`
    pub orientation: Option<u8>,
    /// `http://www.webrtc.org/experiments/rtp-hdrext/playout-delay`
    pub playout_delay: Option<u8>,
    /// The dependency descriptor of AV1 and VP9: taken from publishers, not offered to subscribers.
    pub dependency: Option<u8>,
}

/// A published m-line as it was agreed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishedMedia {
    /// Index of the m-line in the publisher's description.
    pub mindex: usize,
    pub mid: Mid,
    /// Audio or video (data m-lines are rejected until data channels exist).
    pub kind: MediaKind,
    /// The codec; none means that the m-line is rejected or inactive (`disabled`).
    pub codec: Option<Codec>,
    /// The publisher's payload type of that codec.
    pub pt: u8,
    /// The publisher's RTX payload type with its `apt` (RFC 4588 §8.6).
    pub rtx_pt: Option<u8>,
    /// The codec's fmtp, as far as it describes what is sent; subscribers are offered the same.
    pub fmtp: Option<Box<str>>,
    /// Extension ids as the publisher numbers them.
    pub extensions: ExtensionIds,
    /// Media SSRCs that the offer names (the first of each FID pair, or lone ones); usually one. Of several that are sent at
    /// once the first is relayed.
    pub ssrcs: Vec<u32>,
    /// The RTX SSRC of each of `ssrcs`, where it has one.
    pub rtx_ssrcs: Vec<Option<u32>>,
    /// `a=rtcp-fb` nack was agreed.
    pub nack: bool,
    /// Opus fmtp `stereo=1`.
    pub stereo: bool,
    /// Opus FEC agreed.
    pub fec: bool,
    /// Opus DTX agreed.
    pub dtx: bool,
    /// `profile-level-id` of H264.
    pub h264_profile: Option<Box<str>>,
    /// `profile-id` of VP9.
    pub vp9_profile: Option<Box<str>>,
}

impl PublishedMedia {
    /// Whether the fmtp carries the parameter sets that a decoder needs, so that the stream need not (RFC 6184 §8.1, RFC 7798
    /// §7.1). Subscribers are offered the same fmtp.
    pub fn has_parameter_sets(&self) -> bool {
        let fmtp = self.fmtp.as_deref().unwrap_or_default();
        let value = |name: &str| {
            let mut parameters = fmtp.split(';').filter_map(|parameter| parameter.trim().split_once('='));
            parameters.find(|(of, _)| of.eq_ignore_ascii_case(name)).map_or("", |(_, value)| value)
        };
        match self.codec {
            Some(Codec::H264) => h264::are_parameter_sets(value("sprop-parameter-sets")),
            Some(Codec::H265) => {
                ["sprop-vps", "sprop-sps", "sprop-pps"].into_iter().all(|name| !value(name).is_empty())
            }
            _ => false,
        }
    }
}

/// A subscriber's m-line as we offer it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OfferedMedia {
    /// Its tag: the index as text.
    pub mid: Mid,
    /// Audio or video.
    pub kind: MediaKind,
    /// What is offered: the source's codec; also of an m-line that has lost its source.
    pub codec: Codec,
    /// Our payload type.
    pub pt: u8,
    /// Our RTX payload type, video only.
    pub rtx_pt: Option<u8>,
    /// The source's fmtp.
    pub fmtp: Option<Box<str>>,
    /// Our extension ids.
    pub extensions: ExtensionIds,
    /// Our SSRC, one for the life of the m-line.
    pub ssrc: u32,
    /// Our RTX SSRC, video only.
    pub rtx_ssrc: Option<u32>,
    /// Whether the m-line has a source; without one it is offered as inactive.
    pub active: bool,
    /// MediaStream and track ids.
    pub msid: (Box<str>, Box<str>),
}

impl OfferedMedia {
    /// Whether the answer to the one says how the other is sent.
    pub fn is_sent_as(&self, other: &OfferedMedia) -> bool {
        let numbers = |line: &OfferedMedia| (line.codec, line.pt, line.rtx_pt, line.extensions);
        numbers(self) == numbers(other) && self.fmtp == other.fmtp
    }
}

/// What the subscriber's answer made of an offered m-line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcceptedMedia {
    /// Index of the m-line.
    pub mindex: usize,
    /// The subscriber wants it and can decode it.
    pub accepted: bool,
    /// Extensions that the answer kept, with the ids to use.
    pub extensions: ExtensionIds,
    /// The payload type to send with.
    pub pt: u8,
    /// The RTX payload type when the answer kept it.
    pub rtx_pt: Option<u8>,
    /// The answer kept `nack`.
    pub nack: bool,
}
