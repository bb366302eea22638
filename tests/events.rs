//! The real program with event handlers: what a webhook and a WebSocket of the operator's are sent, and that neither one
//! that fails nor one that stalls is felt by anybody else.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Cursor, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use flate2::read::GzDecoder;
use openssl::asn1::Asn1Time;
use openssl::bn::BigNum;
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::PKey;
use openssl::ssl::{SslAcceptor, SslMethod};
use openssl::x509::extension::SubjectAlternativeName;
use openssl::x509::{X509Builder, X509NameBuilder};
use serde_json::{Value, json};
use tungstenite::Message;
use tungstenite::handshake::server::{Request as Upgrade, Response};

const PATIENCE: Duration = Duration::from_secs(20);

/// A running server, killed when it is dropped.
struct Server {
    child: Child,
    at: SocketAddr,
    settings: PathBuf,
}

impl Server {
    /// Starts it with a file of settings and reads from the banner where it listens.
    fn start(name: &str, settings: &str, environment: &[(&str, &str)]) -> Server {
        let media = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}.toml", std::process::id()));
        fs::write(&file, settings).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_portunus"))
            .args(["--listen", "127.0.0.1:0", "--media-ip", "127.0.0.1", "--shards", "1", "--server-name", "here"])
            .args(["--media-port", &media.to_string(), "--config"])
            .arg(&file)
            .envs(environment.iter().copied())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let banner = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let line = banner.into_iter().find(|line| line.contains("://")).expect("the server is ready");
        let at = line.trim().split_once("://").unwrap().1.split_whitespace().next().unwrap().parse().unwrap();
        Server { child, at, settings: file }
    }

    fn request(&self, method: &str, path: &str, content: &str) -> Value {
        let mut stream = TcpStream::connect(self.at).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let length = content.len();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{content}"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
    }

    fn ask(&self, path: &str, mut request: Value) -> Value {
        request["transaction"] = "t".into();
        self.request("POST", &format!("/janus{path}"), &request.to_string())
    }

    /// A client that makes a session, attaches, joins, leaves and goes. Its session and handle.
    fn visit(&self) -> (u64, u64) {
        let session = self.ask("", json!({"janus":"create"}))["data"]["id"].as_u64().unwrap();
        let path = format!("/{session}");
        let attach = json!({"janus":"attach","plugin":"janus.plugin.videoroom","opaque_id":"visitor"});
        let handle = self.ask(&path, attach)["data"]["id"].as_u64().unwrap();
        let at_handle = format!("{path}/{handle}");
        for body in [json!({"request":"join","room":1234,"ptype":"publisher","id":5}), json!({"request":"leave"})] {
            assert_eq!(self.ask(&at_handle, json!({"janus":"message","body":body}))["janus"], "ack");
            // Its answer is fetched, so that the next request does not overtake what comes of this one.
            self.request("GET", &format!("/janus{path}?maxev=1"), "");
        }
        assert_eq!(self.ask(&path, json!({"janus":"destroy"}))["janus"], "success");
        (session, handle)
    }

    /// A count that `/healthz` shows, as soon as it is large enough.
    fn count(&self, part: &str, name: &str, least: u64) -> u64 {
        let begun = Instant::now();
        loop {
            let count = self.request("GET", "/healthz", "")["signalling"][part][name].as_u64().unwrap();
            if count >= least {
                return count;
            }
            assert!(begun.elapsed() < PATIENCE, "{name} is {count}");
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Lets it end in good order.
    fn end(mut self) {
        // SAFETY: the child is ours and has not been waited for.
        assert_eq!(unsafe { libc::kill(libc::pid_t::try_from(self.child.id()).unwrap(), libc::SIGTERM) }, 0);
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Already ended is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_file(&self.settings);
    }
}

/// What a webhook was posted.
struct Post {
    target: String,
    fields: BTreeMap<String, String>,
    content: Vec<u8>,
}

impl Post {
    fn read(stream: &mut impl BufRead) -> Option<Post> {
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            stream.read_line(&mut line).ok().filter(|length| *length > 0)?;
            match line.trim_end() {
                "" => break,
                line => lines.push(line.to_owned()),
            }
        }
        let target = lines[0].strip_prefix("POST ")?.strip_suffix(" HTTP/1.1")?.to_owned();
        let fields = lines[1..].iter().filter_map(|line| line.split_once(": "));
        let fields: BTreeMap<String, String> = fields.map(|(name, value)| (name.into(), value.into())).collect();
        let mut content = vec![0; fields["Content-Length"].parse().unwrap()];
        stream.read_exact(&mut content).ok()?;
        Some(Post { target, fields, content })
    }

    fn json(&self) -> Value {
        let mut text = String::new();
        match self.fields.get("Content-Encoding").map(String::as_str) {
            Some("gzip") => drop(GzDecoder::new(&self.content[..]).read_to_string(&mut text).unwrap()),
            None => text = String::from_utf8(self.content.clone()).unwrap(),
            Some(other) => panic!("{other} is not what we said"),
        }
        serde_json::from_str(&text).unwrap()
    }
}

