//! The commands that only runs execute (hidden): what is a helper's, in the `lastfd` program and in any
//! program that links the library.

use super::{Failure, drive, exec, serve};
use crate::helper::WORD;
use crate::sys::image::Place;
use crate::testing;
use clap::Parser;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Helper {
    #[command(hide = true)]
    Serve(serve::Args),
    #[command(hide = true)]
    Drive(drive::Args),
    #[command(hide = true)]
    Exec(exec::Args),
    #[command(hide = true)]
    Closure {
        place: Place,
    },
}

impl Helper {
    /// Does it; the exit code, which is another program's status as often as one of the table.
    pub(super) fn run(self) -> Result<u8, Failure> {
        match self {
            Helper::Serve(args) => Ok(serve::run(args)),
            Helper::Drive(args) => drive::drive(&args).map(|exit| exit as u8),
            Helper::Exec(args) => Ok(exec::main(args) as u8),
            Helper::Closure { place } => Ok(testing::serve(place)),
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

/// Does what the command line of a helper asks, of a program that links the library; the exit code.
pub fn helped() -> u8 {
    ended(Line::parse_from(std::env::args_os().skip(1)).helper.run())
}

/// The exit code, with the reason for an early end on standard error.
pub(super) fn ended(ended: Result<u8, Failure>) -> u8 {
    ended.unwrap_or_else(|failure| {
        anstream::eprintln!("{}", failure.message);
        failure.exit as u8
    })
}
