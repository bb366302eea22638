//! The envelope of every request, and the messages the core sends. Key order is Janus' for the reader's sake; JSON
//! gives it no meaning.

use std::net::IpAddr;

use serde::Serialize;
use simd_json::StaticNode;
use simd_json::borrowed::Value;

use super::admin::AdminVerb;
use super::error::CoreError;
use super::field::{Field, FieldError, Fields, Ids, Kind};
use crate::id::{HandleId, SessionId};

/// What a request wants; compared without regard to case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// `info`
    Info,
    /// `ping`
    Ping,
    /// `create`
    Create,
    /// `keepalive`
    Keepalive,
    /// `claim`
    Claim,
    /// `attach`
    Attach,
    /// `destroy`
    Destroy,
    /// `detach`
    Detach,
    /// `hangup`
    Hangup,
    /// `message`
    Message,
    /// `trickle`
    Trickle,
    Admin(AdminVerb),
    Unknown,
}

/// One request with its envelope checked.
#[derive(Clone, Copy, Debug)]
pub struct Request<'v> {
    /// What is wanted.
    pub verb: Verb,
    /// The verb as written.
    pub name: &'v str,
    /// Echoed in every direct answer.
    pub transaction: &'v str,
    /// None when it is absent or no integer; an explicit 0 stays.
    pub session: Option<SessionId>,
    /// None when it is absent or `null`. What is no integer names a handle, but none that there is: 0.
    pub handle: Option<HandleId>,
    /// The wished session id of `create`.
    pub id: Option<SessionId>,
    /// `apisecret` when it is a string.
    pub secret: Option<&'v str>,
    /// `token` when it is a string.
    pub token: Option<&'v str>,
    /// Everything, for the elements of the verb itself.
    pub fields: Fields<'v>,
}

/// A request that is refused for its envelope, with what could be read of it.
#[derive(Clone, Debug)]
pub struct Refused<'v> {
    pub error: CoreError,
    /// Echoed when it could be read.
    pub transaction: Option<&'v str>,
    /// Echoed when it could be read.
    pub session: Option<SessionId>,
}

const ENVELOPE: &[Field] = &[
    Field::required("transaction", Kind::Raw),
    Field::required("janus", Kind::Text),
    Field::optional("id", Kind::Natural),
];

impl<'v> Request<'v> {
    /// Reads the envelope of one document.
    pub fn parse(document: &'v Value<'v>, ids: Ids) -> Result<Request<'v>, Refused<'v>> {
        let Some(fields) = Fields::of(document, ids) else {
            // Janus looks for the elements of an array as if it were an object.
            let is_array = matches!(document, Value::Array(_));
            let error = if is_array { FieldError::Missing("transaction").into() } else { CoreError::NotAnObject };
            return Err(Refused { error, transaction: None, session: None });
        };
        let transaction = fields.text("transaction");
        let session = session_id(fields);
        if let Err(error) = fields.check(ENVELOPE) {
            return Err(Refused { error: error.into(), transaction, session });
        }
        let name = fields.text("janus").unwrap_or_default();
        Ok(Request {
            verb: Verb::parse(name),
            name,
            transaction: transaction.unwrap_or_default(),
            session,
            handle: handle_id(fields),
            id: fields.natural("id").map(SessionId).filter(|id| id.0 != 0),
            secret: fields.text("apisecret"),
            token: fields.text("token"),
            fields,
        })
    }
}

/// The session that a request names. An integer below 0 is one that nobody has: no id of ours is beyond 2^53.
pub fn session_id(fields: Fields<'_>) -> Option<SessionId> {
    integral(fields, "session_id").map(SessionId)
}

/// The handle that a request names, 0 for one that cannot be.
pub fn handle_id(fields: Fields<'_>) -> Option<HandleId> {
    match fields.value("handle_id")? {
        Value::Static(StaticNode::Null) => None,
        _ => Some(HandleId(integral(fields, "handle_id").unwrap_or(0))),
    }
}

fn integral(fields: Fields<'_>, name: &str) -> Option<u64> {
    fields.natural(name).or_else(|| fields.integer(name).map(i64::cast_unsigned))
}

impl Verb {
    fn parse(name: &str) -> Verb {
        let known = VERBS.iter().find(|(text, _)| text.eq_ignore_ascii_case(name)).map(|(_, verb)| *verb);
        known.or_else(|| AdminVerb::parse(name).map(Verb::Admin)).unwrap_or(Verb::Unknown)
    }
}

