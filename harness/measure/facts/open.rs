//! The descriptors that the processes of the subject have open, by process and by kind, event by event, as
//! far as calls show it, from the rest on.

use super::numbers::Step;
use super::run::Facts;
use crate::event::{Call, Change, Descriptor, Event, Phase, Pid, What};
use rustc_hash::FxHashMap;
use std::collections::{BTreeMap, HashSet};

/// The kind of a descriptor, by the call that made it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum OpenKind {
    /// Open before the first client.
    AtRest,
    /// Accepted from the listener.
    Connection,
    /// Made by `socket` or `socketpair`.
    Socket,
    /// Made by `open` and its kin.
    File,
    /// Made by `pipe`.
    Pipe,
    /// Made by any other call.
    Other,
}

impl OpenKind {
    /// All, in the order in which a picture stacks them.
    pub const ALL: [OpenKind; 6] = [
        OpenKind::AtRest,
        OpenKind::Connection,
        OpenKind::Socket,
        OpenKind::File,
        OpenKind::Pipe,
        OpenKind::Other,
    ];

    /// The kind of descriptor that this call makes; `None` if it may make none.
    const fn of(call: Call) -> Option<OpenKind> {
        match call {
            Call::Accept4 | Call::Accept | Call::RingAccept => Some(OpenKind::Connection),
            Call::Socket | Call::Socketpair | Call::RingSocket => Some(OpenKind::Socket),
            Call::Openat
            | Call::Openat2
            | Call::Open
            | Call::Creat
            | Call::RingOpenat
            | Call::RingOpenat2 => Some(OpenKind::File),
            Call::Pipe | Call::Pipe2 => Some(OpenKind::Pipe),
            Call::Fcntl => None,
            _ => Some(OpenKind::Other),
        }
    }
}

/// Counts by kind, in the order of [`OpenKind::ALL`].
type Counts = [u64; OpenKind::ALL.len()];

/// One process: its numbers that are no connections, and what has no number here.
#[derive(Default, Clone)]
struct Own {
    numbers: FxHashMap<i64, OpenKind>,
    /// Made by calls that return no number, and not closed since.
    unnumbered: Vec<OpenKind>,
    /// At rest, and not listed.
    unlisted: u64,
    counts: Counts,
}

impl Own {
    /// One more of a kind, or one fewer.
    fn count(&mut self, kind: OpenKind, more: bool) {
        let n = &mut self.counts[kind as usize];
        *n = if more { *n + 1 } else { n.saturating_sub(1) };
    }

    fn insert(&mut self, fd: i64, kind: OpenKind) {
        if let Some(was) = self.numbers.insert(fd, kind) {
            self.count(was, false);
        }
        self.count(kind, true);
    }

    /// A number that is no connection's is closed: one that nothing returned is a pipe's or a socket pair's,
    /// or was open at rest.
    fn close(&mut self, fd: i64) {
        let was = self.numbers.remove(&fd).or_else(|| self.unnumbered.pop());
        let unlisted = was.is_none() && self.unlisted > 0;
        self.unlisted -= u64::from(unlisted);
        if let Some(kind) = was.or(unlisted.then_some(OpenKind::AtRest)) {
            self.count(kind, false);
        }
    }

    /// The same of all in this range. The descriptors without a number are taken to be in it.
    fn close_range(&mut self, first: i64, last: i64) {
        let known = self.numbers.keys().copied().filter(|fd| (first..=last).contains(fd));
        known.collect::<Vec<_>>().into_iter().for_each(|fd| self.close(fd));
        std::mem::take(&mut self.unnumbered).into_iter().for_each(|kind| self.count(kind, false));
    }

    /// Everything is closed, but for connections, which are followed elsewhere.
    fn clear(&mut self) {
        *self = Own::default().with_connections_of(self);
    }

    /// The same, with as many connections as the other one has.
    fn with_connections_of(mut self, other: &Own) -> Own {
        self.counts[OpenKind::Connection as usize] = other.counts[OpenKind::Connection as usize];
        self
    }

    /// Puts the descriptors at rest in place of all others but connections.
    fn rests(&mut self, inventory: &[Descriptor], unlisted: u64) {
        self.clear();
        inventory.iter().for_each(|d| self.insert(d.fd.into(), OpenKind::AtRest));
        self.unlisted = unlisted;
        self.counts[OpenKind::AtRest as usize] += unlisted;
    }

    /// Takes in an event of the process. `alone`: its connections stayed as they were; `ramped`: clients have
    /// come.
    fn take(&mut self, what: &What, alone: bool, ramped: bool) {
        match what {
            What::Baseline { inventory, .. } => self.rests(inventory, 0),
            What::Close { fd, .. } if alone => self.close((*fd).into()),
            &What::CloseRange { first, last, .. } => self.close_range(first.into(), last.into()),
            What::Process { .. } | What::Exited { .. } => self.clear(),
            &What::Call { name, ret, .. } if ret >= 0 => self.opens(name, ret, ramped),
            _ => {}
        }
    }

