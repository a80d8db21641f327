//! lastfd finds the last file descriptor: it starts any server under an exact `RLIMIT_NOFILE`, predicts how
//! many connections it will hold, drives it there, observes the first failing call, and measures how it
//! recovers.
//!
//! The flow is one-way: a [`Plan`] → [`run`] (all the effects) → [`Log`] → [`measure`] → [`judge`] →
//! [`Report`] → [`text`], [`json`], [`junit`], [`markdown`], [`html`]. Everything right of the log is a pure
//! function of it. [`find`] does it all for one command.
//!
//! ```no_run
//! use lastfd::{Log, Options, Outcome, Plan, Report};
//! use std::sync::atomic::AtomicBool;
//!
//! const SCENARIO: &str = r#"
//!     claim = "a limit of 1024 stops this server at 1012 connections"
//!     [processes.server]
//!     command = ["./server", "--port", "{port}"]
//!     limits = { soft = 1024, hard = 1024 }
//!     [workloads.clients]
//!     http-idle = {}
//!     [expect]
//!     ceiling = 1012
//! "#;
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let plans = Plan::parse(SCENARIO, "push", ".")?;
//!     let run = lastfd::run(&plans[0], &Options::new()?, &AtomicBool::new(false), &mut |_| {})?;
//!     let log = Log::new(run.events);
//!
//!     let findings = lastfd::measure(&plans[0], &log);
//!     println!("{:?} connections at the first failure", findings.ceiling.accepted.value());
//!     println!("then the server's policy is {:?}", findings.policy.policy.value());
//!     println!("after clients leave it has {:?}", findings.end.get().map(|end| end.verdict));
//!
//!     let verdict = lastfd::judge(&plans[0], &findings);
//!     assert_eq!(verdict.outcome, Outcome::Met, "{:?}", verdict.reasons);
//!     let report = Report::of(&plans[0], &log);
//!     print!("{}", lastfd::text(std::slice::from_ref(&report), false, 100));
//!     std::fs::write("report.json", lastfd::json(&[report]))?;
//!     Ok(())
//! }
//! ```

#[cfg(not(target_os = "linux"))]
compile_error!("lastfd observes Linux system calls: it builds on Linux only");

/// The rooms of the house: for this package's own program, tests and benches. Nothing here keeps its shape
/// from one version to the next.
#[doc(hidden)]
#[path = "."]
pub mod internal {
    #[cfg(feature = "cli")]
    pub mod cli;
    pub mod compare;
    pub mod drive;
    pub mod event;
    pub mod helper;
    pub mod judge;
    pub mod launch;
    pub mod limits;
    pub mod measure;
    pub mod named;
    pub mod observe;
    pub mod parts;
    pub mod report;
    pub mod run;
    pub mod scenario;
    pub mod sys;
    pub mod testing;
}

#[cfg(feature = "cli")]
use internal::{cli, parts, testing};
use internal::{
    compare, drive, event, helper, judge, launch, limits, measure, named, observe, report, run, scenario, sys,
};

// The public surface, one list. `tests/public.rs` repeats its names, so that a new one is a decision.

// What is asked.
pub use internal::event::Limits;
pub use internal::scenario::{
    Ceiling as ExpectedCeiling, ClientProgram, Dialogue, Exchange, Find, Invalid as InvalidScenario,
    KeepAlive, Launcher, LoadError as ScenarioError, OnConnection, One as OneProgram, Pace, Plan, Problem,
    Request, Setting, Step as ExchangeStep, Tls, Verdict as RecoveryVerdict, Workload,
};
// The run.
pub use internal::event::{Event, Log, LogError, What};
pub use internal::launch::Isolation;
pub use internal::named::UnknownName;
pub use internal::observe::Choice as Observer;
pub use internal::run::{Error as RunError, Moment, Options, Run, Step, run};
// The door for tests.
pub use internal::parts::helper;
pub use internal::testing::ServerTest;
#[cfg(feature = "scenario-tests")]
pub use internal::testing::scenario_tests;
// What was found.
pub use internal::measure::{
    AcceptPolicy, Baseline, Binds, Ceiling, Findings, FirstFailure, Kind, Known, Policy, Prediction,
    Recovery, Resource, Subject, Why, measure,
};
// What it comes to.
pub use internal::judge::{Outcome, Reason, Verdict, judge};
pub use internal::report::Report;
pub use internal::report::{
    html::render as html, json::render as json, junit::render as junit, markdown::render as markdown,
    terminal::render as text,
};

/// Finds the connection ceiling of a server command: executes it under these limits, connects clients until
/// it stops, and measures.
///
/// `{port}` in the command stands for a free port; without it lastfd finds the port that the command listens
/// on. [`Find`] has the other choices. It takes seconds, and as [`run`] does it raises this process's soft
/// `RLIMIT_NOFILE`.
///
/// # Errors
/// The command did not start or did not listen, or this machine cannot make the run.
pub fn find(
    command: impl IntoIterator<Item = impl Into<String>>,
    limits: Limits,
) -> Result<Report, RunError> {
    let plan = Find::new(command, limits).plan()?;
    let run = run(&plan, &Options::new()?, &std::sync::atomic::AtomicBool::new(false), &mut |_| {})?;
    run.error.map_or_else(|| Ok(Report::of(&plan, &Log::new(run.events))), Err)
}
