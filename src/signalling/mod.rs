//! The mind of a signalling shard: clients' bytes to Janus requests to commands, and replies and events back to bytes.
//! Protocols, sessions and rooms are composed here, without I/O; rules of rooms are the media shards'.
//!
//! The machine feeds bytes, mail and instants, and after each of those takes commands ([`SignallingEngine::poll_command`])
//! and output ([`SignallingEngine::poll_touched`], [`SignallingEngine::take_output`]). It takes a connection's output only when
//! what it took before is written: what stays here is counted against `outbox_bytes`.

mod access;
mod admin;
mod capture;
mod config;
mod connection;
mod core;
mod counters;
mod deliver;
mod duty;
mod gather;
mod http;
mod inspection;
mod lanes;
mod network;
mod observers;
mod operators;
mod origin;
mod outlet;
mod permanent;
mod plugin;
mod questions;
mod relay;
mod reply;
mod rest;
mod size;
mod tls_in;

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::Duration;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use simd_json::Buffers;

use crate::control::command::{Command, CommandEnvelope, Mail};
use crate::id::{SessionId, ShardId, Ticket};
use crate::limits::TICKET_DEADLINE;
use crate::proto::http::Http;
use crate::proto::session::deadline::Deadlines;
use crate::proto::session::ticket::Tickets;
use crate::proto::session::{Due, Place, SessionTimeouts, Sessions};
use crate::proto::tls::Tls;
use crate::proto::websocket::CloseReason;
use crate::time::{Mono, Now};
use crate::videoroom::error::PluginError;
use crate::wire::janus::field::Ids;
use capture::CaptureRequest;
use connection::{Connections, Protocol, Purpose};
use duty::{Duties, DutyId, subject};
use gather::{Gather, GatherId, Shard};
use inspection::Inquiry;
use lanes::Lanes;
use observers::Observers;
use operators::Operators;
use plugin::{Exchange, Step};

pub use access::Access;
pub use config::SignallingConfig;
pub use connection::Fate;
pub use counters::{Counters, Drops};
pub use gather::{Answer, Change, Connected, Question, SignallingReport, Transport};
pub use lanes::Relay;
pub use observers::{Delivery, HandlerEvent};
pub use operators::MachineRequest;
pub use origin::{NotAnOrigin, Origin};
pub use permanent::Permanent;

pub use crate::proto::session::ConnectionId;

/// A close frame of ours is answered within this time, or the connection is dropped.
const CLOSE_DEADLINE: Duration = Duration::from_secs(5);
/// What is longer has been asked for.
const LONG_ANSWER_BYTES: usize = 64 * 1024;
/// Draining waits this long for media shards to acknowledge teardowns.
const DRAIN_DEADLINE: Duration = TICKET_DEADLINE;

/// One signalling shard.
pub struct SignallingEngine {
    config: SignallingConfig,
    started: Mono,
    ids: Ids,
    rng: ChaCha20Rng,
    connections: Connections,
    connection_deadlines: Deadlines<ConnectionId>,
    /// Connections whose fate is sealed and whose sessions are still to be ended.
    ended: Vec<ConnectionId>,
    /// Connections whose HTTP request has been answered, for the next one.
    answered: Vec<ConnectionId>,
    /// Sessions whose events nobody fetches, to be ended.
    overflowed: Vec<SessionId>,
    /// Sessions whose WebSocket is gone.
    left: Vec<(Place, SessionId)>,
    lanes: Lanes,
    sessions: Sessions,
    tickets: Tickets<Waiting>,
    gather: Gather<questions::Purpose>,
    operators: Operators,
    duties: Duties,
    rooms_to_make: usize,
    commands: VecDeque<(ShardId, CommandEnvelope)>,
    /// What the machine is to write down; no more than there are handles.
    permanents: VecDeque<(Ticket, Permanent)>,
    /// Peers carried by each media shard, as last heard.
    loads: Vec<u32>,
    drain: Option<Drain>,
    buffers: Buffers,
    scratch: Vec<u8>,
    observers: Observers,
    counters: Counters,
    drops: Drops,
}

