//! The meaning of a run for the test that made it.

use crate::judge::Outcome;
use crate::report::{Report, short, terminal};
use crate::run::Error;
use std::io::Write;

/// With the value 1, a test that is inconclusive fails.
const REQUIRE: &str = "LASTFD_REQUIRE";

/// How a test ends.
pub(super) enum Ending {
    Passed,
    /// It passes, and shows nothing, for this reason.
    Inconclusive(String),
    /// It fails, with this message.
    Failed(String),
}

/// How the test of this run ends.
pub(super) fn ending(report: &Report, error: Option<&Error>) -> Ending {
    let why = || match short::reasons(report) {
        reasons if reasons.is_empty() => short::paragraph(report),
        reasons => reasons.join("\n"),
    };
    let whole = || terminal::render(std::slice::from_ref(report), false, terminal::WIDTH);
    match (error, report.verdict.outcome) {
        // A scenario may expect that the server does not start.
        (Some(Error::NotStarted(_)), Outcome::Met) => Ending::Passed,
        (Some(Error::NotStarted(reason)), _) => Ending::Failed(format!("the server did not start: {reason}")),
        (Some(error @ (Error::Fault(_) | Error::Log(_) | Error::Lost(_))), _) => {
            Ending::Failed(format!("lastfd: {error}"))
        }
        (_, Outcome::NotMet) => Ending::Failed(format!("{}\n\n{}", why(), whole())),
        (_, Outcome::Inconclusive | Outcome::Skipped) => match required() {
            true => Ending::Failed(format!("inconclusive, and {REQUIRE}=1: {}\n\n{}", why(), whole())),
            false => Ending::Inconclusive(why()),
        },
        (_, Outcome::Met) => Ending::Passed,
    }
}

fn required() -> bool {
    std::env::var(REQUIRE).is_ok_and(|value| value == "1")
}

/// Says that a test shows nothing: on standard error itself, as a test's captured output would not be seen.
pub(super) fn inconclusive(test: &str, why: &str) {
    // The reader may be gone: that is no reason to fail.
    let _ = writeln!(
        std::io::stderr(),
        "lastfd: {test} is inconclusive ({REQUIRE}=1 makes it fail): {}",
        why.replace('\n', "; ")
    );
}
