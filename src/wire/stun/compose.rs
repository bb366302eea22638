//! Writing STUN messages into a lent slice (RFC 8489 §5): the answers that a lite agent gives, and the requests that
//! tests, the simulator and the load generator make. Nothing is allocated; what does not fit is an error.

use std::net::SocketAddr;

use super::attribute::xor_address;
use super::integrity::{self, TAG_BYTES};
use super::message::{UNKNOWN_MAX, join_type, padding};
use super::{
    ATTRIBUTE_HEADER_BYTES, AttributeType, Class, ErrorCode, HEADER_BYTES, Key, MAGIC_COOKIE, Method, Role,
    TransactionId,
};
use crate::wire::error::WireError;

/// The largest answer that [`binding_success`] and [`binding_error`] write, in bytes: a 420 that names eight attributes.
pub const REPLY_MAX: usize = HEADER_BYTES
    + ATTRIBUTE_HEADER_BYTES
    + (4 + 20)
    + ATTRIBUTE_HEADER_BYTES
    + 2 * UNKNOWN_MAX
    + ATTRIBUTE_HEADER_BYTES
    + TAG_BYTES
    + ATTRIBUTE_HEADER_BYTES
    + 4;

/// Writes the answer to a check that was believed (RFC 8445 §7.3.1.2); returns its length.
///
/// # Errors
/// [`WireError::NoSpace`] when `out` is shorter than the answer; [`REPLY_MAX`] always suffices.
pub fn binding_success(
    out: &mut [u8],
    transaction: TransactionId,
    mapped: SocketAddr,
    key: &Key,
) -> Result<usize, WireError> {
    let mut composer = Composer::new(out, Class::Success, Method::BINDING, transaction)?;
    composer.attribute(AttributeType::XOR_MAPPED_ADDRESS, &[&xor_address(mapped, transaction)])?;
    composer.message_integrity(key)?;
    composer.fingerprint()
}

/// Writes an error answer; returns its length. `unknown` is for a 420 and names at most eight; `key` is absent
/// when the requester could not be authenticated (RFC 8489 §9.1.3.1).
///
/// # Errors
/// As [`binding_success`].
pub fn binding_error(
    out: &mut [u8],
    transaction: TransactionId,
    code: ErrorCode,
    unknown: &[AttributeType],
    key: Option<&Key>,
) -> Result<usize, WireError> {
    let mut composer = Composer::new(out, Class::Error, Method::BINDING, transaction)?;
    composer.error_code(code)?;
    if !unknown.is_empty() {
        composer.unknown_attributes(unknown)?;
    }
    if let Some(key) = key {
        composer.message_integrity(key)?;
    }
    composer.fingerprint()
}

/// A connectivity check as a full agent sends it (RFC 8445 §7.2.2).
#[derive(Clone, Copy, Debug)]
pub struct BindingRequest<'a> {
    /// The id that the answer will repeat.
    pub transaction: TransactionId,
    /// The receiver's ufrag.
    pub remote_ufrag: &'a str,
    /// The sender's ufrag.
    pub local_ufrag: &'a str,
    /// PRIORITY of a peer-reflexive candidate that this check may create.
    pub priority: u32,
    /// The sender's role.
    pub role: Role,
    /// Whether the sender nominates the path.
    pub use_candidate: bool,
}

impl BindingRequest<'_> {
    /// Writes the request, signed with the receiver's password; returns its length.
    ///
    /// # Errors
    /// [`WireError::NoSpace`] when `out` is too short: 120 bytes and the two ufrags suffice.
    pub fn compose(&self, out: &mut [u8], key: &Key) -> Result<usize, WireError> {
        let mut composer = Composer::new(out, Class::Request, Method::BINDING, self.transaction)?;
        let username = [self.remote_ufrag.as_bytes(), b":", self.local_ufrag.as_bytes()];
        composer.attribute(AttributeType::USERNAME, &username)?;
        let (kind, tie_breaker) = match self.role {
            Role::Controlling(tie_breaker) => (AttributeType::ICE_CONTROLLING, tie_breaker),
            Role::Controlled(tie_breaker) => (AttributeType::ICE_CONTROLLED, tie_breaker),
        };
        composer.attribute(kind, &[&tie_breaker.to_be_bytes()])?;
        if self.use_candidate {
            composer.attribute(AttributeType::USE_CANDIDATE, &[])?;
        }
        composer.attribute(AttributeType::PRIORITY, &[&self.priority.to_be_bytes()])?;
        composer.message_integrity(key)?;
        composer.fingerprint()
    }
}

