//! The candidate pairs of one peer on which an authenticated check has arrived (the valid list of RFC 8445 §7.2.5.3.2,
//! as far as a lite agent has one). Which of them is sent on is decided in `agent`.

use arrayvec::ArrayVec;

use crate::id::FourTuple;
use crate::limits::TUPLES_PER_PEER;
use crate::time::Mono;

/// At most [`TUPLES_PER_PEER`] pairs. A peer has one or two at a time, so that a scan beats any table.
#[derive(Debug, Default)]
pub(super) struct ValidList {
    pairs: ArrayVec<Pair, TUPLES_PER_PEER>,
}

#[derive(Clone, Copy, Debug)]
struct Pair {
    tuple: FourTuple,
    last_check: Mono,
}

/// What a check did to the list.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Renewal {
    /// The pair was known.
    Known,
    /// The pair is new, and another one may have made room for it.
    Added { evicted: Option<FourTuple> },
}

impl ValidList {
    pub(super) fn contains(&self, tuple: FourTuple) -> bool {
        self.pairs.iter().any(|pair| pair.tuple == tuple)
    }

    pub(super) fn last_check(&self, tuple: FourTuple) -> Option<Mono> {
        self.pairs.iter().find(|pair| pair.tuple == tuple).map(|pair| pair.last_check)
    }

    pub(super) fn tuples(&self) -> impl Iterator<Item = FourTuple> {
        self.pairs.iter().map(|pair| pair.tuple)
    }

    /// Notes a check on `tuple`. When the list is full, the pair that went longest without a check makes room,
    /// so that a NAT may rebind for ever; `kept`, the one that is sent on, never does.
    pub(super) fn renew(&mut self, now: Mono, tuple: FourTuple, kept: Option<FourTuple>) -> Renewal {
        if let Some(pair) = self.pairs.iter_mut().find(|pair| pair.tuple == tuple) {
            pair.last_check = now;
            return Renewal::Known;
        }
        let added = Pair { tuple, last_check: now };
        if self.pairs.try_push(added).is_ok() {
            return Renewal::Added { evicted: None };
        }
        let idle = self.pairs.iter_mut().filter(|pair| Some(pair.tuple) != kept);
        let oldest = idle.min_by_key(|pair| pair.last_check).expect("a full list holds more than the kept pair");
        Renewal::Added { evicted: Some(std::mem::replace(oldest, added).tuple) }
    }

    pub(super) fn remove(&mut self, tuple: FourTuple) {
        self.pairs.retain(|pair| pair.tuple != tuple);
    }
}

const _: () = assert!(TUPLES_PER_PEER >= 2);
