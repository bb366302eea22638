//! Questions of an operator that several shards answer, and changes that all must hear of: one ticket a shard, and one
//! answer when all have said their part. Changes start at the first signalling shard, so that all take them in one order.

use std::time::Duration;

use serde_json::json;

use super::connection::{Connection, Protocol};
use super::relay::Relay;
use super::{SignallingEngine, Waiting};
use crate::control::command::{Command, Reply, Settings};
use crate::id::{SessionId, ShardId, SignallingId, Ticket};
use crate::proto::session::Asker;
use crate::proto::session::token::Tokens;
use crate::time::Now;
use crate::videoroom::error::PluginError;
use crate::wire::janus::admin;
use crate::wire::janus::error::CoreError;

/// A shard that has not answered in this time is not waited for.
const COUNCIL_DEADLINE: Duration = Duration::from_secs(2);

/// Where changes start.
pub(super) const FIRST: SignallingId = SignallingId(0);

/// What all signalling shards must know alike.
#[derive(Clone, Debug)]
pub enum Change {
    /// How long sessions may be idle.
    SessionTimeout(Duration),
    /// Whether new sessions are taken.
    Accepting(bool),
    /// Whether event handlers hear of a transport's connections.
    TransportEvents(Transport, bool),
    /// A token is stored, or opens more plugins.
    AllowToken(Box<str>, Vec<Box<str>>),
    /// A token opens fewer.
    DisallowToken(Box<str>, Vec<Box<str>>),
    /// A token is forgotten.
    RemoveToken(Box<str>),
}

/// What one signalling shard asks another.
#[derive(Clone, Debug)]
pub enum Question {
    /// Take note of this.
    Change(Change),
    /// Which sessions live with you?
    Sessions,
    /// What is connected to you?
    Connections,
}

/// What it is told.
#[derive(Debug)]
pub enum Told {
    /// It is done.
    Changed,
    Sessions(Vec<SessionId>),
    Connections(Connected),
}

/// What is connected.
#[derive(Clone, Copy, Debug, Default)]
pub struct Connected {
    pub websockets: usize,
    /// Connections that speak HTTP, of clients.
    pub http: usize,
    /// The same where operators are served apart.
    pub admin_http: usize,
    /// Requests over HTTP since start.
    pub http_requests: u64,
}

/// Names one question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct CouncilId(u64);

/// One question and the answers so far.
#[derive(Debug)]
pub(super) struct Council {
    asker: Asker,
    transaction: Box<str>,
    about: About,
    waiting: usize,
    is_incomplete: bool,
}

/// What the answers come to.
#[derive(Debug)]
pub(super) enum About {
    /// This is answered when all have heard.
    Change(serde_json::Value),
    /// A list of all sessions.
    Sessions(Vec<SessionId>),
    /// Connections of one transport.
    Connections(Transport, Connected),
    /// Members that each media shard carries.
    Loops(Vec<(ShardId, u64)>),
}

/// A transport that an operator may ask about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    Http,
    WebSockets,
}

impl SignallingEngine {
    /// Has every signalling shard take note of a change.
    pub(super) fn change(
        &mut self,
        now: Now,
        asker: Asker,
        transaction: &str,
        change: Change,
        answer: serde_json::Value,
    ) {
        self.hold(now, asker, transaction, About::Change(answer), &Question::Change(change));
    }

    /// Asks every signalling shard, this one first.
    pub(super) fn hold(&mut self, now: Now, asker: Asker, transaction: &str, about: About, question: &Question) {
        let id = self.convene(asker, transaction, about, usize::from(self.config.signalling_shards));
        let (me, signalling_shards) = (self.config.id, self.config.signalling_shards);
        for signalling in (0..signalling_shards).map(SignallingId).filter(|signalling| *signalling != me) {
            let ticket = self.tickets.reserve(now.mono + COUNCIL_DEADLINE, Waiting::Council(id));
            self.relay(signalling, Relay::Question(me, ticket, question.clone()));
        }
        let own = self.answer_question(question.clone());
        self.take_part(id, own);
    }

    /// Asks every media shard.
    pub(super) fn hold_media(
        &mut self,
        now: Now,
        asker: Asker,
        transaction: &str,
        about: About,
        command: impl Fn() -> Command,
    ) {
        let id = self.convene(asker, transaction, about, usize::from(self.config.shards));
        for shard in (0..self.config.shards).map(ShardId) {
            self.ask_until(now.mono + COUNCIL_DEADLINE, shard, command(), Waiting::Council(id));
        }
    }

    /// Has every media shard take a setting.
    pub(super) fn adjust(&mut self, now: Now, asker: Asker, transaction: &str, answer: serde_json::Value) {
        let settings = self.media_settings;
        self.hold_media(now, asker, transaction, About::Change(answer), || Command::Adjust(settings));
    }

    fn convene(&mut self, asker: Asker, transaction: &str, about: About, waiting: usize) -> CouncilId {
        self.councils_held += 1;
        let id = CouncilId(self.councils_held);
        let transaction = transaction.into();
        self.councils.insert(id, Council { asker, transaction, about, waiting, is_incomplete: false });
        id
    }

