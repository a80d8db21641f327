//! What becomes of a subject when clients leave.

use super::{near, report};
use crate::log::{accept, began, changed, client, measured, ms, with};
use lastfd::internal::event::{Client, Event, Label, Outcome as Got, Phase, What};
use lastfd::internal::judge::{Expectation, Observed};
use lastfd::internal::measure::{Findings, Verdict, VerdictEvidence, Why};

#[test]
fn recovery_is_timed_from_the_first_client_that_leaves() {
    let r = measured("spin").recovery;
    assert_eq!(
        (r.released.value(), r.waiters.value(), r.waiters_served.value()),
        (Some(4), Some(4), Some(4))
    );
    assert_eq!((r.leaked.value(), r.recovered.value()), (Some(0), Some(true)));
    assert!(near(r.first_served_s.value(), 0.0025) && near(r.queue_drained_s.value(), 0.010), "{r:?}");
    assert!(near(r.new_client_served_s.value(), 0.012), "{r:?}");
}

#[test]
fn waiters_that_are_turned_away_when_places_are_free_are_counted() {
    assert_eq!(measured("spin").recovery.waiters_turned_away, None);
    let told = client(1500.001, 11, Client::ErrorReply("HTTP 503".into())).is;
    assert_eq!(with("spin", 1500.001, told).recovery.waiters_turned_away, Some(1));
}

#[test]
fn what_stays_open_after_all_left_is_a_leak() {
    assert_eq!(measured("leak").recovery.leaked.value(), Some(3));
    let reasons = report("leak").verdict.reasons;
    assert_eq!(reasons.len(), 1);
    assert_eq!(reasons[0].expectation, Expectation::Leaked);
    assert!(matches!(reasons[0].observed, Observed::Leaked { number: 3, .. }), "{:?}", reasons[0]);
}

/// gRPC's C core takes as many as fit, once a second, of thousands that are gone: that is slow, and not dead.
#[test]
fn a_server_that_is_stuck_behind_a_queue_of_those_who_are_gone_is_seen_to_work_it_off() {
    let of = |taken: u32| {
        changed("three-answers", |events| {
            let at = began(events, Phase::ReleaseAll);
            for event in events.iter_mut() {
                if let What::Probe { label, outcome, .. } = &mut event.is
                    && *label == Label::AfterAll
                {
                    *outcome = Got::Waits;
                }
            }
            events.retain(|e| e.at <= at || !matches!(e.is, What::Call { .. }));
            let late = |n| accept(3000.0 + f64::from(n) / 1000.0, 8 + i64::from(n));
            events.extend((1..=taken).map(late));
        })
    };
    let stuck = of(0);
    assert_eq!(stuck.recovery.recovered.value(), Some(false));
    let end = stuck.end.get().expect("an end");
    let nobody = VerdictEvidence::NobodyServed { meanwhile: None };
    assert_eq!((end.verdict, &end.evidence), (Verdict::Stuck, &nobody));
    let slow = of(3).end;
    let evidence = &slow.get().expect("an end").evidence;
    assert!(matches!(evidence, VerdictEvidence::NobodyServed { meanwhile: Some((3, _)) }), "{evidence:?}");
    assert_eq!(began(&crate::log::told("three-answers").1.events, Phase::ReleaseAll), ms(3000.0));
}

#[test]
fn a_server_that_may_still_close_what_it_holds_is_not_stuck() {
    let waits = |timer| {
        changed("dead", |events| {
            let at = began(events, Phase::Settle) - 1;
            events.push(Event { at, is: What::Waits { pid: 100, timer } });
        })
    };
    let stuck = |m: &Findings| m.end.get().map(|end| end.verdict);
    assert_eq!(
        stuck(&waits(Some(false))),
        Some(Verdict::Stuck),
        "only something that happens to it wakes it"
    );
    for may in [Some(true), None] {
        let m = waits(may);
        assert!(matches!(m.end.why(), Some(Why::NobodyServedWithin { .. })), "{:?}", m.end);
    }
}

/// It has ten descriptors at rest: six that are listed, and four that threads blocked in accept have
/// reserved.
#[test]
fn a_number_that_a_thread_no_longer_reserves_is_not_one_that_it_closed() {
    let leaked = |after: u64| {
        let found = changed("threads", |events| {
            let last = events.iter_mut().rev().find_map(|event| match &mut event.is {
                What::Sample { descriptors, .. } => Some(descriptors),
                _ => None,
            });
            *last.expect("it comes to rest") = after;
        });
        found.recovery.leaked.value()
    };
    assert_eq!([11, 10, 9, 6, 5].map(leaked), [Some(1), Some(0), Some(0), Some(0), Some(-1)]);
}
