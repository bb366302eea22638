//! The numbers of a source without those of packets that are not passed on: comfort noise, telephone events, RED and other
//! payload types that were not agreed, and packets of nothing but padding. Receivers must not take them for lost. What
//! is really lost keeps its number, and a late packet finds its place.

use super::loss::{WINDOW, WORDS, place};
use crate::wire::rtp::ExtSeq;

/// Numbers of one source, closed up behind what is withheld.
#[derive(Clone, Debug, Default)]
pub struct Renumber {
    newest: Option<ExtSeq>,
    /// The bit of a number is `number mod WINDOW`: it was withheld.
    withheld: [u64; WORDS],
    count: u64,
}

impl Renumber {
    /// The number under which a packet is passed on, not more than a window behind the newest.
    pub fn pass(&mut self, number: ExtSeq) -> ExtSeq {
        self.advance(number);
        ExtSeq(number.0 - self.before(number))
    }

    /// A packet is withheld. One that comes after a later one was passed on leaves a gap that cannot be closed any more.
    pub fn withhold(&mut self, number: ExtSeq) {
        if self.advance(number) {
            let (word, bit) = place(number);
            self.withheld[word] |= bit;
            self.count += 1;
        }
    }

    /// True when the number is the newest.
    fn advance(&mut self, number: ExtSeq) -> bool {
        let Some(newest) = self.newest else {
            self.newest = Some(number);
            return true;
        };
        if number <= newest {
            return false;
        }
        for skipped in (newest.0 + 1..=number.0).rev().take(WINDOW).map(ExtSeq) {
            let (word, bit) = place(skipped);
            self.withheld[word] &= !bit;
        }
        self.newest = Some(number);
        true
    }

    /// How many before this number were withheld.
    fn before(&self, number: ExtSeq) -> u64 {
        let Some(newest) = self.newest.filter(|_| self.count > 0) else { return 0 };
        let is_withheld = |number: &ExtSeq| {
            let (word, bit) = place(*number);
            self.withheld[word] & bit != 0
        };
        let later = (number.0 + 1..=newest.0).take(WINDOW).map(ExtSeq).filter(is_withheld).count();
        self.count - later as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn number(n: u64) -> ExtSeq {
        ExtSeq(ExtSeq::first(0).0 + n)
    }

    fn passed(renumber: &mut Renumber, n: u64) -> u64 {
        renumber.pass(number(n)).0 - number(0).0
    }

    #[test]
    fn numbers_close_up_behind_what_is_withheld_and_losses_stay() {
        let mut renumber = Renumber::default();
        assert_eq!([1, 2].map(|n| passed(&mut renumber, n)), [1, 2]);
        renumber.withhold(number(3));
        renumber.withhold(number(4));
        assert_eq!([5, 7].map(|n| passed(&mut renumber, n)), [3, 5]);
        assert_eq!(passed(&mut renumber, 6), 4, "late");
        renumber.withhold(number(9));
        assert_eq!([8, 10].map(|n| passed(&mut renumber, n)), [6, 7], "late, from before what was withheld");
    }

    #[test]
    fn what_is_withheld_late_leaves_the_gap_that_was_passed_on() {
        let mut renumber = Renumber::default();
        assert_eq!([1, 3].map(|n| passed(&mut renumber, n)), [1, 3]);
        renumber.withhold(number(2));
        assert_eq!(passed(&mut renumber, 4), 4);
    }

    #[test]
    fn a_source_may_begin_with_what_is_withheld() {
        let mut renumber = Renumber::default();
        renumber.withhold(ExtSeq::first(0));
        assert_eq!(renumber.pass(ExtSeq::first(1)), ExtSeq::first(0));
    }

    proptest! {
        #[test]
        fn each_number_closes_up_by_what_was_withheld_before_it_in_time(
            packets in proptest::collection::vec((0u64..40, any::<bool>()), 1..600),
        ) {
            // In order but for a shuffle of up to forty.
            let mut order: Vec<(u64, u64, bool)> =
                packets.iter().zip(0..).map(|((by, kept), n)| (n + by, n, *kept)).collect();
            order.sort_unstable();
            let mut renumber = Renumber::default();
            let (mut given, mut closed, mut newest) = (Vec::new(), Vec::new(), None);
            for (_, n, kept) in order {
                if kept {
                    given.push((n, renumber.pass(number(n))));
                } else {
                    if newest.is_none_or(|newest| n > newest) {
                        closed.push(n);
                    }
                    renumber.withhold(number(n));
                }
                newest = newest.max(Some(n));
            }
            for (n, passed) in given {
                let before = closed.iter().filter(|withheld| **withheld < n).count() as u64;
                prop_assert_eq!(passed.0, number(n).0 - before);
            }
        }
    }
}
