//! Why the subject stopped, or why that cannot be said.

use super::beside::Beside;
use crate::event::{Errno, Label, Nanos, Outcome, Phase};
use crate::measure::baseline::Baseline;
use crate::measure::closes::Closes;
use crate::measure::count::Scale;
use crate::measure::facts::Facts;
use crate::measure::known::Why;
use crate::measure::upstream;

/// An observer reports lost samples only when it next reads its ring.
const LOSS_REPORTED_WITHIN: Nanos = 50_000_000;

/// A server that is merely slow takes a client from its queue within this time.
const NOBODY_FOR: Nanos = 1_500_000_000;

/// Why the subject stopped where it stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Kind {
    /// A descriptor call failed with EMFILE, and no number was free: the process's limit.
    Emfile,
    /// A descriptor call failed with ENFILE: the system's limit.
    Enfile,
    /// It stopped below the limit by its own rule.
    OwnLimit,
    /// The accepting process exited while clients connected.
    Exited,
    /// The harness's own side ran out first.
    Generator,
    /// Every client was accepted and nothing failed; or idle ones were closed by a timer as fast as it
    /// accepted others.
    NotReached,
    /// It stopped below the limit, and something else had run out, or a call failed with EMFILE anyway:
    /// `binds` says which.
    OtherLimit,
}

impl Kind {
    /// As in the report.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Emfile => "emfile",
            Kind::Enfile => "enfile",
            Kind::OwnLimit => "own-limit",
            Kind::Exited => "exited",
            Kind::Generator => "generator",
            Kind::NotReached => "not-reached",
            Kind::OtherLimit => "other-limit",
        }
    }
}

/// Asks in the order in which one answer rules out the next question.
pub(super) fn kind(
    facts: &Facts<'_>,
    baseline: &Baseline,
    scale: &Scale,
    closes: &Closes,
    beside: Beside<'_>,
) -> Result<Kind, Why> {
    blind(facts, baseline)?;
    spoken(facts, closes, beside)?;
    if let Some(first) = facts.holdings.first {
        nothing_lost(facts, scale, first.at.saturating_add(LOSS_REPORTED_WITHIN))?;
        return Ok(if facts.holdings.room.is_some() { Kind::OtherLimit } else { of_errno(first.errno) });
    }
    if !facts.phases.loaded() {
        return facts.holdings.early.map(|(first, _)| of_errno(first.errno)).ok_or(Why::EndedBeforeClients);
    }
    nothing_lost(facts, scale, facts.phases.watched_until())?;
    if facts.exited().is_some() {
        return Ok(Kind::Exited);
    }
    if facts.generator_failed().is_some() {
        return Ok(Kind::Generator);
    }
    if facts.processes.is_client {
        return all_calls(facts);
    }
    failed_unseen(facts)?;
    if facts.serves_datagrams() {
        answered(facts)?;
    }
    match somebody_without(facts, closes, beside)? {
        Some(kind) => Ok(kind),
        None => all_in(facts),
    }
}

fn of_errno(errno: Errno) -> Kind {
    if errno == Errno::ENFILE { Kind::Enfile } else { Kind::Emfile }
}

/// An observer that saw no accept while connections were plainly made is blind: its numbers are none.
fn blind(facts: &Facts<'_>, baseline: &Baseline) -> Result<(), Why> {
    let holdings = &facts.holdings;
    let observed = !facts.readings.observers.is_empty();
    if !observed && !holdings.calls_seen && holdings.first.is_none() && holdings.early.is_none() {
        return Err(Why::NoObserver);
    }
    if !holdings.accepts.is_empty() || facts.serves_datagrams() {
        return Ok(());
    }
    if let (Some(most), Some(rest)) = (holdings.at_most, baseline.descriptors.value()) {
        let unexplained = most.descriptors.saturating_sub(rest).saturating_add_signed(-most.others.max(0));
        if unexplained >= 2 {
            return Err(Why::BlindByCount { descriptors: most.descriptors, rest });
        }
    }
    let served = facts.clients.served(facts.phases.watched_until());
    if served > 0 && !facts.processes.is_client {
        return Err(Why::BlindByClients { served });
    }
    Ok(())
}

