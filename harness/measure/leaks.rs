//! Descriptors that stay open when all clients have left, and whether they grow when a few more clients come
//! and leave. If they grow, they leak, by kind and detail; if not, they were opened once, unless they are
//! connections of clients that have left. Descriptors that the subject opens by itself are neither.

use super::baseline::{Baseline, Growth};
use super::facts::{End, Facts, Sort};
use super::known::{Known, Why};
use super::units::{milli, seconds};
use crate::event::{Descriptor, DescriptorKind, Ended, Nanos, Open, Phase, Pid};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// The growth with nobody connected is known to within this share, and so many descriptors.
const BY_ITSELF_WITHIN: f64 = 0.25;
const BY_ITSELF_WITHIN_N: f64 = 2.0;

/// Sorts that are listed where no client came again: each file may be a sort of its own.
const LEFT: usize = 16;

/// One sort of descriptors that clients leave open.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct Leak {
    /// The event that leaves them: `connection`, or `call`.
    pub per: &'static str,
    /// As in an inventory: `file`, `tcp`, `pipe` …; `unknown` where there were too many to name.
    pub kind: DescriptorKind,
    /// Without what differs from one to the next: a path, the folder of many, or the state of a socket.
    pub detail: String,
    /// The address to which more than half of them lead; `None` if they are no connected TCP sockets, or each
    /// leads elsewhere.
    pub leads_to: Option<LeadsTo>,
    /// Processes in which they stay, the one with the most first.
    pub processes: Vec<Pid>,
    /// Open after all clients of the load had left, more than at rest.
    pub open: u64,
    /// Descriptors that each further client left open.
    pub slope: Known<f64>,
    /// The least and the most of that, in either half of the second round.
    pub interval: Known<[f64; 2]>,
}

impl Leak {
    /// So many of a sort, in these processes; `why`: the reason why nobody knows how they grow.
    fn of(
        per: &'static str,
        sort: &Sort,
        leads_to: Option<LeadsTo>,
        processes: &BTreeMap<Pid, i64>,
        open: u64,
        why: Why,
    ) -> Self {
        Leak {
            per,
            kind: sort.kind,
            detail: sort.detail.clone(),
            leads_to,
            processes: most_first(processes),
            open,
            slope: Known::Unknown(why.clone()),
            interval: Known::Unknown(why),
        }
    }
}

/// The end that sockets share.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct LeadsTo {
    /// Address and port: the other side's where the subject connected, its own where it accepted.
    pub address: String,
    /// Whether the subject accepted them.
    pub accepted: bool,
    /// Share of the sort's sockets, more than 0.5.
    pub share: f64,
}

/// Clients that came again after all had left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct SecondRound {
    /// They connected, were let in and left.
    pub clients: u64,
}

/// The descriptors that stay open.
#[derive(Default)]
pub(super) struct StaysOpen {
    /// More than at rest, over all processes that are alive and were there at rest; in the end also those
    /// that are new.
    pub more: Option<i64>,
    /// The part of them that grew with further clients; `None` where none came.
    pub leaked: Option<u64>,
    /// The part of them that did not grow.
    pub once: Option<u64>,
    pub leaks: Vec<Leak>,
    /// The sorts of what is open more than at rest, where no client came again; no leaks yet.
    pub left: Vec<Leak>,
    pub second_round: Option<SecondRound>,
}

/// The number of descriptors of each process at rest, and those that were listed.
type AtRest<'a> = BTreeMap<Pid, (u64, &'a [Descriptor])>;

/// How many of each sort, and in which processes.
type Counts = BTreeMap<Sort, (i64, BTreeMap<Pid, i64>)>;

