//! Which process has which accepted connection under which numbers: forked processes share them, and a
//! connection lasts until its last number is closed. Told of every event in order; remembers nothing but what
//! is open.

use crate::event::{Call, Change, Event, Pid, What};
use rustc_hash::FxHashMap;
use std::collections::{HashMap, HashSet};

/// The last of the standard streams, which no exec closes.
pub(super) const STDERR: i64 = 2;

/// The numbers of all connections.
#[derive(Default)]
pub(super) struct Numbers {
    /// Process → number → connection, by its accept's place in the timeline; and whether a forked process
    /// made this number.
    of: FxHashMap<Pid, FxHashMap<i64, (usize, bool)>>,
    accepting: HashSet<Pid>,
    /// Where in the timeline a process that accepts none, or the one that it was forked from, made its last
    /// pair of pipes or sockets.
    pairs: HashMap<Pid, usize>,
    /// Connection → its numbers in all processes.
    counts: FxHashMap<usize, u64>,
}

/// A process has one number more, or fewer, for a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Step {
    /// The place in the timeline of the event that changes it.
    pub place: usize,
    pub pid: Pid,
    /// The connection.
    pub accept: usize,
    pub more: bool,
    /// It is its first, or was its last.
    pub edge: bool,
}

/// All the steps of a log, in order.
pub(crate) struct Steps(Vec<Step>);

impl Steps {
    pub fn of(events: &[&Event]) -> Self {
        let mut numbers = Numbers::default();
        let steps = events.iter().enumerate().flat_map(|(place, event)| numbers.follow(place, &event.is));
        Steps(steps.collect())
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Step> {
        self.0.iter()
    }

    /// For a walk through all events from the first on.
    pub(super) fn walk(&self) -> StepsLeft<'_> {
        StepsLeft(&self.0)
    }
}

/// The steps that a walk has not come to.
pub(super) struct StepsLeft<'a>(&'a [Step]);

impl<'a> StepsLeft<'a> {
    /// Those of the event at this place, the next one.
    pub fn of(&mut self, place: usize) -> &'a [Step] {
        let many = self.0.iter().take_while(|step| step.place == place).count();
        let (now, later) = self.0.split_at(many);
        self.0 = later;
        now
    }
}

impl Numbers {
    /// Takes in the event at this place; returns the changes.
    pub fn follow(&mut self, place: usize, what: &What) -> Vec<Step> {
        let mut steps = Vec::new();
        match *what {
            What::Call { pid, name, ret, .. } if ret >= 0 && name.accepts() => {
                self.accepting.insert(pid);
                steps.extend(self.close(place, pid, ret));
                steps.push(self.open(place, pid, ret, (place, false)));
            }
            What::Call { pid, name, ret, .. } if ret >= 0 && name.returns_descriptor() => {
                steps.extend(self.close(place, pid, ret));
                if let (Call::Dup | Call::Dup2 | Call::Dup3, Some(accept)) = (name, self.only(pid)) {
                    steps.push(self.open(place, pid, ret, (accept, true)));
                }
            }
            // One that accepts makes a pair to hear whether its child could be executed, too.
            What::Call { pid, name: Call::Pipe | Call::Pipe2 | Call::Socketpair, ret: 0, .. }
                if !self.accepting.contains(&pid) =>
            {
                self.pairs.insert(pid, place);
            }
            What::Close { pid, fd } => steps.extend(self.close(place, pid, fd.into())),
            What::CloseRange { pid, first, last } => {
                steps = self.close_all(place, pid, |fd, _, _| (i64::from(first)..=last.into()).contains(&fd));
            }
            What::Process { pid, parent, change: Change::Fork } => {
                if let Some(made) = self.pairs.get(&parent).copied() {
                    self.pairs.insert(pid, made);
                }
                for (fd, (accept, _)) in self.of.get(&parent).cloned().unwrap_or_default() {
                    steps.push(self.open(place, pid, fd, (accept, false)));
                }
            }
            // The program it runs now has the duplicates that were made for it, and its standard streams.
            // Anything else is taken to be closed on exec where others have it too: a server's helper gets
            // none of its connections.
            What::Process { pid, change: Change::Exec, .. } => {
                steps = self.close_all(place, pid, |fd, made, shared| shared && !made && fd > STDERR);
            }
            What::Process { pid, change: Change::Exit, .. }
            | What::Exited { pid, .. }
            | What::Baseline { pid, .. } => {
                self.pairs.remove(&pid);
                steps = self.close_all(place, pid, |_, _, _| true);
            }
            _ => {}
        }
        steps
    }

