//! Which seeds are played: those of `seeds.txt` first, which once found a fault and are kept for it, then the first ones;
//! a seed that fails is added there. `SEED=7` or `SEED='str0m 7'`, a line of that file, plays one alone and says more;
//! `SEEDS=5000` plays so many.

use std::any::Any;
use std::fs::OpenOptions;
use std::io::Write;
use std::panic::catch_unwind;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/sim/seeds.txt");
/// Worlds are independent of each other.
const THREADS: usize = 2;

/// A kind of worlds, by the word before their seeds in the file.
pub struct Seeds {
    pub word: &'static str,
    /// How many are played without being asked for.
    pub count: u64,
}

/// Whether one world is to be looked at.
pub fn is_alone() -> bool {
    std::env::var_os("SEED").is_some()
}

impl Seeds {
    /// Plays every seed, and gives what they came to.
    ///
    /// # Panics
    /// When a seed has failed, after all were played.
    pub fn play<T: Send>(&self, play: impl Fn(u64) -> T + Sync + std::panic::RefUnwindSafe) -> Vec<T> {
        let seeds = self.chosen();
        let next = AtomicUsize::new(0);
        let (played, failed) = (Mutex::new(Vec::new()), Mutex::new(Vec::new()));
        thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    while let Some(&seed) = seeds.get(next.fetch_add(1, Ordering::Relaxed)) {
                        match catch_unwind(|| play(seed)) {
                            Ok(of) => played.lock().unwrap().push(of),
                            Err(why) => failed.lock().unwrap().push((seed, said(&*why))),
                        }
                    }
                });
            }
        });
        let failed = failed.into_inner().unwrap();
        self.keep(&failed);
        let named: Vec<String> =
            failed.iter().map(|(seed, why)| format!("SEED='{}': {why}", self.line(*seed))).collect();
        assert!(named.is_empty(), "{} of {} failed:\n{}", named.len(), seeds.len(), named.join("\n"));
        played.into_inner().unwrap()
    }

    fn chosen(&self) -> Vec<u64> {
        if let Ok(seed) = std::env::var("SEED") {
            return self.read(&seed).into_iter().collect();
        }
        let count = std::env::var("SEEDS").map_or(self.count, |count| count.parse().expect("SEEDS is a number"));
        let mut seeds = self.kept();
        seeds.extend((1..=count).filter(|seed| !self.kept().contains(seed)));
        seeds
    }

    fn kept(&self) -> Vec<u64> {
        include_str!("seeds.txt").lines().filter_map(|line| self.read(line)).collect()
    }

    /// The seed of a line, when it is one of these.
    fn read(&self, line: &str) -> Option<u64> {
        line.strip_prefix(self.word)?.trim().parse().ok()
    }

    fn line(&self, seed: u64) -> String {
        format!("{} {seed}", self.word).trim().to_owned()
    }

    fn keep(&self, failed: &[(u64, String)]) {
        let kept = self.kept();
        let Ok(mut file) = OpenOptions::new().append(true).open(FILE) else { return };
        for (seed, _) in failed.iter().filter(|(seed, _)| !is_alone() && !kept.contains(seed)) {
            writeln!(file, "{}", self.line(*seed)).expect("a line is kept");
        }
    }
}

fn said(why: &dyn Any) -> String {
    let text = why.downcast_ref::<String>().map(String::as_str).or(why.downcast_ref::<&str>().copied());
    text.unwrap_or("?").chars().take(400).collect()
}
