//! Servers under test as child processes: ours and Debian's Janus, each confined to the same CPU, each gone when we are.
//! They live in a network namespace of their own where we may make one, because Janus ignores loopback addresses.

use crate::process::{die_with_parent, pin};
use serde_json::Value;
use std::fs;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// The address of the namespace's other interface: not loopback by name, and the kernel routes it as loopback.
const INSIDE: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 77, 9, 1));
const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const JANUS: &str = "/usr/bin/janus";

/// Where servers and peers meet.
#[derive(Clone, Copy)]
pub struct Network {
    /// The address of media.
    pub ip: IpAddr,
    /// It is a namespace of ours, so that Janus can be there and no port is taken.
    pub own: bool,
}

impl Network {
    /// Moves this process into a new network namespace if it may, else stays on loopback.
    pub fn enter() -> Network {
        // SAFETY: no pointer is passed; there is one thread.
        let moved = unsafe { libc::unshare(libc::CLONE_NEWNET) } == 0;
        let commands = [
            "ip link set lo up",
            "ip link add near type veth peer name far",
            &format!("ip address add {INSIDE}/32 dev near"),
            "ip link set near up",
            "ip link set far up",
        ];
        if moved && commands.iter().all(|command| run(command)) {
            return Network { ip: INSIDE, own: true };
        }
        eprintln!("no network namespace may be made here: on loopback, and without Janus");
        Network { ip: LOOPBACK, own: false }
    }
}

fn run(command: &str) -> bool {
    let mut words = command.split(' ');
    let program = words.next().expect("a command has a word");
    Command::new(program).args(words).status().is_ok_and(|status| status.success())
}

/// A running server. Dropped, it is killed.
pub struct Server {
    child: Child,
    /// What rows call it.
    pub name: &'static str,
    /// Where clients connect.
    pub signalling: SocketAddr,
    /// Least microseconds between its turns, when it is ours: then it counts its own messages and turns, too.
    pub coalesce_us: Option<u32>,
    configuration: Option<PathBuf>,
}

impl Server {
    /// Our own, with as many media shards, all on one CPU, with so many microseconds between turns at least.
    pub fn portunus(
        program: &str,
        network: Network,
        cpu: usize,
        shards: usize,
        coalesce_us: u32,
    ) -> io::Result<Server> {
        // Ports of its own: the kernel closes the sockets of a ring some time after its process is gone.
        static STARTED: AtomicU16 = AtomicU16::new(0);
        let started = STARTED.fetch_add(1, Ordering::Relaxed);
        let signalling = SocketAddr::new(LOOPBACK, 28_188 + started);
        let mut command = Command::new(program);
        command
            .args(["--listen", &signalling.to_string(), "--media-ip", &network.ip.to_string()])
            .args(["--media-port", &(24_000 + 64 * started).to_string(), "--shards", &shards.to_string()])
            .args(["--cpus", &cpu.to_string(), "--coalesce", &coalesce_us.to_string(), "--log", "warn"]);
        Server::start("portunus", command, cpu, signalling, None, Some(coalesce_us))
    }

    /// Debian's, with its defaults where they do not matter to VideoRoom; none when it is not installed.
    pub fn janus(network: Network, cpu: usize) -> io::Result<Option<Server>> {
        if !network.own || !fs::exists(JANUS)? {
            return Ok(None);
        }
        let folder = std::env::temp_dir().join(format!("portunus-perf-{}", std::process::id()));
        fs::create_dir_all(&folder)?;
        let libraries = "/usr/lib/x86_64-linux-gnu/janus";
        let all_but = |kind: &str, kept: &str| {
            let entries = fs::read_dir(format!("{libraries}/{kind}")).into_iter().flatten().flatten();
            let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
            names.filter(|name| name.ends_with(".so") && name != kept).collect::<Vec<_>>().join(",")
        };
        let core = format!(
            "general: {{\n configs_folder = \"{folder}\"\n plugins_folder = \"{libraries}/plugins\"\n \
             transports_folder = \"{libraries}/transports\"\n events_folder = \"{folder}\"\n \
             loggers_folder = \"{folder}\"\n debug_level = 2\n}}\nnat: {{ mdns_enabled = false }}\n\
             plugins: {{ disable = \"{}\" }}\ntransports: {{ disable = \"{}\" }}\n",
            all_but("plugins", "libjanus_videoroom.so"),
            all_but("transports", "libjanus_websockets.so"),
            folder = folder.display(),
        );
        fs::write(folder.join("janus.jcfg"), core)?;
        let transport = "general: {\n json = \"compact\"\n ws = true\n ws_port = 18188\n ws_ip = \"127.0.0.1\"\n}\n";
        fs::write(folder.join("janus.transport.websockets.jcfg"), transport)?;
        fs::write(folder.join("janus.plugin.videoroom.jcfg"), "general: { }\n")?;
        let mut command = Command::new(JANUS);
        command.arg("-F").arg(&folder).arg("-C").arg(folder.join("janus.jcfg"));
        let signalling = SocketAddr::new(LOOPBACK, 18_188);
        Server::start("janus", command, cpu, signalling, Some(folder), None).map(Some)
    }

