//! Writing and reading a log file: JSON lines, the first a `Header`, the last an `End`.

use super::{Event, What};
use std::io::{BufRead, BufWriter, Write};
use std::path::Path;

/// The schema in the header of a log that this version reads.
pub const SCHEMA: &str = "lastfd/events/3";

/// The events of one run, in order of time.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct Log {
    /// Sorted by `at`; simultaneous events keep the order in which they were reported.
    pub events: Vec<Event>,
    /// Whether the last line is `End`: false when the harness was killed, or the file cut.
    pub complete: bool,
}

impl Log {
    /// Sorts events into a log.
    pub fn new(mut events: Vec<Event>) -> Self {
        // Moves each event once.
        events.sort_by_cached_key(|e| e.at);
        let complete = events.iter().any(|e| matches!(e.is, What::End));
        Log { events, complete }
    }
}

/// Why a file is not a log that can be replayed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// The file could not be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: String,
        /// The error from the kernel.
        source: std::io::Error,
    },
    /// Not a log of ours.
    #[error("{path}: not an event log of lastfd: {reason}")]
    Foreign {
        /// The file.
        path: String,
        /// The missing part.
        reason: String,
    },
    /// Written by a version with another schema.
    #[error(
        "{path}: this event log has the schema {found}, and this lastfd reads {SCHEMA} only: record the run \
         again, or replay the log with the version that wrote it"
    )]
    Schema {
        /// The file.
        path: String,
        /// The schema it names.
        found: String,
    },
    /// A packed log that cannot be unpacked.
    #[error("{path}: the event log in it is broken: {reason}")]
    Broken {
        /// The file.
        path: String,
        /// The fault.
        reason: String,
    },
    /// More than one log, where one is asked for.
    #[error("{path}: it carries {number} event logs: `lastfd replay` reads them all")]
    Several {
        /// The file.
        path: String,
        /// How many.
        number: usize,
    },
    /// A line in the middle that is not an event.
    #[error("{path}:{line}: not an event: {reason}")]
    Line {
        /// The file.
        path: String,
        /// Counted from 1.
        line: usize,
        /// The fault.
        reason: String,
    },
}

/// Appends events to a file as they are reported, so that a killed run leaves what it saw.
#[derive(Debug)]
pub struct Writer(BufWriter<std::fs::File>);

impl Writer {
    /// Creates (or empties) the file.
    ///
    /// # Errors
    /// The path is not writable.
    pub fn create(path: &Path) -> Result<Self, LogError> {
        let file = std::fs::File::create(path)
            .map_err(|source| LogError::Io { path: path.display().to_string(), source })?;
        Ok(Writer(BufWriter::new(file)))
    }

    /// Appends one event.
    ///
    /// # Errors
    /// The disk is full or gone.
    pub fn append(&mut self, event: &Event) -> std::io::Result<()> {
        serde_json::to_writer(&mut self.0, event)?;
        self.0.write_all(b"\n")
    }

    /// Hands the buffered events to the kernel.
    ///
    /// # Errors
    /// The disk is full or gone.
    pub fn flush(&mut self) -> std::io::Result<()> {
        self.0.flush()
    }
}

/// Reads a log from wherever its text comes; `shown` stands for it in errors. A last line that was cut
/// (the writer was killed) is left out, and the log is not `complete`.
///
/// # Errors
/// See [`LogError`].
pub fn parse(shown: &str, text: impl BufRead) -> Result<Log, LogError> {
    let shown = shown.to_owned();
    let io = |source| LogError::Io { path: shown.clone(), source };
    let mut lines = text.split(b'\n').enumerate().peekable();
    let mut events = Vec::new();
    while let Some((number, line)) = lines.next() {
        let line = line.map_err(io)?;
        // Before anything else is understood: another schema may have other events.
        if number == 0
            && let Some(found) = schema(&line)
            && found != SCHEMA
        {
            return Err(LogError::Schema { path: shown, found });
        }
        match serde_json::from_slice::<Event>(&line) {
            Ok(event) => events.push(event),
            Err(_) if number > 0 && lines.peek().is_none() => break,
            Err(e) if number == 0 => {
                return Err(LogError::Foreign {
                    path: shown,
                    reason: format!("its first line is no header: {}", brief(&e)),
                });
            }
            Err(e) => return Err(LogError::Line { path: shown, line: number + 1, reason: brief(&e) }),
        }
    }
    match events.first().map(|e| &e.is) {
        Some(What::Header { .. }) => Ok(Log::new(events)),
        Some(_) => Err(LogError::Foreign { path: shown, reason: "its first line is no header".into() }),
        None => Err(LogError::Foreign { path: shown, reason: "it is empty".into() }),
    }
}

/// The schema in a header; the rest of the line does not matter.
fn schema(line: &[u8]) -> Option<String> {
    let line: serde_json::Value = serde_json::from_slice(line).ok()?;
    Some(line["is"]["header"]["schema"].as_str()?.to_owned())
}

/// The fault in a line. Its text may hold the wrong word, of any length; the end gives the column.
fn brief(error: &serde_json::Error) -> String {
    const SHOWN: usize = 200;
    let whole = error.to_string();
    if whole.chars().count() <= SHOWN {
        return whole;
    }
    let begin: String = whole.chars().take(SHOWN).collect();
    format!("{begin}… at column {}", error.column())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_small_for_a_log_has_millions() {
        let size = size_of::<Event>();
        assert!(size <= 200, "{size} bytes: what is rare and large belongs into a box");
    }
}
