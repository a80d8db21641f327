//! The commands: one file each. They parse arguments, call the library, print, and say the exit code; nothing else.

pub mod exit;
pub mod serve;

pub use exit::{Exit, Failure, Outcome};
