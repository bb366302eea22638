//! Questions to every media shard at once: `list`, and the survey behind `/healthz` and the `update` of event handlers.
//! Each shard has a ticket of its own.

use std::time::Duration;

use super::http::HealthCheck;
use super::plugin::Exchange;
use super::relay::Relay;
use super::{SignallingEngine, SignallingReport, Waiting, size};
use crate::control::command::{Command, Reply, ShardReport};
use crate::control::summary::RoomSummary;
use crate::id::{ShardId, SignallingId, Ticket};
use crate::limits::TICKET_DEADLINE;
use crate::time::Now;
use crate::videoroom::error::PluginError;
use crate::videoroom::render;

/// A shard that has not reported in this time is called missing.
const SURVEY_DEADLINE: Duration = Duration::from_secs(2);

/// Janus' pace, whatever that of statistics is.
pub(super) const UPDATE_INTERVAL: Duration = Duration::from_secs(15);

/// Names one question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ScatterId(u64);

/// One question and the answers so far.
#[derive(Debug)]
pub(super) struct Scatter {
    purpose: Purpose,
    waiting: usize,
    rooms: Vec<RoomSummary>,
    gathered: Gathered,
    /// Why the first of the missing is missing.
    error: Option<PluginError>,
}

/// How all shards are, as far as they have said.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    /// Of media shards.
    pub reports: Vec<ShardReport>,
    /// Media shards that have not answered.
    pub missing: Vec<ShardId>,
    /// Of signalling shards.
    pub signalling_shards: Vec<SignallingReport>,
    /// Signalling shards that have not answered.
    pub missing_signalling_shards: Vec<SignallingId>,
}

#[derive(Debug)]
enum Purpose {
    List(Exchange),
    Health(HealthCheck),
    Update,
}

impl SignallingEngine {
    /// Asks every shard for its rooms.
    pub(super) fn scatter_list(&mut self, now: Now, exchange: Exchange, private: bool) {
        self.scatter(now, TICKET_DEADLINE, Purpose::List(exchange), || Command::List { private });
    }

    /// Asks every shard how it is, for `/healthz`.
    pub(super) fn scatter_health(&mut self, now: Now, check: HealthCheck) {
        self.scatter_survey(now, Purpose::Health(check));
    }

    /// The same for what event handlers hear regularly.
    pub(super) fn begin_update(&mut self, now: Now) {
        self.update_at = now.mono + UPDATE_INTERVAL;
        self.scatter_survey(now, Purpose::Update);
    }

    /// Asks every shard how it is, the signalling shards too.
    fn scatter_survey(&mut self, now: Now, purpose: Purpose) {
        let id = self.scatter(now, SURVEY_DEADLINE, purpose, || Command::Survey);
        let own = self.report();
        if let Some(scatter) = self.scatters.get_mut(&id) {
            scatter.gathered.signalling_shards.push(own);
            scatter.waiting += usize::from(self.config.signalling_shards) - 1;
        }
        let (me, signalling_shards) = (self.config.id, self.config.signalling_shards);
        for signalling in (0..signalling_shards).map(SignallingId).filter(|signalling| *signalling != me) {
            let ticket = self.tickets.reserve(now.mono + SURVEY_DEADLINE, Waiting::Report(id, signalling));
            self.relay(signalling, Relay::Survey(me, ticket));
        }
    }

    fn scatter(&mut self, now: Now, patience: Duration, purpose: Purpose, command: impl Fn() -> Command) -> ScatterId {
        self.scatters_made += 1;
        let id = ScatterId(self.scatters_made);
        let waiting = usize::from(self.config.shards);
        let (rooms, gathered) = (Vec::new(), Gathered::default());
        self.scatters.insert(id, Scatter { purpose, waiting, rooms, gathered, error: None });
        for shard in (0..self.config.shards).map(ShardId) {
            self.ask_until(now.mono + patience, shard, command(), Waiting::Scatter(id, shard));
        }
        id
    }

    /// One media shard has answered, or never will.
    pub(super) fn gather(&mut self, now: Now, id: ScatterId, shard: ShardId, reply: Result<Reply, PluginError>) {
        let Some(scatter) = self.scatters.get_mut(&id) else { return };
        match reply {
            Ok(Reply::Rooms(rooms)) => scatter.rooms.extend(rooms),
            Ok(Reply::Surveyed(report)) => scatter.gathered.reports.push(*report),
            wrong => {
                scatter.gathered.missing.push(shard);
                scatter.error.get_or_insert(wrong.err().unwrap_or(PluginError::Unexpected));
            }
        }
        self.conclude(now, id);
    }

    /// Another signalling shard has answered.
    pub(super) fn gather_report(&mut self, now: Now, ticket: Ticket, report: SignallingReport) {
        let Some(Waiting::Report(id, _)) = self.tickets.take(ticket) else {
            self.drops.reply_late += 1;
            return;
        };
        if let Some(scatter) = self.scatters.get_mut(&id) {
            scatter.gathered.signalling_shards.push(report);
            self.conclude(now, id);
        }
    }

    /// Another signalling shard does not answer.
    pub(super) fn miss_report(&mut self, now: Now, id: ScatterId, signalling: SignallingId) {
        if let Some(scatter) = self.scatters.get_mut(&id) {
            scatter.gathered.missing_signalling_shards.push(signalling);
            self.conclude(now, id);
        }
    }

    /// One of those who were asked is done.
    fn conclude(&mut self, now: Now, id: ScatterId) {
        let Some(scatter) = self.scatters.get_mut(&id) else { return };
        scatter.waiting -= 1;
        if scatter.waiting > 0 {
            return;
        }
        let Some(scatter) = self.scatters.remove(&id) else { return };
        let Scatter { purpose, mut rooms, mut gathered, error, .. } = scatter;
        match purpose {
            Purpose::List(exchange) => {
                // Half a list would be taken for the whole.
                let fits = error.map_or(Ok(()), Err).and_then(|()| self.check_size(&exchange, size::of_list(&rooms)));
                let answer = fits.map(|()| {
                    rooms.sort_by(|one, other| one.spec.room.cmp(&other.spec.room));
                    render::list(exchange.name(), &rooms)
                });
                self.finish(now, exchange, answer);
            }
            Purpose::Health(check) => {
                gathered.reports.sort_by_key(|report| report.shard);
                gathered.signalling_shards.sort_by_key(|report| report.signalling);
                self.answer_health(&check, &gathered);
            }
            Purpose::Update => self.emit_update(now, &gathered),
        }
    }
}
