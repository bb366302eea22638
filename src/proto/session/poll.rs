//! The messages of a session whose client has no connection of its own: they wait here until a long poll takes them,
//! and long polls wait here for messages. One of the two is always empty.

use std::collections::VecDeque;
use std::time::Duration;

use smallvec::{SmallVec, smallvec};

use super::{Asker, Place};
use crate::limits::MESSAGE_JSON_MAX;
use crate::time::Mono;

/// A poll that hears nothing is answered after this time.
pub const POLL_HOLD: Duration = Duration::from_secs(30);
/// Bytes of messages that nobody has fetched; with more the session ends. The longest message fits an empty queue.
pub const QUEUE_BYTES_MAX: usize = MESSAGE_JSON_MAX;

const KEEPALIVE: &str = r#"{"janus":"keepalive"}"#;

/// What waits, on either side.
#[derive(Debug, Default)]
pub struct LongPoll {
    queue: VecDeque<String>,
    bytes: usize,
    polls: VecDeque<Poll>,
}

/// One request for messages.
#[derive(Clone, Copy, Debug)]
pub struct Poll {
    asker: Asker,
    shape: Shape,
    until: Mono,
}

/// What a poll is answered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// One message as it is.
    Object,
    /// An array of up to so many.
    Array(usize),
}

/// An answer to a poll.
pub type Answer = (Asker, String);

/// The queue is full; the message is lost.
#[derive(Debug, PartialEq, Eq)]
pub struct Overflow;

impl Shape {
    /// Janus' `maxev`: an array whenever more than one is asked for.
    pub fn of(maxev: Option<&str>) -> Shape {
        match maxev.and_then(|maxev| maxev.parse().ok()) {
            None | Some(0 | 1) => Shape::Object,
            Some(many) => Shape::Array(many),
        }
    }

    fn wrap(self, text: String) -> String {
        match self {
            Shape::Object => text,
            Shape::Array(_) => format!("[{text}]"),
        }
    }
}

impl LongPoll {
    /// Gives a message to the poll that waits longest and sends the others home, or keeps it: a client with several
    /// polls awaits an answer to all of them.
    pub fn push(&mut self, text: String) -> Result<SmallVec<[Answer; 1]>, Overflow> {
        if let Some(poll) = self.polls.pop_front() {
            let mut answers = smallvec![(poll.asker, poll.shape.wrap(text))];
            answers.extend(std::iter::from_fn(|| self.release()));
            return Ok(answers);
        }
        if self.bytes + text.len() > QUEUE_BYTES_MAX {
            return Err(Overflow);
        }
        self.bytes += text.len();
        self.queue.push_back(text);
        Ok(SmallVec::new())
    }

    /// Bytes that a message may have without being one too many. One that a poll waits for may have any.
    pub fn space(&self) -> usize {
        if self.polls.is_empty() { QUEUE_BYTES_MAX - self.bytes } else { usize::MAX }
    }

    /// A poll: answered at once with what is there, or kept.
    pub fn wait(&mut self, now: Mono, asker: Asker, shape: Shape) -> Option<Answer> {
        let Some(first) = self.queue.pop_front() else {
            self.polls.push_back(Poll { asker, shape, until: now + POLL_HOLD });
            return None;
        };
        let mut text = first;
        self.bytes -= text.len();
        if let Shape::Array(many) = shape {
            for next in self.queue.drain(..self.queue.len().min(many - 1)) {
                self.bytes -= next.len();
                text.push(',');
                text.push_str(&next);
            }
        }
        Some((asker, shape.wrap(text)))
    }

    /// The poll of a connection that is gone.
    pub fn withdraw(&mut self, place: Place) {
        self.polls.retain(|poll| poll.asker.place != place);
    }

    /// The next poll that has waited long enough, with its answer.
    pub fn due(&mut self, now: Mono) -> Option<Answer> {
        let poll = self.polls.pop_front_if(|poll| poll.until <= now)?;
        Some((poll.asker, poll.shape.wrap(KEEPALIVE.into())))
    }

    /// When [`LongPoll::due`] is worth a call.
    pub fn deadline(&self) -> Mono {
        self.polls.front().map_or(Mono::NEVER, |poll| poll.until)
    }

