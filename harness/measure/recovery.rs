//! What the subject did when clients left: who was served then, how soon, and what it still holds after all left.

use super::saturation::probes;
use super::timeline::seconds;
use super::witness::unseen;
use super::{Measured, Run};
use crate::event::{Change, Nanos, Outcome, Phase, What};

/// Fills in the recovery.
pub(super) fn recovery(run: &Run<'_>, m: &mut Measured) {
    some_left(run, m);
    all_left(run, m);
    descriptors(run, m);
}

/// When clients began to leave in the phase that starts at `phase`.
pub(super) fn began(run: &Run<'_>, phase: Nanos, until: Nanos) -> Nanos {
    let told = run
        .timeline
        .between(phase, until)
        .iter()
        .find(|e| matches!(e.is, What::Released { .. }))
        .map(|e| e.at);
    let left =
        run.clients.records.iter().filter_map(|r| r.released).filter(|at| (phase..until).contains(at)).min();
    told.into_iter().chain(left).min().unwrap_or(phase)
}

fn some_left(run: &Run<'_>, m: &mut Measured) {
    let Some(phase) = run.timeline.start(Phase::ReleaseSome) else {
        for field in ["released", "first_served_s", "queue_drained_s", "waiters", "waiters_served"] {
            m.missing::<()>(&format!("recovery.{field}"), "no clients were released while others waited");
        }
        return;
    };
    // Of several rounds, the first.
    let until = super::rounds::windows(run).first().map_or(phase, |first| first.until);
    let since = began(run, phase, until);
    let events = run.timeline.between(phase, until);
    let told = events
        .iter()
        .filter_map(|e| if let What::Released { clients } = e.is { Some(u64::from(clients)) } else { None });
    m.recovery.released =
        match told.fold(None, |sum: Option<u64>, n| Some(sum.unwrap_or(0).saturating_add(n))) {
            Some(sum) => Some(sum),
            None => m.missing("recovery.released", "the driver did not say how many left"),
        };
    if let Some(reason) = unseen(run) {
        for field in ["first_served_s", "queue_drained_s", "waiters", "waiters_served"] {
            m.missing::<()>(&format!("recovery.{field}"), reason);
        }
        return;
    }
    let held = run.followed.most_ever.max(run.followed.held_in_all);
    let waiters = run.clients.waiting(phase.saturating_sub(1), held);
    m.recovery.waiters = Some(waiters);
    let accepts = |until: Nanos| run.followed.accepts.iter().filter(move |at| (phase..until).contains(*at));
    m.recovery.waiters_served = Some(if run.clients.answers {
        run.clients.waiters_served(phase.saturating_sub(1), until).min(waiters)
    } else {
        (accepts(until).count() as u64).min(waiters)
    });
    let turned_away =
        if run.clients.answers { run.clients.waiters_turned_away(phase.saturating_sub(1), until) } else { 0 };
    m.recovery.waiters_turned_away = Some(turned_away).filter(|n| *n > 0);
    if waiters == 0 {
        m.missing::<()>("recovery.first_served_s", "no client was waiting");
        m.missing::<()>("recovery.queue_drained_s", "no client was waiting");
        return;
    }
    let served = if run.clients.answers {
        run.clients.first_served(phase).filter(|at| *at < until)
    } else {
        accepts(until).min().copied()
    };
    m.recovery.first_served_s = match served {
        Some(at) => Some(seconds(at.saturating_sub(since))),
        None => m.missing("recovery.first_served_s", "no waiter was served before all clients were released"),
    };
    let drained =
        events.iter().find(|e| matches!(e.is, What::Sample { queue: Some(0), .. }) && e.at >= since);
    m.recovery.queue_drained_s = match drained {
        Some(sample) => Some(seconds(sample.at - since)),
        None => m.missing(
            "recovery.queue_drained_s",
            "the accept queue was not seen empty before all clients were released",
        ),
    };
}

