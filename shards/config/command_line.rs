//! The command line: the program's subcommands, and what they come to together with the environment and the file.

use super::Config;
use super::settings::Settings;
use crate::fault::StartError;
use crate::import;
use clap::{Parser, Subcommand};
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
        Some(Command::ImportJanus { dir, out }) => Task::Show(import::run(&dir, &out).map_err(StartError::Import)?),
    })
}
