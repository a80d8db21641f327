//! Markdown for a CI summary: one table row a run, then the reasons of those that were not met.

use super::{Report, remedies, sweep::Sweep};
use crate::judge::Outcome;
use crate::measure::{Ceiling, Kind, Recovery, Verdict};
use std::fmt::Write;

/// The reports as one table and the reasons below it.
pub fn render(reports: &[Report]) -> String {
    let mut text = runs(reports);
    for table in remedies::tables(reports) {
        remedy_table(&mut text, &table);
    }
    text
}

/// The same of one program at several limits: the line through them first.
pub fn render_sweep(reports: &[Report], sweep: &Sweep) -> String {
    let (headings, rows) = sweep.table();
    let mut text = format!(
        "**Sweep of the limit**\n\n| {} |\n|{}\n",
        headings.join(" | "),
        "---|".repeat(headings.len())
    );
    for row in rows {
        let _ = writeln!(text, "| {} |", row.map(|cell| escape(&cell)).join(" | "));
    }
    text.push('\n');
    for (label, said) in sweep.said() {
        let _ = writeln!(text, "- {label}: {}", escape(&said));
    }
    format!("{text}\n{}", runs(reports))
}

fn runs(reports: &[Report]) -> String {
    let mut text = String::from(
        "| | run | limits in force | at rest | predicted | ceiling | first failure | policy | recovers |\n|---|---|---|---|---|---|---|---|---|\n",
    );
    for r in reports {
        let limits = r.limits.effective.map(|l| format!("{}:{}", l.soft, l.hard));
        let first = r.ceiling.first_failure.as_ref().map(|f| format!("`{}` {}", f.call, f.errno));
        let cells = [
            mark(r.verdict).to_owned(),
            escape(&r.title()),
            cell(limits),
            cell(r.baseline.descriptors),
            cell(r.prediction.ceiling),
            stopped(&r.ceiling),
            cell(first),
            cell(r.saturation.policy.map(|p| p.name())),
            recovers(&r.recovery),
        ];
        let _ = writeln!(text, "| {} |", cells.join(" | "));
    }
    for r in reports.iter().filter(|r| !r.calls.is_empty()) {
        let _ = writeln!(text, "\n**{}** calls\n", escape(&r.title()));
        for (_, line) in super::calls::calls(r) {
            let _ = writeln!(text, "- {}", escape(&line));
        }
    }
    for r in reports.iter().filter(|r| !r.reasons.is_empty()) {
        let _ = writeln!(text, "\n**{}** {}\n", escape(&r.title()), r.verdict.name());
        for reason in &r.reasons {
            let (expected, observed) = (escape(&reason.expected), escape(&reason.observed));
            let _ = writeln!(text, "- `{}`: expected {expected}, observed {observed}", reason.expectation);
        }
    }
    text
}

/// Where it stopped, and why; of connections that were counted and not seen, whether it did.
fn stopped(c: &Ceiling) -> String {
    match (c.accepted.or(c.calls), c.kind, c.stopped()) {
        (None, kind, _) => cell(kind.map(|kind| kind.name())),
        (Some(n), Some(kind), _) => format!("{n} ({})", kind.name()),
        (Some(n), None, Some(true)) => format!("{n} ({})", Ceiling::BY_COUNT),
        (Some(n), None, Some(false)) => format!("{n} ({}, {})", Kind::NotReached.name(), Ceiling::BY_COUNT),
        (Some(_), None, None) => cell(None::<u64>),
    }
}

/// When a new client is served after all have left, and what else it came to where it is not simply as before.
fn recovers(v: &Recovery) -> String {
    let after = v.new_client_served_s.map(|s| format!("{s:.3} s"));
    let verdict = v.verdict.filter(|verdict| *verdict != Verdict::Recovered).map(Verdict::name);
    match (after, verdict) {
        (Some(after), Some(verdict)) => format!("{after} ({verdict})"),
        (after, verdict) => cell(after.or(verdict.map(str::to_owned))),
    }
}

/// What each remedy of a scenario changed.
fn remedy_table(text: &mut String, table: &remedies::Table) {
    let believed = table.believed();
    let headings: Vec<&str> =
        remedies::HEADINGS.into_iter().filter(|h| believed || *h != remedies::BELIEVED).collect();
    let _ = writeln!(
        text,
        "\n**Remedies: {}**\n\n| {} |\n|{}",
        escape(&table.scenario),
        headings.join(" | "),
        "---|".repeat(headings.len())
    );
    for row in &table.rows {
        let cells: Vec<String> = row.cells(believed).iter().map(|cell| escape(cell)).collect();
        let _ = writeln!(text, "| {} |", cells.join(" | "));
    }
}

fn mark(verdict: Outcome) -> &'static str {
    match verdict {
        Outcome::Met => "✓",
        Outcome::NotMet => "✗",
        Outcome::Inconclusive => "?",
        Outcome::Skipped => "–",
    }
}

/// A value, or a dash where nothing was measured.
fn cell(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "–".into(), |v| v.to_string())
}

/// Keeps text from ending a cell, starting a tag or breaking a line.
fn escape(text: &str) -> String {
    text.replace(['\n', '\r'], " ").replace('|', "\\|").replace('<', "&lt;")
}