pub(super) fn stays_open(facts: &Facts<'_>, baseline: &Baseline) -> StaysOpen {
    let since = facts.phases.last(Phase::Settle).unwrap_or(facts.phases.from(Phase::ReleaseAll));
    let read: Vec<_> = facts.readings.open.iter().filter(|(at, _)| *at >= since).copied().collect();
    let again = facts.phases.second_round();
    let begun = again.map_or(read.len(), |again| read.partition_point(|(at, _)| *at < again));
    let Some(&(at, open)) = begun.checked_sub(1).and_then(|last| read.get(last)) else {
        return StaysOpen::default();
    };
    let rests = with_successors(facts, at_rest(facts, facts.phases.from(Phase::Ramp)), open);
    let calls = facts.calls.0.iter().any(|made| made.counts && made.to_subject);
    let left = Left { facts, since, rests, at, open, calls, growth: baseline.growth.as_ref() };
    match read[begun..] {
        [second, third] => left.came_again(second, third),
        _ => left.nobody_came(),
    }
}

/// What is open after all have left.
struct Left<'a> {
    facts: &'a Facts<'a>,
    since: Nanos,
    rests: AtRest<'a>,
    /// What was open when it was last read before clients came again.
    at: Nanos,
    open: &'a [Open],
    /// Whether its clients make calls.
    calls: bool,
    growth: Option<&'a Growth>,
}

impl Left<'_> {
    /// A full table lets nobody come again: then the first few calls and all later ones are the halves.
    fn nobody_came(&self) -> StaysOpen {
        let known = self.open.iter().filter(|open| self.rests.contains_key(&open.pid));
        let more = Some(self.rest_of(known.map(|open| self.more(open)).sum()));
        let ramp = self.facts.phases.from(Phase::Ramp);
        let mut read = self.facts.readings.open.iter();
        let few = read.find(|(read, _)| self.calls && (ramp..self.since).contains(read));
        let leaks = few.map_or(Vec::new(), |&(few_at, few)| {
            self.halves([&[], few, self.open], [ramp, few_at, self.at], false).leaks()
        });
        let left = if leaks.is_empty() { sorts_left(&self.rests, self.open) } else { Vec::new() };
        StaysOpen { more, left, leaks, ..StaysOpen::default() }
    }

    /// Clients came again in two halves; what was open after each.
    fn came_again(&self, second: (Nanos, &[Open]), third: (Nanos, &[Open])) -> StaysOpen {
        let grows = |phase| self.facts.phases.why_ended_last(phase) == Some(Ended::Growing);
        let by_itself = [Phase::Settle, Phase::SecondRound].into_iter().any(grows);
        let halves = self.halves([self.open, second.1, third.1], [self.at, second.0, third.0], by_itself);
        let mut leaks = halves.leaks();
        leaks.extend(halves.kept(&leaks, self.facts));
        let more = self.rest_of(self.open.iter().map(|open| self.more(open)).sum());
        let leaked = leaks.iter().map(|leak| leak.open).sum();
        let once = u64::try_from(more).unwrap_or(0).saturating_sub(leaked);
        let second_round = Some(SecondRound { clients: halves.clients.iter().sum() });
        let left = Vec::new();
        StaysOpen { more: Some(more), leaked: Some(leaked), once: Some(once), leaks, left, second_round }
    }

    fn halves<'s>(&'s self, read: [&'s [Open]; 3], at: [Nanos; 3], by_itself: bool) -> Halves<'s> {
        let per = if self.calls { "call" } else { "connection" };
        let clients = [self.came(at[0], at[1]), self.came(at[1], at[2])];
        Halves { rests: &self.rests, read, at, clients, growth: self.growth, by_itself, per }
    }

    /// Clients that connected, or calls that were answered, in this window.
    fn came(&self, from: Nanos, until: Nanos) -> u64 {
        let connected = self.facts.clients.all.iter().filter_map(|client| client.connected);
        let made = self.facts.calls.0.iter().filter(|made| made.counts && made.to_subject);
        let answered = made.flat_map(|made| &made.ended).filter(|call| call.answered()).map(|call| call.at);
        let all = connected.filter(|_| !self.calls).chain(answered);
        all.filter(|at| (from..until).contains(at)).count() as u64
    }

    /// How many more a process has open than at rest. A number that a thread blocked in accept has reserved
    /// is no descriptor: those that have a name are counted, where they were read.
    fn more(&self, open: &Open) -> i64 {
        let Some((rest, named)) = self.rests.get(&open.pid).map(|rest| (rest.0, rest.1.len())) else {
            return open.descriptors.saturating_sub(inherited(&self.rests, open)) as i64;
        };
        match (named, open.inventory.len()) {
            (0, _) | (_, 0) => open.descriptors as i64 - rest as i64,
            (rest, now) => now as i64 - rest as i64,
        }
    }

    /// How many of these remain without those that it opened by itself.
    fn rest_of(&self, more: i64) -> i64 {
        let since = seconds(self.at.saturating_sub(self.facts.phases.from(Phase::Ramp)));
        let by_itself = self.growth.map_or(0.0, |growth| growth.per_s * since);
        let remains = more as f64 - by_itself;
        let explained = by_itself > 0.0 && remains.abs() <= by_itself * BY_ITSELF_WITHIN + BY_ITSELF_WITHIN_N;
        // A full table stops what goes on by itself.
        if explained || (by_itself > 0.0 && remains < 0.0) { 0 } else { remains.round() as i64 }
    }
}

