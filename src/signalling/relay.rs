//! Between signalling shards. A session's home executes its requests; the shard that holds the connection carries words
//! there and back. What finds the lane full waits here in order; requests do not wait, they are refused.

use std::collections::VecDeque;
use std::time::Duration;

use simd_json::borrowed::Value;

use super::access::Access;
use super::connection::Fate;
use super::gather::{Answer, Question};
use super::{ConnectionId, SignallingEngine};
use crate::id::{HandleId, SessionId, SignallingId, Ticket};
use crate::proto::http::Status;
use crate::proto::session::poll::Shape;
use crate::proto::session::{Asker, NotPolled, Outlet, Place};
use crate::time::{Mono, Now};
use crate::wire::janus::envelope;
use crate::wire::janus::error::CoreError;
use crate::wire::janus::field::Fields;

/// A full lane is tried again after this time.
const RETRY_INTERVAL: Duration = Duration::from_millis(2);
/// Words that wait for one shard; with more, answers and events are lost, and sessions whose events are lost end.
const WAITING_MAX: usize = 16 * 1024;

/// What one signalling shard tells another.
#[derive(Debug)]
pub enum Relay {
    /// To the home: a client's request, with what its path names.
    Request {
        /// Who waits for the answer.
        asker: Asker,
        /// Where it came in.
        door: Access,
        /// Session and handle of the path.
        path: (Option<SessionId>, Option<HandleId>),
        document: Value<'static>,
    },
    /// To the home: a long poll.
    Poll(Asker, SessionId, Shape),
    /// To the home: the connection of a poll is gone.
    Withdraw(Place, SessionId),
    /// To the home: the WebSocket of a session is gone.
    Lost(Place, SessionId),
    /// From the home: the answer to a request or a poll.
    Answer(Asker, String),
    /// From the home: a poll for a session that is not there.
    NotPolled(Asker),
    /// From the home: what a session's WebSocket is to hear.
    Event(Place, SessionId, String),
    /// From the home: a session is heard on this WebSocket from now on.
    Owned(Place, SessionId),
    /// From the home: it is not any more.
    Disowned(Place, SessionId),
    /// What every shard is asked.
    Question(SignallingId, Ticket, Question),
    Answered(Ticket, Answer),
}

/// The way to one other shard.
#[derive(Debug, Default)]
pub(super) struct Lane {
    waiting: VecDeque<Relay>,
    is_full: bool,
}

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
            Relay::NotPolled(asker) => self.refuse_poll(asker, Status::NotFound),
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
        self.lanes.iter_mut().zip(0..).find_map(|(lane, signalling)| {
            if lane.is_full {
                return None;
            }
            Some((SignallingId(signalling), lane.waiting.pop_front()?))
        })
    }

    /// The lane is full: what was polled waits, and so does what comes after it.
    pub fn relay_refused(&mut self, now: Now, to: SignallingId, relay: Relay) {
        let lane = &mut self.lanes[usize::from(to.0)];
        lane.waiting.push_front(relay);
        lane.is_full = true;
        self.lanes_at = now.mono + RETRY_INTERVAL;
    }

    /// Tries full lanes again.
    pub(super) fn retry_lanes(&mut self, now: Mono) {
        if self.lanes_at <= now {
            self.lanes_at = Mono::NEVER;
            for lane in &mut self.lanes {
                lane.is_full = false;
            }
        }
    }

    /// Puts a word on its way. Only what a client can ask again, or what its session pays for, is ever lost.
    pub(super) fn relay(&mut self, to: SignallingId, relay: Relay) {
        let lane = &mut self.lanes[usize::from(to.0)];
        let is_crowded = lane.waiting.len() >= WAITING_MAX;
        match relay {
            Relay::Request { asker, path, document, .. } if lane.is_full || is_crowded => {
                self.drops.relay_lane_full += 1;
                let fields = Fields::of(&document, self.ids);
                let session = fields.and_then(envelope::session_id).or(path.0);
                let transaction = fields.and_then(|fields| fields.text("transaction"));
                self.refuse(asker, session, transaction, &CoreError::Busy);
            }
            Relay::Poll(asker, ..) if lane.is_full || is_crowded => {
                self.drops.relay_lane_full += 1;
                self.refuse_poll(asker, Status::ServiceUnavailable);
            }
            Relay::Answer(..) if is_crowded => self.drops.relay_lane_full += 1,
            // Whoever asked hears that not all have answered. Changes are never lost: all shards must agree on them.
            Relay::Question(.., Question::Sessions | Question::Connections | Question::Survey)
            | Relay::Answered(..)
                if is_crowded =>
            {
                self.drops.relay_lane_full += 1;
            }
            Relay::Event(_, session, _) if is_crowded => {
                self.drops.relay_lane_full += 1;
                self.overflowed.push(session);
            }
            relay => {
                self.counters.relays_sent += 1;
                lane.waiting.push_back(relay);
            }
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
