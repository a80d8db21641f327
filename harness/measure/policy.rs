//! The accept policy of a subject, with its evidence: from the times of its failing calls, its accepts and
//! closes, the ends and beginnings of its processes, and the outcomes of its clients. It never comes from a
//! program's name or its log; it is *unclear* when that does not decide.

use super::ceiling::{Ceiling, Kind};
use super::clients_seen::held_asked;
use super::closes::{Closes, GaveWay};
use super::costs::Costs;
use super::facts::{Facts, Failed, Losses, ended};
use super::failed_calls::TRIES_A_REPLY;
use super::failing_loop::FailingLoop;
use super::in_children::InChildren;
use super::known::{Known, Why};
use super::lost_in_passing::LostInPassing;
use super::model::Rhythm;
use super::policy_evidence::{PolicyEvidence, Replaced, Seen};
use super::resources::Exhausted;
use super::units::seconds;
use super::waiting::waiting;
use crate::event::{Call, Nanos, Outcome, Phase, Pid};
pub use crate::scenario::Policy;
use std::collections::HashSet;

/// Percent of one processor: a loop without a pause takes a fifth of one beside several others, and a loop
/// that waits for clients takes none.
const BUSY_PERCENT: f64 = 15.0;
/// Clients in the queue for one that was shed: a server that sheds lets nobody wait for long.
const WAIT_FOR_EACH: u64 = 10;

/// The behaviour of its accept loop with a full table.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct AcceptPolicy {
    /// Its class.
    pub policy: Known<Policy>,
    /// The observations that show it.
    #[serde(rename = "policy_evidence")]
    pub evidence: Known<PolicyEvidence>,
    /// For a loop that sheds: the call whose failure makes it do so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<Call>,
    /// The pauses between its tries, where it makes any.
    pub delay_s: Known<Delay>,
    /// How long in all, from its first failure on, it could have run and was given no processor, seconds
    /// (/proc/PID/task/TID/schedstat). A pause may seem too long by as much.
    #[serde(skip)]
    pub starved_s: Option<f64>,
    /// Between failing calls of the failing process, at most 20; nearly simultaneous ones count as one.
    pub retry_gaps_s: Vec<f64>,
}

/// Pauses between tries, seconds: as long as they were seen to be, which is a little more than what the
/// program asked for.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct Delay {
    /// The delay after the first failure; the median of all if it does not grow; in a storm, the pause
    /// between its bursts.
    pub first: f64,
    /// The longest of one that grows; otherwise the same.
    pub longest: f64,
}

/// The policy, as far as the ceiling leaves a question.
pub(super) fn policy(
    facts: &Facts<'_>,
    closes: &Closes,
    ceiling: &Ceiling,
    costs: &Costs,
    exhausted: Option<&Exhausted>,
    lost_in_passing: Option<LostInPassing>,
    in_children: Option<InChildren>,
) -> AcceptPolicy {
    let exhausted = exhausted.is_some() || lost_in_passing.is_some();
    if let Some(why) = no_question(facts, ceiling, exhausted) {
        return AcceptPolicy {
            policy: Known::Unknown(why.clone()),
            evidence: Known::Unknown(why.clone()),
            cause: None,
            delay_s: Known::Unknown(why),
            starved_s: None,
            retry_gaps_s: Vec::new(),
        };
    }
    // A client of another port may be let in, which is no doing of the accept loop's.
    let watched = facts.phases.watched_until().min(facts.readings.other_port_asked());
    let none = |policy, evidence| Seen { policy, evidence, rhythm: None, gaps_s: Vec::new() };
    let seen = match ceiling.kind.value() {
        Some(Kind::OwnLimit | Kind::OtherLimit) if facts.holdings.first.is_none() => {
            match deaf(facts, ceiling, costs) {
                Some(deaf) => none(Policy::AcceptLoopDead, deaf),
                None => none(Policy::LimitsItself, own_rule(facts, closes, ceiling)),
            }
        }
        Some(Kind::Exited) => {
            let at = facts.exited().map_or(0, |(at, _)| at);
            let pid = facts.holdings.tables.iter().find(|(_, t)| t.exited.is_some_and(|exit| exit.0 == at));
            after_exit(facts, pid.map(|(pid, _)| *pid), at, None)
        }
        Some(Kind::Emfile | Kind::Enfile) if let Some(children) = in_children => {
            let clients = closes.turned_away(facts, watched);
            none(Policy::Sheds, PolicyEvidence::InChildren { clients, children })
        }
        Some(Kind::Emfile | Kind::Enfile | Kind::OtherLimit) => at_the_wall(facts, closes, ceiling, watched),
        _ => none(Policy::None, PolicyEvidence::NoFailure),
    };
    let delay = seen.rhythm.as_ref().and_then(delay);
    let cause = match seen.evidence {
        PolicyEvidence::ClosedForLack { call, .. } | PolicyEvidence::TurnedAway { call, .. } => Some(call),
        PolicyEvidence::InChildren { children, .. } => Some(children.call),
        PolicyEvidence::Shed { .. } | PolicyEvidence::GaveWay { .. } => {
            facts.holdings.first.map(|first| first.call)
        }
        _ => None,
    };
    AcceptPolicy {
        cause,
        policy: Known::Value(seen.policy),
        evidence: Known::Value(seen.evidence),
        delay_s: delay.map_or(Known::Unknown(Why::NoPauses(seen.policy)), Known::Value),
        starved_s: facts.readings.starved_s(watched),
        retry_gaps_s: seen.gaps_s,
    }
}

