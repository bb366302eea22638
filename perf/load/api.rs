//! Signalling alone: requests a second over many WebSockets, each with one request under way, and how long an answer takes.

use crate::clock;
use crate::histogram::Histogram;
use crate::process::Usage;
use crate::record::Row;
use crate::server::Server;
use crate::stage::Stage;
use crate::world::Fault;
use crate::{Options, client::Plan};

const SOCKETS: usize = 64;

/// Ours and Janus, in turn.
pub fn api(options: &Options) -> Result<Vec<Row>, Fault> {
    let mut stage = Stage::new()?;
    let servers = stage.servers(options, &[0])?;
    let mut hosts = Vec::new();
    for server in &servers {
        let place = stage.place(server);
        let entered: Result<Vec<_>, _> =
            (0..SOCKETS).map(|_| stage.world.enter(&place, &stage.context, Plan::Host)).collect();
        let entered = entered?;
        stage.world.wait("hosts", &entered, |client| client.is_up())?;
        hosts.push(entered);
    }
    let mut rounds: Vec<Vec<Round>> = servers.iter().map(|_| Vec::new()).collect();
    for _ in 0..options.rounds {
        for ((server, hosts), found) in servers.iter().zip(&hosts).zip(&mut rounds) {
            found.push(drive(&mut stage, server, hosts, options.window_ms)?);
        }
    }
    let row = |(server, rounds): (&Server, &Vec<Round>)| {
        let mut row = Row::new(&[("case", "info, keepalive, list"), ("server", server.name)]);
        row.figure("requests/s", 0, true, rounds.iter().map(|round| round.rate));
        row.figure("cpu us/request", 1, true, rounds.iter().map(|round| round.cpu_us));
        row.figure("p50 us", 0, false, rounds.iter().map(|round| round.p50_us));
        row.figure("p99 us", 0, false, rounds.iter().map(|round| round.p99_us));
        row.figure("generator %", 0, false, rounds.iter().map(|round| round.generator * 100.0));
        row
    };
    Ok(servers.iter().zip(&rounds).map(row).collect())
}

struct Round {
    rate: f64,
    cpu_us: f64,
    p50_us: f64,
    p99_us: f64,
    generator: f64,
}

fn drive(stage: &mut Stage, server: &Server, hosts: &[usize], millis: u64) -> Result<Round, Fault> {
    let look = || Usage::of(server.pid()).map_err(|error| format!("{}: {error}", server.name));
    let (before, began, generator) = (look()?, clock::mono_ns(), clock::process_ns());
    let end = began + millis * 1_000_000;
    let mut answered = Histogram::new();
    for (n, host) in hosts.iter().enumerate() {
        stage.world.drill(*host, Some(n as u64));
    }
    while clock::mono_ns() < end {
        stage.world.turn(end);
    }
    for host in hosts {
        stage.world.drill(*host, None);
    }
    stage.world.take_answered(&mut answered);
    let elapsed = (clock::mono_ns() - began) as f64;
    let usage = look()?.since(before);
    // What is still under way comes to rest.
    stage.world.run(100_000_000);
    stage.world.take_answered(&mut Histogram::new());
    if answered.count() == 0 {
        return Err(format!("{} answered nothing", server.name));
    }
    let us = |part: f64| answered.quantile(part) as f64 / 1000.0;
    Ok(Round {
        rate: answered.count() as f64 * 1e9 / elapsed,
        cpu_us: usage.cpu_ns as f64 / 1000.0 / answered.count() as f64,
        p50_us: us(0.5),
        p99_us: us(0.99),
        generator: (clock::process_ns() - generator) as f64 / elapsed,
    })
}