const VERBS: [(&str, Verb); 11] = [
    ("message", Verb::Message),
    ("trickle", Verb::Trickle),
    ("keepalive", Verb::Keepalive),
    ("create", Verb::Create),
    ("attach", Verb::Attach),
    ("detach", Verb::Detach),
    ("hangup", Verb::Hangup),
    ("destroy", Verb::Destroy),
    ("claim", Verb::Claim),
    ("info", Verb::Info),
    ("ping", Verb::Ping),
];

#[derive(Serialize)]
struct Reply<'a> {
    janus: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    session_id: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    transaction: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Data>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorBody>,
}

#[derive(Serialize)]
struct Data {
    id: u64,
}

#[derive(Serialize)]
struct ErrorBody {
    code: u16,
    reason: String,
}

impl<'a> Reply<'a> {
    fn new(janus: &'static str, session: Option<SessionId>, transaction: &'a str) -> Reply<'a> {
        let session_id = session.map(|session| session.0);
        Reply { janus, session_id, transaction: Some(transaction), data: None, error: None }
    }
}

/// `success` without data.
pub fn success(session: SessionId, transaction: &str) -> String {
    json(&Reply::new("success", Some(session), transaction))
}

/// To `create`: the id stands in `data` alone, because clients would take a `session_id` for it.
pub fn created(session: SessionId, transaction: &str) -> String {
    json(&Reply { data: Some(Data { id: session.0 }), ..Reply::new("success", None, transaction) })
}

/// To `attach`.
pub fn attached(session: SessionId, handle: HandleId, transaction: &str) -> String {
    json(&Reply { data: Some(Data { id: handle.0 }), ..Reply::new("success", Some(session), transaction) })
}

/// `ack`
pub fn ack(session: SessionId, transaction: &str) -> String {
    json(&Reply::new("ack", Some(session), transaction))
}

/// `pong`
pub fn pong(transaction: &str) -> String {
    json(&Reply::new("pong", None, transaction))
}

/// `error`; the session is echoed unless it is 0.
pub fn error(session: Option<SessionId>, transaction: Option<&str>, error: &CoreError) -> String {
    let body = ErrorBody { code: error.code(), reason: error.to_string() };
    let session_id = session.map(|session| session.0).filter(|id| *id != 0);
    json(&Reply { janus: "error", session_id, transaction, data: None, error: Some(body) })
}

/// `timeout`: the session and nothing else.
pub fn timeout(session: SessionId) -> String {
    format!(r#"{{"janus":"timeout","session_id":{}}}"#, session.0)
}

/// What is said to handles, rendered once and then addressed to each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    name: &'static str,
    tail: String,
    /// Where in `tail` a plugin's data stand.
    data: std::ops::Range<usize>,
}

