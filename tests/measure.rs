//! Recorded runs, measured again. The expected numbers were counted by hand in the logs of `tests/data`: eight descriptors
//! at rest under a limit of 16 leave room for eight connections, numbered 8 to 15.

use crate::support::lastfd;
use lastfd::internal::event::{
    self, Call, CallStep, Change, Client, Event, Log, Outcome as Got, Pacing, Phase, What,
};
use lastfd::internal::judge::{self, Expectation, Observed, Outcome};
use lastfd::internal::measure::{
    self, Doubt, Findings, Kind, Note, Policy, PolicyEvidence, Rhythm, VerdictEvidence, Why,
};
use lastfd::internal::report::{self, Report};
use lastfd::internal::scenario::Plan;
use proptest::prelude::*;
use serde_json::Value;
use std::path::PathBuf;

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name).with_extension("jsonl")
}

fn recorded(name: &str) -> (Plan, Log) {
    let log = event::read(&path(name)).expect("a log of tests/data");
    let What::Header { plan, .. } = &log.events[0].is else { panic!("no header") };
    (serde_json::from_value(plan.clone()).expect("the plan in the header"), log)
}

fn measured(name: &str) -> Findings {
    let (plan, log) = recorded(name);
    measure::measure(&plan, &log)
}

fn report(name: &str) -> Report {
    let (plan, log) = recorded(name);
    Report::of(&plan, &log)
}

fn near(observed: Option<f64>, expected: f64) -> bool {
    observed.is_some_and(|o| (o - expected).abs() <= 1e-6 * expected.abs().max(1.0))
}

#[test]
fn every_recorded_run_comes_to_the_verdict_its_scenario_asks_for() {
    let expected = [
        ("spin", Outcome::Met),
        ("backoff", Outcome::Met),
        ("fixed-delay", Outcome::Met),
        ("exits", Outcome::Met),
        ("own-limit", Outcome::Met),
        ("threads", Outcome::Met),
        ("workers", Outcome::Met),
        ("worker-restarts", Outcome::Met),
        ("sheds", Outcome::Met),
        ("not-reached", Outcome::Met),
        ("calls-client", Outcome::Met),
        ("three-answers", Outcome::Met),
        ("storm", Outcome::Met),
        ("spin-denied-cpu", Outcome::Met),
        ("unclear", Outcome::Met),
        ("dead", Outcome::NotMet),
        ("leak", Outcome::NotMet),
        ("died", Outcome::NotMet),
        ("early", Outcome::NotMet),
        ("conflict", Outcome::Inconclusive),
        ("generator", Outcome::Inconclusive),
        ("truncated", Outcome::Inconclusive),
    ];
    let data = path("spin");
    let recorded = std::fs::read_dir(data.parent().unwrap())
        .unwrap()
        .filter(|e| e.as_ref().unwrap().path().extension() == data.extension());
    assert_eq!(recorded.count(), expected.len(), "a log of tests/data is not listed here");
    for (name, outcome) in expected {
        let report = report(name);
        assert_eq!(
            report.verdict.outcome, outcome,
            "{name}: {:#?}\n{:#?}",
            report.verdict, report.found.ceiling
        );
    }
}

#[test]
fn a_spinning_server_fails_once_with_nobody_waiting_and_then_without_pause() {
    let m = measured("spin");
    let first = m.ceiling.first_failure.get().unwrap();
    assert_eq!(
        (m.ceiling.accepted.value(), m.ceiling.accepted_max.value(), m.ceiling.kind.value()),
        (Some(8), Some(8), Some(Kind::Emfile))
    );
    assert_eq!(
        (m.ceiling.connected.value(), m.ceiling.served.value(), m.ceiling.descriptors.value()),
        (Some(12), Some(8), Some(16))
    );
    assert_eq!(
        (first.call, first.errno, first.accepted_before, first.waiting_clients),
        (Call::Accept4, "EMFILE", 8, 0)
    );
    assert!(
        near(Some(first.at_s), 0.040)
            && near(m.timings.to_first_failure_s.value(), 0.039)
            && near(m.timings.launch_s.value(), 0.010)
    );
    let unserved = m.ceiling.first_unserved.get().unwrap();
    assert!(near(Some(unserved.at_s), 0.041) && unserved.outcome == Got::Waits);
    assert_eq!(m.policy.policy.value(), Some(Policy::Spin));
    assert!(
        near(m.costs.failures_per_s.value(), 10_000.0),
        "{:?}: 10000 from 0.040 to 1.040 s",
        m.costs.failures_per_s
    );
    assert!(near(m.costs.cpu_percent.value(), 90.0) && near(m.costs.log_bytes_per_s.value(), 5_000_000.0));
    assert_eq!((m.new_client.value(), m.held_closed.value()), (Some(Got::Waits), Some(0)));
    let queue = m.sockets.accept_queue.get().unwrap();
    assert_eq!(
        (queue.length, queue.capacity.value(), m.sockets.listen_overflows.value()),
        (4, Some(129), Some(0))
    );
    assert_eq!((m.policy.retry_gaps_s.len(), m.costs.log_sample.len()), (20, 1));
}

#[test]
fn emfile_while_numbers_are_free_is_not_the_descriptor_limit() {
    let (plan, mut log) = recorded("spin");
    for event in &mut log.events {
        if let What::Chain { links, .. } = &mut event.is {
            links.last_mut().expect("the server").soft = 64;
        }
    }
    let m = measure::measure(&plan, &log);
    assert_eq!(m.ceiling.kind.value(), Some(Kind::OtherLimit), "16 of 64 numbers are taken");
    let binds = m.binds.get().expect("what binds");
    assert_eq!(binds.resource.name(), "other-kernel-limit");
    let said = report::json::render(&[Report::of(&plan, &log)]);
    assert!(
        said.contains("though 48 of 64 descriptor numbers were free, so it is not RLIMIT_NOFILE"),
        "{said}"
    );
}

#[test]
fn recovery_is_timed_from_the_first_client_that_leaves() {
    let r = measured("spin").recovery;
    assert_eq!(
        (
            r.released.value(),
            r.waiters.value(),
            r.waiters_served.value(),
            r.leaked.value(),
            r.recovered.value()
        ),
        (Some(4), Some(4), Some(4), Some(0), Some(true))
    );
    assert!(
        near(r.first_served_s.value(), 0.0025)
            && near(r.queue_drained_s.value(), 0.010)
            && near(r.new_client_served_s.value(), 0.012),
        "{r:?}"
    );
}

#[test]
fn the_link_that_set_the_limit_is_the_first_from_which_the_value_stays() {
    let m = measured("workers");
    let set_by = m.limits.set_by.get().unwrap();
    assert_eq!((set_by.pid, set_by.inherited, m.limits.effective.value().unwrap().soft), (100, false, 16));
    assert_eq!(measured("spin").limits.set_by.get().unwrap().pid, 100);
}

#[test]
fn delays_are_told_apart_by_their_gaps() {
    let backoff = measured("backoff");
    assert_eq!(backoff.policy.policy.value(), Some(Policy::Backoff), "{:?}", backoff.policy);
    assert!(near(Some(backoff.policy.retry_gaps_s[3]), 0.0401));
    assert_eq!(backoff.ceiling.first_failure.get().unwrap().waiting_clients, 2, "those of 41 and 42 ms");
    let fixed = measured("fixed-delay");
    assert_eq!(fixed.policy.policy.value(), Some(Policy::FixedDelay));
    assert_eq!(fixed.policy.retry_gaps_s.len(), 3, "two threads that fail together count once");
}

#[test]
fn connections_that_the_server_dismisses_do_not_count() {
    let m = measured("own-limit");
    assert_eq!(
        (
            m.ceiling.accepted.value(),
            m.ceiling.accepted_max.value(),
            m.ceiling.served.value(),
            m.ceiling.connected.value()
        ),
        (Some(5), Some(5), Some(5), Some(12))
    );
    assert_eq!(m.ceiling.kind.value(), Some(Kind::OwnLimit));
    let sheds = measured("sheds");
    assert_eq!((sheds.ceiling.accepted.value(), sheds.ceiling.accepted_max.value()), (Some(8), Some(8)));
}

#[test]
fn numbers_reserved_by_blocked_threads_are_explained_and_no_conflict() {
    let m = measured("threads");
    assert_eq!((m.ceiling.accepted.value(), m.ceiling.accepted_max.value()), (Some(11), Some(14)));
    assert_eq!(m.ceiling.capacity.value(), Some(14), "each of the other threads takes one client more");
    assert_eq!(
        m.witnesses.all.iter().map(|w| w.ceiling.value()).collect::<Vec<_>>(),
        [Some(11), Some(10), Some(11)]
    );
    assert_eq!(m.witnesses.agreement.value(), Some(true));
    assert!(m.witnesses.notes.iter().any(|note| matches!(note, Note::Reserved { .. })), "{:?}", m.witnesses);
    assert_eq!(m.ceiling.served.why(), Some(&Why::TcpAsksNothing));
}

#[test]
fn an_own_count_may_be_late_by_the_threads_that_accept_and_by_no_more() {
    let (plan, log) = recorded("threads");
    // Four threads accept, and 11 connections came before the first failure.
    for (own, agreement) in [(11, true), (8, true), (7, true), (6, false), (16, false)] {
        let mut events = log.events.clone();
        for event in &mut events {
            if let What::OwnCount { before_first_emfile, .. } = &mut event.is {
                *before_first_emfile = own;
            }
        }
        let m = measure::measure(&plan, &Log::new(events));
        assert_eq!(
            (m.witnesses.agreement.value(), m.ceiling.accepted.value()),
            (Some(agreement), Some(11)),
            "{own}: {:?}",
            m.witnesses.notes
        );
    }
}

