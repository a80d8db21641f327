//! A process's own count of its accepts, and the line that says it: a witness that asks nobody else. Needs no descriptor
//! to be printed.

use crate::lines::say;
use rustix::io::Errno;
use serde::Serialize;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};

/// Stands for "no EMFILE yet" in [`Tally::before_first_emfile`]: more accepts than can ever be made.
const NEVER: u64 = u64::MAX;

/// Counts of this process, shared by its acceptors.
///
/// With several acceptors an accept that has returned and is not yet counted may be missed by another thread's first
/// failure; who needs the exact order watches the calls from outside.
#[derive(Debug)]
pub struct Tally {
    total: AtomicU64,
    shed: AtomicU64,
    before_first_emfile: AtomicU64,
    /// TLS handshakes completed; `None` where TLS is not spoken.
    handshakes: Option<AtomicU64>,
    reported: AtomicBool,
}

#[derive(Serialize)]
struct Line {
    lastfd_server: Counts,
}

#[derive(Serialize)]
struct Counts {
    pid: u32,
    before_first_emfile: Option<u64>,
    total: u64,
    shed: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    handshakes: Option<u64>,
}

impl Tally {
    /// Nothing counted; handshakes never will be unless the process speaks TLS.
    pub(crate) fn new(tls: bool) -> Self {
        Tally {
            handshakes: tls.then(AtomicU64::default),
            total: AtomicU64::new(0),
            shed: AtomicU64::new(0),
            before_first_emfile: AtomicU64::new(NEVER),
            reported: AtomicBool::new(false),
        }
    }

    /// accept4 returned a connection.
    pub(crate) fn count_accepted(&self) {
        self.total.fetch_add(1, SeqCst);
    }

    /// accept4 returned a connection that was closed at once, to get rid of the client.
    pub(crate) fn count_shed(&self) {
        self.shed.fetch_add(1, SeqCst);
        self.count_accepted();
    }

    /// A TLS handshake was completed, on either side.
    pub(crate) fn count_handshake(&self) {
        if let Some(handshakes) = &self.handshakes {
            handshakes.fetch_add(1, SeqCst);
        }
    }

    /// accept4 failed; the first EMFILE keeps the count of that moment. ENFILE is another limit's and is left out.
    pub(crate) fn note_failure(&self, errno: Errno) {
        if errno == Errno::MFILE && self.before_first_emfile.load(SeqCst) == NEVER {
            let _ = self.before_first_emfile.compare_exchange(NEVER, self.total.load(SeqCst), SeqCst, SeqCst);
        }
    }

    /// The JSON line; `total` counts every accept4 that returned a connection, `shed` those of them closed at once.
    fn line(&self) -> String {
        let first = self.before_first_emfile.load(SeqCst);
        let line = Line {
            lastfd_server: Counts {
                pid: std::process::id(),
                before_first_emfile: (first != NEVER).then_some(first),
                total: self.total.load(SeqCst),
                shed: self.shed.load(SeqCst),
                handshakes: self.handshakes.as_ref().map(|handshakes| handshakes.load(SeqCst)),
            },
        };
        serde_json::to_string(&line).expect("numbers serialise")
    }

    /// Prints the line once and ends the process; of two threads that come here the second only waits for the end.
    pub(crate) fn end(&self, code: u8) -> ! {
        if self.reported.swap(true, SeqCst) {
            loop {
                std::thread::park();
            }
        }
        say(&self.line());
        std::process::exit(i32::from(code))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(tally: &Tally) -> serde_json::Value {
        serde_json::from_str::<serde_json::Value>(&tally.line()).expect("one JSON object")["lastfd_server"].take()
    }

    #[test]
    fn only_the_first_emfile_is_kept_and_enfile_is_not_one() {
        let tally = Tally::new(false);
        tally.count_accepted();
        tally.note_failure(Errno::NFILE);
        assert!(counts(&tally)["before_first_emfile"].is_null());
        tally.count_accepted();
        tally.note_failure(Errno::MFILE);
        tally.count_shed();
        tally.note_failure(Errno::MFILE);
        let counts = counts(&tally);
        assert_eq!(counts["before_first_emfile"], 2);
        assert_eq!(counts["total"], 3);
        assert_eq!(counts["shed"], 1);
    }
}
