//! Where the subject stopped, and why: at a failed descriptor call, by its own rule, by exiting, or not at all.

use super::timeline::{milli, seconds};
use super::{BeforeRamp, Exit, FirstFailure, FirstUnserved, Kind, Measured, PerProcess, Run};
use crate::event::{Call, Nanos, Phase, Pid, What};
use std::collections::HashMap;

/// Processes listed at most.
const LISTED: usize = 256;
/// An observer reports lost samples only when it next reads its ring.
const LOSS_REPORTED_WITHIN: Nanos = 50_000_000;

/// Fills in the ceiling.
pub(super) fn ceiling(run: &Run<'_>, m: &mut Measured) {
    let (f, watched) = (&run.followed, run.timeline.watched_until());
    failures(run, m);
    m.ceiling.connected = match run.tree.is_client && run.clients.records.is_empty() {
        true => m.missing("ceiling.connected", "nobody holds connections to the subject: see `calls`"),
        false => Some(run.clients.connected(watched)),
    };
    m.ceiling.served = match (run.tree.is_client, run.clients.answers) {
        (true, _) => m.missing("ceiling.served", "the ceiling is counted in calls: see `calls`"),
        (_, false) => m.missing("ceiling.served", "a tcp workload asks nothing"),
        _ => Some(run.clients.served(watched)),
    };
    let unseen = super::witness::unseen(run);
    m.ceiling.first_unserved = first_unserved(run).filter(|_| unseen.is_none());
    if m.ceiling.first_unserved.is_none() {
        let reason = match (run.tree.is_client, unseen) {
            (true, _) => "the ceiling is counted in calls: see `calls`",
            (false, Some(reason)) => reason,
            (false, None) => "every client that connected was served",
        };
        m.missing::<()>("ceiling.first_unserved", reason);
    }
    m.ceiling.descriptors = match f.at_ceiling {
        Some(both) => Some(both.descriptors),
        None => m.missing("ceiling.descriptors", "no sample of the descriptor count at the ceiling"),
    };
    m.ceiling.descriptors_per_connection = match (f.at_ceiling, m.baseline.descriptors) {
        (Some(both), Some(rest)) if both.held > 0 => {
            Some(milli(both.descriptors.saturating_sub(rest) as f64 / both.held as f64))
        }
        _ => m.missing(
            "ceiling.descriptors_per_connection",
            "no connection was held when the descriptors were counted",
        ),
    };
    // More than there can be: calls that return no number, such as socketpair, are not seen to be undone.
    let room = m
        .limits
        .effective
        .zip(m.baseline.counted)
        .map_or(u64::MAX, |(limits, rest)| limits.soft.saturating_sub(rest));
    let others = f.first.map(|_| f.others).or(f.at_ceiling.map(|both| both.others));
    m.ceiling.others = others.filter(|others| *others != 0 && (*others < 0 || others.unsigned_abs() <= room));
    m.ceiling.per_process = per_process(run);
    let loaded = run.timeline.start(Phase::Ramp).is_some() && generator(run).is_none();
    if let Some(reason) = super::witness::passed_by(run).filter(|_| loaded) {
        return by_growth(run, m, reason);
    }
    match decide(run, m) {
        Ok(kind) => stopped(run, m, kind),
        Err(reason) => {
            for field in ["reached", "kind", "accepted", "accepted_max"] {
                m.missing::<()>(&format!("ceiling.{field}"), reason.clone());
            }
            // A run that ended before its first client has said why already.
            if m.inconclusive.is_empty() || run.timeline.start(Phase::Ramp).is_some() {
                m.inconclusive.push(reason);
            }
        }
    }
}

/// What remains where its accepts pass by the observer: how many connections `/proc` says that it holds, and whether its table is full.
fn by_growth(run: &Run<'_>, m: &mut Measured, reason: &str) {
    m.ceiling.first_failure = None;
    m.unmeasured.insert("ceiling.first_failure".into(), reason.into());
    m.missing::<()>("ceiling.accepted_max", reason);
    m.ceiling.kind = match exited(run) {
        Some(_) => Some(Kind::Exited),
        None => m.missing("ceiling.kind", reason),
    };
    // Of one that exits, the last count may be any.
    let grown = super::witness::grown(run, m).filter(|_| m.ceiling.kind.is_none());
    if let Some(both) = run.followed.at_watch {
        m.ceiling.descriptors = Some(both.descriptors);
        m.unmeasured.remove("ceiling.descriptors");
    }
    m.ceiling.others = None;
    m.ceiling.accepted = match &grown {
        Some(grown) => Some(grown.held),
        None => m.missing("ceiling.accepted", reason),
    };
    let connected = run.clients.connected(run.timeline.watched_until());
    m.ceiling.reached = match grown {
        _ if m.ceiling.kind.is_some() => Some(true),
        Some(grown) if grown.full => Some(true),
        Some(grown) if connected > 0 && grown.held >= connected => Some(false),
        _ => m.missing(
            "ceiling.reached",
            format!("{reason}; /proc shows clients without a descriptor, and room for more"),
        ),
    };
}

