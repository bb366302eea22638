//! The lite agent of one peer (RFC 8445 §7.3 and §8.2, consent of RFC 7675 as its receiving side). It decides which
//! checks are believed, which 4-tuples media may come from, which one media goes to, and when the peer is gone; it has
//! no socket and no table of peers.
//!
//! Consent is renewed by checks and by authenticated SRTP, SRTCP or DTLS on a valid pair: libnice up to 0.1.21 sends
//! nothing but Binding indications once a pair is nominated, and the media of such a peer proves as much as a check.
//!
//! A lite agent takes the source address of an authenticated check as it is, without a check of its own back to it.
//! Someone who holds the password can therefore direct media at a third party for as long as they keep checks coming;
//! RFC 8445 §19.4.1 knows this, and only a full agent is better.

use std::time::Duration;

use arrayvec::ArrayVec;

use super::valid_list::{Client, Renewal, ValidList};
use super::{Change, CheckOutcome, Credentials, StunDrop};
use crate::id::FourTuple;
use crate::limits::TUPLES_PER_PEER;
use crate::time::Mono;
use crate::wire::stun::{Class, ErrorCode, Key, Message, Method, Role, binding_error, binding_success};

/// For how long a pair may be sent on after the peer was heard on it (RFC 7675 §5.1).
pub const CONSENT_LIFETIME: Duration = Duration::from_secs(30);

