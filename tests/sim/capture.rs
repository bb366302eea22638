//! Captures hold every packet of their peers, from the first one on, and end when they must.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use portunus::control::capture::{CaptureError, CaptureOrder, CaptureSink, Put};
use portunus::control::command::{Command, Reply, Teardown};
use portunus::limits::CAPTURE_TIME_MAX;
use portunus::wire::pcap::Format;

use crate::checks::counter;
use crate::faults::Weather;
use crate::script::ScriptedBrowser;
use crate::script::repair::Habits;
use crate::workload::AUDIO_VIDEO;
use crate::world::World;
use crate::{script, scripted_publisher};

/// What a sink has got, and what it says to more.
#[derive(Debug)]
struct Tape {
    text: String,
    says: Put,
    has_ended: bool,
}

#[derive(Debug)]
struct Recorder(Arc<Mutex<Tape>>);

impl CaptureSink for Recorder {
    fn put(&mut self, bytes: &[u8]) -> Put {
        let mut tape = self.0.lock().unwrap();
        if tape.says == Put::Taken {
            tape.text.push_str(std::str::from_utf8(bytes).unwrap());
        }
        tape.says
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.0.lock().unwrap().has_ended = true;
    }
}

fn order(world: &mut World, client: u64, order: CaptureOrder) -> Result<(), CaptureError> {
    let (handle, room) = (world.clients[&client].handle, world.clients[&client].room);
    match world.ask(0, handle.home, Command::Capture { room: room.into(), handle, order }) {
        Reply::Capture(done) => done,
        reply => panic!("{reply:?} says nothing of captures"),
    }
}

fn start(world: &mut World, client: u64) -> (Result<(), CaptureError>, Arc<Mutex<Tape>>) {
    let tape = Arc::new(Mutex::new(Tape { text: String::new(), says: Put::Taken, has_ended: false }));
    let sink = Box::new(Recorder(tape.clone()));
    (
        order(world, client, CaptureOrder::Start { format: Format::Text, truncate: 2, file: "a/b.txt".into(), sink }),
        tape,
    )
}

/// What an operator is shown of a capture.
fn shown(world: &mut World, client: u64) -> Option<(Format, Box<str>)> {
    let (handle, room) = (world.clients[&client].handle, world.clients[&client].room);
    match world.ask(0, handle.home, Command::Inspect { room: room.into(), handle }) {
        Reply::Inspected(inspection) => inspection?.peer?.capture,
        reply => panic!("{reply:?} is no inspection"),
    }
}

fn lines(tape: &Arc<Mutex<Tape>>, direction: char) -> u64 {
    tape.lock().unwrap().text.lines().filter(|line| line.starts_with(direction)).count() as u64
}

/// Whether they send RTX or the same packet again, which has its padding again.
fn everything_is_captured(rtx: bool) {
    let weather = Weather { loss: 20, delay_us: (10_000, 10_000), ..Weather::FAIR };
    let mut world = World::new(21, 1, weather, script);
    world.create_room(1);
    let habits = Habits { video: true, audio: true, rtx };
    let browser = |world: &mut World| {
        let address = world.new_address();
        Box::new(ScriptedBrowser::with(world.prng.next(), address, habits))
    };
    let it = browser(&mut world);
    let publisher = world.join(1, it);
    assert_eq!(start(&mut world, publisher).0, Err(CaptureError::NoPeer));
    world.publish(publisher, &AUDIO_VIDEO, false);
    let (begun, up) = start(&mut world, publisher);
    assert_eq!((begun, world.clients[&publisher].up), (Ok(()), false));
    assert!(shown(&mut world, publisher).is_some(), "before there are keys, too");
    world.run_until("publisher up", Duration::from_secs(5), |world| world.clients[&publisher].up);
    let it = browser(&mut world);
    let subscriber = world.subscribe(1, &[publisher], it).expect("the feed is live");
    let (begun, down) = start(&mut world, subscriber);
    assert_eq!((begun, start(&mut world, subscriber).0), (Ok(()), Err(CaptureError::Running)));
    world.run_for(Duration::from_secs(10));

    let engine = &world.shards[0].engine;
    let all = |names: &[&str]| names.iter().map(|name| counter(engine, name)).sum::<u64>();
    assert!(counter(engine, "packets_resent") > 0);
    assert_eq!(lines(&up, 'O') + lines(&down, 'O'), all(&["packets_sent", "packets_resent", "rtcp_sent"]));
    assert!(lines(&up, 'I') + lines(&down, 'I') >= all(&["packets_received", "rtcp_received"]));
    assert!(lines(&up, 'I') > 300 && lines(&down, 'I') > 5);

    assert_eq!(shown(&mut world, publisher), Some((Format::Text, "a/b.txt".into())));
    assert_eq!(order(&mut world, publisher, CaptureOrder::Stop), Ok(()));
    assert_eq!(shown(&mut world, publisher), None);
    assert_eq!(order(&mut world, publisher, CaptureOrder::Stop), Err(CaptureError::NotRunning));
    assert!(up.lock().unwrap().has_ended && !down.lock().unwrap().has_ended);
    world.end();
}

#[test]
fn every_packet_and_report_of_both_directions_is_captured_from_the_first_on() {
    everything_is_captured(true);
    everything_is_captured(false);
}

#[test]
fn a_capture_ends_with_its_handle_with_its_sink_and_when_its_time_is_over() {
    let mut world = World::new(22, 1, Weather::FAIR, script);
    world.create_room(1);
    let (first, second) = (scripted_publisher(&mut world, 1), scripted_publisher(&mut world, 1));
    let drops = |world: &World| {
        let mut drops = world.shards[0].engine.drops().named();
        drops.find_map(|(name, count)| (name == "capture_overflow").then_some(count)).unwrap()
    };

    // What finds no room is counted, and the capture goes on.
    let (begun, full) = start(&mut world, first);
    assert_eq!(begun, Ok(()));
    full.lock().unwrap().says = Put::Full;
    world.run_for(Duration::from_secs(1));
    assert!(drops(&world) > 10 && !full.lock().unwrap().has_ended);
    full.lock().unwrap().says = Put::Taken;
    world.run_for(Duration::from_secs(1));
    assert!(lines(&full, 'I') > 10);
    full.lock().unwrap().says = Put::Ended;
    world.run_for(Duration::from_secs(1));
    assert!(full.lock().unwrap().has_ended);
    assert_eq!(counter(&world.shards[0].engine, "captures_failed"), 1);

    // Reports go on while nobody sends anything else.
    let ((begun, late), (begun_too, gone)) = (start(&mut world, first), start(&mut world, second));
    assert_eq!((begun, begun_too), (Ok(()), Ok(())));
    world.teardown(second, Teardown::Detach);
    assert!(gone.lock().unwrap().has_ended);
    world.clients.get_mut(&first).unwrap().cameras.clear();
    world.run_for(CAPTURE_TIME_MAX - Duration::from_secs(5));
    assert!(!late.lock().unwrap().has_ended);
    world.run_for(Duration::from_secs(10));
    assert!(late.lock().unwrap().has_ended);
    assert_eq!(counter(&world.shards[0].engine, "captures_limited"), 1);
}
