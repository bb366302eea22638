//! The program as a child process: started on free ports, asked for its health, ended by its own id.

use crate::clock::wait_for;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::{self, DirEntry};
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// A running server. Dropped, it is killed.
pub struct Server {
    child: Child,
    /// Where clients connect.
    pub signalling: SocketAddr,
    /// The address of media.
    pub media: IpAddr,
    said: Arc<Mutex<String>>,
}

impl Server {
    /// Starts on loopback with `shards` media shards and further arguments, and waits until clients may come. `ports`
    /// is where the search for free media ports begins: each scenario has a range of its own.
    pub fn start(ports: u16, shards: u16, more: &[&str]) -> Server {
        Server::start_at(LOOPBACK, ports, shards, more)
    }

    /// The same with another media address. The child lives in the network namespace of this thread.
    pub fn start_at(media: IpAddr, ports: u16, shards: u16, more: &[&str]) -> Server {
        let signalling = TcpListener::bind((LOOPBACK, 0)).and_then(|free| free.local_addr()).expect("a free port");
        let is_free = |port: u16| UdpSocket::bind((media, port)).is_ok();
        let base = (ports..ports + 100).step_by(usize::from(shards));
        let base = base.into_iter().find(|&base| (base..base + shards).all(is_free)).expect("free media ports");
        let mut child = Command::new(env!("CARGO_BIN_EXE_portunus"))
            .args(["--listen", &signalling.to_string(), "--media-ip", &media.to_string()])
            .args(["--media-port", &base.to_string(), "--shards", &shards.to_string()])
            .args(if more.contains(&"--log") { &[][..] } else { &["--log", "warn"] })
            .args(more)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let said = Arc::new(Mutex::new(String::new()));
        let (mut stderr, keep) = (child.stderr.take().expect("piped"), said.clone());
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = stderr.read(&mut bytes) {
                keep.lock().unwrap().push_str(&String::from_utf8_lossy(&bytes[..count]));
            }
        });
        let mut server = Server { child, signalling, media, said };
        wait_for(Duration::from_secs(15), "a server that listens", || {
            assert_eq!(server.child.try_wait().expect("a child"), None, "the server did not start");
            TcpStream::connect(signalling).ok()
        });
        server
    }

    /// What `/healthz` says.
    pub fn health(&self) -> Health {
        let mut stream = TcpStream::connect(self.signalling).expect("the server accepts");
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("an answer in time");
        let (_, body) = text.split_once("\r\n\r\n").expect("a header and a body");
        Health(serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {text}")))
    }

    /// Waits until these gauges are as they were.
    pub fn wait_for_gauges(&self, gauges: &BTreeMap<String, u64>) {
        let mut last = BTreeMap::new();
        for _ in 0..100 {
            last = self.health().every_gauge();
            last.retain(|name, _| gauges.contains_key(name));
            if last == *gauges {
                return;
            }
            thread::sleep(Duration::from_millis(50));
        }
        panic!("the gauges did not come back:\n{last:?}, before\n{gauges:?}");
    }

    /// Resident memory in KiB.
    pub fn resident_kib(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a process has memory");
        line.split_whitespace().next().and_then(|number| number.parse().ok()).expect("a number")
    }

    /// What the open descriptors are, sorted, once that has not changed for a second: connections that have ended take
    /// a moment to be closed.
    pub fn descriptors(&self) -> Vec<String> {
        let kind = |entry: io::Result<DirEntry>| {
            let target = entry.and_then(|entry| fs::read_link(entry.path())).ok()?;
            // Numbers tell nothing of what it is.
            Some(target.to_string_lossy().split('[').next().unwrap_or_default().to_owned())
        };
        let look = || {
            let all = fs::read_dir(format!("/proc/{}/fd", self.child.id())).expect("it runs");
            let mut kinds: Vec<_> = all.filter_map(kind).collect();
            kinds.sort();
            kinds
        };
        let (mut last, mut since) = (look(), Instant::now());
        wait_for(Duration::from_secs(10), "descriptors that stay", || {
            let now = look();
            if now != last {
                (last, since) = (now, Instant::now());
            }
            (since.elapsed() > Duration::from_secs(1)).then(|| last.clone())
        })
    }

    /// Asks it to end in good order.
    pub fn terminate(&self) {
        let pid = libc::pid_t::try_from(self.child.id()).unwrap();
        // SAFETY: a signal to a child that has not been waited for, so that the id is its own.
        assert_eq!(unsafe { libc::kill(pid, libc::SIGTERM) }, 0);
    }

    /// What it has logged.
    pub fn said(&self) -> String {
        self.said.lock().unwrap().clone()
    }

    /// How it ended, if it did within this time.
    pub fn ended(&mut self, within: Duration) -> ExitStatus {
        wait_for(within, "the end of the server", || self.child.try_wait().expect("a child"))
    }

    /// Asserts that it runs and has not complained of itself.
    pub fn is_well(&mut self) {
        assert_eq!(self.child.try_wait().expect("a child"), None, "the server has ended");
        assert_eq!(self.health().status(), "ok");
        let said = self.said.lock().unwrap();
        assert!(!said.contains("panicked"), "{said}");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            eprintln!("the server said:\n{}", self.said.lock().unwrap());
        }
    }
}

