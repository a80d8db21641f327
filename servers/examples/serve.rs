//! The bundled servers as a program of their own: what `lastfd serve` is, for this package's tests.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(lastfd_servers::main(std::env::args_os().skip(1)))
}
