//! The configuration files that Janus had before libconfig (`janus.cfg`): sections in brackets, options as
//! `name = value`, and `;` before what is no value (`\;` is a semicolon). A line that is none of these is told and passed
//! over, where Janus reads no further.

use crate::wire::jcfg::{Group, Value};

/// A file as far as it could be read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ini {
    /// Its sections, each a group of texts.
    pub group: Group,
    /// What is wrong with a line, counted from 1.
    pub faults: Vec<(usize, &'static str)>,
}

/// Reads a whole file.
pub fn parse(text: &str) -> Ini {
    let mut ini = Ini::default();
    let mut section: Option<(String, Group)> = None;
    for (number, line) in (1..).zip(text.lines()) {
        let line = uncommented(line);
        let line = line.trim();
        if line.is_empty() {
            continue;
        }
        if let Some(rest) = line.strip_prefix('[') {
            close(&mut ini.group, section.take());
            let Some(name) = rest.split_once(']').map(|(name, _)| name.trim()).filter(|name| !name.is_empty()) else {
                ini.faults.push((number, "not the name of a section: what follows is passed over"));
                continue;
            };
            if ini.group.get(name).is_some() {
                ini.faults.push((number, "a section that has been there before: it takes the place of that one"));
            }
            section = Some((name.to_owned(), Group::default()));
            continue;
        }
        let option = line.split_once('=').map(|(name, value)| (name.trim(), value.strip_prefix('>').unwrap_or(value)));
        match (option.filter(|(name, _)| !name.is_empty()), &mut section) {
            (Some((name, value)), Some((_, group))) => {
                if group.get(name).is_some() {
                    ini.faults.push((number, "an option that has been there before: it takes the place of that one"));
                }
                group.set(name, Value::Text(value.trim().to_owned()));
            }
            (Some(_), None) => ini.faults.push((number, "an option outside any section")),
            (None, _) => ini.faults.push((number, "neither a section nor an option")),
        }
    }
    close(&mut ini.group, section);
    ini
}

fn close(group: &mut Group, section: Option<(String, Group)>) {
    if let Some((name, options)) = section {
        group.set(&name, Value::Group(options));
    }
}

/// A line without its comment.
fn uncommented(line: &str) -> String {
    let mut kept = String::new();
    let mut rest = line.chars().peekable();
    while let Some(next) = rest.next() {
        match next {
            '\\' if rest.peek() == Some(&';') => kept.extend(rest.next()),
            ';' => break,
            other => kept.push(other),
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn option(ini: &Ini, section: &str, name: &str) -> Option<String> {
        ini.group.group(section)?.get(name)?.scalar()
    }

    #[test]
    fn sections_hold_texts_and_semicolons_begin_comments() {
        let ini = parse(
            "; a file\n\n[1] ; the first\ndescription = Demo Room ; shown\nsecret = a\\;b\npin = \"q\"\n\
             [2]\n indented=yes\nurl = x=y\narrow => 5\nempty =\n",
        );
        assert_eq!(ini.faults, []);
        assert_eq!(option(&ini, "1", "description").as_deref(), Some("Demo Room"));
        assert_eq!(option(&ini, "1", "secret").as_deref(), Some("a;b"));
        assert_eq!(option(&ini, "1", "pin").as_deref(), Some("\"q\""));
        assert_eq!(option(&ini, "2", "indented").as_deref(), Some("yes"));
        assert_eq!(option(&ini, "2", "url").as_deref(), Some("x=y"));
        assert_eq!(option(&ini, "2", "arrow").as_deref(), Some("5"));
        assert_eq!(option(&ini, "2", "empty").as_deref(), Some(""));
    }

    #[test]
    fn faults_are_told_by_line_and_stop_nothing() {
        let ini = parse("stray = 1\n[a]\nx = 1\nx = 2\ngarbage\n[]\ny = 3\n[a]\nz = 4\n# hash");
        let lines: Vec<usize> = ini.faults.iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [1, 4, 5, 6, 7, 8, 10], "{:?}", ini.faults);
        assert_eq!((option(&ini, "a", "x"), option(&ini, "a", "z").as_deref()), (None, Some("4")));
    }
}