    /// Takes in a call that may have made a descriptor. A descriptor that a program opens as it starts is
    /// open at rest, or closed by then.
    fn opens(&mut self, name: Call, ret: i64, ramped: bool) {
        let kind = |kind| if ramped { kind } else { OpenKind::AtRest };
        match OpenKind::of(name) {
            None => {}
            // The number is a connection's now.
            Some(OpenKind::Connection) => {
                if let Some(was) = self.numbers.remove(&ret) {
                    self.count(was, false);
                }
            }
            Some(made) if name.returns_descriptor() => self.insert(ret, kind(made)),
            Some(made) => {
                for _ in 0..name.descriptors() {
                    self.unnumbered.push(kind(made));
                    self.count(kind(made), true);
                }
            }
        }
    }
}

/// What changes the descriptors of a process.
enum By<'a> {
    /// It has a connection more, or one fewer.
    Connection(bool),
    /// They were listed, with so many that are not in the list.
    Rest(&'a [Descriptor], u64),
    /// It was forked, and has these.
    Fork(Own),
    /// An event of its own: see [`Own::take`].
    Event { what: &'a What, alone: bool, ramped: bool },
}

/// The descriptors that are open after the event taken in last.
#[derive(Default)]
pub(crate) struct OpenNow {
    of: BTreeMap<Pid, Own>,
    /// Launchers, whose descriptors are not the subject's.
    above: HashSet<Pid>,
    all: Counts,
    ramped: bool,
}

impl Facts<'_> {
    /// Walks through the log. `see` is called after each event, with its place, what is open then, and
    /// whether the event may have changed that.
    pub fn open_over_time(&self, mut see: impl FnMut(usize, &Event, &OpenNow, bool)) {
        let mut now = OpenNow { above: self.processes.above(), ..OpenNow::default() };
        let mut steps = self.steps.walk();
        for (place, event) in self.events.iter().enumerate() {
            let changed = now.follow(steps.of(place), &event.is);
            see(place, event, &now, changed);
        }
    }
}

impl OpenNow {
    /// All descriptors of all its processes, by kind.
    pub fn all(&self) -> &[u64; OpenKind::ALL.len()] {
        &self.all
    }

    /// The descriptors of a process.
    pub fn of(&self, pid: Pid) -> u64 {
        self.of.get(&pid).map_or(0, |own| own.counts.iter().sum())
    }

    /// The descriptors of each process that has any.
    pub fn processes(&self) -> impl Iterator<Item = (Pid, u64)> + '_ {
        self.of.iter().map(|(pid, own)| (*pid, own.counts.iter().sum())).filter(|(_, open)| *open > 0)
    }

    /// Takes in an event, with its steps; whether it may have changed anything.
    fn follow(&mut self, steps: &[Step], what: &What) -> bool {
        for step in steps {
            self.change(step.pid, By::Connection(step.more));
        }
        match what {
            What::Phase(Phase::Ramp) => self.ramped = true,
            // These are the processes that do not hold the listener.
            What::Open(open) if !self.ramped => open.iter().for_each(|open| {
                let unlisted = open.descriptors.saturating_sub(open.inventory.len() as u64);
                self.change(open.pid, By::Rest(&open.inventory, unlisted));
            }),
            // It shares what its parent has; until it executes something, that stays open in both.
            What::Process { pid, parent, change: Change::Fork } => {
                if let Some(shared) = self.of.get(parent).cloned() {
                    self.change(*pid, By::Fork(shared));
                }
            }
            _ => {
                let Some(pid) = pid_of(what) else { return !steps.is_empty() };
                let (alone, ramped) = (steps.is_empty(), self.ramped);
                self.change(pid, By::Event { what, alone, ramped });
            }
        }
        true
    }

    /// Changes one process, and with it the counts of all.
    fn change(&mut self, pid: Pid, by: By<'_>) {
        if self.above.contains(&pid) {
            return;
        }
        let own = self.of.entry(pid).or_default();
        let before = own.counts;
        match by {
            By::Connection(more) => own.count(OpenKind::Connection, more),
            By::Rest(inventory, unlisted) => own.rests(inventory, unlisted),
            By::Fork(shared) => *own = shared.with_connections_of(own),
            By::Event { what, alone, ramped } => own.take(what, alone, ramped),
        }
        for ((all, before), after) in self.all.iter_mut().zip(before).zip(own.counts) {
            *all = (*all + after).saturating_sub(before);
        }
    }
}

/// The process whose descriptors an event may change.
fn pid_of(what: &What) -> Option<Pid> {
    match what {
        What::Call { pid, ret: 0.., .. }
        | What::Close { pid, .. }
        | What::CloseRange { pid, .. }
        | What::Baseline { pid, .. }
        | What::Exited { pid, .. }
        | What::Process { pid, .. } => Some(*pid),
        _ => None,
    }
}
