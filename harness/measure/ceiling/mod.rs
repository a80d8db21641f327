//! The ceiling of the subject: how many connections it held, what failed first, and what nobody could see.

mod beside;
mod capacity;
mod kind;
mod per_process;

pub(super) use beside::Beside;
pub use capacity::Burst;
pub use kind::Kind;
pub use per_process::PerProcess;

use super::baseline::Baseline;
use super::client_programs::unanswered;
use super::closes::Closes;
use super::count::{Grown, Scale, grown};
use super::error_replies::ErrorReplies;
use super::facts::{Facts, Failed, Losses};
use super::fd_setsize::FdSetsize;
use super::in_children::InChildren;
use super::known::{Known, OrWhy, Why};
use super::limits::LimitsFound;
use super::prediction::Prediction;
use super::units::{milli, seconds};
use super::upstream;
use crate::event::{Call, Errno, Nanos, Outcome, Phase, Pid};

/// The ceiling of the subject.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct Ceiling {
    /// Whether it stopped at all.
    pub reached: Known<bool>,
    /// Why it stopped.
    pub kind: Known<Kind>,
    /// Connections that it holds and serves, over all its processes, when clients come no faster than it
    /// settles: the headline.
    pub capacity: Known<u64>,
    /// How many were accepted and served of clients that all connected at once, where that may differ.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub burst: Option<Burst>,
    /// Connections held just before the first failed descriptor call of that process, or at the end of the
    /// ramp.
    pub accepted: Known<u64>,
    /// The most that were held later on.
    pub accepted_max: Known<u64>,
    /// Clients answered whose connection is still open when saturation ends.
    pub served: Known<u64>,
    /// Connects that had succeeded when saturation ends.
    pub connected: Known<u64>,
    /// Descriptors open at the ceiling.
    pub descriptors: Known<u64>,
    /// Their growth from rest for each connection held at the same moment.
    pub descriptors_per_connection: Known<f64>,
    /// Descriptors open just before the first failure (without a failure, at the ceiling) beyond those at
    /// rest, without connections: further costs of the connections, or descriptors that a thread had open for
    /// a moment. Negative when some of those at rest were closed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub others: Option<i64>,
    /// For a subject that makes calls, or is called: calls answered before the first failure. `None`: it
    /// holds connections.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calls: Option<Known<u64>>,
    /// For a subject that exited: how, as the process that started it saw.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit: Option<Exit>,
    /// The first descriptor-creating call that failed.
    pub first_failure: Known<FirstFailure>,
    /// The first client that connected (or tried to) and was not served before saturation ended.
    pub first_unserved: Known<FirstUnserved>,
    /// A timer of its own that closed idle clients: why it was not reached, where others still came; else at
    /// the limit of descriptors.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle_timeout: Option<IdleTimeout>,
    /// Failures before the first client, which say nothing of the ceiling and must not go unseen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before_ramp: Option<BeforeRamp>,
    /// Each process that accepted or failed.
    pub per_process: Vec<PerProcess>,
}

/// A timer by which the server closes clients that send nothing.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct IdleTimeout {
    /// How long a client may be idle, seconds: the shortest that was seen.
    pub after_s: f64,
    /// Clients that it closed before any was told to leave.
    pub closed: u64,
    /// Connections that it held at the same time, at most.
    pub most_held: u64,
}

/// How a process ended (wait(2)).
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct Exit {
    /// Its status, where it exited.
    pub code: Known<i32>,
    /// The signal that killed it.
    pub signal: Known<i32>,
    /// Whether that was before the first client: it had only been asked which protocol it speaks.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub when_asked: bool,
}

/// The first failed descriptor call.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct FirstFailure {
    /// The process that made it.
    pub pid: Pid,
    /// Which call.
    pub call: Call,
    /// `EMFILE` or `ENFILE`.
    pub errno: &'static str,
    /// Seconds since the run's start.
    pub at_s: f64,
    /// Connections held by that process just before.
    pub accepted_before: u64,
    /// Clients connected by then and held by no process of the subject.
    pub waiting_clients: u64,
    /// Whether the next one connected so soon that it may have been waiting.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub next_connects: bool,
    /// Whether it was forked for a connection: it accepts none itself.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub in_child: bool,
    /// Why it is not the ceiling, when it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<NotTheCeiling>,
}

