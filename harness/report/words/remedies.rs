//! The remedy table in words: headings, cells and verdicts.

use super::limits::pair;
use super::{BY_COUNT, judged, repeats};
use crate::measure::{Kind, Resource};
use crate::report::page::cut;
use crate::report::remedies::{At, Effect, FirstFailure, How, Row, Said, Verdict};

/// The column that is left out where nobody's belief is written down.
const BELIEVED: &str = "people believed";
const HEADINGS: [&str; 6] = ["remedy", BELIEVED, "limits", "ceiling", "first failure", "cured"];

/// Longest verdict in a cell, characters; the report of the run itself has the whole reason.
const VERDICT: usize = 72;

/// The title of the table.
pub fn title(scenario: &str) -> String {
    format!("Remedies: {scenario}")
}

/// The headings, with or without what people believed.
pub fn headings(believed: bool) -> Vec<&'static str> {
    HEADINGS.into_iter().filter(|heading| believed || *heading != BELIEVED).collect()
}

/// One text for each of the [`headings`]; a dash for what was not measured. Repetitions that differ stand
/// beside each other.
pub fn cells(row: &Row, believed: bool) -> Vec<String> {
    let mut name = row.variant.clone().unwrap_or_else(|| "(none)".into());
    if let Some(repeated) = &row.repeats {
        name += &format!(" ({})", repeats(repeated));
    }
    let mut cells = vec![name];
    cells.extend(believed.then(|| row.believed.clone().unwrap_or_else(dash)));
    let mut measured = measured(row).map(|cell| vec![cell]);
    for other in &row.otherwise {
        for (cells, cell) in measured.iter_mut().zip(self::measured(other)) {
            if !cells.contains(&cell) {
                cells.push(cell);
            }
        }
    }
    cells.extend(measured.map(|cells| cells.join(" or ")));
    cells
}

fn dash() -> String {
    "–".to_owned()
}

/// Limits, ceiling, first failure and verdict of one run.
fn measured(row: &Row) -> [String; 4] {
    let unit = if row.calls { " calls" } else { "" };
    let counted = row.kind.map_or(format!(" ({BY_COUNT})"), |_| String::new());
    let mut ceiling = match (row.ceiling, row.held, row.reached) {
        (Some(n), ..) => format!("{n}{unit}{counted}"),
        (None, Some(n), Some(false)) => format!("none up to {n}{unit}{counted}"),
        _ => dash(),
    };
    let mut first = match (&row.first_failure, row.kind) {
        (Some(first), _) => failure(first),
        (None, Some(Kind::Generator) | None) => dash(),
        (None, Some(_)) => "none".into(),
    };
    let mut limits = row.limits.map_or_else(dash, pair);
    if let Some(moved) = &row.moved {
        limits = format!("{limits} → {}", pair(moved.limits));
        let none = moved.first_failure.is_none() && moved.resumed != Some(false);
        let held =
            moved.held.map_or_else(dash, |n| if none { format!("none up to {n}") } else { n.to_string() });
        ceiling = format!("{ceiling} → {held}");
        if moved.first_failure != row.first_failure {
            let next = moved.first_failure.as_ref().map_or("none".to_owned(), failure);
            first = format!("{first} → {next}");
        }
    }
    [limits, ceiling, first, cut(&verdict(&row.verdict), VERDICT)]
}

fn failure(failure: &FirstFailure) -> String {
    format!("{} {}", failure.call, failure.errno)
}

/// Whether the remedy cures, and what it does to the ceiling.
pub fn verdict(verdict: &Verdict) -> String {
    let live = if verdict.live { ", in the running process" } else { "" };
    let said = match &verdict.said {
        Said::AsWritten { stopped, then } => {
            let none = if *stopped { "" } else { ": no ceiling" };
            let then = then.as_ref().map_or(String::new(), |then| format!("; then {}{live}", became(then)));
            format!("as written{none}{then}")
        }
        Said::NotStarted => "no: it does not start".into(),
        Said::Skipped(reason) => {
            format!("skipped: `{}`: {}", judged::expected(reason), judged::observed(reason))
        }
        Said::NotKnown(Some(reason)) => format!("not known: {}", judged::observed(reason)),
        Said::NotKnown(None) => "not known: nothing was measured".into(),
        Said::NothingToCompare { stopped } => {
            let but = "the run without a remedy does not tell";
            match stopped {
                Some(true) => format!("no{live}; {but} how it was"),
                Some(false) => format!("no ceiling{live}; {but} how it was"),
                None => format!("not known: {but}"),
            }
        }
        Said::Remedy(effect) => remedied(effect, live),
    };
    let unexpected = if verdict.unexpected { " (the scenario expects something else)" } else { "" };
    format!("{said}{unexpected}")
}

fn remedied(effect: &Effect, live: &str) -> String {
    match effect {
        Effect::NobodyWaited => "not known: its limits were moved, and nobody waited to be accepted".into(),
        Effect::Gone { .. } => format!("yes{live}"),
        Effect::NeverThere => format!("no ceiling, with or without it{live}"),
        Effect::New { at } => format!("worse: no ceiling → {}{live}", number(*at)),
        Effect::Stays { was, is } if was == is => format!("no: the same ceiling{live}"),
        Effect::Stays { was, is } => {
            let fewer = was.held.zip(is.held).is_some_and(|(was, is)| is < was);
            // A descriptor that cannot be watched ends the program, or its accept loop.
            let ends = is.how == How::RanOut(Some(Resource::FdSetsize)) && is.how != was.how;
            format!("{}: {}{live}", if fewer || ends { "worse" } else { "no" }, changes(*was, *is))
        }
    }
}

/// The effect of moved limits on the scenario as written.
fn became(effect: &Effect) -> String {
    match effect {
        Effect::NobodyWaited => "nobody waited to be accepted".into(),
        Effect::Gone { was } => format!("{} → no ceiling", number(*was)),
        Effect::NeverThere => "still no ceiling".into(),
        Effect::New { at } => format!("no ceiling → {}", number(*at)),
        Effect::Stays { was, is } if was == is => "the same ceiling".into(),
        Effect::Stays { was, is } => changes(*was, *is),
    }
}

fn number(held: Option<u64>) -> String {
    held.map_or_else(|| "?".into(), |n| n.to_string())
}

/// Where a ceiling that is still there went.
fn changes(was: At, is: At) -> String {
    let mut changes = Vec::new();
    if was.held != is.held {
        changes.push(format!("{} → {}", number(was.held), number(is.held)));
    }
    if was.how != is.how {
        changes.push(format!("{} → {}", how(was.how), how(is.how)));
    }
    changes.join(", ")
}

fn how(how: How) -> &'static str {
    match how {
        How::Fails(call) => call.name(),
        How::OwnRule => "its own rule",
        How::Exits => "it exits",
        How::FullTable => "a full table",
        How::RanOut(resource) => resource.map_or("another limit", super::binds::resource),
        How::NeverAccepts => "it never accepts again",
        How::NothingFails => "no failing call",
    }
}
