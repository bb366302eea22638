//! What the operator says, in four layers: a flag beats an environment variable (`PORTUNUS_*`), that beats the file,
//! that beats the default. One list of settings serves all layers; every one of them is read by somebody.

use crate::affinity::{self, CpuList, Plan};
use crate::interface;
use crate::rooms::RoomTable;
use crate::socket::MediaAddress;
use clap::{Args, Parser, Subcommand};
use portunus::proto::srtp::Profile;
use portunus::room::spec::RoomSpec;
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fmt, fs, io};
use tracing_subscriber::EnvFilter;

/// Media addresses: each takes a socket and receive buffers on every shard, and their completions one queue of the
/// kernel, which holds 65,536.
const MEDIA_ADDRESSES_MAX: usize = 32;

/// Signalling shards: each has lanes to all others and to all media shards, and one carries tens of thousands of messages
/// a second.
const SIGNALS_MAX: u8 = 16;

/// A WebRTC media server for Janus clients.
#[derive(Parser)]
#[command(name = "portunus", version, about)]
struct CommandLine {
    /// Settings file (TOML; every setting by its name with underscores, rooms as [[room]])
    #[arg(long, value_name = "FILE", env = "PORTUNUS_CONFIG", global = true)]
    config: Option<PathBuf>,
    #[command(flatten)]
    settings: Settings,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Validates the settings and prints them as they take effect
    Check,
}

