//! Janus sessions and their handles: who owns what, where it is heard, how long an idle or a lost one lives, and the
//! order of each handle's requests. What a plugin request does is not known here.

use std::collections::BTreeMap;
use std::time::Duration;

use rand_chacha::rand_core::Rng;

pub mod deadline;
pub mod handle;
pub mod poll;
pub mod ticket;
pub mod token;

use deadline::Deadlines;
use handle::Handle;
use poll::{Answer, LongPoll, Shape};

use crate::id::{HandleId, SessionId, SignallingId};
use crate::time::Mono;

/// One client's connection: a slot of the connection table with a generation, so that a stale name finds nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId {
    /// Index into the table.
    pub slot: u32,
    /// Counts how often the slot has been used.
    pub generation: u32,
}

/// A connection of this or another signalling shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    pub signalling: SignallingId,
    pub connection: ConnectionId,
}

/// Who waits for an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Asker {
    /// On which connection.
    pub place: Place,
    /// With which of its requests, on HTTP, where an answer belongs to one; 0 on a WebSocket, where the transaction tells.
    pub request: u32,
}

impl Asker {
    /// Whether the asker hears by itself, without asking.
    pub fn is_socket(self) -> bool {
        self.request == 0
    }
}

/// Where what a session hears unasked goes.
#[derive(Debug)]
pub enum Outlet {
    /// To the WebSocket that made or claimed it, and that it dies with.
    Socket(Place),
    /// To whoever polls.
    Poll(LongPoll),
    /// Nowhere: its WebSocket is gone, and until then it may be claimed.
    Lost(Mono),
}

impl Outlet {
    /// Where an asker hears what nobody asked for.
    pub fn of(asker: Asker) -> Outlet {
        if asker.is_socket() { Outlet::Socket(asker.place) } else { Outlet::Poll(LongPoll::default()) }
    }
}

/// One session.
#[derive(Debug)]
pub struct Session {
    /// Where it is heard.
    pub outlet: Outlet,
    pub handles: BTreeMap<HandleId, Handle>,
    /// How long it may be idle, when that is not as for all; zero is for ever.
    timeout: Option<Duration>,
    last_activity: Mono,
}

/// How long a session lives without a sign of its client; zero is for ever, or not at all.
#[derive(Clone, Copy, Debug)]
pub struct SessionTimeouts {
    /// Without a request. Zero: for ever.
    pub idle: Duration,
    /// After its WebSocket was lost. Zero: it ends with it.
    pub lost: Duration,
}

/// What the time has come for.
#[derive(Debug, PartialEq, Eq)]
pub enum Due {
    /// A session has been idle for too long; it is still there.
    Idle(SessionId),
    /// Nobody has claimed a lost session; it is still there.
    Unclaimed(SessionId),
    /// A poll has heard nothing.
    Poll(Answer),
}

/// The sessions whose home this signalling shard is: `id mod homes == home`. Ids come from clients too, hence an ordered
/// map: no choice of ids makes it slow, and walking it is the same in every run.
#[derive(Debug)]
pub struct Sessions {
    sessions: BTreeMap<SessionId, Session>,
    handles: usize,
    deadlines: Deadlines<SessionId>,
    timeouts: SessionTimeouts,
    home: SignallingId,
    homes: u8,
}

/// The largest id that is exact in every JSON implementation.
const ID_MAX: u64 = (1 << 53) - 1;

impl Sessions {
    /// None yet.
    pub fn new(home: SignallingId, homes: u8, timeouts: SessionTimeouts) -> Sessions {
        assert!(home.0 < homes, "a signalling shard is one of them");
        Sessions { sessions: BTreeMap::new(), handles: 0, deadlines: Deadlines::default(), timeouts, home, homes }
    }

    /// Where a session with this id would live.
    pub fn home(&self, id: SessionId) -> SignallingId {
        SignallingId(u8::try_from(id.0 % u64::from(self.homes)).expect("less than the number of homes"))
    }

    /// Makes a session with the wished id, or with a random one. None when the wished id is in use.
    pub fn create(
        &mut self,
        now: Mono,
        wished: Option<SessionId>,
        outlet: Outlet,
        rng: &mut impl Rng,
    ) -> Option<SessionId> {
        let id = match wished {
            Some(id) if self.sessions.contains_key(&id) => return None,
            Some(id) => id,
            None => self.mint(rng),
        };
        let session = Session { outlet, handles: BTreeMap::new(), timeout: None, last_activity: now };
        self.sessions.insert(id, session);
        self.schedule(id);
        Some(id)
    }

