//! What a publisher sends: packets whose every byte says which packet it is, so that whoever receives one can tell
//! whether it is whole and whose it is. Video begins with a VP8 payload descriptor and header (RFC 7741 §4.2, §4.3).

use std::time::Duration;

use portunus::time::Mono;
use portunus::wire::sdp::MediaKind;

use crate::network::{Label, Prng};

/// A packet on its way into a browser's sender.
#[derive(Clone, Debug)]
pub struct MediaPacket {
    pub label: Label,
    /// Extended; `label.count` of a random start.
    pub sequence: u64,
    pub timestamp: u32,
    pub marker: bool,
    pub payload: Vec<u8>,
}

/// The source of one m-line.
pub struct Camera {
    feed: u64,
    line: u8,
    kind: MediaKind,
    prng: Prng,
    count: u64,
    first_sequence: u64,
    timestamp: u32,
    frame: u16,
    keyframe_wanted: bool,
    /// When it makes the next frame.
    pub next: Mono,
}

const AUDIO_INTERVAL: Duration = Duration::from_millis(40);
const VIDEO_INTERVAL: Duration = Duration::from_millis(100);

impl Camera {
    pub fn new(feed: u64, line: u8, kind: MediaKind, start: Mono, seed: u64) -> Camera {
        let mut prng = Prng::new(seed);
        Camera {
            feed,
            line,
            kind,
            count: 0,
            // Near the wrap now and then: RFC 3711 §3.3.1 lets the first be anywhere below 2^15, so wraps come late;
            // the largest such start wraps within a long run.
            first_sequence: prng.between(0, 0x7fff),
            timestamp: prng.next() as u32,
            frame: (prng.next() & 0x7fff) as u16,
            keyframe_wanted: true,
            next: start + Duration::from_micros(prng.below(100_000)),
            prng,
        }
    }

    pub fn line(&self) -> u8 {
        self.line
    }

    /// The next frame will be a keyframe.
    pub fn want_keyframe(&mut self) {
        self.keyframe_wanted = true;
    }

    /// The packets of the frame that is due.
    pub fn shoot(&mut self) -> Vec<MediaPacket> {
        match self.kind {
            MediaKind::Audio => {
                self.next = self.next + AUDIO_INTERVAL;
                self.timestamp = self.timestamp.wrapping_add(1920);
                let len = self.prng.between(60, 130);
                vec![self.packet(&[], false, false, len)]
            }
            _ => {
                self.next = self.next + VIDEO_INTERVAL;
                self.timestamp = self.timestamp.wrapping_add(9000);
                self.frame = (self.frame + 1) & 0x7fff;
                let keyframe = std::mem::take(&mut self.keyframe_wanted);
                let packets = if keyframe { self.prng.between(4, 10) } else { self.prng.between(1, 5) };
                let size = self.prng.between(300, 1100);
                // As Chromium cuts: one or two sizes, the smaller first.
                let larger_from = self.prng.below(packets + 1);
                let mut frame = Vec::new();
                for i in 0..packets {
                    let head = vp8_head(self.frame, i == 0, keyframe);
                    let len = size + u64::from(i >= larger_from) - head.len() as u64;
                    frame.push(self.packet(&head, keyframe && i == 0, i + 1 == packets, len));
                }
                frame
            }
        }
    }

    fn packet(&mut self, head: &[u8], keyframe: bool, marker: bool, len: u64) -> MediaPacket {
        let label = Label { feed: self.feed, line: self.line, count: self.count, keyframe };
        self.count += 1;
        MediaPacket {
            label,
            sequence: self.first_sequence + label.count,
            timestamp: self.timestamp,
            marker,
            payload: [head, &body(&label, usize::try_from(len).unwrap())].concat(),
        }
    }
}

/// Whose packet a payload is; none when a byte of it is not as it was sent.
pub fn read(kind: MediaKind, payload: &[u8]) -> Option<Label> {
    let head = match kind {
        MediaKind::Audio => 0,
        _ if payload.first()? & 0x10 == 0 => 4,
        _ if payload.get(4)? & 1 == 0 => 4 + 10,
        _ => 4 + 3,
    };
    let body_bytes = payload.get(head..)?;
    let (feed, rest) = body_bytes.split_first_chunk()?;
    let (count, rest) = rest.split_first_chunk()?;
    let &[line, keyframe, ..] = rest else { return None };
    let label =
        Label { feed: u64::from_be_bytes(*feed), line, count: u64::from_be_bytes(*count), keyframe: keyframe == 1 };
    (body(&label, body_bytes.len()) == body_bytes).then_some(label)
}

fn body(label: &Label, len: usize) -> Vec<u8> {
    let mut bytes = label.feed.to_be_bytes().to_vec();
    bytes.extend(label.count.to_be_bytes());
    bytes.extend([label.line, u8::from(label.keyframe)]);
    let tagged = bytes.len();
    bytes.resize(len.max(tagged), 0);
    Prng::new(label.feed ^ label.count << 8 ^ u64::from(label.line)).fill(&mut bytes[tagged..]);
    bytes
}

fn vp8_head(frame: u16, first: bool, keyframe: bool) -> Vec<u8> {
    let [high, low] = frame.to_be_bytes();
    // X, S, PID 0; I; a picture id of 15 bits.
    let mut head = vec![0x80 | if first { 0x10 } else { 0 }, 0x80, 0x80 | high, low];
    if first && keyframe {
        head.extend([0x10, 0x02, 0x00, 0x9d, 0x01, 0x2a, 0x80, 0x02, 0xe0, 0x01]);
    } else if first {
        head.extend([0x11, 0x02, 0x00]);
    }
    head
}
