//! The descriptors at rest, before the first client.

use super::facts::Facts;
use super::known::{Known, OrWhy, Why};
use super::limits::LimitsFound;
use super::units::{milli, seconds};
use crate::event::{Descriptor, Ended, Nanos, Phase, Pid};

/// Descriptors grow without clients if their number rises in each of so many parts of the time.
const PARTS: u64 = 4;

/// The descriptors at rest.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct Baseline {
    /// Open, from the size of `/proc/PID/fd`; counts numbers reserved by threads blocked in accept.
    pub descriptors: Known<u64>,
    /// Those of them numbered below the soft limit: the others take no place.
    pub counted: Known<u64>,
    /// One by one, as `/proc/PID/fd` lists them.
    pub inventory: Vec<Descriptor>,
    /// False when descriptor calls never stopped.
    pub settled: Known<bool>,
    /// The count of an earlier reading, if it differed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changed_from: Option<u64>,
    /// Growth with nobody connected, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub growth: Option<Growth>,
}

/// Descriptors that the subject opens by itself, with nobody connected.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct Growth {
    /// Descriptors a second.
    pub per_s: f64,
    /// Over how long that was watched: before the first client, or else after all had left.
    pub watched_s: f64,
    /// Whether it was watched before the first client.
    pub before_clients: bool,
    /// From rest until its limit is reached, if no client ever comes.
    pub full_after_s: Known<f64>,
}

impl Baseline {
    /// Numbers that threads blocked in accept hold in advance: with more than one, that many threads accept.
    pub fn reserved(&self) -> u64 {
        self.descriptors.value().unwrap_or(0).saturating_sub(self.inventory.len() as u64)
    }
}

/// The last reading of the process that accepts before the ramp; where it had none, of any.
pub(super) fn baseline(facts: &Facts<'_>, limits: &LimitsFound) -> Baseline {
    let ramp = facts.phases.from(Phase::Ramp);
    let before = || facts.readings.rests.iter().filter(|rest| rest.at <= ramp);
    let own = before().rfind(|rest| Some(rest.pid) == facts.processes.main).or(before().next_back());
    let Some(rest) = own else {
        let unread = || Known::Unknown(Why::BaselineNotRead);
        let inventory = Vec::new();
        return Baseline {
            descriptors: unread(),
            counted: unread(),
            inventory,
            settled: Known::Unknown(Why::BaselineNotRead),
            changed_from: None,
            growth: None,
        };
    };
    let first = before().find(|earlier| earlier.pid == rest.pid).map(|earlier| earlier.descriptors);
    Baseline {
        descriptors: Known::Value(rest.descriptors),
        counted: Known::Value(rest.counted),
        inventory: rest.inventory.to_vec(),
        settled: Known::Value(rest.settled),
        changed_from: first.filter(|first| *first != rest.descriptors),
        growth: growth(facts, limits, rest.pid, rest.counted),
    }
}

/// Growth with nobody connected: the subject did not settle before the first client, or was seen to grow
/// after all had left.
fn growth(facts: &Facts<'_>, limits: &LimitsFound, pid: Pid, counted: u64) -> Option<Growth> {
    let ended = |phase, why| facts.phases.why_ended_last(phase) == Some(why);
    let since = |phase, why| facts.phases.last(phase).filter(|_| ended(phase, why));
    let watched = |from, until| steady(facts, pid, from, until);
    let ramp = facts.phases.from(Phase::Ramp);
    let before = since(Phase::Baseline, Ended::Time).and_then(|from| watched(from, ramp));
    let after = || {
        let from = since(Phase::Settle, Ended::Growing).or(since(Phase::Settle, Ended::Time))?;
        let round = facts.phases.last(Phase::SecondRound).filter(|round| *round > from);
        watched(from, round.unwrap_or_else(|| facts.phases.from(Phase::Again)))
    };
    let after_round = || {
        let round = since(Phase::SecondRound, Ended::Growing)?;
        let (from, _) = facts.readings.open.iter().rfind(|(at, _)| *at >= round)?;
        on_average(facts, pid, *from, facts.phases.from(Phase::Again))
    };
    let (per_s, watched_s) = before.or_else(after).or_else(after_round)?;
    let room = limits.effective.value().map(|limits| limits.soft.saturating_sub(counted));
    Some(Growth {
        per_s: milli(per_s),
        watched_s: milli(watched_s),
        before_clients: before.is_some(),
        full_after_s: room.map(|room| milli(room as f64 / per_s)).or_why(Why::LimitsNotRead),
    })
}

/// Descriptors a second by which the process grows, be it by several at a time, and over how long.
fn on_average(facts: &Facts<'_>, pid: Pid, from: Nanos, until: Nanos) -> Option<(f64, f64)> {
    let samples = facts.readings.samples_between(from, until).iter().filter(|sample| sample.pid == pid);
    let samples: Vec<(Nanos, u64)> = samples.map(|sample| (sample.at, sample.descriptors)).collect();
    let (first, last) = (samples.first()?, samples.last()?);
    let watched_s = seconds(last.0 - first.0);
    (last.1 > first.1).then(|| ((last.1 - first.1) as f64 / watched_s, watched_s))
}

/// Descriptors a second by which the process grows from its least to its most count, and over how long, where
/// it grows in each part of that time.
fn steady(facts: &Facts<'_>, pid: Pid, from: Nanos, until: Nanos) -> Option<(f64, f64)> {
    let samples = facts.readings.samples_between(from, until).iter().filter(|sample| sample.pid == pid);
    let samples: Vec<(Nanos, u64)> = samples.map(|sample| (sample.at, sample.descriptors)).collect();
    let least = samples.iter().map(|(_, open)| *open).min()?;
    // From one rise to another.
    let first = *samples.get(samples.iter().rposition(|(_, open)| *open == least)? + 1)?;
    let most = samples.iter().filter(|(at, _)| *at >= first.0).map(|(_, open)| *open).max()?;
    let last = *samples.iter().find(|(at, open)| *at >= first.0 && *open == most)?;
    let part = |n: u64| {
        let until = first.0 + (last.0 - first.0) * n / PARTS;
        samples.iter().rfind(|(at, _)| *at <= until).map(|(_, open)| *open)
    };
    let grows = (1..=PARTS).all(|n| part(n) > part(n - 1));
    let watched_s = seconds(last.0 - first.0);
    grows.then(|| ((most - first.1) as f64 / watched_s, watched_s))
}
