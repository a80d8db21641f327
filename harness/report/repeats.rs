//! Runs of one variant, taken together.

use super::Report;
use crate::judge::Outcome;
use serde::Serialize;

/// How often a variant was run, each try counted, and how often its expectations were met.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[allow(missing_docs, reason = "the names say it")]
pub struct Repeats {
    pub runs: usize,
    pub met: usize,
}

impl Repeats {
    /// Counts the runs of one variant; `None` when there is only one.
    pub fn of(reports: &[&Report]) -> Option<Self> {
        Repeats::counted(reports.iter().flat_map(|report| report.tries()).map(|run| run.verdict.outcome))
    }

    /// Counts the outcomes of tries; `None` when there is only one.
    pub fn counted(tries: impl Iterator<Item = Outcome>) -> Option<Self> {
        let tries: Vec<Outcome> = tries.collect();
        let met = tries.iter().filter(|outcome| **outcome == Outcome::Met).count();
        (tries.len() > 1).then_some(Repeats { runs: tries.len(), met })
    }

    /// Whether they were met in some of the runs only.
    pub fn flaky(&self) -> bool {
        (1..self.runs).contains(&self.met)
    }
}

/// The runs of each variant of each scenario, in the order of their first runs.
pub fn repeats<'r>(reports: impl IntoIterator<Item = &'r Report>) -> Vec<Vec<&'r Report>> {
    grouped(reports, |report| (&report.scenario, &report.variant))
}

/// Elements with the same key together, in the order in which the keys first appear.
pub fn grouped<'r, T, K: PartialEq>(
    all: impl IntoIterator<Item = &'r T>,
    key: impl Fn(&'r T) -> K,
) -> Vec<Vec<&'r T>> {
    let mut groups: Vec<Vec<&T>> = Vec::new();
    for one in all {
        match groups.iter_mut().find(|group| key(group[0]) == key(one)) {
            Some(group) => group.push(one),
            None => groups.push(vec![one]),
        }
    }
    groups
}
