//! The report that a person reads at two in the morning, without the manual: the verdict, one paragraph that
//! answers, then one line a fact. Layout only: every sentence is made in `words`.

use super::Report;
use super::lines::{self, Part};
pub use super::page::WIDTH;
use super::page::{LABEL, Page, cut};
use super::short;
use super::words::limits::Step;
use super::words::{judged, limits};
use crate::judge::Outcome;
use owo_colors::Style;

/// A kind's column in the inventory.
const KIND: usize = 11;
/// Columns of the title beside the run's name, at most.
const VERDICT: usize = 32;

/// The reports as text of at most `width` columns (40 to 100).
pub fn render(reports: &[Report], colour: bool, width: usize) -> String {
    pages(reports, colour, width, false)
}

/// The same with the whole chain of limits, every descriptor at rest, and every fact.
pub fn render_full(reports: &[Report], colour: bool, width: usize) -> String {
    pages(reports, colour, width, true)
}

fn pages(reports: &[Report], colour: bool, width: usize, full: bool) -> String {
    let mut page = Page::new(colour, width);
    for (i, report) in reports.iter().enumerate() {
        if i > 0 {
            page.text.push('\n');
        }
        title(&mut page, report);
        // An expectation that was not met is the answer; why nothing can be concluded is in the paragraph.
        let reasons = short::further_reasons(report);
        let first = matches!(report.verdict.outcome, Outcome::NotMet | Outcome::Skipped);
        let (before, after) = if first { (reasons, Vec::new()) } else { (Vec::new(), reasons) };
        page.facts("Because", before);
        if report.verdict.outcome != Outcome::Skipped {
            page.paragraph(&short::paragraph(report));
            page.line("");
            page.facts("Because", after);
            facts(&mut page, report, full);
        }
    }
    page.text
}

fn title(page: &mut Page, r: &Report) {
    let style = match r.verdict.outcome {
        Outcome::Met if r.verdict.judged == 0 => Style::new().bold(),
        Outcome::Met => Style::new().green().bold(),
        Outcome::NotMet => Style::new().red().bold(),
        Outcome::Inconclusive => Style::new().yellow().bold(),
        Outcome::Skipped => Style::new().dimmed(),
    };
    let (mark, words) = judged::verdict(&r.verdict);
    let verdict = page.styled(&format!("{mark} {words}"), style);
    let name = cut(&r.title(), (page.room() + LABEL).saturating_sub(VERDICT));
    page.line(&format!("{verdict}  {name}"));
}

/// One line a fact, in the order of a run's events.
fn facts(page: &mut Page, r: &Report, full: bool) {
    for part in lines::parts(r, full) {
        match part {
            Part::Fact(label, texts) => page.facts(label, texts),
            Part::Chain => chain(page, r, full),
            Part::Inventory => inventory(page, r),
            Part::Log(log) => {
                let each = log.iter().enumerate();
                each.for_each(|(i, line)| page.value(if i == 0 { "Log begins" } else { "" }, line));
            }
        }
    }
}

fn chain(page: &mut Page, r: &Report, full: bool) {
    for (depth, step) in limits::chain(r, full).into_iter().enumerate() {
        let tree =
            if depth == 0 { String::new() } else { format!("{}└ ", "  ".repeat((depth - 1).min(12))) };
        let text = match step {
            Step::Folded(n) => {
                format!("{tree}{}", limits::folded(n))
            }
            Step::Link(link, mark) => {
                let values = format!("{}:{}  pid {}", link.soft, link.hard, link.pid);
                let mark = mark.map_or(String::new(), |mark| format!("  ← {mark}"));
                let used = tree.chars().count() + values.len() + mark.chars().count() + 2;
                let command = cut(&link.command, page.room().saturating_sub(used).max(8));
                format!("{tree}{values}  {command}{}", page.styled(&mark, Style::new().yellow().bold()))
            }
        };
        page.line(&format!("{:LABEL$}{text}", ""));
    }
}

fn inventory(page: &mut Page, r: &Report) {
    for d in &r.found.baseline.inventory {
        page.value("", &format!("{:>5}  {:KIND$}  {}", d.fd, d.kind, d.detail));
    }
}
