//! The network namespace that was made for a run, and the sysctls that it had.

use super::super::Report;
use crate::measure::Sysctl;

/// Each sysctl, and where it was in force.
pub fn network(r: &Report) -> Vec<String> {
    let Some(namespace) = r.found.made.network_namespace.get() else { return Vec::new() };
    let mut said: Vec<String> = r.found.made.sysctls.iter().map(one).collect();
    said.push(format!("These values were in force in a network namespace of the run's own ({namespace}); those of the host were not touched."));
    said
}

fn one(s: &Sysctl) -> String {
    let value = match s.in_force.get() {
        Some(value) if *value == s.asked => value.clone(),
        Some(value) => format!("{value} (asked: {})", s.asked),
        None => s.asked.clone(),
    };
    let before = s
        .before
        .get()
        .filter(|before| *before != &s.asked)
        .map_or(String::new(), |b| format!(", by default {b}"));
    let note = s.note.get().map_or(String::new(), |note| format!(", {note}"));
    format!("{} = {value}{before}{note}", s.name)
}
