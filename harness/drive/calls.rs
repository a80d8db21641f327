//! The caller: makes the calls of one workload and tells how each ends.

use super::orders::{Error, Lines, at};
use super::protocol::Setup;
use std::io::Write;

/// Makes calls as ordered until `Quit` or the end of input.
///
/// # Errors
/// See [`Error`].
pub fn run(setup: Setup, _lines: Lines<'_>, _out: impl Write) -> Result<(), Error> {
    let _ = setup;
    Err(at("calling")(std::io::Error::from(std::io::ErrorKind::Unsupported)))
}
