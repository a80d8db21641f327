//! The calls of each workload of calls: how many, how long they took, how they ended, and what they cost the
//! subject in descriptors.

use super::baseline::Baseline;
pub use super::facts::Way;
use super::facts::{Facts, Made, Over, answered_by, busy};
use super::known::{Known, OrWhy, Why};
use super::latency::{Latency, latency};
use super::open_loop::{OpenLoop, open_loop};
use super::units::{milli, seconds};
use crate::event::{CallStep, Nanos, Outcome, Phase, States};
use crate::scenario::Caller;

/// Ways to end that are listed, at most.
const ENDS: usize = 20;

/// The calls of one workload that were begun before any client was told to leave.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct CallsMade {
    /// The workload's name.
    pub workload: String,
    /// The kind of call.
    pub caller: Caller,
    /// Calls begun.
    pub started: u64,
    /// Calls answered as asked.
    pub completed: u64,
    /// How they ended, in the order in which each way was first met; those answered among them.
    pub ends: Vec<CallEnds>,
    /// Calls answered before the subject's first failed descriptor call.
    pub completed_before_first_failure: Known<u64>,
    /// Calls that were begun before that failure and answered after it: so many at a time had what they
    /// needed.
    pub under_way_at_first_failure: Known<u64>,
    /// Calls answered a second, up to the first failure, while any were to be made.
    pub per_s: Known<f64>,
    /// Latency of the calls answered up to the first failure.
    pub latency_s: Known<Latency>,
    /// For calls at a rate: latencies from the intended send times, and how well those times were kept.
    pub open_loop: Known<OpenLoop>,
    /// Connections made for them.
    pub connections: u64,
    /// TLS handshakes completed.
    pub handshakes: u64,
    /// Handshakes that resumed an earlier session.
    pub resumed: u64,
    /// TLS handshakes per call, over the calls answered up to the first failure.
    pub handshakes_per_call: Known<f64>,
    /// Descriptors that the subject had open beyond those at rest, less one for each call under way that had
    /// one, per 1000 calls answered.
    pub descriptors_per_1000_calls: Known<f64>,
}

/// Calls of one workload that ended in the same way.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct CallEnds {
    /// Their outcome.
    pub outcome: Known<Outcome>,
    /// The step at which they stopped.
    pub step: Known<CallStep>,
    /// The errno of the system call that failed.
    pub errno: Known<i32>,
    /// How many.
    pub calls: u64,
    /// Seconds since the run's start, when the first of them began.
    pub first_at_s: f64,
    /// Median of the time that they took.
    pub took_s: f64,
    /// Length of the subject's accept queue when the first of them began.
    pub accept_queue: Known<u32>,
    /// Sockets of the subject's port by state, as last counted before that.
    pub tcp_states: Known<States>,
}

impl CallEnds {
    /// How they ended.
    pub fn way(&self) -> Way {
        Way { outcome: self.outcome.value(), step: self.step.value(), errno: self.errno.value() }
    }
}

/// The calls of each workload, if the run made any.
pub(super) fn calls(facts: &Facts<'_>, baseline: &Baseline) -> Vec<CallsMade> {
    if !facts.phases.loaded() {
        return Vec::new();
    }
    let cost = per_1000(facts, baseline);
    facts.calls.0.iter().map(|made| one(facts, made, &cost)).collect()
}

fn one(facts: &Facts<'_>, made: &Made<'_>, cost: &Result<f64, Why>) -> CallsMade {
    let released = facts.phases.released_from();
    let first = facts.holdings.first.map(|first| first.at);
    let limit = first.unwrap_or(facts.phases.watched_until()).min(released);
    // Calls begun before any client was told to leave, however they ended.
    let all: Vec<&Over> = made.ended.iter().filter(|call| call.began < released).collect();
    let good: Vec<&Over> = made.ended.iter().filter(|call| call.answered() && call.at < limit).collect();
    let span = good.iter().map(|call| call.began).min().zip(good.iter().map(|call| call.at).max());
    let busy = span.map(|(from, to)| busy(&made.paced, from, to)).filter(|busy| *busy > 0);
    let shaken: u64 = good.iter().map(|call| u64::from(call.handshakes)).sum();
    // One for many is not none: six digits.
    let each = (!good.is_empty()).then(|| (shaken as f64 / good.len() as f64 * 1e6).round() / 1e6);
    CallsMade {
        workload: made.workload.to_owned(),
        caller: made.caller,
        started: (all.len() + made.dropped.len()) as u64,
        completed: all.iter().filter(|call| call.answered()).count() as u64,
        ends: ends(facts, made, &all),
        completed_before_first_failure: first
            .map(|first| answered_by(&made.ended, first))
            .or_why(Why::NoFailureOfSubject),
        under_way_at_first_failure: first
            .map(|first| {
                all.iter().filter(|c| c.answered() && c.began <= first && c.at > first).count() as u64
            })
            .or_why(Why::NoFailureOfSubject),
        per_s: busy.map(|busy| milli(good.len() as f64 / seconds(busy))).or_why(Why::NoCallWasAnswered),
        latency_s: latency(good.iter().map(|call| call.took_s).collect()).or_why(Why::NoCallWasAnswered),
        open_loop: open_loop(made, limit),
        connections: all.iter().filter(|call| call.connected).count() as u64,
        handshakes: all.iter().map(|call| u64::from(call.handshakes)).sum(),
        resumed: all.iter().map(|call| u64::from(call.resumed)).sum(),
        handshakes_per_call: each.or_why(Why::NoCallWasAnswered),
        descriptors_per_1000_calls: match cost {
            Ok(cost) if made.counts => Known::Value(*cost),
            Ok(_) => Known::Unknown(Why::NotTheSubjectsCalls),
            Err(why) => Known::Unknown(why.clone()),
        },
    }
}

