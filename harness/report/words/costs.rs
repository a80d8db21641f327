//! The costs of the wall for the server.

use super::super::Report;
use super::rate;
use crate::measure::Policy;

/// CPU time, failed calls and log, each second at the wall.
pub fn costs(r: &Report) -> Option<String> {
    let c = &r.found.costs;
    let mut said = Vec::new();
    said.extend(c.cpu_percent.value().map(|percent| format!("{percent:.0} % of one CPU")));
    // A single failure is no rate.
    let dead = r.found.policy.policy.value() == Some(Policy::AcceptLoopDead);
    said.extend(c.failures_per_s.value().filter(|n| *n > 0.0 && !dead).map(|n| failures(r, n)));
    said.extend(c.log_bytes_per_s.value().map(|bytes| match bytes {
        b if b > 0.0 => format!("{} of log", rate(b)),
        _ => "nothing logged meanwhile".into(),
    }));
    (!said.is_empty()).then(|| format!("{}.", said.join(", ")))
}

/// Log output that fills a disk: 0.1 MB a second is 8.6 GB a day.
const MUCH_LOG: f64 = 1e5;

/// The CPU time, and a log that fills a disk, in brackets after what causes them.
pub fn short(r: &Report) -> String {
    let c = &r.found.costs;
    let cpu = c.cpu_percent.value().filter(|percent| *percent >= 1.0);
    let cpu = cpu.map(|percent| format!("{percent:.0} % CPU"));
    let log = c.log_bytes_per_s.value().filter(|bytes| *bytes >= MUCH_LOG);
    let log = log.map(|bytes| format!("{:.1} MB/s of log", bytes / 1e6));
    let all: Vec<String> = cpu.into_iter().chain(log).collect();
    if all.is_empty() { String::new() } else { format!(" ({})", all.join(", ")) }
}

/// The lines that it wrote to its log, at most `most`: equal lines that follow each other count as one.
pub fn log(r: &Report, most: usize) -> Vec<String> {
    let same = r.found.costs.log_sample.chunk_by(|a, b| a == b).take(most);
    same.map(|lines| match lines.len() {
        1 => format!("| {}", lines[0]),
        n => format!("| {} ({n} times)", lines[0]),
    })
    .collect()
}

fn failures(r: &Report, per_s: f64) -> String {
    let of = match r.found.policy.policy.value() {
        Some(Policy::Spin) if r.found.failed_calls.is_empty() => "",
        Some(Policy::Spin) => " of all kinds",
        _ => " on average",
    };
    match per_s {
        n if n < 10.0 => format!("{n:.1} failed system calls/s{of}"),
        n => format!("{n:.0} failed system calls/s{of}"),
    }
}
