//! Header extension elements: how a block splits into them (RFC 8285 §4.2, §4.3), and the few whose values are read or written here.
//! Which id stands for which URI is negotiated in SDP and kept by whoever negotiated.

use std::time::Duration;

/// `urn:ietf:params:rtp-hdrext:ssrc-audio-level`, RFC 6464.
pub const AUDIO_LEVEL_URI: &str = "urn:ietf:params:rtp-hdrext:ssrc-audio-level";
/// Video orientation, 3GPP TS 26.114 §7.4.5.
pub const VIDEO_ORIENTATION_URI: &str = "urn:3gpp:video-orientation";
/// Absolute send time.
pub const ABS_SEND_TIME_URI: &str = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time";
/// Transport-wide sequence number, draft-holmer-rmcat-transport-wide-cc-extensions-01 §2.
pub const TRANSPORT_CC_URI: &str = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01";
/// The m-line a packet belongs to, RFC 9143 §15.
pub const MID_URI: &str = "urn:ietf:params:rtp-hdrext:sdes:mid";
/// The simulcast layer a packet belongs to, RFC 8852 §3.1.
pub const RID_URI: &str = "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id";
/// The simulcast layer a retransmission belongs to, RFC 8852 §3.2.
pub const REPAIRED_RID_URI: &str = "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id";
/// Playout delay limits.
pub const PLAYOUT_DELAY_URI: &str = "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay";
/// AV1 dependency descriptor, RTP Payload Format For AV1, appendix A.
pub const DEPENDENCY_DESCRIPTOR_URI: &str =
    "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension";

/// Profile of a block of one-byte elements, RFC 8285 §4.2.
pub const ONE_BYTE_PROFILE: u16 = 0xbede;
/// Profile of a block of two-byte elements with no application bits, RFC 8285 §4.3. The low four bits are the application's.
pub const TWO_BYTE_PROFILE: u16 = 0x1000;

/// The elements of one extension block: `(id, value)`. Stops at the first element that does not fit.
#[derive(Clone, Debug)]
pub struct Elements<'a> {
    rest: &'a [u8],
    two_byte: bool,
}

impl<'a> Elements<'a> {
    /// Elements of `block`; none when the profile is neither form of RFC 8285.
    pub fn new(profile: Option<u16>, block: &'a [u8]) -> Self {
        match profile {
            Some(ONE_BYTE_PROFILE) => Elements { rest: block, two_byte: false },
            Some(profile) if profile & 0xfff0 == TWO_BYTE_PROFILE => Elements { rest: block, two_byte: true },
            _ => Elements { rest: &[], two_byte: false },
        }
    }

    fn split(&mut self) -> Option<(u8, &'a [u8])> {
        loop {
            let (&head, tail) = self.rest.split_first()?;
            // Padding is one zero byte in both forms.
            if head == 0 {
                self.rest = tail;
                continue;
            }
            let (id, length, tail) = if self.two_byte {
                let (&length, tail) = tail.split_first()?;
                (head, usize::from(length), tail)
            } else {
                // RFC 8285 §4.2: processing terminates at id 15, and at id 0 with a length field greater than 0.
                if head >> 4 == 0 || head >> 4 == 15 {
                    return None;
                }
                (head >> 4, usize::from(head & 0x0f) + 1, tail)
            };
            let (value, tail) = tail.split_at_checked(length)?;
            self.rest = tail;
            return Some((id, value));
        }
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = (u8, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let element = self.split();
        if element.is_none() {
            self.rest = &[];
        }
        element
    }
}

/// How loud an audio packet is. RFC 6464 §3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AudioLevel {
    /// Whether the encoder believes this is speech.
    pub voice: bool,
    /// -dBov: 0 is the loudest, 127 is silence.
    pub level: u8,
}

impl AudioLevel {
    /// Reads the value of an element.
    pub fn parse(value: &[u8]) -> Option<Self> {
        let byte = *value.first()?;
        Some(AudioLevel { voice: byte & 0x80 != 0, level: byte & 0x7f })
    }

