//! Sequence and timestamp continuity of one leg: whatever the source, the subscriber sees one stream without seams
//! (RFC 3550 §5.1). Gaps of the source stay gaps, so that what is late or repaired finds its place.

use std::time::Duration;

use crate::time::Mono;

/// Maps a source's numbers to a leg's.
#[derive(Debug)]
pub struct Rewrite {
    clock_rate: u32,
    base: Option<Base>,
    rebase: Rebase,
    highest: u64,
    timestamp: u32,
    sent_at: Option<Mono>,
}

/// What an incoming packet is mapped with.
#[derive(Clone, Copy, Debug)]
struct Base {
    /// The first incoming sequence number of this base; earlier ones belong to nobody.
    from: u64,
    /// The outgoing number of `from`.
    to: u64,
    /// Added to incoming timestamps.
    timestamp_offset: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rebase {
    /// The source goes on.
    No,
    /// The source goes on after a pause: numbers close up, timestamps keep its clock.
    Sequence,
    /// Another source: its clock is mapped to ours by the time that went by.
    Source,
}

/// A packet's numbers toward the subscriber.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rewritten {
    /// Extended sequence number; also the SRTP index.
    pub sequence: u64,
    pub timestamp: u32,
}

impl Rewrite {
    /// Begins at `first` (random, below 2^15: RFC 3711 §3.3.1 wants the first wrap far away) and `timestamp` (random).
    pub fn new(clock_rate: u32, first: u64, timestamp: u32) -> Rewrite {
        let highest = first.saturating_sub(1);
        Rewrite { clock_rate, base: None, rebase: Rebase::Source, highest, timestamp, sent_at: None }
    }

    /// The next packet comes from another source (or the same one with new numbers).
    pub fn switch(&mut self) {
        self.rebase = Rebase::Source;
    }

    /// The next packet comes after a pause of the leg.
    pub fn resume(&mut self) {
        if self.rebase == Rebase::No {
            self.rebase = Rebase::Sequence;
        }
    }

    /// The numbers of a packet; none when it is older than the point at which the leg was switched to its source.
    pub fn map(&mut self, sequence: u64, timestamp: u32, now: Mono) -> Option<Rewritten> {
        let base = match (self.rebase, self.base) {
            (Rebase::No, Some(base)) => base,
            (rebase, previous) => {
                let timestamp_offset = match (rebase, previous) {
                    (Rebase::Sequence, Some(base)) => base.timestamp_offset,
                    _ => self.next_timestamp(now).wrapping_sub(timestamp),
                };
                let base = Base { from: sequence, to: self.highest + 1, timestamp_offset };
                self.base = Some(base);
                self.rebase = Rebase::No;
                base
            }
        };
        let ahead = sequence.checked_sub(base.from)?;
        let rewritten =
            Rewritten { sequence: base.to + ahead, timestamp: timestamp.wrapping_add(base.timestamp_offset) };
        if rewritten.sequence > self.highest {
            self.highest = rewritten.sequence;
            self.timestamp = rewritten.timestamp;
            self.sent_at = Some(now);
        }
        Some(rewritten)
    }

    /// Whether the next packet begins at a new place: then it should be the newest there is.
    pub fn is_rebasing(&self) -> bool {
        self.rebase != Rebase::No || self.base.is_none()
    }

    /// When its newest packet went out.
    pub fn sent_at(&self) -> Option<Mono> {
        self.sent_at
    }

    /// What is added to a source timestamp, once a packet of this source has gone out; reports need it.
    pub fn timestamp_offset(&self) -> Option<u32> {
        self.base.filter(|_| self.rebase != Rebase::Source).map(|base| base.timestamp_offset)
    }

    /// The outgoing timestamp at which another source goes on: the last one plus the time that went by.
    fn next_timestamp(&self, now: Mono) -> u32 {
        match self.sent_at {
            Some(at) => self.timestamp.wrapping_add(ticks(now.since(at), self.clock_rate).max(1)),
            None => self.timestamp,
        }
    }
}

/// A duration in RTP clock ticks, modulo 2^32 as timestamps are.
fn ticks(duration: Duration, clock_rate: u32) -> u32 {
    let ticks = duration.as_nanos() * u128::from(clock_rate) / 1_000_000_000;
    (ticks & u128::from(u32::MAX)) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn sent(rewrite: &mut Rewrite, sequence: u64, timestamp: u32, at_ms: u64) -> (u64, u32) {
        let out = rewrite.map(sequence, timestamp, Mono(at_ms * MS)).unwrap();
        (out.sequence, out.timestamp)
    }

    #[test]
    fn a_gap_of_the_source_stays_a_gap_and_a_late_packet_finds_its_place() {
        let mut rewrite = Rewrite::new(90_000, 100, 7);
        assert_eq!(sent(&mut rewrite, 5000, 1_000, 0), (100, 7));
        assert_eq!(sent(&mut rewrite, 5003, 4_000, 33), (103, 3_007));
        assert_eq!(sent(&mut rewrite, 5001, 1_000, 34), (101, 7));
        assert_eq!(sent(&mut rewrite, 5004, 4_000, 34), (104, 3_007));
    }

    #[test]
    fn another_source_goes_on_where_the_last_one_stopped_by_the_time_that_went_by() {
        let mut rewrite = Rewrite::new(90_000, 1, 0);
        sent(&mut rewrite, 10, 50_000, 1_000);
        rewrite.switch();
        assert_eq!(rewrite.timestamp_offset(), None);
        assert_eq!(sent(&mut rewrite, 60_000, 9, 1_100), (2, 9_000));
        assert_eq!(rewrite.map(59_999, 9, Mono(1_100 * MS)), None, "it belongs to the time before the switch");
    }

    #[test]
    fn after_a_pause_numbers_close_up_and_the_clock_of_the_source_is_kept() {
        let mut rewrite = Rewrite::new(90_000, 1, 0);
        sent(&mut rewrite, 10, 1_000, 0);
        rewrite.resume();
        assert_eq!(sent(&mut rewrite, 400, 91_000, 1_000), (2, 90_000));
    }

    #[test]
    fn a_pause_before_the_first_packet_changes_nothing() {
        let mut rewrite = Rewrite::new(48_000, 9, 3);
        rewrite.resume();
        assert_eq!(sent(&mut rewrite, 10, 1_000, 0), (9, 3));
    }
}
