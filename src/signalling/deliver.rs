//! What media shards tell unasked: rendered once, then addressed to each handle.

use super::SignallingEngine;
use super::duty::{gone, subject};
use crate::control::command::{Event, HangupReason};
use crate::id::{HandleAddress, ShardId};
use crate::proto::session::handle::Role;
use crate::time::Now;
use crate::videoroom::render;

impl SignallingEngine {
    pub(super) fn handle_event(&mut self, now: Now, from: ShardId, to: &[HandleAddress], event: &Event) {
        if let Event::RoomFailed(room) = event {
            self.room_failed(now, room, from);
        }
        let notice = render::event(event);
        // The shard that failed cannot say it itself: the peer connections are gone too.
        let hangup =
            matches!(event, Event::RoomFailed(_)).then(|| render::event(&Event::Hangup(HangupReason::ClosePc)));
        for address in to {
            if matches!(event, Event::Detached) && self.detached(*address) {
                continue;
            }
            if !self.prepare(now, address, event) {
                self.drops.event_without_handle += 1;
                continue;
            }
            let of = subject(&self.sessions, &self.duties, *address);
            self.observers.event(now, of, event);
            for notice in [Some(&notice), hangup.as_ref()].into_iter().flatten() {
                self.counters.events_delivered += 1;
                self.tell(address.session, notice.address(address.session, address.handle, None));
            }
        }
    }

    /// What the event means to the handle itself. False when the handle is gone.
    fn prepare(&mut self, now: Now, address: &HandleAddress, event: &Event) -> bool {
        let Some(handle) = self.sessions.handle_mut(address.session, address.handle) else { return false };
        match event {
            Event::Destroyed(_) | Event::RoomFailed(_) | Event::Expelled(_) => {
                if let Some(seat) = &mut handle.seat {
                    seat.role = Role::Finished;
                }
            }
            Event::Detached => {
                if let Some(state) = self.sessions.detach(address.session, address.handle) {
                    self.observers.detached(now, gone(*address, state.origin.opaque_id.as_deref()));
                }
            }
            _ => {}
        }
        true
    }
}
