//! Who has no right: secrets that are wrong, ids of others, requests that are played again. All of it is refused with the
//! documented code, and no secret, right or wrong, is ever in the log, however much is logged.

use crate::alone;
use crate::client::{self, PATIENCE};
use crate::server::Server;
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use tungstenite::{Message, WebSocket};

/// What may never be seen: it is part of every secret below.
const SECRET: &str = "sesame";
const API: &str = "sesame-of-the-api";
const ADMIN: &str = "sesame-of-the-admin";
const OPERATOR: &str = "sesame-of-the-operator";
const TOKEN: &str = "sesame-token";

/// A connection with a session, on which anything may be said.
struct Visitor {
    socket: WebSocket<TcpStream>,
    session: u64,
    handle: u64,
}

impl Visitor {
    fn new(at: SocketAddr) -> Visitor {
        let mut visitor = Visitor { socket: client::open(at), session: 0, handle: 0 };
        let id = |answer: Value| answer["data"]["id"].as_u64().unwrap_or_else(|| panic!("no id: {answer}"));
        visitor.session = id(visitor.ask(json!({ "janus": "create", "apisecret": API })));
        let plugin = "janus.plugin.videoroom";
        let attach = json!({ "janus": "attach", "apisecret": API, "session_id": visitor.session, "plugin": plugin });
        visitor.handle = id(visitor.ask(attach));
        visitor
    }

    /// The next message that is no ack.
    fn hear(&mut self) -> Value {
        loop {
            if let Message::Text(text) = self.socket.read().expect("an answer") {
                let answer: Value = serde_json::from_str(&text).expect("JSON");
                if answer["janus"] != "ack" {
                    return answer;
                }
            }
        }
    }

    fn ask(&mut self, mut request: Value) -> Value {
        request["transaction"] = "the same every time".into();
        self.socket.send(Message::text(request.to_string())).expect("the server reads");
        self.hear()
    }

    /// Asks VideoRoom with the right secret of the API.
    fn message(&mut self, body: Value) -> Value {
        let (session, handle) = (self.session, self.handle);
        let request = json!({
            "janus": "message", "apisecret": API, "session_id": session, "handle_id": handle, "body": body
        });
        self.ask(request)["plugindata"]["data"].clone()
    }
}

/// Status and content of one HTTP request.
fn http(at: SocketAddr, request: &str, content: &str) -> (u16, Value) {
    let mut stream = TcpStream::connect(at).expect("the server accepts");
    stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
    let length = if content.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", content.len()) };
    write!(stream, "{request} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n{length}\r\n{content}").expect("it reads");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("an answer");
    let (head, content) = text.split_once("\r\n\r\n").expect("a head");
    (head[9..12].parse().expect("a status"), serde_json::from_str(content).unwrap_or_default())
}

/// Requests without the right secret of the API: refused before anything else of them is looked at.
fn strangers(at: SocketAddr, owner: &Visitor) {
    let mut stranger = Visitor { socket: client::open(at), session: 0, handle: 0 };
    let wrong = [
        json!("sesame-of-nobody"),
        json!(""),
        json!("sesame-of-the-ap"),
        json!(7),
        json!(null),
        json!([API]),
        json!(true),
    ];
    for secret in wrong {
        for verb in ["create", "attach", "keepalive", "claim", "message", "trickle", "hangup", "detach", "destroy", "x"]
        {
            // The session of somebody else, and one that does not exist: the answer is the same.
            for session in [owner.session, 1] {
                let mut request = json!({ "janus": verb, "apisecret": secret.clone() });
                if verb != "create" {
                    request["session_id"] = session.into();
                    request["handle_id"] = owner.handle.into();
                }
                let answer = stranger.ask(request.clone());
                assert_eq!(answer["error"]["code"], 403, "{request}: {answer}");
                request["transaction"] = "t".into();
                let (status, answer) = http(at, "POST /janus", &request.to_string());
                assert_eq!((status, &answer["error"]["code"]), (200, &json!(403)), "{request}: {answer}");
            }
        }
    }
    for session in [owner.session, 1] {
        for query in
            ["", "?apisecret=", "?apisecret=sesame-of-nobody", "?token=sesame-of-the-api", "?apisecret=%73esame"]
        {
            assert_eq!(http(at, &format!("GET /janus/{session}{query}"), "").0, 403, "{query}");
        }
    }
}

