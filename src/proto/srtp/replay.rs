//! The replay window of one SSRC (RFC 3711 §3.3.2) and, since it knows the highest index, the guess of a packet's index
//! from its 16-bit sequence number (RFC 3711 §3.3.1, Appendix A). It is asked before and told after authentication.

use super::{INDEX_MAX, SrtpError};

/// Packets behind the highest that are still told apart.
pub(super) const WINDOW: u64 = 1024;
const WORDS: usize = 16;
const _: () = assert!(WORDS as u64 * 64 == WINDOW);

/// A bitmap used as a ring: the bit of an index is `index mod WINDOW`, so that moving on clears bits and shifts nothing.
#[derive(Clone, Debug)]
pub(super) struct ReplayWindow {
    highest: u64,
    seen: [u64; WORDS],
}

impl ReplayWindow {
    /// The window of a source whose first authenticated packet has this index.
    pub(super) fn starting_at(index: u64) -> Self {
        let mut window = ReplayWindow { highest: index, seen: [0; WORDS] };
        window.mark(index);
        window
    }

    /// The window of a source of which everything up to this index counts as seen.
    pub(super) fn closed_at(highest: u64) -> Self {
        ReplayWindow { highest, seen: [u64::MAX; WORDS] }
    }

    /// The highest index that was taken.
    pub(super) fn highest(&self) -> u64 {
        self.highest
    }

    /// Whether a packet of this index may be taken, were it authentic.
    pub(super) fn check(&self, index: u64) -> Result<(), SrtpError> {
        let behind = self.highest.saturating_sub(index);
        let (word, bit) = place(index);
        if behind >= WINDOW || (index <= self.highest && self.seen[word] & bit != 0) {
            return Err(SrtpError::Replay);
        }
        Ok(())
    }

    /// Whether this index is known to have been taken.
    pub(super) fn holds(&self, index: u64) -> bool {
        let (word, bit) = place(index);
        index <= self.highest && self.highest - index < WINDOW && self.seen[word] & bit != 0
    }

    /// Records an authenticated packet that [`Self::check`] has allowed.
    pub(super) fn accept(&mut self, index: u64) {
        if index > self.highest {
            if index - self.highest >= WINDOW {
                self.seen = [0; WORDS];
            } else {
                for skipped in self.highest + 1..index {
                    let (word, bit) = place(skipped);
                    self.seen[word] &= !bit;
                }
            }
            self.highest = index;
        }
        self.mark(index);
    }

    /// The index that a sequence number most likely has: the one nearest to the highest so far.
    pub(super) fn estimate(&self, sequence: u16) -> Result<u64, SrtpError> {
        let (roc, last) = (self.highest >> 16, self.highest as u16);
        let ahead = i32::from(sequence) - i32::from(last);
        let roc = match ahead {
            // A source at its first turn has no turn before it, so the jump can only be forward.
            ..=-0x8001 => roc + 1,
            0x8001.. => roc.saturating_sub(1),
            _ => roc,
        };
        let index = roc << 16 | u64::from(sequence);
        if index > INDEX_MAX { Err(SrtpError::Exhausted) } else { Ok(index) }
    }

    fn mark(&mut self, index: u64) {
        let (word, bit) = place(index);
        self.seen[word] |= bit;
    }
}

fn place(index: u64) -> (usize, u64) {
    let slot = index % WINDOW;
    ((slot / 64) as usize, 1 << (slot % 64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    #[test]
    fn the_window_is_1024_packets_wide() {
        let mut window = ReplayWindow::starting_at(0);
        window.accept(1023);
        assert_eq!(window.check(0), Err(SrtpError::Replay));
        assert_eq!(window.check(1), Ok(()));
        window.accept(1025);
        assert_eq!(window.check(1), Err(SrtpError::Replay), "too old");
        assert_eq!(window.check(2), Ok(()));
        assert_eq!(window.check(1023), Err(SrtpError::Replay), "seen");
    }

    #[test]
    fn the_estimate_follows_the_nearest_rollover() {
        let window = ReplayWindow::starting_at(5 << 16 | 0xfff0);
        assert_eq!(window.estimate(0xfffe), Ok(5 << 16 | 0xfffe));
        assert_eq!(window.estimate(3), Ok(6 << 16 | 3));
        assert_eq!(window.estimate(0x7ff0), Ok(5 << 16 | 0x7ff0), "exactly half a turn stays, as Appendix A has it");
        let window = ReplayWindow::starting_at(6 << 16 | 3);
        assert_eq!(window.estimate(0xfffe), Ok(5 << 16 | 0xfffe));
        assert_eq!(ReplayWindow::starting_at(3).estimate(0xfffe), Ok(0xfffe), "there is nothing before the first turn");
    }

    #[test]
    fn the_last_index_of_a_key_is_not_followed_by_another() {
        let window = ReplayWindow::starting_at(INDEX_MAX);
        assert_eq!(window.estimate(0xffff), Ok(INDEX_MAX));
        assert_eq!(window.estimate(0), Err(SrtpError::Exhausted));
    }

    proptest! {
        #[test]
        fn the_bitmap_agrees_with_a_set_of_everything_seen(steps in prop::collection::vec((0u64..3, 0u64..1500), 1..400)) {
            let mut index = 100_000u64;
            let mut window = ReplayWindow::starting_at(index);
            let (mut seen, mut highest) = (HashSet::from([index]), index);
            for (kind, by) in steps {
                index = match kind { 0 => highest + by, 1 => highest - by.min(highest), _ => highest + by % 4 };
                let fresh = !seen.contains(&index) && (index > highest || highest - index < WINDOW);
                prop_assert_eq!(window.check(index).is_ok(), fresh, "index {} at highest {}", index, highest);
                if fresh {
                    window.accept(index);
                    seen.insert(index);
                    highest = highest.max(index);
                }
            }
        }
    }
}
