//! Plain text for a terminal of 100 columns: headings, labelled lines, tables, commands to copy. Colour only
//! where standard output is a terminal. Text that comes from other processes (command lines, paths) never
//! reaches the terminal raw.

use super::output::{STDOUT, writable, written};
use super::plain::clean;
use super::{Exit, Failure};
pub use crate::report::page::cut as shorten;
use crate::report::page::wrap;
use owo_colors::{OwoColorize, Style};
use serde::Serialize;
use std::fmt::Write as _;
use std::io::Write as _;

/// Columns that a page uses at most. A command to copy is never broken, and may be longer.
pub const COLUMNS: usize = 100;

/// Text in the making.
#[derive(Debug, Default)]
pub struct Page(String);

impl Page {
    /// A bold line, with an empty one before it unless it is the first.
    pub fn heading(&mut self, text: &str) {
        if !self.0.is_empty() {
            self.0.push('\n');
        }
        let text = shorten(&clean(text), COLUMNS);
        let _ = writeln!(self.0, "{}", text.bold());
    }

    /// An urgent text, wrapped at [`COLUMNS`], red and bold.
    pub fn alarm(&mut self, text: &str) {
        for line in wrap(&clean(text), COLUMNS) {
            let _ = writeln!(self.0, "{}", line.red().bold());
        }
    }

    /// Text wrapped at [`COLUMNS`], after a label of the given width; further lines are indented alike.
    pub fn item(&mut self, label: &str, width: usize, style: Style, text: &str) {
        self.labelled(&[(label, width, style)], text);
    }

    /// Text wrapped at [`COLUMNS`], after labels of the given widths; further lines are indented alike.
    pub fn labelled(&mut self, labels: &[(&str, usize, Style)], text: &str) {
        let mut head = String::from("  ");
        let mut indent = 2;
        for (label, width, style) in labels {
            let label = format!("{:<width$}", shorten(&clean(label), *width));
            let _ = write!(head, "{}  ", label.style(*style));
            indent += width + 2;
        }
        for line in wrap(&clean(text), COLUMNS - indent) {
            let _ = writeln!(self.0, "{head}{line}");
            head = " ".repeat(indent);
        }
    }

    /// A paragraph, indented.
    pub fn text(&mut self, text: &str) {
        for line in wrap(&clean(text), COLUMNS - 2) {
            let _ = writeln!(self.0, "  {line}");
        }
    }

    /// A command to copy, on a line of its own after this many spaces.
    pub fn command(&mut self, indent: usize, command: &str) {
        let _ = writeln!(self.0, "{:indent$}{}", "", clean(command).cyan());
    }

    /// Rows under headings. The last column takes what is left; numbers are aligned to the right.
    pub fn table(&mut self, headings: &[&str], rows: &[Vec<String>]) {
        let rows: Vec<Vec<String>> =
            rows.iter().map(|row| row.iter().map(|cell| clean(cell)).collect()).collect();
        let last = headings.len() - 1;
        let widths: Vec<usize> = (0..last)
            .map(|column| {
                let cells = rows.iter().map(|row| row[column].chars().count());
                cells.chain([headings[column].len()]).max().unwrap_or(0).min(50)
            })
            .collect();
        let rest = COLUMNS.saturating_sub(2 + widths.iter().map(|width| width + 2).sum::<usize>()).max(16);
        let line = |row: &[String]| {
            let mut line = String::from("  ");
            for (cell, &width) in row.iter().zip(&widths) {
                let cell = shorten(cell, width);
                if cell.starts_with(|c: char| c.is_ascii_digit()) {
                    let _ = write!(line, "{cell:>width$}  ");
                } else {
                    let _ = write!(line, "{cell:<width$}  ");
                }
            }
            line + &shorten(&row[last], rest)
        };
        let headings: Vec<String> = headings.iter().map(|heading| (*heading).to_owned()).collect();
        let _ = writeln!(self.0, "{}", line(&headings).trim_end().dimmed());
        for row in &rows {
            let _ = writeln!(self.0, "{}", line(row).trim_end());
        }
    }

    /// Writes the page to standard output, without colours where that is no terminal.
    ///
    /// # Errors
    /// Standard output cannot be written to; a reader that went away is none.
    pub fn print(self) -> Result<(), Failure> {
        written(anstream::stdout().write_all(self.0.as_bytes()), STDOUT)
    }
}

/// Writes one JSON document to a file, or to standard output for `-`.
///
/// # Errors
/// The file cannot be written.
pub fn write_json(to: &str, document: &impl Serialize) -> Result<(), Failure> {
    let mut text = serde_json::to_string_pretty(document).map_err(|e| Failure::new(Exit::Fault, e))?;
    text.push('\n');
    match to {
        "-" => written(std::io::stdout().write_all(text.as_bytes()), STDOUT),
        file => written(std::fs::write(file, text), file),
    }
}

/// Finds a file for [`write_json`] that cannot be written to, before anything is looked at.
///
/// # Errors
/// As [`writable`].
pub fn preflight(to: Option<&str>) -> Result<(), Failure> {
    to.filter(|to| *to != "-").map_or(Ok(()), |to| writable(to.as_ref()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_sequences_of_other_processes_do_not_reach_the_terminal() {
        let mut page = Page::default();
        page.text("a\u{1b}[2Jb\rc");
        assert_eq!(page.0, "  a\u{fffd}[2Jb\u{fffd}c\n");
    }
}
