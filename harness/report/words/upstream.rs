//! What the bundled upstream saw.

use super::super::Report;
use super::{counted, number};
use crate::measure::{CallsOnEach, Side, Upstream};

/// Who connected to it, how many calls came on each connection, and which side was short.
pub fn upstream(r: &Report) -> Vec<String> {
    let Some(seen) = &r.found.upstream else { return Vec::new() };
    [Some(connected(seen)), handshakes(seen), short(r, seen)].into_iter().flatten().collect()
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

/// How many connections a proxy had on either side when it was first short of a descriptor, and for which side it lacked one.
fn short(r: &Report, seen: &Upstream) -> Option<String> {
    let (then, side) = (seen.at_first_failure.get()?, seen.short.value()?);
    let clients = r.found.ceiling.first_failure.get()?.accepted_before;
    if r.found.ceiling.in_calls() {
        return None;
    }
    let lacked = match side {
        Side::Clients => "it lacked descriptors to accept clients",
        Side::Upstream => "it lacked descriptors to connect to the upstream",
        Side::Both => "it lacked descriptors for either side",
    };
    Some(format!(
        "At the first failure {} and {} to the upstream were open: {lacked}.",
        counted(clients, "client"),
        counted(then.open, "connection")
    ))
}