/// One layer of settings: what it does not say is none.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// Address of HTTP and WebSocket; repeatable [default: 127.0.0.1:8188]
    #[arg(long, value_name = "ADDR:PORT", env = "PORTUNUS_LISTEN", value_delimiter = ',', global = true)]
    listen: Option<Vec<SocketAddr>>,
    /// Certificate chain of HTTPS and WSS (PEM); all --listen addresses then speak TLS
    #[arg(long, value_name = "FILE", env = "PORTUNUS_TLS_CERT", global = true)]
    tls_cert: Option<PathBuf>,
    /// Private key of --tls-cert (PEM, without a passphrase)
    #[arg(long, value_name = "FILE", env = "PORTUNUS_TLS_KEY", global = true)]
    tls_key: Option<PathBuf>,
    /// Serve TLS with a certificate made at start, which browsers ask about [default: false]
    #[arg(
        long,
        value_name = "BOOL",
        env = "PORTUNUS_TLS_SELF_SIGNED",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        global = true
    )]
    tls_self_signed: Option<bool>,
    /// Address of media, bound and advertised; repeatable [default: those of all interfaces but container bridges]
    #[arg(long, value_name = "IP", env = "PORTUNUS_MEDIA_IP", value_delimiter = ',', global = true)]
    media_ip: Option<Vec<IpAddr>>,
    /// Interface of media (eth*), or with a leading ! one to leave out; repeatable
    #[arg(long, value_name = "NAME", env = "PORTUNUS_MEDIA_INTERFACE", value_delimiter = ',', global = true)]
    media_interface: Option<Vec<String>>,
    /// UDP port of the first media shard; the others follow [default: 20000]
    #[arg(long, value_name = "PORT", env = "PORTUNUS_MEDIA_PORT", global = true)]
    media_port: Option<u16>,
    /// Address to advertise instead of the bound ones of its family (1:1 NAT); repeatable
    #[arg(long, value_name = "IP", env = "PORTUNUS_PUBLIC_IP", value_delimiter = ',', global = true)]
    public_ip: Option<Vec<IpAddr>>,
    /// Media shards [default: allowed CPUs minus one, at least 1]
    #[arg(long, value_name = "N", env = "PORTUNUS_SHARDS", global = true)]
    shards: Option<u8>,
    /// Signalling shards; sessions are spread over them [default: 1]
    #[arg(long, value_name = "N", env = "PORTUNUS_SIGNALS", global = true)]
    signals: Option<u8>,
    /// CPUs to use, such as 0-3,6: the first carry media, the last signalling [default: all allowed]
    #[arg(long, value_name = "LIST", env = "PORTUNUS_CPUS", global = true)]
    cpus: Option<CpuList>,
    /// Secret that every Janus request must carry
    #[arg(long, value_name = "SECRET", env = "PORTUNUS_API_SECRET", hide_env_values = true, global = true)]
    api_secret: Option<String>,
    /// Log filter, such as info or portunus=debug [default: info]
    #[arg(long, value_name = "LEVEL", env = "PORTUNUS_LOG", global = true)]
    log: Option<String>,
    /// Seconds of silence after which a session ends; 0 is never [default: 60]
    #[arg(long, value_name = "SECONDS", env = "PORTUNUS_SESSION_TIMEOUT", global = true)]
    session_timeout: Option<u64>,
    /// Seconds for which the sessions of a lost WebSocket may be claimed; 0 ends them with it [default: 0]
    #[arg(long, value_name = "SECONDS", env = "PORTUNUS_RECLAIM_SESSION_TIMEOUT", global = true)]
    reclaim_session_timeout: Option<u64>,
    /// Seconds between looks at a WebSocket: one without a frame is pinged, two drop it; 0 is never [default: 20]
    #[arg(long, value_name = "SECONDS", env = "PORTUNUS_PING_INTERVAL", global = true)]
    ping_interval: Option<u64>,
    /// Origin whose pages may use the API over HTTP [default: any]
    #[arg(long, value_name = "ORIGIN", env = "PORTUNUS_ALLOW_ORIGIN", global = true)]
    allow_origin: Option<String>,
    /// Refuse requests and WebSockets that name another origin than --allow-origin [default: false]
    #[arg(
        long,
        value_name = "BOOL",
        env = "PORTUNUS_ENFORCE_CORS",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        global = true
    )]
    enforce_cors: Option<bool>,
    /// Name that `info` shows [default: Portunus]
    #[arg(long, value_name = "NAME", env = "PORTUNUS_SERVER_NAME", global = true)]
    server_name: Option<String>,
    /// Room and participant ids are texts instead of numbers [default: false]
    #[arg(
        long,
        value_name = "BOOL",
        env = "PORTUNUS_STRING_IDS",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        global = true
    )]
    string_ids: Option<bool>,
    /// Key that creating a room needs
    #[arg(long, value_name = "KEY", env = "PORTUNUS_ADMIN_KEY", hide_env_values = true, global = true)]
    admin_key: Option<String>,
    /// Seconds without an authenticated check after which a peer is dropped [default: 15]
    #[arg(long, value_name = "SECONDS", env = "PORTUNUS_PEER_TIMEOUT", global = true)]
    peer_timeout: Option<u64>,
    /// Packets of one m-line lost in a second that clients are told of as a slow link; 0 is never [default: 0]
    #[arg(long, value_name = "PACKETS", env = "PORTUNUS_SLOWLINK_THRESHOLD", global = true)]
    slowlink_threshold: Option<u32>,
    /// SRTP profiles, the preferred first [default: AEAD_AES_128_GCM,AES_CM_128_HMAC_SHA1_80,AEAD_AES_256_GCM]
    #[arg(long, value_name = "NAMES", env = "PORTUNUS_SRTP_PROFILES", value_delimiter = ',', global = true)]
    srtp_profiles: Option<Vec<String>>,
    /// Differentiated services code point of media, 1 to 63; 0 leaves it to the system [default: 0]
    #[arg(long, value_name = "DSCP", env = "PORTUNUS_DSCP", global = true)]
    dscp: Option<u8>,
    /// Rooms, in the file only.
    #[arg(skip)]
    room: Option<Vec<RoomTable>>,
}

/// Where the certificate of HTTPS comes from.
pub enum Tls {
    /// PEM files.
    Files {
        /// The chain, ours first.
        certificate: PathBuf,
        /// Our key.
        key: PathBuf,
    },
    /// Made at start.
    SelfSigned,
}

