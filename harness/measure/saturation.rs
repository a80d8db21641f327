//! What the subject did with a full table: its accept loop's policy, what that costs, and what clients get.

use super::policy::{Policy, Rhythm, batches, rhythm};
use super::timeline::{milli, seconds};
use super::tree::full;
use super::{AcceptQueue, FileNr, Kind, Measured, Probe, Run};
use crate::event::{Call, Change, Event, Nanos, Outcome, Phase, Pid, States, What};
use std::collections::HashMap;

const GAPS: usize = 20;
const LINES: usize = 10;
const PROBES: usize = 100;

/// From the first failure (or the ramp's end) until the probes.
struct Window {
    from: Nanos,
    until: Nanos,
}

/// Fills in the saturation.
pub(super) fn saturation(run: &Run<'_>, m: &mut Measured) {
    let until = run.timeline.watched_until();
    let ramp_ends = run.timeline.from(Phase::Saturate).min(until);
    let from = run.followed.first.map_or(ramp_ends, |first| first.at.min(ramp_ends));
    let window = Window { from, until };
    m.saturation.failures_per_s = failures_per_s(run, m, &window, |_| true);
    costs(run, m, &window);
    policy(run, m, &window);
    seen_by_clients(run, m, &window);
    sockets(run, m, &window);
}

