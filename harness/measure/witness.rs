//! The counts of each witness: the observer of the system calls, the descriptor count of `/proc`, the
//! server's own count. Witnesses are compared and explained, never averaged.

use super::baseline::Baseline;
use super::binds::HandedOver;
use super::ceiling::Ceiling;
use super::count::Scale;
use super::facts::{Both, Facts, Observer};
use super::known::{Known, OrWhy, Why};
use super::limits::LimitsFound;
use super::prediction::Prediction;
use crate::event::{Errno, Label, ObserverName, Outcome, Pid};
use std::collections::BTreeMap;

/// Who counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Counter {
    /// An observer of the system calls.
    Calls(ObserverName),
    /// The descriptor count of `/proc`.
    Proc,
    /// The server itself.
    Server,
}

impl Counter {
    /// As in a report.
    pub const fn name(self) -> &'static str {
        match self {
            Counter::Calls(observer) => observer.name(),
            Counter::Proc => "/proc descriptor count",
            Counter::Server => "the server's own count",
        }
    }
}

impl serde::Serialize for Counter {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// One that counted.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct Witness {
    /// Who it is.
    pub observer: Counter,
    /// Whether it can miss nothing.
    pub exact: bool,
    /// The cost of observing to the subject.
    pub cost: Cost,
    /// Connections at the first failure, as this witness counts.
    pub ceiling: Known<u64>,
    /// The process whose connections it counts, where several accept; `None`: it counts all of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub process: Option<Pid>,
}

/// The cost of a witness to the subject.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Cost {
    /// Nothing: the server counts for itself.
    Nothing,
    /// Some time of the harness for each sample, and none of the subject.
    Sampling,
    /// It was not measured.
    NotMeasured,
    /// The cost by measurements on this machine: nanoseconds for a descriptor opened and closed and for a
    /// failed call, and how many of each there were; and how long the run took.
    #[allow(missing_docs, reason = "named above")]
    Calls { opened_ns: u64, failed_ns: u64, opened: u64, failed: u64, run_ns: u64 },
}

impl Cost {
    /// How much all calls together were slowed down at most, seconds: no longer than the run. `None` where
    /// that is not known.
    pub fn total_s(self) -> Option<f64> {
        let Cost::Calls { opened_ns, failed_ns, opened, failed, run_ns } = self else { return None };
        let calls = opened_ns.saturating_mul(opened).saturating_add(failed_ns.saturating_mul(failed));
        Some(calls.min(run_ns) as f64 / 1e9)
    }
}

/// All witnesses, and whether they agree.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Witnesses {
    /// Each.
    pub all: Vec<Witness>,
    /// Whether all of them say the same.
    pub agreement: Known<bool>,
    /// Why, or why not.
    pub notes: Vec<Note>,
}

/// The reason for a difference between two witnesses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the variants say what the fields are")]
#[non_exhaustive]
pub enum Note {
    /// Beside the connections so many descriptors more than at rest are open; fewer, where negative.
    Others(i64),
    /// `/proc` was read of this process, which holds so many of the accepted by itself.
    OneOfSeveral { pid: Pid, held: u64, accepted: u64 },
    /// `/proc` was read of this process, which handed connections to others.
    HandedOver { pid: Pid, held: u64, handed: HandedOver },
    /// `/proc` was read a moment later, when so many were held.
    Later { held: u64 },
    /// Numbers that threads blocked in accept reserved at rest.
    Reserved { reserved: u64, counted: u64, held: u64 },
    /// `/proc` counts so many descriptors where the calls leave so many connections.
    Conflict { descriptors: u64, rest: u64, held: u64 },
    /// Some of so many threads that accept had not counted yet when the first failed.
    CountedLate { counted: u64, threads: u64 },
    /// The observer lost samples, and the server's own count is not compared.
    NotCompared,
    /// The server counted so many accepts before its first EMFILE; the other witness, `/proc` or the
    /// observer, another number.
    OwnDiffers { counted: u64, other: u64, by_proc: bool },
}

impl Note {
    /// Whether the two witnesses contradict each other.
    pub const fn conflicts(&self) -> bool {
        matches!(self, Note::Conflict { .. } | Note::OwnDiffers { .. })
    }
}

/// The witnesses, compared where two of them counted connections.
pub(super) fn witnesses(
    facts: &Facts<'_>,
    limits: &LimitsFound,
    baseline: &Baseline,
    prediction: &Prediction,
    ceiling: &Ceiling,
    handed_over: Option<HandedOver>,
) -> Witnesses {
    let scale = Scale::new(limits, baseline, prediction);
    let (mut all, mut notes, mut compared) = (observers(facts, ceiling), Vec::new(), false);
    if let Some((witness, both)) = by_proc(facts, ceiling, &scale) {
        // A process that exits, or is full only from time to time, may have no count of a still moment.
        let stays_full = facts.holdings.first.is_some() && facts.holdings.room.is_none();
        let stays_full = stays_full && facts.exited().is_none();
        let comparable = |counted: &u64| both.still || *counted == both.held || stays_full;
        if let Some(counted) = witness
            .ceiling
            .value()
            .filter(|counted| ceiling.accepted.get().is_some() && !by_ring(facts) && comparable(counted))
        {
            compared = true;
            notes.extend(explain(facts, baseline, ceiling, handed_over, both, counted));
        }
        all.push(witness);
    }
    if let Some((witness, note)) = own_count(facts, baseline, ceiling) {
        compared = true;
        notes.extend(note);
        all.push(witness);
    }
    let agreement = compared.then(|| !notes.iter().any(Note::conflicts)).or_why(Why::OnlyOneCounted);
    Witnesses { all, agreement, notes }
}

