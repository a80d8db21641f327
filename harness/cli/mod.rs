//! The commands: one file each. They parse arguments, call the library, print, and say the exit code; nothing else.

pub mod check;
pub mod exit;
pub mod list;
pub mod schema;

pub use exit::{Exit, Failure, Outcome};
