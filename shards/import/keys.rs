//! What is said of options that nothing has taken: those that ask for what Janus does anyway are passed over, the others
//! get a sentence, and those with the same sentence share it.

use super::Import;
use super::source::File;
use portunus::wire::jcfg::Value;

/// What is said of an option that is not below.
const NOTHING: &str = "Portunus has no equivalent";

/// What Janus does without a word where that is neither "no" nor 0: an option with this value asks for nothing.
const DEFAULTS: [(&str, &str); 16] = [
    ("log_to_stdout", "true"),
    ("debug_colors", "true"),
    ("candidates_timeout", "45"),
    ("dtls_accept_selfsigned", "true"),
    ("min_nack_queue", "200"),
    ("dtls_mtu", "1200"),
    ("no_media_timer", "1"),
    ("twcc_period", "200"),
    ("stun_port", "3478"),
    ("turn_port", "3478"),
    ("turn_type", "udp"),
    ("events", "true"),
    ("json", "compact"),
    ("mhd_connection_limit", "1020"),
    ("type", "SOCK_SEQPACKET"),
    ("admin_type", "SOCK_SEQPACKET"),
];

const LOGS: &str =
    "Portunus logs to standard error, with timestamps; let systemd's journal or a redirection keep the log";
const MODULES: &str = "Portunus is one program and loads no modules";
const FOREGROUND: &str = "Portunus stays in the foreground; let systemd or a container keep it running";
const THREADS: &str = "the number of threads follows from shards, signalling_shards and cpus";
const NO_RECORDING: &str = "Portunus does not record yet";
const FINGERPRINT: &str = "the DTLS certificate is generated at start, and clients learn its fingerprint from the SDP";
const RESENT: &str = "lost packets are resent from a history of one second, which has no options";
const LITE: &str = "Portunus is always ICE-lite: it answers checks and sends none";
const SILENCE: &str = "a silent peer is always hung up after peer_timeout";
const RELAY: &str = "Portunus uses no TURN server: clients must be able to reach its media addresses (media_ip, public_ip), through \
    a TURN server of their own if necessary";
const TLS: &str = "TLS 1.2 and 1.3 are served with the library's cipher suites";
const PASSPHRASE: &str = "Portunus cannot read a key with a passphrase: store tls_key without one";
const ONE_SHARD: &str = "a room always runs on one shard and needs no helper threads";

/// Sentences of options, by section (`*` is any, `room` stands for those of rooms) and name.
const SENTENCES: [(&str, &str, &str); 79] = [
    ("general", "configs_folder", MODULES),
    ("general", "plugins_folder", MODULES),
    ("general", "transports_folder", MODULES),
    ("general", "events_folder", MODULES),
    ("general", "loggers_folder", MODULES),
    ("general", "exit_on_dl_error", MODULES),
    ("loggers", "disable", MODULES),
    ("general", "log_to_stdout", LOGS),
    ("general", "log_to_file", LOGS),
    ("general", "log_prefix", LOGS),
    ("general", "log_rotate_sig", LOGS),
    ("general", "debug_timestamps", LOGS),
    ("general", "debug_colors", LOGS),
    ("general", "debug_locks", LOGS),
    ("general", "daemonize", FOREGROUND),
    ("general", "pid_file", FOREGROUND),
    ("general", "token_auth_secret", "has no effect while token_auth is off"),
    ("general", "candidates_timeout", LITE),
    ("general", "recordings_tmp_ext", NO_RECORDING),
    ("general", "event_loops", THREADS),
    ("general", "allow_loop_indication", THREADS),
    ("general", "task_pool_size", THREADS),
    ("general", "opaqueid_in_api", "opaque ids are shown to event handlers and operators only"),
    ("general", "hide_dependencies", "what `info` shows cannot be reduced"),
    ("general", "no_webrtc_encryption", "media is always encrypted"),
    ("general", "protected_folders", "Portunus writes files on request only below capture_folder"),
    ("general", "check_openfiles_limit", "the limit of open files is checked at every start"),
    (
        "certificates",
        "dtls_accept_selfsigned",
        "clients' certificates are self-signed; each is checked against the fingerprint in the SDP",
    ),
    (
        "certificates",
        "dtls_ciphers",
        "DTLS cipher suites cannot be configured; srtp_profiles chooses how media is encrypted",
    ),
    ("certificates", "cert_pem", FINGERPRINT),
    ("certificates", "cert_key", FINGERPRINT),
    ("certificates", "cert_pwd", FINGERPRINT),
    ("media", "ipv6_linklocal", "link-local addresses are never offered, because SDP cannot name their link"),
    ("media", "min_nack_queue", RESENT),
    ("media", "max_nack_queue", RESENT),
    ("media", "nack_optimizations", RESENT),
    ("media", "dtls_mtu", "the MTU and the timers of DTLS are fixed"),
    ("media", "dtls_timeout", "the MTU and the timers of DTLS are fixed"),
    ("media", "twcc_period", "the feedback interval follows from the bitrate"),
    ("media", "no_media_timer", "it is 1 second at start; operators can change it with set_no_media_timer"),
    ("nat", "nice_debug", LOGS),
    ("nat", "full_trickle", "candidates are sent in the description, as with half-trickle"),
    ("nat", "ice_nomination", LITE),
    ("nat", "ice_lite", LITE),
    ("nat", "ignore_mdns", LITE),
    ("nat", "ice_keepalive_conncheck", SILENCE),
    ("nat", "ice_consent_freshness", SILENCE),
    ("nat", "hangup_on_failed", SILENCE),
    ("nat", "ice_tcp", "media is UDP only; clients behind a strict firewall need a TURN server of their own"),
    ("nat", "stun_port", "Portunus asks no STUN server"),
    ("nat", "ignore_unreachable_ice_server", "Portunus asks no STUN or TURN server"),
    ("nat", "turn_server", RELAY),
    ("nat", "turn_port", RELAY),
    ("nat", "turn_type", RELAY),
    ("nat", "turn_user", RELAY),
    ("nat", "turn_pwd", RELAY),
    ("nat", "turn_rest_api", RELAY),
    ("nat", "turn_rest_api_key", RELAY),
    ("nat", "turn_rest_api_method", RELAY),
    ("nat", "turn_rest_api_timeout", RELAY),
    ("nat", "allow_force_relay", RELAY),
    ("events", "combine_media_stats", "media statistics are always one event per m-line"),
    ("*", "json", "JSON is always compact"),
    (
        "*",
        "events",
        "events cannot be turned off for one module; choose kinds of events in event_webhook_options and event_websocket_options",
    ),
    ("*", "base_path", "the API is at /janus: point clients there, or let a proxy rewrite the path"),
    ("*", "admin_base_path", "the Admin API is at /admin: point operators there, or let a proxy rewrite the path"),
    (
        "*",
        "mhd_connection_limit",
        "the number of connections follows from the limit of open files (see portunus check), at most 10,000",
    ),
    ("*", "threads", THREADS),
    ("*", "mhd_debug", LOGS),
    ("*", "ws_logging", LOGS),
    ("*", "pingpong_timeout", "a client that does not answer within the next ping_interval is dropped"),
    ("*", "ciphers", TLS),
    ("*", "cert_pwd", PASSPHRASE),
    ("*", "events_cap_on_reconnect", "event_queue bounds the events that wait, whether connected or not"),
    ("room", "threads", ONE_SHARD),
    ("room", "video_svc", "Portunus does not select layers yet: VP9 is relayed whole"),
    ("room", "record", NO_RECORDING),
    ("room", "rec_dir", NO_RECORDING),
    ("room", "lock_record", NO_RECORDING),
];