    fn start(
        name: &'static str,
        mut command: Command,
        cpu: usize,
        signalling: SocketAddr,
        configuration: Option<PathBuf>,
        coalesce_us: Option<u32>,
    ) -> io::Result<Server> {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::inherit());
        // SAFETY: both calls are system calls, which may be made between fork and exec.
        unsafe { command.pre_exec(move || die_with_parent().and_then(|()| pin(cpu))) };
        let child =
            command.spawn().map_err(|error| io::Error::other(format!("{:?}: {error}", command.get_program())))?;
        let mut server = Server { child, name, signalling, coalesce_us, configuration };
        let end = Instant::now() + Duration::from_secs(15);
        while TcpStream::connect(signalling).is_err() {
            if let Some(status) = server.child.try_wait()? {
                return Err(io::Error::other(format!("{name} did not start: {status}")));
            }
            if Instant::now() > end {
                return Err(io::Error::other(format!("{name} does not listen")));
            }
            thread::sleep(Duration::from_millis(10));
        }
        Ok(server)
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it says of itself.
    pub fn health(&self) -> Health {
        if self.coalesce_us.is_none() {
            return Health(Value::Null);
        }
        let asked = || -> io::Result<Value> {
            let mut stream = TcpStream::connect(self.signalling)?;
            stream.set_read_timeout(Some(Duration::from_secs(5)))?;
            stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")?;
            let mut text = String::new();
            stream.read_to_string(&mut text)?;
            Ok(serde_json::from_str(text.split_once("\r\n\r\n").unwrap_or_default().1)?)
        };
        Health(asked().unwrap_or(Value::Null))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(folder) = &self.configuration {
            let _ = fs::remove_dir_all(folder);
        }
    }
}

/// What `/healthz` of our own server says; nothing of others.
pub struct Health(Value);

impl Health {
    /// A counter of all media shards together; 0 where there is none of that name.
    pub fn counter(&self, name: &str) -> u64 {
        let shards = self.0["shards"].as_array().map(Vec::as_slice).unwrap_or_default();
        shards.iter().filter_map(|shard| shard["counters"][name].as_u64()).sum()
    }

    /// How many shards have counted something under this name.
    pub fn shards_with(&self, name: &str) -> usize {
        let shards = self.0["shards"].as_array().map(Vec::as_slice).unwrap_or_default();
        shards.iter().filter(|shard| shard["counters"][name].as_u64().is_some_and(|count| count > 0)).count()
    }

    /// Drops by name that have grown since an earlier look.
    pub fn drops_since(&self, earlier: &Health) -> Vec<(String, u64)> {
        let all = |health: &Health| {
            let shards = health.0["shards"].as_array().cloned().unwrap_or_default();
            let mut all = std::collections::BTreeMap::<String, u64>::new();
            for (name, count) in shards.iter().filter_map(|shard| shard["drops"].as_object()).flatten() {
                *all.entry(name.clone()).or_default() += count.as_u64().unwrap_or(0);
            }
            all
        };
        let before = all(earlier);
        let grown = |(name, count): (String, u64)| {
            let more = count - before.get(&name).copied().unwrap_or(0).min(count);
            (more > 0).then_some((name, more))
        };
        all(self).into_iter().filter_map(grown).collect()
    }
}
