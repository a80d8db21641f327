//! Expected amounts: the metrics of a run, by their keys in `[expect]`, and the bounds of each.
//! One table of metrics; each has its unit, and which way is worse. Pure.

use super::duration::duration;
use super::formula::{self, FormulaError, Values};
use super::pace::byte_unit;
use serde::{Deserialize, Serialize};
use std::ops::Range;

crate::named::named! {
    /// A number that a run measures and a scenario may expect.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
    #[serde(rename_all = "kebab-case")]
    #[non_exhaustive]
    pub enum Metric {
        /// Soft limit in force in the process that accepts
        #[serde(rename = "limits.soft")]
        SoftLimit = "limits.soft",
        /// Hard limit in force in the process that accepts
        #[serde(rename = "limits.hard")]
        HardLimit = "limits.hard",
        /// Descriptors open at rest
        Baseline = "baseline",
        /// Descriptors a second that the server opens by itself, without clients
        GrowthPerS = "growth-per-s",
        /// Time from the start of the program until it listens
        Launch = "launch",
        /// Connections that the server holds and serves when clients come no faster than it settles
        Capacity = "capacity",
        /// Connections held just before the first failed descriptor call, or at the end of the ramp
        Accepted = "accepted",
        /// Clients that got an answer and are still connected
        Served = "served",
        /// Clients of a burst (`pace = "burst"`) that are served at the same time
        Burst = "burst",
        /// Descriptors open at the ceiling
        Descriptors = "descriptors",
        /// Descriptors that a connection takes
        DescriptorsPerConnection = "descriptors-per-connection",
        /// The shortest time after which the server closed an idle client
        IdleTimeout = "idle-timeout",
        /// Failed descriptor calls a second at the limit
        FailuresPerS = "failures-per-s",
        /// CPU of the server at the limit, in percent of one processor
        CpuPercent = "cpu-percent",
        /// Bytes a second that the server logs at the limit
        LogBytesPerS = "log-bytes-per-s",
        /// Connections that the server held and closed at the limit
        HeldClosed = "held-closed",
        /// Clients in the accept queue at the limit
        AcceptQueue = "accept-queue",
        /// Handshakes that the listener dropped because its accept queue was full
        QueueOverflows = "queue-overflows",
        /// Resident memory at the limit
        MemoryBytes = "memory-bytes",
        /// Growth of the resident memory at the limit, a second
        MemoryGrowthPerS = "memory-growth-per-s",
        /// Time from the first clients leaving to the first waiting client served
        FirstServed = "first-served",
        /// Time from the first clients leaving to an empty accept queue
        QueueDrained = "queue-drained",
        /// Waiting clients that were served later
        WaitersServed = "waiters-served",
        /// Time from the moment all clients leave until a new one is served
        RecoversWithin = "recovers-within",
        /// Descriptors above those at rest that are open after all clients left
        Leaked = "leaked",
        /// Descriptors that stay open from the first round and do not grow
        OpenedOnce = "opened-once",
        /// Calls answered a second, in the workload of calls
        CallsPerS = "calls-per-s",
        /// Half of the calls took no longer
        CallP50 = "call-p50",
        /// 99 calls of 100 took no longer
        CallP99 = "call-p99",
        /// TLS handshakes of a call
        HandshakesPerCall = "handshakes-per-call",
        /// Descriptors that 1000 calls leave open
        #[serde(rename = "descriptors-per-1000-calls")]
        DescriptorsPer1000Calls = "descriptors-per-1000-calls",
    }
}

crate::named::named! {
    /// A result of a run that is a word or a text, and that a scenario may expect.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
    #[serde(rename_all = "kebab-case")]
    #[non_exhaustive]
    pub enum Aspect {
        /// Why the server stopped: the word of `ceiling.kind` in the report, or a list of accepted words
        CeilingKind = "ceiling-kind",
        /// The resource that ran out: the word of `ceiling.binds.resource` in the report, or several
        Binds = "binds",
        /// How a new client fares at the limit: one word, or a list of accepted words
        NewClient = "new-client",
        /// A text that the first error reply to a client contains, such as its status "503", or several
        ErrorReply = "error-reply",
    }
}

impl Aspect {
    /// The words that it may be; empty: any text.
    pub const fn words(self) -> &'static [&'static str] {
        match self {
            Aspect::CeilingKind => {
                &["emfile", "enfile", "own-limit", "other-limit", "exited", "generator", "not-reached"]
            }
            Aspect::Binds => &[
                "descriptors",
                "open-files",
                "threads",
                "processes",
                "memory",
                "accept-queue",
                "inotify-instances",
                "fd-setsize",
                "other-kernel-limit",
                "source-ports",
                "generator",
                "own-rule",
            ],
            Aspect::NewClient => &["served", "waits", "times-out", "refused", "closed", "error-reply"],
            Aspect::ErrorReply => &[],
        }
    }
}

