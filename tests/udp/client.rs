//! A Janus client over WebSocket: one connection, one session, blocking, every wait with an end.

use serde_json::{Value, json};
use std::collections::VecDeque;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};
use tungstenite::client::IntoClientRequest;
use tungstenite::http::HeaderValue;
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::{Error, Message, WebSocket};

/// How long an answer may take.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// One connection with one session.
pub struct Client {
    socket: WebSocket<TcpStream>,
    session: u64,
    transactions: u64,
    /// What was not asked for and nobody has looked at yet.
    events: VecDeque<Value>,
}

/// Why nothing more is read.
#[derive(Debug, PartialEq, Eq)]
pub enum Silence {
    /// Nothing came in time.
    Late,
    /// The server closed with this code; none when the connection broke.
    Closed(Option<u16>),
}

impl Client {
    /// Connects and makes a session.
    pub fn connect(at: SocketAddr) -> Client {
        let mut client = Client { socket: open(at), session: 0, transactions: 0, events: VecDeque::new() };
        let made = client.ask(json!({ "janus": "create" }));
        client.session = made["data"]["id"].as_u64().unwrap_or_else(|| panic!("no session: {made}"));
        client
    }

    /// A handle of VideoRoom.
    pub fn attach(&mut self) -> u64 {
        let made = self.ask(json!({ "janus": "attach", "plugin": "janus.plugin.videoroom" }));
        made["data"]["id"].as_u64().unwrap_or_else(|| panic!("no handle: {made}"))
    }

    /// Asks the core; what it answers.
    pub fn ask(&mut self, request: Value) -> Value {
        self.converse(request, |answer| answer["janus"] != "ack")
    }

    /// Keeps the session; returns when the server has said so.
    pub fn keep_alive(&mut self) {
        self.converse(json!({ "janus": "keepalive" }), |answer| answer["janus"] == "ack");
    }

    /// Asks the plugin; its answer, whether it comes at once or as an event, `plugindata` taken off.
    pub fn message(&mut self, handle: u64, body: Value) -> Value {
        let answer = self.describe(handle, body, None);
        answer["plugindata"]["data"].clone()
    }

    /// The same with a description; the whole answer.
    pub fn describe(&mut self, handle: u64, body: Value, jsep: Option<Value>) -> Value {
        let mut request = json!({ "janus": "message", "handle_id": handle, "body": body });
        if let Some(jsep) = jsep {
            request["jsep"] = jsep;
        }
        self.converse(request, |answer| answer["janus"] != "ack")
    }

    fn converse(&mut self, mut request: Value, is_answer: impl Fn(&Value) -> bool) -> Value {
        self.transactions += 1;
        let transaction = format!("t{}", self.transactions);
        request["transaction"] = transaction.as_str().into();
        if self.session != 0 {
            request["session_id"] = self.session.into();
        }
        self.send(Message::text(request.to_string())).unwrap_or_else(|error| panic!("{error}: {request}"));
        let end = Instant::now() + PATIENCE;
        loop {
            let said = self.read(end).unwrap_or_else(|silence| panic!("{silence:?} after {request}"));
            if said["transaction"] != transaction {
                self.events.push_back(said);
            } else if is_answer(&said) {
                return said;
            }
        }
    }

    /// Waits for an event of this kind at a handle; others stay.
    pub fn event(&mut self, handle: u64, kind: &str, within: Duration) -> Value {
        self.event_where(within, kind, |event| event["sender"] == handle && event["janus"] == kind)
    }

    /// Waits for an event that is as wished; others stay.
    pub fn event_where(&mut self, within: Duration, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let end = Instant::now() + within;
        let mut looked_at = 0;
        loop {
            while looked_at < self.events.len() {
                if wanted(&self.events[looked_at]) {
                    return self.events.remove(looked_at).expect("it is there");
                }
                looked_at += 1;
            }
            match self.read(end) {
                Ok(event) => self.events.push_back(event),
                Err(silence) => panic!("no {what}, {silence:?}: there is {:?}", self.events),
            }
        }
    }

    /// What has been said unasked so far.
    pub fn events(&mut self) -> Vec<Value> {
        while let Ok(event) = self.read(Instant::now() + Duration::from_millis(20)) {
            self.events.push_back(event);
        }
        self.events.drain(..).collect()
    }

    /// Reads until the server closes; the code that it gives.
    pub fn closed(&mut self, within: Duration) -> Silence {
        let end = Instant::now() + within;
        loop {
            match self.read(end) {
                Ok(event) => self.events.push_back(event),
                Err(silence) => return silence,
            }
        }
    }

    /// Writes one message as it is.
    pub fn send(&mut self, message: Message) -> Result<(), Error> {
        self.socket.get_ref().set_nonblocking(false)?;
        self.socket.send(message)
    }

    /// The next message, JSON or what closes the connection.
    fn read(&mut self, end: Instant) -> Result<Value, Silence> {
        loop {
            let left = end.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
            self.socket.get_ref().set_read_timeout(Some(left)).expect("a socket");
            match self.socket.read() {
                Ok(Message::Text(text)) => return Ok(serde_json::from_str(&text).expect("the server speaks JSON")),
                Ok(Message::Close(frame)) => return Err(Silence::Closed(frame.map(|frame| code(frame.code)))),
                Ok(_) => {}
                Err(Error::Io(error))
                    if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) =>
                {
                    return Err(Silence::Late);
                }
                Err(_) => return Err(Silence::Closed(None)),
            }
        }
    }
}

/// A connection that speaks Janus, without a session.
pub fn open(at: SocketAddr) -> WebSocket<TcpStream> {
    let stream = TcpStream::connect(at).expect("the server accepts");
    stream.set_nodelay(true).expect("a socket");
    over(stream, at)
}

/// The same over a stream that is connected already.
pub fn over(stream: TcpStream, at: SocketAddr) -> WebSocket<TcpStream> {
    stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
    stream.set_write_timeout(Some(PATIENCE)).expect("a socket");
    let mut request = format!("ws://{at}/").into_client_request().expect("a URL");
    request.headers_mut().insert("Sec-WebSocket-Protocol", HeaderValue::from_static("janus-protocol"));
    let (socket, _) = tungstenite::client::client(request, stream).expect("a handshake");
    socket
}

fn code(code: CloseCode) -> u16 {
    code.into()
}
