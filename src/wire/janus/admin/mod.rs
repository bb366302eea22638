//! The Admin API: its verbs, where each is understood, and how their answers are put. The envelope is the core's, with
//! `admin_secret` in the place of `apisecret`; what a verb needs is read in `request`.

use serde::Serialize;

pub mod request;

use super::envelope::json;
use crate::id::{HandleId, SessionId};
use crate::wire::pcap::Format;

/// What an operator can ask for; compared without regard to case. `info` and `ping` are everybody's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AdminVerb {
    /// `get_status`
    GetStatus,
    /// `set_session_timeout`, of all sessions or of one.
    SetSessionTimeout,
    /// `set_log_level`
    SetLogLevel,
    /// `set_no_media_timer`
    SetNoMediaTimer,
    /// `set_slowlink_threshold`
    SetSlowlinkThreshold,
    /// `accept_new_sessions`
    AcceptNewSessions,
    /// `list_sessions`
    ListSessions,
    /// `message_plugin`
    MessagePlugin,
    /// `query_transport`
    QueryTransport,
    /// `query_eventhandler`
    QueryEventHandler,
    /// `query_logger`
    QueryLogger,
    /// `custom_logline`
    CustomLogLine,
    /// `custom_event`
    CustomEvent,
    /// `add_token`
    AddToken,
    /// `allow_token`
    AllowToken,
    /// `disallow_token`
    DisallowToken,
    /// `list_tokens`
    ListTokens,
    /// `remove_token`
    RemoveToken,
    /// `loops_info`
    LoopsInfo,
    /// `list_handles`
    ListHandles,
    /// `destroy_session`
    DestroySession,
    /// `handle_info`
    HandleInfo,
    /// `hangup_webrtc`
    HangupWebrtc,
    /// `detach_handle`
    DetachHandle,
    /// `start_pcap`, `start_text2pcap`
    StartCapture(Format),
    /// `stop_pcap`, `stop_text2pcap`
    StopCapture(Format),
    /// One that is taken and has no effect here.
    WithoutEffect(&'static Setting),
    /// One of Janus' that is not here: its name, and why.
    Unavailable(&'static str, &'static str),
}

/// A setting of Janus' that means nothing here.
#[derive(Debug, PartialEq, Eq)]
pub struct Setting {
    pub verb: &'static str,
    /// The element that carries the value.
    pub element: &'static str,
    /// A flag, or else a natural number.
    pub is_flag: bool,
    /// The key under which the value is confirmed.
    pub confirmed: &'static str,
    /// Why it has no effect.
    pub why: &'static str,
}

const fn flag(verb: &'static str, element: &'static str, confirmed: &'static str, why: &'static str) -> Setting {
    Setting { verb, element, is_flag: true, confirmed, why }
}

const SET_LOG_TIMESTAMPS: Setting =
    flag("set_log_timestamps", "timestamps", "log_timestamps", "log lines always have them");
const SET_LOG_COLORS: Setting =
    flag("set_log_colors", "colors", "log_colors", "log lines have colours when they go to a terminal");
const SET_LOCKING_DEBUG: Setting = flag("set_locking_debug", "debug", "locking_debug", "there are no locks");
const SET_REFCOUNT_DEBUG: Setting =
    flag("set_refcount_debug", "debug", "refcount_debug", "nothing is counted by reference");
const SET_NACK_OPTIMIZATIONS: Setting =
    flag("set_nack_optimizations", "nack_optimizations", "nack-optimizations", "they are always on");
const SET_MIN_NACK_QUEUE: Setting = Setting {
    verb: "set_min_nack_queue",
    element: "min_nack_queue",
    is_flag: false,
    confirmed: "min_nack_queue",
    why: "packets are kept for a second, as far as memory goes",
};

/// Where a verb is understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    Server,
    /// The server, or one session.
    ServerOrSession,
    Session,
    Handle,
}

