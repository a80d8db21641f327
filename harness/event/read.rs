//! Reading logs from files: plain ones, packed ones, and those inside of an HTML report.

use super::log::{Log, LogError};
use super::{file, packed};
use std::path::Path;

impl Log {
    /// The log in a file, as a run writes it to `Options::events`, as gzip packed it, or as an HTML report
    /// carries it. A last line that was cut (the writer was killed) is left out, and the log is not
    /// [`Log::complete`].
    ///
    /// # Errors
    /// See [`LogError`].
    pub fn read(path: impl AsRef<Path>) -> Result<Self, LogError> {
        read(path.as_ref())
    }
}

/// The log in a file.
///
/// # Errors
/// See [`LogError`]; an HTML report of several runs is [`LogError::Several`].
pub fn read(path: &Path) -> Result<Log, LogError> {
    let mut logs = read_all(path)?;
    match logs.len() {
        1 => Ok(logs.remove(0)),
        number => Err(LogError::Several { path: path.display().to_string(), number }),
    }
}

/// All logs in a file: an HTML report carries one for each of its runs.
///
/// # Errors
/// See [`LogError`].
pub fn read_all(path: &Path) -> Result<Vec<Log>, LogError> {
    let shown = path.display().to_string();
    match file::read_all(path) {
        Ok(bytes) => packed::logs(&shown, &bytes),
        Err(source) => Err(LogError::Io { path: shown, source }),
    }
}
