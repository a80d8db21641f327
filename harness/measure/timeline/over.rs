//! Readings and counts over time, column by column: the least and the most of each.

use super::axis::Axis;
use crate::event::{Nanos, What};
use crate::measure::facts::{Facts, Sample};
use crate::measure::possible;
use crate::measure::units::seconds;

/// A rate of calls takes readings so far apart, and one of CPU time more: its clock ticks each 10 ms.
const RATE: Nanos = 20_000_000;
const CPU_RATE: Nanos = 100_000_000;

/// Readings of `/proc` that are so near to what calls say agree with it, and so large a part of them must:
/// one that is taken while descriptors come and go is of another moment.
const NEAR: u64 = 2;
const AGREE: f64 = 0.8;

/// The least and the most within a column.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Range {
    /// The least.
    pub low: f64,
    /// The most.
    pub high: f64,
}

impl Range {
    /// Nothing at all.
    pub const ZERO: Range = Range { low: 0.0, high: 0.0 };

    /// The range of both together.
    pub fn with(self, other: Range) -> Range {
        Range { low: self.low.min(other.low), high: self.high.max(other.high) }
    }
}

/// One value a column; `None` where nothing was read.
pub type Columns = Vec<Option<Range>>;

/// Readings, column by column. A quantity that was never read is empty.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Over {
    /// Open in the process that accepts.
    pub descriptors: Columns,
    /// In the accept queue of the loaded listener.
    pub accept_queue: Columns,
    /// Connections accepted a second.
    pub accepted_per_s: Columns,
    /// Failed descriptor calls a second.
    pub failures_per_s: Columns,
    /// CPU time, percent of one processor.
    pub cpu_percent: Columns,
    /// Bytes a second to its output.
    pub log_bytes_per_s: Columns,
    /// Resident in memory, of all its processes.
    pub memory_bytes: Columns,
}

pub(super) fn over(facts: &Facts<'_>, axis: &Axis) -> Over {
    let main = facts.processes.main;
    let all = &facts.readings.samples;
    let known = all.iter().any(|sample| Some(sample.pid) == main);
    let own: Vec<&Sample> = all.iter().filter(|sample| !known || Some(sample.pid) == main).collect();
    let gauge = |value: &dyn Fn(&Sample) -> Option<f64>| {
        let mut columns = Spread::over(axis);
        own.iter().for_each(|sample| {
            if let Some(value) = value(sample) {
                columns.add(sample.at, sample.at, value);
            }
        });
        columns.done()
    };
    // The rate of a growing quantity, at each sample.
    let rate = |least: Nanos, grown: &[f64], most: f64| {
        let mut columns = Spread::over(axis);
        let Some(mut since) = (!own.is_empty()).then_some(0) else { return Vec::new() };
        for now in 1..own.len() {
            let (from, until) = (own[since].at, own[now].at);
            if until - from >= least {
                let rate = (grown[now] - grown[since]).max(0.0) / seconds(until - from);
                columns.add(from, until, rate.min(most));
                since = now;
            }
        }
        columns.done()
    };
    let accepts = &facts.holdings.accepts;
    let accepted: Vec<f64> =
        own.iter().map(|sample| accepts.partition_point(|at| *at <= sample.at) as f64).collect();
    let failed: Vec<f64> =
        facts.failures_by(own.iter().map(|s| s.at)).into_iter().map(|n| n as f64).collect();
    let cpu: Vec<f64> = own.iter().map(|s| s.cpu_s * 100.0).collect();
    let log: Vec<f64> = own.iter().map(|s| s.log_bytes as f64).collect();
    Over {
        descriptors: followed(facts, axis).unwrap_or_else(|| gauge(&|s| Some(s.descriptors as f64))),
        accept_queue: gauge(&|s| s.queue.map(f64::from)),
        memory_bytes: gauge(&|s| s.resident.map(|bytes| bytes as f64)),
        accepted_per_s: if accepts.is_empty() { Vec::new() } else { rate(RATE, &accepted, f64::MAX) },
        failures_per_s: rate(RATE, &failed, f64::MAX),
        cpu_percent: rate(CPU_RATE, &cpu, possible::cpu_percent(facts)),
        log_bytes_per_s: rate(RATE, &log, f64::MAX),
    }
}

/// The descriptors of the process that accepts from its rest on, call by call, which is closer than readings
/// are; `None` where readings say something else.
fn followed(facts: &Facts<'_>, axis: &Axis) -> Option<Columns> {
    let main = facts.processes.main.filter(|_| facts.holdings.calls_seen && !facts.accepts_pass_by())?;
    let rest = facts.readings.rests.iter().rfind(|rest| rest.pid == main)?;
    // Numbers that threads blocked in accept have reserved are counted, and not listed.
    let reserved = rest.descriptors.saturating_sub(rest.inventory.len() as u64);
    let mut columns = Spread::over(axis);
    let mut last: Option<(Nanos, u64)> = None;
    let (mut read, mut agree) = (0usize, 0usize);
    facts.open_over_time(|_, event, now, _| {
        let open = now.of(main);
        match event.is {
            What::Sample { pid, descriptors, .. } if pid == main && last.is_some() => {
                read += 1;
                agree += usize::from(descriptors.abs_diff(open + reserved) <= NEAR);
            }
            What::Baseline { pid, .. } if pid == main => last = Some((event.at, open)),
            _ => {}
        }
        let Some((since, was)) = last.filter(|(_, was)| *was != open) else { return };
        columns.add(since, event.at, (was + reserved) as f64);
        // A process that has exited has nothing left.
        let left = if open == 0 { 0 } else { open + reserved };
        columns.add(event.at, event.at, left as f64);
        last = (open > 0).then_some((event.at, open));
    });
    if let Some((since, open)) = last {
        columns.add(since, facts.phases.end, (open + reserved) as f64);
    }
    (read > 0 && agree as f64 >= AGREE * read as f64).then(|| columns.done())
}

/// Values, spread over columns.
struct Spread<'a> {
    axis: &'a Axis,
    columns: Columns,
}

impl<'a> Spread<'a> {
    fn over(axis: &'a Axis) -> Self {
        Spread { axis, columns: vec![None; axis.columns] }
    }

    /// A value that holds from one moment to another, both included.
    fn add(&mut self, from: Nanos, until: Nanos, value: f64) {
        let end = self.axis.parts.last().map_or(0, |part| part.window.until);
        let columns = self.axis.column(from).zip(self.axis.column(until.min(end)));
        let Some((first, last)) = columns else { return };
        if !value.is_finite() {
            return;
        }
        let new = Range { low: value, high: value };
        for column in &mut self.columns[first..=last] {
            *column = Some(column.map_or(new, |range| range.with(new)));
        }
    }

    fn done(self) -> Columns {
        if self.columns.iter().all(Option::is_none) { Vec::new() } else { self.columns }
    }
}
