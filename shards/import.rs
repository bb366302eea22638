//! `portunus import-janus DIR`: reads the configuration of a Janus and writes ours, with what has no equivalent here in
//! words. What the options mean is below: `server` has those of the whole server, `room` those of VideoRoom.

mod room;
mod server;

use crate::config::Config;
use crate::settings::Settings;
use portunus::wire::jcfg::{self, Group, JcfgError, Value};
use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use toml::Table;

/// The file that is made.
const OURS: &str = "portunus.toml";
/// `@include`s in one another, as libconfig has it.
const INCLUDES_MAX: usize = 10;

/// Why nothing is written.
#[derive(Debug)]
pub enum ImportError {
    /// A file cannot be read or written.
    File(PathBuf, io::Error),
    /// A file is no configuration.
    Jcfg(PathBuf, JcfgError),
    /// None of the files that we know is there.
    Nothing(PathBuf),
    /// What came of it is not what we take ourselves.
    Unfit(String),
}

impl std::fmt::Display for ImportError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ImportError::File(path, error) => write!(f, "{}: {error}", path.display()),
            ImportError::Jcfg(path, error) => write!(f, "{}: {error}", path.display()),
            ImportError::Nothing(folder) => write!(f, "{}: there is no janus.jcfg in it", folder.display()),
            ImportError::Unfit(error) => write!(f, "what came of it does not fit: {error}"),
        }
    }
}

/// What is made: our settings, and sentences about what they do not say.
#[derive(Default)]
struct Import {
    table: Table,
    words: Vec<String>,
}

/// One of Janus' files, of which everything must be read or spoken of.
struct File {
    name: String,
    group: Group,
}

/// Imports a folder; the text says how it went.
pub fn run(folder: &Path, out: &Path) -> Result<String, ImportError> {
    let import = read(folder)?;
    let text = import.compose(folder);
    // It is asked of the very code that will read it.
    let unfit = |error: &dyn std::fmt::Display| ImportError::Unfit(error.to_string());
    let settings: Settings = toml::from_str(&text).map_err(|error| unfit(&error))?;
    Config::new(settings).map_err(|error| unfit(&error))?;
    let path = out.join(OURS);
    let failed = |error| ImportError::File(path.clone(), error);
    // It may hold secrets, and is nothing to write over.
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).map_err(failed)?;
    file.write_all(text.as_bytes()).map_err(failed)?;
    let mut said = format!("{} is written. Look at it with: portunus check --config {0}\n", path.display());
    if !import.words.is_empty() {
        said.push_str("\nWhat is different or has no equivalent (also in the file):\n");
    }
    for word in &import.words {
        let _ = writeln!(said, "- {word}");
    }
    Ok(said)
}

fn read(folder: &Path) -> Result<Import, ImportError> {
    let mut import = Import::default();
    // Ours is the demo room when nothing is said of rooms.
    import.set("room", toml::Value::Array(Vec::new()));
    let main = load(folder, "janus.jcfg")?.ok_or_else(|| ImportError::Nothing(folder.to_owned()))?;
    import.server(&main);
    let transports = ["http", "websockets"].map(|name| load(folder, &format!("janus.transport.{name}.jcfg")));
    let [http, websockets] = transports;
    import.transports(http?.as_ref(), websockets?.as_ref());
    if let Some(file) = load(folder, "janus.plugin.videoroom.jcfg")? {
        import.videoroom(&file);
    }
    let mut others: Vec<String> = fs::read_dir(folder)
        .map_err(|error| ImportError::File(folder.to_owned(), error))?
        .filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned()))
        .filter(|name| name.starts_with("janus.") && name.ends_with(".jcfg"))
        .filter(|name| {
            !["janus.jcfg", "janus.plugin.videoroom.jcfg"].contains(&name.as_str())
                && !["http", "websockets"].iter().any(|known| *name == format!("janus.transport.{known}.jcfg"))
        })
        .collect();
    others.sort();
    let (events, others): (Vec<_>, Vec<_>) =
        others.into_iter().partition(|name| name.starts_with("janus.eventhandler."));
    if !events.is_empty() {
        let sentence =
            format!("event handlers are not imported, configure by hand where events go: {}", events.join(", "));
        import.words.push(sentence);
    }
    if !others.is_empty() {
        import.words.push(format!("not read, as nothing here does what they are for: {}", others.join(", ")));
    }
    Ok(import)
}

