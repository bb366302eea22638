//! The questions about a stream of media: what a delivered packet costs on our server, on Janus and on the floor, with the
//! same peers, interleaved. One window of each in turn, five turns, medians.

use crate::floor::{Floor, Source};
use crate::peer;
use crate::record::Row;
use crate::rhythm::{Beat, Rhythm};
use crate::scene::{Cast, Part, Scene};
use crate::server::Server;
use crate::stage::Stage;
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
    pub audio: Option<Rhythm>,
    pub video: Option<Rhythm>,
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
        case("gcm, GRO", GCM, true, VIDEO.into()),
        case("gcm, no GRO", GCM, false, VIDEO.into()),
        case("gcm, GRO, 1 ms apart", GCM, true, Beat { gap_ns: 1_000_000, ..VIDEO }.into()),
        case("gcm, GRO, recorded", GCM, true, Rhythm::Recorded { publisher: 2, video: true }),
        case("cm-sha1, GRO", CM, true, VIDEO.into()),
    ];
    compare(options, &Scene::fanout(50), &[0], &cases)
}

/// 10 to 10.
pub fn audio(options: &Options) -> Result<Vec<Row>, Fault> {
    let case = |name, gro| Case { name, profile: GCM, gro, audio: Some(AUDIO.into()), video: None };
    compare(options, &Scene::audio(), &[0, 2000, 5000], &[case("opus, GRO", true)])
}

/// Eight rooms of four.
pub fn meeting(options: &Options) -> Result<Vec<Row>, Fault> {
    let case = |name, gro| Case { name, profile: GCM, gro, audio: Some(AUDIO.into()), video: Some(PICTURE.into()) };
    compare(options, &Scene::meeting(8), &[0, 2000, 5000], &[case("8 x 4, GRO", true), case("8 x 4, no GRO", false)])
}

