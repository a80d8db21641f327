//! Upper bounds of measured values: CPU time comes from a clock with a tick of 10 ms, and a rate computed
//! from it must not exceed what the machine can do.

use super::facts::Facts;

/// Processors that the subject can keep busy at a time: no more than the machine has, and no more than the
/// subject has threads.
fn processors(facts: &Facts<'_>) -> f64 {
    let cpus = facts.readings.header.as_ref().map(|header| u64::from(header.environment.cpus));
    let all = facts.readings.resources.iter();
    let tasks =
        all.filter_map(|(_, used)| Some(used.threads?.saturating_add(used.processes.saturating_sub(1))));
    let fewest = cpus.into_iter().chain(tasks.max()).min();
    fewest.map_or(f64::INFINITY, |fewest| fewest.max(1) as f64)
}

/// The most that the subject can use, in percent of one processor.
pub(super) fn cpu_percent(facts: &Facts<'_>) -> f64 {
    100.0 * processors(facts)
}
