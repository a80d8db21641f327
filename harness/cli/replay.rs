//! `lastfd replay`: measures and reports a recorded run again. Starts no process.

use super::board::To;
use super::live::{self, Live};
use super::output::{Files, say};
use super::{Exit, Failure, Outcome};
use crate::event::{self, Event, Log, LogError, What};
use crate::report::Report;
use crate::run::{Moment, Moments, seconds};
use crate::scenario::Plan;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Measure and report a recorded run again; starts nothing
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// The event log of a run (written by `run --events` or `find --events`), or an HTML report that carries
    /// its own
    pub events: PathBuf,
    /// Play the recording first, in a few lines that stay in place, as `run` and `find` show it while it goes
    /// on. Where standard output is no terminal, a line a second
    #[arg(long)]
    live: bool,
    /// How fast it is played: 0.1 is ten times as slow as it was
    #[arg(long, value_name = "FACTOR", default_value = "1", requires = "live", value_parser = speed)]
    speed: f64,
    #[command(flatten)]
    files: Files,
}

/// Reads the logs, measures, judges and reports.
///
/// # Errors
/// The file cannot be read (2), or is no log that this version can measure (3).
pub fn run(args: &Args) -> Outcome {
    args.files.preflight()?;
    if args.live {
        for (plan, log) in recorded(&args.events)? {
            play(&plan.title(), &log, args.speed, args.files.quiet())?;
        }
    }
    let reports = reports(&args.events, args.files.carries_logs())?;
    let exit = Exit::of_several(reports.iter().map(|report| report.verdict.outcome.into()));
    let said = args.files.print(&reports).and(args.files.print_together(&reports));
    args.files.write(&reports, None).and(said)?;
    Ok(exit)
}

/// The reports of the recorded runs in a file; `logs`: whether they are to carry the event logs.
///
/// # Errors
/// As [`run`].
pub fn reports(path: &Path, logs: bool) -> Result<Vec<Report>, Failure> {
    let file = path.file_name().map(|name| name.to_string_lossy().into_owned());
    let one = |(plan, log): &(Plan, Log)| match logs {
        true => Report::of(plan, log).carrying(log, file.clone()),
        false => Report::of(plan, log),
    };
    Ok(recorded(path)?.iter().map(one).collect())
}

fn speed(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(speed) if (0.001..=1000.0).contains(&speed) => Ok(speed),
        _ => Err("a number between 0.001 and 1000".to_owned()),
    }
}

/// Shortest time between two lines, where they cannot stay in place.
const LINE_EVERY: Duration = Duration::from_secs(1);

/// Shows the moments of a recording, each at its time.
fn play(title: &str, log: &Log, speed: f64, quiet: bool) -> Result<(), Failure> {
    let mut live = Live::new(title, if quiet { To::Stderr } else { To::Stdout }, true);
    if live.is_none() && quiet {
        return Ok(());
    }
    let every = if live.is_some() { live::EVERY } else { LINE_EVERY };
    let (mut moments, begun) = (Moments::default(), Instant::now());
    let mut due = Duration::ZERO;
    let mut ends = phase_ends(log).into_iter().peekable();
    let last = log.events.iter().rposition(|event| matches!(event.is, What::Sample { .. }));
    for (nth, event) in log.events.iter().enumerate() {
        let sample = moments.note(event);
        let at = Duration::from_secs_f64(seconds(event.at) / speed);
        if !sample || (at < due && Some(nth) != last) {
            continue;
        }
        due = at + every;
        while ends.next_if(|end| *end < moments.now.at_s).is_some() {}
        let left_s = ends.peek().map(|end| end - moments.now.at_s);
        // Each event of the recording is shown at its own time.
        std::thread::sleep(at.saturating_sub(begun.elapsed()));
        let now = Moment { left_s, ..moments.now.clone() };
        match &mut live {
            Some(live) => live.show(&now),
            None => say(&live::line(&now, true))?,
        }
    }
    Ok(())
}

/// When the phases of a run ended, in their order.
fn phase_ends(log: &Log) -> Vec<f64> {
    let ended = |event: &Event| matches!(event.is, What::PhaseEnded { .. }).then(|| seconds(event.at));
    log.events.iter().filter_map(ended).collect()
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
