//! Replies and events on their way to the signalling shards, each shard's in its own order. Replies are owed to tickets
//! and so bounded by them; events are bounded here, and when that does not suffice, what was lost is told instead.

use std::collections::{BTreeSet, VecDeque};

use crate::control::command::Mail;
use crate::id::{SessionId, ShardId, SignallingId};
use crate::limits::EVENTS_WAITING_MAX;

/// The mail of one media shard.
pub struct Outgoing {
    lanes: Vec<Lane>,
}

#[derive(Default)]
struct Lane {
    waiting: VecDeque<Mail>,
    lost: BTreeSet<SessionId>,
    lost_from: Option<ShardId>,
}

impl Outgoing {
    /// Empty, for that many signalling shards.
    pub fn new(signalling_shards: u8) -> Outgoing {
        Outgoing { lanes: (0..signalling_shards).map(|_| Lane::default()).collect() }
    }

    /// A reply waits for its turn.
    pub fn reply(&mut self, to: SignallingId, reply: Mail) {
        if let Some(lane) = self.lanes.get_mut(usize::from(to.0)) {
            lane.waiting.push_back(reply);
        }
    }

    /// An event waits for its turn; false when too many do already: its sessions are noted as lost.
    pub fn event(&mut self, to: SignallingId, event: Mail) -> bool {
        let Some(lane) = self.lanes.get_mut(usize::from(to.0)) else { return false };
        let room = lane.waiting.len() < EVENTS_WAITING_MAX;
        match event {
            event if room => lane.waiting.push_back(event),
            Mail::Event { from, to, .. } => {
                lane.lost_from = Some(from);
                lane.lost.extend(to.iter().map(|address| address.session));
            }
            _ => {}
        }
        room
    }

    /// What event handlers want to know waits as long as half of the room for events is left; false when it is lost.
    pub fn observation(&mut self, to: SignallingId, observation: Mail) -> bool {
        let lane = self.lanes.get_mut(usize::from(to.0)).filter(|lane| lane.waiting.len() < EVENTS_WAITING_MAX / 2);
        lane.map(|lane| lane.waiting.push_back(observation)).is_some()
    }

    /// The next mail for a shard; what was lost is told when everything before it has gone.
    pub fn take(&mut self, to: SignallingId) -> Option<Mail> {
        let lane = self.lanes.get_mut(usize::from(to.0))?;
        lane.waiting.pop_front().or_else(|| {
            let from = lane.lost_from.take()?;
            Some(Mail::Lost { from, sessions: std::mem::take(&mut lane.lost).into_iter().collect() })
        })
    }

    /// Mail that found its lane full.
    pub fn give_back(&mut self, to: SignallingId, mail: Mail) {
        if let Some(lane) = self.lanes.get_mut(usize::from(to.0)) {
            lane.waiting.push_front(mail);
        }
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.lanes.iter().all(|lane| lane.waiting.is_empty() && lane.lost.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::command::Event;
    use crate::control::observation::{IceState, Observation};
    use crate::id::{HandleAddress, HandleId};

    fn event(session: u64) -> Mail {
        let to = vec![HandleAddress { home: SignallingId(0), session: SessionId(session), handle: HandleId(1) }];
        Mail::Event { from: ShardId(3), to, event: Event::WebrtcUp }
    }

    #[test]
    fn events_that_find_no_room_are_told_as_lost_behind_everything_else_and_each_session_once() {
        let mut outgoing = Outgoing::new(1);
        for _ in 0..EVENTS_WAITING_MAX {
            assert!(outgoing.event(SignallingId(0), event(1)));
        }
        assert!(!outgoing.event(SignallingId(0), event(7)) && !outgoing.event(SignallingId(0), event(7)));
        for _ in 0..EVENTS_WAITING_MAX {
            assert!(matches!(outgoing.take(SignallingId(0)), Some(Mail::Event { .. })));
        }
        let Some(Mail::Lost { from, sessions }) = outgoing.take(SignallingId(0)) else { panic!("nothing is told") };
        assert_eq!((from, sessions), (ShardId(3), vec![SessionId(7)]));
        assert!(outgoing.is_empty() && outgoing.take(SignallingId(0)).is_none());
    }

    #[test]
    fn observations_leave_room_for_events_and_cost_no_session() {
        let mut outgoing = Outgoing::new(1);
        let of = HandleAddress { home: SignallingId(0), session: SessionId(1), handle: HandleId(1) };
        let observed = || Mail::Observed { of, what: Observation::Ice(IceState::Ready) };
        for _ in 0..EVENTS_WAITING_MAX / 2 {
            assert!(outgoing.observation(SignallingId(0), observed()));
        }
        assert!(!outgoing.observation(SignallingId(0), observed()));
        assert!(outgoing.event(SignallingId(0), event(7)));
        let mails = std::iter::from_fn(|| outgoing.take(SignallingId(0)));
        assert!(mails.into_iter().all(|mail| !matches!(mail, Mail::Lost { .. })));
    }

    #[test]
    fn mail_that_was_refused_goes_first() {
        let mut outgoing = Outgoing::new(1);
        outgoing.event(SignallingId(0), event(1));
        outgoing.event(SignallingId(0), event(2));
        let first = outgoing.take(SignallingId(0)).unwrap();
        outgoing.give_back(SignallingId(0), first);
        let Some(Mail::Event { to, .. }) = outgoing.take(SignallingId(0)) else { panic!() };
        assert_eq!(to[0].session, SessionId(1));
    }
}