fn by_ring(facts: &Facts<'_>) -> bool {
    facts.accepts_pass_by()
}

/// The process that a count is of, where several accept.
fn of(ceiling: &Ceiling, pid: Option<Pid>) -> Option<Pid> {
    pid.filter(|_| ceiling.per_process.len() > 1)
}

/// The witnesses that see system calls.
fn observers(facts: &Facts<'_>, ceiling: &Ceiling) -> Vec<Witness> {
    let accepted = ceiling.accepted.value().filter(|_| !by_ring(facts));
    let one = |observer: &Observer| Witness {
        observer: Counter::Calls(observer.name),
        exact: observer.exact,
        cost: cost(facts, observer.name),
        ceiling: accepted.or_why(Why::CountedNoCeiling),
        process: of(ceiling, facts.holdings.first.map(|first| first.pid)),
    };
    facts.readings.observers.iter().map(one).collect()
}

/// The descriptor count, at the moment that is compared.
fn by_proc(facts: &Facts<'_>, ceiling: &Ceiling, scale: &Scale) -> Option<(Witness, Both)> {
    let counted_at = if by_ring(facts) { facts.holdings.at_watch } else { facts.holdings.at_ceiling };
    // The growth of its descriptors is already the measure of flows.
    let both = counted_at.filter(|_| !facts.processes.is_client && !facts.serves_datagrams())?;
    let witness = Witness {
        observer: Counter::Proc,
        exact: true,
        cost: Cost::Sampling,
        ceiling: scale.connections(both).or_why(Why::CountedNoCeiling),
        process: of(ceiling, Some(both.pid)),
    };
    Some((witness, both))
}

/// The server's own count of accepts, and how it differs from the observer's. Its first failure is an EMFILE
/// of accept.
fn own_count(facts: &Facts<'_>, baseline: &Baseline, ceiling: &Ceiling) -> Option<(Witness, Option<Note>)> {
    let (holdings, by_ring) = (&facts.holdings, by_ring(facts));
    let failing =
        holdings.first.filter(|first| first.call.accepts() && first.errno == Errno::EMFILE).map(|f| f.pid);
    let failing =
        failing.or(facts.processes.main.filter(|_| by_ring && ceiling.reached.value() == Some(true)));
    let (_, count, _) = facts.readings.own_counts.iter().rfind(|(pid, ..)| failing == Some(*pid))?;
    let accepted = ceiling.accepted.value()?;
    // It counts every accept, also of connections closed since.
    let closed = if by_ring { asked_before(facts) } else { holdings.accepts_before.saturating_sub(accepted) };
    let (counted, threads) = (count.saturating_sub(closed), baseline.reserved());
    let note = match counted.abs_diff(accepted) {
        0 => None,
        late if threads > 1 && late <= threads => Some(Note::CountedLate { counted, threads }),
        _ if facts.tries.lost.iter().any(|(_, samples)| *samples > 0) => Some(Note::NotCompared),
        _ => Some(Note::OwnDiffers { counted, other: accepted, by_proc: by_ring }),
    };
    let witness = Witness {
        observer: Counter::Server,
        exact: threads < 2,
        cost: Cost::Nothing,
        ceiling: Known::Value(counted),
        process: of(ceiling, failing),
    };
    Some((witness, note))
}

/// Clients that were answered and left before the load: each asked which protocol the server speaks.
fn asked_before(facts: &Facts<'_>) -> u64 {
    Label::DIALOGUES
        .iter()
        .flat_map(|label| facts.asked(*label))
        .filter(|asked| asked.outcome == Outcome::Served)
        .count() as u64
}

/// The cost of observing to the subject, from the measured cost of a call.
fn cost(facts: &Facts<'_>, observer: ObserverName) -> Cost {
    let Some(&(opened_ns, failed_ns)) = facts.readings.costs.get(&observer) else { return Cost::NotMeasured };
    let totals: BTreeMap<_, u64> = facts.tries.totals.iter().map(|total| (total.call, total.total)).collect();
    let opened = facts.tries.all.iter().filter(|made| made.ret >= 0).count() as u64;
    let failed = totals.values().fold(0u64, |sum, total| sum.saturating_add(*total));
    Cost::Calls { opened_ns, failed_ns, opened, failed, run_ns: facts.phases.end }
}

/// Compares `/proc` with the calls at the same moment. Returns the reason for a difference, or that no known
/// reason explains it; `None`: there is none.
fn explain(
    facts: &Facts<'_>,
    baseline: &Baseline,
    ceiling: &Ceiling,
    handed_over: Option<HandedOver>,
    both: Both,
    counted: u64,
) -> Option<Note> {
    let accepted = ceiling.accepted.value().unwrap_or(0);
    let one_of_several = ceiling.per_process.len() > 1 && facts.holdings.first.is_none();
    let Both { pid, descriptors, held, others, .. } = both;
    if counted == held {
        return match handed_over {
            // It says where the connections went, the others that what it keeps for them is no connection.
            Some(handed) if held != accepted => Some(Note::HandedOver { pid, held, handed }),
            _ if others != 0 => Some(Note::Others(others)),
            _ if one_of_several => Some(Note::OneOfSeveral { pid, held, accepted }),
            _ if held != accepted => Some(Note::Later { held }),
            _ => None,
        };
    }
    if counted == accepted && !one_of_several {
        return None;
    }
    let reserved = baseline.reserved();
    if !baseline.inventory.is_empty() && counted.abs_diff(held) <= reserved {
        return Some(Note::Reserved { reserved, counted, held });
    }
    Some(Note::Conflict { descriptors, rest: baseline.descriptors.value().unwrap_or(0), held })
}
