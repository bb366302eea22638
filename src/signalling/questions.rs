//! Questions to every shard: how each is asked, what this shard answers, and what is said when all have answered. Changes
//! start at the first signalling shard, so that all take them in one order.

use std::time::Duration;

use serde_json::json;

use super::connection::{Connection, Protocol};
use super::gather::{
    Answer, Change, Connected, Finished, GatherId, Gathered, Question, Shard, SignallingReport, Topic, Transport,
};
use super::lanes::Relay;
use super::observers::Delivery;
use super::plugin::Exchange;
use super::{SignallingEngine, Waiting, size};
use crate::control::command::{Command, ShardReport};
use crate::id::{ShardId, SignallingId, Ticket};
use crate::limits::TICKET_DEADLINE;
use crate::proto::session::Asker;
use crate::proto::session::token::Tokens;
use crate::time::Now;
use crate::videoroom::render;
use crate::wire::janus::admin;
use crate::wire::janus::error::CoreError;

/// A shard that has not answered an operator or a survey in this time is called missing.
const ANSWER_DEADLINE: Duration = Duration::from_secs(2);

/// Where changes start.
pub(super) const FIRST: SignallingId = SignallingId(0);

/// What the answers are wanted for.
#[derive(Debug)]
pub(super) enum Purpose {
    /// A client's `list`.
    List(Exchange),
    /// `/healthz`
    Health(Asker),
    /// What event handlers hear regularly.
    Update,
    /// An operator's request.
    Operator { asker: Asker, transaction: Box<str>, wanted: Wanted },
}

/// What an operator hears when all have answered.
#[derive(Debug)]
pub(super) enum Wanted {
    /// Exactly this.
    Confirmation(serde_json::Value),
    Sessions,
    Connections(Transport),
    /// How many members each media shard carries.
    Loops,
}

impl SignallingEngine {
    /// Asks every media shard for its rooms.
    pub(super) fn gather_rooms(&mut self, now: Now, exchange: Exchange, private: bool) {
        let id = self.gather.start(Topic::Rooms, media(self.config.shards), Purpose::List(exchange));
        self.ask_media(now, TICKET_DEADLINE, id, || Command::List { private });
    }

    /// Asks every shard how it is, the signalling shards too.
    pub(super) fn gather_survey(&mut self, now: Now, purpose: Purpose) {
        let asked = media(self.config.shards).chain(signalling(self.config.signalling_shards));
        let id = self.gather.start(Topic::Survey, asked, purpose);
        self.ask_media(now, ANSWER_DEADLINE, id, || Command::Survey);
        self.ask_signalling(now, id, &Question::Survey);
    }

    /// Has every signalling shard take note of a change.
    pub(super) fn change(
        &mut self,
        now: Now,
        asker: Asker,
        transaction: &str,
        change: Change,
        answer: serde_json::Value,
    ) {
        let wanted = Wanted::Confirmation(answer);
        self.gather_for(now, asker, transaction, (Topic::Change, wanted), &Question::Change(change));
    }

    /// Has every media shard take a setting.
    pub(super) fn adjust(&mut self, now: Now, asker: Asker, transaction: &str, answer: serde_json::Value) {
        let purpose =
            Purpose::Operator { asker, transaction: transaction.into(), wanted: Wanted::Confirmation(answer) };
        let id = self.gather.start(Topic::Change, media(self.config.shards), purpose);
        let settings = self.operators.media();
        self.ask_media(now, ANSWER_DEADLINE, id, || Command::Adjust(settings));
    }

    /// Asks every media shard for an operator how many members it carries.
    pub(super) fn gather_loops(&mut self, now: Now, asker: Asker, transaction: &str) {
        let purpose = Purpose::Operator { asker, transaction: transaction.into(), wanted: Wanted::Loops };
        let id = self.gather.start(Topic::Survey, media(self.config.shards), purpose);
        self.ask_media(now, ANSWER_DEADLINE, id, || Command::Survey);
    }

    /// Asks every signalling shard for an operator.
    pub(super) fn gather_for(
        &mut self,
        now: Now,
        asker: Asker,
        transaction: &str,
        (topic, wanted): (Topic, Wanted),
        question: &Question,
    ) {
        let purpose = Purpose::Operator { asker, transaction: transaction.into(), wanted };
        let id = self.gather.start(topic, signalling(self.config.signalling_shards), purpose);
        self.ask_signalling(now, id, question);
    }

    fn ask_media(&mut self, now: Now, patience: Duration, id: GatherId, command: impl Fn() -> Command) {
        for shard in (0..self.config.shards).map(ShardId) {
            let waiting = Waiting::Gather(id, Shard::Media(shard));
            self.ask_until(now.mono + patience, shard, command(), waiting);
        }
    }

    /// Asks the other signalling shards, then this one.
    fn ask_signalling(&mut self, now: Now, id: GatherId, question: &Question) {
        let me = self.config.id;
        for other in (0..self.config.signalling_shards).map(SignallingId).filter(|other| *other != me) {
            let waiting = Waiting::Gather(id, Shard::Signalling(other));
            let ticket = self.tickets.reserve(now.mono + ANSWER_DEADLINE, waiting);
            self.relay(other, Relay::Question(me, ticket, question.clone()));
        }
        let own = self.answer_question(question.clone());
        let finished = self.gather.answer(id, Shard::Signalling(me), own);
        self.tell_gathered(now, finished);
    }

