//! Does what the command line asks, and says the exit code; nothing else.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(lastfd::internal::cli::main())
}
