//! Markdown for a CI summary: one table row a run, then the reasons of those that were not met.

use super::row::escape;
use super::told::{Told, repeated, repeats, told};
use super::words;
use super::{Report, remedies, sweep::Sweep};
use crate::judge::Outcome;
use std::fmt::Write;

/// The reports as one table and the reasons below it.
pub fn render(reports: &[Report]) -> String {
    let mut text = render_told(&told(reports));
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
    format!("{text}\n{}", render_told(&told(reports)))
}

/// The same, of runs whose words alone are kept. It does not say what each remedy changed.
pub fn render_told(runs: &[Told]) -> String {
    let mut text = String::from(
        "| | run | limits in force | already open | predicted | ceiling | first failure | policy | recovers |\n|---|---|---|---|---|---|---|---|---|\n",
    );
    let groups = repeats(runs);
    for group in &groups {
        let _ = writeln!(text, "| {} |", row(group).join(" | "));
    }
    // When a variant ran several times, each run says which it is. An unexpected try is shown even if a later
    // one was as expected.
    let tries = groups.iter().map(|group| group.iter().flat_map(|run| run.tries()).collect::<Vec<_>>());
    let numbered = tries.flat_map(|tries| {
        let all = tries.len();
        tries.into_iter().zip(1..).map(move |(run, n)| match all {
            1 => (escape(&run.title), run),
            all => (format!("{} ({n} of {all})", escape(&run.title)), run),
        })
    });
    let numbered: Vec<(String, &Told)> = numbered.collect();
    for (title, r) in numbered.iter().filter(|(_, r)| !r.calls.is_empty()) {
        let _ = writeln!(text, "\n**{title}** calls\n");
        for line in &r.calls {
            let _ = writeln!(text, "- {}", escape(line));
        }
    }
    // For a run that is as expected the row is enough; where nothing was expected, the paragraph is the
    // answer.
    let plain = |r: &Told| r.outcome == Outcome::Met && r.judged > 0;
    for (title, r) in numbered.iter().filter(|(_, r)| !plain(r)) {
        let _ = writeln!(text, "\n**{title}** {}\n", r.verdict().1);
        for reason in &r.reasons {
            let (expected, observed) = (escape(&reason.expected), escape(&reason.observed));
            let _ = writeln!(text, "- `{}`: expected {expected}, observed {observed}", reason.expectation);
        }
        if !r.paragraph.is_empty() {
            let _ = writeln!(text, "\n{}", escape(&r.paragraph));
        }
    }
    text
}

/// One row of the table of runs: of a variant that was run several times, each different value once.
fn row(runs: &[&Told]) -> Vec<String> {
    let each: Vec<&[String]> =
        runs.iter().flat_map(|run| run.tries()).map(|run| run.cells.as_slice()).collect();
    let columns = each.iter().map(|cells| cells.len()).min().unwrap_or_default();
    let mut row: Vec<String> = (0..columns)
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
    if let (Some(repeated), Some(title)) = (repeated(runs), row.get_mut(1)) {
        *title += &format!(" ({})", words::repeats(&repeated));
    }
    row
}

/// The same, of no more bytes than `room`: whole lines, and a last one that says so where some were left out.
pub fn fitted(text: &str, room: usize) -> String {
    if text.len() <= room {
        return text.to_owned();
    }
    let cut = format!("\n{}\n", words::CUT);
    let kept = room.saturating_sub(cut.len());
    let end = text.as_bytes()[..kept].iter().rposition(|byte| *byte == b'\n');
    end.map_or(String::new(), |end| format!("{}{cut}", &text[..=end]))
}

/// The table of a scenario's remedies, and what each changed.
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