/// Why a failure is not the ceiling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum NotTheCeiling {
    /// It came before the first client connected.
    BeforeFirstClient,
}

/// The first client that got no answer.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct FirstUnserved {
    /// Seconds since the run's start, of its connect (or of that connect's failure).
    pub at_s: f64,
    /// Its outcome when saturation ended.
    pub outcome: Outcome,
}

/// Descriptor calls that failed before any client came.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct BeforeRamp {
    /// The first of them.
    pub call: Call,
    /// Its errno.
    pub errno: Errno,
    /// Seconds since the run's start.
    pub at_s: f64,
    /// How many were sampled.
    pub failures: u64,
}

impl Ceiling {
    /// Whether the subject stopped: as its kind says or, where nobody saw its calls, as its descriptor count
    /// does. `None`: not known.
    pub fn stopped(&self) -> Option<bool> {
        match self.kind.value() {
            Some(Kind::Generator) => None,
            Some(kind) => Some(kind != Kind::NotReached),
            None => self.reached.value(),
        }
    }

    /// Whether it is counted in calls, not in connections.
    pub fn in_calls(&self) -> bool {
        self.calls.is_some()
    }

    /// Whether it exited before the first client, and had only been asked which protocol it speaks.
    pub fn exited_when_asked(&self) -> bool {
        self.exit.as_ref().is_some_and(|exit| exit.when_asked)
    }

    /// Connections that it holds and serves, or calls answered before it stopped; where only a burst came,
    /// connections held then. `None` where nobody knows.
    pub fn held(&self) -> Option<u64> {
        self.connections().value().or(self.calls_answered())
    }

    /// The capacity; where clients came too fast for that, those accepted.
    pub fn connections(&self) -> &Known<u64> {
        if self.capacity.get().is_some() { &self.capacity } else { &self.accepted }
    }

    /// Calls answered before the first failure, where they are counted.
    pub fn calls_answered(&self) -> Option<u64> {
        self.calls.as_ref().and_then(Known::value)
    }

    /// Whether so many descriptors that stay open were opened once, and not for each client: as many were
    /// open under load, too, and what each client leaks is about as many as there were clients.
    pub fn opened_once(&self, leaked: i64) -> bool {
        self.others.is_some_and(|others| others >= leaked)
            && self.accepted.value().is_some_and(|held| held as i64 >= leaked.saturating_mul(10))
    }
}

