//! What became of one connectivity check: the answer to send, what changed for the caller's tables, or the reason of
//! a refusal, which the caller counts.

/// The result of [`super::IceAgent::handle_request`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CheckOutcome {
    /// The check was believed; a success answer was written.
    Answered {
        /// Bytes of the answer, at most [`crate::wire::stun::REPLY_MAX`].
        reply: usize,
        /// What the caller has to bring up to date.
        change: Change,
    },
    /// The check changed nothing.
    Refused {
        /// Bytes of the error answer. 0 is silence, which is what everyone gets who could not be authenticated.
        reply: usize,
        reason: StunDrop,
    },
}

/// What a believed check changed; the default is nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// The check's 4-tuple joined the valid list: index it (and let a peer that had it [`super::IceAgent::forget`] it).
    pub validated: bool,
    /// Sending moved to the check's 4-tuple.
    pub selected: bool,
    /// The 4-tuple that made room for the new one: remove it from the index.
    pub evicted: Option<crate::id::FourTuple>,
    /// The local ufrag of the generation that an ICE restart has now replaced: remove it from the index.
    pub retired: Option<Box<str>>,
}

/// Why a STUN datagram had no effect. One counter each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StunDrop {
    /// Not a STUN message, or a check without a USERNAME of two parts. Silent.
    Malformed,
    /// FINGERPRINT is absent or wrong. Silent.
    Fingerprint,
    /// Not a Binding request: a lite agent asks nothing, so every answer is unsolicited. Silent.
    Unsolicited,
    /// No live peer has the local ufrag. Silent.
    UnknownUfrag,
    /// The sender's ufrag is not the one in its description. Silent.
    RemoteUfrag,
    /// MESSAGE-INTEGRITY is absent or was made with another password. Silent.
    Integrity,
    /// Authenticated, with a comprehension-required attribute that is not known; answered with 420.
    UnknownAttribute,
    /// Authenticated, but the peer believes to be controlled too; answered with 487.
    RoleConflict,
    /// The slice lent for the answer is too short. Silent; the peer tries again.
    NoSpace,
}
