//! Which shard a room lives on: its id names the registrar, the registrar remembers the owner. Nothing here knows what
//! a room is; loads are handed in by those who ask.

use std::collections::BTreeMap;

use rand_chacha::rand_core::Rng;

use super::mint::mint;
use crate::id::{Name, RoomId, ShardId};

/// The shard that knows who owns the room: the highest rendezvous score among `shards` (at least 1).
pub fn registrar(room: &RoomId, shards: u8) -> ShardId {
    ranked(room, shards, REGISTRAR_SALT)[0]
}

/// The two shards that a room of this id may be placed on; the same one twice when there is only one.
pub fn candidates(room: &RoomId, shards: u8) -> [ShardId; 2] {
    ranked(room, shards, OWNER_SALT)
}

/// The less loaded of two candidates; the first one when they are even.
pub fn choose(candidates: [(ShardId, u32); 2]) -> ShardId {
    let [(first, first_load), (second, second_load)] = candidates;
    if second_load < first_load { second } else { first }
}

/// What came of a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The wished or minted id.
    pub room: RoomId,
    /// Who owns it.
    pub owner: ShardId,
    /// Whether this claim made the record.
    pub fresh: bool,
}

/// One shard's part of the table of all rooms: who owns those whose ids hash to this shard.
#[derive(Debug)]
pub struct Registrar {
    shard: ShardId,
    shards: u8,
    // Ordered, because clients choose the keys and a tree has no collisions to attack.
    owners: BTreeMap<RoomId, ShardId>,
}

impl Registrar {
    /// The empty table of `shard`, one of `shards`.
    pub fn new(shard: ShardId, shards: u8) -> Registrar {
        assert!(shard.0 < shards, "a registrar is one of its shards");
        Registrar { shard, shards, owners: BTreeMap::new() }
    }

    /// Records the less loaded candidate as owner of `room`, or says who owns it already. Without a `room` an unused
    /// id that hashes to this registrar is minted, as `text` or as a number.
    pub fn claim(
        &mut self,
        room: Option<RoomId>,
        text: bool,
        candidates: [(ShardId, u32); 2],
        rng: &mut impl Rng,
    ) -> Claim {
        let room = room.unwrap_or_else(|| self.mint(text, rng));
        if let Some(&owner) = self.owners.get(&room) {
            return Claim { room, owner, fresh: false };
        }
        let owner = choose(candidates);
        self.owners.insert(room.clone(), owner);
        Claim { room, owner, fresh: true }
    }

    /// Who owns the room.
    pub fn locate(&self, room: &RoomId) -> Option<ShardId> {
        self.owners.get(room).copied()
    }

    /// Forgets the room if `owner` still owns it. Idempotent, and a late release does not take a room from its next owner.
    pub fn release(&mut self, room: &RoomId, owner: ShardId) {
        if self.owners.get(room) == Some(&owner) {
            self.owners.remove(room);
        }
    }

    /// How many rooms are recorded.
    pub fn rooms(&self) -> usize {
        self.owners.len()
    }

    fn mint(&self, text: bool, rng: &mut impl Rng) -> RoomId {
        loop {
            let room = RoomId(mint(text, rng));
            if registrar(&room, self.shards) == self.shard && !self.owners.contains_key(&room) {
                return room;
            }
        }
    }
}

/// Salts keep the two choices apart: otherwise every registrar would also be the first candidate of its rooms.
const REGISTRAR_SALT: u64 = 0x7265_6769_7374_7261;
const OWNER_SALT: u64 = 0x6f77_6e65_725f_6f66;

/// The shards with the highest and the second highest score (highest random weight hashing): when a shard is added,
/// only the rooms that it wins move.
fn ranked(room: &RoomId, shards: u8, salt: u64) -> [ShardId; 2] {
    assert!(shards > 0, "a server has a shard");
    let key = fnv1a(room);
    let score = |shard: u8| (mix(key ^ mix(salt ^ u64::from(shard))), shard);
    let best = (0..shards).map(score).max().map_or(0, |(_, shard)| shard);
    let second = (0..shards).filter(|&shard| shard != best).map(score).max().map_or(best, |(_, shard)| shard);
    [ShardId(best), ShardId(second)]
}

