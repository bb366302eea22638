//! The ways to the other signalling shards: what they tell each other, and what waits, in order, where a lane is full.

use std::collections::VecDeque;
use std::time::Duration;

use simd_json::borrowed::Value;

use super::access::Access;
use super::gather::{Answer, Question};
use crate::id::{HandleId, SessionId, SignallingId, Ticket};
use crate::proto::session::poll::Shape;
use crate::proto::session::{Asker, Place};
use crate::time::{Mono, Now};

/// A full lane is tried again after this time.
const RETRY_INTERVAL: Duration = Duration::from_millis(2);
/// Words that wait for one shard; with more, answers and events are lost, and sessions whose events are lost end.
const WAITING_MAX: usize = 16 * 1024;

/// What one signalling shard tells another.
#[derive(Debug)]
pub enum Relay {
    /// To the home: a client's request, with what its path names.
    Request {
        /// Who waits for the answer.
        asker: Asker,
        /// Where it came in.
        door: Access,
        /// Session and handle of the path.
        path: (Option<SessionId>, Option<HandleId>),
        document: Value<'static>,
    },
    /// To the home: a long poll.
    Poll(Asker, SessionId, Shape),
    /// To the home: the connection of a poll is gone.
    Withdraw(Place, SessionId),
    /// To the home: the WebSocket of a session is gone.
    Lost(Place, SessionId),
    /// From the home: the answer to a request or a poll.
    Answer(Asker, String),
    /// From the home: a poll for a session that is not there.
    NotPolled(Asker),
    /// From the home: what a session's WebSocket is to hear.
    Event(Place, SessionId, String),
    /// From the home: a session is heard on this WebSocket from now on.
    Owned(Place, SessionId),
    /// From the home: it is not any more.
    Disowned(Place, SessionId),
    /// What every shard is asked.
    Question(SignallingId, Ticket, Question),
    Answered(Ticket, Answer),
}

/// The lanes to all signalling shards; the one to this shard stays empty.
#[derive(Debug)]
pub(super) struct Lanes {
    lanes: Vec<Lane>,
    /// When full ones are tried again.
    retry_at: Mono,
}

#[derive(Debug, Default)]
struct Lane {
    waiting: VecDeque<Relay>,
    is_full: bool,
}

impl Lanes {
    /// To so many shards, this one included.
    pub fn new(signalling_shards: u8) -> Lanes {
        Lanes { lanes: (0..signalling_shards).map(|_| Lane::default()).collect(), retry_at: Mono::NEVER }
    }

    /// Puts a word on its way.
    ///
    /// # Errors
    /// The word, when the lane is full or crowded: only what a client can ask again, or what its session pays for, is ever
    /// refused.
    pub fn push(&mut self, to: SignallingId, relay: Relay) -> Result<(), Relay> {
        let lane = &mut self.lanes[usize::from(to.0)];
        let is_crowded = lane.waiting.len() >= WAITING_MAX;
        let is_refused = match relay {
            Relay::Request { .. } | Relay::Poll(..) => lane.is_full || is_crowded,
            // Whoever asked hears that not all have answered. Changes are never lost: all shards must agree on them.
            Relay::Question(.., Question::Sessions | Question::Connections | Question::Survey) => is_crowded,
            Relay::Answer(..) | Relay::Answered(..) | Relay::Event(..) => is_crowded,
            Relay::Question(.., Question::Change(_))
            | Relay::Withdraw(..)
            | Relay::Lost(..)
            | Relay::NotPolled(_)
            | Relay::Owned(..)
            | Relay::Disowned(..) => false,
        };
        if is_refused {
            return Err(relay);
        }
        lane.waiting.push_back(relay);
        Ok(())
    }

    /// The next word for a shard whose lane is not known to be full.
    pub fn poll(&mut self) -> Option<(SignallingId, Relay)> {
        self.lanes.iter_mut().zip(0..).find_map(|(lane, signalling)| {
            if lane.is_full {
                return None;
            }
            Some((SignallingId(signalling), lane.waiting.pop_front()?))
        })
    }

    /// The lane is full: what was polled waits, and so does what comes after it.
    pub fn refused(&mut self, now: Now, to: SignallingId, relay: Relay) {
        let lane = &mut self.lanes[usize::from(to.0)];
        lane.waiting.push_front(relay);
        lane.is_full = true;
        self.retry_at = now.mono + RETRY_INTERVAL;
    }

    /// When [`Lanes::retry`] is worth a call.
    pub fn deadline(&self) -> Mono {
        self.retry_at
    }

    /// Tries full lanes again.
    pub fn retry(&mut self, now: Mono) {
        if self.retry_at <= now {
            self.retry_at = Mono::NEVER;
            for lane in &mut self.lanes {
                lane.is_full = false;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::session::ConnectionId;

    const THERE: SignallingId = SignallingId(1);
    const PLACE: Place = Place { signalling: SignallingId(0), connection: ConnectionId { slot: 0, generation: 0 } };

    fn poll() -> Relay {
        Relay::Poll(Asker { place: PLACE, request: 1 }, SessionId(5), Shape::of(None))
    }

    fn answer(text: &str) -> Relay {
        Relay::Answer(Asker { place: PLACE, request: 1 }, text.into())
    }

    fn texts(lanes: &mut Lanes) -> Vec<String> {
        let words = std::iter::from_fn(|| lanes.poll());
        let text = |(to, relay)| match relay {
            Relay::Answer(_, text) if to == THERE => text,
            other => panic!("{to:?} {other:?}"),
        };
        words.map(text).collect()
    }

    #[test]
    fn a_full_lane_keeps_its_order_refuses_requests_and_is_tried_again() {
        let mut lanes = Lanes::new(2);
        let now = Now { mono: Mono(0), unix_us: 0 };
        assert!(lanes.push(THERE, answer("first")).is_ok());
        let (to, relay) = lanes.poll().unwrap();
        assert_eq!(lanes.deadline(), Mono::NEVER);
        lanes.refused(now, to, relay);
        assert!(lanes.push(THERE, answer("second")).is_ok());
        assert!(matches!(lanes.push(THERE, poll()), Err(Relay::Poll(..))));
        assert!(lanes.poll().is_none(), "the lane is full");
        lanes.retry(now.mono);
        assert!(lanes.poll().is_none(), "too early");
        assert_eq!(lanes.deadline(), now.mono + RETRY_INTERVAL);
        lanes.retry(lanes.deadline());
        assert_eq!(texts(&mut lanes), ["first", "second"]);
        assert!(lanes.push(THERE, poll()).is_ok());
    }

    #[test]
    fn a_crowded_lane_takes_only_what_must_not_be_lost() {
        let mut lanes = Lanes::new(2);
        for _ in 0..WAITING_MAX {
            assert!(lanes.push(THERE, answer("")).is_ok());
        }
        let ticket = Ticket { slot: 0, generation: 0 };
        let question = |question| Relay::Question(SignallingId(0), ticket, question);
        for lost in [
            poll(),
            answer(""),
            Relay::Event(PLACE, SessionId(5), String::new()),
            Relay::Answered(ticket, Answer::Changed),
            question(Question::Survey),
            question(Question::Sessions),
            question(Question::Connections),
        ] {
            assert!(lanes.push(THERE, lost).is_err());
        }
        let change = super::super::gather::Change::Accepting(false);
        for kept in [Relay::Lost(PLACE, SessionId(5)), question(Question::Change(change))] {
            assert!(lanes.push(THERE, kept).is_ok());
        }
        assert!(lanes.push(SignallingId(0), poll()).is_ok(), "the other lane is free");
    }
}
