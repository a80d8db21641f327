//! The faults of a scenario file, and where they are: each points at line and column and names the nearest
//! accepted value. The commands draw the place in the text.

use std::ops::Range;
use std::path::PathBuf;

/// Why a scenario was not loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The file could not be read.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The error from the kernel.
        source: std::io::Error,
    },
    /// It is not text.
    #[error("{}:{line}:{column}: the byte 0x{byte:02x} is not UTF-8, which a scenario is written in", path.display())]
    NotText {
        /// The file.
        path: PathBuf,
        /// Line of the byte, counted from 1.
        line: usize,
        /// Column of the byte, in characters, counted from 1.
        column: usize,
        /// The first byte that is not.
        byte: u8,
    },
    /// The recording beside it is none.
    #[error("{} is no recording: {why}: record it again with `lastfd run --record`", path.display())]
    Recorded {
        /// The file of the recording.
        path: PathBuf,
        /// The fault.
        why: String,
    },
    /// It was read and is not a scenario.
    #[error(transparent)]
    Invalid(#[from] Invalid),
}

/// A scenario file with faults: all that were found. Displayed it has a line for each.
#[derive(Debug, thiserror::Error)]
#[error("{}{}", self.heading(), self.lines())]
#[non_exhaustive]
pub struct Invalid {
    /// The file's name, as it was given.
    pub shown: String,
    /// The file's text.
    pub text: String,
    /// In the order of the text.
    pub problems: Vec<Problem>,
}

impl Invalid {
    pub(super) fn new(shown: &str, text: &str, mut problems: Vec<Problem>) -> Self {
        problems.sort_by_key(|p| (p.at.start, p.at.len()));
        // A variant repeats the faults of the scenario that it is laid over.
        problems.dedup();
        Invalid { shown: shown.into(), text: text.into(), problems }
    }

    /// Which file it is, and how many problems it has.
    pub fn heading(&self) -> String {
        let plural = if self.problems.len() == 1 { "" } else { "s" };
        format!("{} is not a valid scenario: {} problem{plural}", self.shown, self.problems.len())
    }

    /// Line and column of a problem, counted from 1; the column in characters.
    pub fn place(&self, problem: &Problem) -> (usize, usize) {
        let before = self.text.get(..problem.at.start).unwrap_or(&self.text);
        let line = before.rsplit('\n').next().unwrap_or_default();
        (before.matches('\n').count() + 1, line.chars().count() + 1)
    }

    fn lines(&self) -> String {
        let line = |problem: &Problem| {
            let (line, column) = self.place(problem);
            format!("\n{}:{line}:{column}: {problem} ({})", self.shown, problem.label)
        };
        self.problems.iter().map(line).collect()
    }
}

/// One fault in a scenario's text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
#[non_exhaustive]
pub struct Problem {
    /// The fault: subject, value.
    pub message: String,
    /// Bytes of the text.
    pub at: Range<usize>,
    /// A few words to write at that place.
    pub label: String,
    /// The way out.
    pub help: Option<String>,
}

impl Problem {
    pub(super) fn new(at: Range<usize>, message: impl Into<String>, label: impl Into<String>) -> Self {
        Problem { message: brief(message.into()), at, label: brief(label.into()), help: None }
    }

    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(brief(help.into()));
        self
    }

    /// Says in which variant the fault is, if it exists only together with the variant's settings.
    pub(super) fn in_variant(mut self, name: &str) -> Self {
        self.message = format!("variant {name:?}: {}", self.message);
        self
    }
}

/// Longest message, label or help, characters: they quote what stands in the file, however long that is.
const WORDS_MAX: usize = 1000;

/// The beginning and the end of a text that is too long.
fn brief(text: String) -> String {
    let count = text.chars().count();
    if count <= WORDS_MAX {
        return text;
    }
    let part = WORDS_MAX / 4;
    let begin: String = text.chars().take(part).collect();
    let end: String = text.chars().skip(count - part).collect();
    format!("{begin}…{end}")
}

/// A word that is not one of those accepted here.
pub(super) fn unknown<'a>(
    at: Range<usize>,
    message: String,
    word: &str,
    accepted: impl IntoIterator<Item = &'a str>,
) -> Problem {
    let accepted: Vec<&str> = accepted.into_iter().collect();
    let label = nearest(word, accepted.iter().copied())
        .map_or("not known".into(), |near| format!("did you mean `{near}`?"));
    let list: Vec<String> = accepted.iter().map(|word| format!("`{word}`")).collect();
    let help = if list.is_empty() {
        "nothing is accepted here".into()
    } else {
        format!("accepted here: {}", list.join(", "))
    };
    Problem::new(at, message, label).help(help)
}

/// The accepted word most like this one, if any is near enough to be a slip.
pub(super) fn nearest<'a>(word: &str, accepted: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Jaro-Winkler, since slips keep the beginning of a word; 0.8 lets `supervisor` and `acept4` find theirs
    // and keeps unrelated words apart.
    accepted
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(&word.to_lowercase(), &candidate.to_lowercase()), candidate))
        .filter(|(likeness, _)| *likeness >= 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

/// The words, those most like this one first.
pub fn by_likeness<'a>(word: &str, words: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let mut words: Vec<&str> = words.into_iter().collect();
    let likeness = |other: &str| strsim::jaro_winkler(&word.to_lowercase(), &other.to_lowercase());
    words.sort_by(|a, b| likeness(b).total_cmp(&likeness(a)));
    words
}