/// FNV-1a over the id. It need not resist chosen ids: whoever makes ids collide only spoils the balance of its own rooms.
fn fnv1a(room: &RoomId) -> u64 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    let start = 0xcbf2_9ce4_8422_2325;
    match &room.0 {
        Name::Number(number) => number.to_le_bytes().iter().fold(start, step),
        Name::Text(text) => text.as_bytes().iter().fold(start, step),
    }
}

/// The finalizer of SplitMix64: FNV alone leaves the high bits of short ids nearly equal.
fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ bits >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ bits >> 31
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::ChaCha20Rng;
    use rand_chacha::rand_core::SeedableRng;

    fn rng() -> ChaCha20Rng {
        ChaCha20Rng::from_seed([7; 32])
    }

    #[test]
    fn consecutive_ids_spread_evenly_over_the_registrars() {
        let mut counts = [0u32; 8];
        for id in 0..8000 {
            counts[usize::from(registrar(&RoomId::from(id), 8).0)] += 1;
        }
        assert!(counts.iter().all(|count| (850..1150).contains(count)), "{counts:?}");
    }

    #[test]
    fn one_shard_is_everything_at_once() {
        let room = RoomId::from(1234);
        assert_eq!(registrar(&room, 1), ShardId(0));
        assert_eq!(candidates(&room, 1), [ShardId(0); 2]);
    }

    #[test]
    fn two_candidates_differ_when_there_are_two_shards() {
        for id in 0..1000 {
            let [first, second] = candidates(&RoomId::from(id), 5);
            assert_ne!(first, second);
        }
    }

    #[test]
    fn a_new_shard_takes_rooms_but_moves_none_between_the_others() {
        for id in 0..1000 {
            let room = RoomId::from(id);
            let (before, after) = (registrar(&room, 4), registrar(&room, 5));
            assert!(after == before || after == ShardId(4));
        }
    }

    #[test]
    fn the_less_loaded_candidate_is_chosen_and_a_tie_goes_to_the_first() {
        assert_eq!(choose([(ShardId(3), 10), (ShardId(1), 9)]), ShardId(1));
        assert_eq!(choose([(ShardId(3), 9), (ShardId(1), 9)]), ShardId(3));
    }

    #[test]
    fn a_claimed_room_keeps_its_owner_until_that_owner_releases_it() {
        let mut registrar = Registrar::new(ShardId(0), 2);
        let room = RoomId::from(1234);
        let claim = registrar.claim(Some(room.clone()), false, [(ShardId(0), 5), (ShardId(1), 4)], &mut rng());
        assert_eq!(claim, Claim { room: room.clone(), owner: ShardId(1), fresh: true });
        let again = registrar.claim(Some(room.clone()), false, [(ShardId(0), 0), (ShardId(1), 4)], &mut rng());
        assert_eq!(again, Claim { room: room.clone(), owner: ShardId(1), fresh: false });
        registrar.release(&room, ShardId(0));
        assert_eq!(registrar.locate(&room), Some(ShardId(1)));
        registrar.release(&room, ShardId(1));
        registrar.release(&room, ShardId(1));
        assert_eq!(registrar.locate(&room), None);
        assert_eq!(registrar.rooms(), 0);
    }

    #[test]
    fn a_minted_id_hashes_to_its_registrar() {
        let mut rng = rng();
        for text in [false, true] {
            let mut table = Registrar::new(ShardId(2), 4);
            for _ in 0..50 {
                let claim = table.claim(None, text, [(ShardId(1), 0); 2], &mut rng);
                assert!(claim.fresh);
                assert_eq!(registrar(&claim.room, 4), ShardId(2));
                assert_eq!(matches!(claim.room.0, Name::Text(_)), text);
            }
            assert_eq!(table.rooms(), 50);
        }
    }
}
