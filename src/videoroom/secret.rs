//! What somebody must know: secrets, pins and tokens are compared in a time that does not tell where they differ.

use crate::control::error::RoomError;
use crate::secret::is_same;

/// Whether what is given is what is wanted, if anything is.
pub fn check(what: &'static str, wanted: Option<&str>, given: Option<&str>) -> Result<(), RoomError> {
    let Some(wanted) = wanted else { return Ok(()) };
    let given = given.ok_or(RoomError::Missing(what))?;
    if is_same(wanted, given) { Ok(()) } else { Err(RoomError::Unauthorized(what)) }
}
