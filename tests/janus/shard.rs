//! A media shard without media: real rooms and a real registrar, but a peer connection is up as soon as its descriptions
//! are exchanged, and media come from every m-line at once.

use std::collections::BTreeMap;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

use portunus::control::capture::{CaptureError, CaptureOrder};
use portunus::control::command::*;
use portunus::control::effect::Effect;
use portunus::control::error::RoomError;
use portunus::control::inspection::Inspection;
use portunus::control::observation::Observation;
use portunus::control::placement::{Claim, Registrar};
use portunus::control::talking::TalkChange;
use portunus::id::{RoomId, ShardId, StreamId};
use portunus::videoroom::state::Room;
use portunus::wire::sdp::{Description, Fingerprint, Setup, Transport};

pub struct Shard {
    id: ShardId,
    registrar: Registrar,
    rng: ChaCha20Rng,
    pub rooms: BTreeMap<RoomId, Room>,
    pub teardowns: Vec<Teardown>,
    pub settings: Option<Settings>,
}

type Events = Vec<Mail>;

impl Shard {
    pub fn new(id: ShardId, shards: u8) -> Shard {
        Shard {
            id,
            registrar: Registrar::new(id, shards),
            rng: ChaCha20Rng::from_seed([id.0; 32]),
            rooms: BTreeMap::new(),
            teardowns: Vec::new(),
            settings: None,
        }
    }

    pub fn handle(&mut self, envelope: CommandEnvelope) -> Vec<Mail> {
        let mut events = Vec::new();
        // What a teardown brings is told before it is acknowledged; other consequences follow their reply.
        let comes_first = matches!(envelope.command, Command::Teardown { .. });
        let reply = self.answer(envelope.command, &mut events);
        let from = self.id;
        let mut mails = if comes_first { std::mem::take(&mut events) } else { Vec::new() };
        if let Some(ticket) = envelope.ticket {
            let load = self.rooms.values().map(|room| u32::try_from(room.gauges().peers).unwrap()).sum();
            mails.push(Mail::Reply { ticket, from, load, reply });
        }
        mails.extend(events);
        mails
    }

    /// The publisher of a stream begins or stops talking.
    pub fn talk(&mut self, room: &RoomId, stream: StreamId, change: TalkChange) -> Vec<Mail> {
        let mut effects = Vec::new();
        let room = self.rooms.get_mut(room).expect("the room");
        room.talking_changed(stream, change, &mut effects);
        carry_out(self.id, room, effects)
    }

