//! The media engine in a simulated world.
mod browser;
mod calls;
mod camera;
mod capture;
mod checks;
mod clock;
mod control;
mod faults;
mod handshake;
mod inspection;
mod network;
mod script;
mod seeds;
mod uplink;
mod workload;
mod world;

use std::time::Duration;

use portunus::control::command::{Command, Event, Reply};
use portunus::control::error::RoomError;
use portunus::control::placement;
use portunus::control::spec::RoomSpec;
use portunus::id::{RoomId, ShardId, SignallingId};
use portunus::media::turn::HandshakeFactory;

use browser::Heard;
use checks::{Tally, counter, gauge};
use faults::Weather;
use script::ScriptedBrowser;
use script::repair::Habits;
use seeds::{Seeds, is_alone};
use workload::AUDIO_VIDEO;
use world::World;

fn heard(world: &World, client: u64, what: impl Fn(&Heard) -> bool) -> usize {
    world.clients[&client].heard.iter().filter(|(_, heard)| what(heard)).count()
}

fn script(shard: u8) -> Box<dyn HandshakeFactory + Send> {
    Box::new(handshake::ScriptedFactory::new(u64::from(shard)))
}

/// After some eight seconds: the publisher was asked for a keyframe, told of its packets and their arrival, and the
/// subscriber got both streams with their reports.
fn assert_talked(world: &World, publisher: u64, subscriber: u64) {
    assert!(heard(world, publisher, |heard| matches!(heard, Heard::KeyframeWanted { line: 1 })) > 0);
    assert!(heard(world, publisher, |heard| matches!(heard, Heard::Reception { lost: 0 })) > 10);
    assert!(heard(world, publisher, |heard| matches!(heard, Heard::Feedback { arrived: 1.. })) > 50);
    for mid in ["0", "1"] {
        let (expected, received) = world.ledger.tally(subscriber, mid);
        assert!(expected > 150 && received > expected - 20, "{mid}: {received} of {expected}");
        assert!(world.ledger.reports(subscriber, mid) >= 6);
    }
}

#[test]
fn scripted_peers_do_what_str0m_does() {
    let run = || {
        let mut world = World::new(1, 1, Weather::FAIR, script);
        world.create_room(1234);
        let publisher = scripted_publisher(&mut world, 1234);
        world.run_for(Duration::from_secs(2));
        let subscriber = scripted_subscriber(&mut world, 1234, publisher);
        world.run_for(Duration::from_secs(8));
        assert_talked(&world, publisher, subscriber);
        world.end();
        world.trace
    };
    assert_eq!(run(), run());
}

#[test]
fn two_hundred_seeds_of_scripted_peers_keep_every_promise() {
    let played = Seeds { word: "", count: 200 }.play(workload::play);
    let mut tally = Tally::default();
    played.iter().for_each(|played| tally.add(&played.tally));
    let (recovered, resent) = played.iter().fold((0, 0), |sum, of| (sum.0 + of.repaired.0, sum.1 + of.repaired.1));
    println!("{recovered} recovered, {resent} resent, {tally:?}");
    if !is_alone() {
        let each = played.len();
        assert!(tally.repaired_up > 10 * each && recovered > 10 * each as u64, "losses of publishers are repaired");
        assert!(tally.late_down > 10 * each && resent > 10 * each as u64, "and losses of subscribers");
    }
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    for seed in 3..=5 {
        assert_eq!(workload::play(seed).trace, workload::play(seed).trace);
    }
}

/// Some hundred packets are lost each way, and so are some of the NACKs and of their answers: nothing is excused.
#[test]
fn with_two_percent_of_loss_each_way_and_fifty_milliseconds_of_round_trip_no_frame_is_lost_for_good() {
    for (seed, rtx) in [(1, true), (2, false)] {
        let mut world = World::new(seed, 1, Weather { loss: 20, delay_us: (25_000, 25_000), ..Weather::FAIR }, script);
        world.create_room(1);
        let habits = Habits { video: true, audio: true, rtx };
        let browser = |world: &mut World| {
            let address = world.new_address();
            Box::new(ScriptedBrowser::with(world.prng.next(), address, habits))
        };
        let it = browser(&mut world);
        let publisher = world.join(1, it);
        world.publish(publisher, &AUDIO_VIDEO, false);
        world.run_until("publisher up", Duration::from_secs(5), |world| world.clients[&publisher].up);
        let viewers: Vec<u64> = (0..3)
            .map(|_| {
                let it = browser(&mut world);
                world.subscribe(1, &[publisher], it).expect("the feed is live")
            })
            .collect();
        world.run_for(Duration::from_secs(5));
        let began = world.clock.mono();
        world.run_for(Duration::from_secs(60));
        let over = world.clock.mono();
        // What is lost last is missed when the next one comes.
        world.run_for(Duration::from_secs(2));
        for viewer in viewers {
            for (mid, least) in [("0", 1400), ("1", 1400)] {
                let (missing, of) = world.ledger.missing(viewer, mid, began, over);
                assert!(missing.is_empty() && of > least, "{viewer} misses {missing:?} of {of} on {mid}");
            }
        }
        world.end();
        let played = world.played();
        let (recovered, resent) = played.repaired;
        assert!(recovered > 40 && resent > 120, "{recovered} repaired on the way in, {resent} on the way out");
    }
}