/// Why there is no accept policy to ask for.
fn no_question(facts: &Facts<'_>, ceiling: &Ceiling, exhausted: bool) -> Option<Why> {
    let accepts = || !facts.holdings.accepts.is_empty() || facts.holdings.accept_failed();
    let client = facts.processes.is_client;
    match ceiling.kind.value() {
        _ if facts.serves_datagrams() => Some(Why::UdpAcceptsNobody),
        _ if facts.accepts_pass_by() => Some(Why::AcceptsPassBy),
        _ if !facts.phases.loaded() => Some(Why::EndedBeforeClients),
        None => Some(Why::CeilingUnknown { though: None }),
        Some(Kind::Generator) => Some(Why::GeneratorFirst),
        Some(Kind::OtherLimit) if facts.holdings.first.is_none() && exhausted => {
            Some(Why::SomethingElseRanOut)
        }
        Some(kind) if kind != Kind::NotReached && client && !accepts() => Some(Why::AcceptsNobody),
        // A relay that accepts on, and answers each call with an error.
        Some(_) if client && facts.holdings.first.is_some_and(|first| !first.call.accepts()) => {
            Some(Why::AnotherCallFirst)
        }
        Some(_) => None,
    }
}

/// Whether clients wait for nothing: it accepts none, and answers none of those that it holds, even after the
/// others have left. Meanwhile it is busy, or it stopped and no rule of its own is known.
fn deaf(facts: &Facts<'_>, ceiling: &Ceiling, costs: &Costs) -> Option<PolicyEvidence> {
    let stop = facts.phases.from(Phase::Again);
    let own_rule = ceiling.kind.value() == Some(Kind::OwnLimit);
    let cpu_percent = costs.cpu_percent.value().filter(|percent| !own_rule || *percent >= BUSY_PERCENT)?;
    let waiting = waiting(facts, ceiling);
    let released = facts.phases.start(Phase::ReleaseAll)?;
    let idle = facts.holdings.accepts_between(facts.phases.from(Phase::Saturate), stop).is_empty();
    let silent = held_asked(facts, 0, released).answered == 0;
    (waiting > 0 && idle && silent).then_some(PolicyEvidence::Deaf { cpu_percent, waiting })
}

fn own_rule(facts: &Facts<'_>, closes: &Closes, ceiling: &Ceiling) -> PolicyEvidence {
    let watched = facts.phases.watched_until();
    // It did not turn away the ones that it answered first: it does not keep so many connections open.
    let closed_after_answer = closes.answered_and_closed(facts, watched);
    PolicyEvidence::OwnRule {
        held: ceiling.accepted.value().unwrap_or(0),
        turned_away: closes.turned_away(facts, watched).saturating_sub(closed_after_answer),
        error_replies: facts.clients.ended(Outcome::ErrorReply, watched),
        closed_after_answer,
        waiting: waiting(facts, ceiling),
    }
}

/// It exited: how, and whether something took its place.
fn after_exit(facts: &Facts<'_>, pid: Option<Pid>, exit: Nanos, after: Option<(Call, usize, f64)>) -> Seen {
    let status = pid.and_then(|pid| ended(&facts.readings, pid));
    let replaced = in_its_place(facts, pid, exit);
    let policy = if replaced.is_some() { Policy::WorkerRestarts } else { Policy::Exits };
    let evidence = PolicyEvidence::Exited {
        code: status.and_then(|ended| ended.code),
        signal: status.and_then(|ended| ended.signal),
        after,
        replaced,
        clients_lost: Losses::at_the_wall(facts).map_or(0, |losses| losses.clients(&facts.clients.all)),
    };
    Seen { policy, evidence, rhythm: None, gaps_s: Vec::new() }
}

