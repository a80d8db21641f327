//! The plan of one run: a scenario with one of its variants applied, checked, with every default filled in.
//!
//! The run executes it, and the judge reads it back from the head of the event log. It has the requests,
//! never the results.

mod calls;
mod process;
mod serve;
mod workload;

pub use super::launcher_options::{Session, Shell};
use crate::compare::Bound;
pub use crate::event::Limits;
pub use calls::*;
pub use process::*;
use serde::{Deserialize, Serialize};
pub use serve::*;
use std::collections::BTreeMap;
pub use workload::*;

use super::expect::Expect;

/// One run: the processes to start, their load, and the expectations.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Plan {
    /// The scenario's name: its folder or file stem; `find` for a command line.
    pub scenario: String,
    /// The variant's name; `None` for the scenario as written.
    pub variant: Option<String>,
    /// The claim that the run shows, in the author's words.
    pub claim: String,
    /// People's belief about this run's remedy (or about the original state), in their words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub believed: Option<String>,
    /// Words that filters select it by.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// The process whose ceiling is measured.
    pub subject: String,
    /// By name.
    pub processes: BTreeMap<String, Process>,
    /// By name; they run at the same time.
    pub workloads: BTreeMap<String, Workload>,
    /// Set in a network namespace made for the run, in which all of it then happens; by name with dots.
    /// Empty: none is made.
    #[serde(default)]
    pub sysctls: BTreeMap<String, String>,
    /// Actions on the subject after it was watched at the limit, in this order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub then: Vec<Then>,
    /// How often recovery is sampled.
    #[serde(default, skip_serializing_if = "Recovery::once")]
    pub recovery: Recovery,
    /// How its variants are compared, and which bounds they must keep.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compare: Option<Gate>,
    /// Whether the scenario asks that nothing else runs beside it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub alone: bool,
    /// Expected observations.
    pub expect: Expect,
    /// Longest time that saturation is watched, seconds.
    pub hold_s: f64,
    /// The directory of the scenario file: relative paths in commands start from it.
    pub directory: std::path::PathBuf,
}

/// The comparison of a variant with the scenario as written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Gate {
    /// The variant; `None`: the first.
    pub variant: Option<String>,
    /// Bounds that it must keep.
    pub require: Vec<Bound>,
}

/// How recovery is measured. It depends on where in its own delay the server is when clients leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "SampledRecovery")]
pub struct Recovery {
    /// How many times some clients leave, each time at another phase of the server's delay, and new ones take
    /// their place. Then all leave, and a second ramp shows whether the ceiling is the same. Default: 1,
    /// without a second ramp.
    #[schemars(range(min = 1, max = 64))]
    pub rounds: u32,
}

impl Recovery {
    /// Most rounds: a bound on everything.
    pub const ROUNDS_MAX: u32 = 64;

    fn once(&self) -> bool {
        self.rounds == 1
    }
}

impl Default for Recovery {
    fn default() -> Self {
        Recovery { rounds: 1 }
    }
}

/// A change to the live subject.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Then {
    /// When it happens.
    pub at: Moment,
    /// The new `RLIMIT_NOFILE` of each of its processes that accepts, set with prlimit(2).
    pub limit: MovedLimit,
}

/// When a change to the live subject happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Moment {
    /// After the server was watched at its limit (or all clients are in), and before any client leaves.
    Saturated,
}

/// The new limits of a live process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MovedLimit {
    /// The new soft limit.
    pub soft: u64,
    /// The new hard limit. Default: unchanged, or the soft limit if that is higher, which needs
    /// CAP_SYS_RESOURCE.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hard: Option<u64>,
}

impl Plan {
    /// Whether the clients of this process send datagrams (UDP), all of them.
    pub fn serves_datagrams(&self, process: &str) -> bool {
        let mut loads = self.workloads.values().filter(|workload| workload.to == process).peekable();
        loads.peek().is_some() && loads.all(|workload| workload.kind == Some(Dialogue::Datagram))
    }

    /// Whether nothing is to connect to the subject: its own calls are what runs into the limit.
    pub fn subject_is_client(&self) -> bool {
        let calls = |process: &Process| matches!(process.program, Program::Call(_));
        // Behind a relay it is loaded too: a process that knows its port is there to connect to it.
        let loaded = || {
            self.workloads.values().any(|workload| workload.to == self.subject)
                || self.processes.values().any(|process| process.names(&self.subject))
        };
        self.processes.get(&self.subject).is_some_and(calls) || !loaded()
    }

    /// Whether the subject may call another process though no workload connects to it. It is a caller; or a
    /// program that waits for a signal, or that knows where another process listens and listens nowhere
    /// itself; or a program with a first failure expected in another call than accept.
    pub fn subject_may_call(&self) -> bool {
        let Some(subject) = self.processes.get(&self.subject) else { return true };
        match subject.program {
            Program::Call(_) => return true,
            // They call when they are called.
            Program::Serve(_) => return false,
            Program::Command(_) => {}
        }
        let mut others = self.processes.keys().filter(|name| **name != self.subject);
        let fails_elsewhere = self.expect.first_failure.as_ref().is_some_and(|first| !first.call.accepts());
        let listens = subject.port.is_some() || subject.words().any(|word| word.contains("{port}"));
        subject.begin.is_some() || fails_elsewhere || !listens && others.any(|name| subject.names(name))
    }

    /// The most connections that the subject can be made to hold, or calls that it makes, and what they are
    /// called; `None` where that depends on the run.
    pub fn most_clients(&self) -> Option<(u64, &'static str)> {
        if let Program::Call(workload) = &self.processes.get(&self.subject)?.program {
            return Some((self.workloads.get(workload)?.clients?.into(), "calls"));
        }
        // Connections from a process that knows the subject's port are not counted here.
        let mut loads = self.workloads.values().filter(|workload| workload.to == self.subject).peekable();
        if loads.peek().is_none() || self.processes.values().any(|process| process.names(&self.subject)) {
            return None;
        }
        loads.map(|workload| workload.clients.map(u64::from)).sum::<Option<u64>>().map(|all| (all, "clients"))
    }

    /// The bundled server beside the subject that is a witness of those that call it, and what it serves.
    pub fn upstream(&self) -> Option<(&str, Upstream)> {
        let witness = |process: &Process| match &process.program {
            Program::Serve(serve) => serve.witness(),
            _ => None,
        };
        let mut beside = self.processes.iter().filter(|(name, _)| **name != self.subject);
        beside.find_map(|(name, process)| Some((name.as_str(), witness(process)?)))
    }

    /// The bundled upstream that the subject calls, where the subject is a command that no client connects to
    /// and that begins by itself.
    pub fn called(&self) -> Option<(&str, Upstream)> {
        let subject = self.processes.get(&self.subject)?;
        let begins = matches!(subject.program, Program::Command(_)) && subject.begin.is_none();
        self.upstream().filter(|(name, _)| begins && self.subject_is_client() && subject.names(name))
    }

    /// The name of the variant on the command line; the scenario as written is `base`.
    pub fn variant_name(&self) -> &str {
        self.variant.as_deref().unwrap_or("base")
    }

    /// Scenario and variant, as `scenario` or `scenario / variant`.
    pub fn title(&self) -> String {
        match &self.variant {
            Some(variant) => format!("{} / {variant}", self.scenario),
            None => self.scenario.clone(),
        }
    }
}
