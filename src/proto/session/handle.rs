//! One plugin handle: where it sits, and its requests in their order. One request is with the media shards at a time;
//! later ones wait here, boundedly.

use std::collections::VecDeque;

use simd_json::borrowed::Value;

use super::Asker;
use crate::id::{RoomId, ShardId};
use crate::time::Mono;
use crate::wire::sdp::{Description, Transport};

/// Requests of one handle that may wait behind the one in flight.
pub const WAITING_MAX: usize = 16;

/// A handle.
#[derive(Debug, Default)]
pub struct Handle {
    /// Its place in a room; kept after leaving, because the room's shard must hear of the detach.
    pub seat: Option<Seat>,
    /// How it came to be.
    pub origin: Origin,
    /// Whom its last description spoke of.
    transport: Option<Box<Transport>>,
    in_flight: bool,
    waiting: VecDeque<Waiting>,
}

/// How a handle came to be; told to operators alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    pub created: Mono,
    /// What the client calls it.
    pub opaque_id: Option<Box<str>>,
    /// The token that opened it.
    pub token: Option<Box<str>>,
}

/// A handle's place in a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seat {
    pub room: RoomId,
    /// The shard that owns it.
    pub owner: ShardId,
    pub role: Role,
}

/// What a handle is in its room. It never changes from publisher to subscriber or back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The room has been asked.
    Joining,
    /// Participant, publishing or not.
    Publisher,
    Subscriber,
    /// Left, or the room is gone: nothing can be done with the handle any more.
    Finished,
}

/// A request that waits for its turn.
#[derive(Debug)]
pub struct Waiting {
    pub asker: Asker,
    pub transaction: Box<str>,
    /// The plugin's body.
    pub body: Value<'static>,
    /// The client's description.
    pub description: Option<Box<Description>>,
}

impl Handle {
    /// Takes note of who a description speaks of. False when that cannot be: another certificate stands for another DTLS
    /// association, and that needs ICE credentials of its own (RFC 8842 §5.1). Nothing is noted then.
    pub fn describe(&mut self, description: &Description) -> bool {
        let Some(transport) = description.transport() else { return true };
        let is_torn = |known: &Transport| known.ufrag == transport.ufrag && known.fingerprint != transport.fingerprint;
        if self.transport.as_deref().is_some_and(is_torn) {
            return false;
        }
        self.transport = Some(Box::new(transport.clone()));
        true
    }

    /// Requests that wait behind the one in flight.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Whether a request may go to the media shards at once.
    pub fn is_idle(&self) -> bool {
        !self.in_flight && self.waiting.is_empty()
    }

    /// Whether no more requests may wait.
    pub fn is_full(&self) -> bool {
        self.waiting.len() >= WAITING_MAX
    }

    /// Notes that a request is in flight.
    pub fn begin(&mut self) {
        debug_assert!(!self.in_flight, "one request of a handle at a time");
        self.in_flight = true;
    }

    /// Notes that the request in flight has been answered.
    pub fn finish(&mut self) {
        self.in_flight = false;
    }

    /// Lets a request wait; the caller has asked [`Handle::is_full`].
    pub fn wait(&mut self, waiting: Waiting) {
        debug_assert!(!self.is_full(), "the bound is asked first");
        self.waiting.push_back(waiting);
    }

    /// The next request when none is in flight.
    pub fn take_next(&mut self) -> Option<Waiting> {
        if self.in_flight { None } else { self.waiting.pop_front() }
    }

    /// The role, when there is a seat.
    pub fn role(&self) -> Option<Role> {
        self.seat.as_ref().map(|seat| seat.role)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{ConnectionId, Place};
    use super::*;
    use crate::id::SignallingId;
    use crate::wire::sdp::{DescriptionKind, Fingerprint, parse};

    fn waiting(transaction: &str) -> Waiting {
        let connection = ConnectionId { slot: 0, generation: 0 };
        let asker = Asker { place: Place { signalling: SignallingId(0), connection }, request: 0 };
        Waiting {
            asker,
            transaction: transaction.into(),
            body: Value::Static(simd_json::StaticNode::Null),
            description: None,
        }
    }

    #[test]
    fn another_certificate_needs_other_credentials() {
        let text = crate::wire::sdp::vectors::CHROMIUM_PUBLISH;
        let offer = parse(DescriptionKind::Offer, text).unwrap();
        let change = |change: fn(&mut Transport)| {
            let mut offer = offer.clone();
            offer.media.iter_mut().filter_map(|media| media.transport.as_mut()).for_each(change);
            offer
        };
        let mut handle = Handle::default();
        assert!(handle.describe(&offer) && handle.describe(&offer));
        assert!(!handle.describe(&change(|transport| transport.fingerprint = Fingerprint::Sha256([8; 32]))));
        let another = change(|transport| {
            (transport.ufrag, transport.fingerprint) = ("anew".into(), Fingerprint::Sha256([8; 32]))
        });
        assert!(handle.describe(&another) && handle.describe(&offer));
    }

    #[test]
    fn requests_leave_in_order_one_at_a_time() {
        let mut handle = Handle::default();
        assert!(handle.is_idle());
        handle.begin();
        handle.wait(waiting("a"));
        handle.wait(waiting("b"));
        assert!(handle.take_next().is_none());
        handle.finish();
        assert!(!handle.is_idle());
        assert_eq!(&*handle.take_next().unwrap().transaction, "a");
        handle.begin();
        assert!(handle.take_next().is_none());
        handle.finish();
        assert_eq!(&*handle.take_next().unwrap().transaction, "b");
        assert!(handle.is_idle());
    }

    #[test]
    fn waiting_is_bounded() {
        let mut handle = Handle::default();
        handle.begin();
        for _ in 0..WAITING_MAX {
            assert!(!handle.is_full());
            handle.wait(waiting("x"));
        }
        assert!(handle.is_full());
    }
}