#[test]
fn the_count_of_one_worker_is_compared_with_that_workers_connections() {
    let (mut plan, log) = recorded("workers");
    plan.workloads.get_mut("flood").unwrap().clients = Some(15);
    // Before either fails: worker 101 holds 8, worker 102 holds 7, and /proc was read of 101 alone.
    let until = log.events.iter().position(|e| matches!(e.is, What::Call { ret: -24, .. })).unwrap();
    let mut events = log.events[..until].to_vec();
    let at = events.last().unwrap().at;
    let sample =
        |descriptors| What::Sample { pid: 101, descriptors, queue: Some(0), cpu_s: 0.1, log_bytes: 0 };
    let says = |descriptors: u64, events: &mut Vec<Event>| {
        let more = [sample(descriptors), What::Phase(Phase::Saturate), What::Phase(Phase::Probe), What::End];
        let mut all = events.clone();
        all.extend(
            more.into_iter().enumerate().map(|(i, is)| Event { at: at + (i as u64 + 1) * 200_000_000, is }),
        );
        measure::measure(&plan, &Log::new(all))
    };
    let m = says(16, &mut events);
    assert_eq!(
        (m.ceiling.accepted.value(), m.witnesses.agreement.value()),
        (Some(15), Some(true)),
        "{:?}",
        m.witnesses.notes
    );
    let of_one = m.witnesses.all.iter().find(|w| w.observer.starts_with("/proc")).unwrap();
    assert_eq!((of_one.process, of_one.ceiling.value()), (Some(101), Some(8)));
    // 15 more than at rest is the sum, and 101 holds 8 of them: that it equals the sum is no agreement.
    assert_eq!(says(23, &mut events).witnesses.agreement.value(), Some(false));
}

#[test]
fn each_worker_has_a_ceiling_and_the_first_to_fail_gives_the_runs() {
    let m = measured("workers");
    let table: Vec<_> = m.ceiling.per_process.iter().map(|p| (p.pid, p.accepted)).collect();
    assert_eq!(table, [(101, 8), (102, 8)]);
    let first = m.ceiling.first_failure.get().unwrap();
    assert_eq!(
        (first.pid, m.ceiling.accepted.value(), first.waiting_clients),
        (101, Some(8), 0),
        "15 connected, 8 + 7 accepted"
    );
    assert_eq!(m.policy.policy.value(), Some(Policy::FixedDelay), "of the process that failed first");
}

#[test]
fn an_observer_that_sees_no_accept_gives_no_number() {
    let m = measured("conflict");
    assert_eq!(
        (m.ceiling.accepted.value(), m.ceiling.kind.value(), m.policy.policy.value()),
        (None, None, None)
    );
    let blind = Why::BlindByCount { descriptors: 16, rest: 8 };
    assert_eq!(m.ceiling.accepted.why(), Some(&blind));
    assert!(m.doubts.contains(&Doubt::Ceiling(blind)), "{:?}", m.doubts);
}

#[test]
fn a_generator_that_runs_out_is_never_the_subjects_ceiling() {
    let m = measured("generator");
    assert_eq!((m.ceiling.kind.value(), m.ceiling.reached.value()), (Some(Kind::Generator), Some(false)));
    assert!(matches!(m.doubts[0], Doubt::Generator { errno: 24, .. }), "{:?}", m.doubts);
}

#[test]
fn a_client_accepted_just_after_the_ramp_is_no_limit_of_the_servers_own() {
    let m = measured("not-reached");
    assert_eq!(
        (m.ceiling.kind.value(), m.ceiling.accepted.value(), m.ceiling.reached.value()),
        (Some(Kind::NotReached), Some(12), Some(false))
    );
}

#[test]
fn exits_are_told_from_restarts_and_from_deaths_without_a_failed_call() {
    assert_eq!(measured("exits").policy.policy.value(), Some(Policy::Exits));
    assert_eq!(measured("worker-restarts").policy.policy.value(), Some(Policy::WorkerRestarts));
    let died = measured("died");
    assert_eq!((died.ceiling.kind.value(), died.ceiling.accepted.value()), (Some(Kind::Exited), Some(5)));
}

#[test]
fn the_descriptors_at_rest_are_those_of_a_worker_that_is_gone_and_not_its_masters() {
    let (plan, log) = recorded("worker-restarts");
    let mut events = log.events;
    // The master holds the listener too, and is read after its worker. That has exited when the ceiling is reached.
    let (link, limits) = (
        |pid, soft| event::Link { pid, command: "server".into(), soft, hard: 64 },
        event::Limits { soft: 16, hard: 64 },
    );
    events.extend([
        Event {
            at: 14_500_000,
            is: What::Chain {
                process: "server".into(),
                pid: 100,
                when: Phase::Baseline,
                links: vec![link(50, 20000), link(100, 32)],
            },
        },
        Event {
            at: 14_600_000,
            is: What::Baseline { pid: 100, descriptors: 5, counted: 5, inventory: vec![], settled: true },
        },
        Event {
            at: 51_000_000,
            is: What::Chain {
                process: "server".into(),
                pid: 101,
                when: Phase::Saturate,
                links: vec![link(50, 20000)],
            },
        },
    ]);
    for observed in [true, false] {
        events.retain(|event| observed || !matches!(event.is, What::Call { .. }));
        let m = measure::measure(&plan, &Log::new(events.clone()));
        assert_eq!(
            (m.subject.pid.value(), m.baseline.descriptors.value(), m.limits.effective.value()),
            (Some(101), Some(8), Some(limits)),
            "{observed}"
        );
        assert_eq!(m.limits.earlier, [], "its master has its own limits, and it has not changed any");
    }
}

#[test]
fn an_accept_loop_is_dead_only_when_it_stays_silent_after_clients_left() {
    let (plan, log) = recorded("dead");
    assert_eq!(measure::measure(&plan, &log).policy.policy.value(), Some(Policy::AcceptLoopDead));
    let mut events = log.events;
    events.push(Event { at: 1_301_500_000, is: What::Call { pid: 100, name: Call::Accept4, ret: 8 } });
    assert_eq!(measure::measure(&plan, &Log::new(events)).policy.policy.value(), Some(Policy::Unclear));
}

#[test]
fn every_policy_has_a_recorded_run() {
    let all = [
        ("spin", Policy::Spin),
        ("spin-denied-cpu", Policy::Spin),
        ("storm", Policy::Storm),
        ("fixed-delay", Policy::FixedDelay),
        ("backoff", Policy::Backoff),
        ("sheds", Policy::Sheds),
        ("own-limit", Policy::LimitsItself),
        ("exits", Policy::Exits),
        ("worker-restarts", Policy::WorkerRestarts),
        ("dead", Policy::AcceptLoopDead),
        ("unclear", Policy::Unclear),
        ("not-reached", Policy::None),
    ];
    for (name, policy) in all {
        let found = measured(name).policy;
        assert_eq!(found.policy.value(), Some(policy), "{name}: {:?}", found.evidence);
    }
    let storm = measured("storm").policy.evidence;
    let Some(PolicyEvidence::Rhythm { rhythm: Rhythm::Storm { bursts, size, pause_s }, waiting, .. }) =
        storm.get()
    else {
        panic!("{storm:?}")
    };
    assert_eq!((*bursts, *size, *waiting), (4, 16.0, 4));
    assert!((pause_s - 0.299).abs() < 0.0005, "{pause_s}");
}

#[test]
fn the_pauses_between_tries_are_measured_and_judged_within_a_tenth() {
    use lastfd::internal::scenario::ExpectDelay;
    let judged = |name: &str, first_s: f64, longest_s: f64| {
        let (mut plan, log) = recorded(name);
        plan.expect.delay = Some(ExpectDelay { first_s, longest_s });
        let verdict = judge::judge(&plan, &measure::measure(&plan, &log));
        let of_delay = |reason: &judge::Reason| reason.expectation == Expectation::Delay;
        verdict.reasons.into_iter().find(of_delay).map(|reason| reason.observed)
    };
    // Half a second and up to a millisecond more; 5.1 ms at first, later delays up to 0.2 ms late: 5 ms, doubled seven times.
    let of = |name| measured(name).policy.delay_s.value().expect("a delay");
    assert!(
        near(Some(of("fixed-delay").first), 0.5005) && of("fixed-delay").longest == of("fixed-delay").first
    );
    let backoff = of("backoff");
    assert!((backoff.first - 0.005).abs() < 0.0001 && near(Some(backoff.longest), 0.6401), "{backoff:?}");
    assert!((of("storm").longest - 0.299).abs() < 0.001, "{:?}", of("storm"));
    for (name, first_s, longest_s) in [("fixed-delay", 0.46, 0.54), ("backoff", 0.005, 0.6)] {
        assert_eq!(judged(name, first_s, longest_s), None, "{name}");
    }
    for (name, first_s, longest_s) in [
        ("fixed-delay", 0.44, 0.44),
        ("fixed-delay", 0.5, 1.0),
        ("backoff", 0.05, 0.64),
        ("backoff", 0.64, 0.64),
    ] {
        assert!(
            matches!(judged(name, first_s, longest_s), Some(Observed::Delay(_))),
            "{name} {first_s} {longest_s}"
        );
    }
    assert_eq!(judged("spin", 1.0, 1.0), Some(Observed::NoPauses(Policy::Spin)));
    assert!(matches!(judged("unclear", 1.0, 1.0), Some(Observed::NotMeasured(_))));
}

