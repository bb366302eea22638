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

#[derive(Debug)]
pub(super) struct Pair {
    pub(super) tuple: FourTuple,
    /// When a check, SRTP, SRTCP or DTLS that could be authenticated last arrived on it.
    pub(super) heard: Mono,
    /// The ufrag of the checks on it, for as long as no description of the peer has named one.
    pub(super) remote_ufrag: Option<Box<str>>,
    pub(super) client: Client,
}

/// Who has sent DTLS on a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Client {
    Unknown,
    /// The client of our association, or media under its keys.
    Ours,
    /// Another one, which wants an association of its own.
    Other,
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
    pub(super) fn get(&self, tuple: FourTuple) -> Option<&Pair> {
        self.pairs.iter().find(|pair| pair.tuple == tuple)
    }

    pub(super) fn tuples(&self) -> impl Iterator<Item = FourTuple> {
        self.pairs.iter().map(|pair| pair.tuple)
    }

    /// Notes that the peer was heard on `tuple`, if that is one of the list, under the keys of our association.
    pub(super) fn note(&mut self, now: Mono, tuple: FourTuple) {
        if let Some(pair) = self.get_mut(tuple) {
            pair.heard = now;
            pair.client = Client::Ours;
        }
    }

    /// Notes DTLS of our client on `tuple`, or of another where ours has not been.
    pub(super) fn note_client(&mut self, tuple: FourTuple, client: Client) {
        if let Some(pair) = self.get_mut(tuple).filter(|pair| pair.client != Client::Ours) {
            pair.client = client;
        }
    }

    /// A new association begins, whose client has not been heard yet.
    pub(super) fn forget_clients(&mut self) {
        for pair in &mut self.pairs {
            pair.client = Client::Unknown;
        }
    }

    fn get_mut(&mut self, tuple: FourTuple) -> Option<&mut Pair> {
        self.pairs.iter_mut().find(|pair| pair.tuple == tuple)
    }

    /// Notes a check on `tuple`. When the list is full, the pair on which nothing was heard for longest makes room,
    /// so that a NAT may rebind for ever; `kept`, the one that is sent on, never does.
    pub(super) fn renew(
        &mut self,
        now: Mono,
        tuple: FourTuple,
        remote_ufrag: Option<&str>,
        kept: Option<FourTuple>,
    ) -> Renewal {
        let remote_ufrag = remote_ufrag.map(Into::into);
        if let Some(pair) = self.get_mut(tuple) {
            pair.heard = now;
            pair.remote_ufrag = remote_ufrag;
            return Renewal::Known;
        }
        let Err(full) = self.pairs.try_push(Pair { tuple, heard: now, remote_ufrag, client: Client::Unknown }) else {
            return Renewal::Added { evicted: None };
        };
        let idle = self.pairs.iter_mut().filter(|pair| Some(pair.tuple) != kept);
        let oldest = idle.min_by_key(|pair| pair.heard).expect("a full list holds more than the kept pair");
        Renewal::Added { evicted: Some(std::mem::replace(oldest, full.element()).tuple) }
    }

    pub(super) fn remove(&mut self, tuple: FourTuple) {
        self.pairs.retain(|pair| pair.tuple != tuple);
    }

    /// A description has named the peer's ufrag: pairs of other agents go, and their tuples are returned. So do, unless
    /// `keep_agreed`, those that an earlier description stands for.
    pub(super) fn agree(&mut self, ufrag: &str, keep_agreed: bool) -> ArrayVec<FourTuple, TUPLES_PER_PEER> {
        let mut struck = ArrayVec::new();
        self.pairs.retain(|pair| {
            let keep = pair.remote_ufrag.take().map_or(keep_agreed, |of| *of == *ufrag);
            if !keep {
                struck.push(pair.tuple);
            }
            keep
        });
        struck
    }

    /// The pair on which the peer was heard last, those of other clients aside.
    pub(super) fn latest(&self) -> Option<FourTuple> {
        let ours = self.pairs.iter().filter(|pair| pair.client != Client::Other);
        ours.max_by_key(|pair| pair.heard).map(|pair| pair.tuple)
    }
}

const _: () = assert!(TUPLES_PER_PEER >= 2);
