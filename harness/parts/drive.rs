//! `drive`: the load generator's process. A `Setup` line, then orders come in; events go out: by standard
//! input and output, or by a socket (`--at PATH`) where the driver is itself a process of the scenario, with
//! its own launcher and limits.

use crate::drive::driver;
use lexopt::prelude::Long;
use std::ffi::OsString;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

/// Drives clients until `Quit` or the end of input; returns the exit code.
///
/// # Errors
/// A fault: a line that is not understood, or the driver's own calls failed.
pub(super) fn drive(words: impl Iterator<Item = OsString>) -> Result<u8, String> {
    let at = at(words).map_err(|e| format!("drive: {e}"))?;
    let driven = match &at {
        None => driver::prepare().and_then(|()| driver::run(std::io::stdin(), std::io::stdout())),
        Some(path) => {
            let socket = UnixStream::connect(path).map_err(|e| format!("{}: {e}", path.display()))?;
            driver::run(&socket, &socket)
        }
    };
    driven.map(|()| 0).map_err(|e| format!("lastfd drive: {e}"))
}

/// The run's socket, in place of standard input and output; limits stay as they are then.
fn at(words: impl Iterator<Item = OsString>) -> Result<Option<PathBuf>, lexopt::Error> {
    let mut words = lexopt::Parser::from_args(words);
    let mut at = None;
    while let Some(word) = words.next()? {
        match word {
            Long("at") => at = Some(words.value()?.into()),
            other => return Err(other.unexpected()),
        }
    }
    Ok(at)
}
