//! The counts of the bundled upstream: who connected to it, how many calls came on each connection, and which
//! side of a proxy was short.

use super::facts::Facts;
use super::known::{Known, OrWhy, Why};
use super::limits::LimitsFound;
use super::units::milli;
use crate::event::{Call, Descriptor, DescriptorKind, Nanos, Phase, Seen};
use crate::scenario::Upstream as Serves;
use std::collections::BTreeMap;

/// The counts of a run's upstream until clients were told to leave.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct Upstream {
    /// The protocol that it serves.
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
    /// Its counts when a call of the subject first failed for want of a descriptor.
    pub at_first_failure: Known<AtFirstFailure>,
    /// Which side of a proxy could not get a descriptor, by the calls that failed.
    pub short: Known<Side>,
    /// For a subject that calls it: the descriptors that each call leaves open.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_call: Option<Known<PerCall>>,
}

/// Descriptors that each call leaves open in the subject.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct PerCall {
    /// On average.
    pub descriptors: f64,
    /// The same by kind, those with the most first.
    pub kinds: Vec<KindPerCall>,
    /// Calls between the two looks that this was measured with.
    pub calls: u64,
    /// Calls after which the soft limit is reached, at this rate.
    pub full_after: Known<u64>,
}

/// Descriptors of one kind.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct KindPerCall {
    /// As in an inventory: `tcp`, `epoll`, `file` …
    pub kind: DescriptorKind,
    /// On average.
    pub descriptors: f64,
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

/// Its counts by then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct AtFirstFailure {
    /// Connections opened to it.
    pub connections: u64,
    /// How many of those connections were open.
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

/// The counts of the upstream; `None`: the run has none.
pub(super) fn upstream(facts: &Facts<'_>, limits: &LimitsFound) -> Option<Upstream> {
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
        per_call: facts.processes.is_client.then(|| per_call(facts, limits, name, serves)),
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

/// The counts of the upstream of this name by then.
fn seen_by(facts: &Facts<'_>, name: &str, at: Nanos) -> Seen {
    let seen = told(facts, name).take_while(|(then, _)| *then <= at).last();
    seen.map(|(_, seen)| seen.clone()).unwrap_or_default()
}

/// Whether a witness itself ran out of descriptors: the subject then met a limit that is not its own.
pub(super) fn exhausted(facts: &Facts<'_>) -> bool {
    facts.readings.upstream.iter().any(|(_, seen)| seen.exhausted == Some(true))
}

/// Calls of the subject that the upstream had answered by then; connections to one that answers nothing.
/// `None`: the subject calls none.
pub(super) fn calls(facts: &Facts<'_>, until: Nanos) -> Option<u64> {
    let (name, serves) = facts.plan.called()?;
    Some(match serves {
        // The kernel completes a connect before the upstream accepts it.
        Serves::Tcp => seen_by(facts, name, until.saturating_add(ACCEPTED_WITHIN)).connections,
        _ => seen_by(facts, name, until).calls,
    })
}

/// Calls that a look at the program came after, the descriptors that it had, and each of them.
#[derive(Clone, Copy)]
struct Look<'a> {
    begun: u64,
    descriptors: u64,
    inventory: &'a [Descriptor],
}

/// Two looks with so many calls between them tell more than the two with which the run calibrates, where they
/// tell another number: not within this share of it.
const MANY_CALLS: u64 = 32;
const SAME_WITHIN: f64 = 0.1;
/// The upstream has accepted by then who had connected. Nanoseconds.
const ACCEPTED_WITHIN: Nanos = 100_000_000;
/// Fewer descriptors a call are chance.
const NONE: f64 = 0.005;