/// Idle connections are closed, so that after its delay it accepts for 0.2 s, then for 0.5 s, before it fails again.
#[test]
fn a_delay_lasts_until_the_next_try_and_not_until_the_next_failure() {
    let (plan, log) = recorded("fixed-delay");
    let (third, fourth) = (1_043_500_000, 1_544_000_000);
    let later = |at| {
        if at >= fourth {
            700_000_000
        } else if at >= third {
            200_000_000
        } else {
            0
        }
    };
    let mut events: Vec<Event> =
        log.events.into_iter().map(|e| Event { at: e.at + later(e.at), ..e }).collect();
    for (fd, closed, taken) in [(8, 1_000_000_000, third), (9, 1_600_000_000, fourth + 200_000_000)] {
        events.push(Event { at: closed, is: What::Close { pid: 100, fd } });
        events.push(Event { at: taken, is: What::Call { pid: 100, name: Call::Accept4, ret: fd.into() } });
    }
    let policy = measure::measure(&plan, &Log::new(events)).policy;
    assert!(
        policy.retry_gaps_s.windows(2).all(|w| w[1] > w[0] * 1.3),
        "from failure to failure it grows: {:?}",
        policy.retry_gaps_s
    );
    assert_eq!(policy.policy.value(), Some(Policy::FixedDelay), "{:?}", policy.evidence);
    assert!(near(policy.delay_s.value().map(|d| d.longest), 0.5005), "{:?}", policy.delay_s);
}

/// The first connection it held is closed after half a second, the next one soon after it, and so on; whoever waited comes in.
#[test]
fn a_server_that_closes_idle_connections_sheds_nobody() {
    let (mut plan, log) = recorded("spin");
    // Its clients ask nothing: whether they were looked at is seen by nothing but the server's own calls.
    plan.workloads.get_mut("flood").unwrap().kind = Some(lastfd::internal::scenario::Dialogue::Tcp);
    let served = |what: &What| matches!(what, What::Client { state: Client::Served, .. });
    let mut events: Vec<Event> =
        log.events.into_iter().filter(|e| e.at > 1_400_000_000 || !served(&e.is)).collect();
    for i in 0..4u32 {
        let at = 540_000_000 + u64::from(i) * 10_000_000;
        let (call, client) = (
            |name, ret| What::Call { pid: 100, name, ret },
            |id, state| What::Client { workload: "flood".into(), id, state },
        );
        events.extend([
            Event { at, is: What::Close { pid: 100, fd: 8 + i as i32 } },
            Event { at: at + 100_000, is: client(i, Client::Closed) },
            Event { at: at + 200_000, is: call(Call::Accept4, i64::from(8 + i)) },
            Event { at: at + 300_000_000, is: What::Close { pid: 100, fd: 8 + i as i32 } },
            Event { at: at + 300_100_000, is: client(8 + i, Client::Closed) },
        ]);
    }
    let m = measure::measure(&plan, &Log::new(events));
    assert_eq!(m.policy.policy.value(), Some(Policy::Spin), "{:?}", m.policy.evidence);
    let evidence = m.policy.evidence.get().unwrap();
    assert!(matches!(evidence, PolicyEvidence::Rhythm { held_closed: 4, .. }), "{evidence:?}");
}

#[test]
fn waiters_that_are_turned_away_when_places_are_free_are_counted() {
    let (plan, mut log) = recorded("spin");
    let release = log.events.iter().find(|e| e.is == What::Phase(Phase::ReleaseSome)).expect("a release").at;
    assert_eq!(measured("spin").recovery.waiters_turned_away, None);
    let told = Client::ErrorReply("HTTP 503".into());
    log.events
        .push(Event { at: release + 1, is: What::Client { workload: "flood".into(), id: 11, state: told } });
    assert_eq!(measure::measure(&plan, &Log::new(log.events)).recovery.waiters_turned_away, Some(1));
}

/// What floods the observer after clients left says nothing of the failures before: those were all seen.
#[test]
fn a_storm_whose_pauses_differ_is_one_also_when_it_floods_later() {
    let (plan, log) = recorded("storm");
    let failed = |e: &&Event| matches!(e.is, What::Call { ret: -24, .. });
    let at: Vec<u64> = log.events.iter().filter(failed).map(|e| e.at).collect();
    let third = at[32];
    let mut events = log.events;
    events
        .iter_mut()
        .filter(|e| failed(&&**e) && (third..third + 100_000_000).contains(&e.at))
        .for_each(|e| e.at += 120_000_000);
    let of = |at| {
        let all = events.iter().cloned().chain([Event { at, is: What::SamplingStopped }]).collect();
        measure::measure(&plan, &Log::new(all)).policy.policy.value()
    };
    let released = events
        .iter()
        .find(|e| matches!(e.is, What::Phase(Phase::ReleaseSome | Phase::ReleaseAll)))
        .expect("a release")
        .at;
    assert_eq!(of(released + 1), Some(Policy::Storm));
    assert_ne!(of(third), Some(Policy::Storm), "the gaps may be the observer's");
}

/// A TLS proxy, recorded: a place that a failed client freed is given away before the pause that follows is over.
#[test]
fn a_pause_that_ends_in_an_accept_does_not_hide_the_constant_ones() {
    let (plan, log) = recorded("fixed-delay");
    let call = |at, ret| Event { at, is: What::Call { pid: 100, name: Call::Accept4, ret } };
    let mut events: Vec<Event> = log
        .events
        .into_iter()
        .filter(|e| !matches!(e.is, What::Call { ret: -24, .. } if e.at > 50_000_000))
        .collect();
    events.extend([Event { at: 100_000_000, is: What::Close { pid: 100, fd: 8 } }, call(560_000_000, 8)]);
    events.extend([590, 890, 1190, 1490].map(|ms| call(ms * 1_000_000, -24)));
    let of = |events: &[Event]| measure::measure(&plan, &Log::new(events.to_vec())).policy;
    let delay = of(&events);
    assert_eq!(delay.policy.value(), Some(Policy::FixedDelay), "{:?}", delay.evidence);
    let PolicyEvidence::Rhythm { rhythm: Rhythm::Fixed { gap_s, gaps: 3 }, .. } =
        delay.evidence.get().unwrap()
    else {
        panic!("{:?}", delay.evidence)
    };
    assert!((gap_s - 0.3).abs() < 0.0005, "{gap_s}");
    events.retain(|e| !(600_000_000..1_700_000_000).contains(&e.at));
    assert_eq!(of(&events).policy.value(), Some(Policy::Unclear), "one pause is no pattern");
}

/// Each of its connections needs a second descriptor, and three that did not get theirs are closed; two hundred wait all the same.
#[test]
fn a_server_that_leaves_hundreds_waiting_sheds_nobody() {
    let (plan, log) = recorded("sheds");
    let policy = |waiting: u32| {
        let mut events = log.events.clone();
        let client =
            |id, state| Event { at: 49_000_000, is: What::Client { workload: "flood".into(), id, state } };
        events.extend((100..100 + waiting).map(|id| client(id, Client::Connected)));
        measure::measure(&plan, &Log::new(events)).policy.policy.value()
    };
    assert_eq!(policy(30), Some(Policy::Sheds));
    assert_ne!(policy(200), Some(Policy::Sheds));
}

/// The JVM: of the socket pair that it makes with its first client it keeps one end.
#[test]
fn a_pipe_whose_one_end_is_closed_costs_one_descriptor() {
    let (plan, log) = recorded("not-reached");
    let ramp = log.events.iter().find(|e| e.is == What::Phase(Phase::Ramp)).expect("a ramp").at;
    let mut events = log.events;
    for event in events.iter_mut().filter(|e| e.at > ramp) {
        if let What::Sample { descriptors, .. } = &mut event.is {
            *descriptors += 1;
        }
    }
    events.extend([
        Event { at: ramp, is: What::Call { pid: 100, name: Call::Socketpair, ret: 0 } },
        Event { at: ramp + 1, is: What::Close { pid: 100, fd: 400 } },
    ]);
    let m = measure::measure(&plan, &Log::new(events));
    assert_eq!(
        (m.witnesses.agreement.value(), m.ceiling.others),
        (Some(true), Some(1)),
        "{:?}",
        m.witnesses.notes
    );
}

#[test]
fn an_accept_loop_that_lets_go_of_its_listener_is_dead_and_sheds_nobody() {
    let (plan, log) = recorded("dead");
    let released = log.events.iter().find(|e| e.is == What::Phase(Phase::ReleaseSome)).unwrap().at;
    let waiting: Vec<u32> = (8..12).collect();
    let mut events: Vec<Event> =
        log.events.into_iter().filter(|e| !matches!(e.is, What::Probe { .. })).collect();
    events.extend(waiting.iter().map(|&id| Event {
        at: 60_000_000,
        is: What::Client { workload: "flood".into(), id, state: Client::Closed },
    }));
    let probe = |at, outcome| Event {
        at,
        is: What::Probe {
            workload: "flood".into(),
            label: "saturated".into(),
            outcome,
            detail: String::new(),
            connect_s: None,
            answer_s: None,
        },
    };
    let of = |outcome| {
        let all = events.iter().cloned().chain([probe(released - 1_000_000, outcome)]);
        measure::measure(&plan, &Log::new(all.collect())).policy
    };
    let refused = of(Got::Refused);
    assert_eq!(refused.policy.value(), Some(Policy::AcceptLoopDead), "{:?}", refused.evidence);
    assert_eq!(refused.evidence.get(), Some(&PolicyEvidence::ListenerClosed { reset: 4 }));
    assert_ne!(of(Got::Waits).policy.value(), Some(Policy::Sheds), "nobody was accepted, so nobody was shed");
}