/// The process that was started after `exit` in the place of `pid`: a child of the same parent, or one that
/// accepts; and how many more of these came until clients left.
fn in_its_place(facts: &Facts<'_>, pid: Option<Pid>, exit: Nanos) -> Option<Replaced> {
    let master = pid.and_then(|pid| facts.readings.parents.get(&pid).copied());
    let later = facts.tries.between(exit, facts.phases.end).iter();
    let accepting: HashSet<Pid> = later.filter(|t| t.call.accepts()).map(|t| t.pid).collect();
    let released = facts.phases.released_from();
    let forks = facts.readings.forks.iter().filter(|(at, _, child)| *at >= exit && Some(*child) != pid);
    let (accepts, others): (Vec<_>, Vec<_>) = forks.partition(|(.., child)| accepting.contains(child));
    // Its master may start other programs, too; one that is to accept may not have done so yet.
    let children = others.into_iter().filter(|(at, parent, _)| *at < released && Some(*parent) == master);
    let new = if accepts.is_empty() { children.collect() } else { accepts };
    let (at, _, pid) = new.first()?;
    let others = new.iter().skip(1).filter(|(at, ..)| *at < released).count();
    Some(Replaced { pid: *pid, later_s: seconds(at - exit), others })
}

/// The behaviour of the failing process after its first failure.
fn at_the_wall(facts: &Facts<'_>, closes: &Closes, ceiling: &Ceiling, watched: Nanos) -> Seen {
    let Some(first) = facts.holdings.first else {
        let (policy, evidence) = (Policy::Unclear, PolicyEvidence::BeforeClients);
        return Seen { policy, evidence, rhythm: None, gaps_s: Vec::new() };
    };
    let loop_ = FailingLoop::of(facts, ceiling, first, watched);
    let gaps_s = loop_.gaps_s();
    let in_time = first.at..facts.phases.released_from();
    let exit = facts.holdings.exit_of(first.pid).filter(|at| in_time.contains(at));
    let (waiting, clients) = (waiting(facts, ceiling), shed(facts, closes, first, watched));
    let lets_few_wait =
        (clients >= 3 && waiting / WAIT_FOR_EACH <= clients) || (clients >= 1 && clients >= waiting);
    let shown = Shown {
        exit,
        turned_away: Some(closes.turned_away(facts, watched))
            .filter(|clients| facts.holdings.room.is_some() && !first.call.accepts() && *clients > 0),
        gave_way: closes.gave_way,
        lack: lack(facts, clients, watched),
        beside: Some(beside(facts, first, watched))
            .filter(|failures| first.call.accepts() && !loop_.in_accept && *failures > 0),
        reset: listener_closed(facts, closes, first, watched),
    };
    // The first that is shown counts.
    let (policy, evidence) = match shown {
        // An exit counts before what came earlier. Its clients end with it, and are not turned away.
        Shown { exit: Some(exit), .. } => {
            let after = (first.call, loop_.times.len().max(1), seconds(exit - first.at));
            return Seen { gaps_s, ..after_exit(facts, Some(first.pid), exit, Some(after)) };
        }
        // Numbers were free: nothing is done for want of one.
        Shown { turned_away: Some(clients), .. } => {
            (Policy::Sheds, PolicyEvidence::TurnedAway { clients, call: first.call })
        }
        // Accept fails then: not so above. Some of those that it takes may end soon, too, and are not shed.
        Shown { gave_way: Some(GaveWay { times, connections, .. }), .. } => {
            (Policy::Sheds, PolicyEvidence::GaveWay { times, connections })
        }
        // If accept fails too, the accept loop is looked at, unless it keeps nobody waiting.
        Shown { lack: Some(call), .. } if !loop_.in_accept || waiting == 0 => {
            (Policy::Sheds, PolicyEvidence::ClosedForLack { clients, call })
        }
        Shown { lack: None, .. } if lets_few_wait => {
            (Policy::Sheds, PolicyEvidence::Shed { clients, waiting })
        }
        // With a closed listener, too, nothing of the loaded one was seen to fail: the class stays open.
        Shown { beside: Some(failures), .. } => {
            (Policy::Unclear, PolicyEvidence::OnlyBeside { failures, waiting })
        }
        // Nobody was accepted since, so nobody was shed. Without a listener there is no pause between tries.
        Shown { reset: Some(reset), .. } => {
            (Policy::AcceptLoopDead, PolicyEvidence::ListenerClosed { reset })
        }
        _ => return loop_.judged(facts, waiting),
    };
    Seen { policy, evidence, rhythm: None, gaps_s }
}