/// What waits for a reply.
#[derive(Debug)]
enum Waiting {
    /// A client's request.
    Plugin(Exchange, Step),
    /// A question to many shards, for the answer of this one.
    Gather(GatherId, Shard),
    /// What an operator wants to know of a handle.
    Inquiry(Box<Inquiry>),
    /// What an operator wants to have captured.
    Capture(Box<CaptureRequest>),
    /// Something that is repeated until it is acknowledged.
    Duty(DutyId),
}

#[derive(Clone, Copy)]
struct Drain {
    deadline: Mono,
    /// Connections have been told.
    closing: bool,
}

impl SignallingEngine {
    /// Starts without connections, and asks for the configured rooms to be made.
    pub fn new(config: SignallingConfig, now: Now) -> SignallingEngine {
        assert!(config.shards > 0, "rooms need a media shard");
        let mut rng = ChaCha20Rng::from_seed(config.seed);
        let operators = Operators::new(&config, &mut rng);
        let mut engine = SignallingEngine {
            started: now.mono,
            ids: if config.string_ids { Ids::Texts } else { Ids::Numbers },
            rng,
            connections: Connections::default(),
            connection_deadlines: Deadlines::default(),
            ended: Vec::new(),
            answered: Vec::new(),
            overflowed: Vec::new(),
            left: Vec::new(),
            lanes: Lanes::new(config.signalling_shards),
            sessions: Sessions::new(
                config.id,
                config.signalling_shards,
                SessionTimeouts { idle: config.session_timeout, lost: config.reclaim_session_timeout },
            ),
            tickets: Tickets::default(),
            gather: Gather::default(),
            operators,
            duties: Duties::default(),
            rooms_to_make: config.rooms.len(),
            commands: VecDeque::new(),
            permanents: VecDeque::new(),
            loads: vec![0; usize::from(config.shards)],
            drain: None,
            buffers: Buffers::default(),
            scratch: Vec::new(),
            observers: Observers::new(&config),
            counters: Counters::default(),
            drops: Drops::default(),
            config,
        };
        let info = engine.server_info("");
        engine.observers.started(now, &info);
        for room in engine.config.rooms.clone() {
            engine.claim_configured(now.mono, room);
        }
        engine
    }

    /// Whether the configured rooms exist: the machine listens only then.
    pub fn ready(&self) -> bool {
        self.rooms_to_make == 0
    }

    /// A client has connected. None when it cannot be served: its socket is to be closed.
    pub fn connected(&mut self, now: Now, peer: IpAddr) -> Option<ConnectionId> {
        if self.drain.is_some() || self.connections.len() >= self.config.connections_max {
            self.drops.connection_refused += 1;
            return None;
        }
        let tls = match self.config.tls.as_ref().map(Tls::new).transpose() {
            Ok(tls) => tls.map(Box::new),
            Err(_) => {
                self.drops.connection_refused += 1;
                return None;
            }
        };
        self.counters.connections_accepted += 1;
        let http = Http::new(now.mono);
        let deadline = http.deadline();
        let id = self.connections.insert(peer, tls, http);
        self.connection_deadlines.set(id, deadline);
        Some(id)
    }

    /// The same where operators are served apart.
    pub fn operator_connected(&mut self, now: Now, peer: IpAddr) -> Option<ConnectionId> {
        let id = self.connected(now, peer)?;
        if let Some(connection) = self.connections.get_mut(id) {
            connection.is_operators = true;
        }
        Some(id)
    }

    /// The client's address, for the machine's log.
    pub fn peer(&self, id: ConnectionId) -> Option<IpAddr> {
        self.connections.get(id).map(|connection| connection.peer)
    }