/// Why it stopped, or why that cannot be said.
fn decide(run: &Run<'_>, m: &Measured) -> Result<Kind, String> {
    let f = &run.followed;
    let (ramp, watched) = (run.timeline.from(Phase::Ramp), run.timeline.watched_until());
    super::witness::blind(run, m)?;
    let refused = run.clients.turned_away(run.timeline.from(Phase::Saturate), watched);
    let ever_served = run.clients.records.iter().any(|r| r.served.is_some_and(|at| at < watched));
    // What they were told may be what became of another call that failed for want of a descriptor.
    let lacked = f.failures.iter().any(|(_, call)| !call.accepts());
    if run.clients.answers && refused > 0 && !ever_served && !run.tree.is_client && !lacked {
        return Err(format!(
            "no client was answered as its workload asks, and {refused} were closed or got an error: does the server speak this, at this path?"
        ));
    }
    if let Some(first) = f.first {
        super::witness::nothing_lost(run, m, first.at.saturating_add(LOSS_REPORTED_WITHIN))?;
        return Ok(kind_of(first.errno));
    }
    if run.timeline.start(Phase::Ramp).is_none() {
        return match f.early {
            Some((first, _)) => Ok(kind_of(first.errno)),
            None => Err("the run ended before the first client".into()),
        };
    }
    super::witness::nothing_lost(run, m, watched)?;
    if exited(run).is_some() {
        return Ok(Kind::Exited);
    }
    if generator(run).is_some() {
        return Ok(Kind::Generator);
    }
    if run.tree.is_client {
        return all_calls(run, watched);
    }
    let unseen = failed_unseen(run, ramp, watched);
    if unseen > 0 {
        return Err(format!(
            "{unseen} accepts failed for want of a descriptor, as the counters say, and none was seen: when is not known"
        ));
    }
    let connected = run.clients.connected(watched);
    let turned_away = run.clients.turned_away(run.timeline.from(Phase::Saturate), watched);
    let waiting = run.clients.waiting(watched.saturating_sub(1), f.kept_in_all);
    let queued = run
        .timeline
        .between(ramp, watched)
        .iter()
        .rev()
        .find_map(|e| if let What::Sample { queue, .. } = e.is { queue } else { None });
    if let Some(queued) = queued.map(u64::from).filter(|&queued| turned_away == 0 && queued < waiting) {
        return Err(format!(
            "{} clients connected, as they see it, but are neither accepted nor in the accept queue: it overflowed, and dropped the last \
             packet of their handshake; a larger backlog, no burst, or clients that ask something (such as `http-idle`) avoid that",
            waiting - queued
        ));
    }
    if turned_away > 0 || waiting > 0 {
        return match elsewhere(run, queued) {
            true => Err(format!(
                "{waiting} clients wait and {turned_away} were turned away before they came to the subject, which left nobody in its accept \
                 queue and closed nobody: what they connect to is the limit here, not the subject"
            )),
            false if super::binds::exhausted(run).is_some() => Ok(Kind::OtherLimit),
            false => Ok(Kind::OwnLimit),
        };
    }
    let timed_out = run.clients.timed_out(watched);
    if timed_out > 0 {
        return Err(format!(
            "{timed_out} connects timed out although the subject accepted every client that connected: the accept queue overflowed before the ceiling"
        ));
    }
    let asked: Option<u64> = run
        .plan
        .workloads
        .values()
        .filter(|w| w.to == run.plan.subject && w.calls.is_none())
        .map(|w| w.clients.map(u64::from))
        .sum();
    match asked {
        Some(asked) if connected < asked => {
            Err(format!("only {connected} of {asked} clients connected before the ramp ended"))
        }
        None if connected == 0 => Err("no client connected".into()),
        _ if ramp > run.timeline.end => Err("the run ended before the first client".into()),
        _ => Ok(Kind::NotReached),
    }
}

/// Failed accepts that the counters tell of; nothing where single ones were seen, be it before the ramp.
fn failed_unseen(run: &Run<'_>, ramp: Nanos, watched: Nanos) -> u64 {
    let f = &run.followed;
    let mut totals: HashMap<Call, u64> = HashMap::new();
    let mut grown = 0u64;
    for event in run.timeline.between(0, watched).iter().filter(|_| f.first.is_none() && f.early.is_none()) {
        if let What::Failures { name, total } = event.is
            && name.accepts()
        {
            let before = totals.insert(name, total).unwrap_or(0);
            grown = grown.saturating_add(if event.at < ramp { 0 } else { total.saturating_sub(before) });
        }
    }
    grown
}

