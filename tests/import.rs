//! `portunus import-janus` and `portunus check` as an operator runs them, one behind the other.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

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
