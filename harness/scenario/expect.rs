//! The expectations of a scenario, and the words for them: the report uses the same words for its
//! measurements. Part of the plan; it judges nothing.

use super::amount::{Amount, Aspect, Metric};
use crate::event::{Call, Errno};
pub use crate::event::{Outcome, SeenAs};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Expected observations; a field that is absent is not judged.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Expect {
    /// Limits in force in the process that accepts.
    pub limits: ExpectLimits,
    /// Accepted at the ceiling.
    pub ceiling: Option<Ceiling>,
    /// Descriptors open before the first client.
    pub baseline: Option<u64>,
    /// The first failing call.
    pub first_failure: Option<FirstFailure>,
    /// How its accept loop behaves at the ceiling.
    pub policy: Option<Policy>,
    /// The pauses between its tries at the ceiling.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay: Option<ExpectDelay>,
    /// From the release of all clients to a new client served, seconds.
    pub recovers_within_s: Option<f64>,
    /// The verdict on its recovery after clients leave.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovery: Option<Verdict>,
    /// From the last move of its limit to the next accept, seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resumes_within_s: Option<f64>,
    /// Accepted at the ceiling under the limit that was moved last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ceiling_after: Option<Ceiling>,
    /// Descriptors that are open after all clients left, less those open before the first client.
    pub leaked: Option<i64>,
    /// Whether `fs.file-max`, the bound of the whole host, is what stops it.
    #[serde(default)]
    pub file_max_binds: Option<bool>,
    /// How clients see, in disguise, that descriptor calls other than accept fail; empty: they see nothing of
    /// it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disguise: Option<Vec<SeenAs>>,
    /// How each of its other listeners treats a new client when the server is at the limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub other_listeners: Option<Outcome>,
    /// The outcomes of the calls of each workload of calls, by name, each in the order in which it first
    /// occurred.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub outcomes: BTreeMap<String, Vec<Outcome>>,
    /// The expected amount of each metric.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub amounts: BTreeMap<Metric, Amount>,
    /// The accepted words or texts of each aspect; one of them must match.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub aspects: BTreeMap<Aspect, Vec<String>>,
    /// It must not start. Beside other expectations: either it does not start, or all others hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_started: Option<Refusal>,
}

impl Expect {
    /// Whether nothing is expected of a subject that starts.
    pub fn of_refusal_only(&self) -> bool {
        *self == Expect { not_started: self.not_started.clone(), ..Expect::default() }
    }
}

/// How a launcher refuses, or a program ends before it is ready. Fields that are left out are not judged.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Refusal {
    /// Text that its last lines contain.
    pub says: Option<String>,
    /// Exit status of the launcher, or of the program if there is no launcher.
    pub exit_status: Option<i32>,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "not started")?;
        self.exit_status.map_or(Ok(()), |status| write!(f, ", with exit status {status}"))?;
        self.says.as_ref().map_or(Ok(()), |text| write!(f, ", saying {text:?}"))
    }
}

/// Expected limits: numbers, or amounts as texts such as "at least 65536". Either may be left out.
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
#[non_exhaustive]
pub enum Ceiling {
    /// Exactly this many accepted.
    Exactly(u64),
    /// A range; both ends are included.
    Range(u64, u64),
    /// A formula over `soft`, `hard` and `baseline`, with `+ - * /` and parentheses.
    Formula(String),
    /// Every client is accepted and nothing fails.
    NotReached,
}

impl From<u64> for Ceiling {
    fn from(exactly: u64) -> Self {
        Ceiling::Exactly(exactly)
    }
}

impl From<std::ops::RangeInclusive<u64>> for Ceiling {
    fn from(range: std::ops::RangeInclusive<u64>) -> Self {
        Ceiling::Range(*range.start(), *range.end())
    }
}

/// A formula.
impl From<&str> for Ceiling {
    fn from(formula: &str) -> Self {
        Ceiling::Formula(formula.to_owned())
    }
}

/// The call that fails first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FirstFailure {
    /// The call.
    pub call: Call,
    /// Other calls that may fail first instead: with several threads, chance decides which one needs a
    /// descriptor first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub or: Vec<Call>,
    /// `EMFILE` or `ENFILE`.
    #[serde(deserialize_with = "full")]
    #[schemars(with = "String", extend("enum" = ["EMFILE", "ENFILE"]))]
    pub errno: Errno,
}

/// An errno of a call that found no free descriptor.
fn full<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Errno, D::Error> {
    let text = String::deserialize(from)?;
    let known = [Errno::EMFILE, Errno::ENFILE].into_iter().find(|errno| errno.name() == Some(&text));
    known.ok_or_else(|| serde::de::Error::unknown_variant(&text, &["EMFILE", "ENFILE"]))
}

impl FirstFailure {
    /// The calls that may come first, in words.
    pub fn calls(&self) -> String {
        let all = std::iter::once(&self.call).chain(&self.or).map(|call| call.name());
        all.collect::<Vec<_>>().join(" or ")
    }

    /// Whether this failure is one that is expected.
    pub fn is(&self, call: Call, errno: Errno) -> bool {
        (self.call == call || self.or.contains(&call)) && self.errno == errno
    }
}

/// How an accept loop behaves when no descriptor is free.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Policy {
    /// Tries again at once, without pause.
    Spin,
    /// Fails many times in bursts, with pauses between.
    Storm,
    /// Tries again after a constant time.
    FixedDelay,
    /// Tries again after a time that grows.
    Backoff,
    /// Accepts waiting clients and closes them.
    Sheds,
    /// Stops below the limit, or turns clients away, by a rule of its own.
    LimitsItself,
    /// Exits.
    Exits,
    /// A worker exits and another takes its place.
    WorkerRestarts,
    /// Never accepts again, even when descriptors are free: after one failure, or busy with something else.
    AcceptLoopDead,
    /// Tries again when one of its connections is closed, and not before.
    WaitsForClose,
    /// Tries again when a further client arrives, and not before.
    WaitsForArrival,
    /// The observations do not decide.
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
            Policy::WaitsForClose => "waits-for-close",
            Policy::WaitsForArrival => "waits-for-arrival",
            Policy::Unclear => "unclear",
            Policy::None => "none",
        }
    }
}

/// How a server recovers when clients leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Verdict {
    /// It serves as before, and its ceiling is the same.
    Recovered,
    /// It serves, but fewer clients, or much more slowly, or not all of those that waited.
    Degraded,
    /// Descriptors stay open, and more with each client, or fewer clients fit with each round or ramp.
    Leaking,
    /// All clients have left, and it still closes descriptors or works off its accept queue, for longer than
    /// it is waited for.
    Draining,
    /// It is alive and serves no new client.
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
            Verdict::Draining => "draining",
            Verdict::Stuck => "stuck",
            Verdict::Gone => "gone",
        }
    }
}