impl Notice {
    /// A message of the core with elements of its own, which must serialise as an object.
    pub fn new(name: &'static str, elements: &impl Serialize) -> Notice {
        let object = json(elements);
        let inner = object.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).unwrap_or_default();
        let tail = if inner.is_empty() { String::new() } else { format!(",{inner}") };
        Notice { name, tail, data: 0..0 }
    }

    /// A plugin's answer or event: `event`, or `success` for what is answered synchronously.
    pub fn plugin(name: &'static str, package: &str, data: &impl Serialize, jsep: Option<Jsep<'_>>) -> Notice {
        let mut tail = format!(r#","plugindata":{{"plugin":"{package}","data":"#);
        let from = tail.len();
        tail.push_str(&json(data));
        let data = from..tail.len();
        tail.push('}');
        if let Some(jsep) = jsep {
            tail.push_str(r#","jsep":"#);
            tail.push_str(&json(&jsep));
        }
        Notice { name, tail, data }
    }

    /// A plugin's data as JSON; empty in a message of the core.
    pub fn data(&self) -> &str {
        &self.tail[self.data.clone()]
    }

    /// The message for one handle.
    pub fn address(&self, session: SessionId, sender: HandleId, transaction: Option<&str>) -> String {
        let Notice { name, tail, .. } = self;
        let (session, sender) = (session.0, sender.0);
        match transaction {
            Some(transaction) => {
                let transaction = json(&transaction);
                format!(
                    r#"{{"janus":"{name}","session_id":{session},"sender":{sender},"transaction":{transaction}{tail}}}"#
                )
            }
            None => format!(r#"{{"janus":"{name}","session_id":{session},"sender":{sender}{tail}}}"#),
        }
    }
}

/// A description of ours, beside `plugindata`.
#[derive(Clone, Debug, Serialize)]
pub struct Jsep<'a> {
    /// `offer` or `answer`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    pub sdp: &'a str,
    /// Encrypted end to end; shown when true.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub e2ee: bool,
}

/// What `info` shows of a plugin.
#[derive(Clone, Copy, Debug)]
pub struct PluginInfo {
    /// As in `attach`.
    pub package: &'static str,
    pub name: &'static str,
    pub description: &'static str,
    /// Of the plugin in Janus whose API it has.
    pub version_string: &'static str,
    pub version: u16,
}

/// `server_info`: what depends on the configuration and on other parts of the server.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct ServerInfo<'a> {
    /// Seconds that candidates are kept for; 0: they are not needed.
    pub candidates_timeout: u64,
    /// The first address that media are bound to.
    pub local_ip: IpAddr,
    /// What is advertised first in the place of bound addresses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_ip: Option<IpAddr>,
    /// All that is.
    #[serde(skip_serializing_if = "<[IpAddr]>::is_empty")]
    pub public_ips: &'a [IpAddr],
    /// Whether media go over IPv6 too.
    pub ipv6: bool,
    /// Milliseconds that packets are kept for, to be sent again.
    pub min_nack_queue: u64,
    /// Milliseconds between two reports of transport-wide congestion control; they adapt to the bitrate.
    pub twcc_period: u64,
    /// Bytes of the largest DTLS datagram.
    pub dtls_mtu: usize,
    /// The cryptographic library and its version.
    #[serde(skip)]
    pub crypto: &'static str,
    /// The packages of event handlers.
    #[serde(skip)]
    pub handlers: &'a [&'static str],
    #[serde(skip)]
    pub plugins: &'a [PluginInfo],
    pub session_timeout: u64,
    pub reclaim_session_timeout: u64,
    /// The configured name.
    pub server_name: &'a str,
    /// False while draining.
    pub accepting_new_sessions: bool,
    /// Whether requests need the API secret.
    #[serde(rename = "api_secret")]
    pub api_secret: bool,
    /// Whether they need a token.
    #[serde(rename = "auth_token")]
    pub auth_token: bool,
    /// Whether events go anywhere.
    #[serde(rename = "event_handlers")]
    pub event_handlers: bool,
    /// How many media shards there are.
    pub static_event_loops: u8,
}

/// Clients compare this with Janus' own numbers to learn whether the multistream API (1.0 and newer) is spoken.
pub const JANUS_API_VERSION: u32 = 1402;

/// To `info`.
pub fn server_info(transaction: &str, info: &ServerInfo<'_>) -> String {
    #[derive(Serialize)]
    #[serde(rename_all = "kebab-case")]
    struct Message<'a> {
        janus: &'static str,
        transaction: &'a str,
        name: &'static str,
        version: u32,
        #[serde(rename = "version_string")]
        version_string: &'static str,
        author: &'static str,
        commit_hash: &'static str,
        compile_time: &'static str,
        log_to_stdout: bool,
        log_to_file: bool,
        #[serde(rename = "data_channels")]
        data_channels: bool,
        #[serde(flatten)]
        info: &'a ServerInfo<'a>,
        ice_lite: bool,
        ice_tcp: bool,
        ice_nomination: &'static str,
        ice_consent_freshness: bool,
        ice_keepalive_conncheck: bool,
        hangup_on_failed: bool,
        full_trickle: bool,
        mdns_enabled: bool,
        nack_optimizations: bool,
        #[serde(rename = "opaqueid_in_api")]
        opaqueid_in_api: bool,
        dependencies: serde_json::Value,
        transports: serde_json::Value,
        events: serde_json::Map<String, serde_json::Value>,
        loggers: serde_json::Value,
        plugins: serde_json::Map<String, serde_json::Value>,
    }
    let version_string = env!("CARGO_PKG_VERSION");
    let author = "The Portunus authors";
    let part = |name: &str, description: &str| {
        serde_json::json!({
            "name": name, "author": author, "description": description, "version_string": version_string, "version": 1
        })
    };
    let plugin = |plugin: &PluginInfo| {
        let shown = serde_json::json!({
            "name": plugin.name, "author": author, "description": plugin.description,
            "version_string": plugin.version_string, "version": plugin.version
        });
        (plugin.package.into(), shown)
    };
    let handler = |package: &str| match package {
        "janus.eventhandler.sampleevh" => part("Portunus webhook", "Posts events to a URL"),
        _ => part("Portunus event WebSocket", "Sends events over a WebSocket"),
    };
    json(&Message {
        janus: "server_info",
        transaction,
        name: "Portunus WebRTC Server",
        version: JANUS_API_VERSION,
        version_string,
        author,
        commit_hash: option_env!("PORTUNUS_COMMIT").unwrap_or("unknown"),
        compile_time: option_env!("PORTUNUS_COMPILE_TIME").unwrap_or("unknown"),
        // The log goes to stderr.
        log_to_stdout: false,
        log_to_file: false,
        data_channels: false,
        info,
        ice_lite: true,
        ice_tcp: false,
        // The peer nominates, and RFC 8445 has but this way.
        ice_nomination: "regular",
        // A peer that is not heard any more is hung up. We send no checks of our own.
        ice_consent_freshness: true,
        ice_keepalive_conncheck: false,
        hangup_on_failed: true,
        full_trickle: false,
        mdns_enabled: false,
        nack_optimizations: true,
        opaqueid_in_api: false,
        dependencies: serde_json::json!({ "crypto": info.crypto }),
        transports: serde_json::json!({
            "janus.transport.http": part("Portunus HTTP", "The Janus API over HTTP with long polls"),
            "janus.transport.websockets": part("Portunus WebSockets", "The Janus API over WebSocket"),
        }),
        events: info.handlers.iter().map(|package| (String::from(*package), handler(package))).collect(),
        loggers: serde_json::json!({}),
        plugins: info.plugins.iter().map(plugin).collect(),
    })
}

