//! Which shard runs on which CPU: the first allowed CPUs carry media, the last carries signalling, and when there are
//! fewer CPUs than shards they share.

use core_affinity::CoreId;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// CPU numbers as in `0-3,6`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct CpuList(Vec<usize>);

/// Not a list of CPUs.
#[derive(Debug, PartialEq, Eq)]
pub struct CpuListError(String);

/// Larger numbers are mistakes: the kernel's own limit is 8192.
const CPU_MAX: usize = 8191;

impl FromStr for CpuList {
    type Err = CpuListError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || CpuListError(text.to_owned());
        let mut cpus = Vec::new();
        for part in text.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let number =
                |digits: &str| digits.trim().parse::<usize>().ok().filter(|cpu| *cpu <= CPU_MAX).ok_or_else(error);
            let (first, last) = (number(first)?, number(last)?);
            if first > last {
                return Err(error());
            }
            cpus.extend(first..=last);
        }
        cpus.sort_unstable();
        cpus.dedup();
        Ok(CpuList(cpus))
    }
}

impl fmt::Display for CpuList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (nth, run) in self.0.chunk_by(|a, b| a + 1 == *b).enumerate() {
            let comma = if nth > 0 { "," } else { "" };
            match run {
                [one] => write!(f, "{comma}{one}")?,
                _ => write!(f, "{comma}{}-{}", run[0], run[run.len() - 1])?,
            }
        }
        Ok(())
    }
}

impl TryFrom<String> for CpuList {
    type Error = CpuListError;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<CpuList> for String {
    fn from(list: CpuList) -> String {
        list.to_string()
    }
}

impl fmt::Display for CpuListError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is not a list of CPUs such as 0-3,6", self.0)
    }
}

impl std::error::Error for CpuListError {}

/// The CPUs that this process may use, in order. To be read before anything is pinned: a pinned thread sees only its own.
pub fn allowed() -> CpuList {
    let cores = core_affinity::get_core_ids().unwrap_or_default();
    CpuList(cores.into_iter().map(|core| core.id).collect())
}

/// Where each shard runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The CPU of each media shard.
    pub media: Vec<usize>,
    /// The CPU of each signalling shard.
    pub signalling: Vec<usize>,
    /// Whether some CPU carries more than one shard.
    pub shared: bool,
}

impl Plan {
    /// Spreads `shards` media shards (by default as many as leave a CPU to each signalling shard, at least one) and
    /// `signalling_shards` of those over the CPUs of `allowed` that are also `wished`. The error is a wished CPU that is not
    /// allowed.
    pub fn new(
        allowed: &CpuList,
        wished: Option<&CpuList>,
        shards: Option<u8>,
        signalling_shards: u8,
    ) -> Result<Plan, usize> {
        let cpus = wished.unwrap_or(allowed);
        if let Some(forbidden) = cpus.0.iter().find(|cpu| !allowed.0.contains(cpu)) {
            return Err(*forbidden);
        }
        let cpus = if cpus.0.is_empty() { &[0][..] } else { &cpus.0 };
        let signalling_shards = usize::from(signalling_shards);
        let shards =
            shards.map_or(cpus.len().saturating_sub(signalling_shards), usize::from).clamp(1, usize::from(u8::MAX));
        Ok(Plan {
            media: cpus.iter().copied().cycle().take(shards).collect(),
            signalling: cpus.iter().rev().copied().cycle().take(signalling_shards).collect(),
            shared: shards + signalling_shards > cpus.len(),
        })
    }
}

/// Pins the calling thread. Where that is refused, the thread runs anywhere; the answer says so.
pub fn pin(cpu: usize) -> bool {
    core_affinity::set_for_current(CoreId { id: cpu })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(text: &str) -> CpuList {
        text.parse().unwrap()
    }

    #[test]
    fn cpu_lists_are_read_sorted_and_written_back_short() {
        for (text, cpus, short) in
            [("0", vec![0], "0"), ("0-3,6", vec![0, 1, 2, 3, 6], "0-3,6"), ("6, 2-2,3,3", vec![2, 3, 6], "2-3,6")]
        {
            assert_eq!(list(text).0, cpus);
            assert_eq!(list(text).to_string(), short);
        }
        for text in ["", "a", "3-1", "1,", "-1", "0-99999999999", "0-9000"] {
            assert!(text.parse::<CpuList>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn the_last_cpu_is_left_to_signalling() {
        let plan = Plan::new(&list("0-3"), None, None, 1).unwrap();
        assert_eq!(plan, Plan { media: vec![0, 1, 2], signalling: vec![3], shared: false });
        let plan = Plan::new(&list("0-7"), Some(&list("4-6")), Some(1), 1).unwrap();
        assert_eq!(plan, Plan { media: vec![4], signalling: vec![6], shared: false });
        let plan = Plan::new(&list("0-3"), None, None, 2).unwrap();
        assert_eq!(plan, Plan { media: vec![0, 1], signalling: vec![3, 2], shared: false });
    }

    #[test]
    fn fewer_cpus_than_shards_are_shared() {
        let plan = Plan::new(&list("5"), None, None, 1).unwrap();
        assert_eq!(plan, Plan { media: vec![5], signalling: vec![5], shared: true });
        let plan = Plan::new(&list("5"), None, None, 2).unwrap();
        assert_eq!(plan, Plan { media: vec![5], signalling: vec![5, 5], shared: true });
        let plan = Plan::new(&list("0-1"), None, Some(3), 1).unwrap();
        assert_eq!(plan, Plan { media: vec![0, 1, 0], signalling: vec![1], shared: true });
    }

    #[test]
    fn a_wished_cpu_must_be_allowed() {
        assert_eq!(Plan::new(&list("0-3"), Some(&list("2,4")), None, 1), Err(4));
    }
}
