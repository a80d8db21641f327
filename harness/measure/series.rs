//! The samples over time, thinned to what a diagram can show.

use super::facts::{Facts, Sample, Sockets};
use super::known::{Known, OrWhy, Why};
use super::possible;
use super::units::{milli, seconds};
use crate::event::{Nanos, States};

/// Points at most.
const POINTS: usize = 200;

/// One point of the series: the most within its interval for counts, the mean for rates.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct Point {
    /// The interval's end, seconds since the run's start.
    pub at_s: f64,
    /// Open in the accepting process.
    pub descriptors: u64,
    /// Accept queue length.
    pub accept_queue: Known<u32>,
    /// Failed descriptor calls.
    pub failures_per_s: Known<f64>,
    /// CPU time, percent of one processor.
    pub cpu_percent: Known<f64>,
    /// Written to its output.
    pub log_bytes_per_s: Known<f64>,
    /// Resident in memory, of all its processes; not read while clients connect.
    pub memory_bytes: Known<u64>,
    /// Connections that the loaded listener has dropped so far; not read while clients connect.
    pub queue_overflows: Known<u32>,
}

/// TCP sockets by state at one moment, beside the descriptors.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct TcpPoint {
    /// Since the run's start.
    pub at_s: f64,
    /// Open in the accepting process at the same time.
    pub descriptors: Known<u64>,
    /// Sockets held by a descriptor of the subject.
    pub subject: Known<States>,
    /// Sockets of the loaded port on the server's side: SYN_RECV are handshakes that are half done.
    pub port: States,
    /// All sockets of the network namespace.
    pub namespace: States,
}

/// The series of the accepting process (of any process, when its own is unknown).
pub(super) fn series(facts: &Facts<'_>) -> Vec<Point> {
    let main = facts.processes.main;
    let all = &facts.readings.samples;
    let known = all.iter().any(|sample| Some(sample.pid) == main);
    let own: Vec<_> = all.iter().filter(|sample| !known || Some(sample.pid) == main).collect();
    let failures = facts.failures_by(own.iter().map(|sample| sample.at));
    let own: Vec<_> = own.into_iter().zip(failures).collect();
    let each = own.len().div_ceil(POINTS).max(1);
    let most = possible::cpu_percent(facts);
    let mut points = Vec::new();
    let mut before = None;
    for chunk in own.chunks(each) {
        let Some((last, failures)) = chunk.last() else { continue };
        let rate = |grown: f64, since: Nanos| {
            let span = seconds(last.at - since);
            Some(milli(grown / span)).filter(|rate| span > 0.0 && rate.is_finite() && *rate >= 0.0)
        };
        let rates = before.map(|(b, counted): (&Sample, u64)| {
            [
                rate(failures.saturating_sub(counted) as f64, b.at),
                rate((last.cpu_s - b.cpu_s) * 100.0, b.at).map(|cpu| cpu.min(most)),
                rate(last.log_bytes.saturating_sub(b.log_bytes) as f64, b.at),
            ]
        });
        let [failures_per_s, cpu_percent, log_bytes_per_s] =
            rates.unwrap_or_default().map(|rate| rate.or_why(Why::RateTakesTwo));
        points.push(Point {
            at_s: seconds(last.at),
            descriptors: chunk.iter().map(|(s, _)| s.descriptors).max().unwrap_or(0),
            accept_queue: chunk.iter().filter_map(|(s, _)| s.queue).max().or_why(Why::NoListenerThen),
            failures_per_s,
            cpu_percent,
            log_bytes_per_s,
            memory_bytes: chunk.iter().filter_map(|(s, _)| s.resident).max().or_why(Why::NotReadWithSample),
            queue_overflows: chunk.iter().filter_map(|(s, _)| s.drops).max().or_why(Why::NotReadWithSample),
        });
        before = Some((*last, *failures));
    }
    points
}

/// The counts of TCP sockets since the first client.
pub(super) fn tcp(facts: &Facts<'_>) -> Vec<TcpPoint> {
    let counted: Vec<_> =
        facts.readings.sockets.iter().filter_map(|sockets| Some((sockets, sockets.namespace?))).collect();
    let each = counted.len().div_ceil(POINTS).max(1);
    let point = |(sockets, namespace): (&Sockets<'_>, &States)| TcpPoint {
        at_s: seconds(sockets.at),
        descriptors: sockets.descriptors.or_why(Why::ProcessNotReadable),
        subject: sockets.subject.cloned().or_why(Why::DescriptorsNotReadable),
        port: sockets.port.clone(),
        namespace: namespace.clone(),
    };
    counted.into_iter().step_by(each).map(point).collect()
}
