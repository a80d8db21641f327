//! What is counted in a told run when one thing in it is another: the run itself holds eight connections
//! beside eight descriptors at rest, under a limit of sixteen.

use crate::log::{changed as measured, ends};
use lastfd::internal::event::{self, Call, Change, Client, Ended, Event, Limits, Link, Phase, What};
use lastfd::internal::measure::{Counter, Doubt, Findings, Kind, Why};

const MS: u64 = 1_000_000;

fn with(name: &str, at: u64, is: What) -> Findings {
    measured(name, |events| events.push(Event { at, is }))
}

/// Moves the beginning of a phase.
fn begins(events: &mut [Event], phase: Phase, at: u64) {
    events.iter_mut().find(|event| event.is == What::Phase(phase)).expect("it has this phase").at = at;
}

fn sample(pid: i32, descriptors: u64, queue: u32) -> What {
    What::Sample { pid, descriptors, queue: Some(queue), cpu_s: 0.0, log_bytes: 0 }
}

#[test]
fn what_is_accepted_after_the_ramp_counts_for_the_most_held() {
    let m = measured("threads", |events| begins(events, Phase::Saturate, 42_500_000));
    assert_eq!((m.ceiling.accepted.value(), m.ceiling.accepted_max.value()), (Some(11), Some(14)));
}

#[test]
fn a_new_client_that_finds_room_is_none_of_those_held() {
    let before = measured("not-reached", |_| ());
    let m = measured("not-reached", |events| {
        let probe =
            events.iter().find(|event| event.is == What::Phase(Phase::Probe)).expect("it has this phase").at;
        events.push(Event {
            at: probe + 1,
            is: What::Call { pid: 100, name: Call::Accept4, ret: 60, on: None },
        });
    });
    assert_eq!(
        (m.ceiling.kind.value(), m.ceiling.accepted.value()),
        (Some(Kind::NotReached), before.ceiling.accepted.value())
    );
}

#[test]
fn fewer_descriptors_than_at_rest_are_a_negative_leak() {
    assert_eq!(with("spin", 3_060 * MS, sample(100, 7, 0)).recovery.leaked.value(), Some(-1));
    assert_eq!(
        with("spin", 3_060 * MS, sample(101, 7, 0)).recovery.leaked.value(),
        Some(0),
        "another process has descriptors of its own"
    );
}

#[test]
fn a_queue_is_drained_when_it_is_seen_empty_and_not_when_it_is_seen() {
    let drained =
        with("spin", 1_505 * MS, sample(100, 16, 3)).recovery.queue_drained_s.value().expect("seen empty");
    assert!((drained - 0.010).abs() < 1e-9, "{drained}");
}

#[test]
fn a_launcher_that_runs_out_is_not_the_subject() {
    let m = with("calls-client", 30_500_000, What::Call { pid: 50, name: Call::Openat, ret: -24, on: None });
    assert_eq!(m.ceiling.first_failure.get().expect("its own").pid, 100);
}

#[test]
fn a_held_client_that_the_server_closes_at_the_wall_is_counted() {
    let closed = What::Client { workload: "flood".into(), id: 0, state: Client::Closed };
    assert_eq!(with("spin", 1_300 * MS, closed).held_closed.value(), Some(1));
}

#[test]
fn a_rate_counts_nothing_that_failed_before_its_time() {
    // 200 failures until 60 ms, 10,000 until 1.04 s.
    let m = measured("spin", |events| begins(events, Phase::Saturate, 99 * MS));
    assert_eq!(m.costs.failures_per_s.value(), Some(10_000.0));
}

/// It fails at 42.2 ms, and 7 times more until 1100 ms.
#[test]
fn a_rate_counts_what_failed_within_its_time_and_not_what_began_it() {
    let rate = measured("backoff", |_| ()).costs.failures_per_s.value();
    assert_eq!(rate, Some((7.0_f64 / 1.0578 * 1e3).round() / 1e3));
}

