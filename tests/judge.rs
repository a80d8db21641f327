//! What is judged of a told run: sixteen descriptors at most, eight of them at rest, and eight connections
//! when accept4 fails with EMFILE. One expectation at a time, once as it is and once a little off.

use crate::log;
use lastfd::internal::event::{Call, Event, Label, Limits, Log, Outcome as Got, Phase, What};
use lastfd::internal::judge::{self, Outcome};
use lastfd::internal::measure::{self, Findings, Kind, Known, Why};
use lastfd::internal::report::words;
use lastfd::internal::scenario::Plan;
use serde_json::{Value, json};

/// The run, and its plan with these expectations and no other.
fn expecting(expect: &Value) -> (Plan, Findings) {
    told("spin", expect, |_| Vec::new())
}

/// With these events more, which are told when the first clients leave.
fn told(name: &str, expect: &Value, more: impl Fn(u64) -> Vec<Event>) -> (Plan, Findings) {
    let (plan, log) = log::told(name);
    let mut plan = serde_json::to_value(plan).expect("JSON");
    plan["expect"] = json!({ "limits": {} });
    for (key, value) in expect.as_object().expect("expectations by name") {
        plan["expect"][key] = value.clone();
    }
    let plan: Plan = serde_json::from_value(plan).expect("a plan");
    let released = log::released(&log.events);
    let events = log.events.iter().cloned().chain(more(released)).collect();
    let measured = measure::measure(&plan, &Log::new(events));
    (plan, measured)
}

/// The limit is raised to 24 just before clients leave, and not used.
fn raised(expect: &Value) -> (Plan, Findings) {
    told("spin", expect, |released| {
        let (at, was) = (released - 100_000, Limits { soft: 16, hard: 64 });
        [What::Phase(Phase::Moved), What::LimitMoved { pid: 100, soft: 24, hard: 64, was }]
            .map(|is| Event { at, is })
            .to_vec()
    })
}

fn outcome(expect: Value) -> Outcome {
    let (plan, measured) = expecting(&expect);
    judge::judge(&plan, &measured).outcome
}

/// Its pauses grow from 5 to 640 ms; it waited for a processor for so many seconds meanwhile.
fn pauses(first_s: f64, longest_s: f64, waited_s: f64) -> Outcome {
    let ready = What::Ready { pid: 100, ran_s: 0.1, waited_s, all_s: 0.1 + waited_s };
    let expect = json!({ "delay": { "first_s": first_s, "longest_s": longest_s } });
    let (plan, measured) = told("backoff", &expect, |_| vec![log::event(1300.0, ready.clone())]);
    judge::judge(&plan, &measured).outcome
}

#[test]
fn a_pause_is_never_shorter_than_it_was_seen_and_longer_only_where_a_processor_was_waited_for() {
    assert_eq!(pauses(0.005, 0.64, 0.0), Outcome::Met);
    assert_eq!(pauses(0.005, 0.5, 0.0), Outcome::NotMet);
    assert_eq!(pauses(0.005, 0.5, 0.2), Outcome::Inconclusive);
    assert_eq!(pauses(0.005, 0.5, 0.01), Outcome::NotMet, "it was not late by so much");
    assert_eq!(pauses(0.005, 0.8, 0.2), Outcome::NotMet, "nothing is early");
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
    measured.baseline.counted = Known::Value(7);
    assert_eq!(judge::judge(&plan, &measured).outcome, Outcome::NotMet);
    measured.ceiling.capacity = Known::Value(9);
    assert_eq!(judge::judge(&plan, &measured).outcome, Outcome::Met);
}

#[test]
fn what_is_surely_not_met_decides_also_where_something_else_was_not_measured() {
    let (plan, mut measured) = expecting(&json!({ "leaked": 0, "limits": { "soft": 16 } }));
    measured.recovery.leaked = Known::Unknown(Why::RestOrEndUnknown);
    assert_eq!(judge::judge(&plan, &measured).outcome, Outcome::Inconclusive);
    measured.limits.effective = Known::Value(Limits { soft: 15, hard: 64 });
    assert_eq!(judge::judge(&plan, &measured).outcome, Outcome::NotMet);
}

#[test]
fn a_call_that_fails_with_enfile_met_the_hosts_limit_whatever_was_free_when_it_was_read() {
    for (kind, binds) in [(Kind::Emfile, false), (Kind::Enfile, true)] {
        let files = |released| vec![Event { at: released - 1, is: What::FileNr { allocated: 10, max: 100 } }];
        let (plan, mut measured) = told("spin", &json!({ "file_max_binds": binds }), files);
        measured.ceiling.kind = Known::Value(kind);
        assert_eq!(judge::judge(&plan, &measured).outcome, Outcome::Met, "{kind:?}");
    }
}

