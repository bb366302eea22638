//! What the operator may say, and the four layers of saying it: a flag beats an environment variable (`PORTUNUS_*`), that
//! beats the file, that beats the default. One list of settings serves all layers; what it means is checked in `config/mod.rs`.

use super::error::ConfigError;
use super::handlers::{WebSocketTable, WebhookTable};
use super::rooms::RoomTable;
use crate::affinity::CpuList;
use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};
use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

/// What stands for a secret where settings are shown.
pub const BLOT: &str = "***";

/// What `dtls_certificate` may say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DtlsCertificate {
    /// ECDSA on P-256, which every browser takes.
    Ecdsa,
    /// RSA of 2048 bits.
    Rsa,
}

/// One layer of settings: what it does not say is none.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Address of HTTP and WebSocket; repeatable [default: 127.0.0.1:8188]
    #[arg(long, value_name = "ADDR:PORT", env = "PORTUNUS_LISTEN", value_delimiter = ',', global = true)]
    pub listen: Option<Vec<SocketAddr>>,
    /// Certificate chain of HTTPS and WSS (PEM); all --listen addresses then speak TLS
    #[arg(long, value_name = "FILE", env = "PORTUNUS_TLS_CERT", global = true)]
    pub tls_cert: Option<PathBuf>,
    /// Private key of --tls-cert (PEM, without a passphrase)
    #[arg(long, value_name = "FILE", env = "PORTUNUS_TLS_KEY", global = true)]
    pub tls_key: Option<PathBuf>,
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
    pub tls_self_signed: Option<bool>,
    /// Address of media, bound and advertised; repeatable [default: those of all interfaces but container bridges]
    #[arg(long, value_name = "IP", env = "PORTUNUS_MEDIA_IP", value_delimiter = ',', global = true)]
    pub media_ip: Option<Vec<IpAddr>>,
    /// Interface of media (eth*), or with a leading ! one to leave out; repeatable [default: all]
    #[arg(long, value_name = "NAME", env = "PORTUNUS_MEDIA_INTERFACE", value_delimiter = ',', global = true)]
    pub media_interface: Option<Vec<String>>,
    /// Media over IPv6 too, where an interface has it [default: true]
    #[arg(
        long,
        value_name = "BOOL",
        env = "PORTUNUS_MEDIA_IPV6",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        global = true
    )]
    pub media_ipv6: Option<bool>,
    /// UDP port of the first media shard; the others follow [default: 20000]
    #[arg(long, value_name = "PORT", env = "PORTUNUS_MEDIA_PORT", global = true)]
    pub media_port: Option<u16>,
    /// Address to advertise instead of the bound ones of its family (1:1 NAT); repeatable, all are advertised
    #[arg(long, value_name = "IP", env = "PORTUNUS_PUBLIC_IP", value_delimiter = ',', global = true)]
    pub public_ip: Option<Vec<IpAddr>>,
    /// Advertise bound addresses beside the public ones, for clients on this side of the NAT [default: false]
    #[arg(
        long,
        value_name = "BOOL",
        env = "PORTUNUS_KEEP_PRIVATE_HOST",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        global = true
    )]
    pub keep_private_host: Option<bool>,
    /// Media shards [default: allowed CPUs minus one, at least 1]
    #[arg(long, value_name = "N", env = "PORTUNUS_SHARDS", global = true)]
    pub shards: Option<u8>,
    /// Signalling shards; sessions are spread over them [default: 1]
    #[arg(long, value_name = "N", env = "PORTUNUS_SIGNALLING_SHARDS", alias = "signals", global = true)]
    #[serde(alias = "signals")]
    pub signalling_shards: Option<u8>,
    /// CPUs to use, such as 0-3,6: the first carry media, the last signalling [default: all allowed]
    #[arg(long, value_name = "LIST", env = "PORTUNUS_CPUS", global = true)]
    pub cpus: Option<CpuList>,
    /// Secret that every Janus request must carry
    #[arg(long, value_name = "SECRET", env = "PORTUNUS_API_SECRET", hide_env_values = true, global = true)]
    pub api_secret: Option<String>,
    /// Require a token that operators have stored, or the API secret, of every Janus request [default: false]
    #[arg(
        long,
        value_name = "BOOL",
        env = "PORTUNUS_TOKEN_AUTH",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        global = true
    )]
    pub token_auth: Option<bool>,
    /// Secret that tokens are signed with; with --token-auth they are then judged by their signature
    #[arg(long, value_name = "SECRET", env = "PORTUNUS_TOKEN_AUTH_SECRET", hide_env_values = true, global = true)]
    pub token_auth_secret: Option<String>,
    /// Secret of operators; without it there is no Admin API
    #[arg(long, value_name = "SECRET", env = "PORTUNUS_ADMIN_SECRET", hide_env_values = true, global = true)]
    pub admin_secret: Option<String>,
    /// Address of the Admin API, which is then nowhere else; repeatable [default: those of --listen]
    #[arg(long, value_name = "ADDR:PORT", env = "PORTUNUS_ADMIN_LISTEN", value_delimiter = ',', global = true)]
    pub admin_listen: Option<Vec<SocketAddr>>,
    /// Network that operators may come from, such as 10.0.0.0/8; repeatable [default: any]
    #[arg(long, value_name = "NETWORK", env = "PORTUNUS_ADMIN_ALLOW", value_delimiter = ',', global = true)]
    pub admin_allow: Option<Vec<String>>,
    /// Log filter, such as info or portunus=debug [default: info]
    #[arg(long, value_name = "LEVEL", env = "PORTUNUS_LOG", global = true)]
    pub log: Option<String>,
    /// Seconds of silence after which a session ends; 0 is never [default: 60]
    #[arg(long, value_name = "SECONDS", env = "PORTUNUS_SESSION_TIMEOUT", global = true)]
    pub session_timeout: Option<u64>,
    /// Seconds for which the sessions of a lost WebSocket may be claimed; 0 ends them with it [default: 0]
    #[arg(long, value_name = "SECONDS", env = "PORTUNUS_RECLAIM_SESSION_TIMEOUT", global = true)]
    pub reclaim_session_timeout: Option<u64>,
    /// Seconds between looks at a WebSocket: one without a frame is pinged, two drop it; 0 is never [default: 20]
    #[arg(long, value_name = "SECONDS", env = "PORTUNUS_PING_INTERVAL", global = true)]
    pub ping_interval: Option<u64>,
    /// Origin whose pages may use the API over HTTP [default: any]
    #[arg(long, value_name = "ORIGIN", env = "PORTUNUS_ALLOW_ORIGIN", global = true)]
    pub allow_origin: Option<String>,
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
    pub enforce_cors: Option<bool>,
    /// Name that `info` shows [default: Portunus]
    #[arg(long, value_name = "NAME", env = "PORTUNUS_SERVER_NAME", global = true)]
    pub server_name: Option<String>,
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
    pub string_ids: Option<bool>,
    /// Key that creating a room needs
    #[arg(long, value_name = "KEY", env = "PORTUNUS_ADMIN_KEY", hide_env_values = true, global = true)]
    pub admin_key: Option<String>,
    /// Forwarding RTP needs the admin key too [default: false]
    #[arg(
        long,
        value_name = "BOOL",
        env = "PORTUNUS_LOCK_RTP_FORWARD",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        global = true
    )]
    pub lock_rtp_forward: Option<bool>,
    /// Network that RTP may be forwarded to besides public addresses, such as 10.1.0.0/16; repeatable
    #[arg(long, value_name = "CIDR", env = "PORTUNUS_FORWARD_ALLOW", value_delimiter = ',', global = true)]
    pub forward_allow: Option<Vec<String>>,
    /// UDP ports of each media shard for publishers of other servers, one each [default: 0]
    #[arg(long, value_name = "N", env = "PORTUNUS_REMOTE_PORTS", global = true)]
    pub remote_ports: Option<u16>,
    /// The first of these ports; those of the other shards follow [default: 21000]
    #[arg(long, value_name = "PORT", env = "PORTUNUS_REMOTE_PORT", global = true)]
    pub remote_port: Option<u16>,
    /// Seconds after which a peer is dropped that says nothing while it is sent something or is to send media [default: 30]
    #[arg(long, value_name = "SECONDS", env = "PORTUNUS_PEER_TIMEOUT", global = true)]
    pub peer_timeout: Option<u64>,
    /// Packets of one m-line lost in a second that clients are told of as a slow link; 0 is never [default: 0]
    #[arg(long, value_name = "PACKETS", env = "PORTUNUS_SLOWLINK_THRESHOLD", global = true)]
    pub slowlink_threshold: Option<u32>,
    /// Key of the certificate that DTLS peers are shown; rsa for peers that know RSA only [default: ecdsa]
    #[arg(long, value_name = "KEY", value_enum, env = "PORTUNUS_DTLS_CERTIFICATE", global = true)]
    pub dtls_certificate: Option<DtlsCertificate>,
    /// SRTP profiles, the preferred first [default: AEAD_AES_128_GCM,AES_CM_128_HMAC_SHA1_80,AEAD_AES_256_GCM]
    #[arg(long, value_name = "NAMES", env = "PORTUNUS_SRTP_PROFILES", value_delimiter = ',', global = true)]
    pub srtp_profiles: Option<Vec<String>>,
    /// Least microseconds between two turns of a media shard, for more datagrams to come together; 0 to 5000 [default: 2000]
    #[arg(long, value_name = "MICROSECONDS", env = "PORTUNUS_COALESCE", global = true)]
    pub coalesce: Option<u64>,
    /// Differentiated services code point of media, 1 to 63; 0 leaves it to the system [default: 0]
    #[arg(long, value_name = "DSCP", env = "PORTUNUS_DSCP", global = true)]
    pub dscp: Option<u8>,
    /// File that permanent rooms are kept in, over those of the configuration
    #[arg(long, value_name = "FILE", env = "PORTUNUS_ROOMS_FILE", global = true)]
    pub rooms_file: Option<PathBuf>,
    /// URL to which events are posted (http or https)
    #[arg(long, value_name = "URL", env = "PORTUNUS_EVENT_WEBHOOK", hide_env_values = true, global = true)]
    pub event_webhook: Option<String>,
    /// URL to which events are sent over a WebSocket (ws or wss)
    #[arg(long, value_name = "URL", env = "PORTUNUS_EVENT_WEBSOCKET", hide_env_values = true, global = true)]
    pub event_websocket: Option<String>,
    /// Seconds between events with media statistics; 0 is never [default: 1]
    #[arg(long, value_name = "SECONDS", env = "PORTUNUS_EVENT_STATS_PERIOD", global = true)]
    pub event_stats_period: Option<u64>,
    /// Events that may wait for each handler; more are shed [default: 8192]
    #[arg(long, value_name = "EVENTS", env = "PORTUNUS_EVENT_QUEUE", global = true)]
    pub event_queue: Option<usize>,
    /// How events are posted, in the file only.
    #[arg(skip)]
    pub event_webhook_options: Option<WebhookTable>,
    /// How they are sent, in the file only.
    #[arg(skip)]
    pub event_websocket_options: Option<WebSocketTable>,
    /// Folder that operators may have packets captured in (start_pcap); without it they may not
    #[arg(long, value_name = "DIR", env = "PORTUNUS_CAPTURE_FOLDER", global = true)]
    pub capture_folder: Option<PathBuf>,
    /// Rooms, in the file only.
    #[arg(skip)]
    pub room: Option<Vec<RoomTable>>,
}

