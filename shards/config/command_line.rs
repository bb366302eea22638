//! The command line: the program's subcommands, and what they come to together with the environment and the file.

use super::Config;
use super::settings::Settings;
use crate::fault::StartError;
use crate::import;
use clap::{Parser, Subcommand};
use portunus::limits::BOUNDS;
use std::path::PathBuf;

/// A WebRTC media server for Janus clients.
#[derive(Parser)]
#[command(name = "portunus", version, about)]
pub struct CommandLine {
    /// Settings file (TOML; every setting by its name with underscores, rooms as [[room]])
    #[arg(long, value_name = "FILE", env = "PORTUNUS_CONFIG", global = true)]
    pub config: Option<PathBuf>,
    #[command(flatten)]
    pub settings: Settings,
    #[command(subcommand)]
    pub command: Option<Command>,
}

#[derive(Subcommand)]
pub enum Command {
    /// Validates the settings and prints them as they take effect
    Check {
        /// Ask a STUN server too at which address it sees this machine: the one to put into public_ip
        #[arg(long, value_name = "HOST:PORT")]
        stun: Option<String>,
    },
    /// Prints every bound, and what happens beyond it
    Limits,
    /// Makes a portunus.toml of a Janus' configuration files and says what has no equivalent
    ImportJanus {
        /// Where janus.jcfg is, such as /etc/janus
        dir: PathBuf,
        /// Where portunus.toml is written
        #[arg(long, value_name = "DIR", default_value = ".")]
        out: PathBuf,
    },
}

/// What the program is asked to do.
pub enum Task {
    Serve(Box<Config>),
    /// Show the settings, and what a STUN server says.
    Check(Box<Config>, Option<String>),
    /// Show this text.
    Show(String),
}

/// Reads the command line, the environment and the file. Wrong flags and `--help` end the program here.
pub fn load() -> Result<Task, StartError> {
    let line = CommandLine::parse();
    let config = || -> Result<_, StartError> {
        let file = line.config.as_deref().map(Settings::read).transpose()?.unwrap_or_default();
        Ok(Box::new(Config::new(line.settings.or(file))?))
    };
    Ok(match line.command {
        None => Task::Serve(config()?),
        Some(Command::Check { stun }) => Task::Check(config()?, stun),
        Some(Command::Limits) => Task::Show(limits()),
        Some(Command::ImportJanus { dir, out }) => Task::Show(import::run(&dir, &out).map_err(StartError::Import)?),
    })
}

/// One line a bound: its name, what it allows, what happens beyond.
fn limits() -> String {
    let rows = || BOUNDS.iter().map(|bound| (bound.name.to_lowercase(), bound.amount.to_string(), bound.beyond));
    let width = rows().map(|(name, ..)| name.len()).max().unwrap_or_default();
    rows().map(|(name, amount, beyond)| format!("{name:width$}  {amount}; beyond it {beyond}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;
    use std::collections::BTreeMap;

    /// A table cell without its quotes.
    fn plain(cell: &str) -> String {
        cell.replace('`', "").trim().to_owned()
    }

    #[test]
    fn the_readme_has_every_flag_with_the_default_that_help_states() {
        let readme = include_str!("../../README.md");
        let mut shown = BTreeMap::new();
        for row in readme.lines().filter(|line| line.starts_with("| `--")) {
            let cells: Vec<&str> = row.split('|').collect();
            let name = plain(cells[1]).trim_start_matches("--").split(' ').next().unwrap_or_default().to_owned();
            assert!(shown.insert(name.clone(), plain(cells[2])).is_none(), "{name} is there twice");
        }
        let line = CommandLine::command();
        for flag in line.get_arguments().filter_map(|flag| Some((flag.get_long()?, flag.get_help()?.to_string()))) {
            let (name, help) = flag;
            if ["config", "help", "version"].contains(&name) {
                continue;
            }
            let stated = help.split_once("[default: ").map_or("", |(_, rest)| rest.trim_end_matches(']'));
            let of_readme = shown.remove(name);
            assert_eq!(of_readme.as_deref(), Some(stated), "--{name}: the README's default (left) and --help's");
        }
        assert!(shown.is_empty(), "the README has flags that are not there: {:?}", shown.keys());
    }

    #[test]
    fn a_limit_is_one_line_with_its_unit() {
        let text = limits();
        assert_eq!(text.lines().count(), BOUNDS.len());
        assert!(text.contains("  16384 rooms of one media shard; beyond it create is refused\n"), "{text}");
    }
}
