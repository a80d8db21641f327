//! What the subject did with a full table: its accept loop's policy, what that costs, and what clients get.

use super::timeline::{milli, seconds};
use super::tree::full;
use super::{AcceptQueue, FileNr, Kind, Measured, Probe, Run};
use crate::event::{Call, Event, Nanos, Outcome, Phase, States, What};
use std::collections::HashMap;

/// A total that has changed is reported about this often.
const TOTALS_EVERY: Nanos = 100_000_000;
const LINES: usize = 10;
const PROBES: usize = 100;

/// From the first failure (or the ramp's end) until the probes.
struct Window {
    from: Nanos,
    until: Nanos,
}

/// When the wall is reached: at the first failure, or the ramp's end.
pub(super) fn begins(run: &Run<'_>) -> Nanos {
    let ramp_ends = run.timeline.from(Phase::Saturate).min(run.timeline.watched_until());
    run.followed.first.map_or(ramp_ends, |first| first.at.min(ramp_ends))
}

/// Fills in the saturation.
pub(super) fn saturation(run: &Run<'_>, m: &mut Measured) {
    let until = run.timeline.watched_until();
    let window = Window { from: begins(run), until };
    m.saturation.failures_per_s = failures_per_s(run, m, window.until, |_| true);
    costs(run, m, &window);
    // A client of another port may be let in, which is no doing of the accept loop's.
    let asked = run
        .timeline
        .events
        .iter()
        .find(|e| matches!(e.is, What::OtherListener { .. }))
        .map_or(until, |e| e.at);
    super::classify::classify(run, m, until.min(asked));
    seen_by_clients(run, m, &window);
    sockets(run, m, &window);
    let mut queues = run
        .timeline
        .events
        .iter()
        .filter_map(|e| if let What::Queues(queues) = &e.is { Some(queues) } else { None });
    m.saturation.listeners = queues.next_back().cloned().unwrap_or_default();
}

/// Failures a second over the window, from the exact totals where there are any.
pub(super) fn failures_per_s(
    run: &Run<'_>,
    m: &mut Measured,
    watched: Nanos,
    counts: impl Fn(Call) -> bool,
) -> Option<f64> {
    let field = "saturation.failures_per_s";
    if let Some(reason) = super::witness::passed_by(run) {
        return m.missing(field, reason);
    }
    let Some(first) = run.followed.first else {
        return match m.ceiling.kind {
            Some(_) => Some(0.0),
            None => m.missing(field, "it is not known whether a call failed"),
        };
    };
    let from = run.timeline.from(Phase::Saturate).max(first.at).min(watched);
    let until = super::ceiling::exited(run).map_or(watched, |e| e.0.max(from).min(watched));
    let mut totals: HashMap<Call, u64> = HashMap::new();
    let (mut sum, mut base, mut last) = (0u64, None, None);
    for event in &run.timeline.events {
        let What::Failures { name, total } = event.is else { continue };
        if event.at >= until {
            break;
        }
        if !counts(name) {
            continue;
        }
        if event.at > from && base.is_none() {
            base = Some((first.at, sum));
        }
        let before = totals.insert(name, total).unwrap_or(0);
        sum = sum.saturating_add(total.saturating_sub(before));
        if event.at <= from && sum > 0 {
            base = Some((event.at, sum));
        }
        last = Some((event.at, sum));
    }
    if let (Some((from, before)), Some((at, after))) = (base, last) {
        // A total is reported when it has changed: after the last one nothing failed, as far as those that were due tell.
        let to = if until.saturating_sub(at) > 3 * TOTALS_EVERY { until - TOTALS_EVERY } else { at };
        if to > from {
            return Some(milli(after.saturating_sub(before) as f64 / seconds(to - from)));
        }
    }
    let stopped = run.timeline.events.iter().any(|e| e.is == What::SamplingStopped && e.at < until);
    if stopped || until <= from {
        return m.missing(field, "the totals of failed calls were not read while the table was full");
    }
    let failed = |what: &What| matches!(what, What::Call { pid, name, ret } if full(*ret).is_some() && counts(*name) && run.tree.counts(*pid));
    let sampled = run.timeline.between(from, until).iter().filter(|e| failed(&e.is)).count();
    Some(milli(sampled as f64 / seconds(until - from)))
}

/// CPU time and output.
fn costs(run: &Run<'_>, m: &mut Measured, window: &Window) {
    let samples: Vec<(Nanos, f64, u64)> = run
        .timeline
        .between(run.timeline.from(Phase::Saturate).min(window.until), window.until)
        .iter()
        .filter_map(|e| match e.is {
            What::Sample { cpu_s, log_bytes, .. } => Some((e.at, cpu_s, log_bytes)),
            _ => None,
        })
        .collect();
    let ends = samples.first().zip(samples.last()).filter(|(a, b)| b.0 > a.0);
    let reason = "fewer than two samples while the table was full";
    match ends {
        Some((a, b)) => {
            let span = seconds(b.0 - a.0);
            let cpu = milli((b.1 - a.1) / span * 100.0);
            let went_on = cpu.is_finite() && cpu >= 0.0;
            m.saturation.cpu_percent = if went_on {
                Some(cpu)
            } else {
                m.missing("saturation.cpu_percent", "the process's CPU time ran backwards: it was replaced")
            };
            m.saturation.log_bytes_per_s = Some(milli(b.2.saturating_sub(a.2) as f64 / span));
        }
        None => {
            m.missing::<()>("saturation.cpu_percent", reason);
            m.missing::<()>("saturation.log_bytes_per_s", reason);
        }
    }
    // What exits says why before that.
    let exits = m.ceiling.kind == Some(Kind::Exited);
    // And that may be read only afterwards.
    let (from, until) = match exits {
        true => (run.timeline.from(Phase::Ramp).min(window.from), run.timeline.end.saturating_add(1)),
        false => (window.from, run.timeline.released_from()),
    };
    let lines = run.timeline.between(from, until).iter().filter_map(|e| match &e.is {
        What::Output { line } => Some(line.clone()),
        _ => None,
    });
    let mut lines: Vec<String> = lines.collect();
    let last = if exits { lines.len().saturating_sub(LINES) } else { 0 };
    lines.drain(..last);
    lines.truncate(LINES);
    m.saturation.log_sample = lines;
}