    /// Bytes from a client. Those of a connection that is ending are ignored.
    pub fn handle_bytes(&mut self, now: Now, id: ConnectionId, bytes: &[u8]) {
        let Some(connection) = self.connections.get_mut(id) else { return };
        if connection.fate != Fate::Open {
            return;
        }
        if connection.tls.is_some() {
            self.read_tls(now, id, bytes);
        } else {
            self.read_plaintext(now, id, bytes);
        }
        self.settle(now);
    }

    fn read_plaintext(&mut self, now: Now, id: ConnectionId, bytes: &[u8]) {
        let Some(connection) = self.connections.get_mut(id) else { return };
        match &mut connection.protocol {
            Protocol::WebSocket(socket) => {
                socket.receive(bytes);
                self.read_websocket(now, id);
            }
            Protocol::Http(http) => {
                if http.http.receive(now.mono, bytes) {
                    self.read_http(now, id);
                } else {
                    self.drops.inbox_overflow += 1;
                    self.end(id, Fate::Drop);
                }
            }
        }
    }

    /// The socket is closed or broken.
    pub fn closed(&mut self, now: Now, id: ConnectionId) {
        self.end(id, Fate::Drop);
        self.settle(now);
        self.forget(id);
    }

    /// A reply or an event of a media shard.
    pub fn handle_mail(&mut self, now: Now, mail: Mail) {
        match mail {
            Mail::Reply { ticket, from, load, reply } => {
                if let Some(known) = self.loads.get_mut(usize::from(from.0)) {
                    *known = load;
                }
                self.handle_reply(now, ticket, from, reply);
            }
            Mail::Event { from, to, event } => self.handle_event(now, from, &to, &event),
            Mail::Observed { of, what } => {
                self.observers.observation(now, subject(&self.sessions, &self.duties, of), &what);
            }
            Mail::Lost { sessions, .. } => {
                for session in sessions {
                    self.drops.events_lost += 1;
                    self.expire(now, session);
                }
            }
        }
        self.settle(now);
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Now) {
        while let Some(due) = self.sessions.due(now.mono) {
            match due {
                Due::Idle(session) => {
                    self.counters.sessions_timed_out += 1;
                    self.expire(now, session);
                }
                Due::Unclaimed(session) => {
                    self.counters.sessions_unclaimed += 1;
                    self.end_session(now, session);
                }
                Due::Poll((asker, text)) => self.say(asker, text),
            }
        }
        while let Some(waiting) = self.tickets.expired(now.mono) {
            self.drops.reply_missing += 1;
            self.give_up(now, waiting, PluginError::Late);
        }
        if self.observers.is_update_due(now.mono) {
            self.gather_survey(now, questions::Purpose::Update);
        }
        self.repeat_duties(now.mono);
        self.lanes.retry(now.mono);
        while let Some(id) = self.connection_deadlines.due(now.mono) {
            self.connection_due(now.mono, id);
        }
        self.settle(now);
    }

    /// When [`SignallingEngine::handle_timeout`] is worth a call.
    pub fn deadline(&self) -> Mono {
        let drain = self.drain.filter(|drain| !drain.closing).map_or(Mono::NEVER, |drain| drain.deadline);
        [self.sessions.deadline(), self.tickets.deadline(), self.duties.deadline(), self.connection_deadlines.next()]
            .into_iter()
            .fold(drain.min(self.lanes.deadline()).min(self.observers.deadline()), Mono::min)
    }

    /// A connection that has output or is to be closed: its output is to be taken once its last is written.
    pub fn poll_touched(&mut self) -> Option<ConnectionId> {
        self.connections.poll_touched()
    }

    /// What becomes of the connection, for the machine that is still writing what it took before.
    pub fn fate(&self, id: ConnectionId) -> Fate {
        self.connections.get(id).map_or(Fate::Drop, |connection| connection.fate)
    }