/// The ceiling, by the calls that were observed, or by the descriptor count if accepts pass by the observer.
pub(super) fn ceiling(
    facts: &Facts<'_>,
    limits: &LimitsFound,
    baseline: &Baseline,
    prediction: &Prediction,
    closes: &Closes,
    beside: Beside<'_>,
    error_replies: Option<&ErrorReplies>,
) -> Ceiling {
    let fd_setsize = beside.fd_setsize;
    let scale = Scale::new(limits, baseline, prediction);
    let (holdings, watched) = (&facts.holdings, facts.phases.watched_until());
    let is_client = facts.processes.is_client;
    let loaded = facts.phases.loaded() && facts.generator_failed().is_none();
    let unseen = loaded && facts.accepts_pass_by();
    let stop = match kind::kind(facts, baseline, &scale, closes, beside, error_replies) {
        _ if unseen => by_growth(facts, grown(facts, &scale)),
        Ok(kind) if facts.serves_datagrams() => of_flows(facts, kind, prediction),
        Ok(kind) => stopped(facts, kind, closes, beside),
        Err(why) => Stop::unknown(why),
    };
    let counted_at = if unseen { holdings.at_watch.or(holdings.at_ceiling) } else { holdings.at_ceiling };
    let kind_known = stop.kind.value();
    let idle = idle_timeout(facts, closes)
        .filter(|_| matches!(kind_known, Some(Kind::NotReached | Kind::Emfile | Kind::Enfile)));
    let by_all_threads = with_threads(&stop, baseline.reserved());
    let as_accepted = facts.serves_datagrams()
        || beside.lost_in_passing.is_some()
        || idle.is_some()
        || kind_known == Some(Kind::NotReached);
    Ceiling {
        reached: stop.reached,
        kind: stop.kind,
        capacity: match as_accepted {
            true => stop.accepted.clone(),
            false => capacity::capacity(facts, &by_all_threads, unwatched(kind_known, fd_setsize)),
        },
        burst: capacity::burst(facts, &stop.accepted).filter(|_| !facts.serves_datagrams()),
        accepted: stop.accepted,
        accepted_max: stop.accepted_max,
        served: match (is_client, facts.clients.answers) {
            (true, _) => Known::Unknown(Why::CountedInCalls),
            (_, false) => Known::Unknown(unanswered(facts)),
            _ => Known::Value(match Losses::at_the_wall(facts).filter(|losses| losses.gone) {
                // Nobody is served any longer: those count that were until then.
                Some(losses) => losses.answered(&facts.clients.all),
                None => facts.clients.served(watched),
            }),
        },
        connected: match is_client && facts.clients.all.is_empty() {
            true => Known::Unknown(Why::NobodyHolds),
            false => Known::Value(facts.clients.connected(watched)),
        },
        descriptors: at_the_failure(facts, baseline)
            .or(counted_at.map(|both| both.descriptors))
            .or_why(Why::NotSampledAtCeiling),
        descriptors_per_connection: each_cost(facts, baseline),
        others: others(facts, &scale).filter(|_| !unseen && !facts.serves_datagrams()),
        calls: stop.calls,
        exit: stop.exit,
        first_failure: match unseen {
            true => Known::Unknown(Why::AcceptsPassBy),
            false => first_failure(facts, beside.in_children).or_why(Why::NoFailureSeen),
        },
        first_unserved: first_unserved(facts),
        before_ramp: holdings.early.map(|(first, failures)| before_ramp(first, failures)),
        idle_timeout: idle,
        per_process: if facts.serves_datagrams() { Vec::new() } else { per_process::per_process(facts) },
    }
}

/// Whether it stopped, why, and with how many connections.
struct Stop {
    reached: Known<bool>,
    kind: Known<Kind>,
    accepted: Known<u64>,
    accepted_max: Known<u64>,
    calls: Option<Known<u64>>,
    exit: Option<Exit>,
}

impl Stop {
    fn of(facts: &Facts<'_>, kind: Kind, accepted: Known<u64>, accepted_max: Known<u64>) -> Self {
        let ended = facts.readings.program_ends.last().filter(|_| kind == Kind::Exited);
        Stop {
            kind: Known::Value(kind),
            reached: Known::Value(!matches!(kind, Kind::Generator | Kind::NotReached)),
            accepted,
            accepted_max,
            calls: facts.processes.is_client.then(|| calls(facts)),
            exit: ended.map(|ended| Exit {
                code: ended.code.or_why(Why::KilledBySignal),
                signal: ended.signal.or_why(Why::NoSignal),
                when_asked: facts.exited().is_some_and(|(at, _)| at < facts.phases.from(Phase::Ramp)),
            }),
        }
    }

    fn unknown(why: Why) -> Self {
        let unknown = || Known::Unknown(why.clone());
        Stop {
            reached: Known::Unknown(why.clone()),
            kind: Known::Unknown(why.clone()),
            accepted: unknown(),
            accepted_max: unknown(),
            calls: None,
            exit: None,
        }
    }
}

fn idle_timeout(facts: &Facts<'_>, closes: &Closes) -> Option<IdleTimeout> {
    let idle = closes.idle.as_ref()?;
    let after_s = seconds(*idle.ages.start());
    // Connections of trial requests may be among those that were held.
    let connected = facts.clients.all.iter().filter(|client| client.connected.is_some()).count() as u64;
    let most_held = facts.holdings.most_at_once.saturating_sub(facts.clients.left_before).min(connected);
    Some(IdleTimeout { after_s, closed: idle.closed, most_held })
}

