//! Markdown for a CI summary: one table row a run, then the reasons of those that were not met.

use super::repeats::{Repeats, repeats};
use super::words::{self, BY_COUNT, calls, judged};
use super::{Report, remedies, short, sweep::Sweep};
use crate::judge::Outcome;
use crate::measure::{Ceiling, Kind, Verdict};
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
    let headings = words::sweep::HEADINGS;
    let mut text = format!(
        "**{}**\n\n| {} |\n|{}\n",
        words::sweep::TITLE,
        headings.join(" | "),
        "---|".repeat(headings.len())
    );
    for row in sweep.points.iter().map(words::sweep::cells) {
        let _ = writeln!(text, "| {} |", row.map(|cell| escape(&cell)).join(" | "));
    }
    text.push('\n');
    for (label, said) in words::sweep::said(sweep) {
        let _ = writeln!(text, "- {label}: {}", escape(&said));
    }
    format!("{text}\n{}", runs(reports))
}

fn runs(reports: &[Report]) -> String {
    let mut text = String::from(
        "| | run | limits in force | at rest | predicted | ceiling | first failure | policy | recovers |\n|---|---|---|---|---|---|---|---|---|\n",
    );
    let groups = repeats(reports);
    for group in &groups {
        let _ = writeln!(text, "| {} |", row(group).join(" | "));
    }
    // Of several runs of a variant, each says which it is. A try that was not as expected is told, also where
    // a later one was.
    let tries = groups.iter().map(|group| group.iter().flat_map(|run| run.tries()).collect::<Vec<_>>());
    let numbered = tries.flat_map(|tries| {
        let all = tries.len();
        tries.into_iter().zip(1..).map(move |(run, n)| match all {
            1 => (escape(&run.title()), run),
            all => (format!("{} ({n} of {all})", escape(&run.title())), run),
        })
    });
    let numbered: Vec<(String, &Report)> = numbered.collect();
    for (title, r) in numbered.iter().filter(|(_, r)| !r.found.calls.is_empty()) {
        let _ = writeln!(text, "\n**{title}** calls\n");
        for line in calls::calls(r).iter().flat_map(|said| &said.texts) {
            let _ = writeln!(text, "- {}", escape(line));
        }
    }
    // Of one that is as expected the row says enough; where nothing was expected, the paragraph is the
    // answer.
    let plain = |r: &Report| r.verdict.outcome == Outcome::Met && r.verdict.judged > 0;
    for (title, r) in numbered.iter().filter(|(_, r)| !plain(r)) {
        let _ = writeln!(text, "\n**{title}** {}\n", judged::verdict(&r.verdict).1);
        for reason in &r.verdict.reasons {
            let (expected, observed) = (escape(&judged::expected(reason)), escape(&judged::observed(reason)));
            let _ = writeln!(text, "- `{}`: expected {expected}, observed {observed}", judged::name(reason));
        }
        let paragraph = short::paragraph(r);
        if !paragraph.is_empty() {
            let _ = writeln!(text, "\n{}", escape(&paragraph));
        }
    }
    text
}

/// One row of the table of runs: of a variant that was run several times, each different value once.
fn row(runs: &[&Report]) -> Vec<String> {
    let each: Vec<[String; 9]> = runs.iter().flat_map(|run| run.tries()).map(cells).collect();
    let mut row: Vec<String> = (0..9)
        .map(|column| {
            let mut values: Vec<&str> = Vec::new();
            each.iter().map(|cells| cells[column].as_str()).for_each(|value| {
                if !values.contains(&value) {
                    values.push(value);
                }
            });
            values.join(", ")
        })
        .collect();
    if let Some(repeated) = Repeats::of(runs) {
        row[1] += &format!(" ({})", words::repeats(&repeated));
    }
    row
}

/// One text a column.
fn cells(r: &Report) -> [String; 9] {
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

/// What each remedy of a scenario changed.
fn remedy_table(text: &mut String, table: &remedies::Table) {
    let believed = table.believed();
    let headings = words::remedies::headings(believed);
    let _ = writeln!(
        text,
        "\n**Remedies: {}**\n\n| {} |\n|{}",
        escape(&table.scenario),
        headings.join(" | "),
        "---|".repeat(headings.len())
    );
    for row in &table.rows {
        let cells: Vec<String> =
            words::remedies::cells(row, believed).iter().map(|cell| escape(cell)).collect();
        let _ = writeln!(text, "| {} |", cells.join(" | "));
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
