//! Options of VideoRoom and its rooms.

use super::{File, Import, is_true};
use crate::rooms::RoomTable;
use portunus::wire::jcfg::{Group, Value};
use toml::Table;

const TEXTS: [&str; 7] = ["description", "secret", "pin", "audiocodec", "videocodec", "vp9_profile", "h264_profile"];
const NUMBERS: [&str; 5] = ["publishers", "bitrate", "fir_freq", "audio_active_packets", "audio_level_average"];
const SWITCHES: [&str; 14] = [
    "is_private",
    "require_pvtid",
    "signed_tokens",
    "require_e2ee",
    "dummy_publisher",
    "bitrate_cap",
    "opus_fec",
    "opus_dtx",
    "audiolevel_ext",
    "audiolevel_event",
    "videoorient_ext",
    "playoutdelay_ext",
    "transport_wide_cc_ext",
    "notify_joining",
];

impl Import {
    /// `janus.plugin.videoroom.jcfg`
    pub(super) fn videoroom(&mut self, file: &File) {
        let mut string_ids = false;
        if let Some(general) = file.group.group("general") {
            string_ids = general.get("string_ids").is_some_and(is_true);
            if string_ids {
                self.set("string_ids", true);
            }
            let key = general.get("admin_key").and_then(Value::scalar).filter(|key| !key.is_empty());
            key.into_iter().for_each(|key| self.set("admin_key", key));
            if general.get("lock_rtp_forward").is_some_and(is_true) {
                match self.table.contains_key("admin_key") {
                    true => self.set("lock_rtp_forward", true),
                    false => self.say(file, "lock_rtp_forward", "locks nothing without an admin_key"),
                }
            }
            self.rest(file, "general", general, &["string_ids", "admin_key", "lock_rtp_forward", "events"]);
        }
        let sentence = "`permanent` changes were written here: name a rooms_file to keep them, or they are refused";
        self.say(file, "rooms", sentence);
        let sentence = "packets go to public addresses alone: name other networks in forward_allow";
        self.say(file, "rtp_forward", sentence);
        let mut rooms = Vec::new();
        for (section, value) in file.group.iter().filter(|(section, _)| *section != "general") {
            match (section.strip_prefix("room-"), value) {
                (Some(id), Value::Group(options)) => rooms.extend(self.room(file, section, id, options, string_ids)),
                _ => self.say(file, section, "neither `general` nor a room"),
            }
        }
        self.table.insert("room".into(), toml::Value::Array(rooms));
    }

    fn room(&mut self, file: &File, section: &str, id: &str, options: &Group, string_ids: bool) -> Option<toml::Value> {
        let mut table = Table::new();
        match id.parse::<i64>() {
            Ok(number) if !string_ids => table.insert("room".into(), number.into()),
            _ => table.insert("room".into(), id.into()),
        };
        // Without a description, Janus shows the section.
        table.insert("description".into(), section.into());
        for (name, value) in options.iter() {
            let text = value.scalar().unwrap_or_default();
            if TEXTS.contains(&name) {
                if !text.is_empty() {
                    table.insert(name.into(), text.into());
                }
            } else if name == "allowed" {
                if let Value::List(list) = value {
                    let tokens: Vec<_> = list.iter().filter_map(Value::scalar).map(toml::Value::from).collect();
                    table.insert(name.into(), tokens.into());
                }
            } else if name == "signed_tokens" && !self.table.contains_key("token_auth_secret") {
                if is_true(value) {
                    self.say(file, &format!("{section}, {name}"), "asks for nothing without a token_auth_secret");
                }
            } else if SWITCHES.contains(&name) {
                table.insert(name.into(), is_true(value).into());
            } else if NUMBERS.contains(&name) {
                match text.trim().parse::<u32>() {
                    Ok(number) => _ = table.insert(name.into(), i64::from(number).into()),
                    Err(_) => self.say(file, &format!("{section}, {name}"), "not a number from 0 on"),
                }
            }
        }
        let taken: Vec<&str> = TEXTS.into_iter().chain(NUMBERS).chain(SWITCHES).chain(["threads"]).collect();
        // Where recordings would go says nothing while there are none.
        let records = options.get("record").is_some_and(is_true);
        let mut taken = if records { taken } else { [taken.as_slice(), &["rec_dir"]].concat() };
        if table.contains_key("allowed") {
            taken.push("allowed");
        }
        self.rest(file, section, options, &taken);
        let value = toml::Value::Table(table);
        let spec = value.clone().try_into::<RoomTable>().map_err(|error| error.to_string());
        match spec.and_then(|table| table.spec(string_ids)) {
            Ok(_) => Some(value),
            Err(error) => {
                self.say(file, section, &format!("the room is left out: {}", error.trim()));
                None
            }
        }
    }
}
