//! The remedy table of a scenario: what each variant changed, beside what people believed that it does. Pure: from the reports of
//! several runs to rows, and from rows to text. It judges no expectation; it compares each run with the scenario as written.

use super::Report;
use super::terminal::{clean, cut};
use crate::event::{Call, Limits};
use crate::judge::Outcome;
use crate::measure::Kind;
use comfy_table::{ColumnConstraint, ContentArrangement, presets};
use owo_colors::OwoColorize;
use serde::{Deserialize, Serialize};

/// The column that is left out where nobody's belief is written down.
pub const BELIEVED: &str = "people believed";
/// Of the columns, in their order.
pub const HEADINGS: [&str; 6] = ["remedy", BELIEVED, "limits", "ceiling", "first failure", "cured"];

/// Longest verdict in a cell, characters; the report of the run itself has the whole reason.
const VERDICT: usize = 72;

/// What the remedies of one scenario came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Table {
    /// Its name.
    pub scenario: String,
    /// The scenario as written first, then its variants as they were run.
    pub rows: Vec<Row>,
}

/// One remedy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Its name; `None`: the scenario as written.
    pub variant: Option<String>,
    /// What people thought it does.
    pub believed: Option<String>,
    /// In force in the process that accepts; `None` when they were not read.
    pub limits: Option<Limits>,
    /// Connections accepted (of a client: calls completed) where it stopped; `None` when it did not stop, or nobody knows.
    pub ceiling: Option<u64>,
    /// Why it stopped, or that it did not.
    pub kind: Option<Kind>,
    /// Connections held, or calls completed, whether or not it stopped there.
    pub held: Option<u64>,
    /// Whether `held` and `ceiling` are calls of a client.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub calls: bool,
    /// The first descriptor call that failed.
    pub first_failure: Option<FirstFailure>,
    /// Whether the ceiling is gone; `None` for the scenario as written, and where the runs do not tell.
    pub cured: Option<bool>,
    /// The same in words, with what became of the ceiling, or why nothing can be said.
    pub verdict: String,
}

/// A failed call, without when and where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "contract.md's names")]
pub struct FirstFailure {
    pub call: Call,
    pub errno: String,
}

/// A table for each scenario of which at least two variants (the scenario as written is one) are among the reports, unless
/// all were skipped. Repetitions that came
/// to the same are one row.
pub fn tables(reports: &[Report]) -> Vec<Table> {
    let mut tables: Vec<(Table, Vec<&Report>)> = Vec::new();
    for report in reports {
        match tables.iter_mut().find(|(table, _)| table.scenario == report.scenario) {
            Some((_, of_scenario)) => of_scenario.push(report),
            None => tables.push((Table { scenario: report.scenario.clone(), rows: Vec::new() }, vec![report])),
        }
    }
    tables.retain(|(_, reports)| {
        let made = reports.iter().any(|report| report.verdict != Outcome::Skipped);
        made && reports.iter().any(|report| report.variant != reports[0].variant)
    });
    tables
        .into_iter()
        .map(|(mut table, mut reports)| {
            reports.sort_by_key(|report| report.variant.is_some());
            let was = reports.iter().find(|report| report.variant.is_none() && known(report)).copied();
            for row in reports.iter().map(|report| row(report, was)) {
                if !table.rows.contains(&row) {
                    table.rows.push(row);
                }
            }
            table
        })
        .collect()
}

/// Whether a run tells where its subject stopped, or that it did not.
fn known(report: &Report) -> bool {
    matches!(report.verdict, Outcome::Met | Outcome::NotMet) && report.ceiling.kind.is_some()
}

fn row(report: &Report, was: Option<&Report>) -> Row {
    let ceiling = &report.ceiling;
    let held = ceiling.accepted.or(ceiling.calls);
    let stopped = !matches!(ceiling.kind, None | Some(Kind::NotReached | Kind::Generator));
    let (cured, verdict) = compared(report, was);
    let unexpected = if report.verdict == Outcome::NotMet { " (the scenario expects something else)" } else { "" };
    Row {
        variant: report.variant.clone(),
        believed: report.believed.clone(),
        limits: report.limits.effective,
        ceiling: held.filter(|_| stopped),
        kind: ceiling.kind,
        held,
        calls: ceiling.calls.is_some(),
        first_failure: ceiling.first_failure.as_ref().map(|f| FirstFailure { call: f.call, errno: f.errno.clone() }),
        cured,
        verdict: format!("{verdict}{unexpected}"),
    }
}

