//! The timer wheel of a shard: buckets of a few milliseconds over a horizon of seconds. A key has at most one look planned,
//! which its owner keeps and may bring forward; putting it off is the owner's business, when the look has come.

use std::time::Duration;

use crate::time::Mono;

/// Width of a bucket.
pub const TICK: Duration = Duration::from_millis(4);
const BUCKETS: usize = 1024;
const WORDS: usize = BUCKETS / 64;
const TICK_NS: u64 = 4_000_000;

/// Keys to be looked at, by time. Its memory grows to the largest number of keys that ever waited, and stays.
pub struct Wheel<K> {
    /// The first entry of each bucket.
    buckets: Box<[u32; BUCKETS]>,
    occupied: [u64; WORDS],
    /// Waiting entries in the chains of their buckets, the others in the chain of free ones.
    entries: Vec<Entry<K>>,
    free: u32,
    waiting: usize,
    /// The tick that will be looked at next.
    cursor: u64,
}

struct Entry<K> {
    key: K,
    /// When it comes out; NEVER while the entry is free.
    at: Mono,
    next: u32,
    /// Of a waiting entry that is not the first of its bucket.
    previous: u32,
}

/// A look that is planned at a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    entry: u32,
    /// When the key will come out.
    at: Mono,
}

/// Entries that find room from the beginning.
const ENTRIES: usize = 1024;
/// The end of a chain.
const END: u32 = u32::MAX;

impl<K: Copy + PartialEq> Wheel<K> {
    /// A wheel that stands at `now`.
    pub fn new(now: Mono) -> Wheel<K> {
        Wheel {
            buckets: Box::new([END; BUCKETS]),
            occupied: [0; WORDS],
            entries: Vec::with_capacity(ENTRIES),
            free: END,
            waiting: 0,
            cursor: now.0 / TICK_NS,
        }
    }

    /// Has a key come out by `at`: `planned` is the look that its owner knows of (it forgets those that have come), and the
    /// answer is the one that there is then. A deadline beyond the horizon (about 4 s) is looked at early, one in the past at once.
    pub fn arm(&mut self, key: K, planned: Option<Look>, at: Mono) -> Look {
        if let Some(look) = planned {
            if look.at <= at {
                return look;
            }
            if self.is_planned(key, look) {
                self.unlink(look.entry);
                self.release(look.entry);
            }
        }
        // Rounded up: a key never comes out before its deadline, unless the deadline lies beyond the horizon.
        let tick = at.0.div_ceil(TICK_NS).clamp(self.cursor, self.cursor + BUCKETS as u64 - 1);
        let bucket = (tick % BUCKETS as u64) as usize;
        let (at, first) = (Mono(tick * TICK_NS), self.buckets[bucket]);
        let entry = self.entry(Entry { key, at, next: first, previous: END });
        if let Some(first) = self.entries.get_mut(first as usize) {
            first.previous = entry;
        }
        self.buckets[bucket] = entry;
        self.occupied[bucket / 64] |= 1 << (bucket % 64);
        self.waiting += 1;
        Look { entry, at }
    }

    /// While the keys of one instant are dealt with, the look of one of them may be another's entry already.
    fn is_planned(&self, key: K, look: Look) -> bool {
        self.entries.get(look.entry as usize).is_some_and(|entry| entry.key == key && entry.at == look.at)
    }

    fn entry(&mut self, entry: Entry<K>) -> u32 {
        match self.entries.get_mut(self.free as usize) {
            Some(free) => {
                let at = self.free;
                self.free = std::mem::replace(free, entry).next;
                at
            }
            None => {
                self.entries.push(entry);
                u32::try_from(self.entries.len() - 1).expect("memory ends before 2^32 entries")
            }
        }
    }

    fn unlink(&mut self, entry: u32) {
        let Entry { at, next, previous, .. } = self.entries[entry as usize];
        if let Some(next) = self.entries.get_mut(next as usize) {
            next.previous = previous;
        }
        match self.entries.get_mut(previous as usize) {
            Some(previous) => previous.next = next,
            None => {
                let bucket = (at.0 / TICK_NS % BUCKETS as u64) as usize;
                self.buckets[bucket] = next;
                if next == END {
                    self.occupied[bucket / 64] &= !(1 << (bucket % 64));
                }
            }
        }
    }

    fn release(&mut self, at: u32) {
        let entry = &mut self.entries[at as usize];
        (entry.at, entry.next) = (Mono::NEVER, self.free);
        self.free = at;
        self.waiting -= 1;
    }

    /// How many keys wait.
    pub fn len(&self) -> usize {
        self.waiting
    }

    /// Whether no key waits.
    pub fn is_empty(&self) -> bool {
        self.waiting == 0
    }

    /// When to call [`due`](Self::due) next; NEVER when nothing is armed.
    pub fn next(&self) -> Mono {
        let start = (self.cursor % BUCKETS as u64) as usize;
        let ahead = |bucket: usize| (bucket + BUCKETS - start) % BUCKETS;
        let first_word = self.occupied[start / 64] & (u64::MAX << (start % 64));
        let found = if first_word != 0 {
            Some(start / 64 * 64 + first_word.trailing_zeros() as usize)
        } else {
            (1..=WORDS).map(|i| (start / 64 + i) % WORDS).find_map(|word| {
                let bits = if word == start / 64 {
                    self.occupied[word] & !(u64::MAX << (start % 64))
                } else {
                    self.occupied[word]
                };
                (bits != 0).then(|| word * 64 + bits.trailing_zeros() as usize)
            })
        };
        found.map_or(Mono::NEVER, |bucket| Mono((self.cursor + ahead(bucket) as u64) * TICK_NS))
    }

