//! The report of a comparison, in each format: layout only.

use super::page::{Page, clean};
use super::tables::empty;
use super::words::compare as words;
use crate::compare::{Change, Comparison, Ending, Judged, Row, Scale};
use comfy_table::presets;
use quick_junit::{NonSuccessKind, TestCase, TestCaseStatus, TestSuite};
use serde_json::{Value, json};

/// The schema of the JSON report.
pub const SCHEMA: &str = "lastfd/compare/1";

/// For a terminal of at most so many columns. `full`: every row.
pub fn text(comparison: &Comparison, full: bool, colour: bool, width: usize) -> String {
    let mut page = Page::new(colour, width);
    page.paragraph(&clean(&words::answer(comparison)));
    let rows: Vec<&Row> = comparison.rows.iter().filter(|row| full || tells(row)).collect();
    let mut table = empty(width);
    // One line a row: they are read down the columns.
    table.load_style(presets::UTF8_HORIZONTAL_ONLY.row_separator(presets::NOTHING.row_separator));
    table.set_header(words::headings(comparison));
    for row in &rows {
        table.add_row(words::cells(comparison, row));
    }
    let table = if rows.is_empty() { String::new() } else { format!("{}\n\n", table.trim_fmt()) };
    let answer = std::mem::take(&mut page.text);
    for (label, text) in words::facts(comparison) {
        page.say(label, &clean(&text));
    }
    format!("{answer}\n{table}{}", page.text)
}

/// Whether a row says something: not one that could not be measured, or is zero on both sides.
pub(super) fn tells(row: &Row) -> bool {
    let nothing = row.change == Change::ExactlySame && row.medians == [0.0, 0.0];
    row.decides || !nothing && !matches!(row.change, Change::Unknown(_))
}

/// For a pull request.
pub fn markdown(comparison: &Comparison) -> String {
    let escaped = |text: &str| clean(text).replace('|', "\\|");
    let mut text = format!("{}\n\n", clean(&words::answer(comparison)));
    let rows: Vec<&Row> = comparison.rows.iter().filter(|row| tells(row)).collect();
    if !rows.is_empty() {
        text += &format!("| {} |\n|---|---:|---:|---|\n", words::headings(comparison).join(" | "));
        for row in rows {
            text +=
                &format!("| {} |\n", words::cells(comparison, row).map(|cell| escaped(&cell)).join(" | "));
        }
        text.push('\n');
    }
    for (label, fact) in words::facts(comparison) {
        text += &format!("- **{label}** {}\n", escaped(&fact).replace('\n', "<br>"));
    }
    text
}

/// For other programs.
pub fn json(comparison: &Comparison) -> String {
    let rows: Vec<Value> = comparison.rows.iter().map(row).collect();
    let judged = |judged: &Judged| match judged {
        Judged::Kept => "kept",
        Judged::Broken => "broken",
        Judged::Open => "no-conclusion",
        Judged::NotMeasured => "not-measured",
    };
    let bounds: Vec<Value> = comparison
        .judged
        .iter()
        .map(|(bound, verdict)| json!({ "bound": bound, "verdict": judged(verdict) }))
        .collect();
    let header = &comparison.header;
    let report = json!({
        "schema": SCHEMA,
        "lastfd_version": header.lastfd_version,
        "started_at": header.started_at,
        "environment": header.environment,
        "before": header.sides[0],
        "after": header.sides[1],
        "method": header.method,
        "reference": header.reference,
        "blocks": comparison.blocks,
        "noise_blocks": comparison.noise_blocks,
        "left_out": comparison.left_out,
        "took_s": comparison.took_s,
        "ending": comparison.ending,
        "different_work": comparison.different_work,
        "rows": rows,
        "bounds": bounds,
    });
    serde_json::to_string_pretty(&report).expect("numbers and texts") + "\n"
}

fn row(row: &Row) -> Value {
    let scale = row.quantity.scale();
    // An end that is not known yet is null.
    let end = |value: f64| value.is_finite().then_some(value);
    let (verdict, interval) = match row.change {
        Change::ExactlySame => ("exactly-same", None),
        Change::Exactly { better: true } => ("exactly-better", None),
        Change::Exactly { better: false } => ("exactly-worse", None),
        Change::Better(interval) => ("better", Some(interval)),
        Change::Worse(interval) => ("worse", Some(interval)),
        Change::Same(interval) => ("same", Some(interval)),
        Change::Open { interval, .. } => ("no-conclusion", interval),
        Change::Unknown(_) => ("not-measured", None),
    };
    let needs = match row.change {
        Change::Open { needs, .. } => needs,
        _ => None,
    };
    let mut value = json!({
        "quantity": row.quantity,
        "decides": row.decides,
        "before": end(row.medians[0]),
        "after": end(row.medians[1]),
        "verdict": verdict,
        "compared_by": if scale == Scale::Ratio { "ratio" } else { "difference" },
        "estimate": end(row.estimate),
        "interval": interval.map(|interval| [end(interval.low), end(interval.high)]),
        "bca": row.described.map(|interval| [end(interval.low), end(interval.high)]),
        "noise": row.noise,
        "drift": row.drift,
        "more_blocks": needs,
    });
    if let Change::Unknown(missing) = row.change {
        value["unmeasured"] = json!(missing);
    }
    value
}

/// A test case for each bound; one that passes where there is none.
pub fn junit(comparison: &Comparison) -> String {
    let title = format!("{} against {}", comparison.header.sides[1].name, comparison.header.sides[0].name);
    let mut suite = TestSuite::new("compare");
    let mut add = |name: String, status: TestCaseStatus| {
        let mut case = TestCase::new(name, status);
        case.set_classname(clean(&title));
        suite.add_test_case(case);
    };
    let non_success = |kind, message: &str| {
        let mut status = TestCaseStatus::non_success(kind);
        status.set_message(clean(message));
        status
    };
    for (bound, judged) in &comparison.judged {
        let said = words::bounded(comparison, bound, *judged);
        add(
            bound.to_string(),
            match judged {
                Judged::Kept => TestCaseStatus::success(),
                Judged::Broken => non_success(NonSuccessKind::Failure, &said),
                Judged::Open | Judged::NotMeasured => non_success(NonSuccessKind::Error, &said),
            },
        );
    }
    let failed = words::failed_at_times(comparison);
    let whole = comparison.concluded() && comparison.ending != Some(Ending::Interrupted) && failed.is_none();
    if comparison.judged.is_empty() || !whole {
        let status = match whole {
            true => TestCaseStatus::success(),
            false => {
                let why = failed.unwrap_or_else(|| words::ending(comparison.ending.as_ref()));
                let said = format!("{} {why}", words::answer(comparison));
                non_success(NonSuccessKind::Error, &said)
            }
        };
        add("comparison".into(), status);
    }
    let mut report = quick_junit::Report::new("lastfd");
    report.add_test_suite(suite);
    report.to_string().expect("what is clean is XML")
}
