//! The pauses between the tries of an accept loop.

use super::near;
use crate::log::{self, accept, changed, client, close, failed, measured, ms};
use lastfd::internal::event::{Client, Event};
use lastfd::internal::judge::{self, Expectation, Observed};
use lastfd::internal::measure::{self, Policy, PolicyEvidence, Rhythm};
use lastfd::internal::scenario::ExpectDelay;

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
fn the_pauses_between_tries_are_measured_and_judged_within_a_tenth() {
    let judged = |name: &str, first_s: f64, longest_s: f64| {
        let (mut plan, log) = log::told(name);
        plan.expect.delay = Some(ExpectDelay { first_s, longest_s });
        let verdict = judge::judge(&plan, &measure::measure(&plan, &log));
        let of_delay = |reason: &judge::Reason| reason.expectation == Expectation::Delay;
        verdict.reasons.into_iter().find(of_delay).map(|reason| reason.observed)
    };
    // Half a second and up to a millisecond more; 5.1 ms at first, later delays up to 0.2 ms late: 5 ms,
    // doubled seven times.
    let of = |name| measured(name).policy.delay_s.value().expect("a delay");
    let fixed = of("fixed-delay");
    assert!(near(Some(fixed.first), 0.5005) && fixed.longest == fixed.first);
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
        let observed = judged(name, first_s, longest_s);
        assert!(matches!(observed, Some(Observed::Delay(_))), "{name} {first_s} {longest_s}");
    }
    assert_eq!(judged("spin", 1.0, 1.0), Some(Observed::NoPauses(Policy::Spin)));
    assert!(matches!(judged("unclear", 1.0, 1.0), Some(Observed::NotMeasured(_))));
}

/// Idle connections are closed, so that after its delay it accepts for 0.2 s, then for 0.5 s, before it fails
/// again.
#[test]
fn a_delay_lasts_until_the_next_try_and_not_until_the_next_failure() {
    let (third, fourth) = (1043.5, 1544.0);
    let policy = changed("fixed-delay", |events| {
        events.iter_mut().filter(|e| e.at >= ms(fourth)).for_each(|e| e.at += ms(500.0));
        events.iter_mut().filter(|e| e.at >= ms(third)).for_each(|e| e.at += ms(200.0));
        events.extend([close(1000.0, 8), accept(third, 8), close(1600.0, 9), accept(fourth + 200.0, 9)]);
    })
    .policy;
    let gaps = &policy.retry_gaps_s;
    assert!(gaps.windows(2).all(|w| w[1] > w[0] * 1.3), "from failure to failure it grows: {gaps:?}");
    assert_eq!(policy.policy.value(), Some(Policy::FixedDelay), "{:?}", policy.evidence);
    assert!(near(policy.delay_s.value().map(|d| d.longest), 0.5005), "{:?}", policy.delay_s);
}

/// As of a TLS proxy: a place that a failed client freed is given away before the pause that follows is over.
#[test]
fn a_pause_that_ends_in_an_accept_does_not_hide_the_constant_ones() {
    let of = |change: &dyn Fn(&mut Vec<Event>)| {
        changed("fixed-delay", |events| {
            events.retain(|e| !failed(e) || e.at <= ms(50.0));
            events.extend([close(100.0, 8), accept(560.0, 8)]);
            events.extend([590.0, 890.0, 1190.0, 1490.0].map(|at| accept(at, -24)));
            change(events);
        })
        .policy
    };
    let delay = of(&|_| ());
    assert_eq!(delay.policy.value(), Some(Policy::FixedDelay), "{:?}", delay.evidence);
    let Some(PolicyEvidence::Rhythm { rhythm: Rhythm::Fixed { gap_s, gaps: 3 }, .. }) = delay.evidence.get()
    else {
        panic!("{:?}", delay.evidence)
    };
    assert!((gap_s - 0.3).abs() < 0.0005, "{gap_s}");
    let one = of(&|events| events.retain(|e| !(ms(600.0)..ms(1700.0)).contains(&e.at)));
    assert_eq!(one.policy.value(), Some(Policy::Unclear), "one pause is no pattern");
}

/// Each client that arrives wakes an edge-triggered loop.
#[test]
fn a_loop_that_also_fails_for_each_arrival_has_the_delay_that_it_has_alone() {
    const ARRIVALS: u32 = 200;
    let m = changed("backoff", |events| {
        let first = 42.2;
        events.iter_mut().filter(|e| e.at >= ms(first)).for_each(|e| e.at += ms(ARRIVALS.into()));
        for n in 0..ARRIVALS {
            let at = first + f64::from(n);
            events.extend([client(at, 1000 + n, Client::Connected), accept(at + 0.1, -24)]);
        }
    });
    assert_eq!(m.policy.policy.value(), Some(Policy::Backoff), "{:?}", m.policy);
}
