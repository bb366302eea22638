//! What a subscriber and a publisher cost in resident memory, their connection and session included; and what a server
//! holds before anybody has come.

use crate::Options;
use crate::compare::{AUDIO, VIDEO};
use crate::process::resident_kib;
use crate::record::Row;
use crate::scene::{Publisher, Scene};
use crate::stage::Stage;
use crate::world::Fault;

/// People of each kind.
const PUBLISHERS: usize = 50;
const SUBSCRIBERS: usize = 300;
/// So many that first-time allocations are not taken for theirs.
const FIRST: usize = 20;
/// Media for that long, so that histories are filled.
const SPEECH_NS: u64 = 1_500_000_000;

/// Ours and Janus.
pub fn memory(options: &Options) -> Result<Vec<Row>, Fault> {
    let mut stage = Stage::new()?;
    let mut rows = Vec::new();
    for server in stage.servers(options, &[0])? {
        let resident = || resident_kib(server.pid()) as f64;
        let fixed = resident();
        let mut base = Scene::fanout(FIRST);
        base.publishers = vec![Publisher { room: 0, audio: true, video: true }];
        let first = stage.assemble(&server, &base)?;
        let voices = first.voices(&base, &base.parts(Some(AUDIO.into()), Some(VIDEO.into())));
        stage.world.speak(&voices);
        stage.world.run(SPEECH_NS);
        let begun = resident();

        let mut subscribers = Vec::new();
        for _ in 0..SUBSCRIBERS {
            let plan = first.subscription(&stage.world, &base.subscribers[0]);
            let place = stage.place(&server);
            subscribers.push(stage.world.enter(&place, &stage.context, plan)?);
            let behind = subscribers.len().saturating_sub(8);
            stage.world.wait("subscribers", &subscribers[behind.saturating_sub(1)..behind], |client| client.is_up())?;
        }
        stage.world.wait("subscribers", &subscribers, |client| client.is_up())?;
        stage.world.run(SPEECH_NS);
        let subscribed = resident();
        stage.world.speak(&[]);

        let scene = Scene {
            publishers: vec![Publisher { room: 0, audio: true, video: true }; PUBLISHERS],
            subscribers: Vec::new(),
        };
        let second = stage.assemble(&server, &scene)?;
        let before = resident();
        let voices = second.voices(&scene, &scene.parts(Some(AUDIO.into()), Some(VIDEO.into())));
        stage.world.speak(&voices);
        stage.world.run(SPEECH_NS);
        stage.world.speak(&[]);
        let published = resident();

        let mut row = Row::new(&[("server", server.name)]);
        row.figure("fixed KiB", 0, false, [fixed]);
        row.figure("with the first room KiB", 0, false, [begun]);
        row.figure("KiB/subscriber", 1, false, [(subscribed - begun) / SUBSCRIBERS as f64]);
        row.figure("KiB/publisher", 1, false, [(published - subscribed) / PUBLISHERS as f64]);
        row.figure("of it history KiB", 1, false, [(published - before) / PUBLISHERS as f64]);
        row.note = format!("{SUBSCRIBERS} subscribers, {PUBLISHERS} publishers of audio and 2.8 Mbit/s of video");
        rows.push(row);
        subscribers.into_iter().for_each(|number| stage.world.leave(number));
        first.dismiss(&mut stage.world);
        second.dismiss(&mut stage.world);
    }
    Ok(rows)
}
