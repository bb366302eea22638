//! Datagrams under way: each is delayed, and by the weather of its path lost, doubled or overtaken. Everything is drawn
//! from one seeded generator.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::time::Duration;

use portunus::time::Mono;

use crate::faults::Weather;

/// SplitMix64: small, and the same everywhere for ever.
#[derive(Clone)]
pub struct Prng(u64);

impl Prng {
    pub fn new(seed: u64) -> Prng {
        Prng(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// A number below `bound`, which is not 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// A number of `low..=high`.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high - low + 1)
    }

    /// True `n` times of a thousand.
    pub fn per_mille(&mut self, n: u64) -> bool {
        self.below(1000) < n
    }

    pub fn pick<'a, T>(&mut self, of: &'a [T]) -> Option<&'a T> {
        if of.is_empty() { None } else { Some(&of[usize::try_from(self.below(of.len() as u64)).unwrap()]) }
    }

    pub fn fill(&mut self, out: &mut [u8]) {
        for chunk in out.chunks_mut(8) {
            chunk.copy_from_slice(&self.next().to_le_bytes()[..chunk.len()]);
        }
    }
}

/// IP and UDP.
const HEADERS: u64 = 28;
/// What would have to wait longer before a narrow place is dropped there.
const QUEUE: Duration = Duration::from_millis(200);

/// One datagram.
#[derive(Clone, Debug)]
pub struct Datagram {
    pub from: SocketAddr,
    pub to: SocketAddr,
    pub bytes: Vec<u8>,
    /// What a checker knows of it: the packet of a publisher that it carries.
    pub label: Option<Label>,
    /// Made by nobody who belongs to the call.
    pub strange: bool,
}

/// What becomes of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    UnderWay,
    Lost,
    /// There were too many before a narrow place of its path.
    Crowded,
}

/// Which media packet of which stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Label {
    /// Feed id of the publisher.
    pub feed: u64,
    /// Which of its m-lines.
    pub line: u8,
    /// Counts the packets of the line; gaps in it are gaps of its sequence numbers.
    pub count: u64,
    pub keyframe: bool,
}

/// Everything under way.
pub struct Network {
    prng: Prng,
    pub weather: Weather,
    /// Weather of paths from and to single addresses.
    pub local: HashMap<SocketAddr, Weather>,
    flying: BTreeMap<(Mono, u64), Datagram>,
    /// The latest arrival on each path that kept its order.
    last: HashMap<(SocketAddr, SocketAddr), Mono>,
    /// Until when the narrow place of a path is busy.
    busy: HashMap<(SocketAddr, SocketAddr), Mono>,
    count: u64,
    pub lost: u64,
}

impl Network {
    pub fn new(seed: u64, weather: Weather) -> Network {
        Network {
            prng: Prng::new(seed),
            weather,
            local: HashMap::new(),
            flying: BTreeMap::new(),
            last: HashMap::new(),
            busy: HashMap::new(),
            count: 0,
            lost: 0,
        }
    }

    /// Puts a datagram under way, unless it is lost.
    pub fn send(&mut self, now: Mono, datagram: Datagram) -> Fate {
        let path = (datagram.from, datagram.to);
        let weather = *self.local.get(&path.0).or(self.local.get(&path.1)).unwrap_or(&self.weather);
        let Some(through) = self.pass(now, path, &weather, datagram.bytes.len()) else {
            self.lost += 1;
            return Fate::Crowded;
        };
        if self.prng.per_mille(weather.loss) {
            self.lost += 1;
            return Fate::Lost;
        }
        let copies = 1 + u64::from(self.prng.per_mille(weather.duplicate));
        for _ in 0..copies {
            let delay = Duration::from_micros(self.prng.between(weather.delay_us.0, weather.delay_us.1));
            let overtaken = self.prng.per_mille(weather.reorder);
            let last = self.last.entry(path).or_default();
            let mut due = (*last).max(through + delay);
            *last = due;
            if overtaken {
                due = due + Duration::from_micros(self.prng.between(1_000, 30_000));
            }
            self.count += 1;
            self.flying.insert((due, self.count), datagram.clone());
        }
        Fate::UnderWay
    }

    /// When a datagram is through the narrow place of its path. None when too many wait there.
    fn pass(&mut self, now: Mono, path: (SocketAddr, SocketAddr), weather: &Weather, len: usize) -> Option<Mono> {
        let Some(rate) = weather.rate else { return Some(now) };
        let busy = self.busy.entry(path).or_default();
        let through = now.max(*busy) + Duration::from_nanos((len as u64 + HEADERS) * 8_000_000_000 / rate);
        if through.since(now) > QUEUE {
            return None;
        }
        *busy = through;
        Some(through)
    }

    /// Whatever is sent on a path from now on arrives no earlier than this.
    pub fn hold(&mut self, path: (SocketAddr, SocketAddr), until: Mono) {
        self.last.insert(path, until);
    }

    /// Puts a datagram under way that nothing happens to.
    pub fn place(&mut self, due: Mono, datagram: Datagram) {
        self.count += 1;
        self.flying.insert((due, self.count), datagram);
    }

    pub fn next(&self) -> Mono {
        self.flying.keys().next().map_or(Mono::NEVER, |(due, _)| *due)
    }

    /// The next datagram that has arrived by `now`, and when it did.
    pub fn arrive(&mut self, now: Mono) -> Option<(Mono, Datagram)> {
        let entry = self.flying.first_entry().filter(|entry| entry.key().0 <= now)?;
        let due = entry.key().0;
        Some((due, entry.remove()))
    }
}