/// Appends attributes to a message; the header's length field is right after each.
#[derive(Debug)]
pub struct Composer<'b> {
    out: &'b mut [u8],
    len: usize,
}

impl<'b> Composer<'b> {
    /// Writes the header.
    ///
    /// # Errors
    /// [`WireError::NoSpace`] below 20 bytes.
    pub fn new(out: &'b mut [u8], class: Class, method: Method, transaction: TransactionId) -> Result<Self, WireError> {
        let mut composer = Composer { out, len: 0 };
        composer.put(&join_type(class, method).to_be_bytes())?;
        composer.put(&[0, 0])?;
        composer.put(&MAGIC_COOKIE.to_be_bytes())?;
        composer.put(&transaction.0)?;
        Ok(composer)
    }

    /// Appends any attribute; its value is the concatenation of `parts`.
    ///
    /// # Errors
    /// [`WireError::NoSpace`] when the slice or the length field cannot hold it; the message is then unusable.
    pub fn attribute(&mut self, kind: AttributeType, parts: &[&[u8]]) -> Result<(), WireError> {
        let length: usize = parts.iter().map(|part| part.len()).sum();
        self.put(&kind.0.to_be_bytes())?;
        self.put(&u16::try_from(length).map_err(|_| NO_SPACE)?.to_be_bytes())?;
        for part in parts {
            self.put(part)?;
        }
        self.put(&[0; 3][..padding(length)])?;
        self.set_length(self.len)
    }

    fn error_code(&mut self, code: ErrorCode) -> Result<(), WireError> {
        let [_, hundreds] = (code.number() / 100).to_be_bytes();
        let [_, rest] = (code.number() % 100).to_be_bytes();
        self.attribute(AttributeType::ERROR_CODE, &[&[0, 0, hundreds, rest], code.reason().as_bytes()])
    }

    fn unknown_attributes(&mut self, unknown: &[AttributeType]) -> Result<(), WireError> {
        let mut value = [0; 2 * UNKNOWN_MAX];
        for (slot, kind) in value.chunks_exact_mut(2).zip(unknown) {
            slot.copy_from_slice(&kind.0.to_be_bytes());
        }
        let length = 2 * unknown.len().min(UNKNOWN_MAX);
        self.attribute(AttributeType::UNKNOWN_ATTRIBUTES, &[&value[..length]])
    }

    /// Appends MESSAGE-INTEGRITY over everything so far.
    ///
    /// # Errors
    /// As [`Composer::attribute`].
    pub fn message_integrity(&mut self, key: &Key) -> Result<(), WireError> {
        let tag = key.tag(&self.out[..self.len]);
        self.attribute(AttributeType::MESSAGE_INTEGRITY, &[&tag])
    }

    /// Appends FINGERPRINT over everything so far and returns the length of the finished message.
    ///
    /// # Errors
    /// As [`Composer::attribute`].
    pub fn fingerprint(mut self) -> Result<usize, WireError> {
        self.set_length(self.len + ATTRIBUTE_HEADER_BYTES + 4)?;
        let value = integrity::fingerprint(&self.out[..self.len]);
        self.attribute(AttributeType::FINGERPRINT, &[&value.to_be_bytes()])?;
        Ok(self.len)
    }

    /// Ends a message without FINGERPRINT and returns its length.
    pub fn finish(self) -> usize {
        self.len
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), WireError> {
        let end = self.len + bytes.len();
        self.out.get_mut(self.len..end).ok_or(NO_SPACE)?.copy_from_slice(bytes);
        self.len = end;
        Ok(())
    }

    /// The header's length field for a message that ends at `end`.
    fn set_length(&mut self, end: usize) -> Result<(), WireError> {
        let length = u16::try_from(end - HEADER_BYTES).map_err(|_| NO_SPACE)?;
        self.out[2..4].copy_from_slice(&length.to_be_bytes());
        Ok(())
    }
}

const NO_SPACE: WireError = WireError::NoSpace("STUN message");
