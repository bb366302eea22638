//! ICE of one peer, seen from a server: a lite agent, always controlled, that answers checks and never sends any
//! (RFC 8445 §2.5). Candidates, SDP and the table from ufrag or 4-tuple to peer live elsewhere.

mod agent;
mod check;
mod credentials;
mod valid_list;

pub use agent::{CONSENT_LIFETIME, IceAgent, PAIR_SILENCE, Selection};
pub use check::{Change, CheckOutcome, StunDrop};
pub use credentials::{CredentialError, Credentials};