/// Serialisation of our own messages cannot fail: they hold no maps with other keys than strings.
pub(super) fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("our messages are serialisable")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json as j;

    fn value(text: &str) -> serde_json::Value {
        serde_json::from_str(text).unwrap()
    }

    fn with<R>(text: &str, f: impl FnOnce(Result<Request<'_>, Refused<'_>>) -> R) -> R {
        let mut bytes = text.as_bytes().to_vec();
        let document = simd_json::to_borrowed_value(&mut bytes).unwrap();
        f(Request::parse(&document, Ids::Numbers))
    }

    #[test]
    fn verbs_are_compared_without_case_and_ids_of_another_type_are_absent() {
        with(r#"{"janus":"KeepAlive","transaction":"t","session_id":"7","handle_id":null}"#, |request| {
            let request = request.unwrap();
            assert_eq!((request.verb, request.session, request.handle), (Verb::Keepalive, None, None));
        });
        with(r#"{"janus":"x","transaction":"t","session_id":7,"handle_id":0}"#, |request| {
            let request = request.unwrap();
            assert_eq!(request.verb, Verb::Unknown);
            assert_eq!((request.session, request.handle), (Some(SessionId(7)), Some(HandleId(0))));
        });
    }

    #[test]
    fn a_handle_id_that_is_no_number_names_no_handle_and_a_session_id_no_session() {
        for (given, session, handle) in [
            ("7", Some(7), Some(7)),
            ("0", Some(0), Some(0)),
            ("-7", Some(u64::MAX - 6), Some(u64::MAX - 6)),
            ("null", None, None),
            ("\"7\"", None, Some(0)),
            ("7.0", None, Some(0)),
            ("true", None, Some(0)),
            ("[7]", None, Some(0)),
        ] {
            let text = format!(r#"{{"janus":"x","transaction":"t","session_id":{given},"handle_id":{given}}}"#);
            with(&text, |request| {
                let request = request.unwrap();
                assert_eq!(
                    (request.session, request.handle),
                    (session.map(SessionId), handle.map(HandleId)),
                    "{given}"
                );
            });
        }
    }

    #[test]
    fn transaction_is_checked_before_the_verb_and_echoed_when_readable() {
        with(r#"{"session_id":9}"#, |request| {
            let refused = request.unwrap_err();
            assert_eq!(refused.error.code(), 456);
            assert_eq!(refused.error.to_string(), "Missing mandatory element (transaction)");
            assert_eq!(refused.session, Some(SessionId(9)));
        });
        with(r#"{"transaction":"t","janus":1}"#, |request| {
            let refused = request.unwrap_err();
            assert_eq!((refused.error.code(), refused.transaction), (467, Some("t")));
        });
        with("[]", |request| assert_eq!(request.unwrap_err().error.code(), 456));
        with("7", |request| assert_eq!(request.unwrap_err().error.code(), 455));
    }

    const PLUGIN: PluginInfo = PluginInfo {
        package: "janus.plugin.test",
        name: "a plugin",
        description: "for a test",
        version_string: "0.0.1",
        version: 1,
    };

    #[test]
    fn info_has_every_key_that_janus_always_sends() {
        // As Debian's 1.1.2 sends them, and the two that came until 1.4.2. Typed clients refuse a reply without one.
        const KEYS: &str = "janus transaction name version version_string author commit-hash compile-time \
            log-to-stdout log-to-file data_channels accepting-new-sessions session-timeout reclaim-session-timeout \
            candidates-timeout server-name local-ip ipv6 ice-lite ice-tcp ice-nomination ice-consent-freshness \
            ice-keepalive-conncheck hangup-on-failed full-trickle mdns-enabled min-nack-queue nack-optimizations \
            twcc-period dtls-mtu static-event-loops api_secret auth_token event_handlers opaqueid_in_api dependencies \
            transports events loggers plugins";
        let address = "192.0.2.1".parse().unwrap();
        let mut info = ServerInfo {
            candidates_timeout: 0,
            local_ip: address,
            public_ip: None,
            public_ips: &[],
            ipv6: false,
            min_nack_queue: 1000,
            twcc_period: 100,
            dtls_mtu: 1200,
            crypto: "library 1.0",
            handlers: &["janus.eventhandler.wsevh"],
            plugins: &[PLUGIN],
            session_timeout: 60,
            reclaim_session_timeout: 0,
            server_name: "here",
            accepting_new_sessions: true,
            api_secret: false,
            auth_token: false,
            event_handlers: true,
            static_event_loops: 1,
        };
        let shown = value(&server_info("t", &info));
        let mut keys: Vec<_> = KEYS.split_whitespace().collect();
        keys.sort_unstable();
        assert_eq!(shown.as_object().unwrap().keys().map(String::as_str).collect::<Vec<_>>(), keys);
        // Each part is described by the same five keys, and each dependency by a text.
        for group in ["transports", "events", "plugins"] {
            for part in shown[group].as_object().unwrap().values() {
                let keys: Vec<_> = part.as_object().unwrap().keys().collect();
                assert_eq!(keys, ["author", "description", "name", "version", "version_string"], "{group}");
            }
        }
        assert_eq!(shown["dependencies"], j!({"crypto":"library 1.0"}));
        info.public_ip = Some(address);
        info.public_ips = std::slice::from_ref(&address);
        let shown = value(&server_info("t", &info));
        assert_eq!((&shown["public-ip"], &shown["public-ips"]), (&j!("192.0.2.1"), &j!(["192.0.2.1"])));
    }

    #[test]
    fn what_we_send_is_compact() {
        assert_eq!(ack(SessionId(5), "t"), r#"{"janus":"ack","session_id":5,"transaction":"t"}"#);
    }

    #[test]
    fn created_holds_the_id_in_data_only() {
        assert_eq!(value(&created(SessionId(5), "a\"b")), j!({"janus":"success","transaction":"a\"b","data":{"id":5}}));
    }

    #[test]
    fn a_notice_is_addressed_without_being_rendered_again() {
        let notice = Notice::plugin(
            "event",
            "p",
            &j!({"videoroom":"event"}),
            Some(Jsep { kind: "offer", sdp: "v=0\r\n", e2ee: false }),
        );
        assert_eq!(
            value(&notice.address(SessionId(1), HandleId(2), Some("x\\"))),
            j!({"janus":"event","session_id":1,"sender":2,"transaction":"x\\",
                "plugindata":{"plugin":"p","data":{"videoroom":"event"}},"jsep":{"type":"offer","sdp":"v=0\r\n"}})
        );
        let notice = Notice::new("webrtcup", &j!({}));
        assert_eq!(
            value(&notice.address(SessionId(1), HandleId(2), None)),
            j!({"janus":"webrtcup","session_id":1,"sender":2})
        );
        let notice = Notice::new("hangup", &j!({"reason":{"a":{}}}));
        assert_eq!(
            value(&notice.address(SessionId(1), HandleId(2), None)),
            j!({"janus":"hangup","session_id":1,"sender":2,"reason":{"a":{}}})
        );
    }

    #[test]
    fn an_error_about_session_zero_does_not_echo_it() {
        let text = error(Some(SessionId(0)), Some("t"), &CoreError::NoSuchSession(SessionId(0)));
        assert_eq!(
            value(&text),
            j!({"janus":"error","transaction":"t","error":{"code":458,"reason":"Session not found"}})
        );
    }
}