/// Descriptors that a new process shares with one that was there at rest: both were forked from the same
/// parent, so one more worker of a pool opens nothing by that.
fn inherited(rests: &AtRest<'_>, new: &Open) -> u64 {
    let of_each = |inventory: &[Descriptor]| {
        let mut counts: BTreeMap<Sort, u64> = BTreeMap::new();
        inventory.iter().for_each(|descriptor| *counts.entry(Sort::of(descriptor)).or_default() += 1);
        counts
    };
    let at_rest: Vec<_> = rests.values().map(|(_, inventory)| of_each(inventory)).collect();
    let most = |sort: &Sort| at_rest.iter().filter_map(|counts| counts.get(sort)).max().copied().unwrap_or(0);
    of_each(&new.inventory).iter().map(|(sort, count)| most(sort).min(*count)).sum()
}

/// The descriptors of each process at rest, counted and named.
fn at_rest<'a>(facts: &Facts<'a>, ramp: Nanos) -> AtRest<'a> {
    let others = facts.readings.open.iter().filter(|(at, _)| *at < ramp).flat_map(|(_, open)| open.iter());
    let others = others.map(|open| (open.pid, (open.descriptors, open.inventory.as_slice())));
    let own = facts.readings.rests.iter().filter(|rest| rest.at <= ramp);
    others.chain(own.map(|rest| (rest.pid, (rest.descriptors, rest.inventory)))).collect()
}

/// The same; a worker that took the place of another gets that one's descriptors at rest. The other one
/// accepted, too, and has exited; both have the same parent.
fn with_successors<'a>(facts: &Facts<'a>, rests: AtRest<'a>, open: &[Open]) -> AtRest<'a> {
    let accepts = |pid: Pid| facts.holdings.tables.get(&pid).is_some_and(|table| table.accepts > 0);
    let gone = |pid: &Pid| facts.holdings.exit_of(*pid).is_some() && accepts(*pid);
    let parents = &facts.readings.parents;
    let mut places: HashMap<Pid, Vec<Pid>> = HashMap::new();
    for place in rests.keys().rev().filter(|pid| gone(pid)) {
        parents.get(place).into_iter().for_each(|parent| places.entry(*parent).or_default().push(*place));
    }
    let mut all = rests;
    for pid in open.iter().map(|open| open.pid).filter(|pid| accepts(*pid)) {
        if !all.contains_key(&pid)
            && let Some(place) = parents.get(&pid).and_then(|parent| places.get_mut(parent)?.pop())
        {
            all.insert(pid, all[&place]);
        }
    }
    all
}

/// How much of what each of the first few calls left open each later one leaves, at least, where all of them
/// do.
const STEADY: f64 = 0.9;

/// The second round: the descriptors that were open before it and after each half, and the clients of each.
struct Halves<'a> {
    rests: &'a AtRest<'a>,
    read: [&'a [Open]; 3],
    at: [Nanos; 3],
    clients: [u64; 2],
    growth: Option<&'a Growth>,
    /// Whether the run saw it grow with nobody connected.
    by_itself: bool,
    per: &'static str,
}

