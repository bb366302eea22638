//! How the program's own files end things that cannot go on; here there is nobody to be told but whoever measures.

use std::fmt;

/// Ends the measurement.
pub fn fatal(what: fmt::Arguments<'_>) -> ! {
    panic!("{what}")
}
