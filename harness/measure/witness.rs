//! Who counted what: the observer of the system calls, the descriptor count of `/proc`, the server's own count.
//! Witnesses are compared and explained, never averaged.

use super::follow::Both;
use super::{Measured, Run, Witness};
use crate::event::{Nanos, Outcome, Pid, What};
use std::collections::BTreeMap;

/// An observer that saw no accept while connections were plainly made is blind: its numbers are none.
pub(super) fn blind(run: &Run<'_>, m: &Measured) -> Result<(), String> {
    let f = &run.followed;
    let observed = run.timeline.events.iter().any(|e| matches!(e.is, What::Observer { .. }));
    if !observed && !f.calls_seen && f.first.is_none() && f.early.is_none() {
        return Err("no observer of the system calls: nobody counted what the subject accepted".into());
    }
    if !f.accepts.is_empty() {
        return Ok(());
    }
    if let (Some(most), Some(rest)) = (f.at_most, m.baseline.descriptors) {
        let unexplained = most.descriptors.saturating_sub(rest).saturating_add_signed(-most.others.max(0));
        if unexplained >= 2 {
            return Err(format!(
                "the witnesses disagree: the syscall observer saw no accept, and /proc counts {} descriptors where {rest} were at rest (accepts by io_uring, or an observer that is blind for this program)",
                most.descriptors
            ));
        }
    }
    let served = run.clients.served(run.timeline.watched_until());
    if served > 0 && !run.tree.is_client {
        return Err(format!(
            "the witnesses disagree: the syscall observer saw no accept, and {served} clients were served"
        ));
    }
    Ok(())
}