/// The settings as they take effect.
pub struct Config {
    /// Where HTTP and WebSocket are served.
    pub listen: Vec<SocketAddr>,
    /// TLS on all of those; none is plain text.
    pub tls: Option<Tls>,
    /// The media addresses.
    pub media: Vec<MediaAddress>,
    /// The first media port.
    pub media_port: u16,
    /// What stands in for bound addresses in candidates.
    pub public_ip: Vec<IpAddr>,
    /// Which shard runs where.
    pub plan: Plan,
    /// Secret of every request.
    pub api_secret: Option<String>,
    /// Log filter.
    pub log: String,
    /// Session timeout; zero is never.
    pub session_timeout: Duration,
    /// For how long lost sessions may be claimed.
    pub reclaim_session_timeout: Duration,
    /// Silence after which a WebSocket is pinged; zero is never.
    pub ping_interval: Duration,
    /// Whose pages may use the API; none is anybody's.
    pub allow_origin: Option<String>,
    /// Whether others are refused.
    pub enforce_cors: bool,
    /// `info`'s name.
    pub server_name: String,
    /// Ids are texts.
    pub string_ids: bool,
    /// Key of room creation.
    pub admin_key: Option<String>,
    /// Silence that ends a peer.
    pub peer_timeout: Duration,
    /// Losses in a second that make a link slow; 0 is never.
    pub slowlink_threshold: u32,
    /// SRTP profiles in order of preference.
    pub srtp_profiles: Vec<Profile>,
    /// DSCP of media.
    pub dscp: u8,
    /// The rooms to begin with.
    pub rooms: Vec<RoomSpec>,
    /// The same as a file would say it, without secrets.
    shown: Settings,
}

/// What the program is asked to do.
pub enum Task {
    /// Serve.
    Serve(Box<Config>),
    /// Show the settings: this text.
    Show(String),
}

/// What is wrong with the configuration.
#[derive(Debug)]
pub enum ConfigError {
    /// The file cannot be read.
    File(PathBuf, io::Error),
    /// The file is not what it should be; the error names line and key.
    Toml(PathBuf, Box<toml::de::Error>),
    /// A setting has a value that cannot be: its name and a sentence.
    Value(&'static str, String),
    /// The interfaces cannot be listed.
    Interfaces(io::Error),
}

/// Reads the command line, the environment and the file. Wrong flags and `--help` end the program here.
pub fn load() -> Result<Task, ConfigError> {
    let line = CommandLine::parse();
    let file = line.config.as_deref().map(read).transpose()?.unwrap_or_default();
    let config = Config::new(line.settings.or(file))?;
    Ok(match line.command {
        None => Task::Serve(Box::new(config)),
        Some(Command::Check) => Task::Show(config.to_string()),
    })
}

fn read(path: &Path) -> Result<Settings, ConfigError> {
    let text = fs::read_to_string(path).map_err(|error| ConfigError::File(path.to_owned(), error))?;
    toml::from_str(&text).map_err(|error| ConfigError::Toml(path.to_owned(), Box::new(error)))
}

impl Settings {
    /// These, and where they say nothing, those.
    fn or(self, those: Settings) -> Settings {
        Settings {
            listen: self.listen.or(those.listen),
            tls_cert: self.tls_cert.or(those.tls_cert),
            tls_key: self.tls_key.or(those.tls_key),
            tls_self_signed: self.tls_self_signed.or(those.tls_self_signed),
            media_ip: self.media_ip.or(those.media_ip),
            media_interface: self.media_interface.or(those.media_interface),
            media_port: self.media_port.or(those.media_port),
            public_ip: self.public_ip.or(those.public_ip),
            shards: self.shards.or(those.shards),
            signals: self.signals.or(those.signals),
            cpus: self.cpus.or(those.cpus),
            api_secret: self.api_secret.or(those.api_secret),
            log: self.log.or(those.log),
            session_timeout: self.session_timeout.or(those.session_timeout),
            reclaim_session_timeout: self.reclaim_session_timeout.or(those.reclaim_session_timeout),
            ping_interval: self.ping_interval.or(those.ping_interval),
            allow_origin: self.allow_origin.or(those.allow_origin),
            enforce_cors: self.enforce_cors.or(those.enforce_cors),
            server_name: self.server_name.or(those.server_name),
            string_ids: self.string_ids.or(those.string_ids),
            admin_key: self.admin_key.or(those.admin_key),
            peer_timeout: self.peer_timeout.or(those.peer_timeout),
            slowlink_threshold: self.slowlink_threshold.or(those.slowlink_threshold),
            srtp_profiles: self.srtp_profiles.or(those.srtp_profiles),
            dscp: self.dscp.or(those.dscp),
            room: self.room.or(those.room),
        }
    }

