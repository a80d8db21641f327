//! The run as a picture shows it: phases, moments, and what was read in each column of the time axis, so that
//! a log of any length makes a picture of one size.

mod axis;
mod over;
mod stack;

pub use over::{Over, Range};
pub use stack::{ProcessBand, Stack};

use super::ceiling::Ceiling;
use super::facts::{Facts, Window};
use super::known::Known;
use super::moved::Moved;
use super::recovery::Recovery;
use super::units::seconds;
use crate::event::{Nanos, Phase};
use axis::Axis;

/// Moves of a limit that are marked, at most.
const MOVES: usize = 8;

/// A phase on the time axis.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Stretch {
    /// Which.
    pub phase: Phase,
    /// Since the run's start.
    pub from_s: f64,
    /// Since the run's start.
    pub until_s: f64,
    /// How many columns it has; it begins where the one before it ends.
    pub columns: usize,
}

/// An event at a moment that is marked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Happened {
    /// A descriptor call failed for the first time.
    FirstFailure,
    /// The first client that was not served connected.
    FirstUnserved,
    /// The limit of the live process was moved to this soft limit.
    LimitMoved(u64),
    /// Clients were told to leave while others waited, for the first time.
    SomeLeave,
    /// The first of those that waited was served.
    FirstServed,
    /// All clients were told to leave.
    AllLeave,
    /// A new client was served after that.
    NewClientServed,
    /// The process that accepts exited by itself.
    Exited,
}

/// A moment that is marked.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Moment {
    /// The event.
    pub what: Happened,
    /// Since the run's start.
    pub at_s: f64,
    /// Where it is on the axis, in columns.
    pub place: f64,
}

/// The soft limit from some place of the axis on.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Soft {
    /// The place on the axis, in columns.
    pub place: f64,
    /// The limit in force from there on.
    pub soft: u64,
}

/// One run over time.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Timeline {
    /// The phases, from the first to the last.
    pub phases: Vec<Stretch>,
    /// When each column begins, seconds since the run's start.
    pub begins_s: Vec<f64>,
    /// The marked moments, in order of time.
    pub moments: Vec<Moment>,
    /// Soft limits of the process that accepts.
    pub soft: Vec<Soft>,
    /// Readings, column by column.
    pub over: Over,
    /// Descriptors that all its processes had open; `None` where no calls were seen.
    pub stack: Option<Stack>,
}

/// The picture's values.
pub(super) fn timeline(
    facts: &Facts<'_>,
    ceiling: &Ceiling,
    moved: &Known<Vec<Moved>>,
    recovery: &Recovery,
) -> Timeline {
    let axis = Axis::of(facts.phases.stretches());
    let stretch = |part: &axis::Part| Stretch {
        phase: part.phase,
        from_s: seconds(part.window.from),
        until_s: seconds(part.window.until),
        columns: part.columns,
    };
    Timeline {
        phases: axis.parts.iter().map(stretch).collect(),
        begins_s: axis.begins().into_iter().map(seconds).collect(),
        moments: moments(facts, &axis, ceiling, moved, recovery),
        soft: soft(facts, &axis),
        over: over::over(facts, &axis),
        stack: stack::stack(facts, &axis),
    }
}

fn moments(
    facts: &Facts<'_>,
    axis: &Axis,
    ceiling: &Ceiling,
    moved: &Known<Vec<Moved>>,
    recovery: &Recovery,
) -> Vec<Moment> {
    let some = facts.phases.windows(Phase::ReleaseSome, Phase::ReleaseAll).first().copied();
    let some = some.map(|window| seconds(facts.began_to_leave(window)));
    let all = facts.phases.start(Phase::ReleaseAll);
    let all_leave = |from| seconds(facts.began_to_leave(Window { from, until: facts.phases.end }));
    let after = |since: Option<f64>, took: &Known<f64>| Some(since? + took.value()?);
    let failed = ceiling.first_failure.get();
    let unserved = ceiling.first_unserved.get();
    let moves = moved.get().into_iter().flatten().take(MOVES);
    let exit = facts.exit_at_the_wall().map(|(at, _)| seconds(at));
    let left = facts.phases.start(Phase::ReleaseSome).or(all);
    let exit = exit.or_else(|| after(left.map(seconds), &recovery.exited_s));
    let known = [
        (Happened::FirstFailure, failed.map(|failed| failed.at_s)),
        (Happened::FirstUnserved, unserved.map(|unserved| unserved.at_s)),
        (Happened::SomeLeave, some),
        (Happened::FirstServed, after(some, &recovery.first_served_s)),
        (Happened::AllLeave, all.map(all_leave)),
        (Happened::NewClientServed, after(all.map(seconds), &recovery.new_client_served_s)),
        (Happened::Exited, exit),
    ];
    let moves = moves.map(|moved| (Happened::LimitMoved(moved.soft), Some(moved.at_s)));
    let mut moments: Vec<Moment> = known
        .into_iter()
        .chain(moves)
        .filter_map(|(what, at_s)| {
            let at_s = at_s.filter(|at| at.is_finite())?;
            Some(Moment { what, at_s, place: axis.place((at_s * 1e9).round() as Nanos)? })
        })
        .collect();
    moments.sort_by(|a, b| a.at_s.total_cmp(&b.at_s));
    moments
}

/// The soft limit of the process that accepts: as it was read, and as it was set or moved since.
fn soft(facts: &Facts<'_>, axis: &Axis) -> Vec<Soft> {
    let main = facts.processes.main;
    let read = facts.readings.chains.iter().filter(|chain| Some(chain.pid) == main);
    let read = read
        .filter_map(|chain| Some((chain.at, chain.links.last().filter(|own| own.pid == chain.pid)?.soft)));
    let set = facts.readings.softs.iter().filter(|(_, pid, _)| Some(*pid) == main);
    let set = set.map(|(at, _, soft)| (*at, *soft));
    let mut steps: Vec<(Nanos, u64)> = read.chain(set).collect();
    steps.sort_by_key(|(at, _)| *at);
    steps.dedup_by_key(|(_, soft)| *soft);
    steps.truncate(axis::COLUMNS);
    steps.into_iter().filter_map(|(at, soft)| Some(Soft { place: axis.place(at)?, soft })).collect()
}
