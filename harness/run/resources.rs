//! When the subject's use of tasks and memory is looked at: at rest, seldom in the ramp, and at the wall.
//! `limits::resources` reads the values; `measure` interprets them.

use crate::event::{Nanos, Pid, Resources};
use crate::limits::resources::{Groups, read_of};
use crate::sys::clock;

/// The shortest time between two looks; one takes 0.2 ms, or 30 µs more for each process of the host where
/// `RLIMIT_NPROC` may bind.
const EVERY: Nanos = 100_000_000;
/// A look is followed by a pause this many times as long as itself.
const PAUSE: Nanos = 20;

/// Looks at one subject.
#[derive(Debug, Default)]
pub struct Watch {
    /// The cgroups of the process, since it was first seen: their counters outlive it.
    groups: Option<(Pid, Groups)>,
    next: Nanos,
}

impl Watch {
    /// Whether it is time for another look.
    pub fn due(&self, now: Nanos) -> bool {
        now >= self.next
    }

    /// A look at the process that accepts, in a subject of this many processes.
    pub fn read(&mut self, pid: Pid, processes: u64) -> Resources {
        let began = clock::now();
        let alive = processes > 0;
        if alive && self.groups.as_ref().is_none_or(|(of, _)| *of != pid) {
            self.groups = Some((pid, Groups::of(pid)));
        }
        let none = Groups::default();
        let used = read_of(pid, processes, self.groups.as_ref().map_or(&none, |(_, groups)| groups));
        let now = clock::now();
        self.next = (began + EVERY).max(now + PAUSE * (now - began));
        used
    }
}
