//! Follows each process's descriptor numbers through the calls: which connections it holds, what else it opened, and
//! what it held at the moments that matter. One pass over the log, in time linear to it.

use super::clients::DISMISSED_WITHIN;
use super::numbers::Numbers;
use super::timeline::Timeline;
use super::tree::{Failed, Tree, full};
use crate::event::{Call, Change, Nanos, Phase, Pid, What};
use std::collections::{BTreeMap, HashMap, HashSet};

/// Failing calls whose times are kept; totals come from the counters.
pub(super) const KEPT_FAILURES: usize = 20_000;

/// One process's descriptors since it was at rest.
#[derive(Default)]
pub(super) struct Table {
    /// Numbers of connections; and of those that the server does not close again at once.
    held: u64,
    kept: u64,
    others: HashSet<i64>,
    /// Numbers open at rest, and how many of them were closed since.
    rest: HashSet<i64>,
    rest_gone: u64,
    /// Made by calls that return no number, `pipe` and `socketpair`, and not closed since.
    unnumbered: u64,
    /// Accepts that succeeded, and those of its connections that it closed, up to its first failure.
    pub accepts: u64,
    /// Connections held before its first failure.
    pub before_failure: Option<(Nanos, u64)>,
    /// The most held since its first failure, or since the ramp's end.
    pub most_after: u64,
    /// Connections that stay, held when the ramp ended.
    pub at_ramp_end: u64,
    /// When it exited, and what it held then.
    pub exited: Option<(Nanos, u64)>,
    /// Since its last accept it has only closed connections: from when on, and how many it held then.
    emptied: Option<(Nanos, u64)>,
}

impl Table {
    /// The number is something else from now on; whether it was known.
    fn forget(&mut self, fd: i64) -> bool {
        let rest = self.rest.remove(&fd);
        self.rest_gone += u64::from(rest);
        self.others.remove(&fd) || rest
    }

    /// Closes a number that is no connection's. One that no call returned is a pipe's or a socket pair's.
    fn close(&mut self, fd: i64) {
        if !self.forget(fd) {
            self.unnumbered = self.unnumbered.saturating_sub(1);
        }
    }

    /// Descriptors more than at rest that are no connections.
    fn others(&self) -> i64 {
        self.others.len() as i64 + self.unnumbered as i64 - self.rest_gone as i64
    }

    fn empty(&mut self) {
        self.others.clear();
        self.rest.clear();
        (self.unnumbered, self.rest_gone) = (0, 0);
    }
}

/// The descriptor count of `/proc` beside what the calls say, at one moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Both {
    pub pid: Pid,
    pub descriptors: u64,
    pub held: u64,
    /// Opened since rest by calls that accept nothing and not closed, less those of rest that were closed.
    pub others: i64,
}

/// What the pass found.
#[derive(Default)]
pub(super) struct Followed {
    pub tables: BTreeMap<Pid, Table>,
    /// The first failure at or after the ramp.
    pub first: Option<Failed>,
    /// Connections held by the failing process just before it.
    pub accepted: u64,
    /// Connections held by the whole subject just before it.
    pub held_in_all: u64,
    /// Descriptors more than at rest that the failing process had open just before it and that are no connections.
    pub others: i64,
    /// Accepts of the failing process that succeeded before it.
    pub accepts_before: u64,
    /// The first failure before the ramp, and how many came there.
    pub early: Option<(Failed, u64)>,
    /// Over all processes: the most that stayed, from the ramp's end to the release.
    pub kept_in_all: u64,
    /// Over all processes: the most held from the ramp's end on, under the limits that it began with; and under whatever limits.
    pub most_in_all: u64,
    pub most_ever: u64,
    /// At the first sample after the first failure, else at the last before the probes.
    pub at_ceiling: Option<Both>,
    /// At the last sample before the probes, whatever failed when.
    pub at_watch: Option<Both>,
    /// Where `/proc` saw the most.
    pub at_most: Option<Both>,
    /// Failing calls of the failing process up to the release.
    pub failures: Vec<(Nanos, Call)>,
    /// Connections taken after the first failure and closed again within a second, or at once.
    pub dismissed: u64,
    pub shed: u64,
    /// Connections that any process closed again within a second, at any time before clients left.
    pub turned_away: u64,
    /// Connections held at the first failure that the failing process closed before any client was told to leave.
    pub held_closed: u64,
    /// A failing call of the failing process after the release began: the last.
    pub failed_later: Option<Nanos>,
    /// Every accept that succeeded.
    pub accepts: Vec<Nanos>,
    /// Connections that only processes had which accept none themselves, when the ramp ended, and how many processes those were.
    pub handed_over: (u64, u64),
    /// Whether any call of the subject was seen at all since it was at rest.
    pub calls_seen: bool,
}

