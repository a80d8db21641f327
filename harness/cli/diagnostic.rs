//! Faults of a scenario file as the terminal shows them: drawn into its text by miette.

use crate::scenario;
use miette::{Diagnostic, NamedSource, SourceSpan};

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
    #[label("{label}")]
    at: SourceSpan,
    label: String,
    #[help]
    help: Option<String>,
}

impl From<&scenario::Invalid> for Faults {
    fn from(invalid: &scenario::Invalid) -> Self {
        let fault = |scenario::Problem { message, at, label, help, .. }| Fault {
            message,
            at: at.into(),
            label,
            help,
        };
        Faults {
            heading: invalid.heading(),
            text: NamedSource::new(&invalid.shown, invalid.text.clone()),
            faults: invalid.problems.iter().cloned().map(fault).collect(),
        }
    }
}
