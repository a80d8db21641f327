//! The bundled servers as a program of their own: the same as `lastfd serve`, for this package's tests.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(lastfd_servers::main(std::env::args_os().skip(1)))
}
