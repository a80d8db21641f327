//! Numbers and words that are compared as the table of metrics says: one way for all of them.

use super::wall::TIMER_LATE_S;
use super::{Because, Compared, Expectation, Expected, Judge, NotMeasured, Observed};
use crate::measure::{Findings, Known, Latency};
use crate::scenario::formula::Values;
use crate::scenario::{AmountBound, Aspect, Kept, Metric, Unit, Wanted};

/// Runs that a recorded time is the middle of, at least. Fewer do not show how much it varies by itself.
pub const RUNS_FOR_TIMES: u32 = 3;
/// CPU time is counted in ticks of 10 ms: shares that differ by less than this are the same, percent.
const CPU_TICK: f64 = 1.0;

impl Judge<'_> {
    pub(super) fn amounts(&mut self) {
        for (metric, amount) in &self.expect.amounts {
            let compared = value(self.found, *metric).and_then(|value| {
                let (kept, [least, most]) = match &amount.wanted {
                    Wanted::Between { least, most } => {
                        (None, [self.bound(least.as_ref())?, self.bound(most.as_ref())?])
                    }
                    Wanted::NoWorse { by_percent, kept, scenario } => {
                        let not_recorded = || NotMeasured::NotRecorded { scenario: scenario.clone() };
                        let kept = kept.ok_or_else(not_recorded)?;
                        (Some(kept), no_worse(*metric, kept, *by_percent)?)
                    }
                };
                let met = least.is_none_or(|least| value >= least) && most.is_none_or(|most| value <= most);
                let because = because(self.found, *metric);
                Ok((met, Observed::Amount { value, least, most, kept, because }))
            });
            self.compare(Expectation::Amount(*metric), Expected::Amount(amount.clone()), compared);
        }
    }

    /// What an end of a range comes to under the limits in force.
    fn bound(&self, bound: Option<&AmountBound>) -> Result<Option<f64>, NotMeasured> {
        let values = |formula: &str| -> Result<(String, Values), NotMeasured> {
            let limits = self.found.limits.effective.known()?;
            let baseline = *self.found.baseline.counted.known()?;
            Ok((formula.to_owned(), Values { soft: limits.soft, hard: limits.hard, baseline }))
        };
        match bound {
            None => Ok(None),
            Some(AmountBound::Number(number)) => Ok(Some(*number)),
            Some(bound @ AmountBound::Formula(text)) => {
                let (formula, values) = values(text)?;
                let number = bound.number(values);
                number.map(Some).map_err(|why| NotMeasured::NoCount { formula, why, values })
            }
        }
    }

    pub(super) fn aspects(&mut self) {
        for (aspect, accepted) in &self.expect.aspects {
            let compared: Compared = word(self.found, *aspect).map(|seen| {
                let fits = |accepted: &String| match (&seen, aspect) {
                    (Some(seen), Aspect::ErrorReply) => seen.contains(accepted.as_str()),
                    (Some(seen), _) => seen == accepted,
                    (None, _) => false,
                };
                let because = match aspect {
                    Aspect::Binds => self.found.binds.get().map(|b| Because::Binds(b.evidence.clone())),
                    Aspect::CeilingKind => first_failure(self.found),
                    Aspect::NewClient => policy(self.found),
                    _ => None,
                };
                (accepted.iter().any(fits), Observed::Word { seen, because })
            });
            self.compare(Expectation::Aspect(*aspect), Expected::AnyOf(accepted.clone()), compared);
        }
    }
}

/// The least and the most that are no worse than what is recorded, by so much.
///
/// The worst of the recorded runs was made without a regression, so what is no worse than that one by the
/// percentage is not called one. Where the recorded runs differ among themselves by more than the percentage,
/// no single run can tell so small a change.
///
/// # Errors
/// The recorded runs differ by more than that, or there are too few to know.
pub fn no_worse(metric: Metric, kept: Kept, by_percent: f64) -> Result<[Option<f64>; 2], NotMeasured> {
    let share = by_percent / 100.0;
    let exact = match metric.unit() {
        Unit::Seconds => TIMER_LATE_S,
        Unit::Percent => CPU_TICK,
        _ => 0.0,
    };
    let (few, spread) = (kept.runs < RUNS_FOR_TIMES, kept.most - kept.least);
    if metric.is_timed() && few || spread > (kept.median.abs() * share).max(exact) {
        return Err(NotMeasured::Noise { metric, kept, by_percent });
    }
    Ok(match metric.less_is_worse() {
        true => [Some(kept.least - kept.least.abs() * share - exact), None],
        false => [None, Some(kept.most + kept.most.abs() * share + exact)],
    })
}