#[test]
fn samples_lost_after_the_first_failure_leave_the_most_held_open() {
    let m = with("spin", 1_150 * MS, What::Lost { samples: 5 });
    assert_eq!((m.ceiling.accepted.value(), m.ceiling.accepted_max.value()), (Some(8), None));
    assert_eq!(m.ceiling.accepted_max.why(), Some(&Why::LostAfterFirst { samples: 5 }));
}

#[test]
fn limits_that_the_process_had_before_it_changed_them_are_kept() {
    let m = measured("spin", |events| {
        let chain = events
            .iter()
            .find(|event| matches!(event.is, What::Chain { .. }))
            .expect("the chain was read")
            .clone();
        let mut earlier = Event { at: chain.at - 1, ..chain };
        let What::Chain { links, .. } = &mut earlier.is else { unreachable!("it is a chain") };
        links.last_mut().expect("its own").soft = 12;
        events.push(earlier);
    });
    assert_eq!(
        (m.limits.earlier, m.limits.effective.value()),
        (vec![Limits { soft: 12, hard: 64 }], Some(Limits { soft: 16, hard: 64 }))
    );
}

/// Whether this client's events, or its connection's, are these.
fn of_client(event: &Event, id: u32, fd: i64) -> bool {
    match &event.is {
        What::Client { id: of, .. } => *of == id,
        What::Call { ret, .. } => *ret == fd,
        _ => false,
    }
}

fn left_open(m: &Findings, because: Why) {
    assert_eq!((m.ceiling.kind.value(), m.ceiling.reached.value()), (None, None));
    assert!(m.doubts.contains(&Doubt::Ceiling(because)), "{:?}", m.doubts);
}

#[test]
fn a_ceiling_is_not_said_to_be_unreached_by_fewer_clients_than_were_asked_for() {
    let fewer = measured("not-reached", |events| {
        events.retain(|event| !of_client(event, 11, 19));
        ends(events, Phase::Ramp, Ended::Stalled);
    });
    let ended = Some(Ended::Stalled);
    left_open(&fewer, Why::OnlySomeConnected { connected: 11, asked: 12, ended });
    let timed_out = measured("not-reached", |events| {
        let state = Client::TimedOut;
        events.push(Event { at: 43 * MS, is: What::Client { workload: "flood".into(), id: 12, state } });
    });
    left_open(&timed_out, Why::ConnectsTimedOut { connects: 1 });
}

#[test]
fn clients_that_are_neither_accepted_nor_queued_are_no_rule_of_the_servers_own() {
    let lost = measured("not-reached", |events| {
        events.retain(|event| !of_client(event, 99, 19));
        events.retain(|event| !matches!(event.is, What::Client { id: 11, state: Client::Served, .. }));
    });
    left_open(&lost, Why::HandshakesUnfinished { clients: 1 });
}

#[test]
fn a_client_whose_calls_were_not_all_over_has_no_ceiling_yet() {
    let fewer = measured("calls-client", |events| {
        ends(events, Phase::Ramp, Ended::Stalled);
        events.retain(|event| match &event.is {
            What::CallEnded { id, .. } => *id < 8,
            What::Client { id, .. } => *id < 8,
            What::Call { ret, .. } => *ret >= 0,
            _ => true,
        });
    });
    left_open(&fewer, Why::OnlySomeCalls { over: 8, asked: 12, ended: Some(Ended::Stalled) });
}

#[test]
fn a_server_that_exits_when_all_have_left_has_not_recovered_though_it_had_answered() {
    let m = with("spin", 3_040 * MS, What::Process { pid: 100, parent: 1, change: Change::Exit });
    assert_eq!(
        (m.recovery.new_client_served_s.value().is_some(), m.recovery.recovered.value()),
        (true, Some(false))
    );
}

