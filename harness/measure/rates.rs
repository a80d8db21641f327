//! Failed descriptor calls a second at the wall, from the exact totals where there are any.

use super::ceiling::Ceiling;
use super::facts::Facts;
use super::known::{Known, Why};
use super::units::{milli, seconds};
use crate::event::{Call, Nanos, Phase};

/// A total that has changed is reported about this often.
const TOTALS_EVERY: Nanos = 100_000_000;

/// Failures a second of the calls that `counts` names, from the ramp's end (or the first failure) until
/// `watched`.
pub(super) fn failures_per_s(
    facts: &Facts<'_>,
    ceiling: &Ceiling,
    watched: Nanos,
    counts: impl Fn(Call) -> bool,
) -> Known<f64> {
    if facts.accepts_pass_by() {
        return Known::Unknown(Why::AcceptsPassBy);
    }
    let Some(first) = facts.holdings.first else {
        return match &ceiling.kind {
            Known::Value(_) => Known::Value(0.0),
            Known::Unknown(_) => Known::Unknown(Why::FailureNotKnown),
        };
    };
    let from = facts.phases.from(Phase::Saturate).max(first.at).min(watched);
    let until = facts.exited().map_or(watched, |exit| exit.0.max(from).min(watched));
    if let Some(rate) = by_totals(facts, first.at, from, until, &counts) {
        return Known::Value(rate);
    }
    let stopped = facts.tries.sampling_stopped().is_some_and(|at| at < until);
    if stopped || until <= from {
        return Known::Unknown(Why::TotalsNotRead);
    }
    let single = facts.tries.between(from, until).iter();
    let single = single.filter(|t| t.failed().is_some() && counts(t.call) && facts.processes.counts(t.pid));
    Known::Value(milli(single.count() as f64 / seconds(until - from)))
}

/// The growth of the totals over `[from, until)`, a second; `None` where they were not read often enough.
fn by_totals(
    facts: &Facts<'_>,
    first: Nanos,
    from: Nanos,
    until: Nanos,
    counts: impl Fn(Call) -> bool,
) -> Option<f64> {
    let (mut sum, mut base, mut last) = (0u64, None, None);
    let read = facts
        .tries
        .growth()
        .take_while(|(total, _)| total.at < until)
        .filter(|(total, _)| counts(total.call));
    for (total, grown) in read {
        sum = sum.saturating_add(grown);
        if total.at <= from {
            base = Some((total.at, sum));
        }
        last = Some((total.at, sum));
    }
    // The first failure begins the interval and is not in it: tries every quarter of a second are four a
    // second.
    let (from, before) = base.unwrap_or((first, 1));
    let (at, after) = last?;
    // A total is reported when it has changed: after the last one nothing failed, as far as those that were
    // due tell.
    let to = if until.saturating_sub(at) > 3 * TOTALS_EVERY { until - TOTALS_EVERY } else { at };
    (to > from).then(|| milli(after.saturating_sub(before) as f64 / seconds(to - from)))
}
