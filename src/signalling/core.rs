//! The core's requests: which are possible where, in Janus' order of checks (JSON, envelope, verbs without a session,
//! secret, session, handle, activity, verb).

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use simd_json::borrowed::Value;

use super::access::Access;
use super::connection::{Fate, Protocol};
use super::duty::subject;
use super::{ConnectionId, SignallingEngine};
use crate::control::command::Teardown;
use crate::id::{HandleId, SessionId, SignallingId};
use crate::limits::{HISTORY_AGE, TWCC_INTERVAL};
use crate::proto::session::handle::{Origin, Role};
use crate::proto::session::token::Tokens;
use crate::proto::session::{Asker, Outlet};
use crate::proto::{dtls, tls};
use crate::secret::is_same;
use crate::time::Now;
use crate::videoroom;
use crate::videoroom::json::PACKAGE;
use crate::wire::janus::envelope::{Request, ServerInfo, Verb};
use crate::wire::janus::error::CoreError;
use crate::wire::janus::message::{Attach, Message, check_trickle};
use crate::wire::janus::{document, envelope};
use crate::wire::sdp;
use crate::wire::sdp::{Description, DescriptionKind, SdpError};

impl SignallingEngine {
    /// Reads what has arrived on a WebSocket.
    pub(super) fn read_websocket(&mut self, now: Now, id: ConnectionId) {
        while let Some(connection) = self.connections.get_mut(id) {
            let Protocol::WebSocket(socket) = &mut connection.protocol else { return };
            if connection.fate != Fate::Open {
                return;
            }
            match socket.poll() {
                Some(message) => {
                    let door = if connection.is_administration { Access::Operators } else { self.clients_door(id) };
                    self.handle_text(now, Asker { place: self.place(id), request: 0 }, door, &message);
                }
                None => {
                    let closed = socket.is_closed();
                    self.drops.websocket_violation += u64::from(socket.is_violated());
                    let waiting = socket.output().len();
                    if waiting > 0 {
                        self.check_outbox(id, waiting);
                    }
                    if closed {
                        self.end(id, Fate::CloseAfterFlush);
                    }
                    return;
                }
            }
        }
    }

    fn handle_text(&mut self, now: Now, asker: Asker, door: Access, text: &[u8]) {
        self.counters.messages_received += 1;
        let mut scratch = std::mem::take(&mut self.scratch);
        let mut buffers = std::mem::take(&mut self.buffers);
        scratch.clear();
        scratch.extend_from_slice(text);
        match document::parse(&mut scratch, &mut buffers) {
            Ok(documents) => {
                for document in &documents {
                    self.handle_document(now, asker, door, (None, None), document);
                }
            }
            Err(error) => {
                self.drops.message_malformed += 1;
                self.refuse(asker, None, None, &CoreError::Syntax(error));
            }
        }
        self.scratch = scratch;
        self.buffers = buffers;
    }

    /// One request; over HTTP its session and handle may stand in the path.
    pub(super) fn handle_document(
        &mut self,
        now: Now,
        asker: Asker,
        door: Access,
        (session, handle): (Option<SessionId>, Option<HandleId>),
        document: &Value<'_>,
    ) {
        match Request::parse(document, self.ids) {
            Err(refused) => self.refuse(asker, refused.session.or(session), refused.transaction, &refused.error),
            Ok(request) => {
                // What a request names that cannot be gives way to its path.
                let session = request.session.filter(|session| session.0 != 0).or(session).or(request.session);
                let handle = request.handle.filter(|handle| handle.0 != 0).or(handle).or(request.handle);
                let request = Request { session, handle, ..request };
                let is_administration = door.is_administration(&request);
                let home =
                    if is_administration { self.home_of_administration(&request) } else { self.home_of(&request) };
                if home != self.config.id {
                    return self.forward(home, asker, door, (session, handle), document);
                }
                self.counters.requests += 1;
                let done = if is_administration {
                    self.administer(now, asker, &request)
                } else {
                    self.execute(now, asker, &request)
                };
                if let Err(error) = done {
                    // On a duplicate id, report the requested session.
                    let session = if error == CoreError::SessionTaken { request.id } else { request.session };
                    self.refuse(asker, session, Some(request.transaction), &error);
                }
            }
        }
    }

    /// Who executes a request: the home of its session, or of the one that it wishes for, or whoever reads it.
    fn home_of(&self, request: &Request<'_>) -> SignallingId {
        let wished = request.id.filter(|_| request.verb == Verb::Create);
        let session = request.session.filter(|session| session.0 != 0).or(wished);
        session.map_or(self.config.id, |session| self.sessions.home(session))
    }

    pub(super) fn refuse(
        &mut self,
        asker: Asker,
        session: Option<SessionId>,
        transaction: Option<&str>,
        error: &CoreError,
    ) {
        self.counters.core_errors += 1;
        self.say(asker, envelope::error(session, transaction, error));
    }

