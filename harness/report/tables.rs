//! Tables for a terminal: remedies, and a sweep of the limit.

use super::page::{Page, clean};
use super::words::{remedies as remedy_words, sweep as sweep_words};
use super::{remedies, sweep};
use comfy_table::{ColumnConstraint, ContentArrangement, Table, presets};
use owo_colors::OwoColorize;

/// The remedy tables as text of at most `width` columns.
pub fn remedies(tables: &[remedies::Table], colour: bool, width: usize) -> String {
    let mut text = String::new();
    for table in tables {
        let believed = table.believed();
        let mut shown = empty(width);
        shown.set_header(remedy_words::headings(believed));
        for row in &table.rows {
            shown.add_row(remedy_words::cells(row, believed).iter().map(|cell| clean(cell)));
        }
        // A pair of limits is one word, which a reader compares down the column: never broken.
        if let Some(limits) = shown.column_mut(if believed { 2 } else { 1 }) {
            limits.set_constraint(ColumnConstraint::ContentWidth);
        }
        let title = bold(&clean(&remedy_words::title(&table.scenario)), colour);
        text += &format!("\n{title}\n{}\n", shown.trim_fmt());
    }
    text
}

/// The table of a sweep, the line and what binds.
pub fn sweep(sweep: &sweep::Sweep, colour: bool, width: usize) -> String {
    let mut shown = empty(width);
    shown.set_header(sweep_words::HEADINGS);
    for point in &sweep.points {
        shown.add_row(sweep_words::cells(point));
    }
    let mut page = Page::new(colour, width);
    sweep_words::said(sweep).iter().for_each(|(label, text)| page.say(label, text));
    format!("\n{}\n{}\n{}", bold(sweep_words::TITLE, colour), shown.trim_fmt(), page.text)
}

pub(super) fn empty(width: usize) -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::UTF8_HORIZONTAL_ONLY)
        .force_no_tty()
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(width.try_into().unwrap_or(u16::MAX));
    table
}

fn bold(title: &str, colour: bool) -> String {
    if colour { title.bold().to_string() } else { title.to_owned() }
}
