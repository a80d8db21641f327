//! The accept policy of a subject, with its evidence: from the times of its failing calls, its accepts and
//! closes, the ends and beginnings of its processes, and the outcomes of its clients. It never comes from a
//! program's name or its log; it is *unclear* when that does not decide.

use super::ceiling::{Beside, Ceiling, Kind};
use super::clients_seen::held_asked;
use super::closes::Closes;
use super::costs::Costs;
use super::facts::{Facts, Failed, KEPT_FAILURES, Losses, SEEN_LATE, Try, ended};
use super::failed_calls::TRIES_A_REPLY;
use super::in_children::InChildren;
use super::known::{Known, Why};
use super::model::{Failing, Rhythm, batches, by_arrivals, rhythm_of_tries};
use super::other_policies::fails_beside;
use super::rates::failures_per_s;
use super::units::seconds;
use super::waiting::waiting;
use crate::event::{Call, Nanos, Outcome, Phase, Pid};
pub use crate::scenario::Policy;
use std::collections::HashSet;
use std::ops::Range;

/// Percent of one processor: a loop without a pause takes a fifth of one beside several others, and a loop
/// that waits for clients takes none.
const BUSY_PERCENT: f64 = 15.0;
/// Gaps listed at most.
pub(crate) const GAPS: usize = 20;
/// Pauses between the last tries that are a pattern when those before them are none.
const PAUSES: usize = 3;
/// Clients in the queue for one that was shed: a server that sheds lets nobody wait for long.
const WAIT_FOR_EACH: u64 = 10;
/// A loop that waits for something tries again within this time of it, also on a busy machine.
const WOKEN_WITHIN: Nanos = 200_000_000;
/// A process that has to wait for a processor for less than this share of the time has one when it wants.
const STARVED: f64 = 0.1;
/// A loop without pauses is ready all the time: it runs, or waits for a processor.
const ALWAYS_READY: f64 = 0.85;
/// One that sleeps between its bursts is ready for less than this.
const OFTEN_READY: f64 = 0.6;
/// A server that fell silent for less may be in a delay of its own; longer ones are known of no server.
const SILENT_AT_LEAST: Nanos = 1_500_000_000;

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

/// The observations of the accept loop.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "the variants say what the fields are")]
#[non_exhaustive]
pub enum PolicyEvidence {
    /// No descriptor call failed.
    NoFailure,
    /// It failed before the first client.
    BeforeClients,
    /// No descriptor call failed, and it turned clients away or left them waiting.
    OwnRule { held: u64, turned_away: u64, error_replies: u64, closed_after_answer: u64, waiting: u64 },
    /// A process exited: after its failures, if any, and with another in its place, if one was started.
    Exited {
        code: Option<i32>,
        signal: Option<i32>,
        /// The first failed call, so many failures, and seconds from the first to the exit.
        after: Option<(Call, usize, f64)>,
        replaced: Option<Replaced>,
        /// Clients that lost their connection.
        clients_lost: u64,
    },
    /// Clients were accepted and closed at once where this call had failed, and no number was free.
    ClosedForLack { clients: u64, call: Call },
    /// So many clients were accepted and turned away because this call fails, for want of something else than
    /// a number.
    TurnedAway { clients: u64, call: Call },
    /// So many clients were accepted and turned away because a call fails in the processes that were forked
    /// for them.
    InChildren { clients: u64, children: InChildren },
    /// So often it closed connections that it held after accept had failed, so many in all, and took further
    /// clients then.
    GaveWay { times: u64, connections: u64 },
    /// Clients were accepted and closed at once after accept had failed.
    Shed { clients: u64, waiting: u64 },
    /// No descriptor call failed; it used so much of a processor while clients waited, accepted none and
    /// answered none, also when the others had left.
    Deaf { cpu_percent: f64, waiting: u64 },
    /// It closed its listener: so many that waited were reset.
    ListenerClosed { reset: u64 },
    /// So many accepts failed on other listeners only: none was seen to fail on the loaded one.
    OnlyBeside { failures: usize, waiting: u64 },
    /// The rhythm of its failing calls.
    Rhythm {
        rhythm: Rhythm,
        call: Call,
        failures: usize,
        per_s: Option<f64>,
        waiting: u64,
        /// Connections held before that it closed.
        held_closed: u64,
    },
    /// So many failures at one time, then silence for so many seconds.
    Silence { failures: usize, silent_s: f64, waiting: u64, then: AfterSilence },
}

