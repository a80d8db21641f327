//! Subjects that call, and subjects that are called.

use super::any::unexplained;
use super::{near, report};
use crate::log::{self, changed, event, failed, measured, ms};
use lastfd::internal::event::{
    Call, CallStep, Ended, Errno, Event, Log, Outcome as Got, Pacing, Phase, What,
};
use lastfd::internal::judge::Outcome;
use lastfd::internal::measure::{self, Doubt, Kind, Why};
use lastfd::internal::report::Report;
use lastfd::internal::scenario::{Caller, Ceiling, Expect, FirstFailure, Program};

#[test]
fn a_subject_that_is_a_client_has_calls_in_place_of_accepted() {
    let (mut plan, log) = log::told("spin");
    plan.workloads.clear();
    let first = FirstFailure { call: Call::Socket, or: Vec::new(), errno: Errno::EMFILE };
    plan.expect = Expect::default();
    (plan.expect.ceiling, plan.expect.first_failure) = (Some(Ceiling::Exactly(4)), Some(first));
    let mut events: Vec<Event> = log.events.into_iter().filter(|e| e.at <= ms(30.0)).collect();
    let calls = (0..).zip([9, 10, 11, 12, -24, -24]);
    let socket = |ret| What::Call { pid: 100, name: Call::Socket, ret, on: None };
    events.extend(calls.map(|(n, ret)| event(31.0 + f64::from(n) / 1000.0, socket(ret))));
    events.push(event(50.0, What::OwnCount { pid: 100, before_first_emfile: 4, total: 4 }));
    events.push(event(60.0, What::End));
    let Report { verdict, found, .. } = Report::of(&plan, &Log::new(events));
    assert_eq!(verdict.outcome, Outcome::Met, "{verdict:?}");
    assert_eq!((found.ceiling.calls_answered(), found.ceiling.accepted.value()), (Some(4), None));
}

/// Nobody counts it at rest, and it may fail before the run sees that it runs.
#[test]
fn a_program_that_calls_as_soon_as_it_runs_is_loaded_from_its_launch_on() {
    let (mut plan, log) = log::told("spin");
    plan.workloads.clear();
    plan.expect = Expect::default();
    let begins = |phase: &Phase| matches!(phase, Phase::Launch | Phase::Ramp);
    let kept = |is: &What| match is {
        What::Phase(phase) | What::PhaseEnded { phase, .. } => begins(phase),
        What::Baseline { .. } | What::Sample { .. } | What::Call { .. } | What::Client { .. } => false,
        _ => true,
    };
    let mut events: Vec<Event> = log.events.into_iter().filter(|e| e.at <= ms(30.0) && kept(&e.is)).collect();
    let calls = (0..).zip([9, 10, 11, 12, -24, -24]);
    let socket = |ret| What::Call { pid: 100, name: Call::Socket, ret, on: None };
    events.extend(calls.map(|(n, ret)| event(15.0 + f64::from(n) / 1000.0, socket(ret))));
    events.push(event(60.0, What::End));
    let found = Report::of(&plan, &Log::new(events)).found;
    assert_eq!(found.ceiling.kind.value(), Some(Kind::Emfile), "{:?}", found.ceiling);
    assert!(found.ceiling.before_ramp.is_none() && found.ceiling.first_failure.get().is_some());
}

#[test]
fn a_subject_that_calls_is_counted_in_the_calls_that_were_answered_before_its_first_failure() {
    let m = measured("calls-client");
    let c = &m.ceiling;
    assert_eq!((c.calls_answered(), c.kind.value()), (Some(8), Some(Kind::Emfile)));
    assert_eq!((c.accepted.value(), c.connected.value()), (None, None));
    assert_eq!(m.policy.policy.why(), Some(&Why::AcceptsNobody));
    let calls = &m.calls[0];
    let before = calls.completed_before_first_failure.value();
    assert_eq!((calls.started, calls.completed, before), (12, 8, Some(8)));
    assert_eq!((calls.connections, calls.handshakes, calls.handshakes_per_call.value()), (8, 8, Some(1.0)));
    assert!(near(calls.per_s.value(), 1000.0), "8 from 31 to 39 ms: {calls:?}");
    let latency = calls.latency_s.value().unwrap();
    assert_eq!([latency.p50, latency.p90, latency.p99, latency.max], [0.0006, 0.001, 0.001, 0.001]);
    assert!(near(calls.descriptors_per_1000_calls.value(), 1000.0), "16 − 8 after 8 calls");
    let ends: Vec<_> =
        calls.ends.iter().map(|e| (e.outcome.value(), e.step.value(), e.errno.value(), e.calls)).collect();
    assert_eq!(ends, [(Some(Got::Served), None, None, 8), (None, Some(CallStep::Socket), Some(24), 4)]);
    assert!(near(Some(calls.ends[1].first_at_s), 0.040));
    assert_eq!(unexplained(&report("calls-client")), Vec::<String>::new());
}

