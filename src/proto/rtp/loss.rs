//! What is missing of one received source, and when to ask for it again: the numbers behind the newest one, in a window that
//! never grows. Reports of loss are `arrival`'s business, and the packets are kept elsewhere. RFC 4585 §6.2.1, RFC 4588 §6.3.

use std::time::Duration;

use crate::limits::{HISTORY_AGE, NACK_DELAY, NACK_INTERVAL, NACK_TRIES};
use crate::time::Mono;
use crate::wire::rtp::ExtSeq;

/// The gaps of one source. Unlike a reception record it knows of every packet how it came, resends included, and lets
/// each number in once.
#[derive(Clone, Debug)]
pub struct Losses {
    newest: Option<ExtSeq>,
    /// The bit of a number is `number mod WINDOW`: it was received, or never sent.
    had: [u64; WORDS],
    /// Oldest first, at most as many as there was room for at the start.
    missing: Vec<Missing>,
    room: usize,
    /// How long an answer to a NACK takes: at least the round trip, more when the first NACK or its answer was lost.
    answered_in: Duration,
    abandoned: u64,
}

#[derive(Clone, Copy, Debug)]
struct Missing {
    number: ExtSeq,
    noticed: Mono,
    /// When to ask (again), or to give up.
    due: Mono,
    tries: u8,
}

/// What a packet was to the gaps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Receipt {
    /// It left no gap before it, or came late by itself.
    InPlace,
    /// Numbers before it are missing now.
    Gap,
    /// It had been asked for.
    Recovered,
    /// It was here before, or is too old to tell.
    Duplicate,
}

impl Losses {
    /// Begins to watch; at most `room` packets are asked for at a time, 0 when the peer does not take NACKs. Nothing is
    /// allocated later.
    pub fn new(room: usize) -> Self {
        Losses {
            newest: None,
            had: [0; WORDS],
            missing: Vec::with_capacity(room),
            room,
            answered_in: Duration::ZERO,
            abandoned: 0,
        }
    }

    /// Another source comes: nothing is known of its numbers.
    pub fn reset(&mut self) {
        self.newest = None;
        self.had = [0; WORDS];
        self.abandon(self.missing.len());
    }

    /// The source goes on at `number`, and what lies before it was never sent.
    pub fn restart(&mut self, number: ExtSeq) {
        self.reset();
        self.had = [u64::MAX; WORDS];
        self.newest = Some(number.before());
    }

    /// Records a packet, however it came.
    pub fn receive(&mut self, number: ExtSeq, at: Mono) -> Receipt {
        let Some(newest) = self.newest else {
            self.newest = Some(number);
            self.mark(number);
            return Receipt::InPlace;
        };
        if number > newest {
            self.newest = Some(number);
            for skipped in (newest.0 + 1..number.0).rev().take(WINDOW).map(ExtSeq) {
                let (word, bit) = place(skipped);
                self.had[word] &= !bit;
            }
            self.mark(number);
            return self.notice(newest.next(), number, at);
        }
        if !self.is_unseen(number) {
            return Receipt::Duplicate;
        }
        self.mark(number);
        let Ok(found) = self.missing.binary_search_by_key(&number, |missing| missing.number) else {
            return Receipt::InPlace;
        };
        let missing = self.missing.remove(found);
        if missing.tries == 0 {
            return Receipt::InPlace;
        }
        let answered_in = at.since(missing.noticed + NACK_DELAY);
        self.answered_in =
            if self.answered_in.is_zero() { answered_in } else { (self.answered_in * 7 + answered_in) / 8 };
        Receipt::Recovered
    }

    /// Which packet an RTX packet (RFC 4588 §4) repairs, when that one is missing.
    pub fn unseen(&self, original: u16) -> Option<ExtSeq> {
        let newest = self.newest?;
        Some(newest.nearest(original)).filter(|number| *number < newest && self.is_unseen(*number))
    }

    /// Which packet a number means, when that one was asked for and has not come.
    pub fn asked(&self, sequence: u16) -> Option<ExtSeq> {
        if self.missing.is_empty() {
            return None;
        }
        let number = self.newest?.nearest(sequence);
        let found = self.missing.binary_search_by_key(&number, |missing| missing.number).ok()?;
        (self.missing[found].tries > 0).then_some(number)
    }

    /// A keyframe begins at `number`: what was lost before it is not needed any more.
    pub fn keyframe(&mut self, number: ExtSeq) {
        let moot = self.missing.partition_point(|missing| missing.number < number);
        self.abandon(moot);
    }

