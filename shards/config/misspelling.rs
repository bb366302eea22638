//! Settings that nobody knows: the parser would list all that it takes, an operator wants the one that was meant.

use super::command_line::CommandLine;
use clap::CommandFactory;

/// Names that are less alike than this (Jaro-Winkler, 0 to 1) are different names and not misspellings. `clap` draws the
/// same line at 0.7 for flags; settings have underscores and common endings, which make strangers look alike.
const ALIKE: f64 = 0.8;

/// What the TOML parser says, with its line and column; an unknown setting names the nearest known one.
pub fn explain(error: &toml::de::Error) -> String {
    let said = error.to_string();
    match unknown(error.message()) {
        Some((name, known)) => said.replace(error.message(), &sentence(name, &known)),
        None => said,
    }
}

/// The unknown name and the known ones of its table, out of serde's sentence (`unknown field `a`, expected one of `b`,
/// `c``); the parser has them in no other form.
fn unknown(message: &str) -> Option<(&str, Vec<&str>)> {
    let quoted = message.strip_prefix("unknown field `")?;
    let (name, rest) = quoted.split_once('`')?;
    Some((name, rest.split('`').skip(1).step_by(2).collect()))
}

fn sentence(name: &str, known: &[&str]) -> String {
    // Flags have dashes where the file has underscores.
    let plain = name.replace('-', "_").to_lowercase();
    let likeness = |known: &&&str| strsim::jaro_winkler(&plain, known);
    let nearest = known.iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
    let line = CommandLine::command();
    let is_flag = |name: &str| line.get_arguments().any(|flag| flag.get_id() == name);
    match nearest.filter(|nearest| likeness(nearest) >= ALIKE) {
        _ if is_flag(&plain) && !known.contains(&plain.as_str()) => {
            format!("unknown setting `{name}` in this table: `{plain}` belongs above the first line in brackets")
        }
        Some(nearest) => format!("unknown setting `{name}`, did you mean `{nearest}`?"),
        None if known.iter().any(|name| is_flag(name)) => {
            format!("unknown setting `{name}`: `portunus --help` shows those that there are")
        }
        None => format!("unknown setting `{name}`: this table takes {}", known.join(" ")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::settings::Settings;
    use super::*;

    fn said(text: &str) -> String {
        explain(&toml::from_str::<Settings>(text).unwrap_err())
    }

    #[test]
    fn an_unknown_setting_names_the_nearest_one_its_line_and_no_other() {
        for (text, line, name, meant) in [
            ("shards = 1\nlisen = []\n", 2, "lisen", "listen"),
            ("signaling_shards = 1", 1, "signaling_shards", "signalling_shards"),
            ("media-port = 1", 1, "media-port", "media_port"),
            ("Session_Timout = 1", 1, "Session_Timout", "session_timeout"),
            ("[[room]]\nroom = 1\npublisher = 3\n", 3, "publisher", "publishers"),
            ("[[rooms]]\nroom = 1\n", 1, "rooms", "room"),
            ("[event_webhook_options]\nmax_retransmission = 1", 2, "max_retransmission", "max_retransmissions"),
            ("[event_websocket_options]\nsub_protocol = \"a\"", 2, "sub_protocol", "subprotocol"),
        ] {
            let said = said(text);
            assert!(said.contains(&format!("line {line},")), "{text}: {said}");
            assert!(said.contains(&format!("unknown setting `{name}`, did you mean `{meant}`?\n")), "{text}: {said}");
            assert!(!said.contains("expected one of"), "{text}: {said}");
        }
    }

    #[test]
    fn a_setting_that_stands_in_the_wrong_table_is_told_its_place() {
        let said = said("[[room]]\nroom = 1\nmedia_port = 3\n");
        assert!(said.contains("`media_port` belongs above the first line in brackets"), "{said}");
    }

    #[test]
    fn a_name_like_no_other_suggests_none() {
        let top = said("zzz = 1");
        assert!(top.contains("`zzz`: `portunus --help` shows") && !top.contains("did you mean"), "{top}");
        let table = said("[event_websocket_options]\nzzz = 1");
        assert!(table.contains("this table takes events grouping subprotocol"), "{table}");
    }

    #[test]
    fn other_errors_stay_as_the_parser_says_them() {
        let said = said("media_port = \"x\"");
        assert!(said.contains("line 1") && said.contains("expected u16"), "{said}");
    }
}
