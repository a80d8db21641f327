//! The totals of failed calls, and the bound on how many are reported one by one. Both syscall observers keep
//! to it, so that a spinning subject fills no memory and the totals stay exact.

use crate::event::{Call, Event, Nanos, What};
use std::time::Duration;

/// Failures of one run that are reported one by one, over all calls and processes; then totals only. Enough
/// to see the delays of any retry policy, and 5 MB of events at most.
pub const SAMPLED_AT_MOST: u64 = 20_000;

/// Totals are reported at most this often, and when observing ends.
const TOTALS_EVERY: Duration = Duration::from_millis(100);

/// The totals that were reported last.
#[derive(Debug, Default)]
pub struct Totals {
    reported: Vec<u64>,
    at: Nanos,
}

impl Totals {
    /// Whether totals are due again at `now`.
    pub fn due(&self, now: Nanos) -> bool {
        now.saturating_sub(self.at) >= TOTALS_EVERY.as_nanos() as u64
    }

    /// Reports every total that has changed.
    pub fn report(&mut self, now: Nanos, totals: impl Iterator<Item = (Call, u64)>, sink: &mut Vec<Event>) {
        self.at = now;
        for (index, (name, total)) in totals.enumerate() {
            if index == self.reported.len() {
                self.reported.push(0);
            }
            if std::mem::replace(&mut self.reported[index], total) != total {
                sink.push(Event { at: now, is: What::Failures { name, total } });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_totals_that_changed_are_reported() {
        let (mut totals, mut sink) = (Totals::default(), Vec::new());
        totals.report(1, [(Call::Accept4, 3), (Call::Openat, 0)].into_iter(), &mut sink);
        totals.report(2, [(Call::Accept4, 3), (Call::Openat, 1)].into_iter(), &mut sink);
        let failures = |at, name, total| Event { at, is: What::Failures { name, total } };
        assert_eq!(sink, [failures(1, Call::Accept4, 3), failures(2, Call::Openat, 1)]);
        assert!(!totals.due(99_000_000) && totals.due(100_000_002));
    }
}
