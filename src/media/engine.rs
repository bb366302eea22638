//! One media shard's mind: which room a datagram or a command belongs to, and the one place where a fault in a room is
//! caught. Datagrams, commands and the turn's clock go in; datagrams, replies, events and the next deadline come out.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use foldhash::quality::SeedableRandomState;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use slab::Slab;

use super::arena::{SendArena, Transmit};
use super::forwarder::Receivers;
use super::index::{PeerIndex, PeerKey};
use super::machine::MachineCounters;
use super::memory::HistoryRegion;
use super::notice::{Notice, Notices};
use super::outgoing::Outgoing;
use super::ports::RemotePorts;
use super::router::HostedRoom;
use super::timer::{TimerId, Timers, Urgency};
use super::turn::{Counters, HandshakeFactory, ShardState, Turn, candidates};
use super::verdict::{DropReason, Drops, Verdict};
use crate::control::capture::CaptureError;
use crate::control::command::{Command, CommandEnvelope, Event, Mail, Reply, ShardReport};
use crate::control::error::RoomError;
use crate::control::observation::Watch;
use crate::control::placement::{Claim, Registrar};
use crate::control::spec::RoomSpec;
use crate::id::{FourTuple, RoomId, ShardId, SignallingId};
use crate::limits::{DATAGRAM_MAX, NO_MEDIA_TIMEOUT, ROOMS_PER_SHARD_MAX};
use crate::time::{Mono, Now};
use crate::videoroom::state::Room;
use crate::wire::demux::{Protocol, classify};
use crate::wire::stun::{Class, Message};

/// What a shard is made with.
pub struct MediaConfig {
    pub shard: ShardId,
    /// How many media shards there are.
    pub shards: u8,
    /// How many signalling shards there are.
    pub signalling_shards: u8,
    /// Where the shard's sockets are bound, in the order of their ids.
    pub sockets: Vec<SocketAddr>,
    /// Ports of further sockets, whose ids follow: one for each publisher of another server.
    pub remote_ports: Vec<u16>,
    /// Addresses that descriptions offer as candidates.
    pub advertised: Vec<SocketAddr>,
    /// DTLS of all peers.
    pub handshakes: Box<dyn HandshakeFactory + Send>,
    /// A peer without an authenticated check for so long is gone.
    pub peer_timeout: Duration,
    /// Packets of an m-line lost in a second that are told as a slow link; 0 is never.
    pub slowlink_threshold: u32,
    /// What event handlers want to know.
    pub watch: Watch,
    /// All randomness comes from here.
    pub seed: [u8; 32],
    /// The clock at the start.
    pub now: Now,
}

/// Peers to be looked at in one turn that find room from the beginning.
const DUE: usize = 256;

/// A media shard.
pub struct MediaEngine {
    rooms: Slab<HostedRoom>,
    by_id: HashMap<RoomId, usize, SeedableRandomState>,
    registrar: Registrar,
    state: ShardState,
    due: Vec<(PeerKey, (Urgency, TimerId))>,
    /// When the shard began.
    began: Now,
}

impl MediaEngine {
    /// An empty shard. Call it on the thread that will run it: its memory is then local to that core.
    pub fn new(config: MediaConfig) -> MediaEngine {
        let mut rng = ChaCha20Rng::from_seed(config.seed);
        let index = PeerIndex::new(rng.next_u64());
        MediaEngine {
            rooms: Slab::new(),
            by_id: HashMap::with_hasher(index.hasher()),
            registrar: Registrar::new(config.shard, config.shards),
            state: ShardState {
                shard: config.shard,
                receivers: Receivers::new(index.hasher()),
                remote_ports: RemotePorts::new(config.sockets.len(), &config.remote_ports),
                sockets: config.sockets,
                index,
                timers: Timers::new(config.now.mono),
                arena: SendArena::new(),
                drops: Drops::default(),
                counters: Counters::default(),
                machine: MachineCounters::default(),
                mail: Outgoing::new(config.signalling_shards),
                notices: Notices::default(),
                rng,
                region: HistoryRegion::new(),
                candidates: candidates(&config.advertised),
                no_media_timer: NO_MEDIA_TIMEOUT,
                handshakes: config.handshakes,
                peer_timeout: config.peer_timeout,
                slowlink_threshold: config.slowlink_threshold,
                watch: config.watch,
                touched_rooms: Vec::new(),
            },
            due: Vec::with_capacity(DUE),
            began: config.now,
        }
    }

