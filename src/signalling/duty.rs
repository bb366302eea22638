//! What must reach a media shard whatever the lanes are like: teardowns, releases, and the configured rooms. Each is
//! sent again until it is acknowledged.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{SignallingEngine, Waiting};
use crate::control::command::{Command, CommandEnvelope, Event, Reply, Teardown};
use crate::control::placement::registrar;
use crate::control::spec::RoomSpec;
use crate::id::{HandleAddress, HandleId, RoomId, SessionId, ShardId, Ticket};
use crate::proto::session::Sessions;
use crate::proto::session::deadline::Deadlines;
use crate::proto::session::handle::{Handle, Origin, Seat};
use crate::time::{Mono, Now};
use crate::videoroom::render;
use crate::wire::janus::events::Subject;

/// Unacknowledged duties are sent again after this time.
pub(super) const REPEAT_INTERVAL: Duration = Duration::from_millis(250);

/// Names one duty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct DutyId(u64);

/// One duty.
#[derive(Debug)]
pub(super) enum DutyKind {
    /// A handle hangs up or is gone. `announce`: `detached` is still to be said. What the client of a handle that is gone
    /// called it is kept for event handlers.
    Teardown {
        handle: HandleAddress,
        room: RoomId,
        owner: ShardId,
        kind: Teardown,
        announce: bool,
        opaque_id: Option<Box<str>>,
    },
    /// A room is gone.
    Release { room: RoomId, owner: ShardId },
    /// A configured room needs an owner.
    Claim(RoomSpec),
    /// And then to be made.
    Create(RoomSpec, ShardId),
}

/// All duties.
#[derive(Debug, Default)]
pub(super) struct Duties {
    table: BTreeMap<DutyId, (DutyKind, Ticket)>,
    by_handle: BTreeMap<HandleAddress, DutyId>,
    deadlines: Deadlines<DutyId>,
    made: u64,
}

impl Duties {
    pub fn deadline(&self) -> Mono {
        self.deadlines.next()
    }

    pub fn len(&self) -> usize {
        self.table.len()
    }

    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// What the client of a handle that is being torn down called it.
    pub fn opaque_id(&self, handle: &HandleAddress) -> Option<&str> {
        match self.table.get(self.by_handle.get(handle)?)? {
            (DutyKind::Teardown { opaque_id, .. }, _) => opaque_id.as_deref(),
            _ => None,
        }
    }

    fn remove(&mut self, id: DutyId) -> Option<(DutyKind, Ticket)> {
        let (what, ticket) = self.table.remove(&id)?;
        self.deadlines.clear(id);
        if let DutyKind::Teardown { handle, .. } = &what {
            self.by_handle.remove(handle);
        }
        Some((what, ticket))
    }
}

/// A handle for event handlers, with what its client calls it; of one that is gone, until its room has heard of that.
pub(super) fn subject<'a>(sessions: &'a Sessions, duties: &'a Duties, of: HandleAddress) -> Subject<'a> {
    let opaque_id = match sessions.handle(of.session, of.handle) {
        Some(state) => state.origin.opaque_id.as_deref(),
        None => duties.opaque_id(&of),
    };
    gone(of, opaque_id)
}

/// The same of a handle that is in no table any more.
pub(super) fn gone(of: HandleAddress, opaque_id: Option<&str>) -> Subject<'_> {
    Subject { session: Some(of.session), handle: Some(of.handle), opaque_id }
}

impl SignallingEngine {
    /// Takes on a duty and does it for the first time.
    pub(super) fn take_on(&mut self, now: Mono, what: DutyKind) {
        self.duties.made += 1;
        let id = DutyId(self.duties.made);
        let ticket = self.tickets.reserve(Mono::NEVER, Waiting::Duty(id));
        if let DutyKind::Teardown { handle, .. } = &what {
            self.duties.by_handle.insert(*handle, id);
        }
        self.duties.table.insert(id, (what, ticket));
        self.perform(now, id);
    }

    fn perform(&mut self, now: Mono, id: DutyId) {
        let Some((what, ticket)) = self.duties.table.get(&id) else { return };
        let ticket = Some(*ticket);
        let shards = self.config.shards;
        let (to, command) = match what {
            DutyKind::Teardown { handle, room, owner, kind, .. } => {
                (*owner, Command::Teardown { room: room.clone(), handle: *handle, kind: *kind })
            }
            DutyKind::Release { room, owner } => (registrar(room, shards), Command::Release(room.clone(), *owner)),
            DutyKind::Create(spec, owner) => (*owner, Command::Create(Box::new(spec.clone()))),
            DutyKind::Claim(spec) => {
                let room = spec.room.clone();
                self.claim_command(Some(room))
            }
        };
        self.counters.commands_sent += 1;
        self.commands.push_back((to, CommandEnvelope { ticket, from: self.config.id, command }));
        self.duties.deadlines.set(id, now + REPEAT_INTERVAL);
    }

