//! What is said of recovery that was sampled in rounds, in words: sentences for the terminal and for a run's story.

use super::calls::time;
use super::{Report, counted};
use crate::measure::{PlaceOrder, Service};

/// How it was spread and in which order places were given; and whether the server is in the end what it was. Empty after one round.
pub(super) fn rounds(r: &Report) -> Vec<String> {
    let v = &r.recovery;
    if v.rounds.len() < 2 {
        return Vec::new();
    }
    let mut spread = vec![match v.first_served_quantiles {
        Some(q) => {
            let phases = if v.rounds.iter().all(|round| round.phase_s.is_some()) {
                ", at different phases of its delay"
            } else {
                ""
            };
            let many = v.rounds.len();
            format!(
                "In {many} rounds{phases}, the first was served {} to {} later (p50 {}).",
                time(q.min),
                time(q.max),
                time(q.p50)
            )
        }
        None => format!("In {} rounds nobody was served.", v.rounds.len()),
    }];
    spread.extend(v.order.map(|order| match order {
        PlaceOrder::OldestFirst => "Freed places go to who has waited longest.".to_owned(),
        PlaceOrder::NewestFirst => "Freed places go to who came last.".to_owned(),
        PlaceOrder::Mixed => "Freed places go to older and newer waiters alike.".to_owned(),
    }));
    spread.extend(v.gave_up.filter(|n| *n > 0).map(|n| {
        let each = if n == 1 { "it still cost" } else { "each still cost" };
        format!("{} left the queue unserved: {each} an accept.", counted(n, "client"))
    }));
    let first = r.ceiling.before_release(&r.moved);
    let mut after = Vec::new();
    after.extend(v.second_ceiling.map(|second| match first {
        Some(first) if first == second => format!("A second ramp stopped at {second} as well."),
        Some(first) => format!("A second ramp stopped at {second}, the first at {first}."),
        None => format!("A second ramp stopped at {second}."),
    }));
    if let (Some(before), Some(now)) = (&v.before, &v.after) {
        after.push(format!("New clients before: {}; after: {}.", service(before), service(now)));
    }
    let all = [spread.join(" "), after.join(" ")];
    all.into_iter().filter(|text| !text.is_empty()).collect()
}

fn service(s: &Service) -> String {
    let latency = s.latency_s.map_or(String::new(), |l| format!(", p50 {}", time(l.p50)));
    let held = s.held_latency_s.map_or(String::new(), |l| format!(" (those held {})", time(l.p50)));
    format!("{:.0} a second{latency}{held}", s.served_per_s)
}