/// Whether the remedy cures, and what it does to the ceiling.
fn compared(report: &Report, was: Option<&Report>) -> (Option<bool>, String) {
    if report.verdict == Outcome::Met && report.not_started.is_some() {
        return (Some(false), "no: it does not start".into());
    }
    if !known(report) {
        return (None, unknown(report));
    }
    let reached = |report: &Report| report.ceiling.kind != Some(Kind::NotReached);
    match was {
        _ if report.variant.is_none() => (None, if reached(report) { "as it was".into() } else { "as it was: no ceiling".into() }),
        None if reached(report) => (Some(false), "no; how it was is not known".into()),
        None => (None, "no ceiling; how it was is not known".into()),
        Some(was) => match (reached(was), reached(report)) {
            (true, false) => (Some(true), "yes".into()),
            (true, true) => (Some(false), moved(was, report)),
            (false, true) => (Some(false), format!("worse: no ceiling → {}", number(report))),
            (false, false) => (None, "no ceiling, as it was".into()),
        },
    }
}

fn unknown(report: &Report) -> String {
    let why = report.reasons.first().map_or("nothing was measured", |reason| reason.observed.as_str());
    match report.verdict {
        Outcome::Skipped => {
            let missing = report.reasons.first().map_or(String::new(), |reason| format!("`{}`: ", reason.expected));
            format!("skipped: {missing}{why}")
        }
        _ => format!("not known: {why}"),
    }
}

/// Where a ceiling that is still there went.
fn moved(was: &Report, is: &Report) -> String {
    let held = |report: &Report| report.ceiling.accepted.or(report.ceiling.calls);
    let mut changes = Vec::new();
    if held(was) != held(is) {
        changes.push(format!("{} → {}", number(was), number(is)));
    }
    if how(was) != how(is) {
        changes.push(format!("{} → {}", how(was), how(is)));
    }
    let fewer = held(is).zip(held(was)).is_some_and(|(is, was)| is < was);
    match (changes.is_empty(), fewer) {
        (true, _) => "no: the same".into(),
        (false, true) => format!("worse: {}", changes.join(", ")),
        (false, false) => format!("no: {}", changes.join(", ")),
    }
}

fn number(report: &Report) -> String {
    report.ceiling.accepted.or(report.ceiling.calls).map_or_else(|| "?".into(), |n| n.to_string())
}

/// What ends it: the call that fails, or what it does in place of one.
fn how(report: &Report) -> String {
    match (&report.ceiling.first_failure, report.ceiling.kind) {
        (Some(first), _) => first.call.to_string(),
        (None, Some(Kind::OwnLimit)) => "a rule of its own".into(),
        (None, Some(Kind::Exited)) => "it exits".into(),
        (None, _) => "no failing call".into(),
    }
}

impl Table {
    /// Whether anybody's belief is written down.
    pub fn believed(&self) -> bool {
        self.rows.iter().any(|row| row.believed.is_some())
    }
}

impl Row {
    /// One text a column of [`HEADINGS`]; a dash for what was not measured.
    pub fn cells(&self, believed: bool) -> Vec<String> {
        let dash = || "–".to_owned();
        let unit = if self.calls { " calls" } else { "" };
        let ceiling = match (self.ceiling, self.held, self.kind) {
            (Some(n), ..) => format!("{n}{unit}"),
            (None, Some(n), Some(Kind::NotReached)) => format!("none up to {n}{unit}"),
            _ => dash(),
        };
        let first = match (&self.first_failure, self.kind) {
            (Some(first), _) => format!("{} {}", first.call, first.errno),
            (None, Some(Kind::Generator) | None) => dash(),
            (None, Some(_)) => "none".into(),
        };
        let mut cells = vec![self.variant.clone().unwrap_or_else(|| "(as it was)".into())];
        cells.extend(believed.then(|| self.believed.clone().unwrap_or_else(dash)));
        cells.extend([self.limits.map_or_else(dash, |l| format!("{}:{}", l.soft, l.hard)), ceiling, first, cut(&self.verdict, VERDICT)]);
        cells
    }
}

/// The tables as text of at most `width` columns.
pub fn render(tables: &[Table], colour: bool, width: usize) -> String {
    let mut text = String::new();
    for table in tables {
        let title = clean(&format!("Remedies: {}", table.scenario));
        text += &format!("\n{}\n{}\n", if colour { title.bold().to_string() } else { title }, one(table, width));
    }
    text
}

