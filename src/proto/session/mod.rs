//! Janus sessions and their handles: who owns what, which connection hears of it, how long an idle one lives, and the
//! order of each handle's requests. What a plugin request does is not known here.

use std::collections::BTreeMap;
use std::time::Duration;

use rand_chacha::rand_core::Rng;

pub mod deadline;
pub mod handle;
pub mod ticket;

use deadline::Deadlines;
use handle::Handle;

use crate::id::{HandleId, SessionId, SignalId};
use crate::time::Mono;

/// One client's connection: a slot of the connection table with a generation, so that a stale name finds nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId {
    /// Index into the table.
    pub slot: u32,
    /// Counts how often the slot has been used.
    pub generation: u32,
}

/// One session.
#[derive(Debug)]
pub struct Session {
    /// The connection that hears its events.
    pub outlet: ConnectionId,
    /// Its handles.
    pub handles: BTreeMap<HandleId, Handle>,
    last_activity: Mono,
}

/// The sessions whose home this signalling shard is: `id mod homes == home`. Ids come from clients too, hence an ordered
/// map: no choice of ids makes it slow, and walking it is the same in every run.
#[derive(Debug)]
pub struct Sessions {
    sessions: BTreeMap<SessionId, Session>,
    handles: usize,
    deadlines: Deadlines<SessionId>,
    timeout: Duration,
    home: SignalId,
    homes: u8,
}

/// The largest id that is exact in every JSON implementation.
const ID_MAX: u64 = (1 << 53) - 1;

impl Sessions {
    /// None yet; a `timeout` of zero means that idle sessions live for ever.
    pub fn new(home: SignalId, homes: u8, timeout: Duration) -> Sessions {
        assert!(home.0 < homes, "a signalling shard is one of them");
        Sessions { sessions: BTreeMap::new(), handles: 0, deadlines: Deadlines::default(), timeout, home, homes }
    }

    /// Whether a session with this id would live here.
    pub fn is_home_of(&self, id: SessionId) -> bool {
        id.0 % u64::from(self.homes) == u64::from(self.home.0)
    }

    /// Makes a session with the wished id, or with a random one. None when the wished id is in use.
    pub fn create(
        &mut self,
        now: Mono,
        wished: Option<SessionId>,
        outlet: ConnectionId,
        rng: &mut impl Rng,
    ) -> Option<SessionId> {
        let id = match wished {
            Some(id) if self.sessions.contains_key(&id) => return None,
            Some(id) => id,
            None => self.mint(rng),
        };
        self.sessions.insert(id, Session { outlet, handles: BTreeMap::new(), last_activity: now });
        if !self.timeout.is_zero() {
            self.deadlines.set(id, now + self.timeout);
        }
        Some(id)
    }

    fn mint(&self, rng: &mut impl Rng) -> SessionId {
        loop {
            let random = rng.next_u64() & ID_MAX;
            let id = SessionId(random - random % u64::from(self.homes) + u64::from(self.home.0));
            if (1..=ID_MAX).contains(&id.0) && !self.sessions.contains_key(&id) {
                return id;
            }
        }
    }

    /// The session of an id.
    pub fn get(&self, id: SessionId) -> Option<&Session> {
        self.sessions.get(&id)
    }

    /// The session of an id.
    pub fn get_mut(&mut self, id: SessionId) -> Option<&mut Session> {
        self.sessions.get_mut(&id)
    }

    /// The handle of a session.
    pub fn handle(&self, id: SessionId, handle: HandleId) -> Option<&Handle> {
        self.sessions.get(&id)?.handles.get(&handle)
    }

    /// The handle of a session.
    pub fn handle_mut(&mut self, id: SessionId, handle: HandleId) -> Option<&mut Handle> {
        self.sessions.get_mut(&id)?.handles.get_mut(&handle)
    }

    /// Notes activity.
    pub fn touch(&mut self, now: Mono, id: SessionId) {
        if let Some(session) = self.sessions.get_mut(&id) {
            session.last_activity = now;
        }
    }

    /// Makes a handle in a session; none when there is no such session.
    pub fn attach(&mut self, id: SessionId, rng: &mut impl Rng) -> Option<HandleId> {
        let session = self.sessions.get_mut(&id)?;
        let handle = loop {
            let handle = HandleId(rng.next_u64() & ID_MAX);
            if handle.0 != 0 && !session.handles.contains_key(&handle) {
                break handle;
            }
        };
        session.handles.insert(handle, Handle::default());
        self.handles += 1;
        Some(handle)
    }

