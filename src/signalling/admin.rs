//! The Admin API: who may use it, and what each verb does to the server, to a session and to a handle. What takes an
//! answer of other shards is asked in `questions`; what is told of a handle is put together in `inspection`.

use std::time::Duration;

use serde_json::json;
use simd_json::borrowed::Value;

use super::access::Access;
use super::core::{CANDIDATES_TIMEOUT, millis};
use super::gather::{Change, Question, Topic, Transport};
use super::operators::MachineRequest;
use super::questions::{FIRST, Wanted};
use super::{ConnectionId, SignallingEngine, network};
use crate::control::command::Teardown;
use crate::id::{HandleId, SessionId, SignallingId};
use crate::limits::HISTORY_AGE;
use crate::proto::session::Asker;
use crate::proto::session::token::{TokenError, Tokens};
use crate::secret::is_same;
use crate::time::Now;
use crate::videoroom::json::PACKAGE;
use crate::wire::janus::admin;
use crate::wire::janus::admin::request::Token;
use crate::wire::janus::admin::{AdminVerb, Scope, Setting, request};
use crate::wire::janus::envelope::{Request, Verb};
use crate::wire::janus::error::CoreError;
use crate::wire::janus::field::{Field, FieldError, Fields, Kind};

/// The plugins that there are.
const PLUGINS: [&str; 1] = [PACKAGE];

impl SignallingEngine {
    /// Whether a connection may be used by operators.
    pub(super) fn may_administer(&self, id: ConnectionId) -> bool {
        self.config.admin_secret.is_some() && self.is_operators_place(id) && self.is_from_operators(id)
    }

    /// Whether a connection came to where operators are served.
    pub(super) fn is_operators_place(&self, id: ConnectionId) -> bool {
        !self.config.admin_apart || self.connections.get(id).is_some_and(|connection| connection.is_operators)
    }

    /// Whether it came from where operators are.
    pub(super) fn is_from_operators(&self, id: ConnectionId) -> bool {
        let allow = &self.config.admin_allow;
        let peer = self.connections.get(id).map(|connection| connection.peer);
        allow.is_empty() || peer.is_some_and(|peer| network::is_in_any(allow, peer))
    }

    /// Who comes in where clients do.
    pub(super) fn clients_door(&self, id: ConnectionId) -> Access {
        if self.may_administer(id) { Access::Shared } else { Access::Clients }
    }

    /// Who executes an operator's request: the home of its session, or where changes start.
    pub(super) fn home_of_administration(&self, request: &Request<'_>) -> SignallingId {
        match request.session.filter(|session| session.0 != 0) {
            Some(session) => self.sessions.home(session),
            None => FIRST,
        }
    }

    /// An operator's request.
    pub(super) fn administer(&mut self, now: Now, asker: Asker, request: &Request<'_>) -> Result<(), CoreError> {
        match (&self.config.admin_secret, request::secret(request.fields)) {
            (Some(secret), Some(given)) if is_same(secret, given) => {}
            _ => return Err(CoreError::Unauthorized),
        }
        let session = request.session.filter(|session| session.0 != 0);
        let unhandled = || CoreError::Unhandled(request.name.into());
        if request.handle.is_some_and(|handle| (handle.0 == 0) != session.is_none()) {
            return Err(CoreError::NoSuchSession(SessionId(0)));
        }
        if let Some(session) = session {
            if self.sessions.get(session).is_none() {
                return Err(CoreError::NoSuchSession(session));
            }
            if let Some(handle) = request.handle
                && self.sessions.handle(session, handle).is_none()
            {
                return Err(CoreError::NoSuchHandle(handle, session));
            }
        }
        let Verb::Admin(verb) = request.verb else { return Err(unhandled()) };
        match (verb.scope(), session, request.handle) {
            (Scope::Server | Scope::ServerOrSession, None, None) => self.administer_server(now, asker, request, verb),
            (Scope::Session | Scope::ServerOrSession, Some(session), None) => {
                self.administer_session(now, asker, request, verb, session)
            }
            (Scope::Handle, Some(session), Some(handle)) => {
                self.administer_handle(now, asker, request, verb, (session, handle))
            }
            _ => Err(unhandled()),
        }
    }

