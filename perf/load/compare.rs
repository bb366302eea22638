//! The questions about a stream of media: what a delivered packet costs on our server, on Janus and on the floor, with the
//! same peers, interleaved. One window of each in turn, five turns, medians.

use crate::floor::{Floor, Source};
use crate::peer;
use crate::record::Row;
use crate::scene::{Part, Scene};
use crate::stage::Stage;
use crate::track::Beat;
use crate::window::{self, Sample};
use crate::world::{Fault, World};
use crate::{Options, SERVER_CPU};
use portunus::proto::srtp::Profile;

/// One line of the question.
pub struct Case {
    pub name: &'static str,
    pub profile: Profile,
    /// Receivers join what came as one message.
    pub gro: bool,
    pub audio: Option<Beat>,
    pub video: Option<Beat>,
}

const GCM: Profile = Profile::AeadAes128Gcm;
const CM: Profile = Profile::AesCm128HmacSha1_80;

/// Frames of eight packets, 300 packets a second: 2.8 Mbit/s.
pub const VIDEO: Beat = Beat { interval_ns: 26_666_667, packets: 8, gap_ns: 0, bytes: (1150, 1150) };
/// Opus at some 50 kbit/s: a packet every 20 ms.
pub const AUDIO: Beat = Beat { interval_ns: 20_000_000, packets: 1, gap_ns: 0, bytes: (100, 160) };
/// A meeting's picture: 30 frames of four packets, 1.06 Mbit/s.
pub const PICTURE: Beat = Beat { interval_ns: 33_333_333, packets: 4, gap_ns: 0, bytes: (1100, 1100) };

/// 1 to 50.
pub fn fanout(options: &Options) -> Result<Vec<Row>, Fault> {
    let case = |name, profile, gro, video| Case { name, profile, gro, audio: None, video: Some(video) };
    let cases = [
        case("gcm, GRO", GCM, true, VIDEO),
        case("gcm, no GRO", GCM, false, VIDEO),
        case("cm-sha1, GRO", CM, true, VIDEO),
        case("gcm, GRO, 1 ms apart", GCM, true, Beat { gap_ns: 1_000_000, ..VIDEO }),
    ];
    compare(options, &Scene::fanout(50), &cases)
}

/// 10 to 10.
pub fn audio(options: &Options) -> Result<Vec<Row>, Fault> {
    let case = |name, gro| Case { name, profile: GCM, gro, audio: Some(AUDIO), video: None };
    compare(options, &Scene::audio(), &[case("opus, GRO", true)])
}

/// Eight rooms of four.
pub fn meeting(options: &Options) -> Result<Vec<Row>, Fault> {
    let case = |name, gro| Case { name, profile: GCM, gro, audio: Some(AUDIO), video: Some(PICTURE) };
    compare(options, &Scene::meeting(8), &[case("8 x 4, GRO", true), case("8 x 4, no GRO", false)])
}

/// The shapes of the other questions, sent by the floor alone.
pub fn floor(options: &Options) -> Result<Vec<Row>, Fault> {
    let fanout = Scene::fanout(50);
    let meeting = Scene::meeting(8);
    let audio = Scene::audio();
    let apart = Beat { gap_ns: 1_000_000, ..VIDEO };
    let shapes: [(&Scene, Case); 6] = [
        (&fanout, Case { name: "fanout gcm, GRO", profile: GCM, gro: true, audio: None, video: Some(VIDEO) }),
        (&fanout, Case { name: "fanout gcm, no GRO", profile: GCM, gro: false, audio: None, video: Some(VIDEO) }),
        (&fanout, Case { name: "fanout cm-sha1, GRO", profile: CM, gro: true, audio: None, video: Some(VIDEO) }),
        (&fanout, Case { name: "fanout gcm, 1 ms apart", profile: GCM, gro: true, audio: None, video: Some(apart) }),
        (&audio, Case { name: "audio", profile: GCM, gro: true, audio: Some(AUDIO), video: None }),
        (&meeting, Case { name: "meeting", profile: GCM, gro: true, audio: Some(AUDIO), video: Some(PICTURE) }),
    ];
    let mut stage = Stage::new()?;
    let mut rig = FloorRig::new(&mut stage, 50)?;
    let mut rows = Vec::new();
    for (scene, case) in &shapes {
        stage.world.set_gro(case.gro).map_err(|error| error.to_string())?;
        let parts = scene.parts(case.audio, case.video);
        let samples: Result<Vec<_>, _> =
            (0..options.rounds).map(|_| rig.window(&mut stage.world, scene, case.profile, &parts, options)).collect();
        rows.push(row(case.name, "floor", &samples?, None));
    }
    Ok(rows)
}

/// The floor's process and the sockets that it sends to.
pub struct FloorRig {
    floor: Floor,
    sinks: Vec<std::net::SocketAddr>,
}

impl FloorRig {
    /// Starts it, with room for so many subscribers.
    pub fn new(stage: &mut Stage, sinks: usize) -> Result<FloorRig, Fault> {
        let floor = Floor::start(stage.network.ip, SERVER_CPU).map_err(|error| format!("the floor: {error}"))?;
        let sinks = stage.world.open_sinks(sinks, stage.network.ip).map_err(|error| error.to_string())?;
        Ok(FloorRig { floor, sinks })
    }

