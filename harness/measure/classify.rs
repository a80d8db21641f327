//! Names the accept policy of a subject, with its evidence: from the times of its failing calls, what it accepted and closed, which
//! of its processes ended and began, and what its clients saw. Never from a program's name or its log; *unclear* when that does not
//! decide.

use super::policy::Policy;
use super::rhythm::{Failing, Rhythm, batches, rhythm_of_tries};
use super::saturation::failures_per_s;
use super::timeline::{counted, seconds};
use super::tree::Failed;
use super::{Delay, Kind, Measured, Run};
use crate::event::{Call, Change, Event, Nanos, Outcome, Phase, Pid, What};
use std::collections::HashSet;

/// Gaps listed at most.
const GAPS: usize = 20;
/// Pauses between the last tries that are a pattern when those before them are none.
const PAUSES: usize = 3;
/// Clients in the queue for one that was shed: a server that sheds lets nobody wait for long.
const WAIT_FOR_EACH: u64 = 10;
/// A server that fell silent for less may be in a delay of its own; longer ones are known of no server.
const SILENT_AT_LEAST: Nanos = 1_500_000_000;

/// Fills in the policy and its evidence. `watched`: when saturation stopped being watched undisturbed.
pub(super) fn classify(run: &Run<'_>, m: &mut Measured, watched: Nanos) {
    let reason = match m.ceiling.kind {
        None => Some("the ceiling is not known"),
        Some(Kind::Generator) => Some("the generator ran out before the subject"),
        Some(Kind::OtherLimit) => Some(
            "no descriptor call failed, and it has no rule of its own: something else had run out, as `ceiling.binds` says",
        ),
        Some(kind) if kind != Kind::NotReached && run.tree.is_client && !accepts(run) => {
            Some("it accepts nobody: there is no accept loop to watch")
        }
        // A relay that accepts on, and answers each call with an error.
        Some(_) if run.tree.is_client && run.followed.first.is_some_and(|first| !first.call.accepts()) => {
            Some(
                "another call than accept was the first to fail: what its accept loop does is not the question",
            )
        }
        Some(_) => None,
    };
    let reason = super::witness::passed_by(run).or(reason);
    if let Some(reason) = reason {
        m.missing::<()>("saturation.policy", reason);
        m.missing::<()>("saturation.policy_evidence", reason);
        m.missing::<()>("saturation.delay_s", reason);
        return;
    }
    let (policy, evidence) = match m.ceiling.kind {
        Some(Kind::OwnLimit) => (Policy::LimitsItself, own_limit(run, m)),
        Some(Kind::Exited) => {
            let at = super::ceiling::exited(run).map_or(0, |e| e.0);
            after_exit(run, exited_at(run, at), at, "with no failed call seen")
        }
        Some(Kind::Emfile | Kind::Enfile) => at_the_wall(run, m, watched),
        Some(Kind::NotReached | Kind::Generator | Kind::OtherLimit) | None => {
            (Policy::None, "no descriptor call failed".into())
        }
    };
    m.saturation.policy = Some(policy);
    m.saturation.policy_evidence = Some(evidence);
    if m.saturation.delay_s.is_none() {
        m.missing::<()>(
            "saturation.delay_s",
            format!("it makes no pauses between tries that are known: its policy is {}", policy.name()),
        );
    }
}

/// Whether the subject was seen to accept, or to fail to.
fn accepts(run: &Run<'_>) -> bool {
    !run.followed.accepts.is_empty() || run.followed.failures.iter().any(|(_, call)| call.accepts())
}

fn own_limit(run: &Run<'_>, m: &Measured) -> String {
    let (ramp_ends, watched) = (run.timeline.from(Phase::Saturate), run.timeline.watched_until());
    // Whom it answered first it did not turn away: it does not keep so many connections open.
    let answered = run.clients.answered_and_closed(ramp_ends, watched);
    let turned_away = run.clients.turned_away(ramp_ends, watched).saturating_sub(answered);
    let waiting = run.clients.waiting(watched.saturating_sub(1), run.followed.kept_in_all);
    let held = m.ceiling.accepted.unwrap_or(0);
    let told = run.clients.ended(Outcome::ErrorReply, watched);
    let told = if told > 0 { format!(" ({told} of them with an error reply)") } else { String::new() };
    let closed = if answered > 0 {
        format!(", closed {} after an answer", counted(answered, "client"))
    } else {
        String::new()
    };
    format!(
        "no descriptor call failed; it holds {held}, turned {} away{told}{closed} and left {waiting} waiting",
        counted(turned_away, "client")
    )
}

