//! Who may have sent a request, by where it came in.

use crate::wire::janus::admin::request;
use crate::wire::janus::envelope::{Request, Verb};

/// Whose requests come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    Clients,
    /// Clients', and operators' that bring an `admin_secret`.
    Shared,
    /// Operators', and clients' too.
    Operators,
}

impl Access {
    /// Whether a request that comes in here is an operator's.
    pub(super) fn is_administration(self, request: &Request<'_>) -> bool {
        match (self, request.verb) {
            (Access::Operators, Verb::Admin(_) | Verb::Unknown) => true,
            (Access::Shared, Verb::Admin(_)) => request::has_secret(request.fields),
            _ => false,
        }
    }
}
