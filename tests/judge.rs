//! What is judged of a recorded run: sixteen descriptors at most, eight of them at rest, and eight connections when accept4 fails with
//! EMFILE. One expectation at a time, once as it is and once a little off.

use lastfd::internal::event;
use lastfd::internal::event::{Call, Outcome as Got, SeenAs};
use lastfd::internal::judge::{self, Outcome};
use lastfd::internal::measure::{self, Disguise, FileNr, Kind, Measured, Moved, OtherListener};
use lastfd::internal::scenario::Plan;
use serde_json::{Value, json};

/// The run, and its plan with these expectations and no other.
fn expecting(expect: &Value) -> (Plan, Measured) {
    recorded("spin", expect)
}

fn recorded(name: &str, expect: &Value) -> (Plan, Measured) {
    let folder = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data"));
    let log = event::read(&folder.join(name).with_extension("jsonl")).expect("a recorded run");
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
        assert_eq!(
            (outcome(met.clone()), outcome(not_met.clone())),
            (Outcome::Met, Outcome::NotMet),
            "{met} {not_met}"
        );
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
        (measured.ceiling.kind, measured.saturation.file_nr) =
            (Some(kind), Some(FileNr { allocated: 10, max: 100 }));
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

#[test]
fn outcomes_are_expected_in_their_order() {
    for (outcomes, verdict) in [
        (["served", "waits", "times-out"], Outcome::Met),
        (["waits", "served", "times-out"], Outcome::NotMet),
    ] {
        let (plan, measured) = recorded("three-answers", &json!({ "outcomes": { "service-a": outcomes } }));
        assert_eq!(judge::judge(&plan, &measured).outcome, verdict, "{outcomes:?}");
    }
}

#[test]
fn a_number_held_under_a_moved_limit_is_no_ceiling_where_nothing_failed() {
    let (plan, mut measured) = expecting(&json!({ "ceiling_after": { "exactly": 12 } }));
    measured.moved = vec![Moved { soft: 24, hard: 64, accepted_after: Some(12), ..Moved::default() }];
    assert_eq!(judge::judge(&plan, &measured).outcome, Outcome::NotMet);
    measured.moved[0].next_failure = measured.ceiling.first_failure.clone();
    assert_eq!(judge::judge(&plan, &measured).outcome, Outcome::Met);
}

#[test]
fn a_disguise_that_nobody_expects_is_not_met() {
    for (expected, verdict) in [(json!([]), Outcome::NotMet), (json!(["closed"]), Outcome::Met)] {
        let (plan, mut measured) = expecting(&json!({ "disguise": expected }));
        let errno = "EMFILE".to_owned();
        measured.unsampled = None;
        measured.saturation.disguise = vec![Disguise {
            call: Call::Openat,
            errno,
            seen_as: SeenAs::Closed,
            reply: String::new(),
            count: 3,
        }];
        assert_eq!(judge::judge(&plan, &measured).outcome, verdict, "{expected}");
    }
}

#[test]
fn one_listener_that_differs_decides_also_where_another_was_not_tried() {
    let (plan, mut measured) = expecting(&json!({ "other_listeners": "waits" }));
    let other = |port, new_client| OtherListener {
        address: format!("127.0.0.1:{port}"),
        port,
        queue: 0,
        capacity: 1,
        overflows: None,
        new_client,
    };
    for (second, verdict) in [(Got::Waits, Outcome::Inconclusive), (Got::Served, Outcome::NotMet)] {
        measured.saturation.other_listeners = vec![other(1, None), other(2, Some(second))];
        assert_eq!(judge::judge(&plan, &measured).outcome, verdict, "{second:?}");
    }
}
