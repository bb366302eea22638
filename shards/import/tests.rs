//! What is made of configurations of Janus, option by option.

mod walk;

use super::*;

/// A folder of its own for each test, with these files.
fn folder(name: &str, files: &[(&str, &str)]) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("portunus-import-{}-{name}", std::process::id()));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    for (name, text) in files {
        fs::write(folder.join(name), text).unwrap();
    }
    folder
}

/// The settings and the words that come of some files.
fn import(name: &str, files: &[(&str, &str)]) -> (Table, String) {
    let folder = folder(name, files);
    let said = run(&folder, &folder).unwrap_or_else(|error| panic!("{error}"));
    let text = fs::read_to_string(folder.join(OURS)).unwrap();
    fs::remove_dir_all(&folder).unwrap();
    (toml::from_str(&text).unwrap(), said)
}

#[test]
fn an_empty_janus_listens_as_janus_does_and_has_no_room() {
    let (table, said) = import("empty", &[("janus.jcfg", "general: { }")]);
    assert_eq!(table["listen"], toml::Value::from(vec!["0.0.0.0:8088", "0.0.0.0:8188"]));
    assert_eq!(table["room"], toml::Value::Array(vec![]));
    assert_eq!(table["media_ipv6"], false.into());
    // It listened on IPv6 too, which is all that there is to say.
    assert_eq!(said.matches("\n- ").count(), 1, "{said}");
    assert!(said.contains("for IPv6 too, add \"[::]:8088\", \"[::]:8188\""), "{said}");
}

#[test]
fn what_has_a_name_here_is_taken_over() {
    let main = "general: { api_secret = \"sesame\" session_timeout = 30 reclaim_session_timeout = \"5\" \
        server_name = \"here\" debug_level = 5 }\n\
        media: { ipv6 = true rtp_port_range = \"30000-40000\" slowlink_threshold = 4 dscp = 46 }\n\
        nat: { nat_1_1_mapping = \"203.0.113.9,2001:db8::9\" keep_private_host = true ice_enforce_list = \"nosuch,127.0.0.1\" ice_ignore_list = \"vmnet\" }";
    let websockets = "general: { ws = true ws_port = 9000 ws_ip = \"127.0.0.1\" pingpong_trigger = 10 }\n\
        cors: { allow_origin = \"https://a.example\" enforce_cors = true }";
    let http = "general: { http = false }";
    let files =
        [("janus.jcfg", main), ("janus.transport.websockets.jcfg", websockets), ("janus.transport.http.jcfg", http)];
    let (table, said) = import("server", &files);
    for (name, value) in [
        ("api_secret", toml::Value::from("sesame")),
        ("session_timeout", 30.into()),
        ("reclaim_session_timeout", 5.into()),
        ("server_name", "here".into()),
        ("log", "debug".into()),
        ("media_port", 30_000.into()),
        ("slowlink_threshold", 4.into()),
        ("dscp", 46.into()),
        ("public_ip", vec!["203.0.113.9", "2001:db8::9"].into()),
        ("keep_private_host", true.into()),
        ("media_ipv6", true.into()),
        ("media_ip", vec!["127.0.0.1"].into()),
        ("listen", vec!["127.0.0.1:9000"].into()),
        ("ping_interval", 10.into()),
        ("allow_origin", "https://a.example".into()),
        ("enforce_cors", true.into()),
    ] {
        assert_eq!(table.get(name), Some(&value), "{name}");
    }
    // Addresses and names at once are more than we take: both become addresses.
    assert!(said.contains("ice_enforce_list") && said.contains("rtp_port_range"), "{said}");
    assert!(!said.contains("sesame"), "{said}");
}

