//! What operators are shown of handles is what has happened, and what they change of the shards takes effect.

use std::time::Duration;

use portunus::control::command::{Command, Event, Reply, Settings, Teardown};
use portunus::control::inspection::{Flow, Inspection, MemberView, PeerView};
use portunus::id::SignallingId;
use portunus::wire::sdp::MediaKind;

use crate::browser::Heard;
use crate::checks::counter;
use crate::faults::Weather;
use crate::script::ScriptedBrowser;
use crate::script::repair::Habits;
use crate::workload::AUDIO_VIDEO;
use crate::world::{World, shard_address};
use crate::{heard, script, scripted_publisher, scripted_subscriber};

fn inspect(world: &mut World, client: u64) -> Option<Inspection> {
    let (handle, room) = (world.clients[&client].handle, world.clients[&client].room);
    match world.ask(0, handle.home, Command::Inspect { room: room.into(), handle }) {
        Reply::Inspected(inspection) => inspection.map(|inspection| *inspection),
        reply => panic!("{reply:?} is no inspection"),
    }
}

fn adjust(world: &mut World, slowlink_threshold: u32, no_media_timer: Duration) {
    let settings = Settings { slowlink_threshold, no_media_timer };
    assert!(matches!(world.ask(0, SignallingId(0), Command::Adjust(settings)), Reply::Adjusted));
}

fn peer(inspection: &Inspection) -> &PeerView {
    inspection.peer.as_ref().expect("a peer connection")
}

#[test]
fn operators_see_where_a_peer_is_and_what_has_flowed() {
    let weather = Weather { loss: 20, delay_us: (10_000, 10_000), ..Weather::FAIR };
    let mut world = World::new(11, 1, weather, script);
    world.create_room(1);
    let habits = Habits { video: true, audio: true, rtx: true };
    let browser = |world: &mut World| {
        let address = world.new_address();
        Box::new(ScriptedBrowser::with(world.prng.next(), address, habits))
    };
    let it = browser(&mut world);
    let publisher = world.join(1, it);
    let before = inspect(&mut world, publisher).unwrap();
    assert!(
        before.peer.is_none() && matches!(&before.member, MemberView::Publisher { streams, .. } if streams.is_empty())
    );
    world.publish(publisher, &AUDIO_VIDEO, false);
    world.run_until("publisher up", Duration::from_secs(5), |world| world.clients[&publisher].up);
    let it = browser(&mut world);
    let subscriber = world.subscribe(1, &[publisher], it).expect("the feed is live");
    world.run_for(Duration::from_secs(20));

    let of_publisher = inspect(&mut world, publisher).unwrap();
    let of_subscriber = inspect(&mut world, subscriber).unwrap();
    let MemberView::Publisher { streams, .. } = &of_publisher.member else { panic!("it publishes") };
    assert_eq!(streams.iter().map(|(_, receivers)| *receivers).collect::<Vec<_>>(), [1, 1]);
    let MemberView::Subscriber { state, streams, .. } = &of_subscriber.member else { panic!("it subscribes") };
    assert!(state.answered && !state.pending_offer && !state.paused && streams.len() == 2);
    for (client, inspection) in [(publisher, &of_publisher), (subscriber, &of_subscriber)] {
        let seen = peer(inspection);
        let public = world.clients[&client].public;
        assert_eq!(seen.selected, Some((shard_address(0), public, true)));
        assert_eq!((&seen.local[..], &seen.remote[..]), (&[shard_address(0)][..], &[public][..]));
        let (_, connected) = seen.connected.expect("it is connected");
        assert!(connected < world.clock.mono() && seen.is_described && seen.remote_fingerprint.is_some());
    }
    let (mut received, mut sent, mut asked, mut resent, mut mended, mut wanted) = (0, 0, 0, 0, 0, 0);
    for (up, down) in peer(&of_publisher).lines.iter().zip(&peer(&of_subscriber).lines) {
        assert_eq!((up.kind, up.mindex, up.codec), (down.kind, down.mindex, down.codec));
        let Flow::In { counts: up, receiving: true, ssrcs, .. } = &up.flow else { panic!("{up:?} flows in") };
        let Flow::Out { counts: down, open: true, .. } = &down.flow else { panic!("{down:?} flows out") };
        assert_eq!(ssrcs.len(), 1);
        assert!(up.packets > 300 && up.bytes > 10 * up.packets, "{up:?}");
        for counts in [up, down] {
            let mean = counts.bytes / 20;
            assert!((mean / 2..mean * 2).contains(&counts.bytes_last_second), "{counts:?}");
        }
        received += up.packets;
        sent += down.packets;
        wanted += up.nacks;
        mended += up.retransmissions;
        asked += down.nacks;
        resent += down.retransmissions;
    }
    // One publisher and one subscriber are all that the shard has counted.
    let engine = &world.shards[0].engine;
    let all =
        ["packets_received", "packets_sent", "nacks_sent", "packets_recovered", "nacks_received", "packets_resent"];
    assert_eq!(all.map(|name| counter(engine, name)), [received, sent, wanted, mended, asked, resent]);
    assert!(wanted > 0 && mended > 0 && asked > 0 && resent > 0);
    assert!(peer(&of_subscriber).round_trip >= Duration::from_millis(20));
    world.end();
}