/// The process that exited then.
fn exited_at(run: &Run<'_>, at: Nanos) -> Option<Pid> {
    run.followed.tables.iter().find(|(_, t)| t.exited.is_some_and(|e| e.0 == at)).map(|(&pid, _)| pid)
}

/// It exited: how, and whether something took its place.
fn after_exit(run: &Run<'_>, pid: Option<Pid>, exit: Nanos, how: &str) -> (Policy, String) {
    // What whoever started it saw, and of its children what the observer did.
    let status = run.timeline.events.iter().rev().find_map(|e| match &e.is {
        What::Exited { process, pid: of, code, signal }
            if *process == run.plan.subject && Some(*of) == pid =>
        {
            Some((*code, *signal))
        }
        What::Status { pid: of, code, signal } if Some(*of) == pid => Some((*code, *signal)),
        _ => None,
    });
    let status = match status {
        Some((Some(code), _)) => format!(" with code {code}"),
        Some((None, Some(signal))) => format!(" by signal {signal}"),
        _ => String::new(),
    };
    let lost = match run.clients.dropped(exit, run.timeline.released_from()) {
        0 => String::new(),
        1 => "; 1 client lost its connection".to_owned(),
        lost => format!("; {lost} clients lost their connection"),
    };
    match in_its_place(run, pid, exit) {
        Some((new, then, others)) => {
            let again = if others > 0 { format!(", and {others} more in turn") } else { String::new() };
            let later = seconds(then - exit);
            (
                Policy::WorkerRestarts,
                format!("it exited{status} {how}; process {new} was started {later:.3} s later{again}{lost}"),
            )
        }
        None => (Policy::Exits, format!("it exited{status} {how}{lost}")),
    }
}

/// The process that was started after `exit` in the place of `pid`: a child of the same parent, or one that accepts; and how many
/// more of these came until clients left.
fn in_its_place(run: &Run<'_>, pid: Option<Pid>, exit: Nanos) -> Option<(Pid, Nanos, usize)> {
    let released = run.timeline.released_from();
    let above = |of: Pid| {
        run.timeline.events.iter().find_map(|e| match &e.is {
            What::Process { pid, parent, change: Change::Fork } if *pid == of => Some(*parent),
            // Forked before anything was observed: the chain of limits knows its ancestors.
            What::Chain { links, .. } => {
                links.windows(2).find(|pair| pair[1].pid == of).map(|pair| pair[0].pid)
            }
            _ => None,
        })
    };
    let master = pid.and_then(above);
    let accepting: HashSet<Pid> = run
        .timeline
        .between(exit, run.timeline.end)
        .iter()
        .filter_map(|e| {
            if let What::Call { pid, name, .. } = e.is { name.accepts().then_some(pid) } else { None }
        })
        .collect();
    let mut new = run.timeline.between(exit, released).iter().filter_map(|e| match e.is {
        What::Process { pid: new, parent, change: Change::Fork }
            if Some(new) != pid && (Some(parent) == master || accepting.contains(&new)) =>
        {
            Some((new, e.at))
        }
        _ => None,
    });
    let (first, then) = new.next()?;
    Some((first, then, new.count()))
}

