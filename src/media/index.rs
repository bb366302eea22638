//! Which peer a datagram belongs to: by 4-tuple once a check has validated it, by ufrag before that.

use std::collections::HashMap;

use foldhash::quality::SeedableRandomState;

use crate::id::{FourTuple, MemberId};

/// One peer connection of this shard: the room's slot and the member in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PeerKey {
    /// The room's slot in the shard.
    pub room: u32,
    /// The member in the room.
    pub member: MemberId,
}

/// The shard's two tables. Keys come from the network, so the hashers are keyed with the shard's seed.
pub struct PeerIndex {
    by_tuple: HashMap<FourTuple, PeerKey, SeedableRandomState>,
    by_ufrag: HashMap<Box<str>, PeerKey, SeedableRandomState>,
}

impl PeerIndex {
    /// Empty tables with a secret seed.
    pub fn new(seed: u64) -> PeerIndex {
        let state = SeedableRandomState::with_seed(seed, foldhash::SharedSeed::global_random());
        PeerIndex { by_tuple: HashMap::with_hasher(state.clone()), by_ufrag: HashMap::with_hasher(state) }
    }

    /// The peer that has validated this path.
    pub fn by_tuple(&self, tuple: FourTuple) -> Option<PeerKey> {
        self.by_tuple.get(&tuple).copied()
    }

    /// The peer that answers to this ufrag.
    pub fn by_ufrag(&self, ufrag: &str) -> Option<PeerKey> {
        self.by_ufrag.get(ufrag).copied()
    }

    /// A path has been validated; says who had it before (a port that a NAT gave to someone else).
    pub fn add_tuple(&mut self, tuple: FourTuple, key: PeerKey) -> Option<PeerKey> {
        self.by_tuple.insert(tuple, key).filter(|&before| before != key)
    }

    /// A path is no longer the peer's; another peer's entry is left alone.
    pub fn remove_tuple(&mut self, tuple: FourTuple, key: PeerKey) {
        if self.by_tuple.get(&tuple) == Some(&key) {
            self.by_tuple.remove(&tuple);
        }
    }

    /// A ufrag is answered from now on.
    pub fn add_ufrag(&mut self, ufrag: &str, key: PeerKey) {
        self.by_ufrag.insert(ufrag.into(), key);
    }

    /// A ufrag is no longer answered.
    pub fn remove_ufrag(&mut self, ufrag: &str) {
        self.by_ufrag.remove(ufrag);
    }

    /// Forgets everything of one room: it failed, and nothing in it can be asked any more.
    pub fn remove_room(&mut self, room: u32) {
        self.by_tuple.retain(|_, key| key.room != room);
        self.by_ufrag.retain(|_, key| key.room != room);
    }

    /// A hasher with the shard's seed, for other tables with keys from the network.
    pub fn hasher(&self) -> SeedableRandomState {
        self.by_ufrag.hasher().clone()
    }

    /// (4-tuples, ufrags) held.
    pub fn len(&self) -> (usize, usize) {
        (self.by_tuple.len(), self.by_ufrag.len())
    }
}