/// The shapes of the other questions, sent by the floor alone.
pub fn floor(options: &Options) -> Result<Vec<Row>, Fault> {
    let fanout = Scene::fanout(50);
    let meeting = Scene::meeting(8);
    let audio = Scene::audio();
    let case = |name, profile, gro, audio, video| Case { name, profile, gro, audio, video };
    let (opus, burst, picture) = (Some(AUDIO.into()), Some(VIDEO.into()), Some(PICTURE.into()));
    let apart = Some(Beat { gap_ns: 1_000_000, ..VIDEO }.into());
    let shapes: [(&Scene, Case); 6] = [
        (&fanout, case("fanout gcm, GRO", GCM, true, None, burst)),
        (&fanout, case("fanout gcm, no GRO", GCM, false, None, burst)),
        (&fanout, case("fanout cm-sha1, GRO", CM, true, None, burst)),
        (&fanout, case("fanout gcm, 1 ms apart", GCM, true, None, apart)),
        (&audio, case("audio", GCM, true, opus, None)),
        (&meeting, case("meeting", GCM, true, opus, picture)),
    ];
    let mut stage = Stage::new()?;
    let mut rig = FloorRig::new(&mut stage, 50)?;
    let mut rows = Vec::new();
    for (scene, case) in &shapes {
        stage.world.set_gro(case.gro).map_err(|error| error.to_string())?;
        let parts = scene.parts(case.audio, case.video);
        let samples: Result<Vec<_>, _> = (0..options.rounds)
            .map(|_| rig.window(&mut stage.world, scene, case.profile, &parts, options.window_ms, None))
            .collect();
        rows.push(row(case.name, "floor", None, &samples?, None));
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

    /// One window of a scene. Of audio and of what is due together each is a message; or the packets of video are gathered
    /// until there are `packets_per_message` of all, as a server has reached.
    pub fn window(
        &mut self,
        world: &mut World,
        scene: &Scene,
        profile: Profile,
        parts: &[Part],
        millis: u64,
        packets_per_message: Option<f64>,
    ) -> Result<Sample, Fault> {
        let video = packets_per_message.map_or(1.0, |mean| video_segments(scene, parts, millis, mean));
        let source = |part: &Part| Source {
            rhythm: part.rhythm,
            phase_ns: part.phase_ns,
            to: scene.hearers(part.publisher),
            segments: if part.video { video } else { 1.0 },
        };
        let sources: Vec<_> = parts.iter().map(source).collect();
        let what = (&sources[..], &self.sinks[..]);
        window::on_floor(world, &mut self.floor, SERVER_CPU, profile, what, millis)
    }
}

/// How many packets of video share a message when all do on average, and audio goes one by one.
fn video_segments(scene: &Scene, parts: &[Part], millis: u64, mean: f64) -> f64 {
    let delivered = |video: bool| {
        let parts = parts.iter().filter(|part| part.video == video);
        let packets = parts.map(|part| {
            part.rhythm.count(part.phase_ns, millis * 1_000_000) * scene.hearers(part.publisher).len() as u64
        });
        packets.sum::<u64>() as f64
    };
    let (audio, video) = (delivered(false), delivered(true));
    let messages = (audio + video) / mean - audio;
    if messages > 0.0 { (video / messages).clamp(1.0, SEGMENTS_MAX) } else { SEGMENTS_MAX }
}

/// A message of full packets is below 64 KiB.
const SEGMENTS_MAX: f64 = 40.0;

fn compare(options: &Options, scene: &Scene, coalesce_us: &[u32], cases: &[Case]) -> Result<Vec<Row>, Fault> {
    let mut stage = Stage::new()?;
    let servers = stage.servers(options, coalesce_us)?;
    let mut floor = FloorRig::new(&mut stage, scene.subscribers.len())?;

    let mut rows = Vec::new();
    for cases in cases.chunk_by(|one, other| one.profile == other.profile) {
        // Only those who are measured are there: peers that hear nothing still check and report.
        stage.context = peer::context(cases[0].profile);
        let (mut casts, mut absent) = (Vec::new(), if options.smoke { "not asked" } else { "absent" }.to_owned());
        for (n, server) in servers.iter().enumerate() {
            match stage.assemble(server, scene) {
                Ok(cast) => casts.push((n, cast)),
                Err(fault) if server.coalesce_us.is_some() => return Err(fault),
                // A comparison less; ours is measured all the same.
                Err(fault) => absent = fault,
            }
        }
        for case in cases {
            let samples = windows(options, &mut stage, &mut floor, (scene, case), (&servers, &casts))?;
            let least = row(case.name, "floor", None, &samples[0], None);
            let floor_ns = least.median(CPU);
            rows.push(least);
            for ((n, _), samples) in casts.iter().zip(&samples[1..]) {
                rows.push(row(case.name, servers[*n].name, servers[*n].coalesce_us, samples, floor_ns));
            }
            if casts.iter().all(|(n, _)| servers[*n].coalesce_us.is_some()) {
                rows.push(Row::absent(&[("case", case.name), ("server", "janus")], &absent));
            }
            rows.push(Row::absent(&[("case", case.name), ("server", "rtpengine")], "absent"));
        }
        casts.into_iter().for_each(|(_, cast)| cast.dismiss(&mut stage.world));
    }
    Ok(rows)
}

/// The windows of one case: the floor's, and those of each cast.
fn windows(
    options: &Options,
    stage: &mut Stage,
    floor: &mut FloorRig,
    (scene, case): (&Scene, &Case),
    (servers, casts): (&[Server], &[(usize, Cast)]),
) -> Result<Vec<Vec<Sample>>, Fault> {
    stage.world.set_gro(case.gro).map_err(|error| error.to_string())?;
    let all = scene.parts(case.audio, case.video);
    let mut samples: Vec<Vec<Sample>> = vec![Vec::new(); casts.len() + 1];
    for round in 0..=options.rounds {
        let parts: Vec<_> = all.iter().map(|part| part.later(round as u64 * options.window_ms * 1_000_000)).collect();
        for ((n, cast), samples) in casts.iter().zip(&mut samples[1..]) {
            let voices = cast.voices(scene, &parts);
            // The first round is for caches, keyframes and the servers' own learning.
            let millis = if round == 0 { options.warm_up_ms } else { options.window_ms };
            let sample = window::on_server(&mut stage.world, &servers[*n], SERVER_CPU, &voices, millis, SAMPLE_EVERY)?;
            if round > 0 {
                samples.push(sample);
            }
        }
        if round > 0 {
            // A beat says what belongs together; of a recording we only know what our server made of it.
            let recorded = parts.iter().any(|part| matches!(part.rhythm, Rhythm::Recorded { .. }));
            let reached = samples[1].last().and_then(|ours| ours.packets_per_message).filter(|_| recorded);
            let (world, millis) = (&mut stage.world, options.window_ms);
            samples[0].push(floor.window(world, scene, case.profile, &parts, millis, reached)?);
        }
    }
    Ok(samples)
}

/// The figure that matters.
pub const CPU: &str = "cpu ns/pkt";
/// One packet in so many is opened; a prime, so that every place in a burst gets its turn.
const SAMPLE_EVERY: u32 = 3;

/// The medians of the samples that count, or of all when none does.
pub fn row(case: &str, server: &str, coalesce_us: Option<u32>, samples: &[Sample], floor_ns: Option<f64>) -> Row {
    let mut row = Row::new(&[("case", case), ("server", server)]);
    let counted: Vec<_> = samples.iter().filter(|sample| sample.void.is_none()).cloned().collect();
    let void = samples.len() - counted.len();
    if let Some(why) = samples.iter().find_map(|sample| sample.void) {
        row.note = format!("{void} of {} windows do not count: {why}", samples.len());
    }
    let counted = if counted.is_empty() { samples } else { &counted };
    let of = |figure: fn(&Sample) -> f64| counted.iter().map(figure);
    let latency = |n: usize| counted.iter().filter_map(move |s| Some(s.latency?[n] as f64 / 1000.0));
    row.figure("coalesce us", 0, false, coalesce_us.map(f64::from));
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