#[test]
fn a_raised_limit_that_is_used_too_late_is_not_met() {
    for (resumed_s, outcome) in [(0.5, Outcome::Met), (0.501, Outcome::NotMet)] {
        let (plan, mut measured) = raised(&json!({ "resumes_within_s": 0.5 }));
        let Known::Value(moved) = &mut measured.moved else { panic!("it was moved") };
        (moved[0].resumed, moved[0].resumed_s) = (Known::Value(true), Known::Value(resumed_s));
        assert_eq!(judge::judge(&plan, &measured).outcome, outcome, "{resumed_s}");
    }
}

#[test]
fn outcomes_are_expected_in_their_order() {
    for (outcomes, verdict) in [
        (["served", "waits", "times-out"], Outcome::Met),
        (["waits", "served", "times-out"], Outcome::NotMet),
    ] {
        let (plan, measured) =
            told("three-answers", &json!({ "outcomes": { "service-a": outcomes } }), |_| Vec::new());
        assert_eq!(judge::judge(&plan, &measured).outcome, verdict, "{outcomes:?}");
    }
}

#[test]
fn a_number_held_under_a_moved_limit_is_no_ceiling_where_nothing_failed() {
    let (plan, mut measured) = raised(&json!({ "ceiling_after": { "exactly": 12 } }));
    let first_failure = measured.ceiling.first_failure.clone();
    let Known::Value(moved) = &mut measured.moved else { panic!("it was moved") };
    (moved[0].accepted_after, moved[0].next_failure) =
        (Known::Value(12), Known::Unknown(Why::NoFailureUnderNewLimits));
    assert_eq!(judge::judge(&plan, &measured).outcome, Outcome::NotMet);
    let Known::Value(moved) = &mut measured.moved else { panic!("it was moved") };
    moved[0].next_failure = first_failure;
    assert_eq!(judge::judge(&plan, &measured).outcome, Outcome::Met);
}

#[test]
fn a_disguise_that_nobody_expects_is_not_met() {
    // Three that were held are asked again, and closed when a file could not be opened.
    let closed = |released| {
        let open = What::Call { pid: 100, name: Call::Openat, ret: -24, on: None };
        let asked = What::Probe {
            workload: "flood".into(),
            label: Label::Held,
            outcome: Got::Closed,
            detail: String::new(),
            connect_s: None,
            answer_s: None,
        };
        let all = [(released - 2, open), (released - 1, asked)].map(|(at, is)| Event { at, is });
        vec![all; 3].concat()
    };
    for (expected, verdict) in [(json!([]), Outcome::NotMet), (json!(["closed"]), Outcome::Met)] {
        let (plan, mut measured) = told("spin", &json!({ "disguise": expected }), closed);
        measured.unsampled = None;
        assert_eq!(judge::judge(&plan, &measured).outcome, verdict, "{expected}");
    }
}

#[test]
fn one_listener_that_differs_decides_also_where_another_was_not_tried() {
    let other = |port: u16, new_client| What::OtherListener {
        address: format!("127.0.0.1:{port}"),
        queue: 0,
        capacity: 1,
        drops: None,
        new_client,
    };
    for (second, verdict) in [(Got::Waits, Outcome::Inconclusive), (Got::Served, Outcome::NotMet)] {
        let both =
            |released| [other(1, None), other(2, Some(second))].map(|is| Event { at: released - 1, is });
        let (plan, measured) =
            told("spin", &json!({ "other_listeners": "waits" }), |released| both(released).to_vec());
        assert_eq!(judge::judge(&plan, &measured).outcome, verdict, "{second:?}");
    }
}

/// The run that is told as `spin`, by the lines of `[expect]` of a scenario file.
fn by_lines(lines: &str) -> judge::Verdict {
    let (plan, measured) = expecting_lines(lines);
    judge::judge(&plan, &measured)
}

fn expecting_lines(lines: &str) -> (Plan, Findings) {
    let text = format!(
        "claim = \"c\"\n[processes.s]\nserve.tcp = {{}}\nlimits = {{ soft = 16, hard = 64 }}\n[workloads.w]\ntcp = \
         {{ clients = 100 }}\n[expect]\n{lines}\n"
    );
    let plans = Plan::parse(&text, "told", ".").unwrap_or_else(|e| panic!("{e}: {text}"));
    let (plan, log) = log::told("spin");
    let plan = Plan::clone(&plan);
    let mut json = serde_json::to_value(plan).expect("JSON");
    json["expect"] = serde_json::to_value(&plans[0].expect).expect("JSON");
    let plan: Plan = serde_json::from_value(json).expect("a plan");
    let measured = measure::measure(&plan, &log);
    (plan, measured)
}