#[test]
fn what_has_no_equivalent_is_told_in_words() {
    let main = "general: { opaqueid_in_api = false }\n\
        nat: { turn_server = \"turn.example\" full_trickle = true }\nweird: { a = 1 }";
    let files = [("janus.jcfg", main), ("janus.plugin.echotest.jcfg", ""), ("janus.eventhandler.wsevh.jcfg", "")];
    let (_, said) = import("words", &files);
    for word in ["turn_server", "full_trickle", "weird", "echotest", "wsevh"] {
        assert!(said.contains(word), "{word}: {said}");
    }
    assert!(!said.contains("opaqueid_in_api") && !said.contains("sesame"), "{said}");
}

#[test]
fn operators_and_tokens_are_where_they_were() {
    let main = "general: { token_auth = true admin_secret = \"sesame\" token_auth_secret = \"open\" }";
    let http = "general: { http = true }\n\
        admin: { admin_http = true admin_port = 7000 admin_ip = \"127.0.0.1\" admin_base_path = \"/admin\" \
        admin_acl = \"127.,192.168.0.,10.0.0.1\" }";
    let websockets = "general: { ws = true }\nadmin: { admin_wss = true }";
    let room = "general: { admin_key = \"k\" lock_rtp_forward = true }\n\
        room-1: { signed_tokens = true require_e2ee = true dummy_publisher = true allowed = (\"a\", \"b\") threads = 4 }";
    let files = [
        ("janus.jcfg", main),
        ("janus.transport.http.jcfg", http),
        ("janus.transport.websockets.jcfg", websockets),
        ("janus.plugin.videoroom.jcfg", room),
    ];
    let (table, said) = import("operators", &files);
    for (name, value) in [
        ("token_auth", toml::Value::from(true)),
        ("token_auth_secret", "open".into()),
        ("admin_secret", "sesame".into()),
        ("admin_listen", vec!["127.0.0.1:7000"].into()),
        ("admin_allow", vec!["127.0.0.0/8", "192.168.0.0/24", "10.0.0.1/32"].into()),
        ("lock_rtp_forward", true.into()),
    ] {
        assert_eq!(table.get(name), Some(&value), "{name}");
    }
    let room = &table["room"].as_array().unwrap()[0];
    for name in ["signed_tokens", "require_e2ee", "dummy_publisher"] {
        assert_eq!(room[name], true.into(), "{name}");
    }
    assert_eq!(room["allowed"], vec!["a", "b"].into());
    assert!(said.contains("0.0.0.0:7989 speaks no TLS") && said.contains("room-1, threads"), "{said}");
    assert!(!said.contains("sesame") && !said.contains("token_auth"), "{said}");
}

#[test]
fn operators_that_nobody_lets_in_stay_outside() {
    let secret = "general: { admin_secret = \"sesame\" }";
    let (table, said) = import("closed", &[("janus.jcfg", secret)]);
    assert!(!table.contains_key("admin_secret") && said.contains("admin_secret is left out"), "{said}");
    let stored = "general: { admin_secret = \"sesame\" token_auth = true }";
    let (table, _) = import("stored", &[("janus.jcfg", stored)]);
    assert_eq!(table["admin_listen"], vec!["127.0.0.1:7088"].into());
    let open = ("janus.transport.http.jcfg", "admin: { admin_http = true admin_acl = \"10\" }");
    let (table, said) = import("open", &[("janus.jcfg", ""), open]);
    assert!(!table.contains_key("admin_listen") && said.contains("admin_acl has 10, which is no network"), "{said}");
    let open = ("janus.transport.http.jcfg", "admin: { admin_http = true }");
    let (table, said) = import("secretless", &[("janus.jcfg", ""), open]);
    assert!(!table.contains_key("admin_listen") && said.contains("needs an admin_secret"), "{said}");
    let unheard = folder("unheard", &[("janus.jcfg", "general: { token_auth = true }")]);
    assert!(matches!(run(&unheard, &unheard), Err(ImportError::Unfit(..))), "the API would be open");
    fs::remove_dir_all(&unheard).unwrap();
    let room = "room-1: { signed_tokens = true }";
    let (table, said) = import("unsigned", &[("janus.jcfg", ""), ("janus.plugin.videoroom.jcfg", room)]);
    assert!(table["room"][0].get("signed_tokens").is_none() && said.contains("signed_tokens"), "{said}");
}