    /// What this shard has to say.
    pub(super) fn answer_question(&mut self, question: Question) -> Answer {
        match question {
            Question::Change(change) => {
                self.take_note(change);
                Answer::Changed
            }
            Question::Sessions => Answer::Sessions(self.sessions.ids()),
            Question::Connections => {
                let websockets = self.connections.count(|it| matches!(it.protocol, Protocol::WebSocket(_)));
                let speaks_http = |it: &Connection| matches!(it.protocol, Protocol::Http(_));
                let admin_http = self.connections.count(|it| speaks_http(it) && it.is_operators);
                let http = self.connections.count(speaks_http) - admin_http;
                let http_requests = self.counters.http_requests;
                Answer::Connections(Connected { websockets, http, admin_http, http_requests })
            }
            Question::Survey => Answer::Report(self.report()),
        }
    }

    /// How this shard is.
    fn report(&self) -> SignallingReport {
        let Delivery { counters, drops } = self.observers.delivery();
        SignallingReport {
            signalling: self.config.id,
            gauges: self.gauges(),
            counters: [&self.counters().named()[..], counters].concat(),
            drops: [&self.drops.named()[..], drops].concat(),
        }
    }

    fn take_note(&mut self, change: Change) {
        match (change, self.operators.tokens_mut()) {
            (Change::SessionTimeout(idle), _) => self.sessions.set_idle_timeout(idle),
            (Change::Accepting(accepting), _) => self.operators.set_accepting(accepting),
            (Change::TransportEvents(transport, wanted), _) => self.observers.set_transport(transport, wanted),
            (Change::AllowToken(token, plugins), Tokens::Stored(tokens)) => tokens.allow(&token, plugins),
            (Change::DisallowToken(token, plugins), Tokens::Stored(tokens)) => tokens.disallow(&token, &plugins),
            (Change::RemoveToken(token), Tokens::Stored(tokens)) => drop(tokens.remove(&token)),
            // All shards keep tokens in the same way.
            (Change::AllowToken(..) | Change::DisallowToken(..) | Change::RemoveToken(_), _) => {}
        }
    }

    /// Another signalling shard has answered.
    pub(super) fn handle_answer(&mut self, now: Now, ticket: Ticket, answer: Answer) {
        match self.tickets.take(ticket) {
            Some(Waiting::Gather(id, from)) => {
                let finished = self.gather.answer(id, from, answer);
                self.tell_gathered(now, finished);
            }
            _ => self.drops.reply_late += 1,
        }
    }

    /// Tells whoever wanted to know, if all have answered.
    pub(super) fn tell_gathered(&mut self, now: Now, finished: Option<Finished<Purpose>>) {
        let Some(Finished { purpose, gathered }) = finished else { return };
        match purpose {
            Purpose::List(exchange) => {
                let rooms = &gathered.rooms;
                // Half a list would be taken for the whole.
                let whole = gathered.missing.first().map_or(Ok(()), |(_, error)| Err(error.clone()));
                let fits = whole.and_then(|()| self.check_size(&exchange, size::of_list(rooms)));
                let answer = fits.map(|()| render::list(exchange.name(), rooms));
                self.finish(now, exchange, answer);
            }
            Purpose::Health(asker) => self.answer_health(asker, &gathered),
            Purpose::Update => {
                self.drops.update_incomplete += u64::from(!self.observers.update(now, &gathered));
            }
            Purpose::Operator { asker, transaction, .. } if !gathered.missing.is_empty() => {
                self.refuse(asker, None, Some(&transaction), &CoreError::Incomplete);
            }
            Purpose::Operator { asker, transaction, wanted } => {
                let elements = elements(wanted, &gathered, self.config.tls.is_some(), self.config.admin_apart);
                self.say(asker, admin::success(None, &transaction, &elements));
            }
        }
    }
}

/// What an operator is told.
fn elements(wanted: Wanted, gathered: &Gathered, has_tls: bool, admin_apart: bool) -> serde_json::Value {
    let all = &gathered.connected;
    match wanted {
        Wanted::Confirmation(answer) => answer,
        Wanted::Sessions => {
            json!({ "sessions": gathered.sessions.iter().map(|session| session.0).collect::<Vec<_>>() })
        }
        Wanted::Connections(Transport::WebSockets) => {
            json!({ "response": { "result": 200, "connections": all.websockets } })
        }
        Wanted::Connections(Transport::Http) => {
            // Those that there are, as in Janus.
            let (http, admin_http) = if has_tls { ("https", "admin_https") } else { ("http", "admin_http") };
            let mut connections = json!({ http: all.http });
            if admin_apart {
                connections[admin_http] = json!(all.admin_http);
            }
            json!({ "response": { "result": 200, "connections": connections, "messages": all.http_requests } })
        }
        Wanted::Loops => {
            let shown = |report: &ShardReport| {
                let members = report.gauges.iter().find(|(name, _)| *name == "members");
                json!({ "id": report.shard, "handles": members.map_or(0, |(_, members)| *members) })
            };
            json!({ "loops": gathered.reports.iter().map(shown).collect::<Vec<_>>() })
        }
    }
}

fn media(shards: u8) -> impl Iterator<Item = Shard> {
    (0..shards).map(|shard| Shard::Media(ShardId(shard)))
}

fn signalling(shards: u8) -> impl Iterator<Item = Shard> {
    (0..shards).map(|shard| Shard::Signalling(SignallingId(shard)))
}
