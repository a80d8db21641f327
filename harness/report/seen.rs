//! What clients see of a full server, in words, for the terminal.

use super::Report;
use super::calls::{count, time};
use crate::event::Outcome;

/// A sentence for those that are held, and one for those that come next.
pub(super) fn seen(r: &Report) -> Vec<String> {
    let c = &r.saturation.clients;
    let mut said = Vec::new();
    if c.held.probed > 0 {
        let took = c.held.latency_s.map_or(String::new(), |l| format!(" (p50 {}, at most {})", time(l.p50), time(l.max)));
        let before = c.before_s.map_or(String::new(), |l| format!("; before the wall p50 {} from connect to answer", time(l.p50)));
        let lost = match (c.held.silent, c.held.dropped) {
            (0, 0) => String::new(),
            (silent, dropped) => format!(", {silent} silent, {dropped} dropped"),
        };
        let told = if c.held.error_replies > 0 { format!(", {} told an error", c.held.error_replies) } else { String::new() };
        said.push(format!(
            "Of {} that it holds, {} were answered{took}{told}{lost}{before}.",
            count(c.held.probed, "client"),
            c.held.answered
        ));
    }
    let next: Vec<String> = c
        .next
        .iter()
        .map(|got| {
            let after = got.after_s.map_or(String::new(), |l| format!(" after {}", time(l.p50)));
            format!("{} {}{after}", got.clients, word(got.outcome))
        })
        .collect();
    if !next.is_empty() && r.ceiling.reached == Some(true) {
        said.push(format!("The next clients: {}.", next.join(", ")));
    }
    said
}

fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Served => "served",
        Outcome::Waits => "connected and waiting",
        Outcome::TimesOut => "not connected: timed out",
        Outcome::Refused => "refused",
        Outcome::Closed => "closed",
        Outcome::ErrorReply => "told an error",
    }
}
