//! The real program over real sockets: the Janus API over HTTP with a long poll, WebSockets beside it, and both behind
//! TLS. What requests mean is tested without sockets, in `tests/janus`.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use openssl::ssl::{Ssl, SslContext, SslMethod, SslStream, SslVerifyMode};
use serde_json::{Value, json};
use tungstenite::client::IntoClientRequest;
use tungstenite::{Message, WebSocket};

/// A socket, with TLS or without.
trait Stream: Read + Write {}
impl<S: Read + Write> Stream for S {}

/// A running server, killed when it is dropped.
struct Server {
    child: Child,
    at: SocketAddr,
    /// Where the Admin API has an address of its own.
    operators: Option<SocketAddr>,
    tls: bool,
}

impl Server {
    /// Starts it and reads from the banner where it listens.
    fn start(flags: &[&str]) -> Server {
        let media = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let mut child = Command::new(env!("CARGO_BIN_EXE_portunus"))
            .args(["--listen", "127.0.0.1:0", "--media-ip", "127.0.0.1", "--shards", "1"])
            .args(["--media-port", &media.to_string()])
            .args(flags)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut banner = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let line = banner.find(|line| line.contains("://")).expect("the server is ready");
        let (scheme, rest) = line.trim().split_once("://").unwrap();
        let at = rest.split_whitespace().next().unwrap().parse().unwrap();
        let operators = flags.contains(&"--admin-listen").then(|| {
            let line = banner.next().expect("it says where operators are served");
            line.split("://").nth(1).unwrap().trim_end_matches("/admin").parse().unwrap()
        });
        Server { child, at, operators, tls: scheme == "wss" }
    }

    fn connect(&self) -> TcpStream {
        Server::connect_to(self.at)
    }

    fn connect_to(at: SocketAddr) -> TcpStream {
        let stream = TcpStream::connect(at).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream
    }

    fn open(&self) -> Box<dyn Stream> {
        let stream = self.connect();
        if !self.tls {
            return Box::new(stream);
        }
        let mut builder = SslContext::builder(SslMethod::tls()).unwrap();
        builder.set_verify(SslVerifyMode::NONE);
        let mut stream = SslStream::new(Ssl::new(&builder.build()).unwrap(), stream).unwrap();
        stream.connect().unwrap();
        let certificate = stream.ssl().peer_certificate().unwrap();
        assert!(certificate.subject_alt_names().unwrap().iter().any(|name| name.ipaddress() == Some(&[127, 0, 0, 1])));
        Box::new(stream)
    }

    fn http(&self) -> Http {
        Http(BufReader::new(self.open()))
    }

    fn websocket(&self) -> Socket {
        let mut request =
            format!("{}://{}/", if self.tls { "wss" } else { "ws" }, self.at).into_client_request().unwrap();
        request.headers_mut().insert("Sec-WebSocket-Protocol", "janus-protocol".parse().unwrap());
        Socket(tungstenite::client::client(request, self.open()).expect("a handshake").0)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Already ended is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

struct Http(BufReader<Box<dyn Stream>>);

impl Http {
    fn send(&mut self, method: &str, path: &str, content: &str) {
        let length = content.len();
        let request = format!("{method} {path} HTTP/1.1\r\nHost: h\r\nContent-Length: {length}\r\n\r\n{content}");
        self.0.get_mut().write_all(request.as_bytes()).unwrap();
    }

    fn receive(&mut self) -> (u16, String) {
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            self.0.read_line(&mut line).unwrap();
            match line.trim_end() {
                "" => break,
                line => lines.push(line.to_owned()),
            }
        }
        let length = lines.iter().find_map(|line| line.strip_prefix("Content-Length: ")).unwrap().parse().unwrap();
        let mut content = vec![0; length];
        self.0.read_exact(&mut content).unwrap();
        (lines[0].split(' ').nth(1).unwrap().parse().unwrap(), String::from_utf8(content).unwrap())
    }

    fn json(&mut self) -> Value {
        let (status, content) = self.receive();
        assert_eq!(status, 200, "{content}");
        serde_json::from_str(&content).unwrap()
    }

    fn ask(&mut self, path: &str, request: Value) -> Value {
        self.send("POST", path, &request.to_string());
        self.json()
    }
}

struct Socket(WebSocket<Box<dyn Stream>>);

impl Socket {
    fn hear(&mut self) -> Value {
        match self.0.read().unwrap() {
            Message::Text(text) => serde_json::from_str(&text).unwrap(),
            other => panic!("{other:?} is no text"),
        }
    }