    /// Sends again what has not been acknowledged.
    pub(super) fn repeat_duties(&mut self, now: Mono) {
        while let Some(id) = self.duties.deadlines.due(now) {
            self.counters.duties_repeated += 1;
            self.perform(now, id);
        }
    }

    /// A configured room.
    pub(super) fn claim_configured(&mut self, now: Mono, room: RoomSpec) {
        self.take_on(now, DutyKind::Claim(room));
    }

    /// The acknowledgement has come; its ticket is spent.
    pub(super) fn duty_done(&mut self, now: Now, id: DutyId, reply: Reply) {
        let Some((what, _)) = self.duties.remove(id) else { return };
        match (what, reply) {
            (DutyKind::Teardown { handle, kind: Teardown::Detach, announce, opaque_id, .. }, _) => {
                // The last that is heard of it, as in Janus.
                self.observers.detached(now, gone(handle, opaque_id.as_deref()));
                if announce {
                    self.say_detached(handle);
                }
            }
            (DutyKind::Teardown { .. } | DutyKind::Release { .. }, _) => {}
            (DutyKind::Claim(spec), Reply::Claimed { owner, fresh: true, .. }) => {
                self.take_on(now.mono, DutyKind::Create(spec, owner));
            }
            (DutyKind::Create(..), Reply::Created(_)) => self.rooms_to_make -= 1,
            (DutyKind::Create(spec, owner), _) => {
                self.drops.static_room_refused += 1;
                self.rooms_to_make -= 1;
                self.take_on(now.mono, DutyKind::Release { room: spec.room, owner });
            }
            // Somebody else has made it.
            (DutyKind::Claim(_), _) => self.rooms_to_make -= 1,
        }
    }

    /// A handle is gone: its place in a room is torn down, and with `announce` its session hears `detached`.
    pub(super) fn vacate(&mut self, now: Now, session: SessionId, handle: HandleId, state: Handle, announce: bool) {
        let Handle { seat, origin: Origin { opaque_id, .. }, .. } = state;
        let handle = self.address(session, handle);
        // A hangup on its way is part of what comes now.
        if let Some(id) = self.duties.by_handle.get(&handle).copied()
            && let Some((_, ticket)) = self.duties.remove(id)
        {
            self.tickets.take(ticket);
        }
        match seat {
            Some(Seat { room, owner, .. }) => {
                let kind = Teardown::Detach;
                self.take_on(now.mono, DutyKind::Teardown { handle, room, owner, kind, announce, opaque_id });
            }
            None => {
                self.observers.detached(now, gone(handle, opaque_id.as_deref()));
                if announce {
                    self.say_detached(handle);
                }
            }
        }
    }

    /// The client's or an operator's hangup.
    pub(super) fn hang_up(&mut self, now: Mono, session: SessionId, handle: HandleId, kind: Teardown) {
        let address = self.address(session, handle);
        let seat = self.sessions.handle(session, handle).and_then(|handle| handle.seat.clone());
        if let Some(Seat { room, owner, .. }) = seat
            && !self.duties.by_handle.contains_key(&address)
        {
            self.take_on(
                now,
                DutyKind::Teardown { handle: address, room, owner, kind, announce: false, opaque_id: None },
            );
        }
    }

    /// The room's shard says that a handle is gone. False when that was not awaited.
    pub(super) fn detached(&mut self, handle: HandleAddress) -> bool {
        let Some(id) = self.duties.by_handle.get(&handle) else { return false };
        match self.duties.table.get_mut(id) {
            Some((DutyKind::Teardown { kind: Teardown::Detach, announce, .. }, _)) => {
                if std::mem::take(announce) {
                    self.say_detached(handle);
                }
                true
            }
            _ => false,
        }
    }

    fn say_detached(&mut self, handle: HandleAddress) {
        let text = render::event(&Event::Detached).address(handle.session, handle.handle, None);
        self.tell(handle.session, text);
    }

    /// A room is gone by a fault: the registrar must not keep it.
    pub(super) fn room_failed(&mut self, now: Now, room: &RoomId, owner: ShardId) {
        self.release(now, room.clone(), owner);
    }
}
