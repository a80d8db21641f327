//! The suite that a report is of, and which part of it.

use serde::{Deserialize, Serialize};

/// What was asked for, so that the report of another part can be told from that of another suite.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suite {
    /// Of the program that made the report.
    pub lastfd_version: String,
    /// SHA-1 of the plans of the whole suite, without the folders that they are in, and of `repeat`.
    pub hash: String,
    /// What all its runs are called, those of other parts too, in their order.
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
    /// Those of the suite's runs that belong to it.
    pub fn of_all<T>(self, all: impl IntoIterator<Item = T>) -> Vec<T> {
        all.into_iter().skip(self.part - 1).step_by(self.of).collect()
    }
}

impl std::fmt::Display for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "part {} of {}", self.part, self.of)
    }
}