/// When each process created or closed a descriptor, and when it exited.
struct Changes {
    /// And whether it was a close, which is seen as it begins.
    calls: HashMap<Pid, Vec<(Nanos, bool)>>,
    exits: HashMap<Pid, Nanos>,
}

impl Changes {
    /// A count and the calls around it may be this much apart: the sampler can be preempted between reading and noting.
    const APART: Nanos = 2_000_000;
    /// A close is seen before it is done, and a traced process may be stopped between the two for as long as its tracer does not run.
    const CLOSING: Nanos = 100_000_000;
    /// An interpreter takes this long to come to its end on a busy machine.
    const TEARDOWN: Nanos = 2_000_000_000;
    /// Closing tens of thousands of descriptors at exit takes this long on a busy machine.
    const DYING: Nanos = 100_000_000;

    fn of(timeline: &Timeline<'_>) -> Self {
        let mut changes = Changes { calls: HashMap::new(), exits: HashMap::new() };
        for event in &timeline.events {
            match event.is {
                What::Call { pid, ret: 0.., .. } => {
                    changes.calls.entry(pid).or_default().push((event.at, false))
                }
                What::Close { pid, .. } => changes.calls.entry(pid).or_default().push((event.at, true)),
                What::Process { pid, change: Change::Exit, .. } | What::Exited { pid, .. } => {
                    changes.exits.entry(pid).or_insert(event.at);
                }
                _ => {}
            }
        }
        changes
    }

    /// Whether the process was about to exit: the kernel closes its descriptors without a call, and the exit is seen after that.
    fn dying(&self, pid: Pid, at: Nanos) -> bool {
        self.exits.get(&pid).is_some_and(|&exit| exit < at.saturating_add(Self::DYING))
    }

    /// Whether the process changed nothing around this moment.
    fn still(&self, pid: Pid, at: Nanos) -> bool {
        let Some(times) = self.calls.get(&pid) else { return true };
        let from = times.partition_point(|&(t, _)| t < at.saturating_sub(Self::APART));
        let closing = from
            .checked_sub(1)
            .is_some_and(|last| times[last].1 && times[last].0.saturating_add(Self::CLOSING) > at);
        !closing && times.get(from).is_none_or(|&(next, _)| next > at.saturating_add(Self::APART))
    }
}

/// Closed within this time of its accept, a connection was not even looked at: what sheds does nothing else meanwhile.
const SHED_WITHIN: Nanos = 250_000_000;

/// Accepts, by their place in the timeline, whose connections the server closed again soon, and how soon.
fn dismissals(timeline: &Timeline<'_>) -> HashMap<usize, Nanos> {
    let released = timeline.released_from();
    let mut numbers = Numbers::default();
    let mut dismissed = HashMap::new();
    for (place, event) in timeline.events.iter().enumerate() {
        if event.at >= released {
            break;
        }
        let steps = numbers.follow(place, &event.is);
        // What exits has dismissed nobody.
        let closes = matches!(event.is, What::Close { .. });
        let gone = steps.iter().filter(|step| closes && !step.more && step.edge);
        let gone = gone.map(|step| (step.accept, event.at - timeline.events[step.accept].at));
        dismissed.extend(gone.filter(|&(_, held)| held < DISMISSED_WITHIN));
    }
    dismissed
}

