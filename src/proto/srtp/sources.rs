//! The SSRCs that a peer has authenticated, each with its replay window. Bounded, so that a linear search is both the
//! fastest for the handful that peers use and safe from chosen keys; nothing is hashed and nothing needs a seed.

use super::SrtpError;
use super::replay::ReplayWindow;

/// SSRCs that one association accepts in its life, for SRTP and for SRTCP each: a publisher may add a simulcast video
/// (three layers and their retransmissions) some twenty times. State of a source is never forgotten, because a forgotten
/// source could be replayed; 136 bytes each.
pub const SOURCES_MAX: usize = 128;

/// Windows by SSRC. SSRCs lie apart so that a search touches two cache lines for thirty-two of them.
#[derive(Debug, Default)]
pub(super) struct Sources {
    ssrcs: Vec<u32>,
    windows: Vec<ReplayWindow>,
}

/// The answer to a search: where a known source is, or that this one would be new.
#[derive(Clone, Copy, Debug)]
pub(super) enum Place {
    Known(usize),
    New,
}

impl Sources {
    /// Finds a source; a new one when the table is full is an error.
    pub(super) fn find(&self, ssrc: u32) -> Result<Place, SrtpError> {
        match self.ssrcs.iter().position(|&known| known == ssrc) {
            Some(at) => Ok(Place::Known(at)),
            None if self.ssrcs.len() < SOURCES_MAX => Ok(Place::New),
            None => Err(SrtpError::TooManyStreams),
        }
    }

    /// The window at a place; a new source has none.
    pub(super) fn window(&self, place: Place) -> Option<&ReplayWindow> {
        match place {
            Place::Known(at) => Some(&self.windows[at]),
            Place::New => None,
        }
    }

    /// Records an authenticated packet; the first of a source makes its state, the only allocation here.
    pub(super) fn accept(&mut self, place: Place, ssrc: u32, index: u64) {
        match place {
            Place::Known(at) => self.windows[at].accept(index),
            Place::New => {
                self.ssrcs.push(ssrc);
                self.windows.push(ReplayWindow::starting_at(index));
            }
        }
    }
}
