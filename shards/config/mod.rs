//! What the settings mean: the merged layers checked, by name and sentence, and as the shards are told them. Every setting
//! is read by somebody.

pub mod addresses;
pub mod command_line;
pub mod error;
pub mod handlers;
pub mod misspelling;
pub mod rooms;
pub mod rooms_file;
pub mod settings;

use crate::affinity::{self, Plan};
use crate::socket::MediaAddress;
use addresses::{media_addresses, networks};
use error::ConfigError;
use handlers::Handlers;
use ipnet::IpNet;
use portunus::control::spec::RoomSpec;
use portunus::proto::dtls::KeyKind;
use portunus::proto::srtp::Profile;
use portunus::signalling::Origin;
use portunus::videoroom::target::TargetRule;
use rooms::RoomTable;
use rooms_file::RoomsFile;
use settings::{BLOT, DtlsCertificate, Settings};
use std::collections::HashSet;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;
use tracing_subscriber::EnvFilter;

/// Ports for publishers of other servers on every shard: each is a socket with the kernel's buffers of its own.
const REMOTE_PORTS_MAX: u16 = 1024;

/// Signalling shards: each has lanes to all others and to all media shards, and one carries tens of thousands of messages
/// a second.
const SIGNALLING_SHARDS_MAX: u8 = 16;

/// Microseconds that video may be held: what a listener would not see yet, and far from what a round trip takes.
const COALESCE_MAX: u64 = 5000;

