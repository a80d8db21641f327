//! What clients see of a full server, in words, for the terminal.

use super::calls::time;
use super::{Report, counted};
use crate::event::Outcome;

/// A sentence for those that are held, and one for those that come next.
pub(super) fn seen(r: &Report) -> Vec<String> {
    let c = &r.saturation.clients;
    let mut said = Vec::new();
    if c.held.probed > 0 {
        let took = c
            .held
            .latency_s
            .map_or(String::new(), |l| format!(" (p50 {}, at most {})", time(l.p50), time(l.max)));
        let before = c.before_s.map_or(String::new(), |l| {
            format!("; before the wall p50 {} from connect to answer", time(l.p50))
        });
        let lost = match (c.held.silent, c.held.dropped) {
            (0, 0) => String::new(),
            (silent, dropped) => format!(", {silent} silent, {dropped} dropped"),
        };
        let told = if c.held.error_replies > 0 {
            format!(", {} told an error", c.held.error_replies)
        } else {
            String::new()
        };
        let were = if c.held.answered == 1 { "was" } else { "were" };
        said.push(format!(
            "Of {} that it holds, {} {were} answered{took}{told}{lost}{before}.",
            counted(c.held.probed, "client"),
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

/// Several listeners on one port, and what comes of it: clients wait for one process while another has room.
pub(super) fn listeners(r: &Report) -> Option<String> {
    let all = &r.saturation.listeners;
    let full: Vec<_> = all.iter().filter(|q| q.room == 0 && q.length > 0).collect();
    let room: Vec<_> = all.iter().filter(|q| q.room > 0).collect();
    if all.len() < 2 {
        return None;
    }
    let queues = "has an accept queue of its own, and the kernel chooses one for each client by a hash of its address (SO_REUSEPORT)";
    if full.is_empty() || room.is_empty() {
        let lengths: Vec<String> =
            all.iter().take(8).map(|q| format!("{} of {}", q.length, q.capacity)).collect();
        return Some(format!(
            "Each of {} listeners on the port {queues}: {}.",
            all.len(),
            lengths.join(", ")
        ));
    }
    let waiting: Vec<String> = full
        .iter()
        .take(8)
        .map(|q| format!("{} in the queue of process {}", counted(u64::from(q.length), "client"), q.pid))
        .collect();
    let which = if full.len() == 1 { "which is full" } else { "which are full" };
    let others: Vec<String> =
        room.iter().take(8).map(|q| format!("process {} has room for {}", q.pid, q.room)).collect();
    Some(format!(
        "Each of {} listeners on the port {queues}, whether its process has room or not: {}, {which}, while {}.",
        all.len(),
        waiting.join(", "),
        others.join(", ")
    ))
}