    fn administer_server(
        &mut self,
        now: Now,
        asker: Asker,
        request: &Request<'_>,
        verb: AdminVerb,
    ) -> Result<(), CoreError> {
        let (fields, transaction) = (request.fields, request.transaction);
        match verb {
            AdminVerb::GetStatus => {
                let status = json!({ "status": self.status() });
                self.say(asker, admin::success(None, transaction, &status));
            }
            AdminVerb::SetSessionTimeout => {
                let timeout: u32 = request::natural(fields, "timeout")?;
                let change = Change::SessionTimeout(Duration::from_secs(timeout.into()));
                self.change(now, asker, transaction, change, json!({ "timeout": timeout }));
            }
            AdminVerb::AcceptNewSessions => {
                let accept = request::flag(fields, "accept")?;
                self.change(now, asker, transaction, Change::Accepting(accept), json!({ "accept": accept }));
            }
            AdminVerb::SetSlowlinkThreshold => {
                let threshold = request::natural(fields, "slowlink_threshold")?;
                self.operators.set_slowlink_threshold(threshold);
                self.adjust(now, asker, transaction, json!({ "slowlink_threshold": threshold }));
            }
            AdminVerb::SetNoMediaTimer => {
                let seconds: u32 = request::natural(fields, "no_media_timer")?;
                self.operators.set_no_media_timer(Duration::from_secs(seconds.into()));
                self.adjust(now, asker, transaction, json!({ "no_media_timer": seconds }));
            }
            AdminVerb::SetLogLevel => {
                let level = request::level(fields)?;
                self.operators.set_log_level(level);
                self.say(asker, admin::success(None, transaction, &json!({ "level": level })));
            }
            AdminVerb::CustomLogLine => {
                let (line, level) = request::log_line(fields)?;
                self.operators.request(MachineRequest::LogLine(level, line.into()));
                self.say(asker, admin::success(None, transaction, &json!({})));
            }
            AdminVerb::CustomEvent => {
                let (schema, data) = request::event(fields)?;
                if self.config.events.is_none() {
                    self.operators.note_without_effect("custom_event", "there are no event handlers");
                }
                let data = serde_json::to_value(data).map_err(|_| CoreError::NotAnObject)?;
                self.observers.external(now, schema, &data);
                self.say(asker, admin::success(None, transaction, &json!({})));
            }
            AdminVerb::ListSessions => {
                self.gather_for(now, asker, transaction, (Topic::Sessions, Wanted::Sessions), &Question::Sessions);
            }
            AdminVerb::LoopsInfo => {
                self.gather_loops(now, asker, transaction);
            }
            AdminVerb::MessagePlugin => {
                let (plugin, body) = request::query(fields, "plugin")?;
                if plugin != PACKAGE {
                    return Err(CoreError::NoSuch("plugin"));
                }
                self.message_plugin(now, asker, transaction, body);
            }
            AdminVerb::QueryTransport => self.query_transport(now, asker, request)?,
            AdminVerb::QueryEventHandler => {
                let (handler, query) = request::query(fields, "handler")?;
                if !self.config.handlers.contains(&handler) {
                    return Err(CoreError::NoSuch("event handler"));
                }
                let refusal = match Fields::of(query, self.ids).map(|query| request::text(query, "request")) {
                    Some(Ok("tweak")) => {
                        return Err(CoreError::Unavailable("tweak", "handlers are set up at start"));
                    }
                    asked => refusal(asked)?,
                };
                self.say(asker, admin::success(None, transaction, &json!({ "response": refusal })));
            }
            AdminVerb::QueryLogger => {
                request::query(fields, "logger")?;
                return Err(CoreError::NoSuch("logger"));
            }
            AdminVerb::AddToken
            | AdminVerb::AllowToken
            | AdminVerb::DisallowToken
            | AdminVerb::ListTokens
            | AdminVerb::RemoveToken => self.administer_tokens(now, asker, request, verb)?,
            AdminVerb::WithoutEffect(setting) => {
                let Setting { verb, element, confirmed, why, .. } = *setting;
                let value = if setting.is_flag {
                    json!(request::flag(fields, element)?)
                } else {
                    json!(request::natural::<u32>(fields, element)?)
                };
                self.operators.note_without_effect(verb, why);
                self.say(asker, admin::success(None, transaction, &json!({ confirmed: value })));
            }
            AdminVerb::Unavailable(name, why) => return Err(CoreError::Unavailable(name, why)),
            AdminVerb::ListHandles
            | AdminVerb::DestroySession
            | AdminVerb::HandleInfo
            | AdminVerb::HangupWebrtc
            | AdminVerb::DetachHandle
            | AdminVerb::StartCapture(_)
            | AdminVerb::StopCapture(_) => return Err(CoreError::Unhandled(request.name.into())),
        }
        Ok(())
    }

