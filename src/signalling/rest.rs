//! The Janus API over HTTP: `POST` carries one request, `GET` on a session is a long poll for what it hears unasked.
//! Refusals of the API are status 200 with JSON; only paths and polls that lead nowhere have statuses of their own.

use std::time::Duration;

use http::{Method, StatusCode, header};
use rand_chacha::rand_core::Rng;
use simd_json::borrowed::Value;

use super::access::Access;
use super::connection::{Fate, Pending, Protocol, Purpose};
use super::lanes::Relay;
use super::origin::Origin;
use super::{ConnectionId, SignallingEngine};
use crate::id::{HandleId, SessionId};
use crate::limits::TICKET_DEADLINE;
use crate::proto::http::{Request, Response};
use crate::proto::session::poll::Shape;
use crate::proto::session::{Asker, NotPolled};
use crate::time::{Mono, Now};
use crate::wire::janus::document::DocumentError;
use crate::wire::janus::error::CoreError;
use crate::wire::janus::field::Fields;
use crate::wire::janus::{document, envelope};

/// A request is answered within this time, if only with an error.
pub(super) const REQUEST_DEADLINE: Duration = TICKET_DEADLINE;
/// Where the API is.
const BASE: &str = "janus";
/// Where operators ask.
const ADMIN_BASE: &str = "admin";
/// Browsers ask again after a day.
const PREFLIGHT_SECONDS: &str = "86400";

/// Under which base a path is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Base {
    Api,
    Admin,
}

/// What a path under a base means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Route {
    Info,
    Ping,
    /// With the ids that stand in the path.
    Api(Option<SessionId>, Option<HandleId>),
    Nowhere,
}

impl Route {
    /// None when the path is under no base. Empty parts do not count: clients join a base that ends with a slash and a
    /// path that begins with one.
    pub fn of(path: &str) -> Option<(Base, Route)> {
        let mut parts = path.split('/').filter(|part| !part.is_empty());
        let base = match parts.next()? {
            BASE => Base::Api,
            ADMIN_BASE => Base::Admin,
            _ => return None,
        };
        let parts = [parts.next(), parts.next(), parts.next()];
        let number = |digits: &str| {
            let digits = Some(digits).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
            digits.and_then(|digits| digits.parse().ok())
        };
        let route = match parts {
            [None, ..] => Route::Api(None, None),
            [Some("info"), None, _] => Route::Info,
            [Some("ping"), None, _] => Route::Ping,
            [Some(session), None, _] => {
                number(session).map_or(Route::Nowhere, |session| Route::Api(Some(SessionId(session)), None))
            }
            [Some(session), Some(handle), None] => match (number(session), number(handle)) {
                (Some(session), Some(handle)) => Route::Api(Some(SessionId(session)), Some(HandleId(handle))),
                _ => Route::Nowhere,
            },
            [Some(_), Some(_), Some(_)] => Route::Nowhere,
        };
        Some((base, route))
    }
}

impl SignallingEngine {
    /// One request under the base.
    pub(super) fn answer_rest(&mut self, now: Now, id: ConnectionId, (base, route): (Base, Route), request: Request) {
        let (method, keep_alive) = (&request.method, request.keep_alive);
        if !self.may_ask(request.origin.as_deref()) {
            self.drops.origin_refused += 1;
            return self.respond(id, method, keep_alive, &Response::empty(StatusCode::FORBIDDEN, &[]));
        }
        if base == Base::Admin && !self.is_operators_place(id) {
            return self.respond_empty(id, method, keep_alive, StatusCode::NOT_FOUND);
        }
        if base == Base::Admin && !self.is_from_operators(id) {
            self.drops.operator_refused += 1;
            return self.respond_empty(id, method, keep_alive, StatusCode::FORBIDDEN);
        }
        if let Some(ip) = self.peer(id) {
            self.observers.http_request(now, id, ip, base == Base::Admin);
        }
        match (route, method) {
            (_, &Method::OPTIONS) => self.answer_preflight(id, &request),
            (Route::Nowhere, _) => self.respond_empty(id, method, keep_alive, StatusCode::NOT_FOUND),
            (Route::Info, &Method::GET | &Method::HEAD) => {
                let transaction = self.mint_transaction();
                let text = self.server_info(&transaction);
                self.respond_json(id, method, keep_alive, &text);
            }
            (Route::Ping, &Method::GET | &Method::HEAD) => {
                let text = envelope::pong(&self.mint_transaction());
                self.respond_json(id, method, keep_alive, &text);
            }
            (Route::Info | Route::Ping, &Method::POST) => {
                self.respond_empty(id, method, keep_alive, StatusCode::BAD_REQUEST)
            }
            (Route::Api(..), &Method::POST) if request.content.is_empty() => {
                self.drops.http_request_malformed += 1;
                self.end(id, Fate::Drop);
            }
            (Route::Api(session, handle), &Method::POST) => {
                let asker =
                    self.begin(now.mono + REQUEST_DEADLINE, id, method, keep_alive, Purpose::Answer(session, None));
                let door = if base == Base::Admin { Access::Operators } else { self.clients_door(id) };
                self.handle_content(now, asker, door, (session, handle), &request.content);
            }
            (Route::Api(..), &Method::GET) if base == Base::Admin => {
                self.counters.core_errors += 1;
                let text = envelope::error(None, None, &CoreError::Unhandled("GET".into()));
                self.respond_json(id, method, keep_alive, &text);
            }
            (Route::Api(Some(session), Some(_)), &Method::GET) => {
                if !self.is_authorised_query(now, &request) {
                    return self.respond_empty(id, method, keep_alive, StatusCode::FORBIDDEN);
                }
                let location = format!("/{BASE}/{}", session.0);
                self.respond_with(id, method, keep_alive, StatusCode::FOUND, &[("Location", &location)]);
            }
            (Route::Api(Some(session), None), &Method::GET) => self.answer_poll(now, id, session, &request),
            (Route::Api(None, _), &Method::GET) => self.respond_empty(id, method, keep_alive, StatusCode::NOT_FOUND),
            (Route::Api(..) | Route::Info | Route::Ping, _) => {
                self.counters.core_errors += 1;
                let text = envelope::error(None, None, &CoreError::Method);
                self.respond_json(id, method, keep_alive, &text);
            }
        }
    }