    fn answer(&mut self, command: Command, events: &mut Events) -> Reply {
        let absent = |room: &RoomId| Reply::Refused(RoomError::NoSuchRoom(room.clone()));
        match command {
            Command::Claim { room, text, candidates } => {
                let Claim { room, owner, fresh } = self.registrar.claim(room, text, candidates, &mut self.rng);
                Reply::Claimed { room, owner, fresh }
            }
            Command::FindOwner(room) => Reply::Owner(self.registrar.locate(&room)),
            Command::Release(room, owner) => {
                self.registrar.release(&room, owner);
                Reply::Released
            }
            Command::Create(spec) if spec.publishers == 666 => Reply::Refused(RoomError::Exhausted("rooms")),
            Command::Create(spec) => {
                let room = spec.room.clone();
                let mut made = Room::new(*spec, ChaCha20Rng::from_seed([9; 32]));
                made.watch(true);
                self.rooms.insert(room.clone(), made);
                Reply::Created(room)
            }
            Command::Destroy { room, secret } => {
                let Some(found) = self.rooms.get_mut(&room) else { return absent(&room) };
                let mut effects = Vec::new();
                if let Err(error) = found.destroy(secret.as_deref(), &mut effects) {
                    return Reply::Refused(error);
                }
                events.extend(carry_out(self.id, found, effects));
                self.rooms.remove(&room);
                Reply::Destroyed(room)
            }
            Command::Administer { room, secret, request } => {
                let Some(room) = self.rooms.get_mut(&room) else { return absent(&room) };
                let mut effects = Vec::new();
                let reply = room.administer(secret.as_deref(), *request, &mut effects);
                events.extend(carry_out(self.id, room, effects));
                reply
            }
            Command::Exists(room) => {
                let there = self.rooms.contains_key(&room);
                Reply::Exists(room, there)
            }
            Command::CheckPin { room, pin, is_signed } => {
                match self.rooms.get(&room).map(|room| room.wiring().check_entry(is_signed, pin.as_deref())) {
                    Some(Ok(())) => Reply::Admitted(room),
                    Some(Err(error)) => Reply::Refused(error),
                    None => absent(&room),
                }
            }
            Command::List { private } => {
                let rooms = self.rooms.values().map(|room| room.wiring().summary());
                Reply::Rooms(rooms.filter(|room| private || !room.spec.is_private).collect())
            }
            Command::Participants(room) => match self.rooms.get(&room).map(|room| room.wiring().participants()) {
                Some(participants) => Reply::Participants(room, participants),
                None => absent(&room),
            },
            Command::Member { room, handle, request } => {
                let Some(room) = self.rooms.get_mut(&room) else { return absent(&room) };
                let mut effects = Vec::new();
                let mut reply = room.handle(handle, *request, &mut effects);
                complete(&mut reply);
                events.extend(carry_out(self.id, room, effects));
                reply
            }
            Command::Teardown { room, handle, kind } => {
                self.teardowns.push(kind);
                if let Some(room) = self.rooms.get_mut(&room) {
                    let mut effects = Vec::new();
                    room.teardown(handle, kind, &mut effects);
                    events.extend(carry_out(self.id, room, effects));
                }
                Reply::TornDown(handle)
            }
            Command::Adjust(settings) => {
                self.settings = Some(settings);
                Reply::Adjusted
            }
            Command::Inspect { room, handle } => {
                let member = self.rooms.get(&room).and_then(|room| room.wiring().inspect(handle));
                Reply::Inspected(member.map(|member| Box::new(Inspection { member, peer: None })))
            }
            Command::Capture { order: CaptureOrder::Start { .. }, .. } => Reply::Capture(Err(CaptureError::NoPeer)),
            Command::Capture { .. } => Reply::Capture(Err(CaptureError::NotRunning)),
            Command::Survey => Reply::Surveyed(Box::new(ShardReport {
                shard: self.id.0,
                gauges: vec![
                    ("rooms", u64::try_from(self.rooms.len()).unwrap()),
                    ("peers", self.rooms.values().map(|room| u64::try_from(room.gauges().peers).unwrap()).sum()),
                ],
                ..ShardReport::default()
            })),
        }
    }
}

/// What is told, in order. A peer whose side is known is up at once, and its new m-lines are heard.
fn carry_out(from: ShardId, room: &mut Room, effects: Vec<Effect>) -> Events {
    let mut events = Vec::new();
    let mut connected = Vec::new();
    let mut heard = Vec::new();
    for effect in effects {
        match effect {
            Effect::OpenPeer { member, remote: Some(_) } | Effect::SetRemote { member, .. } => connected.push(member),
            Effect::SetStream { member, media, .. } => heard.push((member, media)),
            Effect::Tell { to, mut event } => {
                if let Event::Updated(_, _, offer) = &mut event {
                    offer.complete(&transport(), &[]);
                }
                events.push(Mail::Event { from, to, event });
            }
            Effect::Observe { of, what } => {
                events.push(Mail::Observed { of, what: Observation::Room(room.wiring().spec().room.clone(), what) });
            }
            _ => {}
        }
    }
    let mut consequences = Vec::new();
    for member in connected {
        room.peer_up(member, &mut consequences);
    }
    for (member, media) in heard {
        room.roster().media_changed(member, media.mid, media.kind, true, None, &mut consequences);
    }
    if !consequences.is_empty() {
        events.extend(carry_out(from, room, consequences));
    }
    events
}

fn complete(reply: &mut Reply) {
    let description: Option<&mut Description> = match reply {
        Reply::Joined(joined) => joined.published.as_mut().map(|published| &mut published.answer),
        Reply::Attached(attached) => Some(&mut attached.offer),
        Reply::Configured(configured) => match &mut configured.published {
            Some(published) => Some(&mut published.answer),
            None => configured.offer.as_mut(),
        },
        Reply::Updated(updated) => updated.offered.as_mut().map(|(_, offer)| offer),
        Reply::Switched(switched) => switched.offer.as_mut(),
        _ => None,
    };
    if let Some(description) = description {
        description.complete(&transport(), &[]);
    }
}

fn transport() -> Transport {
    let (ufrag, pwd) = ("serv".into(), "22charactersofpassword".into());
    Transport { ufrag, pwd, fingerprint: Fingerprint::Sha256([7; 32]), setup: Setup::ActPass }
}
