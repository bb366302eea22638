//! What waiting for more video is worth: CPU and latency of our server for several `--coalesce`, with packets one millisecond
//! apart and with the recorded call. Each is compared with the floor at the segments per message that it reached itself.

use crate::compare::{CPU, FloorRig, VIDEO, row};
use crate::record::Row;
use crate::rhythm::{Beat, Rhythm, recorded_ns};
use crate::scene::{Part, Scene};
use crate::server::Server;
use crate::stage::Stage;
use crate::window;
use crate::world::Fault;
use crate::{Options, SERVER_CPU};
use portunus::proto::srtp::Profile;

const COALESCE_US: [u32; 4] = [0, 500, 2000, 5000];
const WATCHERS: usize = 50;
/// Of all three publishers: 14 000 packets a second, which leaves the generator most of its CPU.
const CALLERS: usize = 20;
const PROFILE: Profile = Profile::AeadAes128Gcm;
/// All packets but one in three are only counted, as in the other questions.
const SAMPLE_EVERY: u32 = 3;

/// Ours alone: nobody else can be told to wait.
pub fn coalesce(options: &Options) -> Result<Vec<Row>, Fault> {
    let mut stage = Stage::new()?;
    let mut floor = FloorRig::new(&mut stage, WATCHERS.max(CALLERS))?;
    let server = |us| Server::portunus(&options.server, stage.network, SERVER_CPU, 1, us);
    let servers: Result<Vec<_>, _> = COALESCE_US.into_iter().map(server).collect();
    let servers = servers.map_err(|error| error.to_string())?;

    let fanout = Scene::fanout(WATCHERS);
    let apart = fanout.parts(None, Some(Beat { gap_ns: 1_000_000, ..VIDEO }.into()));
    // All windows together play the recording once, or each does when there is time.
    let part_ms = recorded_ns().div_ceil(1_000_000 * options.rounds as u64);
    let recorded_ms = if options.long { recorded_ns() / 1_000_000 } else { part_ms };
    let traffics = [
        ("1 ms apart", fanout, apart, options.window_ms),
        ("recorded call", Scene::call(CALLERS), recorded_call(), recorded_ms),
    ];

    let mut rows = Vec::new();
    for (name, scene, parts, window_ms) in traffics {
        let casts: Result<Vec<_>, Fault> = servers.iter().map(|server| stage.assemble(server, &scene)).collect();
        let casts = casts?;
        let world = &mut stage.world;
        world.set_gro(true).map_err(|error| error.to_string())?;
        let mut samples = vec![(Vec::new(), Vec::new()); servers.len()];
        for round in 0..=options.rounds as u64 {
            // The first round is for caches and keyframes.
            let millis = if round == 0 { options.warm_up_ms } else { window_ms };
            let parts: Vec<Part> = parts.iter().map(|part| part.later(round * window_ms * 1_000_000)).collect();
            for ((server, cast), (ours, floors)) in servers.iter().zip(&casts).zip(&mut samples) {
                let voices = cast.voices(&scene, &parts);
                let sample = window::on_server(world, server, SERVER_CPU, &voices, millis, SAMPLE_EVERY)?;
                if round > 0 {
                    floors.push(floor.window(world, &scene, PROFILE, &parts, millis, sample.packets_per_message)?);
                    ours.push(sample);
                }
            }
        }
        for (us, (ours, floors)) in COALESCE_US.into_iter().zip(&samples) {
            let least = row(name, "floor", Some(us), floors, None);
            let floor_ns = least.median(CPU);
            rows.push(least);
            rows.push(row(name, "portunus", Some(us), ours, floor_ns));
        }
        casts.into_iter().for_each(|cast| cast.dismiss(&mut stage.world));
    }
    Ok(rows)
}

/// Three publishers, each with what one of the recorded ones sent.
fn recorded_call() -> Vec<Part> {
    let lines = (0..3).flat_map(|publisher| [false, true].map(|video| (publisher, video)));
    lines
        .map(|(publisher, video)| Part { publisher, video, rhythm: Rhythm::Recorded { publisher, video }, phase_ns: 0 })
        .collect()
}
