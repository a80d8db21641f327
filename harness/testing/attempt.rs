//! One run of a plan, from its obstacles to its report.

use crate::event::{Event, Log, ObserverName};
use crate::judge;
use crate::measure::{Counter, Why};
use crate::observe::Choice;
use crate::report::Report;
use crate::run::{Error, Options, Run, Step};
use crate::scenario::{self, Obstacle, Plan};
use std::sync::atomic::AtomicBool;

/// A run that was made, and why it ended early if it did.
pub type Made = (Report, Option<Error>);

/// One run, measured, judged and made into a report; skipped, or inconclusive, when this machine lacks
/// something for it. `logs`: whether the report is to carry the event log.
///
/// # Errors
/// The event log cannot be written.
pub fn execute(
    plan: &Plan,
    options: &Options,
    flag: &AtomicBool,
    progress: &mut dyn FnMut(&Step),
    logs: bool,
) -> Result<Made, Error> {
    let obstacles = scenario::preflight(plan);
    let told = plan.redacted(&plan.redaction(options.redact));
    for obstacle in &obstacles {
        if let Obstacle::Missing { requirement, why, .. } = obstacle {
            return Ok((Report::skipped(&told, judge::Verdict::skipped(requirement, why)), None));
        }
    }
    let refused = obstacles.first().map(|obstacle| refusal(obstacle, obstacle.to_string()));
    attempt(plan, refused, options, flag, progress, logs)
}

/// Why a run is not begun, in these words.
pub fn refusal(obstacle: &Obstacle, words: String) -> Error {
    match obstacle {
        Obstacle::Program { .. } => Error::NotStarted(words),
        _ => Error::Inconclusive(words),
    }
}

/// One run, unless it is refused; measured, judged and made into a report. `logs`: whether that is to carry
/// the event log.
///
/// # Errors
/// The event log cannot be written.
pub fn attempt(
    plan: &Plan,
    refused: Option<Error>,
    options: &Options,
    flag: &AtomicBool,
    progress: &mut dyn FnMut(&Step),
    logs: bool,
) -> Result<Made, Error> {
    let told = plan.redacted(&plan.redaction(options.redact));
    if let Some(error) = refused {
        let run = Run::refused(&told, error);
        return Ok((reported(&told, run.events, options, logs), run.error));
    }
    let observed_by = |observer: Choice, progress: &mut dyn FnMut(&Step)| -> Result<Made, Error> {
        let options = Options { observer, ..options.clone() };
        let run = crate::run::run(plan, &options, flag, progress)?;
        Ok((reported(&told, run.events, &options, logs), run.error))
    };
    let first = observed_by(options.observer, progress)?;
    // perf is stopped by the kernel in a program that changes its user as it is executed: ptrace is not.
    let ptrace = options.observer == Choice::Auto && first.1.is_none() && is_blind(&first.0);
    if !ptrace {
        return Ok(first);
    }
    progress(&Step::UnderPtrace);
    let second = observed_by(Choice::Ptrace, progress)?;
    Ok(if second.1.is_some() { first } else { second })
}

/// The report of a run, with its log where a report is to carry that.
fn reported(told: &Plan, events: Vec<Event>, options: &Options, logs: bool) -> Report {
    let log = Log::new(events);
    let report = Report::of(told, &log);
    let file = options.events.as_ref().and_then(|path| path.file_name());
    match logs {
        true => report.carrying(&log, file.map(|name| name.to_string_lossy().into_owned())),
        false => report,
    }
}

/// Whether perf saw no accept of a program that served clients.
fn is_blind(report: &Report) -> bool {
    let blind = matches!(
        report.found.ceiling.kind.why(),
        Some(Why::BlindByCount { .. } | Why::BlindByClients { .. } | Why::BlindByHolders { .. })
    );
    blind
        && report
            .found
            .witnesses
            .all
            .iter()
            .any(|witness| witness.observer == Counter::Calls(ObserverName::Perf))
}
