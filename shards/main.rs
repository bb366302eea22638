//! The program: reads the configuration, binds, pins and starts the shards, and waits for the signal to end.

mod affinity;
mod banner;
mod capture;
mod certificate;
mod clock;
mod config;
mod doorbell;
mod events;
mod fault;
mod headroom;
mod heap;
mod import;
mod inbox;
mod interface;
mod log;
mod mailbox;
mod media;
mod ring;
mod rlimit;
mod signalling;
mod socket;
mod stun;
mod tcp;
mod udp;

use clock::Clock;
use config::Config;
use config::command_line::{self, Task};
use fault::StartError;
use portunus::control::capture::CaptureFolder;
use portunus::control::observation::Watch;
use portunus::id::{ShardId, SignallingId};
use portunus::limits::REPLY_BYTES_MAX;
use portunus::media::engine::MediaConfig;
use portunus::proto::dtls::{Certificate, Context};
use portunus::proto::srtp::Profile;
use portunus::signalling::SignallingConfig;
use portunus::wire::janus::events::Kind;
use rlimit::{Descriptors, Resource};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use socket2::Socket;
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// Connections at a time; fewer when the process may not have as many descriptors.
const CONNECTIONS_MAX: usize = 10_000;
/// Sessions at once, and handles of each: a client has one session and a handle or two per room it is in.
const SESSIONS_MAX: usize = 65_536;
const HANDLES_MAX: usize = 1024;
/// What the signalling executor asks for.
const LOCKED_MEMORY_MIN: u64 = 512 << 10;
/// Events that are left at the end are given this long.
const DELIVERED_WITHIN: Duration = Duration::from_secs(2);
/// The exit code of a process that SIGINT ended.
const INTERRUPTED: i32 = 128 + SIGINT;

static PAGE: &[u8] = include_bytes!("page.html");

