//! What followed when the limits of the live subject were moved: whether it accepted again, how soon, and where it stopped next.

use super::numbers::Holders;
use super::saturation::probes;
use super::timeline::seconds;
use super::tree::full;
use super::{FirstFailure, Measured, Moved, Run};
use crate::event::{Limits, Nanos, Phase, What};

/// One move and what followed it, while the log is followed.
struct Move {
    /// What is watched of it.
    from: Nanos,
    until: Nanos,
    /// Of the last process that was moved.
    at: Nanos,
    raised: bool,
    resumed: Option<Nanos>,
    so_far: Option<Moved>,
}

/// Fills in every move of a limit.
pub(super) fn moved(run: &Run<'_>, m: &mut Measured) {
    let mut moves = moves(run);
    if moves.is_empty() {
        if !run.plan.then.is_empty() {
            m.missing::<()>(
                "moved",
                "the run ended, or the subject had exited, before its limits were moved",
            );
        }
        return;
    }
    follow(run, &mut moves);
    let passed_by = super::witness::passed_by(run);
    for one in moves {
        let Some(mut moved) = one.so_far else {
            m.missing::<()>("moved", "the limits of no process could be moved");
            continue;
        };
        if let Some(reason) = passed_by {
            (moved.held, moved.accepted_after) =
                (m.ceiling.accepted.unwrap_or(moved.held), m.missing("moved.accepted_after", reason));
        }
        moved.resumed_s = one.resumed.filter(|_| one.raised).map(|at| seconds(at - one.at));
        let waited = run.clients.open_at(one.at) > moved.held;
        let (resumed, reason) = match (one.raised, m.ceiling.first_failure.is_some(), one.resumed) {
            (false, ..) => (None, "the limit was not raised"),
            _ if passed_by.is_some() => (None, passed_by.unwrap_or_default()),
            (_, false, _) => (None, "no descriptor call had failed before"),
            (.., Some(_)) => (Some(true), ""),
            (.., None) if waited => (Some(false), "it did not accept again"),
            (.., None) => (None, "nobody waited to be accepted"),
        };
        moved.resumed = resumed.or_else(|| m.missing("moved.resumed", reason));
        if moved.resumed_s.is_none() {
            m.missing::<()>("moved.resumed_s", reason);
        }
        let told = probes(run).filter(|(at, p)| p.label == "moved" && (one.from..one.until).contains(at));
        moved.new_client = told.map(|(_, p)| p.outcome).last();
        if moved.new_client.is_none() {
            m.missing::<()>("moved.new_client", "a call failed before a new client was sent");
        }
        if moved.next_failure.is_none() {
            m.missing::<()>("moved.next_failure", "no descriptor call was seen to fail under the new limits");
        }
        m.moved.push(moved);
    }
}

/// The windows: each begins with its phase, and ends with the next.
fn moves(run: &Run<'_>) -> Vec<Move> {
    let begin = |e: &&&crate::event::Event| e.is == What::Phase(Phase::Moved);
    let starts: Vec<Nanos> = run.timeline.events.iter().filter(begin).map(|e| e.at).collect();
    let ends = starts.iter().skip(1).copied().chain([run.timeline.from(Phase::ReleaseSome)]);
    let window = |(&from, until)| Move { from, until, at: from, raised: false, resumed: None, so_far: None };
    starts.iter().zip(ends).map(window).collect()
}

/// Follows the connections that each process holds through the whole log.
fn follow(run: &Run<'_>, moves: &mut [Move]) {
    let mut held = Holders::new(run.followed.handed_over.0 > 0);
    let mut rest = moves.iter_mut().peekable();
    for (place, event) in run.timeline.events.iter().enumerate() {
        while let Some(over) = rest.next_if(|one| one.until <= event.at) {
            close(run, over, held.all);
        }
        if let Some(one) = rest.peek_mut().filter(|one| one.from <= event.at) {
            note(run, one, event.at, &event.is, &held);
        }
        held.follow(place, &event.is, |pid| run.tree.counts(pid));
    }
    rest.for_each(|over| close(run, over, held.all));
}

/// Takes in an event of the window. `held`: before it.
fn note(run: &Run<'_>, one: &mut Move, at: Nanos, what: &What, held: &Holders) {
    match what {
        What::LimitMoved { soft, hard, was, .. } => {
            let Limits { soft: before, .. } = *was;
            one.at = at;
            one.raised |= *soft > before;
            let moved = one.so_far.get_or_insert_with(|| Moved {
                at_s: seconds(at),
                held: held.all,
                ..Moved::default()
            });
            (moved.soft, moved.hard, moved.was) = (*soft, *hard, Some(*was));
            moved.processes += 1;
        }
        What::Call { pid, name, ret } if one.so_far.is_some() && run.tree.counts(*pid) => {
            if *ret >= 0 && name.accepts() {
                one.resumed.get_or_insert(at);
            }
            let Some((errno, moved)) = full(*ret).zip(one.so_far.as_mut()) else { return };
            // A call that had begun before the limit was raised may fail after that.
            if moved.next_failure.is_none() && (!one.raised || one.resumed.is_some()) {
                moved.next_failure = Some(FirstFailure {
                    pid: *pid,
                    call: *name,
                    errno: errno.into(),
                    at_s: seconds(at),
                    accepted_before: held.of(*pid),
                    waiting_clients: run.clients.open_at(at).saturating_sub(held.all),
                    reason: None,
                });
                moved.accepted_after = Some(held.of(*pid));
            }
        }
        _ => {}
    }
}

/// Ends a window without a failure: what is held then, without a probe that was let in as well.
fn close(run: &Run<'_>, one: &mut Move, all: u64) {
    let open = run.clients.open_at(one.until.saturating_sub(1));
    if let Some(moved) = &mut one.so_far {
        moved.accepted_after.get_or_insert(all.min(open));
    }
}