/// One answer of `/healthz`.
pub struct Health(Value);

impl Health {
    /// `ok`, `degraded` or `draining`.
    pub fn status(&self) -> &str {
        self.0["status"].as_str().unwrap_or_default()
    }

    /// A counter of all media shards together.
    pub fn counter(&self, name: &str) -> u64 {
        self.sum("counters", name)
    }

    /// The drops of a reason, of all media shards together.
    pub fn drops(&self, name: &str) -> u64 {
        self.sum("drops", name)
    }

    /// The same for a reason that may be one of signalling.
    pub fn drops_or_zero(&self, name: &str) -> u64 {
        self.all_drops().get(name).copied().unwrap_or_default()
    }

    /// The drops of a reason in signalling.
    pub fn refused(&self, name: &str) -> u64 {
        self.0["signalling"]["drops"][name].as_u64().unwrap_or_else(|| panic!("no drop is called {name}"))
    }

    /// A gauge of each media shard.
    pub fn by_shard(&self, name: &str) -> Vec<u64> {
        self.shards().iter().map(|shard| shard["gauges"][name].as_u64().expect("a gauge")).collect()
    }

    /// The drops that are not zero, for messages.
    pub fn all_drops(&self) -> BTreeMap<String, u64> {
        self.all("drops").into_iter().filter(|(_, count)| *count > 0).collect()
    }

    /// Every gauge.
    pub fn every_gauge(&self) -> BTreeMap<String, u64> {
        self.all("gauges")
    }

    /// A counter of signalling.
    pub fn signalled(&self, name: &str) -> u64 {
        self.0["signalling"]["counters"][name].as_u64().unwrap_or_else(|| panic!("nothing is called {name}"))
    }

    /// Every gauge, without those of rooms: rooms stay when everybody has left.
    pub fn gauges(&self) -> BTreeMap<String, u64> {
        let mut all = self.every_gauge();
        all.retain(|name, _| !name.ends_with("rooms"));
        all
    }

    fn all(&self, kind: &str) -> BTreeMap<String, u64> {
        let mut all = BTreeMap::new();
        for part in self.shards().iter().chain([&self.0["signalling"]]) {
            for (name, count) in part[kind].as_object().expect("counts by name") {
                *all.entry(name.clone()).or_default() += count.as_u64().unwrap();
            }
        }
        all
    }

    fn sum(&self, kind: &str, name: &str) -> u64 {
        let one = |shard: &Value| shard[kind][name].as_u64().unwrap_or_else(|| panic!("nothing is called {name}"));
        self.shards().iter().map(one).sum()
    }

    fn shards(&self) -> &[Value] {
        self.0["shards"].as_array().expect("the shards report")
    }
}
