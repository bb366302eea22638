//! One question to many shards and their answers: who has still to answer, what the answers come to, and who wanted to
//! know. Knows neither how questions are sent nor how what is finished is told.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::control::command::{Reply, ShardReport};
use crate::control::summary::RoomSummary;
use crate::id::{SessionId, ShardId, SignallingId};
use crate::videoroom::error::PluginError;

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
    /// How are you?
    Survey,
}

/// What a shard says to a question.
#[derive(Debug)]
pub enum Answer {
    /// The change is made.
    Changed,
    Sessions(Vec<SessionId>),
    Connections(Connected),
    /// How a signalling shard is.
    Report(SignallingReport),
    /// The rooms of a media shard.
    Rooms(Vec<RoomSummary>),
    /// How a media shard is.
    Surveyed(Box<ShardReport>),
}

/// What is connected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Connected {
    pub websockets: usize,
    /// Connections that speak HTTP, of clients.
    pub http: usize,
    /// The same where operators are served apart.
    pub admin_http: usize,
    /// Requests over HTTP since start.
    pub http_requests: u64,
}

/// How a signalling shard is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignallingReport {
    pub signalling: SignallingId,
    /// What it holds.
    pub gauges: Vec<(&'static str, u64)>,
    /// What it has done.
    pub counters: Vec<(&'static str, u64)>,
    /// What it has dropped.
    pub drops: Vec<(&'static str, u64)>,
}

/// A transport that an operator may ask about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    Http,
    WebSockets,
}

/// A shard of either kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Shard {
    Media(ShardId),
    Signalling(SignallingId),
}

/// Names one question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct GatherId(u64);

/// What a question is about: answers to another question do not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Topic {
    Change,
    Sessions,
    Connections,
    Rooms,
    Survey,
}

/// What the answers come to. Lists are in the order of their keys whatever the order of the answers.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    pub sessions: Vec<SessionId>,
    pub connected: Connected,
    pub rooms: Vec<RoomSummary>,
    /// Of media shards.
    pub reports: Vec<ShardReport>,
    /// Of signalling shards.
    pub signalling_reports: Vec<SignallingReport>,
    /// Who has not answered, or not to the question, and why; in the order in which that became known.
    pub missing: Vec<(Shard, PluginError)>,
}

/// A question that all have answered, or never will.
#[derive(Debug)]
pub(super) struct Finished<P> {
    /// As it was given with the question.
    pub purpose: P,
    pub gathered: Gathered,
}

/// The questions that are being answered. `P` is what an answer is wanted for.
#[derive(Debug)]
pub(super) struct Gather<P> {
    table: BTreeMap<GatherId, Asked<P>>,
    started: u64,
}

#[derive(Debug)]
struct Asked<P> {
    purpose: P,
    topic: Topic,
    /// Never empty: with the last of them the question is finished.
    awaited: BTreeSet<Shard>,
    gathered: Gathered,
}

impl Answer {
    /// What a media shard's reply says; none when it answers no question.
    pub(super) fn of_reply(reply: Reply) -> Option<Answer> {
        match reply {
            Reply::Adjusted => Some(Answer::Changed),
            Reply::Rooms(rooms) => Some(Answer::Rooms(rooms)),
            Reply::Surveyed(report) => Some(Answer::Surveyed(report)),
            _ => None,
        }
    }
}

impl Gathered {
    /// Media shards that are missing.
    pub fn missing_media(&self) -> impl Iterator<Item = ShardId> {
        self.missing.iter().filter_map(|(shard, _)| match shard {
            Shard::Media(shard) => Some(*shard),
            Shard::Signalling(_) => None,
        })
    }

    /// Signalling shards that are missing.
    pub fn missing_signalling(&self) -> impl Iterator<Item = SignallingId> {
        self.missing.iter().filter_map(|(shard, _)| match shard {
            Shard::Media(_) => None,
            Shard::Signalling(shard) => Some(*shard),
        })
    }

    /// False when the answer is to another question.
    fn add(&mut self, topic: Topic, answer: Answer) -> bool {
        match (topic, answer) {
            (Topic::Change, Answer::Changed) => {}
            (Topic::Sessions, Answer::Sessions(sessions)) => self.sessions.extend(sessions),
            (Topic::Connections, Answer::Connections(some)) => {
                self.connected.websockets += some.websockets;
                self.connected.http += some.http;
                self.connected.admin_http += some.admin_http;
                self.connected.http_requests += some.http_requests;
            }
            (Topic::Rooms, Answer::Rooms(rooms)) => self.rooms.extend(rooms),
            (Topic::Survey, Answer::Report(report)) => self.signalling_reports.push(report),
            (Topic::Survey, Answer::Surveyed(report)) => self.reports.push(*report),
            _ => return false,
        }
        true
    }

    fn sort(&mut self) {
        self.sessions.sort_unstable();
        self.rooms.sort_by(|one, other| one.spec.room.cmp(&other.spec.room));
        self.reports.sort_by_key(|report| report.shard);
        self.signalling_reports.sort_by_key(|report| report.signalling);
    }
}