    /// Takes a handle out of its session.
    pub fn detach(&mut self, id: SessionId, handle: HandleId) -> Option<Handle> {
        let handle = self.sessions.get_mut(&id)?.handles.remove(&handle)?;
        self.handles -= 1;
        Some(handle)
    }

    /// Takes a session out with all its handles.
    pub fn remove(&mut self, id: SessionId) -> Option<Session> {
        let session = self.sessions.remove(&id)?;
        self.handles -= session.handles.len();
        self.deadlines.clear(id);
        Some(session)
    }

    /// One session that has been idle for too long; it is still there.
    pub fn expired(&mut self, now: Mono) -> Option<SessionId> {
        while let Some(id) = self.deadlines.due(now) {
            let Some(session) = self.sessions.get(&id) else { continue };
            // Activity does not touch the table of deadlines; it is looked at only here.
            let deadline = session.last_activity + self.timeout;
            if deadline <= now {
                return Some(id);
            }
            self.deadlines.set(id, deadline);
        }
        None
    }

    /// When [`Sessions::expired`] is worth a call.
    pub fn deadline(&self) -> Mono {
        self.deadlines.next()
    }

    /// The ids of all.
    pub fn ids(&self) -> Vec<SessionId> {
        self.sessions.keys().copied().collect()
    }

    /// How many sessions there are.
    pub fn len(&self) -> usize {
        self.sessions.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }

    /// How many handles all sessions have.
    pub fn handles_len(&self) -> usize {
        self.handles
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::ChaCha20Rng;
    use rand_chacha::rand_core::SeedableRng;

    const OUTLET: ConnectionId = ConnectionId { slot: 0, generation: 0 };
    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn minted_ids_are_at_home_and_exact_in_json() {
        let mut rng = ChaCha20Rng::from_seed([1; 32]);
        for home in 0..3 {
            let mut sessions = Sessions::new(SignalId(home), 3, MINUTE);
            for _ in 0..100 {
                let id = sessions.create(Mono(0), None, OUTLET, &mut rng).unwrap();
                assert_eq!(id.0 % 3, u64::from(home));
                assert!(id.0 > 0 && id.0 <= ID_MAX);
            }
            assert_eq!(sessions.len(), 100);
        }
    }

    #[test]
    fn a_wished_id_is_given_once() {
        let mut rng = ChaCha20Rng::from_seed([1; 32]);
        let mut sessions = Sessions::new(SignalId(0), 1, MINUTE);
        assert_eq!(sessions.create(Mono(0), Some(SessionId(5)), OUTLET, &mut rng), Some(SessionId(5)));
        assert_eq!(sessions.create(Mono(0), Some(SessionId(5)), OUTLET, &mut rng), None);
    }

    #[test]
    fn activity_postpones_the_timeout() {
        let mut rng = ChaCha20Rng::from_seed([1; 32]);
        let mut sessions = Sessions::new(SignalId(0), 1, MINUTE);
        let id = sessions.create(Mono(0), None, OUTLET, &mut rng).unwrap();
        let half = Mono(0) + MINUTE / 2;
        sessions.touch(half, id);
        assert_eq!(sessions.deadline(), Mono(0) + MINUTE);
        assert_eq!(sessions.expired(Mono(0) + MINUTE), None);
        assert_eq!(sessions.deadline(), half + MINUTE);
        assert_eq!(sessions.expired(half + MINUTE), Some(id));
        sessions.remove(id);
        assert_eq!(sessions.deadline(), Mono::NEVER);
    }

    #[test]
    fn handles_are_counted_over_all_sessions() {
        let mut rng = ChaCha20Rng::from_seed([1; 32]);
        let mut sessions = Sessions::new(SignalId(0), 1, Duration::ZERO);
        let id = sessions.create(Mono(0), None, OUTLET, &mut rng).unwrap();
        let first = sessions.attach(id, &mut rng).unwrap();
        sessions.attach(id, &mut rng).unwrap();
        assert!(sessions.detach(id, first).is_some());
        assert!(sessions.detach(id, first).is_none());
        assert_eq!(sessions.handles_len(), 1);
        sessions.remove(id);
        assert_eq!(sessions.handles_len(), 0);
        assert_eq!(sessions.attach(id, &mut rng), None);
    }
}
