//! What the bundled upstream saw: who connected to it, how many calls came on each connection, and which side of a proxy was short.

use super::facts::Facts;
use super::known::{Known, OrWhy, Why};
use crate::event::{Call, Nanos, Seen};
use crate::scenario::Upstream as Serves;

/// What the upstream of a run saw until clients were told to leave.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct Upstream {
    /// What it serves.
    pub serves: Serves,
    /// Connections opened to it.
    pub connections: Known<u64>,
    /// The most that were open at a time.
    pub open_max: Known<u64>,
    /// Calls that it answered.
    pub calls: Known<u64>,
    /// How many calls came on a connection.
    pub calls_per_connection: Known<CallsOnEach>,
    /// TLS handshakes.
    pub handshakes: Known<Handshakes>,
    /// What it had seen when a call of the subject first failed for want of a descriptor.
    pub at_first_failure: Known<AtFirstFailure>,
    /// Which side of a proxy could not get a descriptor, by the calls that failed.
    pub short: Known<Side>,
}

/// Calls on a connection, over all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct CallsOnEach {
    /// The fewest.
    pub least: u64,
    /// The median.
    pub median: u64,
    /// The most.
    pub most: u64,
}

/// TLS handshakes that were completed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Handshakes {
    /// Whole ones.
    pub full: u64,
    /// Those by which a session was resumed.
    pub resumed: u64,
}

/// What it had seen by then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct AtFirstFailure {
    /// Connections opened to it.
    pub connections: u64,
    /// Of them, those that were open.
    pub open: u64,
    /// Calls that it had answered.
    pub calls: u64,
}

/// A side of a proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Side {
    /// Accept failed, and no call for the upstream did.
    Clients,
    /// A socket for the upstream could not be made, and no accept failed.
    Upstream,
    /// Both.
    Both,
}

/// What the upstream saw; `None`: the run has none.
pub(super) fn upstream(facts: &Facts<'_>) -> Option<Upstream> {
    let (name, serves) = facts.plan.upstream().filter(|_| facts.phases.loaded())?;
    let released = facts.phases.released_from();
    let told = || told(facts, name).take_while(move |(at, _)| *at < released);
    let last = told().last().map(|(_, seen)| seen);
    let known = |count: fn(&Seen) -> u64| last.map(count).or_why(Why::UpstreamSilent);
    let asks = serves != Serves::Tcp;
    let asked = |known: Known<u64>| if asks { known } else { Known::Unknown(Why::UpstreamAnswersNothing) };
    let each = |seen: &Seen| CallsOnEach { least: seen.least, median: seen.median, most: seen.most };
    Some(Upstream {
        serves,
        connections: known(|seen| seen.connections),
        open_max: told().map(|(_, seen)| seen.open).max().or_why(Why::UpstreamSilent),
        calls: asked(known(|seen| seen.calls)),
        calls_per_connection: match (asks, last.map(|seen| seen.connections)) {
            (false, _) => Known::Unknown(Why::UpstreamAnswersNothing),
            (true, None | Some(0)) => Known::Unknown(Why::NobodyCalledUpstream),
            _ => last.map(each).or_why(Why::UpstreamSilent),
        },
        handshakes: match (serves.tls(), last) {
            (false, _) => Known::Unknown(Why::UpstreamWithoutTls),
            (true, seen) => seen
                .map(|seen| Handshakes { full: seen.handshakes_full, resumed: seen.handshakes_resumed })
                .or_why(Why::UpstreamSilent),
        },
        at_first_failure: facts
            .holdings
            .first
            .map(|first| seen_by(facts, name, first.at))
            .map(|seen| AtFirstFailure { connections: seen.connections, open: seen.open, calls: seen.calls })
            .or_why(Why::NoFailureOfSubject),
        short: short(facts, released),
    })
}

/// The side that lacked a descriptor before clients were told to leave.
fn short(facts: &Facts<'_>, released: Nanos) -> Known<Side> {
    let failed = || facts.holdings.failures.iter().filter(|(at, _)| *at < released).map(|(_, call)| *call);
    let (accept, socket) =
        (failed().any(Call::accepts), failed().any(|call| matches!(call, Call::Socket | Call::RingSocket)));
    match (accept, socket) {
        _ if facts.processes.is_client => Known::Unknown(Why::AcceptsNobody),
        (true, true) => Known::Value(Side::Both),
        (true, false) => Known::Value(Side::Clients),
        (false, true) => Known::Value(Side::Upstream),
        (false, false) if failed().next().is_some() => Known::Unknown(Why::NeitherSide),
        (false, false) => Known::Unknown(Why::NoFailureOfSubject),
    }
}

fn told<'a>(facts: &'a Facts<'_>, name: &'a str) -> impl Iterator<Item = (Nanos, &'a Seen)> {
    let all = facts.readings.upstream.iter().map(|(at, seen)| (*at, *seen));
    all.filter(move |(_, seen)| seen.process == name)
}

/// What the upstream of this name had seen by then.
fn seen_by(facts: &Facts<'_>, name: &str, at: Nanos) -> Seen {
    let seen = told(facts, name).take_while(|(then, _)| *then <= at).last();
    seen.map(|(_, seen)| seen.clone()).unwrap_or_default()
}

/// Whether a witness itself ran out of descriptors: what the subject met then is none of its own limits.
pub(super) fn exhausted(facts: &Facts<'_>) -> bool {
    facts.readings.upstream.iter().any(|(_, seen)| seen.exhausted == Some(true))
}
