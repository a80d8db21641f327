//! Whether the counts of several witnesses agree, each with what it can know.

use crate::log::{self, changed, measured};
use lastfd::internal::event::{Event, Log, Phase, What};
use lastfd::internal::measure::{self, Counter, Note, Why};

#[test]
fn numbers_reserved_by_blocked_threads_are_explained_and_no_conflict() {
    let m = measured("threads");
    assert_eq!((m.ceiling.accepted.value(), m.ceiling.accepted_max.value()), (Some(11), Some(14)));
    assert_eq!(m.ceiling.capacity.value(), Some(14), "each of the other threads takes one client more");
    let counts: Vec<_> = m.witnesses.all.iter().map(|w| w.ceiling.value()).collect();
    assert_eq!(counts, [Some(11), Some(10), Some(11)]);
    assert_eq!(m.witnesses.agreement.value(), Some(true));
    assert!(m.witnesses.notes.iter().any(|note| matches!(note, Note::Reserved { .. })), "{:?}", m.witnesses);
    assert_eq!(m.ceiling.served.why(), Some(&Why::TcpAsksNothing));
}

/// It has closed its listener and opens what its last words quote, just as `/proc` is read.
#[test]
fn a_count_taken_while_a_server_exits_contradicts_nobody() {
    let m = changed("exits", |events| {
        events.retain(|event| !(matches!(event.is, What::Sample { .. }) && event.at == log::ms(39.0)));
        events.iter_mut().filter(|e| e.at > log::ms(42.2)).for_each(|e| e.at += log::ms(150.0));
        events.push(log::close(42.05, 3));
    });
    assert_ne!(m.witnesses.agreement.value(), Some(false), "{:?}", m.witnesses);
}

#[test]
fn an_own_count_may_be_late_by_the_threads_that_accept_and_by_no_more() {
    // Four threads accept, and 11 connections came before the first failure.
    for (own, agreement) in [(11, true), (8, true), (7, true), (6, false), (16, false)] {
        let m = changed("threads", |events| {
            for event in events {
                if let What::OwnCount { before_first_emfile, .. } = &mut event.is {
                    *before_first_emfile = own;
                }
            }
        });
        let found = (m.witnesses.agreement.value(), m.ceiling.accepted.value());
        assert_eq!(found, (Some(agreement), Some(11)), "{own}: {:?}", m.witnesses.notes);
    }
}

#[test]
fn the_count_of_one_worker_is_compared_with_that_workers_connections() {
    let (mut plan, log) = log::told("workers");
    plan.workloads.get_mut("flood").unwrap().clients = Some(15);
    // Before either fails: worker 101 holds 8, worker 102 holds 7, and /proc was read of 101 alone.
    let until = log.events.iter().position(log::failed).unwrap();
    let says = |descriptors: u64| {
        let queue = Some(0);
        let more = [
            What::Sample { pid: 101, descriptors, queue, cpu_s: 0.1, log_bytes: 0 },
            What::Phase(Phase::Saturate),
            What::Phase(Phase::Probe),
            What::End,
        ];
        let later = (1..).zip(more).map(|(n, is)| log::event(40.2 + f64::from(n) * 200.0, is));
        let events: Vec<Event> = log.events[..until].iter().cloned().chain(later).collect();
        measure::measure(&plan, &Log::new(events))
    };
    let m = says(16);
    let found = (m.ceiling.accepted.value(), m.witnesses.agreement.value());
    assert_eq!(found, (Some(15), Some(true)), "{:?}", m.witnesses.notes);
    let of_one = m.witnesses.all.iter().find(|w| w.observer == Counter::Proc).unwrap();
    assert_eq!((of_one.process, of_one.ceiling.value()), (Some(101), Some(8)));
    // 15 more than at rest is the sum, and 101 holds 8 of them: that it equals the sum is no agreement.
    assert_eq!(says(23).witnesses.agreement.value(), Some(false));
}