trait Channel: Read + Write + Send {}
impl<S: Read + Write + Send> Channel for S {}

/// An operator's HTTP server: `answer` says what each post is answered with, none being nothing at all.
fn webhook(
    tls: Option<SslAcceptor>,
    answer: impl Fn(usize) -> Option<&'static str> + Send + 'static,
) -> (SocketAddr, Receiver<Post>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let at = listener.local_addr().unwrap();
    let (sender, posts) = channel();
    thread::spawn(move || {
        let mut count = 0;
        for socket in listener.incoming() {
            serve(&mut BufReader::new(accept(&tls, socket.unwrap())), &mut count, &answer, &sender);
        }
    });
    (at, posts)
}

/// A connection that nothing comes from when its handshake has failed.
fn accept(tls: &Option<SslAcceptor>, socket: TcpStream) -> Box<dyn Channel> {
    match tls.as_ref().map(|tls| tls.accept(socket.try_clone().unwrap())) {
        None => Box::new(socket),
        Some(Ok(stream)) => Box::new(stream),
        Some(Err(_)) => Box::new(Cursor::new(Vec::new())),
    }
}

fn serve(
    stream: &mut BufReader<Box<dyn Channel>>,
    count: &mut usize,
    answer: &impl Fn(usize) -> Option<&'static str>,
    posts: &Sender<Post>,
) {
    while let Some(post) = Post::read(stream) {
        *count += 1;
        let said = answer(*count - 1);
        // Who does not listen any more has seen enough.
        let _ = posts.send(post);
        match said {
            Some(said) if stream.get_mut().write_all(said.as_bytes()).is_ok() => {}
            Some(_) => return,
            None => thread::sleep(Duration::from_secs(3600)),
        }
    }
}

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const BROKEN: &str = "HTTP/1.1 500 Oh\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";

/// The events of posts until one of a session's end with its handle's.
fn collect(posts: &Receiver<Post>, session: u64) -> Vec<Value> {
    let mut events = Vec::new();
    loop {
        let post = posts.recv_timeout(PATIENCE).expect("a post");
        match post.json() {
            Value::Array(several) => events.extend(several),
            one => events.push(one),
        }
        if events.iter().any(|event| event["session_id"] == session && event["event"]["name"] == "detached") {
            return events;
        }
    }
}

/// The story that the events of a session tell, without those of transports.
fn story(events: &[Value], (session, handle): (u64, u64)) -> Vec<String> {
    let own = events.iter().filter(|event| event["session_id"] == session);
    let told = own.map(|event| {
        assert_eq!(event["emitter"], "here");
        assert!(event["timestamp"].as_u64().unwrap() > 1_700_000_000_000_000);
        let is_of_handle = event["type"] != 1;
        assert_eq!(event["handle_id"].as_u64(), is_of_handle.then_some(handle), "{event}");
        let what = &event["event"];
        format!("{} {}", event["type"], what["name"].as_str().or(what["data"]["event"].as_str()).unwrap())
    });
    told.collect()
}

const VISIT: [&str; 6] = ["1 created", "2 attached", "64 joined", "64 leaving", "1 destroyed", "2 detached"];

