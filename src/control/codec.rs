//! Codecs by their Janus names, with what a room and an m-line need to know of them.

/// A media codec that a room can relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Codec {
    Opus,
    /// G.711 µ-law, payload type 0.
    Pcmu,
    /// G.711 A-law, payload type 8.
    Pcma,
    /// G.722, payload type 9 (its RTP clock is 8000 by RFC 3551 §4.5.2).
    G722,
    Vp8,
    Vp9,
    H264,
    /// AOM "RTP Payload Format For AV1".
    Av1,
    H265,
}

impl Codec {
    /// Every codec there is.
    pub fn all() -> impl Iterator<Item = Codec> {
        ALL.into_iter()
    }

    /// By the name of room options and of `codec` fields, without regard to case.
    pub fn from_janus(name: &str) -> Option<Codec> {
        ALL.into_iter().find(|codec| codec.janus().eq_ignore_ascii_case(name))
    }

    /// The name in Janus messages.
    pub fn janus(self) -> &'static str {
        match self {
            Codec::Opus => "opus",
            Codec::Pcmu => "pcmu",
            Codec::Pcma => "pcma",
            Codec::G722 => "g722",
            Codec::Vp8 => "vp8",
            Codec::Vp9 => "vp9",
            Codec::H264 => "h264",
            Codec::Av1 => "av1",
            Codec::H265 => "h265",
        }
    }

    /// The encoding name in `a=rtpmap`.
    pub fn encoding(self) -> &'static str {
        match self {
            Codec::Opus => "opus",
            Codec::Pcmu => "PCMU",
            Codec::Pcma => "PCMA",
            Codec::G722 => "G722",
            Codec::Vp8 => "VP8",
            Codec::Vp9 => "VP9",
            Codec::H264 => "H264",
            Codec::Av1 => "AV1",
            Codec::H265 => "H265",
        }
    }

    /// Whether it is a video codec.
    pub fn is_video(self) -> bool {
        matches!(self, Codec::Vp8 | Codec::Vp9 | Codec::H264 | Codec::Av1 | Codec::H265)
    }

    /// RTP clock rate in Hz.
    pub fn clock_rate(self) -> u32 {
        match self {
            Codec::Opus => 48_000,
            Codec::Pcmu | Codec::Pcma | Codec::G722 => 8_000,
            _ => 90_000,
        }
    }

    /// The payload type in our offers to subscribers: Janus' own numbers.
    pub fn subscriber_pt(self) -> u8 {
        match self {
            Codec::Opus => 111,
            Codec::Pcmu => 0,
            Codec::Pcma => 8,
            Codec::G722 => 9,
            Codec::Vp8 => 96,
            Codec::Vp9 => 101,
            Codec::H264 => 107,
            Codec::Av1 => 98,
            Codec::H265 => 100,
        }
    }
}

const ALL: [Codec; 9] =
    [Codec::Opus, Codec::Pcmu, Codec::Pcma, Codec::G722, Codec::Vp8, Codec::Vp9, Codec::H264, Codec::Av1, Codec::H265];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_codec_is_found_by_its_own_name() {
        for codec in ALL {
            assert_eq!(Codec::from_janus(codec.janus()), Some(codec));
            assert_eq!(Codec::from_janus(&codec.janus().to_uppercase()), Some(codec));
        }
        assert_eq!(Codec::from_janus("mp3"), None);
    }
}
