//! The words with which a server greets a client that asks nothing, as a probe writes them into its detail.

use super::{Label, Outcome};

const GREETED: &str = "greeted with: ";

/// The detail of a probe that heard these words.
pub fn greeted(words: &str) -> String {
    format!("{GREETED}{words}")
}

/// The greeting that a probe heard. To a client that asks with HTTP, an answer that is no HTTP is the
/// greeting.
pub fn greeting(label: Label, outcome: Outcome, detail: &str) -> Option<&str> {
    let trial = label == Label::Http && outcome == Outcome::ErrorReply;
    detail.strip_prefix(GREETED).or(trial.then_some(detail))
}