    fn defaults() -> Settings {
        let profiles = ["AEAD_AES_128_GCM", "AES_CM_128_HMAC_SHA1_80", "AEAD_AES_256_GCM"];
        Settings {
            listen: Some(vec![([127, 0, 0, 1], 8188).into()]),
            media_port: Some(20_000),
            log: Some("info".into()),
            tls_self_signed: Some(false),
            signals: Some(1),
            session_timeout: Some(60),
            reclaim_session_timeout: Some(0),
            ping_interval: Some(20),
            enforce_cors: Some(false),
            server_name: Some("Portunus".into()),
            string_ids: Some(false),
            peer_timeout: Some(15),
            slowlink_threshold: Some(0),
            srtp_profiles: Some(profiles.map(Into::into).into()),
            dscp: Some(0),
            ..Settings::default()
        }
    }
}

impl Config {
    /// Checks the merged layers and fills in the defaults.
    fn new(given: Settings) -> Result<Config, ConfigError> {
        let mut all = given.or(Settings::defaults());
        let listen = all.listen.clone().unwrap_or_default();
        if listen.is_empty() {
            return Err(ConfigError::Value("listen", "at least one address is needed".into()));
        }
        let tls = tls(&all)?;
        let string_ids = all.string_ids.unwrap_or_default();
        let rooms = all.room.get_or_insert_with(|| vec![RoomTable::demo(string_ids)]);
        let rooms = specs(rooms, string_ids).map_err(|sentence| ConfigError::Value("room", sentence))?;

        let signals = all.signals.unwrap_or_default();
        if !(1..=SIGNALS_MAX).contains(&signals) {
            return Err(ConfigError::Value("signals", format!("{signals} is not in 1..{SIGNALS_MAX}")));
        }
        let plan = Plan::new(&affinity::allowed(), all.cpus.as_ref(), all.shards, signals);
        let plan = plan.map_err(|cpu| ConfigError::Value("cpus", format!("CPU {cpu} is not ours to use")))?;
        let shards = u8::try_from(plan.media.len()).expect("a plan has at most 255");
        if all.shards.is_some_and(|wished| wished != shards) {
            return Err(ConfigError::Value("shards", "at least one media shard is needed".into()));
        }
        all.shards = Some(shards);
        let media_port = all.media_port.unwrap_or_default();
        if media_port == 0 || media_port.checked_add(u16::from(shards) - 1).is_none() {
            let sentence = format!("{shards} media shards do not fit into the ports from {media_port} on");
            return Err(ConfigError::Value("media_port", sentence));
        }
        let media = media_addresses(&all, &listen)?;
        all.media_ip = Some(media.iter().map(|address| address.ip).collect());
        all.media_interface = None; // shown as the addresses that came of it
        let public_ip = all.public_ip.clone().unwrap_or_default();
        if let Some(ip) = public_ip.iter().find(|ip| ip.is_unspecified()) {
            return Err(ConfigError::Value("public_ip", format!("{ip} is no address to be reached at")));
        }
        let dscp = all.dscp.unwrap_or_default();
        if dscp > 63 {
            return Err(ConfigError::Value("dscp", format!("{dscp} is more than 63")));
        }
        let peer_timeout = all.peer_timeout.unwrap_or_default();
        if peer_timeout == 0 {
            return Err(ConfigError::Value("peer_timeout", "0 would drop every peer".into()));
        }
        let allow_origin = all.allow_origin.clone();
        if allow_origin
            .as_ref()
            .is_some_and(|origin| origin.is_empty() || !origin.bytes().all(|byte| byte.is_ascii_graphic()))
        {
            return Err(ConfigError::Value("allow_origin", "that is no origin, such as https://example.org".into()));
        }
        let enforce_cors = all.enforce_cors.unwrap_or_default();
        if enforce_cors && allow_origin.is_none() {
            return Err(ConfigError::Value("enforce_cors", "allow_origin says which origin is allowed".into()));
        }
        let log = all.log.clone().unwrap_or_default();
        if let Err(error) = EnvFilter::try_new(&log) {
            return Err(ConfigError::Value("log", error.to_string()));
        }
        Ok(Config {
            listen,
            tls,
            media,
            media_port,
            public_ip,
            plan,
            api_secret: secret("api_secret", &mut all.api_secret)?,
            log,
            session_timeout: Duration::from_secs(all.session_timeout.unwrap_or_default()),
            reclaim_session_timeout: Duration::from_secs(all.reclaim_session_timeout.unwrap_or_default()),
            ping_interval: Duration::from_secs(all.ping_interval.unwrap_or_default()),
            allow_origin,
            enforce_cors,
            server_name: all.server_name.clone().unwrap_or_default(),
            string_ids,
            admin_key: secret("admin_key", &mut all.admin_key)?,
            peer_timeout: Duration::from_secs(peer_timeout),
            slowlink_threshold: all.slowlink_threshold.unwrap_or_default(),
            srtp_profiles: profiles(all.srtp_profiles.as_deref().unwrap_or_default())?,
            dscp,
            rooms,
            shown: Settings { room: all.room.map(|rooms| rooms.iter().map(RoomTable::blotted).collect()), ..all },
        })
    }