#[test]
fn a_metric_is_met_by_amounts_that_contain_what_was_told_and_by_no_others() {
    // Told: 16 of 64 descriptors, 8 at rest; 8 connections; CPU from 1.0 s to 1.9 s, and 5 MB of log, both
    // within one second; the first that had waited was served after 2.5 ms, and a new one 12 ms after all had
    // left; four waited and were served.
    for (met, not_met) in [
        ("capacity = 8", "capacity = 7"),
        ("capacity = \"soft - baseline\"", "capacity = \"soft - baseline - 1\""),
        ("accepted = \"at least soft / 2\"", "accepted = \"at least soft / 2 + 1\""),
        ("capacity = \"7..=8\"", "capacity = \"9..=10\""),
        ("limits.soft = \"at least 16\"", "limits.soft = \"at least 17\""),
        ("limits.hard = \"at most 64\"", "limits.hard = \"at most 63\""),
        ("baseline = \"at most 8\"", "baseline = \"at most 7\""),
        ("leaked = \"at most 0\"", "leaked = \"at least 1\""),
        ("cpu-percent = \"at most 90 %\"", "cpu-percent = \"at most 89.9 %\""),
        ("cpu-percent = \"89..=91\"", "cpu-percent = \"91 % ..= 92 %\""),
        ("log-bytes-per-s = \"at most 5MB/s\"", "log-bytes-per-s = \"at most 4999kB/s\""),
        ("first-served = \"2ms..=3ms\"", "first-served = \"at most 2ms\""),
        ("recovers-within = \"at least 12ms\"", "recovers-within = \"at least 13ms\""),
        ("waiters-served = 4", "waiters-served = 5"),
        ("descriptors-per-connection = \"at most 1.0\"", "descriptors-per-connection = \"at most 0.99\""),
        ("ceiling-kind = \"emfile\"", "ceiling-kind = \"own-limit\""),
        ("binds = [\"memory\", \"descriptors\"]", "binds = [\"memory\", \"threads\"]"),
        ("new-client = \"waits\"", "new-client = [\"served\", \"closed\"]"),
    ] {
        assert_eq!(
            (by_lines(met).outcome, by_lines(met).judged),
            (Outcome::Met, 1),
            "{met}: {:?}",
            by_lines(met)
        );
        assert_eq!(by_lines(not_met).outcome, Outcome::NotMet, "{not_met}: {:?}", by_lines(not_met));
    }
}

#[test]
fn a_number_that_a_run_does_not_have_is_not_measured_and_never_met() {
    for lines in ["idle-timeout = \"at most 60s\"", "burst = \"at least 0\"", "call-p50 = \"at most 1s\""] {
        assert_eq!(by_lines(lines).outcome, Outcome::Inconclusive, "{lines}");
    }
}

#[test]
fn a_mismatch_says_what_was_expected_what_was_observed_and_why_in_one_sentence() {
    let said = |lines: &str| match by_lines(lines).reasons.as_slice() {
        [only] => words::judged::reason(only),
        other => panic!("{lines}: {other:?}"),
    };
    assert_eq!(
        said("cpu-percent = \"at most 20 %\""),
        "cpu-percent: expected at most 20 %, observed 90.0 % (CPU of the server at the limit, in percent of one \
         processor; policy spin: 9999 failed accept4 calls a second; 4 clients wait)"
    );
    assert_eq!(
        said("capacity = \"at least soft\""),
        "capacity: expected at least soft, observed 8, where `at least soft` is at least 16 (connections that the \
         server holds and serves when clients come no faster than it settles; accept4 failed with EMFILE under a soft \
         limit of 16)"
    );
    assert_eq!(
        said("new-client = \"served\""),
        "new-client: expected served, observed waits (policy spin: 9999 failed accept4 calls a second; 4 clients wait)"
    );
    assert_eq!(
        said("error-reply = \"503\""),
        "error-reply: expected 503, observed that no client got an error reply"
    );
    assert_eq!(
        said("ceiling = 7"),
        "ceiling: expected 7, observed 8 (accept4 failed with EMFILE under a soft limit of 16)"
    );
    assert_eq!(
        said("limits = { soft = 20 }"),
        "limits.soft: expected 20, observed 16 (set by `server`, process 100)"
    );
}
