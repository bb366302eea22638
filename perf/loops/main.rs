//! Which loop costs a media shard least: its own io_uring code, the very files of the program, beside an epoll loop with the
//! same messages, variants of both, and several sizes of a flush. What lies between receiving and sending is a copy for
//! each receiver, so that the differences are those of the loops.

mod connected;
mod driver;
mod epoll;
mod fault;
mod uring;
mod work;

#[path = "../../shards/clock.rs"]
#[allow(dead_code)]
mod clock;
#[path = "../path/cpu.rs"]
mod cpu;
#[path = "../../shards/headroom.rs"]
mod headroom;
#[path = "../../shards/inbox.rs"]
#[allow(dead_code)]
mod inbox;
#[path = "../machine.rs"]
mod machine;
#[path = "../load/record.rs"]
#[allow(dead_code)]
mod record;
#[path = "../../shards/ring/mod.rs"]
#[allow(dead_code, unused_imports)]
mod ring;
#[path = "../../shards/udp.rs"]
mod udp;

use driver::{Driver, Traffic};
use record::{About, Row};
use std::io;
use std::net::UdpSocket;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;
use work::Work;

/// One way to receive and send.
trait Loop {
    /// Waits for datagrams, at most 50 ms, and has them answered.
    fn turn(&mut self, work: &mut Work) -> io::Result<()>;
}

/// How long a loop may sleep: so soon it notices the end.
const WAIT: Duration = Duration::from_millis(50);
/// Samples of each loop, taken in turn.
const ROUNDS: usize = 5;
/// Length of one sample.
const SAMPLE: Duration = Duration::from_millis(700);
/// Receivers of each burst.
const RECEIVERS: usize = 50;

/// A candidate: its name, the bytes after which it flushes, and how it is made.
struct Candidate {
    name: &'static str,
    flush: usize,
    make: fn(UdpSocket, &Work) -> io::Result<Box<dyn Loop>>,
}

const CANDIDATES: [Candidate; 8] = [
    Candidate { name: "io_uring, one look a turn", flush: FULL, make: uring::make },
    Candidate { name: "io_uring, looking again", flush: FULL, make: uring::make_looking_again },
    Candidate { name: "epoll, recvmmsg, sendmmsg", flush: FULL, make: epoll::make },
    Candidate { name: "the same, UDP_GRO on receive", flush: FULL, make: epoll::make_with_gro },
    Candidate { name: "io_uring, a connected socket each", flush: FULL, make: connected::make },
    Candidate { name: "io_uring, flushed at 128 KiB", flush: 128 << 10, make: uring::make },
    Candidate { name: "io_uring, flushed at 64 KiB", flush: 64 << 10, make: uring::make },
    Candidate { name: "io_uring, flushed at 16 KiB", flush: 16 << 10, make: uring::make },
];
/// When the arena is full.
const FULL: usize = usize::MAX;

const TRAFFIC: [Traffic; 3] = [
    Traffic { name: "light: 300 packets/s in bursts of 8", bursts: 38, packets: 8, bytes: 1150 },
    Traffic { name: "heavy: 2,400 packets/s in bursts of 8", bursts: 300, packets: 8, bytes: 1150 },
    Traffic { name: "audio: 1,000 packets/s one by one", bursts: 1000, packets: 1, bytes: 150 },
];

fn main() {
    let mut arguments = std::env::args().skip(1);
    let (Some(date), Some(commit), Some(file)) = (arguments.next(), arguments.next(), arguments.next()) else {
        eprintln!("usage: loops DATE COMMIT RECORD (perf/run.sh knows them)");
        std::process::exit(2);
    };
    if let Err(error) = run(&date, &commit, &file) {
        eprintln!("loops: {error}");
        std::process::exit(1);
    }
}

fn run(date: &str, commit: &str, file: &str) -> io::Result<()> {
    let mut rows = Vec::new();
    for traffic in &TRAFFIC {
        let mut samples: Vec<Vec<Sample>> = CANDIDATES.iter().map(|_| Vec::new()).collect();
        for _ in 0..ROUNDS {
            for (candidate, samples) in CANDIDATES.iter().zip(&mut samples) {
                samples.push(sample(candidate, traffic)?);
            }
        }
        let first: Vec<f64> = samples[0].iter().map(|sample| sample.nanos).collect();
        for (candidate, samples) in CANDIDATES.iter().zip(&samples) {
            let mut row = Row::new(&[("traffic", traffic.name), ("loop", candidate.name)]);
            let nanos = samples.iter().map(|sample| sample.nanos);
            row.figure("ns/datagram", 0, true, nanos.clone());
            row.figure("ratio to the first", 2, true, nanos.zip(&first).map(|(nanos, first)| nanos / first));
            row.figure("received/turn", 2, false, samples.iter().map(|sample| sample.per_turn));
            row.figure("lost %", 2, false, samples.iter().map(|sample| sample.lost));
            rows.push(row);
        }
    }
    let method = serde_json::json!({
        "clock": "CPU time of the loop's thread, divided by what it sent",
        "order": "every loop once, five times over; medians",
        "sample_ms": SAMPLE.as_millis(),
        "receivers": RECEIVERS,
        "work": "one copy of each packet for each receiver, without a cipher",
    });
    record::print(&rows);
    record::write(file, &About { question: "loops", date, commit, method }, &rows)?;
    println!("written to {file}");
    Ok(())
}

/// What one sample found.
struct Sample {
    /// CPU time per datagram sent.
    nanos: f64,
    per_turn: f64,
    /// Of a hundred datagrams sent, how many did not arrive.
    lost: f64,
}

fn sample(candidate: &Candidate, traffic: &Traffic) -> io::Result<Sample> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    let mut driver = Driver::new(socket.local_addr()?, *traffic, RECEIVERS)?;
    let mut work = Work::new(driver.receivers()?, candidate.flush);
    let over = AtomicBool::new(false);
    let (nanos, turns) = thread::scope(|scope| {
        let server = scope.spawn(|| -> io::Result<(u64, u64)> {
            driver::pin(0);
            let mut candidate = (candidate.make)(socket, &work)?;
            let mut turns = 0;
            let start = cpu::thread_ns();
            while !over.load(Ordering::Relaxed) {
                candidate.turn(&mut work)?;
                turns += 1;
            }
            Ok((cpu::thread_ns() - start, turns))
        });
        driver.run(SAMPLE);
        over.store(true, Ordering::Relaxed);
        server.join().expect("a loop does not panic")
    })?;
    let sent = work.sent.max(1) as f64;
    Ok(Sample {
        nanos: nanos as f64 / sent,
        per_turn: work.received as f64 / turns as f64,
        lost: (1.0 - driver.received as f64 / sent) * 100.0,
    })
}
