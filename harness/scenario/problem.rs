//! What is wrong with a scenario file, and where: diagnostics that point at line and column and name the nearest accepted
//! value. Rendering is left to miette and the commands.

use miette::{Diagnostic, NamedSource, SourceSpan};
use std::ops::Range;
use std::path::PathBuf;

/// Why a scenario was not loaded.
#[derive(Debug, thiserror::Error, Diagnostic)]
pub enum LoadError {
    /// The file could not be read.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the kernel said.
        source: std::io::Error,
    },
    /// It was read and is not a scenario.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Invalid(#[from] Invalid),
}

/// A scenario file with faults: all that were found.
#[derive(Debug, thiserror::Error, Diagnostic)]
#[error("{shown} is not a valid scenario: {}", counted(problems.len()))]
pub struct Invalid {
    /// The file's name, as it was given.
    pub shown: String,
    #[source_code]
    source_text: NamedSource<String>,
    /// In the order of the text.
    #[related]
    pub problems: Vec<Problem>,
}

fn counted(problems: usize) -> String {
    if problems == 1 { "1 problem".into() } else { format!("{problems} problems") }
}

impl Invalid {
    pub(super) fn new(shown: &str, text: &str, mut problems: Vec<Problem>) -> Self {
        problems.sort_by_key(|p| (p.at.offset(), p.at.len()));
        // A variant repeats what is wrong with the scenario it is laid over.
        problems.dedup();
        Invalid { shown: shown.into(), source_text: NamedSource::new(shown, text.to_owned()), problems }
    }
}

/// One fault in a scenario's text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Diagnostic)]
#[error("{message}")]
pub struct Problem {
    /// What is wrong: subject, value.
    pub message: String,
    #[label("{label}")]
    at: SourceSpan,
    label: String,
    /// The way out.
    #[help]
    pub help: Option<String>,
}

impl Problem {
    pub(super) fn new(at: Range<usize>, message: impl Into<String>, label: impl Into<String>) -> Self {
        Problem { message: message.into(), at: at.into(), label: label.into(), help: None }
    }

    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Says which variant it is wrong in, for what is wrong only together with what that one sets.
    pub(super) fn in_variant(mut self, name: &str) -> Self {
        self.message = format!("variant {name:?}: {}", self.message);
        self
    }

    /// Byte offset into the text and length.
    pub fn at(&self) -> (usize, usize) {
        (self.at.offset(), self.at.len())
    }
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
    // Jaro-Winkler, since slips keep the beginning of a word; 0.8 lets `supervisor` and `acept4` find theirs and keeps
    // unrelated words apart.
    accepted
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(&word.to_lowercase(), &candidate.to_lowercase()), candidate))
        .filter(|(likeness, _)| *likeness >= 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}
