//! `lastfd completions` and `lastfd man`: what clap generates of the command line.

use super::output::say;
use super::{Exit, Failure, Outcome};
use clap::Command;
use std::path::PathBuf;

/// Print a completion script for a shell
#[derive(Debug, clap::Args)]
pub struct CompletionsArgs {
    shell: clap_complete::Shell,
}

/// Prints the completions.
///
/// # Errors
/// Standard output cannot be written to.
pub fn completions(args: &CompletionsArgs, mut cli: Command) -> Outcome {
    // Into memory first: clap panics where a reader closed the pipe.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut cli, "lastfd", &mut script);
    say(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Met)
}

/// Write the manual pages, one for each command
#[derive(Debug, clap::Args)]
pub struct ManArgs {
    /// Folder to write to; created if it does not exist
    directory: PathBuf,
}

/// Writes the pages.
///
/// # Errors
/// The folder cannot be written to.
pub fn man(args: &ManArgs, cli: Command) -> Outcome {
    std::fs::create_dir_all(&args.directory)
        .and_then(|()| clap_mangen::generate_to(cli, &args.directory))
        .map_err(|e| Failure::new(Exit::Usage, format!("{}: {e}", args.directory.display())))?;
    Ok(Exit::Met)
}
