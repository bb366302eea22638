//! Between signalling shards. A session's home executes its requests; the shard that holds the connection carries words
//! there and back.

use http::StatusCode;
use simd_json::borrowed::Value;

use super::access::Access;
use super::connection::Fate;
use super::lanes::Relay;
use super::{ConnectionId, SignallingEngine};
use crate::id::{HandleId, SessionId, SignallingId};
use crate::proto::session::{Asker, NotPolled, Outlet, Place};
use crate::time::Now;
use crate::wire::janus::envelope;
use crate::wire::janus::error::CoreError;
use crate::wire::janus::field::Fields;

impl SignallingEngine {
    /// A word of another signalling shard.
    pub fn handle_relay(&mut self, now: Now, relay: Relay) {
        match relay {
            Relay::Request { asker, door, path, document } => self.handle_document(now, asker, door, path, &document),
            Relay::Poll(asker, session, shape) => {
                if self.poll_session(now, session, asker, shape) == Err(NotPolled) {
                    self.relay(asker.place.signalling, Relay::NotPolled(asker));
                }
            }
            Relay::Withdraw(place, session) => self.withdraw(place, session),
            Relay::Lost(place, session) => self.lose(now, place, session),
            Relay::Answer(asker, text) => self.say(asker, text),
            Relay::NotPolled(asker) => self.refuse_poll(asker, StatusCode::NOT_FOUND),
            Relay::Event(place, _, text) => self.send(place.connection, text),
            Relay::Owned(place, session) => self.own(place, session),
            Relay::Disowned(place, session) => self.disown(place, session),
            Relay::Question(from, ticket, question) => {
                let answer = self.answer_question(question);
                self.relay(from, Relay::Answered(ticket, answer));
            }
            Relay::Answered(ticket, answer) => self.handle_answer(now, ticket, answer),
        }
        self.settle(now);
    }

    /// A word for another signalling shard.
    pub fn poll_relay(&mut self) -> Option<(SignallingId, Relay)> {
        self.lanes.poll()
    }

    /// The lane is full: what was polled waits, and so does what comes after it.
    pub fn relay_refused(&mut self, now: Now, to: SignallingId, relay: Relay) {
        self.lanes.refused(now, to, relay);
    }

    /// Puts a word on its way, or counts it as dropped and tells whoever must know.
    pub(super) fn relay(&mut self, to: SignallingId, relay: Relay) {
        let Err(refused) = self.lanes.push(to, relay) else {
            self.counters.relays_sent += 1;
            return;
        };
        self.drops.relay_lane_full += 1;
        match refused {
            Relay::Request { asker, path, document, .. } => {
                let fields = Fields::of(&document, self.ids);
                let session = fields.and_then(envelope::session_id).or(path.0);
                let transaction = fields.and_then(|fields| fields.text("transaction"));
                self.refuse(asker, session, transaction, &CoreError::Busy);
            }
            Relay::Poll(asker, ..) => self.refuse_poll(asker, StatusCode::SERVICE_UNAVAILABLE),
            Relay::Event(_, session, _) => self.overflowed.push(session),
            _ => {}
        }
    }

    pub(super) fn place(&self, connection: ConnectionId) -> Place {
        Place { signalling: self.config.id, connection }
    }

    /// A session is heard on a WebSocket from now on.
    pub(super) fn own(&mut self, place: Place, session: SessionId) {
        if place.signalling != self.config.id {
            return self.relay(place.signalling, Relay::Owned(place, session));
        }
        match self.connections.get_mut(place.connection).filter(|connection| connection.fate == Fate::Open) {
            Some(connection) => drop(connection.sessions.insert(session)),
            // It has ended in the meantime.
            None => self.leave_session(place.connection, session),
        }
    }

    /// It is not any more.
    pub(super) fn disown(&mut self, place: Place, session: SessionId) {
        if place.signalling != self.config.id {
            return self.relay(place.signalling, Relay::Disowned(place, session));
        }
        if let Some(connection) = self.connections.get_mut(place.connection) {
            connection.sessions.remove(&session);
        }
    }

    /// Tells a session's home that its WebSocket is gone.
    pub(super) fn leave_session(&mut self, connection: ConnectionId, session: SessionId) {
        let (home, place) = (self.sessions.home(session), self.place(connection));
        if home == self.config.id {
            self.left.push((place, session));
        } else {
            self.relay(home, Relay::Lost(place, session));
        }
    }

    /// Tells a session's home that a polling connection is gone.
    pub(super) fn leave_poll(&mut self, connection: ConnectionId, session: SessionId) {
        let (home, place) = (self.sessions.home(session), self.place(connection));
        if home == self.config.id {
            self.withdraw(place, session);
        } else {
            self.relay(home, Relay::Withdraw(place, session));
        }
    }

    fn withdraw(&mut self, place: Place, session: SessionId) {
        if let Some(Outlet::Poll(polls)) = self.sessions.get_mut(session).map(|session| &mut session.outlet) {
            polls.withdraw(place);
        }
    }

    /// A request of a client of ours for a session of elsewhere.
    pub(super) fn forward(
        &mut self,
        home: SignallingId,
        asker: Asker,
        door: Access,
        path: (Option<SessionId>, Option<HandleId>),
        document: &Value<'_>,
    ) {
        self.relay(home, Relay::Request { asker, door, path, document: document.clone_static() });
    }
}