    /// One datagram, as it lies in the receive buffer; SRTP is opened in place. `received` is the kernel's time.
    pub fn handle_datagram(
        &mut self,
        now: Now,
        at: FourTuple,
        received: Mono,
        datagram: &mut [u8],
        tx: &mut dyn Transmit,
    ) -> Verdict {
        let verdict = self.dispatch(now, at, received, datagram, tx);
        if let Verdict::Drop(reason) = verdict {
            self.state.drops.count(reason);
        }
        verdict
    }

    fn dispatch(
        &mut self,
        now: Now,
        at: FourTuple,
        received: Mono,
        datagram: &mut [u8],
        tx: &mut dyn Transmit,
    ) -> Verdict {
        if datagram.len() > DATAGRAM_MAX {
            return Verdict::Drop(DropReason::Oversize);
        }
        let protocol = classify(datagram);
        if usize::from(at.socket.0) >= self.state.sockets.len() {
            return self.handle_remote(now, at, received, protocol, datagram, tx);
        }
        match protocol {
            Protocol::Stun => return self.handle_check(now, at, datagram, tx),
            Protocol::Unknown => return Verdict::Drop(DropReason::Unclassified),
            Protocol::Dtls | Protocol::Rtp | Protocol::Rtcp => {}
        }
        let Some(PeerKey { room, member }) = self.state.index.by_tuple(at) else {
            return self.handle_receiver(now, at, protocol, datagram, tx);
        };
        self.in_room(now, tx, room, |room, turn| match protocol {
            Protocol::Dtls => room.accept_dtls(turn, member, at, datagram),
            Protocol::Rtp => room.accept_rtp(turn, member, at, received, datagram),
            _ => room.accept_rtcp(turn, member, at, received, datagram),
        })
        .unwrap_or(Verdict::Drop(DropReason::RoomFailed))
    }

    fn handle_check(&mut self, now: Now, at: FourTuple, datagram: &[u8], tx: &mut dyn Transmit) -> Verdict {
        let Ok(message) = Message::parse(datagram) else { return Verdict::Drop(DropReason::StunMalformed) };
        if message.class() == Class::Indication && self.state.index.by_tuple(at).is_some() {
            // RFC 8445 §11: keepalives of a known path. They prove nothing, not being authenticated, and say nothing.
            return Verdict::Consumed;
        }
        let Some((ufrag, _)) = message.username() else { return Verdict::Drop(DropReason::StunUnauthorized) };
        let Some(key) = self.state.index.by_ufrag(ufrag) else {
            return Verdict::Drop(DropReason::StunUnknownUfrag);
        };
        if let Some(owner) = self.state.index.by_tuple(at).filter(|&owner| owner != key)
            && self.is_held(now, at, owner, key)
        {
            return Verdict::Drop(DropReason::StunTupleHeld);
        }
        let PeerKey { room, member } = key;
        let outcome = self.in_room(now, tx, room, |room, turn| room.accept_check(turn, member, at, &message));
        let Some((verdict, displaced)) = outcome else { return Verdict::Drop(DropReason::RoomFailed) };
        if let Some(before) = displaced {
            self.in_room(now, tx, before.room, |room, _| room.forget_path(before.member, at));
        }
        verdict
    }

    /// Whether a 4-tuple stays its owner's although another peer checks on it. A check proves no source address: whoever
    /// may join could silence anybody whose address they know. Only a peer that completed its handshake there takes it
    /// back from one that did not.
    fn is_held(&self, now: Now, at: FourTuple, owner: PeerKey, other: PeerKey) -> bool {
        let ice = |key: PeerKey| self.rooms.get(key.room as usize)?.ice(key.member);
        let Some(owner) = ice(owner) else { return false };
        let is_reclaimed = ice(other).is_some_and(|other| other.has_proven(at)) && !owner.has_proven(at);
        owner.is_heard_on(at, now.mono) && !is_reclaimed
    }