    /// The connection of each process and number.
    pub fn all(&self) -> HashMap<(Pid, i64), usize> {
        let of_one = |(pid, of): (&Pid, &FxHashMap<i64, (usize, bool)>)| {
            of.iter().map(|(fd, (accept, _))| ((*pid, *fd), *accept)).collect::<Vec<_>>()
        };
        self.of.iter().flat_map(of_one).collect()
    }

    /// Connections that only processes have which accept none themselves; and how many processes have one of
    /// these.
    pub fn handed_over(&self) -> (u64, u64) {
        let of =
            |accepts: bool| self.of.iter().filter(move |(pid, _)| self.accepting.contains(pid) == accepts);
        let kept: HashSet<usize> =
            of(true).flat_map(|(_, of)| of.values().map(|(accept, _)| *accept)).collect();
        let (mut connections, mut processes) = (HashSet::new(), 0);
        for (_, of) in of(false) {
            let all = of.values().map(|(accept, _)| *accept).filter(|accept| !kept.contains(accept));
            processes += u64::from(all.clone().next().is_some());
            connections.extend(all);
        }
        (connections.len() as u64, processes)
    }

    /// The connection that a process was forked for. A duplicate is taken to be a duplicate of it, as no
    /// event says which number it was; unless a pair was made since, to talk with the next executed program.
    fn only(&self, pid: Pid) -> Option<usize> {
        let mut all = self.of.get(&pid).filter(|_| !self.accepting.contains(&pid))?.values();
        let first = all.next()?.0;
        let paired = self.pairs.get(&pid).is_some_and(|made| *made > first);
        (!paired && all.all(|other| other.0 == first)).then_some(first)
    }

    fn open(&mut self, place: usize, pid: Pid, fd: i64, (accept, made): (usize, bool)) -> Step {
        self.of.entry(pid).or_default().insert(fd, (accept, made));
        let count = self.counts.entry(accept).or_default();
        *count += 1;
        Step { place, pid, accept, more: true, edge: *count == 1 }
    }

    fn close(&mut self, place: usize, pid: Pid, fd: i64) -> Option<Step> {
        let (accept, _) = self.of.get_mut(&pid)?.remove(&fd)?;
        let count = self.counts.get_mut(&accept).expect("a connection with a number is counted");
        *count -= 1;
        let edge = *count == 0;
        if edge {
            self.counts.remove(&accept);
        }
        Some(Step { place, pid, accept, more: false, edge })
    }

    /// Closes the numbers of a process for which this holds: the number, whether it made that itself, and
    /// whether others have the connection.
    fn close_all(&mut self, place: usize, pid: Pid, which: impl Fn(i64, bool, bool) -> bool) -> Vec<Step> {
        let Some(of) = self.of.get(&pid).filter(|of| !of.is_empty()) else { return Vec::new() };
        let mut own: HashMap<usize, u64> = HashMap::new();
        of.values().for_each(|(accept, _)| *own.entry(*accept).or_default() += 1);
        let shared = |accept: &usize| own[accept] < self.counts[accept];
        let goes = |fd: i64, (accept, made): &(usize, bool)| which(fd, *made, shared(accept));
        let fds: Vec<i64> = of.iter().filter(|(fd, of)| goes(**fd, of)).map(|(&fd, _)| fd).collect();
        fds.into_iter().filter_map(|fd| self.close(place, pid, fd)).collect()
    }
}

/// How many connections processes have, event by event.
#[derive(Default)]
pub(crate) struct Holders {
    /// How many numbers each accepting process has for connections.
    own: HashMap<Pid, u64>,
    /// Connections that any process has.
    pub all: u64,
    /// Whether connections are handed over to processes that accept none themselves.
    handed_over: bool,
}

impl Holders {
    pub fn new(handed_over: bool) -> Self {
        Holders { handed_over, ..Holders::default() }
    }

    /// Takes in what an event changed; `accepts`: whether a process is one of the subject's that accept.
    pub(super) fn follow(&mut self, steps: &[Step], accepts: impl Fn(Pid) -> bool) {
        for step in steps {
            let changed = |count: u64, by: u64| if step.more { count + by } else { count.saturating_sub(by) };
            self.all = changed(self.all, step.edge.into());
            if accepts(step.pid) {
                let own = self.own.entry(step.pid).or_default();
                *own = changed(*own, 1);
            }
        }
    }

