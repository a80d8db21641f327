//! The descriptor calls of the subject, one by one, and their totals where single ones were not recorded.

use super::listeners::Listeners;
use crate::event::{Call, Errno, Event, Nanos, Phase, Pid, What};
use std::collections::HashMap;

/// EMFILE (`-24`) or ENFILE (`-23`), as the kernel returns them.
pub(crate) fn full(ret: i64) -> Option<Errno> {
    let errno = Errno::from_raw(i32::try_from(ret.checked_neg()?).ok()?);
    [Errno::EMFILE, Errno::ENFILE].contains(&errno).then_some(errno)
}

/// A descriptor call that returned.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Try {
    pub at: Nanos,
    pub pid: Pid,
    pub call: Call,
    /// As the kernel gave it: a number, or a negative errno.
    pub ret: i64,
    /// The number of the listener of an accept that failed, if it is known.
    pub on: Option<i32>,
    /// It is a listener beside the loaded one.
    pub beside: bool,
}

impl Try {
    pub fn accepted(&self) -> bool {
        self.ret >= 0 && self.call.accepts()
    }

    /// Whether it is a try of the loop that is loaded.
    pub fn tries_to_accept(&self) -> bool {
        self.call.accepts() && !self.beside
    }

    /// The errno, where there was no descriptor for it.
    pub fn failed(&self) -> Option<Errno> {
        full(self.ret)
    }
}

/// Failures of one call so far, over the whole tree.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Total {
    pub at: Nanos,
    pub call: Call,
    pub total: u64,
}

/// All calls and totals of a log.
#[derive(Default)]
pub(crate) struct Tries {
    /// All tries, in order of time.
    pub all: Vec<Try>,
    /// Descriptors that a process closed, in order of time.
    pub closes: Vec<(Nanos, Pid)>,
    /// Totals, in order of time.
    pub totals: Vec<Total>,
    /// The moments from which single failures were no longer recorded, until the run asked for more.
    pub sampling_stops: Vec<Nanos>,
    /// The moments from which failures on a listener beside the loaded one were no longer recorded, with that
    /// listener.
    pub muted: Vec<(Nanos, Pid, i32)>,
    /// How many samples the observer had lost, each time that it noticed.
    pub lost: Vec<(Nanos, u64)>,
}

impl Tries {
    pub fn new(events: &[&Event], listeners: &Listeners) -> Self {
        let mut tries = Tries::default();
        for event in events {
            let at = event.at;
            match event.is {
                What::Call { pid, name: call, ret, on } => {
                    let beside = listeners.beside(pid, on).is_some();
                    tries.all.push(Try { at, pid, call, ret, on, beside });
                }
                What::Close { pid, .. } | What::CloseRange { pid, .. } => tries.closes.push((at, pid)),
                What::Failures { name: call, total } => tries.totals.push(Total { at, call, total }),
                What::SamplingStopped => tries.sampling_stops.push(at),
                What::Muted { pid, on } if listeners.beside(pid, Some(on)).is_none() => {
                    tries.sampling_stops.push(at);
                }
                What::Muted { pid, on } => tries.muted.push((at, pid, on)),
                // From here on single failures are recorded again.
                What::Phase(Phase::Ramp) => tries.sampling_stops.clear(),
                What::Lost { samples } => tries.lost.push((at, samples)),
                _ => {}
            }
        }
        tries
    }

    /// The moment from which single failures were no longer recorded, for the first time since clients came.
    pub fn sampling_stopped(&self) -> Option<Nanos> {
        self.sampling_stops.first().copied()
    }

    /// Calls of `[from, until)`.
    pub fn between(&self, from: Nanos, until: Nanos) -> &[Try] {
        let first = self.all.partition_point(|t| t.at < from);
        let last = self.all.partition_point(|t| t.at < until).max(first);
        &self.all[first..last]
    }

    /// Processes that accepted, or failed to for want of a descriptor.
    pub fn accepting(&self) -> impl Iterator<Item = Pid> + '_ {
        self.all.iter().filter(|t| t.call.accepts() && (t.ret >= 0 || t.failed().is_some())).map(|t| t.pid)
    }

    /// The total of a call as last read before this moment.
    pub fn total_before(&self, call: Call, until: Nanos) -> u64 {
        let before = &self.totals[..self.totals.partition_point(|t| t.at < until)];
        before.iter().rev().find(|t| t.call == call).map_or(0, |t| t.total)
    }

    /// How much the totals grew with each reading, in order of time.
    pub fn growth(&self) -> impl Iterator<Item = (Total, u64)> + '_ {
        let mut known: HashMap<Call, u64> = HashMap::new();
        self.totals.iter().map(move |total| {
            let before = known.insert(total.call, total.total).unwrap_or(0);
            (*total, total.total.saturating_sub(before))
        })
    }

    /// Samples that were lost as far as was noticed by then, the moment included.
    pub fn lost_by(&self, until: Nanos) -> u64 {
        self.lost.iter().filter(|(at, _)| *at <= until).fold(0, |sum, (_, n)| sum.saturating_add(*n))
    }

    /// Whether any loss was noticed in `[from, until)`.
    pub fn lost_in(&self, from: Nanos, until: Nanos) -> bool {
        self.lost.iter().any(|(at, _)| (from..until).contains(at))
    }
}
