//! The files of a Janus: found in either of the two formats it has had, decoded, with what they include, and each with a
//! record of which of its options have been taken.

use super::{Import, ImportError};
use portunus::wire::ini;
use portunus::wire::jcfg;
use portunus::wire::jcfg::{Group, Value};
use std::collections::HashSet;
use std::path::Path;
use std::{fs, io};

/// `@include`s in one another, as libconfig has it.
const INCLUDES_MAX: usize = 10;

/// One of Janus' files, of which every option is taken or spoken of.
pub struct File {
    /// Its name, for the report.
    pub name: String,
    /// What is in it.
    pub group: Group,
    taken: HashSet<(String, String)>,
}

impl File {
    /// One that says nothing.
    pub fn absent(name: &str) -> File {
        File { name: name.to_owned(), group: Group::default(), taken: HashSet::new() }
    }

    /// Marks an option as one that need not be spoken of any more, and says what it is.
    pub fn take(&mut self, section: &str, option: &str) -> Option<&Value> {
        self.taken.insert((section.to_owned(), option.to_owned()));
        self.group.group(section)?.get(option)
    }

    /// Whether it has been taken.
    pub fn is_taken(&self, section: &str, option: &str) -> bool {
        self.taken.contains(&(section.to_owned(), option.to_owned()))
    }

    /// The text of an option, as Janus reads scalars; none when there is nothing in it. It is taken then.
    pub fn text(&mut self, section: &str, option: &str) -> Option<String> {
        let text = self.look(section, option)?;
        self.take(section, option);
        Some(text)
    }

    /// The same without taking it.
    pub fn look(&self, section: &str, option: &str) -> Option<String> {
        self.group.group(section)?.get(option)?.scalar().filter(|text| !text.is_empty())
    }

    /// A switch, which is taken if it is there.
    pub fn switch(&mut self, section: &str, option: &str) -> Option<bool> {
        self.text(section, option).map(|text| is_true(&text))
    }
}

/// As Janus reads a boolean.
pub fn is_true(text: &str) -> bool {
    ["yes", "true", "1"].iter().any(|word| text.eq_ignore_ascii_case(word))
}

impl Import {
    /// Reads `STEM.jcfg`, or else `STEM.cfg`, if one of them is there.
    pub fn load(&mut self, folder: &Path, stem: &str) -> Result<Option<File>, ImportError> {
        let [new, old] = ["jcfg", "cfg"].map(|ending| format!("{stem}.{ending}"));
        let (is_new, is_old) = (folder.join(&new).exists(), folder.join(&old).exists());
        if is_new && is_old {
            self.words.push(format!("{old}: not read, because {new} is there too"));
        }
        match (is_new, is_old) {
            (true, _) => self.load_jcfg(folder, new).map(Some),
            (false, true) => self.load_ini(folder, old).map(Some),
            (false, false) => Ok(None),
        }
    }

    fn load_jcfg(&mut self, folder: &Path, name: String) -> Result<File, ImportError> {
        let path = folder.join(&name);
        let text = self.included(folder, &path, 0)?;
        let read = jcfg::parse(&text).map_err(|error| ImportError::Jcfg(path, error))?;
        for (line, option) in &read.repeated {
            let sentence = format!("{name}, line {line}: {option} is there twice; the first is taken");
            self.words.push(sentence);
        }
        Ok(File { name, group: read.group, taken: HashSet::new() })
    }

    fn load_ini(&mut self, folder: &Path, name: String) -> Result<File, ImportError> {
        let path = folder.join(&name);
        let bytes = fs::read(&path).map_err(|error| ImportError::File(path, error))?;
        let read = ini::parse(&self.decoded(bytes, &name));
        self.words.push(format!("{name}: read as the old INI format"));
        for (line, what) in &read.faults {
            self.words.push(format!("{name}, line {line}: {what}"));
        }
        Ok(File { name, group: read.group, taken: HashSet::new() })
    }

    /// The text of a file with those in place that it includes.
    fn included(&mut self, folder: &Path, path: &Path, depth: usize) -> Result<String, ImportError> {
        let failed = |error| ImportError::File(path.to_owned(), error);
        if depth > INCLUDES_MAX {
            return Err(failed(io::Error::other("too many files that include one another")));
        }
        let bytes = fs::read(path).map_err(failed)?;
        let text = self.decoded(bytes, &path.file_name().unwrap_or_default().to_string_lossy());
        let mut whole = String::new();
        for line in text.lines() {
            let name = line.trim().strip_prefix("@include").and_then(|rest| rest.trim().strip_prefix('"'));
            match name.and_then(|rest| rest.split_once('"')) {
                Some((name, _)) => whole.push_str(&self.included(folder, &folder.join(name), depth + 1)?),
                None => whole.push_str(line),
            }
            whole.push('\n');
        }
        Ok(whole)
    }

    /// Texts are UTF-8, or what old editors wrote.
    fn decoded(&mut self, bytes: Vec<u8>, name: &str) -> String {
        let text = String::from_utf8(bytes).unwrap_or_else(|error| {
            self.words.push(format!("{name}: not UTF-8, so it is read as Latin-1"));
            error.into_bytes().into_iter().map(char::from).collect()
        });
        text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text)
    }
}
