//! Two thousand sessions with ten thousand handles, each on a socket of its own: keep-alives stay quick, five hundred
//! sockets that break at once leave nothing behind, and the second time costs no memory.

use crate::alone;
use crate::call::Host;
use crate::client::Client;
use crate::clock::wait_for;
use crate::server::Server;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const SESSIONS: usize = 2000;
const HANDLES: usize = 5;
/// Sockets that break together.
const BROKEN: usize = 500;
/// Sessions of one room: of each room one breaks, and the others hear of it.
const COMPANY: usize = SESSIONS / BROKEN;
/// How long the server may take to forget who has broken off: without a time to reclaim it is at once, and the rest is
/// for a busy machine.
const FORGOTTEN: Duration = Duration::from_secs(20);
/// What the second round may add to the memory of the first.
const GROWTH_KIB_MAX: u64 = 4096;

fn count(number: usize) -> u64 {
    u64::try_from(number).expect("a count")
}

/// Descriptors for all of them: the soft limit is often 1024.
fn raise_descriptors() {
    // SAFETY: plain numbers in and out of a struct of this frame.
    let granted = unsafe {
        let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit);
        limit.rlim_cur = limit.rlim_max;
        libc::setrlimit(libc::RLIMIT_NOFILE, &limit);
        limit.rlim_cur
    };
    assert!(granted > count(SESSIONS) + 500, "{granted} descriptors are too few");
}

/// Somebody with all of his handles in a room.
fn arrive(server: &Server, number: usize) -> Client {
    let mut client = Client::connect(server.signalling);
    for _ in 0..HANDLES {
        let handle = client.attach();
        let join = json!({ "request": "join", "ptype": "publisher", "room": 10_000 + number / COMPANY });
        let joined = client.message(handle, join);
        assert_eq!(joined["videoroom"], "joined", "{joined}");
    }
    client
}

/// How long the answer to a keep-alive takes: in the middle, at the 99th percentile, at most.
fn keep_alive(clients: &mut [Client]) -> [Duration; 3] {
    let mut times: Vec<Duration> = clients
        .iter_mut()
        .map(|client| {
            let since = Instant::now();
            client.keep_alive();
            since.elapsed()
        })
        .collect();
    times.sort();
    [times.len() / 2, times.len() * 99 / 100, times.len() - 1].map(|at| times[at])
}

fn round(server: &Server) {
    let before = server.health().gauges();
    let since = Instant::now();
    let mut clients: Vec<Client> = (0..SESSIONS).map(|number| arrive(server, number)).collect();
    println!("{SESSIONS} sessions and {} handles after {:?}", SESSIONS * HANDLES, since.elapsed());
    let held = |sessions: usize| {
        let gauges = server.health().gauges();
        let holds = |name: &str, number: usize| gauges[name] == before[name] + count(number);
        holds("sessions", sessions) && holds("handles", sessions * HANDLES)
    };
    assert!(held(SESSIONS));
    println!("keep-alives: {:?}", keep_alive(&mut clients));

    let since = Instant::now();
    // One of each room.
    let mut number = 0;
    clients.retain(|_| {
        number += 1;
        number % COMPANY != 0
    });
    assert_eq!(clients.len(), SESSIONS - BROKEN);
    println!("keep-alives while {BROKEN} are forgotten: {:?}", keep_alive(&mut clients));
    let done = || held(SESSIONS - BROKEN).then_some(());
    wait_for(FORGOTTEN, "an end of those who broke off", done);
    println!("{BROKEN} sockets and {} handles forgotten after {:?}", BROKEN * HANDLES, since.elapsed());
    // Their companions were told, all of their handles of all of theirs.
    let leaving = |event: &Value| event["plugindata"]["data"].get("leaving").is_some();
    for at in [0, SESSIONS - BROKEN - 1] {
        let mut told = 0;
        wait_for(FORGOTTEN, "the news of all who left", || {
            told += clients[at].events().iter().filter(|event| leaving(event)).count();
            (told >= HANDLES * HANDLES).then_some(())
        });
        assert_eq!(told, HANDLES * HANDLES);
    }

    let since = Instant::now();
    drop(clients);
    wait_for(FORGOTTEN, "an end of all", || held(0).then_some(()));
    println!("all forgotten after {:?}", since.elapsed());
    server.wait_for_gauges(&before);
}

#[test]
fn ten_thousand_handles_stay_quick_and_leave_nothing_behind() {
    let _alone = alone();
    raise_descriptors();
    // However slow the machine is, nobody is taken for gone while the others arrive.
    let mut server = Server::start(31_900, 2, &["--session-timeout", "3600", "--ping-interval", "0"]);
    let mut host = Host::new(&server);
    for room in 0..BROKEN {
        host.create(10_000 + count(room));
    }
    let start = server.resident_kib();
    round(&server);
    let first = server.resident_kib();
    host.client.keep_alive();
    round(&server);
    let second = server.resident_kib();
    println!("resident: {start} KiB, {first} after the first round, {second} after the second");
    assert!(second <= first + GROWTH_KIB_MAX, "{first} KiB after the first round, {second} after the second");
    server.is_well();
}