    /// Whether a page of this origin may use the API. Whoever names none is no page of elsewhere.
    pub(super) fn may_ask(&self, origin: Option<&str>) -> bool {
        match (&self.config.allow_origin, origin) {
            (Some(allowed), Some(origin)) if self.config.enforce_cors => {
                Origin::of_url(origin).as_ref() == Some(allowed)
            }
            _ => true,
        }
    }

    /// What browsers are told about pages of other origins.
    pub(super) fn cors(&self) -> Vec<(&'static str, String)> {
        let mut fields = vec![("Access-Control-Max-Age", PREFLIGHT_SECONDS.into())];
        match &self.config.allow_origin {
            None => fields.push(("Access-Control-Allow-Origin", "*".into())),
            Some(origin) => {
                fields.push(("Access-Control-Allow-Origin", origin.to_string()));
                fields.push(("Access-Control-Allow-Credentials", "true".into()));
                fields.push(("Vary", "Origin".into()));
            }
        }
        fields
    }

    pub(super) fn respond_empty(&mut self, id: ConnectionId, method: &Method, keep_alive: bool, status: StatusCode) {
        self.respond_with(id, method, keep_alive, status, &[]);
    }

    /// A response without content.
    fn respond_with(
        &mut self,
        id: ConnectionId,
        method: &Method,
        keep_alive: bool,
        status: StatusCode,
        more: &[(&str, &str)],
    ) {
        let cors = self.cors();
        let mut fields: Vec<(&str, &str)> = cors.iter().map(|(name, value)| (*name, &**value)).collect();
        fields.extend_from_slice(more);
        self.respond(id, method, keep_alive, &Response::empty(status, &fields));
    }

    /// What a page is about to do, it may do.
    fn answer_preflight(&mut self, id: ConnectionId, request: &Request) {
        let asked = [
            ("Access-Control-Allow-Methods", header::ACCESS_CONTROL_REQUEST_METHOD),
            ("Access-Control-Allow-Headers", header::ACCESS_CONTROL_REQUEST_HEADERS),
        ];
        let granted = asked.into_iter().filter_map(|(allow, name)| Some((allow, request.header(name)?)));
        let more: Vec<_> = granted.collect();
        self.respond_with(id, &request.method, request.keep_alive, StatusCode::OK, &more);
    }

    /// Notes that a connection waits for an answer; it is given up at `deadline`.
    pub(super) fn begin(
        &mut self,
        deadline: Mono,
        id: ConnectionId,
        method: &Method,
        keep_alive: bool,
        purpose: Purpose,
    ) -> Asker {
        let mut request = 0;
        if let Some(connection) = self.connections.get_mut(id)
            && let Protocol::Http(http) = &mut connection.protocol
        {
            // 0 is what a WebSocket asks with.
            http.requests = http.requests.wrapping_add(1).max(1);
            http.pending = Some(Pending { method: method.clone(), keep_alive, purpose });
            request = http.requests;
            self.connection_deadlines.set(id, deadline);
        }
        Asker { place: self.place(id), request }
    }

    fn is_authorised_query(&self, now: Now, request: &Request) -> bool {
        let (secret, token) = (request.parameter("apisecret"), request.parameter("token"));
        self.authorise(now, secret.as_deref(), token.as_deref()).is_ok()
    }

