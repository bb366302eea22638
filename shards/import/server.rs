//! Options of Janus' core and of its transports.

use super::{File, Import, is_idle, is_true};
use portunus::wire::jcfg::{Group, Value};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// Numbers that have the same meaning here: section, Janus' name, ours.
const NUMBERS: [(&str, &str, &str); 4] = [
    ("general", "session_timeout", "session_timeout"),
    ("general", "reclaim_session_timeout", "reclaim_session_timeout"),
    ("media", "slowlink_threshold", "slowlink_threshold"),
    ("media", "dscp", "dscp"),
];
/// Options that ask for nothing we would have to do: where Janus finds its parts, how it logs and runs.
const QUIET: [(&str, &[&str]); 3] = [
    (
        "general",
        &[
            "configs_folder",
            "plugins_folder",
            "transports_folder",
            "events_folder",
            "loggers_folder",
            "log_to_stdout",
            "debug_timestamps",
            "debug_colors",
            "debug_locks",
            "daemonize",
            "pid_file",
            "protected_folders",
            "hide_dependencies",
            "cwd",
        ],
    ),
    ("media", &["ipv6", "min_nack_queue", "nack_optimizations", "dtls_mtu", "twcc_period"]),
    ("nat", &["nice_debug", "ice_lite", "ice_keepalive_conncheck", "ice_consent_freshness", "keep_private_host"]),
];
/// What is worth more than "there is no equivalent".
const SENTENCES: [(&str, &str); 9] = [
    ("admin_acl", "not beginnings of addresses: name operators' networks in admin_allow"),
    ("admin_ws_acl", "not beginnings of addresses: name operators' networks in admin_allow"),
    ("stun_server", "not needed: media addresses are configured with media_ip and public_ip"),
    ("turn_server", "not needed: media addresses are reached directly; clients may use TURN"),
    ("turn_rest_api", "not needed: media addresses are reached directly; clients may use TURN"),
    ("full_trickle", "candidates are in the description, as in half-trickle"),
    ("ice_tcp", "media is UDP alone"),
    ("event_loops", "see shards"),
    ("no_webrtc_encryption", "media is always encrypted"),
];

