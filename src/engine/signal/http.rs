//! What is served over plain HTTP: the page, `/healthz`, and the way to WebSocket on any path.

use serde_json::{Map, Value, json};

use super::connection::{Fate, Protocol};
use super::{ConnectionId, SignalEngine};
use crate::id::ShardId;
use crate::proto::http::{Method, Request, Response, Status, Upgrade};
use crate::proto::websocket::{self, WebSocket};
use crate::room::command::ShardReport;
use crate::time::{Mono, Now};

/// A request for `/healthz` that waits for the media shards.
#[derive(Debug)]
pub(super) struct HealthCheck {
    connection: ConnectionId,
    method: Method,
    keep_alive: bool,
}

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

impl SignalEngine {
    /// Answers the complete requests of a connection, in order and one at a time.
    pub(super) fn read_http(&mut self, now: Now, id: ConnectionId) {
        while let Some(connection) = self.connections.get_mut(id) {
            let Protocol::Http(http) = &mut connection.protocol else { return };
            if http.busy || connection.fate != Fate::Open {
                return;
            }
            let polled = http.http.poll(now.mono);
            let deadline = http.http.deadline();
            self.connection_deadlines.set(id, deadline);
            match polled {
                Ok(None) => return,
                Ok(Some(request)) => self.answer_http(now, id, request),
                Err(status) => {
                    self.drops.http_request_malformed += 1;
                    self.respond(id, Method::Get, false, &Response::plain(status));
                }
            }
        }
    }

    fn answer_http(&mut self, now: Now, id: ConnectionId, request: Request) {
        self.counters.http_requests += 1;
        let Request { method, path, keep_alive, upgrade } = request;
        if let Some(upgrade) = upgrade {
            return self.upgrade(now, id, &upgrade);
        }
        if method == Method::Other {
            let response = Response { fields: &[("Allow", "GET, HEAD")], ..Response::plain(Status::MethodNotAllowed) };
            // A method that is not known may have content, and that would be taken for a request.
            return self.respond(id, method, false, &response);
        }
        match &*path {
            "/" => {
                let content_type = "text/html; charset=utf-8";
                let page = self.config.page;
                let response = Response { status: Status::Ok, content_type, fields: PAGE_FIELDS, content: page };
                self.respond(id, method, keep_alive, &response);
            }
            "/healthz" => {
                if let Some(connection) = self.connections.get_mut(id)
                    && let Protocol::Http(http) = &mut connection.protocol
                {
                    http.busy = true;
                    self.connection_deadlines.set(id, Mono::NEVER);
                    self.scatter_survey(now, HealthCheck { connection: id, method, keep_alive });
                }
            }
            _ => self.respond(id, method, keep_alive, &Response::plain(Status::NotFound)),
        }
    }

    fn respond(&mut self, id: ConnectionId, method: Method, keep_alive: bool, response: &Response<'_>) {
        let Some(connection) = self.connections.get_mut(id) else { return };
        let Protocol::Http(http) = &mut connection.protocol else { return };
        response.compose(method, keep_alive, &mut http.output);
        self.check_outbox(id);
        if !keep_alive {
            self.end(id, Fate::CloseAfterFlush);
        }
    }

    fn upgrade(&mut self, now: Now, id: ConnectionId, upgrade: &Upgrade) {
        let mut answer = Vec::new();
        if let Err(response) = websocket::accept(upgrade, &mut answer) {
            self.drops.websocket_refused += 1;
            return self.respond(id, Method::Get, false, &response);
        }
        let Some(connection) = self.connections.get_mut(id) else { return };
        let Protocol::Http(http) = &mut connection.protocol else { return };
        let mut output = std::mem::take(&mut http.output);
        output.append(&mut answer);
        let rest = std::mem::replace(&mut http.http, crate::proto::http::Http::new(now.mono)).into_rest();
        connection.protocol = Protocol::WebSocket(Box::new(WebSocket::new(rest, output)));
        self.counters.websockets_opened += 1;
        self.connection_deadlines.clear(id);
        self.connections.touch(id);
        self.read_websocket(now, id);
    }

    /// A connection's deadline has come: a request that never was complete, or a close that was not answered.
    pub(super) fn give_up_connection(&mut self, id: ConnectionId) {
        let Some(connection) = self.connections.get_mut(id) else { return };
        match &connection.protocol {
            Protocol::WebSocket(_) => self.end(id, Fate::Drop),
            Protocol::Http(http) if http.http.is_partial() => {
                self.drops.http_request_timeout += 1;
                self.respond(id, Method::Get, false, &Response::plain(Status::RequestTimeout));
            }
            Protocol::Http(_) => self.end(id, Fate::CloseAfterFlush),
        }
    }

    /// All media shards have reported, or the deadline has passed.
    pub(super) fn answer_health(
        &mut self,
        now: Now,
        check: &HealthCheck,
        reports: &[ShardReport],
        missing: &[ShardId],
    ) {
        let status = match (missing, &self.drain) {
            ([], None) => "ok",
            ([], Some(_)) => "draining",
            _ => "degraded",
        };
        let mut body = json!({
            "status": status,
            "version": env!("CARGO_PKG_VERSION"),
            "signal": {
                "gauges": object(&self.gauges()),
                "counters": object(&self.counters.named()),
                "drops": object(&self.drops.named()),
            },
            "shards": reports.iter().map(|report| json!({
                "shard": report.shard,
                "gauges": object(&report.gauges),
                "counters": object(&report.counters),
                "drops": object(&report.drops),
            })).collect::<Vec<_>>(),
        });
        if !missing.is_empty() {
            body["missing"] = missing.iter().map(|shard| Value::from(shard.0)).collect();
        }
        let content = body.to_string();
        let HealthCheck { connection: id, method, keep_alive } = *check;
        let response = Response {
            status: if status == "ok" { Status::Ok } else { Status::ServiceUnavailable },
            content_type: "application/json",
            fields: &[],
            content: content.as_bytes(),
        };
        let Some(connection) = self.connections.get_mut(id) else { return };
        let Protocol::Http(http) = &mut connection.protocol else { return };
        http.busy = false;
        http.http.resume(now.mono);
        self.respond(id, method, keep_alive, &response);
        self.read_http(now, id);
    }
}

fn object(counts: &[(&'static str, u64)]) -> Value {
    counts.iter().map(|(name, count)| (String::from(*name), Value::from(*count))).collect::<Map<_, _>>().into()
}