    /// Moves every key that is due at `now` into `out`, with the look that has come.
    pub fn due(&mut self, now: Mono, out: &mut Vec<(K, Look)>) {
        let until = now.0 / TICK_NS;
        let steps = (until + 1).saturating_sub(self.cursor).min(BUCKETS as u64);
        for step in 0..steps {
            let bucket = ((self.cursor + step) % BUCKETS as u64) as usize;
            let mut next = std::mem::replace(&mut self.buckets[bucket], END);
            self.occupied[bucket / 64] &= !(1 << (bucket % 64));
            while let Some(entry) = self.entries.get(next as usize) {
                let at = std::mem::replace(&mut next, entry.next);
                out.push((entry.key, Look { entry: at, at: entry.at }));
                self.release(at);
            }
        }
        self.cursor = self.cursor.max(until + 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn due(wheel: &mut Wheel<u64>, now: Mono) -> Vec<u64> {
        let mut out = Vec::new();
        wheel.due(now, &mut out);
        out.into_iter().map(|(key, _)| key).collect()
    }

    #[test]
    fn a_key_comes_out_at_its_time_and_not_before() {
        let mut wheel = Wheel::new(Mono(0));
        let look = wheel.arm(7, None, Mono(10_000_000));
        assert_eq!((wheel.next(), wheel.len()), (look.at, 1));
        assert!(due(&mut wheel, Mono(9_999_999)).is_empty());
        assert_eq!(due(&mut wheel, look.at), [7]);
        assert!(wheel.is_empty() && wheel.next() == Mono::NEVER);
    }

    #[test]
    fn a_look_is_brought_forward_but_not_put_off() {
        let mut wheel = Wheel::new(Mono(0));
        let mut look = wheel.arm(7, None, Mono(1_000_000_000));
        for (at, planned) in [(40, 40), (20, 20), (100, 20)] {
            look = wheel.arm(7, Some(look), Mono(at * 1_000_000));
            assert_eq!((wheel.len(), wheel.next()), (1, Mono(planned * 1_000_000)));
        }
        assert_eq!(due(&mut wheel, Mono(2_000_000_000)), [7]);
    }

    #[test]
    fn a_look_that_has_come_is_nobodys_when_its_entry_serves_another() {
        let mut wheel = Wheel::new(Mono(0));
        let first = wheel.arm(7, None, Mono(8_000_000));
        assert_eq!(due(&mut wheel, Mono(8_000_000)), [7]);
        let other = wheel.arm(8, None, Mono(500_000_000));
        assert_eq!(first.entry, other.entry);
        wheel.arm(7, Some(first), Mono(4_000_000));
        assert_eq!(wheel.len(), 2);
        assert_eq!(due(&mut wheel, Mono(12_000_000)), [7]);
        assert_eq!(due(&mut wheel, Mono(500_000_000)), [8]);
    }

    #[test]
    fn places_that_have_become_free_are_used_again() {
        let mut wheel = Wheel::new(Mono(0));
        for second in 0..100 {
            for key in 0..10 {
                wheel.arm(key, None, Mono(second * 1_000_000_000 + key * 3_000_000));
            }
            let mut out = due(&mut wheel, Mono(second * 1_000_000_000 + 500_000_000));
            out.sort_unstable();
            assert_eq!(out, Vec::from_iter(0..10));
        }
        assert_eq!(wheel.entries.len(), 10);
    }

    proptest! {
        #[test]
        fn every_key_comes_out_once_at_its_earliest_deadline_or_early_beyond_the_horizon(
            steps in proptest::collection::vec((0u64..12, 0u64..8_000, 1u64..3_000), 1..120),
        ) {
            let mut wheel = Wheel::new(Mono(0));
            let mut now = 0;
            let mut planned: std::collections::BTreeMap<u64, (Look, u64)> = Default::default();
            for (key, ms, jump) in steps {
                let at = (now + ms) * 1_000_000;
                let before = planned.get(&key).copied();
                let look = wheel.arm(key, before.map(|(look, _)| look), Mono(at));
                planned.insert(key, (look, before.map_or(at, |(_, before)| before.min(at))));
                prop_assert_eq!(wheel.len(), planned.len());
                now += jump;
                let mut out = Vec::new();
                wheel.due(Mono(now * 1_000_000), &mut out);
                for (key, look) in out {
                    let (kept, at) = planned.remove(&key).expect("planned");
                    prop_assert_eq!(kept, look);
                    if at > now * 1_000_000 {
                        planned.insert(key, (wheel.arm(key, None, Mono(at)), at));
                    }
                }
                for &(_, at) in planned.values() {
                    prop_assert!(at + TICK_NS >= now * 1_000_000);
                    prop_assert!(wheel.next().0 <= at + TICK_NS);
                }
            }
        }
    }
}