/// If no client got the answer that its workload expects, the server may not speak that protocol. An error
/// that clients got may also be the consequence of another call that failed for want of a descriptor.
fn spoken(facts: &Facts<'_>, closes: &Closes, beside: Beside<'_>) -> Result<(), Why> {
    let watched = facts.phases.watched_until();
    let refused = closes.turned_away(facts, watched);
    let ever_served = facts.clients.all.iter().any(|c| c.served.is_some_and(|at| at < watched));
    let lacking = facts.holdings.failures.iter().filter(|(_, call)| !call.accepts()).map(|(at, _)| *at).min();
    let lacked =
        lacking.is_some_and(|lacking| facts.clients.error_replies.iter().all(|(at, _)| *at > lacking));
    // An exit closes all that was not answered yet.
    let exited = facts.exit_at_the_wall().is_some();
    let lacked = lacked || beside.in_children.is_some();
    if facts.clients.answers
        && refused > 0
        && !ever_served
        && !facts.processes.is_client
        && !lacked
        && !exited
    {
        return Err(Why::NobodyAnswered { refused, silent: 0, replies: beside.error_replies.cloned() });
    }
    Ok(())
}

/// Refuses a count that lost samples may have made too small, unless `/proc` says the same.
fn nothing_lost(facts: &Facts<'_>, scale: &Scale, until: Nanos) -> Result<(), Why> {
    let samples = facts.tries.lost_by(until);
    let confirmed =
        || facts.holdings.at_ceiling.is_some_and(|both| scale.connections(both) == Some(both.held));
    if samples == 0 || confirmed() { Ok(()) } else { Err(Why::LostBefore { samples }) }
}

/// Refuses a ceiling where no datagram was answered, or some were lost on the way.
fn answered(facts: &Facts<'_>) -> Result<(), Why> {
    let watched = facts.phases.watched_until();
    let (came, answered) = (facts.clients.connected(watched), facts.clients.answered_before(watched));
    if came > 0 && answered == 0 {
        return Err(Why::NoFlowAnswered { flows: came });
    }
    let drops = facts.readings.receive_queues.last().map_or(0, |(_, queue)| queue.drops);
    if answered < came && drops > 0 { Err(Why::DatagramsDropped { drops }) } else { Ok(()) }
}

/// Failed accepts that only the counters tell of: when they came is not known.
fn failed_unseen(facts: &Facts<'_>) -> Result<(), Why> {
    let (ramp, watched) = (facts.phases.from(Phase::Ramp), facts.phases.watched_until());
    let grown =
        facts.tries.growth().filter(|(total, _)| total.call.accepts() && (ramp..watched).contains(&total.at));
    let accepts = grown.fold(0u64, |sum, (_, grown)| sum.saturating_add(grown));
    if accepts > 0 { Err(Why::FailedUnseen { accepts }) } else { Ok(()) }
}