/// The descriptors that each call leaves open, from two looks at the program's descriptors.
fn per_call(facts: &Facts<'_>, limits: &LimitsFound, name: &str, serves: Serves) -> Known<PerCall> {
    let wall = facts.phases.from(Phase::Saturate);
    let begun = |at: Nanos| {
        // While the run calibrates, those that the upstream has not accepted are counted as waiting; at the
        // wall nobody counts them, and it accepts them a moment later.
        let late = if serves == Serves::Tcp && at >= wall { ACCEPTED_WITHIN } else { 0 };
        let seen = seen_by(facts, name, at.saturating_add(late));
        // One that waits for its answer has its descriptors, too.
        seen.waiting + if serves == Serves::Tcp { seen.connections } else { seen.calls }
    };
    let (ramp, released) = (facts.phases.from(Phase::Ramp), facts.phases.released_from());
    let read = facts.readings.open.iter().filter(|(at, _)| (ramp..released).contains(at));
    let of_main = read.filter_map(|(at, open)| {
        let own = open.iter().find(|open| Some(open.pid) == facts.processes.main)?;
        whole(facts, limits, *at, own.descriptors).then_some((*at, own))
    });
    let looks: Vec<Look<'_>> = of_main
        .map(|(at, open)| Look {
            begun: begun(at),
            descriptors: open.descriptors,
            inventory: &open.inventory,
        })
        .collect();
    let pairs = looks.windows(2).filter(|pair| pair[1].begun > pair[0].begun).map(|pair| [pair[0], pair[1]]);
    let Some(few) = pairs.clone().next() else { return Known::Unknown(Why::NotSampledWhileCalling) };
    let many = looks.last().map(|last| [few[0], *last]).filter(|[a, b]| b.begun - a.begun >= MANY_CALLS);
    let most = |pair: &[Look<'_>; 2]| f64::max(slope(pair), slope(&few));
    let differs = |pair: &[Look<'_>; 2]| (slope(pair) - slope(&few)).abs() > SAME_WITHIN * most(pair);
    let pair = many.filter(differs).unwrap_or(few);
    let each = slope(&pair);
    let full_after = limits.effective.value().zip(facts.readings.rests.last()).map(|(limits, rest)| {
        // At rest those were under way already that waited for the first answer.
        let room = limits.soft.saturating_sub(rest.counted) as f64;
        ((room / each) as u64).saturating_add(begun(rest.at))
    });
    Known::Value(PerCall {
        descriptors: milli(each),
        kinds: kinds(&pair),
        calls: pair[1].begun - pair[0].begun,
        full_after: match each > NONE {
            true => full_after.or_why(Why::RestUnknown),
            false => Known::Unknown(Why::CallsLeaveNothing),
        },
    })
}

/// Whether a look at the wall shows what calls have left open: not where the program exited then, unless its
/// table was still full.
fn whole(facts: &Facts<'_>, limits: &LimitsFound, at: Nanos, descriptors: u64) -> bool {
    let (wall, released) = (facts.phases.from(Phase::Saturate), facts.phases.released_from());
    let full = limits.effective.value().is_some_and(|limits| descriptors * 10 >= limits.soft * 9);
    let exits = || facts.processes.main.and_then(|main| facts.exit_seen(main, 0, released)).is_some();
    at < wall || full || !exits()
}

fn slope([a, b]: &[Look<'_>; 2]) -> f64 {
    (b.descriptors as f64 - a.descriptors as f64) / (b.begun - a.begun) as f64
}

/// By how many descriptors of each kind it grew with each call.
fn kinds([a, b]: &[Look<'_>; 2]) -> Vec<KindPerCall> {
    let mut more: BTreeMap<DescriptorKind, i64> = BTreeMap::new();
    b.inventory.iter().for_each(|d| *more.entry(d.kind).or_default() += 1);
    a.inventory.iter().for_each(|d| *more.entry(d.kind).or_default() -= 1);
    let each = |(kind, n): (DescriptorKind, i64)| KindPerCall {
        kind,
        descriptors: milli(n as f64 / (b.begun - a.begun) as f64),
    };
    let mut kinds: Vec<KindPerCall> =
        more.into_iter().map(each).filter(|kind| kind.descriptors > NONE).collect();
    kinds.sort_by(|a, b| b.descriptors.total_cmp(&a.descriptors));
    kinds
}