/// Ids that are others', or nobody's, with the right secret of the API.
fn ids_of_others(visitor: &mut Visitor, other: &Visitor) {
    let asked = |visitor: &mut Visitor, verb: &str, session: u64, handle: u64| {
        let answer = visitor.ask(json!({
            "janus": verb, "apisecret": API, "session_id": session, "handle_id": handle, "body": { "request": "list" },
            "candidate": { "completed": true }
        }));
        answer["error"]["code"].clone()
    };
    let (mine, theirs) = (visitor.session, other.session);
    for verb in ["message", "trickle", "hangup", "detach"] {
        assert_eq!(asked(visitor, verb, mine, other.handle), 459, "{verb}: a handle of another session");
        assert_eq!(asked(visitor, verb, theirs, visitor.handle), 459, "{verb}: our handle in another session");
        assert_eq!(asked(visitor, verb, mine ^ 1, visitor.handle), 458, "{verb}: nobody's session");
    }
    for verb in ["keepalive", "claim", "destroy"] {
        assert_eq!(asked(visitor, verb, mine ^ 1, visitor.handle), 458, "{verb}");
    }
    let taken = visitor.ask(json!({ "janus": "create", "apisecret": API, "id": theirs }));
    assert_eq!(taken["error"]["code"], 468, "{taken}");
}

/// Requests with a transaction that was there before are requests of their own; what was done is not done twice.
fn played_again(visitor: &mut Visitor) {
    let join = json!({ "request": "join", "ptype": "publisher", "room": 4411, "pin": "sesame-pin", "id": 5 });
    assert_eq!(visitor.message(join.clone())["videoroom"], "joined");
    assert_eq!(visitor.message(join)["error_code"], 425);
    let create = json!({ "request": "create", "room": 4412, "admin_key": ADMIN });
    assert_eq!(visitor.message(create.clone())["videoroom"], "created");
    assert_eq!(visitor.message(create)["error_code"], 427);
    let detach =
        json!({ "janus": "detach", "apisecret": API, "session_id": visitor.session, "handle_id": visitor.handle });
    assert_eq!(visitor.ask(detach.clone())["janus"], "success");
    assert_eq!(visitor.hear()["janus"], "detached");
    assert_eq!(visitor.ask(detach)["error"]["code"], 459);
    let destroy = json!({ "janus": "destroy", "apisecret": API, "session_id": visitor.session });
    assert_eq!(visitor.ask(destroy.clone())["janus"], "success");
    assert_eq!(visitor.ask(destroy)["error"]["code"], 458);
}

/// Keys, secrets and pins of the plugin.
fn wrong_keys(visitor: &mut Visitor) {
    let code = |visitor: &mut Visitor, body: Value| visitor.message(body)["error_code"].clone();
    for (key, expected) in [(json!("sesame-of-nobody"), 433), (json!(""), 433), (json!(7), 429)] {
        assert_eq!(code(visitor, json!({ "request": "create", "admin_key": key })), expected, "{key}");
    }
    assert_eq!(code(visitor, json!({ "request": "create" })), 429);
    let room = json!({
        "request": "create", "room": 4411, "admin_key": ADMIN, "secret": "sesame-secret", "pin": "sesame-pin"
    });
    assert_eq!(visitor.message(room)["videoroom"], "created");
    for request in ["edit", "destroy", "kick", "moderate", "allowed"] {
        let body = json!({
            "request": request, "room": 4411, "secret": "sesame-of-nobody", "id": 5, "mid": "0", "mute": true,
            "action": "enable"
        });
        assert_eq!(code(visitor, body), 433, "{request}");
    }
    for pin in ["sesame-of-nobody", "", "sesame-pi", "sesame-pins"] {
        let join = json!({ "request": "join", "ptype": "publisher", "room": 4411, "pin": pin });
        assert_eq!(code(visitor, join), 433, "{pin}");
    }
    let shown = visitor.message(json!({ "request": "list", "admin_key": ADMIN })).to_string();
    assert!(shown.contains("4411") && !shown.contains(SECRET), "{shown}");
}

