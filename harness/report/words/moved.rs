//! Limits that were moved on the live process.

use super::super::Report;
use super::{counted, got, number};
use crate::measure::Moved;

/// A paragraph for each move, in their order.
pub fn moved(r: &Report) -> Vec<String> {
    r.found.moved.get().into_iter().flatten().map(one).collect()
}

/// The effect of the last move, in one sentence.
pub fn short(r: &Report) -> Option<String> {
    let m = r.found.moved.get()?.last()?;
    let now = format!("{}:{}", m.soft, m.hard);
    Some(match (m.resumed.value(), m.resumed_s.value()) {
        (Some(true), Some(s)) => {
            format!("When its limit was raised to {now}, it accepted again {s:.3} s later.")
        }
        (Some(false), _) => format!("When its limit was raised to {now}, it did not accept again."),
        _ if m.soft < m.was.soft && m.accepted_after.value() >= Some(m.held) => {
            format!("When its limit was lowered to {now}, no connection was closed.")
        }
        _ => return None,
    })
}

fn one(m: &Moved) -> String {
    let many = match m.processes {
        1 => "in the live process".to_owned(),
        n => format!("in {n} live processes"),
    };
    let were = number(m.held, "was", "were");
    let mut text = vec![format!(
        "{}:{} → {}:{} (soft:hard) {many}, while {} {were} held.",
        m.was.soft,
        m.was.hard,
        m.soft,
        m.hard,
        counted(m.held, "connection")
    )];
    match (m.resumed.value(), m.resumed_s.value()) {
        (Some(true), Some(s)) if s < 0.0005 => text.push("It accepted again at once.".to_owned()),
        (Some(true), Some(s)) => text.push(format!("It accepted again {s:.3} s later.")),
        (Some(false), _) => text.push("It did not accept again.".to_owned()),
        _ => {}
    }
    match (m.next_failure.get(), m.accepted_after.value()) {
        (Some(f), Some(held)) => text.push(format!(
            "Then it was full at {held}: {} failed with {} while {} waited.",
            f.call,
            f.errno,
            if f.waiting_clients == 0 { "no client".into() } else { counted(f.waiting_clients, "client") }
        )),
        (None, Some(held)) => text.push(format!("It held {held} in the end, and no descriptor call failed.")),
        _ => {}
    }
    text.extend(m.new_client.value().map(|outcome| format!("A new client {}.", got(outcome))));
    if m.soft < m.was.soft && m.accepted_after.value() >= Some(m.held) {
        text.push("Lowering it closed nothing.".to_owned());
    }
    text.join(" ")
}