fn one(table: &Table, width: usize) -> String {
    let believed = table.believed();
    let mut shown = comfy_table::Table::new();
    shown.load_style(presets::UTF8_HORIZONTAL_ONLY).force_no_tty().set_content_arrangement(ContentArrangement::Dynamic);
    shown.set_width(width.try_into().unwrap_or(u16::MAX));
    shown.set_header(HEADINGS.into_iter().filter(|heading| believed || *heading != BELIEVED));
    for row in &table.rows {
        shown.add_row(row.cells(believed).iter().map(|cell| clean(cell)));
    }
    // A pair of limits is one word, which a reader compares down the column: never broken.
    if let Some(limits) = shown.column_mut(if believed { 2 } else { 1 }) {
        limits.set_constraint(ColumnConstraint::ContentWidth);
    }
    shown.trim_fmt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Log;
    use crate::judge::Verdict;
    use crate::measure::FirstFailure as Failed;
    use crate::scenario;
    use std::path::Path;

    /// A run of a scenario: nothing measured but where it stopped.
    fn run(variant: Option<&str>, kind: Kind, held: u64, call: Option<Call>) -> Report {
        let text = "claim = \"stops\"\nprocesses.server = { command = [\"s\"], limits = { soft = 64, hard = 64 } }";
        let mut plan = scenario::parse(text, "x.toml", "push", Path::new(".")).expect("a scenario").remove(0);
        plan.variant = variant.map(str::to_owned);
        let mut measured = crate::measure::measure(&plan, &Log::default());
        measured.limits.effective = Some(Limits { soft: 64, hard: 128 });
        measured.ceiling.kind = Some(kind);
        measured.ceiling.accepted = Some(held);
        measured.ceiling.first_failure = call.map(|call| Failed {
            pid: 7,
            call,
            errno: "EMFILE".into(),
            at_s: 0.1,
            accepted_before: held,
            waiting_clients: 0,
            reason: None,
        });
        Report::new(&plan, measured, Verdict { outcome: Outcome::Met, reasons: Vec::new(), judged: 1 })
    }

    fn verdicts(reports: &[Report]) -> Vec<(Option<bool>, String)> {
        tables(reports)[0].rows.iter().map(|row| (row.cured, row.verdict.clone())).collect()
    }

    #[test]
    fn a_remedy_cures_only_where_the_ceiling_is_gone() {
        let reports = [
            run(None, Kind::Emfile, 52, Some(Call::Accept4)),
            run(Some("no_keep_alive"), Kind::Emfile, 52, Some(Call::Accept4)),
            run(Some("minfds"), Kind::Emfile, 116, Some(Call::Accept4)),
            run(Some("proxy"), Kind::Emfile, 25, Some(Call::Socket)),
            run(Some("cached"), Kind::Emfile, 52, Some(Call::Openat)),
            run(Some("own rule"), Kind::OwnLimit, 40, None),
            run(Some("raised"), Kind::NotReached, 96, None),
        ];
        let words = [
            (None, "as it was"),
            (Some(false), "no: the same"),
            (Some(false), "no: 52 → 116"),
            (Some(false), "worse: 52 → 25, accept4 → socket"),
            (Some(false), "no: accept4 → openat"),
            (Some(false), "worse: 52 → 40, accept4 → a rule of its own"),
            (Some(true), "yes"),
        ];
        assert_eq!(verdicts(&reports), words.map(|(cured, text)| (cured, text.to_owned())));
        assert_eq!(tables(&reports)[0].rows[6].ceiling, None, "96 were held, and that is no ceiling");
    }

    #[test]
    fn without_how_it_was_nothing_is_called_cured() {
        let mut base = run(None, Kind::Emfile, 52, Some(Call::Accept4));
        base.verdict = Outcome::Inconclusive;
        base.reasons = vec![crate::judge::Reason { expectation: "run".into(), expected: String::new(), observed: "no observer".into() }];
        let raised = run(Some("raised"), Kind::NotReached, 96, None);
        let said = verdicts(&[base, raised.clone()]);
        assert_eq!(said[0], (None, "not known: no observer".into()));
        assert_eq!(said[1].0, None, "{said:?}");
        let held = run(None, Kind::NotReached, 96, None);
        assert_eq!(verdicts(&[held.clone(), raised])[1].0, None);
        assert_eq!(verdicts(&[held, run(Some("proxy"), Kind::Emfile, 25, None)])[1], (Some(false), "worse: no ceiling → 25".into()));
    }

    #[test]
    fn one_variant_alone_makes_no_table_and_repetitions_one_row() {
        let (base, raised) = (run(None, Kind::Emfile, 52, Some(Call::Accept4)), run(Some("raised"), Kind::NotReached, 96, None));
        assert_eq!(tables(&[base.clone(), base.clone()]), []);
        let skipped = |report: &Report| Report { verdict: Outcome::Skipped, ..report.clone() };
        assert_eq!(tables(&[skipped(&base), skipped(&raised)]), []);
        let mut other = raised.clone();
        other.scenario = "other".into();
        assert_eq!(tables(&[base.clone(), other]), []);
        let late = run(None, Kind::Emfile, 53, Some(Call::Accept4));
        let names: Vec<_> =
            tables(&[raised.clone(), base.clone(), raised, base, late])[0].rows.iter().map(|r| (r.variant.clone(), r.held)).collect();
        assert_eq!(names, [(None, Some(52)), (None, Some(53)), (Some("raised".into()), Some(96))]);
    }
}
