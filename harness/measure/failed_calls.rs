//! Descriptor calls other than accept that failed at the wall.

use super::facts::{Facts, Try};
use super::in_children::{InChildren, failed_in_child};
use super::known::Why;
use crate::event::{Call, Errno, Nanos};
use std::collections::{BTreeMap, BTreeSet};

/// Paths shown of one call.
const PATHS: usize = 3;
/// A request makes several tries for one file. Where far more calls fail than clients are turned away, as
/// where each line of log makes some, nothing says which of them made a reply.
pub(super) const TRIES_A_REPLY: u64 = 16;

/// Failures of one call.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct FailedCalls {
    /// Which.
    pub call: Call,
    /// `EMFILE` or `ENFILE`.
    pub errno: Errno,
    /// How many, from the wall until clients left.
    pub count: u64,
    /// A few of the paths that it was to open; none where the observer does not see them (perf).
    pub paths: Vec<String>,
}

/// A descriptor call other than accept, of a process that accepts or was forked for a connection, for which
/// there was no number.
pub(super) fn failed_beside(facts: &Facts<'_>, made: &Try) -> Option<Errno> {
    let own = !made.call.accepts() && facts.processes.counts(made.pid);
    if own { made.failed() } else { failed_in_child(facts, made) }
}

/// Why failures before clients left may not have been recorded one by one; `None` where all were.
pub(super) fn unsampled(facts: &Facts<'_>) -> Option<Why> {
    let released = facts.phases.released_from();
    let stopped = facts.tries.sampling_stopped().filter(|at| *at < released);
    let lost =
        facts.tries.lost.iter().find(|(at, samples)| *at < released && *samples > 0).map(|(at, _)| *at);
    match (stopped, lost) {
        (Some(stopped), Some(lost)) if lost < stopped => Some(Why::SamplesLost),
        (Some(_), _) => Some(Why::SamplingStopped),
        (None, Some(_)) => Some(Why::SamplesLost),
        (None, None) => None,
    }
}

/// Each call that failed, the most frequent first.
pub(super) fn failed_calls(facts: &Facts<'_>, in_children: Option<InChildren>) -> Vec<FailedCalls> {
    let wall = facts.wall_begins();
    let from = in_children.map_or(wall, |children| children.at.min(wall));
    let until = facts.phases.released_from();
    let mut single: BTreeMap<Call, (Errno, u64)> = BTreeMap::new();
    for made in facts.tries.between(from, until) {
        if let Some(errno) = failed_beside(facts, made) {
            single.entry(made.call).or_insert((errno, 0)).1 += 1;
        }
    }
    for (call, errno) in by_totals_alone(facts, from, until) {
        single.entry(call).or_insert((errno, 0));
    }
    let mut all: Vec<FailedCalls> = single
        .into_iter()
        .map(|(call, (errno, count))| {
            // Totals go on where single calls are no longer recorded, and are read from time to time.
            let grown =
                facts.tries.total_before(call, until).saturating_sub(facts.tries.total_before(call, from));
            FailedCalls { call, errno, count: count.max(grown), paths: paths(facts, call, from, until) }
        })
        .collect();
    all.sort_by_key(|one| (std::cmp::Reverse(one.count), one.call));
    all
}

/// Calls that are known from totals only. Their errno is taken to be the first failure's.
fn by_totals_alone(facts: &Facts<'_>, from: Nanos, until: Nanos) -> Vec<(Call, Errno)> {
    let Some(first) = facts.holdings.first.filter(|_| unsampled(facts).is_some()) else { return Vec::new() };
    let read = facts.tries.totals.iter().filter(|total| (from..until).contains(&total.at));
    let calls: BTreeSet<Call> = read.map(|total| total.call).filter(|call| !call.accepts()).collect();
    let grew = |call: &Call| facts.tries.total_before(*call, until) > facts.tries.total_before(*call, from);
    calls.into_iter().filter(grew).map(|call| (call, first.errno)).collect()
}

/// A few of the paths that a call was to open, each once.
fn paths(facts: &Facts<'_>, call: Call, from: Nanos, until: Nanos) -> Vec<String> {
    let all =
        facts.readings.failed_paths.iter().filter(|(at, of, _)| (from..until).contains(at) && *of == call);
    let mut found: Vec<String> = Vec::new();
    for (.., path) in all {
        if found.len() < PATHS && !found.iter().any(|known| known == path) {
            found.push((*path).to_owned());
        }
    }
    found
}
