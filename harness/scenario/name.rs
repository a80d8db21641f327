//! The name of a scenario, from the place of its file.

use std::path::{Component, Path};

/// The folder that is meant where no path is given, and below which names begin.
pub const FOLDER: &str = "scenarios";
/// The name of a scenario's file in a folder of its own.
pub const FILE: &str = "scenario.toml";
/// The end of the name of a scenario file that shares its folder.
pub const SUFFIX: &str = ".scenario.toml";

/// `websocket-1012` of `scenarios/websocket-1012/scenario.toml`, `policies/spin` of
/// `scenarios/policies/spin.scenario.toml`. Below a folder called `scenarios` all of the path counts,
/// elsewhere the last part.
pub fn of_file(path: &Path) -> String {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let mut parts: Vec<String> = path
        .components()
        .filter_map(|part| match part {
            Component::Normal(part) => Some(part.to_string_lossy().into_owned()),
            _ => None,
        })
        .collect();
    let Some(file) = parts.pop() else { return "scenario".into() };
    if file != FILE {
        parts.push(file.strip_suffix(SUFFIX).or(file.strip_suffix(".toml")).unwrap_or(&file).to_owned());
    }
    let below =
        parts.iter().rposition(|part| part == FOLDER).map_or(parts.len().saturating_sub(1), |at| at + 1);
    match parts[below.min(parts.len())..].join("/") {
        empty if empty.is_empty() => "scenario".into(),
        name => name,
    }
}
