//! Parses the arguments, calls the command, says the exit code; nothing else.

use clap::Parser;
use lastfd::internal::cli::Cli;
use std::process::ExitCode;

fn main() -> ExitCode {
    match Cli::parse().run() {
        Ok(code) => code,
        Err(failure) => {
            anstream::eprintln!("{}", failure.message);
            ExitCode::from(failure.exit as u8)
        }
    }
}