    fn ask(&mut self, request: Value) -> Value {
        self.0.send(Message::text(request.to_string())).unwrap();
        self.hear()
    }
}

/// A client over HTTP hears, by long poll, of one over WebSocket.
fn converse(server: &Server) {
    let mut http = server.http();
    let session = http.ask("/janus", json!({"janus":"create","transaction":"1"}))["data"]["id"].as_u64().unwrap();
    let path = format!("/janus/{session}");
    let attach = json!({"janus":"attach","transaction":"2","plugin":"janus.plugin.videoroom"});
    let handle = http.ask(&path, attach.clone())["data"]["id"].as_u64().unwrap();
    let at_handle = format!("{path}/{handle}");
    let list = http.ask(&at_handle, json!({"janus":"message","transaction":"3","body":{"request":"list"}}));
    assert_eq!(list["plugindata"]["data"]["list"][0]["room"], 1234);
    let join = json!({"request":"join","room":1234,"ptype":"publisher"});
    assert_eq!(http.ask(&at_handle, json!({"janus":"message","transaction":"4","body":join}))["janus"], "ack");
    http.send("GET", &format!("{path}?maxev=1&rid=1"), "");
    assert_eq!(http.json()["plugindata"]["data"]["videoroom"], "joined");
    http.send("GET", &format!("{path}?maxev=5&rid=2"), "");

    let mut socket = server.websocket();
    let other = socket.ask(json!({"janus":"create","transaction":"1"}))["data"]["id"].as_u64().unwrap();
    let request = |request: Value| {
        let mut request = request;
        request["session_id"] = other.into();
        request
    };
    let handle = socket.ask(request(attach))["data"]["id"].as_u64().unwrap();
    let message = |body: Value| request(json!({"janus":"message","transaction":"5","handle_id":handle,"body":body}));
    assert_eq!(socket.ask(message(join))["janus"], "ack");
    let joined = socket.hear();
    assert_eq!(socket.ask(message(json!({"request":"leave"})))["janus"], "ack");

    let events = http.json();
    assert_eq!(events[0]["plugindata"]["data"]["leaving"], joined["plugindata"]["data"]["id"]);
    // The same connection goes on, and the WebSocket may drive this session too.
    let claim = json!({"janus":"claim","transaction":"6","session_id":session});
    http.send("GET", &path, "");
    loop {
        let heard = socket.ask(claim.clone());
        if heard["transaction"] == "6" {
            break assert_eq!(heard["janus"], "success");
        }
    }
    assert_eq!(http.json(), json!({"janus":"keepalive"}));
    http.send("GET", &path, "");
    assert_eq!(http.receive(), (404, String::new()));
    assert_eq!(sessions(&mut http), 2);
    drop(socket);
    let deadline = Instant::now() + Duration::from_secs(10);
    while sessions(&mut http) > 0 {
        assert!(Instant::now() < deadline, "both belonged to the WebSocket");
    }
}

fn sessions(http: &mut Http) -> u64 {
    http.send("GET", "/healthz", "");
    http.json()["signalling"]["gauges"]["sessions"].as_u64().unwrap()
}

#[test]
fn a_long_poll_hears_of_a_websocket_in_the_same_room() {
    let server = Server::start(&[]);
    assert!(!server.tls);
    converse(&server);
}

#[test]
fn several_signalling_shards_are_one_server_to_their_clients() {
    let mut server = Server::start(&["--signalling-shards", "3"]);
    // The kernel deals connections out; some of these meet sessions of another shard, and all must get along.
    for _ in 0..8 {
        converse(&server);
    }
    let mut http = server.http();
    http.send("GET", "/healthz", "");
    let health = http.json();
    let relayed = |shard: usize| health["signalling_shards"][shard]["counters"]["relays_sent"].as_u64().unwrap();
    assert_eq!(health["signalling_shards"].as_array().unwrap().len(), 3);
    assert!((0..3).map(relayed).sum::<u64>() > 20, "{health}");
    let mut socket = server.websocket();
    socket.ask(json!({"janus":"create","transaction":"1"}));
    // SAFETY: the child is ours and has not been waited for.
    assert_eq!(unsafe { libc::kill(libc::pid_t::try_from(server.child.id()).unwrap(), libc::SIGTERM) }, 0);
    assert!(matches!(socket.0.read().unwrap(), Message::Close(_)));
    drop((socket, http));
    let deadline = Instant::now() + Duration::from_secs(15);
    let status = loop {
        match server.child.try_wait().unwrap() {
            Some(status) => break status,
            None => assert!(Instant::now() < deadline, "it does not drain"),
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    assert!(status.success(), "{status}");
}

/// An operator's request.
fn admin(verb: &str, more: Value) -> Value {
    let mut request = json!({"janus": verb, "transaction": "a", "admin_secret": "adm"});
    request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    request
}

#[test]
fn operators_have_an_address_of_their_own_and_what_they_say_holds_on_every_signalling_shard() {
    let flags = ["--signalling-shards", "3", "--token-auth", "--admin-secret", "adm", "--admin-listen", "127.0.0.1:0"];
    let server = Server::start(&flags);
    let operator = || Http(BufReader::new(Box::new(Server::connect_to(server.operators.unwrap()))));
    let mut one = operator();
    assert_eq!(one.ask("/admin", admin("get_status", json!({})))["status"]["log_level"], 4);
    assert_eq!(one.ask("/admin", admin("set_log_level", json!({"level": 3})))["level"], 3);
    assert_eq!(one.ask("/admin", admin("custom_logline", json!({"line": "tested"})))["janus"], "success");
    let mut client = server.http();
    client.send("POST", "/admin", &admin("get_status", json!({})).to_string());
    assert_eq!(client.receive(), (404, String::new()));
    let create = json!({"janus":"create","transaction":"1","token":"t"});
    assert_eq!(client.ask("/janus", create.clone())["error"]["code"], 403);
    assert_eq!(one.ask("/admin", admin("add_token", json!({"token": "t"})))["janus"], "success");
    // The kernel deals connections out: some of these are another shard's, and so are some of the sessions.
    let mut sessions: Vec<u64> =
        (0..12).map(|_| server.http().ask("/janus", create.clone())["data"]["id"].as_u64().unwrap()).collect();
    sessions.sort_unstable();
    for _ in 0..6 {
        let mut operator = operator();
        assert_eq!(operator.ask("/admin", admin("list_sessions", json!({})))["sessions"], json!(sessions));
        for session in &sessions {
            let attach = json!({"janus":"attach","transaction":"2","token":"t","plugin":"janus.plugin.videoroom"});
            let handle = client.ask(&format!("/janus/{session}"), attach)["data"]["id"].clone();
            let info = operator.ask(&format!("/admin/{session}/{handle}"), admin("handle_info", json!({})));
            assert_eq!(info["info"]["token"], "t");
        }
    }
    assert_eq!(one.ask("/admin", admin("accept_new_sessions", json!({"accept": false})))["accept"], false);
    for _ in 0..6 {
        assert_eq!(server.http().ask("/janus", create.clone())["error"]["code"], 472);
    }
    assert_eq!(one.ask("/admin", admin("remove_token", json!({"token": "t"})))["janus"], "success");
    for session in sessions {
        let keepalive = json!({"janus":"keepalive","transaction":"3","token":"t"});
        assert_eq!(server.http().ask(&format!("/janus/{session}"), keepalive)["error"]["code"], 403);
    }
}

#[test]
fn behind_tls_it_is_the_same_and_who_does_not_speak_it_is_told_or_dropped() {
    let server = Server::start(&["--tls-self-signed"]);
    assert!(server.tls);
    let begun = Instant::now();
    // A ClientHello that never comes to its end.
    let mut slow = server.connect();
    slow.write_all(b"\x16\x03\x01\x02\x00\x01\x00").unwrap();
    let mut silent = server.connect();

    let mut plain = server.connect();
    plain.write_all(b"GET /janus/info HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
    let mut answer = String::new();
    plain.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("https://"), "{answer}");
    converse(&server);

    for waiting in [&mut slow, &mut silent] {
        let mut rest = Vec::new();
        // A reset is an end as well.
        let _ = waiting.read_to_end(&mut rest);
        assert_eq!(rest, b"");
    }
    let waited = begun.elapsed();
    assert!((Duration::from_secs(9)..Duration::from_secs(15)).contains(&waited), "{waited:?}");
    let mut http = server.http();
    http.send("GET", "/healthz", "");
    let drops = &http.json()["signalling"]["drops"];
    assert_eq!((&drops["tls_handshake_timeout"], &drops["tls_not_spoken"]), (&json!(2), &json!(1)));
}

#[test]
fn a_certificate_that_cannot_be_used_is_an_error_that_names_the_setting() {
    let failure = |flags: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_portunus")).args(flags).output().unwrap();
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(failure(&["--tls-cert", "c.pem"]).contains("tls_key: "));
    let this = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    let said = failure(&["--tls-cert", "nowhere.pem", "--tls-key", this]);
    assert!(said.contains("--tls-cert nowhere.pem: "), "{said}");
    let said = failure(&["--tls-cert", this, "--tls-key", this]);
    assert!(said.contains("--tls-cert ") || said.contains("--tls-key "), "{said}");
}

/// A session, and requests to the VideoRoom in it.
fn room_requests(server: &Server) -> impl FnMut(Value) -> Value + use<> {
    let mut http = server.http();
    let session = &http.ask("/janus", json!({"janus":"create","transaction":"1"}))["data"]["id"];
    let path = format!("/janus/{session}");
    let attach = json!({"janus":"attach","transaction":"2","plugin":"janus.plugin.videoroom"});
    let path = format!("{path}/{}", http.ask(&path, attach)["data"]["id"]);
    move |body| http.ask(&path, json!({"janus":"message","transaction":"3","body":body}))["plugindata"]["data"].take()
}

#[test]
fn permanent_rooms_survive_a_kill_and_others_do_not() {
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("rooms-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("rooms.toml");
    let flags = ["--rooms-file", path.to_str().unwrap(), "--signalling-shards", "2"];
    let server = Server::start(&flags);
    let mut ask = room_requests(&server);
    for (request, permanent) in [
        (json!({"request":"create","room":1,"permanent":true,"secret":"s","allowed":["t"],"videocodec":"h264"}), true),
        (json!({"request":"create","room":2}), false),
        (json!({"request":"create","room":3,"permanent":true}), true),
        (json!({"request":"edit","room":1,"secret":"s","new_description":"kept","permanent":true}), true),
        (json!({"request":"destroy","room":3,"permanent":true}), true),
        (json!({"request":"destroy","room":1234,"permanent":true}), true),
    ] {
        assert_eq!(ask(request)["permanent"], permanent);
    }
    drop(server); // by SIGKILL

    let server = Server::start(&flags);
    let mut ask = room_requests(&server);
    let list = ask(json!({"request":"list"}))["list"].take();
    assert_eq!(list.as_array().unwrap().len(), 1, "{list}");
    let shown = ["room", "description", "videocodec"].map(|key| list[0][key].clone());
    assert_eq!(shown, [json!(1), json!("kept"), json!("h264")]);
    let allowed = ask(json!({"request":"allowed","action":"enable","room":1,"secret":"s"}));
    assert_eq!(allowed["allowed"], json!(["t"]));

    // A disk that does not take it is an answer.
    std::fs::remove_dir_all(&folder).unwrap();
    assert_eq!(
        ask(json!({"request":"create","room":9,"permanent":true})),
        json!({"videoroom":"created","room":9,"permanent":false})
    );
}