#[test]
fn rooms_become_rooms() {
    let videoroom = "general: { admin_key = \"k\" lock_rtp_forward = true }\n\
        room-1234: { description = \"Demo\" secret = \"s\" publishers = 6 bitrate = \"128000\" fir_freq = 10 \
        record = false rec_dir = \"/x\" video_svc = true videocodec = \"vp9,h264\" opus_fec = yes_no = 1 }";
    let broken = folder("broken", &[("janus.jcfg", ""), ("janus.plugin.videoroom.jcfg", videoroom)]);
    let error = run(&broken, &broken).unwrap_err().to_string();
    assert!(error.contains("janus.plugin.videoroom.jcfg: line 2"), "{error}");
    assert!(!broken.join(OURS).exists());
    fs::remove_dir_all(&broken).unwrap();

    let videoroom = videoroom.replace("opus_fec = yes_no = 1", "opus_fec = \"no\"")
        + "\nroom-lobby: { }\nroom-7: { audiocodec = \"gramophone\" }\nroom-8: { record = true publishers = \"many\" }";
    let (table, said) = import("rooms", &[("janus.jcfg", ""), ("janus.plugin.videoroom.jcfg", &videoroom)]);
    assert_eq!(table["admin_key"], "k".into());
    let rooms = table["room"].as_array().unwrap();
    assert_eq!(rooms.len(), 3, "{rooms:?}");
    let room = rooms[0].as_table().unwrap();
    assert_eq!((&room["room"], &room["bitrate"], &room["opus_fec"]), (&1234.into(), &128_000.into(), &false.into()));
    assert_eq!((&room["videocodec"], &room["secret"]), (&"vp9,h264".into(), &"s".into()));
    assert_eq!((&rooms[1]["room"], rooms[1].get("audiocodec")), (&7.into(), None), "an unknown codec costs no room");
    assert_eq!(rooms[2]["description"], "room-8".into());
    for word in ["rooms_file", "video_svc", "room-lobby", "room-7", "gramophone", "room-8, record", "publishers"] {
        assert!(said.contains(word), "{word}: {said}");
    }
    assert!(!said.contains("room-1234, record"), "{said}");
}

#[test]
fn rooms_with_texts_for_ids_keep_them() {
    let videoroom = "general: { string_ids = true }\nroom-lobby: { is_private = true }\nroom-12: { }";
    let (table, _) = import("texts", &[("janus.jcfg", ""), ("janus.plugin.videoroom.jcfg", videoroom)]);
    let rooms = table["room"].as_array().unwrap();
    assert_eq!(
        (&table["string_ids"], &rooms[0]["room"], &rooms[1]["room"]),
        (&true.into(), &"lobby".into(), &"12".into())
    );
}

#[test]
fn addresses_that_speak_tls_are_taken_before_those_that_do_not() {
    let websockets = "general: { ws = true wss = true wss_port = 8989 }\n\
        certificates: { cert_pem = \"/c.pem\" cert_key = \"/k.pem\" cert_pwd = \"sesame\" }";
    let (table, said) = import("tls", &[("janus.jcfg", ""), ("janus.transport.websockets.jcfg", websockets)]);
    assert_eq!(table["listen"], vec!["0.0.0.0:8989"].into());
    assert_eq!((&table["tls_cert"], &table["tls_key"]), (&"/c.pem".into(), &"/k.pem".into()));
    assert!(said.contains("8188") && said.contains("cert_pwd") && !said.contains("sesame"), "{said}");
}

