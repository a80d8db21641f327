//! Signals as something to poll, for the bundled parents of a program: single-threaded processes that wait
//! for several things at once.

use std::io::{self, Read};
use std::os::unix::net::UnixStream;

/// A stream that becomes readable when one of these signals has come; they no longer do anything else.
pub(super) fn stream(signals: &[i32]) -> io::Result<UnixStream> {
    let (read, write) = UnixStream::pair()?;
    for &signal in signals {
        signal_hook::low_level::pipe::register(signal, write.try_clone()?)?;
    }
    read.set_nonblocking(true)?;
    Ok(read)
}

/// Whether one has come since it was last asked.
pub(super) fn drained(signals: &mut UnixStream) -> bool {
    let mut buffer = [0; 64];
    let mut any = false;
    while signals.read(&mut buffer).is_ok_and(|read| read > 0) {
        any = true;
    }
    any
}