impl Halves<'_> {
    /// Sorts that grew in both halves: first by name, then those with different names by their folder.
    fn leaks(&self) -> Vec<Leak> {
        // How fast it grows by itself is not known where that was not steady: then nothing is the clients'.
        if self.clients.contains(&0) || (self.by_itself && self.growth.is_none()) {
            return Vec::new();
        }
        let mut leaks = self.grown(&|descriptor| Some(Sort::of(descriptor)));
        let named: BTreeSet<Sort> =
            leaks.iter().map(|leak| Sort { kind: leak.kind, detail: leak.detail.clone() }).collect();
        leaks.extend(self.grown(&|descriptor| {
            let sort = Sort::of(descriptor);
            (!named.contains(&sort)).then(|| sort.wider())
        }));
        leaks.sort_by_key(|leak| std::cmp::Reverse(leak.open));
        leaks
    }

    /// Connections of clients that have left, of sorts that did not grow: nobody opens these once. Such a
    /// leak needs what only the load brings, such as so many clients at the same time. Not those of trial
    /// requests.
    fn kept(&self, grown: &[Leak], facts: &Facts<'_>) -> Vec<Leak> {
        let gone = |pid: Pid, descriptor: &Descriptor| match descriptor.connected() {
            Some(end) => end.accepted && end.waits_for_close(),
            // Of one that was reset the kernel does not know the ends any more. A server may close such a one
            // when the next client comes.
            None if descriptor.kind == DescriptorKind::Tcp => {
                let connection =
                    |at: Nanos| facts.holdings.numbers.get(&at)?.get(&(pid, descriptor.fd.into()));
                let [before, _, after] = self.at;
                connection(before).is_some() && connection(before) == connection(after)
            }
            None => false,
        };
        let of = |descriptor: &Descriptor| Some(Sort::of(descriptor));
        let tables = self.read.map(|open| {
            let table = |open: &Open| {
                let of_gone = open.inventory.iter().filter(|one| gone(open.pid, one)).cloned().collect();
                Open { inventory: of_gone, ..open.clone() }
            };
            open.iter().map(table).collect::<Vec<_>>()
        });
        let all = |open: &[Open]| {
            let some = open.iter().filter(|open| !open.inventory.is_empty());
            counted(some.map(|open| (open.pid, open.descriptors, open.inventory.as_slice())), &of)
        };
        let (first, last) = (all(&tables[0]), all(&tables[2]));
        // One that was closed as others came does not stay.
        let stays = |sort: &Sort| {
            let of_sort = |descriptor: &&Descriptor| of(descriptor).as_ref() == Some(sort);
            let there = |open: &Open, one: &Descriptor| {
                tables[0].iter().any(|before| before.pid == open.pid && before.inventory.contains(one))
            };
            let still = |open: &Open| {
                open.inventory.iter().filter(of_sort).filter(|one| there(open, one)).count() as u64
            };
            tables[2].iter().map(still).sum::<u64>()
        };
        let known =
            |sort: &Sort| grown.iter().any(|leak| leak.kind == sort.kind && leak.detail == sort.detail);
        let kept = first.iter().filter(|(sort, _)| !known(sort));
        let leak = |(sort, (count, processes)): (&Sort, &(i64, BTreeMap<Pid, i64>))| {
            let open = last.get(sort).map_or(0, |(last, _)| u64::try_from(*last.min(count)).unwrap_or(0));
            let open =
                open.min(stays(sort)).checked_sub(facts.clients.left_before).filter(|open| *open > 0)?;
            let leads_to = leads_to(&tables[2], sort, &of);
            Some(Leak::of(self.per, sort, leads_to, processes, open, Why::FurtherAddedNone))
        };
        kept.filter_map(leak).collect()
    }

    fn grown(&self, of: &dyn Fn(&Descriptor) -> Option<Sort>) -> Vec<Leak> {
        let alive: BTreeSet<Pid> = self.read[2].iter().map(|open| open.pid).collect();
        let counts = self.read.map(|open| {
            let tables = open.iter().filter(|open| alive.contains(&open.pid));
            counted(tables.map(|open| (open.pid, open.descriptors, open.inventory.as_slice())), of)
        });
        let rest = counted(self.rests.iter().map(|(pid, (count, inventory))| (*pid, *count, *inventory)), of);
        let [first, second, third] = counts;
        // Without a first reading it is that at rest, and what is open is what the last one has.
        let (first, last) =
            if self.read[0].is_empty() { (rest.clone(), third.clone()) } else { (first.clone(), first) };
        let counts = [first, second, third];
        let of_sort = |counts: &Counts, sort: &Sort| counts.get(sort).map_or(0, |(count, _)| *count);
        let grew: Vec<(&Sort, [f64; 2])> = counts[2]
            .keys()
            .map(|sort| {
                let [first, second, third] = [0, 1, 2].map(|i| of_sort(&counts[i], sort) as f64);
                (sort, [second - first, third - second])
            })
            .collect();
        let leak = |(sort, grew): (&Sort, [f64; 2])| {
            let open = u64::try_from(of_sort(&last, sort) - of_sort(&rest, sort)).unwrap_or(0);
            if grew.iter().any(|grew| *grew <= 0.0) || open == 0 {
                return None;
            }
            let each = |half: usize| grew[half] / self.clients[half] as f64;
            if self.read[0].is_empty() && each(1) < STEADY * each(0) {
                return None;
            }
            let slopes = [0, 1].map(|half| milli(each(half)));
            let slope = grew.iter().sum::<f64>() / self.clients.iter().sum::<u64>() as f64;
            let (leads_to, processes) = (leads_to(self.read[2], sort, of), &counts[2][sort].1);
            Some(Leak {
                slope: Known::Value(milli(slope)),
                interval: Known::Value([slopes[0].min(slopes[1]), slopes[0].max(slopes[1])]),
                ..Leak::of(self.per, sort, leads_to, processes, open, Why::NoSecondRound)
            })
        };
        self.without_its_own(grew).into_iter().filter_map(leak).collect()
    }

    /// The growth without the part that the subject opens by itself: that is taken from the sort whose growth
    /// is most like it.
    fn without_its_own<'s>(&self, mut grew: Vec<(&'s Sort, [f64; 2])>) -> Vec<(&'s Sort, [f64; 2])> {
        let Some(growth) = self.growth else { return grew };
        let own = [0, 1].map(|i| growth.per_s * seconds(self.at[i + 1].saturating_sub(self.at[i])));
        let off = |grew: &[f64; 2]| (grew.iter().sum::<f64>() - own.iter().sum::<f64>()).abs();
        if let Some((_, like)) = grew.iter_mut().min_by(|a, b| off(&a.1).total_cmp(&off(&b.1))) {
            *like = [0, 1].map(|i| {
                let remains = like[i] - own[i];
                if remains > own[i] * BY_ITSELF_WITHIN + BY_ITSELF_WITHIN_N { remains } else { 0.0 }
            });
        }
        grew
    }
}

