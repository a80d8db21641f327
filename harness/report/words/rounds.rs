//! Recovery that was sampled in several rounds, and the second ramp.

use super::super::Report;
use super::{counted, number, time};
use crate::measure::{PlaceOrder, Service, before_release};

/// The spread of the rounds and the order in which places were given; and whether the server is in the end as
/// it was. Empty after one round.
pub fn rounds(r: &Report) -> Vec<String> {
    let v = &r.found.rounds;
    if v.rounds.len() < 2 {
        return Vec::new();
    }
    let many = v.rounds.len();
    let mut spread = vec![match v.first_served_quantiles.value() {
        Some(q) => {
            let phased = v.rounds.iter().all(|round| round.phase_s.get().is_some());
            let phases = if phased { ", at different phases of its delay" } else { "" };
            format!(
                "In {many} rounds{phases}, the first waiting client was served {} to {} after others left (median {}).",
                time(q.min),
                time(q.max),
                time(q.p50)
            )
        }
        None => format!("In {many} rounds no waiting client was served."),
    }];
    spread.extend(v.order.value().map(|order| match order {
        PlaceOrder::OldestFirst => "A freed place goes to the client that has waited longest.".to_owned(),
        PlaceOrder::NewestFirst => "A freed place goes to the client that came last.".to_owned(),
        PlaceOrder::Mixed => "Freed places go to older and newer waiting clients alike.".to_owned(),
    }));
    spread.extend(v.gave_up.value().filter(|n| *n > 0).map(|n| {
        let each = number(n, "the server still accepted it", "the server still accepted each of them");
        format!("{} gave up while waiting; {each}.", counted(n, "client"))
    }));
    let first = before_release(&r.found.ceiling, &r.found.moved);
    let mut after = Vec::new();
    after.extend(v.second_ceiling.value().map(|second| match first {
        Some(first) if first == second => format!("A second ramp was full at {second} as well."),
        Some(first) => format!("A second ramp was full at {second}, the first at {first}."),
        None => format!("A second ramp was full at {second}."),
    }));
    if let (Some(before), Some(now)) = (v.before.get(), v.after.get()) {
        after.push(format!("New clients served before: {}; after: {}.", service(before), service(now)));
    }
    let all = [spread.join(" "), after.join(" ")];
    all.into_iter().filter(|text| !text.is_empty()).collect()
}

fn service(s: &Service) -> String {
    let latency = s.latency_s.value().map_or(String::new(), |l| format!(", median answer {}", time(l.p50)));
    let held =
        s.held_latency_s.value().map_or(String::new(), |l| format!(" ({} for held clients)", time(l.p50)));
    format!("{:.0} a second{latency}{held}", s.served_per_s)
}
