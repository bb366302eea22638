//! What is wrong with the configuration, in a sentence that names the setting.

use super::misspelling::explain;
use std::path::PathBuf;
use std::{fmt, io};

/// What is wrong with the configuration.
#[derive(Debug)]
pub enum ConfigError {
    /// The file cannot be read.
    File(PathBuf, io::Error),
    /// The file is not what it should be; the error names line and key.
    Toml(PathBuf, Box<toml::de::Error>),
    /// A setting has a value that cannot be: its name and a sentence.
    Value(&'static str, String),
    /// The interfaces cannot be listed.
    Interfaces(io::Error),
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConfigError::File(path, error) => write!(f, "cannot read {}: {error}", path.display()),
            ConfigError::Toml(path, error) => write!(f, "{}: {}", path.display(), explain(error)),
            ConfigError::Value(name, sentence) => write!(f, "{name}: {sentence}"),
            ConfigError::Interfaces(error) => {
                write!(f, "cannot list the network interfaces ({error}): name the addresses with --media-ip")
            }
        }
    }
}
