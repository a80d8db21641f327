//! Parts that every section of the page uses: headings at a level, tables, a verdict.

use super::super::Report;
use super::super::words::{judged, picture as words};
use crate::judge::Outcome;
use maud::{Markup, html};

/// A heading: of one run the sections are at level 2, of several at level 3.
pub fn heading(level: u8, text: &str) -> Markup {
    html! {
        @match level {
            0 | 1 => h1 { (text) },
            2 => h2 { (text) },
            3 => h3 { (text) },
            _ => h4 { (text) },
        }
    }
}

/// A table that scrolls on its own where the page is too narrow.
pub fn table<H: AsRef<str>>(headings: &[H], rows: impl IntoIterator<Item = Vec<String>>) -> Markup {
    let named = headings.iter().map(AsRef::as_ref).filter(|heading| !heading.is_empty());
    let label = named.collect::<Vec<_>>().join(", ");
    html! {
        div.scroll tabindex="0" role="group" aria-label=(label) {
            table {
                thead { tr { @for heading in headings {
                    @if heading.as_ref().is_empty() { td {} } @else { th scope="col" { (heading.as_ref()) } }
                } } }
                tbody { @for row in rows { tr { @for cell in row { td { (prose(&cell)) } } } } }
            }
        }
    }
}

/// A table that is closed until it is asked for.
pub fn closed(summary: &str, inside: Markup) -> Markup {
    html! { details { summary { (summary) } (inside) } }
}

/// A verdict with its mark, in its colour.
pub fn verdict(r: &Report) -> Markup {
    let (mark, name) = judged::verdict(&r.verdict);
    let class = match r.verdict.outcome {
        Outcome::Met if r.verdict.judged == 0 => "verdict measured",
        Outcome::Met => "verdict met",
        Outcome::NotMet => "verdict not-met",
        Outcome::Inconclusive => "verdict inconclusive",
        Outcome::Skipped => "verdict skipped",
    };
    html! { span class=(class) { span aria-hidden="true" { (mark) } " " (name) } }
}

/// Rows at most, and how many were left out.
pub fn few<'a, T>(all: &'a [T], most: usize, noun: &str) -> (Vec<&'a T>, Option<Markup>) {
    let left = all.len().saturating_sub(most);
    let more = (left > 0).then(|| html! { p.more { (words::left_out(left, noun)) } });
    (all.iter().take(most).collect(), more)
}

/// A text, with code between backquotes.
pub fn prose(text: &str) -> Markup {
    let pieces: Vec<&str> = text.split('`').collect();
    // A single one is none of ours.
    if pieces.len().is_multiple_of(2) {
        return html! { (text) };
    }
    html! {
        @for (n, piece) in pieces.iter().enumerate() {
            @if n % 2 == 1 { code { (piece) } } @else { (piece) }
        }
    }
}
