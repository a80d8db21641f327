//! One HTML file that a browser shows without a script and without a request, from the event log alone. The
//! pictures' colours are attributes, too, so that a page whose style is blocked can be read.

mod chart;
mod compared;
mod detail;
mod parts;
mod pictures;
mod run;

use super::words::picture as words;
use super::words::{compare as compare_words, remedies as remedy_words, sweep as sweep_words};
use super::{Report, page, remedies, sweep};
use crate::compare::Comparison;
use crate::judge::Outcome;
use detail::{DETAILS, Detail};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use parts::table;
use sha2::{Digest, Sha256};

/// How it looks; the page's own policy allows this style only.
const STYLE: &str = include_str!("style.css");
/// Bytes of one run without its event log, at most; and of all runs together.
pub const RUN_BYTES: usize = 150_000;
/// For as many runs as have room for [`LEAST_BYTES`] each.
pub const ALL_BYTES: usize = 1_000_000;
/// Bytes that a run may have however many there are.
const LEAST_BYTES: usize = 13_000;
/// Bytes of the page beside its runs: the style, and an index of 64 runs.
const AROUND_BYTES: usize = 50_000;
/// Characters of a title.
const TITLE: usize = 120;

/// The reports as one page.
pub fn render(reports: &[Report]) -> String {
    let tables = remedies::tables(reports);
    page_of(reports, html! { @for table in &tables { (remedy_table(table)) } })
}

/// The same of one program at several limits: the line through them first.
pub fn render_sweep(reports: &[Report], sweep: &sweep::Sweep) -> String {
    let rows = sweep.points.iter().map(|point| sweep_words::cells(point).to_vec()).collect::<Vec<_>>();
    page_of(
        reports,
        html! {
            section {
                h2 { (sweep_words::TITLE) }
                (table(&sweep_words::HEADINGS, rows))
                @for (label, said) in sweep_words::said(sweep) { p { b { (label) } " " (said) } }
            }
        },
    )
}

fn page_of(reports: &[Report], together: Markup) -> String {
    let titles: Vec<String> = reports.iter().map(|r| page::cut(&r.title(), TITLE)).collect();
    let room = (ALL_BYTES - AROUND_BYTES) / reports.len().max(1);
    let room = room.clamp(LEAST_BYTES, RUN_BYTES - 12_000);
    let several = reports.len() != 1;
    let body = html! {
        @if several {
            header.top {
                p.brand { "lastfd" }
                h1 { (words::runs(reports)) }
            }
        }
        main {
            @if several { (index(reports, &titles)) (together) }
            @for (n, r) in reports.iter().enumerate() { (fitted(r, n + 1, several, room)) }
            @if !several { (together) }
        }
        footer {
            @if let [one] = reports { p { (words::made(one)) } }
        }
    };
    document(&words::page(&titles), &body)
}

/// A page with this title: its style, and a policy that allows no other and no request.
fn document(title: &str, body: &Markup) -> String {
    let hash = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, Sha256::digest(STYLE));
    let policy =
        format!("default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'");
    let whole = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(policy);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body { (body) }
        }
    };
    harmless(whole.into_string())
}

/// The report of a comparison.
pub fn compared(comparison: &Comparison) -> String {
    document(&words::page(&[compare_words::TITLE.to_owned()]), &compared::body(comparison))
}

/// A run with as much detail as fits.
fn fitted(r: &Report, number: usize, several: bool, room: usize) -> Markup {
    let with = |detail: &Detail| run::run(r, number, several, detail);
    let fitting = DETAILS.iter().map(with).find(|run| run.0.len() <= room);
    let run = fitting.unwrap_or_else(|| with(&DETAILS[DETAILS.len() - 1]));
    run::with_log(r, number, several, run)
}

/// All runs, each with its verdict and the first sentence on it; those that need a reader come first.
fn index(reports: &[Report], titles: &[String]) -> Markup {
    let mut rows: Vec<((&Report, &String), usize)> = reports.iter().zip(titles).zip(1..).collect();
    rows.sort_by_key(|((r, _), _)| match r.verdict.outcome {
        Outcome::NotMet => 0,
        Outcome::Inconclusive => 1,
        Outcome::Skipped => 2,
        Outcome::Met => 3,
    });
    html! {
        section.index {
            h2 { (words::RUNS) }
            div.scroll tabindex="0" role="group" aria-label=(words::RUNS) {
                table {
                    thead { tr { @for heading in words::INDEX_COLUMNS { th scope="col" { (heading) } } } }
                    tbody {
                        @for ((r, title), n) in rows {
                            tr {
                                td { (parts::verdict(r)) }
                                th scope="row" { a href=(format!("#run-{n}")) { (title) } }
                                td.number { (words::ceiling(r)) }
                                td { (run::in_short(r)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The table of a scenario's remedies, and what each changed.
fn remedy_table(of: &remedies::Table) -> Markup {
    let believed = of.believed();
    let rows = of.rows.iter().map(|row| remedy_words::cells(row, believed)).collect::<Vec<_>>();
    html! {
        section {
            h2 { (remedy_words::title(&page::cut(&of.scenario, TITLE))) }
            (table(&remedy_words::headings(believed), rows))
        }
    }
}

/// Without what a subject may have written to change how the page reads: control characters, and those that
/// turn the direction of text.
fn harmless(page: String) -> String {
    let turns =
        |c: char| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}');
    let nothing = |c: char| (c as u32 & 0xfffe) == 0xfffe || ('\u{fdd0}'..='\u{fdef}').contains(&c);
    if !page.chars().any(|c| c.is_control() && c != '\n' || turns(c) || nothing(c)) {
        return page;
    }
    let harmless = |c: char| match c {
        '\n' => '\n',
        c if c.is_control() => ' ',
        c if turns(c) || nothing(c) => '\u{fffd}',
        c => c,
    };
    page.chars().map(harmless).collect()
}