/// A pair on which nothing was heard for so long loses media to one on which media arrive, and may be taken over by
/// another peer (a port that a NAT gave to someone else).
pub const PAIR_SILENCE: Duration = Duration::from_secs(2);

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
    /// When the peer was last heard: a check, SRTP, SRTCP or DTLS that could be authenticated.
    last_heard: Option<Mono>,
    /// When something was first sent to the peer since it was last heard.
    unanswered: Option<Mono>,
    /// The remote ufrag whose pairs may carry DTLS while no description has named one.
    handshake_ufrag: Option<Box<str>>,
    /// The pair on which DTLS of our association came last, until the handshake is complete.
    client: Option<FourTuple>,
    /// The pair on which the DTLS handshake was completed: whoever did that receives what is sent there.
    proven: Option<FourTuple>,
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
            last_heard: None,
            unanswered: None,
            handshake_ufrag: None,
            client: None,
            proven: None,
        }
    }

    /// The credentials for the next description.
    pub fn local(&self) -> &Credentials {
        &self.current.local
    }

    /// Takes the peer's credentials from its description. Until then our ufrag and a tag made with our password
    /// suffice, because checks may overtake the description; from then on the peer's ufrag has to match too. A client
    /// that does not bundle runs an ICE agent for each m-line, and all of them check with our one password before their
    /// answer is seen: the pairs of those that the description does not name are struck, and returned.
    pub fn set_remote(&mut self, remote: &Credentials) -> ArrayVec<FourTuple, TUPLES_PER_PEER> {
        if self.is_misled(remote) {
            self.client = None;
            self.valid.forget_clients();
        }
        self.agree(remote, true)
    }

    fn agree(&mut self, remote: &Credentials, keep_agreed: bool) -> ArrayVec<FourTuple, TUPLES_PER_PEER> {
        let struck = self.valid.agree(remote.ufrag(), keep_agreed);
        self.current.remote_ufrag = Some(remote.ufrag().into());
        self.handshake_ufrag = None;
        if self.selected().is_some_and(|selected| struck.contains(&selected)) {
            self.selection = self.valid.latest().map_or(Selection::Nothing, Selection::Valid);
        }
        struck
    }

    /// Whether DTLS on `tuple` is the peer's. While no description has named its ufrag, that is the agent whose DTLS
    /// came first, and what is sent goes to it: datagrams of two clients must never meet in one association.
    pub fn admits_dtls(&mut self, tuple: FourTuple) -> bool {
        let Some(pair) = self.valid.get(tuple).filter(|pair| pair.client != Client::Other) else { return false };
        let Some(ufrag) = pair.remote_ufrag.as_deref() else { return true };
        if self.handshake_ufrag.is_none() {
            self.handshake_ufrag = Some(ufrag.into());
            let selected = self.selected().and_then(|selected| self.valid.get(selected));
            if selected.is_none_or(|pair| pair.remote_ufrag.as_deref() != Some(ufrag)) {
                self.selection = Selection::Valid(tuple);
            }
        }
        self.handshake_ufrag.as_deref() == Some(ufrag)
    }

    /// DTLS on `tuple` belongs to the handshake of our association.
    pub fn note_client(&mut self, tuple: FourTuple) {
        self.client = Some(tuple);
        self.valid.note_client(tuple, Client::Ours);
    }

    /// Where DTLS is sent: during the handshake to where its client is, whatever has been nominated meanwhile, perhaps
    /// by another client; then with the media.
    pub fn dtls_path(&self) -> Option<FourTuple> {
        self.client.filter(|at| self.valid.get(*at).is_some()).or_else(|| self.selected())
    }

    /// DTLS on `tuple` is not of our association but begins another: a client that does not bundle may give all of its
    /// agents the same credentials (GStreamer's webrtcbin does), and only their ClientHellos differ. Nothing more is
    /// taken from there, nor sent to it, until media come under our keys.
    pub fn note_other_client(&mut self, tuple: FourTuple) {
        self.valid.note_client(tuple, Client::Other);
        if self.is_of_other(tuple) && self.selected() == Some(tuple) {
            self.selection = self.valid.latest().map_or(Selection::Nothing, Selection::Valid);
        }
    }

    fn is_of_other(&self, tuple: FourTuple) -> bool {
        self.valid.get(tuple).is_some_and(|pair| pair.client == Client::Other)
    }

    /// Whether DTLS has been taken from an agent that is not the one that the description names.
    pub fn is_misled(&self, remote: &Credentials) -> bool {
        self.handshake_ufrag.as_deref().is_some_and(|ufrag| ufrag != remote.ufrag())
    }

    /// A new DTLS association begins (RFC 8842 §5) with the agent whose credentials these are, on our current ones: what
    /// was valid for the old one is struck. Returns those 4-tuples, and the local ufrag that is no longer answered.
    pub fn begin_association(
        &mut self,
        remote: &Credentials,
    ) -> (ArrayVec<FourTuple, TUPLES_PER_PEER>, Option<Box<str>>) {
        let retired = self.previous.take().map(|generation| generation.local.into_ufrag());
        (self.last_heard, self.unanswered, self.client, self.proven) = (None, None, None, None);
        self.valid.forget_clients();
        (self.agree(remote, false), retired)
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
        let is_agreed = generation.remote_ufrag.is_some();
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
                let remote_ufrag = message.username().map(|(_, remote)| remote).filter(|_| !is_agreed);
                CheckOutcome::Answered {
                    reply,
                    change: self.admit(now, tuple, age, remote_ufrag, message.use_candidate()),
                }
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

    /// Takes note of a believed check (RFC 8445 §7.3.1.4 and §7.3.2). `remote_ufrag` is whose it is, while no
    /// description says so.
    fn admit(
        &mut self,
        now: Mono,
        tuple: FourTuple,
        age: Age,
        remote_ufrag: Option<&str>,
        use_candidate: bool,
    ) -> Change {
        self.last_check = Some(now);
        let retired = match age {
            Age::Current => self.previous.take().map(|generation| generation.local.into_ufrag()),
            Age::Previous => None,
        };
        let before = self.selected();
        let renewal = self.valid.renew(now, tuple, remote_ufrag, before);
        self.note_heard(now);
        // What another agent of the same client nominates is not where the handshake's client is.
        let is_rival = matches!((&self.handshake_ufrag, remote_ufrag), (Some(one), Some(other)) if **one != *other)
            || self.is_of_other(tuple);
        if is_rival {
        } else if use_candidate {
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

    /// Takes note of SRTP, SRTCP or DTLS that could be authenticated and came on a valid pair. True when sending moves to
    /// that pair: a client behind a NAT that rebinds need not nominate again, and nothing is left of the old mapping.
    pub fn note_media(&mut self, now: Mono, tuple: FourTuple) -> bool {
        self.valid.note(now, tuple);
        self.note_heard(now);
        let Some(selected) = self.selected() else { return false };
        if selected == tuple || self.is_heard_on(selected, now) || self.valid.get(tuple).is_none() {
            return false;
        }
        self.selection = Selection::Valid(tuple);
        true
    }

    fn note_heard(&mut self, now: Mono) {
        self.last_heard = Some(now);
        self.unanswered = None;
    }

    /// Takes note of something that was sent to the peer and that it is to answer in some way: with reports, with checks.
    pub fn note_sent(&mut self, now: Mono) {
        if self.unanswered.is_none() {
            self.unanswered = Some(now);
        }
    }

    /// Whether the peer was heard on this very pair within [`PAIR_SILENCE`].
    pub fn is_heard_on(&self, tuple: FourTuple, now: Mono) -> bool {
        self.valid.get(tuple).is_some_and(|pair| now < pair.heard + PAIR_SILENCE)
    }

    /// The DTLS handshake is complete.
    pub fn note_handshake(&mut self) {
        self.proven = self.dtls_path();
        self.client = None;
    }

    /// Whether the peer completed its handshake on this pair, so that it can be reached there. A check proves less: its
    /// source address may be forged.
    pub fn has_proven(&self, tuple: FourTuple) -> bool {
        self.proven == Some(tuple)
    }

    /// Whether the peer still wants what is sent to the selected 4-tuple: it was heard on that very pair within
    /// [`CONSENT_LIFETIME`]. A peer behind a NAT that rebinds may go on checking without ever nominating again
    /// (RFC 7675 §5.1 knows consent per pair); then the next check anywhere takes the selection over.
    fn has_consent(&self, now: Mono) -> bool {
        let pair = self.selected().and_then(|tuple| self.valid.get(tuple));
        pair.is_some_and(|pair| now < pair.heard + CONSENT_LIFETIME)
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

    /// Whether the peer is gone: for `timeout` it was to say something and was not heard. One that `owes` media was to
    /// since it was last heard, any other since something was sent to it. Nobody is expected to answer silence: a
    /// subscriber of a quiet room stays.
    pub fn is_gone(&self, now: Mono, timeout: Duration, owes: bool) -> bool {
        let since = if owes { self.last_heard } else { self.unanswered };
        since.is_some_and(|since| now >= since + timeout)
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
