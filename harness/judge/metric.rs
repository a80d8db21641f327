//! The value of a metric in a run, and how far it may be from what is recorded. Pure.

use super::reason::NotMeasured;
use crate::measure::{Findings, Known, Latency};
use crate::scenario::{Kept, Metric, Unit};

/// The least number of runs behind a recorded time. Fewer do not show how much the time varies between runs.
pub const RUNS_FOR_TIMES: u32 = 3;
/// CPU time is counted in ticks of 10 ms: shares that differ by less than this are the same, percent.
const CPU_TICK: f64 = 1.0;
/// A time may be later by so much, seconds, and is the same: a timer is late by that on a busy machine, which
/// is as long as the shortest delays in use.
pub(super) const TIMER_LATE_S: f64 = 0.005;

/// The least and the greatest value that is worse than the recorded runs by no more than `by_percent`.
///
/// The worst of the recorded runs was made without a regression, so a value that is worse by less than the
/// percentage is no regression. Where the recorded runs differ among themselves by more than the percentage,
/// no single run can show so small a change.
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

/// The value of a metric in a run, in its unit.
///
/// # Errors
/// Why it has no value.
pub fn value(found: &Findings, metric: Metric) -> Result<f64, NotMeasured> {
    let (ceiling, costs, recovery) = (&found.ceiling, &found.costs, &found.recovery);
    let count = |known: &Known<u64>| Ok(*known.known()? as f64);
    let number = |known: &Known<f64>| Ok(*known.known()?);
    let absent = NotMeasured::Absent(metric);
    let queue = || found.sockets.accept_queue.known();
    // Each of several workloads of calls has a number of its own: one number cannot stand for all.
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
