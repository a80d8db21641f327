//! One run: all the effects, in order. Launchers, drivers and observers meet here and nowhere else; what
//! comes out is the event log. It judges nothing.

mod calibrate;
mod caller;
mod census;
mod choice;
mod client;
mod companions;
pub mod compare;
pub mod cost;
mod error;
mod holders;
pub mod inside;
mod journal;
mod live;
mod loaded;
mod moment;
mod moved;
mod options;
mod orders;
mod others;
mod phases;
mod places;
mod prepare;
mod programs;
mod progress;
mod pump;
mod ramp;
mod ready;
mod recover;
mod resources;
mod rounds;
mod saturate;
mod second_round;
mod setting;
mod site;
mod steady;
mod stillness;

pub use error::Error;
pub use journal::Journal;
pub use live::{Live, Step};
pub use moment::{Moment, Moments, seconds};
pub use options::{Options, Run, environment};
pub use prepare::argv;

use phases::made;

use crate::limits::budget;
use crate::scenario::Plan;
use std::sync::atomic::AtomicBool;

/// Runs a plan. SIGINT and SIGTERM set `interrupted`; `progress` gets each step.
///
/// Whatever happens, no process, file or namespace stays behind; but the soft `RLIMIT_NOFILE` of this process
/// is raised to its hard limit, for observers and clients, and stays there.
///
/// # Errors
/// Only the event log's file; everything else is in [`Run::error`], beside the events so far.
pub fn run(
    plan: &Plan,
    options: &Options,
    interrupted: &AtomicBool,
    progress: &mut dyn FnMut(&Step),
) -> Result<Run, Error> {
    // Before anything is opened: the observer alone takes some ninety descriptors a cpu.
    budget::raise_own();
    match plan.sysctls.is_empty() {
        true => made(plan, options, interrupted, progress, Ok(None)),
        false => inside::run(plan, options, interrupted, progress),
    }
}