    /// What Janus lets operators change, and how it is: what has no effect here stays as it is.
    fn status(&self) -> serde_json::Value {
        json!({
            "token_auth": !matches!(self.operators.tokens(), Tokens::Off),
            "session_timeout": self.sessions.idle_timeout().as_secs(),
            "reclaim_session_timeout": self.config.reclaim_session_timeout.as_secs(),
            "candidates_timeout": CANDIDATES_TIMEOUT.as_secs(),
            "log_level": self.operators.log_level(),
            "log_timestamps": true,
            "log_colors": self.config.log_colors,
            // No signal has a log file opened anew.
            "log_rotate_sig": 0,
            "locking_debug": false,
            "refcount_debug": false,
            "min_nack_queue": millis(HISTORY_AGE),
            "nack-optimizations": true,
            "no_media_timer": self.operators.media().no_media_timer.as_secs(),
            "slowlink_threshold": self.operators.media().slowlink_threshold,
        })
    }

    fn query_transport(&mut self, now: Now, asker: Asker, request: &Request<'_>) -> Result<(), CoreError> {
        let (transport, query) = request::query(request.fields, "transport")?;
        let transport = match transport {
            "janus.transport.http" => Transport::Http,
            "janus.transport.websockets" => Transport::WebSockets,
            _ => return Err(CoreError::NoSuch("transport")),
        };
        let refusal = match Fields::of(query, self.ids).map(|query| request::text(query, "request")) {
            Some(Ok("connections")) => {
                let wanted = (Topic::Connections, Wanted::Connections(transport));
                self.gather_for(now, asker, request.transaction, wanted, &Question::Connections);
                return Ok(());
            }
            Some(Ok("configure")) => match self.configure_transport(now, asker, request, transport, query) {
                Ok(()) => return Ok(()),
                Err(error) => json!({ "error_code": 413, "error": error.to_string() }),
            },
            asked => refusal(asked)?,
        };
        self.say(asker, admin::success(None, request.transaction, &json!({ "response": refusal })));
        Ok(())
    }

    /// Everything is confirmed, and what is not done has a note, in Janus' words where it has some.
    fn configure_transport(
        &mut self,
        now: Now,
        asker: Asker,
        request: &Request<'_>,
        transport: Transport,
        query: &Value<'_>,
    ) -> Result<(), FieldError> {
        const TABLE: &[Field] = &[
            Field::optional("events", Kind::Flag),
            Field::optional("json", Kind::Text),
            Field::optional("logging", Kind::Text),
        ];
        let Some(fields) = Fields::of(query, self.ids) else { return Ok(()) };
        let fields = fields.check(TABLE)?;
        let mut notes = Vec::new();
        if fields.text("json").is_some_and(|format| format != "compact") {
            notes.push("Ignored unsupported indentation format");
        }
        if fields.text("logging").is_some() {
            notes.push("Ignored logging: there is no library to log");
        }
        let mut wanted = fields.flag("events");
        if wanted.is_some() && self.config.events.is_none() {
            notes.push("Event handlers disabled at the core level");
            wanted = None;
        }
        let mut response = json!({ "result": 200 });
        if !notes.is_empty() {
            response["notes"] = json!(notes);
        }
        let answer = json!({ "response": response });
        match wanted {
            Some(wanted) => {
                self.change(now, asker, request.transaction, Change::TransportEvents(transport, wanted), answer);
            }
            None => self.say(asker, admin::success(None, request.transaction, &answer)),
        }
        Ok(())
    }

