//! The process under test, and how it was started.

use super::facts::Facts;
use super::known::{Known, OrWhy, Why};
use crate::event::Pid;

/// The process under test.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct Subject {
    /// As the scenario calls it.
    pub name: String,
    /// The process that accepts (or connects, if it is a client): not the launcher.
    pub pid: Known<Pid>,
    /// The program that was executed, with its arguments.
    pub argv: Known<Vec<String>>,
    /// Whether it is a client: nobody connects to it, and its own calls run into its limit.
    #[serde(skip)]
    pub is_client: bool,
    /// The launcher that started it.
    pub launcher: Known<String>,
    /// The means that keeps its process tree together: `pid-namespace`, `user-namespace` or `keeper`.
    pub isolation: Known<String>,
}

/// A subject that its launcher refused to start, or that ended before the first client.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct NotStarted {
    /// Why, with the last lines that it wrote.
    pub reason: String,
    /// Exit status of the program that was executed, which is the launcher where there is one; `None`: a
    /// signal or the run ended it.
    pub exit_status: Option<i32>,
}

/// The process that accepts, and what was executed.
pub(super) fn subject(facts: &Facts<'_>) -> Subject {
    let launched = facts.readings.launched.as_ref();
    Subject {
        name: facts.plan.subject.clone(),
        pid: facts.processes.main.or_why(Why::NoProcess),
        argv: launched.map(|l| l.argv.to_vec()).or_why(Why::NeverExecuted),
        is_client: facts.plan.subject_is_client(),
        launcher: launched.map(|l| l.launcher.to_owned()).or_why(Why::NeverExecuted),
        isolation: launched.and_then(|l| l.isolation).map(str::to_owned).or_why(Why::NotRecorded),
    }
}

/// Why there was no subject to load; `None` when there was one.
pub(super) fn not_started(facts: &Facts<'_>) -> Option<NotStarted> {
    let reason = facts.readings.not_started?.to_owned();
    Some(NotStarted { reason, exit_status: facts.readings.program_ends.iter().find_map(|ended| ended.code) })
}
