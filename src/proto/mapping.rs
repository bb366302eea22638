//! A question to a STUN server: at which address does it see this machine? One transaction over UDP with the
//! retransmissions of RFC 8489 §6.2.1, cut short for somebody who waits at a terminal. Media never asks: a lite agent has
//! no server-reflexive candidates, its public addresses are configured.

use std::net::SocketAddr;
use std::time::Duration;

use crate::time::Mono;
use crate::wire::stun::{Class, Composer, Message, Method, TransactionId};

/// The first pause between two requests; each next one is twice as long (RFC 8489 §6.2.1).
const RTO: Duration = Duration::from_millis(500);
/// Requests in all: the standard's 7 would keep a terminal waiting for 39.5 s.
const REQUESTS_MAX: u32 = 4;
/// For how long a server is asked before it is given up.
pub const PATIENCE: Duration = Duration::from_millis(7500);
/// A request without attributes.
const REQUEST_BYTES: usize = 20;

/// One transaction in progress.
#[derive(Debug)]
pub struct MappingQuery {
    transaction: TransactionId,
    request: [u8; REQUEST_BYTES],
    sent: u32,
    next: Mono,
}

/// What is to be done next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step<'a> {
    /// Send this to the server and ask again what to do.
    Send(&'a [u8]),
    /// Wait for an answer until then.
    Wait(Mono),
    /// Nobody has answered.
    GiveUp,
}

/// An answer that names no address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// An error answer with this code; 0 when it has none.
    Code(u16),
    /// A success without XOR-MAPPED-ADDRESS, as of a server from before RFC 5389.
    NoAddress,
}

impl MappingQuery {
    /// A transaction whose id is 96 random bits.
    pub fn new(transaction: [u8; 12], now: Mono) -> MappingQuery {
        let transaction = TransactionId(transaction);
        let mut request = [0; REQUEST_BYTES];
        let composer = Composer::new(&mut request, Class::Request, Method::BINDING, transaction);
        let length = composer.map_or(0, Composer::finish);
        debug_assert_eq!(length, REQUEST_BYTES);
        MappingQuery { transaction, request, sent: 0, next: now }
    }

    /// What to do at `now`.
    pub fn poll(&mut self, now: Mono) -> Step<'_> {
        if now < self.next {
            return Step::Wait(self.next);
        }
        if self.sent == REQUESTS_MAX {
            return Step::GiveUp;
        }
        self.next = now + RTO * (1 << self.sent);
        self.sent += 1;
        Step::Send(&self.request)
    }

    /// Reads a datagram; none when it does not answer this question.
    pub fn read(&self, datagram: &[u8]) -> Option<Result<SocketAddr, Refusal>> {
        let message = Message::parse(datagram).ok()?;
        if message.transaction() != self.transaction || message.method() != Method::BINDING {
            return None;
        }
        // Unknown attributes are no obstacle: servers of RFC 3489 add addresses of their own.
        match message.class() {
            Class::Success => Some(message.xor_mapped_address().ok_or(Refusal::NoAddress)),
            Class::Error => Some(Err(Refusal::Code(message.error_code().unwrap_or_default()))),
            Class::Request | Class::Indication => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::stun::{ErrorCode, Key, REPLY_MAX, binding_error, binding_success};

    const ID: TransactionId = TransactionId([7; 12]);

    fn query() -> MappingQuery {
        MappingQuery::new(ID.0, Mono(0))
    }

    #[test]
    fn it_asks_four_times_and_gives_up_when_its_patience_ends() {
        let mut query = query();
        let mut now = Mono(0);
        let mut asked = Vec::new();
        loop {
            match query.poll(now) {
                Step::Send(request) => {
                    let message = Message::parse(request).unwrap();
                    assert_eq!((message.class(), message.transaction()), (Class::Request, ID));
                    asked.push(now.since(Mono(0)).as_millis());
                }
                Step::Wait(until) => now = until,
                Step::GiveUp => break,
            }
        }
        assert_eq!(asked, [0, 500, 1500, 3500]);
        assert_eq!(now.since(Mono(0)), PATIENCE);
    }

    #[test]
    fn an_answer_names_the_address_or_says_why_not() {
        let key = Key::short_term("password");
        let mut out = [0; REPLY_MAX];
        for seen in ["203.0.113.9:40000", "[2001:db8::9]:40000"] {
            let seen: SocketAddr = seen.parse().unwrap();
            let length = binding_success(&mut out, ID, seen, &key).unwrap();
            assert_eq!(query().read(&out[..length]), Some(Ok(seen)));
        }
        let length = binding_error(&mut out, ID, ErrorCode::BadRequest, &[], None).unwrap();
        assert_eq!(query().read(&out[..length]), Some(Err(Refusal::Code(400))));
        let composer = Composer::new(&mut out, Class::Success, Method::BINDING, ID).unwrap();
        let length = composer.finish();
        assert_eq!(query().read(&out[..length]), Some(Err(Refusal::NoAddress)));
    }

    #[test]
    fn what_does_not_answer_this_question_is_passed_over() {
        let key = Key::short_term("password");
        let mut out = [0; REPLY_MAX];
        let other = TransactionId([8; 12]);
        let length = binding_success(&mut out, other, ([203, 0, 113, 9], 1).into(), &key).unwrap();
        assert_eq!(query().read(&out[..length]), None);
        let MappingQuery { request, .. } = query();
        assert_eq!(query().read(&request), None, "our own request, reflected");
        assert_eq!(query().read(b"HTTP/1.1 400 Bad Request"), None);
    }
}
