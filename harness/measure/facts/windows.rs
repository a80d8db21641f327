//! The connections and failures of the subject within windows of a run: while clients leave in rounds, in the
//! second ramp, and after its limits were moved.

use super::holdings::Failed;
use super::numbers::Holders;
use super::phases::Window;
use super::run::Facts;
use super::tries::full;
use crate::event::{Event, Limits, Nanos, Phase, Pid, What};

/// Connections that the process at the wall holds in a window, with those that it handed over.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct AtTheWall {
    /// The process: the one that failed first of all; in a second ramp, the one that fails first there.
    pub of: Option<Pid>,
    /// When the window ends, and the process has failed to accept since its last accept in it.
    pub in_the_end: Option<u64>,
    /// The most from the first failing accept on.
    pub most: Option<u64>,
    /// The observer lost samples meanwhile.
    pub lost: bool,
    failed: bool,
    accepted: Option<Nanos>,
    failed_last: Option<Nanos>,
}

impl AtTheWall {
    fn own(&self, held: &Holders) -> u64 {
        self.of.map_or(0, |pid| held.of(pid))
    }

    /// Takes in an event of the window; `counts`: whether a process is one of the subject's that accept.
    fn take(&mut self, event: &Event, held: &Holders, counts: impl Fn(Pid) -> bool) {
        match event.is {
            What::Call { pid, name, ret: 0.., .. } if self.of == Some(pid) && name.accepts() => {
                self.accepted = Some(event.at);
            }
            What::Call { pid, name, ret, .. }
                if name.accepts()
                    && full(ret).is_some()
                    && counts(pid)
                    && *self.of.get_or_insert(pid) == pid =>
            {
                self.failed = true;
                self.failed_last = Some(event.at);
            }
            What::Lost { .. } => self.lost = true,
            _ => {}
        }
        if self.failed {
            self.most = self.most.max(Some(self.own(held)));
        }
    }

    fn end(&mut self, held: &Holders) {
        let at_the_wall = self.accepted.is_some() && self.failed_last > self.accepted && !self.lost;
        self.in_the_end = at_the_wall.then(|| self.own(held));
        self.most = self.most.filter(|_| !self.lost);
    }
}

/// A limit that was moved on the live process, and what followed until the next move or the release.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Move {
    pub window: Window,
    /// When the limits of the last process were moved.
    pub at: Nanos,
    /// The limits in force from then on, and before.
    pub now: Limits,
    pub was: Limits,
    /// Processes whose limits were moved.
    pub processes: u32,
    /// When the first of them was moved, and the connections that all held then.
    pub first_at: Nanos,
    pub held: u64,
    /// Whether any soft limit was raised.
    pub raised: bool,
    /// The first accept under the new limits.
    pub resumed: Option<Nanos>,
    /// The first failure under the new limits, the connections that its process held, and those that all
    /// held.
    pub failed: Option<(Failed, u64, u64)>,
    /// Connections that all held when the window ended.
    pub held_at_end: u64,
}

impl Move {
    /// Nothing is moved yet, and so many connections are held.
    fn begins(window: Window, at: Nanos, was: Limits, held: u64) -> Self {
        Move {
            window,
            at,
            now: was,
            was,
            processes: 0,
            first_at: at,
            held,
            raised: false,
            resumed: None,
            failed: None,
            held_at_end: held,
        }
    }
}

impl Facts<'_> {
    /// Walks through the log once more. `see` is called with each event and what everybody holds before it,
    /// then again after it. Comes back with what everybody holds in the end.
    fn walk(&self, mut see: impl FnMut(&Event, &Holders, bool)) -> Holders {
        let mut held = Holders::new(self.holdings.handed_over.0 > 0);
        let mut steps = self.steps.walk();
        for (place, event) in self.events.iter().enumerate() {
            see(event, &held, false);
            held.follow(steps.of(place), |pid| self.processes.counts(pid));
            see(event, &held, true);
        }
        held
    }

    /// The connections of the process at the wall in each of these windows, which come one after the other,
    /// each with the moment from which it is watched.
    pub fn at_the_wall(&self, windows: &[(Window, Nanos)]) -> Vec<AtTheWall> {
        let mut found = vec![AtTheWall::default(); windows.len()];
        let Some(first) = self.holdings.first.filter(|_| !windows.is_empty()) else { return found };
        let again = self.phases.from(Phase::Again);
        for (held, (window, _)) in found.iter_mut().zip(windows) {
            held.of = Some(first.pid).filter(|_| window.from < again);
        }
        let mut current = 0;
        let in_the_end = self.walk(|event, held, after| {
            if after && windows.get(current).is_some_and(|(_, since)| *since <= event.at) {
                found[current].take(event, held, |pid| self.processes.counts(pid));
            }
            while !after && windows.get(current).is_some_and(|(window, _)| window.until <= event.at) {
                found[current].end(held);
                current += 1;
            }
        });
        found[current..].iter_mut().for_each(|window| window.end(&in_the_end));
        found
    }

    /// Each move of a limit, in order; `None`: the limits of no process could be moved.
    pub fn moves(&self) -> Vec<Option<Move>> {
        let windows = self.phases.windows(Phase::Moved, Phase::ReleaseSome);
        let mut moves: Vec<Option<Move>> = vec![None; windows.len()];
        if windows.is_empty() {
            return moves;
        }
        self.walk(|event, held, after| {
            let Some(i) = windows.iter().position(|window| window.contains(event.at)) else { return };
            match (&mut moves[i], after) {
                (Some(one), true) => one.held_at_end = held.all,
                (so_far, false) => *so_far = self.moved(windows[i], *so_far, event, held),
                (None, true) => {}
            }
        });
        moves
    }

    /// The move of this window with one event more. `held`: before it.
    fn moved(&self, window: Window, so_far: Option<Move>, event: &Event, held: &Holders) -> Option<Move> {
        match event.is {
            What::LimitMoved { soft, hard, was, .. } => {
                let one = so_far.unwrap_or_else(|| Move::begins(window, event.at, was, held.all));
                Some(Move {
                    at: event.at,
                    now: Limits { soft, hard },
                    was,
                    raised: one.raised || soft > was.soft,
                    processes: one.processes + 1,
                    ..one
                })
            }
            What::Call { pid, name, ret, .. } if self.processes.counts(pid) => {
                let one = so_far?;
                let resumed = one.resumed.or((ret >= 0 && name.accepts()).then_some(event.at));
                // A call that had begun before the limit was raised may fail after that.
                let under_the_new = !one.raised || resumed.is_some();
                let failed = full(ret)
                    .filter(|_| under_the_new)
                    .map(|errno| (Failed { pid, at: event.at, call: name, errno }, held.of(pid), held.all));
                Some(Move { resumed, failed: one.failed.or(failed), ..one })
            }
            _ => so_far,
        }
    }
}