    /// The candidates for sockets bound at `bound`: public addresses in place of those of the same family.
    pub fn advertised(&self, bound: &[SocketAddr]) -> Vec<SocketAddr> {
        let mut advertised = Vec::new();
        for at in bound {
            let mut public = self.public_ip.iter().filter(|ip| ip.is_ipv4() == at.is_ipv4() && !at.ip().is_loopback());
            let ip = public.next().copied().unwrap_or(at.ip());
            let candidate = SocketAddr::new(ip, at.port());
            if !advertised.contains(&candidate) {
                advertised.push(candidate);
            }
        }
        advertised
    }
}

impl fmt::Display for Config {
    /// The settings as a file would say them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&toml::to_string(&self.shown).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConfigError::File(path, error) => write!(f, "cannot read {}: {error}", path.display()),
            ConfigError::Toml(path, error) => write!(f, "{}: {error}", path.display()),
            ConfigError::Value(name, sentence) => write!(f, "{name}: {sentence}"),
            ConfigError::Interfaces(error) => {
                write!(f, "cannot list the network interfaces ({error}): name the addresses with --media-ip")
            }
        }
    }
}

fn specs(tables: &[RoomTable], string_ids: bool) -> Result<Vec<RoomSpec>, String> {
    let mut specs: Vec<RoomSpec> = Vec::new();
    for table in tables {
        let spec = table.spec(string_ids)?;
        if specs.iter().any(|other| other.room == spec.room) {
            return Err(format!("there are two rooms {}", spec.room));
        }
        specs.push(spec);
    }
    Ok(specs)
}

fn tls(all: &Settings) -> Result<Option<Tls>, ConfigError> {
    let value = |name, sentence: &str| Err(ConfigError::Value(name, sentence.into()));
    match (&all.tls_cert, &all.tls_key, all.tls_self_signed.unwrap_or_default()) {
        (None, None, false) => Ok(None),
        (None, None, true) => Ok(Some(Tls::SelfSigned)),
        (Some(certificate), Some(key), false) => {
            Ok(Some(Tls::Files { certificate: certificate.clone(), key: key.clone() }))
        }
        (Some(_), Some(_), true) => value("tls_self_signed", "tls_cert gives a certificate already"),
        (Some(_), None, _) => value("tls_key", "the key of tls_cert is needed"),
        (None, Some(_), _) => value("tls_cert", "the certificate of tls_key is needed"),
    }
}

