//! The watch on an accept loop while the run looks on: it says when the run has seen enough. The class itself
//! is measured afterwards, from the whole log, by the same model.

use super::rhythm::{BATCH, BURST, PAUSE, SPIN_IN_A_ROW, by_arrivals, timers};
use super::timer::{Fit, LANES, TRIES, Timer};
use crate::event::Nanos;
use crate::scenario::Policy;
use std::collections::VecDeque;

/// Told of what the process that failed first does, as it happens; says as soon as its policy is plain. Its
/// memory is bounded.
#[derive(Debug, Clone, Default)]
pub struct PolicyWatch {
    recent: VecDeque<Nanos>,
    /// When clients arrived, as many.
    arrived: VecDeque<Nanos>,
    /// The first tries, at most as many of each batch as there may be lanes; and the number in this batch.
    tries: Vec<Nanos>,
    in_batch: usize,
    longest: Nanos,
    first: Option<Nanos>,
    /// Bursts so far, when the present one began, and its failures.
    bursts: usize,
    burst_from: Nanos,
    in_burst: usize,
    /// Bursts that were none: single failures.
    small: usize,
    /// Time between bursts.
    paused: Nanos,
    gone: bool,
    decided: Option<Policy>,
}

impl PolicyWatch {
    /// Failures within half a second that are a spin, unless they stop soon: then it was a burst.
    const SPIN: usize = SPIN_IN_A_ROW;
    const SPINS_FOR: Nanos = 300_000_000;
    /// Equal pauses of each lane that are a constant delay, and that are the longest of one that grows.
    const EQUAL: usize = 3;
    const LONGEST: usize = 2;
    /// A pause that is shorter decides nothing yet.
    const SHORTEST: Nanos = 20_000_000;

    /// Has seen nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// An accept failed with EMFILE or ENFILE.
    pub fn failed(&mut self, at: Nanos) {
        if self.decided.is_some() {
            return;
        }
        let last = self.recent.back().copied();
        let first = *self.first.get_or_insert(at);
        self.recent.push_back(at);
        if self.recent.len() > Self::SPIN {
            self.recent.pop_front();
        }
        let gap = last.map_or(Nanos::MAX, |last| at.saturating_sub(last));
        let begins = gap >= BATCH;
        self.in_batch = if begins { 1 } else { self.in_batch + 1 };
        if self.in_batch <= LANES && self.tries.len() < TRIES + LANES {
            self.tries.push(at);
        }
        if gap >= PAUSE {
            self.small += usize::from(self.bursts > 0 && self.in_burst < BURST);
            (self.bursts, self.burst_from, self.in_burst) = (self.bursts + 1, at, 0);
            self.paused += last.map_or(0, |_| gap);
        }
        self.in_burst += 1;
        self.decided = self.spins(first, at).or_else(|| self.storms(first, at));
        // A delay is plain when a pause ends that is as long as any.
        if begins && last.is_some() && self.tries.len() <= TRIES && self.decided.is_none() {
            self.longest = self.longest.max(gap);
            if self.in_burst < BURST && gap >= Self::SHORTEST.max(self.longest / 4 * 3) {
                self.decided = self.pauses(at);
            }
        }
    }

    /// A client connected: a loop that each arrival wakes fails as often as clients come.
    pub fn arrived(&mut self, at: Nanos) {
        if self.arrived.len() >= Self::SPIN {
            self.arrived.pop_front();
        }
        self.arrived.push_back(at);
    }

    fn spins(&self, first: Nanos, at: Nanos) -> Option<Policy> {
        let within = self.recent.front().map_or(0, |first| at.saturating_sub(*first));
        // Bursts grow where each of their failures sets a timer: one that has paused spins when it goes on
        // for longer than it paused.
        let goes_on = at.saturating_sub(self.burst_from) >= self.paused;
        let woken = self.arrived.iter().filter(|at| self.recent.front() <= Some(*at)).count();
        let spins = self.recent.len() == Self::SPIN
            && !by_arrivals(Self::SPIN, woken)
            && within < 500_000_000
            && at.saturating_sub(first) >= Self::SPINS_FOR;
        (spins && goes_on).then_some(Policy::Spin)
    }

    fn storms(&self, first: Nanos, at: Nanos) -> Option<Policy> {
        let mostly_paused = self.paused > at.saturating_sub(first) / 2;
        (self.bursts >= 3 && self.small == 0 && self.in_burst >= BURST && mostly_paused)
            .then_some(Policy::Storm)
    }

    fn pauses(&self, at: Nanos) -> Option<Policy> {
        match timers(&self.tries, &[], at) {
            Fit { best: Some(Timer::Constant { each, .. }), rival: None } if each >= Self::EQUAL => {
                Some(Policy::FixedDelay)
            }
            // It may end in an exit: it is watched until it grows no more.
            Fit { best: Some(Timer::Grows { at_longest, .. }), rival: None }
                if at_longest >= Self::LONGEST =>
            {
                Some(Policy::Backoff)
            }
            _ => None,
        }
    }

    /// So many calls failed that their times are no longer known.
    pub fn flooded(&mut self) {
        self.decided.get_or_insert(Policy::Spin);
    }

    /// The process that failed exited.
    pub fn exited(&mut self) {
        self.gone = self.first.is_some();
    }

    /// A process was started.
    pub fn started(&mut self) {
        if self.gone {
            self.decided = Some(Policy::WorkerRestarts);
        }
    }

    /// Whether all failures so far came at one time.
    pub fn silent(&self) -> bool {
        self.bursts == 1
    }

    /// The policy, once it is plain; the measured one may be finer (`sheds`).
    pub fn decided(&self) -> Option<Policy> {
        self.decided
    }
}
