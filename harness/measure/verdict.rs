//! The verdict on a server after clients leave: recovered, degraded, leaking, draining, stuck or gone, by the
//! measurements of its recovery.

use super::ceiling::{Ceiling, Kind};
use super::facts::Facts;
use super::known::{Known, Why};
use super::leaks::{Leak, StaysOpen};
use super::moved::{Moved, before_release};
use super::policy::{AcceptPolicy, Policy};
use super::recovery::Recovery;
use super::rounds::Rounds;
use super::units::seconds;
use crate::event::{Ended, Nanos, Phase};
pub use crate::scenario::Verdict;

/// Served more slowly by this factor, and by so many seconds more, a server is degraded: a busy machine makes
/// one slow, too.
const SLOWER: f64 = 4.0;
const SLOWER_BY_S: f64 = 0.05;

/// The verdict, with the observations that show it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct End {
    /// The verdict.
    pub verdict: Verdict,
    /// The observations that show it.
    pub evidence: VerdictEvidence,
}

/// The observations when clients left.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "the variants say what the fields are")]
#[non_exhaustive]
pub enum VerdictEvidence {
    /// It exited before any client left, with so many connections; and whether another process took its
    /// place.
    ExitedBefore { held: u64, replaced: bool },
    /// A program that only calls exited, so many seconds after its first failed call; `None`: none had
    /// failed.
    CallerExited { after_failure_s: Option<f64> },
    /// It exited so many seconds after the first client left.
    ExitedAfter { after_s: f64, replaced: bool },
    /// All had left, and no new client was served: within so many seconds it accepted so many of the queue
    /// that had gone.
    NobodyServed { meanwhile: Option<(u64, f64)> },
    /// So many descriptors more than at rest stay open.
    StaysOpen { descriptors: u64 },
    /// So many seconds after all had left it still closed descriptors, or took clients that had gone from its
    /// queue: so many until then; and whether it served a new client.
    StillDrains { after_s: f64, accepted: u64, served: bool },
    /// The ceiling went down over so many rounds.
    CeilingFell { from: u64, to: u64, rounds: usize },
    /// The second ceiling is lower than the first; descriptors that stay open.
    SecondLower { descriptors: Option<u64>, second: u64, first: u64 },
    /// In this round, counted from 1, it accepted, and answered none of those that waited. For the first
    /// round, also how many of these it turned away, if any.
    AcceptedOnly { round: usize, turned_away: Option<u64> },
    /// Half of the clients were answered within so many seconds before, and after.
    Slower { was_s: f64, is_s: f64 },
    /// A new client was served after all had left; the second ceiling, where there was a second ramp.
    Served { second: Option<u64> },
}

/// The verdict.
pub(super) fn verdict(
    facts: &Facts<'_>,
    ceiling: &Ceiling,
    policy: &AcceptPolicy,
    moved: &Known<Vec<Moved>>,
    recovery: &Recovery,
    rounds: &Rounds,
) -> Known<End> {
    let end = |verdict, evidence| Known::Value(End { verdict, evidence });
    match (&ceiling.kind, &recovery.recovered) {
        _ if let Some(evidence) = gone(facts, policy, recovery) => end(Verdict::Gone, evidence),
        (Known::Unknown(why), _) | (_, Known::Unknown(why)) => Known::Unknown(why.clone()),
        _ if flows_open(facts) => Known::Unknown(Why::FlowsStillOpen),
        (_, Known::Value(served)) if let Some(evidence) = draining(facts, *served) => {
            end(Verdict::Draining, evidence)
        }
        (_, Known::Value(true)) => served(ceiling, moved, recovery, rounds),
        // It may open its listener again, as a server does that takes so many clients in a second.
        (Known::Value(Kind::OwnLimit), Known::Value(false)) if recovery.refuses() => {
            Known::Unknown(Why::RefusedFor { within_s: seconds(released_for(facts)) })
        }
        // What stays open may keep everybody out.
        (_, Known::Value(false))
            if recovery.leaked.value().is_none_or(|leaked| leaked <= 0) && recovery.turns_away() =>
        {
            Known::Unknown(Why::TurnedAwayFor { within_s: seconds(released_for(facts)) })
        }
        (_, Known::Value(false)) if facts.may_close() => {
            Known::Unknown(Why::NobodyServedWithin { within_s: seconds(released_for(facts)) })
        }
        // Also where a leak keeps every new client out: nobody is served until it is restarted.
        (_, Known::Value(false)) => {
            end(Verdict::Stuck, VerdictEvidence::NobodyServed { meanwhile: meanwhile(facts) })
        }
    }
}

/// The verdict on a server that serves new clients: fewer than before, with descriptors that stay open, or
/// more slowly.
fn served(ceiling: &Ceiling, moved: &Known<Vec<Moved>>, recovery: &Recovery, rounds: &Rounds) -> Known<End> {
    let end = |verdict, evidence| Known::Value(End { verdict, evidence });
    let at_its_ceiling = ceiling.reached.value() == Some(true);
    let leaked = recovery.leaked.value().filter(|leaked| *leaked > 0);
    let open = leaked.map(i64::unsigned_abs);
    let second = rounds.second_ceiling.value();
    // Seen to grow with further clients, or, where none came, as many as clients.
    let grows = recovery.second_round.is_some();
    let once = leaked.is_some_and(|n| ceiling.opened_once(n));
    let leaks = grows || !once && (second.is_none() || !at_its_ceiling);
    let lower = || lower(rounds, before_release(ceiling, moved), open);
    match open.filter(|_| leaks) {
        _ if at_its_ceiling && let Some((verdict, evidence)) = lower() => end(verdict, evidence),
        Some(descriptors) => end(Verdict::Leaking, VerdictEvidence::StaysOpen { descriptors }),
        None if !at_its_ceiling => Known::Unknown(Why::NotAtItsCeiling),
        None if let Some(evidence) = slowed(recovery, rounds) => end(Verdict::Degraded, evidence),
        None => end(Verdict::Recovered, VerdictEvidence::Served { second }),
    }
}