impl Settings {
    /// A file's settings.
    pub fn read(path: &Path) -> Result<Settings, ConfigError> {
        let text = fs::read_to_string(path).map_err(|error| ConfigError::File(path.to_owned(), error))?;
        toml::from_str(&text).map_err(|error| ConfigError::Toml(path.to_owned(), Box::new(error)))
    }

    /// These, and where they say nothing, those.
    pub fn or(self, those: Settings) -> Settings {
        Settings {
            listen: self.listen.or(those.listen),
            tls_cert: self.tls_cert.or(those.tls_cert),
            tls_key: self.tls_key.or(those.tls_key),
            tls_self_signed: self.tls_self_signed.or(those.tls_self_signed),
            media_ip: self.media_ip.or(those.media_ip),
            media_interface: self.media_interface.or(those.media_interface),
            media_ipv6: self.media_ipv6.or(those.media_ipv6),
            media_port: self.media_port.or(those.media_port),
            public_ip: self.public_ip.or(those.public_ip),
            keep_private_host: self.keep_private_host.or(those.keep_private_host),
            shards: self.shards.or(those.shards),
            signalling_shards: self.signalling_shards.or(those.signalling_shards),
            cpus: self.cpus.or(those.cpus),
            api_secret: self.api_secret.or(those.api_secret),
            token_auth: self.token_auth.or(those.token_auth),
            token_auth_secret: self.token_auth_secret.or(those.token_auth_secret),
            admin_secret: self.admin_secret.or(those.admin_secret),
            admin_listen: self.admin_listen.or(those.admin_listen),
            admin_allow: self.admin_allow.or(those.admin_allow),
            log: self.log.or(those.log),
            session_timeout: self.session_timeout.or(those.session_timeout),
            reclaim_session_timeout: self.reclaim_session_timeout.or(those.reclaim_session_timeout),
            ping_interval: self.ping_interval.or(those.ping_interval),
            allow_origin: self.allow_origin.or(those.allow_origin),
            enforce_cors: self.enforce_cors.or(those.enforce_cors),
            server_name: self.server_name.or(those.server_name),
            string_ids: self.string_ids.or(those.string_ids),
            admin_key: self.admin_key.or(those.admin_key),
            lock_rtp_forward: self.lock_rtp_forward.or(those.lock_rtp_forward),
            forward_allow: self.forward_allow.or(those.forward_allow),
            remote_ports: self.remote_ports.or(those.remote_ports),
            remote_port: self.remote_port.or(those.remote_port),
            peer_timeout: self.peer_timeout.or(those.peer_timeout),
            slowlink_threshold: self.slowlink_threshold.or(those.slowlink_threshold),
            dtls_certificate: self.dtls_certificate.or(those.dtls_certificate),
            srtp_profiles: self.srtp_profiles.or(those.srtp_profiles),
            coalesce: self.coalesce.or(those.coalesce),
            dscp: self.dscp.or(those.dscp),
            rooms_file: self.rooms_file.or(those.rooms_file),
            event_webhook: self.event_webhook.or(those.event_webhook),
            event_websocket: self.event_websocket.or(those.event_websocket),
            event_stats_period: self.event_stats_period.or(those.event_stats_period),
            event_queue: self.event_queue.or(those.event_queue),
            event_webhook_options: self.event_webhook_options.or(those.event_webhook_options),
            event_websocket_options: self.event_websocket_options.or(those.event_websocket_options),
            capture_folder: self.capture_folder.or(those.capture_folder),
            room: self.room.or(those.room),
        }
    }