#[test]
fn a_process_that_is_started_by_somebody_else_takes_nobodys_place() {
    let (plan, log) = recorded("worker-restarts");
    let with_parent = |parent: i32| {
        let events = log.events.iter().cloned().map(|mut event| {
            if let What::Process { parent: of, change: Change::Fork, .. } = &mut event.is {
                *of = parent;
            }
            event
        });
        measure::measure(&plan, &Log::new(events.collect())).policy.policy.value()
    };
    assert_eq!(with_parent(100), Some(Policy::WorkerRestarts), "of the master");
    assert_eq!(with_parent(50), Some(Policy::Exits), "of the harness");
}

#[test]
fn a_server_behind_a_saturated_relay_is_not_said_to_limit_itself() {
    let (mut plan, log) = recorded("own-limit");
    // The same clients, but of another process: the subject took five of them, and never saw the others.
    plan.workloads.get_mut("flood").unwrap().to = "relay".into();
    let mut relay = plan.processes["server"].clone();
    relay.program = lastfd::internal::scenario::Program::Command(vec![
        "relay".into(),
        "--to".into(),
        "{server.port}".into(),
    ]);
    plan.processes.insert("relay".into(), relay);
    let five = |e: &Event| !matches!(e.is, What::Call { ret: 13, .. } | What::Close { fd: 13, .. });
    let behind = Log::new(log.events.iter().filter(|e| five(e)).cloned().collect());
    let m = measure::measure(&plan, &behind);
    assert_eq!((m.ceiling.kind.value(), m.policy.policy.value()), (None, None));
    let behind = |doubt: &Doubt| matches!(doubt, Doubt::Ceiling(Why::BehindAnother { .. }));
    assert!(m.doubts.iter().any(behind), "{:?}", m.doubts);
    // Turned away by the subject itself, through the relay.
    assert_eq!(measure::measure(&plan, &log).policy.policy.value(), Some(Policy::LimitsItself));
}

#[test]
fn a_rate_is_of_the_whole_watch_also_when_few_calls_fail() {
    let m = measured("dead");
    assert!(
        m.costs.failures_per_s.value().unwrap() < 2.0,
        "one in a second: {:?}",
        m.costs.failures_per_s.value()
    );
}

#[test]
fn what_stays_open_after_all_left_is_a_leak() {
    assert_eq!(measured("leak").recovery.leaked.value(), Some(3));
    let reasons = report("leak").verdict.reasons;
    assert_eq!(reasons.len(), 1);
    assert_eq!((&reasons[0].expectation, &reasons[0].observed), (&Expectation::Leaked, &Observed::Leaked(3)));
}

#[test]
fn a_failure_before_the_first_client_is_shown_with_its_reason() {
    let early = measured("early");
    let first = early.ceiling.first_failure.get().unwrap();
    assert_eq!((first.call, first.accepted_before), (Call::Openat, 0));
    assert!(first.reason.is_some());
}

#[test]
fn who_waits_in_the_ramp_and_is_dismissed_then_is_not_in_the_queue_at_the_wall() {
    let (plan, mut log) = recorded("sheds");
    let phase = |of: Phase| log.events.iter().find(|e| e.is == What::Phase(of)).expect("a phase").at;
    let (first, saturate) = (
        measure::measure(&plan, &log).ceiling.first_failure.get().expect("a failure").at_s,
        phase(Phase::Saturate),
    );
    let at = saturate - 1;
    assert!(at as f64 / 1e9 > first, "the ramp went on after the first failure");
    log.events.push(Event {
        at,
        is: What::Sample { pid: 100, descriptors: 16, queue: Some(77), cpu_s: 0.0, log_bytes: 0 },
    });
    log.events.sort_by_key(|e| e.at);
    let sockets = measure::measure(&plan, &Log::new(log.events)).sockets;
    let queue = sockets.accept_queue.get().expect("a queue");
    assert!(queue.length < 77 && queue.most == Some(77), "{queue:?}");
}

/// gRPC's C core takes as many as fit, once a second, of thousands that are gone: that is slow, and not dead.
#[test]
fn a_server_that_is_stuck_behind_a_queue_of_those_who_are_gone_is_seen_to_work_it_off() {
    let (plan, mut log) = recorded("three-answers");
    let at = log.events.iter().find(|e| e.is == What::Phase(Phase::ReleaseAll)).expect("a release").at;
    log.events.iter_mut().for_each(|e| {
        if let What::Probe { label, outcome, .. } = &mut e.is
            && label == "after-all"
        {
            *outcome = Got::Waits;
        }
    });
    log.events.retain(|e| e.at <= at || !matches!(e.is, What::Call { .. }));
    let stuck = measure::measure(&plan, &Log::new(log.events.clone()));
    assert_eq!(stuck.recovery.recovered.value(), Some(false));
    let end = stuck.end.get().expect("an end");
    assert_eq!(
        (end.verdict, &end.evidence),
        (measure::Verdict::Stuck, &VerdictEvidence::NobodyServed { meanwhile: None })
    );
    let taken = (1..4)
        .map(|i| Event { at: at + i, is: What::Call { pid: 100, name: Call::Accept4, ret: 8 + i as i64 } });
    log.events.extend(taken);
    log.events.sort_by_key(|e| e.at);
    let slow = measure::measure(&plan, &Log::new(log.events)).end;
    let evidence = &slow.get().expect("an end").evidence;
    assert!(matches!(evidence, VerdictEvidence::NobodyServed { meanwhile: Some((3, _)) }), "{evidence:?}");
}

/// ngircd makes a pipe for each connection that asks for its name to be looked up: with an odd number left that fails first.
#[test]
fn a_loop_that_spins_in_accept_is_told_so_also_where_another_call_failed_first() {
    let (plan, mut log) = recorded("spin");
    let fails = |e: &Event| matches!(e.is, What::Call { name: Call::Accept4, ret, .. } if ret < 0);
    let first = log.events.iter().find(|e| fails(e)).expect("a failure").clone();
    let What::Call { pid, ret, .. } = first.is else { unreachable!() };
    log.events.push(Event { at: first.at - 1000, is: What::Call { pid, name: Call::Pipe2, ret } });
    let m = measure::measure(&plan, &Log::new(log.events));
    assert_eq!(
        (m.ceiling.first_failure.get().expect("a failure").call, m.policy.policy.value()),
        (Call::Pipe2, Some(Policy::Spin))
    );
    let evidence = m.policy.evidence.get().expect("an evidence");
    assert!(matches!(evidence, PolicyEvidence::Rhythm { call: Call::Accept4, .. }), "{evidence:?}");
}

#[test]
fn lost_samples_make_the_count_inconclusive_unless_proc_confirms_it() {
    let (plan, log) = recorded("spin");
    let mut events = log.events;
    events.push(Event { at: 39_000_000, is: What::Lost { samples: 2 } });
    let confirmed = measure::measure(&plan, &Log::new(events.clone()));
    assert_eq!(confirmed.ceiling.accepted.value(), Some(8), "/proc counts 16 − 8");
    events.retain(|e| e.is != What::Call { pid: 100, name: Call::Accept4, ret: 10 } || e.at > 100_000_000);
    let doubtful = measure::measure(&plan, &Log::new(events));
    assert_eq!(doubtful.ceiling.accepted.value(), None);
}

#[test]
fn accepts_that_failed_unseen_by_all_but_the_counters_are_no_limit_of_the_servers_own() {
    let (plan, log) = recorded("spin");
    let events: Vec<Event> =
        log.events.into_iter().filter(|e| !matches!(e.is, What::Call { ret: -24, .. })).collect();
    let m = measure::measure(&plan, &Log::new(events.clone()));
    assert_eq!((m.ceiling.kind.value(), m.policy.policy.value()), (None, None));
    let unseen = |doubt: &Doubt| matches!(doubt, Doubt::Ceiling(Why::FailedUnseen { .. }));
    assert!(m.doubts.iter().any(unseen), "{:?}", m.doubts);
    let none = events.into_iter().filter(|e| !matches!(e.is, What::Failures { .. }));
    assert_eq!(measure::measure(&plan, &Log::new(none.collect())).ceiling.kind.value(), Some(Kind::OwnLimit));
}

#[test]
fn a_log_that_was_cut_is_inconclusive_and_a_foreign_file_is_refused() {
    let report = report("truncated");
    let cut = Observed::Doubt(Doubt::LogCut);
    assert!(report.verdict.reasons.iter().any(|reason| reason.observed == cut), "{:?}", report.verdict);
    assert_eq!(report.found.ceiling.accepted.value(), Some(8), "what was seen before is still shown");
    let dir = tempfile::tempdir().unwrap();
    for text in ["", "not a log\n", "{\"at\":0,\"is\":\"end\"}\n", "{\"at\":0,\"is\":{\"hea"] {
        let file = dir.path().join("events.jsonl");
        std::fs::write(&file, text).unwrap();
        let called = lastfd(&["replay", file.to_str().unwrap()]);
        assert_eq!(called.code, Some(3), "{text:?}: {called:?}");
    }
}

#[test]
fn replay_writes_the_report_and_exits_by_its_verdict() {
    let dir = tempfile::tempdir().unwrap();
    let json = dir.path().join("report.json");
    for (name, exit) in [("spin", 0), ("leak", 1), ("truncated", 5)] {
        let called = lastfd(&["replay", path(name).to_str().unwrap(), "--json", json.to_str().unwrap()]);
        assert_eq!(called.code, Some(exit), "{called:?}");
        let read: Value = serde_json::from_str(&std::fs::read_to_string(&json).unwrap()).unwrap();
        assert_eq!(read["runs"], Value::Array(vec![report::json::run(&report(name))]));
    }
}