/// Descriptors that clients leave open: those that grew when some came again or, where none could, all that a
/// leaking or stuck server has open beyond those at rest.
pub(super) fn leaks(end: &Known<End>, stays: StaysOpen) -> Vec<Leak> {
    match end.get().map(|end| end.verdict) {
        Some(Verdict::Leaking | Verdict::Stuck) if stays.leaks.is_empty() => stays.left,
        _ => stays.leaks,
    }
}

/// It exited. With several workers, the one at the wall: its clients are gone with it.
fn gone(facts: &Facts<'_>, policy: &AcceptPolicy, recovery: &Recovery) -> Option<VerdictEvidence> {
    let first = facts.holdings.first;
    if facts.plan.called().is_some()
        && let Some(main) = facts.processes.main
        && let Some(exit) =
            facts.exit_seen(main, first.map_or(0, |first| first.at), facts.phases.from(Phase::Stop))
        && (first.is_some() || facts.exited().is_some())
    {
        let after_failure_s = first.map(|first| seconds(exit.saturating_sub(first.at)));
        return Some(VerdictEvidence::CallerExited { after_failure_s });
    }
    let replaced = policy.policy.value() == Some(Policy::WorkerRestarts);
    let at_the_wall =
        first.and_then(|first| facts.holdings.tables.get(&first.pid)).and_then(|table| table.exited);
    if let Some((_, held)) = facts.exited().or(at_the_wall) {
        return Some(VerdictEvidence::ExitedBefore { held, replaced });
    }
    recovery.exited_s.value().map(|after_s| VerdictEvidence::ExitedAfter { after_s, replaced })
}

/// Whether flows may have descriptors open still: it was never seen at rest.
fn flows_open(facts: &Facts<'_>) -> bool {
    facts.serves_datagrams() && facts.phases.why_ended_last(Phase::Settle) != Some(Ended::AtRest)
}

/// All had left, and it still closed descriptors or worked off its queue when it was waited for no longer.
fn draining(facts: &Facts<'_>, served: bool) -> Option<VerdictEvidence> {
    let late = |phase| facts.phases.why_ended_last(phase) == Some(Ended::Draining);
    let round = facts.phases.second_round().map(|_| Phase::SecondRound);
    let goes_on = [Phase::ReleaseAll, Phase::Settle].into_iter().chain(round).any(late);
    let from = facts.phases.from(Phase::ReleaseAll);
    let until = facts.phases.from(Phase::Again);
    let accepted = facts.holdings.accepts_between(from, until).len() as u64;
    goes_on.then(|| VerdictEvidence::StillDrains {
        after_s: seconds(until.saturating_sub(from)),
        accepted,
        served,
    })
}

/// Fewer fit than before: from round to round, or from ramp to ramp.
fn lower(rounds: &Rounds, first: Option<u64>, open: Option<u64>) -> Option<(Verdict, VerdictEvidence)> {
    let second = rounds.second_ceiling.value().zip(first).filter(|(second, first)| second < first);
    let ceilings: Vec<u64> = rounds.rounds.iter().filter_map(|round| round.ceiling.value()).collect();
    let falls = ceilings.first() > ceilings.last() && ceilings.is_sorted_by(|a, b| a >= b);
    // Where nothing stays open and as many fit in the end, it is chance.
    if falls && (open.is_some() || second.is_some()) {
        let (from, to) = (*ceilings.first()?, *ceilings.last()?);
        return Some((Verdict::Leaking, VerdictEvidence::CeilingFell { from, to, rounds: ceilings.len() }));
    }
    let (second, first) = second?;
    let verdict = if open.is_some() { Verdict::Leaking } else { Verdict::Degraded };
    Some((verdict, VerdictEvidence::SecondLower { descriptors: open, second, first }))
}

/// It serves as many as before, but worse.
fn slowed(recovery: &Recovery, rounds: &Rounds) -> Option<VerdictEvidence> {
    let silent = rounds
        .rounds
        .iter()
        .position(|round| round.first_accepted_s.get().is_some() && round.first_served_s.get().is_none());
    if let Some(silent) = silent {
        let turned_away = recovery.waiters_turned_away.filter(|_| silent == 0);
        return Some(VerdictEvidence::AcceptedOnly { round: silent + 1, turned_away });
    }
    let (before, after) = (rounds.before.get()?, rounds.after.get()?);
    let (was_s, is_s) = (before.latency_s.value()?.p50, after.latency_s.value()?.p50);
    let plain = is_s > was_s * SLOWER
        && is_s > was_s + SLOWER_BY_S
        && after.served_per_s * SLOWER < before.served_per_s;
    plain.then_some(VerdictEvidence::Slower { was_s, is_s })
}

/// The time from the release of all clients until no new one was sent.
fn released_for(facts: &Facts<'_>) -> Nanos {
    let (from, until) = (facts.phases.from(Phase::ReleaseAll), facts.phases.from(Phase::Settle));
    until.saturating_sub(from)
}

/// Clients that it took when all had left, and in how many seconds: it works off a queue of clients that are
/// gone before it takes a new one.
fn meanwhile(facts: &Facts<'_>) -> Option<(u64, f64)> {
    let (from, until) = (facts.phases.from(Phase::ReleaseAll), facts.phases.from(Phase::Settle));
    let taken = facts.holdings.accepts_between(from, until).len() as u64;
    (taken > 0).then(|| (taken, seconds(released_for(facts))))
}
