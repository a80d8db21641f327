//! The words with which a server greets a client that asks nothing, as a probe writes them into its detail.

use super::{Label, Outcome};

const GREETED: &str = "greeted with: ";

/// The detail of a probe that heard these words.
pub fn greeted(words: &str) -> String {
    format!("{GREETED}{words}")
}

/// The greeting that a probe heard before the ramp, or on a held connection: a new client at the wall may
/// hear an error. To a client that asks with HTTP, an answer that is no HTTP is the greeting.
pub fn greeting(label: Label, outcome: Outcome, detail: &str) -> Option<&str> {
    let trial = label == Label::Http && outcome == Outcome::ErrorReply;
    let early = label == Label::Held || label.asks_dialogue();
    detail.strip_prefix(GREETED).filter(|_| early).or(trial.then_some(detail))
}
