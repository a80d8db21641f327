//! The samples over time, thinned to what a diagram can show.

use super::timeline::{milli, seconds};
use super::{Point, Run, TcpPoint};
use crate::event::{Call, Nanos, What};
use std::collections::HashMap;

/// Points at most.
const POINTS: usize = 200;

struct Raw {
    at: Nanos,
    descriptors: u64,
    queue: Option<u32>,
    cpu_s: f64,
    log_bytes: u64,
    failures: u64,
    resident: Option<u64>,
    drops: Option<u32>,
}

/// The series of the accepting process (of any process, when its own is unknown).
pub(super) fn series(run: &Run<'_>) -> Vec<Point> {
    let main = run.tree.main;
    let known =
        run.timeline.events.iter().any(|e| matches!(e.is, What::Sample { pid, .. } if Some(pid) == main));
    let totals_known = run.timeline.events.iter().any(|e| matches!(e.is, What::Failures { .. }));
    let mut totals: HashMap<Call, u64> = HashMap::new();
    let (mut failures, mut raw) = (0u64, Vec::<Raw>::new());
    for event in &run.timeline.events {
        match &event.is {
            What::Failures { name, total } => {
                let before = totals.insert(*name, *total).unwrap_or(0);
                failures = failures.saturating_add(total.saturating_sub(before));
            }
            What::Call { ret, .. } if !totals_known && super::tree::full(*ret).is_some() => failures += 1,
            What::Sample { pid, descriptors, queue, cpu_s, log_bytes } if !known || Some(*pid) == main => {
                let (resident, drops) = (None, None);
                let (descriptors, queue, cpu_s, log_bytes) = (*descriptors, *queue, *cpu_s, *log_bytes);
                raw.push(Raw {
                    at: event.at,
                    descriptors,
                    queue,
                    cpu_s,
                    log_bytes,
                    failures,
                    resident,
                    drops,
                })
            }
            What::Beside { resident, drops } => {
                if let Some(sample) = raw.last_mut().filter(|sample| sample.at == event.at) {
                    (sample.resident, sample.drops) = (*resident, *drops);
                }
            }
            _ => {}
        }
    }
    let each = raw.len().div_ceil(POINTS).max(1);
    let mut points = Vec::new();
    let mut before: Option<&Raw> = None;
    for chunk in raw.chunks(each) {
        let Some(last) = chunk.last() else { continue };
        let span = before.map(|b| seconds(last.at - b.at)).filter(|s| *s > 0.0);
        let rate = |grown: Option<f64>| {
            span.and_then(|s| Some(milli(grown? / s))).filter(|r| r.is_finite() && *r >= 0.0)
        };
        points.push(Point {
            at_s: seconds(last.at),
            descriptors: chunk.iter().map(|r| r.descriptors).max().unwrap_or(0),
            accept_queue: chunk.iter().filter_map(|r| r.queue).max(),
            failures_per_s: rate(before.map(|b| last.failures.saturating_sub(b.failures) as f64)),
            cpu_percent: rate(before.map(|b| (last.cpu_s - b.cpu_s) * 100.0)),
            log_bytes_per_s: rate(before.map(|b| last.log_bytes.saturating_sub(b.log_bytes) as f64)),
            memory_bytes: chunk.iter().filter_map(|r| r.resident).max(),
            queue_overflows: chunk.iter().filter_map(|r| r.drops).max(),
        });
        before = Some(last);
    }
    points
}

/// The counts of TCP sockets since the first client.
pub(super) fn tcp(run: &Run<'_>) -> Vec<TcpPoint> {
    let points: Vec<TcpPoint> = run
        .timeline
        .events
        .iter()
        .filter_map(|event| match &event.is {
            What::Tcp { states, subject, namespace: Some(namespace), descriptors, .. } => Some(TcpPoint {
                at_s: seconds(event.at),
                descriptors: *descriptors,
                subject: subject.clone(),
                port: states.clone(),
                namespace: namespace.clone(),
            }),
            _ => None,
        })
        .collect();
    let each = points.len().div_ceil(POINTS).max(1);
    points.into_iter().step_by(each).collect()
}