    /// A datagram at a port that is no peers'.
    fn handle_remote(
        &mut self,
        now: Now,
        at: FourTuple,
        received: Mono,
        protocol: Protocol,
        datagram: &mut [u8],
        tx: &mut dyn Transmit,
    ) -> Verdict {
        let Some(PeerKey { room, member }) = self.state.remote_ports.of(at.socket) else {
            return Verdict::Drop(DropReason::UnknownSource);
        };
        let accept = |room: &mut HostedRoom, turn: &mut Turn<'_>| {
            room.accept_remote(turn, member, at, received, protocol, datagram)
        };
        self.in_room(now, tx, room, accept).unwrap_or(Verdict::Drop(DropReason::RoomFailed))
    }

    /// What no peer sends may be RTCP of a forwarder's receiver.
    fn handle_receiver(
        &mut self,
        now: Now,
        at: FourTuple,
        protocol: Protocol,
        datagram: &[u8],
        tx: &mut dyn Transmit,
    ) -> Verdict {
        let mut verdict = Verdict::Drop(DropReason::UnknownSource);
        if protocol == Protocol::Rtcp {
            for key in self.state.receivers.of(at) {
                let heard =
                    self.in_room(now, tx, key.room, |room, turn| room.accept_receiver(turn, key.forwarder, datagram));
                verdict = heard.unwrap_or(Verdict::Drop(DropReason::RoomFailed));
            }
        }
        verdict
    }

    /// One command of a signalling shard.
    pub fn handle_command(&mut self, now: Now, envelope: CommandEnvelope, tx: &mut dyn Transmit) {
        let CommandEnvelope { ticket, from, command } = envelope;
        let answer = |state: &mut ShardState, reply: Reply| {
            if let Some(ticket) = ticket {
                let load = u32::try_from(state.index.len().1).unwrap_or(u32::MAX);
                state.mail.reply(from, Mail::Reply { ticket, from: state.shard, load, reply });
            }
        };
        let reply = match command {
            Command::Claim { room, text, candidates } => {
                let Claim { room, owner, fresh } = self.registrar.claim(room, text, candidates, &mut self.state.rng);
                Reply::Claimed { room, owner, fresh }
            }
            Command::FindOwner(room) => Reply::Owner(self.registrar.locate(&room)),
            Command::Release(room, owner) => {
                self.registrar.release(&room, owner);
                Reply::Released
            }
            Command::Create(spec) => self.create(*spec),
            Command::Destroy { room, secret } => {
                let Some(&slot) = self.by_id.get(&room) else {
                    return answer(&mut self.state, Reply::Refused(RoomError::NoSuchRoom(room)));
                };
                let done = self.in_room(now, tx, slot as u32, |hosted, turn| {
                    let destroyed = Reply::Destroyed(room.clone());
                    hosted.destroy(turn, secret.as_deref(), |turn| answer(turn.state, destroyed))
                });
                match done {
                    Some(Ok(())) => return self.remove(now, slot, tx),
                    Some(Err(error)) => Reply::Refused(error),
                    None => Reply::Destroyed(room),
                }
            }
            Command::Administer { room, secret, request } => {
                let Some(&slot) = self.by_id.get(&room) else {
                    return answer(&mut self.state, Reply::Refused(RoomError::NoSuchRoom(room)));
                };
                let done = self.in_room(now, tx, slot as u32, |hosted, turn| {
                    hosted.administer(turn, secret.as_deref(), *request, |turn, reply| answer(turn.state, reply));
                });
                match done {
                    Some(()) => return,
                    None => Reply::Refused(RoomError::NoSuchRoom(room)),
                }
            }
            Command::Exists(room) => {
                let exists = self.by_id.contains_key(&room);
                Reply::Exists(room, exists)
            }
            Command::CheckPin { room, pin, is_signed } => match self.by_id.get(&room) {
                Some(&slot) => match self.rooms[slot].rules().wiring().check_entry(is_signed, pin.as_deref()) {
                    Ok(()) => Reply::Admitted(room),
                    Err(error) => Reply::Refused(error),
                },
                None => Reply::Refused(RoomError::NoSuchRoom(room)),
            },
            Command::List { private } => {
                let rooms = self.rooms.iter().map(|(_, room)| room.summary());
                Reply::Rooms(rooms.filter(|room| private || !room.spec.is_private).collect())
            }
            Command::Participants(room) => match self.by_id.get(&room) {
                Some(&slot) => Reply::Participants(room, self.rooms[slot].rules().wiring().participants()),
                None => Reply::Refused(RoomError::NoSuchRoom(room)),
            },
            Command::Member { room, handle, request } => {
                let Some(&slot) = self.by_id.get(&room) else {
                    return answer(&mut self.state, Reply::Refused(RoomError::NoSuchRoom(room)));
                };
                let done = self.in_room(now, tx, slot as u32, |hosted, turn| {
                    hosted.handle(turn, handle, *request, |turn, reply| answer(turn.state, reply));
                });
                match done {
                    Some(()) => return,
                    None => Reply::Refused(RoomError::NoSuchRoom(room)),
                }
            }
            Command::Teardown { room, handle, kind } => {
                match self.by_id.get(&room) {
                    Some(&slot) => {
                        self.in_room(now, tx, slot as u32, |hosted, turn| hosted.teardown(turn, handle, kind));
                    }
                    // A room that is gone has nobody in it; the handle still waits to hear that it is detached.
                    None if kind == crate::control::command::Teardown::Detach => {
                        self.state.tell(&[handle], Event::Detached);
                    }
                    None => {}
                }
                Reply::TornDown(handle)
            }
            Command::Survey => Reply::Surveyed(Box::new(self.survey())),
            Command::Adjust(settings) => {
                self.state.slowlink_threshold = settings.slowlink_threshold;
                self.state.no_media_timer = settings.no_media_timer;
                Reply::Adjusted
            }
            Command::Inspect { room, handle } => {
                let slot = self.by_id.get(&room).and_then(|slot| u32::try_from(*slot).ok());
                let found = slot.and_then(|slot| self.in_room(now, tx, slot, |room, turn| room.inspect(turn, handle)));
                Reply::Inspected(found.flatten().map(Box::new))
            }
            Command::Capture { room, handle, order } => {
                let slot = self.by_id.get(&room).and_then(|slot| u32::try_from(*slot).ok());
                let done =
                    slot.and_then(|slot| self.in_room(now, tx, slot, |room, turn| room.capture(turn, handle, order)));
                Reply::Capture(done.unwrap_or(Err(CaptureError::NoPeer)))
            }
        };
        answer(&mut self.state, reply);
    }

    /// What the log is to say.
    pub fn poll_notice(&mut self) -> Option<Notice> {
        self.state.notices.take()
    }

    /// Whatever the clock brings.
    pub fn handle_timeout(&mut self, now: Now, tx: &mut dyn Transmit) {
        let mut due = std::mem::take(&mut self.due);
        self.state.timers.due(now.mono, &mut due);
        for (PeerKey { room, member }, timer) in due.drain(..) {
            self.in_room(now, tx, room, |room, turn| room.handle_timeout(turn, member, timer));
        }
        self.due = due;
    }

    /// The end of a turn: what it has brought goes out, peer by peer.
    pub fn release(&mut self, now: Now, tx: &mut dyn Transmit) {
        let mut touched = std::mem::take(&mut self.state.touched_rooms);
        for room in touched.drain(..) {
            self.in_room(now, tx, room, |room, turn| room.release(turn));
        }
        self.state.touched_rooms = touched;
        Turn { now, state: &mut self.state, tx }.flush();
    }

    /// When [`handle_timeout`](Self::handle_timeout) must be called at the latest; it may have something to do in any turn.
    pub fn deadline(&self) -> Mono {
        self.state.timers.next()
    }

    /// How many looks at peers are planned; for tests.
    pub fn timers(&self) -> usize {
        self.state.timers.len()
    }

    /// The next reply or event for a signalling shard.
    pub fn poll_mail(&mut self, to: SignallingId) -> Option<Mail> {
        self.state.mail.take(to)
    }

    /// The lane was full: the mail goes out first at the next occasion.
    pub fn mail_refused(&mut self, to: SignallingId, mail: Mail) {
        self.state.mail.give_back(to, mail);
    }

    /// Whether mail waits for room in a lane.
    pub fn has_mail(&self) -> bool {
        !self.state.mail.is_empty()
    }

    /// What the machine counts.
    pub fn machine(&mut self) -> &mut MachineCounters {
        &mut self.state.machine
    }

    /// Counters of drops, for tests and the machine.
    pub fn drops(&self) -> &Drops {
        &self.state.drops
    }

    /// Everything that the shard holds and has done.
    pub fn survey(&self) -> ShardReport {
        let (tuples, ufrags) = self.state.index.len();
        let mut gauges = vec![
            ("rooms", self.rooms.len() as u64),
            ("registered_rooms", self.registrar.rooms() as u64),
            ("tuples", tuples as u64),
            ("ufrags", ufrags as u64),
            ("history_bytes", self.state.region.used() as u64),
        ];
        let (mut members, mut finished, mut peers, mut streams, mut legs, mut forwarders) = (0, 0, 0, 0, 0, 0);
        for (_, room) in &self.rooms {
            let held = room.held();
            let rules = room.rules().gauges();
            members += (rules.publishers + rules.subscribers) as u64;
            finished += rules.finished as u64;
            peers += held.peers as u64;
            streams += held.streams as u64;
            legs += held.legs as u64;
            forwarders += held.forwarders as u64;
        }
        gauges.extend([
            ("members", members),
            ("finished", finished),
            ("peers", peers),
            ("streams", streams),
            ("legs", legs),
            ("forwarders", forwarders),
            ("remote_publishers", self.state.remote_ports.used() as u64),
        ]);
        let mut counters = self.state.counters.named();
        counters.push(("histories_shrunk", self.state.region.shrunk));
        counters.extend(self.state.machine.counters());
        let mut drops: Vec<_> = self.state.drops.named().collect();
        drops.extend(self.state.machine.drops());
        ShardReport { shard: self.state.shard.0, gauges, counters, drops }
    }

    fn create(&mut self, spec: RoomSpec) -> Reply {
        if self.by_id.contains_key(&spec.room) {
            return Reply::Refused(RoomError::RoomExists(spec.room));
        }
        if self.rooms.len() >= ROOMS_PER_SHARD_MAX {
            return Reply::Refused(RoomError::Exhausted("rooms of the shard"));
        }
        let id = spec.room.clone();
        let mut seed = [0; 32];
        self.state.rng.fill_bytes(&mut seed);
        let entry = self.rooms.vacant_entry();
        let slot = entry.key();
        let Ok(number) = u32::try_from(slot) else { return Reply::Refused(RoomError::Exhausted("rooms")) };
        let mut room = Room::new(spec, ChaCha20Rng::from_seed(seed));
        room.watch(self.state.watch.rooms);
        entry.insert(HostedRoom::new(number, room));
        self.by_id.insert(id.clone(), slot);
        Reply::Created(id)
    }

    fn remove(&mut self, now: Now, slot: usize, tx: &mut dyn Transmit) {
        let mut room = self.rooms.remove(slot);
        self.by_id.remove(room.id());
        room.reclaim(&mut Turn { now, state: &mut self.state, tx });
    }

    /// The unwind boundary: one call into one room. None when there is no such room, or none any more.
    fn in_room<R>(
        &mut self,
        now: Now,
        tx: &mut dyn Transmit,
        slot: u32,
        call: impl FnOnce(&mut HostedRoom, &mut Turn<'_>) -> R,
    ) -> Option<R> {
        let room = self.rooms.get_mut(slot as usize)?;
        let mut turn = Turn { now: self.began.later(now.mono), state: &mut self.state, tx };
        let result = catch_unwind(AssertUnwindSafe(|| call(room, &mut turn)));
        match result {
            Ok(value) => Some(value),
            Err(_) => {
                self.drop_failed(slot);
                None
            }
        }
    }

    /// A room has failed: it goes whole, its members are told, and nothing of it stays in the shard's tables.
    fn drop_failed(&mut self, slot: u32) {
        let room = self.rooms.remove(slot as usize);
        self.state.counters.rooms_failed += 1;
        self.state.index.remove_room(slot);
        self.state.receivers.remove_room(slot);
        self.state.remote_ports.release_room(slot);
        self.state.touched_rooms.retain(|&touched| touched != slot);
        let id = room.id().clone();
        self.by_id.remove(&id);
        room.write_off(&mut self.state.region);
        self.state.tell(&room.addresses(), Event::RoomFailed(id));
        // Its destructors run over the state in which it failed.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(room)));
    }
}