#[test]
fn handles_without_a_peer_or_a_room_are_shown_as_that() {
    let mut world = World::new(12, 1, Weather::FAIR, script);
    world.create_room(1);
    let publisher = scripted_publisher(&mut world, 1);
    let handle = world.clients[&publisher].handle;
    let elsewhere = Command::Inspect { room: 2.into(), handle };
    assert!(matches!(world.ask(0, handle.home, elsewhere), Reply::Inspected(None)));
    world.leave(publisher);
    let left = inspect(&mut world, publisher).unwrap();
    assert!(left.peer.is_none() && matches!(left.member, MemberView::Finished(_)));
    world.teardown(publisher, Teardown::Detach);
    assert!(inspect(&mut world, publisher).is_none());
}

#[test]
fn an_operators_hangup_is_told_as_that() {
    let mut world = World::new(13, 1, Weather::FAIR, script);
    world.create_room(1);
    let publisher = scripted_publisher(&mut world, 1);
    let (handle, room) = (world.clients[&publisher].handle, 1.into());
    let hangup = Command::Teardown { room, handle, kind: Teardown::OperatorHangup };
    assert!(matches!(world.ask(0, handle.home, hangup), Reply::TornDown(_)));
    world.run_for(Duration::from_secs(1));
    let hangups = world.clients[&publisher].events.iter().filter_map(|(_, event)| match event {
        Event::Hangup(reason) => Some(reason.text()),
        _ => None,
    });
    assert_eq!(hangups.collect::<Vec<_>>(), ["Admin API"]);
}

#[test]
fn a_new_no_media_timer_holds_for_m_lines_that_are_there() {
    let mut world = World::new(14, 1, Weather::FAIR, script);
    world.create_room(1);
    let publisher = scripted_publisher(&mut world, 1);
    scripted_subscriber(&mut world, 1, publisher);
    let silences = |world: &World| {
        let is_silence = |event: &&_| {
            matches!(event, (_, Event::Media { receiving: false, kind: MediaKind::Video, seconds: Some(5), .. }))
        };
        world.clients[&publisher].events.iter().filter(is_silence).count()
    };
    world.run_for(Duration::from_secs(2));
    adjust(&mut world, 0, Duration::from_secs(5));
    world.clients.get_mut(&publisher).unwrap().cameras.clear();
    world.run_for(Duration::from_secs(4));
    assert_eq!(silences(&world), 0);
    world.run_for(Duration::from_secs(3));
    assert_eq!(silences(&world), 1);
    assert_eq!(heard(&world, publisher, |heard| matches!(heard, Heard::Closed)), 0);
}
