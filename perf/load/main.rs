//! The measuring room's load generator. One question a run: it starts the servers, brings the peers in, measures, prints a
//! table and writes the record; `perf/run.sh` knows the arguments. See README.md for the method.

mod api;
mod client;
mod clock;
mod coalesce;
mod compare;
mod floor;
mod histogram;
mod join;
#[path = "../machine.rs"]
mod machine;
mod memory;
mod meter;
mod peer;
mod poll;
mod process;
mod record;
mod rhythm;
mod saturation;
mod scale;
mod scene;
#[path = "../../tests/kit/sdp.rs"]
mod sdp;
mod server;
mod socket;
mod stage;
mod track;
mod websocket;
mod window;
mod world;

use record::{About, Row};
use serde_json::json;
use std::process::ExitCode;
use world::Fault;

/// Where servers run, and where the generator does.
const SERVER_CPU: usize = 0;
const GENERATOR_CPU: usize = 1;
/// Nothing takes longer, whatever happens: the process ends, and its children with it.
const QUICK_SECONDS_MAX: u32 = 180;
const LONG_SECONDS_MAX: u32 = 1800;

/// How a question is asked.
pub struct Options {
    /// Our server's program.
    server: String,
    /// Milliseconds of one window, and windows of each kind.
    window_ms: u64,
    rounds: usize,
    /// What comes before the first window: caches fill, and receive buffers and history are touched for the first time.
    warm_up_ms: u64,
    /// Five times as long.
    long: bool,
    /// Only whether it works: seconds, without other servers and without a record.
    smoke: bool,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match words[..] {
        [floor::ARGUMENT, ip] => {
            let ip = ip.parse().map_err(|error| format!("{ip}: {error}"));
            ip.and_then(|ip| floor::obey(ip).map_err(|error| error.to_string()))
        }
        [question, date, commit, record, server] => answer(question, date, commit, record, server),
        _ => Err("usage: load QUESTION DATE COMMIT RECORD SERVER (perf/run.sh knows them)".into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            eprintln!("load: {fault}");
            ExitCode::FAILURE
        }
    }
}

fn answer(question: &str, date: &str, commit: &str, file: &str, server: &str) -> Result<(), Fault> {
    let [long, smoke] = ["PERF_LONG", "PERF_SMOKE"].map(|name| std::env::var_os(name).is_some());
    // SAFETY: no pointer is passed; the signal's default action ends the process.
    unsafe { libc::alarm(if long { LONG_SECONDS_MAX } else { QUICK_SECONDS_MAX }) };
    // SAFETY: no pointer is passed. Timers are to fire when they are due.
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1) };
    process::raise_descriptors();
    let (window_ms, rounds) = match (smoke, long) {
        (true, _) => (250, 2),
        (false, true) => (5000, 5),
        (false, false) => (1000, 5),
    };
    let warm_up_ms = if smoke { 250 } else { 4000 };
    let options = Options { server: server.into(), window_ms, rounds, warm_up_ms, long, smoke };
    let rows: Vec<Row> = match question {
        "fanout" => compare::fanout(&options),
        "coalesce" => coalesce::coalesce(&options),
        "audio" => compare::audio(&options),
        "meeting" => compare::meeting(&options),
        "saturation" => saturation::saturation(&options),
        "memory" => memory::memory(&options),
        "join" => join::join(&options),
        "api" => api::api(&options),
        "scale" => scale::scale(&options),
        "floor" => compare::floor(&options),
        _ => Err(format!("no question is called {question}")),
    }?;
    record::print(&rows);
    if smoke {
        let silent = |row: &&Row| row.median("pps").is_some_and(|rate| rate == 0.0);
        return rows.iter().find(silent).map_or(Ok(()), |row| Err(format!("nothing came: {:?}", row.labels)));
    }
    let method = json!({
        "server_cpu": SERVER_CPU,
        "generator_cpu": GENERATOR_CPU,
        "window_ms": options.window_ms,
        "windows": options.rounds,
        "warm_up_ms": options.warm_up_ms,
        "order": "floor, portunus and janus in turn; medians of the windows that count",
        "cpu": "schedstat of all threads of the server; what softirq threads did is shown apart",
        "latency": "from the publisher's send to the kernel's receive time at the subscriber, of decrypted samples",
    });
    let about = About { question, date, commit, method };
    record::write(file, &about, &rows).map_err(|error| format!("{file}: {error}"))?;
    println!("written to {file}");
    Ok(())
}
