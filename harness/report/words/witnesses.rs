//! The witnesses: what each counted, whether they agree, and what being observed costs.

use super::super::Report;
use super::{counted, evidence};
use crate::event::ObserverName;
use crate::measure::{Cost, Counter, Witness};

/// Each count, and whether they agree.
pub fn witnesses(r: &Report) -> Option<String> {
    let all = &r.found.witnesses;
    if all.all.is_empty() {
        return None;
    }
    let (calls, failed) = (r.found.ceiling.in_calls(), r.found.ceiling.first_failure.get().is_some());
    let said: Vec<String> = all.all.iter().map(|witness| one(witness, calls, failed)).collect();
    let agree = match (all.agreement.value(), evidence::notes(&all.notes)) {
        (Some(true), None) => ": they agree".to_owned(),
        (Some(true), Some(note)) => format!(": they agree ({note})"),
        (Some(false), note) => format!(": they disagree ({})", note.unwrap_or_default()),
        (None, _) => String::new(),
    };
    let alone = if all.all.len() == 1 && !calls { "; nothing else counted it" } else { "" };
    Some(format!("{}{agree}{alone}.", said.join(" · ")))
}

fn one(w: &Witness, calls: bool, failed: bool) -> String {
    let count = match w.ceiling.value() {
        Some(n) => format!(" {n}"),
        // Calls are counted by who makes them; a witness of the system calls saw the failure.
        None if calls && failed => " saw the failure, and counts no calls".into(),
        None if calls => " counts no calls, and saw none fail".into(),
        None => " counted nothing".to_owned(),
    };
    let exact = if w.exact { "" } else { ", not exact" };
    let process = w.process.map_or(String::new(), |pid| format!(" in process {pid}"));
    // Its count is of connections, by how much the descriptors grew.
    let who = if w.observer == Counter::Proc { "descriptor growth in /proc" } else { w.observer.name() };
    format!("{who}{count}{exact}{process}")
}

/// The cost of the observation to the subject.
pub fn costs(r: &Report) -> Vec<String> {
    let measured = r.found.witnesses.all.iter().filter(|w| matches!(w.cost, Cost::Calls { .. }));
    let one = |w: &Witness| {
        // It slows every call down.
        let distorts =
            if w.observer == Counter::Calls(ObserverName::Ptrace) { "; that distorts rates" } else { "" };
        format!("{} slowed the subject by {}{distorts}.", w.observer.name(), evidence::cost(&w.cost))
    };
    measured.map(one).collect()
}

/// A remark that the log was thinned, and so is not all that the run wrote.
pub fn thinned(r: &Report) -> Option<String> {
    r.found.made.thinned_from.map(|of| {
        format!(
            "This event log was thinned to fit into a report; the whole one has {}. Rates and pauses at the wall may be missing.",
            counted(of, "event")
        )
    })
}
