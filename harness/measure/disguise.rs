//! Clients that were shown something else than they are: an error reply, an end, a process that dies, just
//! after a descriptor call other than accept had failed in the process that serves them.

use super::facts::{Asked, Facts, Table, Told, Total, Try};
use super::failed_calls::{TRIES_A_REPLY, failed_beside};
use super::in_children::CONSEQUENCE;
use super::policy::{AcceptPolicy, Policy};
use super::policy_evidence::PolicyEvidence;
use crate::event::{Call, Client as State, Errno, Label, Nanos, Outcome, Phase, Pid, SeenAs};
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

/// Failures known from totals alone that may still explain a reply, at most.
const FURTHER: usize = 10_000;
/// Longest reply kept, characters.
const REPLY: usize = 80;

/// A failed call that clients saw as something else.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Disguise {
    /// The call that failed.
    pub call: Call,
    /// `EMFILE` or `ENFILE`.
    pub errno: Errno,
    /// The form in which clients saw it.
    pub seen_as: SeenAs,
    /// For an exit after several failed calls, each a possible cause: all of them, the first first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub in_order: Vec<Call>,
    /// The reply's first words; empty where there was none.
    pub reply: String,
    /// How many saw it; for an exit, the connections that the process held.
    pub count: u64,
    /// Held clients among them that saw it when they asked again.
    #[serde(skip_serializing_if = "none")]
    pub asked_again: u64,
    /// Trial requests of lastfd's own among them.
    #[serde(skip_serializing_if = "none")]
    pub trials: u64,
}

const fn none(n: &u64) -> bool {
    *n == 0
}

/// The kind of client that saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Saw {
    Client,
    AskedAgain,
    Trial,
}

/// How many saw it.
#[derive(Debug, Default)]
struct Seen {
    count: u64,
    asked_again: u64,
    trials: u64,
}

/// Each thing that clients were shown, the most frequent first.
pub(super) fn disguise(facts: &Facts<'_>, policy: &AcceptPolicy) -> Vec<Disguise> {
    // A server that dismisses clients for want of a number for them does what that policy's name says
    // already; not so one to which another call's failure looks like the client's.
    let by_its_name = policy.cause.is_none_or(Call::accepts);
    let turns_away =
        by_its_name && matches!(policy.policy.value(), Some(Policy::Sheds | Policy::LimitsItself));
    // Those that wait at a listener are reset when it is closed, whatever calls its message makes.
    let turns_away =
        turns_away || matches!(policy.evidence.get(), Some(PolicyEvidence::ListenerClosed { .. }));
    let exits = exits(facts);
    // A process that serves one client ends with it.
    let accepts = |(pid, table): (&Pid, &Table)| table.exited.filter(|_| facts.processes.counts(*pid));
    let mut exited: Vec<Nanos> = facts.holdings.tables.iter().filter_map(accepts).map(|(at, _)| at).collect();
    exited.sort_unstable();
    let mut matching = Matching::new(facts, turns_away, &exited);
    moments(facts).iter().for_each(|moment| matching.take(facts, moment));
    let mut all: Vec<Disguise> = matching.named().chain(exits.into_iter().map(|(_, exit)| exit)).collect();
    all.sort_by_key(|one| std::cmp::Reverse(one.count));
    all
}