/// What a run measured of a metric, in its unit.
///
/// # Errors
/// Why it has no value.
pub fn value(found: &Findings, metric: Metric) -> Result<f64, NotMeasured> {
    let (ceiling, costs, recovery) = (&found.ceiling, &found.costs, &found.recovery);
    let count = |known: &Known<u64>| Ok(*known.known()? as f64);
    let number = |known: &Known<f64>| Ok(*known.known()?);
    let absent = NotMeasured::Absent(metric);
    let queue = || found.sockets.accept_queue.known();
    // Of several workloads of calls, each has its own: one number cannot be all of them.
    let calls = || match found.calls.as_slice() {
        [only] => Ok(only),
        _ => Err(NotMeasured::Absent(metric)),
    };
    let took = |which: fn(&Latency) -> f64| Ok(which(calls()?.latency_s.known()?));
    match metric {
        Metric::SoftLimit => Ok(found.limits.effective.known()?.soft as f64),
        Metric::HardLimit => Ok(found.limits.effective.known()?.hard as f64),
        Metric::Baseline => count(&found.baseline.descriptors),
        Metric::GrowthPerS => match (&found.baseline.growth, found.baseline.settled.known()?) {
            (Some(growth), _) => Ok(growth.per_s),
            (None, true) => Ok(0.0),
            (None, false) => Err(absent),
        },
        Metric::Launch => number(&found.timings.launch_s),
        Metric::Capacity => count(&ceiling.capacity),
        Metric::Accepted => count(&ceiling.accepted),
        Metric::Served => count(&ceiling.served),
        Metric::Burst => count(&ceiling.burst.as_ref().ok_or(absent)?.served),
        Metric::Descriptors => count(&ceiling.descriptors),
        Metric::DescriptorsPerConnection => number(&ceiling.descriptors_per_connection),
        Metric::IdleTimeout => Ok(ceiling.idle_timeout.ok_or(absent)?.after_s),
        Metric::FailuresPerS => number(&costs.failures_per_s),
        Metric::CpuPercent => number(&costs.cpu_percent),
        Metric::LogBytesPerS => number(&costs.log_bytes_per_s),
        Metric::HeldClosed => count(&found.held_closed),
        Metric::AcceptQueue => Ok(f64::from(queue()?.length)),
        Metric::QueueOverflows => Ok(f64::from(*queue()?.overflows.known()?)),
        Metric::MemoryBytes => count(&found.memory.wall_bytes),
        Metric::MemoryGrowthPerS => number(&found.memory.growth_bytes_per_s),
        Metric::FirstServed => number(&recovery.first_served_s),
        Metric::QueueDrained => number(&recovery.queue_drained_s),
        Metric::WaitersServed => count(&recovery.waiters_served),
        Metric::RecoversWithin => number(&recovery.new_client_served_s),
        Metric::Leaked => Ok(*recovery.leaked.known()? as f64),
        Metric::OpenedOnce => count(&recovery.opened_once),
        Metric::CallsPerS => number(&calls()?.per_s),
        Metric::CallP50 => took(|latency| latency.p50),
        Metric::CallP99 => took(|latency| latency.p99),
        Metric::HandshakesPerCall => number(&calls()?.handshakes_per_call),
        Metric::DescriptorsPer1000Calls => number(&calls()?.descriptors_per_1000_calls),
    }
}

/// What a run came to; `None`: no client got an error reply.
fn word(found: &Findings, aspect: Aspect) -> Result<Option<String>, NotMeasured> {
    Ok(match aspect {
        Aspect::CeilingKind => Some(found.ceiling.kind.known()?.name().to_owned()),
        Aspect::Binds => Some(found.binds.known()?.resource.name().to_owned()),
        Aspect::NewClient => Some(found.new_client.known()?.name().to_owned()),
        Aspect::ErrorReply => found.error_replies.as_ref().map(|replies| replies.first.clone()),
    })
}

/// What was seen beside it that a reader would ask for next.
fn because(found: &Findings, metric: Metric) -> Option<Because> {
    match metric {
        Metric::SoftLimit | Metric::HardLimit => set_by(found),
        Metric::Leaked | Metric::OpenedOnce => leaks(found),
        Metric::RecoversWithin => found.end.get().map(|end| Because::End(end.verdict, end.evidence.clone())),
        metric if metric.needs_clients() => first_failure(found),
        metric if metric.of_the_limit() => policy(found),
        _ => None,
    }
}

pub(super) fn set_by(found: &Findings) -> Option<Because> {
    found.limits.set_by.get().cloned().map(Because::SetBy)
}

pub(super) fn leaks(found: &Findings) -> Option<Because> {
    (!found.leaks.is_empty()).then(|| Because::Leaks(found.leaks.clone()))
}

pub(super) fn first_failure(found: &Findings) -> Option<Because> {
    let first = found.ceiling.first_failure.get()?;
    let limits = found.limits.effective.value();
    Some(Because::Failed { call: first.call, errno: first.errno, soft: limits.map(|limits| limits.soft) })
}

fn policy(found: &Findings) -> Option<Because> {
    let seen = &found.policy;
    seen.policy.value().zip(seen.evidence.get()).map(|(policy, why)| Because::Policy(policy, why.clone()))
}
