//! Ten thousand packets through a warm room, and not one allocation: neither by their arrival nor by their release to
//! five subscribers and four forwarders, nor by the timers that come due meanwhile.
#![allow(unsafe_code, reason = "a global allocator is unsafe by its trait")]

#[path = "sim/browser.rs"]
#[allow(dead_code)]
mod browser;
#[path = "sim/camera.rs"]
#[allow(dead_code)]
mod camera;
#[path = "sim/checks.rs"]
#[allow(dead_code)]
mod checks;
#[path = "sim/clock.rs"]
#[allow(dead_code)]
mod clock;
#[path = "sim/control.rs"]
#[allow(dead_code)]
mod control;
#[path = "sim/faults.rs"]
#[allow(dead_code)]
mod faults;
#[path = "sim/handshake.rs"]
#[allow(dead_code)]
mod handshake;
#[path = "sim/network.rs"]
#[allow(dead_code)]
mod network;
#[path = "sim/script/mod.rs"]
#[allow(dead_code)]
mod script;
#[path = "sim/uplink.rs"]
#[allow(dead_code)]
mod uplink;
#[path = "sim/world.rs"]
#[allow(dead_code)]
mod world;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::time::Duration;

use portunus::control::command::{Command, Reply};
use portunus::control::forward::{Forward, Of, SrtpKey, Target};
use portunus::control::request::Administration;
use portunus::id::{FeedId, FourTuple, RoomId, SignallingId, SocketId};
use portunus::media::arena::{SendArena, Transmit};
use portunus::media::verdict::Verdict;
use portunus::wire::sdp::{MediaKind, Mid};

use camera::Camera;
use faults::Weather;
use handshake::ScriptedFactory;
use script::ScriptedBrowser;
use world::World;

/// The system's allocator, which counts what this thread asks for while it is told to.
struct Counting;

thread_local! {
    static COUNTED: Cell<Option<u64>> = const { Cell::new(None) };
}

fn note() {
    // A thread that ends allocates after its locals are gone.
    let _ = COUNTED.try_with(|counted| counted.set(counted.get().map(|n| n + 1)));
}

// SAFETY: every call is passed on to the system's allocator as it came; counting touches a `Cell` of the thread only.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note();
        // SAFETY: the caller's promise about `layout` is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: `at` came from `alloc` or `realloc` above, that is from the system's allocator.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note();
        // SAFETY: as for `dealloc`; the caller's promise about `size` is passed on.
        unsafe { System.realloc(at, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Counts the allocations of `work`.
fn allocations(work: impl FnOnce()) -> u64 {
    COUNTED.set(Some(0));
    work();
    COUNTED.take().unwrap_or(0)
}

/// Takes every flush, and keeps nothing of it.
#[derive(Default)]
struct Drain {
    datagrams: usize,
}

impl Transmit for Drain {
    fn transmit(&mut self, arena: &SendArena) {
        self.datagrams += arena.messages().iter().map(|message| message.segments).sum::<usize>();
    }
}

const PACKETS: usize = 10_000;
const SUBSCRIBERS: usize = 5;
/// Both lines, plain and sealed.
const FORWARDERS: usize = 4;

/// Both lines of a feed to somebody whom nobody hears.
fn forward(feed: FeedId) -> Command {
    let targets = ["0", "1"].into_iter().flat_map(|mid| {
        [None, Some(SrtpKey { short_tag: false, master: [7; 30] })].map(|srtp| Target {
            of: Of::Mid(Mid::from(mid).expect("short")),
            to: ([198, 51, 100, 200], 5004).into(),
            rtcp_port: None,
            pt: None,
            ssrc: None,
            substream: 0,
            simulcast: false,
            srtp,
        })
    });
    let request = Administration::Forward(Forward { feed, targets: targets.collect(), legacy: None });
    Command::Administer { room: RoomId::from(1), secret: None, request: Box::new(request) }
}

#[test]
fn ten_thousand_packets_allocate_nothing() {
    assert_eq!(allocations(|| drop(Box::new(1))), 1, "the counter counts");
    let factory = |_| -> Box<dyn portunus::media::turn::HandshakeFactory + Send> { Box::new(ScriptedFactory::new(1)) };
    let mut world = World::new(1, 1, Weather::FAIR, factory);
    world.create_room(1);
    let browser = |world: &mut World| {
        let address = world.new_address();
        Box::new(ScriptedBrowser::new(world.prng.next(), address))
    };
    let peer = browser(&mut world);
    let publisher = world.join(1, peer);
    world.publish(publisher, &[(MediaKind::Audio, true), (MediaKind::Video, true)], false);
    world.run_for(Duration::from_secs(1));
    for _ in 0..SUBSCRIBERS {
        let peer = browser(&mut world);
        world.subscribe(1, &[publisher], peer).expect("the feed is live");
    }
    let feed = world.clients[&publisher].feed.into();
    let reply = world.ask(0, SignallingId(0), forward(feed));
    assert!(matches!(&reply, Reply::Forwarding(made) if made.forwarders.len() == FORWARDERS), "{reply:?}");
    world.run_for(Duration::from_secs(10));

    // From here on the world stands still, and its publisher's packets go into the engine by hand, a frame each
    // millisecond: all is over before anybody would have to check its connection again.
    let client = world.clients.get_mut(&publisher).expect("it is there");
    let mut cameras: Vec<Camera> = std::mem::take(&mut client.cameras);
    let mut frames = Vec::new();
    let (mut clock, mut packets) = (world.clock, 0);
    while packets < PACKETS {
        let camera = cameras.iter_mut().min_by_key(|camera| camera.next).expect("two");
        clock.advance(clock.mono() + Duration::from_millis(1));
        for packet in camera.shoot() {
            client.browser.send(&clock, &packet);
        }
        let mut frame = Vec::new();
        while let Some(sent) = client.browser.transmit() {
            frame.push(sent.bytes);
        }
        packets += frame.len();
        frames.push((clock.now(), frame));
    }
    let at = FourTuple { socket: SocketId(0), remote: client.public };
    let engine = &mut world.shards[0].engine;
    let (mut tx, mut accepted) = (Drain::default(), 0);
    let (mut on_arrival, mut at_release, mut by_timers) = (0, 0, 0);
    for (now, mut frame) in frames {
        on_arrival += allocations(|| {
            for datagram in &mut frame {
                let verdict = engine.handle_datagram(now, at, now.mono, datagram, &mut tx);
                accepted += usize::from(verdict == Verdict::Accepted);
            }
        });
        at_release += allocations(|| engine.release(now, &mut tx));
        by_timers += allocations(|| {
            if engine.deadline() <= now.mono {
                engine.handle_timeout(now, &mut tx);
            }
        });
        assert!(engine.poll_mail(SignallingId(0)).is_none(), "nothing changes");
    }
    assert_eq!(accepted, packets);
    assert!(
        tx.datagrams >= packets * (SUBSCRIBERS + FORWARDERS / 2),
        "{} datagrams for {packets} packets",
        tx.datagrams
    );
    assert_eq!((on_arrival, at_release, by_timers), (0, 0, 0), "allocations by arrival, release, timers");
}