impl<P> Default for Gather<P> {
    fn default() -> Gather<P> {
        Gather { table: BTreeMap::new(), started: 0 }
    }
}

impl<P> Gather<P> {
    /// Notes a question to these shards, at least one.
    pub fn start(&mut self, topic: Topic, asked: impl IntoIterator<Item = Shard>, purpose: P) -> GatherId {
        let awaited: BTreeSet<Shard> = asked.into_iter().collect();
        debug_assert!(!awaited.is_empty(), "a question to nobody is never finished");
        self.started += 1;
        let id = GatherId(self.started);
        self.table.insert(id, Asked { purpose, topic, awaited, gathered: Gathered::default() });
        id
    }

    /// One of those who were asked has answered.
    pub fn answer(&mut self, id: GatherId, from: Shard, answer: Answer) -> Option<Finished<P>> {
        let asked = self.table.get_mut(&id)?;
        if !asked.awaited.remove(&from) {
            return None;
        }
        if !asked.gathered.add(asked.topic, answer) {
            asked.gathered.missing.push((from, PluginError::Unexpected));
        }
        self.finish(id)
    }

    /// One of those who were asked will not answer.
    pub fn missing(&mut self, id: GatherId, from: Shard, error: PluginError) -> Option<Finished<P>> {
        let asked = self.table.get_mut(&id)?;
        if !asked.awaited.remove(&from) {
            return None;
        }
        asked.gathered.missing.push((from, error));
        self.finish(id)
    }

    fn finish(&mut self, id: GatherId) -> Option<Finished<P>> {
        if !self.table.get(&id)?.awaited.is_empty() {
            return None;
        }
        let Asked { purpose, mut gathered, .. } = self.table.remove(&id)?;
        gathered.sort();
        Some(Finished { purpose, gathered })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: Shard = Shard::Signalling(SignallingId(0));
    const THERE: Shard = Shard::Signalling(SignallingId(1));
    const MEDIA: Shard = Shard::Media(ShardId(0));

    fn sessions(ids: &[u64]) -> Answer {
        Answer::Sessions(ids.iter().map(|id| SessionId(*id)).collect())
    }

    #[test]
    fn a_question_is_finished_by_the_last_answer_and_no_earlier() {
        let mut gather = Gather::default();
        let id = gather.start(Topic::Sessions, [HERE, THERE], "list_sessions");
        assert!(gather.answer(id, THERE, sessions(&[7, 3])).is_none());
        // Whoever answers twice is not taken for another.
        assert!(gather.answer(id, THERE, sessions(&[9])).is_none());
        assert!(gather.missing(id, THERE, PluginError::Late).is_none());
        let Finished { purpose, gathered } = gather.answer(id, HERE, sessions(&[5])).unwrap();
        assert_eq!(purpose, "list_sessions");
        assert_eq!(gathered.sessions, [SessionId(3), SessionId(5), SessionId(7)]);
        assert!(gathered.missing.is_empty());
        assert!(gather.answer(id, HERE, sessions(&[5])).is_none(), "it is over");
        assert!(gather.table.is_empty());
    }

    #[test]
    fn questions_do_not_mix() {
        let mut gather = Gather::default();
        let one = gather.start(Topic::Connections, [HERE, THERE], 1);
        let other = gather.start(Topic::Connections, [HERE], 2);
        let connected = |websockets| Answer::Connections(Connected { websockets, ..Connected::default() });
        assert!(gather.answer(one, HERE, connected(2)).is_none());
        let finished = gather.answer(other, HERE, connected(10)).unwrap();
        assert_eq!((finished.purpose, finished.gathered.connected.websockets), (2, 10));
        let finished = gather.answer(one, THERE, connected(3)).unwrap();
        assert_eq!((finished.purpose, finished.gathered.connected.websockets), (1, 5));
    }

    #[test]
    fn who_does_not_answer_and_who_answers_something_else_is_missing() {
        let mut gather = Gather::default();
        let id = gather.start(Topic::Survey, [HERE, THERE, MEDIA], ());
        assert!(gather.missing(id, MEDIA, PluginError::Late).is_none());
        assert!(gather.answer(id, THERE, Answer::Changed).is_none());
        let report = SignallingReport {
            signalling: SignallingId(0),
            gauges: Vec::new(),
            counters: Vec::new(),
            drops: Vec::new(),
        };
        let gathered = gather.answer(id, HERE, Answer::Report(report.clone())).unwrap().gathered;
        assert_eq!(gathered.signalling_reports, [report]);
        assert_eq!(gathered.missing, [(MEDIA, PluginError::Late), (THERE, PluginError::Unexpected)]);
        assert_eq!(gathered.missing_media().collect::<Vec<_>>(), [ShardId(0)]);
        assert_eq!(gathered.missing_signalling().collect::<Vec<_>>(), [SignallingId(1)]);
    }
}