#[test]
fn limits_asked_for_are_set_by_the_run_also_where_all_above_had_the_same() {
    let m = measured("spin", |events| {
        for event in events {
            let What::Chain { links, .. } = &mut event.is else { continue };
            links.iter_mut().for_each(|link| (link.soft, link.hard) = (16, 64));
            let own = links.pop().expect("its own");
            links.extend([Link { command: Link::REQUESTED.into(), ..own.clone() }, own]);
        }
    });
    let by = m.limits.set_by.get().expect("the chain was read");
    assert_eq!((by.command.as_str(), by.inherited), (Link::REQUESTED, false));
}

#[test]
fn what_was_at_rest_and_predicted_at_first_is_kept_beside_what_it_became() {
    let m = measured("spin", |events| {
        let at = |what: fn(&What) -> bool| {
            events.iter().find(|event| what(&event.is)).expect("it has one").clone()
        };
        let (mut rest, mut predicted) =
            (at(|is| matches!(is, What::Baseline { .. })), at(|is| matches!(is, What::Prediction { .. })));
        (rest.at, predicted.at) = (16 * MS, 17 * MS);
        if let (What::Baseline { descriptors, .. }, What::Prediction { ceiling, .. }) =
            (&mut rest.is, &mut predicted.is)
        {
            (*descriptors, *ceiling) = (9, 7);
        }
        events.extend([rest, predicted]);
    });
    assert_eq!((m.baseline.descriptors.value(), m.baseline.changed_from), (Some(9), Some(8)));
    assert_eq!((m.prediction.ceiling.value(), m.prediction.before_first_client), (Some(7), Some(8)));
}

#[test]
fn a_server_that_counts_a_connection_it_closed_again_does_not_disagree() {
    let m = measured("spin", |events| {
        for event in events.iter_mut() {
            if let What::OwnCount { before_first_emfile, .. } = &mut event.is {
                *before_first_emfile += 1;
            }
        }
        events.push(Event {
            at: 30_500_000,
            is: What::Call { pid: 100, name: Call::Accept4, ret: 14, on: None },
        });
        events.push(Event { at: 30_600_000, is: What::Close { pid: 100, fd: 14 } });
    });
    assert_eq!(
        (m.ceiling.accepted.value(), m.witnesses.agreement.value()),
        (Some(8), Some(true)),
        "{:?}",
        m.witnesses.notes
    );
}

#[test]
fn a_subject_is_not_said_to_use_more_processors_than_it_has_threads() {
    let busy = |threads| {
        let m = measured("spin", |events| {
            for event in events.iter_mut() {
                if let What::Sample { cpu_s, .. } = &mut event.is {
                    // Twice as fast as one processor can.
                    *cpu_s = event.at as f64 / 1e9 * 2.0;
                }
            }
            let used = event::Resources { pid: 100, threads, processes: 1, ..event::Resources::default() };
            events.push(Event { at: 14 * MS, is: What::Resources(Box::new(used)) });
        });
        let series = m.series.iter().filter_map(|point| point.cpu_percent.value()).fold(0.0, f64::max);
        (m.costs.cpu_percent.value(), series)
    };
    assert_eq!(busy(Some(1)), (Some(100.0), 100.0));
    assert_eq!(busy(Some(8)), (Some(200.0), 200.0), "of the two that the machine has");
}

#[test]
fn a_descriptor_count_leaves_no_more_connections_than_descriptors() {
    let m = measured("spin", |events| {
        let predicted = events.iter().find(|event| matches!(event.is, What::Prediction { .. }));
        let mut calibrated = predicted.expect("a prediction").clone();
        calibrated.at = 30_900_000;
        if let What::Prediction { descriptors_per_connection, calibrated_with, .. } = &mut calibrated.is {
            (*descriptors_per_connection, *calibrated_with) = (0.875, 8);
        }
        events.push(calibrated);
    });
    let by_count = m.witnesses.all.iter().find(|witness| witness.observer == Counter::Proc);
    let counted = by_count.expect("it was sampled").ceiling.value();
    assert_eq!(
        (counted, m.witnesses.agreement.value()),
        (Some(8), Some(true)),
        "of 16 numbers 8 were taken at rest"
    );
}
