//! Event handlers: the one that posts and the one with a WebSocket have the options here that they have there.

use super::source::File;
use super::{Import, disabled};
use crate::config::handlers::Handlers;
use crate::config::settings::Settings;
use toml::Table;

/// One of Janus' handlers, and the settings of ours that does the same.
struct Kind {
    name: &'static str,
    url: &'static str,
    table: &'static str,
    texts: &'static [&'static str],
    switches: &'static [&'static str],
    numbers: &'static [&'static str],
}

const KINDS: [Kind; 2] = [
    Kind {
        name: "sampleevh",
        url: "event_webhook",
        table: "event_webhook_options",
        texts: &["events", "backend_user", "backend_pwd"],
        switches: &["grouping", "compress"],
        numbers: &["compression", "max_retransmissions", "retransmissions_backoff"],
    },
    Kind {
        name: "wsevh",
        url: "event_websocket",
        table: "event_websocket_options",
        texts: &["events", "subprotocol"],
        switches: &["grouping"],
        numbers: &[],
    },
];

impl Import {
    /// `janus.eventhandler.NAME.jcfg`
    pub(super) fn handler(&mut self, name: &str, mut file: File) {
        let is_on = file.switch("general", "enabled").unwrap_or_default();
        if !self.events || !is_on || disabled(&self.disabled_events, name) {
            return self.off.push(file.name);
        }
        let Some(kind) = KINDS.iter().find(|kind| kind.name == name) else {
            let sentence = "Portunus sends events over HTTP and WebSocket only: see event_webhook and event_websocket";
            return self.words.push(format!("{}: {sentence}", file.name));
        };
        let mut table = Table::new();
        for name in kind.texts {
            // Blanks in the list of events are nothing to Janus.
            let text = file.text("general", name);
            let text = if *name == "events" { text.map(|text| text.replace(' ', "")) } else { text };
            text.into_iter().for_each(|text| _ = table.insert((*name).into(), text.into()));
        }
        for name in kind.switches {
            let switch = file.switch("general", name);
            switch.into_iter().for_each(|is_on| _ = table.insert((*name).into(), is_on.into()));
        }
        for name in kind.numbers {
            match file.text("general", name).map(|text| text.parse::<u32>()) {
                Some(Ok(number)) => _ = table.insert((*name).into(), i64::from(number).into()),
                Some(Err(_)) => self.say(&file, &format!("general, {name}"), "not a number from 0 on"),
                None => {}
            }
        }
        let mut ours = Table::new();
        let url = file.text("general", "backend");
        url.into_iter().for_each(|url| _ = ours.insert(kind.url.into(), url.into()));
        ours.insert(kind.table.into(), table.into());
        match check(&ours, kind.url) {
            Ok(()) => self.table.extend(ours),
            Err(error) => self.say(&file, "general, backend", &format!("not imported: {error}")),
        }
        self.rest(&file);
    }
}

/// Asks the code that will read it.
fn check(ours: &Table, url: &str) -> Result<(), String> {
    if !ours.contains_key(url) {
        return Err("there is no URL".into());
    }
    let settings: Settings = ours.clone().try_into().map_err(|error: toml::de::Error| error.message().to_owned())?;
    Handlers::new(&settings.or(Settings::defaults())).map(drop).map_err(|error| error.to_string())
}