/// Where the certificate of HTTPS comes from.
pub enum Tls {
    Files {
        /// The chain, ours first.
        certificate: PathBuf,
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
    /// Whether the bound ones stay beside them.
    pub keep_private_host: bool,
    /// Which shard runs where.
    pub plan: Plan,
    /// Secret of every request.
    pub api_secret: Option<String>,
    /// Tokens are asked for.
    pub token_auth: bool,
    /// What they are signed with; else they are stored.
    pub token_auth_secret: Option<String>,
    /// Secret of operators.
    pub admin_secret: Option<String>,
    /// Where operators are served apart.
    pub admin_listen: Vec<SocketAddr>,
    /// Where they may come from; none is anywhere.
    pub admin_allow: Vec<IpNet>,
    pub log: String,
    /// Session timeout; zero is never.
    pub session_timeout: Duration,
    /// For how long lost sessions may be claimed.
    pub reclaim_session_timeout: Duration,
    /// Silence after which a WebSocket is pinged; zero is never.
    pub ping_interval: Duration,
    /// Whose pages may use the API; none is anybody's.
    pub allow_origin: Option<Origin>,
    /// Whether others are refused.
    pub enforce_cors: bool,
    /// `info`'s name.
    pub server_name: String,
    /// Ids are texts.
    pub string_ids: bool,
    /// Key of room creation.
    pub admin_key: Option<String>,
    /// Whether forwarding needs that key too.
    pub lock_rtp_forward: bool,
    /// Ports of each shard for publishers of other servers.
    pub remote_ports: u16,
    /// The first of them.
    pub remote_port: u16,
    /// Where clients may have us send.
    pub targets: TargetRule,
    /// Silence that ends a peer.
    pub peer_timeout: Duration,
    /// Losses in a second that make a link slow; 0 is never.
    pub slowlink_threshold: u32,
    /// SRTP profiles in order of preference.
    pub srtp_profiles: Vec<Profile>,
    /// What key the certificate for DTLS has.
    pub dtls_certificate: KeyKind,
    /// The least time between two turns of a media shard.
    pub coalesce: Duration,
    /// DSCP of media.
    pub dscp: u8,
    /// Where events go.
    pub handlers: Handlers,
    /// The rooms to begin with.
    pub rooms: Vec<RoomSpec>,
    /// Where operators may have packets captured.
    pub capture_folder: Option<PathBuf>,
    /// Where permanent rooms are written, and what is there.
    pub rooms_file: Option<(PathBuf, RoomsFile)>,
    /// Warnings about settings that have no effect as they are.
    pub notes: Vec<String>,
    /// The same as a file would say it, without secrets.
    shown: Settings,
}

impl Config {
    /// Checks the merged layers and fills in the defaults.
    pub fn new(given: Settings) -> Result<Config, ConfigError> {
        let mut all = given.or(Settings::defaults());
        let listen = all.listen.clone().unwrap_or_default();
        if listen.is_empty() {
            return Err(ConfigError::Value("listen", "at least one address is needed".into()));
        }
        let tls = tls(&all)?;
        let string_ids = all.string_ids.unwrap_or_default();
        let rooms = all.room.get_or_insert_with(|| vec![RoomTable::demo(string_ids)]);
        let mut rooms = specs(rooms, string_ids).map_err(|sentence| ConfigError::Value("room", sentence))?;
        let rooms_file = match all.rooms_file.clone() {
            Some(path) => {
                let file = RoomsFile::read(&path, &mut rooms, string_ids);
                Some((path, file.map_err(|sentence| ConfigError::Value("rooms_file", sentence))?))
            }
            None => None,
        };

        let signalling = all.signalling_shards.unwrap_or_default();
        if !(1..=SIGNALLING_SHARDS_MAX).contains(&signalling) {
            return Err(ConfigError::Value(
                "signalling_shards",
                format!("{signalling} is not in 1..{SIGNALLING_SHARDS_MAX}"),
            ));
        }
        let plan = Plan::new(&affinity::allowed(), all.cpus.as_ref(), all.shards, signalling);
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
        let keep_private_host = all.keep_private_host.unwrap_or_default();
        if keep_private_host && public_ip.is_empty() {
            return Err(ConfigError::Value("keep_private_host", "it needs a public_ip".into()));
        }
        let stands_in = |ip: &&IpAddr| media.iter().any(|at| at.ip.is_ipv4() == ip.is_ipv4() && !at.ip.is_loopback());
        let idle = public_ip.iter().filter(|ip| !stands_in(ip));
        let notes = idle.map(|ip| {
            let family = if ip.is_ipv4() { "IPv4" } else { "IPv6" };
            format!("public_ip: {ip} is not advertised, because media has no {family} address other than loopback (media_ip)")
        });
        let notes = notes.collect();
        let dscp = all.dscp.unwrap_or_default();
        if dscp > 63 {
            return Err(ConfigError::Value("dscp", format!("{dscp} is more than 63")));
        }
        let coalesce = all.coalesce.unwrap_or_default();
        if coalesce > COALESCE_MAX {
            return Err(ConfigError::Value("coalesce", format!("{coalesce} is more than {COALESCE_MAX} microseconds")));
        }
        let peer_timeout = all.peer_timeout.unwrap_or_default();
        if peer_timeout == 0 {
            return Err(ConfigError::Value("peer_timeout", "0 would drop every peer".into()));
        }
        let allow_origin = all.allow_origin.as_deref().map(origin).transpose()?;
        all.allow_origin = allow_origin.as_ref().map(Origin::to_string);
        let enforce_cors = all.enforce_cors.unwrap_or_default();
        if enforce_cors && allow_origin.is_none() {
            return Err(ConfigError::Value("enforce_cors", "allow_origin says which origin is allowed".into()));
        }
        let remote_ports = all.remote_ports.unwrap_or_default();
        let remote_port = all.remote_port.unwrap_or_default();
        if remote_ports > REMOTE_PORTS_MAX {
            let sentence = format!("{remote_ports} are too many: a shard has at most {REMOTE_PORTS_MAX}");
            return Err(ConfigError::Value("remote_ports", sentence));
        }
        let end = u32::from(remote_port) + u32::from(remote_ports) * u32::from(shards);
        if remote_port == 0 || end > u32::from(u16::MAX) + 1 {
            let sentence = format!("the ports of {shards} shards do not fit behind {remote_port}");
            return Err(ConfigError::Value("remote_port", sentence));
        }
        let allowed = networks("forward_allow", all.forward_allow.as_deref())?;
        let lock_rtp_forward = all.lock_rtp_forward.unwrap_or_default();
        if lock_rtp_forward && all.admin_key.is_none() {
            return Err(ConfigError::Value("lock_rtp_forward", "admin_key says what the key is".into()));
        }
        let log = all.log.clone().unwrap_or_default();
        if let Err(error) = EnvFilter::try_new(&log) {
            return Err(ConfigError::Value("log", error.to_string()));
        }
        let token_auth = all.token_auth.unwrap_or_default();
        if all.token_auth_secret.is_some() && !token_auth {
            return Err(ConfigError::Value("token_auth_secret", "without token_auth nobody looks at tokens".into()));
        }
        if token_auth && all.token_auth_secret.is_none() && all.admin_secret.is_none() {
            let sentence = "tokens are stored by operators (admin_secret), or signed (token_auth_secret)";
            return Err(ConfigError::Value("token_auth", sentence.into()));
        }
        if let Some(room) = rooms.iter().find(|room| room.signed_tokens)
            && all.token_auth_secret.is_none()
        {
            let sentence = format!("room {} wants signed_tokens: token_auth_secret says what signs them", room.room);
            return Err(ConfigError::Value("room", sentence));
        }
        let admin_listen = all.admin_listen.clone().unwrap_or_default();
        if !admin_listen.is_empty() && all.admin_secret.is_none() {
            return Err(ConfigError::Value("admin_listen", "without admin_secret there is no Admin API".into()));
        }
        if let Some(at) = admin_listen.iter().find(|at| at.port() != 0 && listen.contains(at)) {
            return Err(ConfigError::Value("admin_listen", format!("{at} is in listen, where everybody is served")));
        }
        let admin_allow = networks("admin_allow", all.admin_allow.as_deref())?;
        let handlers = Handlers::new(&all)?;
        handlers::blot(&mut all);
        Ok(Config {
            listen,
            tls,
            media,
            media_port,
            public_ip,
            keep_private_host,
            plan,
            api_secret: secret("api_secret", &mut all.api_secret)?,
            token_auth,
            token_auth_secret: secret("token_auth_secret", &mut all.token_auth_secret)?,
            admin_secret: secret("admin_secret", &mut all.admin_secret)?,
            admin_listen,
            admin_allow,
            log,
            session_timeout: Duration::from_secs(all.session_timeout.unwrap_or_default()),
            reclaim_session_timeout: Duration::from_secs(all.reclaim_session_timeout.unwrap_or_default()),
            ping_interval: Duration::from_secs(all.ping_interval.unwrap_or_default()),
            allow_origin,
            enforce_cors,
            server_name: all.server_name.clone().unwrap_or_default(),
            string_ids,
            lock_rtp_forward,
            remote_ports,
            remote_port,
            targets: TargetRule { allowed },
            admin_key: secret("admin_key", &mut all.admin_key)?,
            peer_timeout: Duration::from_secs(peer_timeout),
            slowlink_threshold: all.slowlink_threshold.unwrap_or_default(),
            dtls_certificate: match all.dtls_certificate {
                Some(DtlsCertificate::Rsa) => KeyKind::Rsa,
                Some(DtlsCertificate::Ecdsa) | None => KeyKind::Ecdsa,
            },
            srtp_profiles: profiles(all.srtp_profiles.as_deref().unwrap_or_default())?,
            coalesce: Duration::from_micros(coalesce),
            dscp,
            handlers,
            rooms,
            capture_folder: capture_folder(&all)?,
            rooms_file,
            notes,
            shown: Settings { room: all.room.map(|rooms| rooms.iter().map(RoomTable::blotted).collect()), ..all },
        })
    }