fn media_addresses(all: &Settings, listen: &[SocketAddr]) -> Result<Vec<MediaAddress>, ConfigError> {
    let value = |sentence: String| ConfigError::Value("media_ip", sentence);
    let mut media = Vec::new();
    match &all.media_ip {
        Some(ips) => {
            if let Some(ip) = ips.iter().find(|ip| ip.is_unspecified()) {
                return Err(value(format!("{ip} cannot be advertised: name the addresses themselves")));
            }
            media.extend(ips.iter().map(|&ip| MediaAddress { ip, explicit: true }));
        }
        None => {
            let found = interface::addresses().map_err(ConfigError::Interfaces)?;
            let local = listen.iter().any(|at| at.ip().is_loopback());
            let patterns = all.media_interface.as_deref().unwrap_or_default();
            media = interface::choose(&found, patterns, local);
            if media.is_empty() && patterns.is_empty() {
                media = interface::choose(&found, patterns, true); // a host without a network
            }
        }
    }
    match media.len() {
        0 => Err(value("no interface has an address for media".into())),
        count if count > MEDIA_ADDRESSES_MAX => Err(value(format!("{count} addresses are too many: name some"))),
        _ => Ok(media),
    }
}

/// Takes a secret out of what is shown. An empty one is a mistake: it would protect nothing.
fn secret(name: &'static str, shown: &mut Option<String>) -> Result<Option<String>, ConfigError> {
    let secret = shown.take();
    if secret.as_deref() == Some("") {
        return Err(ConfigError::Value(name, "an empty secret protects nothing".into()));
    }
    *shown = secret.as_ref().map(|_| "***".into());
    Ok(secret)
}

