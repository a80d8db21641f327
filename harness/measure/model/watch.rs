//! The watch that tells the run, while it looks on, when it has seen enough of an accept loop. The class itself is measured afterwards,
//! from the whole log.

use super::super::units::seconds;
use super::rhythm::{BATCH, BURST, GROWTH, NO_PAUSE, PAUSE, SPIN_IN_A_ROW, SPREAD, gaps, median};
use crate::event::Nanos;
use crate::scenario::Policy;
use std::collections::VecDeque;

/// Told of what the process that failed first does, as it happens; says as soon as its policy is plain. Its memory is bounded.
#[derive(Debug, Clone, Default)]
pub struct PolicyWatch {
    recent: VecDeque<Nanos>,
    starts: VecDeque<Nanos>,
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
    const STARTS: usize = 6;
    /// Two delays that grow may look alike when the first of them is late; on a busy machine by so many seconds.
    const LATE_S: f64 = 0.5;

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
        if gap >= BATCH {
            self.starts.push_back(at);
            if self.starts.len() > Self::STARTS {
                self.starts.pop_front();
            }
        }
        if gap >= PAUSE {
            self.small += usize::from(self.bursts > 0 && self.in_burst < BURST);
            (self.bursts, self.burst_from, self.in_burst) = (self.bursts + 1, at, 0);
            self.paused += last.map_or(0, |_| gap);
        }
        self.in_burst += 1;
        self.decided = self.plain(first, at);
    }

    fn plain(&mut self, first: Nanos, at: Nanos) -> Option<Policy> {
        let watched = at.saturating_sub(first);
        let within = self.recent.front().map_or(0, |first| at.saturating_sub(*first));
        let mostly_paused = self.paused > watched / 2;
        // Bursts grow where each of their failures sets a timer: one that has paused spins when it goes on for longer than it paused.
        let goes_on = at.saturating_sub(self.burst_from) >= self.paused;
        if self.recent.len() == Self::SPIN && within < 500_000_000 && watched >= Self::SPINS_FOR && goes_on {
            return Some(Policy::Spin);
        }
        if self.bursts >= 3 && self.small == 0 && self.in_burst >= BURST && mostly_paused {
            return Some(Policy::Storm);
        }
        let gaps = gaps(self.starts.make_contiguous(), 1);
        let alike = |some: &[f64]| {
            let (most, least) = some.iter().fold((0f64, f64::MAX), |(m, l), &g| (m.max(g), l.min(g)));
            least >= seconds(NO_PAUSE) && most - least <= median(some) * SPREAD
        };
        let three = &gaps[gaps.len().saturating_sub(3)..];
        if three.len() == 3 && alike(three) && self.in_burst < BURST {
            return Some(Policy::FixedDelay);
        }
        // A delay that grows may end in an exit: it is watched until it grows no more.
        let (grown, top) = gaps.split_at(gaps.len().saturating_sub(2));
        let grows = grown.len() == Self::STARTS - 3 && grown.windows(2).all(|w| w[1] > w[0] * GROWTH);
        (grows && alike(top) && top[0] >= Self::LATE_S).then_some(Policy::Backoff)
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
