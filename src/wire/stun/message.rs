//! A received STUN message: bytes to a borrowed value (RFC 8489 §5 and §6.3). It refuses what is not well formed
//! and remembers what a request may be refused for; whether the sender is believed is decided in `proto::ice`.

use std::net::SocketAddr;

use arrayvec::ArrayVec;

use super::attribute::{parse_error_code, parse_xor_address};
use super::integrity::{self, TAG_BYTES};
use super::{AttributeType, Key, MAGIC_COOKIE, Role, TransactionId};
use crate::wire::error::WireError;
use crate::wire::reader::Reader;

/// The two class bits of the message type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Asks for an answer.
    Request,
    /// Asks for none.
    Indication,
    /// The answer "yes".
    Success,
    /// The answer "no", with an error code.
    Error,
}

/// The twelve method bits of the message type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Method(pub u16);

impl Method {
    /// The one method that ICE uses.
    pub const BINDING: Method = Method(0x001);
}

/// A well-formed STUN message. Of an attribute that appears twice the first counts (RFC 8489 §14), and behind
/// MESSAGE-INTEGRITY only FINGERPRINT does (§14.5).
#[derive(Clone, Debug)]
pub struct Message<'a> {
    class: Class,
    method: Method,
    transaction: TransactionId,
    username: Option<&'a str>,
    priority: Option<u32>,
    use_candidate: bool,
    role: Option<Role>,
    error_code: Option<u16>,
    xor_mapped_address: Option<SocketAddr>,
    integrity: Option<Integrity<'a>>,
    fingerprint: Option<Fingerprint<'a>>,
    unknown: ArrayVec<AttributeType, UNKNOWN_MAX>,
}

#[derive(Clone, Copy, Debug)]
struct Integrity<'a> {
    covered: &'a [u8],
    tag: [u8; TAG_BYTES],
}

#[derive(Clone, Copy, Debug)]
struct Fingerprint<'a> {
    covered: &'a [u8],
    value: u32,
}

