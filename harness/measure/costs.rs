//! The costs of the wall: failed calls, CPU time, and output.

use super::ceiling::{Ceiling, Kind};
use super::facts::{Facts, Sample};
use super::known::{Known, OrWhy, Why};
use super::possible;
use super::rates::failures_per_s;
use super::units::{milli, seconds};
use crate::event::{Nanos, Phase};

/// Lines of output kept, at most.
const LINES: usize = 10;

/// CPU time is counted in ticks of 10 ms (proc(5), `utime`): ten of them are the least that a share is taken
/// of.
const SPAN_AT_LEAST: Nanos = 100_000_000;

/// The costs that the subject has at the wall.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct Costs {
    /// Failed descriptor calls of the whole tree, from exact totals.
    pub failures_per_s: Known<f64>,
    /// CPU time, percent of one processor.
    pub cpu_percent: Known<f64>,
    /// Written to its output.
    pub log_bytes_per_s: Known<f64>,
    /// A sample of that output, at most 10 lines.
    pub log_sample: Vec<String>,
}

/// The costs while saturation was watched undisturbed.
pub(super) fn costs(facts: &Facts<'_>, ceiling: &Ceiling) -> Costs {
    let watched = facts.phases.watched_until();
    let samples = facts.readings.samples_between(facts.phases.from(Phase::Saturate).min(watched), watched);
    let later = facts.readings.samples_between(watched, facts.phases.released_from());
    let ends = samples.first().zip(samples.last()).map(|(a, b)| {
        let short = b.at - a.at < SPAN_AT_LEAST;
        // Two looks within a few ticks of the clock say nothing of the CPU: the next one does.
        (a, later.iter().find(|sample| short && sample.at - a.at >= SPAN_AT_LEAST).unwrap_or(b))
    });
    let ends = ends.filter(|(a, b)| b.at > a.at);
    let most = possible::cpu_percent(facts);
    Costs {
        failures_per_s: failures_per_s(facts, ceiling, watched, |_| true),
        cpu_percent: match ends {
            Some((a, b)) => cpu_percent(a, b).map(|cpu| cpu.min(most)).or_why(Why::CpuRanBackwards),
            None => Known::Unknown(Why::TooFewSamples),
        },
        log_bytes_per_s: ends.map(|(a, b)| log_rate(a, b)).or_why(Why::TooFewSamples),
        log_sample: log_sample(facts, ceiling),
    }
}

/// CPU time, percent of one processor; `None` if it ran backwards, because another process took the subject's
/// place.
fn cpu_percent(a: &Sample, b: &Sample) -> Option<f64> {
    let percent = milli((b.cpu_s - a.cpu_s) / seconds(b.at - a.at) * 100.0);
    Some(percent).filter(|percent| percent.is_finite() && *percent >= 0.0)
}

fn log_rate(a: &Sample, b: &Sample) -> f64 {
    milli(b.log_bytes.saturating_sub(a.log_bytes) as f64 / seconds(b.at - a.at))
}

/// The first lines at the wall. If the server exits, the last ones: they say why, and may be read only
/// afterwards.
fn log_sample(facts: &Facts<'_>, ceiling: &Ceiling) -> Vec<String> {
    let begins = facts.wall_begins();
    let exits = ceiling.kind.value() == Some(Kind::Exited);
    let (from, until): (Nanos, Nanos) = match exits {
        true => (facts.phases.from(Phase::Ramp).min(begins), facts.phases.end.saturating_add(1)),
        false => (begins, facts.phases.released_from()),
    };
    let lines = facts.readings.output.iter().filter(|(at, _)| (from..until).contains(at));
    let lines: Vec<&str> = lines.map(|(_, line)| *line).collect();
    let skip = if exits { lines.len().saturating_sub(LINES) } else { 0 };
    lines.into_iter().skip(skip).take(LINES).map(str::to_owned).collect()
}
