//! `portunus import-janus` and `portunus check` as an operator runs them, one behind the other.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

const JANUS: &str = "# A Janus that listens on loopback.\n\
    general: { session_timeout = 30; api_secret = \"sesame\"; token_auth = false }\n\
    nat: { nat_1_1_mapping = \"203.0.113.9\"\n ice_ignore_list = \"vmnet,docker\" stun_server = \"stun.example\" }";
const WEBSOCKETS: &str = "general: { ws = true, ws_port = 8189, ws_ip = \"127.0.0.1\" }";
const HTTP: &str = "general: { http = true, port = 8089, ip = \"127.0.0.1\" }\nadmin: { admin_http = true }";
const VIDEOROOM: &str = "general: { }\n\
    room-4411: { description = \"standup\" publishers = 12 secret = \"sesame\" videocodec = \"vp8,h264\" }\n\
    room-4412: { record = true }";

fn portunus(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_portunus")).args(arguments).output().expect("the program starts")
}

#[test]
fn what_is_made_of_a_janus_passes_the_check() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("import");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("the build directory can be written");
    for (name, text) in [
        ("janus.jcfg", JANUS),
        ("janus.transport.websockets.jcfg", WEBSOCKETS),
        ("janus.transport.http.jcfg", HTTP),
        ("janus.plugin.videoroom.jcfg", VIDEOROOM),
        ("janus.plugin.echotest.jcfg", "general: { }"),
    ] {
        fs::write(folder.join(name), text).expect("a file");
    }
    let folder = folder.to_str().expect("UTF-8");
    let import = portunus(&["import-janus", folder, "--out", folder]);
    let said = String::from_utf8_lossy(&import.stdout).into_owned();
    assert!(import.status.success(), "{}", String::from_utf8_lossy(&import.stderr));
    for word in ["stun_server", "needs an admin_secret", "room-4412, record", "janus.plugin.echotest.jcfg"] {
        assert!(said.contains(word), "{word}: {said}");
    }
    let check = portunus(&["check", "--config", &format!("{folder}/portunus.toml")]);
    assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stderr));
    let shown: toml::Table = String::from_utf8_lossy(&check.stdout).parse().expect("it is shown as TOML");
    assert_eq!(shown["listen"], vec!["127.0.0.1:8089", "127.0.0.1:8189"].into());
    assert_eq!(shown["room"].as_array().map(Vec::len), Some(2));
    assert_eq!(shown["public_ip"], vec!["203.0.113.9"].into());

    let again = portunus(&["import-janus", folder, "--out", folder]);
    assert!(!again.status.success(), "a file that is there is kept");
    assert!(!portunus(&["import-janus", "/nowhere"]).status.success());
}

/// A configuration of `tests/vectors/import` imported: the folder with what came of it, that, and the report.
fn imported(vector: &str) -> (PathBuf, toml::Table, String) {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/import").join(vector);
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join("import-vectors").join(vector);
    let _ = fs::remove_dir_all(&out);
    fs::create_dir_all(&out).expect("the build directory can be written");
    let [from, to] = [&from, &out].map(|path| path.to_str().expect("UTF-8"));
    let import = portunus(&["import-janus", from, "--out", to]);
    assert!(import.status.success(), "{vector}: {}", String::from_utf8_lossy(&import.stderr));
    let said = String::from_utf8_lossy(&import.stdout).into_owned();
    let file = fs::read_to_string(out.join("portunus.toml")).expect("it is written");
    (out, file.parse().expect("TOML"), said)
}

#[test]
fn what_janus_had_closed_stays_closed() {
    let (_, table, said) = imported("disabled-http");
    assert_eq!(table["listen"], vec!["127.0.0.1:8188"].into(), "the WebSocket alone: {said}");
    assert!(!table.contains_key("admin_secret") && !table.contains_key("admin_listen"), "no Admin API: {said}");
    assert!(said.contains("libjanus_http.so") && said.contains("there is no Admin API"), "{said}");

    let (_, table, said) = imported("admin-interface");
    assert_eq!(table["listen"], vec!["127.0.0.1:8188"].into(), "{said}");
    assert_eq!(table["admin_listen"], vec!["127.0.0.1:7088", "127.0.0.1:7188"].into(), "{said}");
    assert!(said.contains("admin, admin_interface: lo is 127.0.0.1 on this machine"), "{said}");
}

#[test]
fn what_janus_found_out_by_stun_must_be_named() {
    let (_, _, said) = imported("stun-only");
    assert!(said.contains("public_ip must be named, or nobody outside gets media"), "{said}");
    assert!(said.contains("portunus check --stun stun.example.org:3478"), "{said}");
}

#[test]
fn an_address_that_the_machine_lacks_is_advertised_and_not_bound() {
    let (folder, table, said) = imported("interface-is-sdp");
    assert_eq!(table["public_ip"], vec!["203.0.113.5"].into(), "{said}");
    assert!(!table.contains_key("media_ip"), "{said}");
    let config = folder.join("portunus.toml");
    let mut server = Command::new(env!("CARGO_BIN_EXE_portunus"))
        .args(["--config", config.to_str().expect("UTF-8"), "--listen", "127.0.0.1:0", "--media-port", "29300"])
        .args(["--shards", "1"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let banner = BufReader::new(server.stdout.take().expect("piped")).lines().map_while(Result::ok);
    let first = banner.take_while(|line| !line.contains("signalling on")).collect::<Vec<_>>().join("\n");
    server.kill().expect("it runs");
    server.wait().expect("it ends");
    assert!(first.contains("is ready"), "{first}");
    let media = first.split("UDP ").nth(1).and_then(|rest| rest.lines().next()).expect("the media shard's candidates");
    let candidates = media.split(' ').map(|at| at.parse::<std::net::SocketAddr>().expect("an address"));
    for at in candidates.filter(|at| at.is_ipv4() && !at.ip().is_loopback()) {
        assert_eq!(at, "203.0.113.5:29300".parse().expect("an address"), "{first}");
    }
}

#[test]
fn both_addresses_of_a_nat_are_advertised_and_certificates_are_named() {
    let (_, table, said) = imported("keep-private");
    assert_eq!(table["public_ip"], vec!["203.0.113.5"].into(), "{said}");
    for (name, is_on) in [("keep_private_host", true), ("media_ipv6", false)] {
        assert_eq!(table[name], is_on.into(), "{name}: {said}");
    }
    assert_eq!(table["dtls_certificate"], "rsa".into(), "{said}");
    for name in ["dtls_ciphers", "cert_pem", "cert_key", "dtls_accept_selfsigned"] {
        assert!(said.contains(name), "{name}: {said}");
    }
}

#[test]
fn a_byte_of_latin_1_stops_nothing() {
    let (_, table, said) = imported("latin1");
    assert_eq!(table["server_name"], "b\u{fc}ro".into());
    assert!(said.contains("janus.jcfg: not UTF-8, so it is read as Latin-1"), "{said}");
}
