//! JUnit XML for CI: a scenario is a suite, a run a case. Not met is a failure; inconclusive is an error.

use super::{Report, sweep};
use crate::judge::Outcome;
use quick_junit::{NonSuccessKind, Property, Report as Document, TestCase, TestCaseStatus, TestSuite};
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
        if let Some((binds, what)) = sweep.binds.as_ref().zip(sweep.bound_by()) {
            add("sweep.binds_from", binds.from.to_string());
            add("sweep.binds", what.to_owned());
        }
        suite.set_system_out(sweep::render(sweep, false, super::terminal::WIDTH));
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
    for report in reports {
        let case = case(report);
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

fn case(report: &Report) -> TestCase {
    let why: Vec<String> = report
        .reasons
        .iter()
        .map(|r| format!("{}: expected {}, observed {}", r.expectation, r.expected, r.observed))
        .collect();
    let mut status = match report.verdict {
        Outcome::Met => TestCaseStatus::success(),
        Outcome::NotMet => TestCaseStatus::non_success(NonSuccessKind::Failure),
        Outcome::Inconclusive => TestCaseStatus::non_success(NonSuccessKind::Error),
        Outcome::Skipped => TestCaseStatus::skipped(),
    };
    if report.verdict != Outcome::Met {
        status
            .set_message(why.first().cloned().unwrap_or_default())
            .set_type(report.verdict.name())
            .set_description(why.join("\n"));
    }
    let mut case = TestCase::new(report.variant.as_deref().unwrap_or("as written"), status);
    case.set_classname(report.scenario.as_str());
    if let Some(total) = report.timings.total_s.and_then(|s| Duration::try_from_secs_f64(s).ok()) {
        case.set_time(total);
    }
    case.set_system_out(super::terminal::render(std::slice::from_ref(report), false, super::terminal::WIDTH));
    case
}
