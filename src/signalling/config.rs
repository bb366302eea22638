//! What a signalling shard is told at start.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;

use super::origin::Origin;
use crate::control::capture::CaptureFolder;
use crate::control::spec::RoomSpec;
use crate::id::SignallingId;
use crate::limits::REPLY_BYTES_MAX;
use crate::proto::tls::Context;
use crate::videoroom::target::TargetRule;
use crate::wire::janus::events::Mask;

/// Settings of one signalling shard.
#[derive(Clone, Debug)]
pub struct SignallingConfig {
    /// Which signalling shard.
    pub id: SignallingId,
    /// How many there are.
    pub signalling_shards: u8,
    /// How many media shards there are, at least 1.
    pub shards: u8,
    /// Every connection begins with TLS when this is given.
    pub tls: Option<Context>,
    /// Idle sessions end after this time; zero is never.
    pub session_timeout: Duration,
    /// Sessions whose WebSocket is lost may be claimed for this time; zero ends them with it.
    pub reclaim_session_timeout: Duration,
    /// A WebSocket that brings nothing in such an interval is pinged, and dropped after the next one; zero is never.
    pub ping_interval: Duration,
    /// Pages of this origin may use HTTP; none is any.
    pub allow_origin: Option<Origin>,
    /// Whether requests that name another origin are refused.
    pub enforce_cors: bool,
    /// `apisecret` of every request.
    pub api_secret: Option<String>,
    /// Requests need one of the tokens that operators store, or the API secret.
    pub token_auth: bool,
    /// What tokens are signed with; with `token_auth` none are stored then.
    pub token_auth_secret: Option<String>,
    /// `admin_secret` of every operator's request; without it there is no Admin API.
    pub admin_secret: Option<String>,
    /// Operators come by connections of their own.
    pub admin_apart: bool,
    /// From where operators may come; none is anywhere.
    pub admin_allow: Vec<IpNet>,
    /// What is logged, as Janus counts it: 0 is nothing, 4 what is ordinary, 7 everything. Shown and changed alone.
    pub log_level: u8,
    /// Whether the log has colours.
    pub log_colors: bool,
    /// What media shards have been told, for the same.
    pub slowlink_threshold: u32,
    /// VideoRoom's `admin_key`: needed to create rooms, and to list private ones.
    pub admin_key: Option<String>,
    /// Whether `rtp_forward` and `stop_rtp_forward` need the `admin_key` too, where there is one.
    pub lock_rtp_forward: bool,
    /// Where clients may have us send.
    pub targets: TargetRule,
    /// What event handlers want to know.
    pub events: Mask,
    /// The packages of the event handlers.
    pub handlers: Vec<&'static str>,
    /// How often media shards tell of statistics; zero is never.
    pub stats_period: Duration,
    /// Where media shards are bound, in order of preference.
    pub local_ips: Vec<IpAddr>,
    /// What is advertised in the place of those.
    pub public_ips: Vec<IpAddr>,
    /// Shown by `info`.
    pub server_name: String,
    /// Rooms and participants have text ids.
    pub string_ids: bool,
    /// Rooms made at start; given to one signalling shard only.
    pub rooms: Vec<RoomSpec>,
    /// Whether the machine writes rooms down, so that `permanent` can be asked for.
    pub rooms_file: bool,
    /// Where operators may have packets captured.
    pub capture_folder: Option<Arc<dyn CaptureFolder>>,
    /// Served at `/`: HTML.
    pub page: &'static [u8],
    /// Connections at a time.
    pub connections_max: usize,
    /// Sessions at a time.
    pub sessions_max: usize,
    /// Handles of one session.
    pub handles_max: usize,
    /// Bytes that wait for a client which does not read; beyond them it is dropped.
    pub outbox_bytes: usize,
    /// Bytes that long answers to one client may have, those that wait included; a longer one is refused.
    pub reply_bytes: usize,
    /// Where the random ids come from.
    pub seed: [u8; 32],
}

impl SignallingConfig {
    /// One signalling and one media shard with Janus' defaults.
    pub fn new(seed: [u8; 32]) -> SignallingConfig {
        SignallingConfig {
            id: SignallingId(0),
            signalling_shards: 1,
            shards: 1,
            tls: None,
            session_timeout: Duration::from_secs(60),
            reclaim_session_timeout: Duration::ZERO,
            ping_interval: Duration::ZERO,
            allow_origin: None,
            enforce_cors: false,
            api_secret: None,
            token_auth: false,
            token_auth_secret: None,
            admin_secret: None,
            admin_apart: false,
            admin_allow: Vec::new(),
            log_level: 4,
            log_colors: false,
            slowlink_threshold: 0,
            admin_key: None,
            lock_rtp_forward: false,
            targets: TargetRule::default(),
            events: Mask::NONE,
            handlers: Vec::new(),
            stats_period: Duration::from_secs(1),
            local_ips: vec![IpAddr::V4(Ipv4Addr::LOCALHOST)],
            public_ips: Vec::new(),
            server_name: "Portunus".into(),
            string_ids: false,
            rooms: Vec::new(),
            rooms_file: false,
            capture_folder: None,
            page: b"",
            connections_max: 16_384,
            sessions_max: 65_536,
            handles_max: 1024,
            outbox_bytes: 2 * crate::limits::MESSAGE_JSON_MAX,
            reply_bytes: REPLY_BYTES_MAX,
            seed,
        }
    }
}
