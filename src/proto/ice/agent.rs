//! The lite agent of one peer (RFC 8445 §7.3 and §8.2, consent of RFC 7675 as its receiving side). It decides which
//! checks are believed, which 4-tuples media may come from and which one media goes to; it has no socket and no table
//! of peers.
//!
//! A lite agent takes the source address of an authenticated check as it is, without a check of its own back to it.
//! Someone who holds the password can therefore direct media at a third party for as long as they keep checks coming;
//! RFC 8445 §19.4.1 knows this, and only a full agent is better.

use std::time::Duration;

use super::valid_list::{Renewal, ValidList};
use super::{Change, CheckOutcome, Credentials, StunDrop};
use crate::id::FourTuple;
use crate::time::Mono;
use crate::wire::stun::{Class, ErrorCode, Key, Message, Method, Role, binding_error, binding_success};

/// How long a believed check lets us send to where it came from (RFC 7675 §5.1).
pub const CONSENT_LIFETIME: Duration = Duration::from_secs(30);

/// The 4-tuple that is sent on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Selection {
    /// No check has been believed yet.
    Nothing,
    /// The first valid pair, before anything is nominated: Chromium sends DTLS and even RTP before USE-CANDIDATE.
    Valid(FourTuple),
    /// The pair of the latest authenticated USE-CANDIDATE.
    Nominated(FourTuple),
}

/// ICE of one peer.
#[derive(Debug)]
pub struct IceAgent {
    current: Generation,
    /// After a restart, what the media still runs on until a check of the current generation is believed.
    previous: Option<Box<Generation>>,
    valid: ValidList,
    selection: Selection,
    last_check: Option<Mono>,
}

/// What one `a=ice-ufrag` stands for. The HMAC key is made once; of the peer only the ufrag is kept, because an agent
/// that sends no checks has no use for the peer's password.
#[derive(Debug)]
struct Generation {
    local: Credentials,
    key: Key,
    remote_ufrag: Option<Box<str>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Age {
    Current,
    Previous,
}

impl IceAgent {
    /// An agent that answers to `local` and has heard nothing yet.
    pub fn new(local: Credentials) -> Self {
        IceAgent {
            current: Generation::new(local),
            previous: None,
            valid: ValidList::default(),
            selection: Selection::Nothing,
            last_check: None,
        }
    }

    /// The credentials for the next description.
    pub fn local(&self) -> &Credentials {
        &self.current.local
    }

    /// Takes the peer's credentials from its description. Until then our ufrag and a tag made with our password
    /// suffice, because checks may overtake the description; from then on the peer's ufrag has to match too.
    pub fn set_remote(&mut self, remote: &Credentials) {
        self.current.remote_ufrag = Some(remote.ufrag().into());
    }

    /// Begins a new generation (RFC 8445 §9): the peer's credentials are to be set anew. The old ufrag is answered
    /// and the old pairs carry media until the first check with the new one is believed, which [`Change::retired`]
    /// tells. Returns a ufrag that is no longer answered because the agent was restarted again before that.
    pub fn restart(&mut self, local: Credentials) -> Option<Box<str>> {
        let replaced = std::mem::replace(&mut self.current, Generation::new(local));
        if self.previous.is_some() {
            return Some(replaced.local.into_ufrag());
        }
        self.previous = Some(Box::new(replaced));
        None
    }

    /// Judges a message that arrived on `tuple` and writes the answer, if there is to be one, to the front of `out`.
    /// Nobody who has not proved to know the password is answered.
    pub fn handle_request(
        &mut self,
        now: Mono,
        tuple: FourTuple,
        message: &Message<'_>,
        out: &mut [u8],
    ) -> CheckOutcome {
        let (age, generation) = match self.authenticate(message) {
            Ok(authenticated) => authenticated,
            Err(reason) => return CheckOutcome::Refused { reply: 0, reason },
        };
        let key = &generation.key;
        let transaction = message.transaction();
        let refusal = match message.role() {
            _ if !message.unknown_attributes().is_empty() => {
                Some((StunDrop::UnknownAttribute, ErrorCode::UnknownAttribute))
            }
            // "An agent MUST be in the controlled role if it is lite": no tie-breaker can change that, so the peer
            // has to take the other role (RFC 8445 §6.1.1, §7.3.1.1).
            Some(Role::Controlled(_)) => Some((StunDrop::RoleConflict, ErrorCode::RoleConflict)),
            // Without either attribute no conflict can be detected, and there is none.
            Some(Role::Controlling(_)) | None => None,
        };
        let written = match refusal {
            None => binding_success(out, transaction, tuple.remote, key),
            Some((_, code)) => binding_error(out, transaction, code, message.unknown_attributes(), Some(key)),
        };
        match (written, refusal) {
            (Err(_), _) => CheckOutcome::Refused { reply: 0, reason: StunDrop::NoSpace },
            (Ok(reply), Some((reason, _))) => CheckOutcome::Refused { reply, reason },
            (Ok(reply), None) => {
                CheckOutcome::Answered { reply, change: self.admit(now, tuple, age, message.use_candidate()) }
            }
        }
    }

