//! `lastfd check`: parses scenarios and asks whether this machine can run them. It starts nothing.

use super::diagnostic::Faults;
use super::output::say;
use super::select::Selection;
use super::{Exit, Failure, Outcome};
use crate::report::words;
use crate::run::inside;
use crate::scenario::{self, DiscoverError, LoadError, Obstacle, Plan, Wanted, placeholder};
use miette::{GraphicalReportHandler, GraphicalTheme};
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

/// Check scenarios, and whether this machine can run them; starts nothing
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Scenario files or folders; `@NAME` is a bundled scenario, `@` all of them [default: scenarios/]
    #[arg(value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    #[command(flatten)]
    pub selection: Selection,
}

/// Prints one line a run. All files are read, also after one that is not valid.
///
/// # Errors
/// No scenario there: [`Exit::NothingSelected`]. One that is not valid: [`Exit::Invalid`], with every fault
/// of every file.
pub fn run(args: &Args) -> Outcome {
    let (mut faults, mut lines, mut all) = (Vec::new(), Vec::new(), Vec::new());
    for path in discovered(&args.paths)? {
        match read(&path) {
            Ok((plans, cannot)) => {
                let selected = plans.iter().filter(|plan| args.selection.selects(plan));
                lines.extend(selected.map(|plan| line(plan, cannot.as_deref())));
                all.extend(plans);
            }
            // A file that cannot be read may select any run.
            Err(error) => {
                lines.push(format!("invalid  {}", scenario::name_of(&path)));
                faults.push(rendered(&error));
            }
        }
    }
    lines.iter().try_for_each(|line| say(&format!("{line}\n")))?;
    if !faults.is_empty() {
        return Err(Failure::new(Exit::Invalid, faults.join("\n")));
    }
    args.selection.of(all).map(|_| Exit::Met)
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
    let reasons: String =
        reasons.chain(notes(plan)).chain(unrecorded(plan)).map(|line| format!("\n         {line}")).collect();
    format!("{state:<8} {}{reasons}", plan.title())
}

/// A note on recordings that its expectations need and nobody has made: the run would be inconclusive.
fn unrecorded(plan: &Plan) -> Option<String> {
    let missing = plan.expect.amounts.iter().filter_map(|(metric, amount)| match &amount.wanted {
        Wanted::NoWorse { kept: None, scenario, .. } => Some((format!("`{}`", metric.name()), scenario)),
        _ => None,
    });
    let (names, files): (Vec<String>, Vec<&String>) = missing.unzip();
    Some(format!("note: {}: {}", words::list(&names), words::judged::not_recorded(files.first()?)))
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
