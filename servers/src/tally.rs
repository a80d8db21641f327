//! A process's own count of its accepts, and the line with it: a witness that needs no other. Printing it
//! needs no descriptor.

use crate::lines::say;
use crate::witness::{Seat, Witness};
use rustix::io::Errno;
use serde::Serialize;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex, OnceLock};

/// Stands for "no EMFILE yet" in [`Tally::before_first_emfile`]: more accepts than can ever be made.
const NEVER: u64 = u64::MAX;

/// Counts of this process, shared by its acceptors.
///
/// With several acceptors an accept that has returned and is not yet counted may be missed by another
/// thread's first failure. Only an observer of the system calls knows the exact order.
#[derive(Debug)]
pub struct Tally {
    total: AtomicU64,
    shed: AtomicU64,
    before_first_emfile: AtomicU64,
    /// Connections that were served and are closed. A condition variable (no descriptor) wakes the thread
    /// that waits for one.
    closed: Mutex<u64>,
    closes: Condvar,
    /// TLS handshakes completed; `None` where TLS is not spoken.
    handshakes: Option<AtomicU64>,
    /// Work for clients beside accepting them; `None` where there is none to count.
    work: Option<Work>,
    /// Counts of callers; `None`: it is no witness.
    witness: Option<Arc<Witness>>,
    reported: AtomicBool,
}

/// The counts of a process beside its accepts.
#[derive(Debug, Default)]
pub(crate) struct Counted {
    /// It speaks TLS.
    pub handshakes: bool,
    /// It opens descriptors for its clients.
    pub work: bool,
    /// It reports its callers.
    pub witness: Option<Witness>,
}

#[derive(Debug, Default)]
struct Work {
    done: AtomicU64,
    failed: AtomicU64,
    first_emfile: OnceLock<FirstEmfile>,
}

/// The first EMFILE of the process, whichever call it was.
#[derive(Debug, Clone, Copy, Serialize)]
struct FirstEmfile {
    call: &'static str,
    done_before: u64,
}

#[derive(Serialize)]
struct Worked {
    done: u64,
    failed: u64,
    first_emfile: Option<FirstEmfile>,
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
    #[serde(skip_serializing_if = "Option::is_none")]
    work: Option<Worked>,
}

impl Work {
    fn note_emfile(&self, call: &'static str) {
        let _ = self.first_emfile.set(FirstEmfile { call, done_before: self.done.load(SeqCst) });
    }
}

impl Tally {
    /// Nothing counted.
    pub(crate) fn new(counted: Counted) -> Self {
        Tally {
            handshakes: counted.handshakes.then(AtomicU64::default),
            work: counted.work.then(Work::default),
            witness: counted.witness.map(Arc::new),
            total: AtomicU64::new(0),
            shed: AtomicU64::new(0),
            closed: Mutex::new(0),
            closes: Condvar::new(),
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

    /// So many connections that were served are closed.
    pub(crate) fn count_closed(&self, connections: u64) {
        *self.closed.lock().expect("no counter panics") += connections;
        self.closes.notify_all();
    }

    /// How many were.
    pub(crate) fn closed(&self) -> u64 {
        *self.closed.lock().expect("no counter panics")
    }

    /// Sleeps until more than `before` were closed. No deadline: without a client that leaves, it waits for
    /// ever.
    pub(crate) fn wait_for_close_after(&self, before: u64) {
        let closed = self.closed.lock().expect("no counter panics");
        drop(self.closes.wait_while(closed, |closed| *closed <= before).expect("no counter panics"));
    }

    /// A connection is there to be served; `None`: it is not counted.
    pub(crate) fn seat(&self) -> Option<Seat> {
        self.witness.as_ref().map(Witness::opened)
    }

    /// Answers the calls that are kept waiting; false if no later ones will be.
    pub(crate) fn go_on(&self) -> bool {
        self.witness.as_ref().is_some_and(|witness| witness.go_on())
    }

    /// Returns when a connection is to be served that is a call itself.
    pub(crate) fn admit(&self) {
        self.witness.iter().for_each(|witness| witness.admit_here());
    }

    /// A TLS handshake was completed, on either side.
    pub(crate) fn count_handshake(&self, resumed: bool) {
        if let Some(witness) = &self.witness {
            witness.shaken(resumed);
        }
        if let Some(handshakes) = &self.handshakes {
            handshakes.fetch_add(1, SeqCst);
        }
    }

    /// A request was answered with success, or a line written.
    pub(crate) fn count_done(&self) {
        if let Some(work) = &self.work {
            work.done.fetch_add(1, SeqCst);
        }
    }

    /// A request was answered with failure, or a log not opened; `exhausted` is the call that failed with
    /// EMFILE, if one did.
    pub(crate) fn count_failed(&self, exhausted: Option<&'static str>) {
        if let Some(work) = &self.work {
            work.failed.fetch_add(1, SeqCst);
            if let Some(call) = exhausted {
                work.note_emfile(call);
            }
        }
    }

    /// accept4 failed; the first EMFILE keeps the count of that moment. ENFILE is another limit's and is left
    /// out.
    pub(crate) fn note_failure(&self, errno: Errno) {
        if let Some(work) = self.work.as_ref().filter(|_| errno == Errno::MFILE) {
            work.note_emfile("accept4");
        }
        if errno == Errno::MFILE && self.before_first_emfile.load(SeqCst) == NEVER {
            let _ = self.before_first_emfile.compare_exchange(NEVER, self.total.load(SeqCst), SeqCst, SeqCst);
        }
    }

    /// The JSON line. `total` counts every accept4 that returned a connection, `shed` how many of them were
    /// closed at once.
    fn line(&self) -> String {
        let first = self.before_first_emfile.load(SeqCst);
        let line = Line {
            lastfd_server: Counts {
                pid: std::process::id(),
                before_first_emfile: (first != NEVER).then_some(first),
                total: self.total.load(SeqCst),
                shed: self.shed.load(SeqCst),
                handshakes: self.handshakes.as_ref().map(|handshakes| handshakes.load(SeqCst)),
                work: self.work.as_ref().map(|work| Worked {
                    done: work.done.load(SeqCst),
                    failed: work.failed.load(SeqCst),
                    first_emfile: work.first_emfile.get().copied(),
                }),
            },
        };
        serde_json::to_string(&line).expect("numbers serialise")
    }

    /// Prints the line once and ends the process. When two threads call it, the second only waits for the
    /// end.
    pub(crate) fn end(&self, code: u8) -> ! {
        if self.reported.swap(true, SeqCst) {
            loop {
                std::thread::park();
            }
        }
        if let Some(witness) = &self.witness {
            witness.end(self.before_first_emfile.load(SeqCst) != NEVER);
        }
        say(&self.line());
        std::process::exit(i32::from(code))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(tally: &Tally) -> serde_json::Value {
        serde_json::from_str::<serde_json::Value>(&tally.line()).expect("one JSON object")["lastfd_server"]
            .take()
    }

    #[test]
    fn only_the_first_emfile_is_kept_and_enfile_is_not_one() {
        let tally = Tally::new(Counted::default());
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