/// Whether those without service are behind something else: no workload connects to the subject itself, whose accept queue is empty and
/// who dismissed nobody.
fn elsewhere(run: &Run<'_>, queued: Option<u32>) -> bool {
    let direct = run.plan.workloads.values().any(|w| w.to == run.plan.subject);
    !direct
        && !run.plan.workloads.is_empty()
        && run.followed.calls_seen
        && queued == Some(0)
        && run.followed.turned_away == 0
}

/// When the harness's own side first failed, and with which errno.
pub(super) fn generator(run: &Run<'_>) -> Option<(Nanos, i32)> {
    let watched = run.timeline.watched_until();
    run.clients.local(watched).into_iter().chain(run.calls.local(watched)).min()
}

/// No call failed for want of a descriptor: that says something only when calls were answered.
fn all_calls(run: &Run<'_>, watched: Nanos) -> Result<Kind, String> {
    match (run.calls.answered(watched), run.calls.over(watched)) {
        (Some(_), (0, _)) => Err("no call was over before the ramp ended".into()),
        (Some(_), (over, Some(asked))) if over < asked => {
            Err(format!("only {over} of {asked} calls were over before the ramp ended"))
        }
        (Some(0), (over, _)) => {
            let mostly = run.calls.mostly(watched).unwrap_or_default();
            Err(format!(
                "none of {over} calls was answered, and no descriptor call failed: most were {mostly}"
            ))
        }
        _ => Ok(Kind::NotReached),
    }
}

fn kind_of(errno: &str) -> Kind {
    if errno == "ENFILE" { Kind::Enfile } else { Kind::Emfile }
}

/// When the accepting process (or every one of them) exited between the ramp and the release, and what it held.
pub(super) fn exited(run: &Run<'_>) -> Option<(Nanos, u64)> {
    let ramp = run.timeline.from(Phase::Ramp);
    let in_time = |exit: &(Nanos, u64)| exit.0 >= ramp;
    let of = |pid| run.followed.tables.get(&pid).and_then(|t| t.exited).filter(in_time);
    let main = run.tree.main.and_then(of);
    if run.tree.is_client && ended_well(run) {
        return None;
    }
    main.or_else(|| {
        let accepting = || run.followed.tables.values().filter(|t| t.accepts > 0);
        let all = accepting().all(|t| t.exited.is_some_and(|e| in_time(&e)));
        if all { accepting().filter_map(|t| t.exited).max() } else { None }
    })
}

/// Whether a client that is done exited with 0, which is no ceiling.
fn ended_well(run: &Run<'_>) -> bool {
    let mut codes = run.timeline.events.iter().filter_map(|e| match &e.is {
        What::Exited { process, code, signal, .. } if *process == run.plan.subject => Some((*code, *signal)),
        _ => None,
    });
    codes.next_back().is_none_or(|last| last == (Some(0), None))
}

/// Fills in what was held when it stopped for this reason.
fn stopped(run: &Run<'_>, m: &mut Measured, kind: Kind) {
    let f = &run.followed;
    m.ceiling.kind = Some(kind);
    m.ceiling.exit =
        run.timeline.events.iter().rev().filter(|_| kind == Kind::Exited).find_map(|e| match &e.is {
            What::Exited { process, code, signal, .. } if *process == run.plan.subject => {
                Some(Exit { code: *code, signal: *signal })
            }
            _ => None,
        });
    match m.ceiling.exit {
        Some(Exit { code: None, .. }) => m.missing::<()>("ceiling.exit.code", "it was killed by a signal"),
        Some(Exit { signal: None, .. }) => m.missing::<()>("ceiling.exit.signal", "no signal killed it"),
        _ => None,
    };
    m.ceiling.reached = Some(!matches!(kind, Kind::Generator | Kind::NotReached));
    let failing = f.first.and_then(|first| f.tables.get(&first.pid));
    let (accepted, later) = match (failing, kind) {
        (Some(table), _) => (f.accepted, table.most_after),
        (None, Kind::Emfile | Kind::Enfile) => (0, 0),
        (None, Kind::Exited) => {
            // Those that it had handed over may outlive it.
            let held = exited(run).map_or(0, |(_, held)| held) + f.handed_over.0;
            (held, held)
        }
        // A probe that it took as well is none of the workload's.
        (None, Kind::NotReached) => (f.kept_in_all, f.kept_in_all),
        (None, _) => (f.kept_in_all, f.most_in_all),
    };
    if run.tree.is_client {
        for field in ["accepted", "accepted_max"] {
            m.missing::<()>(&format!("ceiling.{field}"), "the ceiling is counted in calls: see `calls`");
        }
        m.ceiling.calls = calls(run, m);
    } else {
        m.ceiling.accepted = Some(accepted);
        m.ceiling.accepted_max = match lost_after(run) {
            Some(samples) if f.first.is_some() => m.missing(
                "ceiling.accepted_max",
                format!("the observer lost {samples} samples after the first failure"),
            ),
            _ => Some(later.max(accepted)),
        };
    }
    if kind == Kind::Generator
        && let Some((at, errno)) = generator(run)
    {
        m.inconclusive.push(format!(
            "the generator's own side failed with errno {errno} at {:.3} s, before the subject did: give the harness more descriptors, ports or source addresses",
            seconds(at)
        ));
    }
}