/// A possible cause, or a possible consequence.
enum Moment<'a> {
    Tried(&'a Try),
    Counted(&'a Total),
    Told(&'a Told<'a>),
    Asked(&'a Asked<'a>),
}

/// Causes and consequences before clients left, in order of time; at the same time, causes first.
fn moments<'a>(facts: &'a Facts<'_>) -> Vec<Moment<'a>> {
    let until = facts.phases.released_from();
    let tried = facts.tries.between(0, until).iter().map(|t| (t.at, 0, Moment::Tried(t)));
    let counted = facts.tries.totals.iter().map(|t| (t.at, 1, Moment::Counted(t)));
    let told = facts.clients.told.iter().map(|t| (t.at, 2, Moment::Told(t)));
    let asked = facts.readings.asked.iter().map(|a| (a.at, 3, Moment::Asked(a)));
    let mut all: Vec<(Nanos, u8, Moment<'a>)> =
        tried.chain(counted).chain(told).chain(asked).filter(|(at, ..)| *at < until).collect();
    all.sort_by_key(|(at, rank, _)| (*at, *rank));
    all.into_iter().map(|(.., moment)| moment).collect()
}

/// Failures that have explained no reply yet, and replies that no failure has explained.
struct Matching<'a> {
    /// Clients come from then on.
    from: Nanos,
    turns_away: bool,
    /// In order.
    exited: &'a [Nanos],
    failures: VecDeque<(Nanos, Call, Errno)>,
    replies: VecDeque<(Nanos, Saw, SeenAs, String)>,
    /// Failures of each call that were recorded one by one; and those beyond that the totals counted.
    single: HashMap<Call, u64>,
    further: HashMap<Call, u64>,
    errno: HashMap<Call, Errno>,
    /// The very first failure stands for a call whose own failures were not recorded.
    first: Option<Errno>,
    /// Whether a call has failed yet. A message that the server also sends before any failure is no sign of
    /// one: it comes from a rule of its own, such as sshd's MaxStartups.
    failing: bool,
    usual: HashSet<String>,
    over: HashSet<(&'a str, u32)>,
    /// When each client had its answer: closed a while later, with nothing asked since, it was idle.
    answered: HashMap<(&'a str, u32), Nanos>,
    /// A held client that asked again and got an error reply or was closed ends as a client, too: that is the
    /// same end.
    ended_when_asked: VecDeque<Nanos>,
    seen: BTreeMap<(SeenAs, Call, Errno, String), Seen>,
}

impl<'a> Matching<'a> {
    fn new(facts: &'a Facts<'_>, turns_away: bool, exited: &'a [Nanos]) -> Self {
        Matching {
            from: facts.phases.from(Phase::Ramp),
            turns_away,
            exited,
            failures: VecDeque::new(),
            replies: VecDeque::new(),
            single: HashMap::new(),
            further: HashMap::new(),
            errno: HashMap::new(),
            first: facts.holdings.first.map(|first| first.errno),
            failing: false,
            usual: HashSet::new(),
            over: HashSet::new(),
            answered: HashMap::new(),
            ended_when_asked: VecDeque::new(),
            seen: BTreeMap::new(),
        }
    }

    fn take(&mut self, facts: &Facts<'_>, moment: &Moment<'a>) {
        match *moment {
            Moment::Tried(made) => self.tried(facts, made),
            Moment::Counted(total) => {
                let stopped = facts.tries.sampling_stopped().is_some_and(|at| total.at >= at);
                if stopped && total.at >= self.from && !total.call.accepts() {
                    self.counted(total);
                }
            }
            Moment::Told(told) if told.at >= self.from => self.told(told),
            Moment::Asked(asked) if asked.at >= self.from && !asked.label.asks_dialogue() => {
                self.asked(asked)
            }
            Moment::Told(_) | Moment::Asked(_) => {}
        }
    }

    fn tried(&mut self, facts: &Facts<'_>, made: &Try) {
        if made.failed().is_some() {
            *self.single.entry(made.call).or_default() += 1;
            self.failing = true;
        }
        if let Some(errno) = failed_beside(facts, made).filter(|_| made.at >= self.from) {
            self.errno.insert(made.call, errno);
            self.failures.push_back((made.at, made.call, errno));
        }
    }

    /// Takes in a total that was read when failures were no longer recorded one by one: those beyond the
    /// recorded ones explain the replies just before it.
    fn counted(&mut self, total: &Total) {
        let Some(errno) = self.errno.get(&total.call).copied().or(self.first) else { return };
        let single = self.single.get(&total.call).copied().unwrap_or(0);
        let further = total.total.saturating_sub(single);
        let known = self.further.insert(total.call, further).unwrap_or(0);
        while self.replies.front().is_some_and(|reply| reply.0 < total.at.saturating_sub(CONSEQUENCE)) {
            self.replies.pop_front();
        }
        for _ in known..further {
            match self.replies.pop_front() {
                Some((_, saw, seen_as, reply)) => self.count(saw, (seen_as, total.call, errno, reply)),
                // Its reply may be on its way.
                None if self.failures.len() < FURTHER => {
                    self.failures.push_back((total.at, total.call, errno))
                }
                None => break,
            }
        }
    }

    fn told(&mut self, told: &Told<'a>) {
        let client = (told.workload, told.id);
        let (seen_as, reply) = match told.state {
            State::ErrorReply(words) | State::ErrorAnswer(words) => (SeenAs::ErrorReply, words.as_str()),
            State::Closed => (SeenAs::Closed, ""),
            _ => {
                self.answered.insert(client, told.at);
                return;
            }
        };
        if !self.over.insert(client) {
            return;
        }
        let past = self.forget(told.at);
        let same_end = self.ended_when_asked.pop_front().is_some();
        let idle = self.answered.get(&client).is_some_and(|&at| at < past);
        if seen_as == SeenAs::ErrorReply || !(same_end || idle) {
            self.replied(told.at, Saw::Client, seen_as, reply);
        }
    }

    fn asked(&mut self, asked: &Asked<'_>) {
        let (seen_as, reply) = match asked.outcome {
            Outcome::ErrorReply => (SeenAs::ErrorReply, asked.detail.to_owned()),
            Outcome::Served | Outcome::Closed if let Some(status) = asked.error_status => {
                (SeenAs::ErrorReply, status.to_string())
            }
            Outcome::Closed => (SeenAs::Closed, String::new()),
            _ => return,
        };
        self.forget(asked.at);
        let saw = if asked.label == Label::Held { Saw::AskedAgain } else { Saw::Trial };
        let explained = self.replied(asked.at, saw, seen_as, &reply);
        if explained && saw == Saw::AskedAgain && asked.outcome != Outcome::Served {
            self.ended_when_asked.push_back(asked.at);
        }
    }

    /// Drops what is too long ago to have a consequence now; when that was.
    fn forget(&mut self, now: Nanos) -> Nanos {
        let past = now.saturating_sub(CONSEQUENCE);
        self.ended_when_asked.retain(|&at| at >= past);
        past
    }

    /// Looks for the failure that made this reply; false where it has another cause.
    fn replied(&mut self, at: Nanos, saw: Saw, seen_as: SeenAs, reply: &str) -> bool {
        let past = at.saturating_sub(CONSEQUENCE);
        // Its connections are closed a moment before a process is seen to exit.
        let exit = self.exited.get(self.exited.partition_point(|exit| *exit < past));
        let with_it = exit.is_some_and(|exit| *exit < at.saturating_add(CONSEQUENCE));
        if seen_as == SeenAs::Closed && (self.turns_away || with_it) {
            return false;
        }
        let usual = |m: &mut Self| m.usual.contains(reply) || !m.failing && m.usual.insert(reply.to_owned());
        if seen_as == SeenAs::ErrorReply && usual(self) {
            return false;
        }
        let reply = reply.trim().chars().take(REPLY).collect();
        while self.failures.front().is_some_and(|failure| failure.0 < past) {
            self.failures.pop_front();
        }
        match self.failures.pop_front() {
            Some((_, call, errno)) => self.count(saw, (seen_as, call, errno, reply)),
            None => self.replies.push_back((at, saw, seen_as, reply)),
        }
        true
    }

    fn count(&mut self, saw: Saw, what: (SeenAs, Call, Errno, String)) {
        let seen = self.seen.entry(what).or_default();
        seen.count += 1;
        seen.asked_again += u64::from(saw == Saw::AskedAgain);
        seen.trials += u64::from(saw == Saw::Trial);
    }

    /// The disguises whose call did not fail too often without a reply.
    fn named(mut self) -> impl Iterator<Item = Disguise> {
        let mut replies: HashMap<Call, u64> = HashMap::new();
        self.seen.iter().for_each(|((_, call, ..), seen)| *replies.entry(*call).or_default() += seen.count);
        let all = |call: Call| {
            let counted = [&self.single, &self.further].into_iter().filter_map(|of| of.get(&call));
            counted.fold(0u64, |sum, n| sum.saturating_add(*n))
        };
        self.seen.retain(|(_, call, ..), _| all(*call) <= TRIES_A_REPLY * replies[call]);
        self.seen.into_iter().map(|((seen_as, call, errno, reply), seen)| Disguise {
            call,
            errno,
            seen_as,
            in_order: Vec::new(),
            reply,
            count: seen.count,
            asked_again: seen.asked_again,
            trials: seen.trials,
        })
    }
}

/// Failed calls of a process shortly before its exit, in their order, that it is not known to have survived:
/// since the last connection that it accepted, and the last error reply that a client got.
fn last_failures<'a>(facts: &'a Facts<'_>, pid: Pid, exit: Nanos) -> Vec<&'a Try> {
    let own = |t: &&Try| t.pid == pid;
    let tried = facts.tries.between(exit.saturating_sub(CONSEQUENCE), exit.saturating_add(1));
    let told = facts.clients.error_replies.iter().map(|(at, _)| *at).filter(|at| *at < exit).max();
    let accepted = tried.iter().filter(own).filter(|t| t.accepted()).map(|t| t.at).max();
    let since = told.max(accepted).unwrap_or(0);
    let failed = |from: Nanos| -> Vec<&Try> {
        tried.iter().filter(own).filter(|t| t.failed().is_some() && t.at >= from).collect()
    };
    // Another thread may accept between the failure and the exit.
    let last = failed(since);
    if last.is_empty() { failed(0) } else { last }
}

/// Processes that exited after a call other than accept had failed, and held connections; and when. A program
/// that reports a failed accept may fail in that, too: where several calls failed, all are named.
fn exits(facts: &Facts<'_>) -> Vec<(Nanos, Disguise)> {
    let exit = |(pid, table): (&Pid, &Table)| {
        let (at, count) = table.exited.filter(|(_, held)| *held > 0)?;
        let failures = last_failures(facts, *pid, at);
        // A policy of accept has a name already.
        let other = failures.iter().find(|made| !made.call.accepts())?;
        let mut in_order: Vec<Call> = Vec::new();
        for made in &failures {
            if !in_order.contains(&made.call) {
                in_order.push(made.call);
            }
        }
        if in_order.len() == 1 {
            in_order.clear();
        }
        let (call, errno, reply) = (other.call, other.failed()?, String::new());
        let (seen_as, asked_again, trials) = (SeenAs::Exit, 0, 0);
        Some((at, Disguise { call, errno, seen_as, in_order, reply, count, asked_again, trials }))
    };
    facts.holdings.tables.iter().filter_map(exit).collect()
}