#[test]
fn terminal_reports_tell_the_story_in_a_hundred_columns() {
    for name in [
        "spin",
        "own-limit",
        "threads",
        "workers",
        "conflict",
        "generator",
        "leak",
        "not-reached",
        "died",
        "truncated",
        "calls-client",
        "three-answers",
    ] {
        let text = report::terminal::render(&[report(name)], false, 100);
        assert!(text.lines().all(|l| l.chars().count() <= 100), "{text}");
        assert!(!text.contains('\u{1b}'));
        insta::assert_snapshot!(name, text);
    }
    assert!(report::terminal::render(&[report("spin")], true, 100).contains('\u{1b}'));
    let narrow = report::terminal::render(&[report("spin")], false, 60);
    assert!(narrow.lines().all(|l| l.chars().count() <= 60), "{narrow}");
}

#[test]
fn junit_and_markdown_have_one_entry_a_run() {
    let mut reports = vec![report("spin"), report("leak"), report("generator")];
    let (mut plan, _) = recorded("spin");
    plan.scenario = "supervised".into();
    reports.push(Report::skipped(&plan, judge::Verdict::skipped("supervisord", "not installed")));
    let junit = report::junit::render(&reports);
    for (tag, count) in [("<testcase", 4), ("<failure", 1), ("<error", 1), ("<skipped", 1)] {
        assert_eq!(junit.matches(tag).count(), count, "{tag} in {junit}");
    }
    let markdown = report::markdown::render(&reports);
    assert_eq!(markdown.lines().filter(|l| l.starts_with('|')).count(), 2 + 4);
}

#[test]
fn a_formula_that_overflows_in_a_run_leaves_the_verdict_open() {
    let (mut plan, log) = recorded("spin");
    plan.expect.ceiling = Some(lastfd::internal::scenario::Ceiling::Formula("soft * 1e30".into()));
    let report = Report::of(&plan, &log);
    assert_eq!(report.verdict.outcome, Outcome::Inconclusive);
    let said = report::words::judged::observed(&report.verdict.reasons[0]);
    assert!(said.contains("`soft * 1e30` is more than 2^31") && said.contains("soft 16"), "{said}");
}

/// Recorded runs as the variants of one scenario.
fn remedies() -> Vec<Report> {
    let as_variant = |name: &str, variant: Option<&str>, believed: Option<&str>| {
        let (mut plan, log) = recorded(name);
        (plan.scenario, plan.variant, plan.believed) =
            ("push".into(), variant.map(Into::into), believed.map(Into::into));
        Report::of(&plan, &log)
    };
    let mut reports = vec![
        as_variant("spin", None, Some("`ulimit -n` says 65535, so the limit cannot be it")),
        as_variant("backoff", Some("no_keep_alive"), Some("connections that are closed sooner leave room")),
        as_variant("own-limit", Some("another server"), None),
        as_variant("threads", Some("more threads"), None),
        as_variant("not-reached", Some("limit raised"), Some("more descriptors only hide a leak")),
        as_variant("generator", Some("more clients"), None),
    ];
    let (mut plan, _) = recorded("spin");
    (plan.scenario, plan.variant) = ("push".into(), Some("nginx in front".into()));
    reports.push(Report::skipped(&plan, judge::Verdict::skipped("nginx", "no such program in PATH")));
    reports
}

#[test]
fn a_remedy_table_says_what_was_believed_and_what_became_of_the_ceiling() {
    let reports = remedies();
    let tables = report::remedies::tables(&reports);
    let cured: Vec<_> = tables[0].rows.iter().map(|row| (row.cured, row.ceiling)).collect();
    // 8 of 16 numbers are taken at rest; own-limit stops at 5; 4 threads under 20 end at 14; skips and generators tell nothing.
    let no = Some(false);
    assert_eq!(
        cured,
        [
            (None, Some(8)),
            (no, Some(8)),
            (no, Some(5)),
            (no, Some(14)),
            (Some(true), None),
            (None, None),
            (None, None)
        ]
    );
    let text = report::tables::remedies(&tables, false, 100);
    insta::assert_snapshot!("remedies", text);
    for width in [80, 100] {
        let text = report::tables::remedies(&tables, false, width);
        assert!(text.lines().all(|l| l.chars().count() <= width), "{text}");
    }
    let markdown = report::markdown::render(&reports);
    assert!(
        markdown.contains("| nginx in front | – | – | – | – | skipped: `nginx`: no such program in PATH |"),
        "{markdown}"
    );
    let json: Value = serde_json::from_str(&report::json::render(&reports)).unwrap();
    assert_eq!(json["remedies"][0]["rows"][4]["cured"], true, "{json:#}");
    assert!(
        serde_json::from_str::<Value>(&report::json::render(&reports[..1]))
            .unwrap()
            .get("remedies")
            .is_none()
    );
}

#[test]
fn a_subject_that_is_a_client_has_calls_in_place_of_accepted() {
    let (mut plan, log) = recorded("spin");
    plan.workloads.clear();
    plan.expect = Default::default();
    plan.expect.ceiling = Some(lastfd::internal::scenario::Ceiling::Exactly(4));
    plan.expect.first_failure = Some(lastfd::internal::scenario::FirstFailure {
        call: Call::Socket,
        or: Vec::new(),
        errno: "EMFILE".into(),
    });
    let mut events: Vec<Event> = log.events.into_iter().filter(|e| e.at <= 30_000_000).collect();
    let calls = [9, 10, 11, 12, -24, -24].iter().enumerate();
    events.extend(calls.map(|(i, ret)| Event {
        at: 31_000_000 + i as u64 * 1000,
        is: What::Call { pid: 100, name: Call::Socket, ret: *ret },
    }));
    events.push(Event { at: 50_000_000, is: What::OwnCount { pid: 100, before_first_emfile: 4, total: 4 } });
    events.push(Event { at: 60_000_000, is: What::End });
    let report = Report::of(&plan, &Log::new(events));
    assert_eq!(
        (
            report.verdict.outcome,
            report.found.ceiling.calls_answered(),
            report.found.ceiling.accepted.value()
        ),
        (Outcome::Met, Some(4), None),
        "{:?}",
        report.verdict
    );
}