#[test]
fn a_long_call_does_not_fill_the_wheel() {
    let mut world = World::new(3, 1, Weather::FAIR, script);
    world.create_room(1234);
    let publisher = scripted_publisher(&mut world, 1234);
    scripted_subscriber(&mut world, 1234, publisher);
    let mut most = 0;
    for _ in 0..60 {
        world.run_for(Duration::from_secs(1));
        most = most.max(world.shards[0].engine.timers());
    }
    assert!(most <= 4, "{most} looks are planned at two peers");
}

fn scripted(world: &mut World) -> Box<ScriptedBrowser> {
    let address = world.new_address();
    Box::new(ScriptedBrowser::new(world.prng.next(), address))
}

fn scripted_publisher(world: &mut World, room: u64) -> u64 {
    let browser = scripted(world);
    let id = world.join(room, browser);
    world.publish(id, &AUDIO_VIDEO, false);
    world.run_until("publisher up", Duration::from_secs(5), |world| world.clients[&id].up);
    id
}

fn scripted_subscriber(world: &mut World, room: u64, feed: u64) -> u64 {
    let browser = scripted(world);
    let id = world.subscribe(room, &[feed], browser).expect("the feed is live");
    world.run_until("subscriber up", Duration::from_secs(5), |world| world.clients[&id].up);
    id
}

#[test]
fn a_room_that_fails_goes_alone() {
    let mut world = World::new(5, 1, Weather::FAIR, script);
    let (bad, good) = (1, 2);
    let mut people = Vec::new();
    for room in [bad, good] {
        world.create_room(room);
        let publisher = scripted_publisher(&mut world, room);
        people.push((publisher, scripted_subscriber(&mut world, room, publisher)));
    }
    let attendee = scripted(&mut world);
    let attendee = world.join(bad, attendee);
    world.run_for(Duration::from_secs(2));
    let ((publisher, subscriber), (spared, witness)) = (people[0], people[1]);
    let before = world.ledger.tally(witness, "1").1;
    world.poison(subscriber);
    world.run_for(Duration::from_secs(3));
    let engine = &world.shards[0].engine;
    assert_eq!((counter(engine, "rooms_failed"), gauge(engine, "rooms")), (1, 1));
    assert_eq!((gauge(engine, "peers"), gauge(engine, "streams"), gauge(engine, "legs")), (2, 2, 2));
    assert_eq!((gauge(engine, "tuples"), gauge(engine, "ufrags")), (2, 2));
    for id in [publisher, subscriber, attendee] {
        assert!(matches!(world.clients[&id].events.last(), Some((_, Event::RoomFailed(room))) if *room == bad.into()));
    }
    for id in [spared, witness] {
        assert!(!world.clients[&id].events.iter().any(|(_, event)| matches!(event, Event::RoomFailed(_))));
    }
    assert!(world.ledger.tally(witness, "1").1 > before + 30, "the other room goes on");
    // The name is free again once signalling has told the registrar.
    world.forget_room(bad, 0);
    world.create_room(bad);
    let again = scripted_publisher(&mut world, bad);
    let viewer = scripted_subscriber(&mut world, bad, again);
    world.run_for(Duration::from_secs(2));
    assert!(world.ledger.tally(viewer, "1").1 > 20);
    world.end();
}

#[test]
fn rooms_are_found_through_their_registrars() {
    let mut world = World::new(6, 4, Weather::FAIR, script);
    (1..=40).for_each(|room| world.create_room(room));
    let held: Vec<u64> = world.shards.iter().map(|shard| gauge(&shard.engine, "rooms")).collect();
    assert_eq!(held.iter().sum::<u64>(), 40);
    assert!(held.iter().all(|&rooms| rooms > 0), "{held:?}");
    for room in 1..=40u64 {
        let id = RoomId::from(room);
        let registrar = usize::from(placement::registrar(&id, 4).0);
        let owner = world.owner(room).expect("just made");
        let claim = Command::Claim { room: Some(id.clone()), text: false, candidates: [(ShardId(0), 0); 2] };
        let reply = world.ask(registrar, SignallingId(0), claim);
        assert!(matches!(reply, Reply::Claimed { fresh: false, owner: of, .. } if usize::from(of.0) == owner));
        let spec = Box::new(RoomSpec::new(id.clone()));
        let reply = world.ask(owner, SignallingId(0), Command::Create(spec));
        assert!(matches!(reply, Reply::Refused(RoomError::RoomExists(_))));
        let elsewhere = (owner + 1) % 4;
        let reply = world.ask(elsewhere, SignallingId(1), Command::Exists(id.clone()));
        assert!(matches!(reply, Reply::Exists(_, false)));
        let reply = world.ask(elsewhere, SignallingId(1), Command::Participants(id));
        assert!(matches!(reply, Reply::Refused(RoomError::NoSuchRoom(_))));
    }
    let listed = (0..4).map(|shard| match world.ask(shard, SignallingId(0), Command::List { private: false }) {
        Reply::Rooms(rooms) => rooms.len(),
        other => panic!("{other:?}"),
    });
    assert_eq!(listed.sum::<usize>(), 40);
    world.end();
}

