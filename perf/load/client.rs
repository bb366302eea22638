//! One participant of a room as Janus sees it: a WebSocket, a session, a handle, and behind them one peer. Each answer of
//! the server leads to the next request until everything is negotiated; nothing here waits.

use crate::peer::Peer;
use crate::sdp::{self, Remote};
use crate::track::Track;
use crate::websocket::WebSocket;
use portunus::proto::dtls::Context;
use serde_json::{Value, json};
use std::io;
use std::net::{IpAddr, SocketAddr};

/// What a participant is there for.
#[derive(Clone, Debug)]
pub enum Plan {
    /// To ask questions.
    Host,
    /// To publish m-lines of these kinds.
    Publish { room: u64, audio: bool, video: bool },
    /// To receive everything of these feeds.
    Subscribe { room: u64, feeds: Vec<u64> },
}

/// How far it has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Upgrading,
    Creating,
    Attaching,
    Joining,
    Describing,
    /// Everything is negotiated; the peer may still be connecting.
    Ready,
}

/// One participant.
pub struct Client {
    pub socket: WebSocket,
    plan: Plan,
    pub step: Step,
    session: u64,
    handle: u64,
    transactions: u64,
    /// Its id as a publisher.
    pub feed: u64,
    pub peer: Option<Peer>,
    /// The last answer, for a host.
    pub answer: Option<Value>,
    /// Why it is of no use any more.
    pub fault: Option<String>,
    /// When it began, and when its keys were there: monotonic nanoseconds.
    pub began: u64,
    pub connected: u64,
    pub keepalive_at: u64,
    /// Asks one question after the other: the number of the next.
    pub drill: Option<u64>,
    asked_at: u64,
    /// How long answers took, in nanoseconds.
    pub answered: Vec<u64>,
}

impl Client {
    /// Connects to signalling at `at`; media is sent from and received at `ip`.
    pub fn new(number: u32, at: SocketAddr, ip: IpAddr, context: &Context, plan: Plan) -> io::Result<Client> {
        let mut peer = match plan {
            Plan::Host => None,
            Plan::Publish { .. } | Plan::Subscribe { .. } => Some(Peer::new(number, ip, context)?),
        };
        if let (Some(peer), &Plan::Publish { audio, video, .. }) = (&mut peer, &plan) {
            for is_video in [audio.then_some(false), video.then_some(true)].into_iter().flatten() {
                let ssrc = 0x1000_0000 + 2 * number + u32::from(is_video);
                peer.tracks.push(Track::new(is_video, ssrc, peer.tracks.len()));
            }
        }
        let began = crate::clock::mono_ns();
        Ok(Client {
            socket: WebSocket::connect(at)?,
            plan,
            step: Step::Upgrading,
            session: 0,
            handle: 0,
            transactions: 0,
            feed: 0,
            peer,
            answer: None,
            fault: None,
            began,
            connected: 0,
            keepalive_at: began + KEEPALIVE_NS,
            drill: None,
            asked_at: 0,
            answered: Vec::new(),
        })
    }

    /// Whether it has come as far as it wants.
    pub fn is_up(&self) -> bool {
        self.step == Step::Ready && self.peer.as_ref().is_none_or(|peer| peer.keys.is_some())
    }

    /// Reads what has come and goes on from there.
    pub fn receive(&mut self, context: &Context) {
        self.socket.receive();
        loop {
            let text = self.socket.next_text();
            if self.step == Step::Upgrading && self.socket.open {
                self.step = Step::Creating;
                self.ask(json!({ "janus": "create" }));
            }
            let Some(text) = text else { break };
            if self.asked_at != 0 {
                self.answered.push(crate::clock::mono_ns() - std::mem::take(&mut self.asked_at));
                self.ask_next();
                continue;
            }
            if let Ok(message) = serde_json::from_slice(&text)
                && let Err(fault) = self.hear(&message, context)
            {
                self.fault = Some(fault);
            }
        }
        if self.socket.closed && self.fault.is_none() {
            self.fault = Some("the server closed the connection".into());
        }
    }

    /// Sends a request of the core.
    fn ask(&mut self, mut request: Value) {
        self.transactions += 1;
        request["transaction"] = self.transactions.to_string().into();
        if self.session != 0 {
            request["session_id"] = self.session.into();
        }
        if self.handle != 0 {
            request["handle_id"] = self.handle.into();
        }
        self.socket.send(&request.to_string());
    }

