//! The calls of a run in words, for the reports that people read.

use super::terminal::{after_start, got};
use super::{Report, counted};
use crate::measure::{CallEnds, CallsMade, way};
use crate::scenario::Caller;

/// Ways to fail that are shown.
const SHOWN: usize = 4;

/// Paragraphs with their labels, a few for each workload of calls.
pub(super) fn calls(r: &Report) -> Vec<(&'static str, String)> {
    r.calls
        .iter()
        .flat_map(|made| if made.caller == Caller::Caller { told_apart(r, made) } else { measured(r, made) })
        .collect()
}

/// How many, how fast, at what cost, and how the others ended.
fn measured(r: &Report, made: &CallsMade) -> Vec<(&'static str, String)> {
    let rate = made.per_s.map_or(String::new(), |per_s| format!(", {per_s:.0} a second"));
    let mut said =
        vec![("Calls", format!("{}: {} of {} answered{rate}.", made.workload, made.completed, made.started))];
    let mut costs = Vec::new();
    costs.extend(made.latency_s.map(|l| {
        format!("p50 {}, p90 {}, p99 {}, at most {}", time(l.p50), time(l.p90), time(l.p99), time(l.max))
    }));
    costs.push(counted(made.connections, "connection"));
    if made.handshakes > 0 {
        // A share of a handshake tells nothing to a reader.
        let each = made
            .handshakes_per_call
            .filter(|n| *n >= 1.0)
            .map_or(String::new(), |n| format!(" ({n} a call)"));
        costs.push(format!("{}{each}", counted(made.handshakes, "TLS handshake")));
    }
    costs.extend(
        made.descriptors_per_1000_calls.map(|n| format!("{n:.0} descriptors left open by 1000 calls")),
    );
    said.push(("", format!("{}.", costs.join("; "))));
    let failed: Vec<&CallEnds> = made.ends.iter().filter(|end| end.step.is_some()).collect();
    said.extend(failed.iter().take(SHOWN).map(|end| {
        (
            "",
            format!(
                "{} {}, the first {}.",
                end.calls,
                way(end.outcome, end.step, end.errno),
                after_start(r, end.first_at_s)
            ),
        )
    }));
    if failed.len() > SHOWN {
        said.push((
            "",
            format!("And {} other ways to fail: see `calls` of the JSON report.", failed.len() - SHOWN),
        ));
    }
    said
}

/// What a caller got as the load grew: the first time of each, and the listener at that time.
fn told_apart(r: &Report, made: &CallsMade) -> Vec<(&'static str, String)> {
    let label = |i: usize| if i == 0 { "A caller" } else { "" };
    let told = made.ends.iter().take(SHOWN * 2).enumerate().map(|(i, end)| {
        let what =
            end.outcome.map_or_else(|| way(None, end.step, end.errno), |outcome| got(outcome).to_owned());
        let queue = end.accept_queue.map_or(String::new(), |queue| format!("; accept queue {queue}"));
        let states = end.tcp_states.as_ref().map_or(String::new(), |states| {
            let shown = states
                .iter()
                .filter(|(state, _)| *state != "LISTEN")
                .map(|(state, n)| format!(", {n} {state}"));
            shown.collect()
        });
        let calls = counted(end.calls, "call");
        (
            label(i),
            format!(
                "{what} ({calls}, {}), the first {}{queue}{states}.",
                time(end.took_s),
                after_start(r, end.first_at_s)
            ),
        )
    });
    told.collect()
}

pub(super) fn time(seconds: f64) -> String {
    match seconds {
        s if s >= 1.0 => format!("{s:.2} s"),
        s if s >= 0.001 => format!("{:.1} ms", s * 1e3),
        s => format!("{:.0} µs", s * 1e6),
    }
}
