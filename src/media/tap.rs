//! A running capture: one peer's decrypted RTP and RTCP in both directions, put into the sink that the machine gave. It is
//! bounded in bytes and time. A peer without one pays for nothing but a look at an option.

use super::turn::Turn;
use super::verdict::DropReason;
use crate::control::capture::{CaptureSink, Put};
use crate::id::FourTuple;
use crate::limits::{CAPTURE_BYTES_MAX, CAPTURE_TIME_MAX};
use crate::time::Mono;
use crate::wire::pcap::{Captured, Direction, Format};

/// Where a peer's capture stands when there is one.
pub type Slot = Option<Box<Capture>>;

/// A capture.
#[derive(Debug)]
pub struct Capture {
    sink: Box<dyn CaptureSink>,
    format: Format,
    file: Box<str>,
    keep: usize,
    until: Mono,
    left: u64,
    record: Vec<u8>,
}

impl Capture {
    /// Begins the file, which is called `file`. `truncate` is the bytes of each packet to keep, 0 for all.
    pub fn begin(mut sink: Box<dyn CaptureSink>, file: Box<str>, format: Format, truncate: u64, now: Mono) -> Capture {
        if !format.preamble().is_empty() {
            // A sink is empty in the beginning, and one that has ended says so again.
            sink.put(format.preamble());
        }
        let keep = if truncate == 0 { usize::MAX } else { usize::try_from(truncate).unwrap_or(usize::MAX) };
        let (until, left, record) = (now + CAPTURE_TIME_MAX, CAPTURE_BYTES_MAX, Vec::new());
        Capture { sink, format, file, keep, until, left, record }
    }

    /// What the file is, and what it is called.
    pub fn file(&self) -> (Format, &str) {
        (self.format, &self.file)
    }
}

/// Writes a packet down. The caller has seen that there is a capture: what others pay for it is that look.
#[cold]
#[inline(never)]
pub fn record(slot: &mut Slot, turn: &mut Turn<'_>, path: Option<FourTuple>, direction: Direction, pieces: &[&[u8]]) {
    let Some(capture) = slot else { return };
    let ends = path.and_then(|path| Some((*turn.state.sockets.get(usize::from(path.socket.0))?, path.remote)));
    let Some((local, remote)) = ends else { return turn.drop(DropReason::CaptureOverflow) };
    let (unix_us, keep) = (turn.now.unix_us, capture.keep);
    capture.record.clear();
    capture.format.append(&Captured { unix_us, direction, local, remote, pieces, keep }, &mut capture.record);
    let len = capture.record.len() as u64;
    if turn.now.mono >= capture.until || len > capture.left {
        turn.state.counters.captures_limited += 1;
        *slot = None;
        return;
    }
    match capture.sink.put(&capture.record) {
        Put::Taken => capture.left -= len,
        Put::Full => turn.drop(DropReason::CaptureOverflow),
        Put::Ended => {
            turn.state.counters.captures_failed += 1;
            *slot = None;
        }
    }
}