/// Sorts with more open than at rest, in processes that were there then, the most first.
fn sorts_left(rests: &BTreeMap<Pid, (u64, &[Descriptor])>, open: &[Open]) -> Vec<Leak> {
    let of = |descriptor: &Descriptor| Some(Sort::of(descriptor));
    let rest = counted(rests.iter().map(|(pid, (count, inventory))| (*pid, *count, *inventory)), &of);
    let known = open.iter().filter(|open| rests.contains_key(&open.pid));
    let now = counted(known.map(|open| (open.pid, open.descriptors, open.inventory.as_slice())), &of);
    let more = |(sort, (count, processes)): (&Sort, &(i64, BTreeMap<Pid, i64>))| {
        let more = count - rest.get(sort).map_or(0, |(count, _)| *count);
        let more = u64::try_from(more).ok().filter(|more| *more > 0)?;
        Some(Leak::of("connection", sort, leads_to(open, sort, &of), processes, more, Why::NoSecondRound))
    };
    let mut left: Vec<Leak> = now.iter().filter_map(more).collect();
    left.sort_by_key(|leak| std::cmp::Reverse(leak.open));
    // One that took the place of another sort's is not more than at rest.
    let gone = |(sort, (count, _)): (&Sort, &(i64, BTreeMap<Pid, i64>))| {
        let open = now.get(sort).map_or(0, |(count, _)| *count);
        u64::try_from(count - open).unwrap_or(0)
    };
    let mut replaced: u64 = rest.iter().map(gone).sum();
    for leak in left.iter_mut().rev() {
        let instead = leak.open.min(replaced);
        (leak.open, replaced) = (leak.open - instead, replaced - instead);
    }
    left.retain(|leak| leak.open > 0);
    left.truncate(LEFT);
    left
}

