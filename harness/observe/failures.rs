//! The totals of failed calls, and the bound on how many are reported one by one. Both syscall observers keep
//! to it, so that a spinning subject fills no memory and the totals stay exact.

use crate::event::{Call, Event, Nanos, Pid, What};
use std::collections::{HashMap, HashSet};
use std::time::Duration;

/// Failures of one run that are reported one by one, over all calls and processes; then totals only. Enough
/// to see the delays of any retry policy, and 5 MB of events at most.
pub const SAMPLED_AT_MOST: u64 = 20_000;

/// Totals are reported at most this often, and when observing ends.
const TOTALS_EVERY: Duration = Duration::from_millis(100);

/// How many failures were reported one by one, and on which listeners.
#[derive(Debug, Default)]
pub struct Sampled {
    all: u64,
    /// By process and listener.
    of: HashMap<(Pid, i32), u64>,
    muted: HashSet<(Pid, i32)>,
    /// The event that [`Sampled::muted`] returns next.
    news: Option<What>,
}

impl Sampled {
    /// Only so many more are to be reported.
    pub fn with_room_for(failures: u64) -> Self {
        Sampled { all: SAMPLED_AT_MOST.saturating_sub(failures), ..Sampled::default() }
    }

    /// Whether one more failure of this process is reported, an accept on this listener if `on` is given.
    ///
    /// Where the bound is reached and most were of one listener, while another of the same process fails too,
    /// that one is reported no more, and the others have its room.
    pub fn takes(&mut self, pid: Pid, on: Option<i32>) -> bool {
        if self.all >= SAMPLED_AT_MOST || on.is_some_and(|on| self.muted.contains(&(pid, on))) {
            return false;
        }
        self.all += 1;
        let Some(on) = on else { return true };
        *self.of.entry((pid, on)).or_default() += 1;
        if self.full()
            && let Some((&(pid, on), &most)) = self.of.iter().max_by_key(|(_, failures)| **failures)
            && most > SAMPLED_AT_MOST / 2
            && self.of.keys().any(|(other, listener)| *other == pid && *listener != on)
        {
            self.all -= most;
            self.of.remove(&(pid, on));
            self.muted.insert((pid, on));
            self.news = Some(What::Muted { pid, on });
        }
        true
    }

    /// Whether no more are reported at all.
    pub fn full(&self) -> bool {
        self.all >= SAMPLED_AT_MOST
    }

    /// The listener that is reported no more since the last failure.
    pub fn muted(&mut self) -> Option<What> {
        self.news.take()
    }
}

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
    fn a_listener_that_fails_most_leaves_room_for_the_others_of_its_process() {
        let mut sampled = Sampled::default();
        assert!(sampled.takes(7, Some(3)));
        (2..SAMPLED_AT_MOST).for_each(|_| assert!(sampled.takes(7, Some(4)) && sampled.muted().is_none()));
        assert!(sampled.takes(7, Some(4)));
        assert_eq!(sampled.muted(), Some(What::Muted { pid: 7, on: 4 }));
        assert!(!sampled.takes(7, Some(4)) && sampled.takes(7, Some(3)) && sampled.takes(7, None));
        // It is the only listener of its process: its failures are all there is to see.
        let mut alone = Sampled::default();
        assert!(alone.takes(8, Some(3)));
        (1..SAMPLED_AT_MOST).for_each(|_| assert!(alone.takes(7, Some(4))));
        assert!(alone.full() && alone.muted().is_none() && !alone.takes(8, Some(3)));
    }

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
