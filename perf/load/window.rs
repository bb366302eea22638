//! One window of a measurement: media for a while, and what the server and the generator used meanwhile. Everything that
//! was sent has arrived, or never will, when the window ends, so that no packet is counted in two.

use crate::clock;
use crate::floor::{Floor, Source};
use crate::meter::Meter;
use crate::process::{Usage, softirq_ns};
use crate::server::Server;
use crate::world::{Fault, Voice, World};
use portunus::proto::srtp::Profile;
use std::net::SocketAddr;

/// After the last packet: until everything is there, or so long; and then a little for what nobody waits for.
const DRAIN_MAX_NS: u64 = 400_000_000;
const REST_NS: u64 = 20_000_000;
/// The generator was too slow when it had less than a twentieth of its core left,
const GENERATOR_SHARE_MAX: f64 = 0.95;
/// or when packets left that much later than they should have.
pub const LATENESS_MAX_NS: u64 = 2_000_000;

/// What one window found.
#[derive(Clone, Debug)]
pub struct Sample {
    /// Packets delivered a second, and the part that was not.
    pub rate: f64,
    pub loss: f64,
    /// The server's CPU time per delivered packet, and the part of it in user mode.
    pub cpu_ns: f64,
    pub user: f64,
    /// CPU time of the kernel's network thread on the server's CPU, in parts of the server's own. Not in `cpu_ns`.
    pub softirq: f64,
    /// What the server says of itself, if it does: packets per message, turns a second.
    pub packets_per_message: Option<f64>,
    pub turns: Option<f64>,
    /// Context switches of the server a second.
    pub switches: f64,
    /// Added latency in nanoseconds; none without a sample.
    pub latency: Option<[u64; 3]>,
    /// The generator's own lateness (99th percentile) and part of its core.
    pub lateness_ns: u64,
    pub generator: f64,
    /// Why it does not count.
    pub void: Option<&'static str>,
}

/// The quantiles of [`Sample::latency`].
pub const QUANTILES: [f64; 3] = [0.5, 0.99, 0.999];

struct Before {
    usage: Usage,
    softirq: u64,
    generator: u64,
    drops: u64,
    at: u64,
}

impl Before {
    fn look(world: &World, pid: u32, cpu: usize) -> Result<Before, Fault> {
        Ok(Before {
            softirq: softirq_ns(cpu),
            drops: world.drops(),
            usage: Usage::of(pid).map_err(|error| format!("process {pid}: {error}"))?,
            generator: clock::process_ns(),
            at: clock::mono_ns(),
        })
    }

    fn sample(self, world: &World, after: Before, seconds: f64) -> Sample {
        let meter = &world.meter;
        let usage = after.usage.since(self.usage);
        let ticks = (usage.user_ticks + usage.system_ticks).max(1);
        let elapsed = (after.at - self.at) as f64;
        let generator = (after.generator - self.generator) as f64 / elapsed;
        let lateness_ns = meter.lateness.quantile(0.99);
        let void = if after.drops > self.drops {
            Some("the generator lost packets")
        } else if generator > GENERATOR_SHARE_MAX {
            Some("the generator was out of CPU")
        } else if lateness_ns > LATENESS_MAX_NS {
            Some("the generator was late")
        } else if meter.unreadable > 0 {
            Some("packets could not be opened")
        } else {
            None
        };
        Sample {
            rate: meter.packets as f64 / seconds,
            loss: meter.loss(),
            cpu_ns: usage.cpu_ns as f64 / meter.packets.max(1) as f64,
            user: usage.user_ticks as f64 / ticks as f64,
            softirq: (after.softirq - self.softirq) as f64 / usage.cpu_ns.max(1) as f64,
            packets_per_message: None,
            turns: None,
            switches: usage.switches as f64 * 1e9 / elapsed,
            latency: (meter.latency.count() > 0).then(|| QUANTILES.map(|part| meter.latency.quantile(part))),
            lateness_ns,
            generator,
            void,
        }
    }
}

/// Takes in what is still on its way.
fn drain(world: &mut World) {
    let end = clock::mono_ns() + DRAIN_MAX_NS;
    while world.meter.packets < world.meter.expected && clock::mono_ns() < end {
        world.turn(end.min(clock::mono_ns() + REST_NS));
    }
    world.run(REST_NS);
}

/// Has these voices speak on a server for so long.
pub fn on_server(
    world: &mut World,
    server: &Server,
    cpu: usize,
    voices: &[Voice],
    millis: u64,
    sample_every: u32,
) -> Result<Sample, Fault> {
    let health = server.health();
    let before = Before::look(world, server.pid(), cpu)?;
    world.meter = Meter::new(sample_every);
    world.speak(voices);
    world.run(millis * 1_000_000);
    world.speak(&[]);
    drain(world);
    let after = Before::look(world, server.pid(), cpu)?;
    let (elapsed, now) = ((after.at - before.at) as f64 / 1e9, server.health());
    let mut sample = before.sample(world, after, millis as f64 / 1000.0);
    if server.coalesce_us.is_some() {
        let more = |name: &str| (now.counter(name) - health.counter(name)) as f64;
        // Media only: a report is a message of its own.
        let controls = more("datagrams_out") - more("packets_sent");
        sample.packets_per_message = Some(more("packets_sent") / (more("messages_out") - controls).max(1.0));
        sample.turns = Some(more("turns") / elapsed);
        if std::env::var_os("PERF_DROPS").is_some() {
            eprintln!("drops: {:?}", now.drops_since(&health));
        }
    }
    Ok(sample)
}

/// Has the floor send the same.
pub fn on_floor(
    world: &mut World,
    floor: &mut Floor,
    cpu: usize,
    profile: Profile,
    (sources, to): (&[Source], &[SocketAddr]),
    millis: u64,
) -> Result<Sample, Fault> {
    let say = |error: std::io::Error| format!("the floor: {error}");
    let before = Before::look(world, floor.pid(), cpu)?;
    world.meter = Meter::new(1);
    floor.begin(profile, millis, sources, to).map_err(say)?;
    world.run(millis * 1_000_000 + REST_NS);
    let (packets, messages) = floor.sent().map_err(say)?;
    world.meter.expected = packets;
    drain(world);
    let after = Before::look(world, floor.pid(), cpu)?;
    let mut sample = before.sample(world, after, millis as f64 / 1000.0);
    sample.packets_per_message = Some(packets as f64 / messages.max(1) as f64);
    Ok(sample)
}