    fn administer_tokens(
        &mut self,
        now: Now,
        asker: Asker,
        request: &Request<'_>,
        verb: AdminVerb,
    ) -> Result<(), CoreError> {
        let transaction = request.transaction;
        let Tokens::Stored(stored) = self.operators.tokens() else { return Err(CoreError::NoStoredTokens) };
        if verb == AdminVerb::ListTokens {
            let bytes = stored.list().into_iter().map(|(token, plugins)| token.len() + 64 + 32 * plugins.len()).sum();
            if !self.has_space_for(asker, bytes) {
                return Err(CoreError::TooLong(bytes));
            }
            let Tokens::Stored(stored) = self.operators.tokens() else { return Err(CoreError::NoStoredTokens) };
            let tokens = stored.list().into_iter();
            let shown = tokens.map(|(token, plugins)| json!({ "token": token, "allowed_plugins": plugins }));
            let data = json!({ "data": { "tokens": shown.collect::<Vec<_>>() } });
            self.say(asker, admin::success(None, transaction, &data));
            return Ok(());
        }
        let given = Token::parse(request.fields)?;
        let token = Box::from(given.token);
        let opened = stored.plugins(given.token);
        let unknown = || CoreError::NoSuchToken(given.token.into());
        let all = || PLUGINS.map(Box::from).to_vec();
        let (change, after) = match verb {
            AdminVerb::RemoveToken => {
                opened.ok_or_else(unknown)?;
                (Change::RemoveToken(token), None)
            }
            AdminVerb::AddToken => {
                stored.check(given.token).map_err(|error| match error {
                    TokenError::TooLong => CoreError::Element("token", "shorter"),
                    TokenError::TooMany => CoreError::Exhausted("stored tokens"),
                })?;
                let plugins = given.named(&PLUGINS).unwrap_or_else(all);
                let mut after = opened.cloned().unwrap_or_default();
                after.extend(plugins.iter().cloned());
                (Change::AllowToken(token, plugins), Some(after))
            }
            _ => {
                let plugins = given.all_named(&PLUGINS);
                let mut after = opened.cloned().ok_or_else(unknown)?;
                let plugins = plugins?;
                if verb == AdminVerb::AllowToken {
                    after.extend(plugins.iter().cloned());
                    (Change::AllowToken(token, plugins), Some(after))
                } else {
                    after.retain(|plugin| !plugins.contains(plugin));
                    (Change::DisallowToken(token, plugins), Some(after))
                }
            }
        };
        let answer = after.map_or(json!({}), |plugins| json!({ "data": { "plugins": plugins } }));
        self.change(now, asker, transaction, change, answer);
        Ok(())
    }

    fn administer_session(
        &mut self,
        now: Now,
        asker: Asker,
        request: &Request<'_>,
        verb: AdminVerb,
        session: SessionId,
    ) -> Result<(), CoreError> {
        let elements = match verb {
            AdminVerb::ListHandles => {
                let handles = self.sessions.get(session).map(|session| &session.handles);
                let ids = handles.into_iter().flatten().map(|(handle, _)| handle.0);
                json!({ "handles": ids.collect::<Vec<_>>() })
            }
            AdminVerb::SetSessionTimeout => {
                let timeout = request::session_timeout(request.fields)?;
                self.sessions.set_timeout_of(session, timeout.map(Duration::from_secs));
                let shown = timeout.map_or(json!(-1), serde_json::Value::from);
                json!({ "timeout": shown })
            }
            AdminVerb::DestroySession => {
                self.end_session(now, session);
                json!({})
            }
            _ => return Err(CoreError::Unhandled(request.name.into())),
        };
        self.say(asker, admin::success(Some(session), request.transaction, &elements));
        Ok(())
    }

    fn administer_handle(
        &mut self,
        now: Now,
        asker: Asker,
        request: &Request<'_>,
        verb: AdminVerb,
        (session, handle): (SessionId, HandleId),
    ) -> Result<(), CoreError> {
        match verb {
            AdminVerb::HandleInfo => return self.inspect(now, asker, request, (session, handle)),
            AdminVerb::StartCapture(format) => {
                return self.start_capture(now, asker, request, (session, handle), format);
            }
            AdminVerb::StopCapture(_) => return self.stop_capture(now, asker, request, (session, handle)),
            AdminVerb::HangupWebrtc => {
                self.hang_up(now.mono, session, handle, Teardown::OperatorHangup);
            }
            AdminVerb::DetachHandle => {
                if let Some(state) = self.sessions.detach(session, handle) {
                    self.vacate(now, session, handle, state, true);
                }
            }
            AdminVerb::Unavailable(name, why) => return Err(CoreError::Unavailable(name, why)),
            _ => return Err(CoreError::Unhandled(request.name.into())),
        }
        self.say(asker, admin::success(Some(session), request.transaction, &json!({})));
        Ok(())
    }
}

/// What a transport or an event handler says of a request that it does not know, or that is none.
fn refusal(asked: Option<Result<&str, CoreError>>) -> Result<serde_json::Value, CoreError> {
    Ok(match asked {
        Some(Ok(name)) => json!({ "error_code": 411, "error": format!("Unknown request '{name}'") }),
        Some(Err(CoreError::Field(error))) => {
            let code = if matches!(error, FieldError::Missing(_)) { 412 } else { 413 };
            json!({ "error_code": code, "error": error.to_string() })
        }
        _ => return Err(CoreError::NotAnObject),
    })
}
