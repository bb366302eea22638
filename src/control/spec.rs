//! What a room is made with: the options of `create` and of a configured room, checked and with their defaults.

use super::allowed::AllowList;
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
    /// Needed to destroy and to administer.
    pub secret: Option<Box<str>>,
    /// Needed to join.
    pub pin: Option<Box<str>>,
    /// Tokens of which participants must present one; the room takes them over.
    pub allowed: AllowList,
    /// Subscribers must present the `private_id` of a participant.
    pub require_pvtid: bool,
    /// Whoever joins must bring a token that is signed for the room.
    pub signed_tokens: bool,
    /// Simultaneous publishers; 3 by default.
    pub publishers: usize,
    /// REMB cap in bit/s for every publisher; 0 is none; 1 to 63999 are raised to 64000.
    pub bitrate: u64,
    /// No publisher gets more than `bitrate`, whatever it configures.
    pub bitrate_cap: bool,
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
    pub opus_dtx: bool,
    /// Negotiate `ssrc-audio-level`; true by default.
    pub audiolevel_ext: bool,
    /// Tell who begins and stops talking.
    pub audiolevel_event: bool,
    /// Packets of one evaluation; 100 by default.
    pub audio_active_packets: u32,
    /// Talking is a mean level below this many -dBov; 25 by default.
    pub audio_level_average: u32,
    /// Negotiate `video-orientation`; true by default.
    pub videoorient_ext: bool,
    /// Negotiate `playout-delay`; true by default.
    pub playoutdelay_ext: bool,
    /// Negotiate transport-wide congestion control; true by default.
    pub transport_wide_cc_ext: bool,
    /// Tell participants of those who join, before these publish.
    pub notify_joining: bool,
    /// Publishers must say that their media are encrypted end to end.
    pub require_e2ee: bool,
    /// A placeholder is among the participants.
    pub dummy_publisher: bool,
    /// Its streams, of which those count whose codec the room has; none means one for each codec.
    pub dummy_streams: Option<Vec<DummyStream>>,
    /// Whether it counts as encrypted end to end; as the room requires when nothing is said.
    pub dummy_e2ee: Option<bool>,
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
            allowed: AllowList::default(),
            require_pvtid: false,
            signed_tokens: false,
            publishers: 3,
            bitrate: 0,
            bitrate_cap: false,
            fir_freq: 0,
            audio_codecs: vec![Codec::Opus],
            video_codecs: vec![Codec::Vp8],
            vp9_profile: None,
            h264_profile: None,
            opus_fec: true,
            opus_dtx: false,
            audiolevel_ext: true,
            audiolevel_event: false,
            audio_active_packets: AUDIO_ACTIVE_PACKETS,
            audio_level_average: AUDIO_LEVEL_AVERAGE,
            videoorient_ext: true,
            playoutdelay_ext: true,
            transport_wide_cc_ext: true,
            notify_joining: false,
            require_e2ee: false,
            dummy_publisher: false,
            dummy_streams: None,
            dummy_e2ee: None,
        }
    }

    /// The hard ceiling of every publisher in bit/s, when there is one.
    pub fn ceiling(&self) -> Option<u64> {
        Some(self.bitrate).filter(|&bps| self.bitrate_cap && bps > 0)
    }

    /// What a publisher gets that asks for `bps`; 0 asks for no cap.
    pub fn granted(&self, bps: u64) -> u64 {
        match self.ceiling() {
            Some(ceiling) if bps == 0 || bps > ceiling => ceiling,
            _ => bps,
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

/// Janus' packets of one talk evaluation.
pub const AUDIO_ACTIVE_PACKETS: u32 = 100;
/// Janus' threshold of talking.
pub const AUDIO_LEVEL_AVERAGE: u32 = 25;

/// A room's `bitrate` as given, with Janus' floor applied; 0 stays 0.
pub fn raised(bps: u64) -> u64 {
    if bps == 0 { 0 } else { bps.max(BITRATE_FLOOR) }
}

/// One stream of a dummy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DummyStream {
    /// What it would be, if there were anything.
    pub codec: Codec,
    /// What subscribers are offered with it; none is what the room prefers.
    pub fmtp: Option<Box<str>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bitrate_is_a_ceiling_only_with_bitrate_cap() {
        let mut spec = RoomSpec::new(RoomId::from(1));
        spec.bitrate = 100_000;
        assert_eq!([0, 50_000, 200_000].map(|bps| spec.granted(bps)), [0, 50_000, 200_000]);
        spec.bitrate_cap = true;
        assert_eq!([0, 50_000, 200_000].map(|bps| spec.granted(bps)), [100_000, 50_000, 100_000]);
        spec.bitrate = 0;
        assert_eq!([0, 200_000].map(|bps| spec.granted(bps)), [0, 200_000], "0 is no ceiling");
    }
}