    /// The value of an element.
    pub fn to_bytes(self) -> [u8; 1] {
        [u8::from(self.voice) << 7 | self.level & 0x7f]
    }
}

/// How the receiver must turn a picture to see it upright: `0000 C F R1 R0`, 3GPP TS 26.114 §7.4.5.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VideoOrientation {
    /// The camera faces away from the user.
    pub back_camera: bool,
    /// The picture is mirrored horizontally.
    pub flipped: bool,
    /// Rotation in quarter turns, 0 ..= 3.
    pub quarter_turns: u8,
}

impl VideoOrientation {
    /// Reads the value of an element.
    pub fn parse(value: &[u8]) -> Option<Self> {
        let byte = *value.first()?;
        Some(VideoOrientation { back_camera: byte & 0x08 != 0, flipped: byte & 0x04 != 0, quarter_turns: byte & 0x03 })
    }

    /// The value of an element.
    pub fn to_bytes(self) -> [u8; 1] {
        [u8::from(self.back_camera) << 3 | u8::from(self.flipped) << 2 | self.quarter_turns & 0x03]
    }
}

/// When a packet left, in seconds as 6.18 fixed point; wraps every 64 s.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AbsSendTime(pub u32);

impl AbsSendTime {
    /// The stamp for an instant given as time since any fixed origin.
    pub fn at(since_origin: Duration) -> Self {
        let fraction = (u64::from(since_origin.subsec_nanos()) << 18) / 1_000_000_000;
        AbsSendTime((((since_origin.as_secs() & 0x3f) << 18 | fraction) & 0x00ff_ffff) as u32)
    }

    /// Reads the value of an element.
    pub fn parse(value: &[u8]) -> Option<Self> {
        let &[a, b, c] = value.first_chunk()?;
        Some(AbsSendTime(u32::from_be_bytes([0, a, b, c])))
    }

    /// The value of an element.
    pub fn to_bytes(self) -> [u8; 3] {
        let [_, a, b, c] = self.0.to_be_bytes();
        [a, b, c]
    }
}

/// How much delay a receiver may add before it shows a frame, in steps of 10 ms, 12 bits each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlayoutDelay {
    /// The least delay, 0 ..= 4095 steps.
    pub min: u16,
    /// The greatest delay, 0 ..= 4095 steps.
    pub max: u16,
}

impl PlayoutDelay {
    /// Reads the value of an element.
    pub fn parse(value: &[u8]) -> Option<Self> {
        let &[a, b, c] = value.first_chunk()?;
        Some(PlayoutDelay { min: u16::from_be_bytes([a, b]) >> 4, max: u16::from_be_bytes([b & 0x0f, c]) })
    }

    /// The value of an element.
    pub fn to_bytes(self) -> [u8; 3] {
        let [_, a, b, c] = ((u32::from(self.min) & 0xfff) << 12 | u32::from(self.max) & 0xfff).to_be_bytes();
        [a, b, c]
    }
}

/// Reads a transport-wide sequence number; it is written with `to_be_bytes`.
pub fn transport_sequence(value: &[u8]) -> Option<u16> {
    value.first_chunk().map(|bytes| u16::from_be_bytes(*bytes))
}

