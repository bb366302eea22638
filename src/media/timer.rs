//! The timers of a shard: wheels with buckets of a few milliseconds over a horizon of seconds. A key has at most one timer
//! planned in each, which its owner keeps and may bring forward; putting it off is the owner's business, when the timer has
//! come. Most of what peers wait for may wait for a turn that happens anyway: waking up costs as much as sealing fifty packets.

use std::time::Duration;

use crate::time::Mono;

/// How long what has time waits for a turn that something else brings about.
pub const SLACK: Duration = Duration::from_millis(25);
/// Width of a bucket.
pub const TICK: Duration = Duration::from_millis(4);
const BUCKETS: usize = 1024;
const WORDS: usize = BUCKETS / 64;
const TICK_NS: u64 = 4_000_000;

/// One wheel: keys to be looked at, by time. Its memory grows to the largest number of keys that ever waited, and stays.
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

/// The wheels of a shard.
pub struct Timers<K> {
    prompt: Wheel<K>,
    lax: Wheel<K>,
}

/// How long something may wait behind its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Urgency {
    /// Repairs and handshakes: not at all.
    Prompt,
    /// Reports and time limits: [`SLACK`].
    Lax,
}

/// What its owner knows of the timers that are planned at a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PlannedTimers {
    prompt: Option<TimerId>,
    lax: Option<TimerId>,
}

impl PlannedTimers {
    fn of(&mut self, urgency: Urgency) -> &mut Option<TimerId> {
        match urgency {
            Urgency::Prompt => &mut self.prompt,
            Urgency::Lax => &mut self.lax,
        }
    }

    /// A timer has come. Whether it was one of these; otherwise it was planned for somebody who had this key before.
    pub fn have(&mut self, (urgency, timer): (Urgency, TimerId)) -> bool {
        self.of(urgency).take_if(|planned| *planned == timer).is_some()
    }
}

impl<K: Copy + PartialEq> Timers<K> {
    /// Wheels that stand at `now`.
    pub fn new(now: Mono) -> Timers<K> {
        Timers { prompt: Wheel::new(now), lax: Wheel::new(now) }
    }

    /// Has a key come out by `at`, see [`Wheel::arm`]. NEVER plans nothing.
    pub fn arm(&mut self, key: K, timers: &mut PlannedTimers, urgency: Urgency, at: Mono) {
        if at < Mono::NEVER {
            let wheel = match urgency {
                Urgency::Prompt => &mut self.prompt,
                Urgency::Lax => &mut self.lax,
            };
            let timer = timers.of(urgency);
            *timer = Some(wheel.arm(key, *timer, at));
        }
    }

    /// When to call [`due`](Self::due) at the latest; NEVER when nothing is armed.
    pub fn next(&self) -> Mono {
        self.prompt.next().min(self.lax.next() + SLACK)
    }

    /// Moves every key that is due at `now` into `out`, with the timer that has come.
    pub fn due(&mut self, now: Mono, out: &mut Vec<(K, (Urgency, TimerId))>) {
        for (urgency, wheel) in [(Urgency::Prompt, &mut self.prompt), (Urgency::Lax, &mut self.lax)] {
            wheel.due(now, |key, timer| out.push((key, (urgency, timer))));
        }
    }