const VERBS: [(&str, AdminVerb, Scope); 36] = {
    use AdminVerb::*;
    const fn absent(name: &'static str, scope: Scope, why: &'static str) -> (&'static str, AdminVerb, Scope) {
        (name, Unavailable(name, why), scope)
    }
    const fn without_effect(setting: &'static Setting) -> (&'static str, AdminVerb, Scope) {
        (setting.verb, WithoutEffect(setting), Scope::Server)
    }
    [
        ("get_status", GetStatus, Scope::Server),
        ("set_session_timeout", SetSessionTimeout, Scope::ServerOrSession),
        ("set_log_level", SetLogLevel, Scope::Server),
        ("set_no_media_timer", SetNoMediaTimer, Scope::Server),
        ("set_slowlink_threshold", SetSlowlinkThreshold, Scope::Server),
        ("accept_new_sessions", AcceptNewSessions, Scope::Server),
        ("list_sessions", ListSessions, Scope::Server),
        ("message_plugin", MessagePlugin, Scope::Server),
        ("query_transport", QueryTransport, Scope::Server),
        ("query_eventhandler", QueryEventHandler, Scope::Server),
        ("query_logger", QueryLogger, Scope::Server),
        ("custom_logline", CustomLogLine, Scope::Server),
        ("custom_event", CustomEvent, Scope::Server),
        ("add_token", AddToken, Scope::Server),
        ("allow_token", AllowToken, Scope::Server),
        ("disallow_token", DisallowToken, Scope::Server),
        ("list_tokens", ListTokens, Scope::Server),
        ("remove_token", RemoveToken, Scope::Server),
        ("loops_info", LoopsInfo, Scope::Server),
        ("list_handles", ListHandles, Scope::Session),
        ("destroy_session", DestroySession, Scope::Session),
        ("handle_info", HandleInfo, Scope::Handle),
        ("hangup_webrtc", HangupWebrtc, Scope::Handle),
        ("detach_handle", DetachHandle, Scope::Handle),
        ("start_pcap", StartCapture(Format::Pcap), Scope::Handle),
        ("stop_pcap", StopCapture(Format::Pcap), Scope::Handle),
        ("start_text2pcap", StartCapture(Format::Text), Scope::Handle),
        ("stop_text2pcap", StopCapture(Format::Text), Scope::Handle),
        without_effect(&SET_LOG_TIMESTAMPS),
        without_effect(&SET_LOG_COLORS),
        without_effect(&SET_LOCKING_DEBUG),
        without_effect(&SET_REFCOUNT_DEBUG),
        without_effect(&SET_MIN_NACK_QUEUE),
        without_effect(&SET_NACK_OPTIMIZATIONS),
        absent("resolve_address", Scope::Server, "the server resolves no names"),
        absent("test_stun", Scope::Server, "the server asks no STUN server"),
    ]
};

impl AdminVerb {
    /// The verb of a name.
    pub fn parse(name: &str) -> Option<AdminVerb> {
        VERBS.iter().find(|(text, ..)| text.eq_ignore_ascii_case(name)).map(|(_, verb, _)| *verb)
    }

    /// Where it is understood.
    pub fn scope(self) -> Scope {
        VERBS.iter().find(|(_, verb, _)| *verb == self).map_or(Scope::Server, |(.., scope)| *scope)
    }
}

/// `success` with what the verb has to say beside the envelope: `elements` serialise as an object.
pub fn success(session: Option<SessionId>, transaction: &str, elements: &impl Serialize) -> String {
    #[derive(Serialize)]
    struct Success<'a, E: Serialize> {
        janus: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        session_id: Option<u64>,
        transaction: &'a str,
        #[serde(flatten)]
        elements: &'a E,
    }
    json(&Success { janus: "success", session_id: session.map(|session| session.0), transaction, elements })
}

/// `success` with a plugin's own answer, which is JSON already.
pub fn response(transaction: &str, response: &str) -> String {
    format!(r#"{{"janus":"success","transaction":{},"response":{response}}}"#, json(&transaction))
}

/// What is told of a session or a handle stands beside its ids.
#[derive(Debug, Serialize)]
pub struct HandleInfo<'a, I: Serialize> {
    pub handle_id: u64,
    /// What there is to say.
    pub info: &'a I,
}

impl<'a, I: Serialize> HandleInfo<'a, I> {
    /// Of this handle.
    pub fn new(handle: HandleId, info: &'a I) -> HandleInfo<'a, I> {
        HandleInfo { handle_id: handle.0, info }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json as j;

    #[test]
    fn every_verb_is_found_by_its_name_in_any_case_and_has_a_place() {
        for (name, verb, scope) in VERBS {
            assert_eq!(AdminVerb::parse(&name.to_uppercase()), Some(verb));
            assert_eq!(verb.scope(), scope, "{name}");
        }
        assert_eq!(AdminVerb::parse("create"), None);
    }

    #[test]
    fn what_a_verb_says_stands_beside_the_envelope() {
        let text = success(Some(SessionId(5)), "t\"", &j!({"handles":[7]}));
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value, j!({"janus":"success","session_id":5,"transaction":"t\"","handles":[7]}));
        let text = response("t", r#"{"a":1}"#);
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value, j!({"janus":"success","transaction":"t","response":{"a":1}}));
    }
}