#[test]
fn a_capped_room_tells_its_publishers_so() {
    let mut world = World::new(7, 1, Weather::FAIR, script);
    world.create_room_with(RoomSpec { bitrate: 256_000, ..RoomSpec::new(1.into()) });
    let publisher = scripted_publisher(&mut world, 1);
    world.run_for(Duration::from_secs(12));
    let told = |heard: &Heard| matches!(heard, Heard::Estimate { bitrate } if (bitrate - 256_000.0).abs() < 2_000.0);
    assert!((2..=6).contains(&heard(&world, publisher, told)), "at once and every few seconds");
    world.end();
}

#[test]
fn publishers_of_whom_nothing_comes_cost_no_wakes() {
    let mut world = World::new(8, 1, Weather::FAIR, script);
    world.create_room_with(RoomSpec { bitrate: 256_000, publishers: 10, ..RoomSpec::new(1.into()) });
    let silent: Vec<u64> = (0..8).map(|_| scripted_publisher(&mut world, 1)).collect();
    for id in &silent {
        world.clients.get_mut(id).expect("it is there").cameras.clear();
    }
    let browser = scripted(&mut world);
    let subscriber = world.subscribe(1, &silent, browser).expect("the feeds are live");
    world.run_until("subscriber up", Duration::from_secs(5), |world| world.clients[&subscriber].up);
    world.run_for(Duration::from_secs(3));
    let before = world.wakes;
    world.run_for(Duration::from_secs(10));
    let wakes = world.wakes - before;
    assert!(wakes < 10 * 9 * 4, "{wakes} wakes in 10 s for nine peers that report once in a second");
    world.end();
}

#[test]
fn a_burst_longer_than_the_history_goes_out_whole() {
    let mut world = World::new(9, 1, Weather::FAIR, script);
    world.create_room(1);
    let publisher = scripted_publisher(&mut world, 1);
    let subscriber = scripted_subscriber(&mut world, 1, publisher);
    world.run_for(Duration::from_secs(2));
    world.stall(publisher, 8);
    let before = world.ledger.tally(subscriber, "0").0;
    world.run_for(Duration::from_secs(7));
    assert!(world.ledger.tally(subscriber, "0").0 - before < 5, "nothing gets through");
    world.run_for(Duration::from_secs(3));
    assert!(world.ledger.tally(subscriber, "0").0 - before > 200, "then all of it, in one turn");
    // Whether all of it has come, in order, is what the end asks.
    world.end();
}

#[test]
fn ice_that_is_restarted_twice_before_a_check_leaves_nothing_behind() {
    let mut world = World::new(10, 1, Weather::FAIR, script);
    world.create_room(1);
    let publisher = scripted_publisher(&mut world, 1);
    let subscriber = scripted_subscriber(&mut world, 1, publisher);
    for _ in 0..3 {
        world.publish(publisher, &AUDIO_VIDEO, true);
        world.run_until("answered", Duration::from_secs(1), |world| !world.clients[&publisher].negotiating);
    }
    world.run_for(Duration::from_secs(3));
    let engine = &world.shards[0].engine;
    assert_eq!((gauge(engine, "ufrags"), gauge(engine, "tuples")), (2, 2));
    assert!(world.ledger.tally(subscriber, "1").1 > 30);
    world.end();
}

#[test]
fn who_inherits_an_address_does_not_inherit_its_media() {
    let mut world = World::new(11, 1, Weather::FAIR, script);
    world.create_room(1);
    let publisher = scripted_publisher(&mut world, 1);
    let (gone, heir) = (scripted_subscriber(&mut world, 1, publisher), scripted_subscriber(&mut world, 1, publisher));
    world.run_for(Duration::from_secs(4));
    world.inherit(heir, gone);
    // The address stays with who was heard there until 2 s have gone by; the heir checks every 2.5 s, and then has it.
    world.run_for(Duration::from_secs(6));
    let foreign = |world: &World| heard(world, heir, |heard| matches!(heard, Heard::Foreign(_)));
    let before = foreign(&world);
    world.run_for(Duration::from_secs(5));
    assert!(before > 0 && foreign(&world) == before, "{before} packets of another, then {}", foreign(&world));
    world.end();
}
