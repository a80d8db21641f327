//! What a scenario expects, and the words for it: the report says what was measured in the same ones. Part of the plan; it judges nothing.

use crate::event::Call;
pub use crate::event::{Outcome, SeenAs};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What must be observed; a field that is absent is not judged.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Expect {
    /// Limits in force in the process that accepts.
    pub limits: ExpectLimits,
    /// Accepted at the ceiling.
    pub ceiling: Option<Ceiling>,
    /// Descriptors at rest.
    pub baseline: Option<u64>,
    /// The first failing call.
    pub first_failure: Option<FirstFailure>,
    /// What its accept loop does at the ceiling.
    pub policy: Option<Policy>,
    /// The pauses between its tries at the ceiling.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay: Option<ExpectDelay>,
    /// From the release of all clients to a new client served, seconds.
    pub recovers_within_s: Option<f64>,
    /// What it comes to when clients leave.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovery: Option<Verdict>,
    /// From the last move of its limit to the next accept, seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resumes_within_s: Option<f64>,
    /// Accepted at the ceiling under the limit that was moved last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ceiling_after: Option<Ceiling>,
    /// Descriptors more than at rest after all clients left.
    pub leaked: Option<i64>,
    /// Whether `fs.file-max`, the bound of the whole host, is what stops it.
    #[serde(default)]
    pub file_max_binds: Option<bool>,
    /// As what clients see, in disguise, that descriptor calls other than accept fail; none: as nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disguise: Option<Vec<SeenAs>>,
    /// What a new client gets at the wall on each of its listeners beside the loaded one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub other_listeners: Option<Outcome>,
    /// Of workloads of calls by name: what their calls came to, in the order in which each was first met.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub outcomes: BTreeMap<String, Vec<Outcome>>,
    /// That it does not start. Beside others: that, or all of the others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_started: Option<Refusal>,
}

impl Expect {
    /// Whether nothing is expected of a subject that starts.
    pub fn of_refusal_only(&self) -> bool {
        *self == Expect { not_started: self.not_started.clone(), ..Expect::default() }
    }
}

/// How a launcher refuses, or a program ends before it is ready. What is left out is not judged.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Refusal {
    /// Text among its last lines.
    pub says: Option<String>,
    /// Exit status of the program that is executed, which is the launcher where there is one.
    pub exit_status: Option<i32>,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "not started")?;
        self.exit_status.map_or(Ok(()), |status| write!(f, ", with exit status {status}"))?;
        self.says.as_ref().map_or(Ok(()), |text| write!(f, ", saying {text:?}"))
    }
}

/// Expected limits; either may be left open.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ExpectLimits {
    /// Soft limit in force.
    pub soft: Option<u64>,
    /// Hard limit in force.
    pub hard: Option<u64>,
}

/// Expected pauses between tries, seconds; both the same where they do not grow.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ExpectDelay {
    /// After the first failure.
    pub first_s: f64,
    /// However often it fails.
    pub longest_s: f64,
}

impl std::fmt::Display for ExpectDelay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.first_s, self.longest_s) {
            (first, longest) if first == longest => write!(f, "{first} s"),
            (first, longest) => write!(f, "{first} s at first, up to {longest} s"),
        }
    }
}

/// An expected ceiling.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ceiling {
    /// Exactly this many accepted.
    Exactly(u64),
    /// From the first to the last, both included.
    Range(u64, u64),
    /// A formula over `soft`, `hard` and `baseline`, with `+ - * /` and parentheses.
    Formula(String),
    /// Every client is accepted and nothing fails.
    NotReached,
}

/// The expected first failing call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FirstFailure {
    /// Its name, as in section 2 of the manual.
    #[schemars(with = "String", extend("enum" = Call::NAMED))]
    pub call: Call,
    /// Other calls that may come first in its place: which of two threads is the first to want a descriptor is chance.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<String>", extend("items" = serde_json::json!({ "enum": Call::NAMED })))]
    pub or: Vec<Call>,
    /// `EMFILE` or `ENFILE`.
    #[schemars(extend("enum" = ["EMFILE", "ENFILE"]))]
    pub errno: String,
}

impl FirstFailure {
    /// The calls that may come first, in words.
    pub fn calls(&self) -> String {
        let all = std::iter::once(&self.call).chain(&self.or).map(|call| call.name());
        all.collect::<Vec<_>>().join(" or ")
    }

    /// Whether this failure is one that is expected.
    pub fn is(&self, call: Call, errno: &str) -> bool {
        (self.call == call || self.or.contains(&call)) && self.errno == errno
    }
}

/// What an accept loop does with a full table (contract.md).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Policy {
    /// Tries again at once, without pause.
    Spin,
    /// Many failures in bursts, with pauses between.
    Storm,
    /// Tries again after a constant time.
    FixedDelay,
    /// Tries again after a time that grows.
    Backoff,
    /// Takes waiting clients and closes them.
    Sheds,
    /// Stops, or turns clients away, by a rule of its own below the limit.
    LimitsItself,
    /// Exits.
    Exits,
    /// A worker exits and another takes its place.
    WorkerRestarts,
    /// Fails once and never accepts again, also when descriptors are free.
    AcceptLoopDead,
    /// None of these fits what was seen.
    Unclear,
    /// Nothing failed.
    None,
}

impl Policy {
    /// As in the report and in scenario files.
    pub const fn name(self) -> &'static str {
        match self {
            Policy::Spin => "spin",
            Policy::Storm => "storm",
            Policy::FixedDelay => "fixed-delay",
            Policy::Backoff => "backoff",
            Policy::Sheds => "sheds",
            Policy::LimitsItself => "limits-itself",
            Policy::Exits => "exits",
            Policy::WorkerRestarts => "worker-restarts",
            Policy::AcceptLoopDead => "accept-loop-dead",
            Policy::Unclear => "unclear",
            Policy::None => "none",
        }
    }
}

/// What a server comes to when clients leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Verdict {
    /// It serves as before, and has its ceiling again.
    Recovered,
    /// It serves, but fewer, or much more slowly, or not all of those that waited.
    Degraded,
    /// Descriptors stay open, and with each round or ramp fewer clients fit.
    Leaking,
    /// It lives and serves no new client.
    Stuck,
    /// Its process has exited.
    Gone,
}

impl Verdict {
    /// As in the report and in scenario files.
    pub const fn name(self) -> &'static str {
        match self {
            Verdict::Recovered => "recovered",
            Verdict::Degraded => "degraded",
            Verdict::Leaking => "leaking",
            Verdict::Stuck => "stuck",
            Verdict::Gone => "gone",
        }
    }
}
