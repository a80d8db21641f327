//! A first scenario file, in words.

use crate::measure::Kind;
use crate::report::Report;

/// The comment at the top of the scenario.
pub const COMMENT: &str = "Written by `lastfd init`. It expects what was measured; keep what must stay so.";

/// The `claim` of the scenario.
pub fn claim(report: &Report, command: &[String]) -> String {
    let program = command.first().map_or("the program", |word| word.rsplit('/').next().unwrap_or(word));
    let ceiling = &report.found.ceiling;
    match (ceiling.kind.value(), ceiling.held()) {
        (Some(Kind::NotReached), Some(held)) => format!("{program} holds {held} connections"),
        (Some(_), Some(held)) => format!("{program} stops at {held} connections"),
        _ => format!("{program} is as it was when it was measured"),
    }
}
