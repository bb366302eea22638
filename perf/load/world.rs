//! The load generator: thousands of fake peers in one thread. One loop sends what is due, waits for what comes, and counts;
//! it never blocks on a server.

use crate::client::{Client, Plan};
use crate::clock;
use crate::histogram::Histogram;
use crate::meter::Meter;
use crate::poll::Poll;
use crate::rhythm::{Cursor, Rhythm};
use crate::socket::{self, Inlet};
use portunus::proto::dtls::Context;
use portunus::time::Mono;
use serde_json::Value;
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};

/// A fault that ends a measurement.
pub type Fault = String;

/// How often deadlines of peers are looked at.
const SCAN_NS: u64 = 5_000_000;
/// How far behind its schedule a publisher makes up for lost time; beyond it packets are left out.
const LATE_MAX_NS: u64 = 50_000_000;
/// How long anything in signalling may take.
const PATIENCE_NS: u64 = 20_000_000_000;

/// Where clients connect and where their media is sent from.
#[derive(Clone)]
pub struct Place {
    pub signalling: SocketAddr,
    pub ip: IpAddr,
}

/// One m-line that is to be sent: whose, which, in what rhythm, beginning how late or how far in, and to how many
/// subscribers it goes.
#[derive(Clone, Copy)]
pub struct Voice {
    pub client: usize,
    pub video: bool,
    pub rhythm: Rhythm,
    pub phase_ns: u64,
    pub legs: u64,
}

struct Speaking {
    voice: Voice,
    track: usize,
    cursor: Cursor,
}

/// Everybody.
pub struct World {
    poll: Poll,
    inlet: Inlet,
    pub clients: Vec<Option<Member>>,
    /// Sockets without a peer behind them, which only count.
    sinks: Vec<UdpSocket>,
    speaking: Vec<Speaking>,
    pub meter: Meter,
    scan_at: u64,
    ready: Vec<u64>,
    arena: Vec<u8>,
    numbers: u32,
}

/// A client and the identity that it shares with others.
pub struct Member {
    pub client: Client,
    context: Context,
}

const SINK: u64 = 1 << 40;

impl World {
    /// An empty one.
    pub fn new() -> io::Result<World> {
        Ok(World {
            poll: Poll::new()?,
            inlet: Inlet::new(),
            clients: Vec::new(),
            sinks: Vec::new(),
            speaking: Vec::new(),
            meter: Meter::new(1),
            scan_at: 0,
            ready: Vec::new(),
            arena: Vec::new(),
            numbers: 0,
        })
    }

    /// Brings somebody in, who begins at once; returns who it is.
    pub fn enter(&mut self, place: &Place, context: &Context, plan: Plan) -> Result<usize, Fault> {
        self.numbers += 1;
        let made = Client::new(self.numbers, place.signalling, place.ip, context, plan);
        let client = made.map_err(|error| format!("a client at {}: {error}", place.signalling))?;
        let number = self.clients.len();
        let token = 2 * number as u64;
        let say = |error: io::Error| error.to_string();
        self.poll.add(&client.socket.stream, token + 1).map_err(say)?;
        if let Some(peer) = &client.peer {
            self.poll.add(&*peer.socket, token).map_err(say)?;
        }
        self.clients.push(Some(Member { client, context: context.clone() }));
        Ok(number)
    }

    /// Somebody goes: the association is closed and the connection with it.
    pub fn leave(&mut self, number: usize) {
        if let Some(mut member) = self.clients[number].take()
            && let Some(peer) = &mut member.client.peer
        {
            peer.close();
        }
    }

    /// Somebody who is here.
    pub fn client(&self, number: usize) -> &Client {
        &self.clients[number].as_ref().expect("somebody who has not left").client
    }

    fn client_mut(&mut self, number: usize) -> &mut Client {
        &mut self.clients[number].as_mut().expect("somebody who has not left").client
    }

    /// Sockets that only count; their addresses.
    pub fn open_sinks(&mut self, count: usize, ip: IpAddr) -> io::Result<Vec<SocketAddr>> {
        let mut addresses = Vec::new();
        for _ in 0..count {
            let socket = socket::bind(ip)?;
            self.poll.add(&socket, SINK + self.sinks.len() as u64)?;
            addresses.push(socket.local_addr()?);
            self.sinks.push(socket);
        }
        Ok(addresses)
    }

    /// Receivers join what came as one message, or do not.
    pub fn set_gro(&self, on: bool) -> io::Result<()> {
        let peers = self.clients.iter().flatten().filter_map(|member| member.client.peer.as_ref());
        let mut sockets = peers.map(|peer| &*peer.socket).chain(&self.sinks);
        sockets.try_for_each(|socket| socket::set_gro(socket, on))
    }

    /// Datagrams that our own sockets have lost so far.
    pub fn drops(&self) -> u64 {
        let peers = self.clients.iter().flatten().filter_map(|member| member.client.peer.as_ref());
        peers.map(|peer| &*peer.socket).chain(&self.sinks).map(socket::drops).sum()
    }

    /// Whether somebody's packets count in the latency.
    pub fn set_metered(&mut self, number: usize, metered: bool) {
        if let Some(peer) = &mut self.client_mut(number).peer {
            peer.metered = metered;
        }
    }

    /// Has a host ask one question after the other, beginning with this one; none ends it.
    pub fn drill(&mut self, number: usize, from: Option<u64>) {
        let client = self.client_mut(number);
        client.drill = from;
        client.ask_next();
    }

