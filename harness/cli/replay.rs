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
    /// The event log of a run (written by `run --events` or `find --events`)
    pub events: PathBuf,
    #[command(flatten)]
    files: Files,
}

/// Reads the log, measures, judges and reports.
///
/// # Errors
/// The file cannot be read (2), or is no log that this version can measure (3).
pub fn run(args: &Args) -> Outcome {
    args.files.preflight()?;
    let (plan, log) = recorded(&args.events)?;
    let report = Report::of(&plan, &log);
    let exit = Exit::from(report.verdict.outcome);
    let said = args.files.print(std::slice::from_ref(&report));
    args.files.write(&[report], None).and(said)?;
    Ok(exit)
}

/// A recorded run and its plan.
///
/// # Errors
/// As [`run`].
pub fn recorded(path: &Path) -> Result<(Plan, Log), Failure> {
    let log = event::read(path).map_err(|e| match e {
        LogError::Io { .. } => Failure::new(Exit::Usage, e),
        _ => Failure::new(Exit::Invalid, e),
    })?;
    let unreadable = |e| format!("{}:1: the plan in the header cannot be read: {e}", path.display());
    let plan = Plan::recorded(&log).map_err(|e| Failure::new(Exit::Invalid, unreadable(e)))?;
    Ok((plan, log))
}