    /// Finds the generation that a check belongs to and whether its sender knows the password of it.
    fn authenticate(&self, message: &Message<'_>) -> Result<(Age, &Generation), StunDrop> {
        if message.class() != Class::Request || message.method() != Method::BINDING {
            return Err(StunDrop::Unsolicited);
        }
        let (local_ufrag, remote_ufrag) = message.username().ok_or(StunDrop::Malformed)?;
        let (age, generation) = self
            .generations()
            .find(|(_, generation)| generation.local.ufrag() == local_ufrag)
            .ok_or(StunDrop::UnknownUfrag)?;
        if generation.remote_ufrag.as_deref().is_some_and(|known| known != remote_ufrag) {
            return Err(StunDrop::RemoteUfrag);
        }
        if !message.verify_fingerprint() {
            return Err(StunDrop::Fingerprint);
        }
        if !message.verify_integrity(&generation.key) {
            return Err(StunDrop::Integrity);
        }
        Ok((age, generation))
    }

    /// Takes note of a believed check (RFC 8445 §7.3.1.4 and §7.3.2).
    fn admit(&mut self, now: Mono, tuple: FourTuple, age: Age, use_candidate: bool) -> Change {
        self.last_check = Some(now);
        let retired = match age {
            Age::Current => self.previous.take().map(|generation| generation.local.into_ufrag()),
            Age::Previous => None,
        };
        let before = self.selected();
        let renewal = self.valid.renew(now, tuple, before);
        if use_candidate {
            self.selection = Selection::Nominated(tuple);
        } else if retired.is_some() || !self.has_consent(now) {
            self.selection = Selection::Valid(tuple);
        }
        let (validated, evicted) = match renewal {
            Renewal::Known => (false, None),
            Renewal::Added { evicted } => (true, evicted),
        };
        Change { validated, selected: self.selected() != before, evicted, retired }
    }

    /// Whether the peer still wants what is sent to the selected 4-tuple: it has checked that very pair within
    /// [`CONSENT_LIFETIME`]. A peer behind a NAT that rebinds may go on checking without ever nominating again
    /// (RFC 7675 §5.1 knows consent per pair); then the next check anywhere takes the selection over.
    fn has_consent(&self, now: Mono) -> bool {
        let last_check = self.selected().and_then(|tuple| self.valid.last_check(tuple));
        last_check.is_some_and(|last_check| now < last_check + CONSENT_LIFETIME)
    }

    /// Where to send.
    pub fn selected(&self) -> Option<FourTuple> {
        match self.selection {
            Selection::Nothing => None,
            Selection::Valid(tuple) | Selection::Nominated(tuple) => Some(tuple),
        }
    }

    /// Where to send, and how far ICE has come.
    pub fn selection(&self) -> Selection {
        self.selection
    }

    /// Whether DTLS and SRTP may arrive on `tuple`.
    pub fn accepts(&self, tuple: FourTuple) -> bool {
        self.valid.contains(tuple)
    }

    /// Strikes a 4-tuple that another peer has validated since (a port that a NAT gave to someone else). If it was
    /// the one that is sent on, nothing is sent until the next believed check.
    pub fn forget(&mut self, tuple: FourTuple) {
        self.valid.remove(tuple);
        if self.selected() == Some(tuple) {
            self.selection = Selection::Nothing;
        }
    }

    /// Every 4-tuple that the index holds for this peer.
    pub fn tuples(&self) -> impl Iterator<Item = FourTuple> {
        self.valid.tuples()
    }

    /// Every local ufrag that the index holds for this peer: one, or two during a restart.
    pub fn ufrags(&self) -> impl Iterator<Item = &str> {
        self.generations().map(|(_, generation)| generation.local.ufrag())
    }

    /// When the last check was believed.
    pub fn last_check(&self) -> Option<Mono> {
        self.last_check
    }

    /// When the peer counts as gone unless it checks again: `timeout` behind its last believed check on any pair.
    /// Never, before the first.
    pub fn deadline(&self, timeout: Duration) -> Mono {
        self.last_check.map_or(Mono::NEVER, |last_check| last_check + timeout)
    }

    /// Whether [`IceAgent::deadline`] has come.
    pub fn expired(&self, now: Mono, timeout: Duration) -> bool {
        now >= self.deadline(timeout)
    }

    fn generations(&self) -> impl Iterator<Item = (Age, &Generation)> {
        let previous = self.previous.as_deref().map(|generation| (Age::Previous, generation));
        std::iter::once((Age::Current, &self.current)).chain(previous)
    }
}

impl Generation {
    fn new(local: Credentials) -> Self {
        let key = Key::short_term(local.password());
        Generation { local, key, remote_ufrag: None }
    }
}

#[cfg(test)]
mod tests;
