//! The state of a run at one moment, from its events: the same while it goes on and when a recording
//! of it is played.

use crate::event::{Call, Client, Event, Nanos, Phase, Pid, What};
use std::collections::{HashMap, HashSet};

/// A run at one moment. All counts are since its start.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct Moment {
    /// Seconds since the run's start.
    pub at_s: f64,
    /// The phase that goes on, and when it began.
    pub phase: Option<(Phase, f64)>,
    /// Seconds until it ends: in a recording as it was; while it goes on, until the wait that goes on is
    /// over, at most.
    pub left_s: Option<f64>,
    /// Descriptors of the process that accepts, or calls.
    pub descriptors: u64,
    /// Its soft limit, as it was last read.
    pub soft: Option<u64>,
    /// Clients that are connected, as they see it.
    pub clients: u64,
    /// Calls that are over.
    pub calls: u64,
    /// Connections in the accept queue of the loaded listener, and the most that it takes.
    pub queue: Option<u32>,
    /// The most that it takes: backlog + 1.
    pub queue_capacity: Option<u32>,
    /// Accepts that succeeded.
    pub accepted: u64,
    /// Calls that failed for want of a descriptor.
    pub failures: u64,
    /// Processor time of all the subject's processes.
    pub cpu_s: f64,
    /// Bytes that the subject has written to its output.
    pub log_bytes: u64,
}

/// Follows a run, one event after the other.
#[derive(Debug, Default)]
pub struct Moments {
    /// As it is after the last event.
    pub now: Moment,
    subject: String,
    soft: HashMap<Pid, u64>,
    /// By call: failures that were reported one by one, or as a total.
    failures: HashMap<Call, u64>,
    clients: HashMap<String, HashSet<u32>>,
}

impl Moments {
    /// Takes in an event with a time since the run's start. Returns whether it is a sample: samples have the
    /// values that change.
    pub fn note(&mut self, event: &Event) -> bool {
        let at_s = seconds(event.at);
        match &event.is {
            What::Header { plan, .. } => {
                self.subject = plan["subject"].as_str().unwrap_or_default().to_owned();
            }
            What::Phase(phase) => self.now.phase = Some((*phase, at_s)),
            What::Launched { process, pid, requested, .. } if *process == self.subject => {
                self.soft.insert(*pid, requested.soft);
            }
            What::Chain { process, pid, links, .. } if *process == self.subject => {
                self.soft.extend(links.last().map(|link| (*pid, link.soft)));
            }
            What::LimitMoved { pid, soft, .. } => _ = self.soft.insert(*pid, *soft),
            What::LimitSet { pid, limits: Some(limits), .. } => _ = self.soft.insert(*pid, limits.soft),
            What::Listening { process, capacity, .. } if *process == self.subject => {
                self.now.queue_capacity = Some(*capacity);
            }
            What::Call { name, ret, .. } if *ret >= 0 => {
                self.now.accepted += u64::from(name.accepts());
            }
            What::Call { name, .. } => *self.failures.entry(*name).or_default() += 1,
            What::Failures { name, total } => {
                let known = self.failures.entry(*name).or_default();
                *known = (*known).max(*total);
            }
            What::Client { workload, id, state } => self.client(workload, *id, state),
            What::CallEnded { .. } => self.now.calls += 1,
            What::Upstream(seen) => self.now.calls = self.now.calls.max(seen.calls),
            What::Sample { pid, descriptors, queue, cpu_s, log_bytes } => {
                self.now = Moment {
                    at_s,
                    descriptors: *descriptors,
                    soft: self.soft.get(pid).copied().or(self.now.soft),
                    clients: self.clients.values().map(|connected| connected.len() as u64).sum(),
                    queue: *queue,
                    failures: self.failures.values().sum(),
                    cpu_s: *cpu_s,
                    log_bytes: *log_bytes,
                    ..self.now
                };
                return true;
            }
            _ => {}
        }
        false
    }

    fn client(&mut self, workload: &str, id: u32, state: &Client) {
        if !self.clients.contains_key(workload) {
            self.clients.insert(workload.to_owned(), HashSet::new());
        }
        let Some(connected) = self.clients.get_mut(workload) else { return };
        match state {
            Client::Connected => _ = connected.insert(id),
            Client::Greeted | Client::Begun | Client::Served | Client::ErrorAnswer(_) => {}
            _ => _ = connected.remove(&id),
        }
    }
}

/// Seconds.
pub fn seconds(at: Nanos) -> f64 {
    at as f64 / 1e9
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Limits;

    #[test]
    fn failures_are_counted_once_where_they_come_one_by_one_and_as_a_total() {
        let mut moments = Moments::default();
        let failed = |_| Event { at: 1, is: What::Call { pid: 7, name: Call::Accept4, ret: -24, on: None } };
        (0..5).map(failed).for_each(|event| _ = moments.note(&event));
        let sample = What::Sample { pid: 7, descriptors: 9, queue: Some(2), cpu_s: 0.5, log_bytes: 10 };
        let moved = What::LimitMoved { pid: 7, soft: 64, hard: 64, was: Limits { soft: 9, hard: 64 } };
        for is in [What::Failures { name: Call::Accept4, total: 900 }, moved, sample] {
            moments.note(&Event { at: 2_000_000_000, is });
        }
        let Moment { failures, soft, descriptors, at_s, .. } = moments.now;
        assert_eq!((failures, soft, descriptors, at_s), (900, Some(64), 9, 2.0));
    }

    #[test]
    fn clients_are_those_that_are_connected_now() {
        let mut moments = Moments::default();
        let states = [
            (1, Client::Connected),
            (1, Client::Served),
            (2, Client::Connected),
            (2, Client::Closed),
            (3, Client::Refused),
        ];
        for (id, state) in states {
            moments.note(&Event { at: 1, is: What::Client { workload: "flood".into(), id, state } });
        }
        let sample = What::Sample { pid: 7, descriptors: 9, queue: None, cpu_s: 0.0, log_bytes: 0 };
        assert!(moments.note(&Event { at: 2, is: sample }));
        assert_eq!(moments.now.clients, 1);
    }
}
