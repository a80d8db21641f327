//! A full server as its clients see it: those that it holds, those in the queue, and the next ones.

use super::ceiling::Ceiling;
use super::closes::Closes;
use super::facts::{Asked, Client, Facts};
use super::known::{Known, OrWhy, Why};
use super::latency::{Latency, latency};
use super::units::seconds;
use super::waiting::waiting;
use crate::event::{Label, Nanos, Outcome, Phase};

/// Probes listed at most.
const PROBES: usize = 100;
const OUTCOMES: [Outcome; 6] = [
    Outcome::Served,
    Outcome::Waits,
    Outcome::TimesOut,
    Outcome::Refused,
    Outcome::Closed,
    Outcome::ErrorReply,
];

/// A full server as its clients see it.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct ClientsSeen {
    /// Latency from the connect to the first answer, for clients answered before the first failed call (or
    /// the ramp's end).
    pub before_s: Known<Latency>,
    /// Held clients that asked again at the wall.
    pub held: Held,
    /// Connected and not served when saturation ends: in the accept queue, or accepted and left alone.
    pub queued: u64,
    /// Clients that came after the first failed call (without one: those that were not served), by outcome.
    pub next: Vec<Got>,
}

/// Held clients that asked again on their own connections.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct Held {
    /// Asked.
    pub probed: u64,
    /// Answered as before.
    pub answered: u64,
    /// Silent until the deadline; nobody was asked after that.
    pub silent: u64,
    /// Told an error, and not closed.
    pub error_replies: u64,
    /// Closed.
    pub dropped: u64,
    /// Latency of the answers.
    pub latency_s: Known<Latency>,
}

/// Clients that got the same.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct Got {
    /// Their outcome.
    pub outcome: Outcome,
    /// How many.
    pub clients: u64,
    /// Latency from the connect to that outcome.
    pub after_s: Known<Latency>,
}

/// The result of one new client, or of a held client that asked again.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct Probe {
    /// `dialogue`, `saturated`, `moved`, `after-some`, `after-all`, `held`.
    pub label: Label,
    /// Which workload asked.
    pub workload: String,
    /// Its outcome.
    pub outcome: Outcome,
    /// The answer's first line, or the error.
    pub detail: String,
    /// Time of the connect, seconds.
    pub connect_s: Known<f64>,
    /// Time until the answer, seconds.
    pub answer_s: Known<f64>,
}

/// A probe as it is reported; `connected`: why it may have no time of its connect.
pub(super) fn probe(asked: &Asked<'_>, connected: Why, answered: Why) -> Probe {
    Probe {
        label: asked.label,
        workload: asked.workload.to_owned(),
        outcome: asked.outcome,
        detail: asked.detail.to_owned(),
        connect_s: asked.connect_s.or_why(connected),
        answer_s: asked.answer_s.or_why(answered),
    }
}

/// Every probe, in order of time, at most 100.
pub(super) fn probes(facts: &Facts<'_>) -> Vec<Probe> {
    let all = facts.readings.asked.iter().take(PROBES);
    all.map(|asked| probe(asked, Why::NoConnectOrHeld, Why::NoAnswer)).collect()
}

/// The outcome of a new client at the wall.
pub(super) fn new_client(facts: &Facts<'_>) -> Known<Outcome> {
    facts.asked(Label::Saturated).last().map(|asked| asked.outcome).or_why(Why::NoNewClientAtWall)
}

/// Connections held before that the server closed by itself.
pub(super) fn held_closed(facts: &Facts<'_>, closes: &Closes, ceiling: &Ceiling) -> Known<u64> {
    let held = ceiling.accepted_max.value().or(ceiling.accepted.value());
    let held = held.filter(|_| ceiling.connected.value() > Some(0));
    let released = facts.phases.released_from();
    let closed = |held| closes.held_closed(facts, held, facts.wall_begins(), released);
    held.map(closed).or_why(Why::NoneKnownHeld)
}

/// The full server as its clients saw it.
pub(super) fn clients_seen(facts: &Facts<'_>, ceiling: &Ceiling) -> ClientsSeen {
    let watched = facts.phases.watched_until();
    let failed = facts.holdings.first.map(|first| first.at);
    let wall = failed.unwrap_or_else(|| facts.phases.from(Phase::Saturate).min(watched));
    let answered = |c: &Client| Some(seconds(c.served.filter(|at| *at < wall)?.saturating_sub(c.connected?)));
    ClientsSeen {
        before_s: latency(facts.clients.all.iter().filter_map(answered).collect())
            .or_why(Why::NoneAnsweredBefore),
        held: held_asked(facts, 0, facts.phases.released_from()),
        queued: waiting(facts, ceiling),
        next: next(facts, failed),
    }
}

/// Clients that connected to the full server, by outcome.
fn next(facts: &Facts<'_>, failed: Option<Nanos>) -> Vec<Got> {
    let (watched, released) = (facts.phases.watched_until(), facts.phases.released_from());
    let comes_next = |c: &&Client| match failed {
        Some(at) => c.connected.or(c.ended.map(|e| e.0)).is_some_and(|first| (at..released).contains(&first)),
        None => {
            let unserved = c.served.is_none_or(|at| at >= watched);
            facts.clients.answers && unserved && (c.connected.is_some() || c.ended.is_some())
        }
    };
    let all: Vec<(Outcome, Option<f64>)> =
        facts.clients.all.iter().filter(comes_next).map(|client| got(client, released)).collect();
    let of = |outcome| all.iter().filter(move |one| one.0 == outcome);
    OUTCOMES
        .into_iter()
        .filter(|outcome| of(*outcome).next().is_some())
        .map(|outcome| Got {
            outcome,
            clients: of(outcome).count() as u64,
            after_s: latency(of(outcome).filter_map(|one| one.1).collect()).or_why(Why::ConnectFailedOrWaits),
        })
        .collect()
}

/// The outcome of a client by then, and the time from its connect to it, seconds.
fn got(client: &Client, until: Nanos) -> (Outcome, Option<f64>) {
    let after = |at: Nanos| client.connected.map(|connected| seconds(at.saturating_sub(connected)));
    match (client.served.filter(|at| *at < until), client.ended.filter(|e| e.0 < until)) {
        (_, Some((at, outcome))) => (outcome, after(at)),
        (Some(at), None) => (Outcome::Served, after(at)),
        (None, None) => (Outcome::Waits, None),
    }
}

/// Held clients that asked again in `[from, until)`.
pub(super) fn held_asked(facts: &Facts<'_>, from: Nanos, until: Nanos) -> Held {
    // Without a question there is an outcome, too, but it takes no time.
    let ever_served = facts.clients.all.iter().any(|c| c.served.is_some());
    let asked = facts.asked(Label::Held).filter(|asked| (from..until).contains(&asked.at));
    let asked: Vec<_> =
        asked.filter(|a| a.answer_s.is_some() || (a.outcome == Outcome::Waits && ever_served)).collect();
    let of = |wanted: Outcome| asked.iter().filter(|a| a.outcome == wanted).count() as u64;
    let took = asked.iter().filter(|a| a.outcome == Outcome::Served).filter_map(|a| a.answer_s);
    Held {
        probed: asked.len() as u64,
        answered: of(Outcome::Served),
        silent: of(Outcome::Waits),
        error_replies: of(Outcome::ErrorReply),
        dropped: of(Outcome::Closed),
        latency_s: latency(took.collect()).or_why(Why::NoHeldAnswered),
    }
}