    /// How many timers are planned.
    pub fn len(&self) -> usize {
        self.prompt.waiting + self.lax.waiting
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A timer that is planned at a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimerId {
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
    fn new(now: Mono) -> Wheel<K> {
        Wheel {
            buckets: Box::new([END; BUCKETS]),
            occupied: [0; WORDS],
            entries: Vec::with_capacity(ENTRIES),
            free: END,
            waiting: 0,
            cursor: now.0 / TICK_NS,
        }
    }

    /// Has a key come out by `at`: `planned` is the timer that its owner knows of (it forgets those that have come), and the
    /// answer is the one that there is then. A deadline beyond the horizon (about 4 s) is looked at early, one in the past at once.
    fn arm(&mut self, key: K, planned: Option<TimerId>, at: Mono) -> TimerId {
        if let Some(timer) = planned {
            if timer.at <= at {
                return timer;
            }
            if self.is_planned(key, timer) {
                self.unlink(timer.entry);
                self.release(timer.entry);
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
        TimerId { entry, at }
    }

    /// While the keys of one instant are dealt with, the timer of one of them may be another's entry already.
    fn is_planned(&self, key: K, timer: TimerId) -> bool {
        self.entries.get(timer.entry as usize).is_some_and(|entry| entry.key == key && entry.at == timer.at)
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

    /// When the next key comes out; NEVER when none waits.
    fn next(&self) -> Mono {
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

    /// Takes out every key that is due at `now`, with the timer that has come.
    fn due(&mut self, now: Mono, mut out: impl FnMut(K, TimerId)) {
        let until = now.0 / TICK_NS;
        let steps = (until + 1).saturating_sub(self.cursor).min(BUCKETS as u64);
        for step in 0..steps {
            let bucket = ((self.cursor + step) % BUCKETS as u64) as usize;
            let mut next = std::mem::replace(&mut self.buckets[bucket], END);
            self.occupied[bucket / 64] &= !(1 << (bucket % 64));
            while let Some(entry) = self.entries.get(next as usize) {
                let at = std::mem::replace(&mut next, entry.next);
                out(entry.key, TimerId { entry: at, at: entry.at });
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
        wheel.due(now, |key, _| out.push(key));
        out
    }

    #[test]
    fn a_key_comes_out_at_its_time_and_not_before() {
        let mut wheel = Wheel::new(Mono(0));
        let timer = wheel.arm(7, None, Mono(10_000_000));
        assert_eq!((wheel.next(), wheel.waiting), (timer.at, 1));
        assert!(due(&mut wheel, Mono(9_999_999)).is_empty());
        assert_eq!(due(&mut wheel, timer.at), [7]);
        assert!(wheel.waiting == 0 && wheel.next() == Mono::NEVER);
    }

    #[test]
    fn a_look_is_brought_forward_but_not_put_off() {
        let mut wheel = Wheel::new(Mono(0));
        let mut timer = wheel.arm(7, None, Mono(1_000_000_000));
        for (at, planned) in [(40, 40), (20, 20), (100, 20)] {
            timer = wheel.arm(7, Some(timer), Mono(at * 1_000_000));
            assert_eq!((wheel.waiting, wheel.next()), (1, Mono(planned * 1_000_000)));
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
        assert_eq!(wheel.waiting, 2);
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

    #[test]
    fn what_has_time_comes_with_what_has_none_or_a_little_late() {
        let mut timers = Timers::new(Mono(0));
        let mut planned = [PlannedTimers::default(); 2];
        let at = |millis: u64| Mono(millis * 1_000_000);
        timers.arm(0, &mut planned[0], Urgency::Lax, at(40));
        assert_eq!(timers.next(), at(40) + SLACK);
        timers.arm(1, &mut planned[1], Urgency::Prompt, at(48));
        assert_eq!(timers.next(), at(48));
        let mut out = Vec::new();
        timers.due(at(36), &mut out);
        assert!(out.is_empty(), "nothing comes early");
        timers.due(at(48), &mut out);
        for (key, timer) in out {
            assert!(planned[key].have(timer) && !planned[key].have(timer));
        }
        assert!(timers.is_empty() && planned == [PlannedTimers::default(); 2]);
    }

    proptest! {
        #[test]
        fn every_key_comes_out_once_at_its_earliest_deadline_or_early_beyond_the_horizon(
            steps in proptest::collection::vec((0u64..12, 0u64..8_000, 1u64..3_000), 1..120),
        ) {
            let mut wheel = Wheel::new(Mono(0));
            let mut now = 0;
            let mut planned: std::collections::BTreeMap<u64, (TimerId, u64)> = Default::default();
            for (key, ms, jump) in steps {
                let at = (now + ms) * 1_000_000;
                let before = planned.get(&key).copied();
                let timer = wheel.arm(key, before.map(|(timer, _)| timer), Mono(at));
                planned.insert(key, (timer, before.map_or(at, |(_, before)| before.min(at))));
                prop_assert_eq!(wheel.waiting, planned.len());
                now += jump;
                let mut out = Vec::new();
                wheel.due(Mono(now * 1_000_000), |key, timer| out.push((key, timer)));
                for (key, timer) in out {
                    let (kept, at) = planned.remove(&key).expect("planned");
                    prop_assert_eq!(kept, timer);
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