    /// Moves what is to be written to the end of `out`, and says what becomes of the connection.
    pub fn take_output(&mut self, id: ConnectionId, out: &mut Vec<u8>) -> Fate {
        let Some(connection) = self.connections.get_mut(id) else { return Fate::Drop };
        connection.take_output(out);
        let fate = connection.fate;
        if fate != Fate::Open {
            self.forget(id);
        }
        fate
    }

    /// What an operator wants of the machine.
    pub fn poll_machine_request(&mut self) -> Option<MachineRequest> {
        self.operators.poll()
    }

    /// A command for a media shard.
    pub fn poll_command(&mut self) -> Option<(ShardId, CommandEnvelope)> {
        self.commands.pop_front()
    }

    /// The lane is full: the client is told; what cannot be refused is kept and sent again.
    pub fn command_refused(&mut self, now: Now, to: ShardId, envelope: CommandEnvelope) {
        self.drops.lane_full += 1;
        let Some(ticket) = envelope.ticket else { return };
        if matches!(self.tickets.get(ticket), None | Some(Waiting::Duty(_))) {
            return;
        }
        debug_assert!(usize::from(to.0) < self.loads.len(), "commands go to shards that exist");
        if let Some(waiting) = self.tickets.take(ticket) {
            self.give_up(now, waiting, PluginError::Busy);
        }
        self.settle(now);
    }

    /// Ends: no new sessions, every handle torn down, then every connection closed (WebSocket 1001).
    pub fn drain(&mut self, now: Now) {
        if self.drain.is_none() {
            self.drain = Some(Drain { deadline: now.mono + DRAIN_DEADLINE, closing: false });
            self.observers.end_updates();
            for session in self.sessions.ids() {
                self.end_session(now, session);
            }
        }
        self.settle(now);
    }

    /// Whether draining is complete: no connection is left.
    pub fn drained(&self) -> bool {
        self.drain.is_some_and(|drain| drain.closing) && self.connections.len() == 0
    }

    /// What is held now, by name.
    pub fn gauges(&self) -> Vec<(&'static str, u64)> {
        let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        vec![
            ("connections", count(self.connections.len())),
            ("sessions", count(self.sessions.len())),
            ("handles", count(self.sessions.handles_len())),
            ("tickets", count(self.tickets.len())),
            ("duties", count(self.duties.len())),
        ]
    }

    /// What was done since start.
    pub fn counters(&self) -> Counters {
        Counters { handler_events: self.observers.made(), ..self.counters }
    }

    /// The next event for handlers.
    pub fn poll_handler_event(&mut self) -> Option<HandlerEvent> {
        self.observers.poll()
    }

    /// How delivery to handlers fares: shown by `/healthz`.
    pub fn note_delivery(&mut self, delivery: Delivery) {
        self.observers.note_delivery(delivery);
    }

    /// Handlers hear that a signal ends the server.
    pub fn announce_end(&mut self, now: Now, signum: i32) {
        self.observers.shutdown(now, signum);
    }

    /// What was dropped or refused since start.
    pub fn drops(&self) -> &Drops {
        &self.drops
    }

    /// After output was added behind `before` bytes that wait: tells the machine, and drops a client that does not read.
    /// Long answers, such as lists of many rooms, are no sign of that: they were refused if there was no space for them.
    fn check_outbox(&mut self, id: ConnectionId, before: usize) {
        let Some(connection) = self.connections.get_mut(id) else { return };
        let after = connection.waiting();
        if after.saturating_sub(before) > LONG_ANSWER_BYTES {
            connection.long += after - before;
        }
        if before > self.config.outbox_bytes + connection.long.min(self.config.reply_bytes) {
            connection.output().clear();
            self.drops.outbox_overflow += 1;
            self.end(id, Fate::Drop);
        } else {
            self.connections.touch(id);
        }
    }

