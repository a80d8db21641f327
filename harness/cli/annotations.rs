//! GitHub's annotations, where a run is made by one of its actions.

use crate::report::annotations::{At, render};
use crate::report::told::Told;
use crate::scenario::line_of;
use crate::testing::attempt::Made;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The scenario files of a suite, by the names of their scenarios.
pub type Sources = BTreeMap<String, PathBuf>;

/// The annotations of these runs for GitHub; empty elsewhere.
pub fn of(made: &[Made], sources: &Sources) -> String {
    if std::env::var("GITHUB_ACTIONS").is_ok_and(|value| value == "true") {
        let told: Vec<Told> = made.iter().map(|(report, _)| Told::of(report)).collect();
        render(&told, |run, expectation| at(sources.get(&run.scenario)?, run, expectation))
    } else {
        String::new()
    }
}

/// Where a scenario file says it. A bundled scenario is none of the repository's files.
fn at(file: &Path, run: &Told, expectation: Option<&str>) -> Option<At> {
    let text = std::fs::read_to_string(file).ok()?;
    let line = line_of(&text, run.variant.as_deref(), expectation)?;
    let whole = std::path::absolute(file).ok()?;
    let root = std::env::var_os("GITHUB_WORKSPACE").unwrap_or_default();
    let file = whole.strip_prefix(root).unwrap_or(file).display().to_string();
    Some(At { file, line })
}