    /// Sends one waiting poll home: another has the event, its session hears elsewhere from now on, or it is gone.
    pub fn release(&mut self) -> Option<Answer> {
        self.due(Mono::NEVER)
    }

    /// What nobody has fetched, the oldest first.
    pub fn into_queue(self) -> VecDeque<String> {
        self.queue
    }
}

#[cfg(test)]
mod tests {
    use super::super::ConnectionId;
    use super::*;
    use crate::id::SignallingId;

    fn asker(slot: u32) -> Asker {
        let connection = ConnectionId { slot, generation: 0 };
        Asker { place: Place { signalling: SignallingId(0), connection }, request: 1 }
    }

    #[test]
    fn queued_messages_are_taken_one_by_one_or_as_an_array_of_at_most_so_many() {
        let mut polls = LongPoll::default();
        for text in ["1", "2", "3", "4"] {
            assert_eq!(polls.push(text.into()), Ok(SmallVec::new()));
        }
        assert_eq!(polls.wait(Mono(0), asker(0), Shape::Object), Some((asker(0), "1".into())));
        assert_eq!(polls.wait(Mono(0), asker(0), Shape::Array(2)), Some((asker(0), "[2,3]".into())));
        assert_eq!(polls.wait(Mono(0), asker(0), Shape::Array(9)), Some((asker(0), "[4]".into())));
        assert_eq!((polls.wait(Mono(0), asker(0), Shape::Object), polls.bytes), (None, 0));
    }

    #[test]
    fn a_message_goes_to_the_oldest_poll_and_the_others_are_sent_home() {
        let mut polls = LongPoll::default();
        assert_eq!(polls.wait(Mono(0), asker(1), Shape::Array(5)), None);
        assert_eq!(polls.wait(Mono(1), asker(2), Shape::Object), None);
        assert_eq!(polls.wait(Mono(2), asker(3), Shape::Object), None);
        assert_eq!(polls.wait(Mono(3), asker(4), Shape::Array(2)), None);
        polls.withdraw(asker(2).place);
        let keepalive = r#"{"janus":"keepalive"}"#;
        let answers = polls.push("a".into()).unwrap();
        assert_eq!(
            answers.as_slice(),
            [(asker(1), "[a]".into()), (asker(3), keepalive.into()), (asker(4), format!("[{keepalive}]"))]
        );
        assert_eq!(polls.push("b".into()), Ok(SmallVec::new()));
        assert_eq!(polls.wait(Mono(4), asker(1), Shape::Object), Some((asker(1), "b".into())));
    }

    #[test]
    fn a_poll_that_hears_nothing_is_sent_home_in_its_own_shape() {
        let mut polls = LongPoll::default();
        polls.wait(Mono(0), asker(1), Shape::Array(5));
        polls.wait(Mono(5), asker(2), Shape::Object);
        let hold = Mono(0) + POLL_HOLD;
        assert_eq!(polls.deadline(), hold);
        assert_eq!(polls.due(Mono(hold.0 - 1)), None);
        assert_eq!(polls.due(hold), Some((asker(1), r#"[{"janus":"keepalive"}]"#.into())));
        assert_eq!(polls.due(hold), None);
        assert_eq!(polls.release(), Some((asker(2), r#"{"janus":"keepalive"}"#.into())));
        assert_eq!((polls.release(), polls.deadline()), (None, Mono::NEVER));
    }

    #[test]
    fn what_nobody_fetches_is_bounded() {
        let mut polls = LongPoll::default();
        assert_eq!(polls.push("x".repeat(QUEUE_BYTES_MAX)), Ok(SmallVec::new()));
        assert_eq!(polls.push("x".into()), Err(Overflow));
        polls.wait(Mono(0), asker(1), Shape::Object);
        assert_eq!(polls.push("x".into()), Ok(SmallVec::new()));
        assert_eq!(polls.into_queue(), ["x"]);
    }

    #[test]
    fn maxev_beyond_one_asks_for_an_array() {
        for (maxev, shape) in [
            (None, Shape::Object),
            (Some("1"), Shape::Object),
            (Some("0"), Shape::Object),
            (Some("x"), Shape::Object),
            (Some("-4"), Shape::Object),
            (Some("2"), Shape::Array(2)),
        ] {
            assert_eq!(Shape::of(maxev), shape);
        }
    }
}
