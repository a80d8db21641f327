//! JUnit XML for CI: a scenario is a suite, a run a case. Not met is a failure; inconclusive is an error.

use super::Report;
use crate::judge::Outcome;
use quick_junit::{NonSuccessKind, Report as Document, TestCase, TestCaseStatus, TestSuite};
use std::time::Duration;

/// The reports as one JUnit document.
pub fn render(reports: &[Report]) -> String {
    let mut document = Document::new("lastfd");
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
    document.add_test_suites(suites);
    document.to_string().expect("a JUnit document is written to memory")
}

fn case(report: &Report) -> TestCase {
    let why: Vec<String> =
        report.reasons.iter().map(|r| format!("{}: expected {}, observed {}", r.expectation, r.expected, r.observed)).collect();
    let mut status = match report.verdict {
        Outcome::Met => TestCaseStatus::success(),
        Outcome::NotMet => TestCaseStatus::non_success(NonSuccessKind::Failure),
        Outcome::Inconclusive => TestCaseStatus::non_success(NonSuccessKind::Error),
        Outcome::Skipped => TestCaseStatus::skipped(),
    };
    if report.verdict != Outcome::Met {
        status.set_message(why.first().cloned().unwrap_or_default()).set_type(report.verdict.name()).set_description(why.join("\n"));
    }
    let mut case = TestCase::new(report.variant.as_deref().unwrap_or("as written"), status);
    case.set_classname(report.scenario.as_str());
    if let Some(total) = report.timings.total_s.and_then(|s| Duration::try_from_secs_f64(s).ok()) {
        case.set_time(total);
    }
    case.set_system_out(super::terminal::render(std::slice::from_ref(report), false, super::terminal::WIDTH));
    case
}