#[test]
fn a_subject_that_calls_is_counted_in_the_calls_that_were_answered_before_its_first_failure() {
    let m = measured("calls-client");
    assert_eq!(
        (
            m.ceiling.calls_answered(),
            m.ceiling.kind.value(),
            m.ceiling.accepted.value(),
            m.ceiling.connected.value()
        ),
        (Some(8), Some(Kind::Emfile), None, None)
    );
    assert_eq!(m.policy.policy.why(), Some(&Why::AcceptsNobody));
    let calls = &m.calls[0];
    assert_eq!(
        (calls.started, calls.completed, calls.completed_before_first_failure.value()),
        (12, 8, Some(8))
    );
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
    let (plan, log) = recorded("calls-client");
    let mut events = log.events;
    let pacing =
        |at: u64, state| Event { at, is: What::Pacing { workload: "fetch".into(), state, connected: 0 } };
    // Between the third call's end and 34 ms nobody had ordered the fourth.
    events.extend([
        pacing(30_500_000, Pacing::Ramping),
        pacing(33_600_000, Pacing::Done),
        pacing(34_000_000, Pacing::Ramping),
    ]);
    let m = measure::measure(&plan, &Log::new(events));
    assert!(
        near(m.calls[0].per_s.value(), (8.0f64 / 0.0076 * 1e3).round() / 1e3),
        "8 in 8 − 0.4 ms: {:?}",
        m.calls[0].per_s
    );
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
fn calls_that_are_answered_and_leave_are_not_shed() {
    let (plan, log) = recorded("three-answers");
    let mut events = log.events;
    let (mut bare, began) = (Vec::new(), 1_110_000_000);
    for i in 0..4 {
        let at = began + u64::from(i) * 10_000_000;
        let call = |name, ret| What::Call { pid: 100, name, ret };
        bare.extend([
            Event { at, is: call(Call::Accept4, 16) },
            Event { at: at + 2_000_000, is: What::Close { pid: 100, fd: 16 } },
        ]);
        let ended = What::CallEnded {
            workload: "service-a".into(),
            id: 10 + i,
            outcome: Some(Got::Served),
            step: None,
            errno: None,
            connect_s: Some(0.0001),
            took_s: 0.0015,
            handshakes: 0,
        };
        events.push(Event { at: at + 1_000_000, is: ended });
    }
    events.extend(bare.clone());
    assert_eq!(measure::measure(&plan, &Log::new(events)).policy.policy.value(), Some(Policy::Spin));
    let (plan, log) = recorded("spin");
    let mut unexplained: Vec<Event> = log.events.into_iter().chain(bare).collect();
    assert_eq!(
        measure::measure(&plan, &Log::new(unexplained.clone())).policy.policy.value(),
        Some(Policy::Sheds),
        "nobody had left"
    );
    let (address, new_client) = ("127.0.0.1:9001".into(), Some(Got::Served));
    unexplained.push(Event {
        at: began - 1,
        is: What::OtherListener { address, queue: 0, capacity: 5, drops: None, new_client },
    });
    let asked_elsewhere = measure::measure(&plan, &Log::new(unexplained)).policy;
    assert_eq!(asked_elsewhere.policy.value(), Some(Policy::Spin), "{:?}", asked_elsewhere.evidence);
}

#[test]
fn a_relay_that_is_called_is_counted_in_calls_and_a_driver_that_runs_out_is_the_generator() {
    let (mut plan, log) = recorded("calls-client");
    // The same calls, made by the harness to the subject: a service that leaks one descriptor for each.
    let fetch = plan.workloads.get_mut("fetch").unwrap();
    fetch.to = plan.subject.clone();
    fetch.calls.as_mut().unwrap().caller = lastfd::internal::scenario::Caller::HttpPerCall;
    plan.processes.get_mut("stats").unwrap().program =
        lastfd::internal::scenario::Program::Command(vec!["stats".into()]);
    let m = measure::measure(&plan, &log);
    assert_eq!((m.ceiling.calls_answered(), m.ceiling.kind.value()), (Some(8), Some(Kind::Emfile)));
    let events: Vec<Event> =
        log.events.into_iter().filter(|e| !matches!(e.is, What::Call { ret: -24, .. })).collect();
    let m = measure::measure(&plan, &Log::new(events.clone()));
    assert_eq!((m.ceiling.kind.value(), m.ceiling.calls_answered()), (Some(Kind::Generator), Some(8)));
    assert!(matches!(m.doubts[0], Doubt::Generator { errno: 24, .. }), "{:?}", m.doubts);
    // Refused, all of them: that says nothing of the subject's descriptors.
    let refused = events.into_iter().map(|mut event| {
        if let What::CallEnded { outcome, step, .. } = &mut event.is {
            (*outcome, *step) = (Some(Got::Refused), Some(CallStep::Connect));
        }
        event
    });
    let m = measure::measure(&plan, &Log::new(refused.collect()));
    assert_eq!(m.ceiling.kind.value(), None);
    let Doubt::Ceiling(Why::NoCallAnswered { mostly: Some(mostly), .. }) = &m.doubts[0] else {
        panic!("{:?}", m.doubts)
    };
    assert_eq!(mostly.outcome, Some(Got::Refused));
}

#[test]
fn ten_million_failures_are_totals_and_a_long_log_is_read_in_one_go() {
    let (plan, log) = recorded("spin");
    let mut events: Vec<Event> = log
        .events
        .into_iter()
        .filter(|e| !matches!(e.is, What::Failures { .. } | What::SamplingStopped))
        .collect();
    let failure = |i: u64| Event {
        at: 46_000_001 + i * 2_000,
        is: What::Call { pid: 100, name: Call::Accept4, ret: -24 },
    };
    events.extend((0..400_000).map(failure));
    events.push(Event { at: 1_040_000_000, is: What::Failures { name: Call::Accept4, total: 10_000_000 } });
    let m = measure::measure(&plan, &Log::new(events));
    assert_eq!((m.ceiling.accepted.value(), m.policy.policy.value()), (Some(8), Some(Policy::Spin)));
    assert!(near(m.costs.failures_per_s.value(), 10_000_000.0), "{:?}", m.costs.failures_per_s.value());
    assert!(m.series.len() <= 200 && m.policy.retry_gaps_s.len() == 20);
}

/// The subject's sockets, the port's and the namespace's are three counts; one that goes on while clients leave is of no moment.
#[test]
fn sockets_by_state_are_those_of_the_last_whole_count_before_clients_leave() {
    let (plan, log) = recorded("spin");
    let released = log
        .events
        .iter()
        .find(|e| matches!(e.is, What::Phase(Phase::ReleaseSome | Phase::ReleaseAll)))
        .expect("a release")
        .at;
    let states = |held: u64| std::collections::BTreeMap::from([("ESTABLISHED".to_owned(), held)]);
    let count = |at, held, took| Event {
        at,
        is: What::Tcp {
            states: states(held + 16),
            listen_overflows: 3,
            subject: Some(states(held)),
            namespace: Some([("TIME_WAIT".to_owned(), 3400)].into()),
            descriptors: Some(held + 8),
            took,
        },
    };
    let mut events = log.events.clone();
    events.extend([
        count(released - 20_000_000, 8, 1_000_000),
        count(released - 10_000_000, 5, 11_000_000),
        count(released + 1, 2, 5),
    ]);
    events.push(Event { at: released - 1, is: What::FileNr { allocated: 1234, max: 5678 } });
    let report = Report::of(&plan, &Log::new(events));
    let s = &report.found.sockets;
    assert_eq!((s.tcp_states.get(), s.tcp_port.get()), (Some(&states(8)), Some(&states(24))));
    assert_eq!(s.tcp_namespace.get().and_then(|all| all.get("TIME_WAIT")), Some(&3400));
    assert_eq!(
        report.found.tcp.iter().map(|point| point.descriptors.value()).collect::<Vec<_>>(),
        [Some(16), Some(13), Some(10)]
    );
    let text = report::terminal::render_full(std::slice::from_ref(&report), false, 100)
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    assert!(
        text.contains(
            "It holds 8 ESTABLISHED, 0 CLOSE_WAIT; in the whole namespace 3400 in TIME_WAIT hold no descriptor."
        ),
        "{text}"
    );
    let files = s.file_nr.value().expect("read");
    assert_eq!((files.allocated, files.max), (1234, 5678));
    let without = measure::measure(&plan, &log);
    assert_eq!(without.sockets.tcp_states.why(), Some(&Why::SocketsNotListed), "a log without them says so");
}

/// What a run of a program with a ring leaves where only its system calls are seen: everything but its accepts.
fn accepts_unseen() -> (Plan, Vec<Event>) {
    let (plan, log) = recorded("spin");
    let mut events = log.events;
    events.retain(|e| {
        !matches!(&e.is, What::Call { name, .. } if name.accepts())
            && !matches!(e.is, What::Failures { .. } | What::OwnCount { .. })
    });
    for event in &mut events {
        if let What::Baseline { inventory, .. } = &mut event.is {
            inventory.push(event::Descriptor { fd: 7, kind: "io_uring".into(), detail: String::new() });
        }
    }
    (plan, events)
}

/// Neither the observer nor a client that asks nothing knows who was accepted.
#[test]
fn where_accepts_pass_by_and_clients_ask_nothing_what_became_of_them_is_null_and_not_zero() {
    let (mut plan, mut events) = accepts_unseen();
    plan.workloads.get_mut("flood").unwrap().kind = Some(lastfd::internal::scenario::Dialogue::Tcp);
    events.retain(|e| !matches!(e.is, What::Client { state: Client::Served, .. }));
    for event in &mut events {
        if let What::Probe { outcome, .. } = &mut event.is {
            *outcome = Got::Waits;
        }
    }
    let report = Report::of(&plan, &Log::new(events.clone()));
    let (f, r) = (&report.found, &report.found.recovery);
    assert_eq!(
        (r.recovered.value(), r.new_client_served_s.value(), r.waiters.value(), r.waiters_served.value()),
        (None, None, None, None)
    );
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
    assert_eq!(
        (
            report.found.ceiling.accepted.value(),
            report.found.ceiling.reached.value(),
            report.found.ceiling.kind.value()
        ),
        (Some(8), Some(true), None)
    );
    assert_eq!(report.found.policy.policy.value(), None);
    assert_eq!(report.found.ceiling.first_failure.why(), Some(&Why::AcceptsPassBy));
    assert_eq!(
        report.verdict.outcome,
        Outcome::Inconclusive,
        "the scenario asks for a first failure: {:?}",
        report.verdict.reasons
    );
    (plan.expect.first_failure, plan.expect.policy) = (None, None);
    assert_eq!(
        Report::of(&plan, &Log::new(events.clone())).verdict.outcome,
        Outcome::Met,
        "what it holds is known"
    );
    // With an observer that sees them none of this is so: there was no accept.
    let seen = events
        .iter_mut()
        .find_map(|e| if let What::Observer { io_uring, .. } = &mut e.is { Some(io_uring) } else { None });
    *seen.expect("observed") = true;
    let blind = measure::measure(&plan, &Log::new(events));
    assert_eq!(blind.ceiling.accepted.why(), Some(&Why::BlindByCount { descriptors: 16, rest: 8 }));
}

#[test]
fn clients_that_wait_for_a_full_worker_while_another_has_room_are_pointed_out() {
    let (plan, mut log) = recorded("spin");
    let released = log
        .events
        .iter()
        .find(|e| matches!(e.is, What::Phase(Phase::ReleaseSome | Phase::ReleaseAll)))
        .expect("a release")
        .at;
    let queue = |pid, length, room| event::Queue { pid, length, capacity: 5, room };
    log.events.push(Event { at: released - 1, is: What::Queues(vec![queue(100, 4, 0), queue(101, 0, 3)]) });
    let text = report::terminal::render_full(&[Report::of(&plan, &log)], false, 100)
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    assert!(
        text.contains("4 clients wait for process 100, which is full, while process 101 has room for 3."),
        "{text}"
    );
}

#[test]
fn file_max_binds_when_the_host_has_no_file_left() {
    let (mut plan, log) = recorded("spin");
    let verdict = |plan: &Plan, files: Option<(u64, u64)>| {
        let mut events = log.events.clone();
        events.extend(
            files.map(|(allocated, max)| Event { at: 60_000_000, is: What::FileNr { allocated, max } }),
        );
        Report::of(plan, &Log::new(events)).verdict.outcome
    };
    for (binds, files, outcome) in [
        (false, Some((100, 101)), Outcome::Met),
        (true, Some((100, 101)), Outcome::NotMet),
        (true, Some((101, 101)), Outcome::Met),
        (false, Some((101, 101)), Outcome::NotMet),
        (false, None, Outcome::Inconclusive),
    ] {
        plan.expect.file_max_binds = Some(binds);
        assert_eq!(verdict(&plan, files), outcome, "{binds} {files:?}");
    }
}

#[test]
fn a_run_that_never_started_gives_its_cause_as_the_reason_for_everything() {
    let reports = super::support::recordings().iter().map(|(_, plan, log)| Report::of(plan, log));
    let refused: Vec<Report> = reports.filter(|report| report.found.not_started.is_some()).collect();
    assert!(!refused.is_empty());
    for report in refused {
        let cause = format!(
            "the subject did not start: {}",
            report.found.not_started.as_ref().expect("it says").reason
        );
        let value = report::json::run(&report);
        let reasons = value["unmeasured"].as_object().expect("reasons");
        for (field, reason) in reasons.iter().filter(|(field, _)| *field != "variant") {
            assert_eq!(reason.as_str(), Some(cause.as_str()), "{field}");
        }
    }
}

/// Every null of an object has its own or its parent's reason; in a list, that of the element (`calls.0.per_s`) or of the field in all of
/// them (`series.cpu_percent`).
fn nulls_without_reason(value: &Value, path: &str, known: &Value, missing: &mut Vec<String>) {
    let of_all =
        || path.split('.').filter(|part| part.parse::<usize>().is_err()).collect::<Vec<_>>().join(".");
    match value {
        Value::Null if known.get(path).or(known.get(of_all())).is_none() => missing.push(path.to_owned()),
        Value::Array(elements) => {
            let each = elements.iter().enumerate();
            each.for_each(|(i, element)| {
                nulls_without_reason(element, &format!("{path}.{i}"), known, missing)
            });
        }
        Value::Object(fields) => {
            for (name, field) in fields.iter().filter(|(name, _)| *name != "unmeasured") {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                nulls_without_reason(field, &path, known, missing);
            }
        }
        _ => {}
    }
}

fn unexplained(report: &Report) -> Vec<String> {
    let value = report::json::run(report);
    let mut missing = Vec::new();
    nulls_without_reason(&value, "", &value["unmeasured"], &mut missing);
    missing
}

fn anything() -> impl Strategy<Value = What> {
    let pid = 100..104i32;
    let call = prop::sample::select(vec![
        Call::Accept4,
        Call::Accept,
        Call::RingAccept,
        Call::Openat,
        Call::Socket,
        Call::Pipe2,
        Call::Dup2,
    ]);
    let ret = prop_oneof![Just(-24i64), Just(-23), Just(-11), 3..20i64, Just(i64::MAX)];
    let phases = [
        Phase::Launch,
        Phase::Baseline,
        Phase::Ramp,
        Phase::Saturate,
        Phase::Probe,
        Phase::ReleaseSome,
        Phase::ReleaseAll,
        Phase::Settle,
        Phase::Again,
        Phase::Stop,
    ];
    let states = vec![
        Client::Connected,
        Client::Served,
        Client::Closed,
        Client::Refused,
        Client::TimedOut,
        Client::ErrorReply("x".into()),
        Client::Local(24),
        Client::Released,
        Client::GaveUp,
    ];
    let outcomes = vec![Got::Served, Got::Waits, Got::TimesOut, Got::Refused, Got::Closed, Got::ErrorReply];
    let labels = vec!["saturated", "after-some", "after-all", "held"];
    prop_oneof![
        4 => prop::sample::select(phases.to_vec()).prop_map(What::Phase),
        8 => (pid.clone(), call, ret).prop_map(|(pid, name, ret)| What::Call { pid, name, ret }),
        4 => (pid.clone(), 3..20i32).prop_map(|(pid, fd)| What::Close { pid, fd }),
        8 => (0..12u32, prop::sample::select(states)).prop_map(|(id, state)| What::Client { workload: "flood".into(), id, state }),
        4 => (pid.clone(), 0..40u64, prop::option::of(0..9u32), prop::num::f64::ANY, any::<u64>())
            .prop_map(|(pid, descriptors, queue, cpu_s, log_bytes)| What::Sample { pid, descriptors, queue, cpu_s, log_bytes }),
        2 => (0..100u64, any::<u64>(), prop::option::of(0..50u64), any::<bool>()).prop_map(|(n, took, held, files)| {
            let states = |n| [("ESTABLISHED".to_owned(), n)].into();
            let (subject, namespace) = (held.map(states), held.map(states));
            match files {
                true => What::FileNr { allocated: n, max: 50 },
                false => What::Tcp { states: states(1), listen_overflows: n, subject, namespace, descriptors: held, took },
            }
        }),
        2 => (prop::option::of(any::<u64>()), prop::option::of(any::<u32>())).prop_map(|(resident, drops)| What::Beside { resident, drops }),
        1 => (pid.clone(), any::<u32>(), prop::option::of(prop::sample::select(outcomes.clone()))).prop_map(|(pid, n, new_client)| What::OtherListener {
            address: format!("127.0.0.1:{pid}"), queue: n, capacity: 5, drops: Some(n), new_client
        }),
        1 => pid.clone().prop_map(|pid| What::FailedPath { pid, name: Call::Openat, path: "\u{1b}[2J".into() }),
        2 => (prop::sample::select(labels), prop::sample::select(outcomes.clone()), prop::option::of(prop::num::f64::ANY)).prop_map(
            |(label, outcome, s)| What::Probe { workload: "flood".into(), label: label.into(), outcome, detail: "status 404\u{1b}[2J".into(), connect_s: s, answer_s: s }
        ),
        4 => (0..12u32, prop::option::of(prop::sample::select(outcomes.clone())), prop::num::f64::ANY, prop::option::of(-30..30i32)).prop_map(
            |(id, outcome, took_s, errno)| What::CallEnded {
                workload: "calls".into(), id, outcome, step: outcome.is_none().then_some(CallStep::Socket), errno, connect_s: None, took_s, handshakes: 1
            }
        ),
        2 => (pid.clone(), any::<u64>(), prop::option::of(any::<u64>()), any::<bool>()).prop_map(|(pid, n, limit, kills)| {
            let bound = limit.map(|most| event::Bound { used: n, most });
            What::Resources(event::Resources {
                pid,
                threads: Some(n),
                processes: n,
                user_tasks: bound,
                group_refused: Some(n),
                address_space: bound,
                group_memory: bound,
                oom_kills: kills.then_some(n),
                somaxconn: Some(n),
                local_ports: Some((n / 2, n / 3)),
                ..event::Resources::default()
            })
        }),
        1 => (pid.clone(), prop::sample::select(vec![11, 12])).prop_map(|(pid, errno)| What::Refused { pid, call: "clone".into(), errno }),
        1 => (pid.clone(), prop::num::f64::ANY).prop_map(|(pid, descriptors_per_connection)| What::NotPredicted {
            pid, reason: "its own process each".into(), descriptors_per_connection, calibrated_with: 8
        }),
        1 => any::<u64>().prop_map(|total| What::Failures { name: Call::Accept4, total }),
        1 => any::<u64>().prop_map(|samples| What::Lost { samples }),
        1 => Just(What::SamplingStopped),
        1 => any::<u32>().prop_map(|clients| What::Released { clients }),
        1 => pid.clone().prop_map(|pid| What::Process { pid, parent: 100, change: Change::Exit }),
        2 => (pid.clone(), pid.clone(), prop::sample::select(vec![Change::Fork, Change::Exec])).prop_map(|(pid, parent, change)| What::Process { pid, parent, change }),
        1 => (pid.clone(), prop::option::of(0..3i32)).prop_map(|(pid, code)| What::Exited { process: "server".into(), pid, code, signal: code.is_none().then_some(9) }),
        1 => (pid.clone(), pid.clone(), prop::option::of(15..18u64)).prop_map(|(pid, by, soft)| What::LimitSet {
            pid, by, limits: soft.map(|soft| event::Limits { soft, hard: 64 })
        }),
        1 => (pid.clone(), prop::sample::select(vec!["sh", "server"])).prop_map(|(pid, program)| What::Executed { pid, program: program.into() }),
        1 => (pid.clone(), pid.clone()).prop_map(|(pid, above)| What::Chain {
            process: "server".into(),
            pid,
            when: Phase::Saturate,
            links: [above, pid].map(|pid| event::Link { pid, command: "server".into(), soft: 16, hard: 64 }).to_vec(),
        }),
        1 => (pid.clone(), any::<u64>()).prop_map(|(pid, n)| What::OwnCount { pid, before_first_emfile: n, total: n }),
        1 => (pid.clone(), 0..20u64, any::<bool>()).prop_map(|(pid, n, ring)| {
            let inventory = if ring { vec![event::Descriptor { fd: 3, kind: "io_uring".into(), detail: String::new() }] } else { vec![] };
            What::Baseline { pid, descriptors: n, counted: n, inventory, settled: true }
        }),
        1 => (pid.clone(), prop::option::of(0..3i32)).prop_map(|(pid, code)| What::Status { pid, code, signal: code.is_none().then_some(9) }),
        1 => prop::collection::vec((pid.clone(), 0..9u32, 0..9u64), 0..4).prop_map(|all| {
            What::Queues(all.into_iter().map(|(pid, length, room)| event::Queue { pid, length, capacity: 5, room }).collect())
        }),
        1 => (pid, any::<u64>(), prop::num::f64::ANY).prop_map(|(pid, ceiling, d)| What::Prediction {
            pid,
            ceiling,
            formula: "soft - baseline".into(),
            descriptors_per_connection: d,
            calibrated_with: 8
        }),
        1 => Just(What::Observer { name: "ptrace".into(), exact: true, io_uring: false }),
        1 => Just(What::Observer { name: "perf".into(), exact: true, io_uring: true }),
        1 => Just(What::End),
    ]
}

/// A spreading or a dense scatter of events: many simultaneous ones.
fn scatter() -> impl Strategy<Value = Vec<Event>> {
    let at = prop_oneof![0..40u64, (0..40u64).prop_map(|t| t * 50_000_000), any::<u64>()];
    prop::collection::vec((at, anything()).prop_map(|(at, is)| Event { at, is }), 0..120)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_log_makes_measuring_panic_and_no_null_is_without_reason(events in scatter(), on_a_real_run in any::<bool>()) {
        let (mut plan, log) = recorded("spin");
        let (calling, _) = recorded(if on_a_real_run { "three-answers" } else { "calls-client" });
        plan.workloads.extend(calling.workloads.into_values().filter(|w| w.calls.is_some()).map(|w| ("calls".to_owned(), w)));
        let mut all = if on_a_real_run { log.events } else { Vec::new() };
        all.extend(events);
        let log = Log::new(all);
        let report = Report::of(&plan, &log);
        let story = report::explain::run(&report, &log, false, 80);
        prop_assert!(story.lines().all(|l| l.chars().count() <= 80) && !story.contains('\u{1b}'), "{}", story);
        prop_assert_eq!(unexplained(&report), Vec::<String>::new());
        let json = report::json::render(std::slice::from_ref(&report));
        let read: Value = serde_json::from_str(&json).unwrap();
        let (read, written) = (&read["runs"][0], report::json::run(&report));
        prop_assert_eq!(&read["verdict"], report.verdict.outcome.name());
        prop_assert_eq!(read["ceiling"]["accepted"].as_u64(), report.found.ceiling.accepted.value());
        prop_assert_eq!(&read["unmeasured"], &written["unmeasured"]);
        let text = report::terminal::render(std::slice::from_ref(&report), false, 80);
        prop_assert!(text.lines().all(|l| l.chars().count() <= 80) && !text.contains('\u{1b}'), "{}", text);
        report::junit::render(std::slice::from_ref(&report));
        report::markdown::render(&[report]);
    }

    #[test]
    fn the_order_in_which_simultaneous_events_were_reported_changes_nothing(events in scatter(), seed in any::<u64>()) {
        let (plan, log) = recorded("spin");
        let mut all = log.events;
        all.extend(events);
        let straight = measure::measure(&plan, &Log::new(all.clone()));
        // A shuffle, then the log's own stable sort: only simultaneous events change places.
        let mut state = seed | 1;
        for i in (1..all.len()).rev() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            all.swap(i, (state >> 33) as usize % (i + 1));
        }
        let shuffled = measure::measure(&plan, &Log::new(all));
        prop_assert_eq!(straight.ceiling, shuffled.ceiling);
        prop_assert_eq!(straight.policy.policy.value(), shuffled.policy.policy.value());
        prop_assert_eq!(straight.policy.evidence, shuffled.policy.evidence);
    }
}