    /// The candidates for sockets bound at `bound`: the public addresses of a family in place of its bound ones, or with
    /// `keep_private_host` before them.
    pub fn advertised(&self, bound: &[SocketAddr]) -> Vec<SocketAddr> {
        let mut advertised = Vec::new();
        let mut private = Vec::new();
        for at in bound {
            let stands_in = |ip: &&IpAddr| ip.is_ipv4() == at.is_ipv4() && !at.ip().is_loopback();
            let public = self.public_ip.iter().filter(stands_in).map(|ip| SocketAddr::new(*ip, at.port()));
            let known = advertised.len();
            advertised.extend(public);
            match advertised.len() == known {
                true => advertised.push(*at),
                false => private.extend(Some(*at).filter(|_| self.keep_private_host)),
            }
        }
        advertised.extend(private);
        let mut known = HashSet::new();
        advertised.retain(|candidate| known.insert(*candidate));
        advertised
    }

    /// The UDP ports of media, as a text.
    pub fn media_ports(&self) -> String {
        let last = usize::from(self.media_port) + self.plan.media.len() - 1;
        match self.plan.media.len() {
            1 => format!("port {last}"),
            _ => format!("ports {} to {last}", self.media_port),
        }
    }
}

impl fmt::Display for Config {
    /// The settings as a file would say them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&toml::to_string(&self.shown).map_err(|_| fmt::Error)?)
    }
}

