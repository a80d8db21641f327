//! What is measured of told runs (`crate::log`). The expected numbers were counted by hand: eight descriptors
//! at rest under a limit of 16 leave room for eight connections, numbered 8 to 15.

mod any;
mod calls;
mod ceiling;
mod clients;
mod delays;
mod policy;
mod recovery;
mod reports;
mod unseen;
mod witnesses;

use crate::log;
use lastfd::internal::report::Report;

fn report(name: &str) -> Report {
    let (plan, log) = log::told(name);
    Report::of(&plan, &log)
}

fn near(observed: Option<f64>, expected: f64) -> bool {
    observed.is_some_and(|o| (o - expected).abs() <= 1e-6 * expected.abs().max(1.0))
}

#[test]
fn every_told_run_comes_to_the_verdict_its_scenario_asks_for() {
    for (name, plan, log, outcome) in log::all() {
        let Report { verdict, found, .. } = Report::of(&plan, &log);
        assert_eq!(verdict.outcome, outcome, "{name}: {verdict:#?}\n{:#?}", found.ceiling);
    }
}