/// Reads a MID or RID: visible ASCII, not empty.
pub fn identifier(value: &[u8]) -> Option<&str> {
    let text = str::from_utf8(value).ok()?;
    (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn split(profile: u16, block: &[u8]) -> Vec<(u8, &[u8])> {
        Elements::new(Some(profile), block).collect()
    }

    #[test]
    fn one_byte_elements_split_as_in_the_figure_of_rfc_8285() {
        // §4.2: ID L=0 data | ID L=1 data | pad pad | ID L=3 data
        let block = [0x10, 0xaa, 0x21, 0xbb, 0xbb, 0, 0, 0x33, 1, 2, 3, 4];
        assert_eq!(split(0xbede, &block), [(1, &[0xaa][..]), (2, &[0xbb, 0xbb]), (3, &[1, 2, 3, 4])]);
    }

    #[test]
    fn two_byte_elements_may_be_empty_and_padding_is_a_single_byte() {
        // §4.3: ID L=0 | ID L=1 data | pad | ID L=4 data
        let block = [1, 0, 2, 1, 0xbb, 0, 3, 4, 1, 2, 3, 4];
        for profile in [0x1000, 0x1007, 0x100f] {
            assert_eq!(split(profile, &block), [(1, &[][..]), (2, &[0xbb]), (3, &[1, 2, 3, 4])]);
        }
    }

    #[test]
    fn id_fifteen_ends_a_one_byte_block_but_is_an_ordinary_two_byte_id() {
        assert_eq!(split(0xbede, &[0x10, 0xaa, 0xf0, 0xbb, 0x20, 0xcc]), [(1, &[0xaa][..])]);
        assert_eq!(split(0x1000, &[15, 1, 0xaa]), [(15, &[0xaa][..])]);
        assert_eq!(split(0xbede, &[0x10, 0xaa, 0x01, 0xbb, 0x20, 0xcc]), [(1, &[0xaa][..])], "id 0 with a length");
    }

    #[test]
    fn elements_that_do_not_fit_and_unknown_profiles_end_the_iteration() {
        assert_eq!(split(0xbede, &[0x10, 0xaa, 0x2f, 1, 2]), [(1, &[0xaa][..])]);
        assert_eq!(split(0x1000, &[1, 1, 0xaa, 2]), [(1, &[0xaa][..])]);
        assert_eq!(split(0x2000, &[0x10, 0xaa]), []);
        assert_eq!(Elements::new(None, &[0x10, 0xaa]).count(), 0);
    }

    #[test]
    fn values_have_the_bits_their_documents_give_them() {
        assert_eq!(AudioLevel::parse(&[0x80 | 30]), Some(AudioLevel { voice: true, level: 30 }));
        let turned = VideoOrientation { back_camera: true, flipped: false, quarter_turns: 1 };
        assert_eq!(turned.to_bytes(), [0b1001]);
        assert_eq!(AbsSendTime::at(Duration::from_millis(1500)).to_bytes(), [0x06, 0, 0]);
        assert_eq!(AbsSendTime::at(Duration::from_secs(64 + 63)).to_bytes(), [0xfc, 0, 0]);
        assert_eq!(PlayoutDelay { min: 0x123, max: 0x456 }.to_bytes(), [0x12, 0x34, 0x56]);
        assert_eq!(transport_sequence(&[1, 2]), Some(0x0102));
        assert_eq!(identifier(b"audio0"), Some("audio0"));
        for bad in [&b""[..], b"a b", b"\xff", b"a\0"] {
            assert_eq!(identifier(bad), None);
        }
    }

    proptest! {
        #[test]
        fn values_survive_a_round_trip(level in 0u8..128, voice: bool, min in 0u16..4096, max in 0u16..4096, time in 0u32..1 << 24, bits in 0u8..16) {
            prop_assert_eq!(AudioLevel::parse(&AudioLevel { voice, level }.to_bytes()), Some(AudioLevel { voice, level }));
            prop_assert_eq!(PlayoutDelay::parse(&PlayoutDelay { min, max }.to_bytes()), Some(PlayoutDelay { min, max }));
            prop_assert_eq!(AbsSendTime::parse(&AbsSendTime(time).to_bytes()), Some(AbsSendTime(time)));
            prop_assert_eq!(VideoOrientation::parse(&[bits]).map(VideoOrientation::to_bytes), Some([bits]));
        }

        #[test]
        fn values_of_any_length_are_read_or_refused(value in proptest::collection::vec(any::<u8>(), 0..6)) {
            prop_assert_eq!(AudioLevel::parse(&value).is_some(), !value.is_empty());
            prop_assert_eq!(AbsSendTime::parse(&value).is_some(), value.len() >= 3);
            prop_assert_eq!(PlayoutDelay::parse(&value).is_some(), value.len() >= 3);
            prop_assert_eq!(transport_sequence(&value).is_some(), value.len() >= 2);
            let _ = identifier(&value);
        }
    }
}
