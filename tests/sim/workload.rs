//! What people do in rooms, drawn from a seed: they come, publish, watch, pause, change their minds and their networks,
//! leave politely or not at all.

use std::time::Duration;

use portunus::control::command::Teardown;
use portunus::wire::sdp::MediaKind;

use crate::browser::Browser;
use crate::checks::{Tally, Trace, counter, drops};
use crate::faults::{Strangers, Weather};
use crate::handshake::ScriptedFactory;
use crate::network::Prng;
use crate::script::ScriptedBrowser;
use crate::seeds::is_alone;
use crate::world::{Client, PEER_TIMEOUT, Role, World};

const ROOMS_MAX: usize = 3;
const CLIENTS_MAX: usize = 10;
const DEEDS: u64 = 25;
pub const AUDIO_VIDEO: [(MediaKind, bool); 2] = [(MediaKind::Audio, true), (MediaKind::Video, true)];

/// What a seed came to.
pub struct Played {
    /// What went over the wire.
    pub trace: Trace,
    pub tally: Tally,
    /// Packets that the engine got because it asked for them, and those that it sent again.
    pub repaired: (u64, u64),
}

/// Plays a seed to its end.
pub fn play(seed: u64) -> Played {
    let mut prng = Prng::new(seed);
    let weather = match seed % 3 {
        0 => Weather::FAIR,
        1 => Weather::FOUL,
        _ => Weather::draw(&mut prng),
    };
    let shards = 1 + (seed % 4) as u8;
    let handshakes = |shard: u8| -> Box<dyn portunus::media::turn::HandshakeFactory + Send> {
        Box::new(ScriptedFactory::new(seed << 8 | u64::from(shard)))
    };
    let mut world = World::new(prng.next(), shards, weather, handshakes);
    if seed.is_multiple_of(2) {
        world.strangers = Some(Strangers::new(prng.next()));
    }
    world.create_room(1);
    come_and_publish(&mut world, &mut prng);
    world.run_for(Duration::from_secs(1));
    come_and_watch(&mut world, &mut prng);
    for _ in 0..DEEDS {
        let pause = Duration::from_millis(prng.between(10, 600));
        if world.strangers.is_some() {
            let before: u64 = world.shards.iter().map(|shard| drops(&shard.engine)).sum();
            (0..5).for_each(|_| world.intrude());
            world.run_for(pause);
            let after: u64 = world.shards.iter().map(|shard| drops(&shard.engine)).sum();
            assert!(after >= before + 5, "every stranger is counted");
        } else {
            world.run_for(pause);
        }
        deed(&mut world, &mut prng);
        world.counts_agree();
    }
    let silent = |client: &Client| client.has_peer && (client.vanished || client.closed);
    let missed = world.clients.values().any(silent);
    world.run_for(if missed { PEER_TIMEOUT + Duration::from_secs(3) } else { Duration::from_secs(2) });
    for (id, client) in world.clients.iter().filter(|(_, client)| world.is_missed(client)) {
        assert!(!client.has_peer, "client {id} is gone and nobody noticed");
    }
    world.end();
    let played = world.played();
    if is_alone() {
        println!("{} clients, {} packets received", world.clients.len(), world.ledger.received);
        println!("{:?}, {:?}, {:#?}", played.trace, played.repaired, played.tally);
    }
    played
}

impl World {
    pub fn played(&self) -> Played {
        let sum = |name| self.shards.iter().map(|shard| counter(&shard.engine, name)).sum();
        let repaired = (sum("packets_recovered"), sum("packets_resent"));
        Played { trace: self.trace, tally: self.ledger.tally.clone(), repaired }
    }
}

