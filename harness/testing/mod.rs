//! The door for tests: a server's own test starts it, floods it, and asserts what a run of it shows; and the
//! scenarios of a folder are tests of `cargo test`.

pub mod attempt;
mod ending;
mod options;
#[cfg(feature = "scenario-tests")]
mod scenario_tests;
mod server_test;

#[cfg(feature = "scenario-tests")]
pub use scenario_tests::scenario_tests;
pub use server_test::ServerTest;
