//! The SSRCs that a peer has authenticated, each with its replay window. Bounded, so that a linear search is both the
//! fastest for the handful that peers use and safe from chosen keys; nothing is hashed and nothing needs a seed.
//!
//! A source is never forgotten, because a forgotten one could be replayed from its first packet on. When there are too many,
//! the one that was silent for longest is kept as its highest index alone: everything up to that counts as seen. Then
//! nothing of it can be taken twice, and its rollover counter is still known; what it loses, should it come back, are
//! packets that were late at that moment.

use super::SrtpError;
use super::replay::ReplayWindow;

/// SSRCs of one association that are known with their windows, for SRTP and for SRTCP each: media and RTX of as many m-lines
/// as a description may have. 148 bytes each.
pub const SOURCES_MAX: usize = 2 * crate::limits::MEDIA_LINES_MAX;
/// SSRCs that are known by their highest index alone, 16 bytes each: a camera and its RTX may be changed for others two
/// thousand times in the life of an association.
pub const RETIRED_MAX: usize = 4096;

/// Windows by SSRC. SSRCs lie apart so that a search touches two cache lines for thirty-two of them.
#[derive(Debug, Default)]
pub(super) struct Sources {
    ssrcs: Vec<u32>,
    windows: Vec<ReplayWindow>,
    /// At which of all packets each was heard last.
    heard: Vec<u64>,
    packets: u64,
    /// SSRC and highest index, sorted.
    retired: Vec<(u32, u64)>,
}

/// The answer to a search.
#[derive(Clone, Copy, Debug)]
pub(super) enum Place {
    /// A source with its window.
    Known(usize),
    /// One of which everything up to an index counts as seen.
    Retired(u64),
    /// A new one.
    New,
}

impl Sources {
    /// Finds a source; a new one when there is no room is an error.
    pub(super) fn find(&self, ssrc: u32) -> Result<Place, SrtpError> {
        if let Some(at) = self.ssrcs.iter().position(|&known| known == ssrc) {
            return Ok(Place::Known(at));
        }
        match self.retired.binary_search_by_key(&ssrc, |(ssrc, _)| *ssrc) {
            Ok(at) => Ok(Place::Retired(self.retired[at].1)),
            Err(_) if self.ssrcs.len() < SOURCES_MAX || self.retired.len() < RETIRED_MAX => Ok(Place::New),
            Err(_) => Err(SrtpError::TooManyStreams),
        }
    }

    /// The index that a sequence number most likely has. The first packet of a source is in its first turn (RFC 3711
    /// §3.3.1).
    pub(super) fn estimate(&self, place: Place, sequence: u16) -> Result<u64, SrtpError> {
        match place {
            Place::Known(at) => self.windows[at].estimate(sequence),
            Place::Retired(highest) => ReplayWindow::closed_at(highest).estimate(sequence),
            Place::New => Ok(sequence.into()),
        }
    }

    /// Whether a packet of this index may be taken, were it authentic.
    pub(super) fn check(&self, place: Place, index: u64) -> Result<(), SrtpError> {
        match place {
            Place::Known(at) => self.windows[at].check(index),
            Place::Retired(highest) if index <= highest => Err(SrtpError::Replay),
            Place::Retired(_) | Place::New => Ok(()),
        }
    }

    /// Records an authenticated packet; the first of a source makes its state, the only allocation here.
    pub(super) fn accept(&mut self, place: Place, ssrc: u32, index: u64) {
        self.packets += 1;
        match place {
            Place::Known(at) => {
                self.windows[at].accept(index);
                self.heard[at] = self.packets;
            }
            Place::Retired(highest) => {
                if let Ok(at) = self.retired.binary_search_by_key(&ssrc, |(ssrc, _)| *ssrc) {
                    self.retired.remove(at);
                }
                let mut window = ReplayWindow::closed_at(highest);
                window.accept(index);
                self.add(ssrc, window);
            }
            Place::New => self.add(ssrc, ReplayWindow::starting_at(index)),
        }
    }

    fn add(&mut self, ssrc: u32, window: ReplayWindow) {
        if self.ssrcs.len() >= SOURCES_MAX {
            self.retire();
        }
        self.ssrcs.push(ssrc);
        self.windows.push(window);
        self.heard.push(self.packets);
    }

    /// Keeps the highest index alone of the source that was silent for longest.
    fn retire(&mut self) {
        let Some(oldest) = (0..self.heard.len()).min_by_key(|&at| self.heard[at]) else { return };
        self.heard.swap_remove(oldest);
        let (ssrc, window) = (self.ssrcs.swap_remove(oldest), self.windows.swap_remove(oldest));
        let at = self.retired.partition_point(|(retired, _)| *retired < ssrc);
        self.retired.insert(at, (ssrc, window.highest()));
    }
}
