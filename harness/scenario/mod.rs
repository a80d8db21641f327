//! Scenario files: TOML text → raw (with spans) → checked → one [`Plan`] per run, the scenario as written
//! first and then its variants. It reads files and asks what this machine has; it never starts a process of a
//! scenario.

mod alone;
mod amount;
pub mod bundled;
mod check;
mod discover;
mod duration;
pub mod exchange;
mod expect;
mod filter;
mod find;
pub mod formula;
mod gathered;
mod keep_alive;
mod launcher;
mod launcher_options;
pub mod model;
mod name;
mod pace;
mod place;
pub mod placeholder;
mod preflight;
mod problem;
mod raw;
pub mod recorded;
mod redacted;
mod reference;
mod schedule;
mod set;
mod setting;
mod shape;
pub mod sysctl;
mod user;

pub use alone::Alone;
pub use amount::{Amount, Aspect, Bound as AmountBound, Kept, Metric, NoAmount, Unit, Wanted};
pub use check::is_token;
pub use discover::{DiscoverError, discover, name_of};
pub use duration::duration;
pub use exchange::{Exchange, Step};
pub use expect::*;
pub use filter::{Filter, Of, Word};
pub use find::Find;
pub use keep_alive::{KeepAlive, OnConnection, Version};
pub use launcher::{from_toml as launcher_from_toml, soft_hard};
pub use model::*;
pub use name::FOLDER;
pub use pace::{Pace, bytes_per_second, per_second};
pub use place::line_of;
pub use preflight::{Obstacle, executable, preflight};
pub use problem::{Invalid, LoadError, Problem, by_likeness};
pub use raw::schema;
pub use reference::page as reference;
pub use schedule::{Arrivals, Schedule};
pub use setting::{InFile, Prepare, ReadyWhen, Setting, Stdin, stays_where_it_is, wrong_name};
pub use user::{User, user_id};

use crate::event::{Log, What, file};
use std::borrow::Cow;
use std::path::Path;
use std::string::FromUtf8Error;

/// Reads one scenario file, or a bundled one (`@NAME`), and expands it: the run as written first, then one
/// run a variant.
///
/// # Errors
/// The file cannot be read, or is not a scenario: then every fault that was found, each with its place.
pub fn load(path: &Path) -> Result<Vec<Plan>, LoadError> {
    let text = source(path)?;
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty() && !bundled::is_meant(path));
    let directory = folder.unwrap_or(Path::new("."));
    let mut plans = parse(&text, &path.display().to_string(), &name_of(path), directory)?;
    if plans.iter().any(Plan::compares_with_recorded) {
        let recorded = recorded::read(path)?;
        plans.iter_mut().for_each(|plan| plan.compared_with(&recorded, &path.display().to_string()));
    }
    Ok(plans)
}

impl Plan {
    /// The plans of a scenario file: the run as written first, then one for each variant.
    ///
    /// # Errors
    /// The file cannot be read, or is not a scenario: then every fault that was found, each with its place.
    pub fn load(path: impl AsRef<Path>) -> Result<Vec<Plan>, LoadError> {
        load(path.as_ref())
    }

    /// The plans of a scenario's text. `name` is what the scenario is called; `directory` is where relative
    /// paths of its commands start from.
    ///
    /// # Errors
    /// Every fault that was found, each with its place in the text.
    pub fn parse(text: &str, name: &str, directory: impl AsRef<Path>) -> Result<Vec<Plan>, LoadError> {
        Ok(parse(text, name, name, directory.as_ref())?)
    }

    /// The plan of a recorded run, from the head of its log.
    ///
    /// # Errors
    /// There is none, or another version wrote it and this one does not understand it.
    pub fn recorded(log: &Log) -> Result<Plan, serde_json::Error> {
        let header = log.events.iter().find_map(|event| match &event.is {
            What::Header { plan, .. } => Some(plan.clone()),
            _ => None,
        });
        serde_json::from_value(header.unwrap_or_default())
    }
}

/// The text of a file, or of a bundled scenario.
fn source(path: &Path) -> Result<Cow<'static, str>, LoadError> {
    if let Some(text) = bundled::text(path) {
        return Ok(text.into());
    }
    let bytes = file::read_all(path).map_err(|source| LoadError::Io { path: path.into(), source })?;
    String::from_utf8(bytes).map(Cow::Owned).map_err(|error| not_text(path, &error))
}

/// The first byte that is no UTF-8, and its place.
fn not_text(path: &Path, error: &FromUtf8Error) -> LoadError {
    let (before, after) = error.as_bytes().split_at(error.utf8_error().valid_up_to());
    let before = String::from_utf8_lossy(before);
    let line = before.rsplit('\n').next().unwrap_or_default();
    let (line, column) = (before.matches('\n').count() + 1, line.chars().count() + 1);
    LoadError::NotText { path: path.into(), line, column, byte: after.first().copied().unwrap_or_default() }
}

/// Fails when the sysctls of a valid scenario file are none that a network namespace of this machine takes.
///
/// # Errors
/// The file cannot be read; otherwise every sysctl that is refused, at its place.
pub fn refused_sysctls(path: &Path, trial: &sysctl::Trial) -> Result<(), LoadError> {
    let text = source(path)?;
    Ok(sysctl::tried(&text, &path.display().to_string(), trial)?)
}

/// Expands the text of a scenario; `shown` is the file's name in errors, `name` the scenario's, `directory`
/// the place that relative paths of its commands start from.
///
/// # Errors
/// Every fault that was found, each with its place in the text.
pub fn parse(text: &str, shown: &str, name: &str, directory: &Path) -> Result<Vec<Plan>, Invalid> {
    check::plans(text, name, directory).map_err(|problems| Invalid::new(shown, text, problems))
}