/// Follows the descriptors of every process of the subject.
pub(super) fn follow(timeline: &Timeline<'_>, tree: &Tree) -> Followed {
    let dismissed = dismissals(timeline);
    let turned_away = dismissed.len() as u64;
    let (ramp, ramp_ends) = (timeline.from(Phase::Ramp), timeline.from(Phase::Saturate));
    let (watched, released, stop) =
        (timeline.watched_until(), timeline.released_from(), timeline.from(Phase::Again));
    // From then on a client of another port may be let in.
    let asked = timeline
        .events
        .iter()
        .find(|e| matches!(e.is, What::OtherListener { .. }))
        .map_or(Nanos::MAX, |e| e.at);
    let moved = timeline.start(Phase::Moved).unwrap_or(Nanos::MAX);
    let (mut found, mut still_found) = (Followed { turned_away, ..Followed::default() }, false);
    let changes = Changes::of(timeline);
    let mut numbers = Numbers::default();
    let (mut held, mut kept) = (0u64, 0u64);
    let mut ramp_over = false;
    for (place, event) in timeline.events.iter().enumerate() {
        if !ramp_over && event.at >= ramp_ends {
            ramp_over = true;
            found.handed_over = numbers.handed_over();
            end_ramp(&mut found, kept);
        }
        let forked = matches!(event.is, What::Process { change: Change::Fork, .. });
        // A process that was forked to serve a connection accepts nothing itself.
        let pid = pid_of(&event.is).filter(|pid| tree.counts(*pid) || found.tables.contains_key(pid));
        let held_before = pid.and_then(|pid| found.tables.get(&pid)).map_or(0, |table| table.held);
        let closes = matches!(event.is, What::Close { .. });
        let emptied = pid.and_then(|pid| found.tables.get(&pid)).and_then(|table| table.emptied);
        let steps = if forked || pid.is_some() { numbers.follow(place, &event.is) } else { Vec::new() };
        let of_connection = !steps.is_empty();
        for step in steps {
            let stays = u64::from(!dismissed.contains_key(&step.accept));
            let table = found.tables.entry(step.pid).or_default();
            let edge = u64::from(step.edge);
            if step.more {
                table.emptied = None;
                (table.held, table.kept) = (table.held + 1, table.kept + stays);
                (held, kept) = (held + edge, kept + edge * stays);
            } else {
                table.emptied.get_or_insert((event.at, table.held));
                (table.held, table.kept) = (table.held - 1, table.kept - stays);
                (held, kept) = (held - edge, kept - edge * stays);
                let taken = timeline.events[step.accept].at;
                let of_first = found.first.is_some_and(|f| f.pid == step.pid && taken < f.at);
                let was_held = event.at - taken >= SHED_WITHIN && closes && event.at < released;
                found.held_closed += edge * u64::from(of_first && was_held);
            }
        }
        let Some(pid) = pid else { continue };
        let table = found.tables.entry(pid).or_default();
        match &event.is {
            What::Baseline { inventory, .. } if event.at < ramp => {
                table.empty();
                table.rest.extend(inventory.iter().map(|d| i64::from(d.fd)));
            }
            What::Close { .. } if of_connection => {}
            What::Close { fd, .. } => table.close((*fd).into()),
            What::Process { change: Change::Exec, .. } => {}
            What::Process { .. } | What::Exited { .. } => {
                if event.at < released {
                    // An interpreter that ends closes what it holds one by one.
                    let emptied =
                        emptied.filter(|(since, _)| event.at.saturating_sub(*since) < Changes::TEARDOWN);
                    table.exited.get_or_insert((event.at, emptied.map_or(held_before, |(_, held)| held)));
                }
                table.empty();
            }
            &What::Call { name, ret, .. } if ret >= 0 => {
                found.calls_seen = true;
                if name.accepts() {
                    let stays = !dismissed.contains_key(&place);
                    table.forget(ret);
                    table.accepts += 1;
                    found.accepts.push(event.at);
                    let after_failure =
                        event.at < asked && found.first.is_some_and(|f| f.pid == pid && f.at <= event.at);
                    found.dismissed += u64::from(!stays && after_failure);
                    let at_once = dismissed.get(&place).is_some_and(|&held| held < SHED_WITHIN);
                    found.shed += u64::from(at_once && after_failure);
                } else if name.returns_descriptor() {
                    table.forget(ret);
                    table.others.insert(ret);
                } else if name != Call::Fcntl {
                    table.unnumbered += 2;
                }
            }
            &What::Call { name, ret, .. } => {
                let Some(errno) = full(ret).filter(|_| tree.counts(pid)) else { continue };
                let failed = Failed { pid, at: event.at, call: name, errno };
                found.calls_seen = true;
                // Under whatever limits.
                if found.first.is_some_and(|f| f.pid == pid) && (released..stop).contains(&event.at) {
                    found.failed_later = Some(event.at);
                }
                if event.at < ramp {
                    found.early.get_or_insert((failed, 0)).1 += 1;
                } else if event.at < stop.min(moved) {
                    if table.before_failure.is_none() {
                        table.before_failure = Some((event.at, table.held));
                        table.most_after = table.held;
                    }
                    if found.first.is_none() {
                        found.first = Some(failed);
                        // What it handed over to processes of their own it has accepted, too.
                        let accepted = table.held + numbers.handed_over().0;
                        (found.accepted, found.held_in_all, found.accepts_before) =
                            (accepted, held, table.accepts);
                        found.others = table.others();
                        found.at_ceiling = None;
                    }
                    let of_first = found.first.is_some_and(|f| f.pid == pid);
                    if of_first && event.at < released && found.failures.len() < KEPT_FAILURES {
                        found.failures.push((event.at, name));
                    }
                }
            }
            &What::Sample { descriptors, .. } if !changes.dying(pid, event.at) => {
                let both = Both { pid, descriptors, held: table.held, others: table.others() };
                if event.at < watched && tree.main == Some(pid) {
                    found.at_watch = Some(both);
                }
                match found.first {
                    // A count taken while descriptors come and go may belong to the moment before or after: a still one is better.
                    Some(first)
                        if first.pid == pid
                            && (found.at_ceiling.is_none() || (!still_found && event.at < released)) =>
                    {
                        let still = changes.still(pid, event.at);
                        if still || found.at_ceiling.is_none() {
                            (found.at_ceiling, still_found) = (Some(both), still);
                        }
                    }
                    None if event.at < watched && tree.main == Some(pid) => found.at_ceiling = Some(both),
                    _ => {}
                }
                if event.at < released && found.at_most.is_none_or(|most| most.descriptors < descriptors) {
                    found.at_most = Some(both);
                }
            }
            _ => {}
        }
        if (table.before_failure.is_some() || ramp_over) && event.at < moved {
            table.most_after = table.most_after.max(table.kept);
        }
        if ramp_over {
            found.most_ever = found.most_ever.max(kept);
            if event.at < moved {
                found.most_in_all = found.most_in_all.max(kept);
            }
            if event.at < watched {
                found.kept_in_all = found.kept_in_all.max(kept);
            }
        }
    }
    if !ramp_over {
        end_ramp(&mut found, kept);
    }
    found
}