    /// The numbers to ask for now, oldest first. What was asked for often enough, or is too old to be of use, is forgotten.
    pub fn take_due(&mut self, now: Mono) -> impl Iterator<Item = u16> {
        let before = self.missing.len();
        self.missing.retain(|missing| {
            missing.due > now || (missing.tries < NACK_TRIES && now.since(missing.noticed) < HISTORY_AGE)
        });
        self.abandoned += (before - self.missing.len()) as u64;
        let again = now + self.answered_in.max(NACK_INTERVAL);
        self.missing.iter_mut().filter(move |missing| missing.due <= now).map(move |missing| {
            missing.tries += 1;
            missing.due = again;
            missing.number.low()
        })
    }

    /// When [`take_due`](Self::take_due) has something to do next.
    pub fn deadline(&self) -> Mono {
        self.missing.iter().map(|missing| missing.due).min().unwrap_or(Mono::NEVER)
    }

    /// How many were given up since the last call.
    pub fn take_abandoned(&mut self) -> u64 {
        std::mem::take(&mut self.abandoned)
    }

    /// Takes note of a gap; of one too long to be filled only the end is asked for.
    fn notice(&mut self, from: ExtSeq, to: ExtSeq, at: Mono) -> Receipt {
        let gap = to.0 - from.0;
        if gap == 0 {
            return Receipt::InPlace;
        }
        if self.room == 0 {
            return Receipt::Gap;
        }
        let asked = gap.min(self.room as u64);
        self.abandoned += gap - asked;
        // The oldest make room.
        self.abandon((self.missing.len() + asked as usize).saturating_sub(self.room));
        for number in (to.0 - asked..to.0).map(ExtSeq) {
            self.missing.push(Missing { number, noticed: at, due: at + NACK_DELAY, tries: 0 });
        }
        Receipt::Gap
    }

    /// Forgets the `count` oldest.
    fn abandon(&mut self, count: usize) {
        self.missing.drain(..count);
        self.abandoned += count as u64;
    }

    fn is_unseen(&self, number: ExtSeq) -> bool {
        let (word, bit) = place(number);
        self.newest.is_some_and(|newest| newest.distance(number) < WINDOW as i64) && self.had[word] & bit == 0
    }

    fn mark(&mut self, number: ExtSeq) {
        let (word, bit) = place(number);
        self.had[word] |= bit;
    }
}

pub(super) fn place(number: ExtSeq) -> (usize, u64) {
    let slot = number.0 % WINDOW as u64;
    ((slot / 64) as usize, 1 << (slot % 64))
}

