//! One process's descriptors since it was at rest: its connections, and what else it opened.

use super::numbers::STDERR;
use crate::event::Nanos;
use rustc_hash::FxHashSet;
use std::ops::RangeInclusive;

/// One process's descriptors since it was at rest.
#[derive(Default)]
pub(crate) struct Table {
    /// Numbers of connections, and numbers of connections that the server does not close again at once.
    pub(super) held: u64,
    pub(super) kept: u64,
    pub(super) others: FxHashSet<i64>,
    /// Numbers open at rest, and how many of them were closed since.
    pub(super) rest: FxHashSet<i64>,
    pub(super) rest_gone: u64,
    /// Of these, standard streams that may be open again.
    streams_gone: u64,
    /// Made by calls that return no number, `pipe` and `socketpair`, and not closed since.
    pub(super) unnumbered: u64,
    /// Accepts that succeeded so far.
    pub accepts: u64,
    /// Whether it accepted one before clients were told to leave.
    pub took_part: bool,
    /// The highest number that a call which returns the lowest free one gave it before clients left.
    pub highest: i64,
    /// The highest number of an accepted connection, and the next lower one.
    pub accepted_highest: (i64, i64),
    /// Whether it has closed the highest of them again.
    pub closed_highest: bool,
    /// Connections held before its first failure.
    pub before_failure: Option<(Nanos, u64)>,
    /// The most held since its first failure, or since the ramp's end.
    pub most_after: u64,
    /// Connections that stay, held when the ramp ended.
    pub at_ramp_end: u64,
    /// When it exited, whenever that was.
    pub gone: Option<Nanos>,
    /// When it exited before clients were told to leave, and what it held then.
    pub exited: Option<(Nanos, u64)>,
    /// Since its last accept it has only closed connections: from when on, and how many it held then.
    pub(super) emptied: Option<(Nanos, u64)>,
}

impl Table {
    /// The number is something else from now on; whether it was known.
    pub(super) fn forget(&mut self, fd: i64) -> bool {
        let rest = self.rest.remove(&fd);
        self.rest_gone += u64::from(rest);
        self.streams_gone += u64::from(rest && fd <= STDERR);
        self.others.remove(&fd) || rest
    }

    /// Closes these numbers; those of connections are counted elsewhere. `alone`: none of them was a
    /// connection's. A number that no call returned is one of a pipe or a socket pair. A range is taken to
    /// have all of these.
    pub(super) fn close(&mut self, numbers: RangeInclusive<i64>, alone: bool) {
        if numbers.start() == numbers.end() {
            if alone && !self.forget(*numbers.start()) {
                self.unnumbered = self.unnumbered.saturating_sub(1);
            }
            return;
        }
        let known: Vec<i64> =
            self.rest.union(&self.others).copied().filter(|fd| numbers.contains(fd)).collect();
        known.into_iter().for_each(|fd| {
            self.forget(fd);
        });
        self.unnumbered = 0;
    }

    /// A connection was accepted under this number before clients were told to leave.
    pub(super) fn accepted_as(&mut self, fd: i64) {
        self.took_part = true;
        self.highest = self.highest.max(fd);
        self.closed_highest &= fd < self.accepted_highest.0;
        let (first, second) = self.accepted_highest;
        if fd > first {
            self.accepted_highest = (fd, first);
        } else if fd < first {
            self.accepted_highest.1 = second.max(fd);
        }
    }

    /// All its descriptors, as far as calls tell; `None` where those at rest are not known.
    pub(super) fn open(&self) -> Option<u64> {
        let known = !self.rest.is_empty() || self.rest_gone > 0;
        known.then(|| (self.rest.len() + self.others.len()) as u64 + self.held + self.unnumbered)
    }

    /// `/proc` counts so many. What calls do not explain are standard streams that were closed and opened
    /// again by fcntl(2), as for a client: its success is not observed.
    pub(super) fn counted(&mut self, descriptors: u64) {
        let unseen = self.open().map_or(0, |open| descriptors.saturating_sub(open));
        if unseen <= self.streams_gone {
            (self.streams_gone, self.unnumbered) = (self.streams_gone - unseen, self.unnumbered + unseen);
        }
    }

    /// Descriptors more than at rest that are no connections.
    pub(super) fn others(&self) -> i64 {
        self.others.len() as i64 + self.unnumbered as i64 - self.rest_gone as i64
    }

    pub(super) fn empty(&mut self) {
        self.others.clear();
        self.rest.clear();
        (self.unnumbered, self.rest_gone, self.streams_gone) = (0, 0, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_closes_what_is_in_it_and_the_pipes_whose_numbers_are_not_known() {
        let mut table = Table { rest: (0..5).collect(), unnumbered: 2, ..Table::default() };
        table.others.extend([7, 9, 20]);
        table.close(3..=10, false);
        assert_eq!((table.open(), table.others()), (Some(4), -1));
    }

    #[test]
    fn a_standard_stream_that_proc_counts_again_was_opened_again() {
        let closed = || {
            let mut table = Table { rest: (0..5).collect(), ..Table::default() };
            [0, 1, 4].into_iter().for_each(|fd| table.close(fd..=fd, true));
            table
        };
        for (descriptors, others) in [(2, -3), (3, -2), (4, -1), (5, -3)] {
            let mut table = closed();
            table.counted(descriptors);
            // The next look says the same.
            table.counted(descriptors);
            assert_eq!(table.others(), others, "{descriptors} in /proc");
        }
    }
}
