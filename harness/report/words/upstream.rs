//! The bundled upstream's view of the run.

use super::super::Report;
use super::{counted, list, number, of_kind};
use crate::measure::{CallsOnEach, Kind, KindPerCall, Side, Upstream};

/// The clients that connected to it, how many calls came on each connection, and which side was short.
pub fn upstream(r: &Report) -> Vec<String> {
    let Some(seen) = &r.found.upstream else { return Vec::new() };
    [Some(connected(seen)), handshakes(seen), short(r, seen), per_call(r, seen)]
        .into_iter()
        .flatten()
        .collect()
}

fn connected(seen: &Upstream) -> String {
    let Some(connections) = seen.connections.value() else {
        return "The bundled upstream said nothing.".into();
    };
    if connections == 0 {
        return format!("Nobody connected to the bundled {} upstream.", seen.serves);
    }
    let most = seen.open_max.value().filter(|most| *most < connections);
    let most = most.map_or(String::new(), |most| format!(", at most {most} at once"));
    let each = seen.calls_per_connection.get().map_or(String::new(), |each| format!(": {}", each_of(each)));
    let calls =
        seen.calls.value().map_or(String::new(), |calls| format!("; {}{each}", counted(calls, "call")));
    format!("{} to the bundled {} upstream{most}{calls}.", counted(connections, "connection"), seen.serves)
}

fn each_of(each: &CallsOnEach) -> String {
    if each.least == each.most {
        return format!("{} on each", each.most);
    }
    format!("{} to {} on each, median {}", each.least, each.most, each.median)
}

fn handshakes(seen: &Upstream) -> Option<String> {
    let shaken = seen.handshakes.get()?;
    Some(format!(
        "{} full TLS {}, {} resumed.",
        shaken.full,
        number(shaken.full, "handshake", "handshakes"),
        shaken.resumed
    ))
}

/// Connections that a proxy had on either side when it was first short of a descriptor, and the side that
/// lacked one.
fn short(r: &Report, seen: &Upstream) -> Option<String> {
    let (then, side) = (seen.at_first_failure.get()?, seen.short.value()?);
    let clients = r.found.ceiling.first_failure.get()?.accepted_before;
    if r.found.ceiling.in_calls() {
        return None;
    }
    let lacked = match side {
        Side::Clients => "it lacked descriptors to accept clients",
        Side::Upstream => "it lacked descriptors to connect to the upstream",
        Side::Both => "it lacked descriptors for both sides",
    };
    // The upstream hears of a close later than the subject's next accept.
    let room = r.found.limits.effective.value().zip(r.found.baseline.counted.value());
    let late = room.is_some_and(|(limits, rest)| clients + then.open + rest > limits.soft);
    Some(match late {
        true => format!("At the first failure {} were open: {lacked}.", counted(clients, "client")),
        false => format!(
            "At the first failure {} and {} to the upstream were open: {lacked}.",
            counted(clients, "client"),
            counted(then.open, "connection")
        ),
    })
}

/// Descriptors that each call leaves open, by kind; and after how many calls the limit is reached, where it
/// was not.
fn per_call(r: &Report, seen: &Upstream) -> Option<String> {
    let each = seen.per_call.as_ref()?.get()?;
    if each.kinds.is_empty() {
        return Some("Calls leave no descriptor open.".into());
    }
    let one =
        |kind: &KindPerCall| format!("{} {}", kind.descriptors, of_kind(kind.kind, kind.descriptors != 1.0));
    let kinds: Vec<String> = each.kinds.iter().map(one).collect();
    let after = each.full_after.value().filter(|_| r.found.ceiling.kind.value() == Some(Kind::NotReached));
    let after = after.map_or(String::new(), |calls| format!("; its limit is reached after {calls} calls"));
    let open = match each.descriptors {
        1.0 => "1 descriptor".into(),
        n => format!("{n} descriptors"),
    };
    Some(format!("Each call leaves {open} open ({}){after}.", list(&kinds)))
}

/// Whether the subject only calls it, so that its ceiling is counted in calls of its own.
pub fn is_called(r: &Report) -> bool {
    r.found.upstream.as_ref().is_some_and(|seen| seen.per_call.is_some())
}

/// Descriptors that 1000 calls leave open.
pub fn left_open_per_1000(r: &Report) -> Option<f64> {
    Some(r.found.upstream.as_ref()?.per_call.as_ref()?.get()?.descriptors * 1000.0)
}
