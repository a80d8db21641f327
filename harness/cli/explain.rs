//! `lastfd explain`: a scenario's arithmetic, or a recorded run's story, in plain words. It starts nothing.

use super::check::{discovered, loaded};
use super::output::{say, terminal_width};
use super::replay::recorded;
use super::select::none_called;
use super::{Exit, Outcome};
use crate::report::{Report, explain};
use crate::scenario::Plan;
use std::io::IsTerminal;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// Explain in plain words why a scenario has its ceiling, or what happened in a recorded run; starts nothing
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Scenario files or folders; `@NAME` is a bundled scenario, `@` all of them. Or one event log, as with
    /// `--events`
    #[arg(value_name = "SCENARIO", required_unless_present = "events")]
    paths: Vec<PathBuf>,
    /// Explain only this variant, in full (`base` is the scenario as written)
    #[arg(long, value_name = "NAME", conflicts_with = "events")]
    variant: Option<String>,
    /// Explain the run in this event log (written by `run --events` or `find --events`)
    #[arg(long, value_name = "FILE", conflicts_with = "paths")]
    events: Option<PathBuf>,
}

/// Prints the explanation.
///
/// # Errors
/// No such scenario or variant (4); an invalid scenario or log (3); a log that cannot be read (2).
pub fn run(args: &Args) -> Outcome {
    let (colour, width) = (std::io::stdout().is_terminal(), terminal_width());
    let log = args.paths.first().filter(|path| args.paths.len() == 1 && is_log(path));
    if let Some(events) = args.events.as_ref().or(log) {
        for (plan, log) in recorded(events)? {
            say(&explain::run(&Report::of(&plan, &log), &log, colour, width))?;
        }
        return Ok(Exit::Met);
    }
    let (mut texts, mut others) = (Vec::new(), Vec::new());
    for path in discovered(&args.paths)? {
        let (plans, not): (Vec<_>, Vec<_>) = loaded(&path)?
            .into_iter()
            .map(|plan| plan.redacted(&plan.redaction(false)))
            .partition(|plan| args.variant.as_ref().is_none_or(|wanted| wanted == plan.variant_name()));
        others.extend(not);
        if !plans.is_empty() {
            texts.push(explain::scenario(&plans, colour, width));
        }
    }
    if let Some(wanted) = args.variant.as_ref().filter(|_| texts.is_empty()) {
        let names: Vec<&str> = others.iter().map(Plan::variant_name).collect();
        return Err(none_called("no variant is called", wanted, &names));
    }
    say(&texts.join("\n"))?;
    Ok(Exit::Met)
}

/// Whether a file is an event log, whose lines are JSON: no scenario begins with a brace.
fn is_log(path: &Path) -> bool {
    let first = || {
        let mut byte = [0];
        std::fs::File::open(path)?.read_exact(&mut byte).map(|()| byte[0])
    };
    path.is_file() && first().is_ok_and(|byte| byte == b'{')
}