#[test]
fn a_webhook_is_posted_groups_compressed_and_with_credentials() {
    let (at, posts) = webhook(None, |_| Some(OK));
    let settings = format!(
        "signalling_shards = 3\nevent_webhook = \"http://{at}/hook?token=t\"\n[event_webhook_options]\ncompress = true\n\
         backend_user = \"ana\"\nbackend_pwd = \"p@ss\"\n"
    );
    let server = Server::start("groups", &settings, &[]);
    let first = posts.recv_timeout(PATIENCE).expect("a post");
    assert_eq!(first.target, "/hook?token=t");
    assert_eq!(first.fields["Authorization"], "Basic YW5hOnBAc3M=");
    assert_eq!(first.fields["Content-Type"], "application/json");
    assert_eq!(first.fields["Content-Encoding"], "gzip");
    let started = &first.json()[0];
    assert_eq!(
        (&started["type"], &started["subtype"], &started["event"]["status"]),
        (&json!(256), &json!(1), &json!("started"))
    );
    assert_eq!(started["event"]["info"]["event_handlers"], true);

    let visitor = server.visit();
    let events = collect(&posts, visitor.0);
    assert_eq!(story(&events, visitor), VISIT);
    let joined = events.iter().find(|event| event["event"]["data"]["event"] == "joined").unwrap();
    assert_eq!((&joined["opaque_id"], &joined["event"]["data"]["id"]), (&json!("visitor"), &json!(5)));
    let requests = events.iter().filter(|event| event["type"] == 128 && event["event"]["data"]["event"] == "request");
    assert!(requests.count() >= 7, "{events:?}");
    server.count("counters", "event_webhook_sent", u64::try_from(events.len()).unwrap());
    server.end();
    let last = posts.try_iter().last().expect("the end is told too").json();
    let last = last.as_array().unwrap().last().unwrap();
    assert_eq!((&last["subtype"], &last["event"]), (&json!(2), &json!({"status":"shutdown","signum":15})));
}

#[test]
fn what_the_other_side_cannot_take_is_posted_again_and_nothing_else_is() {
    let (at, posts) = webhook(None, |count| Some(if count < 3 { BROKEN } else { OK }));
    let settings = format!(
        "event_webhook = \"http://{at}\"\n[event_webhook_options]\nevents = \"sessions,handles,plugins\"\n\
         grouping = false\nretransmissions_backoff = 20\n"
    );
    let server = Server::start("again", &settings, &[]);
    let visitor = server.visit();
    let events = collect(&posts, visitor.0);
    let told = story(&events, visitor);
    let created = "1 created".to_owned();
    assert_eq!(told[..4], [&created[..]; 4], "three times in vain");
    assert_eq!(told[3..], VISIT);
    assert_eq!(events.len(), 9, "one at a time, and of no other type");
    assert_eq!(server.count("counters", "event_webhook_sent", 6), 6);
    assert_eq!(server.count("counters", "event_webhook_retried", 3), 3);
    assert_eq!(server.count("drops", "event_webhook_undelivered", 0), 0);
}

#[test]
fn a_webhook_that_stalls_is_felt_by_nobody_and_costs_what_finds_no_room() {
    let (at, _posts) = webhook(None, |_| None);
    let settings = format!("event_webhook = \"http://{at}\"\nevent_queue = 8\n");
    let server = Server::start("stall", &settings, &[]);
    let begun = Instant::now();
    for _ in 0..20 {
        server.visit();
    }
    assert!(begun.elapsed() < PATIENCE, "{:?}", begun.elapsed());
    server.count("drops", "event_webhook_shed", 200);
    assert_eq!(server.count("counters", "event_webhook_sent", 0), 0);
    let begun = Instant::now();
    server.end();
    // Six tries of ten seconds each would be a minute.
    assert!(begun.elapsed() < 2 * PATIENCE, "it does not wait for the other side: {:?}", begun.elapsed());
}

#[test]
fn behind_tls_a_certificate_must_be_shown_that_is_trusted() {
    let (certificate, acceptor) = certificate();
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("roots-{}.pem", std::process::id()));
    fs::write(&file, certificate).unwrap();
    let (at, posts) = webhook(Some(acceptor.clone()), |_| Some(OK));
    let settings = format!("event_webhook = \"https://{at}\"\n[event_webhook_options]\nretransmissions_backoff = 10\n");
    let server = Server::start("trusted", &settings, &[("SSL_CERT_FILE", file.to_str().unwrap())]);
    let visitor = server.visit();
    assert_eq!(story(&collect(&posts, visitor.0), visitor), VISIT);
    drop(server);

    // And a WebSocket likewise, on which groups are arrays too.
    let (other, heard) = listener(Some(acceptor), usize::MAX);
    let environment = [("SSL_CERT_FILE", file.to_str().unwrap())];
    let server = Server::start("wss", &format!("event_websocket = \"wss://bob:pw@{other}/events\"\n"), &environment);
    let visitor = server.visit();
    let mut told = Vec::new();
    while story(&told, visitor) != VISIT {
        let group = heard.recv_timeout(PATIENCE).expect("a group");
        told.extend(group.as_array().expect("a group").clone());
    }
    drop(server);
    fs::remove_file(&file).unwrap();

    let server = Server::start("untrusted", &settings, &[]);
    server.count("drops", "event_webhook_undelivered", 1);
    assert!(posts.try_recv().is_err());
}

