//! Where a subject stops, and why there.

use super::near;
use crate::log::{self, began, changed, client, event, failed, measured, ms};
use lastfd::internal::event::{Call, Change, Client, Ended, Event, Label, Log, Outcome as Got, Phase, What};
use lastfd::internal::measure::{self, Doubt, Kind, Policy, Why};
use lastfd::internal::report::{self, Report};
use lastfd::internal::scenario::{Dialogue, Program};

#[test]
fn a_spinning_server_fails_once_with_nobody_waiting_and_then_without_pause() {
    let m = measured("spin");
    let c = &m.ceiling;
    assert_eq!(
        (c.accepted.value(), c.accepted_max.value(), c.kind.value()),
        (Some(8), Some(8), Some(Kind::Emfile))
    );
    assert_eq!((c.connected.value(), c.served.value(), c.descriptors.value()), (Some(12), Some(8), Some(16)));
    let first = c.first_failure.get().unwrap();
    assert_eq!(
        (first.call, first.errno, first.accepted_before, first.waiting_clients),
        (Call::Accept4, "EMFILE", 8, 0)
    );
    let t = &m.timings;
    assert!(near(Some(first.at_s), 0.040) && near(t.to_first_failure_s.value(), 0.039));
    assert!(near(t.launch_s.value(), 0.010));
    let unserved = c.first_unserved.get().unwrap();
    assert!(near(Some(unserved.at_s), 0.041) && unserved.outcome == Got::Waits);
    assert_eq!(m.policy.policy.value(), Some(Policy::Spin));
    assert!(near(m.costs.failures_per_s.value(), 9_999.0), "the first, and 9999 within a second of it");
    assert!(near(m.costs.cpu_percent.value(), 90.0) && near(m.costs.log_bytes_per_s.value(), 5_000_000.0));
    assert_eq!((m.new_client.value(), m.held_closed.value()), (Some(Got::Waits), Some(0)));
    let queue = m.sockets.accept_queue.get().unwrap();
    assert_eq!((queue.length, queue.capacity.value()), (4, Some(129)));
    assert_eq!(m.sockets.listen_overflows.value(), Some(0));
    assert_eq!((m.policy.retry_gaps_s.len(), m.costs.log_sample.len()), (20, 1));
}

#[test]
fn emfile_while_numbers_are_free_is_not_the_descriptor_limit() {
    let (plan, mut log) = log::told("spin");
    for event in &mut log.events {
        if let What::Chain { links, .. } = &mut event.is {
            links.last_mut().expect("the server").soft = 64;
        }
    }
    let m = measure::measure(&plan, &log);
    assert_eq!(m.ceiling.kind.value(), Some(Kind::OtherLimit), "16 of 64 numbers are taken");
    assert_eq!(m.binds.get().expect("what binds").resource.name(), "other-kernel-limit");
    let said = report::json::render(&[Report::of(&plan, &log)]);
    let words = "though 48 of 64 descriptor numbers were free, so it is not RLIMIT_NOFILE";
    assert!(said.contains(words), "{said}");
}

#[test]
fn connections_that_the_server_dismisses_do_not_count() {
    let own = measured("own-limit").ceiling;
    assert_eq!((own.accepted.value(), own.accepted_max.value()), (Some(5), Some(5)));
    assert_eq!((own.served.value(), own.connected.value()), (Some(5), Some(12)));
    assert_eq!(own.kind.value(), Some(Kind::OwnLimit));
    let sheds = measured("sheds").ceiling;
    assert_eq!((sheds.accepted.value(), sheds.accepted_max.value()), (Some(8), Some(8)));
}

#[test]
fn each_worker_has_a_ceiling_and_the_first_to_fail_gives_the_runs() {
    let m = measured("workers");
    let table: Vec<_> = m.ceiling.per_process.iter().map(|p| (p.pid, p.accepted)).collect();
    assert_eq!(table, [(101, 8), (102, 8)]);
    let first = m.ceiling.first_failure.get().unwrap();
    let counts = (first.pid, m.ceiling.accepted.value(), first.waiting_clients);
    assert_eq!(counts, (101, Some(8), 0), "15 connected, 8 + 7 accepted");
    assert_eq!(m.policy.policy.value(), Some(Policy::FixedDelay), "of the process that failed first");
}