/// The stop of a subject whose accepts pass by the observer, from how many connections `/proc` says that it
/// holds, and whether its table is full.
fn by_growth(facts: &Facts<'_>, grown: Option<Grown>) -> Stop {
    let exited = facts.exited().is_some();
    // The last count of a subject that exits may be any.
    let grown = grown.filter(|_| !exited);
    let connected = facts.clients.connected(facts.phases.watched_until());
    Stop {
        reached: match &grown {
            _ if exited => Known::Value(true),
            Some(grown) if grown.full => Known::Value(true),
            Some(grown) if connected > 0 && grown.held >= connected => Known::Value(false),
            _ => Known::Unknown(Why::AcceptsPassByWithRoom),
        },
        kind: exited.then_some(Kind::Exited).or_why(Why::AcceptsPassBy),
        accepted: grown.map(|grown| grown.held).or_why(Why::AcceptsPassBy),
        accepted_max: Known::Unknown(Why::AcceptsPassBy),
        calls: None,
        exit: None,
    }
}

/// The stop for this reason, with the connections held then.
fn stopped(facts: &Facts<'_>, kind: Kind, closes: &Closes, beside: Beside<'_>) -> Stop {
    let (accepted, later) = held(facts, kind, closes, beside.in_children);
    let accepted = match beside.lost_in_passing {
        Some(lost) => lost.held.min(accepted),
        None => accepted.saturating_sub(unwatched(Some(kind), beside.fd_setsize)),
    };
    let (accepted, accepted_max) = match lost_after(facts) {
        _ if facts.processes.is_client => {
            (Known::Unknown(Why::CountedInCalls), Known::Unknown(Why::CountedInCalls))
        }
        Some(samples) if facts.holdings.first.is_some() => {
            (Known::Value(accepted), Known::Unknown(Why::LostAfterFirst { samples }))
        }
        _ => (Known::Value(accepted), Known::Value(later.max(accepted))),
    };
    Stop::of(facts, kind, accepted, accepted_max)
}

/// The stop of a server that accepts nobody: the flows whose descriptors it held when it stopped, or at most
/// if it did not stop, computed from the cost of each of the first few flows.
fn of_flows(facts: &Facts<'_>, kind: Kind, prediction: &Prediction) -> Stop {
    let holdings = &facts.holdings;
    let others = holdings.first.map(|_| holdings.others).or(holdings.at_most.map(|both| both.others));
    let flows = |others: i64| Some((others.max(0) as f64 / prediction.measured_cost()?).floor() as u64);
    let held = others.and_then(flows).or_why(Why::FlowsHoldNone);
    Stop::of(facts, kind, held.clone(), held)
}

/// The accepted connections, with those that other threads took after the first failure: each of the threads
/// that block in accept already has the number for its next client.
fn with_threads(stop: &Stop, reserved: u64) -> Known<u64> {
    let wall = matches!(stop.kind.value(), Some(Kind::Emfile));
    match (stop.accepted.value(), stop.accepted_max.value()) {
        (Some(accepted), Some(most)) if wall && reserved > 1 => {
            Known::Value(most.min(accepted + reserved - 1).max(accepted))
        }
        _ => stop.accepted.clone(),
    }
}

/// Connections that cannot be watched are accepted, and never served.
fn unwatched(kind: Option<Kind>, fd_setsize: Option<FdSetsize>) -> u64 {
    let stops = matches!(kind, Some(Kind::Exited | Kind::OtherLimit));
    fd_setsize.filter(|_| stops).map_or(0, |end| end.unwatched)
}

/// Connections held when it stopped, and the most afterwards.
fn held(facts: &Facts<'_>, kind: Kind, closes: &Closes, in_children: Option<InChildren>) -> (u64, u64) {
    let holdings = &facts.holdings;
    let failing = holdings.first.and_then(|first| holdings.tables.get(&first.pid));
    match (failing, kind) {
        // Clients may be accepted before a call fails that each of them needs: they do not stay.
        (Some(_), Kind::OtherLimit) => {
            let held =
                holdings.least_in_all.map_or(holdings.kept_in_all, |least| least.min(holdings.kept_in_all));
            (held, held)
        }
        (Some(table), _) => (holdings.accepted, table.most_after),
        // A process that dies of its failed call holds its client's connection until then.
        (None, _) if in_children.is_some() => {
            let open = facts.clients.open_at(facts.phases.watched_until().saturating_sub(1));
            (holdings.kept_in_all.min(open), holdings.most_in_all.min(open))
        }
        (None, Kind::Emfile | Kind::Enfile) => (0, 0),
        (None, Kind::Exited) => {
            // Those that it had handed over may outlive it.
            let held = facts.exited().map_or(0, |(_, held)| held) + holdings.handed_over.0;
            (held, held)
        }
        (None, Kind::NotReached) if closes.idle.is_some() => (holdings.most_at_once, holdings.most_at_once),
        // A probe that it took as well is none of the workload's.
        (None, Kind::NotReached) => (holdings.kept_in_all, holdings.kept_in_all),
        // One that gives way to the next client is held, and answered, until that comes.
        (None, Kind::OwnLimit) if answered_by_itself(facts) => {
            let served = facts.clients.served(facts.phases.watched_until());
            (holdings.kept_in_all.max(served), holdings.most_in_all.max(served))
        }
        (None, _) => (holdings.kept_in_all, holdings.most_in_all),
    }
}