fn end_ramp(found: &mut Followed, kept: u64) {
    found.kept_in_all = kept;
    (found.most_in_all, found.most_ever) = (kept, kept);
    for table in found.tables.values_mut() {
        table.at_ramp_end = table.kept;
        table.most_after = table.most_after.max(table.kept);
    }
}

/// The process that an event changes or counts.
fn pid_of(what: &What) -> Option<Pid> {
    match what {
        What::Call { pid, .. }
        | What::Close { pid, .. }
        | What::Sample { pid, .. }
        | What::Baseline { pid, .. }
        | What::Exited { pid, .. }
        | What::Process { pid, change: Change::Exit | Change::Exec, .. } => Some(*pid),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Event, Log};

    #[test]
    fn a_close_that_was_begun_may_not_be_done_yet() {
        const MS: Nanos = 1_000_000;
        let calls = [
            (10 * MS, What::Call { pid: 7, name: Call::Accept4, ret: 5 }),
            (20 * MS, What::Close { pid: 7, fd: 5 }),
        ];
        let log =
            Log { events: calls.into_iter().map(|(at, is)| Event { at, is }).collect(), ..Log::default() };
        let changes = Changes::of(&Timeline::new(&log));
        assert!(changes.still(7, 14 * MS), "nothing happens between the accept and the close");
        assert!(!changes.still(7, 19 * MS) && !changes.still(7, 21 * MS), "too near");
        assert!(!changes.still(7, 40 * MS), "the traced process may be stopped where its close begins");
        assert!(changes.still(7, 200 * MS));
    }
}