/// The failing process's retries.
fn at_the_wall(run: &Run<'_>, m: &mut Measured, watched: Nanos) -> (Policy, String) {
    let f = &run.followed;
    let Some(first) = f.first else {
        return (Policy::Unclear, "it failed before the first client".into());
    };
    let call = if f.failures.iter().any(|x| x.1.accepts()) { None } else { Some(first.call) };
    let counts = |name: Call| call.map_or(name.accepts(), |c| c == name);
    let times: Vec<Nanos> = f.failures.iter().filter(|x| x.0 < watched && counts(x.1)).map(|x| x.0).collect();
    let stopped = run
        .timeline
        .events
        .iter()
        .find(|e| e.is == What::SamplingStopped)
        .map(|e| e.at)
        .filter(|at| *at < watched);
    let lost = run.timeline.between(first.at, watched).iter().any(|e| matches!(e.is, What::Lost { .. }));
    let until = stopped.map_or(watched.min(run.timeline.end), |at| at.min(watched));
    let per_s = failures_per_s(run, m, watched, counts);
    let flooded = stopped.is_some() || lost || f.failures.len() >= super::follow::KEPT_FAILURES;
    let accepts: Vec<Nanos> =
        run.timeline.between(first.at, until).iter().filter_map(|e| accepted_by(first.pid, e)).collect();
    let of = |times: &[Nanos]| {
        rhythm_of_tries(&Failing { times, until, per_s: per_s.filter(|_| flooded), flooded }, &accepts)
    };
    // A pause that ends in an accept is not told from the wait for a client: where all are no pattern, those after the last count.
    let last = f
        .accepts
        .iter()
        .filter(|at| **at < watched)
        .max()
        .map_or(0, |last| times.partition_point(|at| at < last));
    let rhythm = match of(&times) {
        Rhythm::Unclear if times.len() - last > PAUSES => of(&times[last..]),
        rhythm => rhythm,
    };
    let starts: Vec<Nanos> =
        if rhythm == Rhythm::Spin { times.clone() } else { batches(&times).iter().map(|b| b.0).collect() };
    m.saturation.retry_gaps_s = starts.windows(2).take(GAPS).map(|w| seconds(w[1] - w[0])).collect();

    let released = run.timeline.released_from();
    if let Some(exit) = exit_of(run, first.pid).filter(|at| *at >= first.at && *at < released) {
        let failures = times.len().max(1);
        let tried = if failures > 1 { format!(" and {} more", failures - 1) } else { String::new() };
        let how = format!("{:.3} s after its first failed {}{tried}", seconds(exit - first.at), first.call);
        return after_exit(run, Some(first.pid), exit, &how);
    }
    let waiting = run.clients.waiting(watched.saturating_sub(1), f.most_in_all);
    let shed = shed(run, first, watched);
    let lacked = f.failures.iter().filter(|x| x.0 < watched && !x.1.accepts()).count() as u64;
    // Who accepts clients and then lacks a number for what they ask sheds nobody: that is no policy.
    let closed_for_lack = shed > 0 && (shed..=super::wall::TRIES_A_REPLY * shed).contains(&lacked);
    if closed_for_lack && call.is_some() {
        return (
            Policy::Unclear,
            format!(
                "accept never failed: {} accepted and closed at once where {} had failed",
                clients_were(shed),
                first.call
            ),
        );
    }
    if !closed_for_lack && ((shed >= 3 && waiting / WAIT_FOR_EACH <= shed) || (shed >= 1 && shed >= waiting))
    {
        return (
            Policy::Sheds,
            format!(
                "{} accepted and closed at once after the first failure; {waiting} wait",
                clients_were(shed)
            ),
        );
    }
    if let Some(evidence) = listener_closed(run, first, watched) {
        return (Policy::AcceptLoopDead, evidence);
    }
    m.saturation.delay_s = delay(&rhythm);
    // Another call may have failed first: those that were counted are accepts.
    let name = f.failures.iter().map(|x| x.1).find(|&name| counts(name)).unwrap_or(first.call);
    let (policy, evidence) = match rhythm {
        Rhythm::Spin => (
            Policy::Spin,
            format!("{} failed {name} calls a second", per_s.map_or(times.len() as f64, |rate| rate).round()),
        ),
        Rhythm::Storm { bursts, size, pause_s } => (
            Policy::Storm,
            format!(
                "{bursts} bursts of {} failures each, with pauses of {pause_s:.3} s between",
                size.round()
            ),
        ),
        Rhythm::Fixed { gap_s, gaps: 1 } => {
            (Policy::FixedDelay, format!("{gap_s:.3} s, and the next was not awaited"))
        }
        Rhythm::Fixed { gap_s, gaps } => (Policy::FixedDelay, format!("{gap_s:.3} s, {gaps} times")),
        Rhythm::Grows { from_s, to_s, factor } => (
            Policy::Backoff,
            format!("{from_s:.3} s at first, then {factor:.1} times as long each time, up to {to_s:.3} s"),
        ),
        Rhythm::Once { failures } => once(run, waiting, failures, until.saturating_sub(first.at)),
        Rhythm::Unclear => (Policy::Unclear, format!("{} failures whose gaps fit no pattern", times.len())),
    };
    let wait = if waiting > 0 && !matches!(rhythm, Rhythm::Once { .. }) {
        format!("; {}", clients_wait(waiting))
    } else {
        String::new()
    };
    let closed = match f.held_closed {
        0 => String::new(),
        closed => format!("; meanwhile it closed {} that it had held", counted(closed, "connection")),
    };
    (policy, evidence + &wait + &closed)
}

fn clients_wait(n: u64) -> String {
    format!("{} wait{}", counted(n, "client"), if n == 1 { "s" } else { "" })
}