/// What is no request, around a secret.
fn garbage(at: SocketAddr) {
    let deep = format!(r#"{{"janus":"create","apisecret":"{API}","x":{}{}}}"#, "[".repeat(1000), "]".repeat(1000));
    let cut = format!(r#"{{"janus":"create","apisecret":"{API}"#);
    let long = format!(r#"{{"janus":"create","apisecret":"{API}","x":"{}"}}"#, "x".repeat((1 << 20) - 100));
    for text in [&deep, &cut] {
        let mut socket = client::open(at);
        socket.send(Message::text(text.as_str())).expect("the server reads");
        let answer = socket.read().expect("an answer").into_text().expect("text").to_string();
        assert!(answer.contains("454") && !answer.contains(SECRET), "{answer}");
        assert_eq!(http(at, "POST /janus", text).1["error"]["code"], 454);
    }
    assert_eq!(http(at, "POST /janus", &long).1["error"]["code"], 456, "it is as long as may be");
    assert_eq!(http(at, &format!("GET /nowhere?apisecret={API}"), "").0, 404);
    assert_eq!(http(at, &format!("FROB /janus/{API}"), "").0, 404);
}

/// What only operators may do, and tokens, which open the API until they are taken away.
fn operators_and_tokens(at: SocketAddr, owner: &Visitor) {
    let ask = |path: &str, request: Value| {
        let mut request = request;
        request["transaction"] = "t".into();
        let (status, answer) = http(at, &format!("POST {path}"), &request.to_string());
        assert_eq!(status, 200, "{path}: {request}");
        answer
    };
    let verbs = ["add_token", "list_tokens", "list_sessions", "get_status", "set_log_level", "destroy_session", "x"];
    for secret in
        [json!("sesame-of-nobody"), json!(""), json!(API), json!(ADMIN), json!(7), json!(null), json!([OPERATOR])]
    {
        for verb in verbs {
            let request = json!({ "janus": verb, "admin_secret": secret, "apisecret": API, "token": TOKEN });
            for path in ["/admin".into(), format!("/admin/{}", owner.session)] {
                let answer = ask(&path, request.clone());
                assert_eq!(answer["error"]["code"], 403, "{path}: {request}: {answer}");
            }
        }
    }
    let operator = |verb: &str, token: Value| {
        ask("/admin", json!({ "janus": verb, "admin_secret": OPERATOR, "token": token, "plugins": [] }))
    };
    let create = |token: &str| ask("/janus", json!({ "janus": "create", "token": token }));
    assert_eq!(create(TOKEN)["error"]["code"], 403, "nobody has stored it yet");
    assert_eq!(operator("add_token", json!(TOKEN))["janus"], "success");
    assert_eq!(operator("add_token", json!([TOKEN]))["error"]["code"], 467);
    assert!(operator("list_tokens", json!(null)).to_string().contains(TOKEN));
    assert_eq!(create(TOKEN)["janus"], "success");
    for token in ["sesame-toke", "sesame-tokens", "sesame-of-nobody", ""] {
        assert_eq!(create(token)["error"]["code"], 403, "{token}");
        assert_eq!(http(at, &format!("GET /janus/{}?token={token}", owner.session), "").0, 403);
    }
    let session = create(TOKEN)["data"]["id"].clone();
    let plugin = "janus.plugin.videoroom";
    let attach = json!({ "janus": "attach", "session_id": session, "plugin": plugin, "token": TOKEN });
    let handle = ask("/janus", attach)["data"]["id"].clone();
    // What an operator is shown of a handle, and may ask in its stead.
    let shown = ask(&format!("/admin/{session}/{handle}"), json!({ "janus": "handle_info", "admin_secret": OPERATOR }));
    assert_eq!(shown["info"]["token"], TOKEN, "{shown}");
    let request = json!({ "request": "list", "admin_key": ADMIN });
    let message = json!({ "janus": "message_plugin", "admin_secret": OPERATOR, "plugin": plugin, "request": request });
    assert_eq!(ask("/admin", message)["response"]["videoroom"], "success");
    assert_eq!(operator("remove_token", json!(TOKEN))["janus"], "success");
    assert_eq!(operator("remove_token", json!(TOKEN))["error"]["code"], 470);
    assert_eq!(create(TOKEN)["error"]["code"], 403, "it has been taken away");
    let deep = format!(r#"{{"janus":"list_tokens","admin_secret":"{OPERATOR}","token":"{TOKEN}"#);
    assert_eq!(http(at, "POST /admin", &deep).1["error"]["code"], 454);
}

#[test]
fn who_has_no_right_is_refused_and_no_secret_is_ever_logged() {
    let _alone = alone();
    let secrets = ["--api-secret", API, "--admin-key", ADMIN, "--admin-secret", OPERATOR, "--token-auth"];
    let mut server = Server::start(31_950, 1, &[&["--log", "trace"], &secrets[..]].concat());
    let at = server.signalling;
    let (mut visitor, other) = (Visitor::new(at), Visitor::new(at));
    strangers(at, &other);
    ids_of_others(&mut visitor, &other);
    operators_and_tokens(at, &other);
    wrong_keys(&mut visitor);
    played_again(&mut visitor);
    garbage(at);
    server.is_well();
    server.terminate();
    server.ended(PATIENCE);
    let said = server.said();
    assert!(!said.is_empty(), "something is logged at this level");
    assert!(!said.contains(SECRET), "{said}");
}
