//! Who is in which room and hears whom, the same for every server; and what they send.

use crate::client::Plan;
use crate::rhythm::{self, Rhythm};
use crate::world::{Fault, Place, Voice, World};
use portunus::proto::dtls::Context;
use serde_json::json;

/// Rooms with their publishers and subscribers.
#[derive(Clone, Default)]
pub struct Scene {
    pub publishers: Vec<Publisher>,
    pub subscribers: Vec<Subscriber>,
}

/// Somebody who sends.
#[derive(Clone, Copy)]
pub struct Publisher {
    pub room: u64,
    pub audio: bool,
    pub video: bool,
}

/// Somebody who hears these publishers of a room.
#[derive(Clone)]
pub struct Subscriber {
    pub room: u64,
    pub feeds: Vec<usize>,
}

/// What one publisher sends on one m-line in one case.
#[derive(Clone, Copy)]
pub struct Part {
    pub publisher: usize,
    pub video: bool,
    pub rhythm: Rhythm,
    /// Nanoseconds: how late a beat begins, how far in a recording does.
    pub phase_ns: u64,
}

impl Part {
    /// The same from a later place of a recording; a beat is everywhere the same.
    pub fn later(self, nanos: u64) -> Part {
        match self.rhythm {
            Rhythm::Beat(_) => self,
            Rhythm::Recorded { .. } => Part { phase_ns: (self.phase_ns + nanos) % rhythm::recorded_ns(), ..self },
        }
    }
}

impl Scene {
    /// One who sends video, many who watch.
    pub fn fanout(subscribers: usize) -> Scene {
        Scene {
            publishers: vec![Publisher { room: 0, audio: false, video: true }],
            subscribers: vec![Subscriber { room: 0, feeds: vec![0] }; subscribers],
        }
    }

    /// Ten speak, ten others hear them all.
    pub fn audio() -> Scene {
        Scene {
            publishers: vec![Publisher { room: 0, audio: true, video: false }; 10],
            subscribers: vec![Subscriber { room: 0, feeds: (0..10).collect() }; 10],
        }
    }

    /// Rooms of four, in which everybody sends both and hears the other three.
    pub fn meeting(rooms: usize) -> Scene {
        let mut scene = Scene::default();
        for person in 0..rooms * 4 {
            let room = person as u64 / 4;
            let first = person / 4 * 4;
            scene.publishers.push(Publisher { room, audio: true, video: true });
            let feeds = (first..first + 4).filter(|other| *other != person).collect();
            scene.subscribers.push(Subscriber { room, feeds });
        }
        scene
    }

    /// The recorded call: three who send both, others who hear all of them.
    pub fn call(subscribers: usize) -> Scene {
        Scene {
            publishers: vec![Publisher { room: 0, audio: true, video: true }; 3],
            subscribers: vec![Subscriber { room: 0, feeds: (0..3).collect() }; subscribers],
        }
    }

    /// Everybody's m-lines in these rhythms, their beginnings spread over an interval.
    pub fn parts(&self, audio: Option<Rhythm>, video: Option<Rhythm>) -> Vec<Part> {
        let count = self.publishers.len();
        let mut parts = Vec::new();
        for (publisher, who) in self.publishers.iter().enumerate() {
            for (is_video, sends, rhythm) in [(false, who.audio, audio), (true, who.video, video)] {
                if let Some(rhythm) = rhythm.filter(|_| sends) {
                    let phase_ns = rhythm.phase_ns(publisher, count);
                    parts.push(Part { publisher, video: is_video, rhythm, phase_ns });
                }
            }
        }
        parts
    }

    /// Those who hear a publisher.
    pub fn hearers(&self, publisher: usize) -> Vec<usize> {
        let hears = |(n, who): (usize, &Subscriber)| who.feeds.contains(&publisher).then_some(n);
        self.subscribers.iter().enumerate().filter_map(hears).collect()
    }
}

/// A scene on a server: who plays whom.
pub struct Cast {
    pub host: usize,
    pub publishers: Vec<usize>,
    pub subscribers: Vec<usize>,
    first_room: u64,
}

impl Cast {
    /// Makes the rooms, brings everybody in and waits until all are connected.
    pub fn assemble(world: &mut World, place: &Place, context: &Context, scene: &Scene) -> Result<Cast, Fault> {
        let host = world.enter(place, context, Plan::Host)?;
        world.wait("a host", &[host], |client| client.is_up())?;
        // A room's number is that of its host, so that two casts on a server do not meet.
        let first_room = 1_000_000 + host as u64 * 1000;
        let mut rooms: Vec<u64> = scene.publishers.iter().map(|who| first_room + who.room).collect();
        rooms.dedup();
        for room in rooms {
            let made = world.ask(host, json!({ "request": "create", "room": room, "publishers": 1000 }))?;
            if made["plugindata"]["data"]["videoroom"] != "created" {
                return Err(format!("no room: {made}"));
            }
        }
        let mut cast = Cast { host, publishers: Vec::new(), subscribers: Vec::new(), first_room };
        for who in &scene.publishers {
            let plan = Plan::Publish { room: first_room + who.room, audio: who.audio, video: who.video };
            cast.publishers.push(world.enter(place, context, plan)?);
        }
        world.wait("publishers", &cast.publishers, |client| client.is_up())?;
        // What a server makes of the end of a handshake takes it a moment, and only then may others subscribe.
        world.run(200_000_000);
        for who in &scene.subscribers {
            let plan = cast.subscription(world, who);
            cast.subscribers.push(world.enter(place, context, plan)?);
            // A few at a time: this is not the measurement of joins.
            let behind = cast.subscribers.len().saturating_sub(8);
            world.wait("subscribers", &cast.subscribers[behind.saturating_sub(1)..behind], |client| client.is_up())?;
        }
        world.wait("subscribers", &cast.subscribers, |client| client.is_up())?;
        world.run(200_000_000);
        Ok(cast)
    }

    /// What a subscriber of this cast wants.
    pub fn subscription(&self, world: &World, who: &Subscriber) -> Plan {
        let feeds = who.feeds.iter().map(|publisher| world.client(self.publishers[*publisher]).feed).collect();
        Plan::Subscribe { room: self.first_room + who.room, feeds }
    }

    /// The parts, played by those who are here.
    pub fn voices(&self, scene: &Scene, parts: &[Part]) -> Vec<Voice> {
        let voice = |part: &Part| Voice {
            client: self.publishers[part.publisher],
            video: part.video,
            rhythm: part.rhythm,
            phase_ns: part.phase_ns,
            legs: scene.hearers(part.publisher).len() as u64,
        };
        parts.iter().map(voice).collect()
    }

    /// Everybody goes.
    pub fn dismiss(self, world: &mut World) {
        for number in self.subscribers.into_iter().chain(self.publishers).chain([self.host]) {
            world.leave(number);
        }
    }
}
