//! `lastfd schema`: the JSON Schema of scenario files, for editors.

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
/// None.
pub fn run(_: &Args) -> Outcome {
    anstream::print!("{}", text());
    Ok(Exit::Met)
}