impl Import {
    /// Speaks of everything in a file that is asked for and has not been taken.
    pub fn rest(&mut self, file: &File) {
        for (section, value) in file.group.iter() {
            let Value::Group(options) = value else {
                self.say(file, section, "an option outside of any section");
                continue;
            };
            for (option, value) in options.iter() {
                if !file.is_taken(section, option) && !is_idle(option, value) {
                    let sentence = sentence(&file.name, section, option);
                    self.say(file, &format!("{section}, {option}"), sentence);
                }
            }
        }
    }

    /// Says a sentence about an option. Options of one section that have the same to be said of them share it.
    pub fn say(&mut self, file: &File, option: &str, sentence: &str) {
        let ending = format!(": {sentence}");
        let (section, name) = option.split_once(", ").unwrap_or((option, ""));
        let begins = format!("{}, {section}, ", file.name);
        let known = self.words.iter_mut().find(|word| word.starts_with(&begins) && word.ends_with(&ending));
        match known.filter(|_| !name.is_empty()) {
            Some(word) => {
                let at = word.len() - ending.len();
                word.insert_str(at, &format!(", {name}"));
            }
            None => self.words.push(format!("{}, {option}{ending}", file.name)),
        }
    }
}

fn sentence(file: &str, section: &str, option: &str) -> &'static str {
    let is_room = file.starts_with("janus.plugin.videoroom.") && section != "general";
    let is_core = file.starts_with("janus.jcfg") || file.starts_with("janus.cfg");
    let fits = |of: &str| match of {
        "*" => !is_core && !is_room,
        "room" => is_room,
        of => is_core && of == section,
    };
    SENTENCES.iter().find(|(of, name, _)| *name == option && fits(of)).map_or(NOTHING, |(.., sentence)| sentence)
}

/// Whether nothing is asked for: the option is as if it were not there.
fn is_idle(option: &str, value: &Value) -> bool {
    let text = match value {
        Value::List(list) => return list.is_empty(),
        Value::Group(group) => return group.iter().next().is_none(),
        scalar => scalar.scalar().unwrap_or_default(),
    };
    let is_path = |path: &str| text.trim_matches('/') == path;
    match (option, DEFAULTS.iter().find(|(known, _)| *known == option)) {
        ("base_path", _) => is_path("janus"),
        ("admin_base_path", _) => is_path("admin"),
        (_, Some((_, "true"))) => super::source::is_true(&text),
        (_, Some((_, default))) => text.is_empty() || text.eq_ignore_ascii_case(default),
        (_, None) => text.is_empty() || text == "0" || ["no", "false"].contains(&text.to_lowercase().as_str()),
    }
}
