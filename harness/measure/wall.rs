//! Side effects of a full table, beside the accept loop: memory, other listeners of the same processes, descriptor calls that fail and
//! are no accept, and clients that are shown something else than they are: an error reply, an end, a process that dies.

use super::follow::Table;
use super::saturation::begins;
use super::timeline::{milli, seconds};
use super::tree::full;
use super::{AcceptQueue, Measured, Policy, Run};
use crate::event::{Call, Client, Event, Nanos, Outcome, Phase, Pid, SeenAs, What};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};

/// A reply is the consequence of a failure that came at most so long before it.
const CONSEQUENCE: Nanos = 1_000_000_000;
/// A request makes several tries for one file. Where far more calls fail than clients are turned away, as where each line of log makes some,
/// nothing says which of them made a reply.
pub(super) const TRIES_A_REPLY: u64 = 16;
/// Failures known from totals alone that may still explain a reply, at most.
const FURTHER: usize = 10_000;
/// Paths shown of one call.
const PATHS: usize = 3;
/// Longest reply kept, characters.
const REPLY: usize = 80;

/// Resident memory of all processes of the subject; what they share counts in each.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Memory {
    /// With the descriptors at rest.
    pub rest_bytes: Option<u64>,
    /// When the wall was reached.
    pub wall_bytes: Option<u64>,
    /// While it was watched there; negative when it shrank.
    pub growth_bytes_per_s: Option<f64>,
    /// After all clients had left.
    pub after_bytes: Option<u64>,
}

/// A listener of the subject beside the one that is loaded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OtherListener {
    /// As it is bound.
    pub address: String,
    /// Of the address.
    pub port: u16,
    /// Its accept queue's length at saturation.
    pub queue: u32,
    /// Backlog + 1.
    pub capacity: u32,
    /// SYNs and last ACKs of handshakes that it has dropped since it was made.
    pub overflows: Option<u32>,
    /// What a client gets that connects there at saturation: `served` is to be accepted, for it asks nothing. None: it was not tried, for
    /// only loopback addresses are.
    pub new_client: Option<Outcome>,
}

/// Failures of one call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedCalls {
    /// Which.
    pub call: Call,
    /// `EMFILE` or `ENFILE`.
    pub errno: String,
    /// How many, from the wall until clients left.
    pub count: u64,
    /// What it was to open, a few; none where the observer does not see it (perf).
    pub paths: Vec<String>,
}

/// Clients that were told something else: a descriptor call other than accept had failed just before, in the process that serves them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disguise {
    /// The call that failed.
    pub call: Call,
    /// `EMFILE` or `ENFILE`.
    pub errno: String,
    /// As what.
    pub seen_as: SeenAs,
    /// The reply's first words; empty where there was none.
    pub reply: String,
    /// How many saw it; of an exit, the connections that the process held.
    pub count: u64,
}

/// Fills in memory, listeners, failed calls and what they look like.
pub(super) fn wall(run: &Run<'_>, m: &mut Measured) {
    memory(run, m);
    m.saturation.other_listeners = run.timeline.events.iter().filter_map(|e| listener(&e.is)).collect();
    if m.saturation.other_listeners.iter().any(|other| other.new_client.is_none()) {
        m.missing::<()>(
            "saturation.other_listeners.new_client",
            "not tried, or not to the end: only loopback addresses are",
        );
    }
    m.saturation.failed_calls = failed_calls(run);
    m.saturation.disguise = disguise(run, m);
    m.unsampled = unsampled(run);
}

/// What the loaded listener dropped because its accept queue was full, before clients left.
pub(super) fn drops(run: &Run<'_>) -> Option<u32> {
    let until_released = run.timeline.between(0, run.timeline.released_from()).iter();
    until_released.rev().find_map(|e| if let What::Beside { drops, .. } = e.is { drops } else { None })
}

/// What is known of the accept queue beside its length and capacity. `full`: the events at the wall.
pub(super) fn queue(run: &Run<'_>, m: &mut Measured, full: &[&Event]) -> AcceptQueue {
    let released = run.timeline.released_from();
    let half_done = |e: &&Event| match &e.is {
        What::Tcp { states, took, .. } if e.at.saturating_add(*took) < released => {
            Some(states.get("SYN_RECV").copied().unwrap_or(0))
        }
        _ => None,
    };
    let overflows = drops(run)
        .or_else(|| m.missing("saturation.accept_queue.overflows", "the listener's drops were not read"));
    let syn_recv = full.iter().filter_map(half_done).max();
    let syn_recv = syn_recv.or_else(|| {
        m.missing("saturation.accept_queue.syn_recv", "the sockets were not listed while the table was full")
    });
    let lengths = run
        .timeline
        .events
        .iter()
        .filter_map(|e| if let What::Sample { queue, .. } = e.is { queue } else { None });
    AcceptQueue { length: 0, capacity: None, most: lengths.max(), overflows, syn_recv }
}

