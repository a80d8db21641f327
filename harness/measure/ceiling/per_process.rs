//! The ceiling of each process of the subject: each has a limit of its own.

use crate::event::Pid;
use crate::measure::facts::{Facts, Table};
use crate::measure::known::{Known, OrWhy, Why};
use crate::measure::units::seconds;

/// Processes listed at most.
const LISTED: usize = 256;

/// One process of the subject.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct PerProcess {
    /// Its thread-group id.
    pub pid: Pid,
    /// Connections held before its own first failure, or at the end of the ramp.
    pub accepted: u64,
    /// The most it held later on.
    pub accepted_max: u64,
    /// Seconds since the run's start.
    pub first_failure_at_s: Known<f64>,
    /// Its exit status, where it exited before clients were told to leave and that was seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// The signal that killed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub killed_by: Option<i32>,
}

/// Each process that accepted or failed before clients were told to leave.
pub(super) fn per_process(facts: &Facts<'_>) -> Vec<PerProcess> {
    let took_part = facts.holdings.tables.iter().filter(|(_, t)| t.took_part || t.before_failure.is_some());
    took_part.take(LISTED).map(|(pid, table)| one(facts, *pid, table)).collect()
}

fn one(facts: &Facts<'_>, pid: Pid, table: &Table) -> PerProcess {
    let released = facts.phases.released_from();
    let ended = facts.readings.ends.iter().find(|ended| ended.pid == pid && ended.at < released);
    let accepted = table.before_failure.or(table.exited).map_or(table.at_ramp_end, |at| at.1);
    let failed_at = table.before_failure.map(|(at, _)| seconds(at));
    PerProcess {
        pid,
        accepted,
        accepted_max: table.most_after.max(accepted),
        first_failure_at_s: failed_at.or_why(Why::ProcessNeverFailed),
        exit_code: ended.and_then(|ended| ended.code),
        killed_by: ended.and_then(|ended| ended.signal),
    }
}
