//! JUnit XML for CI: a scenario is a suite, a run a case. Not met is a failure; inconclusive is an error.

use super::repeats::repeats;
use super::words::sweep as words;
use super::{Report, short, sweep, tables};
use crate::judge::Outcome;
use quick_junit::{
    NonSuccessKind, Property, Report as Document, TestCase, TestCaseStatus, TestRerun, TestSuite,
};
use std::time::Duration;

/// The reports as one JUnit document.
pub fn render(reports: &[Report]) -> String {
    written(suites(reports))
}

/// The same of one program at several limits: what they come to is of the suite.
pub fn render_sweep(reports: &[Report], sweep: &sweep::Sweep) -> String {
    let mut suites = suites(reports);
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

fn suites(reports: &[Report]) -> Vec<TestSuite> {
    let mut suites: Vec<TestSuite> = Vec::new();
    let groups = repeats(reports);
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
fn case(report: &Report, number: usize, of: usize) -> TestCase {
    let why = short::reasons(report);
    let mut status = match report.verdict.outcome {
        Outcome::Met => TestCaseStatus::success(),
        Outcome::NotMet => TestCaseStatus::non_success(NonSuccessKind::Failure),
        Outcome::Inconclusive => TestCaseStatus::non_success(NonSuccessKind::Error),
        Outcome::Skipped => TestCaseStatus::skipped(),
    };
    if report.verdict.outcome != Outcome::Met {
        status
            .set_message(why.first().cloned().unwrap_or_default())
            .set_type(report.verdict.outcome.name())
            .set_description([why, vec![short::paragraph(report)]].concat().join("\n").trim_end().to_owned());
    }
    status.add_reruns(report.earlier.iter().map(rerun));
    let variant = report.variant.as_deref().unwrap_or("as written");
    let name = if of == 1 { variant.to_owned() } else { format!("{variant} ({number} of {of})") };
    let mut case = TestCase::new(name, status);
    case.set_classname(report.scenario.as_str());
    if let Some(total) = total(report) {
        case.set_time(total);
    }
    case.set_system_out(text(report));
    case
}

/// An earlier try of a run, which was not as expected: `flakyFailure` where a later one was.
fn rerun(report: &Report) -> TestRerun {
    let why = short::reasons(report);
    let mut rerun = TestRerun::new(match report.verdict.outcome {
        Outcome::NotMet => NonSuccessKind::Failure,
        Outcome::Met | Outcome::Inconclusive | Outcome::Skipped => NonSuccessKind::Error,
    });
    rerun
        .set_message(why.first().cloned().unwrap_or_default())
        .set_type(report.verdict.outcome.name())
        .set_description(why.join("\n"))
        .set_system_out(text(report));
    if let Some(total) = total(report) {
        rerun.set_time(total);
    }
    rerun
}

fn total(report: &Report) -> Option<Duration> {
    report.found.timings.total_s.value().and_then(|s| Duration::try_from_secs_f64(s).ok())
}

fn text(report: &Report) -> String {
    super::terminal::render(std::slice::from_ref(report), false, super::terminal::WIDTH)
}