/// Numbers that are told apart behind the newest: as many as SRTP lets in late.
pub(super) const WINDOW: usize = 1024;
pub(super) const WORDS: usize = WINDOW / 64;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    const MS: u64 = 1_000_000;

    fn number(n: u64) -> ExtSeq {
        ExtSeq(ExtSeq::first(0).0 + n)
    }

    fn after(numbers: impl IntoIterator<Item = u64>) -> Losses {
        let mut losses = Losses::new(64);
        for n in numbers {
            losses.receive(number(n), Mono(0));
        }
        losses
    }

    fn due(losses: &mut Losses, ms: u64) -> Vec<u16> {
        losses.take_due(Mono(ms * MS)).collect()
    }

    #[test]
    fn a_gap_is_asked_for_after_ten_milliseconds_and_then_every_forty() {
        let mut losses = after([1, 4]);
        assert_eq!((losses.deadline(), due(&mut losses, 9)), (Mono(10 * MS), vec![]));
        assert_eq!(due(&mut losses, 10), [2, 3]);
        assert_eq!((losses.deadline(), due(&mut losses, 49)), (Mono(50 * MS), vec![]));
        assert_eq!(due(&mut losses, 50), [2, 3]);
    }

    #[test]
    fn a_packet_that_is_only_late_is_not_asked_for() {
        let mut losses = after([1, 3]);
        assert_eq!(losses.receive(number(2), Mono(5 * MS)), Receipt::InPlace);
        assert_eq!((losses.deadline(), losses.take_abandoned()), (Mono::NEVER, 0));
    }

    #[test]
    fn a_packet_is_let_in_once_whichever_way_it_comes_first() {
        let mut losses = after([1, 3]);
        assert_eq!((losses.unseen(2), losses.asked(2)), (Some(number(2)), None));
        assert_eq!(due(&mut losses, 10), [2]);
        assert_eq!(losses.asked(2), Some(number(2)));
        assert_eq!(losses.receive(number(2), Mono(30 * MS)), Receipt::Recovered);
        assert_eq!((losses.unseen(2), losses.asked(2)), (None, None));
        assert_eq!(losses.receive(number(2), Mono(31 * MS)), Receipt::Duplicate);
        assert_eq!(losses.receive(number(3), Mono(31 * MS)), Receipt::Duplicate);
        assert_eq!(losses.unseen(4), None, "what may yet come by itself is not missing");
    }

    #[test]
    fn what_nobody_answers_is_given_up() {
        let mut losses = after([1, 3]);
        let asked: usize = (0..2000).map(|ms| due(&mut losses, ms).len()).sum();
        assert_eq!((asked, losses.take_abandoned(), losses.deadline()), (10, 1, Mono::NEVER));
        assert_eq!(losses.receive(number(2), Mono(0)), Receipt::InPlace, "late, but it was never here");
    }

    #[test]
    fn the_pace_follows_the_time_that_answers_take() {
        let mut losses = after([1, 3]);
        due(&mut losses, 10);
        losses.receive(number(2), Mono(310 * MS));
        losses.receive(number(5), Mono(400 * MS));
        assert_eq!(due(&mut losses, 410), [4]);
        assert_eq!(losses.deadline(), Mono(710 * MS));
        let asked: usize = (411..3000).map(|ms| due(&mut losses, ms).len()).sum();
        assert_eq!(asked, 3, "nothing older than a second is of use");
    }

    #[test]
    fn a_keyframe_makes_older_losses_moot() {
        let mut losses = after([1, 3, 5, 7]);
        losses.keyframe(number(5));
        assert_eq!((due(&mut losses, 10), losses.take_abandoned()), (vec![6], 2));
    }

    #[test]
    fn of_a_gap_too_long_to_be_filled_the_newest_are_asked_for() {
        let mut losses = after([1, 3, 103]);
        assert_eq!(due(&mut losses, 10), (39..103).collect::<Vec<u16>>());
        assert_eq!(losses.take_abandoned(), 36);
        losses.receive(number(3000), Mono(0));
        assert_eq!(losses.receive(number(103), Mono(0)), Receipt::Duplicate, "too old to tell");
    }

    #[test]
    fn a_source_that_began_again_misses_nothing_from_before() {
        let mut losses = after([1, 3]);
        losses.restart(number(70_000));
        assert_eq!(losses.receive(number(70_000), Mono(0)), Receipt::InPlace);
        assert_eq!((losses.unseen(number(69_999).low()), losses.deadline()), (None, Mono::NEVER));
        assert_eq!(losses.receive(number(70_002), Mono(0)), Receipt::Gap);
        losses.reset();
        assert_eq!((losses.unseen(number(70_001).low()), losses.take_abandoned()), (None, 2));
    }

    #[test]
    fn a_peer_that_takes_no_nacks_is_not_asked() {
        let mut losses = Losses::new(0);
        losses.receive(number(1), Mono(0));
        assert_eq!(losses.receive(number(3), Mono(0)), Receipt::Gap);
        assert_eq!((losses.deadline(), losses.unseen(2)), (Mono::NEVER, Some(number(2))));
    }

    proptest! {
        #[test]
        fn each_number_comes_in_once_and_what_is_asked_for_is_missing(
            steps in proptest::collection::vec((any::<u8>(), 0u64..80, 0u64..30), 1..400),
        ) {
            let mut losses = Losses::new(32);
            let room = losses.missing.capacity();
            let (mut had, mut newest, mut at) = (BTreeSet::from([5000]), 5000, 0);
            losses.receive(number(5000), Mono(0));
            for (kind, by, ms) in steps {
                at += ms * MS;
                let n = if kind < 150 { newest + 1 + by / 16 } else { newest - by };
                let fresh = had.insert(n);
                prop_assert_eq!(losses.receive(number(n), Mono(at)) == Receipt::Duplicate, !fresh);
                newest = newest.max(n);
                let asked: Vec<u16> = losses.take_due(Mono(at)).collect();
                for sequence in asked {
                    let n = newest.wrapping_add_signed(number(newest).nearest(sequence).distance(number(newest)));
                    prop_assert!(n < newest && !had.contains(&n));
                }
                prop_assert!(losses.missing.is_sorted_by_key(|missing| missing.number) && losses.missing.len() <= 32);
            }
            prop_assert_eq!(losses.missing.capacity(), room, "nothing is allocated later");
        }
    }
}