fn all_left(run: &Run<'_>, m: &mut Measured) {
    let Some(phase) = run.timeline.start(Phase::ReleaseAll) else {
        for field in ["recovered", "new_client_served_s", "probe_after", "exited_s"] {
            m.missing::<()>(&format!("recovery.{field}"), "the clients were never all released");
        }
        return;
    };
    let unseen = unseen(run);
    let asked: Vec<_> = probes(run).filter(|(at, p)| p.label == "after-all" && *at >= phase).collect();
    // A `tcp` client is served when it is accepted, be it after it has gone: that is the last accept, for the queue was empty before.
    let settle = run.timeline.from(Phase::Settle);
    let accept = || run.followed.accepts.iter().filter(|at| (phase..settle).contains(*at)).max().copied();
    let good = asked.iter().find_map(|(at, p)| match p.outcome {
        Outcome::Served => Some((*at, p)),
        Outcome::Waits if !run.clients.answers => accept().map(|accepted| (accepted, p)),
        _ => None,
    });
    m.recovery.probe_after = good.map(|g| g.1).or(asked.last().map(|(_, p)| p)).cloned();
    m.recovery.new_client_served_s = match good {
        Some((at, _)) => Some(seconds(at.saturating_sub(phase))),
        None if asked.is_empty() => {
            m.missing("recovery.new_client_served_s", "no new client was sent after all had left")
        }
        None if unseen.is_some() => m.missing("recovery.new_client_served_s", unseen.unwrap_or_default()),
        None => m.missing("recovery.new_client_served_s", "no new client was served after all had left"),
    };
    // A server that is no more has not recovered, whoever else answers at its port.
    let released = run.timeline.from(Phase::ReleaseSome);
    let exited = run
        .timeline
        .between(run.timeline.from(Phase::Saturate), run.timeline.from(Phase::Stop))
        .iter()
        .find_map(|e| match e.is {
            What::Process { pid, change: Change::Exit, .. } | What::Exited { pid, .. }
                if Some(pid) == run.tree.main =>
            {
                Some(e.at)
            }
            _ => None,
        });
    m.recovery.exited_s = match exited {
        Some(at) => Some(seconds(at.saturating_sub(released))),
        None => m.missing("recovery.exited_s", "it did not exit"),
    };
    m.recovery.recovered = match (asked.is_empty(), exited) {
        (_, Some(_)) => Some(false),
        (false, None) if good.is_none() && unseen.is_some() => {
            m.missing("recovery.recovered", unseen.unwrap_or_default())
        }
        (true, None) => m.missing("recovery.recovered", "no new client was sent after all had left"),
        (false, None) => Some(good.is_some()),
    };
    if asked.is_empty() {
        m.missing::<()>("recovery.probe_after", "no new client was sent after all had left");
    }
    for (field, absent) in
        [("connect_s", no_time(m, |p| p.connect_s)), ("answer_s", no_time(m, |p| p.answer_s))]
    {
        if absent {
            m.missing::<()>(&format!("recovery.probe_after.{field}"), "it did not come to that");
        }
    }
}

fn no_time(m: &Measured, of: impl Fn(&super::Probe) -> Option<f64>) -> bool {
    m.recovery.probe_after.as_ref().is_some_and(|p| of(p).is_none())
}

fn descriptors(run: &Run<'_>, m: &mut Measured) {
    let after = run.timeline.start(Phase::ReleaseAll).and_then(|from| {
        let until = run.timeline.from(Phase::Again).max(from);
        let samples = run.timeline.between(from, until).iter();
        samples.rev().find_map(|e| match e.is {
            What::Sample { pid, descriptors, .. } if Some(pid) == run.tree.main => Some(descriptors),
            _ => None,
        })
    });
    m.recovery.descriptors_after = match after {
        Some(count) => Some(count),
        None => m.missing(
            "recovery.descriptors_after",
            "the descriptors were not counted after all clients had left",
        ),
    };
    // The settle phase ends with a count.
    let settled = run.timeline.between(run.timeline.from(Phase::Settle), run.timeline.from(Phase::Again));
    let held = settled
        .iter()
        .rev()
        .find_map(|e| if let What::Tcp { subject, .. } = &e.is { subject.clone() } else { None });
    m.recovery.tcp_states_after = held.or_else(|| {
        m.missing("recovery.tcp_states_after", "the sockets were not listed after all clients had left")
    });
    let rest = m.baseline.descriptors;
    m.recovery.leaked = match after.zip(rest) {
        Some((after, rest)) => Some(after as i64 - rest as i64),
        None => m.missing(
            "recovery.leaked",
            "the descriptors at rest, or those after all clients had left, are not known",
        ),
    };
}
