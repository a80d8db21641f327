//! `lastfd schema`: the JSON Schema of scenario files, for editors.

use super::output::say;
use super::{Exit, Outcome};
use crate::scenario;

/// Print the JSON Schema of scenario files.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// The text that `scenarios/schema.json` holds.
pub fn text() -> String {
    format!("{:#}\n", scenario::schema())
}

/// Prints the schema.
///
/// # Errors
/// Standard output cannot be written to.
pub fn run(_: &Args) -> Outcome {
    say(&text())?;
    Ok(Exit::Met)
}