#[test]
fn a_process_that_was_forked_for_a_client_and_finds_no_number_is_why_that_client_is_turned_away() {
    let m = measured("forks");
    let first = m.ceiling.first_failure.get().expect("the first of seven");
    assert_eq!((first.pid, first.call, first.errno, first.in_child), (205, Call::Openat, "EMFILE", true));
    assert_eq!((m.ceiling.kind.value(), m.ceiling.held()), (Some(Kind::Emfile), Some(5)));
    assert_eq!(m.policy.policy.value(), Some(Policy::Sheds));
    let failed: Vec<_> = m.failed_calls.iter().map(|failed| (failed.call, failed.count)).collect();
    assert_eq!(failed, [(Call::Openat, 7)]);
    let (plan, log) = log::told("forks");
    let said = report::json::render(&[Report::of(&plan, &log)]);
    let words = "because openat failed with EMFILE in 7 processes that were forked for clients, each under a soft limit of 16";
    assert!(said.contains(words), "{said}");
    // The same failures, after which each process serves its client all the same, are not why.
    let served = changed("forks", |events| {
        events.retain(|event| !matches!(event.is, What::Process { change: Change::Exit, pid: 205.., .. }));
        for event in events {
            if let What::Client { state: state @ Client::Closed, .. } = &mut event.is {
                *state = Client::Served;
            }
        }
    });
    assert_eq!(served.ceiling.kind.value(), Some(Kind::NotReached));
}

/// Twelve clients, one every 300 ms; the server closes the first of them, each after so many milliseconds and
/// as this client sees it.
fn closes_by_and_by(after: f64, closed: u32, seen: &Client) -> measure::Findings {
    let (plan, log) = log::told("not-reached");
    let first = log.events.iter().position(|event| event.is == What::Phase(Phase::Ramp)).expect("a ramp");
    let mut events = log.events[..=first].to_vec();
    for id in 0..12_u32 {
        let (came, fd) = (31.0 + 300.0 * f64::from(id), 8 + id as i32);
        events.push(client(came, id, Client::Connected));
        events.push(log::accept(came + 0.1, fd.into()));
        events.push(client(came + 0.2, id, Client::Served));
        if id < closed {
            events.push(log::close(came + after, fd));
            events.push(client(came + after + 0.1, id, seen.clone()));
        }
    }
    let next = |at: f64, phase, next, why| {
        [event(at, What::PhaseEnded { phase, why }), event(at, What::Phase(next))]
    };
    events.extend(next(3400.0, Phase::Ramp, Phase::Saturate, Ended::AllIn));
    events.extend(next(4900.0, Phase::Saturate, Phase::Stop, Ended::NoFailure));
    events.push(event(5000.0, What::End));
    measure::measure(&plan, &Log::new(events))
}

#[test]
fn a_timer_that_closes_idle_clients_while_others_still_come_is_no_limit_of_clients() {
    let told = Client::ErrorReply("408 Request Timeout".into());
    for seen in [Client::Closed, told] {
        closes_idle_clients(&closes_by_and_by(1250.0, 12, &seen));
    }
}

fn closes_idle_clients(m: &measure::Findings) {
    let idle = m.ceiling.idle_timeout.as_ref().expect("a timer");
    assert!(near(Some(idle.after_s), 1.2499), "answered at 0.2 ms, and closed at 1250.1 ms: {idle:?}");
    assert_eq!((idle.closed, idle.most_held), (12, 5), "one every 300 ms, each for 1250 ms");
    assert_eq!((m.ceiling.kind.value(), m.ceiling.accepted.value()), (Some(Kind::NotReached), Some(5)));
    let account = m.clients_account.get().expect("twelve clients");
    assert_eq!((account.closed, account.turned_away), (12, 0));
}

#[test]
fn the_longest_idle_connection_that_gives_way_to_the_next_client_is_a_limit_of_clients() {
    // Each is closed just after the fourth one after it was accepted. That is no timer, for four stay.
    let m = closes_by_and_by(1201.0, 8, &Client::Closed);
    assert_eq!((m.ceiling.idle_timeout, m.ceiling.kind.value()), (None, Some(Kind::OwnLimit)));
}

