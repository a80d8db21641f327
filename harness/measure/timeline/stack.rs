//! All open descriptors of the subject over time, by kind, and by process, in each column at the moment when
//! most were open.

use super::axis::Axis;
use crate::event::Pid;
use crate::measure::facts::{Facts, OpenKind};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Processes that have a band of their own; the others share one.
const PROCESSES: usize = 6;

/// One process's descriptors, one value a column.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ProcessBand {
    /// Which; `None`: all others together.
    pub pid: Option<Pid>,
    /// Open in each column.
    pub open: Vec<u64>,
}

/// The open descriptors, one value a column for each band.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Stack {
    /// By kind, without kinds that were never open.
    pub kinds: Vec<(OpenKind, Vec<u64>)>,
    /// By process, those with the most first; empty where only one had any.
    pub processes: Vec<ProcessBand>,
    /// How many processes the last band stands for, if it stands for all others.
    pub others: usize,
}

pub(super) fn stack(facts: &Facts<'_>, axis: &Axis) -> Option<Stack> {
    if !facts.holdings.calls_seen || facts.accepts_pass_by() || axis.columns == 0 {
        return None;
    }
    let at = shown(facts, axis);
    let (mut kinds, mut processes) = (Vec::new(), Vec::new());
    let places: BTreeSet<usize> = at.iter().flatten().copied().collect();
    facts.open_over_time(|place, _, now, _| {
        if places.contains(&place) {
            kinds.push(*now.all());
            processes.push(now.processes().collect::<BTreeMap<Pid, u64>>());
        }
    });
    let nth: HashMap<usize, usize> = places.into_iter().zip(0..).collect();
    let at: Vec<Option<usize>> = at.into_iter().map(|place| Some(nth[&place?])).collect();
    let of_kind = |kind: OpenKind| -> Vec<u64> {
        at.iter().map(|n| n.map_or(0, |n| kinds[n][kind as usize])).collect()
    };
    let all = OpenKind::ALL.into_iter().map(|kind| (kind, of_kind(kind)));
    let (bands, others) = bands(&processes, &at);
    Some(Stack {
        kinds: all.filter(|(_, open)| open.iter().any(|n| *n > 0)).collect(),
        processes: bands,
        others,
    })
}

/// The event after which a column is shown: that after which most was open in it, be that the last one before
/// it. `None`: nothing was open yet.
fn shown(facts: &Facts<'_>, axis: &Axis) -> Vec<Option<usize>> {
    // How many were open, and the event's place.
    type After = Option<(u64, usize)>;
    let mut highest: Vec<After> = vec![None; axis.columns];
    let mut last: Vec<After> = vec![None; axis.columns];
    facts.open_over_time(|place, event, now, changed| {
        let Some(column) = axis.column(event.at).filter(|_| changed) else { return };
        let open = now.all().iter().sum();
        if highest[column].is_none_or(|(most, _)| most <= open) {
            highest[column] = Some((open, place));
        }
        last[column] = Some((open, place));
    });
    let mut before = None;
    let shown = |(highest, last): (After, After)| {
        let shown = before.max(highest);
        before = last.or(before);
        shown.map(|(_, place)| place)
    };
    highest.into_iter().zip(last).map(shown).collect()
}

/// A band for each of the processes that had most, and one for the others.
fn bands(seen: &[BTreeMap<Pid, u64>], at: &[Option<usize>]) -> (Vec<ProcessBand>, usize) {
    let mut most: BTreeMap<Pid, u64> = BTreeMap::new();
    for (pid, open) in seen.iter().flatten() {
        let known = most.entry(*pid).or_default();
        *known = (*known).max(*open);
    }
    if most.len() < 2 {
        return (Vec::new(), 0);
    }
    let mut ranked: Vec<(Pid, u64)> = most.into_iter().collect();
    ranked.sort_by_key(|(pid, most)| (std::cmp::Reverse(*most), *pid));
    let shown = if ranked.len() == PROCESSES + 1 { PROCESSES + 1 } else { PROCESSES };
    let first: Vec<Pid> = ranked.iter().take(shown).map(|(pid, _)| *pid).collect();
    let open = |of: &dyn Fn(&BTreeMap<Pid, u64>) -> u64| -> Vec<u64> {
        at.iter().map(|n| n.map_or(0, |n| of(&seen[n]))).collect()
    };
    let mut bands: Vec<ProcessBand> = first
        .iter()
        .map(|pid| ProcessBand { pid: Some(*pid), open: open(&|seen| seen.get(pid).copied().unwrap_or(0)) })
        .collect();
    let others = ranked.len() - first.len();
    if others > 0 {
        let rest = |seen: &BTreeMap<Pid, u64>| {
            seen.iter().filter(|(pid, _)| !first.contains(pid)).map(|(_, open)| open).sum()
        };
        bands.push(ProcessBand { pid: None, open: open(&rest) });
    }
    (bands, others)
}
