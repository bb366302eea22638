//! STUN messages as ICE uses them: Binding requests and their answers (RFC 8489, ICE attributes of RFC 8445 §16.1).
//! Parsing borrows the datagram and composing writes into a lent slice. Long-term credentials, TCP framing and
//! the SHA-256 integrity are not here: ICE uses none of them.

mod attribute;
mod compose;
mod integrity;
mod message;

pub use attribute::{AttributeType, ErrorCode, Role, TransactionId};
pub use compose::{BindingRequest, Composer, REPLY_MAX, binding_error, binding_success};
pub use integrity::Key;
pub use message::{Class, Message, Method};

/// The fixed value behind the length field (RFC 8489 §5).
const MAGIC_COOKIE: u32 = 0x2112_A442;
/// Bytes before the first attribute.
const HEADER_BYTES: usize = 20;
/// Bytes of an attribute's type and length.
const ATTRIBUTE_HEADER_BYTES: usize = 4;

#[cfg(test)]
mod tests;
