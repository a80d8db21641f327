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
    /// Of a variant's runs; `None` when there is only one.
    pub fn of(reports: &[&Report]) -> Option<Self> {
        let tries: Vec<&Report> = reports.iter().flat_map(|report| report.tries()).collect();
        let met = tries.iter().filter(|report| report.verdict.outcome == Outcome::Met).count();
        (tries.len() > 1).then_some(Repeats { runs: tries.len(), met })
    }

    /// Whether they were met in some of the runs only.
    pub fn flaky(&self) -> bool {
        (1..self.runs).contains(&self.met)
    }
}

/// The runs of each variant of each scenario, in the order of their first runs.
pub fn repeats<'r>(reports: impl IntoIterator<Item = &'r Report>) -> Vec<Vec<&'r Report>> {
    let mut groups: Vec<Vec<&Report>> = Vec::new();
    for report in reports {
        let same = |group: &&mut Vec<&Report>| {
            (&group[0].scenario, &group[0].variant) == (&report.scenario, &report.variant)
        };
        match groups.iter_mut().find(same) {
            Some(group) => group.push(report),
            None => groups.push(vec![report]),
        }
    }
    groups
}
