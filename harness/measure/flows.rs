//! The flows of the clients of a server that is loaded by UDP, and the cost of each in descriptors. A flow is
//! one client's address. There is no accept, so only the descriptors that a flow opened and closed show
//! whether descriptors bound the number of flows.

use super::baseline::Baseline;
use super::facts::Facts;
use super::known::{Known, OrWhy, Why};
use super::units::{milli, seconds};
use crate::event::{DescriptorKind, Open, Phase, ReceiveQueue};
use std::collections::BTreeMap;

/// Fewer descriptors a flow are chance, or opened once for all of them.
const SOME: f64 = 0.5;
/// Fewer of a kind.
const NONE: f64 = 0.005;

/// The cost of a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum FlowCost {
    /// Descriptors that stay open as long as the flow, or for a while.
    Held,
    /// Descriptors that are closed again at once, as for a query that is answered.
    ClosedAgain,
    /// None: the sockets at rest serve all flows.
    Nothing,
}

/// Flows of a server that is loaded by UDP.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct Flows {
    /// Clients that got the answer that they expect, before clients were told to leave.
    pub answered: u64,
    /// Clients that got another answer by then, and not that one.
    pub error_replies: u64,
    /// Clients that got no answer by then.
    pub unanswered: u64,
    /// The cost of a flow.
    pub cost: Known<FlowCost>,
    /// Descriptors opened from the first flow until clients were told to leave.
    pub opened: Known<u64>,
    /// Descriptors closed meanwhile.
    pub closed: Known<u64>,
    /// The cost of each of the first few flows, by the kinds of the descriptors open beyond those at rest
    /// when the watch at the wall began.
    pub kinds: Known<Vec<KindPerFlow>>,
    /// The receive queue of the socket that is loaded.
    pub receive_queue: Known<ReceiveQueue>,
    /// From the last client's leaving until no more descriptors than at rest were open, seconds.
    pub closed_after_s: Known<f64>,
}

impl Flows {
    /// Clients that sent something.
    pub fn all(&self) -> u64 {
        self.answered + self.error_replies + self.unanswered
    }
}

/// Descriptors of a kind that each flow holds.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct KindPerFlow {
    /// As in an inventory.
    pub kind: DescriptorKind,
    /// How many.
    pub descriptors: f64,
}

/// The flows; `None`: the subject is loaded by streams, or not at all.
pub(super) fn flows(facts: &Facts<'_>, baseline: &Baseline) -> Option<Flows> {
    if !facts.serves_datagrams() || !facts.phases.loaded() {
        return None;
    }
    let (ramp, released) = (facts.phases.from(Phase::Ramp), facts.phases.released_from());
    let unseen = || if facts.readings.observers.is_empty() { Err(Why::NoObserver) } else { Ok(()) };
    let made = facts.tries.between(ramp, released).iter();
    let opened = made.filter(|made| made.ret >= 0).map(|made| u64::from(made.call.descriptors())).sum();
    let closed = facts.tries.closes.iter().filter(|(at, _)| (ramp..released).contains(at)).count() as u64;
    let answered = facts.clients.answered_before(released);
    let error_replies = facts.clients.told_an_error(released);
    Some(Flows {
        answered,
        error_replies,
        unanswered: facts.clients.connected(released).saturating_sub(answered + error_replies),
        cost: cost(facts, baseline, opened),
        opened: unseen().map(|()| opened).into(),
        closed: unseen().map(|()| closed).into(),
        kinds: kinds(facts).or_why(Why::NotSampledAtCeiling),
        receive_queue: receive_queue(facts).or_why(Why::QueueNotSampled),
        closed_after_s: closed_after(facts, baseline).or_why(Why::FlowsStillOpen),
    })
}

/// Whether flows hold descriptors, by the most that were open at any time.
fn cost(facts: &Facts<'_>, baseline: &Baseline, opened: u64) -> Known<FlowCost> {
    let came = facts.clients.connected(facts.phases.released_from());
    let grown = facts.holdings.at_most.zip(baseline.descriptors.value());
    let Some((most, rest)) = grown.filter(|_| came > 0) else {
        return Known::Unknown(Why::NotSampledAtCeiling);
    };
    let share = |n: u64| n as f64 / came as f64 >= SOME;
    // A full table, or flows that are silent too long, keep the growth below the number of those that came.
    let held =
        facts.calibrated_cost().map_or(share(most.descriptors.saturating_sub(rest)), |each| each >= SOME);
    Known::Value(match (held, share(opened)) {
        (true, _) => FlowCost::Held,
        (false, true) => FlowCost::ClosedAgain,
        (false, false) => FlowCost::Nothing,
    })
}

/// From the inventory at rest to that at the wall.
fn kinds(facts: &Facts<'_>) -> Option<Vec<KindPerFlow>> {
    let (wall, released) = (facts.phases.from(Phase::Saturate), facts.phases.released_from());
    let look = facts.readings.open.iter().find(|(at, _)| (wall..released).contains(at))?;
    let (&(_, open), each) = (look, facts.calibrated_cost()?);
    let mut more: BTreeMap<DescriptorKind, i64> = BTreeMap::new();
    let rests = facts.readings.rests.iter().map(|rest| (rest.pid, rest.inventory));
    let before = facts.readings.open.iter().filter(|(at, _)| *at < facts.phases.from(Phase::Ramp));
    let others = before.flat_map(|(_, open)| open.iter().map(|one| (one.pid, one.inventory.as_slice())));
    let alive = |pid| open.iter().any(|one: &Open| one.pid == pid);
    open.iter().flat_map(|one| &one.inventory).for_each(|d| *more.entry(d.kind).or_default() += 1);
    let at_rest: BTreeMap<_, _> = others.chain(rests).filter(|(pid, _)| alive(*pid)).collect();
    at_rest
        .values()
        .flat_map(|inventory| inventory.iter())
        .for_each(|d| *more.entry(d.kind).or_default() -= 1);
    more.retain(|_, n| *n > 0);
    let all: i64 = more.values().sum();
    let each = |(kind, n): (DescriptorKind, i64)| KindPerFlow {
        kind,
        descriptors: milli(each * n as f64 / all as f64),
    };
    let mut kinds: Vec<_> = more.into_iter().map(each).filter(|kind| kind.descriptors > NONE).collect();
    kinds.sort_by(|a, b| b.descriptors.total_cmp(&a.descriptors));
    Some(kinds)
}

fn receive_queue(facts: &Facts<'_>) -> Option<ReceiveQueue> {
    let all = || facts.readings.receive_queues.iter().filter(|(at, _)| *at < facts.phases.released_from());
    let last = all().next_back()?.1;
    Some(ReceiveQueue { bytes: all().map(|(_, queue)| queue.bytes).max()?, ..last })
}

/// When the process that was sampled was back at rest for good, after all clients had left.
fn closed_after(facts: &Facts<'_>, baseline: &Baseline) -> Option<f64> {
    let left = facts.phases.start(Phase::ReleaseAll)?;
    let rest = baseline.descriptors.value()?;
    let samples = facts.readings.samples_between(left, facts.phases.from(Phase::Stop)).iter();
    let mut latest_first = samples.filter(|sample| Some(sample.pid) == facts.processes.main).rev();
    let back = latest_first.by_ref().take_while(|sample| sample.descriptors <= rest).last();
    back.map(|sample| seconds(sample.at - left))
}
