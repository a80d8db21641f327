//! The commands: one file each. They parse arguments, call the library, print, and say the exit code; nothing else.

pub mod drive;
pub mod exit;

pub use exit::{Exit, Failure, Outcome};
