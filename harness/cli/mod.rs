//! The commands: one file each. They parse arguments, call the library, print, and say the exit code; nothing else.

pub mod doctor;
pub mod exit;
pub mod inspect;
mod page;

pub use exit::{Exit, Failure, Outcome};
