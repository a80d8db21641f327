//! What is judged of a recorded run: sixteen descriptors at most, eight of them at rest, and eight connections when accept4 fails with
//! EMFILE. One expectation at a time, once as it is and once a little off.

use lastfd::event;
use lastfd::judge::{self, Outcome};
use lastfd::measure::{self, FileNr, Kind, Measured, Moved};
use lastfd::scenario::Plan;
use serde_json::{Value, json};

/// The run, and its plan with these expectations and no other.
fn expecting(expect: &Value) -> (Plan, Measured) {
    let log = event::read(std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/spin.jsonl"))).expect("a recorded run");
    let event::What::Header { plan, .. } = &log.events[0].is else { panic!("no header") };
    let mut plan = plan.clone();
    plan["expect"] = json!({ "limits": {} });
    for (key, value) in expect.as_object().expect("expectations by name") {
        plan["expect"][key] = value.clone();
    }
    let plan: Plan = serde_json::from_value(plan).expect("a plan");
    let measured = measure::measure(&plan, &log);
    (plan, measured)
}

fn outcome(expect: Value) -> Outcome {
    let (plan, measured) = expecting(&expect);
    judge::judge(&plan, &measured).outcome
}

#[test]
fn each_expectation_is_met_by_the_value_observed_and_by_no_other() {
    for (met, not_met) in [
        (json!({ "limits": { "soft": 16 } }), json!({ "limits": { "soft": 64 } })),
        (json!({ "limits": { "hard": 64 } }), json!({ "limits": { "hard": 16 } })),
        (json!({ "baseline": 8 }), json!({ "baseline": 7 })),
        (json!({ "leaked": 0 }), json!({ "leaked": 1 })),
        (
            json!({ "first_failure": { "call": "accept4", "errno": "EMFILE" } }),
            json!({ "first_failure": { "call": "accept4", "errno": "ENFILE" } }),
        ),
        (
            json!({ "first_failure": { "call": "openat", "or": ["accept4"], "errno": "EMFILE" } }),
            json!({ "first_failure": { "call": "openat", "or": ["socket"], "errno": "EMFILE" } }),
        ),
        // The first that had waited was served after 2.5 ms, a new client after 12 ms.
        (json!({ "recovers_within_s": 0.0125 }), json!({ "recovers_within_s": 0.0115 })),
    ] {
        assert_eq!((outcome(met.clone()), outcome(not_met.clone())), (Outcome::Met, Outcome::NotMet), "{met} {not_met}");
    }
}

#[test]
fn the_baseline_of_a_formula_is_what_takes_a_place_under_the_limit() {
    let (plan, mut measured) = expecting(&json!({ "ceiling": { "formula": "soft - baseline" } }));
    assert_eq!(judge::judge(&plan, &measured).outcome, Outcome::Met);
    // One of the eight was inherited under a number above the limit: then there was room for nine.
    measured.baseline.counted = Some(7);
    assert_eq!(judge::judge(&plan, &measured).outcome, Outcome::NotMet);
    measured.ceiling.accepted = Some(9);
    assert_eq!(judge::judge(&plan, &measured).outcome, Outcome::Met);
}

#[test]
fn what_is_surely_not_met_decides_also_where_something_else_was_not_measured() {
    let (plan, mut measured) = expecting(&json!({ "leaked": 0, "limits": { "soft": 16 } }));
    measured.recovery.leaked = None;
    assert_eq!(judge::judge(&plan, &measured).outcome, Outcome::Inconclusive);
    measured.limits.effective.as_mut().expect("read back").soft = 15;
    assert_eq!(judge::judge(&plan, &measured).outcome, Outcome::NotMet);
}

#[test]
fn a_call_that_fails_with_enfile_met_the_hosts_limit_whatever_was_free_when_it_was_read() {
    for (kind, binds) in [(Kind::Emfile, false), (Kind::Enfile, true)] {
        let (plan, mut measured) = expecting(&json!({ "file_max_binds": binds }));
        (measured.ceiling.kind, measured.saturation.file_nr) = (Some(kind), Some(FileNr { allocated: 10, max: 100 }));
        assert_eq!(judge::judge(&plan, &measured).outcome, Outcome::Met, "{kind:?}");
    }
}

#[test]
fn a_raised_limit_that_is_used_too_late_is_not_met() {
    for (resumed_s, outcome) in [(0.5, Outcome::Met), (0.501, Outcome::NotMet)] {
        let (plan, mut measured) = expecting(&json!({ "resumes_within_s": 0.5 }));
        measured.moved = vec![Moved { resumed: Some(true), resumed_s: Some(resumed_s), ..Moved::default() }];
        assert_eq!(judge::judge(&plan, &measured).outcome, outcome, "{resumed_s}");
    }
}