    /// Seals a connection's fate; [`SignallingEngine::settle`] ends its sessions.
    fn end(&mut self, id: ConnectionId, fate: Fate) {
        let Some(connection) = self.connections.get_mut(id) else { return };
        if let Protocol::Http(http) = &mut connection.protocol
            && let Some(Purpose::Poll(session)) = http.pending.take().map(|pending| pending.purpose)
        {
            self.leave_poll(id, session);
        }
        let Some(connection) = self.connections.get_mut(id) else { return };
        if connection.fate == Fate::Open {
            self.ended.push(id);
        }
        // Dropping overrides closing in good order, never the reverse.
        if connection.fate != Fate::Drop {
            connection.fate = fate;
        }
        self.connection_deadlines.clear(id);
        self.connections.touch(id);
    }

    fn forget(&mut self, id: ConnectionId) {
        self.connection_deadlines.clear(id);
        self.connections.remove(id);
    }

    /// What every call ends with: connections go on with their next requests, sessions of ended connections are lost,
    /// sessions that nobody listens to end, and draining goes on.
    fn settle(&mut self, now: Now) {
        loop {
            if let Some(id) = self.answered.pop() {
                self.resume_http(now, id);
            } else if let Some(id) = self.ended.pop() {
                let connection = self.connections.get_mut(id);
                let was_websocket =
                    connection.as_ref().is_some_and(|connection| matches!(connection.protocol, Protocol::WebSocket(_)));
                let sessions = connection.map(|connection| std::mem::take(&mut connection.sessions));
                if was_websocket {
                    self.observers.websocket_closed(now, id);
                }
                for session in sessions.unwrap_or_default() {
                    self.leave_session(id, session);
                }
            } else if let Some((place, session)) = self.left.pop() {
                self.lose(now, place, session);
            } else if let Some(session) = self.overflowed.pop() {
                self.end_session(now, session);
            } else {
                break;
            }
        }
        let Some(drain) = self.drain.as_mut().filter(|drain| !drain.closing) else { return };
        if self.duties.is_empty() || drain.deadline <= now.mono {
            drain.closing = true;
            for id in self.connections.ids() {
                self.close(now.mono, id);
            }
        }
    }

    /// Starts to close a connection in good order.
    fn close(&mut self, now: Mono, id: ConnectionId) {
        let Some(connection) = self.connections.get_mut(id) else { return };
        match &mut connection.protocol {
            Protocol::Http(_) => self.end(id, Fate::CloseAfterFlush),
            Protocol::WebSocket(socket) => {
                socket.close(CloseReason::GoingAway);
                self.connection_deadlines.set(id, now + CLOSE_DEADLINE);
                self.connections.touch(id);
            }
        }
    }

    /// Asks a media shard, with a place reserved for its reply.
    fn ask(&mut self, now: Mono, to: ShardId, command: Command, waiting: Waiting) {
        self.ask_until(now + TICKET_DEADLINE, to, command, waiting);
    }

    fn ask_until(&mut self, deadline: Mono, to: ShardId, command: Command, waiting: Waiting) {
        let ticket = self.tickets.reserve(deadline, waiting);
        self.counters.commands_sent += 1;
        self.commands.push_back((to, CommandEnvelope { ticket: Some(ticket), from: self.config.id, command }));
    }

    /// Something will not be answered: the lane was full, or the deadline has passed.
    fn give_up(&mut self, now: Now, waiting: Waiting, error: PluginError) {
        match waiting {
            Waiting::Plugin(exchange, step) => self.abandon(now, exchange, step, error),
            Waiting::Gather(id, from) => {
                let finished = self.gather.missing(id, from, error);
                self.tell_gathered(now, finished);
            }
            Waiting::Inquiry(inquiry) => self.conclude_inquiry(now, *inquiry, Err(error)),
            Waiting::Capture(request) => self.conclude_capture(&request, Err(error)),
            // Duties have no deadline and are not refused.
            Waiting::Duty(_) => {}
        }
    }
}