/// Reads a file if it is there, with what it includes.
fn load(folder: &Path, name: &str) -> Result<Option<File>, ImportError> {
    let path = folder.join(name);
    if !path.exists() {
        return Ok(None);
    }
    let text = included(folder, &path, 0)?;
    let group = jcfg::parse(&text).map_err(|error| ImportError::Jcfg(path, error))?;
    Ok(Some(File { name: name.to_owned(), group }))
}

/// The text of a file with those in place that it includes.
fn included(folder: &Path, path: &Path, depth: usize) -> Result<String, ImportError> {
    let failed = |error| ImportError::File(path.to_owned(), error);
    if depth > INCLUDES_MAX {
        return Err(failed(io::Error::other("too many files that include one another")));
    }
    let text = fs::read_to_string(path).map_err(failed)?;
    let mut whole = String::new();
    for line in text.lines() {
        let name = line.trim().strip_prefix("@include").and_then(|rest| rest.trim().strip_prefix('"'));
        match name.and_then(|rest| rest.split_once('"')) {
            Some((name, _)) => whole.push_str(&included(folder, &folder.join(name), depth + 1)?),
            None => whole.push_str(line),
        }
        whole.push('\n');
    }
    Ok(whole)
}

impl Import {
    fn set(&mut self, name: &str, value: impl Into<toml::Value>) {
        self.table.insert(name.to_owned(), value.into());
    }

    fn say(&mut self, file: &File, option: &str, sentence: &str) {
        self.words.push(format!("{}, {option}: {sentence}", file.name));
    }

    fn compose(&self, folder: &Path) -> String {
        let mut text = format!("# Made of {} by `portunus import-janus`.\n", folder.display());
        for word in &self.words {
            let _ = writeln!(text, "# - {}", word.replace('\n', " "));
        }
        text + "\n" + &toml::to_string(&self.table).unwrap_or_default()
    }
}

/// As Janus reads a boolean.
fn is_true(value: &Value) -> bool {
    let text = value.scalar().unwrap_or_default();
    ["yes", "true", "1"].iter().any(|word| text.eq_ignore_ascii_case(word))
}

/// Whether nothing is asked for: the option is as if it were not there.
fn is_idle(value: &Value) -> bool {
    let is_no =
        |text: String| text.is_empty() || text == "0" || ["no", "false"].contains(&text.to_lowercase().as_str());
    match value {
        Value::List(list) => list.is_empty(),
        Value::Group(group) => group.iter().next().is_none(),
        scalar => scalar.scalar().is_some_and(is_no),
    }
}

#[cfg(test)]
mod tests {
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
        assert!(!said.contains("- "), "{said}");
    }

    #[test]
    fn what_has_a_name_here_is_taken_over() {
        let main = "general: { api_secret = \"sesame\" session_timeout = 30 reclaim_session_timeout = \"5\" \
            server_name = \"here\" debug_level = 5 }\n\
            media: { rtp_port_range = \"30000-40000\" slowlink_threshold = 4 dscp = 46 }\n\
            nat: { nat_1_1_mapping = \"203.0.113.9,2001:db8::9\" ice_enforce_list = \"eth,127.0.0.1\" ice_ignore_list = \"vmnet\" }";
        let websockets = "general: { ws = true ws_port = 9000 ws_ip = \"127.0.0.1\" pingpong_trigger = 10 }\n\
            cors: { allow_origin = \"https://a.example\" enforce_cors = true }";
        let http = "general: { http = false }";
        let files = [
            ("janus.jcfg", main),
            ("janus.transport.websockets.jcfg", websockets),
            ("janus.transport.http.jcfg", http),
        ];
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
            ("media_ip", vec!["127.0.0.1"].into()),
            ("listen", vec!["127.0.0.1:9000"].into()),
            ("ping_interval", 10.into()),
            ("allow_origin", "https://a.example".into()),
            ("enforce_cors", true.into()),
        ] {
            assert_eq!(table.get(name), Some(&value), "{name}");
        }
        // Addresses and names at once are more than we take: the addresses are meant.
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
        assert!(said.contains("0.0.0.0:7989 speaks no TLS") && !said.contains("threads"), "{said}");
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
        assert!(!table.contains_key("admin_listen") && said.contains("needs an admin_secret"), "{said}");
        assert!(said.contains("admin_acl"), "{said}");
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
        assert_eq!(rooms.len(), 2, "{rooms:?}");
        let room = rooms[0].as_table().unwrap();
        assert_eq!(
            (&room["room"], &room["bitrate"], &room["opus_fec"]),
            (&1234.into(), &128_000.into(), &false.into())
        );
        assert_eq!((&room["videocodec"], &room["secret"]), (&"vp9,h264".into(), &"s".into()));
        assert_eq!(rooms[1]["description"], "room-8".into());
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
}
