//! Questions to every media shard at once: `list`, and the survey behind `/healthz`. Each shard has a ticket of its own.

use std::time::Duration;

use super::error::PluginError;
use super::http::HealthCheck;
use super::plugin::Exchange;
use super::{SignalEngine, Waiting, message};
use crate::id::ShardId;
use crate::limits::TICKET_DEADLINE;
use crate::room::command::{Command, Reply, RoomSummary, ShardReport};
use crate::time::Now;

/// A shard that has not reported in this time is called missing.
const SURVEY_DEADLINE: Duration = Duration::from_secs(2);

/// Names one question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ScatterId(u64);

/// One question and the answers so far.
#[derive(Debug)]
pub(super) struct Scatter {
    purpose: Purpose,
    waiting: usize,
    rooms: Vec<RoomSummary>,
    reports: Vec<ShardReport>,
    missing: Vec<ShardId>,
    /// Why the first of the missing is missing.
    error: Option<PluginError>,
}

#[derive(Debug)]
enum Purpose {
    List(Exchange),
    Health(HealthCheck),
}

impl SignalEngine {
    /// Asks every shard for its rooms.
    pub(super) fn scatter_list(&mut self, now: Now, exchange: Exchange, private: bool) {
        self.scatter(now, TICKET_DEADLINE, Purpose::List(exchange), || Command::List { private });
    }

    /// Asks every shard how it is.
    pub(super) fn scatter_survey(&mut self, now: Now, check: HealthCheck) {
        self.scatter(now, SURVEY_DEADLINE, Purpose::Health(check), || Command::Survey);
    }

    fn scatter(&mut self, now: Now, patience: Duration, purpose: Purpose, command: impl Fn() -> Command) {
        self.scatters_made += 1;
        let id = ScatterId(self.scatters_made);
        let waiting = usize::from(self.config.shards);
        let (rooms, reports, missing) = (Vec::new(), Vec::new(), Vec::new());
        self.scatters.insert(id, Scatter { purpose, waiting, rooms, reports, missing, error: None });
        for shard in (0..self.config.shards).map(ShardId) {
            self.ask_until(now.mono + patience, shard, command(), Waiting::Scatter(id, shard));
        }
    }

    /// One shard has answered, or never will.
    pub(super) fn gather(&mut self, now: Now, id: ScatterId, shard: ShardId, reply: Result<Reply, PluginError>) {
        let Some(scatter) = self.scatters.get_mut(&id) else { return };
        match reply {
            Ok(Reply::Rooms(rooms)) => scatter.rooms.extend(rooms),
            Ok(Reply::Surveyed(report)) => scatter.reports.push(*report),
            wrong => {
                scatter.missing.push(shard);
                scatter.error.get_or_insert(wrong.err().unwrap_or(PluginError::Unexpected));
            }
        }
        scatter.waiting -= 1;
        if scatter.waiting > 0 {
            return;
        }
        let Some(scatter) = self.scatters.remove(&id) else { return };
        let Scatter { purpose, mut rooms, mut reports, missing, error, .. } = scatter;
        match purpose {
            Purpose::List(exchange) => {
                rooms.sort_by(|one, other| one.spec.room.cmp(&other.spec.room));
                let answer = message::list(exchange.name(), &rooms);
                // Half a list would be taken for the whole.
                self.finish(now, exchange, error.map_or(Ok(answer), Err));
            }
            Purpose::Health(check) => {
                reports.sort_by_key(|report| report.shard);
                self.answer_health(&check, &reports, &missing);
            }
        }
    }
}
