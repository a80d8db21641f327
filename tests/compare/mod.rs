//! `lastfd compare`: its statistics against references, its verdicts on blocks that are made up, and itself
//! on real programs.

mod callers;
mod cli;
mod findings;
mod statistics;