/// Janus' names of a switch, a port and an address, and the port without a word; without TLS and with it.
type Doors = [(&'static str, &'static str, &'static str, u16); 2];
const HTTP: Doors = [("http", "port", "ip", 8088), ("https", "secure_port", "secure_ip", 8089)];
const WEBSOCKETS: Doors = [("ws", "ws_port", "ws_ip", 8188), ("wss", "wss_port", "wss_ip", 8989)];
const ADMIN_HTTP: Doors =
    [("admin_http", "admin_port", "admin_ip", 7088), ("admin_https", "admin_secure_port", "admin_secure_ip", 7889)];
const ADMIN_WEBSOCKETS: Doors =
    [("admin_ws", "admin_ws_port", "admin_ws_ip", 7188), ("admin_wss", "admin_wss_port", "admin_wss_ip", 7989)];

/// What a transport serves.
struct Door {
    at: SocketAddr,
    /// Certificate and key, if it speaks TLS.
    secure: Option<(Option<String>, Option<String>)>,
}

impl Import {
    /// `janus.jcfg`
    pub(super) fn server(&mut self, file: &File) {
        let group = &file.group;
        let text =
            |section: &str, name: &str| group.group(section)?.get(name)?.scalar().filter(|text| !text.is_empty());
        for (section, name, ours) in NUMBERS {
            match text(section, name).map(|text| text.parse::<i64>().map(|number| (number >= 0, number))) {
                Some(Ok((true, number))) => self.set(ours, number),
                Some(_) => self.say(file, name, "not a number from 0 on"),
                None => {}
            }
        }
        for name in ["api_secret", "server_name", "admin_secret"] {
            text("general", name).into_iter().for_each(|text| self.set(name, text));
        }
        let is_on = |name: &str| group.group("general").and_then(|general| general.get(name)).is_some_and(is_true);
        if is_on("token_auth") {
            self.set("token_auth", true);
            text("general", "token_auth_secret").into_iter().for_each(|text| self.set("token_auth_secret", text));
        }
        if let Some(level) = text("general", "debug_level") {
            let log = match level.parse() {
                Ok(0..=2) => "error",
                Ok(3) => "warn",
                Ok(5 | 6) => "debug",
                Ok(7..) => "trace",
                _ => "info",
            };
            self.set("log", log);
        }
        if let Some(range) = text("media", "rtp_port_range") {
            match range.split('-').next().and_then(|first| first.trim().parse::<u16>().ok()) {
                Some(first @ 1..) => {
                    self.set("media_port", i64::from(first));
                    self.say(
                        file,
                        "rtp_port_range",
                        "all media of a shard goes through one port, the first from here on",
                    );
                }
                _ => self.say(file, "rtp_port_range", "no port to begin with"),
            }
        }
        if let Some(list) = text("nat", "nat_1_1_mapping") {
            self.addresses(file, "nat_1_1_mapping", "public_ip", &list);
        }
        self.interfaces(
            file,
            text("general", "interface"),
            text("nat", "ice_enforce_list"),
            text("nat", "ice_ignore_list"),
        );
        let known = [
            (
                "general",
                vec![
                    "api_secret",
                    "server_name",
                    "admin_secret",
                    "token_auth",
                    "token_auth_secret",
                    "debug_level",
                    "interface",
                ],
            ),
            ("media", vec!["rtp_port_range"]),
            ("nat", vec!["nat_1_1_mapping", "ice_enforce_list", "ice_ignore_list"]),
        ];
        for (section, value) in group.iter() {
            let Value::Group(options) = value else {
                self.say(file, section, "an option outside any section");
                continue;
            };
            // Certificates of DTLS are made at start; parts that are not there cannot be turned off.
            if ["certificates", "plugins", "transports", "loggers", "events"].contains(&section) {
                if section == "events" && options.get("broadcast").is_some_and(is_true) {
                    self.say(file, "events", "event handlers are not imported: configure by hand where events go");
                }
                continue;
            }
            let named = NUMBERS.iter().filter(|(of, ..)| *of == section).map(|(_, name, _)| *name);
            let known = known.iter().filter(|(of, _)| *of == section).flat_map(|(_, names)| names.iter().copied());
            let quiet = QUIET.iter().filter(|(of, _)| *of == section).flat_map(|(_, names)| names.iter().copied());
            let spoken: Vec<&str> = named.chain(known).chain(quiet).collect();
            self.rest(file, section, options, &spoken);
        }
    }

    /// Speaks of what is asked for and has not been taken.
    pub(super) fn rest(&mut self, file: &File, section: &str, options: &Group, taken: &[&str]) {
        for (name, _) in options.iter().filter(|(name, value)| !taken.contains(name) && !is_idle(value)) {
            let sentence = SENTENCES.iter().find(|(known, _)| *known == name);
            let sentence = sentence.map_or("there is no equivalent", |(_, sentence)| sentence);
            self.say(file, &format!("{section}, {name}"), sentence);
        }
    }

    fn addresses(&mut self, file: &File, option: &str, ours: &str, list: &str) {
        let (good, bad): (Vec<_>, Vec<_>) = list
            .split(',')
            .map(str::trim)
            .filter(|item| !item.is_empty())
            .partition(|item| item.parse::<IpAddr>().is_ok());
        bad.iter().for_each(|item| self.say(file, option, &format!("{item} is no address")));
        if !good.is_empty() {
            self.set(ours, good.into_iter().map(str::to_owned).collect::<Vec<_>>());
        }
    }

    /// Janus' lists are of the beginnings of names and of addresses, ours of whole addresses, or of patterns of names.
    fn interfaces(&mut self, file: &File, one: Option<String>, only: Option<String>, never: Option<String>) {
        let list = |text: &Option<String>| -> Vec<String> {
            let items = text.iter().flat_map(|text| text.split(','));
            items.map(|item| item.trim().to_owned()).filter(|item| !item.is_empty()).collect()
        };
        let is_name = |item: &str| item.starts_with(|first: char| first.is_ascii_alphabetic()) && !item.contains(':');
        let (only, never) = (list(&one).into_iter().chain(list(&only)), list(&never));
        let (addresses, others): (Vec<_>, Vec<_>) = only.partition(|item| item.parse::<IpAddr>().is_ok());
        let (names, parts): (Vec<_>, Vec<_>) = others.into_iter().partition(|item| is_name(item));
        for part in parts.iter().chain(never.iter().filter(|item| !is_name(item))) {
            self.say(file, "nat", &format!("{part}: interfaces are chosen by names or by whole addresses (media_ip)"));
        }
        if !addresses.is_empty() {
            if !names.is_empty() {
                self.say(file, "ice_enforce_list", "has names and addresses: of the two the addresses are taken");
            }
            self.set("media_ip", addresses);
            return;
        }
        let out = never.iter().filter(|item| is_name(item)).map(|name| format!("!{name}*"));
        let patterns: Vec<String> = names.iter().map(|name| format!("{name}*")).chain(out).collect();
        if !patterns.is_empty() {
            self.set("media_interface", patterns);
        }
    }

    /// Both transports: one list of addresses here, which all speak TLS or all do not.
    pub(super) fn transports(&mut self, http: Option<&File>, websockets: Option<&File>) {
        let mut doors = self.doors(http, "general", HTTP);
        doors.extend(self.doors(websockets, "general", WEBSOCKETS));
        let certificate = doors.iter().find_map(|door| match &door.secure {
            Some((Some(certificate), key)) => Some((certificate.clone(), key.clone())),
            _ => None,
        });
        let is_secure = doors.iter().any(|door| door.secure.is_some());
        for door in doors.iter().filter(|door| door.secure.is_some() != is_secure) {
            let sentence = format!("{} speaks no TLS and is left out: either all addresses do or none", door.at);
            self.words.push(sentence);
        }
        if is_secure {
            match certificate {
                // A certificate and its key may be one file.
                Some((certificate, key)) => {
                    self.set("tls_key", key.unwrap_or_else(|| certificate.clone()));
                    self.set("tls_cert", certificate);
                }
                None => self.set("tls_self_signed", true),
            }
        }
        let mut listen: Vec<String> = Vec::new();
        for door in doors.iter().filter(|door| door.secure.is_some() == is_secure) {
            if !listen.contains(&door.at.to_string()) {
                listen.push(door.at.to_string());
            }
        }
        if listen.is_empty() {
            self.words.push("no transport that we have is enabled: the default of `listen` applies".into());
        } else {
            self.set("listen", listen);
        }
        let mut doors = self.doors(http, "admin", ADMIN_HTTP);
        doors.extend(self.doors(websockets, "admin", ADMIN_WEBSOCKETS));
        self.operators(&doors, is_secure);
        for file in [http, websockets].into_iter().flatten() {
            self.transport(file);
        }
    }

    /// The Admin API: where Janus serves operators apart from clients, so is it here.
    fn operators(&mut self, doors: &[Door], is_secure: bool) {
        if !self.table.contains_key("admin_secret") {
            if !doors.is_empty() {
                self.words.push("the Admin API is left out: it needs an admin_secret here".into());
            }
            return;
        }
        let mut listen: Vec<String> = Vec::new();
        for door in doors {
            let at = door.at.to_string();
            match (door.secure.is_some(), is_secure) {
                (true, false) => {
                    let sentence = format!("{at} speaks no TLS here, as clients' addresses do not, and is left out");
                    self.words.push(sentence);
                    continue;
                }
                (false, true) => self.words.push(format!("{at} speaks TLS here, as clients' addresses do")),
                _ => {}
            }
            if !listen.contains(&at) {
                listen.push(at);
            }
        }
        if !listen.is_empty() {
            self.set("admin_listen", listen);
        } else if self.table.contains_key("token_auth") && !self.table.contains_key("token_auth_secret") {
            self.words
                .push("no transport of the Admin API is enabled: it is at 127.0.0.1:7088, to store tokens".into());
            self.set("admin_listen", vec!["127.0.0.1:7088"]);
        } else {
            self.words.push("no transport of the Admin API is enabled: admin_secret is left out".into());
            self.table.remove("admin_secret");
        }
    }

    fn doors(&mut self, file: Option<&File>, section: &str, [plain, secure]: Doors) -> Vec<Door> {
        let text =
            |section: &str, name: &str| file?.group.group(section)?.get(name)?.scalar().filter(|text| !text.is_empty());
        let mut doors = Vec::new();
        for (kind, (switch, port, ip, default)) in [(false, plain), (true, secure)] {
            let is_on = file.and_then(|file| file.group.group(section)?.get(switch)).map(is_true);
            // Without a word Janus serves clients in plain text, and operators not at all.
            if !is_on.unwrap_or(!kind && section == "general") {
                continue;
            }
            let at = text(section, ip).unwrap_or_else(|| Ipv4Addr::UNSPECIFIED.to_string());
            let number = text(section, port).map_or(Ok(default), |text| text.parse());
            match (at.parse(), number) {
                (Ok(ip), Ok(port @ 1..)) => doors.push(Door {
                    at: SocketAddr::new(ip, port),
                    secure: kind.then(|| (text("certificates", "cert_pem"), text("certificates", "cert_key"))),
                }),
                _ => self.words.push(format!("{switch}: {at} with {port} is nowhere to listen and is left out")),
            }
        }
        doors
    }

    /// Janus' lists are of the beginnings of addresses, ours of networks. False when one of them is no network.
    fn allow_operators(&mut self, list: &str) -> bool {
        let items = list.split(',').map(str::trim).filter(|item| !item.is_empty());
        let Some(networks) = items.map(network).collect::<Option<Vec<_>>>() else { return false };
        if self.table.contains_key("admin_secret") {
            let known = self.table.entry("admin_allow").or_insert_with(|| toml::Value::Array(Vec::new()));
            known.as_array_mut().into_iter().for_each(|known| known.extend(networks.iter().cloned().map(Into::into)));
        }
        true
    }

    fn transport(&mut self, file: &File) {
        let general: &[&str] = &[
            "http",
            "port",
            "ip",
            "https",
            "secure_port",
            "secure_ip",
            "ws",
            "ws_port",
            "ws_ip",
            "wss",
            "wss_port",
            "wss_ip",
            "json",
            "ws_logging",
            "events",
            "mhd_debug",
            "mhd_connection_limit",
            "pingpong_timeout",
        ];
        for (section, value) in file.group.iter() {
            let Value::Group(options) = value else { continue };
            match section {
                "general" => {
                    let text = |name: &str| options.get(name).and_then(Value::scalar).filter(|text| !text.is_empty());
                    if let Some(Ok(seconds)) = text("pingpong_trigger").map(|text| text.parse::<u32>()) {
                        self.set("ping_interval", i64::from(seconds));
                    }
                    let mut taken = [general, &["pingpong_trigger"]].concat();
                    if text("base_path").is_some_and(|path| path.trim_matches('/') == "janus") {
                        taken.push("base_path");
                    }
                    self.rest(file, section, options, &taken);
                }
                "cors" => {
                    for name in ["allow_origin", "enforce_cors"] {
                        match options.get(name) {
                            Some(value) if name == "enforce_cors" => self.set(name, is_true(value)),
                            Some(value) => value.scalar().into_iter().for_each(|origin| self.set(name, origin)),
                            None => {}
                        }
                    }
                    self.rest(file, section, options, &["allow_origin", "enforce_cors"]);
                }
                "certificates" => self.rest(file, section, options, &["cert_pem", "cert_key"]),
                "admin" => {
                    let doors = [HTTP, WEBSOCKETS, ADMIN_HTTP, ADMIN_WEBSOCKETS].into_iter().flatten();
                    let mut taken: Vec<&str> = doors.flat_map(|(switch, port, ip, _)| [switch, port, ip]).collect();
                    let path = options.get("admin_base_path").and_then(Value::scalar);
                    if path.is_some_and(|path| path.trim_matches('/') == "admin") {
                        taken.push("admin_base_path");
                    }
                    for name in ["admin_acl", "admin_ws_acl"] {
                        let list = options.get(name).and_then(Value::scalar).filter(|list| !list.is_empty());
                        if list.is_some_and(|list| self.allow_operators(&list)) {
                            taken.push(name);
                        }
                    }
                    self.rest(file, section, options, &taken);
                }
                _ => self.rest(file, section, options, &[]),
            }
        }
    }
}

/// `10.1.` is all that begins so: 10.1.0.0/16.
fn network(beginning: &str) -> Option<String> {
    if let Ok(whole) = beginning.parse::<IpAddr>() {
        return Some(format!("{whole}/{}", if whole.is_ipv4() { 32 } else { 128 }));
    }
    let octets = beginning.strip_suffix('.')?.split('.').collect::<Vec<_>>();
    let whole = [octets.as_slice(), &["0"; 3]].concat().get(..4)?.join(".");
    let address = whole.parse::<Ipv4Addr>().ok().filter(|_| octets.len() < 4)?;
    Some(format!("{address}/{}", 8 * octets.len()))
}
