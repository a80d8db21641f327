//! The remedy table of a scenario: what each variant changed, beside what people believed that it does. Pure: from the reports of
//! several runs to rows, and from rows to text. It judges no expectation; it compares each run with the scenario as written.

use super::Report;
use super::terminal::{clean, cut};
use crate::event::{Call, Limits};
use crate::judge::Outcome;
use crate::measure::{Ceiling, Kind};
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
    /// Whether it stopped; `None`: nobody knows.
    #[serde(default)]
    pub reached: Option<bool>,
    /// Why it stopped, or that it did not; `None` also where only its descriptor count tells.
    pub kind: Option<Kind>,
    /// Connections held, or calls completed, whether or not it stopped there.
    pub held: Option<u64>,
    /// Whether `held` and `ceiling` are calls of a client.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub calls: bool,
    /// The first descriptor call that failed.
    pub first_failure: Option<FirstFailure>,
    /// What became of it when its limits were moved while it ran (`[[then]]`): after the last move.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moved: Option<AfterMove>,
    /// Whether the ceiling is gone; `None` for the scenario as written, and where the runs do not tell.
    pub cured: Option<bool>,
    /// The same in words, with what became of the ceiling, or why nothing can be said.
    pub verdict: String,
}

/// A subject whose limits were moved while it ran.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AfterMove {
    /// In force from the last move on.
    pub limits: Limits,
    /// Connections held at the next failure; without one, in the end.
    pub held: Option<u64>,
    /// The first descriptor call that failed under them; none where none did.
    pub first_failure: Option<FirstFailure>,
    /// Whether it accepted again while clients waited; `None` where nobody did.
    pub resumed: Option<bool>,
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
            None => {
                tables.push((Table { scenario: report.scenario.clone(), rows: Vec::new() }, vec![report]))
            }
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
    matches!(report.verdict, Outcome::Met | Outcome::NotMet) && report.ceiling.stopped().is_some()
}

fn row(report: &Report, was: Option<&Report>) -> Row {
    let ceiling = &report.ceiling;
    let held = ceiling.accepted.or(ceiling.calls);
    let stopped = ceiling.stopped();
    let (cured, verdict) = compared(report, was);
    let unexpected =
        if report.verdict == Outcome::NotMet { " (the scenario expects something else)" } else { "" };
    Row {
        variant: report.variant.clone(),
        believed: report.believed.clone(),
        limits: report.limits.effective,
        ceiling: held.filter(|_| stopped == Some(true)),
        reached: stopped,
        kind: ceiling.kind,
        held,
        calls: ceiling.calls.is_some(),
        first_failure: ceiling
            .first_failure
            .as_ref()
            .map(|f| FirstFailure { call: f.call, errno: f.errno.clone() }),
        moved: report.moved.last().map(|moved| AfterMove {
            limits: Limits { soft: moved.soft, hard: moved.hard },
            held: moved.accepted_after,
            first_failure: moved
                .next_failure
                .as_ref()
                .map(|f| FirstFailure { call: f.call, errno: f.errno.clone() }),
            resumed: moved.resumed,
        }),
        cured,
        verdict: format!("{verdict}{unexpected}"),
    }
}

/// A subject at its wall, or not: before its limits were moved, or after.
struct State {
    /// `None`: a limit was raised that nobody then waited for.
    stopped: Option<bool>,
    held: Option<u64>,
    how: String,
}

impl State {
    /// Before any move.
    fn first(report: &Report) -> State {
        State {
            stopped: report.ceiling.stopped(),
            held: report.ceiling.accepted.or(report.ceiling.calls),
            how: how(report),
        }
    }

    /// After the last move, where there was one.
    fn last(report: &Report) -> State {
        let first = State::first(report);
        let Some(moved) = report.moved.last() else { return first };
        let stopped = match (&moved.next_failure, moved.resumed) {
            (Some(_), _) | (None, Some(false)) => Some(true),
            (None, Some(true)) => Some(false),
            (None, None) => first.stopped.filter(|stopped| !stopped),
        };
        let how = match (&moved.next_failure, moved.resumed) {
            (Some(failure), _) => failure.call.to_string(),
            (None, Some(false)) => "it does not accept again".into(),
            (None, _) => "no failing call".into(),
        };
        State { stopped, held: moved.accepted_after, how }
    }

