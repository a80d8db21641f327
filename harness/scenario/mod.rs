//! Scenario files: TOML text → raw (with spans) → checked → one [`Plan`] per run, the scenario as written first and then its
//! variants. It reads files and asks what this machine has; it never starts a process of a scenario.

mod check;
mod discover;
mod expect;
pub mod formula;
mod launcher;
pub mod model;
mod preflight;
mod problem;
mod raw;
mod set;
mod shape;
pub mod sysctl;

pub use check::duration;
pub use discover::{DiscoverError, discover, name_of};
pub use expect::*;
pub use launcher::{from_toml as launcher_from_toml, soft_hard};
pub use model::*;
pub use preflight::{Obstacle, preflight};
pub use problem::{Invalid, LoadError, Problem};
pub use raw::schema;

use std::path::Path;

/// Reads one scenario file and expands it: the run as written first, then one run a variant.
///
/// # Errors
/// The file cannot be read, or is not a scenario: then every fault that was found, each with its place.
pub fn load(path: &Path) -> Result<Vec<Plan>, LoadError> {
    let text = std::fs::read_to_string(path).map_err(|source| LoadError::Io { path: path.into(), source })?;
    let directory = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Ok(parse(&text, &path.display().to_string(), &name_of(path), directory)?)
}

/// Fails when the sysctls of a valid scenario file are none that a network namespace of this machine takes.
///
/// # Errors
/// The file cannot be read; otherwise every sysctl that is refused, at its place.
pub fn refused_sysctls(path: &Path, trial: &sysctl::Trial) -> Result<(), LoadError> {
    let text = std::fs::read_to_string(path).map_err(|source| LoadError::Io { path: path.into(), source })?;
    Ok(sysctl::tried(&text, &path.display().to_string(), trial)?)
}

/// Expands the text of a scenario; `shown` is the file's name in errors, `name` the scenario's, `directory` the place that
/// relative paths of its commands start from.
///
/// # Errors
/// Every fault that was found, each with its place in the text.
pub fn parse(text: &str, shown: &str, name: &str, directory: &Path) -> Result<Vec<Plan>, Invalid> {
    check::plans(text, name, directory).map_err(|problems| Invalid::new(shown, text, problems))
}
