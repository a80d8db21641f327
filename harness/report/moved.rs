//! What is said of limits that were moved on the live process: lines with their labels, for the terminal.

use super::terminal::got;
use super::{Report, counted};
use crate::measure::Moved;

/// A paragraph for each move, in their order.
pub(super) fn moved(r: &Report) -> Vec<(&'static str, String)> {
    r.moved
        .iter()
        .enumerate()
        .map(|(i, moved)| (if i == 0 { "Limit moved" } else { "" }, one(moved)))
        .collect()
}

fn one(m: &Moved) -> String {
    let was = m.was.map_or(String::new(), |was| format!("{}:{} → ", was.soft, was.hard));
    let many = if m.processes == 1 {
        "in the live process".to_owned()
    } else {
        format!("in {} live processes", m.processes)
    };
    let were = if m.held == 1 { "was" } else { "were" };
    let mut text = vec![format!(
        "{was}{}:{} {many}, while {} {were} held.",
        m.soft,
        m.hard,
        counted(m.held, "connection")
    )];
    match (m.resumed, m.resumed_s) {
        (Some(true), Some(s)) => text.push(format!("It accepted again {s:.3} s later.")),
        (Some(false), _) => text.push("It did not accept again.".to_owned()),
        _ => {}
    }
    match (&m.next_failure, m.accepted_after) {
        (Some(f), Some(held)) => text.push(format!(
            "Then {held} held, and {} → {}, {} waiting.",
            f.call,
            f.errno,
            counted(f.waiting_clients, "client")
        )),
        (None, Some(held)) => text.push(format!("{held} held in the end, and no descriptor call failed.")),
        _ => {}
    }
    if let Some(outcome) = m.new_client {
        text.push(format!("A new client {}.", got(outcome)));
    }
    if m.was.is_some_and(|was| m.soft < was.soft) && m.accepted_after >= Some(m.held) {
        text.push("Lowering it closed nothing.".to_owned());
    }
    text.join(" ")
}
