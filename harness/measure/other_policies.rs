//! The accept loops of other listeners while the table is full: their tries are no part of the loaded
//! listener's policy.

use super::facts::{Facts, KEPT_FAILURES, Try};
use super::model::{Failing, Rhythm, rhythm_of_tries};
use crate::event::{Nanos, Phase, Pid};
use crate::scenario::Policy;
use std::collections::BTreeMap;

/// The behaviour of an accept loop on a listener other than the loaded one.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct OtherPolicy {
    /// The listener's address, as it is bound.
    pub listener: String,
    /// `spin`, `storm`, `fixed-delay` or `backoff`; `unclear` where its tries show none of these.
    pub policy: Policy,
    /// Failed accepts that were recorded one by one.
    pub failures: usize,
    /// The pause between its tries, seconds, at the longest; `None` where it makes none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pause_s: Option<f64>,
}

/// The failures on other listeners before this moment.
fn beside<'a>(facts: &'a Facts<'_>, until: Nanos) -> impl Iterator<Item = &'a Try> {
    let tries = facts.tries.between(facts.phases.from(Phase::Ramp), until).iter();
    tries.filter(|t| t.beside && t.failed().is_some() && facts.processes.counts(t.pid))
}

/// Whether accepts of this process failed on other listeners, too, before this moment.
pub(super) fn fails_beside(facts: &Facts<'_>, pid: Pid, until: Nanos) -> bool {
    beside(facts, until).any(|t| t.pid == pid)
}

/// For each listener beside the loaded one whose accepts fail before clients leave: the policy of the first
/// process that fails there.
pub(super) fn other_policies(facts: &Facts<'_>) -> Vec<OtherPolicy> {
    let released = facts.phases.released_from().min(facts.phases.end);
    let mut loops: BTreeMap<&str, (Pid, i32, Vec<Nanos>)> = BTreeMap::new();
    for t in beside(facts, released) {
        let Some((on, address)) = t.on.zip(facts.listeners.beside(t.pid, t.on)) else { continue };
        let (pid, _, times) = loops.entry(address).or_insert_with(|| (t.pid, on, Vec::new()));
        if *pid == t.pid {
            times.push(t.at);
        }
    }
    loops.into_iter().map(|(address, (pid, on, times))| of(facts, address, (pid, on), &times)).collect()
}

fn of(facts: &Facts<'_>, address: &str, (pid, on): (Pid, i32), times: &[Nanos]) -> OtherPolicy {
    let until = facts.phases.released_from().min(facts.phases.end);
    let muted = facts.tries.muted.iter().find(|(_, of, number)| (*of, *number) == (pid, on));
    let stopped = muted.map(|(at, ..)| *at).into_iter().chain(facts.tries.sampling_stopped()).min();
    let until = stopped.map_or(until, |at| at.min(until));
    let flooded = stopped.is_some() || times.len() >= KEPT_FAILURES;
    let rhythm = rhythm_of_tries(&Failing { times, accepts: &[], until, per_s: None, flooded });
    let (policy, pause_s) = match rhythm {
        Rhythm::Spin => (Policy::Spin, None),
        Rhythm::Storm { pause_s, .. } => (Policy::Storm, Some(pause_s)),
        Rhythm::Fixed { gap_s, .. } => (Policy::FixedDelay, Some(gap_s)),
        Rhythm::Grows { to_s, .. } => (Policy::Backoff, Some(to_s)),
        Rhythm::Once { .. } | Rhythm::FixedOrGrows { .. } | Rhythm::Unclear => (Policy::Unclear, None),
    };
    OtherPolicy { listener: address.to_owned(), policy, failures: times.len(), pause_s }
}
