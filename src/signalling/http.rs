//! What is served over HTTP: the page, `/healthz`, the way to WebSocket on any path, and the way to the Janus API.

use std::time::Duration;

use http::{Method, StatusCode};
use serde_json::{Map, Value, json};

use super::connection::{Fate, Pending, Protocol, Purpose};
use super::gather::Gathered;
use super::rest::Route;
use super::{ConnectionId, SignallingEngine, SignallingReport, questions};
use crate::proto::http::{Request, Response, Upgrade};
use crate::proto::session::{Asker, Place};
use crate::proto::websocket;
use crate::proto::websocket::{Subprotocol, WebSocket};
use crate::time::{Mono, Now};
use crate::wire::janus::envelope;
use crate::wire::janus::error::CoreError;

/// The page runs its own script and style, talks to this server and shows media; nothing else.
const PAGE_FIELDS: &[(&str, &str)] = &[
    (
        "Content-Security-Policy",
        "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; \
         connect-src 'self' ws: wss:; img-src 'self' data:; media-src 'self' blob: mediastream:; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    ("Referrer-Policy", "no-referrer"),
];

impl SignallingEngine {
    /// Answers the complete requests of a connection, in order and one at a time.
    pub(super) fn read_http(&mut self, now: Now, id: ConnectionId) {
        while let Some(connection) = self.connections.get_mut(id) {
            let Protocol::Http(http) = &mut connection.protocol else { return };
            if http.pending.is_some() || connection.fate != Fate::Open {
                return;
            }
            let polled = http.http.poll(now.mono);
            let deadline = http.http.deadline();
            if http.http.take_interim() {
                http.output.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
                self.connections.touch(id);
            }
            self.connection_deadlines.set(id, deadline);
            match polled {
                Ok(None) => return,
                Ok(Some(request)) => self.answer_http(now, id, request),
                Err(status) => {
                    self.drops.http_request_malformed += 1;
                    self.respond(id, &Method::GET, false, &Response::plain(status));
                }
            }
        }
    }

    fn answer_http(&mut self, now: Now, id: ConnectionId, request: Request) {
        self.counters.http_requests += 1;
        let (method, keep_alive) = (&request.method, request.keep_alive);
        if let Some(upgrade) = &request.upgrade {
            return self.upgrade(now, id, upgrade, request.origin.as_deref());
        }
        if let Some(route) = Route::of(&request.path) {
            return self.answer_rest(now, id, route, request);
        }
        let path = request.path.trim_matches('/');
        let is_here = matches!(path, "" | "healthz");
        if is_here && !matches!(method, &Method::GET | &Method::HEAD) {
            let response =
                Response { fields: &[("Allow", "GET, HEAD")], ..Response::plain(StatusCode::METHOD_NOT_ALLOWED) };
            return self.respond(id, method, keep_alive, &response);
        }
        match path {
            "" => {
                let content_type = "text/html; charset=utf-8";
                let page = self.config.page;
                let response =
                    Response { status: StatusCode::OK, content_type, fields: PAGE_FIELDS, content: page.into() };
                self.respond(id, method, keep_alive, &response);
            }
            "healthz" => {
                let asker = self.begin(Mono::NEVER, id, method, keep_alive, Purpose::Health);
                self.gather_survey(now, questions::Purpose::Health(asker));
            }
            _ => self.respond(id, method, keep_alive, &Response::plain(StatusCode::NOT_FOUND)),
        }
    }

    /// An HTTP connection has given its answer: the next request may be there already.
    pub(super) fn resume_http(&mut self, now: Now, id: ConnectionId) {
        let Some(connection) = self.connections.get_mut(id) else { return };
        let Protocol::Http(http) = &mut connection.protocol else { return };
        if http.pending.is_none() {
            http.http.resume(now.mono);
            self.read_http(now, id);
        }
    }

    pub(super) fn respond(&mut self, id: ConnectionId, method: &Method, keep_alive: bool, response: &Response<'_>) {
        let Some(connection) = self.connections.get_mut(id) else { return };
        let Protocol::Http(http) = &mut connection.protocol else { return };
        if connection.fate != Fate::Open {
            return;
        }
        let before = http.output.len();
        response.compose(method, keep_alive, &mut http.output);
        self.check_outbox(id, before);
        if !keep_alive {
            self.end(id, Fate::CloseAfterFlush);
        }
    }

    fn upgrade(&mut self, now: Now, id: ConnectionId, upgrade: &Upgrade, origin: Option<&str>) {
        if !self.may_ask(origin) {
            self.drops.origin_refused += 1;
            return self.respond(id, &Method::GET, false, &Response::plain(StatusCode::FORBIDDEN));
        }
        let mut answer = Vec::new();
        let subprotocol = match websocket::accept(upgrade, self.may_administer(id), &mut answer) {
            Ok(subprotocol) => subprotocol,
            Err(response) => {
                self.drops.websocket_refused += 1;
                return self.respond(id, &Method::GET, false, &response);
            }
        };
        let Some(connection) = self.connections.get_mut(id) else { return };
        let Protocol::Http(http) = &mut connection.protocol else { return };
        let mut output = std::mem::take(&mut http.output);
        output.append(&mut answer);
        let rest = std::mem::replace(&mut http.http, crate::proto::http::Http::new(now.mono)).into_rest();
        connection.protocol = Protocol::WebSocket(Box::new(WebSocket::new(rest, output)));
        connection.is_administration = subprotocol == Subprotocol::Admin;
        self.counters.websockets_opened += 1;
        self.observers.websocket_opened(now, id, connection.peer, connection.is_administration);
        self.connection_deadlines.set(id, self.next_pulse(now.mono));
        self.connections.touch(id);
        self.read_websocket(now, id);
    }

    /// When a WebSocket is looked at again.
    fn next_pulse(&self, now: Mono) -> Mono {
        match self.config.ping_interval {
            Duration::ZERO => Mono::NEVER,
            interval => now + interval,
        }
    }

    /// A connection's deadline has come: a request that never was complete, an answer that did not come in time, a
    /// WebSocket that says nothing, or a close that was not answered.
    pub(super) fn connection_due(&mut self, now: Mono, id: ConnectionId) {
        let next_pulse = self.next_pulse(now);
        let Some(connection) = self.connections.get_mut(id) else { return };
        if connection.tls.as_ref().is_some_and(|tls| tls.is_handshaking()) {
            self.drops.tls_handshake_timeout += 1;
            return self.end(id, Fate::Drop);
        }
        match &mut connection.protocol {
            Protocol::WebSocket(socket) => {
                let was_open = socket.is_open();
                if socket.check_alive() {
                    self.connection_deadlines.set(id, next_pulse);
                    self.connections.touch(id);
                } else {
                    self.drops.websocket_silent += u64::from(was_open);
                    self.end(id, Fate::Drop);
                }
            }
            Protocol::Http(http) if http.pending.is_some() => {
                let asker =
                    Asker { place: Place { signalling: self.config.id, connection: id }, request: http.requests };
                if let Some(Purpose::Answer(session, transaction)) =
                    http.pending.as_mut().map(|pending| &mut pending.purpose)
                {
                    let text = envelope::error(*session, transaction.as_deref(), &CoreError::NotAnswered);
                    self.drops.answer_missing += 1;
                    self.counters.core_errors += 1;
                    self.say(asker, text);
                }
            }
            Protocol::Http(http) if http.http.is_partial() => {
                self.drops.http_request_timeout += 1;
                self.respond(id, &Method::GET, false, &Response::plain(StatusCode::REQUEST_TIMEOUT));
            }
            Protocol::Http(http) => {
                self.drops.connection_silent += u64::from(http.http.is_fresh());
                self.end(id, Fate::CloseAfterFlush);
            }
        }
    }

    /// All shards have reported, or the deadline has passed.
    pub(super) fn answer_health(&mut self, asker: Asker, gathered: &Gathered) {
        let Gathered { reports, signalling_reports, .. } = gathered;
        let status = match (gathered.missing.is_empty(), &self.drain) {
            (true, None) => "ok",
            (true, Some(_)) => "draining",
            _ => "degraded",
        };
        let shard = |report: &SignallingReport| {
            json!({
                "shard": report.signalling.0,
                "gauges": object(&report.gauges),
                "counters": object(&report.counters),
                "drops": object(&report.drops),
            })
        };
        let sum = |part: fn(&SignallingReport) -> &[(&'static str, u64)]| {
            let mut sum: Vec<(&'static str, u64)> = Vec::new();
            for (name, count) in signalling_reports.iter().flat_map(part) {
                match sum.iter_mut().find(|(known, _)| known == name) {
                    Some((_, total)) => *total += count,
                    None => sum.push((name, *count)),
                }
            }
            object(&sum)
        };
        let mut body = json!({
            "status": status,
            "version": env!("CARGO_PKG_VERSION"),
            "signalling": {
                "gauges": sum(|report| &report.gauges),
                "counters": sum(|report| &report.counters),
                "drops": sum(|report| &report.drops),
            },
            "signalling_shards": signalling_reports.iter().map(shard).collect::<Vec<_>>(),
            "shards": reports.iter().map(|report| json!({
                "shard": report.shard,
                "gauges": object(&report.gauges),
                "counters": object(&report.counters),
                "drops": object(&report.drops),
            })).collect::<Vec<_>>(),
        });
        if gathered.missing_media().next().is_some() {
            body["missing"] = gathered.missing_media().map(|shard| Value::from(shard.0)).collect();
        }
        if gathered.missing_signalling().next().is_some() {
            body["missing_signalling_shards"] =
                gathered.missing_signalling().map(|shard| Value::from(shard.0)).collect();
        }
        let content = body.to_string();
        let response = Response {
            status: if status == "ok" { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE },
            content_type: "application/json",
            fields: &[],
            content: content.as_bytes().into(),
        };
        if let Some(Pending { method, keep_alive, .. }) = &self.take_pending(asker) {
            self.respond(asker.place.connection, method, *keep_alive, &response);
        }
    }
}

fn object(counts: &[(&'static str, u64)]) -> Value {
    counts.iter().map(|(name, count)| (String::from(*name), Value::from(*count))).collect::<Map<_, _>>().into()
}