fn most_first(processes: &BTreeMap<Pid, i64>) -> Vec<Pid> {
    let mut processes: Vec<(Pid, i64)> = processes.iter().map(|(pid, count)| (*pid, *count)).collect();
    processes.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    processes.into_iter().map(|(pid, _)| pid).collect()
}

/// How many of each sort there are.
fn counted<'a>(
    tables: impl Iterator<Item = (Pid, u64, &'a [Descriptor])>,
    of: &dyn Fn(&Descriptor) -> Option<Sort>,
) -> Counts {
    let mut counts = Counts::new();
    let mut add = |pid: Pid, sort: Sort, count: i64| {
        let (all, processes) = counts.entry(sort).or_default();
        *all += count;
        *processes.entry(pid).or_default() += count;
    };
    for (pid, count, inventory) in tables {
        if inventory.is_empty() && count > 0 {
            add(pid, Sort::unknown(), count as i64);
        }
        inventory.iter().filter_map(of).for_each(|sort| add(pid, sort, 1));
    }
    counts
}

/// The address to which more than half of a sort lead.
fn leads_to(open: &[Open], sort: &Sort, of: &dyn Fn(&Descriptor) -> Option<Sort>) -> Option<LeadsTo> {
    let all = open.iter().flat_map(|open| &open.inventory);
    let mut sockets = 0;
    let mut ends: BTreeMap<End, u64> = BTreeMap::new();
    for descriptor in all.filter(|descriptor| of(descriptor).as_ref() == Some(sort)) {
        sockets += 1;
        if let Some(end) = End::of(descriptor) {
            *ends.entry(end).or_default() += 1;
        }
    }
    let (End { address, accepted }, count) = ends.into_iter().max_by_key(|(_, count)| *count)?;
    (count * 2 > sockets).then(|| LeadsTo { address, accepted, share: milli(count as f64 / sockets as f64) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn descriptors(kinds: &[(DescriptorKind, usize)]) -> Vec<Descriptor> {
        let one = |kind: DescriptorKind| Descriptor { fd: 3, kind, detail: String::new() };
        kinds.iter().flat_map(|(kind, count)| std::iter::repeat_n(one(*kind), *count)).collect()
    }

    #[test]
    fn one_more_worker_of_a_pool_opens_what_no_other_has() {
        use DescriptorKind::{Device, File, TcpListen};
        let (rest, now) = (
            descriptors(&[(Device, 2), (TcpListen, 1)]),
            descriptors(&[(Device, 3), (TcpListen, 1), (File, 2)]),
        );
        let rests = BTreeMap::from([(100, (3, rest.as_slice()))]);
        let new = Open { pid: 101, descriptors: 6, inventory: now };
        assert_eq!(inherited(&rests, &new), 3);
    }

    #[test]
    fn one_that_took_the_place_of_another_is_not_more_than_at_rest() {
        use DescriptorKind::{Device, Directory, Tcp};
        let (rest, now) =
            (descriptors(&[(Device, 2)]), descriptors(&[(Device, 1), (Directory, 1), (Tcp, 5)]));
        let rests = BTreeMap::from([(100, (2, rest.as_slice()))]);
        let open = [Open { pid: 100, descriptors: 7, inventory: now }];
        let left = sorts_left(&rests, &open);
        let left: Vec<(DescriptorKind, u64)> = left.iter().map(|leak| (leak.kind, leak.open)).collect();
        assert_eq!(left, [(Tcp, 5)]);
    }
}
