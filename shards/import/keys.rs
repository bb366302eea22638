//! What is said of options that nothing has taken: those that ask for what Janus does anyway are passed over, the others
//! get a sentence, and those with the same sentence share it.

use super::Import;
use super::source::File;
use portunus::wire::jcfg::Value;

/// What is said of an option that is not below.
const NOTHING: &str = "there is no equivalent";

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

const LOGS: &str = "logs go to standard error, with the time: the journal of systemd or a redirection keeps them";
const MODULES: &str = "there are no modules to load, all is one program";
const FOREGROUND: &str = "it stays in the foreground: systemd or a container keeps it running";
const THREADS: &str = "how many threads there are is said by shards, signals and cpus";
const NO_RECORDING: &str = "there is no recording yet";
const FINGERPRINT: &str = "the certificate of DTLS is made at start, clients learn its fingerprint from the SDP";
const RESENT: &str = "what is lost is sent again from a history of a second, without options";
const LITE: &str = "ICE is lite here: the server answers checks and makes none";
const SILENCE: &str = "a silent peer is hung up after peer_timeout, whether or not it is asked for";
const RELAY: &str = "no TURN server is used: clients must reach the media addresses (media_ip, public_ip), with a TURN server \
    of their own if need be";
const TLS: &str = "TLS is 1.2 and 1.3 with the library's cipher suites";
const PASSPHRASE: &str = "a key with a passphrase cannot be read: store tls_key without one";
const ONE_SHARD: &str = "a room is served by its shard alone, whatever its size";

/// Sentences of options, by section (`*` is any, `room` stands for those of rooms) and name.
const SENTENCES: [(&str, &str, &str); 80] = [
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
    ("general", "token_auth_secret", "tokens are looked at with token_auth only, which is off"),
    ("general", "candidates_timeout", LITE),
    ("general", "recordings_tmp_ext", NO_RECORDING),
    ("general", "event_loops", THREADS),
    ("general", "allow_loop_indication", THREADS),
    ("general", "task_pool_size", THREADS),
    ("general", "opaqueid_in_api", "opaque ids are shown to event handlers and operators, not to clients"),
    ("general", "hide_dependencies", "`info` cannot be told to show less"),
    ("general", "no_webrtc_encryption", "media are always encrypted"),
    ("general", "protected_folders", "files are written below capture_folder alone, and none without it"),
    ("general", "check_openfiles_limit", "the limit of open files is looked at on every start"),
    ("certificates", "dtls_accept_selfsigned", "clients' certificates are self-signed, their SDP vouches for them"),
    ("certificates", "dtls_ciphers", "cipher suites are not configured; srtp_profiles says what protects media"),
    ("certificates", "rsa_private_key", "keys are of P-256; where peers speak RSA alone, set dtls_certificate to rsa"),
    ("certificates", "cert_pem", FINGERPRINT),
    ("certificates", "cert_key", FINGERPRINT),
    ("certificates", "cert_pwd", FINGERPRINT),
    ("media", "ipv6_linklocal", "link-local addresses are never offered: an SDP cannot say of which link they are"),
    ("media", "min_nack_queue", RESENT),
    ("media", "max_nack_queue", RESENT),
    ("media", "nack_optimizations", RESENT),
    ("media", "dtls_mtu", "the size and the timers of DTLS messages are not configured"),
    ("media", "dtls_timeout", "the size and the timers of DTLS messages are not configured"),
    ("media", "twcc_period", "how often feedback is sent follows from the bitrate"),
    ("media", "no_media_timer", "it is 1 second, until operators change it (set_no_media_timer)"),
    ("nat", "nice_debug", LOGS),
    ("nat", "full_trickle", "candidates are in the description, as with half-trickle"),
    ("nat", "ice_nomination", LITE),
    ("nat", "ice_lite", LITE),
    ("nat", "ignore_mdns", LITE),
    ("nat", "ice_keepalive_conncheck", SILENCE),
    ("nat", "ice_consent_freshness", SILENCE),
    ("nat", "hangup_on_failed", SILENCE),
    ("nat", "ice_tcp", "media are UDP alone; clients behind a firewall need a TURN server"),
    ("nat", "stun_port", "no STUN server is asked"),
    ("nat", "ignore_unreachable_ice_server", "no STUN or TURN server is asked"),
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
    ("events", "combine_media_stats", "statistics are one event for each m-line"),
    ("*", "json", "JSON is always written compact"),
    (
        "*",
        "events",
        "events cannot be turned off for a part: event_webhook_options and event_websocket_options name kinds",
    ),
    ("*", "base_path", "the API is at /janus: clients must be told, or a proxy must rewrite the path"),
    ("*", "admin_base_path", "the Admin API is at /admin: operators must be told, or a proxy must rewrite the path"),
    ("*", "mhd_connection_limit", "connections are limited by open files (see portunus check), 10,000 at most"),
    ("*", "threads", THREADS),
    ("*", "mhd_debug", LOGS),
    ("*", "ws_logging", LOGS),
    ("*", "pingpong_timeout", "who has not answered by the next ping_interval is dropped"),
    ("*", "ciphers", TLS),
    ("*", "cert_pwd", PASSPHRASE),
    ("*", "events_cap_on_reconnect", "event_queue bounds the events that wait, connected or not"),
    ("room", "threads", ONE_SHARD),
    ("room", "video_svc", "layers are not understood yet: VP9 is relayed whole"),
    ("room", "record", NO_RECORDING),
    ("room", "rec_dir", NO_RECORDING),
    ("room", "lock_record", NO_RECORDING),
];

impl Import {
    /// Speaks of everything in a file that is asked for and has not been taken.
    pub fn rest(&mut self, file: &File) {
        for (section, value) in file.group.iter() {
            let Value::Group(options) = value else {
                self.say(file, section, "an option outside any section");
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
