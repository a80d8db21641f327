//! Why the subject stopped, or why that cannot be said.

use super::beside::Beside;
use crate::event::{Errno, Label, Nanos, Outcome, Phase};
use crate::measure::baseline::Baseline;
use crate::measure::closes::Closes;
use crate::measure::count::Scale;
use crate::measure::error_replies::ErrorReplies;
use crate::measure::facts::Facts;
use crate::measure::in_children::InChildren;
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
    error_replies: Option<&ErrorReplies>,
) -> Result<Kind, Why> {
    blind(facts, baseline)?;
    spoken(facts, closes, beside.in_children, error_replies)?;
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
    somebody_without(facts, closes, beside)
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
    let held = holdings.by_proc.map_or(0, |(_, all, _)| all);
    if held > 0 { Err(Why::BlindByHolders { held }) } else { Ok(()) }
}

/// If no client got the answer that its workload expects, the server may not speak that protocol. An error
/// that clients got may also be the consequence of another call that failed for want of a descriptor.
fn spoken(
    facts: &Facts<'_>,
    closes: &Closes,
    in_children: Option<InChildren>,
    error_replies: Option<&ErrorReplies>,
) -> Result<(), Why> {
    let watched = facts.phases.watched_until();
    let refused = closes.turned_away(facts, watched);
    let lacking = facts.holdings.failures.iter().filter(|(_, call)| !call.accepts()).map(|(at, _)| *at).min();
    let lacked =
        lacking.is_some_and(|lacking| facts.clients.error_replies.iter().all(|(at, _)| *at > lacking));
    // An exit closes all that was not answered yet.
    let exited = facts.exit_at_the_wall().is_some();
    let lacked = lacked || in_children.is_some();
    if nobody_answered(facts) && refused > 0 && !facts.processes.is_client && !lacked && !exited {
        return Err(Why::NobodyAnswered { refused, silent: 0, replies: error_replies.cloned() });
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

/// Why clients wait or were turned away, though no descriptor call failed: a rule of the subject's own,
/// something else that ran out, or something between them and the subject. Where nobody does, everybody came.
fn somebody_without(facts: &Facts<'_>, closes: &Closes, beside: Beside<'_>) -> Result<Kind, Why> {
    let without = Without::new(facts, closes);
    let other = beside.fd_setsize.is_some() || beside.exhausted.is_some() || beside.lost_in_passing.is_some();
    match without {
        Without { turned_away: 0, unfinished: clients @ 1.., .. } => {
            Err(Why::HandshakesUnfinished { clients })
        }
        Without { turned_away: 0, waiting: 0, .. } => all_in(facts),
        // A rule would keep the next one waiting, too: those before it are only slow to be answered.
        Without { turned_away: 0, queued: Some(0), .. } if next_is_served(facts) => Ok(Kind::NotReached),
        // It still accepts, and a timer of its own makes room: it holds as many as come in that time.
        Without { turned_away: 0, takes_nobody: false, .. }
            if closes.idle.is_some() && !closes.full_before_idle(facts) =>
        {
            Ok(Kind::NotReached)
        }
        // One that closes a connection for each that it takes may go on like this for ever.
        Without { turned_away: 0, closed: 0, queued: Some(1..), took: true, waiting, .. } => {
            Err(Why::StillAccepting { waiting })
        }
        Without { waiting, turned_away, queued, .. } if behind_another(facts, queued) => {
            Err(Why::BehindAnother { waiting, turned_away })
        }
        Without { turned_away: 0, held: silent @ 1.., .. } if nobody_answered(facts) => {
            Err(Why::NobodyAnswered { refused: 0, silent, replies: None })
        }
        _ => Ok(match beside.in_children {
            Some(child) => of_errno(child.errno),
            None if other => Kind::OtherLimit,
            None => Kind::OwnLimit,
        }),
    }
}

/// Clients without service when the watch ends, and what the subject did with them lately.
struct Without {
    turned_away: u64,
    /// Connected, and neither answered nor, if they ask nothing, held.
    waiting: u64,
    held: u64,
    /// In the accept queue, as last read.
    queued: Option<u32>,
    /// Neither held, answered or not, nor in the queue. Handshakes end as places in the queue become free:
    /// where nobody takes a client from it, that none does is the subject's rule, and these are 0.
    unfinished: u64,
    closed: u64,
    /// It took nobody from the queue for a while; and whether it took somebody in that time after the ramp.
    takes_nobody: bool,
    took: bool,
}

impl Without {
    fn new(facts: &Facts<'_>, closes: &Closes) -> Self {
        let (ramp, watched) = (facts.phases.from(Phase::Ramp), facts.phases.watched_until());
        let (at, held) = (watched.saturating_sub(1), facts.holdings.kept_in_all);
        let waiting = facts.clients.waiting(at, held);
        let queued = facts.readings.samples_between(ramp, watched).iter().rev().find_map(|s| s.queue);
        let lately = watched.saturating_sub(NOBODY_FOR);
        let accepts = |from: Nanos| !facts.holdings.accepts_between(from, watched).is_empty();
        let takes_nobody = !accepts(lately);
        let left_alone = queued > Some(0) && takes_nobody && facts.holdings.calls_seen;
        let nowhere = facts.clients.beyond(at, held).min(waiting);
        let unfinished = queued.filter(|_| !left_alone).map_or(0, |n| nowhere.saturating_sub(n.into()));
        Without {
            turned_away: closes.turned_away(facts, watched),
            waiting,
            held,
            queued,
            unfinished,
            closed: facts.clients.ended(Outcome::Closed, watched),
            takes_nobody,
            took: accepts(facts.phases.from(Phase::Saturate).max(lately)),
        }
    }
}

/// Whether new clients at the wall were tried, and all were served.
fn next_is_served(facts: &Facts<'_>) -> bool {
    let mut asked = facts.asked(Label::Saturated).peekable();
    asked.peek().is_some() && asked.all(|asked| asked.outcome == Outcome::Served)
}

/// Whether the clients ask, and none of them has ever got an answer.
fn nobody_answered(facts: &Facts<'_>) -> bool {
    let watched = facts.phases.watched_until();
    let ever_served = facts.clients.all.iter().any(|c| c.served.is_some_and(|at| at < watched));
    facts.clients.answers && !ever_served
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
