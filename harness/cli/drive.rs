//! `lastfd drive` (hidden): the load generator's process. Standard input: a `Setup` line, then orders; standard output: events.

use super::{Exit, Failure, Outcome};
use crate::drive::driver;

/// Drives clients until `Quit` or the end of input.
///
/// # Errors
/// A fault: a line that is not understood, or the driver's own calls failed.
pub fn drive() -> Outcome {
    driver::prepare()
        .and_then(|()| driver::run(std::io::stdin(), std::io::stdout()))
        .map(|()| Exit::Met)
        .map_err(|e| Failure::new(Exit::Fault, format!("lastfd drive: {e}")))
}