#[test]
fn calls_are_counted_a_second_of_the_time_in_which_any_were_to_be_made() {
    let pacing = |at, state| event(at, What::Pacing { workload: "fetch".into(), state, connected: 0 });
    // Between the third call's end and 34 ms nobody had ordered the fourth.
    let m = changed("calls-client", |events| {
        events.extend([
            pacing(30.5, Pacing::Ramping),
            pacing(33.6, Pacing::Done),
            pacing(34.0, Pacing::Ramping),
        ]);
    });
    let per_s = &m.calls[0].per_s;
    assert!(near(per_s.value(), (8.0f64 / 0.0076 * 1e3).round() / 1e3), "8 in 8 − 0.4 ms: {per_s:?}");
}

#[test]
fn what_a_caller_gets_as_the_load_grows_is_timed_beside_the_queue_and_counts_for_no_ceiling() {
    let (m, without) = (measured("three-answers"), measured("spin"));
    assert_eq!(
        (&m.ceiling, m.policy.policy.value(), &m.recovery, &m.rounds, &m.end),
        (&without.ceiling, without.policy.policy.value(), &without.recovery, &without.rounds, &without.end)
    );
    let calls = &m.calls[0];
    let ends: Vec<_> =
        calls.ends.iter().map(|e| (e.outcome.value().unwrap(), e.calls, e.accept_queue.value())).collect();
    assert_eq!(ends, [(Got::Served, 2, None), (Got::Waits, 2, Some(4)), (Got::TimesOut, 1, Some(129))]);
    for (end, (at, took)) in calls.ends.iter().zip([(0.0325, 0.0004), (0.150, 0.300), (0.800, 0.3001)]) {
        assert!(near(Some(end.first_at_s), at) && near(Some(end.took_s), took), "{end:?}");
    }
    assert_eq!(calls.ends[2].tcp_states.get().unwrap()["SYN_RECV"], 2);
    assert_eq!((calls.connections, calls.descriptors_per_1000_calls.value()), (4, None));
}

#[test]
fn a_relay_that_is_called_is_counted_in_calls_and_a_driver_that_runs_out_is_the_generator() {
    let (mut plan, log) = log::told("calls-client");
    // The same calls, made by the harness to the subject: a service that leaks one descriptor for each.
    let fetch = plan.workloads.get_mut("fetch").unwrap();
    fetch.to = plan.subject.clone();
    fetch.calls.as_mut().unwrap().caller = Caller::HttpPerCall;
    plan.processes.get_mut("stats").unwrap().program = Program::Command(vec!["stats".into()]);
    let m = measure::measure(&plan, &log);
    assert_eq!((m.ceiling.calls_answered(), m.ceiling.kind.value()), (Some(8), Some(Kind::Emfile)));
    let mut events: Vec<Event> = log.events.into_iter().filter(|e| !failed(e)).collect();
    for event in &mut events {
        if let What::PhaseEnded { phase: Phase::Ramp, why } = &mut event.is {
            *why = Ended::Generator;
        }
    }
    let m = measure::measure(&plan, &Log::new(events.clone()));
    assert_eq!((m.ceiling.kind.value(), m.ceiling.calls_answered()), (Some(Kind::Generator), Some(8)));
    assert!(matches!(m.doubts[0], Doubt::Generator { errno: 24, .. }), "{:?}", m.doubts);
    // Refused, all of them: that says nothing of the subject's descriptors.
    for event in &mut events {
        if let What::CallEnded { outcome, step, .. } = &mut event.is {
            (*outcome, *step) = (Some(Got::Refused), Some(CallStep::Connect));
        }
    }
    let m = measure::measure(&plan, &Log::new(events));
    assert_eq!(m.ceiling.kind.value(), None);
    let Doubt::Ceiling(Why::NoCallAnswered { mostly: Some(mostly), .. }) = &m.doubts[0] else {
        panic!("{:?}", m.doubts)
    };
    assert_eq!(mostly.outcome, Some(Got::Refused));
}