/// The unit of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unit {
    /// Whole things. The same in every run of the same program, as a rule.
    Count,
    /// A ratio of two counts.
    Ratio,
    /// Seconds.
    Seconds,
    /// Percent of one processor.
    Percent,
    /// A second.
    PerSecond,
    /// Bytes.
    Bytes,
    /// Bytes a second.
    BytesPerSecond,
}

impl Metric {
    /// The unit of its values.
    pub const fn unit(self) -> Unit {
        use Metric as M;
        match self {
            M::DescriptorsPerConnection | M::HandshakesPerCall | M::DescriptorsPer1000Calls => Unit::Ratio,
            M::Launch | M::IdleTimeout | M::FirstServed | M::QueueDrained | M::RecoversWithin => {
                Unit::Seconds
            }
            M::CallP50 | M::CallP99 => Unit::Seconds,
            M::CpuPercent => Unit::Percent,
            M::GrowthPerS | M::FailuresPerS | M::CallsPerS => Unit::PerSecond,
            M::MemoryBytes => Unit::Bytes,
            M::LogBytesPerS | M::MemoryGrowthPerS => Unit::BytesPerSecond,
            _ => Unit::Count,
        }
    }

    /// Whether less of it is worse.
    pub const fn less_is_worse(self) -> bool {
        use Metric as M;
        let held = matches!(self, M::Capacity | M::Accepted | M::Served | M::Burst | M::WaitersServed);
        held || matches!(self, M::CallsPerS | M::IdleTimeout)
    }

    /// Whether it has a value only where the server reached its limit.
    pub const fn of_the_limit(self) -> bool {
        use Metric as M;
        let costs = matches!(self, M::FailuresPerS | M::CpuPercent | M::LogBytesPerS | M::MemoryGrowthPerS);
        let waits = matches!(self, M::FirstServed | M::QueueDrained | M::WaitersServed | M::HeldClosed);
        costs || waits || matches!(self, M::AcceptQueue | M::QueueOverflows | M::MemoryBytes)
    }

    /// Whether a load that is too small makes it smaller.
    pub const fn needs_clients(self) -> bool {
        matches!(self, Metric::Capacity | Metric::Accepted | Metric::Served | Metric::Burst)
    }

    /// Whether a processor that is busy with another run changes it.
    pub const fn is_timed(self) -> bool {
        matches!(self.unit(), Unit::Seconds | Unit::Percent | Unit::PerSecond | Unit::BytesPerSecond)
    }
}

/// The amount that a scenario expects of a metric.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Amount {
    /// As the scenario has it.
    pub written: String,
    /// The same amount, parsed.
    pub wanted: Wanted,
}

impl std::fmt::Display for Amount {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.written)
    }
}

/// The meaning of an amount.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Wanted {
    /// Both ends are included; one that is absent does not bound it.
    Between {
        /// The least.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        least: Option<Bound>,
        /// The most.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        most: Option<Bound>,
    },
    /// No worse than the worst of the recorded runs, by more than so much.
    NoWorse {
        /// Percent of the recorded value.
        by_percent: f64,
        /// The recorded values; `None`: there are none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        kept: Option<Kept>,
        /// The scenario file, as it was named on the command line; empty: it is no file.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        scenario: String,
    },
}

impl Wanted {
    /// Whether an end of it is written over `soft`, `hard` or `baseline`.
    pub fn has_formula(&self) -> bool {
        let Wanted::Between { least, most } = self else { return false };
        least.iter().chain(most).any(|bound| matches!(bound, Bound::Formula(_)))
    }
}

/// An end of a range.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum Bound {
    /// In the unit of the metric.
    Number(f64),
    /// Over `soft`, `hard` and `baseline`.
    Formula(String),
}

/// The recorded values of one metric, over the runs of a recording.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Kept {
    /// How many runs.
    pub runs: u32,
    /// The middle one.
    pub median: f64,
    /// The least.
    pub least: f64,
    /// The most.
    pub most: f64,
}

impl Kept {
    /// The summary of these values, one a run; `None` if there are none.
    pub fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_by(f64::total_cmp);
        let (least, most) = (*values.first()?, *values.last()?);
        let median = f64::midpoint(values[(values.len() - 1) / 2], values[values.len() / 2]);
        Some(Kept { runs: values.len() as u32, median, least, most })
    }
}

/// Why a text is no amount of a metric.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum NoAmount {
    /// It cannot be read.
    #[error("wanted {}", .0.example())]
    Unread(Unit),
    /// A formula that is wrong, at its place in the text.
    #[error("{error}")]
    Formula {
        /// The fault in the formula.
        error: FormulaError,
        /// In bytes.
        at: Range<usize>,
    },
    /// The first number is above the second.
    #[error("the range is empty")]
    Empty,
    /// One number, where no two runs measure the same.
    #[error("no two runs measure exactly the same: write \"at most {0}\", \"at least {0}\" or a range")]
    Exactly(String),
}

