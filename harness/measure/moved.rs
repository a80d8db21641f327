//! The reaction of the live subject when its limits were moved: whether it accepted again, how soon, and
//! where it stopped next.

use super::ceiling::{Ceiling, FirstFailure};
use super::facts::{Facts, Failed, Move};
use super::known::{Known, OrWhy, Why};
use super::units::seconds;
use crate::event::{Label, Limits, Outcome};

/// A limit that was moved on the live process, and what followed.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct Moved {
    /// The soft limit in force from then on.
    pub soft: u64,
    /// The hard limit in force from then on.
    pub hard: u64,
    /// The limits in force before.
    pub was: Limits,
    /// Processes whose limits were moved.
    pub processes: u32,
    /// Seconds since the run's start.
    pub at_s: f64,
    /// Connections that all its processes held then.
    pub held: u64,
    /// For a limit raised at the wall: whether it accepted again while clients waited.
    pub resumed: Known<bool>,
    /// From the move to that accept.
    pub resumed_s: Known<f64>,
    /// Connections held just before the next failed call, by the process that made it; without one, those
    /// held in the end by all.
    pub accepted_after: Known<u64>,
    /// The first descriptor call that failed under the new limits; where they were raised, after it had
    /// accepted again.
    pub next_failure: Known<FirstFailure>,
    /// The outcome of a new client, if nothing failed first.
    pub new_client: Known<Outcome>,
}

/// Each move that the scenario asks for, in order; unknown where limits could not be moved.
pub(super) fn moved(facts: &Facts<'_>, ceiling: &Ceiling) -> Known<Vec<Moved>> {
    let moves = facts.moves();
    if moves.is_empty() && !facts.plan.then.is_empty() {
        return Known::Unknown(Why::NotMovedInTime);
    }
    if !moves.is_empty() && moves.iter().all(Option::is_none) {
        return Known::Unknown(Why::NoProcessToMove);
    }
    Known::Value(moves.into_iter().flatten().map(|one| follow(facts, ceiling, &one)).collect())
}

fn follow(facts: &Facts<'_>, ceiling: &Ceiling, one: &Move) -> Moved {
    let unseen = facts.accepts_pass_by();
    let held = if unseen { ceiling.accepted.value().unwrap_or(one.held) } else { one.held };
    let resumed = resumed(facts, ceiling, one, held);
    let told = facts.asked(Label::Moved).filter(|asked| one.window.contains(asked.at)).last();
    Moved {
        soft: one.now.soft,
        hard: one.now.hard,
        was: one.was,
        processes: one.processes,
        at_s: seconds(one.first_at),
        held,
        resumed_s: match one.resumed.filter(|_| one.raised) {
            Some(at) => Known::Value(seconds(at - one.at)),
            None => Known::Unknown(resumed.why().cloned().unwrap_or(Why::DidNotResume)),
        },
        resumed,
        accepted_after: match unseen {
            true => Known::Unknown(Why::AcceptsPassBy),
            false => Known::Value(held_after(facts, one)),
        },
        next_failure: one
            .failed
            .map(|failed| next_failure(facts, failed))
            .or_why(Why::NoFailureUnderNewLimits),
        new_client: told.map(|asked| asked.outcome).or_why(Why::FailedBeforeNewClient),
    }
}

/// Whether it accepted again, where anybody waited for a raised limit.
fn resumed(facts: &Facts<'_>, ceiling: &Ceiling, one: &Move, held: u64) -> Known<bool> {
    let waited = facts.clients.open_at(one.at) > held;
    match one.resumed {
        _ if !one.raised => Known::Unknown(Why::NotRaised),
        _ if facts.accepts_pass_by() => Known::Unknown(Why::AcceptsPassBy),
        _ if ceiling.first_failure.get().is_none() => Known::Unknown(Why::NothingHadFailed),
        Some(_) => Known::Value(true),
        None if waited => Known::Value(false),
        None => Known::Unknown(Why::NobodyWaited),
    }
}

/// The connections held at the window's end if nothing failed, without a probe that was let in as well.
fn held_after(facts: &Facts<'_>, one: &Move) -> u64 {
    let open = || facts.clients.open_at(one.window.until.saturating_sub(1));
    one.failed.map_or_else(|| one.held_at_end.min(open()), |(_, held, _)| held)
}

fn next_failure(facts: &Facts<'_>, (failed, own, all): (Failed, u64, u64)) -> FirstFailure {
    FirstFailure {
        pid: failed.pid,
        call: failed.call,
        errno: failed.errno.name().unwrap_or_default(),
        at_s: seconds(failed.at),
        accepted_before: own,
        waiting_clients: facts.clients.open_at(failed.at).saturating_sub(all),
        next_connects: false,
        in_child: false,
        reason: None,
    }
}

/// The most connections held under the limits that were in force when clients left. A second ramp is compared
/// with it. `None`: no call failed under those limits.
pub fn before_release(ceiling: &Ceiling, moved: &Known<Vec<Moved>>) -> Option<u64> {
    match moved.get().and_then(|moved| moved.last()) {
        None => ceiling.accepted_max.value().or(ceiling.accepted.value()),
        Some(last) => last.accepted_after.value().filter(|_| last.next_failure.get().is_some()),
    }
}
