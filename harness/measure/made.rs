//! The origin of the run: who made it, where and when, and in which network.

use super::facts::Facts;
use super::known::{Known, OrWhy, Why};
use crate::event::{self, Environment};

/// The circumstances of a run.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct Made {
    /// RFC 3339, from the log's header.
    pub started_at: Known<String>,
    /// The version that made the run, not the one that measures it.
    pub lastfd_version: Known<String>,
    /// The machine.
    pub environment: Known<Environment>,
    /// The network namespace that was made for the run, as /proc shows it (`net:[4026532000]`).
    pub network_namespace: Known<String>,
    /// The sysctls that the scenario sets there.
    pub sysctls: Vec<Sysctl>,
    /// The events of the whole log, where this is of a thinned one, as an HTML report may carry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thinned_from: Option<u64>,
}

/// A sysctl of the run's own network namespace.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
#[non_exhaustive]
pub struct Sysctl {
    /// With dots: `net.core.somaxconn`.
    pub name: String,
    /// As the scenario has it.
    pub asked: String,
    /// In the new namespace, before: the kernel's default.
    pub before: Known<String>,
    /// Read back after it was set.
    pub in_force: Known<String>,
    /// The run's own remark about it.
    pub note: Known<String>,
}

/// Reads the header.
pub(super) fn made(facts: &Facts<'_>) -> Made {
    let header = facts.readings.header.as_ref();
    let no_network = if facts.plan.sysctls.is_empty() { Why::NoSysctls } else { Why::NamespaceNotMade };
    let sysctls = facts.readings.sysctls;
    Made {
        started_at: header.map(|h| h.started_at.to_owned()).or_why(Why::NoHeader),
        lastfd_version: header.map(|h| h.version.to_owned()).or_why(Why::NoHeader),
        environment: header.map(|h| h.environment.clone()).or_why(Why::NoHeader),
        network_namespace: sysctls.map(|(namespace, _)| namespace.to_owned()).or_why(no_network),
        sysctls: sysctls.map_or(Vec::new(), |(_, set)| set.iter().map(sysctl).collect()),
        thinned_from: facts.readings.thinned,
    }
}

fn sysctl(set: &event::Sysctl) -> Sysctl {
    Sysctl {
        name: set.name.clone(),
        asked: set.asked.clone(),
        before: set.before.clone().or_why(Why::SysctlNotRead),
        in_force: set.in_force.clone().or_why(Why::SysctlNotRead),
        note: set.note.clone().or_why(Why::NothingToSay),
    }
}
