//! The scenarios of a folder as tests. In your package it is `tests/scenarios.rs`, with this in Cargo.toml:
//!
//! ```toml
//! [[test]]
//! name = "scenarios"
//! harness = false
//! ```

fn main() -> std::process::ExitCode {
    lastfd::scenario_tests(["scenarios"])
}
