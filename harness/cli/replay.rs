//! `lastfd replay`: measures and reports a recorded run again. Starts no process.

use super::{Exit, Failure, Outcome};
use crate::event::{self, Log, LogError, What};
use crate::scenario::Plan;
use crate::{judge, measure, report};
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};

/// Arguments of `lastfd replay`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// The event log of a run, as `lastfd run --events` writes it
    pub events: PathBuf,
    /// Write the report as JSON to this file; `-` is standard output, and then nothing else is written there
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}

/// Reads the log, measures, judges and reports.
///
/// # Errors
/// The file cannot be read (2), or is no log that this version can measure (3).
pub fn run(args: Args) -> Outcome {
    let log = event::read(&args.events).map_err(|e| match e {
        LogError::Io { .. } => Failure::new(Exit::Usage, e),
        _ => Failure::new(Exit::Invalid, e),
    })?;
    let plan = plan(&args.events, &log)?;
    let report = again(&plan, &log);
    let exit = match report.verdict {
        judge::Outcome::Met | judge::Outcome::Skipped => Exit::Met,
        judge::Outcome::NotMet => Exit::NotMet,
        judge::Outcome::Inconclusive => Exit::Inconclusive,
    };
    let reports = [report];
    match args.json.as_deref() {
        Some(path) if path == Path::new("-") => print(&report::json::render(&reports))?,
        json => {
            if let Some(path) = json {
                let text = report::json::render(&reports);
                std::fs::write(path, text).map_err(|e| Failure::new(Exit::Usage, format!("{}: {e}", path.display())))?;
            }
            let colour = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
            print(&report::terminal::render(&reports, colour, report::terminal::WIDTH))?;
        }
    }
    Ok(exit)
}

/// The report of a log, as the run that wrote it would have made it.
pub fn again(plan: &Plan, log: &Log) -> report::Report {
    let measured = measure::measure(plan, log);
    let verdict = judge::judge(plan, &measured);
    report::Report::new(plan, measured, verdict)
}

/// The plan in the log's header.
fn plan(path: &Path, log: &Log) -> Result<Plan, Failure> {
    let header = log.events.iter().find_map(|e| if let What::Header { plan, .. } = &e.is { Some(plan.clone()) } else { None });
    serde_json::from_value(header.unwrap_or_default())
        .map_err(|e| Failure::new(Exit::Invalid, format!("{}:1: the plan in the header cannot be read: {e}", path.display())))
}

/// A reader that closed the pipe has seen enough.
fn print(text: &str) -> Result<(), Failure> {
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => Err(Failure::new(Exit::Fault, format!("standard output: {e}"))),
        _ => Ok(()),
    }
}