#[test]
fn a_server_that_still_takes_clients_from_its_queue_has_no_rule_of_its_own() {
    // Twelve clients are connected at once, and it takes one of them every 300 ms; or eight at once, and then
    // nobody.
    let slow = |every: f64| {
        let (plan, log) = log::told("not-reached");
        let first = log.events.iter().position(|event| event.is == What::Phase(Phase::Ramp)).expect("a ramp");
        let mut events = log.events[..=first].to_vec();
        events.extend((0..12).map(|id| client(31.0, id, Client::Connected)));
        for id in 0..8_u32 {
            let at = 32.0 + every * f64::from(id);
            events.extend([log::accept(at, (8 + id).into()), client(at + 0.1, id, Client::Served)]);
        }
        let next = |at: f64, phase, next, why| {
            [event(at, What::PhaseEnded { phase, why }), event(at, What::Phase(next))]
        };
        events.extend(next(1000.0, Phase::Ramp, Phase::Saturate, Ended::Full));
        let sample = What::Sample { pid: 100, descriptors: 16, queue: Some(4), cpu_s: 0.1, log_bytes: 0 };
        events.push(event(2190.0, sample));
        events.extend(next(2200.0, Phase::Saturate, Phase::Stop, Ended::Time));
        events.push(event(2300.0, What::End));
        measure::measure(&plan, &Log::new(events)).ceiling.kind
    };
    assert_eq!(slow(300.0).why(), Some(&Why::StillAccepting { waiting: 4 }));
    assert_eq!(slow(1.0).value(), Some(Kind::OwnLimit));
}

#[test]
fn a_generator_that_runs_out_is_never_the_subjects_ceiling() {
    let m = measured("generator");
    assert_eq!((m.ceiling.kind.value(), m.ceiling.reached.value()), (Some(Kind::Generator), Some(false)));
    assert!(matches!(m.doubts[0], Doubt::Generator { errno: 24, .. }), "{:?}", m.doubts);
}

#[test]
fn a_client_accepted_just_after_the_ramp_is_no_limit_of_the_servers_own() {
    let c = measured("not-reached").ceiling;
    assert_eq!(
        (c.kind.value(), c.accepted.value(), c.reached.value()),
        (Some(Kind::NotReached), Some(12), Some(false))
    );
}

#[test]
fn a_death_without_a_failed_call_is_told_from_an_exit_at_the_limit() {
    let died = measured("died").ceiling;
    assert_eq!((died.kind.value(), died.accepted.value()), (Some(Kind::Exited), Some(5)));
}

#[test]
fn a_failure_before_the_first_client_is_shown_with_its_reason() {
    let early = measured("early");
    let first = early.ceiling.first_failure.get().unwrap();
    assert_eq!((first.call, first.accepted_before), (Call::Openat, 0));
    assert!(first.reason.is_some());
}