    /// One window of a scene.
    pub fn window(
        &mut self,
        world: &mut World,
        scene: &Scene,
        profile: Profile,
        parts: &[Part],
        options: &Options,
    ) -> Result<Sample, Fault> {
        let source =
            |part: &Part| Source { beat: part.beat, phase_ns: part.phase_ns, to: scene.hearers(part.publisher) };
        let sources: Vec<_> = parts.iter().map(source).collect();
        let what = (&sources[..], &self.sinks[..]);
        window::on_floor(world, &mut self.floor, SERVER_CPU, profile, what, options.window_ms)
    }
}

fn compare(options: &Options, scene: &Scene, cases: &[Case]) -> Result<Vec<Row>, Fault> {
    let mut stage = Stage::new()?;
    let mut servers = stage.servers(options)?;
    let mut floor = FloorRig::new(&mut stage, scene.subscribers.len())?;

    // Everybody who is needed, on every server, once for each SRTP profile.
    let mut profiles: Vec<Profile> = Vec::new();
    for case in cases {
        if !profiles.contains(&case.profile) {
            profiles.push(case.profile);
        }
    }
    let (mut casts, mut absent) = (Vec::new(), "absent".to_owned());
    for &profile in &profiles {
        stage.context = peer::context(profile);
        for server in &servers {
            match stage.assemble(server, scene) {
                Ok(cast) => casts.push((server.name, profile, cast)),
                Err(fault) if server.name == OURS => return Err(fault),
                Err(fault) => absent = fault,
            }
        }
    }
    // Without all of its casts another server is no comparison; ours is measured all the same.
    servers.retain(|server| casts.iter().filter(|cast| cast.0 == server.name).count() == profiles.len());
    let mut rows = Vec::new();
    for case in cases {
        stage.world.set_gro(case.gro).map_err(|error| error.to_string())?;
        let parts = scene.parts(case.audio, case.video);
        let mut samples: Vec<Vec<Sample>> = vec![Vec::new(); servers.len() + 1];
        for round in 0..=options.rounds {
            for (n, server) in servers.iter().enumerate() {
                let cast = casts.iter().find(|cast| cast.0 == server.name && cast.1 == case.profile);
                let voices = cast.expect("assembled above").2.voices(scene, &parts);
                // The first round is for caches, keyframes and the servers' own learning.
                let millis = if round == 0 { WARM_UP_MS } else { options.window_ms };
                let sample = window::on_server(&mut stage.world, server, SERVER_CPU, &voices, millis, SAMPLE_EVERY)?;
                if round > 0 {
                    samples[n + 1].push(sample);
                }
            }
            if round > 0 {
                samples[0].push(floor.window(&mut stage.world, scene, case.profile, &parts, options)?);
            }
        }
        let floor = row(case.name, "floor", &samples[0], None);
        let floor_ns = floor.median(CPU);
        rows.push(floor);
        for (server, samples) in servers.iter().zip(&samples[1..]) {
            rows.push(row(case.name, server.name, samples, floor_ns));
        }
        if servers.len() == 1 {
            rows.push(Row::absent(&[("case", case.name), ("server", "janus")], &absent));
        }
        rows.push(Row::absent(&[("case", case.name), ("server", "rtpengine")], "absent"));
    }
    Ok(rows)
}

/// The figure that matters.
pub const CPU: &str = "cpu ns/pkt";
const OURS: &str = "portunus";
const WARM_UP_MS: u64 = 400;
/// One packet in so many is opened; a prime, so that every place in a burst gets its turn.
const SAMPLE_EVERY: u32 = 3;

/// The medians of the samples that count, or of all when none does.
pub fn row(case: &str, server: &str, samples: &[Sample], floor_ns: Option<f64>) -> Row {
    let mut row = Row::new(&[("case", case), ("server", server)]);
    let counted: Vec<_> = samples.iter().filter(|sample| sample.void.is_none()).cloned().collect();
    let void = samples.len() - counted.len();
    if let Some(why) = samples.iter().find_map(|sample| sample.void) {
        row.note = format!("{void} of {} windows do not count: {why}", samples.len());
    }
    let counted = if counted.is_empty() { samples } else { &counted };
    let of = |figure: fn(&Sample) -> f64| counted.iter().map(figure);
    let latency = |n: usize| counted.iter().filter_map(move |s| Some(s.latency?[n] as f64 / 1000.0));
    row.figure("pps", 0, false, of(|s| s.rate));
    row.figure("loss %", 3, false, of(|s| s.loss * 100.0));
    row.figure(CPU, 0, true, of(|s| s.cpu_ns));
    if let Some(floor_ns) = floor_ns {
        row.figure("x floor", 2, false, counted.iter().map(|s| s.cpu_ns / floor_ns));
    }
    row.figure("user %", 0, false, of(|s| s.user * 100.0));
    row.figure("softirq %", 1, false, of(|s| s.softirq * 100.0));
    row.figure("pkt/msg", 2, false, counted.iter().filter_map(|s| s.packets_per_message));
    row.figure("turns/s", 0, false, counted.iter().filter_map(|s| s.turns));
    row.figure("switches/s", 0, false, of(|s| s.switches));
    row.figure("p50 us", 0, false, latency(0));
    row.figure("p99 us", 0, false, latency(1));
    row.figure("p99.9 us", 0, false, latency(2));
    row.figure("late p99 us", 0, false, of(|s| s.lateness_ns as f64 / 1000.0));
    row.figure("generator %", 0, false, of(|s| s.generator * 100.0));
    row
}