/// A certificate for the loopback address that nobody has signed but itself, and a server with it.
fn certificate() -> (Vec<u8>, SslAcceptor) {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
    let key = PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap();
    let mut name = X509NameBuilder::new().unwrap();
    name.append_entry_by_text("CN", "hook").unwrap();
    let name = name.build();
    let mut builder = X509Builder::new().unwrap();
    builder.set_version(2).unwrap();
    builder.set_serial_number(&BigNum::from_u32(1).unwrap().to_asn1_integer().unwrap()).unwrap();
    builder.set_subject_name(&name).unwrap();
    builder.set_issuer_name(&name).unwrap();
    builder.set_pubkey(&key).unwrap();
    builder.set_not_before(&Asn1Time::days_from_now(0).unwrap()).unwrap();
    builder.set_not_after(&Asn1Time::days_from_now(2).unwrap()).unwrap();
    let alternative = SubjectAlternativeName::new().ip("127.0.0.1").build(&builder.x509v3_context(None, None)).unwrap();
    builder.append_extension(alternative).unwrap();
    builder.sign(&key, MessageDigest::sha256()).unwrap();
    let certificate = builder.build();
    let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls()).unwrap();
    acceptor.set_private_key(&key).unwrap();
    acceptor.set_certificate(&certificate).unwrap();
    (certificate.to_pem().unwrap(), acceptor.build())
}

/// An operator's WebSocket server that hangs up after so many messages on each connection.
fn listener(tls: Option<SslAcceptor>, messages: usize) -> (SocketAddr, Receiver<Value>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let at = listener.local_addr().unwrap();
    let (sender, heard) = channel();
    thread::spawn(move || {
        for socket in listener.incoming() {
            #[expect(clippy::result_large_err, reason = "the library's own type")]
            let check = |upgrade: &Upgrade, mut response: Response| {
                let field = |name: &str| upgrade.headers().get(name).cloned().expect("the field");
                assert_eq!(upgrade.uri().path(), "/events");
                assert_eq!(field("Authorization"), "Basic Ym9iOnB3");
                let subprotocol = field("Sec-WebSocket-Protocol");
                assert_eq!(subprotocol, "janus-event-handlers");
                response.headers_mut().insert("Sec-WebSocket-Protocol", subprotocol);
                Ok(response)
            };
            let mut socket = tungstenite::accept_hdr(accept(&tls, socket.unwrap()), check).expect("a handshake");
            socket.send(Message::Ping(b"there?".to_vec().into())).unwrap();
            let mut count = 0;
            while count < messages
                && let Ok(message) = socket.read()
            {
                match message {
                    Message::Text(text) => {
                        count += 1;
                        let _ = sender.send(serde_json::from_str(&text).unwrap());
                    }
                    Message::Pong(data) => assert_eq!(&data[..], b"there?"),
                    Message::Close(_) => break,
                    other => panic!("{other:?}"),
                }
            }
        }
    });
    (at, heard)
}

#[test]
fn a_websocket_is_told_of_a_visit_and_again_after_it_has_hung_up() {
    let (at, heard) = listener(None, 3);
    let settings = format!(
        "event_websocket = \"ws://bob:pw@{at}/events\"\n[event_websocket_options]\n\
         events = \"sessions,handles,plugins\"\ngrouping = false\n"
    );
    let server = Server::start("websocket", &settings, &[]);
    let visitor = server.visit();
    let mut told = Vec::new();
    while !told.iter().any(|event: &Value| event["event"]["name"] == "detached") {
        told.push(heard.recv_timeout(PATIENCE).expect("an event"));
    }
    // What was on its way when the other side hung up may be lost or told twice; the rest is in order.
    let story = story(&told, visitor);
    let mut places: Vec<_> = story.iter().map(|line| VISIT.iter().position(|known| known == line).unwrap()).collect();
    assert!(places.is_sorted(), "{story:?}");
    places.dedup();
    assert!(places.len() >= 4 && places[..3] == [0, 1, 2], "{story:?}");
    server.count("counters", "event_websocket_sent", 4);
    assert_eq!(server.count("drops", "event_websocket_shed", 0), 0);
}
