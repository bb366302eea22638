//! A table of deadlines, one per key.

use std::collections::{BTreeMap, BTreeSet};

use crate::time::Mono;

/// Deadlines by key; the earliest is at hand.
#[derive(Debug)]
pub struct Deadlines<K> {
    by_time: BTreeSet<(Mono, K)>,
    by_key: BTreeMap<K, Mono>,
}

impl<K> Default for Deadlines<K> {
    fn default() -> Self {
        Deadlines { by_time: BTreeSet::new(), by_key: BTreeMap::new() }
    }
}

impl<K: Ord + Copy> Deadlines<K> {
    /// Sets the key's deadline; [`Mono::NEVER`] clears it.
    pub fn set(&mut self, key: K, at: Mono) {
        self.clear(key);
        if at != Mono::NEVER {
            self.by_time.insert((at, key));
            self.by_key.insert(key, at);
        }
    }

    /// Takes the key's deadline away.
    pub fn clear(&mut self, key: K) {
        if let Some(at) = self.by_key.remove(&key) {
            self.by_time.remove(&(at, key));
        }
    }

    /// The earliest deadline.
    pub fn next(&self) -> Mono {
        self.by_time.first().map_or(Mono::NEVER, |(at, _)| *at)
    }

    /// Takes out one key whose deadline has come.
    pub fn due(&mut self, now: Mono) -> Option<K> {
        let (at, key) = *self.by_time.first()?;
        if at > now {
            return None;
        }
        self.clear(key);
        Some(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earliest_comes_first_and_a_key_has_one() {
        let mut deadlines = Deadlines::default();
        deadlines.set('a', Mono(5));
        deadlines.set('b', Mono(3));
        deadlines.set('b', Mono(7));
        assert_eq!(deadlines.next(), Mono(5));
        assert_eq!(deadlines.due(Mono(4)), None);
        assert_eq!(deadlines.due(Mono(9)), Some('a'));
        assert_eq!(deadlines.due(Mono(9)), Some('b'));
        assert_eq!(deadlines.due(Mono(9)), None);
        deadlines.set('c', Mono::NEVER);
        assert_eq!(deadlines.next(), Mono::NEVER);
    }
}
