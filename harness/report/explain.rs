//! `lastfd explain`: the arithmetic and the story of a run in plain words, for a reader who has no manual at hand. [`scenario`] tells
//! what a plan makes happen, before anything runs; [`run`] tells what a recorded run did. Both are pure; neither measures or judges.

mod launcher;
mod plan;
mod story;

pub use plan::scenario;
pub use story::run;

use crate::event::Limits;

/// `1024:4096`, soft before hard.
fn pair(limits: Limits) -> String {
    format!("{}:{}", limits.soft, limits.hard)
}

/// What a table of this size is, in numbers.
fn numbers(soft: u64) -> String {
    match soft.checked_sub(1) {
        Some(last) => format!(
            "A soft limit of {soft} allows {}, 0 to {last}",
            super::counted(soft, "descriptor number")
        ),
        None => "A soft limit of 0 allows no descriptor at all".into(),
    }
}

/// Why an accept fails that nobody waits for.
const BEFORE_THE_QUEUE: &str = "accept4 takes the descriptor number before it looks at the queue";
/// Why clients connect to a server that cannot take them.
const KERNEL_CONNECTS: &str = "the kernel completes the handshake for the program and parks the connection in the accept queue, so connect succeeds";
