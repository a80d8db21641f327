//! One finding of `lastfd doctor`, and where most of them come from.

use serde::Serialize;

/// Whether something can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// As it should be.
    Ok,
    /// With restrictions, which the check says.
    Limited,
    /// Not at all.
    No,
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// The name of the thing that was checked; stable, for programs that read the JSON document.
    pub name: &'static str,
    /// Whether it can be used.
    pub state: State,
    /// The finding, and its meaning for a run.
    pub found: String,
    /// How to widen it, one way each; empty where there is nothing to widen.
    pub widen: Vec<Way>,
}

/// A way to widen something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Way {
    /// Its effect, and who may do it.
    pub what: String,
    /// The command, where it is one.
    pub command: Option<String>,
}

impl Check {
    pub fn new(name: &'static str, state: State, found: impl Into<String>) -> Check {
        Check { name, state, found: found.into(), widen: Vec::new() }
    }

    /// Adds a way to widen it by a command.
    pub fn by(mut self, what: impl Into<String>, command: impl Into<String>) -> Check {
        self.widen.push(Way { what: what.into(), command: Some(command.into()) });
        self
    }

    /// Adds a way to widen it that is not a command.
    pub fn or(mut self, what: impl Into<String>) -> Check {
        self.widen.push(Way { what: what.into(), command: None });
        self
    }
}

/// A number in a file of /proc/sys; `None` where the kernel has no such file or it is not readable.
pub fn sysctl<T: std::str::FromStr>(name: &str) -> Option<T> {
    sysctl_text(name)?.parse().ok()
}

/// The text of a file of /proc/sys, by its path there.
pub fn sysctl_text(name: &str) -> Option<String> {
    Some(std::fs::read_to_string(format!("/proc/sys/{name}")).ok()?.trim().to_owned())
}
