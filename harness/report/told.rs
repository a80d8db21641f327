//! The text of a run in JUnit and Markdown. It is made from a report; a part of a suite keeps it in its JSON
//! report, so that parts can be merged without their event logs.

use super::repeats::{Repeats, grouped};
use super::words::{calls, judged};
use super::{Report, row, short, terminal};
use crate::judge::Outcome;
use serde::{Deserialize, Serialize};

/// One run, in words.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names say it")]
pub struct Told {
    pub scenario: String,
    pub variant: Option<String>,
    /// Its title, or its command where no scenario file asked for it.
    pub title: String,
    pub outcome: Outcome,
    pub not_started: bool,
    /// How many expectations were judged.
    pub judged: u32,
    pub reasons: Vec<Judged>,
    /// The reasons as sentences.
    pub why: Vec<String>,
    /// The first paragraph of its report.
    pub paragraph: String,
    /// The whole report, as a terminal has it.
    pub text: String,
    /// Its row in the table of runs.
    pub cells: Vec<String>,
    /// A line for each fact of its calls.
    pub calls: Vec<String>,
    pub total_s: Option<f64>,
    /// Earlier tries.
    pub earlier: Vec<Told>,
}

/// Why an expectation was not met.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names say it")]
pub struct Judged {
    pub expectation: String,
    pub expected: String,
    pub observed: String,
}

impl Told {
    /// The text of a report.
    pub fn of(report: &Report) -> Self {
        let reasons = report.verdict.reasons.iter().map(|reason| Judged {
            expectation: judged::name(reason),
            expected: judged::expected(reason),
            observed: judged::observed(reason),
        });
        Told {
            scenario: report.scenario.clone(),
            variant: report.variant.clone(),
            title: report.title(),
            outcome: report.verdict.outcome,
            not_started: report.found.not_started.is_some(),
            judged: report.verdict.judged,
            reasons: reasons.collect(),
            why: short::reasons(report),
            paragraph: short::paragraph(report),
            text: terminal::render(std::slice::from_ref(report), false, terminal::WIDTH),
            cells: row::cells(report).to_vec(),
            calls: calls::calls(report).into_iter().flat_map(|said| said.texts).collect(),
            total_s: report.found.timings.total_s.value(),
            earlier: report.earlier.iter().map(Told::of).collect(),
        }
    }

    /// All its tries in their order; the run itself is the last.
    pub fn tries(&self) -> impl Iterator<Item = &Told> {
        self.earlier.iter().chain([self])
    }

    /// Its sign and its heading.
    pub fn verdict(&self) -> (&'static str, &'static str) {
        judged::outcome(self.outcome, self.judged)
    }
}

/// The texts of several reports.
pub fn told(reports: &[Report]) -> Vec<Told> {
    reports.iter().map(Told::of).collect()
}

/// The runs of each variant of each scenario, in the order of their first runs.
pub fn repeats(told: &[Told]) -> Vec<Vec<&Told>> {
    grouped(told, |run| (&run.scenario, &run.variant))
}

/// How often a variant was run, each try counted; `None` when that was once.
pub fn repeated(runs: &[&Told]) -> Option<Repeats> {
    Repeats::counted(runs.iter().flat_map(|run| run.tries()).map(|run| run.outcome))
}