fn deed(world: &mut World, prng: &mut Prng) {
    let living: Vec<u64> = ids(world, |client| !left(client));
    match prng.below(29) {
        0 if world.rooms().len() < ROOMS_MAX => {
            let room = world.clock.mono().0 & 0xffff_ffff;
            world.create_room(room);
        }
        0..=4 if living.len() < CLIENTS_MAX => come_and_publish(world, prng),
        5..=9 if living.len() < CLIENTS_MAX => come_and_watch(world, prng),
        10 => {
            if let Some(id) = any(world, prng, |c| c.role == Role::Subscriber && c.has_peer) {
                world.pause(id);
                world.run_for(Duration::from_millis(prng.between(1, 700)));
                if world.clients[&id].has_peer {
                    world.resume(id);
                }
            }
        }
        11 => {
            if let Some(id) = any(world, prng, |c| c.role == Role::Subscriber && c.has_peer) {
                let mids = world.ledger.mids(id);
                let mid = prng.pick(&mids).expect("it has some").clone();
                world.want(id, &mid, prng.per_mille(600));
            }
        }
        12 => {
            if let Some(id) = any(world, prng, |c| c.role == Role::Publisher && c.has_peer) {
                let kind = if prng.per_mille(500) { MediaKind::Audio } else { MediaKind::Video };
                world.relay(id, kind, prng.per_mille(600));
            }
        }
        13 => {
            if let Some(id) = any(world, prng, |c| c.role == Role::Publisher && c.has_peer) {
                world.unpublish(id);
            }
        }
        14 | 15 => {
            if let Some(id) = any(world, prng, |c| c.role == Role::Publisher && !c.has_peer && !left(c)) {
                let browser = browser(world, prng);
                world.renew(id, browser);
                world.publish(id, &AUDIO_VIDEO, false);
            }
        }
        16 => {
            if let Some(id) = any(world, prng, |c| !left(c)) {
                world.leave(id);
            }
        }
        17 => {
            if let Some(id) = any(world, prng, |_| true) {
                let kind = if prng.per_mille(300) { Teardown::Hangup } else { Teardown::Detach };
                world.teardown(id, kind);
            }
        }
        18 => {
            if let Some(id) = any(world, prng, |c| c.up && !c.vanished) {
                world.close(id);
            }
        }
        19 => {
            if let Some(id) = any(world, prng, |c| c.up && !c.closed) {
                world.vanish(id);
            }
        }
        20 => {
            if let Some(id) = any(world, prng, |c| c.role == Role::Subscriber && c.up) {
                world.restart_subscriber(id);
            }
        }
        21 => {
            let settled = |c: &Client| c.role == Role::Publisher && c.up && !c.negotiating && !c.vanished && !c.closed;
            if let Some(id) = any(world, prng, settled) {
                let restart = prng.per_mille(500);
                let mut lines = world.clients[&id].lines.clone();
                if !restart || prng.per_mille(500) {
                    lines[0].1 = !lines[0].1;
                }
                world.publish(id, &lines, restart);
            }
        }
        22 => {
            if let Some(id) = any(world, prng, |c| c.has_peer && !c.vanished) {
                world.rebind(id);
            }
        }
        23 => {
            let here = |c: &Client| c.up && !c.vanished && !c.closed;
            if let (Some(one), Some(other)) = (any(world, prng, here), any(world, prng, here))
                && one != other
            {
                world.exchange(one, other);
            }
        }
        24 => {
            if let Some(id) = any(world, prng, |c| c.up && c.role == Role::Publisher) {
                world.stall(id, 8);
                world.run_for(Duration::from_secs(9));
            }
        }
        25 => {
            for _ in 0..4 {
                if let Some(id) = any(world, prng, |c| c.up && !c.vanished) {
                    world.rebind(id);
                }
                world.run_for(Duration::from_millis(1500));
            }
        }
        27 => world.set_clock(prng.between(0, 240_000_000) as i64 - 120_000_000),
        28 => world.freeze(Duration::from_millis(prng.between(20, 300))),
        26 if world.rooms().len() > 1 => {
            let rooms = world.rooms();
            world.destroy_room(*prng.pick(&rooms).expect("there are two"));
        }
        _ => {}
    }
}

fn come_and_publish(world: &mut World, prng: &mut Prng) {
    let rooms = world.rooms();
    let Some(&room) = prng.pick(&rooms) else { return };
    let browser = browser(world, prng);
    let id = world.join(room, browser);
    if prng.per_mille(400) {
        // What comes in disorder leaves in the same disorder: the viewers' own paths show whether all of it does.
        world.live_in(id, Weather::FOUL);
    } else if prng.per_mille(200) {
        world.live_in(id, narrow(prng, 1));
    }
    let lines = match prng.below(4) {
        0 => vec![(MediaKind::Video, true)],
        1 => vec![(MediaKind::Audio, true)],
        _ => AUDIO_VIDEO.to_vec(),
    };
    world.publish(id, &lines, false);
}

fn come_and_watch(world: &mut World, prng: &mut Prng) {
    let rooms = world.rooms();
    let Some(&room) = prng.pick(&rooms) else { return };
    let feeds = ids(world, |c| c.room == room && c.role == Role::Publisher && c.up);
    let feeds: Vec<u64> = feeds.into_iter().filter(|_| prng.per_mille(700)).collect();
    let published = |feed: &u64| world.clients[feed].lines.iter().any(|(_, active)| *active);
    let feeds: Vec<u64> = feeds.into_iter().filter(published).collect();
    if !feeds.is_empty() {
        let browser = browser(world, prng);
        let id = world.subscribe(room, &feeds, browser).expect("the feeds are live");
        if prng.per_mille(200) {
            world.live_in(id, narrow(prng, feeds.len() as u64));
        }
    }
}

/// A link that has a little more room than so many cameras need, so that keyframes queue up.
fn narrow(prng: &mut Prng, feeds: u64) -> Weather {
    Weather { rate: Some(prng.between(500_000, 1_000_000) * feeds), ..Weather::draw(prng) }
}

fn browser(world: &mut World, prng: &mut Prng) -> Box<dyn Browser> {
    let address = world.new_address();
    Box::new(ScriptedBrowser::new(prng.next(), address))
}

/// Handles that are still attached to a room.
fn ids(world: &World, which: impl Fn(&Client) -> bool) -> Vec<u64> {
    world.clients.iter().filter(|(_, client)| !client.done && which(client)).map(|(id, _)| *id).collect()
}

fn any(world: &World, prng: &mut Prng, which: impl Fn(&Client) -> bool) -> Option<u64> {
    prng.pick(&ids(world, which)).copied()
}

/// Whether the handle has said `leave`, or is a subscriber whose connection is over: only detaching is left to it.
fn left(client: &Client) -> bool {
    client.left || client.role == Role::Subscriber && !client.has_peer
}
