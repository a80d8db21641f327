//! `lastfd replay`: measures and reports a recorded run again. Starts no process.

use super::output::Files;
use super::{Exit, Failure, Outcome};
use crate::event::{self, Log, LogError};
use crate::report::Report;
use crate::scenario::Plan;
use std::path::{Path, PathBuf};

/// Measure and report a recorded run again; starts nothing
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// The event log of a run (written by `run --events` or `find --events`), or an HTML report that carries
    /// its own
    pub events: PathBuf,
    #[command(flatten)]
    files: Files,
}

/// Reads the logs, measures, judges and reports.
///
/// # Errors
/// The file cannot be read (2), or is no log that this version can measure (3).
pub fn run(args: &Args) -> Outcome {
    args.files.preflight()?;
    let file = args.events.file_name().map(|name| name.to_string_lossy().into_owned());
    let mut reports = Vec::new();
    for (plan, log) in recorded(&args.events)? {
        let report = Report::of(&plan, &log);
        reports.push(match args.files.carries_logs() {
            true => report.carrying(&log, file.clone()),
            false => report,
        });
    }
    let exit = Exit::of_several(reports.iter().map(|report| report.verdict.outcome.into()));
    let said = args.files.print(&reports).and(args.files.print_together(&reports));
    args.files.write(&reports, None).and(said)?;
    Ok(exit)
}

/// The recorded runs in a file, each with its plan: an HTML report may carry several.
///
/// # Errors
/// As [`run`].
pub fn recorded(path: &Path) -> Result<Vec<(Plan, Log)>, Failure> {
    let logs = event::read_all(path).map_err(|e| match e {
        LogError::Io { .. } => Failure::new(Exit::Usage, e),
        _ => Failure::new(Exit::Invalid, e),
    })?;
    let unreadable = |e| format!("{}:1: the plan in the header cannot be read: {e}", path.display());
    let each = logs.into_iter().map(|log| {
        let plan = Plan::recorded(&log).map_err(|e| Failure::new(Exit::Invalid, unreadable(e)))?;
        Ok((plan, log))
    });
    each.collect()
}
