//! The timer wheel of a shard: buckets of a few milliseconds over a horizon of seconds. An entry is only a hint that a
//! key may have something to do; the owner knows its real deadline, so nothing is ever removed and late hints are harmless.

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
    next: u32,
}

/// Entries that find room from the beginning.
const ENTRIES: usize = 1024;
/// The end of a chain.
const END: u32 = u32::MAX;

impl<K: Copy> Wheel<K> {
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

    /// Remembers a key; a deadline beyond the horizon (about 4 s) is looked at early, one in the past at once. Says when
    /// the key will come out.
    pub fn arm(&mut self, key: K, at: Mono) -> Mono {
        // Rounded up: a key never comes out before its deadline, unless the deadline lies beyond the horizon.
        let tick = at.0.div_ceil(TICK_NS).clamp(self.cursor, self.cursor + BUCKETS as u64 - 1);
        let bucket = (tick % BUCKETS as u64) as usize;
        let entry = self.entry(Entry { key, next: self.buckets[bucket] });
        self.buckets[bucket] = entry;
        self.occupied[bucket / 64] |= 1 << (bucket % 64);
        self.waiting += 1;
        Mono(tick * TICK_NS)
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

    /// How many keys wait, each as often as it was armed.
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

    /// Moves every key that is due at `now` into `out`.
    pub fn due(&mut self, now: Mono, out: &mut Vec<K>) {
        let until = now.0 / TICK_NS;
        let steps = (until + 1).saturating_sub(self.cursor).min(BUCKETS as u64);
        for step in 0..steps {
            let bucket = ((self.cursor + step) % BUCKETS as u64) as usize;
            let mut at = std::mem::replace(&mut self.buckets[bucket], END);
            self.occupied[bucket / 64] &= !(1 << (bucket % 64));
            while let Some(entry) = self.entries.get_mut(at as usize) {
                out.push(entry.key);
                let next = std::mem::replace(&mut entry.next, self.free);
                self.free = at;
                at = next;
                self.waiting -= 1;
            }
        }
        self.cursor = self.cursor.max(until + 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_key_comes_out_at_its_time_and_not_before() {
        let mut wheel = Wheel::new(Mono(0));
        let at = wheel.arm('a', Mono(10_000_000));
        assert_eq!((wheel.next(), wheel.len()), (at, 1));
        let mut out = Vec::new();
        wheel.due(Mono(9_999_999), &mut out);
        assert!(out.is_empty());
        wheel.due(at, &mut out);
        assert_eq!(out, ['a']);
        assert!(wheel.is_empty() && wheel.next() == Mono::NEVER);
    }

    #[test]
    fn places_that_have_become_free_are_used_again() {
        let mut wheel = Wheel::new(Mono(0));
        let mut out = Vec::new();
        for second in 0..100 {
            for key in 0..10 {
                wheel.arm(key, Mono(second * 1_000_000_000 + key * 3_000_000));
            }
            wheel.due(Mono(second * 1_000_000_000 + 500_000_000), &mut out);
            out.sort_unstable();
            assert_eq!(out, Vec::from_iter(0..10));
            out.clear();
        }
        assert_eq!(wheel.entries.len(), 10);
    }

    proptest! {
        #[test]
        fn nothing_is_forgotten_and_nothing_within_the_horizon_comes_early(
            deadlines in proptest::collection::vec(0u64..8_000, 1..60),
            jumps in proptest::collection::vec(1u64..3_000, 1..30),
        ) {
            let mut wheel = Wheel::new(Mono(0));
            let mut now = 0;
            let mut left: Vec<u64> = Vec::new();
            for (i, ms) in deadlines.iter().enumerate() {
                let at = (now + ms) * 1_000_000;
                wheel.arm(at, Mono(at));
                left.push(at);
                now += jumps[i % jumps.len()];
                let mut out = Vec::new();
                wheel.due(Mono(now * 1_000_000), &mut out);
                for at in out {
                    let place = left.iter().position(|&l| l == at).unwrap();
                    left.remove(place);
                    if at > now * 1_000_000 {
                        left.push(at);
                        wheel.arm(at, Mono(at));
                    }
                }
                prop_assert!(left.iter().all(|&at| at + TICK_NS >= now * 1_000_000));
                prop_assert!(left.is_empty() || wheel.next() != Mono::NEVER);
                prop_assert!(left.iter().all(|&at| wheel.next().0 <= at + TICK_NS));
            }
        }
    }
}