#[test]
fn files_are_included_and_nothing_is_written_over() {
    let files = [("janus.jcfg", "general: {\n @include \"more.cfg\"\n}"), ("more.cfg", "server_name = \"inner\"")];
    let (table, _) = import("include", &files);
    assert_eq!(table["server_name"], "inner".into());
    let folder = folder("twice", &[("janus.jcfg", "@include \"janus.jcfg\""), (OURS, "mine")]);
    assert!(matches!(run(&folder, &folder), Err(ImportError::File(..))));
    fs::write(folder.join("janus.jcfg"), "").unwrap();
    assert!(matches!(run(&folder, &folder), Err(ImportError::File(..))));
    assert_eq!(fs::read_to_string(folder.join(OURS)).unwrap(), "mine");
    fs::remove_dir_all(&folder).unwrap();
    assert!(matches!(run(&folder, &folder), Err(ImportError::Nothing(..))));
}

const HTTP: &str = "janus.transport.http.jcfg";
const WEBSOCKETS: &str = "janus.transport.websockets.jcfg";
const SECRET: (&str, &str) = ("janus.jcfg", "general: { admin_secret = \"sesame\" }");

#[test]
fn a_disabled_transport_serves_nobody() {
    let main =
        "general: { admin_secret = \"s\" } transports: { disable = \"libjanus_websockets.so, libjanus_http.so\" }";
    let (table, said) = import("disabled", &[("janus.jcfg", main), (HTTP, "admin: { admin_http = true }")]);
    assert_eq!(table["listen"], vec!["127.0.0.1:8188"].into());
    assert!(!table.contains_key("admin_secret") && !table.contains_key("admin_listen"), "{said}");
    assert!(said.contains("transports, disable: not imported: libjanus_websockets.so"), "{said}");
    assert!(said.contains("no listener for clients is left"), "{said}");
}

#[test]
fn a_disabled_videoroom_has_no_rooms_and_nobody_makes_some() {
    let main = "plugins: { disable = \"libjanus_videoroom.so,libjanus_sip.so\" }";
    let files = [("janus.jcfg", main), ("janus.plugin.videoroom.jcfg", "room-1: { }")];
    let (table, said) = import("no-videoroom", &files);
    assert_eq!(table["room"], toml::Value::Array(vec![]));
    assert_eq!(table["admin_key"].as_str().map(str::len), Some(32));
    assert!(said.contains("VideoRoom is disabled") && said.contains("libjanus_sip.so"), "{said}");
    assert!(!said.contains(table["admin_key"].as_str().unwrap()), "{said}");
}

