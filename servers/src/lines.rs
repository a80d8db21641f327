//! The output of a server: whole lines, each in one write, so that lines of several processes do not mix.
//! Needs no descriptor; a reader that is gone is no reason to fail.

use std::io::Write;

/// A line on standard output, at once.
pub(crate) fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(format!("{line}\n").as_bytes()).and_then(|()| out.flush());
}

/// A line on standard error, with the id of this process, as a daemon's log has it.
pub(crate) fn complain(what: std::fmt::Arguments<'_>) {
    let line = format!("lastfd serve[{}]: {what}\n", std::process::id());
    let _ = std::io::stderr().lock().write_all(line.as_bytes());
}
