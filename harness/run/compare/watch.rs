//! A subject that is looked at while it works: its descriptors, CPU and memory, from /proc. No system call of
//! it is observed, so it is as fast as it always is.

use crate::compare::{Missing, Quantity, Start};
use crate::event::Pid;
use crate::sys::proc;

/// Looks that are kept for the slope of descriptors over calls; of more, every second one is let go of.
const LOOKS_MAX: usize = 128;
/// A slope of fewer looks is chance.
const LOOKS_MIN: usize = 4;
/// So many calls lie between two looks that give a slope: one more descriptor at the moment of a look is no
/// leak.
const CALLS_MIN: u64 = 20;
/// The share of calls at the beginning in which pools fill and lazy parts open.
const BEGINNING: f64 = 0.25;
const MIB: f64 = (1 << 20) as f64;

/// The readings of the watched program.
#[derive(Debug, Default)]
pub struct Watched {
    peak: u64,
    memory: u64,
    /// Calls that were made by then, and the descriptors that were open in the process with the most.
    looks: Vec<(u64, u64)>,
    every: usize,
    skipped: usize,
}

impl Watched {
    /// Looks for the most that these processes have, while calls are under way.
    pub fn peak(&mut self, pids: &[Pid]) -> Option<u64> {
        let open = pids.iter().filter_map(|pid| proc::descriptors(*pid).ok());
        let most = open.max().filter(|most| *most > 0)?;
        self.peak = self.peak.max(most);
        self.memory = self.memory.max(pids.iter().filter_map(|pid| proc::resident(*pid)).sum());
        Some(most)
    }

    /// Looks at these processes, after so many calls.
    pub fn look(&mut self, pids: &[Pid], calls: u64) {
        let Some(most) = self.peak(pids) else { return };
        self.skipped += 1;
        if self.skipped >= self.every {
            self.skipped = 0;
            self.looks.push((calls, most));
        }
        if self.looks.len() > LOOKS_MAX {
            let mut odd = false;
            self.looks.retain(|_| {
                odd = !odd;
                odd
            });
            self.every = (self.every * 2).max(2);
        }
    }

    /// Puts what was seen into the values of a start that made so many calls.
    pub fn told(&self, start: &mut Start, calls: u64) {
        let seen = |value: f64| (self.peak > 0).then_some(value);
        start.note(Quantity::DescriptorsPeak, seen(self.peak as f64), Missing::Exited);
        start.note(Quantity::MemoryMib, seen(self.memory as f64 / MIB), Missing::Exited);
        let slope = self.slope((calls as f64 * BEGINNING) as u64).map(|slope| slope * 1000.0);
        let why = if self.peak == 0 { Missing::Exited } else { Missing::TooShort };
        start.note(Quantity::DescriptorsPer1000Calls, slope, why);
    }

    /// Descriptors that a call leaves open: the median slope between all pairs of looks (Theil and Sen),
    /// after so many calls.
    fn slope(&self, after: u64) -> Option<f64> {
        let looks: Vec<_> = self.looks.iter().filter(|(calls, _)| *calls >= after).collect();
        let pairs = looks.iter().enumerate().flat_map(|(at, a)| looks[at + 1..].iter().map(move |b| (a, b)));
        let mut slopes: Vec<f64> = pairs
            .filter(|(a, b)| b.0 >= a.0 + CALLS_MIN)
            .map(|(a, b)| (b.1 as f64 - a.1 as f64) / (b.0 - a.0) as f64)
            .collect();
        slopes.sort_by(f64::total_cmp);
        (looks.len() >= LOOKS_MIN).then(|| slopes.get(slopes.len() / 2).copied()).flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watched(descriptors: impl Fn(u64) -> u64) -> Watched {
        Watched {
            peak: 9,
            looks: (0..=100).map(|n| (n * 10, descriptors(n * 10))).collect(),
            ..Watched::default()
        }
    }

    #[test]
    fn a_leak_has_a_slope_and_a_pool_that_fills_has_none() {
        assert_eq!(watched(|calls| 7 + calls).slope(250), Some(1.0));
        assert_eq!(watched(|calls| 7 + calls.min(50)).slope(250), Some(0.0));
        assert_eq!(watched(|calls| 7 + calls % 3).slope(250), Some(0.0));
        assert_eq!(watched(|_| 7).slope(990), None, "two looks are too few");
        let mut few = watched(|calls| 7 + calls % 20 / 10);
        few.looks.iter_mut().enumerate().for_each(|(at, look)| look.0 = at as u64 / 20);
        assert_eq!(few.slope(0), None, "five calls are too few");
    }

    #[test]
    fn of_many_looks_some_are_kept_from_all_the_time() {
        let mut watched = Watched::default();
        for calls in 0..10_000 {
            watched.look(&[proc::own()], calls);
        }
        assert!(watched.looks.len() <= LOOKS_MAX + 1, "{}", watched.looks.len());
        assert!(watched.looks[watched.looks.len() - 1].0 > 9_000 && watched.looks[0].0 < 1_000);
    }
}
