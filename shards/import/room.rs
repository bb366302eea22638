//! Options of VideoRoom and its rooms.

use super::source::File;
use super::{Import, disabled};
use crate::config::rooms::RoomTable;
use portunus::control::codec::Codec;
use portunus::wire::jcfg::{Group, Value};
use toml::Table;

const TEXTS: [&str; 5] = ["description", "secret", "pin", "vp9_profile", "h264_profile"];
const NUMBERS: [&str; 5] = ["publishers", "bitrate", "fir_freq", "audio_active_packets", "audio_level_average"];
const SWITCHES: [&str; 15] = [
    "is_private",
    "require_pvtid",
    "signed_tokens",
    "require_e2ee",
    "dummy_publisher",
    "dummy_e2ee",
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
/// Codecs of a room, and whether they are of video; the first five count, as in Janus.
const CODECS: [(&str, bool); 2] = [("audiocodec", false), ("videocodec", true)];
const CODECS_MAX: usize = 5;

impl Import {
    /// `janus.plugin.videoroom.jcfg`
    pub(super) fn videoroom(&mut self, mut file: File) {
        let string_ids = file.switch("general", "string_ids").unwrap_or_default();
        if string_ids {
            self.set("string_ids", true);
        }
        file.text("general", "admin_key").into_iter().for_each(|key| self.set("admin_key", key));
        if file.switch("general", "lock_rtp_forward") == Some(true) {
            match self.table.contains_key("admin_key") {
                true => self.set("lock_rtp_forward", true),
                false => self.say(&file, "general, lock_rtp_forward", "has no effect without an admin_key"),
            }
        }
        if disabled(&self.disabled_plugins, "videoroom") {
            self.words.push(format!("{}: the rooms are left out because VideoRoom is disabled", file.name));
            return;
        }
        let sentence = "Janus keeps `permanent` changes in this file; set rooms_file to keep them, or they are refused";
        self.say(&file, "rooms", sentence);
        let sentence = "RTP may be forwarded to public addresses only; list other networks in forward_allow";
        self.say(&file, "rtp_forward", sentence);
        let mut rooms: Vec<toml::Value> = Vec::new();
        let sections: Vec<(String, Group)> = file
            .group
            .iter()
            .filter(|(section, _)| *section != "general")
            .filter_map(|(section, value)| match value {
                Value::Group(options) => Some((section.to_owned(), options.clone())),
                _ => None,
            })
            .collect();
        for (section, options) in sections {
            let Some(room) = self.room(&mut file, &section, &options, string_ids) else { continue };
            if rooms.iter().any(|other| other.get("room") == room.get("room")) {
                self.say(&file, &section, "left out: an earlier section is the same room");
            } else {
                rooms.push(room);
            }
        }
        self.set("room", toml::Value::Array(rooms));
        self.rest(&file);
    }

    /// VideoRoom is all that there is: without it, nobody may make rooms until somebody names the key.
    pub(super) fn without_videoroom(&mut self) {
        if !disabled(&self.disabled_plugins, "videoroom") {
            return;
        }
        let mut sentence =
            "plugins.disable: VideoRoom is disabled, but it is all that Portunus serves: there are no rooms, and \
            creating one needs the admin_key"
                .to_owned();
        if !self.table.contains_key("admin_key") {
            let mut key = [0_u8; 16];
            // Without randomness nothing starts either.
            let _ = aws_lc_rs::rand::fill(&mut key);
            self.set("admin_key", key.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
            sentence.push_str(", here a random one (in the file)");
        }
        self.words.push(sentence);
    }

    fn room(&mut self, file: &mut File, section: &str, options: &Group, string_ids: bool) -> Option<toml::Value> {
        let id = section.strip_prefix("room-").unwrap_or(section);
        let mut table = Table::new();
        match id.parse::<i64>() {
            Ok(number) if !string_ids && number.to_string() == id => table.insert("room".into(), number.into()),
            _ => table.insert("room".into(), id.into()),
        };
        // Without a description, Janus shows the section.
        table.insert("description".into(), section.into());
        for name in TEXTS {
            let text = file.text(section, name);
            text.into_iter().for_each(|text| _ = table.insert(name.into(), text.into()));
        }
        for name in SWITCHES {
            let Some(is_on) = file.switch(section, name) else { continue };
            if name == "signed_tokens" && is_on && !self.table.contains_key("token_auth_secret") {
                let sentence = "has no effect without a token_auth_secret";
                self.say(file, &format!("{section}, {name}"), sentence);
            } else {
                table.insert(name.into(), is_on.into());
            }
        }
        for name in NUMBERS {
            match file.text(section, name).map(|text| text.trim().parse::<u32>()) {
                Some(Ok(number)) => _ = table.insert(name.into(), i64::from(number).into()),
                Some(Err(_)) => self.say(file, &format!("{section}, {name}"), "not a number from 0 on"),
                None => {}
            }
        }
        for (name, video) in CODECS {
            if let Some(codecs) = self.codecs(file, section, name, video) {
                table.insert(name.into(), codecs.into());
            }
        }
        if let Some(Value::List(list)) = options.get("allowed") {
            file.take(section, "allowed");
            let tokens: Vec<_> = list.iter().filter_map(Value::scalar).map(toml::Value::from).collect();
            table.insert("allowed".into(), tokens.into());
        }
        if let Some(Value::List(list)) = options.get("dummy_streams") {
            file.take(section, "dummy_streams");
            let streams = list.iter().filter_map(|stream| self.dummy_stream(file, section, stream));
            let streams: Vec<toml::Value> = streams.collect();
            if !streams.is_empty() {
                table.insert("dummy_streams".into(), streams.into());
            }
        }
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

    /// A list without those that we do not have; none is the default.
    fn codecs(&mut self, file: &mut File, section: &str, name: &str, video: bool) -> Option<String> {
        let text = file.text(section, name)?;
        let option = format!("{section}, {name}");
        let mut known: Vec<&str> = Vec::new();
        for item in text.split(',').map(str::trim).filter(|item| !item.is_empty()) {
            match Codec::from_janus(item).filter(|codec| codec.is_video() == video) {
                Some(_) if known.len() == CODECS_MAX => {
                    self.say(file, &option, &format!("{item} is left out: {CODECS_MAX} codecs are the most"));
                }
                Some(codec) => known.push(codec.janus()),
                None => self.say(file, &option, &format!("{item} is left out: Portunus does not have this codec")),
            }
        }
        if known.is_empty() {
            let default = if video { "vp8" } else { "opus" };
            self.say(file, &option, &format!("nothing is left of {text}, so it is {default}"));
            return None;
        }
        Some(known.join(","))
    }

    fn dummy_stream(&mut self, file: &File, section: &str, stream: &Value) -> Option<toml::Value> {
        let option = format!("{section}, dummy_streams");
        let Value::Group(stream) = stream else {
            self.say(file, &option, "one of them is no group of codec and fmtp, and is left out");
            return None;
        };
        let text = |name: &str| stream.get(name).and_then(Value::scalar).filter(|text| !text.is_empty());
        let Some(codec) = text("codec").as_deref().and_then(Codec::from_janus) else {
            let named = text("codec").unwrap_or_else(|| "one without a codec".into());
            self.say(file, &option, &format!("{named} is left out: Portunus does not have this codec"));
            return None;
        };
        let mut table = Table::new();
        table.insert("codec".into(), codec.janus().into());
        text("fmtp").into_iter().for_each(|fmtp| _ = table.insert("fmtp".into(), fmtp.into()));
        Some(table.into())
    }
}
