//! The options of a run, and its result.

use super::error::Error;
use crate::event::{Environment, Event, ObserverName, SCHEMA, What};
use crate::helper::Helper;
use crate::launch::Isolation;
use crate::observe::{self, failures::SAMPLED_AT_MOST};
use crate::scenario::Plan;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock};

/// How to run, apart from the scenario. Clones share the values that need to be learned only once for several
/// runs.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Options {
    /// Which syscall observer.
    pub observer: observe::Choice,
    /// The strongest way of owning the process tree that is tried.
    pub isolation: Isolation,
    /// Whether no argument of a command is written anywhere, and no value of the environment.
    pub redact: bool,
    /// The file to which the event log is written as well.
    pub events: Option<PathBuf>,
    /// Failing calls that are reported one by one, at most; then totals only.
    pub sampled: u64,
    /// The program that is executed for the steps of a launch, the bundled servers and the drivers.
    pub(crate) helper: Helper,
    /// The cost of each observer, by its name: measured at the first run that uses it.
    pub(crate) costs: Arc<Mutex<HashMap<ObserverName, What>>>,
    /// The tracepoints in use, kept so that observers start quickly in the next run.
    pub(crate) in_use: Arc<OnceLock<observe::perf::InUse>>,
}

impl Options {
    /// The best observer and the strongest isolation that this machine allows; the run's other processes are
    /// this program, executed again.
    ///
    /// # Errors
    /// [`Error::Fault`]: this program's own path is not known, or its linker leaves out `.init_array` and its
    /// `main` has not called `lastfd::helper`.
    pub fn new() -> Result<Self, Error> {
        Ok(Options::with(Helper::this_program()?))
    }

    /// The same, with an installed `lastfd` program in place of this one.
    pub fn with_lastfd(program: impl Into<PathBuf>) -> Self {
        Options::with(Helper::lastfd(program))
    }

    pub(crate) fn with(helper: Helper) -> Self {
        Options {
            observer: observe::Choice::default(),
            isolation: Isolation::default(),
            redact: false,
            events: None,
            sampled: SAMPLED_AT_MOST,
            helper,
            costs: Arc::default(),
            in_use: Arc::default(),
        }
    }
}

/// The result of a run: its events always, and why it ended early if it did.
#[derive(Debug)]
#[non_exhaustive]
pub struct Run {
    /// The event log, times relative to the run's start.
    pub events: Vec<Event>,
    /// `None`: every phase was gone through.
    pub error: Option<Error>,
}

impl Run {
    /// A run that was not begun, because this machine cannot make it or its program is not there. `plan`: as
    /// it may be written.
    pub fn refused(plan: &Plan, error: Error) -> Run {
        let says = [header(plan), early(&error), What::End];
        Run { events: says.into_iter().map(|is| Event { at: 0, is }).collect(), error: Some(error) }
    }
}

/// Why a run ended early, as its log has it.
pub(super) fn early(error: &Error) -> What {
    match error {
        Error::NotStarted(reason) => What::NotStarted { reason: reason.clone() },
        _ => What::Inconclusive { reason: error.to_string() },
    }
}

/// The first line of a log.
pub(super) fn header(plan: &Plan) -> What {
    What::Header {
        schema: SCHEMA.into(),
        lastfd_version: env!("CARGO_PKG_VERSION").into(),
        started_at: jiff::Timestamp::now().to_string(),
        environment: Box::new(environment()),
        plan: serde_json::to_value(plan)
            .expect("a plan is made of strings, numbers and maps with string keys"),
    }
}

/// The environment in which this run is made.
pub fn environment() -> Environment {
    let privileges = if rustix::process::geteuid().is_root() { "root" } else { "unprivileged" };
    Environment {
        kernel: rustix::system::uname().release().to_string_lossy().into_owned(),
        cpus: std::thread::available_parallelism().map_or(1, |n| n.get() as u32),
        privileges: privileges.into(),
        observers: observe::available().into_iter().filter_map(Result::ok).map(str::to_string).collect(),
    }
}
