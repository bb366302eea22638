//! The same rooms on one, two, four and eight media shards, all on one CPU: what the division itself costs. Rooms do not
//! cross shards; a second core's worth of speed is for a machine with more of them.

use crate::compare::{AUDIO, CPU, FloorRig, PICTURE, row};
use crate::record::Row;
use crate::scene::Scene;
use crate::server::Server;
use crate::stage::Stage;
use crate::window;
use crate::world::Fault;
use crate::{Options, SERVER_CPU};
use portunus::proto::srtp::Profile;

const SHARDS: [usize; 4] = [1, 2, 4, 8];
const ROOMS: usize = 8;
const SAMPLE_EVERY: u32 = 3;
const PROFILE: Profile = Profile::AeadAes128Gcm;

/// Ours alone: nobody else has shards.
pub fn scale(options: &Options) -> Result<Vec<Row>, Fault> {
    let mut stage = Stage::new()?;
    let scene = Scene::meeting(ROOMS);
    let parts = scene.parts(Some(AUDIO.into()), Some(PICTURE.into()));
    let mut floor = FloorRig::new(&mut stage, scene.subscribers.len())?;
    let mut rows = Vec::new();
    for shards in SHARDS {
        let server = Server::portunus(&options.server, stage.network, SERVER_CPU, shards, 0);
        let server = server.map_err(|error| error.to_string())?;
        let cast = stage.assemble(&server, &scene)?;
        stage.world.set_gro(true).map_err(|error| error.to_string())?;
        let voices = cast.voices(&scene, &parts);
        let (mut samples, mut floors) = (Vec::new(), Vec::new());
        window::on_server(&mut stage.world, &server, SERVER_CPU, &voices, 400, SAMPLE_EVERY)?;
        for _ in 0..options.rounds {
            let millis = options.window_ms;
            samples.push(window::on_server(&mut stage.world, &server, SERVER_CPU, &voices, millis, SAMPLE_EVERY)?);
            floors.push(floor.window(&mut stage.world, &scene, PROFILE, &parts, options.window_ms, None)?);
        }
        let least = row("", "floor", None, &floors, None).median(CPU);
        let mut line = row(&format!("{shards} shards"), server.name, server.coalesce_us, &samples, least);
        let health = server.health();
        line.figure("shards with media", 0, false, [health.shards_with("packets_sent") as f64]);
        line.figure("bytes crossing", 0, false, [health.counter("bytes_crossed") as f64]);
        if line.note.is_empty() {
            line.note = "one room, one shard: nothing crosses; this CPU counts no instructions for us".into();
        }
        rows.push(line);
        cast.dismiss(&mut stage.world);
    }
    Ok(rows)
}
