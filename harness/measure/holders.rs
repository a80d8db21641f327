//! The processes that hold the connections, where others accept them; and those that are left full when all
//! clients have left.

use super::facts::Facts;
use crate::event::{Holding, Phase, Pid};

/// A process of the subject that holds connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Holder {
    /// The process.
    pub pid: Pid,
    /// Connections of the loaded port that it has a descriptor for.
    pub connections: u64,
    /// All its descriptors, and its soft limit.
    pub descriptors: u64,
    /// See `descriptors`.
    pub soft: u64,
    /// Whether it accepts.
    pub accepts: bool,
    /// Whether it has no number left.
    pub full: bool,
}

/// Processes that hold connections at the wall, and after all clients have left.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Holders {
    /// At the wall, those with the most first, at most 64. Empty where only those hold connections that
    /// accept.
    pub at_the_wall: Vec<Holder>,
    /// How many processes those are in all.
    pub processes: u64,
    /// Processes that have no number left after all clients have left, if there are several.
    pub left_full: Vec<Holder>,
}

/// Each of them, as the run found them in `/proc`.
pub(super) fn holders(facts: &Facts<'_>) -> Holders {
    let released = facts.phases.released_from();
    let holder = |held: &Holding| Holder {
        pid: held.pid,
        connections: held.connections,
        descriptors: held.descriptors,
        soft: held.soft,
        accepts: facts.holdings.tables.get(&held.pid).is_some_and(|table| table.accepts > 0),
        full: held.descriptors >= held.soft,
    };
    let all = |(_, _, held): &(u64, u64, &[Holding])| held.iter().map(holder).collect::<Vec<_>>();
    let (wall, after): (Vec<_>, Vec<_>) = facts.readings.holders.iter().partition(|(at, ..)| *at < released);
    let at_the_wall = wall.last().copied().map(all).unwrap_or_default();
    let handed = at_the_wall.iter().any(|holder| !holder.accepts);
    let mut left_full = after.last().copied().map(all).unwrap_or_default();
    // A second round is made only if there is room for it: if a process is full after it, the round has
    // filled it.
    let filled = facts.phases.last(Phase::SecondRound).is_some();
    left_full.retain(|holder| holder.full && !filled);
    Holders {
        processes: if handed { wall.last().map_or(0, |found| found.1) } else { 0 },
        at_the_wall: if handed { at_the_wall } else { Vec::new() },
        left_full,
    }
}
