//! Limits as they are in force: read from live processes, never assumed from what was asked for.

pub mod chain;
