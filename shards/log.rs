//! What is logged: the filter of the command line at first, then what an operator sets. Janus counts importance from 0
//! (nothing) to 7 (everything); here are what those numbers mean.

use portunus::signalling::MachineRequest;
use std::io::{self, IsTerminal};
use std::sync::Arc;
use tracing::level_filters::LevelFilter;
use tracing::{debug, error, info, trace, warn};
use tracing_subscriber::EnvFilter;

/// The way to change what is logged.
#[derive(Clone)]
pub struct Log(Arc<dyn Fn(LevelFilter) + Send + Sync>);

impl Log {
    /// Begins to log what passes the filter, whose syntax has been checked.
    pub fn begin(filter: &str) -> Log {
        let subscriber = tracing_subscriber::fmt()
            .with_env_filter(discreet(EnvFilter::new(filter)))
            .with_writer(io::stderr)
            .with_ansi(has_colours());
        let subscriber = subscriber.with_filter_reloading();
        let handle = subscriber.reload_handle();
        subscriber.init();
        Log(Arc::new(move |level| {
            // The subscriber lives as long as the program.
            let _ = handle.reload(discreet(EnvFilter::default().add_directive(level.into())));
        }))
    }

    /// Does what an operator wants.
    pub fn handle(&self, order: MachineRequest) {
        match order {
            MachineRequest::LogLevel(level) => (self.0)(filter(level)),
            MachineRequest::WithoutEffect(verb, why) => info!("an operator's {verb} has no effect: {why}"),
            MachineRequest::Warn(room, warning) => warn!("room {:?}: {warning}", room.to_string()),
            MachineRequest::LogLine(level, line) => match level {
                0..=2 => error!("an operator: {line:?}"),
                3 => warn!("an operator: {line:?}"),
                4 => info!("an operator: {line:?}"),
                5 => debug!("an operator: {line:?}"),
                _ => trace!("an operator: {line:?}"),
            },
        }
    }
}

/// Whether lines have colours.
pub fn has_colours() -> bool {
    io::stderr().is_terminal()
}

/// A filter, but for what the WebSocket library would tell of: whole messages, and with them the secrets of clients.
fn discreet(filter: EnvFilter) -> EnvFilter {
    filter.add_directive("tungstenite=info".parse().expect("a directive"))
}

fn filter(level: u8) -> LevelFilter {
    match level {
        0 => LevelFilter::OFF,
        1 | 2 => LevelFilter::ERROR,
        3 => LevelFilter::WARN,
        4 => LevelFilter::INFO,
        5 => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    }
}

/// Janus' number for the most that a filter lets through.
pub fn level(filter: &str) -> u8 {
    let most = EnvFilter::try_new(filter).ok().and_then(|filter| filter.max_level_hint());
    match most.unwrap_or(LevelFilter::TRACE) {
        LevelFilter::OFF => 0,
        LevelFilter::ERROR => 2,
        LevelFilter::WARN => 3,
        LevelFilter::INFO => 4,
        LevelFilter::DEBUG => 5,
        _ => 7,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_filters_say_the_same() {
        for number in [0, 2, 3, 4, 5, 7] {
            assert_eq!(level(&filter(number).to_string()), number);
        }
        assert_eq!(level("warn,portunus=debug"), 5);
    }
}