/// What a process showed after its first failure. Several of these may be there.
struct Shown {
    /// It exited before clients were told to leave.
    exit: Option<Nanos>,
    /// It turned clients away, and a call other than accept fails with numbers free.
    turned_away: Option<u64>,
    /// It closed connections that it held to take further clients.
    gave_way: Option<GaveWay>,
    /// The call other than accept whose failure explains those that were shed.
    lack: Option<Call>,
    /// Failures on other listeners, where none was seen on the loaded one.
    beside: Option<usize>,
    /// Clients that were reset as it closed its listener.
    reset: Option<u64>,
}

/// The call other than accept that failed about as often as clients were shed: that is why they were closed.
fn lack(facts: &Facts<'_>, shed: u64, watched: Nanos) -> Option<Call> {
    let failures = facts.holdings.failures.iter().filter(|(at, _)| *at < watched);
    let (in_accept, others): (Vec<Call>, Vec<Call>) =
        failures.map(|(_, call)| *call).partition(|call| call.accepts());
    let explains = (shed.div_ceil(2).max(1)..=TRIES_A_REPLY * shed).contains(&(others.len() as u64));
    // Where accept failed for each of them, that is why.
    others.first().copied().filter(|_| explains && (in_accept.len() as u64) < shed)
}

/// Failures of the process on other listeners.
fn beside(facts: &Facts<'_>, first: Failed, watched: Nanos) -> usize {
    let tries = facts.tries.between(first.at, watched).iter();
    tries.filter(|t| t.pid == first.pid && t.beside && t.failed().is_some()).count()
}

/// The pauses of a rhythm that has some.
fn delay(rhythm: &Rhythm) -> Option<Delay> {
    let (first, longest) = match *rhythm {
        Rhythm::Fixed { gap_s, .. } => (gap_s, gap_s),
        Rhythm::Storm { pause_s, .. } => (pause_s, pause_s),
        Rhythm::Grows { from_s, to_s, .. } => (from_s, to_s),
        Rhythm::Spin | Rhythm::Once { .. } | Rhythm::FixedOrGrows { .. } | Rhythm::Unclear => return None,
    };
    Some(Delay { first, longest })
}

/// Clients that it took after its first failure and closed at once. Not those that it served first or that
/// had left; and a server that closes connections it has held for longer, such as idle ones, is not one that
/// sheds.
fn shed(facts: &Facts<'_>, closes: &Closes, first: Failed, watched: Nanos) -> u64 {
    let (holdings, released) = (&facts.holdings, facts.phases.released_from());
    // A server that closes nearly all clients that it had held, and fewer later ones, does not single out the
    // later ones; nor does one that closes all of them as soon after their accept.
    let most = |closed: u64| closed * 4 > holdings.accepted * 3;
    let soon = holdings.old_closed - holdings.held_closed;
    if most(soon) || most(holdings.old_closed) && holdings.shed < holdings.old_closed {
        return 0;
    }
    let left = facts.calls.left_after(first.at, released) + facts.clients.served_between(first.at, released);
    // Its timer may close soon after an accept, too.
    let closed = if closes.idle.is_some() { 0 } else { holdings.shed.saturating_sub(left) };
    // A client that sees an end was shed only if it had been taken. One that asked may have been heard first;
    // for one that asked nothing, only the time shows that it was not held.
    let taken = if facts.clients.answers { holdings.dismissed } else { holdings.shed };
    let taken = if holdings.calls_seen { taken } else { u64::MAX };
    let shed = closes.shed(facts, first.at, watched).min(taken).max(closed);
    if holdings.held_closed >= shed { 0 } else { shed }
}

/// Whether it let go of its listener while it lived, and how many clients that nobody had accepted were reset
/// then; new ones are refused.
fn listener_closed(facts: &Facts<'_>, closes: &Closes, first: Failed, watched: Nanos) -> Option<u64> {
    let accepted = facts.holdings.accepts.iter().any(|&at| at > first.at);
    let gone = facts.holdings.tables.get(&first.pid).and_then(|table| table.gone).unwrap_or(Nanos::MAX);
    let mut asked = facts.readings.asked.iter().filter(|asked| (first.at..gone).contains(&asked.at));
    let refused = asked.any(|asked| asked.outcome == Outcome::Refused);
    let dead = !accepted && refused && facts.holdings.calls_seen;
    dead.then(|| closes.shed(facts, first.at, watched))
}
