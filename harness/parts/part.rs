//! Which part of a run words name, and doing it.

use super::{closure, drive, exec};
use std::ffi::OsString;

/// Exit code of a fault of lastfd, as in the commands' table.
pub(super) const FAULT: u8 = 70;

/// Does the part that these words name, and returns the exit code, which is another program's status as often
/// as one of the commands' table; `None`: they name none.
pub fn run(words: impl IntoIterator<Item = OsString>) -> Option<u8> {
    let mut words = words.into_iter();
    let name = words.next()?;
    Some(match name.to_str()? {
        // The whole of this part is in `lastfd-servers`.
        "serve" => lastfd_servers::main(words),
        "drive" => told(drive::drive(words)),
        "exec" => told(exec::main(words)),
        "closure" => told(closure::closure(words)),
        _ => return None,
    })
}

/// The exit code, with the reason for an early end on standard error.
fn told(ended: Result<u8, String>) -> u8 {
    ended.unwrap_or_else(|why| {
        eprintln!("{why}");
        FAULT
    })
}