impl Unit {
    /// An example of an amount in this unit, for error messages.
    pub const fn example(self) -> &'static str {
        match self {
            Unit::Count => "a number, or a formula such as \"soft - baseline\"",
            Unit::Ratio => "a number, such as 1.5",
            Unit::Seconds => "a time with its unit, such as \"500ms\" or \"2s\"",
            Unit::Percent => "percent of a processor, such as \"20 %\"",
            Unit::PerSecond => "a number a second, such as \"10/s\"",
            Unit::Bytes => "bytes, such as \"512kB\" or \"64MiB\"",
            Unit::BytesPerSecond => "bytes a second, such as \"10kB/s\"",
        }
    }

    /// A number of this unit.
    fn read(self, text: &str) -> Option<f64> {
        let number = |text: &str| text.trim().parse::<f64>().ok().filter(|n| n.is_finite());
        match self {
            Unit::Count | Unit::Ratio => number(text),
            Unit::Seconds => duration(text),
            Unit::Percent => number(text.trim_end_matches('%')),
            Unit::PerSecond => number(text.trim_end_matches("/s")),
            Unit::Bytes => bytes(text),
            Unit::BytesPerSecond => bytes(text.trim_end_matches("/s")),
        }
    }
}

/// Bytes of a text such as `512kB`; a number alone is bytes.
fn bytes(text: &str) -> Option<f64> {
    let text = text.trim();
    let digits = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let unit = if digits == text.len() { 1 } else { byte_unit(&text[digits..])? };
    Some(text[..digits].trim().parse::<f64>().ok().filter(|n| n.is_finite())? * f64::from(unit))
}

impl Amount {
    /// How an amount begins that a recording bounds; `by`, a number and `%` may follow.
    const NO_WORSE: &str = "no worse than recorded";

    /// Whether a text says how a number is compared, and is no plain value.
    pub fn is_one(text: &str) -> bool {
        let text = text.trim_start();
        [Amount::NO_WORSE, "at most ", "at least "].iter().any(|begin| text.starts_with(begin))
            || text.contains("..=")
    }

    /// Reads what a scenario has for this metric.
    ///
    /// # Errors
    /// See [`NoAmount`].
    pub fn read(metric: Metric, text: &str) -> Result<Self, NoAmount> {
        let unit = metric.unit();
        let bound = |part: &str| bound(unit, text, part);
        let between = |least, most| Wanted::Between { least, most };
        let wanted = if let Some(rest) = text.trim().strip_prefix(Amount::NO_WORSE) {
            let by_percent = percent(rest).ok_or(NoAmount::Unread(Unit::Percent))?;
            Wanted::NoWorse { by_percent, kept: None, scenario: String::new() }
        } else if let Some(most) = text.trim().strip_prefix("at most ") {
            between(None, Some(bound(most)?))
        } else if let Some(least) = text.trim().strip_prefix("at least ") {
            between(Some(bound(least)?), None)
        } else if let Some((least, most)) = text.split_once("..=") {
            let (least, most) = (bound(least)?, bound(most)?);
            match (&least, &most) {
                (Bound::Number(least), Bound::Number(most)) if least > most => return Err(NoAmount::Empty),
                _ => between(Some(least), Some(most)),
            }
        } else {
            let exactly = bound(text)?;
            match unit {
                Unit::Count => between(Some(exactly.clone()), Some(exactly)),
                _ => return Err(NoAmount::Exactly(text.trim().to_owned())),
            }
        };
        Ok(Amount { written: text.trim().to_owned(), wanted })
    }
}

/// An end of a range; `part` is a part of `text`.
fn bound(unit: Unit, text: &str, part: &str) -> Result<Bound, NoAmount> {
    let trimmed = part.trim();
    match unit.read(trimmed) {
        Some(number) => Ok(Bound::Number(number)),
        None if unit != Unit::Count => Err(NoAmount::Unread(unit)),
        None => formula::parse(trimmed).map(|_| Bound::Formula(trimmed.to_owned())).map_err(|error| {
            let from = trimmed.as_ptr() as usize - text.as_ptr() as usize;
            NoAmount::Formula { at: from + error.at().start..from + error.at().end, error }
        }),
    }
}

/// ` by 5 %`, or nothing: 0.
fn percent(rest: &str) -> Option<f64> {
    match rest.trim() {
        "" => Some(0.0),
        by => {
            let number = by.strip_prefix("by ")?.strip_suffix('%')?.trim().parse::<f64>().ok()?;
            (number.is_finite() && number >= 0.0).then_some(number)
        }
    }
}

impl Bound {
    /// The number, where these are the limits and the descriptors at rest.
    ///
    /// # Errors
    /// The formula has no number as its value with these values.
    pub fn number(&self, values: Values) -> Result<f64, formula::NoCount> {
        match self {
            Bound::Number(number) => Ok(*number),
            Bound::Formula(text) => match formula::parse(text) {
                Ok(formula) => formula.count(values).map(|count| count as f64),
                Err(_) => Err(formula::NoCount::Negative),
            },
        }
    }
}
