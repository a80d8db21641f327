//! The door for tests: a server's own test starts it, floods it, and asserts what a run of it shows.

pub mod attempt;
mod entry;
mod server_test;

pub use entry::{helper, serve};
pub use server_test::ServerTest;
