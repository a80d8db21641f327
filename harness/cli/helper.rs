//! The commands that only runs execute (hidden): what is a helper's, in the `lastfd` program and in any
//! program that links the library.

use super::{Failure, drive, exec, serve};
use crate::helper::{WORD, asked};
use clap::Parser;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Helper {
    #[command(hide = true)]
    Serve(serve::Args),
    #[command(hide = true)]
    Drive(drive::Args),
    #[command(hide = true)]
    Exec(exec::Args),
}

impl Helper {
    /// Does it; the exit code, which is another program's status as often as one of the table.
    pub(super) fn run(self) -> Result<u8, Failure> {
        match self {
            Helper::Serve(args) => Ok(serve::run(args)),
            Helper::Drive(args) => drive::drive(&args).map(|exit| exit as u8),
            Helper::Exec(args) => Ok(exec::main(args) as u8),
        }
    }
}

/// The command line of a program that links the library, from [`WORD`] on.
#[derive(Debug, Parser)]
#[command(name = WORD)]
struct Line {
    #[command(subcommand)]
    helper: Helper,
}

/// Does a helper's part and exits, where a run started this process as its helper; otherwise returns at once.
/// Call it first in `main`.
///
/// A run needs processes of its own beside the subject: one owns the subject's process tree, others are the
/// load generators and the bundled servers. They are the program that links this library, executed again with
/// the first argument `lastfd-helper`, so nothing else has to be installed. Some of them enter namespaces,
/// which only a process with one thread may do: call this function before the program starts a thread.
///
/// A program whose `main` is not its own, such as a test, uses an installed `lastfd` instead:
/// [`Options::with_lastfd`](crate::Options::with_lastfd).
pub fn helper() {
    asked();
    if std::env::args_os().nth(1).is_none_or(|word| word != WORD) {
        return;
    }
    let line = Line::parse_from(std::env::args_os().skip(1));
    std::process::exit(ended(line.helper.run()).into());
}

/// The exit code, with the reason for an early end on standard error.
pub(super) fn ended(ended: Result<u8, Failure>) -> u8 {
    ended.unwrap_or_else(|failure| {
        anstream::eprintln!("{}", failure.message);
        failure.exit as u8
    })
}