/// Why nobody saw what the subject accepted and failed to: it has a ring of io_uring, the observer sees system calls only, and among
/// those was no accept. `None` where that is not so: a program may have a ring for its files, and accept by system calls.
pub(super) fn passed_by(run: &Run<'_>) -> Option<&'static str> {
    let (mut observed, mut seen) = (false, false);
    let mut ring = false;
    for event in &run.timeline.events {
        match &event.is {
            What::Observer { io_uring, .. } => (observed, seen) = (true, *io_uring),
            // `other`: in logs of before it had a name of its own.
            What::Baseline { inventory, .. } => {
                ring |= inventory
                    .iter()
                    .any(|d| d.kind == "io_uring" || (d.kind == "other" && d.detail == "io_uring"));
            }
            _ => {}
        }
    }
    let f = &run.followed;
    let saw = !f.accepts.is_empty() || f.failures.iter().any(|(_, call)| call.accepts());
    (observed && ring && !seen && !saw && !run.tree.is_client).then_some(
        "accepts by io_uring pass by the system-call observer: only perf as root sees them, and nothing here does (`lastfd doctor`)",
    )
}

/// Why nobody can say who was accepted, and when: a client that asks nothing does not know either.
pub(super) fn unseen(run: &Run<'_>) -> Option<&'static str> {
    passed_by(run).filter(|_| !run.clients.answers)
}

/// What `/proc` says of a subject whose accepts nobody saw, just before the probes.
pub(super) struct Grown {
    /// Connections held by the process that was sampled.
    pub held: u64,
    /// Whether it had no number left.
    pub full: bool,
}

/// Connections by the growth of the descriptor count alone; `None` where it was not sampled.
pub(super) fn grown(run: &Run<'_>, m: &Measured) -> Option<Grown> {
    let both = run.followed.at_watch?;
    let above_the_limit = m.baseline.descriptors?.saturating_sub(m.baseline.counted?);
    let full = both.descriptors.saturating_sub(above_the_limit) >= m.limits.effective?.soft;
    Some(Grown { held: connections(both, m)?, full })
}

/// Refuses a count that lost samples may have made too small, unless `/proc` says the same.
pub(super) fn nothing_lost(run: &Run<'_>, m: &Measured, until: Nanos) -> Result<(), String> {
    let lost = run.timeline.events.iter().filter(|e| e.at <= until);
    let lost: u64 = lost
        .map(|e| if let What::Lost { samples } = e.is { samples } else { 0 })
        .fold(0, u64::saturating_add);
    let confirmed = || run.followed.at_ceiling.is_some_and(|both| connections(both, m) == Some(both.held));
    if lost == 0 || confirmed() {
        return Ok(());
    }
    Err(format!("the observer lost {lost} samples before the ceiling, and /proc does not confirm the rest"))
}

/// Connections, by the growth of the descriptor count.
fn connections(both: Both, m: &Measured) -> Option<u64> {
    let growth = both.descriptors.saturating_sub(m.baseline.descriptors?);
    // More than can be open: calls that return no number, such as socketpair, are not seen to be undone.
    if m.limits.effective.is_some_and(|limits| both.others > i64::try_from(limits.soft).unwrap_or(i64::MAX)) {
        return None;
    }
    let each = m
        .prediction
        .descriptors_per_connection
        .filter(|d| m.prediction.calibrated_with.unwrap_or(0) > 0 && *d > 0.0);
    Some(match each {
        _ if both.others != 0 => growth.saturating_add_signed(-both.others),
        Some(each) => (growth as f64 / each).floor() as u64,
        None => growth,
    })
}

/// Fills in the witnesses, and whether they agree.
pub(super) fn witnesses(run: &Run<'_>, m: &mut Measured) {
    let f = &run.followed;
    let accepted = m.ceiling.accepted;
    let several = m.ceiling.per_process.len() > 1;
    let by_ring = passed_by(run).is_some();
    let of = |pid: Option<Pid>| pid.filter(|_| several);
    for event in &run.timeline.events {
        if let What::Observer { name, exact, .. } = &event.is {
            m.witnesses.push(Witness {
                observer: name.clone(),
                exact: *exact,
                cost: cost(run, name),
                ceiling: accepted.filter(|_| !by_ring),
                process: of(f.first.map(|first| first.pid)),
            });
        }
    }
    let mut notes = Vec::new();
    let mut compared = 0;
    let mut agree = true;
    let counted_at = if by_ring { f.at_watch } else { f.at_ceiling };
    if let Some(both) = counted_at.filter(|_| !run.tree.is_client) {
        let counted = connections(both, m);
        let cost = "1.2 µs a sample, none to the subject".to_owned();
        m.witnesses.push(Witness {
            observer: "/proc descriptor count".into(),
            exact: true,
            cost,
            ceiling: counted,
            process: of(Some(both.pid)),
        });
        if let (Some(counted), Some(_)) = (counted, accepted.filter(|_| !by_ring)) {
            compared += 1;
            match explain(both, counted, m, several && f.first.is_none()) {
                Ok(note) => notes.extend(note),
                Err(note) => {
                    agree = false;
                    notes.push(note);
                }
            }
        }
    }
    // It counts accepts, and what it calls its first failure is an EMFILE of those.
    let failing =
        f.first.filter(|first| first.call.accepts() && first.errno == "EMFILE").map(|first| first.pid);
    let failing = failing.or(run.tree.main.filter(|_| by_ring && m.ceiling.reached == Some(true)));
    let mut own = run.timeline.events.iter().filter_map(|e| match e.is {
        What::OwnCount { pid, before_first_emfile, .. } => Some((pid, before_first_emfile)),
        _ => None,
    });
    if let Some((_, count)) = own.rfind(|(pid, _)| failing == Some(*pid))
        && let Some(accepted) = accepted
    {
        compared += 1;
        // It counts every accept, also of connections closed since.
        let closed = if by_ring { asked(run) } else { f.accepts_before.saturating_sub(accepted) };
        let counted = count.saturating_sub(closed);
        let (observer, cost) = ("the server's own count".to_owned(), "none".to_owned());
        m.witnesses.push(Witness {
            observer,
            exact: reserved(m) < 2,
            cost,
            ceiling: Some(counted),
            process: of(failing),
        });
        match counted.abs_diff(accepted) {
            0 => {}
            late if reserved(m) > 1 && late <= reserved(m) => notes.push(format!(
                "the server's own count says {counted}: of {} threads that accept, some had not counted yet when the first failed",
                reserved(m)
            )),
            _ if lost_any(run) => notes.push("the observer lost samples, and the server's own count is not compared".into()),
            _ => {
                agree = false;
                let other = if by_ring { "/proc" } else { "the observer" };
                notes.push(format!("the server counted {counted} accepts before its first EMFILE, {other} {accepted}"));
            }
        }
    }
    for i in 0..m.witnesses.len() {
        if m.witnesses[i].ceiling.is_none() {
            m.missing::<()>(&format!("witnesses.{i}.ceiling"), "it counted nothing that is a ceiling");
        }
    }
    m.agreement = match compared {
        0 => m.missing("agreement", "only one witness counted connections"),
        _ => Some(agree),
    };
    m.agreement_note = if notes.is_empty() { None } else { Some(notes.join("; ")) };
    if m.agreement_note.is_none() {
        m.missing::<()>("agreement_note", "there is nothing to explain");
    }
    if m.agreement == Some(false) {
        let note = m.agreement_note.clone().unwrap_or_default();
        m.inconclusive.push(format!("the witnesses disagree: {note}"));
    }
}

/// Clients that were answered and left before the load: each asked which protocol the server speaks.
fn asked(run: &Run<'_>) -> u64 {
    let answered = |what: &What| matches!(what, What::Probe { label, outcome: Outcome::Served, .. } if label == "dialogue");
    run.timeline.events.iter().filter(|event| answered(&event.is)).count() as u64
}

/// What observing cost the subject, by what a call was measured to cost.
fn cost(run: &Run<'_>, observer: &str) -> String {
    let (mut measured, mut opened, mut failed) = (None, 0_u64, BTreeMap::new());
    for event in &run.timeline.events {
        match &event.is {
            What::ObserverCost { name, opened_ns, failed_ns } if name == observer => {
                measured = Some((*opened_ns, *failed_ns))
            }
            What::Call { ret, .. } if *ret >= 0 => opened += 1,
            What::Failures { name, total } => drop(failed.insert(*name, *total)),
            _ => {}
        }
    }
    let failed: u64 = failed.values().sum();
    match measured {
        None => "not measured".into(),
        Some((each, failing)) => format!(
            "{} a descriptor opened and closed, {} a failed call: at most {:.3} s for {opened} and {failed} of them",
            time(each),
            time(failing),
            (each * opened + failing * failed) as f64 / 1e9
        ),
    }
}

fn time(ns: u64) -> String {
    if ns < 2000 { format!("{ns} ns") } else { format!("{:.1} µs", ns as f64 / 1e3) }
}

/// Numbers that threads blocked in accept hold in advance at rest: with more than one, that many threads accept.
fn reserved(m: &Measured) -> u64 {
    m.baseline.descriptors.unwrap_or(0).saturating_sub(m.baseline.inventory.len() as u64)
}

fn lost_any(run: &Run<'_>) -> bool {
    run.timeline.events.iter().any(|e| matches!(e.is, What::Lost { samples } if samples > 0))
}

/// Compares `/proc` with the calls at the same moment: what makes a difference, or that nothing known does.
fn explain(both: Both, counted: u64, m: &Measured, one_of_several: bool) -> Result<Option<String>, String> {
    let accepted = m.ceiling.accepted.unwrap_or(0);
    let reserved = reserved(m);
    let rest = m.baseline.descriptors.unwrap_or(0);
    let same_moment = counted == both.held;
    if same_moment && both.others != 0 {
        let (n, more) = (both.others.unsigned_abs(), if both.others > 0 { "more" } else { "fewer" });
        let are = if n == 1 { "descriptor than at rest is" } else { "descriptors than at rest are" };
        return Ok(Some(format!("beside the connections {n} {more} {are} open")));
    }
    if one_of_several && same_moment {
        return Ok(Some(format!(
            "/proc was read of process {}, which holds {} of the {accepted} by itself, as the calls say too",
            both.pid, both.held
        )));
    }
    if let Some(handed) = m.ceiling.handed_over.filter(|_| same_moment && both.held != accepted) {
        let (connections, processes) = (handed.connections, handed.processes);
        return Ok(Some(format!(
            "/proc was read of process {}, which handed {connections} to {processes} others and holds {}",
            both.pid, both.held
        )));
    }
    if same_moment && both.held != accepted {
        return Ok(Some(format!("/proc was read a moment later, when {} were held", both.held)));
    }
    if same_moment || (counted == accepted && !one_of_several) {
        return Ok(None);
    }
    if !m.baseline.inventory.is_empty() && counted.abs_diff(both.held) <= reserved {
        return Ok(Some(format!(
            "/proc counts {reserved} numbers reserved by threads blocked in accept at rest; as those threads take clients, {counted} by growth is {} accepted",
            both.held
        )));
    }
    Err(format!(
        "/proc counts {} descriptors, {rest} of them at rest, where the calls leave {} connections",
        both.descriptors, both.held
    ))
}
