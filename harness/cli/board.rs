//! Lines that stay in place on a terminal: the one renderer of `watch`, of `run` and `find`, and of `replay
//! --live`.

use crate::report::page::cut;
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;

/// Heights of a bar.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// Columns of a label, with the space after it.
const LABEL: usize = 13;
/// Looks that bars show at most, in a wide terminal, and in one of 40 columns.
const SHOWN: (usize, usize) = (30, 8);
/// Looks that are kept for the bars.
pub const LOOKS: usize = SHOWN.0;

/// A line: what it is about, what there is to say, and how that went.
#[derive(Debug)]
pub struct Row {
    label: &'static str,
    text: String,
    /// One for each of the last looks, the last one at the right.
    bars: String,
}

impl Row {
    /// A line without bars.
    pub fn new(label: &'static str, text: impl Into<String>) -> Row {
        Row { label, text: text.into(), bars: String::new() }
    }

    /// With a bar for each value, as high as its share of `top`; without it, of the highest.
    pub fn with(self, values: impl Iterator<Item = f64> + Clone, top: Option<f64>) -> Row {
        let top = top.unwrap_or_else(|| values.clone().fold(0.0, f64::max));
        let steps = (BARS.len() - 1) as f64;
        let share = move |value: f64| if top > 0.0 { (value / top).clamp(0.0, 1.0) } else { 0.0 };
        Row { bars: values.map(|value| BARS[(share(value) * steps) as usize]).collect(), ..self }
    }

    /// It, in so many columns at most.
    fn line(&self, columns: usize) -> String {
        let label = format!("{:LABEL$}", self.label);
        if self.bars.is_empty() {
            return cut(&(label + &self.text), columns);
        }
        let width = (columns / 4).clamp(SHOWN.1, SHOWN.0);
        let left = self.bars.chars().count().saturating_sub(width);
        let bars: String = self.bars.chars().skip(left).collect();
        let text = columns.saturating_sub(LABEL + 1 + width);
        let line = format!("{label}{:text$} {bars:>width$}", cut(&self.text, text));
        line.chars().take(columns).collect()
    }
}

/// All of them, each cut to so many columns.
pub fn lines(rows: &[Row], columns: usize) -> Vec<String> {
    rows.iter().map(|row| row.line(columns)).collect()
}

/// Where lines are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum To {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// Lines on a terminal that can move its cursor. It changes none of the terminal's modes and does not hide
/// the cursor, so there is nothing to restore, whatever ends the process.
#[derive(Debug)]
pub struct Board {
    to: To,
    /// Lines of the last look, above the cursor.
    shown: usize,
}

impl Board {
    /// A board on this output; `None` where that is no terminal, or one that cannot move its cursor.
    pub fn new(to: To) -> Option<Board> {
        let dumb = std::env::var("TERM").map_or(true, |term| term == "dumb" || term.is_empty());
        let terminal = match to {
            To::Stdout => io::stdout().is_terminal(),
            To::Stderr => io::stderr().is_terminal(),
        };
        (terminal && !dumb).then_some(Board { to, shown: 0 })
    }

    /// Shows these lines in place of those that it showed before.
    ///
    /// # Errors
    /// The terminal is gone.
    pub fn show(&mut self, rows: &[Row]) -> io::Result<()> {
        let (columns, height) = match self.to {
            To::Stdout => size(io::stdout()),
            To::Stderr => size(io::stderr()),
        };
        // The last column stays free: some terminals wrap a line that fills it. So does the last line.
        let lines = lines(&rows[..rows.len().min(height.saturating_sub(1))], columns.saturating_sub(1));
        // Each line is cleared to its end, and what is below them (ECMA-48: EL, ED).
        let text: String = lines.iter().map(|line| format!("\r{line}\u{1b}[K\n")).collect();
        let text = self.up() + &text + "\u{1b}[J";
        self.shown = lines.len();
        self.write(&text)
    }

    /// Takes the lines away: the cursor is where the first one began.
    pub fn clear(&mut self) {
        if self.shown > 0 {
            let text = self.up() + "\r\u{1b}[J";
            self.shown = 0;
            // A terminal that is gone shows nothing.
            let _ = self.write(&text);
        }
    }

    /// The cursor goes up to the first line (ECMA-48: CUU).
    fn up(&self) -> String {
        if self.shown == 0 { String::new() } else { format!("\u{1b}[{}A", self.shown) }
    }

    /// Not through anstream, which takes these out with the colours (NO_COLOR).
    fn write(&self, text: &str) -> io::Result<()> {
        let all = |mut out: Box<dyn Write>| out.write_all(text.as_bytes()).and_then(|()| out.flush());
        match self.to {
            To::Stdout => all(Box::new(io::stdout().lock())),
            To::Stderr => all(Box::new(io::stderr().lock())),
        }
    }
}

impl Drop for Board {
    fn drop(&mut self) {
        // The message of a panic stands below the lines, and stays.
        if self.to == To::Stderr && !std::thread::panicking() {
            self.clear();
        }
    }
}

/// Columns and lines of the terminal.
fn size(terminal: impl AsFd) -> (usize, usize) {
    let some = |n: u16, other| if n == 0 { other } else { usize::from(n) };
    rustix::termios::tcgetwinsize(terminal)
        .map_or((80, 24), |size| (some(size.ws_col, 80), some(size.ws_row, 24)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_as_high_as_the_share_of_the_limit() {
        let bars = |values: &[f64], top| Row::new("", "").with(values.iter().copied(), top).bars;
        assert_eq!(bars(&[0.0, 50.0, 100.0, 120.0], Some(100.0)), "▁▄██");
        assert_eq!(bars(&[1.0, 4.0], None), "▂█", "without a limit the highest is full");
        assert_eq!(bars(&[0.0, 0.0], None), "▁▁");
    }

    #[test]
    fn a_line_has_what_is_new_at_its_right_end_and_fits() {
        let row = Row::new("descriptors", "16 of 100 (16 %), 84 left").with((0..60).map(f64::from), None);
        // A quarter of the columns has room for nine bars: the values 51 to 59. Only 59 is full.
        assert_eq!(row.line(39), "descriptors  16 of 100 (16 %… ▇▇▇▇▇▇▇▇█");
        let wide = row.line(79);
        assert!(wide.starts_with("descriptors  16 of 100 (16 %), 84 left  "), "{wide}");
        assert!(wide.ends_with('█') && wide.chars().count() == 79, "{wide}");
        assert_eq!(row.line(10).chars().count(), 10);
    }
}
