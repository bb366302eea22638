//! What somebody must know: secrets, pins and tokens are compared in a time that does not tell where they differ.

use openssl::memcmp;

use super::error::RoomError;

/// Whether two texts are the same. Constant in time for texts of one length; the length itself is not hidden.
pub fn is_equal(one: &str, other: &str) -> bool {
    one.len() == other.len() && memcmp::eq(one.as_bytes(), other.as_bytes())
}

/// Whether what is given is what is wanted, if anything is.
pub fn check(what: &'static str, wanted: Option<&str>, given: Option<&str>) -> Result<(), RoomError> {
    let Some(wanted) = wanted else { return Ok(()) };
    let given = given.ok_or(RoomError::Missing(what))?;
    if is_equal(wanted, given) { Ok(()) } else { Err(RoomError::Unauthorized(what)) }
}
