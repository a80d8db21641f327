//! The numbers that were free in a process's table when a call failed with EMFILE, and the soft limits that
//! they are below.

use super::phases::Phases;
use super::readings::Readings;
use crate::event::{Event, Nanos, Phase, Pid, What};
use std::collections::BTreeMap;

/// The share of the limit, and at least so many numbers, that threads may have taken for a moment without
/// their being seen.
const UNSEEN_SHARE: u64 = 8;
const UNSEEN: u64 = 8;

/// Descriptors of a process, and the soft limit that was in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Room {
    pub open: u64,
    pub soft: u64,
}

impl Room {
    /// Numbers that no descriptor has.
    pub fn free(self) -> u64 {
        self.soft.saturating_sub(self.open)
    }

    /// Whether more are free than could have been taken unseen.
    pub fn plain(self) -> bool {
        self.free() > UNSEEN.max(self.soft / UNSEEN_SHARE)
    }
}

/// The lowest soft limit that was in force in each process from its rest until clients left, if its limits
/// were read.
pub(super) fn softs(events: &[&Event], readings: &Readings<'_>, phases: &Phases) -> BTreeMap<Pid, u64> {
    let (ramp, released) = (phases.from(Phase::Ramp), phases.released_from());
    let mut softs: BTreeMap<Pid, (Nanos, u64)> = BTreeMap::new();
    let mut take = |pid: Pid, at: Nanos, soft: u64| {
        let lowest = softs.entry(pid).or_insert((at, soft));
        // A limit that was read before the first client is the one that it began with.
        *lowest = (at, if lowest.0 < ramp && at < ramp { soft } else { lowest.1.min(soft) });
    };
    let own = readings.chains.iter().filter_map(|chain| Some((chain, chain.links.last()?)));
    for (chain, link) in own.filter(|(chain, link)| link.pid == chain.pid && chain.at < released) {
        take(chain.pid, chain.at, link.soft);
    }
    for event in events.iter().filter(|event| (ramp..released).contains(&event.at)) {
        if let What::LimitSet { pid, limits: Some(limits), .. } = event.is {
            take(pid, event.at, limits.soft);
        }
    }
    softs.into_iter().map(|(pid, (_, soft))| (pid, soft)).collect()
}