    /// The next question of a drill: of the core, of a session, of the plugin.
    pub fn ask_next(&mut self) {
        let Some(number) = self.drill else { return };
        self.drill = Some(number + 1);
        let Client { session, handle, .. } = self;
        let request = match number % 3 {
            0 => r#"{"janus":"info","transaction":"drill"}"#.to_owned(),
            1 => format!(r#"{{"janus":"keepalive","session_id":{session},"transaction":"drill"}}"#),
            _ => format!(
                r#"{{"janus":"message","session_id":{session},"handle_id":{handle},"transaction":"drill","body":{{"request":"list"}}}}"#
            ),
        };
        self.asked_at = crate::clock::mono_ns();
        self.socket.send(&request);
    }

    /// Sends a request of the plugin; a host finds the answer in `answer`.
    pub fn message(&mut self, body: Value, jsep: Option<Value>) {
        self.answer = None;
        let mut request = json!({ "janus": "message", "body": body });
        if let Some(jsep) = jsep {
            request["jsep"] = jsep;
        }
        self.ask(request);
    }

    /// Keeps the session.
    pub fn keep_alive(&mut self, now: u64) {
        self.keepalive_at = now + KEEPALIVE_NS;
        if self.session != 0 && self.step == Step::Ready {
            let request = json!({ "janus": "keepalive", "session_id": self.session, "transaction": "keepalive" });
            self.socket.send(&request.to_string());
        }
    }

    fn hear(&mut self, message: &Value, context: &Context) -> Result<(), String> {
        let kind = message["janus"].as_str().unwrap_or_default();
        if kind == "hangup" || kind == "timeout" {
            return Err(format!("{message}"));
        }
        let answers = message["transaction"].as_str().is_some_and(|said| said.parse() == Ok(self.transactions));
        if kind == "ack" || !answers {
            return Ok(());
        }
        let data = &message["plugindata"]["data"];
        if kind == "error" || !data["error_code"].is_null() {
            return Err(format!("{message}"));
        }
        let id = || message["data"]["id"].as_u64().ok_or_else(|| format!("no id: {message}"));
        match self.step {
            Step::Creating => {
                self.session = id()?;
                self.step = Step::Attaching;
                self.ask(json!({ "janus": "attach", "plugin": "janus.plugin.videoroom" }));
            }
            Step::Attaching => {
                self.handle = id()?;
                self.step = Step::Joining;
                match self.plan.clone() {
                    Plan::Host => self.step = Step::Ready,
                    Plan::Publish { room, .. } => {
                        self.message(json!({ "request": "join", "ptype": "publisher", "room": room }), None);
                    }
                    Plan::Subscribe { room, feeds } => {
                        let streams: Vec<_> = feeds.iter().map(|feed| json!({ "feed": feed })).collect();
                        let body =
                            json!({ "request": "join", "ptype": "subscriber", "room": room, "streams": streams });
                        self.message(body, None);
                    }
                }
            }
            Step::Joining => {
                self.step = Step::Describing;
                let peer = self.peer.as_mut().expect("a participant has a peer");
                let (body, jsep) = match &self.plan {
                    Plan::Subscribe { .. } => {
                        let jsep = sdp::answer(&peer.local, Some(peer.at), message, false)?;
                        peer.meet(Remote::from(message)?, false, context)?;
                        (json!({ "request": "start" }), jsep)
                    }
                    _ => {
                        self.feed = data["id"].as_u64().ok_or_else(|| format!("no feed: {message}"))?;
                        let ssrc =
                            |video| peer.tracks.iter().find(|track| track.video == video).map(|track| track.ssrc);
                        (
                            json!({ "request": "publish" }),
                            sdp::offer(&peer.local, Some(peer.at), ssrc(false), ssrc(true)),
                        )
                    }
                };
                self.message(body, Some(jsep));
            }
            Step::Describing => {
                self.step = Step::Ready;
                if let Plan::Publish { .. } = self.plan {
                    let peer = self.peer.as_mut().expect("a participant has a peer");
                    peer.meet(Remote::from(message)?, true, context)?;
                }
            }
            Step::Ready => self.answer = Some(message.clone()),
            Step::Upgrading => {}
        }
        Ok(())
    }
}

/// A session that says nothing lives for a minute.
const KEEPALIVE_NS: u64 = 25_000_000_000;