impl<'a> Message<'a> {
    /// Reads one whole datagram.
    ///
    /// # Errors
    /// Whatever RFC 8489 §6.3 calls not well formed, a length that differs from the datagram's, anything behind
    /// FINGERPRINT, and more attributes than any ICE agent sends.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(bytes);
        let (class, method) = split_type(reader.u16(HEADER)?)?;
        let length = usize::from(reader.u16(HEADER)?);
        if reader.u32(HEADER)? != MAGIC_COOKIE {
            return Err(WireError::BadValue("STUN magic cookie"));
        }
        let transaction = TransactionId(reader.array(HEADER)?);
        if length % 4 != 0 || length != reader.len() {
            return Err(WireError::BadLength("STUN message"));
        }
        let mut message = Message {
            class,
            method,
            transaction,
            username: None,
            priority: None,
            use_candidate: false,
            role: None,
            error_code: None,
            xor_mapped_address: None,
            integrity: None,
            fingerprint: None,
            unknown: ArrayVec::new(),
        };
        for _ in 0..ATTRIBUTES_MAX {
            if reader.is_empty() {
                return Ok(message);
            }
            if message.fingerprint.is_some() {
                return Err(WireError::Trailing("FINGERPRINT"));
            }
            let covered = &bytes[..bytes.len() - reader.len()];
            let kind = AttributeType(reader.u16(ATTRIBUTE)?);
            let length = usize::from(reader.u16(ATTRIBUTE)?);
            let value = reader.take(length, ATTRIBUTE)?;
            reader.take(padding(length), ATTRIBUTE)?;
            message.admit(kind, value, covered)?;
        }
        if reader.is_empty() { Ok(message) } else { Err(WireError::BadLength("STUN attribute list")) }
    }

    fn admit(&mut self, kind: AttributeType, value: &'a [u8], covered: &'a [u8]) -> Result<(), WireError> {
        if self.integrity.is_some() && kind != AttributeType::FINGERPRINT {
            return Ok(());
        }
        match kind {
            AttributeType::USERNAME => {
                let text = std::str::from_utf8(value).map_err(|_| WireError::BadValue("USERNAME"))?;
                self.username.get_or_insert(text);
            }
            AttributeType::PRIORITY => {
                let value = u32::from_be_bytes(exactly(value, "PRIORITY")?);
                self.priority.get_or_insert(value);
            }
            AttributeType::USE_CANDIDATE => {
                exactly::<0>(value, "USE-CANDIDATE")?;
                self.use_candidate = true;
            }
            AttributeType::ICE_CONTROLLING => {
                let tie_breaker = u64::from_be_bytes(exactly(value, "ICE-CONTROLLING")?);
                self.role.get_or_insert(Role::Controlling(tie_breaker));
            }
            AttributeType::ICE_CONTROLLED => {
                let tie_breaker = u64::from_be_bytes(exactly(value, "ICE-CONTROLLED")?);
                self.role.get_or_insert(Role::Controlled(tie_breaker));
            }
            AttributeType::ERROR_CODE => {
                let code = parse_error_code(value)?;
                self.error_code.get_or_insert(code);
            }
            AttributeType::XOR_MAPPED_ADDRESS => {
                let address = parse_xor_address(value, self.transaction)?;
                self.xor_mapped_address.get_or_insert(address);
            }
            AttributeType::MESSAGE_INTEGRITY => {
                self.integrity = Some(Integrity { covered, tag: exactly(value, "MESSAGE-INTEGRITY")? });
            }
            AttributeType::FINGERPRINT => {
                let value = u32::from_be_bytes(exactly(value, "FINGERPRINT")?);
                self.fingerprint = Some(Fingerprint { covered, value });
            }
            // Understood, and of no use to ICE: "known but unexpected attributes MUST be ignored" (RFC 8489 §6.3).
            AttributeType::MAPPED_ADDRESS
            | AttributeType::UNKNOWN_ATTRIBUTES
            | AttributeType::REALM
            | AttributeType::NONCE
            | AttributeType::MESSAGE_INTEGRITY_SHA256 => {}
            kind if kind.comprehension_required() => {
                // One is reason enough for a 420; the list is a courtesy.
                let _ = self.unknown.try_push(kind);
            }
            _ => {}
        }
        Ok(())
    }

    /// Request, indication or which answer.
    pub fn class(&self) -> Class {
        self.class
    }

    /// What is asked for.
    pub fn method(&self) -> Method {
        self.method
    }

    /// The id that the answer repeats.
    pub fn transaction(&self) -> TransactionId {
        self.transaction
    }

    /// USERNAME split at its first colon: the receiver's ufrag, then the sender's (RFC 8445 §7.2.2).
    /// None when absent or without a colon.
    pub fn username(&self) -> Option<(&'a str, &'a str)> {
        self.username?.split_once(':')
    }

    /// PRIORITY: what a peer-reflexive candidate of the sender would have.
    pub fn priority(&self) -> Option<u32> {
        self.priority
    }

    /// Whether USE-CANDIDATE is there: the sender nominates the path that this request took.
    pub fn use_candidate(&self) -> bool {
        self.use_candidate
    }

    /// ICE-CONTROLLING or ICE-CONTROLLED.
    pub fn role(&self) -> Option<Role> {
        self.role
    }

    /// ERROR-CODE as a number, 300 ..= 699.
    pub fn error_code(&self) -> Option<u16> {
        self.error_code
    }

    /// XOR-MAPPED-ADDRESS: the requester's address as the answerer saw it.
    pub fn xor_mapped_address(&self) -> Option<SocketAddr> {
        self.xor_mapped_address
    }

    /// Comprehension-required attributes that are not known here, at most the first eight.
    pub fn unknown_attributes(&self) -> &[AttributeType] {
        &self.unknown
    }

    /// Whether FINGERPRINT is there and right, which ICE requires of every message (RFC 8445 §7.2.2 and §7.3).
    pub fn verify_fingerprint(&self) -> bool {
        self.fingerprint.is_some_and(|it| integrity::fingerprint(it.covered) == it.value)
    }

    /// Whether MESSAGE-INTEGRITY is there and was made with `key`; compares in constant time.
    pub fn verify_integrity(&self, key: &Key) -> bool {
        self.integrity.is_some_and(|it| key.verify(it.covered, &it.tag))
    }
}

/// Takes the message type apart: the class bits stand between the method's (RFC 8489 §5, figure 3).
fn split_type(bits: u16) -> Result<(Class, Method), WireError> {
    if bits & 0xC000 != 0 {
        return Err(WireError::BadValue("STUN message type"));
    }
    let class = match bits & 0x0110 {
        0x0000 => Class::Request,
        0x0010 => Class::Indication,
        0x0100 => Class::Success,
        _ => Class::Error,
    };
    Ok((class, Method((bits & 0x000F) | ((bits & 0x00E0) >> 1) | ((bits & 0x3E00) >> 2))))
}

/// The inverse of [`split_type`].
pub(super) fn join_type(class: Class, Method(method): Method) -> u16 {
    let class = match class {
        Class::Request => 0x0000,
        Class::Indication => 0x0010,
        Class::Success => 0x0100,
        Class::Error => 0x0110,
    };
    class | (method & 0x000F) | ((method & 0x0070) << 1) | ((method & 0x0F80) << 2)
}

/// Bytes from the end of a value to the next multiple of four.
pub(super) fn padding(length: usize) -> usize {
    length.wrapping_neg() & 3
}

fn exactly<const N: usize>(value: &[u8], what: &'static str) -> Result<[u8; N], WireError> {
    value.try_into().map_err(|_| WireError::BadLength(what))
}

const HEADER: &str = "STUN header";
const ATTRIBUTE: &str = "STUN attribute";
/// Chromium sends seven attributes, an answer fewer; a datagram could hold 370.
const ATTRIBUTES_MAX: usize = 32;
/// As many unknown attributes as a 420 names.
pub(super) const UNKNOWN_MAX: usize = 8;
