//! Runs of one variant, taken together.

use super::Report;
use crate::judge::Outcome;
use serde::Serialize;

/// How often a variant was run, and how often its expectations were met.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[allow(missing_docs, reason = "the names say it")]
pub struct Repeats {
    pub runs: usize,
    pub met: usize,
}

impl Repeats {
    /// Of a variant's runs; `None` when there is only one.
    pub fn of(reports: &[&Report]) -> Option<Self> {
        let met = reports.iter().filter(|report| report.verdict.outcome == Outcome::Met).count();
        (reports.len() > 1).then_some(Repeats { runs: reports.len(), met })
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
