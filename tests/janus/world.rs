//! An engine with its clients and its scripted media shards, and a clock that only moves when told.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use portunus::control::command::{Command, CommandEnvelope, Mail};
use portunus::id::ShardId;
use portunus::signalling::{ConnectionId, Fate, Permanent, SignallingConfig, SignallingEngine};
use portunus::time::{Mono, Now};

use crate::client::{Client, Frame, HANDSHAKE, Response, text};
use crate::shard::Shard;

/// How the lanes to the media shards behave.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Lanes {
    Open,
    /// Every command is refused.
    Full,
    /// Commands are taken and not answered until the lanes are open again.
    Silent,
    /// Only members' requests are not answered.
    SilentToMembers,
}

pub struct World {
    pub engine: SignallingEngine,
    pub shards: Vec<Shard>,
    pub lanes: Lanes,
    pub held: Vec<(ShardId, CommandEnvelope)>,
    pub clients: BTreeMap<char, Client>,
    pub now: Now,
    /// Whether what is to be permanent can be written, and what was.
    pub disk_works: bool,
    pub written: Vec<Permanent>,
}

impl World {
    pub fn new(config: SignallingConfig) -> World {
        let now = Now { mono: Mono(1_000_000_000), unix_us: 0 };
        let shards = (0..config.shards).map(|shard| Shard::new(ShardId(shard), config.shards)).collect();
        let engine = SignallingEngine::new(config, now);
        let (lanes, held, clients) = (Lanes::Open, Vec::new(), BTreeMap::new());
        let mut world = World { engine, shards, lanes, held, clients, now, disk_works: true, written: Vec::new() };
        world.pump();
        world
    }

    /// A connection that has sent nothing yet.
    pub fn connect(&mut self, name: char) -> ConnectionId {
        let id = self.engine.connected(self.now, IpAddr::V4(Ipv4Addr::LOCALHOST)).expect("the server takes clients");
        self.clients.insert(name, Client { id, bytes: Vec::new(), fate: Fate::Open });
        id
    }

    /// A connection with its handshake done.
    pub fn upgrade(&mut self, name: char) {
        self.connect(name);
        self.write(name, HANDSHAKE);
        let bytes = &mut self.clients.get_mut(&name).unwrap().bytes;
        let head = bytes.windows(4).position(|end| end == b"\r\n\r\n").expect("a response") + 4;
        assert!(bytes.starts_with(b"HTTP/1.1 101 "));
        bytes.drain(..head);
    }

    pub fn write(&mut self, name: char, bytes: &[u8]) {
        let id = self.clients[&name].id;
        self.engine.handle_bytes(self.now, id, bytes);
        self.pump();
    }

    pub fn say(&mut self, name: char, message: &str) {
        if !self.clients.contains_key(&name) {
            self.upgrade(name);
        }
        self.write(name, &text(message));
    }

    /// An HTTP request in one line: method, target, and content if any.
    pub fn request(&mut self, name: char, request: &str) {
        if !self.clients.contains_key(&name) {
            self.connect(name);
        }
        let mut words = request.splitn(3, ' ');
        let (method, target) = (words.next().unwrap(), words.next().unwrap_or("/"));
        let content = words.next().unwrap_or_default();
        let length = if content.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", content.len()) };
        self.write(name, format!("{method} {target} HTTP/1.1\r\nHost: h\r\n{length}\r\n{content}").as_bytes());
    }

    pub fn response(&mut self, name: char) -> Option<Response> {
        self.clients.get_mut(&name)?.next_response()
    }

    pub fn hear(&mut self, name: char) -> Option<Frame> {
        self.clients.get_mut(&name)?.next_frame()
    }

    pub fn disconnect(&mut self, name: char) {
        let client = self.clients.remove(&name).unwrap();
        self.engine.closed(self.now, client.id);
        self.pump();
    }

    /// Lets time pass, stopping at every deadline on the way.
    pub fn wait(&mut self, time: Duration) {
        let end = self.now.mono + time;
        while self.engine.deadline() <= end {
            self.now.mono = self.engine.deadline().max(self.now.mono);
            self.engine.handle_timeout(self.now);
            self.pump();
        }
        self.now.mono = end;
        self.now.unix_us += u64::try_from(time.as_micros()).unwrap();
    }

    pub fn set_lanes(&mut self, lanes: Lanes) {
        self.lanes = lanes;
        if lanes == Lanes::Open {
            for (to, envelope) in std::mem::take(&mut self.held) {
                self.deliver(to, envelope);
            }
            self.pump();
        }
    }

    pub fn mail(&mut self, mail: Mail) {
        self.engine.handle_mail(self.now, mail);
        self.pump();
    }

    fn deliver(&mut self, to: ShardId, envelope: CommandEnvelope) {
        for mail in self.shards[usize::from(to.0)].handle(envelope) {
            self.engine.handle_mail(self.now, mail);
        }
    }

    /// Carries commands to the shards and output to the clients until nothing moves.
    pub fn pump(&mut self) {
        loop {
            while let Some((ticket, what)) = self.engine.poll_permanent() {
                if self.disk_works {
                    self.written.push(what);
                }
                self.engine.handle_permanent(self.now, ticket, self.disk_works);
            }
            let Some((to, envelope)) = self.engine.poll_command() else { break };
            match self.lanes {
                Lanes::Open => self.deliver(to, envelope),
                Lanes::SilentToMembers if !matches!(envelope.command, Command::Member { .. }) => {
                    self.deliver(to, envelope);
                }
                Lanes::Full => self.engine.command_refused(self.now, to, envelope),
                Lanes::Silent | Lanes::SilentToMembers => self.held.push((to, envelope)),
            }
        }
        while let Some(id) = self.engine.poll_touched() {
            let mut out = Vec::new();
            let fate = self.engine.take_output(id, &mut out);
            if let Some(client) = self.clients.values_mut().find(|client| client.id == id) {
                client.bytes.append(&mut out);
                client.fate = fate;
            }
        }
    }

    /// The value of a drop counter.
    pub fn drops(&self, name: &str) -> u64 {
        count(&self.engine.drops().named(), name)
    }

    /// The value of a counter.
    pub fn counter(&self, name: &str) -> u64 {
        count(&self.engine.counters().named(), name)
    }

    /// The value of a gauge.
    pub fn gauge(&self, name: &str) -> u64 {
        count(&self.engine.gauges(), name)
    }
}

fn count(counts: &[(&'static str, u64)], name: &str) -> u64 {
    counts.iter().find(|(known, _)| *known == name).expect("a counter of that name").1
}
