//! How much one core delivers: one publisher to fifty subscribers, faster and faster, until packets are lost or late.

use crate::compare::{CPU, FloorRig, VIDEO, row};
use crate::record::Row;
use crate::rhythm::Beat;
use crate::scene::Scene;
use crate::server::Server;
use crate::stage::Stage;
use crate::window::{self, Sample};
use crate::world::Fault;
use crate::{Options, SERVER_CPU};
use portunus::proto::srtp::Profile;

const PROFILE: Profile = Profile::AeadAes128Gcm;
const SUBSCRIBERS: u32 = 50;
/// What still counts as delivered well.
const LOSS_MAX: f64 = 0.001;
const P99_MAX_NS: u64 = 5_000_000;
/// Delivered packets a second to begin with; no core is expected beyond the other.
const RATE_MIN: f64 = 5_000.0;
const RATE_MAX: f64 = 2_000_000.0;
/// After the first failure the gap is halved so often: to a sixteenth.
const HALVINGS: usize = 4;
const SAMPLE_EVERY: u32 = 31;
/// Windows at one rate before it has failed.
const ATTEMPTS: usize = 4;
const REST_NS: u64 = 500_000_000;

/// Ours and Janus, with receivers that join bursts and without.
pub fn saturation(options: &Options) -> Result<Vec<Row>, Fault> {
    let mut stage = Stage::new()?;
    let scene = Scene::fanout(SUBSCRIBERS as usize);
    let mut floor = FloorRig::new(&mut stage, scene.subscribers.len())?;
    let mut rows = Vec::new();
    for server in stage.servers(options, &[0])? {
        let cast = stage.assemble(&server, &scene)?;
        for (name, gro) in [("GRO", true), ("no GRO", false)] {
            stage.world.set_gro(gro).map_err(|error| error.to_string())?;
            let parts = |rate| {
                let interval_ns = (f64::from(VIDEO.packets * SUBSCRIBERS) * 1e9 / rate) as u64;
                scene.parts(None, Some(Beat { interval_ns, ..VIDEO }.into()))
            };
            let found = search(|rate| {
                let voices = cast.voices(&scene, &parts(rate));
                measure(&mut stage, &server, &voices, options)
            })?;
            // What the floor takes at the same rate.
            let at_best = found.best.as_ref().map(|(rate, _)| parts(*rate));
            let least =
                at_best.map(|parts| floor.window(&mut stage.world, &scene, PROFILE, &parts, options.window_ms, None));
            rows.push(line(name, &server, found, least.transpose()?));
        }
        cast.dismiss(&mut stage.world);
    }
    Ok(rows)
}

fn measure(
    stage: &mut Stage,
    server: &Server,
    voices: &[crate::world::Voice],
    options: &Options,
) -> Result<Sample, Fault> {
    let sample = window::on_server(&mut stage.world, server, SERVER_CPU, voices, options.window_ms, SAMPLE_EVERY)?;
    if !passes(&sample) {
        // What has piled up in the server is not the next window's.
        stage.world.run(REST_NS);
    }
    Ok(sample)
}

/// The best window that passed, and the one that failed just above it.
struct Found {
    best: Option<(f64, Sample)>,
    failed: Option<(f64, Sample)>,
}

/// Doubles the rate until it fails, then halves the gap.
fn search(mut at: impl FnMut(f64) -> Result<Sample, Fault>) -> Result<Found, Fault> {
    let (mut best, mut failed) = (None, None);
    let (mut low, mut high) = (0.0, RATE_MAX);
    let mut rate = RATE_MIN;
    let mut halvings = 0;
    while halvings < HALVINGS {
        let mut sample = at(rate)?;
        for again in 1..ATTEMPTS {
            // A pause of the machine is no limit of the server, and twice is no pause; the generator's own are none of it.
            if passes(&sample) || (again >= 2 && sample.void.is_none()) {
                break;
            }
            sample = at(rate)?;
        }
        if passes(&sample) {
            low = rate;
            best = Some((rate, sample));
        } else {
            high = rate;
            failed = Some((rate, sample));
        }
        rate = if failed.is_some() { f64::midpoint(low, high) } else { rate * 2.0 };
        halvings += usize::from(failed.is_some());
        if rate >= RATE_MAX {
            break;
        }
    }
    Ok(Found { best, failed })
}

fn passes(sample: &Sample) -> bool {
    let late = sample.latency.is_none_or(|[_, p99, _]| p99 > P99_MAX_NS);
    sample.loss < LOSS_MAX && !late && sample.void.is_none()
}

fn line(name: &str, server: &Server, found: Found, floor: Option<Sample>) -> Row {
    let Some((_, best)) = found.best else {
        return Row::absent(&[("case", name), ("server", server.name)], "failed at the lowest rate");
    };
    let mut line =
        row(name, server.name, server.coalesce_us, std::slice::from_ref(&best), floor.map(|floor| floor.cpu_ns));
    line.figure("core %", 0, false, [best.rate * best.cpu_ns / 1e7]);
    if let (Some((rate, failed)), Some(cpu_ns)) = (found.failed, line.median(CPU)) {
        let p99 = failed.latency.map_or(0, |latency| latency[1] / 1000);
        let why = failed.void.map_or_else(
            || format!("loss {:.2} %, p99 {p99} us", failed.loss * 100.0),
            |why| format!("{why}: the limit is the generator's, not the server's"),
        );
        let whole = 1e9 / cpu_ns;
        line.note = format!("next at {rate:.0} pps: {why}; a whole core at {cpu_ns:.0} ns is {whole:.0} pps");
    }
    line
}