/// The ways in which calls ended, in the order in which they began to, with what the subject's listener
/// looked like then.
fn ends(facts: &Facts<'_>, made: &Made<'_>, all: &[&Over]) -> Vec<CallEnds> {
    let mut by_start = all.to_vec();
    by_start.sort_by_key(|call| (call.began, call.at, call.outcome.map(|o| o as u8), call.step, call.errno));
    let mut ways: Vec<(Way, Nanos, Vec<f64>)> = Vec::new();
    for call in by_start {
        match ways.iter().position(|(way, ..)| *way == call.way()) {
            Some(known) => ways[known].2.push(call.took_s),
            None if ways.len() < ENDS => ways.push((call.way(), call.began, vec![call.took_s])),
            None => {}
        }
    }
    ways.into_iter().map(|(way, began, took)| ended(facts, made, way, began, took)).collect()
}

fn ended(facts: &Facts<'_>, made: &Made<'_>, way: Way, began: Nanos, took: Vec<f64>) -> CallEnds {
    let then = began.saturating_add(1);
    let queue = facts.readings.samples_between(0, then).iter().rev().find_map(|sample| sample.queue);
    let sockets = facts.readings.sockets.iter().rfind(|sockets| sockets.at < then);
    let called = made.to_subject;
    CallEnds {
        outcome: way.outcome.or_why(Why::CallersOwnSide),
        step: way.step.or_why(Why::ItWasAnswered),
        errno: way.errno.or_why(Why::NoCallFailed),
        calls: took.len() as u64,
        first_at_s: seconds(began),
        took_s: latency(took).map_or(0.0, |latency| latency.p50),
        accept_queue: queue.filter(|_| called).or_why(Why::NotCalledOrQueueNotSampled),
        tcp_states: sockets.map(|s| s.port.clone()).filter(|_| called).or_why(Why::NotCalledOrNotListed),
    }
}

/// Descriptors that 1000 answered calls leave open in the subject, when the first call failed; each call
/// under way is taken to have one. Several may have more: where several are under way, the descriptors are
/// those after all calls were over, if that was sampled.
fn per_1000(facts: &Facts<'_>, baseline: &Baseline) -> Result<f64, Why> {
    if !facts.calls.0.iter().any(|made| made.counts) {
        return Err(Why::NoCallsOfTheSubject);
    }
    let rest = baseline.descriptors.value().ok_or(Why::RestUnknown)?;
    let (ramp, released) = (facts.phases.from(Phase::Ramp), facts.phases.released_from());
    let samples = facts.readings.samples_between(ramp, released).iter();
    let own = || samples.clone().filter(|sample| Some(sample.pid) == facts.processes.main);
    let first = facts.holdings.first.map_or(Nanos::MAX, |first| first.at);
    let watched = facts.phases.watched_until();
    let sample = own().find(|sample| sample.at >= first).or(own().rev().find(|sample| sample.at < watched));
    let mut sample = sample.ok_or(Why::NotSampledWhileCalling)?;
    if facts.calls.under_way(sample.at) > 1 {
        let after = own().rev().find(|sample| sample.at < watched && facts.calls.under_way(sample.at) == 0);
        sample = after.unwrap_or(sample);
    }
    let (answered, under_way) = facts.calls.around(sample.at);
    if answered == 0 {
        return Err(Why::NoCallAnsweredBeforeSample);
    }
    let grown = sample.descriptors.saturating_sub(rest).saturating_sub(under_way);
    Ok(milli(grown as f64 * 1000.0 / answered as f64))
}
