//! `lastfd schema`: the JSON Schema of scenario files, for editors.

use super::output::say;
use super::{Exit, Outcome};
use crate::scenario;

/// Print the JSON Schema of scenario files
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print the reference of every key as Markdown instead
    #[arg(long)]
    markdown: bool,
}

/// The text that `scenarios/schema.json` holds.
pub fn text() -> String {
    format!("{:#}\n", scenario::schema())
}

/// Prints the schema, or the page made from it.
///
/// # Errors
/// Standard output cannot be written to.
pub fn run(args: &Args) -> Outcome {
    say(&if args.markdown { scenario::reference(&scenario::schema()) } else { text() })?;
    Ok(Exit::Met)
}
