//! Comparison of secrets, pins and tokens in a time that does not tell where they differ.

use aws_lc_rs::constant_time::verify_slices_are_equal;

/// Whether two texts are the same. Constant in time for texts of one length; the length itself is not hidden.
pub fn is_same(wanted: &str, given: &str) -> bool {
    verify_slices_are_equal(wanted.as_bytes(), given.as_bytes()).is_ok()
}
