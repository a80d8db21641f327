//! Expectations against findings → a verdict with its reasons. Pure. An expectation that was not met is data,
//! not an error; one whose finding is unknown leaves the verdict open.

mod amount;
mod because;
mod ceiling;
mod metric;
mod reason;
mod recovery;
mod wall;

pub use metric::{RUNS_FOR_TIMES, no_worse, value};
pub use reason::{Because, Expectation, Expected, NotMeasured, Observed, Reason};

use crate::measure::{Doubt, Findings, Known};
use crate::scenario::{Expect, Plan};
use serde::{Deserialize, Serialize};

/// The outcome of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Outcome {
    /// Everything expected was observed.
    Met,
    /// Something else was observed.
    NotMet,
    /// This run, on this machine, cannot say.
    Inconclusive,
    /// Something that the run requires is missing.
    Skipped,
}

impl Outcome {
    /// As in the report.
    pub const fn name(self) -> &'static str {
        match self {
            Outcome::Met => "met",
            Outcome::NotMet => "not-met",
            Outcome::Inconclusive => "inconclusive",
            Outcome::Skipped => "skipped",
        }
    }
}

/// The verdict on one run.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Verdict {
    /// The outcome.
    pub outcome: Outcome,
    /// Why; empty when met.
    pub reasons: Vec<Reason>,
    /// How many expectations were judged.
    pub judged: u32,
}

impl Verdict {
    /// For a run that was not made because something it requires is missing.
    pub fn skipped(requirement: &str, missing: &str) -> Self {
        let reason = Reason {
            expectation: Expectation::Requires,
            expected: Expected::Requirement(requirement.to_owned()),
            observed: Observed::Missing(missing.to_owned()),
        };
        Verdict { outcome: Outcome::Skipped, reasons: vec![reason], judged: 0 }
    }
}

/// Judges a measured run by its plan's expectations.
pub fn judge(plan: &Plan, found: &Findings) -> Verdict {
    let mut judge = Judge { expect: &plan.expect, found, unmet: Vec::new(), open: Vec::new(), judged: 0 };
    // If the subject did not start, nothing else can be expected.
    if !judge.refusal() {
        judge.limits_and_rest();
        judge.ceiling();
        judge.first_failure();
        judge.policy();
        judge.delay();
        judge.recovers();
        judge.recovery();
        judge.resumes();
        judge.ceiling_after();
        judge.leaked();
        judge.calls();
        judge.file_max();
        judge.disguise();
        judge.other_listeners();
        judge.amounts();
        judge.aspects();
    }
    judge.verdict()
}

/// Whether it is as expected, and what was found; or why that is not known.
type Compared = Result<(bool, Observed), NotMeasured>;

/// The expectations of one run, as they are compared.
struct Judge<'a> {
    expect: &'a Expect,
    found: &'a Findings,
    unmet: Vec<Reason>,
    open: Vec<Reason>,
    judged: u32,
}

impl Judge<'_> {
    fn compare(&mut self, expectation: Expectation, expected: Expected, compared: Compared) {
        self.judged += 1;
        let (reasons, observed) = match compared {
            Ok((true, _)) => return,
            Ok((false, observed)) => (&mut self.unmet, observed),
            Err(why) => (&mut self.open, Observed::NotMeasured(why)),
        };
        reasons.push(Reason { expectation, expected, observed });
    }

    /// A number, and what explains it.
    fn number(
        &mut self,
        expectation: Expectation,
        expected: Option<u64>,
        observed: Known<u64>,
        because: Option<Because>,
    ) {
        let Some(expected) = expected else { return };
        let compared =
            observed.known().map(|seen| (*seen == expected, Observed::Number { number: *seen, because }));
        self.compare(expectation, Expected::Number(expected), compared.map_err(NotMeasured::from));
    }

    /// Whether the subject did not start, and was expected not to.
    fn refusal(&mut self) -> bool {
        let Some(expected) = self.expect.not_started.clone() else { return false };
        let Some(found) = &self.found.not_started else {
            if self.expect.of_refusal_only() && self.found.doubts.is_empty() {
                let started = Ok((false, Observed::Started));
                self.compare(Expectation::NotStarted, Expected::Refusal(expected), started);
            }
            return false;
        };
        let as_expected = expected.exit_status.is_none_or(|status| found.exit_status == Some(status))
            && expected.says.as_ref().is_none_or(|text| found.reason.contains(text));
        let compared = Ok((as_expected, Observed::NotStarted(found.clone())));
        self.compare(Expectation::NotStarted, Expected::Refusal(expected), compared);
        true
    }

    fn limits_and_rest(&mut self) {
        let (limits, effective) = (self.expect.limits, &self.found.limits.effective);
        let (soft, hard) = (effective.clone().map(|both| both.soft), effective.clone().map(|both| both.hard));
        let set_by = because::set_by(self.found);
        self.number(Expectation::SoftLimit, limits.soft, soft, set_by);
        self.number(Expectation::HardLimit, limits.hard, hard, None);
        let rest = self.found.baseline.descriptors.clone();
        self.number(Expectation::Baseline, self.expect.baseline, rest, None);
    }

    /// Doubts about the run as a whole decide first, then expectations that are surely not met, then open
    /// ones.
    fn verdict(self) -> Verdict {
        let judged_anyway =
            |doubt: &&Doubt| self.expect.not_started.is_some() && matches!(doubt, Doubt::NotStarted(_));
        let whole = self.found.doubts.iter().filter(|doubt| !judged_anyway(doubt)).map(|doubt| Reason {
            expectation: Expectation::Run,
            expected: Expected::Judgeable,
            observed: Observed::Doubt(doubt.clone()),
        });
        let mut reasons: Vec<Reason> = whole.collect();
        let outcome = match (reasons.is_empty(), self.unmet.is_empty(), self.open.is_empty()) {
            (false, ..) => Outcome::Inconclusive,
            (true, false, _) => Outcome::NotMet,
            (true, true, false) => Outcome::Inconclusive,
            (true, true, true) => Outcome::Met,
        };
        reasons.extend(self.unmet);
        reasons.extend(self.open);
        Verdict { outcome, reasons, judged: self.judged }
    }
}