fn profiles(names: &[String]) -> Result<Vec<Profile>, ConfigError> {
    let known = [
        ("AEAD_AES_128_GCM", Profile::AeadAes128Gcm),
        ("AEAD_AES_256_GCM", Profile::AeadAes256Gcm),
        ("AES_CM_128_HMAC_SHA1_80", Profile::AesCm128HmacSha1_80),
    ];
    let mut profiles = Vec::new();
    for name in names {
        let profile = known.iter().find(|(known, _)| known.eq_ignore_ascii_case(name.trim()));
        let Some((_, profile)) = profile else {
            let all = known.map(|(name, _)| name).join(", ");
            return Err(ConfigError::Value("srtp_profiles", format!("{name:?} is none of {all}")));
        };
        if !profiles.contains(profile) {
            profiles.push(*profile);
        }
    }
    if profiles.is_empty() {
        return Err(ConfigError::Value("srtp_profiles", "at least one is needed".into()));
    }
    Ok(profiles)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> Result<Config, ConfigError> {
        Config::new(toml::from_str(text).unwrap())
    }

    fn flags(flags: &[&str]) -> Settings {
        CommandLine::try_parse_from([&["portunus"], flags].concat()).unwrap().settings
    }

    #[test]
    fn a_flag_beats_the_file_and_the_file_beats_the_default() {
        let file = || toml::from_str("media_port = 30000\nsession_timeout = 5\nlisten = [\"127.0.0.1:1\"]").unwrap();
        let config = Config::new(flags(&["--session-timeout", "7"]).or(file())).unwrap();
        assert_eq!(config.session_timeout, Duration::from_secs(7));
        assert_eq!(config.media_port, 30_000);
        assert_eq!(config.peer_timeout, Duration::from_secs(15));
        assert_eq!(config.listen, ["127.0.0.1:1".parse().unwrap()]);
    }

    #[test]
    fn an_environment_variable_lies_between_flag_and_file() {
        // SAFETY: only tests of this file look at the environment, through the library that locks it, and none of the
        // others looks at this variable.
        unsafe { std::env::set_var("PORTUNUS_SERVER_NAME", "environment") };
        let file = || Settings { server_name: Some("file".into()), ..Settings::default() };
        assert_eq!(flags(&[]).or(file()).server_name.as_deref(), Some("environment"));
        assert_eq!(flags(&["--server-name", "flag"]).or(file()).server_name.as_deref(), Some("flag"));
    }

    #[test]
    fn lists_are_repeated_or_separated_by_commas_and_serve_the_subcommand_too() {
        let given = flags(&[
            "--listen",
            "127.0.0.1:1",
            "--listen",
            "[::1]:2,[::1]:3",
            "check",
            "--string-ids",
            "--cpus",
            "0-1",
        ]);
        assert_eq!(given.listen.map(|list| list.len()), Some(3));
        assert_eq!((given.string_ids, given.cpus), (Some(true), Some("0,1".parse().unwrap())));
    }

    #[test]
    fn an_unknown_key_is_an_error_that_names_key_and_line() {
        let error = toml::from_str::<Settings>("shards = 1\nlisen = []\n").unwrap_err().to_string();
        assert!(error.contains("line 2") && error.contains("lisen"), "{error}");
        let error = toml::from_str::<Settings>("[[room]]\nroom = 1\npublisher = 3\n").unwrap_err().to_string();
        assert!(error.contains("line 3") && error.contains("publisher"), "{error}");
    }

    #[test]
    fn without_arguments_it_serves_a_demo_room_to_this_host() {
        let config = config("").unwrap();
        assert_eq!(config.listen, ["127.0.0.1:8188".parse().unwrap()]);
        assert_eq!((config.rooms.len(), config.rooms[0].publishers), (1, 6));
        assert!(config.media.iter().any(|address| address.ip.is_loopback()));
        let (first, rest) = config.srtp_profiles.split_first().unwrap();
        assert_eq!((*first, rest.len()), (Profile::AeadAes128Gcm, 2));
    }

    #[test]
    fn what_cannot_be_is_refused_by_name() {
        for (text, name) in [
            ("listen = []", "listen"),
            ("shards = 0", "shards"),
            ("signals = 0", "signals"),
            ("signals = 17", "signals"),
            ("shards = 9\nmedia_port = 65530", "media_port"),
            ("media_ip = [\"0.0.0.0\"]", "media_ip"),
            ("media_interface = [\"nosuch\", \"!lo\"]", "media_ip"),
            ("public_ip = [\"::\"]", "public_ip"),
            ("dscp = 64", "dscp"),
            ("peer_timeout = 0", "peer_timeout"),
            ("log = \"=,=\"", "log"),
            ("allow_origin = \"a\\r\\nb\"", "allow_origin"),
            ("enforce_cors = true", "enforce_cors"),
            ("tls_cert = \"c\"", "tls_key"),
            ("tls_key = \"k\"", "tls_cert"),
            ("tls_cert = \"c\"\ntls_key = \"k\"\ntls_self_signed = true", "tls_self_signed"),
            ("api_secret = \"\"", "api_secret"),
            ("srtp_profiles = [\"NULL\"]", "srtp_profiles"),
            ("srtp_profiles = []", "srtp_profiles"),
            ("[[room]]\nroom = 1\n[[room]]\nroom = 1", "room"),
        ] {
            let Err(error) = config(text) else { panic!("{text} was taken") };
            assert!(error.to_string().starts_with(&format!("{name}: ")), "{text}: {error}");
        }
    }

    #[test]
    fn a_public_address_stands_in_for_its_family_but_not_for_loopback() {
        let config = config("public_ip = [\"203.0.113.9\"]").unwrap();
        let bound = ["10.0.0.1:20000", "10.0.0.2:20000", "127.0.0.1:20000", "[2001:db8::1]:20000"];
        let advertised = config.advertised(&bound.map(|at| at.parse().unwrap()));
        let expected = ["203.0.113.9:20000", "127.0.0.1:20000", "[2001:db8::1]:20000"];
        assert_eq!(advertised, expected.map(|at| at.parse().unwrap()));
    }

    #[test]
    fn what_is_shown_can_be_read_again_and_holds_no_secret() {
        let config = config("api_secret = \"sesame\"\n[[room]]\nroom = 5\npin = \"sesame\"").unwrap();
        let shown = config.to_string();
        assert!(!shown.contains("sesame") && shown.contains("session_timeout = 60"), "{shown}");
        let again = Config::new(toml::from_str(&shown).unwrap()).unwrap();
        assert_eq!(again.rooms[0].room, config.rooms[0].room);
        assert_eq!(config.api_secret.as_deref(), Some("sesame"));
    }
}