fn seen_by_clients(run: &Run<'_>, m: &mut Measured, window: &Window) {
    let released = run.timeline.released_from();
    m.saturation.probes = probes(run).map(|p| p.1).take(PROBES).collect();
    let new: Option<Outcome> = probes(run).filter(|p| p.1.label == "saturated").map(|p| p.1.outcome).last();
    m.saturation.new_client =
        new.or_else(|| m.missing("saturation.new_client", "no new client was sent while the table was full"));
    let held = m.ceiling.accepted_max.or(m.ceiling.accepted);
    m.saturation.held_closed_by_server = match held {
        Some(held) if m.ceiling.connected > Some(0) => {
            Some(run.clients.held_closed(held, window.from, released))
        }
        _ => m.missing("saturation.held_closed_by_server", "no connection is known to have been held"),
    };
}

/// Every probe with its time, in order.
pub(super) fn probes<'a>(run: &'a Run<'_>) -> impl Iterator<Item = (Nanos, Probe)> + 'a {
    run.timeline.events.iter().filter_map(|e| match &e.is {
        What::Probe { workload, label, outcome, detail, connect_s, answer_s } => Some((
            e.at,
            Probe {
                label: label.clone(),
                workload: workload.clone(),
                outcome: *outcome,
                detail: detail.clone(),
                connect_s: connect_s.filter(|s| s.is_finite()),
                answer_s: answer_s.filter(|s| s.is_finite()),
            },
        )),
        _ => None,
    })
}

fn sockets(run: &Run<'_>, m: &mut Measured, window: &Window) {
    let full = run.timeline.between(window.from, run.timeline.released_from());
    // Once the ramp is over, where that was seen: in it even those wait whom it then dismisses.
    let longest = |from: Nanos| {
        let events = run.timeline.between(from.max(window.from), run.timeline.released_from());
        events.iter().filter_map(|e| if let What::Sample { queue, .. } = e.is { queue } else { None }).max()
    };
    let length = longest(run.timeline.from(Phase::Saturate)).or_else(|| longest(window.from));
    m.saturation.accept_queue = match length {
        Some(length) => {
            Some(AcceptQueue { length, capacity: capacity(run), ..super::wall::queue(run, m, full) })
        }
        None => {
            m.missing("saturation.accept_queue", "the accept queue was not sampled while the table was full")
        }
    };
    if let Some(AcceptQueue { capacity: None, .. }) = m.saturation.accept_queue {
        m.missing::<()>("saturation.accept_queue.capacity", "the listener was not found");
    }
    // A count that had not ended when the first clients left is of neither time.
    let whole = |e: &&&Event| matches!(e.is, What::Tcp { took, .. } if e.at.saturating_add(took) < run.timeline.released_from());
    let counts: Vec<&&Event> = full.iter().rev().filter(whole).collect();
    let last = |which: fn(&What) -> Option<&States>| counts.iter().find_map(|e| which(&e.is).cloned());
    let reason = "the sockets were not listed while the table was full";
    let held = last(|what| if let What::Tcp { subject, .. } = what { subject.as_ref() } else { None });
    m.saturation.tcp_states = held.or_else(|| m.missing("saturation.tcp_states", reason));
    let port = last(|what| if let What::Tcp { states, .. } = what { Some(states) } else { None });
    m.saturation.tcp_port = port.or_else(|| m.missing("saturation.tcp_port", reason));
    let all = last(|what| if let What::Tcp { namespace, .. } = what { namespace.as_ref() } else { None });
    m.saturation.tcp_namespace = all.or_else(|| m.missing("saturation.tcp_namespace", reason));
    let files = run.timeline.events.iter().rev().find_map(|e| match e.is {
        What::FileNr { allocated, max } if e.at < run.timeline.released_from() => {
            Some(FileNr { allocated, max })
        }
        _ => None,
    });
    m.saturation.file_nr = files.or_else(|| {
        m.missing("saturation.file_nr", "the host's open files were not read while the table was full")
    });
    let mut overflows = run.timeline.events.iter().filter_map(|e| {
        if let What::Tcp { listen_overflows, .. } = e.is { Some(listen_overflows) } else { None }
    });
    let first = overflows.next();
    m.saturation.listen_overflows = match (first, overflows.next_back()) {
        (Some(first), Some(last)) => Some(last.saturating_sub(first)),
        _ => m.missing("saturation.listen_overflows", "the host's counter was read fewer than two times"),
    };
}

/// Of the loaded listener: the one whose port the workload names, else the last found.
pub(super) fn capacity(run: &Run<'_>) -> Option<u32> {
    let port = run.plan.workloads.values().filter(|w| w.to == run.plan.subject).find_map(|w| w.port);
    let ends = port.map(|p| format!(":{p}"));
    let mut last = None;
    for event in &run.timeline.events {
        if let What::Listening { process, address, capacity, .. } = &event.is
            && *process == run.plan.subject
            && ends.as_ref().is_none_or(|e| address.ends_with(e.as_str()))
        {
            last = Some(*capacity);
        }
    }
    last
}
