//! What is left to say where the observer does not see accepts: those of io_uring, say.

use super::ceiling::of_silent_clients;
use crate::log::{self, measured};
use lastfd::internal::event::{Client, Descriptor, DescriptorKind, Event, Log, Outcome as Got, Phase, What};
use lastfd::internal::judge::Outcome;
use lastfd::internal::measure::{self, Doubt, Why};
use lastfd::internal::report::{self, Report};
use lastfd::internal::scenario::Plan;

#[test]
fn an_observer_that_sees_no_accept_gives_no_number() {
    let m = measured("conflict");
    let ceiling = &m.ceiling;
    assert_eq!((ceiling.accepted.value(), ceiling.kind.value(), m.policy.policy.value()), (None, None, None));
    let blind = Why::BlindByCount { descriptors: 16, rest: 8 };
    assert_eq!(m.ceiling.accepted.why(), Some(&blind));
    assert!(m.doubts.contains(&Doubt::Ceiling(blind)), "{:?}", m.doubts);
}

/// What a run of a program with a ring leaves where only its system calls are seen: everything but its
/// accepts.
fn accepts_unseen() -> (Plan, Vec<Event>) {
    let (plan, log) = log::told("spin");
    let mut events = log.events;
    let accepts = |is: &What| matches!(is, What::Call { name, .. } if name.accepts());
    events.retain(|e| !accepts(&e.is) && !matches!(e.is, What::Failures { .. } | What::OwnCount { .. }));
    for event in &mut events {
        if let What::Baseline { inventory, .. } = &mut event.is {
            inventory.push(Descriptor { fd: 7, kind: DescriptorKind::IoUring, detail: String::new() });
        }
    }
    (plan, events)
}

/// Neither the observer nor a client that asks nothing knows who was accepted.
#[test]
fn where_accepts_pass_by_and_clients_ask_nothing_what_became_of_them_is_null_and_not_zero() {
    let (mut plan, mut events) = accepts_unseen();
    of_silent_clients(&mut plan);
    events.retain(|e| !matches!(e.is, What::Client { state: Client::Served, .. }));
    for event in &mut events {
        if let What::Probe { outcome, .. } = &mut event.is {
            *outcome = Got::Waits;
        }
    }
    let report = Report::of(&plan, &Log::new(events.clone()));
    let (f, r) = (&report.found, &report.found.recovery);
    assert_eq!((r.recovered.value(), r.new_client_served_s.value()), (None, None));
    assert_eq!((r.waiters.value(), r.waiters_served.value()), (None, None));
    assert_eq!(f.rounds.gave_up.value(), None);
    assert_eq!((f.ceiling.first_unserved.get(), f.costs.failures_per_s.value()), (None, None));
    assert_eq!(f.clients.queued, 4, "twelve connected, and eight descriptors more than at rest");
    let unmeasured = &report::json::run(&report)["unmeasured"];
    for field in [
        "ceiling.first_unserved",
        "saturation.failures_per_s",
        "recovery.recovered",
        "recovery.gave_up",
        "recovery.rounds.first_served_s",
    ] {
        let why = unmeasured[field].as_str();
        assert!(why.is_some_and(|why| why.contains("io_uring")), "{field}: {unmeasured:#}");
    }
    plan.expect.recovers_within_s = Some(1.0);
    assert_eq!(Report::of(&plan, &Log::new(events)).verdict.outcome, Outcome::Inconclusive);
}

#[test]
fn where_accepts_pass_by_the_observer_the_descriptor_count_alone_says_how_many_it_holds() {
    let (mut plan, mut events) = accepts_unseen();
    let report = Report::of(&plan, &Log::new(events.clone()));
    let ceiling = &report.found.ceiling;
    assert_eq!((ceiling.accepted.value(), ceiling.reached.value()), (Some(8), Some(true)));
    assert_eq!((ceiling.kind.value(), report.found.policy.policy.value()), (None, None));
    assert_eq!(ceiling.first_failure.why(), Some(&Why::AcceptsPassBy));
    let verdict = &report.verdict;
    assert_eq!(verdict.outcome, Outcome::Inconclusive, "a first failure is asked for: {verdict:?}");
    (plan.expect.first_failure, plan.expect.policy) = (None, None);
    let verdict = Report::of(&plan, &Log::new(events.clone())).verdict;
    assert_eq!(verdict.outcome, Outcome::Met, "what it holds is known");
    // With an observer that sees them none of this is so: there was no accept.
    for event in &mut events {
        if let What::Observer { io_uring, .. } = &mut event.is {
            *io_uring = true;
        }
    }
    let blind = measure::measure(&plan, &Log::new(events));
    assert_eq!(blind.ceiling.accepted.why(), Some(&Why::BlindByCount { descriptors: 16, rest: 8 }));
}

/// The kernel stops perf in a program that changes its user as it is executed, such as a login process:
/// clients that ask nothing do not show that they were taken, and `/proc` does.
#[test]
fn connections_that_proc_finds_with_processes_whose_accepts_nobody_saw_are_no_limit_of_their_own() {
    let (mut plan, log) = log::told("not-reached");
    of_silent_clients(&mut plan);
    let mut events = log.events;
    events.retain(|e| {
        let told = matches!(e.is, What::Client { state: Client::Served, .. });
        !told && !matches!(&e.is, What::Call { name, .. } if name.accepts())
    });
    for event in &mut events {
        if let What::Sample { descriptors, .. } = &mut event.is {
            *descriptors = 8;
        }
    }
    let watched = events.iter().find(|e| e.is == What::Phase(Phase::Saturate)).expect("a watch").at;
    let holders = What::Holders { processes: 5, holders: Vec::new(), connections: Some(5) };
    events.push(Event { at: watched + 1, is: holders });
    events.sort_by_key(|e| e.at);
    let m = measure::measure(&plan, &Log::new(events));
    assert_eq!(m.ceiling.kind.why(), Some(&Why::BlindByHolders { held: 5 }), "{:?}", m.ceiling);
}
