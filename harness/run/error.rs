//! Why a run could not be completed.

use crate::event::LogError;

/// Why a run ended early. None of these is a failed expectation.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The launcher or the program could not be started, or never listened.
    #[error("{0}")]
    NotStarted(String),
    /// This machine cannot make the run, or the run cannot say anything.
    #[error("{0}")]
    Inconclusive(String),
    /// SIGINT or SIGTERM.
    #[error("it was interrupted")]
    Interrupted,
    /// The event log's path.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The event log could not be written to its end.
    #[error("the event log is not whole: {0}")]
    Lost(String),
    /// A fault of lastfd.
    #[error("{0}")]
    Fault(String),
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        Error::Fault(error.to_string())
    }
}

/// A launch that this machine does not allow says nothing of the program.
impl From<crate::launch::Error> for Error {
    fn from(error: crate::launch::Error) -> Self {
        let said = error.to_string();
        if error.is_of_machine() { Error::Inconclusive(said) } else { Error::NotStarted(said) }
    }
}
