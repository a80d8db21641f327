//! A run as one row of a Markdown table.

use super::Report;
use super::words::{BY_COUNT, judged};
use crate::measure::{Ceiling, Kind, Verdict};

/// One text a column.
pub fn cells(r: &Report) -> [String; 9] {
    let limits = r.found.limits.effective.value().map(|l| format!("{}:{}", l.soft, l.hard));
    let first = r.found.ceiling.first_failure.get().map(|f| format!("`{}` {}", f.call, f.errno));
    [
        judged::verdict(&r.verdict).0.to_owned(),
        escape(&r.title()),
        cell(limits),
        cell(r.found.baseline.descriptors.value()),
        cell(r.found.prediction.ceiling.value()),
        stopped(&r.found.ceiling),
        cell(first),
        cell(r.found.policy.policy.value().map(|p| p.name())),
        recovers(r),
    ]
}

/// Where it stopped, and why; of connections that were counted and not seen, whether it did.
fn stopped(c: &Ceiling) -> String {
    match (c.held(), c.kind.value(), c.stopped()) {
        (None, kind, _) => cell(kind.map(|kind| kind.name())),
        (Some(n), Some(kind), _) => format!("{n} ({})", kind.name()),
        (Some(n), None, Some(true)) => format!("{n} ({})", BY_COUNT),
        (Some(n), None, Some(false)) => format!("{n} ({}, {})", Kind::NotReached.name(), BY_COUNT),
        (Some(_), None, None) => cell(None::<u64>),
    }
}

/// When a new client is served after all have left, and what else it came to where it is not simply as
/// before.
fn recovers(r: &Report) -> String {
    let after = r.found.recovery.new_client_served_s.value().map(|s| format!("{s:.3} s"));
    let verdict = r
        .found
        .end
        .get()
        .map(|end| end.verdict)
        .filter(|verdict| *verdict != Verdict::Recovered)
        .map(Verdict::name);
    match (after, verdict) {
        (Some(after), Some(verdict)) => format!("{after} ({verdict})"),
        (after, verdict) => cell(after.or(verdict.map(str::to_owned))),
    }
}

/// A value, or a dash where nothing was measured.
fn cell(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "–".into(), |v| v.to_string())
}

/// Keeps text from ending a cell, starting a tag or breaking a line.
pub fn escape(text: &str) -> String {
    text.replace(['\n', '\r'], " ").replace('|', "\\|").replace('<', "&lt;")
}