fn clients_were(n: u64) -> String {
    format!("{} {}", counted(n, "client"), if n == 1 { "was" } else { "were" })
}

/// When this process accepted a connection, where that is what the event says.
fn accepted_by(acceptor: Pid, event: &Event) -> Option<Nanos> {
    matches!(event.is, What::Call { pid, name, ret: 0.. } if pid == acceptor && name.accepts())
        .then_some(event.at)
}

/// The pauses of a rhythm that has some.
fn delay(rhythm: &Rhythm) -> Option<Delay> {
    let (first, longest) = match *rhythm {
        Rhythm::Fixed { gap_s, .. } => (gap_s, gap_s),
        Rhythm::Storm { pause_s, .. } => (pause_s, pause_s),
        Rhythm::Grows { from_s, to_s, .. } => (from_s, to_s),
        Rhythm::Spin | Rhythm::Once { .. } | Rhythm::Unclear => return None,
    };
    Some(Delay { first, longest })
}

/// Clients that it took after its first failure and closed at once. Not those that it served first or that had left; and a server that
/// closes connections it has held for longer, such as idle ones, is not one that sheds who is too many.
fn shed(run: &Run<'_>, first: Failed, watched: Nanos) -> u64 {
    let (f, released) = (&run.followed, run.timeline.released_from());
    let left = run.calls.left_after(first.at, released) + run.clients.served_between(first.at, released);
    let closed = f.shed.saturating_sub(left);
    // A client that sees an end was shed only if it had been taken. One that asked may have been heard first; of one that asked nothing
    // only the time tells that it was not held.
    let taken = if run.clients.answers { f.dismissed } else { f.shed };
    let seen = run.clients.shed(first.at, watched).min(if f.calls_seen { taken } else { u64::MAX });
    let shed = seen.max(closed);
    if f.held_closed >= shed { 0 } else { shed }
}

/// Whether it let go of its listener: clients that nobody had accepted were reset, and new ones refused.
fn listener_closed(run: &Run<'_>, first: Failed, watched: Nanos) -> Option<String> {
    let accepted = run.followed.accepts.iter().any(|&at| at > first.at);
    let refused = super::saturation::probes(run)
        .filter(|(at, p)| *at > first.at && p.outcome == Outcome::Refused)
        .count();
    let closed = run.clients.shed(first.at, watched);
    (!accepted && refused > 0 && run.followed.calls_seen)
        .then(|| format!("it closed its listener: {closed} who waited were reset, new clients are refused, and its process lives"))
}

/// Failures at one time and then silence.
fn once(run: &Run<'_>, waiting: u64, failures: usize, silent: Nanos) -> (Policy, String) {
    let released = run.timeline.start(Phase::ReleaseSome).or(run.timeline.start(Phase::ReleaseAll));
    let stop = run.timeline.from(Phase::Again);
    let again = released.is_some_and(|at| run.followed.accepts.iter().any(|a| (at..stop).contains(a)));
    let failed =
        released.is_some_and(|at| run.followed.failed_later.is_some_and(|later| (at..stop).contains(&later)));
    let all = run.followed.first.map_or(0, |first| stop.min(run.timeline.end).saturating_sub(first.at));
    let failures =
        if failures == 1 { "one failure".to_owned() } else { format!("{failures} failures at once") };
    let silence = format!("{failures}, then silence for {:.3} s", seconds(silent));
    let wait = clients_wait(waiting);
    match (waiting, released) {
        (0, _) => (Policy::Unclear, format!("{silence}; nobody was waiting")),
        (_, Some(_)) if again => {
            (Policy::Unclear, format!("{silence} while {wait}; it accepts again after clients left"))
        }
        (_, Some(_)) if failed => {
            (Policy::Unclear, format!("{silence} while {wait}; it tried again after clients left"))
        }
        (_, Some(_)) if all < SILENT_AT_LEAST => {
            (Policy::Unclear, format!("{silence} while {wait}: too short to tell a delay from the end"))
        }
        (_, Some(_)) => (
            Policy::AcceptLoopDead,
            format!("{silence} while {wait}, and no accept after clients left, {:.3} s in all", seconds(all)),
        ),
        (_, None) => (Policy::Unclear, format!("{silence} while {wait}; nobody was released")),
    }
}

fn exit_of(run: &Run<'_>, pid: Pid) -> Option<Nanos> {
    run.followed.tables.get(&pid).and_then(|t| t.exited).map(|e| e.0)
}