#[test]
fn what_listened_locally_never_listens_everywhere() {
    let of = |name: &str, http: &str, websockets: &str| {
        let (table, said) = import(name, &[SECRET, (HTTP, http), (WEBSOCKETS, websockets)]);
        let at = |name: &str| -> Vec<String> {
            let list = table.get(name).and_then(|list| list.as_array().cloned()).unwrap_or_default();
            list.iter().filter_map(|at| at.as_str().map(str::to_owned)).collect()
        };
        (at("listen"), at("admin_listen"), said)
    };
    let off = "general: { http = false }";
    // An interface is its address; one that this machine lacks is nowhere.
    let (listen, ..) = of("interface", "general: { interface = \"lo\" }", "general: { ws_interface = \"127.0.0.1\" }");
    assert_eq!(listen, ["127.0.0.1:8088", "127.0.0.1:8188"]);
    let (listen, _, said) = of("gone", "general: { interface = \"nosuch0\" }", "general: { ws_ip = \"localhost\" }");
    assert_eq!(listen, ["127.0.0.1:8188"]);
    assert!(said.contains("general, http: left out: this machine has no interface nosuch0"), "{said}");
    // Between an address and an interface the address is the narrower.
    let both = "general: { ws_interface = \"lo\" ws_ip = \"127.0.0.1\" }";
    assert_eq!(of("both", off, both).0, ["127.0.0.1:8188"]);
    let any = "general: { ws_interface = \"lo\" ws_ip = \"0.0.0.0\" }";
    assert_eq!(of("any", off, any).0, ["127.0.0.1:8188"]);
    // A Unix socket is no port.
    let unix = "general: { ws_unix = \"/run/ws.sock\" }\nadmin: { admin_ws = true admin_ws_unix = \"/run/aws.sock\" }";
    let (listen, operators, said) = of("unix", "", unix);
    assert_eq!((listen, operators.len()), (vec!["0.0.0.0:8088".to_owned()], 0));
    assert!(said.contains("general, ws: left out") && said.contains("admin, admin_ws: left out"), "{said}");
    // Those with TLS are no different.
    let secure = "general: { ws = false wss = true wss_interface = \"lo\" }";
    assert_eq!(of("secure", off, secure).0, ["127.0.0.1:8989"]);
    let secure = "general: { http = false https = true secure_interface = \"nosuch0\" }";
    assert_eq!(of("secure-gone", secure, "general: { ws_ip = \"127.0.0.1\" }").0, ["127.0.0.1:8188"]);
    // Lists of who is let in.
    let (listen, _, said) = of("acl-local", "general: { acl = \"127.,::1\" }", "general: { ws_acl = \"10.\" }");
    assert_eq!(listen, ["127.0.0.1:8088"]);
    assert!(said.contains("ws: left out: it let in only 10.0.0.0/8") && said.contains("add 0.0.0.0:8188"), "{said}");
    let loopback = "general: { ws_ip = \"127.0.0.1\" ws_acl = \"127.,10.\" }";
    assert_eq!(of("acl-loopback", off, loopback).0, ["127.0.0.1:8188"]);
    let (listen, ..) =
        of("acl-odd", "general: { acl = \"12\" }", "general: { ws_acl = \"127.\" ws_acl_forwarded = true }");
    assert_eq!(listen, ["127.0.0.1:8188"], "neither list can be kept: the last resort is on loopback");
    let http = "general: { http = false }\nadmin: { admin_http = true admin_acl = \"10.\" }";
    let websockets = "admin: { admin_ws = true admin_ws_acl = \"10.,192.168.\" admin_wss = false }";
    let (_, operators, said) = of("acl-two", http, websockets);
    assert_eq!(operators, ["0.0.0.0:7088"]);
    assert!(said.contains("admin_ws: 0.0.0.0:7188 is left out"), "{said}");
    let (_, operators, said) = of("acl-one", http, "admin: { admin_ws = true }");
    assert_eq!(operators, ["0.0.0.0:7088", "0.0.0.0:7188"]);
    assert!(said.contains("0.0.0.0:7188 lets in only 10.0.0.0/8"), "{said}");
}

#[test]
fn pages_of_elsewhere_stay_elsewhere() {
    let of = |name: &str, cors: &str| {
        let websockets = "cors: { allow_origin = \"https://other.example\" enforce_cors = true }";
        let two = if name == "cors-two" { websockets } else { "" };
        let (table, said) = import(name, &[SECRET, (HTTP, &format!("cors: {{ {cors} }}")), (WEBSOCKETS, two)]);
        (table.get("allow_origin").and_then(|origin| Some(origin.as_str()?.to_owned())), table, said)
    };
    let (origin, ..) = of("cors-path", "allow_origin = \"https://a.example/page\"");
    assert_eq!(origin.as_deref(), Some("https://a.example"));
    let (origin, _, said) = of("cors-no", "allow_origin = \"a.example\"");
    assert_eq!(origin.as_deref(), Some("https://allow-origin.invalid"));
    assert!(said.contains("cors, allow_origin: a.example is not an origin"), "{said}");
    let (origin, table, said) = of("cors-any", "allow_origin = \"*\" enforce_cors = true");
    assert!(origin.is_none() && table.get("enforce_cors").is_none() && said.contains("enforce_cors"), "{said}");
    let (origin, table, said) = of("cors-two", "allow_origin = \"https://a.example\"");
    assert_eq!((origin.as_deref(), &table["enforce_cors"]), (Some("https://a.example"), &true.into()));
    assert!(said.contains("https://other.example is left out"), "{said}");
}

