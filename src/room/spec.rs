//! What a room is made with: the options of `create` and of a configured room, checked and with their defaults.

use super::codec::Codec;
use crate::id::RoomId;

/// One room's options. Names and defaults are Janus'.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomSpec {
    /// The room's id.
    pub room: RoomId,
    /// Shown in lists; "Room <id>" by default.
    pub description: Box<str>,
    /// Hidden from `list`.
    pub is_private: bool,
    /// Needed to destroy.
    pub secret: Option<Box<str>>,
    /// Needed to join.
    pub pin: Option<Box<str>>,
    /// Subscribers must present the `private_id` of a participant.
    pub require_pvtid: bool,
    /// Simultaneous publishers; 3 by default.
    pub publishers: usize,
    /// REMB cap in bit/s for every publisher; 0 is none; 1 to 63999 are raised to 64000.
    pub bitrate: u64,
    /// Seconds between PLIs to each publisher; 0 is off.
    pub fir_freq: u32,
    /// In order of preference, at most 5.
    pub audio_codecs: Vec<Codec>,
    /// In order of preference, at most 5.
    pub video_codecs: Vec<Codec>,
    /// `profile-id` to be preferred for VP9.
    pub vp9_profile: Option<Box<str>>,
    /// `profile-level-id` whose profile is to be preferred for H264.
    pub h264_profile: Option<Box<str>>,
    /// Opus in-band FEC; true by default.
    pub opus_fec: bool,
    /// Opus DTX.
    pub opus_dtx: bool,
    /// Negotiate `ssrc-audio-level`; true by default.
    pub audiolevel_ext: bool,
    /// Negotiate `video-orientation`; true by default.
    pub videoorient_ext: bool,
    /// Negotiate `playout-delay`; true by default.
    pub playoutdelay_ext: bool,
    /// Negotiate transport-wide congestion control; true by default.
    pub transport_wide_cc_ext: bool,
}

impl RoomSpec {
    /// A room with Janus' defaults.
    pub fn new(room: RoomId) -> RoomSpec {
        RoomSpec {
            description: format!("Room {room}").into(),
            room,
            is_private: false,
            secret: None,
            pin: None,
            require_pvtid: false,
            publishers: 3,
            bitrate: 0,
            fir_freq: 0,
            audio_codecs: vec![Codec::Opus],
            video_codecs: vec![Codec::Vp8],
            vp9_profile: None,
            h264_profile: None,
            opus_fec: true,
            opus_dtx: false,
            audiolevel_ext: true,
            videoorient_ext: true,
            playoutdelay_ext: true,
            transport_wide_cc_ext: true,
        }
    }

    /// The profile to be preferred for a codec.
    pub fn profile(&self, codec: Codec) -> Option<&str> {
        match codec {
            Codec::Vp9 => self.vp9_profile.as_deref(),
            Codec::H264 => self.h264_profile.as_deref(),
            _ => None,
        }
    }
}

/// Janus raises small caps to this many bit/s.
pub const BITRATE_FLOOR: u64 = 64_000;

/// A cap as given, with Janus' floor applied; 0 stays 0.
pub fn bitrate_cap(bps: u64) -> u64 {
    if bps == 0 { 0 } else { bps.max(BITRATE_FLOOR) }
}
