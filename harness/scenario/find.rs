//! The plan of a question without a file: what is the ceiling of this command?

use super::Expect;
use super::Pace;
use super::model::*;
use crate::event::Redaction;
use std::collections::BTreeMap;

/// A server command whose ceiling is to be found: [`Find::new`] fills in every default, and [`Find::plan`]
/// makes it a plan that expects nothing.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Find {
    /// Program and arguments; `{port}` is replaced by a free port, `{scratch}` by a temporary folder.
    pub command: Vec<String>,
    /// What the launcher is started with.
    pub limits: Limits,
    /// Other limits that the launcher is started with.
    pub rlimits: Rlimits,
    /// What starts it.
    pub launcher: Launcher,
    /// What each client does; `None`: the server is asked with HTTP, and otherwise `tcp`.
    pub workload: Option<Dialogue>,
    /// Request path.
    pub path: String,
    /// The port to load; `None`: the one the program listens on.
    pub port: Option<u16>,
    /// The Unix socket to load, in place of a port: its path, in which `{scratch}` is replaced too, or `@` and its abstract name. With
    /// neither, a program that listens on no port is loaded by the one Unix socket that it listens on.
    pub unix: Option<String>,
    /// How many clients; `None`: soft limit × 1.5 + the accept queue's capacity.
    pub clients: Option<u32>,
    /// How fast clients come.
    pub pace: Pace,
    /// Longest time that saturation is watched, seconds.
    pub hold_s: f64,
    /// How often recovery is sampled, at most [`Recovery::ROUNDS_MAX`]; with more than one a second ramp
    /// follows.
    pub recoveries: u32,
    /// Longest time until the program listens, seconds.
    pub ready_within_s: f64,
}

/// How the claim of its plan begins; the command follows.
const CLAIM: &str = "the connection ceiling of `";

impl Find {
    /// The command in the claim of its plan.
    pub fn command_in(claim: &str) -> Option<&str> {
        claim.strip_prefix(CLAIM)?.strip_suffix('`')
    }

    /// What the scenario of its plan is called.
    pub const SCENARIO: &'static str = "find";
    /// How its plan calls the command: the subject, and the only process.
    pub const SUBJECT: &'static str = "server";

    /// This command, executed under these limits.
    pub fn new(command: impl IntoIterator<Item = impl Into<String>>, limits: Limits) -> Self {
        Find {
            command: command.into_iter().map(Into::into).collect(),
            limits,
            rlimits: Rlimits::default(),
            launcher: Launcher::Exec,
            workload: None,
            path: "/".into(),
            port: None,
            unix: None,
            clients: None,
            pace: Pace::Auto,
            hold_s: 5.0,
            recoveries: 1,
            ready_within_s: 30.0,
        }
    }

    /// The run that finds it. Relative paths of the command start from the folder that this process is in.
    ///
    /// # Errors
    /// That folder cannot be told, as when it was removed.
    pub fn plan(self) -> std::io::Result<Plan> {
        let command = shell_words::join(Redaction::default().words(&self.command));
        let claim = format!("{CLAIM}{command}`");
        let process = Process {
            program: Program::Command(self.command),
            launcher: self.launcher,
            limits: self.limits,
            requires: Vec::new(),
            port: self.port,
            env: BTreeMap::new(),
            ready_within_s: self.ready_within_s,
            grace_s: 2.0,
            begin: None,
            rlimits: self.rlimits,
        };
        let workload = Workload {
            kind: self.workload,
            to: Self::SUBJECT.into(),
            clients: self.clients,
            port: self.port,
            unix: self.unix,
            path: self.path,
            pace: self.pace,
            calls: None,
        };
        Ok(Plan {
            scenario: Self::SCENARIO.into(),
            variant: None,
            believed: None,
            claim,
            subject: Self::SUBJECT.into(),
            processes: BTreeMap::from([(Self::SUBJECT.into(), process)]),
            workloads: BTreeMap::from([("clients".into(), workload)]),
            sysctls: BTreeMap::new(),
            then: Vec::new(),
            recovery: Recovery { rounds: self.recoveries },
            expect: Expect::default(),
            hold_s: self.hold_s,
            directory: std::env::current_dir()?,
        })
    }
}