#[test]
fn what_clients_see_is_counted_apart_for_those_held_queued_and_next() {
    let (plan, log) = recorded("spin");
    let seen = measured("spin").clients;
    assert_eq!((seen.queued, seen.next.len()), (4, 1), "{seen:?}");
    assert_eq!((seen.next[0].outcome, seen.next[0].clients), (Got::Waits, 4), "twelve came, eight are held");
    // Each of the eight was answered 0.2 ms after its connect.
    assert!(
        seen.before_s.value().is_some_and(|l| near(Some(l.p50), 0.0002) && near(Some(l.max), 0.0002)),
        "{seen:?}"
    );
    let release = log.events.iter().find(|e| e.is == What::Phase(Phase::ReleaseSome)).expect("a release").at;
    let ask = |at, outcome, answer_s| {
        let (workload, label) = ("flood".into(), "held".into());
        Event {
            at,
            is: What::Probe { workload, label, outcome, detail: String::new(), connect_s: None, answer_s },
        }
    };
    let mut events: Vec<Event> = log
        .events
        .into_iter()
        .filter(|e| !matches!(&e.is, What::Probe { label, .. } if label == "held"))
        .collect();
    events.extend([
        ask(release - 4, Got::Served, Some(0.001)),
        ask(release - 3, Got::Served, Some(0.003)),
        ask(release - 2, Got::Closed, Some(0.002)),
        ask(release - 2, Got::ErrorReply, Some(0.002)),
        ask(release - 1, Got::Waits, None),
        ask(release + 1, Got::Closed, Some(0.5)),
    ]);
    let held = measure::measure(&plan, &Log::new(events)).clients.held;
    assert_eq!(
        (held.probed, held.answered, held.dropped, held.silent),
        (5, 2, 1, 1),
        "one was released before it answered: {held:?}"
    );
    assert_eq!(held.error_replies, 1, "it keeps the connection, and can do nothing for it: {held:?}");
    assert!(held.latency_s.value().is_some_and(|l| near(Some(l.p50), 0.001) && near(Some(l.max), 0.003)));
}

