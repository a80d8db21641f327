//! `lastfd drive` (hidden): the load generator's process. A `Setup` line, then orders come in; events go out:
//! by standard input and output, or by a socket where the driver is itself a process of the scenario, with
//! its own launcher and limits.

use super::{Exit, Failure, Outcome};
use crate::drive::driver;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

/// Options of `lastfd drive`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The run's socket, in place of standard input and output; limits stay as they are
    #[arg(long)]
    at: Option<PathBuf>,
}

/// Drives clients until `Quit` or the end of input.
///
/// # Errors
/// A fault: a line that is not understood, or the driver's own calls failed.
pub fn drive(args: &Args) -> Outcome {
    let driven = match &args.at {
        None => driver::prepare().and_then(|()| driver::run(std::io::stdin(), std::io::stdout())),
        Some(path) => {
            let socket = UnixStream::connect(path)
                .map_err(|e| Failure::new(Exit::Fault, format!("{}: {e}", path.display())))?;
            driver::run(&socket, &socket)
        }
    };
    driven.map(|()| Exit::Met).map_err(|e| Failure::new(Exit::Fault, format!("lastfd drive: {e}")))
}