/// Failures a second over the window, from the exact totals where there are any.
fn failures_per_s(run: &Run<'_>, m: &mut Measured, window: &Window, counts: impl Fn(Call) -> bool) -> Option<f64> {
    let field = "saturation.failures_per_s";
    let Some(first) = run.followed.first else {
        return match m.ceiling.kind {
            Some(_) => Some(0.0),
            None => m.missing(field, "it is not known whether a call failed"),
        };
    };
    let from = run.timeline.from(Phase::Saturate).max(first.at).min(window.until);
    let until = super::ceiling::exited(run).map_or(window.until, |e| e.0.max(from).min(window.until));
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
    if let (Some((from, before)), Some((until, after))) = (base, last)
        && until > from
    {
        return Some(milli(after.saturating_sub(before) as f64 / seconds(until - from)));
    }
    let stopped = run.timeline.events.iter().any(|e| e.is == What::SamplingStopped && e.at < until);
    if stopped || until <= from {
        return m.missing(field, "the totals of failed calls were not read while the table was full");
    }
    let failed =
        |what: &What| matches!(what, What::Call { pid, name, ret } if full(*ret).is_some() && counts(*name) && run.tree.counts(*pid));
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

fn policy(run: &Run<'_>, m: &mut Measured, window: &Window) {
    let (policy, evidence) = match m.ceiling.kind {
        None => {
            m.missing::<()>("saturation.policy", "the ceiling is not known");
            m.missing::<()>("saturation.policy_evidence", "the ceiling is not known");
            return;
        }
        Some(Kind::Generator) => {
            m.missing::<()>("saturation.policy", "the generator ran out before the subject");
            m.missing::<()>("saturation.policy_evidence", "the generator ran out before the subject");
            return;
        }
        Some(kind) if kind != Kind::NotReached && run.tree.is_client && !accepts(run) => {
            let reason = "it accepts nobody: there is no accept loop to watch";
            m.missing::<()>("saturation.policy", reason);
            m.missing::<()>("saturation.policy_evidence", reason);
            return;
        }
        Some(Kind::NotReached) => (Policy::None, "no descriptor call failed".into()),
        Some(Kind::OwnLimit) => (Policy::LimitsItself, own_limit(run, m)),
        Some(Kind::Exited) => after_exit(run, super::ceiling::exited(run).map_or(0, |e| e.0), "with no failed call seen"),
        Some(Kind::Emfile | Kind::Enfile) => at_the_wall(run, m, window),
    };
    m.saturation.policy = Some(policy);
    m.saturation.policy_evidence = Some(evidence);
}

/// Whether the subject was seen to accept, or to fail to.
fn accepts(run: &Run<'_>) -> bool {
    !run.followed.accepts.is_empty() || run.followed.failures.iter().any(|(_, call)| call.accepts())
}

fn own_limit(run: &Run<'_>, m: &Measured) -> String {
    let (ramp_ends, watched) = (run.timeline.from(Phase::Saturate), run.timeline.watched_until());
    let turned_away = run.clients.turned_away(ramp_ends, watched);
    let waiting = run.clients.waiting(watched.saturating_sub(1), run.followed.kept_in_all);
    let held = m.ceiling.accepted.unwrap_or(0);
    format!("no descriptor call failed; it holds {held}, turned {turned_away} clients away and left {waiting} waiting")
}

/// It exited: whether something took its place.
fn after_exit(run: &Run<'_>, exit: Nanos, how: &str) -> (Policy, String) {
    let released = run.timeline.released_from();
    let replaced = run.timeline.between(exit.saturating_add(1), released).iter().find_map(|e| match e.is {
        What::Process { pid, change: Change::Fork | Change::Exec, .. } => Some((pid, e.at)),
        _ => None,
    });
    match replaced {
        Some((pid, then)) => {
            (Policy::WorkerRestarts, format!("it exited {how}; process {pid} was started {:.3} s later", seconds(then - exit)))
        }
        None => (Policy::Exits, format!("it exited {how}")),
    }
}

/// The failing process's retries.
fn at_the_wall(run: &Run<'_>, m: &mut Measured, window: &Window) -> (Policy, String) {
    let f = &run.followed;
    let Some(first) = f.first else {
        return (Policy::Unclear, "it failed before the first client".into());
    };
    let call = if f.failures.iter().any(|x| x.1.accepts()) { None } else { Some(first.call) };
    let times: Vec<Nanos> =
        f.failures.iter().filter(|x| x.0 < window.until && call.map_or(x.1.accepts(), |c| c == x.1)).map(|x| x.0).collect();
    let stopped = run.timeline.events.iter().find(|e| e.is == What::SamplingStopped).map(|e| e.at);
    let until = stopped.map_or(window.until.min(run.timeline.end), |at| at.min(window.until));
    let of_these = failures_per_s(run, m, window, |name| call.map_or(name.accepts(), |c| c == name));
    let rate = of_these.filter(|_| stopped.is_some());
    let rhythm = rhythm(&times, rate, until);
    let starts: Vec<Nanos> = if rhythm == Rhythm::Spin { times.clone() } else { batches(&times).iter().map(|b| b.0).collect() };
    m.saturation.retry_gaps_s = starts.windows(2).take(GAPS).map(|w| seconds(w[1] - w[0])).collect();

    let released = run.timeline.released_from();
    if let Some(exit) = exit_of(run, first.pid).filter(|at| *at >= first.at && *at < released) {
        return after_exit(run, exit, &format!("{:.3} s after its first failed {}", seconds(exit - first.at), first.call));
    }
    // A connection that is closed soon may be a call that was over, or one whose caller had given up.
    let dismissed = f.dismissed.saturating_sub(run.calls.left_after(first.at, released));
    let shed = run.clients.shed(first.at, window.until).max(dismissed);
    let waiting = run.clients.waiting(window.until.saturating_sub(1), f.most_in_all);
    if shed >= 3 || (shed >= 1 && shed >= waiting) {
        return (Policy::Sheds, format!("{shed} clients were accepted and closed at once after the first failure; {waiting} wait"));
    }
    let name = call.unwrap_or(first.call);
    match rhythm {
        Rhythm::Spin => {
            let per_s = of_these.unwrap_or(times.len() as f64);
            (Policy::Spin, format!("{} failed {name} calls a second", per_s.round()))
        }
        Rhythm::Storm { bursts, size } => {
            (Policy::Storm, format!("{bursts} bursts of {} failures each, with pauses between", size.round()))
        }
        Rhythm::Fixed { gap_s, gaps: 1 } => (Policy::FixedDelay, format!("{gap_s:.3} s, and the next was not awaited")),
        Rhythm::Fixed { gap_s, gaps } => (Policy::FixedDelay, format!("{gap_s:.3} s, {gaps} times")),
        Rhythm::Grows { from_s, to_s, factor } => {
            (Policy::Backoff, format!("{from_s:.3} s at first, then {factor:.1} times as long each time, up to {to_s:.3} s"))
        }
        Rhythm::Once => once(run, waiting, seconds(until.saturating_sub(first.at))),
        Rhythm::Unclear => (Policy::Unclear, format!("{} failures whose gaps fit no pattern", times.len())),
    }
}

/// One failure and then silence.
fn once(run: &Run<'_>, waiting: u64, silent_s: f64) -> (Policy, String) {
    let released = run.timeline.start(Phase::ReleaseSome).or(run.timeline.start(Phase::ReleaseAll));
    let stop = run.timeline.from(Phase::Stop);
    let again = released.is_some_and(|at| run.followed.accepts.iter().any(|a| (at..stop).contains(a)));
    let silence = format!("one failure, then silence for {silent_s:.3} s");
    match (waiting, released) {
        (0, _) => (Policy::Unclear, format!("{silence}; nobody was waiting")),
        (_, Some(_)) if !again => {
            (Policy::AcceptLoopDead, format!("{silence} while {waiting} clients wait, and no accept after clients left"))
        }
        (_, Some(_)) => (Policy::Unclear, format!("{silence} while {waiting} clients wait; it accepts again after clients left")),
        (_, None) => (Policy::Unclear, format!("{silence} while {waiting} clients wait; nobody was released")),
    }
}

fn exit_of(run: &Run<'_>, pid: Pid) -> Option<Nanos> {
    run.followed.tables.get(&pid).and_then(|t| t.exited).map(|e| e.0)
}

fn seen_by_clients(run: &Run<'_>, m: &mut Measured, window: &Window) {
    let released = run.timeline.released_from();
    m.saturation.probes = probes(run).map(|p| p.1).take(PROBES).collect();
    let new: Option<Outcome> = probes(run).filter(|p| p.1.label == "saturated").map(|p| p.1.outcome).last();
    m.saturation.new_client = new.or_else(|| m.missing("saturation.new_client", "no new client was sent while the table was full"));
    let held = m.ceiling.accepted_max.or(m.ceiling.accepted);
    m.saturation.held_closed_by_server = match held {
        Some(held) if m.ceiling.connected > Some(0) => Some(run.clients.held_closed(held, window.from, released)),
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
    let length = full.iter().filter_map(|e| if let What::Sample { queue, .. } = e.is { queue } else { None }).max();
    m.saturation.accept_queue = match length {
        Some(length) => Some(AcceptQueue { length, capacity: capacity(run) }),
        None => m.missing("saturation.accept_queue", "the accept queue was not sampled while the table was full"),
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
        What::FileNr { allocated, max } if e.at < run.timeline.released_from() => Some(FileNr { allocated, max }),
        _ => None,
    });
    m.saturation.file_nr =
        files.or_else(|| m.missing("saturation.file_nr", "the host's open files were not read while the table was full"));
    let mut overflows = run
        .timeline
        .events
        .iter()
        .filter_map(|e| if let What::Tcp { listen_overflows, .. } = e.is { Some(listen_overflows) } else { None });
    let first = overflows.next();
    m.saturation.listen_overflows = match (first, overflows.next_back()) {
        (Some(first), Some(last)) => Some(last.saturating_sub(first)),
        _ => m.missing("saturation.listen_overflows", "the host's counter was read fewer than two times"),
    };
}

/// Of the loaded listener: the one whose port the workload names, else the last found.
fn capacity(run: &Run<'_>) -> Option<u32> {
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