    /// What this shard has to say.
    pub(super) fn answer_question(&mut self, question: Question) -> Told {
        match question {
            Question::Change(change) => {
                self.take_note(change);
                Told::Changed
            }
            Question::Sessions => Told::Sessions(self.sessions.ids()),
            Question::Connections => {
                let websockets = self.connections.count(|it| matches!(it.protocol, Protocol::WebSocket(_)));
                let speaks_http = |it: &Connection| matches!(it.protocol, Protocol::Http(_));
                let admin_http = self.connections.count(|it| speaks_http(it) && it.is_operators);
                let http = self.connections.count(speaks_http) - admin_http;
                let http_requests = self.counters.http_requests;
                Told::Connections(Connected { websockets, http, admin_http, http_requests })
            }
        }
    }

    fn take_note(&mut self, change: Change) {
        match (change, &mut self.tokens) {
            (Change::SessionTimeout(idle), _) => self.sessions.set_idle_timeout(idle),
            (Change::Accepting(accepting), _) => self.is_accepting = accepting,
            (Change::TransportEvents(transport, wanted), _) => match wanted {
                true => self.mute_transports.retain(|mute| *mute != transport),
                false if self.mute_transports.contains(&transport) => {}
                false => self.mute_transports.push(transport),
            },
            (Change::AllowToken(token, plugins), Tokens::Stored(tokens)) => tokens.allow(&token, plugins),
            (Change::DisallowToken(token, plugins), Tokens::Stored(tokens)) => tokens.disallow(&token, &plugins),
            (Change::RemoveToken(token), Tokens::Stored(tokens)) => drop(tokens.remove(&token)),
            // All shards keep tokens in the same way.
            (Change::AllowToken(..) | Change::DisallowToken(..) | Change::RemoveToken(_), _) => {}
        }
    }

    /// Another signalling shard has answered.
    pub(super) fn hear(&mut self, ticket: Ticket, told: Told) {
        match self.tickets.take(ticket) {
            Some(Waiting::Council(id)) => self.take_part(id, told),
            _ => self.drops.reply_late += 1,
        }
    }

    /// A media shard has answered, or never will; or a signalling shard never will.
    pub(super) fn hear_media(&mut self, id: CouncilId, from: Option<ShardId>, reply: Result<Reply, PluginError>) {
        let Some(council) = self.councils.get_mut(&id) else { return };
        match (&mut council.about, reply, from) {
            (About::Change(_), Ok(Reply::Adjusted), _) => {}
            (About::Loops(loops), Ok(Reply::Surveyed(report)), Some(from)) => {
                let members = report.gauges.iter().find(|(name, _)| *name == "members");
                loops.push((from, members.map_or(0, |(_, members)| *members)));
            }
            _ => council.is_incomplete = true,
        }
        self.adjourn(id);
    }

    fn take_part(&mut self, id: CouncilId, told: Told) {
        let Some(council) = self.councils.get_mut(&id) else { return };
        match (&mut council.about, told) {
            (About::Change(_), Told::Changed) => {}
            (About::Sessions(all), Told::Sessions(sessions)) => all.extend(sessions),
            (About::Connections(_, all), Told::Connections(some)) => {
                all.websockets += some.websockets;
                all.http += some.http;
                all.admin_http += some.admin_http;
                all.http_requests += some.http_requests;
            }
            _ => council.is_incomplete = true,
        }
        self.adjourn(id);
    }

    /// One of those who were asked is done; after the last one the operator is answered.
    fn adjourn(&mut self, id: CouncilId) {
        let Some(council) = self.councils.get_mut(&id) else { return };
        council.waiting -= 1;
        if council.waiting > 0 {
            return;
        }
        let Some(Council { asker, transaction, about, is_incomplete, .. }) = self.councils.remove(&id) else { return };
        if is_incomplete {
            return self.refuse(asker, None, Some(&transaction), &CoreError::Incomplete);
        }
        let elements = match about {
            About::Change(answer) => answer,
            About::Sessions(mut sessions) => {
                sessions.sort_unstable();
                json!({ "sessions": sessions.iter().map(|session| session.0).collect::<Vec<_>>() })
            }
            About::Connections(Transport::WebSockets, all) => {
                json!({ "response": { "result": 200, "connections": all.websockets } })
            }
            About::Connections(Transport::Http, all) => {
                // Those that there are, as in Janus.
                let (http, admin_http) =
                    if self.config.tls.is_some() { ("https", "admin_https") } else { ("http", "admin_http") };
                let mut connections = json!({ http: all.http });
                if self.config.admin_apart {
                    connections[admin_http] = json!(all.admin_http);
                }
                json!({ "response": { "result": 200, "connections": connections, "messages": all.http_requests } })
            }
            About::Loops(mut loops) => {
                loops.sort_unstable();
                let shown = |(shard, members): &(ShardId, u64)| json!({ "id": shard.0, "handles": members });
                json!({ "loops": loops.iter().map(shown).collect::<Vec<_>>() })
            }
        };
        self.say(asker, admin::success(None, &transaction, &elements));
    }
}

/// What media shards are told at start, as far as it can be changed.
pub(super) fn media_settings(slowlink_threshold: u32) -> Settings {
    Settings { slowlink_threshold, no_media_timer: crate::limits::NO_MEDIA_TIMEOUT }
}
