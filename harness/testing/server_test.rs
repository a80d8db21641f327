//! A test of a server: the program, its limits, and the assertions.

use super::attempt::{Made, attempt, refusal};
use super::ending::{Ending, ending, inconclusive};
use super::options::options;
use crate::event::Limits;
use crate::helper::WORD;
use crate::report::Report;
use crate::run::Error;
use crate::scenario::{self, Expect, Find, Policy, Verdict, formula};
use crate::sys::image::Place;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// The soft and hard limit of a test that sets none.
const NOFILE: u64 = 64;

/// A test of a server at its descriptor limit: it starts the server, floods it until a call fails, lets all
/// clients leave, and asserts the chosen properties.
///
/// ```no_run
/// use lastfd::{Policy, ServerTest};
/// use std::time::Duration;
///
/// # #[allow(dead_code)]
/// #[test]
/// fn the_server_survives_a_flood() {
///     ServerTest::command(["./server", "--port", "{port}"]) // or env!("CARGO_BIN_EXE_server")
///         .nofile(64)
///         .ceiling("soft - baseline")
///         .policy(Policy::Backoff)
///         .recovers_within(Duration::from_secs(2))
///         .leaks_nothing()
///         .run();
/// }
/// ```
///
/// It needs no other binary than the test's own, and no root. Tests may run in parallel, in one process or in
/// many.
#[derive(Debug, Clone)]
#[must_use = "`run` makes the test"]
#[non_exhaustive]
pub struct ServerTest {
    find: Find,
    expect: Expect,
}

impl ServerTest {
    /// This program, with its arguments. `{port}` stands for a free port; without it lastfd finds the port
    /// that the program listens on.
    pub fn command(command: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let limits = Limits { soft: NOFILE, hard: NOFILE };
        ServerTest { find: Find::new(command, limits), expect: Expect::default() }
    }

    /// This function, or closure that captures nothing, in a child process. It listens on any free port, as
    /// `127.0.0.1:0`, and serves until the process is killed.
    ///
    /// The child is the test's own binary, executed again: the function's resources are made anew there, and
    /// none of the test's state exists.
    ///
    /// # Panics
    /// The function is not in the test's own binary but in a shared library.
    #[track_caller]
    pub fn closure(serve: fn()) -> Self {
        let place = Place::of(serve).unwrap_or_else(|e| panic!("the closure cannot be tested: {e}"));
        let own = std::env::current_exe().unwrap_or_else(|e| panic!("own path: {e}"));
        let own = own.to_string_lossy().into_owned();
        ServerTest::command([own, WORD.to_owned(), "closure".to_owned(), place.to_string()])
    }

    /// The soft and the hard limit that the server is started with. Default: 64.
    pub fn nofile(mut self, limit: u64) -> Self {
        self.find.limits = Limits { soft: limit, hard: limit };
        self
    }

    /// Changes any other choice: the workload, the path, the launcher, the environment.
    pub fn with(mut self, change: impl FnOnce(&mut Find)) -> Self {
        change(&mut self.find);
        self
    }

    /// Asserts how many connections it holds: a number, a range (`50..=57`), or a formula over `soft`, `hard`
    /// and `baseline` (`"soft - baseline"`: one descriptor a connection).
    ///
    /// # Panics
    /// The formula cannot be read.
    #[track_caller]
    pub fn ceiling(mut self, expected: impl Into<scenario::Ceiling>) -> Self {
        let expected = expected.into();
        if let scenario::Ceiling::Formula(text) = &expected
            && let Err(error) = formula::parse(text)
        {
            panic!("`{text}` is no ceiling: {}", error);
        }
        self.expect.ceiling = Some(expected);
        self
    }

    /// Asserts what its accept loop does while no descriptor is free.
    pub fn policy(mut self, expected: Policy) -> Self {
        self.expect.policy = Some(expected);
        self
    }

    /// Asserts that it serves as before once clients leave.
    pub fn recovers(mut self) -> Self {
        self.expect.recovery = Some(Verdict::Recovered);
        self
    }

    /// Asserts that a new client is served so soon after all clients have left.
    pub fn recovers_within(mut self, within: Duration) -> Self {
        self.expect.recovers_within_s = Some(within.as_secs_f64());
        self
    }

    /// Asserts that no descriptor stays open after all clients have left.
    pub fn leaks_nothing(mut self) -> Self {
        self.expect.leaked = Some(0);
        self
    }

    /// Makes the test; returns its report.
    ///
    /// Where neither the policy nor recovery is asserted, the behaviour at the limit is not watched, and the
    /// test is over as soon as the server is quiet again.
    ///
    /// A property that this machine cannot show is *inconclusive*: the reason goes to standard error and the
    /// test passes, unless the environment has `LASTFD_REQUIRE=1`.
    ///
    /// # Panics
    /// An assertion is not met, with the reason and the report; the server did not start; a fault of lastfd.
    #[track_caller]
    pub fn run(self) -> Report {
        let (report, error) = self.made().unwrap_or_else(|error| panic!("lastfd: {error}"));
        match ending(&report, error.as_ref()) {
            Ending::Failed(why) => panic!("{why}"),
            Ending::Inconclusive(why) => {
                let thread = std::thread::current();
                inconclusive(thread.name().unwrap_or("a test"), &why);
            }
            Ending::Passed => {}
        }
        report
    }

    fn made(&self) -> Result<Made, Error> {
        let mut find = self.find.clone();
        if self.expect.policy.is_none() && !self.asks_for_recovery() {
            find.hold_s = 0.0;
        }
        let mut plan = find.plan()?;
        plan.expect = self.expect.clone();
        let refused = scenario::preflight(&plan)
            .first()
            .map(|obstacle| refusal(obstacle, obstacle.on_a_command_line()));
        attempt(&plan, refused, &options()?, &AtomicBool::new(false), &mut |_| {}, false)
    }

    fn asks_for_recovery(&self) -> bool {
        self.expect.recovery.is_some() || self.expect.recovers_within_s.is_some()
    }
}
