//! How many clients the subject holds and serves when they come no faster than it settles, and how many of a
//! burst.

use crate::event::{Label, Nanos, Outcome, Phase, Unseen};
use crate::measure::client_programs::unanswered;
use crate::measure::facts::{Asked, Client, DISMISSED_WITHIN, Facts, Losses};
use crate::measure::known::{Known, Why};
use crate::scenario::Pace;
use std::time::Duration;

/// The result of connecting all clients at once, where each connection costs work after its accept.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct Burst {
    /// Connections held just before the first failure.
    pub accepted: Known<u64>,
    /// Clients answered, or greeted, at the same time at most.
    pub served: Known<u64>,
}

/// Connections that it holds and serves. Where they cost no work after their accept, those that it accepted.
/// `unwatched`: connections that it holds and cannot serve.
pub(super) fn capacity(facts: &Facts<'_>, accepted: &Known<u64>, unwatched: u64) -> Known<u64> {
    let Some(steady) = facts.readings.after_accept else { return lasting(facts, accepted) };
    if !steady {
        // Where all that it took were served, and stayed, nothing was left to be done for them.
        let all = accepted.value().filter(|held| served(facts) == Some(*held));
        return all.map_or(Known::Unknown(Why::CameFaster), Known::Value);
    }
    let unseen = facts.readings.not_seen.iter().find(|(what, _)| **what == Unseen::Capacity);
    if let Some((_, why)) = unseen {
        return Known::Unknown(Why::Said((*why).to_owned()));
    }
    let Some(held) = accepted.value() else { return accepted.clone() };
    Known::Value(match served(facts) {
        Some(served) => served,
        // A client that asks nothing and gets nothing is held, unless it waits in the queue. Where the server
        // exited, its calls tell.
        None if facts.exited().is_some() => held,
        None => accepted_by_clients(facts).saturating_sub(unwatched),
    })
}

/// Connections accepted, without the one whose own failed call ended it at once: where a call beside accept
/// fails first, the last connection may be accepted for nothing.
fn lasting(facts: &Facts<'_>, accepted: &Known<u64>) -> Known<u64> {
    let holdings = &facts.holdings;
    let other = holdings.first.is_some_and(|first| !first.call.accepts());
    match accepted.value() {
        Some(held) if other && facts.exited().is_none() && holdings.kept_in_all + 1 == held => {
            Known::Value(holdings.kept_in_all)
        }
        _ => accepted.clone(),
    }
}

/// How many clients of a flood were accepted and served; `None` where none was made, or where that is the
/// capacity.
pub(super) fn burst(facts: &Facts<'_>, accepted: &Known<u64>) -> Option<Burst> {
    facts.readings.after_accept.filter(|steady| !steady)?;
    let plan = facts.plan;
    let flooded = plan.workloads.values().any(|w| w.to == plan.subject && w.pace == Pace::Burst);
    let served = || served(facts).map_or_else(|| Known::Unknown(unanswered(facts)), Known::Value);
    flooded.then(|| Burst { accepted: accepted.clone(), served: served() })
}

/// The most clients that were answered, or greeted where the first was, and held at the same time before any
/// was told to leave. `None`: nobody was.
fn served(facts: &Facts<'_>) -> Option<u64> {
    let (clients, until) = (&facts.clients, facts.phases.watched_until());
    let told = |client: &Client| if clients.answers { client.served } else { client.greeted };
    if !clients.answers && clients.all.iter().find(|c| c.connected.is_some())?.greeted.is_none() {
        return None;
    }
    let losses = Losses::at_the_wall(facts);
    let (asked, mut excused) = asked_again(facts);
    let mut changes: Vec<(Nanos, i64)> = Vec::new();
    for client in &clients.all {
        let Some(from) = told(client).filter(|at| *at < until) else { continue };
        let ended = client.ended.map(|(at, _)| at);
        let lost = losses.as_ref().is_some_and(|losses| losses.took(client));
        // Its time in the queue says nothing of how long it was held.
        let soon = ended.is_some_and(|at| at.saturating_sub(from) < DISMISSED_WITHIN);
        // It was held, and ended as it was asked again.
        let held = ended.is_some_and(|at| at >= asked) && client.connected < Some(asked) && excused > 0;
        if soon && held && !lost {
            excused -= 1;
        } else if soon && !lost {
            continue;
        }
        changes.push((from, 1));
        changes.extend(ended.or(client.released).map(|at| (at, -1)));
    }
    changes.sort_unstable();
    let mut held = 0;
    let most = changes.iter().filter(|(at, _)| *at < until).map(|(_, change)| {
        held += change;
        held
    });
    Some(most.max().unwrap_or(0).unsigned_abs())
}

/// When held clients were first asked again (later than anything: none was), and how many were closed then.
fn asked_again(facts: &Facts<'_>) -> (Nanos, usize) {
    let began = |asked: &Asked<'_>| {
        // A log may say anything.
        let took = Duration::try_from_secs_f64(asked.answer_s.unwrap_or_default()).unwrap_or_default();
        asked.at.saturating_sub(took.as_nanos() as Nanos)
    };
    let closed = facts.asked(Label::Held).filter(|asked| asked.outcome == Outcome::Closed).count();
    (facts.asked(Label::Held).map(began).min().unwrap_or(Nanos::MAX), closed)
}

/// Clients connected at the end of the watch, less those in the accept queue; no more than were accepted:
/// before a full queue handshakes wait.
fn accepted_by_clients(facts: &Facts<'_>) -> u64 {
    let until = facts.phases.watched_until();
    // A listener that is closed has no queue.
    let queued = facts.readings.samples_between(0, until).last().and_then(|sample| sample.queue).unwrap_or(0);
    let asked = facts
        .asked(Label::Saturated)
        .filter(|asked| asked.at < until && asked.outcome == Outcome::Waits)
        .count();
    let queued = u64::from(queued).saturating_sub(asked as u64);
    let accepts = facts.holdings.accepts_between(facts.phases.from(Phase::Ramp), until).len() as u64;
    facts.clients.open_at(until.saturating_sub(1)).saturating_sub(queued).min(accepts)
}
