//! When a process changed nothing: only then do a count of `/proc` and the calls around it belong together.

use crate::event::{Change, Event, Nanos, Pid, What};
use rustc_hash::FxHashMap;
use std::collections::HashMap;

/// When each process created or closed a descriptor, and when it exited.
pub(super) struct Changes {
    /// The flag: whether it was a close, which is seen as it begins.
    calls: FxHashMap<Pid, Vec<(Nanos, bool)>>,
    exits: HashMap<Pid, Nanos>,
}

impl Changes {
    /// A count and the calls around it may be this much apart: the sampler can be preempted between reading
    /// and noting.
    const APART: Nanos = 2_000_000;
    /// A close is seen before it is done, and a traced process may be stopped between the two for as long as
    /// its tracer does not run.
    const CLOSING: Nanos = 100_000_000;
    /// Closing tens of thousands of descriptors at exit takes this long on a busy machine.
    const DYING: Nanos = 100_000_000;

    pub fn of(events: &[&Event]) -> Self {
        let mut changes = Changes { calls: FxHashMap::default(), exits: HashMap::new() };
        for event in events {
            match event.is {
                What::Call { pid, ret: 0.., .. } => {
                    changes.calls.entry(pid).or_default().push((event.at, false))
                }
                What::Close { pid, .. } | What::CloseRange { pid, .. } => {
                    changes.calls.entry(pid).or_default().push((event.at, true))
                }
                What::Process { pid, change: Change::Exit, .. } | What::Exited { pid, .. } => {
                    changes.exits.entry(pid).or_insert(event.at);
                }
                _ => {}
            }
        }
        changes
    }

    /// Whether the process was about to exit: the kernel closes its descriptors without a call, and the exit
    /// is seen after that.
    pub fn dying(&self, pid: Pid, at: Nanos) -> bool {
        self.exits.get(&pid).is_some_and(|&exit| exit < at.saturating_add(Self::DYING))
    }

    /// Whether the process changed nothing around this moment.
    pub fn still(&self, pid: Pid, at: Nanos) -> bool {
        let Some(times) = self.calls.get(&pid) else { return true };
        let from = times.partition_point(|&(t, _)| t < at.saturating_sub(Self::APART));
        let closing = from
            .checked_sub(1)
            .is_some_and(|last| times[last].1 && times[last].0.saturating_add(Self::CLOSING) > at);
        !closing && times.get(from).is_none_or(|&(next, _)| next > at.saturating_add(Self::APART))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Call;

    #[test]
    fn a_close_that_was_begun_may_not_be_done_yet() {
        const MS: Nanos = 1_000_000;
        let calls = [
            Event { at: 10 * MS, is: What::Call { pid: 7, name: Call::Accept4, ret: 5, on: None } },
            Event { at: 20 * MS, is: What::Close { pid: 7, fd: 5 } },
        ];
        let changes = Changes::of(&calls.iter().collect::<Vec<_>>());
        assert!(changes.still(7, 14 * MS), "nothing happens between the accept and the close");
        assert!(!changes.still(7, 19 * MS) && !changes.still(7, 21 * MS), "too near");
        assert!(!changes.still(7, 40 * MS), "the traced process may be stopped where its close begins");
        assert!(changes.still(7, 200 * MS));
    }
}