/// Whether each client that is answered is connected to the subject itself.
fn answered_by_itself(facts: &Facts<'_>) -> bool {
    let plan = facts.plan;
    facts.clients.answers && plan.workloads.values().all(|workload| workload.to == plan.subject)
}

/// Descriptors for each connection at the ceiling.
fn each_cost(facts: &Facts<'_>, baseline: &Baseline) -> Known<f64> {
    if facts.serves_datagrams() {
        return facts.calibrated_cost().or_why(Why::CostNotMeasured);
    }
    let rest = match baseline.descriptors.known() {
        Ok(rest) => *rest,
        Err(why) => return Known::Unknown(why.clone()),
    };
    match facts.holdings.at_ceiling {
        Some(both) if both.held > 0 => {
            // Closed since it was at rest: no connection gave these back.
            let rest = rest.saturating_add_signed(both.others.min(0));
            let grown = both.descriptors.saturating_sub(rest);
            // Threads in accept had these numbers at rest; now connections may have them.
            let by_calls = both.held.saturating_add_signed(both.others.max(0));
            let grown = by_calls.clamp(grown, grown.saturating_add(baseline.reserved()));
            Known::Value(milli(grown as f64 / both.held as f64))
        }
        counted => Known::Unknown(none_held(facts, counted.is_some())),
    }
}

/// Why no connection stands beside the descriptors at the ceiling; `counted`: whether those were.
fn none_held(facts: &Facts<'_>, counted: bool) -> Why {
    let accepts_none = facts.processes.is_client && facts.holdings.accepts.is_empty();
    match counted {
        _ if facts.readings.observers.is_empty() => Why::NoObserver,
        _ if facts.accepts_pass_by() => Why::AcceptsPassBy,
        _ if accepts_none => Why::CountedInCalls,
        false => Why::NotSampledAtCeiling,
        true if facts.holdings.handed_over.0 > 0 => Why::HeldByOthers,
        true => Why::NoneHeldWhenCounted,
    }
}

/// Descriptors open just before the first failure, by the calls. For flows only: they may be over a moment
/// later.
fn at_the_failure(facts: &Facts<'_>, baseline: &Baseline) -> Option<u64> {
    facts.holdings.first.filter(|_| facts.serves_datagrams())?;
    baseline.descriptors.value()?.checked_add_signed(facts.holdings.others)
}

/// Descriptors at the ceiling that are no connections.
fn others(facts: &Facts<'_>, scale: &Scale) -> Option<i64> {
    let holdings = &facts.holdings;
    let others = holdings.first.map(|_| holdings.others).or(holdings.at_ceiling.map(|both| both.others))?;
    // More than there can be: calls that return no number, such as socketpair, are not seen to be undone.
    let room = scale.room().unwrap_or(u64::MAX);
    (others < 0 || (1..=room).contains(&others.unsigned_abs())).then_some(others)
}

/// Calls answered before the first failure, as the workload of calls, the subject's own count, the upstream
/// or the clients beside it say.
fn calls(facts: &Facts<'_>) -> Known<u64> {
    let first = facts.holdings.first.map(|first| first.at);
    let until = first.unwrap_or(facts.phases.watched_until());
    let own = facts.readings.own_counts.first();
    let own = own.map(|(_, before, total)| if first.is_some() { *before } else { *total });
    let called = upstream::calls(facts, until);
    let answered = facts.clients.all.iter().filter(|c| c.served.is_some_and(|at| at < until)).count() as u64;
    let counted =
        facts.calls.answered(until).or(own).or(called).or(Some(answered).filter(|answered| *answered > 0));
    counted.or_why(Why::CallsNotCounted)
}

