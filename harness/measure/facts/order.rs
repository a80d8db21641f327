//! The events in an order that does not depend on how simultaneous ones were reported.

use crate::event::{Change, Client, Event, Log, What};

/// All events by time. Simultaneous events are in the order in which one can cause the next: closes,
/// successes, failures, then observations of clients.
pub(super) fn ordered(log: &Log) -> Vec<&Event> {
    let mut events: Vec<&Event> = log.events.iter().collect();
    events.sort_by(|a, b| a.at.cmp(&b.at).then_with(|| key(&a.is).cmp(&key(&b.is))));
    events
}

/// Orders simultaneous events: the kind first, then the content, so that no order of reporting shows through.
fn key(what: &What) -> (u8, i64, i64, &str, i64) {
    match what {
        What::Header { .. } => (0, 0, 0, "", 0),
        What::Launched { pid, process, .. } => (1, (*pid).into(), 0, process, 0),
        What::Phase(phase) => (2, *phase as i64, 0, "", 0),
        What::PhaseEnded { phase, why } => (2, *phase as i64, 1, "", *why as i64),
        What::Process { pid, parent, change } if *change != Change::Exit => {
            (3, (*pid).into(), (*parent).into(), "", *change as i64)
        }
        What::Listening { process, pid, capacity, .. } => (4, (*pid).into(), (*capacity).into(), process, 0),
        What::Chain { process, pid, when, links } => {
            (5, *when as i64, (*pid).into(), process, links.last().map_or(0, |l| l.soft as i64))
        }
        What::Open(open) => (6, open.first().map_or(0, |open| open.pid.into()), open.len() as i64, "open", 0),
        What::Baseline { pid, descriptors, counted, .. } => {
            (6, (*pid).into(), *descriptors as i64, "", *counted as i64)
        }
        What::Prediction { pid, ceiling, calibrated_with, .. } => {
            (7, (*calibrated_with).into(), (*pid).into(), "", *ceiling as i64)
        }
        What::Close { pid, fd } => (8, (*pid).into(), (*fd).into(), "", 0),
        What::CloseRange { pid, first, last } => (8, (*pid).into(), (*first).into(), "", (*last).into()),
        What::Call { pid, name, ret, .. } if *ret >= 0 => (9, (*pid).into(), *name as i64, "", *ret),
        What::Call { pid, name, ret, .. } => (10, (*pid).into(), *name as i64, "", *ret),
        What::ObserverCost { name, opened_ns, failed_ns } => {
            (11, *opened_ns as i64, *failed_ns as i64, name.name(), 0)
        }
        What::Failures { name, total } => (11, *name as i64, *total as i64, "", 0),
        What::SamplingStopped => (12, 0, 0, "", 0),
        What::Muted { pid, on } => (12, (*pid).into(), (*on).into(), "", 0),
        What::Lost { samples } => (13, *samples as i64, 0, "", 0),
        What::Client { workload, id, state } => (14, (*id).into(), step(state), workload, 0),
        What::CallEnded { workload, id, handshakes, .. } => {
            (14, (*id).into(), 8, workload, (*handshakes).into())
        }
        What::ProgramEnded { workload, id, code, .. } => {
            (14, id.map_or(-1, i64::from), 10, workload, code.map_or(-1, i64::from))
        }
        What::Pacing { workload, connected, state } => (15, (*connected).into(), *state as i64, workload, 0),
        What::Sample { pid, descriptors, queue, .. } => {
            (16, (*pid).into(), *descriptors as i64, "", queue.map_or(-1, i64::from))
        }
        What::Tcp { listen_overflows, descriptors, took, .. } => {
            (17, *listen_overflows as i64, descriptors.map_or(-1, |n| n as i64), "", *took as i64)
        }
        // After the sample that it was taken with.
        What::Beside { resident, drops } => {
            (16, i64::MAX, resident.map_or(-1, |n| n as i64), "", drops.map_or(-1, i64::from))
        }
        What::Ready { pid, ran_s, waited_s, .. } => {
            (16, i64::MAX, (*pid).into(), "", ((ran_s + waited_s) * 1e9) as i64)
        }
        What::ReceiveQueue(queue) => (17, i64::from(queue.bytes), -3, "", i64::from(queue.drops)),
        What::OtherListener { address, queue, drops, .. } => {
            (17, i64::from(*queue), -2, address, drops.map_or(-1, i64::from))
        }
        What::Waits { pid, timer } => (16, (*pid).into(), -1, "", timer.map_or(-1, i64::from)),
        What::FailedPath { pid, name, path } => (10, (*pid).into(), *name as i64, path, 0),
        What::Output { line } => (18, 0, 0, line, 0),
        What::Arrived { workload } => (14, i64::MAX, 0, workload, 0),
        What::Probe { workload, label, outcome, .. } => (19, *label as i64, *outcome as i64, workload, 0),
        What::Holders { processes, holders, .. } => (16, *processes as i64, holders.len() as i64, "", -2),
        What::AfterAccept { clients, opened, closed, .. } => {
            (20, (*clients).into(), *opened as i64, "", *closed as i64)
        }
        What::Released { clients } => (20, (*clients).into(), 0, "", 0),
        What::Process { pid, parent, .. } => (21, (*pid).into(), (*parent).into(), "", 0),
        What::Status { pid, code, .. } => (20, (*pid).into(), code.map_or(-1, i64::from), "", 0),
        What::Queues(queues) => {
            (16, queues.len() as i64, queues.iter().map(|q| i64::from(q.length)).sum(), "", 0)
        }
        What::Exited { process, pid, .. } => (22, (*pid).into(), 0, process, 0),
        What::OwnCount { pid, before_first_emfile, .. } => {
            (23, (*pid).into(), *before_first_emfile as i64, "", 0)
        }
        What::Upstream(seen) => {
            (14, seen.connections as i64, seen.calls as i64, &seen.process, seen.exhausted.is_some().into())
        }
        What::Observer { name, .. } => (24, 0, 0, name.name(), 0),
        What::Thinned { of } => (0, 2, *of as i64, "", 0),
        What::NotSeen { why, .. } => (25, 0, 0, why, 0),
        What::Inconclusive { reason } => (26, 0, 0, reason, 0),
        What::NotStarted { reason } => (26, 1, 0, reason, 0),
        What::Sysctls { .. } => (0, 1, 0, "", 0),
        What::FileNr { allocated, .. } => (27, *allocated as i64, 0, "", 0),
        What::NotPredicted { pid, calibrated_with, .. } => {
            (7, i64::from(*calibrated_with), (*pid).into(), "", -1)
        }
        What::Refused { pid, call, errno } => (10, (*pid).into(), -1, call, (*errno).into()),
        What::Resources(r) => (
            16,
            r.pid.into(),
            -1,
            "",
            r.threads.unwrap_or(0).wrapping_mul(100_000).wrapping_add(r.processes) as i64,
        ),
        What::InotifyInstances { most, holders } => {
            (16, holders.len() as i64, -2, "", most.map_or(-1, |n| n as i64))
        }
        What::Executed { pid, program } => (3, (*pid).into(), i64::MAX, program, 0),
        What::LimitSet { pid, by, limits } => {
            (8, -i64::from(*pid), limits.map_or(-1, |l| l.soft as i64), "", i64::from(*by))
        }
        What::LimitMoved { pid, soft, hard, .. } => (8, -i64::from(*pid), *soft as i64, "", *hard as i64),
        What::End => (28, 0, 0, "", 0),
    }
}

/// The place of a client's state in the order in which one client can go through them.
fn step(state: &Client) -> i64 {
    match state {
        Client::Connected => 0,
        Client::ErrorAnswer(_) | Client::Greeted | Client::Begun => 1,
        Client::Served => 2,
        Client::ErrorReply(_) => 3,
        Client::Refused => 4,
        Client::TimedOut => 5,
        Client::Local(_) => 6,
        Client::Closed => 7,
        Client::Released => 8,
        Client::GaveUp => 9,
    }
}