    /// Sets when to look at a session next.
    fn schedule(&mut self, id: SessionId) {
        let Some(session) = self.sessions.get(&id) else { return };
        let other = match &session.outlet {
            Outlet::Socket(_) => Mono::NEVER,
            Outlet::Poll(polls) => polls.deadline(),
            Outlet::Lost(until) => *until,
        };
        self.deadlines.set(id, session.idle_at(self.timeouts).min(other));
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

    /// A poll for a session's messages: answered at once, or later by [`Sessions::due`] or by a message.
    pub fn poll(&mut self, now: Mono, id: SessionId, asker: Asker, shape: Shape) -> Result<Option<Answer>, NotPolled> {
        let Some(Session { outlet: Outlet::Poll(polls), .. }) = self.sessions.get_mut(&id) else {
            return Err(NotPolled);
        };
        let answer = polls.wait(now, asker, shape);
        self.schedule(id);
        Ok(answer)
    }

    /// Moves what a session hears to another place, and gives back the old one.
    pub fn claim(&mut self, id: SessionId, outlet: Outlet) -> Option<Outlet> {
        let before = std::mem::replace(&mut self.sessions.get_mut(&id)?.outlet, outlet);
        self.schedule(id);
        Some(before)
    }

    /// The WebSocket of a session is gone. False when the session must end with it.
    pub fn lose(&mut self, now: Mono, id: SessionId) -> bool {
        let claimable = !self.timeouts.lost.is_zero();
        if claimable {
            self.claim(id, Outlet::Lost(now + self.timeouts.lost));
        }
        claimable
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

    /// One thing that the time has come for.
    pub fn due(&mut self, now: Mono) -> Option<Due> {
        while let Some(id) = self.deadlines.due(now) {
            let Some(session) = self.sessions.get_mut(&id) else { continue };
            if session.idle_at(self.timeouts) <= now {
                return Some(Due::Idle(id));
            }
            let answer = match &mut session.outlet {
                Outlet::Lost(until) if *until <= now => return Some(Due::Unclaimed(id)),
                Outlet::Poll(polls) => polls.due(now),
                Outlet::Lost(_) | Outlet::Socket(_) => None,
            };
            // Activity does not touch the table of deadlines; it is looked at only here.
            self.schedule(id);
            if let Some(answer) = answer {
                return Some(Due::Poll(answer));
            }
        }
        None
    }

    /// When [`Sessions::due`] is worth a call.
    pub fn deadline(&self) -> Mono {
        self.deadlines.next()
    }

    /// How long sessions may be idle; zero is for ever.
    pub fn idle_timeout(&self) -> Duration {
        self.timeouts.idle
    }

    /// Gives all sessions another time to be idle, but those that have one of their own.
    pub fn set_idle_timeout(&mut self, idle: Duration) {
        self.timeouts.idle = idle;
        for id in self.ids() {
            self.schedule(id);
        }
    }

    /// Gives one session a time of its own, or takes it away.
    pub fn set_timeout_of(&mut self, id: SessionId, idle: Option<Duration>) {
        if let Some(session) = self.sessions.get_mut(&id) {
            session.timeout = idle;
            self.schedule(id);
        }
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

/// The session is not there, or is heard elsewhere.
#[derive(Debug, PartialEq, Eq)]
pub struct NotPolled;

impl Session {
    /// How long it may be idle where `all` is everybody's time; zero is for ever.
    pub fn timeout(&self, all: Duration) -> Duration {
        self.timeout.unwrap_or(all)
    }

    /// When its client asked for something last.
    pub fn last_activity(&self) -> Mono {
        self.last_activity
    }

    fn idle_at(&self, timeouts: SessionTimeouts) -> Mono {
        let idle = self.timeout(timeouts.idle);
        if idle.is_zero() { Mono::NEVER } else { self.last_activity + idle }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::ChaCha20Rng;
    use rand_chacha::rand_core::SeedableRng;

    const CONNECTION: ConnectionId = ConnectionId { slot: 0, generation: 0 };
    const PLACE: Place = Place { signalling: SignallingId(0), connection: CONNECTION };
    const OUTLET: Outlet = Outlet::Socket(PLACE);
    const MINUTE: Duration = Duration::from_secs(60);
    const PATIENCE: SessionTimeouts = SessionTimeouts { idle: MINUTE, lost: Duration::ZERO };

    #[test]
    fn minted_ids_are_at_home_and_exact_in_json() {
        let mut rng = ChaCha20Rng::from_seed([1; 32]);
        for home in 0..3 {
            let mut sessions = Sessions::new(SignallingId(home), 3, PATIENCE);
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
        let mut sessions = Sessions::new(SignallingId(0), 1, PATIENCE);
        assert_eq!(sessions.create(Mono(0), Some(SessionId(5)), OUTLET, &mut rng), Some(SessionId(5)));
        assert_eq!(sessions.create(Mono(0), Some(SessionId(5)), OUTLET, &mut rng), None);
    }

    #[test]
    fn activity_postpones_the_timeout() {
        let mut rng = ChaCha20Rng::from_seed([1; 32]);
        let mut sessions = Sessions::new(SignallingId(0), 1, PATIENCE);
        let id = sessions.create(Mono(0), None, OUTLET, &mut rng).unwrap();
        let half = Mono(0) + MINUTE / 2;
        sessions.touch(half, id);
        assert_eq!(sessions.deadline(), Mono(0) + MINUTE);
        assert_eq!(sessions.due(Mono(0) + MINUTE), None);
        assert_eq!(sessions.deadline(), half + MINUTE);
        assert_eq!(sessions.due(half + MINUTE), Some(Due::Idle(id)));
        sessions.remove(id);
        assert_eq!(sessions.deadline(), Mono::NEVER);
    }

    #[test]
    fn a_new_timeout_holds_at_once_and_a_sessions_own_beats_it() {
        let mut rng = ChaCha20Rng::from_seed([1; 32]);
        let mut sessions = Sessions::new(SignallingId(0), 1, PATIENCE);
        let ids = [1, 2].map(|_| sessions.create(Mono(0), None, OUTLET, &mut rng).unwrap());
        sessions.set_timeout_of(ids[0], Some(Duration::ZERO));
        sessions.set_idle_timeout(MINUTE / 2);
        assert_eq!(sessions.deadline(), Mono(0) + MINUTE / 2);
        assert_eq!(sessions.due(Mono(0) + MINUTE / 2), Some(Due::Idle(ids[1])));
        sessions.remove(ids[1]);
        assert_eq!(sessions.deadline(), Mono::NEVER);
        sessions.set_timeout_of(ids[0], None);
        assert_eq!(sessions.deadline(), Mono(0) + MINUTE / 2);
    }

    #[test]
    fn a_lost_session_can_be_claimed_for_a_while() {
        let mut rng = ChaCha20Rng::from_seed([1; 32]);
        let mut sessions = Sessions::new(SignallingId(0), 1, PATIENCE);
        let id = sessions.create(Mono(0), None, OUTLET, &mut rng).unwrap();
        assert!(!sessions.lose(Mono(0), id));
        let lost = Duration::from_secs(5);
        let mut sessions = Sessions::new(SignallingId(0), 1, SessionTimeouts { lost, ..PATIENCE });
        let ids = [1, 2].map(|_| sessions.create(Mono(0), None, OUTLET, &mut rng).unwrap());
        assert!(ids.iter().all(|id| sessions.lose(Mono(0), *id)));
        assert_eq!(sessions.due(Mono(1)), None);
        assert!(matches!(sessions.claim(ids[0], OUTLET), Some(Outlet::Lost(_))));
        assert_eq!(sessions.due(Mono(0) + lost), Some(Due::Unclaimed(ids[1])));
        sessions.remove(ids[1]);
        assert_eq!((sessions.due(Mono(0) + lost), sessions.deadline()), (None, Mono(0) + MINUTE));
    }

    #[test]
    fn polls_of_a_session_are_answered_in_their_time_and_do_not_keep_it_alive() {
        let mut rng = ChaCha20Rng::from_seed([1; 32]);
        let mut sessions = Sessions::new(SignallingId(0), 1, PATIENCE);
        let socket = sessions.create(Mono(0), None, OUTLET, &mut rng).unwrap();
        let polled = sessions.create(Mono(0), None, Outlet::Poll(LongPoll::default()), &mut rng).unwrap();
        let asker = |request| Asker { place: PLACE, request };
        assert_eq!(sessions.poll(Mono(0), socket, asker(1), Shape::Object), Err(NotPolled));
        assert_eq!(sessions.poll(Mono(0), polled, asker(2), Shape::Object), Ok(None));
        assert_eq!(sessions.poll(Mono(0), polled, asker(3), Shape::Object), Ok(None));
        let held = Mono(0) + poll::POLL_HOLD;
        assert_eq!(sessions.deadline(), held);
        let keepalive = |request| Some(Due::Poll((asker(request), r#"{"janus":"keepalive"}"#.into())));
        assert_eq!([sessions.due(held), sessions.due(held), sessions.due(held)], [keepalive(2), keepalive(3), None]);
        sessions.touch(Mono(0) + MINUTE, socket);
        assert_eq!(sessions.due(Mono(0) + MINUTE), Some(Due::Idle(polled)));
    }

    #[test]
    fn handles_are_counted_over_all_sessions() {
        let mut rng = ChaCha20Rng::from_seed([1; 32]);
        let mut sessions = Sessions::new(SignallingId(0), 1, SessionTimeouts { idle: Duration::ZERO, ..PATIENCE });
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
