//! Calls at a rate, which do not wait for the answers to earlier ones: how long each took from the time at
//! which it was *intended*. A stall then counts for every call that fell into it, and not only for the one
//! that met it (coordinated omission), and a caller that falls behind shows as late sends.

use super::facts::{Made, Over};
use super::known::{Known, OrWhy, Why};
use crate::event::Nanos;
use crate::scenario::Arrivals;

/// A send that starts so long after its intended time is late, seconds: ten times what a thread of an idle
/// machine takes to wake.
pub const LATE_S: f64 = 0.001;

/// With a greater share of late sends the caller fell behind: so many could make up the 99th percentile by
/// themselves.
const LATE_SHARE: f64 = 0.01;

/// A percentile needs so many calls beyond it: with fewer, single calls decide it.
const BEYOND: usize = 10;

/// Calls at a rate that were intended after calibration, and sent before the first failure.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct OpenLoop {
    /// Calls a second that were intended.
    pub per_s: f64,
    /// How they were spread.
    pub arrivals: Arrivals,
    /// The seed from which their gaps were drawn.
    pub seed: Known<u64>,
    /// Calls sent, and over.
    pub sends: u64,
    /// Sent later than 1 ms after their intended time.
    pub late: u64,
    /// The latest, seconds after its intended time.
    pub late_most_s: Known<f64>,
    /// Calls that were kept back, because as many were under way as may be.
    pub held_back: u64,
    /// Whether the caller fell behind (more than 1 % of sends were late, or calls were kept back): latencies
    /// are not the server's alone.
    pub saturated: bool,
    /// Latency of the calls answered, from their intended times to their answers.
    pub from_intended_s: Tail,
    /// Latency of the same calls, from their sends.
    pub from_send_s: Tail,
}

/// How long calls took, seconds, by nearest rank; a percentile needs ten calls beyond it.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct Tail {
    /// Calls.
    pub calls: u64,
    /// Half of them took no longer.
    pub p50: Known<f64>,
    /// Nine of ten.
    pub p90: Known<f64>,
    /// 99 of 100.
    pub p99: Known<f64>,
    /// 999 of 1000.
    pub p999: Known<f64>,
    /// All of them.
    pub max: Known<f64>,
}

/// The result of the calls that were intended after the last order before `limit`, and sent before it.
/// Earlier orders are left out because calibration orders some calls one by one.
pub(super) fn open_loop(made: &Made<'_>, limit: Nanos) -> Known<OpenLoop> {
    let Some(schedule) = made.schedule else { return Known::Unknown(Why::NoRate) };
    let ordered = made.paced.iter().rfind(|(at, goes_on)| *goes_on && *at < limit).map_or(0, |(at, _)| *at);
    let calls = made.ended.iter().filter_map(|call| Some((call, call.late_s?)));
    // To the half of a microsecond: both times are whole nanoseconds in seconds.
    let intended = |call: &Over, late_s: f64| call.began as f64 - late_s * 1e9 + 500.0;
    let sent: Vec<(&Over, f64)> = calls
        .filter(|&(call, late_s)| intended(call, late_s) >= ordered as f64 && call.began < limit)
        .collect();
    let answered = || sent.iter().filter(|(call, _)| call.answered());
    let late = sent.iter().filter(|(_, late_s)| *late_s > LATE_S).count();
    let held_back = sent.iter().filter(|(call, _)| call.held).count();
    Known::Value(OpenLoop {
        per_s: schedule.per_s,
        arrivals: schedule.arrivals,
        seed: (schedule.arrivals == Arrivals::Poisson).then_some(schedule.seed).or_why(Why::NothingDrawn),
        sends: sent.len() as u64,
        late: late as u64,
        late_most_s: sent.iter().map(|(_, s)| *s).reduce(f64::max).or_why(Why::NoCallWasMade),
        held_back: held_back as u64,
        saturated: late as f64 > sent.len() as f64 * LATE_SHARE || held_back > 0,
        from_intended_s: tail(answered().map(|(call, late_s)| late_s + call.took_s).collect()),
        from_send_s: tail(answered().map(|(call, _)| call.took_s).collect()),
    })
}

fn tail(mut took_s: Vec<f64>) -> Tail {
    took_s.sort_by(f64::total_cmp);
    let calls = took_s.len();
    // In thousandths, so that no share is rounded.
    let rank = |share: usize| {
        let needed = (BEYOND * 1000).div_ceil(1000 - share);
        let at = (calls * share).div_ceil(1000).max(1) - 1;
        let known = took_s.get(at).copied().filter(|_| calls >= needed);
        known.or_why(Why::TooFewCalls { answered: calls as u64, needed: needed as u64 })
    };
    Tail {
        calls: calls as u64,
        p50: rank(500),
        p90: rank(900),
        p99: rank(990),
        p999: rank(999),
        max: took_s.last().copied().or_why(Why::NoCallWasAnswered),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_has_ten_calls_beyond_it() {
        let of = |calls: u32| tail((1..=calls).rev().map(f64::from).collect());
        let none = of(0);
        assert_eq!(none.p50.why(), Some(&Why::TooFewCalls { answered: 0, needed: 20 }));
        assert_eq!(none.max.why(), Some(&Why::NoCallWasAnswered));
        let few = of(99);
        assert_eq!((few.p50.value(), few.p90.value(), few.max.value()), (Some(50.0), None, Some(99.0)));
        let more = of(1000);
        assert_eq!((more.p90.value(), more.p99.value(), more.p999.value()), (Some(900.0), Some(990.0), None));
        assert_eq!(of(9999).p999.value(), None);
        assert_eq!(of(10_000).p999.value(), Some(9990.0));
    }
}
