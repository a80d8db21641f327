//! `lastfd init -- COMMAND`: measures a program, and writes a first scenario file with what it expects.

use super::output::{Files, Progress, exit_code, interrupt_flag, tell};
use super::replay::recorded;
use super::run::Machine;
use super::{Exit, Failure};
use crate::event::Limits;
use crate::judge::{Outcome, judge};
use crate::report::first::{Expected, Started, expected, spoken, text};
use crate::report::{Report, words::judged};
use crate::scenario::{self, Find, Plan};
use crate::testing::attempt::{attempt, refusal};
use std::path::Path;
use std::sync::atomic::AtomicBool;

/// The program to measure, and how to run it.
#[derive(Debug)]
pub struct Asked<'a> {
    /// Program and arguments; executed in `folder`, as the scenario will be.
    pub command: &'a [String],
    /// The limits that it is started with.
    pub limits: Limits,
    /// Where it listens.
    pub port: Option<u16>,
    /// How to run on this machine.
    pub machine: &'a Machine,
    /// The folder of the scenario file.
    pub folder: &'a Path,
    /// The name of the scenario.
    pub name: &'a str,
    /// Whether standard output is for the scenario.
    pub quiet: bool,
}

/// A scenario file, and which keys it does not have because a second run differed.
#[derive(Debug)]
pub struct Written {
    /// The file's text.
    pub text: String,
    /// Keys of `[expect]`.
    pub left_out: Vec<&'static str>,
}

/// Measures the program twice: a value that the second run does not confirm is not expected.
///
/// # Errors
/// The program did not start (6); this machine cannot measure it (5); an interrupt (130).
pub fn measured(asked: &Asked<'_>) -> Result<Written, Failure> {
    let flag = interrupt_flag()?;
    let plan = Find { port: asked.port, ..Find::new(asked.command, asked.limits) }.plan();
    let plan =
        plan.map_err(|e| Failure::new(Exit::Usage, format!("the current folder cannot be told: {e}")))?;
    let plan = Plan { directory: asked.folder.to_owned(), ..plan };
    let (report, spoken) = run(asked, &plan, &flag)?;
    if !asked.quiet {
        Files::default().print(std::slice::from_ref(&report))?;
    }
    let started = Started { command: asked.command, limits: asked.limits, port: asked.port, spoken };
    let mut keys = expected(&report);
    let mut left_out = Vec::new();
    // An expectation that this run itself does not meet is left out.
    let unmet = judged_by(asked, &started, &report, &keys, &report)?;
    drop_unmet(&mut keys, &mut left_out, &unmet);
    let (again, _) = run(asked, &parsed(asked, &text(&started, &report, &keys))?, &flag)?;
    let unmet = judged_by(asked, &started, &report, &keys, &again)?;
    drop_unmet(&mut keys, &mut left_out, &unmet);
    if keys.is_empty() {
        let message = "nothing could be measured twice: `lastfd find` shows what was seen of each run";
        return Err(Failure::new(Exit::Inconclusive, message));
    }
    Ok(Written { text: text(&started, &report, &keys), left_out })
}

/// One run, and what the server spoke.
fn run(
    asked: &Asked<'_>,
    plan: &Plan,
    flag: &AtomicBool,
) -> Result<(Report, (scenario::Dialogue, bool)), Failure> {
    let log = tempfile::NamedTempFile::new()
        .map_err(|e| Failure::new(Exit::Inconclusive, format!("no temporary file can be made: {e}")))?;
    let options = asked.machine.options(Some(log.path().to_owned()))?;
    let obstacles = scenario::preflight(plan);
    let refused = obstacles.first().map(|obstacle| refusal(obstacle, obstacle.on_a_command_line()));
    let began = refused.is_none();
    let mut progress = Progress::new("init", true);
    let made = attempt(plan, refused, &options, flag, &mut |step| progress.step(step), false)
        .map_err(|e| Failure::new(Exit::Usage, e))?;
    let runs = [made];
    let exit = exit_code(&runs, false, false);
    let [(report, _)] = &runs;
    // The caller judges the expectations: here it matters that the run was made.
    if !matches!(exit, Exit::Met | Exit::NotMet) {
        tell(&runs);
        let why = report.verdict.reasons.first().map_or(String::new(), judged::reason);
        return Err(Failure::new(exit, format!("no scenario was written: {why}")));
    }
    let spoken = if began { spoken(&recorded(log.path())?[0].1) } else { (scenario::Dialogue::Tcp, false) };
    Ok((report.clone(), spoken))
}

/// The plan of a scenario that has these keys.
fn parsed(asked: &Asked<'_>, text: &str) -> Result<Plan, Failure> {
    let plans = scenario::parse(text, asked.name, asked.name, asked.folder);
    plans.map(|mut plans| plans.remove(0)).map_err(|e| {
        Failure::new(Exit::Fault, format!("the scenario that was made is not valid: {e}: {text}"))
    })
}

/// Keys that a run does not meet.
fn judged_by(
    asked: &Asked<'_>,
    started: &Started<'_>,
    report: &Report,
    keys: &[Expected],
    run: &Report,
) -> Result<Vec<String>, Failure> {
    let plan = parsed(asked, &text(started, report, keys))?;
    let verdict = judge(&plan, &run.found);
    match verdict.outcome {
        Outcome::Met => Ok(Vec::new()),
        _ => Ok(verdict.reasons.iter().map(judged::name).collect()),
    }
}

/// Takes out the keys of these names; `limits.soft` is of `limits`.
fn drop_unmet(keys: &mut Vec<Expected>, left_out: &mut Vec<&'static str>, unmet: &[String]) {
    let is_unmet = |key: &str| unmet.iter().any(|name| name.split('.').next() == Some(key));
    let (out, kept): (Vec<Expected>, Vec<Expected>) =
        std::mem::take(keys).into_iter().partition(|(key, _)| is_unmet(key));
    left_out.extend(out.into_iter().map(|(key, _)| key));
    *keys = kept;
}
