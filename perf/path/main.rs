//! What a packet costs on its way through the media engine, in one thread and without I/O: one publisher, 1 to 100
//! subscribers, video in bursts and audio one by one. Beside it, in the same run, the floor that no forwarder with one
//! key per receiver can go below: sealing those bytes once for each of them.

mod api;
mod cpu;
mod floor;
#[path = "../machine.rs"]
mod machine;
mod record;
mod world;

use portunus::proto::srtp::Profile;

use floor::Floor;
use record::{Row, Spread};
use world::{Media, World};

const PROFILES: [Profile; 2] = [Profile::AeadAes128Gcm, Profile::AesCm128HmacSha1_80];
const SUBSCRIBERS: [usize; 4] = [1, 10, 50, 100];
/// Samples of the engine and of the floor, taken in turn.
const ROUNDS: usize = 5;
/// CPU time of one sample.
const SAMPLE_NS: u64 = 100_000_000;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (date, commit, file) = match words[..] {
        ["count", "api", runs] => return println!("{}", api::run(runs.parse().expect("a number of runs"))),
        ["count", "shards", shards, runs] => return count_spread(shards, runs),
        ["count", media, subscribers, runs] => return count(media, subscribers, runs),
        [date, commit, file] => (date, commit, file),
        _ => {
            eprintln!(
                "usage: path DATE COMMIT RECORD (perf/run.sh knows them), or path count MEDIA SUBSCRIBERS RUNS,\n       path count shards SHARDS RUNS, or path count api RUNS"
            );
            std::process::exit(2);
        }
    };
    println!("{}", Row::HEADING);
    let mut rows = Vec::new();
    for profile in PROFILES {
        for media in [Media::VIDEO, Media::AUDIO] {
            for subscribers in SUBSCRIBERS {
                let row = measure(profile, media, subscribers);
                println!("{row}");
                rows.push(row);
            }
        }
    }
    if let Err(error) = record::write(file, date, commit, &rows) {
        eprintln!("{file}: {error}");
        std::process::exit(1);
    }
    println!("written to {file}");
}

/// So many runs and nothing else, for `perf/icount.sh`: prints the packets received and delivered in them.
fn count(media: &str, subscribers: &str, runs: &str) {
    let media = if media == "audio" { Media::AUDIO } else { Media::VIDEO };
    let subscribers = subscribers.parse().expect("a number of subscribers");
    let mut world = World::new(Profile::AeadAes128Gcm, media, 1, subscribers);
    let runs: u64 = runs.parse().expect("a number of runs");
    let delivered: u64 = (0..runs).map(|_| world.run().segments).sum();
    println!("{delivered}");
}

/// Eight rooms with six subscribers each, on so many engines.
fn count_spread(shards: &str, runs: &str) {
    let shards: u16 = shards.parse().expect("a number of shards");
    let world = || World::new(Profile::AeadAes128Gcm, Media::VIDEO, 8 / shards, 6);
    let mut worlds: Vec<World> = (0..shards).map(|_| world()).collect();
    let runs: u64 = runs.parse().expect("a number of runs");
    let delivered: u64 =
        (0..runs).flat_map(|_| worlds.iter_mut().map(|world| world.run().segments).collect::<Vec<_>>()).sum();
    println!("{delivered}");
}

fn measure(profile: Profile, media: Media, subscribers: usize) -> Row {
    let mut world = World::new(profile, media, 1, subscribers);
    // Also the warm-up: what was sent tells the floor how long a sealed packet is.
    let warm = world.run();
    let mut floor = Floor::new(profile, media, subscribers, warm.segment_bytes());
    floor.run();
    let (mut engine, mut sealing, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    let mut sent = warm;
    for _ in 0..ROUNDS {
        let turns = sample(|| {
            let run = world.run();
            sent.add(&run);
            (run.cpu_ns, run.segments)
        });
        let seals = sample(|| floor.run());
        engine.push(turns);
        sealing.push(seals);
        ratios.push(turns / seals);
    }
    Row {
        profile: profile.openssl_name(),
        media: media.name,
        subscribers,
        packet_bytes: media.packet_bytes,
        segment_bytes: sent.segment_bytes(),
        engine_ns: Spread::of(engine),
        floor_ns: Spread::of(sealing),
        ratio: Spread::of(ratios),
        segments_per_message: sent.segments as f64 / sent.messages as f64,
    }
}

/// Nanoseconds of CPU time per packet, over as many runs as a sample takes.
fn sample(mut run: impl FnMut() -> (u64, u64)) -> f64 {
    let (mut nanos, mut packets) = (0, 0);
    while nanos < SAMPLE_NS {
        let (more, sealed) = run();
        nanos += more;
        packets += sealed;
    }
    nanos as f64 / packets as f64
}