fn main() -> ExitCode {
    let outcome = command_line::load().and_then(|task| match task {
        Task::Show(settings) => {
            say(&settings);
            Ok(())
        }
        Task::Check(config, stun) => check(&config, stun.as_deref()),
        Task::Serve(config) => serve(*config),
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("portunus: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The settings as they take effect; what else there is to say stands behind them in comments, so that all is TOML.
fn check(config: &Config, stun: Option<&str>) -> Result<(), StartError> {
    say(&config.to_string());
    let files = Descriptors::new(rlimit::raise(Resource::Files), config, CONNECTIONS_MAX);
    let refused = if files.suffice() { "" } else { "; portunus would not start here" };
    say(&format!("\n# {files}{refused}\n"));
    config.notes.iter().for_each(|note| say(&format!("# {note}\n")));
    if let Some(server) = stun {
        say(&stun::ask(server, config).map_err(StartError::Stun)?);
    }
    Ok(())
}

fn serve(config: Config) -> Result<(), StartError> {
    heap::settle();
    let log = log::Log::begin(&config.log);
    ring::require()?;
    let locked_memory = rlimit::raise(Resource::LockedMemory);
    if locked_memory < LOCKED_MEMORY_MIN {
        return Err(StartError::LockedMemory(locked_memory));
    }
    let files = Descriptors::new(rlimit::raise(Resource::Files), &config, CONNECTIONS_MAX);
    if !files.suffice() {
        return Err(StartError::Files(files));
    }
    if files.connections < CONNECTIONS_MAX {
        tracing::warn!("{files}");
    }
    config.notes.iter().for_each(|note| tracing::warn!("{note}"));
    let mut signals = Signals::new([SIGTERM, SIGINT]).map_err(StartError::Thread)?;

    let clock = Clock::start();
    let certificate =
        Certificate::generate(clock.read().now, config.dtls_certificate).map_err(StartError::Certificate)?;
    let dtls = Context::new(&certificate, &profile_names(&config.srtp_profiles)).map_err(StartError::Certificate)?;
    let tls = certificate::load(&config, clock.read().now)?;
    let shards = u8::try_from(config.plan.media.len()).expect("a plan has at most 255");
    let signalling_shards = u8::try_from(config.plan.signalling.len()).expect("a plan has at most 255");
    let (signalling_ends, media_posts) = mailbox::mesh(signalling_shards, shards).map_err(StartError::Thread)?;
    let mut bound: Vec<Vec<Socket>> = signalling_ends.iter().map(|_| Vec::new()).collect();
    for at in &config.listen {
        let sockets = tcp::bind(*at, signalling_shards).map_err(|error| StartError::Listen(*at, error))?;
        bound.iter_mut().zip(sockets).for_each(|(bound, socket)| bound.push(socket));
    }
    let mut bound_for_operators: Vec<Vec<Socket>> = signalling_ends.iter().map(|_| Vec::new()).collect();
    for at in &config.admin_listen {
        let sockets = tcp::bind(*at, signalling_shards).map_err(|error| StartError::Listen(*at, error))?;
        bound_for_operators.iter_mut().zip(sockets).for_each(|(bound, socket)| bound.push(socket));
    }
    let addresses = |bound: &[Socket]| -> Vec<_> {
        bound.iter().filter_map(|socket| socket.local_addr().ok()?.as_socket()).collect()
    };
    let (listening, operators) = (addresses(&bound[0]), addresses(&bound_for_operators[0]));

    let mask = config.handlers.mask();
    let (handlers, stats_period) = (config.handlers.packages(), config.handlers.stats_period);
    let local_ips: Vec<_> = config.media.iter().map(|at| at.ip).collect();
    let mut advertised = Vec::new();
    let mut parts = Vec::new();
    for (shard, (post, &cpu)) in (0..shards).zip(media_posts.into_iter().zip(&config.plan.media)) {
        let mut sockets = socket::bind(&config.media, config.media_port + u16::from(shard), config.dscp)?;
        if shard == 0 {
            socket::warn_of_small_buffers(&sockets.sockets[0]);
        }
        advertised.push(config.advertised(&sockets.addresses));
        let first = config.remote_port + config.remote_ports * u16::from(shard);
        let remote_ports: Vec<u16> = (first..=u16::MAX).take(config.remote_ports.into()).collect();
        sockets.sockets.extend(socket::bind_everywhere(&remote_ports, config.dscp)?);
        let watch = Watch {
            rooms: mask.wants(Kind::Plugin),
            peers: mask.wants(Kind::WebRtc),
            statistics: if mask.wants(Kind::Media) { config.handlers.stats_period } else { Duration::ZERO },
            sockets: sockets.addresses.clone(),
        };
        let engine = MediaConfig {
            shard: ShardId(shard),
            shards,
            signalling_shards,
            sockets: sockets.addresses.clone(),
            remote_ports,
            advertised: advertised[usize::from(shard)].clone(),
            handshakes: Box::new(dtls.clone()),
            peer_timeout: config.peer_timeout,
            slowlink_threshold: config.slowlink_threshold,
            watch,
            seed: seed()?,
            now: clock.read().now,
        };
        parts.push(media::MediaParts { cpu, clock, coalesce: config.coalesce, config: engine, sockets, post });
    }
    let clerks = config.rooms_file.map(|(path, file)| file.serve(path, signalling_shards)).transpose();
    let mut clerks = clerks.map_err(StartError::Thread)?.map(Vec::into_iter);
    let folder = |root| Arc::new(capture::Folder::new(root)) as Arc<dyn CaptureFolder>;
    let capture_folder = config.capture_folder.map(folder);
    // Everything is bound before the first thread runs.
    for parts in parts {
        media::spawn(parts).map_err(StartError::Thread)?;
    }

    let cpu = *config.plan.signalling.last().expect("a plan has a signalling shard");
    let (events, deliveries) = events::start(config.handlers, cpu).map_err(StartError::Thread)?;
    // The shard that makes the configured rooms listens first, then the others.
    let (next, turns): (Vec<_>, Vec<_>) = (1..signalling_shards).map(|_| async_channel::bounded(1)).unzip();
    let (mut next, mut turns) = (Some(next), turns.into_iter());
    let mut banner = Some(banner::compose(&listening, &operators, tls.is_some(), &advertised, &config.plan));
    let mut rooms = config.rooms;
    let running = Arc::new(AtomicU8::new(signalling_shards));
    let (mut drains, mut signalling) = (Vec::new(), Vec::new());
    let bound = bound.into_iter().zip(bound_for_operators);
    let each = (0..signalling_shards).zip(signalling_ends).zip(bound).zip(&config.plan.signalling);
    for (((signal, end), (bound, bound_for_operators)), &cpu) in each {
        let (drain, drained) = async_channel::bounded(1);
        drains.push(drain);
        let parts = signalling::SignallingParts {
            cpu,
            clock,
            bound,
            bound_for_operators,
            log: log.clone(),
            end,
            turn: if signal == 0 { None } else { turns.next() },
            next: next.take().unwrap_or_default(),
            drain: drained,
            banner: banner.take(),
            events: events.clone(),
            clerk: clerks.as_mut().and_then(Iterator::next),
            config: SignallingConfig {
                id: SignallingId(signal),
                signalling_shards,
                shards,
                tls: tls.clone(),
                session_timeout: config.session_timeout,
                reclaim_session_timeout: config.reclaim_session_timeout,
                ping_interval: config.ping_interval,
                allow_origin: config.allow_origin.clone(),
                enforce_cors: config.enforce_cors,
                api_secret: config.api_secret.clone(),
                token_auth: config.token_auth,
                token_auth_secret: config.token_auth_secret.clone(),
                admin_secret: config.admin_secret.clone(),
                admin_apart: !config.admin_listen.is_empty(),
                admin_allow: config.admin_allow.clone(),
                log_level: log::level(&config.log),
                log_colors: log::has_colours(),
                slowlink_threshold: config.slowlink_threshold,
                admin_key: config.admin_key.clone(),
                events: mask,
                handlers: handlers.clone(),
                stats_period,
                local_ips: local_ips.clone(),
                public_ips: config.public_ip.clone(),
                lock_rtp_forward: config.lock_rtp_forward,
                targets: config.targets.clone(),
                server_name: config.server_name.clone(),
                string_ids: config.string_ids,
                rooms: std::mem::take(&mut rooms),
                rooms_file: clerks.is_some(),
                capture_folder: capture_folder.clone(),
                page: PAGE,
                connections_max: files.connections / usize::from(signalling_shards),
                sessions_max: SESSIONS_MAX / usize::from(signalling_shards),
                handles_max: HANDLES_MAX,
                outbox_bytes: signalling::OUTBOX_BYTES,
                reply_bytes: REPLY_BYTES_MAX,
                seed: seed()?,
            },
        };
        let (end, running) = (signals.handle(), running.clone());
        let ended = move |well: bool| {
            if running.fetch_sub(1, Ordering::Relaxed) == 1 || !well {
                end.close();
            }
        };
        signalling.push(signalling::spawn(parts, ended).map_err(StartError::Thread)?);
    }

    let mut interrupted = false;
    for signal in signals.forever() {
        if signal == SIGINT && std::mem::replace(&mut interrupted, true) {
            std::process::exit(INTERRUPTED);
        }
        tracing::info!("draining; a second SIGINT stops at once");
        ask(&drains, signal);
    }
    ask(&drains, SIGTERM); // one that has failed takes the others with it
    let join = |shard: JoinHandle<_>| {
        shard.join().unwrap_or_else(|_| fault::fatal(format_args!("a signalling shard is gone")))
    };
    let outcomes: Vec<Result<(), StartError>> = signalling.into_iter().map(join).collect();
    deliveries.finish(DELIVERED_WITHIN);
    outcomes.into_iter().collect()
}

fn ask(drains: &[async_channel::Sender<i32>], signal: i32) {
    for drain in drains {
        // Full means that the drain has been asked for already, closed that it is over.
        let _ = drain.try_send(signal);
    }
}

/// Prints to whoever listens; nobody need.
fn say(text: &str) {
    let _ = io::stdout().write_all(text.as_bytes());
    let _ = io::stdout().flush();
}

/// The list as the DTLS library reads it, the preferred first.
fn profile_names(profiles: &[Profile]) -> String {
    profiles.iter().map(|profile| profile.openssl_name()).collect::<Vec<_>>().join(":")
}

fn seed() -> Result<[u8; 32], StartError> {
    let mut seed = [0; 32];
    aws_lc_rs::rand::fill(&mut seed).map_err(|_| StartError::Randomness)?;
    Ok(seed)
}
