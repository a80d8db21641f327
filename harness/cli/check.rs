//! `lastfd check`: parses scenarios and asks whether this machine can run them. It starts nothing.

use super::diagnostic::Faults;
use super::output::say;
use super::{Exit, Failure, Outcome};
use crate::run::inside;
use crate::scenario::{self, DiscoverError, LoadError, Obstacle, Plan, placeholder};
use miette::{GraphicalReportHandler, GraphicalTheme};
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

/// Check scenarios, and whether this machine can run them; starts nothing
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Scenario files or folders; `@NAME` is a bundled scenario, `@` all of them [default: scenarios/]
    #[arg(value_name = "PATH")]
    pub paths: Vec<PathBuf>,
}

/// Prints one line a run. All files are read, also after one that is not valid.
///
/// # Errors
/// No scenario there: [`Exit::NothingSelected`]. One that is not valid: [`Exit::Invalid`], with every fault
/// of every file.
pub fn run(args: &Args) -> Outcome {
    let (mut faults, mut invalid) = (Vec::new(), 0);
    for path in discovered(&args.paths)? {
        match read(&path) {
            Ok((plans, cannot)) => {
                plans.iter().try_for_each(|plan| say(&format!("{}\n", line(plan, cannot.as_deref()))))?
            }
            Err(error) => {
                invalid += 1;
                say(&format!("invalid  {}\n", scenario::name_of(&path)))?;
                faults.push(rendered(&error));
            }
        }
    }
    if invalid == 0 { Ok(Exit::Met) } else { Err(Failure::new(Exit::Invalid, faults.join("\n"))) }
}

/// `ready`, `skip` or `cannot`, the run, and why.
fn line(plan: &Plan, no_sysctls: Option<&str>) -> String {
    let obstacles = scenario::preflight(plan);
    let no_sysctls = no_sysctls.filter(|_| !plan.sysctls.is_empty());
    let state = match obstacles.as_slice() {
        [] if no_sysctls.is_none() => "ready",
        some if some.iter().any(|obstacle| matches!(obstacle, Obstacle::Missing { .. })) => "skip",
        _ => "cannot",
    };
    let reasons = obstacles.iter().map(ToString::to_string).chain(no_sysctls.map(str::to_owned));
    let reasons: String = reasons.chain(notes(plan)).map(|line| format!("\n         {line}")).collect();
    format!("{state:<8} {}{reasons}", plan.title())
}

/// Arguments that look like placeholders, and that the run hands over as they are.
fn notes(plan: &Plan) -> impl Iterator<Item = String> {
    let names: Vec<&str> = plan.processes.keys().map(String::as_str).collect();
    plan.processes.iter().flat_map(move |(process, about)| {
        let unknown: Vec<_> =
            about.words().flat_map(|word| placeholder::unknown(&word, &names, &[])).collect();
        unknown.into_iter().filter(|unknown| unknown.alone).map(move |unknown| {
            let help = placeholder::help();
            format!("note: `{}` of {process} is not replaced: {help}", unknown.written)
        })
    })
}

/// The files that a command line means.
///
/// # Errors
/// [`Exit::NothingSelected`] when there are none.
pub fn discovered(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    scenario::discover(paths).map_err(|error| match error {
        DiscoverError::Io { .. } => Failure::new(Exit::Invalid, error),
        DiscoverError::Missing { .. }
        | DiscoverError::Empty { .. }
        | DiscoverError::NoFolder
        | DiscoverError::NotBundled { .. } => Failure::new(Exit::NothingSelected, error),
    })
}

/// Most names that a message lists.
const NAMES_MAX: usize = 20;

/// Nothing is called so: what there is, the most like it first.
pub fn none_called(what: &str, wanted: &str, names: &[&str]) -> Failure {
    let mut names = scenario::by_likeness(wanted, names.iter().copied());
    let mut seen = std::collections::HashSet::new();
    names.retain(|name| seen.insert(*name));
    let more = names.len().saturating_sub(NAMES_MAX);
    names.truncate(NAMES_MAX);
    let more = if more == 0 { String::new() } else { format!(", and {more} more (`lastfd list` shows all)") };
    let there = match names.as_slice() {
        [one] => format!("there is only {one}"),
        names => format!("there are {}", names.join(", ")),
    };
    Failure::new(Exit::NothingSelected, format!("{what} {wanted:?}: {}{more}", there))
}

/// What a variant is called on the command line; the scenario as written is `base`.
pub fn variant(plan: &Plan) -> &str {
    plan.variant.as_deref().unwrap_or("base")
}

/// The plans of one file.
///
/// # Errors
/// [`Exit::Invalid`], with every fault of the file.
pub fn loaded(path: &Path) -> Result<Vec<Plan>, Failure> {
    read(path).map(|(plans, _)| plans).map_err(|error| Failure::new(Exit::Invalid, rendered(&error)))
}

/// The plans of one file; where they have sysctls, a network namespace made for the purpose is asked about
/// them. Second: why it could not be, which leaves these runs inconclusive.
fn read(path: &Path) -> Result<(Vec<Plan>, Option<String>), LoadError> {
    let plans = scenario::load(path)?;
    let mut asked: Vec<(String, String)> = plans.iter().flat_map(|plan| plan.sysctls.clone()).collect();
    asked.sort();
    asked.dedup();
    if asked.is_empty() {
        return Ok((plans, None));
    }
    match super::own::own_helper().and_then(|helper| inside::try_sysctls(&helper, &asked)) {
        Err(why) => Ok((plans, Some(why))),
        Ok(trial) => scenario::refused_sysctls(path, &trial).map(|()| (plans, None)),
    }
}

/// An error as standard error shows it: in colours only to a terminal.
fn rendered(error: &LoadError) -> String {
    let LoadError::Invalid(invalid) = error else { return error.to_string() };
    let colours = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let theme = if colours { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
    let mut text = String::new();
    // Writing to a String does not fail.
    let _ = GraphicalReportHandler::new_themed(theme)
        .with_width(120)
        .with_links(false)
        .render_report(&mut text, &Faults::from(invalid));
    text
}