    /// Takes how long answers took since this was done last.
    pub fn take_answered(&mut self, into: &mut Histogram) {
        let clients = self.clients.iter_mut().flatten().map(|member| &mut member.client);
        clients.flat_map(|client| client.answered.drain(..)).for_each(|nanos| into.add(nanos));
    }

    /// Asks as a host and waits for the answer.
    pub fn ask(&mut self, host: usize, body: Value) -> Result<Value, Fault> {
        self.client_mut(host).message(body, None);
        self.wait("an answer", &[host], |client| client.answer.is_some())?;
        Ok(self.client_mut(host).answer.take().expect("it has come"))
    }

    /// Goes on until these are as wished.
    pub fn wait(&mut self, what: &str, who: &[usize], wished: impl Fn(&Client) -> bool) -> Result<(), Fault> {
        let end = clock::mono_ns() + PATIENCE_NS;
        for &number in who {
            while !wished(self.client(number)) {
                let client = self.client(number);
                if let Some(fault) = &client.fault {
                    return Err(format!("{what}: {fault}"));
                }
                if client.peer.as_ref().is_some_and(|peer| peer.broken) {
                    return Err(format!("{what}: DTLS failed"));
                }
                if clock::mono_ns() > end {
                    return Err(format!("{what}: not in time, at {:?}", client.step));
                }
                self.turn(end);
            }
        }
        Ok(())
    }

    /// Goes on for so long.
    pub fn run(&mut self, nanos: u64) {
        let end = clock::mono_ns() + nanos;
        while clock::mono_ns() < end {
            self.turn(end);
        }
    }

    /// These are sent from now on, and nothing else.
    pub fn speak(&mut self, voices: &[Voice]) {
        let now = clock::mono_ns();
        self.speaking.clear();
        for &voice in voices {
            let peer = self.client(voice.client).peer.as_ref().expect("a publisher has a peer");
            let track = peer.tracks.iter().position(|track| track.video == voice.video).expect("an m-line that it has");
            self.speaking.push(Speaking { voice, track, cursor: Cursor::new(voice.rhythm, now, voice.phase_ns) });
        }
    }

    /// One turn of the loop; it waits no longer than `until`.
    pub fn turn(&mut self, until: u64) {
        let now = clock::mono_ns();
        let mut wake = self.say_what_is_due(now).min(until);
        if now >= self.scan_at {
            self.scan(now);
        }
        wake = wake.min(self.scan_at);
        let mut ready = std::mem::take(&mut self.ready);
        self.poll.wait(wake.saturating_sub(clock::mono_ns()), &mut ready);
        for &token in &ready {
            self.read(token);
            // A publisher does not wait for the subscribers' mail.
            if clock::mono_ns() >= wake {
                wake = self.say_what_is_due(clock::mono_ns()).min(until);
            }
        }
        self.ready = ready;
    }

    fn read(&mut self, token: u64) {
        let World { inlet, meter, clients, sinks, .. } = self;
        if token >= SINK {
            let socket = &sinks[usize::try_from(token - SINK).expect("an index")];
            let count = inlet.receive(socket, |bytes, _| {
                meter.packets += 1;
                meter.bytes += bytes.len() as u64;
            });
            meter.messages += count as u64;
            return;
        }
        let number = usize::try_from(token / 2).expect("an index");
        let Some(Member { client, context }) = &mut clients[number] else { return };
        if !token.is_multiple_of(2) {
            client.receive(context);
        } else if let Some(peer) = &mut client.peer {
            let socket = peer.socket.clone();
            let count = inlet.receive(&socket, |bytes, received_ns| peer.hear(bytes, received_ns, meter));
            meter.messages += count as u64;
            if peer.keys.is_some() && client.connected == 0 {
                client.connected = clock::mono_ns();
            }
        }
    }

    /// Sends everything that is due; when the next is.
    fn say_what_is_due(&mut self, now: u64) -> u64 {
        let World { speaking, clients, meter, arena, .. } = self;
        let mut next = u64::MAX;
        for speaking in speaking {
            while speaking.cursor.at_ns <= now {
                let Speaking { voice, track, cursor } = speaking;
                let late = now - cursor.at_ns;
                let (index, count, wait) = cursor.step();
                let peer = clients[voice.client].as_mut().and_then(|member| member.client.peer.as_mut());
                let peer = peer.expect("a publisher stays while it speaks");
                if let Some((_, keys)) = &mut peer.keys {
                    let stamp = clock::unix_ns();
                    peer.tracks[*track].send(&peer.socket, keys, &voice.rhythm, (index, count), now, stamp, arena);
                    meter.lateness.add(late);
                    meter.sent += u64::from(count);
                    meter.expected += u64::from(count) * voice.legs;
                }
                if late > LATE_MAX_NS {
                    cursor.at_ns = now + wait;
                }
            }
            next = next.min(speaking.cursor.at_ns);
        }
        next
    }

    fn scan(&mut self, now: u64) {
        self.scan_at = now + SCAN_NS;
        for member in self.clients.iter_mut().flatten() {
            let client = &mut member.client;
            client.socket.flush();
            if now >= client.keepalive_at {
                client.keep_alive(now);
            }
            if let Some(peer) = &mut client.peer {
                peer.tick(Mono(now));
            }
        }
    }
}
