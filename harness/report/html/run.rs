//! One run: the answer first, then the pictures, then all facts, then its event log.

use super::super::Report;
use super::super::lines::{self, Part};
use super::super::page::cut;
use super::super::short;
use super::super::words::{baseline, ceiling, costs, picture as words};
use super::detail::Detail;
use super::parts::{closed, few, heading, prose, table, verdict};
use super::pictures;
use crate::event::BEFORE;
use crate::judge::Outcome;
use maud::{Markup, PreEscaped, html};

/// Characters of a title.
const TITLE: usize = 120;
/// Characters of what the index says of a run.
const SHORT: usize = 200;

/// A run's first sentence: why it is not met, or where it stopped.
pub fn in_short(r: &Report) -> String {
    let reason = short::reasons(r).into_iter().next().filter(|_| r.verdict.outcome != Outcome::Met);
    cut(&reason.unwrap_or_else(|| ceiling::headline(r)), SHORT)
}

/// All of a run but its log. `several`: its title is below another one.
pub fn run(r: &Report, number: usize, several: bool, detail: &Detail) -> Markup {
    let level = if several { 2 } else { 1 };
    let id = format!("r{number}");
    let section = |title: &str, inside: Option<Markup>| {
        html! { @if let Some(inside) = inside { section { (heading(level + 1, title)) (inside) } } }
    };
    let shown = r.verdict.outcome != Outcome::Skipped;
    let drawn = shown && detail.pictures;
    let timeline = &r.found.timeline;
    let any = !timeline.phases.is_empty() && !timeline.over.descriptors.is_empty();
    html! {
        (answer(r, level, detail))
        @if drawn && any { (section(words::OVER_TIME, Some(pictures::over_time(r, &id, detail)))) }
        @if drawn { (section(words::WHO_HELD, pictures::held(r, &id, detail))) }
        @if shown { (section(words::CHAIN, pictures::chain(r, &id, detail))) }
        @if shown { (section(words::AT_REST, at_rest(r, detail))) }
        @if drawn { (section(words::CLIENTS, pictures::clients(r, &id))) }
        @if drawn { (section(words::ROUNDS, pictures::rounds(r, &id, detail))) }
        @if shown { (section(words::FACTS, Some(facts(r, detail)))) }
    }
}

/// The verdict, the number, which limit and whose, and the first paragraph.
fn answer(r: &Report, level: u8, detail: &Detail) -> Markup {
    let reasons: Vec<String> =
        short::further_reasons(r).iter().map(|reason| cut(reason, detail.text)).collect();
    let because = html! {
        @if !reasons.is_empty() {
            ul.because { @for reason in &reasons { li { (prose(reason)) } } }
        }
    };
    // An expectation that was not met is the answer.
    let first = matches!(r.verdict.outcome, Outcome::NotMet | Outcome::Skipped);
    let paragraph = short::paragraph(r);
    html! {
        div.answer {
            p { (verdict(r)) }
            (heading(level, &cut(&r.title(), TITLE)))
            @if !r.claim.is_empty() && !r.is_find() { p.claim { (cut(&r.claim, detail.text)) } }
            @if r.verdict.outcome != Outcome::Skipped {
                dl.figures {
                    @for (label, number, remark) in words::figures(r) {
                        div { dt { (label) } dd { span.big { (number) } " " span.remark { (prose(&remark)) } } }
                    }
                }
            }
            @if first { (because) }
            @if !paragraph.is_empty() { p.lead { (prose(&paragraph)) } }
            @if !first { (because) }
        }
    }
}

/// The descriptors open before the first client, each a row of a table that is closed at first.
fn at_rest(r: &Report, detail: &Detail) -> Option<Markup> {
    let said = baseline::at_rest(r)?;
    let inventory = &r.found.baseline.inventory;
    let (shown, more) = few(inventory, detail.inventory, "descriptor");
    let rows = shown
        .into_iter()
        .map(|d| vec![d.fd.to_string(), d.kind.to_string(), cut(&d.detail, detail.text.min(300))]);
    Some(html! {
        p { (prose(&cut(&said, detail.text))) }
        @if !inventory.is_empty() && detail.inventory > 0 {
            (closed(words::EACH, html! {
                (table(&words::INVENTORY_COLUMNS, rows))
                @if let Some(more) = more { (more) }
            }))
        }
    })
}

/// Every fact with its label, as the terminal's full report has it.
fn facts(r: &Report, detail: &Detail) -> Markup {
    let log = costs::log(r, detail.rows.min(20));
    html! {
        dl.facts {
            @for part in lines::parts(r, true) {
                @if let Part::Fact(label, texts) = part {
                    div {
                        dt { (label) }
                        " "
                        dd { @for text in &texts { p { (prose(&cut(text, detail.text))) } " " } }
                    }
                }
            }
        }
        @if !log.is_empty() {
            p.label { (words::ITS_LOG) }
            pre tabindex="0" { @for line in &log { (cut(line, detail.text.min(400))) "\n" } }
        }
    }
}

/// The run as a part of the page, with its log if it has one.
pub fn with_log(r: &Report, number: usize, several: bool, run: Markup) -> Markup {
    let level = if several { 3 } else { 2 };
    html! {
        article.run id=(format!("run-{number}")) {
            (run)
            @if let Some(carried) = &r.carried {
                section {
                    (heading(level, words::LOG))
                    @match &carried.packed {
                        Some(packed) => {
                            p {
                                (words::log(packed.kept, packed.of)) " "
                                @if packed.is_thinned() { (prose(&words::whole_log(carried.file.as_deref()))) " " }
                                (prose(words::REPLAY)) " "
                                (PreEscaped(format!("<a download=\"events-{number}.jsonl.gz\" {BEFORE}{}\">", packed.base64())))
                                (words::DOWNLOAD) (PreEscaped("</a>"))
                                "."
                            }
                        }
                        None => p { (words::LOG_TOO_LONG) " " (prose(&words::whole_log(carried.file.as_deref()))) }
                    }
                }
            }
            @if several { p.made { (words::made(r)) } }
        }
    }
}
