//! Every option of Janus 1.4's sample files is either taken over or named in the report.

use super::*;

/// Options of one section of one of Janus' files, each with a value that is not its default.
type Options = [(&'static str, &'static str)];

/// Every option of the sample files of Janus 1.4: file, section, what must be there for the options to mean anything, and
/// the options.
const WALK: &[(&str, &str, &Options, &Options)] = &[
    (
        "janus.jcfg",
        "general",
        &[("admin_secret", "\"x\"")],
        &[
            ("configs_folder", "\"/c\""),
            ("plugins_folder", "\"/p\""),
            ("transports_folder", "\"/t\""),
            ("events_folder", "\"/e\""),
            ("loggers_folder", "\"/l\""),
            ("log_to_stdout", "false"),
            ("log_to_file", "\"/l\""),
            ("log_rotate_sig", "\"SIGHUP\""),
            ("debug_level", "7"),
            ("debug_timestamps", "true"),
            ("debug_colors", "false"),
            ("debug_locks", "true"),
            ("log_prefix", "\"[j]\""),
            ("daemonize", "true"),
            ("pid_file", "\"/p\""),
            ("api_secret", "\"s\""),
            ("token_auth", "true"),
            ("token_auth_secret", "\"s\""),
            ("interface", "\"203.0.113.1\""),
            ("server_name", "\"n\""),
            ("session_timeout", "5"),
            ("candidates_timeout", "5"),
            ("reclaim_session_timeout", "5"),
            ("recordings_tmp_ext", "\"tmp\""),
            ("event_loops", "8"),
            ("allow_loop_indication", "true"),
            ("task_pool_size", "100"),
            ("opaqueid_in_api", "true"),
            ("hide_dependencies", "true"),
            ("exit_on_dl_error", "true"),
            ("no_webrtc_encryption", "true"),
            ("protected_folders", "[\"/bin\"]"),
            ("check_openfiles_limit", "4096"),
            ("something_new", "1"),
        ],
    ),
    (
        "janus.jcfg",
        "general",
        &[("token_auth", "true"), ("token_auth_secret", "\"x\"")],
        &[("token_auth_secret", "\"s\"")],
    ),
    (
        "janus.jcfg",
        "certificates",
        &[],
        &[
            ("cert_pem", "\"/c\""),
            ("cert_key", "\"/k\""),
            ("cert_pwd", "\"p\""),
            ("dtls_accept_selfsigned", "false"),
            ("dtls_ciphers", "\"x\""),
            ("rsa_private_key", "true"),
        ],
    ),
    (
        "janus.jcfg",
        "media",
        &[],
        &[
            ("ipv6", "true"),
            ("ipv6_linklocal", "true"),
            ("min_nack_queue", "500"),
            ("rtp_port_range", "\"30000-40000\""),
            ("dtls_mtu", "1000"),
            ("no_media_timer", "0"),
            ("slowlink_threshold", "4"),
            ("twcc_period", "100"),
            ("dtls_timeout", "500"),
            ("nack_optimizations", "true"),
            ("dscp", "46"),
        ],
    ),
    (
        "janus.jcfg",
        "nat",
        &[("stun_server", "\"s\""), ("turn_server", "\"t\""), ("nat_1_1_mapping", "\"203.0.113.9\"")],
        &[
            ("stun_server", "\"x\""),
            ("nice_debug", "true"),
            ("full_trickle", "true"),
            ("ice_nomination", "\"regular\""),
            ("ice_consent_freshness", "true"),
            ("ice_keepalive_conncheck", "true"),
            ("hangup_on_failed", "true"),
            ("ice_lite", "true"),
            ("ice_tcp", "true"),
            ("ignore_mdns", "true"),
            ("nat_1_1_mapping", "\"203.0.113.8\""),
            ("keep_private_host", "true"),
            ("turn_server", "\"x\""),
            ("turn_port", "1"),
            ("turn_type", "\"tcp\""),
            ("turn_user", "\"u\""),
            ("turn_pwd", "\"p\""),
            ("turn_rest_api", "\"x\""),
            ("turn_rest_api_key", "\"x\""),
            ("turn_rest_api_method", "\"POST\""),
            ("turn_rest_api_timeout", "5"),
            ("allow_force_relay", "true"),
            ("ice_enforce_list", "\"eth0\""),
            ("ice_ignore_list", "\"vmnet\""),
            ("ignore_unreachable_ice_server", "true"),
        ],
    ),
    ("janus.jcfg", "nat", &[("stun_server", "\"s\"")], &[("stun_port", "5000")]),
    ("janus.jcfg", "plugins", &[], &[("disable", "\"libjanus_sip.so\"")]),
    ("janus.jcfg", "transports", &[], &[("disable", "\"libjanus_http.so\"")]),
    ("janus.jcfg", "loggers", &[], &[("disable", "\"libjanus_jsonlog.so\"")]),
    (
        "janus.jcfg",
        "events",
        &[],
        &[("combine_media_stats", "true"), ("disable", "\"libjanus_wsevh.so\""), ("stats_period", "5")],
    ),
    (
        HTTP,
        "general",
        &[("http", "true")],
        &[
            ("events", "false"),
            ("json", "\"indented\""),
            ("base_path", "\"/x\""),
            ("http", "false"),
            ("port", "80"),
            ("interface", "\"lo\""),
            ("ip", "\"127.0.0.1\""),
            ("https", "true"),
            ("acl", "\"127.\""),
            ("mhd_connection_limit", "5"),
            ("mhd_debug", "true"),
        ],
    ),
    (HTTP, "general", &[("acl", "\"127.\"")], &[("acl_forwarded", "true")]),
    (
        HTTP,
        "general",
        &[("https", "true")],
        &[("secure_port", "443"), ("secure_interface", "\"lo\""), ("secure_ip", "\"127.0.0.1\"")],
    ),
    (
        HTTP,
        "admin",
        &[("admin_http", "true"), ("admin_acl", "\"10.\"")],
        &[
            ("admin_base_path", "\"/x\""),
            ("admin_http", "true"),
            ("admin_port", "80"),
            ("admin_interface", "\"lo\""),
            ("admin_ip", "\"127.0.0.1\""),
            ("admin_https", "true"),
            ("admin_acl", "\"127.\""),
            ("admin_acl_forwarded", "true"),
        ],
    ),
    (
        HTTP,
        "cors",
        &[("allow_origin", "\"https://a.example\"")],
        &[("allow_origin", "\"https://b.example\""), ("enforce_cors", "true")],
    ),
    (
        WEBSOCKETS,
        "general",
        &[("ws", "true")],
        &[
            ("events", "false"),
            ("json", "\"indented\""),
            ("pingpong_trigger", "30"),
            ("pingpong_timeout", "10"),
            ("ws", "false"),
            ("ws_port", "80"),
            ("ws_interface", "\"lo\""),
            ("ws_ip", "\"127.0.0.1\""),
            ("ws_unix", "\"/s\""),
            ("wss", "true"),
            ("ws_logging", "\"err\""),
            ("ws_acl", "\"127.\""),
        ],
    ),
    (WEBSOCKETS, "general", &[("ws_acl", "\"127.\"")], &[("ws_acl_forwarded", "true")]),
    (
        WEBSOCKETS,
        "general",
        &[("wss", "true")],
        &[("wss_port", "443"), ("wss_interface", "\"lo\""), ("wss_ip", "\"127.0.0.1\""), ("wss_unix", "\"/s\"")],
    ),
    (
        WEBSOCKETS,
        "admin",
        &[("admin_ws", "true"), ("admin_ws_acl", "\"10.\"")],
        &[
            ("admin_ws", "true"),
            ("admin_ws_port", "80"),
            ("admin_ws_interface", "\"lo\""),
            ("admin_ws_ip", "\"127.0.0.1\""),
            ("admin_ws_unix", "\"/s\""),
            ("admin_wss", "true"),
            ("admin_ws_acl", "\"127.\""),
            ("admin_ws_acl_forwarded", "true"),
        ],
    ),
    (
        WEBSOCKETS,
        "cors",
        &[("allow_origin", "\"https://a.example\"")],
        &[("allow_origin", "\"https://b.example\""), ("enforce_cors", "true")],
    ),
    (
        "janus.plugin.videoroom.jcfg",
        "general",
        &[("admin_key", "\"k\"")],
        &[("admin_key", "\"x\""), ("lock_rtp_forward", "true"), ("events", "false"), ("string_ids", "true")],
    ),
    (
        "janus.plugin.videoroom.jcfg",
        "room-1",
        &[],
        &[
            ("description", "\"d\""),
            ("is_private", "true"),
            ("secret", "\"s\""),
            ("pin", "\"p\""),
            ("require_pvtid", "true"),
            ("signed_tokens", "true"),
            ("publishers", "5"),
            ("bitrate", "128000"),
            ("bitrate_cap", "true"),
            ("fir_freq", "5"),
            ("audiocodec", "\"pcmu\""),
            ("videocodec", "\"h264\""),
            ("vp9_profile", "\"2\""),
            ("h264_profile", "\"42e01f\""),
            ("opus_fec", "false"),
            ("opus_dtx", "true"),
            ("video_svc", "true"),
            ("audiolevel_ext", "false"),
            ("audiolevel_event", "true"),
            ("audio_active_packets", "50"),
            ("audio_level_average", "30"),
            ("videoorient_ext", "false"),
            ("playoutdelay_ext", "false"),
            ("transport_wide_cc_ext", "false"),
            ("record", "true"),
            ("rec_dir", "\"/r\""),
            ("lock_record", "true"),
            ("notify_joining", "true"),
            ("require_e2ee", "true"),
            ("dummy_publisher", "true"),
            ("dummy_e2ee", "true"),
            ("dummy_streams", "( { codec = \"vp8\" } )"),
            ("allowed", "[ \"a\" ]"),
            ("threads", "4"),
        ],
    ),
    (
        "janus.eventhandler.sampleevh.jcfg",
        "general",
        &[("enabled", "true"), ("backend", "\"http://h/\"")],
        &[
            ("enabled", "true"),
            ("events", "\"media\""),
            ("grouping", "false"),
            ("json", "\"indented\""),
            ("compress", "true"),
            ("compression", "9"),
            ("backend", "\"http://x/\""),
            ("backend_pwd", "\"p\""),
            ("backend_user", "\"u\""),
            ("max_retransmissions", "9"),
            ("retransmissions_backoff", "9"),
        ],
    ),
    (
        "janus.eventhandler.wsevh.jcfg",
        "general",
        &[("enabled", "true"), ("backend", "\"ws://h/\"")],
        &[
            ("enabled", "true"),
            ("events", "\"media\""),
            ("grouping", "false"),
            ("json", "\"indented\""),
            ("backend", "\"ws://x/\""),
            ("subprotocol", "\"p\""),
            ("events_cap_on_reconnect", "10"),
            ("ws_logging", "\"err\""),
        ],
    ),
];

