//! `portunus import-janus DIR`: reads the configuration of a Janus and writes ours, with what has no equivalent here in
//! words. What the options mean is below: `server` has those of Janus' core, `transport` where it listens, `handler` where
//! events go, `room` those of VideoRoom, and `keys` what is said of all others.

mod handler;
mod keys;
mod room;
mod server;
mod source;
#[cfg(test)]
mod tests;
mod transport;

use crate::config::Config;
use crate::config::settings::Settings;
use crate::interface::{self, InterfaceAddress};
use portunus::wire::jcfg::JcfgError;
use source::{File, is_true};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use toml::Table;

/// The file that is made.
const OURS: &str = "portunus.toml";

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
            ImportError::Nothing(folder) => {
                write!(f, "{} is not a folder with a janus.jcfg (or the older janus.cfg)", folder.display())
            }
            ImportError::Unfit(error) => write!(f, "what came of it does not fit: {error}"),
        }
    }
}

/// What is made: our settings, and sentences about what they do not say.
#[derive(Default)]
struct Import {
    table: Table,
    words: Vec<String>,
    /// The addresses of this machine.
    own: Vec<InterfaceAddress>,
    /// Files of modules that Janus does not load.
    disabled_plugins: Vec<String>,
    disabled_transports: Vec<String>,
    disabled_events: Vec<String>,
    /// Whether events go anywhere.
    events: bool,
    /// Files of event handlers that are off.
    off: Vec<String>,
}

/// Imports a folder; the text says how it went.
pub fn run(folder: &Path, out: &Path) -> Result<String, ImportError> {
    let own = interface::addresses().map_err(|error| ImportError::Unfit(error.to_string()))?;
    let import = read(folder, own)?;
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
    for word in import.words() {
        let _ = writeln!(said, "- {word}");
    }
    Ok(said)
}

fn read(folder: &Path, mut own: Vec<InterfaceAddress>) -> Result<Import, ImportError> {
    // A link-local address needs a scope, which neither an SDP nor our settings have.
    own.retain(|own| !matches!(own.ip, IpAddr::V6(v6) if v6.is_unicast_link_local()));
    let mut import = Import { own, ..Import::default() };
    // Ours is the demo room when nothing is said of rooms.
    import.set("room", toml::Value::Array(Vec::new()));
    let mut main = import.load(folder, "janus")?.ok_or_else(|| ImportError::Nothing(folder.to_owned()))?;
    import.server(&mut main);
    import.rest(&main);
    let http = import.load(folder, "janus.transport.http")?;
    let websockets = import.load(folder, "janus.transport.websockets")?;
    import.transports(http, websockets);
    if let Some(file) = import.load(folder, "janus.plugin.videoroom")? {
        import.videoroom(file);
    }
    import.without_videoroom();
    import.others(folder)?;
    Ok(import)
}

impl Import {
    fn set(&mut self, name: &str, value: impl Into<toml::Value>) {
        self.table.insert(name.to_owned(), value.into());
    }

    /// The files that no equivalent of ours reads, and event handlers.
    fn others(&mut self, folder: &Path) -> Result<(), ImportError> {
        let entries = fs::read_dir(folder).map_err(|error| ImportError::File(folder.to_owned(), error))?;
        let names = entries.filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned()));
        let mut stems: BTreeMap<String, String> = BTreeMap::new();
        for name in names.filter(|name| name.starts_with("janus.")) {
            let stem = name.strip_suffix(".jcfg").or_else(|| name.strip_suffix(".cfg")).map(str::to_owned);
            stem.into_iter().for_each(|stem| _ = stems.insert(stem, name.clone()));
        }
        for known in ["janus", "janus.plugin.videoroom", "janus.transport.http", "janus.transport.websockets"] {
            stems.remove(known);
        }
        let mut unread = Vec::new();
        for (stem, file) in stems {
            if let Some(name) = stem.strip_prefix("janus.eventhandler.") {
                match self.load(folder, &stem) {
                    Ok(file) => file.into_iter().for_each(|file| self.handler(name, file)),
                    Err(error) => self.words.push(format!("not read: {error}")),
                }
                continue;
            }
            if let Some(name) = stem.strip_prefix("janus.transport.")
                && !disabled(&self.disabled_transports, name)
                && let Ok(Some(file)) = self.load(folder, &stem)
                && is_used(&file)
            {
                let sentence = "enabled in Janus, but Portunus serves HTTP and WebSocket only: clients that connect this way cannot";
                self.words.push(format!("{}: {sentence}", file.name));
                continue;
            }
            unread.push(file);
        }
        if !self.off.is_empty() {
            self.words.push(format!("event handlers that are off in Janus are not imported: {}", self.off.join(", ")));
        }
        if !unread.is_empty() {
            self.words.push(format!("not read, because Portunus has nothing that corresponds: {}", unread.join(", ")));
        }
        Ok(())
    }

    /// The sentences, each in one line.
    fn words(&self) -> impl Iterator<Item = String> {
        self.words.iter().map(|word| word.replace(char::is_control, " "))
    }

    fn compose(&self, folder: &Path) -> String {
        let mut text = format!("# Made of {} by `portunus import-janus`.\n", folder.display());
        for word in self.words() {
            let _ = writeln!(text, "# - {word}");
        }
        text + "\n" + &toml::to_string(&self.table).unwrap_or_default()
    }
}

/// Whether a transport that we do not have is on, for clients or for operators.
fn is_used(file: &File) -> bool {
    let is_on = |section: &str, option: &str| file.look(section, option).is_some_and(|text| is_true(&text));
    is_on("general", "enabled") || is_on("admin", "admin_enabled")
}

/// Whether a list of files names the module: `libjanus_http.so`.
fn disabled(files: &[String], module: &str) -> bool {
    files.iter().any(|file| *file == format!("libjanus_{module}.so"))
}