    fn answer_poll(&mut self, now: Now, id: ConnectionId, session: SessionId, request: &Request) {
        let (method, keep_alive) = (&request.method, request.keep_alive);
        if !self.is_authorised_query(now, request) {
            return self.respond_empty(id, method, keep_alive, StatusCode::FORBIDDEN);
        }
        let shape = Shape::of(request.parameter("maxev").as_deref());
        // The session's home keeps the time.
        let asker = self.begin(Mono::NEVER, id, method, keep_alive, Purpose::Poll(session));
        let home = self.sessions.home(session);
        if home != self.config.id {
            self.relay(home, Relay::Poll(asker, session, shape));
        } else if self.poll_session(now, session, asker, shape) == Err(NotPolled) {
            self.refuse_poll(asker, StatusCode::NOT_FOUND);
        }
    }

    /// The content of a `POST`: one document.
    fn handle_content(
        &mut self,
        now: Now,
        asker: Asker,
        door: Access,
        path: (Option<SessionId>, Option<HandleId>),
        content: &[u8],
    ) {
        self.counters.messages_received += 1;
        let mut scratch = std::mem::take(&mut self.scratch);
        let mut buffers = std::mem::take(&mut self.buffers);
        scratch.clear();
        scratch.extend_from_slice(content);
        let documents = document::parse(&mut scratch, &mut buffers);
        match documents.as_deref() {
            Ok([document]) => self.handle_path_document(now, asker, door, path, document),
            wrong => {
                self.drops.message_malformed += 1;
                let error = wrong.err().copied().unwrap_or(DocumentError::TooMany);
                self.refuse(asker, None, None, &CoreError::SyntaxOnLine(error.line(content), error));
            }
        }
        drop(documents);
        self.scratch = scratch;
        self.buffers = buffers;
    }

    /// A document whose session and handle may stand in the path, in itself, or in both.
    fn handle_path_document(
        &mut self,
        now: Now,
        asker: Asker,
        door: Access,
        (session, handle): (Option<SessionId>, Option<HandleId>),
        document: &Value<'_>,
    ) {
        let Some(fields) = Fields::of(document, self.ids) else {
            return self.refuse(asker, None, None, &CoreError::NotAnObject);
        };
        let conflict = {
            let given = (
                envelope::session_id(fields).filter(|session| session.0 != 0),
                envelope::handle_id(fields).filter(|handle| handle.0 != 0),
            );
            let transaction = fields.text("transaction");
            self.note_transaction(asker, session.or(given.0), transaction);
            if given.0.is_some_and(|given| session.is_some_and(|session| session != given)) {
                Some((given.0, transaction, CoreError::ConflictingSession))
            } else if given.1.is_some_and(|given| handle.is_some_and(|handle| handle != given)) {
                Some((given.0.or(session), transaction, CoreError::ConflictingHandle))
            } else {
                None
            }
        };
        match conflict {
            Some((session, transaction, error)) => {
                self.counters.requests += 1;
                self.refuse(asker, session, transaction, &error);
            }
            None => self.handle_document(now, asker, door, (session, handle), document),
        }
    }

    fn note_transaction(&mut self, asker: Asker, session: Option<SessionId>, transaction: Option<&str>) {
        if let Some(connection) = self.connections.get_mut(asker.place.connection)
            && let Protocol::Http(http) = &mut connection.protocol
            && let Some(pending) = &mut http.pending
        {
            pending.purpose = Purpose::Answer(session, transaction.map(Box::from));
        }
    }

    /// `info` and `ping` by `GET` bring none of their own.
    fn mint_transaction(&mut self) -> String {
        format!("{:012x}", self.rng.next_u64() >> 16)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_a_session_a_handle_or_nothing() {
        let api = |session: u64, handle: Option<u64>| Route::Api(Some(SessionId(session)), handle.map(HandleId));
        for (path, route) in [
            ("/janus", Some(Route::Api(None, None))),
            ("/janus/", Some(Route::Api(None, None))),
            ("/janus/info", Some(Route::Info)),
            ("/janus/ping", Some(Route::Ping)),
            ("/janus/17", Some(api(17, None))),
            ("/janus/17/", Some(api(17, None))),
            ("/janus/17/5", Some(api(17, Some(5)))),
            ("/janus/17/5/1", Some(Route::Nowhere)),
            ("/janus/info/5", Some(Route::Nowhere)),
            ("/janus/+17", Some(Route::Nowhere)),
            ("/janus/17/x", Some(Route::Nowhere)),
            ("/janus/99999999999999999999999999", Some(Route::Nowhere)),
            ("//janus/info", Some(Route::Info)),
            ("///janus//info//", Some(Route::Info)),
            ("/janus/ping/", Some(Route::Ping)),
            ("//janus", Some(Route::Api(None, None))),
            ("//janus//17///5//", Some(api(17, Some(5)))),
            ("/januses", None),
            ("//januses/info", None),
            ("/info", None),
            ("/", None),
        ] {
            assert_eq!(Route::of(path), route.map(|route| (Base::Api, route)), "{path}");
            let (path, operators) = (path.replace("janus", "admin"), route.map(|route| (Base::Admin, route)));
            assert_eq!(Route::of(&path), operators, "{path}");
        }
    }
}
