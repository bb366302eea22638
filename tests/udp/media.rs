//! What publishers send and subscribers check: every payload carries whose it is, of which kind and its number, and
//! the rest of it follows from these, so that one wrong byte is seen.

use portunus::wire::payload::vp8;
use portunus::wire::rtp::Packet;
use portunus::wire::sdp::MediaKind;

/// What one publisher sends, 50 times a second: a packet of audio and a frame of video.
#[derive(Clone, Copy, Debug)]
pub struct Speech {
    /// RTP packets of one frame of video; none without video.
    pub frame: u32,
    /// Payload bytes of each.
    pub video_bytes: usize,
    /// Payload bytes of a packet of audio.
    pub audio_bytes: usize,
}

impl Speech {
    /// 300 kbit/s, as a small picture has.
    pub const SMALL: Speech = Speech { frame: 2, video_bytes: 800, audio_bytes: 120 };
}

/// Who says the how-manyth packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// The publisher.
    pub by: u32,
    /// The packet's number among those of its kind, from 0.
    pub number: u32,
    /// The RTP timestamp that it was sent with.
    pub timestamp: u32,
    /// Video, or else audio.
    pub video: bool,
}

const STAMP_BYTES: usize = 13;
/// A descriptor with a picture id of 15 bits (RFC 7741 §4.2): S is set apart.
const DESCRIPTOR: [u8; 2] = [0x80, 0x80];
/// The head of a keyframe, 640x480 (RFC 7741 §4.3).
const KEYFRAME: [u8; 10] = [0x10, 0, 0, 0x9d, 0x01, 0x2a, 0x80, 0x02, 0xe0, 0x01];

impl Stamp {
    /// Audio of `len` bytes.
    pub fn audio(&self, len: usize) -> Vec<u8> {
        let mut payload = vec![];
        self.write(len, &mut payload);
        payload
    }

    /// A packet of a frame: whether it begins one, and whether that is a keyframe.
    pub fn video(&self, len: usize, picture: u16, begins: bool, keyframe: bool) -> Vec<u8> {
        let [high, low] = (picture | 0x8000).to_be_bytes();
        let mut payload = vec![DESCRIPTOR[0] | if begins { 0x10 } else { 0 }, DESCRIPTOR[1], high, low];
        match (begins, keyframe) {
            (true, true) => payload.extend(KEYFRAME),
            _ => payload.push(0x01), // P: an interframe; in the middle of a frame it means nothing
        }
        self.write(len, &mut payload);
        payload
    }

    fn write(&self, len: usize, payload: &mut Vec<u8>) {
        payload.extend(self.by.to_be_bytes());
        payload.extend(self.number.to_be_bytes());
        payload.extend(self.timestamp.to_be_bytes());
        payload.push(u8::from(self.video));
        self.fill(len.saturating_sub(payload.len()), payload);
    }

    /// The bytes behind the stamp.
    fn fill(&self, len: usize, out: &mut Vec<u8>) {
        let mut state = u64::from(self.by) << 32 | u64::from(self.number) | u64::from(self.video) << 63;
        let end = out.len() + len;
        while out.len() < end {
            // splitmix64
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = state;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            out.extend((z ^ (z >> 31)).to_le_bytes());
        }
        out.truncate(end);
    }

    /// Reads a payload back: none when it is not exactly what a publisher has sent.
    fn read(kind: MediaKind, payload: &[u8]) -> Option<(Stamp, bool)> {
        let video = kind == MediaKind::Video;
        let keyframe = video && vp8::is_keyframe(payload);
        let head = match (video, keyframe) {
            (false, _) => 0,
            (true, false) => vp8::Descriptor::parse(payload).ok()?.len + 1,
            (true, true) => vp8::Descriptor::parse(payload).ok()?.len + KEYFRAME.len(),
        };
        let rest = payload.get(head..)?;
        let (head, tail) = rest.split_first_chunk::<STAMP_BYTES>()?;
        let word = |at: usize| u32::from_be_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let stamp = Stamp { by: word(0), number: word(4), timestamp: word(8), video: head[12] == 1 };
        let mut expected = vec![];
        stamp.fill(tail.len(), &mut expected);
        (stamp.video == video && head[12] <= 1 && expected == tail).then_some((stamp, keyframe))
    }
}

/// What one m-line has brought to a subscriber.
#[derive(Clone, Debug)]
pub struct Heard {
    /// Audio or video.
    pub kind: MediaKind,
    /// Whose it is.
    pub by: u32,
    /// Packets, each whole.
    pub packets: u64,
    /// The number of the first, and the one that is to follow the last.
    pub first: u32,
    pub next: u32,
    /// Whether the first was a keyframe.
    pub began_with_keyframe: bool,
    /// Keyframes.
    pub keyframes: u64,
    /// Packets that came behind a later one.
    pub late: u64,
    /// Times that sequence numbers or timestamps moved against those of the publisher.
    pub shifts: u64,
    sequence_offset: u16,
    timestamp_offset: u32,
}

impl Heard {
    /// Packets between the first and the last that did not come.
    pub fn missing(&self) -> u64 {
        u64::from(self.next - self.first) - self.packets
    }

    /// The first packet of an m-line; none when the payload is wrong.
    pub fn first(kind: MediaKind, packet: &Packet<'_>) -> Option<Heard> {
        let (stamp, keyframe) = Stamp::read(kind, packet.payload)?;
        let (sequence_offset, timestamp_offset) = offsets(&stamp, packet);
        Some(Heard {
            kind,
            by: stamp.by,
            packets: 1,
            first: stamp.number,
            next: stamp.number + 1,
            began_with_keyframe: keyframe,
            keyframes: u64::from(keyframe),
            late: 0,
            shifts: 0,
            sequence_offset,
            timestamp_offset,
        })
    }

    /// Another one; false when the payload is wrong or somebody else's.
    pub fn hear(&mut self, packet: &Packet<'_>) -> bool {
        let Some((stamp, keyframe)) = Stamp::read(self.kind, packet.payload).filter(|(stamp, _)| stamp.by == self.by)
        else {
            return false;
        };
        self.packets += 1;
        self.keyframes += u64::from(keyframe);
        if stamp.number < self.next {
            self.late += 1;
        } else {
            self.next = stamp.number + 1;
        }
        if offsets(&stamp, packet) != (self.sequence_offset, self.timestamp_offset) {
            self.shifts += 1;
            (self.sequence_offset, self.timestamp_offset) = offsets(&stamp, packet);
        }
        true
    }
}

/// How far the numbers on the wire are from those of the publisher.
fn offsets(stamp: &Stamp, packet: &Packet<'_>) -> (u16, u32) {
    let [_, _, high, low] = stamp.number.to_be_bytes();
    let sequence = packet.header.sequence.wrapping_sub(u16::from_be_bytes([high, low]));
    (sequence, packet.header.timestamp.wrapping_sub(stamp.timestamp))
}