/// The process that took the place of one that exited.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Replaced {
    /// The new process.
    pub pid: Pid,
    /// From the exit to its fork, seconds.
    pub later_s: f64,
    /// How many more came in turn.
    pub others: usize,
}

/// The event that makes a silent accept loop try again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Waker {
    /// It had closed so many of its connections since it tried last.
    Close { connections: u64 },
    /// A client connected.
    Arrival,
}

/// The event that followed a silence of the accept loop.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum AfterSilence {
    /// No timer of its own was set, and this made it try again.
    Woken(Waker),
    /// Nobody was waiting.
    NobodyWaited,
    /// It accepts again after clients left.
    AcceptsAgain,
    /// It tried again after clients left.
    TriedAgain,
    /// Too short to tell a delay from the end.
    TooShort,
    /// No accept after clients left, so many seconds in all.
    NoAccept(f64),
    /// Nobody was released.
    NobodyReleased,
}

/// The policy, as far as the ceiling leaves a question.
pub(super) fn policy(
    facts: &Facts<'_>,
    closes: &Closes,
    ceiling: &Ceiling,
    costs: &Costs,
    beside: Beside<'_>,
) -> AcceptPolicy {
    let exhausted = beside.exhausted || beside.lost_in_passing.is_some();
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
        Some(Kind::Emfile | Kind::Enfile) if let Some(children) = beside.in_children => {
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

/// A class, with the observations that show it.
struct Seen {
    policy: Policy,
    evidence: PolicyEvidence,
    /// The rhythm of a loop that tries again.
    rhythm: Option<Rhythm>,
    gaps_s: Vec<f64>,
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
    let seen = |policy, evidence| Seen { policy, evidence, rhythm: None, gaps_s: loop_.gaps_s() };
    let exit = facts.holdings.exit_of(first.pid);
    if let Some(exit) = exit.filter(|at| (first.at..facts.phases.released_from()).contains(at)) {
        let after = (first.call, loop_.times.len().max(1), seconds(exit - first.at));
        return Seen { gaps_s: loop_.gaps_s(), ..after_exit(facts, Some(first.pid), exit, Some(after)) };
    }
    let turned_away = closes.turned_away(facts, watched);
    if facts.holdings.room.is_some() && !first.call.accepts() && turned_away > 0 {
        return seen(Policy::Sheds, PolicyEvidence::TurnedAway { clients: turned_away, call: first.call });
    }
    if let Some(gave_way) = closes.gave_way {
        let (times, connections) = (gave_way.times, gave_way.connections);
        return seen(Policy::Sheds, PolicyEvidence::GaveWay { times, connections });
    }
    let waiting = waiting(facts, ceiling);
    let clients = shed(facts, closes, first, watched);
    // Where about as many of another call failed, that is why they were closed.
    let others = facts.holdings.failures.iter().filter(|(at, call)| *at < watched && !call.accepts());
    let lacked = others.clone().count() as u64;
    let lack = others.map(|(_, call)| *call).next();
    // Where accept failed for each of them, that is why.
    let in_accept =
        facts.holdings.failures.iter().filter(|(at, call)| *at < watched && call.accepts()).count();
    let lack = lack.filter(|_| (in_accept as u64) < clients);
    let lack = lack.filter(|_| (clients.div_ceil(2).max(1)..=TRIES_A_REPLY * clients).contains(&lacked));
    let lets_few_wait =
        (clients >= 3 && waiting / WAIT_FOR_EACH <= clients) || (clients >= 1 && clients >= waiting);
    match lack {
        // If accept fails too, the accept loop is looked at, unless it keeps nobody waiting.
        Some(call) if !loop_.in_accept || waiting == 0 => {
            return seen(Policy::Sheds, PolicyEvidence::ClosedForLack { clients, call });
        }
        None if lets_few_wait => return seen(Policy::Sheds, PolicyEvidence::Shed { clients, waiting }),
        _ => {}
    }
    let others = facts.tries.between(first.at, watched).iter();
    let others = others.filter(|t| t.pid == first.pid && t.beside && t.failed().is_some()).count();
    if first.call.accepts() && !loop_.in_accept && others > 0 {
        return seen(Policy::Unclear, PolicyEvidence::OnlyBeside { failures: others, waiting });
    }
    if let Some(reset) = listener_closed(facts, closes, first, watched) {
        return seen(Policy::AcceptLoopDead, PolicyEvidence::ListenerClosed { reset });
    }
    loop_.judged(facts, waiting)
}

/// The tries after the last arrival, where clients arrived about as often as the loop failed.
fn alone<'t>(facts: &Facts<'_>, times: &'t [Nanos]) -> Option<&'t [Nanos]> {
    let (first, last) = (*times.first()?, *times.last()?);
    let connects = facts.clients.all.iter().filter_map(|client| client.connected);
    let arrivals: Vec<Nanos> = connects.filter(|at| (first..=last).contains(at)).collect();
    let newest = *arrivals.iter().max()?;
    let alone = &times[times.partition_point(|at| *at <= newest.saturating_add(SEEN_LATE))..];
    by_arrivals(times.len(), arrivals.len()).then_some(alone)
}

/// The failing calls of one process, as far as they were watched.
struct FailingLoop {
    first: Failed,
    /// Whether accept itself was seen to fail; otherwise the first call that failed is followed.
    in_accept: bool,
    /// One of the calls that are followed.
    call: Call,
    times: Vec<Nanos>,
    until: Nanos,
    per_s: Option<f64>,
    rhythm: Rhythm,
}

impl FailingLoop {
    fn of(facts: &Facts<'_>, ceiling: &Ceiling, first: Failed, watched: Nanos) -> Self {
        let holdings = &facts.holdings;
        let in_accept = holdings.accept_failed();
        let counts = |call: Call| if in_accept { call.accepts() } else { call == first.call };
        let failures = || holdings.failures.iter().filter(|(_, call)| counts(*call));
        let times: Vec<Nanos> = failures().map(|(at, _)| *at).filter(|at| *at < watched).collect();
        let stopped = facts.tries.sampling_stopped().filter(|at| *at < watched);
        let until = stopped.map_or(watched.min(facts.phases.end), |at| at.min(watched));
        // Over the same time as among the costs, so that a report has one rate.
        let per_s = failures_per_s(facts, ceiling, facts.phases.watched_until(), counts).value();
        // Totals are of all listeners.
        let per_s = per_s.filter(|_| !in_accept || !fails_beside(facts, first.pid, watched));
        let lost = facts.tries.lost_in(first.at, watched);
        let flooded = stopped.is_some() || lost || holdings.failures.len() >= KEPT_FAILURES;
        let made = facts.tries.between(first.at, until).iter();
        let accepts: Vec<Nanos> = made.filter(|t| t.accepted() && t.pid == first.pid).map(|t| t.at).collect();
        let of = |times: &[Nanos]| {
            let per_s = per_s.filter(|_| flooded);
            rhythm_of_tries(&Failing { times, accepts: &accepts, until, per_s, flooded })
        };
        // A pause that ends in an accept looks the same as the wait for a client. If all pauses together are
        // no pattern, only those after the last accept count.
        let last = holdings.accepts_between(0, watched).last();
        let last = last.map_or(0, |last| times.partition_point(|at| at < last));
        let rhythm = match of(&times) {
            Rhythm::Unclear | Rhythm::FixedOrGrows { .. } if times.len() - last > PAUSES => {
                of(&times[last..])
            }
            // Each client that arrives may wake it: its behaviour when left alone counts.
            Rhythm::Spin => alone(facts, &times).map_or(Rhythm::Spin, of),
            rhythm => rhythm,
        };
        let rhythm = unless_denied(facts, rhythm, first.at..watched);
        let call = failures().next().map_or(first.call, |(_, call)| *call);
        FailingLoop { first, in_accept, call, times, until, per_s, rhythm }
    }

    fn gaps_s(&self) -> Vec<f64> {
        let starts: Vec<Nanos> = match self.rhythm {
            Rhythm::Spin => self.times.clone(),
            _ => batches(&self.times).iter().map(|batch| batch.0).collect(),
        };
        starts.windows(2).take(GAPS).map(|pair| seconds(pair[1] - pair[0])).collect()
    }

    /// The class that its rhythm makes.
    fn judged(&self, facts: &Facts<'_>, waiting: u64) -> Seen {
        let policy = match self.rhythm {
            Rhythm::Once { failures } => return self.silent(facts, waiting, failures),
            // A loop that fails for each client that arrives has the rhythm of the clients.
            Rhythm::Unclear if self.woken(facts).is_some() => {
                return self.silent(facts, waiting, self.times.len());
            }
            Rhythm::Spin => Policy::Spin,
            Rhythm::Storm { .. } => Policy::Storm,
            Rhythm::Fixed { .. } => Policy::FixedDelay,
            Rhythm::Grows { .. } => Policy::Backoff,
            Rhythm::FixedOrGrows { .. } | Rhythm::Unclear => Policy::Unclear,
        };
        let evidence = PolicyEvidence::Rhythm {
            rhythm: self.rhythm,
            call: self.call,
            failures: self.times.len(),
            per_s: self.per_s,
            waiting,
            held_closed: facts.holdings.held_closed,
        };
        Seen { policy, evidence, rhythm: Some(self.rhythm), gaps_s: self.gaps_s() }
    }

    /// The event that ended its silence, if no timer of its own was set. The other event had happened before,
    /// to no effect.
    fn woken(&self, facts: &Facts<'_>) -> Option<Waker> {
        let last = *self.times.last()?;
        let tries = facts.tries.between(last + WOKEN_WITHIN, facts.phases.end).iter();
        let again = tries.filter(|t| t.pid == self.first.pid && t.tries_to_accept()).map(|t| t.at).next()?;
        if facts.timer_at_the_wall() != Some(false) {
            return None;
        }
        let just_before = again.saturating_sub(WOKEN_WITHIN)..again;
        let meanwhile = last + SEEN_LATE..again.saturating_sub(WOKEN_WITHIN);
        let closed = |when: &Range<Nanos>| {
            facts.holdings.lives(|one| one.pid == self.first.pid && when.contains(&one.at)).len() as u64
        };
        let closes = |when: &Range<Nanos>| closed(when) > 0;
        let arrivals = |when: &Range<Nanos>| facts.arrivals().any(|at| when.contains(&at));
        match (closes(&just_before), arrivals(&just_before)) {
            (true, false) if arrivals(&meanwhile) => {
                // Several were needed only if an earlier one had no effect.
                let needed = if closes(&meanwhile) { closed(&(last..again)) } else { 1 };
                Some(Waker::Close { connections: needed })
            }
            (false, true) if closes(&meanwhile) => Some(Waker::Arrival),
            _ => None,
        }
    }

    /// Failures at one time and then silence.
    fn silent(&self, facts: &Facts<'_>, waiting: u64, failures: usize) -> Seen {
        let released = facts.phases.start(Phase::ReleaseSome).or(facts.phases.start(Phase::ReleaseAll));
        let stop = facts.phases.from(Phase::Again);
        let again = released.is_some_and(|at| !facts.holdings.accepts_between(at, stop).is_empty());
        // Another call that fails is no try to accept.
        let tried = |t: &&Try| {
            let followed = if self.in_accept { t.tries_to_accept() } else { t.call == self.first.call };
            followed && t.pid == self.first.pid && t.failed().is_some()
        };
        let failed = released.is_some_and(|at| facts.tries.between(at, stop).iter().any(|t| tried(&t)));
        let all = stop.min(facts.phases.end).saturating_sub(self.first.at);
        let then = match (waiting, released) {
            (1.., _) if let Some(waker) = self.woken(facts) => AfterSilence::Woken(waker),
            (0, _) => AfterSilence::NobodyWaited,
            (_, None) => AfterSilence::NobodyReleased,
            _ if again => AfterSilence::AcceptsAgain,
            _ if failed => AfterSilence::TriedAgain,
            _ if all < SILENT_AT_LEAST => AfterSilence::TooShort,
            _ => AfterSilence::NoAccept(seconds(all)),
        };
        let policy = match then {
            AfterSilence::NoAccept(_) => Policy::AcceptLoopDead,
            AfterSilence::Woken(Waker::Close { .. }) => Policy::WaitsForClose,
            AfterSilence::Woken(Waker::Arrival) => Policy::WaitsForArrival,
            _ => Policy::Unclear,
        };
        let silent_s = seconds(self.until.saturating_sub(self.first.at));
        Seen {
            policy,
            evidence: PolicyEvidence::Silence { failures, silent_s, waiting, then },
            rhythm: Some(self.rhythm),
            gaps_s: self.gaps_s(),
        }
    }
}

/// Pauses between bursts in which it was ready, and was given no processor, are not its own.
fn unless_denied(facts: &Facts<'_>, rhythm: Rhythm, watched: Range<Nanos>) -> Rhythm {
    let Rhythm::Storm { .. } = rhythm else { return rhythm };
    match facts.readings.ready_shares(watched.start, watched.end) {
        Some([ran, waited, _]) if waited >= STARVED && ran + waited >= ALWAYS_READY => Rhythm::Spin,
        // Which of its threads tries is not known: one may wait for a lock of another that was denied.
        Some([ran, _, all]) if all - ran >= STARVED && all >= OFTEN_READY => Rhythm::Unclear,
        _ => rhythm,
    }
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