/// Samples lost while nothing was moved. A loss after limits are moved says nothing about the connections
/// held before.
fn lost_after(facts: &Facts<'_>) -> Option<u64> {
    let until = facts.phases.start(Phase::Moved).unwrap_or(Nanos::MAX);
    Some(facts.tries.lost_by(until.saturating_sub(1))).filter(|lost| *lost > 0)
}

fn first_failure(facts: &Facts<'_>, in_children: Option<InChildren>) -> Option<FirstFailure> {
    let holdings = &facts.holdings;
    let of = |failed: Failed, accepted_before, waiting_clients, reason| FirstFailure {
        pid: failed.pid,
        call: failed.call,
        errno: failed.errno.name().unwrap_or_default(),
        at_s: seconds(failed.at),
        accepted_before,
        waiting_clients,
        next_connects: false,
        in_child: false,
        reason,
    };
    match (holdings.first, holdings.early) {
        (Some(first), _) if facts.serves_datagrams() => {
            let answered = facts.clients.served(first.at);
            Some(of(first, answered, facts.clients.waiting(first.at, answered), None))
        }
        (Some(first), _) => {
            let waiting = facts.clients.beyond(first.at, holdings.held_in_all);
            // One that was accepted and handed on may be served: then it does not wait.
            let waiting = waiting.min(facts.clients.waiting(first.at, holdings.held_in_all));
            let next_connects = waiting == 0 && next_connects(facts, first.at);
            Some(FirstFailure { next_connects, ..of(first, holdings.accepted, waiting, None) })
        }
        (None, _) if let Some(child) = in_children => {
            let failed = Failed { pid: child.pid, at: child.at, call: child.call, errno: child.errno };
            let held = facts.clients.open_at(child.at);
            Some(FirstFailure { in_child: true, ..of(failed, held, 0, None) })
        }
        (None, Some((first, _))) => Some(of(first, 0, 0, Some(NotTheCeiling::BeforeFirstClient))),
        (None, None) => None,
    }
}

/// Accepts just before the first failure: they show how late clients note that they are connected.
const JUST_BEFORE: usize = 8;

/// Whether the next client's connect was over so soon after this moment that the server may have seen it
/// before: the last accepts came before their clients' connects were over, too, by as much.
fn next_connects(facts: &Facts<'_>, failed: Nanos) -> bool {
    let mut connects: Vec<Nanos> = facts.clients.all.iter().filter_map(|client| client.connected).collect();
    connects.sort_unstable();
    let accepts = facts.holdings.accepts_between(facts.phases.from(Phase::Ramp), failed);
    let pairs: Vec<_> = accepts.iter().zip(&connects).collect();
    let last = pairs.iter().rev().take(JUST_BEFORE);
    let ahead = last.map(|(accept, connect)| connect.saturating_sub(**accept)).max();
    let next = connects.get(accepts.len());
    next.zip(ahead).is_some_and(|(next, ahead)| next.saturating_sub(failed) <= ahead)
}

fn before_ramp(first: Failed, failures: u64) -> BeforeRamp {
    BeforeRamp { call: first.call, errno: first.errno, at_s: seconds(first.at), failures }
}

fn first_unserved(facts: &Facts<'_>) -> Known<FirstUnserved> {
    if facts.places_unseen() {
        let why = if facts.processes.is_client { Why::CountedInCalls } else { Why::AcceptsPassBy };
        return Known::Unknown(why);
    }
    let rested = facts.readings.rests.last().map_or(0, |rest| rest.at);
    let watched = facts.phases.watched_until();
    let accepts = facts.holdings.accepts_between(rested, watched).len() as u64;
    let first = facts.clients.first_unserved(accepts, facts.phases.from(Phase::Ramp), watched);
    let why = if facts.processes.is_client { Why::CountedInCalls } else { Why::AllServed };
    first.map(|(at, outcome)| FirstUnserved { at_s: seconds(at), outcome }).or_why(why)
}
