//! Where words go: an answer to the request that asked, a session's events to the WebSocket that owns it or to its long
//! polls. And how that place changes: claims, lost connections, sessions that end.

use http::{Method, StatusCode};

use super::connection::{Fate, Pending, Protocol};
use super::lanes::Relay;
use super::{ConnectionId, SignallingEngine};
use crate::id::SessionId;
use crate::proto::http::Response;
use crate::proto::session::poll::{LongPoll, Overflow, Shape};
use crate::proto::session::{Asker, NotPolled, Outlet, Place, Session};
use crate::time::Now;
use crate::wire::janus::envelope;
use crate::wire::janus::events::payload as events;

impl SignallingEngine {
    /// Answers a request.
    pub(super) fn say(&mut self, asker: Asker, text: String) {
        if asker.place.signalling != self.config.id {
            self.relay(asker.place.signalling, Relay::Answer(asker, text));
        } else if asker.is_socket() {
            self.send(asker.place.connection, text);
        } else {
            self.complete(asker, text);
        }
    }

    /// Tells a session's client something unasked.
    pub(super) fn tell(&mut self, id: SessionId, text: String) {
        let Some(session) = self.sessions.get_mut(id) else { return };
        match &mut session.outlet {
            Outlet::Socket(place) => {
                let place = *place;
                if place.signalling == self.config.id {
                    self.send(place.connection, text);
                } else {
                    self.relay(place.signalling, Relay::Event(place, id, text));
                }
            }
            Outlet::Poll(polls) => match polls.push(text) {
                Ok(answers) => answers.into_iter().for_each(|(asker, text)| self.say(asker, text)),
                Err(Overflow) => {
                    self.drops.poll_queue_overflow += 1;
                    self.overflowed.push(id);
                }
            },
            Outlet::Lost(_) => self.drops.event_without_connection += 1,
        }
    }

    /// Sends a text message; a client that does not read is dropped.
    pub(super) fn send(&mut self, id: ConnectionId, text: String) {
        let Some(connection) = self.connections.get_mut(id) else { return };
        let Protocol::WebSocket(socket) = &mut connection.protocol else { return };
        if connection.fate != Fate::Open {
            return;
        }
        let before = socket.output().len();
        socket.send(text);
        self.check_outbox(id, before);
    }

    /// Answers a request over HTTP, or a poll, of a client of ours.
    fn complete(&mut self, asker: Asker, text: String) {
        let Some(Pending { method, keep_alive, .. }) = self.take_pending(asker) else {
            // Given up after its time.
            self.drops.answer_late += 1;
            return;
        };
        self.respond_json(asker.place.connection, &method, keep_alive, &text);
    }

    /// Answers a poll with a status alone.
    pub(super) fn refuse_poll(&mut self, asker: Asker, status: StatusCode) {
        if let Some(Pending { method, keep_alive, .. }) = &self.take_pending(asker) {
            self.respond_empty(asker.place.connection, method, *keep_alive, status);
        }
    }

    /// The HTTP request that waits for an answer, which it gets now. The next one is read when all else is done.
    pub(super) fn take_pending(&mut self, asker: Asker) -> Option<Pending> {
        let connection = self.connections.get_mut(asker.place.connection)?;
        let Protocol::Http(http) = &mut connection.protocol else { return None };
        let pending = http.pending.take_if(|_| http.requests == asker.request)?;
        self.answered.push(asker.place.connection);
        Some(pending)
    }

    /// A long poll.
    pub(super) fn poll_session(
        &mut self,
        now: Now,
        id: SessionId,
        asker: Asker,
        shape: Shape,
    ) -> Result<(), NotPolled> {
        self.sessions.touch(now.mono, id);
        if let Some((asker, text)) = self.sessions.poll(now.mono, id, asker, shape)? {
            self.say(asker, text);
        }
        Ok(())
    }

    /// Moves a session's events to where the asker hears them, the ones that nobody has fetched included. `answer` is said
    /// before those.
    pub(super) fn claim(&mut self, asker: Asker, id: SessionId, answer: String) {
        self.counters.sessions_claimed += 1;
        let before = self.sessions.claim(id, Outlet::of(asker));
        if asker.is_socket() {
            self.own(asker.place, id);
        }
        self.say(asker, answer);
        match before {
            Some(Outlet::Socket(before)) if before != asker.place || !asker.is_socket() => self.disown(before, id),
            Some(Outlet::Poll(mut polls)) => {
                self.release_polls(&mut polls);
                for text in polls.into_queue() {
                    self.tell(id, text);
                }
            }
            Some(Outlet::Socket(_) | Outlet::Lost(_)) | None => {}
        }
    }

    fn release_polls(&mut self, polls: &mut LongPoll) {
        while let Some((asker, text)) = polls.release() {
            self.say(asker, text);
        }
    }

    /// A WebSocket is gone, and with it the session that was heard there.
    pub(super) fn lose(&mut self, now: Now, place: Place, id: SessionId) {
        let is_heard_there = |session: &Session| matches!(session.outlet, Outlet::Socket(outlet) if outlet == place);
        if !self.sessions.get(id).is_some_and(is_heard_there) {
            return;
        }
        if self.drain.is_none() && self.sessions.lose(now.mono, id) {
            self.counters.sessions_lost += 1;
        } else {
            self.end_session(now, id);
        }
    }

    /// Ends a session and tells its client, which has to begin anew.
    pub(super) fn expire(&mut self, now: Now, id: SessionId) {
        self.tell(id, envelope::timeout(id));
        self.end_session_as(now, id, events::Session::Timeout);
    }

    /// Ends a session without a word; its handles' places in rooms are torn down.
    pub(super) fn end_session(&mut self, now: Now, id: SessionId) {
        self.end_session_as(now, id, events::Session::Destroyed);
    }

    fn end_session_as(&mut self, now: Now, id: SessionId, how: events::Session<'_>) {
        let Some(session) = self.sessions.remove(id) else { return };
        self.observers.session_ended(now, id, how);
        match session.outlet {
            Outlet::Socket(place) => self.disown(place, id),
            Outlet::Poll(mut polls) => self.release_polls(&mut polls),
            Outlet::Lost(_) => {}
        }
        for (handle, state) in session.handles {
            self.vacate(now, id, handle, state, false);
        }
    }

    /// A response with JSON for pages of any origin that may have it.
    pub(super) fn respond_json(&mut self, id: ConnectionId, method: &Method, keep_alive: bool, text: &str) {
        let fields = self.cors();
        let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, &**value)).collect();
        let response = Response {
            status: StatusCode::OK,
            content_type: "application/json",
            fields: &fields,
            content: text.as_bytes().into(),
        };
        self.respond(id, method, keep_alive, &response);
    }
}
