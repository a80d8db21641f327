//! Lines for a terminal: labels, wrapped text, styles. The one place that breaks lines, here and for the
//! commands.

use owo_colors::{OwoColorize, Style};
use std::fmt::Write;
use textwrap::{Options, WordSeparator, WordSplitter, WrapAlgorithm};

/// Longest line, in columns, where the terminal's own width is not known.
pub const WIDTH: usize = 100;
/// The narrowest page.
const NARROWEST: usize = 40;
/// Column where values begin.
pub const LABEL: usize = 14;

/// Lines with labels, wrapped, styled where colour is wanted.
pub struct Page {
    /// The lines so far.
    pub text: String,
    colour: bool,
    width: usize,
}

impl Page {
    /// An empty page of 40 to 100 columns.
    pub fn new(colour: bool, width: usize) -> Self {
        Page { text: String::new(), colour, width: width.clamp(NARROWEST, WIDTH) }
    }

    /// Columns for values.
    pub fn room(&self) -> usize {
        self.width - LABEL
    }

    /// The text in this style, where colour is wanted.
    pub fn styled(&self, text: &str, style: Style) -> String {
        if self.colour { text.style(style).to_string() } else { text.to_owned() }
    }

    /// A paragraph as wide as the page.
    pub fn paragraph(&mut self, text: &str) {
        wrap(text, self.width).iter().for_each(|line| self.line(line));
    }

    /// A paragraph whose first line has a label and whose others are indented to it.
    pub fn say(&mut self, label: &str, text: &str) {
        for (i, line) in wrap(text, self.room()).iter().enumerate() {
            self.value(if i == 0 { label } else { "" }, line);
        }
    }

    /// A paragraph for each text; the first one has the label.
    pub fn facts(&mut self, label: &str, texts: impl IntoIterator<Item = String>) {
        for (i, text) in texts.into_iter().enumerate() {
            self.say(if i == 0 { label } else { "" }, &text);
        }
    }

    /// One line with a label, cut where it is too long.
    pub fn value(&mut self, label: &str, text: &str) {
        let label = self.styled(&format!("{label:LABEL$}"), Style::new().bold());
        self.line(&format!("{label}{}", cut(text, self.room())));
    }

    /// A line as it is; too long a one was cut by the caller.
    pub fn line(&mut self, text: &str) {
        let _ = writeln!(self.text, "{}", text.trim_end());
    }
}

/// Lines of at most this many columns, broken between words; a longer word is cut. Never empty. Without
/// control characters.
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let words: Vec<String> = clean(text).split_whitespace().map(|word| cut(word, width)).collect();
    // At spaces only: a path or an option is broken nowhere else.
    let options = Options::new(width)
        .word_separator(WordSeparator::AsciiSpace)
        .word_splitter(WordSplitter::NoHyphenation)
        .wrap_algorithm(WrapAlgorithm::FirstFit);
    textwrap::wrap(&words.join(" "), options).into_iter().map(String::from).collect()
}

/// Control characters of what a subject wrote or was called must not reach the terminal.
pub fn clean(text: &str) -> String {
    text.chars().map(harmless).collect()
}

fn harmless(c: char) -> char {
    if c.is_control() { ' ' } else { c }
}

/// At most this many characters, the last one an ellipsis where some were left out. Without control
/// characters.
pub fn cut(text: &str, width: usize) -> String {
    // Reads no more of a line of 10 MB than it shows.
    match text.char_indices().nth(width) {
        None => clean(text),
        Some(_) => text.chars().take(width.saturating_sub(1)).map(harmless).chain(['…']).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_is_longer_than_the_page_and_no_word_is_lost() {
        let text = "word ".repeat(60);
        let lines = wrap(&text, 37);
        assert!(lines.iter().all(|line| line.chars().count() <= 37));
        assert_eq!(lines.join(" "), text.trim_end());
    }

    #[test]
    fn options_and_paths_are_not_broken_at_their_hyphens() {
        assert_eq!(wrap("start it with --no-such-option set", 20), ["start it with", "--no-such-option set"]);
    }

    #[test]
    fn nothing_is_one_empty_line() {
        assert_eq!(wrap("", 40), [""]);
    }
}