/// Clients that wait or were turned away, though no descriptor call failed: a rule of the subject's own,
/// something else that ran out, or something between them and the subject.
fn somebody_without(facts: &Facts<'_>, closes: &Closes, beside: Beside<'_>) -> Result<Option<Kind>, Why> {
    let (ramp, watched) = (facts.phases.from(Phase::Ramp), facts.phases.watched_until());
    let turned_away = closes.turned_away(facts, watched);
    let (at, kept) = (watched.saturating_sub(1), facts.holdings.kept_in_all);
    let waiting = facts.clients.waiting(at, kept);
    let queued = facts.readings.samples_between(ramp, watched).iter().rev().find_map(|sample| sample.queue);
    let idle = facts.holdings.accepts_between(watched.saturating_sub(NOBODY_FOR), watched).is_empty();
    // Handshakes end as places in the queue become free: where nobody takes a client from it, that none does
    // is the subject's rule.
    let left_alone = |queued: u64| queued > 0 && idle && facts.holdings.calls_seen;
    // Neither held, answered or not, nor in the queue.
    let nowhere = facts.clients.beyond(at, kept).min(waiting);
    let unfinished = |queued: &u64| turned_away == 0 && *queued < nowhere && !left_alone(*queued);
    if let Some(queued) = queued.map(u64::from).filter(unfinished) {
        return Err(Why::HandshakesUnfinished { clients: nowhere - queued });
    }
    if turned_away == 0 && waiting == 0 {
        return Ok(None);
    }
    // A rule would keep the next one waiting, too: those before it are only slow to be answered.
    if turned_away == 0
        && queued == Some(0)
        && facts.asked(Label::Saturated).next().is_some()
        && facts.asked(Label::Saturated).all(|a| a.outcome == Outcome::Served)
    {
        return Ok(Some(Kind::NotReached));
    }
    // It still accepts, and a timer of its own makes room: it holds as many as come in that time.
    if turned_away == 0 && closes.idle.is_some() && !idle {
        return Ok(Some(Kind::NotReached));
    }
    // One that closes a connection for each that it takes may go on like this for ever.
    let closed = facts.clients.ended(Outcome::Closed, watched);
    let lately = facts.phases.from(Phase::Saturate).max(watched.saturating_sub(NOBODY_FOR));
    let accepts = !facts.holdings.accepts_between(lately, watched).is_empty();
    if turned_away + closed == 0 && accepts && queued.is_some_and(|queued| queued > 0) {
        return Err(Why::StillAccepting { waiting });
    }
    let ever_served = facts.clients.all.iter().any(|c| c.served.is_some_and(|at| at < watched));
    if facts.clients.answers && !ever_served && turned_away == 0 && kept > 0 && !behind_another(facts, queued)
    {
        return Err(Why::NobodyAnswered { refused: 0, silent: kept, replies: None });
    }
    if behind_another(facts, queued) {
        return Err(Why::BehindAnother { waiting, turned_away });
    }
    let other = beside.fd_setsize.is_some() || beside.exhausted || beside.lost_in_passing.is_some();
    Ok(Some(match beside.in_children {
        Some(child) => of_errno(child.errno),
        None if other => Kind::OtherLimit,
        None => Kind::OwnLimit,
    }))
}

/// Whether those without service are behind something else: no workload connects to the subject itself, whose
/// accept queue is empty and who dismissed nobody.
fn behind_another(facts: &Facts<'_>, queued: Option<u32>) -> bool {
    let plan = facts.plan;
    let direct = plan.workloads.values().any(|w| w.to == plan.subject);
    !direct
        && !plan.workloads.is_empty()
        && facts.holdings.calls_seen
        && queued == Some(0)
        && facts.holdings.turned_away == 0
}

/// Every client was accepted, if all that were asked for came at all.
fn all_in(facts: &Facts<'_>) -> Result<Kind, Why> {
    let watched = facts.phases.watched_until();
    let (connected, timed_out) = (facts.clients.connected(watched), facts.clients.timed_out(watched));
    if timed_out > 0 {
        return Err(Why::ConnectsTimedOut { connects: timed_out });
    }
    let plan = facts.plan;
    let own = plan.workloads.values().filter(|w| w.to == plan.subject && w.calls.is_none());
    let asked: Option<u64> = own.map(|w| w.clients.map(u64::from)).sum();
    match asked {
        Some(asked) if connected < asked => {
            Err(Why::OnlySomeConnected { connected, asked, ended: facts.phases.why_ended(Phase::Ramp) })
        }
        None if connected == 0 => Err(Why::NobodyConnected),
        _ => Ok(Kind::NotReached),
    }
}

/// No call failed for want of a descriptor: that says something only when calls were answered.
fn all_calls(facts: &Facts<'_>) -> Result<Kind, Why> {
    let watched = facts.phases.watched_until();
    if upstream::calls(facts, watched) == Some(0) {
        return Err(Why::NoCallOver);
    }
    match (facts.calls.answered(watched), facts.calls.over(watched)) {
        (Some(_), (0, _)) => Err(Why::NoCallOver),
        (Some(_), (over, Some(asked))) if over < asked => {
            Err(Why::OnlySomeCalls { over, asked, ended: facts.phases.why_ended(Phase::Ramp) })
        }
        (Some(0), (over, _)) => Err(Why::NoCallAnswered { over, mostly: facts.calls.mostly(watched) }),
        _ => Ok(Kind::NotReached),
    }
}
