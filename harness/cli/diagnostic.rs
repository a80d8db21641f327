//! Faults of a scenario file as the terminal shows them: drawn into its text by miette.

use crate::scenario;
use miette::{Diagnostic, NamedSource, SourceSpan};
use std::ops::Range;

/// Longest line that is drawn, bytes; the rest of a longer one is left out.
const LINE_MAX: usize = 240;

/// A file with its faults.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[error("{heading}")]
pub struct Faults {
    heading: String,
    #[source_code]
    text: NamedSource<String>,
    #[related]
    faults: Vec<Fault>,
}

#[derive(Debug, thiserror::Error, Diagnostic)]
#[error("{message}")]
struct Fault {
    message: String,
    /// `None`: in the part of a line that is not drawn.
    #[label("{label}")]
    at: Option<SourceSpan>,
    label: String,
    #[help]
    help: Option<String>,
}

impl From<&scenario::Invalid> for Faults {
    fn from(invalid: &scenario::Invalid) -> Self {
        let drawn = Drawn::new(&invalid.text);
        let fault = |problem: &scenario::Problem| {
            let at = drawn.place(problem.at.clone());
            let message = match (at.is_some(), invalid.place(problem)) {
                (true, _) => problem.message.clone(),
                (false, (line, column)) => {
                    format!("{}:{line}:{column}: {} ({})", invalid.shown, problem.message, problem.label)
                }
            };
            Fault {
                message,
                at: at.map(SourceSpan::from),
                label: problem.label.clone(),
                help: problem.help.clone(),
            }
        };
        Faults {
            heading: invalid.heading(),
            faults: invalid.problems.iter().map(fault).collect(),
            text: NamedSource::new(&invalid.shown, drawn.text),
        }
    }
}

/// A text for a terminal: without the ends of long lines, and without control characters.
struct Drawn {
    text: String,
    /// For each line: where it begins in the text of the file, where it begins in this text, and how much of
    /// it is here.
    lines: Vec<(usize, usize, usize)>,
}

impl Drawn {
    fn new(whole: &str) -> Self {
        let mut drawn = Drawn { text: String::new(), lines: Vec::new() };
        let mut begins = 0;
        for line in whole.split_inclusive('\n') {
            let kept = line.trim_end_matches('\n').floor_char_boundary(LINE_MAX);
            drawn.lines.push((begins, drawn.text.len(), kept));
            begins += line.len();
            // As many bytes as before, so that places in the line stay the same.
            let plain =
                |c: char| if c.is_control() && c != '\n' { " ".repeat(c.len_utf8()) } else { c.into() };
            drawn.text.extend(line[..kept].chars().map(plain));
            drawn.text += match &line[kept..] {
                rest @ ("" | "\n") => rest,
                _ => " …\n",
            };
        }
        if whole.is_empty() || whole.ends_with('\n') {
            drawn.lines.push((begins, drawn.text.len(), 0));
        }
        drawn
    }

    /// Where a place of the file is drawn, as far as its first line goes.
    fn place(&self, at: Range<usize>) -> Option<Range<usize>> {
        let line = self.lines.partition_point(|(begins, ..)| *begins <= at.start) - 1;
        let (begins, drawn, kept) = self.lines[line];
        let (start, end) = (at.start - begins, (at.end - begins).min(kept));
        (start <= kept).then(|| drawn + start..drawn + end.max(start))
    }
}
