//! GitHub's annotations: workflow commands on standard output, which it shows at lines of files. Each
//! expectation of a run that was not met is an error at its line of the scenario file.

use super::told::Told;
use crate::judge::Outcome;
use std::fmt::Write;

/// A line of a scenario file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct At {
    /// From the root of the repository.
    pub file: String,
    /// From 1.
    pub line: usize,
}

/// A line for each thing to look at. `at`: where the scenario file of a run has this expectation, or for
/// `None` the run.
pub fn render(runs: &[Told], at: impl Fn(&Told, Option<&str>) -> Option<At>) -> String {
    let mut text = String::new();
    for run in runs {
        let mut say = |level: &str, expectation: Option<&str>, message: &str| {
            let place = at(run, expectation);
            let place = place.map(|at| format!("file={},line={},", property(&at.file), at.line));
            let title = property(&format!("lastfd: {}", run.title));
            let _ = writeln!(
                text,
                "::{level} {}title={title}::{}",
                place.unwrap_or_default(),
                data(format!("{message}\n{}", run.paragraph).trim())
            );
        };
        match run.outcome {
            Outcome::NotMet => run.reasons.iter().for_each(|reason| {
                let (expected, observed) = (&reason.expected, &reason.observed);
                let said = format!("{}: expected {expected}, observed {observed}", reason.expectation);
                say("error", Some(&reason.expectation), &said);
            }),
            Outcome::Inconclusive if run.not_started => say("error", None, ""),
            Outcome::Inconclusive => say("warning", None, ""),
            Outcome::Met if !run.earlier.is_empty() => {
                say("warning", None, &format!("flaky: met at try {}", run.earlier.len() + 1));
            }
            Outcome::Met | Outcome::Skipped => {}
        }
    }
    text
}

/// A message: one line, and no escape of its own.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// A value among others.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
