//! lastfd finds the last file descriptor: it starts any server under an exact `RLIMIT_NOFILE`, predicts how many
//! connections it will hold, drives it there, observes the first failing call, and measures how it recovers.
//!
//! The flow is one-way: `scenario` → `run` (all the effects) → event log → `measure` → `judge` → `report`.
//! Everything right of the event log is a pure function of it.

#[cfg(not(target_os = "linux"))]
compile_error!("lastfd observes Linux system calls: it builds on Linux only");

/// The rooms of the house: for this package's own program, tests and benches. Nothing here keeps its shape from one version to the next.
#[doc(hidden)]
#[path = "."]
pub mod internal {
    pub mod cli;
    pub mod drive;
    pub mod event;
    pub mod helper;
    pub mod judge;
    pub mod launch;
    pub mod limits;
    pub mod measure;
    pub mod named;
    pub mod observe;
    pub mod report;
    pub mod run;
    pub mod scenario;
    pub mod sys;
}

use internal::{
    cli, drive, event, helper, judge, launch, limits, measure, named, observe, report, run, scenario, sys,
};
