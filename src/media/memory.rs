//! The bounded region that histories are taken from. When it is used up, new histories are smaller; media never stops.

use super::history::History;
use crate::limits::{AUDIO_HISTORY_BYTES, HISTORY_REGION_BYTES, VIDEO_HISTORY_BYTES};
use crate::wire::sdp::MediaKind;

/// What all histories of a shard may hold together.
#[derive(Debug)]
pub struct HistoryRegion {
    limit: usize,
    used: usize,
    /// How many histories had to be made smaller than their kind wants.
    pub shrunk: u64,
}

impl HistoryRegion {
    /// A region of [`HISTORY_REGION_BYTES`].
    pub fn new() -> HistoryRegion {
        HistoryRegion { limit: HISTORY_REGION_BYTES, used: 0, shrunk: 0 }
    }

    /// A history for one layer of that kind: of full size while there is room, else the largest power-of-two part of it
    /// that fits, and at the least the smallest that works.
    pub fn take(&mut self, kind: MediaKind) -> History {
        let (mut bytes, mut entries) = match kind {
            MediaKind::Audio => (AUDIO_HISTORY_BYTES, 128),
            _ => (VIDEO_HISTORY_BYTES, 1024),
        };
        let wanted = bytes;
        while self.used + bytes > self.limit && bytes / 2 >= SMALLEST {
            bytes /= 2;
            entries /= 2;
        }
        self.shrunk += u64::from(bytes < wanted);
        let history = History::new(bytes, entries);
        self.used += history.footprint();
        history
    }

    /// A history comes back.
    pub fn give_back(&mut self, history: &History) {
        self.used -= history.footprint();
    }

    /// Bytes in use.
    pub fn used(&self) -> usize {
        self.used
    }
}

impl Default for HistoryRegion {
    fn default() -> Self {
        HistoryRegion::new()
    }
}

const SMALLEST: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exhausted_region_gives_smaller_histories_and_takes_everything_back() {
        let mut region = HistoryRegion { limit: 1_000_000, used: 0, shrunk: 0 };
        let histories: Vec<_> = (0..8).map(|_| region.take(MediaKind::Video)).collect();
        assert!(region.shrunk >= 6);
        assert!(histories[0].footprint() > histories[7].footprint());
        for history in &histories {
            region.give_back(history);
        }
        assert_eq!(region.used(), 0);
    }
}
