//! Which runs need the machine to themselves: those whose result another run beside them could change.
//!
//! Runs side by side share processors, memory and the ports of loopback. Each has descriptors, processes and
//! limits of its own, so what it counts is the same beside others: ceilings, first failures, leaks. What it
//! times is not.

use super::expect::Outcome;
use super::model::Plan;
use super::pace::Pace;

/// Why a run needs the machine to itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Alone {
    /// The scenario says so (`alone = true`).
    Asked,
    /// It expects something within a time, or that a call times out. A processor that is busy with another
    /// run makes it late.
    Time,
    /// Its clients come, or its calls are made, at a rate. A generator that shares its processor falls
    /// behind.
    Rate,
    /// `RLIMIT_NPROC` counts every process and thread of the user, those of other runs too.
    Tasks,
    /// It listens on a port that the scenario names. Another run may want the same one.
    Port,
    /// It holds so many descriptors that others would be slow beside it.
    Large,
}

/// Descriptors of a run that count as many. The largest bundled scenario without a reason to be alone has
/// 4096, and its clients are connected within a second.
const MANY: u64 = 10_000;

/// How calls end by a timeout.
const TIMED: [Outcome; 2] = [Outcome::Waits, Outcome::TimesOut];

impl Plan {
    /// Why this run needs the machine to itself; `None`: it may be made beside others.
    pub fn needs_the_machine(&self) -> Option<Alone> {
        let expect = &self.expect;
        let timed = expect.delay.is_some()
            || expect.recovers_within_s.is_some()
            || expect.resumes_within_s.is_some()
            || expect.outcomes.values().flatten().any(|outcome| TIMED.contains(outcome));
        let mut processes = self.processes.values();
        let calls = || self.workloads.values().filter_map(|load| load.calls.as_ref());
        let paced = || self.workloads.values().any(|load| matches!(load.pace, Pace::PerSecond(_)));
        let clients = self.workloads.values().filter_map(|load| load.clients).map(u64::from);
        let reasons = [
            (Alone::Asked, self.alone),
            (Alone::Time, timed),
            (Alone::Rate, paced() || calls().any(|calls| calls.schedule.is_some() || calls.every_s > 0.0)),
            (Alone::Tasks, processes.clone().any(|process| process.rlimits.nproc.is_some())),
            (Alone::Port, processes.clone().any(|process| process.port.is_some())),
            (
                Alone::Large,
                processes.any(|process| process.limits.soft > MANY) || clients.sum::<u64>() > MANY,
            ),
        ];
        reasons.into_iter().find_map(|(why, holds)| holds.then_some(why))
    }
}
