//! `lastfd explain`: a scenario's arithmetic, or a recorded run's story, in plain words. It starts nothing.

use super::check::{discovered, loaded};
use super::output::{say, terminal_width};
use super::replay::recorded;
use super::{Exit, Failure, Outcome};
use crate::report::{Report, explain};
use std::io::IsTerminal;
use std::path::PathBuf;

/// Explain a scenario's arithmetic, or a recorded run, in plain words; starts nothing
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Scenario files, or folders that hold some
    #[arg(value_name = "SCENARIO", required_unless_present = "events")]
    paths: Vec<PathBuf>,
    /// Only this variant, in full (`base`: the scenario as written)
    #[arg(long, value_name = "NAME", conflicts_with = "events")]
    variant: Option<String>,
    /// The event log of a run, as `run --events` and `find --events` write it: what happened, and why
    #[arg(long, value_name = "FILE", conflicts_with = "paths")]
    events: Option<PathBuf>,
}

/// Prints the explanation.
///
/// # Errors
/// No such scenario or variant (4); an invalid scenario or log (3); a log that cannot be read (2).
pub fn run(args: &Args) -> Outcome {
    let (colour, width) = (std::io::stdout().is_terminal(), terminal_width());
    if let Some(events) = &args.events {
        let (plan, log) = recorded(events)?;
        say(&explain::run(&Report::of(&plan, &log), &log, colour, width))?;
        return Ok(Exit::Met);
    }
    let (mut texts, mut names) = (Vec::new(), Vec::new());
    for path in discovered(&args.paths)? {
        let mut plans = loaded(&path)?;
        let name = |variant: &Option<String>| variant.clone().unwrap_or_else(|| "base".into());
        names.extend(plans.iter().map(|plan| name(&plan.variant)));
        plans.retain(|plan| args.variant.as_ref().is_none_or(|wanted| *wanted == name(&plan.variant)));
        if !plans.is_empty() {
            texts.push(explain::scenario(&plans, colour, width));
        }
    }
    if texts.is_empty() {
        return Err(Failure::new(
            Exit::NothingSelected,
            format!("no variant of that name: there are {}", names.join(", ")),
        ));
    }
    say(&texts.join("\n"))?;
    Ok(Exit::Met)
}