#[test]
fn a_server_behind_a_saturated_relay_is_not_said_to_limit_itself() {
    let (mut plan, log) = log::told("own-limit");
    // The same clients, but of another process: the subject took five of them, and never saw the others.
    plan.workloads.get_mut("flood").unwrap().to = "relay".into();
    let mut relay = plan.processes["server"].clone();
    let words = ["relay", "--to", "{server.port}"];
    relay.program = Program::Command(words.map(str::to_owned).to_vec());
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
fn accepts_that_failed_unseen_by_all_but_the_counters_are_no_limit_of_the_servers_own() {
    let m = changed("spin", |events| events.retain(|e| !failed(e)));
    assert_eq!((m.ceiling.kind.value(), m.policy.policy.value()), (None, None));
    let unseen = |doubt: &Doubt| matches!(doubt, Doubt::Ceiling(Why::FailedUnseen { .. }));
    assert!(m.doubts.iter().any(unseen), "{:?}", m.doubts);
    let none =
        changed("spin", |events| events.retain(|e| !failed(e) && !matches!(e.is, What::Failures { .. })));
    assert_eq!(none.ceiling.kind.value(), Some(Kind::OwnLimit));
}

/// Handshakes end as places in the queue become free, and nobody frees one.
#[test]
fn a_server_that_takes_nobody_from_a_full_queue_limits_itself_whoever_waits_before_it() {
    let m = changed("own-limit", |events| {
        events.retain(|e| match &e.is {
            What::Client { id: 5.., state, .. } => *state == Client::Connected,
            What::Call { .. } | What::Close { .. } => !(ms(36.05)..ms(42.3)).contains(&e.at),
            _ => true,
        });
        for event in events {
            if event.at > ms(42.15) {
                event.at += ms(2000.0);
            }
            if let What::Sample { queue, .. } = &mut event.is {
                *queue = Some(3);
            }
        }
    });
    assert_eq!((m.ceiling.kind.value(), m.ceiling.capacity.value()), (Some(Kind::OwnLimit), Some(5)));
    assert_eq!(m.policy.policy.value(), Some(Policy::LimitsItself));
}

/// One that gives way to the next client is held until that comes.
#[test]
fn a_server_holds_each_client_that_it_answered_and_that_is_still_connected() {
    let c = changed("own-limit", |events| {
        // The last one is answered; it is closed when the next one comes, which is the probe.
        events.retain(|e| !matches!(&e.is, What::Client { id: 11, state: Client::ErrorReply(_), .. }));
        for event in events {
            match &mut event.is {
                What::Client { id: 11, state: Client::Closed, .. } => {
                    *event = client(42.12, 11, Client::Served);
                }
                What::Close { .. } if event.at == ms(42.2) => event.at = ms(300.5),
                _ => {}
            }
        }
    })
    .ceiling;
    assert_eq!((c.served.value(), c.capacity.value()), (Some(6), Some(6)));
}

/// A server that opens a file for each answer has none left for a held client that asks again.
#[test]
fn a_held_client_that_is_closed_when_it_is_asked_again_was_held() {
    let c = changed("fixed-delay", |events| {
        let steady = What::AfterAccept { clients: 8, opened: 8, closed: 8, born: 0, steady: true };
        events.push(event(20.0, steady));
        events.push(client(60.4, 7, Client::Closed));
        events.push(event(
            60.5,
            What::Probe {
                workload: "flood".into(),
                label: Label::Held,
                outcome: Got::Closed,
                detail: String::new(),
                connect_s: None,
                answer_s: Some(0.0002),
            },
        ));
    })
    .ceiling;
    assert_eq!(c.capacity.value(), Some(8), "asking must not change the answer");
}

#[test]
fn the_descriptors_at_rest_are_those_of_a_worker_that_is_gone_and_not_its_masters() {
    use lastfd::internal::event::{Limits, Link};
    let link = |pid, soft| Link { pid, command: "server".into(), soft, hard: 64 };
    let chain = |pid, when, links| What::Chain { process: "server".into(), pid, when, links };
    // The master holds the listener too, and is read after its worker. That has exited when the ceiling is
    // reached.
    let of_master = What::Baseline { pid: 100, descriptors: 5, counted: 5, inventory: vec![], settled: true };
    let more = [
        event(14.5, chain(100, Phase::Baseline, vec![link(50, 20000), link(100, 32)])),
        event(14.6, of_master),
        event(51.0, chain(101, Phase::Saturate, vec![link(50, 20000)])),
    ];
    for observed in [true, false] {
        let m = changed("worker-restarts", |events| {
            events.extend(more.clone());
            events.retain(|event| observed || !matches!(event.is, What::Call { .. }));
        });
        assert_eq!(
            (m.subject.pid.value(), m.baseline.descriptors.value(), m.limits.effective.value()),
            (Some(101), Some(8), Some(Limits { soft: 16, hard: 64 })),
            "{observed}"
        );
        assert_eq!(m.limits.earlier, [], "its master has its own limits, and it has not changed any");
    }
}

#[test]
fn the_link_that_set_the_limit_is_the_first_from_which_the_value_stays() {
    let m = measured("workers");
    let set_by = m.limits.set_by.get().unwrap();
    assert_eq!((set_by.pid, set_by.inherited, m.limits.effective.value().unwrap().soft), (100, false, 16));
    assert_eq!(measured("spin").limits.set_by.get().unwrap().pid, 100);
}

#[test]
fn file_max_binds_when_the_host_has_no_file_left() {
    use lastfd::internal::judge::Outcome;
    let (mut plan, log) = log::told("spin");
    for (binds, files, outcome) in [
        (false, Some((100, 101)), Outcome::Met),
        (true, Some((100, 101)), Outcome::NotMet),
        (true, Some((101, 101)), Outcome::Met),
        (false, Some((101, 101)), Outcome::NotMet),
        (false, None, Outcome::Inconclusive),
    ] {
        plan.expect.file_max_binds = Some(binds);
        let mut events = log.events.clone();
        events.extend(files.map(|(allocated, max)| event(60.0, What::FileNr { allocated, max })));
        let report = Report::of(&plan, &Log::new(events));
        assert_eq!(report.verdict.outcome, outcome, "{binds} {files:?}");
    }
}

/// The JVM: of the socket pair that it makes with its first client it keeps one end.
#[test]
fn a_pipe_whose_one_end_is_closed_costs_one_descriptor() {
    let m = changed("not-reached", |events| {
        let ramp = began(events, Phase::Ramp);
        for event in events.iter_mut().filter(|e| e.at > ramp) {
            if let What::Sample { descriptors, .. } = &mut event.is {
                *descriptors += 1;
            }
        }
        let pair = What::Call { pid: 100, name: Call::Socketpair, ret: 0, on: None };
        events.extend([event(30.0, pair), log::close(30.001, 400)]);
    });
    let agreement = m.witnesses.agreement.value();
    assert_eq!((agreement, m.ceiling.others), (Some(true), Some(1)), "{:?}", m.witnesses.notes);
}

/// Neither the observer nor its losses make a number that nothing confirms.
#[test]
fn lost_samples_make_the_count_inconclusive_unless_proc_confirms_it() {
    let lost = event(39.0, What::Lost { samples: 2 });
    let accepted = |change: &dyn Fn(&mut Vec<Event>)| {
        changed("spin", |events| {
            events.push(lost.clone());
            change(events);
        })
        .ceiling
        .accepted
        .value()
    };
    assert_eq!(accepted(&|_| ()), Some(8), "/proc counts 16 − 8");
    let third = |e: &Event| {
        e.is == What::Call { pid: 100, name: Call::Accept4, ret: 10, on: None } && e.at <= ms(100.0)
    };
    assert_eq!(accepted(&|events| events.retain(|e| !third(e))), None);
}

#[test]
fn ten_million_failures_are_totals_and_a_long_log_is_read_in_one_go() {
    let m = changed("spin", |events| {
        events.retain(|e| !matches!(e.is, What::Failures { .. } | What::SamplingStopped));
        events.extend((0..400_000).map(|n| log::accept(46.000_001 + f64::from(n) * 0.002, -24)));
        events.push(event(1040.0, What::Failures { name: Call::Accept4, total: 10_000_000 }));
    });
    assert_eq!((m.ceiling.accepted.value(), m.policy.policy.value()), (Some(8), Some(Policy::Spin)));
    assert!(near(m.costs.failures_per_s.value(), 10_000_000.0), "{:?}", m.costs.failures_per_s.value());
    assert!(m.series.len() <= 200 && m.policy.retry_gaps_s.len() == 20);
}

#[test]
fn a_rate_is_of_the_whole_watch_also_when_few_calls_fail() {
    let rate = measured("dead").costs.failures_per_s.value();
    assert!(rate.unwrap() < 2.0, "one in a second: {rate:?}");
}

/// Whether somebody who asks nothing was looked at is seen by nothing but the server's own calls.
pub(super) fn of_silent_clients(plan: &mut lastfd::internal::scenario::Plan) {
    plan.workloads.get_mut("flood").unwrap().kind = Some(Dialogue::Tcp);
}

/// Work after an accept that was seen with the first clients.
fn work(steady: bool) -> Event {
    event(20.0, What::AfterAccept { clients: 8, opened: 0, closed: 3, born: 0, steady })
}

#[test]
fn a_burst_of_which_all_were_served_and_stayed_is_the_capacity() {
    let c = changed("fixed-delay", |events| events.push(work(false))).ceiling;
    assert_eq!((c.capacity.value(), c.burst), (Some(8), None));
}

#[test]
fn a_client_that_waited_long_and_was_then_served_for_a_moment_was_not_held() {
    let c = changed("fixed-delay", |events| {
        events.push(work(true));
        events.push(client(1500.0, 8, Client::Served));
        events.push(client(1600.0, 8, Client::Closed));
    })
    .ceiling;
    assert_eq!(c.capacity.value(), Some(8));
}

#[test]
fn what_was_closed_since_it_was_at_rest_makes_no_connection_cheaper() {
    let c = changed("fixed-delay", |events| {
        events.extend([log::close(30.5, 6), log::close(30.5, 7)]);
        for event in events {
            if let What::Sample { descriptors, .. } = &mut event.is {
                *descriptors -= 2;
            }
        }
    })
    .ceiling;
    assert_eq!(c.descriptors_per_connection.value(), Some(1.0));
}

#[test]
fn numbers_that_threads_in_accept_had_reserved_make_no_connection_cheaper() {
    let c = changed("fixed-delay", |events| {
        for event in events {
            if let What::Baseline { descriptors, .. } = &mut event.is {
                *descriptors += 3;
            }
        }
    })
    .ceiling;
    assert_eq!(c.descriptors_per_connection.value(), Some(1.0));
}
