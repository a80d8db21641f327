//! The report of a run, and one file per format. Each format is a pure function of reports to text; none
//! knows a runner, reads a file or looks at a terminal.

pub mod annotations;
pub mod bencher;
pub mod compare;
pub mod explain;
pub mod first;
pub mod html;
pub mod json;
pub mod junit;
mod lines;
pub mod markdown;
pub mod merge;
pub mod page;
pub mod remedies;
pub mod repeats;
pub mod row;
pub mod short;
pub mod suite;
pub mod sweep;
pub mod tables;
pub mod tally;
pub mod tap;
pub mod terminal;
pub mod told;
pub mod words;

use crate::event::{Log, Packed};
use crate::judge::{Outcome, Verdict};
use crate::measure::Findings;
use crate::scenario::{Find, Plan};

/// A command line in a title is cut to this.
const COMMAND: usize = 60;

/// One run, as every format reports it: what the scenario asked, what was found, and whether that is what it
/// expects.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Report {
    /// The scenario's name.
    pub scenario: String,
    /// `None`: the scenario as written.
    pub variant: Option<String>,
    /// The `claim` of the scenario.
    pub claim: String,
    /// The effect that people believed this variant to have.
    pub believed: Option<String>,
    /// Whether the expectations were met, and why not.
    pub verdict: Verdict,
    /// The findings of the run.
    pub found: Findings,
    /// Earlier tries of this run. Each was unexpected, so the run was made again.
    pub earlier: Vec<Report>,
    /// The event log that an HTML report carries; `None`: it carries none.
    pub carried: Option<Carried>,
}

/// A log to be carried by a report.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Carried {
    /// The log; `None` where it is too long, however it is thinned.
    pub packed: Option<Packed>,
    /// The name of the file that has all of it.
    pub file: Option<String>,
}

/// Bytes of a log that a report carries, at most: a megabyte as text.
const CARRIED: usize = 750_000;

impl Report {
    /// The report of an event log: measured, judged. A pure function of its arguments.
    pub fn of(plan: &Plan, log: &Log) -> Self {
        let found = crate::measure::measure(plan, log);
        let verdict = crate::judge::judge(plan, &found);
        Report::new(plan, found, verdict)
    }

    /// The report of a run that was measured and judged.
    pub fn new(plan: &Plan, found: Findings, verdict: Verdict) -> Self {
        Report {
            scenario: plan.scenario.clone(),
            variant: plan.variant.clone(),
            claim: plan.claim.clone(),
            believed: plan.believed.clone(),
            verdict,
            found,
            earlier: Vec::new(),
            carried: None,
        }
    }

    /// The same with the log that it was made of, for an HTML report; `file` is the name of the file that has
    /// all of it.
    pub fn carrying(self, log: &Log, file: Option<String>) -> Self {
        let packed = Packed::of(log, CARRIED);
        Report { carried: Some(Carried { packed, file }), ..self }
    }

    /// The report of a run that was skipped: nothing was measured.
    pub fn skipped(plan: &Plan, verdict: Verdict) -> Self {
        Report::new(plan, crate::measure::measure(plan, &Log::default()), verdict)
    }

    /// `scenario`, or `scenario / variant`; of a command whose ceiling is asked for, that command.
    pub fn title(&self) -> String {
        let executed = || self.found.subject.argv.get().map(shell_words::join);
        // A command that was never executed is named as the user gave it.
        let command = || executed().or_else(|| Find::command_in(&self.claim).map(str::to_owned));
        let name = self.is_find().then(command).flatten();
        let name = name.map_or_else(|| self.scenario.clone(), |command| page::cut(&command, COMMAND));
        match &self.variant {
            Some(variant) => format!("{name} / {variant}"),
            None => name,
        }
    }

    /// Whether it was as expected, but not at its first try.
    pub fn is_flaky(&self) -> bool {
        self.verdict.outcome == Outcome::Met && !self.earlier.is_empty()
    }

    /// All its tries in their order; the run itself is the last.
    pub fn tries(&self) -> impl Iterator<Item = &Report> {
        self.earlier.iter().chain([self])
    }

    /// Whether it is of a command, and no scenario file asked for anything.
    pub fn is_find(&self) -> bool {
        self.scenario == Find::SCENARIO
    }
}
