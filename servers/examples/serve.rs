//! The bundled servers as a program of their own: what `lastfd serve` is, for this package's tests.

use clap::Parser;
use std::process::ExitCode;

#[derive(Parser)]
struct Command {
    #[command(flatten)]
    args: lastfd_servers::Args,
}

fn main() -> ExitCode {
    ExitCode::from(lastfd_servers::serve(Command::parse().args))
}
