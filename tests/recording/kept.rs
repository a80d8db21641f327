//! What is recorded is what the cases are now: a scenario that was changed since, or a run that was not met,
//! is recorded again.

use super::cases;
use crate::support::recordings;
use lastfd::internal::judge::Outcome;
use lastfd::internal::report::Report;
use lastfd::internal::scenario::Program;
use std::collections::HashSet;
use std::path::PathBuf;

/// Recordings that are not met, and why that is so.
const NOT_MET: [(&str, &str); 3] = [
    ("server-http-unobserved", "its observer is none, so nobody counted what it accepted"),
    ("subject-never-listens", "it is never ready"),
    ("subject-two-ports", "it listens on two ports, and neither was chosen"),
];

#[test]
fn each_case_has_its_recording_and_each_recording_its_case() {
    let cases: HashSet<String> = cases::all().into_iter().map(|case| case.name).collect();
    let recorded: HashSet<String> = recordings().iter().map(|(name, ..)| name.clone()).collect();
    let differ: Vec<&String> = cases.symmetric_difference(&recorded).collect();
    assert!(differ.is_empty(), "{differ:?}");
}

#[test]
fn a_recorded_scenario_is_the_scenario_as_it_is_now() {
    let scenarios = cases::all().into_iter().filter(|case| case.name.starts_with("scenario-"));
    let changed = scenarios.filter_map(|mut case| {
        let (_, plan, _) = recordings().iter().find(|(name, ..)| *name == case.name)?;
        // Where the files are is the machine's, and of commands a log has not all words.
        case.plan.directory = PathBuf::clone(&plan.directory);
        // They decide which runs are made, and when: not what a run is.
        (case.plan.tags, case.plan.alone) = (plan.tags.clone(), plan.alone);
        for (name, process) in &mut case.plan.processes {
            if let (Program::Command(words), Some(recorded)) =
                (&mut process.program, plan.processes.get(name))
                && let Program::Command(recorded) = &recorded.program
            {
                words.clone_from(recorded);
            }
        }
        (case.plan != *plan).then_some(case.name)
    });
    let changed: Vec<String> = changed.collect();
    assert!(changed.is_empty(), "record them again: {changed:#?}");
}

#[test]
fn every_recorded_run_is_met_but_those_that_cannot_be() {
    for (name, plan, log) in recordings() {
        let verdict = Report::of(plan, log).verdict;
        let excused = NOT_MET.iter().any(|(of, _)| of == name);
        assert_eq!(verdict.outcome != Outcome::Met, excused, "{name}: {:?}", verdict.reasons);
    }
}
