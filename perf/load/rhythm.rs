//! When packets are sent and how long they are: a regular beat, or what Chromium sent in a recorded call. It holds no sockets
//! and no clock; generator and floor step through the same one.

use serde::{Deserialize, Serialize};
use std::sync::LazyLock;

/// What one source sends, again and again.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Rhythm {
    Beat(Beat),
    /// One m-line of the recorded call, with its own times and sizes. The publishers are 0, 1 and 2: 320x180, 640x360, 1280x720.
    Recorded {
        publisher: usize,
        video: bool,
    },
}

/// `packets` every `interval_ns`, at once or `gap_ns` apart, each of `bytes` (RTP header included, unsealed).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Beat {
    pub interval_ns: u64,
    pub packets: u32,
    pub gap_ns: u64,
    /// The least and the greatest; sizes go through the range.
    pub bytes: (usize, usize),
}

impl From<Beat> for Rhythm {
    fn from(beat: Beat) -> Rhythm {
        Rhythm::Beat(beat)
    }
}

impl Rhythm {
    /// How late the nth of so many publishers begins, in nanoseconds: their beats are spread over an interval, while
    /// recordings are of one call and stay as they were.
    pub fn phase_ns(&self, publisher: usize, count: usize) -> u64 {
        match self {
            Rhythm::Beat(beat) => beat.interval_ns * publisher as u64 / count as u64,
            Rhythm::Recorded { .. } => 0,
        }
    }

    /// The size of the nth packet ever sent, which is packet `index` of an interval. A burst has one size.
    pub fn size(&self, index: u32, number: u64) -> usize {
        match *self {
            Rhythm::Beat(beat) => beat.size(number),
            Rhythm::Recorded { .. } => self.recorded()[index as usize].bytes,
        }
    }

    /// Whether packet `index` is the first of its frame, and whether it is the last.
    pub fn bounds(&self, index: u32) -> (bool, bool) {
        match *self {
            Rhythm::Beat(beat) => (index == 0, index + 1 == beat.packets),
            Rhythm::Recorded { .. } => {
                let packet = &self.recorded()[index as usize];
                (packet.first, packet.last)
            }
        }
    }

    /// Packets that are sent in so long a time from a phase on.
    pub fn count(&self, phase_ns: u64, nanos: u64) -> u64 {
        let (mut cursor, mut count) = (Cursor::new(*self, 0, phase_ns), 0);
        while cursor.at_ns < nanos {
            count += u64::from(cursor.step().1);
        }
        count
    }

    /// Packets of an interval.
    pub fn packets(&self) -> u32 {
        match self {
            Rhythm::Beat(beat) => beat.packets,
            Rhythm::Recorded { .. } => u32::try_from(self.recorded().len()).expect("a short recording"),
        }
    }

    /// Packets sent together, and the time to the next ones, after packet `index` of an interval.
    fn step(&self, index: u32) -> (u32, u64) {
        match *self {
            Rhythm::Beat(beat) => beat.step(index),
            Rhythm::Recorded { .. } => {
                let (packets, index) = (self.recorded(), index as usize);
                let next = packets.get(index + 1).map_or(CALL.length_ns + packets[0].at_ns, |next| next.at_ns);
                (1, next - packets[index].at_ns)
            }
        }
    }

    /// The packet to begin with, and how long after the beginning it is due. In a recording the phase is a place, and the
    /// first frame that begins there is the first.
    fn begin(&self, phase_ns: u64) -> (u32, u64) {
        let Rhythm::Recorded { .. } = self else { return (0, phase_ns) };
        let (packets, from) = (self.recorded(), phase_ns % CALL.length_ns);
        match packets.iter().position(|packet| packet.first && packet.at_ns >= from) {
            Some(index) => (u32::try_from(index).expect("a short recording"), packets[index].at_ns - from),
            None => (0, CALL.length_ns + packets[0].at_ns - from),
        }
    }

    fn recorded(&self) -> &'static [Packet] {
        let Rhythm::Recorded { publisher, video } = *self else { unreachable!("a beat is not recorded") };
        &CALL.packets[publisher][usize::from(video)]
    }
}

impl Beat {
    fn size(&self, number: u64) -> usize {
        let (least, greatest) = self.bytes;
        let steps = (greatest - least + 1) as u64;
        least + usize::try_from((number / u64::from(self.packets)).wrapping_mul(37) % steps).expect("a datagram")
    }

    fn step(&self, index: u32) -> (u32, u64) {
        match self.gap_ns {
            0 => (self.packets, self.interval_ns),
            gap if index + 1 < self.packets => (1, gap),
            gap => (1, self.interval_ns - gap * u64::from(self.packets - 1)),
        }
    }
}

/// A place in a rhythm: which packet is next, and when it is due.
#[derive(Clone, Copy)]
pub struct Cursor {
    pub rhythm: Rhythm,
    pub at_ns: u64,
    index: u32,
}

impl Cursor {
    /// The beginning, at a time and so much later, or so far in.
    pub fn new(rhythm: Rhythm, begin_ns: u64, phase_ns: u64) -> Cursor {
        let (index, wait) = rhythm.begin(phase_ns);
        Cursor { rhythm, at_ns: begin_ns + wait, index }
    }

    /// Goes on to the next packets; returns the index of the one that was due, how many are sent with it, and how long it is
    /// until the next.
    pub fn step(&mut self) -> (u32, u32, u64) {
        let index = self.index;
        let (count, wait) = self.rhythm.step(index);
        self.index = (index + count) % self.rhythm.packets();
        self.at_ns += wait;
        (index, count, wait)
    }
}

/// How long the recorded call is, in nanoseconds, before it begins again.
pub fn recorded_ns() -> u64 {
    CALL.length_ns
}

/// The recorded call: `[publisher][video]`.
struct Call {
    length_ns: u64,
    packets: [[Vec<Packet>; 2]; 3],
}

struct Packet {
    at_ns: u64,
    bytes: usize,
    first: bool,
    last: bool,
}

static CALL: LazyLock<Call> = LazyLock::new(|| read(include_str!("../trace/chromium-call.txt")));

/// Shorter ones do not hold what the generator writes: header, payload descriptor and time of sending.
const AUDIO_BYTES_MIN: usize = 40;
const VIDEO_BYTES_MIN: usize = 54;
/// The recording ends with an interval of the audio.
const AUDIO_INTERVAL_NS: u64 = 20_000_000;

fn read(text: &str) -> Call {
    let mut call = Call { length_ns: 0, packets: Default::default() };
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let words: Vec<&str> = line.split(' ').collect();
        let [at, publisher, kind, bytes, marker] = words[..] else { panic!("a line of the recording: {line}") };
        let number = |word: &str| word.parse::<usize>().expect("a number of the recording");
        let (at_ns, video) = (number(at) as u64 * 1000, kind == "v");
        let packets = &mut call.packets[number(publisher)][usize::from(video)];
        let bytes = number(bytes).max(if video { VIDEO_BYTES_MIN } else { AUDIO_BYTES_MIN });
        let first = packets.last().is_none_or(|before| before.last);
        packets.push(Packet { at_ns, bytes, first, last: !video || marker == "1" });
        call.length_ns = at_ns.next_multiple_of(AUDIO_INTERVAL_NS);
    }
    call
}
