//! What the attributes of a STUN message hold (RFC 8489 §14, RFC 8445 §16.1). How they are laid out one after
//! the other is the business of `message` and `compose`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use arrayvec::ArrayVec;

use super::MAGIC_COOKIE;
use crate::wire::error::WireError;
use crate::wire::reader::Reader;

/// The 96 bits that tie an answer to its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TransactionId(pub [u8; 12]);

/// A 16-bit attribute type of the IANA registry "STUN Attributes".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttributeType(pub u16);

impl AttributeType {
    /// MAPPED-ADDRESS (RFC 8489 §14.1).
    pub const MAPPED_ADDRESS: Self = Self(0x0001);
    /// USERNAME (RFC 8489 §14.3).
    pub const USERNAME: Self = Self(0x0006);
    /// MESSAGE-INTEGRITY (RFC 8489 §14.5).
    pub const MESSAGE_INTEGRITY: Self = Self(0x0008);
    /// ERROR-CODE (RFC 8489 §14.8).
    pub const ERROR_CODE: Self = Self(0x0009);
    /// UNKNOWN-ATTRIBUTES (RFC 8489 §14.13).
    pub const UNKNOWN_ATTRIBUTES: Self = Self(0x000A);
    /// REALM (RFC 8489 §14.9).
    pub const REALM: Self = Self(0x0014);
    /// NONCE (RFC 8489 §14.10).
    pub const NONCE: Self = Self(0x0015);
    /// MESSAGE-INTEGRITY-SHA256 (RFC 8489 §14.6).
    pub const MESSAGE_INTEGRITY_SHA256: Self = Self(0x001C);
    /// XOR-MAPPED-ADDRESS (RFC 8489 §14.2).
    pub const XOR_MAPPED_ADDRESS: Self = Self(0x0020);
    /// PRIORITY (RFC 8445 §16.1).
    pub const PRIORITY: Self = Self(0x0024);
    /// USE-CANDIDATE (RFC 8445 §16.1).
    pub const USE_CANDIDATE: Self = Self(0x0025);
    /// FINGERPRINT (RFC 8489 §14.7).
    pub const FINGERPRINT: Self = Self(0x8028);
    /// ICE-CONTROLLED (RFC 8445 §16.1).
    pub const ICE_CONTROLLED: Self = Self(0x8029);
    /// ICE-CONTROLLING (RFC 8445 §16.1).
    pub const ICE_CONTROLLING: Self = Self(0x802A);

    /// Whether an agent that does not know this type has to refuse the request (RFC 8489 §14).
    pub fn comprehension_required(self) -> bool {
        self.0 < 0x8000
    }
}

/// The sender's role and its tie-breaker (RFC 8445 §7.1.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// ICE-CONTROLLING: the sender nominates.
    Controlling(u64),
    /// ICE-CONTROLLED: the sender waits for nomination.
    Controlled(u64),
}

/// The error codes that an ICE agent answers with (RFC 8489 §14.8, RFC 8445 §16.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorCode {
    /// 400: the request is malformed.
    BadRequest,
    /// 401: MESSAGE-INTEGRITY does not fit the credentials.
    Unauthenticated,
    /// 420: a comprehension-required attribute is unknown.
    UnknownAttribute,
    /// 487: both agents believe to have the same role.
    RoleConflict,
}

impl ErrorCode {
    /// The number on the wire, 300 ..= 699.
    pub fn number(self) -> u16 {
        match self {
            ErrorCode::BadRequest => 400,
            ErrorCode::Unauthenticated => 401,
            ErrorCode::UnknownAttribute => 420,
            ErrorCode::RoleConflict => 487,
        }
    }

    /// The phrase that goes with the number.
    pub fn reason(self) -> &'static str {
        match self {
            ErrorCode::BadRequest => "Bad Request",
            ErrorCode::Unauthenticated => "Unauthenticated",
            ErrorCode::UnknownAttribute => "Unknown Attribute",
            ErrorCode::RoleConflict => "Role Conflict",
        }
    }
}

/// Reads ERROR-CODE: 21 reserved bits, the hundreds, the rest, a phrase.
pub(super) fn parse_error_code(value: &[u8]) -> Result<u16, WireError> {
    let mut reader = Reader::new(value);
    let [_, _, class, number] = reader.array("ERROR-CODE")?;
    let class = class & 0b111;
    if !(3..=6).contains(&class) || number > 99 {
        return Err(WireError::BadValue("ERROR-CODE"));
    }
    Ok(u16::from(class) * 100 + u16::from(number))
}

/// Reads XOR-MAPPED-ADDRESS.
pub(super) fn parse_xor_address(value: &[u8], transaction: TransactionId) -> Result<SocketAddr, WireError> {
    const WHAT: &str = "XOR-MAPPED-ADDRESS";
    let mask = xor_mask(transaction);
    let mut reader = Reader::new(value);
    let [_, family] = reader.array(WHAT)?;
    let port = reader.u16(WHAT)? ^ u16::from_be_bytes([mask[0], mask[1]]);
    let ip = match family {
        FAMILY_V4 => IpAddr::V4(Ipv4Addr::from(reader.u32(WHAT)? ^ MAGIC_COOKIE)),
        FAMILY_V6 => {
            let mut address: [u8; 16] = reader.array(WHAT)?;
            address.iter_mut().zip(mask).for_each(|(byte, mask)| *byte ^= mask);
            IpAddr::V6(Ipv6Addr::from(address))
        }
        _ => return Err(WireError::BadValue(WHAT)),
    };
    reader.finish(WHAT)?;
    Ok(SocketAddr::new(ip, port))
}

/// The value of XOR-MAPPED-ADDRESS: 8 bytes for IPv4, 20 for IPv6.
pub(super) fn xor_address(address: SocketAddr, transaction: TransactionId) -> ArrayVec<u8, 20> {
    let mask = xor_mask(transaction);
    let masked = |bytes: &[u8], value: &mut ArrayVec<u8, 20>| {
        value.extend(bytes.iter().zip(mask).map(|(byte, mask)| byte ^ mask));
    };
    let family = if address.is_ipv4() { FAMILY_V4 } else { FAMILY_V6 };
    let mut value = ArrayVec::from_iter([0, family]);
    masked(&address.port().to_be_bytes(), &mut value);
    match address.ip() {
        IpAddr::V4(ip) => masked(&ip.octets(), &mut value),
        IpAddr::V6(ip) => masked(&ip.octets(), &mut value),
    }
    value
}

/// "The concatenation of the magic cookie and the 96-bit transaction ID" (RFC 8489 §14.2).
fn xor_mask(transaction: TransactionId) -> [u8; 16] {
    let mut mask = [0; 16];
    mask[..4].copy_from_slice(&MAGIC_COOKIE.to_be_bytes());
    mask[4..].copy_from_slice(&transaction.0);
    mask
}

const FAMILY_V4: u8 = 1;
const FAMILY_V6: u8 = 2;
