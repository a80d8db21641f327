//! The calls of a run: how many, how fast, at what cost, and how they ended.

use super::super::Report;
use super::why::{ended, way};
use super::{after_start, counted, got, number, time, upstream};
use crate::measure::{CallEnds, CallsMade, LATE_S, OpenLoop, Tail};
use crate::scenario::Caller;

/// Ways to fail that are shown.
const SHOWN: usize = 4;

/// Left open by 1000 calls, so many descriptors are no chance.
const LEAKS_PER_1000_CALLS: f64 = 100.0;

/// The sentences about one workload.
pub struct Said {
    /// Its label.
    pub label: &'static str,
    /// Sentences.
    pub texts: Vec<String>,
}

/// Each workload of calls.
pub fn calls(r: &Report) -> Vec<Said> {
    let one = |made: &CallsMade| match made.caller {
        Caller::Caller => Said { label: "A caller", texts: told_apart(r, made) },
        _ => Said { label: "Calls", texts: measured(r, made) },
    };
    r.found.calls.iter().map(one).collect()
}

/// How many, how fast, at what cost, and how the others ended.
fn measured(r: &Report, made: &CallsMade) -> Vec<String> {
    let rate = made.per_s.value().map_or(String::new(), |per_s| format!(", {per_s:.0} a second"));
    // The label is "Calls": a workload of the same name needs no second one.
    let name = if made.workload == "calls" { String::new() } else { format!("{}: ", made.workload) };
    let mut said = vec![format!("{name}{} of {} answered{rate}.", made.completed, made.started)];
    let mut costs = Vec::new();
    costs.extend(made.latency_s.value().map(|l| {
        format!("p50 {}, p90 {}, p99 {}, at most {}", time(l.p50), time(l.p90), time(l.p99), time(l.max))
    }));
    costs.push(counted(made.connections, "connection"));
    if made.handshakes > 0 {
        // A share of a handshake tells nothing to a reader.
        let each = made.handshakes_per_call.value().filter(|n| *n >= 1.0);
        let each = each.map_or(String::new(), |n| format!(" ({n} per call)"));
        let resumed =
            if made.resumed > 0 { format!(", {} of them resumed", made.resumed) } else { String::new() };
        costs.push(format!("{}{each}{resumed}", counted(made.handshakes, "TLS handshake")));
    }
    costs.extend(
        made.descriptors_per_1000_calls
            .value()
            .map(|n| format!("{} left open per 1000 calls", counted(n.round() as u64, "descriptor"))),
    );
    said.push(format!("{}.", costs.join("; ")));
    let at_once = made.under_way_at_first_failure.value().filter(|calls| *calls > 1);
    said.extend(at_once.map(|calls| {
        format!("When a system call first failed, {calls} calls were under way; they were still answered.")
    }));
    said.extend(made.open_loop.get().map(open_loop));
    let failed: Vec<&CallEnds> = made.ends.iter().filter(|end| end.step.get().is_some()).collect();
    said.extend(failed.iter().take(SHOWN).map(|end| {
        let (calls, ended) = (counted(end.calls, "call"), ended(&end.way(), end.calls != 1));
        format!("{calls} {ended}; the first began {}.", after_start(r, end.first_at_s))
    }));
    if failed.len() > SHOWN {
        said.push(format!(
            "{} other ways to fail are under `calls` of the JSON report.",
            failed.len() - SHOWN
        ));
    }
    said
}

/// Calls at a rate: what waited from the intended times on, and whether those were kept.
fn open_loop(open: &OpenLoop) -> String {
    let spread = match open.seed.value() {
        Some(seed) => format!("Poisson arrivals, seed {seed}"),
        None => "constant intervals".into(),
    };
    let late = match open.late {
        0 => "no send was late".into(),
        late => {
            let most = open.late_most_s.value().map_or(String::new(), |s| format!(", at most {}", time(s)));
            format!("{late} of {} were late by more than {}{most}", counted(open.sends, "send"), time(LATE_S))
        }
    };
    let saturated = match (open.saturated, open.held_back) {
        (false, _) => String::new(),
        (true, 0) => "; saturated: lastfd fell behind, so these latencies are not the server's alone".into(),
        (true, held) => format!(
            "; saturated: {} kept back because as many were under way as `concurrency` allows, so these \
             latencies are not the server's alone",
            format_args!("{} {}", counted(held, "call"), number(held, "was", "were"))
        ),
    };
    format!(
        "Open loop at {}/s ({spread}): {} from the intended times; {} from the sends; {late}{saturated}.",
        open.per_s,
        tail(&open.from_intended_s),
        tail(&open.from_send_s)
    )
}

/// The percentiles that there are calls enough for.
fn tail(tail: &Tail) -> String {
    let shown = [("p50", &tail.p50), ("p90", &tail.p90), ("p99", &tail.p99), ("p99.9", &tail.p999)];
    let shown = shown.into_iter().chain([("at most", &tail.max)]);
    let told: Vec<String> =
        shown.filter_map(|(name, s)| Some(format!("{name} {}", time(s.value()?)))).collect();
    if told.is_empty() { "no answer".into() } else { told.join(", ") }
}

/// Results of a caller as the load grew: the first time of each, and the listener at that time.
fn told_apart(r: &Report, made: &CallsMade) -> Vec<String> {
    let told = made.ends.iter().take(SHOWN * 2).map(|end| {
        let what = end.outcome.value().map_or_else(|| way(&end.way()), |outcome| got(outcome).to_owned());
        let queue = end.accept_queue.value().map_or(String::new(), |queue| format!("; accept queue {queue}"));
        let states = end.tcp_states.get().map_or(String::new(), |states| {
            let shown = states.iter().filter(|(state, _)| *state != "LISTEN");
            shown.map(|(state, n)| format!(", {n} {state}")).collect()
        });
        format!(
            "{what} ({}, median {}), the first {}{queue}{states}.",
            counted(end.calls, "call"),
            time(end.took_s),
            after_start(r, end.first_at_s)
        )
    });
    told.collect()
}

/// Whether what calls open stays open until all of them are over.
pub fn leaks(r: &Report) -> bool {
    left_open_per_1000(r) >= Some(LEAKS_PER_1000_CALLS)
}

/// Descriptors that 1000 calls leave open, of the workload with the most.
pub fn left_open_per_1000(r: &Report) -> Option<f64> {
    let made = r.found.calls.iter().filter_map(|made| made.descriptors_per_1000_calls.value());
    made.chain(upstream::left_open_per_1000(r)).reduce(f64::max)
}

/// How many calls failed, in one short sentence; nothing where the subject only is called.
pub fn failed(r: &Report) -> Option<String> {
    let made: Vec<&CallsMade> = r
        .found
        .calls
        .iter()
        .filter(|made| r.found.ceiling.in_calls() && made.started > made.completed)
        .collect();
    let (failed, all) =
        made.iter().fold((0, 0), |(f, a), made| (f + made.started - made.completed, a + made.started));
    (failed > 0).then(|| format!("{failed} of {all} calls failed."))
}