/// Calls answered before the first failure, as the workload of calls, the subject's own count or the clients beside it say.
fn calls(run: &Run<'_>, m: &mut Measured) -> Option<u64> {
    let until = run.followed.first.map_or(run.timeline.watched_until(), |f| f.at);
    if let Some(answered) = run.calls.answered(until) {
        return Some(answered);
    }
    let own = run.timeline.events.iter().find_map(|e| match e.is {
        What::OwnCount { before_first_emfile, total, .. } => {
            Some(if run.followed.first.is_some() { before_first_emfile } else { total })
        }
        _ => None,
    });
    let answered = run.clients.records.iter().filter(|r| r.served.is_some_and(|s| s < until)).count() as u64;
    match own {
        Some(count) => Some(count),
        None if answered > 0 => Some(answered),
        None => m.missing("ceiling.calls", "neither the subject nor a workload counted its calls"),
    }
}

fn lost_after(run: &Run<'_>) -> Option<u64> {
    // What is lost once the limits are moved says nothing of what was held before.
    let until = run.timeline.start(Phase::Moved).unwrap_or(Nanos::MAX);
    let lost: u64 = run
        .timeline
        .events
        .iter()
        .filter(|e| e.at < until)
        .map(|e| if let What::Lost { samples } = e.is { samples } else { 0 })
        .fold(0, u64::saturating_add);
    (lost > 0).then_some(lost)
}

fn failures(run: &Run<'_>, m: &mut Measured) {
    let f = &run.followed;
    m.ceiling.before_ramp = f.early.map(|(first, failures)| BeforeRamp {
        call: first.call,
        errno: first.errno.into(),
        at_s: seconds(first.at),
        failures,
    });
    m.ceiling.first_failure = match (f.first, f.early) {
        (Some(first), _) => Some(FirstFailure {
            pid: first.pid,
            call: first.call,
            errno: first.errno.into(),
            at_s: seconds(first.at),
            accepted_before: f.accepted,
            waiting_clients: run.clients.open_at(first.at).saturating_sub(f.held_in_all),
            reason: None,
        }),
        (None, Some((first, _))) => Some(FirstFailure {
            pid: first.pid,
            call: first.call,
            errno: first.errno.into(),
            at_s: seconds(first.at),
            accepted_before: 0,
            waiting_clients: 0,
            reason: Some("it failed before the first client connected".into()),
        }),
        (None, None) => m.missing("ceiling.first_failure", "no descriptor call was seen to fail"),
    };
}

fn first_unserved(run: &Run<'_>) -> Option<FirstUnserved> {
    let rested =
        run.timeline.events.iter().rfind(|e| matches!(e.is, What::Baseline { .. })).map_or(0, |e| e.at);
    let watched = run.timeline.watched_until();
    let accepts = run.followed.accepts.iter().filter(|at| (rested..watched).contains(*at)).count() as u64;
    let (at, outcome) = run.clients.first_unserved(accepts, run.timeline.from(Phase::Ramp), watched)?;
    Some(FirstUnserved { at_s: seconds(at), outcome })
}

/// With which status, or by which signal, a process ended before clients were told to leave, as far as that was seen.
pub(super) fn ended(run: &Run<'_>, pid: Pid) -> Option<(Option<i32>, Option<i32>)> {
    run.timeline.between(0, run.timeline.released_from()).iter().find_map(|e| match e.is {
        What::Status { pid: of, code, signal } if of == pid => Some((code, signal)),
        _ => None,
    })
}

fn per_process(run: &Run<'_>) -> Vec<PerProcess> {
    let took_part = run.followed.tables.iter().filter(|(_, t)| t.accepts > 0 || t.before_failure.is_some());
    let line = |(pid, t): (&i32, &super::follow::Table)| {
        let accepted = t.before_failure.or(t.exited).map_or(t.at_ramp_end, |at| at.1);
        let (exit_code, killed_by) = ended(run, *pid).unwrap_or_default();
        PerProcess {
            pid: *pid,
            exit_code,
            killed_by,
            accepted,
            accepted_max: t.most_after.max(accepted),
            first_failure_at_s: t.before_failure.map(|(at, _)| seconds(at)),
        }
    };
    took_part.take(LISTED).map(line).collect()
}