#[test]
fn media_are_where_they_were() {
    let of = |name: &str, text: &str| {
        let (table, said) = import(name, &[("janus.jcfg", text)]);
        let text = |name: &str| table.get(name).map(toml::Value::to_string).unwrap_or_default();
        (text("media_ip"), text("public_ip"), said)
    };
    let here = of("here", "general: { interface = \"127.0.0.1\" }");
    assert_eq!((&*here.0, &*here.1), ("[\"127.0.0.1\"]", ""));
    assert!(here.2.contains("general, interface: media uses 127.0.0.1 only"), "{}", here.2);
    let named = of("named", "general: { interface = \"lo\" }");
    assert_eq!(&*named.0, "[\"127.0.0.1\"]");
    let away = of("away", "general: { interface = \"203.0.113.5\" }");
    assert_eq!((&*away.0, &*away.1), ("", "[\"203.0.113.5\"]"));
    assert!(away.2.contains("is advertised (public_ip) and not bound"), "{}", away.2);
    let other = of("other", "general: { interface = \"203.0.113.5\" } nat: { nat_1_1_mapping = \"198.51.100.1\" }");
    assert_eq!((&*other.0, &*other.1), ("", "[\"198.51.100.1\"]"));
    assert!(other.2.contains("general, interface: 203.0.113.5 is left out"), "{}", other.2);
    let part = of("part", "nat: { ice_enforce_list = \"127.0.\" }");
    assert_eq!(&*part.0, "[\"127.0.0.1\"]");
    let some = of("some", "nat: { ice_enforce_list = \"203.0.113.7,lo\" }");
    assert!(some.0.contains("127.0.0.1") && !some.0.contains("203.0.113.7"), "what is bound is here: {}", some.0);
    assert!(some.2.contains("203.0.113.7 is left out because this machine does not have it"), "{}", some.2);
    let none = of("none", "nat: { ice_enforce_list = \"203.0.113.\" }");
    assert_eq!(&*none.0, "[\"127.0.0.1\"]", "not everywhere");
    assert!(none.2.contains("until you set media_ip"), "{}", none.2);
    let family = of("family", "nat: { nat_1_1_mapping = \"2001:db8::9\" keep_private_host = true }");
    assert_eq!(&*family.1, "");
    for word in ["2001:db8::9 is left out because media.ipv6 is off", "nat, keep_private_host"] {
        assert!(family.2.contains(word), "{word}: {}", family.2);
    }
    let mapped = of("mapped", "nat: { stun_server = \"stun.example\" nat_1_1_mapping = \"198.51.100.1\" }");
    assert!(
        mapped.2.contains("nat, stun_server: Portunus asks no STUN server; public_ip is 198.51.100.1"),
        "{}",
        mapped.2
    );
}

#[test]
fn event_handlers_are_ours_when_they_were_on() {
    let main = "events: { broadcast = true stats_period = 5 disable = \"libjanus_wsevh.so\" }";
    let webhook = "general: { enabled = true events = \"sessions, media\" backend = \"http://127.0.0.1:9/x\" \
        backend_user = \"u\" backend_pwd = \"sesame\" json = \"plain\" max_retransmissions = 2 }";
    let sample = ("janus.eventhandler.sampleevh.jcfg", webhook);
    let on = "general: { enabled = true backend = \"ws://127.0.0.1:9/\" }";
    let files =
        [("janus.jcfg", main), sample, ("janus.eventhandler.wsevh.jcfg", on), ("janus.eventhandler.mqttevh.jcfg", on)];
    let (table, said) = import("events", &files);
    assert_eq!((&table["event_webhook"], &table["event_stats_period"]), (&"http://127.0.0.1:9/x".into(), &5.into()));
    let options = &table["event_webhook_options"];
    assert_eq!((&options["events"], &options["max_retransmissions"]), (&"sessions,media".into(), &2.into()));
    assert!(!table.contains_key("event_websocket") && !said.contains("sesame"), "{said}");
    for word in [
        "off in Janus are not imported: janus.eventhandler.wsevh.jcfg",
        "mqttevh.jcfg: Portunus sends events",
        "sampleevh.jcfg, general, json",
    ] {
        assert!(said.contains(word), "{word}: {said}");
    }
    let files = [("janus.jcfg", ""), sample];
    assert!(!import("quiet", &files).0.contains_key("event_webhook"), "events are not broadcast");
    let broken = "general: { enabled = true backend = \"mailto:x\" }";
    let files = [("janus.jcfg", "events: { broadcast = true }"), ("janus.eventhandler.sampleevh.jcfg", broken)];
    let (table, said) = import("broken-events", &files);
    assert!(!table.contains_key("event_webhook") && said.contains("not imported: event_webhook"), "{said}");
}

