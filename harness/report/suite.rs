//! The suite that a report is of, and which part of it.

use serde::{Deserialize, Serialize};

/// The suite that was requested. It distinguishes the reports of its parts from those of another suite.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suite {
    /// Version of the program that made the report.
    pub lastfd_version: String,
    /// SHA-1 of the plans of the whole suite, without the folders that they are in, and of `repeat`.
    pub hash: String,
    /// The titles of all its runs, also those in other parts, in their order.
    pub runs: Vec<String>,
    /// How often each is made.
    pub repeat: u32,
    /// Which part of it the report has; `None`: all of it.
    pub part: Option<Part>,
    /// Whether all runs that were to be made were made.
    pub complete: bool,
}

/// Every `of`-th run of a suite, from the `part`-th on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// From 1.
    pub part: usize,
    /// How many parts there are.
    pub of: usize,
}

impl Part {
    /// The elements that belong to this part, of all elements of the suite.
    pub fn of_all<T>(self, all: impl IntoIterator<Item = T>) -> Vec<T> {
        all.into_iter().skip(self.part - 1).step_by(self.of).collect()
    }
}

impl std::fmt::Display for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "part {} of {}", self.part, self.of)
    }
}