    fn execute(&mut self, now: Now, asker: Asker, request: &Request<'_>) -> Result<(), CoreError> {
        let session = request.session.filter(|session| session.0 != 0);
        let Some(session) = session else {
            return match request.handle.filter(|handle| handle.0 != 0) {
                None => self.execute_without_session(now, asker, request),
                Some(_) => {
                    self.authorise(now, request.secret, request.token)?;
                    Err(CoreError::NoSuchSession(SessionId(0)))
                }
            };
        };
        self.authorise(now, request.secret, request.token)?;
        if self.sessions.get(session).is_none() {
            return Err(CoreError::NoSuchSession(session));
        }
        if let Some(handle) = request.handle
            && self.sessions.handle(session, handle).is_none()
        {
            return Err(CoreError::NoSuchHandle(handle, session));
        }
        self.sessions.touch(now.mono, session);
        match request.handle {
            None => self.execute_in_session(now, asker, request, session),
            Some(handle) => self.execute_on_handle(now, asker, request, session, handle),
        }
    }

    /// Whoever is asked for a secret or a token may bring either.
    pub(super) fn authorise(&self, now: Now, secret: Option<&str>, token: Option<&str>) -> Result<(), CoreError> {
        let is_open = self.config.api_secret.is_none() && matches!(self.operators.tokens(), Tokens::Off);
        let knows = |wanted: &String| secret.is_some_and(|given| is_same(wanted, given));
        let has_token = || token.is_some_and(|token| self.operators.tokens().open_api(unix_seconds(now), token));
        if is_open || self.config.api_secret.as_ref().is_some_and(knows) || has_token() {
            Ok(())
        } else {
            Err(CoreError::Unauthorized)
        }
    }

    fn execute_without_session(&mut self, now: Now, asker: Asker, request: &Request<'_>) -> Result<(), CoreError> {
        match request.verb {
            Verb::Ping => self.say(asker, envelope::pong(request.transaction)),
            Verb::Info => {
                let text = self.server_info(request.transaction);
                self.say(asker, text);
            }
            Verb::Create => {
                self.authorise(now, request.secret, request.token)?;
                let session = self.create_session(now, asker, request.id)?;
                self.say(asker, envelope::created(session, request.transaction));
            }
            _ => {
                self.authorise(now, request.secret, request.token)?;
                return Err(CoreError::Unhandled(request.name.into()));
            }
        }
        Ok(())
    }

    pub(super) fn server_info(&self, transaction: &str) -> String {
        let bound = self.config.local_ips.iter();
        let info = ServerInfo {
            candidates_timeout: CANDIDATES_TIMEOUT.as_secs(),
            local_ip: bound.clone().next().copied().unwrap_or(Ipv4Addr::UNSPECIFIED.into()),
            public_ip: self.config.public_ips.first().copied(),
            public_ips: &self.config.public_ips,
            ipv6: bound.chain(&self.config.public_ips).any(IpAddr::is_ipv6),
            min_nack_queue: millis(HISTORY_AGE),
            twcc_period: millis(TWCC_INTERVAL),
            dtls_mtu: dtls::MTU,
            crypto: tls::library(),
            handlers: &self.config.handlers,
            plugins: &[videoroom::json::PLUGIN],
            session_timeout: self.sessions.idle_timeout().as_secs(),
            reclaim_session_timeout: self.config.reclaim_session_timeout.as_secs(),
            server_name: &self.config.server_name,
            accepting_new_sessions: self.drain.is_none() && self.operators.is_accepting(),
            api_secret: self.config.api_secret.is_some(),
            auth_token: !matches!(self.operators.tokens(), Tokens::Off),
            event_handlers: !self.config.events.is_none(),
            static_event_loops: self.config.shards,
        };
        envelope::server_info(transaction, &info)
    }

    fn create_session(&mut self, now: Now, asker: Asker, wished: Option<SessionId>) -> Result<SessionId, CoreError> {
        if self.drain.is_some() || !self.operators.is_accepting() {
            return Err(CoreError::NotAccepting);
        }
        if self.sessions.len() >= self.config.sessions_max {
            return Err(CoreError::Exhausted("sessions_max"));
        }
        let outlet = Outlet::of(asker);
        let session = self.sessions.create(now.mono, wished, outlet, &mut self.rng).ok_or(CoreError::SessionTaken)?;
        self.counters.sessions_created += 1;
        self.observers.session_created(now, asker, session);
        if asker.is_socket() {
            self.own(asker.place, session);
        }
        Ok(session)
    }