fn capture_folder(all: &Settings) -> Result<Option<PathBuf>, ConfigError> {
    match &all.capture_folder {
        Some(folder) if !folder.is_dir() => {
            Err(ConfigError::Value("capture_folder", format!("{} is not a folder", folder.display())))
        }
        folder => Ok(folder.clone()),
    }
}

fn origin(text: &str) -> Result<Origin, ConfigError> {
    let refused = |_| {
        let sentence =
            format!("{text:?} is no origin, such as https://example.org; without the setting any is allowed");
        ConfigError::Value("allow_origin", sentence)
    };
    text.parse().map_err(refused)
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

/// Takes a secret out of what is shown. An empty one is a mistake: it would protect nothing.
fn secret(name: &'static str, shown: &mut Option<String>) -> Result<Option<String>, ConfigError> {
    let secret = shown.take();
    if secret.as_deref() == Some("") {
        return Err(ConfigError::Value(name, "an empty secret protects nothing".into()));
    }
    *shown = secret.as_ref().map(|_| BLOT.into());
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
            ("signalling_shards = 0", "signalling_shards"),
            ("signals = 17", "signalling_shards"),
            ("forward_allow = [\"10.0.0.0/33\"]", "forward_allow"),
            ("lock_rtp_forward = true", "lock_rtp_forward"),
            ("remote_ports = 1025", "remote_ports"),
            ("remote_ports = 1024\nshards = 64\nremote_port = 1", "remote_port"),
            ("remote_ports = 20\nshards = 1\nmedia_ip = [\"127.0.0.1\"]\nremote_port = 65530", "remote_port"),
            ("rooms_file = \"/\"", "rooms_file"),
            ("rooms_file = \"/nowhere/rooms.toml\"", "rooms_file"),
            ("shards = 9\nmedia_port = 65530", "media_port"),
            ("media_ip = [\"0.0.0.0\"]", "media_ip"),
            ("media_interface = [\"nosuch\", \"!lo\"]", "media_ip"),
            ("public_ip = [\"::\"]", "public_ip"),
            ("keep_private_host = true", "keep_private_host"),
            ("media_ip = [\"::1\"]\nmedia_ipv6 = false", "media_ip"),
            ("coalesce = 5001", "coalesce"),
            ("dscp = 64", "dscp"),
            ("peer_timeout = 0", "peer_timeout"),
            ("log = \"=,=\"", "log"),
            ("allow_origin = \"a\\r\\nb\"", "allow_origin"),
            ("allow_origin = \"*\"", "allow_origin"),
            ("allow_origin = \"https://example.org/page\"", "allow_origin"),
            ("enforce_cors = true", "enforce_cors"),
            ("tls_cert = \"c\"", "tls_key"),
            ("tls_key = \"k\"", "tls_cert"),
            ("tls_cert = \"c\"\ntls_key = \"k\"\ntls_self_signed = true", "tls_self_signed"),
            ("api_secret = \"\"", "api_secret"),
            ("admin_secret = \"\"", "admin_secret"),
            ("admin_allow = [\"10.0.0.0/40\"]", "admin_allow"),
            ("token_auth = true", "token_auth"),
            ("[[room]]\nroom = 1\nsigned_tokens = true", "room"),
            ("token_auth_secret = \"s\"", "token_auth_secret"),
            ("admin_listen = [\"127.0.0.1:1\"]", "admin_listen"),
            ("admin_secret = \"s\"\nadmin_listen = [\"127.0.0.1:8188\"]", "admin_listen"),
            ("srtp_profiles = [\"NULL\"]", "srtp_profiles"),
            ("srtp_profiles = []", "srtp_profiles"),
            ("event_webhook = \"ws://h/\"", "event_webhook"),
            ("event_websocket = \"http://h/\"", "event_websocket"),
            ("event_queue = 0", "event_queue"),
            ("event_webhook = \"http://h/\"\n[event_webhook_options]\nevents = \"calls\"", "event_webhook_options"),
            ("event_webhook = \"http://h/\"\n[event_webhook_options]\ncompression = 10", "event_webhook_options"),
            ("event_webhook = \"http://h/\"\n[event_webhook_options]\nbackend_user = \"u\"", "event_webhook_options"),
            (
                "event_websocket = \"ws://h/\"\n[event_websocket_options]\nsubprotocol = \"a b\"",
                "event_websocket_options",
            ),
            ("[[room]]\nroom = 1\n[[room]]\nroom = 1", "room"),
        ] {
            let Err(error) = config(text) else { panic!("{text} was taken") };
            assert!(error.to_string().starts_with(&format!("{name}: ")), "{text}: {error}");
        }
    }

    #[test]
    fn public_addresses_stand_in_for_their_family_but_not_for_loopback() {
        let advertised = |text: &str, bound: &[&str]| {
            let bound: Vec<SocketAddr> = bound.iter().map(|at| at.parse().unwrap()).collect();
            config(text).unwrap().advertised(&bound).iter().map(SocketAddr::to_string).collect::<Vec<_>>()
        };
        let bound = ["10.0.0.1:20000", "10.0.0.2:20000", "127.0.0.1:20000", "[2001:db8::1]:20000"];
        let one = "public_ip = [\"203.0.113.9\"]";
        assert_eq!(advertised(one, &bound), ["203.0.113.9:20000", "127.0.0.1:20000", "[2001:db8::1]:20000"]);
        let two = "public_ip = [\"203.0.113.9\", \"198.51.100.9\"]";
        assert_eq!(advertised(two, &bound[..2]), ["203.0.113.9:20000", "198.51.100.9:20000"]);
        let kept = format!("{one}\nkeep_private_host = true");
        assert_eq!(advertised(&kept, &bound[..1]), ["203.0.113.9:20000", "10.0.0.1:20000"]);
        assert_eq!(advertised(&kept, &["203.0.113.9:20000"]), ["203.0.113.9:20000"]);
    }

    #[test]
    fn a_public_address_that_is_never_advertised_is_told() {
        let local = config("media_ip = [\"127.0.0.1\"]\npublic_ip = [\"2001:db8::9\"]").unwrap();
        assert!(local.notes[0].contains("2001:db8::9 is not advertised"), "{:?}", local.notes);
        let fine = config("media_ip = [\"10.0.0.1\"]\npublic_ip = [\"203.0.113.9\"]").unwrap();
        assert!(fine.notes.is_empty(), "{:?}", fine.notes);
        let ipv4 = config("media_ipv6 = false").unwrap();
        assert!(ipv4.media.iter().all(|address| address.ip.is_ipv4()));
    }

    #[test]
    fn what_is_shown_can_be_read_again_and_holds_no_secret() {
        let config = config(
            "api_secret = \"sesame\"\nevent_webhook = \"http://u:sesame@h:1/sesame?sesame\"\nevent_websocket = \"ws://h/sesame\"\n\
             [[room]]\nroom = 5\npin = \"sesame\"\n[event_webhook_options]\nbackend_user = \"u\"\nbackend_pwd = \"sesame\"",
        )
        .unwrap();
        let shown = config.to_string();
        assert!(!shown.contains("sesame") && shown.contains("session_timeout = 60"), "{shown}");
        let again = Config::new(toml::from_str(&shown).unwrap()).unwrap();
        assert_eq!(again.rooms[0].room, config.rooms[0].room);
        assert_eq!(config.api_secret.as_deref(), Some("sesame"));
    }
}
