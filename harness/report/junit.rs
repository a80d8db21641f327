//! JUnit XML for CI: a scenario is a suite, a run a case. Not met is a failure; inconclusive is an error.

use super::told::{Told, repeats, told};
use super::words::sweep as words;
use super::{Report, sweep, tables};
use crate::judge::Outcome;
use quick_junit::{
    NonSuccessKind, Property, Report as Document, TestCase, TestCaseStatus, TestRerun, TestSuite,
};
use std::time::Duration;

/// The reports as one JUnit document.
pub fn render(reports: &[Report]) -> String {
    render_told(&told(reports))
}

/// The same, of runs whose reports are no longer there: a part of a suite keeps only their words.
pub fn render_told(runs: &[Told]) -> String {
    written(suites(runs))
}

/// The same for one program at several limits: the line and what binds are properties of the suite.
pub fn render_sweep(reports: &[Report], sweep: &sweep::Sweep) -> String {
    let mut suites = suites(&told(reports));
    for suite in &mut suites {
        let mut add = |name: &str, value: String| _ = suite.add_property(Property::new(name, value));
        if let Some(fit) = &sweep.fit {
            add("sweep.at_rest", fit.at_rest.to_string());
            add("sweep.per_connection", fit.per_connection.to_string());
        }
        if let Some((binds, what)) = sweep.binds.as_ref().zip(words::bound_by(sweep)) {
            add("sweep.binds_from", binds.from.to_string());
            add("sweep.binds", what.to_owned());
        }
        suite.set_system_out(tables::sweep(sweep, false, super::terminal::WIDTH));
    }
    written(suites)
}

fn written(suites: Vec<TestSuite>) -> String {
    let mut document = Document::new("lastfd");
    document.add_test_suites(suites);
    document.to_string().expect("a JUnit document is written to memory")
}

fn suites(runs: &[Told]) -> Vec<TestSuite> {
    let mut suites: Vec<TestSuite> = Vec::new();
    let groups = repeats(runs);
    let runs = groups.iter().flat_map(|group| group.iter().zip(1..).map(|(run, n)| (*run, n, group.len())));
    for (report, number, of) in runs {
        let case = case(report, number, of);
        match suites.iter_mut().find(|s| s.name.as_str() == report.scenario) {
            Some(suite) => drop(suite.add_test_case(case)),
            None => {
                let mut suite = TestSuite::new(report.scenario.as_str());
                suite.add_test_case(case);
                suites.push(suite);
            }
        }
    }
    suites
}

/// `number`, `of`: which of the runs of the same variant it is, for a case needs a name of its own.
fn case(report: &Told, number: usize, of: usize) -> TestCase {
    let mut status = match report.outcome {
        Outcome::Met => TestCaseStatus::success(),
        Outcome::NotMet => TestCaseStatus::non_success(NonSuccessKind::Failure),
        Outcome::Inconclusive => TestCaseStatus::non_success(NonSuccessKind::Error),
        Outcome::Skipped => TestCaseStatus::skipped(),
    };
    if report.outcome != Outcome::Met {
        status
            .set_message(report.why.first().cloned().unwrap_or_default())
            .set_type(report.outcome.name())
            .set_description([report.why.join("\n"), report.paragraph.clone()].join("\n").trim().to_owned());
    }
    status.add_reruns(report.earlier.iter().map(rerun));
    let variant = report.variant.as_deref().unwrap_or("as written");
    let name = if of == 1 { variant.to_owned() } else { format!("{variant} ({number} of {of})") };
    let mut case = TestCase::new(name, status);
    case.set_classname(report.scenario.as_str());
    if let Some(total) = total(report) {
        case.set_time(total);
    }
    case.set_system_out(report.text.as_str());
    case
}

/// An earlier try of a run, which was not as expected: `flakyFailure` where a later one was.
fn rerun(report: &Told) -> TestRerun {
    let mut rerun = TestRerun::new(match report.outcome {
        Outcome::NotMet => NonSuccessKind::Failure,
        Outcome::Met | Outcome::Inconclusive | Outcome::Skipped => NonSuccessKind::Error,
    });
    rerun
        .set_message(report.why.first().cloned().unwrap_or_default())
        .set_type(report.outcome.name())
        .set_description(report.why.join("\n"))
        .set_system_out(report.text.as_str());
    if let Some(total) = total(report) {
        rerun.set_time(total);
    }
    rerun
}

fn total(report: &Told) -> Option<Duration> {
    report.total_s.and_then(|s| Duration::try_from_secs_f64(s).ok())
}