    fn execute_in_session(
        &mut self,
        now: Now,
        asker: Asker,
        request: &Request<'_>,
        session: SessionId,
    ) -> Result<(), CoreError> {
        let transaction = request.transaction;
        match request.verb {
            Verb::Keepalive => self.say(asker, envelope::ack(session, transaction)),
            Verb::Claim => self.claim(asker, session, envelope::success(session, transaction)),
            Verb::Attach => {
                let Attach { plugin, opaque_id } = Attach::parse(request.fields)?;
                if plugin != PACKAGE {
                    return Err(CoreError::NoSuchPlugin(plugin.into()));
                }
                // One that is shown must fit, even beside the right secret.
                let token = request.token.filter(|_| !matches!(self.operators.tokens(), Tokens::Off));
                if token.is_some_and(|token| !self.operators.tokens().open_plugin(unix_seconds(now), token, plugin)) {
                    return Err(CoreError::TokenDenied(plugin.into()));
                }
                if self.sessions.get(session).is_some_and(|session| session.handles.len() >= self.config.handles_max) {
                    return Err(CoreError::Exhausted("handles_max"));
                }
                let handle = self.sessions.attach(session, &mut self.rng).ok_or(CoreError::NoSuchSession(session))?;
                if let Some(handle) = self.sessions.handle_mut(session, handle) {
                    let (opaque_id, token) = (opaque_id.map(Box::from), token.map(Box::from));
                    handle.origin = Origin { created: now.mono, opaque_id, token };
                }
                let address = self.address(session, handle);
                self.observers.attached(now, subject(&self.sessions, &self.duties, address));
                self.say(asker, envelope::attached(session, handle, transaction));
            }
            Verb::Destroy => {
                self.end_session(now, session);
                self.say(asker, envelope::success(session, transaction));
            }
            Verb::Detach | Verb::Hangup | Verb::Message | Verb::Trickle => {
                return Err(CoreError::Unhandled(request.name.into()));
            }
            Verb::Info | Verb::Ping | Verb::Create | Verb::Admin(_) | Verb::Unknown => {
                return Err(CoreError::UnknownVerb(request.name.into()));
            }
        }
        Ok(())
    }

    fn execute_on_handle(
        &mut self,
        now: Now,
        asker: Asker,
        request: &Request<'_>,
        session: SessionId,
        handle: HandleId,
    ) -> Result<(), CoreError> {
        let transaction = request.transaction;
        match request.verb {
            Verb::Keepalive => self.say(asker, envelope::ack(session, transaction)),
            Verb::Message => return self.handle_message(now, asker, request, session, handle),
            Verb::Trickle => {
                check_trickle(request.fields)?;
                let of = subject(&self.sessions, &self.duties, self.address(session, handle));
                self.observers.trickle(now, of, request.fields);
                self.say(asker, envelope::ack(session, transaction));
            }
            Verb::Hangup => {
                self.say(asker, envelope::success(session, transaction));
                self.hang_up(now.mono, session, handle, Teardown::Hangup);
            }
            Verb::Detach => {
                self.say(asker, envelope::success(session, transaction));
                if let Some(state) = self.sessions.detach(session, handle) {
                    self.vacate(now, session, handle, state, true);
                }
            }
            // Janus takes it here, too.
            Verb::Claim => self.claim(asker, session, envelope::success(session, transaction)),
            Verb::Attach | Verb::Destroy => return Err(CoreError::Unhandled(request.name.into())),
            Verb::Info | Verb::Ping | Verb::Create | Verb::Admin(_) | Verb::Unknown => {
                return Err(CoreError::UnknownVerb(request.name.into()));
            }
        }
        Ok(())
    }

    fn handle_message(
        &mut self,
        now: Now,
        asker: Asker,
        request: &Request<'_>,
        session: SessionId,
        handle: HandleId,
    ) -> Result<(), CoreError> {
        let message = Message::parse(request.fields)?;
        let description = match message.jsep {
            None => None,
            Some(jsep) => {
                let role = self.sessions.handle(session, handle).and_then(|handle| handle.role());
                // Only subscribers are offered anything.
                if jsep.kind == DescriptionKind::Answer && role != Some(Role::Subscriber) {
                    return Err(CoreError::UnexpectedAnswer);
                }
                let mut description = read_description(jsep.kind, jsep.sdp)?;
                description.e2ee = jsep.e2ee;
                let handle_state = self.sessions.handle_mut(session, handle);
                if handle_state.is_some_and(|handle| !handle.describe(&description)) {
                    return Err(CoreError::CertificateChanged);
                }
                let of = subject(&self.sessions, &self.duties, self.address(session, handle));
                self.observers.remote_description(now, of, jsep);
                Some(Box::new(description))
            }
        };
        self.handle_plugin_message(now, asker, request.transaction, (session, handle), message.body, description);
        Ok(())
    }
}

fn read_description(kind: DescriptionKind, text: &str) -> Result<Description, CoreError> {
    let refusal = |error: SdpError| CoreError::Sdp(error.to_string().into());
    let description = sdp::parse(kind, text).map_err(refusal)?;
    // RFC 8866 §5 takes it, Janus does not.
    if description.media.is_empty() { Err(refusal(SdpError::Missing('m'))) } else { Ok(description) }
}

/// A lite agent waits for no candidates: it learns where its peer is from checks (RFC 8445 §2.5).
pub(super) const CANDIDATES_TIMEOUT: Duration = Duration::ZERO;

/// In milliseconds.
pub(super) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Seconds since 1970.
pub(super) fn unix_seconds(now: Now) -> u64 {
    now.unix_us / 1_000_000
}