fn memory(run: &Run<'_>, m: &mut Measured) {
    let samples = |from, until| {
        run.timeline.between(from, until).iter().filter_map(|e| match e.is {
            What::Beside { resident: Some(bytes), .. } => Some((e.at, bytes)),
            _ => None,
        })
    };
    let (wall, released) = (begins(run), run.timeline.released_from());
    let at_wall: Vec<(Nanos, u64)> = samples(wall, released).collect();
    let rest = samples(0, run.timeline.from(Phase::Ramp)).next_back();
    let after = samples(run.timeline.from(Phase::Settle), run.timeline.from(Phase::Stop)).next_back();
    let ends = at_wall.first().zip(at_wall.last()).filter(|(a, b)| b.0 > a.0);
    let growth = ends.map(|(a, b)| milli((b.1 as f64 - a.1 as f64) / seconds(b.0 - a.0)));
    let why = |when: &str| format!("the memory of its processes was not read {when}");
    m.saturation.memory = Memory {
        rest_bytes: rest.map(|s| s.1).or_else(|| m.missing("saturation.memory.rest_bytes", why("at rest"))),
        wall_bytes: at_wall
            .first()
            .map(|s| s.1)
            .or_else(|| m.missing("saturation.memory.wall_bytes", why("while the table was full"))),
        growth_bytes_per_s: growth.or_else(|| {
            m.missing(
                "saturation.memory.growth_bytes_per_s",
                "fewer than two readings while the table was full",
            )
        }),
        after_bytes: after
            .map(|s| s.1)
            .or_else(|| m.missing("saturation.memory.after_bytes", why("after all clients had left"))),
    };
}

fn listener(what: &What) -> Option<OtherListener> {
    let What::OtherListener { address, queue, capacity, drops, new_client } = what else { return None };
    let port = address.rsplit(':').next().and_then(|port| port.parse().ok())?;
    let (queue, capacity, overflows, new_client) = (*queue, *capacity, *drops, *new_client);
    Some(OtherListener { address: address.clone(), port, queue, capacity, overflows, new_client })
}

/// A descriptor call other than accept, of a process that accepts, for which there was no number.
fn failed(run: &Run<'_>, event: &Event) -> Option<(Call, &'static str)> {
    let What::Call { pid, name, ret } = event.is else { return None };
    if name.accepts() || !run.tree.counts(pid) { None } else { Some((name, full(ret)?)) }
}