    /// The last layer.
    pub fn defaults() -> Settings {
        let profiles = ["AEAD_AES_128_GCM", "AES_CM_128_HMAC_SHA1_80", "AEAD_AES_256_GCM"];
        Settings {
            listen: Some(vec![([127, 0, 0, 1], 8188).into()]),
            media_ipv6: Some(true),
            media_port: Some(20_000),
            keep_private_host: Some(false),
            log: Some("info".into()),
            tls_self_signed: Some(false),
            token_auth: Some(false),
            signalling_shards: Some(1),
            session_timeout: Some(60),
            reclaim_session_timeout: Some(0),
            ping_interval: Some(20),
            enforce_cors: Some(false),
            server_name: Some("Portunus".into()),
            string_ids: Some(false),
            lock_rtp_forward: Some(false),
            remote_ports: Some(0),
            remote_port: Some(21_000),
            peer_timeout: Some(30),
            slowlink_threshold: Some(0),
            dtls_certificate: Some(DtlsCertificate::Ecdsa),
            srtp_profiles: Some(profiles.map(Into::into).into()),
            coalesce: Some(2000),
            dscp: Some(0),
            event_stats_period: Some(1),
            event_queue: Some(8192),
            ..Settings::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::command_line::CommandLine;
    use super::*;
    use clap::Parser;

    fn flags(flags: &[&str]) -> Settings {
        CommandLine::try_parse_from([&["portunus"], flags].concat()).unwrap().settings
    }

    #[test]
    fn a_flag_beats_the_file_and_the_file_beats_the_default() {
        let file = || toml::from_str("media_port = 30000\nsession_timeout = 5\nlisten = [\"127.0.0.1:1\"]").unwrap();
        let all = flags(&["--session-timeout", "7"]).or(file()).or(Settings::defaults());
        assert_eq!((all.session_timeout, all.media_port, all.peer_timeout), (Some(7), Some(30_000), Some(30)));
        assert_eq!(all.listen, Some(vec!["127.0.0.1:1".parse().unwrap()]));
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
}
