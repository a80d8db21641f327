//! Descriptors that were open before the first client.

use super::super::Report;
use super::{counted, number, of_kind, upstream};
use crate::event::{Descriptor, DescriptorKind};
use std::collections::BTreeMap;

/// The count at rest and what it is made of, by kind, the most frequent first.
pub fn at_rest(r: &Report) -> Option<String> {
    let b = &r.found.baseline;
    let count = b.descriptors.value()?;
    let mut kinds = grouped(&b.inventory);
    if b.reserved() > 0 && !b.inventory.is_empty() {
        let threads = number(b.reserved(), "a thread that blocks", "threads that block");
        kinds.push(format!("{} reserved by {threads} in accept", b.reserved()));
    }
    let kinds = if kinds.is_empty() { String::new() } else { format!(": {}", kinds.join(", ")) };
    let before = if upstream::is_called(r) { "its first call was answered" } else { "the first client" };
    let mut text = format!("{} open before {before}{kinds}.", counted(count, "descriptor"));
    let above = count.saturating_sub(b.counted.value().unwrap_or(count));
    if above > 0 {
        text += &format!(" {above} of them have numbers above the limit and take no room below it.");
    }
    if let Some(before) = b.changed_from {
        text += &format!(" It had {before} when it began to listen.");
    }
    if let Some(grows) = grows(r) {
        text += &format!(" {grows}");
    }
    if b.settled.value() == Some(false) {
        text += " It never became quiet: this is what was open when the clients came.";
    }
    Some(text)
}

/// Before what the descriptors that clients cost were counted.
pub fn before_load(r: &Report) -> &'static str {
    if upstream::is_called(r) || r.found.subject.is_client { "its first call" } else { "the first client" }
}

/// Descriptors that it opens without clients, and when their number is too high.
pub fn grows(r: &Report) -> Option<String> {
    let growth = r.found.baseline.growth.as_ref()?;
    let when = if growth.before_clients { "Before the first client" } else { "With no client connected" };
    let full = growth.full_after_s.value().map_or(String::new(), |s| {
        format!(": without any client it would reach its limit {} after the server started", duration(s))
    });
    Some(format!("{when}, it opens {:.1} descriptors a second by itself{full}.", growth.per_s))
}

/// A time that need not be exact.
fn duration(s: f64) -> String {
    match s {
        ..120.0 => format!("{s:.0} s"),
        ..7200.0 => format!("{:.0} min", s / 60.0),
        _ => format!("{:.0} h", s / 3600.0),
    }
}

/// `3 pipes, 1 epoll`.
fn grouped(inventory: &[Descriptor]) -> Vec<String> {
    let mut kinds: BTreeMap<DescriptorKind, u64> = BTreeMap::new();
    inventory.iter().for_each(|d| *kinds.entry(d.kind).or_default() += 1);
    let mut kinds: Vec<(DescriptorKind, u64)> = kinds.into_iter().collect();
    kinds.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    kinds.into_iter().map(|(kind, count)| format!("{count} {}", of_kind(kind, count > 1))).collect()
}