/// The log's server executed by lastfd itself exits with 8 of 12 connections held: the kernel closes them, and the accept queue with them.
#[test]
fn clients_of_a_process_that_exited_are_lost_whether_they_noticed_it_or_not() {
    let (plan, log) = recorded("exits");
    let closed = |event: &Event| matches!(&event.is, What::Client { state: Client::Closed, .. });
    let noticed = Log::new(log.events.clone());
    let unnoticed = Log::new(log.events.into_iter().filter(|event| !closed(event)).collect());
    for log in [noticed, unnoticed] {
        let found = measure::measure(&plan, &log);
        let account = found.clients_account.value().expect("clients");
        let exit = account.exit.expect("it exited");
        assert_eq!((account.connected, account.held, account.waiting), (12, 0, 0), "{account:?}");
        assert_eq!((exit.held, exit.clients), (8, 12), "{account:?}");
        assert_eq!(found.ceiling.served.value(), Some(8), "those that were answered until then");
    }
}

/// Handshakes end as places in the queue become free, and nobody frees one.
#[test]
fn a_server_that_takes_nobody_from_a_full_queue_limits_itself_whoever_waits_before_it() {
    let (plan, log) = recorded("own-limit");
    let waits = |e: &Event| match &e.is {
        What::Client { id: 5.., state, .. } => *state == Client::Connected,
        What::Call { .. } | What::Close { .. } => !(36_050_000..42_300_000).contains(&e.at),
        _ => true,
    };
    let mut events: Vec<Event> = log.events.into_iter().filter(waits).collect();
    for event in &mut events {
        if event.at > 42_150_000 {
            event.at += 2_000_000_000;
        }
        if let What::Sample { queue, .. } = &mut event.is {
            *queue = Some(3);
        }
    }
    let m = measure::measure(&plan, &Log::new(events));
    assert_eq!((m.ceiling.kind.value(), m.ceiling.capacity.value()), (Some(Kind::OwnLimit), Some(5)));
    assert_eq!(m.policy.policy.value(), Some(Policy::LimitsItself));
}

/// One that gives way to the next client is held until that comes.
#[test]
fn a_server_holds_each_client_that_it_answered_and_that_is_still_connected() {
    let (plan, log) = recorded("own-limit");
    let mut events = log.events;
    // The last one is answered; it is closed when the next one comes, which is the probe.
    events.retain(|e| !matches!(&e.is, What::Client { id: 11, state: Client::ErrorReply(_), .. }));
    for event in &mut events {
        match &mut event.is {
            What::Client { id: 11, state, .. } if *state == Client::Closed => {
                (event.at, *state) = (42_120_000, Client::Served);
            }
            What::Close { .. } if event.at == 42_200_000 => event.at = 300_500_000,
            _ => {}
        }
    }
    events.sort_by_key(|e| e.at);
    let m = measure::measure(&plan, &Log::new(events));
    assert_eq!((m.ceiling.served.value(), m.ceiling.capacity.value()), (Some(6), Some(6)));
}

/// Each client that arrives wakes an edge-triggered loop.
#[test]
fn a_loop_that_also_fails_for_each_arrival_has_the_delay_that_it_has_alone() {
    let (plan, log) = recorded("backoff");
    let first = log.events.iter().find(|e| matches!(e.is, What::Call { ret: -24, .. })).expect("a failure");
    let (first, begun) = (first.clone(), first.at);
    let ramp_ends = log.events.iter().find(|e| e.is == What::Phase(Phase::Saturate)).expect("a wall").at;
    let Some(What::Client { workload, .. }) =
        log.events.iter().map(|e| &e.is).find(|is| matches!(is, What::Client { .. })).cloned()
    else {
        panic!("a client")
    };
    const EACH: u64 = 1_000_000;
    let mut events = log.events.clone();
    events.iter_mut().filter(|e| e.at >= begun.min(ramp_ends)).for_each(|e| e.at += 200 * EACH);
    for i in 0..200u64 {
        let at = begun.min(ramp_ends) + i * EACH;
        let client =
            What::Client { workload: workload.clone(), id: 1000 + i as u32, state: Client::Connected };
        events.push(Event { at, is: client });
        events.push(Event { at: at + EACH / 10, is: first.is.clone() });
    }
    events.sort_by_key(|e| e.at);
    let m = measure::measure(&plan, &Log::new(events));
    assert_eq!(m.policy.policy.value(), Some(Policy::Backoff), "{:?}", m.policy);
}
