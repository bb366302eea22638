//! Which m-line each SSRC of a peer belongs to: as its description announces, or as its packets say (RFC 9143 §9.2).
//! The table is bounded, and makes room by forgetting what has been silent. That is routing alone: what was received of
//! an SSRC stays with SRTP, so that a forgotten one that comes back is bound anew and cannot be replayed.

use std::collections::HashMap;

use foldhash::quality::SeedableRandomState;

use crate::id::StreamId;
use crate::limits::{SOURCE_SILENCE, SOURCES_PER_PEER};
use crate::time::Mono;

/// What an SSRC of a peer belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// Packets of a stream's layer.
    Media(StreamId, usize),
    /// RTX of a stream's layer (RFC 4588).
    Repair {
        stream: StreamId,
        layer: usize,
        /// The media SSRC that an FID group pairs it with, where one does (RFC 5576 §4.2).
        of: Option<u32>,
    },
}

impl Source {
    /// The stream.
    pub fn stream(self) -> StreamId {
        match self {
            Source::Media(stream, _) | Source::Repair { stream, .. } => stream,
        }
    }
}

/// Every SSRC in use is heard more often than once in [`SOURCE_SILENCE`], and there is no room for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// The SSRCs of one peer. The peer chooses them, so the map is keyed.
pub struct Sources {
    by_ssrc: HashMap<u32, Known, SeedableRandomState>,
}

#[derive(Clone, Copy)]
struct Known {
    source: Source,
    /// When a packet came last, or when it was announced.
    heard: Mono,
}

impl Sources {
    /// None is known.
    pub fn new(hasher: SeedableRandomState) -> Sources {
        Sources { by_ssrc: HashMap::with_hasher(hasher) }
    }

    /// What the SSRC belongs to.
    pub fn get(&self, ssrc: u32) -> Option<Source> {
        self.by_ssrc.get(&ssrc).map(|known| known.source)
    }

    /// What the SSRC of a packet belongs to.
    pub fn hear(&mut self, ssrc: u32, at: Mono) -> Option<Source> {
        let known = self.by_ssrc.get_mut(&ssrc)?;
        known.heard = at;
        Some(known.source)
    }

    /// Binds an SSRC, wherever it belonged before. In a full table the one that was silent for longest is forgotten.
    pub fn bind(&mut self, ssrc: u32, source: Source, at: Mono) -> Result<(), Full> {
        if self.by_ssrc.len() >= SOURCES_PER_PEER && !self.by_ssrc.contains_key(&ssrc) {
            let oldest = self.by_ssrc.iter().min_by_key(|(ssrc, known)| (known.heard, **ssrc));
            let silent = oldest.filter(|(_, known)| at.since(known.heard) >= SOURCE_SILENCE);
            let silent = *silent.ok_or(Full)?.0;
            self.by_ssrc.remove(&silent);
        }
        self.by_ssrc.insert(ssrc, Known { source, heard: at });
        Ok(())
    }

    /// Binds an SSRC that a description announces. One that belongs to another stream stays there: only its packets'
    /// MID can move it.
    pub fn announce(&mut self, ssrc: u32, source: Source, at: Mono) -> Result<(), Full> {
        match self.by_ssrc.get_mut(&ssrc) {
            Some(known) if known.source.stream() != source.stream() => Ok(()),
            Some(known) => {
                known.source = source;
                Ok(())
            }
            None => self.bind(ssrc, source, at),
        }
    }

    /// Forgets an SSRC that the stream's description does not announce any more.
    pub fn withdraw(&mut self, ssrc: u32, stream: StreamId) {
        if self.get(ssrc).is_some_and(|source| source.stream() == stream) {
            self.by_ssrc.remove(&ssrc);
        }
    }

    /// Forgets all of a stream.
    pub fn forget(&mut self, stream: StreamId) {
        self.by_ssrc.retain(|_, known| known.source.stream() != stream);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use foldhash::SharedSeed;

    const HERE: Source = Source::Media(StreamId(1), 0);
    const THERE: Source = Source::Media(StreamId(2), 0);

    fn full(at: Mono) -> Sources {
        let mut sources = Sources::new(SeedableRandomState::with_seed(1, SharedSeed::global_fixed()));
        (0..1024).for_each(|ssrc| sources.bind(ssrc, HERE, at).unwrap());
        assert_eq!(sources.by_ssrc.len(), SOURCES_PER_PEER);
        sources
    }

    #[test]
    fn a_full_table_forgets_whoever_was_silent_for_longest_and_nobody_else() {
        let start = Mono(1_000_000_000);
        let mut sources = full(start);
        assert_eq!(sources.bind(5000, HERE, start + SOURCE_SILENCE / 2), Err(Full), "all were heard a moment ago");
        assert_eq!(sources.bind(7, THERE, start), Ok(()), "a known one takes no room");
        for ssrc in (0..1024).filter(|ssrc| *ssrc != 400) {
            sources.hear(ssrc, start + SOURCE_SILENCE / 2);
        }
        assert_eq!(sources.bind(5000, HERE, start + SOURCE_SILENCE), Ok(()));
        assert_eq!((sources.get(400), sources.get(401), sources.get(5000)), (None, Some(HERE), Some(HERE)));
        assert_eq!(sources.by_ssrc.len(), SOURCES_PER_PEER);
    }

    #[test]
    fn what_is_announced_elsewhere_stays_until_it_is_withdrawn_there() {
        let mut sources = full(Mono(0));
        sources.announce(3, THERE, Mono(0)).unwrap();
        sources.withdraw(3, StreamId(2));
        assert_eq!(sources.get(3), Some(HERE));
        sources.withdraw(3, StreamId(1));
        sources.announce(3, THERE, Mono(0)).unwrap();
        assert_eq!(sources.get(3), Some(THERE));
        sources.forget(StreamId(1));
        assert_eq!(sources.by_ssrc.len(), 1);
    }
}
