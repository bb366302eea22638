//! What it costs to come in: connection, session, handle, subscription, ICE, DTLS. And what those who are in already notice
//! of a storm of newcomers.

use crate::clock;
use crate::compare::VIDEO;
use crate::histogram::Histogram;
use crate::process::Usage;
use crate::record::Row;
use crate::scene::{Cast, Scene, Subscriber};
use crate::server::Server;
use crate::stage::Stage;
use crate::window;
use crate::world::Fault;
use crate::{Options, SERVER_CPU};

/// Joins of one round, and of the storm.
const JOINS: usize = 100;
const STORM: usize = 500;
const STORM_CASE: &str = "storm of 500";
/// Newcomers who are on their way at the same time.
const AT_ONCE: usize = 16;
/// Those who are in already.
const INSIDE: usize = 20;
/// A storm that takes longer is over.
const PATIENCE_NS: u64 = 30_000_000_000;

/// Ours and Janus.
pub fn join(options: &Options) -> Result<Vec<Row>, Fault> {
    let mut stage = Stage::new()?;
    let servers = stage.servers(options, &[0])?;
    let mut scene = Scene::fanout(INSIDE);
    // Newcomers hear somebody who is silent: what they would be sent is the question of others.
    scene.publishers.push(scene.publishers[0]);
    let mut casts = Vec::new();
    for server in &servers {
        casts.push(stage.assemble(server, &scene)?);
    }
    let mut rounds: Vec<Vec<Round>> = servers.iter().map(|_| Vec::new()).collect();
    for _ in 0..options.rounds {
        for ((server, cast), found) in servers.iter().zip(&casts).zip(&mut rounds) {
            let (round, newcomers) = come_in(&mut stage, server, cast, JOINS)?;
            found.push(round);
            newcomers.into_iter().for_each(|number| stage.world.leave(number));
            stage.world.run(500_000_000);
        }
    }
    let mut rows = Vec::new();
    for ((server, cast), rounds) in servers.iter().zip(&casts).zip(&rounds) {
        let mut row = Row::new(&[("case", "join"), ("server", server.name)]);
        row.figure("cpu us/join", 0, true, rounds.iter().map(|round| round.cpu_us));
        row.figure("joins/s", 0, true, rounds.iter().map(|round| round.rate));
        row.figure("wall p50 ms", 1, false, rounds.iter().map(|round| round.wall_ms[0]));
        row.figure("wall p99 ms", 1, false, rounds.iter().map(|round| round.wall_ms[1]));
        row.figure("generator %", 0, false, rounds.iter().map(|round| round.generator * 100.0));
        rows.push(row);
        rows.push(
            storm(&mut stage, server, cast, &scene, options)
                .unwrap_or_else(|fault| Row::absent(&[("case", STORM_CASE), ("server", server.name)], &fault)),
        );
    }
    Ok(rows)
}

struct Round {
    cpu_us: f64,
    rate: f64,
    wall_ms: [f64; 2],
    generator: f64,
}

/// So many come in, some at a time, until all have keys.
fn come_in(stage: &mut Stage, server: &Server, cast: &Cast, count: usize) -> Result<(Round, Vec<usize>), Fault> {
    let look = || Usage::of(server.pid()).map_err(|error| format!("{}: {error}", server.name));
    let (before, began, generator) = (look()?, clock::mono_ns(), clock::process_ns());
    let place = stage.place(server);
    let (mut newcomers, mut coming): (Vec<usize>, Vec<usize>) = (Vec::new(), Vec::new());
    while newcomers.len() < count || !coming.is_empty() {
        while newcomers.len() < count && coming.len() < AT_ONCE {
            let plan = cast.subscription(&stage.world, &Subscriber { room: 0, feeds: vec![1] });
            let number = stage.world.enter(&place, &stage.context, plan)?;
            stage.world.set_metered(number, false);
            newcomers.push(number);
            coming.push(number);
        }
        let end = clock::mono_ns() + 5_000_000;
        stage.world.turn(end);
        coming.retain(|number| !stage.world.client(*number).is_up());
        if let Some(fault) = coming.iter().find_map(|number| stage.world.client(*number).fault.as_ref()) {
            return Err(format!("{}: a newcomer: {fault}", server.name));
        }
        if clock::mono_ns() > began + PATIENCE_NS {
            let steps: Vec<_> = coming.iter().map(|number| stage.world.client(*number).step).collect();
            let of = newcomers.len();
            return Err(format!("{}: of {of} these have not come in: {steps:?}", server.name));
        }
    }
    let elapsed = (clock::mono_ns() - began) as f64;
    let usage = look()?.since(before);
    let mut walls = Histogram::new();
    for number in &newcomers {
        let client = stage.world.client(*number);
        walls.add(client.connected - client.began);
    }
    let round = Round {
        cpu_us: usage.cpu_ns as f64 / 1000.0 / count as f64,
        rate: count as f64 * 1e9 / elapsed,
        wall_ms: [0.5, 0.99].map(|part| walls.quantile(part) as f64 / 1e6),
        generator: (clock::process_ns() - generator) as f64 / elapsed,
    };
    Ok((round, newcomers))
}

/// Media before and during the storm, as those hear it who are in.
fn storm(stage: &mut Stage, server: &Server, cast: &Cast, scene: &Scene, options: &Options) -> Result<Row, Fault> {
    stage.world.set_gro(true).map_err(|error| error.to_string())?;
    let voices = cast.voices(scene, &scene.parts(None, Some(VIDEO.into()))[..1]);
    window::on_server(&mut stage.world, server, SERVER_CPU, &voices, 300, 1)?;
    let calm = window::on_server(&mut stage.world, server, SERVER_CPU, &voices, options.window_ms, 1)?;
    stage.world.meter = crate::meter::Meter::new(1);
    stage.world.speak(&voices);
    let (round, newcomers) = come_in(stage, server, cast, STORM)?;
    stage.world.speak(&[]);
    let meter = &stage.world.meter;
    let mut row = Row::new(&[("case", STORM_CASE), ("server", server.name)]);
    row.figure("cpu us/join", 0, true, [round.cpu_us]);
    row.figure("joins/s", 0, true, [round.rate]);
    row.figure("wall p50 ms", 1, false, [round.wall_ms[0]]);
    row.figure("wall p99 ms", 1, false, [round.wall_ms[1]]);
    row.figure("generator %", 0, false, [round.generator * 100.0]);
    row.figure("calm p99 us", 0, false, calm.latency.map(|latency| latency[1] as f64 / 1000.0));
    row.figure("media p50 us", 0, false, [meter.latency.quantile(0.5) as f64 / 1000.0]);
    row.figure("media p99 us", 0, false, [meter.latency.quantile(0.99) as f64 / 1000.0]);
    row.figure("late p99 us", 0, false, [meter.lateness.quantile(0.99) as f64 / 1000.0]);
    row.note = "cpu includes the media of those inside".into();
    if meter.lateness.quantile(0.99) > window::LATENESS_MAX_NS {
        row.note.push_str("; does not count: the generator was late");
    }
    newcomers.into_iter().for_each(|number| stage.world.leave(number));
    stage.world.run(500_000_000);
    Ok(row)
}
