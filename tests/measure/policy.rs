//! What an accept loop does at the wall.

use super::ceiling::of_silent_clients;
use crate::log::{self, accept, changed, client, close, event, failed, measured, ms, released};
use lastfd::internal::event::{
    Call, Change, Client, Descriptor, DescriptorKind, Event, Label, Log, Outcome as Got, What,
};
use lastfd::internal::measure::{self, Findings, Policy, PolicyEvidence, Rhythm};

fn policy(found: &Findings) -> Option<Policy> {
    found.policy.policy.value()
}

#[test]
fn every_policy_is_told_by_what_it_does() {
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
    for (name, expected) in all {
        let found = measured(name);
        assert_eq!(policy(&found), Some(expected), "{name}: {:?}", found.policy.evidence);
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

/// A call of the server that fails for want of a descriptor.
fn failing(name: Call) -> What {
    What::Call { pid: 100, name, ret: -24, on: None }
}

#[test]
fn an_accept_loop_is_dead_only_when_it_stays_silent_after_clients_left() {
    let accepts = changed("dead", |events| events.push(accept(1301.5, 8)));
    assert_eq!(policy(&accepts), Some(Policy::Unclear));
    // Java's com.sun.net.httpserver: its other threads cannot open files, and nobody tries to accept.
    let others = changed("dead", |events| events.push(event(1301.5, failing(Call::Openat))));
    assert_eq!(policy(&others), Some(Policy::AcceptLoopDead), "another call is no try to accept");
    let tries = changed("dead", |events| events.push(event(1301.5, failing(Call::Accept4))));
    assert_eq!(policy(&tries), Some(Policy::Unclear));
}

#[test]
fn a_listener_that_ends_with_its_process_was_not_let_go_of_before() {
    let closed = |exits: bool| {
        let found = changed("dead", |events| {
            events.retain(|e| !matches!(e.is, What::Probe { .. }));
            let exit = What::Process { pid: 100, parent: 1, change: Change::Exit };
            events.extend(exits.then(|| event(1301.0, exit)));
            let (workload, label, detail) = ("flood".into(), Label::AfterAll, String::new());
            let (outcome, connect_s, answer_s) = (Got::Refused, None, None);
            let asked = What::Probe { workload, label, outcome, detail, connect_s, answer_s };
            events.push(event(1301.5, asked));
        });
        matches!(found.policy.evidence.get(), Some(PolicyEvidence::ListenerClosed { .. }))
    };
    assert_eq!((closed(false), closed(true)), (true, false));
}

#[test]
fn an_accept_loop_that_lets_go_of_its_listener_is_dead_and_sheds_nobody() {
    let of = |outcome| {
        changed("dead", |events| {
            events.retain(|e| !matches!(e.is, What::Probe { .. }));
            // The last of them waited for longer than a client that is turned away does.
            events.extend((8..12).map(|id| client(if id < 11 { 60.0 } else { 1090.0 }, id, Client::Closed)));
            let (workload, label, detail) = ("flood".into(), Label::Saturated, String::new());
            let asked = What::Probe { workload, label, outcome, detail, connect_s: None, answer_s: None };
            events.push(event(1299.0, asked));
        })
    };
    let refused = of(Got::Refused);
    assert_eq!(policy(&refused), Some(Policy::AcceptLoopDead), "{:?}", refused.policy.evidence);
    assert_eq!(refused.policy.evidence.get(), Some(&PolicyEvidence::ListenerClosed { reset: 4 }));
    let account = refused.clients_account.get().expect("twelve clients");
    assert_eq!((account.held, account.turned_away, account.closed), (8, 4, 0), "it held none of the four");
    assert_ne!(policy(&of(Got::Waits)), Some(Policy::Sheds), "nobody was accepted, so nobody was shed");
}

#[test]
fn a_process_that_is_started_by_somebody_else_takes_nobodys_place() {
    let with_parent = |parent: i32| {
        policy(&changed("worker-restarts", |events| {
            for event in events {
                if let What::Process { parent: of, change: Change::Fork, .. } = &mut event.is {
                    *of = parent;
                }
            }
        }))
    };
    assert_eq!(with_parent(100), Some(Policy::WorkerRestarts), "of the master");
    assert_eq!(with_parent(50), Some(Policy::Exits), "of the harness");
}

/// The first connection it held is closed after half a second, the next one soon after it, and so on; whoever
/// waited comes in.
#[test]
fn a_server_that_closes_idle_connections_sheds_nobody() {
    let (mut plan, mut log) = log::told("spin");
    of_silent_clients(&mut plan);
    let served = |is: &What| matches!(is, What::Client { state: Client::Served, .. });
    log.events.retain(|e| e.at > ms(1400.0) || !served(&e.is));
    for id in 0..4 {
        let (at, fd) = (540.0 + 10.0 * f64::from(id), 8 + id as i32);
        log.events.extend([
            close(at, fd),
            client(at + 0.1, id, Client::Closed),
            accept(at + 0.2, fd.into()),
            close(at + 300.0, fd),
            client(at + 300.1, 8 + id, Client::Closed),
        ]);
    }
    let m = measure::measure(&plan, &Log::new(log.events));
    assert_eq!(policy(&m), Some(Policy::Spin), "{:?}", m.policy.evidence);
    let evidence = m.policy.evidence.get().unwrap();
    assert!(matches!(evidence, PolicyEvidence::Rhythm { held_closed: 4, .. }), "{evidence:?}");
}

/// Each of its connections needs a second descriptor, and three that did not get theirs are closed; two
/// hundred wait all the same.
#[test]
fn a_server_that_leaves_hundreds_waiting_sheds_nobody() {
    let waiting = |clients: u32| {
        let come = (100..100 + clients).map(|id| client(49.0, id, Client::Connected));
        policy(&changed("sheds", |events| events.extend(come)))
    };
    assert_eq!(waiting(30), Some(Policy::Sheds));
    assert_ne!(waiting(200), Some(Policy::Sheds));
}

/// What floods the observer after clients left says nothing of the failures before: those were all seen.
#[test]
fn a_storm_whose_pauses_differ_is_one_also_when_it_floods_later() {
    let third = ms(640.0);
    let of = |at| {
        policy(&changed("storm", |events| {
            let burst = |e: &&mut Event| failed(e) && (third..third + ms(100.0)).contains(&e.at);
            events.iter_mut().filter(burst).for_each(|e| e.at += ms(120.0));
            events.push(Event { at, is: What::SamplingStopped });
        }))
    };
    assert_eq!(of(released(&log::told("storm").1.events) + 1), Some(Policy::Storm));
    assert_ne!(of(third), Some(Policy::Storm), "the gaps may be the observer's");
}

/// ngircd makes a pipe for each connection that asks for its name to be looked up: with an odd number left
/// that fails first.
#[test]
fn a_loop_that_spins_in_accept_is_told_so_also_where_another_call_failed_first() {
    let m = log::with("spin", 39.999, What::Call { pid: 100, name: Call::Pipe2, ret: -24, on: None });
    let first = m.ceiling.first_failure.get().expect("a failure").call;
    assert_eq!((first, policy(&m)), (Call::Pipe2, Some(Policy::Spin)));
    let evidence = m.policy.evidence.get().expect("an evidence");
    assert!(matches!(evidence, PolicyEvidence::Rhythm { call: Call::Accept4, .. }), "{evidence:?}");
}

#[test]
fn calls_that_are_answered_and_leave_are_not_shed() {
    let accepted_and_closed: Vec<Event> = (0..4)
        .map(|n| 1110.0 + 10.0 * f64::from(n))
        .flat_map(|at| [accept(at, 16), close(at + 2.0, 16)])
        .collect();
    let answered = changed("three-answers", |events| {
        events.extend(accepted_and_closed.clone());
        events.extend((10..14).map(|id| {
            let (outcome, step, errno, connect_s) = (Some(Got::Served), None, None, Some(0.0001));
            let (workload, took_s, handshakes) = ("service-a".into(), 0.0015, 0);
            let (resumed, kept, late_s, held) = (0, None, None, false);
            let ended = What::CallEnded {
                workload,
                id,
                outcome,
                step,
                errno,
                connect_s,
                took_s,
                tls_s: None,
                first_byte_s: None,
                handshakes,
                resumed,
                kept,
                late_s,
                held,
            };
            event(1111.0 + 10.0 * f64::from(id - 10), ended)
        }));
    });
    assert_eq!(policy(&answered), Some(Policy::Spin));
    let unexplained = |more: Option<Event>| {
        changed("spin", |events| events.extend(accepted_and_closed.iter().cloned().chain(more)))
    };
    assert_eq!(policy(&unexplained(None)), Some(Policy::Sheds), "nobody had left");
    let (address, new_client) = ("127.0.0.1:9001".into(), Some(Got::Served));
    let other = What::OtherListener { address, queue: 0, capacity: 5, drops: None, new_client };
    let elsewhere = unexplained(Some(event(1109.999, other)));
    assert_eq!(policy(&elsewhere), Some(Policy::Spin), "{:?}", elsewhere.policy.evidence);
}

#[test]
fn pauses_in_which_it_was_ready_and_given_no_processor_are_not_its_own() {
    // Read at 50 and at 1050 ms: it ran and waited for so many milliseconds meanwhile.
    let ready = |ran_ms: f64, waited_ms: f64| {
        changed("storm", |events| {
            let read = |at, ran_s, waited_s| {
                event(at, What::Ready { pid: 100, ran_s, waited_s, all_s: ran_s + waited_s })
            };
            events.extend([read(50.0, 2.0, 3.0), read(1050.0, 2.0 + ran_ms / 1e3, 3.0 + waited_ms / 1e3)]);
        })
        .policy
        .policy
        .value()
    };
    assert_eq!(ready(330.0, 660.0), Some(Policy::Spin), "ready for 990 of 1000 ms");
    assert_eq!(ready(200.0, 500.0), Some(Policy::Unclear));
    assert_eq!(ready(50.0, 250.0), Some(Policy::Storm), "asleep for 700 of 1000 ms");
    assert_eq!(ready(950.0, 20.0), Some(Policy::Storm), "it had a processor whenever it wanted one");
}

/// The log of `name`, whose server has a second listener, a Unix socket by the number 6, and whose accepts
/// are of the listener by number 4: that of its clients.
fn with_an_admin_socket(name: &str, change: impl FnOnce(&mut Vec<Event>)) -> Findings {
    changed(name, |events| {
        for event in events.iter_mut() {
            match &mut event.is {
                What::Baseline { inventory, .. } => {
                    inventory.iter_mut().filter(|d| d.fd == 3).for_each(|d| d.detail += " LISTEN");
                    inventory.retain(|d| d.fd != 6);
                    let detail = "/run/admin stream listening".into();
                    inventory.push(Descriptor { fd: 6, kind: DescriptorKind::Unix, detail });
                }
                What::Call { ret: -24, on, .. } => *on = Some(3),
                _ => {}
            }
        }
        change(events);
    })
}

/// A thread that accepts on an admin socket fails in the same table of descriptors: its tries say nothing of
/// the loop that the clients wait for.
#[test]
fn the_policy_is_the_loaded_listeners_and_that_of_another_is_named_beside_it() {
    let spins = |events: &mut Vec<Event>| {
        events.extend((0..400).map(|n| log::fails_on(42.05 + f64::from(n) * 4.0, 6)));
        events.push(event(1650.0, What::Muted { pid: 100, on: 6 }));
    };
    let m = with_an_admin_socket("fixed-delay", spins);
    let other =
        |m: &Findings| m.other_policies.iter().map(|o| (o.listener.clone(), o.policy)).collect::<Vec<_>>();
    assert_eq!(policy(&m), Some(Policy::FixedDelay), "{:?}", m.policy.evidence);
    assert_eq!(other(&m), [("unix:/run/admin".to_owned(), Policy::Spin)]);
    // The other way round: four equal pauses of half a second.
    let pauses = |events: &mut Vec<Event>| {
        events.extend((0..4).map(|n| log::fails_on(42.5 + f64::from(n) * 500.0, 6)));
    };
    let m = with_an_admin_socket("backoff", pauses);
    assert_eq!(policy(&m), Some(Policy::Backoff), "{:?}", m.policy.evidence);
    let [other] = &m.other_policies[..] else { panic!("{:?}", m.other_policies) };
    assert_eq!((other.policy, other.failures), (Policy::FixedDelay, 3), "one came after the first had left");
    assert!((other.pause_s.expect("a pause") - 0.5).abs() < 0.001, "{other:?}");
}

#[test]
fn accepts_that_fail_on_other_listeners_only_leave_the_policy_unclear() {
    let m = with_an_admin_socket("fixed-delay", |events| {
        for event in events {
            if let What::Call { ret: -24, on, .. } = &mut event.is {
                *on = Some(6);
            }
        }
    });
    assert_eq!(policy(&m), Some(Policy::Unclear));
    let evidence = m.policy.evidence.get();
    assert!(matches!(evidence, Some(PolicyEvidence::OnlyBeside { failures: 8, waiting: 4 })), "{evidence:?}");
    assert_eq!(m.ceiling.accepted.value(), Some(8), "the table is full all the same");
}
