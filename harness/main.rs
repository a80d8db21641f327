//! lastfd

use clap::Parser;
use lastfd::cli::{Failure, doctor, inspect};
use std::process::ExitCode;

#[derive(Parser)]
enum Command {
    Inspect(inspect::Args),
    Doctor(doctor::Args),
}

fn main() -> ExitCode {
    let outcome = match Command::parse() {
        Command::Inspect(args) => inspect::run(&args),
        Command::Doctor(args) => doctor::run(&args),
    };
    ExitCode::from(match outcome {
        Ok(exit) => exit as u8,
        Err(Failure { exit, message }) => {
            eprintln!("{message}");
            exit as u8
        }
    })
}