    fn number(&self) -> String {
        self.held.map_or_else(|| "?".into(), |n| n.to_string())
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
    let live = if report.moved.is_empty() { "" } else { ", in the live process" };
    let (first, last) = (State::first(report), State::last(report));
    if report.variant.is_none() {
        let none = if first.stopped == Some(true) { "as it was" } else { "as it was: no ceiling" };
        return (
            None,
            if live.is_empty() {
                none.into()
            } else {
                format!("{none}; then {}{live}", became(&first, &last))
            },
        );
    }
    let was = was.map(|was| if moves(was) == moves(report) { State::last(was) } else { State::first(was) });
    match (was.as_ref().map(|was| was.stopped), last.stopped) {
        (_, None) => {
            (None, format!("not known: its limits were moved{live}, and nobody waited to be accepted"))
        }
        (None, Some(true)) => (Some(false), format!("no{live}; how it was is not known")),
        (None, Some(false)) => (None, format!("no ceiling{live}; how it was is not known")),
        (Some(None), _) => (None, "not known: how it was is not".into()),
        (Some(Some(true)), Some(false)) => (Some(true), format!("yes{live}")),
        (Some(Some(false)), Some(true)) => {
            (Some(false), format!("worse: no ceiling → {}{live}", last.number()))
        }
        (Some(Some(false)), Some(false)) => (None, format!("no ceiling, as it was{live}")),
        (Some(Some(true)), Some(true)) => {
            let changes = changes(was.as_ref().expect("it stopped"), &last);
            let fewer = last.held.zip(was.and_then(|was| was.held)).is_some_and(|(is, was)| is < was);
            let said = match (changes.is_empty(), fewer) {
                (true, _) => "no: the same".into(),
                (false, true) => format!("worse: {changes}"),
                (false, false) => format!("no: {changes}"),
            };
            (Some(false), format!("{said}{live}"))
        }
    }
}

/// To which limits a run moved, in order.
fn moves(report: &Report) -> Vec<Limits> {
    report.moved.iter().map(|moved| Limits { soft: moved.soft, hard: moved.hard }).collect()
}

/// What a move made of a subject.
fn became(first: &State, last: &State) -> String {
    match last.stopped {
        None => "nobody waited to be accepted".into(),
        Some(false) if first.stopped == Some(true) => format!("{} → no ceiling", first.number()),
        Some(false) => "no ceiling either".into(),
        Some(true) => {
            let changes = changes(first, last);
            if changes.is_empty() { "the same".into() } else { changes }
        }
    }
}

fn unknown(report: &Report) -> String {
    let why = report.reasons.first().map_or("nothing was measured", |reason| reason.observed.as_str());
    match report.verdict {
        Outcome::Skipped => {
            let missing =
                report.reasons.first().map_or(String::new(), |reason| format!("`{}`: ", reason.expected));
            format!("skipped: {missing}{why}")
        }
        _ => format!("not known: {why}"),
    }
}

/// Where a ceiling that is still there went; empty where it is the same.
fn changes(was: &State, is: &State) -> String {
    let mut changes = Vec::new();
    if was.held != is.held {
        changes.push(format!("{} → {}", was.number(), is.number()));
    }
    if was.how != is.how {
        changes.push(format!("{} → {}", was.how, is.how));
    }
    changes.join(", ")
}

/// What ends it: the call that fails, or what it does in place of one.
fn how(report: &Report) -> String {
    match (&report.ceiling.first_failure, report.ceiling.kind) {
        (Some(first), _) => first.call.to_string(),
        (None, Some(Kind::OwnLimit)) => "a rule of its own".into(),
        (None, Some(Kind::Exited)) => "it exits".into(),
        (None, None) if report.ceiling.stopped() == Some(true) => "a full table".into(),
        (None, Some(Kind::OtherLimit)) => {
            report.ceiling.binds.as_ref().map_or("another limit", |binds| binds.resource.name()).into()
        }
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
        let counted = self.kind.map_or(format!(" ({})", Ceiling::BY_COUNT), |_| String::new());
        let mut ceiling = match (self.ceiling, self.held, self.reached) {
            (Some(n), ..) => format!("{n}{unit}{counted}"),
            (None, Some(n), Some(false)) => format!("none up to {n}{unit}{counted}"),
            _ => dash(),
        };
        let mut first = match (&self.first_failure, self.kind) {
            (Some(first), _) => format!("{} {}", first.call, first.errno),
            (None, Some(Kind::Generator) | None) => dash(),
            (None, Some(_)) => "none".into(),
        };
        let mut limits = self.limits.map_or_else(dash, |l| format!("{}:{}", l.soft, l.hard));
        if let Some(moved) = &self.moved {
            limits = format!("{limits} → {}:{}", moved.limits.soft, moved.limits.hard);
            let none = moved.first_failure.is_none() && moved.resumed != Some(false);
            let held = moved
                .held
                .map_or_else(dash, |n| if none { format!("none up to {n}") } else { n.to_string() });
            ceiling = format!("{ceiling} → {held}");
            if moved.first_failure != self.first_failure {
                let next = moved
                    .first_failure
                    .as_ref()
                    .map_or("none".to_owned(), |f| format!("{} {}", f.call, f.errno));
                first = format!("{first} → {next}");
            }
        }
        let mut cells = vec![self.variant.clone().unwrap_or_else(|| "(as it was)".into())];
        cells.extend(believed.then(|| self.believed.clone().unwrap_or_else(dash)));
        cells.extend([limits, ceiling, first, cut(&self.verdict, VERDICT)]);
        cells
    }
}

/// The tables as text of at most `width` columns.
pub fn render(tables: &[Table], colour: bool, width: usize) -> String {
    let mut text = String::new();
    for table in tables {
        let title = clean(&format!("Remedies: {}", table.scenario));
        text +=
            &format!("\n{}\n{}\n", if colour { title.bold().to_string() } else { title }, one(table, width));
    }
    text
}

fn one(table: &Table, width: usize) -> String {
    let believed = table.believed();
    let mut shown = comfy_table::Table::new();
    shown
        .load_style(presets::UTF8_HORIZONTAL_ONLY)
        .force_no_tty()
        .set_content_arrangement(ContentArrangement::Dynamic);
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
        let text =
            "claim = \"stops\"\nprocesses.server = { command = [\"s\"], limits = { soft = 64, hard = 64 } }";
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

    /// The same run, whose limits were then moved in the live process.
    fn then(
        mut report: Report,
        soft: u64,
        after: Option<u64>,
        failing: bool,
        resumed: Option<bool>,
    ) -> Report {
        let next_failure = report.ceiling.first_failure.clone().filter(|_| failing);
        report.moved = vec![crate::measure::Moved {
            soft,
            hard: 256,
            accepted_after: after,
            next_failure,
            resumed,
            ..Default::default()
        }];
        report
    }

    #[test]
    fn a_limit_that_is_moved_in_the_live_process_is_judged_by_what_follows() {
        let stopped = |variant| run(variant, Kind::Emfile, 57, Some(Call::Accept4));
        let reports = [
            stopped(None),
            then(stopped(Some("raised")), 128, Some(121), true, Some(true)),
            then(stopped(Some("raised beyond all clients")), 256, Some(200), false, Some(true)),
            then(stopped(Some("raised, and its loop is dead")), 256, Some(57), false, Some(false)),
            then(stopped(Some("lowered")), 32, Some(57), true, None),
            then(stopped(Some("nobody waits")), 128, None, false, None),
        ];
        let live = ", in the live process";
        let words = [
            (None, "as it was".to_owned()),
            (Some(false), format!("no: 57 → 121{live}")),
            (Some(true), format!("yes{live}")),
            (Some(false), format!("no: accept4 → it does not accept again{live}")),
            (Some(false), format!("no: the same{live}")),
            (None, format!("not known: its limits were moved{live}, and nobody waited to be accepted")),
        ];
        assert_eq!(verdicts(&reports), words);
        let cells = |row: usize| tables(&reports)[0].rows[row].cells(false);
        assert_eq!(cells(1)[1..4], ["64:128 → 128:256", "57 → 121", "accept4 EMFILE"]);
        assert_eq!(cells(2)[1..4], ["64:128 → 256:256", "57 → none up to 200", "accept4 EMFILE → none"]);
        // Where the scenario as written moves the limit itself, a variant that moves it alike is compared after both.
        let base = then(stopped(None), 128, Some(121), true, Some(true));
        let faster = then(
            run(Some("fewer at rest"), Kind::Emfile, 60, Some(Call::Accept4)),
            128,
            Some(124),
            true,
            Some(true),
        );
        let said = verdicts(&[base, faster, stopped(Some("not moved"))]);
        assert_eq!(said[0], (None, format!("as it was; then 57 → 121{live}")));
        assert_eq!(said[1], (Some(false), format!("no: 121 → 124{live}")));
        assert_eq!(said[2], (Some(false), "no: the same".into()));
    }

    #[test]
    fn without_how_it_was_nothing_is_called_cured() {
        let mut base = run(None, Kind::Emfile, 52, Some(Call::Accept4));
        base.verdict = Outcome::Inconclusive;
        base.reasons = vec![crate::judge::Reason {
            expectation: "run".into(),
            expected: String::new(),
            observed: "no observer".into(),
        }];
        let raised = run(Some("raised"), Kind::NotReached, 96, None);
        let said = verdicts(&[base, raised.clone()]);
        assert_eq!(said[0], (None, "not known: no observer".into()));
        assert_eq!(said[1].0, None, "{said:?}");
        let held = run(None, Kind::NotReached, 96, None);
        assert_eq!(verdicts(&[held.clone(), raised])[1].0, None);
        assert_eq!(
            verdicts(&[held, run(Some("proxy"), Kind::Emfile, 25, None)])[1],
            (Some(false), "worse: no ceiling → 25".into())
        );
    }

    #[test]
    fn a_ceiling_that_only_the_descriptor_count_tells_is_compared_too() {
        let counted = |variant, reached, held| {
            let mut report = run(variant, Kind::Emfile, held, None);
            (report.ceiling.kind, report.ceiling.reached) = (None, reached);
            report
        };
        let reports = [
            counted(None, Some(true), 57),
            counted(Some("raised"), Some(false), 80),
            counted(Some("lost"), None, 9),
        ];
        let said = verdicts(&reports);
        assert_eq!(said[..2], [(None, "as it was".into()), (Some(true), "yes".into())]);
        assert!(said[2].1.starts_with("not known"), "{said:?}");
        let cells: Vec<String> =
            tables(&reports)[0].rows.iter().map(|row| row.cells(false)[2].clone()).collect();
        assert_eq!(cells, ["57 (by descriptor count)", "none up to 80 (by descriptor count)", "–"]);
        let markdown = crate::report::markdown::render(&reports);
        for cell in [
            "| 57 (by descriptor count) |",
            "| 80 (not-reached, by descriptor count) |",
            "– | – | – | – | – |",
        ] {
            assert!(markdown.contains(cell), "{cell}: {markdown}");
        }
    }

    #[test]
    fn one_variant_alone_makes_no_table_and_repetitions_one_row() {
        let (base, raised) = (
            run(None, Kind::Emfile, 52, Some(Call::Accept4)),
            run(Some("raised"), Kind::NotReached, 96, None),
        );
        assert_eq!(tables(&[base.clone(), base.clone()]), []);
        let skipped = |report: &Report| Report { verdict: Outcome::Skipped, ..report.clone() };
        assert_eq!(tables(&[skipped(&base), skipped(&raised)]), []);
        let mut other = raised.clone();
        other.scenario = "other".into();
        assert_eq!(tables(&[base.clone(), other]), []);
        let late = run(None, Kind::Emfile, 53, Some(Call::Accept4));
        let names: Vec<_> = tables(&[raised.clone(), base.clone(), raised, base, late])[0]
            .rows
            .iter()
            .map(|r| (r.variant.clone(), r.held))
            .collect();
        assert_eq!(names, [(None, Some(52)), (None, Some(53)), (Some("raised".into()), Some(96))]);
    }
}
