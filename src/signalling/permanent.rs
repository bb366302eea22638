//! Rooms that outlive the program: what the machine is to write down, and the answers that wait for that. What a rooms
//! file looks like is the machine's affair.

use super::plugin::{Exchange, Step};
use super::{SignallingEngine, Waiting};
use crate::control::command::Reply;
use crate::control::spec::RoomSpec;
use crate::id::{RoomId, Ticket};
use crate::limits::TICKET_DEADLINE;
use crate::time::Now;
use crate::videoroom::error::PluginError;
use crate::videoroom::render;

/// What is to be written down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Permanent {
    /// The room is to be there after a restart, as it is now.
    Keep(Box<RoomSpec>),
    /// The room is not to be there any more.
    Forget(RoomId),
}

impl SignallingEngine {
    /// Something to write down. The machine says with [`SignallingEngine::handle_permanent`] what came of it.
    pub fn poll_permanent(&mut self) -> Option<(Ticket, Permanent)> {
        self.permanents.pop_front()
    }

    /// Whether what was to be written down is on the disk.
    pub fn handle_permanent(&mut self, now: Now, ticket: Ticket, is_written: bool) {
        match self.tickets.take(ticket) {
            Some(Waiting::Plugin(exchange, Step::Keep(reply))) => self.finish_kept(now, exchange, &reply, is_written),
            Some(_) => self.drops.reply_unexpected += 1,
            None => self.drops.reply_late += 1,
        }
        self.settle(now);
    }

    /// Has something written down before the reply to its request becomes an answer.
    pub(super) fn keep(&mut self, now: Now, exchange: Exchange, reply: Reply, what: Permanent) {
        let waiting = Waiting::Plugin(exchange, Step::Keep(reply));
        let ticket = self.tickets.reserve(now.mono + TICKET_DEADLINE, waiting);
        self.permanents.push_back((ticket, what));
    }

    /// The request itself is done whatever came of it; as in Janus, the answer says what did.
    pub(super) fn finish_kept(&mut self, now: Now, exchange: Exchange, reply: &Reply, is_written: bool) {
        if !is_written {
            self.drops.room_not_written += 1;
        }
        self.observe_reply(now, &exchange, reply);
        let notice = render::made(exchange.name(), reply, is_written, exchange.warning);
        self.finish(now, exchange, notice.ok_or(PluginError::Unexpected));
    }

    /// What is asked to be permanent needs something to write it to; `what` cannot be done without.
    pub(super) fn check_permanent(&self, asked: bool, what: &'static str) -> Result<(), PluginError> {
        if asked && !self.config.rooms_file { Err(PluginError::NoRoomsFile(what)) } else { Ok(()) }
    }
}
