//! The parts of a run that are processes of their own: the steps of a launch, the load generator, the bundled
//! servers, and the closure of a test. They are hidden commands of the `lastfd` program, and what a program
//! that links the library does when it is executed as a helper.

mod closure;
mod drive;
mod entry;
mod exec;
mod part;

pub use entry::helper;
pub use part::run;