/// Why failures before clients left may not have been reported one by one; `None` where all were.
fn unsampled(run: &Run<'_>) -> Option<&'static str> {
    run.timeline.between(0, run.timeline.released_from()).iter().find_map(|e| match e.is {
        What::SamplingStopped => Some("so many calls failed that they were no longer reported one by one"),
        What::Lost { samples: 1.. } => Some("the observer lost samples"),
        _ => None,
    })
}

fn failed_calls(run: &Run<'_>) -> Vec<FailedCalls> {
    let (from, until) = (begins(run), run.timeline.released_from());
    let mut found: BTreeMap<Call, FailedCalls> = BTreeMap::new();
    for event in run.timeline.between(from, until) {
        if let Some((call, errno)) = failed(run, event) {
            found
                .entry(call)
                .or_insert_with(|| FailedCalls { call, errno: errno.to_owned(), count: 0, paths: Vec::new() })
                .count += 1;
        }
    }
    // Totals go on where single calls are no longer reported, and are read from time to time.
    let total = |call: Call, until: Nanos| {
        let totals = run.timeline.between(0, until).iter().rev();
        totals
            .filter_map(|e| {
                if let What::Failures { name, total } = e.is { (name == call).then_some(total) } else { None }
            })
            .next()
            .unwrap_or(0)
    };
    // And may be all that is known of a call.
    if let Some(first) = run.followed.first.filter(|_| unsampled(run).is_some()) {
        let calls = run
            .timeline
            .between(from, until)
            .iter()
            .filter_map(|e| if let What::Failures { name, .. } = e.is { Some(name) } else { None });
        let calls: BTreeSet<Call> = calls.filter(|call| !call.accepts()).collect();
        for call in calls.into_iter().filter(|call| total(*call, until) > total(*call, from)) {
            found.entry(call).or_insert_with(|| FailedCalls {
                call,
                errno: first.errno.to_owned(),
                count: 0,
                paths: Vec::new(),
            });
        }
    }
    for one in found.values_mut() {
        one.count = one.count.max(total(one.call, until).saturating_sub(total(one.call, from)));
        let paths = run.timeline.between(from, until).iter().filter_map(|e| match &e.is {
            What::FailedPath { name, path, .. } if *name == one.call => Some(path),
            _ => None,
        });
        for path in paths {
            if one.paths.len() < PATHS && !one.paths.contains(path) {
                one.paths.push(path.clone());
            }
        }
    }
    let mut all: Vec<FailedCalls> = found.into_values().collect();
    all.sort_by_key(|one| (std::cmp::Reverse(one.count), one.call));
    all
}

/// Failures that have explained no reply yet, and replies that no failure has explained.
#[derive(Default)]
struct Matching {
    failures: VecDeque<(Nanos, Call, &'static str)>,
    replies: VecDeque<(Nanos, SeenAs, String)>,
    /// Failures of each call that were reported one by one; and those beyond that the totals told of.
    single: HashMap<Call, u64>,
    further: HashMap<Call, u64>,
    errno: HashMap<Call, &'static str>,
    /// Of the first failure of all, for a call of which none was reported.
    first: Option<&'static str>,
    seen: BTreeMap<(SeenAs, Call, &'static str, String), u64>,
}

impl Matching {
    fn failed(&mut self, at: Nanos, call: Call, errno: &'static str) {
        self.errno.insert(call, errno);
        self.failures.push_back((at, call, errno));
    }

    /// A total that was read when failures were no longer reported one by one: what it is more than those explains what came just before.
    fn total(&mut self, at: Nanos, call: Call, total: u64) {
        let Some(errno) = self.errno.get(&call).copied().or(self.first) else { return };
        let single = self.single.get(&call).copied().unwrap_or(0);
        let further = total.saturating_sub(single);
        let known = self.further.insert(call, further).unwrap_or(0);
        while self.replies.front().is_some_and(|reply| reply.0 < at.saturating_sub(CONSEQUENCE)) {
            self.replies.pop_front();
        }
        for _ in known..further {
            match self.replies.pop_front() {
                Some((_, seen_as, reply)) => self.count(seen_as, call, errno, reply),
                // Its reply may be on its way.
                None if self.failures.len() < FURTHER => self.failures.push_back((at, call, errno)),
                None => break,
            }
        }
    }

    fn replied(&mut self, at: Nanos, seen_as: SeenAs, reply: &str) {
        let reply = reply.trim().chars().take(REPLY).collect();
        while self.failures.front().is_some_and(|failure| failure.0 < at.saturating_sub(CONSEQUENCE)) {
            self.failures.pop_front();
        }
        match self.failures.pop_front() {
            Some((_, call, errno)) => self.count(seen_as, call, errno, reply),
            None => self.replies.push_back((at, seen_as, reply)),
        }
    }

    fn count(&mut self, seen_as: SeenAs, call: Call, errno: &'static str, reply: String) {
        *self.seen.entry((seen_as, call, errno, reply)).or_default() += 1;
    }

    /// What is left where failures that made no reply are not too many.
    fn named(mut self) -> impl Iterator<Item = Disguise> {
        let mut replies: HashMap<Call, u64> = HashMap::new();
        self.seen.iter().for_each(|((_, call, ..), count)| *replies.entry(*call).or_default() += count);
        let all = |call: Call| {
            [&self.single, &self.further]
                .iter()
                .filter_map(|of| of.get(&call))
                .fold(0u64, |sum, n| sum.saturating_add(*n))
        };
        self.seen.retain(|(_, call, ..), _| all(*call) <= TRIES_A_REPLY * replies[call]);
        self.seen.into_iter().map(|((seen_as, call, errno, reply), count)| Disguise {
            call,
            errno: errno.into(),
            seen_as,
            reply,
            count,
        })
    }
}

fn disguise(run: &Run<'_>, m: &Measured) -> Vec<Disguise> {
    let (from, until) = (run.timeline.from(Phase::Ramp), run.timeline.released_from());
    // Who dismisses clients for want of a number for them does what it is for; that has a name already.
    let turns_away = matches!(m.saturation.policy, Some(Policy::Sheds | Policy::LimitsItself));
    let mut matching = Matching { first: run.followed.first.map(|first| first.errno), ..Matching::default() };
    let mut over: HashSet<(&str, u32)> = HashSet::new();
    // A held client that was asked again, and told an error or closed, ends as a client, too: that is the same end.
    let mut told: VecDeque<Nanos> = VecDeque::new();
    let exits = exits(run);
    let stopped =
        run.timeline.events.iter().find(|e| e.is == What::SamplingStopped).map_or(Nanos::MAX, |e| e.at);
    // What it says also when nothing had failed is no sign of a failure: a rule of its own, such as sshd's MaxStartups.
    let (mut failing, mut usual) = (false, HashSet::new());
    // Who had its answer a while ago, and has asked nothing since, is closed for being idle.
    let mut answered: HashMap<(&str, u32), Nanos> = HashMap::new();
    for event in run.timeline.between(0, until) {
        if let What::Call { name, ret, .. } = event.is
            && full(ret).is_some()
        {
            *matching.single.entry(name).or_default() += 1;
            failing = true;
        }
        if event.at < from {
            continue;
        }
        if let Some((call, errno)) = failed(run, event) {
            matching.failed(event.at, call, errno);
            continue;
        }
        let (seen_as, reply) = match &event.is {
            What::Failures { name, total } if event.at >= stopped && !name.accepts() => {
                matching.total(event.at, *name, *total);
                continue;
            }
            What::Client { workload, id, state: Client::Served } => {
                answered.insert((workload, *id), event.at);
                continue;
            }
            What::Client { workload, id, state: Client::ErrorReply(words) }
                if over.insert((workload, *id)) =>
            {
                (SeenAs::ErrorReply, words.as_str())
            }
            What::Client { workload, id, state: Client::Closed } if over.insert((workload, *id)) => {
                (SeenAs::Closed, "")
            }
            What::Probe { label, outcome, detail, .. } if label != "dialogue" => match outcome {
                Outcome::ErrorReply => (SeenAs::ErrorReply, detail.as_str()),
                Outcome::Served | Outcome::Closed if is_error(detail) => {
                    (SeenAs::ErrorReply, detail.split(',').next().unwrap_or_default())
                }
                Outcome::Closed => (SeenAs::Closed, ""),
                _ => continue,
            },
            _ => continue,
        };
        let past = event.at.saturating_sub(CONSEQUENCE);
        told.retain(|&at| at >= past);
        let again = matches!(event.is, What::Client { .. }) && told.pop_front().is_some();
        // Its connections are closed a moment before a process is seen to exit.
        let with_it =
            exits.iter().any(|(exit, _)| (past..event.at.saturating_add(CONSEQUENCE)).contains(exit));
        let idle = match &event.is {
            What::Client { workload, id, .. } => {
                answered.get(&(workload.as_str(), *id)).is_some_and(|&at| at < past)
            }
            _ => false,
        };
        if seen_as == SeenAs::Closed && (turns_away || again || with_it || idle) {
            continue;
        }
        if seen_as == SeenAs::ErrorReply && (usual.contains(reply) || !failing && usual.insert(reply)) {
            continue;
        }
        matching.replied(event.at, seen_as, reply);
        if matches!(&event.is, What::Probe { label, outcome, .. } if label == "held" && *outcome != Outcome::Served)
        {
            told.push_back(event.at);
        }
    }
    let mut all: Vec<Disguise> = matching.named().chain(exits.into_iter().map(|(_, exit)| exit)).collect();
    all.sort_by_key(|one| std::cmp::Reverse(one.count));
    all
}

/// Whether an answer that ended no connection by itself was an error all the same: `status 404`.
fn is_error(detail: &str) -> bool {
    let status = detail.strip_prefix("status ").and_then(|rest| rest.get(..3)?.parse::<u16>().ok());
    status.is_some_and(|status| status >= 400)
}

/// Processes that exited after such a failure, the last of their failing calls, and held connections; and when.
fn exits(run: &Run<'_>) -> Vec<(Nanos, Disguise)> {
    let exited = |table: &Table| table.exited.filter(|(_, held)| *held > 0);
    let mut last: HashMap<Pid, (Nanos, Call, &'static str)> = HashMap::new();
    if run.followed.tables.values().any(|table| exited(table).is_some()) {
        for event in &run.timeline.events {
            if let What::Call { pid, name, ret } = event.is
                && let Some(errno) = full(ret)
                && run.followed.tables.get(&pid).and_then(exited).is_some_and(|(at, _)| event.at <= at)
            {
                last.insert(pid, (event.at, name, errno));
            }
        }
    }
    let exit = |(pid, table): (&Pid, &Table)| {
        let (at, held) = exited(table)?;
        let (_, call, errno) =
            last.get(pid).copied().filter(|(failed, ..)| *failed >= at.saturating_sub(CONSEQUENCE))?;
        let exit =
            Disguise { call, errno: errno.into(), seen_as: SeenAs::Exit, reply: String::new(), count: held };
        (!call.accepts()).then_some((at, exit))
    };
    run.followed.tables.iter().filter_map(exit).collect()
}