#[test]
fn odd_files_are_imported_with_a_word() {
    let videoroom = "lobby: { }\nroom-7: { description = \"one\" }\nroom-07: { }\nroom-7: { description = \"two\" }\n\
        room-8: { audiocodec = \"isac32,opus\" videocodec = \"vp8,dirac\" dummy_publisher = true \
        dummy_streams = ( { codec = \"vp9\" fmtp = \"profile-id=2\" }, { codec = \"dirac\" } ) }";
    let folder = folder("odd", &[("janus.plugin.videoroom.jcfg", videoroom)]);
    fs::write(folder.join("janus.jcfg"), b"\xef\xbb\xbfgeneral: { server_name = \"M\xc3\xbc\" }").unwrap();
    fs::write(folder.join(HTTP), b"cors: { allow_origin = \"https://m\xfc.example\" }").unwrap();
    fs::write(folder.join("janus.cfg"), "[general]\n").unwrap();
    let said = run(&folder, &folder).unwrap();
    let table: Table = toml::from_str(&fs::read_to_string(folder.join(OURS)).unwrap()).unwrap();
    fs::remove_dir_all(&folder).unwrap();
    assert_eq!(table["server_name"], "M\u{fc}".into());
    let rooms = table["room"].as_array().unwrap();
    assert_eq!(rooms.iter().map(|room| room["room"].clone()).collect::<Vec<_>>(), [7.into(), 8.into()]);
    assert_eq!((&rooms[0]["description"], &rooms[1]["audiocodec"]), (&"one".into(), &"opus".into()));
    assert_eq!(rooms[1]["dummy_streams"][0]["fmtp"], "profile-id=2".into());
    for word in [
        "janus.cfg: not read",
        "not UTF-8, so it is read as Latin-1",
        "line 4: room-7 is there twice",
        "room-07: the room is left out",
        "lobby: the room is left out",
        "room-8, audiocodec: isac32 is left out",
        "room-8, videocodec, dummy_streams: dirac is left out",
    ] {
        assert!(said.contains(word), "{word}: {said}");
    }
}

#[test]
fn a_folder_of_the_old_format_is_imported() {
    let files = [
        ("janus.cfg", "; old\n[general]\napi_secret = sesame ; secret\n[nat]\nnat_1_1_mapping = 203.0.113.9\n# odd\n"),
        ("janus.transport.http.cfg", "[general]\nhttp = no\n[admin]\nadmin_http = no\n"),
        ("janus.transport.websockets.cfg", "[general]\nws = yes\nws_port = 9000\nws_interface = lo\n"),
        (
            "janus.plugin.videoroom.cfg",
            "[general]\n[1234]\ndescription = Demo\nis_private = yes\n[room-1234]\n[5678]\nrecord = yes\n",
        ),
        ("janus.plugin.echotest.cfg", ""),
    ];
    let (table, said) = import("old", &files);
    assert_eq!((&table["api_secret"], &table["listen"]), (&"sesame".into(), &vec!["127.0.0.1:9000"].into()));
    assert_eq!(table["public_ip"], vec!["203.0.113.9"].into());
    let rooms = table["room"].as_array().unwrap();
    assert_eq!((rooms.len(), &rooms[0]["description"], &rooms[0]["is_private"]), (2, &"Demo".into(), &true.into()));
    for word in ["janus.cfg: read as the old INI format", "line 6", "room-1234: left out", "5678, record", "echotest"] {
        assert!(said.contains(word), "{word}: {said}");
    }
}