    /// Connections of this process, with those that were handed over.
    pub fn of(&self, pid: Pid) -> u64 {
        let others = || self.own.iter().filter(|(of, _)| **of != pid).map(|(_, own)| own).sum();
        if self.handed_over {
            self.all.saturating_sub(others())
        } else {
            self.own.get(&pid).copied().unwrap_or(0)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVER: Pid = 10;
    const CHILD: Pid = 11;

    fn call(pid: Pid, name: Call, ret: i64) -> What {
        What::Call { pid, name, ret, on: None }
    }

    fn life(pid: Pid, change: Change) -> What {
        What::Process { pid, parent: SERVER, change }
    }

    /// Connections open after these events.
    fn open(events: &[What]) -> usize {
        let mut numbers = Numbers::default();
        let mut open = HashSet::new();
        for (place, what) in events.iter().enumerate() {
            for step in numbers.follow(place, what).into_iter().filter(|step| step.edge) {
                assert!(
                    if step.more { open.insert(step.accept) } else { open.remove(&step.accept) },
                    "{step:?}"
                );
            }
        }
        open.len()
    }

    #[test]
    fn a_connection_lasts_as_long_as_the_child_that_was_forked_for_it() {
        let (taken, forked) = (call(SERVER, Call::Accept4, 4), life(CHILD, Change::Fork));
        let (left, gone) = (What::Close { pid: SERVER, fd: 4 }, life(CHILD, Change::Exit));
        assert_eq!(open(&[taken.clone(), forked.clone(), left.clone()]), 1);
        assert_eq!(open(&[taken.clone(), forked.clone(), left.clone(), gone.clone()]), 0);
        // As an inetd does: moved to standard input, and another program executed, before or after the parent
        // closes its own.
        let (moved, first) = (call(CHILD, Call::Dup2, 0), What::Close { pid: CHILD, fd: 4 });
        let executed = life(CHILD, Change::Exec);
        let early = [taken.clone(), forked.clone(), left.clone(), moved.clone(), first, executed.clone()];
        let late = [taken, forked, moved, executed, left];
        for mut events in [early.to_vec(), late.to_vec()] {
            assert_eq!(open(&events), 1);
            events.push(gone.clone());
            assert_eq!(open(&events), 0);
        }
    }

    #[test]
    fn a_forked_helper_that_closes_a_range_has_the_connections_below_it_only() {
        let events = [
            call(SERVER, Call::Accept4, 4),
            call(SERVER, Call::Accept4, 5),
            life(CHILD, Change::Fork),
            What::CloseRange { pid: CHILD, first: 5, last: u32::MAX },
            What::CloseRange { pid: SERVER, first: 3, last: 100 },
        ];
        assert_eq!(open(&events), 1);
    }

    #[test]
    fn a_connection_that_is_accepted_as_standard_input_is_handed_to_the_program_that_is_executed() {
        // The child may come first, or the parent's close.
        let (taken, forked, executed) =
            (call(SERVER, Call::Accept, 0), life(CHILD, Change::Fork), life(CHILD, Change::Exec));
        let left = What::Close { pid: SERVER, fd: 0 };
        for events in [[&taken, &forked, &executed, &left], [&taken, &forked, &left, &executed]] {
            assert_eq!(open(&events.map(What::clone)), 1);
        }
    }

    #[test]
    fn a_program_that_is_talked_to_through_pipes_has_not_the_connection() {
        const PROGRAM: Pid = 12;
        let events = [
            call(SERVER, Call::Accept4, 4),
            life(CHILD, Change::Fork),
            What::Close { pid: SERVER, fd: 4 },
            What::Call { pid: CHILD, name: Call::Pipe2, ret: 0, on: None },
            What::Process { pid: PROGRAM, parent: CHILD, change: Change::Fork },
            call(PROGRAM, Call::Dup2, 0),
            call(PROGRAM, Call::Dup2, 1),
            life(PROGRAM, Change::Exec),
        ];
        let mut numbers = Numbers::default();
        let all = || call(SERVER, Call::Accept4, 5);
        events.iter().chain([&all(), &What::Close { pid: SERVER, fd: 5 }]).enumerate().for_each(
            |(at, what)| {
                numbers.follow(at, what);
            },
        );
        assert_eq!(numbers.handed_over(), (1, 1));
        // A pipe by which the server hears of its child's exec.
        let events = [
            call(SERVER, Call::Accept4, 4),
            What::Call { pid: SERVER, name: Call::Pipe2, ret: 0, on: None },
            life(CHILD, Change::Fork),
            call(CHILD, Call::Dup2, 0),
            life(CHILD, Change::Exec),
            What::Close { pid: SERVER, fd: 4 },
        ];
        assert_eq!(self::open(&events), 1);
    }

    #[test]
    fn a_helper_that_a_server_starts_holds_none_of_its_connections() {
        let events = [
            call(SERVER, Call::Accept4, 4),
            call(SERVER, Call::Accept4, 5),
            life(CHILD, Change::Fork),
            life(CHILD, Change::Exec),
            What::Close { pid: SERVER, fd: 4 },
        ];
        assert_eq!(open(&events), 1);
    }
}