/// The options of listeners with TLS need two sections.
const TLS: &[(&str, &str)] =
    &[("cert_pem", "\"/x\""), ("cert_key", "\"/x\""), ("cert_pwd", "\"x\""), ("ciphers", "\"x\"")];

#[test]
fn every_option_of_janus_is_taken_over_or_named() {
    let written = |section: &str, options: &[(&str, &str)]| {
        let options: Vec<String> = options.iter().map(|(option, value)| format!("{option} = {value}")).collect();
        format!("{section}: {{ {} }}\n", options.join("\n"))
    };
    let imported = |file: &str, text: String| {
        let core = "general: { admin_secret = \"x\" } events: { broadcast = true }".to_owned();
        let (text, core) = if file == "janus.jcfg" { (String::new(), text) } else { (text, core) };
        let files = [("janus.jcfg", &*core), (if file == "janus.jcfg" { "unread" } else { file }, &*text)];
        let folder = folder("walk", &files);
        let import = read(&folder, crate::interface::addresses().unwrap()).unwrap_or_else(|error| panic!("{error}"));
        fs::remove_dir_all(&folder).unwrap();
        (import.table.clone(), import.words.join("\n"))
    };
    let mut lost = Vec::new();
    let mut walk = |file: &str, option: &str, with: String, without: String| {
        let ((table, said), (before, _)) = (imported(file, with), imported(file, without));
        let is_named = [", ", ": "].iter().any(|end| said.contains(&format!(", {option}{end}")));
        if table == before && !is_named {
            lost.push(format!("{file}: {option}"));
        }
    };
    for (file, section, base, options) in WALK {
        for (option, value) in *options {
            let others: Vec<_> = base.iter().copied().filter(|(other, _)| other != option).collect();
            let with = [others.as_slice(), &[(*option, *value)]].concat();
            walk(file, option, written(section, &with), written(section, &others));
        }
    }
    for (file, on) in [(HTTP, "https"), (WEBSOCKETS, "wss")] {
        let general = written("general", &[(on, "true")]);
        let pair = [("cert_pem", "\"/c\""), ("cert_key", "\"/k\"")];
        for (option, value) in TLS {
            let others: Vec<_> = pair.iter().copied().filter(|(other, _)| other != option).collect();
            let with = [others.as_slice(), &[(*option, *value)]].concat();
            let [with, without] = [with, others].map(|options| general.clone() + &written("certificates", &options));
            walk(file, option, with, without);
        }
    }
    for (file, plain, secure) in [(HTTP, "admin_secure", "admin_https"), (WEBSOCKETS, "admin_wss", "admin_wss")] {
        let tls = if file == HTTP { "https" } else { "wss" };
        let general = written("general", &[(tls, "true")]);
        for (option, value) in [("port", "443"), ("ip", "\"127.0.0.1\""), ("interface", "\"lo\""), ("unix", "\"/s\"")] {
            let option = format!("{plain}_{option}");
            if option == "admin_secure_unix" {
                continue;
            }
            let without = general.clone() + &written("admin", &[(secure, "true")]);
            walk(file, &option, general.clone() + &written("admin", &[(secure, "true"), (&option, value)]), without);
        }
    }
    // Files that are not read at all are named whole.
    for name in ["transport.rabbitmq", "transport.mqtt", "transport.nanomsg", "transport.pfunix", "logger.jsonlog"]
        .into_iter()
        .chain(["eventhandler.gelfevh", "eventhandler.mqttevh", "eventhandler.nanomsgevh", "eventhandler.rabbitmqevh"])
        .chain(["plugin.audiobridge", "plugin.streaming", "plugin.textroom", "plugin.sip", "plugin.recordplay"])
    {
        for text in ["general: { enabled = true }", "general: { enabled = false }", "general: { what = }"] {
            let (_, said) = imported(&format!("janus.{name}.jcfg"), text.into());
            assert!(said.contains(&format!("janus.{name}")), "{name}: {said}");
        }
    }
    assert!(lost.is_empty(), "lost without a word:\n{}", lost.join("\n"));
}
