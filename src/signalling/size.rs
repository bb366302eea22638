//! Answers whose length grows with the number of rooms or participants: how long one will be is estimated before it is
//! rendered, and what the outbox of whoever asked cannot hold is refused.

use super::SignallingEngine;
use super::plugin::Exchange;
use crate::control::command::{CommandEnvelope, Reply};
use crate::control::request::MemberRequest;
use crate::control::summary::{Identity, PublisherSummary, RoomSummary, StreamSummary, SubscriptionSummary};
use crate::id::Name;
use crate::proto::session::handle::{Role, Seat};
use crate::proto::session::{Asker, Outlet};
use crate::time::Now;
use crate::videoroom::error::PluginError;

/// What one room takes in a list beside its texts: some 25 elements with their names.
const ROOM_BYTES: usize = 700;
/// A participant, a stream or a forwarder, likewise.
const ENTRY_BYTES: usize = 250;
/// An m-line in a description of ours.
const LINE_BYTES: usize = 1500;

/// About how many bytes the JSON of a reply takes; 0 for those that are short whatever there is, or bounded by the tokens of
/// one room or the m-lines of one peer connection.
pub(super) fn of_reply(reply: &Reply) -> usize {
    match reply {
        Reply::Participants(_, participants) => participants.iter().map(|one| identity(&one.who)).sum(),
        Reply::Forwarders(_, publishers) => {
            publishers.iter().map(|one| identity(&one.who) + ENTRY_BYTES * one.forwarders.len()).sum()
        }
        Reply::Remotes(_, _, remotes) => remotes.iter().map(|remote| remote.remote_id.len() + ENTRY_BYTES).sum(),
        Reply::Joined(joined) => {
            let attendees = joined.attendees.iter().flatten().map(identity).sum::<usize>();
            let lines = joined.published.as_ref().map_or(0, |published| published.streams.len());
            joined.publishers.iter().map(publisher).sum::<usize>() + attendees + LINE_BYTES * lines
        }
        Reply::Attached(attached) => attached.streams.iter().map(subscription).sum(),
        _ => 0,
    }
}

/// The same of a list of rooms.
pub(super) fn of_list(rooms: &[RoomSummary]) -> usize {
    let id = |name: &Name| match name {
        Name::Number(_) => 0,
        Name::Text(text) => text.len(),
    };
    rooms.iter().map(|room| ROOM_BYTES + room.spec.description.len() + id(&room.spec.room.0)).sum()
}

fn identity(who: &Identity) -> usize {
    let display = who.display.as_ref().map_or(0, |display| display.len());
    ENTRY_BYTES + display + who.metadata.as_ref().map_or(0, |metadata| metadata.0.len())
}

fn publisher(publisher: &PublisherSummary) -> usize {
    identity(&publisher.who) + publisher.streams.iter().map(stream).sum::<usize>()
}

fn stream(stream: &StreamSummary) -> usize {
    ENTRY_BYTES + stream.description.as_ref().map_or(0, |description| description.len())
}

fn subscription(line: &SubscriptionSummary) -> usize {
    let source = line.source.as_ref();
    let description = source.and_then(|source| source.description.as_ref()).map_or(0, |description| description.len());
    ENTRY_BYTES + LINE_BYTES + description + source.map_or(0, |source| identity(&source.feed))
}

impl SignallingEngine {
    /// How much whoever waits for an answer can still take. Of a connection of another shard that is not known.
    fn space(&self, exchange: &Exchange) -> usize {
        if exchange.synchronous {
            return self.space_at(exchange.asker);
        }
        match self.sessions.get(exchange.session).map(|session| &session.outlet) {
            Some(Outlet::Socket(place)) => self.space_at(Asker { place: *place, request: 0 }),
            Some(Outlet::Poll(polls)) => polls.space().min(self.config.reply_bytes),
            Some(Outlet::Lost(_)) | None => self.config.reply_bytes,
        }
    }

    fn space_at(&self, asker: Asker) -> usize {
        let connection =
            self.connections.get(asker.place.connection).filter(|_| asker.place.signalling == self.config.id);
        self.config.reply_bytes.saturating_sub(connection.map_or(0, |connection| connection.waiting()))
    }

    /// Whether an operator can take so many bytes.
    pub(super) fn has_space_for(&mut self, asker: Asker, bytes: usize) -> bool {
        let fits = bytes <= self.space_at(asker);
        self.drops.answer_too_long += u64::from(!fits);
        fits
    }

    /// Refuses an answer that is too long.
    pub(super) fn check_size(&mut self, exchange: &Exchange, bytes: usize) -> Result<(), PluginError> {
        if bytes <= self.space(exchange) {
            return Ok(());
        }
        self.drops.answer_too_long += 1;
        Err(PluginError::TooLong(bytes))
    }

    /// A handle has a seat, but its client cannot be told of whom it sits with: it leaves again, and is finished.
    pub(super) fn unseat(&mut self, now: Now, exchange: Exchange, error: PluginError) {
        let seat = self.sessions.handle(exchange.session, exchange.handle).and_then(|handle| handle.seat.clone());
        if let Some(Seat { room, owner, .. }) = seat {
            let command = self.member_command(&exchange, room, Box::new(MemberRequest::Leave));
            self.counters.commands_sent += 1;
            // Nobody waits for the reply. Should the lane be full, the seat is given up with the handle.
            self.commands.push_back((owner, CommandEnvelope { ticket: None, from: self.config.id, command }));
        }
        self.set_role(&exchange, Role::Finished);
        self.finish(now, exchange, Err(error));
    }
}
